// SPDX-License-Identifier: Apache-2.0
#include "tern/vision.h"

#include "capi/handle.h"
#include "tasks/detector.h"
#include "tasks/pose.h"

using namespace tern;
using namespace tern::capi;

struct tern_detector {
  std::unique_ptr<Detector> task;
  InUse in_use;
};

struct tern_pose {
  std::unique_ptr<Pose> task;
  InUse in_use;
};

namespace {

// 0 stands for the model's own. NaN is refused.
tern_status check_share(float value, const char* name) {
  if (value >= 0 && value <= 1) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s is %g, allowed is 0 (the model's own) to 1", name, (double)value);
}

tern_status check_most(int32_t value, int32_t most, const char* name) {
  if (value >= 0 && value <= most) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s is %d, allowed is 0 (the model's own) to %d", name, value, most);
}

tern_status check_run(const void* task, const tern_picture* picture, const void* results, int32_t capacity,
                      const int32_t* count) {
  TERN_TRY(check_not_null(task, "the task"));
  TERN_CHECK_NOT_NULL(picture);
  TERN_CHECK_NOT_NULL(count);
  TERN_TRY(check_input_struct(picture, kFirstPictureBytes, sizeof *picture, "tern_picture"));
  if (capacity < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "capacity is %d", capacity);
  if (capacity > 0) TERN_TRY(check_not_null(results, "the array for results"));
  return TERN_OK;
}

constexpr int32_t kMostResults = 1 << 20;

// Without the tasks nobody has one: nothing is created, and what would use one refers to no code of theirs.
constexpr bool kHere = has_capability(Capability::vision);

}  // namespace

extern "C" {

tern_status tern_detector_create(const tern_model* model, const tern_detector_options* options,
                                 tern_detector** detector) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_detector_create");
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(detector);
    tern_detector_options o = TERN_DETECTOR_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_detector_options"));
    TERN_TRY(check_most(o.max_detections, kMostResults, "max_detections"));
    TERN_TRY(check_share(o.min_score, "min_score"));
    TERN_TRY(check_share(o.max_overlap, "max_overlap"));
    BoxFinder::Options own;
    if (o.backends) own.backends = o.backends;
    own.max_boxes = o.max_detections;
    own.min_score = o.min_score;
    own.max_overlap = o.max_overlap;
    std::unique_ptr<Detector> d;
    TERN_TRY(Detector::create(*to_object(model), own, &d));
    *detector = new tern_detector{std::move(d), {}};
    return TERN_OK;
  });
}

void tern_detector_release(tern_detector* detector) noexcept {
  if (kHere) delete detector;
}

tern_status tern_detector_run(tern_detector* detector, const tern_picture* picture, tern_detection* detections,
                              int32_t capacity, int32_t* count) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_detector_run");
    TERN_TRY(check_run(detector, picture, detections, capacity, count));
    Hold hold;
    TERN_TRY(hold.alone(detector->in_use, "this detector"));
    return detector->task->run(picture, {detections, (size_t)capacity}, count);
  });
}

const char* tern_detector_label(const tern_detector* detector, int32_t label) noexcept {
  return kHere && detector ? detector->task->label(label) : nullptr;
}

tern_status tern_pose_create(const tern_model* detector, const tern_model* landmarks, const tern_pose_options* options,
                             tern_pose** pose) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_pose_create");
    TERN_CHECK_NOT_NULL(landmarks);
    TERN_CHECK_NOT_NULL(pose);
    tern_pose_options o = TERN_POSE_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_pose_options"));
    TERN_TRY(check_most(o.max_persons, kMostResults, "max_persons"));
    TERN_TRY(check_share(o.min_score, "min_score"));
    Pose::Options own;
    if (o.backends) own.backends = o.backends;
    own.max_persons = o.max_persons;
    own.min_score = o.min_score;
    std::unique_ptr<Pose> p;
    TERN_TRY(Pose::create(detector ? to_object(detector) : nullptr, *to_object(landmarks), own, &p));
    *pose = new tern_pose{std::move(p), {}};
    return TERN_OK;
  });
}

void tern_pose_release(tern_pose* pose) noexcept {
  if (kHere) delete pose;
}

tern_status tern_pose_run(tern_pose* pose, const tern_picture* picture, tern_person* persons, int32_t capacity,
                          int32_t* count) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_pose_run");
    TERN_TRY(check_run(pose, picture, persons, capacity, count));
    Hold hold;
    TERN_TRY(hold.alone(pose->in_use, "this pose task"));
    return pose->task->run(picture, {persons, (size_t)capacity}, count);
  });
}

const char* tern_pose_keypoint_name(const tern_pose* pose, int32_t keypoint) noexcept {
  return kHere && pose ? pose->task->keypoint_name(keypoint) : nullptr;
}

tern_status tern_pose_skeleton(const tern_pose* pose, const int32_t** pairs, int32_t* num) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_pose_skeleton");
    TERN_CHECK_NOT_NULL(pose);
    TERN_CHECK_NOT_NULL(pairs);
    TERN_CHECK_NOT_NULL(num);
    *pairs = pose->task->skeleton().data();
    *num = (int32_t)(pose->task->skeleton().size() / 2);
    return TERN_OK;
  });
}
}
