// SPDX-License-Identifier: Apache-2.0
// Weighted sums along several axes at once, the adjoint of everything that reads at places which each axis chooses by
// itself (resizing, padding):
//   y[i.., c] = sum over the entries e of axis 0's list i0, of axis 1's list i1, .. of
//               weight(e0) * weight(e1) * .. * x[index(e0), index(e1), .., c]
// f32, x and y dense. Entries are added in order, the last axis fastest. Unit: all of y's last listed axis. No scratch.
#pragma once
#include <tern/types.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// The list of place i is entries [first[i], first[i + 1]).
struct AxisLists {
  const int64_t* first = nullptr;  // size + 1
  const int64_t* index = nullptr;  // place in x
  const float* weight = nullptr;   // NULL: 1
  int64_t size = 0, x_size = 0;    // places in y and x
};

struct AxisSumsArgs {
  const float* x = nullptr;
  float* y = nullptr;
  int32_t rank = 0;  // at least 1
  AxisLists axes[kMaxRank];
  int64_t channels = 1;
};
static inline int64_t units(const AxisSumsArgs& a) {
  int64_t n = 1;
  for (int i = 0; i + 1 < a.rank; ++i) n *= a.axes[i].size;
  return n;
}

struct AxisSumsKernels {
  static constexpr Capability capability = Capability::training;
  KernelFn axis_sums;
};

}  // namespace tern::cpu
