// SPDX-License-Identifier: Apache-2.0
// ByteTrack, and BoT-SORT, which adds the camera's motion and what objects look like.
// Sources: Y. Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, 2022; N. Aharon et
// al., BoT-SORT: Robust Associations Multi-Pedestrian Tracking, 2022. Their filters come from N. Wojke et al., Simple
// Online and Realtime Tracking with a Deep Association Metric, 2017.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/status.h"
#include "tasks/tracker.h"

namespace tern {
namespace {

constexpr double kPixel = 1;           // boxes are measured in pixels that they touch
constexpr double kLowOverlap = 0.5;    // of a track and a detection of low score
constexpr double kFreshOverlap = 0.3;  // of a track that was seen once and its second detection, times the score
constexpr double kSameOverlap = 0.85;  // of two tracks that are one
constexpr double kPosition = 1.0 / 20, kSpeed = 1.0 / 160;  // standard deviations, in sides of the box

constexpr double kLookOverlap = 0.5;    // IoU from which the look of an object counts
constexpr double kLookDistance = 0.25;  // half of one minus the cosine, up to which two looks are one
constexpr double kLookKept = 0.9;       // of the look so far, at each new one

double square(double x) { return x * x; }

// Centre, width over height, height: no axis knows of another.
struct AspectMotion {
  static constexpr bool kBot = false;
  AxisFilter x, y, aspect, height;

  TrackBox box() const {
    const double h = height.x, w = aspect.x * h;
    return {x.x - w / 2, y.x - h / 2, x.x + w / 2, y.x + h / 2};
  }
  void begin(const TrackBox& b) {
    const double h = b.height();
    const auto axis = [](double at, double position, double speed) {
      return AxisFilter{at, 0, square(position), 0, square(speed)};
    };
    const double p = 2 * kPosition * h, s = 10 * kSpeed * h;
    x = axis(b.x0 + b.width() / 2, p, s);
    y = axis(b.y0 + h / 2, p, s);
    aspect = axis(b.width() / h, 1e-2, 1e-5);
    height = axis(h, p, s);
  }
  void predict(double frames, bool tracked) {
    if (!tracked) height.v = 0;
    const double p = square(kPosition * height.x), s = square(kSpeed * height.x);
    x.predict(frames, p, s);
    y.predict(frames, p, s);
    aspect.predict(frames, square(1e-2), square(1e-5));
    height.predict(frames, p, s);
  }
  void see(const TrackBox& b) {
    const double h = b.height(), p = square(kPosition * height.x);
    x.update(b.x0 + b.width() / 2, p);
    y.update(b.y0 + h / 2, p);
    aspect.update(b.width() / h, square(1e-1));
    height.update(h, p);
  }
  void move(const double*) {}
  bool sound() const { return box().sound() && x.sound() && y.sound() && aspect.sound() && height.sound(); }
  void archive(Archive& a) {
    for (AxisFilter* f : {&x, &y, &aspect, &height}) f->archive(a);
  }
};

// Centre, width, height, and their speeds. A camera that turns mixes the axes.
struct SizeMotion {
  static constexpr bool kBot = true;
  double m[8] = {}, p[8][8] = {};

