// SPDX-License-Identifier: Apache-2.0
// Activations are taken as u8 on x86 and as s8 on Arm (the other sign is the same bits with the top one flipped and the
// zero point moved by 128), weights as s8; products and sums are exact in s32 on every set.
#include "kernels/cpu/matmul_int8.h"

#include <string.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kPanel = (int)kInt8Panel;

#if defined(__aarch64__)
constexpr bool kUnsigned = false;
#else
constexpr bool kUnsigned = true;
#endif

int32_t wrap_mul(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }
int32_t wrap_sub(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
int32_t wrap_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

// Four activations that share one 32-bit step; what lies past k is zero.
TERN_INLINE uint32_t read_four(const uint8_t* p, int64_t left, uint32_t flip) {
  uint32_t v = 0;
  if (left >= 4) memcpy(&v, p, 4);
  else
    for (int i = 0; i < left; ++i) v |= (uint32_t)p[i] << (8 * i);
  return v ^ flip;
}

// dots<rows>: acc[r][i] = sum over k of x[r][k] * w[i][k] for the 32 outputs of a panel. kTile: rows that fit the
// registers.
#if defined(__AVX512VNNI__)
constexpr int kTile = 8;
TERN_INLINE void dot(__m512i& acc, __m512i x, __m512i w) {  // as assembly: the intrinsic makes g++ 12 spill the sums
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
}
template <int rows>
void dots(const uint8_t* x, int64_t stride, uint32_t flip, int64_t k, const int8_t* w, int32_t (*acc)[kPanel]) {
  __m512i sum[rows][2];
  for (int r = 0; r < rows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
  const __m512i flips = _mm512_set1_epi32((int32_t)flip);
  int64_t i = 0;
  for (; i + 4 <= k; i += 4, w += 4 * kPanel) {
    const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
    for (int r = 0; r < rows; ++r) {
      __m512i v = _mm512_set1_epi32((int32_t)read_four(x + r * stride + i, 4, 0));
      if (flip) v = _mm512_xor_si512(v, flips);
      dot(sum[r][0], v, w0);
      dot(sum[r][1], v, w1);
    }
  }
  if (i < k) {
    const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
    for (int r = 0; r < rows; ++r) {
      const __m512i v = _mm512_set1_epi32((int32_t)read_four(x + r * stride + i, k - i, flip));
      dot(sum[r][0], v, w0);
      dot(sum[r][1], v, w1);
    }
  }
  for (int r = 0; r < rows; ++r) _mm512_storeu_si512(acc[r], sum[r][0]), _mm512_storeu_si512(acc[r] + 16, sum[r][1]);
}
#elif defined(__AVXVNNI__)
constexpr int kTile = 2;
TERN_INLINE void dot(__m256i& acc, __m256i x, __m256i w) {
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(x), "x"(w));
}
template <int rows>
void dots(const uint8_t* x, int64_t stride, uint32_t flip, int64_t k, const int8_t* w, int32_t (*acc)[kPanel]) {
  __m256i sum[rows][4];
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < 4; ++j) sum[r][j] = _mm256_setzero_si256();
  for (int64_t i = 0; i < k; i += 4, w += 4 * kPanel) {
    __m256i b[4];
    for (int j = 0; j < 4; ++j) b[j] = _mm256_loadu_si256((const __m256i*)(w + 32 * j));
    for (int r = 0; r < rows; ++r) {
      const __m256i v = _mm256_set1_epi32((int32_t)read_four(x + r * stride + i, k - i, flip));
      for (int j = 0; j < 4; ++j) dot(sum[r][j], v, b[j]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < 4; ++j) _mm256_storeu_si256((__m256i*)(acc[r] + 8 * j), sum[r][j]);
}
#elif defined(__ARM_FEATURE_DOTPROD)
constexpr int kTile = 4;
template <int rows>
void dots(const uint8_t* x, int64_t stride, uint32_t flip, int64_t k, const int8_t* w, int32_t (*acc)[kPanel]) {
  for (int half = 0; half < kPanel; half += 16) {
    int32x4_t sum[rows][4];
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < 4; ++j) sum[r][j] = vdupq_n_s32(0);
    const int8_t* p = w + half * 4;
    for (int64_t i = 0; i < k; i += 4, p += 4 * kPanel) {
      int8x16_t b[4];
      for (int j = 0; j < 4; ++j) b[j] = vld1q_s8(p + 16 * j);
      for (int r = 0; r < rows; ++r) {
        const int8x16_t v = vreinterpretq_s8_u32(vdupq_n_u32(read_four(x + r * stride + i, k - i, flip)));
        for (int j = 0; j < 4; ++j) sum[r][j] = vdotq_s32(sum[r][j], b[j], v);
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < 4; ++j) vst1q_s32(acc[r] + half + 4 * j, sum[r][j]);
  }
}
#elif TERN_SIMD_XSIMD && defined(__x86_64__)
// Sums of pairs of products in s32: an output has two of them side by side, added up at the end. Activations come as 16
// bits.
#define TERN_INT8_WIDENED 1
#if defined(__AVX512BW__)
constexpr int kTile = 4;
using Pairs = __m512i;
TERN_INLINE Pairs zero_pairs() { return _mm512_setzero_si512(); }
TERN_INLINE Pairs widen_weights(const int8_t* w) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)w)); }
TERN_INLINE Pairs spread_four(const int16_t* x) { return _mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i*)x)); }
TERN_INLINE void add_products(Pairs& acc, Pairs w, Pairs x) { acc = _mm512_add_epi32(acc, _mm512_madd_epi16(w, x)); }
#elif defined(__AVX2__)
constexpr int kTile = 2;
using Pairs = __m256i;
TERN_INLINE Pairs zero_pairs() { return _mm256_setzero_si256(); }
TERN_INLINE Pairs widen_weights(const int8_t* w) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)w)); }
TERN_INLINE Pairs spread_four(const int16_t* x) { return _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i*)x)); }
TERN_INLINE void add_products(Pairs& acc, Pairs w, Pairs x) {  // as assembly: else g++ 12 spills the sums
  Pairs products;
  __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(products) : "x"(w), "x"(x));
}
#else
constexpr int kTile = 2;
using Pairs = __m128i;
TERN_INLINE Pairs zero_pairs() { return _mm_setzero_si128(); }
TERN_INLINE Pairs widen_weights(const int8_t* w) {
  const __m128i v = _mm_loadl_epi64((const __m128i*)w);
  return _mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8);
}
TERN_INLINE Pairs spread_four(const int16_t* x) {
  const __m128i four = _mm_loadl_epi64((const __m128i*)x);
  return _mm_unpacklo_epi64(four, four);
}
TERN_INLINE void add_products(Pairs& acc, Pairs w, Pairs x) { acc = _mm_add_epi32(acc, _mm_madd_epi16(w, x)); }
#endif
// Adds to acc.
template <int rows>
void dots(const int16_t* x, int64_t stride, int64_t k, const int8_t* w, int32_t (*acc)[kPanel]) {
  constexpr int kInts = (int)(sizeof(Pairs) / 4), kOutputs = 2 * kInts;  // of four vectors
  for (int first = 0; first < kPanel; first += kOutputs) {
    Pairs sum[rows][4];
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < 4; ++j) sum[r][j] = zero_pairs();
    const int8_t* p = w + first * 4;
    for (int64_t i = 0; i < k; i += 4, p += 4 * kPanel) {
      Pairs v[rows];
      for (int r = 0; r < rows; ++r) v[r] = spread_four(x + r * stride + i);
      for (int j = 0; j < 4; ++j) {
        const Pairs b = widen_weights(p + j * kInts * 2);
        for (int r = 0; r < rows; ++r) add_products(sum[r][j], b, v[r]);
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < 4; ++j) {
        int32_t t[kInts];
        memcpy(t, &sum[r][j], sizeof t);
        for (int i = 0; i < kInts / 2; ++i) {
          int32_t& sum_of_all = acc[r][first + j * kInts / 2 + i];
          sum_of_all = wrap_add(sum_of_all, wrap_add(t[2 * i], t[2 * i + 1]));
        }
      }
  }
}
#elif TERN_SIMD_XSIMD && defined(__aarch64__)
constexpr int kTile = 2;
template <int rows>
void dots(const uint8_t* x, int64_t stride, uint32_t flip, int64_t k, const int8_t* w, int32_t (*acc)[kPanel]) {
  for (int first = 0; first < kPanel; first += 8) {
    int32x4_t sum[rows][4];
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < 4; ++j) sum[r][j] = vdupq_n_s32(0);
    const int8_t* p = w + first * 4;
    for (int64_t i = 0; i < k; i += 4, p += 4 * kPanel) {
      int8x8_t b[4];
      for (int j = 0; j < 4; ++j) b[j] = vld1_s8(p + 8 * j);
      for (int r = 0; r < rows; ++r) {
        const int8x8_t v = vreinterpret_s8_u32(vdup_n_u32(read_four(x + r * stride + i, k - i, flip)));
        for (int j = 0; j < 4; ++j) sum[r][j] = vpadalq_s16(sum[r][j], vmull_s8(b[j], v));
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < 4; ++j)
        for (int i = 0; i < 2; ++i) acc[r][first + 2 * j + i] = sum[r][j][2 * i] + sum[r][j][2 * i + 1];
  }
}
#else
constexpr int kTile = 1;
template <int rows>
void dots(const uint8_t* x, int64_t stride, uint32_t flip, int64_t k, const int8_t* w, int32_t (*acc)[kPanel]) {
  for (int r = 0; r < rows; ++r) {
    for (int n = 0; n < kPanel; ++n) acc[r][n] = 0;
    const int8_t* p = w;
    for (int64_t i = 0; i < k; i += 4, p += 4 * kPanel) {
      const uint32_t four = read_four(x + r * stride + i, k - i, flip);
      int32_t v[4];
      for (int j = 0; j < 4; ++j) v[j] = kUnsigned ? (int32_t)(four >> (8 * j) & 255) : (int8_t)(four >> (8 * j));
      for (int n = 0; n < kPanel; ++n)
        acc[r][n] += v[0] * p[4 * n] + v[1] * p[4 * n + 1] + v[2] * p[4 * n + 2] + v[3] * p[4 * n + 3];
    }
  }
}
#endif

