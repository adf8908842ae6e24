// SPDX-License-Identifier: Apache-2.0
#include "text/grammar.h"

#include <algorithm>
#include <queue>

#include "base/status.h"
#include "base/text.h"
#include "text/unicode.h"

namespace tern::tokens {
namespace {

constexpr size_t kMostText = 4 << 20, kMostNodes = 400000, kMostGroups = 200;
constexpr uint32_t kMostRepeats = 65536;
constexpr uint64_t kMostLeast = uint64_t(1) << 40;  // longer ways count as this long

uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

std::vector<CharRange> char_set(std::vector<CharRange> list, bool negated) {
  list.push_back({0xd800, 0xdfff});
  std::sort(list.begin(), list.end(), [](const CharRange& a, const CharRange& b) { return a.low < b.low; });
  std::vector<CharRange> others;
  uint32_t from = 0;
  for (const CharRange& r : list) {
    if (r.low > from) others.push_back({from, r.low - 1});
    from = std::max(from, r.high + 1);
  }
  if (from <= 0x10ffff) others.push_back({from, 0x10ffff});
  if (negated) return others;
  std::vector<CharRange> out;
  from = 0;
  const auto add = [&](uint32_t low, uint32_t high) {  // surrogates are in the list, and fall out here
    if (low < 0xd800 && high >= 0xd800) out.push_back({low, 0xd7ff});
    else if (low < 0xd800 || low > 0xdfff) out.push_back({low, high});
    if (low <= 0xdfff && low < 0xe000 && high > 0xdfff) out.push_back({0xe000, high});
  };
  for (const CharRange& r : others) {
    if (r.low > from) add(from, r.low - 1);
    from = r.high + 1;
  }
  if (from <= 0x10ffff) add(from, 0x10ffff);
  return out;
}

struct Grammar::Parser {
  std::string_view text;
  std::string* failed_rule;
  Grammar* g;
  size_t at = 0;

  Parser(std::string_view from, std::string* failed, Grammar* grammar) : text(from), failed_rule(failed), g(grammar) {}

  // A piece of the network: nodes from `begin` on to the last one. What leaves it leaves from `exit`, which is open.
  struct Piece {
    uint32_t begin, entry, exit;
  };
  struct Group {
    size_t open;  // where it stands in the text
    uint32_t begin;
    std::vector<Piece> alternatives;
    bool empty = true;        // the last alternative has nothing yet
    Piece last{};             // of it: what a repetition refers to; the last nodes of all
    uint32_t before = kNone;  // the exit before `last`, if there is one
    bool has_last = false;
  };
  std::vector<Group> groups;
  struct Rule {
    std::string name = {};
    size_t used = SIZE_MAX, defined = SIZE_MAX;  // where
    std::vector<CharRange> ranges = {};          // of a class of characters, which has no name
    uint32_t end = kNone;                        // its last node
  };
  std::vector<Rule> rules;
  std::unordered_map<std::string, uint32_t> by_name;
  std::unordered_map<uint64_t, uint32_t> set_of;

  std::vector<Node>& nodes() { return g->nodes_; }

  tern_status error(size_t place, tern_status code, const char* format, ...) __attribute__((format(printf, 4, 5))) {
    char what[512];
    va_list list;
    va_start(list, format);
    format_text(what, sizeof what, format, list);
    va_end(list);
    size_t line = 1, column = 1;
    for (size_t i = 0; i < place && i < text.size(); ++i) {
      if (text[i] == '\n') ++line, column = 1;
      else if (((uint8_t)text[i] & 0xc0) != 0x80) ++column;
    }
    return TERN_FAIL(code, "grammar, line %zu, column %zu: %s", line, column, what);
  }
  tern_status wrong(const char* what) { return error(at, TERN_ERR_CORRUPT, "%s", what); }

  uint32_t node(Kind kind, uint32_t a, uint32_t next) {
    nodes().push_back({kind, a, next});
    return (uint32_t)nodes().size() - 1;
  }
  uint32_t jump() { return node(Kind::split, kNone, kNone); }
  Piece piece(Kind kind, uint32_t a) {
    const uint32_t n = node(kind, a, kNone), exit = jump();
    nodes()[n].next = exit;
    return {n, n, exit};
  }
  uint32_t set(const ByteSet& s) {
    uint64_t key = 0;
    for (const uint64_t w : s.bits) key = mix(key + w + 0x9e3779b97f4a7c15u);
    const auto [found, fresh] = set_of.try_emplace(key, (uint32_t)g->sets_.size());
    if (!fresh && std::equal(s.bits, s.bits + 4, g->sets_[found->second].bits)) return found->second;
    g->sets_.push_back(s);
    return (uint32_t)g->sets_.size() - 1;
  }
  uint32_t set(uint32_t low, uint32_t high) {
    ByteSet s;
    for (uint32_t b = low; b <= high; ++b) s.bits[b >> 6] |= uint64_t(1) << (b & 63);
    return set(s);
  }
  uint32_t rule(std::string_view name) {
    const auto [found, fresh] = by_name.try_emplace(std::string(name), (uint32_t)rules.size());
    if (fresh) rules.push_back({std::string(name)});
    return found->second;
  }

