// SPDX-License-Identifier: Apache-2.0
#include "text/json_schema.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/status.h"
#include "base/text.h"
#include "text/grammar.h"
#include "text/json.h"
#include "text/unicode.h"

namespace tern::tokens {
namespace {

constexpr size_t kMostRules = 1 << 20;            // bytes of them
constexpr double kMostInteger = 999999999999999;  // 15 digits
constexpr int64_t kMostCount = 65536;             // of characters or elements

constexpr std::string_view kQuote = R"("\"")";

// What every schema may use. Escapes of surrogates are left out: one alone is no character.
constexpr std::string_view kCommon = R"(ws ::= (" " | "\n" " "{0,20})?
sp ::= " "?
plain ::= [^"\\\x00-\x1f]
char ::= plain | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))
string ::= "\"" char* "\""
integer ::= "-"? ("0" | [1-9] [0-9]{0,14})
number ::= integer ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?
boolean ::= "true" | "false"
null ::= "null"
value ::= object | array | string | number | boolean | null
pair ::= string ":" sp value
object ::= "{" ws (pair ("," ws pair)*)? ws "}"
array ::= "[" ws (value ("," ws value)*)? ws "]"
)";

enum Types : uint32_t {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kFraction = 8,
  kString = 16,
  kArray = 32,
  kObject = 64,
  kNumber = kInteger | kFraction,
  kAll = 127
};
constexpr struct {
  std::string_view name;
  uint32_t types;
} kTypes[] = {{"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kNumber},
              {"string", kString}, {"array", kArray},     {"object", kObject}};

// What a keyword speaks of: the values of some types, or
constexpr uint32_t kWords = 1 << 8;  // nothing that a value shows
constexpr uint32_t kWhole = 1 << 9;  // the whole schema
constexpr struct {
  std::string_view name;
  uint32_t of;
} kKeywords[] = {{"title", kWords},
                 {"description", kWords},
                 {"default", kWords},
                 {"examples", kWords},
                 {"deprecated", kWords},
                 {"readOnly", kWords},
                 {"writeOnly", kWords},
                 {"$schema", kWords},
                 {"$id", kWords},
                 {"$comment", kWords},
                 {"$defs", kWords},
                 {"definitions", kWords},
                 {"type", kWhole},
                 {"enum", kWhole},
                 {"const", kWhole},
                 {"$ref", kWhole},
                 {"anyOf", kWhole},
                 {"oneOf", kWhole},
                 {"allOf", kWhole},
                 {"minLength", kString},
                 {"maxLength", kString},
                 {"pattern", kString},
                 {"minimum", kNumber},
                 {"maximum", kNumber},
                 {"exclusiveMinimum", kNumber},
                 {"exclusiveMaximum", kNumber},
                 {"items", kArray},
                 {"prefixItems", kArray},
                 {"minItems", kArray},
                 {"maxItems", kArray},
                 {"uniqueItems", kArray},
                 {"properties", kObject},
                 {"required", kObject},
                 {"additionalProperties", kObject}};

// ---- pieces of rules ----

// One after the other; this is much smaller than sums of strings.
std::string joined(std::initializer_list<std::string_view> list) {
  std::string out;
  for (const std::string_view part : list) out += part;
  return out;
}
// With `between` where there is something already.
void append(std::string* out, std::string_view between, std::initializer_list<std::string_view> list) {
  if (!out->empty()) *out += between;
  for (const std::string_view part : list) *out += part;
}
std::string text_of(int64_t n) {
  char text[24];
  return std::string(text, (size_t)std::snprintf(text, sizeof text, "%lld", (long long)n));
}

void append_hex(uint32_t code, std::string* out) {
  char text[16];
  std::snprintf(text, sizeof text, "\\U%08x", code);
  *out += text;
}
std::string literal(std::string_view bytes) {
  std::string out = "\"";
  for (const char c : bytes) {
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if ((uint8_t)c < 0x20 || c == 0x7f) append_hex((uint8_t)c, &out);
    else out += c;
  }
  return out += "\"", out;
}
// As it stands between the quotes of JSON.
std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    char code[8];
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if ((uint8_t)c < 0x20) std::snprintf(code, sizeof code, "\\u%04x", (unsigned)c), out += code;
    else out += c;
  }
  return out;
}
std::string class_text(const std::vector<CharRange>& list) {
  std::string out = "[";
  for (const CharRange& r : list) {
    append_hex(r.low, &out);
    if (r.high > r.low) out += '-', append_hex(r.high, &out);
  }
  return out += "]", out;
}
// One of these characters within a JSON string: as it is, or with the short escape that it needs.
std::string json_class(const std::vector<CharRange>& list) {
  std::vector<CharRange> others = char_set(list, true);
  std::string out;
  const auto has = [&](uint32_t c) {
    return std::any_of(list.begin(), list.end(), [&](const CharRange& r) { return r.low <= c && c <= r.high; });
  };
  for (const auto& [code, escape] : {std::pair<uint32_t, const char*>{'"', "\\\""},
                                     {'\\', "\\\\"},
                                     {'\b', "\\b"},
                                     {'\f', "\\f"},
                                     {'\n', "\\n"},
                                     {'\r', "\\r"},
                                     {'\t', "\\t"}})
    if (has(code)) append(&out, " | ", {literal(escape)});
  for (const CharRange& r : {CharRange{0, 0x1f}, CharRange{'"', '"'}, CharRange{'\\', '\\'}}) others.push_back(r);
  const std::vector<CharRange> plain = char_set(std::move(others), true);
  if (!plain.empty()) append(&out, " | ", {class_text(plain)});
  return out.empty() ? out : joined({"(", out, ")"});
}

