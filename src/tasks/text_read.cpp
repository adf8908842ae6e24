// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "tasks/text.h"

namespace tern {
namespace {

constexpr int32_t kWidestLine = 8192;  // pixels of the recogniser's input; what is longer is squeezed
constexpr int32_t kWidthStep = 64;     // pixels, for lines that are not long; each width needs a plan
constexpr size_t kBatch = 8;           // for several threads; fewer lines of a width are not worth a plan of their own
constexpr double kUnsure = 0.8;        // a line of less score is looked at upside down, too
constexpr double kTall = 1.5;          // a box of this height by width is a line that runs down or up

// The corner number `first` becomes the line's upper left one.
TextBox turned(const TextBox& b, int first) {
  TextBox t = b;
  for (int i = 0; i < 4; ++i) t.corners[i] = b.corners[(first + i) % 4];
  return t;
}

// Pixels that a line has in width when it is `height` high.
int32_t line_width(const TextBox& b, int32_t height) {
  return (int32_t)std::clamp(std::ceil(height * b.width() / b.height()), 1.0, (double)kWidestLine);
}

}  // namespace

tern_status TextReader::create(TaskNetwork recognizer, std::unique_ptr<TaskNetwork> direction,
                               const VisionOptions& options, std::unique_ptr<TextReader>* out) {
  std::unique_ptr<TextReader> r(new TextReader(std::move(recognizer)));
  const TaskMetadata& m = r->network_.metadata();
  PictureInput& input = r->network_.input();
  r->scores_ = m.output("output.text");
  TERN_TRY(check_output(r->network_, "output.text", r->scores_, -1));
  r->characters_ = m.lines("text.characters");
  for (size_t i = 0; i < r->characters_.size(); ++i)
    if (constexpr size_t kLongest = 64; r->characters_[i].empty() || r->characters_[i].size() > kLongest)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'text.characters': line %zu has %zu bytes, allowed are 1 to %zu",
                       i + 1, r->characters_[i].size(), kLongest);
  if (m.choice("text.space") == 1) r->characters_.push_back(" ");
  const Shape& s = r->network_.declared(r->scores_).shape;
  if (s.rank != 3 || s[2] != (int64_t)r->characters_.size() + 1)
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "the model gives %s scores, whose last dim must be the blank and the %zu characters of the "
                     "metadata 'text.characters'%s",
                     to_string(s).c_str(), r->characters_.size(),
                     m.choice("text.space") == 1 ? " (with a space, as 'text.space' says)" : "");
  r->activation_ = m.choice("scores.activation");
  r->height_ = input.free_height() ? (int32_t)m.integer("text.height") : input.height();
  r->least_width_ = std::min((int32_t)m.integer("text.width"), kWidestLine);
  const int32_t multiple = std::max(1, (int32_t)m.integer("input.multiple"));
  r->least_width_ = (r->least_width_ + multiple - 1) / multiple * multiple;
  r->step_ = std::lcm(multiple, kWidthStep);
  r->min_score_ = options.min_score > 0 ? options.min_score : m.has("result.score") ? m.number("result.score") : 0.5;
  if (options.max_results > 0) r->most_ = (size_t)options.max_results;
  else if (m.has("result.max")) r->most_ = (size_t)m.integer("result.max");
  if (direction) {
    const TaskMetadata& d = direction->metadata();
    r->direction_scores_ = d.output("output.scores");
    TERN_TRY(check_output(*direction, "output.scores", r->direction_scores_, -1));
    const Shape& ds = direction->declared(r->direction_scores_).shape;
    if (ds.rank < 1 || ds[ds.rank - 1] != 2)
      return TERN_FAIL(TERN_ERR_CORRUPT, "the scores of a direction are %s; two are needed, upright and upside down",
                       to_string(ds).c_str());
    if (d.has("result.score")) r->direction_score_ = d.number("result.score");
    r->direction_ = std::move(direction);
  }
  return *out = std::move(r), TERN_OK;
}

tern_status TextReader::fill(TaskNetwork& network, const image::Picture& picture, const TextBox& box, int64_t index) {
  PictureInput& input = network.input();
  const int32_t width = std::min(line_width(box, input.height()), input.width());
  const image::Point &o = box.corners[0], &right = box.corners[1], &down = box.corners[3];
  const double w = width, h = input.height();
  image::Mapping mapping;
  TERN_TRY(image::map_affine(
      picture, width, input.height(),
      {{(right.x - o.x) / w, (down.x - o.x) / h, o.x, (right.y - o.y) / w, (down.y - o.y) / h, o.y}}, &mapping));
  return input.fill(picture, mapping, index);
}

tern_status TextReader::is_upside_down(const image::Picture& picture, const TextBox& box, const RunControl& control,
                                       bool* is) {
  TERN_TRY(fill(*direction_, picture, box, 0));
  TERN_TRY(direction_->run(control));
  const Tensor& t = direction_->output(direction_scores_);
  if (t.shape().elements() < 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "the scores of a direction are %s", to_string(t.shape()).c_str());
  const float* scores = (const float*)t.data();
  return *is = scores[1] > scores[0] && scores[1] > direction_score_, TERN_OK;
}

