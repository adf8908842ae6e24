// SPDX-License-Identifier: Apache-2.0
// Ids of tokens and how they are chosen, as several sub-commands read them.
#pragma once
#include "cli/tool.h"

namespace tern::cli {

// "1 2,3" or "[1, 2, 3]" to ids. Prints why not, after `what`.
bool read_ids(const std::string& text, const char* what, std::vector<int32_t>* ids);
// All ids of a text; flags: TERN_ENCODE_*.
tern_status encode_text(const tern_tokenizer* tokenizer, const std::string& text, uint32_t flags,
                        std::vector<int32_t>* ids);

// --backend, --temp, --top-k, --top-p, --min-p, --repetition-penalty, --seed and --look-ahead, which
// --draft makes 4. Prints what is wrong.
bool read_sampler(const Arguments& a, tern_generator_options* out);
// Their help, and that of the options below and of --threads.
std::vector<Option> sampler_options();
// --grammar or --schema; most_tokens: of a text. *set: there is one.
int set_grammar(const Arguments& a, tern_generator* generator, const tern_tokenizer* tokenizer, int64_t most_tokens,
                bool* set);
// --logit-bias TOKEN=VALUE, any number of times. TOKEN: an id, or its text.
int set_bias(const Arguments& a, tern_generator* generator, const tern_tokenizer* tokenizer);
// --draft. Lives longer than the generator. tokenizer: of the model, or NULL where no text is made.
struct Draft {
  Handle<tern_model> model;
  Handle<tern_generator> generator;
};
int set_draft(const Arguments& a, tern_context* context, tern_generator* generator, Draft* out);
// The text of a token as bytes, which JSON cannot hold where they are no UTF-8; "" if there is none.
std::string token_text(const tern_tokenizer* tokenizer, int32_t id);
// --stop
tern_status set_stops(const Arguments& a, tern_detokenizer* text);

}  // namespace tern::cli
