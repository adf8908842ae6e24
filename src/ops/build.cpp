// SPDX-License-Identifier: Apache-2.0
// Short forms of emit.
#include "ops/op.h"

namespace tern {

ValueId add(Graph& g, ValueId a, ValueId b) { return emit(g, "add", {a, b}); }
ValueId sub(Graph& g, ValueId a, ValueId b) { return emit(g, "sub", {a, b}); }
ValueId mul(Graph& g, ValueId a, ValueId b) { return emit(g, "mul", {a, b}); }
ValueId div(Graph& g, ValueId a, ValueId b) { return emit(g, "div", {a, b}); }
ValueId neg(Graph& g, ValueId a) { return emit(g, "neg", {a}); }

ValueId scalar_like(Graph& g, ValueId like, double value) {
  if (g.status != TERN_OK) return kNoValue;
  unsigned char bytes[8] = {};
  const DType dtype = g.value(like).dtype;
  store_element(dtype, bytes, 0, value);
  return add_constant(g, dtype, Shape{}, bytes);
}

}  // namespace tern
