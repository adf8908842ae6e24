// SPDX-License-Identifier: Apache-2.0
// Attributes of quantize_linear and dequantize_linear, and where their scales lie.
#pragma once
#include "ops/op.h"

namespace tern {

struct QuantizeLinearAttrs {
  int64_t axis = 1;               // of the scales, where there is more than one
  int64_t dtype = TERN_DTYPE_U8;  // of the result: I8, U8, I16 or U16
};
struct DequantizeLinearAttrs {
  int64_t axis = 1;
};

// Rank 0 or [1]: one scale for all. Any other vector: one per index of the axis.
inline bool is_per_axis(const Shape& scale) { return scale.rank == 1 && scale[0] != 1; }

// Input 1 is a float of such a shape, input 2 (if present) has the same shape.
tern_status check_scales(const InferArgs& a, int64_t axis);

// Which scale belongs to an element of x.
struct ScaleIndex {
  ScaleIndex(const Shape& x, const Shape& scale, int64_t axis);
  int64_t operator()(int64_t element) const { return element / inner_ % count_; }

 private:
  int64_t inner_ = 1, count_ = 1;
};

}  // namespace tern
