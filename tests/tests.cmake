# SPDX-License-Identifier: Apache-2.0
# Tests. tern_test(name sources... [LIBS libraries...]) builds one executable on GoogleTest and runs it under ctest.

enable_testing()
add_compile_options($<$<CONFIG:Release>:-O1>)  # the tests' own code: most of their time goes into compiling it
if(CMAKE_CROSSCOMPILING OR CMAKE_SIZEOF_VOID_P EQUAL 4)  # the system's library is the host's; its package has the sources too
  add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
else()
  find_package(GTest REQUIRED)
endif()

function(tern_test name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  list(TRANSFORM ARG_UNPARSED_ARGUMENTS PREPEND ${PROJECT_SOURCE_DIR}/tests/ REGEX "^[^/]")
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -Wall -Wextra)
  target_compile_definitions(${name} PRIVATE TERN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest_main Threads::Threads)
  add_test(NAME ${name} COMMAND ${name})
endfunction()

tern_test(ops_test ops/case.cpp ops/variants.cpp ops/ops_test.cpp ops/control_test.cpp ops/differentiate_test.cpp ops/encoding_test.cpp ops/values_test.cpp
          ${PROJECT_SOURCE_DIR}/src/train/differentiate.cpp LIBS tern_ops tern_graph tern_base)

file(GLOB kernel_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/kernels/*.cpp)
# The test and the kernels compare bits: neither may fuse a product and a sum that are written apart.
set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/kernels/matmul_int8_test.cpp PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
tern_test(kernels_test ${kernel_tests} LIBS tern_core)
file(GLOB image_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/image/*.cpp)
tern_test(image_test ${image_tests} LIBS tern_image tern_base)

foreach(folder capi format fuzz runtime architecture)
  if(EXISTS ${PROJECT_SOURCE_DIR}/tests/${folder}/CMakeLists.txt)
    add_subdirectory(${PROJECT_SOURCE_DIR}/tests/${folder} ${PROJECT_BINARY_DIR}/tests/${folder})
  endif()
endforeach()
# What needs the importer or the command.
foreach(folder import models)
  if(TERN_BUILD_IMPORT AND EXISTS ${PROJECT_SOURCE_DIR}/tests/${folder}/CMakeLists.txt)
    add_subdirectory(${PROJECT_SOURCE_DIR}/tests/${folder} ${PROJECT_BINARY_DIR}/tests/${folder})
  endif()
endforeach()
if(TERN_BUILD_CLI AND EXISTS ${PROJECT_SOURCE_DIR}/tests/cli/CMakeLists.txt)
  add_subdirectory(${PROJECT_SOURCE_DIR}/tests/cli ${PROJECT_BINARY_DIR}/tests/cli)
endif()
