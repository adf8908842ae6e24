// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as a saved tracker, of each method; as they are, and once more with a checksum that fits. A
// tracker that took them goes on, and can be saved again.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "format/checksum.h"
#include "tern/tern.h"

namespace {

void check(bool good) {
  if (!good) std::abort();
}

void go_on(tern_tracker* tracker) {
  for (int f = 0; f < 5; ++f) {
    std::vector<tern_detection> found;
    for (int i = 0; i < 6; ++i) {
      const float x = (float)(20 + 90 * i + 3 * f), y = (float)(40 + 20 * i);
      found.push_back({x, y, x + 40, y + 80, i == f ? 0.3f : 0.9f, i == 5});
    }
    tern_track_frame frame = TERN_TRACK_FRAME_INIT;
    frame.num_detections = (int32_t)found.size();
    frame.detections = found.data();
    tern_track tracks[6];
    int32_t count = 0;
    if (tern_tracker_update(tracker, &frame, tracks, 6, &count) != TERN_OK) return;
    for (int32_t i = 0; i < count && i < 6; ++i)
      check(std::isfinite(tracks[i].x0) && std::isfinite(tracks[i].y0) && std::isfinite(tracks[i].x1) &&
            std::isfinite(tracks[i].y1));
  }
}

void load(const std::vector<uint8_t>& bytes) {
  for (const int32_t method : {TERN_TRACK_BYTE, TERN_TRACK_OCSORT, TERN_TRACK_BOTSORT}) {
    tern_tracker_options o = TERN_TRACKER_OPTIONS_INIT;
    o.method = method;
    tern_tracker* tracker = nullptr;
    check(tern_tracker_create(&o, &tracker) == TERN_OK);
    if (tern_tracker_load(tracker, bytes.data(), bytes.size()) == TERN_OK) {
      go_on(tracker);
      uint64_t size = 0;
      check(tern_tracker_save(tracker, nullptr, 0, &size) == TERN_OK);
      std::vector<uint8_t> again(size);
      check(tern_tracker_save(tracker, again.data(), size, &size) == TERN_OK);
      check(tern_tracker_load(tracker, again.data(), size) == TERN_OK);
    }
    tern_tracker_release(tracker);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  bytes.shrink_to_fit();
  load(bytes);
  if (size < 24) return 0;
  const uint64_t sum = tern::checksum64(bytes.data() + 24, size - 24);
  std::memcpy(bytes.data() + 16, &sum, sizeof sum);
  load(bytes);
  return 0;
}
