// SPDX-License-Identifier: Apache-2.0
// What the CPU's kernels compute in one pass.
#include "backends/cpu/fusion.h"

#include <algorithm>

#include "backends/cpu/int8_product.h"
#include "backends/cpu/widen.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/dispatch.h"
#include "ops/conv2d.h"
#include "ops/pad.h"
#include "ops/quantize.h"
#include "passes/eliminate.h"
#include "passes/join.h"

namespace tern::cpu {
namespace {

// Level 2 cache of one core on most processors in use; a tensor above it goes to memory and back.
constexpr uint64_t kCacheBytes = 1u << 20;

// Per value: how many read it, and the node that reads it last.
struct Readers {
  std::vector<int32_t> count, node;
  explicit Readers(const Graph& g) : count(count_readers(g)), node(g.values.size(), -1) {
    for (size_t i = 0; i < g.nodes.size(); ++i)
      for (const ValueId v : g.nodes[i].in)
        if (v != kNoValue) node[(size_t)v] = (int32_t)i;
  }
};

bool is_product(const Graph& g, const Node& n) {
  return (n.op == &op_conv2d || n.op == &op_linear || n.op == &op_conv_transpose2d ||
          ((n.op == &op_bit_linear || n.op == &op_rounded_linear) && !find_cpu_op(n.op)->refuses(g, n))) &&
         g.value(n.out[0]).dtype == TERN_DTYPE_F32;
}

// The convolution of a node: itself, or the first of a fused one.
const Node* conv_of(const Node& n) {
  const Node* c = &n;
  if (is_fused(n, FusedPattern::product)) c = &n.subgraphs[0].nodes[0];
  return c->op == &op_conv2d ? c : nullptr;
}

// Shapes of the convolution's operands, wherever its values live.
const Graph& graph_of(const Graph& g, const Node& n) { return n.subgraphs.size() == 1 ? n.subgraphs[0] : g; }

bool is_pointwise(const Graph& g, const Node& n) {
  const Node* c = conv_of(n);
  if (!c) return false;
  const Conv2dAttrs& a = c->attrs<Conv2dAttrs>();
  const Shape& w = graph_of(g, n).value(c->in[1]).shape;
  return w[1] == 1 && w[2] == 1 && a.groups == 1 && a.strides[0] == 1 && a.strides[1] == 1 && a.pads[0] == 0 &&
         a.pads[1] == 0 && a.pads[2] == 0 && a.pads[3] == 0;
}

bool is_depthwise(const Graph& g, const Node& n) {
  const Node* c = conv_of(n);
  if (!c) return false;
  const Shape& w = graph_of(g, n).value(c->in[1]).shape;
  const int64_t channels = graph_of(g, n).value(c->in[0]).shape[3];
  return c->attrs<Conv2dAttrs>().groups == channels && channels > 1 && w[0] == channels;
}

// Operands of a fused convolution that are whole tensors beside its input: the residual.
bool has_residual(const Graph& g, const Node& n, const Shape& shape) {
  for (size_t i = 1; i < n.in.size(); ++i)
    if (n.in[i] != kNoValue && g.value(n.in[i]).shape == shape && g.value(n.in[i]).kind == ValueKind::node) return true;
  return false;
}

// A value with one number per channel (or one for all): constant, parameter or input, plain f32.
bool is_per_channel(const Graph& g, ValueId v, int64_t channels) {
  if (v == kNoValue) return false;
  const Value& value = g.value(v);
  if (value.dtype != TERN_DTYPE_F32 || !is_plain(value.encoding)) return false;
  const int64_t n = value.shape.elements();
  return n == 1 || (n == channels && value.shape.rank > 0 && value.shape[value.shape.rank - 1] == channels);
}

bool is_given(const Value& v) {
  return v.kind == ValueKind::constant || v.kind == ValueKind::parameter || v.kind == ValueKind::input;
}

// Finds the places of the nodes behind a product.
class EpilogueMatch {
 public:
  EpilogueMatch(const Graph& g, const Shape& shape) : g_(g), shape_(shape) {}

