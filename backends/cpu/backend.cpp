// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/backend.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "backends/cpu/fusion.h"
#include "backends/cpu/prepare.h"
#include "ops/fused.h"
#include "runtime/host.h"

namespace tern::cpu {
namespace {

struct Plan : BackendPlan {
  std::vector<Call> calls;
  std::vector<Patch> patches;       // sorted by slot
  std::vector<size_t> first_patch;  // per slot, and one more
  std::vector<void*> bound;         // per slot: where the patches point
  PlanMemory memory;
  Block scratch, workspace;
  size_t scratch_stride = 0;  // bytes of each thread
  std::vector<NodeTime> times;
  const Graph* graph = nullptr;
  bool profile = false;
};

struct Device : HostDevice {
  bool plain = false;  // without kernels
};
const Device& device_of(const void* self) { return *static_cast<const Device*>((const HostDevice*)self); }

void copy_text(char* out, size_t n, const char* text) { std::snprintf(out, n, "%s", text); }

// The processor's own name; a look into /proc/cpuinfo would take longer than the rest of opening a session.
void processor_name(char* out, size_t n) {
  copy_text(out, n, "CPU");
#if defined(__x86_64__) || defined(__i386__)
  unsigned words[13] = {};
  for (unsigned i = 0; i < 3; ++i)
    if (!__get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3])) return;
  copy_text(out, n, (const char*)words + std::strspn((const char*)words, " "));
#endif
}

tern_status probe(DeviceInfo* infos, int32_t capacity, int32_t* count) {
  if (capacity > 0) {
    copy_text(infos[0].backend, sizeof infos[0].backend, "cpu");
    char name[64];
    processor_name(name, sizeof name);
    std::snprintf(infos[0].device, sizeof infos[0].device, "%s, %s", name, kernels().isa);
    infos[0].memory_bytes = 0;
  }
  *count = 1;
  return TERN_OK;
}

tern_status open(const DeviceInfo*, const tern_allocator* allocator, ThreadPool* pool, void** self) {
  *self = static_cast<HostDevice*>(new Device{{allocator, pool}, false});
  return TERN_OK;
}

tern_status probe_plain(DeviceInfo* infos, int32_t capacity, int32_t* count) {
  if (capacity > 0)
    copy_text(infos[0].device, sizeof infos[0].device,
              "plain loops on one thread, without fusion: slow, to compare with");
  *count = 1;
  return TERN_OK;
}

tern_status open_plain(const DeviceInfo*, const tern_allocator* allocator, ThreadPool* pool, void** self) {
  *self = static_cast<HostDevice*>(new Device{{allocator, pool}, true});
  return TERN_OK;
}

void close(void* self) { delete &device_of(self); }

DeviceLimits limits(void* self) { return {.host_memory = true, .as_written = device_of(self).plain}; }

Support supports(void* self, const Graph& graph, const Node& node) {
  if (device_of(self).plain)
    return {node.op->reference ? SupportKind::reference : SupportKind::no, "plain loops were asked for"};
  const CpuOp* op = find_cpu_op(node.op);
  const char* why = op ? op->refuses(graph, node) : "no kernel for this operator";
  if (!why) return {SupportKind::kernel, ""};
  return {node.op->reference ? SupportKind::reference : SupportKind::no, why};
}

// ---- an operator's own reference loops as a call ----

struct ReferenceArgs {
  const Node* node;
  RefTensor* ins;
  RefTensor* outs;
  tern_status* status;
};

void run_reference(const void* args, int64_t, int64_t, void*) {
  const ReferenceArgs& a = *(const ReferenceArgs*)args;
  const tern_status s = evaluate(*a.node, a.ins, a.outs);
  if (s != TERN_OK) *a.status = s;
}

void prepare_reference(Prepare& p) {
  ReferenceArgs& a = p.args<ReferenceArgs>();
  a.node = &p.node;
  a.ins = p.array<RefTensor>(p.node.in.size());
  a.outs = p.array<RefTensor>(p.node.out.size());
  a.status = p.error_flag();
  for (size_t i = 0; i < p.node.in.size(); ++i) {
    if (p.node.in[i] == kNoValue) continue;
    const Value& v = p.in((int)i);
    a.ins[i] = {v.dtype, v.encoding, v.shape, nullptr, v.paged};
    if (v.paged) a.ins[i].page_offset = p.pages(a.ins[i].data, p.node.in[i]);
    else p.pointer(a.ins[i].data, p.node.in[i]);
  }
  for (size_t i = 0; i < p.node.out.size(); ++i) {
    const Value& v = p.out((int)i);
    a.outs[i] = {v.dtype, v.encoding, v.shape, nullptr, v.paged};
    if (v.paged) a.outs[i].page_offset = p.pages(a.outs[i].data, p.node.out[i]);
    else p.pointer(a.outs[i].data, p.node.out[i]);
  }
  p.call(run_reference, &a, 1, 0, 0);
}

