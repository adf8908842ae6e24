// SPDX-License-Identifier: Apache-2.0
// state_write: y = the state with the update in place of [position, position + n) along `axis`, or in place of all
//   state  any type and encoding; update  same, plain, but with a position its dim n along the axis may be smaller
//   position  optional i64 scalar. Negative: TERN_ERR_INDEX; position + n beyond the capacity: TERN_ERR_LIMIT
#include <cstddef>

#include "ops/move.h"
#include "ops/state_write.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_same_dtype(a, 0, 1));
  const Shape &state = a.in(0).shape, &update = a.in(1).shape;
  Shape fits = state;
  if (a.has(2)) {
    int axis = 0;
    if (a.in(2).dtype != TERN_DTYPE_I64)
      return TERN_FAIL(TERN_ERR_TYPE, "state_write: the position is %s, i64 is needed", dtype_name(a.in(2).dtype));
    TERN_TRY(require_rank(a, 2, 0));
    TERN_TRY(require_axis(a, a.attrs<StateWriteAttrs>().axis, state.rank, &axis));
    if (update.rank == state.rank && update[axis] <= state[axis]) fits[axis] = update[axis];
  }
  if (!(update == fits))
    return TERN_FAIL(TERN_ERR_SHAPE, "state_write: an update of shape %s does not fit a state of shape %s",
                     to_string(update).c_str(), to_string(state).c_str());
  // Elements of an encoding may share bytes with others of their row.
  if (!is_plain(a.in(0).encoding) && update.rank > 0 && !(fits == state)) {
    Shape rows = state;
    rows[0] = update[0];
    if (!(rows == update))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "state_write: of a state encoded as %s whole rows are written only",
                       encoding_name(a.in(0).encoding));
  }
  a.set(0, a.in(0).dtype, state);
  a.out(0).encoding = a.in(0).encoding;
  return TERN_OK;
}

std::vector<float> floats_of(const RefTensor& t) {
  std::vector<float> all((size_t)t.elements());
  for (int64_t i = 0; i < t.elements(); ++i) all[(size_t)i] = (float)t.load(i);
  return all;
}

tern_status reference(RefArgs& a) {
  const RefTensor &state = a.in(0), &update = a.in(1), &y = a.out(0);
  uint64_t bytes = 0;
  TERN_TRY(encoded_bytes(y.encoding, y.dtype, y.shape, &bytes));
  if (!a.has(2)) {
    if (is_plain(y.encoding)) std::memcpy(y.data, update.data, (size_t)bytes);
    else encode(y.encoding, y.dtype, y.shape, floats_of(update).data(), y.data);
    return TERN_OK;
  }
  int axis = 0;
  TERN_TRY(normalize_axis(a.attrs<StateWriteAttrs>().axis, y.shape.rank, &axis));
  const int64_t position = a.in(2).load_int(0), count = update.shape[axis], capacity = y.shape[axis];
  if (position < 0) return TERN_FAIL(TERN_ERR_INDEX, "state_write: the position is %" PRId64, position);
  if (position > capacity - count)
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "state_write: %" PRId64 " entries at position %" PRId64 " exceed the capacity %" PRId64, count,
                     position, capacity);
  if (y.data != state.data) std::memcpy(y.data, state.data, (size_t)bytes);
  if (!is_plain(y.encoding)) {
    encode_rows(y.encoding, y.dtype, y.shape, floats_of(update).data(), axis == 0 ? position : 0, update.shape[0],
                y.data);
    return TERN_OK;
  }
  for (Coordinates c(update.shape); c.valid(); c.next()) {
    int64_t to[kMaxRank];
    for (int i = 0; i < y.shape.rank; ++i) to[i] = c.at[i] + (i == axis ? position : 0);
    copy_element(y, offset_of(y.shape, to), update, c.flat);
  }
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(StateWriteAttrs, axis, integer, -kMaxRank, kMaxRank - 1)};

constexpr Case kCases[] = {
    {"all", "f32[4,7] f32[4,7]"},
    {"first", "f32[8,3] f32[2,3] i64[]{0}"},
    {"row", "f32[8,3] f32[1,3] i64[]{5}"},
    {"last", "f32[8,3] f32[2,3] i64[]{6}"},
    {"axis", "f32[2,2,9,3] f32[2,2,4,3] i64[]{3}", "axis=2"},
    {"negative_axis", "f32[2,9] f32[2,4] i64[]{3}", "axis=-1"},
    {"full", "f32[3] f32[3] i64[]{0}"},
    {"nothing", "f32[3,2] f32[0,2] i64[]{3}"},
    {"scalar", "i64[] i64[]"},
    {"long", "i64[2] i64[1]{9007199254740993} i64[]{1}"},
    {"half", "f16[4] f16[1] i64[]{1}"},
    {"bytes", "u8[5] u8[2] i64[]{2}"},
    {"empty", "f32[0,3] f32[0,3]"},
    {"encoded", "f32[9,40]@panel_int8 f32[9,40]"},
    {"encoded_rows", "f32[40,5]@panel32 f32[3,5] i64[]{31}"},
    {"encoded_row", "f32[9,40]@panel_int8 f32[1,40] i64[]{8}"},
    {"encoded_columns", "f32[9,40]@panel_int8 f32[9,8] i64[]{3}", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"encoded_over", "f32[9,40]@panel_int8 f32[2,40] i64[]{8}", "", 0, TERN_ERR_LIMIT},
    {"over", "f32[8,3] f32[2,3] i64[]{7}", "", 0, TERN_ERR_LIMIT},
    {"huge", "f32[8,3] f32[2,3] i64[]{9223372036854775807}", "", 0, TERN_ERR_LIMIT},
    {"under", "f32[8,3] f32[2,3] i64[]{-1}", "", 0, TERN_ERR_INDEX},
    {"too_long", "f32[2] f32[3] i64[]{0}", "", 0, TERN_ERR_SHAPE},
    {"other_dim", "f32[8,3] f32[2,2] i64[]{0}", "", 0, TERN_ERR_SHAPE},
    {"not_all", "f32[8,3] f32[2,3]", "", 0, TERN_ERR_SHAPE},
    {"no_axis", "f32[] f32[] i64[]{0}", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"position_type", "f32[3] f32[3] i32[]{0}", "", 0, TERN_ERR_TYPE},
    {"position_shape", "f32[3] f32[3] i64[1]{0}", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_state_write = checked_op({.name = "state_write",
                                                       .min_in = 2,
                                                       .max_in = 3,
                                                       .flags = kWritesState,
                                                       .encoded_in = 1,
                                                       .attributes = attr_schema<StateWriteAttrs>(kFields),
                                                       .infer = infer,
                                                       .reference = reference,
                                                       .no_gradient_because = NoGradient::input_output,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
