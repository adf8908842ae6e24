// SPDX-License-Identifier: Apache-2.0
// What a session promises: no allocation after the first run, a bounded cache of plans, a report of what ran where,
// runs that can be ended between nodes, outputs that stay as they are while held, the same bits for any number of
// threads.
#include <sys/mman.h>

#include <atomic>
#include <cfenv>
#include <thread>

#include "ops/concat.h"
#include "ops/control.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/pad.h"
#include "ops/reduce.h"
#include "ops/resize.h"
#include "ops/slice.h"
#include "ops/state_write.h"
#include "tests/runtime/count_allocations.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

// A second backend in the host's memory: the CPU's kernels for all but what was fused.
const BackendApi& sharing_backend() {
  static const BackendApi api = [] {
    BackendApi a = cpu::backend();
    a.name = "sharing";
    a.limits = [](void*) -> DeviceLimits { return {.buffer_alignment = 256, .host_memory = true, .varies = true}; };
    a.supports = [](void* self, const Graph& g, const Node& n) -> Support {
      return n.op->num_subgraphs ? Support{SupportKind::no, "fused"} : cpu::backend().supports(self, g, n);
    };
    return a;
  }();
  return api;
}

Ref<Context> counting_context(int32_t threads, tern_parallel_fn parallel = nullptr, void* user = nullptr) {
  static const BackendApi* const tables[] = {&cpu::backend(), &reference_backend(), &halting_backend(),
                                             &deferred_backend(), &sharing_backend()};
  Context::Options options;
  options.threads.num_threads = threads;
  options.threads.parallel = parallel;
  options.threads.parallel_user = user;
  options.allocator.allocate = [](void*, size_t bytes, size_t alignment) { return allocate_counted(bytes, alignment); };
  options.allocator.release = [](void*, void* p, size_t) { std::free(p); };
  return Ref<Context>::adopt(new Context(options, tables));
}

// A small network on pictures [size, size, 3]: convolutions of several kinds, a sum, a mean, a matrix product.
constexpr int64_t kClasses = 10;
ModelDef conv_net(int64_t size, int64_t channels) {
  ModelDef def;
  uint32_t seed = 1;
  const auto weight = [&](const std::string& name, const Shape& shape) {
    std::vector<float> v = random_floats((size_t)shape.elements(), seed++);
    const float scale = 1.5f / std::sqrt((float)(shape.elements() / shape[0]));
    for (float& x : v) x *= scale;
    add_parameter(def, name, shape, v.data());
  };
  weight("stem", {channels, 3, 3, 3});
  weight("stem_bias", {channels});
  weight("depthwise", {channels, 3, 3, 1});
  weight("point", {channels, 1, 1, channels});
  weight("dense", {channels, 3, 3, channels});
  weight("head", {kClasses, channels});
  weight("head_bias", {kClasses});
  Graph g;
  const ValueId in = add_input(g, "picture", TERN_DTYPE_F32, {1, size, size, 3});
  const auto w = [&](const char* name) { return use_parameter(g, def, name); };
  ValueId x =
      emit(g, "relu",
           {emit(g, "conv2d", {in, w("stem"), w("stem_bias")}, Conv2dAttrs{.strides = {2, 2}, .pads = {1, 1, 1, 1}})});
  ValueId y = emit(g, "hard_swish",
                   {emit(g, "conv2d", {x, w("depthwise")}, Conv2dAttrs{.pads = {1, 1, 1, 1}, .groups = channels})});
  y = emit(g, "conv2d", {y, w("point")}, Conv2dAttrs{});
  x = emit(g, "clip", {add(g, x, y)}, ClipAttrs{.min = 0, .max = 6});
  x = emit(g, "sigmoid", {emit(g, "conv2d", {x, w("dense")}, Conv2dAttrs{.pads = {1, 1, 1, 1}})});
  x = emit(g, "reduce_mean", {x}, ReduceAttrs{.axes = {1, 2}});
  g.outputs = {emit(g, "softmax", {emit(g, "linear", {x, w("head"), w("head_bias")})})};
  add_signature(def, "forward", std::move(g));
  return def;
}

// y = x w per row, for any number of rows; beside it a state that counts.
ModelDef rows_model() {
  ModelDef def;
  const std::vector<float> w = random_floats(16 * 16, 5);
  add_parameter(def, "w", {16, 16}, w.data());
  def.states.push_back({"sum", TERN_DTYPE_F32, {16}});
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 16});
  const ValueId y = emit(g, "tanh", {emit(g, "linear", {x, use_parameter(g, def, "w")})});
  const ValueId old = use_state(g, def, "sum");
  emit(g, "state_write", {old, add(g, old, emit(g, "reduce_sum", {x}, ReduceAttrs{.axes = {0}}))});
  g.outputs = {y};
  Signature& s = def.signatures[(size_t)add_signature(def, "forward", std::move(g))];
  s.symbols.push_back({"rows", 1, 1000, 2, 1});
  s.symbolic_dims.push_back({0, 0, 0});
  return def;
}

std::unique_ptr<Session> open(const Model& model, const char* backends = "cpu", int32_t max_plans = 8) {
  Session::Options options;
  options.backends = backends;
  options.max_plans = max_plans;
  std::unique_ptr<Session> s;
  EXPECT_EQ(Session::create(model, options, &s), TERN_OK) << thread_error().message;
  return s;
}

Ref<Tensor> picture(Context& context, int64_t size, uint32_t seed = 9) {
  const std::vector<float> v = random_floats((size_t)(size * size * 3), seed);
  return make_tensor(context, TERN_DTYPE_F32, {1, size, size, 3}, v.data());
}

TEST(Session, RunsAllocateNothingAfterTheFirst) {
  for (const int32_t threads : {1, 2}) {
    const Ref<Context> context = counting_context(threads);
    const Ref<Model> model = make_model(*context, conv_net(64, 16));
    const std::unique_ptr<Session> session = open(*model);
    const Ref<Tensor> in = picture(*context, 64);
    const Tensor *inputs[] = {in.get()}, *outputs[] = {nullptr};
    for (int i = 0; i < 3; ++i) {
      const int64_t before = allocations();
      TERN_OKAY(session->run(0, inputs, outputs, {}));
      outputs[0]->release();
      const int64_t after = allocations();
      EXPECT_TRUE(i == 0 || after == before) << threads << " threads, run " << i << ": " << after - before;
    }
    const Ref<Tensor> out = make_tensor(*context, TERN_DTYPE_F32, {1, kClasses});
    TERN_OKAY(session->bind_input(0, 0, in.get()));
    TERN_OKAY(session->bind_output(0, 0, out.get()));
    for (int i = 0; i < 3; ++i) {
      const int64_t before = allocations();
      TERN_OKAY(session->run_bound(0, {}));
      const int64_t after = allocations();
      EXPECT_TRUE(i == 0 || after == before) << threads << " threads, bound run " << i << ": " << after - before;
    }
  }
  // Several shapes in turn, and a state.
  const Ref<Context> context = counting_context(1);
  const Ref<Model> model = make_model(*context, rows_model());
  const std::unique_ptr<Session> session = open(*model);
  const Ref<Tensor> in[2] = {make_tensor(*context, TERN_DTYPE_F32, {3, 16}),
                             make_tensor(*context, TERN_DTYPE_F32, {3, 16})};
  for (int i = 0; i < 6; ++i) {
    const Tensor *inputs[] = {in[i % 2].get()}, *outputs[] = {nullptr};
    const int64_t before = allocations();
    TERN_OKAY(session->run(0, inputs, outputs, {}));
    outputs[0]->release();
    const int64_t after = allocations();
    EXPECT_TRUE(i < 2 || after == before) << "run " << i << ": " << after - before;
  }
}

