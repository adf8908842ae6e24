// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/prepare.h"

namespace tern::cpu {

std::span<const CpuOp> cpu_ops_conv() { return {}; }

}  // namespace tern::cpu
