// SPDX-License-Identifier: Apache-2.0
// Reading text: PP-OCR against RapidOCR (golden/text, made by text_goldens.py), and small models that read colours
// (text_small.py), which need no fetched ones.
#include <gtest/gtest.h>

#include <cmath>

#include "image.h"
#include "models/support.h"

namespace tern::test {
namespace {

using Vision = std::unique_ptr<tern_vision, Release<tern_vision_release>>;

std::string text_file(const std::string& name) { return source_folder() + "/tests/models/golden/text/" + name; }

struct Photo {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;

  Photo(int w, int h, unsigned colour = 0) : width(w), height(h), rgb(3 * (size_t)w * (size_t)h) {
    fill(0, 0, w, h, colour);
  }
  explicit Photo(const std::string& path) {
    unsigned char* p = image_read(path.c_str(), &width, &height);
    EXPECT_TRUE(p) << image_error();
    if (p) rgb.assign(p, p + 3 * (size_t)width * (size_t)height);
    free(p);
  }
  void put(int x, int y, unsigned colour) {
    uint8_t* p = rgb.data() + 3 * ((size_t)y * (size_t)width + (size_t)x);
    p[0] = (uint8_t)(colour >> 16), p[1] = (uint8_t)(colour >> 8), p[2] = (uint8_t)colour;
  }
  void fill(int x0, int y0, int w, int h, unsigned colour) {
    for (int y = y0; y < y0 + h; ++y)
      for (int x = x0; x < x0 + w; ++x) put(x, y, colour);
  }
  // A line of letters, each a field of its colour: w = white, r, g, b = the characters, y = space. Along (dx, dy) from
  // its own upper left corner.
  void write(int x, int y, const char* colours, int field, int height_of_line, int dx = 1, int dy = 0) {
    for (int i = 0; colours[i]; ++i) {
      const char c = colours[i];
      const unsigned colour = c == 'w'   ? 0xFFFFFF
                              : c == 'r' ? 0xFF0000
                              : c == 'g' ? 0x00FF00
                              : c == 'b' ? 0x0000FF
                                         : 0xFFFF00;
      for (int u = i * field; u < (i + 1) * field; ++u)
        for (int v = 0; v < height_of_line; ++v) {
          // A pixel covers [x, x+1]: the ones left of or above a corner come before it.
          const int px = x + u * dx - v * dy, py = y + u * dy + v * dx;
          put(px - (dx < 0 || dy > 0 ? 1 : 0), py - (dx < 0 || dy < 0 ? 1 : 0), colour);
        }
    }
  }
  tern_picture picture(int rotation = 0) const {
    tern_picture p = TERN_PICTURE_INIT;
    p.format = TERN_PICTURE_RGB8;
    p.width = width, p.height = height, p.rotation = rotation;
    p.planes[0] = rgb.data();
    p.strides[0] = 3 * (int64_t)width;
    return p;
  }
};

struct Line {
  std::string text;
  float score;
  tern_detection box;
  std::vector<float> corners;
};

std::vector<Line> lines_of(const tern_vision_result& r) {
  std::vector<Line> list;
  EXPECT_EQ(r.num_detections > 0, r.detections && r.corners);
  for (int32_t i = 0; i < r.num_detections; ++i)
    list.push_back({r.texts ? r.texts[i] : "",
                    r.detections[i].score,
                    r.detections[i],
                    {r.corners + 8 * i, r.corners + 8 * i + 8}});
  return list;
}

std::vector<std::string> texts_of(const std::vector<Line>& lines) {
  std::vector<std::string> list;
  for (const Line& l : lines) list.push_back(l.text);
  return list;
}

class Reading : public ::testing::Test {
 protected:
  // A model of golden/text or of the fetched ones; settings are keys of its metadata that change.
  void add(const std::string& source, const char* labels = nullptr, const char* settings = nullptr) {
    std::string file = ::testing::TempDir() + "text-" + std::to_string(getpid()) + ".tern";
    tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
    options.labels = labels, options.settings = settings;
    ASSERT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_OK) << tern_import_error();
    add_file(file);
  }
  void add_file(const std::string& file) {
    models_.emplace_back();
    load(file, threads_, &context_, &models_.back());
    std::remove(file.c_str());
  }
  void add_small(const char* which) {
    if (std::strchr(which, 'd')) add(text_file("bright.onnx"), nullptr, "input.least=0\ntext.unclip=0");
    if (std::strchr(which, 'r')) add(text_file("colours.onnx"), "A\nB\n\xe4\xb8\xad");
    if (std::strchr(which, 'c')) add(text_file("halves.onnx"));
  }
  tern_status make(const tern_vision_options* options = nullptr) {
    std::vector<tern_model*> list;
    for (const Model& m : models_) list.push_back(m.get());
    tern_vision* made = nullptr;
    const tern_status s = tern_vision_create(list.data(), (int32_t)list.size(), options, &made);
    vision_.reset(made);
    return s;
  }
  std::vector<Line> read(const tern_picture& picture) {
    const tern_vision_result* result = nullptr;
    const tern_status s = tern_vision_run(vision_.get(), &picture, 1, nullptr, &result);
    EXPECT_EQ(s, TERN_OK) << tern_last_error_message();
    return s == TERN_OK ? lines_of(*result) : std::vector<Line>();
  }
  std::vector<Line> read(const Photo& photo) { return read(photo.picture()); }

