// SPDX-License-Identifier: Apache-2.0
// From the canonical graph of a signature to the graph of a plan: all dims fixed, everything that follows from
// constants and dims computed. Where sizes depend on data (data_sizes, growing loops), to the graph of a stage, and
// what is left.
#pragma once
#include "ops/op.h"

namespace tern {

// What is known of an input of a canonical graph.
struct Given {
  Shape shape;
  const void* content = nullptr;  // not NULL: its bytes, of which sizes depend
};

// Where an operand comes from when a stage has run: an input of the stage or one of its outputs, else a constant.
struct Source {
  int32_t input = -1, output = -1;
  DType dtype = TERN_DTYPE_NONE;
  Shape shape;
  Data constant;
};

// What is left of a canonical graph behind a stage.
struct Rest {
  Graph graph;  // canonical; its inputs are made as `inputs` says. Without outputs and nodes nothing is left
  struct Input {
    Source source;       // unless it is a result of a loop
    bool sizes = false;  // its content must be given
    int32_t loop = -1, result = -1;
  };
  std::vector<Input> inputs;
  // To be run between the stage and what is left: a growing loop and its operands (none: absent).
  struct Loop {
    Node node;
    std::vector<Source> operands;
  };
  std::vector<Loop> loops;
  // Which outputs of the canonical graph the first outputs of the stage and those of `graph` are.
  std::vector<int32_t> made, left;

  bool empty() const { return graph.nodes.empty() && graph.outputs.empty(); }
};

// given: one per canonical.inputs (scalars: rank 0). Shapes are inferred anew; values whose content is known become
// constants and the nodes that computed them are gone, as far as out->budget lasts, of which the rest stays there. An
// `if` whose condition is known is replaced by the branch that runs. Fails where an operator refuses the shapes.
// Writes of states are left for the last stage, so that a run that ends early leaves them as they were.
tern_status specialize_stage(const Graph& canonical, std::span<const Given> given, Graph* out, Rest* rest);

// The whole graph. Fails with TERN_ERR_UNSUPPORTED where sizes depend on data.
tern_status specialize(const Graph& canonical, std::span<const Shape> input_shapes, Graph* out);

// The whole graph, with the samples of sizes that depend on data: for its shapes only, its results would be wrong.
tern_status specialize_samples(const Graph& canonical, std::span<const Shape> input_shapes, Graph* out);

}  // namespace tern
