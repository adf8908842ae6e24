// SPDX-License-Identifier: Apache-2.0
#include "passes/follow_sizes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "ops/concat.h"
#include "ops/control.h"
#include "ops/conv2d.h"
#include "ops/data_sizes.h"
#include "ops/depth_to_space.h"
#include "ops/elementwise.h"
#include "ops/expand.h"
#include "ops/fill.h"
#include "ops/gather.h"
#include "ops/matmul.h"
#include "ops/op.h"
#include "ops/ops_generated.h"
#include "ops/pad.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/reshape.h"
#include "ops/resize.h"
#include "ops/roi_align.h"
#include "ops/select.h"
#include "ops/shape.h"
#include "ops/slice.h"
#include "ops/transpose.h"

namespace tern {
namespace {

constexpr SizeId kNoSize = -1;          // an element that is fixed, but no integer
constexpr int64_t kMostElements = 256;  // of a content that is followed
using Dims = std::vector<SizeId>;

bool is_one_of(const Node& n, std::initializer_list<const Op*> list) {
  return std::find(list.begin(), list.end(), n.op) != list.end();
}
bool is_reduction(const Node& n) {
  return is_one_of(n, {&op_reduce_sum, &op_reduce_mean, &op_reduce_max, &op_reduce_min, &op_reduce_prod});
}

int wrapped(int64_t axis, int rank) { return (int)(axis < 0 ? axis + rank : axis); }

struct Follow {
  Sizes& s;
  Graph& g;
  const Node& n;
  std::vector<Dims> dims;      // of each output; empty: not known
  std::vector<Dims> contents;  // likewise

  bool has(size_t i) const { return i < n.in.size() && n.in[i] != kNoValue; }
  const Value& in(size_t i) const { return g.value(n.in[i]); }
  int rank(size_t i) const { return in(i).shape.rank; }
  SizeId dim(size_t i, int axis) const { return size_of(s, in(i), axis); }
  SizeId number(int64_t v) const { return s.constant(v); }
  Dims dims_of(size_t i) const {
    Dims d;
    for (int a = 0; a < rank(i); ++a) d.push_back(dim(i, a));
    return d;
  }
  SizeId product(const Dims& d, size_t from = 0, size_t to = SIZE_MAX) const {
    SizeId p = number(1);
    for (size_t i = from; i < std::min(to, d.size()); ++i) p = s.mul(p, d[i]);
    return p;
  }

  // Elements of a content, where it is small and its number is fixed. kNoSize: fixed, but no integer.
  std::optional<Dims> content(size_t i) const {
    const Value& v = in(i);
    if (!v.data || !has_fixed_shape(v) || v.shape.elements() > kMostElements || !is_plain(v.encoding))
      return std::nullopt;
    if (v.sizes && v.sizes->content_varies)
      return v.sizes->content.empty() ? std::nullopt : std::optional(v.sizes->content);
    Dims c;
    for (int64_t k = 0; k < v.shape.elements(); ++k) {
      if (!is_float(v.dtype)) {
        c.push_back(number(load_integer(v.dtype, v.data.bytes, k)));
        continue;
      }
      const double x = load_element(v.dtype, v.data.bytes, k);
      c.push_back(x == std::floor(x) && std::fabs(x) < 1e15 ? number((int64_t)x) : kNoSize);
    }
    return c;
  }
  // Integers that a shape rule reads: of input i if it is there, else of an attribute.
  std::optional<Dims> list(size_t i, const IntList& otherwise) const {
    if (has(i)) {
      auto c = content(i);
      if (c && std::find(c->begin(), c->end(), kNoSize) != c->end()) return std::nullopt;
      return c;
    }
    Dims d;
    for (const int64_t v : otherwise) d.push_back(number(v));
    return d;
  }
  // At most this; at least that.
  SizeId clamp(SizeId v, SizeId low, SizeId high) const { return s.min(s.max(v, low), high); }
  SizeId ceil_div(SizeId a, int64_t b) const { return s.floor_div(s.add(a, number(b - 1)), number(b)); }

  // From the first tap of a window to its last.
  SizeId reach(SizeId kernel, int64_t dilation) const { return s.mul(s.sub(kernel, number(1)), number(dilation)); }

  void window(Dims* y, SizeId kernel, int64_t stride, int64_t before, int64_t after, int64_t dilation, bool ceil_mode,
              SizeId in, size_t axis) const {
    const SizeId room = s.sub(s.add(in, number(before + after - 1)), reach(kernel, dilation));
    SizeId count = s.add(s.floor_div(room, number(stride)), number(1));
    // A window of the rounded-up size must still begin before the padding behind.
    if (ceil_mode && stride > 1) {
      const SizeId up = s.add(ceil_div(room, stride), number(1));
      const SizeId most = s.add(s.floor_div(s.add(in, number(before - 1)), number(stride)), number(1));
      count = s.max(count, s.min(up, most));
    }
    (*y)[axis] = count;
  }

  SizeId slice_count(SizeId start, SizeId end, int64_t step, SizeId d) const {
    const bool back = step < 0;
    const SizeId low = number(back ? -1 : 0), high = back ? s.sub(d, number(1)) : d;
    const auto bound = [&](SizeId v) {
      const auto fixed = s.fixed(v);
      if (fixed && (*fixed >= INT32_MAX || *fixed <= INT32_MIN)) return *fixed > 0 ? high : low;
      const SizeId wrapped = fixed               ? (*fixed < 0 ? s.add(v, d) : v)
                             : s.not_negative(v) ? v
                                                 : s.select(s.less(v, number(0)), s.add(v, d), v);
      return clamp(wrapped, low, high);
    };
    const SizeId length = back ? s.sub(bound(start), bound(end)) : s.sub(bound(end), bound(start));
    if (step == INT64_MIN) return s.unknown(0);
    return s.max(number(0), ceil_div(length, std::abs(step)));
  }

