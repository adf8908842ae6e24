// SPDX-License-Identifier: Apache-2.0
#include "tern/track.h"

#include <cmath>
#include <cstring>

#include "capi/handle.h"
#include "tasks/tracker.h"

using namespace tern;
using namespace tern::capi;

struct tern_tracker : TrackerState {
  std::vector<TrackInput> detections;
  std::vector<float> looked;  // embeddings of length 1
  std::vector<tern_track> tracks;
  mutable InUse in_use;
};

namespace {

constexpr bool kHere = has_capability(Capability::vision);

tern_status check_range(float value, double most, const char* name) {
  if (value >= 0 && value <= most) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s is %g, allowed is 0 (the method's own) to %g", name, (double)value,
                   most);
}

// Embeddings of length 1, and the camera.
tern_status read_look(const tern_tracker& tracker, const tern_track_frame& frame, std::vector<float>* looks,
                      double* camera) {
  looks->clear();
  if ((frame.embeddings || frame.camera) && tracker.method != TERN_TRACK_BOTSORT)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "only the method BOTSORT uses embeddings and a camera");
  for (int i = 0; frame.camera && i < 6; ++i) {
    camera[i] = frame.camera[i];
    if (!std::isfinite(camera[i])) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "camera[%d] is %g", i, camera[i]);
  }
  if (!frame.embeddings) return TERN_OK;
  const int32_t size = frame.embedding_size;
  if (size < 1 || size > kMostLook || (tracker.look_size && size != tracker.look_size))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "embedding_size is %d, allowed is 1 to %d, the same in all frames",
                     size, (int)kMostLook);
  looks->assign(frame.embeddings, frame.embeddings + (size_t)frame.num_detections * (size_t)size);
  for (int32_t i = 0; i < frame.num_detections; ++i) {
    const std::span<float> look(looks->data() + (size_t)i * (size_t)size, (size_t)size);
    to_length_1(look);
    for (const float v : look)
      if (!std::isfinite(v))
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the embedding of detection %d has no length", i);
  }
  return TERN_OK;
}

tern_status read_detections(const tern_track_frame& frame, std::span<const float> looks, std::vector<TrackInput>* out) {
  out->clear();
  for (int32_t i = 0; i < frame.num_detections; ++i) {
    const tern_detection& d = frame.detections[i];
    for (const float v : {d.x0, d.y0, d.x1, d.y1, d.score})
      if (!std::isfinite(v)) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "detection %d: %g is no number", i, (double)v);
    if (d.x1 < d.x0 || d.y1 < d.y0)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "detection %d: the box (%g, %g) to (%g, %g) has a negative size", i,
                       (double)d.x0, (double)d.y0, (double)d.x1, (double)d.y1);
    const size_t size = looks.empty() ? 0 : (size_t)frame.embedding_size;
    if (d.x1 > d.x0 && d.y1 > d.y0)
      out->push_back({{d.x0, d.y0, d.x1, d.y1}, d.score, d.label, i, looks.subspan((size_t)i * size, size)});
  }
  return TERN_OK;
}

}  // namespace

extern "C" {

tern_status tern_tracker_create(const tern_tracker_options* options, tern_tracker** tracker) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_tracker_create");
    TERN_CHECK_NOT_NULL(tracker);
    tern_tracker_options o = TERN_TRACKER_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_tracker_options"));
    if (o.method < TERN_TRACK_BYTE || o.method > TERN_TRACK_BOTSORT)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "method is %d, allowed is 0 to 2", o.method);
    TERN_TRY(check_range(o.high_score, 1, "high_score"));
    TERN_TRY(check_range(o.low_score, 1, "low_score"));
    TERN_TRY(check_range(o.new_score, 1, "new_score"));
    TERN_TRY(check_range(o.min_overlap, 1, "min_overlap"));
    TERN_TRY(check_range(o.frame_rate, 1e5, "frame_rate"));
    TERN_TRY(check_range(o.max_lost, 1e6, "max_lost"));
    const bool ocsort = o.method == TERN_TRACK_OCSORT, bot = o.method == TERN_TRACK_BOTSORT;
    const auto own = [](float given, double otherwise) { return given > 0 ? (double)given : otherwise; };
    Tracker::Options t;
    t.high = own(o.high_score, 0.6);
    t.low = own(o.low_score, ocsort ? 1 : 0.1);
    t.fresh = own(o.new_score, ocsort ? t.high : t.high + 0.1);
    t.overlap = own(o.min_overlap, ocsort ? 0.3 : bot ? 0.2 : 0.1);
    t.frame_rate = own(o.frame_rate, 30);
    t.max_lost = own(o.max_lost, 1);
    t.across_labels = o.across_labels != 0;
    auto made = std::make_unique<tern_tracker>();
    made->task = ocsort ? make_ocsort_tracker(t) : bot ? make_botsort_tracker(t) : make_byte_tracker(t);
    made->method = (tern_track_method)o.method;
    made->options = t;
    *tracker = made.release();
    return TERN_OK;
  });
}

