// SPDX-License-Identifier: Apache-2.0
// sub_norm: what a weight W [out, in] is multiplied with is normalised first, by an RMSNorm of its own:
//   NAME_in_norm [in], `gain` at first
// "Foundation Transformers", arXiv 2210.06423 (SubLN); in BitNet Distillation, arXiv 2510.13998, before o and down.
#include <algorithm>
#include <cstddef>

#include "ops/normalize.h"
#include "train/edits/edits.h"

namespace tern {
namespace {

struct SubNormAttrs {
  double gain = 1, epsilon = 1e-6;
};

constexpr AttrField kFields[] = {TERN_ATTR(SubNormAttrs, gain, number, -1e6, 1e6),
                                 TERN_ATTR(SubNormAttrs, epsilon, number, 0, 1)};

tern_status apply(Context&, ModelDef& model, std::string_view pattern, const Attributes& attributes) {
  const SubNormAttrs& a = *(const SubNormAttrs*)attributes.bytes;
  return rewrite_products(model, pattern, [&](WeightProduct& p) -> ValueId {
    const Shape w = p.g.value(p.node.in[1]).shape;
    const ValueId scale = added_parameter(model, p.g, p.name + "_in_norm", {w[1]},
                                          [&](std::span<float> to) { std::fill(to.begin(), to.end(), (float)a.gain); });
    p.node.in[0] = emit(p.g, "rms_norm", {p.node.in[0], scale}, LayerNormAttrs{.axis = -1, .epsilon = a.epsilon});
    return emit_node(p.g, std::move(p.node));
  });
}

}  // namespace

constinit const Edit edit_sub_norm = {{.name = "sub_norm", .attributes = attr_schema<SubNormAttrs>(kFields)}, apply};

}  // namespace tern
