// SPDX-License-Identifier: Apache-2.0
// grid_sample: y[n, o.., c] = x[n, .., c] at the position grid[n, o.., :]
//   x [N, spatial.., C]; nearest takes any type, linear and cubic need floats. grid [N, O.., k] float for k spatial
//   dims: its last
//   dim begins with the last spatial dim of x. -1 and 1 are the centres of the corner pixels (align_corners) or their
//   outer
//   edges     y [N, O.., C], x's type
//   padding: each pixel outside is 0, the pixel at the edge, or mirrored at that corner (cubic with border: as PyTorch
//   and ONNX
//   Runtime do; the evaluator of ONNX moves the position first). A NaN in the grid reads any pixel
#include <cmath>
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/move.h"
#include "ops/pad.h"
#include "ops/unary.h"

namespace tern {
namespace {

enum class Mode : int64_t { linear = 0, nearest = 1, cubic = 2 };
enum class Padding : int64_t { zeros = 0, border = 1, reflection = 2 };
constexpr const char* kModes[] = {"linear", "nearest", "cubic"};
constexpr const char* kPaddings[] = {"zeros", "border", "reflection"};

struct Attrs {
  int64_t mode = 0, padding = 0, align_corners = 0;
};

tern_status infer(InferArgs& a) {
  const Shape &x = a.in(0).shape, &grid = a.in(1).shape;
  if (a.attrs<Attrs>().mode != (int64_t)Mode::nearest) TERN_TRY(require_float(a, 0));
  TERN_TRY(require_float(a, 1));
  if (x.rank < 3 || grid.rank != x.rank || grid[0] != x[0] || grid[grid.rank - 1] != x.rank - 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "grid_sample: a grid of shape %s does not fit to %s", to_string(grid).c_str(),
                     to_string(x).c_str());
  Shape y = grid;
  y[y.rank - 1] = x[x.rank - 1];
  for (int i = 1; i + 1 < x.rank; ++i)
    if (x[i] == 0 && y.elements() > 0)
      return TERN_FAIL(TERN_ERR_SHAPE, "grid_sample: %s has no pixels", to_string(x).c_str());
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

ValueId clipped(Graph& g, ValueId v, double low, double high) { return emit(g, "clip", {v}, ClipAttrs{low, high}); }

// Positions mirrored at `low` and `low + length`.
ValueId mirrored(Graph& g, ValueId v, double low, double length) {
  if (length <= 0) return scaled(g, v, 0);
  const ValueId turn = emit(g, "mod", {emit(g, "abs", {plus(g, v, -low)}), scalar_like(g, v, 2 * length)});
  return plus(g, emit(g, "min", {turn, minus_from(g, 2 * length, turn)}), low);
}

// Pixels of one axis that the positions read, [N, P] each: whole numbers and their weights (kNoValue = 1).
struct Taps {
  int count = 0;
  ValueId index[4], weight[4];
};

Taps taps_of(Graph& g, const Attrs& p, ValueId grid, int64_t n) {
  const Mode mode = (Mode)p.mode;
  const Padding padding = (Padding)p.padding;
  const double low = p.align_corners ? 0 : -0.5, length = p.align_corners ? (double)(n - 1) : (double)n,
               last = (double)(n - 1);
  ValueId v = plus(g, grid, 1);
  v = p.align_corners ? scaled(g, scaled(g, v, 0.5), last) : scaled(g, plus(g, scaled(g, v, (double)n), -1), 0.5);
  if (mode == Mode::nearest) v = emit(g, "round", {v});
  if (padding == Padding::reflection) v = mirrored(g, v, low, length);
  else v = clipped(g, v, -3, last + 3);  // further out all is the same, and infinity has no weights
  Taps t;
  if (mode == Mode::nearest) {
    t.count = 1;
    t.index[0] = v;
    t.weight[0] = kNoValue;
  } else {
    const ValueId base = emit(g, "floor", {v}), f = sub(g, v, base);
    t.count = mode == Mode::linear ? 2 : 4;
    for (int k = 0; k < t.count; ++k) t.index[k] = plus(g, base, mode == Mode::linear ? k : k - 1);
    if (mode == Mode::linear) {
      t.weight[0] = minus_from(g, 1, f);
      t.weight[1] = f;
    } else {
      constexpr double c = -0.75;
      // |d| <= 1
      const auto near = [&](ValueId d) {
        return plus(g, mul(g, mul(g, plus(g, scaled(g, d, c + 2), -(c + 3)), d), d), 1);
      };
      // 1 < |d| < 2
      const auto far = [&](ValueId d) {
        return plus(g, mul(g, plus(g, mul(g, plus(g, scaled(g, d, c), -5 * c), d), 8 * c), d), -4 * c);
      };
      t.weight[0] = far(plus(g, f, 1));
      t.weight[1] = near(f);
      t.weight[2] = near(minus_from(g, 1, f));
      t.weight[3] = far(minus_from(g, 2, f));
    }
  }
  for (int k = 0; k < t.count; ++k) {
    ValueId i = t.index[k];
    if (padding == Padding::reflection && mode == Mode::cubic) i = mirrored(g, i, low, length);
    // Beside the picture lies one row of zeros.
    i = padding == Padding::zeros ? plus(g, clipped(g, i, -1, last + 1), 1) : clipped(g, i, 0, last);
    t.index[k] = cast(g, i, TERN_DTYPE_I64);
  }
  return t;
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const Value vx = g.value(a.in(0)), vg = g.value(a.in(1));
  const int spatial = vx.shape.rank - 2;
  Shape y = vg.shape;
  const int64_t batch = y[0], channels = vx.shape[spatial + 1];
  y[y.rank - 1] = channels;
  int64_t points = 1;
  for (int i = 1; i <= spatial; ++i) points *= y[i];
  if (y.elements() == 0) {
    a.set(0, filled(g, vx.dtype, y, 0));
    return;
  }
  const DType wide = vx.dtype == TERN_DTYPE_F64 || vg.dtype == TERN_DTYPE_F64 ? TERN_DTYPE_F64 : TERN_DTYPE_F32;
  const bool zeros = p.padding == (int64_t)Padding::zeros;
  ValueId x = a.in(0);
  Shape pixels = vx.shape;
  if (zeros) {
    PadAttrs pad;
    pad.before.count = pad.after.count = vx.shape.rank;
    for (int i = 1; i <= spatial; ++i) pad.before[i] = pad.after[i] = 1, pixels[i] += 2;
    x = emit(g, "pad", {x}, pad);
  }
  int64_t count = 1;
  for (int i = 1; i <= spatial; ++i) count *= pixels[i];
  x = reshape(g, x, Shape{batch, count, channels});
  const ValueId grid = reshape(g, cast(g, a.in(1), wide), Shape{batch, points, spatial});
  Taps taps[kMaxRank];
  int64_t corners = 1;
  for (int i = 0; i < spatial; ++i) {
    const int64_t column = spatial - 1 - i;
    taps[i] =
        taps_of(g, p, emit(g, "gather", {grid, add_constant(g, TERN_DTYPE_I64, Shape{}, &column)}, GatherAttrs{2}),
                vx.shape[1 + i]);
    corners *= taps[i].count;
  }
  ValueId sum = kNoValue;
  for (int64_t corner = 0; corner < corners && g.status == TERN_OK; ++corner) {
    ValueId index = kNoValue, weight = kNoValue;
    int64_t rest = corner;
    for (int i = 0; i < spatial; ++i) {
      const int k = (int)(rest % taps[i].count);
      rest /= taps[i].count;
      index = index == kNoValue ? taps[i].index[k] : add(g, scaled(g, index, (double)pixels[1 + i]), taps[i].index[k]);
      if (taps[i].weight[k] != kNoValue)
        weight = weight == kNoValue ? taps[i].weight[k] : mul(g, weight, taps[i].weight[k]);
    }
    ValueId v = emit(g, "gather_nd", {x, reshape(g, index, Shape{batch, points, 1})}, GatherNdAttrs{1});
    if (weight != kNoValue) v = mul(g, cast(g, v, wide), reshape(g, weight, Shape{batch, points, 1}));
    sum = sum == kNoValue ? v : add(g, sum, v);
  }
  a.set(0, reshape(g, cast(g, sum, vx.dtype), y));
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, mode, choice, 0, 2, kModes),
                                 TERN_ATTR(Attrs, padding, choice, 0, 2, kPaddings),
                                 TERN_ATTR(Attrs, align_corners, integer, 0, 1)};

constexpr Case kCases[] = {
    {"zeros", "f32[2,4,5,3] f32[2,3,4,2]:-1.5..1.5"},
    {"corners", "f32[1,4,5,2] f32[1,3,3,2]:-1.5..1.5", "align_corners=1"},
    {"border", "f32[1,4,5,2] f32[1,3,3,2]:-2..2", "padding=border"},
    {"reflection", "f32[1,4,5,2] f32[1,3,3,2]:-4..4", "padding=reflection"},
    {"reflection_corners", "f32[1,4,5,2] f32[1,3,3,2]:-4..4", "padding=reflection align_corners=1"},
    {"nearest", "f32[2,4,5,3] f32[2,2,3,2]:-1.5..1.5", "mode=nearest"},
    {"nearest_reflection", "f32[1,3,5,2] f32[1,2,3,2]:-4..4", "mode=nearest padding=reflection"},
    {"bytes", "u8[1,3,3,2]:0..255 f32[1,2,3,2]", "mode=nearest"},
    {"long", "i64[1,3,3,1] f32[1,2,2,2]", "mode=nearest padding=border"},
    {"cubic", "f32[1,5,4,2] f32[1,2,3,2]:-1.3..1.3", "mode=cubic", 1e-4},
    {"cubic_border", "f32[1,5,4,1] f32[1,2,3,2]:-2..2", "mode=cubic padding=border", 1e-4},
    {"cubic_reflection", "f32[1,5,4,1] f32[1,2,3,2]:-4..4", "mode=cubic padding=reflection align_corners=1", 1e-4},
    {"volume", "f32[2,3,4,3,2] f32[2,2,2,3,3]:-1.3..1.3"},
    {"volume_nearest", "f32[1,3,4,3,2] f32[1,2,2,3,3]:-2..2", "mode=nearest padding=border"},
    {"line", "f32[2,7,3] f32[2,5,1]:-1.3..1.3"},
    {"one_pixel", "f32[1,1,1,2] f32[1,2,2,2]:-2..2", "padding=reflection align_corners=1"},
    {"half", "f16[1,4,4,3] f32[1,3,3,2]", "", 2e-3},
    {"half_grid", "f32[1,4,4,3] f16[1,3,3,2]"},
    {"double", "f64[1,4,4,1] f64[1,3,3,2]"},
    {"far", "f32[1,3,3,1] f32[1,1,3,2]{1e30,0,inf,0.5,-inf,-1e30}"},
    {"not_a_number", "f32[1,3,3,1] f32[1,1,1,2]{nan,0}", "mode=nearest"},
    {"no_picture", "f32[0,4,4,1] f32[0,2,2,2]"},
    {"no_points", "f32[1,4,4,1] f32[1,0,2,2]"},
    {"no_channels", "f32[1,4,4,0] f32[1,2,2,2]"},
    {"no_pixels", "f32[1,0,4,1] f32[1,2,2,2]", "", 0, TERN_ERR_SHAPE},
    {"batches", "f32[2,4,4,1] f32[1,2,2,2]", "", 0, TERN_ERR_SHAPE},
    {"coordinates", "f32[1,4,4,1] f32[1,2,2,3]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[4,4] f32[4,4]", "", 0, TERN_ERR_SHAPE},
    {"integers", "u8[1,4,4,1] f32[1,2,2,2]", "", 0, TERN_ERR_TYPE},
    {"grid_type", "f32[1,4,4,1] i32[1,2,2,2]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_grid_sample = checked_op({.name = "grid_sample",
                                                       .min_in = 2,
                                                       .max_in = 2,
                                                       .attributes = attr_schema<Attrs>(kFields),
                                                       .infer = infer,
                                                       .decompose = decompose,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