  TrackBox box() const { return {m[0] - m[2] / 2, m[1] - m[3] / 2, m[0] + m[2] / 2, m[1] + m[3] / 2}; }
  static void seen(const TrackBox& b, double* z) {
    z[0] = b.x0 + b.width() / 2, z[1] = b.y0 + b.height() / 2, z[2] = b.width(), z[3] = b.height();
  }
  void begin(const TrackBox& b) {
    seen(b, m);
    for (int i = 0; i < 4; ++i) {
      p[i][i] = square(2 * kPosition * m[2 + i % 2]);
      p[4 + i][4 + i] = square(10 * kSpeed * m[2 + i % 2]);
    }
  }
  void predict(double frames, bool tracked) {
    if (!tracked) m[6] = m[7] = 0;
    const double side[2] = {m[2], m[3]};
    for (int i = 0; i < 4; ++i) m[i] += frames * m[4 + i];
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 8; ++j) p[i][j] += frames * p[4 + i][j];
    for (int i = 0; i < 8; ++i)
      for (int j = 0; j < 4; ++j) p[i][j] += frames * p[i][4 + j];
    for (int i = 0; i < 4; ++i) {
      p[i][i] += frames * square(kPosition * side[i % 2]);
      p[4 + i][4 + i] += frames * square(kSpeed * side[i % 2]);
    }
  }
  // One number after the other: the noise of each is its own, so that this is the same as all four at once.
  void see(const TrackBox& b) {
    double z[4];
    seen(b, z);
    const double side[2] = {m[2], m[3]};
    for (int k = 0; k < 4; ++k) {
      const double noise = square(kPosition * side[k % 2]), whole = p[k][k] + noise, off = z[k] - m[k];
      double gain[8], row[8];
      for (int i = 0; i < 8; ++i) gain[i] = p[i][k] / whole, row[i] = p[k][i];
      for (int i = 0; i < 8; ++i) {
        m[i] += gain[i] * off;
        for (int j = 0; j < 8; ++j) p[i][j] -= gain[i] * row[j];
      }
    }
  }
  // a: [2][3], where a point of the frame before is in this one.
  void move(const double* a) {
    const auto turn = [&](double& x, double& y) {
      const double u = a[0] * x + a[1] * y, v = a[3] * x + a[4] * y;
      x = u, y = v;
    };
    for (int i = 0; i < 8; i += 2) turn(m[i], m[i + 1]);
    m[0] += a[2], m[1] += a[5];
    for (int i = 0; i < 8; i += 2)
      for (int j = 0; j < 8; ++j) turn(p[i][j], p[i + 1][j]);
    for (int i = 0; i < 8; ++i)
      for (int j = 0; j < 8; j += 2) turn(p[i][j], p[i][j + 1]);
  }
  bool sound() const {
    const auto finite = [](double v) { return std::isfinite(v); };
    return box().sound() && std::all_of(std::begin(m), std::end(m), finite) &&
           std::all_of(std::begin(p), std::end(p),
                       [&](const auto& row) { return std::all_of(std::begin(row), std::end(row), finite); });
  }
  void archive(Archive& a) {
    a.numbers("a filter", m);
    for (auto& row : p) a.numbers("a filter", row);
  }
};

template <class Motion>
struct ByteTrack {
  int64_t id = 0, start = 0, seen = 0;  // frames
  double time = 0;                      // of `seen`
  Motion motion;
  std::vector<float> look;  // of length 1; or empty
  double score = 0;
  int32_t label = 0, detection = -1;
  bool tracked = true;  // seen in the frame before, not lost
  bool confirmed = false;
  bool expired = false;  // was lost for too long once: when it is lost again it ends
  bool over = false;

  TrackBox box() const { return motion.box(); }
  void archive(Archive& a, bool is_tracked, int64_t last_id, int64_t frame) {
    a.integer("the number of a track", id, 1, last_id);
    a.integer("the first frame of a track", start, 1, frame);
    a.integer("the last frame of a track", seen, start, frame);
    a.number("the time of a track", time);
    motion.archive(a);
    a.floats("what a track looks like", look, kMostLook);
    a.number("a score", score);
    int64_t l = label;
    a.integer("a label", l, INT32_MIN, INT32_MAX);
    if (a.reading()) label = (int32_t)l, tracked = is_tracked;
    a.flag("the flag that a track is confirmed", confirmed);
    a.flag("the flag that a track has expired", expired);
  }
  // Least bytes of one that is saved.
  static constexpr size_t kBytes = 8 * (9 + (Motion::kBot ? 72 : 20));
};

template <class Motion>
class ByteTracker : public Tracker {
  using Track = ByteTrack<Motion>;

 public:
  explicit ByteTracker(const Options& options) : o_(options) {}

  void reset() override { now_ = {}; }

  tern_status archive(Archive& a) override { return archive_whole(a, &now_); }