TEST(Session, KeepsABoundedNumberOfPlans) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, rows_model());
  const std::unique_ptr<Session> session = open(*model, "cpu", 3);
  std::vector<std::vector<float>> first;
  for (int round = 0; round < 2; ++round)
    for (int64_t rows = 1; rows <= 8; ++rows) {
      const std::vector<float> v = random_floats((size_t)rows * 16, (uint32_t)rows);
      const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_F32, {rows, 16}, v.data());
      Outputs out;
      TERN_OKAY(run(*session, 0, {in.get()}, &out));
      EXPECT_EQ(out.tensors[0]->shape(), (Shape{rows, 16}));
      const std::vector<float> y(out.f32(0), out.f32(0) + rows * 16);
      if (round == 0) first.push_back(y);
      EXPECT_EQ(y, first[(size_t)rows - 1]);
      EXPECT_LE(session->memory().plans, 3);
    }
  EXPECT_EQ(session->memory().plans, 3);
}

TEST(Session, RefusesWhatDoesNotFit) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, rows_model());
  const std::unique_ptr<Session> session = open(*model);
  Outputs out;
  EXPECT_EQ(run(*session, 0, {nullptr}, &out), TERN_ERR_STATE);
  EXPECT_EQ(run(*session, 0, {make_tensor(*context, TERN_DTYPE_F32, {1001, 16}).get()}, &out), TERN_ERR_SHAPE);
  EXPECT_NE(std::strstr(thread_error().message, "'x'"), nullptr);
  EXPECT_EQ(run(*session, 0, {make_tensor(*context, TERN_DTYPE_F32, {0, 16}).get()}, &out), TERN_ERR_SHAPE);
  EXPECT_EQ(run(*session, 0, {make_tensor(*context, TERN_DTYPE_F32, {2, 17}).get()}, &out), TERN_ERR_SHAPE);
  EXPECT_EQ(run(*session, 0, {make_tensor(*context, TERN_DTYPE_F32, {16}).get()}, &out), TERN_ERR_SHAPE);
  EXPECT_EQ(run(*session, 0, {make_tensor(*context, TERN_DTYPE_I32, {2, 16}).get()}, &out), TERN_ERR_TYPE);
  EXPECT_EQ(session->memory().plans, 0);
  std::unique_ptr<Session> none;
  Session::Options options;
  options.backends = "no_such";
  EXPECT_EQ(Session::create(*model, options, &none), TERN_ERR_NOT_FOUND);
  EXPECT_NE(std::strstr(thread_error().message, "halting"), nullptr) << "the message lists what there is";
}

TEST(Session, ReportsWhatRanWhere) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, conv_net(16, 8));
  const Ref<Tensor> in = picture(*context, 16);
  Outputs expected;
  for (const char* backends :
       {"cpu", "reference", "halting,cpu", "halting,reference,cpu", "deferred", "halting,deferred"}) {
    SCOPED_TRACE(backends);
    const std::unique_ptr<Session> session = open(*model, backends);
    EXPECT_TRUE(session->placements(0).empty());
    Outputs out;
    TERN_OKAY(run(*session, 0, {in.get()}, &out));
    if (expected.tensors.empty()) expected.tensors.push_back(out.tensors[0]);
    EXPECT_LT(relative_error(out.f32(0), expected.f32(0), kClasses), 1e-5);
    const std::string first = std::string(backends).substr(0, std::string(backends).find(','));
    int elsewhere = 0;
    const auto placements = session->placements(0);
    EXPECT_FALSE(placements.empty());
    for (const Session::Placement& p : placements) {
      EXPECT_NE(p.as, PlacedAs::reference) << p.op;
      if (p.backend == first) continue;
      ++elsewhere;
      EXPECT_STRNE(p.reason, "") << p.op;
    }
    EXPECT_EQ(elsewhere > 0, first == "halting");
    for (const Session::Placement& p : placements)
      EXPECT_TRUE(first != "cpu" || p.as == PlacedAs::kernel) << p.op << ": " << p.reason;
  }
}

TEST(Session, BackendsShareTheMemoryOfTheHost) {
  const Ref<Context> context = counting_context(1);
  const Ref<Model> model = make_model(*context, conv_net(32, 16));
  const Ref<Tensor> in = picture(*context, 32);
  Outputs expected;
  uint64_t arena = 0;
  for (const char* backends : {"cpu", "sharing", "halting,sharing"}) {
    SCOPED_TRACE(backends);
    const std::unique_ptr<Session> session = open(*model, backends);
    Outputs out;
    for (int i = 0; i < 2; ++i) TERN_OKAY(run(*session, 0, {in.get()}, &out));
    if (expected.tensors.empty()) {
      expected.tensors.push_back(out.tensors[0]);
      arena = session->memory().plan.arena;
    }
    EXPECT_LT(relative_error(out.f32(0), expected.f32(0), kClasses), 1e-5);
    if (std::strcmp(backends, "sharing") != 0) continue;
    int counts[2] = {};
    for (const Session::Placement& p : session->placements(0)) {
      EXPECT_EQ(p.as, PlacedAs::kernel) << p.op << ": what shares memory goes before a decomposition";
      ++counts[std::strcmp(p.backend, "sharing") == 0];
    }
    EXPECT_GT(counts[0], 0);
    EXPECT_GT(counts[1], 0);
    EXPECT_EQ(std::memcmp(out.f32(0), expected.f32(0), kClasses * sizeof(float)), 0);
    EXPECT_LT(session->memory().plan.arena, arena + arena / 4) << "a second arena";
  }
}

// The parameters of a file are mapped for reading: a view of one is no copy onto itself, by whatever loops.
TEST(Session, ViewsOfMappedParametersWriteNothing) {
  static const BackendApi* const tables[] = {&cpu::backend(), &cpu::reference_backend(), &halting_backend(),
                                             &deferred_backend()};
  const Ref<Context> context = Ref<Context>::adopt(new Context({}, tables));
  static constexpr size_t kBytes = 4096;
  constexpr int64_t kInputs = 3, kHidden = 2, kTokens = 4;
  ModelDef def;
  const auto mapped = [&](const std::string& name, const Shape& shape, uint32_t seed) {
    const std::vector<float> values = random_floats((size_t)shape.elements(), seed);
    void* page = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) std::abort();
    std::memcpy(page, values.data(), values.size() * sizeof(float));
    mprotect(page, kBytes, PROT_READ);
    const int32_t i = add_parameter(def, name, shape, values.data());
    def.parameters[(size_t)i].data = {
        page, std::shared_ptr<const void>(page, [](const void* p) { munmap(const_cast<void*>(p), kBytes); })};
  };
  mapped("w", {1, 4 * kHidden, kInputs}, 1);
  mapped("r", {1, 4 * kHidden, kHidden}, 2);
  mapped("bias", {kTokens, kInputs}, 3);
  Graph g;
  const ValueId in = add_input(g, "x", TERN_DTYPE_F32, {kTokens, 1, kInputs}), bias = use_parameter(g, def, "bias");
  const ValueId choice = add_constant(g, 1.0f);
  ValueId x = add(g, in, reshape(g, bias, {kTokens, 1, kInputs}));
  x = add(g, x, reshape(g, emit(g, "stop_gradient", {bias}), {kTokens, 1, kInputs}));
  x = add(g, x, emit(g, "assume", {reshape(g, bias, {kTokens, 1, kInputs}), choice, choice}));
  Node lstm;
  lstm.op = find_op("lstm");
  lstm.in = {x, use_parameter(g, def, "w"), use_parameter(g, def, "r")};
  set_default_attributes(*lstm.op, &lstm.attributes);
  std::vector<ValueId> out;
  emit_node(g, std::move(lstm), 3, &out);
  g.outputs = {out[0], x};
  add_signature(def, "forward", std::move(g));
  const Ref<Model> model = make_model(*context, std::move(def));
  const std::vector<float> values = random_floats((size_t)(kTokens * kInputs), 4);
  const Ref<Tensor> input = make_tensor(*context, TERN_DTYPE_F32, {kTokens, 1, kInputs}, values.data());
  const auto* parameter = (const float*)model->def().parameters[2].data.bytes;
  Outputs expected;
  for (const char* backends : {"cpu", "reference", "halting,cpu", "deferred"}) {
    SCOPED_TRACE(backends);
    const std::unique_ptr<Session> session = open(*model, backends);
    Outputs y;
    TERN_OKAY(run(*session, 0, {input.get()}, &y));
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(y.f32(1)[i], values[i] + 3 * parameter[i], 1e-6) << i;
    if (expected.tensors.empty()) expected.tensors.push_back(y.tensors[0]);
    EXPECT_LT(relative_error(y.f32(0), expected.f32(0), kTokens * kHidden), 1e-5);
  }
}

