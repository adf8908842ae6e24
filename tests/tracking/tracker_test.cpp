// SPDX-License-Identifier: Apache-2.0
// Trackers give the numbers and boxes that their authors' programs give (make_tracks.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/assignment.h"
#include "format/checksum.h"
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

struct Random {
  uint64_t state;
  uint64_t next() { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; }
  double uniform() { return (double)next() / (double)(1u << 31); }
};

struct Handle {
  explicit Handle(const tern_tracker_options& options) {
    EXPECT_EQ(tern_tracker_create(&options, &p), TERN_OK) << tern_last_error_message();
  }
  ~Handle() { tern_tracker_release(p); }
  tern_tracker* p = nullptr;
};

std::vector<tern_detection> detections_of(const Rows& rows) {
  std::vector<tern_detection> found;
  for (const auto& r : rows) found.push_back({(float)r[1], (float)r[2], (float)r[3], (float)r[4], (float)r[5], 0});
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

tern_tracker_options options_of(int32_t method) {
  tern_tracker_options o = TERN_TRACKER_OPTIONS_INIT;
  o.method = method;
  return o;
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

// A camera that moves, and what objects look like.
TEST(Tracker, EqualsBotSortThatLooks) {
  const std::vector<Rows> boxes = read_frames("moving.boxes"), cameras = read_frames("moving.camera");
  std::vector<Rows> want = read_frames("moving.botsort");
  want.resize(boxes.size());
  ASSERT_EQ(boxes.size(), cameras.size());
  constexpr int32_t kLook = 6;
  for (const bool looks : {true, false}) {
    tern_tracker_options o = TERN_TRACKER_OPTIONS_INIT;
    o.method = TERN_TRACK_BOTSORT;
    const Handle tracker(o);
    size_t different = 0;
    for (size_t f = 0; f < boxes.size(); ++f) {
      const std::vector<tern_detection> found = detections_of(boxes[f]);
      std::vector<float> look, camera;
      for (const auto& row : boxes[f])
        for (int k = 0; k < kLook; ++k) look.push_back((float)row[(size_t)(6 + k)]);
      for (int k = 0; k < 6; ++k) camera.push_back((float)cameras[f][0][(size_t)k + 1]);
      tern_track_frame frame = TERN_TRACK_FRAME_INIT;
      frame.num_detections = (int32_t)found.size();
      frame.detections = found.data();
      if (looks) frame.embeddings = look.data(), frame.embedding_size = kLook, frame.camera = camera.data();
      std::vector<tern_track> tracks(found.size());
      int32_t count = 0;
      ASSERT_EQ(tern_tracker_update(tracker.p, &frame, tracks.data(), (int32_t)tracks.size(), &count), TERN_OK);
      if (!looks) {
        different += (size_t)count != want[f].size();
        for (size_t i = 0; i < std::min((size_t)count, want[f].size()); ++i)
          different += tracks[i].id != (int64_t)want[f][i][1];
        continue;
      }
      ASSERT_EQ((size_t)count, want[f].size()) << "frame " << f + 1;
      for (size_t i = 0; i < (size_t)count; ++i) {
        const tern_track& t = tracks[i];
        ASSERT_EQ(t.id, (int64_t)want[f][i][1]) << "frame " << f + 1;
        const float is[] = {t.x0, t.y0, t.x1, t.y1};
        for (int k = 0; k < 4; ++k) ASSERT_NEAR(is[k], want[f][i][(size_t)k + 2], 1e-3) << "frame " << f + 1;
      }
    }
    if (!looks) {
      EXPECT_GT(different, 0u);  // else the sequence tells nothing of them
    }
  }
}

// What only one method uses, and what is no embedding.
TEST(Tracker, RefusesLooksThatCannotBe) {
  const tern_detection good = {10, 20, 50, 100, 0.9f, 3};
  const float looks[2][4] = {{1, 2, 3, 4}, {0, 0, 0, 0}};
  float camera[6] = {1, 0, 0, 0, 1, 0};
  for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT}) {
    tern_tracker_options o = TERN_TRACKER_OPTIONS_INIT;
    o.method = method;
    const Handle tracker(o);
    const tern_status wanted = method == TERN_TRACK_BOTSORT ? TERN_OK : TERN_ERR_UNSUPPORTED;
    tern_track_frame frame = TERN_TRACK_FRAME_INIT;
    int32_t count = 0;
    const auto run = [&] { return tern_tracker_update(tracker.p, &frame, nullptr, 0, &count); };
    frame.num_detections = 1, frame.detections = &good;
    frame.camera = camera;
    EXPECT_EQ(run(), wanted);
    frame.camera = nullptr, frame.embeddings = looks[0], frame.embedding_size = 4;
    EXPECT_EQ(run(), wanted);
    if (wanted != TERN_OK) continue;
    for (const int32_t size : {0, -1, 3, 1 << 20}) {
      frame.embedding_size = size;
      EXPECT_EQ(run(), TERN_ERR_INVALID_ARGUMENT) << size;
    }
    frame.embedding_size = 4, frame.embeddings = looks[1];
    EXPECT_EQ(run(), TERN_ERR_INVALID_ARGUMENT);
    frame.embeddings = nullptr, frame.camera = camera, camera[4] = std::nanf("");
    EXPECT_EQ(run(), TERN_ERR_INVALID_ARGUMENT);
    camera[4] = 1;
    EXPECT_EQ(run(), TERN_OK);
  }
}

