// SPDX-License-Identifier: Apache-2.0
// Bytes have one owner: what is packed or uploaded is shared and made anew only when its source has changed, and what a
// device holds stays there until somebody reads it elsewhere.
#include <set>

#include "ops/reduce.h"
#include "runtime/executable.h"
#include "tests/runtime/support.h"
#include "train/differentiate.h"

namespace tern::test {
namespace {

// y = x w + b twice over; a state that counts.
constexpr int64_t kWide = 24;
ModelDef two_layers() {
  ModelDef def;
  Graph g;
  ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, kWide});
  for (const char* name : {"w0", "w1"}) {
    add_parameter(def, name, {kWide, kWide}, random_floats(kWide * kWide, (uint32_t)def.parameters.size() + 1).data());
    x = emit(g, "linear", {x, use_parameter(g, def, name)});
  }
  def.states.push_back({"sum", TERN_DTYPE_F32, {kWide}});
  const ValueId old = use_state(g, def, "sum");
  emit(g, "state_write", {old, add(g, old, emit(g, "reduce_sum", {x}, ReduceAttrs{.axes = {0}}))});
  g.outputs = {x};
  Signature& s = def.signatures[(size_t)add_signature(def, "forward", std::move(g))];
  s.symbols.push_back({"rows", 1, 1000, 2, 1});
  s.symbolic_dims.push_back({0, 0, 0});
  // The second layer is trained: w1 -= 0.5 w1, after a product with both.
  Graph t;
  ValueId z = add_input(t, "x", TERN_DTYPE_F32, {2, kWide});
  const ValueId w0 = use_parameter(t, def, "w0"), w1 = use_parameter(t, def, "w1");
  z = emit(t, "linear", {emit(t, "linear", {z, w0}), w1});
  emit(t, "sgd_update", {w1, w1, add_constant(t, 0.5f)});
  t.outputs = {z};
  add_signature(def, "train", std::move(t));
  return def;
}

std::unique_ptr<Session> open(const Model& model, const char* backends, Ref<Parameters> parameters = {}) {
  Session::Options options;
  options.backends = backends;
  options.parameters = parameters;
  std::unique_ptr<Session> s;
  EXPECT_EQ(Session::create(model, options, &s), TERN_OK) << thread_error().message;
  return s;
}

class Deferred : public testing::Test {
 protected:
  DeferredCounters run_once(Session& s, int32_t signature, Outputs* out = nullptr) {
    Outputs mine;
    take_deferred_counters();
    EXPECT_EQ(run(s, signature, {x.get()}, out ? out : &mine), TERN_OK) << thread_error().message;
    return take_deferred_counters();
  }
  Ref<Context> context = make_context();
  Ref<Model> model = make_model(*context, two_layers());
  Ref<Tensor> x = make_tensor(*context, TERN_DTYPE_F32, {2, kWide}, random_floats(2 * kWide, 9).data());
};

TEST_F(Deferred, ASecondRunUploadsItsInputsOnly) {
  const std::unique_ptr<Session> s = open(*model, "deferred");
  DeferredCounters c = run_once(*s, 0);
  EXPECT_EQ(c.uploads, 4);  // two weights, the state, x
  c = run_once(*s, 0);
  EXPECT_EQ(c.uploads, 1);
  EXPECT_EQ(c.upload_bytes, (int64_t)x->bytes());
  EXPECT_EQ(c.downloads, 1);
  EXPECT_EQ(c.submits, 2);  // the update of the state is a part of its own
  EXPECT_EQ(c.compiles, 0);
  // Other sizes are another plan, and other sessions have plans of their own: the weights are there.
  const Ref<Tensor> longer = make_tensor(*context, TERN_DTYPE_F32, {5, kWide});
  Outputs out;
  TERN_OKAY(run(*s, 0, {longer.get()}, &out));
  c = take_deferred_counters();
  EXPECT_EQ(c.uploads, 1);
  EXPECT_GT(c.compiles, 0);
  const std::unique_ptr<Session> other = open(*model, "deferred");
  EXPECT_EQ(run_once(*other, 0).uploads, 2);  // its state, and x
}

TEST_F(Deferred, WhatNobodyHoldsIsFreed) {
  { run_once(*open(*model, "deferred"), 0); }
  EXPECT_EQ(run_once(*open(*model, "deferred"), 0).uploads, 4);
}

