// SPDX-License-Identifier: Apache-2.0
// Imported models are differentiated and trained with an operator that writes parameters: an MLP, and a small network
// with convolutions and batch norm. Losses equal PyTorch's; other sessions keep the old parameters; a run that ends
// before the update changes nothing.
#include <map>

#include "import/importer.h"
#include "ops/reduce.h"
#include "ops/state_write.h"
#include "passes/optimize.h"
#include "tests/runtime/count_allocations.h"
#include "tests/runtime/support.h"
#include "train/differentiate.h"

namespace tern::test {
namespace {

constexpr int kSteps = 20;
constexpr int32_t kForward = 0, kTrain = 1;

struct Golden {
  double rate = 0;
  std::vector<double> losses;
  Array x, labels, logits;
};

std::vector<double> numbers_after(const std::string& text, const char* key) {
  std::vector<double> list;
  size_t at = text.find(std::string("\"") + key + "\"");
  if (at == std::string::npos) return list;
  at = text.find(':', at) + 1;
  while (text[at] == ' ' || text[at] == '\n') ++at;
  const bool array = text[at] == '[';
  for (at += array; at < text.size();) {
    while (at < text.size() && (text[at] == ',' || text[at] == ' ' || text[at] == '\n')) ++at;
    char* end = nullptr;
    const double v = std::strtod(text.c_str() + at, &end);
    if (end == text.c_str() + at) break;
    list.push_back(v);
    at = (size_t)(end - text.c_str());
    if (!array) break;
  }
  return list;
}

Golden golden(const std::string& name) {
  const std::string folder = source_folder() + "tests/models/golden/spine/" + name + "/";
  Golden g;
  const std::vector<char> json = read_file(folder + "training.json");
  const std::string text(json.begin(), json.end());
  const std::vector<double> rate = numbers_after(text, "rate");
  g.rate = rate.empty() ? 0 : rate[0];
  g.losses = numbers_after(text, "losses");
  g.x = read_npy(folder + "x.npy");
  g.labels = read_npy(folder + "labels.npy");
  g.logits = read_npy(folder + "final_logits.npy");
  return g;
}

// A batch norm of inference becomes one of training, and the running statistics follow: 0.9 old + 0.1 new, the new
// variance with n - 1. Returns the values of the statistics, which are not to be differentiated.
std::vector<ValueId> train_batch_norms(Graph& g) {
  std::vector<ValueId> statistics;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (std::string_view(g.nodes[i].op->name) != "batch_norm") continue;
    Node& n = g.nodes[i];
    const ValueId mean = n.in[3], variance = n.in[4];
    n.op = find_op("batch_norm_train");
    n.in.resize(3);
    const Shape x = g.value(n.in[0]).shape;
    std::vector<Value> outs;
    n.out.resize(3, kNoValue);
    EXPECT_EQ(infer_node(g, n, &outs), TERN_OK) << thread_error().message;
    for (size_t k = 1; k < 3; ++k) {
      outs[k].producer = (int32_t)i;
      n.out[k] = add_value(g, outs[k]);
    }
    const double count = (double)(x.elements() / x[x.rank - 1]);
    const ValueId batch[2] = {n.out[1], n.out[2]}, old[2] = {mean, variance};
    const double factor[2] = {0.1, 0.1 * count / (count - 1)};
    for (int k = 0; k < 2; ++k) {
      const ValueId now =
          add(g, mul(g, old[k], scalar_like(g, old[k], 0.9)), mul(g, batch[k], scalar_like(g, old[k], factor[k])));
      emit(g, "state_write", {old[k], now});
      statistics.push_back(old[k]);
    }
  }
  return statistics;
}

// Adds the signature `train`: inputs x and labels, output the mean loss; writes all parameters.
void add_training(ModelDef& def, double rate) {
  Graph g = def.signatures[(size_t)kForward].graph;
  const std::vector<ValueId> statistics = train_batch_norms(g);
  const ValueId logits = g.outputs[0], labels = add_input(g, "labels", TERN_DTYPE_I32, {g.value(logits).shape[0]});
  const ValueId loss = emit(g, "reduce_mean", {emit(g, "softmax_cross_entropy", {logits, labels})}, ReduceAttrs{});
  std::vector<ValueId> wrt, gradients;
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].kind == ValueKind::parameter && is_float(g.values[v].dtype) &&
        std::find(statistics.begin(), statistics.end(), (ValueId)v) == statistics.end())
      wrt.push_back((ValueId)v);
  ASSERT_EQ(differentiate(g, loss, wrt, &gradients), TERN_OK) << thread_error().message;
  const ValueId r = add_constant(g, (float)rate);
  for (size_t i = 0; i < wrt.size(); ++i) emit(g, "sgd_update", {wrt[i], gradients[i], r});
  g.outputs = {loss};
  ASSERT_EQ(add_signature(def, "train", std::move(g)), kTrain);
}

struct Setup {
  const char *model, *backends;
};
void PrintTo(const Setup& s, std::ostream* os) { *os << s.model << " on " << s.backends; }

