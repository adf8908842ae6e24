// SPDX-License-Identifier: Apache-2.0
// Sizes are followed through every operator that a network has, not only through those that a model happened to need.
#include "passes/follow_sizes.h"

#include <gtest/gtest.h>

#include <set>

#include "base/status.h"
#include "tests/ops/case.h"

namespace tern::test {
namespace {

// Their results are as long as the data says, or (gradients) only a trained graph has them, where sizes are fixed.
bool is_left_out(const Op& op) {
  const std::string_view name = op.name;
  static const std::set<std::string_view> kOthers = {"max_pool2d_pick", "fused"};
  return op.num_subgraphs > 0 || kOthers.count(name) || name.ends_with("_grad") || name.ends_with("_update");
}

// A rank that varies, a factor that is no integer, and what 64 bits do not hold.
bool is_not_followed(const Op& op, const Case& line, size_t input, int axis, int rank) {
  const std::string_view name = op.name, of = line.name;
  return (name == "gather_nd" && input == 1 && axis == rank - 1) ||
         (name == "resize" && input == 0 && (axis == 1 || axis == 2)) || (name == "slice" && of.starts_with("large_"));
}

// With one dim of one input a symbol, each dim of the outputs is an expression of it, which is what the shape
// rule gives for every size that it takes.
TEST(FollowSizes, ThroughEveryOperator) {
  int checked = 0;
  for (const Op* op : all_ops()) {
    if (is_left_out(*op)) continue;
    for (int32_t k = 0; k < op->cases.count; ++k) {
      ParsedCase c;
      std::string why;
      CaseGraph built;
      if (op->cases.items[k].fails != TERN_OK || !parse_case(*op, op->cases.items[k], &c, &why) ||
          build_graph(c, &built) != TERN_OK)
        continue;
      for (size_t input = 0; input < built.graph.inputs.size(); ++input) {
        const ValueId v = built.graph.inputs[input];
        if (built.graph.nodes.size() != 1) continue;
        for (int axis = 0; axis < built.graph.value(v).shape.rank; ++axis) {
          Graph g = built.graph;
          const int64_t size = g.value(v).shape[axis];
          Sizes sizes({size});
          auto own = std::make_shared<ValueSizes>();
          own->dims_vary = true;
          for (int a = 0; a < g.value(v).shape.rank; ++a)
            own->dims[a] = a == axis ? sizes.symbol(0) : sizes.constant(g.value(v).shape[a]);
          g.value(v).sizes = own;
          const auto where = [&] {
            return std::string(op->name) + " " + c.line->name + ": dim " + std::to_string(axis) + " of input " +
                   std::to_string(input) + " varies";
          };
          EXPECT_EQ(follow_sizes(sizes, g, g.nodes[0]), TERN_OK) << where() << ": " << thread_error().message;
          if (is_not_followed(*op, *c.line, input, axis, g.value(v).shape.rank)) continue;
          for (int64_t there = std::max<int64_t>(0, size - 9); there < size + 9; ++there) {
            Graph other = built.graph;
            other.value(v).shape[axis] = there;
            std::vector<Value> outs;
            if (infer_node(other, other.nodes[0], &outs) != TERN_OK) continue;
            const auto at = sizes.evaluate(std::vector<int64_t>{there});
            for (size_t k = 0; k < outs.size(); ++k)
              for (int a = 0; a < outs[k].shape.rank; ++a) {
                ++checked;
                EXPECT_EQ(at[(size_t)size_of(sizes, g.value(g.nodes[0].out[k]), a)], outs[k].shape[a])
                    << where() << " to " << there << ", axis " << a;
              }
          }
        }
      }
    }
  }
  EXPECT_GT(checked, 20000);
}

}  // namespace
}  // namespace tern::test
