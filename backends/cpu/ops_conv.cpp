// SPDX-License-Identifier: Apache-2.0
// conv2d, conv_transpose2d and what is fused behind or around them.
#include "backends/cpu/epilogue.h"
#include "backends/cpu/pack.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/conv_transpose.h"
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/inverted_residual.h"
#include "kernels/cpu/matmul_f64.h"
#include "ops/conv2d.h"

namespace tern::cpu {
namespace {

// Groups of few channels do not fill a product's tiles.
constexpr int64_t kFewInputs = 32, kFewOutputs = 16;
template <class Attrs>
bool has_few_channels(const Product& c) {
  const int64_t groups = c.node->attrs<Attrs>().groups, inputs = c.graph->value(c.node->in[0]).shape[3] / groups,
                outputs = c.graph->value(c.node->out[0]).shape[3] / groups;
  return groups > 1 && outputs > 0 && inputs > 0 && inputs <= kFewInputs && (inputs == 1 || outputs < kFewOutputs);
}

const char* refuse_product(const Product& c) {
  const Graph& g = *c.graph;
  const Node& n = *c.node;
  if (g.value(n.in[0]).dtype != TERN_DTYPE_F32 || g.value(n.out[0]).dtype != TERN_DTYPE_F32)
    return "the kernel takes f32 pictures only";
  const Value& w = g.value(n.in[1]);
  if (!is_weight_type(w.dtype)) return "the kernel takes weights of up to 32 bits only";
  if (!is_permutation(w.encoding)) return "the kernel takes encodings that keep each element only";
  if (n.in.size() > 2 && n.in[2] != kNoValue && !is_weight_type(g.value(n.in[2]).dtype))
    return "the kernel takes biases of up to 32 bits only";
  return nullptr;
}

const char* refuse_conv(const Graph& g, const Node& n) {
  return n.op == &op_conv2d && is_f64(g, n) ? nullptr : refuse_product(read_product(g, n));
}

int32_t narrow(int64_t v) { return (int32_t)v; }

template <class Attrs>
tern_status fill_depthwise(Prepare& p, Product& c, DepthwiseArgs* a) {
  const Attrs& attrs = c.node->attrs<Attrs>();
  const Shape &x = c.graph->value(c.node->in[0]).shape, &w = c.graph->value(c.node->in[1]).shape,
              &y = c.graph->value(c.node->out[0]).shape;
  a->transposed = std::is_same_v<Attrs, ConvTranspose2dAttrs>;
  a->batch = x[0], a->in_h = x[1], a->in_w = x[2], a->channels = x[3];
  a->out_h = y[1], a->out_w = y[2];
  a->group_in = narrow(x[3] / attrs.groups), a->multiplier = narrow(y[3] / attrs.groups);
  a->kernel_h = narrow(w[1]), a->kernel_w = narrow(w[2]);
  a->stride_h = narrow(attrs.strides[0]), a->stride_w = narrow(attrs.strides[1]);
  a->dilation_h = narrow(attrs.dilations[0]), a->dilation_w = narrow(attrs.dilations[1]);
  a->pad_top = narrow(attrs.pads[0]), a->pad_left = narrow(attrs.pads[1]);
  a->x_pixel = x[3], a->y_pixel = p.row_step(p.node.out[0]);
  c.bias = c.in(2);
  TERN_TRY(fill_epilogue(p, c, y[3], &a->epilogue));
  const PackShape shape{.order = a->transposed ? PackOrder::transposed_depthwise : PackOrder::depthwise,
                        .outputs = y[3],
                        .inputs = w[1] * w[2] * a->group_in,
                        .groups = attrs.groups,
                        .kernel = w[1] * w[2]};
  return pack_weights(p, c.in(1), shape, &a->w, &a->w_half);
}

template <class Attrs>
tern_status prepare_depthwise(Prepare& p, Product& c) {
  DepthwiseArgs& a = p.args<DepthwiseArgs>();
  TERN_TRY(fill_depthwise<Attrs>(p, c, &a));
  p.pointer(a.x, c.in(0));
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.depthwise->depthwise, &a, depthwise_units(a), depthwise_unit_flops(a), depthwise_scratch_bytes(a));
  return TERN_OK;
}

tern_status prepare_dense(Prepare& p, Product& c) {
  const Conv2dAttrs& attrs = c.node->attrs<Conv2dAttrs>();
  const Shape &x = c.graph->value(c.node->in[0]).shape, &w = c.graph->value(c.node->in[1]).shape,
              &y = c.graph->value(c.node->out[0]).shape;
  ConvArgs& a = p.args<ConvArgs>();
  a.batch = x[0], a.in_h = x[1], a.in_w = x[2], a.in_c = x[3];
  a.out_h = y[1], a.out_w = y[2], a.out_c = y[3];
  a.x_pixel = x[3], a.y_pixel = p.row_step(p.node.out[0]);
  a.kernel_h = narrow(w[1]), a.kernel_w = narrow(w[2]);
  a.stride_h = narrow(attrs.strides[0]), a.stride_w = narrow(attrs.strides[1]);
  a.dilation_h = narrow(attrs.dilations[0]), a.dilation_w = narrow(attrs.dilations[1]);
  a.pad_top = narrow(attrs.pads[0]), a.pad_left = narrow(attrs.pads[1]);
  a.groups = narrow(attrs.groups);
  c.bias = c.in(2);
  TERN_TRY(fill_epilogue(p, c, y[3], &a.epilogue));
  // Winograd pays from about 64 input channels on, where its weights are made once.
  const PackShape shape{
      .order = PackOrder::panels, .outputs = w[0], .inputs = w[1] * w[2] * w[3], .groups = attrs.groups};
  const bool fits = a.kernel_h == 3 && a.kernel_w == 3 && a.stride_h == 1 && a.stride_w == 1 && a.dilation_h == 1 &&
                    a.dilation_w == 1 && a.groups == 1;
  if (fits && a.in_c >= 64 && a.out_c >= 16 && y[1] * y[2] >= 64 && p.fixed(c.in(1))) {
    a.method = ConvMethod::winograd;
    TERN_TRY(winograd_weights(p, c.in(1), shape, a.out_c, a.in_c, &a.w));
  } else {
    TERN_TRY(pack_weights(p, c.in(1), shape, &a.w, &a.w_half));
  }
  p.pointer(a.x, c.in(0));
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.conv->conv, &a, conv_units(a), conv_unit_flops(a), conv_scratch_bytes(a));
  return TERN_OK;
}

