// SPDX-License-Identifier: Apache-2.0
// Small random language models of GGUF files and of Hugging Face folders, against transformers (language_goldens.py).
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "models/support.h"

namespace tern::test {
namespace {

constexpr int32_t kTokens = 40, kVocabulary = 96;
using Generator = std::unique_ptr<tern_generator, Release<tern_generator_release>>;

std::string golden(const std::string& file) { return source_folder() + "/tests/models/golden/language/" + file; }
std::vector<int32_t> golden_tokens() {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < kTokens; ++i) tokens.push_back((7 * i + 3) % kVocabulary);
  return tokens;
}

struct Language : testing::TestWithParam<const char*> {
  Context context;
  Model model;
  std::vector<float> want;

  void import(const char* name, const char* weights, int32_t threads, const char* cache, const char* activations) {
    model.reset(), context.reset();
    std::string folder = (std::filesystem::temp_directory_path() / "tern-language-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(folder.data()));
    tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
    options.weights = weights, options.cache = cache, options.activations = activations;
    const std::string file = folder + "/m.tern";
    const std::string source = std::strncmp(name, "hf-", 3) == 0 ? golden(name) : golden(std::string(name) + ".gguf");
    ASSERT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_OK) << tern_import_error();
    ASSERT_NO_FATAL_FAILURE(load(file, threads, &context, &model));
    std::filesystem::remove_all(folder);
  }
  void open(const char* name, const char* weights, int32_t threads = 1, const char* cache = nullptr,
            const char* activations = nullptr, size_t rows = kTokens) {
    ASSERT_NO_FATAL_FAILURE(import(name, weights, threads, cache, activations));
    ASSERT_TRUE(read_npy(golden(std::string(name) + ".npy"), &want));
    ASSERT_EQ(want.size(), rows * kVocabulary);
  }
  Generator generator() {
    tern_generator* made = nullptr;
    EXPECT_OK(tern_generator_create(model.get(), nullptr, &made));
    return Generator(made);
  }
};

std::vector<float> logits_of(tern_generator* g) {
  const float* logits = nullptr;
  EXPECT_OK(tern_generator_logits(g, &logits, nullptr));
  return logits ? std::vector<float>(logits, logits + tern_generator_vocabulary(g)) : std::vector<float>();
}

// Largest difference divided by the largest number.
double distance(const float* a, const float* b, int64_t n) {
  double most = 0, largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    most = std::max(most, std::isfinite(a[i]) ? (double)std::fabs(a[i] - b[i]) : HUGE_VAL);
    largest = std::max(largest, (double)std::fabs(b[i]));
  }
  return most / largest;
}

TEST_P(Language, LogitsOfEachToken) {
  ASSERT_NO_FATAL_FAILURE(open(GetParam(), "f32"));
  const Generator g = generator();
  ASSERT_EQ(tern_generator_vocabulary(g.get()), kVocabulary);
  ASSERT_EQ(tern_generator_capacity(g.get()), 512);
  const std::vector<int32_t> tokens = golden_tokens();
  for (int32_t i = 0; i < kTokens; ++i) {
    ASSERT_OK(tern_generator_feed(g.get(), &tokens[(size_t)i], 1, nullptr));
    const std::vector<float> got = logits_of(g.get());
    const float* expected = want.data() + i * kVocabulary;
    ASSERT_EQ(got.size(), (size_t)kVocabulary);
    EXPECT_LT(distance(got.data(), expected, kVocabulary), 2e-5) << "token " << i;
  }
}

// A token's logits have the same bits alone, behind a prompt in one piece, and after it was forgotten and given again.
TEST_P(Language, SameBitsHoweverTheyAreFed) {
  for (const char* weights : {"f32", "f16", "q8_0", "q4_0", "q4_1"})
    for (const int32_t threads : {1, 2}) {
      ASSERT_NO_FATAL_FAILURE(open(GetParam(), weights, threads));
      const std::vector<int32_t> tokens = golden_tokens();
      const Generator one = generator(), all = generator();
      for (const int32_t& t : tokens) ASSERT_OK(tern_generator_feed(one.get(), &t, 1, nullptr));
      ASSERT_OK(tern_generator_feed(all.get(), tokens.data(), kTokens, nullptr));
      const std::vector<float> expected = logits_of(one.get());
      EXPECT_EQ(logits_of(all.get()), expected) << weights;
      ASSERT_OK(tern_generator_truncate(all.get(), 11));
      EXPECT_NE(logits_of(all.get()), expected);
      ASSERT_OK(tern_generator_feed(all.get(), tokens.data() + 11, kTokens - 11, nullptr));
      EXPECT_EQ(logits_of(all.get()), expected) << weights;
    }
}

TEST_P(Language, SmallerWeightsAndCaches) {
  const struct {
    const char *weights, *cache, *activations;
    double bound;
  } forms[] = {{"f16", nullptr, nullptr, 2e-3},
               {"q8_0", nullptr, "f32", 0.05},
               {"f32", "f16", nullptr, 2e-3},
               {"f32", "int8", nullptr, 0.05}};
  std::vector<float> before;
  for (const auto& [weights, cache, activations, bound] : forms) {
    ASSERT_NO_FATAL_FAILURE(open(GetParam(), weights, 1, cache, activations));
    const Generator g = generator();
    const std::vector<int32_t> tokens = golden_tokens();
    ASSERT_OK(tern_generator_feed(g.get(), tokens.data(), kTokens, nullptr));
    const std::vector<float> got = logits_of(g.get());
    EXPECT_LT(distance(got.data(), want.data() + (kTokens - 1) * kVocabulary, kVocabulary), bound)
        << weights << " " << (cache ? cache : "") << " " << (activations ? activations : "");
    EXPECT_NE(got, before);
    before = got;
  }
}

// What meets weights of few bits is rounded: the logits are near those without that.
TEST_P(Language, RoundedActivations) {
  const std::vector<int32_t> tokens = golden_tokens();
  const auto last_logits = [&](const char* weights, const char* activations) {
    open(GetParam(), weights, 1, nullptr, activations);
    if (HasFatalFailure()) return std::vector<float>();
    const Generator g = generator();
    EXPECT_OK(tern_generator_feed(g.get(), tokens.data(), kTokens, nullptr));
    return logits_of(g.get());
  };
  for (const char* weights : {"q8_0", "q4_0", "q4_1"}) {
    const std::vector<float> rounded = last_logits(weights, nullptr), whole = last_logits(weights, "f32");
    ASSERT_EQ(rounded.size(), (size_t)kVocabulary);
    EXPECT_NE(rounded, whole);
    EXPECT_LT(distance(rounded.data(), whole.data(), kVocabulary), 2e-3) << weights;
  }
}

std::string test_name(const testing::TestParamInfo<const char*>& i) {
  std::string name = i.param;
  std::erase_if(name, [](char c) { return !std::isalnum((unsigned char)c); });
  return name;
}
INSTANTIATE_TEST_SUITE_P(Families, Language,
                         testing::Values("llama", "qwen2", "qwen3", "gemma3", "bitnet-b1.58", "bitnet"), test_name);
INSTANTIATE_TEST_SUITE_P(Folders, Language,
                         testing::Values("hf-llama", "hf-llama-f32", "hf-mistral", "hf-qwen2", "hf-qwen3", "hf-gemma3",
                                         "hf-bitnet", "hf-bitnet-multiply", "hf-bitnet-divide", "hf-bitnet-online",
                                         "hf-bitnet-inner"),
                         test_name);

