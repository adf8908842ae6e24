// SPDX-License-Identifier: Apache-2.0
// Operators with sub-graphs: shape rules of `if` and `loop`, decomposition of `fused`.
#include <gtest/gtest.h>

#include "case.h"
#include "ops/control.h"

namespace tern::test {
namespace {

Node node_of(const char* op) {
  Node n;
  n.op = find_op(op);
  set_default_attributes(*n.op, &n.attributes);
  return n;
}

// x [2,3] -> op(x)
Graph branch(const char* op, DType dtype = TERN_DTYPE_F32) {
  Graph g;
  g.outputs.push_back(emit(g, op, {add_input(g, "x", dtype, Shape{2, 3})}));
  return g;
}

struct Outer {
  Graph g;
  ValueId cond = add_input(g, "cond", TERN_DTYPE_BOOL, Shape{});
  ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{2, 3});
};

TEST(If, TakesTheShapeOfItsBranches) {
  Outer o;
  Node n = node_of("if");
  n.in = {o.cond, o.x};
  n.subgraphs = {branch("relu"), branch("neg")};
  const ValueId y = emit_node(o.g, n, 1);
  ASSERT_EQ(o.g.status, TERN_OK) << thread_error().message;
  EXPECT_EQ(o.g.value(y).shape, (Shape{2, 3}));
}

tern_status status_of_if(ValueId Outer::*cond, Graph yes, Graph no, int outputs = 1) {
  Outer o;
  Node n = node_of("if");
  n.in = {o.*cond, o.x};
  n.subgraphs = {std::move(yes), std::move(no)};
  emit_node(o.g, n, outputs);
  return o.g.status;
}

TEST(If, RefusesWhatDoesNotFit) {
  EXPECT_EQ(status_of_if(&Outer::x, branch("relu"), branch("neg")), TERN_ERR_TYPE);
  EXPECT_EQ(status_of_if(&Outer::cond, branch("relu"), branch("neg", TERN_DTYPE_F16)), TERN_ERR_TYPE);
  EXPECT_EQ(status_of_if(&Outer::cond, branch("relu"), branch("neg"), 2), TERN_ERR_SHAPE);
  EXPECT_EQ(status_of_if(&Outer::cond, branch("relu"), branch("transpose")), TERN_ERR_SHAPE);
  EXPECT_EQ(status_of_if(&Outer::cond, Graph{}, branch("neg")), TERN_ERR_SHAPE);
  Graph foreign = branch("relu");
  foreign.outputs[0] = 99;
  EXPECT_EQ(status_of_if(&Outer::cond, foreign, branch("neg")), TERN_ERR_INVALID_ARGUMENT);
  Outer o;
  Node n = node_of("if");
  n.in = {o.cond, o.x};
  emit_node(o.g, n, 1);
  EXPECT_EQ(o.g.status, TERN_ERR_INVALID_ARGUMENT);  // no sub-graphs
}

// (iteration, cond, carried [2,3]) -> (cond, carried, scanned [2,3])
Graph body() {
  Graph g;
  add_input(g, "i", TERN_DTYPE_I64, Shape{});
  const ValueId cond = add_input(g, "cond", TERN_DTYPE_BOOL, Shape{});
  const ValueId y = emit(g, "neg", {add_input(g, "x", TERN_DTYPE_F32, Shape{2, 3})});
  g.outputs = {cond, y, y};
  return g;
}

struct Loop : Outer {
  const int64_t five[1] = {5};
  ValueId trips = add_constant(g, TERN_DTYPE_I64, Shape{}, five);
  Node n = node_of("loop");
  std::vector<ValueId> outs;
  tern_status run(Graph sub, std::vector<ValueId> in, int carried, int outputs) {
    n.in = std::move(in);
    n.subgraphs = {std::move(sub)};
    n.attrs<LoopAttrs>().num_carried = carried;
    emit_node(g, n, outputs, &outs);
    return g.status;
  }
};

TEST(LoopOp, CarriesAndScans) {
  Loop l;
  ASSERT_EQ(l.run(body(), {l.trips, l.cond, l.x}, 1, 2), TERN_OK) << thread_error().message;
  EXPECT_EQ(l.g.value(l.outs[0]).shape, (Shape{2, 3}));
  EXPECT_EQ(l.g.value(l.outs[1]).shape, (Shape{5, 2, 3}));
}

TEST(LoopOp, RefusesWhatDoesNotFit) {
  {
    Loop l;
    EXPECT_EQ(l.run(body(), {l.trips, l.cond, l.x}, 2, 2), TERN_ERR_SHAPE);
  }
  {
    Loop l;
    EXPECT_EQ(l.run(body(), {l.trips, l.x, l.x}, 1, 2), TERN_ERR_TYPE);
  }
  {
    Loop l;
    EXPECT_EQ(l.run(body(), {l.x, l.cond, l.x}, 1, 2), TERN_ERR_TYPE);
  }
  {
    Loop l;
    EXPECT_EQ(l.run(body(), {kNoValue, l.cond, l.x}, 1, 2), TERN_ERR_UNSUPPORTED);
  }
  {
    Loop l;
    EXPECT_EQ(l.run(body(), {l.trips, l.cond, l.x}, 1 << 21, 2), TERN_ERR_INVALID_ARGUMENT);
  }
  {
    Loop l;
    EXPECT_EQ(l.run(body(), {}, 1, 2), TERN_ERR_SHAPE);
  }
  {
    Loop l;
    EXPECT_EQ(l.run(Graph{}, {}, 0, 0), TERN_ERR_SHAPE);
  }
  {
    Loop l;
    Graph sub = body();
    sub.outputs[1] = emit(sub, "transpose", {sub.outputs[1]});
    EXPECT_EQ(l.run(sub, {l.trips, l.cond, l.x}, 1, 2), TERN_ERR_SHAPE);
  }
}

TEST(Fused, RunsItsSubGraph) {
  Graph sub;
  const ValueId a = add_input(sub, "a", TERN_DTYPE_F32, Shape{4}), b = add_input(sub, "b", TERN_DTYPE_F32, Shape{4});
  sub.outputs = {emit(sub, "relu", {add(sub, a, mul(sub, b, add_constant(sub, 2.0f)))}), a};
  Graph g;
  Node n = node_of("fused");
  n.in = {add_input(g, "a", TERN_DTYPE_F32, Shape{4}), add_input(g, "b", TERN_DTYPE_F32, Shape{4})};
  n.subgraphs = {sub};
  emit_node(g, n, 2, &g.outputs);
  ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
  std::vector<Tensor> in(2), out;
  Random random{1};
  for (Tensor& t : in) {
    t.dtype = TERN_DTYPE_F32;
    t.shape = Shape{4};
    t.allocate();
    fill_random(t, random);
  }
  ASSERT_EQ(run_reference(g, in, &out), TERN_OK) << thread_error().message;
  for (int i = 0; i < 4; ++i) {
    const float want = (float)in[0].ref().load(i) + (float)in[1].ref().load(i) * 2;
    EXPECT_FLOAT_EQ((float)out[0].ref().load(i), want > 0 ? want : 0);
    EXPECT_EQ(out[1].ref().load(i), in[0].ref().load(i));
  }
}

TEST(Fused, RefusesWhatDoesNotFit) {
  Graph g;
  Node n = node_of("fused");
  n.in = {add_input(g, "x", TERN_DTYPE_F32, Shape{2, 4})};
  n.subgraphs = {branch("relu")};
  emit_node(g, n, 1);
  EXPECT_EQ(g.status, TERN_ERR_SHAPE);
}

}  // namespace
}  // namespace tern::test
