// SPDX-License-Identifier: Apache-2.0
// Models in f16 and bf16 run in the kernels of f32, and are rounded where they say so.
#include "backends/cpu/widen.h"

#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/normalize.h"
#include "ops/ops_generated.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

constexpr DType kHalves[] = {TERN_DTYPE_F16, TERN_DTYPE_BF16};

ValueId parameter(ModelDef& def, Graph& g, DType dtype, const Shape& shape, float size = 1) {
  const std::string name = "p" + std::to_string(def.parameters.size());
  std::vector<float> values = random_floats((size_t)shape.elements(), (uint32_t)def.parameters.size() + 1);
  Parameter p;
  p.name = name;
  p.dtype = dtype;
  p.shape = shape;
  EXPECT_EQ(encoded_bytes(Encoding::plain, dtype, shape, &p.bytes), TERN_OK);
  void* to = nullptr;
  p.data = make_data(p.bytes, &to);
  for (size_t i = 0; i < values.size(); ++i) store_element(dtype, to, (int64_t)i, size * values[i]);
  def.parameters.push_back(std::move(p));
  return use_parameter(g, def, name);
}

// Two convolutions with what usually lies around them, a normalisation and a product.
Graph network(ModelDef& def, DType dtype) {
  Graph g;
  const auto p = [&](const Shape& shape, float size = 1) { return parameter(def, g, dtype, shape, size); };
  const ValueId x = add_input(g, "x", dtype, {1, 6, 7, 8});
  ValueId y = emit(g, "conv2d", {x, p({16, 3, 3, 8}, 0.1f), p({16})}, Conv2dAttrs{.pads = {1, 1, 1, 1}});
  const ValueId first = y = emit(g, "relu", {mul(g, y, p({16}))});
  y = emit(g, "conv2d", {y, p({16, 1, 1, 16}, 0.2f), kNoValue}, Conv2dAttrs{});
  y = emit(g, "silu", {add(g, y, first)});
  y = reshape(g, y, {42, 16});
  y = emit(g, "layer_norm", {y, p({16}), p({16})});
  y = add(g, emit(g, "linear", {y, p({5, 16}, 0.3f)}), p({5}));
  g.outputs = {emit(g, "softmax", {y})};
  return g;
}

TEST(Widen, AllOfAModelHasKernels) {
  for (const DType dtype : kHalves) {
    SCOPED_TRACE(dtype_name(dtype));
    ModelDef def;
    const Graph g = network(def, dtype);
    add_signature(def, "forward", g);
    const Ref<Context> context = make_context(1);
    const Backend* cpu = nullptr;
    TERN_OKAY(context->open_backend("cpu", &cpu));
    Graph fused = g;
    TERN_OKAY(optimize_for_cpu(fused));
    int casts = 0, joined = 0;
    for (const Node& n : fused.nodes) {
      EXPECT_EQ(cpu->api->supports(cpu->self, fused, n).kind, SupportKind::kernel) << n.op->name;
      if (n.op == &op_cast) ++casts;
      else EXPECT_EQ(fused.value(n.out[0]).dtype, TERN_DTYPE_F32) << n.op->name;
      joined += n.op == &op_fused;
    }
    // The input, the output, a scale, a shift, and two of the normalisation.
    EXPECT_EQ(casts, 6);
    EXPECT_EQ(joined, 3);

    const std::vector<float> numbers = random_floats(6 * 7 * 8, 99);
    const Ref<Model> model = make_model(*context, std::move(def));
    std::vector<double> results[2];
    for (const char* name : {"reference", "cpu"}) {
      std::unique_ptr<Session> session;
      TERN_OKAY(Session::create(*model, {.backends = name}, &session));
      const Ref<tern::Tensor> x = make_tensor(*context, dtype, {1, 6, 7, 8});
      for (size_t i = 0; i < numbers.size(); ++i) store_element(dtype, x->data(), (int64_t)i, numbers[i]);
      Outputs out;
      TERN_OKAY(run(*session, 0, {x.get()}, &out));
      ASSERT_EQ(out.tensors[0]->dtype(), dtype);
      for (int64_t i = 0; i < 42 * 5; ++i)
        results[std::strcmp(name, "cpu") == 0].push_back(load_element(dtype, out.tensors[0]->data(), i));
    }
    // The reference rounds every step.
    const double bound = dtype == TERN_DTYPE_F16 ? 4e-3 : 3e-2;
    for (size_t i = 0; i < results[0].size(); ++i) ASSERT_NEAR(results[1][i], results[0][i], bound) << i;
  }
}

TEST(Widen, ACastOfTheModelRounds) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {3});
  const ValueId rounded = cast(g, x, TERN_DTYPE_F16);
  g.outputs = {cast(g, emit(g, "tanh", {rounded}), TERN_DTYPE_F32), cast(g, rounded, TERN_DTYPE_F32)};
  cpu::widen_halves(g);
  ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
  ASSERT_EQ(g.nodes.size(), 3u);  // to f16, to f32, tanh: nothing behind it
  EXPECT_EQ(g.value(g.nodes[0].out[0]).dtype, TERN_DTYPE_F16);
  EXPECT_EQ(g.outputs[0], g.nodes[2].out[0]);
  EXPECT_EQ(g.value(g.outputs[0]).dtype, TERN_DTYPE_F32);
  EXPECT_EQ(g.outputs[1], g.nodes[1].out[0]);
}

TEST(Widen, WhatOnlyMovesStays) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F16, {3, 5});
  const int64_t turned[] = {1, 0};
  g.outputs = {transpose(g, x, turned)};
  cpu::widen_halves(g);
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.value(g.outputs[0]).dtype, TERN_DTYPE_F16);
}

// As where a token comes to many others.
TEST(Widen, TheLargerPartDecides) {
  for (const int64_t rows : {1, 100}) {
    Graph g;
    const ValueId old = add_input(g, "old", TERN_DTYPE_F16, {10, 4});
    const ValueId one = emit(g, "tanh", {add_input(g, "one", TERN_DTYPE_F16, {rows, 4})});
    const ValueId all = emit(g, "concat", {old, one}, ConcatAttrs{.axis = 0});
    g.outputs = {all};
    cpu::widen_halves(g);
    ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
    bool wide = false;
    for (const Node& n : g.nodes) wide = wide || (n.op == &op_concat && g.value(n.out[0]).dtype == TERN_DTYPE_F32);
    EXPECT_EQ(wide, rows == 100);
    EXPECT_EQ(g.value(g.outputs[0]).dtype, TERN_DTYPE_F16);
  }
}

TEST(Widen, OthersAreLeftAlone) {
  Graph g;
  g.outputs = {emit(g, "tanh", {add_input(g, "x", TERN_DTYPE_F32, {3})})};
  cpu::widen_halves(g);
  ASSERT_EQ(g.nodes.size(), 1u);
}

}  // namespace
}  // namespace tern::test
