# SPDX-License-Identifier: Apache-2.0
# Tests. tern_test(name sources... [SHARDS n] [LIBS libraries...]) builds one executable on GoogleTest and runs it under
# ctest, in so many processes of which each takes a part of its tests: <name>_1 to <name>_n.
# Every test has a line in budgets.txt; a folder of tests ends with tern_budgets(), which gives the tests their labels.

enable_testing()
add_compile_options($<$<CONFIG:Release>:-O1>)  # the tests' own code: most of their time goes into compiling it
if(CMAKE_CROSSCOMPILING OR CMAKE_SIZEOF_VOID_P EQUAL 4)  # the system's library is the host's; its package has the sources too
  add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
else()
  find_package(GTest REQUIRED)
endif()

file(STRINGS ${PROJECT_SOURCE_DIR}/tests/budgets.txt tern_budget_lines REGEX "^[^#]")
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/budgets.txt)

function(tern_budgets)
  get_property(tests DIRECTORY PROPERTY TESTS)
  foreach(test ${tests})
    string(REGEX REPLACE "_[0-9]+$" "" whole ${test})
    set(line ${tern_budget_lines})
    list(FILTER line INCLUDE REGEX " ${whole}$")
    if(NOT line MATCHES "^ *([0-9]+) +([a-z]+) +${whole}$")
      message(FATAL_ERROR "tests/budgets.txt needs a line `seconds label ${whole}`")
    endif()
    set_tests_properties(${test} PROPERTIES LABELS ${CMAKE_MATCH_2} COST ${CMAKE_MATCH_1})
    if(NOT TERN_SANITIZE AND NOT CMAKE_CROSSCOMPILING AND NOT CMAKE_SIZEOF_VOID_P EQUAL 4)  # which take many times as long; a hang is found all the same
      math(EXPR timeout "60 + 20 * ${CMAKE_MATCH_1}")
      set_tests_properties(${test} PROPERTIES TIMEOUT ${timeout})
    endif()
  endforeach()
endfunction()

function(tern_test name)
  cmake_parse_arguments(ARG "" "SHARDS" "LIBS" ${ARGN})
  list(TRANSFORM ARG_UNPARSED_ARGUMENTS PREPEND ${PROJECT_SOURCE_DIR}/tests/ REGEX "^[^/]")
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -Wall -Wextra)
  target_compile_definitions(${name} PRIVATE TERN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest_main Threads::Threads)
  if(NOT ARG_SHARDS)
    add_test(NAME ${name} COMMAND ${name})
    return()
  endif()
  math(EXPR last "${ARG_SHARDS} - 1")
  foreach(shard RANGE ${last})
    math(EXPR number "${shard} + 1")
    add_test(NAME ${name}_${number} COMMAND ${name})
    set_tests_properties(${name}_${number} PROPERTIES ENVIRONMENT "GTEST_TOTAL_SHARDS=${ARG_SHARDS};GTEST_SHARD_INDEX=${shard}")
  endforeach()
endfunction()

tern_test(ops_test ops/case.cpp ops/variants.cpp ops/ops_test.cpp ops/control_test.cpp ops/differentiate_test.cpp ops/encoding_test.cpp ops/values_test.cpp
          ${PROJECT_SOURCE_DIR}/src/train/differentiate.cpp SHARDS 4 LIBS tern_ops tern_graph tern_base)

file(GLOB kernel_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/kernels/*.cpp)
# The test and the kernels compare bits: neither may fuse a product and a sum that are written apart.
set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/kernels/depthwise_int8_test.cpp ${PROJECT_SOURCE_DIR}/tests/kernels/matmul_int8_test.cpp PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
tern_test(kernels_test ${kernel_tests} SHARDS 4 LIBS tern_core)
file(GLOB image_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/image/*.cpp)
tern_test(image_test ${image_tests} LIBS tern_image tern_base)
tern_budgets()

foreach(folder capi format text data fuzz runtime tracking bindings architecture)
  if(EXISTS ${PROJECT_SOURCE_DIR}/tests/${folder}/CMakeLists.txt)
    add_subdirectory(${PROJECT_SOURCE_DIR}/tests/${folder} ${PROJECT_BINARY_DIR}/tests/${folder})
  endif()
endforeach()
# What needs the importer or the command.
foreach(folder import models train)
  if(TERN_BUILD_IMPORT AND EXISTS ${PROJECT_SOURCE_DIR}/tests/${folder}/CMakeLists.txt)
    add_subdirectory(${PROJECT_SOURCE_DIR}/tests/${folder} ${PROJECT_BINARY_DIR}/tests/${folder})
  endif()
endforeach()
if(TERN_BUILD_CLI AND EXISTS ${PROJECT_SOURCE_DIR}/tests/cli/CMakeLists.txt)
  add_subdirectory(${PROJECT_SOURCE_DIR}/tests/cli ${PROJECT_BINARY_DIR}/tests/cli)
endif()
