// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/matmul.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/epilogue.h"

namespace tern::cpu::TERN_ISA {

extern const ElementwiseKernels elementwise_kernels;

namespace {

// ---- tile sizes: as many accumulators as leave registers for one vector of weights per column and one value of A

#if defined(__AVX512BW__)
constexpr int kMaxRows = 14, kChunk = 32;  // 28 accumulators of 32 registers
#define TERN_TILE_HALF 1                   // a panel may end in half a vector: 8 and 24 columns
#elif defined(__AVX2__)
constexpr int kMaxRows = 6, kChunk = 16;  // 12 of 16
#define TERN_TILE_HALF 0
#elif defined(__aarch64__) && TERN_SIMD_XSIMD
constexpr int kMaxRows = 6, kChunk = 16;  // 24 of 32
#define TERN_TILE_HALF 0
#else
constexpr int kMaxRows = 6, kChunk = 8;  // 12 of 16
#define TERN_TILE_HALF 0
#endif

// Rows of the next tile when so many are left: tiles of 14, but rather two middling ones than a full and a tiny one.
#if defined(__AVX512BW__)
constexpr uint8_t kRowsLeft[] = {0,  1, 2, 3,  2,  5,  3,  7,  8,  7, 10, 8,  12, 8,
                                 14, 8, 8, 10, 10, 12, 10, 14, 12, 8, 12, 10, 14, 12};
#else
constexpr uint8_t kRowsLeft[] = {0, 1, 2, 3, 4, 5, 6, 4, 4, 5, 5, 6};
#endif
// f16 weights are widened as they are used for up to so many rows, bf16 for one.
#if defined(__AVX2__) || defined(__aarch64__)
constexpr int kDirectRows = 7;
constexpr bool kEndingsApart = false;
#else  // size before speed (sources.cmake)
constexpr int kDirectRows = 1;
constexpr bool kEndingsApart = true;
#endif
inline int next_rows(int64_t left) { return left >= 2 * kMaxRows ? kMaxRows : kRowsLeft[left]; }

#if TERN_TILE_HALF
using Half = __m256;
TERN_INLINE Half half_zero() { return _mm256_setzero_ps(); }
TERN_INLINE Half half_load(const float* p) { return _mm256_loadu_ps(p); }
TERN_INLINE Half half_load(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
TERN_INLINE Half half_load(const Bf16* p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16));
}
TERN_INLINE Half half_fma(const float* a, Half b, Half c) { return _mm256_fmadd_ps(_mm256_broadcast_ss(a), b, c); }
TERN_INLINE Half lower_half(Vec v) { return _mm512_castps512_ps256(v); }
TERN_INLINE Vec whole(Half h) { return _mm512_zextps256_ps512(h); }
#else
struct Half {};
TERN_INLINE Half half_zero() { return {}; }
template <class W>
TERN_INLINE Half half_load(const W*) {
  return {};
}
TERN_INLINE Half half_fma(const float*, Half, Half) { return {}; }
TERN_INLINE Half lower_half(Vec) { return {}; }
TERN_INLINE Vec whole(Half) { return splat(0); }
#endif

// ---- epilogues

TERN_INLINE Vec read(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_part(p, lanes); }

TERN_INLINE void write(float* p, Vec v, int lanes) { lanes == kLanes ? store(p, v) : store_part(p, v, lanes); }

// What ending_of knows, a vector at a time.
void finish_rows_at_once(const FinishRows& f, const Ending& end) {
  for (int64_t r = 0; r < f.rows; ++r)
    for (int64_t j = 0; j < f.n; j += kLanes) {
      const int lanes = f.n - j < kLanes ? (int)(f.n - j) : kLanes;
      Vec v = read(f.sums + r * f.sums_stride + j, lanes);
      finish(
          end, [&v](auto step) __attribute__((always_inline)) { v = step(v, 0); },
          [=](const float* list, int) __attribute__((always_inline)) { return read(list + j, lanes); },
          [&]() __attribute__((always_inline)) { v = v + read(end.residual + r * end.residual_stride + j, lanes); });
      write(f.y + r * f.y_stride + j, v, lanes);
    }
}

// Any other activation has its formula in one place, the element-wise kernels: they get as many numbers at once as
// there are side by side, and where steps stand around the activation, some rows at a time are copied.
void finish_rows(const FinishRows& f) {
  const Epilogue& e = *f.epilogue;
  const Ending end = ending_of(e);
  if (end.kind != Finish::later) return finish_rows_at_once(f, end);
  const auto activate = [&e](const float* from, float* to, int64_t n) {
    elementwise_kernels.unary_row(e.activation, from, to, n);
  };
  const bool before = e.residual && e.residual_first, after = e.residual && !e.residual_first;
  const bool as_they_are = !e.scale && !before;  // sums
  if (as_they_are && !e.out_scale && !e.residual && (f.rows == 1 || (f.sums_stride == f.n && f.y_stride == f.n)))
    return activate(f.sums, f.y, f.rows * f.n);
  constexpr int64_t kRoom = 512;
  alignas(64) float room[kRoom];
  const Vec lo = splat(e.residual_lo), hi = splat(e.residual_hi);
  for (int64_t j0 = 0; j0 < f.n; j0 += kRoom) {
    const int64_t n = f.n - j0 < kRoom ? f.n - j0 : kRoom, pitch = (n + kLanes - 1) / kLanes * kLanes;
    for (int64_t r0 = 0; r0 < f.rows;) {
      const int64_t rows = f.rows - r0 < kRoom / pitch ? f.rows - r0 : kRoom / pitch;
      const auto each = [&](auto g) __attribute__((always_inline)) {  // g(row, column, place in the room, lanes)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t j = 0; j < n; j += kLanes)
            g(r0 + r, j0 + j, room + r * pitch + j, n - j < kLanes ? (int)(n - j) : kLanes);
      };
      if (as_they_are && f.sums_stride == n && n == pitch) {
        activate(f.sums + r0 * n, room, rows * n);
      } else {
        each([&](int64_t r, int64_t j, float* at, int lanes) __attribute__((always_inline)) {
          Vec v = read(f.sums + r * f.sums_stride + j, lanes);
          if (e.scale) v = fma(v, read(e.scale + j, lanes), read(e.bias + j, lanes));
          if (before) v = v + read(e.residual + r * e.residual_stride + j, lanes);
          store(at, v);
        });
        activate(room, room, rows * pitch);
      }
      each([&](int64_t r, int64_t j, const float* at, int lanes) __attribute__((always_inline)) {
        Vec v = load(at);
        if (e.out_scale) v = fma(v, read(e.out_scale + j, lanes), read(e.out_bias + j, lanes));
        if (after) v = v + read(e.residual + r * e.residual_stride + j, lanes);
        if (e.residual) v = clip(v, lo, hi);
        write(f.y + r * f.y_stride + j, v, lanes);
      });
      r0 += rows;
    }
  }
}

// ---- the tile

struct Tile {
  const float* const* a;
  const int64_t* w_first;
  int64_t runs, run_length, a_stride, a_offset;  // of the tile's first row within each run
  const void* w;                                 // column chunk of the panel
  int64_t w_step;                                // elements from one input to the next: the panel's width
  float* y;
  int64_t y_stride;
  const Ending* end;
  int64_t n;              // the chunk's first column in lists per channel
  const float* residual;  // of the tile's first output; NULL if none
  const float* start;     // sums start from here, or (NULL) from the bias
  int64_t start_stride;
  int32_t fetch_rows;  // prefetch the next rows of A
};

#if TERN_TILE_HALF
// Vector v of a row: the one after the whole vectors is half a vector.
TERN_INLINE Vec load_columns(const float* row, int v, int whole_vecs) {
  return v < whole_vecs ? load(row + v * kLanes) : whole(half_load(row + v * kLanes));
}
TERN_INLINE void store_columns(float* row, int v, int whole_vecs, Vec x) {
  if (v < whole_vecs) store(row + v * kLanes, x);
  else _mm256_storeu_ps(row + v * kLanes, lower_half(x));
}
#else
TERN_INLINE Vec load_columns(const float* row, int v, int) { return load(row + v * kLanes); }
TERN_INLINE void store_columns(float* row, int v, int, Vec x) { store(row + v * kLanes, x); }
#endif

// The ending of sums [vector][row], for tiles of every size: unrolled in each of them it is most of their code.
[[maybe_unused]] __attribute__((noinline)) void finish_apart(const Tile& t, Vec* sums, int rows, int vecs) {
  const auto each = [=](auto f) __attribute__((always_inline)) {
    for (int v = 0; v < vecs; ++v)
      for (int m = 0; m < rows; ++m) sums[v * rows + m] = f(sums[v * rows + m], v);
  };
  const auto get = [&t](const float* p, int v) __attribute__((always_inline)) { return load(p + t.n + v * kLanes); };
  finish(
      *t.end, each, get, [&]() __attribute__((always_inline)) {
        for (int v = 0; v < vecs; ++v)
          for (int m = 0; m < rows; ++m)
            sums[v * rows + m] = sums[v * rows + m] + load(t.residual + m * t.end->residual_stride + v * kLanes);
      });
  for (int v = 0; v < vecs; ++v)
    for (int m = 0; m < rows; ++m) store(t.y + m * t.y_stride + v * kLanes, sums[v * rows + m]);
}

// ROWS rows times NV vectors (and HALF a one) of columns. Rows are addressed from one base per five: base + {0,1,2,3,4}
// * stride.
template <int ROWS, int NV, int HALF, class W>
void tile(const Tile& t) {
  constexpr int kVecs = NV + HALF;
  Vec acc[ROWS][kVecs];
  Half half[ROWS];

#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) prefetch_write(t.y + m * t.y_stride);
  if (t.start) {
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; ++m)
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) acc[m][v] = load_columns(t.start + m * t.start_stride, v, NV);
  } else {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) {
      const Vec b = t.end->bias ? load_columns(t.end->bias + t.n, v, NV) : splat(0);
#pragma GCC unroll 16
      for (int m = 0; m < ROWS; ++m) acc[m][v] = b;
    }
  }
  if constexpr (HALF) {
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; ++m) half[m] = lower_half(acc[m][NV]);
  }

  const W* w = (const W*)t.w;
  const int64_t s = t.a_stride, w_step = t.w_step;
  for (int64_t r = 0; r < t.runs; ++r) {
    if (t.w_first) w = (const W*)t.w + t.w_first[r] * w_step;
    const float* p0 = t.a[r] + t.a_offset;
    const float *p1 = p0 + 5 * s, *p2 = p0 + 10 * s;
    const char* ahead = (const char*)(t.fetch_rows ? p0 + ROWS * s : p0);
    const int64_t ahead_step = t.fetch_rows && t.run_length > 0 ? ROWS * s * 4 / t.run_length : 0;
    const auto step = [&]() __attribute__((always_inline)) {
      Vec b[kVecs];
      Half bh;
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) b[v] = load_as_f32(w + v * kLanes);
      if constexpr (HALF) bh = half_load(w + NV * kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < ROWS; ++m) {
        const float* p = (m < 5 ? p0 : m < 10 ? p1 : p2) + (m % 5) * s;
        if constexpr (NV > 0) {
          const Vec x = splat(*p);
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v) acc[m][v] = fma(x, b[v], acc[m][v]);
        }
        if constexpr (HALF) half[m] = half_fma(p, bh, half[m]);
      }
      if constexpr (ROWS == 1) {  // weights are used once: fetch them ahead
#pragma GCC unroll 8
        for (int line = 0; line < kVecs * kLanes; line += 64 / (int)sizeof(W)) prefetch(w + 8 * w_step + line);
      }
      prefetch(ahead);
      ahead += ahead_step;
      w += w_step;
      ++p0, ++p1, ++p2;
    };
