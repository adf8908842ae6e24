// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct ExpandAttrs {
  IntList shape;  // broadcast with x's own shape, as in ONNX: 1 keeps x's dim
};

struct TileAttrs {
  IntList repeats;  // one entry per axis
};

struct ReverseAttrs {
  IntList axes;
};

}  // namespace tern