TEST(Tracker, EqualsByteTrack) {
  for (const char* s : {"few", "crowd", "long_gaps", "edges"})
    for (const double time : {0.0, 1.0 / 30}) compare(s, "byte", options_of(TERN_TRACK_BYTE), time);
}

TEST(Tracker, EqualsBotSort) {
  for (const char* s : {"few", "crowd", "long_gaps", "edges"})
    for (const double time : {0.0, 1.0 / 30}) compare(s, "botsort", options_of(TERN_TRACK_BOTSORT), time);
}

TEST(Tracker, EqualsOcsort) {
  for (const char* s : {"few", "crowd", "long_gaps", "edges"})
    for (const double time : {0.0, 1.0 / 30}) {
      tern_tracker_options o = options_of(TERN_TRACK_OCSORT);
      compare(s, "ocsort", o, time);
      o.low_score = std::nextafter(0.1f, 0.0f);  // 0.1 of its program, in double, lies between this and 0.1f
      compare(s, "ocsort_low", o, time);
    }
}

std::vector<uint8_t> save(const tern_tracker* t) {
  uint64_t size = 0, again = 0;
  EXPECT_EQ(tern_tracker_save(t, nullptr, 0, &size), TERN_OK) << tern_last_error_message();
  std::vector<uint8_t> bytes(size, 7);
  EXPECT_EQ(tern_tracker_save(t, bytes.data(), size - 1, &again), TERN_OK);
  EXPECT_EQ(again, size);
  EXPECT_EQ(bytes, std::vector<uint8_t>(size, 7));  // too little memory is not written
  EXPECT_EQ(tern_tracker_save(t, bytes.data(), size, &again), TERN_OK);
  EXPECT_EQ(again, size);
  return bytes;
}

