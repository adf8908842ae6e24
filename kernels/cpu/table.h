// SPDX-License-Identifier: Apache-2.0
// All kernels of one instruction set. A kernel file is `<name>.h` (arguments, function table), `<name>.cpp` (code, built
// once per set) and one line in a list below. Files named `<name>_int8.cpp` are also built for the sets that only add
// instructions for 8-bit integers; such a set takes everything else from the set that it extends.
#pragma once
#include "kernels/cpu/matmul.h"

// X(type of the table, name): the table is `extern const <type> <name>_kernels` in the namespace of the set.
// Macros, because the lists are expanded into struct members, declarations and initialisers.
// clang-format off
#define TERN_CPU_KERNELS(X) \
  X(MatmulKernels, matmul)
// clang-format on

#define TERN_CPU_INT8_KERNELS(X)

namespace tern::cpu {

struct Kernels {
  const char* isa;   // "baseline", "avx2", "avx512", "neon", ...
  int vector_bytes;  // of one register
#define TERN_MEMBER(Type, name) const Type* name;
  TERN_CPU_KERNELS(TERN_MEMBER)
  TERN_CPU_INT8_KERNELS(TERN_MEMBER)
#undef TERN_MEMBER
};

}  // namespace tern::cpu
