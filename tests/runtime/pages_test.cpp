// SPDX-License-Identifier: Apache-2.0
// States in pages: sharing, memory, files; runs that advance several sequences; a transformer over them.
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "ops/pages.h"
#include "ops/reshape.h"
#include "ops/rope.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

const char* const kBackends[] = {"cpu", "reference", "halting,cpu", "deferred"};

StateDecl paged(std::string name, DType dtype, const Shape& shape, Encoding encoding = Encoding::plain) {
  StateDecl s;
  s.name = std::move(name), s.dtype = dtype, s.shape = shape, s.paged = true, s.encoding = encoding;
  return s;
}

struct Sizes {
  int64_t layers, dim, heads, kv_heads, head_dim, hidden, vocab, capacity;
  DType cache = TERN_DTYPE_F32;
  int64_t window = 0;
  Encoding encoding = Encoding::plain;  // of the cache
};

// tokens [rows], the rows' sequences and positions -> logits [rows, vocab].
ModelDef transformer(const Sizes& z) {
  ModelDef def;
  uint32_t seed = 1;
  const auto weight = [&](const std::string& name, int64_t rows, int64_t cols, float scale = 1) {
    std::vector<float> v = random_floats((size_t)(rows * cols), seed++);
    for (float& x : v) x *= scale * 1.7f / std::sqrt((float)cols);
    add_parameter(def, name, {rows, cols}, v.data());
  };
  const std::vector<float> ones((size_t)z.dim, 1.0f);
  weight("embedding", z.vocab, z.dim, std::sqrt((float)z.dim));
  weight("head", z.vocab, z.dim, 4);
  add_parameter(def, "norm", {z.dim}, ones.data());
  for (int64_t i = 0; i < z.layers; ++i) {
    const std::string layer = std::to_string(i) + ".";
    weight(layer + "q", z.heads * z.head_dim, z.dim, 2);
    weight(layer + "k", z.kv_heads * z.head_dim, z.dim, 2);
    weight(layer + "v", z.kv_heads * z.head_dim, z.dim);
    weight(layer + "o", z.dim, z.heads * z.head_dim, 0.5f);
    weight(layer + "up", z.hidden, z.dim);
    weight(layer + "down", z.dim, z.hidden, 0.5f);
    for (const char* part : {"keys", "values"})
      def.states.push_back(paged(layer + part, z.cache, {z.capacity, z.kv_heads, z.head_dim}, z.encoding));
  }
  Graph g;
  const int64_t rows = 4;  // the hint
  const ValueId ids = add_input(g, "tokens", TERN_DTYPE_I32, {rows});
  const ValueId sequence = add_input(g, "sequence", TERN_DTYPE_I32, {rows});
  const ValueId position = add_input(g, "position", TERN_DTYPE_I64, {rows});
  const auto linear = [&](const std::string& name, ValueId x) {
    return emit(g, "linear", {x, use_parameter(g, def, name)});
  };
  const auto norm = [&](ValueId x) { return emit(g, "rms_norm", {x, use_parameter(g, def, "norm")}); };
  const auto heads = [&](ValueId x, int64_t n) {
    return emit(g, "reshape", {x}, ReshapeAttrs{.shape = {0, n, z.head_dim}});
  };
  ValueId x = emit(g, "gather_rows", {use_parameter(g, def, "embedding"), ids});
  for (int64_t i = 0; i < z.layers; ++i) {
    const std::string layer = std::to_string(i) + ".";
    const ValueId h = norm(x);
    const ValueId q = emit(g, "rope", {heads(linear(layer + "q", h), z.heads), position});
    const ValueId k = emit(g, "rope", {heads(linear(layer + "k", h), z.kv_heads), position});
    const ValueId v = heads(linear(layer + "v", h), z.kv_heads);
    const auto cache = [&](const char* part, ValueId rows_of) {
      return emit(g, "page_write", {use_state(g, def, layer + part), rows_of, sequence, position});
    };
    const ValueId a = emit(g, "paged_attention", {q, cache("keys", k), cache("values", v), sequence, position},
                           PagedAttentionAttrs{.window = z.window});
    x = add(g, x, linear(layer + "o", emit(g, "reshape", {a}, ReshapeAttrs{.shape = {0, z.heads * z.head_dim}})));
    x = add(g, x, linear(layer + "down", emit(g, "silu", {linear(layer + "up", norm(x))})));
  }
  g.outputs = {linear("head", norm(x))};
  Signature& s = def.signatures[(size_t)add_signature(def, "forward", std::move(g))];
  s.symbols = {{"rows", 1, 4096, rows}};
  s.symbolic_dims = {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}};
  s.sequence_input = 1;
  s.position_input = 2;
  s.capacity = z.capacity;
  return def;
}

