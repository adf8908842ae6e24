// SPDX-License-Identifier: Apache-2.0
// Source: Y. Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, 2022; its filter is that
// of N. Wojke et al., Simple Online and Realtime Tracking with a Deep Association Metric, 2017.
#include <algorithm>
#include <cmath>

#include "tasks/tracker.h"

namespace tern {
namespace {

constexpr double kPixel = 1;           // boxes are measured in pixels that they touch
constexpr double kLowOverlap = 0.5;    // of a track and a detection of low score
constexpr double kFreshOverlap = 0.3;  // of a track that was seen once and its second detection, times the score
constexpr double kSameOverlap = 0.85;  // of two tracks that are one
constexpr double kPosition = 1.0 / 20, kSpeed = 1.0 / 160;  // standard deviations, in heights of the box

double square(double x) { return x * x; }

struct Track {
  int64_t id = 0, start = 0, seen = 0;  // frames
  double time = 0;                      // of `seen`
  AxisFilter x, y, aspect, height;      // centre; width over height
  double score = 0;
  int32_t label = 0, detection = -1;
  bool tracked = true;  // seen in the frame before, not lost
  bool confirmed = false;
  bool expired = false;  // was lost for too long once: when it is lost again it ends
  bool over = false;

  TrackBox box() const {
    const double h = height.x, w = aspect.x * h;
    return {x.x - w / 2, y.x - h / 2, x.x + w / 2, y.x + h / 2};
  }
  void begin(const TrackInput& d) {
    const double h = d.box.height();
    const auto axis = [](double at, double position, double speed) {
      return AxisFilter{at, 0, square(position), 0, square(speed)};
    };
    const double p = 2 * kPosition * h, s = 10 * kSpeed * h;
    x = axis(d.box.x0 + d.box.width() / 2, p, s);
    y = axis(d.box.y0 + h / 2, p, s);
    aspect = axis(d.box.width() / h, 1e-2, 1e-5);
    height = axis(h, p, s);
  }
  void predict(double frames) {
    if (!tracked) height.v = 0;
    const double p = square(kPosition * height.x), s = square(kSpeed * height.x);
    x.predict(frames, p, s);
    y.predict(frames, p, s);
    aspect.predict(frames, square(1e-2), square(1e-5));
    height.predict(frames, p, s);
  }
  void see(const TrackInput& d) {
    const double h = d.box.height(), p = square(kPosition * height.x);
    x.update(d.box.x0 + d.box.width() / 2, p);
    y.update(d.box.y0 + h / 2, p);
    aspect.update(d.box.width() / h, square(1e-1));
    height.update(h, p);
  }
};

class ByteTracker : public Tracker {
 public:
  explicit ByteTracker(const Options& options) : o_(options) {}

  void reset() override {
    tracks_.clear();
    lost_.clear();
    last_id_ = frame_ = 0;
    time_ = 0;
  }

  void update(std::span<const TrackInput> detections, double frames, std::vector<tern_track>* out) override {
    ++frame_;
    time_ += frames;
    high_.clear();
    low_.clear();
    for (const TrackInput& d : detections) {
      if (d.score > o_.high) high_.push_back(&d);
      else if (d.score > o_.low && d.score < o_.high) low_.push_back(&d);
    }
    // All that were confirmed, lost ones too, with the high scores.
    std::vector<Track*> pool, unconfirmed;
    for (Track& t : tracks_) (t.confirmed ? pool : unconfirmed).push_back(&t);
    for (Track& t : lost_) pool.push_back(&t);
    for (Track* t : pool) t->predict(frames);
    match(&pool, &high_, true, 1 - o_.overlap);
    // What was seen last time and is left, with the low scores.
    std::erase_if(pool, [](const Track* t) { return !t->tracked; });
    match(&pool, &low_, false, 1 - kLowOverlap);
    for (Track* t : pool) t->tracked = false;
    // Those that were seen once must be seen twice.
    match(&unconfirmed, &high_, true, 1 - kFreshOverlap);
    for (Track* t : unconfirmed) t->over = true;

    std::vector<Track> still, found, newly_lost;
    for (Track& t : tracks_)
      if (!t.over) (t.tracked ? still : newly_lost).push_back(t);
    for (const TrackInput* d : high_) {
      if (d->score < o_.fresh) continue;
      Track t;
      t.id = ++last_id_;
      t.start = frame_;
      t.confirmed = frame_ == 1;
      t.begin(*d);
      seen(&t, *d);
      still.push_back(t);
    }
    for (Track& t : lost_)
      if (t.tracked) still.push_back(t);
      else if (!t.expired) found.push_back(t);
    // One that was lost for too long may still be found in the next frame, as its authors' program does.
    for (Track& t : found) t.expired = t.expired || time_ - t.time > o_.max_lost * o_.frame_rate + 1e-6;
    for (Track& t : newly_lost)
      if (!t.expired) found.push_back(t);
    tracks_ = std::move(still);
    lost_ = std::move(found);
    drop_doubles();

    out->clear();
    for (const Track& t : tracks_) {
      if (!t.confirmed) continue;
      const TrackBox b = t.box();
      out->push_back({t.id, (float)b.x0, (float)b.y0, (float)b.x1, (float)b.y1, (float)t.score, t.label, t.detection,
                      (int32_t)std::min<int64_t>(frame_ - t.start, INT32_MAX)});
    }
  }

