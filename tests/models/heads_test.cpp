// SPDX-License-Identifier: Apache-2.0
// Detectors as their exporters write them, imported without any option: boxes, scores, classes, turned boxes, key
// points and masks against heads.json (heads/make_heads.py) and tflite_heads.json (heads/make_tflite_heads.py). Then
// what contradicts itself, and outputs that nobody should give.
#include <gtest/gtest.h>

#include <cmath>

#include "models/support.h"

namespace tern::test {
namespace {

constexpr double kSameScore = 1e-3, kSameMask = 0.98, kPixels = 0.1;

using Vision = std::unique_ptr<tern_vision, Release<tern_vision_release>>;

std::string heads_folder() { return source_folder() + "/tests/models/heads/"; }

// The picture that make_heads.py has in mind.
struct Pattern {
  int width, height;
  std::vector<uint8_t> rgb;
  Pattern(int w, int h) : width(w), height(h), rgb((size_t)w * (size_t)h * 3) {
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x) {
        const int noise = (x * 7 + y * 13 + x * y % 11 * 5) % 50;
        uint8_t* p = &rgb[((size_t)y * (size_t)w + (size_t)x) * 3];
        p[0] = (uint8_t)(200 + noise), p[1] = (uint8_t)(90 + noise), p[2] = (uint8_t)(10 + noise);
      }
  }
  tern_picture view() const {
    tern_picture p = TERN_PICTURE_INIT;
    p.format = TERN_PICTURE_RGB8;
    p.width = width, p.height = height;
    p.planes[0] = rgb.data();
    p.strides[0] = 3 * (int64_t)width;
    return p;
  }
};

// A model in the temporary folder, imported with no option but those given.
tern_status import_head(const std::string& source, const char* settings, std::string* file) {
  static int count = 0;
  const char* folder = std::getenv("TMPDIR");
  *file = std::string(folder ? folder : "/tmp") + "/tern-heads-" + std::to_string(getpid()) + "-" +
          std::to_string(count++) + ".tern";
  tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
  options.settings = settings;
  return tern_import_file(source.c_str(), file->c_str(), settings ? &options : nullptr);
}

struct Head {
  Context context;
  Model model;
  Vision vision;
  std::string file;
  ~Head() {
    vision.reset(), model.reset();
    if (!file.empty()) std::remove(file.c_str());
  }
  void open(const std::string& source, const char* settings = nullptr, const tern_vision_options* options = nullptr) {
    ASSERT_EQ(import_head(source, settings, &file), TERN_OK) << tern_import_error();
    ASSERT_NO_FATAL_FAILURE(load(file, 1, &context, &model));
    tern_model* models[] = {model.get()};
    tern_vision* made = nullptr;
    ASSERT_OK(tern_vision_create(models, 1, options, &made));
    vision.reset(made);
  }
  void run(const Pattern& pattern, const tern_vision_result** result) const {
    const tern_picture p = pattern.view();
    ASSERT_OK(tern_vision_run(vision.get(), &p, 1, nullptr, result));
  }
};

void compare_mask(const Json& runs, const tern_mask& mask, int width, int height) {
  std::vector<char> want;
  for (size_t i = 0; i < runs.list.size(); ++i) want.insert(want.end(), (size_t)runs.list[i].number, (char)(i % 2));
  ASSERT_EQ(want.size(), (size_t)width * (size_t)height);
  std::vector<char> got(want.size());
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x)
      got[(size_t)(mask.y + y) * (size_t)width + (size_t)(mask.x + x)] = mask.pixels[y * mask.width + x] >= 128;
  size_t both = 0, either = 0;
  for (size_t i = 0; i < want.size(); ++i) both += want[i] && got[i], either += want[i] || got[i];
  EXPECT_GE((double)both, kSameMask * (double)either) << both << " of " << either << " pixels";
}