#if defined(__AVX512BW__)
    for (int64_t k = 0; k < t.run_length; ++k) step();
#else
#pragma GCC unroll 4
    for (int64_t k = 0; k < t.run_length; ++k) step();
#endif
  }
  if constexpr (HALF) {
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; ++m) acc[m][NV] = whole(half[m]);
  }

  if (kEndingsApart && !is_plain(*t.end)) {
    Vec sums[kVecs * ROWS];  // apart, so that the sums above stay in registers
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v)
#pragma GCC unroll 16
      for (int m = 0; m < ROWS; ++m) sums[v * ROWS + m] = acc[m][v];
    return finish_apart(t, sums, ROWS, kVecs);
  }
  const auto each = [&](auto f) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v)
#pragma GCC unroll 16
      for (int m = 0; m < ROWS; ++m) acc[m][v] = f(acc[m][v], v);
  };
  const auto get = [&](const float* p, int v) __attribute__((always_inline)) { return load_columns(p + t.n, v, NV); };
  const auto add_residual = [&]() __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; ++m)
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v)
        acc[m][v] = acc[m][v] + load_columns(t.residual + m * t.end->residual_stride, v, NV);
  };
  if constexpr (!kEndingsApart) finish(*t.end, each, get, add_residual);

#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m)
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) store_columns(t.y + m * t.y_stride, v, NV, acc[m][v]);
}

