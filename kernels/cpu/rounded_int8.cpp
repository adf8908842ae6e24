// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/rounded_int8.h"

#include "kernels/cpu/int8.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kPanel = (int)kCodedPanel;

// ---- sums of products of four bytes side by side, in the lanes of a vector
//
// Products<eight> begins with `start`, adds codes times four bytes of x, and gives the sums; codes(v, field) are those
// in bytes as they lie, of 4 bits those of a field (0: low). kAbove: what is added to codes of 8 bits.
#if TERN_SIMD_XSIMD && defined(__x86_64__)
using Line = Bytes<kBytes>;
TERN_INLINE Line splat_int(int32_t v) { return splat_four<kBytes>(&v); }
template <class V>
TERN_INLINE V nibbles(V v, int field) {
  if constexpr (sizeof(V) == 64) return _mm512_and_si512(field ? _mm512_srli_epi16(v, 4) : v, _mm512_set1_epi8(15));
  else if constexpr (sizeof(V) == 32)
    return _mm256_and_si256(field ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(15));
  else return _mm_and_si128(field ? _mm_srli_epi16(v, 4) : v, _mm_set1_epi8(15));
}
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
constexpr int kAbove = 128;
template <class V>
TERN_INLINE V flipped(V v) {
  if constexpr (sizeof(V) == 64) return _mm512_xor_si512(v, _mm512_set1_epi8(-128));
  else return _mm256_xor_si256(v, _mm256_set1_epi8(-128));
}
template <bool eight>
struct Products {
  Line sum;
  TERN_INLINE Line codes(Line v, int field) { return eight ? flipped(v) : nibbles(v, field); }
  __attribute__((always_inline)) void begin(int32_t start) { sum = splat_int(start); }
  __attribute__((always_inline)) void add(Line w, Line x) { Dot::add(sum, w, x); }
  __attribute__((always_inline)) Line end(int32_t) const { return sum; }
};
#elif defined(__AVX2__)
constexpr int kAbove = 0;
template <class V>
TERN_INLINE V pairs_of_signed(V w, V x) {
  if constexpr (sizeof(V) == 64)
    return mul_pairs(_mm512_abs_epi8(w), _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x));
  else return mul_pairs(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}
