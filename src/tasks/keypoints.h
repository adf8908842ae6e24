// SPDX-License-Identifier: Apache-2.0
// A describer that gives key points.
#pragma once
#include "tasks/finder.h"
#include "tasks/region.h"

namespace tern {

class Keypoints final : public Describer {
 public:
  explicit Keypoints(TaskNetwork network) : Describer(std::move(network)) {}
  tern_status read(const VisionOptions& options);
  tern_status run(const image::Picture& picture, const image::CropRect* region, const Found* found,
                  const RunControl& control, ResultLists* lists, bool* kept) override;
  // Where the thing that the last run saw is to be looked for in the next frame. False: it cannot be followed.
  bool next_region(image::CropRect* out) const { return has_rule_ && rule_.apply(around_, all_, out); }
  bool can_follow() const { return has_rule_; }

 private:
  void refine(int64_t point, double* x, double* y) const;

  std::vector<OutputColumns> points_;
  OutputColumns presence_, heatmap_, side_;
  int64_t rows_ = 0, values_ = 0, depth_ = -1, visibility_ = -1, window_ = 7;
  int32_t count_ = 0;
  bool y_first_ = false, sides_ = false, visibility_sigmoid_ = false, presence_sigmoid_ = false, has_rule_ = false;
  double threshold_ = 0.5, heat_ = 0.5, depth_scale_ = 1;
  RegionRule rule_;
  std::vector<float> numbers_;  // of all points
  std::vector<BoxPoint> all_;   // of the last run, upright pixels
  image::Box around_ = {};
};

}  // namespace tern
