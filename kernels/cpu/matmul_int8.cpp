// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/matmul_int8.h"

#include "kernels/cpu/int8_ending.h"
#include "kernels/cpu/tiles.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kPanel = (int)kInt8Panel;

// Where the sums of a tile go: to[r][i], for the 32 outputs of a panel.
struct Sums {
  int32_t (*to)[kPanel];
};

// tile<rows>: first[i] + sum over k of x[r][k] * w[i][k] for the 32 outputs of a panel; k is a multiple of 4. kTile:
// rows that fit the registers.
#if TERN_SIMD_XSIMD && defined(__x86_64__)
#if defined(__AVX512BW__)
constexpr int kTile = 12, kVectors = 2;
#elif defined(__AVXVNNI__)
constexpr int kTile = 3, kVectors = 4;
#else
constexpr int kTile = 2, kVectors = 4;
#endif

template <int rows>
TERN_INLINE void take(const Sums& sums, int at, Bytes<kBytes> (&sum)[rows][kVectors]) {
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) store_bytes(sums.to[r] + at + j * kBytes / 4, sum[r][j]);
}

#if defined(__AVX512VNNI__)
// Codes that leave the registers as such, to rows `stride` bytes apart.
struct Codes {
  const Finish& finish;
  uint8_t* to;
  int64_t stride;
};
TERN_INLINE __m512i two_rows(const Finish& f, const __m512i (&a)[2], const __m512i (&b)[2]) {
  const auto codes = [&](__m512i sums, int i) __attribute__((always_inline)) {
    Vec v = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), load(f.scale + i));
    if (f.shifts) v = v + load(f.shift + i);
    return rounded_below(v, splat(f.high));
  };
  const __m512i zero = _mm512_set1_epi16((int16_t)f.zero), least = _mm512_set1_epi16((int16_t)(f.zero + (int)f.low));
  const auto words = [&](const __m512i(&sums)[2]) __attribute__((always_inline)) {
    const __m512i w = _mm512_packs_epi32(codes(sums[0], 0), codes(sums[1], 16));
    return _mm512_max_epi16(_mm512_adds_epi16(w, zero), least);
  };
  const __m512i x = words(a), y = words(b);
  const __m512i bytes = f.y_dtype == TERN_DTYPE_I8 ? _mm512_packs_epi16(x, y) : _mm512_packus_epi16(x, y);
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}
template <int rows>
TERN_INLINE void take(const Codes& c, int, __m512i (&sum)[rows][2]) {
  const __mmask32 mask = (__mmask32)((1ull << c.finish.n) - 1);
#pragma GCC unroll 16
  for (int r = 0; r < rows; r += 2) {
    const __m512i both = two_rows(c.finish, sum[r], sum[r + 1 < rows ? r + 1 : r]);
    const auto put = [&](int row, __m256i v) __attribute__((always_inline)) {
      uint8_t* to = c.to + row * c.stride;
      if (c.finish.n == kPanel) store_bytes(to, v);
      else _mm256_mask_storeu_epi8(to, mask, v);
    };
    put(r, _mm512_castsi512_si256(both));
    if (r + 1 < rows) put(r + 1, _mm512_extracti64x4_epi64(both, 1));
  }
}
// One or two of so many rows of sums in memory; returns how many.
int take_rows(const Codes& c, const int32_t (*sums)[kPanel], int64_t rows) {
  __m512i two[2][2], one[1][2];
  for (int j = 0; j < 2; ++j) one[0][j] = two[0][j] = load_bytes<64>(sums[0] + 16 * j);
  if (rows == 1) return take<1>(c, 0, one), 1;
  for (int j = 0; j < 2; ++j) two[1][j] = load_bytes<64>(sums[1] + 16 * j);
  return take<2>(c, 0, two), 2;
}
#endif

