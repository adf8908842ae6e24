# SPDX-License-Identifier: Apache-2.0
# Tests. tern_test(name sources... [LIBS libraries...]) builds one executable on GoogleTest and runs it under ctest.

enable_testing()
find_package(GTest REQUIRED)

function(tern_test name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  list(TRANSFORM ARG_UNPARSED_ARGUMENTS PREPEND ${PROJECT_SOURCE_DIR}/tests/ REGEX "^[^/]")
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -Wall -Wextra)
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest_main Threads::Threads)
  add_test(NAME ${name} COMMAND ${name})
endfunction()

tern_test(ops_test ops/case.cpp ops/ops_test.cpp ops/control_test.cpp ops/differentiate_test.cpp ops/encoding_test.cpp ops/values_test.cpp
          ${PROJECT_SOURCE_DIR}/src/train/differentiate.cpp LIBS tern_ops tern_graph tern_base)
