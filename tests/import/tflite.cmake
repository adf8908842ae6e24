# SPDX-License-Identifier: Apache-2.0
# Tests of the TFLite importer. Included by CMakeLists.txt of this folder.

add_library(tern_golden STATIC ${PROJECT_SOURCE_DIR}/tests/models/golden.cpp)
target_link_libraries(tern_golden PUBLIC tern_core)
target_include_directories(tern_golden PUBLIC ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(tern_golden PUBLIC TERN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

foreach(name tflite_models tflite_hostile tflite_variables)
  add_executable(${name} ${name}.cpp)
  target_link_libraries(${name} PRIVATE tern_import_support tern_golden GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
endforeach()
