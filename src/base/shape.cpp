// SPDX-License-Identifier: Apache-2.0
#include "base/shape.h"

#include "base/checked.h"

namespace tern {

tern_status check_shape(const Shape& shape, const char* what) {
  int64_t n = 8;  // the widest element
  for (int i = 0; i < shape.rank; ++i)
    if (shape.dims[i] < 0) return TERN_FAIL(TERN_ERR_SHAPE, "'%s': dim %d is %" PRId64, what, i, shape.dims[i]);
  // Zero dims do not excuse the others: their product may still be used alone.
  for (int i = 0; i < shape.rank; ++i)
    if (shape.dims[i] != 0 && !checked_mul(n, shape.dims[i], &n))
      return TERN_FAIL(TERN_ERR_LIMIT, "'%s': shape %s has too many elements", what, to_string(shape).c_str());
  return TERN_OK;
}

std::string to_string(const Shape& shape) {
  std::string s = "[";
  for (int i = 0; i < shape.rank; ++i) {
    if (i) s += ',';
    s += std::to_string(shape.dims[i]);
  }
  return s + "]";
}

tern_status normalize_axis(int64_t axis, int rank, int* out) {
  if (axis < -rank || axis >= rank)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "axis %" PRId64 " is outside a tensor of rank %d", axis, rank);
  *out = (int)(axis < 0 ? axis + rank : axis);
  return TERN_OK;
}

tern_status broadcast_shapes(const Shape& a, const Shape& b, Shape* out) {
  Shape r;
  r.rank = a.rank > b.rank ? a.rank : b.rank;
  for (int i = 0; i < r.rank; ++i) {
    const int ia = i - (r.rank - a.rank), ib = i - (r.rank - b.rank);
    const int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    if (da != db && da != 1 && db != 1)
      return TERN_FAIL(TERN_ERR_SHAPE, "shapes %s and %s do not broadcast", to_string(a).c_str(), to_string(b).c_str());
    r[i] = da == 1 ? db : da;
  }
  *out = r;
  return TERN_OK;
}

void row_major_strides(const Shape& shape, int64_t* strides) {
  int64_t s = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    strides[i] = s;
    s *= shape.dims[i];
  }
}

}  // namespace tern
