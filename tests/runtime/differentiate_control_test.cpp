// SPDX-License-Identifier: Apache-2.0
// Gradients through `if` and `loop`, run in sessions and compared with differences of the loss in f64.
#include "ops/control.h"
#include "ops/gather.h"
#include "ops/state_write.h"
#include "tests/runtime/support.h"
#include "train/differentiate.h"

namespace tern::test {
namespace {

constexpr DType F = TERN_DTYPE_F64;

ValueId tanh(Graph& g, ValueId x) { return emit(g, "tanh", {x}); }
ValueId sum(Graph& g, ValueId x) { return reduce_sum(g, x, {}, false); }
ValueId input_like(Graph& g, const Graph& outer, ValueId v) {
  return add_input(g, "", outer.value(v).dtype, outer.value(v).shape);
}
ValueId trips(Graph& g, int64_t n) { return add_constant(g, TERN_DTYPE_I64, Shape{}, &n); }

// A model whose signature 0 gives the loss and signature 1 its gradients as well.
struct Trial {
  ModelDef def;
  Graph g;
  std::vector<ValueId> wrt;
  std::vector<Ref<tern::Tensor>> inputs;
  const Ref<Context> context = make_context();

  void feed(DType dtype, const Shape& shape, const void* data) {
    inputs.push_back(make_tensor(*context, dtype, shape, data));
  }
  ValueId input(const Shape& shape, uint32_t seed) {
    const ValueId v = add_input(g, "x" + std::to_string(seed), F, shape);
    std::vector<double> values;
    for (const float f : random_floats((size_t)shape.elements(), seed)) values.push_back(f);
    feed(F, shape, values.data());
    wrt.push_back(v);
    return v;
  }
  ValueId flag(bool v) {
    const ValueId id = add_input(g, "flag", TERN_DTYPE_BOOL, Shape{});
    feed(TERN_DTYPE_BOOL, Shape{}, &v);
    return id;
  }

  static double loss(Session& s, const std::vector<const tern::Tensor*>& in) {
    Outputs out;
    EXPECT_EQ(run(s, 0, in, &out), TERN_OK) << thread_error().message;
    return out.tensors.empty() ? NAN : *(const double*)out.tensors[0]->data();
  }

