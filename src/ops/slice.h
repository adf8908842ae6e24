// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

// Used where the inputs are absent. One entry per axis, beginning with axis 0; further axes are taken whole.
struct SliceAttrs {
  IntList starts, ends, steps;  // negative counts from the end; ends may be INT64_MAX or INT64_MIN; no steps = 1
};

// What one axis of the output takes: `count` elements start, start + step, ... all within the axis.
struct SliceRange {
  int64_t start = 0, count = 0, step = 1;
};

// Ranges of all axes of input 0, from the inputs where they are present, else from the attributes.
tern_status slice_ranges(const InferArgs& a, SliceRange out[kMaxRank]);

}  // namespace tern
