// SPDX-License-Identifier: Apache-2.0
// Cases made from the lines of the operators: other types, dims, ranks, broadcasts and attributes. What the shape rule
// refuses is left to the caller.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "case.h"

namespace tern::test {
namespace {

// The tensor in another type or shape: what the line gives is repeated, the rest is drawn anew.
bool remake(Tensor& t, DType dtype, const Shape& shape, Random& random) {
  const Tensor old = t;
  t.dtype = dtype;
  t.shape = shape;
  uint64_t bytes = 0;
  if (encoded_bytes(t.encoding, dtype, shape, &bytes) != TERN_OK) return false;
  t.allocate();
  const bool is_unsigned =
      dtype == TERN_DTYPE_U8 || dtype == TERN_DTYPE_U16 || dtype == TERN_DTYPE_U32 || dtype == TERN_DTYPE_U64;
  if (!t.given) {
    if (is_unsigned) t.lo = std::max(0.0, t.lo);
    fill_random(t, random);
    return true;
  }
  const int64_t n = old.shape.elements();
  for (int64_t i = 0; i < shape.elements(); ++i) {
    if (n == 0) t.ref().store(i, 1);
    else if (is_float(dtype)) t.ref().store(i, old.ref().load(i % n));
    else t.ref().store_int(i, old.ref().load_int(i % n));
  }
  return true;
}

struct Maker {
  const ParsedCase& from;
  std::vector<ParsedCase>& list;
  Random random;

  // Adds the case with every input changed: change(i, &dtype, &shape).
  template <class F>
  void add_inputs(const std::string& name, F change) {
    ParsedCase c = from;
    c.variant = name;
    bool differs = false;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      Tensor& t = c.inputs[i];
      if (!t.present) continue;
      DType dtype = t.dtype;
      Shape shape = t.shape;
      change(i, &dtype, &shape);
      if (dtype == t.dtype && shape == t.shape) continue;
      if (shape.elements() > 4096 || !remake(t, dtype, shape, random)) return;
      differs = true;
    }
    if (differs) list.push_back(std::move(c));
  }

  void types() {
    const auto in = [&](bool (*is)(DType), DType to) {
      add_inputs(dtype_name(to), [&](size_t i, DType* d, Shape*) {
        if (is(*d) && from.inputs[i].encoding == Encoding::plain) *d = to;
      });
    };
    for (DType to : {TERN_DTYPE_F32, TERN_DTYPE_F16, TERN_DTYPE_BF16, TERN_DTYPE_F64})
      in([](DType d) { return is_float(d); }, to);
    for (DType to = TERN_DTYPE_I8; to <= TERN_DTYPE_U64; ++to) in([](DType d) { return is_integer(d); }, to);
  }

  // Equal dims stay equal, as they mostly belong together.
  void dims() {
    std::set<int64_t> sizes;
    for (const Tensor& t : from.inputs)
      if (t.present) sizes.insert(t.shape.begin(), t.shape.end());
    for (int64_t size : sizes)
      for (int64_t to : {(int64_t)0, (int64_t)1, size + 1, (int64_t)17}) {
        add_inputs("dims of " + std::to_string(size) + " are " + std::to_string(to), [&](size_t, DType*, Shape* s) {
          for (int k = 0; k < s->rank; ++k)
            if ((*s)[k] == size) (*s)[k] = to;
        });
      }
  }

  void ranks() {
    const auto widen = [](Shape* s, int64_t dim) {
      Shape wide;
      wide.push(dim);
      for (int64_t d : *s) wide.push(d);
      *s = wide;
    };
    for (int64_t dim : {1, 2}) {
      add_inputs("with a dim of " + std::to_string(dim) + " in front", [&](size_t, DType*, Shape* s) {
        if (s->rank < 5) widen(s, dim);
      });
      for (size_t k = 0; k < from.inputs.size(); ++k)
        add_inputs("input " + std::to_string(k) + " with a dim of " + std::to_string(dim) + " in front",
                   [&](size_t i, DType*, Shape* s) {
                     if (i == k && s->rank < 5) widen(s, dim);
                   });
    }
    for (size_t k = 0; k < from.inputs.size(); ++k) {
      add_inputs("input " + std::to_string(k) + " without its first dim", [&](size_t i, DType*, Shape* s) {
        if (i == k && s->rank > 0) *s = Shape(std::span<const int64_t>(s->begin() + 1, s->end()));
      });
      for (int axis = 0; axis < from.inputs[k].shape.rank; ++axis)
        add_inputs("input " + std::to_string(k) + " broadcast over axis " + std::to_string(axis),
                   [&](size_t i, DType*, Shape* s) {
                     if (i == k) (*s)[axis] = 1;
                   });
    }
  }

