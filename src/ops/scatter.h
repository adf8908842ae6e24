// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

enum class ScatterReduction : int64_t { none = 0, add = 1, mul = 2, max = 3, min = 4 };
inline constexpr const char* kScatterReductions[] = {"none", "add", "mul", "max", "min"};

struct ScatterElementsAttrs {
  int64_t axis = 0, reduction = 0;
};

struct ScatterNdAttrs {
  int64_t reduction = 0;
  int64_t batch_dims = 0;  // leading dims that x, indices and updates share (0 in ONNX)
};

}  // namespace tern