  void skip() {
    while (at < text.size()) {
      const char c = text[at];
      if (c == '#') {
        while (at < text.size() && text[at] != '\n') ++at;
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at;
      } else {
        break;
      }
    }
  }
  bool take(std::string_view word) {
    if (text.substr(at, word.size()) != word) return false;
    at += word.size();
    return true;
  }
  // Whether a rule's definition begins here.
  bool rule_begins() {
    size_t i = at;
    while (i < text.size() && is_name(text[i])) ++i;
    if (i == at) return false;
    const size_t back = at;
    at = i;
    skip();
    const bool found = text.substr(at, 3) == "::=";
    at = back;
    return found;
  }

  // One character of a literal or class, with its escape.
  tern_status character(uint32_t* code) {
    if (text[at] != '\\') {
      const uint8_t* p = (const uint8_t*)text.data() + at;
      const Char c = read_char(p, (const uint8_t*)text.data() + text.size());
      if (c.code == kNoCharacter) return wrong("this is no UTF-8");
      *code = c.code, at += c.size;
      return TERN_OK;
    }
    const char kind = at + 1 < text.size() ? text[at + 1] : '\0';
    static constexpr std::string_view kFrom = "nrt\\\"[]-^/", kTo = "\n\r\t\\\"[]-^/";
    if (const size_t i = kFrom.find(kind); i != kFrom.npos) {
      *code = (uint8_t)kTo[i], at += 2;
      return TERN_OK;
    }
    const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (digits == 0)
      return wrong("an escape is one of \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\/ \\xHH \\uHHHH \\UHHHHHHHH");
    uint64_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      const char c = at + 2 + i < text.size() ? text[at + 2 + i] : '\0';
      const char low = (char)(c | 32);
      if (!(c >= '0' && c <= '9') && !(low >= 'a' && low <= 'f')) return wrong("too few hexadecimal digits");
      value = value * 16 + (uint64_t)(c <= '9' ? c - '0' : low - 'a' + 10);
    }
    if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return wrong("there is no such character");
    *code = (uint32_t)value, at += 2 + digits;
    return TERN_OK;
  }

  Piece literal_piece(std::string_view bytes) {
    const uint32_t begin = (uint32_t)nodes().size();
    for (const char c : bytes) {
      const uint32_t s = set((uint8_t)c, (uint8_t)c);
      node(Kind::bytes, s, (uint32_t)nodes().size() + 1);
    }
    return {begin, begin, jump()};
  }
  tern_status literal(Piece* out) {
    const size_t open = at++;
    std::string bytes;
    while (at < text.size() && text[at] != '"') {
      if (text[at] == '\n') break;
      uint32_t code = 0;
      TERN_TRY(character(&code));
      append_char(code, &bytes);
    }
    if (at >= text.size() || text[at] != '"')
      return error(open, TERN_ERR_CORRUPT, "this text has no end: \" is missing");
    ++at;
    *out = literal_piece(bytes);
    return TERN_OK;
  }
  tern_status class_of(std::vector<CharRange> list, bool negated, size_t place, Piece* out) {
    list = char_set(std::move(list), negated);
    if (list.empty()) return error(place, TERN_ERR_CORRUPT, "this class has no character");
    if (list.back().high < 0x80) {
      ByteSet s;
      for (const CharRange& r : list)
        for (uint32_t b = r.low; b <= r.high; ++b) s.bits[b >> 6] |= uint64_t(1) << (b & 63);
      *out = piece(Kind::bytes, set(s));
      return TERN_OK;
    }
    std::string key = "\n";  // no name of a rule
    for (const CharRange& r : list) key.append((const char*)&r, sizeof r);
    const uint32_t index = rule(key);
    if (rules[index].ranges.empty()) rules[index].ranges = std::move(list), rules[index].name.clear();
    *out = piece(Kind::call, index);
    return TERN_OK;
  }
  tern_status char_class(Piece* out) {
    const size_t open = at++;
    const bool negated = take("^");
    std::vector<CharRange> list;
    while (at < text.size() && text[at] != ']') {
      CharRange r{};
      const size_t place = at;
      TERN_TRY(character(&r.low));
      r.high = r.low;
      if (at + 1 < text.size() && text[at] == '-' && text[at + 1] != ']') {
        ++at;
        TERN_TRY(character(&r.high));
        if (r.high < r.low) return error(place, TERN_ERR_CORRUPT, "this range ends before it begins");
      }
      list.push_back(r);
    }
    if (!take("]")) return error(open, TERN_ERR_CORRUPT, "this class has no end: ] is missing");
    return class_of(std::move(list), negated, open, out);
  }

