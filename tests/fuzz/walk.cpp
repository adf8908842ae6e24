// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/walk.h"

#include <cstdio>
#include <cstring>
#include <set>

#include "base/checked.h"
#include "format/checksum.h"
#include "format/container.h"
#include "ops/op.h"

namespace tern::fuzz {

void reseal(uint8_t* file, uint64_t size) {
  if (size < kHeaderBytes) return;
  uint64_t metadata;
  std::memcpy(&metadata, file + 16, 8);
  if (range_within(kHeaderBytes, metadata, size)) {
    const uint64_t sum = checksum64(file + kHeaderBytes, metadata);
    std::memcpy(file + 24, &sum, 8);
  }
  const uint64_t sum = checksum64(file, 56);
  std::memcpy(file + 56, &sum, 8);
}

namespace {

#define REQUIRE(condition)                                                         \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "walk: not so in line %d: %s\n", __LINE__, #condition); \
      return false;                                                                \
    }                                                                              \
  } while (0)

bool walk_graph(const ModelDef& m, const Graph& g, int depth) {
  const auto inside = [&](ValueId v) { return v >= 0 && (size_t)v < g.values.size(); };
  REQUIRE(depth <= 16);
  REQUIRE(g.status == TERN_OK);
  std::vector<char> there(g.values.size());
  for (size_t i = 0; i < g.values.size(); ++i) {
    const Value& v = g.values[i];
    REQUIRE(v.kind <= ValueKind::node);
    REQUIRE(is_dtype(v.dtype));
    REQUIRE(check_shape(v.shape, "value") == TERN_OK);
    there[i] = v.kind != ValueKind::node;
    if (v.kind == ValueKind::parameter) REQUIRE(v.index >= 0 && (size_t)v.index < m.parameters.size());
    if (v.kind == ValueKind::state) REQUIRE(v.index >= 0 && (size_t)v.index < m.states.size());
    if (v.kind == ValueKind::constant) REQUIRE(v.data.bytes);
    REQUIRE(is_plain(v.encoding) || v.kind == ValueKind::parameter || v.kind == ValueKind::state ||
            (v.kind == ValueKind::node && (g.nodes[(size_t)v.producer].op->flags & kWritesState)));
    if (v.data) (void)checksum64(v.data.bytes, value_bytes(v));
  }
  for (const ValueId v : g.inputs)
    REQUIRE(inside(v) && (g.value(v).kind == ValueKind::input || g.value(v).kind == ValueKind::scalar));
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    REQUIRE(n.op && find_op(n.op->name) == n.op);
    REQUIRE(check_attributes(*n.op, n.attributes) == TERN_OK);
    for (const ValueId v : n.in) REQUIRE(v == kNoValue || (inside(v) && there[(size_t)v]));
    for (const ValueId v : n.out) {
      REQUIRE(inside(v) && !there[(size_t)v] && g.value(v).producer == (int32_t)i);
      there[(size_t)v] = 1;
    }
    REQUIRE((int)n.subgraphs.size() == n.op->num_subgraphs);
    for (const Graph& s : n.subgraphs) REQUIRE(walk_graph(m, s, depth + 1));
  }
  std::set<ValueId> outputs;
  for (const ValueId v : g.outputs) {
    REQUIRE(inside(v) && there[(size_t)v] && outputs.insert(v).second);
    REQUIRE(g.value(v).kind == ValueKind::node && g.value(v).encoding == Encoding::plain);
  }
  for (const char t : there) REQUIRE(t);
  return true;
}

}  // namespace

bool walk(const ModelDef& m, const Bytes& file) {
  std::set<std::string> names;
  for (const Parameter& p : m.parameters) {
    REQUIRE(!p.name.empty() && names.insert(p.name).second);
    uint64_t bytes = 0;
    REQUIRE(encoded_bytes(p.encoding, p.dtype, p.shape, &bytes) == TERN_OK && bytes == p.bytes);
    const uint64_t begin = (uint64_t)((const uint8_t*)p.data.bytes - file.data);
    REQUIRE(begin % 64 == 0 && range_within(begin, bytes, file.size));
    (void)checksum64(p.data.bytes, p.bytes);
  }
  names.clear();
  for (const StateDecl& s : m.states) REQUIRE(!s.name.empty() && names.insert(s.name).second && is_dtype(s.dtype));
  names.clear();
  for (const Signature& s : m.signatures) {
    REQUIRE(!s.name.empty() && names.insert(s.name).second);
    REQUIRE(walk_graph(m, s.graph, 1));
    REQUIRE(s.output_names.size() == s.graph.outputs.size());
    for (const SymbolicDim& d : s.symbolic_dims) {
      REQUIRE(d.input >= 0 && (size_t)d.input < s.graph.inputs.size());
      REQUIRE(d.axis >= 0 && d.axis < s.graph.value(s.graph.inputs[(size_t)d.input]).shape.rank);
      REQUIRE(d.symbol >= 0 && (size_t)d.symbol < s.symbols.size());
    }
    REQUIRE(s.position_input >= -1 && s.position_input < (int64_t)s.graph.inputs.size());
    REQUIRE(s.advance >= 0 && s.advance <= s.capacity);
  }
  return true;
}

}  // namespace tern::fuzz
