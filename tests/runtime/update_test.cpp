// SPDX-License-Identifier: Apache-2.0
// Update rules against PyTorch (tests/models/rules_golden.py), by kernels and step by step; what several outputs of a
// writer mean; random draws; the check that ends a run before its updates.
#include <tuple>

#include "base/float8.h"
#include "base/random.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "ops/update.h"
#include "passes/eliminate.h"
#include "tests/models/json.h"
#include "tests/runtime/support.h"
#include "train/differentiate.h"

namespace tern::test {
namespace {

std::vector<float> floats(const Json& list) {
  std::vector<float> v;
  for (const Json& x : list.list) v.push_back((float)x.number);
  return v;
}

struct Rule {
  const char* op;
  int moments;
  bool step, factor;
};
constexpr Rule kRules[] = {{"momentum_update", 1, true, true},
                           {"adamw_update", 2, true, true},
                           {"lion_update", 1, false, true},
                           {"lars_update", 1, false, false},
                           {"adafactor_update", 2, true, true}};

const Rule& rule_of(std::string_view op) {
  for (const Rule& r : kRules)
    if (op == r.op) return r;
  ADD_FAILURE() << "no rule " << op;
  return kRules[0];
}

// Which of parameter, moments and gradient are in this order; the others are plain.
struct Order {
  Encoding parameter = Encoding::plain, moments = Encoding::plain;
};

// A model with parameter 0, whose signature makes one step: gradient = p / 2 + noise. Inputs: noise, rate, step,
// factor. Outputs: the sum of the old parameter, read behind the update, and the noise.
ModelDef step_model(const Rule& rule, const char* attributes, const Shape& shape, const float* start, Order order) {
  ModelDef def;
  add_parameter(def, "p", shape, start, order.parameter);
  Shape moments[2] = {shape, shape};
  const bool factored = std::string_view(rule.op) == "adafactor_update";
  if (factored) moments[0][1] = 1, moments[1][0] = 1;
  for (int k = 0; k < rule.moments; ++k)
    def.states.push_back(
        {"m" + std::to_string(k), TERN_DTYPE_F32, moments[k], factored ? Encoding::plain : order.moments});
  Graph g;
  const ValueId noise = add_input(g, "noise", TERN_DTYPE_F32, shape), rate = add_input(g, "rate", TERN_DTYPE_F32, {}),
                step = add_scalar(g, "step"), factor = add_input(g, "factor", TERN_DTYPE_F32, {}),
                p = use_parameter(g, def, "p");
  const auto plain = [&] { return is_plain(order.parameter) ? p : emit(g, "decode", {p}); };
  Node n;
  n.op = find_op(rule.op);
  n.in = {p};
  for (int k = 0; k < rule.moments; ++k) n.in.push_back(use_state(g, def, "m" + std::to_string(k)));
  n.in.push_back(add(g, mul(g, plain(), add_constant(g, 0.5f)), noise));
  n.in.push_back(rate);
  if (rule.step) n.in.push_back(step);
  if (rule.factor) n.in.push_back(factor);
  set_default_attributes(*n.op, &n.attributes);
  for (std::string_view rest = attributes; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    const size_t equal = word.find('=');
    EXPECT_EQ(set_attribute(*n.op, &n.attributes, word.substr(0, equal), word.substr(equal + 1)), TERN_OK);
    rest = word.size() == rest.size() ? "" : rest.substr(word.size() + 1);
  }
  emit_node(g, std::move(n));
  g.outputs = {reduce_sum(g, plain(), {}, false), add(g, noise, add_constant(g, 0.0f))};
  add_signature(def, "step", std::move(g));
  return def;
}

struct Stepper {
  Ref<Context> context;
  Ref<Model> model;
  std::unique_ptr<Session> session;