// Models whose projections are ternary are stored so and round what these read to 8 bits, unless other weights are
// asked for. Their embeddings are such that 8 bits hold them exactly, and what meets the head stays f32 here.
TEST_F(Language, TernaryProjections) {
  for (const char* name :
       {"bitnet-ternary", "hf-bitnet-multiply", "hf-bitnet-divide", "hf-bitnet-online", "hf-bitnet-inner"}) {
    SCOPED_TRACE(name);
    ASSERT_NO_FATAL_FAILURE(open(name, nullptr, 1, "f32", "f32"));
    if (std::strncmp(name, "hf-", 3) == 0) {
      ASSERT_TRUE(read_npy(golden(std::string(name) + "-int8.npy"), &want));
    }
    const std::vector<int32_t> tokens = golden_tokens();
    const Generator g = generator(), all = generator();
    for (int32_t i = 0; i < kTokens; ++i) {
      ASSERT_OK(tern_generator_feed(g.get(), &tokens[(size_t)i], 1, nullptr));
      const std::vector<float> got = logits_of(g.get());
      const float* expected = want.data() + i * kVocabulary;
      EXPECT_LT(distance(got.data(), expected, kVocabulary), 2e-5) << "token " << i;
    }
    ASSERT_OK(tern_generator_feed(all.get(), tokens.data(), kTokens, nullptr));
    EXPECT_EQ(logits_of(all.get()), logits_of(g.get()));
  }
}

// The vectors of texts that end behind each token, and of two of them in one run. BitNet's embedders have a norm in
// each projection.
struct Embedder : Language {
  static constexpr int64_t kWidth = 32;
  std::vector<float> vectors(const std::vector<int64_t>& picks) {
    tern_session* made = nullptr;
    int32_t signature = -1;
    EXPECT_OK(tern_session_create(model.get(), nullptr, &made));
    const Session session(made);
    EXPECT_OK(tern_model_find_signature(model.get(), "embedding", &signature));
    const auto tensor = [&](const std::vector<int64_t>& numbers) {
      const int64_t dims[] = {(int64_t)numbers.size()};
      tern_tensor* t = nullptr;
      EXPECT_OK(tern_tensor_create(context.get(), TERN_DTYPE_I64, dims, 1, &t));
      if (t) std::memcpy(tern_tensor_data(t), numbers.data(), numbers.size() * sizeof(int64_t));
      return Tensor(t);
    };
    const std::vector<int32_t> tokens = golden_tokens();
    const Tensor rows = tensor({tokens.begin(), tokens.end()}), picked = tensor(picks);
    const tern_tensor *inputs[] = {rows.get(), nullptr, nullptr, picked.get()}, *output = nullptr;
    EXPECT_OK(tern_session_run(made, signature, inputs, 4, &output, 1, nullptr));
    if (!output) return {};
    const ResultTensor keep(output);
    EXPECT_EQ(tern_tensor_dim(output, 0), (int64_t)picks.size());
    EXPECT_EQ(tern_tensor_dim(output, 1), kWidth);
    const auto* from = (const float*)tern_tensor_const_data(output);
    return {from, from + (int64_t)picks.size() * kWidth};
  }
};

TEST_F(Embedder, VectorsOfTexts) {
  const struct {
    const char *model, *weights, *golden;
  } cases[] = {{"hf-embedder-qwen3", "f32", "hf-embedder-qwen3.npy"},
               {"hf-embedder-qwen3", nullptr, "hf-embedder-qwen3-int8.npy"},
               {"hf-embedder-gemma3", "f32", "hf-embedder-gemma3.npy"},
               {"hf-embedder-gemma3", nullptr, "hf-embedder-gemma3-int8.npy"},
               {"embedder-gemma3", "f32", "hf-embedder-gemma3.npy"},
               {"embedder-gemma3", "ternary", "hf-embedder-gemma3-int8.npy"}};
  std::vector<int64_t> all;
  for (int64_t i = 0; i < kTokens; ++i) all.push_back(i);
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.model) + " " + (c.weights ? c.weights : ""));
    ASSERT_NO_FATAL_FAILURE(import(c.model, c.weights, 1, "f32", "f32"));
    ASSERT_TRUE(read_npy(golden(c.golden), &want));
    ASSERT_EQ(want.size(), (size_t)(kTokens * kWidth));
    const std::vector<float> got = vectors(all);
    ASSERT_EQ(got.size(), want.size());
    for (int32_t i = 0; i < kTokens; ++i)
      EXPECT_LT(distance(got.data() + i * kWidth, want.data() + i * kWidth, kWidth), 2e-5) << "token " << i;
    const std::vector<float> some = vectors({kTokens - 1, 3});
    ASSERT_EQ(some.size(), (size_t)(2 * kWidth));
    EXPECT_TRUE(std::equal(some.begin(), some.begin() + kWidth, got.end() - kWidth));
    EXPECT_TRUE(std::equal(some.begin() + kWidth, some.end(), got.begin() + 3 * kWidth));
  }
}

// LONG_PLACES of language_goldens.py.
constexpr int32_t kPlaces[] = {0, 1, 31, 62, 63, 64, 255, 510, 511, 512, 513, 1023, 2047, 3000, 4094, 4095};
constexpr int32_t kLong = 4096;

struct LongLanguage : Language {
  void open_long(const std::string& name, const char* weights) {
    ASSERT_NO_FATAL_FAILURE(open(name.c_str(), weights, 2, "f32", "f32", std::size(kPlaces)));
    ASSERT_EQ(tern_generator_capacity(generator().get()), kLong);
  }
  static std::vector<int32_t> long_tokens() {
    std::vector<int32_t> tokens;
    for (int32_t i = 0; i < kLong; ++i) tokens.push_back((7 * i + i * i / 11 + 3) % kVocabulary);
    return tokens;
  }
  // Behind each place all logits differ by at most `bound` times the largest, and the first token is the same where it
  // is ahead by more than that. The last logits have the same bits when all tokens are fed at once.
  void compare(double bound) {
    const std::vector<int32_t> tokens = long_tokens();
    const Generator parts = generator(), whole = generator();
    double most = 0;
    size_t clear = 0;
    for (size_t at = 0, fed = 0; at < std::size(kPlaces); ++at) {
      const size_t end = (size_t)kPlaces[at] + 1;
      ASSERT_OK(tern_generator_feed(parts.get(), tokens.data() + fed, (int64_t)(end - fed), nullptr));
      fed = end;
      const std::vector<float> got = logits_of(parts.get());
      const float* expected = want.data() + at * kVocabulary;
      ASSERT_EQ(got.size(), (size_t)kVocabulary);
      const double d = distance(got.data(), expected, kVocabulary);
      EXPECT_LE(d, bound) << end << " tokens";
      most = std::max(most, d);
      std::vector<float> order(expected, expected + kVocabulary);
      const ptrdiff_t first = std::max_element(order.begin(), order.end()) - order.begin();
      std::sort(order.rbegin(), order.rend());
      if (order[0] - order[1] > bound * std::max(std::fabs(order[0]), std::fabs(order.back()))) {
        EXPECT_EQ(std::max_element(got.begin(), got.end()) - got.begin(), first) << end << " tokens";
        ++clear;
      }
    }
    EXPECT_GE(clear, std::size(kPlaces) / 2);
    ASSERT_OK(tern_generator_feed(whole.get(), tokens.data(), kLong, nullptr));
    EXPECT_EQ(logits_of(whole.get()), logits_of(parts.get()));
    std::printf("%s: %.1e; %zu first tokens are ahead\n", GetParam(), most, clear);
  }
};

