// SPDX-License-Identifier: Apache-2.0
// Tensors that are made, copied, or written at indices: fill, range, bitcast, assume, trilu, non_zero,
// scatter_elements, scatter_nd, one_hot.
#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "backends/cpu/prepare.h"
#include "kernels/cpu/gather.h"
#include "ops/fill.h"
#include "ops/scatter.h"

namespace tern::cpu {
namespace {

// ---- fill ----

constexpr int64_t kFillBytes = 1 << 16;  // of one unit

struct FillArgs {
  char* y = nullptr;
  int64_t bytes = 0;
  char pattern[8] = {};  // the element, repeated
};

void run_fill(const void* args, int64_t begin, int64_t end, void*) {
  const FillArgs& a = *(const FillArgs*)args;
  const int64_t last = std::min(end * kFillBytes, a.bytes);
  int64_t i = begin * kFillBytes;
  for (; i + 8 <= last; i += 8) std::memcpy(a.y + i, a.pattern, 8);
  std::memcpy(a.y + i, a.pattern, (size_t)(last - i));
}

const char* refuse_nothing(const Graph&, const Node&) { return nullptr; }

tern_status prepare_fill(Prepare& p) {
  FillArgs& a = p.args<FillArgs>();
  const int64_t size = (int64_t)dtype_size(p.out(0).dtype);
  a.bytes = (int64_t)value_bytes(p.out(0));
  for (int64_t i = 0; i < 8 / size; ++i) store_element(p.out(0).dtype, a.pattern, i, p.node.attrs<FillAttrs>().value);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_fill, &a, (a.bytes + kFillBytes - 1) / kFillBytes, (double)kFillBytes / 8, 0);
  return TERN_OK;
}

// ---- range ----

template <class T>
struct RangeArgs {
  std::conditional_t<std::is_integral_v<T>, int64_t, double> start, step;
  T* y = nullptr;
  int64_t count = 0;
};
constexpr int64_t kRangeBlock = 4096;  // elements of one unit

template <class T>
void run_range(const void* args, int64_t begin, int64_t end, void*) {
  const RangeArgs<T>& a = *(const RangeArgs<T>*)args;
  for (int64_t i = begin * kRangeBlock; i < std::min(end * kRangeBlock, a.count); ++i)
    a.y[i] = (T)(a.start + (decltype(a.start))i * a.step);  // integers: between start and limit
}

template <class T>
tern_status prepare_range_of(Prepare& p) {
  RangeArgs<T>& a = p.args<RangeArgs<T>>();
  const auto number = [&](int i) {
    if constexpr (std::is_integral_v<T>) return load_integer(p.in(i).dtype, p.in(i).data.bytes, 0);
    else return load_element(p.in(i).dtype, p.in(i).data.bytes, 0);
  };
  a.start = number(0), a.step = number(2);
  a.count = p.out(0).shape[0];
  p.pointer(a.y, p.node.out[0]);
  p.call(run_range<T>, &a, (a.count + kRangeBlock - 1) / kRangeBlock, 2 * (double)kRangeBlock, 0);
  return TERN_OK;
}

const char* refuse_range(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[0]).dtype;
  return d == TERN_DTYPE_F32 || d == TERN_DTYPE_I32 || d == TERN_DTYPE_I64 ? nullptr
                                                                           : "the kernel makes f32, i32 and i64 only";
}

tern_status prepare_range(Prepare& p) {
  switch (p.in(0).dtype) {
    case TERN_DTYPE_I32: return prepare_range_of<int32_t>(p);
    case TERN_DTYPE_I64: return prepare_range_of<int64_t>(p);
    default: return prepare_range_of<float>(p);
  }
}

// ---- copies that others write into ----

struct CopyBytesArgs {
  const char* x = nullptr;
  char* y = nullptr;
  int64_t bytes = 0;
};

void run_copy(const void* args, int64_t begin, int64_t end, void*) {
  const CopyBytesArgs& a = *(const CopyBytesArgs*)args;
  const int64_t first = begin * kFillBytes, last = std::min(end * kFillBytes, a.bytes);
  if (a.x != a.y) std::memcpy(a.y + first, a.x + first, (size_t)(last - first));
}

