// SPDX-License-Identifier: Apache-2.0
// The differentiator on whole graphs: sums, broadcasts, shared values, pruning, refusals.
#include "train/differentiate.h"

#include <gtest/gtest.h>

#include "case.h"
#include "ops/control.h"
#include "ops/elementwise.h"

namespace tern::test {
namespace {

Tensor tensor(const Shape& shape, std::initializer_list<float> values) {
  Tensor t;
  t.dtype = TERN_DTYPE_F32;
  t.shape = shape;
  t.allocate();
  int64_t i = 0;
  for (float v : values) t.ref().store(i++, v);
  return t;
}

std::vector<double> run(Graph& g, ValueId output, const std::vector<Tensor>& in) {
  std::vector<Tensor> out;
  g.outputs = {output};
  EXPECT_EQ(run_reference(g, in, &out), TERN_OK) << thread_error().message;
  std::vector<double> v;
  for (int64_t i = 0; !out.empty() && i < out[0].shape.elements(); ++i) v.push_back(out[0].ref().load(i));
  return v;
}

TEST(Differentiate, AddsUpWhereAValueIsUsedTwice) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{2});
  const ValueId loss = reduce_sum(g, add(g, mul(g, x, x), x), {}, false);  // x^2 + x
  std::vector<ValueId> d;
  ASSERT_EQ(differentiate(g, loss, {&x, 1}, &d), TERN_OK) << thread_error().message;
  EXPECT_EQ(run(g, d[0], {tensor({2}, {3, -1})}), (std::vector<double>{7, -1}));
}

TEST(Differentiate, SumsOverBroadcastDims) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{2, 3}), row = add_input(g, "row", TERN_DTYPE_F32, Shape{3});
  const ValueId column = add_input(g, "column", TERN_DTYPE_F32, Shape{2, 1}),
                one = add_input(g, "one", TERN_DTYPE_F32, Shape{});
  const ValueId loss = reduce_sum(g, mul(g, mul(g, mul(g, x, row), column), one), {}, false);
  const ValueId wrt[] = {row, column, one, x};
  std::vector<ValueId> d;
  ASSERT_EQ(differentiate(g, loss, wrt, &d), TERN_OK) << thread_error().message;
  const std::vector<Tensor> in = {tensor({2, 3}, {1, 2, 3, 4, 5, 6}), tensor({3}, {1, 10, 100}), tensor({2, 1}, {2, 3}),
                                  tensor({}, {1})};
  EXPECT_EQ(run(g, d[0], in), (std::vector<double>{14, 19, 24}));
  EXPECT_EQ(run(g, d[1], in), (std::vector<double>{321, 654}));
  EXPECT_EQ(run(g, d[2], in), (std::vector<double>{321 * 2 + 654 * 3}));
  EXPECT_EQ(run(g, d[3], in), (std::vector<double>{2, 20, 200, 3, 30, 300}));
  EXPECT_EQ(g.value(d[1]).shape, (Shape{2, 1}));
}

TEST(Differentiate, GivesZerosAndStopsAtIntegers) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{2}), y = add_input(g, "y", TERN_DTYPE_F32, Shape{3});
  const ValueId whole = cast(g, cast(g, x, TERN_DTYPE_I32), TERN_DTYPE_F32);
  const ValueId loss = reduce_sum(g, whole, {}, false);
  const ValueId wrt[] = {x, y, loss};
  std::vector<ValueId> d;
  ASSERT_EQ(differentiate(g, loss, wrt, &d), TERN_OK) << thread_error().message;
  const std::vector<Tensor> in = {tensor({2}, {3, -1}), tensor({3}, {1, 2, 3})};
  EXPECT_EQ(run(g, d[0], in), (std::vector<double>{0, 0}));
  EXPECT_EQ(run(g, d[1], in), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(run(g, d[2], in), (std::vector<double>{1}));
}