  // Takes `n`, which reads `value` (the result so far), if it fits.
  bool extend(const Node& n, ValueId value, Place* place) {
    if (has_clip_ || n.out.size() != 1 || shape_.rank == 0) return false;
    const Value& out = g_.value(n.out[0]);
    if (out.dtype != TERN_DTYPE_F32 || !(out.shape == shape_)) return false;
    const int64_t channels = shape_[shape_.rank - 1];
    const Elementwise kind = n.op->elementwise;
    // Steps per channel come before anything else, or directly behind the activation.
    const bool behind = has_activation_ && (!has_residual_ || residual_first_);
    size_t& affine = behind ? behind_ : before_;
    const bool may_affine = (behind || (!has_residual_ && !has_activation_)) && affine < FusedAttrs::kMostAffine;
    *place = behind ? Place::result : Place::sums;

    if (kind == Elementwise::add || kind == Elementwise::mul) {
      const ValueId other = n.in[0] == value ? n.in[1] : n.in[0];
      if (other == value) return false;
      const Value& o = g_.value(other);
      const bool fixed = is_given(o) || (o.producer >= 0 && g_.nodes[(size_t)o.producer].op == &op_cast &&
                                         is_given(g_.value(g_.nodes[(size_t)o.producer].in[0])));
      if (may_affine && fixed && is_per_channel(g_, other, channels) && !(o.shape == shape_)) return ++affine, true;
      if (kind == Elementwise::mul || has_residual_ || o.dtype != TERN_DTYPE_F32 || !is_plain(o.encoding) ||
          !(o.shape == shape_))
        return false;
      has_residual_ = true;
      residual_first_ = !has_activation_;
      *place = Place::residual;
      return true;
    }
    if (n.in[0] != value) return false;
    if (n.op == &op_batch_norm) {
      for (size_t i = 1; i < 5; ++i)
        if (!is_per_channel(g_, n.in[i], channels)) return false;
      affine += may_affine;
      return may_affine;
    }
    if (has_activation_) {
      has_clip_ = has_residual_ && !residual_first_ && (kind == Elementwise::relu || kind == Elementwise::clip);
      *place = Place::clip;
      return has_clip_;
    }
    // Behind a residual that no activation preceded, a clip could be either; the activation it is.
    *place = Place::activation;
    has_activation_ = kind == Elementwise::prelu ? is_per_channel(g_, n.in[1], channels)
                                                 : kernels().elementwise->takes(kind, 1, TERN_DTYPE_F32);
    return has_activation_;
  }