TEST_F(Deferred, AStateStaysOnItsDevice) {
  const std::unique_ptr<Session> s = open(*model, "deferred");
  run_once(*s, 0);
  Ref<Tensor> sum;
  Ref<State> fork;
  take_deferred_counters();
  TERN_OKAY(s->state().get(0, &sum));
  TERN_OKAY(s->state().get(0, &sum));
  TERN_OKAY(s->state().fork(&fork));
  EXPECT_EQ(take_deferred_counters().downloads, 1);  // the host has it now
  EXPECT_EQ(run_once(*s, 0).uploads, 1);
  Ref<Tensor> twice;
  TERN_OKAY(s->state().get(0, &twice));
  for (int64_t i = 0; i < kWide; ++i) EXPECT_NEAR(((float*)twice->data())[i], 2 * ((float*)sum->data())[i], 1e-4f);
  TERN_OKAY(s->set_state(*fork));
  EXPECT_EQ(run_once(*s, 0).uploads, 2);
  TERN_OKAY(s->state().get(0, &sum));
  EXPECT_EQ(std::memcmp(sum->data(), twice->data(), sum->bytes()), 0);
}

TEST_F(Deferred, StepsOfTrainingDownloadNothing) {
  const std::unique_ptr<Session> s = open(*model, "deferred"), cpu = open(*model, "cpu");
  run_once(*s, 1);
  Outputs out, want;
  for (int i = 0; i < 3; ++i) {
    const DeferredCounters c = run_once(*s, 1, &out);
    EXPECT_EQ(c.uploads, 1);
    EXPECT_EQ(c.downloads, 1);  // the output
  }
  Ref<Tensor> w;
  TERN_OKAY(s->parameters().get(1, &w));
  EXPECT_EQ(take_deferred_counters().downloads, 1);
  const std::vector<float> first = random_floats(kWide * kWide, 2);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(((float*)w->data())[i], first[i] / 16);
  EXPECT_EQ(run_once(*s, 1).uploads, 1);  // reading moved nothing away
  // Another session of the same parameters, on the host.
  const std::unique_ptr<Session> host = open(*model, "cpu", Ref<Parameters>::share(&s->parameters()));
  for (int i = 0; i < 5; ++i) TERN_OKAY(run(*cpu, 1, {x.get()}, &want));
  TERN_OKAY(run(*cpu, 0, {x.get()}, &want));
  TERN_OKAY(run(*host, 0, {x.get()}, &out));
  EXPECT_LT(relative_error(out.f32(0), want.f32(0), 2 * kWide), 1e-5);
}

// A base in the order of kernels, frozen, that the gradient of what lies below it passes through.
TEST(FrozenBase, StepsMakeNoCopyOfIt) {
  constexpr int64_t kRows = 8, kSize = 512;
  constexpr uint64_t kBase = kSize * kSize * 4;
  ModelDef def;
  add_parameter(def, "base", {kSize, kSize}, random_floats(kSize * kSize, 1).data(), Encoding::panel32);
  const std::vector<float> ones(kSize, 1.0f);
  add_parameter(def, "adapter", {kSize}, ones.data());
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {kRows, kSize}), adapter = use_parameter(g, def, "adapter");
  const ValueId y = emit(g, "linear", {mul(g, x, adapter), use_parameter(g, def, "base")});
  const ValueId loss = emit(g, "reduce_mean", {mul(g, y, y)}, ReduceAttrs{});
  std::vector<ValueId> gradient;
  TERN_OKAY(differentiate(g, loss, {&adapter, 1}, &gradient));
  emit(g, "sgd_update", {adapter, gradient[0], add_constant(g, 0.01f)});
  g.outputs = {loss};
  add_signature(def, "train", std::move(g));

  std::vector<float> losses;
  for (const char* backends : {"cpu", "deferred"}) {
    AllocationCounter counter;
    const Ref<Context> context = make_context(1, counter.allocator());
    const Ref<Model> model = make_model(*context, def);
    const Ref<Tensor> in =
        make_tensor(*context, TERN_DTYPE_F32, {kRows, kSize}, random_floats(kRows * kSize, 2).data());
    const std::unique_ptr<Session> s = open(*model, backends);
    const uint64_t before = counter.bytes;
    (void)take_deferred_counters();
    Outputs out;
    for (int step = 0; step < 3; ++step) {
      TERN_OKAY(run(*s, 0, {in.get()}, &out));
      losses.push_back(*out.f32(0));
      const DeferredCounters c = take_deferred_counters();
      EXPECT_LE(c.upload_bytes, step > 0 ? (int64_t)in->bytes() : INT64_MAX) << backends;
    }
    // The device's own memory is not the allocator's.
    EXPECT_LT(counter.most - before, kBase / 4) << backends;
    EXPECT_EQ(s->parameters().overlay_bytes(), kSize * 4u) << backends;
  }
  for (int step = 0; step < 3; ++step) EXPECT_NEAR(losses[(size_t)step], losses[(size_t)step + 3], 1e-4 * losses[0]);
  EXPECT_LT(losses[2], losses[0]);
}

