// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/prepare.h"

namespace tern::cpu {

const char* refuse_fused_chain(const Graph&, const Node&) { return "no kernel for this pattern"; }
tern_status prepare_fused_chain(Prepare&) { return TERN_FAIL(TERN_ERR_INTERNAL, "fused: no kernel for a chain"); }

std::span<const CpuOp> cpu_ops_elementwise() { return {}; }

}  // namespace tern::cpu
