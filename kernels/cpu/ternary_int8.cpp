// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/ternary_int8.h"

#include "kernels/cpu/int8.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kRows = (int)kTernaryRows, kLine = (int)kTernaryLine;

// x[0 .. k) to codes of bytes ^ flip, zeros up to `stride`; returns the factor that turns them back. sum: of the codes.
[[gnu::noinline]] float quantize_row(const float* x, int64_t k, uint8_t flip, uint8_t* to, int64_t stride,
                                     int32_t* sum) {
  Vec most = splat(1e-5f), strange = splat(0.0f);
  int64_t i = 0;
  const auto look = [&](Vec v) __attribute__((always_inline)) {
    most = max(most, abs(v));
    strange = strange + v * splat(0.0f);
  };
  for (; i + kLanes <= k; i += kLanes) look(load(x + i));
  if (i < k) look(load_part(x + i, (int)(k - i)));
  const float a = max_lane(most), none = sum_lanes(strange);
  if (!(none == 0)) {  // a NaN or an infinity
    memset(to, flip, (size_t)stride);
    *sum = 0;
    return __builtin_nanf("");
  }
  const Vec scale = splat(127.0f / a);
  int32_t total = 0;
  alignas(64) int32_t steps[64];
  for (i = 0; i < k; i += 64) {
    const int n = k - i < 64 ? (int)(k - i) : 64;
    for (int j = 0; j < 64; j += kLanes) {
      const int left = n - j;
      const Vec v = left >= kLanes ? load(x + i + j) : left > 0 ? load_part(x + i + j, left) : splat(0.0f);
      store_ints(steps + j, to_nearest_int(min(v * scale, splat(127.0f))));
    }
    for (int j = 0; j < 64; ++j) total += steps[j];
    for (int j = 0; j < 64; ++j) to[i + j] = (uint8_t)((uint8_t)steps[j] ^ flip);
  }
  memset(to + (k + 63) / 64 * 64, flip, (size_t)(stride - (k + 63) / 64 * 64));
  *sum = total;
  return a / 127.0f;
}

