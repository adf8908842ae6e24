# SPDX-License-Identifier: Apache-2.0
# libtern_import: reads ONNX (protobuf, from the schema that libonnx-dev ships) and TFLite files. Included by src/tern.cmake.
# A library of its own with its own copy of the floors below it; it exports the calls of tern/import.h alone.

find_package(Protobuf REQUIRED)
find_path(TERN_ONNX_PROTO_DIR onnx/onnx.proto REQUIRED DOC "Folder that holds onnx/onnx.proto (Debian: libonnx-dev)")
set(onnx_generated ${PROJECT_BINARY_DIR}/generated/onnx/onnx.pb.cc ${PROJECT_BINARY_DIR}/generated/onnx/onnx.pb.h)
add_custom_command(OUTPUT ${onnx_generated}
  COMMAND protobuf::protoc --cpp_out=${PROJECT_BINARY_DIR}/generated --proto_path=${TERN_ONNX_PROTO_DIR} ${TERN_ONNX_PROTO_DIR}/onnx/onnx.proto
  DEPENDS ${TERN_ONNX_PROTO_DIR}/onnx/onnx.proto VERBATIM)
add_library(tern_onnx_proto OBJECT ${onnx_generated})
target_include_directories(tern_onnx_proto SYSTEM PUBLIC ${PROJECT_BINARY_DIR}/generated)
target_link_libraries(tern_onnx_proto PUBLIC protobuf::libprotobuf-lite)

# The texts of the recipes.
file(GLOB recipe_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/import/recipes/*.recipe)
list(SORT recipe_files)
set(recipe_texts "")
foreach(file ${recipe_files})
  get_filename_component(recipe ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND recipe_texts "    {\"${recipe}\", R\"~(${text})~\"},\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/import/recipes_generated.h CONTENT
"// Generated from the files of src/import/recipes.
#pragma once
namespace tern {
constexpr struct {
  const char *name, *text;
} kRecipeTexts[] = {
@recipe_texts@};
}  // namespace tern
" @ONLY)

include(${PROJECT_SOURCE_DIR}/src/import/tflite.cmake)
tern_floor(import ${tern_tflite_header})
add_dependencies(tern_import tern_onnx_proto)
target_precompile_headers(tern_import PRIVATE <import/onnx.h> <import/tflite.h>)
# The header that protoc makes is none of ours to warn about.
set_property(TARGET tern_import APPEND PROPERTY COMPILE_OPTIONS -isystem ${PROJECT_BINARY_DIR}/generated)

# For tests and for the library: all of it, not yet closed to the outside.
add_library(tern_importer STATIC $<TARGET_OBJECTS:tern_import> $<TARGET_OBJECTS:tern_models> $<TARGET_OBJECTS:tern_onnx_proto>
            $<TARGET_OBJECTS:tern_text>)
target_include_directories(tern_importer PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}
                           ${PROJECT_BINARY_DIR}/generated)
target_link_libraries(tern_importer PUBLIC protobuf::libprotobuf-lite)

add_library(tern_import_shared SHARED $<TARGET_OBJECTS:tern_import> $<TARGET_OBJECTS:tern_onnx_proto> $<TARGET_OBJECTS:tern_base>
            $<TARGET_OBJECTS:tern_graph> $<TARGET_OBJECTS:tern_ops> $<TARGET_OBJECTS:tern_models> $<TARGET_OBJECTS:tern_passes> $<TARGET_OBJECTS:tern_format>
            $<TARGET_OBJECTS:tern_text>)
set_target_properties(tern_import_shared PROPERTIES OUTPUT_NAME tern_import VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                      LINK_DEPENDS ${PROJECT_SOURCE_DIR}/src/import/import.map)
target_include_directories(tern_import_shared INTERFACE ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(tern_import_shared PRIVATE Threads::Threads protobuf::libprotobuf-lite)
target_link_options(tern_import_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/src/import/import.map -Wl,--exclude-libs,ALL
                    -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now)
if(NOT TERN_SANITIZE)
  target_link_options(tern_import_shared PRIVATE -Wl,-z,defs)
endif()
