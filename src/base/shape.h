// SPDX-License-Identifier: Apache-2.0
// Shapes: up to 8 dims, row-major, every dim >= 0.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/status.h"

namespace tern {

constexpr int kMaxRank = TERN_MAX_RANK;

struct Shape {
  int32_t rank = 0;
  int64_t dims[kMaxRank] = {};

  Shape() = default;
  Shape(std::initializer_list<int64_t> list) {
    for (int64_t d : list) push(d);
  }
  explicit Shape(std::span<const int64_t> list) {
    for (int64_t d : list) push(d);
  }

  int64_t operator[](int axis) const { return dims[axis]; }
  int64_t& operator[](int axis) { return dims[axis]; }
  // The rank must be below kMaxRank; more are dropped (callers check the rank of what they read).
  void push(int64_t d) {
    if (rank < kMaxRank) dims[rank++] = d;
  }
  bool operator==(const Shape& o) const {
    if (rank != o.rank) return false;
    for (int i = 0; i < rank; ++i)
      if (dims[i] != o.dims[i]) return false;
    return true;
  }
  // Product of the dims; only for shapes that passed check_shape.
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  const int64_t* begin() const { return dims; }
  const int64_t* end() const { return dims + rank; }
};

// Fails unless every dim is >= 0 and elements * 8 fits into an int64_t. `what` names the tensor in the message.
tern_status check_shape(const Shape& shape, const char* what);

// "[1,300,300,3]"
std::string to_string(const Shape& shape);

// Axis in [-rank, rank) to [0, rank). Fails with TERN_ERR_INVALID_ARGUMENT otherwise.
tern_status normalize_axis(int64_t axis, int rank, int* out);

// NumPy broadcasting: aligned at the last dim, 1 stretches. Fails with TERN_ERR_SHAPE.
tern_status broadcast_shapes(const Shape& a, const Shape& b, Shape* out);

// Elements from one index to the next along each axis, row-major.
void row_major_strides(const Shape& shape, int64_t* strides);

}  // namespace tern
