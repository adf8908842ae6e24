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

constexpr size_t kMostRivals = 30000;  // the best of more compete, so that time has a bound
constexpr double kTiny = 1e-7;

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
  f->most_ = options.max_results > 0 ? options.max_results : (int32_t)m.integer("result.max");
  f->nms_ = m.choice("nms");
  f->each_class_ = m.choice("nms.classes") == 0;
  f->of_smaller_ = m.choice("nms.overlap") == 1;
  f->turned_ = f->gives_corners_ = m.has("output.angle");
  // overlap = 1 - sqrt(1 - exp(-distance) + tiny), solved for the distance.
  f->far_ = f->overlap_ < 1 ? -std::log(std::max(1 + kTiny - (1 - f->overlap_) * (1 - f->overlap_), kTiny)) : -1;
  f->num_points_ = f->decoder_->num_points();
  *out = std::move(f);
  return TERN_OK;
}

bool BoxFinder::collide(const Rival& p, const Rival& q) const {
  if (each_class_ && p.label != q.label) return false;
  if (turned_) {
    // Bhattacharyya distance of the two normal distributions; the last term, which is never below 0, is dear.
    const double a = p.a + q.a, b = p.b + q.b, c = p.c + q.c, dx = p.x - q.x, dy = p.y - q.y,
                 det = a * b - c * c + kTiny;
    const double apart = (a * dy * dy + b * dx * dx) / det * 0.25 - c * dx * dy / det * 0.5;
    if (apart > far_ + 1e-3) return false;
    const double dp = std::max(p.a * p.b - p.c * p.c, 0.0), dq = std::max(q.a * q.b - q.c * q.c, 0.0);
    const double unlike = 0.5 * std::log((a * b - c * c) / (4 * std::sqrt(dp * dq) + kTiny) + kTiny);
    return std::clamp(apart + unlike, kTiny, 100.0) <= far_;
  }
  const double w = std::min(p.box.x1, q.box.x1) - std::max(p.box.x0, q.box.x0),
               h = std::min(p.box.y1, q.box.y1) - std::max(p.box.y0, q.box.y0);
  if (!(w > 0) || !(h > 0)) return false;
  const double both = w * h, whole = of_smaller_ ? std::min(p.area, q.area) : p.area + q.area - both;
  return both > overlap_ * whole;
}

void BoxFinder::line_up() {
  const std::vector<BoxCandidate>& all = candidates_.boxes;
  order_.resize(all.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) { return all[a].score > all[b].score; });
  if (nms_ != 0 && order_.size() > kMostRivals) order_.resize(kMostRivals);
  rivals_.clear();
  if (nms_ == 0) return;
  const double width = mapping_.model_width, height = mapping_.model_height;
  for (const size_t i : order_) {
    const BoxCandidate& k = all[i];
    const double w = k.box.x1 - k.box.x0, h = k.box.y1 - k.box.y0;
    Rival& r = rivals_.emplace_back(Rival{i, k.box, w * h, k.label, 0, 0, 0, 0, 0});
    if (!turned_) continue;
    // In pixels of the input; the variance of a side is its square / 12.
    const double co = std::cos(k.angle), si = std::sin(k.angle), u = w * w * width * width / 12,
                 v = h * h * height * height / 12;
    r.x = (k.box.x0 + k.box.x1) / 2 * width, r.y = (k.box.y0 + k.box.y1) / 2 * height;
    r.a = u * co * co + v * si * si, r.b = u * si * si + v * co * co, r.c = (u - v) * co * si;
  }
}

void BoxFinder::suppress() {
  line_up();
  const std::vector<BoxCandidate>& all = candidates_.boxes;
  used_.assign(order_.size(), 0);
  kept_.clear();
  kept_points_.clear();
  const size_t points = (size_t)num_points_;
  std::vector<BoxPoint> sums(points);
  for (size_t i = 0; i < order_.size() && (int32_t)kept_.size() < most_; ++i) {
    if (used_[i]) continue;
    // By one that is better, be it dropped or not.
    if (nms_ == 3 && std::any_of(rivals_.begin(), rivals_.begin() + (ptrdiff_t)i,
                                 [&](const Rival& r) { return collide(r, rivals_[i]); }))
      continue;
    const BoxCandidate& best = all[order_[i]];
    BoxCandidate f = best;
    const BoxPoint* own = candidates_.points.data() + best.first_point;
    if (nms_ == 2) std::fill(sums.begin(), sums.end(), BoxPoint{});
    else std::copy(own, own + points, sums.begin());
    double weight = 0, edges[4] = {};
    for (size_t j = i; (nms_ == 1 || nms_ == 2) && j < order_.size(); ++j) {
      if (used_[j] || (j != i && !collide(rivals_[i], rivals_[j]))) continue;
      used_[j] = 1;
      if (nms_ != 2) continue;
      const BoxCandidate& c = all[order_[j]];
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
