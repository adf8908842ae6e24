// SPDX-License-Identifier: Apache-2.0
// lrn: y[c] = x[c] / (bias + alpha / size * sum of x[k]^2)^beta, over the `size` channels k around c: (size - 1) / 2
// before it (rounded down), size / 2 after it; channels are the last dim
//   x  float, at least 1 dim     y  like x
#include <cstddef>

#include "ops/normalize.h"
#include "ops/pool.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_channel_norm(a, 1); }

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const LrnAttrs& p = a.attrs<LrnAttrs>();
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0));
  if (g.status != TERN_OK) return;
  const Shape shape = g.value(x).shape;
  if (shape.elements() == 0) {
    a.set(0, square(g, a.in(0)));
    return;
  }
  // A mean over a window of the channels is a pooling of a picture as wide as there are channels.
  const int64_t channels = shape[shape.rank - 1];
  AvgPool2dAttrs window;
  window.kernel = {1, p.size};
  window.pads = {0, (p.size - 1) / 2, 0, p.size / 2};
  window.count_include_pad = 1;
  const ValueId picture = reshape(g, square(g, x), {1, shape.elements() / channels, channels, 1});
  const ValueId mean = reshape(g, emit(g, "avg_pool2d", {picture}, window), shape);
  const ValueId base = plus(g, scaled(g, mean, p.alpha), p.bias);
  if (g.status != TERN_OK) return;
  a.set(0, narrowed(g, mul(g, x, emit(g, "pow", {base, scalar_like(g, base, -p.beta)})), dtype));
}

constexpr AttrField kFields[] = {
    TERN_ATTR(LrnAttrs, size, integer, 1, 1 << 20), TERN_ATTR(LrnAttrs, alpha, number, -1e6, 1e6),
    TERN_ATTR(LrnAttrs, beta, number, -100, 100), TERN_ATTR(LrnAttrs, bias, number, 1e-6, 1e6)};

constexpr Case kCases[] = {
    {"image", "f32[2,3,4,7]"},
    {"strong", "f32[3,9]", "size=3 alpha=0.5 beta=0.5 bias=2"},
    {"even", "f32[3,9]", "size=4 alpha=1"},
    {"one", "f32[3,9]", "size=1 alpha=1"},
    {"wider", "f32[2,3]", "size=9 alpha=1"},
    {"vector", "f32[131]", "alpha=1"},
    {"rank5", "f32[2,1,3,2,5]", "alpha=1"},
    {"half", "f16[3,33]", "alpha=1", 4e-3},
    {"empty", "f32[0,3]"},
    {"no_channels", "f32[3,0]"},
    {"scalar", "f32[]", "", 0, TERN_ERR_SHAPE},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_lrn = checked_op({.name = "lrn",
                                               .attributes = attr_schema<LrnAttrs>(kFields),
                                               .infer = infer,
                                               .decompose = decompose,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
