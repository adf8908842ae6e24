// SPDX-License-Identifier: Apache-2.0
// Key points of a picture or a region.
// Source: V. Bazarevsky et al., BlazePose: On-device Real-time Body Pose tracking, 2020; Y. Kartynnik et al., Real-time
// Facial Surface Geometry from Monocular Video on Mobile GPUs, 2019.
#include "tasks/keypoints.h"

#include <algorithm>

namespace tern {

tern_status make_keypoints(TaskNetwork network, const VisionOptions& options, std::unique_ptr<Describer>* out) {
  auto k = std::make_unique<Keypoints>(std::move(network));
  TERN_TRY(k->read(options));
  *out = std::move(k);
  return TERN_OK;
}

tern_status Keypoints::read(const VisionOptions& options) {
  const TaskMetadata& m = network_.metadata();
  points_ = m.outputs("output.points");
  presence_ = m.output("output.presence"), heatmap_ = m.output("output.heatmap"), side_ = m.output("output.classes");
  rows_ = m.integer("keypoints.rows");
  if (rows_ < 1) return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'keypoints.rows' is missing");
  if (points_.empty()) TERN_TRY(check_output(network_, "output.points", {}, -1));
  int64_t elements = 0;
  for (const OutputColumns& c : points_) {
    TERN_TRY(check_output(network_, "output.points", c, -1));
    elements += elements_of_one(network_, c);
  }
  values_ = elements / rows_;
  const int64_t count = m.has("keypoints.count") ? m.integer("keypoints.count") : rows_;
  if (elements % rows_ || values_ < 2 || values_ > 16 || count < 1 || count > rows_ || count > kMaxBoxPoints)
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "metadata 'output.points' names %" PRId64 " numbers: no %" PRId64 " points, %" PRId64
                     " of them given out",
                     elements, rows_, count);
  for (const OutputColumns& c : points_)
    if (elements_of_one(network_, c) % values_)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'output.points' names %s: no points of %" PRId64 " numbers",
                       to_string(network_.declared(c).shape).c_str(), values_);
  count_ = (int32_t)count;
  depth_scale_ = m.number("keypoints.depth_scale");
  depth_ = m.integer("keypoints.depth"), visibility_ = m.integer("keypoints.visibility");
  if (depth_ >= values_ || visibility_ >= values_)
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "metadata 'keypoints.depth' or '.visibility' is beyond the %" PRId64 " numbers of a point",
                     values_);
  y_first_ = m.choice("keypoints.order") == 1;
  sides_ = m.choice("keypoints.unit") == 1;
  visibility_sigmoid_ = m.choice("keypoints.activation") == 1;
  presence_sigmoid_ = m.choice("keypoints.presence") == 1;
  // With a detector min_score is that of its boxes, too.
  threshold_ = options.min_score > 0 ? options.min_score : m.has("result.score") ? m.number("result.score") : 0.5;
  if (presence_.output >= 0) TERN_TRY(check_output(network_, "output.presence", presence_, 1));
  if (side_.output >= 0) {
    TERN_TRY(check_output(network_, "output.classes", side_, 1));
    TERN_TRY(check_labels(network_, 2));
  }
  if (heatmap_.output >= 0) {
    const Value& v = network_.declared(heatmap_);
    if (v.dtype != TERN_DTYPE_F32 || v.shape.rank != 4 || v.shape[0] != 1 || v.shape[3] < count)
      return TERN_FAIL(TERN_ERR_CORRUPT, "the heat map is %s, f32 [1,h,w,points] is needed",
                       to_string(v.shape).c_str());
  }
  window_ = m.integer("keypoints.window");
  heat_ = m.number("keypoints.heat");
  const std::vector<std::string> names = m.lines("keypoints.names");
  if (!names.empty() && (int64_t)names.size() != count)
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'keypoints.names' has %zu names for %" PRId64 " points", names.size(),
                     count);
  has_rule_ = m.has("region.from");
  if (has_rule_) TERN_TRY(RegionRule::read(m, (int32_t)rows_, &rule_));
  return TERN_OK;
}