  int threads_ = 2;
  Context context_;
  std::vector<Model> models_;
  Vision vision_;
};

using Texts = std::vector<std::string>;

// ---- small models ----

TEST_F(Reading, ALineOfItsOwn) {
  add_small("r");
  ASSERT_OK(make());
  EXPECT_EQ(tern_vision_get_kind(vision_.get()), TERN_VISION_READER);
  Photo photo(160, 24);
  photo.write(0, 0, "rrwrgybbgg", 16, 24);
  const std::vector<Line> lines = read(photo);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].text,
            "AAB \xe4\xb8\xad"
            "B");  // what repeats is one letter, unless a blank is between
  EXPECT_GT(lines[0].score, 0.9f);
  EXPECT_EQ(lines[0].corners, (std::vector<float>{0, 0, 160, 0, 160, 24, 0, 24}));
  EXPECT_TRUE(read(Photo(160, 24, 0xFFFFFF)).empty());  // blanks alone
  EXPECT_EQ(tern_vision_label(vision_.get(), 0), nullptr);
}

TEST_F(Reading, WhatIsRightOfAShortLineSaysNothing) {
  add_small("r");
  ASSERT_OK(make());
  for (const int fields : {1, 3, 7, 14, 40}) {  // up to six times the least width
    Photo photo(fields * 48, 48);
    std::string colours, text;
    for (int i = 0; i < fields; ++i) colours += "rg"[i % 2], text += "AB"[i % 2];
    photo.write(0, 0, colours.c_str(), 48, 48);
    EXPECT_EQ(texts_of(read(photo)), Texts{text});
  }
}

// The text's own upper left corner comes first, however it lies.
TEST_F(Reading, DirectionsAndCorners) {
  add_small("crd");
  ASSERT_OK(make());
  Photo photo(400, 300);
  photo.write(20, 20, "wwrwgrrr", 16, 32);           // upright: its left half is the brighter one
  photo.write(380, 280, "wwgwrggg", 16, 32, -1, 0);  // upside down
  photo.write(60, 100, "wwrwbrrr", 16, 32, 0, 1);    // down
  photo.write(300, 230, "wwbwrbbb", 16, 32, 0, -1);  // up
  const std::vector<Line> lines = read(photo);
  ASSERT_EQ(texts_of(lines), (Texts{"ABA",
                                    "A\xe4\xb8\xad"
                                    "A",
                                    "\xe4\xb8\xad"
                                    "A\xe4\xb8\xad",
                                    "BAB"}));
  const float corners[4][8] = {{20, 20, 148, 20, 148, 52, 20, 52},
                               {60, 100, 60, 228, 28, 228, 28, 100},
                               {300, 230, 300, 102, 332, 102, 332, 230},
                               {380, 280, 252, 280, 252, 248, 380, 248}};
  for (size_t i = 0; i < 4; ++i) {
    for (size_t k = 0; k < 8; ++k) EXPECT_NEAR(lines[i].corners[k], corners[i][k], 1.5) << i << " " << k;
    const tern_detection& b = lines[i].box;
    for (size_t k = 0; k < 8; k += 2) {
      EXPECT_TRUE(lines[i].corners[k] >= b.x0 && lines[i].corners[k] <= b.x1);
      EXPECT_TRUE(lines[i].corners[k + 1] >= b.y0 && lines[i].corners[k + 1] <= b.y1);
    }
  }
}