TEST_P(LongLanguage, LogitsOfContexts) {
  for (const std::string kind : {"hf-long-", "hf-outliers-"}) {
    SCOPED_TRACE(kind);
    ASSERT_NO_FATAL_FAILURE(open_long(kind + GetParam(), "f32"));
    ASSERT_NO_FATAL_FAILURE(compare(1e-4));
    if (std::strcmp(GetParam(), "bitnet") != 0) continue;
    // Beside outliers the others become few codes. Without, of 3 million roundings some fall to the other side of a
    // half than transformers' do, and all tokens behind see that.
    ASSERT_NO_FATAL_FAILURE(open_long(kind + GetParam(), nullptr));
    ASSERT_TRUE(read_npy(golden(kind + GetParam() + "-int8.npy"), &want));
    ASSERT_NO_FATAL_FAILURE(compare(kind == "hf-outliers-" ? 1e-4 : 0.05));
  }
}
INSTANTIATE_TEST_SUITE_P(Families, LongLanguage, testing::Values("llama", "qwen3", "gemma3", "bitnet"), test_name);

TEST_F(Language, Drawing) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  const std::vector<int32_t> tokens = golden_tokens();
  const auto draw = [&](float temperature, int32_t top_k, uint64_t seed) {
    tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
    options.temperature = temperature, options.top_k = top_k, options.seed = seed;
    tern_generator* made = nullptr;
    EXPECT_OK(tern_generator_create(model.get(), &options, &made));
    const Generator g(made);
    EXPECT_OK(tern_generator_feed(made, tokens.data(), 5, nullptr));
    std::vector<int32_t> given(30);
    for (int32_t& t : given) EXPECT_OK(tern_generator_next(made, &t, nullptr));
    EXPECT_EQ(tern_generator_length(made), 35);
    return given;
  };
  const std::vector<int32_t> greedy = draw(0, 0, 1);
  EXPECT_EQ(draw(0, 0, 2), greedy);
  EXPECT_EQ(draw(2, 1, 3), greedy);
  EXPECT_EQ(draw(1, 0, 4), draw(1, 0, 4));
  EXPECT_NE(draw(1, 0, 4), draw(1, 0, 5));
  EXPECT_NE(draw(1, 0, 4), greedy);
}

// A draw follows the probabilities: of many places, each token comes about as often as it should.
TEST_F(Language, DrawnAsOftenAsProbable) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  const int32_t first = 7;
  std::vector<double> counts(kVocabulary), probabilities(kVocabulary);
  constexpr int kDraws = 4000;
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  options.temperature = 1;
  for (int i = 0; i < kDraws; ++i) {
    options.seed = (uint64_t)i;
    tern_generator* made = nullptr;
    ASSERT_OK(tern_generator_create(model.get(), &options, &made));
    const Generator g(made);
    ASSERT_OK(tern_generator_feed(made, &first, 1, nullptr));
    if (i == 0) {
      double sum = 0;
      const std::vector<float> logits = logits_of(made);
      for (int32_t t = 0; t < kVocabulary; ++t) sum += probabilities[(size_t)t] = std::exp((double)logits[(size_t)t]);
      for (double& p : probabilities) p /= sum;
    }
    int32_t token = 0;
    ASSERT_OK(tern_generator_next(made, &token, nullptr));
    ++counts[(size_t)token];
  }
  double square = 0;  // chi-squared with 95 degrees of freedom: above 150 once in 4000 times
  for (int32_t t = 0; t < kVocabulary; ++t) {
    const double expected = probabilities[(size_t)t] * kDraws;
    square += (counts[(size_t)t] - expected) * (counts[(size_t)t] - expected) / expected;
  }
  EXPECT_LT(square, 150);
}

// What is left of the probabilities is drawn from, all of it and nothing else.
TEST_F(Language, DrawnAmongTheProbable) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  const int32_t first = 7;
  const auto make = [&](const tern_generator_options& options) {
    tern_generator* made = nullptr;
    EXPECT_OK(tern_generator_create(model.get(), &options, &made));
    EXPECT_OK(tern_generator_feed(made, &first, 1, nullptr));
    return Generator(made);
  };
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  const std::vector<float> logits = logits_of(make(options).get());
  options.temperature = 0.5f;
  std::vector<std::pair<double, int32_t>> sorted;  // of probabilities
  double sum = 0;
  for (int32_t t = 0; t < kVocabulary; ++t) {
    sorted.push_back({std::exp(2.0 * (double)logits[(size_t)t]), t});
    sum += sorted.back().first;
  }
  std::sort(sorted.rbegin(), sorted.rend());
  const auto drawn = [&] {
    std::set<int32_t> found;
    for (uint64_t seed = 0; seed < 600; ++seed) {
      options.seed = seed;
      int32_t token = 0;
      EXPECT_OK(tern_generator_next(make(options).get(), &token, nullptr));
      found.insert(token);
    }
    return found;
  };
  const auto first_of = [&](size_t n) {
    std::set<int32_t> tokens;
    for (size_t i = 0; i < n; ++i) tokens.insert(sorted[i].second);
    return tokens;
  };
  options.top_k = 3;
  EXPECT_EQ(drawn(), first_of(3));
  options.top_k = 0, options.top_p = 0.7f;
  size_t n = 0;
  for (double part = 0; part < 0.7 * sum;) part += sorted[n++].first;
  ASSERT_GT(n, 1u);
  EXPECT_EQ(drawn(), first_of(n));
  options.top_p = 0, options.min_p = 0.1f;
  for (n = 0; sorted[n].first >= 0.1 * sorted[0].first;) ++n;
  ASSERT_GT(n, 1u);
  EXPECT_EQ(drawn(), first_of(n));

  // The token that is there already becomes less probable, or more.
  options = TERN_GENERATOR_OPTIONS_INIT;
  for (const float penalty : {0.01f, 100.0f}) {
    options.repetition_penalty = penalty;
    int32_t token = 0, best = 0;
    EXPECT_OK(tern_generator_next(make(options).get(), &token, nullptr));
    const auto penalized = [&](int32_t t) {
      const float x = logits[(size_t)t];
      return t != first ? x : x > 0 ? x / penalty : x * penalty;
    };
    for (int32_t t = 1; t < kVocabulary; ++t)
      if (penalized(t) > penalized(best)) best = t;
    EXPECT_EQ(token, best);
    EXPECT_EQ(token == first, penalty < 1 && logits[(size_t)first] > 0);
  }
}

TEST_F(Language, WhatCannotBe) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  const Generator g = generator();
  int32_t token = 0;
  EXPECT_EQ(tern_generator_next(g.get(), &token, nullptr), TERN_ERR_STATE);
  std::vector<int32_t> many(513, 5);
  EXPECT_EQ(tern_generator_feed(g.get(), many.data(), 513, nullptr), TERN_ERR_LIMIT);
  for (const int32_t wrong : {-1, kVocabulary, INT32_MAX})
    EXPECT_EQ(tern_generator_feed(g.get(), &wrong, 1, nullptr), TERN_ERR_INDEX);
  EXPECT_EQ(tern_generator_length(g.get()), 0);
  ASSERT_OK(tern_generator_feed(g.get(), many.data(), 511, nullptr));
  ASSERT_OK(tern_generator_next(g.get(), &token, nullptr));
  EXPECT_EQ(tern_generator_next(g.get(), &token, nullptr), TERN_ERR_LIMIT);
  EXPECT_EQ(tern_generator_truncate(g.get(), 513), TERN_ERR_INVALID_ARGUMENT);
  ASSERT_OK(tern_generator_truncate(g.get(), 0));
  ASSERT_OK(tern_generator_feed(g.get(), many.data(), 2, nullptr));
}

