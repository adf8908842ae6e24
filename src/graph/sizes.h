// SPDX-License-Identifier: Apache-2.0
// Sizes as expressions of the sizes of a signature's inputs: where a dim or an integer of a graph comes from.
//
// Expressions are kept in a normal form, so that two that are written differently but are the same polynomial have one
// number: (H - 1) * 2 + 2 is 2 * H. What is no polynomial (a quotient, a remainder, a minimum, a comparison) is an atom
// of one. All arithmetic is that of integers without a bound; what leaves 64 bits becomes unknown.
#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/shape.h"

namespace tern {

using SizeId = int32_t;

enum class SizeOp : uint8_t {
  symbol,     // a: index of the symbol
  unknown,    // of its own, a: number. Follows from sizes in a way that is not followed, or from data
  floor_div,  // a / b, rounded down
  trunc_div,  // a / b, rounded to 0
  mod,        // a - b * floor_div(a, b)
  min,
  max,
  less,       // 1 if a < b, else 0
  equal,      // 1 if a == b, else 0
  broadcast,  // of two dims that meet: a where b is 1, else b where a is 1, else both are the same
};

class Sizes {
 public:
  // hints: one size a symbol; each expression knows its size there.
  explicit Sizes(std::vector<int64_t> hints);

  SizeId constant(int64_t v);
  SizeId symbol(int index);
  // There are more expressions than any network needs: no more should be made.
  bool full() const;
  // A new one. from_data: it is known during a run only.
  SizeId unknown(int64_t hint, bool from_data = false);

  SizeId add(SizeId a, SizeId b);
  SizeId sub(SizeId a, SizeId b) { return add(a, mul(b, constant(-1))); }
  SizeId mul(SizeId a, SizeId b);
  SizeId floor_div(SizeId a, SizeId b);
  SizeId trunc_div(SizeId a, SizeId b);
  SizeId mod(SizeId a, SizeId b);
  SizeId min(SizeId a, SizeId b);
  SizeId max(SizeId a, SizeId b);
  SizeId less(SizeId a, SizeId b);
  SizeId equal(SizeId a, SizeId b);
  SizeId broadcast(SizeId a, SizeId b);
  // 1 - a, of a comparison
  SizeId negate(SizeId a) { return sub(constant(1), a); }
  // yes where the condition is 1, no where it is 0
  SizeId select(SizeId condition, SizeId yes, SizeId no);
  // a / b where the division leaves nothing, whatever the sizes are (b > 0); nothing if that does not show.
  std::optional<SizeId> divide_exactly(SizeId a, SizeId b);

  // The size if it is the same for all sizes of the inputs.
  std::optional<int64_t> fixed(SizeId a) const;
  // At the hints.
  int64_t hint(SizeId a) const { return polys_[(size_t)a].hint; }
  bool from_data(SizeId a) const { return polys_[(size_t)a].from_data; }
  // It is known to be at least 0.
  bool not_negative(SizeId a) const { return polys_[(size_t)a].lower.value_or(-1) >= 0; }

  // All expressions for these sizes of the symbols, by number; nothing where one is unknown, or not defined there.
  // (Tests compare them with the shape rules.)
  std::vector<std::optional<int64_t>> evaluate(std::span<const int64_t> symbols) const;
  // "floor(height / 2) + 1"; "?" where it is unknown or its text is too long.
  std::string text(SizeId a, std::span<const std::string> symbols) const;

 private:
  struct Atom {
    SizeOp op;
    int64_t a, b;
    auto operator<=>(const Atom&) const = default;
  };
  struct Term {
    std::vector<int32_t> atoms;  // sorted, with repetitions; none: the constant
    int64_t factor;
    auto operator<=>(const Term&) const = default;
  };
  using Terms = std::vector<Term>;  // sorted by atoms, no factor is 0
  struct Poly {
    Terms terms;
    int64_t hint = 0;
    bool from_data = false, unknown = false;
    std::optional<int64_t> lower;  // it is at least this
    int depth = 0;
  };

  SizeId intern(Terms terms, int64_t hint);
  SizeId atom(SizeOp op, SizeId a, SizeId b, int64_t hint);
  bool atom_not_negative(const Atom& x) const;
  std::optional<int64_t> atom_upper(const Atom& x) const;
  std::optional<int64_t> lower_of(const Terms& terms) const;
  SizeId lost(std::initializer_list<SizeId> from, int64_t hint);
  bool append_text(SizeId a, std::span<const std::string> symbols, bool in_product, std::string* out) const;

  std::vector<int64_t> hints_;
  std::vector<Poly> polys_;
  std::vector<Atom> atoms_;
  std::vector<char> atom_from_data_;
  std::map<Terms, SizeId> known_;
  std::map<Atom, int32_t> known_atoms_;
  int64_t unknowns_ = 0;
};

// Where the dims and the content of a value come from. A value without one does not vary.
struct ValueSizes {
  SizeId dims[kMaxRank] = {};
  bool dims_vary = false;  // any of them
  // Of a value with known content (Value::data): one for each element, or none if elements are fixed (`content_varies`
  // is false) or vary in ways that are not followed.
  std::vector<SizeId> content;
  bool content_varies = false;
};

// Nothing where it is not defined (division by 0, dims that do not meet).
std::optional<int64_t> size_arithmetic(SizeOp op, int64_t a, int64_t b);

}  // namespace tern
