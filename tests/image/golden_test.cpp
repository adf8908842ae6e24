// SPDX-License-Identifier: Apache-2.0
// Pixels as OpenCV, Pillow and colour-science make them (make_goldens.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "image/sample.h"
#include "picture_maker.h"

namespace tern::image {
namespace {

std::vector<float> sampled(const Picture& p, int width, int height, Filter filter) {
  SampleOptions o;
  o.filter = filter;
  Mapping m;
  EXPECT_EQ(map_stretch(p, width, height, &m), TERN_OK);
  std::vector<float> out(size_t(width) * size_t(height) * 3);
  std::vector<char> scratch(sample_scratch_bytes(width, filter));
  EXPECT_EQ(sample(p, m, o, 0, height, out.data(), scratch.data(), scratch.size()), TERN_OK);
  return out;
}

// Lines of one kind, each as its numbers.
std::vector<std::vector<double>> goldens(const std::string& kind) {
  std::vector<std::vector<double>> out;
  std::ifstream file(TERN_SOURCE_DIR "/tests/image/goldens.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first != kind) continue;
    out.emplace_back();
    for (double v; words >> v;) out.back().push_back(v);
  }
  return out;
}

TEST(PictureGolden, YuvBecomesTheColoursOfOthers) {
  const auto lines = goldens("yuv");
  ASSERT_EQ(lines.size(), 972u);
  for (const auto& line : lines) {
    TestPicture t = make_picture(Format::kI420, 1, 1, 0, 1);
    t.view.matrix = Matrix(int(line[0]));
    t.view.range = Range(int(line[1]));
    for (size_t i = 0; i < 3; ++i) t.planes[i][0] = uint8_t(line[2 + i]);
    const std::vector<float> got = sampled(t.view, 1, 1, Filter::kBilinear);
    for (size_t c = 0; c < 3; ++c)  // one step: everybody rounds factors in another way
      ASSERT_NEAR(double(got[c]), line[5 + c], 1)
          << "matrix " << line[0] << " range " << line[1] << " yuv " << line[2] << " " << line[3] << " " << line[4];
  }
}

TEST(PictureGolden, AlphaIsAsInPillow) {
  const auto lines = goldens("over");
  ASSERT_EQ(lines.size(), 300u);
  for (const auto& line : lines) {
    TestPicture t = make_picture(Format::kRgba8, 1, 1, 0, 1);
    for (size_t i = 0; i < 3; ++i) t.planes[0][i] = uint8_t(line[0]), t.view.background[i] = uint8_t(line[2]);
    t.planes[0][3] = uint8_t(line[1]);
    const std::vector<float> got = sampled(t.view, 1, 1, Filter::kBilinear);
    ASSERT_EQ(double(got[1]), line[3]) << line[0] << " " << line[1] << " " << line[2];
  }
}

TEST(PictureGolden, OrientationsAreThoseOfExif) {
  const auto lines = goldens("exif");
  ASSERT_EQ(lines.size(), 8u);
  // As tern/vision.h says.
  const struct {
    int rotation;
    bool mirrored;
  } kTurns[] = {{0, false}, {0, true}, {180, false}, {180, true}, {90, true}, {90, false}, {270, true}, {270, false}};
  for (const auto& line : lines) {
    TestPicture t = make_picture(Format::kGrey8, 3, 2, 0, 1, 0);
    for (size_t i = 0; i < 6; ++i) t.planes[0][i] = uint8_t(i);
    const auto& turn = kTurns[int(line[0]) - 1];
    t.view.rotation = turn.rotation;
    t.view.mirrored = turn.mirrored;
    const Size size = upright_size(t.view);
    ASSERT_TRUE(size.width == line[1] && size.height == line[2]) << line[0];
    const std::vector<float> got = sampled(t.view, size.width, size.height, Filter::kBilinear);
    for (size_t i = 0; i < 6; ++i) ASSERT_EQ(double(got[3 * i]), line[3 + i]) << "orientation " << line[0];
  }
}

TEST(PictureGolden, AreaIsAsInOpenCv) {
  const auto lines = goldens("area");
  ASSERT_EQ(lines.size(), 5u);
  for (const auto& line : lines) {
    const int width = int(line[0]), height = int(line[1]), out_width = int(line[2]), out_height = int(line[3]);
    TestPicture t = make_picture(Format::kRgb8, width, height, 0, 1, 0);
    uint32_t x = 1;
    for (uint8_t& b : t.planes[0]) {
      x = x * 1664525 + 1013904223;
      b = uint8_t(x >> 24);
    }
    const std::vector<float> got = sampled(t.view, out_width, out_height, Filter::kArea);
    ASSERT_EQ(got.size() + 4, line.size());
    // Ends are rounded to 1/4096 of a pixel here.
    const double allowed = 1e-3 + 255.0 / 4096 * (double(out_width) / width + double(out_height) / height);
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(double(got[i]), line[4 + i], allowed) << width << " at " << i;
  }
}

}  // namespace
}  // namespace tern::image
