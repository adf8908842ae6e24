# SPDX-License-Identifier: Apache-2.0
# The header that reads TFLite files, made from tflite.fbs. Included by src/import/import.cmake, which adds
# ${tern_tflite_header} to the sources of its target.

set(tern_tflite_header ${PROJECT_BINARY_DIR}/generated/import/tflite_generated.h)
add_custom_command(OUTPUT ${tern_tflite_header}
  COMMAND flatbuffers::flatc --cpp --scoped-enums --cpp-std c++17 -o ${PROJECT_BINARY_DIR}/generated/import
          ${PROJECT_SOURCE_DIR}/src/import/tflite.fbs
  DEPENDS ${PROJECT_SOURCE_DIR}/src/import/tflite.fbs VERBATIM)