  tern_status number(uint32_t* out) {
    uint64_t n = 0;
    if (at >= text.size() || text[at] < '0' || text[at] > '9') return wrong("a number is expected here");
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      n = n * 10 + (uint64_t)(text[at] - '0');
      if (n > kMostRepeats) return error(at, TERN_ERR_LIMIT, "more than %u repetitions", kMostRepeats);
    }
    *out = (uint32_t)n;
    return TERN_OK;
  }

  // `p`, which is made of the last nodes, `least` to `most` times; most == kNone: any number.
  tern_status repeat(size_t place, uint32_t least, uint32_t most, Piece* p) {
    const std::vector<Node> model(nodes().begin() + p->begin, nodes().end());
    const uint32_t begin = p->begin;
    const uint64_t copies = most == kNone ? std::max(least, 1u) : most;
    if (copies * (model.size() + 1) > kMostNodes - begin)
      return error(place, TERN_ERR_LIMIT, "with this repetition the grammar has more than %zu places", kMostNodes);
    nodes().resize(begin);
    const Piece from = *p;
    const auto copy = [&] {
      const uint32_t shift = (uint32_t)nodes().size() - begin;
      for (Node n : model) {
        if (n.next != kNone) n.next += shift;
        if (n.kind == Kind::split && n.a != kNone) n.a += shift;
        nodes().push_back(n);
      }
      return Piece{begin + shift, from.entry + shift, from.exit + shift};
    };
    const uint32_t entry = jump();
    uint32_t open = entry, again = kNone;
    std::vector<uint32_t> skips;
    for (uint32_t i = 0; i < copies; ++i) {
      if (i >= least) {
        const uint32_t s = node(Kind::split, kNone, kNone);
        nodes()[open].next = s;
        const Piece c = copy();
        nodes()[s].next = c.entry;
        skips.push_back(s);
        if (most == kNone) {  // only with least == 0
          nodes()[c.exit].next = s;
          open = kNone;
        } else {
          open = c.exit;
        }
      } else {
        const Piece c = copy();
        nodes()[open].next = c.entry;
        open = c.exit, again = c.entry;
      }
    }
    if (most == kNone && least > 0) {
      const uint32_t s = node(Kind::split, again, kNone);
      nodes()[open].next = s;
      open = s;
    }
    const uint32_t exit = jump();
    if (open != kNone) nodes()[open].next = exit;
    for (const uint32_t s : skips) nodes()[s].a = exit;
    *p = {begin, entry, exit};
    return TERN_OK;
  }

  void append(const Piece& p) {
    Group& group = groups.back();
    group.before = kNone;
    if (group.empty) {
      group.alternatives.push_back(p), group.empty = false;
    } else {
      Piece& sequence = group.alternatives.back();
      group.before = sequence.exit;
      nodes()[sequence.exit].next = p.entry, sequence.exit = p.exit;
    }
    group.last = p, group.has_last = true;
  }
  void end_alternative() {
    Group& group = groups.back();
    if (group.empty) {
      const uint32_t j = jump();
      group.alternatives.push_back({j, j, j});
    }
    group.empty = true, group.has_last = false;
  }
  Piece close_group() {
    end_alternative();
    const Group group = std::move(groups.back());
    groups.pop_back();
    const uint32_t exit = jump();
    uint32_t entry = kNone;
    for (size_t i = group.alternatives.size(); i-- > 0;) {
      const Piece& p = group.alternatives[i];
      nodes()[p.exit].next = exit;
      entry = entry == kNone ? p.entry : node(Kind::split, p.entry, entry);
    }
    return {group.begin, entry, exit};
  }

  tern_status repetition(uint32_t least, uint32_t most, size_t place) {
    Group& group = groups.back();
    if (!group.has_last) return error(place, TERN_ERR_CORRUPT, "there is nothing to repeat before this");
    TERN_TRY(repeat(place, least, most, &group.last));
    Piece& sequence = group.alternatives.back();
    if (group.before == kNone) sequence = group.last;
    else nodes()[group.before].next = group.last.entry, sequence.exit = group.last.exit;
    return TERN_OK;
  }