constexpr Sizes kSmall = {2, 24, 4, 2, 10, 40, 31, 300};

// What keys and values are stored as.
struct Cache {
  DType dtype;
  Encoding encoding = Encoding::plain;
};
constexpr Cache kCaches[] = {
    {TERN_DTYPE_F32}, {TERN_DTYPE_F16}, {TERN_DTYPE_F32, Encoding::row_int8}, {TERN_DTYPE_F32, Encoding::panel_int8}};
Sizes with(Sizes z, const Cache& cache) {
  z.cache = cache.dtype, z.encoding = cache.encoding;
  return z;
}

std::vector<int32_t> random_tokens(size_t n, uint32_t seed, int64_t vocab) {
  std::vector<int32_t> ids;
  for (const float f : random_floats(n, seed)) ids.push_back((int32_t)((f + 1) * 0.5f * (float)vocab) % (int32_t)vocab);
  return ids;
}

// A session over a transformer, fed with tokens.
struct Reader {
  Sizes z;
  Ref<Context> context;
  Ref<Model> model;
  std::unique_ptr<Session> session;

  explicit Reader(const Sizes& sizes, const char* backends = "cpu", int32_t threads = 1)
      : z(sizes), context(make_context(threads)), model(make_model(*context, transformer(sizes))) {
    Session::Options options;
    options.backends = backends;
    EXPECT_EQ(Session::create(*model, options, &session), TERN_OK) << thread_error().message;
  }
  Ref<State> new_state() const {
    Ref<State> s;
    EXPECT_EQ(State::create(*model, &s), TERN_OK);
    return s;
  }
  // Logits of all rows, sequence after sequence.
  std::vector<float> read(std::vector<State*> states, const std::vector<std::vector<int32_t>>& tokens) const {
    std::vector<int32_t> all;
    std::vector<int64_t> counts;
    for (const auto& t : tokens) {
      all.insert(all.end(), t.begin(), t.end());
      counts.push_back((int64_t)t.size());
    }
    const Ref<tern::Tensor> in = make_tensor(*context, TERN_DTYPE_I32, {(int64_t)all.size()}, all.data());
    const tern::Tensor *inputs[] = {in.get(), nullptr, nullptr}, *out = nullptr;
    EXPECT_EQ(session->run_sequences(0, states, counts, inputs, {&out, 1}, {}), TERN_OK) << thread_error().message;
    if (!out) return {};
    const Ref<const tern::Tensor> result = Ref<const tern::Tensor>::adopt(out);
    EXPECT_EQ(result->shape(), (Shape{(int64_t)all.size(), z.vocab}));
    const auto* data = (const float*)result->data();
    return {data, data + result->shape().elements()};
  }
  std::vector<float> last(State& state, std::vector<int32_t> tokens) const {
    std::vector<float> y = read({&state}, {tokens});
    return y.size() < (size_t)z.vocab ? y : std::vector<float>(y.end() - z.vocab, y.end());
  }
  // Always the most likely token; the first one follows the prompt.
  std::vector<int32_t> generate(State& state, std::vector<int32_t> prompt, int count) const {
    std::vector<int32_t> ids;
    for (int i = 0; i < count; ++i) {
      const std::vector<float> logits = last(state, prompt);
      ids.push_back((int32_t)(std::max_element(logits.begin(), logits.end()) - logits.begin()));
      prompt = {ids.back()};
    }
    return ids;
  }
};

