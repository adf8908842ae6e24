// SPDX-License-Identifier: Apache-2.0
#include "tasks/boxes.h"

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "tasks/metadata.h"

namespace tern {

double overlap(const image::Box& a, const image::Box& b) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(w > 0) || !(h > 0)) return 0;
  const double both = w * h, sum = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - both;
  return sum > 0 ? both / sum : 0;
}

tern_status run_as_declared(Session& session, int32_t signature, const Tensor& input,
                            std::span<const Tensor*> results) {
  const Tensor* inputs[] = {&input};
  TERN_TRY(session.run(signature, inputs, results, {}));
  const Signature& sig = session.model().def().signatures[(size_t)signature];
  tern_status s = TERN_OK;
  for (size_t i = 0; i < results.size() && s == TERN_OK; ++i) {
    const Value& v = sig.graph.value(sig.graph.outputs[i]);
    if (results[i]->dtype() != v.dtype || !(results[i]->shape() == v.shape))
      s = TERN_FAIL(TERN_ERR_SHAPE, "output '%s' is %s, the task needs %s at each run", sig.output_names[i].c_str(),
                    to_string(results[i]->shape()).c_str(), to_string(v.shape).c_str());
  }
  if (s != TERN_OK)
    for (const Tensor*& t : results) t->release(), t = nullptr;
  return s;
}

tern_status BoxFinder::create(const Model& model, const char* task, const char* what, const Options& options,
                              std::unique_ptr<BoxFinder>* out) {
  const ModelDef& def = model.def();
  TERN_TRY(require_task(def, task, what));
  std::unique_ptr<BoxFinder> f(new BoxFinder());
  TERN_TRY(find_task_signature(def, &f->signature_));
  TERN_TRY(PictureInput::create(model, f->signature_, &f->input_));
  f->labels_ = read_lines(def, "labels");
  int kind = 0, nms = 0, classes = 0;
  double points = 0, most = 0, first = 0;
  TERN_TRY(read_choice(def, "detector.kind", "anchors", {"anchors", "centers"}, &kind));
  TERN_TRY(read_choice(def, "detector.score", "sigmoid", {"sigmoid", "none", "softmax"}, &f->activation_));
  TERN_TRY(read_choice(def, "detector.nms", "hard", {"hard", "weighted"}, &nms));
  TERN_TRY(read_choice(def, "detector.nms_classes", "all", {"all", "each"}, &classes));
  TERN_TRY(read_number(def, "detector.threshold", "0.5", 0, 1, &f->threshold_));
  TERN_TRY(read_number(def, "detector.nms_iou", "0.5", 0, 1, &f->overlap_));
  TERN_TRY(read_number(def, "detector.score_clip", "0", 0, 1e9, &f->clip_));
  TERN_TRY(read_number(def, "detector.first_class", "0", 0, 1e6, &first));
  TERN_TRY(read_number(def, "detector.keypoints", "0", 0, kMaxBoxPoints, &points));
  TERN_TRY(read_number(def, "detector.max", "100", 1, 100000, &most));
  f->first_class_ = (int64_t)first;
  f->num_points_ = (int32_t)points;
  f->weighted_ = nms == 1;
  f->each_class_ = classes == 1;
  f->max_boxes_ = options.max_boxes > 0 ? options.max_boxes : (int32_t)most;
  if (options.min_score > 0) f->threshold_ = options.min_score;
  if (options.max_overlap > 0) f->overlap_ = options.max_overlap;
  f->centers_ = kind == 1;
  TERN_TRY(f->centers_ ? f->read_center_metadata(model) : f->read_anchor_metadata(model));

  Session::Options session;
  session.backends = options.backends;
  TERN_TRY(Session::create(model, session, &f->session_));
  f->results_.resize(def.signatures[(size_t)f->signature_].graph.outputs.size());
  f->candidates_.reserve(256);
  *out = std::move(f);
  return TERN_OK;
}

