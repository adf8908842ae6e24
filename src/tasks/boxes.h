// SPDX-License-Identifier: Apache-2.0
// From a picture to boxes: runs a detector, decodes its outputs and suppresses overlaps.
// Source of the weighted suppression: V. Bazarevsky et al., BlazeFace, 2019; of the fast one: D. Bolya et al., YOLACT,
// 2019; of the overlap of turned boxes: J. Llerena et al., Gaussian Bounding Boxes and Probabilistic
// Intersection-over-Union, 2021.
#pragma once
#include "tasks/box_decoder.h"
#include "tasks/finder.h"

namespace tern {

class BoxFinder final : public Finder {
 public:
  static tern_status create(TaskNetwork network, const VisionOptions& options, std::unique_ptr<Finder>* out);
  tern_status run(const image::Picture& picture, const RunControl& control, std::span<const Found>* found) override;

 private:
  explicit BoxFinder(TaskNetwork network) : Finder(std::move(network)) {}
  // A candidate in the order of scores. Of a turned box also its normal distribution.
  struct Rival {
    size_t index;
    image::Box box;
    double area;
    int32_t label;
    double x, y, a, b, c;
  };
  void suppress();
  void line_up();
  // Whether two overlap more than is allowed, as the metadata counts it.
  bool collide(const Rival& a, const Rival& b) const;

  std::unique_ptr<BoxDecoder> decoder_;
  double threshold_ = 0, overlap_ = 0;
  double far_ = 0;  // turned boxes: distance from which two do not collide
  int nms_ = 1;     // none, hard, weighted, fast
  bool each_class_ = true, of_smaller_ = false, turned_ = false;
  int32_t most_ = 0;
  BoxCandidates candidates_;
  std::vector<size_t> order_;
  std::vector<Rival> rivals_;
  std::vector<char> used_;
  std::vector<BoxCandidate> kept_;
  std::vector<BoxPoint> kept_points_;
  std::vector<Found> found_;
};

double overlap(const image::Box& a, const image::Box& b);  // intersection over union; 0 where a box is empty or NaN

}  // namespace tern
