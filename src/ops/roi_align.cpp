// SPDX-License-Identifier: Apache-2.0
// roi_align: each region of a picture cut into cells, and each cell the mean (or with max the largest) of its samples
//   x [N, H, W, C] float; rois [R, 4] float: left, top, right, bottom; batch [R] integers: the picture of each, outside
//   [0, N):
//   TERN_ERR_INDEX; values like x (optional): read in place of x where x alone says which of the corners is the largest
//   y [R, height, width, C]: samples are mixed from four pixels and are 0 beyond one pixel around x; no samples: 0
//   max, as in ONNX: the largest of the four pixels, each times its weight, of all samples
//   dx = roi_align_grad(x, rois, batch, dy). The regions only say where to read: their gradient is 0 (as in
//   torchvision)
#include "ops/roi_align.h"

namespace tern {
namespace {

using Attrs = RoiAlignAttrs;

tern_status infer(InferArgs& a) {
  const Attrs& p = a.attrs<Attrs>();
  TERN_TRY(check_roi_inputs(a));
  if (a.has(3)) {
    TERN_TRY(require_same_dtype(a, 0, 3));
    if (a.in(3).shape != a.in(0).shape)
      return TERN_FAIL(TERN_ERR_SHAPE, "roi_align: values of shape %s for %s", to_string(a.in(3).shape).c_str(),
                       to_string(a.in(0).shape).c_str());
  }
  a.set(0, a.in(0).dtype, Shape{a.in(1).shape[0], p.height, p.width, a.in(0).shape[3]});
  return TERN_OK;
}

struct Cell {
  const RefTensor &x, &values, &y;
  bool max;
  int64_t place = 0;
  double count = 0, seen = 0;
  std::vector<double> sum, best;  // per channel

  void begin(int64_t at, double samples) {
    place = at, count = samples, seen = 0;
    std::fill(sum.begin(), sum.end(), 0.0);
  }
  void sample(const int64_t at[4], const double weight[4]) {
    for (size_t c = 0; c < sum.size(); ++c)
      for (int k = 0; k < 4; ++k) {
        const double v = weight[k] * values.load(at[k] + (int64_t)c);
        if (!max) {
          sum[c] += v;
          continue;
        }
        const double chosen = weight[k] * x.load(at[k] + (int64_t)c);
        if ((seen == 0 && k == 0) || chosen > best[c]) best[c] = chosen, sum[c] = v;
      }
    ++seen;
  }
  void end() {
    for (size_t c = 0; c < sum.size(); ++c) {
      const bool outside = max && seen > 0 && seen < count && best[c] < 0;  // a sample beyond x is 0
      y.store(place * (int64_t)sum.size() + (int64_t)c, outside ? 0 : max ? sum[c] : sum[c] / std::max(1.0, count));
    }
  }
};

tern_status reference(RefArgs& a) {
  const RefTensor& x = a.in(0);
  Cell cell{x, a.has(3) ? a.in(3) : x, a.out(0), a.attrs<Attrs>().max != 0, 0, 0, 0, {}, {}};
  cell.sum.resize((size_t)x.shape[3]);
  cell.best.resize((size_t)x.shape[3]);
  return a.in(1).dtype == TERN_DTYPE_F64 ? each_roi_cell<double>(a, x.shape, cell)
                                         : each_roi_cell<float>(a, x.shape, cell);
}

void vjp(VjpArgs& a) {
  const int i = a.has(3) ? 3 : 0;
  if (a.wanted(i)) a.set(i, emit(a.g, "roi_align_grad", {a.in(0), a.in(1), a.in(2), a.dout(0)}, a.attrs<Attrs>()));
}

constexpr Case kCases[] = {
    {"samples", "f32[2,6,5,3] f32[3,4]{0,0,4,5,1,1.5,3,2,-1,-2,6,7} i64[3]{0,1,1}",
     "height=2 width=3 sampling_ratio=2"},
    {"as_needed", "f32[1,9,8,2] f32[2,4]{0.5,1,7,8,2,2,2.5,3} i64[2]{0,0}", "height=2 width=2"},
    {"scaled", "f32[1,6,6,1] f32[1,4]{2,3,20,22} i32[1]{0}", "height=3 width=2 spatial_scale=0.25"},
    {"old", "f32[1,6,5,2] f32[2,4]{1,1,1.2,1.3,0,0,5,5} i64[2]{0,0}", "height=2 width=2 aligned=0"},
    {"max", "f32[1,6,5,3] f32[2,4]{0,0,4,5,1,1.5,3,2} i64[2]{0,0}", "height=2 width=2 sampling_ratio=2 max=1"},
    {"max_outside", "f32[1,3,3,1]:-2..-1 f32[1,4]{-4,-4,3,3} i64[1]{0}", "height=2 width=2 sampling_ratio=2 max=1"},
    {"values", "f32[1,5,5,2] f32[1,4]{0,0,4,5} i64[1]{0} f32[1,5,5,2]", "height=2 width=2 max=1"},
    {"reversed", "f32[1,4,4,1] f32[1,4]{3,3,0,0} i64[1]{0}", "height=2 width=2"},
    {"far", "f32[1,4,4,1] f32[4,4]{-1e30,-1e30,1e30,1e30,1e9,0,2e9,3,nan,0,1,2,0,0,inf,3} i64[4]{0,0,0,0}",
     "height=2 width=2"},
    {"half", "f16[1,5,5,2] f16[1,4]{0,0,4,4} i64[1]{0}", "height=2 width=2", 5e-3},
    {"no_regions", "f32[1,4,4,1] f32[0,4] i64[0]"},
    {"no_channels", "f32[1,4,4,0] f32[1,4] i64[1]{0}"},
    {"minus_one", "f32[1,4,4,1] f32[1,4] i64[1]{-1}", "", 0, TERN_ERR_INDEX},
    {"n", "f32[2,4,4,1] f32[1,4] i64[1]{2}", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[2,4,4,1] f32[1,4] i64[1]{9223372036854775807}", "", 0, TERN_ERR_INDEX},
    {"no_pixels", "f32[1,0,4,1] f32[1,4] i64[1]{0}", "", 0, TERN_ERR_SHAPE},
    {"regions", "f32[1,4,4,1] f32[1,5] i64[1]{0}", "", 0, TERN_ERR_SHAPE},
    {"pictures", "f32[1,4,4,1] f32[1,4] i64[2]{0,0}", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[4,4,1] f32[1,4] i64[1]{0}", "", 0, TERN_ERR_SHAPE},
    {"integers", "u8[1,4,4,1] f32[1,4] i64[1]{0}", "", 0, TERN_ERR_TYPE},
    {"values_shape", "f32[1,4,4,1] f32[1,4] i64[1]{0} f32[1,4,4,2]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_roi_align = checked_op({.name = "roi_align",
                                                     .min_in = 3,
                                                     .max_in = 4,
                                                     .attributes = attr_schema<Attrs>(kRoiAlignFields),
                                                     .infer = infer,
                                                     .reference = reference,
                                                     .vjp = vjp,
                                                     .cases = TERN_CASES(kCases)});

}  // namespace tern