TEST(Differentiate, LeavesNoUnusedNodes) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{3, 4}), w = add_input(g, "w", TERN_DTYPE_F32, Shape{4, 2});
  const ValueId loss = reduce_sum(g, emit(g, "matmul", {x, w}), {}, false);
  const size_t forward = g.nodes.size();
  std::vector<ValueId> d;
  ASSERT_EQ(differentiate(g, loss, {&w, 1}, &d), TERN_OK) << thread_error().message;
  std::vector<int> uses(g.values.size(), 0);
  for (const Node& n : g.nodes)
    for (ValueId v : n.in)
      if (v != kNoValue) ++uses[(size_t)v];
  ++uses[(size_t)d[0]];
  for (size_t i = forward; i < g.nodes.size(); ++i) {
    bool used = false;
    for (ValueId v : g.nodes[i].out) {
      used = used || uses[(size_t)v];
      EXPECT_EQ(g.value(v).producer, (int32_t)i);
    }
    EXPECT_TRUE(used) << g.nodes[i].op->name;
  }
}

TEST(Differentiate, SecondDerivative) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{2});
  std::vector<ValueId> first, second;
  ASSERT_EQ(differentiate(g, reduce_sum(g, mul(g, x, mul(g, x, x)), {}, false), {&x, 1}, &first), TERN_OK);
  ASSERT_EQ(differentiate(g, reduce_sum(g, first[0], {}, false), {&x, 1}, &second), TERN_OK) << thread_error().message;
  EXPECT_EQ(run(g, second[0], {tensor({2}, {3, -1})}), (std::vector<double>{18, -6}));
}

TEST(Differentiate, EqualOperandsShareTheGradient) {
  for (const char* op : {"max", "min"}) {
    Graph g;
    const ValueId wrt[] = {add_input(g, "x", TERN_DTYPE_F32, Shape{1}), add_input(g, "z", TERN_DTYPE_F32, Shape{1})};
    std::vector<ValueId> d;
    ASSERT_EQ(differentiate(g, reduce_sum(g, emit(g, op, {wrt[0], wrt[1]}), {}, false), wrt, &d), TERN_OK)
        << thread_error().message;
    for (ValueId v : d) EXPECT_EQ(run(g, v, {tensor({1}, {3}), tensor({1}, {3})}), (std::vector<double>{0.5}));
  }
}

TEST(Differentiate, RefusesAndLeavesTheGraph) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{2}), i = add_input(g, "i", TERN_DTYPE_I64, Shape{});
  const ValueId cond = add_input(g, "cond", TERN_DTYPE_BOOL, Shape{}), far = 99;
  Node n;
  n.op = find_op("if");
  n.in = {cond, x};
  Graph sub;
  const ValueId inner = add_input(sub, "x", TERN_DTYPE_F32, Shape{2});
  Value state;
  state.kind = ValueKind::state, state.index = 0, state.dtype = TERN_DTYPE_F32, state.shape = Shape{2};
  sub.outputs = {emit(sub, "state_write", {add_value(sub, state), emit(sub, "relu", {inner})})};
  n.subgraphs = {sub, sub};
  const ValueId loss = reduce_sum(g, emit_node(g, n, 1), {}, false), plain = reduce_sum(g, x, {}, false);
  ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
  const size_t values = g.values.size(), nodes = g.nodes.size();
  std::vector<ValueId> d = {42};
  EXPECT_EQ(differentiate(g, x, {&x, 1}, &d), TERN_ERR_SHAPE);
  EXPECT_EQ(differentiate(g, i, {&x, 1}, &d), TERN_ERR_TYPE);
  EXPECT_EQ(differentiate(g, plain, {&i, 1}, &d), TERN_ERR_TYPE);
  EXPECT_EQ(differentiate(g, plain, {&far, 1}, &d), TERN_ERR_TYPE);
  EXPECT_EQ(differentiate(g, far, {&x, 1}, &d), TERN_ERR_TYPE);
  EXPECT_EQ(differentiate(g, loss, {&x, 1}, &d), TERN_ERR_UNSUPPORTED);
  EXPECT_EQ(g.values.size(), values);
  EXPECT_EQ(g.nodes.size(), nodes);
  EXPECT_EQ(g.status, TERN_OK);
  EXPECT_EQ(d, std::vector<ValueId>{42});
}

}  // namespace
}  // namespace tern::test
