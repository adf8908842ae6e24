// SPDX-License-Identifier: Apache-2.0
// What the operators with sub-graphs share.
#pragma once
#include "ops/move.h"

namespace tern {

// The inputs and outputs of a sub-graph are values of it.
inline tern_status check_subgraph(const InferArgs& a, const Graph& g) {
  for (const std::vector<ValueId>* list : {&g.inputs, &g.outputs})
    for (ValueId v : *list)
      if (v < 0 || (size_t)v >= g.values.size())
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: a sub-graph lists a value that it does not have",
                         a.node.op->name);
  return TERN_OK;
}

// Input i has the type and shape that the sub-graph expects.
inline tern_status require_same_value(const InferArgs& a, int i, const Value& inner) {
  if (!a.has(i)) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: input %d must not be absent", a.node.op->name, i);
  const Value& v = a.in(i);
  if (v.dtype == inner.dtype && v.shape == inner.shape && v.encoding == inner.encoding) return TERN_OK;
  return TERN_FAIL(v.dtype == inner.dtype ? TERN_ERR_SHAPE : TERN_ERR_TYPE,
                   "%s: input %d is %s%s, the sub-graph takes %s%s", a.node.op->name, i, dtype_name(v.dtype),
                   to_string(v.shape).c_str(), dtype_name(inner.dtype), to_string(inner.shape).c_str());
}

inline tern_status require_condition(const InferArgs& a, int i) {
  if (a.in(i).dtype == TERN_DTYPE_BOOL && a.in(i).shape.elements() == 1) return TERN_OK;
  return TERN_FAIL(TERN_ERR_TYPE, "%s: the condition is %s%s, one bool is needed", a.node.op->name,
                   dtype_name(a.in(i).dtype), to_string(a.in(i).shape).c_str());
}

}  // namespace tern