tern_status prepare_copy(Prepare& p) {
  CopyBytesArgs& a = p.args<CopyBytesArgs>();
  a.bytes = (int64_t)value_bytes(p.out(0));
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_copy, &a, (a.bytes + kFillBytes - 1) / kFillBytes, (double)kFillBytes / 8, 0);
  return TERN_OK;
}

const char* refuse_bitcast(const Graph& g, const Node& n) {
  const Value &x = g.value(n.in[0]), &y = g.value(n.out[0]);
  if (!is_plain(x.encoding)) return "the kernel takes plain tensors only";
  return y.dtype == TERN_DTYPE_BOOL && x.dtype != y.dtype ? "the kernel makes no truth values" : nullptr;
}

// ---- trilu ----

struct TriluArgs {
  const char* x = nullptr;
  char* y = nullptr;
  const void* diagonal = nullptr;  // NULL: `k`
  DType dtype = TERN_DTYPE_I64;    // of diagonal
  int64_t k = 0, rows = 0, cols = 0, size = 0;
  bool upper = true;
};

// Unit: a row.
void run_trilu(const void* args, int64_t begin, int64_t end, void*) {
  const TriluArgs& a = *(const TriluArgs*)args;
  const int64_t k = a.diagonal ? load_integer(a.dtype, a.diagonal, 0) : a.k;
  for (int64_t u = begin; u < end; ++u) {
    // columns [first, last) stay
    const int64_t row = u % a.rows, far = std::clamp(k, -a.rows, a.cols),
                  edge = std::clamp<int64_t>(row + far + !a.upper, 0, a.cols);
    const int64_t first = a.upper ? edge : 0, last = a.upper ? a.cols : edge, at = u * a.cols;
    if (a.x != a.y)
      std::memcpy(a.y + (at + first) * a.size, a.x + (at + first) * a.size, (size_t)((last - first) * a.size));
    std::memset(a.y + at * a.size, 0, (size_t)(first * a.size));
    std::memset(a.y + (at + last) * a.size, 0, (size_t)((a.cols - last) * a.size));
  }
}

const char* refuse_unless_plain(const Graph& g, const Node& n) {
  return is_plain(g.value(n.in[0]).encoding) ? nullptr : "the kernel takes plain tensors only";
}

tern_status prepare_trilu(Prepare& p) {
  TriluArgs& a = p.args<TriluArgs>();
  const TriluAttrs& attrs = p.node.attrs<TriluAttrs>();
  const Shape& x = p.in(0).shape;
  a.k = attrs.k, a.upper = attrs.upper != 0;
  a.rows = x[x.rank - 2], a.cols = x[x.rank - 1];
  a.size = (int64_t)dtype_size(p.in(0).dtype);
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  if (p.has(1)) {
    a.dtype = p.in(1).dtype;
    p.pointer(a.diagonal, p.node.in[1]);
  }
  p.call(run_trilu, &a, x.elements() / std::max<int64_t>(a.cols, 1), (double)a.cols, 0);
  return TERN_OK;
}

// ---- non_zero ----

struct NonZeroArgs {
  const void* x = nullptr;
  int64_t *y = nullptr, *count = nullptr;
  int64_t rows = 0, cols = 0;  // of x: a row is its last dim
  int64_t capacity = 0;
  Shape shape;
};

// mask: the bits that are not all 0 in what is not 0.
template <class T>
void run_non_zero(const NonZeroArgs& a, T mask) {
  int64_t found = 0, at[kMaxRank] = {};
  const int last = a.shape.rank - 1;
  for (int64_t r = 0; r < a.rows && found < a.capacity; ++r) {
    const T* x = (const T*)a.x + r * a.cols;
    for (int64_t c = 0; c < a.cols && found < a.capacity; ++c) {
      if ((x[c] & mask) == 0) continue;
      for (int d = 0; d < last; ++d) a.y[d * a.capacity + found] = at[d];
      if (last >= 0) a.y[last * a.capacity + found] = c;
      ++found;
    }
    for (int d = last - 1; d >= 0 && ++at[d] == a.shape[d]; --d) at[d] = 0;
  }
  for (int d = 0; d <= last; ++d) std::fill(a.y + d * a.capacity + found, a.y + (d + 1) * a.capacity, 0);
  *a.count = found;
}

