// SPDX-License-Identifier: Apache-2.0
// conv2d: y[n, oy, ox, o] = bias[o] + sum over ky, kx, c of x[n, oy * s - pad + ky * d, ..., c] * w[o, ky, kx, c]
//   x [N, H, W, C] float; w [O, kh, kw, C / groups] plain or permuted, x's type or f16 / bf16 with x f32; bias [O]
//   optional
//   y [N, OH, OW, O], x's type. Output channel o reads the input channels of its group only
//   dx = conv2d_input_grad(dy, w), dw = conv2d_weight_grad(x, dy), dbias = dy (summed to its shape)
#include "ops/conv2d.h"

#include "base/checked.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Conv2dAttrs& p = a.attrs<Conv2dAttrs>();
  const Shape &x = a.in(0).shape, &w = a.in(1).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 4));
  TERN_TRY(check_conv_lists("conv2d", p.strides, p.pads, p.dilations));
  TERN_TRY(require_conv_weight(a, 0, 1, p.groups));
  if (x[3] % p.groups != 0 || w[3] != x[3] / p.groups)
    return TERN_FAIL(TERN_ERR_SHAPE, "conv2d: %" PRId64 " groups of %" PRId64 " channels, the input has %" PRId64,
                     p.groups, w[3], x[3]);
  if (a.has(2)) TERN_TRY(require_bias(a, 0, 2, w[0]));
  Shape y{x[0], 0, 0, w[0]};
  for (int i = 0; i < 2; ++i)
    TERN_TRY(window_output("conv2d", x[1 + i], w[1 + i], p.strides[i], p.pads[i], p.pads[2 + i], p.dilations[i], false,
                           &y[1 + i]));
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const Conv2dAttrs& p = a.attrs<Conv2dAttrs>();
  const RefTensor &x = a.in(0), &w = a.in(1), &y = a.out(0);
  const Window wy = conv_window(p, 0, x.shape[1], y.shape[1], w.shape[1]),
               wx = conv_window(p, 1, x.shape[2], y.shape[2], w.shape[2]);
  const int64_t channels = w.shape[3], group_out = y.shape[3] / p.groups;
  int64_t i = 0;
  for (int64_t n = 0; n < y.shape[0]; ++n)
    for (int64_t oy = 0; oy < wy.out; ++oy)
      for (int64_t ox = 0; ox < wx.out; ++ox)
        for (int64_t o = 0; o < y.shape[3]; ++o) {
          double sum = a.has(2) ? a.in(2).load(o) : 0;
          for (int64_t ky = wy.first(oy); ky < wy.last(oy); ++ky)
            for (int64_t kx = wx.first(ox); kx < wx.last(ox); ++kx) {
              const int64_t at =
                  ((n * wy.in + wy.at(oy, ky)) * wx.in + wx.at(ox, kx)) * x.shape[3] + o / group_out * channels;
              for (int64_t c = 0; c < channels; ++c)
                sum += x.load(at + c) * w.load(((o * wy.kernel + ky) * wx.kernel + kx) * channels + c);
            }
          y.store(i++, sum);
        }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Conv2dAttrs& p = a.attrs<Conv2dAttrs>();
  const Shape x = a.g.value(a.in(0)).shape, w = a.g.value(a.in(1)).shape;
  if (a.wanted(0))
    a.set(0, emit(a.g, "conv2d_input_grad", {a.dout(0), a.in(1)},
                  Conv2dInputGradAttrs{p.strides, p.pads, p.dilations, p.groups, x[1], x[2]}));
  if (a.wanted(1))
    a.set(1, emit(a.g, "conv2d_weight_grad", {a.in(0), a.dout(0)},
                  Conv2dWeightGradAttrs{p.strides, p.pads, p.dilations, p.groups, w[1], w[2]}));
  if (a.wanted(2)) a.set(2, a.dout(0));
}

