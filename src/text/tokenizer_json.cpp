// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json.h"

#include <algorithm>
#include <map>

#include "base/status.h"
#include "text/json.h"
#include "text/split.h"
#include "text/vocabulary.h"

namespace tern::tokens {
namespace {

std::string shown(std::string_view text) { return std::string(text.substr(0, 200)); }

// False: it is none. Padding may be left out.
bool from_base64(std::string_view text, std::string* out) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    uint32_t v;
    if (c >= 'A' && c <= 'Z') v = (uint32_t)(c - 'A');
    else if (c >= 'a' && c <= 'z') v = (uint32_t)(c - 'a' + 26);
    else if (c >= '0' && c <= '9') v = (uint32_t)(c - '0' + 52);
    else if (c == '+' || c == '/') v = c == '+' ? 62 : 63;
    else return false;
    bits = bits << 6 | v;
    if ((have += 6) < 8) continue;
    have -= 8;
    out->push_back((char)(bits >> have));
  }
  return !text.empty() && text.size() % 4 != 1;
}

class Reader {
 public:
  explicit Reader(JsonValue root) : root_(root) {}

  tern_status run(TokenizerDef* out) {
    if (!root_.is(JsonKind::object))
      return TERN_FAIL(TERN_ERR_CORRUPT, "this is no tokenizer.json: it is %s, not an object",
                       json_kind_name(root_.kind()));
    const JsonValue model = root_["model"];
    if (!model.is(JsonKind::object))
      return TERN_FAIL(TERN_ERR_CORRUPT, "this is no tokenizer.json: its key 'model' is %s, not an object",
                       json_kind_name(model.kind()));
    TERN_TRY(each_step(root_["normalizer"], "normalizers", "normalizer",
                       [&](JsonValue v, std::string_view type) { return normalizer(v, type); }));
    TERN_TRY(each_step(root_["pre_tokenizer"], "pretokenizers", "pre_tokenizer",
                       [&](JsonValue v, std::string_view type) { return cut(v, type); }));
    TERN_TRY(read_model(model));
    TERN_TRY(read_added());
    TERN_TRY(each_step(root_["post_processor"], "processors", "post_processor",
                       [&](JsonValue v, std::string_view type) { return processor(v, type); }));
    const JsonValue decoder = root_["decoder"];
    TERN_TRY(
        each_step(decoder, "decoders", "decoder", [&](JsonValue v, std::string_view type) { return decode(v, type); }));
    if (decoder.kind() <= JsonKind::null && !d_.byte_level) d_.decodes.push_back({.kind = Decode::Kind::spaces});
    *out = std::move(d_);
    return TERN_OK;
  }

 private:
  // ---- values ----

  static bool absent(JsonValue v) { return v.kind() <= JsonKind::null; }

