// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct RopeAttrs {
  int64_t dims = 0;         // numbers of each head that turn, from the first on; even; 0 = all
  int64_t interleaved = 0;  // pairs: 0 (i, i + dims / 2), 1 (2 i, 2 i + 1)
  double base = 10000;
  int64_t scaling = 0;             // RopeScaling
  double factor = 1;               // by how much longer sequences are than those that the model was trained on
  int64_t original_positions = 0;  // length that the model was trained on; dynamic_ntk, llama3, yarn
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  double attention_factor = 0;                       // yarn: of the result; 0 = 0.1 ln(factor) + 1
  int64_t inverse = 0;                               // 1: turns back (what the gradient does)
};

enum class RopeScaling : int64_t { none, linear, dynamic_ntk, llama3, yarn };

// Angle of pair i of `dims` / 2 at a position: position * frequency. `dims` > 0 is that of the attributes or of all.
// dynamic_ntk: depends on the position, as the base grows once it is beyond original_positions.
double rope_frequency(const RopeAttrs& a, int64_t dims, int64_t i, int64_t position);
// What the turned numbers are multiplied with.
double rope_scale(const RopeAttrs& a);

}  // namespace tern
