// SPDX-License-Identifier: Apache-2.0
#include "tasks/generator.h"

#include <cinttypes>
#include <cstring>

namespace tern {
namespace {

// Rows of a prompt that are computed at a time: enough for products at full speed, little memory.
constexpr int64_t kChunk = 256;

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
  g->sampler_ = Sampler(options.sampler);
  Session::Options session;
  session.backends = options.backends;
  TERN_TRY(Session::create(model, session, &g->session_));
  TERN_TRY(Tensor::create(model.context(), TERN_DTYPE_I64, {1}, &g->one_));
  TERN_TRY(Tensor::create(model.context(), TERN_DTYPE_I64, {1}, &g->picked_));
  *out = std::move(g);
  return TERN_OK;
}

// Runs tokens that follow those of the state. last: the logits after them are wanted.
tern_status Generator::run_chunk(std::span<const int64_t> tokens, bool last, const RunControl& control) {
  const Tensor* result = nullptr;
  if (tokens.size() == 1 && last) {
    *(int64_t*)one_->data() = tokens[0];
    const Tensor* inputs[] = {one_.get(), nullptr, nullptr};
    TERN_TRY(session_->run(decode_, inputs, {&result, 1}, control));
  } else {
    Ref<Tensor> rows;
    TERN_TRY(Tensor::create(session_->model().context(), TERN_DTYPE_I64, {(int64_t)tokens.size()}, &rows));
    std::memcpy(rows->data(), tokens.data(), tokens.size_bytes());
    *(int64_t*)picked_->data() = (int64_t)tokens.size() - 1;
    const Tensor* inputs[] = {rows.get(), nullptr, nullptr, picked_.get()};
    TERN_TRY(session_->run(prefill_, inputs, {&result, 1}, control));
  }
  Ref<const Tensor> logits = Ref<const Tensor>::adopt(result);
  if (logits->dtype() != TERN_DTYPE_F32 || !(logits->shape() == Shape{1, vocabulary_}))
    return TERN_FAIL(TERN_ERR_CORRUPT, "the model gives %s%s as logits, its file says f32[1, %" PRId64 "]",
                     dtype_name(logits->dtype()), to_string(logits->shape()).c_str(), vocabulary_);
  logits_ = std::move(logits);
  return TERN_OK;
}

// Brings the state to the end of the tokens.
tern_status Generator::catch_up(const RunControl& control) {
  if (tokens_.empty()) return TERN_FAIL(TERN_ERR_STATE, "there is no token to go on from: feed some first");
  while (session_->state().length() < (int64_t)tokens_.size()) {
    const int64_t at = session_->state().length(), left = (int64_t)tokens_.size() - at;
    const int64_t n = left < kChunk ? left : kChunk;
    TERN_TRY(run_chunk(std::span(tokens_).subspan((size_t)at, (size_t)n), n == left, control));
  }
  return TERN_OK;
}

tern_status Generator::feed(std::span<const int64_t> tokens, const RunControl& control) {
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocabulary_)
      return TERN_FAIL(TERN_ERR_INDEX, "token %zu is %" PRId64 ", the vocabulary has %" PRId64, i, tokens[i],
                       vocabulary_);
  const size_t before = tokens_.size();
  if (tokens.size() > (size_t)capacity_ - before)
    return TERN_FAIL(TERN_ERR_LIMIT, "%zu tokens after %zu are more than the %" PRId64 " positions of the model",
                     tokens.size(), before, capacity_);
  if (tokens.empty()) return TERN_OK;
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  const tern_status status = catch_up(control);
  if (status != TERN_OK) TERN_TRY(truncate((int64_t)before));
  return status;
}

tern_status Generator::logits(const RunControl& control, std::span<const float>* out) {
  TERN_TRY(catch_up(control));
  if (!logits_) {  // tokens were forgotten: the last one that is left is computed again
    TERN_TRY(session_->state().truncate((int64_t)tokens_.size() - 1));
    TERN_TRY(catch_up(control));
  }
  *out = {(const float*)logits_->data(), (size_t)vocabulary_};
  return TERN_OK;
}

tern_status Generator::next(const RunControl& control, int64_t* token) {
  if ((int64_t)tokens_.size() >= capacity_)
    return TERN_FAIL(TERN_ERR_LIMIT, "all %" PRId64 " positions of the model are used", capacity_);
  std::span<const float> given;
  TERN_TRY(logits(control, &given));
  const int64_t chosen = sampler_.pick(given, tokens_, (int64_t)tokens_.size());
  tokens_.push_back(chosen);
  logits_ = {};
  *token = chosen;
  return TERN_OK;
}

tern_status Generator::truncate(int64_t length) {
  if (length < 0 || length > (int64_t)tokens_.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there are %zu tokens, not %" PRId64, tokens_.size(), length);
  if (length < (int64_t)tokens_.size()) logits_ = {};
  tokens_.resize((size_t)length);
  if (session_->state().length() > length) TERN_TRY(session_->state().truncate(length));
  return TERN_OK;
}

}  // namespace tern
