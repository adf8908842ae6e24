// SPDX-License-Identifier: Apache-2.0
// Small proofs, through sessions and plans on several backends, of what the runtime is for: states and run-time
// scalars, encodings read in place. (Training is in training_test.cpp, streams of tiny steps in
// tests/bench/tiny_steps.cpp.)
#include <unistd.h>

#include <filesystem>

#include "format/reader.h"
#include "format/writer.h"
#include "ops/attention.h"
#include "ops/reshape.h"
#include "ops/state_write.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

const char* const kBackends[] = {"cpu", "reference", "halting,cpu", "deferred"};

class Proof : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Session> open(const Model& model, Ref<Parameters> parameters = {}, Ref<State> state = {}) {
    Session::Options options;
    options.backends = GetParam();
    options.parameters = parameters;
    options.state = state;
    std::unique_ptr<Session> s;
    EXPECT_EQ(Session::create(model, options, &s), TERN_OK) << thread_error().message;
    return s;
  }
};

// ---- a transformer with a cache of keys and values ----

constexpr int64_t kLayers = 2, kDim = 32, kHeads = 2, kHeadDim = 16, kVocab = 61, kPositions = 200;

ValueId heads(Graph& g, ValueId x, int64_t tokens) {
  const int64_t order[] = {0, 2, 1, 3};
  return transpose(g, reshape(g, x, {1, tokens, kHeads, kHeadDim}), order);
}

// Decoding appends to the states: one token at `position`. Otherwise all tokens at once.
Graph transformer_graph(const ModelDef& def, bool decode) {
  Graph g;
  const int64_t tokens = decode ? 1 : kPositions;
  const auto w = [&](const std::string& name) { return use_parameter(g, def, name); };
  const ValueId ids = add_input(g, "tokens", TERN_DTYPE_I32, {tokens});
  ValueId position = kNoValue, length = kNoValue;
  if (decode) {
    const int64_t one = 1;
    position = add_scalar(g, "position");
    length = add(g, position, add_constant(g, TERN_DTYPE_I64, Shape{}, &one));
  }
  const ValueId places =
      decode ? emit(g, "gather_rows", {w("position_embedding"), reshape(g, position, {1})}) : w("position_embedding");
  ValueId x = add(g, emit(g, "gather_rows", {w("token_embedding"), ids}), places);
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = std::to_string(i) + ".";
    const auto linear = [&](const char* name, ValueId in) {
      return emit(g, "linear", {in, w(layer + name + ".weight"), w(layer + name + ".bias")});
    };
    const ValueId h = emit(g, "layer_norm", {x, w(layer + "norm1.weight"), w(layer + "norm1.bias")});
    const ValueId q = heads(g, linear("q", h), tokens);
    ValueId k = heads(g, linear("k", h), tokens), v = heads(g, linear("v", h), tokens);
    ValueId a;
    if (decode) {
      k = emit(g, "state_write", {use_state(g, def, layer + "keys"), k, position}, StateWriteAttrs{.axis = 2});
      v = emit(g, "state_write", {use_state(g, def, layer + "values"), v, position}, StateWriteAttrs{.axis = 2});
      a = emit(g, "attention", {q, k, v, kNoValue, length}, AttentionAttrs{.causal = 1});
    } else {
      a = emit(g, "attention", {q, k, v}, AttentionAttrs{.causal = 1});
    }
    const int64_t order[] = {0, 2, 1, 3};
    x = add(g, x, linear("o", reshape(g, transpose(g, a, order), {tokens, kDim})));
    const ValueId n = emit(g, "layer_norm", {x, w(layer + "norm2.weight"), w(layer + "norm2.bias")});
    x = add(g, x, linear("down", emit(g, "gelu", {linear("up", n)})));
  }
  x = emit(g, "layer_norm", {x, w("final_norm.weight"), w("final_norm.bias")});
  g.outputs = {emit(g, "linear", {x, w("head")})};
  return g;
}

constexpr int32_t kForward = 0, kDecode = 1;
const std::string kFolder = source_folder() + "tests/models/golden/spine/transformer/";

ModelDef transformer() {
  ModelDef def;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) files.push_back(entry.path().stem().string());
  std::sort(files.begin(), files.end());
  for (const std::string& name : files) {
    if (name == "tokens" || name == "logits") continue;
    const Array a = read_npy(kFolder + name + ".npy");
    add_parameter(def, name, a.shape, a.f32());
  }
  for (int64_t i = 0; i < kLayers; ++i)
    for (const char* part : {"keys", "values"})
      def.states.push_back({std::to_string(i) + "." + part, TERN_DTYPE_F32, {1, kHeads, kPositions, kHeadDim}});
  add_signature(def, "forward", transformer_graph(def, false));
  Signature& decode = def.signatures[(size_t)add_signature(def, "decode", transformer_graph(def, true))];
  decode.position_input = 1;
  decode.advance = 1;
  decode.capacity = kPositions;
  return def;
}

