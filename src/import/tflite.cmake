# SPDX-License-Identifier: Apache-2.0
# The headers that read TFLite files, made from tflite.fbs and tflite_task.fbs. Included by src/import/import.cmake, which
# adds ${tern_tflite_header} to the sources of its target.

set(tern_tflite_header "")
foreach(schema tflite tflite_task)
  set(header ${PROJECT_BINARY_DIR}/generated/import/${schema}_generated.h)
  add_custom_command(OUTPUT ${header}
    COMMAND flatbuffers::flatc --cpp --scoped-enums --cpp-std c++17 -o ${PROJECT_BINARY_DIR}/generated/import
            ${PROJECT_SOURCE_DIR}/src/import/${schema}.fbs
    DEPENDS ${PROJECT_SOURCE_DIR}/src/import/${schema}.fbs VERBATIM)
  list(APPEND tern_tflite_header ${header})
endforeach()