template <class Products, int rows, class Sink>
void tile(const uint8_t* x, int64_t stride, int64_t k, const int8_t* w, const int32_t* first, const Sink& sink) {
  using V = Bytes<kBytes>;
  constexpr int kInts = kBytes / 4, kBases = (rows + 2) / 3;
  const uint8_t* const end = x + k;
  for (int at = 0; at < kPanel; at += kVectors * kInts) {
    V sum[rows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[r][j] = load_bytes<kBytes>(first + at + j * kInts);
    const uint8_t* base[kBases];  // of three rows each: fewer pointers than rows
#pragma GCC unroll 4
    for (int b = 0; b < kBases; ++b) base[b] = x + 3 * b * stride;
    const int8_t* p = w + at * 4;
    while (base[0] < end) {
      decltype(Products::weights(V{})) weights[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) weights[j] = Products::weights(load_bytes<kBytes>(p + j * kBytes));
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) {
        const auto four = Products::activations(splat_four<kBytes>(base[r / 3] + r % 3 * stride));
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) Products::add(sum[r][j], four, weights[j]);
      }
#pragma GCC unroll 4
      for (int b = 0; b < kBases; ++b) base[b] += 4;
      p += 4 * kPanel;
    }
    take(sink, at, sum);
  }
}
#elif TERN_SIMD_XSIMD && defined(__aarch64__)
#if defined(__ARM_FEATURE_DOTPROD)
constexpr int kTile = 4;
#else
constexpr int kTile = 2;
#endif
struct Dot {};
template <class, int rows>
void tile(const uint8_t* x, int64_t stride, int64_t k, const int8_t* w, const int32_t* first, const Sums& sums) {
  for (int at = 0; at < kPanel; at += 16) {
    int32x4_t sum[rows][4];
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < 4; ++j) sum[r][j] = vld1q_s32(first + at + 4 * j);
    const int8_t* p = w + at * 4;
    for (int64_t i = 0; i < k; i += 4, p += 4 * kPanel)
      for (int r = 0; r < rows; ++r) {
        const int8x16_t v = splat_four(x + r * stride + i);
        for (int j = 0; j < 4; ++j) sum[r][j] = add_fours(sum[r][j], vld1q_s8(p + 16 * j), v);
      }
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < 4; ++j) vst1q_s32(sums.to[r] + at + 4 * j, sum[r][j]);
  }
}
#else
constexpr int kTile = 1;
struct Dot {};
template <class, int rows>
void tile(const uint8_t* x, int64_t, int64_t k, const int8_t* w, const int32_t* first, const Sums& sums) {
  int32_t* to = sums.to[0];
  memcpy(to, first, kPanel * sizeof *to);
  for (int64_t i = 0; i < k; i += 4, w += 4 * kPanel)
    for (int n = 0; n < kPanel; ++n)
      for (int j = 0; j < 4; ++j)
        to[n] = wrap_add(to[n], (kUnsigned ? (int32_t)x[i + j] : (int8_t)x[i + j]) * w[4 * n + j]);
}
#endif

// The largest tile that so many rows fill: kTile, half of it and so on.
template <class Products, int rows = kTile, class Sink>
int next_tile(int64_t left, const uint8_t* x, int64_t stride, int64_t k, const int8_t* w, const int32_t* first,
              const Sink& sink) {
  if constexpr (rows > 1)
    if (left < rows) return next_tile<Products, rows / 2>(left, x, stride, k, w, first, sink);
  tile<Products, rows>(x, stride, k, w, first, sink);
  return rows;
}

// pairs: what pack_int8 says of the panel.
template <class Sink>
int next_tile_of(bool pairs, int64_t left, const uint8_t* x, int64_t stride, int64_t k, const int8_t* w,
                 const int32_t* first, const Sink& sink) {
#if defined(TERN_INT8_PAIRS)
  if (pairs) return next_tile<PairsDot>(left, x, stride, k, w, first, sink);
#endif
  (void)pairs;
  return next_tile<Dot>(left, x, stride, k, w, first, sink);
}

#if TERN_TILES
// The sums of a block of rows by matrix tiles: two tiles of rows times the two of a panel, which lies as they read it.
class Tiles {
 public:
  static constexpr int kRows = 16, kLeast = 4;  // fewer rows are done sooner by the other instructions
  static constexpr int64_t kStep = 64,
                           kDepth = 1024;  // k of a tile; k of a pass, of which a panel fits the first cache

