// SPDX-License-Identifier: Apache-2.0
// Goes on with a sequence of tokens: a language model, its state and a sampler.
#pragma once
#include "runtime/session.h"
#include "tasks/sampler.h"

namespace tern {

class Generator {
 public:
  struct Options {
    std::string backends = "cpu";
    SamplerOptions sampler;
  };
  // Errors: TERN_ERR_UNSUPPORTED for a model that lacks the signatures of models/transformer.h.
  static tern_status create(const Model& model, const Options& options, std::unique_ptr<Generator>* out);

  int64_t vocabulary() const { return vocabulary_; }
  int64_t capacity() const { return capacity_; }
  // All tokens that were given or chosen.
  std::span<const int64_t> tokens() const { return tokens_; }
  // Appends tokens. On an error there are as many as before.
  tern_status feed(std::span<const int64_t> tokens, const RunControl& control);
  // Chooses the token that follows and appends it.
  tern_status next(const RunControl& control, int64_t* token);
  // Of the token that follows: as many as the vocabulary; valid until the next call that appends or forgets.
  tern_status logits(const RunControl& control, std::span<const float>* out);
  // Forgets tokens from this number on.
  tern_status truncate(int64_t length);

 private:
  Generator() = default;
  tern_status catch_up(const RunControl& control);
  tern_status run_chunk(std::span<const int64_t> tokens, bool last, const RunControl& control);

  std::unique_ptr<Session> session_;
  Sampler sampler_{SamplerOptions{}};
  int32_t prefill_ = -1, decode_ = -1;
  int64_t vocabulary_ = 0, capacity_ = 0;
  std::vector<int64_t> tokens_;  // of these the state holds the first ones: its length
  Ref<Tensor> one_, picked_;     // inputs of decode, and of prefill
  Ref<const Tensor> logits_;     // after all tokens, or empty
};

}  // namespace tern
