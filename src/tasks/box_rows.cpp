// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/checked.h"
#include "tasks/box_decoder.h"

namespace tern {

bool BoxCandidates::add(const BoxCandidate& c, std::span<const BoxPoint> of_it) {
  const auto usable = [](double v) { return v > -1e6 && v < 1e6; };
  bool good = usable(c.box.x0) && usable(c.box.y0) && usable(c.box.x1) && usable(c.box.y1) && c.box.x1 >= c.box.x0 &&
              c.box.y1 >= c.box.y0 && c.score >= 0 && c.label >= 0 && usable(c.angle);
  for (const BoxPoint& p : of_it) good = good && usable(p.x) && usable(p.y) && p.visibility == p.visibility;
  if (!good) return false;
  boxes.push_back(c);
  boxes.back().first_point = points.size();
  points.insert(points.end(), of_it.begin(), of_it.end());
  return true;
}

OutputReader::OutputReader(const ModelDef& model, const TaskMetadata& m)
    : columns_first_(m.choice("rows.order") == 1), signature_(m.signature()) {
  const Signature& sig = model.signatures[(size_t)signature_];
  const Shape& s = sig.graph.value(sig.graph.inputs[0]).shape;
  const bool varies = std::any_of(sig.symbolic_dims.begin(), sig.symbolic_dims.end(),
                                  [](const SymbolicDim& d) { return d.input == 0 && d.axis == 0; });
  if (s.rank == 4 && !varies) batch_ = s[0];
}

int64_t OutputReader::columns_of(const ModelDef& model, const OutputColumns& c, int rank) const {
  const Graph& g = model.signatures[(size_t)signature_].graph;
  const Shape& s = g.value(g.outputs[(size_t)c.output]).shape;
  int64_t columns = 1;
  if (s.rank >= 2 && s.rank >= rank) {
    const int first = columns_first_ ? (s.rank >= 3 ? 1 : 0) : std::max(rank, 2) - 1,
              last = columns_first_ ? first + 1 : s.rank;
    for (int i = first; i < last; ++i)
      if (!checked_mul(columns, s[i], &columns)) return -1;
  }
  const int64_t end = c.end >= 0 ? c.end : columns;
  return end <= columns ? end - c.first : -1;
}

tern_status OutputReader::view(const OutputColumns& c, int64_t rows, RowsView* out) {
  const Tensor& t = *outputs_[(size_t)c.output];
  const Shape& s = t.shape();
  int64_t elements = s.elements();
  if (batch_ > 1 && s.rank > 1 && s[0] == batch_) elements /= batch_;
  int64_t columns = s.rank < 2 ? 1 : columns_first_ ? s[s.rank >= 3 ? 1 : 0] : s[s.rank - 1];
  if (rows >= 0 && elements == rows) columns = 1;
  else if (rows > 0 && !columns_first_) columns = elements / rows;
  if (rows < 0) rows = columns > 0 ? elements / columns : 0;
  const int64_t end = c.end < 0 ? columns : c.end;
  int64_t product = 0;
  if (!checked_mul(rows, columns, &product) || product != elements || c.first >= end || end > columns) {
    if (elements == 0 && rows == 0) return *out = {nullptr, 0, std::max<int64_t>(0, end - c.first), 0, 0}, TERN_OK;
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "output %d is %s: columns %" PRId64 " to %" PRId64 " of %" PRId64 " rows are not in it", c.output,
                     to_string(s).c_str(), c.first, end, rows);
  }
  const float* data = (const float*)t.data();
  if (t.dtype() != TERN_DTYPE_F32) {
    const auto [it, fresh] = converted_.try_emplace(c.output);
    if (fresh) {
      it->second.resize((size_t)elements);
      for (int64_t i = 0; i < elements; ++i) it->second[(size_t)i] = (float)load_element(t.dtype(), t.data(), i);
    }
    data = it->second.data();
  }
  const bool first = columns_first_ && columns > 1;
  *out = {data, rows, end - c.first, first ? 1 : columns, first ? rows : 1};
  out->data += c.first * out->column_step;
  return TERN_OK;
}

namespace {

enum Unit { kPixels, kSides, kAnchors };
enum Form { kCentre, kCorners, kCorner, kEdges };

class RowsDecoder final : public BoxDecoder {
 public:
  tern_status read(const ModelDef& model, const TaskMetadata& m);
  tern_status decode(std::span<const Ref<const Tensor>> outputs, int32_t width, int32_t height, double threshold,
                     BoxCandidates* out) override;

