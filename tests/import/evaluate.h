// SPDX-License-Identifier: Apache-2.0
// Runs a graph node by node with the operators' own references: slow, and right by definition.
#pragma once
#include <functional>
#include <vector>

#include "import/importer.h"

namespace tern::test {

// inputs: one per graph.inputs, of the shapes that the graph has. outputs: one per graph.outputs.
tern_status evaluate_graph(const ModelDef& model, const Graph& g, const std::vector<TensorData>& inputs,
                           std::vector<TensorData>* outputs);

// Runs a canonical graph for inputs of any shapes that it takes, as a session does: where sizes depend on data, what
// follows is planned when they are known. All by references.
tern_status run_graph(const ModelDef& model, const Graph& canonical, const std::vector<TensorData>& inputs,
                      std::vector<TensorData>* outputs);

// |a - b| <= absolute + relative * |b| for every element, equal types and shapes; NaN equals NaN. On failure says
// where.
bool close_to(const TensorData& a, const TensorData& b, double relative, double absolute, std::string* why);

TensorData make_tensor(DType dtype, const Shape& shape);

}  // namespace tern::test
