// SPDX-License-Identifier: Apache-2.0
// Attributes of the normalisations.
#pragma once
#include "ops/op.h"

namespace tern {

// layer_norm, rms_norm: over the dims from `axis` to the last
struct LayerNormAttrs {
  int64_t axis = -1;
  double epsilon = 1e-5;
};
// batch_norm, batch_norm_train, instance_norm
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

}  // namespace tern