// A layer is a product and one node of steps, whatever the number of tokens.
TEST(Session, RecurrentLayersTakeAnyLength) {
  static const BackendApi* const tables[] = {&cpu::backend(), &cpu::reference_backend()};
  constexpr int64_t kTokens = 5000, kBatch = 2, kInputs = 3, kHidden = 5;
  const Ref<Context> context = Ref<Context>::adopt(new Context({}, tables));
  for (const auto& [op, gates] : {std::pair<const char*, int64_t>{"rnn", 1}, {"gru", 3}, {"lstm", 4}}) {
    SCOPED_TRACE(op);
    ModelDef def;
    Graph g;
    Node n;
    n.op = find_op(op);
    set_default_attributes(*n.op, &n.attributes);
    n.in = {add_input(g, "x", TERN_DTYPE_F32, {kTokens, kBatch, kInputs})};
    for (const Shape& s : {Shape{1, gates * kHidden, kInputs}, Shape{1, gates * kHidden, kHidden}}) {
      const std::vector<float> values = random_floats((size_t)s.elements(), (uint32_t)s[2]);
      const std::string name = std::to_string(s[2]);
      add_parameter(def, name, s, values.data());
      n.in.push_back(use_parameter(g, def, name));
    }
    emit_node(g, std::move(n), -1, &g.outputs);
    add_signature(def, "forward", std::move(g));
    const Ref<Model> model = make_model(*context, std::move(def));
    const std::vector<float> x = random_floats((size_t)(kTokens * kBatch * kInputs), 4);
    const Ref<Tensor> input = make_tensor(*context, TERN_DTYPE_F32, {kTokens, kBatch, kInputs}, x.data());
    Outputs y, expected;
    const std::unique_ptr<Session> session = open(*model, "cpu"), plain = open(*model, "reference");
    TERN_OKAY(run(*session, 0, {input.get()}, &y));
    TERN_OKAY(run(*plain, 0, {input.get()}, &expected));
    EXPECT_LT(relative_error(y.f32(0), expected.f32(0), kTokens * kBatch * kHidden), 1e-4);
    EXPECT_LT(session->placements(0).size(), 10u);
  }
}

TEST(Session, BackendsWhoseBitsVaryAreLeftOut) {
  const Ref<Context> context = counting_context(1);
  const auto used = [&](const Ref<Model>& model, const Ref<Tensor>& in, bool deterministic) {
    Session::Options options;
    options.backends = "sharing";
    options.deterministic = deterministic;
    std::unique_ptr<Session> session;
    EXPECT_EQ(Session::create(*model, options, &session), TERN_OK);
    Outputs out;
    EXPECT_EQ(run(*session, 0, {in.get()}, &out), TERN_OK) << thread_error().message;
    int count = 0;
    for (const Session::Placement& p : session->placements(0)) {
      if (std::strcmp(p.backend, "sharing") == 0) ++count;
      else EXPECT_STRNE(p.reason, "") << p.op;
    }
    return count;
  };
  const Ref<Model> net = make_model(*context, conv_net(16, 8));
  EXPECT_GT(used(net, picture(*context, 16), false), 0);
  EXPECT_EQ(used(net, picture(*context, 16), true), 0);
  EXPECT_EQ(used(make_model(*context, rows_model()), make_tensor(*context, TERN_DTYPE_F32, {2, 16}), false), 0)
      << "it writes a state";
}

// The host's pool sets the flag while the first node that uses threads is at work: the nodes behind it do not run.
struct Cancelling {
  std::atomic<int32_t> flag{0};
  std::atomic<int32_t> jobs{0};
  int32_t cancel_at = -1;
};
void cancelling_parallel(void* user, int32_t n, void (*task)(void*, int32_t), void* task_user) {
  Cancelling& c = *(Cancelling*)user;
  for (int32_t i = 0; i < n; ++i) task(task_user, i);
  if (c.jobs++ == c.cancel_at) c.flag = 1;
}

TEST(Session, CancelsBetweenNodes) {
  Cancelling c;
  const Ref<Context> context = counting_context(2, cancelling_parallel, &c);
  const Ref<Model> model = make_model(*context, conv_net(128, 32));
  const std::unique_ptr<Session> session = open(*model);
  const Ref<Tensor> in = picture(*context, 128);
  Outputs whole, out;
  TERN_OKAY(run(*session, 0, {in.get()}, &whole));
  const int32_t jobs = c.jobs;
  ASSERT_GE(jobs, 3);
  for (int32_t at = 0; at + 1 < jobs; ++at) {
    c.jobs = 0;
    c.cancel_at = at;
    EXPECT_EQ(run(*session, 0, {in.get()}, &out, RunControl{&c.flag, 0}), TERN_ERR_CANCELLED);
    EXPECT_EQ(c.jobs, at + 1);
    c.flag = 0;
  }
  c.cancel_at = -1;
  TERN_OKAY(run(*session, 0, {in.get()}, &out, RunControl{&c.flag, 0}));
  EXPECT_EQ(std::memcmp(out.f32(0), whole.f32(0), kClasses * sizeof(float)), 0);
  EXPECT_EQ(run(*session, 0, {in.get()}, &out, RunControl{nullptr, 1}), TERN_ERR_DEADLINE);
  TERN_OKAY(run(*session, 0, {in.get()}, &out, RunControl{nullptr, monotonic_ns() + (uint64_t)600e9}));
}

TEST(Session, AStateIsWrittenWholeOrNotAtAll) {
  for (const char* backends : {"cpu", "reference", "halting,cpu", "deferred"}) {
    SCOPED_TRACE(backends);
    const Ref<Context> context = make_context();
    const Ref<Model> model = make_model(*context, rows_model());
    const std::unique_ptr<Session> session = open(*model, backends);
    const std::vector<float> ones(32, 1.0f);
    const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_F32, {2, 16}, ones.data());
    Outputs out;
    std::atomic<int32_t> cancel{1};
    for (int i = 1; i <= 3; ++i) {
      TERN_OKAY(run(*session, 0, {in.get()}, &out));
      EXPECT_EQ(run(*session, 0, {in.get()}, &out, RunControl{&cancel, 0}), TERN_ERR_CANCELLED);
      Ref<Tensor> sum;
      TERN_OKAY(session->state().get(0, &sum));
      for (int k = 0; k < 16; ++k) EXPECT_EQ(((const float*)sum->data())[k], 2.0f * (float)i);
    }
  }
}

