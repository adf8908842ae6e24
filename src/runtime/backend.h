// SPDX-License-Identifier: Apache-2.0
// The one interface between the runtime and a backend: a table of functions.
//
// A backend turns a partition (a run of nodes of a plan's graph) into a plan of its own and runs it. The runtime owns
// placement: it has laid every value into a slot (a buffer) at an offset before `compile` is called, and passes the
// slots' buffers to every `submit`. Buffers may move between submits; offsets never do.
#pragma once
#include <atomic>

#include "base/memory.h"
#include "base/threads.h"
#include "graph/graph.h"

namespace tern {

struct DeviceLimits {
  uint64_t buffer_alignment = 64;   // offsets of values within a buffer are multiples of it
  uint64_t max_range = UINT64_MAX;  // largest part of a buffer that one operand can be
  // Buffers are host pointers that the host may read and write at any time. All such backends and the CPU share one
  // arena: nothing is copied between them, and only the CPU's `alloc` is called.
  bool host_memory = false;
  // Bits depend on the machine or on the number of threads: left out of deterministic sessions and of plans that write
  // states or parameters.
  bool varies = false;
  bool as_written = false;  // plans are the model's own nodes: nothing is fused or rewritten for speed
};

struct DeviceInfo {
  char backend[32];
  char device[128];
  uint64_t memory_bytes;
};

enum class SupportKind : uint8_t {
  kernel,
  reference,  // in plain loops; the runtime takes another backend or a decomposition if there is one
  no,
};
struct Support {
  SupportKind kind;
  const char* reason;  // static storage; "" for kernel
};

// Memory of a backend. handle: opaque to the runtime; the pointer itself where DeviceLimits::host_memory.
struct Buffer {
  void* handle = nullptr;
  uint64_t bytes = 0;
};

// Where a value lives: bytes [offset, offset + bytes) of the buffer in a slot. slot -1: not on this backend. With a
// pitch its rows (along the last dim) begin so many bytes apart: it is a slice of the rows of another value, its offset
// has any alignment, and `bytes` counts the rows alone.
struct Location {
  int32_t slot = -1;
  uint64_t offset = 0, bytes = 0, pitch = 0;
};

// What may end a run early, and the making of a plan; looked at between nodes.
struct RunControl {
  const std::atomic<int32_t>* cancel = nullptr;  // != 0: stop
  uint64_t deadline_ns = 0;                      // monotonic clock; 0 = none
};
tern_status check_control(const RunControl& control);
uint64_t monotonic_ns();

struct Partition {
  const Graph* graph;
  std::span<const int32_t> nodes;       // indices into graph->nodes, in order of execution
  std::span<const Location> locations;  // per value of the graph
  // Per value: host bytes of a parameter or constant that stay as they are for the life of the plan, for copies in
  // another order; NULL where there are none (parameters that this very plan writes).
  std::span<const void* const> fixed;
  std::span<const ValueId> scalars;  // values whose content `submit` gets by value
  int32_t num_slots;
  bool profile;
  RunControl control = {};  // may end the making of the plan; looked at between nodes
};

struct PlanStats {
  uint64_t scratch_bytes = 0, prepared_bytes = 0;
};

// One timed piece of work, relative to an arbitrary zero of the process' monotonic clock.
struct NodeTime {
  int32_t node;  // index into graph->nodes
  uint64_t begin_ns, end_ns;
};

// A point in a backend's queue; 0 = already reached.
using Fence = uint64_t;

struct Copy {
  enum Direction : uint8_t { to_device, to_host, within_device } direction;
  Buffer device;
  uint64_t device_offset;
  Buffer other;  // within_device: the target
  uint64_t other_offset;
  void* host;  // to_device: source, to_host: target
  uint64_t bytes;
};

struct BackendPlan {};  // base of each backend's own, which nobody else sees

struct BackendApi {
  uint32_t struct_size, api_version;  // sizeof(BackendApi), 1
  const char* name;
  // Devices of this backend on the machine; may fail, may not crash. self-less.
  tern_status (*probe)(DeviceInfo* infos, int32_t capacity, int32_t* count);
  tern_status (*open)(const DeviceInfo* info, const tern_allocator* allocator, ThreadPool* pool, void** self);
  void (*close)(void* self);
  DeviceLimits (*limits)(void* self);
  Support (*supports)(void* self, const Graph& graph, const Node& node);
  tern_status (*alloc)(void* self, uint64_t bytes, Buffer* out);
  // Uses host memory in place; TERN_ERR_UNSUPPORTED where it cannot.
  tern_status (*import_memory)(void* self, void* host, uint64_t bytes, Buffer* out);
  void (*free)(void* self, Buffer* buffer);
  tern_status (*copy)(void* self, const Copy& copy);  // waits until done
  tern_status (*compile)(void* self, const Partition& partition, BackendPlan** plan);
  void (*plan_release)(void* self, BackendPlan* plan);
  PlanStats (*plan_stats)(void* self, const BackendPlan* plan);
  // Times of the last submit, if the partition asked for them.
  std::span<const NodeTime> (*plan_times)(void* self, const BackendPlan* plan);
  // Starts (or does) the work after the fences in `after`. *done: to be waited for.
  tern_status (*submit)(void* self, BackendPlan* plan, std::span<const Buffer> slots, std::span<const int64_t> scalars,
                        const RunControl& control, std::span<const Fence> after, Fence* done);
  tern_status (*wait)(void* self, Fence fence, uint64_t timeout_ns);
  // Can output 0 of this node have a pitch (Location)? Then it may be written straight into a concatenation. NULL:
  // never.
  bool (*writes_pitch)(void* self, const Graph& graph, const Node& node);
};

// An opened backend.
struct Backend {
  const BackendApi* api = nullptr;
  void* self = nullptr;
  DeviceInfo info = {};
  DeviceLimits limits;
};

}  // namespace tern
