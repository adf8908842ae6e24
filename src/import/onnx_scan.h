// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>

#include "base/status.h"

namespace tern {

// Looks at the wire format of an ONNX file before it is parsed: counts and depth of its messages against limits, so
// that a small file cannot make the parser allocate much more than its own size. Allocates nothing.
tern_status scan_onnx(std::span<const uint8_t> file);

}  // namespace tern