// The CPU's or the reference's work, but the device is lost when the countdown ends: after that part of a run was done.
int32_t submits_left = -1;
template <const BackendApi& (*Original)()>
const BackendApi& losing_backend() {
  static const BackendApi api = [] {
    BackendApi a = Original();
    a.name = Original == cpu::backend ? "losing_host" : "losing_device";
    a.submit = [](void* self, BackendPlan* plan, std::span<const int64_t> scalars, const RunControl& control,
                  std::span<const Fence> after, Fence* done) -> tern_status {
      TERN_TRY(Original().submit(self, plan, scalars, control, after, done));
      return submits_left >= 0 && submits_left-- == 0 ? TERN_FAIL(TERN_ERR_DEVICE_LOST, "as the test wants") : TERN_OK;
    };
    return a;
  }();
  return api;
}

// Lost in the update, parts of the parameters and of the states may be new and parts old. A device with a memory of its
// own has parameters only on loan.
TEST(Session, WhatAFailedUpdateLeavesIsNotUsed) {
  static const BackendApi* const tables[] = {&cpu::backend(), &losing_backend<cpu::backend>(),
                                             &losing_backend<reference_backend>()};
  const Ref<Context> context = Ref<Context>::adopt(new Context({}, tables));
  ModelDef def = rows_model();
  Graph g;
  const ValueId w = use_parameter(g, def, "w");
  emit(g, "sgd_update", {w, w, add_constant(g, 0.5f)});
  g.outputs = {emit(g, "reduce_sum", {w}, ReduceAttrs{})};
  add_signature(def, "train", std::move(g));
  const Ref<Model> model = make_model(*context, std::move(def));
  const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_F32, {2, 16});
  for (const char* backends : {"losing_host,cpu", "losing_device,cpu"}) {
    SCOPED_TRACE(backends);
    const bool host = std::string_view(backends).starts_with("losing_host");
    std::unique_ptr<Session> session = open(*model, backends);
    const std::string path = testing::TempDir() + "/tern_torn_state";
    TERN_OKAY(session->state().save(path.c_str()));
    Outputs out;
    Ref<Tensor> got;
    Ref<State> copy;
    for (const int32_t lost : {0, 1}) {  // before the update; within it
      submits_left = lost;
      EXPECT_EQ(run(*session, 0, {in.get()}, &out), TERN_ERR_DEVICE_LOST);
      EXPECT_EQ(session->state().get(0, &got), lost ? TERN_ERR_STATE : TERN_OK);
      EXPECT_EQ(session->state().fork(&copy), lost ? TERN_ERR_STATE : TERN_OK);
      EXPECT_EQ(session->state().save(path.c_str()), lost ? TERN_ERR_STATE : TERN_OK);
      EXPECT_EQ(run(*session, 0, {in.get()}, &out), lost ? TERN_ERR_STATE : TERN_OK);
    }
    TERN_OKAY(session->state().load(path.c_str()));
    TERN_OKAY(run(*session, 0, {in.get()}, &out));
    std::remove(path.c_str());

    TERN_OKAY(run(*session, 1, {}, &out));
    const float halved = out.f32(0)[0];
    TERN_OKAY(session->parameters().get(0, &got));
    const std::vector<float> before((const float*)got->data(), (const float*)got->data() + 256);
    submits_left = 1;
    EXPECT_EQ(run(*session, 1, {}, &out), TERN_ERR_DEVICE_LOST);
    EXPECT_EQ(session->parameters().get(0, &got), host ? TERN_ERR_STATE : TERN_OK);
    EXPECT_EQ(run(*session, 1, {}, &out), host ? TERN_ERR_STATE : TERN_OK);
    if (host) continue;
    EXPECT_EQ(std::memcmp(got->data(), before.data(), sizeof(float) * 256), 0);
    EXPECT_FLOAT_EQ(out.f32(0)[0], halved / 2);
    submits_left = -1;
  }
}

// Wherever a run is cancelled: before the first writer it ends, behind that it does not, though the writers stand first
// in the graph.
TEST(Session, UpdatesComeLastAndAreNotEnded) {
  constexpr int64_t n = 1 << 19;
  ModelDef def;
  const std::vector<float> zeros((size_t)n), ones((size_t)n, 1);
  for (const char* name : {"a", "b"}) add_parameter(def, name, {n}, zeros.data());
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {n});
  for (const char* name : {"a", "b"}) emit(g, "sgd_update", {use_parameter(g, def, name), x, add_constant(g, -1.0f)});
  g.outputs = {emit(g, "tanh", {x})};
  add_signature(def, "forward", std::move(g));
  Cancelling c;
  const Ref<Context> context = counting_context(2, cancelling_parallel, &c);
  const Ref<Model> model = make_model(*context, std::move(def));
  const std::unique_ptr<Session> session = open(*model);
  const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_F32, {n}, ones.data());
  Outputs out;
  TERN_OKAY(run(*session, 0, {in.get()}, &out));
  const int32_t jobs = c.jobs;
  int cancelled = 0;
  float written = 1;
  for (int32_t at = 0; at < jobs; ++at) {
    c.jobs = 0;
    c.cancel_at = at;
    const tern_status s = run(*session, 0, {in.get()}, &out, RunControl{&c.flag, 0});
    c.flag = 0;
    EXPECT_TRUE(s == TERN_OK || s == TERN_ERR_CANCELLED) << thread_error().message;
    if (s == TERN_OK) ++written;
    else ++cancelled;
    for (int32_t k = 0; k < 2; ++k) {
      const float* p = (const float*)parameter_bytes(session->parameters(), k);
      EXPECT_TRUE(p[0] == written && p[n - 1] == written)
          << "parameter " << k << ", job " << at << " of " << jobs << ": " << p[0] << ", " << p[n - 1];
    }
  }
  EXPECT_GE(cancelled, 1);
  EXPECT_EQ(written, 3) << "each writer is a job";
}

TEST(Session, HeldOutputsStayAsTheyAre) {
  for (const char* backends : {"cpu", "reference"}) {
    const Ref<Context> context = make_context();
    const Ref<Model> model = make_model(*context, conv_net(16, 8));
    const std::unique_ptr<Session> session = open(*model, backends);
    std::vector<Outputs> held(9);
    std::vector<std::vector<float>> copies;
    for (size_t i = 0; i < held.size(); ++i) {
      TERN_OKAY(run(*session, 0, {picture(*context, 16, (uint32_t)i).get()}, &held[i]));
      copies.emplace_back(held[i].f32(0), held[i].f32(0) + kClasses);
    }
    for (size_t i = 0; i < held.size(); ++i) {
      EXPECT_EQ(std::vector<float>(held[i].f32(0), held[i].f32(0) + kClasses), copies[i]) << i;
      EXPECT_TRUE(i == 0 || copies[i] != copies[i - 1]);
    }
    // Those let go are used again.
    held.clear();
    const uint64_t pooled = session->memory().outputs;
    for (uint32_t i = 0; i < 20; ++i) {
      Outputs out;
      TERN_OKAY(run(*session, 0, {picture(*context, 16, i).get()}, &out));
    }
    EXPECT_EQ(session->memory().outputs, pooled);
  }
}

TEST(Session, OutputsOutliveTheSession) {
  Outputs out;
  std::vector<float> copy;
  {
    const Ref<Context> context = make_context();
    const Ref<Model> model = make_model(*context, conv_net(16, 8));
    TERN_OKAY(run(*open(*model), 0, {picture(*context, 16).get()}, &out));
    copy.assign(out.f32(0), out.f32(0) + kClasses);
  }
  EXPECT_EQ(std::vector<float>(out.f32(0), out.f32(0) + kClasses), copy);
}

