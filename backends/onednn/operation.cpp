// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/operation.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/conv2d.h"
#include "ops/matmul.h"

namespace tern::onednn {
namespace {

bool is_fixed(const Graph& g, ValueId v) {
  return v == kNoValue || g.value(v).kind == ValueKind::constant || g.value(v).kind == ValueKind::parameter;
}

const char* refuse_operands(const Graph& g, const Product& p) {
  const Value &x = p.graph->value(p.node->in[0]), &w = p.graph->value(p.node->in[1]);
  if (x.dtype != TERN_DTYPE_F32 || p.graph->value(p.node->out[0]).dtype != TERN_DTYPE_F32)
    return "f32 activations only";
  if (!is_float(w.dtype) || !is_permutation(w.encoding)) return "weights of floats only";
  if (!p.out_affine.empty()) return "no scale behind an activation";
  bool fixed = is_fixed(g, p.in(1)) && is_fixed(g, p.bias) && is_fixed(g, p.slope);
  for (const Product::Affine& a : p.affine)
    fixed = fixed && is_fixed(g, a.a) && is_fixed(g, a.b) && is_fixed(g, a.c) && is_fixed(g, a.d);
  return fixed ? nullptr : "weights that do not change only";
}

void read_conv(Operation& op) {
  const Product& p = op.product;
  const Conv2dAttrs& attrs = p.node->attrs<Conv2dAttrs>();
  const Shape &x = p.graph->value(p.node->in[0]).shape, &w = p.graph->value(p.node->in[1]).shape,
              &y = p.graph->value(p.node->out[0]).shape;
  op.batch = x[0], op.in_h = x[1], op.in_w = x[2], op.in_c = x[3];
  op.out_h = y[1], op.out_w = y[2], op.out_c = y[3];
  op.kernel_h = w[1], op.kernel_w = w[2], op.groups = attrs.groups;
  op.stride_h = attrs.strides[0], op.stride_w = attrs.strides[1];
  op.dilation_h = attrs.dilations[0], op.dilation_w = attrs.dilations[1];
  op.pad_top = attrs.pads[0], op.pad_left = attrs.pads[1], op.pad_right = attrs.pads[3];
  const bool padded = attrs.pads[0] || attrs.pads[1] || attrs.pads[2] || attrs.pads[3];
  if (op.kernel_h == 1 && op.kernel_w == 1 && op.stride_h == 1 && op.stride_w == 1 && !padded) {
    op.in_w = op.out_w = op.batch * op.in_h * op.in_w;
    op.batch = op.in_h = op.out_h = 1;
  }
}

void read_linear(Operation& op) {
  const Shape &x = op.product.graph->value(op.product.node->in[0]).shape,
              &w = op.product.graph->value(op.product.node->in[1]).shape;
  op.in_c = w[1], op.out_c = w[0];
  op.in_w = 1;
  for (int i = 0; i + 1 < x.rank; ++i) op.in_w *= x[i];
  op.out_w = op.in_w;
}

const char* read_matmul(const Graph& g, const Node& n, Operation& op) {
  if (!is_plain(g.value(n.out[0]).encoding)) return "plain results only";
  const Value &a = g.value(n.in[0]), &b = g.value(n.in[1]);
  if (a.dtype != TERN_DTYPE_F32 || b.dtype != TERN_DTYPE_F32 || !is_plain(b.encoding)) return "f32 matrices only";
  if (a.shape.rank < 2 || b.shape.rank < 2) return "matrices only";
  const MatmulAttrs& attrs = n.attrs<MatmulAttrs>();
  op.kind = Operation::matmul;
  op.a_transposed = attrs.transpose_a != 0, op.b_transposed = attrs.transpose_b != 0;
  op.y = g.value(n.out[0]).shape;
  for (auto [shape, aligned] : {std::pair{&a.shape, &op.a}, {&b.shape, &op.b}})
    for (int i = 0; i < op.y.rank; ++i)
      aligned->push(i < op.y.rank - shape->rank ? 1 : (*shape)[i - (op.y.rank - shape->rank)]);
  op.flops = 2.0 * (double)op.y.elements() * (double)op.a[op.y.rank - (op.a_transposed ? 2 : 1)];
  return op.flops > 0 ? nullptr : "nothing to do";
}

tern_status describe_picture(int64_t batch, int64_t h, int64_t w, int64_t c, MemoryDesc* out) {
  const Dims dims = {batch, c, h, w}, strides = {h * w * c, 1, w * c, c};
  return check(api().memory_desc_create_with_strides(out->out(), 4, dims, kF32, strides), "tensor");
}

// Rows [begin, end) of a matrix with batch dims; all of it where `end` < 0. *offset: elements before the first row.
tern_status describe_matrix(const Shape& shape, bool transposed, int64_t begin, int64_t end, int64_t* offset,
                            MemoryDesc* out) {
  Dims dims = {}, strides = {};
  int64_t stride = 1;
  for (int i = shape.rank; i-- > 0; stride *= shape[i]) dims[i] = shape[i], strides[i] = stride;
  const int row = shape.rank - 2;
  if (transposed) std::swap(dims[row], dims[row + 1]), std::swap(strides[row], strides[row + 1]);
  *offset = begin * strides[row];
  if (end >= 0) dims[row] = end - begin;
  return check(api().memory_desc_create_with_strides(out->out(), shape.rank, dims, kF32, strides), "matrix");
}

tern_status append_step(dnnl_post_ops* ops, const ElementwiseStep& step) {
  const auto append = [&](int algorithm, float alpha = 0, float beta = 0) {
    return check(api().post_ops_append_eltwise(ops, algorithm, alpha, beta), "activation");
  };
  switch (step.kind) {
    case Elementwise::none: return TERN_OK;
    case Elementwise::relu: return append(kRelu);
    case Elementwise::clip: return append(kClip, (float)step.p0, (float)step.p1);
    case Elementwise::prelu: return check(api().post_ops_append_prelu(ops, 2), "prelu");
    case Elementwise::leaky_relu: return append(kRelu, (float)step.p0);
    case Elementwise::hard_swish: return append(kHardSwish, 1.0f / 6, 0.5f);
    case Elementwise::hard_sigmoid: return append(kHardSigmoid, (float)step.p0, (float)step.p1);
    case Elementwise::sigmoid: return append(kLogistic);
    case Elementwise::tanh: return append(kTanh);
    case Elementwise::silu: return append(kSwish, 1);
    case Elementwise::gelu_erf: return append(kGeluErf);
    case Elementwise::gelu_tanh: return append(kGeluTanh);
    default: return TERN_FAIL(TERN_ERR_UNSUPPORTED, "oneDNN: another activation behind a product");
  }
}

// What is done with sums before they are stored; y: the result's layout, which a residual shares.
tern_status describe_epilogue(const Product& p, const dnnl_memory_desc* y, PrimitiveAttr* out) {
  PostOps ops;
  TERN_TRY(check(api().post_ops_create(ops.out()), "epilogue"));
  const auto residual = [&] { return check(api().post_ops_append_binary(ops.get(), kBinaryAdd, y), "residual"); };
  if (p.residual != kNoValue && p.residual_first) TERN_TRY(residual());
  TERN_TRY(append_step(ops.get(), p.activation));
  if (p.residual != kNoValue && !p.residual_first) TERN_TRY(residual());
  TERN_TRY(append_step(ops.get(), p.last_clip));
  TERN_TRY(check(api().primitive_attr_create(out->out()), "epilogue"));
  TERN_TRY(check(api().primitive_attr_set_scratchpad_mode(out->get(), kScratchpadOfUser), "epilogue"));
  return check(api().primitive_attr_set_post_ops(out->get(), ops.get()), "epilogue");
}

// Rows of the input that output rows [begin, end) read, without those in the padding.
struct Rows {
  int64_t first, count, pad_before, pad_after;
};
Rows rows_read(const Operation& op, int64_t begin, int64_t end) {
  const int64_t from = begin * op.stride_h - op.pad_top,
                to = (end - 1) * op.stride_h - op.pad_top + (op.kernel_h - 1) * op.dilation_h + 1;
  const int64_t first = std::clamp<int64_t>(from, 0, op.in_h), last = std::clamp<int64_t>(to, first, op.in_h);
  return {first, last - first, first - from, to - last};
}

// Pixels that do not depend on each other.
bool is_one_row(const Operation& op) {
  return op.in_h == 1 && op.out_h == 1 && op.kernel_w == 1 && op.stride_w == 1 && !op.pad_left && !op.pad_right;
}

tern_status describe_conv(const Operation& op, dnnl_engine* engine, const dnnl_memory_desc* weights, Band* band) {
  int64_t batch = op.batch, in_w = op.in_w, out_w = op.out_w, out_h = op.out_h;
  Rows rows{0, op.in_h, op.pad_top, 0};
  const int64_t count = band->end - band->begin;
  if (op.batch > 1) {
    batch = count;
    band->a_offset = band->begin * op.in_h * op.in_w * op.in_c;
    band->y_offset = band->begin * op.out_h * op.out_w * op.out_c;
    rows = rows_read(op, 0, op.out_h);
    rows.count = op.in_h;  // rows that nothing reads stay between the images
  } else if (is_one_row(op)) {
    in_w = out_w = count;
    band->a_offset = band->begin * op.in_c;
    band->y_offset = band->begin * op.out_c;
    rows = rows_read(op, 0, 1);
  } else {
    rows = rows_read(op, band->begin, band->end);
    out_h = count;
    band->a_offset = rows.first * op.in_w * op.in_c;
    band->y_offset = band->begin * op.out_w * op.out_c;
  }
  if (rows.count < 1) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "oneDNN: rows that read padding only");
  TERN_TRY(describe_picture(batch, rows.count, in_w, op.in_c, &band->a));
  TERN_TRY(describe_picture(batch, out_h, out_w, op.out_c, &band->y));
  MemoryDesc any, bias;
  if (!weights) TERN_TRY(describe_weights(op, true, &any));
  if (op.has_bias()) TERN_TRY(describe_channels(op, false, &bias));
  PrimitiveAttr attr;
  TERN_TRY(describe_epilogue(op.product, band->y.get(), &attr));
  const Dims strides = {op.stride_h, op.stride_w}, dilations = {op.dilation_h - 1, op.dilation_w - 1},
             before = {rows.pad_before, op.pad_left};
  const int64_t after_h =
      (out_h - 1) * op.stride_h + (op.kernel_h - 1) * op.dilation_h + 1 - rows.pad_before - rows.count;
  const int64_t after_w = (out_w - 1) * op.stride_w + (op.kernel_w - 1) * op.dilation_w + 1 - op.pad_left - in_w;
  const Dims after = {after_h, after_w};
  return check(
      api().convolution_forward_primitive_desc_create(band->primitive.out(), engine, kForwardInference, kDirect,
                                                      band->a.get(), weights ? weights : any.get(), bias.get(),
                                                      band->y.get(), strides, dilations, before, after, attr.get()),
      "convolution");
}

tern_status describe_matmul(const Operation& op, dnnl_engine* engine, Band* band) {
  int64_t none = 0;
  TERN_TRY(describe_matrix(op.a, op.a_transposed, band->begin, band->end, &band->a_offset, &band->a));
  TERN_TRY(describe_matrix(op.b, op.b_transposed, 0, -1, &none, &band->b));
  TERN_TRY(describe_matrix(op.y, false, band->begin, band->end, &band->y_offset, &band->y));
  PrimitiveAttr attr;
  TERN_TRY(describe_epilogue(op.product, band->y.get(), &attr));
  return check(api().matmul_primitive_desc_create(band->primitive.out(), engine, band->a.get(), band->b.get(), nullptr,
                                                  band->y.get(), attr.get()),
               "matrix product");
}

}  // namespace

