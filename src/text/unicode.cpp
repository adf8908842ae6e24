// SPDX-License-Identifier: Apache-2.0
#include "text/unicode.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "text/unicode_tables.h"

namespace tern::tokens {

const char* unicode_version() { return kUnicodeVersion; }

namespace detail {
uint16_t ascii_flags[128];
uint16_t category_flags[33];
uint16_t category_blocks[0x110000 >> 7];
// One block of each kind that is all the same, and those that are mixed.
constexpr size_t kMostBlocks = 33 + 512;
uint8_t category_leaves[kMostBlocks * 128];
}  // namespace detail

namespace {

uint64_t read_number(const uint8_t*& p) {
  uint64_t n = 0;
  for (int shift = 0;; shift += 7) {
    n |= (uint64_t)(*p & 127) << shift;
    if (!(*p++ & 128)) return n;
  }
}
int64_t read_signed(const uint8_t*& p) {
  const uint64_t n = read_number(p);
  return n & 1 ? -(int64_t)(n >> 1) - 1 : (int64_t)(n >> 1);
}

// In the order of make_unicode.py.
constexpr uint16_t kFlagsOfKinds[33] = {
    0,  // Cn: not assigned
    kUpper | kWord,
    kLower | kWord,
    kUpper | kWord,  // Lt
    kOtherLetter | kWord,
    kOtherLetter | kWord,
    kMark | kNonspacing | kWord,
    kMark | kWord,
    kMark | kWord,
    kNumber | kWord,       // Nd
    kNumber | kWord,       // Nl is alphabetic
    kNumber,               // No
    kPunctuation | kWord,  // Pc
    kPunctuation,          // Pd
    kPunctuation,          // Ps
    kPunctuation,          // Pe
    kPunctuation,          // Pi
    kPunctuation,          // Pf
    kPunctuation,          // Po
    kSymbol,               // Sm
    kSymbol,               // Sc
    kSymbol,               // Sk
    kSymbol,               // So
    kSpace,                // Zs
    kSpace,                // Zl
    kSpace,                // Zp
    kControl,              // Cc
    kControl,              // Cf
    0,                     // Cs
    kControl,              // Co
    kSpace | kControl,     // controls that are white space
    kSymbol | kWord,       // symbols that are alphabetic
    kControl | kWord,      // joiners
};

void fill_tables() {
  using namespace detail;
  std::memcpy(category_flags, kFlagsOfKinds, sizeof kFlagsOfKinds);
  for (size_t kind = 0; kind < 33; ++kind) std::memset(category_leaves + kind * 128, (int)kind, 128);
  size_t blocks = 33;
  uint32_t at = 0;
  for (const uint8_t* p = kCategoryRuns; p < kCategoryRuns + sizeof kCategoryRuns;) {
    const uint8_t kind = *p++;
    for (uint32_t left = (uint32_t)read_number(p); left > 0;) {
      if (at % 128 == 0 && left >= 128) {
        category_blocks[at >> 7] = kind;
        at += 128, left -= 128;
        continue;
      }
      if (at % 128 == 0) category_blocks[at >> 7] = (uint16_t)blocks++;
      category_leaves[category_blocks[at >> 7] * 128u + at % 128] = kind;
      ++at, --left;
    }
  }
  for (uint32_t c = 0; c < 128; ++c) ascii_flags[c] = char_flags(c);
}

std::once_flag filled;

}  // namespace

void prepare_unicode() { std::call_once(filled, fill_tables); }

Char detail::read_wide(const uint8_t* p, const uint8_t* end) {
  const size_t size = utf8_character({(const char*)p, std::min<size_t>((size_t)(end - p), 4)});
  if (size == 0) return {kNoCharacter, 1, 0};
  uint32_t code = p[0] & (0x7fu >> size);
  for (size_t k = 1; k < size; ++k) code = code << 6 | (p[k] & 63u);
  return {code, (uint32_t)size, char_flags(code)};
}

Char read_char_before(const uint8_t* begin, const uint8_t* end) {
  for (ptrdiff_t back = 1; back <= 4 && back <= end - begin; ++back) {
    const Char c = read_char(end - back, end);
    if ((ptrdiff_t)c.size == back && (back == 1 ? c.code < 0x80 : true)) return c;
  }
  return {kNoCharacter, 1, 0};
}

void append_char(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back((char)c);
  } else if (c < 0x800) {
    out->push_back((char)(0xc0 | c >> 6));
    out->push_back((char)(0x80 | (c & 63)));
  } else if (c < 0x10000) {
    out->push_back((char)(0xe0 | c >> 12));
    out->push_back((char)(0x80 | (c >> 6 & 63)));
    out->push_back((char)(0x80 | (c & 63)));
  } else {
    out->push_back((char)(0xf0 | c >> 18));
    out->push_back((char)(0x80 | (c >> 12 & 63)));
    out->push_back((char)(0x80 | (c >> 6 & 63)));
    out->push_back((char)(0x80 | (c & 63)));
  }
}

// ---- forms ----