TEST(Session, ThreadsDoNotChangeBits) {
  std::vector<float> one;
  for (const int32_t threads : {1, 2, 4}) {
    const Ref<Context> context = make_context(threads);
    const Ref<Model> model = make_model(*context, conv_net(96, 32));
    const std::unique_ptr<Session> session = open(*model);
    Outputs out;
    for (int i = 0; i < 3; ++i) {
      TERN_OKAY(run(*session, 0, {picture(*context, 96).get()}, &out));
      const std::vector<float> y(out.f32(0), out.f32(0) + kClasses);
      if (one.empty()) one = y;
      EXPECT_EQ(y, one) << threads << " threads";
    }
  }
}

// Neither the rounding mode of the caller's thread nor its treatment of denormal numbers changes a result, and both are
// as before after a run. Numbers below the smallest normal one are zero unless the context keeps them.
TEST(Session, TheModeOfTheCallersThread) {
#if defined(__SSE2__)
  constexpr bool flushes = true;
#elif defined(__aarch64__)
  constexpr bool flushes = true;
#else
  constexpr bool flushes = false;
#endif
  ModelDef def;
  Graph& g = def.signatures.emplace_back().graph;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {1 << 16});
  g.outputs = {mul(g, x, scalar_like(g, x, 0.3)), mul(g, emit(g, "exp", {x}), scalar_like(g, x, 1.1))};
  def.signatures[0].name = "forward";
  def.signatures[0].output_names = {"scaled", "other"};
  std::vector<float> in(1 << 16), nearest;
  for (size_t i = 0; i < in.size(); ++i) in[i] = i % 2 ? 1e-39f : (float)i / 65536;
  for (const bool keep : {false, true})
    for (const bool on_host : {false, true})
      for (const int mode : {FE_TONEAREST, FE_UPWARD, FE_TOWARDZERO}) {
        static const BackendApi* const tables[] = {&cpu::backend(), &reference_backend()};
        Context::Options options;
        options.threads.num_threads = 4;
        options.threads.keep_denormals = keep;
        if (on_host)  // a pool of the host, whose threads have a mode of their own
          options.threads.parallel = [](void*, int32_t n, void (*task)(void*, int32_t), void* user) {
            for (int32_t i = 0; i < n; ++i)
              std::thread([=] {
                std::fesetround(FE_DOWNWARD);
                task(user, i);
                EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
              }).join();
          };
        const Ref<Context> context = Ref<Context>::adopt(new Context(options, tables));
        const Ref<Model> model = make_model(*context, def);
        const std::unique_ptr<Session> session = open(*model);
        const Ref<tern::Tensor> tensor = make_tensor(*context, TERN_DTYPE_F32, {1 << 16}, in.data());
        Outputs out;
        ASSERT_EQ(std::fesetround(mode), 0);
        volatile float smallest = 1e-39f;
        const tern_status status = run(*session, 0, {tensor.get()}, &out);
        EXPECT_EQ(std::fegetround(), mode);
        EXPECT_GT(smallest * 0.5f, 0.0f);  // the caller's own arithmetic keeps them
        std::fesetround(FE_TONEAREST);
        TERN_OKAY(status);
        EXPECT_EQ(out.f32(0)[1] != 0, keep || !flushes);
        std::vector<float> y(out.f32(1), out.f32(1) + (1 << 16));
        y.insert(y.end(), out.f32(0), out.f32(0) + 2 * (keep ? 0 : 1 << 15));
        if (mode == FE_TONEAREST && !on_host) nearest = y;
        EXPECT_TRUE(y == nearest) << keep << on_host << mode;
      }
}

// (iteration, condition, x, step) -> (iteration < 3, 2 x + step): four iterations.
Graph loop_body() {
  Graph g;
  const int64_t three = 3;
  const ValueId i = add_input(g, "i", TERN_DTYPE_I64, {});
  add_input(g, "condition", TERN_DTYPE_BOOL, {});
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 3}), step = add_input(g, "step", TERN_DTYPE_F32, {2, 3});
  g.outputs = {emit(g, "less", {i, add_constant(g, TERN_DTYPE_I64, {}, &three)}), add(g, add(g, x, x), step)};
  return g;
}

Graph branch(const char* op) {
  Graph g;
  g.outputs = {emit(g, op, {add_input(g, "x", TERN_DTYPE_F32, {2, 3})})};
  return g;
}

TEST(Session, RunsSubGraphs) {
  for (const char* backends : {"cpu", "reference", "halting,cpu", "deferred"}) {
    SCOPED_TRACE(backends);
    ModelDef def;
    def.states.push_back({"last", TERN_DTYPE_F32, {2, 3}});
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 3}),
                  positive = add_input(g, "positive", TERN_DTYPE_BOOL, {});
    const ValueId old = use_state(g, def, "last");
    const int64_t ten = 10;
    Node loop;
    loop.op = find_op("loop");
    set_default_attributes(*loop.op, &loop.attributes);
    loop.attrs<LoopAttrs>().num_carried = 1;
    loop.in = {add_constant(g, TERN_DTYPE_I64, {}, &ten), kNoValue, emit(g, "exp", {x}), old};
    loop.subgraphs = {loop_body()};
    const ValueId looped = emit_node(g, std::move(loop), 1);
    Node choice;
    choice.op = find_op("if");
    set_default_attributes(*choice.op, &choice.attributes);
    choice.in = {positive, looped};
    choice.subgraphs = {branch("relu"), branch("neg")};
    const ValueId y = emit(g, "abs", {emit_node(g, std::move(choice), 1)});
    emit(g, "state_write", {old, looped});
    g.outputs = {y, looped};
    add_signature(def, "forward", std::move(g));
    const Ref<Context> context = make_context();
    const Ref<Model> model = make_model(*context, std::move(def));
    const std::unique_ptr<Session> session = open(*model, backends);
    const float values[] = {-2, -1, 0, 0.5f, 1, 2};
    const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_F32, {2, 3}, values),
                      flag = make_tensor(*context, TERN_DTYPE_BOOL, {});
    double last[6] = {};
    for (int run_number = 0; run_number < 4; ++run_number) {
      *(uint8_t*)flag->data() = run_number % 2;
      Outputs out;
      TERN_OKAY(run(*session, 0, {in.get(), flag.get()}, &out));
      for (int i = 0; i < 6; ++i) {
        last[i] = 16 * std::exp((double)values[i]) + 15 * last[i];
        EXPECT_NEAR(out.f32(0)[i], last[i], 1e-5 * last[i]) << "run " << run_number;
        EXPECT_NEAR(out.f32(1)[i], last[i], 1e-5 * last[i]) << "run " << run_number;
      }
    }
  }
}

// Plain loops with a mistake: one operator computes another.
std::string g_right, g_wrong;
tern_status compile_wrongly(void* self, const Partition& partition, BackendPlan** plan) {
  static Graph graph;  // outlives the plan
  graph = *partition.graph;
  for (Node& n : graph.nodes)
    if (g_right == n.op->name) n.op = find_op(g_wrong);
  Partition other = partition;
  other.graph = &graph;
  return cpu::reference_backend().compile(self, other, plan);
}

