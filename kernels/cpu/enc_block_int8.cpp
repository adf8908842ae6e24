// SPDX-License-Identifier: Apache-2.0
// block_int8: code times scale, which f32 holds exactly, times activation.
//   product    each lane of a vector is a chain of fused multiply-adds over the columns that it meets, in ascending
//              order; lanes are added at the end. A few rows of x widen the codes in registers, more of them meet rows
//              of W that were widened before: the same bits
//   product_t  in the order of rows
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

constexpr int kWide = 4;  // rows of W at a time
#if defined(__AVX512BW__) || defined(__aarch64__)
constexpr int kTall = 6;  // rows of x at a time: 24 sums of 32 registers
#else
constexpr int kTall = 3;  // 12 of 16
#endif
constexpr int64_t kWorthWidening = 4;  // rows of x

// The sums of lanes of four vectors, each in the same order.
TERN_INLINE void sums_of_lanes(const Vec (&s)[kWide], float* out) {
#if defined(__AVX2__)
#if defined(__AVX512BW__)
  const auto half = [](Vec v) __attribute__((always_inline)) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  };
#else
  const auto half = [](Vec v) __attribute__((always_inline)) { return (__m256)v; };
#endif
  const __m256 pairs = _mm256_hadd_ps(_mm256_hadd_ps(half(s[0]), half(s[1])), _mm256_hadd_ps(half(s[2]), half(s[3])));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1)));
#else
  for (int j = 0; j < kWide; ++j) out[j] = sum_lanes(s[j]);
#endif
}

// Rows of W as they lie. Rows beyond the last one are the last one again.
struct Coded {
  const BlockInt8& w;
  int64_t blocks, first;
  const int8_t* codes[kWide];
  int64_t ahead;
  alignas(64) float scales[kWide][kScaleChunk];

  Coded(const BlockInt8& matrix, int64_t r, int64_t rows) : w(matrix), blocks(block_int8_blocks(w.cols)), first(r) {
    constexpr int64_t kAhead = 4096;  // bytes: the stream is read in kWide places, which move on by as many rows
    const int64_t step = kWide * blocks * kBlockInt8;
    ahead = step > 0 ? (kAhead + step - 1) / step * step : 0;
    for (int j = 0; j < kWide; ++j) codes[j] = w.codes + (r + (j < rows ? j : rows - 1)) * blocks * kBlockInt8;
  }
  void begin(int64_t chunk, int n, int64_t rows) {
    for (int j = 0; j < kWide; ++j) read_scales(w, first + (j < rows ? j : rows - 1), blocks, chunk, n, scales[j]);
  }
  __attribute__((always_inline)) Vec at(int j, int64_t chunk, int b, int v) const {
    const int8_t* p = codes[j] + (chunk + b) * kBlockInt8 + v * kLanes;
    if (v == 0) prefetch(p + ahead);
    return load_codes(p) * splat(scales[j][b]);
  }
};
// Rows of W widened, `stride` floats apart.
struct Widened {
  const float* rows;
  int64_t stride;

  void begin(int64_t, int, int64_t) {}
  __attribute__((always_inline)) Vec at(int j, int64_t chunk, int b, int v) const {
    return load(rows + j * stride + (chunk + b) * kBlockInt8 + v * kLanes);
  }
};

