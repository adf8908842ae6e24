// SPDX-License-Identifier: Apache-2.0
#include "tern/vision.h"

#include <algorithm>
#include "capi/handle.h"

#include "tasks/vision.h"

using namespace tern;
using namespace tern::capi;

struct tern_vision {
  std::vector<Ref<const Model>> models;
  std::unique_ptr<Vision> task;
  InUse in_use;
};

namespace {

constexpr const char* kTask = "this vision task";
constexpr int32_t kMostResults = 1 << 20, kMostModels = 4, kMostPictures = 65536;

// 0 stands for the default. NaN is refused.
tern_status check_range(float value, float most, const char* name) {
  if (value >= 0 && value <= most) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s is %g, allowed is 0 (the default) to %g", name, (double)value,
                   (double)most);
}

tern_status read_vision_options(const tern_vision_options* given, VisionOptions* out) {
  tern_vision_options o = TERN_VISION_OPTIONS_INIT;
  TERN_TRY(read_options(given, &o, "tern_vision_options"));
  TERN_TRY(check_flags(o.flags, TERN_VISION_FOLLOW, "tern_vision_options"));
  if (o.max_results < 0 || o.max_results > kMostResults)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "max_results is %d, allowed is 0 (the model's own) to %d",
                     o.max_results, kMostResults);
  TERN_TRY(check_range(o.min_score, 1, "min_score"));
  TERN_TRY(check_range(o.max_overlap, 1, "max_overlap"));
  TERN_TRY(check_range(o.smoothing, 1000, "smoothing"));
  TERN_TRY(check_range(o.frame_rate, 100000, "frame_rate"));
  if (o.backends) out->backends = o.backends;
  out->max_results = o.max_results;
  out->min_score = o.min_score;
  out->max_overlap = o.max_overlap;
  out->follow = o.flags & TERN_VISION_FOLLOW;
  out->smoothing = o.smoothing;
  if (o.frame_rate > 0) out->frame_rate = o.frame_rate;
  return TERN_OK;
}

// Without the tasks nobody has one: nothing is created, and what would use one refers to no code of theirs.
constexpr bool kHere = has_capability(Capability::vision);

}  // namespace

extern "C" {

tern_status tern_vision_options_init(tern_vision_options* options, size_t size) noexcept {
  const tern_vision_options defaults = TERN_VISION_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_vision_options");
}

tern_status tern_vision_create(tern_model* const* models, int32_t num_models, const tern_vision_options* options,
                               tern_vision** vision) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_vision_create");
    TERN_CHECK_NOT_NULL(models);
    TERN_CHECK_NOT_NULL(vision);
    if (num_models < 1 || num_models > kMostModels)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "num_models is %d, allowed is 1 to %d", num_models, kMostModels);
    VisionOptions own;
    TERN_TRY(read_vision_options(options, &own));
    auto v = std::make_unique<tern_vision>();
    std::vector<const Model*> list;
    for (int32_t i = 0; i < num_models; ++i) {
      TERN_TRY(check_not_null(models[i], "a model"));
      list.push_back(to_object(models[i]));
      v->models.push_back(Ref<const Model>::share(list.back()));
    }
    TERN_TRY(Vision::create(list, own, &v->task));
    *vision = v.release();
    return TERN_OK;
  });
}

void tern_vision_release(tern_vision* vision) noexcept {
  if (kHere) delete vision;
}

tern_status tern_vision_run(tern_vision* vision, const tern_picture* pictures, int32_t num_pictures,
                            const tern_run_options* options, const tern_vision_result** results) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_vision_run");
    TERN_CHECK_NOT_NULL(vision);
    TERN_CHECK_NOT_NULL(pictures);
    TERN_CHECK_NOT_NULL(results);
    if (num_pictures < 1 || num_pictures > kMostPictures)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "num_pictures is %d, allowed is 1 to %d", num_pictures,
                       kMostPictures);
    Hold hold;
    TERN_TRY(hold.alone(vision->in_use, kTask));
    RunControl control;
    TERN_TRY(read_run_options(options, &control));
    std::vector<image::Picture> list((size_t)num_pictures);
    // The caller's structs may be shorter or longer than ours.
    const char* at = (const char*)pictures;
    for (image::Picture& p : list) {
      const auto* given = (const tern_picture*)at;
      TERN_TRY(check_input_struct(given, kFirstPictureBytes, sizeof *given, "tern_picture"));
      if (given->struct_size != pictures->struct_size)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the pictures have structs of %u and %u bytes: they must be equal",
                         pictures->struct_size, given->struct_size);
      TERN_TRY(read_picture(given, &p));
      at += given->struct_size;
    }
    return vision->task->run(list, control, results);
  });
}

tern_status tern_vision_reset(tern_vision* vision) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_vision_reset");
    TERN_CHECK_NOT_NULL(vision);
    Hold hold;
    TERN_TRY(hold.alone(vision->in_use, kTask));
    vision->task->reset();
    return TERN_OK;
  });
}

int32_t tern_vision_get_kind(const tern_vision* vision) noexcept { return kHere && vision ? vision->task->kind() : -1; }

const char* tern_vision_label(const tern_vision* vision, int32_t label) noexcept {
  return kHere && vision ? vision->task->label(label) : nullptr;
}

const char* tern_vision_keypoint_name(const tern_vision* vision, int32_t keypoint) noexcept {
  return kHere && vision ? vision->task->keypoint_name(keypoint) : nullptr;
}

tern_status tern_vision_skeleton(const tern_vision* vision, const int32_t** pairs, int32_t* num) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_vision_skeleton");
    TERN_CHECK_NOT_NULL(vision);
    TERN_CHECK_NOT_NULL(pairs);
    TERN_CHECK_NOT_NULL(num);
    *pairs = vision->task->skeleton().data();
    *num = (int32_t)(vision->task->skeleton().size() / 2);
    return TERN_OK;
  });
}

float tern_vision_similarity(const float* a, const float* b, int32_t size) noexcept {
  if (!kHere || !a || !b) return 0;
  double ab = 0, aa = 0, bb = 0;
  for (int32_t i = 0; i < size; ++i) {
    ab += (double)a[i] * b[i];
    aa += (double)a[i] * a[i];
    bb += (double)b[i] * b[i];
  }
  const double cosine = ab / (std::sqrt(aa) * std::sqrt(bb));
  return std::isfinite(cosine) ? (float)std::clamp(cosine, -1.0, 1.0) : 0;
}
}