struct Decoder {
  Session& session;
  Ref<Tensor> token = make_tensor(session.model().context(), TERN_DTYPE_I32, {1});
  // Logits after one more token.
  std::vector<float> step(int32_t id) {
    *(int32_t*)token->data() = id;
    Outputs out;
    EXPECT_EQ(run(session, kDecode, {token.get(), nullptr}, &out), TERN_OK) << thread_error().message;
    if (out.tensors.empty()) return std::vector<float>((size_t)kVocab);
    return std::vector<float>(out.f32(0), out.f32(0) + kVocab);
  }
  // Always the most likely token; the first one follows `last`.
  std::vector<int32_t> generate(int32_t last, int count) {
    std::vector<int32_t> ids;
    for (int i = 0; i < count; ++i) {
      const std::vector<float> logits = step(last);
      ids.push_back(last = (int32_t)(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    }
    return ids;
  }
};

TEST_P(Proof, DecodingEqualsTheFullPass) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, transformer());
  const Array tokens = read_npy(kFolder + "tokens.npy"), golden = read_npy(kFolder + "logits.npy");
  ASSERT_EQ(golden.shape, (Shape{kPositions, kVocab}));

  const std::unique_ptr<Session> whole = open(*model);
  const Ref<Tensor> all = make_tensor(*context, TERN_DTYPE_I32, {kPositions}, tokens.i32());
  Outputs full;
  TERN_OKAY(run(*whole, kForward, {all.get()}, &full));
  EXPECT_LT(relative_error(full.f32(0), golden.f32(), kPositions * kVocab), 1e-4);

  const std::unique_ptr<Session> session = open(*model);
  Decoder decoder{*session};
  std::vector<float> logits;
  for (int64_t t = 0; t < kPositions; ++t) {
    EXPECT_EQ(session->state().length(), t);
    take_deferred_counters();
    const std::vector<float> step = decoder.step(tokens.i32()[t]);
    const DeferredCounters c = take_deferred_counters();
    if (std::string_view(GetParam()) == "deferred" && t > 0) {
      EXPECT_EQ(c.submits, 1);
      EXPECT_EQ(c.waits, 1);
      EXPECT_EQ(c.uploads, 1);
    }
    logits.insert(logits.end(), step.begin(), step.end());
  }
  EXPECT_LT(relative_error(logits.data(), full.f32(0), kPositions * kVocab), 1e-4);
  EXPECT_LT(relative_error(logits.data(), golden.f32(), kPositions * kVocab), 1e-4);
  EXPECT_EQ(session->memory().plans, 1);

  // The state is full: a status, and nothing has changed.
  Outputs none;
  EXPECT_EQ(run(*session, kDecode, {decoder.token.get(), nullptr}, &none), TERN_ERR_LIMIT);
  EXPECT_EQ(session->state().length(), kPositions);
}

TEST_P(Proof, ForkTruncateAndRestoreGiveTheSameTokens) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, transformer());
  const Array tokens = read_npy(kFolder + "tokens.npy");
  constexpr int kPrefix = 50, kMore = 40;
  const std::unique_ptr<Session> session = open(*model);
  Decoder decoder{*session};
  for (int i = 0; i < kPrefix; ++i) decoder.step(tokens.i32()[i]);
  const int32_t next = tokens.i32()[kPrefix];
  Ref<State> fork;
  TERN_OKAY(session->state().fork(&fork));
  const std::string path = testing::TempDir() + "tern_state_" + std::to_string(getpid());
  TERN_OKAY(session->state().save(path.c_str()));
  const std::vector<int32_t> ids = decoder.generate(next, kMore);
  EXPECT_GT(std::count_if(ids.begin(), ids.end(), [&](int32_t id) { return id != ids[0]; }), 0);

  EXPECT_EQ(session->state().truncate(kPrefix + kMore + 1), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(session->state().truncate(-1), TERN_ERR_INVALID_ARGUMENT);
  TERN_OKAY(session->state().truncate(kPrefix));
  EXPECT_EQ(decoder.generate(next, kMore), ids) << "after truncate";

  const Ref<State> old = Ref<State>::share(&session->state());
  TERN_OKAY(session->set_state(*fork));
  EXPECT_EQ(session->state().length(), kPrefix);
  EXPECT_EQ(decoder.generate(next, kMore), ids) << "of the fork";
  TERN_OKAY(session->set_state(*old));  // which the fork has left alone
  TERN_OKAY(session->state().truncate(kPrefix));
  EXPECT_EQ(decoder.generate(next, kMore), ids) << "beside the fork";

  Ref<State> loaded;
  TERN_OKAY(State::create(*model, &loaded));
  TERN_OKAY(loaded->load(path.c_str()));
  const std::unique_ptr<Session> other = open(*model, {}, loaded);
  Decoder second{*other};
  EXPECT_EQ(second.generate(next, kMore), ids) << "after save and load";
  std::filesystem::remove(path);
}