TEST_F(Deferred, EveryDeviceCanBeOpened) {
  const std::unique_ptr<Session> first = open(*model, "deferred:0"), second = open(*model, "deferred:1");
  run_once(*first, 0);
  EXPECT_EQ(run_once(*second, 0).uploads, 4);  // memory of its own
  std::unique_ptr<Session> none;
  Session::Options options;
  for (const char* name : {"deferred:2", "deferred:", "deferred:x", "deferred:-1"}) {
    options.backends = name;
    EXPECT_EQ(Session::create(*model, options, &none), TERN_ERR_NOT_FOUND) << name;
  }
}

// ---- derived copies ----

struct Counting {
  int* made;
};
tern_status make_sum(const void* args, const void* const* sources, void* target) {
  ++*((const Counting*)args)->made;
  *(float*)target = *(const float*)sources[0] + *(const float*)sources[1];
  return TERN_OK;
}

TEST(Derived, IsMadeAnewWhenASourceHasChanged) {
  const Ref<Context> context = make_context();
  const Backend* cpu = nullptr;
  TERN_OKAY(context->open_backend("cpu", &cpu));
  Residency residency;
  const tern_allocator& allocator = context->allocator();
  const float one = 1, two = 2;
  Ref<Resident> a, b, other;
  TERN_OKAY(Resident::create(allocator, 4, &one, &a));
  TERN_OKAY(Resident::create(allocator, 4, &two, &b));
  TERN_OKAY(Resident::create(allocator, 4, &two, &other));
  int made = 0;
  DerivedOrder order{"sum", 4, make_sum, std::make_shared<const Counting>(Counting{&made})};
  std::shared_ptr<Derived> d, again;
  TERN_OKAY(residency.derive(*cpu, order, {a, b}, &d));
  TERN_OKAY(d->refresh(allocator));
  TERN_OKAY(d->refresh(allocator));
  EXPECT_EQ(made, 1);
  EXPECT_EQ(*(const float*)d->buffer().handle, 3);
  TERN_OKAY(residency.derive(*cpu, order, {a, b}, &again));
  EXPECT_EQ(again, d);
  TERN_OKAY(residency.derive(*cpu, order, {a, other}, &again));
  EXPECT_NE(again, d);
  order.words = "another";
  TERN_OKAY(residency.derive(*cpu, order, {a, b}, &again));
  EXPECT_NE(again, d);

  TERN_OKAY(other->reserve());
  *(float*)other->overwrite() = 7;
  TERN_OKAY(d->refresh(allocator));
  EXPECT_EQ(made, 1) << "of another source";
  TERN_OKAY(b->reserve());
  *(float*)b->overwrite() = 5;
  TERN_OKAY(d->refresh(allocator));
  EXPECT_EQ(made, 2);
  EXPECT_EQ(*(const float*)d->buffer().handle, 6);
}

// Frozen weights are packed once for all plans, sessions and steps; what is trained is nobody's copy.
TEST(Derived, IsSharedByPlansAndSessions) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, two_layers());
  const Backend* cpu = nullptr;
  TERN_OKAY(context->open_backend("cpu", &cpu));
  const Backend* const backends[] = {cpu};
  const Ref<Parameters> parameters = Ref<Parameters>::adopt(new Parameters(*model));
  std::set<const Derived*> seen;
  const auto plan = [&](int32_t signature, std::unique_ptr<Executable>* out) {
    Graph g = model->def().signatures[(size_t)signature].graph;
    TERN_OKAY(Executable::create(std::move(g), *model, *parameters, {.backends = backends}, out));
    (*out)->for_each_derived([&](const Derived& d) { seen.insert(&d); });
  };
  std::unique_ptr<Executable> forward, second, train;
  plan(0, &forward);
  EXPECT_EQ(seen.size(), 2u);
  plan(0, &second);
  plan(1, &train);
  EXPECT_EQ(seen.size(), 2u);
  size_t of_train = 0;
  train->for_each_derived([&](const Derived&) { ++of_train; });
  EXPECT_EQ(of_train, 1u);

  // A changed weight throws no plan away.
  const std::unique_ptr<Session> s = open(*model, "cpu", parameters);
  const std::vector<float> numbers = random_floats(2 * kWide, 9), other = random_floats(kWide * kWide, 77);
  const Ref<Tensor> x = make_tensor(*context, TERN_DTYPE_F32, {2, kWide}, numbers.data()),
                    w = make_tensor(*context, TERN_DTYPE_F32, {kWide, kWide}, other.data());
  Outputs out, want;
  TERN_OKAY(run(*s, 0, {x.get()}, &out));
  TERN_OKAY(parameters->set(0, *w));
  const int64_t plans = s->memory().plans;
  TERN_OKAY(run(*s, 0, {x.get()}, &out));
  EXPECT_EQ(s->memory().plans, plans);
  const std::unique_ptr<Session> reference = open(*model, "reference", parameters);
  TERN_OKAY(run(*reference, 0, {x.get()}, &want));
  EXPECT_LT(relative_error(out.f32(0), want.f32(0), 2 * kWide), 1e-5);
}

}  // namespace
}  // namespace tern::test
