// SPDX-License-Identifier: Apache-2.0
// Detection and pose (tern_vision) on real photographs against the models' official steps (golden/detect.json and
// pose.json, made by official_steps.py) and against boxes drawn by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "image.h"
#include "models/support.h"

namespace tern::test {
namespace {

constexpr double kSameBox = 0.95, kSameScore = 0.01, kHandBox = 0.6, kPixels = 3;

using Vision = std::unique_ptr<tern_vision, Release<tern_vision_release>>;

struct Photo {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;

  tern_picture picture(int rotation = 0) const {
    tern_picture p = TERN_PICTURE_INIT;
    p.format = TERN_PICTURE_RGB8;
    p.width = width, p.height = height, p.rotation = rotation;
    p.planes[0] = rgb.data();
    p.strides[0] = 3 * (int64_t)width;
    return p;
  }
};

std::string image_path(const std::string& name) { return cache_folder() + "/images/" + name; }

void read_photo(const std::string& name, Photo* out) {
  unsigned char* rgb = image_read(image_path(name).c_str(), &out->width, &out->height);
  ASSERT_TRUE(rgb) << image_error();
  out->rgb.assign(rgb, rgb + (size_t)out->width * (size_t)out->height * 3);
  free(rgb);
}

Photo cut(const Photo& from, int x0, int y0, int x1, int y1) {
  Photo to{x1 - x0, y1 - y0, {}};
  for (int y = y0; y < y1; ++y) {
    const uint8_t* row = from.rgb.data() + ((size_t)y * (size_t)from.width + (size_t)x0) * 3;
    to.rgb.insert(to.rgb.end(), row, row + 3 * (x1 - x0));
  }
  return to;
}

// A quarter clockwise.
Photo turn(const Photo& from) {
  Photo to{from.height, from.width, {}};
  for (int y = 0; y < to.height; ++y)
    for (int x = 0; x < to.width; ++x) {
      const uint8_t* p = from.rgb.data() + ((size_t)(from.height - 1 - x) * (size_t)from.width + (size_t)y) * 3;
      to.rgb.insert(to.rgb.end(), p, p + 3);
    }
  return to;
}

struct Box {
  double x0, y0, x1, y1;
};

double overlap(const Box& a, const Box& b) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (w <= 0 || h <= 0) return 0;
  return w * h / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - w * h);
}

Box box_of(const Json& j) {
  return {j.list.at(0).number, j.list.at(1).number, j.list.at(2).number, j.list.at(3).number};
}

template <typename T>
Box box_of(const T& found) {
  return {found.x0, found.y0, found.x1, found.y1};
}

// ---- Detection ----

class Detection : public testing::Test {
 protected:
  void SetUp() override {
    const std::string source = model_path("ssd_mobilenetv2_oidv4.tflite");
    if (!std::filesystem::exists(source)) TERN_SKIP("detection: " + source + " is not there (samples/fetch all)");
    std::string file;
    ASSERT_NO_FATAL_FAILURE(import_model(source, "", &file));
    ASSERT_NO_FATAL_FAILURE(load(file, 2, &context_, &model_));
    tern_vision* made = nullptr;
    tern_model* model = model_.get();
    ASSERT_OK(tern_vision_create(&model, 1, nullptr, &made));
    detector_.reset(made);
  }

  void detect(const Photo& photo, std::vector<tern_detection>* found) {
    const tern_picture picture = photo.picture();
    const tern_vision_result* result = nullptr;
    ASSERT_OK(tern_vision_run(detector_.get(), &picture, 1, nullptr, &result));
    ASSERT_LE(result->num_detections, 100);
    found->assign(result->detections, result->detections + result->num_detections);
  }
  std::string label(const tern_detection& d) const {
    const char* text = tern_vision_label(detector_.get(), d.label);
    return text ? text : "";
  }

  Context context_;
  Model model_;
  Vision detector_;
};