  tern_status body() {
    groups.clear();
    groups.push_back({at, (uint32_t)nodes().size(), {}});
    for (;;) {
      skip();
      if (nodes().size() > kMostNodes)
        return error(at, TERN_ERR_LIMIT, "the grammar has more than %zu places", kMostNodes);
      if (at >= text.size() || rule_begins()) break;
      const size_t place = at;
      const char c = text[at];
      Piece p{};
      if (c == '|') {
        ++at;
        end_alternative();
        continue;
      }
      if (c == '*' || c == '+' || c == '?') {
        ++at;
        TERN_TRY(repetition(c == '+', c == '?' ? 1 : kNone, place));
        continue;
      }
      if (c == '{') {
        ++at;
        uint32_t least = 0, most = 0;
        skip();
        if (at < text.size() && text[at] != ',') TERN_TRY(number(&least));
        skip();
        most = least;
        if (take(",")) {
          skip();
          most = kNone;
          if (at < text.size() && text[at] != '}') TERN_TRY(number(&most));
          skip();
        }
        if (!take("}")) return wrong("} is expected here, as in {2} or {1,3}");
        if (most < least) return error(place, TERN_ERR_CORRUPT, "more repetitions at least than at most");
        TERN_TRY(repetition(least, most, place));
        continue;
      }
      if (c == '(') {
        ++at;
        if (groups.size() > kMostGroups)
          return error(place, TERN_ERR_LIMIT, "more than %zu groups within each other", kMostGroups);
        groups.push_back({place, (uint32_t)nodes().size(), {}});
        continue;
      }
      if (c == ')') {
        if (groups.size() == 1) return wrong("this ) closes nothing");
        ++at;
        p = close_group();
      } else if (c == '"') {
        TERN_TRY(literal(&p));
      } else if (c == '[') {
        TERN_TRY(char_class(&p));
      } else if (c == '.') {
        ++at;
        TERN_TRY(class_of({}, true, place, &p));
      } else if (is_name(c)) {
        while (at < text.size() && is_name(text[at])) ++at;
        const uint32_t index = rule(text.substr(place, at - place));
        if (rules[index].used == SIZE_MAX) rules[index].used = place;
        p = piece(Kind::call, index);
      } else {
        return wrong("no rule goes on like this");
      }
      append(p);
    }
    if (groups.size() > 1) return error(groups.back().open, TERN_ERR_CORRUPT, "this group has no end: ) is missing");
    return TERN_OK;
  }

  // The network of a class of characters: the bytes of UTF-8, from the last to the first, equal ends shared.
  void emit_class(uint32_t index) {
    const uint32_t end = node(Kind::end, 0, kNone);
    std::unordered_map<uint64_t, uint32_t> tails;
    std::unordered_map<uint64_t, uint32_t> lead_of;
    std::vector<std::pair<uint32_t, ByteSet>> leads;  // what follows, and the first bytes
    std::vector<CharRange> work = rules[index].ranges;
    std::reverse(work.begin(), work.end());
    while (!work.empty()) {
      CharRange r = work.back();
      work.pop_back();
      // Of one length, and each byte but the first ones over all its values or over one.
      bool cut = false;
      for (const uint32_t limit : {0x7fu, 0x7ffu, 0xffffu})
        if (r.low <= limit && r.high > limit) {
          work.push_back({limit + 1, r.high}), work.push_back({r.low, limit}), cut = true;
          break;
        }
      for (uint32_t bits = 6; !cut && bits <= 18 && r.high > 0x7f; bits += 6) {
        const uint32_t m = (1u << bits) - 1;
        if ((r.low & ~m) == (r.high & ~m)) break;
        if (r.low & m) work.push_back({(r.low | m) + 1, r.high}), work.push_back({r.low, r.low | m}), cut = true;
        else if ((r.high & m) != m)
          work.push_back({r.high & ~m, r.high}), work.push_back({r.low, (r.high & ~m) - 1}), cut = true;
      }
      if (cut) continue;
      std::string low, high;
      append_char(r.low, &low), append_char(r.high, &high);
      uint32_t next = end;
      for (size_t i = low.size(); i-- > 1;) {
        const uint64_t key = (uint64_t)(uint8_t)low[i] << 40 | (uint64_t)(uint8_t)high[i] << 32 | next;
        const auto [found, fresh] = tails.try_emplace(key, (uint32_t)nodes().size());
        if (fresh) node(Kind::bytes, set((uint8_t)low[i], (uint8_t)high[i]), next);
        next = found->second;
      }
      const auto [found, fresh] = lead_of.try_emplace(next, (uint32_t)leads.size());
      if (fresh) leads.push_back({next, {}});
      ByteSet& s = leads[found->second].second;
      for (uint32_t b = (uint8_t)low[0]; b <= (uint8_t)high[0]; ++b) s.bits[b >> 6] |= uint64_t(1) << (b & 63);
    }
    uint32_t entry = kNone;
    for (const auto& lead : leads) {
      const uint32_t n = node(Kind::bytes, set(lead.second), lead.first);
      entry = entry == kNone ? n : node(Kind::split, n, entry);
    }
    g->entries_[index] = entry, rules[index].end = end;
  }

  uint32_t resolve(uint32_t n) {
    uint32_t target = n;
    while (nodes()[target].kind == Kind::split && nodes()[target].a == kNone) target = nodes()[target].next;
    while (n != target) {
      const uint32_t next = nodes()[n].next;
      nodes()[n].next = target, n = next;
    }
    return target;
  }