class Pages : public testing::TestWithParam<const char*> {};

// In one piece, token by token, in odd chunks: the same bits, in every type of cache.
TEST_P(Pages, ChunksGiveTheSameBits) {
  for (const Cache& cache : kCaches) {
    const Sizes z = with(kSmall, cache);
    const Reader r(z, GetParam());
    const std::vector<int32_t> tokens = random_tokens(140, 3, z.vocab);
    Ref<State> whole = r.new_state(), single = r.new_state(), odd = r.new_state();
    const std::vector<float> expected = r.read({whole.get()}, {tokens});
    ASSERT_EQ(expected.size(), tokens.size() * (size_t)z.vocab);
    std::vector<float> got;
    for (const int32_t t : tokens) {
      const std::vector<float> y = r.read({single.get()}, {{t}});
      got.insert(got.end(), y.begin(), y.end());
    }
    EXPECT_EQ(got, expected);
    got.clear();
    for (size_t at = 0, n = 1; at < tokens.size(); at += n, n = std::min(tokens.size() - at, 2 * n + 1)) {
      const std::vector<float> y =
          r.read({odd.get()}, {{tokens.begin() + (ptrdiff_t)at, tokens.begin() + (ptrdiff_t)(at + n)}});
      got.insert(got.end(), y.begin(), y.end());
    }
    EXPECT_EQ(got, expected);
    EXPECT_EQ(odd->length(), 140);
  }
}

void check_fork_truncate_and_restore(const Sizes& sizes, const char* backends) {
  const Reader r(sizes, backends);
  Ref<State> state = r.new_state(), fork;
  (void)r.last(*state, random_tokens(100, 4, kSmall.vocab));
  TERN_OKAY(state->fork(&fork));
  const std::string path = testing::TempDir() + "tern_pages_" + std::to_string(getpid());
  TERN_OKAY(state->save(path.c_str()));
  const std::vector<int32_t> ids = r.generate(*state, {7}, 60);
  EXPECT_GT(std::count_if(ids.begin(), ids.end(), [&](int32_t id) { return id != ids[0]; }), 0);
  TERN_OKAY(state->truncate(100));
  EXPECT_EQ(r.generate(*state, {7}, 60), ids) << "after truncate";
  EXPECT_EQ(r.generate(*fork, {7}, 60), ids) << "of the fork";
  Ref<State> loaded = r.new_state();
  TERN_OKAY(loaded->load(path.c_str()));
  EXPECT_EQ(loaded->length(), 100);
  EXPECT_EQ(r.generate(*loaded, {7}, 60), ids) << "after save and load";
  // Each state as a plain tensor, and back.
  TERN_OKAY(loaded->truncate(100));
  Ref<State> copy = r.new_state();
  (void)r.last(*copy, random_tokens(100, 5, kSmall.vocab));
  for (int32_t i = 0; i < 4; ++i) {
    Ref<tern::Tensor> t, u;
    TERN_OKAY(loaded->get(i, &t));
    ASSERT_EQ(t->shape(), (Shape{100, kSmall.kv_heads, kSmall.head_dim}));
    TERN_OKAY(copy->set(i, *t));
    TERN_OKAY(copy->get(i, &u));
    if (is_plain(sizes.encoding)) {
      EXPECT_EQ(std::memcmp(t->data(), u->data(), t->bytes()), 0);
    }
    for (int64_t k = 0; k < t->shape().elements() && !is_plain(sizes.encoding); ++k) {  // the codes stay
      const float x = ((const float*)t->data())[k];
      ASSERT_NEAR(x, ((const float*)u->data())[k], 1e-6 * std::fabs(x));
    }
    EXPECT_EQ(state->set(i, *t), TERN_ERR_SHAPE) << "it has another length";
  }
  EXPECT_EQ(r.generate(*copy, {7}, 60), ids) << "of what was set";
  std::filesystem::remove(path);
}

