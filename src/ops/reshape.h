// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct ReshapeAttrs {
  IntList shape;           // one entry may be -1; 0 copies the dim of x
  int64_t allow_zero = 0;  // 1: 0 means a dim of 0
};

}  // namespace tern
