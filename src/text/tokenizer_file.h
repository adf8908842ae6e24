// SPDX-License-Identifier: Apache-2.0
// The form in which a tokenizer is stored in a model: its description, compact.
#pragma once
#include "text/tokenizer.h"

namespace tern::tokens {

void store_tokenizer(const TokenizerDef& def, std::string* out);

// Proves the form; Tokenizer::create proves the content.
// Errors  TERN_ERR_CORRUPT, TERN_ERR_UNSUPPORTED_VERSION (a newer version wrote it), TERN_ERR_LIMIT
tern_status read_stored_tokenizer(std::string_view bytes, TokenizerDef* out);

}  // namespace tern::tokens
