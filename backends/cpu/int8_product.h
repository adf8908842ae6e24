// SPDX-License-Identifier: Apache-2.0
// Integer products with what stands around them: which nodes one kernel computes, and what it needs to know of them.
//
//   of codes:      matmul_integer or conv2d_integer, [+ s32 per channel], cast, * scale, [+ shift], [relu or clip],
//                  [quantize_linear]; at least the product alone
//   of the values: conv2d, linear or matmul of dequantize_linear twice, [+ bias], [relu or clip, quantize_linear]
//
// The sums are exact. What quantises takes its scale into the scales of the sums, so that a result differs by a step
// where the two roundings of the nodes fall to the other side.
#pragma once
#include "ops/fused.h"

namespace tern::cpu {

struct Int8Product {
  const Node* node = nullptr;                                                // the product
  const Graph* graph = nullptr;                                              // where its values live
  std::vector<ValueId> outer;                                                // per value of `graph`: the plan's value
  const Node *x_codes = nullptr, *w_codes = nullptr, *bias_codes = nullptr;  // dequantize_linear, or NULL
  // In terms of the plan. x, w: codes. Scales and shifts: one number or one per channel.
  ValueId x = kNoValue, w = kNoValue, x_zero = kNoValue, w_zero = kNoValue;
  ValueId sum_bias = kNoValue;                      // s32
  ValueId scale = kNoValue, w_scale = kNoValue;     // factors of the sums
  ValueId shift = kNoValue, bias_scale = kNoValue;  // f32, or codes times a scale
  ValueId y_scale = kNoValue, y_zero = kNoValue;    // of quantize_linear
  bool scales = false, quantizes = false, clips = false;
  float low = 0, high = 0;  // of the clip

  ValueId at(ValueId v) const { return v == kNoValue ? kNoValue : outer[(size_t)v]; }
};

// Reads a product of codes alone, or a fused one.
Int8Product read_int8_product(const Graph& g, const Node& n);

// Joins what fits, and computes what else is known of dequantised constants, if it is small.
void fuse_int8_products(Graph& g);

}  // namespace tern::cpu
