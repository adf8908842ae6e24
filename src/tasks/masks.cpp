// SPDX-License-Identifier: Apache-2.0
#include "tasks/masks.h"

#include <algorithm>
#include <bit>

namespace tern {

namespace {

constexpr int64_t kMostMaskBytes = 1 << 30;  // of one picture

// Relative error 1e-6, without branches so that loops over it are vectors; 1/2 at 0.
inline float quick_sigmoid(float x) {
  const float t = std::max(std::min(125.0f, -1.44269504f * x), -125.0f);  // in this order NaN is 125
  const int32_t n = (int32_t)(t + (t < 0 ? -0.5f : 0.5f));
  const float f = (t - (float)n) * 0.693147181f;
  const float e = 1 + f * (1 + f * (1 / 2.f + f * (1 / 6.f + f * (1 / 24.f + f * (1 / 120.f + f * (1 / 720.f))))));
  return 1 / (1 + e * std::bit_cast<float>((n + 127) << 23));
}

inline void to_bytes(float* s, int32_t n, bool activate, uint8_t* out) {
  if (activate)
    for (int32_t x = 0; x < n; ++x) s[x] = quick_sigmoid(s[x]);
  for (int32_t x = 0; x < n; ++x) {
    const float v = s[x] * 255 + 0.5f;
    out[x] = (uint8_t)(int32_t)(v > 0 ? v < 255 ? v : 255.0f : 0.0f);
  }
}

// Between which two cells a place lies, and how far from the first.
struct Between {
  int32_t first, second;
  float part;
};
Between between(double at, int64_t cells) {
  const double v = std::clamp(at, 0.0, (double)(cells - 1));  // NaN: it is no number of a mapping or a box
  const int32_t i = (int32_t)v;
  return {i, (int32_t)std::min<int64_t>(i + 1, cells - 1), (float)(v - i)};
}

}  // namespace

void paint_mask(const float* map, int64_t width, int64_t height, const image::Box& on, const image::Mapping& mapping,
                const image::Box& box, bool activate, ThreadPool& pool, ResultLists* lists) {
  const auto edge = [](double v, int32_t most) { return (int32_t)std::clamp(v, 0.0, (double)most); };
  tern_mask mask;
  mask.x = edge(std::floor(box.x0), lists->width), mask.y = edge(std::floor(box.y0), lists->height);
  mask.width = edge(std::ceil(box.x1), lists->width) - mask.x;
  mask.height = edge(std::ceil(box.y1), lists->height) - mask.y;
  if (mask.width < 1 || mask.height < 1) mask.width = mask.height = 0;
  std::vector<uint8_t> pixels((size_t)mask.width * (size_t)mask.height);
  // Cells of the map for one pixel of the input.
  const double sx = (double)width / (on.x1 - on.x0), sy = (double)height / (on.y1 - on.y0);
  const double* a = mapping.from_upright.m;
  const auto u_at = [&](double px, double py) { return (a[0] * px + a[1] * py + a[2] - on.x0) * sx - 0.5; };
  const auto v_at = [&](double px, double py) { return (a[3] * px + a[4] * py + a[5] - on.y0) * sy - 0.5; };
  // A column of the picture is one of the map: rows are blended first.
  const bool straight = a[1] == 0 && a[3] == 0;
  std::vector<Between> columns(straight ? (size_t)mask.width : 0);
  for (size_t x = 0; x < columns.size(); ++x) columns[x] = between(u_at(mask.x + (double)x + 0.5, 0), width);
  const RowShares rows(pool, mask.height, (int64_t)pixels.size());
  const size_t scratch = (size_t)mask.width + (size_t)width;
  std::vector<float> buffers(scratch * (size_t)rows.shares());
  rows.run([&](int32_t share, int32_t first, int32_t end) {
    float *const line = buffers.data() + scratch * (size_t)share, *const blend = line + mask.width;
    for (int32_t y = first; y < end; ++y) {
      if (straight) {
        const Between v = between(v_at(0, mask.y + y + 0.5), height);
        const float *above = map + v.first * width, *below = map + v.second * width;
        for (int64_t i = 0; i < width; ++i) blend[i] = above[i] + v.part * (below[i] - above[i]);
        for (int32_t x = 0; x < mask.width; ++x) {
          const Between& u = columns[(size_t)x];
          const float left = blend[u.first];
          line[x] = left + u.part * (blend[u.second] - left);
        }
      } else {
        for (int32_t x = 0; x < mask.width; ++x) {
          const double px = mask.x + x + 0.5, py = mask.y + y + 0.5;
          const Between u = between(u_at(px, py), width), v = between(v_at(px, py), height);
          const float *above = map + v.first * width, *below = map + v.second * width;
          const float left = above[u.first] + v.part * (below[u.first] - above[u.first]),
                      right = above[u.second] + v.part * (below[u.second] - above[u.second]);
          line[x] = left + u.part * (right - left);
        }
      }
      to_bytes(line, mask.width, activate, pixels.data() + (size_t)y * (size_t)mask.width);
    }
  });
  mask.pixels = nullptr;  // set when all are there
  lists->mask_bytes += (int64_t)pixels.size();
  lists->masks.push_back(mask);
  lists->mask_pixels.push_back(std::move(pixels));
}

tern_status BoxMasks::create(TaskNetwork& network, std::unique_ptr<BoxMasks>* out) {
  const TaskMetadata& m = network.metadata();
  out->reset();
  if (!m.has("output.coefficients") && !m.has("output.masks")) return TERN_OK;
  std::unique_ptr<BoxMasks> b(new BoxMasks(OutputReader(network.def(), m)));
  b->coefficients_ = m.output("output.coefficients"), b->prototypes_ = m.output("output.prototypes");
  b->masks_ = m.output("output.masks");
  b->boxes_ = m.outputs("output.boxes");
  b->sigmoid_ = m.choice("mask.activation") == 1;
  if (b->masks_.output < 0) {
    TERN_TRY(check_output(network, "output.prototypes", b->prototypes_, -1));
    if (network.declared(b->prototypes_).shape.rank != 4)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'output.prototypes' names %s; [1,n,h,w] is needed",
                       to_string(network.declared(b->prototypes_).shape).c_str());
  } else {
    TERN_TRY(check_output(network, "output.masks", b->masks_, -1));
    if (network.declared(b->masks_).shape.rank < 3)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'output.masks' names %s; [rows,h,w] is needed",
                       to_string(network.declared(b->masks_).shape).c_str());
  }
  *out = std::move(b);
  return TERN_OK;
}

