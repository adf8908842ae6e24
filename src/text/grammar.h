// SPDX-License-Identifier: Apache-2.0
// Grammars that say what a text may be, and which tokens may come next so that it becomes such a text.
// A grammar is compiled to networks over bytes, one a rule, that call each other. A Matcher follows all ways through
// them at once: its state is the set of places that the text so far may have led to, each with the calls that are
// open. States, and the steps from one to the next, are kept, so that most tokens cost one look-up a byte.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tern/status.h"
#include "text/tokenizer.h"

namespace tern::tokens {

struct CharRange {
  uint32_t low, high;
};
// A set of characters as ranges: sorted, apart from each other, without surrogates; all others if `negated`.
std::vector<CharRange> char_set(std::vector<CharRange> list, bool negated);

// Immutable; any number of threads.
class Grammar {
 public:
  static constexpr uint64_t kNever = UINT64_MAX;  // no text leads to the end

  // Rules as in GBNF: `name ::= ...`, the first place is the rule `root`. "text" with \n \r \t \\ \" \xHH \uHHHH
  // \UHHHHHHHH, [a-z], [^a-z], `.`, ( ), |, ?, *, +, {m}, {m,}, {m,n}, and comments from # to the end of the line.
  // A rule ends where the next one begins.
  // Errors  TERN_ERR_CORRUPT: line and column say where; a rule that calls itself before it took a byte, or that no
  //         text can end, counts as wrong. TERN_ERR_LIMIT: too large, too deep or repeated too often.
  // failed_rule  gets the name of the rule, where an error speaks of one
  static tern_status create(std::string_view text, std::shared_ptr<const Grammar>* out,
                            std::string* failed_rule = nullptr);

 private:
  friend class Matcher;
  struct Parser;
  enum class Kind : uint8_t { bytes, split, call, end };
  // bytes: one of set `a`, then `next`. split: goes on at `a` and at `next`; at `next` alone if a == kNone.
  // call: rule `a`, then `next`. end: of the rule.
  struct Node {
    Kind kind;
    uint32_t a, next;
  };
  struct ByteSet {
    uint64_t bits[4] = {};
    bool has(uint32_t b) const { return bits[b >> 6] >> (b & 63) & 1; }
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  std::vector<Node> nodes_;
  std::vector<ByteSet> sets_;
  std::vector<uint32_t> entries_;  // by rule; the first is `root`
  std::vector<uint64_t> least_;    // by node: bytes of the shortest text to the end of its rule
  uint8_t classes_[256] = {};      // bytes that no set tells apart are of one class
  std::vector<uint8_t> bytes_;     // by class: one of its bytes
};

// The tokens of a tokenizer in the order of their bytes, which is a walk through their trie. Immutable.
class TokenTrie {
 public:
  // size: ids from there on are never allowed.
  TokenTrie(const Tokenizer& tokenizer, uint32_t size);
  uint32_t size() const { return size_; }
  // Tokens that end an answer.
  std::span<const uint32_t> ends() const { return ends_; }
  bool is_end(uint32_t id) const;

 private:
  friend class Matcher;
  struct Entry {
    uint32_t id, at;          // where its bytes begin in bytes_
    uint16_t length, common;  // `common`: as many of its first bytes are those of the entry before it
  };
  std::vector<Entry> entries_;
  std::vector<uint32_t> places_;  // by id: its entry, UINT32_MAX: none
  std::string bytes_;
  std::vector<uint32_t> ends_;
  uint32_t size_;
};

// Where a text stands within a grammar. One thread at a time.
class Matcher {
 public:
  Matcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> tokens);

  void reset();  // to the begin of a text
  // Goes on by a token. False: it is not allowed, and nothing has changed. After an end token nothing is allowed.
  bool accept(uint32_t token);
  // Goes on by bytes, which may be of no token.
  bool accept(std::string_view bytes);
  bool may_end() const;
  bool ended() const { return ended_; }
  // Bytes of the shortest text from here to the end.
  uint64_t least() const;
  // Bit t of word t / 64: token t may come next, an end token where the text may end. None: the text has ended.
  // tokens_left: how many tokens there may still be, the one that ends the text included; negative: any number. When
  // they become few, tokens are allowed alone after which the shortest way to the end still fits, each of its bytes
  // taken as a token; where none does, those after which it is shortest.
  // Valid until the next call. Errors: TERN_ERR_LIMIT: too many ways lead through the grammar at once.
  tern_status allowed(int64_t tokens_left, std::span<const uint64_t>* bits);

 private:
  static constexpr uint32_t kDead = 0, kUnknown = UINT32_MAX;
  struct Place {  // a node, and the stack of nodes to go on at when its rule ends (an index; 0: none)
    uint32_t node, stack;
    bool operator==(const Place&) const = default;
  };
  struct Stack {
    uint32_t node, below;
    uint64_t least;  // bytes to the end of all of it
  };
  struct State {
    std::vector<Place> places;    // at nodes that take a byte
    std::vector<uint32_t> steps;  // by class
    uint64_t least = Grammar::kNever;
    uint32_t same_hash = 0;  // another state with this hash
    int32_t mask = -1;
    bool may_end = false;
  };
  struct Mask {
    std::vector<uint64_t> bits;
    uint64_t worst = 0;  // the largest least() after one of its tokens
  };
  void clear();
  void tidy();
  uint32_t step(uint32_t state, uint8_t byte);
  uint32_t close(std::vector<Place>* work);
  uint32_t push(uint32_t node, uint32_t below);
  template <class F>
  void walk(F&& f);

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const TokenTrie> tokens_;
  std::vector<Stack> stacks_;
  std::vector<State> states_;  // the first is the dead one
  std::unordered_map<uint64_t, uint32_t> stack_of_, state_of_, seen_;
  std::vector<Mask> masks_;
  std::vector<uint64_t> own_;
  uint64_t bytes_ = 0;  // of the memory above, about
  uint32_t now_ = 0;
  bool ended_ = false, too_much_ = false;
};

}  // namespace tern::tokens
