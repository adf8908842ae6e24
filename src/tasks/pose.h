// SPDX-License-Identifier: Apache-2.0
// Human pose in two steps: a person detector gives a region for each person, a landmark model its key points.
// Source: V. Bazarevsky et al., BlazePose: On-device Real-time Body Pose tracking, 2020.
#pragma once
#include "tasks/boxes.h"

namespace tern {

class Pose {
 public:
  struct Options {
    std::string backends = "cpu";
    int32_t max_persons = 0;
    float min_score = 0;
  };
  // detector NULL: the whole picture is one person's region.
  static tern_status create(const Model* detector, const Model& landmarks, const Options& options,
                            std::unique_ptr<Pose>* out);
  tern_status run(const tern_picture* picture, std::span<tern_person> persons, int32_t* count);
  const char* keypoint_name(int32_t i) const {
    return i >= 0 && (size_t)i < names_.size() ? names_[(size_t)i].c_str() : nullptr;
  }
  std::span<const int32_t> skeleton() const { return skeleton_; }

 private:
  tern_status read_landmarks(const image::CropRect& region, tern_person* person, bool* present);

  std::unique_ptr<BoxFinder> finder_;
  PictureInput input_;
  std::unique_ptr<Session> session_;
  int32_t signature_ = 0;
  std::vector<std::string> names_;
  std::vector<int32_t> skeleton_;
  std::vector<const Tensor*> results_;
  // of the detector: which points of a box give the region, and how
  int32_t centre_ = 0, edge_ = 1;
  double scale_ = 1.25, upright_ = 90;  // degrees
  // of the landmark model
  int landmarks_ = -1, score_ = -1, heatmap_ = -1;  // outputs
  int64_t rows_ = 0, keypoints_ = 0, window_ = 7;
  bool visibility_sigmoid_ = false, score_sigmoid_ = false;
  double threshold_ = 0.5, heatmap_threshold_ = 0.5;
  int32_t max_persons_ = 0;
};

}  // namespace tern
