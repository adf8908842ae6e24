// SPDX-License-Identifier: Apache-2.0
#include "text/json.h"

#include <charconv>
#include <cstring>

#include "base/decimal.h"
#include "base/status.h"
#include "base/text.h"

namespace tern {
namespace {

constexpr uint64_t kPooled = 0x80;
constexpr uint32_t kCheckedKeys = 64;  // objects with more keys are tables, whose readers know what may be twice

void append_utf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back((char)c);
    return;
  }
  if (c < 0x800) {
    out->push_back((char)(0xc0 | c >> 6));
  } else {
    if (c < 0x10000) {
      out->push_back((char)(0xe0 | c >> 12));
    } else {
      out->push_back((char)(0xf0 | c >> 18));
      out->push_back((char)(0x80 | (c >> 12 & 63)));
    }
    out->push_back((char)(0x80 | (c >> 6 & 63)));
  }
  out->push_back((char)(0x80 | (c & 63)));
}

}  // namespace

const char* json_kind_name(JsonKind kind) {
  constexpr const char* kNames[] = {"nothing", "null", "true or false", "a number", "a string", "a list", "an object"};
  return kNames[(int)kind];
}

struct Json::Parser {
  Json& doc;
  const JsonLimits& limits;
  const char *begin, *p, *end;

  tern_status wrong(const char* what) const {
    const uint64_t at = (uint64_t)(p - begin);
    const tern_status s = TERN_FAIL(TERN_ERR_CORRUPT, "no valid JSON: %s at byte %" PRIu64, what, at);
    error_at_offset(at);
    return s;
  }

