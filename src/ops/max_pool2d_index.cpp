// SPDX-License-Identifier: Apache-2.0
// max_pool2d_index: where max_pool2d(x) found its results: row * W + column; the first of equals
//   x [N, H, W, C] numbers     y i64 [N, OH, OW, C]; 0 where a window is empty
#include "ops/max_pool2d_window.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const MaxPool2dAttrs& p = a.attrs<MaxPool2dAttrs>();
  TERN_TRY(require_rank(a, 0, 4));
  if (a.in(0).dtype == TERN_DTYPE_BOOL)
    return TERN_FAIL(TERN_ERR_TYPE, "max_pool2d_index: input 0 is bool, numbers are needed");
  Shape y;
  TERN_TRY(pool_output("max_pool2d_index", p, a.in(0).shape, p.ceil_mode != 0, &y));
  a.set(0, TERN_DTYPE_I64, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor& x = a.in(0);
  for (Coordinates c(a.out(0).shape); c.valid(); c.next()) {
    const int64_t at = first_largest(a.attrs<MaxPool2dAttrs>(), x, a.out(0).shape, c.at);
    a.out(0).store_int(c.flat, at < 0 ? 0 : at / x.shape[3] % (x.shape[1] * x.shape[2]));
  }
  return TERN_OK;
}

constexpr Case kCases[] = {
    {"2x2", "f32[1,6,4,3]", "kernel=2,2 strides=2,2"},
    {"overlap", "f32[2,5,5,2]", "kernel=3,3 pads=1,1,1,1"},
    {"ceil", "f32[1,6,5,2]", "kernel=3,2 strides=2,2 ceil_mode=1"},
    {"dilated", "f32[1,8,9,2]", "kernel=2,3 dilation_h=3 dilation_w=2"},
    {"equals", "f32[1,2,2,1]{1,1,1,1}", "kernel=2,2"},
    {"nan", "f32[1,2,2,1]{1,nan,3,nan}", "kernel=2,2"},
    {"lowest", "f32[1,2,2,1]{-inf,-inf,-inf,-inf}", "kernel=2,2 pads=1,1,0,0"},
    {"half", "f16[1,4,4,3]", "kernel=2,2"},
    {"bytes", "u8[1,4,4,3]:0..255", "kernel=2,2"},
    {"empty", "f32[0,4,4,1]", "kernel=2,2"},
    {"no_channels", "f32[1,4,4,0]", "kernel=2,2"},
    {"list", "f32[1,3,3,1]", "kernel=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"kernel_too_large", "f32[1,3,3,1]", "kernel=4,1", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,3,1]", "kernel=2,2", 0, TERN_ERR_SHAPE},
    {"bool", "bool[1,3,3,1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_max_pool2d_index = checked_op({.name = "max_pool2d_index",
                                                            .attributes = attr_schema<MaxPool2dAttrs>(kMaxPool2dFields),
                                                            .infer = infer,
                                                            .reference = reference,
                                                            .no_gradient_because = NoGradient::integer_output,
                                                            .cases = TERN_CASES(kCases)});

}  // namespace tern