  bool nms() {
    const NmsAttrs& p = n.attrs<NmsAttrs>();
    SizeId capacity = number(p.capacity);
    if (p.capacity == 0) {
      const bool later = has(2) && !in(2).data;  // all of them may stay
      const auto most = later ? std::optional(Dims{dim(0, 1)}) : list(2, IntList{p.max_per_class});
      capacity = most ? s.mul(s.mul(dim(1, 0), dim(1, 1)), clamp((*most)[0], number(0), dim(0, 1)))
                      : s.unknown(g.value(n.out[0]).shape[0]);
    }
    dims[0] = {capacity, number(3)};
    dims[1] = {kNoSize};
    return true;
  }

  bool slice() {
    const SliceAttrs& p = n.attrs<SliceAttrs>();
    const int r = rank(0);
    auto starts = list(1, p.starts), ends = has(1) ? list(2, {}) : list(99, p.ends),
         steps = has(1) ? (has(4) ? list(4, {}) : Dims()) : list(99, p.steps);
    if (!starts || !ends || !steps) return false;
    std::vector<int> axes;
    for (size_t k = 0; k < starts->size(); ++k) axes.push_back((int)k);
    if (has(3)) {
      const auto given = list(3, {});
      if (!given) return false;
      for (size_t k = 0; k < given->size(); ++k) {
        const auto a = s.fixed((*given)[k]);
        if (!a) return false;
        axes[k] = wrapped(*a, r);
      }
    }
    Dims y = dims_of(0);
    for (size_t k = 0; k < starts->size(); ++k) {
      const auto step = steps->empty() ? std::optional<int64_t>(1) : s.fixed((*steps)[k]);
      if (!step || *step == 0 || *step == INT64_MIN || std::abs(*step) > INT32_MAX) return false;
      y[(size_t)axes[k]] = slice_count((*starts)[k], (*ends)[k], *step, y[(size_t)axes[k]]);
    }
    dims[0] = std::move(y);
    return true;
  }

  bool reshape() {
    const ReshapeAttrs& p = n.attrs<ReshapeAttrs>();
    const auto target = list(1, p.shape);
    if (!target) return false;
    const Dims x = dims_of(0);
    Dims y;
    size_t rest = SIZE_MAX;
    for (size_t i = 0; i < target->size(); ++i) {
      const auto fixed = s.fixed((*target)[i]);
      if (fixed && *fixed == 0 && !p.allow_zero && i < x.size()) {
        y.push_back(x[i]);
      } else if (fixed && *fixed == -1) {
        rest = i;
        y.push_back(number(1));
      } else {
        y.push_back((*target)[i]);
      }
    }
    if (rest != SIZE_MAX) y[rest] = s.floor_div(product(x), product(y));
    dims[0] = std::move(y);
    return true;
  }

  bool matmul() {
    const bool plain = n.op->attributes.size == sizeof(MatmulAttrs);
    const MatmulAttrs p = plain ? n.attrs<MatmulAttrs>() : MatmulAttrs();
    Dims a = dims_of(0), c = dims_of(1), y;
    const size_t ra = a.size(), rc = c.size();
    if (ra > 1 && p.transpose_a) std::swap(a[ra - 1], a[ra - 2]);
    if (rc > 1 && p.transpose_b) std::swap(c[rc - 1], c[rc - 2]);
    const size_t batch_a = ra > 2 ? ra - 2 : 0, batch_c = rc > 2 ? rc - 2 : 0, batch = std::max(batch_a, batch_c);
    for (size_t i = 0; i < batch; ++i) {
      const SizeId u = i + batch_a >= batch ? a[i + batch_a - batch] : number(1),
                   v = i + batch_c >= batch ? c[i + batch_c - batch] : number(1);
      y.push_back(s.broadcast(u, v));
    }
    if (ra > 1) y.push_back(a[ra - 2]);
    if (rc > 1) y.push_back(c[rc - 1]);
    dims[0] = std::move(y);
    return true;
  }

  // Broadcast of the inputs' shapes.
  Dims broadcast_all() const {
    Dims y;
    for (size_t i = 0; i < n.in.size(); ++i) {
      if (!has(i)) continue;
      Dims x = dims_of(i);
      if (x.size() > y.size()) y.insert(y.begin(), x.size() - y.size(), number(1));
      const size_t lead = y.size() - x.size();
      for (size_t a = 0; a < x.size(); ++a) y[lead + a] = s.broadcast(y[lead + a], x[a]);
    }
    return y;
  }

