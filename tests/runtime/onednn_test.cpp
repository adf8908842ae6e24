// SPDX-License-Identifier: Apache-2.0
// The oneDNN backend: opening the library, sessions whose nodes it shares with the CPU, threads, memory. Every operator
// runs on it in backends_test.
#include <atomic>
#include <thread>

#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/state_write.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

// First, as an opened library stays open.
TEST(OneDnn, ALibraryThatCannotBeUsedIsRefusedWithAReason) {
  const Ref<Context> context = make_context();
  const Backend* backend = nullptr;
  setenv("TERN_ONEDNN_LIBRARY", "/no/such/libdnnl.so.3", 1);
  EXPECT_EQ(context->open_backend("onednn", &backend), TERN_ERR_UNSUPPORTED);
  EXPECT_NE(std::strstr(thread_error().message, "/no/such/libdnnl.so.3"), nullptr) << thread_error().message;
  setenv("TERN_ONEDNN_LIBRARY", "libm.so.6", 1);
  EXPECT_EQ(context->open_backend("onednn", &backend), TERN_ERR_UNSUPPORTED);
  EXPECT_NE(std::strstr(thread_error().message, "libm.so.6 is not oneDNN"), nullptr) << thread_error().message;
  EXPECT_EQ(backend, nullptr);
  int32_t count = 7;
  DeviceInfo info;
  EXPECT_EQ(onednn::backend().probe(&info, 1, &count), TERN_ERR_UNSUPPORTED);
  EXPECT_EQ(count, 7);
  unsetenv("TERN_ONEDNN_LIBRARY");
}

class OneDnnSession : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_onednn()) GTEST_SKIP();
    onednn::take_all(true);
  }
  void TearDown() override { onednn::take_all(false); }
};

std::atomic<int64_t> g_allocations_left{-1};         // < 0: no limit
std::atomic<int64_t> g_blocks{0}, g_allocations{0};  // held; made

Ref<Context> context_with(int32_t threads) {
  static const BackendApi* const tables[] = {&cpu::backend(), &onednn::backend()};
  Context::Options options;
  options.threads.num_threads = threads;
  options.allocator.allocate = [](void*, size_t bytes, size_t alignment) -> void* {
    if (g_allocations_left == 0) return nullptr;
    if (g_allocations_left > 0) --g_allocations_left;
    ++g_blocks, ++g_allocations;
    return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  };
  options.allocator.release = [](void*, void* p, size_t) { --g_blocks, std::free(p); };
  return Ref<Context>::adopt(new Context(options, tables));
}

constexpr int64_t kSize = 33, kPixels = 12 * 12, kClasses = 10, kResults = kPixels * kClasses;

// Convolutions of all kinds with all that may stand behind them, and both matrix products.
ModelDef mixed_net() {
  ModelDef def;
  uint32_t seed = 1;
  Graph g;
  const auto weight = [&](const Shape& shape, Encoding encoding = Encoding::plain) {
    std::vector<float> v = random_floats((size_t)shape.elements(), seed++);
    const float scale = 1.5f / std::sqrt((float)(shape.elements() / shape[0]));
    for (float& x : v) x *= scale;
    const std::string name = "w" + std::to_string(seed);
    add_parameter(def, name, shape, v.data(), encoding);
    return use_parameter(g, def, name);
  };
  const ValueId in = add_input(g, "picture", TERN_DTYPE_F32, {1, kSize, kSize, 3});
  const auto conv = [&](ValueId x, ValueId w, Conv2dAttrs attrs) {
    return emit(g, "conv2d", {x, w, weight({g.value(w).shape[0]})}, attrs);
  };
  ValueId x = emit(g, "relu", {conv(in, weight({24, 3, 3, 3}), {.strides = {2, 2}, .pads = {0, 0, 1, 1}})});
  ValueId y = emit(g, "prelu", {conv(x, weight({24, 3, 3, 1}), {.pads = {1, 1, 1, 1}, .groups = 24}), weight({24})});
  x = emit(g, "clip", {add(g, conv(y, weight({24, 1, 1, 24}, Encoding::panel32), {}), x)},
           ClipAttrs{.min = 0, .max = 6});
  y = emit(g, "hard_swish", {conv(x, weight({40, 3, 3, 24}, Encoding::panel32), {.pads = {1, 1, 1, 1}})});
  y = emit(g, "leaky_relu", {add(g, y, conv(x, weight({40, 1, 1, 24}), {}))}, LeakyReluAttrs{.alpha = 0.1});
  x = emit(g, "sigmoid", {mul(g, conv(y, weight({16, 3, 3, 40}), {.dilations = {2, 2}}), weight({16}))});
  x = reshape(g, x, {kPixels, 16});
  const ValueId weights = emit(g, "softmax", {emit(g, "matmul", {x, x}, MatmulAttrs{.transpose_b = 1})});
  x = emit(g, "matmul", {weights, x}, MatmulAttrs{});
  g.outputs = {emit(g, "gelu", {emit(g, "linear", {x, weight({kClasses, 16}), weight({kClasses})})})};
  add_signature(def, "forward", std::move(g));
  return def;
}

