// SPDX-License-Identifier: Apache-2.0
// lora: y = W x becomes W x + alpha / rank * B (A x), for weights W [out, in] of any encoding, which stay as they are:
//   NAME.lora_a [rank, in], uniform in +-1 / sqrt(in), and NAME.lora_b [out, rank], zeros: nothing changes at first
// "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685; first values as in the library PEFT.
#include <cmath>
#include <cstddef>

#include "ops/unary.h"
#include "train/edits/edits.h"

namespace tern {
namespace {

struct LoraAttrs {
  int64_t rank = 8, seed = 0;
  double alpha = 0;  // 0: 2 * rank
};

constexpr AttrField kFields[] = {TERN_ATTR(LoraAttrs, rank, integer, 1, 65536),
                                 TERN_ATTR(LoraAttrs, seed, integer, -1e18, 1e18),
                                 TERN_ATTR(LoraAttrs, alpha, number, 0, 1e6)};

tern_status apply(Context&, ModelDef& model, std::string_view pattern, const Attributes& attributes) {
  const LoraAttrs& a = *(const LoraAttrs*)attributes.bytes;
  return rewrite_products(model, pattern, [&](WeightProduct& p) -> ValueId {
    const Shape w = p.g.value(p.node.in[1]).shape;
    if (p.g.value(p.node.in[0]).dtype != TERN_DTYPE_F32) {
      p.g.status = TERN_FAIL(TERN_ERR_UNSUPPORTED, "what '%s' is multiplied with is %s, f32 is needed", p.name.c_str(),
                             dtype_name(p.g.value(p.node.in[0]).dtype));
      return kNoValue;
    }
    const std::string of = p.name + ".lora_a";
    const double bound = 1 / std::sqrt((double)std::max<int64_t>(1, w[1]));
    const ValueId down = added_parameter(model, p.g, of, {a.rank, w[1]},
                                         [&](std::span<float> to) { fill_uniform(a.seed, of, bound, to); });
    const ValueId up = added_parameter(model, p.g, p.name + ".lora_b", {w[0], a.rank}, nullptr);
    const ValueId x = p.node.in[0], y = emit_node(p.g, std::move(p.node));
    const ValueId low = emit(p.g, "linear", {emit(p.g, "linear", {x, down}), up});
    return add(p.g, y, scaled(p.g, low, (a.alpha > 0 ? a.alpha : 2.0 * (double)a.rank) / (double)a.rank));
  });
}

}  // namespace

constinit const Edit edit_lora = {{.name = "lora", .attributes = attr_schema<LoraAttrs>(kFields)}, apply};

}  // namespace tern
