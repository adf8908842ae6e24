# SPDX-License-Identifier: Apache-2.0
# The library: one object library per floor of src/, joined into libtern (shared and static).

# Definitions for what this build leaves out (base/capability.h); of the kernels only their tables get them.
set(tern_left_out "")
foreach(capability TRAINING TEXT VISION)
  if(NOT TERN_${capability})
    list(APPEND tern_left_out TERN_WITHOUT_${capability})
  endif()
endforeach()

# Small code: -Oz where the compiler has it. With frame pointers the tables for exceptions are a fifth smaller, the code 2 %
# larger.
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-Oz tern_has_oz)
set(tern_small $<IF:$<BOOL:${tern_has_oz}>,-Oz,-Os>)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  list(APPEND tern_small -fno-omit-frame-pointer)
endif()

function(tern_floor name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
  add_library(tern_${name} OBJECT ${sources} ${ARGN})
  target_include_directories(tern_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}
                             ${PROJECT_BINARY_DIR}/generated)
  target_compile_options(tern_${name} PRIVATE -Wall -Wextra -fno-rtti)
  target_compile_definitions(tern_${name} PRIVATE ${tern_left_out})
  # Time is spent in kernels and in pixels; everything else is better small.
  if(NOT name STREQUAL "image")
    target_compile_options(tern_${name} PRIVATE $<$<CONFIG:Release>:${tern_small}>)
  endif()
  if(TERN_COVERAGE AND name MATCHES "^(format|passes|runtime|capi)$")
    target_compile_options(tern_${name} PRIVATE --coverage -O0)
  endif()
endfunction()

