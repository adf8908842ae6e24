// SPDX-License-Identifier: Apache-2.0
#include "tasks/generator.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <limits>

#include "text/grammar.h"

namespace tern {
namespace {

// Rows of a prompt that are computed at a time: enough for products at full speed, little memory.
constexpr int64_t kChunk = 256;
// Guesses are what followed the last tokens when they were there before: so many of them, or the fewer.
constexpr size_t kLongest = 3, kShortest = 2;

// The signature of this name, which takes `inputs` and gives f32 [.., vocabulary].
tern_status find(const ModelDef& def, const char* name, size_t inputs, int32_t* index) {
  for (size_t i = 0; i < def.signatures.size(); ++i) {
    const Signature& s = def.signatures[i];
    if (s.name != name) continue;
    const Graph& g = s.graph;
    if (g.inputs.size() != inputs || g.outputs.size() != 1 || s.sequence_input != 1 || s.position_input != 2) break;
    const Value &tokens = g.value(g.inputs[0]), &y = g.value(g.outputs[0]);
    if (tokens.dtype != TERN_DTYPE_I64 || tokens.shape.rank != 1 || y.dtype != TERN_DTYPE_F32 || y.shape.rank != 2)
      break;
    if (inputs > 3 && (g.value(g.inputs[3]).dtype != TERN_DTYPE_I64 || g.value(g.inputs[3]).shape.rank != 1)) break;
    *index = (int32_t)i;
    return TERN_OK;
  }
  return TERN_FAIL(TERN_ERR_UNSUPPORTED, "this is no language model: it has no signature '%s' of tokens and logits",
                   name);
}

}  // namespace

Generator::~Generator() {
  if (draft_) --draft_->serves_;
}

tern_status Generator::create(const Model& model, const Options& options, std::unique_ptr<Generator>* out) {
  std::unique_ptr<Generator> g(new Generator);
  const ModelDef& def = model.def();
  TERN_TRY(find(def, "prefill", 4, &g->prefill_));
  TERN_TRY(find(def, "decode", 3, &g->decode_));
  const Signature &prefill = def.signatures[(size_t)g->prefill_], &decode = def.signatures[(size_t)g->decode_];
  g->vocabulary_ = decode.graph.value(decode.graph.outputs[0]).shape[1];
  g->capacity_ = decode.capacity;
  if (prefill.graph.value(prefill.graph.outputs[0]).shape[1] != g->vocabulary_ || prefill.capacity != g->capacity_ ||
      g->vocabulary_ > INT32_MAX)
    return TERN_FAIL(TERN_ERR_CORRUPT, "the signatures 'prefill' and 'decode' do not fit together");
  TERN_TRY(g->set_options(options));
  Session::Options session;
  session.backends = options.backends;
  std::unique_ptr<Session> made;
  TERN_TRY(Session::create(model, session, &made));
  g->session_ = std::move(made);
  TERN_TRY(State::create(model, &g->state_));
  *out = std::move(g);
  return TERN_OK;
}

tern_status Generator::set_options(const Options& options) {
  sampler_ = Sampler(options.sampler);
  slide_ = options.slide, keep_ = options.keep, num_log_ = options.log_probabilities;
  look_ahead_ = options.look_ahead;
  if (slide_ && (keep_ < 0 || keep_ > capacity_ - 2))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "keep is %" PRId64 ": of the %" PRId64 " positions of the model two at least must be left", keep_,
                     capacity_);
  return TERN_OK;
}

tern_status Generator::fork(const Options& options, std::unique_ptr<Generator>* out) const {
  std::unique_ptr<Generator> g(new Generator);
  g->prefill_ = prefill_, g->decode_ = decode_, g->vocabulary_ = vocabulary_, g->capacity_ = capacity_;
  TERN_TRY(g->set_options(options));
  TERN_TRY(state_->fork(&g->state_));  // what is behind the tokens goes with the next one
  g->session_ = session_;
  g->tokens_ = tokens_, g->gone_ = gone_;
  g->logits_ = logits_, g->row_ = row_;
  *out = std::move(g);
  return TERN_OK;
}