using TileFn = void (*)(const Tile&);

// The tile for so many rows and columns; a single row takes the whole panel at once.
template <class W, int NV, int HALF>
TileFn tile_for_rows(int rows) {
  if constexpr (sizeof(W) == 2 && (kDirectRows == 1 || __is_same(W, Bf16))) return tile<1, NV, HALF, W>;
#if defined(__AVX512BW__)
  static constexpr TileFn kSmall[] = {tile<1, NV, HALF, W>, tile<2, NV, HALF, W>, tile<3, NV, HALF, W>,
                                      tile<5, NV, HALF, W>, tile<7, NV, HALF, W>};
  if constexpr (sizeof(W) == 4) {  // f16 is widened beforehand for so many rows
    static constexpr TileFn kLarge[] = {tile<8, NV, HALF, W>, tile<10, NV, HALF, W>, tile<12, NV, HALF, W>,
                                        tile<14, NV, HALF, W>};
    if (rows >= 8) return kLarge[(rows - 8) / 2];
  }
  constexpr int8_t kIndex[] = {0, 0, 1, 2, 0, 3, 0, 4};
  return kSmall[kIndex[rows]];
#else
  static constexpr TileFn kTiles[] = {tile<1, NV, HALF, W>, tile<2, NV, HALF, W>, tile<3, NV, HALF, W>,
                                      tile<4, NV, HALF, W>, tile<5, NV, HALF, W>, tile<6, NV, HALF, W>};
  return kTiles[rows - 1];
#endif
}

