// SPDX-License-Identifier: Apache-2.0
// The samples of roi_align and its gradient.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "ops/move.h"

namespace tern {

struct RoiAlignAttrs {
  int64_t height = 1, width = 1;  // cells of a region
  int64_t sampling_ratio = 0;     // samples of a cell along each axis; 0 = as many as the cell has pixels, rounded up
  double spatial_scale = 1;       // pixels of x per unit of the regions
  // max: the largest corner of the samples, not their mean; aligned: pixel centres lie at 0.5
  int64_t max = 0, aligned = 1;
};

inline constexpr AttrField kRoiAlignFields[] = {TERN_ATTR(RoiAlignAttrs, height, integer, 1, 1 << 20),
                                                TERN_ATTR(RoiAlignAttrs, width, integer, 1, 1 << 20),
                                                TERN_ATTR(RoiAlignAttrs, sampling_ratio, integer, 0, 1 << 7),
                                                TERN_ATTR(RoiAlignAttrs, spatial_scale, number, 0, 1e9),
                                                TERN_ATTR(RoiAlignAttrs, max, integer, 0, 1),
                                                TERN_ATTR(RoiAlignAttrs, aligned, integer, 0, 1)};

// Samples of one axis of a region: sample i of cell o lies at start + o * cell + (i + 0.5) * cell / count.
template <class T>
struct RoiAxis {
  T start, cell;
  double count;  // whole; not above 0: none
  int64_t size;  // of x

  // The first sample of cell o from which on they can lie within x, and one behind the last; no more than x has room
  // for.
  void range(int64_t o, double* first, double* end) const {
    const double from = (double)start + (double)o * (double)cell, step = (double)cell / count;
    *first = 0, *end = count > 0 ? count : 0;
    if (!(step > 0)) return;
    *first = std::max(*first, std::floor((-1.0 - from) / step - 0.5) - 1);
    *end = std::min(*end, std::ceil(((double)size - from) / step - 0.5) + 2);
    if (!(*end < 1e15)) *end = *first;  // a region that ends far away before it meets x
  }
  // The two pixels around sample i and the share of the second; false outside of x.
  bool at(int64_t o, double i, int64_t index[2], double* share) const {
    T p = start + (T)o * cell + ((T)i + (T)0.5) * cell / (T)count;
    if (!(p >= (T)-1 && p <= (T)size)) return false;
    p = std::max(p, (T)0);
    index[0] = std::min((int64_t)p, size - 1);
    index[1] = std::min(index[0] + 1, size - 1);
    *share = index[0] == size - 1 ? 0 : (double)(p - (T)index[0]);
    return true;
  }
};

template <class T>
RoiAxis<T> roi_axis(const RoiAlignAttrs& p, double from, double to, int64_t cells, int64_t size) {
  const T offset = p.aligned ? (T)0.5 : (T)0, start = (T)from * (T)p.spatial_scale - offset;
  T length = (T)to * (T)p.spatial_scale - offset - start;
  if (!p.aligned) length = std::max(length, (T)1);
  const T cell = length / (T)cells;
  const double count = p.sampling_ratio > 0 ? (double)p.sampling_ratio : (double)std::ceil(cell);
  return {start, cell, std::isfinite(count) && std::isfinite(start) ? count : 0, size};
}

// For every cell of region r of picture n: f.begin(its place in y without channels, the number of its samples),
// f.sample(offsets[4] in x, weights[4]) for each sample within x, then f.end(). box: left, top, right, bottom.
template <class T, class F>
void each_cell_of_region(const RoiAlignAttrs& p, const Shape& x, int64_t r, int64_t n, const double box[4], F& f) {
  const RoiAxis<T> ax = roi_axis<T>(p, box[0], box[2], p.width, x[2]);
  const RoiAxis<T> ay = roi_axis<T>(p, box[1], box[3], p.height, x[1]);
  for (int64_t oy = 0; oy < p.height; ++oy)
    for (int64_t ox = 0; ox < p.width; ++ox) {
      f.begin((r * p.height + oy) * p.width + ox, ay.count * ax.count);
      double y0, y1, x0, x1, wy, wx;
      int64_t iy[2], ix[2];
      ay.range(oy, &y0, &y1);
      ax.range(ox, &x0, &x1);
      for (double sy = y0; sy < y1; ++sy) {
        if (!ay.at(oy, sy, iy, &wy)) continue;
        for (double sx = x0; sx < x1; ++sx) {
          if (!ax.at(ox, sx, ix, &wx)) continue;
          int64_t at[4];
          double weight[4];
          for (int k = 0; k < 4; ++k) {
            at[k] = ((n * x[1] + iy[k / 2]) * x[2] + ix[k % 2]) * x[3];
            weight[k] = (k / 2 ? wy : 1 - wy) * (k % 2 ? wx : 1 - wx);
          }
          f.sample(at, weight);
        }
      }
      f.end();
    }
}

// The same for all regions of the operands.
template <class T, class F>
tern_status each_roi_cell(RefArgs& a, const Shape& x, F& f) {
  const RefTensor &rois = a.in(1), &batch = a.in(2);
  for (int64_t r = 0; r < rois.shape[0]; ++r) {
    const int64_t n = batch.load_int(r);
    if (n < 0 || n >= x[0]) return bad_index(a, 2, n, x[0]);
    double box[4];
    for (int k = 0; k < 4; ++k) box[k] = rois.load(r * 4 + k);
    each_cell_of_region<T>(a.attrs<RoiAlignAttrs>(), x, r, n, box, f);
  }
  return TERN_OK;
}

// x [N, H, W, C] with regions [R, 4] and the picture of each [R].
inline tern_status check_roi_inputs(const InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_float(a, 1));
  TERN_TRY(require_integer(a, 2));
  TERN_TRY(require_rank(a, 0, 4));
  const Shape &x = a.in(0).shape, &rois = a.in(1).shape;
  if (rois.rank != 2 || rois[1] != 4 || a.in(2).shape != Shape{rois[0]})
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: regions of shape %s with pictures of shape %s; [R,4] and [R] are needed",
                     a.node.op->name, to_string(rois).c_str(), to_string(a.in(2).shape).c_str());
  if ((x[1] == 0 || x[2] == 0) && rois[0] > 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: %s has no pixels", a.node.op->name, to_string(x).c_str());
  return TERN_OK;
}

}  // namespace tern
