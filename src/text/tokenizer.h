// SPDX-License-Identifier: Apache-2.0
// Tokenizers: text to ids and back. TokenizerDef is a plain description that every reader fills (tokenizer_json.h, the
// form stored in models, importers); Tokenizer::create proves it, whoever filled it, and makes what runs.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tern/status.h"

namespace tern::tokens {

// ---- description ----

constexpr uint32_t kMaxTokens = 1u << 20;  // ids, holes included
constexpr uint32_t kMaxMerges = 1u << 22;
constexpr uint32_t kMaxSteps = 32;    // of each list of steps
constexpr uint32_t kMaxPiece = 1024;  // bytes of a piece or an added token

enum class Algorithm : uint8_t { bpe, unigram, wordpiece };

enum TokenFlags : uint8_t {
  kTokenSpecial = 1,   // steers the model: a role, the end of a text
  kTokenAdded = 2,     // stands in TokenizerDef::added
  kTokenByte = 4,      // stands for one byte: "<0x0A>"; set by Tokenizer::create where bytes_fall_back
  kTokenUnused = 8,    // a hole or padding: no text gives it, and its text is nothing
  kTokenUnknown = 16,  // stands for what the vocabulary lacks; set by Tokenizer::create
  kTokenApart = 32,    // has a text, but the algorithm does not know it: an added token, or none of the byte alphabet
};

// One after the other, in memory of one block.
class Pieces {
 public:
  uint32_t size() const { return (uint32_t)ends_.size(); }
  std::string_view operator[](uint32_t i) const {
    const uint32_t begin = i ? ends_[i - 1] : 0;
    return {bytes_.data() + begin, ends_[i] - begin};
  }
  uint64_t bytes() const { return bytes_.size(); }
  // False: all pieces together would pass 2 GiB.
  bool add(std::string_view piece) {
    if (piece.size() > (size_t)INT32_MAX - bytes_.size()) return false;
    bytes_.append(piece);
    ends_.push_back((uint32_t)bytes_.size());
    return true;
  }
  void reserve(size_t count, size_t bytes) { ends_.reserve(count), bytes_.reserve(bytes); }

 private:
  std::string bytes_;
  std::vector<uint32_t> ends_;
};

struct Merge {
  uint32_t left, right;
};

// A token that is looked for in the text before anything else happens to it; the longest of those that begin at the
// leftmost place wins.
struct AddedToken {
  uint32_t id = 0;
  std::string text;
  bool special = false;
  bool normalized = false;   // looked for in the normalised text, and its own text is normalised before
  bool single_word = false;  // not within a word
  bool strip_left = false, strip_right = false;  // takes the white space beside it
};

// What a step looks for.
enum class Pattern : uint8_t {
  literal,        // the text of the step
  gpt2,           // the expression of GPT-2, and of the ByteLevel step
  words_numbers,  // that of Llama 3 and Qwen: most_digits in one match, 0: any number
  o200k,          // that of GPT-4o
  tekken,         // the same without 's and its like, and with one digit in a match: Mistral Nemo
  deepseek,       // the last one of DeepSeek V3
  clip,           // that of CLIP
  clip_plain,     // the same without its special tokens
  numbers,        // \p{N}{1,most_digits}, 0: \p{N}+
  kana_kanji,     // [一-龥぀-ゟ゠-ヿ]+
  spaces,         // \s+
  blanks,         // ' ' {2,}
  word_or_other,  // \w+|[^\w\s]+
  number,         // each character of N
  space,          // each white space
  punctuation,    // each of P, and the symbols of ASCII
};
constexpr int kPatterns = 16;

// Changes the text, in order.
struct Normalizer {
  enum class Kind : uint8_t {
    nfc,
    nfd,
    nfkc,
    nfkd,
    lowercase,
    strip,          // white space on the `left` and `right`
    strip_accents,  // all nonspacing marks (BERT)
    strip_marks,    // all marks
    replace,        // each match of `pattern` (literal: `from`) by `to`
    prepend,        // `to`, unless the text is empty
    clean,          // drops controls and U+FFFD, white space becomes ' ' (BERT)
    space_cjk,      // ' ' around each CJK ideograph (BERT)
    charsmap,       // `from` is a table of SentencePiece (charsmap.h)
  };
  static constexpr int kKinds = 13;
  Kind kind = Kind::nfc;
  bool left = false, right = false;
  Pattern pattern = Pattern::literal;
  std::string from = {}, to = {};
};

// What becomes of the matches of a pattern.
enum class Behavior : uint8_t { removed, isolated, merged_with_previous, merged_with_next, contiguous };

// Cuts the normalised text into pieces, in order; no token crosses a cut.
struct Cut {
  enum class Kind : uint8_t {
    split,      // by `pattern`
    metaspace,  // ' ' becomes `text`; one is prepended (`prepend`); cuts before each if `split`
    prefix,     // prepends ' ' unless there is one
  };
  static constexpr int kKinds = 3;
  enum class Prepend : uint8_t { never, first, always };  // first: at the begin of the whole text
  Kind kind = Kind::split;
  Pattern pattern = Pattern::literal;
  Behavior behavior = Behavior::isolated;
  bool invert = false;  // what lies between the matches counts as matches
  bool split = true;
  Prepend prepend = Prepend::always;
  uint8_t most_digits = 0;
  std::string text = {};
};

// Makes text of pieces, in order.
struct Decode {
  enum class Kind : uint8_t {
    byte_fallback,  // "<0x0A>" is a byte
    fuse,           // the steps behind it see the whole text, not tokens
    replace,        // each `from` by `to`
    strip,          // up to `start` of `from` at the begin, and of tokens up to `stop` at the end
    metaspace,      // `from` is ' ', but nothing in the first token if `flag`
    wordpiece,      // ' ' before each but the first, unless it begins with `from`, which goes; `flag`: tidies " ."
    word_end,       // `from` at the end of a token is a ' ', except at the end of the text
    spaces,         // ' ' between tokens
  };
  static constexpr int kKinds = 8;
  Kind kind = Kind::fuse;
  bool flag = false;
  uint32_t start = 0, stop = 0;
  std::string from = {}, to = {};
};

struct TokenizerDef {
  Algorithm algorithm = Algorithm::bpe;
  // Pieces are bytes, and the algorithm works on bytes: a vocabulary of GPT-2's kind, whose alphabet the reader has
  // taken off (from_byte_alphabet). Otherwise pieces are UTF-8, and the algorithm works on characters.
  bool byte_level = false;

