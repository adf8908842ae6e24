// SPDX-License-Identifier: Apache-2.0
// Attributes of the normalisations.
#pragma once
#include <cstddef>

#include "ops/op.h"

namespace tern {

// layer_norm, rms_norm: over the dims from `axis` to the last
struct LayerNormAttrs {
  int64_t axis = -1;
  double epsilon = 1e-5;
};
// layer_norm_grad: center: the gradient of layer_norm, else of rms_norm
struct LayerNormGradAttrs {
  int64_t axis = -1;
  double epsilon = 1e-5;
  int64_t center = 1;
};
// batch_norm, batch_norm_train and its gradient, instance_norm
struct BatchNormAttrs {
  double epsilon = 1e-5;
};
struct GroupNormAttrs {
  int64_t groups = 1;
  double epsilon = 1e-5;
};
struct L2NormalizeAttrs {
  int64_t axis = -1;
  double epsilon = 1e-12;
};
struct LrnAttrs {
  int64_t size = 5;
  double alpha = 1e-4, beta = 0.75, bias = 1;
};

inline constexpr AttrField kLayerNormFields[] = {TERN_ATTR(LayerNormAttrs, axis, integer, -kMaxRank, kMaxRank - 1),
                                                 TERN_ATTR(LayerNormAttrs, epsilon, number, 0, 1e3)};
inline constexpr AttrField kBatchNormFields[] = {TERN_ATTR(BatchNormAttrs, epsilon, number, 0, 1e3)};

// output 0 = type and shape of input 0, a float with the axis of LayerNormAttrs; the others have its type and broadcast
// to its dims from the axis on
tern_status infer_layer_norm(InferArgs& a);
// output 0 = type and shape of input 0, a float of at least `min_rank` dims; the others have its type and shape
// [channels]
tern_status infer_channel_norm(InferArgs& a, int min_rank);

// The gradients of layer_norm and rms_norm: layer_norm_grad.
void layer_norm_vjp(VjpArgs& a, bool center);

// All axes from `first` to the one before `end`; none would mean all, so first < end.
IntList axis_range(int first, int end);
struct Moments {
  ValueId centered, mean, variance;  // x - mean; variance is the mean of its square; reduced dims stay as 1
};
Moments moments(Graph& g, ValueId x, const IntList& axes);
// x / sqrt(square + epsilon)
ValueId divide_by_root(Graph& g, ValueId x, ValueId square, double epsilon);
// x * scale + bias, where these are present (input numbers)
ValueId scale_and_bias(DecomposeArgs& a, ValueId x, int scale, int bias);

}  // namespace tern
