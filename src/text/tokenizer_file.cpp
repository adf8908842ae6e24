// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_file.h"

#include <cstring>

#include "base/status.h"

// A mark of four bytes, the version, and the fields of TokenizerDef in the order of `walk`. Numbers are LEB128, texts
// have their length before them, scores are little-endian.
namespace tern::tokens {
namespace {

constexpr char kMark[5] = "TKNZ";
constexpr uint64_t kVersion = 1;

class Out {
 public:
  explicit Out(std::string* to) : to_(*to) {}

  tern_status number(uint64_t n, uint64_t) {
    for (; n >= 128; n >>= 7) to_.push_back((char)(n | 128));
    to_.push_back((char)n);
    return TERN_OK;
  }
  tern_status bytes(std::string_view v) {
    to_.append(v);
    return TERN_OK;
  }

 private:
  std::string& to_;
};

class In {
 public:
  explicit In(std::string_view from) : from_(from) {}

  tern_status number(uint64_t* out, uint64_t most) {
    uint64_t n = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      if (at_ == from_.size()) return cut();
      const uint8_t b = (uint8_t)from_[at_++];
      n |= (uint64_t)(b & 127) << shift;
      if (b & 128) continue;
      if (n > most)
        return TERN_FAIL(TERN_ERR_CORRUPT,
                         "the stored tokenizer has %" PRIu64 " at byte %zu, where at most %" PRIu64 " is possible", n,
                         at_, most);
      *out = n;
      return TERN_OK;
    }
    return TERN_FAIL(TERN_ERR_CORRUPT, "the stored tokenizer has no number at byte %zu", at_);
  }
  tern_status bytes(size_t n, std::string_view* out) {
    if (n > left()) return cut();
    *out = from_.substr(at_, n);
    at_ += n;
    return TERN_OK;
  }
  size_t left() const { return from_.size() - at_; }
  size_t at() const { return at_; }

