// SPDX-License-Identifier: Apache-2.0
// Trackers give the numbers and boxes that their authors' programs give (make_tracks.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>

#include "base/assignment.h"
#include "tern/tern.h"

namespace {

using Rows = std::vector<std::vector<double>>;

std::vector<Rows> read_frames(const std::string& name) {
  std::ifstream file(TERN_SOURCE_DIR "/tests/tracking/" + name);
  EXPECT_TRUE(file) << name;
  std::vector<Rows> frames;
  for (std::string line; std::getline(file, line);) {
    std::stringstream text(line);
    std::vector<double> row;
    for (std::string cell; std::getline(text, cell, ',');) row.push_back(std::stod(cell));
    frames.resize(std::max(frames.size(), (size_t)row[0]));
    frames[(size_t)row[0] - 1].push_back(row);
  }
  return frames;
}

struct Handle {
  explicit Handle(const tern_tracker_options& options) {
    EXPECT_EQ(tern_tracker_create(&options, &p), TERN_OK) << tern_last_error_message();
  }
  ~Handle() { tern_tracker_release(p); }
  tern_tracker* p = nullptr;
};

std::vector<tern_detection> detections_of(const Rows& rows) {
  std::vector<tern_detection> found;
  for (const auto& r : rows)
    found.push_back({(float)r[1], (float)r[2], (float)r[3], (float)r[4], (float)r[5], 0});
  return found;
}

tern_status update(tern_tracker* t, const std::vector<tern_detection>& found, std::vector<tern_track>* tracks,
                   double time = -1) {
  tern_track_frame frame = TERN_TRACK_FRAME_INIT;
  frame.num_detections = (int32_t)found.size();
  frame.detections = found.data();
  frame.time = time;
  tracks->resize(found.size());
  int32_t count = 0;
  const tern_status s = tern_tracker_update(t, &frame, tracks->data(), (int32_t)tracks->size(), &count);
  if (s == TERN_OK) tracks->resize((size_t)count);
  return s;
}

void compare(const char* sequence, const char* method, const tern_tracker_options& options, double frame_time) {
  const std::vector<Rows> boxes = read_frames(std::string(sequence) + ".boxes");
  std::vector<Rows> want = read_frames(std::string(sequence) + "." + method);
  want.resize(boxes.size());
  const Handle tracker(options);
  for (int round = 0; round < 2; ++round) {
    for (size_t f = 0; f < boxes.size(); ++f) {
      const std::vector<tern_detection> found = detections_of(boxes[f]);
      std::vector<tern_track> tracks;
      ASSERT_EQ(update(tracker.p, found, &tracks, frame_time > 0 ? 1 + frame_time * (double)f : -1), TERN_OK);
      ASSERT_EQ(tracks.size(), want[f].size()) << sequence << " " << method << ", frame " << f + 1;
      for (size_t i = 0; i < tracks.size(); ++i) {
        const tern_track& t = tracks[i];
        const std::vector<double>& w = want[f][i];
        ASSERT_EQ(t.id, (int64_t)w[1]) << sequence << " " << method << ", frame " << f + 1;
        const float is[] = {t.x0, t.y0, t.x1, t.y1};
        for (int k = 0; k < 4; ++k)
          ASSERT_NEAR(is[k], w[(size_t)k + 2], 1e-3) << sequence << " " << method << ", frame " << f + 1;
        ASSERT_LT((size_t)t.detection, found.size());
        EXPECT_EQ(t.score, found[(size_t)t.detection].score);
      }
    }
    ASSERT_EQ(tern_tracker_reset(tracker.p), TERN_OK);
  }
}

tern_tracker_options options_of(int32_t method) {
  tern_tracker_options o = TERN_TRACKER_OPTIONS_INIT;
  o.method = method;
  return o;
}

TEST(Tracker, EqualsByteTrack) {
  for (const char* s : {"few", "crowd", "long_gaps"})
    for (const double time : {0.0, 1.0 / 30}) compare(s, "byte", options_of(TERN_TRACK_BYTE), time);
}

TEST(Tracker, EqualsOcsort) {
  for (const char* s : {"few", "crowd", "long_gaps"})
    for (const double time : {0.0, 1.0 / 30}) {
      tern_tracker_options o = options_of(TERN_TRACK_OCSORT);
      compare(s, "ocsort", o, time);
      o.low_score = 0.1f;
      compare(s, "ocsort_low", o, time);
    }
}

}  // namespace