  // Bytes to the end of each node's rule: the node with the fewest is known first, and makes others known.
  void measure() {
    std::vector<Node>& all = nodes();
    const size_t n = all.size();
    std::vector<uint32_t> begin(n + 1), before;
    const auto each = [&](auto&& f) {
      for (uint32_t i = 0; i < n; ++i) {
        if (all[i].kind == Kind::end) continue;
        f(all[i].next, i);
        if (all[i].kind == Kind::split && all[i].a != kNone) f(all[i].a, i);
        if (all[i].kind == Kind::call) f(g->entries_[all[i].a], i);
      }
    };
    each([&](uint32_t to, uint32_t) { ++begin[to]; });
    uint32_t sum = 0;
    for (uint32_t& b : begin) sum += b, b = sum;
    before.resize(sum);
    each([&](uint32_t to, uint32_t from) { before[--begin[to]] = from; });
    std::vector<uint64_t>& least = g->least_;
    least.assign(n, kNever);
    using Item = std::pair<uint64_t, uint32_t>;
    std::priority_queue<Item, std::vector<Item>, std::greater<Item>> queue;
    const auto lower = [&](uint32_t i, uint64_t value) {
      if (value < least[i]) least[i] = value, queue.push({value, i});
    };
    for (uint32_t i = 0; i < n; ++i)
      if (all[i].kind == Kind::end) lower(i, 0);
    while (!queue.empty()) {
      const Item item = queue.top();
      queue.pop();
      if (item.first > least[item.second]) continue;
      for (uint32_t k = begin[item.second]; k < begin[item.second + 1]; ++k) {
        const uint32_t i = before[k];
        uint64_t value = item.first;
        if (all[i].kind == Kind::bytes) ++value;
        if (all[i].kind == Kind::call) {
          const uint64_t inner = least[g->entries_[all[i].a]], rest = least[all[i].next];
          if (inner == kNever || rest == kNever) continue;
          value = inner + rest;
        }
        lower(i, std::min(value, kMostLeast));
      }
    }
  }

  tern_status check_rules() {
    const std::vector<Node>& all = nodes();
    const size_t n = rules.size();
    for (size_t r = 0; r < n; ++r)
      if (g->least_[g->entries_[r]] == kNever) {
        if (failed_rule) *failed_rule = rules[r].name;
        return error(rules[r].defined, TERN_ERR_CORRUPT, "no text ends the rule '%s': it always calls itself again",
                     rules[r].name.c_str());
      }
    // Rules that a rule calls before it took a byte.
    std::vector<std::vector<uint32_t>> first(n);
    std::vector<uint32_t> seen(all.size(), kNone), work;
    for (uint32_t r = 0; r < n; ++r) {
      const auto visit = [&](uint32_t i) {
        if (seen[i] != r) seen[i] = r, work.push_back(i);
      };
      visit(g->entries_[r]);
      while (!work.empty()) {
        const Node& node = all[work.back()];
        work.pop_back();
        if (node.kind == Kind::split) visit(node.a), visit(node.next);
        if (node.kind != Kind::call) continue;
        first[r].push_back(node.a);
        if (g->least_[g->entries_[node.a]] == 0) visit(node.next);
      }
    }
    std::vector<uint8_t> state(n);  // 1: on the way, 2: done
    struct Step {
      uint32_t rule;
      size_t next;
    };
    std::vector<Step> way;
    for (uint32_t r = 0; r < n; ++r) {
      if (state[r]) continue;
      way.push_back({r, 0}), state[r] = 1;
      while (!way.empty()) {
        Step& step = way.back();
        if (step.next == first[step.rule].size()) {
          state[step.rule] = 2;
          way.pop_back();
          continue;
        }
        const uint32_t to = first[step.rule][step.next++];
        if (state[to] == 1) {
          if (failed_rule) *failed_rule = rules[to].name;
          return error(rules[to].defined, TERN_ERR_CORRUPT,
                       "the rule '%s' calls itself before it took a byte (left recursion)", rules[to].name.c_str());
        }
        if (state[to] == 0) state[to] = 1, way.push_back({to, 0});
      }
    }
    return TERN_OK;
  }

  void make_classes() {
    uint32_t count = 1;
    std::vector<uint32_t> fresh;
    for (const ByteSet& s : g->sets_) {
      if (count == 256) break;
      fresh.assign(count, kNone);
      std::vector<uint8_t> outside(count);
      for (uint32_t b = 0; b < 256; ++b)
        if (!s.has(b)) outside[g->classes_[b]] = 1;
      for (uint32_t b = 0; b < 256; ++b) {
        const uint32_t c = g->classes_[b];
        if (!s.has(b) || !outside[c]) continue;
        if (fresh[c] == kNone) fresh[c] = count++;
        g->classes_[b] = (uint8_t)fresh[c];
      }
    }
    g->bytes_.resize(count);
    for (uint32_t b = 0; b < 256; ++b) g->bytes_[g->classes_[b]] = (uint8_t)b;
  }