  ~Tiles() {
    if (shaped_) release_tiles();
  }

  // to[r * step + i] = first[i] + sum over k of x[r][k] * w[i][k], for r < rows; k4 is a multiple of 4. Rows of x hold
  // zeros up to a multiple of kStep.
  void sums(const uint8_t* x, int64_t stride, int64_t rows, int64_t k4, const int8_t* w, const int32_t* first,
            int32_t* to, int64_t to_step) {
    const int64_t whole = k4 / kStep * kStep, rest = k4 - whole;
    alignas(64) int8_t end[kStep * kPanel];  // the last part of the panel, filled up
    if (rest) {
      memcpy(end, w + whole * kPanel, (size_t)(rest * kPanel));
      memset(end + rest * kPanel, 0, (size_t)((kStep - rest) * kPanel));
    }
    int64_t k = 0;
    do {  // at least once: k may be 0
      const int64_t next = whole - k > kDepth ? k + kDepth : whole;
      for (int64_t r = 0; r < rows; r += 2 * kRows) {
        const int upper = rows - r < kRows ? (int)(rows - r) : kRows;
        const int lower = rows - r - upper < kRows ? (int)(rows - r) - upper : kRows;
        shape(upper, lower);
        const uint8_t* at = x + r * stride;
        const int8_t* last = next == whole && rest ? end : nullptr;
        lower ? add<true>(at, stride, k, next, w, last, k ? nullptr : first, to + r * to_step, to_step)
              : add<false>(at, stride, k, next, w, last, k ? nullptr : first, to + r * to_step, to_step);
      }
      k = next;
    } while (k < whole);
  }

 private:
  // Sums are tiles 0 1 (of the upper rows) and 2 3, rows 4 and 5, the panel 6 7.
  void shape(int upper, int lower) {
    if (upper == upper_ && lower == lower_) return;
    TileShapes s;
    for (int t = 0; t < 8; ++t) {
      const bool below = t == 2 || t == 3 || t == 5;
      s.bytes[t] = 64, s.rows[t] = (uint8_t)(t >= 6 ? kRows : !below ? upper : lower ? lower : 1);
    }
    set_tiles(s);
    upper_ = upper, lower_ = lower, shaped_ = true;
  }

  template <bool both>
  static void add(const uint8_t* x, int64_t stride, int64_t k, int64_t end, const int8_t* w, const int8_t* last,
                  const int32_t* first, int32_t* to, int64_t to_step) {
    constexpr int64_t kRow = kPanel * 4;  // bytes
    const auto each_sum = [&](const int32_t* from, int64_t step) __attribute__((always_inline)) {
      load_tile<0>(from, step);
      load_tile<1>(from + kRows, step);
      if constexpr (both) {
        from += kRows * step / 4;
        load_tile<2>(from, step);
        load_tile<3>(from + kRows, step);
      }
    };
    if (first) each_sum(first, 0);
    else each_sum(to, to_step * 4);
    const uint8_t* below = x + kRows * stride;
    const auto step = [&](int64_t at, const int8_t* panel) __attribute__((always_inline)) {
      load_tile_once<4>(x + at, stride);
      load_tile<6>(panel, kRow);
      dot_tiles<0, 4, 6>();
      load_tile<7>(panel + kRow / 2, kRow);
      dot_tiles<1, 4, 7>();
      if constexpr (both) {
        load_tile_once<5>(below + at, stride);
        dot_tiles<2, 5, 6>();
        dot_tiles<3, 5, 7>();
      }
    };
    for (; k < end; k += kStep) step(k, w + k * kPanel);
    if (last) step(end, last);
    store_tile<0>(to, to_step * 4);
    store_tile<1>(to + kRows, to_step * 4);
    if constexpr (both) {
      store_tile<2>(to + kRows * to_step, to_step * 4);
      store_tile<3>(to + kRows * to_step + kRows, to_step * 4);
    }
  }

  int upper_ = 0, lower_ = 0;
  bool shaped_ = false;
};
constexpr int64_t kRowStep = Tiles::kStep;
constexpr int kSums = (int)(kInt8Rows + kInt8MoreRows);
#else
constexpr int64_t kRowStep = 4;
constexpr int kSums = kTile;
#endif

