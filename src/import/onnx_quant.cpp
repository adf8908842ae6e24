// SPDX-License-Identifier: Apache-2.0
// ONNX operators of quantised models.
#include "import/onnx.h"

namespace tern {
namespace {

// A scale or zero point of one element: files write it as [] or [1], and one of a pair so and the other so.
ValueId one_as_scalar(Builder& b, ValueId v) {
  return v != kNoValue && b.rank(v) == 1 && b.value(v).shape.elements() == 1 && b.dim(v, 0) == 1 ? b.reshape(v, {}) : v;
}

tern_status lower_quantize(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0), scale = one_as_scalar(b, n.in(1)), zero = one_as_scalar(b, n.in(2));
  TERN_TRY(b.status());
  int axis = 0;
  if (b.rank(x) > 0 && b.value(scale).shape.elements() > 1) TERN_TRY(n.axis(n.integer("axis", 1), b.rank(x), &axis));
  else n.integer("axis", 1);
  const DType dtype = zero != kNoValue ? b.dtype(zero) : TERN_DTYPE_U8;
  std::vector<ValueId> in{x, scale};
  if (zero != kNoValue) in.push_back(zero);
  n.set(0, b.op("quantize_linear", in, {{"axis", axis}, {"dtype", (int64_t)dtype}}));
  return TERN_OK;
}

tern_status lower_dequantize(OnnxNode& n) {
  Builder& b = n.b;
  const TensorData *codes = n.weight(0), *scale = n.weight(1), *zero = n.weight(2);
  const int64_t given = n.integer("axis", 1);
  // A weight: kept as codes, dequantised where it is used.
  if (codes && scale && (zero || !n.has(2)) && codes->elements() > 1) {
    auto q = std::make_shared<QuantizedWeight>();
    q->codes = *codes;
    q->scale = *scale;
    if (zero) q->zero = *zero;
    for (TensorData* t : {&q->scale, &q->zero})
      if (t->shape == Shape{1}) t->shape = Shape{};
    if (scale->elements() > 1) TERN_TRY(n.axis(given, codes->shape.rank, &q->axis));
    Operand o;
    o.quantized = std::move(q);
    n.set_operand(0, std::move(o));
    return TERN_OK;
  }
  std::vector<ValueId> in = n.ins();
  for (size_t i = 1; i < in.size(); ++i) in[i] = one_as_scalar(b, in[i]);
  TERN_TRY(b.status());
  int axis = 0;
  if (b.rank(in[0]) > 0 && b.value(n.in(1)).shape.elements() > 1) TERN_TRY(n.axis(given, b.rank(in[0]), &axis));
  n.set(0, b.op("dequantize_linear", in, {{"axis", axis}}));
  return TERN_OK;
}

// scale = (max(x, 0) - min(x, 0)) / 255, zero = clamp(round(-min / scale)), y = clamp(round(x / scale) + zero)
tern_status lower_dynamic_quantize(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const Attrs all = {{"keep_dims", 0}};
  const ValueId top = b.op("max", {b.op("reduce_max", {x}, all), b.number(0)});
  const ValueId low = b.op("min", {b.op("reduce_min", {x}, all), b.number(0)});
  const ValueId scale = b.div(b.sub(top, low), b.number(255));
  const ValueId zero = b.cast(b.op("round", {b.op("clip", {b.div(b.op("neg", {low}), scale)}, {{"min", 0.0}, {"max", 255.0}})}), TERN_DTYPE_U8);
  n.set(0, b.op("quantize_linear", {x, scale, zero}, {{"axis", 0}, {"dtype", (int64_t)TERN_DTYPE_U8}}));
  n.set(1, scale);
  n.set(2, zero);
  return TERN_OK;
}

tern_status lower_matmul_integer(OnnxNode& n) {
  std::vector<ValueId> in = n.ins();
  n.set(0, n.b.op("matmul_integer", in));
  return TERN_OK;
}

tern_status lower_qlinear_matmul(OnnxNode& n) {
  Builder& b = n.b;
  const std::vector<ValueId> in = n.ins();
  TERN_TRY(b.status());
  if (in.size() != 8) return TERN_FAIL(TERN_ERR_CORRUPT, "QLinearMatMul has %zu inputs instead of 8", in.size());
  const ValueId sum = b.op("matmul_integer", {in[0], in[3], in[2], in[5]});
  const auto wide = [&](ValueId scale) { return b.cast(scale, TERN_DTYPE_F32); };
  const ValueId y = b.mul(b.cast(sum, TERN_DTYPE_F32), b.mul(wide(in[1]), wide(in[4])));
  n.set(0, b.op("quantize_linear", {y, wide(in[6]), in[7]}, {{"axis", 0}, {"dtype", (int64_t)b.dtype(in[7])}}));
  return TERN_OK;
}

// Integer convolutions are computed in floats, exact up to 2^24: x and w minus their zero points, products below 2^17.
ValueId without_zero(Builder& b, ValueId v, ValueId zero, int channel_axis) {
  ValueId f = b.cast(v, TERN_DTYPE_F32);
  if (zero == kNoValue || b.status() != TERN_OK) return f;
  ValueId z = b.cast(zero, TERN_DTYPE_F32);
  if (b.rank(zero) == 1 && b.value(zero).shape[0] > 1) {
    std::vector<int64_t> dims((size_t)b.rank(v), 1);
    dims[(size_t)channel_axis] = Builder::same(0);
    z = b.reshape(z, dims);
  }
  return b.sub(f, z);
}

struct IntegerConv {
  ValueId x, w, x_zero = kNoValue, w_zero = kNoValue;
};

tern_status integer_conv(OnnxNode& n, const IntegerConv& c, ValueId* y) {
  Builder& b = n.b;
  TERN_TRY(b.status());
  if (b.rank(c.x) != 4 || b.rank(c.w) != 4) return n.unsupported(std::to_string(b.rank(c.x) - 2) + " spatial dims");
  const ValueId x = without_zero(b, c.x, c.x_zero, 1), w = without_zero(b, c.w, c.w_zero, 0);
  const std::vector<int64_t> strides = n.integers("strides"), dilations = n.integers("dilations"), pads = n.integers("pads");
  n.integers("kernel_shape");
  if (n.text("auto_pad", "NOTSET") != "NOTSET") return n.unsupported("auto_pad");
  if ((!strides.empty() && strides.size() != 2) || (!dilations.empty() && dilations.size() != 2) || (!pads.empty() && pads.size() != 4))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: wrong number of strides, dilations or pads", n.type().c_str());
  *y = b.op("conv2d", {to_nhwc(b, x), b.transpose(w, {0, 2, 3, 1})},
            {{"strides", strides.empty() ? IntList{1, 1} : int_list(strides)}, {"dilations", dilations.empty() ? IntList{1, 1} : int_list(dilations)},
             {"pads", pads.empty() ? IntList{0, 0, 0, 0} : int_list(pads)}, {"groups", n.integer("group", 1)}});
  return TERN_OK;
}

tern_status lower_conv_integer(OnnxNode& n) {
  ValueId y = kNoValue;
  TERN_TRY(integer_conv(n, {n.in(0), n.in(1), n.in(2), n.in(3)}, &y));
  n.set(0, from_nhwc(n.b, n.b.cast(y, TERN_DTYPE_I32), 4));
  return TERN_OK;
}

tern_status lower_qlinear_conv(OnnxNode& n) {
  Builder& b = n.b;
  const std::vector<ValueId> in = n.ins();
  TERN_TRY(b.status());
  if (in.size() < 8) return TERN_FAIL(TERN_ERR_CORRUPT, "QLinearConv has %zu inputs instead of 8 or 9", in.size());
  ValueId y = kNoValue;
  TERN_TRY(integer_conv(n, {in[0], in[3], in[2], in[5]}, &y));
  // The result is NHWC: scales a channel and the bias stand at the last axis as they are.
  if (in.size() > 8 && in[8] != kNoValue) y = b.add(y, b.cast(in[8], TERN_DTYPE_F32));
  y = b.mul(y, b.mul(in[1], in[4]));
  y = b.op("quantize_linear", {y, in[6], in[7]}, {{"axis", 0}, {"dtype", (int64_t)b.dtype(in[7])}});
  n.set(0, from_nhwc(b, y, 4));
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"QuantizeLinear", lower_quantize},
    {"DequantizeLinear", lower_dequantize},
    {"DynamicQuantizeLinear", lower_dynamic_quantize},
    {"MatMulInteger", lower_matmul_integer},
    {"QLinearMatMul", lower_qlinear_matmul},
    {"ConvInteger", lower_conv_integer},
    {"QLinearConv", lower_qlinear_conv},
};

}  // namespace

std::span<const OnnxOp> onnx_quant_ops() { return kOps; }

}  // namespace tern