// Logits that are negative are multiplied by the penalty: a bias makes all of them negative.
TEST_F(Language, PenaltyOfNegativeLogits) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  options.repetition_penalty = 2;
  tern_generator* made = nullptr;
  ASSERT_OK(tern_generator_create(model.get(), &options, &made));
  const Generator g(made);
  std::vector<int32_t> all((size_t)kVocabulary);
  for (int32_t t = 0; t < kVocabulary; ++t) all[(size_t)t] = t;
  const std::vector<float> down((size_t)kVocabulary, -1000.0f);
  ASSERT_OK(tern_generator_set_bias(made, all.data(), down.data(), kVocabulary));
  std::set<int32_t> seen = {7};
  ASSERT_OK(tern_generator_feed(made, &*seen.begin(), 1, nullptr));
  for (int i = 0; i < 20; ++i) {
    int32_t token = 0;
    ASSERT_OK(tern_generator_next(made, &token, nullptr));
    EXPECT_TRUE(seen.insert(token).second) << token;
  }
}

TEST_F(Language, BiasAndLogProbabilities) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  options.log_probabilities = 3;
  tern_generator* made = nullptr;
  ASSERT_OK(tern_generator_create(model.get(), &options, &made));
  const Generator g(made);
  const int32_t *list = nullptr, first = 7;
  const float* values = nullptr;
  int64_t count = 0;
  EXPECT_EQ(tern_generator_log_probabilities(made, &list, &values, &count), TERN_ERR_STATE);
  ASSERT_OK(tern_generator_feed(made, &first, 1, nullptr));
  const std::vector<float> logits = logits_of(made);
  std::vector<int32_t> order((size_t)kVocabulary);
  for (int32_t t = 0; t < kVocabulary; ++t) order[(size_t)t] = t;
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[(size_t)a] > logits[(size_t)b]; });
  double sum = 0;
  for (const float x : logits) sum += std::exp((double)x);
  // The best is forbidden, the fourth becomes the best.
  const int32_t changed[] = {order[0], order[3]};
  const float by[] = {-INFINITY, 50};
  ASSERT_OK(tern_generator_set_bias(made, changed, by, 2));
  int32_t token = 0;
  ASSERT_OK(tern_generator_next(made, &token, nullptr));
  EXPECT_EQ(token, order[3]);
  ASSERT_OK(tern_generator_log_probabilities(made, &list, &values, &count));
  ASSERT_EQ(count, 4);
  const int32_t expected[] = {order[3], order[0], order[1], order[2]};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(list[i], expected[i]);
    EXPECT_NEAR(values[i], (double)logits[(size_t)expected[i]] - std::log(sum), 1e-5);
  }
  ASSERT_OK(tern_generator_truncate(made, 1));
  const float forbids[] = {-INFINITY, -INFINITY};
  ASSERT_OK(tern_generator_set_bias(made, changed, forbids, 2));
  ASSERT_OK(tern_generator_next(made, &token, nullptr));
  EXPECT_EQ(token, order[1]);
  const std::vector<float> none((size_t)kVocabulary, -INFINITY);
  ASSERT_OK(tern_generator_set_bias(made, order.data(), none.data(), kVocabulary));
  EXPECT_EQ(tern_generator_next(made, &token, nullptr), TERN_ERR_STATE);
  ASSERT_OK(tern_generator_set_bias(made, nullptr, nullptr, 0));
  ASSERT_OK(tern_generator_next(made, &token, nullptr));
  const float nan = NAN, infinity = INFINITY;
  EXPECT_EQ(tern_generator_set_bias(made, changed, &nan, 1), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(tern_generator_set_bias(made, changed, &infinity, 1), TERN_ERR_INVALID_ARGUMENT);
}

// Guesses change nothing but the number of runs: neither greedy nor drawn, from the tokens themselves or from another
// model, up to the last position, nor what comes after tokens are fed or forgotten.
TEST_F(Language, GuessesChangeNothing) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  Context other_context = std::move(context);
  Model other_model = std::move(model);
  ASSERT_NO_FATAL_FAILURE(open("hf-llama", "f32"));
  const std::vector<int32_t> prompt = {5, 17, 40, 5, 17, 40, 5, 17, 40, 5, 17};
  const auto text = [&](int64_t look_ahead, float temperature, tern_model* draft, int64_t* made, int64_t* right) {
    tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
    options.look_ahead = look_ahead, options.temperature = temperature, options.seed = 5;
    tern_generator *g = nullptr, *d = nullptr;
    EXPECT_OK(tern_generator_create(model.get(), &options, &g));
    const Generator keep(g);
    options.look_ahead = 0, options.temperature = 0;
    if (draft) {
      EXPECT_OK(tern_generator_create(draft, &options, &d));
    }
    const Generator keep_draft(d);
    if (d) {
      EXPECT_OK(tern_generator_set_draft(g, d));
    }
    std::vector<int32_t> tokens;
    std::vector<float> last;
    const auto go_on = [&](int n) {
      for (int i = 0; i < n; ++i) {
        int32_t token = -1;
        EXPECT_OK(tern_generator_next(g, &token, nullptr));
        tokens.push_back(token);
      }
      const std::vector<float> logits = logits_of(g);
      last.insert(last.end(), logits.begin(), logits.end());
    };
    EXPECT_OK(tern_generator_feed(g, prompt.data(), (int64_t)prompt.size(), nullptr));
    go_on(60);
    EXPECT_OK(tern_generator_feed(g, prompt.data(), 1, nullptr));
    go_on(7);
    EXPECT_OK(tern_generator_truncate(g, 50));
    go_on(10);
    EXPECT_OK(tern_generator_feed(g, prompt.data(), (int64_t)prompt.size(), nullptr));
    for (int32_t token; tern_generator_length(g) < tern_generator_capacity(g);) {
      const tern_status s = tern_generator_next(g, &token, nullptr);
      EXPECT_OK(s);
      if (s) break;
      tokens.push_back(token);
    }
    EXPECT_OK(tern_generator_guesses(g, made, right));
    if (d) {
      EXPECT_OK(tern_generator_set_draft(g, nullptr));
    }
    return std::pair(tokens, last);
  };
  for (const float temperature : {0.0f, 0.3f, 1.0f}) {
    SCOPED_TRACE(temperature);
    int64_t made = -1, right = -1;
    const auto want = text(0, temperature, nullptr, &made, &right);
    EXPECT_EQ(made, 0);
    EXPECT_EQ(right, 0);
    EXPECT_EQ(want.first.size(), 60u + 7 + 10 + (size_t)(512 - 71));
    for (const int64_t n : {1, 4, 9}) {
      EXPECT_EQ(text(n, temperature, nullptr, &made, &right), want) << n;
      EXPECT_GT(made, 0);
      if (temperature == 0) {  // this model repeats itself
        EXPECT_GT(right, 100) << n;
      }
      EXPECT_EQ(text(n, temperature, model.get(), &made, &right), want) << n;
      if (temperature == 0) {  // it guesses what it is to guess
        EXPECT_GE(right, 440 * n / (n + 1)) << n;
      }
      EXPECT_EQ(text(n, temperature, other_model.get(), &made, &right), want) << n;
      EXPECT_LT(right, made) << n;
    }
  }
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  tern_generator* made = nullptr;
  options.look_ahead = 65;
  EXPECT_EQ(tern_generator_create(model.get(), &options, &made), TERN_ERR_INVALID_ARGUMENT);
  const Generator a = generator(), b = generator(), c = generator();
  EXPECT_EQ(tern_generator_set_draft(a.get(), a.get()), TERN_ERR_INVALID_ARGUMENT);
  ASSERT_OK(tern_generator_set_draft(a.get(), b.get()));
  EXPECT_EQ(tern_generator_set_draft(b.get(), c.get()), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(tern_generator_set_draft(c.get(), a.get()), TERN_ERR_INVALID_ARGUMENT);
  ASSERT_OK(tern_generator_set_draft(a.get(), nullptr));
  EXPECT_OK(tern_generator_set_draft(b.get(), c.get()));
  EXPECT_OK(tern_generator_set_draft(b.get(), nullptr));
}

