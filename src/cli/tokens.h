// SPDX-License-Identifier: Apache-2.0
// Ids of tokens, as several sub-commands read them.
#pragma once
#include "cli/tool.h"

namespace tern::cli {

// "1 2,3" or "[1, 2, 3]" to ids. Prints why not, after `what`.
bool read_ids(const std::string& text, const char* what, std::vector<int32_t>* ids);
// All ids of a text; flags: TERN_ENCODE_*.
tern_status encode_text(const tern_tokenizer* tokenizer, const std::string& text, uint32_t flags,
                        std::vector<int32_t>* ids);

}  // namespace tern::cli