// ---- one quantised matrix, three uses ----

TEST_P(Proof, OneBlockQuantisedMatrixServesThreeUses) {
  constexpr int64_t kRows = 70, kCols = 72, kIds = 5;
  ModelDef def;
  const std::vector<float> values = random_floats(kRows * kCols, 3);
  const int32_t table = add_parameter(def, "table", {kRows, kCols}, values.data(), Encoding::panel_int8);
  std::vector<float> decoded(values.size());
  decode(Encoding::panel_int8, TERN_DTYPE_F32, {kRows, kCols}, def.parameters[(size_t)table].data.bytes,
         decoded.data());
  Graph g;
  const ValueId ids = add_input(g, "ids", TERN_DTYPE_I32, {kIds}), w = use_parameter(g, def, "table");
  const ValueId x = emit(g, "gather_rows", {w, ids}), y = emit(g, "linear", {x, w}), z = emit(g, "linear_t", {y, w});
  g.outputs = {x, y, z};
  add_signature(def, "forward", std::move(g));

  std::vector<uint8_t> written;
  TERN_OKAY(write_model_to_memory(def, &written));
  void* at = nullptr;
  const Data file = make_data(written.size(), &at);
  std::memcpy(at, written.data(), written.size());
  ModelDef loaded;
  TERN_OKAY(read_model({(const uint8_t*)file.bytes, written.size(), file.owner}, resolve_limits(nullptr), &loaded));
  const Parameter& p = loaded.parameters.at(0);
  EXPECT_EQ(p.encoding, Encoding::panel_int8);
  const char *begin = (const char*)file.bytes, *bytes = (const char*)p.data.bytes;
  EXPECT_TRUE(bytes >= begin && bytes + p.bytes <= begin + written.size()) << "the weights were copied";
  EXPECT_LT(p.bytes, (uint64_t)(kRows * kCols * 2));

  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, std::move(loaded), file.owner);
  const std::unique_ptr<Session> session = open(*model);
  EXPECT_EQ(parameter_bytes(session->parameters(), 0), bytes);
  const int32_t which[kIds] = {0, 69, 13, 13, 40};
  const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_I32, {kIds}, which);
  Outputs out;
  TERN_OKAY(run(*session, 0, {in.get()}, &out));

  std::vector<float> rows, products, back;
  for (int64_t i = 0; i < kIds; ++i) {
    const float* row = &decoded[(size_t)(which[i] * kCols)];
    rows.insert(rows.end(), row, row + kCols);
    std::vector<double> product((size_t)kRows), sums((size_t)kCols);
    for (int64_t n = 0; n < kRows; ++n)
      for (int64_t k = 0; k < kCols; ++k) product[(size_t)n] += (double)row[k] * decoded[(size_t)(n * kCols + k)];
    for (int64_t n = 0; n < kRows; ++n)
      for (int64_t k = 0; k < kCols; ++k) sums[(size_t)k] += product[(size_t)n] * decoded[(size_t)(n * kCols + k)];
    products.insert(products.end(), product.begin(), product.end());
    back.insert(back.end(), sums.begin(), sums.end());
  }
  EXPECT_EQ(std::memcmp(out.f32(0), rows.data(), rows.size() * sizeof(float)), 0);
  EXPECT_LT(relative_error(out.f32(1), products.data(), kIds * kRows), 1e-5);
  EXPECT_LT(relative_error(out.f32(2), back.data(), kIds * kCols), 1e-5);
  if (std::string_view(GetParam()) == "cpu") {
    for (const Session::Placement& node : session->placements(0))
      EXPECT_EQ(node.as, PlacedAs::kernel) << node.op << ": " << node.reason;
  }
  EXPECT_EQ(session->parameters().overlay_bytes(), 0u);
}

// ---- states in every encoding: read as they lie, rows written, kept in a file ----

