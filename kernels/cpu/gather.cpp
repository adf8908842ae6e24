// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/gather.h"

#include <string.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

// Index i of a tensor, wrapped once; -1 and *error = 1 if it is not in [0, n).
int64_t read_index(const void* index, int32_t dtype, int64_t i, int64_t n, int32_t* error) {
  int64_t v = dtype == TERN_DTYPE_I32 ? ((const int32_t*)index)[i] : ((const int64_t*)index)[i];
  if (v < 0) v += n;
  if (v >= 0 && v < n) return v;
  if (error) __atomic_store_n(error, 1, __ATOMIC_RELAXED);
  return -1;
}

void copy_row(void* y, const void* x, int64_t bytes) {
  if (bytes == 4) memcpy(y, x, 4);
  else if (bytes == 8) memcpy(y, x, 8);
  else memcpy(y, x, (size_t)bytes);
}

void gather(const void* args, int64_t begin, int64_t end, void*) {
  const GatherArgs& a = *(const GatherArgs*)args;
  const int64_t blocks = (a.count + kGatherRows - 1) / kGatherRows;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t outer = u / blocks, first = u % blocks * kGatherRows;
    const int64_t stop = first + kGatherRows < a.count ? first + kGatherRows : a.count;
    const char* x = (const char*)a.x + outer * a.rows * a.row_bytes;
    char* y = (char*)a.y + (outer * a.count + first) * a.row_bytes;
    for (int64_t i = first; i < stop; ++i, y += a.row_bytes) {
      const int64_t row = read_index(a.index, a.index_dtype, i, a.rows, a.error);
      if (row < 0) memset(y, 0, (size_t)a.row_bytes);
      else copy_row(y, x + row * a.row_bytes, a.row_bytes);
    }
  }
}

// Flat position of index tuple i over dims, or -1.
int64_t read_tuple(const void* index, int32_t dtype, int64_t i, int depth, const int64_t* dims, int32_t* error) {
  int64_t flat = 0;
  bool bad = false;
  for (int d = 0; d < depth; ++d) {
    const int64_t v = read_index(index, dtype, i * depth + d, dims[d], error);
    bad |= v < 0;
    flat = flat * dims[d] + v;
  }
  return bad ? -1 : flat;
}

void gather_nd(const void* args, int64_t begin, int64_t end, void*) {
  const GatherNdArgs& a = *(const GatherNdArgs*)args;
  const int64_t blocks = (a.count + kGatherRows - 1) / kGatherRows;
  int64_t slices = 1;
  for (int d = 0; d < a.depth; ++d) slices *= a.dims[d];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t batch = u / blocks, first = u % blocks * kGatherRows;
    const int64_t stop = first + kGatherRows < a.count ? first + kGatherRows : a.count;
    const char* x = (const char*)a.x + batch * slices * a.slice_bytes;
    char* y = (char*)a.y + (batch * a.count + first) * a.slice_bytes;
    for (int64_t i = first; i < stop; ++i, y += a.slice_bytes) {
      const int64_t at = read_tuple(a.index, a.index_dtype, batch * a.count + i, a.depth, a.dims, a.error);
      if (at < 0) memset(y, 0, (size_t)a.slice_bytes);
      else copy_row(y, x + at * a.slice_bytes, a.slice_bytes);
    }
  }
}

void gather_elements(const void* args, int64_t begin, int64_t end, void*) {
  const GatherElementsArgs& a = *(const GatherElementsArgs*)args;
  const int last = a.rank - 1;
  int64_t strides[kMaxRank];
  int64_t step = 1;
  for (int d = last; d >= 0; --d) strides[d] = step, step *= a.dims[d];
  const int64_t n = a.index_dims[last];
  for (int64_t u = begin; u < end; ++u) {
    int64_t rest = u, base = 0;
    for (int d = last - 1; d >= 0; --d) {
      if (d != a.axis) base += rest % a.index_dims[d] * strides[d];
      rest /= a.index_dims[d];
    }
    for (int64_t i = 0; i < n; ++i) {
      const int64_t v = read_index(a.index, a.index_dtype, u * n + i, a.dims[a.axis], a.error);
      const char* x = (const char*)a.x + (base + v * strides[a.axis] + (last == a.axis ? 0 : i)) * a.elem_size;
      char* y = (char*)a.y + (u * n + i) * a.elem_size;
      if (v < 0) memset(y, 0, (size_t)a.elem_size);
      else if (a.elem_size == 4) memcpy(y, x, 4);
      else memcpy(y, x, (size_t)a.elem_size);
    }
  }
}

template <class T, class U>
T combine(Scatter op, T y, T u) {
  switch (op) {
    case Scatter::add: return (T)((U)y + (U)u);
    case Scatter::mul: return (T)((U)y * (U)u);
    case Scatter::min: return u < y || u != u ? u : y;
    case Scatter::max: return u > y || u != u ? u : y;
    case Scatter::assign: break;
  }
  return u;
}

