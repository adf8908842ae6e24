// SPDX-License-Identifier: Apache-2.0
// What backends share that work in the host's memory, on its threads. The opened object (`self`) of such a backend
// begins with a HostDevice.
#pragma once
#include "runtime/backend.h"

namespace tern {

struct HostDevice {
  const tern_allocator* allocator;
  ThreadPool* pool;
};

// Threads among which `units` of work are divided, 1 to max_threads: for each at least some 3 microseconds of
// arithmetic, as below that handing over costs more than it brings.
int32_t threads_worth(double flops, int64_t units, int32_t max_threads);

tern_status host_alloc(void* self, uint64_t bytes, MemoryKind kind, Buffer* out);
tern_status host_import(void* self, void* host, uint64_t bytes, Buffer* out);
void host_free(void* self, Buffer* buffer);
tern_status host_copy(void* self, std::span<const Copy> copies, std::span<const Fence> after, Fence* done);

}  // namespace tern
