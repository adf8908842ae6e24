// SPDX-License-Identifier: Apache-2.0
// What max_pool2d_grad and max_pool2d_pick share.
#pragma once
#include <string_view>

#include "ops/move.h"
#include "ops/pool.h"

namespace tern {

// Inputs x, y and a third of y's shape (grad) or x's shape (pick).
inline tern_status check_max_pool_inputs(const InferArgs& a) {
  const MaxPool2dAttrs& p = a.attrs<MaxPool2dAttrs>();
  const char* op = a.node.op->name;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_same_dtype(a, 0, 1));
  TERN_TRY(require_same_dtype(a, 0, 2));
  TERN_TRY(require_rank(a, 0, 4));
  Shape y;
  TERN_TRY(pool_output(op, p, a.in(0).shape, p.ceil_mode != 0, &y));
  const Shape& third = std::string_view(op) == "max_pool2d_pick" ? a.in(0).shape : y;
  if (a.in(1).shape == y && a.in(2).shape == third) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: the shapes %s, %s and %s do not belong together", op,
                   to_string(a.in(0).shape).c_str(), to_string(a.in(1).shape).c_str(),
                   to_string(a.in(2).shape).c_str());
}

// Offset in x of the first largest element of the window of output [n, oy, ox, c]; -1 if the window is empty.
inline int64_t first_largest(const MaxPool2dAttrs& p, const RefTensor& x, const Shape& y, const int64_t* at) {
  const Window wy = pool_window(p, 0, x.shape[1], y[1]), wx = pool_window(p, 1, x.shape[2], y[2]);
  int64_t found = -1;
  double best = 0;
  for (int64_t ky = wy.first(at[1]); ky < wy.last(at[1]); ++ky)
    for (int64_t kx = wx.first(at[2]); kx < wx.last(at[2]); ++kx) {
      const int64_t i = ((at[0] * wy.in + wy.at(at[1], ky)) * wx.in + wx.at(at[2], kx)) * x.shape[3] + at[3];
      const double v = x.load(i);
      if (found >= 0 && !(v > best) && (v == v || best != best)) continue;
      found = i;
      best = v;
    }
  return found;
}

}  // namespace tern
