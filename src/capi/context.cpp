// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <vector>

#include "backends/cpu/backend.h"
#include "base/text.h"
#include "capi/handle.h"

// Every backend of this build, the CPU first: backends/<name>/backend.cpp defines tern::<name>::backend().
#define TERN_BACKENDS(X) \
  X(cpu)                 \
  X(onednn)

#define TERN_DECLARE(name)     \
  namespace tern::name {       \
  const BackendApi& backend(); \
  }
TERN_BACKENDS(TERN_DECLARE)
#undef TERN_DECLARE

using namespace tern;
using namespace tern::capi;

namespace {

std::span<const BackendApi* const> backends() {
  static const BackendApi* const plain_loops = &cpu::reference_backend();
#define TERN_ADDRESS(name) &name::backend(),
  static const BackendApi* const list[] = {TERN_BACKENDS(TERN_ADDRESS) plain_loops};
#undef TERN_ADDRESS
  return list;
}

// Devices of a backend in the list; one that has none, or cannot be used, stands there with its reason.
int32_t places_of(const BackendApi& api) {
  int32_t count = 0;
  return api.probe(nullptr, 0, &count) == TERN_OK ? std::max(count, 1) : 1;
}

constexpr int32_t kMaxThreads = 256;

// Of the first version of the struct.
constexpr size_t kFirstSize = offsetof(tern_context_options, denormals);

tern_status read_context_options(const tern_context_options* given, Context::Options* out) {
  tern_context_options o = TERN_CONTEXT_OPTIONS_INIT;
  TERN_TRY(read_options(given, &o, "tern_context_options", kFirstSize));
  if (o.num_threads < 0 || o.num_threads > kMaxThreads)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "num_threads is %d, allowed is 0 (as many as there are CPUs) to %d",
                     o.num_threads, kMaxThreads);
  if (o.wait < TERN_WAIT_SPIN_THEN_SLEEP || o.wait > TERN_WAIT_SPIN)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "wait is %d, which is no tern_wait", o.wait);
  if (o.log_level < 0 || o.log_level > 3)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "log_level is %d, allowed is 0 to 3", o.log_level);
  if (o.allocator) {
    tern_allocator allocator = {};
    TERN_TRY(read_options(o.allocator, &allocator, "tern_allocator"));
    if (!allocator.allocate || !allocator.release)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_allocator: allocate and release must be set");
    out->allocator = allocator;
  }
  if (o.denormals < TERN_DENORMALS_FLUSH || o.denormals > TERN_DENORMALS_KEEP)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "denormals is %d, which is no tern_denormals", o.denormals);
  if (o.tiles < TERN_TILES_AUTO || o.tiles > TERN_TILES_NEVER)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tiles is %d, which is no tern_tiles", o.tiles);
  out->threads = {o.num_threads,
                  o.affinity_mask,
                  o.wait,
                  o.parallel,
                  o.parallel_user,
                  o.denormals == TERN_DENORMALS_KEEP,
                  o.tiles == TERN_TILES_AUTO};
  out->log = o.log;
  out->log_user = o.log_user;
  out->log_level = o.log_level;
  return TERN_OK;
}

}  // namespace

extern "C" {

tern_status tern_context_options_init(tern_context_options* options, size_t size) noexcept {
  const tern_context_options defaults = TERN_CONTEXT_OPTIONS_INIT;
  return init_struct(options, size, &defaults, kFirstSize, sizeof defaults, "tern_context_options");
}

tern_status tern_context_create(const tern_context_options* options, tern_context** context) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(context);
    Context::Options o;
    TERN_TRY(read_context_options(options, &o));
    *context = to_handle(new Context(o, backends()));
    return TERN_OK;
  });
}

void tern_context_release(tern_context* context) noexcept {
  if (context) to_object(context)->release();
}

int32_t tern_context_num_devices(const tern_context* context) noexcept {
  if (!context) return 0;
  int32_t count = 0;
  for (const BackendApi* api : to_object(context)->backend_tables()) count += places_of(*api);
  return count;
}

tern_status tern_context_get_device(const tern_context* context, int32_t index, tern_device_info* info) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(context);
    TERN_TRY(check_output_struct(info, sizeof *info, "tern_device_info"));
    int32_t device = index;
    const BackendApi* found = nullptr;
    for (const BackendApi* api : to_object(context)->backend_tables()) {
      if (index < 0) break;
      const int32_t places = places_of(*api);
      if (device < places) {
        found = api;
        break;
      }
      device -= places;
    }
    if (!found)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "device %d: there are %d", index, tern_context_num_devices(context));
    tern_device_info result = TERN_DEVICE_INFO_INIT;
    std::vector<DeviceInfo> devices((size_t)device + 1);
    int32_t count = 0;
    const tern_status status = found->probe(devices.data(), device + 1, &count);
    set_text(result.backend, sizeof result.backend, device ? "%s:%d" : "%s", found->name, device);
    set_text(result.device, sizeof result.device, "%s", devices.back().device);
    result.memory_bytes = devices.back().memory_bytes;
    result.available = status == TERN_OK && count > device;
    if (!result.available)
      set_text(result.reason, sizeof result.reason, "%s",
               status != TERN_OK ? thread_error().message : "no device on this machine");
    return write_struct(result, info, "tern_device_info");
  });
}

tern_status tern_cancel_create(tern_cancel** cancel) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(cancel);
    *cancel = new tern_cancel;
    return TERN_OK;
  });
}

void tern_cancel_signal(tern_cancel* cancel) noexcept {
  if (cancel) cancel->signalled.store(1, std::memory_order_relaxed);
}

void tern_cancel_reset(tern_cancel* cancel) noexcept {
  if (cancel) cancel->signalled.store(0, std::memory_order_relaxed);
}

void tern_cancel_release(tern_cancel* cancel) noexcept { delete cancel; }
}