// At the end of the context the first tokens and the younger half of the others stay, as if they had been all.
TEST_F(Language, Slides) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  options.when_full = TERN_WHEN_FULL_SLIDE, options.keep = 4;
  tern_generator* made = nullptr;
  ASSERT_OK(tern_generator_create(model.get(), &options, &made));
  const Generator g(made), other = generator();
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 512; ++i) tokens.push_back((11 * i + i / 7) % kVocabulary);
  ASSERT_OK(tern_generator_feed(made, tokens.data(), 512, nullptr));
  int32_t token = 0;
  ASSERT_OK(tern_generator_next(made, &token, nullptr));
  EXPECT_EQ(tern_generator_length(made), 4 + 254 + 1);
  std::vector<int32_t> left(tokens.begin(), tokens.begin() + 4);
  left.insert(left.end(), tokens.begin() + 258, tokens.end());
  ASSERT_OK(tern_generator_feed(other.get(), left.data(), (int64_t)left.size(), nullptr));
  int32_t same = 0;
  ASSERT_OK(tern_generator_next(other.get(), &same, nullptr));
  EXPECT_EQ(token, same);
  EXPECT_EQ(logits_of(made), logits_of(other.get()));
  // A prompt makes room for itself; one that is too long changes nothing.
  ASSERT_OK(tern_generator_feed(made, tokens.data(), 400, nullptr));
  EXPECT_EQ(tern_generator_length(made), 4 + 63 + 400);
  EXPECT_EQ(tern_generator_feed(made, tokens.data(), 509, nullptr), TERN_ERR_LIMIT);
  EXPECT_EQ(tern_generator_length(made), 4 + 63 + 400);
  ASSERT_OK(tern_generator_feed(made, tokens.data(), 508, nullptr));
  EXPECT_EQ(tern_generator_length(made), 512);
  options.keep = 511;
  EXPECT_EQ(tern_generator_create(model.get(), &options, &made), TERN_ERR_INVALID_ARGUMENT);
}

std::string temporary_file(const char* name) {
  return (std::filesystem::temp_directory_path() / (std::string("tern-") + std::to_string(getpid()) + name)).string();
}

std::vector<int32_t> tokens_of(tern_generator* g) {
  std::vector<int32_t> tokens((size_t)tern_generator_length(g));
  int64_t count = -1;
  EXPECT_OK(tern_generator_get_tokens(g, tokens.data(), (int64_t)tokens.size(), &count));
  EXPECT_EQ(count, (int64_t)tokens.size());
  return tokens;
}

// A generator that was saved goes on in another one to the same tokens and logits: whether it was saved after a prompt,
// after a choice, behind guesses or when tokens had slid away.
TEST_F(Language, SavedAndLoaded) {
  const std::string file = temporary_file("saved.session");
  for (const char* cache : {"f32", "int8"}) {
    ASSERT_NO_FATAL_FAILURE(open("llama", "f32", 1, cache));
    tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
    options.temperature = 0.8f, options.top_k = 20, options.top_p = 0.9f, options.min_p = 0.01f;
    options.repetition_penalty = 1.1f, options.seed = 9, options.look_ahead = 3;
    options.when_full = TERN_WHEN_FULL_SLIDE, options.keep = 4;
    const auto make = [&](const tern_generator_options* o) {
      tern_generator* made = nullptr;
      EXPECT_OK(tern_generator_create(model.get(), o, &made));
      return Generator(made);
    };
    const std::vector<int32_t> prompt = golden_tokens();
    const Generator g = make(&options);
    tern_generator_options other = TERN_GENERATOR_OPTIONS_INIT;
    other.when_full = TERN_WHEN_FULL_SLIDE, other.keep = 4;
    ASSERT_OK(tern_generator_feed(g.get(), prompt.data(), kTokens, nullptr));
    for (const int n : {0, 1, 2, 30, 60, 500}) {
      SCOPED_TRACE(n);
      int32_t token = 0;
      for (int i = 0; i < n; ++i) ASSERT_OK(tern_generator_next(g.get(), &token, nullptr));
      ASSERT_OK(tern_generator_save(g.get(), file.c_str(), "of the app", 10));
      const Generator h = make(&other);
      ASSERT_OK(tern_generator_feed(h.get(), prompt.data(), 7, nullptr));
      ASSERT_OK(tern_generator_next(h.get(), &token, nullptr));
      const void* data = nullptr;
      size_t bytes = 0;
      ASSERT_OK(tern_generator_load(h.get(), file.c_str(), &data, &bytes));
      EXPECT_EQ(std::string((const char*)data, bytes), "of the app");
      EXPECT_EQ(tokens_of(h.get()), tokens_of(g.get()));
      EXPECT_EQ(logits_of(h.get()), logits_of(g.get()));
      for (int i = 0; i < 40; ++i) {
        int32_t same = -1;
        ASSERT_OK(tern_generator_next(g.get(), &token, nullptr));
        ASSERT_OK(tern_generator_next(h.get(), &same, nullptr));
        ASSERT_EQ(same, token) << i;
      }
      EXPECT_EQ(logits_of(h.get()), logits_of(g.get()));
      // Other ways of choosing take the place of those in the file.
      ASSERT_OK(tern_generator_set_sampler(h.get(), &other));
      const std::vector<float> logits = logits_of(h.get());
      ASSERT_OK(tern_generator_next(h.get(), &token, nullptr));
      EXPECT_EQ(token, std::max_element(logits.begin(), logits.end()) - logits.begin());
    }
    // An empty one, too.
    ASSERT_OK(tern_generator_truncate(g.get(), 0));
    ASSERT_OK(tern_generator_save(g.get(), file.c_str(), nullptr, 0));
    const Generator h = make(nullptr);
    const void* data = nullptr;
    size_t bytes = 1;
    ASSERT_OK(tern_generator_load(h.get(), file.c_str(), &data, &bytes));
    EXPECT_EQ(bytes, 0u);
    int32_t token = 0;
    EXPECT_EQ(tern_generator_next(h.get(), &token, nullptr), TERN_ERR_STATE);
  }
  std::filesystem::remove(file);
}

