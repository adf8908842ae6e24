// SPDX-License-Identifier: Apache-2.0
// A graph in SSA form: values, and nodes in topological order that each produce new values.
//
// The same structure serves the canonical graph of a file (shapes hold for one binding of the symbolic dims, see
// Signature), the graph of a plan (all shapes final) and the sub-graphs of nodes such as `if` and `fused`.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/shape.h"

namespace tern {

struct Op;          // ops/op.h
struct ValueSizes;  // graph/sizes.h

using ValueId = int32_t;
constexpr ValueId kNoValue = -1;  // an optional input that is absent

enum class ValueKind : uint8_t {
  input = 0,      // given by the caller
  scalar = 1,     // run-time scalar: i64, rank 0, given by the caller; its value never makes a new plan
  parameter = 2,  // weight of the model; `index` into ModelDef::parameters
  state = 3,      // what a state holds when the run starts; `index` into ModelDef::states
  constant = 4,   // `data` holds it
  node = 5,       // produced by a node
};

// Bytes that somebody keeps alive.
struct Data {
  const void* bytes = nullptr;
  std::shared_ptr<const void> owner;  // empty: lives as long as the model's file
  explicit operator bool() const { return bytes != nullptr; }
};
// A new block of zeros, 64-byte aligned. Throws std::bad_alloc.
Data make_data(uint64_t bytes, void** writable);

struct Value {
  std::string name;  // may be empty
  DType dtype = TERN_DTYPE_NONE;
  Encoding encoding = Encoding::plain;
  ValueKind kind = ValueKind::node;
  Shape shape;
  bool paged = false;     // a state [positions, heads, dim] in pages (base/pages.h), and what writes to it give
  int32_t index = -1;     // parameter or state
  int32_t producer = -1;  // node, for kind node
  // constant: the content. node: the content where it is known already (it follows from dims and constants alone).
  Data data;
  // Where dims and content come from, while a graph of varying sizes is composed; none: they do not vary.
  std::shared_ptr<const ValueSizes> sizes;
};
// The bytes that a value occupies, 0 if it is paged: the one place that says so. Its shape passed check_shape; an
// encoding that does not take the type or shape gives 0.
uint64_t value_bytes(const Value& v);

// Attributes of a node: the operator's own plain struct (ops/op.h has its description), kept inline.
struct Attributes {
  static constexpr size_t kCapacity = 256;
  alignas(8) unsigned char bytes[kCapacity] = {};
};

struct Graph;

struct Node {
  const Op* op = nullptr;
  std::string name;         // from the imported file, or made from the outputs; may be empty
  std::vector<ValueId> in;  // kNoValue for an absent optional input
  std::vector<ValueId> out;
  Attributes attributes;
  std::vector<Graph> subgraphs;
  const char* origin = "";  // name of the composite operator whose decomposition made this node

  template <class T>
  const T& attrs() const {
    static_assert(sizeof(T) <= Attributes::kCapacity);
    return *reinterpret_cast<const T*>(attributes.bytes);
  }
  template <class T>
  T& attrs() {
    static_assert(sizeof(T) <= Attributes::kCapacity);
    return *reinterpret_cast<T*>(attributes.bytes);
  }
};

// What may still be spent on computing known values: a hostile model cannot make loading or planning long or big. In
// steps of a reference loop (some 10 ns) and bytes of results.
struct FoldBudget {
  int64_t work = 50'000'000, bytes = 32 << 20;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs;  // kinds input and scalar, in the order of the signature
  std::vector<ValueId> outputs;
  // First error of a builder function (emit and its short forms), which then return kNoValue: checked once at the end.
  tern_status status = TERN_OK;
  FoldBudget budget;

  const Value& value(ValueId v) const { return values[(size_t)v]; }
  Value& value(ValueId v) { return values[(size_t)v]; }
};

ValueId add_input(Graph& g, std::string name, DType dtype, const Shape& shape);
ValueId add_scalar(Graph& g, std::string name);
ValueId add_value(Graph& g, Value value);
// Copies `bytes` of data into a new constant.
ValueId add_constant(Graph& g, DType dtype, const Shape& shape, const void* data);
ValueId add_constant(Graph& g, float value);                      // f32, rank 0
ValueId add_constant(Graph& g, std::span<const int64_t> values);  // i64 [n]

// Calls f(graph) for g and all sub-graphs, outermost first.
template <class F>
void for_each_graph(const Graph& g, F&& f) {
  f(g);
  for (const Node& n : g.nodes)
    for (const Graph& s : n.subgraphs) for_each_graph(s, f);
}

}  // namespace tern