// Without a direction nothing is upside down; a line that runs up is read from below all the same.
TEST_F(Reading, WithoutADirection) {
  add_small("rd");
  ASSERT_OK(make());
  Photo photo(200, 300);
  photo.write(180, 60, "wwgwrggg", 16, 32, -1, 0);
  EXPECT_EQ(texts_of(read(photo)), Texts{"BAB"});
  Photo two(200, 300);
  two.write(180, 60, "rrgggwwb", 16, 32, -1, 0);
  EXPECT_EQ(texts_of(read(two)), Texts{"\xe4\xb8\xad"
                                       "BA"});
}

TEST_F(Reading, RowsFromTheTopEachFromTheLeft) {
  add_small("dr");
  ASSERT_OK(make());
  Photo photo(640, 200);
  photo.write(420, 20, "rg", 40, 24);
  photo.write(220, 24, "gr", 40, 24);
  photo.write(20, 17, "br", 40, 24);
  photo.write(300, 90, "rb", 40, 24);
  photo.write(40, 140, "gb", 40, 24);
  EXPECT_EQ(texts_of(read(photo)), (Texts{"\xe4\xb8\xad"
                                          "A",
                                          "BA", "AB", "A\xe4\xb8\xad", "B\xe4\xb8\xad"}));
}

// A page that is upside down is read from its own top, and so is one that lies on its side.
TEST_F(Reading, RowsOfATurnedPage) {
  add_small("drc");
  ASSERT_OK(make());
  Photo down(640, 200);
  down.write(300, 180, "wwgwrggg", 16, 32, -1, 0);
  down.write(620, 176, "wwrwgrrr", 16, 32, -1, 0);
  down.write(620, 80, "wwbwrbbb", 16, 32, -1, 0);
  down.write(100, 10, "wwgwbggg", 16, 32);
  EXPECT_EQ(texts_of(read(down)), (Texts{"ABA", "BAB",
                                         "\xe4\xb8\xad"
                                         "A\xe4\xb8\xad",
                                         "B\xe4\xb8\xad"
                                         "B"}));
  Photo side(200, 400);
  side.write(190, 20, "wwrwgrrr", 16, 32, 0, 1);
  side.write(187, 200, "wwgwrggg", 16, 32, 0, 1);
  side.write(80, 40, "wwbwrbbb", 16, 32, 0, 1);
  EXPECT_EQ(texts_of(read(side)), (Texts{"ABA", "BAB",
                                         "\xe4\xb8\xad"
                                         "A\xe4\xb8\xad"}));
}

// Many lines of one width go through the recogniser at once, with the same bits.
TEST_F(Reading, ManyLinesAtOnce) {
  add_small("dr");
  ASSERT_OK(make());
  const char* kWords[] = {"rg", "gb", "br", "rgb", "bgr", "gbg", "rbr", "brb", "grg", "gr", "bg", "rb", "rgr"};
  Photo all(300, 13 * 60);
  std::vector<Line> alone;
  for (int i = 0; i < 13; ++i) {
    all.write(20, 20 + 60 * i, kWords[i], 40, 24);
    Photo one(300, 13 * 60);
    one.write(20, 20 + 60 * i, kWords[i], 40, 24);
    for (const Line& l : read(one)) alone.push_back(l);
  }
  const std::vector<Line> together = read(all);
  ASSERT_EQ(together.size(), 13u);
  ASSERT_EQ(alone.size(), 13u);
  for (size_t i = 0; i < 13; ++i) {
    EXPECT_EQ(together[i].text, alone[i].text);
    EXPECT_EQ(together[i].score, alone[i].score);
    EXPECT_EQ(together[i].corners, alone[i].corners);
  }
}

TEST_F(Reading, RotatedPictures) {
  add_small("rd");
  ASSERT_OK(make());
  Photo photo(300, 200);
  photo.write(20, 20, "rgb", 40, 32);
  const std::vector<Line> upright = read(photo);
  ASSERT_EQ(texts_of(upright), Texts{"AB\xe4\xb8\xad"});
  // Stored a quarter clockwise: the picture says that three more make it upright.
  Photo stored(200, 300);
  for (int y = 0; y < 200; ++y)
    for (int x = 0; x < 300; ++x) {
      const uint8_t* p = photo.rgb.data() + 3 * (size_t)(y * 300 + x);
      stored.put(199 - y, x, (unsigned)(p[0] << 16 | p[1] << 8 | p[2]));
    }
  const std::vector<Line> turned = read(stored.picture(270));
  ASSERT_EQ(texts_of(turned), texts_of(upright));
  EXPECT_EQ(turned[0].corners, upright[0].corners);
}