// Each way of choosing is in the file, and a copy goes on as the one that it was made of, behind guesses and where
// tokens have slid away, too.
TEST_F(Language, WaysOfChoosingAreKept) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  const std::string file = temporary_file("ways.session");
  tern_generator_options greedy = TERN_GENERATOR_OPTIONS_INIT;
  greedy.when_full = TERN_WHEN_FULL_SLIDE, greedy.keep = 2;
  tern_generator_options ways[6] = {greedy, greedy, greedy, greedy, greedy, greedy};
  ways[0].temperature = 1;
  ways[1].temperature = 1, ways[1].top_k = 3;
  ways[2].temperature = 1, ways[2].top_p = 0.3f;
  ways[3].temperature = 1, ways[3].min_p = 0.3f;
  ways[4].temperature = 1, ways[4].seed = 4;
  ways[5].repetition_penalty = 1.2f;
  const int32_t first = 7;
  const auto make = [&](const tern_generator_options& o) {
    tern_generator* made = nullptr;
    EXPECT_OK(tern_generator_create(model.get(), &o, &made));
    return Generator(made);
  };
  const auto text = [](tern_generator* g, int count) {
    std::vector<int32_t> tokens((size_t)count);
    for (int32_t& t : tokens) EXPECT_OK(tern_generator_next(g, &t, nullptr));
    return tokens;
  };
  std::set<std::vector<int32_t>> all;
  for (tern_generator_options& o : ways) {
    const Generator g = make(o);
    ASSERT_OK(tern_generator_feed(g.get(), &first, 1, nullptr));
    ASSERT_OK(tern_generator_save(g.get(), file.c_str(), nullptr, 0));
    const std::vector<int32_t> want = text(g.get(), 30);
    EXPECT_TRUE(all.insert(want).second);
    const Generator h = make(greedy);
    const void* data = nullptr;
    size_t bytes = 0;
    ASSERT_OK(tern_generator_load(h.get(), file.c_str(), &data, &bytes));
    EXPECT_EQ(text(h.get(), 30), want);
  }
  std::filesystem::remove(file);

  ways[1].look_ahead = 3;
  const Generator g = make(ways[1]);
  const std::vector<int32_t> prompt = {5, 17, 40, 5, 17, 40, 5, 17, 40, 5, 17};
  ASSERT_OK(tern_generator_feed(g.get(), prompt.data(), (int64_t)prompt.size(), nullptr));
  for (const int count : {0, 1, 2, 3, 500, 50}) {
    text(g.get(), count);
    tern_generator *copy = nullptr, *second = nullptr;
    ASSERT_OK(tern_generator_fork(g.get(), &ways[1], &copy));
    const Generator keep(copy);
    EXPECT_EQ(logits_of(copy), logits_of(g.get()));
    ASSERT_OK(tern_generator_fork(copy, &ways[1], &second));
    const Generator keep_second(second);
    const std::vector<int32_t> want = text(g.get(), 20);
    EXPECT_EQ(text(copy, 20), want) << count;
    EXPECT_EQ(text(second, 20), want) << count;
    EXPECT_EQ(logits_of(second), logits_of(g.get()));
  }
}

// Files of other models and other files are refused by what is wrong with them, and nothing has changed.
TEST_F(Language, NotLoaded) {
  const std::string file = temporary_file("other.session");
  ASSERT_NO_FATAL_FAILURE(open("hf-llama", "f32"));
  const std::vector<int32_t> prompt = golden_tokens();
  const void* data = nullptr;
  size_t bytes = 7;
  {
    const Generator g = generator();
    ASSERT_OK(tern_generator_feed(g.get(), prompt.data(), 5, nullptr));
    ASSERT_OK(tern_generator_save(g.get(), file.c_str(), nullptr, 0));
  }
  const auto refused = [&](tern_status status, const char* why) {
    const Generator g = generator();
    ASSERT_OK(tern_generator_feed(g.get(), prompt.data(), 9, nullptr));
    const std::vector<float> before = logits_of(g.get());
    EXPECT_EQ(tern_generator_load(g.get(), file.c_str(), &data, &bytes), status);
    EXPECT_NE(std::string(tern_last_error_message()).find(why), std::string::npos) << tern_last_error_message();
    EXPECT_EQ(bytes, 7u);
    EXPECT_EQ(logits_of(g.get()), before);
    EXPECT_EQ(tokens_of(g.get()), std::vector<int32_t>(prompt.begin(), prompt.begin() + 9));
    int32_t token = 0;
    EXPECT_OK(tern_generator_next(g.get(), &token, nullptr));
  };
  ASSERT_NO_FATAL_FAILURE(open("hf-llama", "f16", 1, "f32"));
  refused(TERN_ERR_SHAPE, "its weights are not these");
  ASSERT_NO_FATAL_FAILURE(open("qwen3", "f32"));
  refused(TERN_ERR_SHAPE, "another model");
  ASSERT_NO_FATAL_FAILURE(open("hf-llama", "f32", 1, "int8"));
  refused(TERN_ERR_SHAPE, "another model");
  ASSERT_NO_FATAL_FAILURE(open("hf-llama", "f32"));
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 64);
  refused(TERN_ERR_CORRUPT, "bytes");
  std::filesystem::resize_file(file, 100);
  refused(TERN_ERR_CORRUPT, "100 bytes");
  std::filesystem::remove(file);
  refused(TERN_ERR_NOT_FOUND, "other.session");
  // The state alone.
  tern_state* state = nullptr;
  ASSERT_OK(tern_state_create(model.get(), &state));
  ASSERT_OK(tern_state_save(state, file.c_str()));
  refused(TERN_ERR_CORRUPT, "tern_state_load");
  const Generator g = generator();
  ASSERT_OK(tern_generator_save(g.get(), file.c_str(), nullptr, 0));
  EXPECT_EQ(tern_state_load(state, file.c_str()), TERN_ERR_CORRUPT);
  EXPECT_NE(std::string(tern_last_error_message()).find("tern_generator_load"), std::string::npos);
  tern_state_release(state);
  std::filesystem::remove(file);
}

