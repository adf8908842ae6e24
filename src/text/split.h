// SPDX-License-Identifier: Apache-2.0
// Finds the matches of the patterns by which texts are cut: what a regular expression engine would find, written out.
#pragma once
#include <string_view>

#include "text/tokenizer.h"
#include "text/unicode.h"

namespace tern::tokens {

// The first match in [from, end): sets its begin and end. False: there is none. Expressions look ahead, never behind.
bool find_match(const Cut& cut, const uint8_t* from, const uint8_t* end, const uint8_t** match, const uint8_t** behind);

// The pattern of a regular expression as tokenizer.json writes it. False: it is not known.
bool find_pattern(std::string_view expression, Pattern* pattern, uint8_t* most_digits);

// Hands over the pieces of a text in order: emit(begin, end) for each that is not empty.
template <class Emit>
void split(const Cut& cut, const uint8_t* begin, const uint8_t* end, Emit&& emit);

// ---- implementation ----

namespace detail {

// Joins matches and what lies between them by a behaviour.
template <class Emit>
struct Joiner {
  Behavior behavior;
  Emit& emit;
  const uint8_t *begin = nullptr, *end = nullptr;  // what is not handed over yet
  bool was_match = false;

  void add(const uint8_t* b, const uint8_t* e, bool match) {
    if (b == e) return;
    switch (behavior) {
      case Behavior::removed:
        if (!match) emit(b, e);
        return;
      case Behavior::isolated: emit(b, e); return;
      case Behavior::merged_with_previous:
        if (match && !was_match && begin) end = e;
        else flush(), begin = b, end = e;
        break;
      case Behavior::merged_with_next:
        if (!match && was_match && begin) end = e;
        else flush(), begin = b, end = e;
        break;
      case Behavior::contiguous:
        if (match == was_match && begin) end = e;
        else flush(), begin = b, end = e;
    }
    was_match = match;
  }
  void flush() {
    if (begin) emit(begin, end);
    begin = nullptr;
  }
};

}  // namespace detail

template <class Emit>
void split(const Cut& cut, const uint8_t* begin, const uint8_t* end, Emit&& emit) {
  detail::Joiner<Emit> joiner{cut.behavior, emit};
  const uint8_t *match = nullptr, *behind = nullptr;
  for (const uint8_t* p = begin; p < end; p = behind) {
    if (!find_match(cut, p, end, &match, &behind)) {
      joiner.add(p, end, cut.invert);
      break;
    }
    joiner.add(p, match, cut.invert);
    joiner.add(match, behind, !cut.invert);
  }
  joiner.flush();
}

}  // namespace tern::tokens
