// SPDX-License-Identifier: Apache-2.0
// Attributes of the element-wise operators.
#pragma once
#include <limits>

#include "ops/op.h"

namespace tern {

struct LeakyReluAttrs {
  double alpha = 0.01;
};
struct EluAttrs {
  double alpha = 1;
};
struct SeluAttrs {
  double alpha = 1.67326319217681884765625, gamma = 1.05070102214813232421875;
};
struct CeluAttrs {
  double alpha = 1;
};
struct ThresholdedReluAttrs {
  double alpha = 1;
};
struct HardSigmoidAttrs {
  double alpha = 0.2, beta = 0.5;
};

enum GeluApproximation : int64_t { kGeluNone = 0, kGeluTanh = 1 };
struct GeluAttrs {
  int64_t approximate = kGeluNone;
};

struct ClipAttrs {
  double min = -std::numeric_limits<double>::infinity(), max = std::numeric_limits<double>::infinity();
};
struct IsInfAttrs {
  int64_t positive = 1, negative = 1;
};
struct CastAttrs {
  int64_t to = TERN_DTYPE_F32;  // tern_dtype
};
struct ModAttrs {
  int64_t fmod = 0;  // 0: sign of the divisor, 1: sign of the dividend
};

}  // namespace tern