// The frames of a committed sequence, for all methods: with looks and a camera where it has some.
struct Sequence {
  explicit Sequence(const std::string& name) : boxes(read_frames(name + ".boxes")) {
    if (name == "moving") cameras = read_frames(name + ".camera");
  }
  // Frame f; time: as of a video of 30 frames a second, or none.
  std::vector<tern_track> update(tern_tracker* t, int32_t method, size_t f, bool timed) const {
    const std::vector<tern_detection> found = detections_of(boxes[f]);
    std::vector<float> look, camera;
    tern_track_frame frame = TERN_TRACK_FRAME_INIT;
    frame.num_detections = (int32_t)found.size();
    frame.detections = found.data();
    if (timed) frame.time = 3 + (double)f / 30;
    if (method == TERN_TRACK_BOTSORT && !cameras.empty()) {
      for (const auto& row : boxes[f]) look.insert(look.end(), row.begin() + 6, row.end());
      for (int k = 0; k < 6; ++k) camera.push_back((float)cameras[f][0][(size_t)k + 1]);
      frame.embeddings = look.data(), frame.embedding_size = 6, frame.camera = camera.data();
    }
    std::vector<tern_track> tracks(found.size());
    int32_t count = 0;
    EXPECT_EQ(tern_tracker_update(t, &frame, tracks.data(), (int32_t)tracks.size(), &count), TERN_OK)
        << tern_last_error_message();
    tracks.resize((size_t)count);
    return tracks;
  }
  std::vector<Rows> boxes, cameras;
};

bool same(const std::vector<tern_track>& a, const std::vector<tern_track>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(tern_track)) == 0);
}

// One that is saved after any frame and loaded elsewhere goes on bit by bit.
TEST(Tracker, GoesOnFromBytes) {
  for (const char* name : {"few", "crowd", "long_gaps", "edges", "moving"}) {
    const Sequence sequence(name);
    for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT})
      for (const bool timed : {false, true}) {
        tern_tracker_options o = options_of(method);
        if (method == TERN_TRACK_OCSORT) o.low_score = 0.1f;
        const Handle whole(o), part(o);
        std::vector<std::vector<tern_track>> want;
        std::vector<std::vector<uint8_t>> saved{save(whole.p)};
        for (size_t f = 0; f < sequence.boxes.size(); ++f) {
          want.push_back(sequence.update(whole.p, method, f, timed));
          saved.push_back(save(whole.p));
        }
        // From every seventh frame a while, from the middle to the end.
        for (size_t from = 0; from <= want.size(); ++from) {
          if (from % 7 && from != want.size() / 2) continue;
          ASSERT_EQ(tern_tracker_load(part.p, saved[from].data(), saved[from].size()), TERN_OK)
              << tern_last_error_message();
          ASSERT_EQ(save(part.p), saved[from]);
          const size_t to = from == want.size() / 2 ? want.size() : std::min(want.size(), from + 12);
          for (size_t f = from; f < to; ++f)
            ASSERT_TRUE(same(sequence.update(part.p, method, f, timed), want[f])) << name << ", frame " << f + 1;
          ASSERT_EQ(save(part.p), saved[to]);
        }
      }
  }
}

uint64_t checksum(const std::vector<uint8_t>& bytes) { return tern::checksum64(bytes.data() + 24, bytes.size() - 24); }

