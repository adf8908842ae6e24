// SPDX-License-Identifier: Apache-2.0
// Characters: what kind each is, and the forms of Unicode normalisation. The tables are those of unicode_tables.h,
// which make_unicode.py writes; unicode_version() says from which Unicode.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tern::tokens {

const char* unicode_version();

// What a character is; several hold for one.
enum CharFlags : uint16_t {
  kUpper = 1,        // Lu, Lt
  kLower = 2,        // Ll
  kOtherLetter = 4,  // Lm, Lo
  kNumber = 8,       // N
  kMark = 16,        // M
  kNonspacing = 32,  // Mn
  kPunctuation = 64,
  kSymbol = 128,
  kSpace = 256,     // White_Space
  kWord = 512,      // Alphabetic, M, Nd, Pc, joiners
  kControl = 1024,  // Cc, Cf, Co
  kLetter = kUpper | kLower | kOtherLetter,
};

constexpr uint32_t kNoCharacter = 0xffffffff;

// A character of a text, or a byte that is part of none: then `code` is kNoCharacter, `size` 1 and no flag is set.
struct Char {
  uint32_t code = kNoCharacter;
  uint32_t size = 0;  // bytes
  uint16_t flags = 0;
};

namespace detail {
extern uint16_t ascii_flags[128];
extern uint16_t category_flags[33];
extern uint16_t category_blocks[0x110000 >> 7];
extern uint8_t category_leaves[];
Char read_wide(const uint8_t* p, const uint8_t* end);
}  // namespace detail

// Fills the tables of the next functions; called by whoever creates what uses them. Any thread, any number of times.
void prepare_unicode();

inline uint16_t char_flags(uint32_t code) {
  return detail::category_flags[detail::category_leaves[detail::category_blocks[code >> 7] * 128u + (code & 127)]];
}

// The one that begins at p < end.
inline Char read_char(const uint8_t* p, const uint8_t* end) {
  if (*p < 0x80) return {*p, 1, detail::ascii_flags[*p]};
  return detail::read_wide(p, end);
}
// The one that ends at `end` > begin.
Char read_char_before(const uint8_t* begin, const uint8_t* end);

void append_char(uint32_t code, std::string* out);

// ---- forms ----

enum class Form : uint8_t { nfc, nfd, nfkc, nfkd };

// The tables of normalisation and lower case, some 200 kB, shared by all who hold them.
class Forms {
 public:
  static std::shared_ptr<const Forms> get();

  // Bytes that are no UTF-8 stay as they are. `out` must not be `text`.
  void normalize(Form form, std::string_view text, std::string* out) const;
  // Of each character alone: no rule looks at its neighbours.
  void lower(std::string_view text, std::string* out) const;
  uint8_t combining_class(uint32_t code) const;

  Forms();
  ~Forms();

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

}  // namespace tern::tokens