 private:
  const Graph& g_;
  const Shape shape_;
  size_t before_ = 0, behind_ = 0;  // steps per channel
  bool has_residual_ = false, residual_first_ = false, has_activation_ = false, has_clip_ = false;
};

// Zero padding of rows and columns becomes part of the convolution that reads it.
void absorb_padding(Graph& g) {
  const Readers readers(g);
  for (Node& n : g.nodes) {
    if (n.op != &op_conv2d) continue;
    const Value& x = g.value(n.in[0]);
    if (x.producer < 0 || readers.count[(size_t)n.in[0]] != 1) continue;
    const Node& p = g.nodes[(size_t)x.producer];
    if (p.op != &op_pad || g.value(p.in[0]).shape.rank != 4) continue;
    int64_t before[kMaxRank], after[kMaxRank];
    if (p.attrs<PadAttrs>().mode != (int64_t)PadMode::constant ||
        pad_amounts(InferArgs{g, p, nullptr}, before, after) != TERN_OK)
      continue;
    double fill = p.attrs<PadAttrs>().value;
    if (p.in.size() > 2 && p.in[2] != kNoValue) {
      const Value& v = g.value(p.in[2]);
      if (!v.data) continue;
      fill = load_element(v.dtype, v.data.bytes, 0);
    }
    if (fill != 0 || before[0] || after[0] || before[3] || after[3]) continue;
    if (before[1] < 0 || before[2] < 0 || after[1] < 0 || after[2] < 0) continue;
    IntList& pads = n.attrs<Conv2dAttrs>().pads;
    pads[0] += before[1];
    pads[1] += before[2];
    pads[2] += after[1];
    pads[3] += after[2];
    n.in[0] = p.in[0];
  }
  eliminate_dead(g);
}

// Convolutions and matrix products with the element-wise nodes behind them.
void fuse_epilogues(Graph& g) {
  const Readers readers(g);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].out.empty() || !is_product(g, g.nodes[i])) continue;
    std::vector<int32_t> members = {(int32_t)i};
    ValueId value = g.nodes[i].out[0];
    EpilogueMatch epilogue(g, g.value(value).shape);
    FusedAttrs attrs{.pattern = (int64_t)FusedPattern::product};
    while (readers.count[(size_t)value] == 1 && readers.node[(size_t)value] >= 0) {
      const int32_t next = readers.node[(size_t)value];
      if (g.nodes[(size_t)next].out.empty() ||
          !epilogue.extend(g.nodes[(size_t)next], value, &attrs.places[members.size()]))
        break;
      members.push_back(next);
      value = g.nodes[(size_t)next].out[0];
    }
    if (members.size() > 1) join(g, members, FusedPattern::product).attrs<FusedAttrs>() = attrs;
  }
  eliminate_dead(g);
}

// 1x1 convolution -> depthwise -> 1x1 convolution, each with its epilogue, where the tensor between is larger than a
// cache: rows are streamed and it never exists as a whole.
void fuse_inverted_residuals(Graph& g) {
  const Readers readers(g);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].out.empty() || !is_depthwise(g, g.nodes[i])) continue;
    const ValueId x = g.nodes[i].in[0], y = g.nodes[i].out[0];
    const Value& wide = g.value(x);
    if ((uint64_t)wide.shape.elements() * 4 <= kCacheBytes || has_residual(g, g.nodes[i], g.value(y).shape)) continue;
    if (wide.producer < 0 || readers.count[(size_t)x] != 1 || readers.count[(size_t)y] != 1 ||
        readers.node[(size_t)y] < 0)
      continue;
    const int32_t expand = wide.producer, project = readers.node[(size_t)y];
    if (g.nodes[(size_t)expand].out.empty() || !is_pointwise(g, g.nodes[(size_t)expand]) ||
        has_residual(g, g.nodes[(size_t)expand], wide.shape))
      continue;
    if (g.nodes[(size_t)project].out.empty() || !is_pointwise(g, g.nodes[(size_t)project]) ||
        g.nodes[(size_t)project].in[0] != y)
      continue;
    // Alone, a few outputs are summed up in another order.
    if (g.value(g.nodes[(size_t)project].out[0]).shape[3] <= kConvHeadOutputs) continue;
    const int32_t members[] = {expand, (int32_t)i, project};
    join(g, members, FusedPattern::inverted_residual);
  }
  eliminate_dead(g);
}

// Between codes of one scale and f32.
bool is_coded_by_one(const Graph& g, const Node& n) {
  if (n.op != &op_dequantize_linear && n.op != &op_quantize_linear) return false;
  const bool decodes = n.op == &op_dequantize_linear;
  const Value &codes = g.value(decodes ? n.in[0] : n.out[0]), &values = g.value(decodes ? n.out[0] : n.in[0]);
  return (codes.dtype == TERN_DTYPE_U8 || codes.dtype == TERN_DTYPE_I8) && values.dtype == TERN_DTYPE_F32 &&
         g.value(n.in[1]).dtype == TERN_DTYPE_F32 && g.value(n.in[1]).shape.elements() == 1 &&
         !is_per_axis(g.value(n.in[1]).shape) && is_plain(codes.encoding) && is_plain(values.encoding);
}

