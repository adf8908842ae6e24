// SPDX-License-Identifier: Apache-2.0
// Identities of boxes through time: what stands behind tern_tracker.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "base/assignment.h"
#include "tasks/archive.h"
#include "tern/track.h"

namespace tern {

struct TrackBox {
  double x0, y0, x1, y1;  // no more between them: they are archived as four numbers
  double width() const { return x1 - x0; }
  double height() const { return y1 - y0; }
  // Numbers that a caller can be told.
  bool sound() const;
  void archive(Archive& a) { a.numbers("a box", std::span<double>(&x0, 4)); }
};

// Position and speed along one axis, as normal distributions, seen through a Kalman filter of constant speed. The axes
// of a box never meet in it: all noise is that of one axis.
struct AxisFilter {
  double x = 0, v = 0;                                          // at frame t, and by frame
  double xx = 0, xv = 0, vv = 0;                                // covariances
  void predict(double frames, double x_noise, double v_noise);  // variances a frame
  void update(double seen, double noise);
  bool sound() const;
  void archive(Archive& a) { a.numbers("a filter", std::span<double>(&x, 5)); }
};

// One detection of a frame.
struct TrackInput {
  TrackBox box;
  double score;
  int32_t label, index;         // index: of the caller
  std::span<const float> look;  // its embedding, of length 1; or empty
};
void to_length_1(std::span<float> look);

struct TrackFrame {
  std::span<const TrackInput> detections;
  double frames = 1;               // how many passed since the frame before (1 at its rate)
  const double* camera = nullptr;  // [2][3]: where a point of the frame before is in this one; NULL: it stands still
};

// Pairs of boxes that may go together: those that overlap, found by a sweep along x.
class Overlaps {
 public:
  struct Pair {
    int32_t row, column;
    double iou;
  };
  // Boxes that lie upon one another by the thousand are no frame of a video, and would take all memory.
  static constexpr size_t kMostPairs = 1 << 20;
  // margin: what is added to each width and height (some references count pixels, 1).
  // Only pairs of an IoU above 0; of more than kMostPairs not all. Borrowed until the next call.
  const std::vector<Pair>& find(std::span<const TrackBox> rows, std::span<const TrackBox> columns, double margin);

 private:
  std::vector<int32_t> row_order_, column_order_, open_;
  std::vector<Pair> pairs_;
};
double overlap(const TrackBox& a, const TrackBox& b, double margin);

class Tracker {
 public:
  struct Options {
    double high = 0.6, low = 0.1, fresh = 0.7, overlap = 0.1;
    double frame_rate = 30, max_lost = 1;
    bool across_labels = false;
  };
  virtual ~Tracker() = default;
  // tracks: in place of what it held.
  // TERN_ERR_LIMIT: too many boxes lie upon one another; nothing has changed.
  virtual tern_status update(const TrackFrame& frame, std::vector<tern_track>* tracks) = 0;
  virtual void reset() = 0;
  // All that it knows. If what is read is wrong nothing changes.
  virtual tern_status archive(Archive& a) = 0;
};
std::unique_ptr<Tracker> make_byte_tracker(const Tracker::Options& options);
std::unique_ptr<Tracker> make_botsort_tracker(const Tracker::Options& options);
std::unique_ptr<Tracker> make_ocsort_tracker(const Tracker::Options& options);

constexpr int64_t kMostFrames = int64_t(1) << 53;  // and tracks: what a saved state may count
constexpr int64_t kMostLook = 1 << 16;             // numbers of an embedding
constexpr double kMostTime = 1e15;                 // seconds: so that no number of frames overflows
// Refuses numbers of tracks that are given twice.
void archive_ids(Archive& a, std::vector<int64_t> ids);

// A tracker between two frames.
struct TrackerState {
  tern_track_method method = TERN_TRACK_BYTE;
  Tracker::Options options;
  std::unique_ptr<Tracker> task;
  double time = 0;        // seconds
  bool timed = false;     // `time` is that of a frame
  int64_t look_size = 0;  // numbers of an embedding, once there was one
};
tern_status save_tracker(const TrackerState& state, std::vector<uint8_t>* bytes);
// Into a tracker of the same method and options. On an error it is as it was.
tern_status load_tracker(std::span<const uint8_t> bytes, TrackerState* state);

}  // namespace tern
