// SPDX-License-Identifier: Apache-2.0
// bit_linear: y = W x becomes what a ternary model computes of it, with W as latent weights that are trained through
// the rounding: W to -s, 0 or s (operator ternarize), rows of x to 8 bits (operator bit_linear).
// "The Era of 1-bit LLMs", arXiv 2402.17764. pack_ternary makes the model that is shipped.
#include "train/edits/edits.h"

namespace tern {
namespace {

tern_status apply(Context&, ModelDef& model, std::string_view pattern, const Attributes&) {
  return rewrite_products(model, pattern, [&](WeightProduct& p) -> ValueId {
    const Value& w = p.g.value(p.weight);
    if (p.node.in[1] != p.weight) return emit_node(p.g, std::move(p.node));  // it is one already
    if (!is_permutation(w.encoding)) {
      p.g.status = TERN_FAIL(TERN_ERR_UNSUPPORTED,
                             "'%s' is stored as %s: latent weights are floats (import the model "
                             "with --weights f32)",
                             p.name.c_str(), encoding_name(w.encoding));
      return kNoValue;
    }
    p.node.in[1] = emit(p.g, "ternarize", {p.node.in[1]});
    p.node.op = find_op("bit_linear");
    set_default_attributes(*p.node.op, &p.node.attributes);
    return emit_node(p.g, std::move(p.node));
  });
}

}  // namespace

constinit const Edit edit_bit_linear = {{.name = "bit_linear"}, apply};

}  // namespace tern