 private:
  void seen(Track* t, const TrackInput& d) {
    t->score = d.score;
    t->label = d.label;
    t->detection = d.index;
    t->seen = frame_;
    t->time = time_;
    t->tracked = true;
  }

  // Takes out of both lists what goes together.
  void match(std::vector<Track*>* tracks, std::vector<const TrackInput*>* detections, bool with_score, double limit) {
    rows_.clear();
    columns_.clear();
    for (const Track* t : *tracks) rows_.push_back(t->box());
    for (const TrackInput* d : *detections) columns_.push_back(d->box);
    pairs_.clear();
    for (const Overlaps::Pair& p : overlaps_.find(rows_, columns_, kPixel)) {
      const TrackInput& d = *(*detections)[(size_t)p.column];
      if (!o_.across_labels && d.label != (*tracks)[(size_t)p.row]->label) continue;
      pairs_.push_back({p.row, p.column, 1 - p.iou * (with_score ? d.score : 1)});
    }
    const std::vector<int32_t>& column_of =
        assignment_.solve((int32_t)tracks->size(), (int32_t)detections->size(), pairs_, limit);
    std::vector<Track*> tracks_left;
    std::vector<char> taken(detections->size());
    for (size_t r = 0; r < tracks->size(); ++r) {
      Track* t = (*tracks)[r];
      if (column_of[r] < 0) {
        tracks_left.push_back(t);
        continue;
      }
      const TrackInput& d = *(*detections)[(size_t)column_of[r]];
      t->see(d);
      t->confirmed = true;
      seen(t, d);
      taken[(size_t)column_of[r]] = 1;
    }
    *tracks = std::move(tracks_left);
    size_t kept = 0;
    for (size_t c = 0; c < detections->size(); ++c)
      if (!taken[c]) (*detections)[kept++] = (*detections)[c];
    detections->resize(kept);
  }

  // Of a lost track and one that is seen in the same place the older stays.
  void drop_doubles() {
    rows_.clear();
    columns_.clear();
    for (const Track& t : tracks_) rows_.push_back(t.box());
    for (const Track& t : lost_) columns_.push_back(t.box());
    for (const Overlaps::Pair& p : overlaps_.find(rows_, columns_, kPixel)) {
      if (!(1 - p.iou < 1 - kSameOverlap)) continue;
      Track &a = tracks_[(size_t)p.row], &b = lost_[(size_t)p.column];
      if (!o_.across_labels && a.label != b.label) continue;
      (a.seen - a.start > b.seen - b.start ? b : a).over = true;
    }
    const auto over = [](const Track& t) { return t.over; };
    std::erase_if(tracks_, over);
    std::erase_if(lost_, over);
  }

  Options o_;
  std::vector<Track> tracks_, lost_;
  int64_t last_id_ = 0, frame_ = 0;
  double time_ = 0;
  std::vector<const TrackInput*> high_, low_;
  std::vector<TrackBox> rows_, columns_;
  std::vector<AssignmentPair> pairs_;
  Overlaps overlaps_;
  Assignment assignment_;
};

}  // namespace

std::unique_ptr<Tracker> make_byte_tracker(const Tracker::Options& options) {
  return std::make_unique<ByteTracker>(options);
}

}  // namespace tern
