// SPDX-License-Identifier: Apache-2.0
#include "runtime/context.h"

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdlib>

#include "base/text.h"

namespace tern {

uint64_t monotonic_ns() {
  return (uint64_t)std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

tern_status check_control(const RunControl& control) {
  if (control.cancel && control.cancel->load(std::memory_order_relaxed))
    return TERN_FAIL(TERN_ERR_CANCELLED, "the run was cancelled");
  if (control.deadline_ns && monotonic_ns() > control.deadline_ns)
    return TERN_FAIL(TERN_ERR_DEADLINE, "the run passed its deadline");
  return TERN_OK;
}

tern_status check_room(const Partition& partition, uint64_t bytes) {
  if (bytes <= partition.max_bytes) return TERN_OK;
  return TERN_FAIL(TERN_ERR_LIMIT,
                   "a part of the plan needs %" PRIu64 " bytes of work space, the limit leaves %" PRIu64, bytes,
                   partition.max_bytes);
}

Context::Context(const Options& options, std::span<const BackendApi* const> backends)
    : options_(options), pool_(options.threads), tables_(backends.begin(), backends.end()) {}

Context::~Context() {
  for (const auto& b : opened_) b->api->close(b->self);
}

tern_status Context::open_backend(std::string_view name, const Backend** backend) {
  bool fresh = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    TERN_TRY(find_or_open(name, backend, &fresh));
  }
  if (fresh) log(2, "backend '%s' opened: %s", (*backend)->name.c_str(), (*backend)->info.device);
  return TERN_OK;
}

tern_status Context::find_or_open(std::string_view name, const Backend** backend, bool* fresh) {
  for (const auto& b : opened_)
    if (name == b->name) return *backend = b.get(), TERN_OK;
  const size_t colon = name.find(':');
  const std::string_view kind = name.substr(0, colon);
  const std::string number(colon == std::string_view::npos ? "0" : name.substr(colon + 1));
  int64_t device = -1;
  if (number.size() < 4 && number.find_first_not_of("0123456789") == std::string::npos && !number.empty())
    device = std::atoi(number.c_str());
  for (const BackendApi* api : tables_) {
    if (kind != api->name) continue;
    std::vector<DeviceInfo> infos((size_t)std::max<int64_t>(device, 0) + 1);
    int32_t count = 0;
    TERN_TRY(api->probe(infos.data(), (int32_t)infos.size(), &count));
    if (count < 1) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "backend '%s': no device on this machine", api->name);
    if (device < 0 || device >= count)
      return TERN_FAIL(TERN_ERR_NOT_FOUND, "backend '%s' has no device '%s'; there are %d, from 0 on", api->name,
                       number.c_str(), count);
    auto b = std::make_unique<Backend>();
    b->api = api;
    b->info = infos[(size_t)device];
    b->name = name;
    if (device == 0) {
      b->name = kind;
      for (const auto& other : opened_)
        if (other->name == kind) return *backend = other.get(), TERN_OK;
    }
    opened_.reserve(opened_.size() + 1);
    TERN_TRY(api->open(&b->info, &options_.allocator, &pool_, &b->self));
    b->limits = api->limits(b->self);
    opened_.push_back(std::move(b));
    *fresh = true;
    *backend = opened_.back().get();
    return TERN_OK;
  }
  std::string names;
  for (const BackendApi* api : tables_) names += (names.empty() ? "" : ", ") + std::string(api->name);
  return TERN_FAIL(TERN_ERR_NOT_FOUND, "no backend '%.*s' in this build; there are: %s", (int)name.size(), name.data(),
                   names.c_str());
}

void Context::log(int32_t level, const char* format, ...) {
  if (!logs(level)) return;
  char text[512];
  va_list args;
  va_start(args, format);
  format_text(text, sizeof text, format, args);
  va_end(args);
  options_.log(options_.log_user, level, text);
}

}  // namespace tern
