// SPDX-License-Identifier: Apache-2.0
// max_pool2d: y[n, oy, ox, c] = the largest x in the window; cells in the padding do not take part
//   x [N, H, W, C] numbers. NaN wins. A window that dilation places wholly outside gives the lowest value (-infinity)
//   dx = max_pool2d_grad(x, y, dy)
#include <cstddef>
#include <limits>

#include "ops/move.h"
#include "ops/pool.h"
#include "ops/reduce.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const MaxPool2dAttrs& p = a.attrs<MaxPool2dAttrs>();
  TERN_TRY(require_rank(a, 0, 4));
  if (a.in(0).dtype == TERN_DTYPE_BOOL)
    return TERN_FAIL(TERN_ERR_TYPE, "max_pool2d: input 0 is bool, numbers are needed");
  Shape y;
  TERN_TRY(pool_output("max_pool2d", p, a.in(0).shape, p.ceil_mode != 0, &y));
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const MaxPool2dAttrs& p = a.attrs<MaxPool2dAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  const Window wy = pool_window(p, 0, x.shape[1], y.shape[1]), wx = pool_window(p, 1, x.shape[2], y.shape[2]);
  const int64_t channels = x.shape[3], lowest = lowest_integer(x.dtype);
  for (Coordinates c(y.shape); c.valid(); c.next()) {
    double best = -std::numeric_limits<double>::infinity();
    int64_t best_integer = lowest;
    for (int64_t ky = wy.first(c.at[1]); ky < wy.last(c.at[1]); ++ky)
      for (int64_t kx = wx.first(c.at[2]); kx < wx.last(c.at[2]); ++kx) {
        const int64_t at = ((c.at[0] * wy.in + wy.at(c.at[1], ky)) * wx.in + wx.at(c.at[2], kx)) * channels + c.at[3];
        if (is_integer(x.dtype)) {
          const int64_t v = x.load_int(at);
          if (x.dtype == TERN_DTYPE_U64 ? (uint64_t)v > (uint64_t)best_integer : v > best_integer) best_integer = v;
        } else {
          const double v = x.load(at);
          if (v > best || v != v) best = v;
        }
      }
    if (is_integer(x.dtype)) y.store_int(c.flat, best_integer);
    else y.store(c.flat, best);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  a.set(0, emit(a.g, "max_pool2d_grad", {a.in(0), a.out(0), a.dout(0)}, a.attrs<MaxPool2dAttrs>()));
}

constexpr Case kCases[] = {
    {"2x2", "f32[1,6,4,3]", "kernel=2,2 strides=2,2"},
    {"3x3", "f32[2,7,6,5]", "kernel=3,3 strides=2,2 pads=1,1,1,1"},
    {"odd", "f32[1,5,7,1]", "kernel=2,3 strides=1,2 pads=0,1,1,0"},
    {"ceil", "f32[1,6,5,2]", "kernel=3,2 strides=2,2 ceil_mode=1"},
    {"ceil_dropped", "f32[1,3,3,2]", "kernel=1,1 strides=2,2 pads=0,0,0,0 ceil_mode=1"},
    {"ceil_pads", "f32[1,4,4,1]", "kernel=2,2 strides=3,3 pads=1,1,1,1 ceil_mode=1"},
    {"dilated", "f32[1,8,9,2]", "kernel=2,3 dilation_h=3 dilation_w=2"},
    {"all", "f32[1,5,6,4]", "kernel=5,6"},
    {"half", "f16[1,4,4,8]", "kernel=2,2 strides=2,2"},
    {"bytes", "u8[1,4,4,3]:0..255", "kernel=2,2"},
    {"integers", "i8[1,3,3,2]", "kernel=2,2"},
    {"long", "i64[1,2,2,1]{9007199254740993,9007199254740992,-9223372036854775807,0}", "kernel=2,2"},
    {"nan", "f32[1,3,3,1]{1,nan,2,3,4,5,6,7,inf}", "kernel=2,2"},
    {"nan_wide", "f32[1,2,2,19]:nan..nan", "kernel=2,2"},
    {"no_picture", "f32[0,4,4,1]", "kernel=2,2"},
    {"no_channels", "f32[1,4,4,0]", "kernel=2,2"},
    {"stride_beyond", "f32[1,3,3,1]", "kernel=2,2 strides=2147483647,3"},
    {"kernel_too_large", "f32[1,3,3,1]", "kernel=4,1", 0, TERN_ERR_SHAPE},
    {"pads_too_large", "f32[1,3,3,1]", "kernel=2,2 pads=2,0,0,0", 0, TERN_ERR_SHAPE},
    {"huge_kernel", "f32[1,3,3,1]", "kernel=2147483647,2147483647 dilation_h=2147483647", 0, TERN_ERR_SHAPE},
    {"list", "f32[1,3,3,1]", "kernel=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"rank", "f32[3,3,1]", "kernel=2,2", 0, TERN_ERR_SHAPE},
    {"no_rows", "f32[1,0,3,1]", "", 0, TERN_ERR_SHAPE},
    {"bool", "bool[1,3,3,1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_max_pool2d = checked_op({.name = "max_pool2d",
                                                      .attributes = attr_schema<MaxPool2dAttrs>(kMaxPool2dFields),
                                                      .infer = infer,
                                                      .reference = reference,
                                                      .vjp = vjp,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
