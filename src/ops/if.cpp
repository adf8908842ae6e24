// SPDX-License-Identifier: Apache-2.0
// if: runs its first sub-graph when the condition holds, else its second
//   cond: one bool; the other inputs are captured: they are the inputs of both sub-graphs, in this order
//   outputs: those of the sub-graphs, which agree in number and type; in shape too, unless the condition is known when
//   the plan
//   is made: then only the one that runs counts
#include "ops/subgraph.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Graph &yes = a.node.subgraphs[0], &no = a.node.subgraphs[1];
  TERN_TRY(require_condition(a, 0));
  for (const Graph* g : {&yes, &no}) {
    TERN_TRY(check_subgraph(a, *g));
    if (g->inputs.size() + 1 != a.node.in.size() || g->outputs.size() != a.node.out.size())
      return TERN_FAIL(TERN_ERR_SHAPE, "if: a sub-graph has %zu inputs and %zu outputs instead of %zu and %zu",
                       g->inputs.size(), g->outputs.size(), a.node.in.size() - 1, a.node.out.size());
    for (size_t i = 0; i < g->inputs.size(); ++i) TERN_TRY(require_same_value(a, (int)i + 1, g->value(g->inputs[i])));
  }
  const Graph* const taken = !a.in(0).data                                          ? nullptr
                             : load_integer(TERN_DTYPE_BOOL, a.in(0).data.bytes, 0) ? &yes
                                                                                    : &no;
  for (size_t i = 0; i < yes.outputs.size(); ++i) {
    const Value &u = yes.value(yes.outputs[i]), &v = no.value(no.outputs[i]);
    if (u.dtype != v.dtype || (!taken && !(u.shape == v.shape)))
      return TERN_FAIL(TERN_ERR_SHAPE, "if: output %zu is %s%s in one sub-graph and %s%s in the other", i,
                       dtype_name(u.dtype), to_string(u.shape).c_str(), dtype_name(v.dtype),
                       to_string(v.shape).c_str());
    a.set((int)i, u.dtype, taken == &no ? v.shape : u.shape);
  }
  return TERN_OK;
}

}  // namespace

extern constinit const Op op_if =
    checked_op({.name = "if", .max_in = -1, .num_out = -1, .num_subgraphs = 2, .flags = kControl, .infer = infer});

}  // namespace tern
