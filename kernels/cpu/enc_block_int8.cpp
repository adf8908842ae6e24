// SPDX-License-Identifier: Apache-2.0
// block_int8: its codes are widened in registers as the products use them.
//   product    per block of 32: f32 products of code and activation, their sum times the scale, added in the order of
//              blocks; reads the rows of W once for every 4 rows of x
//   product_t  code times scale, in the order of rows
#include "base/encodings/block_int8.h"
#include "kernels/cpu/encoded.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

struct Args {
  BlockInt8 w;
  const float* x;
  float* y;
  int64_t m, x_stride, y_stride;
  const float* bias;
};
Args args_of(const EncodedArgs& a, const float* bias) {
  return {block_int8_view(a.w.data, a.w.rows, a.w.cols), a.x, a.y, a.m, a.x_stride, a.y_stride, bias};
}

constexpr int kBlockVecs = (int)kBlockInt8 / kLanes;
constexpr int kScaleChunk = 64;  // blocks whose scales are widened at a time

// Scales of blocks [first, first + n) of row r as f32.
void read_scales(const BlockInt8& w, int64_t r, int64_t blocks, int64_t first, int n, float* out) {
  const uint16_t* p = w.scales + r * blocks + first;
  for (int i = 0; i < n; i += kLanes) {
    if (n - i >= kLanes) store(out + i, load_f16(p + i));
    else store_part(out + i, load_f16_part(p + i, n - i), n - i);
  }
}

// Scales of block b of rows [first, first + n), n <= kScaleChunk, as f32.
void read_scale_column(const BlockInt8& w, int64_t first, int n, int64_t blocks, int64_t b, float* out) {
  alignas(64) uint16_t halves[kScaleChunk];
  for (int i = 0; i < n; ++i) halves[i] = w.scales[(first + i) * blocks + b];
  for (int i = n; i < kScaleChunk; ++i) halves[i] = 0;
  for (int i = 0; i < kScaleChunk; i += kLanes) store(out + i, load_f16(halves + i));
}

// y[m][r] for `xs` rows of x and `ws` rows of W; the arithmetic of one pair is the same for every tile.
template <int xs, int ws>
void dot_tile(const Args& a, int64_t m, int64_t r) {
  const int64_t blocks = (a.w.cols + kBlockInt8 - 1) / kBlockInt8;
  Vec sum[xs][ws];
  for (int i = 0; i < xs; ++i)
    for (int j = 0; j < ws; ++j) sum[i][j] = splat(0.0f);
  alignas(64) float scales[ws][kScaleChunk];
  const float* x = a.x + m * a.x_stride;
  for (int64_t chunk = 0; chunk < blocks; chunk += kScaleChunk) {
    const int n = blocks - chunk < kScaleChunk ? (int)(blocks - chunk) : kScaleChunk;
    for (int j = 0; j < ws; ++j) read_scales(a.w, r + j, blocks, chunk, n, scales[j]);
    for (int b = 0; b < n; ++b) {
      const int64_t col = (chunk + b) * kBlockInt8;
      const int64_t left = a.w.cols - col;
      const int8_t* codes = a.w.codes + r * blocks * kBlockInt8 + col;
      Vec part[xs][ws];
      for (int i = 0; i < xs; ++i)
        for (int j = 0; j < ws; ++j) part[i][j] = splat(0.0f);
      if (left >= kBlockInt8) {
        for (int v = 0; v < kBlockVecs; ++v) {
          Vec c[ws];
          for (int j = 0; j < ws; ++j) c[j] = load_codes(codes + j * blocks * kBlockInt8 + v * kLanes);
          for (int i = 0; i < xs; ++i) {
            const Vec p = load(x + i * a.x_stride + col + v * kLanes);
            for (int j = 0; j < ws; ++j) part[i][j] = fma(p, c[j], part[i][j]);
          }
        }
      } else {
        for (int64_t v = 0; v * kLanes < left; ++v) {
          const int lanes = left - v * kLanes < kLanes ? (int)(left - v * kLanes) : kLanes;
          for (int i = 0; i < xs; ++i) {
            const Vec p = load_part(x + i * a.x_stride + col + v * kLanes, lanes);
            for (int j = 0; j < ws; ++j)
              part[i][j] = fma(p, load_codes(codes + j * blocks * kBlockInt8 + v * kLanes), part[i][j]);
          }
        }
      }
      for (int i = 0; i < xs; ++i)
        for (int j = 0; j < ws; ++j) sum[i][j] = fma(part[i][j], splat(scales[j][b]), sum[i][j]);
    }
  }
  for (int i = 0; i < xs; ++i)
    for (int j = 0; j < ws; ++j)
      a.y[(m + i) * a.y_stride + r + j] = sum_lanes(sum[i][j]) + (a.bias ? a.bias[r + j] : 0.0f);
}

