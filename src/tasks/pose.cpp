// SPDX-License-Identifier: Apache-2.0
#include "tasks/pose.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tasks/metadata.h"

namespace tern {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

tern_status Pose::create(const Model* detector, const Model& landmarks, const Options& options,
                         std::unique_ptr<Pose>* out) {
  auto p = std::make_unique<Pose>();
  if (detector) {
    BoxFinder::Options boxes;
    boxes.backends = options.backends;
    boxes.max_boxes = options.max_persons;
    boxes.min_score = options.min_score;
    TERN_TRY(BoxFinder::create(*detector, "pose_detector", "a person detector for poses", boxes, &p->finder_));
    double centre = 0, edge = 0, points = 0;
    TERN_TRY(read_number(detector->def(), "detector.keypoints", "0", 1, kMaxBoxPoints, &points));
    TERN_TRY(read_number(detector->def(), "region.centre", "0", 0, points - 1, &centre));
    TERN_TRY(read_number(detector->def(), "region.edge", "1", 0, points - 1, &edge));
    TERN_TRY(read_number(detector->def(), "region.scale", "1.25", 0.01, 100, &p->scale_));
    TERN_TRY(read_number(detector->def(), "region.angle", "90", -360, 360, &p->upright_));
    p->centre_ = (int32_t)centre, p->edge_ = (int32_t)edge;
  }
  const ModelDef& def = landmarks.def();
  TERN_TRY(require_task(def, "pose_landmarks", "a landmark model for poses"));
  TERN_TRY(find_task_signature(def, &p->signature_));
  TERN_TRY(PictureInput::create(landmarks, p->signature_, &p->input_));
  const Signature& sig = def.signatures[(size_t)p->signature_];
  std::string name;
  double rows = 0, keypoints = 0, window = 0;
  int visibility = 0, score = 0;
  TERN_TRY(read_text(def, "pose.landmarks", nullptr, &name));
  TERN_TRY(find_output(sig, name, &p->landmarks_));
  TERN_TRY(read_number(def, "pose.rows", nullptr, 1, 10000, &rows));
  TERN_TRY(read_number(def, "pose.keypoints", nullptr, 1, std::min(rows, (double)TERN_MAX_KEYPOINTS), &keypoints));
  TERN_TRY(read_choice(def, "pose.visibility", "sigmoid", {"sigmoid", "none"}, &visibility));
  TERN_TRY(read_text(def, "pose.score", nullptr, &name));
  TERN_TRY(find_output(sig, name, &p->score_));
  TERN_TRY(read_choice(def, "pose.score_activation", "none", {"none", "sigmoid"}, &score));
  TERN_TRY(read_number(def, "pose.threshold", "0.5", 0, 1, &p->threshold_));
  TERN_TRY(read_text(def, "pose.heatmap", "", &name));
  p->rows_ = (int64_t)rows, p->keypoints_ = (int64_t)keypoints;
  p->visibility_sigmoid_ = visibility == 0;
  p->score_sigmoid_ = score == 1;
  const auto output = [&](int i) -> const Value& { return sig.graph.value(sig.graph.outputs[(size_t)i]); };
  if (output(p->landmarks_).dtype != TERN_DTYPE_F32 || output(p->landmarks_).shape.elements() != p->rows_ * 5)
    return TERN_FAIL(TERN_ERR_CORRUPT, "the landmark output is %s, %" PRId64 " rows of 5 are needed",
                     to_string(output(p->landmarks_).shape).c_str(), p->rows_);
  if (output(p->score_).dtype != TERN_DTYPE_F32 || output(p->score_).shape.elements() != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "the score output must be one number");
  if (!name.empty()) {
    TERN_TRY(find_output(sig, name, &p->heatmap_));
    TERN_TRY(read_number(def, "pose.heatmap_window", "7", 1, 255, &window));
    TERN_TRY(read_number(def, "pose.heatmap_threshold", "0.5", 0, 1, &p->heatmap_threshold_));
    p->window_ = (int64_t)window;
    const Value& v = output(p->heatmap_);
    if (v.dtype != TERN_DTYPE_F32 || v.shape.rank != 4 || v.shape[0] != 1 || v.shape[3] < p->keypoints_)
      return TERN_FAIL(TERN_ERR_CORRUPT, "the heat map is %s, f32 [1,h,w,rows] is needed", to_string(v.shape).c_str());
  }
  p->names_ = read_lines(def, "pose.names");
  std::vector<double> pairs;
  TERN_TRY(read_numbers(def, "pose.skeleton", "", 0, &pairs));
  for (const double v : pairs) {
    if (v < 0 || v >= keypoints)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'pose.skeleton' names key point %g of %g", v, keypoints);
    p->skeleton_.push_back((int32_t)v);
  }
  if (p->skeleton_.size() % 2) return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'pose.skeleton' needs pairs");
  Session::Options session;
  session.backends = options.backends;
  TERN_TRY(Session::create(landmarks, session, &p->session_));
  p->results_.resize(sig.graph.outputs.size());
  p->max_persons_ = options.max_persons;
  *out = std::move(p);
  return TERN_OK;
}

// Runs the landmark model on the tensor that is in place and maps its points back through the region.
tern_status Pose::read_landmarks(const image::CropRect& region, tern_person* person, bool* present) {
  TERN_TRY(run_as_declared(*session_, signature_, input_.tensor(), results_));
  const float* rows = (const float*)results_[(size_t)landmarks_]->data();
  double score = *(const float*)results_[(size_t)score_]->data();
  if (score_sigmoid_) score = sigmoid(score);
  *present = score >= threshold_;
  if (*present) {
    person->score = (float)std::min(score, 1.0);
    person->num_keypoints = (int32_t)keypoints_;
    const double c = std::cos(region.angle), s = std::sin(region.angle);
    for (int64_t k = 0; k < keypoints_; ++k) {
      const float* r = rows + 5 * k;
      double x = r[0] / (double)input_.width(), y = r[1] / (double)input_.height();
      const double z = r[2] / (double)input_.width();
      if (heatmap_ >= 0) {
        // The centre of mass of the heat around the point, in cells.
        const Tensor& heat = *results_[(size_t)heatmap_];
        const float* data = (const float*)heat.data();
        const int64_t h = heat.shape()[1], w = heat.shape()[2], depth = heat.shape()[3], half = window_ / 2;
        const double fx = x * (double)w, fy = y * (double)h;
        const int64_t column = fx > -1 && fx < (double)w ? (int64_t)fx : -1,
                      row = fy > -1 && fy < (double)h ? (int64_t)fy : -1;
        if (column >= 0 && row >= 0) {
          double sum = 0, sum_x = 0, sum_y = 0, peak = 0;
          for (int64_t i = std::max<int64_t>(0, row - half); i <= std::min(h - 1, row + half); ++i)
            for (int64_t j = std::max<int64_t>(0, column - half); j <= std::min(w - 1, column + half); ++j) {
              const double p = sigmoid(data[(i * w + j) * depth + k]);
              sum += p, sum_x += p * (double)j, sum_y += p * (double)i;
              peak = std::max(peak, p);
            }
          if (peak >= heatmap_threshold_ && sum > 0) x = sum_x / sum / (double)w, y = sum_y / sum / (double)h;
        }
      }
      const double dx = (x - 0.5) * region.width, dy = (y - 0.5) * region.height;
      person->keypoints[k] = {(float)(region.centre_x + dx * c - dy * s), (float)(region.centre_y + dx * s + dy * c),
                              (float)(z * region.width),
                              (float)std::clamp(visibility_sigmoid_ ? sigmoid(r[3]) : (double)r[3], 0.0, 1.0)};
      const tern_keypoint& p = person->keypoints[k];
      *present =
          *present && std::isfinite(p.x) && std::isfinite(p.y) && std::isfinite(p.z) && p.visibility == p.visibility;
    }
  }
  for (const Tensor* t : results_) t->release();
  return TERN_OK;
}

tern_status Pose::run(const tern_picture* public_picture, std::span<tern_person> persons, int32_t* count) {
  image::Picture picture;
  TERN_TRY(read_picture(public_picture, &picture));
  const image::Size size = image::upright_size(picture);
  FoundBox whole;
  std::span<const FoundBox> boxes(&whole, 1);
  if (finder_) TERN_TRY(finder_->run(picture, &boxes));
  int32_t found = 0;
  for (const FoundBox& f : boxes) {
    image::CropRect region;
    if (finder_) {
      const image::Point a = f.points[centre_], b = f.points[edge_];
      const double side = 2 * std::hypot(b.x - a.x, b.y - a.y) * scale_, pi = std::numbers::pi;
      double angle = upright_ * pi / 180 - std::atan2(-(b.y - a.y), b.x - a.x);
      angle -= 2 * pi * std::floor((angle + pi) / (2 * pi));
      region = {a.x, a.y, side, side, angle};
      if (!(side > 1e-3 && side < 1e8 && std::fabs(a.x) < 1e8 && std::fabs(a.y) < 1e8)) continue;
    } else {
      const double side = std::max(size.width, size.height);
      region = {size.width / 2.0, size.height / 2.0, side, side, 0};
    }
    image::Mapping mapping;
    TERN_TRY(image::map_crop(picture, input_.width(), input_.height(), region, &mapping));
    TERN_TRY(input_.fill(picture, mapping));
    tern_person person = {};
    bool present = false;
    TERN_TRY(read_landmarks(region, &person, &present));
    if (!present) continue;
    if (finder_) {
      person.x0 = (float)f.box.x0, person.y0 = (float)f.box.y0, person.x1 = (float)f.box.x1,
      person.y1 = (float)f.box.y1;
    } else {
      person.x0 = person.y0 = INFINITY, person.x1 = person.y1 = -INFINITY;
      for (int32_t k = 0; k < person.num_keypoints; ++k) {
        person.x0 = std::min(person.x0, person.keypoints[k].x), person.x1 = std::max(person.x1, person.keypoints[k].x);
        person.y0 = std::min(person.y0, person.keypoints[k].y), person.y1 = std::max(person.y1, person.keypoints[k].y);
      }
    }
    if ((size_t)found < persons.size()) persons[(size_t)found] = person;
    ++found;
  }
  *count = found;
  return TERN_OK;
}

}  // namespace tern
