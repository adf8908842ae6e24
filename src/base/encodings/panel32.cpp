// SPDX-License-Identifier: Apache-2.0
// panel32: panels of up to 32 rows, each panel [K][width]: the order in which kernels read matrices (base/panel.h).
#include "base/checked.h"
#include "base/encoding.h"
#include "base/panel.h"

namespace tern {
namespace {

bool bytes(DType dtype, MatrixSize size, uint64_t* bytes) {
  const int64_t elements = panel_elements(size.rows, size.cols);
  return elements >= 0 && checked_mul((uint64_t)elements, (uint64_t)dtype_size(dtype), bytes);
}

int64_t position(MatrixSize size, int64_t i, int64_t j) { return panel_index(i, j, size.rows, size.cols); }

}  // namespace

extern constinit const EncodingInfo encoding_panel32 = {
    .name = "panel32",
    .dtypes = 1u << TERN_DTYPE_F32 | 1u << TERN_DTYPE_F16 | 1u << TERN_DTYPE_BF16,
    .bytes = bytes,
    .position = position};

}  // namespace tern
