// SPDX-License-Identifier: Apache-2.0
// The kinds of element-wise operations. The build collects them from the operators (src/ops), which name theirs as
// `Elementwise::<kind>`; kernels/cpu/formulas.h has a formula for each.
#pragma once
#include "base/elementwise_generated.h"

namespace tern {

// y = kind(x), with two numbers that some kinds have. Of two operands: y = kind(a, b).
struct ElementwiseStep {
  Elementwise kind = Elementwise::none;
  double p0 = 0, p1 = 0;
};

}  // namespace tern
