// SPDX-License-Identifier: Apache-2.0
// Masks of the whole picture: one, or the class of each pixel.
#include <algorithm>

#include "tasks/masks.h"

namespace tern {
namespace {

class Segmenter final : public Describer {
 public:
  explicit Segmenter(TaskNetwork network) : Describer(std::move(network)) {}

  tern_status read() {
    const TaskMetadata& m = network_.metadata();
    mask_ = m.output("output.mask"), map_ = m.output("output.class_map");
    activation_ = m.choice("mask.activation");
    if (mask_.output < 0 && map_.output < 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "a segmenter needs the metadata 'output.mask' or 'output.class_map'");
    const OutputColumns c = mask_.output >= 0 ? mask_ : map_;
    const Value& v = network_.declared(c);
    if (v.shape.rank < 3 || (mask_.output >= 0 && v.dtype != TERN_DTYPE_F32))
      return TERN_FAIL(TERN_ERR_CORRUPT, "the masks are %s%s", dtype_name(v.dtype), to_string(v.shape).c_str());
    if (map_.output >= 0 && v.shape.rank == 4) {
      // Channels stand where they are fewer than pixels, and not one.
      planar_ = v.shape[1] < v.shape[3] || v.shape[3] < 1;
      TERN_TRY(check_labels(network_, planar_ ? v.shape[1] : v.shape[3]));
    }
    return TERN_OK;
  }

  tern_status run(const image::Picture& picture, const image::CropRect*, const Found*, const RunControl& control,
                  ResultLists* lists, bool* kept) override {
    PictureInput& input = network_.input();
    image::Mapping mapping;
    TERN_TRY(input.map_whole(picture, &mapping));
    TERN_TRY(input.fill(picture, mapping));
    TERN_TRY(network_.run(control));
    const image::Box whole = {0, 0, (double)input.width(), (double)input.height()},
                     all = {0, 0, (double)lists->width, (double)lists->height};
    *kept = true;
    if (mask_.output >= 0) {
      const Tensor& t = network_.output(mask_);
      const Shape& s = t.shape();
      const int64_t last = s[s.rank - 1];
      // [1,h,w,1] or [1,1,h,w]; of two channels the second is the thing.
      const bool nhwc = s.rank == 4 && last <= 2 && s[1] > 2;
      const int64_t channels = s.rank == 4 ? (nhwc ? last : s[1]) : 1, h = nhwc ? s[1] : s[s.rank - 2],
                    w = nhwc ? s[2] : last, n = h * w;
      if (n < 1 || s.elements() != n * channels || channels < 1 || channels > 2)
        return TERN_FAIL(TERN_ERR_SHAPE, "the mask is %s", to_string(s).c_str());
      const float* data = (const float*)t.data();
      if (channels == 2) {
        map_values_.resize((size_t)n);
        for (int64_t i = 0; i < n; ++i) {
          const float *other = data + (nhwc ? 2 * i : i), *thing = other + (nhwc ? 1 : n);
          // Their difference is what a softmax sees.
          map_values_[(size_t)i] = activation_ == 2 ? *thing - *other : *thing;
        }
        data = map_values_.data();
      }
      paint_mask(data, w, h, whole, mapping, all, activation_ != 0, input.pool(), lists);
      lists->add_detection(all, 1, 0);
      return TERN_OK;
    }
    return paint_classes(mapping, lists);
  }

 private:
  tern_status paint_classes(const image::Mapping& mapping, ResultLists* lists) {
    const Tensor& t = network_.output(map_);
    const Shape& s = t.shape();
    const int64_t channels = s.rank == 4 ? s[planar_ ? 1 : 3] : 1, h = s[s.rank == 4 && !planar_ ? 1 : s.rank - 2],
                  w = s[s.rank == 4 && !planar_ ? 2 : s.rank - 1];
    if (h < 1 || w < 1 || channels < 1 || s.elements() != h * w * channels || channels > 256)
      return TERN_FAIL(TERN_ERR_SHAPE, "the class map is %s", to_string(s).c_str());
    map_values_.resize((size_t)s.elements());
    for (int64_t i = 0; i < s.elements(); ++i) map_values_[(size_t)i] = (float)load_element(t.dtype(), t.data(), i);
    lists->class_map.assign((size_t)lists->width * (size_t)lists->height, 0);
    const double* a = mapping.from_upright.m;
    const double sx = (double)w / mapping.model_width, sy = (double)h / mapping.model_height;
    const int64_t step = planar_ || s.rank < 4 ? 1 : channels, plane = planar_ || s.rank < 4 ? h * w : 1;
    const auto paint_row = [&](int32_t y) {
      for (int32_t x = 0; x < lists->width; ++x) {
        const double px = x + 0.5, py = y + 0.5;
        const double u = std::clamp((a[0] * px + a[1] * py + a[2]) * sx - 0.5, 0.0, (double)(w - 1)),
                     v = std::clamp((a[3] * px + a[4] * py + a[5]) * sy - 0.5, 0.0, (double)(h - 1));
        uint8_t* out = &lists->class_map[(size_t)y * (size_t)lists->width + (size_t)x];
        if (channels == 1) {  // classes, not scores
          const float k = map_values_[(size_t)((int64_t)(v + 0.5) * w + (int64_t)(u + 0.5))];
          *out = k >= 0 && k < 256 ? (uint8_t)k : 0;
          continue;
        }
        const int64_t i = (int64_t)u, j = (int64_t)v, i1 = std::min(i + 1, w - 1), j1 = std::min(j + 1, h - 1);
        const float fu = (float)(u - (double)i), fv = (float)(v - (double)j);
        const float *p00 = &map_values_[(size_t)((j * w + i) * step)],
                    *p01 = &map_values_[(size_t)((j * w + i1) * step)],
                    *p10 = &map_values_[(size_t)((j1 * w + i) * step)],
                    *p11 = &map_values_[(size_t)((j1 * w + i1) * step)];
        float best = -HUGE_VALF;
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t at = c * plane;
          const float score = (1 - fv) * ((1 - fu) * p00[at] + fu * p01[at]) + fv * ((1 - fu) * p10[at] + fu * p11[at]);
          if (score > best) best = score, *out = (uint8_t)c;
        }
      }
    };
    const RowShares rows(network_.input().pool(), lists->height, (int64_t)lists->class_map.size());
    rows.run([&](int32_t, int32_t first, int32_t end) {
      for (int32_t y = first; y < end; ++y) paint_row(y);
    });
    return TERN_OK;
  }

  OutputColumns mask_, map_;
  int activation_ = 0;
  bool planar_ = true;
  std::vector<float> map_values_;
};

}  // namespace

tern_status make_segmenter(TaskNetwork network, const VisionOptions&, std::unique_ptr<Describer>* out) {
  auto s = std::make_unique<Segmenter>(std::move(network));
  TERN_TRY(s->read());
  *out = std::move(s);
  return TERN_OK;
}

}  // namespace tern