int32_t sum_of_codes(const uint8_t* x, int64_t k) {
  uint32_t sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += kUnsigned ? (uint32_t)x[i] : (uint32_t)(int32_t)(int8_t)x[i];
  return (int32_t)sum;
}

// ---- rows of codes as the tiles take them: of a multiple of 4 bytes, in their sign

// What one output pixel reads of one group.
void gather_window(const Int8Window& w, const uint8_t* x, int64_t pixel, int64_t channel, int64_t channels, int zero,
                   uint8_t* to) {
  const int64_t ox = pixel % w.out_w, oy = pixel / w.out_w % w.out_h, picture = pixel / w.out_w / w.out_h;
  const int64_t x0 = ox * w.stride_w - w.pad_left, y0 = oy * w.stride_h - w.pad_top;
  const bool joined = w.dilation_w == 1 && channels == w.in_c;  // a row of taps lies side by side
  for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
    const int64_t iy = y0 + ky * w.dilation_h;
    if (iy < 0 || iy >= w.in_h) {
      memset(to, zero, (size_t)(w.kernel_w * channels));
      to += w.kernel_w * channels;
      continue;
    }
    const uint8_t* row = x + ((picture * w.in_h + iy) * w.in_w + x0) * w.in_c + channel;
    if (joined && x0 >= 0 && x0 + w.kernel_w <= w.in_w) {
      memcpy(to, row, (size_t)(w.kernel_w * channels));
      to += w.kernel_w * channels;
      continue;
    }
    for (int64_t kx = 0; kx < w.kernel_w; ++kx, to += channels) {
      const int64_t at = kx * w.dilation_w;
      if (x0 + at < 0 || x0 + at >= w.in_w) memset(to, zero, (size_t)channels);
      else memcpy(to, row + at * w.in_c, (size_t)channels);
    }
  }
}

// Bytes from one copied row to the next: rows a power of two apart would push each other out of the first cache.
int64_t gathered_stride(int64_t k) {
  const int64_t bytes = (k + kRowStep - 1) / kRowStep * kRowStep;
  return kRowStep == 4 || bytes % 512 != 0 ? bytes : bytes + kRowStep;
}

bool must_gather(const MatmulInt8Args& a) {
  return a.is_conv || a.k % kRowStep != 0 || sign_of(a.x_dtype).flip != 0 || (kRowStep > 4 && a.x_stride % 1024 == 0);
}

void gather_rows(const MatmulInt8Args& a, int64_t first, int rows, int64_t group, uint8_t* to) {
  const int64_t stride = gathered_stride(a.k), channels = a.window.in_c / a.groups;
  for (int r = 0; r < rows; ++r) {
    uint8_t* row = to + r * stride;
    if (a.is_conv)
      gather_window(a.window, (const uint8_t*)a.x, first + r, group * channels, channels,
                    a.x_zero ? *a.x_zero & 255 : 0, row);
    else memcpy(row, (const uint8_t*)a.x + (first + r) * a.x_stride, (size_t)a.k);
    memset(row + a.k, 0, (size_t)(stride - a.k));
  }
  if (const uint8_t flip = sign_of(a.x_dtype).flip)
    for (int r = 0; r < rows; ++r)
      for (int64_t i = 0; i < a.k; ++i) to[r * stride + i] ^= flip;
}