  Stepper(ModelDef def, const char* backends, int32_t threads) : context(make_context(threads)) {
    model = make_model(*context, std::move(def));
    Session::Options options;
    options.backends = backends;
    EXPECT_EQ(Session::create(*model, options, &session), TERN_OK) << thread_error().message;
  }
  // Returns the status; *old: the sum of the parameter before.
  tern_status step(const float* noise, float rate, int64_t t, float factor, float* old = nullptr) {
    const Shape shape = model->def().parameters[0].shape;
    const Ref<tern::Tensor> in[] = {
        make_tensor(*context, TERN_DTYPE_F32, shape, noise), make_tensor(*context, TERN_DTYPE_F32, {}, &rate),
        make_tensor(*context, TERN_DTYPE_I64, {}, &t), make_tensor(*context, TERN_DTYPE_F32, {}, &factor)};
    Outputs out;
    TERN_TRY(run(*session, 0, {in[0].get(), in[1].get(), in[2].get(), in[3].get()}, &out));
    if (old) *old = *out.f32(0);
    return TERN_OK;
  }
  std::vector<float> content(int32_t state = -1) {
    Ref<tern::Tensor> t;
    const tern_status s = state < 0 ? session->parameters().get(0, &t) : session->state().get(state, &t);
    EXPECT_EQ(s, TERN_OK) << thread_error().message;
    const float* f = (const float*)t->data();
    return std::vector<float>(f, f + t->shape().elements());
  }
  // Parameter and states.
  std::vector<std::vector<float>> all() {
    std::vector<std::vector<float>> list;
    for (int32_t k = -1; k < (int32_t)model->def().states.size(); ++k) list.push_back(content(k));
    return list;
  }
};

constexpr const char* kBackends[] = {"cpu", "reference", "halting,cpu", "deferred"};
const Encoding kPanels = [] {
  Encoding e = Encoding::plain;
  find_encoding("panel32", &e);
  return e;
}();

TEST(Update, RulesEqualPyTorch) {
  Json json;
  ASSERT_TRUE(read_json(source_folder() + "tests/models/golden/rules.json", &json));
  const std::vector<float> start = floats(json["start"]), rates = floats(json["rates"]);
  ASSERT_EQ(start.size(), 35u);
  ASSERT_EQ(rates.size(), 20u);
  ASSERT_EQ(json["rules"].object.size(), 9u);
  for (const auto& [name, golden] : json["rules"].object)
    for (const char* backends : kBackends)
      for (const Order order : {Order{}, Order{kPanels, kPanels}, Order{kPanels, Encoding::plain}}) {
        SCOPED_TRACE(name + " on " + backends + ", " + encoding_name(order.parameter) + " and " +
                     encoding_name(order.moments));
        const Rule& rule = rule_of(golden["op"].text);
        Stepper s(step_model(rule, golden["attributes"].text.c_str(), {5, 7}, start.data(), order), backends, 1);
        const std::vector<float> factors = floats(golden["factors"]);
        float sum = 0;
        for (const float x : start) sum += x;
        for (size_t t = 0; t < rates.size(); ++t) {
          float old = 0;
          TERN_OKAY(s.step(floats(json["noise"].list[t]).data(), rates[t], (int64_t)t + 1,
                           factors.empty() ? 1 : factors[t], &old));
          const std::vector<float> p = s.content();
          EXPECT_NEAR(old, sum, 1e-4) << "what stands behind the update reads the old content";
          sum = 0;
          for (const float x : p) sum += x;
          if (t > 0 && t + 1 < rates.size()) continue;
          const std::vector<float> want = floats(golden[t == 0 ? "first" : "last"]);
          ASSERT_EQ(want.size(), p.size());
          EXPECT_LT(relative_error(p.data(), want.data(), 35), t == 0 ? 1e-6 : 1e-5) << "step " << t + 1;
        }
      }
}

// Kernels and plans give the same bits for any number of threads, and a run that goes on from what it left does.
TEST(Update, ThreadsChangeNoBit) {
  const Shape shape = {301, 67};
  const std::vector<float> start = random_floats(301 * 67, 1);
  for (const Rule& rule : kRules)
    for (const Order order : {Order{}, Order{kPanels, kPanels}}) {
      SCOPED_TRACE(rule.op);
      std::vector<std::vector<float>> got[3];
      for (const int32_t threads : {1, 2, 3}) {
        Stepper s(step_model(rule, "", shape, start.data(), order), "cpu", threads);
        for (int64_t t = 1; t <= 3; ++t)
          TERN_OKAY(s.step(random_floats(301 * 67, 10 + (uint32_t)t).data(), 0.01f, t, 1));
        got[threads - 1] = s.all();
        EXPECT_NE(got[threads - 1][0], start);
      }
      for (size_t k = 0; k < got[0].size(); ++k) {
        EXPECT_EQ(got[0][k], got[1][k]);
        EXPECT_EQ(got[0][k], got[2][k]);
      }
    }
}

// The outputs of an update are the states' new content for whoever reads them, and go to the caller as copies.
TEST(Update, NewContentCanBeReadAndGivenAway) {
  for (const auto& [backends, all_read] : {std::pair("cpu", true),
                                           {"cpu", false},
                                           {"reference", true},
                                           {"reference", false},
                                           {"halting,cpu", true},
                                           {"deferred", true}}) {
    SCOPED_TRACE(backends);
    const std::vector<float> start = random_floats(21, 1), gradient = random_floats(21, 2);
    ModelDef def;
    add_parameter(def, "p", {3, 7}, start.data());
    for (const char* name : {"m", "v"}) def.states.push_back({name, TERN_DTYPE_F32, {3, 7}, Encoding::plain});
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {3, 7});
    const int64_t one = 1;
    Node n;
    n.op = find_op("adamw_update");
    set_default_attributes(*n.op, &n.attributes);
    n.in = {use_parameter(g, def, "p"), use_state(g, def, "m"),
            use_state(g, def, "v"),     x,
            add_constant(g, 0.1f),      add_constant(g, TERN_DTYPE_I64, {}, &one)};
    std::vector<ValueId> outs;
    emit_node(g, std::move(n), -1, &outs);
    g.outputs = {add(g, outs[1], add_constant(g, 1.0f))};
    if (all_read) g.outputs.insert(g.outputs.end(), {outs[0], outs[2]});
    add_signature(def, "step", std::move(g));
    Stepper s(std::move(def), backends, 1);
    const Ref<tern::Tensor> in = make_tensor(*s.context, TERN_DTYPE_F32, {3, 7}, gradient.data());
    Outputs out;
    TERN_OKAY(run(*s.session, 0, {in.get()}, &out));
    const auto all = s.all();
    for (int64_t i = 0; i < 21; ++i) {
      const float w = gradient[(size_t)i];
      EXPECT_EQ(out.f32(0)[i], all[1][(size_t)i] + 1);
      if (all_read) EXPECT_EQ(out.f32(1)[i], all[0][(size_t)i]);
      if (all_read) EXPECT_EQ(out.f32(2)[i], all[2][(size_t)i]);
      EXPECT_NEAR(all[1][(size_t)i], 0.1 * w, 1e-7);
      EXPECT_NEAR(all[2][(size_t)i], 0.001 * w * w, 1e-9);
      EXPECT_NEAR(all[0][(size_t)i], start[(size_t)i] * 0.999 - (w > 0 ? 0.1 : -0.1), 1e-5);
    }
  }
}

// ---- moments as codes ----

TEST(Update, EightBitFloatsAreTheNearest) {
  EXPECT_EQ(f32_to_e4m3(1), 0x38);
  EXPECT_EQ(f32_to_e4m3(-448), 0xfe);
  EXPECT_EQ(f32_to_e4m3(0x1p-9f), 0x01);
  EXPECT_EQ(f32_to_e4m3(0x1p-6f), 0x08);
  EXPECT_EQ(f32_to_e4m3(1e9f), 0x7e);
  EXPECT_EQ(f32_to_e4m3(NAN) & 0x7f, 0x7f);
  for (int b = 0; b < 256; ++b)
    if ((b & 0x7f) != 0x7f) EXPECT_EQ(f32_to_e4m3(e4m3_to_f32((uint8_t)b)), b);
  // Between two neighbours: the nearer, in the middle the even one.
  for (int b = 0; b < 0x7e; ++b) {
    const float low = e4m3_to_f32((uint8_t)b), high = e4m3_to_f32((uint8_t)(b + 1)), middle = (low + high) / 2;
    EXPECT_LT(low, high);
    EXPECT_EQ(f32_to_e4m3(std::nextafter(middle, 0.0f)), b);
    EXPECT_EQ(f32_to_e4m3(middle), b + b % 2);
    EXPECT_EQ(f32_to_e4m3(-std::nextafter(middle, 999.0f)), 0x80 + b + 1);
  }
}

struct Coded {
  const char* op;
  DType m, v;
  bool blocks;
};
constexpr Coded kCoded[] = {{"adamw8_update", TERN_DTYPE_I8, TERN_DTYPE_U8, true},
                            {"adamw_fp8_update", TERN_DTYPE_U8, TERN_DTYPE_F16, false}};

// Like step_model; states: m, scale of m, v, scale of v.
ModelDef coded_model(const Coded& rule, const Shape& shape, const float* start, Encoding order) {
  ModelDef def;
  add_parameter(def, "p", shape, start, order);
  const Shape scales = rule.blocks ? Shape{(shape.elements() + 255) / 256} : Shape{};
  def.states = {
      {"m", rule.m, shape}, {"ms", TERN_DTYPE_F32, scales}, {"v", rule.v, shape}, {"vs", TERN_DTYPE_F32, scales}};
  Graph g;
  const ValueId noise = add_input(g, "noise", TERN_DTYPE_F32, shape), rate = add_input(g, "rate", TERN_DTYPE_F32, {}),
                step = add_scalar(g, "step"), factor = add_input(g, "factor", TERN_DTYPE_F32, {}),
                p = use_parameter(g, def, "p"), plain = is_plain(order) ? p : emit(g, "decode", {p});
  const ValueId gradient = add(g, mul(g, plain, add_constant(g, 0.5f)), noise);
  emit(g, rule.op,
       {p, use_state(g, def, "m"), use_state(g, def, "ms"), use_state(g, def, "v"), use_state(g, def, "vs"), gradient,
        rate, step, factor},
       AdamwUpdateAttrs{});
  g.outputs = {reduce_sum(g, plain, {}, false), add(g, noise, add_constant(g, 0.0f))};
  add_signature(def, "step", std::move(g));
  return def;
}

// A hundred steps end near those with moments in f32, on every backend with the same bits, however many threads.
TEST(Update, CodedMomentsStayNearThoseInF32) {
  const Shape shape = {37, 301};
  const size_t n = 37 * 301;
  const std::vector<float> start = random_floats(n, 1);
  Stepper exact(step_model(rule_of("adamw_update"), "", shape, start.data(), {}), "cpu", 2);
  const auto noise = [&](int64_t t) {
    std::vector<float> v = random_floats(n, 10 + (uint32_t)t);
    for (size_t i = 0; i < n; ++i) v[i] *= std::exp(-(float)(i % 11));  // of very different sizes in one block
    return v;
  };
  for (int64_t t = 1; t <= 100; ++t) TERN_OKAY(exact.step(noise(t).data(), 0.01f, t, 1));
  const std::vector<float> want = exact.content();
  double moved = 0;
  for (size_t i = 0; i < n; ++i) moved += std::fabs(want[i] - start[i]) / (double)n;
  for (const Coded& rule : kCoded) {
    std::vector<float> first;
    std::vector<char> first_moments;
    for (const auto& [backends, threads, order] : {std::tuple("cpu", 1, Encoding::plain),
                                                   {"cpu", 2, Encoding::plain},
                                                   {"cpu", 3, kPanels},
                                                   {"reference", 1, Encoding::plain},
                                                   {"deferred", 1, kPanels}}) {
      SCOPED_TRACE(std::string(rule.op) + " on " + backends);
      Stepper s(coded_model(rule, shape, start.data(), order), backends, threads);
      for (int64_t t = 1; t <= 100; ++t) TERN_OKAY(s.step(noise(t).data(), 0.01f, t, 1));
      const std::vector<float> p = s.content();
      std::vector<char> moments;
      for (int32_t k = 0; k < 4; ++k) {
        Ref<tern::Tensor> state;
        TERN_OKAY(s.session->state().get(k, &state));
        moments.insert(moments.end(), (const char*)state->data(), (const char*)state->data() + state->bytes());
      }
      if (first.empty()) first = p, first_moments = moments;
      EXPECT_EQ(p, first);
      EXPECT_EQ(moments, first_moments);
      double off = 0;
      for (size_t i = 0; i < n; ++i) off += std::fabs(p[i] - want[i]) / (double)n;
      EXPECT_LT(off, 0.05 * moved);
    }
  }
}

// Steps smaller than what a code can tell count on the average: second moments fall as they should.
TEST(Update, CodedSecondMomentsDecay) {
  std::vector<float> held(512), gradient = random_floats(512, 3);
  for (const size_t i : {0, 256}) held[i] = gradient[i] = 1;  // the largest of each block stays
  ModelDef def;
  def.states = {{"p", TERN_DTYPE_F32, {512}},
                {"m", TERN_DTYPE_I8, {512}},
                {"ms", TERN_DTYPE_F32, {2}},
                {"v", TERN_DTYPE_U8, {512}},
                {"vs", TERN_DTYPE_F32, {2}}};
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {512}), step = add_scalar(g, "step");
  std::vector<ValueId> in;
  for (const char* name : {"p", "m", "ms", "v", "vs"}) in.push_back(use_state(g, def, name));
  emit(g, "adamw8_update", {in[0], in[1], in[2], in[3], in[4], x, add_constant(g, 0.0f), step},
       AdamwUpdateAttrs{.weight_decay = 0});
  g.outputs = {add(g, x, x)};
  add_signature(def, "step", std::move(g));
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, std::move(def));
  std::unique_ptr<Session> session;
  TERN_OKAY(Session::create(*model, {}, &session));
  const auto second = [&] {
    Ref<tern::Tensor> v, scale;
    EXPECT_EQ(session->state().get(3, &v), TERN_OK);
    EXPECT_EQ(session->state().get(4, &scale), TERN_OK);
    double sum = 0;
    for (int i = 0; i < 512; ++i) {
      if (i % 256 == 0) continue;
      const double c = ((const uint8_t*)v->data())[i] / 255.0;
      sum += ((const float*)scale->data())[i / 256] * c * c * c * c;
    }
    return sum;
  };
  // As if many steps had been made already: the second moments are squares of the gradient.
  const Ref<tern::Tensor> codes = make_tensor(*context, TERN_DTYPE_U8, {512}),
                          ones = make_tensor(*context, TERN_DTYPE_F32, {2});
  for (int i = 0; i < 512; ++i)
    ((uint8_t*)codes->data())[i] = (uint8_t)(255 * std::sqrt(std::fabs(gradient[(size_t)i])));
  for (int i = 0; i < 2; ++i) ((float*)ones->data())[i] = 1;
  TERN_OKAY(session->state().set(3, *codes));
  TERN_OKAY(session->state().set(4, *ones));
  const double before = second();
  for (int64_t t = 1; t <= 1000; ++t) {
    const Ref<tern::Tensor> value = make_tensor(*context, TERN_DTYPE_F32, {512}, held.data()),
                            number = make_tensor(*context, TERN_DTYPE_I64, {}, &t);
    Outputs out;
    TERN_OKAY(run(*session, 0, {value.get(), number.get()}, &out));
  }
  EXPECT_NEAR(second() / before, std::pow(0.999, 1000), 0.02);
}

