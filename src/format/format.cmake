# SPDX-License-Identifier: Apache-2.0
# The file format: the header made from tern.fbs, and the library's part. Included by src/tern.cmake.

set(tern_fbs ${PROJECT_SOURCE_DIR}/src/format/tern.fbs)
set(tern_fbs_header ${PROJECT_BINARY_DIR}/generated/format/tern_generated.h)
add_custom_command(OUTPUT ${tern_fbs_header}
  COMMAND flatbuffers::flatc --cpp --scoped-enums --cpp-std c++17 -o ${PROJECT_BINARY_DIR}/generated/format ${tern_fbs}
  DEPENDS ${tern_fbs} VERBATIM)
tern_floor(format ${tern_fbs_header})
