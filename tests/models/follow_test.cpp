// SPDX-License-Identifier: Apache-2.0
// TERN_VISION_FOLLOW on videos that a photograph makes when a camera moves over it: the same thing is followed, the
// detector runs only when it has to, and the One-Euro filter is its authors' (golden/one_euro.json, made by
// one_euro_golden.py).
#include <gtest/gtest.h>

#include "capi/handle.h"
#include "models/photo.h"
#include "tasks/vision.h"

namespace tern::test {
namespace {

TEST(OneEuroFilter, EqualsItsAuthors) {
  Json golden;
  ASSERT_TRUE(read_json(source_folder() + "/tests/models/golden/one_euro.json", &golden));
  ASSERT_GT(golden.list.size(), 10u);
  for (const Json& c : golden.list) {
    SCOPED_TRACE(c["signal"].text + " at " + std::to_string(c["rate"].number));
    const OneEuro filter = {.rate = c["rate"].number, .cutoff = c["cutoff"].number, .beta = c["beta"].number};
    OneEuro::State state;
    ASSERT_EQ(c["values"].list.size(), c["filtered"].list.size());
    for (size_t i = 0; i < c["values"].list.size(); ++i)
      ASSERT_NEAR(filter(c["values"].list[i].number, c["size"].number, &state), c["filtered"].list[i].number, 2e-6)
          << i;
  }
}

struct Scene {
  const char *name, *detector, *keypoints, *photo;
  double x, y, zoom;  // of the thing in the photograph, all of which is seen
  double tolerance;   // in sizes of the thing
};
constexpr Scene
    kFace = {"face", "face_detection_short_range.tflite", "face_landmark.tflite", "astronaut.png", 224, 120, 1, 0.02},
    kHand = {"hand", "palm_detection_full.tflite", "hand_landmark_full.tflite", "hand_point.jpg", 260, 320, 0.6, 0.03},
    kBody = {"body", "pose_detection.tflite", "pose_landmark_full.tflite", "person.jpg", 230, 240, 1, 0.03};

// What a result holds, kept over the next run.
struct Seen {
  std::vector<tern_detection> boxes;
  std::vector<tern_keypoint> points;  // of all
  size_t each = 0;

  explicit Seen(const tern_vision_result& r) : each((size_t)r.num_keypoints) {
    boxes.assign(r.detections, r.detections + r.num_detections);
    points.assign(r.keypoints, r.keypoints + (size_t)r.num_detections * each);
  }
  // Size of thing i: the longer side of the box around its key points.
  double size(size_t i) const {
    double x0 = HUGE_VAL, y0 = HUGE_VAL, x1 = -HUGE_VAL, y1 = -HUGE_VAL;
    for (size_t k = 0; k < each; ++k) {
      const tern_keypoint& p = points[i * each + k];
      x0 = std::min<double>(x0, p.x), x1 = std::max<double>(x1, p.x);
      y0 = std::min<double>(y0, p.y), y1 = std::max<double>(y1, p.y);
    }
    return std::max(x1 - x0, y1 - y0);
  }
  // Of the key points of two things, in sizes.
  double distance(size_t i, const Seen& other, size_t j) const {
    double sum = 0;
    for (size_t k = 0; k < each; ++k)
      sum += std::hypot(points[i * each + k].x - other.points[j * each + k].x,
                        points[i * each + k].y - other.points[j * each + k].y);
    return sum / (double)each / size(i);
  }
};

class Following : public testing::Test {
 protected:
  // Skips aloud where something was not fetched.
  void open(const Scene& s) {
    std::vector<std::string> paths = {model_path(s.detector), model_path(s.keypoints), image_path(s.photo)};
    for (const std::string& path : paths)
      if (!std::filesystem::exists(path)) TERN_SKIP(path + " is not there (samples/fetch all)");
    for (size_t i = 0; i < 2; ++i) {
      std::string file;
      ASSERT_NO_FATAL_FAILURE(import_model(paths[i], "", &file));
      ASSERT_NO_FATAL_FAILURE(load(file, 2, &context_, &models_[i]));
    }
    ASSERT_NO_FATAL_FAILURE(read_photo(s.photo, &photo_));
  }
  std::unique_ptr<tern::Vision> task(bool follow, int32_t most, double smoothing = 0) {
    VisionOptions options;
    options.follow = follow, options.max_results = most, options.smoothing = smoothing;
    const tern::Model* models[] = {capi::to_object(models_[0].get()), capi::to_object(models_[1].get())};
    std::unique_ptr<tern::Vision> out;
    EXPECT_EQ(tern::Vision::create(models, options, &out), TERN_OK) << tern_last_error_message();
    return out;
  }
  static Seen run(tern::Vision& task, const Photo& frame) {
    const tern_picture given = frame.picture();
    image::Picture picture;
    EXPECT_EQ(read_picture(&given, &picture), TERN_OK);
    const tern_vision_result* r = nullptr;
    static const tern_vision_result none = {};
    const tern_status s = task.run(std::span(&picture, 1), {}, &r);
    EXPECT_EQ(s, TERN_OK) << tern_last_error_message();
    return Seen(s == TERN_OK ? *r : none);
  }