// However small the numbers are: the scales bring them into the formats.
TEST(Update, EightBitFloatsFollowTheirScale) {
  const std::vector<float> start(300);
  std::vector<float> noise = random_floats(300, 5);
  for (float& x : noise) x *= 1e-6f;
  Stepper s(coded_model(kCoded[1], {300}, start.data(), Encoding::plain), "cpu", 1);
  TERN_OKAY(s.step(noise.data(), 0, 1, 1));
  float largest = 0;
  for (const float x : noise) largest = std::max(largest, std::fabs(x));
  Ref<tern::Tensor> m, v;
  TERN_OKAY(s.session->state().get(0, &m));
  TERN_OKAY(s.session->state().get(2, &v));
  const float m_scale = s.content(1)[0], v_scale = s.content(3)[0];
  EXPECT_EQ(m_scale, std::exp2(std::floor(std::log2(448 / (0.1 * largest)))));
  EXPECT_EQ(v_scale, std::exp2(std::floor(std::log2(65504 / (0.001 * largest * largest)))));
  for (size_t i = 0; i < 300; ++i) {
    const double first = 0.1 * noise[i], second = 0.001 * noise[i] * noise[i];
    EXPECT_NEAR(e4m3_to_f32(((const uint8_t*)m->data())[i]) / m_scale, first, std::fabs(first) / 15 + 1e-3 / m_scale);
    EXPECT_NEAR(f16_to_f32(((const uint16_t*)v->data())[i]) / v_scale, second, second / 1000 + 1e-7 / v_scale);
  }
}