template <class W>
TileFn tile_for(int rows, int width) {
#if TERN_TILE_HALF
  switch (width) {
    case 32: return tile_for_rows<W, 2, 0>(rows);
    case 24: return tile_for_rows<W, 1, 1>(rows);
    case 16: return tile_for_rows<W, 1, 0>(rows);
    default: return tile_for_rows<W, 0, 1>(rows);
  }
#else
  if (rows == 1 && width == 32) return tile<1, 32 / kLanes, 0, W>;
  if (width == 8) return tile_for_rows<W, 8 / kLanes, 0>(rows);
  return tile_for_rows<W, kChunk / kLanes, 0>(rows);
#endif
}

template <class W>
void widen(const W* w, float* out, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, load_as_f32(w + i));
  if (i < n) store_part(out + i, load_part_as_f32(w + i, (int)(n - i)), (int)(n - i));
}
void widen(int32_t half, const void* w, float* out, int64_t n) {
  half == kBf16 ? widen((const Bf16*)w, out, n) : widen((const uint16_t*)w, out, n);
}

// ---- rows times panels

// Rows that go through all panels before the next rows are taken: their part of A stays in the L2 cache. Not too few,
// since f16 panels are widened anew for each block.
int64_t rows_per_block(const PanelRows& p) {
  constexpr int64_t kFloats = 80 << 10, kStep = kMaxRows * 2;
  const int64_t k = p.runs * p.run_length, rows = kFloats / (k > 0 ? k : 1) / kStep * kStep;
  constexpr int64_t kMost = 384 / kStep * kStep;
  return rows < 4 * kStep ? 4 * kStep : rows > kMost ? kMost : rows;
}