void matmul(const void* args, int64_t begin, int64_t end, void* scratch) {
  const MatmulInt8Args& a = *(const MatmulInt8Args*)args;
  const int64_t panels = (a.n + kInt8Panel - 1) / kInt8Panel, k4 = (a.k + 3) / 4 * 4;
  const int64_t panel_bytes = int8_panel_bytes(a.k), group_bytes = packed_int8_bytes(a.n, a.k);
  const int32_t moved = sign_of(a.x_dtype).moved;
  const bool gathers = must_gather(a);
  alignas(64) int32_t sums[kSums][kPanel], base[kPanel];
#if TERN_TILES
  Tiles tiles;
#endif
  int64_t gathered = -1;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t panel = u % panels, group = u / panels % a.groups, block = u / panels / a.groups;
    const int64_t first = block * kInt8Rows, left = block + 1 == int8_row_blocks(a.m) ? a.m - first : kInt8Rows;
    const int n = a.n - panel * kInt8Panel < kInt8Panel ? (int)(a.n - panel * kInt8Panel) : kPanel;
    const int64_t column = group * a.n + panel * kInt8Panel;
    const uint8_t* x = (const uint8_t*)a.x + first * a.x_stride;
    int64_t stride = a.x_stride;
    if (gathers) {
      x = (const uint8_t*)scratch, stride = gathered_stride(a.k);
      if (gathered != u / panels) gather_rows(a, first, (int)left, group, (uint8_t*)scratch);
      gathered = u / panels;
    }
    const int8_t* packed = (const int8_t*)a.w + group * group_bytes;
    const int32_t* w_sums = (const int32_t*)(packed + panels * panel_bytes) + panel * kInt8Panel;
    Finish finish;
    finish.set(a.ending, column, n);
    const int32_t shared = a.x_zero_step ? moved : (a.x_zero ? *a.x_zero : 0) + moved;
    for (int i = 0; i < kPanel; ++i) base[i] = wrap_sub(finish.bias[i], wrap_mul(shared, w_sums[i]));
    const bool pairs = w_sums[(panels - panel) * kInt8Panel + panel] != 0;
    packed += panel * panel_bytes;
#if TERN_TILES
    const int64_t by_tiles = left % Tiles::kRows < Tiles::kLeast ? left - left % Tiles::kRows : left;
    // sums that are the results
    const bool as_they_are = finish.y_dtype == TERN_DTYPE_I32 && n == kPanel && !a.x_zero_step && !a.w_zero;
    int32_t* const y = (int32_t*)a.y + first * a.y_stride + column;
    if (by_tiles && as_they_are) tiles.sums(x, stride, by_tiles, k4, packed, base, y, a.y_stride);
    else if (by_tiles) tiles.sums(x, stride, by_tiles, k4, packed, base, sums[0], kPanel);
#else
    constexpr bool as_they_are = false;
    constexpr int64_t by_tiles = 0;
#endif
#if defined(__AVX512VNNI__)
    if (finish.gives_codes() && !a.x_zero_step && !a.w_zero) {
      for (int64_t r = 0; r < left;) {
        const Codes codes{finish, (uint8_t*)a.y + (first + r) * a.y_stride + column, a.y_stride};
        if (r < by_tiles) r += take_rows(codes, sums + r, by_tiles - r);
        else r += next_tile_of(pairs, left - r, x + r * stride, stride, k4, packed, base, codes);
      }
      continue;
    }
#endif
    for (int64_t r = as_they_are ? by_tiles : 0; r < left;) {
      const uint8_t* rows = x + r * stride;
      const bool have = r < by_tiles;
      int32_t(*to)[kPanel] = have ? sums + r : sums;
      const int done = have ? (int)by_tiles : next_tile_of(pairs, left - r, rows, stride, k4, packed, base, Sums{to});
      for (int i = 0; i < done; ++i) {
        int32_t* sum = to[i];
        if (a.x_zero_step)
          for (int c = 0; c < kPanel; ++c) sum[c] = wrap_sub(sum[c], wrap_mul(a.x_zero[first + r + i], w_sums[c]));
        if (a.w_zero) {
          const int32_t zero = (a.x_zero ? a.x_zero[a.x_zero_step * (first + r + i)] : 0) + moved;
          const int32_t rest = wrap_sub(sum_of_codes(rows + i * stride, a.k), wrap_mul((int32_t)a.k, zero));
          for (int c = 0; c < n; ++c) sum[c] = wrap_sub(sum[c], wrap_mul(a.w_zero[column + c], rest));
        }
        finish.store(sum, a.y, (first + r + i) * a.y_stride + column);
      }
      r += done;
    }
  }
}

}  // namespace

extern const MatmulInt8Kernels matmul_int8_kernels;
const MatmulInt8Kernels matmul_int8_kernels = {matmul};

}  // namespace tern::cpu::TERN_ISA
