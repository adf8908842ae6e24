// SPDX-License-Identifier: Apache-2.0
// Moving elements without arithmetic: strided copy (transpose, slice, concat, tile, expand, flip, depth to space) and
// pad.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// y[i * y_strides] = x[i * x_strides] for every index i of dims. Strides in elements, any sign, 0 allowed in x; no two
// indices may name one element of y; x and y do not overlap. elem_size 1, 2, 4 or 8 bytes.
// Fill in pointers (already offset to index 0), elem_size, rank, dims, strides and call plan(). No scratch.
// Fast: contiguous runs (memcpy), and a transposition of two dims of which one is contiguous in x and one in y (tiles).
constexpr int64_t kCopyBlockBytes = 32768;
struct CopyArgs {
  const void* x = nullptr;
  void* y = nullptr;
  int32_t elem_size = 4;
  int32_t rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t x_strides[kMaxRank] = {}, y_strides[kMaxRank] = {};
  // Filled by plan(): dims are sorted so that the last one is (nearly) contiguous in y; the last two are cut into
  // blocks.
  int64_t block_rows = 0, block_cols = 0, units = 0;
};

inline void plan(CopyArgs& a) {
  int64_t strides[2][kMaxRank];
  auto magnitude = [](int64_t v) { return v < 0 ? -v : v; };
  int n = 0;  // drop dims of size 1, sort the rest by the step in y, largest first
  for (int i = 0; i < a.rank; ++i) {
    if (a.dims[i] == 1) continue;
    const int64_t d = a.dims[i], sx = a.x_strides[i], sy = a.y_strides[i];
    int at = n++;
    for (; at > 0 && magnitude(strides[1][at - 1]) < magnitude(sy); --at)
      a.dims[at] = a.dims[at - 1], strides[0][at] = strides[0][at - 1], strides[1][at] = strides[1][at - 1];
    a.dims[at] = d, strides[0][at] = sx, strides[1][at] = sy;
  }
  a.rank = collapse_dims(n, a.dims, 2, strides);
  if (a.rank > 1 && strides[0][a.rank - 1] != 1) {  // bring the dim that is contiguous in x next to the last one
    int best = -1;
    for (int i = 0; i < a.rank - 1; ++i)
      if (strides[0][i] == 1 || strides[0][i] == -1) best = i;
    if (best >= 0) {
      const int64_t d = a.dims[best], sx = strides[0][best], sy = strides[1][best];
      for (int i = best; i < a.rank - 2; ++i)
        a.dims[i] = a.dims[i + 1], strides[0][i] = strides[0][i + 1], strides[1][i] = strides[1][i + 1];
      a.dims[a.rank - 2] = d, strides[0][a.rank - 2] = sx, strides[1][a.rank - 2] = sy;
    }
  }
  for (int i = 0; i < a.rank; ++i) a.x_strides[i] = strides[0][i], a.y_strides[i] = strides[1][i];
  const int64_t block = kCopyBlockBytes / a.elem_size, inner = a.dims[a.rank - 1],
                rows = a.rank > 1 ? a.dims[a.rank - 2] : 1;
  const bool transposes = a.rank > 1 && a.x_strides[a.rank - 1] != 1 && a.x_strides[a.rank - 1] != 0;
  a.block_cols = transposes ? (inner < 256 ? inner : 256) : inner < block ? inner : block;
  a.block_rows = a.block_cols > 0 ? block / a.block_cols : 1;
  if (a.block_rows > rows) a.block_rows = rows;
  if (a.block_rows < 1) a.block_rows = 1;
  a.units = inner == 0 || rows == 0 ? 0
                                    : ceil_div(inner, a.block_cols) * ceil_div(rows, a.block_rows) *
                                          num_elements(a.rank > 1 ? a.rank - 2 : 0, a.dims);
}

// A dense tensor whose dim i of the output is dim `order[i]` of the input.
inline void plan_transpose(CopyArgs& a, int rank, const int64_t* in_dims, const int32_t* order) {
  int64_t in_strides[kMaxRank];
  dense_strides(rank, in_dims, in_strides);
  a.rank = rank;
  for (int i = 0; i < rank; ++i) a.dims[i] = in_dims[order[i]], a.x_strides[i] = in_strides[order[i]];
  dense_strides(rank, a.dims, a.y_strides);
  plan(a);
}
// NHWC: [n, h, w, c] -> [n, h * block, w * block, c / block^2]. crd: channels hold [c', block, block] (ONNX CRD), else
// [block, block, c'] (ONNX DCR, TFLite).
inline void plan_depth_to_space(CopyArgs& a, int64_t n, int64_t h, int64_t w, int64_t c, int64_t block, bool crd) {
  const int64_t d = c / (block * block);
  const int64_t dims[6] = {n, h, block, w, block, d};
  const int64_t x[6] = {h * w * c, w * c, crd ? block : block * d, c, crd ? 1 : d, crd ? block * block : 1};
  a.rank = 6;
  dense_strides(6, dims, a.y_strides);
  for (int i = 0; i < 6; ++i) a.dims[i] = dims[i], a.x_strides[i] = x[i];
  plan(a);
}
// NHWC: [n, h * block, w * block, d] -> [n, h, w, block * block * d]; the inverse of depth_to_space without crd.
inline void plan_space_to_depth(CopyArgs& a, int64_t n, int64_t h, int64_t w, int64_t d, int64_t block) {
  const int64_t dims[6] = {n, h, w, block, block, d};
  const int64_t row = w * block * d;
  const int64_t x[6] = {h * block * row, block * row, block * d, row, d, 1};
  a.rank = 6;
  dense_strides(6, dims, a.y_strides);
  for (int i = 0; i < 6; ++i) a.dims[i] = dims[i], a.x_strides[i] = x[i];
  plan(a);
}

enum class Pad : int32_t { constant, reflect /* without the edge */, symmetric /* with the edge */, edge, wrap };

// y = x with `before[i]` elements added in front of dim i (negative: cut off) and whatever out_dims leaves behind. Both
// dense. constant: `value` holds the bits of one element. reflect needs dims > 1 where it pads, and no mode but
// constant works on an empty dim. Units: rows of the last padded dim. Call plan() after filling in. No scratch.
struct PadArgs {
  const void* x = nullptr;
  void* y = nullptr;
  Pad mode = Pad::constant;
  int32_t elem_size = 4;
  uint64_t value = 0;
  int32_t rank = 0;
  int64_t dims[kMaxRank] = {}, out_dims[kMaxRank] = {}, before[kMaxRank] = {};
  // Filled by plan(): trailing dims that are not padded become one block of `inner` elements.
  int64_t inner = 1, units = 0;
};

inline void plan(PadArgs& a) {
  a.inner = 1;
  while (a.rank > 0 && a.before[a.rank - 1] == 0 && a.dims[a.rank - 1] == a.out_dims[a.rank - 1])
    a.inner *= a.dims[--a.rank];
  if (a.rank == 0) a.rank = 1, a.dims[0] = a.out_dims[0] = 1, a.before[0] = 0;
  a.units = a.out_dims[a.rank - 1] == 0 || a.inner == 0 ? 0 : num_elements(a.rank - 1, a.out_dims);
}

struct CopyKernels {
  KernelFn copy;  // CopyArgs
  KernelFn pad;   // PadArgs
};

}  // namespace tern::cpu
