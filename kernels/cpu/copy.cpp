// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/copy.h"

#include <string.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int64_t kTile = 16;

// A 4 x 4 tile of which rows are contiguous in x and columns are contiguous in y: y[c * ys + r] = x[r * xs + c].
void transpose_four(const uint32_t* x, int64_t xs, uint32_t* y, int64_t ys) {
#if defined(__x86_64__) && TERN_SIMD_XSIMD
  __m128 r[4];
  for (int k = 0; k < 4; ++k) r[k] = _mm_loadu_ps((const float*)x + k * xs);
  _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
  for (int k = 0; k < 4; ++k) _mm_storeu_ps((float*)y + k * ys, r[k]);
#else
  for (int j = 0; j < 4; ++j)
    for (int i = 0; i < 4; ++i) y[j * ys + i] = x[i * xs + j];
#endif
}

// The same for 16 x 16.
void transpose_tile(const uint32_t* x, int64_t xs, uint32_t* y, int64_t ys) {
#if defined(__AVX512F__)
  __m512i r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(x + i * xs);
  for (int i = 0; i < 16; i += 2)
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]), t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]), r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]), r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {  // r[4 g + i]: rows 4 g .. 4 g + 3 of columns i, i + 4, i + 8, i + 12
    t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88), t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
    t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88),
          t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    _mm512_storeu_si512(y + i * ys, _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88));
    _mm512_storeu_si512(y + (4 + i) * ys, _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88));
    _mm512_storeu_si512(y + (8 + i) * ys, _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd));
    _mm512_storeu_si512(y + (12 + i) * ys, _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd));
  }
#elif defined(__x86_64__) && TERN_SIMD_XSIMD
  for (int i = 0; i < kTile; i += 4)
    for (int j = 0; j < kTile; j += 4) transpose_four(x + i * xs + j, xs, y + j * ys + i, ys);
#else
  for (int j = 0; j < kTile; ++j)
    for (int i = 0; i < kTile; ++i) y[j * ys + i] = x[i * xs + j];
#endif
}
#if defined(__x86_64__) && TERN_SIMD_XSIMD
void transpose_tile(const uint8_t* x, int64_t xs, uint8_t* y, int64_t ys) {
  __m128i r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm_loadu_si128((const __m128i*)(x + i * xs));
  for (int round = 0; round < 4; ++round) {  // each puts bytes of rows i and i + 8 side by side
    for (int i = 0; i < 8; ++i)
      t[2 * i] = _mm_unpacklo_epi8(r[i], r[i + 8]), t[2 * i + 1] = _mm_unpackhi_epi8(r[i], r[i + 8]);
    for (int i = 0; i < 16; ++i) r[i] = t[i];
  }
  for (int i = 0; i < 16; ++i) _mm_storeu_si128((__m128i*)(y + i * ys), r[i]);
}
#endif
template <class T>
void transpose_four(const T* x, int64_t xs, T* y, int64_t ys) {
  for (int j = 0; j < 4; ++j)
    for (int i = 0; i < 4; ++i) y[j * ys + i] = x[i * xs + j];
}
template <class T>
void transpose_tile(const T* x, int64_t xs, T* y, int64_t ys) {
  for (int j = 0; j < kTile; ++j)
    for (int i = 0; i < kTile; ++i) y[j * ys + i] = x[i * xs + j];
}

// rows x cols with unit step over cols in y, or nearly so; any strides.
template <class T>
void block(const T* x, T* y, int64_t rows, int64_t cols, int64_t xr, int64_t xc, int64_t yr, int64_t yc) {
  if (xc == 1 && yc == 1) {
    if (cols * (int64_t)sizeof(T) >= 32) {
      for (int64_t r = 0; r < rows; ++r) memcpy(y + r * yr, x + r * xr, (size_t)cols * sizeof(T));
    } else {
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; ++c) y[r * yr + c] = x[r * xr + c];
    }
    return;
  }
  int64_t c0 = 0;
  if (xr == 1 && yc == 1 && rows >= kTile) {  // contiguous along rows in x, along cols in y
    for (; c0 + kTile <= cols; c0 += kTile) {
      int64_t r = 0;
      for (; r + kTile <= rows; r += kTile) transpose_tile(x + r + c0 * xc, xc, y + r * yr + c0, yr);
      for (; r < rows; ++r)
        for (int64_t c = c0; c < c0 + kTile; ++c) y[r * yr + c] = x[r + c * xc];
    }
  }
  if (xr == 1 && yc == 1) {
    for (; c0 + 4 <= cols; c0 += 4) {
      int64_t r = 0;
      for (; r + 4 <= rows; r += 4) transpose_four(x + r + c0 * xc, xc, y + r * yr + c0, yr);
      for (; r < rows; ++r)
        for (int64_t c = c0; c < c0 + 4; ++c) y[r * yr + c] = x[r + c * xc];
    }
  }
  if (xr == 1) {  // narrow: walk along x
    for (int64_t c = c0; c < cols; ++c)
      for (int64_t r = 0; r < rows; ++r) y[r * yr + c * yc] = x[r + c * xc];
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    const T* from = x + r * xr;
    T* to = y + r * yr;
    if (xc == 0 && yc == 1) {
      const T v = *from;
      for (int64_t c = c0; c < cols; ++c) to[c] = v;
    } else {
      for (int64_t c = c0; c < cols; ++c) to[c * yc] = from[c * xc];
    }
  }
}