// Bytes from anybody: an error, and the tracker as it was.
TEST(Tracker, RefusesBytesThatCannotBe) {
  const Sequence sequence("moving");
  for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT}) {
    const Handle tracker(options_of(method));
    for (size_t f = 0; f < 4; ++f) sequence.update(tracker.p, method, f, true);
    const std::vector<uint8_t> good = save(tracker.p);
    const auto load = [&](const std::vector<uint8_t>& bytes) {
      const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
      const tern_status s = tern_tracker_load(tracker.p, exact.data(), exact.size());
      if (s != TERN_OK) {
        EXPECT_EQ(save(tracker.p), good);
        EXPECT_NE(std::string(tern_last_error_message()), "");
      }
      return s;
    };
    const auto seal = [](std::vector<uint8_t> bytes) {
      const uint64_t sum = checksum(bytes);
      std::memcpy(bytes.data() + 16, &sum, sizeof sum);
      return bytes;
    };
    for (size_t n = 1; n < good.size(); n += n < 400 ? 1 : 41) {
      std::vector<uint8_t> cut(good.begin(), good.begin() + (ptrdiff_t)n);
      EXPECT_EQ(load(cut), n < 24 ? TERN_ERR_CORRUPT : TERN_ERR_CHECKSUM) << n;
      if (n >= 24) EXPECT_EQ(load(seal(cut)), TERN_ERR_CORRUPT) << n;
    }
    std::vector<uint8_t> longer = good;
    longer.resize(longer.size() + 8);
    EXPECT_EQ(load(seal(longer)), TERN_ERR_CORRUPT);
    for (size_t at = 0; at < good.size(); at += at < 400 ? 1 : 13) {
      std::vector<uint8_t> changed = good;
      changed[at] ^= 0x40;
      const tern_status s = load(changed);
      EXPECT_EQ(s, at < 8 ? TERN_ERR_CORRUPT : at < 16 ? TERN_ERR_UNSUPPORTED_VERSION : TERN_ERR_CHECKSUM) << at;
    }
    // Every number of 8 bytes as one that is often special. What is taken can be tracked on with.
    size_t taken = 0;
    for (size_t at = 24; at + 8 <= good.size(); at += 8) {
      static constexpr double kNumbers[] = {HUGE_VAL, -HUGE_VAL, 1e308, -1e308, 0, 1e-320};
      static constexpr int64_t kIntegers[] = {-1, INT64_MAX, INT64_MIN, 1 << 20, int64_t(0x7ff8) << 48};
      for (size_t k = 0; k < std::size(kNumbers) + std::size(kIntegers); ++k) {
        std::vector<uint8_t> changed = good;
        if (k < std::size(kNumbers)) std::memcpy(changed.data() + at, &kNumbers[k], 8);
        else std::memcpy(changed.data() + at, &kIntegers[k - std::size(kNumbers)], 8);
        const std::vector<uint8_t> sealed = seal(changed);
        if (load(sealed) != TERN_OK) continue;
        ++taken;
        for (size_t f = 4; f < 7; ++f) {
          const std::vector<tern_detection> found = detections_of(sequence.boxes[f]);
          std::vector<tern_track> tracks;
          (void)update(tracker.p, found, &tracks);
          for (const tern_track& t : tracks)
            if ((size_t)t.detection < found.size()) EXPECT_TRUE(std::isfinite(t.x0 + t.y0 + t.x1 + t.y1)) << at;
        }
        const std::vector<uint8_t> after = save(tracker.p);
        ASSERT_EQ(load(after), TERN_OK) << tern_last_error_message();
        ASSERT_EQ(load(good), TERN_OK);
      }
    }
    EXPECT_GT(taken, 100u);
    // Another method or option.
    tern_tracker_options o = options_of(method);
    const auto into = [&](const tern_tracker_options& other) {
      const Handle t(other);
      const std::vector<uint8_t> before = save(t.p);
      const tern_status s = tern_tracker_load(t.p, good.data(), good.size());
      EXPECT_TRUE(s == TERN_OK || save(t.p) == before);
      return s;
    };
    EXPECT_EQ(into(o), TERN_OK);
    EXPECT_EQ(into(options_of((method + 1) % 3)), TERN_ERR_INVALID_ARGUMENT);
    for (float* option : {&o.high_score, &o.low_score, &o.new_score, &o.min_overlap, &o.frame_rate, &o.max_lost}) {
      *option = 0.55f;
      EXPECT_EQ(into(o), TERN_ERR_INVALID_ARGUMENT);
      *option = 0;
    }
    o.across_labels = 1;
    EXPECT_EQ(into(o), TERN_ERR_INVALID_ARGUMENT);
    uint64_t size = 0;
    uint8_t byte = 0;
    EXPECT_EQ(tern_tracker_save(nullptr, nullptr, 0, &size), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_save(tracker.p, nullptr, 1, &size), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_save(tracker.p, &byte, 1, nullptr), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_load(nullptr, &byte, 1), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_load(tracker.p, nullptr, 0), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_load(tracker.p, &byte, 0), TERN_ERR_CORRUPT);
  }
}

