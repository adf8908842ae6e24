// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/quant.h"

#include <string.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

// ---- one scale per tensor, channel or row ----

struct Limits {
  float low, high;
};
Limits limits(int32_t dtype) {
  switch (dtype) {
    case TERN_DTYPE_U8: return {0, 255};
    case TERN_DTYPE_I16: return {-32768, 32767};
    case TERN_DTYPE_U16: return {0, 65535};
    default: return {-128, 127};
  }
}
int size_of(int32_t dtype) {
  return dtype == TERN_DTYPE_I32 ? 4 : dtype == TERN_DTYPE_I16 || dtype == TERN_DTYPE_U16 ? 2 : 1;
}

void store_codes(int32_t dtype, const int32_t* codes, void* q, int n) {
  if (size_of(dtype) == 1)
    for (int i = 0; i < n; ++i) ((uint8_t*)q)[i] = (uint8_t)codes[i];
  else
    for (int i = 0; i < n; ++i) ((uint16_t*)q)[i] = (uint16_t)codes[i];
}

// step 0: one scale and zero point for all; 1: one each.
void quantise_row(int32_t dtype, Limits limit, const float* x, const float* scale, const int32_t* zero, int step,
                  char* q, int64_t n) {
  constexpr int kBlock = 64;
  alignas(64) int32_t codes[kBlock];
  alignas(64) float zeros[kLanes] = {};
  const Vec low = splat(limit.low), high = splat(limit.high);
  const int size = size_of(dtype);
  for (int64_t i = 0; i < n; i += kBlock) {
    const int m = n - i < kBlock ? (int)(n - i) : kBlock;
    for (int j = 0; j < m; j += kLanes) {
      const int left = m - j < kLanes ? m - j : kLanes;
      const auto read = [left](const float* p) { return left == kLanes ? load(p) : load_part(p, left); };
      if (zero)
        for (int k = 0; k < left; ++k) zeros[k] = (float)zero[step ? i + j + k : 0];
      Vec v = nearbyint(read(x + i + j) / (step ? read(scale + i + j) : splat(*scale)));
      v = select(v == v, v, splat(0.0f));
      v = min(high, max(low, v + load(zeros)));
      const VecI c = to_int(v);
      memcpy(codes + j, &c, sizeof c);
    }
    store_codes(dtype, codes, q + i * size, m);
  }
}

template <class T>
void dequantise_row(const T* q, const float* scale, const int32_t* zero, int step, float* x, int64_t n) {
  if (step) {
    for (int64_t i = 0; i < n; ++i) x[i] = (float)((int64_t)q[i] - (zero ? zero[i] : 0)) * scale[i];
  } else if (sizeof(T) < 4) {
    const float s = *scale;
    const int32_t z = zero ? *zero : 0;
    for (int64_t i = 0; i < n; ++i) x[i] = (float)((int32_t)q[i] - z) * s;
  } else {
    const float s = *scale;
    const int64_t z = zero ? *zero : 0;
    for (int64_t i = 0; i < n; ++i) x[i] = (float)((int64_t)q[i] - z) * s;
  }
}

void dequantise_row(int32_t dtype, const char* q, const float* scale, const int32_t* zero, int step, float* x,
                    int64_t n) {
  switch (dtype) {
    case TERN_DTYPE_I8: return dequantise_row((const int8_t*)q, scale, zero, step, x, n);
    case TERN_DTYPE_U8: return dequantise_row((const uint8_t*)q, scale, zero, step, x, n);
    case TERN_DTYPE_I16: return dequantise_row((const int16_t*)q, scale, zero, step, x, n);
    case TERN_DTYPE_U16: return dequantise_row((const uint16_t*)q, scale, zero, step, x, n);
    default: return dequantise_row((const int32_t*)q, scale, zero, step, x, n);
  }
}