 private:
  struct Rows {
    RowsView boxes, scores, objectness, classes, points, angle;
  };
  tern_status make_grid(int32_t width, int32_t height);
  // Best class of each row, before the activation; and of one row.
  void find_best(const RowsView& scores);
  float find_best(const RowsView& scores, int64_t row, int32_t* label) const;
  // Of one raw score; the softmax is over the row.
  double score_of(const RowsView& scores, int64_t row, double raw) const;
  double activate(double x) const { return activation_ == 1 ? sigmoid(x) : x; }
  double clipped(double x) const { return clip_ > 0 ? std::clamp(x, -clip_, clip_) : x; }
  image::Box box_of(const Rows& r, int64_t row, const float* anchor) const;

  OutputReader reader_;
  std::vector<OutputColumns> boxes_, scores_, objectness_, points_;
  OutputColumns classes_, count_, angle_;
  std::vector<AnchorLevel> levels_;
  std::vector<float> anchors_;  // [n][4]: x, y of the centre, width, height, in sides of the input
  std::vector<size_t> level_begin_;
  int32_t width_ = 0, height_ = 0;  // that the anchors are for
  double anchor_offset_ = 0.5;
  int form_ = 0, unit_ = 0, point_unit_ = 0, activation_ = 0;
  bool y_first_ = false, exp_ = false, points_y_first_ = false, visibility_sigmoid_ = false, all_labels_ = false;
  double divisors_[4] = {1, 1, 1, 1}, clip_ = 0;
  int64_t bins_ = 1, point_values_ = 2, first_class_ = 0, after_ = 0;
  std::vector<float> best_;
  std::vector<int32_t> best_class_;
  std::vector<BoxPoint> row_points_;
};

tern_status RowsDecoder::read(const ModelDef& model, const TaskMetadata& m) {
  const Signature& sig = model.signatures[(size_t)m.signature()];
  reader_ = OutputReader(model, m);
  boxes_ = m.outputs("output.boxes"), scores_ = m.outputs("output.scores");
  objectness_ = m.outputs("output.objectness"), points_ = m.outputs("output.points");
  classes_ = m.output("output.classes"), count_ = m.output("output.count"), angle_ = m.output("output.angle");
  levels_ = m.anchors();
  anchor_offset_ = m.number("anchors.offset");
  form_ = m.choice("boxes.form"), unit_ = m.choice("boxes.unit");
  point_unit_ = m.choice("points.unit");
  activation_ = m.choice("scores.activation");
  clip_ = m.number("scores.clip");
  y_first_ = m.choice("boxes.order") == 1, exp_ = m.choice("boxes.size") == 1;
  points_y_first_ = m.choice("points.order") == 1;
  all_labels_ = m.choice("scores.labels") == 1;
  bins_ = m.integer("boxes.bins");
  visibility_sigmoid_ = m.choice("points.activation") == 1;
  point_values_ = m.integer("points.values");
  first_class_ = m.integer("labels.first"), after_ = m.integer("labels.after");
  const std::vector<double> divisors = m.numbers("boxes.divisors");
  if (divisors.size() != 4) return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'boxes.divisors' needs 4 numbers");
  for (size_t i = 0; i < 4; ++i) {
    if (divisors[i] == 0) return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'boxes.divisors' holds a 0");
    divisors_[i] = divisors[i];
  }
  if (boxes_.empty() || scores_.empty())
    return TERN_FAIL(TERN_ERR_CORRUPT, "a detector needs the metadata 'output.boxes' and 'output.scores'");
  if (scores_.size() != boxes_.size() || (!objectness_.empty() && objectness_.size() != boxes_.size()) ||
      (!points_.empty() && points_.size() != boxes_.size()))
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'output.boxes' has %zu levels, the other outputs have another number",
                     boxes_.size());
  const bool needs_anchors = unit_ == kAnchors || form_ == kEdges || (!points_.empty() && point_unit_ == kAnchors);
  if (needs_anchors && levels_.empty())
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'boxes.unit' or 'boxes.form' need 'anchors'");
  if (boxes_.size() > 1 && !levels_.empty() && levels_.size() != boxes_.size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'anchors' has %zu levels, 'output.boxes' has %zu", levels_.size(),
                     boxes_.size());
  if (!needs_anchors) levels_.clear();
  // What is known before a run.
  const int rank = sig.graph.value(sig.graph.outputs[(size_t)boxes_[0].output]).shape.rank;
  const auto columns_of = [&](const OutputColumns& c) { return reader_.columns_of(model, c, rank); };
  for (const OutputColumns& c : boxes_)
    if (columns_of(c) != 4 * bins_)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'output.boxes' names %" PRId64 " columns, %" PRId64 " are needed",
                       columns_of(c), 4 * bins_);
  if (!points_.empty()) {
    const int64_t n = columns_of(points_[0]);
    if (n < point_values_ || n % point_values_ || n / point_values_ > kMaxBoxPoints)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'output.points' names %" PRId64 " columns, no points of %" PRId64, n,
                       point_values_);
    num_points_ = (int32_t)(n / point_values_);
  }
  if (classes_.output < 0) {
    for (const OutputColumns& c : scores_)
      if (columns_of(c) != columns_of(scores_[0]))
        return TERN_FAIL(TERN_ERR_CORRUPT,
                         "metadata 'output.scores' names levels of %" PRId64 " and %" PRId64 " columns",
                         columns_of(scores_[0]), columns_of(c));
    num_classes_ = columns_of(scores_[0]) - first_class_ - after_;
    if (num_classes_ < 1)
      return TERN_FAIL(TERN_ERR_CORRUPT,
                       "metadata 'output.scores' names %" PRId64 " columns, 'labels.first' is %" PRId64,
                       columns_of(scores_[0]), first_class_);
  }
  row_points_.resize((size_t)num_points_);
  return TERN_OK;
}

