// SPDX-License-Identifier: Apache-2.0
// Follows sizes through a graph: which expression of the inputs' sizes each dim and each known integer is.
#pragma once
#include "graph/model_def.h"
#include "graph/sizes.h"

namespace tern {

// Sets Value::sizes of the outputs of a node of g, whose inputs have theirs (and the outputs of its sub-graphs, if it
// has any). An operator without a rule of its own has outputs whose dims are unknown wherever an input varies.
// Fails with TERN_ERR_INTERNAL where a rule does not give the size that the graph has at the hints, with TERN_ERR_LIMIT
// where there are too many sizes.
tern_status follow_sizes(Sizes& sizes, Graph& g, const Node& node);

// Dim of a value as an expression.
SizeId size_of(Sizes& sizes, const Value& v, int axis);
// The shape, or the content (Value::data), is the same for all sizes of the inputs.
bool has_fixed_shape(const Value& v);
bool has_fixed_content(const Value& v);
// Without the content: for a value of the same shape that is given from outside.
std::shared_ptr<const ValueSizes> dims_alone(const ValueSizes& sizes);

// The sizes of one output of a signature.
struct OutputSizes {
  bool varies[kMaxRank] = {};
  int32_t first_symbol = -1;  // the first dim is this symbol of the signature
  // "batch, floor(width / 8), 6625": how they follow from the symbols; "?" for what depends on data or is not followed.
  // Empty where no dim varies.
  std::string text;
};
std::vector<OutputSizes> sizes_of_outputs(const Signature& signature);

}  // namespace tern