class Training : public testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    data = golden(GetParam().model);
    ASSERT_EQ(data.losses.size(), (size_t)kSteps + 1);
    const std::string path =
        source_folder() + "tests/models/golden/spine/" + GetParam().model + "/" + GetParam().model + ".onnx";
    const std::vector<char> file = read_file(path);
    ModelDef def;
    ImportOptions options;
    TERN_OKAY(import_onnx({(const uint8_t*)file.data(), file.size()}, options, &def));
    ASSERT_EQ(def.signatures.size(), 1u);
    ASSERT_EQ(def.signatures[0].graph.inputs.size(), 1u);
    ASSERT_EQ(def.signatures[0].graph.value(def.signatures[0].graph.inputs[0]).shape, data.x.shape);
    add_training(def, data.rate);
    context = make_context(2);
    model = make_model(*context, std::move(def));
    x = make_tensor(*context, TERN_DTYPE_F32, data.x.shape, data.x.f32());
    labels = make_tensor(*context, TERN_DTYPE_I32, data.labels.shape, data.labels.i32());
  }
  std::unique_ptr<Session> open(Ref<Parameters> parameters = {}) {
    Session::Options options;
    options.backends = GetParam().backends;
    options.parameters = parameters;
    std::unique_ptr<Session> s;
    EXPECT_EQ(Session::create(*model, options, &s), TERN_OK) << thread_error().message;
    return s;
  }
  float loss(Session& s) {
    Outputs out;
    EXPECT_EQ(run(s, kTrain, {x.get(), labels.get()}, &out), TERN_OK) << thread_error().message;
    return out.tensors.empty() ? NAN : *out.f32(0);
  }
  std::vector<float> logits(Session& s) {
    Outputs out;
    EXPECT_EQ(run(s, kForward, {x.get()}, &out), TERN_OK) << thread_error().message;
    return out.tensors.empty() ? std::vector<float>()
                               : std::vector<float>(out.f32(0), out.f32(0) + data.logits.shape.elements());
  }
  std::vector<std::vector<char>> content(const Parameters& p) {
    std::vector<std::vector<char>> all;
    for (size_t i = 0; i < model->def().parameters.size(); ++i) {
      const char* b = (const char*)parameter_bytes(p, (int32_t)i);
      all.emplace_back(b, b + model->def().parameters[i].bytes);
    }
    return all;
  }

  Golden data;
  Ref<Context> context;
  Ref<Model> model;
  Ref<Tensor> x, labels;
};

TEST_P(Training, LossesEqualPyTorchs) {
  const std::unique_ptr<Session> trained = open(), untouched = open();
  const std::vector<float> before = logits(*untouched);
  for (int i = 0; i < kSteps; ++i)
    ASSERT_NEAR(loss(*trained), data.losses[(size_t)i], 1e-4 * data.losses[(size_t)i]) << "step " << i;
  EXPECT_EQ(trained->parameters().version(), 1u + kSteps);
  EXPECT_GT(trained->parameters().overlay_bytes(), 0u);

  // Inference sees the new parameters, and the statistics that followed.
  const std::vector<float> after = logits(*trained);
  ASSERT_EQ(after.size(), (size_t)data.logits.shape.elements());
  EXPECT_LT(relative_error(after.data(), data.logits.f32(), data.logits.shape.elements()), 1e-3);

  // A second session of the same model still sees the old ones, the file's own.
  EXPECT_EQ(logits(*untouched), before);
  EXPECT_EQ(logits(*open()), before);
  EXPECT_EQ(untouched->parameters().overlay_bytes(), 0u);
  EXPECT_NEAR(loss(*open()), data.losses[0], 1e-4 * data.losses[0]);

  // A session that is given the trained ones goes on from there.
  const Ref<Parameters> shared = Ref<Parameters>::share(&trained->parameters());
  EXPECT_NEAR(loss(*open(shared)), data.losses[kSteps], 1e-4 * data.losses[kSteps]);
}

// The steps of batch norm and of the loss serve the forward pass and the gradient.
TEST_P(Training, NoStepOfACompositeIsTakenTwice) {
  const std::unique_ptr<Session> s = open();
  loss(*s);
  std::map<std::string, int> count;
  for (const Session::Placement& node : s->placements(kTrain)) ++count[node.op];
  EXPECT_LE(count["log_softmax"], 1);
  // the mean loss, the global average, and where batch norm has no kernel, two moments of each of the two
  const bool kernels = std::string_view(GetParam().backends) == "cpu";
  EXPECT_EQ(count["reduce_mean"], std::string_view(GetParam().model) != "cnn" ? 1 : kernels ? 2 : 6);
}