TEST_P(Pages, ForkTruncateAndRestoreGiveTheSameTokens) {
  check_fork_truncate_and_restore(kSmall, GetParam());
  check_fork_truncate_and_restore(with(kSmall, {TERN_DTYPE_F32, Encoding::row_int8}), GetParam());
}

// Keys and values of 8 bits with a scale for each position and head: what they change, and what they take.
TEST_P(Pages, EightBitsAreNearThirtyTwo) {
  Sizes z = kSmall;
  z.head_dim = 64;
  const std::vector<int32_t> tokens = random_tokens(100, 6, z.vocab);
  const Reader whole(z, GetParam()), eight(with(z, {TERN_DTYPE_F32, Encoding::row_int8}), GetParam());
  Ref<State> a = whole.new_state(), b = eight.new_state();
  const std::vector<float> x = whole.read({a.get()}, {tokens}), y = eight.read({b.get()}, {tokens});
  ASSERT_EQ(x.size(), y.size());
  double difference = 0, size = 0;
  for (size_t i = 0; i < x.size(); ++i) difference += (x[i] - y[i]) * (x[i] - y[i]), size += x[i] * x[i];
  EXPECT_GT(difference, 0);
  EXPECT_LT(std::sqrt(difference / size), 0.02);
  EXPECT_EQ(a->bytes(), 2u * 4 * 64 * 2 * 64 * 4);  // pages, states, positions, heads, dim
  EXPECT_EQ(b->bytes(), 2u * 4 * 64 * 2 * (64 + 4));
  // What the kernels and the encoding itself write is the same.
  Ref<tern::Tensor> written, again;
  TERN_OKAY(b->get(0, &written));
  Ref<State> copy = eight.new_state();
  (void)eight.read({copy.get()}, {tokens});
  TERN_OKAY(copy->set(0, *written));
  TERN_OKAY(copy->get(0, &again));
  for (int64_t k = 0; k < written->shape().elements(); ++k) {
    const float v = ((const float*)written->data())[k];
    ASSERT_NEAR(v, ((const float*)again->data())[k], 1e-6 * std::fabs(v));
  }
}

// Sequences join and leave at any run; each gives the bits that it gives alone.
TEST_P(Pages, SequencesTogetherEqualEachAlone) {
  const Reader r(kSmall, GetParam());
  const std::vector<size_t> lengths = {1, 130, 60, 7};
  std::vector<Ref<State>> alone, together;
  std::vector<std::vector<int32_t>> tokens;
  for (size_t s = 0; s < lengths.size(); ++s) {
    alone.push_back(r.new_state()), together.push_back(r.new_state());
    tokens.push_back(random_tokens(lengths[s] + 50, (uint32_t)s + 20, kSmall.vocab));
  }
  std::vector<size_t> at(lengths.size(), 0);
  for (int round = 0; round < 12; ++round) {
    std::vector<State*> states;
    std::vector<std::vector<int32_t>> given;
    std::vector<float> expected;
    for (size_t s = 0; s < lengths.size(); ++s) {
      if ((round + (int)s) % 3 == 0) continue;  // it rests
      const size_t n = at[s] == 0 ? lengths[s] : (size_t)round % 4 + 1;
      given.push_back({tokens[s].begin() + (ptrdiff_t)at[s], tokens[s].begin() + (ptrdiff_t)(at[s] + n)});
      at[s] += n;
      states.push_back(together[s].get());
      const std::vector<float> y = r.read({alone[s].get()}, {given.back()});
      expected.insert(expected.end(), y.begin(), y.end());
    }
    ASSERT_EQ(r.read(states, given), expected) << "round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Pages, testing::ValuesIn(kBackends), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !isalnum(c); }, '_');
  return name;
});