// Points stand in any dim of lists; all are x, y, visibility.
std::vector<double> flat(const Json& j) {
  if (j.kind == Json::Kind::number) return {j.number};
  std::vector<double> all;
  for (const Json& k : j.list)
    for (const double v : flat(k)) all.push_back(v);
  return all;
}

class Heads : public testing::TestWithParam<Json> {};

TEST_P(Heads, GivesWhatItsExporterFinds) {
  const Json& want = GetParam();
  const Pattern pattern((int)want["width"].number, (int)want["height"].number);
  const char* const ending = want["tflite"].number != 0 ? ".tflite" : ".onnx";
  Head head;
  ASSERT_NO_FATAL_FAILURE(head.open(heads_folder() + want["name"].text + ending));
  const char* recipe = tern_model_find_metadata(head.model.get(), "task.recipe");
  ASSERT_TRUE(recipe);
  EXPECT_EQ(std::string(recipe), want["recipe"].text);
  const tern_vision_result* r = nullptr;
  for (int again = 0; again < 2; ++again) ASSERT_NO_FATAL_FAILURE(head.run(pattern, &r));
  EXPECT_EQ(tern_vision_get_kind(head.vision.get()),
            want["kind"].text == "classifier" ? TERN_VISION_CLASSIFIER : TERN_VISION_DETECTOR);
  for (size_t i = 0; i < want["labels"].list.size(); ++i)
    EXPECT_STREQ(tern_vision_label(head.vision.get(), (int32_t)i), want["labels"].list[i].text.c_str());
  ASSERT_EQ((size_t)r->num_detections, want["scores"].list.size());
  EXPECT_EQ(r->corners != nullptr, !want["corners"].list.empty());
  EXPECT_EQ(r->keypoints != nullptr, !want["points"].list.empty());
  EXPECT_EQ(r->masks != nullptr, !want["masks"].list.empty());
  for (int32_t i = 0; i < r->num_detections; ++i) {
    SCOPED_TRACE("result " + std::to_string(i));
    const size_t k = (size_t)i;
    const tern_detection& d = r->detections[i];
    const std::vector<double> b = flat(want["boxes"].list[k]);
    const double got[] = {d.x0, d.y0, d.x1, d.y1};
    for (size_t j = 0; j < 4; ++j) EXPECT_NEAR(got[j], b[j], kPixels) << "edge " << j;
    EXPECT_NEAR(d.score, want["scores"].list[k].number, kSameScore);
    EXPECT_EQ(d.label, (int32_t)want["classes"].list[k].number);
    if (r->corners) {
      const std::vector<double> c = flat(want["corners"].list[k]);
      for (size_t j = 0; j < 8; ++j) EXPECT_NEAR(r->corners[8 * k + j], c[j], kPixels) << "corner " << j / 2;
    }
    if (r->keypoints) {
      const std::vector<double> p = flat(want["points"].list[k]);
      ASSERT_EQ((size_t)r->num_keypoints * 3, p.size());
      for (size_t j = 0; j < p.size() / 3; ++j) {
        const tern_keypoint& got = r->keypoints[k * (size_t)r->num_keypoints + j];
        EXPECT_NEAR(got.x, p[3 * j], kPixels) << "point " << j;
        EXPECT_NEAR(got.y, p[3 * j + 1], kPixels) << "point " << j;
        EXPECT_NEAR(got.visibility, p[3 * j + 2], kSameScore) << "point " << j;
      }
    }
    if (r->masks) compare_mask(want["masks"].list[k], r->masks[i], r->width, r->height);
  }
}

std::vector<Json> cases() {
  std::vector<Json> all;
  for (const char* name : {"heads.json", "tflite_heads.json"}) {
    std::string text;
    if (FILE* f = std::fopen((heads_folder() + name).c_str(), "rb")) {
      char block[1 << 14];
      for (size_t got; (got = std::fread(block, 1, sizeof block, f)) > 0;) text.append(block, got);
      std::fclose(f);
    }
    JsonReader reader{text.data(), text.data() + text.size()};
    for (Json& c : reader.value().list) all.push_back(std::move(c));
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, Heads, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param["name"].text; });

