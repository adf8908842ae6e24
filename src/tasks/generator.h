// SPDX-License-Identifier: Apache-2.0
// Goes on with a sequence of tokens: a language model, its state and a sampler.
#pragma once
#include <utility>

#include "runtime/session.h"
#include "tasks/sampler.h"

namespace tern::tokens {
class Grammar;
class Matcher;
class Tokenizer;
class TokenTrie;
}  // namespace tern::tokens

namespace tern {

class Generator {
 public:
  struct Options {
    std::string backends = "cpu";
    SamplerOptions sampler;
    // Once all positions are used: the first `keep` tokens stay, of the others the older half goes, and what is left is
    // computed again. Otherwise next() and feed() fail.
    bool slide = false;
    int64_t keep = 0;
    int32_t log_probabilities = 0;  // so many of the largest are noted at each choice, and that of the token chosen
    int32_t look_ahead = 0;         // tokens that are guessed and computed together with one that is not
  };
  ~Generator();
  // Errors: TERN_ERR_UNSUPPORTED for a model that lacks the signatures of models/transformer.h.
  static tern_status create(const Model& model, const Options& options, std::unique_ptr<Generator>* out);
  // One that has the same tokens and goes on by itself, without grammar, bias and draft. What was computed is shared
  // until one of the two writes it, and so is the session: one of both at a time. Options::backends has no meaning.
  tern_status fork(const Options& options, std::unique_ptr<Generator>* out) const;

  int64_t vocabulary() const { return vocabulary_; }
  int64_t capacity() const { return capacity_; }
  // All tokens that were given or chosen.
  std::span<const int64_t> tokens() const { return tokens_; }
  // The answer, which is what next() appends, becomes a text of this grammar; none: any text. It begins anew with this
  // call and with each feed(); of what truncate() leaves of it, it goes on.
  // most_tokens: of an answer, with the token that ends it; 0: no limit. Errors: TERN_ERR_UNSUPPORTED.
  tern_status set_grammar(std::shared_ptr<const tokens::Grammar> grammar,
                          std::shared_ptr<const tokens::Tokenizer> tokenizer, int64_t most_tokens);
  // Is added to the logits of these tokens before anything else; -infinity: they are never chosen.
  tern_status set_bias(std::span<const int32_t> tokens, std::span<const float> values);
  // Of the last next(): the token that was chosen, then the most probable ones, with the logarithms of what the model
  // gave them: no bias, grammar, penalty or temperature.
  struct Log {
    std::vector<int32_t> tokens;
    std::vector<float> values;
  };
  const Log& log() const { return log_; }
  // Guesses come from here instead of from the tokens themselves: what this one would choose. It has no draft itself,
  // lives as long as it is set, and is used by nobody else meanwhile. NULL: none.
  // known: by token of the draft, whether it is the same one here; it chooses no others. Empty: all are, and there are
  // as many here. Errors: TERN_ERR_INVALID_ARGUMENT.
  tern_status set_draft(Generator* draft, std::vector<bool> known);
  // Tokens that were guessed and computed, and those of them that were chosen then.
  int64_t guesses() const { return guesses_; }
  int64_t right_guesses() const { return right_; }
  // Appends tokens. On an error there are as many as before.
  tern_status feed(std::span<const int64_t> tokens, const RunControl& control);
  // Chooses the token that follows and appends it.
  tern_status next(const RunControl& control, int64_t* token);
  // For several that share a session: computes together what choose() of each then chooses from. statuses: why one has
  // nothing to choose from. On an error none has changed but by what was computed of its tokens.
  static tern_status compute(std::span<Generator* const> list, std::span<tern_status> statuses,
                             const RunControl& control);
  tern_status choose(int64_t* token);
  bool is_family(const Generator& other) const { return session_ == other.session_; }
  // Of the token that follows: as many as the vocabulary; valid until the next call that appends or forgets.
  tern_status logits(const RunControl& control, std::span<const float>* out);
  // Forgets tokens from this number on.
  tern_status truncate(int64_t length);

  // The sequence in a file (runtime/state_file.cpp): what was computed, tokens, sampler, place within an answer of a
  // grammar, and `more`. load() replaces all of that; on an error the generator is as it was.
  tern_status save(const char* path, std::string_view more);
  tern_status load(const char* path, std::string* more);
  void set_sampler(const SamplerOptions& options) { sampler_ = Sampler(options); }

 private:
  struct Part {  // of a run: tokens that follow those of a generator's state; its logits after the last `wanted` ones
    Generator* generator;
    std::span<const int64_t> tokens;
    int64_t wanted;
  };
  Generator() = default;
  tern_status set_options(const Options& options);
  tern_status may_choose();
  tern_status reset_logits();
  static tern_status run(std::span<const Part> parts, const RunControl& control);
  tern_status catch_up(const RunControl& control);
  tern_status make_room(int64_t count);
  tern_status restrict(std::span<const float> given);
  void note(std::span<const float> given, int64_t chosen);
  tern_status guess(const RunControl& control);
  tern_status drop_guesses();

  std::shared_ptr<Session> session_;  // with the family of forks
  Ref<State> state_;
  Sampler sampler_{SamplerOptions{}};
  int32_t prefill_ = -1, decode_ = -1;
  int64_t vocabulary_ = 0, capacity_ = 0;
  // The state holds the first of these, its length; or all of them and behind them guesses.
  std::vector<int64_t> tokens_, guesses_behind_;
  Ref<const Tensor> logits_;  // rows: after all tokens that row_ is, then after each guess; or empty
  int64_t row_ = 0;
  int64_t look_ahead_ = 0, guesses_ = 0, right_ = 0;
  Generator* draft_ = nullptr;
  int32_t serves_ = 0;                          // so many generators as their draft
  std::vector<bool> known_;                     // by token of draft_, as in set_draft
  const std::vector<bool>* allowed_ = nullptr;  // while it guesses: tokens that it may choose; NULL: all
  bool slide_ = false;
  int64_t keep_ = 0, gone_ = 0;  // gone_: tokens that slid away
  int32_t num_log_ = 0;
  Log log_;
  std::vector<std::pair<int32_t, float>> bias_;
  std::vector<float> own_;  // logits with the bias, NaN where a token is not allowed
  std::shared_ptr<const tokens::Tokenizer> tokenizer_;
  std::shared_ptr<const tokens::TokenTrie> trie_;  // of tokenizer_
  std::shared_ptr<const tokens::Grammar> grammar_;
  std::unique_ptr<tokens::Matcher> matcher_;  // of grammar_ and trie_
  std::vector<uint32_t> answer_;
  int64_t most_tokens_ = 0;
};

}  // namespace tern
