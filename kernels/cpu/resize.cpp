// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/resize.h"

#include <string.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

template <class T>
void nearest_row(const ResizeNearestArgs& a, const T* x, T* y) {
  const int64_t channels = a.channels;
  for (int64_t j = 0; j < a.out_width; ++j, y += a.y_pixel) {
    const T* from = x + a.col[j] * channels;
    if (channels * (int64_t)sizeof(T) >= 64) {
      memcpy(y, from, (size_t)channels * sizeof(T));
    } else {
      for (int64_t c = 0; c < channels; ++c) y[c] = from[c];
    }
  }
}

void nearest(const void* args, int64_t begin, int64_t end, void*) {
  const ResizeNearestArgs& a = *(const ResizeNearestArgs*)args;
  const int64_t in_row = a.width * a.channels * a.elem_size, out_row = a.out_width * a.y_pixel * a.elem_size;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t i = u % a.out_height, picture = u / a.out_height;
    const char* x = (const char*)a.x + (picture * a.height + a.row[i]) * in_row;
    char* y = (char*)a.y + u * out_row;
    if (u > begin && i > 0 && a.row[i] == a.row[i - 1] && a.y_pixel == a.channels) {
      memcpy(y, y - out_row, (size_t)out_row);
      continue;
    }
    switch (a.elem_size) {
      case 1: nearest_row(a, (const uint8_t*)x, (uint8_t*)y); break;
      case 2: nearest_row(a, (const uint16_t*)x, (uint16_t*)y); break;
      case 4: nearest_row(a, (const uint32_t*)x, (uint32_t*)y); break;
      default: nearest_row(a, (const uint64_t*)x, (uint64_t*)y); break;
    }
  }
}

void blend_rows(const float* x, int64_t n, const int32_t* index, const float* weight, int taps, float* y) {
  if (taps == 2) {
    const float *p = x + index[0] * n, *q = x + index[1] * n;
    const Vec v = splat(weight[0]), w = splat(weight[1]);
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(y + i, fma(load(q + i), w, load(p + i) * v));
    const int tail = (int)(n - i);
    if (tail) store_part(y + i, fma(load_part(q + i, tail), w, load_part(p + i, tail) * v), tail);
    return;
  }
  for (int64_t i = 0; i < n; i += kLanes) {
    const int left = n - i < kLanes ? (int)(n - i) : kLanes;
    Vec sum = splat(0.0f);
    for (int k = 0; k < taps; ++k) {
      const float* p = x + index[k] * n + i;
      sum = fma(left == kLanes ? load(p) : load_part(p, left), splat(weight[k]), sum);
    }
    if (left == kLanes) store(y + i, sum);
    else store_part(y + i, sum, left);
  }
}

#if defined(__AVX512F__)
// 8, 24, 40, ... channels: a row of whole 32-byte vectors, while 64-byte ones would cross a cache line at every pixel.
void blend_columns_by_eight(const ResizeFilterArgs& a, const float* x, float* y) {
  const int64_t channels = a.channels, step = a.y_pixel;
  for (int64_t j = 0; j < a.out_width; ++j, y += step) {
    const int32_t* index = a.col + j * 2;
    const float* weight = a.col_weight + j * 2;
    const float *p = x + index[0] * channels, *q = x + index[1] * channels;
    const __m256 v = _mm256_set1_ps(weight[0]), w = _mm256_set1_ps(weight[1]);
    if (j + 1 < a.out_width && index[0] == index[2] && index[1] == index[3]) {
      const __m256 v1 = _mm256_set1_ps(weight[2]), w1 = _mm256_set1_ps(weight[3]);
      for (int64_t c = 0; c < channels; c += 8) {
        const __m256 left = _mm256_loadu_ps(p + c), right = _mm256_loadu_ps(q + c);
        _mm256_storeu_ps(y + c, _mm256_fmadd_ps(right, w, _mm256_mul_ps(left, v)));
        _mm256_storeu_ps(y + step + c, _mm256_fmadd_ps(right, w1, _mm256_mul_ps(left, v1)));
      }
      ++j, y += step;
      continue;
    }
    for (int64_t c = 0; c < channels; c += 8)
      _mm256_storeu_ps(y + c, _mm256_fmadd_ps(_mm256_loadu_ps(q + c), w, _mm256_mul_ps(_mm256_loadu_ps(p + c), v)));
  }
}
#endif

