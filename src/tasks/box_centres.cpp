// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tasks/box_decoder.h"

namespace tern {
namespace {

class CentresDecoder final : public BoxDecoder {
 public:
  tern_status read(const ModelDef& model, const TaskMetadata& m) {
    const Signature& sig = model.signatures[(size_t)m.signature()];
    constexpr const char* kKeys[] = {"output.heatmap", "output.sizes", "output.offsets", "output.points"};
    stride_ = m.number("centres.stride");
    offset_ = m.number("anchors.offset");
    y_first_ = m.choice("boxes.order") == 1, exp_ = m.choice("boxes.size") == 1;
    sigmoid_ = m.choice("scores.activation") == 1;
    peaks_ = m.choice("nms") == 0;
    for (size_t i = 0; i < 4; ++i) {
      outputs_[i] = m.output(kKeys[i]).output;
      if (outputs_[i] < 0 && i < 2) return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' is missing", kKeys[i]);
      if (outputs_[i] < 0) continue;
      const Shape& s = sig.graph.value(sig.graph.outputs[(size_t)outputs_[i]]).shape;
      if (sig.graph.value(sig.graph.outputs[(size_t)outputs_[i]]).dtype != TERN_DTYPE_F32 || s.rank != 4 ||
          (i == 0  ? s[1] < 1
           : i < 3 ? s[1] != 2
                   : s[1] < 2 || s[1] % 2 || s[1] / 2 > kMaxBoxPoints))
        return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' names an output of %s: f32 [1,%s,h,w] is needed", kKeys[i],
                         to_string(s).c_str(),
                         i == 0  ? "classes"
                         : i < 3 ? "2"
                                 : "2 * points");
      if (i == 0) num_classes_ = s[1];
      if (i == 3) num_points_ = (int32_t)(s[1] / 2);
    }
    points_.resize((size_t)num_points_);
    return TERN_OK;
  }

  tern_status decode(std::span<const Ref<const Tensor>> outputs, int32_t width, int32_t height, double threshold,
                     BoxCandidates* out) override {
    const Shape& map = outputs[(size_t)outputs_[0]]->shape();
    const int64_t h = map[2], w = map[3], n = h * w, channels[] = {num_classes_, 2, 2, 2 * num_points_};
    const float* data[4] = {};
    for (size_t i = 0; i < 4; ++i) {
      if (outputs_[i] < 0) continue;
      const Tensor& t = *outputs[(size_t)outputs_[i]];
      if (!(t.shape() == Shape{1, channels[i], h, w}))
        return TERN_FAIL(TERN_ERR_SHAPE, "a map of this run is %s, the heat map is %s", to_string(t.shape()).c_str(),
                         to_string(map).c_str());
      data[i] = (const float*)t.data();
    }
    const int64_t ys = y_first_ ? 0 : n, xs = n - ys;
    const double least = sigmoid_ ? logit(threshold) : threshold;
    for (int64_t k = 0; k < num_classes_; ++k) {
      const float* heat = data[0] + k * n;
      for (int64_t i = 0; i < n; ++i) {
        if (!(heat[i] >= least) || (peaks_ && !is_peak(heat, w, h, i))) continue;
        const double tw = data[1][xs + i], th = data[1][ys + i];
        const double bw = (exp_ ? std::exp(tw) : tw) * stride_, bh = (exp_ ? std::exp(th) : th) * stride_;
        const double cx = ((double)(i % w) + (data[2] ? (double)data[2][xs + i] : 0) + offset_) * stride_,
                     cy = ((double)(i / w) + (data[2] ? (double)data[2][ys + i] : 0) + offset_) * stride_;
        BoxCandidate c;
        c.box = {(cx - bw / 2) / width, (cy - bh / 2) / height, (cx + bw / 2) / width, (cy + bh / 2) / height};
        c.score = (float)std::min(sigmoid_ ? sigmoid(heat[i]) : (double)heat[i], 1.0);
        c.label = (int32_t)k;
        c.row = i;
        for (int32_t p = 0; p < num_points_; ++p)
          points_[(size_t)p] = {(cx - bw / 2 + data[3][2 * p * n + xs + i] * bw) / width,
                                (cy - bh / 2 + data[3][2 * p * n + ys + i] * bh) / height, 1};
        out->add(c, points_);
      }
    }
    return TERN_OK;
  }

 private:
  static bool is_peak(const float* heat, int64_t w, int64_t h, int64_t i) {
    const int64_t x = i % w, y = i / w;
    for (int64_t v = std::max<int64_t>(0, y - 1); v <= std::min(h - 1, y + 1); ++v)
      for (int64_t u = std::max<int64_t>(0, x - 1); u <= std::min(w - 1, x + 1); ++u)
        if (heat[v * w + u] > heat[i]) return false;
    return true;
  }

  int outputs_[4] = {-1, -1, -1, -1};
  double stride_ = 4, offset_ = 0.5;
  bool y_first_ = false, exp_ = false, sigmoid_ = false, peaks_ = false;
  std::vector<BoxPoint> points_;
};

}  // namespace

tern_status make_centres_decoder(const ModelDef& model, const TaskMetadata& m, std::unique_ptr<BoxDecoder>* out) {
  auto d = std::make_unique<CentresDecoder>();
  TERN_TRY(d->read(model, m));
  *out = std::move(d);
  return TERN_OK;
}

}  // namespace tern
