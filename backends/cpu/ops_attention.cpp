// SPDX-License-Identifier: Apache-2.0
// Tokens and their positions: attention over pages, what writes them, rotary embedding.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/prepare.h"
#include "ops/pages.h"
#include "ops/rope.h"

namespace tern::cpu {
namespace {

// ---- positions ----

// What kernels found wrong is told on the caller's thread, whose error text the caller reads.
struct CheckArgs {
  const char* op = "";
  int32_t found = 0;  // PagedError
  int32_t* error = nullptr;
};

void run_check(const void* args, int64_t, int64_t, void*) {
  CheckArgs& a = *(CheckArgs*)args;
  switch (a.found) {
    case 0: return;
    case kNoSequence: *a.error = TERN_FAIL(TERN_ERR_INDEX, "%s: a sequence is out of range", a.op); break;
    case kNoPosition: *a.error = TERN_FAIL(TERN_ERR_LIMIT, "%s: a position is beyond the capacity", a.op); break;
    default: *a.error = TERN_FAIL(TERN_ERR_INDEX, "%s: there is no page for a position", a.op);
  }
  a.found = 0;
}

CheckArgs& check_for(Prepare& p) {
  CheckArgs& a = p.args<CheckArgs>();
  a.op = p.node.op->name;
  a.error = p.error_flag();
  return a;
}

// Dims and steps of a state of positions; `to` must stay where it is.
void place(Prepare& p, ValueId v, Positions& to) {
  const Value& value = p.g.value(v);
  const PositionsShape s(value.shape);
  const auto scales = encoding_info(value.encoding).row_scales;
  const int64_t element = scales ? 1 : (int64_t)dtype_size(value.dtype);
  to.sequences = s.sequences;
  to.capacity = s.capacity;
  if (value.paged) {
    to.offset = p.pages(to.table, v);
    to.position_step = s.dim * element;
    to.head_step = kPagePositions * s.dim * element;
    if (scales) {
      to.scale_offset = scales(matrix_size(value.encoding, page_matrix(value.shape)));
      to.scale_position_step = sizeof(float);
      to.scale_head_step = kPagePositions * to.scale_position_step;
    }
  } else {
    p.pointer(to.base, v);
    to.head_step = s.dim * element;
    to.position_step = s.heads * to.head_step;
    to.sequence_step = s.capacity * to.position_step;
  }
}

// False: the kernels do not know it.
bool stored_as(const Value& v, PagedType* type) {
  const bool plain = is_plain(v.encoding);
  *type = !plain ? PagedType::i8 : v.dtype == TERN_DTYPE_F16 ? PagedType::f16 : PagedType::f32;
  if (!plain) return encoding_info(v.encoding).row_scales != nullptr;
  return v.dtype == TERN_DTYPE_F32 || v.dtype == TERN_DTYPE_F16;
}

bool moves(const Value& state, const Value& update) { return is_plain(state.encoding) && state.dtype == update.dtype; }

const char* refuse_write(const Graph& g, const Node& n) {
  const Value &state = g.value(n.in[0]), &update = g.value(n.in[1]);
  PagedType type;
  if (moves(state, update) || (update.dtype == TERN_DTYPE_F32 && stored_as(state, &type))) return nullptr;
  return "the kernel takes rows of the state's type, or f32 for f16 and int8";
}

tern_status prepare_write(Prepare& p) {
  PageWriteArgs& a = p.args<PageWriteArgs>();
  CheckArgs& check = check_for(p);
  const Shape& update = p.in(1).shape;
  a.rows = update[0], a.heads = update[1], a.dim = update[2];
  a.error = &check.found;
  place(p, p.node.in[0], a.to);
  p.pointer(a.update, p.node.in[1]);
  p.pointer(a.sequence, p.node.in[2]);
  p.pointer(a.position, p.node.in[3]);
  const double bytes = (double)(a.heads * a.dim) * (double)dtype_size(p.in(0).dtype);
  PagedType type = PagedType::f32;
  (void)stored_as(p.in(0), &type);
  const KernelFn fn = moves(p.in(0), p.in(1)) ? p.k.paged_attention->move : p.k.paged_attention->write[(int)type];
  a.row_bytes = a.dim * (int64_t)dtype_size(p.in(0).dtype);
  p.call(fn, &a, a.rows, bytes, 0);
  p.call(run_check, &check, 1, 0, 0);
  return TERN_OK;
}

const char* refuse_attention(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).dtype != TERN_DTYPE_F32) return "the kernel takes f32 queries only";
  PagedType type;
  if (!stored_as(g.value(n.in[1]), &type)) return "the kernel takes keys and values of f32, f16 and int8 only";
  const int64_t heads = g.value(n.in[0]).shape[1], kv_heads = PositionsShape(g.value(n.in[1]).shape).heads;
  return kv_heads > 0 && heads / kv_heads > kPagedGroup ? "the kernel takes groups of up to 128 heads" : nullptr;
}

// More rows than this keep all threads busy, and share what they read.
constexpr int64_t kFewRows = 8;
constexpr double kUsualPages = 8;  // a guess for the number of threads