  void space() {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) ++p;
  }

  tern_status add(JsonKind kind, uint64_t place, uint64_t length) {
    if (doc.nodes_.size() >= limits.values)
      return TERN_FAIL(TERN_ERR_LIMIT, "the JSON text has more than %u values", limits.values);
    if (length > UINT32_MAX) return wrong("a string that is too long");
    doc.nodes_.push_back({place << 8 | (uint64_t)kind, (uint32_t)length, (uint32_t)doc.nodes_.size() + 1});
    return TERN_OK;
  }

  bool hex(uint32_t* out) {
    if (end - p < 4) return false;
    uint32_t v = 0;
    for (int k = 0; k < 4; ++k, ++p) {
      const char c = *p;
      if (c >= '0' && c <= '9') v = v << 4 | (uint32_t)(c - '0');
      else if ((c | 32) >= 'a' && (c | 32) <= 'f') v = v << 4 | (uint32_t)((c | 32) - 'a' + 10);
      else return false;
    }
    *out = v;
    return true;
  }

  // p is behind the opening quote.
  tern_status string() {
    const char* from = p;
    uint64_t pooled = UINT64_MAX;
    for (;;) {
      while (p < end && (uint8_t)*p >= 0x20 && (uint8_t)*p < 0x80 && *p != '"' && *p != '\\') ++p;
      if (p == end) return wrong("a string without an end");
      if (*p == '"') break;
      if ((uint8_t)*p >= 0x80) {
        const size_t n = utf8_character({p, (size_t)(end - p)});
        if (n == 0) return wrong("a byte that is no UTF-8");
        p += n;
        continue;
      }
      if ((uint8_t)*p < 0x20) return wrong("a control character in a string");
      if (pooled == UINT64_MAX) pooled = doc.pool_.size();
      doc.pool_.append(from, (size_t)(p - from));
      if (++p == end) return wrong("a string without an end");
      const char c = *p++;
      switch (c) {
        case '"':
        case '\\':
        case '/': doc.pool_.push_back(c); break;
        case 'b': doc.pool_.push_back('\b'); break;
        case 'f': doc.pool_.push_back('\f'); break;
        case 'n': doc.pool_.push_back('\n'); break;
        case 'r': doc.pool_.push_back('\r'); break;
        case 't': doc.pool_.push_back('\t'); break;
        case 'u': {
          uint32_t code = 0, low = 0;
          if (!hex(&code)) return wrong("\\u without four digits");
          if (code >= 0xd800 && code < 0xe000) {
            if (code >= 0xdc00 || end - p < 2 || p[0] != '\\' || p[1] != 'u') return wrong("half of a surrogate pair");
            p += 2;
            if (!hex(&low) || low < 0xdc00 || low > 0xdfff) return wrong("half of a surrogate pair");
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          }
          append_utf8(code, &doc.pool_);
          break;
        }
        default: --p; return wrong("an unknown escape");
      }
      from = p;
    }
    if (pooled == UINT64_MAX) {
      TERN_TRY(add(JsonKind::string, (uint64_t)(from - begin), (uint64_t)(p - from)));
    } else {
      doc.pool_.append(from, (size_t)(p - from));
      TERN_TRY(add(JsonKind::string, pooled, doc.pool_.size() - pooled));
      doc.nodes_.back().place |= kPooled;
    }
    ++p;
    return TERN_OK;
  }

  tern_status number() {
    const char* const from = p;
    const auto digits = [&] {
      const char* const first = p;
      while (p < end && *p >= '0' && *p <= '9') ++p;
      return p > first;
    };
    if (*p == '-') ++p;
    if (p < end && *p == '0') ++p;
    else if (!digits()) return wrong("what is no value");
    if (p < end && *p == '.' && (++p, !digits())) return wrong("a number without digits");
    if (p < end && (*p == 'e' || *p == 'E')) {
      ++p;
      if (p < end && (*p == '+' || *p == '-')) ++p;
      if (!digits()) return wrong("a number without digits");
    }
    return add(JsonKind::number, (uint64_t)(from - begin), (uint64_t)(p - from));
  }

  tern_status word(const char* text, JsonKind kind) {
    const size_t n = std::strlen(text);
    if ((size_t)(end - p) < n || std::memcmp(p, text, n) != 0) return wrong("what is no value");
    TERN_TRY(add(kind, (uint64_t)(p - begin), n));
    p += n;
    return TERN_OK;
  }

  tern_status check_keys(uint32_t object) const {
    if (doc.nodes_[object].length > kCheckedKeys) return TERN_OK;
    const JsonValue o(&doc, object, 0, false);
    for (JsonValue a = o.first(); a; a = a.next())
      for (JsonValue b = a.next(); b; b = b.next())
        if (a.key() == b.key())
          return TERN_FAIL(TERN_ERR_CORRUPT, "the JSON text has the key '%.60s' twice in one object",
                           std::string(a.key()).c_str());
    return TERN_OK;
  }

  tern_status run() {
    std::vector<uint32_t> open;
    for (;;) {
      // A value.
      space();
      if (p == end) return wrong("an end where a value should be");
      bool opened = false;
      switch (*p) {
        case '{':
        case '[':
          if (open.size() >= limits.depth)
            return TERN_FAIL(TERN_ERR_LIMIT, "the JSON text is nested deeper than %u", limits.depth);
          open.push_back((uint32_t)doc.nodes_.size());
          TERN_TRY(add(*p == '{' ? JsonKind::object : JsonKind::list, (uint64_t)(p - begin), 0));
          ++p;
          opened = true;
          break;
        case '"':
          ++p;
          TERN_TRY(string());
          break;
        case 't': TERN_TRY(word("true", JsonKind::boolean)); break;
        case 'f': TERN_TRY(word("false", JsonKind::boolean)); break;
        case 'n': TERN_TRY(word("null", JsonKind::null)); break;
        default: TERN_TRY(number());
      }
      // What follows it, up to the next value.
      for (;;) {
        if (open.empty()) {
          space();
          return p == end ? TERN_OK : wrong("something behind the value");
        }
        const uint32_t top = open.back();
        const bool object = (doc.nodes_[top].place & 0x7f) == (uint64_t)JsonKind::object;
        space();
        if (p == end) return wrong("a list or object without an end");
        if (*p == (object ? '}' : ']')) {
          ++p;
          doc.nodes_[top].next = (uint32_t)doc.nodes_.size();
          if (object) TERN_TRY(check_keys(top));
          open.pop_back();
          opened = false;
          continue;
        }
        if (!opened) {
          if (*p != ',') return wrong("no comma");
          ++p;
        }
        ++doc.nodes_[top].length;
        if (object) {
          space();
          if (p == end || *p != '"') return wrong("no key");
          ++p;
          TERN_TRY(string());
          space();
          if (p == end || *p != ':') return wrong("no colon");
          ++p;
        }
        break;
      }
    }
  }
};