TEST(PagesProof, ThreeSequencesInOneRunEqualEachAlone) {
  Sizes z = {3, 64, 8, 2, 32, 96, 101, 1024, TERN_DTYPE_F16};
  for (const int32_t threads : {1, 3}) {
    const Reader r(z, "cpu", threads);
    const std::vector<std::vector<int32_t>> tokens = {random_tokens(1, 1, z.vocab), random_tokens(100, 2, z.vocab),
                                                      random_tokens(1000, 3, z.vocab)};
    std::vector<Ref<State>> states = {r.new_state(), r.new_state(), r.new_state()};
    const std::vector<float> all = r.read({states[0].get(), states[1].get(), states[2].get()}, tokens);
    std::vector<float> expected;
    for (const auto& t : tokens) {
      const std::vector<float> y = r.read({r.new_state().get()}, {t});
      expected.insert(expected.end(), y.begin(), y.end());
    }
    EXPECT_EQ(all, expected);
    // And their next tokens.
    const std::vector<float> next = r.read({states[2].get(), states[0].get(), states[1].get()}, {{5}, {6}, {7}});
    std::vector<float> next_alone;
    for (const size_t s : {2, 0, 1}) {
      Ref<State> again = r.new_state();
      (void)r.read({again.get()}, {tokens[s]});
      const std::vector<float> y = r.read({again.get()}, {{s == 2 ? 5 : s == 0 ? 6 : 7}});
      next_alone.insert(next_alone.end(), y.begin(), y.end());
    }
    EXPECT_EQ(next, next_alone);
  }
}

TEST(PagesProof, ThirtyLayersDecodeTheSameTokensEverywhere) {
  for (const Cache& cache : {kCaches[0], kCaches[2]}) {
    const Sizes z = with({30, 16, 4, 2, 8, 24, 67, 128}, cache);
    std::vector<int32_t> expected;
    for (const char* backends : kBackends) {
      const Reader r(z, backends);
      Ref<State> state = r.new_state();
      const std::vector<int32_t> ids = r.generate(*state, random_tokens(20, 9, z.vocab), 40);
      if (expected.empty()) expected = ids;
      EXPECT_EQ(ids, expected) << backends;
    }
    EXPECT_GT(std::count_if(expected.begin(), expected.end(), [&](int32_t id) { return id != expected[0]; }), 5);
  }
}

// Prompts of any length share a few plans.
TEST(PagesProof, PlansAreFew) {
  const Reader r(kSmall);
  for (int64_t n = 1; n <= 128; n += 3) (void)r.last(*r.new_state(), random_tokens((size_t)n, 1, kSmall.vocab));
  EXPECT_EQ(r.session->memory().plans, 7);  // 1, 4, 8, 16, 32, 64, 128
}

// On a device that need not wait: what a token costs beside its work.
TEST(PagesProof, ATokenIsOneSubmitAndOneWait) {
  const Reader r(kSmall, "deferred");
  Ref<State> state = r.new_state();
  (void)r.last(*state, random_tokens(70, 2, kSmall.vocab));
  (void)r.last(*state, {1});
  for (int i = 0; i < 5; ++i) {
    (void)take_deferred_counters();
    (void)r.last(*state, {i});
    const DeferredCounters c = take_deferred_counters();
    EXPECT_EQ(c.submits, 1);
    EXPECT_EQ(c.waits, 1);
    EXPECT_EQ(c.compiles, 0);
    EXPECT_LT(c.upload_bytes, 200);  // token, sequence, position, the table of two pages
    EXPECT_EQ(c.download_bytes, kSmall.vocab * 4);
  }
}

// ---- sharing ----

