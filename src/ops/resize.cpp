// SPDX-License-Identifier: Apache-2.0
// resize: a picture of another size
//   x [N, H, W, C]; nearest takes any type, linear and cubic need floats     y [N, OH, OW, C]
//   sizes: of y, one per axis (input 1, integers, optional, known when the plan is made, wins over the attribute);
//   without
//   them OH = floor(H * scale_h). `coordinates` maps pixel i of y to a position in x (ONNX; tf_half_pixel: (i + 0.5) /
//   scale);
//   linear clamps it to the picture, cubic repeats the edge
//   dx = resize_grad(dy)
#include "ops/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "ops/move.h"

namespace tern {
namespace {

// The size for a scale; -1 when it is none.
int64_t scaled(int64_t n, double scale) {
  const double size = std::floor((double)n * scale);
  return scale > 0 && size >= 0 && size < 1e15 ? (int64_t)size : -1;
}

tern_status infer(InferArgs& a) {
  const ResizeAttrs& p = a.attrs<ResizeAttrs>();
  const Shape& x = a.in(0).shape;
  TERN_TRY(require_rank(a, 0, 4));
  if (p.mode != (int64_t)ResizeMode::nearest) TERN_TRY(require_float(a, 0));
  IntList sizes = p.sizes;
  if (a.has(1)) TERN_TRY(require_integers(a, 1, &sizes));
  else if (sizes.count == 0) sizes = {x[0], scaled(x[1], p.scale_h), scaled(x[2], p.scale_w), x[3]};
  if (sizes.count != 4 || sizes[0] != x[0] || sizes[3] != x[3])
    return TERN_FAIL(TERN_ERR_SHAPE, "resize: only axes 1 and 2 of %s can change", to_string(x).c_str());
  for (int i = 1; i < 3; ++i)
    if (sizes[i] < 0 || (x[i] == 0) != (sizes[i] == 0))
      return TERN_FAIL(TERN_ERR_SHAPE, "resize: %" PRId64 " pixels cannot become %" PRId64, x[i], sizes[i]);
  a.set(0, a.in(0).dtype, Shape{sizes[0], sizes[1], sizes[2], sizes[3]});
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const ResizeAttrs& p = a.attrs<ResizeAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  const ResizeGradAttrs rule = resize_rule(p, x.shape[1], x.shape[2]);
  for (Coordinates c(y.shape); c.valid(); c.next()) {
    const ResizeTaps ty = resize_taps(rule, p.scale_h, x.shape[1], y.shape[1], c.at[1]),
                     tx = resize_taps(rule, p.scale_w, x.shape[2], y.shape[2], c.at[2]);
    const auto at = [&](int j, int i) {
      return ((c.at[0] * x.shape[1] + ty.index[j]) * x.shape[2] + tx.index[i]) * x.shape[3] + c.at[3];
    };
    if (p.mode == (int64_t)ResizeMode::nearest) {
      copy_element(y, c.flat, x, at(0, 0));
      continue;
    }
    double sum = 0;
    for (int j = 0; j < ty.count; ++j)
      for (int i = 0; i < tx.count; ++i) sum += ty.weight[j] * tx.weight[i] * x.load(at(j, i));
    y.store(c.flat, sum);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Shape x = a.g.value(a.in(0)).shape;
  a.set(0, emit(a.g, "resize_grad", {a.dout(0)}, resize_rule(a.attrs<ResizeAttrs>(), x[1], x[2])));
}

double position(ResizeCoordinates mode, int64_t i, int64_t in, int64_t out, double scale) {
  const double at = ((double)i + 0.5) / scale;
  switch (mode) {
    case ResizeCoordinates::half_pixel: return at - 0.5;
    case ResizeCoordinates::align_corners: return out > 1 ? (double)i * (double)(in - 1) / (double)(out - 1) : 0;
    case ResizeCoordinates::asymmetric: return (double)i / scale;
    case ResizeCoordinates::pytorch_half_pixel: return out > 1 ? at - 0.5 : 0;
    case ResizeCoordinates::half_pixel_symmetric:
      return (double)in / 2 * (1 - (double)out / (scale * (double)in)) + at - 0.5;
    case ResizeCoordinates::tf_half_pixel: return at;
  }
  return 0;
}

double rounded(ResizeNearest mode, double p) {
  switch (mode) {
    case ResizeNearest::round_prefer_floor: return std::ceil(p - 0.5);
    case ResizeNearest::round_prefer_ceil: return std::floor(p + 0.5);
    case ResizeNearest::floor: return std::floor(p);
    case ResizeNearest::ceil: return std::ceil(p);
  }
  return p;
}

using Attrs = ResizeAttrs;
constexpr AttrField kFields[] = {TERN_ATTR(Attrs, sizes, integers, 0, 1e15),
                                 TERN_ATTR(Attrs, scale_h, number, 0, 1e9),
                                 TERN_ATTR(Attrs, scale_w, number, 0, 1e9),
                                 TERN_ATTR(Attrs, mode, choice, 0, 2, kResizeModes),
                                 TERN_ATTR(Attrs, coordinates, choice, 0, 5, kResizeCoordinates),
                                 TERN_ATTR(Attrs, nearest, choice, 0, 3, kResizeNearest),
                                 TERN_ATTR(Attrs, cubic_coeff, number, -10, 10),
                                 TERN_ATTR(Attrs, exclude_outside, integer, 0, 1)};

constexpr Case kCases[] = {
    {"nearest_up", "f32[1,3,4,2]", "sizes=1,7,8,2"},
    {"nearest_down", "f32[2,7,8,3]", "sizes=2,3,5,3 coordinates=asymmetric nearest=floor"},
    {"nearest_ceil", "f32[1,5,5,1]", "sizes=1,8,3,1 coordinates=align_corners nearest=ceil"},
    {"nearest_prefer_ceil", "f32[1,4,4,2]", "sizes=1,8,6,2 nearest=round_prefer_ceil"},
    {"nearest_tf", "f32[1,4,4,2]", "sizes=1,9,6,2 coordinates=tf_half_pixel nearest=floor"},
    {"bytes", "u8[1,3,3,3]:0..255", "sizes=1,6,6,3"},
    {"long", "i64[1,2,2,1]", "sizes=1,4,4,1"},
    {"linear_up", "f32[1,3,4,5]", "sizes=1,6,8,5 mode=linear"},
    {"linear_down", "f32[1,9,7,3]", "sizes=1,4,5,3 mode=linear"},
    {"linear_corners", "f32[1,4,5,1]", "sizes=1,9,1,1 mode=linear coordinates=align_corners"},
    {"linear_asymmetric", "f32[1,3,3,2]", "sizes=1,7,5,2 mode=linear coordinates=asymmetric"},
    {"linear_pytorch", "f32[1,3,3,2]", "sizes=1,1,5,2 mode=linear coordinates=pytorch_half_pixel"},
    {"linear_symmetric", "f32[1,5,5,1]", "scale_h=1.5 scale_w=0.7 mode=linear coordinates=half_pixel_symmetric"},
    {"scales", "f32[1,5,4,2]", "scale_h=2 scale_w=1.6 mode=linear"},
    {"cubic", "f32[1,5,6,2]", "sizes=1,8,9,2 mode=cubic"},
    {"cubic_down", "f32[1,9,8,1]", "sizes=1,4,5,1 mode=cubic cubic_coeff=-0.5"},
    {"cubic_excluded", "f32[1,4,4,2]", "sizes=1,7,3,2 mode=cubic exclude_outside=1"},
    {"cubic_one_pixel", "f32[1,1,2,1]", "sizes=1,3,5,1 mode=cubic"},
    {"input", "f32[1,2,3,2] i64[4]{1,4,6,2}", "mode=linear"},
    {"same", "f32[1,3,3,1]", "sizes=1,3,3,1 mode=linear"},
    {"half", "f16[1,3,3,4]", "sizes=1,6,6,4 mode=linear", 2e-3},
    {"no_picture", "f32[0,3,3,1]", "sizes=0,6,6,1"},
    {"no_rows", "f32[1,0,3,1]", "sizes=1,0,6,1"},
    {"no_channels", "f32[1,3,3,0]", "sizes=1,6,6,0 mode=linear"},
    {"channels", "f32[1,3,3,2]", "sizes=1,6,6,4", 0, TERN_ERR_SHAPE},
    {"from_nothing", "f32[1,0,3,1]", "sizes=1,2,3,1", 0, TERN_ERR_SHAPE},
    {"to_nothing", "f32[1,3,3,1]", "sizes=1,0,3,1", 0, TERN_ERR_SHAPE},
    {"negative", "f32[1,3,3,1] i64[4]{1,-3,3,1}", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,3,1]", "sizes=6,6,1", 0, TERN_ERR_SHAPE},
    {"no_sizes", "f32[1,3,3,1]", "", 0, TERN_ERR_SHAPE},
    {"integers", "u8[1,3,3,1]", "sizes=1,6,6,1 mode=linear", 0, TERN_ERR_TYPE},
    {"huge", "f32[1,3,3,1]", "sizes=1,1000000000000000,1000000000000000,1", 0, TERN_ERR_LIMIT},
};

}  // namespace

ResizeTaps resize_taps(const ResizeGradAttrs& p, double scale, int64_t in, int64_t out, int64_t i) {
  if (!(scale > 0)) scale = (double)out / (double)in;
  const double last = (double)(in - 1), at = position((ResizeCoordinates)p.coordinates, i, in, out, scale);
  ResizeTaps t;
  if (p.mode == (int64_t)ResizeMode::nearest) {
    t.count = 1;
    t.index[0] = (int64_t)std::clamp(rounded((ResizeNearest)p.nearest, at), 0.0, last);
    t.weight[0] = 1;
  } else if (p.mode == (int64_t)ResizeMode::linear) {
    const double inside = std::clamp(at, 0.0, last);
    t.count = 2;
    t.index[0] = (int64_t)inside;
    t.index[1] = std::min(t.index[0] + 1, in - 1);
    t.weight[1] = inside - (double)t.index[0];
    t.weight[0] = 1 - t.weight[1];
  } else {
    const double base = std::floor(at), f = at - base, c = p.cubic_coeff;
    const auto near = [&](double d) { return ((c + 2) * d - (c + 3)) * d * d + 1; };       // |d| <= 1
    const auto far = [&](double d) { return ((c * d - 5 * c) * d + 8 * c) * d - 4 * c; };  // 1 < |d| < 2
    const double w[4] = {far(1 + f), near(f), near(1 - f), far(2 - f)};
    double sum = 0;
    t.count = 4;
    for (int k = 0; k < 4; ++k) {
      const double q = base - 1 + k;
      t.index[k] = (int64_t)std::clamp(q, 0.0, last);
      t.weight[k] = p.exclude_outside && (q < 0 || q > last) ? 0 : w[k];
      sum += t.weight[k];
    }
    for (int k = 0; p.exclude_outside && sum != 0 && k < 4; ++k) t.weight[k] /= sum;
  }
  return t;
}

ResizeGradAttrs resize_rule(const ResizeAttrs& p, int64_t height, int64_t width) {
  return {height, width, p.scale_h, p.scale_w, p.mode, p.coordinates, p.nearest, p.cubic_coeff, p.exclude_outside};
}

extern constinit const Op op_resize = checked_op({.name = "resize",
                                                  .max_in = 2,
                                                  .attributes = attr_schema<Attrs>(kFields),
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