// ---- f64: the inputs of some output pixels are copied into rows, which then are the left factor of a product ----

// Unit: `block` output pixels of one group.
struct ConvF64Args {
  const double *x, *w, *bias;
  double* y;
  int64_t in_h, in_w, in_c, out_h, out_w, out_c, y_pixel, pixels, block, groups;
  int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  KernelFn product;

  int64_t group_in() const { return in_c / groups; }
  int64_t group_out() const { return out_c / groups; }
  int64_t taps() const { return kernel_h * kernel_w * group_in(); }
};

// The inputs of the output pixel `pixel` in the order of a filter.
void copy_window(const ConvF64Args& a, int64_t pixel, int64_t group, double* row) {
  const int64_t depth = a.group_in(), ox = pixel % a.out_w, oy = pixel / a.out_w % a.out_h;
  const double* picture = a.x + pixel / a.out_w / a.out_h * a.in_h * a.in_w * a.in_c + group * depth;
  for (int64_t ky = 0; ky < a.kernel_h; ++ky)
    for (int64_t kx = 0; kx < a.kernel_w; ++kx, row += depth) {
      const int64_t iy = oy * a.stride_h - a.pad_top + ky * a.dilation_h,
                    ix = ox * a.stride_w - a.pad_left + kx * a.dilation_w;
      if (iy < 0 || iy >= a.in_h || ix < 0 || ix >= a.in_w) std::fill_n(row, depth, 0.0);
      else std::copy_n(picture + (iy * a.in_w + ix) * a.in_c, depth, row);
    }
}

void run_conv_f64(const void* args, int64_t begin, int64_t end, void* scratch) {
  const ConvF64Args& a = *(const ConvF64Args*)args;
  double* rows = (double*)((char*)scratch + matmul_f64_scratch_bytes());
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t group = unit % a.groups, first = unit / a.groups * a.block;
    MatmulF64Args m;
    m.m = std::min(a.block, a.pixels - first), m.n = a.group_out(), m.k = m.a_stride = m.b_stride = a.taps();
    for (int64_t i = 0; i < m.m; ++i) copy_window(a, first + i, group, rows + i * m.k);
    m.a = rows, m.b = a.w + group * m.n * m.k, m.b_transposed = 1;
    m.bias = a.bias ? a.bias + group * m.n : nullptr;
    m.y = a.y + first * a.y_pixel + group * m.n, m.y_stride = a.y_pixel;
    a.product(&m, 0, units(m), scratch);
  }
}

