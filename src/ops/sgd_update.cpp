// SPDX-License-Identifier: Apache-2.0
// sgd_update: y = p - rate * gradient: the new content of the state p
//   p  float, of any encoding; gradient  same type and shape, plain or in p's encoding; rate  f32 scalar
//   y  like p, encoding included
#include <vector>

#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_same_dtype(a, 0, 1));
  TERN_TRY(require_rank(a, 2, 0));
  if (a.in(2).dtype != TERN_DTYPE_F32)
    return TERN_FAIL(TERN_ERR_TYPE, "sgd_update: the rate is %s, f32 is needed", dtype_name(a.in(2).dtype));
  if (!(a.in(1).shape == a.in(0).shape))
    return TERN_FAIL(TERN_ERR_SHAPE, "sgd_update: a gradient of shape %s for %s", to_string(a.in(1).shape).c_str(),
                     to_string(a.in(0).shape).c_str());
  if (!is_plain(a.in(1).encoding) && a.in(1).encoding != a.in(0).encoding)
    return TERN_FAIL(TERN_ERR_TYPE, "sgd_update: the gradient is encoded as %s, not as what it changes",
                     encoding_name(a.in(1).encoding));
  TERN_TRY(infer_unary(a));
  a.out(0).encoding = a.in(0).encoding;
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &p = a.in(0), &gradient = a.in(1), &y = a.out(0);
  const double rate = a.in(2).load(0);
  if (!is_plain(y.encoding)) {
    // Elements of an encoding may share bytes, so the whole is decoded and encoded anew.
    std::vector<float> all((size_t)y.elements());
    for (int64_t i = 0; i < y.elements(); ++i) all[(size_t)i] = (float)(p.load(i) - rate * gradient.load(i));
    encode(y.encoding, y.dtype, y.shape, all.data(), y.data);
    return TERN_OK;
  }
  for (int64_t i = 0, n = y.elements(); i < n; ++i) y.store(i, p.load(i) - rate * gradient.load(i));
  return TERN_OK;
}

constexpr Case kCases[] = {
    {"small", "f32[4,7] f32[4,7] f32[]"},
    {"odd", "f32[131] f32[131] f32[]{0.1}"},
    {"rank5", "f32[2,1,3,2,2] f32[2,1,3,2,2] f32[]{0.01}"},
    {"zero", "f32[3] f32[3] f32[]{0}"},
    {"scalar", "f32[] f32[] f32[]"},
    {"panels", "f32[70,5]@panel32 f32[70,5] f32[]{0.1}"},
    {"blocks", "f32[9,40]@panel_int8 f32[9,40] f32[]{0.1}", "", 1e-5},
    {"half", "f16[9] f16[9] f32[]", "", 4e-3},
    {"empty", "f32[0,3] f32[0,3] f32[]"},
    {"shape", "f32[3] f32[1] f32[]", "", 0, TERN_ERR_SHAPE},
    {"rate", "f32[3] f32[3] f32[1]", "", 0, TERN_ERR_SHAPE},
    {"rate_type", "f32[3] f32[3] f16[]", "", 0, TERN_ERR_TYPE},
    {"type", "f32[3] f16[3] f32[]", "", 0, TERN_ERR_TYPE},
    {"integer", "i32[3] i32[3] f32[]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_sgd_update = checked_op({.name = "sgd_update",
                                                      .min_in = 3,
                                                      .max_in = 3,
                                                      .flags = kWritesState,
                                                      .capability = Capability::training,
                                                      .encoded_in = 3,
                                                      .infer = infer,
                                                      .reference = reference,
                                                      .no_gradient_because = NoGradient::input_output,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