  tern_status update(const TrackFrame& frame, std::vector<tern_track>* out) override {
    // Only where there may be too many pairs, what is known now is kept to go back to.
    std::optional<Known> before;
    if (frame.detections.size() * (now_.tracks.size() + now_.lost.size()) > Overlaps::kMostPairs) before = now_;
    too_many_ = false;
    advance(frame);
    if (too_many_) {
      now_ = std::move(*before);
      return TERN_FAIL(TERN_ERR_LIMIT, "of %zu detections more than %zu pairs overlap tracks", frame.detections.size(),
                       Overlaps::kMostPairs);
    }
    out->clear();
    for (const Track& t : now_.tracks) {
      if (!t.confirmed && !Motion::kBot) continue;
      const TrackBox b = t.box();
      out->push_back({t.id, (float)b.x0, (float)b.y0, (float)b.x1, (float)b.y1, (float)t.score, t.label, t.detection,
                      (int32_t)std::min<int64_t>(now_.frame - t.start, INT32_MAX)});
    }
    return TERN_OK;
  }

 private:
  void advance(const TrackFrame& frame) {
    const double frames = frame.frames;
    ++now_.frame;
    now_.time += frames;
    high_.clear();
    low_.clear();
    for (const TrackInput& d : frame.detections) {
      if (d.score > o_.high) high_.push_back(&d);
      else if (d.score > o_.low && d.score < o_.high) low_.push_back(&d);
    }
    for (auto* list : {&now_.tracks, &now_.lost}) {
      for (Track& t : *list) {
        if (t.confirmed) t.motion.predict(frames, t.tracked);
        if (frame.camera) t.motion.move(frame.camera);
      }
      std::erase_if(*list, [](const Track& t) { return !t.motion.sound(); });
    }
    // All that were confirmed, lost ones too, with the high scores.
    std::vector<Track*> pool, unconfirmed;
    for (Track& t : now_.tracks) (t.confirmed ? pool : unconfirmed).push_back(&t);
    for (Track& t : now_.lost) pool.push_back(&t);
    match(&pool, &high_, true, 1 - o_.overlap);
    // What was seen last time and is left, with the low scores.
    std::erase_if(pool, [](const Track* t) { return !t->tracked; });
    match(&pool, &low_, false, 1 - kLowOverlap);
    for (Track* t : pool) t->tracked = false;
    // Those that were seen once must be seen twice.
    match(&unconfirmed, &high_, true, 1 - kFreshOverlap);
    for (Track* t : unconfirmed) t->over = true;

    std::vector<Track> still, found, newly_lost;
    for (Track& t : now_.tracks)
      if (!t.over) (t.tracked ? still : newly_lost).push_back(t);
    for (const TrackInput* d : high_) {
      if (d->score < o_.fresh) continue;
      Track t;
      t.id = ++now_.last_id;
      t.start = now_.frame;
      t.confirmed = now_.frame == 1;
      t.motion.begin(d->box);
      seen(&t, *d);
      still.push_back(t);
    }
    for (Track& t : now_.lost)
      if (t.tracked) still.push_back(t);
      else if (!t.expired) found.push_back(t);
    // One that was lost for too long may still be found in the next frame, as its authors' program does.
    for (Track& t : found) t.expired = t.expired || now_.time - t.time > o_.max_lost * o_.frame_rate + 1e-6;
    for (Track& t : newly_lost)
      if (!t.expired) found.push_back(t);
    now_.tracks = std::move(still);
    now_.lost = std::move(found);
    drop_doubles();
  }

  void seen(Track* t, const TrackInput& d) {
    t->score = d.score;
    t->label = d.label;
    t->detection = d.index;
    t->seen = now_.frame;
    t->time = now_.time;
    t->tracked = true;
    if (d.look.empty() || d.score <= o_.high) return;
    if (t->look.size() != d.look.size()) {
      t->look.assign(d.look.begin(), d.look.end());
    } else {
      for (size_t i = 0; i < d.look.size(); ++i)
        t->look[i] = (float)(kLookKept * t->look[i] + (1 - kLookKept) * d.look[i]);
    }
    to_length_1(t->look);
  }