// Several sequences of different lengths and with different ways of choosing, which share a beginning, join and leave:
// each has the tokens, the logits and the logarithms of probabilities that it has alone, in every bit.
TEST_F(Language, Batches) {
  struct Form {
    const char *name, *weights, *cache;
    int32_t threads;
  };
  for (const Form& form : {Form{"llama", "f32", "f32", 1}, Form{"hf-gemma3", "q8_0", "int8", 2},
                           Form{"bitnet-ternary", nullptr, "f16", 2}}) {
    SCOPED_TRACE(form.name);
    ASSERT_NO_FATAL_FAILURE(open(form.name, form.weights, form.threads, form.cache));
    constexpr int kSequences = 9, kSteps = 40;
    const auto options_of = [](int i) {
      tern_generator_options o = TERN_GENERATOR_OPTIONS_INIT;
      o.log_probabilities = 2;
      if (i % 3) o.temperature = 0.5f * (float)(i % 3), o.seed = (uint64_t)i;
      if (i == 4) o.repetition_penalty = 1.3f, o.top_k = 10;
      if (i == 5) o.when_full = TERN_WHEN_FULL_SLIDE, o.keep = 3;
      if (i == 7) o.look_ahead = 4;
      return o;
    };
    const std::vector<int32_t> shared = golden_tokens();  // of which some keep a part
    const auto prompt_of = [&](int i) {
      std::vector<int32_t> tokens(shared.begin(), shared.begin() + (i % 2 ? kTokens : 11));
      for (int k = 0; k < (i == 5 ? 465 : 1 + 13 * i); ++k) tokens.push_back((5 * k + 3 * i) % kVocabulary);
      return tokens;
    };
    const auto joins = [](int i) { return 2 * i; };
    const auto leaves = [](int i) { return i == 3 ? 12 : kSteps; };
    const auto note = [](tern_generator* g, std::vector<float>* logs) {
      const int32_t* list = nullptr;
      const float* values = nullptr;
      int64_t count = 0;
      EXPECT_OK(tern_generator_log_probabilities(g, &list, &values, &count));
      logs->insert(logs->end(), values, values + count);
    };
    struct Text {
      std::vector<int32_t> tokens;
      std::vector<float> logs, logits;
      bool operator==(const Text&) const = default;
    };
    std::vector<Text> alone, together((size_t)kSequences);
    for (int i = 0; i < kSequences; ++i) {
      const tern_generator_options o = options_of(i);
      tern_generator* made = nullptr;
      ASSERT_OK(tern_generator_create(model.get(), &o, &made));
      const Generator g(made);
      const std::vector<int32_t> prompt = prompt_of(i);
      ASSERT_OK(tern_generator_feed(made, prompt.data(), (int64_t)prompt.size(), nullptr));
      Text text;
      for (int step = joins(i); step < leaves(i); ++step) {
        text.tokens.push_back(-1);
        ASSERT_OK(tern_generator_next(made, &text.tokens.back(), nullptr));
        note(made, &text.logs);
      }
      text.logits = logits_of(made);
      alone.push_back(text);
    }

    const Generator first = generator();
    ASSERT_OK(tern_generator_feed(first.get(), shared.data(), kTokens, nullptr));
    std::vector<Generator> family((size_t)kSequences);
    for (int step = 0; step < kSteps; ++step) {
      std::vector<tern_generator*> list;
      std::vector<int> numbers;
      for (int i = 0; i < kSequences; ++i) {
        Generator& g = family[(size_t)i];
        if (step == joins(i)) {
          const tern_generator_options o = options_of(i);
          tern_generator* made = nullptr;
          ASSERT_OK(tern_generator_fork(first.get(), &o, &made));
          g.reset(made);
          const std::vector<int32_t> prompt = prompt_of(i);
          const int64_t same = i % 2 ? kTokens : 11;
          ASSERT_OK(tern_generator_truncate(made, same));
          ASSERT_OK(tern_generator_feed(made, prompt.data() + same, (int64_t)prompt.size() - same, nullptr));
        }
        if (step < joins(i) || step >= leaves(i)) continue;
        list.push_back(g.get()), numbers.push_back(i);
      }
      if (step % 2) std::reverse(list.begin(), list.end()), std::reverse(numbers.begin(), numbers.end());
      std::vector<int32_t> tokens(list.size(), -7), statuses(list.size(), -7);
      ASSERT_OK(tern_generator_next_batch(list.data(), (int32_t)list.size(), tokens.data(), statuses.data(), nullptr));
      for (size_t k = 0; k < list.size(); ++k) {
        EXPECT_EQ(statuses[k], TERN_OK);
        Text& text = together[(size_t)numbers[k]];
        text.tokens.push_back(tokens[k]);
        note(list[k], &text.logs);
      }
    }
    for (int i = 0; i < kSequences; ++i) {
      together[(size_t)i].logits = logits_of(family[(size_t)i].get());
      EXPECT_TRUE(together[(size_t)i] == alone[(size_t)i]) << i;
    }
    // What they share was not written by them; one that is alone again goes on.
    EXPECT_EQ(tokens_of(first.get()), shared);
    const Generator other = generator();
    ASSERT_OK(tern_generator_feed(other.get(), shared.data(), kTokens, nullptr));
    EXPECT_EQ(logits_of(first.get()), logits_of(other.get()));
    EXPECT_NE(together[0].tokens, together[1].tokens);
  }
}

// In a batch each has its own end; what cannot be is refused, and a call that is stopped changes nothing.
TEST_F(Language, BatchesThatEnd) {
  ASSERT_NO_FATAL_FAILURE(open("llama", "f32"));
  const std::vector<int32_t> prompt = golden_tokens();
  const Generator a = generator(), stranger = generator();
  ASSERT_OK(tern_generator_feed(a.get(), prompt.data(), 5, nullptr));
  const auto fork = [&] {
    tern_generator* made = nullptr;
    EXPECT_OK(tern_generator_fork(a.get(), nullptr, &made));
    return Generator(made);
  };
  const Generator empty = fork(), full = fork(), forbidden = fork();
  ASSERT_OK(tern_generator_truncate(empty.get(), 0));
  std::vector<int32_t> many(507, 3), all((size_t)kVocabulary);
  ASSERT_OK(tern_generator_feed(full.get(), many.data(), 507, nullptr));
  for (int32_t t = 0; t < kVocabulary; ++t) all[(size_t)t] = t;
  const std::vector<float> never((size_t)kVocabulary, -INFINITY);
  ASSERT_OK(tern_generator_set_bias(forbidden.get(), all.data(), never.data(), kVocabulary));
  tern_generator* list[] = {empty.get(), full.get(), a.get(), forbidden.get()};
  int32_t tokens[4] = {9, 9, 9, 9}, statuses[4] = {9, 9, 9, 9}, want = 0;
  const Generator alone = fork();
  ASSERT_OK(tern_generator_next(alone.get(), &want, nullptr));
  ASSERT_OK(tern_generator_next_batch(list, 4, tokens, statuses, nullptr));
  const int32_t expected[] = {TERN_ERR_STATE, TERN_ERR_LIMIT, TERN_OK, TERN_ERR_STATE};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(statuses[i], expected[i]) << i;
    EXPECT_EQ(tokens[i], i == 2 ? want : -1) << i;
  }
  // None of them can go on: that is no error of the call.
  ASSERT_OK(tern_generator_next_batch(list, 2, tokens, statuses, nullptr));
  EXPECT_EQ(statuses[1], TERN_ERR_LIMIT);

  const auto refused = [&](tern_generator* x, tern_generator* y, const char* why) {
    tern_generator* two[] = {x, y};
    tokens[0] = statuses[0] = 9;
    EXPECT_EQ(tern_generator_next_batch(two, 2, tokens, statuses, nullptr), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_NE(std::string(tern_last_error_message()).find(why), std::string::npos) << tern_last_error_message();
    EXPECT_TRUE(tokens[0] == 9 && statuses[0] == 9);
  };
  refused(a.get(), stranger.get(), "tern_generator_fork");
  refused(a.get(), a.get(), "twice");
  refused(a.get(), nullptr, "NULL");
  EXPECT_EQ(tern_generator_set_draft(a.get(), full.get()), TERN_ERR_INVALID_ARGUMENT);
  tern_run_options run = TERN_RUN_OPTIONS_INIT;
  tern_cancel* cancel = nullptr;
  ASSERT_OK(tern_cancel_create(&cancel));
  tern_cancel_signal(cancel);
  run.cancel = cancel;
  tern_generator* two[] = {a.get(), alone.get()};
  EXPECT_EQ(tern_generator_next_batch(two, 2, tokens, statuses, &run), TERN_ERR_CANCELLED);
  EXPECT_EQ(tern_generator_length(a.get()), 6);
  tern_cancel_release(cancel);
  ASSERT_OK(tern_generator_next_batch(two, 2, tokens, statuses, nullptr));
  EXPECT_EQ(tokens[0], tokens[1]);  // both have the same tokens
  // Also where the last ones were forgotten.
  for (tern_generator* g : two) ASSERT_OK(tern_generator_truncate(g, 5));
  ASSERT_OK(tern_generator_next_batch(two, 2, tokens, statuses, nullptr));
  EXPECT_TRUE(tokens[0] == want && tokens[1] == want);
}

// A vocabulary of the characters of ASCII from the space on, and the end.
struct Answers : Language {
  std::unique_ptr<tern_tokenizer, Release<tern_tokenizer_release>> tokenizer;
  Generator g;
  static constexpr int32_t kEnd = 95;

