// SPDX-License-Identifier: Apache-2.0
// A third implementation of the backend interface, for tests: the reference backend's work, done later by a thread of
// its own, after random delays, in the order in which it was given. Who reads a result without waiting, or lets go of
// memory too early, is found out. It counts what it is asked for.
#pragma once
#include "runtime/backend.h"

namespace tern::test {

struct DeferredCounters {
  int64_t uploads = 0, upload_bytes = 0;  // copies to the device
  int64_t downloads = 0, download_bytes = 0;
  int64_t submits = 0, waits = 0, rebinds = 0, compiles = 0;
};

// Named "deferred", with two devices.
const BackendApi& deferred_backend();
// Since the last call, of all devices.
DeferredCounters take_deferred_counters();

}  // namespace tern::test