tern_status Json::parse(std::string_view text, const JsonLimits& limits) {
  text_ = text;
  pool_.clear();
  nodes_.clear();
  if (text.size() > limits.bytes)
    return TERN_FAIL(TERN_ERR_LIMIT, "the JSON text has %zu bytes, at most %" PRIu64 " are read", text.size(),
                     limits.bytes);
  Parser parser{*this, limits, text.data(), text.data(), text.data() + text.size()};
  const tern_status s = parser.run();
  if (s != TERN_OK) nodes_.clear();
  return s;
}

// ---- values ----

JsonKind JsonValue::kind() const { return doc_ ? (JsonKind)(doc_->nodes_[node_].place & 0x7f) : JsonKind::none; }

JsonValue JsonValue::first() const {
  const JsonKind k = kind();
  if ((k != JsonKind::list && k != JsonKind::object) || doc_->nodes_[node_].length == 0) return {};
  return {doc_, node_ + (k == JsonKind::object ? 2 : 1), doc_->nodes_[node_].next, k == JsonKind::object};
}

JsonValue JsonValue::next() const {
  if (!doc_) return {};
  const uint32_t behind = doc_->nodes_[node_].next;
  return behind < end_ ? JsonValue(doc_, behind + (keyed_ ? 1 : 0), end_, keyed_) : JsonValue();
}

std::string_view JsonValue::string_of(uint32_t node) const {
  const Json::Node& n = doc_->nodes_[node];
  const char* const from = n.place & kPooled ? doc_->pool_.data() : doc_->text_.data();
  return {from + (n.place >> 8), n.length};
}

std::string_view JsonValue::key() const { return keyed_ ? string_of(node_ - 1) : std::string_view(); }
std::string_view JsonValue::string() const { return is(JsonKind::string) ? string_of(node_) : std::string_view(); }

uint32_t JsonValue::size() const { return is(JsonKind::list) || is(JsonKind::object) ? doc_->nodes_[node_].length : 0; }

JsonValue JsonValue::operator[](std::string_view key) const {
  if (!is(JsonKind::object)) return {};
  for (JsonValue v = first(); v; v = v.next())
    if (v.key() == key) return v;
  return {};
}

bool JsonValue::boolean(bool otherwise) const {
  return is(JsonKind::boolean) ? doc_->text_[doc_->nodes_[node_].place >> 8] == 't' : otherwise;
}

bool JsonValue::number(double* out) const {
  if (!is(JsonKind::number)) return false;
  return parse_decimal(string_of(node_), out);
}

bool JsonValue::integer(int64_t low, int64_t high, int64_t* out) const {
  if (!is(JsonKind::number)) return false;
  const std::string_view s = string_of(node_);
  int64_t v = 0;
  const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
  if (r.ec != std::errc() || r.ptr != s.data() + s.size() || v < low || v > high) return false;
  *out = v;
  return true;
}

uint64_t JsonValue::offset() const {
  const uint64_t place = doc_ ? doc_->nodes_[node_].place : kPooled;
  return place & kPooled ? UINT64_MAX : place >> 8;
}

}  // namespace tern
