// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct ShapeAttrs {
  int64_t start = 0, end = kMaxRank;
};

}  // namespace tern
