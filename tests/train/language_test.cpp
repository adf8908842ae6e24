// SPDX-License-Identifier: Apache-2.0
// Language models train as transformers and PyTorch do (tests/models/training_goldens.py): whole, through adapters, and
// ternary; what is composed of a call computes what the model does.
#include "import/hf_model.h"
#include "tests/models/json.h"
#include "tests/runtime/support.h"
#include "train/edit.h"
#include "train/graph_builder.h"
#include "train/trainer.h"

namespace tern::test {
namespace {

constexpr int64_t kVocabulary = 96, kSteps = 20;
// Of a golden: sequences, tokens of each, and what is added to its numbers.
struct Sizes {
  int64_t sequences = 4, tokens = 24, first = 3;
};
constexpr Sizes kTernary = {2, 8, 6};  // in which nothing that is rounded lies between two codes
constexpr char kProjections[] = "layers.*.{q,k,v,o,gate,up,down}";

std::string golden(const std::string& file) { return source_folder() + "tests/models/golden/language/" + file; }

Ref<Model> import(Context& context, const std::string& name) {
  ModelDef def;
  ImportOptions options;
  options.weights = options.cache = options.activations = "f32";
  EXPECT_EQ(import_hf_folder(golden("hf-" + name), options, &def), TERN_OK) << thread_error().message;
  return make_model(context, std::move(def));
}

// Tokens `shift` places on: [sequences, tokens] of the golden's batch.
template <class T>
Ref<Tensor> batch(Context& context, DType dtype, int64_t shift, const Sizes& sizes = {}) {
  std::vector<T> all;
  for (int64_t i = 0; i < sizes.sequences; ++i)
    for (int64_t j = shift; j < sizes.tokens + shift; ++j)
      all.push_back((T)((7 * j + 13 * i + j * j / (2 + i) + sizes.first) % kVocabulary));
  return make_tensor(context, dtype, {sizes.sequences, sizes.tokens}, all.data());
}

ValueId call(GraphBuilder& b, const char* name, const Model& model, ValueId tokens, const CallOptions& options = {}) {
  const ValueId in[] = {tokens, kNoValue, kNoValue};
  return b.call(name, model, "decode", in, options);
}

ValueId cross_entropy(GraphBuilder& b, ValueId logits, ValueId labels) {
  const ValueId in[] = {logits, labels};
  return b.op("cross_entropy", "", in);
}

void minimize(GraphBuilder& b, ValueId loss, const char* pattern, const std::string& attributes) {
  const std::vector<ValueId> weights = b.list(pattern);
  ASSERT_FALSE(weights.empty());
  std::vector<ValueId> gradients(weights.size());
  b.gradient(loss, weights, gradients.data());
  for (size_t i = 0; i < weights.size(); ++i) {
    const std::string name = b.value(weights[i])->name;
    const ValueId in[] = {weights[i],
                          b.state_like("m/" + name, weights[i]),
                          b.state_like("v/" + name, weights[i]),
                          gradients[i],
                          b.number(1e-3),
                          b.scalar("step")};
    b.op("adamw_update", attributes, in);
  }
}

// Signatures "step" and "evaluate" (tokens, labels -> loss).
Ref<Model> compose(Context& context, const Model& model, const char* pattern, double decay,
                   const Parameters* first = nullptr, const Sizes& sizes = {}) {
  GraphBuilder b(context);
  const Shape shape = {sizes.sequences, sizes.tokens};
  for (const char* signature : {"step", "evaluate"}) {
    b.begin(signature);
    const ValueId tokens = b.input("tokens", TERN_DTYPE_I64, shape), labels = b.input("labels", TERN_DTYPE_I32, shape);
    const ValueId logits = call(b, "net", model, tokens, {.parameters = first}),
                  loss = cross_entropy(b, logits, labels);
    if (logits != kNoValue) EXPECT_EQ(b.value(logits)->shape, (Shape{sizes.sequences, sizes.tokens, kVocabulary}));
    if (std::strcmp(signature, "step") == 0) minimize(b, loss, pattern, "weight_decay=" + std::to_string(decay));
    b.output("loss", loss);
  }
  Ref<Model> step;
  EXPECT_EQ(b.finish(&step), TERN_OK) << thread_error().message;
  return step;
}

struct LanguageTraining : testing::Test {
  Ref<Context> context = make_context(2);
  Json goldens;
  Ref<Tensor> tokens = batch<int64_t>(*context, TERN_DTYPE_I64, 0),
              labels = batch<int32_t>(*context, TERN_DTYPE_I32, 1);