tern_status prepare_conv_f64(Prepare& p) {
  const Conv2dAttrs& attrs = p.node.attrs<Conv2dAttrs>();
  const Shape &x = p.in(0).shape, &w = p.in(1).shape, &y = p.out(0).shape;
  ConvF64Args& a = p.args<ConvF64Args>();
  a = {};
  a.in_h = x[1], a.in_w = x[2], a.in_c = x[3], a.out_h = y[1], a.out_w = y[2], a.out_c = y[3];
  a.y_pixel = p.row_step(p.node.out[0]), a.pixels = y[0] * y[1] * y[2], a.groups = attrs.groups;
  a.kernel_h = w[1], a.kernel_w = w[2], a.stride_h = attrs.strides[0], a.stride_w = attrs.strides[1];
  a.dilation_h = attrs.dilations[0], a.dilation_w = attrs.dilations[1];
  a.pad_top = attrs.pads[0], a.pad_left = attrs.pads[1];
  a.product = p.k.matmul_f64->matmul;
  constexpr int64_t kRows = 96, kRoom = 1 << 16;  // numbers
  a.block = std::clamp<int64_t>(kRoom / std::max<int64_t>(a.taps(), 1), 6, kRows);
  uint64_t bytes = 0;
  if (!checked_mul<uint64_t>((uint64_t)a.block * sizeof(double), (uint64_t)a.taps(), &bytes) ||
      !checked_add<uint64_t>(bytes, matmul_f64_scratch_bytes(), &bytes))
    return TERN_FAIL(TERN_ERR_LIMIT, "conv2d: the filters are too large");
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.w, p.node.in[1]);
  if (p.has(2)) p.pointer(a.bias, p.node.in[2]);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_conv_f64, &a, ceil_div(a.pixels, a.block) * a.groups,
         4.0 * (double)a.block * (double)a.group_out() * (double)a.taps(), (size_t)bytes);
  return TERN_OK;
}

tern_status prepare_conv(Prepare& p) {
  if (p.in(0).dtype == TERN_DTYPE_F64) return prepare_conv_f64(p);
  Product c = read_product(p.g, p.node);
  return has_few_channels<Conv2dAttrs>(c) ? prepare_depthwise<Conv2dAttrs>(p, c) : prepare_dense(p, c);
}

const char* refuse_conv_transpose(const Graph& g, const Node& n) {
  const Product c = read_product(g, n);
  if (!is_plain(g.value(c.outer[(size_t)c.node->in[1]]).encoding)) return "the kernel takes plain weights only";
  return refuse_product(c);
}

tern_status prepare_conv_transpose(Prepare& p) {
  Product c = read_product(p.g, p.node);
  if (has_few_channels<ConvTranspose2dAttrs>(c)) return prepare_depthwise<ConvTranspose2dAttrs>(p, c);
  const ConvTranspose2dAttrs& attrs = c.node->attrs<ConvTranspose2dAttrs>();
  const Shape &x = c.graph->value(c.node->in[0]).shape, &w = c.graph->value(c.node->in[1]).shape,
              &y = c.graph->value(c.node->out[0]).shape;
  ConvTransposeArgs& a = p.args<ConvTransposeArgs>();
  a.batch = x[0], a.in_h = x[1], a.in_w = x[2], a.in_c = x[3];
  a.out_h = y[1], a.out_w = y[2], a.out_c = y[3];
  a.x_pixel = x[3], a.y_pixel = p.row_step(p.node.out[0]);
  a.kernel_h = narrow(w[1]), a.kernel_w = narrow(w[2]);
  a.stride_h = narrow(attrs.strides[0]), a.stride_w = narrow(attrs.strides[1]);
  a.dilation_h = narrow(attrs.dilations[0]), a.dilation_w = narrow(attrs.dilations[1]);
  a.pad_top = narrow(attrs.pads[0]), a.pad_left = narrow(attrs.pads[1]);
  a.groups = narrow(attrs.groups);
  c.bias = c.in(2);
  TERN_TRY(fill_epilogue(p, c, y[3], &a.epilogue));
  // Weights are [in][kernel][out / groups].
  const PackShape shape{.order = PackOrder::transposed_panels,
                        .outputs = y[3],
                        .inputs = w[1] * w[2] * (x[3] / attrs.groups),
                        .groups = attrs.groups,
                        .kernel = w[1] * w[2]};
  TERN_TRY(pack_weights(p, c.in(1), shape, &a.w, &a.w_half));
  p.pointer(a.x, c.in(0));
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.conv_transpose->conv_transpose, &a, conv_transpose_units(a), conv_transpose_unit_flops(a),
         conv_transpose_scratch_bytes(a));
  return TERN_OK;
}