  static tern_status text_of(JsonValue object, const char* key, std::string* out, bool needed = true) {
    const JsonValue v = object[key];
    if (absent(v) && !needed) return TERN_OK;
    if (!v.is(JsonKind::string))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: '%s' is %s, not a string", key, json_kind_name(v.kind()));
    *out = v.string();
    return TERN_OK;
  }
  static tern_status flag_of(JsonValue object, const char* key, bool otherwise, bool* out) {
    const JsonValue v = object[key];
    if (!absent(v) && !v.is(JsonKind::boolean))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: '%s' is %s, not true or false", key,
                       json_kind_name(v.kind()));
    *out = v.boolean(otherwise);
    return TERN_OK;
  }
  static tern_status number_of(JsonValue v, const char* what, int64_t low, int64_t high, int64_t* out) {
    if (v.integer(low, high, out)) return TERN_OK;
    return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: %s is no whole number from %" PRId64 " to %" PRId64, what, low,
                     high);
  }
  static tern_status id_of(JsonValue v, std::string_view piece, uint32_t* out) {
    int64_t id = 0;
    if (!v.integer(0, INT64_MAX, &id))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: the id of token '%s' is no whole number from 0 on",
                       shown(piece).c_str());
    if (id >= kMaxTokens)
      return TERN_FAIL(TERN_ERR_LIMIT, "tokenizer.json: token '%s' has id %" PRId64 ", ids below %u are read",
                       shown(piece).c_str(), id, kMaxTokens);
    *out = (uint32_t)id;
    return TERN_OK;
  }

  // A step, or the steps of a sequence (within each other, too).
  template <class Step>
  tern_status each_step(JsonValue v, const char* list, const char* what, Step&& step) {
    if (absent(v)) return TERN_OK;
    std::vector<JsonValue> open{v};  // the next one to read is the last
    for (size_t count = 0; !open.empty(); ++count) {
      const JsonValue s = open.back();
      open.pop_back();
      if (!s.is(JsonKind::object))
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: a %s is %s, not an object", what, json_kind_name(s.kind()));
      if (count > 4 * kMaxSteps) return TERN_FAIL(TERN_ERR_LIMIT, "tokenizer.json: too many steps in '%s'", what);
      std::string type;
      TERN_TRY(text_of(s, "type", &type));
      if (type != "Sequence") {
        const tern_status status = step(s, type);
        if (status != TERN_OK) return status;
        continue;
      }
      if (!s[list].is(JsonKind::list))
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: '%s' of a %s is %s, not a list", list, what,
                         json_kind_name(s[list].kind()));
      const size_t from = open.size();
      for (JsonValue c = s[list].first(); c; c = c.next()) open.push_back(c);
      std::reverse(open.begin() + (ptrdiff_t)from, open.end());
    }
    return TERN_OK;
  }

  static tern_status unsupported(const char* what, std::string_view type) {
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tokenizer.json: the %s '%s' is not supported", what, shown(type).c_str());
  }

  // ---- normalizers ----

  tern_status normalizer(JsonValue v, std::string_view type) {
    using Kind = Normalizer::Kind;
    const auto add = [&](Kind kind) { d_.normalizers.push_back({.kind = kind}); };
    constexpr std::pair<std::string_view, Kind> kPlain[] = {{"NFC", Kind::nfc},
                                                            {"NFD", Kind::nfd},
                                                            {"NFKC", Kind::nfkc},
                                                            {"NFKD", Kind::nfkd},
                                                            {"Lowercase", Kind::lowercase},
                                                            {"StripAccents", Kind::strip_marks}};
    for (const auto& p : kPlain)
      if (p.first == type) return add(p.second), TERN_OK;
    Normalizer n;
    if (type == "Strip") {
      n.kind = Kind::strip;
      TERN_TRY(flag_of(v, "strip_left", true, &n.left));
      TERN_TRY(flag_of(v, "strip_right", true, &n.right));
    } else if (type == "Prepend") {
      n.kind = Kind::prepend;
      TERN_TRY(text_of(v, "prepend", &n.to));
    } else if (type == "Replace") {
      n.kind = Kind::replace;
      uint8_t digits = 0;
      const std::string_view regex = v["pattern"]["Regex"].string();
      if (regex.empty()) TERN_TRY(literal(v, &n.from));
      else if (!find_pattern(regex, &n.pattern, &digits) || digits)
        return unsupported("expression of a Replace", regex);
      TERN_TRY(text_of(v, "content", &n.to));
    } else if (type == "Precompiled") {
      n.kind = Kind::charsmap;
      const JsonValue table = v["precompiled_charsmap"];
      if (absent(table) || (table.is(JsonKind::string) && table.string().empty())) return TERN_OK;
      if (!from_base64(table.string(), &n.from))
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: 'precompiled_charsmap' is no base64");
    } else if (type == "BertNormalizer") {
      bool clean = false, cjk = false, lower = false, accents = false;
      TERN_TRY(flag_of(v, "clean_text", true, &clean));
      TERN_TRY(flag_of(v, "handle_chinese_chars", true, &cjk));
      TERN_TRY(flag_of(v, "lowercase", true, &lower));
      TERN_TRY(flag_of(v, "strip_accents", lower, &accents));
      if (clean) add(Kind::clean);
      if (cjk) add(Kind::space_cjk);
      if (accents) add(Kind::nfd), add(Kind::strip_accents);
      if (lower) add(Kind::lowercase);
      return TERN_OK;
    } else {
      return unsupported("normalizer", type);
    }
    d_.normalizers.push_back(std::move(n));
    return TERN_OK;
  }

  // The text that a pattern looks for; regular expressions only where they are one text.
  tern_status literal(JsonValue v, std::string* out) {
    const JsonValue pattern = v["pattern"];
    if (pattern.is(JsonKind::string)) return *out = pattern.string(), TERN_OK;
    if (pattern["Regex"].is(JsonKind::string)) return unsupported("expression of a Replace", pattern["Regex"].string());
    return text_of(pattern, "String", out);
  }

  // ---- cuts ----

  static tern_status behavior_of(JsonValue v, Behavior* out) {
    std::string text;
    TERN_TRY(text_of(v, "behavior", &text));
    constexpr std::pair<const char*, Behavior> kNames[] = {{"Removed", Behavior::removed},
                                                           {"Isolated", Behavior::isolated},
                                                           {"MergedWithPrevious", Behavior::merged_with_previous},
                                                           {"MergedWithNext", Behavior::merged_with_next},
                                                           {"Contiguous", Behavior::contiguous}};
    for (const auto& n : kNames)
      if (text == n.first) return *out = n.second, TERN_OK;
    return unsupported("behavior", text);
  }

  static tern_status prepend_of(JsonValue v, Cut::Prepend* out) {
    std::string scheme;
    TERN_TRY(text_of(v, "prepend_scheme", &scheme, false));
    bool space = false;
    TERN_TRY(flag_of(v, "add_prefix_space", true, &space));
    if (scheme.empty()) scheme = space ? "always" : "never";
    if (scheme == "always") *out = Cut::Prepend::always;
    else if (scheme == "first") *out = Cut::Prepend::first;
    else if (scheme == "never") *out = Cut::Prepend::never;
    else return unsupported("prepend_scheme", scheme);
    return TERN_OK;
  }

  void add_cut(Pattern pattern, Behavior behavior, bool invert = false) {
    d_.cuts.push_back({.pattern = pattern, .behavior = behavior, .invert = invert});
  }

  tern_status cut(JsonValue v, std::string_view type) {
    if (type == "ByteLevel") {
      bool space = false, regex = false;
      TERN_TRY(flag_of(v, "add_prefix_space", true, &space));
      TERN_TRY(flag_of(v, "use_regex", true, &regex));
      if (space) d_.cuts.push_back({.kind = Cut::Kind::prefix});
      if (regex) add_cut(Pattern::gpt2, Behavior::isolated);
      d_.byte_level = true;
      return TERN_OK;
    }
    if (d_.byte_level) return unsupported("step behind a ByteLevel", type);
    Cut c;
    if (type == "Split") {
      TERN_TRY(behavior_of(v, &c.behavior));
      TERN_TRY(flag_of(v, "invert", false, &c.invert));
      const JsonValue pattern = v["pattern"];
      if (const JsonValue regex = pattern["Regex"]; regex.is(JsonKind::string)) {
        if (!find_pattern(regex.string(), &c.pattern, &c.most_digits))
          return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tokenizer.json: the expression '%s' of a Split is not known",
                           shown(regex.string()).c_str());
      } else {
        TERN_TRY(text_of(pattern, "String", &c.text));
      }
    } else if (type == "Digits") {
      bool individual = false;
      TERN_TRY(flag_of(v, "individual_digits", false, &individual));
      c.pattern = Pattern::number;
      c.behavior = individual ? Behavior::isolated : Behavior::contiguous;
    } else if (type == "Punctuation") {
      c.pattern = Pattern::punctuation;
      if (!absent(v["behavior"])) TERN_TRY(behavior_of(v, &c.behavior));
    } else if (type == "Metaspace") {
      c.kind = Cut::Kind::metaspace;
      TERN_TRY(text_of(v, "replacement", &c.text));
      TERN_TRY(prepend_of(v, &c.prepend));
      TERN_TRY(flag_of(v, "split", true, &c.split));
    } else if (type == "Whitespace") {
      c.pattern = Pattern::word_or_other, c.behavior = Behavior::removed, c.invert = true;
    } else if (type == "WhitespaceSplit") {
      c.pattern = Pattern::space, c.behavior = Behavior::removed;
    } else if (type == "CharDelimiterSplit") {
      c.behavior = Behavior::removed;
      TERN_TRY(text_of(v, "delimiter", &c.text));
    } else if (type == "BertPreTokenizer") {
      add_cut(Pattern::space, Behavior::removed);
      c.pattern = Pattern::punctuation;
    } else {
      return unsupported("pre_tokenizer", type);
    }
    d_.cuts.push_back(std::move(c));
    return TERN_OK;
  }

  // ---- the model ----

  tern_status read_model(JsonValue m) {
    std::string type;
    TERN_TRY(text_of(m, "type", &type, false));
    if (type.empty()) type = !absent(m["merges"]) ? "BPE" : m["vocab"].is(JsonKind::list) ? "Unigram" : "WordPiece";
    if (type == "BPE") return read_bpe(m);
    if (type == "Unigram") return read_unigram(m);
    if (type == "WordPiece") return read_word_piece(m);
    return unsupported("model", type);
  }

  // The pieces of a vocabulary by their ids; the added tokens beyond it come later.
  tern_status read_vocabulary(JsonValue vocab) {
    if (!vocab.is(JsonKind::object))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: 'vocab' is %s, not an object", json_kind_name(vocab.kind()));
    if (vocab.size() > kMaxTokens)
      return TERN_FAIL(TERN_ERR_LIMIT, "tokenizer.json: %u tokens, at most %u are read", vocab.size(), kMaxTokens);
    for (JsonValue v = vocab.first(); v; v = v.next()) {
      uint32_t id = 0;
      TERN_TRY(id_of(v, v.key(), &id));
      if (id >= texts_.size()) texts_.resize(id + 1);
      if (texts_[id].data())
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: tokens '%s' and '%s' have one id, %u",
                         shown(texts_[id]).c_str(), shown(v.key()).c_str(), id);
      texts_[id] = v.key();
    }
    return index();
  }

  // Makes texts_ findable.
  tern_status index() {
    size_t bytes = 0;
    for (const auto& t : texts_) bytes += t.size();
    source_.reserve(texts_.size(), bytes);
    for (const auto& t : texts_)
      if (!source_.add(t)) return TERN_FAIL(TERN_ERR_LIMIT, "tokenizer.json: the vocabulary has more than 2 GiB");
    uint32_t twice = 0;
    const auto hole = [&](uint32_t id) { return texts_[id].data() == nullptr; };
    if (!find_.build(source_, hole, &twice))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: token '%s' is in the vocabulary twice",
                       shown(texts_[twice]).c_str());
    return TERN_OK;
  }

  // Hands the vocabulary over to the description: as bytes where it is byte-level.
  tern_status take_pieces() {
    d_.pieces.reserve(texts_.size(), source_.bytes());
    std::string bytes;
    for (const auto& t : texts_) {
      uint8_t flags = 0;
      std::string_view piece = t;
      if (!t.data()) flags = kTokenUnused;
      else if (d_.byte_level && from_byte_alphabet(t, &bytes)) piece = bytes;
      else if (d_.byte_level) flags = kTokenApart;
      d_.pieces.add(piece);
      d_.flags.push_back(flags);
    }
    return TERN_OK;
  }

  // An affix of pieces, in their alphabet.
  tern_status affix(JsonValue m, const char* key, std::string* out) {
    TERN_TRY(text_of(m, key, out, false));
    std::string bytes;
    if (d_.byte_level && !out->empty()) {
      if (!from_byte_alphabet(*out, &bytes)) return unsupported(key, *out);
      *out = bytes;
    }
    return TERN_OK;
  }

  tern_status read_unknown(JsonValue m) {
    std::string text;
    TERN_TRY(text_of(m, "unk_token", &text, false));
    if (absent(m["unk_token"])) return TERN_OK;
    d_.unknown = find_.find(text);
    if (d_.unknown >= 0) return TERN_OK;
    return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: 'unk_token' is '%s', which the vocabulary does not have",
                     shown(text).c_str());
  }

  tern_status read_bpe(JsonValue m) {
    d_.algorithm = Algorithm::bpe;
    double dropout = 0;
    if (m["dropout"].number(&dropout) && dropout != 0) return unsupported("option", "dropout");
    TERN_TRY(read_vocabulary(m["vocab"]));
    TERN_TRY(read_unknown(m));
    TERN_TRY(flag_of(m, "fuse_unk", false, &d_.fuse_unknown));
    TERN_TRY(flag_of(m, "byte_fallback", false, &d_.bytes_fall_back));
    TERN_TRY(flag_of(m, "ignore_merges", false, &d_.whole_first));
    TERN_TRY(affix(m, "continuing_subword_prefix", &d_.word_prefix));
    TERN_TRY(affix(m, "end_of_word_suffix", &d_.word_suffix));
    const JsonValue merges = m["merges"];
    if (!merges.is(JsonKind::list))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: 'merges' is %s, not a list", json_kind_name(merges.kind()));
    if (merges.size() > kMaxMerges)
      return TERN_FAIL(TERN_ERR_LIMIT, "tokenizer.json: %u merges, at most %u are read", merges.size(), kMaxMerges);
    d_.merges.reserve(merges.size());
    for (JsonValue v = merges.first(); v; v = v.next()) {
      std::string_view left = v.string(), right;
      bool pair = false;
      if (v.is(JsonKind::string)) {
        const size_t space = left.find(' ');
        pair = space != std::string_view::npos && left.find(' ', space + 1) == std::string_view::npos;
        if (pair) right = left.substr(space + 1), left = left.substr(0, space);
      } else if (v.is(JsonKind::list) && v.size() == 2) {
        const JsonValue a = v.first(), b = a.next();
        pair = a.is(JsonKind::string) && b.is(JsonKind::string);
        left = a.string(), right = b.string();
      }
      if (!pair)
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: merge %zu ('%s') is no pair of tokens", d_.merges.size(),
                         shown(v.string()).c_str());
      const int32_t l = find_.find(left), r = find_.find(right);
      if (l < 0 || r < 0)
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: merge %zu names '%s', which the vocabulary does not have",
                         d_.merges.size(), shown(l < 0 ? left : right).c_str());
      d_.merges.push_back({(uint32_t)l, (uint32_t)r});
    }
    return take_pieces();
  }

  tern_status read_unigram(JsonValue m) {
    d_.algorithm = Algorithm::unigram;
    const JsonValue vocab = m["vocab"];
    if (!vocab.is(JsonKind::list))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: 'vocab' is %s, not a list", json_kind_name(vocab.kind()));
    if (vocab.size() > kMaxTokens)
      return TERN_FAIL(TERN_ERR_LIMIT, "tokenizer.json: %u tokens, at most %u are read", vocab.size(), kMaxTokens);
    for (JsonValue v = vocab.first(); v; v = v.next()) {
      const JsonValue piece = v.first();
      double score = 0;
      if (!v.is(JsonKind::list) || v.size() != 2 || !piece.is(JsonKind::string) || !piece.next().number(&score))
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: token %zu is no pair of a text and a score", texts_.size());
      texts_.push_back(piece.string());
      d_.scores.push_back(score);
    }
    TERN_TRY(index());
    if (const JsonValue unknown = m["unk_id"]; !absent(unknown)) {
      int64_t id = 0;
      TERN_TRY(number_of(unknown, "'unk_id'", 0, (int64_t)texts_.size() - 1, &id));
      d_.unknown = (int32_t)id;
    }
    d_.fuse_unknown = true;
    TERN_TRY(flag_of(m, "byte_fallback", false, &d_.bytes_fall_back));
    return take_pieces();
  }

  tern_status read_word_piece(JsonValue m) {
    d_.algorithm = Algorithm::wordpiece;
    TERN_TRY(read_vocabulary(m["vocab"]));
    TERN_TRY(read_unknown(m));
    d_.word_prefix = "##";
    TERN_TRY(affix(m, "continuing_subword_prefix", &d_.word_prefix));
    if (const JsonValue most = m["max_input_chars_per_word"]; !absent(most)) {
      int64_t n = 0;
      TERN_TRY(number_of(most, "'max_input_chars_per_word'", 0, 10000, &n));
      d_.most_word_chars = (uint32_t)n;
    }
    return take_pieces();
  }

  // ---- added tokens ----

  tern_status read_added() {
    const JsonValue list = root_["added_tokens"];
    if (absent(list)) return TERN_OK;
    if (!list.is(JsonKind::list))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: 'added_tokens' is %s, not a list",
                       json_kind_name(list.kind()));
    std::map<uint32_t, std::string_view> beyond;  // those that the model does not know
    for (JsonValue v = list.first(); v; v = v.next()) {
      AddedToken t;
      TERN_TRY(text_of(v, "content", &t.text));
      TERN_TRY(id_of(v["id"], t.text, &t.id));
      TERN_TRY(flag_of(v, "special", false, &t.special));
      TERN_TRY(flag_of(v, "normalized", !t.special, &t.normalized));
      TERN_TRY(flag_of(v, "single_word", false, &t.single_word));
      TERN_TRY(flag_of(v, "lstrip", false, &t.strip_left));
      TERN_TRY(flag_of(v, "rstrip", false, &t.strip_right));
      if (t.text.empty()) continue;
      const int32_t known = find_.find(t.text);
      if (known >= 0 && (uint32_t)known != t.id)
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: added token '%s' has id %u, in the vocabulary it has %d",
                         shown(t.text).c_str(), t.id, known);
      if (known < 0) {
        const bool taken = t.id < texts_.size() && texts_[t.id].data();
        const auto other = beyond.find(t.id);
        if (taken || other != beyond.end())
          return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: tokens '%s' and '%s' have one id, %u",
                           shown(t.text).c_str(), shown(taken ? texts_[t.id] : other->second).c_str(), t.id);
        beyond.emplace(t.id, v["content"].string());
      }
      d_.added.push_back(std::move(t));
    }
    if (beyond.empty()) return TERN_OK;
    // The same list again, with the holes filled.
    Pieces pieces;
    std::vector<uint8_t> flags;
    const uint32_t size = std::max(d_.pieces.size(), beyond.rbegin()->first + 1);
    pieces.reserve(size, d_.pieces.bytes());
    auto next = beyond.begin();
    for (uint32_t id = 0; id < size; ++id) {
      const bool here = next != beyond.end() && next->first == id;
      const bool known = id < d_.pieces.size();
      pieces.add(here ? next->second : known ? d_.pieces[id] : std::string_view());
      flags.push_back(here ? (uint8_t)kTokenApart : known ? d_.flags[id] : (uint8_t)kTokenUnused);
      if (here) ++next;
    }
    d_.pieces = std::move(pieces);
    d_.flags = std::move(flags);
    if (!d_.scores.empty()) d_.scores.resize(size);
    return TERN_OK;
  }

  // ---- what stands around a text ----

  tern_status id_list(JsonValue list, std::vector<uint32_t>* out) {
    for (JsonValue v = list.first(); v; v = v.next()) {
      uint32_t id = 0;
      TERN_TRY(id_of(v, "of the post_processor", &id));
      out->push_back(id);
    }
    return TERN_OK;
  }

  tern_status processor(JsonValue v, std::string_view type) {
    if (type == "ByteLevel") return TERN_OK;  // moves offsets alone
    if (type == "BertProcessing" || type == "RobertaProcessing") {
      // Pairs of a text and an id.
      for (const auto& [key, to] : {std::pair("cls", &d_.before), std::pair("sep", &d_.after)}) {
        uint32_t id = 0;
        const JsonValue pair = v[key];
        TERN_TRY(id_of(pair.first().next(), pair.first().string(), &id));
        to->push_back(id);
      }
      return TERN_OK;
    }
    if (type != "TemplateProcessing") return unsupported("post_processor", type);
    const JsonValue single = v["single"], tokens = v["special_tokens"];
    if (!single.is(JsonKind::list))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: 'single' of a template is %s, not a list",
                       json_kind_name(single.kind()));
    bool behind = false;
    for (JsonValue p = single.first(); p; p = p.next()) {
      if (p["Sequence"]) {
        if (behind || p["Sequence"]["id"].string() != "A") return unsupported("template", "of more than one text");
        behind = true;
        continue;
      }
      std::string name;
      TERN_TRY(text_of(p["SpecialToken"], "id", &name));
      const JsonValue ids = tokens[name]["ids"];
      if (!ids.is(JsonKind::list))
        return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: the template's token '%s' has no ids", shown(name).c_str());
      TERN_TRY(id_list(ids, behind ? &d_.after : &d_.before));
    }
    if (!behind) return TERN_FAIL(TERN_ERR_CORRUPT, "tokenizer.json: the template has no place for the text");
    return TERN_OK;
  }

  // ---- decoders ----

  tern_status decode(JsonValue v, std::string_view type) {
    using Kind = Decode::Kind;
    Decode s;
    if (type == "ByteLevel") {
      if (!d_.byte_level) return unsupported("decoder ByteLevel without such a pre_tokenizer", "");
      return TERN_OK;
    }
    if (type == "ByteFallback") s.kind = Kind::byte_fallback;
    else if (type == "Fuse") s.kind = Kind::fuse;
    else if (type == "Replace") {
      s.kind = Kind::replace;
      TERN_TRY(literal(v, &s.from));
      TERN_TRY(text_of(v, "content", &s.to));
    } else if (type == "Strip") {
      s.kind = Kind::strip;
      int64_t start = 0, stop = 0;
      TERN_TRY(text_of(v, "content", &s.from));
      TERN_TRY(number_of(v["start"], "'start'", 0, 1000, &start));
      TERN_TRY(number_of(v["stop"], "'stop'", 0, 1000, &stop));
      s.start = (uint32_t)start, s.stop = (uint32_t)stop;
    } else if (type == "Metaspace") {
      s.kind = Kind::metaspace;
      Cut::Prepend prepend;
      TERN_TRY(text_of(v, "replacement", &s.from));
      TERN_TRY(prepend_of(v, &prepend));
      s.flag = prepend != Cut::Prepend::never;
    } else if (type == "WordPiece") {
      s.kind = Kind::wordpiece;
      s.from = "##";
      TERN_TRY(text_of(v, "prefix", &s.from, false));
      TERN_TRY(flag_of(v, "cleanup", true, &s.flag));
    } else if (type == "BPEDecoder") {
      s.kind = Kind::word_end;
      s.from = "</w>";
      TERN_TRY(text_of(v, "suffix", &s.from, false));
    } else {
      return unsupported("decoder", type);
    }
    d_.decodes.push_back(std::move(s));
    return TERN_OK;
  }

  const JsonValue root_;
  TokenizerDef d_;
  std::vector<std::string_view> texts_;  // of the model's vocabulary as the file has it; no data: a hole
  Pieces source_;                        // the same
  Vocabulary find_;
};

}  // namespace

tern_status read_tokenizer_json(std::string_view text, TokenizerDef* out) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  Json json;
  TERN_TRY(json.parse(text, JsonLimits()));
  return Reader(json.root()).run(out);
}

}  // namespace tern::tokens
