// SPDX-License-Identifier: Apache-2.0
#include "tern/generator.h"

#include <cstddef>

#include <algorithm>
#include <cmath>

#include "capi/text.h"
#include "tasks/generator.h"
#include "text/grammar.h"
#include "text/json_schema.h"
#include "text/tokenizer_file.h"

using namespace tern;
using namespace tern::capi;

struct tern_generator {
  Ref<const Model> model;
  std::unique_ptr<Generator> task;
  std::vector<int64_t> tokens;
  std::string data;  // of the file that was loaded last
  tern_generator* draft = nullptr;
  std::shared_ptr<InUse> in_use = std::make_shared<InUse>();  // of the family
};

namespace {

constexpr const char* kTask = "this generator";
// Without the capability nobody has one: nothing is created, and what would use one refers to no code of it.
constexpr bool kHere = has_capability(Capability::text);
constexpr int32_t kMostTogether = 4096;
constexpr size_t kFirstSize = offsetof(tern_generator_options, keep);

// NaN is refused.
tern_status take(float given, float least, float most, const char* name, float* out) {
  if (given == 0) return TERN_OK;
  if (!(given >= least && given <= most))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s is %g, allowed is 0 (the default) or %g to %g", name, (double)given,
                     (double)least, (double)most);
  *out = given;
  return TERN_OK;
}

tern_status read_generator_options(const tern_generator_options* given, Generator::Options* out) {
  tern_generator_options o = TERN_GENERATOR_OPTIONS_INIT;
  TERN_TRY(read_options(given, &o, "tern_generator_options", kFirstSize));
  if (o.top_k < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "top_k is %d", o.top_k);
  SamplerOptions& s = out->sampler;
  s.top_k = o.top_k;
  s.seed = o.seed;
  TERN_TRY(take(o.temperature, 1e-4f, 1000, "temperature", &s.temperature));
  TERN_TRY(take(o.top_p, 1e-6f, 1, "top_p", &s.top_p));
  TERN_TRY(take(o.min_p, 0, 1, "min_p", &s.min_p));
  TERN_TRY(take(o.repetition_penalty, 0.01f, 100, "repetition_penalty", &s.repetition_penalty));
  if (o.keep < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "keep is %lld", (long long)o.keep);
  if (o.when_full != TERN_WHEN_FULL_STOP && o.when_full != TERN_WHEN_FULL_SLIDE)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "when_full is %d", o.when_full);
  if (o.log_probabilities < 0 || o.log_probabilities > 1000)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "log_probabilities is %d, allowed is 0 to 1000", o.log_probabilities);
  if (o.look_ahead < 0 || o.look_ahead > 64)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "look_ahead is %lld, allowed is 0 to 64", (long long)o.look_ahead);
  out->look_ahead = (int32_t)o.look_ahead;
  out->slide = o.when_full == TERN_WHEN_FULL_SLIDE;
  out->keep = o.keep, out->log_probabilities = o.log_probabilities;
  if (o.backends) out->backends = o.backends;
  return TERN_OK;
}

// What the calls on a generator begin with; once for all of them, it is not small. Not used without the capability.
[[maybe_unused]] tern_status use(tern_generator* generator, const tern_run_options* options,
                                 tern_status (*body)(const void* f, const RunControl&), const void* f) {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(generator);
    Hold hold;
    TERN_TRY(hold.alone(*generator->in_use, kTask));
    if (generator->draft) TERN_TRY(hold.alone(*generator->draft->in_use, "the generator that guesses"));
    RunControl control;
    TERN_TRY(read_run_options(options, &control));
    return body(f, control);
  });
}

template <class F>
tern_status use(tern_generator* generator, const char* call, const tern_run_options* options, const F& f) {
  if constexpr (!kHere) return left_out(Capability::text, call);
  else
    return use(
        generator, options, [](const void* p, const RunControl& control) { return (*(const F*)p)(control); }, &f);
}

