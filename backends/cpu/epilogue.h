// SPDX-License-Identifier: Apache-2.0
// From a (fused) product node to the arguments of its kernel's epilogue.
#pragma once
#include "backends/cpu/prepare.h"
#include "passes/product.h"

namespace tern::cpu {

// Fills an epilogue; `channels` outputs.
tern_status fill_epilogue(Prepare& p, const Product& product, int64_t channels, Epilogue* epilogue);

}  // namespace tern::cpu