# The list of operators is the list of files src/ops/<name>.cpp that define one. Where one names a capability
# (base/capability.h) that this build leaves out, the file is not compiled and the operator is known by its name alone.
file(GLOB op_files CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/src/ops ${PROJECT_SOURCE_DIR}/src/ops/*.cpp)
list(SORT op_files)
set(op_names "")
set(op_declarations "")
set(op_addresses "")
set(ops_left_out "")
set(op_files_left_out "")
foreach(file ${op_files})
  file(STRINGS ${PROJECT_SOURCE_DIR}/src/ops/${file} found REGEX "const Op op_" LIMIT_COUNT 1)
  if(NOT found)
    continue()
  endif()
  string(REPLACE ".cpp" "" op ${file})
  list(APPEND op_names ${op})
  file(STRINGS ${PROJECT_SOURCE_DIR}/src/ops/${file} capability REGEX "\\.capability = Capability::")
  string(REGEX REPLACE ".*Capability::([a-z]+).*" "\\1" capability "${capability}")
  string(TOUPPER "TERN_${capability}" option)
  if(capability AND NOT ${option})
    string(APPEND ops_left_out "    {\"${op}\", Capability::${capability}},\n")
    string(APPEND op_declarations "inline constexpr const Op& op_${op} = op_left_out;\n")
    list(APPEND op_files_left_out ${PROJECT_SOURCE_DIR}/src/ops/${file})
  else()
    string(APPEND op_declarations "extern const Op op_${op};\n")
    string(APPEND op_addresses "    &op_${op},\n")
  endif()
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/ops/ops_generated.h CONTENT
"// Generated from the files of src/ops.
#pragma once
namespace tern {
struct Op;
extern const Op op_left_out;  // stands for every operator that this build leaves out; no node has it
@op_declarations@
}
" @ONLY)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/ops_registry.cpp CONTENT
"// Generated from the files of src/ops.
#include \"ops/op.h\"
#include \"ops/ops_generated.h\"
namespace tern {
extern constinit const Op op_left_out = {.name = \"\"};
namespace {
const Op* const kOps[] = {
@op_addresses@};
}
std::span<const Op* const> all_ops() { return kOps; }
}
" @ONLY)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/ops/left_out_generated.h CONTENT
"// Generated from the files of src/ops.
#pragma once
#include <string_view>
#include \"base/capability.h\"
namespace tern {
struct LeftOutOp {
  std::string_view name;
  Capability capability;
};
constexpr LeftOutOp kLeftOutOps[] = {
@ops_left_out@    {},  // no array is empty
};
}
" @ONLY)

# The kinds of element-wise operations are those that operators name.
set(kinds "")
foreach(op ${op_names})
  set(file ${PROJECT_SOURCE_DIR}/src/ops/${op}.cpp)
  file(STRINGS ${file} lines REGEX "Elementwise::[a-z]")
  string(REGEX MATCHALL "Elementwise::[a-z][a-z0-9_]*" found "${lines}")
  list(APPEND kinds ${found})
  if(found)
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endif()
endforeach()
list(REMOVE_DUPLICATES kinds)
list(TRANSFORM kinds REPLACE "Elementwise::" "")
list(REMOVE_ITEM kinds none)
list(SORT kinds)
list(JOIN kinds ", " kind_names)
list(TRANSFORM kinds REPLACE "(.+)" " X(\\1)" OUTPUT_VARIABLE kind_list)
list(JOIN kind_list "" kind_list)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/base/elementwise_generated.h CONTENT
"// Generated from the files of src/ops.
#pragma once
#include <cstdint>
namespace tern {
enum class Elementwise : uint8_t { none, @kind_names@ };
}
#define TERN_ELEMENTWISE_KINDS(X)@kind_list@
" @ONLY)

# The encodings are the files src/base/encodings/<name>.cpp. An encoding whose kernels/cpu/enc_<name>.cpp is there brings
# kernels of its own; the others are decoded tile by tile.
file(GLOB encoding_files CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/src/base/encodings ${PROJECT_SOURCE_DIR}/src/base/encodings/*.cpp)
list(SORT encoding_files)
list(REMOVE_ITEM encoding_files plain.cpp)
set(encoding_names "")
set(encoding_list "")
set(encoding_kernels "")
file(GLOB encoding_kernel_files CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/kernels/cpu ${PROJECT_SOURCE_DIR}/kernels/cpu/enc_*.cpp)
foreach(file plain.cpp ${encoding_files})
  string(REPLACE ".cpp" "" encoding ${file})
  string(APPEND encoding_names "${encoding}, ")
  string(APPEND encoding_list " X(${encoding})")
  if("enc_${file}" IN_LIST encoding_kernel_files)
    string(APPEND encoding_kernels " OWN(${encoding})")
  else()
    string(APPEND encoding_kernels " NONE(${encoding})")
  endif()
endforeach()
list(LENGTH encoding_files encoding_count)
math(EXPR encoding_count "${encoding_count} + 1")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/base/encodings_generated.h CONTENT
"// Generated from the files of src/base/encodings and kernels/cpu/enc_*.
#pragma once
#include <cstdint>
namespace tern {
enum class Encoding : uint8_t { @encoding_names@};
constexpr int kNumEncodings = @encoding_count@;
}
#define TERN_ENCODINGS(X)@encoding_list@
#define TERN_ENCODING_KERNELS(OWN, NONE)@encoding_kernels@
" @ONLY)

tern_floor(base)
file(GLOB encoding_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/base/encodings/*.cpp)
target_sources(tern_base PRIVATE ${encoding_sources})
tern_floor(graph)
tern_floor(ops ${PROJECT_BINARY_DIR}/generated/ops_registry.cpp)
set_source_files_properties(${op_files_left_out} PROPERTIES HEADER_FILE_ONLY ON)
if(TERN_BUILD_TESTS)
  target_compile_definitions(tern_ops PRIVATE TERN_WITH_CASES)
endif()
tern_floor(passes)
tern_floor(models)
tern_floor(runtime)
# What every operator includes takes most of the time of its compilation.
target_precompile_headers(tern_ops PRIVATE <ops/op.h>)

include(${PROJECT_SOURCE_DIR}/kernels/cpu/sources.cmake)
# Each folder of backends/ is a backend. What a library or a driver gives them is opened at run time.
set(backend_objects "")
file(GLOB backends CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/backends ${PROJECT_SOURCE_DIR}/backends/*/backend.cpp)
foreach(source ${backends})
  get_filename_component(name ${source} DIRECTORY)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/backends/${name}/*.cpp)
  add_library(tern_${name} OBJECT ${sources})
  target_include_directories(tern_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}
                             ${PROJECT_BINARY_DIR}/generated)
  target_compile_definitions(tern_${name} PRIVATE ${tern_left_out})
  target_compile_options(tern_${name} PRIVATE -Wall -Wextra -fno-rtti $<$<CONFIG:Release>:${tern_small}>)
  list(APPEND backend_objects $<TARGET_OBJECTS:tern_${name}>)
endforeach()
target_precompile_headers(tern_cpu PRIVATE <backends/cpu/prepare.h>)
# What goes through all parameters or draws numbers; random numbers have the same bits on every machine.
foreach(source backends/cpu/update src/ops/coded_update src/base/random)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/${source}.cpp PROPERTIES COMPILE_OPTIONS "-ffp-contract=off;-fno-math-errno;$<$<CONFIG:Release>:-O2;-fno-trapping-math>" SKIP_PRECOMPILE_HEADERS ON)
endforeach()
set_property(SOURCE ${PROJECT_SOURCE_DIR}/backends/cpu/update.cpp APPEND PROPERTY COMPILE_OPTIONS "$<$<CONFIG:Release>:-ftree-vectorize;-fvect-cost-model=dynamic>")
include(${PROJECT_SOURCE_DIR}/src/format/format.cmake)

# Everything a session needs, for tests and for the library.
add_library(tern_core STATIC $<TARGET_OBJECTS:tern_base> $<TARGET_OBJECTS:tern_graph> $<TARGET_OBJECTS:tern_ops> $<TARGET_OBJECTS:tern_passes>
            $<TARGET_OBJECTS:tern_format> $<TARGET_OBJECTS:tern_runtime> ${backend_objects})
target_include_directories(tern_core PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
target_link_libraries(tern_core PUBLIC Threads::Threads ${CMAKE_DL_LIBS})
tern_add_cpu_kernels(tern_core)

# The floors above, those that have sources.
# Of what goes through pixels, this is half as large with -O2; flow.cpp is faster so.
foreach(source flow mapping)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/image/${source}.cpp PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-O2>$<$<AND:$<CONFIG:Release>,$<CXX_COMPILER_ID:GNU>>:;-fvect-cost-model=dynamic>")
endforeach()
# Of the tasks, what goes through all pixels or all rows of outputs.
foreach(source box_rows masks picture_input)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/tasks/${source}.cpp PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-O3;-fno-trapping-math>" SKIP_PRECOMPILE_HEADERS ON)
endforeach()
# Of texts, what goes through all characters, words or tokens.
foreach(source bpe json split tokenizer unicode unigram)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/text/${source}.cpp PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-O2>")
endforeach()
foreach(floor text image tasks data train)
  file(GLOB floor_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${floor}/*.cpp)
  if(floor_sources AND NOT TARGET tern_${floor})
    tern_floor(${floor})
  endif()
  file(GLOB edit_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${floor}/edits/*.cpp)
  if(edit_sources)
    target_sources(tern_${floor} PRIVATE ${edit_sources})
  endif()
endforeach()
if(TERN_BUILD_IMPORT AND NOT TARGET tern_import)
  include(${PROJECT_SOURCE_DIR}/src/import/import.cmake)
endif()
include(${PROJECT_SOURCE_DIR}/src/capi/capi.cmake)
if(TERN_BUILD_CLI)
  include(${PROJECT_SOURCE_DIR}/src/cli/cli.cmake)
endif()
if(TERN_BUILD_SAMPLES)
  include(${PROJECT_SOURCE_DIR}/samples/samples.cmake)
endif()