// The sums over the columns of code times x of a panel of 16 rows, for xs rows of x of signed bytes.
#if TERN_SIMD_XSIMD && defined(__x86_64__)
template <int N>
TERN_INLINE Bytes<N> codes_of(Bytes<N> line, int field) {
  if constexpr (N == 64) return _mm512_and_si512(_mm512_srli_epi16(line, 2 * field), _mm512_set1_epi8(3));
  else if constexpr (N == 32) return _mm256_and_si256(_mm256_srli_epi16(line, 2 * field), _mm256_set1_epi8(3));
  else return _mm_and_si128(_mm_srli_epi16(line, 2 * field), _mm_set1_epi8(3));
}
#if defined(__AVX512VNNI__)
// Codes stay in their place; the sums are moved instead.
template <int xs>
[[gnu::noinline]] void panel_sums(const uint8_t* w, int64_t lines, const int8_t* x, int64_t stride,
                                  int32_t (*out)[kRows]) {
  constexpr int64_t kAhead = 8192;  // bytes
  __m512i sum[xs][4];
  for (int i = 0; i < xs; ++i)
    for (int f = 0; f < 4; ++f) sum[i][f] = _mm512_setzero_si512();
  const __m512i mask[3] = {_mm512_set1_epi8(3), _mm512_set1_epi8(12), _mm512_set1_epi8(48)};
  for (int64_t l = 0; l < lines; ++l, w += kLine, x += kTernaryColumns) {
    __builtin_prefetch(w + kAhead, 0, 2);
    const __m512i line = load_bytes<64>(w);
    const __m512i codes[4] = {_mm512_and_si512(line, mask[0]), _mm512_and_si512(line, mask[1]),
                              _mm512_and_si512(line, mask[2]), _mm512_andnot_si512(_mm512_set1_epi8(63), line)};
#pragma GCC unroll 4
    for (int i = 0; i < xs; ++i)
#pragma GCC unroll 4
      for (int f = 0; f < 4; ++f) Dot::add(sum[i][f], codes[f], splat_four<64>(x + i * stride + 4 * f));
  }
  for (int i = 0; i < xs; ++i) {
    const __m512i low = _mm512_add_epi32(sum[i][0], _mm512_srai_epi32(sum[i][1], 2));
    const __m512i high = _mm512_add_epi32(_mm512_srai_epi32(sum[i][2], 4), _mm512_srai_epi32(sum[i][3], 6));
    store_bytes(out[i], _mm512_add_epi32(low, high));
  }
}
#else
#if defined(__AVX2__) && !defined(__AVXVNNI__)
// Products of four fields fit 16 bits together: 4 * 2 * 3 * 128 = 3072.
template <class V>
TERN_INLINE void add_line(V& sum, V line, const int8_t* x) {
  constexpr int N = sizeof(V);
  V words = mul_pairs(codes_of<N>(line, 0), splat_four<N>(x));
#pragma GCC unroll 4
  for (int f = 1; f < 4; ++f) words = add_words(words, mul_pairs(codes_of<N>(line, f), splat_four<N>(x + 4 * f)));
  sum = add_ints(sum, fours(words));
}
#else
template <class V>
TERN_INLINE void add_line(V& sum, V line, const int8_t* x) {
  constexpr int N = sizeof(V);
#pragma GCC unroll 4
  for (int f = 0; f < 4; ++f)
    Dot::add(sum, Dot::activations(codes_of<N>(line, f)), Dot::weights(splat_four<N>(x + 4 * f)));
}
#endif
template <int xs>
[[gnu::noinline]] void panel_sums(const uint8_t* w, int64_t lines, const int8_t* x, int64_t stride,
                                  int32_t (*out)[kRows]) {
  constexpr int64_t kAhead = 4096;
  constexpr int kParts = kLine / kBytes, kPartRows = kRows / kParts;
  using V = Bytes<kBytes>;
  V sum[xs][kParts];
  memset(sum, 0, sizeof sum);
  for (int64_t l = 0; l < lines; ++l, w += kLine, x += kTernaryColumns) {
    __builtin_prefetch(w + kAhead, 0, 2);
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) {
      const V line = load_bytes<kBytes>(w + p * kBytes);
#pragma GCC unroll 4
      for (int i = 0; i < xs; ++i) add_line(sum[i][p], line, x + i * stride);
    }
  }
  for (int i = 0; i < xs; ++i)
    for (int p = 0; p < kParts; ++p) store_bytes(out[i] + p * kPartRows, sum[i][p]);
}
#endif
#elif TERN_SIMD_XSIMD && defined(__aarch64__)
template <int xs>
[[gnu::noinline]] void panel_sums(const uint8_t* w, int64_t lines, const int8_t* x, int64_t stride,
                                  int32_t (*out)[kRows]) {
  int32x4_t sum[xs][4] = {};
  const uint8x16_t mask = vdupq_n_u8(3);
  for (int64_t l = 0; l < lines; ++l, w += kLine, x += kTernaryColumns) {
    __builtin_prefetch(w + 2048, 0, 2);
    for (int p = 0; p < 4; ++p) {
      const uint8x16_t line = vld1q_u8(w + 16 * p);
      const int8x16_t codes[4] = {
          vreinterpretq_s8_u8(vandq_u8(line, mask)), vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(line, 2), mask)),
          vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(line, 4), mask)), vreinterpretq_s8_u8(vshrq_n_u8(line, 6))};
      for (int i = 0; i < xs; ++i)
        for (int f = 0; f < 4; ++f) sum[i][p] = add_fours(sum[i][p], codes[f], splat_four(x + i * stride + 4 * f));
    }
  }
  for (int i = 0; i < xs; ++i)
    for (int p = 0; p < 4; ++p) vst1q_s32(out[i] + 4 * p, sum[i][p]);
}
#else
template <int xs>
[[gnu::noinline]] void panel_sums(const uint8_t* w, int64_t lines, const int8_t* x, int64_t stride,
                                  int32_t (*out)[kRows]) {
  memset(out, 0, xs * sizeof *out);
  for (int64_t l = 0; l < lines; ++l, w += kLine, x += kTernaryColumns)
    for (int i = 0; i < xs; ++i)
      for (int b = 0; b < kLine; ++b)
        for (int f = 0; f < 4; ++f) out[i][b / 4] += (w[b] >> 2 * f & 3) * x[i * stride + 4 * f + b % 4];
}
#endif

