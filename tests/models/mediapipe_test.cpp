// SPDX-License-Identifier: Apache-2.0
// Faces, face meshes, irises, hands, bodies, masks and classes in photographs against what the authors' own programs
// find in them (golden/mediapipe.json, made by mediapipe_goldens.py).
#include <gtest/gtest.h>

#include <cmath>

#include "models/photo.h"

namespace tern::test {
namespace {

// Key points: pixels for each 640 of the picture's longer side. OpenCV, which MediaPipe's CPU graphs sample pictures
// with, rounds positions to 1/32 of a pixel and colours to whole numbers; models amplify that.
constexpr double kSameBox = 0.98, kSameScore = 0.01, kPixels = 3;

double overlap(const tern_detection& a, const Json& b) {
  const double x0 = b.list[0].number, y0 = b.list[1].number, x1 = b.list[2].number, y1 = b.list[3].number;
  const double w = std::min<double>(a.x1, x1) - std::max<double>(a.x0, x0),
               h = std::min<double>(a.y1, y1) - std::max<double>(a.y0, y0);
  if (w <= 0 || h <= 0) return 0;
  return w * h / ((a.x1 - a.x0) * (a.y1 - a.y0) + (x1 - x0) * (y1 - y0) - w * h);
}

// The largest distance of key points of result i from those of the golden; infinite if they are not as many. Points
// that the model says are hidden are left out: it guesses them. So is one point of a body: where the peak of its heat
// map is near the threshold, the refinement takes place or not. Depths are coarse: a tenth of the thing's size is their
// unit.
double distance(const tern_vision_result& r, int32_t i, const Json& points) {
  if ((size_t)r.num_keypoints != points.list.size()) return HUGE_VAL;
  double x0 = HUGE_VAL, x1 = -HUGE_VAL, y0 = HUGE_VAL, y1 = -HUGE_VAL, depth = 0;
  std::vector<double> distances;
  for (size_t k = 0; k < points.list.size(); ++k) {
    const tern_keypoint& q = r.keypoints[(size_t)i * points.list.size() + k];
    const std::vector<Json>& p = points.list[k].list;
    x0 = std::min(x0, p[0].number), x1 = std::max(x1, p[0].number);
    y0 = std::min(y0, p[1].number), y1 = std::max(y1, p[1].number);
    if (q.visibility < 0.5f) continue;
    distances.push_back(std::hypot(q.x - p[0].number, q.y - p[1].number));
    if (p.size() > 2) depth = std::max(depth, std::fabs(q.z - p[2].number));
  }
  if (distances.empty()) return HUGE_VAL;
  std::sort(distances.begin(), distances.end());
  if (points.list.size() == 33 && distances.size() > 1) distances.pop_back();
  const double most = distances.back();
  return depth < 0.1 * std::max(x1 - x0, y1 - y0) || points.list[0].list.size() < 3 ? most : HUGE_VAL;
}

// The pixels that are not the same person's, cell by cell, against those that are.
void check_mask(const tern_vision_result& r, const std::vector<Json>& cells) {
  ASSERT_EQ(r.num_detections, 1);
  ASSERT_TRUE(r.masks);
  const tern_mask& m = r.masks[0];
  ASSERT_TRUE(m.x == 0 && m.y == 0 && m.width == r.width && m.height == r.height);
  double inside[32][32] = {}, all[32][32] = {}, other = 0, same = 0;
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x) {
      const int i = y * 32 / m.height, j = x * 32 / m.width;
      inside[i][j] += m.pixels[y * m.width + x] >= 128, ++all[i][j];
    }
  for (size_t i = 0; i < 32; ++i)
    for (size_t j = 0; j < 32; ++j) {
      const double golden = cells[i].list.at(j).number * all[i][j];
      other += std::fabs(golden - inside[i][j]), same += std::min(golden, inside[i][j]);
    }
  EXPECT_GT(same, 100);
  EXPECT_GE(same / (same + other), kSameBox);
}

void check_case(const Json& golden, int* compared) {
  Photo photo;
  for (const Json& part : golden["parts"].list) {
    Photo whole;
    ASSERT_NO_FATAL_FAILURE(read_photo(part["image"].text, &whole));
    if (const std::vector<Json>& c = part["crop"].list; !c.empty())
      whole = cut(whole, (int)c[0].number, (int)c[1].number, (int)c[2].number, (int)c[3].number);
    for (int turned = 0; turned < (int)part["turned_clockwise"].number; turned += 90) whole = turn(whole);
    photo = photo.width ? beside(photo, whole) : whole;
  }
  ASSERT_EQ(photo.width, (int)golden["width"].number);
  ASSERT_EQ(photo.height, (int)golden["height"].number);

  std::string settings;
  for (const Json& line : golden["settings"].list) settings += line.text + "\n";
  std::vector<Context> contexts;
  std::vector<Model> models;
  std::vector<tern_model*> pointers;
  for (const Json& name : golden["models"].list) {
    std::string file;
    ASSERT_NO_FATAL_FAILURE(import_model(model_path(name.text), "", &file, settings, golden["task"].text));
    ASSERT_NO_FATAL_FAILURE(load(file, 2, &contexts.emplace_back(), &models.emplace_back()));
    pointers.push_back(models.back().get());
  }
  tern_vision_options options = TERN_VISION_OPTIONS_INIT;
  const int frames = std::max(1, (int)golden["frames"].number);
  if (frames > 1) options.flags = TERN_VISION_FOLLOW;
  options.max_results = (int32_t)golden["max"].number;
  options.max_overlap = (float)golden["overlap"].number;
  tern_vision* made = nullptr;
  ASSERT_OK(tern_vision_create(pointers.data(), (int32_t)pointers.size(), &options, &made));
  const Vision vision(made);
  const tern_picture picture = photo.picture();
  const tern_vision_result* r = nullptr;
  for (int i = 0; i < frames; ++i) ASSERT_OK(tern_vision_run(made, &picture, 1, nullptr, &r));

  if (const std::vector<Json>& mask = golden["mask"].list; !mask.empty()) {
    ASSERT_EQ(mask.size(), 32u);
    ASSERT_NO_FATAL_FAILURE(check_mask(*r, mask));
    ++*compared;
    return;
  }
  const std::vector<Json>& things = golden["things"].list;
  ASSERT_EQ(r->num_detections, (int32_t)things.size());
  const double pixels = kPixels * std::max(1.0, std::max(photo.width, photo.height) / 640.0);
  const bool classes = tern_vision_get_kind(made) == TERN_VISION_CLASSIFIER;
  for (const Json& thing : things) {
    int32_t best = -1;
    double nearest = HUGE_VAL;
    for (int32_t i = 0; i < r->num_detections; ++i) {
      const char* label = tern_vision_label(made, r->detections[i].label);
      if (classes && thing["label"].text != label) continue;
      const double d = classes ? 0 : distance(*r, i, thing["points"]);
      if (d < nearest) nearest = d, best = i;
    }
    ASSERT_GE(best, 0);
    const tern_detection& d = r->detections[best];
    EXPECT_LE(nearest, pixels);
    if (!thing["label"].text.empty()) EXPECT_EQ(thing["label"].text, tern_vision_label(made, d.label));
    if (!thing["box"].list.empty()) EXPECT_GE(overlap(d, thing["box"]), kSameBox);
    if (!thing["box"].list.empty() || classes) EXPECT_NEAR(d.score, thing["score"].number, kSameScore);
    ++*compared;
  }
}

TEST(MediaPipe, FindsTheSame) {
  Json golden;
  ASSERT_TRUE(read_json(source_folder() + "/tests/models/golden/mediapipe.json", &golden));
  int compared = 0, cases = 0;
  for (const Json& c : golden.list) {
    std::string names, missing;
    for (const Json& m : c["models"].list) {
      names += (names.empty() ? "" : " + ") + m.text;
      if (!std::filesystem::exists(model_path(m.text))) missing = model_path(m.text);
    }
    for (const Json& p : c["parts"].list) {
      names += " " + p["image"].text + " " + std::to_string((int)p["turned_clockwise"].number);
      if (!std::filesystem::exists(image_path(p["image"].text))) missing = image_path(p["image"].text);
    }
    if (c["frames"].number > 1) names += ", second frame";
    SCOPED_TRACE(names);
    if (!missing.empty()) {
      std::printf("SKIPPED: %s: %s is not there (samples/fetch all)\n", names.c_str(), missing.c_str());
      continue;
    }
    ASSERT_NO_FATAL_FAILURE(check_case(c, &compared));
    ++cases;
  }
  if (!cases) TERN_SKIP("no model was fetched (samples/fetch all)");
  EXPECT_GT(compared, cases / 2);
  std::printf("%d cases, %d things compared\n", cases, compared);
}

}  // namespace
}  // namespace tern::test