// Decimal numbers of as many digits, from `low` to `high`.
std::string same_length(const std::string& low, const std::string& high) {
  if (low == high) return literal(low);
  size_t i = 0;
  while (low[i] == high[i]) ++i;
  std::string out;
  const auto add = [&](std::string_view begin, char from, char to, size_t rest) {
    if (from > to) return;
    append(&out, " | ", {literal(begin), " [", {&from, 1}, "-", {&to, 1}, "]"});
    if (rest) append(&out, "", {" [0-9]{", text_of((int64_t)rest), "}"});
  };
  const size_t n = low.size();
  add(std::string_view(low).substr(0, i), (char)(low[i] + 1), (char)(high[i] - 1), n - i - 1);
  for (size_t k = i + 1; k < n; ++k) {
    add(std::string_view(low).substr(0, k), (char)(low[k] + 1), '9', n - k - 1);
    add(std::string_view(high).substr(0, k), '0', (char)(high[k] - 1), n - k - 1);
  }
  append(&out, " | ", {literal(low), " | ", literal(high)});
  return out;
}
// Whole numbers from 0 <= low to high; "" for none.
std::string whole(int64_t low, int64_t high) {
  std::string out;
  while (low <= high) {
    const std::string from = text_of((int64_t)low);
    int64_t end = 9;
    for (size_t i = 1; i < from.size(); ++i) end = end * 10 + 9;
    end = std::min(end, high);
    append(&out, " | ", {same_length(from, text_of(end))});
    low = end + 1;
  }
  return out;
}

class Maker {
 public:
  explicit Maker(std::string_view text) : text_(text) {}

  tern_status make(std::string* rules) {
    JsonLimits limits;
    limits.depth = 128, limits.bytes = 4 << 20, limits.values = 1 << 18;
    if (const tern_status s = json_.parse(text_, limits)) return add_to_error(" (in the schema)"), s;
    out_ = kCommon;
    put({"root ::= ", use(json_.root(), ""), "\n"});
    for (size_t i = 0; i < list_.size(); ++i) {
      name_ = joined({"s", text_of((int64_t)i)}), pointer_ = list_[i].pointer;
      std::string body;
      TERN_TRY(rule(list_[i].schema, &body));
      put({name_, " ::= ", body, "\n"});
      if (out_.size() > kMostRules) return TERN_FAIL(TERN_ERR_LIMIT, "the schema makes too many rules");
    }
    *rules = std::move(out_);
    return TERN_OK;
  }
  // Of the schema that a rule was made of.
  std::string pointer_of(const std::string& rule) const {
    if (rule.size() < 2 || rule[0] != 's') return "";
    const size_t i = (size_t)std::strtoull(rule.c_str() + 1, nullptr, 10);
    return i < list_.size() ? list_[i].pointer : "";
  }

 private:
  struct Item {
    JsonValue schema;
    std::string pointer;
  };

  tern_status wrong(tern_status code, const char* format, ...) __attribute__((format(printf, 3, 4))) {
    char what[400];
    va_list list;
    va_start(list, format);
    format_text(what, sizeof what, format, list);
    va_end(list);
    return TERN_FAIL(code, "schema at '%s': %s", pointer_.c_str(), what);
  }
  void put(std::initializer_list<std::string_view> list) { append(&out_, "", list); }
  tern_status beside(std::string_view a, std::string_view b) {
    return wrong(TERN_ERR_UNSUPPORTED, "'%.*s' beside '%.*s' is not supported", (int)a.size(), a.data(), (int)b.size(),
                 b.data());
  }

  // The rule of a schema, which is made later.
  std::string use(JsonValue schema, std::string pointer) {
    const auto [found, fresh] = index_.try_emplace(schema.offset(), (uint32_t)list_.size());
    if (fresh) list_.push_back({schema, std::move(pointer)});
    return joined({"s", text_of(found->second)});
  }
  std::string use_key(JsonValue of, std::string_view key, const std::string& pointer) {
    std::string p = joined({pointer, "/"});
    for (const char c : key) {
      if (c == '~') p += "~0";
      else if (c == '/') p += "~1";
      else p += c;
    }
    return use(of, std::move(p));
  }

