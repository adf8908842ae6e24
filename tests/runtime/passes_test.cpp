// SPDX-License-Identifier: Apache-2.0
// Passes over the graph of a plan: what they join or remove computes the same as before.
#include "passes/eliminate.h"

#include "ops/elementwise.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

// Output 0 for these numbers, by the operators' own loops.
std::vector<float> evaluate_graph(const Graph& g, std::vector<float> x, Shape* shape) {
  std::vector<std::vector<float>> all(g.values.size());
  all[(size_t)g.inputs[0]] = std::move(x);
  for (const Node& n : g.nodes) {
    const Value& y = g.value(n.out[0]);
    all[(size_t)n.out[0]].resize((size_t)y.shape.elements());
    const auto tensor = [&](ValueId v) {
      return RefTensor{g.value(v).dtype, g.value(v).encoding, g.value(v).shape, all[(size_t)v].data()};
    };
    const RefTensor in = tensor(n.in[0]), out = tensor(n.out[0]);
    EXPECT_EQ(evaluate(n, &in, &out), TERN_OK) << thread_error().message;
  }
  *shape = g.value(g.outputs[0]).shape;
  return all[(size_t)g.outputs[0]];
}

// Two transposes become one, or none: all pairs of orders, given from the front, from the end, or left out (reversed).
TEST(Passes, TransposesAreJoined) {
  const Shape shapes[] = {{5}, {2, 3}, {1, 3, 2}, {2, 1, 1}, {2, 3, 4}};
  for (const Shape& shape : shapes) {
    const int rank = shape.rank;
    std::vector<std::vector<int64_t>> orders = {{}};
    std::vector<int64_t> order;
    for (int i = 0; i < rank; ++i) order.push_back(i);
    do {
      orders.push_back(order);
      orders.push_back(order);
      for (int64_t& axis : orders.back()) axis -= rank;
    } while (std::next_permutation(order.begin(), order.end()));
    for (const auto& first : orders)
      for (const auto& second : orders) {
        Graph g;
        const ValueId x = add_input(g, "x", TERN_DTYPE_F32, shape);
        g.outputs = {transpose(g, transpose(g, x, first), second)};
        ASSERT_EQ(g.status, TERN_OK);
        const std::vector<float> numbers = random_floats((size_t)shape.elements(), 7);
        Shape before, after;
        const std::vector<float> expected = evaluate_graph(g, numbers, &before);
        remove_identities(g);
        const bool turned = std::count(shape.begin(), shape.end(), 1) == 0;  // else reshapes
        EXPECT_LE(g.nodes.size(), turned ? 1u : 2u);
        EXPECT_EQ(evaluate_graph(g, numbers, &after), expected);
        EXPECT_TRUE(before == after) << to_string(before) << to_string(after);
      }
  }
}

// Where a shape came from an operand that is no longer needed, only the results tell two nodes apart.
TEST(Passes, EqualNodesHaveEqualResults) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {4, 6});
  const int64_t wide[] = {3, 8}, flat[] = {24};
  const auto reshaped = [&](std::span<const int64_t> shape) {
    return emit(g, "neg", {emit(g, "reshape", {x, add_constant(g, shape)})});
  };
  g.outputs = {reshaped(wide), reshaped(flat), reshaped(flat)};
  ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
  remove_identities(g);
  merge_common(g);
  EXPECT_EQ(g.nodes.size(), 4u);
  EXPECT_EQ(g.value(g.outputs[0]).shape, (Shape{3, 8}));
  EXPECT_EQ(g.value(g.outputs[1]).shape, (Shape{24}));
  EXPECT_EQ(g.outputs[1], g.outputs[2]);
}

TEST(Passes, EqualNodesHaveEqualAttributes) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {4});
  for (const double high : {1.0, 2.0, 1.0}) g.outputs.push_back(emit(g, "clip", {x}, ClipAttrs{0, high}));
  ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
  merge_common(g);
  EXPECT_EQ(g.nodes.size(), 2u);
  EXPECT_NE(g.outputs[0], g.outputs[1]);
  EXPECT_EQ(g.outputs[0], g.outputs[2]);
}

// A constant without elements has the bytes of its dims alone, which are those of a number without dims.
TEST(Passes, EqualConstantsHaveEqualShapes) {
  Graph g;
  const int64_t zero = 0;
  const ValueId none = add_constant(g, TERN_DTYPE_I64, Shape{0}, nullptr),
                number = add_constant(g, TERN_DTYPE_I64, Shape{}, &zero),
                again = add_constant(g, TERN_DTYPE_I64, Shape{}, &zero);
  g.outputs = {none, number, again};
  merge_common(g);
  EXPECT_EQ(g.value(g.outputs[0]).shape, Shape{0});
  EXPECT_EQ(g.value(g.outputs[1]).shape, Shape{});
  EXPECT_EQ(g.outputs[1], g.outputs[2]);
}

}  // namespace
}  // namespace tern::test
