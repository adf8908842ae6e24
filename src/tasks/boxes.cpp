// SPDX-License-Identifier: Apache-2.0
#include "tasks/boxes.h"

#include <algorithm>
#include <numeric>

namespace tern {

double overlap(const image::Box& a, const image::Box& b) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(w > 0) || !(h > 0)) return 0;
  const double both = w * h, sum = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - both;
  return sum > 0 ? both / sum : 0;
}

namespace {

double overlap_of_smaller(const image::Box& a, const image::Box& b) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(w > 0) || !(h > 0)) return 0;
  const double least = std::min((a.x1 - a.x0) * (a.y1 - a.y0), (b.x1 - b.x0) * (b.y1 - b.y0));
  return least > 0 ? w * h / least : 0;
}

// A turned box as a normal distribution: the variance of a side is its square / 12. In pixels of the input.
struct Normal {
  double x, y, a, b, c;
};
Normal normal_of(const BoxCandidate& k, double width, double height) {
  const double w = (k.box.x1 - k.box.x0) * width, h = (k.box.y1 - k.box.y0) * height, co = std::cos(k.angle),
               si = std::sin(k.angle), u = w * w / 12, v = h * h / 12;
  return {(k.box.x0 + k.box.x1) / 2 * width, (k.box.y0 + k.box.y1) / 2 * height, u * co * co + v * si * si,
          u * si * si + v * co * co, (u - v) * co * si};
}

double overlap_of_turned(const Normal& p, const Normal& q) {
  constexpr double kTiny = 1e-7;
  const double a = p.a + q.a, b = p.b + q.b, c = p.c + q.c, dx = p.x - q.x, dy = p.y - q.y, det = a * b - c * c + kTiny;
  const double t1 = (a * dy * dy + b * dx * dx) / det * 0.25, t2 = -(c * dx * dy) / det * 0.5;
  const double dp = std::max(p.a * p.b - p.c * p.c, 0.0), dq = std::max(q.a * q.b - q.c * q.c, 0.0);
  const double t3 = 0.5 * std::log((a * b - c * c) / (4 * std::sqrt(dp * dq) + kTiny) + kTiny);
  const double distance = std::clamp(t1 + t2 + t3, kTiny, 100.0);
  return 1 - std::sqrt(1 - std::exp(-distance) + kTiny);
}

}  // namespace

tern_status BoxFinder::create(TaskNetwork network, const VisionOptions& options, std::unique_ptr<Finder>* out) {
  std::unique_ptr<BoxFinder> f(new BoxFinder(std::move(network)));
  const TaskMetadata& m = f->network_.metadata();
  const ModelDef& def = f->network_.def();
  TERN_TRY(m.has("output.heatmap") ? make_centres_decoder(def, m, &f->decoder_)
                                   : make_rows_decoder(def, m, &f->decoder_));
  f->network_.drop_background(f->decoder_->num_classes());
  TERN_TRY(check_labels(f->network_, f->decoder_->num_classes()));
  f->threshold_ = options.min_score > 0 ? options.min_score : m.number("result.score");
  f->overlap_ = options.max_overlap > 0 ? options.max_overlap : m.number("result.overlap");
  f->most_ = f->most_results_ = options.max_results > 0 ? options.max_results : (int32_t)m.integer("result.max");
  f->nms_ = m.choice("nms");
  f->each_class_ = m.choice("nms.classes") == 0;
  f->of_smaller_ = m.choice("nms.overlap") == 1;
  f->turned_ = f->gives_corners_ = m.has("output.angle");
  f->num_points_ = f->decoder_->num_points();
  *out = std::move(f);
  return TERN_OK;
}

double BoxFinder::shared(const BoxCandidate& a, const BoxCandidate& b) const {
  if (turned_)
    return overlap_of_turned(normal_of(a, mapping_.model_width, mapping_.model_height),
                             normal_of(b, mapping_.model_width, mapping_.model_height));
  return of_smaller_ ? overlap_of_smaller(a.box, b.box) : overlap(a.box, b.box);
}

void BoxFinder::suppress() {
  const std::vector<BoxCandidate>& all = candidates_.boxes;
  order_.resize(all.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) { return all[a].score > all[b].score; });
  used_.assign(all.size(), 0);
  kept_.clear();
  kept_points_.clear();
  const size_t points = (size_t)num_points_;
  std::vector<BoxPoint> sums(points);
  for (size_t i = 0; i < order_.size() && (int32_t)kept_.size() < most_; ++i) {
    if (used_[i]) continue;
    const BoxCandidate& best = all[order_[i]];
    BoxCandidate f = best;
    const BoxPoint* own = candidates_.points.data() + best.first_point;
    if (nms_ == 2) std::fill(sums.begin(), sums.end(), BoxPoint{});
    else std::copy(own, own + points, sums.begin());
    double weight = 0, edges[4] = {};
    for (size_t j = i; nms_ != 0 && j < order_.size(); ++j) {
      const BoxCandidate& c = all[order_[j]];
      if (used_[j] || (each_class_ && c.label != best.label) || (j != i && !(shared(best, c) > overlap_))) continue;
      used_[j] = 1;
      if (nms_ != 2) continue;
      weight += c.score;
      edges[0] += c.score * c.box.x0, edges[1] += c.score * c.box.y0, edges[2] += c.score * c.box.x1,
          edges[3] += c.score * c.box.y1;
      for (size_t k = 0; k < points; ++k) {
        const BoxPoint& p = candidates_.points[c.first_point + k];
        sums[k].x += c.score * p.x, sums[k].y += c.score * p.y, sums[k].visibility += c.score * p.visibility;
      }
    }
    if (nms_ == 2 && weight > 0) {
      f.box = {edges[0] / weight, edges[1] / weight, edges[2] / weight, edges[3] / weight};
      for (BoxPoint& p : sums) p = {p.x / weight, p.y / weight, p.visibility / weight};
    }
    f.first_point = kept_points_.size();
    kept_.push_back(f);
    kept_points_.insert(kept_points_.end(), sums.begin(), sums.end());
  }
}

tern_status BoxFinder::run(const image::Picture& picture, const RunControl& control, std::span<const Found>* found) {
  PictureInput& input = network_.input();
  TERN_TRY(input.map_whole(picture, &mapping_));
  TERN_TRY(input.fill(picture, mapping_));
  TERN_TRY(network_.run(control));
  candidates_.clear();
  TERN_TRY(decoder_->decode(network_.outputs(), input.width(), input.height(), threshold_, &candidates_));
  suppress();
  const double w = input.width(), h = input.height();
  found_.clear();
  for (BoxPoint& p : kept_points_) {
    const image::Point q = image::model_to_upright(mapping_, {p.x * w, p.y * h});
    p.x = q.x, p.y = q.y;
  }
  for (const BoxCandidate& k : kept_) {
    Found f;
    f.box = image::model_box_to_upright(mapping_, {k.box.x0 * w, k.box.y0 * h, k.box.x1 * w, k.box.y1 * h});
    f.angle = k.angle;
    f.score = k.score;
    f.label = k.label;
    f.row = k.row;
    f.points = std::span(kept_points_).subspan(k.first_point, (size_t)num_points_);
    found_.push_back(f);
  }
  *found = found_;
  return TERN_OK;
}

}  // namespace tern