// A detection whose score is nearer to the threshold than the margin may be there or not.
TEST_F(Detection, EqualsTheOfficialSteps) {
  Json golden;
  ASSERT_TRUE(read_json(source_folder() + "/tests/models/golden/detect.json", &golden));
  const double sure = golden["threshold"].number + golden["margin"].number;
  int compared = 0;
  for (const Json& j : golden["pictures"].list) {
    SCOPED_TRACE(j["image"].text);
    if (!std::filesystem::exists(image_path(j["image"].text))) {
      std::printf("SKIPPED: %s is not there (samples/fetch all, tests/models/extract_frames)\n",
                  j["image"].text.c_str());
      continue;
    }
    Photo photo;
    ASSERT_NO_FATAL_FAILURE(read_photo(j["image"].text, &photo));
    ASSERT_EQ(photo.width, (int)j["width"].number);
    ASSERT_EQ(photo.height, (int)j["height"].number);
    std::vector<tern_detection> found;
    ASSERT_NO_FATAL_FAILURE(detect(photo, &found));
    std::vector<char> used(found.size());
    for (const Json& d : j["detections"].list) {
      size_t best = found.size();
      double most = 0;
      for (size_t i = 0; i < found.size(); ++i) {
        if (used[i] || label(found[i]) != d["label"].text) continue;
        const double common = overlap(box_of(found[i]), box_of(d["box"]));
        if (common > most) most = common, best = i;
      }
      if (best == found.size() || most < kSameBox) {
        EXPECT_LT(d["score"].number, sure)
            << d["label"].text << " " << d["score"].number << " is missing; nearest box has IoU " << most;
        continue;
      }
      used[best] = 1;
      EXPECT_NEAR(found[best].score, d["score"].number, kSameScore) << d["label"].text;
      EXPECT_EQ(found[best].label + 1, (int32_t)d["class"].number);  // theirs counts the background
      ++compared;
    }
    for (size_t i = 0; i < found.size(); ++i) {
      if (!used[i]) {
        EXPECT_LT(found[i].score, sure) << label(found[i]) << " " << found[i].score << " is too much";
      }
      EXPECT_GE(found[i ? i - 1 : 0].score, found[i].score);
    }
  }
  EXPECT_GT(compared, 0);
}

TEST_F(Detection, EqualsBoxesDrawnByHand) {
  Json hand;
  ASSERT_TRUE(read_json(source_folder() + "/tests/models/golden/hand_boxes.json", &hand));
  for (const Json& j : hand["pictures"].list) {
    SCOPED_TRACE(j["image"].text);
    if (!std::filesystem::exists(image_path(j["image"].text)))
      TERN_SKIP(j["image"].text + " is not there (samples/fetch all)");
    Photo photo;
    ASSERT_NO_FATAL_FAILURE(read_photo(j["image"].text, &photo));
    std::vector<tern_detection> found;
    ASSERT_NO_FATAL_FAILURE(detect(photo, &found));
    for (const Json& b : j["boxes"].list) {
      double most = 0;
      for (const tern_detection& d : found)
        if (label(d) == b["label"].text) most = std::max(most, overlap(box_of(d), box_of(b["box"])));
      EXPECT_GE(most, kHandBox) << b["label"].text;
    }
  }
}

// ---- Pose ----