const char* read_operation(const Graph& g, const Node& n, Operation* out) {
  *out = Operation{};
  if (n.op == &op_matmul) return read_matmul(g, n, *out);
  const Op* op = is_fused(n, FusedPattern::product) ? n.subgraphs[0].nodes[0].op : n.op;
  if (op != &op_conv2d && op != &op_linear) return "convolutions and matrix products only";
  out->product = read_product(g, n);
  Product& p = out->product;
  p.bias = p.in(2);
  if (const char* why = refuse_operands(g, p)) return why;
  if (op == &op_conv2d) read_conv(*out);
  else read_linear(*out);
  out->flops = 2.0 * (double)p.shape.elements() * (double)out->kernel_h * (double)out->kernel_w *
               (double)(out->in_c / out->groups);
  return out->flops > 0 ? nullptr : "nothing to do";
}

int64_t divisible_units(const Operation& op) {
  if (op.kind == Operation::matmul) return op.y[op.y.rank - 2];
  if (op.batch > 1) return op.batch;
  return is_one_row(op) ? op.out_w : op.out_h;
}

tern_status describe(const Operation& op, dnnl_engine* engine, const dnnl_memory_desc* weights, Band* band) {
  TERN_TRY(op.kind == Operation::matmul ? describe_matmul(op, engine, band) : describe_conv(op, engine, weights, band));
  const char* name = nullptr;
  TERN_TRY(check(api().primitive_desc_query(band->primitive.get(), kQueryImplementation, 0, &name), "description"));
  if (!name || std::strncmp(name, "ref", 3) == 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "oneDNN has plain loops only for this");
  return TERN_OK;
}

