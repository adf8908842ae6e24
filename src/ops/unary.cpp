// SPDX-License-Identifier: Apache-2.0
#include "ops/unary.h"

namespace tern {

tern_status require_number(const InferArgs& a, int i) {
  if (is_float(a.in(i).dtype) || is_integer(a.in(i).dtype)) return TERN_OK;
  return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s, a float or integer type is needed", a.node.op->name, i,
                   dtype_name(a.in(i).dtype));
}

tern_status require_bool(const InferArgs& a, int i) {
  if (a.in(i).dtype == TERN_DTYPE_BOOL) return TERN_OK;
  return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s, bool is needed", a.node.op->name, i, dtype_name(a.in(i).dtype));
}

tern_status require_shape(const InferArgs& a, int i, const Shape& shape) {
  if (!a.has(i) || a.in(i).shape == shape) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d has shape %s, %s is needed", a.node.op->name, i,
                   to_string(a.in(i).shape).c_str(), to_string(shape).c_str());
}

tern_status infer_unary_number(InferArgs& a) {
  TERN_TRY(require_number(a, 0));
  return infer_unary(a);
}

tern_status infer_unary_integer(InferArgs& a) {
  TERN_TRY(require_integer(a, 0));
  return infer_unary(a);
}

tern_status infer_unary_bool(InferArgs& a) {
  TERN_TRY(require_bool(a, 0));
  return infer_unary(a);
}

tern_status infer_predicate(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  a.set(0, TERN_DTYPE_BOOL, a.in(0).shape);
  return TERN_OK;
}

tern_status infer_binary_number(InferArgs& a) {
  TERN_TRY(require_number(a, 0));
  return infer_binary(a);
}

tern_status infer_binary_integer(InferArgs& a) {
  TERN_TRY(require_integer(a, 0));
  return infer_binary(a);
}

tern_status infer_binary_bool(InferArgs& a) {
  TERN_TRY(require_bool(a, 0));
  return infer_binary(a);
}

tern_status infer_compare(InferArgs& a) {
  TERN_TRY(infer_binary_number(a));
  a.out(0).dtype = TERN_DTYPE_BOOL;
  return TERN_OK;
}

ValueId widened(Graph& g, ValueId x) {
  if (g.status != TERN_OK || x == kNoValue) return kNoValue;
  const DType d = g.value(x).dtype;
  return d == TERN_DTYPE_F16 || d == TERN_DTYPE_BF16 ? cast(g, x, TERN_DTYPE_F32) : x;
}

ValueId narrowed(Graph& g, ValueId x, DType dtype) {
  if (g.status != TERN_OK || x == kNoValue) return kNoValue;
  return g.value(x).dtype == dtype ? x : cast(g, x, dtype);
}

}  // namespace tern