// known: of the tokens of a draft, those that its target has, too; empty: all of them. Where both models have a
// tokenizer, tokens that both use are the same ones. Without, equal numbers of them are taken to be.
tern_status compare_vocabularies(const tern_generator& target, const tern_generator& draft, std::vector<bool>* known) {
  std::shared_ptr<const tokens::Tokenizer> list[2];
  for (int i = 0; i < 2; ++i) {
    const ModelDef& m = (i ? draft : target).model->def();
    if (m.tokenizer_bytes == 0) return TERN_OK;
    tokens::TokenizerDef def;
    TERN_TRY(tokens::read_stored_tokenizer({(const char*)m.tokenizer.bytes, (size_t)m.tokenizer_bytes}, &def));
    TERN_TRY(tokens::Tokenizer::create(std::move(def), &list[i]));
  }
  const auto used = [&](int i, int64_t t) {
    return t < list[i]->size() && !(list[i]->def().flags[(size_t)t] & tokens::kTokenUnused);
  };
  bool all = true;
  known->assign((size_t)draft.task->vocabulary(), false);
  for (int64_t t = 0; t < draft.task->vocabulary(); ++t) {
    if (t >= target.task->vocabulary() || !used(0, t) || !used(1, t)) {
      all = false;
      continue;
    }
    const std::string_view ours = list[0]->text((uint32_t)t), theirs = list[1]->text((uint32_t)t);
    if (ours != theirs)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                       "the model that guesses has another vocabulary: token %lld is '%s' there, '%s' here",
                       (long long)t, std::string(theirs).c_str(), std::string(ours).c_str());
    (*known)[(size_t)t] = true;
  }
  if (all && draft.task->vocabulary() == target.task->vocabulary()) known->clear();
  return TERN_OK;
}

}  // namespace

extern "C" {

tern_status tern_generator_options_init(tern_generator_options* options, size_t size) noexcept {
  const tern_generator_options defaults = TERN_GENERATOR_OPTIONS_INIT;
  return init_struct(options, size, &defaults, kFirstSize, sizeof defaults, "tern_generator_options");
}

tern_status tern_generator_create(tern_model* model, const tern_generator_options* options,
                                  tern_generator** generator) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_generator_create");
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(generator);
    Generator::Options own;
    TERN_TRY(read_generator_options(options, &own));
    auto g = std::make_unique<tern_generator>();
    g->model = Ref<const Model>::share(to_object(model));
    TERN_TRY(Generator::create(*g->model, own, &g->task));
    *generator = g.release();
    return TERN_OK;
  });
}

void tern_generator_release(tern_generator* generator) noexcept {
  if (kHere) delete generator;
}

tern_status tern_generator_feed(tern_generator* generator, const int32_t* tokens, int64_t num_tokens,
                                const tern_run_options* options) noexcept {
  return use(generator, "tern_generator_feed", options, [&](const RunControl& control) -> tern_status {
    if (num_tokens < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "num_tokens is %lld", (long long)num_tokens);
    if (num_tokens == 0) return TERN_OK;
    TERN_TRY(check_not_null(tokens, "tokens"));
    if (num_tokens > generator->task->capacity())
      return TERN_FAIL(TERN_ERR_LIMIT, "%lld tokens are more than the %lld positions of the model",
                       (long long)num_tokens, (long long)generator->task->capacity());
    generator->tokens.assign(tokens, tokens + num_tokens);
    return generator->task->feed(generator->tokens, control);
  });
}

tern_status tern_generator_next(tern_generator* generator, int32_t* token, const tern_run_options* options) noexcept {
  return use(generator, "tern_generator_next", options, [&](const RunControl& control) -> tern_status {
    TERN_CHECK_NOT_NULL(token);
    int64_t chosen = 0;
    TERN_TRY(generator->task->next(control, &chosen));
    *token = (int32_t)chosen;
    return TERN_OK;
  });
}

tern_status tern_generator_fork(tern_generator* generator, const tern_generator_options* options,
                                tern_generator** fork) noexcept {
  return use(generator, "tern_generator_fork", nullptr, [&](const RunControl&) -> tern_status {
    TERN_CHECK_NOT_NULL(fork);
    Generator::Options own;
    TERN_TRY(read_generator_options(options, &own));
    auto g = std::make_unique<tern_generator>();
    g->model = generator->model;
    g->in_use = generator->in_use;
    TERN_TRY(generator->task->fork(own, &g->task));
    *fork = g.release();
    return TERN_OK;
  });
}

