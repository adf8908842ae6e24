// SPDX-License-Identifier: Apache-2.0
#include "tern/vision.h"

#include "capi/handle.h"
#include "tasks/detector.h"
#include "tasks/pose.h"

using namespace tern;
using namespace tern::capi;

struct tern_detector {
  std::unique_ptr<Detector> detector;
};
struct tern_pose {
  std::unique_ptr<Pose> pose;
};

namespace {

tern_status check_numbers(float min_score, float max_overlap, int32_t most, const char* name) {
  if (!(min_score >= 0 && min_score <= 1) || !(max_overlap >= 0 && max_overlap <= 1) || most < 0)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: scores and overlaps are 0 to 1, counts at least 0", name);
  return TERN_OK;
}

tern_status check_results(const void* handle, const char* handle_name, const void* results, int32_t capacity, const void* count) {
  TERN_TRY(check_not_null(handle, handle_name));
  TERN_TRY(check_not_null(count, "count"));
  if (capacity < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "capacity is %d", capacity);
  return capacity ? check_not_null(results, "results") : TERN_OK;
}

}  // namespace

extern "C" {

tern_status tern_detector_create(const tern_model* model, const tern_detector_options* options, tern_detector** detector) noexcept {
  return guard([&]() -> tern_status {
    TERN_TRY(check_not_null(model, "model"));
    TERN_TRY(check_not_null(detector, "detector"));
    tern_detector_options o = TERN_DETECTOR_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_detector_options"));
    TERN_TRY(check_numbers(o.min_score, o.max_overlap, o.max_detections, "tern_detector_options"));
    BoxFinder::Options b;
    if (o.backends) b.backends = o.backends;
    b.max_boxes = o.max_detections, b.min_score = o.min_score, b.max_overlap = o.max_overlap;
    auto d = std::make_unique<tern_detector>();
    TERN_TRY(Detector::create(*to_object(model), b, &d->detector));
    *detector = d.release();
    return TERN_OK;
  });
}

void tern_detector_release(tern_detector* detector) noexcept { delete detector; }

tern_status tern_detector_run(tern_detector* detector, const tern_picture* picture, tern_detection* detections, int32_t capacity, int32_t* count) noexcept {
  return guard([&]() -> tern_status {
    TERN_TRY(check_results(detector, "detector", detections, capacity, count));
    return detector->detector->run(picture, {detections, (size_t)capacity}, count);
  });
}

const char* tern_detector_label(const tern_detector* detector, int32_t label) noexcept { return detector ? detector->detector->label(label) : nullptr; }

tern_status tern_pose_create(const tern_model* detector, const tern_model* landmarks, const tern_pose_options* options, tern_pose** pose) noexcept {
  return guard([&]() -> tern_status {
    TERN_TRY(check_not_null(landmarks, "landmarks"));
    TERN_TRY(check_not_null(pose, "pose"));
    tern_pose_options o = TERN_POSE_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_pose_options"));
    TERN_TRY(check_numbers(o.min_score, 0, o.max_persons, "tern_pose_options"));
    Pose::Options p;
    if (o.backends) p.backends = o.backends;
    p.max_persons = o.max_persons, p.min_score = o.min_score;
    auto made = std::make_unique<tern_pose>();
    TERN_TRY(Pose::create(detector ? to_object(detector) : nullptr, *to_object(landmarks), p, &made->pose));
    *pose = made.release();
    return TERN_OK;
  });
}

void tern_pose_release(tern_pose* pose) noexcept { delete pose; }

tern_status tern_pose_run(tern_pose* pose, const tern_picture* picture, tern_person* persons, int32_t capacity, int32_t* count) noexcept {
  return guard([&]() -> tern_status {
    TERN_TRY(check_results(pose, "pose", persons, capacity, count));
    return pose->pose->run(picture, {persons, (size_t)capacity}, count);
  });
}

const char* tern_pose_keypoint_name(const tern_pose* pose, int32_t keypoint) noexcept { return pose ? pose->pose->keypoint_name(keypoint) : nullptr; }

tern_status tern_pose_skeleton(const tern_pose* pose, const int32_t** pairs, int32_t* num) noexcept {
  return guard([&]() -> tern_status {
    TERN_TRY(check_not_null(pose, "pose"));
    TERN_TRY(check_not_null(pairs, "pairs"));
    TERN_TRY(check_not_null(num, "num"));
    *pairs = pose->pose->skeleton().data();
    *num = (int32_t)(pose->pose->skeleton().size() / 2);
    return TERN_OK;
  });
}
}