  void SetUp() override { ASSERT_TRUE(read_json(golden("training.json"), &goldens)); }

  void train_and_compare(const Model& step, const Json& want, double bound, const char* what,
                         std::unique_ptr<Trainer>* out = nullptr) {
    std::unique_ptr<Trainer> t;
    TERN_OKAY(Trainer::create(step, {}, &t));
    const std::vector<Json>& losses = want["losses"].list;
    ASSERT_EQ(losses.size(), (size_t)kSteps + 1);
    const Tensor* in[] = {tokens.get(), labels.get()};
    double most = 0;
    const auto compare = [&](double loss, size_t i) {
      EXPECT_NEAR(loss, losses[i].number, bound * losses[i].number) << what << ", step " << i;
      most = std::max(most, std::fabs(loss - losses[i].number) / losses[i].number);
    };
    for (size_t i = 0; i < (size_t)kSteps; ++i) {
      TERN_OKAY(t->step(in, {}));
      compare(t->metrics()[0].value, i);
    }
    const Tensor* after = nullptr;
    TERN_OKAY(t->run(1, in, {&after, 1}, {}));
    compare(*(const float*)after->data(), kSteps);
    after->release();
    std::printf("%s: losses differ by %.1e\n", what, most);
    if (out) *out = std::move(t);
  }
};

TEST_F(LanguageTraining, AllParameters) {
  for (const std::string name : {"llama-f32", "qwen3", "gemma3"}) {
    SCOPED_TRACE(name);
    const Json& want = goldens[name.c_str()]["full"];
    const Ref<Model> model = import(*context, name), step = compose(*context, *model, "*", want["weight_decay"].number);
    ASSERT_TRUE(step);
    train_and_compare(*step, want, 1e-4, (name + " full").c_str());
  }
}

// A of "layers.{layer}.{q,v}.lora_a", as the golden's.
std::vector<float> golden_a(const std::string& name, const Shape& shape) {
  const int64_t layer = name[7] - '0', shift = name[9] == 'v' ? 9 : 0;
  std::vector<float> a;
  for (int64_t r = 0; r < shape[0]; ++r)
    for (int64_t j = 0; j < shape[1]; ++j)
      a.push_back((float)((37 * r + 11 * j + 5 * r * j + 17 * layer + shift) % 31 - 15) / 64);
  return a;
}

TEST_F(LanguageTraining, Adapters) {
  for (const std::string name : {"llama-f32", "qwen3", "gemma3"}) {
    SCOPED_TRACE(name);
    const Json& want = goldens[name.c_str()]["lora"];
    const Ref<Model> base = import(*context, name);
    Ref<Model> model;
    TERN_OKAY(edit_model(*base, "lora", "layers.*.{q,v}", "rank=4 alpha=8", &model));
    const Ref<Parameters> first = Ref<Parameters>::adopt(new Parameters(*model));
    size_t adapted = 0;
    for (size_t i = 0; i < model->def().parameters.size(); ++i) {
      const Parameter& p = model->def().parameters[i];
      if (!p.name.ends_with(".lora_a")) continue;
      TERN_OKAY(
          first->set((int32_t)i, *make_tensor(*context, TERN_DTYPE_F32, p.shape, golden_a(p.name, p.shape).data())));
      ++adapted;
    }
    EXPECT_EQ(adapted, name == "gemma3" ? 8u : 4u);
    EXPECT_EQ(model->def().parameters.size(), base->def().parameters.size() + 2 * adapted);
    const Ref<Model> step = compose(*context, *model, "*.lora_a *.lora_b", want["weight_decay"].number, first.get());
    ASSERT_TRUE(step);
    std::unique_ptr<Trainer> t;
    ASSERT_NO_FATAL_FAILURE(train_and_compare(*step, want, 1e-4, (name + " lora").c_str(), &t));
    for (size_t i = 0; i < step->def().parameters.size(); ++i)
      EXPECT_EQ(t->session().parameters().changed((int32_t)i),
                step->def().parameters[i].name.find(".lora_") != std::string::npos);
  }
}

// Of weights as the operator ternarize rounds them: three a character.
std::string packed_trits(const float* w, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += std::fabs(w[i]);
  const float scale = std::max((float)(sum / (double)n), 1e-5f);
  std::string text;
  int weight = 1;
  for (size_t i = 0; i < n; ++i) {
    if (i % 3 == 0) text += 'A', weight = 1;
    text.back() = (char)(text.back() + weight * ((int)std::clamp(std::nearbyint(w[i] / scale), -1.0f, 1.0f) + 1));
    weight *= 3;
  }
  return text;
}

int64_t different_trits(const std::string& a, const std::string& b) {
  int64_t count = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (int x = a[i] - 'A', y = b[i] - 'A'; x || y; x /= 3, y /= 3) count += x % 3 != y % 3;
  return count;
}

TEST_F(LanguageTraining, TernaryWeights) {
  const Json& want = goldens["llama-f32"]["ternary"];
  const Ref<Model> base = import(*context, "llama-f32");
  Ref<Model> model;
  TERN_OKAY(edit_model(*base, "bit_linear", kProjections, "", &model));
  const Ref<Model> step = compose(*context, *model, "*", want["weight_decay"].number, nullptr, kTernary);
  ASSERT_TRUE(step);
  tokens = batch<int64_t>(*context, TERN_DTYPE_I64, 0, kTernary);
  labels = batch<int32_t>(*context, TERN_DTYPE_I32, 1, kTernary);
  std::unique_ptr<Trainer> t;
  ASSERT_NO_FATAL_FAILURE(train_and_compare(*step, want, 1e-3, "llama-f32 ternary", &t));
  const Parameters first(*step);
  const std::map<std::string, Json>& trits = want["trits"].object;
  ASSERT_EQ(trits.size(), 14u);
  int64_t all = 0, different = 0, changed = 0;
  for (const auto& [name, text] : trits) {
    int32_t i = -1;
    TERN_OKAY(find_parameter(step->def(), name, &i));
    Ref<Tensor> before, after;
    TERN_OKAY(first.get(i, &before));
    TERN_OKAY(t->session().parameters().get(i, &after));
    const size_t n = (size_t)after->shape().elements();
    const std::string old = packed_trits((const float*)before->data(), n),
                      now = packed_trits((const float*)after->data(), n);
    ASSERT_EQ(now.size(), text.text.size()) << name;
    different += different_trits(now, text.text), changed += different_trits(now, old), all += (int64_t)n;
  }
  std::printf("llama-f32 ternary: of %lld weights %lld changed, %lld differ\n", (long long)all, (long long)changed,
              (long long)different);
  EXPECT_LT((double)different, 1e-3 * (double)all);
  EXPECT_NEAR((double)changed, want["changed"].number, (double)different);
  EXPECT_GT(want["changed"].number, 0.01 * (double)all);  // so many that it says something
}

// Tokens [1, 40] with windows that end among them, tied heads, capped logits.
TEST_F(LanguageTraining, CallsComputeWhatModelsDo) {
  constexpr int64_t kLong = 40;
  int64_t numbers[kLong];
  for (int64_t i = 0; i < kLong; ++i) numbers[i] = (7 * i + 3) % kVocabulary;
  const Ref<Tensor> given = make_tensor(*context, TERN_DTYPE_I64, {1, kLong}, numbers);
  for (const std::string name : {"llama-f32", "qwen3", "gemma3", "mistral", "qwen2"}) {
    SCOPED_TRACE(name);
    const Array want = read_npy(golden("hf-" + name + ".npy"));
    const Ref<Model> model = import(*context, name);
    GraphBuilder b(*context);
    b.begin("f");
    b.output("logits", call(b, "net", *model, b.input("tokens", TERN_DTYPE_I64, {1, kLong})));
    Ref<Model> f;
    TERN_OKAY(b.finish(&f));
    std::unique_ptr<Session> s;
    TERN_OKAY(Session::create(*f, {}, &s));
    Outputs out;
    TERN_OKAY(run(*s, 0, {given.get()}, &out));
    ASSERT_EQ(out.tensors[0]->shape(), (Shape{1, kLong, kVocabulary}));
    ASSERT_EQ(want.shape.elements(), kLong * kVocabulary);
    EXPECT_LT(relative_error(out.f32(0), want.f32(), want.shape.elements()), 2e-5);
  }
}

// A value inside a call is found by its name, and another stands in its place.
TEST_F(LanguageTraining, Taps) {
  const Ref<Model> model = import(*context, "llama-f32");
  GraphBuilder b(*context);
  b.begin("f");
  const ValueId in = b.input("tokens", TERN_DTYPE_I64, {Sizes().sequences, Sizes().tokens});
  b.output("logits", call(b, "net", *model, in));
  const ValueId q = b.find("net/layers.1.q"), first = b.find("net/layers.0.attention"),
                second = b.find("net/layers.1.attention");
  ASSERT_NE(second, kNoValue);
  EXPECT_EQ(b.value(q)->shape,
            (Shape{Sizes().sequences * Sizes().tokens, 4, 8}));  // the weight has this name without the call's
  EXPECT_EQ(b.value(b.find("layers.1.q"))->shape, (Shape{32, 32}));
  const char* const name[] = {"layers.1.attention"};
  b.output("same", call(b, "same", *model, in, {.names = name, .values = {&second, 1}}));
  b.output("other", call(b, "other", *model, in, {.names = name, .values = {&first, 1}}));
  Ref<Model> f;
  TERN_OKAY(b.finish(&f));
  std::unique_ptr<Session> s;
  TERN_OKAY(Session::create(*f, {}, &s));
  Outputs out;
  TERN_OKAY(run(*s, 0, {tokens.get()}, &out));
  const int64_t n = out.tensors[0]->shape().elements();
  EXPECT_EQ(std::memcmp(out.f32(0), out.f32(1), (size_t)n * sizeof(float)), 0);
  EXPECT_GT(relative_error(out.f32(2), out.f32(0), n), 1e-3);
}

// Teacher and student begin as one file; the student learns the labels and is held near the teacher, which stays.
TEST_F(LanguageTraining, FrozenTeacher) {
  const Ref<Model> model = import(*context, "qwen3");
  GraphBuilder b(*context);
  b.begin("step");
  const ValueId in = b.input("tokens", TERN_DTYPE_I64, {Sizes().sequences, Sizes().tokens}),
                next = b.input("labels", TERN_DTYPE_I32, {Sizes().sequences, Sizes().tokens});
  const ValueId student = call(b, "student", *model, in), teacher = call(b, "teacher", *model, in, {.set = "teacher"});
  const ValueId own = cross_entropy(b, student, next), theirs = cross_entropy(b, teacher, next);
  const ValueId pair[] = {teacher, student}, terms[] = {own, b.op("kl_divergence", "", pair)};
  minimize(b, b.op("add", "", terms), "embed norm layers.*", "weight_decay=0");
  b.output("student", own), b.output("teacher", theirs), b.output("apart", terms[1]);
  Ref<Model> step;
  TERN_OKAY(b.finish(&step));
  std::unique_ptr<Trainer> t;
  TERN_OKAY(Trainer::create(*step, {}, &t));
  const double alone = goldens["qwen3"]["full"]["losses"].list.at(0).number;
  const Tensor* given[] = {tokens.get(), labels.get()};
  double first = 0;
  for (int64_t i = 0; i < kSteps; ++i) {
    TERN_OKAY(t->step(given, {}));
    const std::span<const Trainer::Metric> m = t->metrics();
    if (i == 0) {
      first = m[0].value;
      EXPECT_NEAR(first, alone, 1e-5 * first);
      EXPECT_NEAR(m[2].value, 0, 1e-6);
    }
    EXPECT_EQ(m[1].value, first);
  }
  EXPECT_LT(t->metrics()[0].value, 0.9 * first);
  EXPECT_GT(t->metrics()[2].value, 1e-3);
  uint64_t bytes = 0;
  for (size_t i = 0; i < step->def().parameters.size(); ++i) {
    const Parameter& p = step->def().parameters[i];
    const bool frozen = p.name.starts_with("teacher/");
    EXPECT_EQ(t->session().parameters().changed((int32_t)i), !frozen) << p.name;
    if (!frozen) bytes += p.bytes;
  }
  EXPECT_EQ(step->def().parameters.size(), 2 * model->def().parameters.size());
  EXPECT_EQ(t->session().parameters().overlay_bytes(), bytes);
}

}  // namespace
}  // namespace tern::test