// Of 8 bits: |w| times x with the sign of w, at most 2 * 128 * 127 in 16 bits. Of 4 bits, the eight products of a block
// stay within 16 bits: 8 * 2 * 15 * 127.
template <bool eight>
struct Products {
  Line sum;
  TERN_INLINE Line codes(Line v, int field) { return eight ? v : nibbles(v, field); }
  __attribute__((always_inline)) void begin(int32_t start) { sum = splat_int(eight ? start : 0); }
  __attribute__((always_inline)) void add(Line w, Line x) {
    sum = eight ? add_ints(sum, fours(pairs_of_signed(w, x))) : add_words(sum, mul_pairs(w, x));
  }
  __attribute__((always_inline)) Line end(int32_t start) const {
    return eight ? sum : add_ints(fours(sum), splat_int(start));
  }
};
#else
constexpr int kAbove = 0;
template <bool eight>
struct Products {
  Line sum;
  TERN_INLINE Line codes(Line v, int field) { return eight ? v : nibbles(v, field); }
  __attribute__((always_inline)) void begin(int32_t start) { sum = splat_int(start); }
  __attribute__((always_inline)) void add(Line w, Line x) { Dot::add(sum, widen_signed(x), widen_signed(w)); }
  __attribute__((always_inline)) Line end(int32_t) const { return sum; }
};
#endif
TERN_INLINE Line load_line(const void* p) { return load_bytes<kBytes>(p); }
TERN_INLINE Line splat_line(const void* p) { return splat_four<kBytes>(p); }
TERN_INLINE Vec to_floats(Line v) {
  VecI ints;
  memcpy(&ints, &v, sizeof v);
  return to_float(ints);
}
#if defined(__AVX512VNNI__)
constexpr int kVectors = 2, kTall = 4;  // vectors of a panel, rows of x at a time
#elif defined(__AVX512BW__)
constexpr int kVectors = 2, kTall = 2;
#elif !defined(__AVX2__)
constexpr int kVectors = 2, kTall = 1;
#else
constexpr int kVectors = 2, kTall = 2;
#endif
#elif TERN_SIMD_XSIMD && defined(__aarch64__)
using Line = int8x16_t;
constexpr int kBytes = 16, kVectors = 4, kTall = 2, kAbove = 0;
template <bool eight>
struct Products {
  int32x4_t sum;
  TERN_INLINE Line codes(Line v, int field) {
    if constexpr (eight) return v;
    const uint8x16_t u = vreinterpretq_u8_s8(v);
    return vreinterpretq_s8_u8(field ? vshrq_n_u8(u, 4) : vandq_u8(u, vdupq_n_u8(15)));
  }
  __attribute__((always_inline)) void begin(int32_t start) { sum = vdupq_n_s32(start); }
  __attribute__((always_inline)) void add(Line w, Line x) { sum = add_fours(sum, w, x); }
  __attribute__((always_inline)) int32x4_t end(int32_t) const { return sum; }
};
TERN_INLINE Line load_line(const void* p) { return vld1q_s8((const int8_t*)p); }
TERN_INLINE Line splat_line(const void* p) { return splat_four(p); }
TERN_INLINE Vec to_floats(int32x4_t v) { return vcvtq_f32_s32(v); }
#else
struct Line {
  int8_t b[16];
};
constexpr int kBytes = 16, kVectors = 2, kTall = 1, kAbove = 0;
template <bool eight>
struct Products {
  int32_t sum[4];
  TERN_INLINE Line codes(Line v, int field) {
    if (!eight)
      for (int8_t& b : v.b) b = (int8_t)(field ? (uint8_t)b >> 4 : b & 15);
    return v;
  }
  void begin(int32_t start) {
    for (int32_t& s : sum) s = start;
  }
  void add(const Line& w, const Line& x) {
    for (int i = 0; i < 16; ++i) sum[i / 4] += w.b[i] * x.b[i];
  }
  VecI end(int32_t) const { return load_ints(sum); }
};
TERN_INLINE Line load_line(const void* p) {
  Line v;
  memcpy(&v, p, sizeof v);
  return v;
}
TERN_INLINE Line splat_line(const void* p) {
  Line v;
  for (int i = 0; i < 4; ++i) memcpy(v.b + 4 * i, p, 4);
  return v;
}
TERN_INLINE Vec to_floats(VecI v) { return to_float(v); }
#endif

