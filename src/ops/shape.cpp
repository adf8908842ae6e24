// SPDX-License-Identifier: Apache-2.0
// shape: the dims [start, end) of x as i64 [end - start]
//   Negative start and end count from the last dim, as in ONNX. Known when the plan is made.
#include <algorithm>
#include <cstddef>

#include "ops/shape.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const ShapeAttrs& p = a.attrs<ShapeAttrs>();
  const Shape& s = a.in(0).shape;
  const auto bound = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + s.rank : v, 0, s.rank); };
  const int64_t start = bound(p.start), count = std::max<int64_t>(0, bound(p.end) - start);
  a.set(0, TERN_DTYPE_I64, Shape{count});
  void* data = nullptr;
  a.out(0).data = make_data((uint64_t)count * 8, &data);
  for (int64_t i = 0; i < count; ++i) store_integer(TERN_DTYPE_I64, data, i, s[(int)(start + i)]);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const int64_t rank = a.in(0).shape.rank, start = a.attrs<ShapeAttrs>().start;
  const int64_t from = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  for (int64_t i = 0; i < a.out(0).elements(); ++i) a.out(0).store_int(i, a.in(0).shape[(int)(from + i)]);
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(ShapeAttrs, start, integer, -8, 8),
                                 TERN_ATTR(ShapeAttrs, end, integer, -8, 8)};

constexpr Case kCases[] = {{"all", "f32[2,3,0]"},
                           {"scalar", "f32[]"},
                           {"part", "f32[2,3,4,5]", "start=1 end=-1"},
                           {"empty", "f32[2,3]", "start=1 end=1"}};

}  // namespace

extern constinit const Op op_shape = checked_op({.name = "shape",
                                                 .attributes = attr_schema<ShapeAttrs>(kFields),
                                                 .infer = infer,
                                                 .reference = reference,
                                                 .no_gradient_because = NoGradient::integer_output,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