  tern_status parse() {
    prepare_unicode();
    if (text.size() > kMostText) return TERN_FAIL(TERN_ERR_LIMIT, "the grammar has more than %zu bytes", kMostText);
    rule("root");
    skip();
    if (at == text.size()) return wrong("there is no rule");
    std::vector<std::pair<uint32_t, Piece>> bodies;
    while (at < text.size()) {
      if (!rule_begins()) return wrong("a rule is expected here: name ::= ...");
      const size_t place = at;
      while (at < text.size() && is_name(text[at])) ++at;
      const uint32_t index = rule(text.substr(place, at - place));
      if (rules[index].defined != SIZE_MAX)
        return error(place, TERN_ERR_CORRUPT, "the rule '%s' is there already", rules[index].name.c_str());
      rules[index].defined = place;
      skip();
      at += 3;
      TERN_TRY(body());
      const Piece p = close_group();
      const uint32_t end = node(Kind::end, 0, kNone);
      nodes()[p.exit].next = end;
      rules[index].end = end;
      bodies.push_back({index, p});
    }
    g->entries_.assign(rules.size(), kNone);
    for (const auto& b : bodies) g->entries_[b.first] = b.second.entry;
    for (uint32_t r = 0; r < rules.size(); ++r) {
      if (!rules[r].ranges.empty()) emit_class(r);
      if (g->entries_[r] != kNone) continue;
      if (failed_rule) *failed_rule = rules[r].name;
      if (r == 0) return error(0, TERN_ERR_CORRUPT, "there is no rule 'root', which a text begins with");
      return error(rules[r].used, TERN_ERR_CORRUPT, "there is no rule '%s'", rules[r].name.c_str());
    }
    if (nodes().size() > kMostNodes)
      return TERN_FAIL(TERN_ERR_LIMIT, "the grammar has more than %zu places", kMostNodes);
    for (uint32_t& e : g->entries_) e = resolve(e);
    for (uint32_t i = 0; i < nodes().size(); ++i) {
      if (nodes()[i].kind == Kind::end) continue;
      nodes()[i].next = resolve(nodes()[i].next);
      if (nodes()[i].kind == Kind::split && nodes()[i].a != kNone) {
        const uint32_t a = resolve(nodes()[i].a);
        nodes()[i].a = a;
      }
    }
    // A jump that nothing leads to any more is one to both of its ends.
    for (Node& n : nodes())
      if (n.kind == Kind::split && n.a == kNone) n.a = n.next;
    measure();
    TERN_TRY(check_rules());
    make_classes();
    return TERN_OK;
  }
};

tern_status Grammar::create(std::string_view text, std::shared_ptr<const Grammar>* out, std::string* failed_rule) {
  const auto g = std::make_shared<Grammar>();
  Parser parser(text, failed_rule, g.get());
  TERN_TRY(parser.parse());
  *out = g;
  return TERN_OK;
}

// ---- tokens ----

TokenTrie::TokenTrie(const Tokenizer& tokenizer, uint32_t size) : size_(size) {
  const TokenizerDef& def = tokenizer.def();
  const uint32_t known = std::min(size, tokenizer.size());
  // What models end an answer with, beside the token that their tokenizer names.
  for (const std::string_view name : {"<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
                                      "<|end_of_text|>", "<|eom_id|>", "</s>", "<eos>"}) {
    const int32_t id = tokenizer.find(name);
    if (id >= 0 && (uint32_t)id < known && def.flags[(size_t)id] & kTokenSpecial) ends_.push_back((uint32_t)id);
  }
  if (def.eos >= 0 && (uint32_t)def.eos < known && !is_end((uint32_t)def.eos)) ends_.push_back((uint32_t)def.eos);
  for (uint32_t id = 0; id < known; ++id) {
    if (def.flags[id] & (kTokenSpecial | kTokenUnused | kTokenUnknown) || is_end(id)) continue;
    const std::string_view t = tokenizer.text(id);
    if (t.empty() || t.size() > kMaxPiece) continue;
    entries_.push_back({id, (uint32_t)bytes_.size(), (uint16_t)t.size(), 0});
    bytes_ += t;
  }
  const auto text = [&](const Entry& e) { return std::string_view(bytes_).substr(e.at, e.length); };
  std::sort(entries_.begin(), entries_.end(), [&](const Entry& a, const Entry& b) {
    const int order = text(a).compare(text(b));
    return order < 0 || (order == 0 && a.id < b.id);
  });
  places_.assign(size, UINT32_MAX);
  for (size_t i = 0; i < entries_.size(); ++i) {
    places_[entries_[i].id] = (uint32_t)i;
    if (i == 0) continue;
    const std::string_view a = text(entries_[i - 1]), b = text(entries_[i]);
    uint16_t& n = entries_[i].common;
    while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  }
}

