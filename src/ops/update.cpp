// SPDX-License-Identifier: Apache-2.0
#include "ops/update.h"

namespace tern {

void set_written(InferArgs& a) {
  for (size_t k = 0; k < a.node.out.size(); ++k) {
    a.set((int)k, a.in((int)k).dtype, a.in((int)k).shape);
    a.out((int)k).encoding = a.in((int)k).encoding;
  }
}

tern_status require_scalar(const InferArgs& a, int i, DType dtype) {
  if (!a.has(i)) return TERN_OK;
  TERN_TRY(require_rank(a, i, 0));
  if (a.in(i).dtype == dtype) return TERN_OK;
  return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s, a scalar of %s is needed", a.node.op->name, i,
                   dtype_name(a.in(i).dtype), dtype_name(dtype));
}

tern_status infer_update(InferArgs& a, int moments) {
  const Value& p = a.in(0);
  for (int i = 0; i <= moments + 1; ++i) {
    const Value& v = a.in(i);
    TERN_TRY(require_float(a, i));
    if (v.dtype == TERN_DTYPE_F64)
      return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is f64; the arithmetic is f32", a.node.op->name, i);
    if (!(v.shape == p.shape))
      return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d of shape %s for a parameter of shape %s", a.node.op->name, i,
                       to_string(v.shape).c_str(), to_string(p.shape).c_str());
    if (!is_plain(v.encoding) && v.encoding != p.encoding)
      return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is encoded as %s, the parameter is not", a.node.op->name, i,
                       encoding_name(v.encoding));
  }
  TERN_TRY(require_scalar(a, moments + 2, TERN_DTYPE_F32));
  set_written(a);
  return TERN_OK;
}

ValueId read_f32(DecomposeArgs& a, int i) {
  Graph& g = a.g;
  const Value& v = g.value(a.in(i));
  const DType dtype = v.dtype;
  const ValueId plain = is_plain(v.encoding) ? a.in(i) : emit(g, "decode", {a.in(i)});
  return dtype == TERN_DTYPE_F32 ? plain : cast(g, plain, TERN_DTYPE_F32);
}

void write_f32(DecomposeArgs& a, int k, ValueId content) {
  const DType dtype = a.g.value(a.in(k)).dtype;
  a.set(k, emit(a.g, "state_write", {a.in(k), dtype == TERN_DTYPE_F32 ? content : cast(a.g, content, dtype)}));
}

ValueId constant_f32(Graph& g, double value) { return add_constant(g, (float)value); }

ValueId add_product(Graph& g, ValueId a, ValueId b, ValueId c) { return add(g, a, mul(g, b, c)); }

ValueId decayed(DecomposeArgs& a, ValueId p, ValueId rate, double weight_decay, int factor) {
  Graph& g = a.g;
  if (weight_decay == 0) return p;
  ValueId decay = mul(g, rate, constant_f32(g, weight_decay));
  if (a.has(factor)) decay = mul(g, decay, a.in(factor));
  return mul(g, p, sub(g, constant_f32(g, 1), decay));
}

ValueId bias_correction(Graph& g, double beta, ValueId step) {
  const ValueId base = add_constant(g, TERN_DTYPE_F64, {}, &beta);
  const ValueId power = emit(g, "pow", {base, cast(g, step, TERN_DTYPE_F64)});
  return cast(g, sub(g, scalar_like(g, power, 1), power), TERN_DTYPE_F32);
}

}  // namespace tern
