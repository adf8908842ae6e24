// SPDX-License-Identifier: Apache-2.0
// Small random language models of GGUF files and of Hugging Face folders, against transformers (language_goldens.py).
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

  void open(const char* name, const char* weights, int32_t threads = 1, const char* cache = nullptr) {
    model.reset(), context.reset();
    std::string folder = (std::filesystem::temp_directory_path() / "tern-language-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(folder.data()));
    tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
    options.weights = weights, options.cache = cache;
    const std::string file = folder + "/m.tern";
    const std::string source = std::strncmp(name, "hf-", 3) == 0 ? golden(name) : golden(std::string(name) + ".gguf");
    ASSERT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_OK) << tern_import_error();
    ASSERT_NO_FATAL_FAILURE(load(file, threads, &context, &model));
    std::filesystem::remove_all(folder);
    ASSERT_TRUE(read_npy(golden(std::string(name) + ".npy"), &want));
    ASSERT_EQ(want.size(), (size_t)kTokens * kVocabulary);
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
  for (const char* weights : {"f32", "f16", "q8_0"})
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
    const char *weights, *cache;
    double bound;
  } forms[] = {{"f16", nullptr, 2e-3}, {"q8_0", nullptr, 0.05}, {"f32", "f16", 2e-3}, {"f32", "int8", 0.05}};
  std::vector<float> before;
  for (const auto& [weights, cache, bound] : forms) {
    ASSERT_NO_FATAL_FAILURE(open(GetParam(), weights, 1, cache));
    const Generator g = generator();
    const std::vector<int32_t> tokens = golden_tokens();
    ASSERT_OK(tern_generator_feed(g.get(), tokens.data(), kTokens, nullptr));
    const std::vector<float> got = logits_of(g.get());
    EXPECT_LT(distance(got.data(), want.data() + (kTokens - 1) * kVocabulary, kVocabulary), bound)
        << weights << " " << (cache ? cache : "");
    EXPECT_NE(got, before);
    before = got;
  }
}

std::string test_name(const testing::TestParamInfo<const char*>& i) {
  std::string name = i.param;
  std::erase_if(name, [](char c) { return !std::isalnum((unsigned char)c); });
  return name;
}
INSTANTIATE_TEST_SUITE_P(Families, Language, testing::Values("llama", "qwen2", "qwen3", "gemma3", "bitnet-b1.58"),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Folders, Language,
                         testing::Values("hf-llama", "hf-llama-f32", "hf-mistral", "hf-qwen2", "hf-qwen3", "hf-gemma3",
                                         "hf-bitnet", "hf-bitnet-multiply", "hf-bitnet-divide", "hf-bitnet-online"),
                         test_name);

// Models whose projections are ternary are stored so and round what these read to 8 bits, unless other weights are asked
// for. Their embeddings are such that 8 bits hold them exactly.
TEST_F(Language, TernaryProjections) {
  for (const char* name : {"bitnet-ternary", "hf-bitnet-multiply", "hf-bitnet-divide", "hf-bitnet-online"}) {
    SCOPED_TRACE(name);
    ASSERT_NO_FATAL_FAILURE(open(name, nullptr, 1, "f32"));
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

}  // namespace
}  // namespace tern::test
