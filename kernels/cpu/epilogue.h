// SPDX-License-Identifier: Apache-2.0
// Epilogues inside kernels: what is cheap is applied to sums in registers; costly activations (those with an exponential)
// are applied by MatmulKernels::finish_rows to rows that were just stored. Included only by sources that are built once per set.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

enum class Finish : int32_t { none, clip, slope, hard_swish, later };

// An epilogue as tiles apply it: the bias is where sums start. For `later` the residual is left to finish_rows, too.
struct Ending {
  Finish kind = Finish::none;
  float lo = 0, hi = 0;  // of clip; lo is the slope of a leaky_relu
  const float *bias = nullptr, *slope = nullptr, *residual = nullptr;
  int64_t residual_stride = 0;
  bool residual_first = false, clip_residual = false;
  float residual_lo = 0, residual_hi = 0;
};

TERN_INLINE Ending ending_of(const Epilogue& e) {
  constexpr float kInf = __builtin_inff();
  Ending r;
  r.bias = e.bias, r.residual = e.residual, r.residual_stride = e.residual_stride;
  r.residual_first = e.residual_first != 0, r.residual_lo = e.residual_lo, r.residual_hi = e.residual_hi;
  r.clip_residual = e.residual && (e.residual_lo > -kInf || e.residual_hi < kInf);
  switch (e.activation) {
    case Activation::none: break;
    case Activation::relu: r.kind = Finish::clip, r.hi = kInf; break;
    case Activation::clip: r.kind = Finish::clip, r.lo = e.lo, r.hi = e.hi; break;
    case Activation::prelu: r.kind = Finish::slope, r.slope = e.slope; break;
    case Activation::leaky_relu: r.kind = Finish::slope, r.lo = e.lo; break;
    case Activation::hard_swish: r.kind = Finish::hard_swish; break;
    default: r.kind = Finish::later, r.residual = nullptr, r.clip_residual = false;
  }
  return r;
}

TERN_INLINE Vec hard_swish(Vec v) { return v * splat(1.0f / 6) * min(splat(6), max(splat(0), v + splat(3))); }
TERN_INLINE Vec clip(Vec v, Vec lo, Vec hi) { return min(hi, max(lo, v)); }
TERN_INLINE Vec leak(Vec v, Vec slope) { return select(v < splat(0), v * slope, v); }

// The activation, unless it is costly, of N sums that stay in registers.
template <int N>
TERN_INLINE void finish_all(Vec* acc, const Ending& e, Vec slope) {
  switch (e.kind) {
    case Finish::none:
    case Finish::later: return;
    case Finish::clip: {
      const Vec lo = splat(e.lo), hi = splat(e.hi);
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) acc[i] = clip(acc[i], lo, hi);
      return;
    }
    case Finish::slope:
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) acc[i] = leak(acc[i], slope);
      return;
    case Finish::hard_swish:
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) acc[i] = hard_swish(acc[i]);
      return;
  }
}

}  // namespace tern::cpu::TERN_ISA
