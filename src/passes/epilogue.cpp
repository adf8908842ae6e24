// SPDX-License-Identifier: Apache-2.0
#include "passes/epilogue.h"

#include <cstring>

#include "ops/normalize.h"

namespace tern {

bool is_per_channel(const Graph& g, ValueId v, int64_t channels) {
  if (v == kNoValue) return false;
  const Value& value = g.value(v);
  if (value.dtype != TERN_DTYPE_F32 || !is_plain(value.encoding)) return false;
  // Sub-graphs see the plan's constants and parameters as inputs.
  const int64_t n = value.shape.elements();
  return n == 1 || (n == channels && value.shape.rank > 0 && value.shape[value.shape.rank - 1] == channels);
}

bool EpilogueMatch::extend(const Graph& g, const Node& n, ValueId value) {
  if (last_clip_ || n.out.size() != 1 || shape_.rank == 0) return false;
  const Value& out = g.value(n.out[0]);
  if (out.dtype != TERN_DTYPE_F32 || !(out.shape == shape_)) return false;
  const std::string_view op = n.op->name;
  const int64_t channels = shape_[shape_.rank - 1];
  // Steps per channel come before anything else, or directly behind the activation.
  std::vector<Affine>* affine = activation_ && (residual_ == kNoValue || residual_first_) ? &out_affine_
                                : residual_ == kNoValue                                   ? &affine_
                                                                                          : nullptr;
  if (affine && affine->size() == kMaxAffine) affine = nullptr;

  if (op == "add" || op == "mul") {
    const ValueId other = n.in[0] == value ? n.in[1] : n.in[0];
    if (other == value) return false;
    const Value& o = g.value(other);
    const bool fixed = o.kind == ValueKind::constant || o.kind == ValueKind::parameter || o.kind == ValueKind::input;
    if (affine && fixed && is_per_channel(g, other, channels) && !(o.shape == shape_)) {
      affine->push_back({op == "add" ? Affine::add : Affine::mul, other, kNoValue, kNoValue, kNoValue, 0});
      return true;
    }
    if (op == "mul" || residual_ != kNoValue || o.dtype != TERN_DTYPE_F32 || !is_plain(o.encoding) ||
        !(o.shape == shape_))
      return false;
    residual_ = other;
    residual_first_ = activation_ == nullptr;
    return true;
  }
  if (op == "batch_norm") {
    if (!affine || n.in[0] != value) return false;
    for (int i = 1; i < 5; ++i)
      if (!is_per_channel(g, n.in[(size_t)i], channels)) return false;
    affine->push_back({Affine::batch_norm, n.in[1], n.in[2], n.in[3], n.in[4], n.attrs<BatchNormAttrs>().epsilon});
    return true;
  }
  if (n.in[0] != value) return false;
  const Elementwise kind = n.op->elementwise;
  if (activation_) {
    if (residual_ == kNoValue || residual_first_ || (kind != Elementwise::relu && kind != Elementwise::clip))
      return false;
    last_clip_ = &n;
    return true;
  }
  const bool is_prelu = kind == Elementwise::prelu && is_per_channel(g, n.in[1], channels);
  if (is_prelu || (kind != Elementwise::none && (n.op->flags & kElementwise) && n.in.size() == 1)) {
    // Behind a residual that no activation preceded, a clip could be either; the activation it is.
    activation_ = &n;
    return true;
  }
  return false;
}

}  // namespace tern