constexpr Case kCases[] = {
    {"pointwise", "f32[1,4,5,7] f32[9,1,1,7] f32[9]"},
    {"3x3", "f32[2,5,6,3] f32[4,3,3,3]", "pads=1,1,1,1"},
    {"stride", "f32[1,9,7,3] f32[8,3,3,3] f32[8]", "strides=2,2 pads=0,0,1,1"},
    {"depthwise", "f32[1,6,7,8] f32[8,3,3,1] f32[8]", "pads=1,1,1,1 groups=8"},
    {"multiplier", "f32[1,4,4,3] f32[6,3,3,1]", "groups=3"},
    {"multiplier_3x3", "f32[2,6,11,5] f32[10,3,3,1] f32[10]", "pads=1,1,1,1 groups=5"},
    {"multiplier_stride", "f32[1,9,12,7] f32[21,3,3,1]", "strides=2,2 pads=0,1,1,0 groups=7"},
    {"multiplier_many", "f32[1,5,6,2] f32[50,2,3,1] f32[50]", "dilations=1,2 groups=2"},
    {"half_multiplier", "f32[1,5,6,9] f16[18,3,3,1] f16[18]", "pads=1,1,1,1 groups=9"},
    {"depthwise_7x7", "f32[1,9,14,19] f32[19,7,7,1] f32[19]", "pads=3,3,3,3 groups=19"},
    {"depthwise_dilated", "f32[1,9,13,6] f32[6,3,3,1]", "pads=2,3,2,3 dilations=2,3 groups=6"},
    {"depthwise_column", "f32[2,12,5,33] f32[33,5,1,1]", "pads=2,0,2,0 groups=33"},
    {"groups_of_2", "f32[1,6,10,12] f32[12,3,3,2] f32[12]", "pads=1,1,1,1 groups=6"},
    {"groups_of_4", "f32[1,7,9,20] f32[20,3,3,4]", "strides=2,2 pads=1,1,1,1 groups=5"},
    {"groups_of_5", "f32[1,5,9,15] f32[9,3,2,5] f32[9]", "dilations=2,1 groups=3"},
    {"groups_of_16", "f32[1,4,9,32] f32[32,3,3,16]", "pads=1,1,1,1 groups=2", 1e-4},
    {"groups_of_12", "f32[1,4,9,24] f32[24,1,1,12] f32[24]", "groups=2"},
    {"groups_of_20", "f32[1,5,14,40] f32[36,3,3,20] f32[36]", "pads=1,1,1,1 groups=2", 1e-4},
    {"groups_of_20_dilated", "f32[2,6,15,40] f16[40,2,3,20]", "strides=2,1 pads=0,2,1,1 dilations=1,2 groups=2", 1e-4},
    {"groups_of_40", "f32[1,3,4,80] f32[80,3,3,40]", "pads=1,1,1,1 groups=2", 1e-4},
    {"groups", "f32[1,5,5,4] f32[6,3,3,2] f32[6]", "groups=2 pads=1,0,0,1"},
    {"dilated", "f32[1,9,8,2] f32[3,3,2,2]", "dilations=2,3"},
    {"all", "f32[2,7,9,4] f32[2,3,2,2] f32[2]", "strides=2,3 pads=2,0,1,3 dilations=2,1 groups=2"},
    {"1d", "f32[1,1,11,3] f32[5,1,3,3]", "pads=0,1,0,1"},
    {"one_channel", "f32[1,8,8,8] f32[1,3,3,8] f32[1]", "pads=1,1,1,1"},
    {"kernel_is_input", "f32[1,7,7,4] f32[4,7,7,1] f32[4]", "groups=4"},
    {"half", "f16[1,5,5,3] f16[4,3,3,3] f16[4]", "", 2e-2},
    {"half_weight", "f32[1,5,5,3] f16[40,3,3,3] f16[40]", "strides=2,2"},
    {"brain_weight", "f32[1,5,5,3] bf16[40,3,3,3] bf16[40]", "strides=2,2"},
    {"brain_panels", "f32[1,4,4,16] bf16[70,1,1,16]@panel32 f32[70]"},
    {"brain_depthwise", "f32[1,5,5,8] bf16[8,3,3,1] bf16[8]", "groups=8"},
    {"double", "f64[1,3,3,2] f64[2,2,2,2]"},
    {"panels", "f32[1,5,6,5] f32[37,3,3,5]@panel32 f32[37]", "pads=1,1,1,1"},
    {"half_panels", "f32[1,4,4,16] f16[70,1,1,16]@panel32 f32[70]"},
    {"wide", "f32[1,2,19,33] f32[65,1,1,33] f32[65]", "", 1e-4},
    {"no_picture", "f32[0,5,5,3] f32[4,3,3,3]"},
    {"no_outputs", "f32[1,5,5,3] f32[0,3,3,3]"},
    {"no_outputs_but_rows", "f32[1,5,5,3] f32[0,3,3,3]", "pads=2147483647,0,2147483647,0"},
    {"no_channels", "f32[1,3,3,0] f32[2,3,3,0] f32[2]"},
    {"stride_beyond", "f32[1,3,3,1] f32[1,1,1,1]", "strides=2147483647,5"},
    {"kernel_too_large", "f32[1,3,3,1] f32[1,5,5,1]", "", 0, TERN_ERR_SHAPE},
    {"dilation_too_large", "f32[1,3,3,1] f32[1,2,2,1]", "dilations=2147483647,1", 0, TERN_ERR_SHAPE},
    {"no_rows", "f32[1,0,3,1] f32[1,1,1,1]", "", 0, TERN_ERR_SHAPE},
    {"no_kernel", "f32[1,3,3,1] f32[1,0,1,1]", "", 0, TERN_ERR_SHAPE},
    {"groups_do_not_divide", "f32[1,3,3,4] f32[6,1,1,1]", "groups=3", 0, TERN_ERR_SHAPE},
    {"outputs_do_not_divide", "f32[1,3,3,4] f32[5,1,1,2]", "groups=2", 0, TERN_ERR_SHAPE},
    {"channels", "f32[1,3,3,4] f32[2,1,1,3]", "", 0, TERN_ERR_SHAPE},
    {"bias", "f32[1,3,3,1] f32[2,1,1,1] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,3,1] f32[2,1,1,1]", "", 0, TERN_ERR_SHAPE},
    {"integers", "i32[1,3,3,1] i32[2,1,1,1]", "", 0, TERN_ERR_TYPE},
    {"types", "f16[1,3,3,1] f32[2,1,1,1]", "", 0, TERN_ERR_TYPE},
    {"list", "f32[1,3,3,1] f32[2,1,1,1]", "pads=1,1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"huge_pads", "f32[1,3,3,1] f32[1,1,1,1]", "pads=2147483647,2147483647,2147483647,2147483647", 0, TERN_ERR_LIMIT},
};

}  // namespace

