// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct StateWriteAttrs {
  int64_t axis = 0;  // along which the update is placed
};

}  // namespace tern