 private:
  tern_status cut() const {
    return TERN_FAIL(TERN_ERR_CORRUPT, "the stored tokenizer ends in the middle, after %zu bytes", from_.size());
  }
  std::string_view from_;
  size_t at_ = 0;
};

// Each of these reads or writes one thing.
template <class T>
tern_status number(Out& o, const T& v, uint64_t most) {
  return o.number((uint64_t)v, most);
}
template <class T>
tern_status number(In& i, T& v, uint64_t most) {
  uint64_t n = 0;
  TERN_TRY(i.number(&n, most));
  v = (T)n;
  return TERN_OK;
}
// -1 or an id.
tern_status maybe(Out& o, int32_t v) { return o.number((uint64_t)(v + 1), 0); }
tern_status maybe(In& i, int32_t& v) {
  uint64_t n = 0;
  TERN_TRY(i.number(&n, INT32_MAX));
  v = (int32_t)n - 1;
  return TERN_OK;
}
tern_status text(Out& o, const std::string& v) {
  TERN_TRY(o.number(v.size(), 0));
  return o.bytes(v);
}
tern_status text(In& i, std::string& v) {
  uint64_t n = 0;
  std::string_view found;
  TERN_TRY(i.number(&n, i.left()));
  TERN_TRY(i.bytes((size_t)n, &found));
  v = found;
  return TERN_OK;
}
// The entries of a list take a byte at least.
template <class T, class Each>
tern_status list(Out& o, const std::vector<T>& v, uint64_t, Each&& each) {
  TERN_TRY(o.number(v.size(), 0));
  for (const T& e : v) TERN_TRY(each(e));
  return TERN_OK;
}
template <class T, class Each>
tern_status list(In& i, std::vector<T>& v, uint64_t most, Each&& each) {
  uint64_t n = 0;
  TERN_TRY(i.number(&n, std::min<uint64_t>(most, i.left())));
  v.resize((size_t)n);
  for (T& e : v) TERN_TRY(each(e));
  return TERN_OK;
}

constexpr uint8_t kStoredFlags = kTokenUnused | kTokenApart;  // the others follow from the rest

tern_status pieces(Out& o, const TokenizerDef& d) {
  const uint32_t n = d.pieces.size();
  TERN_TRY(o.number(n, 0));
  for (uint32_t id = 0; id < n; ++id) TERN_TRY(o.number(d.pieces[id].size(), 0));
  for (uint32_t id = 0; id < n; ++id) TERN_TRY(o.bytes(d.pieces[id]));
  for (uint32_t id = 0; id < n;) {
    uint32_t end = id;
    const uint8_t flags = d.flags[id] & kStoredFlags;
    while (end < n && (d.flags[end] & kStoredFlags) == flags) ++end;
    TERN_TRY(o.number(flags, 0));
    TERN_TRY(o.number(end - id, 0));
    id = end;
  }
  return TERN_OK;
}
tern_status pieces(In& i, TokenizerDef& d) {
  uint64_t n = 0;
  TERN_TRY(i.number(&n, std::min<uint64_t>(kMaxTokens, i.left())));
  std::vector<uint32_t> lengths((size_t)n);
  for (uint32_t& length : lengths) TERN_TRY(number(i, length, kMaxPiece));
  d.pieces.reserve((size_t)n, 0);
  std::string_view piece;
  for (const uint32_t length : lengths) {
    TERN_TRY(i.bytes(length, &piece));
    if (!d.pieces.add(piece)) return TERN_FAIL(TERN_ERR_LIMIT, "the stored vocabulary has more than 2 GiB");
  }
  for (uint64_t id = 0; id < n;) {
    uint64_t flags = 0, run = 0;
    TERN_TRY(i.number(&flags, kStoredFlags));
    TERN_TRY(i.number(&run, n - id));
    if (run == 0 || flags & ~(uint64_t)kStoredFlags)
      return TERN_FAIL(TERN_ERR_CORRUPT, "the stored tokenizer has wrong flags for token %" PRIu64, id);
    d.flags.insert(d.flags.end(), (size_t)run, (uint8_t)flags);
    id += run;
  }
  return TERN_OK;
}

// 0: none, 1: f32, where that holds all of them exactly, 2: f64.
tern_status scores(Out& o, const TokenizerDef& d) {
  bool narrow = true;
  for (const double s : d.scores) narrow = narrow && (double)(float)s == s;
  TERN_TRY(o.number(d.scores.empty() ? 0 : narrow ? 1 : 2, 0));
  for (const double s : d.scores) {
    char b[8];
    const float f = (float)s;
    if (narrow) std::memcpy(b, &f, 4);
    else std::memcpy(b, &s, 8);
    TERN_TRY(o.bytes({b, narrow ? 4u : 8u}));
  }
  return TERN_OK;
}
tern_status scores(In& i, TokenizerDef& d) {
  uint64_t kind = 0;
  TERN_TRY(i.number(&kind, 2));
  if (kind == 0) return TERN_OK;
  for (uint32_t id = 0; id < d.pieces.size(); ++id) {
    std::string_view b;
    TERN_TRY(i.bytes(kind == 1 ? 4 : 8, &b));
    float f = 0;
    double s = 0;
    if (kind == 1) std::memcpy(&f, b.data(), 4), s = f;
    else std::memcpy(&s, b.data(), 8);
    d.scores.push_back(s);
  }
  return TERN_OK;
}

// The whole description; `Def` is const where it is written.
template <class Way, class Def>
tern_status walk(Way& w, Def& d) {
  constexpr uint64_t kByte = 255, kId = kMaxTokens, kNumber = UINT32_MAX;
  TERN_TRY(number(w, d.algorithm, kByte));
  TERN_TRY(number(w, d.byte_level, 1));
  TERN_TRY(number(w, d.by_score, 1));
  TERN_TRY(number(w, d.fuse_unknown, 1));
  TERN_TRY(number(w, d.bytes_fall_back, 1));
  TERN_TRY(number(w, d.whole_first, 1));
  TERN_TRY(maybe(w, d.unknown));
  TERN_TRY(maybe(w, d.bos));
  TERN_TRY(maybe(w, d.eos));
  TERN_TRY(maybe(w, d.pad));
  TERN_TRY(number(w, d.most_word_chars, kNumber));
  TERN_TRY(text(w, d.word_prefix));
  TERN_TRY(text(w, d.word_suffix));
  TERN_TRY(pieces(w, d));
  TERN_TRY(scores(w, d));
  TERN_TRY(list(w, d.merges, kMaxMerges, [&](auto& m) {
    TERN_TRY(number(w, m.left, kId));
    return number(w, m.right, kId);
  }));
  TERN_TRY(list(w, d.added, kMaxTokens, [&](auto& t) {
    TERN_TRY(number(w, t.id, kId));
    TERN_TRY(number(w, t.special, 1));
    TERN_TRY(number(w, t.normalized, 1));
    TERN_TRY(number(w, t.single_word, 1));
    TERN_TRY(number(w, t.strip_left, 1));
    TERN_TRY(number(w, t.strip_right, 1));
    return text(w, t.text);
  }));
  TERN_TRY(list(w, d.normalizers, kMaxSteps, [&](auto& s) {
    TERN_TRY(number(w, s.kind, kByte));
    TERN_TRY(number(w, s.left, 1));
    TERN_TRY(number(w, s.right, 1));
    TERN_TRY(number(w, s.pattern, kByte));
    TERN_TRY(text(w, s.from));
    return text(w, s.to);
  }));
  TERN_TRY(list(w, d.cuts, kMaxSteps, [&](auto& s) {
    TERN_TRY(number(w, s.kind, kByte));
    TERN_TRY(number(w, s.pattern, kByte));
    TERN_TRY(number(w, s.behavior, kByte));
    TERN_TRY(number(w, s.invert, 1));
    TERN_TRY(number(w, s.split, 1));
    TERN_TRY(number(w, s.prepend, kByte));
    TERN_TRY(number(w, s.most_digits, kByte));
    return text(w, s.text);
  }));
  TERN_TRY(list(w, d.decodes, kMaxSteps, [&](auto& s) {
    TERN_TRY(number(w, s.kind, kByte));
    TERN_TRY(number(w, s.flag, 1));
    TERN_TRY(number(w, s.start, kNumber));
    TERN_TRY(number(w, s.stop, kNumber));
    TERN_TRY(text(w, s.from));
    return text(w, s.to);
  }));
  const auto id = [&](auto& v) { return number(w, v, kId); };
  TERN_TRY(list(w, d.before, kMaxSteps * 2, id));
  return list(w, d.after, kMaxSteps * 2, id);
}

}  // namespace

void store_tokenizer(const TokenizerDef& def, std::string* out) {
  out->assign(kMark, 4);
  Out o(out);
  (void)o.number(kVersion, 0);
  (void)walk(o, def);  // writing cannot fail
}

tern_status read_stored_tokenizer(std::string_view bytes, TokenizerDef* out) {
  if (bytes.substr(0, 4) != std::string_view(kMark, 4))
    return TERN_FAIL(TERN_ERR_CORRUPT, "what is stored as a tokenizer does not begin with its mark");
  In i(bytes.substr(4));
  uint64_t version = 0;
  TERN_TRY(i.number(&version, UINT32_MAX));
  if (version != kVersion)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION,
                     "the stored tokenizer has version %" PRIu64 ", this library reads %" PRIu64
                     ": a newer version of Tern is needed",
                     version, kVersion);
  TokenizerDef d;
  TERN_TRY(walk(i, d));
  if (i.left()) return TERN_FAIL(TERN_ERR_CORRUPT, "%zu bytes stand behind the stored tokenizer", i.left());
  *out = std::move(d);
  return TERN_OK;
}

}  // namespace tern::tokens