TEST_P(Proof, StatesAreEncoded) {
  constexpr int64_t kRows = 40, kCols = 72, kIds = 3, kNew = 2;
  const std::vector<float> values = random_floats(kRows * kCols, 5), fresh = random_floats(kNew * kCols, 6);
  for (int e = 0; e < kNumEncodings; ++e) {
    const Encoding encoding = (Encoding)e;
    SCOPED_TRACE(encoding_name(encoding));
    uint64_t bytes = 0;
    TERN_OKAY(encoded_bytes(encoding, TERN_DTYPE_F32, {kRows, kCols}, &bytes));
    ModelDef def;
    def.states.push_back({"table", TERN_DTYPE_F32, {kRows, kCols}, encoding});
    Graph g;
    const ValueId ids = add_input(g, "ids", TERN_DTYPE_I32, {kIds}),
                  rows = add_input(g, "rows", TERN_DTYPE_F32, {kNew, kCols}), at = add_scalar(g, "at"),
                  table = use_state(g, def, "table");
    const ValueId found = emit(g, "gather_rows", {table, ids}), product = emit(g, "linear", {found, table});
    emit(g, "state_write", {table, rows, at});
    g.outputs = {found, product};
    add_signature(def, "forward", std::move(g));

    std::vector<uint8_t> written;
    TERN_OKAY(write_model_to_memory(def, &written));
    void* to = nullptr;
    const Data file = make_data(written.size(), &to);
    std::memcpy(to, written.data(), written.size());
    ModelDef loaded;
    TERN_OKAY(read_model({(const uint8_t*)file.bytes, written.size(), file.owner}, resolve_limits(nullptr), &loaded));
    EXPECT_EQ(loaded.states.at(0).encoding, encoding);

    const Ref<Context> context = make_context();
    const Ref<Model> model = make_model(*context, std::move(loaded), file.owner);
    const std::unique_ptr<Session> session = open(*model);
    EXPECT_EQ(session->state().bytes(), bytes);
    Ref<Tensor> content;
    TERN_OKAY(session->state().get(0, &content));
    for (int64_t i = 0; i < kRows * kCols; ++i) ASSERT_EQ(((const float*)content->data())[i], 0);  // as it begins
    TERN_OKAY(session->state().set(0, *make_tensor(*context, TERN_DTYPE_F32, {kRows, kCols}, values.data())));
    TERN_OKAY(session->state().get(0, &content));
    std::vector<float> before((const float*)content->data(), (const float*)content->data() + kRows * kCols);
    // Of the largest number: half a step, a whole one at the end that has no code.
    const double coarse = encoding == Encoding::ternary2         ? 0.51
                          : encoding == Encoding::panel_int4     ? 0.126
                          : encoding == Encoding::panel_int4_min ? 0.067
                                                                 : 0.01;
    EXPECT_LT(relative_error(before.data(), values.data(), kRows * kCols), coarse);

    const int32_t which[kIds] = {0, 39, 31};
    const int64_t position = 31;
    const Ref<Tensor> in[] = {make_tensor(*context, TERN_DTYPE_I32, {kIds}, which),
                              make_tensor(*context, TERN_DTYPE_F32, {kNew, kCols}, fresh.data()),
                              make_tensor(*context, TERN_DTYPE_I64, {}, &position)};
    Outputs out;
    TERN_OKAY(run(*session, 0, {in[0].get(), in[1].get(), in[2].get()}, &out));
    std::vector<float> products;
    for (const int32_t& id : which) {
      const float* row = &before[(size_t)(id * kCols)];
      EXPECT_EQ(std::memcmp(out.f32(0) + (&id - which) * kCols, row, kCols * sizeof(float)), 0);
      for (int64_t n = 0; n < kRows; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < kCols; ++k) sum += (double)row[k] * before[(size_t)(n * kCols + k)];
        products.push_back((float)sum);
      }
    }
    EXPECT_LT(relative_error(out.f32(1), products.data(), kIds * kRows), 1e-5);

    TERN_OKAY(session->state().get(0, &content));
    const float* after = (const float*)content->data();
    for (int64_t i = 0; i < kRows * kCols; ++i) {
      const int64_t row = i / kCols - position;
      if (row < 0 || row >= kNew) {
        ASSERT_EQ(after[i], before[(size_t)i]) << i;
      }
    }
    EXPECT_LT(relative_error(after + position * kCols, fresh.data(), kNew * kCols), coarse);

    const std::string path = "/tmp/tern_encoded_state_" + std::to_string(getpid());
    TERN_OKAY(session->state().save(path.c_str()));
    Ref<State> other;
    TERN_OKAY(State::create(*model, &other));
    TERN_OKAY(other->load(path.c_str()));
    std::filesystem::remove(path);
    Ref<Tensor> again;
    TERN_OKAY(other->get(0, &again));
    EXPECT_EQ(std::memcmp(again->data(), after, kRows * kCols * sizeof(float)), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Proof, testing::ValuesIn(kBackends),
                         [](const testing::TestParamInfo<const char*>& i) {
                           std::string name = i.param;
                           std::replace(name.begin(), name.end(), ',', '_');
                           return name;
                         });

}  // namespace
}  // namespace tern::test