tern_status Generator::run(std::span<const Part> parts, const RunControl& control) {
  const Generator& first = *parts[0].generator;
  std::vector<State*> states;
  std::vector<int64_t> counts;
  int64_t rows = 0, wanted = 0;
  for (const Part& p : parts) {
    states.push_back(p.generator->state_.get());
    counts.push_back((int64_t)p.tokens.size());
    rows += (int64_t)p.tokens.size(), wanted += p.wanted;
  }
  Context& context = first.session_->model().context();
  Ref<Tensor> tokens, picked;
  TERN_TRY(Tensor::create(context, TERN_DTYPE_I64, {rows}, &tokens));
  TERN_TRY(Tensor::create(context, TERN_DTYPE_I64, {wanted}, &picked));
  int64_t *token = (int64_t*)tokens->data(), *pick = (int64_t*)picked->data(), end = 0;
  for (const Part& p : parts) {
    token = std::copy(p.tokens.begin(), p.tokens.end(), token);
    end += (int64_t)p.tokens.size();
    for (int64_t i = p.wanted; i > 0; --i) *pick++ = end - i;
  }
  // Where there are guesses, the rows that fill up the plan need no logits.
  const bool all = wanted == rows && (int64_t)parts.size() == rows;
  const Tensor *inputs[] = {tokens.get(), nullptr, nullptr, picked.get()}, *result = nullptr;
  TERN_TRY(first.session_->run_sequences(all ? first.decode_ : first.prefill_, states, counts,
                                         std::span(inputs).first(all ? 3 : 4), {&result, 1}, control));
  const Ref<const Tensor> logits = Ref<const Tensor>::adopt(result);
  if (logits->dtype() != TERN_DTYPE_F32 || !(logits->shape() == Shape{wanted, first.vocabulary_}))
    return TERN_FAIL(TERN_ERR_CORRUPT, "the model gives %s%s as logits, its file says f32[%" PRId64 ", %" PRId64 "]",
                     dtype_name(logits->dtype()), to_string(logits->shape()).c_str(), wanted, first.vocabulary_);
  int64_t row = 0;
  for (const Part& p : parts) {
    if (p.wanted == 0) continue;
    p.generator->logits_ = logits, p.generator->row_ = row;
    row += p.wanted;
  }
  return TERN_OK;
}

tern_status Generator::set_draft(Generator* draft, std::vector<bool> known) {
  if (draft && (is_family(*draft) || (known.empty() && draft->vocabulary_ != vocabulary_)))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "a model that guesses is another one of the same vocabulary: %" PRId64 " tokens, it has %" PRId64,
                     vocabulary_, draft->vocabulary_);
  if (draft && (draft->draft_ || serves_))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "a generator that guesses for another one has none that guesses for it");
  if (draft_) --draft_->serves_;
  if (draft) ++draft->serves_;
  draft_ = draft, known_ = std::move(known);
  return TERN_OK;
}

// What may follow the tokens: nothing, or look_ahead_ guesses_behind_. They only save time, so a draft that cannot go
// on gives none; Ctrl-C and a deadline are the caller's.
tern_status Generator::guess(const RunControl& control) {
  guesses_behind_.clear();
  const size_t length = tokens_.size(), count = (size_t)look_ahead_;
  if (count == 0 || length + count > (size_t)capacity_) return TERN_OK;
  if (draft_) {
    Generator& d = *draft_;
    if (length + count > (size_t)d.capacity_) return TERN_OK;
    size_t same = 0;
    while (same < length && same < d.tokens_.size() && d.tokens_[same] == tokens_[same]) ++same;
    TERN_TRY(d.truncate((int64_t)same));
    tern_status s = d.feed(std::span(tokens_).subspan(same), control);
    struct Narrow {
      Generator& draft;
      ~Narrow() { draft.allowed_ = nullptr; }
    } const narrow = {d};
    d.allowed_ = known_.empty() ? nullptr : &known_;
    for (int64_t token; s == TERN_OK && guesses_behind_.size() < count;)
      if ((s = d.next(control, &token)) == TERN_OK) guesses_behind_.push_back(token);
    if (s == TERN_ERR_CANCELLED || s == TERN_ERR_DEADLINE) return guesses_behind_.clear(), s;
    if (s != TERN_OK) guesses_behind_.clear();
    return TERN_OK;
  }
  for (size_t n = kLongest; n >= kShortest; --n)
    for (size_t end = length - 1; length > n && end >= n; --end) {  // tokens [end - n, end) are the last n again
      if (!std::equal(tokens_.end() - (ptrdiff_t)n, tokens_.end(), tokens_.begin() + (ptrdiff_t)(end - n))) continue;
      for (size_t i = 0; i < count; ++i)
        guesses_behind_.push_back(end + i < length ? tokens_[end + i] : guesses_behind_[end + i - length]);
      return TERN_OK;
    }
  return TERN_OK;
}

