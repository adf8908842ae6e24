// SPDX-License-Identifier: Apache-2.0
#include "tasks/camera_motion.h"

#include <cmath>

#include "capi/handle.h"
#include "tasks/picture_input.h"
#include "tern/track.h"

using namespace tern;
using namespace tern::capi;

struct tern_camera_motion {
  explicit tern_camera_motion(const CameraMotion::Options& options) : task(options) {}
  CameraMotion task;
  std::vector<image::Box> boxes;
  InUse in_use;
};

namespace {

constexpr bool kHere = has_capability(Capability::vision);

tern_status take(int32_t given, int32_t least, int32_t most, const char* name, int32_t* value) {
  if (given == 0) return TERN_OK;
  if (given < least || given > most)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s is %d, allowed is 0 (the default) or %d to %d", name, given, least,
                     most);
  *value = given;
  return TERN_OK;
}

}  // namespace

extern "C" {

tern_status tern_camera_motion_create(const tern_camera_motion_options* options, tern_camera_motion** motion) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_camera_motion_create");
    TERN_CHECK_NOT_NULL(motion);
    tern_camera_motion_options o = TERN_CAMERA_MOTION_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_camera_motion_options"));
    CameraMotion::Options own;
    TERN_TRY(take(o.max_side, 64, 4096, "max_side", &own.max_side));
    TERN_TRY(take(o.max_corners, 16, 10000, "max_corners", &own.max_corners));
    *motion = new tern_camera_motion(own);
    return TERN_OK;
  });
}

void tern_camera_motion_release(tern_camera_motion* motion) noexcept {
  if (kHere) delete motion;
}

tern_status tern_camera_motion_update(tern_camera_motion* motion, const tern_picture* picture,
                                      const tern_detection* leave_out, int32_t num_leave_out, float* camera,
                                      int32_t* corners) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return tern::capi::left_out(Capability::vision, "tern_camera_motion_update");
    TERN_CHECK_NOT_NULL(motion);
    TERN_CHECK_NOT_NULL(picture);
    TERN_CHECK_NOT_NULL(camera);
    TERN_TRY(check_input_struct(picture, sizeof *picture, sizeof *picture, "tern_picture"));
    if (num_leave_out < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "num_leave_out is %d", num_leave_out);
    if (num_leave_out > 0) TERN_TRY(check_not_null(leave_out, "the boxes to leave out"));
    Hold hold;
    TERN_TRY(hold.alone(motion->in_use, "this estimator"));
    image::Picture view;
    TERN_TRY(read_picture(picture, &view));
    motion->boxes.clear();
    for (int32_t i = 0; i < num_leave_out; ++i) {
      const tern_detection& d = leave_out[i];
      for (const float v : {d.x0, d.y0, d.x1, d.y1})
        if (!std::isfinite(v)) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "box %d: %g is no number", i, (double)v);
      motion->boxes.push_back({d.x0, d.y0, d.x1, d.y1});
    }
    CameraMotion::Result result;
    TERN_TRY(motion->task.update(view, motion->boxes, &result));
    for (int i = 0; i < 6; ++i) camera[i] = (float)result.camera.m[i];
    if (corners) *corners = result.corners;
    return TERN_OK;
  });
}

tern_status tern_camera_motion_reset(tern_camera_motion* motion) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_camera_motion_reset");
    TERN_CHECK_NOT_NULL(motion);
    Hold hold;
    TERN_TRY(hold.alone(motion->in_use, "this estimator"));
    motion->task.reset();
    return TERN_OK;
  });
}
}
