// SPDX-License-Identifier: Apache-2.0
// Source: J. Cao et al., Observation-Centric SORT: Rethinking SORT for Robust Multi-Object Tracking, 2023; its filter
// is that of A. Bewley et al., Simple Online and Realtime Tracking, 2016.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "base/status.h"
#include "tasks/tracker.h"

namespace tern {
namespace {

constexpr int kBack = 3;           // frames between the two observations that give a direction
constexpr int64_t kFirstHits = 3;  // frames in a row in which a track must be seen before it is told
constexpr double kInertia = 0.2;   // what agreement of directions counts, next to an overlap
constexpr double kSmall = 1e-6;
constexpr size_t kMostCosts = 1 << 22;  // of all tracks and all detections

// What is seen of a box: its centre, its area, width over height.
struct Seen {
  double x, y, area, aspect;
  void archive(Archive& a) { a.numbers("what was seen", std::span<double>(&x, 4)); }
};
Seen seen_of(const TrackBox& b) {
  return {b.x0 + b.width() / 2, b.y0 + b.height() / 2, b.width() * b.height(), b.width() / (b.height() + kSmall)};
}

struct Filter {
  AxisFilter x, y, area, aspect;

  explicit Filter(const Seen& s) {
    const auto axis = [](double at, double speed) { return AxisFilter{at, 0, 10, 0, speed}; };
    x = axis(s.x, 1e4);
    y = axis(s.y, 1e4);
    area = axis(s.area, 1e4);
    aspect = axis(s.aspect, 0);
  }
  // An area never falls below 0.
  void hold_area() {
    if (area.v + area.x <= 0) area.v = 0;
  }
  void predict(double frames) {
    x.predict(frames, 1, 0.01);
    y.predict(frames, 1, 0.01);
    area.predict(frames, 1, 0.0001);
    aspect.predict(frames, 1, 0);
  }
  void update(const Seen& s) {
    x.update(s.x, 1);
    y.update(s.y, 1);
    area.update(s.area, 10);
    aspect.update(s.aspect, 10);
  }
  TrackBox box() const {
    const double w = std::sqrt(area.x * aspect.x), h = area.x / w;
    return {x.x - w / 2, y.x - h / 2, x.x + w / 2, y.x + h / 2};
  }
  bool sound() const { return x.sound() && y.sound() && area.sound() && aspect.sound(); }
  void archive(Archive& a) {
    for (AxisFilter* f : {&x, &y, &area, &aspect}) f->archive(a);
  }
};

struct Direction {
  double x = 0, y = 0;  // of length 1, or 0
};
Direction direction(const TrackBox& from, const TrackBox& to) {
  const double x = (to.x0 + to.x1) / 2 - (from.x0 + from.x1) / 2, y = (to.y0 + to.y1) / 2 - (from.y0 + from.y1) / 2;
  const double length = std::sqrt(x * x + y * y) + kSmall;
  return {x / length, y / length};
}

struct Track {
  Track() : Track(TrackInput{}) {}
  explicit Track(const TrackInput& d) : filter(seen_of(d.box)), last_seen(seen_of(d.box)) {}

  int64_t id = 0, age = 0, unseen = 0, streak = 0;  // frames
  double time = 0;                                  // when it was seen last
  double score = 0;
  int32_t label = 0, detection = -1;
  Filter filter;
  // The filter when it first saw nothing, to go back to; only what follows a second detection is kept.
  Filter frozen{Seen{}};
  bool can_freeze = false, is_frozen = false;
  Seen last_seen;
  std::vector<double> gap;  // frames of each step since then
  // Boxes in which it was seen after its first: those of the last frames, by age.
  bool observed = false;
  TrackBox last = {-1, -1, -1, -1};
  struct Observation {
    int64_t age = -1;
    TrackBox box = {};
  } observations[kBack + 1];
  Direction towards;