tern_status Generator::drop_guesses() {
  guesses_behind_.clear();
  if (state_->length() <= (int64_t)tokens_.size()) return TERN_OK;
  return state_->truncate((int64_t)tokens_.size());
}

// Brings the state to the end of the tokens.
tern_status Generator::catch_up(const RunControl& control) {
  if (tokens_.empty()) return TERN_FAIL(TERN_ERR_STATE, "there is no token to go on from: feed some first");
  while (state_->length() < (int64_t)tokens_.size()) {
    const int64_t at = state_->length(), left = (int64_t)tokens_.size() - at;
    const int64_t n = left < kChunk ? left : kChunk;
    const auto chunk = std::span(tokens_).subspan((size_t)at, (size_t)n);
    if (left == 1) TERN_TRY(guess(control));
    if (left > 1 || guesses_behind_.empty()) {
      const Part part = {this, chunk, 1};
      TERN_TRY(run({&part, 1}, control));
      continue;
    }
    std::vector<int64_t> rows(chunk.begin(), chunk.end());
    rows.insert(rows.end(), guesses_behind_.begin(), guesses_behind_.end());
    const Part part = {this, rows, 1 + look_ahead_};
    if (const tern_status s = run({&part, 1}, control); s != TERN_OK) {
      guesses_behind_.clear();
      return s;
    }
    guesses_ += look_ahead_;
  }
  return TERN_OK;
}

tern_status Generator::feed(std::span<const int64_t> tokens, const RunControl& control) {
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocabulary_)
      return TERN_FAIL(TERN_ERR_INDEX, "token %zu is %" PRId64 ", the vocabulary has %" PRId64, i, tokens[i],
                       vocabulary_);
  if (tokens.empty()) return TERN_OK;
  TERN_TRY(drop_guesses());
  struct Undo {  // of all but what slid out of the state; also where there is no memory
    Generator* g;
    int64_t length, gone = g->gone_;
    std::vector<int64_t> old = {};
    ~Undo() {
      if (!g) return;
      if (old.empty()) {
        g->tokens_.resize((size_t)length);
      } else {
        g->tokens_ = std::move(old), g->gone_ = gone, length = 0;
      }
      g->logits_ = {};
      if (g->state_->length() > length) (void)g->state_->truncate(length);
    }
  } undo = {this, (int64_t)tokens_.size()};
  if (tokens.size() > (size_t)(capacity_ - undo.length)) {
    std::vector<int64_t> old = tokens_;
    const tern_status s =
        slide_ ? make_room((int64_t)tokens.size())
               : TERN_FAIL(TERN_ERR_LIMIT, "%zu tokens after %zu are more than the %" PRId64 " positions of the model",
                           tokens.size(), tokens_.size(), capacity_);
    if (s != TERN_OK) return undo.g = nullptr, s;
    undo.old = std::move(old);
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  TERN_TRY(catch_up(control));
  undo.g = nullptr;
  answer_.clear();
  if (matcher_) matcher_->reset();
  return TERN_OK;
}

// Lets tokens slide away until there is room for so many more.
tern_status Generator::make_room(int64_t count) {
  const int64_t length = (int64_t)tokens_.size();
  int64_t left = length;
  if (count > capacity_ - std::min(keep_, length))
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "%" PRId64 " tokens behind the %" PRId64 " that are kept are more than the %" PRId64
                     " positions of the model",
                     count, std::min(keep_, length), capacity_);
  while (left + count > capacity_) left -= (left - keep_ + 1) / 2;
  if (left == length) return TERN_OK;
  guesses_behind_.clear();
  TERN_TRY(state_->truncate(std::min(state_->length(), keep_)));
  tokens_.erase(tokens_.begin() + keep_, tokens_.begin() + keep_ + (length - left));
  gone_ += length - left;
  logits_ = {};
  return TERN_OK;
}