  // parameter: one that is to be moved too; its gradient is the last of signature 1.
  void check(ValueId loss_value, int32_t parameter = -1) {
    ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
    g.outputs = {loss_value};
    add_signature(def, "forward", g);
    std::vector<ValueId> gradients;
    TERN_OKAY(differentiate(g, loss_value, wrt, &gradients));
    g.outputs.insert(g.outputs.end(), gradients.begin(), gradients.end());
    add_signature(def, "backward", g);
    const Ref<Model> model = make_model(*context, std::move(def));
    for (const char* backends : {"cpu", "reference", "halting,cpu"}) {
      SCOPED_TRACE(backends);
      Session::Options options;
      options.backends = backends;
      std::unique_ptr<Session> s;
      TERN_OKAY(Session::create(*model, options, &s));
      std::vector<const tern::Tensor*> in;
      for (const auto& t : inputs) in.push_back(t.get());
      Outputs out;
      TERN_OKAY(run(*s, 1, in, &out));
      EXPECT_EQ(*(const double*)out.tensors[0]->data(), loss(*s, in));
      size_t k = 0;
      for (const auto& t : inputs) {
        if (t->dtype() != F) continue;
        compare(*out.tensors[1 + k++], [&](int64_t i, double by) {
          double& x = ((double*)t->data())[i];
          const double before = x;
          x += by;
          const double l = loss(*s, in);
          x = before;
          return l;
        });
      }
      if (parameter < 0) continue;
      Ref<tern::Tensor> p;
      TERN_OKAY(s->parameters().get(parameter, &p));
      compare(*out.tensors[1 + k], [&](int64_t i, double by) {
        double& x = ((double*)p->data())[i];
        const double before = x;
        x += by;
        EXPECT_EQ(s->parameters().set(parameter, *p), TERN_OK);
        const double l = loss(*s, in);
        x = before;
        EXPECT_EQ(s->parameters().set(parameter, *p), TERN_OK);
        return l;
      });
    }
  }
  template <class F>
  static void compare(const tern::Tensor& gradient, F moved) {
    constexpr double kStep = 1e-6;
    double largest = 0;
    for (int64_t i = 0; i < gradient.shape().elements(); ++i) {
      const double want = (moved(i, kStep) - moved(i, -kStep)) / (2 * kStep), got = ((const double*)gradient.data())[i];
      EXPECT_NEAR(got, want, 1e-7 * std::max(1.0, std::fabs(want))) << "element " << i;
      largest = std::max(largest, std::fabs(want));
    }
    EXPECT_GT(largest, 0) << "nothing depends on it";
  }
};

Node control(const char* op, std::vector<ValueId> in, std::vector<Graph> subgraphs) {
  Node n;
  n.op = find_op(op);
  n.in = std::move(in);
  n.subgraphs = std::move(subgraphs);
  return n;
}
Node loop(std::vector<ValueId> in, Graph body, int64_t carried) {
  Node n = control("loop", std::move(in), {std::move(body)});
  n.attrs<LoopAttrs>().num_carried = carried;
  return n;
}

// tanh(x w) or x w + x
std::vector<Graph> branches(const Graph& g, ValueId x, ValueId w) {
  std::vector<Graph> list(2);
  for (int k = 0; k < 2; ++k) {
    Graph& b = list[(size_t)k];
    const ValueId bx = input_like(b, g, x), bw = input_like(b, g, w), y = mul(b, bx, bw);
    b.outputs = {k == 0 ? tanh(b, y) : add(b, y, bx)};
  }
  return list;
}

TEST(ControlGradients, IfTakesTheBranchThatRan) {
  for (const bool yes : {true, false}) {
    Trial t;
    const ValueId x = t.input({3}, 1), w = t.input({3}, 2), flag = t.flag(yes);
    const ValueId y = emit_node(t.g, control("if", {flag, x, w}, branches(t.g, x, w)), 1);
    t.check(sum(t.g, mul(t.g, y, y)));
  }
}

TEST(ControlGradients, BranchReadsAParameterByItself) {
  Trial t;
  const std::vector<float> values = {0.5f, -1, 2};
  Parameter p;
  p.name = "p", p.dtype = F, p.shape = {3}, p.bytes = 24;
  void* to = nullptr;
  p.data = make_data(p.bytes, &to);
  for (int i = 0; i < 3; ++i) ((double*)to)[i] = values[(size_t)i];
  t.def.parameters.push_back(std::move(p));
  const ValueId x = t.input({3}, 1), flag = t.flag(true);
  Graph yes, no;
  const ValueId bx = input_like(yes, t.g, x), nx = input_like(no, t.g, x);
  yes.outputs = {mul(yes, tanh(yes, bx), use_parameter(yes, t.def, "p"))};
  no.outputs = {nx};
  const ValueId y = emit_node(t.g, control("if", {flag, x}, {yes, no}), 1), outside = use_parameter(t.g, t.def, "p");
  t.wrt.push_back(outside);
  t.check(sum(t.g, mul(t.g, y, add(t.g, y, outside))), 0);
}

// h = tanh(h w + x[i]); scanned: h h. Ends when `until` < the sum of h, if that is given.
Graph recurrence(const Graph& g, ValueId h, ValueId w, ValueId x, double until) {
  Graph b;
  const ValueId i = add_input(b, "i", TERN_DTYPE_I64, Shape{}), again = add_input(b, "again", TERN_DTYPE_BOOL, Shape{});
  const ValueId bh = input_like(b, g, h), bw = input_like(b, g, w), bx = input_like(b, g, x);
  const ValueId next = tanh(b, add(b, emit(b, "matmul", {bh, bw}), emit(b, "gather", {bx, i}, GatherAttrs{0})));
  const ValueId total = sum(b, next);
  b.outputs = {until < 10 ? emit(b, "less", {total, scalar_like(b, total, until)}) : again, next, mul(b, next, bh)};
  return b;
}

TEST(ControlGradients, LoopGoesBackThroughItsIterations) {
  for (const double until : {99.0, 0.3, -9.0})  // runs all, some, and one
    for (const bool given : {false, true}) {    // whether a condition comes from outside
      SCOPED_TRACE(testing::Message() << until << given);
      Trial t;
      const ValueId h = t.input({1, 3}, 3), w = t.input({3, 3}, 4), x = t.input({5, 1, 3}, 5);
      std::vector<ValueId> outs;
      emit_node(t.g,
                loop({trips(t.g, 5), given ? t.flag(true) : kNoValue, h, w, x}, recurrence(t.g, h, w, x, until), 1), 2,
                &outs);
      ASSERT_EQ(outs.size(), 2u) << thread_error().message;
      const ValueId last = mul(t.g, outs[0], outs[0]);
      t.check(add(t.g, sum(t.g, last), sum(t.g, mul(t.g, outs[1], outs[1]))));
    }
}

TEST(ControlGradients, LoopWithoutIterationsPassesOn) {
  Trial t;
  const ValueId h = t.input({1, 3}, 3);
  Graph b;
  add_input(b, "i", TERN_DTYPE_I64, Shape{});
  const ValueId again = add_input(b, "again", TERN_DTYPE_BOOL, Shape{});
  b.outputs = {again, tanh(b, input_like(b, t.g, h))};
  const ValueId y = emit_node(t.g, loop({trips(t.g, 0), kNoValue, h}, b, 1), 1);
  t.check(sum(t.g, mul(t.g, y, y)));
}

// An if within a loop, which takes either branch by the number of the iteration; integers are carried beside.
TEST(ControlGradients, IfWithinALoop) {
  Trial t;
  const ValueId x = t.input({3}, 6), w = t.input({3}, 7);
  const int64_t zero = 0;
  const ValueId start = add_constant(t.g, TERN_DTYPE_I64, Shape{}, &zero);
  Graph b;
  add_input(b, "i", TERN_DTYPE_I64, Shape{});
  const ValueId again = add_input(b, "again", TERN_DTYPE_BOOL, Shape{});
  const ValueId number = input_like(b, t.g, start), bx = input_like(b, t.g, x), bw = input_like(b, t.g, w);
  const ValueId first = emit(b, "less", {number, scalar_like(b, number, 4)});
  const ValueId y = emit_node(b, control("if", {first, bx, bw}, branches(t.g, x, w)), 1);
  b.outputs = {again, add(b, number, scalar_like(b, number, 3)), y};
  std::vector<ValueId> outs;
  emit_node(t.g, loop({trips(t.g, 4), kNoValue, start, x, w}, b, 2), 2, &outs);
  ASSERT_EQ(outs.size(), 2u) << thread_error().message;
  t.check(sum(t.g, mul(t.g, outs[1], outs[1])));
}

TEST(ControlGradients, RefusesAndLeavesTheGraph) {
  Graph g;
  const ValueId h = add_input(g, "h", F, Shape{1, 3}), w = add_input(g, "w", F, Shape{3, 3}),
                x = add_input(g, "x", F, Shape{5, 1, 3}), n = add_input(g, "n", TERN_DTYPE_I64, Shape{});
  Graph unknown = recurrence(g, h, w, x, 99);
  unknown.outputs.pop_back();
  const ValueId first = emit_node(g, loop({n, kNoValue, h, w, x}, unknown, 1), 1);
  std::vector<ValueId> outs;
  emit_node(g, loop({trips(g, 5), kNoValue, first, w, x}, recurrence(g, h, w, x, 0), 1), 2, &outs);
  ASSERT_EQ(outs.size(), 2u) << thread_error().message;
  const ValueId loss = sum(g, outs[0]);
  const size_t values = g.values.size(), nodes = g.nodes.size();
  std::vector<ValueId> d = {42};
  EXPECT_EQ(differentiate(g, loss, {&h, 1}, &d), TERN_ERR_UNSUPPORTED);
  EXPECT_NE(std::string(thread_error().message).find("number of iterations"), std::string::npos);
  EXPECT_EQ(g.values.size(), values);
  EXPECT_EQ(g.nodes.size(), nodes);
  for (const Node& node : g.nodes)
    if (node.op == find_op("loop")) {
      EXPECT_LE(node.out.size(), 2u);
      EXPECT_LE(node.subgraphs[0].outputs.size(), 3u);
    }
  EXPECT_EQ(d, std::vector<ValueId>{42});
}

}  // namespace
}  // namespace tern::test