// out[i * stride + j] for `xs` rows of x and kWide rows of W, of which `rows` are there.
template <int xs, class Rows>
void dot_tile(const Args& a, const float* x, Rows& w, int64_t rows, float* out, int64_t stride) {
  const int64_t blocks = block_int8_blocks(a.w.cols);
  Vec sum[xs][kWide];
  for (int i = 0; i < xs; ++i)
    for (int j = 0; j < kWide; ++j) sum[i][j] = splat(0.0f);
  for (int64_t chunk = 0; chunk < blocks; chunk += kScaleChunk) {
    const int n = blocks - chunk < kScaleChunk ? (int)(blocks - chunk) : kScaleChunk;
    w.begin(chunk, n, rows);
    const auto step = [&](int b, int v, auto read) __attribute__((always_inline)) {
      Vec c[kWide];
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) c[j] = w.at(j, chunk, b, v);
#pragma GCC unroll 8
      for (int i = 0; i < xs; ++i) {
        const Vec p = read(x + i * a.x_stride + (chunk + b) * kBlockInt8 + v * kLanes);
#pragma GCC unroll 4
        for (int j = 0; j < kWide; ++j) sum[i][j] = fma(p, c[j], sum[i][j]);
      }
    };
    const int whole = (chunk + n) * kBlockInt8 <= a.w.cols ? n : n - 1;
    for (int b = 0; b < whole; ++b)
#pragma GCC unroll 8
      for (int v = 0; v < kBlockVecs; ++v)
        step(
            b, v, [](const float* p) __attribute__((always_inline)) { return load(p); });
    for (int b = whole; b < n; ++b)
      for (int v = 0; v < kBlockVecs; ++v) {
        const int64_t left = a.w.cols - (chunk + b) * kBlockInt8 - v * kLanes;
        if (left <= 0) break;
        const int lanes = left < kLanes ? (int)left : kLanes;
        step(b, v, [lanes](const float* p) { return load_part(p, lanes); });
      }
  }
  for (int i = 0; i < xs; ++i) {
    float results[kWide];
    sums_of_lanes(sum[i], results);
    for (int j = 0; j < rows; ++j) out[i * stride + j] = results[j];
  }
}

template <int xs, class Rows>
void dot_rows(const Args& a, int64_t m, Rows& w, int64_t r, int64_t rows) {
  float* y = a.y + m * a.y_stride + r;
  dot_tile<xs>(a, a.x + m * a.x_stride, w, rows, y, a.y_stride);
  if (!a.bias) return;
  for (int i = 0; i < xs; ++i)
    for (int64_t j = 0; j < rows; ++j) y[i * a.y_stride + j] += a.bias[r + j];
}

int64_t widened_stride(int64_t cols) { return block_int8_blocks(cols) * kBlockInt8; }

void product(const EncodedArgs& args, const float* bias, int64_t begin, int64_t end, float* scratch) {
  const Args a = args_of(args, bias);
  const auto each = [&](auto f) {
    for (int64_t r = begin; r < end; r += kWide) f(r, end - r < kWide ? end - r : kWide);
  };
  if (a.m < kWorthWidening) {
    each([&](int64_t r, int64_t rows) {
      for (int64_t m = 0; m < a.m; ++m) {
        Coded w(a.w, r, rows);
        dot_rows<1>(a, m, w, r, rows);
      }
    });
    return;
  }
  const int64_t stride = widened_stride(a.w.cols);
  each([&](int64_t r, int64_t rows) {
    Coded w(a.w, r, rows);
    for (int64_t chunk = 0, blocks = w.blocks; chunk < blocks; chunk += kScaleChunk) {
      const int n = blocks - chunk < kScaleChunk ? (int)(blocks - chunk) : kScaleChunk;
      w.begin(chunk, n, rows);
      for (int j = 0; j < kWide; ++j)
        for (int b = 0; b < n; ++b)
          for (int v = 0; v < kBlockVecs; ++v)
            store(scratch + (r - begin + j) * stride + (chunk + b) * kBlockInt8 + v * kLanes, w.at(j, chunk, b, v));
    }
  });
  for (int64_t m = 0; m < a.m;) {
    const int64_t left = a.m - m;
    each([&](int64_t r, int64_t rows) {
      Widened w{scratch + (r - begin) * stride, stride};
      if (left >= kTall) dot_rows<kTall>(a, m, w, r, rows);
      else if (left >= 2) dot_rows<2>(a, m, w, r, rows);
      else dot_rows<1>(a, m, w, r, rows);
    });
    m += left >= kTall ? kTall : left >= 2 ? 2 : 1;
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
const EncodedKernels enc_block_int8_kernels = {
    .unpack = unpack, .product = product, .product_t = product_t, .widened_columns = kBlockInt8};

}  // namespace tern::cpu::TERN_ISA
