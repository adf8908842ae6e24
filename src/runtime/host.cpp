// SPDX-License-Identifier: Apache-2.0
#include "runtime/host.h"

#include <algorithm>
#include <cstring>

namespace tern {

int32_t threads_worth(double flops, int64_t units, int32_t max_threads) {
  const double worth = std::min(flops / 150e3, (double)max_threads);
  return (int32_t)std::clamp<int64_t>(std::min((int64_t)worth, units), 1, max_threads);
}

tern_status host_alloc(void* self, uint64_t bytes, MemoryKind, Buffer* out) {
  HostDevice& d = *(HostDevice*)self;
  void* p =
      d.allocator->allocate(d.allocator->user, (size_t)std::max<uint64_t>(bytes, 64), bytes >= (2u << 20) ? 4096 : 64);
  if (!p) return TERN_FAIL(TERN_ERR_MEMORY, "no memory for %" PRIu64 " bytes of activations", bytes);
  *out = {p, bytes};
  return TERN_OK;
}

tern_status host_import(void*, void* host, uint64_t bytes, Buffer* out) {
  *out = {host, bytes};
  return TERN_OK;
}

void host_free(void* self, Buffer* buffer) {
  HostDevice& d = *(HostDevice*)self;
  if (buffer->handle)
    d.allocator->release(d.allocator->user, buffer->handle, (size_t)std::max<uint64_t>(buffer->bytes, 64));
  *buffer = {};
}

tern_status host_copy(void*, std::span<const Copy> copies, std::span<const Fence>, Fence* done) {
  for (const Copy& c : copies) {
    char* device = (char*)c.device.handle + c.device_offset;
    if (c.direction == Copy::to_device) std::memcpy(device, c.host, c.bytes);
    else if (c.direction == Copy::to_host) std::memcpy(c.host, device, c.bytes);
    else std::memmove((char*)c.other.handle + c.other_offset, device, c.bytes);
  }
  *done = 0;
  return TERN_OK;
}

}  // namespace tern
