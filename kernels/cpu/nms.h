// SPDX-License-Identifier: Apache-2.0
// Non-maximum suppression with ONNX semantics, into a bounded output and a count.
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

// boxes f32 [batch, num_boxes, 4]: (y1, x1, y2, x2) with corners in any order, or (x_center, y_center, width, height)
// if center_point. scores f32 [batch, classes, num_boxes]. Per picture and class: boxes with score > score_threshold
// (all if use_score_threshold is 0; NaN never) by falling score (equal scores: lower index first); a box is dropped if
// its intersection over union with a chosen one is > iou_threshold; at most max_per_class.
// First `select`: units batch * classes, each writes its winners to `winners` and their number to `counts`. Scratch:
// nms_scratch bytes. Then `pack`, one unit: selected i64 [capacity, 3] = (batch, class, box), the first *count rows are
// valid, the rest is set to `fill`. What exceeds capacity is dropped from the end.
struct NmsArgs {
  const float* boxes = nullptr;
  const float* scores = nullptr;
  int64_t batch = 0, classes = 0, num_boxes = 0;
  int64_t max_per_class = 0;  // the caller bounds it by num_boxes
  float iou_threshold = 0, score_threshold = 0;
  int32_t use_score_threshold = 0, center_point = 0;
  int32_t* winners = nullptr;   // [batch * classes, max_per_class]
  int32_t* counts = nullptr;    // [batch * classes]
  int64_t* selected = nullptr;  // [capacity, 3]
  int64_t* count = nullptr;
  int64_t capacity = 0;
  int64_t fill = -1;
};
inline int64_t units(const NmsArgs& a) { return a.batch * a.classes; }
inline size_t nms_scratch(const NmsArgs& a) { return (size_t)a.num_boxes * 8; }

struct NmsKernels {
  KernelFn select;  // NmsArgs
  KernelFn pack;    // NmsArgs, one unit, after all units of select
};

}  // namespace tern::cpu
