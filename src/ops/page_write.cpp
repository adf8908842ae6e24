// SPDX-License-Identifier: Apache-2.0
// page_write: y = the state with row r of the update at position[r] of sequence[r]
//   state  any type, [positions, heads, dim] or [sequences, positions, heads, dim]: in pages (then in any encoding), or
//   a plain tensor
//   update  [rows, heads, dim], the state's type, or any float for a state of floats (rounded to the state's type)
//   sequence  i32 [rows]; position  i64 [rows]. A row with a negative position is skipped. A sequence that is not there
//   gives TERN_ERR_INDEX, a position from the capacity on TERN_ERR_LIMIT. Rows for the same place: the last one stays
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "ops/move.h"
#include "ops/pages.h"

namespace tern {

tern_status require_positions(const InferArgs& a, int i) {
  const Value& v = a.in(i);
  if (!is_plain(v.encoding) && !v.paged)
    return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is encoded as %s, which a state of positions may be in pages only",
                     a.node.op->name, i, encoding_name(v.encoding));
  if (v.shape.rank == 3 || (v.shape.rank == 4 && !v.paged)) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d of shape %s is no state of positions, heads and numbers",
                   a.node.op->name, i, to_string(v.shape).c_str());
}

tern_status require_rows(const InferArgs& a, int sequence, int position, int64_t rows) {
  const Value &s = a.in(sequence), &p = a.in(position);
  if (s.dtype != TERN_DTYPE_I32 || p.dtype != TERN_DTYPE_I64)
    return TERN_FAIL(TERN_ERR_TYPE, "%s: sequences are %s and positions %s, i32 and i64 are needed", a.node.op->name,
                     dtype_name(s.dtype), dtype_name(p.dtype));
  if (!(s.shape == Shape{rows}) || !(p.shape == Shape{rows}))
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: sequences %s and positions %s for %" PRId64 " rows", a.node.op->name,
                     to_string(s.shape).c_str(), to_string(p.shape).c_str(), rows);
  return TERN_OK;
}

tern_status RefPositions::check(const char* op, int64_t sequence, int64_t position, bool write) const {
  if (sequence < 0 || sequence >= shape.sequences)
    return TERN_FAIL(TERN_ERR_INDEX, "%s: there is no sequence %" PRId64 " among %" PRId64, op, sequence,
                     shape.sequences);
  if (position >= shape.capacity)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: position %" PRId64 " is beyond the capacity %" PRId64, op, position,
                     shape.capacity);
  if (!tensor.paged) return TERN_OK;
  const auto& table = *(const PageTable*)tensor.data;
  if (position / kPagePositions >= table.pages || !table.addresses(sequence)[position / kPagePositions])
    return TERN_FAIL(TERN_ERR_INDEX, "%s: sequence %" PRId64 " has no page for position %" PRId64, op, sequence,
                     position);
  if (write && !(table.addresses(sequence)[position / kPagePositions] & kPageWritable))
    return TERN_FAIL(TERN_ERR_INDEX, "%s: position %" PRId64 " of sequence %" PRId64 " is not this run's to write", op,
                     position, sequence);
  return TERN_OK;
}

RefTensor RefPositions::at(int64_t sequence, int64_t position, int64_t head, int64_t* index) const {
  RefTensor t = tensor;
  if (!t.paged) {
    *index = ((sequence * shape.capacity + position) * shape.heads + head) * shape.dim;
    return t;
  }
  const auto& table = *(const PageTable*)t.data;
  t.paged = false;
  t.data = (char*)(uintptr_t)(table.addresses(sequence)[position / kPagePositions] & ~kPageWritable) + t.page_offset;
  t.shape = page_matrix(t.shape);
  *index = (head * kPagePositions + position % kPagePositions) * shape.dim;
  return t;
}

double RefPositions::load(int64_t sequence, int64_t position, int64_t head, int64_t d) const {
  int64_t index = 0;
  const RefTensor t = at(sequence, position, head, &index);
  return t.load(index + d);
}

namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_positions(a, 0));
  TERN_TRY(require_rank(a, 1, 3));
  const Value &state = a.in(0), &update = a.in(1);
  if (!(is_float(state.dtype) && is_float(update.dtype))) TERN_TRY(require_same_dtype(a, 0, 1));
  const PositionsShape s(state.shape);
  if (update.shape[1] != s.heads || update.shape[2] != s.dim)
    return TERN_FAIL(TERN_ERR_SHAPE, "page_write: rows of shape %s do not fit a state of shape %s",
                     to_string(update.shape).c_str(), to_string(state.shape).c_str());
  TERN_TRY(require_rows(a, 2, 3, update.shape[0]));
  a.set(0, state.dtype, state.shape);
  a.out(0).paged = state.paged, a.out(0).encoding = state.encoding;
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &state = a.in(0), &update = a.in(1), &y = a.out(0);
  if (!y.paged && y.data != state.data) std::memcpy(y.data, state.data, (size_t)y.elements() * dtype_size(y.dtype));
  const RefPositions to(y);
  const int64_t heads = to.shape.heads, dim = to.shape.dim;
  std::vector<float> row((size_t)dim);
  for (int64_t r = 0; r < update.shape[0]; ++r) {
    const int64_t sequence = a.in(2).load_int(r), position = a.in(3).load_int(r);
    if (position < 0) continue;
    TERN_TRY(to.check("page_write", sequence, position, true));
    for (int64_t h = 0; h < heads && dim > 0; ++h) {
      int64_t index = 0;
      const RefTensor t = to.at(sequence, position, h, &index);
      const int64_t from = (r * heads + h) * dim;
      if (!is_permutation(t.encoding)) {
        for (int64_t d = 0; d < dim; ++d) row[(size_t)d] = (float)update.load(from + d);
        encode_rows(t.encoding, t.dtype, t.shape, row.data(), index / dim, 1, t.data);
        continue;
      }
      for (int64_t d = 0; d < dim; ++d)
        if (is_float(t.dtype)) t.store(index + d, update.load(from + d));
        else t.store_int(index + d, update.load_int(from + d));
    }
  }
  return TERN_OK;
}

constexpr Case kCases[] = {
    {"one", "f32[9,2,3] f32[1,2,3] i32[1]{0} i64[1]{4}"},
    {"rows", "f32[9,2,3] f32[3,2,3] i32[3]{0} i64[3]{2,7,0}"},
    {"sequences", "f32[3,70,2,4] f32[5,2,4] i32[5]{0,2,2,1,0} i64[5]{0,69,63,64,1}"},
    {"skipped", "f32[2,9,1,3] f32[4,1,3] i32[4]{0,7,1,1} i64[4]{3,-1,-9223372036854775808,8}"},
    {"last_stays", "f32[9,1,3] f32[2,1,3] i32[2]{0} i64[2]{5}"},
    {"rounded", "f16[2,70,1,33] f32[2,1,33] i32[2]{1,0} i64[2]{65,3}", "", 1e-3},
    {"widened", "f32[9,1,3] f16[2,1,3] i32[2]{0} i64[2]{1,2}"},
    {"half", "f16[9,2,3] f16[1,2,3] i32[1]{0} i64[1]{4}", "", 1e-3},
    {"long", "i64[9,1,1] i64[2,1,1]{9007199254740993,-1} i32[2]{0} i64[2]{1,2}"},
    {"nothing", "f32[9,2,3] f32[0,2,3] i32[0] i64[0]"},
    {"empty", "f32[9,0,3] f32[1,0,3] i32[1]{0} i64[1]{1}"},
    {"no_sequence", "f32[2,9,1,3] f32[1,1,3] i32[1]{2} i64[1]{1}", "", 0, TERN_ERR_INDEX},
    {"sequence_negative", "f32[9,1,3] f32[1,1,3] i32[1]{-1} i64[1]{1}", "", 0, TERN_ERR_INDEX},
    {"sequence_huge", "f32[9,1,3] f32[1,1,3] i32[1]{2147483647} i64[1]{1}", "", 0, TERN_ERR_INDEX},
    {"over", "f32[9,1,3] f32[1,1,3] i32[1]{0} i64[1]{9}", "", 0, TERN_ERR_LIMIT},
    {"huge", "f32[9,1,3] f32[1,1,3] i32[1]{0} i64[1]{9223372036854775807}", "", 0, TERN_ERR_LIMIT},
    {"heads", "f32[9,2,3] f32[1,1,3] i32[1]{0} i64[1]{0}", "", 0, TERN_ERR_SHAPE},
    {"dim", "f32[9,2,3] f32[1,2,4] i32[1]{0} i64[1]{0}", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[9,3] f32[1,3] i32[1]{0} i64[1]{0}", "", 0, TERN_ERR_SHAPE},
    {"positions_fewer", "f32[9,2,3] f32[2,2,3] i32[2]{0} i64[1]{0}", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[9,2,3] i32[1,2,3] i32[1]{0} i64[1]{0}", "", 0, TERN_ERR_TYPE},
    {"sequence_type", "f32[9,2,3] f32[1,2,3] i64[1]{0} i64[1]{0}", "", 0, TERN_ERR_TYPE},
    {"position_type", "f32[9,2,3] f32[1,2,3] i32[1]{0} i32[1]{0}", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_page_write = checked_op({.name = "page_write",
                                                      .min_in = 4,
                                                      .max_in = 4,
                                                      .flags = kWritesState,
                                                      .capability = Capability::text,
                                                      .encoded_in = 1,
                                                      .paged_in = 1,
                                                      .infer = infer,
                                                      .reference = reference,
                                                      .no_gradient_because = NoGradient::input_output,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