void product(const EncodedArgs& args, const float* bias, int64_t begin, int64_t end) {
  const Args a = args_of(args, bias);
  int64_t m = 0;
  for (; m + 4 <= a.m; m += 4) {
    int64_t r = begin;
    for (; r + 2 <= end; r += 2) dot_tile<4, 2>(a, m, r);
    for (; r < end; ++r) dot_tile<4, 1>(a, m, r);
  }
  for (; m < a.m; ++m) {
    int64_t r = begin;
    for (; r + 4 <= end; r += 4) dot_tile<1, 4>(a, m, r);
    for (; r < end; ++r) dot_tile<1, 1>(a, m, r);
  }
}

// `xs` rows of y, columns col .. col + n, n <= 4 * kLanes.
template <int xs>
void transposed_tile(const Args& a, int64_t m, int64_t col, int n) {
  const int64_t blocks = (a.w.cols + kBlockInt8 - 1) / kBlockInt8;
  const int vecs = (n + kLanes - 1) / kLanes;
  Vec sum[xs][4];
  for (int i = 0; i < xs; ++i)
    for (int v = 0; v < 4; ++v) sum[i][v] = splat(0.0f);
  const int64_t first_block = col / kBlockInt8;
  const int more = (int)((col + n - 1) / kBlockInt8 - first_block);  // 1: the columns lie in two blocks
  alignas(64) float scales[2][kScaleChunk];
  for (int64_t chunk = 0; chunk < a.w.rows; chunk += kScaleChunk) {
    const int rows = a.w.rows - chunk < kScaleChunk ? (int)(a.w.rows - chunk) : kScaleChunk;
    for (int b = 0; b < 2; ++b) read_scale_column(a.w, chunk, rows, blocks, first_block + (b ? more : 0), scales[b]);
    for (int i = 0; i < rows; ++i) {
      const int8_t* codes = a.w.codes + (chunk + i) * blocks * kBlockInt8 + col;
      const float* x = a.x + m * a.x_stride + chunk + i;
      prefetch(codes + 16 * blocks * kBlockInt8);
      if (vecs == 4) {
        for (int v = 0; v < 4; ++v) {
          const Vec w = load_codes(codes + v * kLanes) * splat(scales[v * kLanes / kBlockInt8][i]);
          for (int j = 0; j < xs; ++j) sum[j][v] = fma(splat(x[j * a.x_stride]), w, sum[j][v]);
        }
      } else {
        for (int v = 0; v < vecs; ++v) {
          const Vec w = load_codes(codes + v * kLanes) * splat(scales[v * kLanes / kBlockInt8][i]);
          for (int j = 0; j < xs; ++j) sum[j][v] = fma(splat(x[j * a.x_stride]), w, sum[j][v]);
        }
      }
    }
  }
  for (int i = 0; i < xs; ++i)
    for (int v = 0; v < vecs; ++v) {
      const int left = n - v * kLanes < kLanes ? n - v * kLanes : kLanes;
      store_part(a.y + (m + i) * a.y_stride + col + v * kLanes, sum[i][v], left);
    }
}

void product_t(const EncodedArgs& args, int64_t begin, int64_t end) {
  const Args a = args_of(args, nullptr);
  constexpr int64_t width = 4 * kLanes;
  for (int64_t col = begin; col < end; col += width) {
    const int n = end - col < width ? (int)(end - col) : (int)width;
    int64_t m = 0;
    for (; m + 4 <= a.m; m += 4) transposed_tile<4>(a, m, col, n);
    for (; m < a.m; ++m) transposed_tile<1>(a, m, col, n);
  }
}

void unpack(const EncodedMatrix& m, int64_t row, int64_t rows, int64_t col, int64_t cols, float* out, int64_t stride) {
  const BlockInt8 w = block_int8_view(m.data, m.rows, m.cols);
  const int64_t blocks = block_int8_blocks(m.cols), first = col / kBlockInt8;
  alignas(64) float scales[kScaleChunk];
  for (int64_t i = 0; i < rows; ++i, out += stride) {
    const int8_t* codes = w.codes + (row + i) * blocks * kBlockInt8 + col;
    for (int64_t j = 0; j < cols; j += kBlockInt8) {
      const int64_t b = first + j / kBlockInt8, chunk = j / kBlockInt8 % kScaleChunk, left = blocks - b;
      if (chunk == 0) read_scales(w, row + i, blocks, b, left < kScaleChunk ? (int)left : kScaleChunk, scales);
      const int64_t stop = j + kBlockInt8 < cols ? j + kBlockInt8 : cols;
      for (int64_t k = j; k < stop; ++k) out[k] = (float)codes[k] * scales[chunk];
    }
  }
}

}  // namespace

extern const EncodedKernels enc_block_int8_kernels;
const EncodedKernels enc_block_int8_kernels = {.unpack = unpack, .product = product, .product_t = product_t};

}  // namespace tern::cpu::TERN_ISA