tern_status Generator::set_grammar(std::shared_ptr<const tokens::Grammar> grammar,
                                   std::shared_ptr<const tokens::Tokenizer> tokenizer, int64_t most_tokens) {
  if (grammar && tokenizer != tokenizer_) {
    trie_ = std::make_shared<tokens::TokenTrie>(*tokenizer, (uint32_t)vocabulary_);
    tokenizer_ = std::move(tokenizer);
  }
  matcher_ = grammar ? std::make_unique<tokens::Matcher>(grammar, trie_) : nullptr;
  grammar_ = std::move(grammar);
  most_tokens_ = most_tokens;
  answer_.clear();
  return TERN_OK;
}

tern_status Generator::set_bias(std::span<const int32_t> tokens, std::span<const float> values) {
  std::vector<std::pair<int32_t, float>> bias;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= vocabulary_)
      return TERN_FAIL(TERN_ERR_INDEX, "token %zu is %d, the vocabulary has %" PRId64, i, tokens[i], vocabulary_);
    if (values[i] != values[i] || values[i] == std::numeric_limits<float>::infinity())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the bias of token %d is %g: a number or -infinity is needed",
                       tokens[i], (double)values[i]);
    bias.push_back({tokens[i], values[i]});
  }
  bias_ = std::move(bias);
  return TERN_OK;
}

// Logits to choose from: own_.
tern_status Generator::restrict(std::span<const float> given) {
  constexpr float kNot = std::numeric_limits<float>::quiet_NaN();
  own_.assign(given.begin(), given.end());
  for (const auto& b : bias_) {
    float& x = own_[(size_t)b.first];
    x = std::isinf(b.second) ? kNot : x + b.second;
  }
  for (size_t t = 0; allowed_ && t < own_.size(); ++t)
    if (!(*allowed_)[t]) own_[t] = kNot;
  if (matcher_) {
    int64_t left = most_tokens_ > 0 ? std::max<int64_t>(most_tokens_ - (int64_t)answer_.size(), 0) : -1;
    if (!slide_ && (left < 0 || left > capacity_ - (int64_t)tokens_.size())) left = capacity_ - (int64_t)tokens_.size();
    std::span<const uint64_t> bits;
    TERN_TRY(matcher_->allowed(left, &bits));
    bool any = false;
    for (const uint64_t word : bits) any |= word != 0;
    if (!any) {
      if (matcher_->ended() || matcher_->may_end())
        return TERN_FAIL(TERN_ERR_STATE,
                         "the answer has ended as its grammar says: feed tokens, or set a grammar anew");
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "no token of the vocabulary goes on with the answer as its grammar says");
    }
    for (size_t t = 0; t < own_.size(); ++t)
      if (!(bits[t / 64] >> (t % 64) & 1)) own_[t] = kNot;
  }
  for (const float x : own_)
    if (x == x) return TERN_OK;
  return TERN_FAIL(TERN_ERR_STATE, "there is no token to choose: the bias forbids all, or the logits are no numbers");
}

