// SPDX-License-Identifier: Apache-2.0
// What the operators that move data share: exact copies of elements, coordinates, lists known when the plan is made.
#pragma once
#include <vector>

#include "ops/op.h"

namespace tern {

// Element j of `from` becomes element i of `to`; same dtype, bit for bit (64-bit integers too).
inline void copy_element(const RefTensor& to, int64_t i, const RefTensor& from, int64_t j) {
  const size_t size = dtype_size(to.dtype);
  if (!is_plain(from.encoding)) to.store(i, from.load(j));
  else std::memcpy((char*)to.data + i * (int64_t)size, (const char*)from.data + j * (int64_t)size, size);
}

// Walks the coordinates of a shape in row-major order: for (Coordinates c(shape); c.valid(); c.next()) c.at[axis],
// c.flat.
struct Coordinates {
  Shape shape;
  int64_t at[kMaxRank] = {};
  int64_t flat = 0;
  explicit Coordinates(const Shape& s) : shape(s), total_(s.elements()) {}
  bool valid() const { return flat < total_; }
  void next() {
    ++flat;
    for (int axis = shape.rank - 1; axis >= 0 && ++at[axis] == shape[axis]; --axis) at[axis] = 0;
  }

 private:
  int64_t total_;
};

// Row-major offset of coordinates in a shape.
inline int64_t offset_of(const Shape& shape, const int64_t* at) {
  int64_t offset = 0;
  for (int axis = 0; axis < shape.rank; ++axis) offset = offset * shape[axis] + at[axis];
  return offset;
}

// Input i as at most `most` integers that are known when the plan is made.
tern_status require_known(const InferArgs& a, int i, int64_t most, std::vector<int64_t>* out);

// The axis counts from the end if negative. Fails with the operator's name.
tern_status require_axis(const InferArgs& a, int64_t axis, int rank, int* out);

// Adds b's axes [from, to) to a shape. Fails when the rank becomes too large.
tern_status append_dims(const InferArgs& a, const Shape& b, int from, int to, Shape* shape);

// A tensor of one value, as a node.
ValueId filled(Graph& g, DType dtype, const Shape& shape, double value);

// An index that counts from the end if negative; -1 when it is outside [-n, n).
inline int64_t wrap_index(int64_t index, int64_t n) {
  if (index < 0) index += n;  // index >= INT64_MIN and n >= 0: no overflow
  return index >= 0 && index < n ? index : -1;
}

// Records TERN_ERR_INDEX for a bad index of input i.
tern_status bad_index(const RefArgs& a, int i, int64_t index, int64_t n);

}  // namespace tern
