// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/backend.h"

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "backends/onednn/operation.h"
#include "base/float16.h"
#include "runtime/host.h"

namespace tern::onednn {
namespace {

// What one thread does of a node.
struct Share {
  Primitive primitive;
  std::vector<Memory> memories;
  std::vector<Argument> arguments;
  uint64_t scratch = 0;
};

struct Call {
  int32_t node;
  std::vector<Share> shares;
};

// A place that follows a slot.
struct Patch {
  dnnl_memory* memory;
  int32_t slot;
  uint64_t offset;
};

struct Plan : BackendPlan {
  std::vector<Call> calls;
  std::vector<Patch> patches;
  std::vector<void*> bound;  // per slot: where the patches point
  Block scratch;
  std::vector<Stream> streams;  // one for each share that runs at a time
  std::vector<NodeTime> times;
  bool profile = false;
};

struct Device : HostDevice {
  Engine engine;
};

std::atomic<bool> g_take_all{false};

tern_status probe(DeviceInfo* infos, int32_t capacity, int32_t* count) {
  TERN_TRY(open_library());
  if (capacity > 0) {
    const Version& v = *api().version();
    std::snprintf(infos[0].backend, sizeof infos[0].backend, "onednn");
    std::snprintf(infos[0].device, sizeof infos[0].device, "oneDNN %d.%d.%d on the CPU", v.major, v.minor, v.patch);
    infos[0].memory_bytes = 0;
  }
  *count = 1;
  return TERN_OK;
}

tern_status open(const DeviceInfo*, const tern_allocator* allocator, ThreadPool* pool, void** self) {
  std::unique_ptr<Device> device(new Device{{allocator, pool}, {}});
  TERN_TRY(check(api().engine_create(device->engine.out(), kCpu, 0), "engine"));
  *self = device.release();
  return TERN_OK;
}

void close(void* self) { delete (Device*)self; }

DeviceLimits limits(void*) { return {.host_memory = true, .varies = true}; }

// Is oneDNN faster than the CPU's own kernels? Measured on Zen 3 with the vision models of tests/bench: first layers
// run 1.1 to
// 1.5 times as fast; depthwise with unlike strides, where the CPU has no tiles, 3.7 times. All else is slower: matrix
// products and 1x1 0.9, other depthwise 0.8, dense 3x3 (Winograd on the CPU) 0.6 to 0.9.
bool is_fast(const Operation& op) {
  if (op.kind == Operation::matmul) return false;
  if (op.groups == 1) return (op.kernel_h > 1 || op.kernel_w > 1) && op.in_c <= 4 && op.flops > 15e6;
  const bool tiles =
      op.kernel_h == op.kernel_w && (op.kernel_h == 3 || op.kernel_h == 5) && op.stride_h == 2 && op.stride_w == 1;
  return op.groups == op.in_c && op.groups == op.out_c && op.stride_h != op.stride_w && !tiles;
}

Support supports(void* self, const Graph& graph, const Node& node) {
  Operation op;
  if (const char* why = read_operation(graph, node, &op)) return {SupportKind::no, why};
  if (!g_take_all.load(std::memory_order_relaxed) && !is_fast(op))
    return {SupportKind::no, "the CPU's own kernel is faster"};
  const OneThread alone;
  Band whole;
  whole.end = divisible_units(op);
  if (describe(op, ((Device*)self)->engine.get(), nullptr, &whole) != TERN_OK)
    return {SupportKind::no, "oneDNN has no kernel for this"};
  return {SupportKind::kernel, ""};
}

// Weights in plain order, times a scale for each output.
void read_weights(const Value& w, const void* data, const std::vector<double>& scale, float* out) {
  decode(w.encoding, w.dtype, w.shape, data, out);
  const int64_t n = w.shape[0], k = w.shape.elements() / n;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < k; ++j) *out++ *= (float)scale[(size_t)i];
}

// Weights, with bias and slopes in front, in the order that oneDNN wants. That depends on the shapes of the plan, whose
// own they are: the graph and the node live as long.
struct Weights {
  const Graph* graph;
  const Device* device;
  Operation op;
  std::vector<Band> bands;
  std::vector<ValueId> sources;
  uint64_t slopes_at = 0, filters_at = 0;

  // That of the first band holds for all.
  const dnnl_memory_desc* layout() const {
    return api().primitive_desc_query_md(bands[0].primitive.get(), kQueryWeights, 0);
  }