tern_status RowsDecoder::make_grid(int32_t width, int32_t height) {
  if (levels_.empty() || (width == width_ && height == height_ && !anchors_.empty())) return TERN_OK;
  anchors_.clear();
  level_begin_.clear();
  for (const AnchorLevel& l : levels_) {
    level_begin_.push_back(anchors_.size() / 4);
    const int64_t columns = l.stride ? (width + l.stride - 1) / l.stride : l.columns,
                  rows = l.stride ? (height + l.stride - 1) / l.stride : l.rows;
    // A stride's cells and shapes are pixels; others are parts of the sides.
    const double cell_w = l.stride ? (double)l.stride / width : 1.0 / (double)columns,
                 cell_h = l.stride ? (double)l.stride / height : 1.0 / (double)rows;
    if (columns * rows * (int64_t)l.shapes.size() > (4 << 20) - (int64_t)(anchors_.size() / 4)) {
      anchors_.clear();
      return TERN_FAIL(TERN_ERR_LIMIT, "more than 4,194,304 anchors for an input of %d x %d", width, height);
    }
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t x = 0; x < columns; ++x)
        for (const auto& [w, h] : l.shapes)
          for (const double v : {((double)x + anchor_offset_) * cell_w, ((double)y + anchor_offset_) * cell_h,
                                 l.stride ? w / width : w, l.stride ? h / height : h})
            anchors_.push_back((float)v);
  }
  level_begin_.push_back(anchors_.size() / 4);
  width_ = width, height_ = height;
  return TERN_OK;
}

void RowsDecoder::find_best(const RowsView& s) {
  constexpr int64_t kBlock = 2048;  // rows whose best stay in the cache
  best_.assign((size_t)s.rows, -HUGE_VALF);
  best_class_.assign((size_t)s.rows, 0);
  const int64_t first = classes_.output >= 0 ? 0 : std::max<int64_t>(0, first_class_), end = s.columns - after_;
  for (int64_t begin = 0; begin < s.rows; begin += kBlock)
    for (int64_t c = first; c < end; ++c) {
      const int64_t n = std::min(kBlock, s.rows - begin);
      const float* __restrict column = s.data + c * s.column_step + begin;
      float* __restrict best = best_.data() + begin;
      int32_t* __restrict label = best_class_.data() + begin;
      for (int64_t r = 0; r < n; ++r) {
        // Spelled so that compilers see vectors in it.
        const int32_t more = -(int32_t)(column[r] > best[r]);
        best[r] = std::max(best[r], column[r]);
        label[r] = ((int32_t)c & more) | (label[r] & ~more);
      }
    }
}

float RowsDecoder::find_best(const RowsView& s, int64_t row, int32_t* label) const {
  const int64_t first = classes_.output >= 0 ? 0 : std::max<int64_t>(0, first_class_), end = s.columns - after_;
  const float* at = s.data + row * s.row_step;
  // The greatest first, which is quick; then where it is.
  float best = -HUGE_VALF;
  for (int64_t c = first; c < end; ++c) best = at[c * s.column_step] > best ? at[c * s.column_step] : best;
  *label = (int32_t)first;
  while (*label + 1 < end && at[*label * s.column_step] != best) ++*label;
  return best;
}

