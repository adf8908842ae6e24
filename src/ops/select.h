// SPDX-License-Identifier: Apache-2.0
// Operators that select: top_k, nms and assignment.
#pragma once
#include <limits>

#include "ops/op.h"

namespace tern {

struct TopKAttrs {
  int64_t k = 1;  // used where input 1 is absent
  int64_t axis = -1, largest = 1, sorted = 1;
};

struct NmsAttrs {
  int64_t center_point_box = 0;  // 0: [y1, x1, y2, x2] any two opposite corners; 1: [x, y, width, height] of the centre
  int64_t max_per_class = 0;     // used where input 2 is absent
  double iou_threshold = 0;      // input 3
  double score_threshold = -std::numeric_limits<double>::infinity();  // input 4; boxes must have a higher score
  int64_t capacity = 0;  // rows of the result; 0 = B * C * min(N, max_per_class)
};

struct AssignmentAttrs {
  double limit = std::numeric_limits<double>::infinity();  // pairs of this cost or more are not chosen
};

}  // namespace tern