tern_status BoxFinder::read_anchor_metadata(const Model& model) {
  const ModelDef& def = model.def();
  const Signature& sig = def.signatures[(size_t)signature_];
  std::string boxes, scores;
  TERN_TRY(read_text(def, "detector.boxes", nullptr, &boxes));
  TERN_TRY(read_text(def, "detector.scores", nullptr, &scores));
  TERN_TRY(find_output(sig, boxes, &outputs_[0]));
  TERN_TRY(find_output(sig, scores, &outputs_[1]));
  int order = 0, size = 0;
  TERN_TRY(read_choice(def, "detector.box_order", "yxhw", {"yxhw", "xywh"}, &order));
  TERN_TRY(read_choice(def, "detector.box_size", "exp", {"exp", "linear"}, &size));
  y_first_ = order == 0;
  exponential_ = size == 0;
  std::vector<double> divisors;
  TERN_TRY(read_numbers(def, "detector.box_divisors", "1,1,1,1", 4, &divisors));
  for (int i = 0; i < 4; ++i) {
    if (divisors[(size_t)i] == 0) return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'detector.box_divisors' holds a 0");
    divisors_[i] = divisors[(size_t)i];
  }
  int32_t anchors = -1;
  TERN_TRY(find_parameter(def, "task.anchors", &anchors));
  const Parameter& p = def.parameters[(size_t)anchors];
  const Value &b = sig.graph.value(sig.graph.outputs[(size_t)outputs_[0]]),
              &s = sig.graph.value(sig.graph.outputs[(size_t)outputs_[1]]);
  if (p.dtype != TERN_DTYPE_F32 || !is_plain(p.encoding) || p.shape.rank != 2 || p.shape[1] != 4)
    return TERN_FAIL(TERN_ERR_CORRUPT, "'task.anchors' is %s%s, f32 [N,4] is needed", dtype_name(p.dtype),
                     to_string(p.shape).c_str());
  num_anchors_ = p.shape[0];
  anchors_ = (const float*)p.data.bytes;
  if (b.dtype != TERN_DTYPE_F32 || s.dtype != TERN_DTYPE_F32 || b.shape.rank < 2 || s.shape.rank < 2)
    return TERN_FAIL(TERN_ERR_CORRUPT, "outputs '%s' and '%s' must be f32 of at least 2 dims", boxes.c_str(),
                     scores.c_str());
  box_values_ = b.shape[b.shape.rank - 1];
  num_classes_ = s.shape[s.shape.rank - 1];
  const auto fits = [&](const Shape& shape, int64_t row) {
    int64_t elements;
    return checked_mul(num_anchors_, row, &elements) && elements == shape.elements();
  };
  if (box_values_ < 4 + 2 * num_points_ || !fits(b.shape, box_values_) || !fits(s.shape, num_classes_) ||
      first_class_ >= num_classes_)
    return TERN_FAIL(TERN_ERR_CORRUPT, "outputs '%s' %s and '%s' %s do not fit %" PRId64 " anchors", boxes.c_str(),
                     to_string(b.shape).c_str(), scores.c_str(), to_string(s.shape).c_str(), num_anchors_);
  return TERN_OK;
}

tern_status BoxFinder::read_center_metadata(const Model& model) {
  const ModelDef& def = model.def();
  const Signature& sig = def.signatures[(size_t)signature_];
  const char* keys[4] = {"detector.heatmap", "detector.sizes", "detector.offsets", "detector.points"};
  const int64_t channels[4] = {1, 2, 2, 10};
  num_points_ = 5;
  TERN_TRY(read_number(def, "detector.stride", "4", 1, 1024, &stride_));
  Shape map;
  for (int i = 0; i < 4; ++i) {
    std::string name;
    TERN_TRY(read_text(def, keys[i], nullptr, &name));
    TERN_TRY(find_output(sig, name, &outputs_[i]));
    const Value& v = sig.graph.value(sig.graph.outputs[(size_t)outputs_[i]]);
    if (i == 0) map = v.shape;
    if (v.dtype != TERN_DTYPE_F32 || v.shape.rank != 4 || v.shape[0] != 1 || v.shape[1] != channels[i] ||
        v.shape[2] != map[2] || v.shape[3] != map[3])
      return TERN_FAIL(TERN_ERR_CORRUPT, "output '%s' is %s, f32 [1,%" PRId64 ",h,w] is needed", name.c_str(),
                       to_string(v.shape).c_str(), channels[i]);
  }
  return TERN_OK;
}