template <bool to_codes>
void quant(const void* args, int64_t begin, int64_t end, void*) {
  const QuantArgs& a = *(const QuantArgs*)args;
  const int size = size_of(a.dtype);
  const Limits limit = limits(a.dtype);
  const int64_t col_blocks = (a.channels + kQuantBlock - 1) / kQuantBlock, total = a.outer * a.channels * a.inner;
  for (int64_t u = begin; u < end; ++u) {
    int64_t first, n, channel = 0;
    int step = 0;
    if (a.channels == 1) {
      first = u * kQuantBlock;
      n = total - first < kQuantBlock ? total - first : kQuantBlock;
    } else if (a.inner == 1) {
      channel = u % col_blocks * kQuantBlock;
      first = u / col_blocks * a.channels + channel;
      n = a.channels - channel < kQuantBlock ? a.channels - channel : kQuantBlock;
      step = 1;
    } else {
      channel = u % a.channels;
      first = u * a.inner;
      n = a.inner;
    }
    const int32_t* zero = a.zero ? a.zero + channel : nullptr;
    char* q = (char*)a.q + first * size;
    if constexpr (to_codes) quantise_row(a.dtype, limit, a.x + first, a.scale + channel, zero, step, q, n);
    else dequantise_row(a.dtype, q, a.scale + channel, zero, step, a.x + first, n);
  }
}

void quantise_rows(const void* args, int64_t begin, int64_t end, void*) {
  const QuantRowsArgs& a = *(const QuantRowsArgs*)args;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.x + r * a.cols;
    char* q = (char*)a.q + r * a.q_stride;
    Vec least = splat(0.0f), most = splat(0.0f);
    for (int64_t i = 0; i < a.cols; i += kLanes) {
      const Vec v = a.cols - i < kLanes ? load_part(x + i, (int)(a.cols - i)) : load(x + i);
      least = min(least, v);
      most = max(most, v);
    }
    const float high = max_lane(most), low = -max_lane(splat(0.0f) - least);
    float scale;
    int32_t zero = 0;
    if (a.dtype == TERN_DTYPE_U8) {
      scale = (high - low) / 255.0f;
      if (scale > 0) {
        const float z = (float)__builtin_nearbyintf(-low / scale);
        zero = z > 255 ? 255 : z >= 0 ? (int32_t)z : 0;
      }
    } else {
      scale = (high > -low ? high : -low) / 127.0f;
    }
    if (scale != 0) {
      quantise_row(a.dtype, a.dtype == TERN_DTYPE_U8 ? Limits{0, 255} : Limits{-127, 127}, x, &scale, &zero, 0, q,
                   a.cols);
    } else {
      memset(q, 0, (size_t)a.cols);
    }
    a.scale[r] = scale;
    if (a.zero) a.zero[r] = zero;
  }
}

// ---- block_int8 ----

constexpr int kBlockVecs = (int)kBlockInt8 / kLanes;
constexpr int kScaleChunk = 64;  // blocks whose scales are widened at a time

TERN_INLINE Vec load_codes(const int8_t* p) {
#if defined(__AVX512F__)
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)));
#elif defined(__AVX2__)
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)));
#else
  float t[kLanes];
  for (int i = 0; i < kLanes; ++i) t[i] = (float)p[i];
  return load(t);
#endif
}

// Scales of blocks [first, first + n) of row r as f32.
void read_scales(const BlockInt8& w, int64_t r, int64_t blocks, int64_t first, int n, float* out) {
  if (w.scale_bytes == 4) {
    memcpy(out, (const float*)w.scales + r * blocks + first, (size_t)n * 4);
    return;
  }
  const uint16_t* p = (const uint16_t*)w.scales + r * blocks + first;
  for (int i = 0; i < n; i += kLanes) {
    if (n - i >= kLanes) store(out + i, load_f16(p + i));
    else store_part(out + i, load_f16_part(p + i, n - i), n - i);
  }
}

// Scales of block b of rows [first, first + n), n <= kScaleChunk, as f32.
void read_scale_column(const BlockInt8& w, int64_t first, int n, int64_t blocks, int64_t b, float* out) {
  if (w.scale_bytes == 4) {
    for (int i = 0; i < n; ++i) out[i] = ((const float*)w.scales)[(first + i) * blocks + b];
    return;
  }
  alignas(64) uint16_t halves[kScaleChunk];
  for (int i = 0; i < n; ++i) halves[i] = ((const uint16_t*)w.scales)[(first + i) * blocks + b];
  for (int i = n; i < kScaleChunk; ++i) halves[i] = 0;
  for (int i = 0; i < kScaleChunk; i += kLanes) store(out + i, load_f16(halves + i));
}

