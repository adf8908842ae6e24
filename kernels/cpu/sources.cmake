# SPDX-License-Identifier: Apache-2.0
# CPU kernels: every source of this folder is built once per instruction set.
#
#   tern_add_cpu_kernels(target)   adds one object library per set and the dispatcher to `target`
#   TERN_CPU_SETS                  the sets to build, for quick test builds; empty: all of the target's architecture
#
# The generated header base/encodings_generated.h lists the files enc_<name>.cpp (src/tern.cmake).
# A set is a name and compiler flags. A set that "extends" another has only the *_int8.cpp sources of its own; one that
# has tiles, only the sources with tiles. What has no vectors is built for the first set alone.
# Kernels are always optimised, also in debug builds: unoptimised vector code is unusably slow and leaves weak symbols
# behind. Products are fused only where the code says fma, so that equal formulas give equal bits everywhere.

set(TERN_CPU_DIR ${CMAKE_CURRENT_LIST_DIR})
set(TERN_CPU_SETS "" CACHE STRING "Instruction sets of the CPU kernels; empty: all of the target's architecture")
set(TERN_CPU_OPTIMIZATION -O3 CACHE STRING "Optimisation of the CPU kernels; -O1 for builds that are only to be right")

set(TERN_CPU_FLAGS_baseline -Os)  # for processors older than AVX2: size before speed
set(TERN_CPU_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(TERN_CPU_FLAGS_avxvnni ${TERN_CPU_FLAGS_avx2} -mavxvnni)
set(TERN_CPU_FLAGS_avx512 ${TERN_CPU_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512)
set(TERN_CPU_FLAGS_avx512vnni ${TERN_CPU_FLAGS_avx512} -mavx512vnni)
set(TERN_CPU_FLAGS_amx ${TERN_CPU_FLAGS_avx512vnni} -mamx-tile -mamx-int8)
set(TERN_CPU_FLAGS_amx_emulated ${TERN_CPU_FLAGS_baseline} -DTERN_TILES_EMULATED)  # in builds with tests only
set(TERN_CPU_FLAGS_neon "")
set(TERN_CPU_FLAGS_dotprod -march=armv8.2-a+dotprod)
set(TERN_CPU_FLAGS_i8mm -march=armv8.2-a+dotprod+i8mm)
set(TERN_CPU_EXTENDS_avxvnni avx2)
set(TERN_CPU_EXTENDS_avx512vnni avx512)
set(TERN_CPU_EXTENDS_amx avx512)
set(TERN_CPU_EXTENDS_amx_emulated baseline)
set(TERN_CPU_EXTENDS_dotprod neon)
set(TERN_CPU_TILES_amx avx512vnni)  # and from where it takes the other *_int8.cpp
set(TERN_CPU_TILES_amx_emulated baseline)
set(TERN_CPU_EXTENDS_i8mm neon)
set(TERN_CPU_F64_avx512 avx2)  # from where it takes the *_f64.cpp

function(tern_add_cpu_kernels target)
  if(CMAKE_SIZEOF_VOID_P EQUAL 8 AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(sets baseline avx2 avxvnni avx512 avx512vnni amx)
    if(TERN_BUILD_TESTS)
      list(APPEND sets amx_emulated)
    endif()
  elseif(CMAKE_SIZEOF_VOID_P EQUAL 8 AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
    set(sets neon dotprod i8mm)
  else()
    set(sets baseline)  # four plain floats instead of vectors
  endif()
  if(TERN_CPU_SETS)
    string(REPLACE ";" "|" wanted "${TERN_CPU_SETS}")
    list(FILTER sets INCLUDE REGEX "^(${wanted})$")
  endif()

  file(GLOB sources CONFIGURE_DEPENDS ${TERN_CPU_DIR}/*.cpp)
  list(REMOVE_ITEM sources ${TERN_CPU_DIR}/dispatch.cpp)
  set(int8_sources ${sources})
  list(FILTER int8_sources INCLUDE REGEX "(_int8|/table)\\.cpp$")
  list(FILTER int8_sources EXCLUDE REGEX "/enc_")
  set(plain_sources ${TERN_CPU_DIR}/gather.cpp)
  list(GET sets 0 plain)
  set(tile_sources ${TERN_CPU_DIR}/matmul_int8.cpp ${TERN_CPU_DIR}/table.cpp)

  # Their loops are written in vectors: more optimisation than this makes them longer, and not faster.
  set_source_files_properties(${TERN_CPU_DIR}/rows_f64.cpp PROPERTIES COMPILE_OPTIONS -Os SKIP_PRECOMPILE_HEADERS ON)
  # What -O3 adds to their vectors are copies of loops: two thirds of their size.
  set(o2 $<IF:$<BOOL:$<TARGET_PROPERTY:TERN_SMALL>>,-Os,-O2>)
  set_source_files_properties(${TERN_CPU_DIR}/matmul_f64.cpp PROPERTIES COMPILE_OPTIONS ${o2} SKIP_PRECOMPILE_HEADERS ON)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    foreach(name copy reduce topk)
      set_source_files_properties(${TERN_CPU_DIR}/${name}.cpp PROPERTIES COMPILE_OPTIONS "${o2};-fvect-cost-model=dynamic" SKIP_PRECOMPILE_HEADERS ON)
    endforeach()
    set_source_files_properties(${plain_sources} PROPERTIES COMPILE_OPTIONS "-O2;-fvect-cost-model=dynamic" SKIP_PRECOMPILE_HEADERS ON)
  endif()

  # Definitions of its own: the precompiled header does not fit.
  set_source_files_properties(${TERN_CPU_DIR}/table.cpp PROPERTIES COMPILE_DEFINITIONS "${tern_left_out}" SKIP_PRECOMPILE_HEADERS ON)
  foreach(set IN LISTS sets)
    if(DEFINED TERN_CPU_EXTENDS_${set})
      set(base ${TERN_CPU_EXTENDS_${set}})
      set(int8 ${set})
      set(set_sources ${int8_sources})
      if(DEFINED TERN_CPU_TILES_${set})
        set(int8 ${TERN_CPU_TILES_${set}})
        set(set_sources ${tile_sources})
      endif()
    else()
      set(int8 ${set})
      set(base ${set})
      set(set_sources ${sources})
    endif()
    if(NOT set STREQUAL plain)
      list(REMOVE_ITEM set_sources ${plain_sources})
    endif()
    set(f64 ${base})
    if(DEFINED TERN_CPU_F64_${base} AND TERN_CPU_F64_${base} IN_LIST sets)
      set(f64 ${TERN_CPU_F64_${base}})
      list(FILTER set_sources EXCLUDE REGEX "_f64\\.cpp$")
    endif()
    set(objects ${target}_cpu_${set})
    add_library(${objects} OBJECT ${set_sources})
    target_include_directories(${objects} PRIVATE ${TERN_CPU_DIR}/../.. ${TERN_CPU_DIR}/../../src ${TERN_CPU_DIR}/../../include
                               ${PROJECT_BINARY_DIR}/generated)
    target_compile_features(${objects} PRIVATE cxx_std_20)
    target_compile_definitions(${objects} PRIVATE TERN_ISA=${set} TERN_ISA_BASE=${base} TERN_ISA_INT8=${int8} TERN_ISA_PLAIN=${plain} TERN_ISA_F64=${f64} NDEBUG)  # xsimd asserts
    target_compile_options(${objects} PRIVATE ${TERN_CPU_OPTIMIZATION} -ffp-contract=off -fno-math-errno -fno-exceptions -fno-asynchronous-unwind-tables -fno-rtti
                           -fvisibility=hidden -fvisibility-inlines-hidden ${TERN_CPU_FLAGS_${set}})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # GCC 12 warns about the "undefined" operands of its own AVX-512 headers
      target_compile_options(${objects} PRIVATE -Wno-uninitialized -Wno-maybe-uninitialized)
    endif()
    # Their tiles are unrolled into code that takes minutes to compile under some sanitizers.
    if(TERN_SANITIZE MATCHES "thread")  # they share nothing but what their caller gives them
      target_compile_options(${objects} PRIVATE -fno-sanitize=thread)
    elseif(TERN_SANITIZE)
      target_compile_options(${objects} PRIVATE -fno-sanitize=undefined)
      if(TERN_SANITIZE MATCHES "fuzzer")
        target_compile_options(${objects} PRIVATE -fno-sanitize=fuzzer-no-link)
      endif()
    endif()
    if(set STREQUAL base)  # GCC reads xsimd for longer than it compiles most kernels
      target_precompile_headers(${objects} PRIVATE <kernels/cpu/simd.h>)
    endif()
    set_target_properties(${objects} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    if(set STREQUAL baseline)
      set_target_properties(${objects} PROPERTIES TERN_SMALL ON)
    endif()
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
    list(APPEND definitions TERN_CPU_${set})
  endforeach()

  add_library(${target}_cpu_dispatch OBJECT ${TERN_CPU_DIR}/dispatch.cpp)
  target_include_directories(${target}_cpu_dispatch PRIVATE ${TERN_CPU_DIR}/../.. ${TERN_CPU_DIR}/../../src ${TERN_CPU_DIR}/../../include
                               ${PROJECT_BINARY_DIR}/generated)
  target_compile_features(${target}_cpu_dispatch PRIVATE cxx_std_20)
  target_compile_definitions(${target}_cpu_dispatch PRIVATE ${definitions})
  target_compile_options(${target}_cpu_dispatch PRIVATE -fno-exceptions -fno-rtti -fvisibility=hidden -fvisibility-inlines-hidden)
  set_target_properties(${target}_cpu_dispatch PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_cpu_dispatch>)
endfunction()