double RowsDecoder::score_of(const RowsView& s, int64_t row, double raw) const {
  if (activation_ != 2) return activate(clipped(raw));
  double most = -HUGE_VAL, sum = 0;
  for (int64_t c = 0; c < s.columns; ++c) most = std::max(most, (double)s.at(row, c));
  for (int64_t c = 0; c < s.columns; ++c) sum += std::exp((double)s.at(row, c) - most);
  return std::exp(raw - most) / sum;
}

image::Box RowsDecoder::box_of(const Rows& r, int64_t row, const float* a) const {
  double t[4];
  for (int i = 0; i < 4; ++i) {
    if (bins_ == 1) {
      t[i] = r.boxes.at(row, i);
      continue;
    }
    double most = -HUGE_VAL, sum = 0, weighted = 0;
    for (int64_t k = 0; k < bins_; ++k) most = std::max(most, (double)r.boxes.at(row, i * bins_ + k));
    for (int64_t k = 0; k < bins_; ++k) {
      const double e = std::exp((double)r.boxes.at(row, i * bins_ + k) - most);
      sum += e, weighted += e * (double)k;
    }
    t[i] = weighted / sum;
  }
  if (y_first_) std::swap(t[0], t[1]), std::swap(t[2], t[3]);
  for (int i = 0; i < 4; ++i) t[i] /= divisors_[i];
  if (exp_) t[2] = std::exp(t[2]), t[3] = std::exp(t[3]);
  // Units: positions are relative to the anchor's centre where it is the unit.
  const double ux = unit_ == kPixels  ? 1.0 / width_
                    : unit_ == kSides ? 1
                                      : (double)a[2],
               uy = unit_ == kPixels  ? 1.0 / height_
                    : unit_ == kSides ? 1
                                      : (double)a[3],
               ox = unit_ == kAnchors ? (double)a[0] : 0, oy = unit_ == kAnchors ? (double)a[1] : 0;
  switch (form_) {
    case kCorners: return {t[0] * ux + ox, t[1] * uy + oy, t[2] * ux + ox, t[3] * uy + oy};
    case kCorner: {
      const double x = t[0] * ux + ox, y = t[1] * uy + oy;
      return {x, y, x + t[2] * ux, y + t[3] * uy};
    }
    case kEdges: return {a[0] - t[0] * ux, a[1] - t[1] * uy, a[0] + t[2] * ux, a[1] + t[3] * uy};
    default: {
      const double x = t[0] * ux + ox, y = t[1] * uy + oy, w = t[2] * ux, h = t[3] * uy;
      return {x - w / 2, y - h / 2, x + w / 2, y + h / 2};
    }
  }
}