// The keys and values of a model of 2 billion weights: 30 layers, 5 heads of 128 numbers in f16.
TEST(PagesProof, AForkCostsReferences) {
  AllocationCounter counter;
  const Ref<Context> context = make_context(1, counter.allocator());
  ModelDef def;
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F16, {4, 5, 128});
  const ValueId sequence = add_input(g, "sequence", TERN_DTYPE_I32, {4});
  const ValueId position = add_input(g, "position", TERN_DTYPE_I64, {4});
  for (int i = 0; i < 60; ++i) {
    def.states.push_back(paged(std::to_string(i), TERN_DTYPE_F16, {4096, 5, 128}));
    emit(g, "page_write", {use_state(g, def, std::to_string(i)), x, sequence, position});
  }
  Signature& s = def.signatures[(size_t)add_signature(def, "write", std::move(g))];
  s.symbols = {{"rows", 1, 4096, 4}};
  s.symbolic_dims = {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}};
  s.sequence_input = 1, s.position_input = 2, s.capacity = 4096;
  const Ref<Model> model = make_model(*context, std::move(def));
  constexpr uint64_t kPage = 60 * 64 * 5 * 128 * 2;  // bytes
  std::unique_ptr<Session> session;
  TERN_OKAY(Session::create(*model, {}, &session));
  Ref<State> state, fork;
  TERN_OKAY(State::create(*model, &state));
  EXPECT_EQ(state->bytes(), 0u);
  const auto write = [&](State& to, int64_t n) {
    const Ref<tern::Tensor> in = make_tensor(*context, TERN_DTYPE_F16, {n, 5, 128});
    const tern::Tensor* inputs[] = {in.get(), nullptr, nullptr};
    State* const one = &to;
    return session->run_sequences(0, {&one, 1}, {&n, 1}, inputs, {}, {});
  };
  TERN_OKAY(write(*state, 4090));
  EXPECT_EQ(state->bytes(), 64 * kPage);
  TERN_OKAY(write(*state, 1));  // the plan for one row
  TERN_OKAY(state->truncate(4090));

  const uint64_t before = counter.bytes;
  counter.most = before;
  const auto begin = std::chrono::steady_clock::now();
  TERN_OKAY(state->fork(&fork));
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  std::printf("fork at 4,090 positions: %.4f ms, %llu bytes\n", ms, (unsigned long long)(counter.most - before));
  EXPECT_LT(counter.most - before, 1u << 20);
  for (size_t p = 0; p < 64; ++p) EXPECT_EQ(fork->pages()[p].get(), state->pages()[p].get());

  // Its next token copies the last page, and only that.
  const uint64_t shared = counter.bytes;
  TERN_OKAY(write(*fork, 1));
  EXPECT_GE(counter.bytes - shared, kPage);
  EXPECT_LT(counter.bytes - shared, kPage + (1u << 20));
  for (size_t p = 0; p < 64; ++p) EXPECT_EQ(fork->pages()[p].get() == state->pages()[p].get(), p < 63);
  const uint64_t copied = counter.bytes;
  TERN_OKAY(write(*fork, 1));
  TERN_OKAY(write(*state, 1));  // nobody else has its last page any more
  EXPECT_LT(counter.bytes - copied, 1u << 20);

  // Memory follows the positions in use.
  TERN_OKAY(fork->truncate(65));
  EXPECT_EQ(fork->bytes(), 2 * kPage);
  state = {};
  EXPECT_LT(counter.bytes, before - 62 * kPage + (2u << 20));
  TERN_OKAY(fork->truncate(0));
  EXPECT_EQ(fork->bytes(), 0u);
  EXPECT_EQ(write(*fork, 4097), TERN_ERR_SHAPE);  // beyond the symbol
  TERN_OKAY(write(*fork, 4096));
  EXPECT_EQ(write(*fork, 1), TERN_ERR_LIMIT);
  EXPECT_EQ(fork->length(), 4096);
}

// ---- errors ----