namespace {
constexpr uint32_t kHangul = 0xac00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11a7;
constexpr uint32_t kNumVowels = 21, kNumTails = 28, kNumHangul = 11172;

// A character and its combining class; a byte that is no UTF-8 is kept as kRawByte | byte.
struct Point {
  uint32_t code;
  uint8_t ccc;
};
constexpr uint32_t kRawByte = 0x80000000;

}  // namespace

struct Forms::Tables {
  struct Mapping {
    uint32_t code = 0;
    uint32_t first = 0;  // into `points`
    uint8_t count = 0;
    bool compatible = false;
  };
  std::vector<Mapping> mappings;  // by code
  std::vector<uint32_t> points;
  std::vector<std::pair<uint32_t, uint8_t>> classes;             // by code
  std::unordered_map<uint64_t, uint32_t> composed;               // first << 32 | second
  std::vector<std::pair<uint32_t, uint32_t>> lower;              // by code
  std::vector<uint32_t> seconds;                                 // of class 0 that may join what is before them; sorted
  std::vector<bool> touched = std::vector<bool>(0x110000 >> 6);  // somebody of these 64 has a mapping or a class

  bool is_touched(uint32_t code) const { return touched[code >> 6]; }
  bool is_second(uint32_t code) const {
    return code >= 0x300 && code < 0x20000 &&
           (code - kVowels < kNumVowels || code - kTails < kNumTails ||
            std::binary_search(seconds.begin(), seconds.end(), code));
  }

  const Mapping* find(uint32_t code) const {
    const auto it = std::lower_bound(mappings.begin(), mappings.end(), code,
                                     [](const Mapping& m, uint32_t c) { return m.code < c; });
    return it != mappings.end() && it->code == code ? &*it : nullptr;
  }
  uint8_t combining(uint32_t code) const {
    if (code < 0x300) return 0;
    const auto it = std::lower_bound(classes.begin(), classes.end(), std::pair<uint32_t, uint8_t>(code, 0));
    return it != classes.end() && it->first == code ? it->second : 0;
  }

  uint32_t joined(uint32_t a, uint32_t b) const {
    if (a - kLeads < 19 && b - kVowels < kNumVowels)
      return kHangul + ((a - kLeads) * kNumVowels + (b - kVowels)) * kNumTails;
    if (a - kHangul < kNumHangul && (a - kHangul) % kNumTails == 0 && b > kTails && b - kTails < kNumTails)
      return a + (b - kTails);
    const auto it = composed.find((uint64_t)a << 32 | b);
    return it == composed.end() ? 0 : it->second;
  }

  // The canonical composition of characters in canonical order.
  void join(std::vector<Point>* points) const {
    size_t starter = SIZE_MAX, kept = 0;
    int last = -1;  // class of the last one that stayed behind the starter; -1: none did
    for (size_t i = 0; i < points->size(); ++i) {
      const Point p = (*points)[i];
      if (starter != SIZE_MAX && last < (int)p.ccc)
        if (const uint32_t code = joined((*points)[starter].code, p.code)) {
          (*points)[starter].code = code;
          continue;
        }
      if (p.ccc == 0) starter = kept, last = -1;
      else last = p.ccc;
      (*points)[kept++] = p;
    }
    points->resize(kept);
  }
};

Forms::~Forms() = default;

Forms::Forms() : tables_(std::make_unique<Tables>()) {
  Tables& t = *tables_;
  uint32_t at = 0;
  for (const uint8_t* p = kClassRuns; p < kClassRuns + sizeof kClassRuns;) {
    at += (uint32_t)read_number(p);
    uint32_t n = (uint32_t)read_number(p);
    for (const uint8_t ccc = *p++; n > 0; --n) t.classes.emplace_back(at++, ccc);
  }
  at = 0;
  int64_t before = 0;
  for (const uint8_t* p = kMappings; p < kMappings + sizeof kMappings;) {
    at += (uint32_t)read_number(p);
    const uint8_t head = *p++;
    uint32_t run = head & 128 ? (uint32_t)read_number(p) : 1;
    uint32_t to[32];
    const uint32_t count = head & 31;
    for (uint32_t k = 0; k < count; ++k) to[k] = (uint32_t)(before += read_signed(p));
    for (; run > 0; --run, ++at) {
      t.mappings.push_back({at, (uint32_t)t.points.size(), (uint8_t)count, (head & 32) != 0});
      t.points.insert(t.points.end(), to, to + count);
      to[count - 1] += head >> 6 & 1;
    }
  }
  for (const Tables::Mapping& m : t.mappings) t.touched[m.code >> 6] = true;
  for (const auto& c : t.classes) t.touched[c.first >> 6] = true;
  for (uint32_t c = kHangul; c < kHangul + kNumHangul; ++c) t.touched[c >> 6] = true;
  std::vector<uint32_t> excluded;
  at = 0;
  for (const uint8_t* p = kNotComposed; p < kNotComposed + sizeof kNotComposed;)
    excluded.push_back(at += (uint32_t)read_number(p));
  for (const Tables::Mapping& m : t.mappings) {
    const uint32_t* const to = &t.points[m.first];
    if (m.compatible || m.count != 2 || t.combining(m.code) || t.combining(to[0]) ||
        std::binary_search(excluded.begin(), excluded.end(), m.code))
      continue;
    t.composed.emplace((uint64_t)to[0] << 32 | to[1], m.code);
    if (t.combining(to[1]) == 0) t.seconds.push_back(to[1]);
  }
  std::sort(t.seconds.begin(), t.seconds.end());
  at = 0;
  for (const uint8_t* p = kLowerRuns; p < kLowerRuns + sizeof kLowerRuns;) {
    at += (uint32_t)read_number(p);
    const uint64_t run = read_number(p);
    const int64_t distance = read_signed(p);
    for (uint32_t k = 0; k < run >> 1; ++k) {
      const uint32_t code = at + (k << (run & 1));
      t.lower.emplace_back(code, (uint32_t)(code + distance));
    }
  }
  std::sort(t.lower.begin(), t.lower.end());  // runs of every second one overlap
}