TEST(HeadCases, AreThere) { EXPECT_GE(cases().size(), 40u); }

// ---- what contradicts itself ----

struct Wrong {
  const char *source, *settings, *says;
};

// Fails, at the latest when the task is made or run, and says what is wrong.
TEST(WrongHeads, AreRefusedWithWords) {
  const Wrong wrong[] = {
      {"yolo8_detect", "labels=one\\ntwo", "labels"},
      {"yolo8_detect", "output.boxes=nothing[0:4]", "nothing"},
      {"yolo8_detect", "output.boxes=output0[0:5]", "output.boxes"},
      {"yolo8_detect", "output.scores=output0[4:900]", "output.scores"},
      {"yolo8_detect", "output.boxes=", "output.boxes"},
      {"yolo8_detect", "result.score=1.5", "result.score"},
      {"yolo8_detect", "result.score=nan", "result.score"},
      {"yolo8_detect", "result.overlap=-0.1", "result.overlap"},
      {"yolo8_detect", "result.max=0", "result.max"},
      {"yolo8_detect", "nms=maybe", "maybe"},
      {"yolo8_detect", "boxes.unit=anchors", "anchors"},
      {"yolo8_detect", "boxes.divisors=1,1,0,1", "boxes.divisors"},
      {"yolo8_detect", "boxes.bins=8", "output.boxes"},
      {"yolo8_detect", "rows.order=rows_first", ""},
      {"yolo8_detect", "labels.first=3", "labels.first"},
      {"yolo8_detect", "resultscore=0.5", "result.score"},
      {"yolo8_pose", "points.values=3", "output.points"},
      {"yolo8_pose", "keypoints.skeleton=0,9", "skeleton"},
      {"yolo8_segment", "output.prototypes=output0", "output.prototypes"},
      {"yolo8_segment", "output.coefficients=output0[7:12]", "coefficients"},
      {"yolox", "anchors=/8: 8x8\\n/16: 16x16", "anchors"},
      {"yolox", "anchors=/8: 8x8\\n/16: 16x16\\n/32: 32x32 1x1", "anchors"},
      {"yolox", "anchors=8: 8", "anchors"},
      {"centernet", "output.sizes=hm", ""},
      {"centernet", "output.offsets=", ""},
      {"nanodet", "boxes.bins=7", "output.boxes"},
      {"detr", "labels.after=8", "output.scores"},
      {"yolo_classify", "labels.first=5", "output.scores"},
      {"yolo_classify", "labels=a", "labels"},
  };
  const Pattern pattern(120, 90);
  for (const Wrong& w : wrong) {
    SCOPED_TRACE(std::string(w.source) + " with " + w.settings);
    std::string file, words;
    tern_status s = import_head(heads_folder() + w.source + ".onnx", w.settings, &file);
    if (s != TERN_OK) {
      words = tern_import_error();
    } else {
      Context context;
      Model model;
      ASSERT_NO_FATAL_FAILURE(load(file, 1, &context, &model));
      tern_model* models[] = {model.get()};
      tern_vision* made = nullptr;
      s = tern_vision_create(models, 1, nullptr, &made);
      const Vision vision(made);
      if (s == TERN_OK) {
        const tern_picture p = pattern.view();
        const tern_vision_result* r = nullptr;
        s = tern_vision_run(made, &p, 1, nullptr, &r);
      }
      words = tern_last_error_message();
    }
    std::remove(file.c_str());
    if (!*w.says) {  // a mistake that nobody can see: it must only do no harm
      continue;
    }
    EXPECT_NE(s, TERN_OK);
    EXPECT_NE(words.find(w.says), std::string::npos) << words;
  }
}