// y[m][r] for `xs` rows of x and `ws` rows of W; the arithmetic of one pair is the same for every tile.
template <int xs, int ws>
void dot_tile(const BlockInt8Args& a, int64_t m, int64_t r) {
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

void block_int8_matmul(const void* args, int64_t begin, int64_t end, void*) {
  const BlockInt8Args& a = *(const BlockInt8Args*)args;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t first = u * kBlockInt8Rows,
                  stop = first + kBlockInt8Rows < a.w.rows ? first + kBlockInt8Rows : a.w.rows;
    int64_t m = 0;
    for (; m + 4 <= a.m; m += 4) {
      int64_t r = first;
      for (; r + 2 <= stop; r += 2) dot_tile<4, 2>(a, m, r);
      for (; r < stop; ++r) dot_tile<4, 1>(a, m, r);
    }
    for (; m < a.m; ++m) {
      int64_t r = first;
      for (; r + 4 <= stop; r += 4) dot_tile<1, 4>(a, m, r);
      for (; r < stop; ++r) dot_tile<1, 1>(a, m, r);
    }
  }
}

// `xs` rows of y, columns col .. col + n, n <= 4 * kLanes.
template <int xs>
void transposed_tile(const BlockInt8Args& a, int64_t m, int64_t col, int n) {
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

void block_int8_matmul_t(const void* args, int64_t begin, int64_t end, void*) {
  const BlockInt8Args& a = *(const BlockInt8Args*)args;
  constexpr int64_t width = 4 * kLanes < kBlockInt8Cols ? 4 * kLanes : kBlockInt8Cols;
  const int64_t stop = end * kBlockInt8Cols < a.w.cols ? end * kBlockInt8Cols : a.w.cols;
  for (int64_t col = begin * kBlockInt8Cols; col < stop; col += width) {
    const int n = stop - col < width ? (int)(stop - col) : (int)width;
    int64_t m = 0;
    for (; m + 4 <= a.m; m += 4) transposed_tile<4>(a, m, col, n);
    for (; m < a.m; ++m) transposed_tile<1>(a, m, col, n);
  }
}

void block_int8_gather(const void* args, int64_t begin, int64_t end, void*) {
  const BlockInt8GatherArgs& a = *(const BlockInt8GatherArgs*)args;
  const int64_t blocks = (a.w.cols + kBlockInt8 - 1) / kBlockInt8;
  for (int64_t u = begin; u < end; ++u) {
    int64_t row = a.index_dtype == TERN_DTYPE_I32 ? ((const int32_t*)a.index)[u] : ((const int64_t*)a.index)[u];
    float* y = a.y + u * a.y_stride;
    if (row < 0) row += a.w.rows;
    if (row < 0 || row >= a.w.rows) {
      if (a.error) __atomic_store_n(a.error, 1, __ATOMIC_RELAXED);
      memset(y, 0, (size_t)a.w.cols * sizeof(float));
      continue;
    }
    const int8_t* codes = a.w.codes + row * blocks * kBlockInt8;
    alignas(64) float scales[kScaleChunk];
    for (int64_t b = 0; b < blocks; ++b) {
      if (b % kScaleChunk == 0)
        read_scales(a.w, row, blocks, b, blocks - b < kScaleChunk ? (int)(blocks - b) : kScaleChunk, scales);
      const float scale = scales[b % kScaleChunk];
      const int64_t stop = (b + 1) * kBlockInt8 < a.w.cols ? (b + 1) * kBlockInt8 : a.w.cols;
      for (int64_t k = b * kBlockInt8; k < stop; ++k) y[k] = (float)codes[k] * scale;
    }
  }
}

}  // namespace

extern const QuantKernels quant_kernels;
const QuantKernels quant_kernels = {quant<true>,       quant<false>,        quantise_rows,
                                    block_int8_matmul, block_int8_matmul_t, block_int8_gather};

}  // namespace tern::cpu::TERN_ISA
