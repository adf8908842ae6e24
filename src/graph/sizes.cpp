// SPDX-License-Identifier: Apache-2.0
#include "graph/sizes.h"

#include <algorithm>

#include "base/checked.h"

namespace tern {
namespace {

// What is longer or deeper than any network needs is not followed: a hostile file cannot make it slow.
constexpr size_t kMostTerms = 24, kMostFactors = 8;
constexpr int kMostDepth = 32;
constexpr size_t kMostPolys = 200'000;

std::optional<int64_t> floor_quotient(int64_t a, int64_t b) {
  if (b == 0 || (a == INT64_MIN && b == -1)) return std::nullopt;
  const int64_t q = a / b;
  return q * b != a && ((a < 0) != (b < 0)) ? q - 1 : q;
}

}  // namespace

std::optional<int64_t> size_arithmetic(SizeOp op, int64_t a, int64_t b) {
  switch (op) {
    case SizeOp::floor_div: return floor_quotient(a, b);
    case SizeOp::trunc_div: return b == 0 || (a == INT64_MIN && b == -1) ? std::nullopt : std::optional(a / b);
    case SizeOp::mod: {
      const auto q = floor_quotient(a, b);
      return q ? std::optional(a - *q * b) : std::nullopt;
    }
    case SizeOp::min: return std::min(a, b);
    case SizeOp::max: return std::max(a, b);
    case SizeOp::less: return a < b;
    case SizeOp::equal: return a == b;
    case SizeOp::broadcast: return b == 1 ? std::optional(a) : a == 1 || a == b ? std::optional(b) : std::nullopt;
    case SizeOp::symbol:
    case SizeOp::unknown: return std::nullopt;
  }
  return std::nullopt;
}

Sizes::Sizes(std::vector<int64_t> hints) : hints_(std::move(hints)) {}

bool Sizes::atom_not_negative(const Atom& x) const {
  const auto both = [&] { return not_negative((SizeId)x.a) && not_negative((SizeId)x.b); };
  switch (x.op) {
    case SizeOp::symbol:
    case SizeOp::less:
    case SizeOp::equal: return true;
    case SizeOp::unknown: return false;
    case SizeOp::mod: return not_negative((SizeId)x.b);
    case SizeOp::max: return not_negative((SizeId)x.a) || not_negative((SizeId)x.b);
    case SizeOp::floor_div:
    case SizeOp::trunc_div:
    case SizeOp::min:
    case SizeOp::broadcast: return both();
  }
  return false;
}

bool Sizes::full() const { return polys_.size() > 2 * kMostPolys; }

std::optional<int64_t> Sizes::atom_upper(const Atom& x) const {
  if (x.op == SizeOp::less || x.op == SizeOp::equal) return 1;
  if (x.op != SizeOp::mod && x.op != SizeOp::min) return std::nullopt;
  const auto b = fixed((SizeId)x.b), a = fixed((SizeId)x.a);
  if (x.op == SizeOp::mod) return b && *b > 0 ? std::optional(*b - 1) : std::nullopt;
  return a ? a : b;
}

// Sizes are not negative; so is a product of what is not, and it is at most the product of the upper ends.
std::optional<int64_t> Sizes::lower_of(const Terms& terms) const {
  int64_t sum = 0;
  for (const Term& t : terms) {
    int64_t v = t.factor;
    for (const int32_t i : t.atoms) {
      const Atom& x = atoms_[(size_t)i];
      if (!atom_not_negative(x)) return std::nullopt;
      const auto upper = atom_upper(x);
      if (t.factor < 0 && (!upper || !checked_mul(v, *upper, &v))) return std::nullopt;
    }
    if (t.factor > 0 && !t.atoms.empty()) v = 0;
    if (!checked_add(sum, v, &sum)) return std::nullopt;
  }
  return sum;
}

SizeId Sizes::intern(Terms terms, int64_t hint) {
  const auto it = known_.find(terms);
  if (it != known_.end()) return it->second;
  Poly p;
  p.hint = hint;
  for (const Term& t : terms) {
    for (const int32_t i : t.atoms) {
      const Atom& x = atoms_[(size_t)i];
      if (x.op == SizeOp::unknown) p.unknown = true;
      p.from_data = p.from_data || atom_from_data_[(size_t)i];
      if (x.op == SizeOp::symbol || x.op == SizeOp::unknown) continue;
      for (const int64_t child : {x.a, x.b}) {
        const Poly& c = polys_[(size_t)child];
        p.from_data = p.from_data || c.from_data;
        p.unknown = p.unknown || c.unknown;
        p.depth = std::max(p.depth, c.depth + 1);
      }
    }
  }
  p.lower = lower_of(terms);
  p.terms = terms;
  polys_.push_back(std::move(p));
  const SizeId id = (SizeId)polys_.size() - 1;
  known_.emplace(std::move(terms), id);
  return id;
}

SizeId Sizes::constant(int64_t v) {
  if (v == 0) return intern({}, 0);
  return intern({{{}, v}}, v);
}

SizeId Sizes::symbol(int index) {
  const Atom x{SizeOp::symbol, index, 0};
  auto it = known_atoms_.find(x);
  if (it == known_atoms_.end()) {
    atoms_.push_back(x);
    atom_from_data_.push_back(0);
    it = known_atoms_.emplace(x, (int32_t)atoms_.size() - 1).first;
  }
  return intern({{{it->second}, 1}}, hints_[(size_t)index]);
}

SizeId Sizes::unknown(int64_t hint, bool from_data) {
  atoms_.push_back({SizeOp::unknown, unknowns_++, 0});
  atom_from_data_.push_back(from_data);
  return intern({{{(int32_t)atoms_.size() - 1}, 1}}, hint);
}

SizeId Sizes::lost(std::initializer_list<SizeId> from, int64_t hint) {
  bool data = false;
  for (const SizeId s : from) data = data || from_data(s);
  return unknown(hint, data);
}

std::optional<int64_t> Sizes::fixed(SizeId a) const {
  const Terms& t = polys_[(size_t)a].terms;
  if (t.empty()) return 0;
  return t.size() == 1 && t[0].atoms.empty() ? std::optional(t[0].factor) : std::nullopt;
}

SizeId Sizes::add(SizeId a, SizeId b) {
  int64_t hint_sum = 0;
  const bool fits = checked_add(hint(a), hint(b), &hint_sum);
  Terms sum;
  const Terms &x = polys_[(size_t)a].terms, &y = polys_[(size_t)b].terms;
  size_t i = 0, j = 0;
  while (i < x.size() || j < y.size()) {
    if (j == y.size() || (i < x.size() && x[i].atoms < y[j].atoms)) {
      sum.push_back(x[i++]);
    } else if (i == x.size() || y[j].atoms < x[i].atoms) {
      sum.push_back(y[j++]);
    } else {
      Term t = x[i];
      if (!checked_add(x[i++].factor, y[j++].factor, &t.factor)) return lost({a, b}, hint_sum);
      if (t.factor) sum.push_back(std::move(t));
    }
  }
  if (!fits || sum.size() > kMostTerms || polys_.size() > kMostPolys) return lost({a, b}, hint_sum);
  return intern(std::move(sum), hint_sum);
}

SizeId Sizes::mul(SizeId a, SizeId b) {
  int64_t hint_product = 0;
  const bool fits = checked_mul(hint(a), hint(b), &hint_product);
  const Terms x = polys_[(size_t)a].terms, y = polys_[(size_t)b].terms;
  std::map<std::vector<int32_t>, int64_t> product;
  if (!fits || x.size() * y.size() > kMostTerms || polys_.size() > kMostPolys) return lost({a, b}, hint_product);
  for (const Term& s : x)
    for (const Term& t : y) {
      std::vector<int32_t> atoms = s.atoms;
      atoms.insert(atoms.end(), t.atoms.begin(), t.atoms.end());
      std::sort(atoms.begin(), atoms.end());
      int64_t factor = 0, &sum = product[atoms];
      if (atoms.size() > kMostFactors || !checked_mul(s.factor, t.factor, &factor) || !checked_add(sum, factor, &sum))
        return lost({a, b}, hint_product);
    }
  Terms terms;
  for (auto& [atoms, factor] : product)
    if (factor) terms.push_back({atoms, factor});
  return intern(std::move(terms), hint_product);
}

SizeId Sizes::atom(SizeOp op, SizeId a, SizeId b, int64_t at_hint) {
  if (std::max(polys_[(size_t)a].depth, polys_[(size_t)b].depth) >= kMostDepth || polys_.size() > kMostPolys)
    return lost({a, b}, at_hint);
  const Atom x{op, a, b};
  auto it = known_atoms_.find(x);
  if (it == known_atoms_.end()) {
    atoms_.push_back(x);
    atom_from_data_.push_back(from_data(a) || from_data(b));
    it = known_atoms_.emplace(x, (int32_t)atoms_.size() - 1).first;
  }
  return intern({{{it->second}, 1}}, at_hint);
}

std::optional<SizeId> Sizes::divide_exactly(SizeId a, SizeId b) {
  if (a == b && !fixed(a)) return constant(1);
  const Terms divisor = polys_[(size_t)b].terms, x = polys_[(size_t)a].terms;
  if (divisor.size() != 1 || hint(b) == 0) return std::nullopt;
  const Term& d = divisor[0];
  Terms terms;
  for (const Term& t : x) {
    Term q;
    if (d.factor == 0 || d.factor == -1 || t.factor % d.factor != 0) return std::nullopt;
    q.factor = t.factor / d.factor;
    size_t k = 0;
    for (const int32_t i : t.atoms)
      if (k < d.atoms.size() && d.atoms[k] == i) ++k;
      else q.atoms.push_back(i);
    if (k != d.atoms.size()) return std::nullopt;
    terms.push_back(std::move(q));
  }
  std::sort(terms.begin(), terms.end());
  return intern(std::move(terms), hint(a) / hint(b));
}

SizeId Sizes::floor_div(SizeId a, SizeId b) {
  const auto at_hint = size_arithmetic(SizeOp::floor_div, hint(a), hint(b));
  if (!at_hint) return lost({a, b}, 0);
  const auto x = fixed(a), y = fixed(b);
  if (x && y) return constant(*at_hint);
  if (const auto q = divide_exactly(a, b)) return *q;
  if (!y || *y < 1) return atom(SizeOp::floor_div, a, b, *at_hint);
  // (b * q + r) / b = q + r / b
  Terms whole, rest;
  for (const Term& t : polys_[(size_t)a].terms) {
    const int64_t q = *floor_quotient(t.factor, *y), r = t.factor - q * *y;
    // A term is taken apart where nothing of it remains; the constant always.
    if (r == 0 || t.atoms.empty()) {
      if (q) whole.push_back({t.atoms, q});
      if (r) rest.push_back({t.atoms, r});
    } else {
      rest.push_back(t);
    }
  }
  int64_t whole_hint = 0;
  if (rest.empty()) return intern(std::move(whole), *at_hint);
  if (rest.size() == 1 && rest[0].atoms.empty()) return intern(std::move(whole), *at_hint);  // 0 <= r < b
  // a = b * whole + rest: rest's hint follows.
  int64_t taken = 0, rest_hint = 0;
  for (const Term& t : whole) {
    int64_t v = t.factor;
    for (const int32_t i : t.atoms) {
      const SizeId one = intern({{{i}, 1}}, 0);  // stands in the table already: its atom does
      if (!checked_mul(v, hint(one), &v)) return lost({a, b}, *at_hint);
    }
    if (!checked_add(whole_hint, v, &whole_hint)) return lost({a, b}, *at_hint);
  }
  if (!checked_mul(whole_hint, *y, &taken) || !checked_sub(hint(a), taken, &rest_hint)) return lost({a, b}, *at_hint);
  const SizeId r = intern(std::move(rest), rest_hint), q = intern(std::move(whole), whole_hint);
  // (x / m + c) / n = (x + c * m) / (m * n)
  const Terms parts = polys_[(size_t)r].terms;  // the constant stands first
  const bool shifted = parts.size() == 2 && parts[0].atoms.empty();
  if ((parts.size() == 1 || shifted) && parts.back().factor == 1 && parts.back().atoms.size() == 1) {
    const Atom inner = atoms_[(size_t)parts.back().atoms[0]];
    const auto m = inner.op == SizeOp::floor_div ? fixed((SizeId)inner.b) : std::nullopt;
    int64_t both = 0, shift = 0;
    if (m && *m > 0 && checked_mul(*m, *y, &both) && (!shifted || checked_mul(parts[0].factor, *m, &shift)))
      return add(q, floor_div(add((SizeId)inner.a, constant(shift)), constant(both)));
  }
  const auto r_hint = size_arithmetic(SizeOp::floor_div, rest_hint, *y);
  return add(q, atom(SizeOp::floor_div, r, b, *r_hint));
}

SizeId Sizes::trunc_div(SizeId a, SizeId b) {
  const auto at_hint = size_arithmetic(SizeOp::trunc_div, hint(a), hint(b));
  if (!at_hint) return lost({a, b}, 0);
  if (fixed(a) && fixed(b)) return constant(*at_hint);
  if (not_negative(a) && not_negative(b)) return floor_div(a, b);
  if (const auto q = divide_exactly(a, b)) return *q;
  return atom(SizeOp::trunc_div, a, b, *at_hint);
}

SizeId Sizes::mod(SizeId a, SizeId b) {
  const auto at_hint = size_arithmetic(SizeOp::mod, hint(a), hint(b));
  if (!at_hint) return lost({a, b}, 0);
  if (fixed(a) && fixed(b)) return constant(*at_hint);
  if (divide_exactly(a, b)) return constant(0);
  return atom(SizeOp::mod, a, b, *at_hint);
}

SizeId Sizes::min(SizeId a, SizeId b) {
  if (a == b || not_negative(sub(b, a))) return a;
  if (not_negative(sub(a, b))) return b;
  return atom(SizeOp::min, std::min(a, b), std::max(a, b), std::min(hint(a), hint(b)));
}

SizeId Sizes::max(SizeId a, SizeId b) {
  if (a == b || not_negative(sub(a, b))) return a;
  if (not_negative(sub(b, a))) return b;
  return atom(SizeOp::max, std::min(a, b), std::max(a, b), std::max(hint(a), hint(b)));
}

SizeId Sizes::less(SizeId a, SizeId b) {
  if (a == b || not_negative(sub(a, b))) return constant(0);
  if (not_negative(sub(sub(b, a), constant(1)))) return constant(1);
  return atom(SizeOp::less, a, b, hint(a) < hint(b));
}

SizeId Sizes::equal(SizeId a, SizeId b) {
  if (a == b) return constant(1);
  if (not_negative(sub(sub(b, a), constant(1))) || not_negative(sub(sub(a, b), constant(1)))) return constant(0);
  return atom(SizeOp::equal, std::min(a, b), std::max(a, b), hint(a) == hint(b));
}

SizeId Sizes::broadcast(SizeId a, SizeId b) {
  const auto x = fixed(a), y = fixed(b);
  if (a == b || (y && *y == 1)) return a;
  if (x && *x == 1) return b;
  // Of a fixed size that is not 1 and one that varies, the other is 1 or the same.
  if (x) return a;
  if (y) return b;
  const auto at_hint = size_arithmetic(SizeOp::broadcast, hint(a), hint(b));
  return at_hint ? atom(SizeOp::broadcast, std::min(a, b), std::max(a, b), *at_hint)
                 : lost({a, b}, std::max(hint(a), hint(b)));
}

SizeId Sizes::select(SizeId condition, SizeId yes, SizeId no) {
  if (yes == no) return yes;
  const auto c = fixed(condition);
  if (c) return *c ? yes : no;
  return add(mul(condition, yes), mul(negate(condition), no));
}

// ---- evaluation ----

std::vector<std::optional<int64_t>> Sizes::evaluate(std::span<const int64_t> symbols) const {
  std::vector<std::optional<int64_t>> values(polys_.size());
  // What an expression is made of stands before it.
  const auto value_of = [&](const Atom& x) -> std::optional<int64_t> {
    if (x.op == SizeOp::unknown) return std::nullopt;
    if (x.op == SizeOp::symbol) return symbols[(size_t)x.a];
    const auto a = values[(size_t)x.a], b = values[(size_t)x.b];
    return a && b ? size_arithmetic(x.op, *a, *b) : std::nullopt;
  };
  for (size_t id = 0; id < polys_.size(); ++id) {
    int64_t sum = 0;
    bool good = true;
    for (const Term& t : polys_[id].terms) {
      int64_t v = t.factor;
      for (const int32_t i : t.atoms) {
        const auto x = good ? value_of(atoms_[(size_t)i]) : std::nullopt;
        good = x && checked_mul(v, *x, &v);
      }
      good = good && checked_add(sum, v, &sum);
    }
    if (good) values[id] = sum;
  }
  return values;
}

// ---- text ----

bool Sizes::append_text(SizeId id, std::span<const std::string> symbols, bool in_product, std::string* out) const {
  const Terms& terms = polys_[(size_t)id].terms;
  if (terms.empty()) *out += "0";
  const bool brackets = in_product && (terms.size() > 1 || (!terms.empty() && terms[0].factor < 0));
  if (brackets) *out += "(";
  // The constant comes last.
  for (size_t k = 0; k < terms.size(); ++k) {
    const Term& t = terms[terms[0].atoms.empty() ? (k + 1) % terms.size() : k];
    const int64_t factor = t.factor < 0 && k > 0 ? -t.factor : t.factor;
    if (k > 0) *out += t.factor < 0 ? " - " : " + ";
    const bool shown = factor != 1 || t.atoms.empty();
    if (shown && factor == -1 && !t.atoms.empty()) *out += "-";
    else if (shown) *out += std::to_string(factor) + (t.atoms.empty() ? "" : " * ");
    for (size_t i = 0; i < t.atoms.size(); ++i) {
      const Atom& x = atoms_[(size_t)t.atoms[i]];
      if (i > 0) *out += " * ";
      if (x.op == SizeOp::unknown) return false;
      if (x.op == SizeOp::symbol) {
        *out += symbols[(size_t)x.a];
        continue;
      }
      constexpr const char* kBefore[] = {"", "", "floor(", "trunc(", "(", "min(", "max(", "(", "(", "broadcast("};
      constexpr const char* kBetween[] = {"", "", " / ", " / ", " mod ", ", ", ", ", " < ", " == ", ", "};
      const bool product = x.op == SizeOp::floor_div || x.op == SizeOp::trunc_div || x.op == SizeOp::mod;
      *out += kBefore[(size_t)x.op];
      if (!append_text((SizeId)x.a, symbols, product, out)) return false;
      *out += kBetween[(size_t)x.op];
      if (!append_text((SizeId)x.b, symbols, product, out)) return false;
      *out += ")";
      constexpr size_t kMostText = 400;
      if (out->size() > kMostText) return false;
    }
  }
  if (brackets) *out += ")";
  return true;
}

std::string Sizes::text(SizeId a, std::span<const std::string> symbols) const {
  std::string s;
  return append_text(a, symbols, false, &s) ? s : "?";
}

}  // namespace tern
