// SPDX-License-Identifier: Apache-2.0
// Losses and their gradients equal PyTorch's, by the reference and in sessions on the CPU; linear_cross_entropy keeps
// to the memory of a chunk.
#include "tests/ops/case.h"
#include "tests/ops/loss_values.h"
#include "tests/runtime/support.h"
#include "train/differentiate.h"

namespace tern::test {
namespace {

constexpr double kTolerance = 1e-5;

// The case as a graph that gives its loss and the gradients of sum of (1 + i) * loss[i].
struct Differentiated {
  CaseGraph g;
  std::vector<test::Tensor> inputs;
};

void build(const LossValue& v, Differentiated* out) {
  const Op* op = find_op(v.op);
  ASSERT_NE(op, nullptr);
  const Case line = {"values", v.inputs, v.attributes};
  ParsedCase c;
  std::string why;
  ASSERT_TRUE(parse_case(*op, line, &c, &why)) << why;
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    const test::Tensor& t = c.inputs[k];
    if (!t.present || t.given || !is_float(t.dtype)) continue;
    for (int64_t i = 0; i < t.shape.elements(); ++i) t.ref().store(i, (double)((7 * i + 3 * (int64_t)k) % 11 - 5) / 4);
  }
  TERN_OKAY(build_graph(c, &out->g));
  Graph& g = out->g.graph;
  const ValueId y = g.outputs[0];
  std::vector<float> factors((size_t)g.value(y).shape.elements());
  for (size_t i = 0; i < factors.size(); ++i) factors[i] = (float)(1 + i);
  const Shape shape = g.value(y).shape;
  const ValueId loss = reduce_sum(g, mul(g, y, add_constant(g, TERN_DTYPE_F32, shape, factors.data())), {}, false);
  std::vector<ValueId> wrt, gradients;
  for (const int k : v.wrt)
    for (size_t i = 0; i < g.inputs.size(); ++i)
      if (out->g.feeds[i] == k) wrt.push_back(g.inputs[i]);
  ASSERT_EQ(wrt.size(), v.wrt.size());
  TERN_OKAY(differentiate(g, loss, wrt, &gradients));
  g.outputs = gradients;
  g.outputs.insert(g.outputs.begin(), y);
  for (const int k : out->g.feeds) out->inputs.push_back(c.inputs[(size_t)k]);
}

void compare_with(const LossValue& v, const std::vector<double>& got) {
  std::vector<double> want = v.values;
  want.insert(want.end(), v.gradients.begin(), v.gradients.end());
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(got[i], want[i], kTolerance * std::max(1.0, std::fabs(want[i])))
        << (i < v.values.size() ? "value " : "gradient ") << (i < v.values.size() ? i : i - v.values.size());
}

TEST(Losses, EqualThoseOfPyTorch) {
  for (const LossValue& v : kLossValues) {
    SCOPED_TRACE(std::string(v.op) + " " + v.inputs + " " + v.attributes);
    Differentiated d;
    build(v, &d);
    if (HasFatalFailure()) return;
    std::vector<test::Tensor> outputs;
    TERN_OKAY(run_reference(d.g.graph, d.inputs, &outputs));
    std::vector<double> got;
    for (const test::Tensor& t : outputs)
      for (int64_t i = 0; i < t.shape.elements(); ++i) got.push_back(t.ref().load(i));
    compare_with(v, got);
  }
}

TEST(Losses, EqualThoseOfPyTorchInSessions) {
  const Ref<Context> context = make_context(2);
  ModelDef def;
  std::vector<std::vector<Ref<tern::Tensor>>> inputs;
  for (const LossValue& v : kLossValues) {
    SCOPED_TRACE(std::string(v.op) + " " + v.inputs + " " + v.attributes);
    Differentiated d;
    build(v, &d);
    if (HasFatalFailure()) return;
    inputs.emplace_back();
    for (const test::Tensor& t : d.inputs) inputs.back().push_back(make_tensor(*context, t.dtype, t.shape, t.data()));
    add_signature(def, "case" + std::to_string(inputs.size()), std::move(d.g.graph));
  }
  const Ref<Model> model = make_model(*context, std::move(def));
  for (const char* backends : {"cpu", "reference"}) {
    Session::Options options;
    options.backends = backends;
    std::unique_ptr<Session> s;
    TERN_OKAY(Session::create(*model, options, &s));
    for (size_t k = 0; k < inputs.size(); ++k) {
      const LossValue& v = kLossValues[k];
      SCOPED_TRACE(std::string(backends) + ": " + v.op + " " + v.inputs + " " + v.attributes);
      std::vector<const tern::Tensor*> in;
      for (const auto& t : inputs[k]) in.push_back(t.get());
      Outputs out;
      TERN_OKAY(run(*s, (int32_t)k, in, &out));
      std::vector<double> got;
      for (size_t o = 0; o < out.tensors.size(); ++o)
        for (int64_t i = 0; i < out.tensors[o]->shape().elements(); ++i) got.push_back(out.f32(o)[i]);
      compare_with(v, got);
    }
  }
}

// ---- linear_cross_entropy ----

constexpr int64_t kRows = 512, kDim = 16, kClasses = 4096, kChunk = 32;
constexpr uint64_t kChunkBytes = kChunk * kClasses * sizeof(float), kWeightBytes = kClasses * kDim * sizeof(float),
                   kHiddenBytes = kRows * kDim * sizeof(float);

enum class Wanted { loss, hidden, both };

// The loss and what is wanted of its gradients, in chunks or from the logits of all rows. The arena of its plan.
uint64_t run_head(bool chunks, Wanted wanted, std::vector<std::vector<float>>* results) {
  const Ref<Context> context = make_context(2);
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {kRows, kDim}),
                w = add_input(g, "w", TERN_DTYPE_F32, {kClasses, kDim}),
                labels = add_input(g, "labels", TERN_DTYPE_I64, {kRows});
  Node n;
  n.op = find_op(chunks ? "linear_cross_entropy" : "cross_entropy");
  set_default_attributes(*n.op, &n.attributes);
  n.in = chunks ? std::vector{x, w, labels} : std::vector{emit(g, "linear", {x, w}), labels};
  if (chunks) EXPECT_EQ(set_attribute(*n.op, &n.attributes, "chunk", std::to_string(kChunk)), TERN_OK);
  const ValueId loss = emit_node(g, std::move(n));
  std::vector<ValueId> wrt, gradients;
  if (wanted != Wanted::loss) wrt.push_back(x);
  if (wanted == Wanted::both) wrt.push_back(w);
  EXPECT_EQ(differentiate(g, loss, wrt, &gradients), TERN_OK) << thread_error().message;
  g.outputs = gradients;
  g.outputs.insert(g.outputs.begin(), loss);
  ModelDef def;
  add_signature(def, "head", std::move(g));
  const Ref<Model> model = make_model(*context, std::move(def));
  Session::Options options;
  options.backends = "cpu";
  std::unique_ptr<Session> s;
  EXPECT_EQ(Session::create(*model, options, &s), TERN_OK) << thread_error().message;
  std::vector<int64_t> label(kRows);
  for (size_t i = 0; i < label.size(); ++i) label[i] = i % 7 == 3 ? -100 : (int64_t)(i * 1237 % kClasses);
  const Ref<tern::Tensor> in[] = {
      make_tensor(*context, TERN_DTYPE_F32, {kRows, kDim}, random_floats(kRows * kDim, 1).data()),
      make_tensor(*context, TERN_DTYPE_F32, {kClasses, kDim}, random_floats(kClasses * kDim, 2).data()),
      make_tensor(*context, TERN_DTYPE_I64, {kRows}, label.data())};
  Outputs out;
  EXPECT_EQ(run(*s, 0, {in[0].get(), in[1].get(), in[2].get()}, &out), TERN_OK) << thread_error().message;
  for (size_t k = 0; results && k < out.tensors.size(); ++k)
    results->emplace_back(out.f32(k), out.f32(k) + out.tensors[k]->shape().elements());
  return s->memory().plan.arena;
}