// Sums of `rows` rows of x and one panel of weights.
void sum_products(const uint8_t* x, int64_t stride, uint32_t flip, int rows, int64_t k, const int8_t* w,
                  int32_t (*acc)[kPanel]) {
#if defined(TERN_INT8_WIDENED)
  constexpr int64_t kMost = 512;
  int16_t wide[kInt8Rows][kMost];
  memset(acc, 0, (size_t)rows * sizeof *acc);
  for (int64_t from = 0; from < k; from += kMost, w += kMost * kPanel) {
    const int64_t n = k - from < kMost ? k - from : kMost;
    for (int r = 0; r < rows; ++r) {
      const uint8_t *row = x + r * stride + from, top = (uint8_t)flip;
      for (int64_t i = 0; i < n; ++i) wide[r][i] = (int16_t)(row[i] ^ top);
      for (int64_t i = n; i % 4 != 0; ++i) wide[r][i] = 0;
    }
    int r = 0;
    for (; r + kTile <= rows; r += kTile) dots<kTile>(wide[r], kMost, n, w, acc + r);
    for (; r < rows; ++r) dots<1>(wide[r], kMost, n, w, acc + r);
  }
#else
  int r = 0;
  for (; r + kTile <= rows; r += kTile) dots<kTile>(x + r * stride, stride, flip, k, w, acc + r);
  for (; r < rows; ++r) dots<1>(x + r * stride, stride, flip, k, w, acc + r);
#endif
}