tern_status prepare_attention(Prepare& p) {
  const PagedAttentionAttrs& attrs = p.node.attrs<PagedAttentionAttrs>();
  PagedAttentionArgs& a = p.args<PagedAttentionArgs>();
  CheckArgs& check = check_for(p);
  const Shape &q = p.in(0).shape, &y = p.out(0).shape;
  a.rows = q[0], a.heads = q[1], a.dim = q[2], a.v_dim = y[2];
  a.kv_heads = std::max<int64_t>(1, PositionsShape(p.in(1).shape).heads);
  a.window = attrs.window;
  a.softcap = (float)attrs.softcap;
  a.scale = (float)(attrs.scale != 0 ? attrs.scale : a.dim > 0 ? 1 / std::sqrt((double)a.dim) : 1);
  a.error = &check.found;
  p.pointer(a.q, p.node.in[0]);
  place(p, p.node.in[1], a.k);
  place(p, p.node.in[2], a.v);
  p.pointer(a.sequence, p.node.in[3]);
  p.pointer(a.position, p.node.in[4]);
  p.pointer(a.y, p.node.out[0]);
  const PagedAttentionKernels& k = *p.k.paged_attention;
  PagedType stored = PagedType::f32;
  (void)stored_as(p.in(1), &stored);
  const int type = (int)stored;
  const double page = 2.0 * (double)(a.heads / a.kv_heads * kPagePositions * (a.dim + a.v_dim));
  if (a.rows <= kFewRows) {
    p.workspace(a.parts, paged_parts_bytes(a));
    p.call(k.part[type], &a, a.rows * a.kv_heads * kPagedParts, page * kUsualPages / kPagedParts,
           paged_part_scratch(a));
    p.call(k.join, &a, a.rows * a.kv_heads, (double)(a.heads / a.kv_heads * a.v_dim), 0);
  } else {
    p.call(k.blocks[type], &a, (a.rows + kPagedRows - 1) / kPagedRows * a.kv_heads, page * kPagedRows * kUsualPages,
           paged_block_scratch(a));
  }
  p.call(run_check, &check, 1, 0, 0);
  return TERN_OK;
}

// ---- rope ----

struct RopeArgs {
  const float* x = nullptr;
  float* y = nullptr;
  const void* position = nullptr;
  DType position_type = TERN_DTYPE_I64;
  const double* frequency = nullptr;     // [dims / 2]; NULL: it depends on the position
  int64_t width = 0, dim = 0, dims = 0;  // numbers of a row, of a head, and those of a head that turn
  RopeAttrs attrs;
};

void run_rope(const void* args, int64_t begin, int64_t end, void* scratch) {
  const RopeArgs& a = *(const RopeArgs*)args;
  const int64_t half = a.dims / 2, pair = a.attrs.interleaved ? 1 : half, step = a.attrs.interleaved ? 2 : 1;
  const double scale = rope_scale(a.attrs);
  float *const cosines = (float*)scratch, *const sines = cosines + half;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t position = load_integer(a.position_type, a.position, r);
    for (int64_t i = 0; i < half; ++i) {
      const double angle =
          (double)position * (a.frequency ? a.frequency[i] : rope_frequency(a.attrs, a.dims, i, position));
      cosines[i] = (float)(std::cos(angle) * scale);
      sines[i] = (float)((a.attrs.inverse ? -1 : 1) * std::sin(angle) * scale);
    }
    for (int64_t at = r * a.width; at < (r + 1) * a.width; at += a.dim) {
      const float* x = a.x + at;
      float* y = a.y + at;
      for (int64_t i = 0; i < half; ++i) {
        const float u = x[i * step], v = x[i * step + pair];
        y[i * step] = u * cosines[i] - v * sines[i];
        y[i * step + pair] = v * cosines[i] + u * sines[i];
      }
      if (y != x && a.dims < a.dim) std::memcpy(y + a.dims, x + a.dims, (size_t)(a.dim - a.dims) * sizeof(float));
    }
  }
}

tern_status prepare_rope(Prepare& p) {
  RopeArgs& a = p.args<RopeArgs>();
  a.attrs = p.node.attrs<RopeAttrs>();
  const Shape& x = p.in(0).shape;
  a.dim = x[x.rank - 1];
  a.dims = a.attrs.dims ? a.attrs.dims : a.dim;
  a.width = x.elements() / x[0];  // a node without elements is never prepared
  a.position_type = p.in(1).dtype;
  if ((RopeScaling)a.attrs.scaling != RopeScaling::dynamic_ntk) {
    double* frequency = p.array<double>((size_t)(a.dims / 2));
    for (int64_t i = 0; i < a.dims / 2; ++i) frequency[i] = rope_frequency(a.attrs, a.dims, i, 0);
    a.frequency = frequency;
  }
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.position, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
  constexpr double kSine = 30;  // flops
  p.call(run_rope, &a, x[0], kSine * (double)a.dims + 3 * (double)a.width, (size_t)a.dims * sizeof(float));
  return TERN_OK;
}

constexpr auto kOps = without_left_out({{&op_page_write, refuse_write, prepare_write},
                                        {&op_paged_attention, refuse_attention, prepare_attention},
                                        {&op_rope, refuse_unless_f32, prepare_rope}});

}  // namespace

std::span<const CpuOp> cpu_ops_attention() { return kOps; }

}  // namespace tern::cpu
