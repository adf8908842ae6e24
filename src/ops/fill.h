// SPDX-License-Identifier: Apache-2.0
// Operators that make tensors.
#pragma once
#include "ops/op.h"

namespace tern {

struct FillAttrs {
  IntList shape;
  double value = 0;
  int64_t dtype = TERN_DTYPE_F32;
};

struct OneHotAttrs {
  int64_t axis = -1;
  int64_t depth = 0;  // used where input 1 is absent
};

struct TriluAttrs {
  int64_t upper = 1;
  int64_t k = 0;  // diagonal, used where input 1 is absent
};

struct NonZeroAttrs {
  int64_t capacity = 0;  // columns of the result; 0 = elements of x
};

}  // namespace tern