TEST(Session, KeptValuesTellWhichNodeIsWrong) {
  struct Case {
    const char *right, *wrong, *found;  // found: on the CPU, where nodes are fused
  };
  for (const Case& c : {Case{"", "", ""}, Case{"relu", "sigmoid", "conv2d+relu"},
                        Case{"hard_swish", "silu", "conv2d+hard_swish"}, Case{"sigmoid", "tanh", "conv2d+sigmoid"},
                        Case{"reduce_mean", "reduce_max", "reduce_mean"}, Case{"softmax", "log_softmax", "softmax"}}) {
    g_right = c.right, g_wrong = c.wrong;
    static BackendApi wrong = cpu::reference_backend();
    wrong.name = "wrong";
    wrong.compile = compile_wrongly;
    static const BackendApi* const tables[] = {&cpu::backend(), &reference_backend(), &wrong};
    const Ref<Context> context = Ref<Context>::adopt(new Context({}, tables));
    const Ref<Model> model = make_model(*context, conv_net(32, 8));
    const Ref<Tensor> in = picture(*context, 32);
    const auto start = [&](const char* backends) {
      Session::Options options;
      options.backends = backends;
      options.keep = true;
      std::unique_ptr<Session> s;
      EXPECT_EQ(Session::create(*model, options, &s), TERN_OK);
      EXPECT_TRUE(s->intermediates(0).empty());
      Outputs out;
      EXPECT_EQ(run(*s, 0, {in.get()}, &out), TERN_OK) << thread_error().message;
      return s;
    };
    const std::unique_ptr<Session> cpu = start("cpu"), other = start("wrong"), device = start("reference");
    EXPECT_GT(other->intermediates(0).size(), cpu->intermediates(0).size());
    EXPECT_EQ(device->intermediates(0).size(), cpu->intermediates(0).size());  // fused alike, split up by the placement
    std::string found;
    size_t shared = 0;
    for (size_t i = 0; i < cpu->intermediates(0).size(); ++i) {
      const Session::Intermediate &a = cpu->intermediates(0)[i], &d = device->intermediates(0)[i];
      EXPECT_EQ(a.name, d.name);
      EXPECT_LT(
          relative_error((const float*)a.tensor->data(), (const float*)d.tensor->data(), a.tensor->shape().elements()),
          1e-5)
          << a.name;
      for (const Session::Intermediate& b : other->intermediates(0)) {
        if (b.name != a.name) continue;
        ++shared;
        ASSERT_EQ(a.tensor->shape(), b.tensor->shape()) << a.name;
        if (found.empty() && relative_error((const float*)a.tensor->data(), (const float*)b.tensor->data(),
                                            a.tensor->shape().elements()) > 1e-5)
          found = a.op;
      }
    }
    EXPECT_EQ(shared, cpu->intermediates(0).size());
    EXPECT_EQ(found, c.found);
  }
}

// Fusion changes no result (beyond rounding), on any backend.
TEST(Session, FusedEqualsUnfused) {
  for (const char* name : {"cpu", "reference"}) {
    SCOPED_TRACE(name);
    const Ref<Context> context = make_context(2);
    const Ref<Model> model = make_model(*context, conv_net(32, 16));
    const Backend* backend = nullptr;
    const Backend* host = nullptr;
    TERN_OKAY(context->open_backend(name, &backend));
    TERN_OKAY(context->open_backend("cpu", &host));
    std::vector<const Backend*> backends = {backend};
    if (backend != host) backends.push_back(host);
    const Ref<Parameters> parameters = Ref<Parameters>::adopt(new Parameters(*model));
    Ref<State> state;
    TERN_OKAY(State::create(*model, &state));
    const Ref<Tensor> in = picture(*context, 32);
    float y[2][kClasses];
    size_t nodes[2];
    for (int fused = 0; fused < 2; ++fused) {
      Graph g = model->def().signatures[0].graph;
      if (fused) {
        TERN_OKAY(optimize_for_cpu(g));
      }
      nodes[fused] = g.nodes.size();
      std::unique_ptr<Executable> e;
      TERN_OKAY(Executable::create(std::move(g), *model, *parameters, {.backends = backends}, &e));
      const void* inputs[] = {in->data()};
      void* outputs[] = {y[fused]};
      TERN_OKAY(e->run(inputs, outputs, *parameters, *state, {}));
    }
    EXPECT_LT(nodes[1], nodes[0]);
    EXPECT_LT(relative_error(y[1], y[0], kClasses), 1e-5);
  }
}

