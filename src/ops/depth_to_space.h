// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

// Order of the small channels of a pixel: dcr [block_y, block_x, channel], crd [channel, block_y, block_x].
inline constexpr const char* kDepthToSpaceModes[] = {"dcr", "crd"};

struct DepthToSpaceAttrs {  // depth_to_space, space_to_depth
  int64_t block = 1, mode = 0;
};

}  // namespace tern