tern_status TextReader::decode(const Tensor& t, int64_t index, Line* line) const {
  const Shape& s = t.shape();
  if (s.rank != 3 || s[0] <= index || s[2] != (int64_t)characters_.size() + 1)
    return TERN_FAIL(TERN_ERR_SHAPE, "the scores of characters are %s", to_string(s).c_str());
  double sum = 0;
  int64_t chosen = 0, last = 0;
  const int64_t classes = s[2];
  for (int64_t i = 0; i < s[1]; ++i) {
    const float* row = (const float*)t.data() + (index * s[1] + i) * classes;
    const int64_t best = std::max_element(row, row + classes) - row;
    const bool repeats = best == last;
    last = best;
    if (best == 0 || repeats || !std::isfinite(row[best])) continue;
    double p = row[best];
    if (activation_ == 1) p = sigmoid(p);
    if (activation_ == 2) {
      double all = 0;
      for (int64_t k = 0; k < classes; ++k) all += std::exp((double)row[k] - p);
      p = 1 / all;
    }
    line->text += characters_[(size_t)best - 1];
    sum += p;
    ++chosen;
  }
  line->score = chosen > 0 ? std::clamp(sum / (double)chosen, 0.0, 1.0) : 0;
  return TERN_OK;
}

tern_status TextReader::recognize(const image::Picture& picture, const RunControl& control, std::vector<Line>* lines) {
  PictureInput& input = network_.input();
  const auto width_of = [&](const Line& l) {
    if (!input.free_width()) return input.width();
    // Few widths, and a tenth more at most.
    const int32_t wanted = line_width(l.box, height_);
    int32_t step = step_;
    while (wanted > 10 * step) step *= 2;
    return std::max(least_width_, (wanted + step - 1) / step * step);
  };
  std::vector<std::pair<int32_t, Line*>> order;
  for (Line& l : *lines) order.emplace_back(width_of(l), &l);
  std::sort(order.begin(), order.end());
  const bool batches = input.free_batch() && network_.model().context().pool().num_threads() > 1;
  for (size_t begin = 0; begin < order.size();) {
    const int32_t width = order[begin].first;
    const bool many = batches && begin + kBatch <= order.size() && order[begin + kBatch - 1].first == width;
    const size_t count = many ? kBatch : 1;
    TERN_TRY(input.resize(width, height_, (int64_t)count));
    for (size_t i = 0; i < count; ++i) TERN_TRY(fill(network_, picture, order[begin + i].second->box, (int64_t)i));
    TERN_TRY(network_.run(control));
    for (size_t i = 0; i < count; ++i) TERN_TRY(decode(network_.output(scores_), (int64_t)i, order[begin + i].second));
    begin += count;
  }
  return TERN_OK;
}

tern_status TextReader::run(const image::Picture& picture, std::span<const TextBox> boxes, bool flat,
                            const RunControl& control, ResultLists* lists) {
  std::vector<Line> lines;
  for (const TextBox& found : boxes) {
    TextBox box = !flat && found.height() >= kTall * found.width() ? turned(found, 1) : found;
    if (direction_) {
      bool upside_down = false;
      TERN_TRY(is_upside_down(picture, box, control, &upside_down));
      if (upside_down) box = turned(box, 2);
    }
    lines.push_back({box, {}, 0});
  }
  TERN_TRY(recognize(picture, control, &lines));
  if (direction_) {
    // Directions of long lines are often wrong; what then is read makes little sense.
    std::vector<Line> other;
    for (const Line& l : lines)
      if (l.score < kUnsure) other.push_back({turned(l.box, 2), {}, 0});
    TERN_TRY(recognize(picture, control, &other));
    size_t next = 0;
    for (Line& l : lines)
      if (l.score < kUnsure)
        if (Line& o = other[next++]; o.score > l.score) l = std::move(o);
  }
  std::erase_if(lines, [&](const Line& l) { return l.text.empty() || !(l.score >= min_score_); });
  if (lines.size() > most_) {
    std::vector<double> scores;
    for (const Line& l : lines) scores.push_back(l.score);
    std::nth_element(scores.begin(), scores.begin() + (ptrdiff_t)most_ - 1, scores.end(), std::greater<>());
    const double least = scores[most_ - 1];
    std::erase_if(lines, [&](const Line& l) { return l.score < least; });
    lines.resize(std::min(lines.size(), most_));
  }
  std::vector<TextBox> kept;
  for (const Line& l : lines) kept.push_back(l.box);
  for (const size_t i : reading_order(kept)) {
    add_text_box(kept[i], (float)lines[i].score, lists);
    lists->texts.push_back(std::move(lines[i].text));
  }
  return TERN_OK;
}

}  // namespace tern