// Numbers that no network should give: rows with one of them are left out, the others stay.
TEST(OddNumbers, AreNoBoxes) {
  Head head;
  ASSERT_NO_FATAL_FAILURE(head.open(heads_folder() + "odd_numbers.onnx"));
  const tern_vision_result* r = nullptr;
  ASSERT_NO_FATAL_FAILURE(head.run(Pattern(96, 64), &r));
  ASSERT_EQ(r->num_detections, 2);
  for (int i = 0; i < 2; ++i) {
    const tern_detection& d = r->detections[i];
    EXPECT_NEAR(d.score, i == 0 ? 1 : 0.5, 1e-6);  // what is above 1 counts as 1
    EXPECT_NEAR(d.x1 - d.x0, 20, 1e-3);
    EXPECT_EQ(d.label, i);
  }
}

TEST(OddNumbers, NothingAtAll) {
  tern_vision_options options = TERN_VISION_OPTIONS_INIT;
  options.min_score = 1;
  for (const char* name : {"yolo8_segment", "yolo8_pose", "yolo8_obb", "torchvision_masks", "detr", "nanodet"}) {
    SCOPED_TRACE(name);
    Head head;
    ASSERT_NO_FATAL_FAILURE(head.open(heads_folder() + name + ".onnx", nullptr, &options));
    const tern_vision_result* r = nullptr;
    ASSERT_NO_FATAL_FAILURE(head.run(Pattern(120, 90), &r));
    EXPECT_EQ(r->num_detections, 0);
    EXPECT_FALSE(r->detections || r->masks || r->keypoints || r->corners);
  }
}

// A threshold of scores at its ends, where the network gives logits.
TEST(OddNumbers, LogitsAtTheEnds) {
  for (const char* name : {"centernet_logits", "rtdetr_logits"}) {
    SCOPED_TRACE(name);
    int32_t counts[3];
    for (int i = 0; i < 3; ++i) {
      const char* settings[] = {"score=0\nmax=100000", "score=0.001\nmax=100000", "score=1\nmax=100000"};
      Head head;
      ASSERT_NO_FATAL_FAILURE(head.open(heads_folder() + name + ".onnx", settings[i]));
      const tern_vision_result* r = nullptr;
      ASSERT_NO_FATAL_FAILURE(head.run(Pattern(120, 90), &r));
      counts[i] = r->num_detections;
    }
    EXPECT_GE(counts[0], counts[1]);
    EXPECT_GT(counts[1], 0);
    EXPECT_EQ(counts[2], 0);
  }
}

// The levels of a grid together have a limit too.
TEST(OddNumbers, TooManyAnchors) {
  std::string levels = "boxes.unit=anchors\nanchors=/1: 1x1";
  for (int i = 0; i < 1000; ++i) levels += "\\n/1: 1x1";
  Head head;
  ASSERT_NO_FATAL_FAILURE(head.open(heads_folder() + "yolo8_plain.onnx", levels.c_str()));
  const Pattern pattern(120, 90);
  const tern_picture p = pattern.view();
  const tern_vision_result* r = nullptr;
  EXPECT_EQ(tern_vision_run(head.vision.get(), &p, 1, nullptr, &r), TERN_ERR_LIMIT) << tern_last_error_message();
}

// A hundred thousand boxes: all of them if wanted, the best of them, or those that do not overlap.
TEST(OddNumbers, VeryMany) {
  const struct {
    const char* settings;
    int32_t count;
  } kCases[] = {{"result.max=200000", 100000}, {nullptr, 300}, {"nms=hard\nresult.max=200000", 3}, {"nms=fast", 3}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.settings ? c.settings : "no setting");
    Head head;
    ASSERT_NO_FATAL_FAILURE(head.open(heads_folder() + "very_many.onnx", c.settings));
    const tern_vision_result* r = nullptr;
    ASSERT_NO_FATAL_FAILURE(head.run(Pattern(96, 64), &r));
    EXPECT_EQ(r->num_detections, c.count);
    for (int32_t i = 1; i < r->num_detections; ++i)
      if (r->detections[i - 1].score < r->detections[i].score) {
        ADD_FAILURE() << "not the best first";
        break;
      }
  }
}

}  // namespace
}  // namespace tern::test