  bool follow_dims();
  bool follow_content();
  bool content_of_moves();
  bool content_of_arithmetic();
};

bool Follow::follow_dims() {
  const Op& op = *n.op;
  if (op.flags & kControl) {
    if (n.op == &op_if) {
      for (size_t k = 0; k < n.out.size(); ++k) {
        const Value &yes = n.subgraphs[0].value(n.subgraphs[0].outputs[k]),
                    &no = n.subgraphs[1].value(n.subgraphs[1].outputs[k]);
        if (yes.shape.rank != no.shape.rank) continue;
        const auto condition = content(0);
        for (int a = 0; a < yes.shape.rank; ++a) {
          const SizeId u = size_of(s, yes, a), v = size_of(s, no, a);
          if (u == v) dims[k].push_back(u);
          else if (condition && (*condition)[0] != kNoSize) dims[k].push_back(s.select((*condition)[0], u, v));
          else dims[k].push_back(s.unknown(g.value(n.out[k]).shape[a], true));
        }
        if (dims[k].empty()) dims[k].push_back(kNoSize);
      }
      return true;
    }
    if (n.op == &op_loop) {
      const Graph& body = n.subgraphs[0];
      const size_t carried = (size_t)n.attrs<LoopAttrs>().num_carried;
      const auto trips = has(0) ? content(0) : std::nullopt;
      for (size_t k = 0; k < n.out.size(); ++k) {
        const Value& from = body.value(body.outputs[1 + k]);
        const Value& y = g.value(n.out[k]);
        Dims d;
        if (k >= carried)
          d.push_back(trips && (*trips)[0] != kNoSize && !is_growing_loop(n) ? s.max(number(0), (*trips)[0])
                                                                             : s.unknown(y.shape[0], true));
        for (int a = 0; a < from.shape.rank; ++a) {
          const SizeId u = size_of(s, from, a);
          const SizeId was = k < carried ? size_of(s, body.value(body.inputs[2 + k]), a) : u;
          d.push_back(u == was && s.hint(u) == y.shape[(int)d.size()] ? u : s.unknown(y.shape[(int)d.size()], true));
        }
        dims[k] = std::move(d);
      }
      return true;
    }
    return false;
  }
  const auto all_of = [&](size_t i) {
    for (Dims& d : dims) d = dims_of(i);
    return true;
  };
  if ((op.flags & kElementwise) && n.out.size() == 1) {
    dims[0] = broadcast_all();
    return true;
  }
  if (is_one_of(n, {&op_batch_norm,       &op_group_norm,        &op_instance_norm,
                    &op_layer_norm,       &op_rms_norm,          &op_l2_normalize,
                    &op_log_softmax,      &op_softmax,           &op_lrn,
                    &op_cumsum,           &op_reverse,           &op_trilu,
                    &op_scatter_elements, &op_scatter_nd,        &op_decode,
                    &op_dropout,          &op_require_finite,    &op_scale_gradient,
                    &op_stop_gradient,    &op_ternarize,         &op_assume,
                    &op_quantize_linear,  &op_dequantize_linear, &op_state_write,
                    &op_data_sizes,       &op_page_write,        &op_rope,
                    &op_bitcast}))
    return all_of(0);
  if (n.op == &op_batch_norm_train) {
    dims[0] = dims_of(0);
    for (size_t k = 1; k < dims.size(); ++k) dims[k] = dims_of(1);
    return true;
  }
  const int terms = n.out.empty() ? 0 : g.value(n.out[0]).shape.rank;  // of a loss: 0 where it is reduced
  if (is_one_of(n,
                {&op_bce_with_logits, &op_cross_entropy, &op_dice_loss, &op_focal_loss, &op_info_nce, &op_iou_loss,
                 &op_kl_divergence, &op_mse_loss, &op_smooth_l1_loss, &op_softmax_cross_entropy, &op_triplet_loss})) {
    dims[0] = dims_of(0);
    dims[0].resize((size_t)terms);
    return true;
  }
  if (is_one_of(n, {&op_ctc_loss, &op_ctc_alignment})) {
    if (terms) dims[0] = {dim(0, 1)};
    if (n.out.size() > 1) dims[1] = dims_of(0);
    return true;
  }
  if (n.op == &op_relation_kl) {
    if (terms) dims[0] = {dim(0, 0), number(g.value(n.out[0]).shape[1]), dim(0, 1)};
    return true;
  }
  if (n.op == &op_linear_cross_entropy) {
    for (size_t i = 0; i < 2; ++i) dims[1 + i] = dims_of(i);
    return true;
  }
  if (n.op == &op_roi_align) {
    const RoiAlignAttrs& p = n.attrs<RoiAlignAttrs>();
    dims[0] = {dim(1, 0), number(p.height), number(p.width), dim(0, 3)};
    return true;
  }
  if (n.op == &op_nms) return nms();
  if (n.op == &op_assignment) {
    dims[0] = dims_of(0);
    dims[0].pop_back();
    return true;
  }
  if (n.op == &op_grid_sample) {
    dims[0] = dims_of(1);
    dims[0].back() = dim(0, rank(0) - 1);
    return true;
  }
  if (n.op == &op_attention) {
    dims[0] = {dim(0, 0), dim(0, 1), dim(0, 2), dim(2, 3)};
    return true;
  }
  if (n.op == &op_attention_grad) {
    for (size_t i = 0; i < 3; ++i) dims[i] = dims_of(i);
    return true;
  }
  if (n.op == &op_paged_attention) {
    dims[0] = {dim(0, 0), dim(0, 1), dim(2, rank(2) - 1)};
    return true;
  }
  if (is_one_of(n, {&op_arg_max, &op_arg_min}) || is_reduction(n)) {
    uint32_t mask = 0;
    bool keep = false;
    if (!is_reduction(n)) {
      const ArgReduceAttrs& p = n.attrs<ArgReduceAttrs>();
      mask = 1u << wrapped(p.axis, rank(0)), keep = p.keep_dims != 0;
    } else {
      const ReduceAttrs& p = n.attrs<ReduceAttrs>();
      if (reduced_axes(p.axes, rank(0), &mask) != TERN_OK) return false;
      keep = p.keep_dims != 0;
    }
    Dims y;
    for (int a = 0; a < rank(0); ++a)
      if (!(mask >> a & 1)) y.push_back(dim(0, a));
      else if (keep) y.push_back(number(1));
    dims[0] = std::move(y);
    return true;
  }
  if (n.op == &op_concat) {
    Dims y = dims_of(0);
    const size_t axis = (size_t)wrapped(n.attrs<ConcatAttrs>().axis, rank(0));
    for (size_t i = 1; i < n.in.size(); ++i)
      for (size_t a = 0; a < y.size(); ++a) {
        if (a == axis) y[a] = s.add(y[a], dim(i, (int)a));
        else if (!s.fixed(y[a]) && s.fixed(dim(i, (int)a))) y[a] = dim(i, (int)a);  // they must be equal
      }
    dims[0] = std::move(y);
    return true;
  }
  if (n.op == &op_split) {
    const SplitAttrs& p = n.attrs<SplitAttrs>();
    const size_t axis = (size_t)wrapped(p.axis, rank(0));
    const int64_t parts = (int64_t)n.out.size();
    SizeId rest = dim(0, (int)axis);
    const SizeId chunk = ceil_div(rest, parts);
    for (int64_t k = 0; k < parts; ++k) {
      dims[(size_t)k] = dims_of(0);
      const bool even = s.divide_exactly(dim(0, (int)axis), number(parts)).has_value();
      dims[(size_t)k][axis] = p.sizes.count ? number(p.sizes[k]) : even ? chunk : s.min(chunk, rest);
      if (!p.sizes.count) rest = s.sub(rest, dims[(size_t)k][axis]);
    }
    return true;
  }
  if (is_one_of(n, {&op_conv2d, &op_conv2d_integer})) {
    const Conv2dAttrs& p = n.attrs<Conv2dAttrs>();
    Dims y{dim(0, 0), kNoSize, kNoSize, dim(1, 0)};
    for (int k = 0; k < 2; ++k) {
      window(&y, dim(1, 1 + k), p.strides[k], p.pads[k], p.pads[2 + k], p.dilations[k], false, dim(0, 1 + k),
             (size_t)(1 + k));
    }
    dims[0] = std::move(y);
    return true;
  }
  if (is_one_of(n, {&op_max_pool2d, &op_max_pool2d_index, &op_avg_pool2d})) {
    Dims y = dims_of(0);
    const bool max = n.op != &op_avg_pool2d;
    const MaxPool2dAttrs& m = n.attrs<MaxPool2dAttrs>();
    const AvgPool2dAttrs& v = n.attrs<AvgPool2dAttrs>();
    for (int k = 0; k < 2; ++k) {
      if (max)
        window(&y, number(m.kernel[k]), m.strides[k], m.pads[k], m.pads[2 + k], k ? m.dilation_w : m.dilation_h,
               m.ceil_mode != 0, dim(0, 1 + k), (size_t)(1 + k));
      else
        window(&y, number(v.kernel[k]), v.strides[k], v.pads[k], v.pads[2 + k], k ? v.dilation_w : v.dilation_h,
               v.ceil_mode != 0, dim(0, 1 + k), (size_t)(1 + k));
    }
    for (Dims& d : dims) d = y;
    return true;
  }
  if (n.op == &op_conv_transpose2d) {
    const ConvTranspose2dAttrs& p = n.attrs<ConvTranspose2dAttrs>();
    Dims y{dim(0, 0), kNoSize, kNoSize, s.mul(dim(1, 3), number(p.groups))};
    for (int k = 0; k < 2; ++k) {
      const int64_t more = 1 + (k ? p.output_pad_w : p.output_pad_h) - p.pads[k] - p.pads[2 + k];
      const SizeId steps = s.mul(s.sub(dim(0, 1 + k), number(1)), number(p.strides[k]));
      y[(size_t)(1 + k)] = s.add(s.add(steps, reach(dim(1, 1 + k), p.dilations[k])), number(more));
    }
    dims[0] = std::move(y);
    return true;
  }
  if (n.op == &op_resize) {
    const ResizeAttrs& p = n.attrs<ResizeAttrs>();
    if (has(1) || p.sizes.count) {
      const auto y = list(1, p.sizes);
      if (!y || y->size() != 4) return false;
      dims[0] = {dim(0, 0), (*y)[1], (*y)[2], dim(0, 3)};
      return true;
    }
    Dims y = dims_of(0);
    for (int k = 0; k < 2; ++k) {
      const double scale = k ? p.scale_w : p.scale_h, inverse = scale > 0 ? std::round(1 / scale) : 0;
      if (scale == std::floor(scale) && scale >= 1 && scale < 1e6)
        y[(size_t)(1 + k)] = s.mul(y[(size_t)(1 + k)], number((int64_t)scale));
      else if (inverse >= 1 && inverse < 1e6 && scale * inverse == 1)
        y[(size_t)(1 + k)] = s.floor_div(y[(size_t)(1 + k)], number((int64_t)inverse));
      else if (!s.fixed(y[(size_t)(1 + k)])) y[(size_t)(1 + k)] = s.unknown(g.value(n.out[0]).shape[1 + k]);
      else y[(size_t)(1 + k)] = number(g.value(n.out[0]).shape[1 + k]);
    }
    dims[0] = std::move(y);
    return true;
  }
  if (is_one_of(n, {&op_matmul, &op_matmul_integer})) return matmul();
  if (is_one_of(n, {&op_linear, &op_linear_t, &op_bit_linear, &op_rounded_linear})) {
    Dims y = dims_of(0);
    y.back() = dim(1, n.op == &op_linear_t ? 1 : 0);
    dims[0] = std::move(y);
    return true;
  }
  if (n.op == &op_transpose) {
    const TransposeAttrs& p = n.attrs<TransposeAttrs>();
    const int r = rank(0);
    for (int a = 0; a < r; ++a)
      dims[0].push_back(dim(0, p.permutation.count ? wrapped(p.permutation[a], r) : r - 1 - a));
    return true;
  }
  if (n.op == &op_reshape) return reshape();
  if (n.op == &op_expand) {
    const auto target = list(1, n.attrs<ExpandAttrs>().shape);
    if (!target) return false;
    Dims y = dims_of(0), t = *target;
    if (t.size() > y.size()) y.insert(y.begin(), t.size() - y.size(), number(1));
    const size_t lead = y.size() - t.size();
    for (size_t a = 0; a < t.size(); ++a) y[lead + a] = s.broadcast(y[lead + a], t[a]);
    dims[0] = std::move(y);
    return true;
  }
  if (n.op == &op_tile) {
    const auto repeats = list(1, n.attrs<TileAttrs>().repeats);
    Dims y = dims_of(0);
    if (!repeats || repeats->size() != y.size()) return false;
    for (size_t a = 0; a < y.size(); ++a) y[a] = s.mul(y[a], (*repeats)[a]);
    dims[0] = std::move(y);
    return true;
  }
  if (n.op == &op_pad) {
    const PadAttrs& p = n.attrs<PadAttrs>();
    const size_t r = (size_t)rank(0);
    Dims y = dims_of(0);
    if (has(1)) {
      const auto pads = list(1, {});
      if (!pads || pads->size() != 2 * r) return false;
      for (size_t a = 0; a < r; ++a) y[a] = s.add(y[a], s.add((*pads)[a], (*pads)[r + a]));
    } else if (p.before.count) {
      for (size_t a = 0; a < r; ++a) y[a] = s.add(y[a], number(p.before[(int64_t)a] + p.after[(int64_t)a]));
    }
    dims[0] = std::move(y);
    return true;
  }
  if (n.op == &op_slice) return slice();
  if (n.op == &op_gather) {
    const int axis = wrapped(n.attrs<GatherAttrs>().axis, rank(0));
    for (int a = 0; a < axis; ++a) dims[0].push_back(dim(0, a));
    for (int a = 0; a < rank(1); ++a) dims[0].push_back(dim(1, a));
    for (int a = axis + 1; a < rank(0); ++a) dims[0].push_back(dim(0, a));
    return true;
  }
  if (n.op == &op_gather_elements) {
    dims[0] = dims_of(1);
    return true;
  }
  if (n.op == &op_gather_rows) {
    dims[0] = dims_of(1);
    dims[0].push_back(dim(0, 1));
    return true;
  }
  if (n.op == &op_gather_nd) {
    const auto depth = s.fixed(dim(1, rank(1) - 1));
    if (!depth) return false;
    for (int a = 0; a + 1 < rank(1); ++a) dims[0].push_back(dim(1, a));
    for (int a = (int)(n.attrs<GatherNdAttrs>().batch_dims + *depth); a < rank(0); ++a) dims[0].push_back(dim(0, a));
    return true;
  }
  if (n.op == &op_one_hot) {
    const OneHotAttrs& p = n.attrs<OneHotAttrs>();
    const auto depth = list(1, IntList{p.depth});
    if (!depth || depth->size() != 1) return false;
    Dims y = dims_of(0);
    y.insert(y.begin() + wrapped(p.axis, rank(0) + 1), (*depth)[0]);
    dims[0] = std::move(y);
    return true;
  }
  if (n.op == &op_top_k) {
    const TopKAttrs& p = n.attrs<TopKAttrs>();
    const auto k = list(1, IntList{p.k});
    if (!k || k->size() != 1) return false;
    for (Dims& d : dims) {
      d = dims_of(0);
      d[(size_t)wrapped(p.axis, rank(0))] = (*k)[0];
    }
    return true;
  }
  if (n.op == &op_range) {
    const auto first = content(0), last = content(1), step = content(2);
    if (!first || !last || !step || (*first)[0] == kNoSize || (*last)[0] == kNoSize || (*step)[0] == kNoSize)
      return false;
    const auto by = s.fixed((*step)[0]);
    if (!by || *by == 0 || std::abs(*by) > INT32_MAX) return false;
    const SizeId length = *by > 0 ? s.sub((*last)[0], (*first)[0]) : s.sub((*first)[0], (*last)[0]);
    dims[0] = {s.max(number(0), ceil_div(length, std::abs(*by)))};
    return true;
  }
  if (n.op == &op_fill) {
    const auto y = list(0, n.attrs<FillAttrs>().shape);
    if (!y) return false;
    dims[0] = *y;
    return true;
  }
  if (n.op == &op_shape) {
    dims[0] = {number(g.value(n.out[0]).shape[0])};
    return true;
  }
  if (is_one_of(n, {&op_depth_to_space, &op_space_to_depth})) {
    const int64_t block = n.attrs<DepthToSpaceAttrs>().block;
    const SizeId b = number(block), square = number(block * block);
    const bool to_space = n.op == &op_depth_to_space;
    const auto by = [&](int a) { return to_space ? s.mul(dim(0, a), b) : s.floor_div(dim(0, a), b); };
    dims[0] = {dim(0, 0), by(1), by(2), to_space ? s.floor_div(dim(0, 3), square) : s.mul(dim(0, 3), square)};
    return true;
  }
  if (is_one_of(n, {&op_lstm, &op_gru, &op_rnn})) {
    const SizeId directions = dim(1, 0), hidden = dim(2, 2);
    dims[0] = {dim(0, 0), directions, dim(0, 1), hidden};
    for (size_t k = 1; k < dims.size(); ++k) dims[k] = {directions, dim(0, 1), hidden};
    return true;
  }
  if (n.op == &op_recurrence) {
    dims[1] = dims[2] = {dim(0, 1), dim(1, 1)};
    dims[0] = {dim(0, 0), dim(0, 1), dim(1, 1)};
    if (g.value(n.out[2]).shape.rank == 1) dims[2] = {number(0)};
    return true;
  }
  if (n.op == &op_non_zero) {
    const SizeId most =
        n.attrs<NonZeroAttrs>().capacity ? number(n.attrs<NonZeroAttrs>().capacity) : product(dims_of(0));
    dims[0] = {number(rank(0)), most};
    dims[1] = {kNoSize};
    return true;
  }
  return false;
}

// Operators that hand elements on as they are: the same is done to the numbers of the expressions.
bool Follow::content_of_moves() {
  if (!is_one_of(n, {&op_concat, &op_expand, &op_gather, &op_gather_elements, &op_gather_nd, &op_reshape, &op_reverse,
                     &op_slice, &op_split, &op_tile, &op_transpose, &op_pad, &op_scatter_elements, &op_scatter_nd}))
    return false;
  const bool all = n.op == &op_concat, scatters = is_one_of(n, {&op_scatter_elements, &op_scatter_nd});
  const auto is_data = [&](size_t i) { return all || i == 0 || (scatters && i == 2) || (i == 2 && n.op == &op_pad); };
  if (scatters) {
    int64_t reduction = 0;
    static_assert(sizeof reduction == 8);
    for (int32_t f = 0; f < n.op->attributes.count; ++f)
      if (std::string_view(n.op->attributes.fields[f].name) == "reduction")
        std::memcpy(&reduction, n.attributes.bytes + n.op->attributes.fields[f].offset, 8);
    if (reduction != 0) return false;
  }
  std::vector<std::vector<int64_t>> buffers(n.in.size() + n.out.size());
  std::vector<RefTensor> ins(n.in.size()), outs(n.out.size());
  for (size_t i = 0; i < n.in.size(); ++i) {
    if (!has(i)) continue;
    const Value& v = in(i);
    if (!is_data(i)) {
      if (!has_fixed_content(v)) return false;
      ins[i] = {v.dtype, v.encoding, v.shape, const_cast<void*>(v.data.bytes)};
      continue;
    }
    const auto c = content(i);
    if (!c) return false;
    for (const SizeId x : *c) buffers[i].push_back(x);
    if (buffers[i].empty()) buffers[i].push_back(0);
    ins[i] = {TERN_DTYPE_I64, Encoding::plain, v.shape, buffers[i].data()};
  }
  for (size_t k = 0; k < n.out.size(); ++k) {
    const Shape& shape = g.value(n.out[k]).shape;
    if (shape.elements() > kMostElements) return false;
    std::vector<int64_t>& to = buffers[n.in.size() + k];
    to.assign((size_t)std::max<int64_t>(1, shape.elements()), 0);
    outs[k] = {TERN_DTYPE_I64, Encoding::plain, shape, to.data()};
  }
  if (n.op == &op_pad && !has(2)) {
    const PadAttrs& p = n.attrs<PadAttrs>();
    if (p.mode == (int64_t)PadMode::constant) return false;  // its value would be taken for a number of an expression
  }
  if (evaluate(n, ins.data(), outs.data()) != TERN_OK) return false;
  for (size_t k = 0; k < n.out.size(); ++k)
    for (int64_t e = 0; e < g.value(n.out[k]).shape.elements(); ++e)
      contents[k].push_back((SizeId)buffers[n.in.size() + k][(size_t)e]);
  return true;
}

bool Follow::content_of_arithmetic() {
  const Value& y = g.value(n.out[0]);
  const int64_t count = y.shape.elements();
  std::vector<Dims> c;
  for (size_t i = 0; i < n.in.size(); ++i) {
    if (!has(i)) {
      c.emplace_back();
      continue;
    }
    auto list = content(i);
    if (!list) return false;
    c.push_back(std::move(*list));
  }
  if (is_reduction(n)) {
    if (n.op == &op_reduce_mean) return false;
    uint32_t mask = 0;
    if (reduced_axes(n.attrs<ReduceAttrs>().axes, rank(0), &mask) != TERN_OK) return false;
    const Shape& x = in(0).shape;
    const Shape kept = reduced_shape(x, mask, true);
    if (x.elements() == 0) return false;
    Dims r((size_t)kept.elements(), kNoSize);
    for (int64_t i = 0; i < x.elements(); ++i) {
      SizeId& at = r[(size_t)broadcast_offset(x, kept, i)];
      const SizeId v = c[0][(size_t)i];
      if (v == kNoSize) return false;
      if (at == kNoSize) at = v;
      else if (n.op == &op_reduce_prod) at = s.mul(at, v);
      else if (n.op == &op_reduce_sum) at = s.add(at, v);
      else if (n.op == &op_reduce_max) at = s.max(at, v);
      else if (n.op == &op_reduce_min) at = s.min(at, v);
      else return false;
    }
    contents[0] = std::move(r);
    return true;
  }
  if (!(n.op->flags & kElementwise)) return false;
  const bool integers = !is_float(y.dtype) && !is_float(in(n.in.size() - 1).dtype);
  for (int64_t e = 0; e < count; ++e) {
    SizeId v[3] = {kNoSize, kNoSize, kNoSize};
    bool fixed = true, whole = true;
    for (size_t i = 0; i < n.in.size(); ++i) {
      if (!has(i) || i >= 3) return false;
      v[i] = c[i][(size_t)broadcast_offset(y.shape, in(i).shape, e)];
      whole = whole && v[i] != kNoSize;
      fixed = fixed && (v[i] == kNoSize || s.fixed(v[i]));
    }
    SizeId r = kNoSize;
    const double here = load_element(y.dtype, y.data.bytes, e);
    const bool whole_here = !is_float(y.dtype) || (here == std::floor(here) && std::fabs(here) < 1e15);
    const auto lost = [&] {
      return s.unknown(is_float(y.dtype) ? (whole_here ? (int64_t)here : 0) : load_integer(y.dtype, y.data.bytes, e));
    };
    const SizeId a = v[0], b = v[1];
    if (fixed) {
      contents[0].push_back(!is_float(y.dtype) ? number(load_integer(y.dtype, y.data.bytes, e))
                            : whole_here       ? number((int64_t)here)
                                               : kNoSize);
      continue;
    }
    if (n.op == &op_where && v[0] != kNoSize && s.fixed(v[0])) {
      r = *s.fixed(v[0]) ? v[1] : v[2];
      contents[0].push_back(r);
      continue;
    }
    if (!whole) {
      contents[0].push_back(lost());
      continue;
    }
    const SizeId one = number(1);
    if (n.op == &op_add) r = s.add(a, b);
    else if (n.op == &op_sub) r = s.sub(a, b);
    else if (n.op == &op_mul) r = s.mul(a, b);
    else if (n.op == &op_div && integers) r = s.trunc_div(a, b);
    else if (n.op == &op_div) r = s.divide_exactly(a, b).value_or(kNoSize);
    else if (n.op == &op_mod && integers && (!n.attrs<ModAttrs>().fmod || (s.not_negative(a) && s.not_negative(b))))
      r = s.mod(a, b);
    else if (n.op == &op_min) r = s.min(a, b);
    else if (n.op == &op_max) r = s.max(a, b);
    else if (n.op == &op_neg) r = s.sub(number(0), a);
    else if (n.op == &op_square) r = s.mul(a, a);
    else if (n.op == &op_abs && s.not_negative(a)) r = a;
    else if (n.op == &op_relu) r = s.max(a, number(0));
    else if (is_one_of(n, {&op_floor, &op_ceil, &op_round})) r = a;
    else if (n.op == &op_equal) r = s.equal(a, b);
    else if (n.op == &op_less) r = s.less(a, b);
    else if (n.op == &op_greater) r = s.less(b, a);
    else if (n.op == &op_less_equal) r = s.sub(one, s.less(b, a));
    else if (n.op == &op_greater_equal) r = s.sub(one, s.less(a, b));
    else if (n.op == &op_logical_and) r = s.mul(a, b);
    else if (n.op == &op_logical_or) r = s.max(a, b);
    else if (n.op == &op_logical_not) r = s.sub(one, a);
    else if (n.op == &op_logical_xor) r = s.sub(s.add(a, b), s.mul(number(2), s.mul(a, b)));
    else if (n.op == &op_where) r = s.select(s.sub(one, s.equal(v[0], number(0))), v[1], v[2]);
    else if (n.op == &op_cast) {
      // To a type that holds it. (f32 holds what is below 2^24: sizes of axes.)
      const DType from = in(0).dtype;
      const bool narrow = dtype_size(y.dtype) < 4 && y.dtype != TERN_DTYPE_BOOL;
      if (y.dtype == TERN_DTYPE_BOOL) r = from == TERN_DTYPE_BOOL ? a : s.sub(one, s.equal(a, number(0)));
      else if (!narrow) r = a;
    }
    // The graph's own arithmetic may wrap or round: then the two part, and the size is not followed.
    const int64_t have =
        is_float(y.dtype) ? (whole_here ? (int64_t)here : INT64_MIN) : load_integer(y.dtype, y.data.bytes, e);
    contents[0].push_back(r != kNoSize && s.hint(r) == have ? r : lost());
  }
  return true;
}

bool Follow::follow_content() {
  if (is_data_sizes(n)) {
    const Value& x = in(0);
    if (x.data) {
      const auto c = content(0);
      if (c) contents[0] = *c;
      return c.has_value();
    }
    const Value& y = g.value(n.out[0]);
    for (int64_t i = 0; i < y.shape.elements(); ++i) {
      const double v = load_element(y.dtype, y.data.bytes, i);
      contents[0].push_back(s.unknown(
          is_float(y.dtype) ? (std::fabs(v) < 1e15 ? (int64_t)v : 0) : load_integer(y.dtype, y.data.bytes, i), true));
    }
    return true;
  }
  if (n.op == &op_shape) {
    const ShapeAttrs& p = n.attrs<ShapeAttrs>();
    const int64_t r = rank(0), start = std::clamp<int64_t>(p.start < 0 ? p.start + r : p.start, 0, r);
    for (int64_t i = 0; i < g.value(n.out[0]).shape.elements(); ++i) contents[0].push_back(dim(0, (int)(start + i)));
    return true;
  }
  if (content_of_moves()) return true;
  return n.out.size() == 1 && content_of_arithmetic();
}

// Does what this shape rule or this content is computed from vary?
bool reads_varying(const Graph& g, const Node& n) {
  for (const ValueId v : n.in)
    if (v != kNoValue && g.value(v).sizes) return true;
  bool inner = false;
  for (const Graph& sub : n.subgraphs)
    for (const ValueId v : sub.outputs) inner = inner || sub.value(v).sizes;
  return inner || !n.subgraphs.empty() || is_data_sizes(n);
}

}  // namespace

SizeId size_of(Sizes& sizes, const Value& v, int axis) {
  return v.sizes ? v.sizes->dims[axis] : sizes.constant(v.shape[axis]);
}

bool has_fixed_shape(const Value& v) { return !v.sizes || !v.sizes->dims_vary; }

bool has_fixed_content(const Value& v) { return v.data && has_fixed_shape(v) && !(v.sizes && v.sizes->content_varies); }

std::shared_ptr<const ValueSizes> dims_alone(const ValueSizes& sizes) {
  auto own = std::make_shared<ValueSizes>(sizes);
  own->content.clear();
  own->content_varies = false;
  return own;
}

namespace {

// The inputs of g have their sizes; so do its values afterwards.
tern_status follow_graph(Sizes& sizes, Graph& g) {
  for (Node& n : g.nodes) {
    for (Graph& sub : n.subgraphs) {
      // The condition of an `if` stands in front of what the branches take; a loop gives two scalars of its own.
      const size_t first = is_if(n) ? 1 : 0, own = is_loop(n) ? 2 : 0;
      for (size_t i = own; i < sub.inputs.size() && i + first < n.in.size(); ++i) {
        const ValueId from = n.in[i + first];
        if (from != kNoValue && !has_fixed_shape(g.value(from)))
          sub.value(sub.inputs[i]).sizes = dims_alone(*g.value(from).sizes);
      }
      TERN_TRY(follow_graph(sizes, sub));
    }
    TERN_TRY(follow_sizes(sizes, g, n));
  }
  return TERN_OK;
}

}  // namespace

std::vector<OutputSizes> sizes_of_outputs(const Signature& signature) {
  std::vector<int64_t> hints;
  std::vector<std::string> names;
  for (const Symbol& s : signature.symbols) {
    hints.push_back(s.hint);
    names.push_back(s.name);
  }
  Sizes sizes(hints);
  Graph g = signature.graph;
  std::vector<ValueSizes> inputs(g.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i)
    for (int a = 0; a < g.value(g.inputs[i]).shape.rank; ++a)
      inputs[i].dims[a] = sizes.constant(g.value(g.inputs[i]).shape[a]);
  for (const SymbolicDim& d : signature.symbolic_dims) {
    inputs[(size_t)d.input].dims[d.axis] = sizes.symbol(d.symbol);
    inputs[(size_t)d.input].dims_vary = true;
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dims_vary) g.value(g.inputs[i]).sizes = std::make_shared<ValueSizes>(inputs[i]);
  const tern_error before = thread_error();
  const bool good = follow_graph(sizes, g) == TERN_OK;
  thread_error() = before;
  std::vector<OutputSizes> list;
  for (const ValueId v : signature.graph.outputs) {
    OutputSizes o;
    const Value& value = g.value(v);
    bool any = false;
    for (int a = 0; a < value.shape.rank; ++a) {
      const SizeId d = good ? size_of(sizes, value, a) : sizes.unknown(value.shape[a]);
      o.varies[a] = !sizes.fixed(d);
      for (int32_t k = 0; a == 0 && good && k < (int32_t)names.size(); ++k)
        if (d == sizes.symbol(k)) o.first_symbol = k;
      any = any || o.varies[a];
      o.text += (a ? ", " : "") + sizes.text(d, names);
    }
    if (!any) o.text.clear();
    list.push_back(std::move(o));
  }
  return list;
}

tern_status follow_sizes(Sizes& sizes, Graph& g, const Node& node) {
  if (!reads_varying(g, node)) return TERN_OK;
  if (sizes.full()) return TERN_FAIL(TERN_ERR_LIMIT, "%s: too many sizes that vary", node.op->name);
  Follow f{sizes, g, node, std::vector<Dims>(node.out.size()), std::vector<Dims>(node.out.size())};
  if (!f.follow_dims())
    for (Dims& d : f.dims) d.clear();
  bool dims_vary = false;
  std::vector<std::shared_ptr<ValueSizes>> results;
  for (size_t k = 0; k < node.out.size(); ++k) {
    const Value& y = g.value(node.out[k]);
    Dims& d = f.dims[k];
    if (d.size() == 1 && d[0] == kNoSize) d.clear();
    const bool ruled = (int)d.size() == y.shape.rank;
    auto r = std::make_shared<ValueSizes>();
    for (int a = 0; a < y.shape.rank; ++a) {
      bool data = false;
      for (const ValueId v : node.in)
        if (v != kNoValue && g.value(v).sizes)
          for (int i = 0; i < g.value(v).shape.rank; ++i) data = data || sizes.from_data(g.value(v).sizes->dims[i]);
      r->dims[a] = ruled ? d[(size_t)a] : sizes.unknown(y.shape[a], data);
      if (sizes.hint(r->dims[a]) != y.shape[a])
        return TERN_FAIL(TERN_ERR_INTERNAL, "%s: the rule of its sizes gives %" PRId64 " for axis %d of shape %s",
                         node.op->name, sizes.hint(r->dims[a]), a, to_string(y.shape).c_str());
      r->dims_vary = r->dims_vary || !sizes.fixed(r->dims[a]);
    }
    dims_vary = dims_vary || r->dims_vary;
    results.push_back(std::move(r));
  }
  for (size_t k = 0; k < node.out.size(); ++k) g.value(node.out[k]).sizes = results[k];
  bool known = !node.out.empty();
  for (const ValueId v : node.out) known = known && g.value(v).data;
  if (known) {
    // Content that varies in number is not followed; nor is what no rule follows.
    const bool followed = !dims_vary && f.follow_content();
    for (size_t k = 0; k < node.out.size(); ++k) {
      const Dims& c = f.contents[k];
      results[k]->content_varies = !followed;
      if (!followed) continue;
      for (const SizeId e : c)
        results[k]->content_varies = results[k]->content_varies || (e != kNoSize && !sizes.fixed(e));
      if (results[k]->content_varies) results[k]->content = c;
    }
  }
  for (size_t k = 0; k < node.out.size(); ++k)
    if (!results[k]->dims_vary && !results[k]->content_varies) g.value(node.out[k]).sizes.reset();
  return TERN_OK;
}

}  // namespace tern