void blend_columns(const ResizeFilterArgs& a, const float* x, float* y) {
#if defined(__AVX512F__)
  if (a.col_taps == 2 && a.channels % 16 == 8) return blend_columns_by_eight(a, x, y);
#endif
  const int taps = a.col_taps;
  const int64_t channels = a.channels, step = a.y_pixel;
  for (int64_t j = 0; j < a.out_width; ++j, y += step) {
    const int32_t* index = a.col + j * taps;
    const float* weight = a.col_weight + j * taps;
    if (taps == 2) {
      const float *p = x + index[0] * channels, *q = x + index[1] * channels;
      const Vec v = splat(weight[0]), w = splat(weight[1]);
      int64_t c = 0;
      const int tail = (int)(channels % kLanes);
      // enlarging: the next pixel blends the same two
      if (j + 1 < a.out_width && index[0] == index[2] && index[1] == index[3]) {
        const Vec v1 = splat(weight[2]), w1 = splat(weight[3]);
        float* z = y + step;
        for (; c + kLanes <= channels; c += kLanes) {
          const Vec left = load(p + c), right = load(q + c);
          store(y + c, fma(right, w, left * v));
          store(z + c, fma(right, w1, left * v1));
        }
        if (tail) {
          const Vec left = load_part(p + c, tail), right = load_part(q + c, tail);
          store_part(y + c, fma(right, w, left * v), tail);
          store_part(z + c, fma(right, w1, left * v1), tail);
        }
        ++j, y += step;
        continue;
      }
      for (; c + kLanes <= channels; c += kLanes) store(y + c, fma(load(q + c), w, load(p + c) * v));
      if (tail) store_part(y + c, fma(load_part(q + c, tail), w, load_part(p + c, tail) * v), tail);
      continue;
    }
    for (int64_t c = 0; c < channels; c += kLanes) {
      const int left = channels - c < kLanes ? (int)(channels - c) : kLanes;
      Vec sum = splat(0.0f);
      for (int k = 0; k < taps; ++k) {
        const float* p = x + index[k] * channels + c;
        sum = fma(left == kLanes ? load(p) : load_part(p, left), splat(weight[k]), sum);
      }
      if (left == kLanes) store(y + c, sum);
      else store_part(y + c, sum, left);
    }
  }
}

// One or two channels: an output vector would be mostly empty, so pixels are taken one by one in plain code.
void blend_columns_narrow(const ResizeFilterArgs& a, const float* x, float* y) {
  for (int64_t j = 0; j < a.out_width; ++j, y += a.y_pixel) {
    const int32_t* index = a.col + j * a.col_taps;
    const float* weight = a.col_weight + j * a.col_taps;
    for (int64_t c = 0; c < a.channels; ++c) {
      float sum = x[index[0] * a.channels + c] * weight[0];
      for (int k = 1; k < a.col_taps; ++k) sum += x[index[k] * a.channels + c] * weight[k];
      y[c] = sum;
    }
  }
}

void filter(const void* args, int64_t begin, int64_t end, void* scratch) {
  const ResizeFilterArgs& a = *(const ResizeFilterArgs*)args;
  const int64_t in_row = a.width * a.channels, out_row = a.out_width * a.y_pixel;
  float* blended = (float*)scratch;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t i = u % a.out_height, picture = u / a.out_height;
    blend_rows(a.x + picture * a.height * in_row, in_row, a.row + i * a.row_taps, a.row_weight + i * a.row_taps,
               a.row_taps, blended);
    if (a.channels <= 2) blend_columns_narrow(a, blended, a.y + u * out_row);
    else blend_columns(a, blended, a.y + u * out_row);
  }
}

}  // namespace

extern const ResizeKernels resize_kernels;
const ResizeKernels resize_kernels = {nearest, filter};

}  // namespace tern::cpu::TERN_ISA