  // The text of a value without white space.
  std::string compact(JsonValue v) const {
    if (v.is(JsonKind::string)) return joined({"\"", json_escaped(v.string()), "\""});
    std::string out;
    int depth = 0;
    bool quoted = false;
    for (size_t i = (size_t)v.offset(); i < text_.size(); ++i) {
      const char c = text_[i];
      if (quoted) {
        out += c;
        if (c == '\\') out += text_[++i];
        else if (c == '"') quoted = false;
        if (!quoted && depth == 0) break;
        continue;
      }
      const bool space = c == ' ' || c == '\n' || c == '\r' || c == '\t';
      if (depth == 0 && (space || c == ',' || c == ']' || c == '}')) break;
      if (space) continue;
      out += c;
      if (c == '"') quoted = true;
      if (c == '[' || c == '{') ++depth;
      if ((c == ']' || c == '}') && --depth == 0) break;
    }
    return out;
  }
  uint32_t type_of(JsonValue v) const {
    switch (v.kind()) {
      case JsonKind::null: return kNull;
      case JsonKind::boolean: return kBoolean;
      case JsonKind::string: return kString;
      case JsonKind::list: return kArray;
      case JsonKind::object: return kObject;
      default: return compact(v).find_first_of(".eE") == std::string::npos ? kInteger : kFraction;
    }
  }

  tern_status count(JsonValue schema, const char* key, int64_t otherwise, int64_t* out) {
    *out = otherwise;
    const JsonValue v = schema[key];
    if (v && !v.integer(0, INT64_MAX, out)) return wrong(TERN_ERR_CORRUPT, "'%s' is no whole number from 0 on", key);
    if (v && *out > kMostCount) return wrong(TERN_ERR_LIMIT, "'%s' is more than %lld", key, (long long)kMostCount);
    return TERN_OK;
  }

  tern_status resolve(std::string_view ref, JsonValue* out, std::string* pointer) {
    if (ref.empty() || ref[0] != '#' || (ref.size() > 1 && ref[1] != '/'))
      return wrong(TERN_ERR_UNSUPPORTED, "'$ref' to '%.*s' is not supported: only '#' and '#/...' are", (int)ref.size(),
                   ref.data());
    JsonValue v = json_.root();
    *pointer = std::string(ref.substr(1));
    for (size_t at = 1; at < ref.size() && v;) {
      const size_t end = std::min(ref.find('/', at + 1), ref.size());
      std::string key;
      for (size_t i = at + 1; i < end; ++i) {
        if (ref[i] == '~' && i + 1 < end) key += ref[++i] == '1' ? '/' : '~';
        else if (ref[i] == '%' && i + 2 < end)
          key += (char)std::strtol(std::string(ref.substr(i + 1, 2)).c_str(), nullptr, 16), i += 2;
        else key += ref[i];
      }
      if (v.is(JsonKind::list)) {
        size_t n = 0;
        char* tail = nullptr;
        n = (size_t)std::strtoull(key.c_str(), &tail, 10);
        JsonValue item = key.empty() || *tail ? JsonValue() : v.first();
        for (; item && n > 0; --n) item = item.next();
        v = item;
      } else {
        v = v[key];
      }
      at = end;
    }
    if (!v) return wrong(TERN_ERR_CORRUPT, "'$ref' to '%.*s': there is nothing", (int)ref.size(), ref.data());
    *out = v;
    return TERN_OK;
  }

  tern_status types_of(JsonValue type, uint32_t* out) {
    *out = 0;
    const auto add = [&](JsonValue t) -> tern_status {
      for (const auto& known : kTypes)
        if (t.is(JsonKind::string) && t.string() == known.name) return *out |= known.types, TERN_OK;
      return wrong(TERN_ERR_CORRUPT, "'type' is none of null, boolean, integer, number, string, array, object");
    };
    if (!type.is(JsonKind::list)) return add(type);
    for (JsonValue t = type.first(); t; t = t.next()) TERN_TRY(add(t));
    return TERN_OK;
  }

