// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/reference_backend.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "base/checked.h"
#include "ops/op.h"

namespace tern::test {
namespace {

constexpr uint64_t kPage = 4096;

// Device memory: a mapping of its own that is locked (no access) unless the device works on it. The content ends at the
// end of the last page, followed by a page that is never accessible.
struct Memory {
  char* map;
  uint64_t pages;
  char* data;
};

struct Plan : BackendPlan {
  const Graph* graph = nullptr;
  std::vector<int32_t> nodes;
  std::vector<Location> locations;
  std::vector<ValueId> scalars;
  std::vector<Memory*> bound;  // per slot
  std::vector<NodeTime> times;
  bool profile = false;
};

struct Device {
  bool halting;
  std::vector<Memory*> all;
};

void lock(Memory& m, bool locked) { mprotect(m.map, m.pages * kPage, locked ? PROT_NONE : PROT_READ | PROT_WRITE); }

struct Unlocked {
  Memory& m;
  explicit Unlocked(Memory& memory) : m(memory) { lock(m, false); }
  ~Unlocked() { lock(m, true); }
};

template <bool kHalting>
tern_status probe(DeviceInfo* infos, int32_t capacity, int32_t* count) {
  if (capacity > 0) std::snprintf(infos[0].device, sizeof infos[0].device, "plain loops");
  *count = 1;
  return TERN_OK;
}

template <bool kHalting>
tern_status open(const DeviceInfo*, const tern_allocator*, ThreadPool*, void** self) {
  *self = new Device{kHalting, {}};
  return TERN_OK;
}

void close(void* self) { delete (Device*)self; }

DeviceLimits limits(void*) { return {256, UINT64_MAX, false}; }

Support supports(void* self, const Graph&, const Node& node) {
  if (!node.op->reference) return {SupportKind::no, "composites are decomposed"};
  if (((Device*)self)->halting) {
    unsigned h = 0;
    for (const char* c = node.op->name; *c; ++c) h = h * 31 + (unsigned char)*c;
    if (h % 2) return {SupportKind::no, "every second operator is refused"};
  }
  return {SupportKind::kernel, ""};
}

tern_status alloc(void* self, uint64_t bytes, MemoryKind, Buffer* out) {
  std::vector<Memory*>& all = ((Device*)self)->all;
  all.reserve(all.size() + 1);
  auto* m = new Memory{};
  m->pages = align_up(bytes ? bytes : 1, kPage) / kPage;
  void* map = mmap(nullptr, (m->pages + 1) * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) {
    delete m;
    return TERN_FAIL(TERN_ERR_MEMORY, "reference backend: no memory for %" PRIu64 " bytes", bytes);
  }
  m->map = (char*)map;
  std::memset(m->map, 0xA5, m->pages * kPage);  // what was not written shows
  mprotect(m->map + m->pages * kPage, kPage, PROT_NONE);
  m->data = m->map + m->pages * kPage - align_up(bytes, 64);
  lock(*m, true);
  all.push_back(m);
  *out = {m, bytes};
  return TERN_OK;
}

tern_status import_memory(void*, void*, uint64_t, Buffer*) {
  return TERN_FAIL(TERN_ERR_UNSUPPORTED, "reference backend: memory of its own only");
}

void release(void* self, Buffer* b) {
  auto* m = (Memory*)b->handle;
  if (!m) return;
  std::erase(((Device*)self)->all, m);
  munmap(m->map, (m->pages + 1) * kPage);
  delete m;
  *b = {};
}

tern_status copy_one(const Copy& c) {
  Memory& m = *(Memory*)c.device.handle;
  if (!range_within(c.device_offset, c.bytes, c.device.bytes))
    return TERN_FAIL(TERN_ERR_INTERNAL, "reference backend: copy outside a buffer");
  Unlocked open(m);
  char* data = m.data + c.device_offset;
  if (c.direction == Copy::to_device) {
    std::memcpy(data, c.host, c.bytes);
  } else if (c.direction == Copy::to_host) {
    std::memcpy(c.host, data, c.bytes);
  } else {
    Memory& o = *(Memory*)c.other.handle;
    Unlocked open_other(o);
    std::memmove(o.data + c.other_offset, data, c.bytes);
  }
  return TERN_OK;
}

tern_status copy(void*, std::span<const Copy> copies, std::span<const Fence>, Fence* done) {
  for (const Copy& c : copies) TERN_TRY(copy_one(c));
  *done = 0;
  return TERN_OK;
}

tern_status compile(void*, const Partition& p, BackendPlan** out) {
  auto plan = std::make_unique<Plan>();
  plan->graph = p.graph;
  plan->nodes.assign(p.nodes.begin(), p.nodes.end());
  plan->locations.assign(p.locations.begin(), p.locations.end());
  plan->scalars.assign(p.scalars.begin(), p.scalars.end());
  plan->profile = p.profile;
  *out = plan.release();
  return TERN_OK;
}

void plan_release(void*, BackendPlan* plan) { delete static_cast<Plan*>(plan); }
PlanStats plan_stats(void*, const BackendPlan*) { return {}; }
std::span<const NodeTime> plan_times(void*, const BackendPlan* plan) { return static_cast<const Plan*>(plan)->times; }

tern_status rebind(void*, BackendPlan* base, std::span<const Buffer> slots) {
  Plan* plan = static_cast<Plan*>(base);
  plan->bound.clear();
  for (const Buffer& b : slots) plan->bound.push_back((Memory*)b.handle);
  return TERN_OK;
}

tern_status submit(void* self, BackendPlan* base, std::span<const int64_t> scalars, const RunControl& control,
                   std::span<const Fence>, Fence* done) {
  Plan* plan = static_cast<Plan*>(base);
  const Graph& g = *plan->graph;
  std::vector<Memory*> used = plan->bound;
  for (const Value& v : g.values)
    if (v.paged) used = ((Device*)self)->all;  // pages, too
  for (Memory* m : used)
    if (m) lock(*m, false);
  // Run-time scalars arrive by value.
  for (size_t k = 0; k < plan->scalars.size(); ++k) {
    const ValueId v = plan->scalars[k];
    const Location& loc = plan->locations[(size_t)v];
    if (loc.slot >= 0)
      std::memcpy(plan->bound[(size_t)loc.slot]->data + loc.offset, &scalars[k], dtype_size(g.value(v).dtype));
  }
  tern_status status = TERN_OK;
  plan->times.clear();
  for (const int32_t i : plan->nodes) {
    if ((status = check_control(control)) != TERN_OK) break;
    const Node& n = g.nodes[(size_t)i];
    const auto tensor = [&](ValueId v) {
      const Value& value = g.value(v);
      const Location& loc = plan->locations[(size_t)v];
      char* const slot = plan->bound[(size_t)loc.slot]->data;
      return RefTensor{value.dtype, value.encoding,
                       value.shape, slot + (value.paged ? 0 : loc.offset),
                       value.paged, value.paged ? loc.offset : 0};
    };
    std::vector<RefTensor> ins(n.in.size()), outs(n.out.size());
    for (size_t a = 0; a < ins.size(); ++a)
      if (n.in[a] != kNoValue) ins[a] = tensor(n.in[a]);
    for (size_t a = 0; a < outs.size(); ++a) outs[a] = tensor(n.out[a]);
    const uint64_t begin = monotonic_ns();
    if ((status = evaluate(n, ins.data(), outs.data())) != TERN_OK) break;
    if (plan->profile) plan->times.push_back({i, begin, monotonic_ns()});
  }
  for (Memory* m : used)
    if (m) lock(*m, true);
  *done = 0;
  return status;
}

tern_status wait(void*, Fence, uint64_t) { return TERN_OK; }

uint64_t address(void*, const Buffer& buffer) { return (uint64_t)(uintptr_t)((Memory*)buffer.handle)->data; }

template <bool kHalting>
constexpr BackendApi kApi = {
    .struct_size = (uint32_t)sizeof(BackendApi),
    .api_version = 2,
    .name = kHalting ? "halting" : "reference",
    .probe = probe<kHalting>,
    .open = open<kHalting>,
    .close = close,
    .limits = limits,
    .supports = supports,
    .fuse = nullptr,
    .alloc = alloc,
    .import_memory = import_memory,
    .free = release,
    .copy = copy,
    .compile = compile,
    .plan_release = plan_release,
    .plan_stats = plan_stats,
    .plan_times = plan_times,
    .rebind = rebind,
    .submit = submit,
    .wait = wait,
    .writes_pitch = nullptr,
    .address = address,
};

}  // namespace

const BackendApi& reference_backend() { return kApi<false>; }
const BackendApi& halting_backend() { return kApi<true>; }

}  // namespace tern::test