void Generator::note(std::span<const float> given, int64_t chosen) {
  float most = -std::numeric_limits<float>::infinity();
  for (const float x : given)
    if (x > most) most = x;
  double sum = 0;
  for (const float x : given)
    if (x == x) sum += std::exp((double)x - (double)most);
  std::vector<int32_t> order(given.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = (int32_t)i;
  const auto end = order.begin() + std::min<ptrdiff_t>(num_log_, (ptrdiff_t)order.size());
  const auto key = [&](int32_t t) {  // what is no number comes last
    const float x = given[(size_t)t];
    return x == x ? x : -std::numeric_limits<float>::infinity();
  };
  std::partial_sort(order.begin(), end, order.end(),
                    [&](int32_t a, int32_t b) { return key(a) > key(b) || (key(a) == key(b) && a < b); });
  log_.tokens.assign(1, (int32_t)chosen);
  log_.tokens.insert(log_.tokens.end(), order.begin(), end);
  log_.values.clear();
  for (const int32_t t : log_.tokens)
    log_.values.push_back((float)((double)given[(size_t)t] - (double)most - std::log(sum)));
}

tern_status Generator::logits(const RunControl& control, std::span<const float>* out) {
  TERN_TRY(reset_logits());
  TERN_TRY(catch_up(control));
  *out = {(const float*)logits_->data() + row_ * vocabulary_, (size_t)vocabulary_};
  return TERN_OK;
}

// Where tokens were forgotten the last one that is left is computed again.
tern_status Generator::reset_logits() {
  if (logits_ || tokens_.empty() || state_->length() < (int64_t)tokens_.size()) return TERN_OK;
  return state_->truncate((int64_t)tokens_.size() - 1);
}

// Is there room for a token?
tern_status Generator::may_choose() {
  if ((int64_t)tokens_.size() < capacity_) return TERN_OK;
  if (!slide_) return TERN_FAIL(TERN_ERR_LIMIT, "all %" PRId64 " positions of the model are used", capacity_);
  return make_room(1);
}

tern_status Generator::next(const RunControl& control, int64_t* token) {
  TERN_TRY(may_choose());
  std::span<const float> given;
  TERN_TRY(logits(control, &given));
  return choose(token);
}

tern_status Generator::compute(std::span<Generator* const> list, std::span<tern_status> statuses,
                               const RunControl& control) {
  std::vector<Generator*> ready;
  for (size_t i = 0; i < list.size(); ++i) {
    Generator& g = *list[i];
    statuses[i] =
        g.tokens_.empty() ? TERN_FAIL(TERN_ERR_STATE, "sequence %zu has no token to go on from", i) : g.may_choose();
    if (statuses[i] == TERN_OK) statuses[i] = g.reset_logits();
    if (statuses[i] == TERN_OK) ready.push_back(&g);
  }
  for (std::vector<Part> parts;; parts.clear()) {
    int64_t room = std::max<int64_t>(kChunk, (int64_t)ready.size()), wanted = 0;
    for (Generator* g : ready) {
      const int64_t at = g->state_->length(), left = (int64_t)g->tokens_.size() - at, n = std::min(left, room);
      if (n <= 0) continue;
      parts.push_back({g, std::span(g->tokens_).subspan((size_t)at, (size_t)n), n == left});
      room -= n, wanted += n == left;
    }
    if (parts.empty()) return TERN_OK;
    if (wanted == 0) parts[0].wanted = 1;
    TERN_TRY(run(parts, control));
  }
}

tern_status Generator::choose(int64_t* token) {
  const std::span<const float> given((const float*)logits_->data() + row_ * vocabulary_, (size_t)vocabulary_);
  // From the grammar on nothing may fail for want of memory.
  if (tokens_.size() == tokens_.capacity()) tokens_.reserve(2 * tokens_.size() + 64);
  if (matcher_ && answer_.size() == answer_.capacity()) answer_.reserve(2 * answer_.size() + 64);
  const bool restricted = matcher_ || !bias_.empty() || allowed_;
  if (restricted) TERN_TRY(restrict(given));
  const int64_t chosen =
      sampler_.pick(restricted ? std::span<const float>(own_) : given, tokens_, (int64_t)tokens_.size() + gone_);
  if (num_log_ > 0) note(given, chosen);
  if (matcher_) {
    if (!matcher_->accept((uint32_t)chosen))
      return TERN_FAIL(TERN_ERR_INTERNAL, "the grammar refuses token %" PRId64 ", which it allowed", chosen);
    answer_.push_back((uint32_t)chosen);
  }
  *token = chosen;
  if (!guesses_behind_.empty() && guesses_behind_[0] == chosen) {
    guesses_behind_.erase(guesses_behind_.begin());
    tokens_.push_back(chosen);
    ++row_, ++right_;
    return TERN_OK;
  }
  logits_ = {};
  const tern_status s = drop_guesses();  // the state is as it was before them
  tokens_.push_back(chosen);
  return s;
}

tern_status Generator::truncate(int64_t length) {
  if (length < 0 || length > (int64_t)tokens_.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there are %zu tokens, not %" PRId64, tokens_.size(), length);
  TERN_TRY(drop_guesses());
  if (length < (int64_t)tokens_.size()) logits_ = {};
  if (matcher_) {
    const size_t removed = std::min(tokens_.size() - (size_t)length, answer_.size());
    answer_.resize(answer_.size() - removed);
    matcher_->reset();
    for (const uint32_t t : answer_) matcher_->accept(t);
  }
  tokens_.resize((size_t)length);
  if (state_->length() > length) TERN_TRY(state_->truncate(length));
  return TERN_OK;
}

}  // namespace tern
