// SPDX-License-Identifier: Apache-2.0
#include "passes/open_axes.h"

namespace tern {

bool find_open_axes(Sizes& sizes, const Graph& body, size_t carried, std::vector<uint32_t>* open, bool* more) {
  *more = false;
  for (size_t i = 0; i < carried; ++i) {
    const Value &from = body.value(body.inputs[2 + i]), &to = body.value(body.outputs[1 + i]);
    if (from.shape.rank != to.shape.rank) return false;
    uint32_t& axes = (*open)[2 + i];
    for (int axis = 0; axis < from.shape.rank; ++axis) {
      if (axes >> axis & 1 || size_of(sizes, from, axis) == size_of(sizes, to, axis)) continue;
      axes |= 1u << axis;
      *more = true;
    }
  }
  return true;
}

void open_axes(Sizes& sizes, Value& input, uint32_t axes) {
  if (!axes) return;
  auto own = std::make_shared<ValueSizes>();
  for (int a = 0; a < input.shape.rank; ++a)
    own->dims[a] = axes >> a & 1 ? sizes.unknown(input.shape[a], true) : size_of(sizes, input, a);
  own->dims_vary = true;
  input.sizes = std::move(own);
}

}  // namespace tern
