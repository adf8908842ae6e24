// SPDX-License-Identifier: Apache-2.0
// The contract of every CPU kernel: a function over a range of independent work units.
//
// Kernels work on raw pointers. They allocate nothing, throw nothing and never read or write outside the ranges that
// their arguments name. Every output element is computed within one unit and summed in a fixed order, so results do not
// depend on how units are split over threads.
//
// A source `kernels/cpu/<name>.cpp` is compiled once per instruction set with TERN_ISA set to that set's name, which is
// the namespace of everything in it. `<name>.h` declares the argument structs (shared by all sets) and a struct of
// function pointers; `table.h` joins these structs into one table per set; `dispatch.h` picks the table at run time.
#pragma once
#include <tern/types.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "base/capability.h"
#include "base/elementwise.h"

namespace tern::cpu {

// args: the kernel's own argument struct. [begin, end): work units. scratch: as many bytes as the kernel's scratch
// function asked for, 64-byte aligned, private to this call, contents undefined.
using KernelFn = void (*)(const void* args, int64_t begin, int64_t end, void* scratch);

// How weights of 16 bits are to be read, in the fields `w_half` of arguments; 0: weights are f32.
constexpr int32_t kF16 = 1, kBf16 = 2;
static constexpr int32_t half_of(int32_t dtype) {
  return dtype == TERN_DTYPE_F16 ? kF16 : dtype == TERN_DTYPE_BF16 ? kBf16 : 0;
}

// What happens to a sum before it is stored, in this order: * scale, + bias, (+ residual if residual_first),
// activation,
// * out_scale + out_bias, (+ residual otherwise), clip to [residual_lo, residual_hi] if there is a residual.
struct Epilogue {
  const float* scale = nullptr;      // [channels], then bias is there too; or NULL
  const float* bias = nullptr;       // [channels] or NULL
  const float* slope = nullptr;      // [channels], for prelu
  const float* out_scale = nullptr;  // [channels], then out_bias is there too; or NULL
  const float* out_bias = nullptr;
  const float* residual = nullptr;  // laid out as the output, rows `residual_stride` floats apart, or NULL
  int64_t residual_stride = 0;      // floats from one output row (pixel) to the next
  ElementwiseStep activation;       // any f32 -> f32 kind of one operand, or prelu
  int32_t residual_first = 0;
  float residual_lo = -__builtin_inff(), residual_hi = __builtin_inff();
};

// The epilogue of outputs from `channel` on, rows (pixels) from `row` on.
static inline Epilogue epilogue_at(const Epilogue& e, int64_t row, int64_t channel) {
  Epilogue r = e;
  for (const float** p : {&r.scale, &r.bias, &r.slope, &r.out_scale, &r.out_bias})
    if (*p) *p += channel;
  if (r.residual) r.residual += row * e.residual_stride + channel;
  return r;
}

}  // namespace tern::cpu