  void begin(const char* name, uint64_t seed) {
    ASSERT_NO_FATAL_FAILURE(open(name, "f32"));
    std::string json =
        R"({"added_tokens":[{"id":95,"content":"</s>","special":true,"single_word":false,"lstrip":false,)"
        R"("rstrip":false,"normalized":false}],"decoder":{"type":"Fuse"},"model":{"type":"BPE","merges":[],"vocab":{)";
    for (int32_t t = 0; t < kEnd; ++t) {
      const char c = (char)(' ' + t);
      json += (t ? ",\"" : "\"") + std::string(c == '"' || c == '\\' ? "\\" : "") + c + "\":" + std::to_string(t);
    }
    json += ",\"</s>\":95}}}";
    tern_tokenizer* t = nullptr;
    ASSERT_OK(tern_tokenizer_create(json.data(), json.size(), &t));
    tokenizer.reset(t);
    tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
    options.temperature = 3, options.seed = seed;
    tern_generator* made = nullptr;
    ASSERT_OK(tern_generator_create(model.get(), &options, &made));
    g.reset(made);
    const int32_t first = 7;
    ASSERT_OK(tern_generator_feed(made, &first, 1, nullptr));
  }
  tern_status set(int32_t kind, const std::string& text, int64_t most = 0) {
    return tern_generator_set_grammar(g.get(), tokenizer.get(), kind, text.data(), text.size(), most);
  }
  // To its end; that is no part of it.
  std::string answer() {
    std::string text;
    for (int32_t token = 0;;) {
      const tern_status s = tern_generator_next(g.get(), &token, nullptr);
      if (s != TERN_OK) return text + " " + tern_last_error_message();
      if (token == kEnd) return text;
      text += (char)(' ' + token);
    }
  }
};

TEST_F(Answers, FollowTheGrammar) {
  std::set<std::string> found;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    ASSERT_NO_FATAL_FAILURE(begin("llama", seed));
    ASSERT_OK(set(TERN_GRAMMAR_GBNF, "root ::= (\"yes\" | \"no\") \"!\"{1,3}"));
    const std::string text = answer();
    found.insert(text);
    const size_t n = text[0] == 'y' ? 3 : 2;
    EXPECT_TRUE(text.substr(0, n) == "yes" || text.substr(0, n) == "no") << text;
    EXPECT_TRUE(text.size() > n && text.size() <= n + 3 && text.find_first_not_of('!', n) == text.npos) << text;
    int32_t token = 0;
    EXPECT_EQ(tern_generator_next(g.get(), &token, nullptr), TERN_ERR_STATE);  // it has ended
    // Back within the answer, it goes on from there; a new prompt begins another one.
    ASSERT_OK(tern_generator_truncate(g.get(), 1 + (int64_t)n));
    EXPECT_EQ(answer().substr(0, 1), "!");
    ASSERT_OK(tern_generator_feed(g.get(), &token, 1, nullptr));
    EXPECT_NE(answer().find_first_of("yn"), std::string::npos);
    // A wrong one leaves the one of before.
    EXPECT_EQ(set(TERN_GRAMMAR_GBNF, "root ::= x"), TERN_ERR_CORRUPT);
    EXPECT_EQ(set(7, "root ::= \"x\""), TERN_ERR_INVALID_ARGUMENT);
    ASSERT_OK(tern_generator_feed(g.get(), &token, 1, nullptr));
    EXPECT_NE(answer().find('!'), std::string::npos);
    ASSERT_OK(set(TERN_GRAMMAR_NONE, ""));
    ASSERT_OK(tern_generator_next(g.get(), &token, nullptr));
    // What no token can write is an error, not another text.
    ASSERT_OK(set(TERN_GRAMMAR_GBNF, "root ::= \"\\n\""));
    EXPECT_EQ(tern_generator_next(g.get(), &token, nullptr), TERN_ERR_UNSUPPORTED);
  }
  EXPECT_GT(found.size(), 1u);
}

// A text of a grammar goes on within it after a load, where the same grammar is set.
TEST_F(Answers, GoOnAfterALoad) {
  const std::string file = temporary_file("answer.session");
  const char* rules = "root ::= [a-c]{20} \"!\"";
  ASSERT_NO_FATAL_FAILURE(begin("llama", 3));
  ASSERT_OK(set(TERN_GRAMMAR_GBNF, rules));
  int32_t token = 0;
  for (int i = 0; i < 8; ++i) ASSERT_OK(tern_generator_next(g.get(), &token, nullptr));
  ASSERT_OK(tern_generator_save(g.get(), file.c_str(), nullptr, 0));
  const std::string want = answer();
  EXPECT_EQ(want.size(), 13u) << want;
  const void* data = nullptr;
  size_t bytes = 0;
  g = generator();
  ASSERT_OK(set(TERN_GRAMMAR_GBNF, rules));
  ASSERT_OK(tern_generator_load(g.get(), file.c_str(), &data, &bytes));
  EXPECT_EQ(answer(), want);
  // Back to before the load.
  ASSERT_OK(tern_generator_truncate(g.get(), 3));
  EXPECT_EQ(answer().size(), 19u);
  g = generator();
  ASSERT_OK(set(TERN_GRAMMAR_GBNF, "root ::= [x-z]+"));
  EXPECT_EQ(tern_generator_load(g.get(), file.c_str(), &data, &bytes), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(tern_generator_length(g.get()), 0);
  // Where none is set, nothing is left of it.
  g = generator();
  ASSERT_OK(tern_generator_load(g.get(), file.c_str(), &data, &bytes));
  ASSERT_OK(tern_generator_next(g.get(), &token, nullptr));
  std::filesystem::remove(file);
}

TEST_F(Answers, CloseTheJsonInTime) {
  const std::string schema =
      R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"string"}},"b":{"type":"integer"}},)"
      R"("required":["a","b"]})";
  std::set<size_t> sizes;
  for (const int64_t most : {16, 17, 20, 30, 60}) {
    ASSERT_NO_FATAL_FAILURE(begin("qwen3", (uint64_t)most));
    ASSERT_OK(set(TERN_GRAMMAR_JSON_SCHEMA, schema, most));
    const std::string text = answer();
    sizes.insert(text.size());
    EXPECT_LT(text.size(), (size_t)most) << text;
    EXPECT_EQ(text.front(), '{') << text;
    EXPECT_EQ(text.back(), '}') << text;
    EXPECT_NE(text.find("\"a\":"), text.npos) << text;
    EXPECT_NE(text.find("\"b\":"), text.npos) << text;
  }
  EXPECT_GT(sizes.size(), 2u);
  EXPECT_EQ(set(TERN_GRAMMAR_JSON_SCHEMA, R"({"items":{"multipleOf":2}})"), TERN_ERR_UNSUPPORTED);
  EXPECT_NE(std::strstr(tern_last_error_message(), "'/items'"), nullptr) << tern_last_error_message();
  // The end of the context counts as well.
  ASSERT_OK(set(TERN_GRAMMAR_NONE, ""));
  std::vector<int32_t> many(480, 3);
  ASSERT_OK(tern_generator_truncate(g.get(), 0));
  ASSERT_OK(tern_generator_feed(g.get(), many.data(), 480, nullptr));
  ASSERT_OK(set(TERN_GRAMMAR_JSON_SCHEMA, schema));
  EXPECT_EQ(answer().back(), '}');
}

}  // namespace
}  // namespace tern::test