  tern_status make(const void* const* from, char* target) const {
    std::vector<const void*> content(graph->values.size(), nullptr);
    for (size_t i = 0; i < sources.size(); ++i) content[(size_t)sources[i]] = from[i];
    std::vector<double> scale, shift;
    fold_affine(*graph, content, op.product, op.out_c, &scale, &shift);
    for (int64_t i = 0; op.has_bias() && i < op.out_c; ++i) ((float*)target)[i] = (float)shift[(size_t)i];
    if (op.product.slope != kNoValue) {
      const auto* slopes = (const float*)content[(size_t)op.product.slope];
      const bool one = graph->value(op.product.slope).shape.elements() == 1;
      for (int64_t i = 0; i < op.out_c; ++i) ((float*)(target + slopes_at))[i] = slopes[one ? 0 : i];
    }
    const ValueId id = op.product.in(1);
    const Value& w = graph->value(id);
    MemoryDesc plain;
    TERN_TRY(describe_weights(op, false, &plain));
    if (api().memory_desc_equal(plain.get(), layout())) {
      read_weights(w, content[(size_t)id], scale, (float*)(target + filters_at));
      return TERN_OK;
    }
    Block rows;
    TERN_TRY(rows.allocate(*device->allocator, (uint64_t)w.shape.elements() * sizeof(float)));
    read_weights(w, content[(size_t)id], scale, (float*)rows.data());
    return reorder(plain.get(), rows.data(), layout(), target + filters_at);
  }

  tern_status reorder(const dnnl_memory_desc* from_layout, void* from, const dnnl_memory_desc* to_layout,
                      void* to) const {
    dnnl_engine* engine = device->engine.get();
    PrimitiveDesc desc;
    Primitive primitive;
    Memory source, target;
    Stream stream;
    const OneThread alone;
    TERN_TRY(check(api().stream_create(stream.out(), engine, kInOrder), "stream"));
    TERN_TRY(check(api().reorder_primitive_desc_create(desc.out(), from_layout, engine, to_layout, engine, nullptr),
                   "reordering of weights"));
    TERN_TRY(check(api().primitive_create(primitive.out(), desc.get()), "reordering of weights"));
    TERN_TRY(check(api().memory_create(source.out(), from_layout, engine, from), "weights"));
    TERN_TRY(check(api().memory_create(target.out(), to_layout, engine, to), "weights"));
    const Argument arguments[] = {{kSource, source.get()}, {kTarget, target.get()}};
    return check(api().primitive_execute(primitive.get(), stream.get(), 2, arguments), "reordering of weights");
  }
};

// Makes the calls of one node.
class Builder {
 public:
  Builder(Device& device, const Partition& partition, int32_t node, Plan& plan)
      : device_(device),
        partition_(partition),
        node_(partition.graph->nodes[(size_t)node]),
        plan_(plan),
        call_{node, {}},
        weights_(new Weights{partition.graph, &device, {}, {}, {}}),
        op_(weights_->op) {}

  tern_status build() {
    if (const char* why = read_operation(*partition_.graph, node_, &weights_->op))
      return TERN_FAIL(TERN_ERR_INTERNAL, "oneDNN: %s: %s", node_.op->name, why);
    TERN_TRY(describe_bands());
    if (op_.kind == Operation::convolution) TERN_TRY(prepare_weights());
    for (const Band& band : weights_->bands) TERN_TRY(add_share(band));
    plan_.calls.push_back(std::move(call_));
    return TERN_OK;
  }

 private:
  tern_status describe_bands() {
    const int64_t units = divisible_units(op_);
    int32_t threads = threads_worth(op_.flops, units, device_.pool->num_threads());
    for (;; threads = 1) {
      std::vector<Band>& bands = weights_->bands;
      bands.clear();
      bands.resize((size_t)threads);
      tern_status status = TERN_OK;
      for (int32_t t = 0; t < threads && status == TERN_OK; ++t) {
        Band& band = bands[(size_t)t];
        band.begin = units * t / threads, band.end = units * (t + 1) / threads;
        const dnnl_memory_desc* weights = t && op_.kind == Operation::convolution ? weights_->layout() : nullptr;
        status = describe(op_, device_.engine.get(), weights, &band);
      }
      if (status == TERN_OK || threads == 1) return status;
    }
  }