// A time far away, a camera that flings everything away: tracks end, numbers stay numbers.
TEST(Tracker, NothingOverflows) {
  for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT}) {
    tern_tracker_options o = options_of(method);
    o.frame_rate = 1e5f, o.max_lost = 1e6f;
    const Handle tracker(o);
    const std::vector<tern_detection> found = {{10, 20, 50, 100, 0.9f, 0}, {210, 20, 250, 100, 0.9f, 0}};
    std::vector<tern_track> tracks;
    EXPECT_EQ(update(tracker.p, found, &tracks, 2e15), TERN_ERR_INVALID_ARGUMENT);
    for (const double time : {1.0, 2.0, 3.0, 1e6, 1e14, 1e15}) {
      ASSERT_EQ(update(tracker.p, found, &tracks, time), TERN_OK);
      for (const tern_track& t : tracks) ASSERT_TRUE(std::isfinite(t.x0 + t.y0 + t.x1 + t.y1)) << time;
      save(tracker.p);
    }
    if (method != TERN_TRACK_BOTSORT) continue;
    const float camera[6] = {1e38f, 3e38f, 3e38f, -3e38f, 1e38f, 3e38f};
    ASSERT_EQ(tern_tracker_reset(tracker.p), TERN_OK);
    for (int f = 0; f < 40; ++f) {
      tern_track_frame frame = TERN_TRACK_FRAME_INIT;
      frame.num_detections = f % 3 ? 2 : 0, frame.detections = found.data(), frame.camera = camera;
      int32_t count = 0;
      ASSERT_EQ(tern_tracker_update(tracker.p, &frame, tracks.data(), (int32_t)tracks.size(), &count), TERN_OK);
      const std::vector<uint8_t> bytes = save(tracker.p);
      ASSERT_EQ(tern_tracker_load(tracker.p, bytes.data(), bytes.size()), TERN_OK) << tern_last_error_message();
    }
  }
}

// The virtual path of a track that is found again is not held at an area of 0, as predictions are.
TEST(Tracker, EqualsOcsortThatShrinks) { compare("sizes", "ocsort", options_of(TERN_TRACK_OCSORT), 0); }

