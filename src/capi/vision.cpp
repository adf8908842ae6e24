// SPDX-License-Identifier: Apache-2.0
#include "tern/vision.h"

#include "capi/handle.h"

using namespace tern;
using namespace tern::capi;

extern "C" {

tern_status tern_detector_create(const tern_model*, const tern_detector_options*, tern_detector**) noexcept { return TERN_FAIL(TERN_ERR_UNSUPPORTED, "this build has no vision tasks"); }
void tern_detector_release(tern_detector*) noexcept {}
tern_status tern_detector_run(tern_detector*, const tern_picture*, tern_detection*, int32_t, int32_t*) noexcept {
  return TERN_FAIL(TERN_ERR_UNSUPPORTED, "this build has no vision tasks");
}
const char* tern_detector_label(const tern_detector*, int32_t) noexcept { return nullptr; }
tern_status tern_pose_create(const tern_model*, const tern_model*, const tern_pose_options*, tern_pose**) noexcept {
  return TERN_FAIL(TERN_ERR_UNSUPPORTED, "this build has no vision tasks");
}
void tern_pose_release(tern_pose*) noexcept {}
tern_status tern_pose_run(tern_pose*, const tern_picture*, tern_person*, int32_t, int32_t*) noexcept { return TERN_FAIL(TERN_ERR_UNSUPPORTED, "this build has no vision tasks"); }
const char* tern_pose_keypoint_name(const tern_pose*, int32_t) noexcept { return nullptr; }
tern_status tern_pose_skeleton(const tern_pose*, const int32_t**, int32_t*) noexcept { return TERN_FAIL(TERN_ERR_UNSUPPORTED, "this build has no vision tasks"); }
}
