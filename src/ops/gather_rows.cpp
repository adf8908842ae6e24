// SPDX-License-Identifier: Apache-2.0
// gather_rows: y[.., k] = w[ids[..], k], the look-up in an embedding
//   w [N, K] float, of any encoding; ids integers [..]     y [.., K] f32 (f64 for a w of f64)
//   An id outside [0, N) is an error (TERN_ERR_INDEX).
//   dw = gather_grad(dy, ids)
#include "ops/gather.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Shape& w = a.in(0).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 2));
  TERN_TRY(require_integer(a, 1));
  Shape y = a.in(1).shape;
  TERN_TRY(append_dims(a, w, 1, 2, &y));
  a.set(0, a.in(0).dtype == TERN_DTYPE_F64 ? TERN_DTYPE_F64 : TERN_DTYPE_F32, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor& w = a.in(0);
  const int64_t n = w.shape[0], k = w.shape[1];
  for (int64_t i = 0, count = a.in(1).elements(); i < count; ++i) {
    const int64_t id = a.in(1).load_int(i);
    if (id < 0 || id >= n) return bad_index(a, 1, id, n);
    for (int64_t j = 0; j < k; ++j) a.out(0).store(i * k + j, w.load(id * k + j));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  a.set(0, emit(a.g, "gather_grad", {a.dout(0), a.in(1)}, GatherGradAttrs{0, a.g.value(a.in(0)).shape[0]}));
}

constexpr Case kCases[] = {
    {"ids", "f32[7,5] i64[3]{6,0,6}"},
    {"batch", "f32[4,3] i32[2,3]{0,1,2,3,3,0}"},
    {"one", "f32[4,3] i64[]{2}"},
    {"half", "f16[4,3] i64[2]{1,3}"},
    {"brain", "bf16[4,3] i64[2]{1,3}"},
    {"brain_panels", "bf16[40,6]@panel32 i64[3]{39,0,32}"},
    {"panels", "f32[40,6]@panel32 i64[3]{39,0,32}"},
    {"half_panels", "f16[9,6]@panel32 i64[2]{8,1}"},
    {"int8_blocks", "f32[9,70]@panel_int8 i64[2]{8,1}"},
    {"no_ids", "f32[4,3] i64[0]"},
    {"no_columns", "f32[4,0] i64[2]{0,3}"},
    {"negative", "f32[4,3] i64[2]{0,-1}", "", 0, TERN_ERR_INDEX},
    {"n", "f32[4,3] i64[1]{4}", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[4,3] i64[1]{9223372036854775807}", "", 0, TERN_ERR_INDEX},
    {"of_nothing", "f32[0,3] i64[1]{0}", "", 0, TERN_ERR_INDEX},
    {"float_ids", "f32[4,3] f32[2]", "", 0, TERN_ERR_TYPE},
    {"rank", "f32[4] i64[1]{0}", "", 0, TERN_ERR_SHAPE},
    {"too_many_dims", "f32[4,3] i64[1,1,1,1,1,1,1,1]{0}", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_gather_rows = checked_op({.name = "gather_rows",
                                                       .min_in = 2,
                                                       .max_in = 2,
                                                       .encoded_in = 1,
                                                       .infer = infer,
                                                       .reference = reference,
                                                       .vjp = vjp,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
