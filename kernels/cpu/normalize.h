// SPDX-License-Identifier: Apache-2.0
// Normalisations, f32, channels last. Means and variances are taken in two passes (mean first, then squared
// deviations); the mean of equal values is that value.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

constexpr int64_t kNormCols = 64;

enum class RowNorm : int32_t {
  layer,      // (x - mean) / sqrt(var + epsilon) * gamma + beta
  rms,        // x / sqrt(mean(x^2) + epsilon) * gamma
  l2,         // x / max(sqrt(sum(x^2)), epsilon)
  l2_inside,  // x / sqrt(max(sum(x^2), epsilon))
};

// x, y: [rows, channels]; x == y allowed. gamma, beta: [channels] or NULL (1 and 0). mean, rstd: [rows] or NULL: what
// was subtracted (layer only) and the factor. Units: rows. No scratch. Cost per unit: three passes over a row.
struct RowNormArgs {
  RowNorm kind = RowNorm::layer;
  float epsilon = 0;
  const float* x = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float* y = nullptr;
  float* mean = nullptr;
  float* rstd = nullptr;
  int64_t rows = 0, channels = 0;
};
inline int64_t units(const RowNormArgs& a) { return a.rows; }

// Group norm of x, y: [batch, pixels, channels]; x == y allowed. `groups` divides channels; instance norm is
// groups == channels. gamma, beta: [channels] or NULL. mean, rstd: [batch, groups] or NULL.
// Units: batch * group_norm_blocks (whole groups of at least kNormCols channels). Scratch: group_norm_scratch bytes.
struct GroupNormArgs {
  float epsilon = 0;
  const float* x = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float* y = nullptr;
  float* mean = nullptr;
  float* rstd = nullptr;
  int64_t batch = 0, pixels = 0, channels = 0, groups = 1;
};
inline int64_t group_norm_unit_groups(const GroupNormArgs& a) {  // groups of one unit
  const int64_t per_group = a.channels / a.groups, n = ceil_div(kNormCols, per_group < 1 ? 1 : per_group);
  return n < a.groups ? n : a.groups;
}
inline int64_t units(const GroupNormArgs& a) {
  return a.channels == 0 ? 0 : a.batch * ceil_div(a.groups, group_norm_unit_groups(a));
}
inline size_t group_norm_scratch(const GroupNormArgs& a) {
  return a.channels == 0 ? 0 : (size_t)(a.channels / a.groups * group_norm_unit_groups(a)) * 2 * sizeof(float);
}

// Batch norm at inference and any per-channel affine map: y = (x - center[c]) * scale[c] + shift[c].
// x, y: [rows, channels]; x == y allowed; center and shift may be NULL (0).
// Units: blocks of scale_shift_rows rows. No scratch.
struct ScaleShiftArgs {
  const float* x = nullptr;
  const float* center = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  float* y = nullptr;
  int64_t rows = 0, channels = 0;
};
inline int64_t scale_shift_rows(const ScaleShiftArgs& a) {
  return a.channels >= 4096 || a.channels <= 0 ? 1 : 4096 / a.channels;
}
inline int64_t units(const ScaleShiftArgs& a) { return a.channels == 0 ? 0 : ceil_div(a.rows, scale_shift_rows(a)); }

struct NormalizeKernels {
  KernelFn row_norm;     // RowNormArgs
  KernelFn group_norm;   // GroupNormArgs
  KernelFn scale_shift;  // ScaleShiftArgs
};

}  // namespace tern::cpu
