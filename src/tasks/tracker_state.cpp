// SPDX-License-Identifier: Apache-2.0
// Saved trackers: "TERNTRAK", version, checksum of all that follows; method and options; time; what the tracker knows.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>

#include "format/checksum.h"
#include "tasks/tracker.h"

namespace tern {
namespace {

constexpr char kMagic[8] = {'T', 'E', 'R', 'N', 'T', 'R', 'A', 'K'};
constexpr uint64_t kVersion = 1;
constexpr size_t kHead = sizeof kMagic + 2 * sizeof(uint64_t);

// What must be the same in the tracker that goes on.
void archive_options(Archive& a, const TrackerState& state) {
  int64_t method = state.method;
  a.integer("the method", method, TERN_TRACK_BYTE, TERN_TRACK_BOTSORT);
  Tracker::Options o = state.options;
  const struct {
    const char* name;
    double* value;
    double wanted;
  } numbers[] = {{"high_score", &o.high, state.options.high},
                 {"low_score", &o.low, state.options.low},
                 {"new_score", &o.fresh, state.options.fresh},
                 {"min_overlap", &o.overlap, state.options.overlap},
                 {"frame_rate", &o.frame_rate, state.options.frame_rate},
                 {"max_lost", &o.max_lost, state.options.max_lost}};
  for (const auto& n : numbers) a.number(n.name, *n.value);
  a.flag("across_labels", o.across_labels);
  if (!a.reading() || a.status() != TERN_OK) return;
  if (method != state.method) {
    a.fail(TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the state was saved with method %" PRId64 ", this tracker's is %d",
                     method, state.method));
    return;
  }
  for (const auto& n : numbers)
    if (*n.value != n.wanted) {
      a.fail(TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the state was saved with a %s of %g, this tracker's is %g", n.name,
                       *n.value, n.wanted));
      return;
    }
  if (o.across_labels != state.options.across_labels)
    a.fail(TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the state was saved with another across_labels"));
}

}  // namespace

void archive_ids(Archive& a, std::vector<int64_t> ids) {
  if (!a.reading() || a.status() != TERN_OK) return;
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) a.refuse("the number of a track", "is there twice");
}

tern_status save_tracker(const TrackerState& state, std::vector<uint8_t>* bytes) {
  bytes->assign(kHead, 0);
  Archive a(bytes);
  archive_options(a, state);
  TrackerState now{.time = state.time, .timed = state.timed, .look_size = state.look_size};
  a.number("the time", now.time);
  a.flag("the flag that frames have a time", now.timed);
  a.integer("embedding_size", now.look_size, 0, kMostLook);
  TERN_TRY(state.task->archive(a));
  const uint64_t sum = checksum64(bytes->data() + kHead, bytes->size() - kHead);
  std::memcpy(bytes->data(), kMagic, sizeof kMagic);
  std::memcpy(bytes->data() + 8, &kVersion, sizeof kVersion);
  std::memcpy(bytes->data() + 16, &sum, sizeof sum);
  return TERN_OK;
}

tern_status load_tracker(std::span<const uint8_t> bytes, TrackerState* state) {
  if (bytes.size() < kHead || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "this is no saved tracker");
  uint64_t version, sum;
  std::memcpy(&version, bytes.data() + 8, sizeof version);
  std::memcpy(&sum, bytes.data() + 16, sizeof sum);
  if (version != kVersion)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION, "the saved tracker has version %" PRIu64 ", this library reads 1",
                     version);
  if (checksum64(bytes.data() + kHead, bytes.size() - kHead) != sum)
    return TERN_FAIL(TERN_ERR_CHECKSUM, "the saved tracker is damaged: its checksum is another");
  Archive a(bytes.subspan(kHead));
  archive_options(a, *state);
  TrackerState read;
  a.number("the time", read.time);
  a.flag("the flag that frames have a time", read.timed);
  a.integer("embedding_size", read.look_size, 0, kMostLook);
  if (!(std::fabs(read.time) <= 2 * kMostTime)) a.refuse("the time", "is too far away");
  TERN_TRY(a.status());
  TERN_TRY(state->task->archive(a));
  state->time = read.time;
  state->timed = read.timed;
  state->look_size = read.look_size;
  return TERN_OK;
}

}  // namespace tern