  // Of three frames ago, or the next best.
  const TrackBox& earlier() const {
    for (int64_t back = kBack; back > 0; --back)
      if (age >= back)
        if (const Observation& o = observations[(age - back) % (kBack + 1)]; o.age == age - back) return o.box;
    return last;
  }
  void archive(Archive& a, int64_t last_id, int64_t frame) {
    a.integer("the number of a track", id, 1, last_id);
    a.integer("the age of a track", age, 0, frame);
    a.integer("the frames since a track was seen", unseen, 0, age);
    a.integer("the frames in which a track was seen", streak, 0, frame);
    a.number("the time of a track", time);
    a.number("a score", score);
    int64_t l = label;
    a.integer("a label", l, INT32_MIN, INT32_MAX);
    if (a.reading()) label = (int32_t)l;
    filter.archive(a);
    frozen.archive(a);
    a.flag("the flag that a filter may be kept", can_freeze);
    a.flag("the flag that a filter is kept", is_frozen);
    last_seen.archive(a);
    a.numbers("the time of a gap", gap);
    a.flag("the flag that a track was seen again", observed);
    last.archive(a);
    for (Observation& o : observations) {
      a.integer("the age of a box", o.age, -1, age);
      o.box.archive(a);
    }
    a.number("a direction", towards.x);
    a.number("a direction", towards.y);
  }
  // Least bytes of one that is saved.
  static constexpr size_t kBytes = 8 * (7 + 20 + 20 + 2 + 4 + 1 + 1 + 4 + 5 * (kBack + 1) + 2);
  void predict(double frames) {
    filter.hold_area();
    filter.predict(frames);
    ++age;
    if (unseen > 0) streak = 0;
    ++unseen;
    gap.push_back(frames);
  }
  void see(const TrackInput& d) {
    if (observed) towards = direction(earlier(), d.box);
    last = d.box;
    observed = true;
    observations[age % (kBack + 1)] = {age, d.box};
    unseen = 0;
    ++streak;
    const Seen now = seen_of(d.box);
    if (is_frozen) go_back(now);
    filter.update(now);
    can_freeze = true;
    last_seen = now;
    gap.clear();
  }
  void miss() {
    if (can_freeze && !is_frozen) frozen = filter, is_frozen = true;
  }
  // As if it had moved straight from where it was seen to where it is. Its authors' program holds no area here.
  void go_back(const Seen& now) {
    filter = frozen;
    is_frozen = false;
    const auto width = [](const Seen& s) { return std::sqrt(s.area * s.aspect); };
    const auto height = [](const Seen& s) { return std::sqrt(s.area / s.aspect); };
    double whole = 0, part = 0;
    for (const double step : gap) whole += step;
    for (size_t i = 0; i < gap.size(); ++i) {
      if (i > 0) filter.predict(gap[i]);
      part += gap[i];
      const double f = part / whole;
      const double w = width(last_seen) + f * (width(now) - width(last_seen)),
                   h = height(last_seen) + f * (height(now) - height(last_seen));
      filter.update({last_seen.x + f * (now.x - last_seen.x), last_seen.y + f * (now.y - last_seen.y), w * h, w / h});
    }
  }
};

class OcsortTracker : public Tracker {
 public:
  explicit OcsortTracker(const Options& options) : o_(options) {}

  void reset() override { now_ = {}; }

  tern_status archive(Archive& a) override { return archive_whole(a, &now_); }