std::shared_ptr<const Forms> Forms::get() {
  static std::mutex mutex;
  static std::weak_ptr<const Forms> shared;
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<const Forms> forms = shared.lock();
  if (!forms) shared = forms = std::make_shared<const Forms>();
  return forms;
}

uint8_t Forms::combining_class(uint32_t code) const { return tables_->combining(code); }

void Forms::normalize(Form form, std::string_view text, std::string* out) const {
  const Tables& t = *tables_;
  const bool compatible = form == Form::nfkc || form == Form::nfkd, compose = form == Form::nfc || form == Form::nfkc;
  out->clear();
  out->reserve(text.size());
  std::vector<Point> points;  // one starter and all that may change or join with it
  std::vector<uint32_t> stack;
  // Sorts the marks behind each starter, joins what joins, and hands all over.
  const auto finish = [&] {
    for (size_t i = 0; i < points.size() && points.size() > 1;) {
      size_t end = i;
      while (end < points.size() && points[end].ccc != 0) ++end;
      std::stable_sort(points.begin() + (ptrdiff_t)i, points.begin() + (ptrdiff_t)end,
                       [](const Point& a, const Point& b) { return a.ccc < b.ccc; });
      i = end + 1;
    }
    if (compose && points.size() > 1) t.join(&points);
    for (const Point& point : points) {
      if (point.code & kRawByte) out->push_back((char)point.code);
      else append_char(point.code, out);
    }
    points.clear();
  };
  const auto add = [&](uint32_t code, uint8_t ccc) {
    if (ccc == 0 && !points.empty() && !t.is_second(code)) finish();
    points.push_back({code, ccc});
  };

  const uint8_t *p = (const uint8_t*)text.data(), *const end = p + text.size();
  while (p < end) {
    if (*p < 0x80) {  // the last one of a run may join with what follows
      const uint8_t* q = p;
      while (q < end && *q < 0x80) ++q;
      finish();
      out->append((const char*)p, (size_t)(q - p) - 1);
      points.push_back({q[-1], 0});
      p = q;
      continue;
    }
    const Char c = read_char(p, end);
    if (c.code == kNoCharacter) {
      add(kRawByte | *p++, 0);
      continue;
    }
    p += c.size;
    if (!t.is_touched(c.code)) {
      add(c.code, 0);
      continue;
    }
    stack.assign(1, c.code);
    while (!stack.empty()) {
      const uint32_t code = stack.back();
      stack.pop_back();
      if (code - kHangul < kNumHangul) {
        const uint32_t s = code - kHangul;
        add(kLeads + s / (kNumVowels * kNumTails), 0);
        add(kVowels + s / kNumTails % kNumVowels, 0);
        if (s % kNumTails) add(kTails + s % kNumTails, 0);
        continue;
      }
      const Tables::Mapping* const m = t.find(code);
      if (m && (!m->compatible || compatible)) {
        for (uint32_t k = m->count; k-- > 0;) stack.push_back(t.points[m->first + k]);
      } else {
        add(code, t.combining(code));
      }
    }
  }
  finish();
}

void Forms::lower(std::string_view text, std::string* out) const {
  const Tables& t = *tables_;
  out->clear();
  out->reserve(text.size());
  const uint8_t *p = (const uint8_t*)text.data(), *const end = p + text.size();
  while (p < end) {
    const Char c = read_char(p, end);
    if (c.code < 0x80) {
      out->push_back((char)(c.code - 'A' < 26 ? c.code + 32 : c.code));
    } else if (c.code == 0x130) {
      out->append("i\xcc\x87");  // the one character whose lower case is two
    } else {
      const auto it = c.code == kNoCharacter
                          ? t.lower.end()
                          : std::lower_bound(t.lower.begin(), t.lower.end(), std::pair<uint32_t, uint32_t>(c.code, 0));
      if (it != t.lower.end() && it->first == c.code) append_char(it->second, out);
      else out->append((const char*)p, c.size);
    }
    p += c.size;
  }
}

}  // namespace tern::tokens
