// SPDX-License-Identifier: Apache-2.0
// bitcast: y = the bits of x, taken for the type `to` (a number of tern_dtype) of the same width
//   x  any type     y  same shape. To bool: whether any bit is set
#include <cstddef>
#include <cstring>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const DType from = a.in(0).dtype, to = (DType)a.attrs<CastAttrs>().to;
  if (dtype_size(from) != dtype_size(to))
    return TERN_FAIL(TERN_ERR_TYPE, "bitcast: %s and %s have different widths", dtype_name(from), dtype_name(to));
  a.set(0, to, a.in(0).shape);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  const size_t size = dtype_size(y.dtype);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    unsigned char bytes[8] = {};
    if (is_plain(x.encoding)) std::memcpy(bytes, (const char*)x.data + (size_t)i * size, size);
    else store_element(x.dtype, bytes, 0, x.load(i));
    if (y.dtype == TERN_DTYPE_BOOL) bytes[0] = bytes[0] != 0;
    std::memcpy((char*)y.data + (size_t)i * size, bytes, size);
  }
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(CastAttrs, to, integer, TERN_DTYPE_F32, TERN_DTYPE_BOOL)};

constexpr Case kCases[] = {
    {"same", "f32[4,7]", "to=1"},
    {"to_int", "f32[5]{1,-0,nan,inf,1e-40}", "to=9"},
    {"to_float", "i32[4]{1065353216,-1,8388608,0}", "to=1"},
    {"double", "f64[3]", "to=11"},
    {"long", "u64[2]{9223372036854775809,3}", "to=4"},
    {"half", "f16[9]", "to=3"},
    {"sign", "u8[3]{255,128,7}", "to=5"},
    {"to_bool", "u8[3]{0,1,2}", "to=13"},
    {"from_bool", "bool[9]", "to=6"},
    {"scalar", "f32[]", "to=10"},
    {"empty", "f32[0,3]", "to=9"},
    {"rank5", "f32[2,1,3,2,2]", "to=9"},
    {"width", "f32[3]", "to=11", 0, TERN_ERR_TYPE},
};

}  // namespace

// The bits of a float are an integer; of two floats of one width none follows the other.
extern constinit const Op op_bitcast = checked_op({.name = "bitcast",
                                                   .attributes = attr_schema<CastAttrs>(kFields),
                                                   .infer = infer,
                                                   .reference = reference,
                                                   .no_gradient_because = NoGradient::integer_output,
                                                   .cases = TERN_CASES(kCases)});

}  // namespace tern