TEST_F(Reading, OptionsOfTheCaller) {
  add_small("dr");
  tern_vision_options options = TERN_VISION_OPTIONS_INIT;
  Photo photo(400, 300);
  for (int i = 0; i < 4; ++i) photo.write(20, 20 + 60 * i, i == 2 ? "yr" : "rg", 40, 24);
  photo.fill(60, 140, 40, 24, 0xFF7C00);  // red, nearly yellow
  options.max_results = 3;
  ASSERT_OK(make(&options));
  EXPECT_EQ(texts_of(read(photo)), (Texts{"AB", "AB", "AB"}));
  options.max_results = 0, options.min_score = 1;
  ASSERT_OK(make(&options));
  EXPECT_LT(read(photo).size(), 4u);
  options.min_score = 0, options.flags = TERN_VISION_FOLLOW;
  EXPECT_EQ(make(&options), TERN_ERR_UNSUPPORTED);
}

// A recogniser whose metadata say nothing of widths, and one with a character that is none.
TEST_F(Reading, SparseMetadata) {
  add(text_file("colours.onnx"), "A\nB\n\xe4\xb8\xad", "input.multiple=");
  ASSERT_OK(make());
  Photo photo(200, 48);
  photo.write(4, 8, "rgb", 40, 32);
  EXPECT_EQ(read(photo).size(), 1u);
  models_.clear();
  add(text_file("colours.onnx"), ("A\nB\n" + std::string(65, 'x')).c_str());
  EXPECT_EQ(make(), TERN_ERR_CORRUPT);
}

TEST_F(Reading, ADetectorAloneGivesBoxes) {
  add_small("d");
  ASSERT_OK(make());
  EXPECT_EQ(tern_vision_get_kind(vision_.get()), TERN_VISION_DETECTOR);
  EXPECT_STREQ(tern_vision_label(vision_.get(), 0), "text");
  Photo photo(300, 200);
  photo.write(20, 20, "rgb", 40, 32);
  const std::vector<Line> lines = read(photo);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NEAR(lines[0].box.x1, 140, 1.5);
}

// A slanted line: the least rectangle around it, grown by area / perimeter * 1.6.
TEST_F(Reading, SlantedLinesAndGrowing) {
  add(text_file("bright.onnx"), nullptr, "input.least=0");
  ASSERT_OK(make());
  Photo photo(416, 416);
  const double angle = 0.5, c = std::cos(angle), s = std::sin(angle), w = 100, h = 20;  // halves of the sides
  for (int y = 0; y < 416; ++y)
    for (int x = 0; x < 416; ++x) {
      const double u = (x + 0.5 - 208) * c + (y + 0.5 - 208) * s, v = (y + 0.5 - 208) * c - (x + 0.5 - 208) * s;
      if (std::fabs(u) < w && std::fabs(v) < h) photo.put(x, y, 0xFFFFFF);
    }
  const std::vector<Line> lines = read(photo);
  ASSERT_EQ(lines.size(), 1u);
  const double grow = 4 * w * h * 1.6 / (4 * (w + h)), gw = w + grow, gh = h + grow;
  const double expected[8] = {-gw * c + gh * s, -gw * s - gh * c, gw * c + gh * s,  gw * s - gh * c,
                              gw * c - gh * s,  gw * s + gh * c,  -gw * c - gh * s, -gw * s + gh * c};
  for (size_t k = 0; k < 8; ++k) EXPECT_NEAR(lines[0].corners[k], 208 + expected[k], 2) << k;
}

TEST_F(Reading, PicturesWithoutText) {
  add_small("drc");
  ASSERT_OK(make());
  EXPECT_TRUE(read(Photo(1, 1)).empty());
  EXPECT_TRUE(read(Photo(65536, 1)).empty());
  EXPECT_TRUE(read(Photo(1, 65536)).empty());
  EXPECT_TRUE(read(Photo(320, 240)).empty());
  // All of it bright, or every second pixel.
  (void)read(Photo(1, 1, 0xFFFFFF));
  (void)read(Photo(65536, 1, 0xFFFFFF));
  (void)read(Photo(1, 65536, 0xFFFFFF));
  Photo grid(1000, 600);
  for (int y = 0; y < 600; y += 4)
    for (int x = 0; x < 1000; x += 4) grid.put(x, y, 0xFF0000);
  EXPECT_TRUE(read(grid).empty());
}

