// SPDX-License-Identifier: Apache-2.0
// space_to_depth: each square of block x block pixels of C channels becomes one pixel of block * block * C channels
//   x [N, H, W, C] any type, block divides H and W     y [N, H / block, W / block, block * block * C]
//   mode: the order of y's channels, dcr [y, x, c] or crd [c, y, x]
//   dx = depth_to_space(dy)
#include <cstddef>

#include "base/checked.h"
#include "ops/depth_to_space.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const int64_t block = a.attrs<DepthToSpaceAttrs>().block;
  TERN_TRY(require_rank(a, 0, 4));
  Shape y = a.in(0).shape;
  if (y[1] % block != 0 || y[2] % block != 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "space_to_depth: %s does not divide into squares of %" PRId64,
                     to_string(y).c_str(), block);
  y[1] /= block;
  y[2] /= block;
  if (!checked_mul(y[3], block * block, &y[3])) return TERN_FAIL(TERN_ERR_LIMIT, "space_to_depth: too many channels");
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const DepthToSpaceAttrs& p = a.attrs<DepthToSpaceAttrs>();
  const Shape &x = a.in(0).shape, &y = a.out(0).shape;
  for (Coordinates c(x); c.valid(); c.next()) {
    const int64_t in_block = c.at[1] % p.block * p.block + c.at[2] % p.block;
    const int64_t channel = p.mode == 0 ? in_block * x[3] + c.at[3] : c.at[3] * p.block * p.block + in_block;
    const int64_t to[4] = {c.at[0], c.at[1] / p.block, c.at[2] / p.block, channel};
    copy_element(a.out(0), offset_of(y, to), a.in(0), c.flat);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) { a.set(0, emit(a.g, "depth_to_space", {a.dout(0)}, a.attrs<DepthToSpaceAttrs>())); }

constexpr AttrField kFields[] = {TERN_ATTR(DepthToSpaceAttrs, block, integer, 1, 1 << 20),
                                 TERN_ATTR(DepthToSpaceAttrs, mode, choice, 0, 1, kDepthToSpaceModes)};

constexpr Case kCases[] = {
    {"dcr", "f32[1,4,6,2]", "block=2"},
    {"crd", "f32[2,2,4,3]", "block=2 mode=crd"},
    {"three", "f16[1,3,6,1]", "block=3"},
    {"one", "f32[1,2,2,3]"},
    {"bytes", "u8[1,2,2,3]:0..255", "block=2"},
    {"empty", "f32[1,0,2,3]", "block=2"},
    {"rows", "f32[1,3,2,3]", "block=2", 0, TERN_ERR_SHAPE},
    {"columns", "f32[1,2,3,3]", "block=2", 0, TERN_ERR_SHAPE},
    {"rank", "f32[2,2,4]", "block=2", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_space_to_depth = checked_op({.name = "space_to_depth",
                                                          .attributes = attr_schema<DepthToSpaceAttrs>(kFields),
                                                          .infer = infer,
                                                          .reference = reference,
                                                          .vjp = vjp,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