TEST(LinearCrossEntropy, NeverHoldsTheLogitsOfAllRows) {
  std::vector<std::vector<float>> whole, chunks;
  EXPECT_GT(run_head(false, Wanted::both, &whole), kRows * kClasses * sizeof(float));
  // A chunk's logits and their gradient; the weight's gradient, that of a chunk and both scaled.
  EXPECT_LT(run_head(true, Wanted::both, &chunks), 2 * kChunkBytes + 3 * kWeightBytes + 4 * kHiddenBytes);
  ASSERT_EQ(chunks.size(), whole.size());
  for (size_t k = 0; k < whole.size(); ++k)
    EXPECT_LT(relative_error(chunks[k].data(), whole[k].data(), (int64_t)whole[k].size()), 1e-5) << "result " << k;
  // What nobody wants costs nothing.
  EXPECT_LT(run_head(true, Wanted::hidden, nullptr), 2 * kChunkBytes + 4 * kHiddenBytes);
  EXPECT_LT(run_head(true, Wanted::loss, nullptr), kChunkBytes + kHiddenBytes);
}

// A gradient that came with the loss is not differentiated again: better no answer than a wrong one.
TEST(Losses, RefuseSecondGradientsThatTheyDoNotHave) {
  for (const char* name : {"linear_cross_entropy", "ctc_alignment"}) {
    Graph g;
    const bool ctc = std::string_view(name) == "ctc_alignment";
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, ctc ? Shape{3, 1, 4} : Shape{2, 3});
    const ValueId labels = add_input(g, "labels", TERN_DTYPE_I64, ctc ? Shape{1, 1} : Shape{2});
    const ValueId w = add_input(g, "w", TERN_DTYPE_F32, {4, 3});
    const ValueId y = ctc ? emit(g, name, {x, labels}) : emit(g, name, {x, w, labels});
    std::vector<ValueId> first, second;
    TERN_OKAY(differentiate(g, reduce_sum(g, y, {}, false), {&x, 1}, &first));
    const ValueId norm = reduce_sum(g, mul(g, first[0], first[0]), {}, false);
    EXPECT_EQ(differentiate(g, norm, {&x, 1}, &second), TERN_ERR_UNSUPPORTED);
    EXPECT_NE(std::strstr(thread_error().message, name), nullptr) << thread_error().message;
  }
}

}  // namespace
}  // namespace tern::test