// A tile that ends in zero columns, or whose activation is costly: it is computed in a full-width copy of everything
// that is as wide as its outputs. t is of row r and output n.
[[gnu::noinline]] void finish_tile(const PanelRows& p, Tile t, TileFn run, int64_t r, int64_t n, int rows,
                                   int columns) {
  constexpr int64_t kStride = kPanelWidth;
  alignas(64) float sums[kMaxRows * kStride], residual[kMaxRows * kStride], lists[6][kStride];
  const auto copy = [columns](float* out, const float* in) __attribute__((always_inline)) {
    for (int i = 0; i < (columns + 7) / 8 * 8; i += kLanes) {
      const int left = columns - i, lanes = left < 0 ? 0 : left < kLanes ? left : kLanes;
      store(out + i, lanes ? load_part(in + i, lanes) : splat(0));
    }
  };
  float* y = t.y;
  Ending end = *t.end;
  end.residual_stride = kStride;
  float* list = lists[0];
  for (const float** q : {&end.bias, &end.scale, &end.shift, &end.slope, &end.out_scale, &end.out_bias}) {
    if (*q) copy(list, *q + n), *q = list;
    list += kStride;
  }
  for (int m = 0; m < rows; ++m) {
    if (t.start) copy(sums + m * kStride, t.start + m * t.start_stride);
    if (t.residual) copy(residual + m * kStride, t.residual + m * t.end->residual_stride);
  }
  if (t.residual) t.residual = residual;
  if (t.start) t.start = sums, t.start_stride = kStride;
  t.y = sums, t.y_stride = kStride, t.end = &end, t.n = 0;
  run(t);
  if (end.kind == Finish::later) {
    const Epilogue e = epilogue_at(*p.epilogue, r, n);
    finish_rows({sums, y, kStride, p.y_stride, rows, columns, &e});
    return;
  }
  for (int m = 0; m < rows; ++m)
    for (int i = 0; i < columns; i += kLanes) {
      const int lanes = columns - i < kLanes ? columns - i : kLanes;
      const Vec v = load(sums + m * kStride + i);
      if (lanes == kLanes) store(y + m * p.y_stride + i, v);
      else store_part(y + m * p.y_stride + i, v, lanes);
    }
}

// Rows [r0, r1) times one panel of `width` columns from n0; t has its weights and where its sums start.
template <class W>
void rows_times_panel(const PanelRows& p, const Ending& end, Tile t, int64_t r0, int64_t r1, int64_t n0, int width) {
  const char* w = (const char*)t.w;
  const float* start = t.start;
  t.w_step = width, t.end = &end, t.y_stride = p.y_stride;
  for (int64_t r = r0; r < r1;) {
    const int rows = next_rows(r1 - r);
    const int chunk = kChunk == kPanelWidth || (rows == 1 && width == kPanelWidth) ? width : kChunk;
    t.a_offset = r * p.a_stride;
    for (int c = 0; c < width; c += chunk) {
      const int64_t n = n0 + c;
      const int columns = width - c < chunk ? width - c : chunk;
      if (p.n <= n) break;
      t.w = w + c * (int)sizeof(W);
      t.start = start ? start + (r - r0) * t.start_stride + c : nullptr;
      t.y = p.y + r * p.y_stride + n;
      t.n = n;
      t.residual = end.residual ? end.residual + r * end.residual_stride + n : nullptr;
      const int used = p.n - n < columns ? (int)(p.n - n) : columns;
      const TileFn run = tile_for<W>(rows, columns);
      if (used < columns || end.kind == Finish::later) finish_tile(p, t, run, r, n, rows, used);
      else run(t);
    }
    r += rows;
  }
}

