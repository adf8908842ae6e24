// SPDX-License-Identifier: Apache-2.0
// nms: per picture and class, the boxes of best score that do not overlap a better one
//   boxes [B, N, 4], scores [B, C, N] float; max_per_class (one integer), iou_threshold, score_threshold (one number
//   each):
//   optional, win over the attributes
//   selected [capacity, 3] i64 rows of (picture, class, box), -1 beyond the count; count [] i64
//   A box takes part when its score is above score_threshold (NaN never is) and drops out when its IoU with a chosen
//   one is
//   above iou_threshold. Equal scores: the lower index first. max_per_class 0 selects nothing. What exceeds the
//   capacity is
//   dropped; without a capacity it is B * C * min(N, max_per_class), or B * C * N when max_per_class is not known yet
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/checked.h"
#include "ops/move.h"
#include "ops/select.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const NmsAttrs& p = a.attrs<NmsAttrs>();
  const Shape &boxes = a.in(0).shape, &scores = a.in(1).shape;
  for (int i = 0; i < 2; ++i) {
    TERN_TRY(require_float(a, i));
    TERN_TRY(require_rank(a, i, 3));
  }
  if (boxes[2] != 4 || boxes[0] != scores[0] || boxes[1] != scores[2])
    return TERN_FAIL(TERN_ERR_SHAPE, "nms: boxes %s and scores %s do not fit", to_string(boxes).c_str(),
                     to_string(scores).c_str());
  for (int i = 2; i < 5; ++i) {
    if (!a.has(i)) continue;
    if (a.in(i).shape.elements() != 1)
      return TERN_FAIL(TERN_ERR_SHAPE, "nms: input %d has shape %s, one number is needed", i,
                       to_string(a.in(i).shape).c_str());
    TERN_TRY(i == 2 ? require_integer(a, i) : require_float(a, i));
  }
  int64_t capacity = p.capacity, most = p.max_per_class;
  if (a.has(2)) most = a.in(2).data ? load_integer(a.in(2).dtype, a.in(2).data.bytes, 0) : INT64_MAX;
  most = std::clamp<int64_t>(most, 0, boxes[1]);
  if (capacity == 0 && (!checked_mul(scores[0], scores[1], &capacity) || !checked_mul(capacity, most, &capacity)))
    return TERN_FAIL(TERN_ERR_LIMIT, "nms: too many boxes");
  a.set(0, TERN_DTYPE_I64, Shape{capacity, 3});
  a.set(1, TERN_DTYPE_I64, Shape{});
  return TERN_OK;
}

struct Box {
  double y0, x0, y1, x1;
};

Box load_box(const RefTensor& boxes, int64_t i, bool center) {
  const double a = boxes.load(4 * i), b = boxes.load(4 * i + 1), c = boxes.load(4 * i + 2), d = boxes.load(4 * i + 3);
  if (center) return {b - d / 2, a - c / 2, b + d / 2, a + c / 2};
  return {std::min(a, c), std::min(b, d), std::max(a, c), std::max(b, d)};
}

// Intersection over union; 0 for boxes without area.
double overlap(const Box& a, const Box& b) {
  const double height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0),
               width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  const double area_a = (a.y1 - a.y0) * (a.x1 - a.x0), area_b = (b.y1 - b.y0) * (b.x1 - b.x0);
  if (!(height > 0 && width > 0 && area_a > 0 && area_b > 0)) return 0;
  const double both = height * width;
  return both / (area_a + area_b - both);
}

tern_status reference(RefArgs& a) {
  const NmsAttrs& p = a.attrs<NmsAttrs>();
  const RefTensor &boxes = a.in(0), &scores = a.in(1);
  const int64_t pictures = scores.shape[0], classes = scores.shape[1], n = scores.shape[2],
                capacity = a.out(0).shape[0];
  const int64_t most = a.has(2) ? a.in(2).load_int(0) : p.max_per_class;
  const double iou = a.has(3) ? a.in(3).load(0) : p.iou_threshold,
               least = a.has(4) ? a.in(4).load(0) : p.score_threshold;
  int64_t count = 0;
  std::vector<int64_t> order;
  std::vector<Box> chosen;
  for (int64_t b = 0; b < pictures; ++b)
    for (int64_t c = 0; c < classes; ++c) {
      const int64_t row = (b * classes + c) * n;
      order.clear();
      chosen.clear();
      for (int64_t i = 0; i < n; ++i)
        if (scores.load(row + i) > least) order.push_back(i);
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t i, int64_t j) { return scores.load(row + i) > scores.load(row + j); });
      for (int64_t i : order) {
        if ((int64_t)chosen.size() >= most || count >= capacity) break;
        const Box box = load_box(boxes, b * n + i, p.center_point_box != 0);
        if (std::any_of(chosen.begin(), chosen.end(), [&](const Box& other) { return overlap(box, other) > iou; }))
          continue;
        chosen.push_back(box);
        a.out(0).store_int(3 * count, b);
        a.out(0).store_int(3 * count + 1, c);
        a.out(0).store_int(3 * count + 2, i);
        ++count;
      }
    }
  for (int64_t i = 3 * count; i < 3 * capacity; ++i) a.out(0).store_int(i, -1);
  a.out(1).store_int(0, count);
  return TERN_OK;
}