void tern_tracker_release(tern_tracker* tracker) noexcept {
  if (kHere) delete tracker;
}

tern_status tern_tracker_update(tern_tracker* tracker, const tern_track_frame* frame, tern_track* tracks,
                                int32_t capacity, int32_t* count) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_tracker_update");
    TERN_CHECK_NOT_NULL(tracker);
    TERN_CHECK_NOT_NULL(frame);
    TERN_CHECK_NOT_NULL(count);
    TERN_TRY(check_input_struct(frame, sizeof *frame, sizeof *frame, "tern_track_frame"));
    if (capacity < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "capacity is %d", capacity);
    if (capacity > 0) TERN_TRY(check_not_null(tracks, "the array for tracks"));
    if (frame->num_detections < 0)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "num_detections is %d", frame->num_detections);
    if (frame->num_detections > 0) TERN_TRY(check_not_null(frame->detections, "the detections"));
    Hold hold;
    TERN_TRY(hold.alone(tracker->in_use, "this tracker"));
    double frames = 1, time = tracker->time + 1 / tracker->options.frame_rate;
    const bool given = !(frame->time < 0);
    if (given) {
      time = frame->time;
      if (!(time <= kMostTime))
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "time is %g, allowed is up to %g", time, kMostTime);
      if (tracker->timed) {
        if (!(time > tracker->time))
          return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "time is %g s, and that of the frame before %g s", time,
                           tracker->time);
        frames = (time - tracker->time) * tracker->options.frame_rate;
      }
    }
    double camera[6];
    TERN_TRY(read_look(*tracker, *frame, &tracker->looked, camera));
    TERN_TRY(read_detections(*frame, tracker->looked, &tracker->detections));
    TERN_TRY(tracker->task->update({tracker->detections, frames, frame->camera ? camera : nullptr}, &tracker->tracks));
    if (frame->embeddings) tracker->look_size = frame->embedding_size;
    tracker->time = time;
    tracker->timed = tracker->timed || given;
    *count = (int32_t)tracker->tracks.size();
    for (int32_t i = 0; i < *count && i < capacity; ++i) tracks[i] = tracker->tracks[(size_t)i];
    return TERN_OK;
  });
}

tern_status tern_tracker_reset(tern_tracker* tracker) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_tracker_reset");
    TERN_CHECK_NOT_NULL(tracker);
    Hold hold;
    TERN_TRY(hold.alone(tracker->in_use, "this tracker"));
    tracker->task->reset();
    tracker->time = 0;
    tracker->look_size = 0;
    tracker->timed = false;
    return TERN_OK;
  });
}

tern_status tern_tracker_save(const tern_tracker* tracker, void* data, uint64_t capacity, uint64_t* size) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_tracker_save");
    TERN_CHECK_NOT_NULL(tracker);
    TERN_CHECK_NOT_NULL(size);
    if (capacity > 0) TERN_TRY(check_not_null(data, "the memory for the bytes"));
    Hold hold;
    TERN_TRY(hold.shared(tracker->in_use, "this tracker"));
    std::vector<uint8_t> bytes;
    TERN_TRY(save_tracker(*tracker, &bytes));
    if (bytes.size() <= capacity) std::memcpy(data, bytes.data(), bytes.size());
    *size = bytes.size();
    return TERN_OK;
  });
}

tern_status tern_tracker_load(tern_tracker* tracker, const void* data, uint64_t size) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::vision, "tern_tracker_load");
    TERN_CHECK_NOT_NULL(tracker);
    TERN_CHECK_NOT_NULL(data);
    Hold hold;
    TERN_TRY(hold.alone(tracker->in_use, "this tracker"));
    return load_tracker({static_cast<const uint8_t*>(data), (size_t)size}, tracker);
  });
}
}
