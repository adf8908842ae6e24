// SPDX-License-Identifier: Apache-2.0
// roi_align_grad: dx of y = roi_align(x, rois, batch): each dy goes to the pixels that it was mixed from, by their
// weights
//   x, rois, batch and attributes as of roi_align; dy [R, height, width, C], x's type     dx like x
//   ddy = roi_align(x, rois, batch, ddx); x and the regions only choose, so their gradient is 0
#include "ops/roi_align.h"

namespace tern {
namespace {

using Attrs = RoiAlignAttrs;

tern_status infer(InferArgs& a) {
  const Attrs& p = a.attrs<Attrs>();
  TERN_TRY(check_roi_inputs(a));
  TERN_TRY(require_same_dtype(a, 0, 3));
  const Shape y{a.in(1).shape[0], p.height, p.width, a.in(0).shape[3]};
  if (a.in(3).shape != y)
    return TERN_FAIL(TERN_ERR_SHAPE, "roi_align_grad: dy has shape %s instead of %s", to_string(a.in(3).shape).c_str(),
                     to_string(y).c_str());
  a.set(0, a.in(0).dtype, a.in(0).shape);
  return TERN_OK;
}

struct Cell {
  const RefTensor &x, &dy;
  bool max;
  std::vector<double>& dx;
  int64_t place = 0;
  double count = 0, seen = 0;
  std::vector<double> best, weight_of_best;  // per channel
  std::vector<int64_t> at_best;

  void begin(int64_t at, double samples) { place = at, count = samples, seen = 0; }
  void sample(const int64_t at[4], const double weight[4]) {
    const int64_t channels = x.shape[3];
    for (int64_t c = 0; c < channels; ++c)
      for (int k = 0; k < 4; ++k) {
        if (!max) {
          dx[(size_t)(at[k] + c)] += weight[k] * dy.load(place * channels + c) / std::max(1.0, count);
          continue;
        }
        const double v = weight[k] * x.load(at[k] + c);
        if ((seen == 0 && k == 0) || v > best[(size_t)c])
          best[(size_t)c] = v, weight_of_best[(size_t)c] = weight[k], at_best[(size_t)c] = at[k] + c;
      }
    ++seen;
  }
  void end() {
    const int64_t channels = x.shape[3];
    for (int64_t c = 0; max && seen > 0 && c < channels; ++c)
      if (seen >= count || best[(size_t)c] >= 0)
        dx[(size_t)at_best[(size_t)c]] += weight_of_best[(size_t)c] * dy.load(place * channels + c);
  }
};

tern_status reference(RefArgs& a) {
  const RefTensor& x = a.in(0);
  const size_t channels = (size_t)x.shape[3];
  std::vector<double> dx((size_t)x.elements(), 0.0);
  Cell cell{x,
            a.in(3),
            a.attrs<Attrs>().max != 0,
            dx,
            0,
            0,
            0,
            std::vector<double>(channels),
            std::vector<double>(channels),
            std::vector<int64_t>(channels)};
  TERN_TRY(a.in(1).dtype == TERN_DTYPE_F64 ? each_roi_cell<double>(a, x.shape, cell)
                                           : each_roi_cell<float>(a, x.shape, cell));
  for (int64_t i = 0; i < x.elements(); ++i) a.out(0).store(i, dx[(size_t)i]);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (a.wanted(3)) a.set(3, emit(a.g, "roi_align", {a.in(0), a.in(1), a.in(2), a.dout(0)}, a.attrs<Attrs>()));
}

constexpr Case kCases[] = {
    {"mean", "f32[2,6,5,2] f32[2,4]{0,0,4,5,1,1.5,3,2} i64[2]{0,1} f32[2,2,2,2]", "height=2 width=2 sampling_ratio=2"},
    {"as_needed", "f32[1,7,6,1] f32[1,4]{0.5,1,5,6} i64[1]{0} f32[1,2,2,1]", "height=2 width=2"},
    {"max", "f32[1,6,5,2] f32[1,4]{0,0,4,5} i64[1]{0} f32[1,2,2,2]", "height=2 width=2 max=1"},
    {"half", "f16[1,4,4,1] f16[1,4]{0,0,3,3} i64[1]{0} f16[1,2,2,1]", "height=2 width=2", 5e-3},
    {"no_regions", "f32[1,4,4,1] f32[0,4] i64[0] f32[0,1,1,1]"},
    {"n", "f32[1,4,4,1] f32[1,4] i64[1]{1} f32[1,1,1,1]", "", 0, TERN_ERR_INDEX},
    {"shape", "f32[1,4,4,1] f32[1,4] i64[1]{0} f32[1,2,1,1]", "", 0, TERN_ERR_SHAPE},
    {"types", "f32[1,4,4,1] f32[1,4] i64[1]{0} f16[1,1,1,1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_roi_align_grad = checked_op({.name = "roi_align_grad",
                                                          .min_in = 4,
                                                          .max_in = 4,
                                                          .capability = Capability::training,
                                                          .attributes = attr_schema<Attrs>(kRoiAlignFields),
                                                          .infer = infer,
                                                          .reference = reference,
                                                          .vjp = vjp,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