// The centre of mass of the heat around a point, in cells.
void Keypoints::refine(int64_t k, double* x, double* y) const {
  const Tensor& heat = network_.output(heatmap_);
  const float* data = (const float*)heat.data();
  const int64_t h = heat.shape()[1], w = heat.shape()[2], depth = heat.shape()[3], half = window_ / 2;
  if (heat.shape()[0] < 1 || depth <= k) return;  // sizes may vary between runs
  const double fx = *x * (double)w, fy = *y * (double)h;
  if (!(fx > -1 && fx < (double)w && fy > -1 && fy < (double)h)) return;
  const int64_t column = (int64_t)fx, row = (int64_t)fy;
  double sum = 0, sum_x = 0, sum_y = 0, peak = 0;
  for (int64_t i = std::max<int64_t>(0, row - half); i <= std::min(h - 1, row + half); ++i)
    for (int64_t j = std::max<int64_t>(0, column - half); j <= std::min(w - 1, column + half); ++j) {
      const double p = sigmoid(data[(i * w + j) * depth + k]);
      sum += p, sum_x += p * (double)j, sum_y += p * (double)i;
      peak = std::max(peak, p);
    }
  if (peak >= heat_ && sum > 0) *x = sum_x / sum / (double)w, *y = sum_y / sum / (double)h;
}

tern_status Keypoints::run(const image::Picture& picture, const image::CropRect* region, const Found* found,
                           const RunControl& control, ResultLists* lists, bool* kept) {
  *kept = false;
  PictureInput& input = network_.input();
  image::Mapping mapping;
  TERN_TRY(region ? input.map_region(picture, *region, &mapping) : input.map_whole(picture, &mapping));
  TERN_TRY(input.fill(picture, mapping));
  TERN_TRY(network_.run(control));
  numbers_.clear();
  for (const OutputColumns& c : points_) {
    const Tensor& t = network_.output(c);
    const float* data = (const float*)t.data();
    numbers_.insert(numbers_.end(), data, data + std::min(t.shape().elements(), elements_of_one(network_, c)));
  }
  if ((int64_t)numbers_.size() != rows_ * values_)
    return TERN_FAIL(TERN_ERR_SHAPE, "the key points are %zu numbers, not %" PRId64, numbers_.size(), rows_ * values_);
  double score = found ? found->score : 1;
  int32_t label = found ? found->label : 0;
  if (side_.output >= 0) {
    const Tensor& side = network_.output(side_);
    if (side.shape().elements() != 1)
      return TERN_FAIL(TERN_ERR_SHAPE, "the class is %s", to_string(side.shape()).c_str());
    label = *(const float*)side.data() >= 0.5f ? 0 : 1;
  }
  if (presence_.output >= 0) {
    const Tensor& p = network_.output(presence_);
    if (p.shape().elements() != 1) return TERN_FAIL(TERN_ERR_SHAPE, "the presence is %s", to_string(p.shape()).c_str());
    score = *(const float*)p.data();
    if (presence_sigmoid_) score = sigmoid(score);
    if (!(score >= threshold_)) return TERN_OK;
  }
  const double w = input.width(), h = input.height();
  // Pixels of the picture for one of the input, along the input's x axis: depths are in its unit.
  const double unit = std::hypot(mapping.to_upright.m[0], mapping.to_upright.m[3]);
  all_.clear();
  double x0 = HUGE_VAL, y0 = HUGE_VAL, x1 = -HUGE_VAL, y1 = -HUGE_VAL;
  std::vector<tern_keypoint> out;
  for (int64_t k = 0; k < rows_; ++k) {
    const float* r = numbers_.data() + values_ * k;
    double x = r[y_first_ ? 1 : 0] / (sides_ ? 1 : w), y = r[y_first_ ? 0 : 1] / (sides_ ? 1 : h);
    if (heatmap_.output >= 0) refine(k, &x, &y);
    const image::Point p = image::model_to_upright(mapping, {x * w, y * h});
    const double z = depth_ >= 0 ? r[depth_] * depth_scale_ * (sides_ ? w : 1) * unit : 0,
                 v = visibility_ >= 0 ? r[visibility_] : 1;
    const tern_keypoint q = {(float)p.x, (float)p.y, (float)z,
                             (float)std::clamp(visibility_sigmoid_ ? sigmoid(v) : v, 0.0, 1.0)};
    all_.push_back({p.x, p.y, q.visibility});
    if (k >= count_) continue;
    if (!std::isfinite(q.x) || !std::isfinite(q.y) || !std::isfinite(q.z) || q.visibility != q.visibility)
      return TERN_OK;
    x0 = std::min(x0, p.x), x1 = std::max(x1, p.x), y0 = std::min(y0, p.y), y1 = std::max(y1, p.y);
    out.push_back(q);
  }
  lists->num_keypoints = count_;
  lists->keypoints.insert(lists->keypoints.end(), out.begin(), out.end());
  around_ = {x0, y0, x1, y1};
  lists->add_detection(found ? found->box : around_, (float)std::min(score, 1.0), label);
  *kept = true;
  return TERN_OK;
}

}  // namespace tern