void panel_rows(const PanelRows& p) {
  Ending end = ending_of(*p.epilogue);
  if (p.store_sums) end = only_sums(end);
  const int64_t block = rows_per_block(p);
  Tile t = {};
  t.a = p.a, t.w_first = p.w_first, t.runs = p.runs, t.run_length = p.run_length, t.a_stride = p.a_stride;
  for (int64_t r0 = 0; r0 < p.rows;) {
    const int64_t r1 = p.rows - r0 < block + kMaxRows ? p.rows : r0 + block;  // no tiny block at the end
    for (int64_t n0 = p.n_begin; n0 < p.n_end; n0 += kPanelWidth) {
      const int width = (int)panel_width(p.n, n0);
      t.w = (const char*)p.w + n0 * p.k * (p.w_half ? 2 : 4);
      t.fetch_rows = n0 == p.n_begin;
      t.start = p.load_y ? p.y + r0 * p.y_stride + n0 : nullptr, t.start_stride = p.y_stride;
      if (p.w_half == kBf16 && r1 - r0 == 1) {
        rows_times_panel<Bf16>(p, end, t, r0, r1, n0, width);
        continue;
      }
      if (p.w_half == kF16 && r1 - r0 <= kDirectRows) {
        rows_times_panel<uint16_t>(p, end, t, r0, r1, n0, width);
        continue;
      }
      if (p.w_half) {
        widen(p.w_half, t.w, p.panel, width * p.k);
        t.w = p.panel;
      }
      rows_times_panel<float>(p, end, t, r0, r1, n0, width);
    }
    r0 = r1;
  }
}

void panel_matmul(const void* args, int64_t begin, int64_t end, void* scratch) {
  const PanelMatmulArgs& a = *(const PanelMatmulArgs*)args;
  const PanelMatmulUnits u = panel_matmul_split(a.rows, a.n, a.k);
  while (begin < end) {
    const int64_t group = begin / u.row_blocks, first = begin % u.row_blocks;
    const int64_t last = end - begin < u.row_blocks - first ? first + (end - begin) : u.row_blocks;
    const int64_t r0 = first * u.rows_per_block,
                  r1 = last * u.rows_per_block < a.rows ? last * u.rows_per_block : a.rows;
    const float* x = a.x + r0 * a.x_stride;
    const Epilogue e = epilogue_at(a.epilogue, r0, 0);
    PanelRows p;
    p.a = &x, p.run_length = a.k, p.a_stride = a.x_stride, p.rows = r1 - r0;
    p.w = a.w, p.w_half = a.w_half, p.n = a.n, p.k = a.k;
    p.n_begin = group * u.panels_per_group * kPanelWidth;
    p.n_end = p.n_begin + u.panels_per_group * kPanelWidth < a.n ? p.n_begin + u.panels_per_group * kPanelWidth : a.n;
    p.y = a.y + r0 * a.y_stride, p.y_stride = a.y_stride, p.epilogue = &e, p.panel = (float*)scratch;
    panel_rows(p);
    begin += last - first;
  }
}

// ---- run-time matrices: blocks of both factors are copied into scratch, B in panels