template <class T>
void copy_units(const CopyArgs& a, int64_t begin, int64_t end) {
  const int last = a.rank - 1;
  const int64_t inner = a.dims[last], all_rows = last > 0 ? a.dims[last - 1] : 1;
  const int64_t xc = a.x_strides[last], yc = a.y_strides[last];
  const int64_t xr = last > 0 ? a.x_strides[last - 1] : 0, yr = last > 0 ? a.y_strides[last - 1] : 0;
  const int64_t col_blocks = (inner + a.block_cols - 1) / a.block_cols,
                row_blocks = (all_rows + a.block_rows - 1) / a.block_rows;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t col = u % col_blocks * a.block_cols, row = u / col_blocks % row_blocks * a.block_rows;
    int64_t rest = u / col_blocks / row_blocks, x = row * xr + col * xc, y = row * yr + col * yc;
    for (int d = last - 2; d >= 0; --d) {
      const int64_t i = rest % a.dims[d];
      rest /= a.dims[d];
      x += i * a.x_strides[d];
      y += i * a.y_strides[d];
    }
    block((const T*)a.x + x, (T*)a.y + y, all_rows - row < a.block_rows ? all_rows - row : a.block_rows,
          inner - col < a.block_cols ? inner - col : a.block_cols, xr, xc, yr, yc);
  }
}

void copy(const void* args, int64_t begin, int64_t end, void*) {
  const CopyArgs& a = *(const CopyArgs*)args;
  switch (a.elem_size) {
    case 1: return copy_units<uint8_t>(a, begin, end);
    case 2: return copy_units<uint16_t>(a, begin, end);
    case 4: return copy_units<uint32_t>(a, begin, end);
    default: return copy_units<uint64_t>(a, begin, end);
  }
}

// Where index i of a padded axis comes from, or -1: the constant.
int64_t pad_source(Pad mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (n <= 0) return -1;
  switch (mode) {
    case Pad::constant: return -1;
    case Pad::edge: return i < 0 ? 0 : n - 1;
    case Pad::wrap: return ((i % n) + n) % n;
    case Pad::reflect: {
      if (n == 1) return 0;
      const int64_t period = 2 * (n - 1), k = ((i % period) + period) % period;
      return k < n ? k : period - k;
    }
    case Pad::symmetric: {
      const int64_t period = 2 * n, k = ((i % period) + period) % period;
      return k < n ? k : period - 1 - k;
    }
  }
  return -1;
}

template <class T>
void fill(T* y, int64_t n, uint64_t value) {
  const T v = (T)value;
  for (int64_t i = 0; i < n; ++i) y[i] = v;
}
void fill(char* y, int64_t n, int size, uint64_t value) {
  switch (size) {
    case 1: return fill((uint8_t*)y, n, value);
    case 2: return fill((uint16_t*)y, n, value);
    case 4: return fill((uint32_t*)y, n, value);
    default: return fill((uint64_t*)y, n, value);
  }
}

void pad(const void* args, int64_t begin, int64_t end, void*) {
  const PadArgs& a = *(const PadArgs*)args;
  const int last = a.rank - 1;
  const int64_t in = a.dims[last], out = a.out_dims[last], before = a.before[last], bytes = a.inner * a.elem_size;
  for (int64_t u = begin; u < end; ++u) {
    int64_t rest = u, from = 0, step = 1;
    bool outside = in == 0 && a.mode == Pad::constant;
    for (int d = last - 1; d >= 0; --d) {
      const int64_t i = pad_source(a.mode, rest % a.out_dims[d] - a.before[d], a.dims[d]);
      rest /= a.out_dims[d];
      outside |= i < 0;
      from += i * step;
      step *= a.dims[d];
    }
    char* y = (char*)a.y + u * out * bytes;
    if (outside) {
      fill(y, out * a.inner, a.elem_size, a.value);
      continue;
    }
    const char* x = (const char*)a.x + from * in * bytes;
    // [0, left) and [right, out) of the row lie outside.
    int64_t left = before < 0 ? 0 : before < out ? before : out, right = before + in < out ? before + in : out;
    if (right < left) right = left;
    if (a.mode == Pad::constant) {
      fill(y, left * a.inner, a.elem_size, a.value);
      fill(y + right * bytes, (out - right) * a.inner, a.elem_size, a.value);
    } else {
      for (int64_t i = 0; i < left; ++i)
        memcpy(y + i * bytes, x + pad_source(a.mode, i - before, in) * bytes, (size_t)bytes);
      for (int64_t i = right; i < out; ++i)
        memcpy(y + i * bytes, x + pad_source(a.mode, i - before, in) * bytes, (size_t)bytes);
    }
    if (right > left) memcpy(y + left * bytes, x + (left - before) * bytes, (size_t)((right - left) * bytes));
  }
}

}  // namespace

extern const CopyKernels copy_kernels;
const CopyKernels copy_kernels = {copy, pad};

}  // namespace tern::cpu::TERN_ISA
