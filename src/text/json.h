// SPDX-License-Identifier: Apache-2.0
// A strict reader of JSON (RFC 8259): UTF-8 alone, no lone surrogates, no key twice in a small object, nothing behind
// the value. No recursion; depth and number of values are limited.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tern/status.h"

namespace tern {

struct JsonLimits {
  uint32_t depth = 64;                 // lists and objects within each other
  uint32_t values = 64u << 20;         // keys count as values
  uint64_t bytes = uint64_t(1) << 30;  // of the text
};

enum class JsonKind : uint8_t { none, null, boolean, number, string, list, object };
const char* json_kind_name(JsonKind kind);  // "a list"

class Json;

// A value of a document, which must outlive it. One that is not there has kind none, and so has all that is asked of
// it.
class JsonValue {
 public:
  JsonValue() = default;
  JsonKind kind() const;
  bool is(JsonKind k) const { return kind() == k; }
  explicit operator bool() const { return doc_ != nullptr; }
  // Of an object: the value of a key. `operator[]` looks at each key in turn.
  JsonValue operator[](std::string_view key) const;
  // Of a list or object, in order: `for (JsonValue v = list.first(); v; v = v.next())`. Of an object these are the
  // values; key() is the key of each.
  JsonValue first() const;
  JsonValue next() const;
  std::string_view key() const;
  uint32_t size() const;  // values of a list or object

  std::string_view string() const;  // UTF-8, may hold NUL; "" for other kinds
  bool boolean(bool otherwise = false) const;
  bool number(double* out) const;                               // false: no number, or none that a double can hold
  bool integer(int64_t low, int64_t high, int64_t* out) const;  // false: no number, not whole, or not within

  uint64_t offset() const;  // of the text, for messages

 private:
  friend class Json;
  JsonValue(const Json* doc, uint32_t node, uint32_t end, bool keyed)
      : doc_(doc), node_(node), end_(end), keyed_(keyed) {}
  std::string_view string_of(uint32_t node) const;
  const Json* doc_ = nullptr;
  uint32_t node_ = 0, end_ = 0;  // end_: where the list or object that it is in ends
  bool keyed_ = false;           // it is in an object, behind its key
};

class Json {
 public:
  Json() = default;
  Json(const Json&) = delete;
  Json& operator=(const Json&) = delete;

  // `text` is kept, not copied: it must live as long as the document.
  // Errors  TERN_ERR_CORRUPT  no JSON; the message says what is wrong and at which byte
  //         TERN_ERR_LIMIT    deeper, larger or with more values than `limits`
  tern_status parse(std::string_view text, const JsonLimits& limits);
  JsonValue root() const { return nodes_.empty() ? JsonValue() : JsonValue(this, 0, (uint32_t)nodes_.size(), false); }

 private:
  friend class JsonValue;
  struct Node {
    uint64_t place;   // where it begins << 8 | kPooled | kind
    uint32_t length;  // bytes of a string, number or word; values of a list or object
    uint32_t next;    // the node behind it and all in it
  };
  struct Parser;
  std::string_view text_;
  std::string pool_;  // strings with escapes
  std::vector<Node> nodes_;
};

}  // namespace tern
