// SPDX-License-Identifier: Apache-2.0
#include "ops/quantize.h"

#include "ops/move.h"

namespace tern {

tern_status check_scales(const InferArgs& a, int64_t axis_attr) {
  const Shape &x = a.in(0).shape, &scale = a.in(1).shape;
  TERN_TRY(require_float(a, 1));
  if (scale.rank > 1) TERN_TRY(require_rank(a, 1, 1));
  if (a.has(2) && !(a.in(2).shape == scale))
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: zero points of shape %s for scales of shape %s", a.node.op->name,
                     to_string(a.in(2).shape).c_str(), to_string(scale).c_str());
  if (!is_per_axis(scale)) return TERN_OK;
  int axis = 0;
  TERN_TRY(require_axis(a, axis_attr, x.rank, &axis));
  if (scale[0] == x[axis]) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: %" PRId64 " scales for axis %d of %s", a.node.op->name, scale[0], axis,
                   to_string(x).c_str());
}

ScaleIndex::ScaleIndex(const Shape& x, const Shape& scale, int64_t axis) {
  if (!is_per_axis(scale) || x.elements() == 0) return;
  if (axis < 0) axis += x.rank;
  count_ = scale[0];
  for (int i = (int)axis + 1; i < x.rank; ++i) inner_ *= x[i];
}

}  // namespace tern