tern_status describe_channels(const Operation& op, bool picture, MemoryDesc* out) {
  const Dims dims = {picture ? 1 : op.out_c, op.out_c, 1, 1}, strides = {picture ? op.out_c : 1, 1, 1, 1};
  return check(api().memory_desc_create_with_strides(out->out(), picture ? 4 : 1, dims, kF32, strides),
               "numbers of channels");
}

tern_status describe_weights(const Operation& op, bool any_layout, MemoryDesc* out) {
  const int64_t in = op.in_c / op.groups, outputs = op.out_c / op.groups, taps = op.kernel_h * op.kernel_w;
  const Dims dims = {op.groups, outputs, in, op.kernel_h, op.kernel_w},
             strides = {outputs * taps * in, taps * in, 1, op.kernel_w * in, in};
  const int skip = op.groups > 1 ? 0 : 1;
  return check(any_layout
                   ? api().memory_desc_create_with_tag(out->out(), 5 - skip, dims + skip, kF32, kAnyLayout)
                   : api().memory_desc_create_with_strides(out->out(), 5 - skip, dims + skip, kF32, strides + skip),
               "weights");
}

void fold_affine(const Graph& g, std::span<const void* const> fixed, const Product& product, int64_t channels,
                 std::vector<double>* scale, std::vector<double>* shift) {
  const auto at = [&](ValueId v, int64_t i) {
    return load_element(g.value(v).dtype, fixed[(size_t)v], g.value(v).shape.elements() == 1 ? 0 : i);
  };
  scale->assign((size_t)channels, 1.0);
  shift->assign((size_t)channels, 0.0);
  for (int64_t i = 0; i < channels; ++i) {
    double &s = (*scale)[(size_t)i], &t = (*shift)[(size_t)i];
    if (product.bias != kNoValue) t = at(product.bias, i);
    for (const Product::Affine& a : product.affine) {
      if (a.kind == Product::Affine::add) {
        t += at(a.a, i);
        continue;
      }
      const bool norm = a.kind == Product::Affine::batch_norm;
      const double k = norm ? at(a.a, i) / std::sqrt(at(a.d, i) + a.epsilon) : at(a.a, i);
      s *= k;
      t = norm ? (t - at(a.c, i)) * k + at(a.b, i) : t * k;
    }
  }
}

}  // namespace tern::onednn
