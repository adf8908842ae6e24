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

// --backend, --temp, --top-k, --top-p, --min-p, --repetition-penalty, --seed and --look-ahead. Prints what is wrong.
bool read_sampler(const Arguments& a, tern_generator_options* out);
// Their help, with --threads and --stop.
std::vector<Option> sampler_options();
// --stop
tern_status set_stops(const Arguments& a, tern_detokenizer* text);

}  // namespace tern::cli