// ---- gradients ----

TEST(ScaleGradient, ScalesWhatPassesBack) {
  for (const char* backends : kBackends) {
    SCOPED_TRACE(backends);
    ModelDef def;
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {5}), factor = add_input(g, "factor", TERN_DTYPE_F32, {});
    const ValueId y = emit(g, "scale_gradient", {x, factor}), wrt[] = {x, factor};
    std::vector<ValueId> d;
    TERN_OKAY(differentiate(g, reduce_sum(g, mul(g, y, y), {}, false), wrt, &d));
    g.outputs = {add(g, y, add_constant(g, 0.0f)), d[0], add(g, d[1], add_constant(g, 0.0f))};
    add_signature(def, "gradient", std::move(g));
    const Ref<Context> context = make_context();
    const Ref<Model> model = make_model(*context, std::move(def));
    Session::Options options;
    options.backends = backends;
    std::unique_ptr<Session> session;
    TERN_OKAY(Session::create(*model, options, &session));
    const float values[] = {1, -2, 3, 0, 0.5f}, reverse = -0.25f;
    const Ref<tern::Tensor> in[] = {make_tensor(*context, TERN_DTYPE_F32, {5}, values),
                                    make_tensor(*context, TERN_DTYPE_F32, {}, &reverse)};
    Outputs out;
    TERN_OKAY(run(*session, 0, {in[0].get(), in[1].get()}, &out));
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(out.f32(0)[i], values[i]);
      EXPECT_EQ(out.f32(1)[i], -0.5f * values[i]);
    }
    EXPECT_EQ(*out.f32(2), 0);
  }
}