template <class T, bool kFloat>
void run_non_zero(const void* args, int64_t, int64_t, void*) {
  run_non_zero(*(const NonZeroArgs*)args, (T)((T) ~(T)0 >> (kFloat ? 1 : 0)));  // -0 is 0
}

tern_status prepare_non_zero(Prepare& p) {
  NonZeroArgs& a = p.args<NonZeroArgs>();
  a.shape = p.in(0).shape;
  a.cols = a.shape.rank ? a.shape[a.shape.rank - 1] : 1;
  a.rows = a.cols ? a.shape.elements() / a.cols : 0;
  a.capacity = p.out(0).shape[1];
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.pointer(a.count, p.node.out[1]);
  constexpr KernelFn kRun[2][4] = {
      {run_non_zero<uint8_t, false>, run_non_zero<uint16_t, false>, run_non_zero<uint32_t, false>,
       run_non_zero<uint64_t, false>},
      {nullptr, run_non_zero<uint16_t, true>, run_non_zero<uint32_t, true>, run_non_zero<uint64_t, true>}};
  const DType d = p.in(0).dtype;
  p.call(kRun[is_float(d)][std::countr_zero(dtype_size(d))], &a, 1, 0, 0);
  return TERN_OK;
}

// ---- scatter ----

const char* refuse_scatter(const Graph& g, const Node& n, int64_t reduction) {
  const Value &x = g.value(n.in[0]), &ids = g.value(n.in[1]);
  if (ids.dtype != TERN_DTYPE_I32 && ids.dtype != TERN_DTYPE_I64) return "the kernel takes i32 and i64 indices only";
  for (const ValueId v : n.in)
    if (!is_plain(g.value(v).encoding)) return "the kernel takes plain tensors only";
  return reduction == 0 || x.dtype == TERN_DTYPE_F32 || x.dtype == TERN_DTYPE_I32 || x.dtype == TERN_DTYPE_I64
             ? nullptr
             : "the kernel combines f32, i32 and i64 only";
}

Scatter scatter_of(int64_t reduction) {
  constexpr Scatter kKinds[] = {Scatter::assign, Scatter::add, Scatter::mul, Scatter::max, Scatter::min};
  return kKinds[reduction];
}

template <class Args>
void fill_scatter(Prepare& p, Args& a) {
  a.dtype = p.in(0).dtype;
  a.elem_size = (int32_t)dtype_size(p.in(0).dtype);
  a.index_dtype = p.in(1).dtype;
  a.error = p.error_flag();
  p.pointer(a.index, p.node.in[1]);
  p.pointer(a.updates, p.node.in[2]);
  p.pointer(a.y, p.node.out[0]);
}

const char* refuse_scatter_elements(const Graph& g, const Node& n) {
  return refuse_scatter(g, n, n.attrs<ScatterElementsAttrs>().reduction);
}

tern_status prepare_scatter_elements(Prepare& p) {
  TERN_TRY(prepare_copy(p));
  const ScatterElementsAttrs& attrs = p.node.attrs<ScatterElementsAttrs>();
  const Shape &x = p.in(0).shape, &ids = p.in(1).shape;
  ScatterElementsArgs& a = p.args<ScatterElementsArgs>();
  a.op = scatter_of(attrs.reduction);
  a.rank = x.rank;
  a.axis = (int32_t)(attrs.axis < 0 ? attrs.axis + x.rank : attrs.axis);
  for (int i = 0; i < x.rank; ++i) a.dims[i] = x[i], a.index_dims[i] = ids[i];
  fill_scatter(p, a);
  p.call(p.k.gather->scatter_elements, &a, units(a), 8.0 * (double)ids[a.axis], 0);
  return TERN_OK;
}