// The three products of an inverted residual.
void read_group(const Node& n, Product parts[3]) {
  const Graph& sub = n.subgraphs[0];
  std::vector<ValueId> outer(sub.values.size(), kNoValue);
  for (size_t i = 0; i < sub.inputs.size(); ++i) outer[(size_t)sub.inputs[i]] = n.in[i];
  for (size_t i = 0; i < 3; ++i) parts[i] = read_product(sub, sub.nodes[i], outer);
}

const char* refuse_inverted_residual(const Node& n) {
  Product parts[3];
  read_group(n, parts);
  for (const Product& p : parts)
    if (const char* why = refuse_product(p)) return why;
  return nullptr;
}

tern_status fill_pointwise(Prepare& p, Product& c, PointwiseLayer* layer) {
  const Shape& w = c.graph->value(c.node->in[1]).shape;
  c.bias = c.in(2);
  TERN_TRY(fill_epilogue(p, c, w[0], &layer->epilogue));
  return pack_weights(p, c.in(1), {.order = PackOrder::panels, .outputs = w[0], .inputs = w[3]}, &layer->w,
                      &layer->w_half);
}

tern_status prepare_inverted_residual(Prepare& p) {
  Product parts[3];
  read_group(p.node, parts);
  InvertedResidualArgs& a = p.args<InvertedResidualArgs>();
  TERN_TRY(fill_pointwise(p, parts[0], &a.expand));
  TERN_TRY(fill_depthwise<Conv2dAttrs>(p, parts[1], &a.depthwise));
  TERN_TRY(fill_pointwise(p, parts[2], &a.project));
  a.in_c = parts[0].graph->value(parts[0].node->in[0]).shape[3];
  a.out_c = parts[2].shape[3];
  a.x_pixel = a.in_c, a.y_pixel = p.row_step(p.node.out[0]);
  p.pointer(a.x, parts[0].in(0));
  p.pointer(a.y, p.node.out[0]);
  // The layers must count as present when sizes are asked for, before their pointers are known.
  InvertedResidualArgs sized = a;
  sized.expand.w = sized.project.w = &a;
  p.call(p.k.inverted_residual->inverted_residual, &a, inverted_residual_units(sized),
         inverted_residual_unit_flops(sized), inverted_residual_scratch_bytes(sized));
  return TERN_OK;
}

// What runs a product runs it with what was fused behind it, too.
const CpuOp& product_op(const Node& n) { return *find_cpu_op(n.subgraphs[0].nodes[0].op); }

const char* refuse_fused(const Graph& g, const Node& n) {
  if (is_fused(n, FusedPattern::chain)) return refuse_fused_chain(g, n);
  if (is_fused(n, FusedPattern::int8_product)) return refuse_int8_product(g, n);
  return is_fused(n, FusedPattern::product) ? product_op(n).refuses(g, n) : refuse_inverted_residual(n);
}

tern_status prepare_fused(Prepare& p) {
  if (is_fused(p.node, FusedPattern::chain)) return prepare_fused_chain(p);
  if (is_fused(p.node, FusedPattern::int8_product)) return prepare_int8_product(p);
  return is_fused(p.node, FusedPattern::product) ? product_op(p.node).prepare(p) : prepare_inverted_residual(p);
}

constexpr CpuOp kOps[] = {
    {&op_conv2d, refuse_conv, prepare_conv, true},
    {&op_conv_transpose2d, refuse_conv_transpose, prepare_conv_transpose, true},
    {&op_fused, refuse_fused, prepare_fused, true},
};

}  // namespace

std::span<const CpuOp> cpu_ops_conv() { return kOps; }

}  // namespace tern::cpu