tern_status tern_generator_next_batch(tern_generator* const* generators, int32_t num_generators, int32_t* tokens,
                                      int32_t* statuses, const tern_run_options* options) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_generator_next_batch");
    TERN_CHECK_NOT_NULL(generators);
    TERN_CHECK_NOT_NULL(tokens);
    TERN_CHECK_NOT_NULL(statuses);
    if (num_generators < 1 || num_generators > kMostTogether)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "num_generators is %d, allowed is 1 to %d", num_generators,
                       kMostTogether);
    RunControl control;
    TERN_TRY(read_run_options(options, &control));
    std::vector<Generator*> list;
    for (int32_t i = 0; i < num_generators; ++i) {
      if (!generators[i]) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "generator %d is NULL", i);
      if (generators[i]->in_use != generators[0]->in_use)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "generator %d is no copy of those before it (tern_generator_fork)",
                         i);
      Generator* const g = generators[i]->task.get();
      if (std::find(list.begin(), list.end(), g) != list.end())
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "generator %d is given twice", i);
      list.push_back(g);
    }
    Hold hold;
    TERN_TRY(hold.alone(*generators[0]->in_use, kTask));
    std::vector<tern_status> found(list.size());
    TERN_TRY(Generator::compute(list, found, control));
    for (size_t i = 0; i < list.size(); ++i) {
      int64_t token = -1;
      if (found[i] == TERN_OK) found[i] = guard([&] { return list[i]->choose(&token); });
      tokens[i] = found[i] == TERN_OK ? (int32_t)token : -1;
      statuses[i] = found[i];
    }
    return TERN_OK;
  });
}

tern_status tern_generator_logits(tern_generator* generator, const float** logits,
                                  const tern_run_options* options) noexcept {
  return use(generator, "tern_generator_logits", options, [&](const RunControl& control) -> tern_status {
    TERN_CHECK_NOT_NULL(logits);
    std::span<const float> list;
    TERN_TRY(generator->task->logits(control, &list));
    *logits = list.data();
    return TERN_OK;
  });
}

tern_status tern_generator_set_grammar(tern_generator* generator, const tern_tokenizer* tokenizer, int32_t kind,
                                       const char* text, size_t bytes, int64_t max_tokens) noexcept {
  return use(generator, "tern_generator_set_grammar", nullptr, [&](const RunControl&) -> tern_status {
    if (kind == TERN_GRAMMAR_NONE) return generator->task->set_grammar(nullptr, nullptr, 0);
    if (kind != TERN_GRAMMAR_GBNF && kind != TERN_GRAMMAR_JSON_SCHEMA)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is no kind %d of grammars", kind);
    TERN_CHECK_NOT_NULL(tokenizer);
    TERN_CHECK_NOT_NULL(text);
    if (max_tokens < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "max_tokens is %lld", (long long)max_tokens);
    std::shared_ptr<const tokens::Grammar> grammar;
    if (kind == TERN_GRAMMAR_GBNF) TERN_TRY(tokens::Grammar::create({text, bytes}, &grammar));
    else TERN_TRY(tokens::grammar_of_schema({text, bytes}, &grammar));
    return generator->task->set_grammar(std::move(grammar), tokenizer->tokenizer, max_tokens);
  });
}

tern_status tern_generator_set_bias(tern_generator* generator, const int32_t* tokens, const float* values,
                                    int64_t num_tokens) noexcept {
  return use(generator, "tern_generator_set_bias", nullptr, [&](const RunControl&) -> tern_status {
    if (num_tokens < 0 || num_tokens > generator->task->vocabulary())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "num_tokens is %lld", (long long)num_tokens);
    if (num_tokens) TERN_CHECK_NOT_NULL(tokens);
    if (num_tokens) TERN_CHECK_NOT_NULL(values);
    return generator->task->set_bias({tokens, (size_t)num_tokens}, {values, (size_t)num_tokens});
  });
}

tern_status tern_generator_set_draft(tern_generator* generator, tern_generator* draft) noexcept {
  return use(generator, "tern_generator_set_draft", nullptr, [&](const RunControl&) -> tern_status {
    Hold hold;
    if (draft && draft != generator->draft && draft->in_use != generator->in_use)
      TERN_TRY(hold.alone(*draft->in_use, "the generator that guesses"));
    std::vector<bool> known;
    if (draft) TERN_TRY(compare_vocabularies(*generator, *draft, &known));
    TERN_TRY(generator->task->set_draft(draft ? draft->task.get() : nullptr, std::move(known)));
    generator->draft = draft;
    return TERN_OK;
  });
}