  Pieces pieces;               // by id
  std::vector<uint8_t> flags;  // by id: TokenFlags
  // By id. Unigram: log probabilities. BPE with by_score: a higher one is merged first. Otherwise empty.
  std::vector<double> scores;
  std::vector<Merge> merges;  // BPE: the first is applied first
  bool by_score =
      false;  // BPE without merges: any two pieces whose join is a piece merge, by its score (SentencePiece)

  int32_t unknown = -1;            // id, -1: none
  bool fuse_unknown = false;       // neighbouring unknown characters become one token
  bool bytes_fall_back = false;    // characters that are missing become tokens "<0x0A>", if all of those are there
  bool whole_first = false;        // BPE: a piece that is in the vocabulary is not merged together
  std::string word_prefix;         // BPE, WordPiece: stands before pieces that do not begin a word
  std::string word_suffix;         // BPE: stands behind pieces that end a word
  uint32_t most_word_chars = 100;  // WordPiece: longer words are unknown

  std::vector<AddedToken> added;
  std::vector<Normalizer> normalizers;
  std::vector<Cut> cuts;
  std::vector<Decode> decodes;
  std::vector<uint32_t> before, after;  // ids that `add special` puts around a text

  int32_t bos = -1, eos = -1, pad = -1;  // ids where the source says so
};

// Takes GPT-2's alphabet of printable characters off a piece. False: a character is none of it.
bool from_byte_alphabet(std::string_view piece, std::string* bytes);
void to_byte_alphabet(std::string_view bytes, std::string* piece);

// ---- use ----

enum EncodeFlags : uint32_t {
  kAddSpecial = 1,    // TokenizerDef::before and after
  kParseSpecial = 2,  // special tokens are found in the text; without it they are text like any other
  kContinued = 4,     // something stands before the text: what is put before the first word of all is not
};

// Where the text of a sequence of ids stands.
struct DecodeState {
  bool first = true, pending_space = false;
  uint32_t stripped = 0;
};

// Immutable; any number of threads.
class Tokenizer {
 public:
  // Errors  TERN_ERR_CORRUPT      the description contradicts itself; the message names token, merge or step
  //         TERN_ERR_LIMIT        too many of something
  static tern_status create(TokenizerDef def, std::shared_ptr<const Tokenizer>* out);
  ~Tokenizer();

  const TokenizerDef& def() const;
  uint32_t size() const;  // ids, holes included
  // The id of a piece (as it stands in the text) or of an added token; -1: there is none.
  int32_t find(std::string_view text) const;
  // The bytes of a token within a text.
  std::string_view text(uint32_t id) const;

  // Appends. Any bytes are taken; flags: EncodeFlags. Errors: TERN_ERR_LIMIT (a text of 1 GiB or more),
  // TERN_ERR_UNSUPPORTED (a character is in no piece, and there is no token for what is unknown).
  tern_status encode(std::string_view text, uint32_t flags, std::vector<int32_t>* ids) const;
  // Appends the bytes of one more token; `id` < size().
  void decode(uint32_t id, DecodeState* state, std::string* out) const;

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace tern::tokens