namespace {
// A model may give anything: what is NaN, or so far away that sums of it could become NaN, is no box.
bool is_usable(const FoundBox& f) {
  constexpr double kFar = 1e6;  // sides of the picture
  const auto near = [](double v) { return std::fabs(v) < kFar; };
  bool usable = near(f.box.x0) && near(f.box.y0) && near(f.box.x1) && near(f.box.y1);
  for (int32_t k = 0; k < f.num_points; ++k) usable = usable && near(f.points[k].x) && near(f.points[k].y);
  return usable;
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
}  // namespace

void BoxFinder::decode_anchors(const float* boxes, const float* scores) {
  for (int64_t i = 0; i < num_anchors_; ++i) {
    const float* s = scores + i * num_classes_;
    int64_t best = first_class_;
    for (int64_t c = first_class_ + 1; c < num_classes_; ++c)
      if (s[c] > s[best]) best = c;
    double score = s[best];
    if (clip_ > 0) score = std::clamp(score, -clip_, clip_);
    if (activation_ == 0) score = sigmoid(score);
    if (activation_ == 2) {
      double sum = 0;
      for (int64_t c = 0; c < num_classes_; ++c) sum += std::exp((double)s[c] - (double)s[best]);
      score = 1 / sum;
    }
    if (!(score >= threshold_)) continue;
    const float *t = boxes + i * box_values_, *a = anchors_ + 4 * i;
    const double tx = t[y_first_ ? 1 : 0] / divisors_[0], ty = t[y_first_ ? 0 : 1] / divisors_[1];
    const double tw = t[y_first_ ? 3 : 2] / divisors_[2], th = t[y_first_ ? 2 : 3] / divisors_[3];
    const double x = tx * a[2] + a[0], y = ty * a[3] + a[1];
    const double w = (exponential_ ? std::exp(tw) : tw) * a[2], h = (exponential_ ? std::exp(th) : th) * a[3];
    FoundBox f;
    f.box = {x - w / 2, y - h / 2, x + w / 2, y + h / 2};
    f.num_points = num_points_;
    for (int32_t k = 0; k < num_points_; ++k)
      f.points[k] = {t[4 + 2 * k] / divisors_[0] * a[2] + a[0], t[5 + 2 * k] / divisors_[1] * a[3] + a[1]};
    f.score = (float)std::min(score, 1.0);
    f.label = (int32_t)best;
    if (is_usable(f)) candidates_.push_back(f);
  }
}

void BoxFinder::decode_centers(const Tensor* const* outputs) {
  const Tensor& heat = *outputs[outputs_[0]];
  const int64_t h = heat.shape()[2], w = heat.shape()[3], n = h * w;
  const float *score = (const float*)heat.data(), *size = (const float*)outputs[outputs_[1]]->data(),
              *offset = (const float*)outputs[outputs_[2]]->data(),
              *points = (const float*)outputs[outputs_[3]]->data();
  const double width = input_.width(), height = input_.height();
  for (int64_t i = 0; i < n; ++i) {
    if (!(score[i] > threshold_)) continue;
    const double bh = std::exp((double)size[i]) * stride_, bw = std::exp((double)size[n + i]) * stride_;
    const double cy = ((double)(i / w) + offset[i] + 0.5) * stride_,
                 cx = ((double)(i % w) + offset[n + i] + 0.5) * stride_;
    FoundBox f;
    f.box = {(cx - bw / 2) / width, (cy - bh / 2) / height, (cx + bw / 2) / width, (cy + bh / 2) / height};
    f.num_points = num_points_;
    for (int32_t k = 0; k < num_points_; ++k)
      f.points[k] = {(cx - bw / 2 + points[(2 * k + 1) * n + i] * bw) / width,
                     (cy - bh / 2 + points[2 * k * n + i] * bh) / height};
    f.score = std::min(score[i], 1.0f);
    if (is_usable(f)) candidates_.push_back(f);
  }
}

void BoxFinder::suppress() {
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [](const FoundBox& a, const FoundBox& b) { return a.score > b.score; });
  used_.assign(candidates_.size(), 0);
  kept_.clear();
  for (size_t i = 0; i < candidates_.size() && (int32_t)kept_.size() < max_boxes_; ++i) {
    if (used_[i]) continue;
    FoundBox f = candidates_[i];
    double weight = 0, edges[4] = {}, points[2 * kMaxBoxPoints] = {};
    for (size_t j = i; j < candidates_.size(); ++j) {
      const FoundBox& c = candidates_[j];
      if (used_[j] || (each_class_ && c.label != f.label) ||
          (j != i && !(overlap(candidates_[i].box, c.box) > overlap_)))
        continue;
      used_[j] = 1;
      weight += c.score;
      edges[0] += c.score * c.box.x0, edges[1] += c.score * c.box.y0, edges[2] += c.score * c.box.x1,
          edges[3] += c.score * c.box.y1;
      for (int32_t k = 0; k < c.num_points; ++k)
        points[2 * k] += c.score * c.points[k].x, points[2 * k + 1] += c.score * c.points[k].y;
    }
    if (weighted_ && weight > 0) {
      f.box = {edges[0] / weight, edges[1] / weight, edges[2] / weight, edges[3] / weight};
      for (int32_t k = 0; k < f.num_points; ++k) f.points[k] = {points[2 * k] / weight, points[2 * k + 1] / weight};
    }
    kept_.push_back(f);
  }
}

tern_status BoxFinder::run(const image::Picture& picture, std::span<const FoundBox>* boxes) {
  image::Mapping mapping;
  TERN_TRY(input_.map_whole(picture, &mapping));
  TERN_TRY(input_.fill(picture, mapping));
  TERN_TRY(run_as_declared(*session_, signature_, input_.tensor(), results_));
  candidates_.clear();
  if (centers_) decode_centers(results_.data());
  else
    decode_anchors((const float*)results_[(size_t)outputs_[0]]->data(),
                   (const float*)results_[(size_t)outputs_[1]]->data());
  for (const Tensor* t : results_) t->release();
  suppress();
  const double w = input_.width(), h = input_.height();
  for (FoundBox& f : kept_) {
    f.box = image::model_box_to_upright(mapping, {f.box.x0 * w, f.box.y0 * h, f.box.x1 * w, f.box.y1 * h});
    for (int32_t k = 0; k < f.num_points; ++k)
      f.points[k] = image::model_to_upright(mapping, {f.points[k].x * w, f.points[k].y * h});
  }
  *boxes = kept_;
  return TERN_OK;
}

}  // namespace tern
