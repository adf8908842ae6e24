// SPDX-License-Identifier: Apache-2.0
// Tables of SentencePiece that replace characters: a double-array trie from texts to places in a block of replacements.
//   u32 bytes of the trie | its units, u32 each | replacements, each ended by a 0          (little-endian)
#pragma once
#include <string>
#include <string_view>

#include "tern/status.h"

namespace tern::tokens {

constexpr size_t kMostCharsmap = size_t(16) << 20;

// Errors: TERN_ERR_CORRUPT (no such table), TERN_ERR_LIMIT (too large, or a replacement of more than 64 bytes).
tern_status check_charsmap(std::string_view table);

// A character and the marks on it are looked for as one where they have less than six bytes, and then each alone; the
// shortest text of the table that they begin with counts, as in the reference. `table` passed check_charsmap.
void apply_charsmap(std::string_view table, std::string_view text, std::string* out);

}  // namespace tern::tokens
