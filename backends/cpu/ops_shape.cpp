// SPDX-License-Identifier: Apache-2.0
// Moving elements: reshape, transpose, concat, split, slice, pad, expand, tile, gather, scatter and their like.
#include <cstring>

#include "backends/cpu/prepare.h"
#include "kernels/cpu/copy.h"
#include "kernels/cpu/gather.h"
#include "kernels/cpu/topk.h"
#include "ops/concat.h"
#include "ops/depth_to_space.h"
#include "ops/expand.h"
#include "ops/fill.h"
#include "ops/gather.h"
#include "ops/pad.h"
#include "ops/scatter.h"
#include "ops/select.h"
#include "ops/slice.h"
#include "ops/transpose.h"

namespace tern::cpu {
namespace {

const char* refuse_encoded(const Graph& g, const Node& n) {
  for (const ValueId v : n.in)
    if (v != kNoValue && !is_plain(g.value(v).encoding)) return "the kernel takes plain tensors only";
  return nullptr;
}

void call_copy(Prepare& p, CopyArgs& a) {
  plan(a);
  p.call(p.k.copy->copy, &a, a.units, 30e3, 0);
}

// A reshape that could not share memory with its input is a copy of all bytes.
struct MoveArgs {
  const void* x = nullptr;
  void* y = nullptr;
  size_t bytes = 0;
};
void run_move(const void* args, int64_t, int64_t, void*) {
  const MoveArgs& a = *(const MoveArgs*)args;
  if (a.x != a.y) std::memcpy(a.y, a.x, a.bytes);
}
tern_status prepare_move(Prepare& p) {
  MoveArgs& a = p.args<MoveArgs>();
  a.bytes = (size_t)value_bytes(p.out(0));
  if (value_bytes(p.in(0)) != a.bytes)
    return TERN_FAIL(TERN_ERR_INTERNAL, "%s: %" PRIu64 " bytes under another shape are %zu", p.node.op->name,
                     value_bytes(p.in(0)), a.bytes);
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_move, &a, 1, 0, 0);
  return TERN_OK;
}

tern_status prepare_transpose(Prepare& p) {
  CopyArgs& a = p.args<CopyArgs>();
  const Shape& x = p.in(0).shape;
  const IntList& permutation = p.node.attrs<TransposeAttrs>().permutation;
  a.elem_size = (int32_t)dtype_size(p.in(0).dtype);
  int32_t order[kMaxRank] = {};
  for (int i = 0; i < x.rank; ++i) {
    int64_t from = permutation.count ? permutation[i] : x.rank - 1 - i;
    order[i] = (int32_t)(from < 0 ? from + x.rank : from);
  }
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  plan_transpose(a, x.rank, x.dims, order);
  p.call(p.k.copy->copy, &a, a.units, 30e3, 0);
  return TERN_OK;
}

tern_status prepare_concat(Prepare& p) {
  const Shape& y = p.out(0).shape;
  int64_t axis = p.node.attrs<ConcatAttrs>().axis, at = 0;
  if (axis < 0) axis += y.rank;
  int64_t strides[kMaxRank];
  row_major_strides(y, strides);
  const int32_t size = (int32_t)dtype_size(p.out(0).dtype);
  for (int i = 0; i < (int)p.node.in.size(); ++i) {
    const Shape& x = p.in(i).shape;
    const uint64_t offset = (uint64_t)(at * strides[axis] * size);
    at += x[(int)axis];
    const Location &from = p.location(p.node.in[(size_t)i]), &to = p.location(p.node.out[0]);
    if (from.slot == to.slot && from.offset == to.offset + offset) continue;  // it was written here
    CopyArgs& a = p.args<CopyArgs>();
    a.elem_size = size;
    a.rank = y.rank;
    for (int k = 0; k < y.rank; ++k) a.dims[k] = x[k], a.y_strides[k] = strides[k];
    row_major_strides(x, a.x_strides);
    p.pointer(a.x, p.node.in[(size_t)i]);
    p.pointer(a.y, p.node.out[0], offset);
    call_copy(p, a);
  }
  return TERN_OK;
}

tern_status prepare_split(Prepare& p) {
  const Shape& x = p.in(0).shape;
  int64_t axis = p.node.attrs<SplitAttrs>().axis, at = 0;
  if (axis < 0) axis += x.rank;
  int64_t strides[kMaxRank];
  row_major_strides(x, strides);
  const int32_t size = (int32_t)dtype_size(p.in(0).dtype);
  for (int i = 0; i < (int)p.node.out.size(); ++i) {
    const Shape& y = p.out(i).shape;
    CopyArgs& a = p.args<CopyArgs>();
    a.elem_size = size;
    a.rank = x.rank;
    for (int k = 0; k < x.rank; ++k) a.dims[k] = y[k], a.x_strides[k] = strides[k];
    row_major_strides(y, a.y_strides);
    p.pointer(a.x, p.node.in[0], (uint64_t)(at * strides[axis] * size));
    p.pointer(a.y, p.node.out[(size_t)i]);
    at += y[(int)axis];
    call_copy(p, a);
  }
  return TERN_OK;
}

// y = x at strides; `offset` elements into x.
void strided_read(Prepare& p, const int64_t* strides, int64_t offset) {
  const Shape& y = p.out(0).shape;
  CopyArgs& a = p.args<CopyArgs>();
  a.elem_size = (int32_t)dtype_size(p.in(0).dtype);
  a.rank = y.rank;
  for (int i = 0; i < y.rank; ++i) a.dims[i] = y[i], a.x_strides[i] = strides[i];
  row_major_strides(y, a.y_strides);
  p.pointer(a.x, p.node.in[0], (uint64_t)(offset * a.elem_size));
  p.pointer(a.y, p.node.out[0]);
  call_copy(p, a);
}

tern_status prepare_slice(Prepare& p) {
  SliceRange ranges[kMaxRank];
  TERN_TRY(slice_ranges(InferArgs{p.g, p.node, nullptr}, ranges));
  const Shape& x = p.in(0).shape;
  int64_t strides[kMaxRank], offset = 0;
  row_major_strides(x, strides);
  for (int i = 0; i < x.rank; ++i) {
    offset += ranges[i].start * strides[i];
    strides[i] *= ranges[i].step;
  }
  if (p.out(0).shape.elements() == 0) return TERN_OK;
  strided_read(p, strides, offset);
  return TERN_OK;
}

tern_status prepare_reverse(Prepare& p) {
  const Shape& x = p.in(0).shape;
  if (x.elements() == 0) return TERN_OK;
  int64_t strides[kMaxRank], offset = 0;
  row_major_strides(x, strides);
  for (int64_t axis : p.node.attrs<ReverseAttrs>().axes) {
    if (axis < 0) axis += x.rank;
    offset += (x[(int)axis] - 1) * strides[axis];
    strides[axis] = -strides[axis];
  }
  strided_read(p, strides, offset);
  return TERN_OK;
}

tern_status prepare_expand(Prepare& p) {
  const Shape &x = p.in(0).shape, &y = p.out(0).shape;
  int64_t strides[kMaxRank] = {};
  broadcast_strides(x.rank, x.dims, y.rank, y.dims, strides);
  strided_read(p, strides, 0);
  return TERN_OK;
}

const char* refuse_tile(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).shape.rank > 4) return "the kernel takes up to 4 dims only";
  return refuse_encoded(g, n);
}

