// SPDX-License-Identifier: Apache-2.0
// softmax: y = e^x / sum of e^x along the axis
//   x  float     y  same type and shape
//   gradient: softmax_grad
#include <cmath>
#include <limits>

#include "ops/reduce.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  int axis = 0;
  TERN_TRY(normalize_axis(a.attrs<SoftmaxAttrs>().axis, x.shape.rank, &axis));
  for_each_row(x.shape, axis, [&](int64_t first, int64_t stride, int64_t count, int64_t) {
    const int64_t end = first + count * stride;
    double greatest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t i = first; i < end; i += stride) greatest = std::fmax(greatest, x.load(i));
    for (int64_t i = first; i < end; i += stride) sum += std::exp(x.load(i) - greatest);
    for (int64_t i = first; i < end; i += stride) y.store(i, std::exp(x.load(i) - greatest) / sum);
  });
  return TERN_OK;
}

void vjp(VjpArgs& a) { softmax_vjp(a, false); }

constexpr Case kCases[] = {
    {"last", "f32[4,7]"},
    {"odd", "f32[3,131]"},
    {"first", "f32[5,4]", "axis=0"},
    {"middle", "f32[2,5,3]", "axis=1"},
    {"rank5", "f32[2,1,3,2,2]", "axis=2"},
    {"one", "f32[3,1]"},
    {"half", "f16[3,33]", "", 2e-3},
    {"far", "f32[2,3]{-1000,0,1000,88,89,90}"},
    {"empty", "f32[0,3]"},
    {"empty_axis", "f32[3,0]"},
    {"axis", "f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"scalar", "f32[]", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_softmax = checked_op({.name = "softmax",
                                                   .flags = kInPlace,
                                                   .attributes = attr_schema<SoftmaxAttrs>(kSoftmaxFields),
                                                   .infer = infer_softmax,
                                                   .reference = reference,
                                                   .vjp = vjp,
                                                   .cases = TERN_CASES(kCases)});

}  // namespace tern