  // A rule for one schema: the list of keywords, then what they make.
  tern_status rule(JsonValue s, std::string* body) {
    if (s.is(JsonKind::boolean)) {
      if (!s.boolean()) return wrong(TERN_ERR_CORRUPT, "nothing fits the schema false");
      *body = "value";
      return TERN_OK;
    }
    if (!s.is(JsonKind::object)) return wrong(TERN_ERR_CORRUPT, "a schema is an object, true or false");
    uint32_t speaks = 0;  // of these types
    std::string_view main, other;
    for (JsonValue v = s.first(); v; v = v.next()) {
      const auto* known =
          std::find_if(std::begin(kKeywords), std::end(kKeywords), [&](const auto& k) { return k.name == v.key(); });
      if (known == std::end(kKeywords))
        return wrong(TERN_ERR_UNSUPPORTED, "the keyword '%.*s' is not supported", (int)v.key().size(), v.key().data());
      if (known->of == kWords || known->name == "type") continue;
      if (known->of == kWhole && main.empty()) main = known->name;
      else other = known->name;
      if (known->of != kWhole) speaks |= known->of;
    }
    if (!main.empty() && !other.empty()) return beside(main, other);
    uint32_t types = kAll;
    if (s["type"]) TERN_TRY(types_of(s["type"], &types));
    if (main == "const" || main == "enum") return values(s[main], main == "enum", types, body);
    if (!main.empty() && s["type"]) return beside(main, "type");
    if (main == "$ref") {
      JsonValue target;
      std::string pointer;
      TERN_TRY(resolve(s[main].string(), &target, &pointer));
      *body = use(target, std::move(pointer));
      return TERN_OK;
    }
    if (!main.empty()) return alternatives(s[main], main, body);
    if (!s["type"] && speaks) types = speaks;  // of all that fits, what the schema speaks of
    if (types == kAll) {
      *body = "value";
      return TERN_OK;
    }
    const auto add = [&](std::string_view text) { append(body, " | ", {text}); };
    std::string made;
    if (types & kObject) {
      TERN_TRY(object(s, &made));
      add(made);
    }
    if (types & kArray) {
      TERN_TRY(array(s, &made));
      add(made);
    }
    if (types & kString) {
      TERN_TRY(string(s, &made));
      add(made);
    }
    if (types & kNumber) {
      TERN_TRY(number(s, types & kFraction, &made));
      add(made);
    }
    if (types & kBoolean) add("boolean");
    if (types & kNull) add("null");
    if (body->empty()) return wrong(TERN_ERR_CORRUPT, "'type' names nothing");
    return TERN_OK;
  }

  tern_status values(JsonValue v, bool list, uint32_t types, std::string* body) {
    if (list && !v.is(JsonKind::list)) return wrong(TERN_ERR_CORRUPT, "'enum' is no list");
    for (JsonValue item = list ? v.first() : v; item; item = list ? item.next() : JsonValue())
      if (type_of(item) & types) append(body, " | ", {literal(compact(item))});
    if (body->empty()) return wrong(TERN_ERR_CORRUPT, "no value of '%s' fits", list ? "enum" : "const");
    return TERN_OK;
  }

  // Types that a schema's values may have; more rather than fewer.
  uint32_t reach(JsonValue s, JsonValue* resolved) {
    for (int i = 0; i < 32 && s["$ref"]; ++i) {
      std::string pointer;
      if (resolve(s["$ref"].string(), &s, &pointer) != TERN_OK) return kAll;
    }
    *resolved = s;
    if (s["const"]) return type_of(s["const"]);
    uint32_t types = 0;
    if (s["enum"])
      for (JsonValue v = s["enum"].first(); v; v = v.next()) types |= type_of(v);
    else if (!s["type"] || types_of(s["type"], &types) != TERN_OK) types = kAll;
    return types;
  }
  // Whether no value has one of the constants of both.
  bool apart(JsonValue a, JsonValue b) const {
    const auto each = [](JsonValue v, auto&& f) {
      if (v["const"]) f(v["const"]);
      else
        for (JsonValue e = v["enum"].first(); e; e = e.next()) f(e);
    };
    if (!(a["const"] || a["enum"]) || !(b["const"] || b["enum"])) return false;
    bool good = true;
    each(a, [&](JsonValue x) {
      each(b, [&](JsonValue y) {  // of what is not a string without escapes, equal values may look different
        const std::string p = compact(x), q = compact(y);
        if (p == q || !x.is(JsonKind::string) || !y.is(JsonKind::string) ? type_of(x) & type_of(y)
                                                                         : x.string() == y.string())
          good = false;
      });
    });
    return good;
  }
  static bool requires_key(JsonValue s, std::string_view key) {
    for (JsonValue r = s["required"].first(); r; r = r.next())
      if (r.string() == key) return true;
    return false;
  }
  bool exclusive(JsonValue a, JsonValue b) {
    JsonValue x, y;
    const uint32_t both = reach(a, &x) & reach(b, &y);
    if (both == 0 || apart(x, y)) return true;
    if (both != kObject) return false;
    for (JsonValue p = x["properties"].first(); p; p = p.next())
      if (apart(p, y["properties"][p.key()]) && requires_key(x, p.key()) && requires_key(y, p.key())) return true;
    return false;
  }

