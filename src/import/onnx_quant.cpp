// SPDX-License-Identifier: Apache-2.0
// ONNX operators of quantised models.
#include "import/onnx.h"

namespace tern {
namespace {

// A scale or zero point of one element: files write it as [] or [1], and one of a pair so and the other so.
ValueId one_as_scalar(Builder& b, ValueId v) {
  return v != kNoValue && b.rank(v) == 1 && b.value(v).shape.elements() == 1 && b.dim(v, 0) == 1 ? b.reshape(v, {}) : v;
}

// Scales or zero points as they stand against x: one, one for each index of the axis, or one for each block along it.
ValueId against(OnnxNode& n, ValueId v, ValueId x, int axis, int64_t block) {
  Builder& b = n.b;
  if (v == kNoValue || b.status() != TERN_OK || b.rank(v) == 0) return v;
  if (block == 0) {
    std::vector<int64_t> dims((size_t)b.rank(x), 1);
    dims[(size_t)axis] = -1;
    return b.reshape(v, dims);
  }
  std::vector<int64_t> of_index;
  for (int64_t i = 0; i < b.dim(x, axis); ++i) of_index.push_back(i / block);
  return b.op("gather", {v, b.integers(of_index)}, {{"axis", axis}});
}

struct Scales {
  ValueId scale, zero;
  int axis = 0;
  int64_t block = 0;
};

tern_status read_scales(OnnxNode& n, ValueId x, Scales* s) {
  Builder& b = n.b;
  s->scale = one_as_scalar(b, n.in(1));
  s->zero = one_as_scalar(b, n.in(2));
  s->block = n.integer("block_size", 0);
  const int64_t given = n.integer("axis", 1);
  TERN_TRY(b.status());
  if (s->scale == kNoValue) return TERN_FAIL(TERN_ERR_CORRUPT, "%s lacks its scale", n.type().c_str());
  if (b.rank(x) > 0 && b.value(s->scale).shape.elements() > 1) TERN_TRY(n.axis(given, b.rank(x), &s->axis));
  if (s->block == 0) return TERN_OK;
  constexpr int64_t kMost = 1 << 20;
  const int64_t size = b.rank(x) > 0 ? b.dim(x, s->axis) : 1;
  if (size < 0 || size > kMost) return n.unsupported("blocks of a size that varies");
  if (s->block < 0 || b.rank(s->scale) != b.rank(x) || b.dim(s->scale, s->axis) != (size + s->block - 1) / s->block)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: scales of shape %s for blocks of %" PRId64 " of shape %s", n.type().c_str(),
                     to_string(b.value(s->scale).shape).c_str(), s->block, to_string(b.value(x).shape).c_str());
  return TERN_OK;
}

tern_status lower_quantize(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  Scales s;
  TERN_TRY(read_scales(n, x, &s));
  n.integer("saturate", 1);  // of 8-bit floats
  const int64_t asked = n.integer("output_dtype", 0), precision = n.integer("precision", 0);
  if (precision != 0 && precision != onnx::TensorProto::FLOAT)
    return n.unsupported("precision " + std::to_string(precision));
  const DType dtype = s.zero != kNoValue ? b.dtype(s.zero) : asked ? onnx_dtype(asked) : TERN_DTYPE_U8;
  if (asked && dtype != onnx_dtype(asked)) return n.unsupported("to element type " + std::to_string(asked));
  if (s.block == 0 &&
      (dtype == TERN_DTYPE_I8 || dtype == TERN_DTYPE_U8 || dtype == TERN_DTYPE_I16 || dtype == TERN_DTYPE_U16)) {
    n.set(0, b.op("quantize_linear", {x, s.scale, s.zero}, {{"axis", s.axis}, {"dtype", (int64_t)dtype}}));
    return TERN_OK;
  }
  double low = 0, high = 0;
  switch (dtype) {
    case TERN_DTYPE_I8: low = INT8_MIN, high = INT8_MAX; break;
    case TERN_DTYPE_U8: high = UINT8_MAX; break;
    case TERN_DTYPE_I16: low = INT16_MIN, high = INT16_MAX; break;
    case TERN_DTYPE_U16: high = UINT16_MAX; break;
    default: return n.unsupported("to element type " + std::to_string(asked));
  }
  const auto wide = [&](ValueId v) { return b.cast(v, TERN_DTYPE_F32); };
  ValueId y = b.op("round", {b.div(wide(x), wide(against(n, s.scale, x, s.axis, s.block)))});
  if (s.zero != kNoValue) y = b.add(y, wide(against(n, s.zero, x, s.axis, s.block)));
  n.set(0, b.cast(b.op("clip", {y}, {{"min", low}, {"max", high}}), dtype));
  return TERN_OK;
}

tern_status lower_dequantize(OnnxNode& n) {
  Builder& b = n.b;
  const TensorData *codes = n.weight(0), *scale = n.weight(1), *zero = n.weight(2);
  const int64_t given = n.integer("axis", 1), block = n.integer("block_size", 0), asked = n.integer("output_dtype", 0);
  const bool as_scale = asked == 0 || (scale && onnx_dtype(asked) == scale->dtype);
  // A weight: kept as codes, dequantised where it is used.
  if (codes && scale && (zero || !n.has(2)) && codes->elements() > 1 && block == 0 && as_scale) {
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
  const ValueId x = n.in(0);
  Scales s;
  TERN_TRY(read_scales(n, x, &s));
  const DType to = asked ? onnx_dtype(asked) : b.dtype(s.scale);
  if (!is_float(to)) return n.unsupported("to element type " + std::to_string(asked));
  ValueId y = kNoValue;
  if (block == 0) {
    y = b.op("dequantize_linear", {x, s.scale, s.zero}, {{"axis", s.axis}});
  } else {
    const auto wide = [&](ValueId v) { return b.cast(v, TERN_DTYPE_F32); };
    y = wide(x);
    if (s.zero != kNoValue) y = b.sub(y, wide(against(n, s.zero, x, s.axis, block)));
    y = b.mul(y, wide(against(n, s.scale, x, s.axis, block)));
  }
  n.set(0, b.cast(y, to));
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
  const ValueId zero = b.cast(
      b.op("round", {b.op("clip", {b.div(b.op("neg", {low}), scale)}, {{"min", 0.0}, {"max", 255.0}})}), TERN_DTYPE_U8);
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
  const ValueId x_scale = n.constant_in(1), w_scale = n.constant_in(4);
  const std::vector<ValueId> in = n.ins();
  TERN_TRY(b.status());
  if (in.size() != 8) return TERN_FAIL(TERN_ERR_CORRUPT, "QLinearMatMul has %zu inputs instead of 8", in.size());
  const ValueId sum = b.op("matmul_integer", {in[0], in[3], in[2], in[5]});
  const auto wide = [&](ValueId scale) { return b.cast(scale, TERN_DTYPE_F32); };
  const ValueId y = b.mul(b.cast(sum, TERN_DTYPE_F32), b.mul(wide(x_scale), wide(w_scale)));
  n.set(0, b.op("quantize_linear", {y, wide(in[6]), in[7]}, {{"axis", 0}, {"dtype", (int64_t)b.dtype(in[7])}}));
  return TERN_OK;
}

tern_status lower_conv_integer(OnnxNode& n) {
  ValueId y = kNoValue;
  TERN_TRY(integer_conv(n, {n.in(0), n.in(1), one_as_scalar(n.b, n.in(2)), n.in(3)}, &y));
  n.set(0, from_nhwc(n.b, y, n.rank(0)));
  return TERN_OK;
}

tern_status lower_qlinear_conv(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x_scale = n.constant_in(1), w_scale = n.constant_in(4);
  const std::vector<ValueId> in = n.ins();
  TERN_TRY(b.status());
  if (in.size() < 8) return TERN_FAIL(TERN_ERR_CORRUPT, "QLinearConv has %zu inputs instead of 8 or 9", in.size());
  ValueId y = kNoValue;
  TERN_TRY(integer_conv(n, {in[0], in[3], one_as_scalar(b, in[2]), in[5]}, &y));
  // The result is NHWC: scales a channel and the bias stand at the last axis as they are.
  if (in.size() > 8 && in[8] != kNoValue) y = b.add(y, in[8]);
  y = b.mul(b.cast(y, TERN_DTYPE_F32), b.mul(x_scale, w_scale));
  y = b.op("quantize_linear", {y, in[6], in[7]}, {{"axis", 0}, {"dtype", (int64_t)b.dtype(in[7])}});
  n.set(0, from_nhwc(b, y, b.rank(in[0])));
  return TERN_OK;
}

// ---- operators on codes that the quantiser of ONNX Runtime writes: x, scale and zero point for each operand, then
// those of the result ----

// The values that input i, of codes, stands for.
ValueId decoded(OnnxNode& n, int i) {
  return n.b.op("dequantize_linear",
                {n.in(i), one_as_scalar(n.b, n.in(i + 1)), n.has(i + 2) ? one_as_scalar(n.b, n.in(i + 2)) : kNoValue},
                {{"axis", 0}});
}
// Codes of y, of the type that x has, where no zero point tells.
tern_status set_encoded(OnnxNode& n, ValueId y, int i, ValueId x) {
  Builder& b = n.b;
  const ValueId zero = n.has(i + 1) ? one_as_scalar(b, n.in(i + 1)) : kNoValue;
  TERN_TRY(b.status());
  const DType dtype = b.dtype(zero == kNoValue ? x : zero);
  n.set(0, b.op("quantize_linear", {y, one_as_scalar(b, n.in(i)), zero}, {{"axis", 0}, {"dtype", (int64_t)dtype}}));
  return TERN_OK;
}

tern_status lower_qlinear_binary(OnnxNode& n) {
  const char* op = n.type() == "QLinearAdd" ? "add" : "mul";
  return set_encoded(n, n.b.op(op, {decoded(n, 0), decoded(n, 3)}), 6, n.in(0));
}

tern_status lower_qlinear_unary(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = decoded(n, 0);
  const ValueId y = n.type() == "QLinearSigmoid" ? b.op("sigmoid", {x})
                                                 : b.op("leaky_relu", {x}, {{"alpha", n.number("alpha", 0.01)}});
  return set_encoded(n, y, 3, n.in(0));
}

tern_status lower_qlinear_global_pool(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = decoded(n, 0);
  TERN_TRY(b.status());
  const int rank = b.rank(x), first = n.integer("channels_last", 0) ? 1 : 2;
  if (rank < 3) return TERN_FAIL(TERN_ERR_SHAPE, "%s: input 0 has rank %d", n.type().c_str(), rank);
  IntList axes;
  for (int i = 0; i < rank - 2; ++i) axes.items[axes.count++] = first + i;
  return set_encoded(n, b.op("reduce_mean", {x}, {{"axes", axes}, {"keep_dims", 1}}), 3, n.in(0));
}

tern_status lower_qlinear_concat(OnnxNode& n) {
  Builder& b = n.b;
  std::vector<ValueId> parts;
  for (int i = 2; i + 2 < n.proto.input_size(); i += 3) parts.push_back(decoded(n, i));
  TERN_TRY(b.status());
  if (parts.empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "QLinearConcat has no inputs");
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", 0), b.rank(parts[0]), &axis));
  return set_encoded(n, b.op("concat", parts, {{"axis", axis}}), 0, n.in(2));
}

// a, its scale and zero point, b, scale and zero point of b, c (i32 in steps of both scales), scale and zero point of
// y, without which y is f32
tern_status lower_qgemm(OnnxNode& n) {
  Builder& b = n.b;
  const bool ta = n.integer("transA", 0) != 0, tb = n.integer("transB", 0) != 0;
  const double alpha = n.number("alpha", 1);
  ValueId x = n.in(0), w = n.in(3);
  TERN_TRY(b.status());
  if (b.rank(x) != 2 || b.rank(w) != 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "QGemm: inputs of rank %d and %d instead of 2", b.rank(x), b.rank(w));
  if (ta) x = b.transpose(x, {1, 0});
  if (tb) w = b.transpose(w, {1, 0});
  ValueId y = b.op("matmul_integer", {x, w, one_as_scalar(b, n.in(2)), one_as_scalar(b, n.in(5))});
  if (n.has(6)) y = b.add(y, n.in(6));
  ValueId scale = b.mul(one_as_scalar(b, n.constant_in(1)), one_as_scalar(b, n.constant_in(4)));
  if (alpha != 1) scale = b.mul(scale, b.like(scale, alpha));
  y = b.mul(b.cast(y, TERN_DTYPE_F32), scale);
  if (n.has(7)) return set_encoded(n, y, 7, x);
  n.set(0, y);
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"com.microsoft:QLinearAdd", lower_qlinear_binary},
    {"com.microsoft:QLinearMul", lower_qlinear_binary},
    {"com.microsoft:QLinearSigmoid", lower_qlinear_unary},
    {"com.microsoft:QLinearLeakyRelu", lower_qlinear_unary},
    {"com.microsoft:QLinearGlobalAveragePool", lower_qlinear_global_pool},
    {"com.microsoft:QLinearConcat", lower_qlinear_concat},
    {"com.microsoft:QGemm", lower_qgemm},
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