// What the passes must not change.
TEST(Session, PassesKeepResults) {
  using Build = std::vector<ValueId> (*)(Graph & g, ValueId x, ValueId w, ValueId wide);
  const std::pair<const char*, Build> kGraphs[] = {
      {"two readers of a product",
       [](Graph& g, ValueId x, ValueId w, ValueId) -> std::vector<ValueId> {
         const ValueId y = emit(g, "conv2d", {x, w}, Conv2dAttrs{});
         return {emit(g, "relu", {y}), emit(g, "tanh", {y})};
       }},
      {"a product that is an output",
       [](Graph& g, ValueId x, ValueId w, ValueId) -> std::vector<ValueId> {
         const ValueId y = emit(g, "conv2d", {x, w}, Conv2dAttrs{});
         return {emit(g, "relu", {y}), y};
       }},
      {"a residual on either side of an activation",
       [](Graph& g, ValueId x, ValueId w, ValueId) -> std::vector<ValueId> {
         const ValueId y = emit(g, "tanh", {emit(g, "conv2d", {x, w}, Conv2dAttrs{})}),
                       z = emit(g, "conv2d", {emit(g, "abs", {x}), w}, Conv2dAttrs{});
         return {add(g, emit(g, "relu", {z}), y),
                 emit(g, "relu", {add(g, emit(g, "conv2d", {emit(g, "neg", {x}), w}, Conv2dAttrs{}), y)})};
       }},
      {"two readers within a chain",
       [](Graph& g, ValueId x, ValueId, ValueId) -> std::vector<ValueId> {
         const ValueId y = emit(g, "exp", {x});
         return {emit(g, "sin", {y}), emit(g, "reduce_sum", {emit(g, "neg", {emit(g, "abs", {y})})})};
       }},
      {"an output within a chain",
       [](Graph& g, ValueId x, ValueId, ValueId) -> std::vector<ValueId> {
         const ValueId y = emit(g, "exp", {x});
         return {emit(g, "neg", {emit(g, "sin", {y})}), y};
       }},
      {"other attributes",
       [](Graph& g, ValueId x, ValueId, ValueId) -> std::vector<ValueId> {
         return {emit(g, "leaky_relu", {x}, LeakyReluAttrs{0.1}), emit(g, "leaky_relu", {x}, LeakyReluAttrs{0.3})};
       }},
      {"transposes",
       [](Graph& g, ValueId x, ValueId, ValueId) -> std::vector<ValueId> {
         const int64_t p[] = {1, 2, 0, 3}, q[] = {0, 2, 1, 3};
         return {transpose(g, transpose(g, x, p), q), transpose(g, transpose(g, x, q), p), transpose(g, x, q)};
       }},
      {"padding of ones, of channels",
       [](Graph& g, ValueId x, ValueId w, ValueId) -> std::vector<ValueId> {
         const PadAttrs ones{.before = {0, 1, 1, 0}, .after = {0, 1, 1, 0}, .value = 1},
             rows{.before = {0, 2, 1, 0}, .after = {0, 0, 1, 0}},
             channels{.before = {0, 0, 0, 1}, .after = {0, 0, 0, 1}};
         const ValueId narrow =
             emit(g, "slice", {x}, SliceAttrs{.starts = {0, 0, 0, 1}, .ends = {2, 6, 8, 4}, .steps = {}});
         std::vector<ValueId> y;
         for (const ValueId v :
              {emit(g, "pad", {x}, ones), emit(g, "pad", {x}, rows), emit(g, "pad", {narrow}, channels)})
           y.push_back(emit(g, "conv2d", {v, w}, Conv2dAttrs{.pads = {0, 1, 0, 1}}));
         return y;
       }},
      {"what is nearly an activation",
       [](Graph& g, ValueId x, ValueId, ValueId) -> std::vector<ValueId> {
         const ValueId y = emit(g, "neg", {x});
         return {mul(g, x, emit(g, "hard_sigmoid", {x}, HardSigmoidAttrs{1.0 / 6, 0.4})),
                 mul(g, x, emit(g, "hard_sigmoid", {y}, HardSigmoidAttrs{1.0 / 6, 0.5})),
                 mul(g, x, emit(g, "sigmoid", {y}))};
       }},
      {"readers within an inverted residual",
       [](Graph& g, ValueId, ValueId, ValueId wide) -> std::vector<ValueId> {
         const auto ones = [&](const Shape& s) {
           return add_constant(g, TERN_DTYPE_F32, s, std::vector<float>((size_t)s.elements(), 0.25f).data());
         };
         const ValueId y = emit(g, "relu", {emit(g, "conv2d", {wide, ones({64, 1, 1, 3})}, Conv2dAttrs{})});
         const ValueId z = emit(g, "conv2d", {y, ones({64, 3, 3, 1})}, Conv2dAttrs{.pads = {1, 1, 1, 1}, .groups = 64});
         return {emit(g, "conv2d", {z, ones({6, 1, 1, 64})}, Conv2dAttrs{}), emit(g, "reduce_max", {y})};
       }},
  };
  const Ref<Context> context = make_context(1);
  const Backend* cpu = nullptr;
  TERN_OKAY(context->open_backend("cpu", &cpu));
  const std::vector<const Backend*> backends = {cpu};
  for (const auto& [name, build] : kGraphs) {
    SCOPED_TRACE(name);
    ModelDef def;
    add_parameter(def, "w", {5, 3, 3, 5}, random_floats(5 * 9 * 5, 1).data());
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 6, 8, 5}),
                  wide = add_input(g, "wide", TERN_DTYPE_F32, {1, 64, 80, 3});
    g.outputs = build(g, x, use_parameter(g, def, "w"), wide);
    add_signature(def, "forward", g);
    const Ref<Model> model = make_model(*context, std::move(def));
    const Ref<Parameters> parameters = Ref<Parameters>::adopt(new Parameters(*model));
    Ref<State> state;
    TERN_OKAY(State::create(*model, &state));
    const std::vector<float> a = random_floats(2 * 6 * 8 * 5, 2), b = random_floats(64 * 80 * 3, 3);
    std::vector<std::vector<float>> y[2];
    for (int optimized = 0; optimized < 2; ++optimized) {
      Graph copy = g;
      if (optimized) {
        TERN_OKAY(optimize_for_cpu(copy));
      }
      std::vector<void*> outputs;
      for (const ValueId v : copy.outputs) y[optimized].emplace_back((size_t)copy.value(v).shape.elements());
      for (std::vector<float>& v : y[optimized]) outputs.push_back(v.data());
      std::unique_ptr<Executable> e;
      TERN_OKAY(Executable::create(std::move(copy), *model, *parameters, {.backends = backends}, &e));
      const void* inputs[] = {a.data(), b.data()};
      TERN_OKAY(e->run(inputs, outputs, *parameters, *state, {}));
    }
    for (size_t k = 0; k < y[0].size(); ++k) {
      ASSERT_EQ(y[1][k].size(), y[0][k].size());
      EXPECT_LT(relative_error(y[1][k].data(), y[0][k].data(), (int64_t)y[0][k].size()), 1e-5) << "output " << k;
    }
  }
}

// Memory is used again only behind the last reader, within one node too.
TEST(Session, MemoryIsTakenWhenNobodyReadsIt) {
  constexpr int64_t n = 64;
  std::vector<int64_t> backwards;
  std::vector<float> values;
  for (int64_t i = 0; i < n; ++i) backwards.push_back(n - 1 - i), values.push_back((float)(i + 1));
  ModelDef def;
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {n});
  const ValueId view = reshape(g, emit(g, "neg", {x}), {8, 8}), sum = emit(g, "reduce_sum", {emit(g, "softmax", {x})}),
                all = emit(g, "sqrt", {x});
  const ValueId scattered = emit(g, "scatter_elements", {all, add_constant(g, backwards), all});
  g.outputs = {view, sum, emit(g, "neg", {scattered})};
  add_signature(def, "forward", std::move(g));
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, std::move(def));
  const std::unique_ptr<Session> session = open(*model);
  Outputs out;
  TERN_OKAY(run(*session, 0, {make_tensor(*context, TERN_DTYPE_F32, {n}, values.data()).get()}, &out));
  for (int64_t i = 0; i < n; ++i) {
    EXPECT_EQ(out.f32(0)[i], -values[(size_t)i]) << i;
    EXPECT_EQ(out.f32(2)[i], -std::sqrt(values[(size_t)(n - 1 - i)])) << i;
  }
}

// Scales, shifts and normalisations behind a product become its epilogue, whether they are fixed or change from run to
// run.
TEST(Session, StepsPerChannelAreEpilogues) {
  for (const bool changing : {false, true}) {
    SCOPED_TRACE(changing ? "changing" : "fixed");
    ModelDef def;
    uint32_t seed = 1;
    for (const auto& [name, shape] : {std::pair<const char*, Shape>{"w", {12, 3, 3, 5}},
                                      {"point", {12, 1, 1, 5}},
                                      {"depthwise", {12, 3, 3, 1}},
                                      {"bias", {12}},
                                      {"k", {12}},
                                      {"t", {12}},
                                      {"mean", {12}},
                                      {"last", {1}}})
      add_parameter(def, name, shape, random_floats((size_t)shape.elements(), seed++).data());
    Graph g;
    const ValueId in = add_input(g, "x", TERN_DTYPE_F32, {1, 9, 10, 5});
    std::vector<ValueId> used;
    for (const Parameter& p : def.parameters) used.push_back(use_parameter(g, def, p.name));
    const ValueId w = used[0], point = used[1], depthwise = used[2], bias = used[3], k = used[4], t = used[5],
                  mean = used[6], last = used[7];
    ValueId x = emit(g, "conv2d", {in, w, bias}, Conv2dAttrs{.pads = {1, 1, 1, 1}});
    x = emit(g, "hard_swish", {add(g, mul(g, x, k), t)});
    x = add(g, mul(g, x, add_constant(g, 0.75f)), last);
    ValueId y =
        emit(g, "batch_norm", {emit(g, "conv2d", {in, point}, Conv2dAttrs{}), k, t, mean, emit(g, "square", {k})});
    x = emit(g, "relu", {add(g, x, y)});
    // Two activations in a row: only the first is an epilogue.
    x = emit(g, "tanh",
             {emit(g, "relu",
                   {mul(g, emit(g, "conv2d", {x, depthwise}, Conv2dAttrs{.pads = {1, 1, 1, 1}, .groups = 12}), k)})});
    if (changing) emit(g, "sgd_update", {t, k, add_constant(g, 0.5f)});
    g.outputs = {x};
    Graph fused = g;
    TERN_OKAY(optimize_for_cpu(fused));
    size_t products = 0;
    for (const Node& n : fused.nodes) products += n.subgraphs.size() == 1;
    EXPECT_EQ(products, 3u);
    add_signature(def, "forward", std::move(g));
    const Ref<Context> context = make_context(2);
    const Ref<Model> model = make_model(*context, std::move(def));
    const std::vector<float> v = random_floats(9 * 10 * 5, 77);
    const Ref<Tensor> picture = make_tensor(*context, TERN_DTYPE_F32, {1, 9, 10, 5}, v.data());
    const std::unique_ptr<Session> cpu = open(*model), reference = open(*model, "reference");
    std::vector<float> before;
    for (int i = 0; i < 2; ++i) {
      Outputs got, want;
      TERN_OKAY(run(*cpu, 0, {picture.get()}, &got));
      TERN_OKAY(run(*reference, 0, {picture.get()}, &want));
      const int64_t n = want.tensors[0]->shape().elements();
      EXPECT_LT(relative_error(got.f32(0), want.f32(0), n), 1e-5);
      if (i == 0) before.assign(got.f32(0), got.f32(0) + n);
      else EXPECT_EQ(relative_error(got.f32(0), before.data(), n) > 1e-3, changing);
    }
  }
}

