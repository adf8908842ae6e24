// SPDX-License-Identifier: Apache-2.0
// head: a weight W [out, in] is replaced by a new one for other classes: NAME.head [classes, in], uniform in
// +-1 / sqrt(in), and NAME.head_bias [classes], zeros. Its product gives [.., classes] from now on.
#include <cmath>
#include <cstddef>

#include "ops/op.h"
#include "passes/eliminate.h"
#include "train/edits/edits.h"

namespace tern {
namespace {

struct HeadAttrs {
  int64_t classes = 0, seed = 0;
};

constexpr AttrField kFields[] = {TERN_ATTR(HeadAttrs, classes, integer, 0, 1 << 24),
                                 TERN_ATTR(HeadAttrs, seed, integer, -1e18, 1e18)};

tern_status apply(Context&, ModelDef& model, std::string_view pattern, const Attributes& attributes) {
  const HeadAttrs& a = *(const HeadAttrs*)attributes.bytes;
  if (a.classes < 1) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "head: classes=N is missing");
  TERN_TRY(rewrite_products(model, pattern, [&](WeightProduct& p) -> ValueId {
    const int64_t in = p.g.value(p.node.in[1]).shape[1];
    const std::string name = p.name + ".head";
    const double bound = 1 / std::sqrt((double)std::max<int64_t>(1, in));
    const ValueId w = added_parameter(model, p.g, name, {a.classes, in},
                                      [&](std::span<float> to) { fill_uniform(a.seed, name, bound, to); });
    const ValueId bias = added_parameter(model, p.g, name + "_bias", {a.classes}, nullptr);
    return emit(p.g, "linear", {p.node.in[0], w, bias});
  }));
  eliminate_parameters(model);
  return TERN_OK;
}

}  // namespace

constinit const Edit edit_head = {{.name = "head", .attributes = attr_schema<HeadAttrs>(kFields)}, apply};

}  // namespace tern
