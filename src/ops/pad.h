// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

enum class PadMode : int64_t { constant = 0, reflect = 1, edge = 2, wrap = 3 };
inline constexpr const char* kPadModes[] = {"constant", "reflect", "edge", "wrap"};

struct PadAttrs {         // pad, pad_grad
  IntList before, after;  // one entry per axis, or empty = none; negative removes (mode constant only)
  int64_t mode = 0;       // PadMode
  double value = 0;       // mode constant
};

// Pads of all axes of input 0, from input 1 where it is present ([all before..., all after...]), else from the
// attributes.
tern_status pad_amounts(const InferArgs& a, int64_t before[kMaxRank], int64_t after[kMaxRank]);

// Position in an axis of n elements that padded position i (0 = first element of x) reads; -1 = the constant.
int64_t pad_source(PadMode mode, int64_t i, int64_t n);

}  // namespace tern
