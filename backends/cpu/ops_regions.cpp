// SPDX-License-Identifier: Apache-2.0
// roi_align and its gradient: the operator's own geometry (ops/roi_align.h), vectors of channels by kernels.
#include <algorithm>

#include "backends/cpu/prepare.h"
#include "kernels/cpu/roi_align.h"
#include "ops/roi_align.h"

namespace tern::cpu {
namespace {

struct RegionArgs {
  const RoiAlignKernels* k = nullptr;
  const RoiAlignAttrs* attrs = nullptr;
  Shape x_shape;
  const float *x = nullptr, *values = nullptr, *rois = nullptr, *dy = nullptr;
  const void* batch = nullptr;
  DType batch_dtype = TERN_DTYPE_I64;
  float* out = nullptr;
  int32_t* error = nullptr;
  int64_t regions = 0;

  // The picture of region r, or -1 if there is none.
  int64_t picture(int64_t r) const {
    const int64_t n = load_integer(batch_dtype, batch, r);
    if (n >= 0 && n < x_shape[0]) return n;
    __atomic_store_n(error, 1, __ATOMIC_RELAXED);
    return -1;
  }
  template <class F>
  void each_cell(int64_t r, F& f) const {
    const int64_t n = picture(r);
    if (n < 0) return;
    const double box[4] = {rois[4 * r], rois[4 * r + 1], rois[4 * r + 2], rois[4 * r + 3]};
    each_cell_of_region<float>(*attrs, x_shape, r, n, box, f);
  }
};

RoiSample sample_of(const int64_t at[4], const double weight[4], int64_t channel, double factor) {
  RoiSample s;
  for (int k = 0; k < 4; ++k) s.at[k] = at[k] + channel, s.weight[k] = (float)(weight[k] * factor);
  return s;
}

// Unit: a region. scratch: for max the largest of each channel, for means the sums of the latest samples, so that sums
// of very many stay exact enough.
struct Cell {
  static constexpr int kSamples = 64;
  const RegionArgs& a;
  float* best;
  int64_t channels = a.x_shape[3];
  float* y = nullptr;
  double count = 0, seen = 0;
  int latest = 0;

  void add_latest() {
    for (int64_t c = 0; c < channels; ++c) y[c] += best[c], best[c] = 0;
    latest = 0;
  }

  void begin(int64_t place, double samples) {
    y = a.out + place * channels, count = samples, seen = 0;
    std::fill_n(y, channels, 0.0f);
    std::fill_n(best, channels, 0.0f);
    latest = 0;
  }
  void sample(const int64_t at[4], const double weight[4]) {
    if (a.attrs->max) a.k->largest(sample_of(at, weight, 0, 1), a.x, a.values, best, y, channels, seen == 0);
    else a.k->mix(sample_of(at, weight, 0, 1), a.values, best, channels);
    ++seen;
    if (!a.attrs->max && ++latest == kSamples) add_latest();
  }
  void end() {
    if (!a.attrs->max) {
      add_latest();
      const float divisor = (float)std::max(1.0, count);
      for (int64_t c = 0; c < channels; ++c) y[c] /= divisor;
    } else if (seen > 0 && seen < count) {  // a sample beyond x is 0
      for (int64_t c = 0; c < channels; ++c)
        if (best[c] < 0) y[c] = 0;
    }
  }
};

void run_regions(const void* args, int64_t begin, int64_t end, void* scratch) {
  Cell cell{*(const RegionArgs*)args, (float*)scratch};
  for (int64_t r = begin; r < end; ++r) cell.a.each_cell(r, cell);
}

constexpr int64_t kRegionChannels = 64;  // of one unit of the gradient

struct GradientCell {
  const RegionArgs& a;
  int64_t first, channels;
  const float* dy = nullptr;
  double factor = 1;

  void begin(int64_t place, double samples) {
    dy = a.dy + place * a.x_shape[3] + first;
    factor = 1 / std::max(1.0, samples);
  }
  void sample(const int64_t at[4], const double weight[4]) {
    a.k->spread(sample_of(at, weight, first, factor), dy, a.out, channels);
  }
  void end() {}
};

void run_region_gradients(const void* args, int64_t begin, int64_t end, void*) {
  const RegionArgs& a = *(const RegionArgs*)args;
  const int64_t all = a.x_shape[3], pixels = a.x_shape[0] * a.x_shape[1] * a.x_shape[2];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t first = u * kRegionChannels;
    GradientCell cell{a, first, std::min(kRegionChannels, all - first)};
    for (int64_t p = 0; p < pixels; ++p) std::fill_n(a.out + p * all + first, cell.channels, 0.0f);
    for (int64_t r = 0; r < a.regions; ++r) a.each_cell(r, cell);
  }
}

RegionArgs& fill_regions(Prepare& p) {
  RegionArgs& a = p.args<RegionArgs>();
  a.k = p.k.roi_align;
  a.attrs = &p.node.attrs<RoiAlignAttrs>();
  a.x_shape = p.in(0).shape;
  a.regions = p.in(1).shape[0];
  a.batch_dtype = p.in(2).dtype;
  a.error = p.error_flag();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.rois, p.node.in[1]);
  p.pointer(a.batch, p.node.in[2]);
  p.pointer(a.out, p.node.out[0]);
  return a;
}

const char* refuse_regions(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).shape[3] == 0) return "the kernel takes pictures with channels only";
  return refuse_unless_f32(g, n);
}

tern_status prepare_regions(Prepare& p) {
  RegionArgs& a = fill_regions(p);
  p.pointer(a.values, p.node.in[p.has(3) ? 3 : 0]);
  const double cells = (double)(a.attrs->height * a.attrs->width);
  p.call(run_regions, &a, a.regions, 64 * cells * (double)a.x_shape[3], (size_t)a.x_shape[3] * sizeof(float));
  return TERN_OK;
}

const char* refuse_region_gradients(const Graph& g, const Node& n) {
  if (n.attrs<RoiAlignAttrs>().max) return "the kernel takes means only";
  return refuse_regions(g, n);
}

tern_status prepare_region_gradients(Prepare& p) {
  RegionArgs& a = fill_regions(p);
  p.pointer(a.dy, p.node.in[3]);
  const double cells = (double)(a.regions * a.attrs->height * a.attrs->width);
  p.call(run_region_gradients, &a, (a.x_shape[3] + kRegionChannels - 1) / kRegionChannels, 64 * cells * kRegionChannels,
         0);
  return TERN_OK;
}

constexpr auto kOps = without_left_out({
    {&op_roi_align, refuse_regions, prepare_regions},
    {&op_roi_align_grad, refuse_region_gradients, prepare_region_gradients},
});

}  // namespace

std::span<const CpuOp> cpu_ops_regions() { return kOps; }

}  // namespace tern::cpu
