// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct ConcatAttrs {
  int64_t axis = 0;
};

struct SplitAttrs {
  int64_t axis = 0;
  IntList sizes;  // empty: ceil(dim / outputs) each, the last one takes the rest
};

}  // namespace tern
