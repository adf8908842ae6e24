// SPDX-License-Identifier: Apache-2.0
// Reads the file tokenizer.json of Hugging Face, and writes it for the kind of tokenizer that is trained.
#pragma once
#include "text/tokenizer.h"

namespace tern::tokens {

// Truncation and padding of the file are not read: they are the caller's.
// Errors  TERN_ERR_CORRUPT      no such file, or one that contradicts itself
//         TERN_ERR_UNSUPPORTED  a part that Tern does not have; the message names it
//         TERN_ERR_LIMIT
tern_status read_tokenizer_json(std::string_view text, TokenizerDef* out);

// Appends the text. Errors: TERN_ERR_UNSUPPORTED (anything but byte-level BPE that is cut by GPT-2's rule alone).
tern_status write_tokenizer_json(const TokenizerDef& def, std::string* out);

}  // namespace tern::tokens