int32_t sum_of_codes(const uint8_t* x, int64_t k, uint32_t flip) {
  uint32_t sum = 0;
  const uint8_t top = (uint8_t)flip;
  for (int64_t i = 0; i < k; ++i)
    sum += kUnsigned ? (uint32_t)(uint8_t)(x[i] ^ top) : (uint32_t)(int32_t)(int8_t)(x[i] ^ top);
  return (int32_t)sum;
}

void store_f32(const MatmulInt8Args& a, int64_t row, int64_t col, int n, const int32_t* acc) {
  float* y = (float*)a.y + row * a.y_stride + col;
  const float x_scale = a.x_scales ? a.x_scales[row] : a.x_scale;
  for (int i = 0; i < n; ++i) {
    float v = (float)acc[i] * (a.w_scale ? x_scale * a.w_scale[col + i] : x_scale);
    if (a.bias) v += a.bias[col + i];
    y[i] = v;
  }
}

void store_codes(const MatmulInt8Args& a, int64_t row, int64_t col, int n, const int32_t* acc) {
  alignas(64) int32_t codes[kPanel];
  const Vec low = splat((float)(a.y_min - a.y_zero)), high = splat((float)(a.y_max - a.y_zero));
  for (int i = 0; i < n; i += kLanes) {
    const int left = n - i < kLanes ? n - i : kLanes;
    VecI sums;
    memcpy(&sums, acc + i, sizeof sums);  // acc has a whole panel
    const Vec multiplier = left == kLanes ? load(a.multiplier + col + i) : load_part(a.multiplier + col + i, left);
    const VecI c = to_int(min(high, max(low, nearbyint(to_float(sums) * multiplier))));
    memcpy(codes + i, &c, sizeof c);
  }
  uint8_t* y = (uint8_t*)a.y + row * a.y_stride + col;
  for (int i = 0; i < n; ++i) y[i] = (uint8_t)(codes[i] + a.y_zero);
}