// ---- the check for finite numbers ----

TEST(RequireFinite, ARunThatFailsChangesNothing) {
  for (const char* backends : kBackends)
    for (const char* op : {"adamw_update", "lars_update"}) {
      SCOPED_TRACE(std::string(op) + " on " + backends);
      const std::vector<float> start = random_floats(35, 1), good = random_floats(35, 2);
      ModelDef def = step_model(rule_of(op), "", {5, 7}, start.data(), {});
      Graph& g = def.signatures[0].graph;
      const ValueId loss = reduce_sum(g, g.inputs[0], {}, false);
      g.outputs[1] = emit(g, "require_finite", {loss});
      ASSERT_EQ(g.status, TERN_OK);
      Stepper s(std::move(def), backends, 2);
      TERN_OKAY(s.step(good.data(), 0.1f, 1, 1));
      const auto before = s.all();
      EXPECT_NE(before[0], start);
      for (const float bad : {NAN, INFINITY, -INFINITY}) {
        std::vector<float> noise = good;
        noise[7] = bad;
        EXPECT_EQ(s.step(noise.data(), 0.1f, 2, 1), TERN_ERR_NOT_FINITE);
        EXPECT_EQ(s.all(), before);
      }
      TERN_OKAY(s.step(good.data(), 0.1f, 2, 1));
      EXPECT_NE(s.all(), before);
    }
}