// Whatever the caller says is answered, and what was refused changes nothing.
TEST(Tracker, RefusesWhatCannotBe) {
  for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT}) {
    const Handle tracker(options_of(method));
    const tern_detection good = {10, 20, 50, 100, 0.9f, 3};
    std::vector<tern_track> tracks;
    ASSERT_EQ(update(tracker.p, {good}, &tracks, 5), TERN_OK);
    ASSERT_EQ(tracks.size(), 1u);
    EXPECT_EQ(tracks[0].label, 3);
    const float nan = std::nanf(""), far = HUGE_VALF;
    for (const tern_detection bad : {tern_detection{nan, 0, 1, 1, 0.9f, 0},
                                     {0, 0, far, 1, 0.9f, 0},
                                     {0, 0, 1, 1, nan, 0},
                                     {5, 0, 1, 1, 0.9f, 0},
                                     {0, 5, 1, 1, 0.9f, 0}}) {
      EXPECT_EQ(update(tracker.p, {good, bad}, &tracks, 6), TERN_ERR_INVALID_ARGUMENT);
      EXPECT_NE(std::string(tern_last_error_message()).find("detection 1"), std::string::npos);
    }
    for (const double time : {5.0, 4.0, (double)nan, (double)far}) {
      EXPECT_EQ(update(tracker.p, {good}, &tracks, time), TERN_ERR_INVALID_ARGUMENT) << time;
      EXPECT_NE(std::string(tern_last_error_message()).find("time"), std::string::npos);
    }
    // Boxes without an area are nobody; those far away or very large are somebody.
    ASSERT_EQ(update(tracker.p, {{10, 20, 10, 100, 0.9f, 3}, good, {10, 20, 50, 20, 0.9f, 3}}, &tracks, 5 + 1.0 / 30),
              TERN_OK);
    ASSERT_EQ(tracks.size(), 1u);
    EXPECT_EQ(tracks[0].id, 1);
    EXPECT_EQ(tracks[0].detection, 1);
    ASSERT_EQ(
        update(tracker.p, {{-1e30f, -1e30f, 1e30f, 1e30f, 0.9f, 3}, {1e9f, 1e9f, 2e9f, 2e9f, 0.9f, 3}}, &tracks, 6),
        TERN_OK);
    ASSERT_EQ(update(tracker.p, {good}, &tracks, 7), TERN_OK);
    int32_t count = 0;
    tern_track_frame frame = TERN_TRACK_FRAME_INIT;
    EXPECT_EQ(tern_tracker_update(nullptr, &frame, nullptr, 0, &count), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_update(tracker.p, nullptr, nullptr, 0, &count), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_update(tracker.p, &frame, nullptr, 0, nullptr), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_update(tracker.p, &frame, nullptr, 1, &count), TERN_ERR_INVALID_ARGUMENT);
    frame.num_detections = 1;
    EXPECT_EQ(tern_tracker_update(tracker.p, &frame, nullptr, 0, &count), TERN_ERR_INVALID_ARGUMENT);
    frame.num_detections = -1;
    EXPECT_EQ(tern_tracker_update(tracker.p, &frame, nullptr, 0, &count), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_tracker_reset(nullptr), TERN_ERR_INVALID_ARGUMENT);
  }
  const auto refused = [](auto set) {
    tern_tracker_options o = TERN_TRACKER_OPTIONS_INIT;
    set(o);
    tern_tracker* t = nullptr;
    return tern_tracker_create(&o, &t) == TERN_ERR_INVALID_ARGUMENT && !t;
  };
  EXPECT_TRUE(refused([](auto& o) { o.method = 3; }));
  EXPECT_TRUE(refused([](auto& o) { o.high_score = 1.5f; }));
  EXPECT_TRUE(refused([](auto& o) { o.low_score = -0.1f; }));
  EXPECT_TRUE(refused([](auto& o) { o.min_overlap = std::nanf(""); }));
  EXPECT_TRUE(refused([](auto& o) { o.frame_rate = -1; }));
  EXPECT_TRUE(refused([](auto& o) { o.max_lost = HUGE_VALF; }));
}

// Boxes that lie upon one another by the thousand are refused before they take all memory; many that do not are
// tracked.
TEST(Tracker, ManyBoxes) {
  for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT}) {
    const Handle tracker(options_of(method));
    std::vector<tern_detection> heap(3000, {10, 10, 50, 90, 0.9f, 0}), grid;
    for (int i = 0; i < 12000; ++i) {
      const float x = (float)(i % 120) * 30, y = (float)(i / 120) * 30;
      grid.push_back({x, y, x + 20, y + 20, 0.9f, 0});
    }
    std::vector<tern_track> tracks;
    ASSERT_EQ(update(tracker.p, heap, &tracks), TERN_OK);
    ASSERT_EQ(tracks.size(), heap.size());
    EXPECT_EQ(update(tracker.p, heap, &tracks), TERN_ERR_LIMIT);
    EXPECT_NE(std::string(tern_last_error_message()).find("3000 detections"), std::string::npos);
    // It is as it was: the track goes on.
    ASSERT_EQ(update(tracker.p, {heap[0]}, &tracks), TERN_OK);
    ASSERT_EQ(tracks.size(), 1u);
    EXPECT_EQ(tracks[0].age, 1);
    ASSERT_EQ(tern_tracker_reset(tracker.p), TERN_OK);
    ASSERT_EQ(update(tracker.p, grid, &tracks), TERN_OK);
    if (method == TERN_TRACK_OCSORT) continue;
    ASSERT_EQ(update(tracker.p, grid, &tracks), TERN_OK);
    ASSERT_EQ(tracks.size(), grid.size());
    for (size_t i = 0; i < tracks.size(); ++i) ASSERT_EQ(tracks[i].id, (int64_t)i + 1);
  }
}