// out[r * kPanel + n] for xs rows of x and the rows of a panel.
template <int bits, bool least, int xs>
[[gnu::noinline]] void panel_sums(const uint8_t* panel, int64_t blocks, const RoundedBlock* x, float* out) {
  constexpr PanelCodes c{bits, least};
  constexpr int64_t kAhead = 4096;  // bytes
  constexpr int kFields = 8 / bits, kLines = (int)(c.code_bytes() / kCodedLine), kInts = kBytes / 4;
  static_assert(kLanes == kInts && kPanel % (kVectors * kInts) == 0);
  for (int at = 0; at < kPanel; at += kVectors * kInts) {
    Vec sum[xs][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < xs; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = splat(0.0f);
    const uint8_t* w = panel;
    const RoundedBlock* row = x;
    for (int64_t b = 0; b < blocks; ++b, w += c.block_bytes(), ++row) {
      Products<bits == 8> products[xs][2][kVectors];
#pragma GCC unroll 8
      for (int r = 0; r < xs; ++r)
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h)
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) products[r][h][v].begin(least ? 0 : row[r * blocks].start[h]);
#pragma GCC unroll 8
      for (int l = 0; l < kLines; ++l) {
        const uint8_t* line = w + l * kCodedLine + at * 4;
        if (xs == 1) {
          __builtin_prefetch(line + kAhead, 0, 2);
          if (kVectors * kBytes > 64) __builtin_prefetch(line + kAhead + 64, 0, 2);
        }
        Line bytes[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) bytes[v] = load_line(line + v * kBytes);
#pragma GCC unroll 2
        for (int f = 0; f < kFields; ++f) {
          Line codes[kVectors];
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) codes[v] = Products<bits == 8>::codes(bytes[v], f);
#pragma GCC unroll 8
          for (int r = 0; r < xs; ++r)
#pragma GCC unroll 2
            for (int h = 0; h < 2; ++h) {
              const Line four = splat_line(row[r * blocks].codes[h] + 4 * (kFields * l + f));
#pragma GCC unroll 4
              for (int v = 0; v < kVectors; ++v) products[r][h][v].add(codes[v], four);
            }
        }
      }
      const uint16_t* scales = (const uint16_t*)(w + c.code_bytes()) + at;
      Vec scale[kVectors], lowest[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        scale[v] = load_f16(scales + v * kInts);
        if constexpr (least) lowest[v] = load_f16(scales + kPanel + v * kInts);
      }
#pragma GCC unroll 8
      for (int r = 0; r < xs; ++r) {
        const RoundedBlock& block = row[r * blocks];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const Vec high = to_floats(products[r][0][v].end(least ? 0 : block.start[0]));
          const Vec low = to_floats(products[r][1][v].end(least ? 0 : block.start[1]));
          sum[r][v] = fma(fma(high, splat(254.0f), low), scale[v] * splat(block.step), sum[r][v]);
          if constexpr (least) sum[r][v] = fma(lowest[v], splat(block.total), sum[r][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < xs; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) store(out + r * kPanel + at + v * kInts, sum[r][v]);
  }
}

// As many rows as a tile has: kTall, half of it and so on.
template <int bits, bool least, int xs = kTall>
int64_t next_rows(int64_t left, const uint8_t* panel, int64_t blocks, const RoundedBlock* x, float* out) {
  if constexpr (xs > 1)
    if (left < xs) return next_rows<bits, least, xs / 2>(left, panel, blocks, x, out);
  panel_sums<bits, least, xs>(panel, blocks, x, out);
  return xs;
}

int64_t next_rows_of(PanelCodes c, int64_t left, const uint8_t* panel, int64_t blocks, const RoundedBlock* x,
                     float* out) {
  if (c.bits == 8) return next_rows<8, false>(left, panel, blocks, x, out);
  return c.least ? next_rows<4, true>(left, panel, blocks, x, out) : next_rows<4, false>(left, panel, blocks, x, out);
}

// above: what codes of the matrix lie above what they stand for.
[[gnu::noinline]] void quantize_row(const float* x, int64_t k, int above, bool least, RoundedBlock* to) {
  constexpr int kBlock = (int)kCodedBlock, kParts = kBlock / kLanes;
  for (int64_t first = 0; first < k; first += kBlock, ++to) {
    const int n = k - first < kBlock ? (int)(k - first) : kBlock;
    Vec v[kParts];
    Vec most = splat(1e-30f), strange = splat(0.0f);
    for (int j = 0; j < kParts; ++j) {
      const int left = n - j * kLanes;
      v[j] = left >= kLanes ? load(x + first + j * kLanes)
             : left > 0     ? load_part(x + first + j * kLanes, left)
                            : splat(0.0f);
      most = max(most, abs(v[j]));
      strange = strange + v[j] * splat(0.0f);
    }
    const float a = max_lane(most), none = sum_lanes(strange);
    alignas(64) int32_t codes[2][kBlock];
    const Vec factor = splat(32385.0f / a);
    for (int j = 0; j < kParts; ++j) {
      const Vec code = to_float(to_nearest_int(v[j] * factor));
      const VecI high = to_nearest_int(code * splat(1.0f / 254.001f));  // halves go to 0, so that 127.5 is no 128
      store_ints(codes[0] + j * kLanes, high);
      store_ints(codes[1] + j * kLanes, to_nearest_int(code - to_float(high) * splat(254.0f)));
    }
    to->step = a / 32385.0f;
    if (!(none == 0)) {  // a NaN or an infinity
      memset(codes, 0, sizeof codes);
      to->step = __builtin_nanf("");
    }
    int32_t sums[2] = {};
    for (int h = 0; h < 2; ++h) {
      for (int j = 0; j < kBlock; ++j) sums[h] += codes[h][j];
      for (int j = 0; j < kBlock; ++j) to->codes[h][j] = (int8_t)codes[h][j];
    }
    for (int h = 0; h < 2; ++h) to->start[h] = -above * sums[h];
    if (least) to->total = to->step * (float)(254 * sums[0] + sums[1]);
  }
}

void quantize_rows(const RoundedArgs& a, int64_t begin, int64_t end, RoundedBlock* to) {
  const int64_t blocks = coded_blocks(a.k);
  const int above = a.codes.bits == 8 ? kAbove : a.codes.zero();
  for (int64_t i = begin; i < end; ++i) quantize_row(a.x + i * a.k, a.k, above, a.codes.least, to + i * blocks);
}

void quantize(const void* args, int64_t begin, int64_t end, void*) {
  const RoundedArgs& a = *(const RoundedArgs*)args;
  quantize_rows(a, begin, end, (RoundedBlock*)a.rows);
}

void matmul(const void* args, int64_t begin, int64_t end, void* scratch) {
  const RoundedArgs& a = *(const RoundedArgs*)args;
  const int64_t blocks = coded_blocks(a.k), parts = ceil_div(a.m, kRoundedRows);
  float* const sums = (float*)scratch;
  const RoundedBlock* x = (const RoundedBlock*)a.rows;
  if (a.m <= kRoundedFew) {
    RoundedBlock* to = (RoundedBlock*)(sums + a.m * kPanel);
    quantize_rows(a, 0, a.m, to);
    x = to;
  }
  for (int64_t u = begin; u < end; ++u) {
    const int64_t r = u / parts * kPanel, first = u % parts * kRoundedRows;
    const int64_t rows = a.m - first < kRoundedRows ? a.m - first : kRoundedRows;
    const int n = a.n - r < kPanel ? (int)(a.n - r) : kPanel;
    const uint8_t* panel = (const uint8_t*)a.w + coded_block_at(a.codes, a.k, r, 0);
    if (parts > 1 || rows > kRoundedFew)
      for (int64_t i = 0; i < rows; ++i)  // rows lie pages apart
        for (int64_t j = 0; j < kPanel; j += 16) prefetch_write(a.y + (first + i) * a.y_stride + r + j);
    for (int64_t i = 0; i < rows;)
      i += next_rows_of(a.codes, rows - i, panel, blocks, x + (first + i) * blocks, sums + i * kPanel);
    const Epilogue e = epilogue_at(a.epilogue, first, r);
    if (e.bias && !e.scale)  // what finishes rows expects sums with their bias, unless there is a scale
      for (int j = 0; j < n; j += kLanes) {
        const Vec bias = load_part(e.bias + j, n - j < kLanes ? n - j : kLanes);
        for (int64_t i = 0; i < rows; ++i) store(sums + i * kPanel + j, load(sums + i * kPanel + j) + bias);
      }
    a.finish({sums, a.y + first * a.y_stride + r, kPanel, a.y_stride, rows, n, &e});
  }
}

}  // namespace

extern const RoundedInt8Kernels rounded_int8_kernels;
const RoundedInt8Kernels rounded_int8_kernels = {quantize, matmul};

}  // namespace tern::cpu::TERN_ISA