// Nothing to compute, as in evaluate: the results are empty, and no indices have to be checked.
bool is_idle(const Graph& g, const Node& n) {
  const auto full = [&](ValueId v) { return v != kNoValue && g.value(v).shape.elements() > 0; };
  const auto index = [&](ValueId v) { return full(v) && is_integer(g.value(v).dtype); };
  return !n.out.empty() && std::none_of(n.out.begin(), n.out.end(), full) &&
         std::none_of(n.in.begin(), n.in.end(), index);
}

// A view that lies where its source lies is there already. Nothing may be written then, not even the same bytes: the
// source may be a parameter in a file mapped for reading.
bool is_in_place(const Partition& partition, const Node& n) {
  if (!(n.op->flags & kView)) return false;
  const Location &x = partition.locations[(size_t)n.in[0]], &y = partition.locations[(size_t)n.out[0]];
  return x.slot >= 0 && x.slot == y.slot && x.offset == y.offset && x.bytes == y.bytes && x.pitch == y.pitch;
}

tern_status compile(void* self, const Partition& partition, BackendPlan** out) {
  const Device& device = device_of(self);
  auto plan = std::make_unique<Plan>();
  plan->graph = partition.graph;
  plan->profile = partition.profile;
  for (const int32_t i : partition.nodes) {
    TERN_TRY(check_control(partition.control));
    const Node& node = partition.graph->nodes[(size_t)i];
    if (is_idle(*partition.graph, node) || is_in_place(partition, node)) continue;
    Prepare p(partition, i, kernels(), *device.allocator, *device.pool, plan->memory, plan->calls, plan->patches);
    const CpuOp* op = device.plain ? nullptr : find_cpu_op(p.node.op);
    if (op && !op->refuses(p.g, p.node)) TERN_TRY(op->prepare(p));
    else prepare_reference(p);
  }
  std::stable_sort(plan->patches.begin(), plan->patches.end(),
                   [](const Patch& a, const Patch& b) { return a.slot < b.slot; });
  const size_t num_slots = plan->patches.empty() ? 0 : (size_t)plan->patches.back().slot + 1;
  plan->first_patch.assign(num_slots + 1, plan->patches.size());
  for (size_t i = plan->patches.size(); i-- > 0;) plan->first_patch[(size_t)plan->patches[i].slot] = i;
  for (size_t s = num_slots; s-- > 0;) plan->first_patch[s] = std::min(plan->first_patch[s], plan->first_patch[s + 1]);
  plan->bound.assign(num_slots, nullptr);
  uint64_t scratch = 0, room = 0;
  for (const Call& c : plan->calls) {
    uint64_t bytes = 0;
    if (!checked_align(c.scratch, 64, &bytes) || !checked_mul(bytes, (uint64_t)c.threads, &bytes)) bytes = UINT64_MAX;
    scratch = std::max(scratch, bytes);
  }
  if (!checked_add(scratch, plan->memory.workspace_bytes, &room) ||
      !checked_add(room, plan->memory.prepared_bytes, &room))
    room = UINT64_MAX;
  TERN_TRY(check_room(partition, room));
  if (scratch) TERN_TRY(plan->scratch.allocate(*device.allocator, scratch));
  if (plan->memory.workspace_bytes) TERN_TRY(plan->workspace.allocate(*device.allocator, plan->memory.workspace_bytes));
  for (void** field : plan->memory.workspace_fields) *field = plan->workspace.data();
  if (partition.profile) plan->times.reserve(plan->calls.size());
  *out = plan.release();
  return TERN_OK;
}

void plan_release(void*, BackendPlan* plan) { delete static_cast<Plan*>(plan); }

PlanStats plan_stats(void*, const BackendPlan* base) {
  const Plan* plan = static_cast<const Plan*>(base);
  return {plan->scratch.bytes() + plan->workspace.bytes(), plan->memory.prepared_bytes};
}

std::span<const NodeTime> plan_times(void*, const BackendPlan* plan) { return static_cast<const Plan*>(plan)->times; }

struct Job {
  const Call* call;
  char* scratch;
};

void run_share(void* user, int32_t i) {
  const Job& job = *(const Job*)user;
  const Call& c = *job.call;
  const int64_t begin = c.units * i / c.threads, end = c.units * (i + 1) / c.threads;
  if (begin < end) c.fn(c.args, begin, end, job.scratch + (c.scratch + 63) / 64 * 64 * (size_t)i);
}

tern_status rebind(void*, BackendPlan* base, std::span<const Buffer> slots) {
  Plan* plan = static_cast<Plan*>(base);
  for (size_t s = 0; s < plan->bound.size(); ++s) {
    if (plan->bound[s] == slots[s].handle) continue;
    for (size_t i = plan->first_patch[s]; i < plan->first_patch[s + 1]; ++i)
      *plan->patches[i].field = (char*)slots[s].handle + plan->patches[i].offset;
    plan->bound[s] = slots[s].handle;
  }
  return TERN_OK;
}