tern_status prepare_tile(Prepare& p) {
  const Shape &x = p.in(0).shape, &y = p.out(0).shape;
  CopyArgs& a = p.args<CopyArgs>();
  a.elem_size = (int32_t)dtype_size(p.in(0).dtype);
  a.rank = 2 * x.rank;
  int64_t sx[kMaxRank], sy[kMaxRank];
  row_major_strides(x, sx);
  row_major_strides(y, sy);
  for (int i = 0; i < x.rank; ++i) {
    a.dims[2 * i] = x[i] ? y[i] / x[i] : 0, a.dims[2 * i + 1] = x[i];
    a.x_strides[2 * i] = 0, a.x_strides[2 * i + 1] = sx[i];
    a.y_strides[2 * i] = sy[i] * x[i], a.y_strides[2 * i + 1] = sy[i];
  }
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  call_copy(p, a);
  return TERN_OK;
}

const char* refuse_pad(const Graph& g, const Node& n) {
  if (n.in.size() > 2 && n.in[2] != kNoValue && !g.value(n.in[2]).data)
    return "the kernel takes a fill value that is known only";
  return refuse_encoded(g, n);
}

tern_status prepare_pad(Prepare& p) {
  int64_t before[kMaxRank], after[kMaxRank];
  TERN_TRY(pad_amounts(InferArgs{p.g, p.node, nullptr}, before, after));
  const PadAttrs& attrs = p.node.attrs<PadAttrs>();
  PadArgs& a = p.args<PadArgs>();
  const Shape &x = p.in(0).shape, &y = p.out(0).shape;
  constexpr Pad kModes[] = {Pad::constant, Pad::reflect, Pad::edge, Pad::wrap};
  a.mode = kModes[attrs.mode];
  a.elem_size = (int32_t)dtype_size(p.in(0).dtype);
  if (p.has(2)) std::memcpy(&a.value, p.in(2).data.bytes, (size_t)a.elem_size);
  else store_element(p.in(0).dtype, &a.value, 0, attrs.value);
  a.rank = x.rank;
  for (int i = 0; i < x.rank; ++i) a.dims[i] = x[i], a.out_dims[i] = y[i], a.before[i] = before[i];
  plan(a);
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.copy->pad, &a, a.units, 20.0 * (double)a.inner, 0);
  return TERN_OK;
}