// Codes - 1 of a panel of 16 rows, as half of a panel of the product of 8-bit integers.
void unpack_panel(const uint8_t* w, int64_t lines, int8_t* to) {
  for (int64_t l = 0; l < lines; ++l, w += kLine)
    for (int f = 0; f < 4; ++f, to += 4 * kTernaryPanel)
      for (int b = 0; b < kLine; ++b) to[b] = (int8_t)((w[b] >> 2 * f & 3) - 1);
}

// What is behind the last row of W: read as the last panel again, and not stored.
const uint8_t* panel_at(const Ternary& w, int64_t row, int64_t n) {
  const int64_t panel = row / kRows, last = (n - 1) / kRows;
  return w.codes + (panel < last ? panel : last) * w.lines * kLine;
}

// Results of `rows` rows and the outputs of a panel from r on. What finishes rows expects sums with their bias, unless
// there is a scale.
[[gnu::noinline]] void finish(const TernaryArgs& a, float* sums, const float* factors, int64_t first, int64_t rows,
                              int64_t r) {
  const int n = a.n - r < kTernaryPanel ? (int)(a.n - r) : (int)kTernaryPanel;
  const float* const bias = a.epilogue.scale || !a.epilogue.bias ? nullptr : a.epilogue.bias + r;
  for (int j = 0; j < n; j += kLanes) {
    const Vec more = bias ? load_part(bias + j, n - j < kLanes ? n - j : kLanes) : splat(0.0f);
    for (int64_t i = 0; i < rows; ++i) {
      float* p = sums + i * kTernaryPanel + j;
      store(p, bias ? load(p) * splat(factors[i]) + more : load(p) * splat(factors[i]));
    }
  }
  const Epilogue e = epilogue_at(a.epilogue, first, r);
  a.finish({sums, a.y + first * a.y_stride + r, kTernaryPanel, a.y_stride, rows, n, &e});
}

float* factors_of(const TernaryArgs& a) { return (float*)(a.codes + a.factor_offset); }

void few_rows(const TernaryArgs& a, int64_t begin, int64_t end, int8_t* codes) {
  constexpr decltype(&panel_sums<1>) kSums[] = {panel_sums<1>, panel_sums<2>, panel_sums<3>, panel_sums<4>};
  const Ternary w = ternary_view(a.w, a.n, a.k);
  const int64_t stride = ternary_stride(a.k);
  const int xs = (int)a.m;
  int32_t totals[kTernaryFew];
  float factors[kTernaryFew];
  for (int i = 0; i < xs; ++i)
    factors[i] = quantize_row(a.x + i * a.k, a.k, 0, (uint8_t*)codes + i * stride, stride, &totals[i]);
  for (int64_t u = begin; u < end; ++u) {
    const int64_t r = u * kTernaryPanel;
    alignas(64) float sums[kTernaryFew][kTernaryPanel];
    alignas(64) int32_t products[kTernaryFew][kRows];
    for (int64_t row = r; row < r + kTernaryPanel; row += kRows) {
      if (row >= a.n) break;  // nothing of it is stored
      kSums[xs - 1](panel_at(w, row, a.n), w.lines, codes, stride, products);
      for (int i = 0; i < xs; ++i)
        for (int j = 0; j < kRows; j += kLanes)
          store(sums[i] + row - r + j,
                to_float(load_ints(products[i] + j) - VecI(totals[i])) * load(w.scales + row + j));
    }
    finish(a, sums[0], factors, 0, xs, r);
  }
}

