// SPDX-License-Identifier: Apache-2.0
// Weights in the order that a kernel reads, where the model holds them in another.
#pragma once
#include "backends/cpu/prepare.h"
#include "kernels/cpu/conv.h"

namespace tern::cpu {

enum class PackOrder : int64_t {
  panels,                // source [outputs][inputs]: panels (base/panel.h), one set for each group of outputs
  depthwise,             // source [outputs][inputs]: [inputs][outputs]
  transposed_panels,     // source [in][kernel][outputs / groups]: as panels, of [outputs / groups][kernel][in / groups]
  transposed_depthwise,  // of the same source: [kernel][in / groups][outputs]
};

struct PackShape {
  PackOrder order;
  int64_t outputs, inputs;  // of the whole matrix; inputs: of one output (kernel size times channels of its group)
  int64_t groups = 1;
  int64_t kernel = 1;  // of the transposed ones
};

// Points *w at weight `v` in the order wanted: in place where it lies so already, else at a copy (Prepare::derive).
tern_status pack_weights(Prepare& p, ValueId v, const PackShape& shape, const void** w, int32_t* w_half);
// The same for a Winograd convolution with filters of 3x3, which are made from panels. Only of fixed weights.
tern_status winograd_weights(Prepare& p, ValueId v, const PackShape& shape, int64_t out_c, int64_t in_c,
                             const void** w);

}  // namespace tern::cpu