// Groups of element-wise nodes whose results between nobody else reads, with what decodes their operands and encodes
// their result.
void fuse_chains(Graph& g) {
  constexpr size_t kMostNodes = 16, kMostOperands = 6;
  std::vector<std::vector<int32_t>> readers(g.values.size());
  std::vector<char> is_output(g.values.size(), 0);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (const ValueId v : g.nodes[i].in)
      if (v != kNoValue) readers[(size_t)v].push_back((int32_t)i);
  for (const ValueId v : g.outputs) is_output[(size_t)v] = 1;
  const auto fits = [&](const Node& n, const Shape& shape) {
    if (n.op == &op_dequantize_linear) return is_coded_by_one(g, n) && g.value(n.out[0]).shape == shape;
    return (n.op->flags & kElementwise) &&
           kernels().elementwise->takes(n.op->elementwise, (int)n.in.size(), TERN_DTYPE_F32) &&
           g.value(n.out[0]).dtype == TERN_DTYPE_F32 && g.value(n.out[0]).shape == shape &&
           std::all_of(n.in.begin(), n.in.end(), [&](ValueId v) {
             return v != kNoValue && g.value(v).dtype == TERN_DTYPE_F32 && is_plain(g.value(v).encoding);
           });
  };
  // From the last node of a group backwards: a producer joins when all its readers are members.
  for (size_t last = g.nodes.size(); last-- > 0;) {
    if (g.nodes[last].out.empty() || g.nodes[last].op == &op_dequantize_linear) continue;
    const bool encodes = g.nodes[last].op == &op_quantize_linear && is_coded_by_one(g, g.nodes[last]);
    if (!encodes && !fits(g.nodes[last], g.value(g.nodes[last].out[0]).shape)) continue;
    const Shape shape = g.value(g.nodes[last].out[0]).shape;
    std::vector<int32_t> members = {(int32_t)last};
    const auto is_member = [&](int32_t i) { return std::find(members.begin(), members.end(), i) != members.end(); };
    const auto operands = [&] {
      std::vector<ValueId> seen;
      for (const int32_t m : members)
        for (const ValueId v : g.nodes[(size_t)m].in) {
          if (v == kNoValue) continue;
          const Value& value = g.value(v);
          if ((value.producer >= 0 && is_member(value.producer)) ||
              std::find(seen.begin(), seen.end(), v) != seen.end())
            continue;
          if (value.kind == ValueKind::constant && value.shape.elements() == 1) continue;
          seen.push_back(v);
        }
      return seen.size();
    };
    for (bool grew = true; grew && members.size() < kMostNodes;) {
      grew = false;
      for (size_t k = 0; k < members.size() && !grew; ++k)
        for (const ValueId v : g.nodes[(size_t)members[k]].in) {
          if (v == kNoValue) continue;
          const int32_t p = g.value(v).producer;
          if (p < 0 || is_member(p) || is_output[(size_t)v] || g.nodes[(size_t)p].out.empty() ||
              !fits(g.nodes[(size_t)p], shape))
            continue;
          if (!std::all_of(readers[(size_t)v].begin(), readers[(size_t)v].end(), is_member)) continue;
          members.push_back(p);
          if (operands() > kMostOperands) {
            members.pop_back();
            continue;
          }
          grew = true;
          break;
        }
    }
    const auto computes = [&](int32_t i) { return (g.nodes[(size_t)i].op->flags & kElementwise) != 0; };
    if (members.size() < 2 || std::none_of(members.begin(), members.end(), computes)) continue;
    std::sort(members.begin(), members.end());
    join(g, members, FusedPattern::chain);
  }
  eliminate_dead(g);
}

}  // namespace

tern_status fuse(Graph& g) {
  widen_halves(g);
  if (g.status != TERN_OK) return g.status;
  fuse_int8_products(g);
  absorb_padding(g);
  fuse_epilogues(g);
  fuse_inverted_residuals(g);
  fuse_chains(g);
  return g.status;
}

}  // namespace tern::cpu
