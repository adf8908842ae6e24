// SPDX-License-Identifier: Apache-2.0
// plain: row-major; every element type and rank.
#include "base/checked.h"
#include "base/encoding.h"

namespace tern {
namespace {

bool bytes(DType dtype, MatrixSize size, uint64_t* bytes) {
  return checked_mul((uint64_t)size.cols, (uint64_t)dtype_size(dtype), bytes);
}

int64_t position(MatrixSize, int64_t, int64_t j) { return j; }

}  // namespace

extern constinit const EncodingInfo encoding_plain = {
    .name = "plain", .dtypes = ~0u, .any_rank = true, .bytes = bytes, .position = position};

}  // namespace tern