class PoseOf : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (const std::string& name : {std::string("pose_detection.tflite"), landmarks()})
      if (!std::filesystem::exists(model_path(name)))
        TERN_SKIP("pose: " + model_path(name) + " is not there (samples/fetch all)");
    std::string file;
    ASSERT_NO_FATAL_FAILURE(import_model(model_path("pose_detection.tflite"), "", &file));
    ASSERT_NO_FATAL_FAILURE(load(file, 2, &context_, &models_[0]));
    ASSERT_NO_FATAL_FAILURE(import_model(model_path(landmarks()), "", &file));
    ASSERT_NO_FATAL_FAILURE(load(file, 2, &context_, &models_[1]));
    tern_vision* made = nullptr;
    tern_model* models[] = {models_[0].get(), models_[1].get()};
    ASSERT_OK(tern_vision_create(models, 2, nullptr, &made));
    pose_.reset(made);
  }
  std::string landmarks() const { return std::string("pose_landmark_") + GetParam() + ".tflite"; }

  void compare(const tern_picture& picture, const Json& people) {
    const tern_vision_result* result = nullptr;
    ASSERT_OK(tern_vision_run(pose_.get(), &picture, 1, nullptr, &result));
    ASSERT_EQ((size_t)result->num_detections, people.list.size());
    for (size_t i = 0; i < people.list.size(); ++i) {
      SCOPED_TRACE("person " + std::to_string(i));
      const Json& golden = people.list[i];
      const tern_detection& mine = result->detections[i];
      const tern_keypoint* points = result->keypoints + i * (size_t)result->num_keypoints;
      EXPECT_NEAR(mine.score, golden["presence"].number, kSameScore);
      EXPECT_GE(overlap(box_of(mine), box_of(golden["box"])), kSameBox);
      ASSERT_EQ((size_t)result->num_keypoints, golden["landmarks"].list.size());
      double worst = 0;
      for (int32_t k = 0; k < result->num_keypoints; ++k) {
        bool steady = true;
        for (const Json& u : golden["unsteady"].list) steady = steady && (int32_t)u.number != k;
        const Json& mark = golden["landmarks"].list[(size_t)k];
        const tern_keypoint& point = points[k];
        EXPECT_NEAR(point.z, mark.list.at(2).number, kPixels) << "depth of key point " << k;
        EXPECT_NEAR(point.visibility, mark.list.at(3).number, kSameScore) << "visibility of key point " << k;
        if (!steady) continue;
        const double d = std::hypot(point.x - mark.list.at(0).number, point.y - mark.list.at(1).number);
        EXPECT_LE(d, kPixels) << "key point " << k << " at " << point.x << ", " << point.y << " instead of "
                              << mark.list[0].number << ", " << mark.list[1].number;
        worst = std::max(worst, d);
      }
      std::printf("    person %zu: %.3f pixels at most\n", i, worst);
      ++compared_;
    }
  }

  Context context_;
  Model models_[2];
  Vision pose_;
  int compared_ = 0;
};

TEST_P(PoseOf, EqualsTheOfficialSteps) {
  Json golden;
  ASSERT_TRUE(read_json(source_folder() + "/tests/models/golden/pose.json", &golden));
  for (const Json& j : golden["pictures"].list) {
    if (j["model"].text != landmarks()) continue;
    const int turned = (int)j["turned_clockwise"].number;
    SCOPED_TRACE(j["image"].text + " turned by " + std::to_string(turned));
    if (!std::filesystem::exists(image_path(j["image"].text))) {
      std::printf("SKIPPED: %s is not there (samples/fetch all, tests/models/extract_frames)\n",
                  j["image"].text.c_str());
      continue;
    }
    std::printf("  %s turned by %d\n", j["image"].text.c_str(), turned);
    Photo whole;
    ASSERT_NO_FATAL_FAILURE(read_photo(j["image"].text, &whole));
    const std::vector<Json>& area = j["crop"].list;
    const Photo stored =
        cut(whole, (int)area.at(0).number, (int)area.at(1).number, (int)area.at(2).number, (int)area.at(3).number);
    Photo upright = stored;
    for (int t = 0; t < turned; t += 90) upright = turn(upright);
    ASSERT_EQ(upright.width, (int)j["width"].number);
    ASSERT_EQ(upright.height, (int)j["height"].number);
    ASSERT_NO_FATAL_FAILURE(compare(upright.picture(), j["people"]));
    // The same by the picture's own rotation.
    if (turned) {
      ASSERT_NO_FATAL_FAILURE(compare(stored.picture(turned), j["people"]));
    }
  }
  EXPECT_GT(compared_, 0);
}

INSTANTIATE_TEST_SUITE_P(Landmarks, PoseOf, testing::Values("lite", "full", "heavy"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tern::test
