// SPDX-License-Identifier: Apache-2.0
// Packed weights against the same numbers in f32: a language model and its twin, in whose file each weight of few bits
// is written out. Everything else is the same, so that only the products differ: exact sums of codes, or sums of f32.
#include <tern/generator.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/file.h"
#include "format/reader.h"
#include "format/writer.h"
#include "models/support.h"

namespace tern::test {
namespace {

// Writes the twin. *distinct: the most different numbers that a row of a projection has.
void write_twin(const std::string& file, const std::string& twin, size_t* distinct) {
  Bytes bytes;
  ASSERT_EQ(load_file(file.c_str(), LoadMode::copy, UINT64_MAX, &bytes), TERN_OK);
  ModelDef model;
  ASSERT_EQ(read_model(bytes, resolve_limits(nullptr), &model), TERN_OK);
  int packed = 0;
  *distinct = 0;
  for (Parameter& p : model.parameters) {
    if (is_permutation(p.encoding)) continue;
    std::vector<float> numbers((size_t)p.shape.elements());
    decode(p.encoding, p.dtype, p.shape, p.data.bytes, numbers.data());
    const int64_t columns = p.shape[1];
    for (int64_t i = 0; i < p.shape[0] && p.name.starts_with("layers."); ++i) {
      std::vector<float> row(numbers.begin() + i * columns, numbers.begin() + (i + 1) * columns);
      std::sort(row.begin(), row.end());
      *distinct = std::max(*distinct, (size_t)(std::unique(row.begin(), row.end()) - row.begin()));
    }
    p.encoding = Encoding::plain, p.bytes = numbers.size() * sizeof(float);
    void* to = nullptr;
    p.data = make_data(p.bytes, &to);
    std::memcpy(to, numbers.data(), p.bytes);
    ++packed;
  }
  EXPECT_GE(packed, 8);
  for (Signature& s : model.signatures)
    for (Value& v : s.graph.values)
      if (v.kind == ValueKind::parameter) v.encoding = model.parameters[(size_t)v.index].encoding;
  ASSERT_EQ(write_model(model, twin.c_str()), TERN_OK) << thread_error().message;
}

std::vector<double> log_softmax(const float* logits, int64_t n) {
  const float most = *std::max_element(logits, logits + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp((double)logits[i] - (double)most);
  std::vector<double> out;
  for (int64_t i = 0; i < n; ++i) out.push_back((double)logits[i] - (double)most - std::log(sum));
  return out;
}

struct Divergence {
  double mean = 0, most = 0;  // nats for a token
  int far = 0;                // tokens where it is 1e-5 or more
  int others = 0;             // tokens where another one comes first, though the twin's is ahead by 0.1 nats or more
};

void compare(tern_model* packed, tern_model* twin, int32_t tokens, int32_t context, Divergence* out) {
  using Generator = std::unique_ptr<tern_generator, Release<tern_generator_release>>;
  tern_generator *a = nullptr, *b = nullptr;
  ASSERT_OK(tern_generator_create(packed, nullptr, &a));
  const Generator keep_a(a);
  ASSERT_OK(tern_generator_create(twin, nullptr, &b));
  const Generator keep_b(b);
  const int64_t vocabulary = tern_generator_vocabulary(a);
  ASSERT_EQ(tern_generator_vocabulary(b), vocabulary);
  for (int32_t i = 0; i < tokens; ++i) {
    const int32_t token = (7 * i + i * i / 11 + 3) % (int32_t)vocabulary;
    const float *x = nullptr, *y = nullptr;
    if (i % context == 0) {
      ASSERT_OK(tern_generator_truncate(a, 0));
      ASSERT_OK(tern_generator_truncate(b, 0));
    }
    ASSERT_OK(tern_generator_feed(a, &token, 1, nullptr));
    ASSERT_OK(tern_generator_feed(b, &token, 1, nullptr));
    ASSERT_OK(tern_generator_logits(a, &x, nullptr));
    ASSERT_OK(tern_generator_logits(b, &y, nullptr));
    const std::vector<double> p = log_softmax(y, vocabulary), q = log_softmax(x, vocabulary);
    double divergence = 0;
    for (size_t t = 0; t < p.size(); ++t) divergence += std::exp(p[t]) * (p[t] - q[t]);
    out->mean += divergence / tokens;
    out->most = std::max(out->most, divergence);
    out->far += divergence >= 1e-5;
    const auto first = std::max_element(p.begin(), p.end());
    const double ahead = *first - std::accumulate(p.begin(), p.end(), -HUGE_VAL, [&](double most, const double& x) {
      return &x == &*first ? most : std::max(most, x);
    });
    out->others += ahead >= 0.1 && std::max_element(q.begin(), q.end()) - q.begin() != first - p.begin();
  }
}

struct Case {
  const char *model, *weights;
  int32_t tokens, context;  // which begins anew after so many
};
struct Twin : testing::TestWithParam<Case> {};

TEST_P(Twin, SameNumbers) {
  const auto [name, weights, tokens, context] = GetParam();
  std::string folder = (std::filesystem::temp_directory_path() / "tern-twin-XXXXXX").string();
  ASSERT_TRUE(mkdtemp(folder.data()));
  const std::string source = source_folder() + "/tests/models/golden/language/" + name, file = folder + "/m.tern";
  tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
  options.weights = weights, options.cache = "f32";
  EXPECT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_OK) << tern_import_error();
  size_t distinct = 0;
  ASSERT_NO_FATAL_FAILURE(write_twin(file, folder + "/twin.tern", &distinct));
  if (std::strcmp(weights, "ternary") == 0) EXPECT_EQ(distinct, 3u);
  else EXPECT_GT(distinct, 12u);
  Context made;
  Model packed, twin;
  ASSERT_NO_FATAL_FAILURE(load(file, 1, &made, &packed));
  ASSERT_NO_FATAL_FAILURE(load(folder + "/twin.tern", 1, &made, &twin));
  EXPECT_GT(std::filesystem::file_size(folder + "/twin.tern"), std::filesystem::file_size(file));
  std::filesystem::remove_all(folder);
  Divergence d;
  ASSERT_NO_FATAL_FAILURE(compare(packed.get(), twin.get(), tokens, context, &d));
  std::printf("%s %s: %.1e nats, at most %.1e; %d of %d tokens are far, %d first ones are others\n", name, weights,
              d.mean, d.most, d.far, tokens, d.others);
  EXPECT_LT(d.mean, 1e-5);
  EXPECT_EQ(d.others, 0);
  // Where what a projection reads lies between two codes, a last bit decides which of them it becomes.
  EXPECT_LE(d.far, std::strcmp(weights, "ternary") == 0 ? tokens / 20 : 0);
}
INSTANTIATE_TEST_SUITE_P(
    Models, Twin,
    testing::Values(Case{"bitnet-ternary.gguf", "ternary", 1024, 64}, Case{"hf-bitnet-multiply", "ternary", 1024, 64},
                    Case{"hf-bitnet-divide", "ternary", 1024, 64}, Case{"hf-bitnet-online", "ternary", 1024, 64},
                    Case{"hf-bitnet-inner", "ternary", 1024, 64}, Case{"hf-long-bitnet", "ternary", 4096, 4096},
                    Case{"hf-outliers-bitnet", "ternary", 4096, 4096}, Case{"hf-long-llama", "q8_0", 513, 513},
                    Case{"hf-outliers-llama", "q8_0", 513, 513}, Case{"hf-long-qwen3", "q8_0", 513, 513},
                    Case{"hf-outliers-qwen3", "q8_0", 513, 513}, Case{"hf-long-gemma3", "q8_0", 513, 513},
                    Case{"hf-outliers-gemma3", "q8_0", 513, 513}, Case{"hf-long-llama", "q4_0", 513, 513},
                    Case{"hf-outliers-qwen3", "q4_1", 513, 513}),
    [](const testing::TestParamInfo<Case>& i) {
      std::string name = std::string(i.param.model) + i.param.weights;
      std::erase_if(name, [](char c) { return !std::isalnum((unsigned char)c); });
      return name;
    });

}  // namespace
}  // namespace tern::test
