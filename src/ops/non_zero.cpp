// SPDX-License-Identifier: Apache-2.0
// non_zero: the coordinates of the elements that are not 0, in row-major order
//   x any type     indices [rank, capacity] i64, one column each, columns beyond the count are 0; count [] i64, at most
//                  capacity
//   Elements beyond the capacity are dropped. NaN is not 0.
#include <algorithm>
#include <cstddef>

#include "ops/fill.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const int64_t capacity = a.attrs<NonZeroAttrs>().capacity;
  a.set(0, TERN_DTYPE_I64, Shape{a.in(0).shape.rank, capacity ? capacity : a.in(0).shape.elements()});
  a.set(1, TERN_DTYPE_I64, Shape{});
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  const int64_t capacity = y.shape[1];
  int64_t count = 0;
  for (int64_t i = 0; i < y.elements(); ++i) y.store_int(i, 0);
  for (Coordinates c(x.shape); c.valid() && count < capacity; c.next()) {
    if (x.load(c.flat) == 0) continue;
    for (int k = 0; k < x.shape.rank; ++k) y.store_int(k * capacity + count, c.at[k]);
    ++count;
  }
  a.out(1).store_int(0, count);
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(NonZeroAttrs, capacity, integer, 0, 1e15)};

constexpr Case kCases[] = {
    {"matrix", "f32[2,3]{0,1,0,2,0,-3}"},
    {"vector", "i64[5]{0,7,0,0,1}"},
    {"bounded", "f32[4]{1,0,2,3}", "capacity=2"},
    {"roomy", "f32[2]{0,1}", "capacity=5"},
    {"bool", "bool[2,2]{1,0,0,1}"},
    {"none", "f32[3]{0,0,0}"},
    {"scalar", "f32[]{2}"},
    {"empty", "f32[0,3]"},
    {"half", "f16[3]{0,0.5,-0}"},
    {"rank5", "u8[1,2,1,2,1]{0,1,1,0}"},
};

}  // namespace

extern constinit const Op op_non_zero = checked_op({.name = "non_zero",
                                                    .num_out = 2,
                                                    .attributes = attr_schema<NonZeroAttrs>(kFields),
                                                    .infer = infer,
                                                    .reference = reference,
                                                    .no_gradient_because = NoGradient::integer_output,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