bool TokenTrie::is_end(uint32_t id) const { return std::find(ends_.begin(), ends_.end(), id) != ends_.end(); }

// ---- matching ----

namespace {

constexpr uint64_t kTidyBytes = 8 << 20, kMostBytes = 24 << 20;
constexpr size_t kMostPlaces = 20000, kMostMasks = 64;

}  // namespace

Matcher::Matcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> tokens)
    : grammar_(std::move(grammar)), tokens_(std::move(tokens)) {
  clear();
  reset();
}

void Matcher::clear() {
  stacks_.assign(1, {0, 0, 0});
  states_.assign(1, {});
  stack_of_.clear(), state_of_.clear(), masks_.clear();
  bytes_ = 0;
}

void Matcher::reset() {
  std::vector<Place> work = {{grammar_->entries_[0], 0}};
  ended_ = too_much_ = false;
  now_ = close(&work);
}

uint32_t Matcher::push(uint32_t node, uint32_t below) {
  // A rule whose end is the caller's end, too, goes back to the caller's caller: lists do not make stacks grow.
  if (grammar_->nodes_[node].kind == Grammar::Kind::end) return below;
  const auto [found, fresh] = stack_of_.try_emplace((uint64_t)node << 32 | below, (uint32_t)stacks_.size());
  if (fresh) {
    stacks_.push_back({node, below, std::min(grammar_->least_[node] + stacks_[below].least, kMostLeast)});
    bytes_ += 64;
  }
  return found->second;
}

// The state of all places that those of the list lead to without a byte.
uint32_t Matcher::close(std::vector<Place>* work) {
  State s;
  seen_.clear();
  const auto visit = [&](uint32_t node, uint32_t stack) {
    if (seen_.try_emplace((uint64_t)node << 32 | stack, 0).second) work->push_back({node, stack});
  };
  const std::vector<Place> first = std::move(*work);
  work->clear();
  for (const Place& p : first) visit(p.node, p.stack);
  while (!work->empty()) {
    const Place p = work->back();
    work->pop_back();
    if (seen_.size() > kMostPlaces || bytes_ > kMostBytes) return too_much_ = true, kDead;
    const Grammar::Node& n = grammar_->nodes_[p.node];
    switch (n.kind) {
      case Grammar::Kind::bytes: {
        s.places.push_back(p);
        s.least = std::min(s.least, std::min(grammar_->least_[p.node] + stacks_[p.stack].least, kMostLeast));
        break;
      }
      case Grammar::Kind::split: visit(n.a, p.stack), visit(n.next, p.stack); break;
      case Grammar::Kind::call: {
        const uint32_t stack = push(n.next, p.stack);
        visit(grammar_->entries_[n.a], stack);
        break;
      }
      case Grammar::Kind::end:
        if (p.stack == 0) s.may_end = true, s.least = 0;
        else visit(stacks_[p.stack].node, stacks_[p.stack].below);
    }
  }
  if (s.places.empty() && !s.may_end) return kDead;
  std::sort(s.places.begin(), s.places.end(),
            [](const Place& a, const Place& b) { return a.node < b.node || (a.node == b.node && a.stack < b.stack); });
  uint64_t hash = s.may_end;
  for (const Place& p : s.places) hash = mix(hash + ((uint64_t)p.node << 32 | p.stack) + 0x9e3779b97f4a7c15u);
  const auto [found, fresh] = state_of_.try_emplace(hash, (uint32_t)states_.size());
  if (!fresh) {
    for (uint32_t i = found->second; i; i = states_[i].same_hash)
      if (states_[i].places == s.places && states_[i].may_end == s.may_end) return i;
    s.same_hash = found->second;
    found->second = (uint32_t)states_.size();
  }
  s.steps.assign(grammar_->bytes_.size(), kUnknown);
  bytes_ += sizeof s + 64 + s.places.size() * sizeof(Place) + s.steps.size() * 4;
  states_.push_back(std::move(s));
  return (uint32_t)states_.size() - 1;
}

uint32_t Matcher::step(uint32_t state, uint8_t byte) {
  if (state == kDead) return kDead;
  const uint32_t c = grammar_->classes_[byte];
  uint32_t next = states_[state].steps[c];
  if (next != kUnknown) return next;
  std::vector<Place> work;
  for (const Place& p : states_[state].places) {
    const Grammar::Node& n = grammar_->nodes_[p.node];
    if (grammar_->sets_[n.a].has(byte)) work.push_back({n.next, p.stack});
  }
  next = work.empty() ? kDead : close(&work);
  if (!too_much_) states_[state].steps[c] = next;
  return next;
}