  tern_status prepare_weights() {
    const auto add = [&](ValueId v) {
      if (v != kNoValue && std::count(weights_->sources.begin(), weights_->sources.end(), v) == 0)
        weights_->sources.push_back(v);
    };
    const Product& p = op_.product;
    for (const ValueId v : {p.in(1), p.bias, p.slope}) add(v);
    for (const Product::Affine& a : p.affine)
      for (const ValueId v : {a.a, a.b, a.c, a.d}) add(v);
    const uint64_t channels = ((uint64_t)op_.out_c * sizeof(float) + 63) / 64 * 64;
    weights_->slopes_at = op_.has_bias() ? channels : 0;
    weights_->filters_at = weights_->slopes_at + (p.slope != kNoValue ? channels : 0);
    DerivedOrder order;
    order.words.assign((const char*)&weights_, sizeof weights_);  // nobody else's
    order.bytes = weights_->filters_at + api().memory_desc_get_size(weights_->layout());
    order.args = weights_;
    order.make = [](const void* args, const void* const* sources, void* target) {
      return ((const Weights*)args)->make(sources, (char*)target);
    };
    return partition_.derive(partition_.owner, weights_->sources, order, &slot_);
  }

  tern_status add_argument(Share& share, int index, const dnnl_memory_desc* layout, void* data) {
    Memory memory;
    TERN_TRY(check(api().memory_create(memory.out(), layout, device_.engine.get(), data), "tensor"));
    share.arguments.push_back({index, memory.get()});
    share.memories.push_back(std::move(memory));
    return TERN_OK;
  }

  tern_status add_derived(Share& share, int index, const dnnl_memory_desc* layout, uint64_t offset) {
    TERN_TRY(add_argument(share, index, layout, nullptr));
    plan_.patches.push_back({share.memories.back().get(), slot_, offset});
    return TERN_OK;
  }

  // A tensor of the plan, `offset` elements from its start.
  tern_status add_value(Share& share, int index, const dnnl_memory_desc* layout, ValueId v, int64_t offset) {
    TERN_TRY(add_argument(share, index, layout, nullptr));
    const Location& at = partition_.locations[(size_t)v];
    plan_.patches.push_back({share.memories.back().get(), at.slot, at.offset + (uint64_t)offset * sizeof(float)});
    return TERN_OK;
  }

  tern_status add_share(const Band& band) {
    Share share;
    TERN_TRY(check(api().primitive_create(share.primitive.out(), band.primitive.get()), "kernel"));
    const Product& p = op_.product;
    if (op_.kind == Operation::matmul) {
      TERN_TRY(add_value(share, kSource, band.a.get(), node_.in[0], band.a_offset));
      TERN_TRY(add_value(share, kWeights, band.b.get(), node_.in[1], 0));
    } else {
      TERN_TRY(add_value(share, kSource, band.a.get(), p.in(0), band.a_offset));
      TERN_TRY(add_derived(share, kWeights, weights_->layout(), weights_->filters_at));
      MemoryDesc channels;
      if (op_.has_bias()) {
        TERN_TRY(describe_channels(op_, false, &channels));
        TERN_TRY(add_derived(share, kBias, channels.get(), 0));
      }
      if (p.slope != kNoValue) {
        TERN_TRY(describe_channels(op_, true, &channels));
        TERN_TRY(add_derived(share, post_op_argument(op_.activation_index()) | kWeights, channels.get(),
                             weights_->slopes_at));
      }
      if (p.residual != kNoValue)
        TERN_TRY(add_value(share, post_op_argument(op_.residual_index()) | kSource1, band.y.get(), p.residual,
                           band.y_offset));
    }
    TERN_TRY(add_value(share, kTarget, band.y.get(), node_.out[0], band.y_offset));
    const dnnl_memory_desc* scratch = api().primitive_desc_query_md(band.primitive.get(), kQueryScratchpad, 0);
    share.scratch = scratch ? api().memory_desc_get_size(scratch) : 0;
    if (share.scratch) TERN_TRY(add_argument(share, kScratchpad, scratch, nullptr));
    call_.shares.push_back(std::move(share));
    return TERN_OK;
  }