TEST_F(Reading, LinesOfAnyShape) {
  add_small("r");
  ASSERT_OK(make());
  for (const auto& [w, h] : {std::pair{1, 1}, {65536, 1}, {1, 65536}, {8192, 2}}) {
    const std::vector<Line> lines = read(Photo(w, h, 0xFF0000));
    EXPECT_EQ(texts_of(lines), Texts{"A"}) << w << " x " << h;
  }
}

TEST_F(Reading, WhatDoesNotGoTogether) {
  for (const char* which : {"dd", "c", "dc", "rr", "rcc"}) {
    models_.clear();
    for (const char* p = which; *p; ++p) add_small(std::string(1, *p).c_str());
    EXPECT_EQ(make(), TERN_ERR_UNSUPPORTED) << which;
    EXPECT_NE(std::string(tern_last_error_message()).find("do not go together"), std::string::npos);
  }
}

TEST_F(Reading, CharactersMustBeTheClasses) {
  const std::string file = ::testing::TempDir() + "text-bad-" + std::to_string(getpid()) + ".tern",
                    edited = file + ".edited.tern", source = text_file("colours.onnx");
  tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
  options.labels = "A\nB";
  EXPECT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_NE(std::string(tern_import_error()).find("2 characters, but the model has 5 classes"), std::string::npos);
  options.labels = nullptr, options.task = "text_recognizer";
  EXPECT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_NE(std::string(tern_import_error()).find("--labels"), std::string::npos);
  // Without a space, all classes but the blank have characters of their own.
  options.task = nullptr, options.labels = "A\r\nB\r\nC\r\nD\r\n";
  ASSERT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_OK) << tern_import_error();
  for (const char* wrong : {"text.characters=A\\nB", "text.characters=A\\nB\\nC\\nD\\nE", "text.space=yes",
                            "text.characters=A\\n\\nC\\nD"}) {
    ASSERT_EQ(tern_import_edit(file.c_str(), edited.c_str(), wrong), TERN_OK) << tern_import_error();
    models_.clear();
    add_file(edited);
    EXPECT_EQ(make(), TERN_ERR_CORRUPT) << wrong;
    EXPECT_NE(std::string(tern_last_error_message()).find("text.characters"), std::string::npos);
  }
  models_.clear();
  add_file(file);
  ASSERT_OK(make());
  Photo photo(160, 24);
  photo.write(0, 0, "rgby", 40, 24);
  EXPECT_EQ(texts_of(read(photo)), Texts{"ABCD"});
}

TEST_F(Reading, CharactersThatTheFileBrings) {
  Photo photo(160, 24);
  photo.write(0, 0, "rgby", 40, 24);
  add(text_file("named.onnx"));
  ASSERT_OK(make());
  EXPECT_EQ(texts_of(read(photo)), Texts{"\"B\xe4\xb8\xad "});
  models_.clear();
  add(text_file("named.onnx"), "C\nD\nE");  // those given come first
  ASSERT_OK(make());
  EXPECT_EQ(texts_of(read(photo)), Texts{"CDE "});
}

// ---- PP-OCR ----

struct Corner {
  double x, y;
};

double area(const std::vector<Corner>& p) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const Corner &a = p[i], &b = p[(i + 1) % p.size()];
    sum += a.x * b.y - b.x * a.y;
  }
  return sum / 2;
}

std::vector<Corner> corners_of(const std::vector<float>& c) {
  std::vector<Corner> p;
  for (size_t i = 0; i < 8; i += 2) p.push_back({c[i], c[i + 1]});
  return p;
}