Ref<Tensor> picture(Context& context, uint32_t seed) {
  return make_tensor(context, TERN_DTYPE_F32, {1, kSize, kSize, 3}, random_floats(kSize * kSize * 3, seed).data());
}

tern_status open(const Model& model, const char* backends, std::unique_ptr<Session>* out) {
  Session::Options options;
  options.backends = backends;
  return Session::create(model, options, out);
}

int count_on(const Session& session, const char* backend) {
  int count = 0;
  for (const Session::Placement& p : session.placements(0)) count += std::strcmp(p.backend, backend) == 0;
  return count;
}

TEST_F(OneDnnSession, SharesAModelWithTheCpu) {
  for (const int32_t threads : {1, 2, 3}) {
    SCOPED_TRACE(threads);
    const Ref<Context> context = context_with(threads);
    const Ref<Model> model = make_model(*context, mixed_net());
    std::unique_ptr<Session> plain, session;
    TERN_OKAY(open(*model, "cpu", &plain));
    TERN_OKAY(open(*model, "onednn", &session));
    for (uint32_t seed = 1; seed < 4; ++seed) {  // inputs and outputs at new places
      const Ref<Tensor> in = picture(*context, seed);
      Outputs expected, out;
      TERN_OKAY(run(*plain, 0, {in.get()}, &expected));
      TERN_OKAY(run(*session, 0, {in.get()}, &out));
      EXPECT_LT(relative_error(out.f32(0), expected.f32(0), kResults), 1e-5);
    }
    EXPECT_EQ(count_on(*session, "onednn"), 9) << "six convolutions and three matrix products";
    EXPECT_GT(count_on(*session, "cpu"), 0);
    EXPECT_EQ(count_on(*plain, "onednn"), 0);
    EXPECT_GT(session->memory().plan.prepared, 0u);
    // (What runs elsewhere is fused otherwise, so the sizes are near only.)
    EXPECT_LT(session->memory().plan.arena, 2 * plain->memory().plan.arena);
  }
}

TEST_F(OneDnnSession, IsOffWhereTheSameBitsAreWanted) {
  const Ref<Context> context = context_with(1);
  const Ref<Model> model = make_model(*context, mixed_net());
  Session::Options options;
  options.backends = "onednn";
  options.deterministic = true;
  std::unique_ptr<Session> session;
  TERN_OKAY(Session::create(*model, options, &session));
  Outputs out;
  TERN_OKAY(run(*session, 0, {picture(*context, 1).get()}, &out));
  EXPECT_EQ(count_on(*session, "onednn"), 0);
}

TEST_F(OneDnnSession, TakesByDefaultOnlyWhatItRunsFast) {
  onednn::take_all(false);
  const Ref<Context> context = context_with(1);
  const Ref<Model> model = make_model(*context, mixed_net());
  std::unique_ptr<Session> session;
  TERN_OKAY(open(*model, "onednn", &session));
  Outputs out;
  TERN_OKAY(run(*session, 0, {picture(*context, 1).get()}, &out));
  EXPECT_LT(count_on(*session, "onednn"), 9);
}

// (oneDNN itself makes a list of its arguments on each call.)
TEST_F(OneDnnSession, RunsAllocateNothingAfterTheFirst) {
  for (const int32_t threads : {1, 2}) {
    const Ref<Context> context = context_with(threads);
    const Ref<Model> model = make_model(*context, mixed_net());
    std::unique_ptr<Session> session;
    TERN_OKAY(open(*model, "onednn", &session));
    const Ref<Tensor> in[2] = {picture(*context, 1), picture(*context, 2)};
    for (int i = 0; i < 6; ++i) {
      const Tensor *inputs[] = {in[i % 2].get()}, *outputs[] = {nullptr};
      const int64_t before = g_allocations.load();
      TERN_OKAY(session->run(0, inputs, outputs, {}));
      outputs[0]->release();
      EXPECT_TRUE(i == 0 || g_allocations.load() == before)
          << threads << " threads, run " << i << ": " << g_allocations - before;
    }
  }
}

