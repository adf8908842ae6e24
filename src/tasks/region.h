// SPDX-License-Identifier: Apache-2.0
// Which part of a picture the next model of a task sees, as the metadata's region.* say.
// Source: V. Bazarevsky et al., BlazePose: On-device Real-time Body Pose tracking, 2020; F. Zhang et al., MediaPipe
// Hands: On-device Real-time Hand Tracking, 2020.
#pragma once
#include "graph/task_metadata.h"
#include "image/mapping.h"
#include "tasks/box_decoder.h"

namespace tern {

struct RegionRule {
  enum From { box, circle, keypoints, turned_keypoints } from = box;
  int32_t centre = 0, edge = 1;
  std::vector<int32_t> around;  // which points the box is around; empty: it is given
  std::vector<int32_t> turn;    // a line from the first to the middle of the others; empty: there is no turn
  double angle = 0;             // radians
  double scale_x = 1, scale_y = 1, shift_x = 0, shift_y = 0;
  bool square = false;

  // points: how many there will be.
  static tern_status read(const TaskMetadata& metadata, int32_t points, RegionRule* out);
  // False: there is no usable region.
  bool apply(const image::Box& given, std::span<const BoxPoint> points, image::CropRect* out) const;
};

}  // namespace tern