const char* refuse_depth(const Graph& g, const Node& n) {
  if (n.op == &op_space_to_depth && n.attrs<DepthToSpaceAttrs>().mode != 0) return "the kernel takes mode dcr only";
  return refuse_encoded(g, n);
}

tern_status prepare_depth(Prepare& p) {
  CopyArgs& a = p.args<CopyArgs>();
  const DepthToSpaceAttrs& attrs = p.node.attrs<DepthToSpaceAttrs>();
  const Shape &x = p.in(0).shape, &y = p.out(0).shape;
  a.elem_size = (int32_t)dtype_size(p.in(0).dtype);
  if (p.node.op == &op_depth_to_space) plan_depth_to_space(a, x[0], x[1], x[2], x[3], attrs.block, attrs.mode == 1);
  else plan_space_to_depth(a, y[0], y[1], y[2], x[3], attrs.block);
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.copy->copy, &a, a.units, 30e3, 0);
  return TERN_OK;
}

// ---- at indices ----

const char* refuse_index(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[1]).dtype;
  if (d != TERN_DTYPE_I32 && d != TERN_DTYPE_I64) return "the kernel takes i32 and i64 indices only";
  return refuse_encoded(g, n);
}

tern_status prepare_gather(Prepare& p) {
  GatherArgs& a = p.args<GatherArgs>();
  const Shape& x = p.in(0).shape;
  int64_t axis = p.node.attrs<GatherAttrs>().axis;
  if (axis < 0) axis += x.rank;
  a.row_bytes = (int64_t)dtype_size(p.in(0).dtype);
  for (int i = 0; i < x.rank; ++i) {
    if (i < axis) a.outer *= x[i];
    else if (i == axis) a.rows = x[i];
    else a.row_bytes *= x[i];
  }
  if (a.row_bytes == 0) a.outer = std::min<int64_t>(a.outer, 1);  // only the indices are looked at
  a.count = p.in(1).shape.elements();
  a.index_dtype = p.in(1).dtype;
  a.error = p.error_flag();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.index, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.gather->gather, &a, units(a), (double)a.row_bytes * kGatherRows, 0);
  return TERN_OK;
}