  // Takes out of both lists what goes together.
  void match(std::vector<Track*>* tracks, std::vector<const TrackInput*>* detections, bool with_score, double limit) {
    rows_.clear();
    columns_.clear();
    for (const Track* t : *tracks) rows_.push_back(t->box());
    for (const TrackInput* d : *detections) columns_.push_back(d->box);
    pairs_.clear();
    for (const Overlaps::Pair& p : find_overlaps()) {
      const TrackInput& d = *(*detections)[(size_t)p.column];
      if (!o_.across_labels && d.label != (*tracks)[(size_t)p.row]->label) continue;
      double cost = 1 - p.iou * (with_score ? d.score : 1);
      const std::vector<float>& look = (*tracks)[(size_t)p.row]->look;
      if (with_score && p.iou >= kLookOverlap && !d.look.empty() && look.size() == d.look.size()) {
        double cosine = 0;
        for (size_t i = 0; i < look.size(); ++i) cosine += (double)look[i] * d.look[i];
        if (const double distance = std::max(0.0, 1 - cosine) / 2; distance <= kLookDistance)
          cost = std::min(cost, distance);
      }
      pairs_.push_back({p.row, p.column, cost});
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
      t->motion.see(d.box);
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
    for (auto* list : {&now_.tracks, &now_.lost})
      std::erase_if(*list, [](const Track& t) { return !t.motion.sound(); });
    rows_.clear();
    columns_.clear();
    for (const Track& t : now_.tracks) rows_.push_back(t.box());
    for (const Track& t : now_.lost) columns_.push_back(t.box());
    for (const Overlaps::Pair& p : find_overlaps()) {
      if (!(1 - p.iou < 1 - kSameOverlap)) continue;
      Track &a = now_.tracks[(size_t)p.row], &b = now_.lost[(size_t)p.column];
      if (!o_.across_labels && a.label != b.label) continue;
      (a.seen - a.start > b.seen - b.start ? b : a).over = true;
    }
    const auto over = [](const Track& t) { return t.over; };
    std::erase_if(now_.tracks, over);
    std::erase_if(now_.lost, over);
  }

  struct Known {
    std::vector<Track> tracks, lost;
    int64_t last_id = 0, frame = 0;
    double time = 0;

    void archive(Archive& a) {
      a.integer("the number of tracks so far", last_id, 0, kMostFrames);
      a.integer("the number of frames", frame, 0, kMostFrames);
      a.number("the time", time);
      std::vector<int64_t> ids;
      for (auto* list : {&tracks, &lost}) {
        list->resize((size_t)a.count("the number of tracks", list->size(), Track::kBytes));
        for (Track& t : *list) {
          t.archive(a, list == &tracks, last_id, frame);
          ids.push_back(t.id);
        }
      }
      archive_ids(a, std::move(ids));
    }
  };
  // Pairs that overlap, or none if there are too many.
  const std::vector<Overlaps::Pair>& find_overlaps() {
    const std::vector<Overlaps::Pair>& pairs = overlaps_.find(rows_, columns_, kPixel);
    too_many_ = too_many_ || pairs.size() > Overlaps::kMostPairs;
    return too_many_ ? none_ : pairs;
  }

  Options o_;
  Known now_;
  bool too_many_ = false;
  const std::vector<Overlaps::Pair> none_;
  std::vector<const TrackInput*> high_, low_;
  std::vector<TrackBox> rows_, columns_;
  std::vector<AssignmentPair> pairs_;
  Overlaps overlaps_;
  Assignment assignment_;
};

}  // namespace

std::unique_ptr<Tracker> make_byte_tracker(const Tracker::Options& options) {
  return std::make_unique<ByteTracker<AspectMotion>>(options);
}
std::unique_ptr<Tracker> make_botsort_tracker(const Tracker::Options& options) {
  return std::make_unique<ByteTracker<SizeMotion>>(options);
}

}  // namespace tern