tern_status submit(void* self, BackendPlan* base, std::span<const int64_t>, const RunControl& control,
                   std::span<const Fence>, Fence* done) {
  HostDevice& device = *(HostDevice*)self;
  Plan* plan = static_cast<Plan*>(base);
  plan->times.clear();
  const bool watched = control.cancel || control.deadline_ns;
  for (const Call& c : plan->calls) {
    if (watched) TERN_TRY(check_control(control));
    const uint64_t begin = plan->profile ? monotonic_ns() : 0;
    if (c.threads <= 1) {
      c.fn(c.args, 0, c.units, plan->scratch.data());
    } else {
      Job job{&c, (char*)plan->scratch.data()};
      device.pool->run(c.threads, run_share, &job);
    }
    if (plan->profile) plan->times.push_back({c.node, begin, monotonic_ns()});
  }
  for (int32_t& flag : plan->memory.error_flags) {
    if (!flag) continue;
    const tern_status status = flag;
    for (int32_t& f : plan->memory.error_flags) f = 0;
    // Reference loops gave their own status and words; kernels only know that an index was bad.
    if (status != 1) return status;
    return TERN_FAIL(TERN_ERR_INDEX, "an index in an input tensor is out of range");
  }
  *done = 0;
  return TERN_OK;
}

tern_status wait(void*, Fence, uint64_t) { return TERN_OK; }

bool writes_pitch(void*, const Graph& graph, const Node& node) {
  const CpuOp* op = find_cpu_op(node.op);
  return op && op->writes_pitch && !is_fused(node, FusedPattern::chain) && !op->refuses(graph, node);
}

}  // namespace

void Prepare::call(KernelFn fn, const void* args, int64_t units, double flops, size_t scratch) {
  if (units <= 0) return;
  calls_.push_back({fn, args, units, threads_worth(flops * (double)units, units, max_threads()), node_index_, scratch});
}

bool is_f64(const Graph& g, const Node& n) {
  for (const auto* list : {&n.in, &n.out})
    for (const ValueId v : *list)
      if (v != kNoValue && (g.value(v).dtype != TERN_DTYPE_F64 || !is_plain(g.value(v).encoding) || g.value(v).paged))
        return false;
  return true;
}

const char* refuse_unless_f32(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).dtype != TERN_DTYPE_F32) return "the kernel takes f32 only";
  for (const auto* list : {&n.in, &n.out})
    for (const ValueId v : *list)
      if (v != kNoValue && is_float(g.value(v).dtype) &&
          (g.value(v).dtype != TERN_DTYPE_F32 || !is_plain(g.value(v).encoding)))
        return "the kernel takes f32 only";
  return nullptr;
}

const CpuOp* find_cpu_op(const Op* op) {
  if (op->elementwise != Elementwise::none) return &elementwise_op;
  const auto before = [](const CpuOp* a, const CpuOp* b) { return std::less<const Op*>()(a->op, b->op); };
  static const std::vector<const CpuOp*> sorted = [&] {
    std::vector<const CpuOp*> all;
    for (const auto& list :
         {cpu_ops_encoded(), cpu_ops_matmul(), cpu_ops_conv(), cpu_ops_elementwise(), cpu_ops_reduce(), cpu_ops_shape(),
          cpu_ops_vision(), cpu_ops_state(), cpu_ops_quant(), cpu_ops_int8(), cpu_ops_grad(), cpu_ops_scatter(),
          cpu_ops_regions(), cpu_ops_loss(), cpu_ops_attention(), cpu_ops_recurrent(), cpu_ops_update()})
      for (const CpuOp& c : list) all.push_back(&c);
    std::sort(all.begin(), all.end(), before);
    return all;
  }();
  const CpuOp wanted = {op, nullptr, nullptr};
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), &wanted, before);
  return found != sorted.end() && (*found)->op == op ? *found : nullptr;
}

static constexpr BackendApi kApi = {
    .struct_size = (uint32_t)sizeof(BackendApi),
    .api_version = 2,
    .name = "cpu",
    .probe = probe,
    .open = open,
    .close = close,
    .limits = limits,
    .supports = supports,
    .fuse = [](void*, Graph& g) { return fuse(g); },
    .alloc = host_alloc,
    .import_memory = host_import,
    .free = host_free,
    .copy = host_copy,
    .compile = compile,
    .plan_release = plan_release,
    .plan_stats = plan_stats,
    .plan_times = plan_times,
    .rebind = rebind,
    .submit = submit,
    .wait = wait,
    .writes_pitch = writes_pitch,
    .address = nullptr,
};

static constexpr BackendApi plain_api() {
  BackendApi api = kApi;
  api.name = "reference";
  api.probe = probe_plain;
  api.open = open_plain;
  api.fuse = nullptr;
  api.writes_pitch = nullptr;
  return api;
}

const BackendApi& backend() { return kApi; }

const BackendApi& reference_backend() {
  static constexpr BackendApi api = plain_api();
  return api;
}

}  // namespace tern::cpu