// A track keeps its label unless labels do not matter.
TEST(Tracker, Labels) {
  for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT})
    for (const int32_t across : {0, 1}) {
      tern_tracker_options o = options_of(method);
      o.across_labels = across;
      const Handle tracker(o);
      std::vector<tern_track> tracks;
      int64_t last = 0;
      for (int f = 0; f < 8; ++f) {
        ASSERT_EQ(update(tracker.p, {{10, 20, 50, 100, 0.9f, f < 4 ? 1 : 2}}, &tracks), TERN_OK);
        if (!tracks.empty()) last = tracks[0].id;
      }
      EXPECT_EQ(last, across ? 1 : 2);
    }
}

// A video of 10 frames a second has the tracks of one of 30: speeds are by time, not by frame.
TEST(Tracker, AnyFrameRate) {
  for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT}) {
    const Handle tracker(options_of(method));
    std::vector<tern_track> tracks;
    Random random{3};
    double time = 0;
    for (int f = 0; f < 60; ++f) {
      time += f < 20 ? 1.0 / 30 : 1.0 / 30 * (1 + (double)(random.next() % 4));  // frames are dropped
      const float x = (float)(100 + 60 * time), y = 50;
      ASSERT_EQ(update(tracker.p, {{x, y, x + 30, y + 80, 0.9f, 0}}, &tracks, time), TERN_OK);
      ASSERT_EQ(tracks.size(), 1u) << f;
      EXPECT_EQ(tracks[0].id, 1) << f;
      EXPECT_NEAR(tracks[0].x0, x, 1.5) << f;
    }
    // After a second without it it is another one.
    ASSERT_EQ(update(tracker.p, {}, &tracks, time + 1.05), TERN_OK);
    ASSERT_EQ(update(tracker.p, {}, &tracks, time + 1.1), TERN_OK);
    for (int f = 0; f < 4; ++f)
      ASSERT_EQ(update(tracker.p, {{300, 50, 330, 130, 0.9f, 0}}, &tracks, time + 1.2 + f / 30.0), TERN_OK);
    ASSERT_EQ(tracks.size(), 1u);
    EXPECT_EQ(tracks[0].id, 2);
  }
}

// All choices of small problems, one by one.
struct Choices {
  int32_t rows, columns;
  std::vector<double> costs;  // NaN: no pair
  double limit;               // what a row without a column costs
  int32_t needed;             // pairs
  double least = HUGE_VAL;
  void try_all(int32_t row, uint32_t taken, int32_t pairs, double sum) {
    if (row == rows) {
      if (pairs >= needed) least = std::min(least, sum);
      return;
    }
    try_all(row + 1, taken, pairs, sum + limit);
    for (int32_t c = 0; c < columns; ++c) {
      const double cost = costs[(size_t)(row * columns + c)];
      if (!(taken >> c & 1) && !std::isnan(cost)) try_all(row + 1, taken | 1u << c, pairs + 1, sum + cost);
    }
  }
};

