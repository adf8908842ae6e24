// SPDX-License-Identifier: Apache-2.0
// Steps that are composed of calls, operators, gradients and writes: they train as PyTorch does, survive a file, and
// what cannot be is told.
#include "train/graph_builder.h"

#include "format/reader.h"
#include "format/writer.h"
#include "import/importer.h"
#include "tests/models/json.h"
#include "tests/runtime/support.h"
#include "train/names.h"

namespace tern::test {
namespace {

struct Golden {
  explicit Golden(const std::string& name) {
    const std::string folder = source_folder() + "tests/models/golden/spine/" + name + "/";
    const std::vector<char> file = read_file(folder + name + ".onnx");
    Json json;
    EXPECT_TRUE(read_json(folder + "training.json", &json));
    rate = json["rate"].number;
    for (const Json& loss : json["losses"].list) losses.push_back(loss.number);
    x = read_npy(folder + "x.npy"), labels = read_npy(folder + "labels.npy");
    logits = read_npy(folder + "final_logits.npy");
    ModelDef def;
    ImportOptions options;
    EXPECT_EQ(import_onnx({(const uint8_t*)file.data(), file.size()}, options, &def), TERN_OK);
    model = make_model(*context, std::move(def));
  }
  Ref<Context> context = make_context(2);
  Ref<Model> model;
  double rate;
  std::vector<double> losses;
  Array x, labels, logits;
};

// Signatures "step" (x, labels -> loss) and "classify" (x -> logits).
Ref<Model> compose(Golden& data, tern_status expected = TERN_OK) {
  GraphBuilder b(*data.context);
  const std::string signature = data.model->def().signatures[0].name;
  b.begin("step");
  const ValueId x = b.input("x", TERN_DTYPE_F32, data.x.shape),
                labels = b.input("labels", TERN_DTYPE_I32, data.labels.shape);
  const ValueId logits = b.call("net", *data.model, signature, {&x, 1}, {.train = true});
  const ValueId each[] = {logits, labels}, losses[] = {b.op("softmax_cross_entropy", "", each)};
  const ValueId loss = b.op("reduce_mean", "", losses), rate = b.number(data.rate);
  const std::vector<ValueId> weights = b.list("*");
  std::vector<ValueId> gradients(weights.size());
  b.gradient(loss, weights, gradients.data());
  for (size_t i = 0; i < weights.size(); ++i) {
    const ValueId in[] = {weights[i], gradients[i], rate};
    b.op("sgd_update", "", in);
  }
  b.output("loss", loss);
  b.begin("classify");
  const ValueId y = b.input("x", TERN_DTYPE_F32, data.x.shape);
  b.output("logits", b.call("", *data.model, signature, {&y, 1}, {}));
  Ref<Model> step;
  EXPECT_EQ(b.finish(&step), expected) << thread_error().message;
  return step;
}

void train_and_compare(Golden& data, const Model& step) {
  std::unique_ptr<Session> s;
  TERN_OKAY(Session::create(step, {}, &s));
  const Ref<Tensor> x = make_tensor(*data.context, TERN_DTYPE_F32, data.x.shape, data.x.f32()),
                    labels = make_tensor(*data.context, TERN_DTYPE_I32, data.labels.shape, data.labels.i32());
  ASSERT_EQ(data.losses.size(), 21u);
  for (int i = 0; i < 20; ++i) {
    Outputs out;
    TERN_OKAY(run(*s, 0, {x.get(), labels.get()}, &out));
    ASSERT_NEAR(*out.f32(0), data.losses[(size_t)i], 1e-4 * data.losses[(size_t)i]) << "step " << i;
  }
  Outputs out;
  TERN_OKAY(run(*s, 1, {x.get()}, &out));
  EXPECT_LT(relative_error(out.f32(0), data.logits.f32(), data.logits.shape.elements()), 1e-3);
}

TEST(GraphBuilder, StepsEqualPyTorchs) {
  for (const char* name : {"mlp", "cnn"}) {
    SCOPED_TRACE(name);
    Golden data(name);
    const Ref<Model> step = compose(data);
    ASSERT_TRUE(step);
    train_and_compare(data, *step);
    // The weights are those of the model, where they lie.
    for (size_t i = 0; i < step->def().parameters.size(); ++i)
      EXPECT_EQ(step->def().parameters[i].data.bytes, data.model->def().parameters[i].data.bytes);
  }
}

TEST(GraphBuilder, StepIsAFile) {
  Golden data("cnn");
  const Ref<Model> step = compose(data);
  ASSERT_TRUE(step);
  std::vector<uint8_t> file;
  TERN_OKAY(write_model_to_memory(step->def(), &file));
  ModelDef def;
  Bytes bytes;
  TERN_OKAY(copy_bytes(file.data(), file.size(), &bytes));
  tern_limits limits = TERN_LIMITS_INIT;
  TERN_OKAY(read_model(bytes, resolve_limits(&limits), &def));
  const Ref<Model> again = make_model(*data.context, std::move(def), bytes.owner);
  train_and_compare(data, *again);
}

// A network as a function of its parameters: they are given as values, in an order of their own or plain.
TEST(GraphBuilder, ParametersAreComputed) {
  Golden data("mlp");
  const std::string signature = data.model->def().signatures[0].name;
  GraphBuilder b(*data.context);
  b.begin("f");
  const ValueId x = b.input("x", TERN_DTYPE_F32, data.x.shape);
  const ValueId plain = b.call("plain", *data.model, signature, {&x, 1}, {});
  const std::vector<ValueId> weights = b.list("*");
  std::vector<ValueId> halves;
  std::vector<std::string> names;
  for (const ValueId w : weights) {
    const ValueId in[] = {w, b.number(0.5)}, twice[] = {b.op("mul", "", in), b.number(2)};
    halves.push_back(b.op("mul", "", twice));
    names.push_back(b.value(w)->name);
  }
  std::vector<const char*> texts;
  for (const std::string& n : names) texts.push_back(n.c_str());
  const ValueId computed = b.call("computed", *data.model, signature, {&x, 1}, {.names = texts, .values = halves});
  b.output("plain", plain), b.output("computed", computed);
  Ref<Model> f;
  TERN_OKAY(b.finish(&f));
  std::unique_ptr<Session> s;
  TERN_OKAY(Session::create(*f, {}, &s));
  const Ref<Tensor> in = make_tensor(*data.context, TERN_DTYPE_F32, data.x.shape, data.x.f32());
  Outputs out;
  TERN_OKAY(run(*s, 0, {in.get()}, &out));
  EXPECT_LT(relative_error(out.f32(0), out.f32(1), data.logits.shape.elements()), 1e-6);
}

// y = w^3: the gradient of the squared gradient is 2 * 3 w^2 * 6 w.
TEST(GraphBuilder, GradientsOfGradients) {
  const Ref<Context> context = make_context();
  GraphBuilder b(*context);
  b.begin("f");
  const float content[] = {1, -2, 0.5f};
  const ValueId w = b.parameter("w", make_tensor(*context, TERN_DTYPE_F32, {3}, content).get());
  const ValueId ww[] = {w, w}, www[] = {b.op("mul", "", ww), w}, cubes[] = {b.op("mul", "", www)};
  ValueId d, dd;
  b.gradient(b.op("reduce_sum", "", cubes), {&w, 1}, &d);
  const ValueId squares[] = {d, d}, sum[] = {b.op("mul", "", squares)};
  b.gradient(b.op("reduce_sum", "", sum), {&w, 1}, &dd);
  b.output("dd", dd);
  Ref<Model> f;
  TERN_OKAY(b.finish(&f));
  std::unique_ptr<Session> s;
  TERN_OKAY(Session::create(*f, {}, &s));
  Outputs out;
  TERN_OKAY(run(*s, 0, {}, &out));
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(out.f32(0)[i], 36 * content[i] * content[i] * content[i], 1e-4);
}

// An average follows the new content, which is written in the same step.
TEST(GraphBuilder, WritesReadWhatOthersWrite) {
  const Ref<Context> context = make_context();
  GraphBuilder b(*context);
  b.begin("step");
  const float content[] = {4};
  const ValueId w = b.parameter("w", make_tensor(*context, TERN_DTYPE_F32, {1}, content).get()),
                average = b.state("average", TERN_DTYPE_F32, {1});
  const ValueId one = b.constant(*make_tensor(*context, TERN_DTYPE_F32, {1}, content));
  const ValueId step[] = {w, one, b.number(0.25)}, after = b.op("sgd_update", "", step);
  const ValueId sum[] = {average, after};
  b.write(average, b.op("add", "", sum));
  b.output("before", w);
  Ref<Model> f;
  TERN_OKAY(b.finish(&f));
  std::unique_ptr<Session> s;
  TERN_OKAY(Session::create(*f, {}, &s));
  float expected = 0;
  for (int i = 0; i < 3; ++i) {
    Outputs out;
    TERN_OKAY(run(*s, 0, {}, &out));
    EXPECT_EQ(*out.f32(0), 4.0f - (float)i);
    expected += 4.0f - (float)(i + 1);
    Ref<Tensor> now;
    TERN_OKAY(s->state().get(0, &now));
    EXPECT_EQ(*(const float*)now->data(), expected);
  }
}

struct Mistake {
  const char* says;
  tern_status status;
  void (*make)(GraphBuilder& b, ValueId x, ValueId w);
  bool at_end = false;  // it shows when the signature ends
};

TEST(GraphBuilder, ErrorsNameWhatIsWrong) {
  static constexpr auto op = [](GraphBuilder& b, const char* name, std::initializer_list<ValueId> in,
                                const char* attributes = "") { return b.op(name, attributes, in); };
  const Mistake mistakes[] = {
      {"no operator 'matmull'", TERN_ERR_UNSUPPORTED_OP,
       [](GraphBuilder& b, ValueId x, ValueId) { op(b, "matmull", {x}); }},
      {"linear", TERN_ERR_SHAPE,
       [](GraphBuilder& b, ValueId x, ValueId) {
         op(b, "linear", {x, b.constant(*make_tensor(b.context(), TERN_DTYPE_F32, {3, 4}))});
       }},
      {"no attribute 'axes'", TERN_ERR_INVALID_ARGUMENT,
       [](GraphBuilder& b, ValueId x, ValueId) { op(b, "softmax", {x}, "axes=1"); }},
      {"value 0 is 77", TERN_ERR_INVALID_ARGUMENT, [](GraphBuilder& b, ValueId, ValueId) { op(b, "relu", {77}); }},
      {"written twice", TERN_ERR_INVALID_ARGUMENT,
       [](GraphBuilder& b, ValueId, ValueId w) { b.write(w, w), b.write(w, w); }},
      {"no parameter and no state", TERN_ERR_INVALID_ARGUMENT,
       [](GraphBuilder& b, ValueId x, ValueId) { b.write(x, x); }},
      {"does not fit", TERN_ERR_SHAPE, [](GraphBuilder& b, ValueId x, ValueId w) { b.write(w, x); }},
      {"one element is needed", TERN_ERR_SHAPE,
       [](GraphBuilder& b, ValueId x, ValueId w) {
         ValueId d;
         b.gradient(x, {&w, 1}, &d);
       }},
      {"no output", TERN_ERR_STATE, [](GraphBuilder&, ValueId, ValueId) {}, true},
      {"already", TERN_ERR_INVALID_ARGUMENT,
       [](GraphBuilder& b, ValueId, ValueId) { b.input("x", TERN_DTYPE_F32, {2}); }},
      {"has no value 'y'", TERN_ERR_NOT_FOUND, [](GraphBuilder& b, ValueId, ValueId) { b.find("y"); }},
      {"known before the step writes", TERN_ERR_INVALID_ARGUMENT,
       [](GraphBuilder& b, ValueId, ValueId w) {
         b.output("new", op(b, "sgd_update", {w, op(b, "neg", {w}), b.number(1)}));
       },
       true},
      {"together with what a step writes", TERN_ERR_INVALID_ARGUMENT,
       [](GraphBuilder& b, ValueId, ValueId w) {
         const ValueId after = op(b, "sgd_update", {w, op(b, "neg", {w}), b.number(1)});
         b.write(b.state("s", TERN_DTYPE_F32, {3}), op(b, "sub", {after, w}));
       },
       true},
  };
  const Ref<Context> context = make_context();
  for (const Mistake& m : mistakes) {
    GraphBuilder b(*context);
    b.begin("f");
    const ValueId x = b.input("x", TERN_DTYPE_F32, {2, 5});
    const ValueId w = b.parameter("w", make_tensor(*context, TERN_DTYPE_F32, {3}).get());
    m.make(b, x, w);
    // What follows does not hide it.
    if (!m.at_end) b.op("another_mistake", "", {});
    Ref<Model> f;
    EXPECT_EQ(b.finish(&f), m.status) << m.says;
    EXPECT_NE(std::string(thread_error().message).find(m.says), std::string::npos) << thread_error().message;
    EXPECT_FALSE(f);
  }
}

TEST(Names, Patterns) {
  EXPECT_TRUE(matches_name("*", ""));
  EXPECT_TRUE(matches_name("layers.*.{q,k,v}", "layers.10.k"));
  EXPECT_FALSE(matches_name("layers.*.{q,k,v}", "layers.10.o"));
  EXPECT_TRUE(matches_name("a b?", "bc"));
  EXPECT_FALSE(matches_name("a b?", "b"));
  EXPECT_TRUE(matches_name("{,x}y", "y"));
  EXPECT_FALSE(matches_name("", "y"));
  EXPECT_TRUE(matches_name("{a", "{a"));
  std::string hostile;
  for (int i = 0; i < 60; ++i) hostile += "*a";
  EXPECT_FALSE(matches_name(hostile + "b", std::string(2000, 'a')));
}

}  // namespace
}  // namespace tern::test