TEST_F(OneDnnSession, NoMemoryIsAnError) {
  const Ref<Context> context = context_with(2);
  const Ref<Model> model = make_model(*context, mixed_net());
  const Ref<Tensor> in = picture(*context, 1);
  const int64_t blocks = g_blocks.load();
  int failures = 0;
  for (int64_t n = 0;; ++n) {
    g_allocations_left = n;
    std::unique_ptr<Session> session;
    Outputs out;
    tern_status status = open(*model, "onednn", &session);
    if (status == TERN_OK) status = run(*session, 0, {in.get()}, &out);
    const bool enough = g_allocations_left > 0;
    g_allocations_left = -1;
    out.tensors.clear();
    session.reset();
    ASSERT_EQ(g_blocks.load(), blocks) << "allocation " << n;
    if (enough) break;
    if (status == TERN_OK) continue;  // it took the last one
    ASSERT_EQ(status, TERN_ERR_MEMORY) << thread_error().message;
    ++failures;
  }
  EXPECT_GT(failures, 10);
}

TEST_F(OneDnnSession, SessionsRunBesideEachOther) {
  const Ref<Context> context = context_with(2);
  const Ref<Model> model = make_model(*context, mixed_net());
  const Ref<Tensor> in = picture(*context, 1);
  std::vector<float> results[3];
  std::vector<std::thread> threads;
  for (std::vector<float>& result : results)
    threads.emplace_back([&] {
      std::unique_ptr<Session> session;
      ASSERT_EQ(open(*model, "onednn", &session), TERN_OK) << thread_error().message;
      for (int i = 0; i < 20; ++i) {
        Outputs out;
        ASSERT_EQ(run(*session, 0, {in.get()}, &out), TERN_OK) << thread_error().message;
        const std::vector<float> now(out.f32(0), out.f32(0) + kResults);
        if (i == 0) result = now;
        ASSERT_EQ(now, result);
      }
    });
  for (std::thread& t : threads) t.join();
  for (const std::vector<float>& result : results) EXPECT_EQ(result, results[0]);
}

// The context (and with it the opened backend) goes before the next is made.
TEST_F(OneDnnSession, ContextsFollowEachOther) {
  std::vector<float> results[2];
  for (std::vector<float>& result : results) {
    const Ref<Context> context = context_with(2);
    const Ref<Model> model = make_model(*context, mixed_net());
    std::unique_ptr<Session> session;
    TERN_OKAY(open(*model, "onednn", &session));
    Outputs out;
    TERN_OKAY(run(*session, 0, {picture(*context, 1).get()}, &out));
    result.assign(out.f32(0), out.f32(0) + kResults);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(g_blocks.load(), 0);
}

// New parameters make new copies of weights.
TEST_F(OneDnnSession, FollowsChangedParameters) {
  const Ref<Context> context = context_with(1);
  const Ref<Model> model = make_model(*context, mixed_net());
  Session::Options options;
  options.parameters = Ref<Parameters>::adopt(new Parameters(*model));
  options.backends = "onednn";
  std::unique_ptr<Session> session, plain;
  TERN_OKAY(Session::create(*model, options, &session));
  options.backends = "cpu";
  TERN_OKAY(Session::create(*model, options, &plain));
  const Ref<Tensor> in = picture(*context, 1);
  Outputs before, after, expected;
  TERN_OKAY(run(*session, 0, {in.get()}, &before));
  const std::vector<float> w = random_floats(24 * 27, 77);
  TERN_OKAY(options.parameters->set(0, *make_tensor(*context, TERN_DTYPE_F32, {24, 3, 3, 3}, w.data())));
  TERN_OKAY(run(*session, 0, {in.get()}, &after));
  TERN_OKAY(run(*plain, 0, {in.get()}, &expected));
  EXPECT_GT(relative_error(after.f32(0), before.f32(0), kResults), 1e-3);
  EXPECT_LT(relative_error(after.f32(0), expected.f32(0), kResults), 1e-5);
}

}  // namespace
}  // namespace tern::test