TEST(Assignment, IsTheLeast) {
  Random random{1};
  tern::Assignment assignment;
  for (int t = 0; t < 3000; ++t) {
    const int32_t n = (int32_t)(random.next() % 6), m = (int32_t)(random.next() % 6);
    Choices choices{n, m, std::vector<double>((size_t)(n * m)), 0.6, 0};
    std::vector<tern::AssignmentPair> pairs;
    std::vector<double> all;
    for (int32_t r = 0; r < n; ++r)
      for (int32_t c = 0; c < m; ++c) {
        // many equal ones in every third
        const double cost = t % 3 ? random.uniform() * 2 - 1 : (double)(random.next() % 5) / 4;
        const bool there = random.next() % 3 != 0;
        choices.costs[(size_t)(r * m + c)] = there ? cost : std::nan("");
        if (there) pairs.push_back({r, c, cost});
        all.push_back(cost);
      }
    const auto sum_of = [&](const std::vector<int32_t>& column_of, const std::vector<double>& costs, double limit,
                            int32_t* count) {
      double sum = 0;
      uint32_t taken = 0;
      *count = 0;
      for (int32_t r = 0; r < n; ++r) {
        const int32_t c = column_of[(size_t)r];
        if (c < 0) {
          sum += limit;
          continue;
        }
        EXPECT_FALSE(taken >> c & 1);
        taken |= 1u << c;
        sum += costs[(size_t)(r * m + c)];
        ++*count;
      }
      return sum;
    };
    int32_t count = 0;
    choices.try_all(0, 0, 0, 0);
    EXPECT_NEAR(sum_of(assignment.solve(n, m, pairs, 0.6), choices.costs, 0.6, &count), choices.least, 1e-12);
    Choices whole{n, m, all, 0, std::min(n, m)};
    whole.try_all(0, 0, 0, 0);
    EXPECT_NEAR(sum_of(assignment.solve_all(n, m, all), all, 0, &count), whole.least, 1e-12);
    EXPECT_EQ(count, std::min(n, m));
  }
}

// Few pairs listed, all others as they are asked for: the same as all pairs at once.
TEST(Assignment, AsksForOthers) {
  struct Others : tern::Assignment::OtherCosts {
    int32_t columns = 0;
    std::vector<double> costs;
    mutable size_t asked = 0;
    double cost(int32_t row, int32_t column) const override {
      ++asked;
      return costs[(size_t)(row * columns + column)];
    }
  } others;
  Random random{2};
  tern::Assignment assignment;
  for (int t = 0; t < 2000; ++t) {
    const int32_t n = (int32_t)(random.next() % 30), m = (int32_t)(random.next() % 30);
    std::vector<tern::AssignmentPair> pairs;
    others.columns = m;
    others.costs.clear();
    std::vector<double> all;
    for (int32_t r = 0; r < n; ++r)
      for (int32_t c = 0; c < m; ++c) {
        const bool listed = random.next() % 8 == 0;
        others.costs.push_back(listed ? std::nan("") : t % 3 ? 0.2 * random.uniform() : (double)(random.next() % 3));
        all.push_back(listed ? random.uniform() * 2 - 1 : others.costs.back());
        if (listed) pairs.push_back({r, c, all.back()});
      }
    const auto sum_of = [&](const std::vector<int32_t>& column_of) {
      double sum = 0;
      int32_t count = 0;
      std::vector<char> taken((size_t)m);
      for (int32_t r = 0; r < n; ++r)
        if (const int32_t c = column_of[(size_t)r]; c >= 0) {
          EXPECT_FALSE(taken[(size_t)c]);
          taken[(size_t)c] = 1;
          sum += all[(size_t)(r * m + c)];
          ++count;
        }
      EXPECT_EQ(count, std::min(n, m));
      return sum;
    };
    const double want = sum_of(assignment.solve_all(n, m, all));
    EXPECT_NEAR(sum_of(assignment.solve_all(n, m, pairs, others)), want, 1e-9) << t;
  }
  // Where all but two of a hundred have a good place, hardly any of the ten thousand others is asked for.
  std::vector<tern::AssignmentPair> pairs;
  for (int32_t i = 0; i < 98; ++i) pairs.push_back({i, i, -1});
  others.columns = 100;
  others.costs.assign(10000, 0.1);
  others.asked = 0;
  assignment.solve_all(100, 100, pairs, others);
  EXPECT_LE(others.asked, 8u);
}

}  // namespace