tern_status RowsDecoder::decode(std::span<const Ref<const Tensor>> outputs, int32_t width, int32_t height,
                                double threshold, BoxCandidates* out) {
  TERN_TRY(make_grid(width, height));
  width_ = width, height_ = height;
  reader_.begin(outputs);
  int64_t base = 0, limit = INT64_MAX;
  if (count_.output >= 0) {
    const Tensor& t = *outputs[(size_t)count_.output];
    if (t.shape().elements() < 1) return TERN_FAIL(TERN_ERR_SHAPE, "'output.count' is empty");
    const double n = load_element(t.dtype(), t.data(), 0);
    limit = n > 0 && n < 1e9 ? (int64_t)n : 0;
  }
  for (size_t level = 0; level < boxes_.size(); ++level) {
    Rows r;
    TERN_TRY(reader_.view(boxes_[level], -1, &r.boxes));
    const int64_t n = r.boxes.rows;
    TERN_TRY(reader_.view(scores_[level], n, &r.scores));
    if (!objectness_.empty()) TERN_TRY(reader_.view(objectness_[level], n, &r.objectness));
    if (!points_.empty()) TERN_TRY(reader_.view(points_[level], n, &r.points));
    if (classes_.output >= 0) TERN_TRY(reader_.view(classes_, n, &r.classes));
    if (angle_.output >= 0) TERN_TRY(reader_.view(angle_, n, &r.angle));
    if (n == 0) continue;
    if (r.boxes.columns != 4 * bins_ || r.scores.columns < 1 || r.points.columns != num_points_ * point_values_)
      return TERN_FAIL(TERN_ERR_SHAPE, "the outputs of this run do not have the columns that the metadata name");
    const float* anchors = nullptr;
    if (!levels_.empty()) {
      const size_t begin = boxes_.size() > 1 ? level_begin_[level] : 0,
                   end = boxes_.size() > 1 ? level_begin_[level + 1] : anchors_.size() / 4;
      if ((int64_t)(end - begin) != n)
        return TERN_FAIL(TERN_ERR_SHAPE,
                         "metadata 'anchors' makes %zu anchors for an input of %d x %d, the output has %" PRId64
                         " rows",
                         end - begin, width, height, n);
      anchors = anchors_.data() + 4 * begin;
    }
    // Columns that lie together are looked through row by row, where a low objectness spares it.
    const bool by_columns = r.scores.row_step == 1 && r.scores.columns > 1;
    if (by_columns) find_best(r.scores);
    const bool decides = !objectness_.empty() && activation_ != 2;
    // The activations rise: a first look needs none of them.
    // A sigmoid in f32 is 1 from 17 on.
    const double least = activation_ == 1   ? std::min(logit(threshold) - 1e-3, 16.0)
                         : activation_ == 2 ? -HUGE_VAL
                                            : threshold;
    for (int64_t row = 0; row < std::min(n, limit); ++row) {
      double factor = 1;
      if (!objectness_.empty()) {
        const double raw = r.objectness.at(row, 0);
        if (decides && !(raw >= least)) continue;  // scores are 1 at most
        factor = activate(clipped(raw));
      }
      int32_t label = by_columns ? best_class_[(size_t)row] : 0;
      const float raw = by_columns ? best_[(size_t)row] : find_best(r.scores, row, &label);
      if (!(raw >= least) || raw == -HUGE_VALF) continue;
      const double score = score_of(r.scores, row, raw) * factor;
      if (!(score >= threshold)) continue;
      BoxCandidate c;
      const float* a = anchors ? anchors + 4 * row : nullptr;
      c.box = box_of(r, row, a);
      c.score = (float)std::min(score, 1.0);
      const double number = classes_.output >= 0 ? (double)r.classes.at(row, 0) : label;
      c.label = number > -1e9 && number < 1e9 ? (int32_t)(number - (double)first_class_) : -1;
      if (angle_.output >= 0) c.angle = r.angle.at(row, 0);
      c.row = base + row;
      for (int32_t k = 0; k < num_points_; ++k) {
        const int64_t at = k * point_values_;
        const double x = r.points.at(row, at + points_y_first_), y = r.points.at(row, at + !points_y_first_),
                     ux = point_unit_ == kPixels  ? 1.0 / width
                          : point_unit_ == kSides ? 1
                                                  : (double)a[2],
                     uy = point_unit_ == kPixels  ? 1.0 / height
                          : point_unit_ == kSides ? 1
                                                  : (double)a[3];
        const double v = point_values_ > 2 ? (double)r.points.at(row, at + 2) : 1;
        const bool anchored = point_unit_ == kAnchors;
        // Points share the divisors of the box's centre.
        row_points_[(size_t)k] = {x / divisors_[0] * ux + (anchored ? (double)a[0] : 0),
                                  y / divisors_[1] * uy + (anchored ? (double)a[1] : 0),
                                  std::clamp(visibility_sigmoid_ ? sigmoid(v) : v, 0.0, 1.0)};
      }
      if (!out->add(c, row_points_) || !all_labels_ || classes_.output >= 0) continue;
      // The same box for its other labels shares the points.
      BoxCandidate more = out->boxes.back();
      for (int64_t other = std::max<int64_t>(0, first_class_); other < r.scores.columns - after_; ++other) {
        if (other == label || !(r.scores.at(row, other) >= least)) continue;
        const double s = score_of(r.scores, row, r.scores.at(row, other)) * factor;
        if (!(s >= threshold)) continue;
        more.score = (float)std::min(s, 1.0);
        more.label = (int32_t)(other - first_class_);
        if (more.label >= 0) out->boxes.push_back(more);
      }
    }
    base += n;
  }
  return TERN_OK;
}

}  // namespace

tern_status make_rows_decoder(const ModelDef& model, const TaskMetadata& m, std::unique_ptr<BoxDecoder>* out) {
  auto d = std::make_unique<RowsDecoder>();
  TERN_TRY(d->read(model, m));
  *out = std::move(d);
  return TERN_OK;
}

}  // namespace tern