constexpr AttrField kFields[] = {
    TERN_ATTR(NmsAttrs, center_point_box, integer, 0, 1), TERN_ATTR(NmsAttrs, max_per_class, integer, 0, 1e18),
    TERN_ATTR(NmsAttrs, iou_threshold, number, 0, 1), TERN_ATTR(NmsAttrs, score_threshold, number, -INFINITY, INFINITY),
    TERN_ATTR(NmsAttrs, capacity, integer, 0, 1e15)};

constexpr Case kCases[] = {
    {"one_class", "f32[1,9,4] f32[1,1,9]", "max_per_class=5 iou_threshold=0.2"},
    {"classes", "f32[2,7,4] f32[2,3,7]", "max_per_class=4 iou_threshold=0.1 score_threshold=0"},
    {"centres", "f32[1,8,4]:0.1..2 f32[1,2,8]", "center_point_box=1 max_per_class=9 iou_threshold=0.3"},
    {"bounded", "f32[1,6,4] f32[1,2,6]", "max_per_class=6 iou_threshold=1 capacity=5"},
    {"roomy", "f32[1,3,4] f32[1,1,3]", "max_per_class=2 capacity=9"},
    {"inputs", "f32[1,6,4] f32[1,1,6] i64[1]{3} f32[1]{0.5} f32[]{-1}"},
    {"integer_input", "f32[1,4,4] f32[1,1,4] i32[]{2}"},
    {"ties", "f32[1,3,4]{0,0,1,1,0,0,1,1,2,2,3,3} f32[1,1,3]{1,1,1}", "max_per_class=3 iou_threshold=0.5"},
    {"no_area", "f32[1,2,4]{1,1,1,1,1,1,1,1} f32[1,1,2]{1,2}", "max_per_class=2"},
    {"nothing_asked", "f32[1,3,4] f32[1,1,3]"},
    {"none_above", "f32[1,3,4] f32[1,1,3]", "max_per_class=3 score_threshold=99"},
    {"not_numbers",
     "f32[1,6,4]{nan,0,1,1,0,0,inf,inf,0,0,1,1,-inf,nan,inf,inf,0,0,1,1,3e38,3e38,-3e38,-3e38} f32[1,1,6]{6,5,4,3,2,1}",
     "max_per_class=6 iou_threshold=0.5"},
    {"not_numbers_centres",
     "f32[1,5,4]{nan,0,1,1,0,0,inf,inf,0,0,1,1,-inf,nan,inf,inf,0,0,1,1} f32[1,1,5]{6,5,4,nan,inf}",
     "max_per_class=6 iou_threshold=0.5 center_point_box=1"},
    {"no_boxes", "f32[1,0,4] f32[1,2,0]", "max_per_class=3"},
    {"no_pictures", "f32[0,3,4] f32[0,1,3]", "max_per_class=3"},
    {"huge_most", "f32[1,3,4] f32[1,1,3] i64[]{9223372036854775807}"},
    {"negative_most", "f32[1,3,4] f32[1,1,3] i64[]{-1}"},
    {"corners", "f32[1,3,5] f32[1,1,3]", "", 0, TERN_ERR_SHAPE},
    {"counts", "f32[1,3,4] f32[1,1,4]", "", 0, TERN_ERR_SHAPE},
    {"pictures", "f32[2,3,4] f32[1,1,3]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,4] f32[1,1,3]", "", 0, TERN_ERR_SHAPE},
    {"float_most", "f32[1,3,4] f32[1,1,3] f32[]", "", 0, TERN_ERR_TYPE},
    {"list", "f32[1,3,4] f32[1,1,3] i64[2]{1,1}", "", 0, TERN_ERR_SHAPE},
    {"integers", "i32[1,3,4] f32[1,1,3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_nms = checked_op({.name = "nms",
                                               .min_in = 2,
                                               .max_in = 5,
                                               .num_out = 2,
                                               .attributes = attr_schema<NmsAttrs>(kFields),
                                               .infer = infer,
                                               .reference = reference,
                                               .no_gradient_because = NoGradient::index_producer,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