// One slope for all channels that is given at each run: nothing that a plan could repeat.
TEST(Session, ASlopeThatIsAnInput) {
  ModelDef def;
  add_parameter(def, "w", {3, 1, 1, 2}, random_floats(6, 1).data());
  Graph g;
  const ValueId in = add_input(g, "x", TERN_DTYPE_F32, {1, 2, 2, 2}), slope = add_input(g, "s", TERN_DTYPE_F32, {1});
  g.outputs = {emit(g, "prelu", {emit(g, "conv2d", {in, use_parameter(g, def, "w")}, Conv2dAttrs{}), slope})};
  add_signature(def, "forward", std::move(g));
  const Ref<Context> context = make_context(1);
  const Ref<Model> model = make_model(*context, std::move(def));
  const std::vector<float> v = random_floats(8, 2);
  const std::unique_ptr<Session> cpu = open(*model), reference = open(*model, "reference");
  for (const float s : {0.25f, -2.0f}) {
    const Ref<Tensor> x = make_tensor(*context, TERN_DTYPE_F32, {1, 2, 2, 2}, v.data()),
                      given = make_tensor(*context, TERN_DTYPE_F32, {1}, &s);
    Outputs got, want;
    TERN_OKAY(run(*cpu, 0, {x.get(), given.get()}, &got));
    TERN_OKAY(run(*reference, 0, {x.get(), given.get()}, &want));
    EXPECT_LT(relative_error(got.f32(0), want.f32(0), 12), 1e-5);
  }
}

// The caller of an output gets a plain tensor, and what a model owns is as large as its plan takes it to be: else no
// plan.
TEST(Session, SizesOfTwoRulesAreRefused) {
  const Ref<Context> context = make_context();
  const std::vector<float> v = random_floats(33 * 8, 5);
  const auto status = [&](Encoding encoding, bool as_output, uint64_t bytes) {
    ModelDef def;
    add_parameter(def, "w", {33, 8}, v.data(), encoding);
    if (bytes) def.parameters[0].bytes = bytes;
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {1, 8}), w = use_parameter(g, def, "w");
    g.outputs = {emit(g, "linear", {x, w})};
    if (as_output) g.outputs.push_back(w);
    add_signature(def, "forward", std::move(g));
    const Ref<Model> model = make_model(*context, std::move(def));
    Outputs out;
    const tern_status s = run(*open(*model), 0, {make_tensor(*context, TERN_DTYPE_F32, {1, 8}).get()}, &out);
    if (s == TERN_OK && as_output) {
      EXPECT_EQ(std::memcmp(out.f32(1), v.data(), 33 * 8 * 4), 0);
    }
    return s;
  };
  EXPECT_EQ(status(Encoding::plain, true, 0), TERN_OK);
  EXPECT_EQ(status(Encoding::panel32, false, 0), TERN_OK);
  EXPECT_EQ(status(Encoding::panel32, true, 0), TERN_ERR_UNSUPPORTED);
  EXPECT_EQ(status(Encoding::panel_int8, true, 0), TERN_ERR_UNSUPPORTED);
  EXPECT_EQ(status(Encoding::plain, false, 33 * 8 * 4 - 4), TERN_ERR_INTERNAL);
  EXPECT_EQ(status(Encoding::panel32, false, 33 * 8 * 4), TERN_ERR_INTERNAL);
}

// What a concatenation reads is written where it belongs in its output.
TEST(Session, PartsOfAConcatenationNeedNoMemory) {
  ModelDef def;
  uint32_t seed = 1;
  for (const auto& [name, shape] : {std::pair<const char*, Shape>{"a", {6, 3, 3, 5}},
                                    {"b", {11, 1, 1, 5}},
                                    {"c", {3, 2, 2, 5}},
                                    {"d", {7, 1, 1, 25}}})
    add_parameter(def, name, shape, random_floats((size_t)shape.elements(), seed++).data());
  Graph g;
  const ValueId in = add_input(g, "x", TERN_DTYPE_F32, {1, 8, 10, 5});
  const auto w = [&](const char* name) { return use_parameter(g, def, name); };
  const ValueId a = emit(g, "relu", {emit(g, "conv2d", {in, w("a")}, Conv2dAttrs{.pads = {1, 1, 1, 1}})});
  const ValueId b = emit(g, "conv2d", {in, w("b")}, Conv2dAttrs{});
  const ValueId c = emit(g, "resize", {emit(g, "conv2d", {in, w("c")}, Conv2dAttrs{.strides = {2, 2}})},
                         ResizeAttrs{.sizes = {1, 8, 10, 3}});
  // the sigmoid's kernel writes no slices
  const ValueId wide = emit(g, "concat", {a, emit(g, "sigmoid", {in}), c, b}, ConcatAttrs{.axis = -1});
  const ValueId d = emit(g, "conv2d", {wide, w("d")}, Conv2dAttrs{});
  // Whole rows follow one another: any kernel writes them. The first one has another reader.
  const ValueId e = emit(g, "tanh", {d}), rows = emit(g, "concat", {e, emit(g, "exp", {d})}, ConcatAttrs{.axis = 1});
  g.outputs = {rows, emit(g, "reduce_sum", {e}, ReduceAttrs{.axes = {1, 2}}), emit(g, "neg", {b})};
  add_signature(def, "forward", std::move(g));
  const Ref<Context> context = make_context(2);
  const Ref<Model> model = make_model(*context, std::move(def));
  const std::vector<float> v = random_floats(8 * 10 * 5, 77);
  const Ref<Tensor> picture = make_tensor(*context, TERN_DTYPE_F32, {1, 8, 10, 5}, v.data());
  const std::unique_ptr<Session> cpu = open(*model);
  Outputs want;
  TERN_OKAY(run(*open(*model, "reference"), 0, {picture.get()}, &want));
  for (const char* backends : {"cpu", "halting"}) {
    Outputs got;
    const std::unique_ptr<Session> session = open(*model, backends);
    for (int i = 0; i < 2; ++i) {
      TERN_OKAY(run(*session, 0, {picture.get()}, &got));
      for (size_t k = 0; k < 3; ++k)
        EXPECT_LT(relative_error(got.f32(k), want.f32(k), want.tensors[k]->shape().elements()), 1e-5)
            << backends << " output " << k;
    }
    // The concatenation (25 channels), the sigmoid, what is resized, b (read twice), d; little of it at once.
    if (std::string(backends) == "cpu") {
      EXPECT_LE(session->memory().plan.arena, 8u * 10 * 4 * (25 + 11 + 5 + 1));
    }
  }
}

}  // namespace
}  // namespace tern::test