  void attributes() {
    const Op& op = *from.op;
    for (int32_t a = 0; a < op.attributes.count; ++a) {
      const AttrField& f = op.attributes.fields[a];
      const auto add = [&](const auto& value, size_t offset, const std::string& text) {
        ParsedCase c = from;
        c.variant = std::string(f.name) + " = " + text;
        unsigned char* field = c.attributes.bytes + f.offset + offset;
        if (std::memcmp(field, &value, sizeof value) == 0) return;
        std::memcpy(field, &value, sizeof value);
        list.push_back(std::move(c));
      };
      if (f.type == AttrType::number) {
        for (double v : {f.min, f.max, 0.0, 0.25, 1.0, -0.5, 3.0})
          if (std::isfinite(v) && v >= f.min && v <= f.max) add(v, 0, std::to_string(v));
        continue;
      }
      std::set<int64_t> values;
      for (double v : {f.min, f.max, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, -1.0, -2.0})
        if (v >= f.min && v <= f.max) values.insert(v >= 9.2e18 ? INT64_MAX : v <= -9.2e18 ? INT64_MIN : (int64_t)v);
      IntList list_of;
      if (f.type == AttrType::integers) std::memcpy(&list_of, from.attributes.bytes + f.offset, sizeof list_of);
      for (int64_t v : values) {
        if (f.type != AttrType::integers) add(v, 0, std::to_string(v));
        for (int64_t k = 0; k < list_of.count; ++k)
          add(v, offsetof(IntList, items) + (size_t)k * sizeof v, std::to_string(v) + " at " + std::to_string(k));
      }
    }
  }
};

bool is_half(DType d) { return d == TERN_DTYPE_F16 || d == TERN_DTYPE_BF16; }

}  // namespace

double tolerance_of(const ParsedCase& c, const Graph& g) {
  bool half = false, brain = false;
  for (const Value& v : g.values) half = half || is_half(v.dtype), brain = brain || v.dtype == TERN_DTYPE_BF16;
  double tolerance = c.line->tolerance;
  if (!half || c.variant.empty()) return tolerance;
  // What the operator's own lines allow for f16; bf16 has 8 bits instead of 11.
  tolerance = std::max(tolerance, 2e-3);
  for (int32_t i = 0; i < c.op->cases.count; ++i) {
    const Case& line = c.op->cases.items[i];
    if (std::strstr(line.inputs, "f16[")) tolerance = std::max(tolerance, line.tolerance);
  }
  return brain ? 8 * tolerance : tolerance;
}

bool is_small(const ParsedCase& c, const Graph& g) {
  int64_t work = 0;
  for (const Tensor& t : c.inputs) {
    if (!t.present) continue;
    if (t.bytes() == 0 && t.shape.elements() != 0) return false;  // too large to exist
    work += t.shape.elements();
  }
  for (ValueId v : g.outputs) {
    if (g.value(v).shape.elements() > 4096) return false;
    work += g.value(v).shape.elements();
  }
  return work <= 16384;
}

std::vector<ParsedCase> variants(const Op& op, size_t most) {
  std::vector<ParsedCase> good;
  for (int32_t i = 0; i < op.cases.count && op.num_subgraphs == 0; ++i) {
    const Case& line = op.cases.items[i];
    ParsedCase c;
    std::string why;
    if (line.fails != TERN_OK || !parse_case(op, line, &c, &why)) continue;
    std::vector<ParsedCase> list;
    Maker make{c, list, {hash_text(std::string(op.name) + "/" + line.name + "/variants")}};
    make.types();
    make.dims();
    make.ranks();
    make.attributes();
    for (ParsedCase& v : list) {
      CaseGraph g;
      if (build_graph(v, &g) == TERN_OK && is_small(v, g.graph)) good.push_back(std::move(v));
    }
  }
  std::vector<ParsedCase> chosen;
  for (size_t k = 0; k < std::min(most, good.size()); ++k)
    chosen.push_back(std::move(good[k * good.size() / std::min(most, good.size())]));
  return chosen;
}

}  // namespace tern::test
