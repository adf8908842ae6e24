// SPDX-License-Identifier: Apache-2.0
// Turns the Case lines of the operators (ops/op.h) into graphs of one node, inputs and expected outputs.
//
// Beyond what ops/op.h says, a line may hold:
//   an encoding behind the dims:       f32[40,33]@panel32
//   the number of outputs of an operator that takes any (split), among the attributes:  outputs=3
// Inputs with content become constants when the shape rule has to know them, and are inputs of the graph otherwise.
// Random content depends on the operator's and the case's name only.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "ops/op.h"

namespace tern::test {

// A tensor in memory of its own, 64-byte aligned, with guard bytes on both sides.
struct Tensor {
  DType dtype = TERN_DTYPE_NONE;
  Encoding encoding = Encoding::plain;
  Shape shape;
  bool present = false;
  bool given = false;  // the line has its content
  double lo = -2, hi = 2;

  void allocate(unsigned char fill = 0);  // for dtype, encoding and shape; which must be valid
  void* data() const { return memory_.get() + kGuard; }
  uint64_t bytes() const { return bytes_; }
  bool guards_intact() const;
  RefTensor ref() const { return {dtype, encoding, shape, present ? data() : nullptr}; }

 private:
  static constexpr size_t kGuard = 64;
  std::shared_ptr<unsigned char> memory_;
  uint64_t bytes_ = 0;
};

// Seeded random numbers, the same on every machine.
struct Random {
  uint64_t state;
  uint64_t next();
  double uniform();  // [0, 1)
};
uint64_t hash_text(std::string_view text);
// Random content within [lo, hi].
void fill_random(Tensor& t, Random& random);
// The same values in f64 and plain; integers stay.
Tensor to_double(const Tensor& t);

struct ParsedCase {
  const Op* op = nullptr;
  const Case* line = nullptr;
  std::vector<Tensor> inputs;  // absent ones have present = false
  Attributes attributes;
  int num_out = 1;
  tern_status refused = TERN_OK;  // the status of an attribute that was refused, where the line says that it fails
  std::string variant;            // what was changed (variants), or ""
};
// Fails with a text in *why when the line itself is wrong.
bool parse_case(const Op& op, const Case& line, ParsedCase* out, std::string* why);

// A graph of one node.
struct CaseGraph {
  Graph graph;
  std::vector<int> feeds;  // graph.inputs[i] is fed with inputs[feeds[i]] of the case
};
// TERN_OK, or the status of the shape rule.
tern_status build_graph(const ParsedCase& c, CaseGraph* out);

// What the case must give: outputs by the operator's reference (its decomposition for a composite), or a status.
struct Expected {
  tern_status status = TERN_OK;
  std::vector<Tensor> outputs;
};
Expected expect(const ParsedCase& c, const CaseGraph& g);

// Runs any graph (without control nodes) by reference kernels; inputs in the order of graph.inputs.
tern_status run_reference(const Graph& g, const std::vector<Tensor>& inputs, std::vector<Tensor>* outputs);

// "" if equal: floats within tolerance * max(1, |expected|), NaN equals NaN, integers exactly. Else says where.
std::string compare(const Tensor& got, const Tensor& expected, double tolerance);

// ---- cases made from cases (variants.cpp) ----

// The cases of an operator in other types, with other dims, ranks and broadcasts, and with each attribute at its limits
// and in between, one change at a time: at most `most` of those that the shape rule takes, spread evenly. They may fail
// when run.
std::vector<ParsedCase> variants(const Op& op, size_t most);
// Few enough elements for a plain loop.
bool is_small(const ParsedCase& c, const Graph& g);
// The line's tolerance; for a variant with 16-bit values in the graph what the operator's lines allow for them.
double tolerance_of(const ParsedCase& c, const Graph& g);

// ---- running the cases elsewhere ----

// Runs a graph: allocates *outputs (one per graph.outputs) and fills them, or gives the status.
using RunGraph =
    std::function<tern_status(const Graph&, const std::vector<Tensor>& inputs, std::vector<Tensor>* outputs)>;

// All cases of all operators (but those with sub-graphs) through `run`; reports failures to GoogleTest. `skip` says
// that a case cannot run there.
void run_all_cases(const char* backend, const RunGraph& run, const std::function<bool(const ParsedCase&)>& skip = {});

}  // namespace tern::test
