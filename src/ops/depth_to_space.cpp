// SPDX-License-Identifier: Apache-2.0
// depth_to_space: each pixel of block * block * C channels becomes a square of block x block pixels of C channels
//   x [N, H, W, block * block * C] any type     y [N, H * block, W * block, C]
//   mode: the order of x's channels, dcr [y, x, c] or crd [c, y, x]
//   dx = space_to_depth(dy)
#include "ops/depth_to_space.h"

#include <cstddef>

#include "base/checked.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const int64_t block = a.attrs<DepthToSpaceAttrs>().block;
  TERN_TRY(require_rank(a, 0, 4));
  Shape y = a.in(0).shape;
  if (y[3] % (block * block) != 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "depth_to_space: %" PRId64 " channels for squares of %" PRId64, y[3], block);
  y[3] /= block * block;
  if (!checked_mul(y[1], block, &y[1]) || !checked_mul(y[2], block, &y[2]))
    return TERN_FAIL(TERN_ERR_LIMIT, "depth_to_space: the picture becomes too large");
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const DepthToSpaceAttrs& p = a.attrs<DepthToSpaceAttrs>();
  const Shape &x = a.in(0).shape, &y = a.out(0).shape;
  for (Coordinates c(y); c.valid(); c.next()) {
    const int64_t in_block = c.at[1] % p.block * p.block + c.at[2] % p.block;
    const int64_t channel = p.mode == 0 ? in_block * y[3] + c.at[3] : c.at[3] * p.block * p.block + in_block;
    const int64_t from[4] = {c.at[0], c.at[1] / p.block, c.at[2] / p.block, channel};
    copy_element(a.out(0), c.flat, a.in(0), offset_of(x, from));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) { a.set(0, emit(a.g, "space_to_depth", {a.dout(0)}, a.attrs<DepthToSpaceAttrs>())); }

constexpr AttrField kFields[] = {TERN_ATTR(DepthToSpaceAttrs, block, integer, 1, 1 << 20),
                                 TERN_ATTR(DepthToSpaceAttrs, mode, choice, 0, 1, kDepthToSpaceModes)};

constexpr Case kCases[] = {
    {"dcr", "f32[1,2,3,8]", "block=2"},
    {"crd", "f32[2,3,2,12]", "block=2 mode=crd"},
    {"three", "f16[1,1,2,9]", "block=3"},
    {"one", "f32[1,2,2,3]"},
    {"bytes", "u8[1,2,2,4]:0..255", "block=2"},
    {"empty", "f32[0,2,2,4]", "block=2"},
    {"no_channels", "f32[1,2,2,0]", "block=2"},
    {"channels", "f32[1,2,2,6]", "block=2", 0, TERN_ERR_SHAPE},
    {"rank", "f32[2,2,4]", "block=2", 0, TERN_ERR_SHAPE},
    {"block", "f32[1,2,2,4]", "block=1000000", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_depth_to_space = checked_op({.name = "depth_to_space",
                                                          .attributes = attr_schema<DepthToSpaceAttrs>(kFields),
                                                          .infer = infer,
                                                          .reference = reference,
                                                          .vjp = vjp,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