// The gradient of a weight is written in the weight's own order, by kernels, and the update is a loop over both.
TEST_P(Training, GradientsLieAsTheirParameters) {
  Graph g = model->def().signatures[(size_t)kTrain].graph;
  TERN_OKAY(optimize(g));
  int encoded = 0;
  for (const Node& n : g.nodes) {
    if (n.op != find_op("sgd_update")) continue;
    EXPECT_EQ(g.value(n.in[1]).encoding, g.value(n.in[0]).encoding) << g.value(n.in[0]).name;
    encoded += !is_plain(g.value(n.in[0]).encoding);
  }
  EXPECT_GT(encoded, 1);
  if (std::string_view(GetParam().backends) != "cpu") return;
  const std::unique_ptr<Session> s = open();
  loss(*s);
  for (const Session::Placement& node : s->placements(kTrain)) EXPECT_NE(node.as, PlacedAs::reference) << node.op;
}

TEST_P(Training, ARunThatEndsBeforeTheUpdateChangesNothing) {
  const std::unique_ptr<Session> s = open();
  loss(*s);
  const auto before = content(s->parameters());
  const uint64_t version = s->parameters().version();
  std::atomic<int32_t> cancel{1};
  Outputs out;
  EXPECT_EQ(run(*s, kTrain, {x.get(), labels.get()}, &out, RunControl{&cancel, 0}), TERN_ERR_CANCELLED);
  EXPECT_EQ(run(*s, kTrain, {x.get(), labels.get()}, &out, RunControl{nullptr, 1}), TERN_ERR_DEADLINE);
  EXPECT_EQ(s->parameters().version(), version);
  EXPECT_EQ(content(s->parameters()), before);
  // At any moment: all of the update or nothing.
  const uint64_t begin = monotonic_ns();
  loss(*s);
  const uint64_t once = monotonic_ns() - begin;
  int ended = 0, done = 0;
  for (int i = 0; i < 24; ++i) {
    const auto old = content(s->parameters());
    const tern_status status =
        run(*s, kTrain, {x.get(), labels.get()}, &out, RunControl{nullptr, monotonic_ns() + once * (uint64_t)i / 16});
    (status == TERN_OK ? done : ended) += 1;
    if (status != TERN_OK) {
      EXPECT_EQ(status, TERN_ERR_DEADLINE);
      EXPECT_EQ(content(s->parameters()), old) << "deadline " << i;
    } else {
      EXPECT_NE(content(s->parameters()), old) << "deadline " << i;
    }
  }
  EXPECT_GT(ended, 0);
  // The session is ready for another run.
  EXPECT_GT(loss(*s), 0);
}

// Planning and first step: an error, the parameters as they were, and the step works when repeated. Or, where
// parameters were half written, nobody takes them any more.
TEST_P(Training, EveryAllocationOfAStepFails) {
  if (std::string_view(GetParam().model) != "mlp") return;  // one model is enough
  int failed = 0, torn = 0;
  for (int64_t n = 1;; n += 1 + n / 40) {
    const std::unique_ptr<Session> s = open();
    const auto before = content(s->parameters());
    Outputs out;
    tern_status status = TERN_ERR_MEMORY;
    const tern::Tensor *inputs[] = {x.get(), labels.get()},
                       *results[1] = {};  // only what the run itself allocates fails
    fail_allocation(n);
    try {
      status = s->run(kTrain, inputs, results, {});
    } catch (const std::bad_alloc&) {
    }
    const bool reached = fail_allocation(0);
    if (status == TERN_OK) results[0]->release();
    if (!reached) {
      EXPECT_EQ(status, TERN_OK);
      break;
    }
    ++failed;
    if (s->parameters().intact() != TERN_OK) {
      ++torn;
      Ref<Tensor> any;
      EXPECT_EQ(status, TERN_ERR_MEMORY) << n;
      EXPECT_EQ(run(*s, kTrain, {x.get(), labels.get()}, &out), TERN_ERR_STATE) << n;
      EXPECT_EQ(s->parameters().get(0, &any), TERN_ERR_STATE) << n;
      continue;
    }
    if (status != TERN_OK) {  // the thread pool and others do without
      EXPECT_EQ(status, TERN_ERR_MEMORY) << n;
      EXPECT_EQ(content(s->parameters()), before) << n;
      EXPECT_NEAR(loss(*s), data.losses[0], 1e-4 * data.losses[0]) << n;
    }
    EXPECT_NEAR(loss(*s), data.losses[1], 1e-4 * data.losses[1]) << n;
    if (HasFailure()) FAIL() << "allocation " << n;
  }
  EXPECT_GT(failed, 50);
  // The CPU's updates take no memory.
  EXPECT_TRUE(torn == 0 || std::string_view(GetParam().backends) != "cpu") << torn;
}

const Setup kSetups[] = {{"mlp", "cpu"}, {"mlp", "reference"}, {"mlp", "halting,cpu"}, {"mlp", "deferred"},
                         {"cnn", "cpu"}, {"cnn", "reference"}, {"cnn", "halting,cpu"}, {"cnn", "deferred"}};

INSTANTIATE_TEST_SUITE_P(Models, Training, testing::ValuesIn(kSetups), [](const testing::TestParamInfo<Setup>& i) {
  std::string name = std::string(i.param.model) + "_" + i.param.backends;
  std::replace(name.begin(), name.end(), ',', '_');
  return name;
});

}  // namespace
}  // namespace tern::test