// Intersection over union of convex quadrangles, clockwise (I. Sutherland and G. Hodgman, 1974).
double overlap(const std::vector<Corner>& a, const std::vector<Corner>& b) {
  std::vector<Corner> p = a;
  for (size_t i = 0; i < b.size(); ++i) {
    const Corner &from = b[i], &to = b[(i + 1) % b.size()];
    const auto side = [&](const Corner& c) {
      return (to.x - from.x) * (c.y - from.y) - (to.y - from.y) * (c.x - from.x);
    };
    std::vector<Corner> kept;
    for (size_t k = 0; k < p.size(); ++k) {
      const Corner &c = p[k], &next = p[(k + 1) % p.size()];
      const double sc = side(c), sn = side(next);
      if (sc >= 0) kept.push_back(c);
      if ((sc < 0) != (sn < 0))
        kept.push_back({c.x + (next.x - c.x) * sc / (sc - sn), c.y + (next.y - c.y) * sc / (sc - sn)});
    }
    p = std::move(kept);
  }
  const double both = p.empty() ? 0 : area(p);
  return both / (area(a) + area(b) - both);
}

// Largest distance between corners, from whichever they begin.
double corner_distance(const std::vector<Corner>& a, const std::vector<Corner>& b) {
  double best = HUGE_VAL;
  for (size_t first = 0; first < 4; ++first) {
    double most = 0;
    for (size_t i = 0; i < 4; ++i)
      most = std::max(most, std::hypot(a[i].x - b[(first + i) % 4].x, a[i].y - b[(first + i) % 4].y));
    best = std::min(best, most);
  }
  return best;
}

// Characters that must be put in, left out or changed.
size_t distance(const std::string& a, const std::string& b) {
  const auto split = [](const std::string& s) {
    std::vector<std::string> list;
    for (const char c : s)
      if (((unsigned char)c & 0xC0) == 0x80 && !list.empty()) list.back() += c;
      else list.emplace_back(1, c);
    return list;
  };
  const auto x = split(a), y = split(b);
  std::vector<size_t> row(y.size() + 1);
  for (size_t k = 0; k <= y.size(); ++k) row[k] = k;
  for (size_t i = 0; i < x.size(); ++i) {
    std::vector<size_t> before = row;
    row[0] = i + 1;
    for (size_t k = 0; k < y.size(); ++k)
      row[k + 1] = std::min({before[k + 1] + 1, row[k] + 1, before[k] + (x[i] != y[k])});
  }
  return row[y.size()];
}

std::string without_spaces(const std::string& s) {
  std::string out;
  for (const char c : s)
    if (c != ' ') out += c;
  return out;
}

// What a list of texts misses of the lines that were printed.
size_t errors(const Json& truth, const std::vector<std::string>& texts) {
  size_t sum = 0;
  for (const Json& line : truth.list) {
    size_t least = distance(line.text, "");
    for (const std::string& t : texts) least = std::min(least, distance(line.text, t));
    sum += least;
  }
  return sum;
}

class PpOcr : public Reading {
 protected:
  void SetUp() override {
    for (const char* name : {"ppocr_v4_det.onnx", "ppocr_v4_rec.onnx", "ppocr_v2_cls.onnx", "ppocr_keys_v1.txt"})
      if (!std::filesystem::exists(model_path(name)))
        TERN_SKIP(std::string(name) + " is not there; samples/fetch all brings it");
    FILE* f = std::fopen(model_path("ppocr_keys_v1.txt").c_str(), "rb");
    ASSERT_TRUE(f);
    char block[4096];
    for (size_t got; (got = std::fread(block, 1, sizeof block, f)) > 0;) characters_.append(block, got);
    std::fclose(f);
    ASSERT_TRUE(read_json(text_file("text.json"), &cases_));
  }
  void make_ppocr(bool detect) {
    models_.clear();
    add(model_path("ppocr_v2_cls.onnx"));
    add(model_path("ppocr_v4_rec.onnx"), characters_.c_str());
    if (detect) add(model_path("ppocr_v4_det.onnx"));
    ASSERT_OK(make());
  }
  std::string characters_;
  Json cases_;
};