  tern_status alternatives(JsonValue list, std::string_view key, std::string* body) {
    if (!list.is(JsonKind::list) || list.size() == 0)
      return wrong(TERN_ERR_CORRUPT, "'%.*s' is no list of schemas", (int)key.size(), key.data());
    if (key == "allOf" && list.size() > 1)
      return wrong(TERN_ERR_UNSUPPORTED, "'allOf' of more than one schema is not supported");
    size_t i = 0;
    for (JsonValue v = list.first(); v; v = v.next(), ++i) {
      append(body, " | ", {use(v, joined({pointer_, "/", key, "/", text_of((int64_t)i)}))});
      if (key != "oneOf") continue;
      size_t k = i + 1;
      for (JsonValue w = v.next(); w; w = w.next(), ++k) {
        if (k > 64) return wrong(TERN_ERR_LIMIT, "'oneOf' has more than 64 schemas");
        if (!exclusive(v, w))
          return wrong(TERN_ERR_UNSUPPORTED,
                       "'oneOf': a value may fit both number %zu and number %zu; only schemas whose types differ, or a "
                       "constant that both require, are supported (anyOf takes any)",
                       i, k);
      }
    }
    return TERN_OK;
  }

  tern_status number(JsonValue s, bool fractions, std::string* body) {
    double low = -HUGE_VAL, high = HUGE_VAL;
    for (const char* key : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}) {
      if (!s[key]) continue;
      double v = 0;
      if (!s[key].number(&v)) return wrong(TERN_ERR_CORRUPT, "'%s' is no number", key);
      const bool least = std::string_view(key).ends_with("inimum");
      const bool without = key[0] == 'e';
      if (least) low = std::max(low, without ? std::floor(v) + 1 : std::ceil(v));
      else high = std::min(high, without ? std::ceil(v) - 1 : std::floor(v));
    }
    if (low == -HUGE_VAL && high == HUGE_VAL) {
      *body = fractions ? "number" : "integer";
      return TERN_OK;
    }
    if (low > high || low > kMostInteger || high < -kMostInteger)
      return wrong(TERN_ERR_UNSUPPORTED, "there is no whole number of at most 15 digits within the limits");
    const int64_t a = (int64_t)std::max(low, -kMostInteger), b = (int64_t)std::min(high, kMostInteger);
    body->clear();
    const auto add = [&](const char* before, const std::string& digits, const char* behind) {
      if (!digits.empty()) append(body, " | ", {before, "(", digits, ")", behind});
    };
    if (!fractions) {
      if (a < 0) add("\"-\" ", whole(std::max<int64_t>(1, -b), -a), "");
      if (b >= 0) add("", whole(std::max<int64_t>(a, 0), b), "");
    } else {  // the last whole number on each side has no fraction
      constexpr const char* kFractions = " (\".\" [0-9]{1,15})?";
      if (a < 0) {
        const int64_t from = std::max<int64_t>(0, -b);
        add("\"-\" ", whole(from, -a - 1), kFractions);
        add("\"-\" ", whole(-a, -a), "");
      }
      if (b >= 0) {
        add("", whole(std::max<int64_t>(a, 0), b - 1), kFractions);
        add("", whole(b, b), "");
      }
    }
    *body = joined({"(", *body, ")"});
    return TERN_OK;
  }

  tern_status string(JsonValue s, std::string* body) {
    int64_t least = 0, most = 0;
    TERN_TRY(count(s, "minLength", 0, &least));
    TERN_TRY(count(s, "maxLength", -1, &most));
    if (most >= 0 && most < least) return wrong(TERN_ERR_CORRUPT, "'maxLength' is less than 'minLength'");
    if (const JsonValue p = s["pattern"]) {
      if (s["minLength"] || s["maxLength"]) return beside("pattern", s["minLength"] ? "minLength" : "maxLength");
      if (!p.is(JsonKind::string)) return wrong(TERN_ERR_CORRUPT, "'pattern' is no string");
      TERN_TRY(pattern(p.string(), body));
      *body = joined({kQuote, " ", *body, " ", kQuote});
      return TERN_OK;
    }
    *body = joined({kQuote, " char{", text_of(least), ",", most >= 0 ? text_of(most) : "", "} ", kQuote});
    return TERN_OK;
  }

  // ---- patterns ----

  struct Pattern {
    std::string_view text;
    size_t at = 0;
    char peek(size_t ahead = 0) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }
  };
  tern_status not_in_pattern(const Pattern& p, const char* what) {
    return wrong(TERN_ERR_UNSUPPORTED, "'pattern', byte %zu: %s", p.at, what);
  }
  // What stands behind a backslash: a set of characters.
  tern_status escape(Pattern* p, std::vector<CharRange>* out) {
    const char c = p->peek(1);
    const char low = (char)(c | 32);
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
    std::vector<CharRange> set;
    if (low == 'd') {
      set = {{'0', '9'}};
    } else if (low == 'w') {
      set = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    } else if (low == 's') {
      set = {{9, 13},          {32, 32},         {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
             {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    } else if (digits) {
      uint32_t code = 0;
      for (size_t i = 0; i < digits; ++i) {
        const char h = p->peek(2 + i), l = (char)(h | 32);
        if (!(h >= '0' && h <= '9') && !(l >= 'a' && l <= 'f')) return not_in_pattern(*p, "too few hexadecimal digits");
        code = code * 16 + (uint32_t)(h <= '9' ? h - '0' : l - 'a' + 10);
      }
      if (code >= 0xd800 && code <= 0xdfff) return not_in_pattern(*p, "surrogates are not supported");
      p->at += digits;
      set = {{code, code}};
    } else {
      static constexpr std::string_view kFrom = "nrtfv", kTo = "\n\r\t\f\v";
      const size_t i = kFrom.find(c);
      if (i == kFrom.npos && ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || (uint8_t)c >= 0x80 || c == '\0'))
        return not_in_pattern(*p, "this escape is not supported");
      const uint8_t code = (uint8_t)(i == kFrom.npos ? c : kTo[i]);
      set = {{code, code}};
    }
    p->at += 2;
    if (c == 'D' || c == 'W' || c == 'S') set = char_set(std::move(set), true);
    out->insert(out->end(), set.begin(), set.end());
    return TERN_OK;
  }
  static CharRange one(Pattern* p) {
    const uint8_t* at = (const uint8_t*)p->text.data() + p->at;
    const Char c = read_char(at, (const uint8_t*)p->text.data() + p->text.size());
    p->at += c.size;
    return {c.code, c.code};
  }
  tern_status pattern_class(Pattern* p, std::vector<CharRange>* out) {
    ++p->at;
    const bool negated = p->peek() == '^';
    p->at += negated;
    std::vector<CharRange> list;
    while (p->at < p->text.size() && p->peek() != ']') {
      std::vector<CharRange> low;
      if (p->peek() == '\\') TERN_TRY(escape(p, &low));
      else low.push_back(one(p));
      if (p->peek() == '-' && p->peek(1) != ']' && p->at + 1 < p->text.size()) {
        ++p->at;
        std::vector<CharRange> high;
        if (p->peek() == '\\') TERN_TRY(escape(p, &high));
        else high.push_back(one(p));
        if (low.size() != 1 || high.size() != 1 || low[0].low != low[0].high || high[0].low != high[0].high ||
            high[0].low < low[0].low)
          return not_in_pattern(*p, "this range is not supported");
        low[0].high = high[0].high;
      }
      list.insert(list.end(), low.begin(), low.end());
    }
    if (p->peek() != ']') return not_in_pattern(*p, "] is missing");
    ++p->at;
    *out = char_set(std::move(list), negated);
    return TERN_OK;
  }
  tern_status pattern(std::string_view text, std::string* body) {
    Pattern p{text};
    const bool begins = p.peek() == '^';
    p.at += begins;
    bool ends = false, choice = false, atom = false;
    int depth = 0;
    std::string out;
    while (p.at < text.size()) {
      const char c = p.peek();
      std::vector<CharRange> set;
      if (c == '(') {
        if (p.peek(1) == '?' && p.peek(2) != ':') return not_in_pattern(p, "this kind of group is not supported");
        p.at += p.peek(1) == '?' ? 3 : 1;
        out += "(", ++depth, atom = false;
        continue;
      }
      if (c == ')') {
        if (--depth < 0) return not_in_pattern(p, "this ) closes nothing");
        out += ") ", ++p.at, atom = true;
        continue;
      }
      if (c == '|') {
        choice |= depth == 0;
        out += "| ", ++p.at, atom = false;
        continue;
      }
      if (c == '*' || c == '+' || c == '?' || c == '{') {
        if (!atom) return not_in_pattern(p, "there is nothing to repeat before this");
        const size_t end = c == '{' ? text.find('}', p.at) : p.at;
        if (end == text.npos || text.substr(p.at, end - p.at).find_first_not_of("{0123456789,") != text.npos ||
            (c == '{' && !(p.peek(1) >= '0' && p.peek(1) <= '9')))
          return not_in_pattern(p, "this repetition is not supported");
        out.pop_back();
        append(&out, "", {text.substr(p.at, end + 1 - p.at), " "});
        p.at = end + 1;
        if (p.peek() == '?') ++p.at;  // what is taken first makes no difference
        atom = false;
        continue;
      }
      if (c == '$' && p.at + 1 == text.size()) {
        ends = true;
        break;
      }
      if (c == '^' || c == '$') return not_in_pattern(p, "^ and $ are supported at the begin and the end alone");
      if (c == ']' || c == '}') return not_in_pattern(p, "this needs a backslash");
      if (c == '[') TERN_TRY(pattern_class(&p, &set));
      else if (c == '\\') TERN_TRY(escape(&p, &set));
      else if (c == '.') ++p.at, set = char_set({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}, true);
      else set.push_back(one(&p));
      const std::string made = json_class(char_set(std::move(set), false));
      if (made.empty()) return not_in_pattern(p, "no character fits");
      append(&out, "", {made, " "}), atom = true;
      if (out.size() > kMostRules) return TERN_FAIL(TERN_ERR_LIMIT, "the schema makes too many rules");
    }
    if (depth) return not_in_pattern(p, ") is missing");
    if (choice && (begins || ends))
      return not_in_pattern(p, "^ or $ beside | outside a group is not supported: write ^(a|b)$");
    *body = joined({begins ? "" : "char* ", "(", out, ")", ends ? "" : " char*"});
    return TERN_OK;
  }

  // ---- lists and objects ----

  tern_status array(JsonValue s, std::string* body) {
    int64_t least = 0, most = 0;
    TERN_TRY(count(s, "minItems", 0, &least));
    TERN_TRY(count(s, "maxItems", -1, &most));
    if (s["uniqueItems"] && (!s["uniqueItems"].is(JsonKind::boolean) || s["uniqueItems"].boolean()))
      return wrong(TERN_ERR_UNSUPPORTED, "'uniqueItems' other than false is not supported");
    const JsonValue items = s["items"], prefix = s["prefixItems"];
    if (items.is(JsonKind::list))
      return wrong(TERN_ERR_UNSUPPORTED, "'items' as a list is not supported: it is called prefixItems since 2020-12");
    if (prefix && !prefix.is(JsonKind::list)) return wrong(TERN_ERR_CORRUPT, "'prefixItems' is no list");
    const int64_t first = prefix.size();
    if (items.is(JsonKind::boolean) && !items.boolean()) most = most < 0 ? first : std::min(most, first);
    if (most >= 0 && most < least) return wrong(TERN_ERR_CORRUPT, "more elements at least than at most");
    const std::string item = items && !items.is(JsonKind::boolean) ? use(items, joined({pointer_, "/items"})) : "value";
    // The elements behind the first ones, and the others from the last one on: what follows it comes first.
    const auto times = [&](int64_t done) {
      return joined({"{", text_of(std::max<int64_t>(0, least - done)), ",",
                     most < 0 ? "" : text_of(std::max<int64_t>(0, most - done)), "}"});
    };
    std::string list = first ? joined({"(\",\" ws ", item, ")", times(first)}) : "";
    std::vector<std::string> names;
    size_t n = 0;
    for (JsonValue v = prefix.first(); v; v = v.next(), ++n)
      names.push_back(use(v, joined({pointer_, "/prefixItems/", text_of((int64_t)n)})));
    for (int64_t i = first; i-- > 0;) {
      const std::string rest = joined({name_, "-", text_of(i)});
      put({rest, " ::= "});
      if (most >= 0 && i >= most) {
        out_ += "\"\"\n";
      } else {
        put({i ? "\",\" ws " : "", names[(size_t)i], " ", list, i >= least ? " | \"\"\n" : "\n"});
      }
      list = rest;
    }
    if (!first) {
      if (most == 0) list = "";
      else list = joined({"(", item, " (\",\" ws ", item, ")", times(1), ")", least > 0 ? "" : "?"});
    }
    *body = joined({"\"[\" ws ", list, " ws \"]\""});
    return TERN_OK;
  }

  // Rules for the keys that are none of `names`, without escapes. The name of the first.
  std::string other_keys(const std::vector<std::string>& names) {
    std::vector<std::u32string> list;
    for (const std::string& n : names) {
      std::u32string codes;
      bool plain = true;
      for (const uint8_t *p = (const uint8_t*)n.data(), *end = p + n.size(); p < end;) {
        const Char c = read_char(p, end);
        plain &= c.code >= 0x20 && c.code != '"' && c.code != '\\';
        codes += (char32_t)c.code, p += c.size;
      }
      if (plain) list.push_back(codes);
    }
    std::sort(list.begin(), list.end());
    struct Part {  // names from `begin` on to `end` have their first `depth` characters in common
      size_t begin, end, depth;
    };
    std::vector<Part> parts = {{0, list.size(), 0}};
    for (size_t i = 0; i < parts.size() && out_.size() <= kMostRules; ++i) {
      const Part part = parts[i];
      size_t at = part.begin;
      bool whole_name = false;
      while (at < part.end && list[at].size() == part.depth) ++at, whole_name = true;
      std::string rule;
      std::vector<CharRange> others = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
      while (at < part.end) {
        const char32_t c = list[at][part.depth];
        size_t end = at;
        while (end < part.end && list[end][part.depth] == c) ++end;
        append(&rule, "", {class_text({{c, c}}), " ", name_, "-k", text_of((int64_t)parts.size()), " | "});
        others.push_back({c, c});
        parts.push_back({at, end, part.depth + 1});
        at = end;
      }
      put({name_, "-k", text_of((int64_t)i), " ::= ", rule, class_text(char_set(std::move(others), true)), " plain*",
           whole_name ? "\n" : " | \"\"\n"});
    }
    return joined({name_, "-k0"});
  }

  tern_status object(JsonValue s, std::string* body) {
    const JsonValue properties = s["properties"], required = s["required"], more = s["additionalProperties"];
    if (properties && !properties.is(JsonKind::object)) return wrong(TERN_ERR_CORRUPT, "'properties' is no object");
    if (required && !required.is(JsonKind::list)) return wrong(TERN_ERR_CORRUPT, "'required' is no list");
    if (more && !more.is(JsonKind::object) && !more.is(JsonKind::boolean))
      return wrong(TERN_ERR_CORRUPT, "'additionalProperties' is no schema");
    const bool closed = more.is(JsonKind::boolean) && !more.boolean();
    const bool free = more ? !closed : !properties;
    const std::string other =
        more.is(JsonKind::object) ? use(more, joined({pointer_, "/additionalProperties"})) : "value";
    struct Property {
      std::string name, rule;
      bool needed;
    };
    std::vector<Property> list;
    std::unordered_map<std::string, uint32_t> place;
    for (JsonValue v = properties.first(); v; v = v.next()) {
      if (!place.try_emplace(std::string(v.key()), (uint32_t)list.size()).second) continue;
      list.push_back({std::string(v.key()), use_key(v, v.key(), joined({pointer_, "/properties"})), false});
    }
    for (JsonValue v = required.first(); v; v = v.next()) {
      if (!v.is(JsonKind::string)) return wrong(TERN_ERR_CORRUPT, "'required' has what is no string");
      const auto [found, fresh] = place.try_emplace(std::string(v.string()), (uint32_t)list.size());
      if (fresh) {
        if (closed)
          return wrong(TERN_ERR_CORRUPT, "'%.*s' is required, but additionalProperties forbids it",
                       (int)v.string().size(), v.string().data());
        list.push_back({std::string(v.string()), other, true});
      }
      list[found->second].needed = true;
    }
    std::string extra;
    if (free) {
      std::vector<std::string> names;
      size_t bytes = 0;
      for (const Property& p : list) names.push_back(p.name), bytes += p.name.size();
      if (bytes > 10000) return wrong(TERN_ERR_LIMIT, "more than 10000 bytes of names beside additionalProperties");
      const std::string key = names.empty() ? "string" : joined({kQuote, " ", other_keys(names), " ", kQuote});
      put({name_, "-x ::= ", key, " \":\" sp ", other, "\n"});
      extra = joined({name_, "-x"});
    }
    // -f<i>: properties from i on, none before; -r<i>: with one before; -p<i>: number i itself.
    const auto at = [&](char kind, size_t i) { return joined({name_, "-", {&kind, 1}, text_of((int64_t)i)}); };
    for (size_t i = 0; i < list.size(); ++i) {
      const Property& p = list[i];
      const std::string item = at('p', i), next = at('r', i + 1), none = p.needed ? "" : " | ";
      put({item, " ::= ", literal(joined({"\"", json_escaped(p.name), "\":"})), " sp ", p.rule, "\n"});
      put({at('f', i), " ::= ", item, " ", next, none, p.needed ? "" : at('f', i + 1), "\n"});
      put({at('r', i), " ::= \",\" ws ", item, " ", next, none, p.needed ? "" : next, "\n"});
      if (out_.size() > kMostRules) return TERN_FAIL(TERN_ERR_LIMIT, "the schema makes too many rules");
    }
    const size_t n = list.size();
    const std::string more_of = free ? joined({"(\",\" ws ", extra, ")*"}) : "\"\"";
    put({at('f', n), " ::= ", free ? joined({"(", extra, " ", more_of, ")?"}) : more_of, "\n"});
    put({at('r', n), " ::= ", more_of, "\n"});
    *body = joined({"\"{\" ws ", at('f', 0), " ws \"}\""});
    return TERN_OK;
  }

  std::string_view text_;
  Json json_;
  std::string out_, name_, pointer_;  // the rules; the name of the one that is made, and its schema
  std::vector<Item> list_;
  std::unordered_map<uint64_t, uint32_t> index_;  // by the place of a schema in the text
};

}  // namespace

tern_status rules_of_schema(std::string_view schema, std::string* rules) {
  prepare_unicode();
  return Maker(schema).make(rules);
}

tern_status grammar_of_schema(std::string_view schema, std::shared_ptr<const Grammar>* out) {
  prepare_unicode();
  Maker maker(schema);
  std::string rules, failed;
  TERN_TRY(maker.make(&rules));
  const tern_status status = Grammar::create(rules, out, &failed);
  if (status == TERN_OK) return status;
  if (!failed.empty())
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "schema at '%s': it contains itself in such a way that no finite JSON fits, or without end",
                     maker.pointer_of(failed).c_str());
  add_to_error(" (of the rules that the schema makes)");
  return status;
}

}  // namespace tern::tokens
