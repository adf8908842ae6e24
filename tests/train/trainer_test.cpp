// SPDX-License-Identifier: Apache-2.0
// Trainers: a resume is as if nothing had happened, threads do not matter, files of others are refused.
#include "train/trainer.h"

#include <unistd.h>

#include "format/reader.h"
#include "ops/reduce.h"
#include "tests/runtime/support.h"
#include "train/edit.h"
#include "train/graph_builder.h"
#include "train/parameter_file.h"

namespace tern::test {
namespace {

constexpr int64_t kBatch = 16, kIn = 20, kInner = 33, kClasses = 5;

// linear, relu, linear: signature "forward".
Ref<Model> network(Context& context, Encoding encoding = Encoding::panel32) {
  ModelDef def;
  add_parameter(def, "first", {kInner, kIn}, random_floats(kInner * kIn, 1).data(), encoding);
  add_parameter(def, "first_bias", {kInner}, random_floats(kInner, 2).data());
  add_parameter(def, "second", {kClasses, kInner}, random_floats(kClasses * kInner, 3).data(), encoding);
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {kBatch, kIn});
  const ValueId h =
      emit(g, "relu", {emit(g, "linear", {x, use_parameter(g, def, "first"), use_parameter(g, def, "first_bias")})});
  g.outputs = {emit(g, "linear", {h, use_parameter(g, def, "second")})};
  add_signature(def, "forward", std::move(g));
  return make_model(context, std::move(def));
}

// Momentum of its own, so that there is a state.
Ref<Model> compose(Context& context, const Model& model, const char* pattern = "*") {
  GraphBuilder b(context);
  b.begin("step");
  const ValueId x = b.input("x", TERN_DTYPE_F32, {kBatch, kIn}), labels = b.input("labels", TERN_DTYPE_I32, {kBatch});
  const ValueId each[] = {b.call("net", model, "forward", {&x, 1}, {.train = true}), labels};
  const ValueId mean[] = {b.op("softmax_cross_entropy", "", each)}, loss = b.op("reduce_mean", "", mean);
  const std::vector<ValueId> weights = b.list(pattern);
  EXPECT_FALSE(weights.empty());
  std::vector<ValueId> gradients(weights.size());
  b.gradient(loss, weights, gradients.data());
  for (size_t i = 0; i < weights.size(); ++i) {
    const Value w = *b.value(weights[i]);
    const ValueId v = b.state("velocity/" + w.name, w.dtype, w.shape);
    const ValueId old[] = {v, b.number(0.9)}, sum[] = {b.op("mul", "", old), gradients[i]}, next = b.op("add", "", sum);
    b.write(v, next);
    const ValueId update[] = {weights[i], next, b.number(0.05)};
    b.op("sgd_update", "", update);
  }
  b.output("loss", loss);
  b.begin("predict");
  const ValueId y = b.input("x", TERN_DTYPE_F32, {kBatch, kIn});
  b.output("logits", b.call("net", model, "forward", {&y, 1}, {}));
  Ref<Model> step;
  EXPECT_EQ(b.finish(&step), TERN_OK) << thread_error().message;
  return step;
}

struct Batches {
  explicit Batches(Context& c) : context(c) {}
  Ref<Tensor> x(int64_t i) {
    return make_tensor(context, TERN_DTYPE_F32, {kBatch, kIn}, random_floats(kBatch * kIn, (uint32_t)(10 + i)).data());
  }
  Ref<Tensor> labels(int64_t i) {
    int32_t l[kBatch];
    for (int64_t k = 0; k < kBatch; ++k) l[k] = (int32_t)((i * 7 + k * 3) % kClasses);
    return make_tensor(context, TERN_DTYPE_I32, {kBatch}, l);
  }
  Context& context;
};

std::unique_ptr<Trainer> open(const Model& step) {
  std::unique_ptr<Trainer> t;
  EXPECT_EQ(Trainer::create(step, {.seed = 5}, &t), TERN_OK) << thread_error().message;
  return t;
}

// alone: the same batch again and again, whose loss falls then.
double train(Trainer& t, Context& context, int64_t until, bool alone = false) {
  Batches batches(context);
  while (t.steps() < until) {
    const int64_t i = alone ? 0 : t.steps();
    const Ref<Tensor> x = batches.x(i), labels = batches.labels(i);
    const Tensor* in[] = {x.get(), labels.get()};
    if (t.step(in, {}) != TERN_OK) {
      ADD_FAILURE() << thread_error().message;
      return 0;
    }
  }
  return t.metrics()[0].value;
}

std::vector<std::vector<char>> content(Trainer& t) {
  std::vector<std::vector<char>> all;
  for (size_t i = 0; i < t.model().def().parameters.size(); ++i) {
    const char* p = (const char*)parameter_bytes(t.session().parameters(), (int32_t)i);
    all.emplace_back(p, p + t.model().def().parameters[i].bytes);
  }
  return all;
}

std::string temporary(const char* name) { return testing::TempDir() + "tern_" + std::to_string(getpid()) + "_" + name; }

Ref<Model> load(Context& context, const std::string& path) {
  Bytes file;
  ModelDef def;
  tern_limits limits = TERN_LIMITS_INIT;
  EXPECT_EQ(load_file(path.c_str(), LoadMode::copy, 1 << 20, &file), TERN_OK) << thread_error().message;
  if (!file.data || read_model(file, resolve_limits(&limits), &def) != TERN_OK) return {};
  EXPECT_EQ(def.signatures.size(), 1u);
  return make_model(context, std::move(def), file.owner);
}

TEST(Trainer, ResumesBitByBit) {
  const Ref<Context> context = make_context(1);
  const Ref<Model> model = network(*context), step = compose(*context, *model);
  const std::unique_ptr<Trainer> whole = open(*step), first = open(*step), second = open(*step);
  const double begin = train(*whole, *context, 1), loss = train(*whole, *context, 12);
  EXPECT_LT(loss, 0.9 * begin);
  EXPECT_STREQ(whole->metrics()[0].name, "loss");
  train(*first, *context, 5);
  const std::string path = temporary("checkpoint.tern");
  TERN_OKAY(first->save(path.c_str(), "sample 80"));
  std::string more;
  TERN_OKAY(second->load(path.c_str(), &more));
  EXPECT_EQ(more, "sample 80");
  EXPECT_EQ(second->steps(), 5);
  EXPECT_EQ(train(*second, *context, 12), loss);
  EXPECT_EQ(content(*second), content(*whole));
  // Of another model, or none at all.
  const Ref<Model> other = compose(*context, *network(*context), "first*");
  const std::unique_ptr<Trainer> wrong = open(*other);
  train(*wrong, *context, 2);
  const auto before = content(*wrong);
  EXPECT_EQ(wrong->load(path.c_str(), nullptr), TERN_ERR_SHAPE) << thread_error().message;
  EXPECT_EQ(wrong->steps(), 2);
  EXPECT_EQ(content(*wrong), before);
  EXPECT_EQ(second->load((path + ".none").c_str(), nullptr), TERN_ERR_NOT_FOUND);
  std::remove(path.c_str());
}

TEST(Trainer, ThreadsDoNotMatter) {
  std::vector<std::vector<char>> results[2];
  for (int threads : {1, 2}) {
    const Ref<Context> context = make_context(threads);
    const Ref<Model> model = network(*context), step = compose(*context, *model);
    const std::unique_ptr<Trainer> t = open(*step);
    train(*t, *context, 8);
    results[threads - 1] = content(*t);
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST(Trainer, ExportsTheModel) {
  const Ref<Context> context = make_context(1);
  const Ref<Model> model = network(*context), step = compose(*context, *model);
  const std::unique_ptr<Trainer> t = open(*step);
  train(*t, *context, 6);
  const std::string path = temporary("exported.tern");
  TERN_OKAY(t->export_model(*model, "", path.c_str()));
  const Ref<Model> exported = load(*context, path);
  ASSERT_TRUE(exported);
  std::unique_ptr<Session> s;
  TERN_OKAY(Session::create(*exported, {}, &s));
  Batches batches(*context);
  const Ref<Tensor> x = batches.x(99);
  Outputs out;
  TERN_OKAY(run(*s, 0, {x.get()}, &out));
  const Tensor *in[] = {x.get()}, *mine[] = {nullptr};
  TERN_OKAY(t->run(1, in, mine, {}));
  EXPECT_EQ(std::memcmp(out.f32(0), mine[0]->data(), mine[0]->bytes()), 0);
  mine[0]->release();
  EXPECT_EQ(t->export_model(*model, "student", path.c_str()), TERN_ERR_NOT_FOUND);
  std::remove(path.c_str());
}

// ---- budget

// Twelve layers, of which each keeps two arrays for the way back, that are large beside the weights.
Ref<Model> deep(Context& context) {
  constexpr int64_t kWide = 64, kCopies = 32;
  ModelDef def;
  Graph g;
  ValueId x = add_input(g, "x", TERN_DTYPE_F32, {kBatch, kIn});
  x = emit(g, "tile", {x, add_constant(g, std::vector<int64_t>{kCopies, 1})});
  for (int i = 0; i < 12; ++i) {
    const int64_t in = i ? kWide : kIn;
    const std::string name = "layer" + std::to_string(i);
    std::vector<float> w = random_floats((size_t)(kWide * in), (uint32_t)i);
    for (float& v : w) v *= 2 / std::sqrt((float)in);
    add_parameter(def, name, {kWide, in}, w.data(), Encoding::panel32);
    const ValueId y = emit(g, "linear", {x, use_parameter(g, def, name)});
    x = emit(g, "silu", {emit(g, "tanh", {y})});
  }
  add_parameter(def, "head", {kClasses, kWide}, random_floats((size_t)(kClasses * kWide), 40).data(),
                Encoding::panel32);
  const ValueId each = reshape(g, emit(g, "linear", {x, use_parameter(g, def, "head")}), {kCopies, kBatch, kClasses});
  g.outputs = {emit(g, "reduce_mean", {each}, ReduceAttrs{.axes = {0}})};
  add_signature(def, "forward", std::move(g));
  return make_model(context, std::move(def));
}

TEST(Budget, LessMemoryGivesTheSameBits) {
  const Ref<Context> context = make_context(1);
  const Ref<Model> model = deep(*context), step = compose(*context, *model);
  const std::unique_ptr<Trainer> free = open(*step);
  const Trainer::Memory all = free->memory();
  EXPECT_EQ(all.again, 0);
  EXPECT_EQ(all.parameters, 4u * 64 * (kIn + 11 * 64) + 4u * 64 * 8);  // the head's rows are padded to 8
  const double loss = train(*free, *context, 5);
  EXPECT_EQ(free->session().memory().plan.arena, all.activations);
  const uint64_t fixed = all.parameters + all.states + all.work;
  for (const uint64_t share : {75, 60, 50, 40}) {
    SCOPED_TRACE(share);
    std::unique_ptr<Trainer> t;
    TERN_OKAY(Trainer::create(*step, {.seed = 5, .budget = fixed + all.activations * share / 100}, &t));
    EXPECT_LE(t->memory().peak(), fixed + all.activations * share / 100);
    EXPECT_EQ(t->memory().without_budget, all.activations);
    EXPECT_GT(t->memory().again, 0);
    EXPECT_EQ(train(*t, *context, 5), loss);
    EXPECT_EQ(content(*t), content(*free));
  }
  std::unique_ptr<Trainer> none;
  EXPECT_EQ(Trainer::create(*step, {.budget = fixed + 100}, &none), TERN_ERR_LIMIT);
  EXPECT_NE(std::string(thread_error().message).find("smaller batch"), std::string::npos) << thread_error().message;
  EXPECT_EQ(Trainer::create(*step, {.budget = 1000}, &none), TERN_ERR_LIMIT);
}

// ---- edits

std::vector<float> forward(const Model& model, Context& context) {
  std::unique_ptr<Session> s;
  EXPECT_EQ(Session::create(model, {}, &s), TERN_OK);
  Outputs out;
  EXPECT_EQ(run(*s, 0, {Batches(context).x(7).get()}, &out), TERN_OK) << thread_error().message;
  const int64_t n = out.tensors.empty() ? 0 : out.tensors[0]->shape().elements();
  return {out.f32(0), out.f32(0) + n};
}

TEST(Edits, LoraTrainsBesideWeightsOfAnyForm) {
  for (const Encoding encoding : {Encoding::panel32, Encoding::panel_int8}) {
    SCOPED_TRACE(encoding_name(encoding));
    const Ref<Context> context = make_context(1);
    const Ref<Model> model = network(*context, encoding);
    Ref<Model> adapted;
    TERN_OKAY(edit_model(*model, "lora", "*", "rank=4", &adapted));
    EXPECT_EQ(forward(*adapted, *context), forward(*model, *context));  // at first
    const Ref<Model> step = compose(*context, *adapted, "*.lora_*");
    const std::unique_ptr<Trainer> t = open(*step);
    const double begin = train(*t, *context, 1, true);
    EXPECT_LT(train(*t, *context, 40, true), 0.8 * begin);
    // The base is as it was; what was learnt is a small file of its own, which fits the edited model.
    const std::string path = temporary("adapter.tern");
    TERN_OKAY(save_parameters(t->session().parameters(), "*", path.c_str()));
    Session::Options options;
    options.parameters = Ref<Parameters>::adopt(new Parameters(*adapted));
    TERN_OKAY(load_parameters(path.c_str(), *options.parameters));
    std::unique_ptr<Session> s;
    TERN_OKAY(Session::create(*adapted, options, &s));
    Batches batches(*context);
    const Ref<Tensor> x = batches.x(7);
    Outputs out;
    TERN_OKAY(run(*s, 0, {x.get()}, &out));
    const Tensor *in[] = {x.get()}, *mine[] = {nullptr};
    TERN_OKAY(t->run(1, in, mine, {}));
    EXPECT_EQ(std::memcmp(out.f32(0), mine[0]->data(), mine[0]->bytes()), 0);
    mine[0]->release();
    EXPECT_EQ(s->parameters().overlay_bytes(), 4u * 4 * (kIn + kInner + kInner + kClasses));
    // Merged, it is the same function without the adapter; codes of 8 bits would lose it.
    const std::string whole = temporary("whole.tern");
    TERN_OKAY(t->export_model(*adapted, "", whole.c_str()));
    const Ref<Model> exported = load(*context, whole);
    ASSERT_TRUE(exported);
    Ref<Model> merged;
    const tern_status status = edit_model(*exported, "merge_lora", "*", "", &merged);
    if (encoding == Encoding::panel_int8) {
      EXPECT_EQ(status, TERN_ERR_UNSUPPORTED);
    } else {
      TERN_OKAY(status);
      EXPECT_EQ(merged->def().parameters.size(), 3u);
      const std::vector<float> a = forward(*merged, *context), b = forward(*exported, *context);
      EXPECT_LT(relative_error(a.data(), b.data(), (int64_t)a.size()), 1e-5);
    }
    std::remove(path.c_str()), std::remove(whole.c_str());
  }
}

TEST(Edits, TernaryWeightsAreWhatWasTrained) {
  const Ref<Context> context = make_context(2);
  const Ref<Model> model = network(*context);
  Ref<Model> normed, latent;
  TERN_OKAY(edit_model(*model, "sub_norm", "second", "", &normed));
  TERN_OKAY(edit_model(*normed, "bit_linear", "first second", "", &latent));
  const Ref<Model> step = compose(*context, *latent);
  const std::unique_ptr<Trainer> t = open(*step);
  const double begin = train(*t, *context, 1, true);
  EXPECT_LT(train(*t, *context, 40, true), 0.9 * begin);
  const std::string path = temporary("latent.tern");
  TERN_OKAY(t->export_model(*latent, "", path.c_str()));
  const Ref<Model> exported = load(*context, path);
  ASSERT_TRUE(exported);
  Ref<Model> packed;
  TERN_OKAY(edit_model(*exported, "pack_ternary", "*", "", &packed));
  for (const Parameter& p : packed->def().parameters)
    if (p.shape.rank == 2) EXPECT_EQ(p.encoding, Encoding::ternary2) << p.name;
  const std::vector<float> a = forward(*packed, *context), b = forward(*exported, *context);
  EXPECT_LT(relative_error(a.data(), b.data(), (int64_t)a.size()), 1e-5);
  std::remove(path.c_str());
}

// A merge that would change the function is refused.
TEST(Edits, AdaptersOfRoundedWeightsAreNotMerged) {
  const Ref<Context> context = make_context(1);
  const Ref<Model> model = network(*context);
  for (const char* later : {"bit_linear", "sub_norm"}) {
    Ref<Model> adapted, other, merged;
    TERN_OKAY(edit_model(*model, "lora", "second", "", &adapted));
    TERN_OKAY(edit_model(*adapted, "merge_lora", "*", "", &merged));
    TERN_OKAY(edit_model(*adapted, later, "second", "", &other));
    EXPECT_EQ(edit_model(*other, "merge_lora", "*", "", &merged), TERN_ERR_UNSUPPORTED) << later;
  }
}

TEST(Edits, NewHeads) {
  const Ref<Context> context = make_context(1);
  const Ref<Model> model = network(*context);
  Ref<Model> other;
  TERN_OKAY(edit_model(*model, "head", "second", "classes=3", &other));
  EXPECT_EQ(forward(*other, *context).size(), (size_t)kBatch * 3);
  for (const Parameter& p : other->def().parameters) EXPECT_NE(p.name, "second");
}

TEST(Edits, ErrorsNameWhatIsWrong) {
  const Ref<Context> context = make_context(1);
  const Ref<Model> model = network(*context);
  Ref<Model> other;
  EXPECT_EQ(edit_model(*model, "lorra", "*", "", &other), TERN_ERR_NOT_FOUND);
  EXPECT_NE(std::string(thread_error().message).find("merge_lora"), std::string::npos);
  EXPECT_EQ(edit_model(*model, "lora", "third", "", &other), TERN_ERR_NOT_FOUND);
  EXPECT_EQ(edit_model(*model, "lora", "*", "rank=0", &other), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(edit_model(*model, "lora", "*", "ranks=4", &other), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(edit_model(*model, "head", "*", "", &other), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(edit_model(*model, "pack_ternary", "*", "", &other), TERN_ERR_NOT_FOUND);
  EXPECT_EQ(edit_model(*model, "merge_lora", "*", "", &other), TERN_ERR_NOT_FOUND);
  EXPECT_EQ(edit_model(*network(*context, Encoding::panel_int8), "bit_linear", "*", "", &other), TERN_ERR_UNSUPPORTED);
  EXPECT_FALSE(other);
}

}  // namespace
}  // namespace tern::test