// The same lines; corners within a pixel and a half; the same characters but spaces, save in scraps that RapidOCR
// itself is not sure of; no more errors in the lines that were printed.
TEST_F(PpOcr, ReadsWhatRapidOcrReads) {
  constexpr double kCorner = 1.5, kOverlap = 0.93, kSure = 0.75;
  size_t ours = 0, theirs = 0, characters = 0, lines = 0, same = 0;
  double least_overlap = 1, farthest = 0;
  std::string made;
  for (const Json& c : cases_.list) {
    const std::string& name = c["picture"].text;
    SCOPED_TRACE(name);
    const std::string path = name.find('/') != std::string::npos ? cache_folder() + "/" + name : text_file(name);
    if (!std::filesystem::exists(path)) {
      std::printf("SKIPPED: %s is not there; samples/fetch all brings it\n", path.c_str());
      continue;
    }
    if (made != c["task"].text) make_ppocr(c["task"].text == "read"), made = c["task"].text;
    ASSERT_TRUE(vision_);
    const Photo photo(path);
    const std::vector<Line> found = read(photo);
    // RapidOCR stretches small pictures to 736 pixels, and finds nothing in what it made so large.
    const bool tiny = 4 * std::min(photo.width, photo.height) < 736;
    if (name == "images/scenetext_word01.jpg") {
      EXPECT_EQ(texts_of(found), Texts{"CHINA"});
    }
    Texts golden_texts;
    size_t sure = 0;
    for (const Json& g : c["lines"].list) {
      std::vector<float> golden;
      for (const Json& v : g.list.at(0).list) golden.push_back((float)v.number);
      const std::string& text = g.list.at(1).text;
      golden_texts.push_back(text);
      const Line* best = nullptr;
      double most = 0;
      for (const Line& l : found)
        if (const double o = overlap(corners_of(l.corners), corners_of(golden)); o > most) most = o, best = &l;
      ASSERT_TRUE(best) << text;
      EXPECT_GE(most, kOverlap) << text;
      const double away = corner_distance(corners_of(best->corners), corners_of(golden));
      EXPECT_LE(away, kCorner) << text;
      least_overlap = std::min(least_overlap, most), farthest = std::max(farthest, away);
      ++lines, same += best->text == text;
      if (g.list.at(2).number < kSure) continue;
      ++sure;
      EXPECT_EQ(without_spaces(best->text), without_spaces(text));
      EXPECT_GE(best->score, 0.85f) << text;
    }
    if (!tiny) {
      EXPECT_LE(found.size(),
                std::max(golden_texts.size() + (sure < golden_texts.size() ? 1 : 0), c["truth"].list.size()));
    }
    ours += errors(c["truth"], texts_of(found)), theirs += errors(c["truth"], golden_texts);
    for (const Json& t : c["truth"].list) characters += distance(t.text, "");
    // In the order of the page, however it lies.
    std::string whole, printed;
    for (const Line& l : found) whole += without_spaces(l.text);
    for (const Json& t : c["truth"].list) printed += without_spaces(t.text);
    if (!printed.empty()) {
      EXPECT_LE(distance(whole, printed), 2u) << whole;
    }
    // A page that lies so begins its lines there.
    const double angle = c["angle"].number * 3.14159265358979 / 180;
    if (!c["truth"].list.empty())
      for (const Line& l : found) {
        const double dx = l.corners[2] - l.corners[0], dy = l.corners[3] - l.corners[1];
        EXPECT_GT((dx * std::cos(angle) + dy * std::sin(angle)) / std::hypot(dx, dy), 0.99) << l.text;
      }
  }
  std::printf("%zu lines, %zu with the very same text; least overlap %.3f, corners within %.2f pixels\n", lines, same,
              least_overlap, farthest);
  std::printf("printed lines: %zu characters, %zu errors; RapidOCR makes %zu\n", characters, ours, theirs);
  EXPECT_GT(characters, 900u);
  EXPECT_LE(ours, theirs);
}

// On one thread or several.
TEST_F(PpOcr, TheSameBitsOnAnyNumberOfThreads) {
  std::vector<Line> first;
  for (const int threads : {1, 3}) {
    threads_ = threads;
    models_.clear(), vision_.reset(), context_.reset();
    make_ppocr(true);
    const std::vector<Line> found = read(Photo(text_file("mixed_15.png")));
    if (first.empty()) first = found;
    ASSERT_EQ(found.size(), first.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].text, first[i].text);
      EXPECT_EQ(found[i].score, first[i].score);
      EXPECT_EQ(found[i].corners, first[i].corners);
    }
  }
  EXPECT_FALSE(first.empty());
}

TEST_F(PpOcr, PicturesWithoutText) {
  make_ppocr(true);
  EXPECT_TRUE(read(Photo(1, 1, 0x808080)).empty());
  EXPECT_TRUE(read(Photo(65536, 1, 0x808080)).empty());
  EXPECT_TRUE(read(Photo(text_file("empty.png"))).empty());
}

}  // namespace
}  // namespace tern::test
