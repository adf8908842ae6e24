// SPDX-License-Identifier: Apache-2.0
// Points of a picture that are found again in the next one.
// Sources: J. Shi, C. Tomasi, Good Features to Track, 1994; B. Lucas, T. Kanade, An Iterative Image Registration
// Technique with an Application to Stereo Vision, 1981, from coarse to fine.
#pragma once

#include <span>
#include <vector>

#include "image/mapping.h"

namespace tern::image {

// A grey picture, 0..255, and smaller and smaller ones of it: each pixel is the mean of four of the one before.
// Coordinates of points are those of the first, continuous (mapping.h).
class Pyramid {
 public:
  static constexpr int kLevels = 4;
  // Around each picture its border pixels are repeated: a window around a point within never leaves the memory.
  static constexpr int kMargin = 10;

  struct Level {
    int32_t width = 0, height = 0;
    ptrdiff_t stride = 0;       // floats
    std::vector<float> memory;  // with margins
    const float* row(int32_t y) const { return memory.data() + (y + kMargin) * stride + kMargin; }
    float* row(int32_t y) { return memory.data() + (y + kMargin) * stride + kMargin; }
  };

  // pixels [height, width]; both at least 16. Levels end where a side would fall below that.
  void build(const float* pixels, int32_t width, int32_t height);
  int levels() const { return levels_; }
  const Level& level(int i) const { return level_[i]; }

 private:
  int levels_ = 0;
  Level level_[kLevels];
};

// Keeps its memory from one picture to the next.
class Corners {
 public:
  // Up to `most` points around which the first picture of the pyramid changes in both directions, the strongest first,
  // at least `distance` pixels apart; none inside of the boxes. Borrowed until the next call.
  const std::vector<Point>& find(const Pyramid& picture, int32_t most, double distance, std::span<const Box> leave_out);

 private:
  struct Candidate {
    float strength;
    int32_t x, y;
  };
  std::vector<float> strength_, products_;
  std::vector<Candidate> candidates_;
  std::vector<int32_t> cells_;
  std::vector<Point> found_;
};

// Where `from` of picture a is in picture b, of the same size. False if it is not found there: it leaves the picture,
// looks different, or has nothing to hold on to.
bool follow(const Pyramid& a, const Pyramid& b, Point from, Point* to);

}  // namespace tern::image