void transpose(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride) {
#if defined(__AVX2__)
  constexpr int kBlock = 8;
  const auto block = [](const float* p, int64_t ps, float* q, int64_t qs) {
    __m256 r[8], s[8];
    for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(p + i * ps);
    for (int i = 0; i < 8; i += 2)
      s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]), s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    for (int i = 0; i < 8; i += 4) {
      r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44), r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
      r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44), r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      _mm256_storeu_ps(q + i * qs, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
      _mm256_storeu_ps(q + (i + 4) * qs, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
  };
#elif defined(__x86_64__) && TERN_SIMD_XSIMD
  constexpr int kBlock = 4;
  const auto block = [](const float* p, int64_t ps, float* q, int64_t qs) {
    __m128 a = _mm_loadu_ps(p), b = _mm_loadu_ps(p + ps), c = _mm_loadu_ps(p + 2 * ps), d = _mm_loadu_ps(p + 3 * ps);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(q, a), _mm_storeu_ps(q + qs, b), _mm_storeu_ps(q + 2 * qs, c), _mm_storeu_ps(q + 3 * qs, d);
  };
#else
  constexpr int kBlock = 4;
  const auto block = [](const float* p, int64_t ps, float* q, int64_t qs) {
    for (int j = 0; j < 4; ++j)
      for (int i = 0; i < 4; ++i) q[j * qs + i] = p[i * ps + j];
  };
#endif
  int64_t i = 0;
  for (; i + kBlock <= rows; i += kBlock) {
    int64_t j = 0;
    for (; j + kBlock <= columns; j += kBlock)
      block(in + i * in_stride + j, in_stride, out + j * out_stride + i, out_stride);
    for (; j < columns; ++j)
      for (int64_t q = i; q < i + kBlock; ++q) out[j * out_stride + q] = in[q * in_stride + j];
  }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) out[j * out_stride + i] = in[i * in_stride + j];
}

// [depth][columns] of op(b), starting at (k0, n0), to panel order
void pack_b(const MatmulArgs& a, const float* b, int64_t k0, int64_t depth, int64_t n0, int64_t columns,
            float* panels) {
  for (int64_t c = 0; c < columns; c += kPanelWidth) {
    const int64_t width = panel_width(columns, c), used = columns - c < width ? columns - c : width;
    if (a.b_transposed) {
      transpose(b + (n0 + c) * a.b_stride + k0, a.b_stride, used, depth, panels, width);
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t i = used; i < width; ++i) panels[k * width + i] = 0;
    } else {
      for (int64_t k = 0; k < depth; ++k) {
        const float* p = b + (k0 + k) * a.b_stride + n0 + c;
        float* q = panels + k * width;
        int64_t i = 0;
        for (; i + kLanes <= used; i += kLanes) store(q + i, load(p + i));
        for (; i < width; ++i) q[i] = i < used ? p[i] : 0;
      }
    }
    panels += depth * width;
  }
}

// sums[r][j] = start[j] + row r of x times row j of b, for ROWS rows and n rows of b; start may be NULL. With so few
// rows, to pack B would take longer than to read it once.
template <int ROWS>
void dot_rows(const MatmulArgs& a, const float* x, const float* b, int64_t n, const float* start, float* sums) {
  constexpr int kColumns = 8 / ROWS;
  for (int64_t j = 0; j < n; j += kColumns) {
    const float* rows[kColumns];
    for (int c = 0; c < kColumns; ++c) rows[c] = b + (j + c < n ? j + c : n - 1) * a.b_stride;
    Vec s[ROWS][kColumns];
    for (int r = 0; r < ROWS; ++r)
      for (int c = 0; c < kColumns; ++c) s[r][c] = splat(0);
    for (int64_t k = 0; k < a.k; k += kLanes) {
      const int lanes = a.k - k < kLanes ? (int)(a.k - k) : kLanes;
      Vec v[ROWS];
      for (int r = 0; r < ROWS; ++r) v[r] = load_part(x + r * a.a_stride + k, lanes);
      for (int c = 0; c < kColumns; ++c) {
        const Vec w = load_part(rows[c] + k, lanes);
        for (int r = 0; r < ROWS; ++r) s[r][c] = fma(v[r], w, s[r][c]);
      }
    }
    for (int r = 0; r < ROWS; ++r)
      for (int c = 0; c < kColumns && j + c < n; ++c)
        sums[r * kMatmulColumns + j + c] = sum_lanes(s[r][c]) + (start ? start[j + c] : 0);
  }
}