  Context context_;
  tern::test::Model models_[2];
  Photo photo_;
};

class FollowingScenes : public Following, public testing::WithParamInterface<Scene> {};

// The camera circles about the thing and comes nearer: one run of the detector, and the key points are where they are
// found from scratch.
TEST_P(FollowingScenes, StayOnWhatMoves) {
  const Scene& s = GetParam();
  open(s);
  if (HasFatalFailure() || IsSkipped()) return;
  const auto follow = task(true, 1), fresh = task(false, 1);
  double worst = 0;
  constexpr int kFrames = 24;
  for (int i = 0; i < kFrames; ++i) {
    const double turn = i * 0.26;
    const Photo frame =
        view(photo_, 400, 480, s.x + 40 * std::cos(turn), s.y + 30 * std::sin(turn), s.zoom * (1 + 0.01 * i));
    const Seen a = run(*follow, frame), b = run(*fresh, frame);
    ASSERT_EQ(a.boxes.size(), 1u) << "frame " << i;
    ASSERT_EQ(b.boxes.size(), 1u) << "frame " << i;
    worst = std::max(worst, a.distance(0, b, 0));
  }
  EXPECT_LT(worst, s.tolerance);
  EXPECT_EQ(follow->detector_runs(), 1);
  EXPECT_EQ(fresh->detector_runs(), kFrames);
  std::printf("%s: %.4f sizes from key points found from scratch at most\n", s.name, worst);
  // Another video: who was followed is forgotten.
  follow->reset();
  run(*follow, view(photo_, 400, 480, s.x, s.y, s.zoom));
  EXPECT_EQ(follow->detector_runs(), 2);
}

INSTANTIATE_TEST_SUITE_P(Scenes, FollowingScenes, testing::Values(kFace, kHand, kBody),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(Following, LooksAgainForWhatIsLost) {
  open(kFace);
  if (HasFatalFailure() || IsSkipped()) return;
  const auto follow = task(true, 1);
  const Photo here = view(photo_, 400, 400, kFace.x, kFace.y, 1),
              there = view(photo_, 400, 400, kFace.x + 90, kFace.y, 1);
  Photo nobody = here;
  std::fill(nobody.rgb.begin(), nobody.rgb.end(), (uint8_t)128);
  const std::pair<const Photo*, std::pair<size_t, int64_t>> frames[] = {
      {&here, {1, 1}},  {&here, {1, 1}},  {&nobody, {0, 2}}, {&nobody, {0, 3}},
      {&there, {1, 4}}, {&there, {1, 4}}, {&there, {1, 4}},
  };
  for (size_t i = 0; i < std::size(frames); ++i) {
    SCOPED_TRACE("frame " + std::to_string(i));
    EXPECT_EQ(run(*follow, *frames[i].first).boxes.size(), frames[i].second.first);
    EXPECT_EQ(follow->detector_runs(), frames[i].second.second);
  }
}

// Two faces keep their places in the list, also when one was away, and when one was lost and found in one frame.
TEST_F(Following, KeepsPlaces) {
  open(kFace);
  if (HasFatalFailure() || IsSkipped()) return;
  const auto follow = task(true, 2);
  const auto two = [&](double left, double right) {
    return beside(view(photo_, 300, 300, kFace.x + left, kFace.y, 1),
                  view(photo_, 300, 300, kFace.x + right, kFace.y, 1.1));
  };
  const auto middle = [](const Seen& s, size_t i) {
    double x = 0;
    for (size_t k = 0; k < s.each; ++k) x += s.points[i * s.each + k].x;
    return x / (double)s.each;
  };
  Seen first = run(*follow, two(0, 0));
  ASSERT_EQ(first.boxes.size(), 2u);
  const size_t l = middle(first, 0) < 300 ? 0 : 1, r = 1 - l;
  const auto check = [&](const Seen& s) {
    ASSERT_EQ(s.boxes.size(), 2u);
    EXPECT_LT(middle(s, l), 300);
    EXPECT_GT(middle(s, r), 300);
  };
  for (int i = 1; i < 6; ++i) check(run(*follow, two(6 * i, -6 * i)));
  EXPECT_EQ(follow->detector_runs(), 1);
  // The one of place 0 leaves; the other stays; it comes back.
  const auto without = [&](Photo p) {
    for (int y = 0; y < p.height; ++y) std::memset(&p.rgb[((size_t)y * 600 + (l == 0 ? 0 : 300)) * 3], 128, 900);
    return p;
  };
  for (int i = 0; i < 3; ++i) {
    const Seen s = run(*follow, without(two(30, -30)));
    ASSERT_EQ(s.boxes.size(), 1u);
    EXPECT_EQ(middle(s, 0) > 300, l == 0);
  }
  EXPECT_EQ(follow->detector_runs(), 4);  // room for one more
  check(run(*follow, two(30, -30)));
  EXPECT_EQ(follow->detector_runs(), 5);
  // The one of place 0 jumps: lost where it was, found elsewhere.
  check(run(*follow, l == 0 ? two(-60, -30) : two(30, 60)));
  check(run(*follow, l == 0 ? two(-60, -30) : two(30, 60)));
}

double jitter(const std::vector<Seen>& frames) {
  double sum = 0;
  for (size_t k = 0; k < frames[0].each; ++k) {
    double x = 0, xx = 0;
    const double n = (double)frames.size();
    for (const Seen& f : frames) x += f.points[k].x, xx += (double)f.points[k].x * f.points[k].x;
    sum += std::sqrt(std::max(0.0, xx / n - x / n * (x / n)));
  }
  return sum / (double)frames[0].each;
}

// A noisy still rests; what moves is where the filter's formula has it and no further behind.
TEST_F(Following, SmoothsAsTheFormulaSays) {
  open(kFace);
  if (HasFatalFailure() || IsSkipped()) return;
  constexpr double kCutoff = 0.05;
  for (const double speed : {0.0, 5.0}) {
    SCOPED_TRACE("pixels a frame: " + std::to_string(speed));
    const auto raw = task(true, 1), smooth = task(true, 1, kCutoff);
    std::vector<Seen> a, b;
    std::vector<OneEuro::State> states;
    const OneEuro filter = {.rate = 30, .cutoff = kCutoff};
    uint32_t noise = 1;
    double lag = 0;
    for (int i = 0; i < 30; ++i) {
      Photo frame = view(photo_, 400, 400, kFace.x + 60 - speed * i, kFace.y, 1);
      for (uint8_t& v : frame.rgb) {
        noise = noise * 1664525 + 1013904223;
        v = (uint8_t)std::clamp((int)v + (int)(noise >> 26) - 32, 0, 255);
      }
      a.push_back(run(*raw, frame)), b.push_back(run(*smooth, frame));
      ASSERT_EQ(a.back().boxes.size(), 1u);
      ASSERT_EQ(b.back().boxes.size(), 1u);
      const tern_detection& box = a.back().boxes[0];
      const double size = std::max(box.x1 - box.x0, box.y1 - box.y0);
      states.resize(3 * a.back().each);
      for (size_t k = 0; k < a.back().each; ++k) {
        const tern_keypoint &p = a.back().points[k], &q = b.back().points[k];
        ASSERT_NEAR(q.x, filter(p.x, size, &states[3 * k]), 1e-3);
        ASSERT_NEAR(q.y, filter(p.y, size, &states[3 * k + 1]), 1e-3);
        ASSERT_NEAR(q.z, filter(p.z, size, &states[3 * k + 2]), 1e-3);
        lag = std::max(lag, (double)std::fabs(p.x - q.x));
      }
    }
    a.erase(a.begin(), a.begin() + 10), b.erase(b.begin(), b.begin() + 10);
    std::printf("%g pixels a frame: jitter %.3f, smoothed %.3f, at most %.2f behind\n", speed, jitter(a), jitter(b),
                lag);
    if (speed == 0) EXPECT_LT(jitter(b), 0.7 * jitter(a));
    else EXPECT_LT(lag, speed);
  }
}

}  // namespace
}  // namespace tern::test
