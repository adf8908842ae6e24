// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/axis_sums.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

float weight_of(const AxisLists& l, int64_t e) { return l.weight ? l.weight[e] : 1.0f; }

// y[n] += sum over the last axis' list i of weight * x, n channels.
void add_row(const AxisSumsArgs& a, int64_t i, const float* x, float weight, float* y) {
  const AxisLists& last = a.axes[a.rank - 1];
  for (int64_t e = last.first[i]; e < last.first[i + 1]; ++e) {
    const float* from = x + last.index[e] * a.channels;
    const float w = weight * weight_of(last, e);
    if (a.channels == 1) {
      *y += w * *from;
      continue;
    }
    for (int64_t c = 0; c < a.channels; c += kLanes) {
      const int lanes = a.channels - c < kLanes ? (int)(a.channels - c) : kLanes;
      if (lanes == kLanes) store(y + c, fma(splat(w), load(from + c), load(y + c)));
      else store_part(y + c, fma(splat(w), load_part(from + c, lanes), load_part(y + c, lanes)), lanes);
    }
  }
}

void axis_sums(const void* args, int64_t begin, int64_t end, void*) {
  const AxisSumsArgs& a = *(const AxisSumsArgs*)args;
  const AxisLists& last = a.axes[a.rank - 1];
  const int outer = a.rank - 1;
  for (int64_t u = begin; u < end; ++u) {
    float* const y = a.y + u * last.size * a.channels;
    for (int64_t i = 0; i < last.size * a.channels; ++i) y[i] = 0;
    int64_t first[kMaxRank], stop[kMaxRank], at[kMaxRank], rest = u;
    bool none = false;
    for (int d = outer; d-- > 0;) {
      const int64_t i = rest % a.axes[d].size;
      rest /= a.axes[d].size;
      at[d] = first[d] = a.axes[d].first[i], stop[d] = a.axes[d].first[i + 1];
      none |= first[d] == stop[d];
    }
    while (!none) {
      int64_t row = 0;
      float weight = 1;
      for (int d = 0; d < outer; ++d) {
        row = row * a.axes[d].x_size + a.axes[d].index[at[d]];
        weight *= weight_of(a.axes[d], at[d]);
      }
      const float* x = a.x + row * last.x_size * a.channels;
      for (int64_t i = 0; i < last.size; ++i) add_row(a, i, x, weight, y + i * a.channels);
      int d = outer - 1;
      for (; d >= 0 && ++at[d] == stop[d]; --d) at[d] = first[d];
      none = d < 0;
    }
  }
}

}  // namespace

extern const AxisSumsKernels axis_sums_kernels;
const AxisSumsKernels axis_sums_kernels = {axis_sums};

}  // namespace tern::cpu::TERN_ISA
