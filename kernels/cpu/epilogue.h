// SPDX-License-Identifier: Apache-2.0
// Epilogues inside kernels: what is cheap is applied to sums in registers; other activations are applied by
// MatmulKernels::finish_rows to rows that were just stored. Included only by sources that are built once per set.
#pragma once
#include "kernels/cpu/formulas.h"
#include "kernels/cpu/kernel.h"

namespace tern::cpu::TERN_ISA {

enum class Finish : int32_t { none, clip, slope, leaky, hard_swish, later };

// An epilogue as tiles apply it: sums start from `bias`, or where there is a scale from 0 and get `shift` behind it.
// For `later` all that follows the sum (and its bias) is left to finish_rows.
struct Ending {
  Finish kind = Finish::none;
  float lo = 0, hi = 0;  // of clip; lo is the slope of leaky
  const float *bias = nullptr, *scale = nullptr, *shift = nullptr, *slope = nullptr, *out_scale = nullptr,
              *out_bias = nullptr;
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  bool residual_first = false, clip_residual = false;
  float residual_lo = 0, residual_hi = 0;
};

TERN_INLINE Ending ending_of(const Epilogue& e) {
  constexpr float kInf = __builtin_inff();
  Ending r;
  r.bias = e.scale ? nullptr : e.bias;
  switch (e.activation.kind) {
    case Elementwise::none: break;
    case Elementwise::relu: r.kind = Finish::clip, r.hi = kInf; break;
    case Elementwise::clip: r.kind = Finish::clip, r.lo = (float)e.activation.p0, r.hi = (float)e.activation.p1; break;
    case Elementwise::prelu: r.kind = Finish::slope, r.slope = e.slope; break;
    case Elementwise::leaky_relu: r.kind = Finish::leaky, r.lo = (float)e.activation.p0; break;
    case Elementwise::hard_swish: r.kind = Finish::hard_swish; break;
    default: r.kind = Finish::later; return r;
  }
  r.scale = e.scale, r.shift = e.bias, r.out_scale = e.out_scale, r.out_bias = e.out_bias;
  r.residual = e.residual, r.residual_stride = e.residual_stride;
  r.residual_first = e.residual_first != 0, r.residual_lo = e.residual_lo, r.residual_hi = e.residual_hi;
  r.clip_residual = e.residual && (e.residual_lo > -kInf || e.residual_hi < kInf);
  return r;
}

// Does nothing follow the sums?
TERN_INLINE bool is_plain(const Ending& e) {
  return (e.kind == Finish::none || e.kind == Finish::later) && !e.scale && !e.residual && !e.out_scale;
}

// What is left of an epilogue when its sums were stored as they are.
TERN_INLINE Ending only_sums(Ending e) {
  Ending r;
  r.bias = e.bias;
  return r;
}

// Applies the ending to sums in registers. each(f): sum = f(sum, i) for every sum, i says which channels they are of;
// get(p, i): those channels of a list; add_residual(): of all sums.
template <class Each, class Get, class AddResidual>
TERN_INLINE void finish(const Ending& e, Each each, Get get, AddResidual add_residual) {
  if (e.scale)
    each([&](Vec x, int i) __attribute__((always_inline)) { return fma(x, get(e.scale, i), get(e.shift, i)); });
  if (e.residual && e.residual_first) add_residual();
  switch (e.kind) {
    case Finish::none:
    case Finish::later: break;
    case Finish::clip: {
      const Vec lo = splat(e.lo), hi = splat(e.hi);
      each([&](Vec x, int) __attribute__((always_inline)) { return clip(x, lo, hi); });
      break;
    }
    case Finish::slope:
      each([&](Vec x, int i) __attribute__((always_inline)) { return leak(x, get(e.slope, i)); });
      break;
    case Finish::leaky: {
      const Vec slope = splat(e.lo);
      each([&](Vec x, int) __attribute__((always_inline)) { return leak(x, slope); });
      break;
    }
    case Finish::hard_swish: each([](Vec x, int) __attribute__((always_inline)) { return hard_swish(x); }); break;
  }
  if (e.out_scale)
    each([&](Vec x, int i) __attribute__((always_inline)) { return fma(x, get(e.out_scale, i), get(e.out_bias, i)); });
  if (e.residual) {
    if (!e.residual_first) add_residual();
    if (e.clip_residual) {
      const Vec lo = splat(e.residual_lo), hi = splat(e.residual_hi);
      each([&](Vec x, int) __attribute__((always_inline)) { return clip(x, lo, hi); });
    }
  }
}

// The same for N sums of the same channels, without residual.
template <int N, class Get>
TERN_INLINE void finish_all(Vec* acc, const Ending& e, Get get) {
  const auto each = [&](auto f) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) acc[i] = f(acc[i], 0);
  };
  finish(
      e, each, [&](const float* p, int) __attribute__((always_inline)) { return get(p); }, []() {});
}

}  // namespace tern::cpu::TERN_ISA
