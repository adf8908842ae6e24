// SPDX-License-Identifier: Apache-2.0
// Sizes that a run computes: the builder marks what they are computed from.
#include <algorithm>

#include "import/builder.h"
#include "ops/data_sizes.h"
#include "passes/open_axes.h"

namespace tern {
namespace {

constexpr int64_t kMostElements = 64;
constexpr int kMostDepth = 32;

// Operators in arithmetic of sizes: what enters is worth marking rather than what comes out, so that constants beside
// it stay known. (Of a comparison the outcome decides, and it takes fewer values.)
bool is_arithmetic(const Node& n) {
  constexpr std::string_view kNames[] = {"add",    "cast",  "ceil", "concat",    "div",  "expand", "floor",
                                         "gather", "max",   "min",  "mod",       "mul",  "neg",    "reshape",
                                         "round",  "slice", "sub",  "transpose", "where"};
  return std::find(std::begin(kNames), std::end(kNames), n.op->name) != std::end(kNames) && n.out.size() == 1;
}

bool is_small(const Value& v) { return v.shape.elements() <= kMostElements && is_plain(v.encoding); }

}  // namespace

namespace {

// Without a run the first element counts as `first`, the others as `rest`.
ValueId mark(Builder& b, ValueId v, double first, double rest) {
  // Once for each value: sizes that are computed from the same number agree.
  for (const Node& n : b.g->nodes)
    if (n.in.size() == 2 && n.in[0] == v && is_data_sizes(n)) return n.out[0];
  constexpr int64_t kMost = 1024;
  const DType type = b.dtype(v);
  const Shape shape = b.value(v).shape;
  if (shape.elements() > kMost) {
    b.g->status = TERN_FAIL(TERN_ERR_UNSUPPORTED, "%" PRId64 " sizes depend on data, at most %" PRId64 " may",
                            shape.elements(), kMost);
    return kNoValue;
  }
  std::vector<unsigned char> content((size_t)shape.elements() * dtype_size(type));
  for (int64_t i = 0; i < shape.elements(); ++i) store_element(type, content.data(), i, i == 0 ? first : rest);
  return b.op("data_sizes", {v, b.constant(type, shape, content.data())});
}

}  // namespace

ValueId Builder::sized_itself(ValueId v, double sample) {
  return status() != TERN_OK || v == kNoValue || value(v).data ? v : mark(*this, v, sample, sample);
}

ValueId Builder::sized_shape(ValueId v, ValueId x) {
  if (status() != TERN_OK || v == kNoValue || value(v).data) return v;
  const bool computed = value(v).producer >= 0 && is_arithmetic(g->nodes[(size_t)value(v).producer]);
  return computed ? sized(v) : mark(*this, v, (double)value(x).shape.elements(), 1);
}

ValueId Builder::sized(ValueId v, double sample, int depth) {
  if (status() != TERN_OK || v == kNoValue || value(v).data) return v;
  const int32_t producer = value(v).producer;
  if (producer < 0 || depth >= kMostDepth || !is_small(value(v))) return sized_itself(v, sample);
  Node n = g->nodes[(size_t)producer];
  for (const ValueId in : n.in)
    if (in != kNoValue && !is_small(value(in))) return sized_itself(v, sample);
  if (!is_arithmetic(n)) return sized_itself(v, sample);
  for (ValueId& in : n.in) in = sized(in, sample, depth + 1);
  const ValueId y = append(std::move(n), 1)[0];
  if (y == kNoValue || value(y).data) return y;
  return sized_itself(v, sample);  // too much to compute ahead
}

bool Builder::from_data(ValueId v) const {
  const std::shared_ptr<const ValueSizes>& own = value(v).sizes;
  if (!own || !own->content_varies) return false;
  // What is not followed may depend on anything.
  return own->content.empty() ||
         std::any_of(own->content.begin(), own->content.end(), [&](SizeId s) { return s >= 0 && sizes.from_data(s); });
}

void Builder::open_axes(ValueId v, uint32_t axes) {
  if (status() == TERN_OK) tern::open_axes(sizes, g->value(v), axes);
}

BranchSizes compare_branches(Sizes& sizes, const Graph& yes, const Graph& no) {
  BranchSizes r;
  for (size_t i = 0; i < yes.outputs.size() && i < no.outputs.size(); ++i) {
    const Value &u = yes.value(yes.outputs[i]), &v = no.value(no.outputs[i]);
    r.same_rank = r.same_rank && u.shape.rank == v.shape.rank;
    for (int axis = 0; axis < u.shape.rank && r.same_rank; ++axis)
      r.same_shape = r.same_shape && size_of(sizes, u, axis) == size_of(sizes, v, axis);
  }
  r.same_shape = r.same_shape && r.same_rank;
  return r;
}

namespace {

template <class F>
bool any_node(const Graph& graph, F&& f) {
  bool found = false;
  for_each_graph(graph, [&](const Graph& g) {
    found = found || std::any_of(g.nodes.begin(), g.nodes.end(), [&](const Node& n) { return f(g, n); });
  });
  return found;
}

}  // namespace

bool depends_on_data(const Graph& graph) {
  return any_node(graph, [](const Graph&, const Node& n) { return is_data_sizes(n) || is_growing_loop(n); });
}

bool decides_in_plan(const Graph& graph) {
  return depends_on_data(graph) || any_node(graph, [](const Graph& g, const Node& n) {
           return is_assume(n) || (is_if(n) && g.value(n.in[0]).data);
         });
}

}  // namespace tern
