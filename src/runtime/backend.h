// SPDX-License-Identifier: Apache-2.0
// The one interface between the runtime and a backend: a table of functions.
//
// A backend turns a partition (a run of nodes of a plan's graph) into a plan of its own and runs it. The runtime owns
// placement: it has laid every value into a slot (a buffer) at an offset before `compile` is called, and passes the
// slots' buffers to every `submit`. Buffers may move between submits; offsets never do.
#pragma once
#include <atomic>
#include <string>

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

// Bytes in an order of the backend's own, made from parameters and constants that no run of the plan changes: weights
// in panels, a normalisation folded into a scale and a shift.
struct DerivedOrder {
  std::string
      words;  // what is made: the same words and `make` of one backend give the same bytes from the same sources
  uint64_t bytes = 0;
  // In the host's memory; may be called again, from any thread, when a source has changed. args: as below.
  tern_status (*make)(const void* args, const void* const* sources, void* target) = nullptr;
  std::shared_ptr<const void> args;
};

struct Partition {
  const Graph* graph;
  std::span<const int32_t> nodes;       // indices into graph->nodes, in order of execution
  std::span<const Location> locations;  // per value of the graph
  std::span<const char> fixed;          // per value: 1 for a parameter or constant that no run of this plan changes
  std::span<const ValueId> scalars;     // values whose content `submit` gets by value
  bool profile;
  uint64_t max_bytes;       // that the backend may allocate for this plan: work space, prepared weights (check_room)
  RunControl control = {};  // may end the making of the plan; looked at between nodes
  // Gives the slot of bytes derived from `sources`, which are fixed. They are shared by all plans that ask for the
  // same, and are up to date in every run.
  tern_status (*derive)(void* owner, std::span<const ValueId> sources, const DerivedOrder& order, int32_t* slot);
  void* owner;
};

// May `bytes`, of all that was and will be allocated for this part of a plan, be allocated? Asked before it is.
tern_status check_room(const Partition& partition, uint64_t bytes);

struct PlanStats {
  uint64_t scratch_bytes = 0;
  uint64_t prepared_bytes = 0;  // of weights that change and are put in another order at every run
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

// What memory is for.
enum class MemoryKind : uint8_t {
  device,     // what plans work on
  to_device,  // staging that the host writes
  to_host,    // staging that the host reads
};

// Work and copies of one backend begin in the order in which they are given. What the host gives by pointer must stay
// until the fence is reached.
struct BackendApi {
  uint32_t struct_size, api_version;  // sizeof(BackendApi), 2
  const char* name;
  // Devices of this backend on the machine; may fail, may not crash. self-less. count: all of them, `capacity` are
  // told.
  tern_status (*probe)(DeviceInfo* infos, int32_t capacity, int32_t* count);
  tern_status (*open)(const DeviceInfo* info, const tern_allocator* allocator, ThreadPool* pool, void** self);
  void (*close)(void* self);
  DeviceLimits (*limits)(void* self);
  Support (*supports)(void* self, const Graph& graph, const Node& node);
  // Joins nodes of a plan's graph that this backend has kernels for, before they are placed. NULL: none.
  tern_status (*fuse)(void* self, Graph& graph);
  tern_status (*alloc)(void* self, uint64_t bytes, MemoryKind kind, Buffer* out);
  // Uses host memory in place; TERN_ERR_UNSUPPORTED where it cannot.
  tern_status (*import_memory)(void* self, void* host, uint64_t bytes, Buffer* out);
  void (*free)(void* self, Buffer* buffer);
  // Starts (or does) copies after the fences in `after`. *done: to be waited for.
  tern_status (*copy)(void* self, std::span<const Copy> copies, std::span<const Fence> after, Fence* done);
  tern_status (*compile)(void* self, const Partition& partition, BackendPlan** plan);
  void (*plan_release)(void* self, BackendPlan* plan);
  PlanStats (*plan_stats)(void* self, const BackendPlan* plan);
  // Times of the last submit that was waited for, if the partition asked for them.
  std::span<const NodeTime> (*plan_times)(void* self, const BackendPlan* plan);
  // The buffers of the slots from now on; called before the first submit, and when one has moved.
  tern_status (*rebind)(void* self, BackendPlan* plan, std::span<const Buffer> slots);
  // Starts (or does) the work after the fences in `after`. *done: to be waited for, 0 if there is nothing to wait for.
  // control: lives until then.
  tern_status (*submit)(void* self, BackendPlan* plan, std::span<const int64_t> scalars, const RunControl& control,
                        std::span<const Fence> after, Fence* done);
  // Gives the first error of what was begun up to the fence and not told of before.
  tern_status (*wait)(void* self, Fence fence, uint64_t timeout_ns);
  // Can output 0 of this node have a pitch (Location)? Then it may be written straight into a concatenation. NULL:
  // never.
  bool (*writes_pitch)(void* self, const Graph& graph, const Node& node);
  // The address of a buffer as this backend's kernels follow it in a table of pages (base/pages.h). NULL where buffers
  // are host pointers, or states in pages are not taken.
  uint64_t (*address)(void* self, const Buffer& buffer);
};

// An opened device of a backend.
struct Backend {
  const BackendApi* api = nullptr;
  void* self = nullptr;
  DeviceInfo info = {};
  DeviceLimits limits;
  std::string name;  // "vulkan", or "vulkan:1" for a device that is not the first
};

// One copy, waited for.
tern_status copy_now(const Backend& backend, const Copy& copy);

}  // namespace tern
