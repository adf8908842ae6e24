// SPDX-License-Identifier: Apache-2.0
// How a camera moved from one picture to the next: what stands behind tern_camera_motion.
#pragma once
#include "image/flow.h"
#include "image/sample.h"

namespace tern {

class CameraMotion {
 public:
  struct Options {
    int32_t max_side = 640, max_corners = 500;
  };
  struct Result {
    image::Affine camera = {{1, 0, 0, 0, 1, 0}};  // from the picture before to this one, pixels of the upright picture
    int32_t corners = 0;                          // that moved so; 0: it is not known how, and said to stand
  };
  explicit CameraMotion(const Options& options) : o_(options) {}

  // leave_out: boxes of things that may move by themselves, upright pixels of this picture.
  tern_status update(const image::Picture& picture, std::span<const image::Box> leave_out, Result* result);
  void reset() { size_ = {0, 0}; }

 private:
  tern_status reduce(const image::Picture& picture, image::Pyramid* out);

  Options o_;
  image::Size size_ = {0, 0};         // of the upright picture before; 0: there was none
  double scale_x_ = 1, scale_y_ = 1;  // reduced pixels by upright ones
  image::Pyramid before_, now_;
  std::vector<image::Point> corners_;  // of the picture before, reduced pixels
  image::Corners finder_;
  std::vector<float> pixels_;
  std::vector<unsigned char> scratch_;
  std::vector<image::Box> boxes_;
  std::vector<image::Point> from_, to_;  // upright pixels
};

// The turn, zoom and shift that most pairs of points agree with, and how many: those that it brings to within `near`.
// None if less than a fifth of them, or than eight, do. The same pairs give the same result.
CameraMotion::Result fit_similarity(std::span<const image::Point> from, std::span<const image::Point> to, double near);

}  // namespace tern