TEST(PagesErrors, OfRuns) {
  const Reader r(kSmall), other(kSmall);
  Ref<State> a = r.new_state(), b = r.new_state(), foreign = other.new_state();
  const Ref<tern::Tensor> in = make_tensor(*r.context, TERN_DTYPE_I32, {5});
  const auto go = [&](std::vector<State*> states, std::vector<int64_t> counts) {
    const tern::Tensor *inputs[] = {in.get(), nullptr, nullptr}, *out = nullptr;
    const tern_status status = r.session->run_sequences(0, states, counts, inputs, {&out, 1}, {});
    if (out) out->release();
    return status;
  };
  EXPECT_EQ(go({a.get(), b.get()}, {2, 3}), TERN_OK);
  EXPECT_EQ(go({a.get(), b.get()}, {5, 0}), TERN_OK);
  EXPECT_EQ(a->length(), 7);
  EXPECT_EQ(b->length(), 3);
  EXPECT_EQ(go({}, {}), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(go({a.get()}, {2, 3}), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(go({a.get(), a.get()}, {2, 3}), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(go({a.get(), foreign.get()}, {2, 3}), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(go({a.get(), b.get()}, {2, 2}), TERN_ERR_SHAPE);
  EXPECT_EQ(go({a.get(), b.get()}, {6, -1}), TERN_ERR_SHAPE);
  EXPECT_EQ(go({a.get(), b.get()}, {INT64_MAX, 5}), TERN_ERR_SHAPE);
  EXPECT_EQ(a->length(), 7);
  // What a cancelled run wrote is beyond what is valid.
  const Ref<tern::Tensor> one = make_tensor(*r.context, TERN_DTYPE_I32, {1});
  const std::vector<float> expected = [&] {
    Ref<State> fork;
    EXPECT_EQ(b->fork(&fork), TERN_OK);
    return r.last(*fork, {9});
  }();
  std::atomic<int32_t> cancel = 1;
  const tern::Tensor *inputs[] = {one.get(), nullptr, nullptr}, *out = nullptr;
  State* const states[] = {b.get()};
  const int64_t count = 1;
  EXPECT_EQ(r.session->run_sequences(0, states, {&count, 1}, inputs, {&out, 1}, {&cancel}), TERN_ERR_CANCELLED);
  EXPECT_EQ(b->length(), 3);
  EXPECT_EQ(r.last(*b, {9}), expected);
}

// A session's own state is one sequence; bound inputs and outputs hold as many rows as they have.
TEST(PagesErrors, OwnStateAndBoundTensors) {
  const Reader r(kSmall);
  const std::vector<int32_t> tokens = random_tokens(5, 8, kSmall.vocab);
  Ref<State> state = r.new_state();
  const std::vector<float> expected = r.read({state.get()}, {tokens});
  const Ref<tern::Tensor> in = make_tensor(*r.context, TERN_DTYPE_I32, {5}, tokens.data());
  Outputs out;
  TERN_OKAY(run(*r.session, 0, {in.get(), nullptr, nullptr}, &out));
  EXPECT_EQ(std::memcmp(out.f32(0), expected.data(), expected.size() * 4), 0);
  EXPECT_EQ(r.session->state().length(), 5);
  TERN_OKAY(r.session->state().truncate(0));
  const Ref<tern::Tensor> y = make_tensor(*r.context, TERN_DTYPE_F32, {5, kSmall.vocab});
  TERN_OKAY(r.session->bind_input(0, 0, in.get()));
  TERN_OKAY(r.session->bind_output(0, 0, y.get()));
  TERN_OKAY(r.session->run_bound(0, {}));
  EXPECT_EQ(std::memcmp(y->data(), expected.data(), expected.size() * 4), 0);
  TERN_OKAY(r.session->state().truncate(0));
  std::memset(y->data(), 0, y->bytes());
  TERN_OKAY(r.session->run_bound(0, {}));
  EXPECT_EQ(std::memcmp(y->data(), expected.data(), expected.size() * 4), 0);
  const Ref<tern::Tensor> wrong = make_tensor(*r.context, TERN_DTYPE_F32, {8, kSmall.vocab});
  TERN_OKAY(r.session->bind_output(0, 0, wrong.get()));
  EXPECT_EQ(r.session->run_bound(0, {}), TERN_ERR_SHAPE);
}

// A model that writes to positions of the past cannot change what others share.
TEST(PagesErrors, SharedPagesAreNotWritten) {
  for (const char* backends : kBackends) {
    const Ref<Context> context = make_context();
    ModelDef def;
    def.states = {paged("s", TERN_DTYPE_F32, {200, 1, 2})};
    for (const bool past : {false, true}) {
      Graph g;
      const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {4, 1, 2});
      const ValueId sequence = add_input(g, "sequence", TERN_DTYPE_I32, {4});
      ValueId position = add_input(g, "position", TERN_DTYPE_I64, {4});
      const int64_t zero = 0;
      if (past) position = mul(g, position, add_constant(g, TERN_DTYPE_I64, Shape{}, &zero));
      emit(g, "page_write", {use_state(g, def, "s"), x, sequence, position});
      Signature& s = def.signatures[(size_t)add_signature(def, past ? "past" : "write", std::move(g))];
      s.symbols = {{"rows", 1, 4096, 4}};
      s.symbolic_dims = {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}};
      s.sequence_input = 1, s.position_input = 2, s.capacity = 200;
    }
    const Ref<Model> model = make_model(*context, std::move(def));
    std::unique_ptr<Session> session;
    Session::Options options;
    options.backends = backends;
    TERN_OKAY(Session::create(*model, options, &session));
    const std::vector<float> numbers = random_floats(160, 3);
    const Ref<tern::Tensor> in = make_tensor(*context, TERN_DTYPE_F32, {80, 1, 2}, numbers.data());
    const Ref<tern::Tensor> one = make_tensor(*context, TERN_DTYPE_F32, {1, 1, 2}, numbers.data() + 7);
    Outputs none;
    TERN_OKAY(run(*session, 0, {in.get(), nullptr, nullptr}, &none));
    Ref<State> fork;
    TERN_OKAY(session->state().fork(&fork));
    EXPECT_EQ(run(*session, 1, {one.get(), nullptr, nullptr}, &none), TERN_ERR_INDEX) << backends;
    Ref<tern::Tensor> got;
    TERN_OKAY(fork->get(0, &got));
    EXPECT_EQ(std::memcmp(got->data(), numbers.data(), 640), 0);
  }
}

TEST(PagesErrors, OfModels) {
  const Ref<Context> context = make_context();
  Ref<State> state;
  ModelDef def;
  def.states = {paged("flat", TERN_DTYPE_F32, {8, 2})};
  EXPECT_EQ(State::create(*make_model(*context, def), &state), TERN_ERR_SHAPE);
  def.states = {paged("a", TERN_DTYPE_F32, {8, 2, 2}), paged("b", TERN_DTYPE_F32, {9, 2, 2})};
  EXPECT_EQ(State::create(*make_model(*context, def), &state), TERN_ERR_SHAPE);
  def.states = {paged("a", TERN_DTYPE_F32, {8, INT64_MAX / 64, 2})};
  EXPECT_NE(State::create(*make_model(*context, def), &state), TERN_OK);
}

// Every bit of a file that is wrong is found, or it is the file of the same state.
TEST(PagesErrors, OfFiles) {
  const Reader r({1, 8, 2, 1, 4, 8, 11, 300});
  Ref<State> state = r.new_state();
  (void)r.last(*state, random_tokens(70, 1, 11));
  const std::string path = testing::TempDir() + "tern_pages_file_" + std::to_string(getpid());
  TERN_OKAY(state->save(path.c_str()));
  const std::vector<char> good = read_file(path);
  const auto load = [&](const std::vector<char>& bytes) {
    std::FILE* f = std::fopen(path.c_str(), "wb");
    std::fwrite(bytes.data(), 1, bytes.size(), f);
    std::fclose(f);
    return state->load(path.c_str());
  };
  EXPECT_EQ(load(good), TERN_OK);
  for (size_t n = 0; n < good.size(); n += n < 200 ? 1 : 61)
    EXPECT_NE(load({good.begin(), good.begin() + (ptrdiff_t)n}), TERN_OK) << n;
  for (size_t i = 0; i < 80; ++i) {
    std::vector<char> bad = good;
    bad[i] ^= 4;
    EXPECT_NE(load(bad), TERN_OK) << i;
  }
  EXPECT_EQ(state->length(), 70);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace tern::test