// y[i] op= u[i], n elements.
void update(Scatter op, int32_t dtype, int elem_size, void* y, const void* u, int64_t n) {
  if (op == Scatter::assign) {
    memcpy(y, u, (size_t)(n * elem_size));
  } else if (dtype == TERN_DTYPE_I32) {
    for (int64_t i = 0; i < n; ++i)
      ((int32_t*)y)[i] = combine<int32_t, uint32_t>(op, ((int32_t*)y)[i], ((const int32_t*)u)[i]);
  } else if (dtype == TERN_DTYPE_I64) {
    for (int64_t i = 0; i < n; ++i)
      ((int64_t*)y)[i] = combine<int64_t, uint64_t>(op, ((int64_t*)y)[i], ((const int64_t*)u)[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) ((float*)y)[i] = combine<float, float>(op, ((float*)y)[i], ((const float*)u)[i]);
  }
}

void scatter_elements(const void* args, int64_t begin, int64_t end, void*) {
  const ScatterElementsArgs& a = *(const ScatterElementsArgs*)args;
  int64_t strides[kMaxRank], index_strides[kMaxRank];
  int64_t step = 1, index_step = 1;
  for (int d = a.rank - 1; d >= 0; --d) {
    strides[d] = step, step *= a.dims[d];
    index_strides[d] = index_step, index_step *= a.index_dims[d];
  }
  for (int64_t u = begin; u < end; ++u) {
    int64_t rest = u, base = 0, from = 0;
    for (int d = a.rank - 1; d >= 0; --d) {
      if (d == a.axis) continue;
      const int64_t i = rest % a.index_dims[d];
      rest /= a.index_dims[d];
      base += i * strides[d];
      from += i * index_strides[d];
    }
    for (int64_t k = 0; k < a.index_dims[a.axis]; ++k) {
      const int64_t at = from + k * index_strides[a.axis];
      const int64_t v = read_index(a.index, a.index_dtype, at, a.dims[a.axis], a.error);
      if (v < 0) continue;
      update(a.op, a.dtype, a.elem_size, (char*)a.y + (base + v * strides[a.axis]) * a.elem_size,
             (const char*)a.updates + at * a.elem_size, 1);
    }
  }
}

void scatter_nd(const void* args, int64_t begin, int64_t end, void*) {
  const ScatterNdArgs& a = *(const ScatterNdArgs*)args;
  const int64_t blocks = (a.slice + kScatterCols - 1) / kScatterCols;
  int64_t slices = 1;
  for (int d = 0; d < a.depth; ++d) slices *= a.dims[d];
  for (int64_t u = begin; u < end;) {  // neighbours in one slice are taken together
    const int64_t o = u / blocks, block = u % blocks, more = end - u < blocks - block ? end - u : blocks - block;
    u += more;
    const int64_t first = block * kScatterCols,
                  stop = (block + more) * kScatterCols < a.slice ? (block + more) * kScatterCols : a.slice;
    for (int64_t i = 0; i < a.count; ++i) {
      const int64_t at = read_tuple(a.index, a.index_dtype, i, a.depth, a.dims, a.error);
      if (at < 0) continue;
      update(a.op, a.dtype, a.elem_size, (char*)a.y + ((o * slices + at) * a.slice + first) * a.elem_size,
             (const char*)a.updates + ((o * a.count + i) * a.slice + first) * a.elem_size, stop - first);
    }
  }
}

template <class T>
void one_hot(const OneHotArgs& a, int64_t begin, int64_t end) {
  const T on = (T)a.on, off = (T)a.off;
  const int64_t plane = a.depth * a.inner;
  for (int64_t u = begin; u < end; ++u) {
    T* y = (T*)a.y + u * plane;
    for (int64_t i = 0; i < plane; ++i) y[i] = off;
    for (int64_t i = 0; i < a.inner; ++i) {
      const int64_t v = read_index(a.index, a.index_dtype, u * a.inner + i, a.depth, nullptr);
      if (v >= 0) y[v * a.inner + i] = on;
    }
  }
}

void one_hot(const void* args, int64_t begin, int64_t end, void*) {
  const OneHotArgs& a = *(const OneHotArgs*)args;
  switch (a.elem_size) {
    case 1: return one_hot<uint8_t>(a, begin, end);
    case 2: return one_hot<uint16_t>(a, begin, end);
    case 4: return one_hot<uint32_t>(a, begin, end);
    default: return one_hot<uint64_t>(a, begin, end);
  }
}

template <class T, class U>
void cumsum(const CumsumArgs& a, int64_t begin, int64_t end) {
  const int64_t blocks = (a.inner + kScatterCols - 1) / kScatterCols;
  U sums[kScatterCols];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t col = u % blocks * kScatterCols, n = a.inner - col < kScatterCols ? a.inner - col : kScatterCols;
    const int64_t base = u / blocks * a.axis * a.inner + col;
    for (int64_t i = 0; i < n; ++i) sums[i] = 0;
    for (int64_t k = 0; k < a.axis; ++k) {
      const int64_t row = base + (a.reverse ? a.axis - 1 - k : k) * a.inner;
      const T* x = (const T*)a.x + row;
      T* y = (T*)a.y + row;
      for (int64_t i = 0; i < n; ++i) {
        const U before = sums[i];
        sums[i] += (U)x[i];
        y[i] = (T)(a.exclusive ? before : sums[i]);
      }
    }
  }
}

void cumsum(const void* args, int64_t begin, int64_t end, void*) {
  const CumsumArgs& a = *(const CumsumArgs*)args;
  switch (a.dtype) {
    case TERN_DTYPE_I32: return cumsum<int32_t, uint32_t>(a, begin, end);
    case TERN_DTYPE_I64: return cumsum<int64_t, uint64_t>(a, begin, end);
    case TERN_DTYPE_F64: return cumsum<double, double>(a, begin, end);
    default: return cumsum<float, float>(a, begin, end);
  }
}

}  // namespace

extern const GatherKernels gather_kernels;
const GatherKernels gather_kernels = {gather,     gather_nd, gather_elements, scatter_elements,
                                      scatter_nd, one_hot,   cumsum};

}  // namespace tern::cpu::TERN_ISA