void matmul(const void* args, int64_t begin, int64_t end, void*) {
  const MatmulInt8Args& a = *(const MatmulInt8Args*)args;
  const int64_t panels = (a.n + kInt8Panel - 1) / kInt8Panel, panel_bytes = (a.k + 3) / 4 * 4 * kInt8Panel;
  const int32_t* w_sums = (const int32_t*)((const char*)a.w + panels * panel_bytes);
  const bool flips = (a.x_dtype == TERN_DTYPE_U8) != kUnsigned;
  const uint32_t flip = flips ? 0x80808080u : 0;
  const int32_t moved = flips ? (kUnsigned ? 128 : -128) : 0;
  alignas(64) int32_t acc[kInt8Rows][kPanel];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t panel = u % panels, first = u / panels * kInt8Rows, col = panel * kInt8Panel;
    const int rows = a.m - first < kInt8Rows ? (int)(a.m - first) : (int)kInt8Rows;
    const int n = a.n - col < kInt8Panel ? (int)(a.n - col) : kPanel;
    const uint8_t* x = (const uint8_t*)a.x + first * a.x_stride;
    const int8_t* w = (const int8_t*)a.w + panel * panel_bytes;
    sum_products(x, a.x_stride, flip, rows, a.k, w, acc);
    for (int r = 0; r < rows; ++r) {
      const int32_t zero = (a.x_zeros ? a.x_zeros[first + r] : a.x_zero) + moved;
      for (int i = 0; i < kPanel; ++i) acc[r][i] = wrap_sub(acc[r][i], wrap_mul(zero, w_sums[col + i]));
      if (a.w_zero) {
        const int32_t rest = wrap_sub(sum_of_codes(x + r * a.x_stride, a.k, flip), wrap_mul((int32_t)a.k, zero));
        for (int i = 0; i < n; ++i) acc[r][i] = wrap_sub(acc[r][i], wrap_mul(a.w_zero[col + i], rest));
      }
      if (a.bias_s32)
        for (int i = 0; i < n; ++i) acc[r][i] = wrap_add(acc[r][i], a.bias_s32[col + i]);
      if (a.y_dtype == TERN_DTYPE_I32) memcpy((int32_t*)a.y + (first + r) * a.y_stride + col, acc[r], (size_t)n * 4);
      else if (a.y_dtype == TERN_DTYPE_F32) store_f32(a, first + r, col, n, acc[r]);
      else store_codes(a, first + r, col, n, acc[r]);
    }
  }
}

}  // namespace

extern const MatmulInt8Kernels matmul_int8_kernels;
const MatmulInt8Kernels matmul_int8_kernels = {matmul};

}  // namespace tern::cpu::TERN_ISA
