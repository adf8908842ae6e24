// SPDX-License-Identifier: Apache-2.0
// What the element-wise operators share: the loops of their references.
#pragma once
#include "ops/op.h"

namespace tern {

// y[i] = f(x[i]) in double.
template <class F>
tern_status reference_unary(RefArgs& a, F f) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) y.store(i, f(x.load(i)));
  return TERN_OK;
}

// y[i] = f(a[i], b[i]) with broadcasting; `exact` is used for integer types (64-bit values survive), `f` for the others.
template <class F, class I>
tern_status reference_binary(RefArgs& a, F f, I exact) {
  const RefTensor &x = a.in(0), &z = a.in(1), &y = a.out(0);
  const bool integer = is_integer(x.dtype);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const int64_t ix = broadcast_offset(y.shape, x.shape, i), iz = broadcast_offset(y.shape, z.shape, i);
    if (integer) y.store_int(i, exact(x.load_int(ix), z.load_int(iz)));
    else y.store(i, f(x.load(ix), z.load(iz)));
  }
  return TERN_OK;
}

}  // namespace tern