tern_status window_output(const char* op, int64_t in, int64_t kernel, int64_t stride, int64_t pad_before,
                          int64_t pad_after, int64_t dilation, bool ceil_mode, int64_t* out) {
  int64_t padded, span, room;
  if (in < 1 || kernel < 1 || stride < 1 || dilation < 1 || pad_before < 0 || pad_after < 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: a window of %" PRId64 " over %" PRId64 " pixels", op, kernel, in);
  if (!checked_add(in, pad_before, &padded) || !checked_add(padded, pad_after, &padded) ||
      !checked_mul_add(kernel - 1, dilation, (int64_t)1, &span))
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: kernel or padding is too large", op);
  if (!checked_sub(padded, span, &room) || room < 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: the kernel covers %" PRId64 " pixels, the padded input has %" PRId64, op,
                     span, padded);
  int64_t n = room / stride + 1;
  // A window of the rounded-up size must still begin before the padding behind.
  if (ceil_mode && room % stride != 0 && n <= (in + pad_before - 1) / stride) ++n;
  *out = n;
  return TERN_OK;
}

tern_status check_conv_lists(const char* op, const IntList& strides, const IntList& pads, const IntList& dilations) {
  if (strides.count == 2 && pads.count == 4 && dilations.count == 2) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                   "%s: has %" PRId64 " strides, %" PRId64 " pads and %" PRId64 " dilations instead of 2, 4 and 2", op,
                   strides.count, pads.count, dilations.count);
}

tern_status require_weight(const InferArgs& a, int x, int w) {
  const DType t = a.in(w).dtype;
  if (t == a.in(x).dtype || (a.in(x).dtype == TERN_DTYPE_F32 && (t == TERN_DTYPE_F16 || t == TERN_DTYPE_BF16)))
    return TERN_OK;
  return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s, which does not go with %s", a.node.op->name, w, dtype_name(t),
                   dtype_name(a.in(x).dtype));
}

tern_status require_bias(const InferArgs& a, int x, int bias, int64_t n) {
  TERN_TRY(require_weight(a, x, bias));
  if (a.in(bias).shape == Shape{n}) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: the bias has shape %s, [%" PRId64 "] is needed", a.node.op->name,
                   to_string(a.in(bias).shape).c_str(), n);
}

tern_status require_conv_weight(const InferArgs& a, int x, int w, int64_t groups) {
  const Value& v = a.in(w);
  TERN_TRY(require_weight(a, x, w));
  TERN_TRY(require_rank(a, w, 4));
  if (!is_plain(v.encoding) && (!is_permutation(v.encoding) || groups != 1))
    return TERN_FAIL(TERN_ERR_TYPE, "%s: a weight encoded as %s with %" PRId64 " groups is not possible",
                     a.node.op->name, encoding_name(v.encoding), groups);
  if (v.shape[0] % groups != 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: %" PRId64 " filters do not divide into %" PRId64 " groups", a.node.op->name,
                     v.shape[0], groups);
  return TERN_OK;
}

extern constinit const Op op_conv2d = checked_op({.name = "conv2d",
                                                  .min_in = 2,
                                                  .max_in = 3,
                                                  .encoded_in = 1u << 1,
                                                  .attributes = attr_schema<Conv2dAttrs>(kConv2dFields),
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