  tern_status update(const TrackFrame& frame, std::vector<tern_track>* out) override {
    const double frames = frame.frames;
    std::vector<const TrackInput*> high, low;
    for (const TrackInput& d : frame.detections) {
      if (d.score > o_.high) high.push_back(&d);
      else if (d.score > o_.low && d.score < o_.high) low.push_back(&d);
    }
    if (std::max(high.size(), low.size()) * now_.tracks.size() > kMostCosts)
      return TERN_FAIL(
          TERN_ERR_LIMIT,
          "%zu detections for %zu tracks: OCSORT compares each with each, at most %zu; BYTE only what overlaps",
          std::max(high.size(), low.size()), now_.tracks.size(), kMostCosts);
    // Only where there may be too many pairs, what is known now is kept to go back to.
    std::optional<Known> before;
    if (std::max(high.size(), low.size()) * now_.tracks.size() > Overlaps::kMostPairs) before = now_;
    too_many_ = false;
    ++now_.frame;
    now_.time += frames;
    for (Track& t : now_.tracks) t.predict(frames);
    std::erase_if(now_.tracks, [](const Track& t) { return !t.filter.sound() || !t.filter.box().sound(); });
    std::vector<int32_t> rows(high.size()), columns(now_.tracks.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = (int32_t)i;
    for (size_t i = 0; i < columns.size(); ++i) columns[i] = (int32_t)i;
    predicted_.clear();
    for (const Track& t : now_.tracks) predicted_.push_back(t.filter.box());
    // What the tracks knew before this frame.
    last_.clear();
    for (const Track& t : now_.tracks) last_.push_back(t.last);

    match(high, predicted_, true, &rows, &columns);
    if (!low.empty() && !columns.empty()) {
      std::vector<int32_t> all(low.size());
      for (size_t i = 0; i < all.size(); ++i) all[i] = (int32_t)i;
      match(low, predicted_, false, &all, &columns);
    }
    match(high, last_, false, &rows, &columns);
    if (too_many_) {
      now_ = std::move(*before);
      return TERN_FAIL(TERN_ERR_LIMIT, "of %zu detections more than %zu pairs overlap tracks", frame.detections.size(),
                       Overlaps::kMostPairs);
    }
    for (const int32_t c : columns) now_.tracks[(size_t)c].miss();
    for (const int32_t r : rows) {
      const TrackInput& d = *high[(size_t)r];
      if (d.score < o_.fresh) continue;
      Track t(d);
      t.id = ++now_.last_id;
      note(&t, d);
      now_.tracks.push_back(std::move(t));
    }

    out->clear();
    for (size_t i = now_.tracks.size(); i-- > 0;) {
      const Track& t = now_.tracks[i];
      if (t.unseen > 0 || (t.streak < kFirstHits && now_.frame > kFirstHits)) continue;
      const TrackBox b = t.observed ? t.last : t.filter.box();
      out->push_back({t.id, (float)b.x0, (float)b.y0, (float)b.x1, (float)b.y1, (float)t.score, t.label, t.detection,
                      (int32_t)std::min<int64_t>(t.age, INT32_MAX)});
    }
    std::erase_if(now_.tracks, [&](const Track& t) {
      return !t.filter.sound() || now_.time - t.time > o_.max_lost * o_.frame_rate + 1e-6;
    });
    return TERN_OK;
  }

 private:
  void note(Track* t, const TrackInput& d) {
    t->score = d.score;
    t->label = d.label;
    t->detection = d.index;
    t->time = now_.time;
  }

  // What the direction of a track says for a detection, from -kInertia / 2 to kInertia / 2, times its score.
  struct Line {
    bool known;
    TrackBox earlier;
    Direction towards;
    double gain(const TrackInput& d) const {
      if (!known) return 0;
      const Direction to = direction(earlier, d.box);
      const double angle = std::acos(std::clamp(towards.x * to.x + towards.y * to.y, -1.0, 1.0));
      return kInertia * d.score * (std::numbers::pi / 2 - std::fabs(angle)) / std::numbers::pi;
    }
  };

  // Takes out of rows (of detections) and columns (of tracks, which are thought to be at `boxes`) what goes together.
  // With directions every detection is compared with every track, and the sum over all pairs decides; without, what
  // does not overlap adds nothing to it.
  void match(const std::vector<const TrackInput*>& detections, const std::vector<TrackBox>& boxes, bool directions,
             std::vector<int32_t>* rows, std::vector<int32_t>* columns) {
    const size_t n = rows->size(), m = columns->size();
    if (n == 0 || m == 0) return;
    left_.clear();
    right_.clear();
    for (const int32_t r : *rows) left_.push_back(detections[(size_t)r]->box);
    for (const int32_t c : *columns) right_.push_back(boxes[(size_t)c]);
    std::vector<Overlaps::Pair> pairs = overlaps_.find(left_, right_, 0);
    too_many_ = too_many_ || pairs.size() > Overlaps::kMostPairs;
    if (too_many_) return;
    std::erase_if(pairs, [&](const Overlaps::Pair& p) {
      return !o_.across_labels && detections[(size_t)(*rows)[(size_t)p.row]]->label !=
                                      now_.tracks[(size_t)(*columns)[(size_t)p.column]].label;
    });
    // Most frames are easy: each overlaps one.
    std::vector<int32_t> column_of(n, -1), row_of(m, -1);
    bool easy = true, any = false;
    for (const Overlaps::Pair& p : pairs) {
      if (!(p.iou > o_.overlap)) continue;
      any = true;
      easy = easy && column_of[(size_t)p.row] < 0 && row_of[(size_t)p.column] < 0;
      column_of[(size_t)p.row] = p.column;
      row_of[(size_t)p.column] = p.row;
    }
    if (!directions && !any) return;
    if (!directions) {
      costs_.clear();
      for (const Overlaps::Pair& p : pairs) costs_.push_back({p.row, p.column, -p.iou});
      column_of = assignment_.solve((int32_t)n, (int32_t)m, costs_, 0);
    } else if (!easy || !any) {
      column_of = match_directions(detections, *rows, *columns, pairs);
    }
    std::vector<double> iou(n, 0);
    for (const Overlaps::Pair& p : pairs)
      if (column_of[(size_t)p.row] == p.column) iou[(size_t)p.row] = p.iou;
    std::vector<int32_t> rows_left, rejected;
    std::vector<char> taken(m);
    for (size_t r = 0; r < n; ++r) {
      const int32_t c = column_of[r];
      if (c < 0) {
        rows_left.push_back((*rows)[r]);
      } else if (iou[r] < o_.overlap) {
        rejected.push_back((*rows)[r]);
      } else {
        taken[(size_t)c] = 1;
        const TrackInput& d = *detections[(size_t)(*rows)[r]];
        Track& t = now_.tracks[(size_t)(*columns)[(size_t)c]];
        t.see(d);
        note(&t, d);
      }
    }
    // New tracks get their numbers in this order: its authors' program puts those behind whose pair was refused.
    rows_left.insert(rows_left.end(), rejected.begin(), rejected.end());
    if (!directions) std::sort(rows_left.begin(), rows_left.end());
    *rows = std::move(rows_left);
    std::vector<int32_t> columns_left;
    for (size_t c = 0; c < m; ++c)
      if (!taken[c]) columns_left.push_back((*columns)[c]);
    *columns = std::move(columns_left);
  }

  std::vector<int32_t> match_directions(const std::vector<const TrackInput*>& detections,
                                        const std::vector<int32_t>& rows, const std::vector<int32_t>& columns,
                                        const std::vector<Overlaps::Pair>& pairs) {
    struct Others : Assignment::OtherCosts {
      std::vector<const TrackInput*> detections;
      std::vector<Line> lines;
      double most = 1e-9;  // more than any gain
      double cost(int32_t row, int32_t column) const override {
        return most - lines[(size_t)column].gain(*detections[(size_t)row]);
      }
    } others;
    for (const int32_t r : rows) {
      others.detections.push_back(detections[(size_t)r]);
      others.most = std::max(others.most, kInertia / 2 * std::fabs(others.detections.back()->score) + 1e-9);
    }
    for (const int32_t c : columns) {
      const Track& t = now_.tracks[(size_t)c];
      others.lines.push_back({t.observed, t.earlier(), t.towards});
    }
    costs_.clear();
    for (const Overlaps::Pair& p : pairs) costs_.push_back({p.row, p.column, others.cost(p.row, p.column) - p.iou});
    return assignment_.solve_all((int32_t)rows.size(), (int32_t)columns.size(), costs_, others);
  }

  struct Known {
    std::vector<Track> tracks;
    int64_t last_id = 0, frame = 0;
    double time = 0;

    void archive(Archive& a) {
      a.integer("the number of tracks so far", last_id, 0, kMostFrames);
      a.integer("the number of frames", frame, 0, kMostFrames);
      a.number("the time", time);
      tracks.resize((size_t)a.count("the number of tracks", tracks.size(), Track::kBytes));
      std::vector<int64_t> ids;
      for (Track& t : tracks) {
        t.archive(a, last_id, frame);
        ids.push_back(t.id);
      }
      archive_ids(a, std::move(ids));
    }
  };

  Options o_;
  Known now_;
  std::vector<TrackBox> predicted_, last_, left_, right_;
  std::vector<AssignmentPair> costs_;
  bool too_many_ = false;
  Overlaps overlaps_;
  Assignment assignment_;
};

}  // namespace

std::unique_ptr<Tracker> make_ocsort_tracker(const Tracker::Options& options) {
  return std::make_unique<OcsortTracker>(options);
}

}  // namespace tern