  Device& device_;
  const Partition& partition_;
  const Node& node_;
  Plan& plan_;
  Call call_;
  std::shared_ptr<Weights> weights_;
  const Operation& op_;
  int32_t slot_ = -1;  // of the weights
};

// One work space for each thread, which all nodes use in turn.
tern_status allocate_scratch(const tern_allocator& allocator, const Partition& partition, Plan& plan) {
  uint64_t stride = 0;
  for (const Call& call : plan.calls)
    for (const Share& share : call.shares) stride = std::max(stride, (share.scratch + 63) / 64 * 64);
  if (!stride) return TERN_OK;
  TERN_TRY(check_room(partition, stride * plan.streams.size()));
  TERN_TRY(plan.scratch.allocate(allocator, stride * plan.streams.size()));
  for (const Call& call : plan.calls)
    for (size_t i = 0; i < call.shares.size(); ++i)
      if (call.shares[i].scratch)
        TERN_TRY(check(
            api().memory_set_data_handle(call.shares[i].memories.back().get(), (char*)plan.scratch.data() + stride * i),
            "work space"));
  return TERN_OK;
}

tern_status compile(void* self, const Partition& partition, BackendPlan** out) {
  Device& device = *(Device*)self;
  const OneThread alone;
  auto plan = std::make_unique<Plan>();
  plan->profile = partition.profile;
  plan->streams.resize((size_t)device.pool->num_threads());
  for (Stream& s : plan->streams)
    TERN_TRY(check(api().stream_create(s.out(), device.engine.get(), kInOrder), "stream"));
  for (const int32_t i : partition.nodes) {
    TERN_TRY(check_control(partition.control));
    TERN_TRY(Builder(device, partition, i, *plan).build());
  }
  TERN_TRY(allocate_scratch(*device.allocator, partition, *plan));
  int32_t last = -1;
  for (const Patch& p : plan->patches) last = std::max(last, p.slot);
  plan->bound.assign((size_t)last + 1, nullptr);
  if (partition.profile) plan->times.reserve(plan->calls.size());
  *out = plan.release();
  return TERN_OK;
}

void plan_release(void*, BackendPlan* plan) { delete static_cast<Plan*>(plan); }

PlanStats plan_stats(void*, const BackendPlan* base) {
  const Plan* plan = static_cast<const Plan*>(base);
  PlanStats s;
  s.scratch_bytes = plan->scratch.bytes();
  return s;
}

std::span<const NodeTime> plan_times(void*, const BackendPlan* plan) { return static_cast<const Plan*>(plan)->times; }

struct Job {
  const Call* call;
  const Stream* streams;
  std::atomic<int> result{kOk};
};

void run_share(void* user, int32_t i) {
  Job& job = *(Job*)user;
  const Share& share = job.call->shares[(size_t)i];
  const OneThread alone;
  const int result = api().primitive_execute(share.primitive.get(), job.streams[i].get(), (int)share.arguments.size(),
                                             share.arguments.data());
  if (result != kOk) job.result.store(result, std::memory_order_relaxed);
}

tern_status rebind(void*, BackendPlan* base, std::span<const Buffer> slots) {
  Plan* plan = static_cast<Plan*>(base);
  for (const Patch& p : plan->patches) {
    const Buffer& slot = slots[(size_t)p.slot];
    if (plan->bound[(size_t)p.slot] != slot.handle)
      TERN_TRY(check(api().memory_set_data_handle(p.memory, (char*)slot.handle + p.offset), "tensor"));
  }
  for (size_t s = 0; s < plan->bound.size(); ++s) plan->bound[s] = slots[s].handle;
  return TERN_OK;
}

tern_status submit(void* self, BackendPlan* base, std::span<const int64_t>, const RunControl& control,
                   std::span<const Fence>, Fence* done) {
  Plan* plan = static_cast<Plan*>(base);
  plan->times.clear();
  for (const Call& call : plan->calls) {
    TERN_TRY(check_control(control));
    const uint64_t begin = plan->profile ? monotonic_ns() : 0;
    Job job{&call, plan->streams.data()};
    ((Device*)self)->pool->run((int32_t)call.shares.size(), run_share, &job);
    TERN_TRY(check(job.result.load(std::memory_order_relaxed), "run"));
    if (plan->profile) plan->times.push_back({call.node, begin, monotonic_ns()});
  }
  *done = 0;
  return TERN_OK;
}

tern_status wait(void*, Fence, uint64_t) { return TERN_OK; }

}  // namespace

const BackendApi& backend() {
  static constexpr BackendApi api = {
      .struct_size = (uint32_t)sizeof(BackendApi),
      .api_version = 2,
      .name = "onednn",
      .probe = probe,
      .open = open,
      .close = close,
      .limits = limits,
      .supports = supports,
      .fuse = nullptr,
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
      .writes_pitch = nullptr,
      .address = nullptr,
  };
  return api;
}

void take_all(bool all) { g_take_all.store(all, std::memory_order_relaxed); }

}  // namespace tern::onednn