const char* refuse_scatter_nd(const Graph& g, const Node& n) {
  const ScatterNdAttrs& attrs = n.attrs<ScatterNdAttrs>();
  if (g.value(n.in[0]).shape.elements() == 0) return "the kernel takes tensors with elements only";
  return attrs.batch_dims != 0 ? "the kernel takes no batches" : refuse_scatter(g, n, attrs.reduction);
}

tern_status prepare_scatter_nd(Prepare& p) {
  TERN_TRY(prepare_copy(p));
  const Shape &x = p.in(0).shape, &ids = p.in(1).shape;
  ScatterNdArgs& a = p.args<ScatterNdArgs>();
  a.op = scatter_of(p.node.attrs<ScatterNdAttrs>().reduction);
  a.depth = (int32_t)ids[ids.rank - 1];
  a.count = a.slice = 1;
  for (int i = 0; i + 1 < ids.rank; ++i) a.count *= ids[i];
  for (int i = 0; i < x.rank; ++i)
    if (i < a.depth) a.dims[i] = x[i];
    else a.slice *= x[i];
  fill_scatter(p, a);
  p.call(p.k.gather->scatter_nd, &a, units(a), 4.0 * (double)a.count * (double)std::min(a.slice, kScatterCols), 0);
  return TERN_OK;
}

// ---- one_hot ----

struct OneHotValuesArgs {
  const char* values = nullptr;  // off, on
  OneHotArgs* to = nullptr;
};
void run_one_hot_values(const void* args, int64_t, int64_t, void*) {
  const OneHotValuesArgs& a = *(const OneHotValuesArgs*)args;
  std::memcpy(&a.to->off, a.values, (size_t)a.to->elem_size);
  std::memcpy(&a.to->on, a.values + a.to->elem_size, (size_t)a.to->elem_size);
}

const char* refuse_one_hot(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[0]).dtype;
  return d == TERN_DTYPE_I32 || d == TERN_DTYPE_I64 ? nullptr : "the kernel takes i32 and i64 indices only";
}

tern_status prepare_one_hot(Prepare& p) {
  const Shape &ids = p.in(0).shape, &y = p.out(0).shape;
  OneHotArgs& a = p.args<OneHotArgs>();
  int64_t axis = p.node.attrs<OneHotAttrs>().axis;
  if (axis < 0) axis += y.rank;
  a.elem_size = (int32_t)dtype_size(p.out(0).dtype);
  a.index_dtype = p.in(0).dtype;
  a.depth = y[(int)axis];
  a.outer = 1;
  for (int i = 0; i < ids.rank; ++i) (i < axis ? a.outer : a.inner) *= ids[i];
  a.on = a.off = 0;
  if (p.has(2)) {
    OneHotValuesArgs& values = p.args<OneHotValuesArgs>();
    values.to = &a;
    p.pointer(values.values, p.node.in[2]);
    p.call(run_one_hot_values, &values, 1, 0, 0);
  } else {
    const float one = 1;
    std::memcpy(&a.on, &one, sizeof one);
  }
  p.pointer(a.index, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.gather->one_hot, &a, units(a), (double)(a.depth * a.inner), 0);
  return TERN_OK;
}

constexpr CpuOp kOps[] = {
    {&op_fill, refuse_nothing, prepare_fill},
    {&op_range, refuse_range, prepare_range},
    {&op_bitcast, refuse_bitcast, prepare_copy},
    {&op_assume, refuse_unless_plain, prepare_copy},
    {&op_trilu, refuse_unless_plain, prepare_trilu},
    {&op_non_zero, refuse_unless_plain, prepare_non_zero},
    {&op_scatter_elements, refuse_scatter_elements, prepare_scatter_elements},
    {&op_scatter_nd, refuse_scatter_nd, prepare_scatter_nd},
    {&op_one_hot, refuse_one_hot, prepare_one_hot},
};

}  // namespace

std::span<const CpuOp> cpu_ops_scatter() { return kOps; }

}  // namespace tern::cpu