tern_status BoxMasks::add(Finder& finder, const Found& found, ResultLists* lists) {
  TaskNetwork& network = finder.network();
  const image::Box whole = {0, 0, (double)network.input().width(), (double)network.input().height()};
  if (lists->mask_bytes > kMostMaskBytes)
    return TERN_FAIL(TERN_ERR_LIMIT, "the masks of %zu boxes take more than %" PRId64 " MiB: ask for fewer results",
                     lists->masks.size(), kMostMaskBytes >> 20);
  if (masks_.output >= 0) {
    const Shape& s = network.output(masks_).shape();
    const int64_t h = s[s.rank - 2], w = s[s.rank - 1];
    if (h < 1 || w < 1 || found.row >= s.elements() / (h * w))
      return TERN_FAIL(TERN_ERR_SHAPE, "the masks are %s, row %" PRId64 " is not in them", to_string(s).c_str(),
                       found.row);
    // Of the size of the input: they lie where the picture does; others lie on their boxes.
    image::Box on = whole;
    if ((double)h != whole.y1 || (double)w != whole.x1) {
      const image::Box& b = found.box;
      const image::Point p = image::upright_to_model(finder.mapping(), {b.x0, b.y0}),
                         q = image::upright_to_model(finder.mapping(), {b.x1, b.y1});
      on = {p.x, p.y, q.x, q.y};
      if (!(on.x1 - on.x0 > 1e-6) || !(on.y1 - on.y0 > 1e-6)) on = whole;
    }
    paint_mask((const float*)network.output(masks_).data() + found.row * h * w, w, h, on, finder.mapping(), found.box,
               sigmoid_, network.input().pool(), lists);
    return TERN_OK;
  }
  RowsView boxes, rows;
  TERN_TRY(reader_.view(boxes_[0], -1, &boxes));
  TERN_TRY(reader_.view(coefficients_, boxes.rows, &rows));
  const Tensor& protos = network.output(prototypes_);
  const Shape& s = protos.shape();
  const bool planar = s[1] == rows.columns;
  const int64_t n = rows.columns, h = planar ? s[2] : s[1], w = planar ? s[3] : s[2];
  if (s[0] != 1 || (planar ? s[1] : s[3]) != n || h < 1 || w < 1 || found.row >= rows.rows)
    return TERN_FAIL(TERN_ERR_SHAPE, "the prototypes are %s, there are %" PRId64 " coefficients", to_string(s).c_str(),
                     n);
  // Only the cells around the box are summed. Pixels belong to it whose upper left corner does, as the exporters cut.
  const image::Box& b = found.box;
  double x0 = HUGE_VAL, y0 = HUGE_VAL, x1 = -HUGE_VAL, y1 = -HUGE_VAL;
  for (const image::Point& corner : {image::Point{b.x0, b.y0}, {b.x1, b.y0}, {b.x0, b.y1}, {b.x1, b.y1}}) {
    const image::Point p = image::upright_to_model(finder.mapping(), corner);
    x0 = std::min(x0, p.x), x1 = std::max(x1, p.x), y0 = std::min(y0, p.y), y1 = std::max(y1, p.y);
  }
  const double cw = whole.x1 / (double)w, ch = whole.y1 / (double)h;
  const auto cell = [](double v, int64_t most) { return (int64_t)std::clamp(v, 0.0, (double)most); };
  const int64_t c0 = cell(std::floor(x0 / cw - 1), w - 1), c1 = cell(std::ceil(x1 / cw + 1), w),
                r0 = cell(std::floor(y0 / ch - 1), h - 1), r1 = cell(std::ceil(y1 / ch + 1), h);
  const int64_t width = std::max<int64_t>(1, c1 - c0), height = std::max<int64_t>(1, r1 - r0);
  sum_.assign((size_t)(width * height), 0);
  const float* data = (const float*)protos.data();
  for (int64_t k = 0; k < n; ++k) {
    const float weight = rows.at(found.row, k);
    for (int64_t y = 0; y < height; ++y) {
      float* __restrict to = sum_.data() + y * width;
      const float* __restrict from = data + (planar ? (k * h + r0 + y) * w + c0 : ((r0 + y) * w + c0) * n + k);
      if (planar)
        for (int64_t x = 0; x < width; ++x) to[x] += weight * from[x];
      else
        for (int64_t x = 0; x < width; ++x) to[x] += weight * from[x * n];
    }
  }
  paint_mask(sum_.data(), width, height,
             {(double)c0 * cw, (double)r0 * ch, (double)(c0 + width) * cw, (double)(r0 + height) * ch},
             finder.mapping(), {std::ceil(b.x0), std::ceil(b.y0), b.x1, b.y1}, sigmoid_, network.input().pool(), lists);
  return TERN_OK;
}

}  // namespace tern