tern_status tern_generator_guesses(tern_generator* generator, int64_t* made, int64_t* right) noexcept {
  return use(generator, "tern_generator_guesses", nullptr, [&](const RunControl&) -> tern_status {
    TERN_CHECK_NOT_NULL(made);
    TERN_CHECK_NOT_NULL(right);
    *made = generator->task->guesses(), *right = generator->task->right_guesses();
    return TERN_OK;
  });
}

tern_status tern_generator_log_probabilities(tern_generator* generator, const int32_t** tokens, const float** values,
                                             int64_t* count) noexcept {
  return use(generator, "tern_generator_log_probabilities", nullptr, [&](const RunControl&) -> tern_status {
    TERN_CHECK_NOT_NULL(tokens);
    TERN_CHECK_NOT_NULL(values);
    TERN_CHECK_NOT_NULL(count);
    const Generator::Log& log = generator->task->log();
    if (log.tokens.empty())
      return TERN_FAIL(TERN_ERR_STATE,
                       "no token was chosen yet, or the generator was created with log_probabilities = 0");
    *tokens = log.tokens.data(), *values = log.values.data(), *count = (int64_t)log.tokens.size();
    return TERN_OK;
  });
}

tern_status tern_generator_save(tern_generator* generator, const char* path, const void* data, size_t bytes) noexcept {
  return use(generator, "tern_generator_save", nullptr, [&](const RunControl&) -> tern_status {
    TERN_CHECK_NOT_NULL(path);
    if (bytes) TERN_CHECK_NOT_NULL(data);
    return generator->task->save(path, {(const char*)data, bytes});
  });
}

tern_status tern_generator_load(tern_generator* generator, const char* path, const void** data,
                                size_t* bytes) noexcept {
  return use(generator, "tern_generator_load", nullptr, [&](const RunControl&) -> tern_status {
    TERN_CHECK_NOT_NULL(path);
    TERN_CHECK_NOT_NULL(data);
    TERN_CHECK_NOT_NULL(bytes);
    TERN_TRY(generator->task->load(path, &generator->data));
    *data = generator->data.data(), *bytes = generator->data.size();
    return TERN_OK;
  });
}

tern_status tern_generator_set_sampler(tern_generator* generator, const tern_generator_options* options) noexcept {
  return use(generator, "tern_generator_set_sampler", nullptr, [&](const RunControl&) -> tern_status {
    Generator::Options own;
    TERN_TRY(read_generator_options(options, &own));
    generator->task->set_sampler(own.sampler);
    return TERN_OK;
  });
}

tern_status tern_generator_get_tokens(tern_generator* generator, int32_t* tokens, int64_t capacity,
                                      int64_t* count) noexcept {
  return use(generator, "tern_generator_get_tokens", nullptr, [&](const RunControl&) -> tern_status {
    if (capacity < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "capacity is %lld", (long long)capacity);
    if (capacity) TERN_CHECK_NOT_NULL(tokens);
    TERN_CHECK_NOT_NULL(count);
    const std::span<const int64_t> all = generator->task->tokens();
    for (int64_t i = 0; i < capacity && i < (int64_t)all.size(); ++i) tokens[i] = (int32_t)all[(size_t)i];
    *count = (int64_t)all.size();
    return TERN_OK;
  });
}

int64_t tern_generator_length(const tern_generator* generator) noexcept {
  return kHere && generator ? (int64_t)generator->task->tokens().size() : 0;
}

tern_status tern_generator_truncate(tern_generator* generator, int64_t length) noexcept {
  return use(generator, "tern_generator_truncate", nullptr,
             [&](const RunControl&) { return generator->task->truncate(length); });
}

int64_t tern_generator_vocabulary(const tern_generator* generator) noexcept {
  return kHere && generator ? generator->task->vocabulary() : 0;
}

int64_t tern_generator_capacity(const tern_generator* generator) noexcept {
  return kHere && generator ? generator->task->capacity() : 0;
}
}
