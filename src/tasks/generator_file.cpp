// SPDX-License-Identifier: Apache-2.0
// Generators in files: those of their states (runtime/state_file.cpp), and behind them, little-endian
//
//   0  u64      checksum of the checksums of the model's weights
//   8  i64      tokens that slid away
//  16  u64      the sampler: seed
//  24  f32      temperature, top_p, min_p, repetition_penalty
//  40  i32      top_k
//  44  u32      0
//  48  u64      numbers of tokens, and of those that are an answer of a grammar so far
//  64  i32      these tokens, then those of the answer
// and to the end of the file the bytes of whoever saved it.
#include <cinttypes>
#include <cstring>

#include "format/checksum.h"
#include "tasks/generator.h"
#include "text/grammar.h"

namespace tern {
namespace {

struct Record {
  uint64_t weights = 0;
  int64_t gone = 0;
  uint64_t seed = 0;
  float temperature = 0, top_p = 0, min_p = 0, repetition_penalty = 0;
  int32_t top_k = 0;
  uint32_t reserved = 0;
  uint64_t tokens = 0, answer = 0;
};
static_assert(sizeof(Record) == 64);

uint64_t weights_of(const ModelDef& model) {
  std::string sums;
  for (const Parameter& p : model.parameters) sums.append((const char*)&p.checksum, sizeof p.checksum);
  return checksum64(sums.data(), sums.size());
}

bool within(float x, float least, float most) { return x >= least && x <= most; }

}  // namespace

tern_status Generator::save(const char* path, std::string_view more) {
  TERN_TRY(drop_guesses());
  const SamplerOptions& o = sampler_.options();
  const Record r = {weights_of(session_->model().def()),
                    gone_,
                    o.seed,
                    o.temperature,
                    o.top_p,
                    o.min_p,
                    o.repetition_penalty,
                    o.top_k,
                    0,
                    tokens_.size(),
                    answer_.size()};
  std::string bytes((const char*)&r, sizeof r);
  const auto add = [&](int32_t token) { bytes.append((const char*)&token, sizeof token); };
  for (const int64_t t : tokens_) add((int32_t)t);
  for (const uint32_t t : answer_) add((int32_t)t);
  return state_->save(path, bytes.append(more));
}

tern_status Generator::load(const char* path, std::string* more) {
  Ref<State> state;
  TERN_TRY(State::create(session_->model(), &state));
  std::string bytes;
  TERN_TRY(state->load(path, &bytes));
  Record r;
  if (bytes.size() >= sizeof r) std::memcpy(&r, bytes.data(), sizeof r);
  if (bytes.size() >= sizeof r && r.weights != weights_of(session_->model().def()))
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: the session of another model: its weights are not these", path);
  const uint64_t most = bytes.size() < sizeof r ? 0 : (bytes.size() - sizeof r) / sizeof(int32_t);
  bool right = bytes.size() >= sizeof r && r.gone >= 0 && r.gone <= INT64_MAX / 2 && r.top_k >= 0 && r.reserved == 0 &&
               within(r.temperature, 0, 1000) && within(r.top_p, 0, 1) && within(r.min_p, 0, 1) &&
               within(r.repetition_penalty, 0.01f, 100) && r.tokens <= most && r.answer <= most - r.tokens &&
               r.tokens <= (uint64_t)capacity_ && state->length() <= (int64_t)r.tokens;
  const auto token = [&](uint64_t i) {
    int32_t t;
    std::memcpy(&t, bytes.data() + sizeof r + sizeof t * i, sizeof t);
    return t;
  };
  const uint64_t count = right ? r.tokens + r.answer : 0;
  for (uint64_t i = 0; i < count; ++i) right = right && token(i) >= 0 && token(i) < vocabulary_;
  if (!right) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the session contradicts itself", path);
  std::vector<int64_t> tokens((size_t)r.tokens);
  for (uint64_t i = 0; i < r.tokens; ++i) tokens[(size_t)i] = token(i);
  std::unique_ptr<tokens::Matcher> matcher;
  std::vector<uint32_t> answer;
  if (matcher_) {
    matcher = std::make_unique<tokens::Matcher>(grammar_, trie_);
    answer.resize((size_t)r.answer);
    for (uint64_t i = 0; i < r.answer; ++i)
      if (!matcher->accept(answer[(size_t)i] = (uint32_t)token(r.tokens + i)))
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: its text is none of the grammar that is set", path);
  }
  *more = bytes.substr(sizeof r + sizeof(int32_t) * (size_t)count);
  // From here on nothing fails.
  state_ = std::move(state);
  logits_ = {};
  guesses_behind_.clear();
  tokens_.swap(tokens), answer_.swap(answer), matcher_.swap(matcher);
  gone_ = r.gone;
  SamplerOptions o;
  o.temperature = r.temperature, o.top_k = r.top_k, o.top_p = r.top_p, o.min_p = r.min_p;
  o.repetition_penalty = r.repetition_penalty, o.seed = r.seed;
  sampler_ = Sampler(o);
  return TERN_OK;
}

}  // namespace tern