tern_status prepare_gather_elements(Prepare& p) {
  GatherElementsArgs& a = p.args<GatherElementsArgs>();
  const Shape &x = p.in(0).shape, &ids = p.in(1).shape;
  int64_t axis = p.node.attrs<GatherAttrs>().axis;
  a.axis = (int32_t)(axis < 0 ? axis + x.rank : axis);
  a.rank = x.rank;
  a.elem_size = (int32_t)dtype_size(p.in(0).dtype);
  a.index_dtype = p.in(1).dtype;
  for (int i = 0; i < x.rank; ++i) a.dims[i] = x[i], a.index_dims[i] = ids[i];
  a.error = p.error_flag();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.index, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.gather->gather_elements, &a, units(a), 8.0 * (double)ids[ids.rank - 1], 0);
  return TERN_OK;
}

tern_status prepare_gather_nd(Prepare& p) {
  GatherNdArgs& a = p.args<GatherNdArgs>();
  const Shape &x = p.in(0).shape, &ids = p.in(1).shape;
  const int64_t batch = p.node.attrs<GatherNdAttrs>().batch_dims;
  a.depth = (int32_t)ids[ids.rank - 1];
  a.slice_bytes = (int64_t)dtype_size(p.in(0).dtype);
  a.count = 1;
  for (int i = 0; i < (int)batch; ++i) a.batch *= x[i];
  for (int i = 0; i < a.depth; ++i) a.dims[i] = x[(int)batch + i];
  for (int i = (int)batch + a.depth; i < x.rank; ++i) a.slice_bytes *= x[i];
  for (int i = (int)batch; i + 1 < ids.rank; ++i) a.count *= ids[i];
  a.index_dtype = p.in(1).dtype;
  a.error = p.error_flag();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.index, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.gather->gather_nd, &a, units(a), (double)a.slice_bytes * kGatherRows, 0);
  return TERN_OK;
}

// ---- top k ----

const char* refuse_top_k(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[0]).dtype;
  return d == TERN_DTYPE_F32 || d == TERN_DTYPE_I32 || d == TERN_DTYPE_I64 ? nullptr
                                                                           : "the kernel takes f32, i32 and i64 only";
}

tern_status prepare_top_k(Prepare& p) {
  TopkArgs& a = p.args<TopkArgs>();
  const TopKAttrs& attrs = p.node.attrs<TopKAttrs>();
  const Shape &x = p.in(0).shape, &y = p.out(0).shape;
  const int64_t axis = attrs.axis < 0 ? attrs.axis + x.rank : attrs.axis;
  a.outer = 1;
  for (int i = 0; i < x.rank; ++i) (i < axis ? a.outer : i == axis ? a.axis : a.inner) *= i == axis ? 1 : x[i];
  a.axis = x[(int)axis];
  a.k = y[(int)axis];
  a.dtype = p.in(0).dtype;
  a.least = !attrs.largest;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.values, p.node.out[0]);
  p.pointer(a.indices, p.node.out[1]);
  p.call(p.k.topk->topk, &a, units(a), 4.0 * (double)a.axis, topk_scratch(a));
  return TERN_OK;
}

constexpr CpuOp kOps[] = {
    {&op_reshape, refuse_encoded, prepare_move},
    {&op_transpose, refuse_encoded, prepare_transpose},
    {&op_concat, refuse_encoded, prepare_concat},
    {&op_split, refuse_encoded, prepare_split},
    {&op_slice, refuse_encoded, prepare_slice},
    {&op_reverse, refuse_encoded, prepare_reverse},
    {&op_expand, refuse_encoded, prepare_expand},
    {&op_tile, refuse_tile, prepare_tile},
    {&op_pad, refuse_pad, prepare_pad},
    {&op_depth_to_space, refuse_depth, prepare_depth},
    {&op_space_to_depth, refuse_depth, prepare_depth},
    {&op_gather, refuse_index, prepare_gather},
    {&op_gather_elements, refuse_index, prepare_gather_elements},
    {&op_gather_nd, refuse_index, prepare_gather_nd},
    {&op_top_k, refuse_top_k, prepare_top_k},
};

}  // namespace

std::span<const CpuOp> cpu_ops_shape() { return kOps; }

}  // namespace tern::cpu