// A unit is a block of rows times a block of columns. Consecutive units share their columns: B is packed once for all.
void matmul(const void* args, int64_t begin, int64_t end, void* scratch) {
  const MatmulArgs& a = *(const MatmulArgs*)args;
  const int64_t most = matmul_depth(a);
  float *panels = (float*)scratch, *rows = panels + kMatmulColumns * most;
  const int64_t row_blocks = (a.m + kMatmulRows - 1) / kMatmulRows,
                column_blocks = (a.n + kMatmulColumns - 1) / kMatmulColumns;
  for (int64_t unit = begin; unit < end;) {
    const int64_t i = unit % row_blocks, j = unit / row_blocks % column_blocks,
                  batch = unit / row_blocks / column_blocks;
    const int64_t blocks = end - unit < row_blocks - i ? end - unit : row_blocks - i;
    unit += blocks;
    const int64_t outer = batch / a.batch[1], inner = batch % a.batch[1];
    const float* x = a.a + outer * a.a_batch[0] + inner * a.a_batch[1];
    const float* b = a.b + outer * a.b_batch[0] + inner * a.b_batch[1];
    float* y = a.y + outer * a.y_batch[0] + inner * a.y_batch[1];
    const int64_t m0 = i * kMatmulRows, m1 = (i + blocks) * kMatmulRows < a.m ? (i + blocks) * kMatmulRows : a.m,
                  n0 = j * kMatmulColumns;
    const int64_t n = a.n - n0 < kMatmulColumns ? a.n - n0 : kMatmulColumns;
    if (a.b_transposed && !a.a_transposed && !a.accumulate && a.m <= 2) {
      const Epilogue e = epilogue_at(a.epilogue, m0, n0);
      (a.m == 1 ? dot_rows<1> : dot_rows<2>)(a, x, b + n0 * a.b_stride, n, e.scale ? nullptr : e.bias, panels);
      finish_rows({panels, y + n0, kMatmulColumns, a.y_stride, a.m, n, &e});
      continue;
    }
    int64_t k0 = 0;
    do {  // at least once: k may be 0
      const int64_t depth = a.k - k0 < most ? a.k - k0 : most;
      pack_b(a, b, k0, depth, n0, n, panels);
      for (int64_t m = m0; m < m1; m += kMatmulRows) {
        PanelRows p;
        p.rows = m1 - m < kMatmulRows ? m1 - m : kMatmulRows;
        const float* first = x + m * a.a_stride + k0;
        p.a_stride = a.a_stride;
        if (a.a_transposed) {
          transpose(x + k0 * a.a_stride + m, a.a_stride, depth, p.rows, rows, depth);
          first = rows, p.a_stride = depth;
        }
        const Epilogue e = epilogue_at(a.epilogue, m, n0);
        p.a = &first, p.run_length = depth, p.w = panels, p.n = n, p.k = depth, p.n_end = n;
        p.y = y + m * a.y_stride + n0, p.y_stride = a.y_stride, p.epilogue = &e;
        p.load_y = k0 > 0 || a.accumulate, p.store_sums = k0 + depth < a.k;
        panel_rows(p);
      }
      k0 += depth;
    } while (k0 < a.k);
  }
}

}  // namespace

extern const MatmulKernels matmul_kernels;
const MatmulKernels matmul_kernels = {panel_matmul, matmul, panel_rows, finish_rows, widen, transpose};

}  // namespace tern::cpu::TERN_ISA