void many_rows(const TernaryArgs& a, int64_t begin, int64_t end, char* scratch) {
  const Ternary w = ternary_view(a.w, a.n, a.k);
  const int64_t stride = ternary_stride(a.k), blocks = ceil_div(a.m, kTernaryBlock), panels = ceil_div(a.n, kRows);
  MatmulInt8Args p = ternary_block(a);
  int8_t* const packed = (int8_t*)scratch;
  int32_t* const w_sums = (int32_t*)(packed + int8_panel_bytes(p.k));
  const int64_t packed_bytes = ceil_div(packed_int8_bytes(kTernaryPanel, p.k), 64) * 64;
  float* const sums = (float*)(scratch + packed_bytes);
  char* const rest = (char*)(sums + kTernaryBlock * kTernaryPanel);
  const int32_t zero = kUnsigned ? 128 : 0, none[kTernaryPanel] = {};
  alignas(64) float scales[kTernaryPanel];
  p.x_dtype = kUnsigned ? TERN_DTYPE_U8 : TERN_DTYPE_I8;
  p.x_zero = &zero;
  p.w = packed;
  p.ending = {.y_dtype = TERN_DTYPE_F32, .bias = none, .scale = scales};
  memset(packed, 0, (size_t)int8_panel_bytes(p.k));
  alignas(64) int8_t ones[kTernaryColumns];
  memset(ones, 1, sizeof ones);
  for (int64_t u = begin; u < end; ++u) {
    const int64_t r = u / blocks * kTernaryPanel, first = u % blocks * kTernaryBlock;
    if (u == begin || first == 0) {
      for (int half = 0; half < 2; ++half) {
        const int64_t row = r + half * kRows;
        const uint8_t* codes = panel_at(w, row, a.n);
        unpack_panel(codes, w.lines, packed + half * kLine);
        int32_t total[1][kRows] = {};
        for (int64_t l = 0; l < w.lines; ++l) {
          int32_t line[1][kRows];
          panel_sums<1>(codes + l * kLine, 1, ones, 0, line);
          for (int j = 0; j < kRows; ++j) total[0][j] += line[0][j];
        }
        for (int j = 0; j < kRows; ++j) {
          w_sums[half * kRows + j] = total[0][j] - (int32_t)(w.lines * kTernaryColumns);
          scales[half * kRows + j] = row / kRows < panels ? w.scales[row + j] : 0.0f;
        }
      }
      w_sums[kTernaryPanel] = 1;
    }
    p.m = a.m - first < kTernaryBlock ? a.m - first : kTernaryBlock;
    p.x = a.codes + first * stride;
    p.y = sums;
    for (int64_t i = 0; i < p.m; ++i)  // rows lie pages apart
      for (int64_t j = 0; j < kTernaryPanel; j += 16) prefetch_write(a.y + (first + i) * a.y_stride + r + j);
    a.product(&p, 0, units(p), rest);
    finish(a, sums, factors_of(a) + first, first, p.m, r);
  }
}

void matmul(const void* args, int64_t begin, int64_t end, void* scratch) {
  const TernaryArgs& a = *(const TernaryArgs*)args;
  a.m <= kTernaryFew ? few_rows(a, begin, end, (int8_t*)scratch) : many_rows(a, begin, end, (char*)scratch);
}

void quantize(const void* args, int64_t begin, int64_t end, void*) {
  const TernaryArgs& a = *(const TernaryArgs*)args;
  const int64_t stride = ternary_stride(a.k);
  int32_t sum;
  for (int64_t i = begin; i < end; ++i)
    factors_of(a)[i] = quantize_row(a.x + i * a.k, a.k, kUnsigned ? 0x80 : 0, a.codes + i * stride, stride, &sum);
}

}  // namespace

extern const TernaryInt8Kernels ternary_int8_kernels;
const TernaryInt8Kernels ternary_int8_kernels = {quantize, matmul};

}  // namespace tern::cpu::TERN_ISA
