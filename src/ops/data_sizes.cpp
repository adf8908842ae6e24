// SPDX-License-Identifier: Apache-2.0
// data_sizes: y = x; says that sizes of what follows depend on the content of x
//   x numbers or bool, at most 1024     sample: a constant of x's type and shape     y same as x
//   Where shapes are inferred without a run (in a file), y has the content of sample. A plan ends here unless x is
//   known: what
//   follows is planned when its content is (passes/specialize.h).
//   dx = dy
#include "ops/data_sizes.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  constexpr int64_t kMost = 1024;
  TERN_TRY(require_same_dtype(a, 0, 1));
  const Value &x = a.in(0), &sample = a.in(1);
  if (!(x.shape == sample.shape))
    return TERN_FAIL(TERN_ERR_SHAPE, "data_sizes: x is %s, the sample %s", to_string(x.shape).c_str(),
                     to_string(sample.shape).c_str());
  if (x.shape.elements() > kMost)
    return TERN_FAIL(TERN_ERR_LIMIT, "data_sizes: %" PRId64 " sizes, at most %" PRId64 " are supported",
                     x.shape.elements(), kMost);
  if (!sample.data)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "data_sizes: the sample ('%s') must be a constant", sample.name.c_str());
  a.set(0, x.dtype, x.shape);
  a.out(0).data = x.data ? x.data : sample.data;
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  std::memcpy(a.out(0).data, a.in(0).data, (size_t)a.in(0).elements() * dtype_size(a.in(0).dtype));
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (a.wanted(0)) a.set(0, a.dout(0));
}

constexpr Case kCases[] = {
    {"count", "i64[]{3} i64[]{2}"},
    {"several", "i32[3]{1,2,3} i32[3]{0,0,0}"},
    {"condition", "bool[]{1} bool[]{0}"},
    {"floats", "f32[2]{1,2.5} f32[2]{0,0}"},
    {"none", "i64[0] i64[0]{}"},
    {"types", "i64[]{3} i32[]{2}", "", 0, TERN_ERR_TYPE},
    {"shapes", "i64[1]{3} i64[]{2}", "", 0, TERN_ERR_SHAPE},
    {"many", "i64[1025] i64[1025]", "", 0, TERN_ERR_LIMIT},
};

}  // namespace

extern constinit const Op op_data_sizes = checked_op({.name = "data_sizes",
                                                      .min_in = 2,
                                                      .max_in = 2,
                                                      .infer = infer,
                                                      .reference = reference,
                                                      .vjp = vjp,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