// Keeps the state of now alone, once the others take much memory.
void Matcher::tidy() {
  if (bytes_ < kTidyBytes || now_ == kDead) return;
  std::vector<Place> places = states_[now_].places;
  const bool may_end = states_[now_].may_end;
  const std::vector<Stack> old = std::move(stacks_);
  std::vector<uint32_t> kept(old.size());
  for (const Place& p : places) kept[p.stack] = 1;
  for (size_t i = old.size(); i-- > 1;)
    if (kept[i]) kept[old[i].below] = 1;
  clear();
  kept[0] = 0;
  for (size_t i = 1; i < old.size(); ++i)  // what is below comes first
    if (kept[i]) kept[i] = push(old[i].node, kept[old[i].below]);
  for (Place& p : places) p.stack = kept[p.stack];
  if (may_end) {  // the end of any rule with nothing below it
    uint32_t end = 0;
    while (grammar_->nodes_[end].kind != Grammar::Kind::end) ++end;
    places.push_back({end, 0});
  }
  now_ = close(&places);
}

bool Matcher::accept(std::string_view bytes) {
  if (ended_) return false;
  uint32_t s = now_;
  for (const char c : bytes) s = step(s, (uint8_t)c);
  if (s == kDead) return false;
  now_ = s;
  tidy();
  return true;
}

bool Matcher::accept(uint32_t token) {
  if (token >= tokens_->size() || ended_) return false;
  if (tokens_->is_end(token)) return ended_ = may_end();
  const uint32_t place = tokens_->places_[token];
  if (place == UINT32_MAX) return false;
  const TokenTrie::Entry& e = tokens_->entries_[place];
  return accept(std::string_view(tokens_->bytes_).substr(e.at, e.length));
}

bool Matcher::may_end() const { return !ended_ && states_[now_].may_end; }

uint64_t Matcher::least() const { return ended_ ? 0 : states_[now_].least; }

// f(token, state after it) for each token that is allowed.
template <class F>
void Matcher::walk(F&& f) {
  uint32_t way[kMaxPiece + 1];
  way[0] = now_;
  size_t alive = 0;  // so many bytes of the entry before led to a state
  for (const TokenTrie::Entry& e : tokens_->entries_) {
    if (e.common > alive) continue;
    const uint8_t* const bytes = (const uint8_t*)tokens_->bytes_.data() + e.at;
    alive = e.common;
    while (alive < e.length && (way[alive + 1] = step(way[alive], bytes[alive])) != kDead) ++alive;
    if (too_much_) return;
    if (alive == e.length) f(e.id, way[alive]);
  }
}

tern_status Matcher::allowed(int64_t tokens_left, std::span<const uint64_t>* bits) {
  const auto too_much = [&] {
    too_much_ = false;
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "too many ways lead through the grammar at once: write it so that a text has fewer readings");
  };
  const size_t words = (tokens_->size() + 63) / 64;
  own_.assign(words, 0);
  *bits = own_;
  if (ended_ || now_ == kDead) return too_much_ ? too_much() : TERN_OK;
  tidy();
  if (states_[now_].mask < 0) {
    Mask mask;
    mask.bits.assign(words, 0);
    walk([&](uint32_t id, uint32_t s) {
      mask.bits[id >> 6] |= uint64_t(1) << (id & 63);
      mask.worst = std::max(mask.worst, states_[s].least);
    });
    if (too_much_) return too_much();
    if (may_end())
      for (const uint32_t id : tokens_->ends()) mask.bits[id >> 6] |= uint64_t(1) << (id & 63);
    if (masks_.size() >= kMostMasks) {
      masks_.clear();
      for (State& s : states_) s.mask = -1;
    }
    states_[now_].mask = (int32_t)masks_.size();
    masks_.push_back(std::move(mask));
  }
  const Mask& mask = masks_[(size_t)states_[now_].mask];
  *bits = mask.bits;
  // This token, each byte of the rest, and the token that ends the text.
  if (tokens_left < 0 || mask.worst + 2 <= (uint64_t)tokens_left) return TERN_OK;
  const uint64_t limit = tokens_left < 2 ? 0 : (uint64_t)tokens_left - 2;
  uint64_t best = may_end() ? 0 : Grammar::kNever;
  walk([&](uint32_t, uint32_t s) { best = std::min(best, states_[s].least); });
  const uint64_t most = std::max(limit, best);
  if (!(may_end() && tokens_left < 2))
    walk([&](uint32_t id, uint32_t s) {
      if (states_[s].least <= most) own_[id >> 6] |= uint64_t(1) << (id & 63);
    });
  if (too_much_) return too_much();
  if (may_end())
    for (const uint32_t id : tokens_->ends()) own_[id >> 6] |= uint64_t(1) << (id & 63);
  *bits = own_;
  return TERN_OK;
}

}  // namespace tern::tokens