// ---- random draws ----

// The published vectors (Random123, kat_vectors).
TEST(RandomDraw, PhiloxGivesItsKnownAnswers) {
  struct Known {
    uint32_t counter[4], key[2], want[4];
  };
  constexpr Known kKnown[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                              {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                              {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                               {0xa4093822, 0x299f31d0},
                               {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const Known& k : kKnown) {
    uint32_t got[4];
    philox4x32(k.counter, k.key, got);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(got[i], k.want[i]);
  }
}

uint64_t hash_of(const void* data, size_t bytes) {
  uint64_t h = 1469598103934665603u;
  for (size_t i = 0; i < bytes; ++i) h = (h ^ ((const uint8_t*)data)[i]) * 1099511628211u;
  return h;
}

// On every machine, by every compiler: what is stored as a seed must stay what it is.
TEST(RandomDraw, BitsAreTheSameEverywhere) {
  const RandomDraw draw{20260705, -3, 77};
  std::vector<float> y(100003);
  std::vector<uint8_t> b(100003);
  draw.uniform(0, 100003, -1, 3, y.data());
  EXPECT_EQ(hash_of(y.data(), y.size() * 4), 9965754294496154019u);
  draw.normal(0, 100003, 0.5f, 2, y.data());
  EXPECT_EQ(hash_of(y.data(), y.size() * 4), 17320091949211281203u);
  draw.bernoulli(0, 100003, (uint64_t)1 << 30, b.data());
  EXPECT_EQ(hash_of(b.data(), b.size()), 6487122937842840046u);
}

TEST(RandomDraw, NumberIDependsOnSeedStepPlaceAndIAlone) {
  const RandomDraw draw{5, 6, 7};
  float whole[64], part[64];
  draw.normal(0, 64, 0, 1, whole);
  for (int64_t begin = 0; begin < 20; ++begin)
    for (int64_t end = begin; end < 40; ++end) {
      draw.normal(begin, end, 0, 1, part);
      EXPECT_EQ(std::memcmp(part, whole + begin, sizeof(float) * (size_t)(end - begin)), 0);
    }
  const int64_t far = (int64_t)1 << 34;
  for (const RandomDraw& other : {RandomDraw{4, 6, 7}, RandomDraw{5, 7, 7}, RandomDraw{5, 6, 8},
                                  RandomDraw{5 + ((int64_t)1 << 32), 6, 7}, RandomDraw{5, 6 + ((int64_t)1 << 32), 7}}) {
    other.normal(0, 64, 0, 1, part);
    for (int i = 0; i < 64; ++i) EXPECT_NE(part[i], whole[i]);
  }
  draw.normal(far, far + 64, 0, 1, part);
  EXPECT_NE(std::memcmp(part, whole, sizeof whole), 0);
}

TEST(RandomDraw, NumbersHaveTheirDistribution) {
  constexpr int64_t n = 1 << 20;
  std::vector<float> y((size_t)n);
  const RandomDraw draw{1, 2, 3};
  draw.normal(0, n, 0, 1, y.data());
  double sum[5] = {}, together = 0, neighbours = 0;
  int64_t beyond[3] = {};
  for (int64_t i = 0; i < n; ++i) {
    double power = 1;
    for (int k = 1; k < 5; ++k) sum[k] += power *= y[(size_t)i];
    for (int k = 0; k < 3; ++k) beyond[k] += std::fabs(y[(size_t)i]) > k + 1;
    if (i % 2) together += (double)y[(size_t)i] * y[(size_t)i - 1];
    else if (i) neighbours += (double)y[(size_t)i] * y[(size_t)i - 1];
  }
  // Each bound is five standard deviations.
  EXPECT_NEAR(sum[1] / n, 0, 5 / 1024.0);
  EXPECT_NEAR(sum[2] / n, 1, 5 * std::sqrt(2) / 1024);
  EXPECT_NEAR(sum[3] / n, 0, 5 * std::sqrt(15) / 1024);
  EXPECT_NEAR(sum[4] / n, 3, 5 * std::sqrt(96) / 1024);
  EXPECT_NEAR(together / n, 0, 5 / 1024.0);
  EXPECT_NEAR(neighbours / n, 0, 5 / 1024.0);
  for (int k = 0; k < 3; ++k) {
    const double q = std::erfc((k + 1) / std::sqrt(2));
    EXPECT_NEAR((double)beyond[k] / n, q, 5 * std::sqrt(q * (1 - q)) / 1024);
  }
  // The largest distance between the distribution and that of the numbers (Kolmogorov): 1.95 at one in a thousand.
  std::sort(y.begin(), y.end());
  double worst = 0;
  for (int64_t i = 0; i < n; ++i)
    worst = std::max(worst, std::fabs(0.5 * std::erfc(-y[(size_t)i] / std::sqrt(2)) - (i + 0.5) / n));
  EXPECT_LT(worst * 1024, 1.95);

  draw.uniform(0, n, 2, 3, y.data());
  std::sort(y.begin(), y.end());
  EXPECT_GE(y.front(), 2);
  EXPECT_LE(y.back(), 5);
  worst = 0;
  for (int64_t i = 0; i < n; ++i) worst = std::max(worst, std::fabs((y[(size_t)i] - 2) / 3 - (i + 0.5) / n));
  EXPECT_LT(worst * 1024, 1.95);

  std::vector<uint8_t> b((size_t)n);
  draw.bernoulli(0, n, (uint64_t)(0.3 * 0x1p32), b.data());
  EXPECT_NEAR((double)std::count(b.begin(), b.end(), 1) / n, 0.3, 5 * std::sqrt(0.21) / 1024);
}

struct DrawGraph {
  ModelDef def;
  DrawGraph() {
    Graph g;
    const ValueId seed = add_scalar(g, "seed"), step = add_scalar(g, "step"),
                  x = add_input(g, "x", TERN_DTYPE_F32, {100, 103});
    RandomNormalAttrs normal;
    normal.shape = {100, 103};
    for (const int64_t place : {4, 5}) {
      normal.place = place;
      g.outputs.push_back(emit(g, "random_normal", {seed, step}, normal));
    }
    const ValueId kept = emit(g, "dropout", {x, seed, step}, DropoutAttrs{.probability = 0.25, .place = 6});
    std::vector<ValueId> d;
    EXPECT_EQ(differentiate(g, reduce_sum(g, mul(g, kept, kept), {}, false), {&x, 1}, &d), TERN_OK);
    g.outputs.insert(g.outputs.end(), {kept, d[0]});
    add_signature(def, "draw", std::move(g));
  }
};

TEST(RandomDraw, BackendsAndThreadsDrawTheSame) {
  const std::vector<float> x = random_floats(10300, 3);
  for (const char* backends : kBackends)
    for (const int32_t threads : {1, 2}) {
      SCOPED_TRACE(backends);
      Stepper s(DrawGraph().def, backends, threads);
      const int64_t seed = 11, step = 12;
      const Ref<tern::Tensor> in[] = {make_tensor(*s.context, TERN_DTYPE_I64, {}, &seed),
                                      make_tensor(*s.context, TERN_DTYPE_I64, {}, &step),
                                      make_tensor(*s.context, TERN_DTYPE_F32, {100, 103}, x.data())};
      Outputs out;
      TERN_OKAY(run(*s.session, 0, {in[0].get(), in[1].get(), in[2].get()}, &out));
      std::vector<float> want(10300);
      for (const int64_t place : {4, 5}) {
        RandomDraw{seed, step, place}.normal(0, 10300, 0, 1, want.data());
        EXPECT_EQ(std::memcmp(out.f32((size_t)place - 4), want.data(), want.size() * 4), 0) << "place " << place;
      }
      // What was dropped has no gradient, the rest that of its square.
      int64_t dropped = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        dropped += out.f32(2)[i] == 0;
        EXPECT_TRUE(out.f32(2)[i] == 0 || std::fabs(out.f32(2)[i] - x[i] / 0.75f) < 1e-6f);
        EXPECT_NEAR(out.f32(3)[i], 2 * out.f32(2)[i] / 0.75f, 1e-5);
      }
      EXPECT_NEAR((double)dropped / 10300, 0.25, 5 * std::sqrt(0.1875 / 10300));
    }
}

TEST(RandomDraw, PlacesAreNotMerged) {
  Graph g;
  const ValueId seed = add_scalar(g, "seed"), step = add_scalar(g, "step");
  RandomUniformAttrs a;
  a.shape = {3};
  for (const int64_t place : {1, 2, 1}) {
    a.place = place;
    g.outputs.push_back(emit(g, "random_uniform", {seed, step}, a));
  }
  merge_common(g);
  EXPECT_EQ(g.nodes.size(), 2u);
  EXPECT_NE(g.outputs[0], g.outputs[1]);
  EXPECT_EQ(g.outputs[0], g.outputs[2]);
}

}  // namespace
}  // namespace tern::test
