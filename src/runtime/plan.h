// SPDX-License-Identifier: Apache-2.0
// A plan as data: what five pure functions make of a graph, each from the results of those before it.
//
//   lower -> partition -> share_storage -> lay_out -> schedule
//
// Nothing is allocated on a device and nothing is compiled: what a plan would cost can be asked without making one. The
// executable compiles and runs the result. Memories are numbered as backends are; all backends that work in the host's
// memory share that of the CPU, the last one.
#pragma once
#include <algorithm>

#include "graph/page_layout.h"
#include "runtime/memory_plan.h"
#include "runtime/placement.h"

namespace tern {

// Where nodes may run.
struct Targets {
  std::vector<const Backend*> backends;  // in order of preference; the last is the CPU
  bool exact = false;                    // no backend whose bits vary

  int32_t host() const { return (int32_t)backends.size() - 1; }
  // Whose memory a node of this backend works in. Control flow (-1) reads and writes the host's.
  int32_t memory_of(int32_t backend) const {
    return backend < 0 || backends[(size_t)backend]->limits.host_memory ? host() : backend;
  }
  // Offsets of values in this memory are multiples of it.
  uint64_t alignment(int32_t memory) const;
};

// ---- lower ----

struct Lowered {
  Graph graph;                            // every node has a backend that runs it
  std::vector<NodePlacement> placements;  // per node
  // From this node on states and parameters are written, and nobody reads the results: everything before it may be
  // cancelled, and all readers of the old content have run.
  int32_t first_update = 0;
  std::vector<ValueId> scalars;  // run-time scalars: those of the inputs, in order, then those computed from them
  std::vector<Node> host_nodes;  // which compute one scalar each, in order, before everything else
};
// Places the nodes, with their decompositions, and moves updates to the end. Where devices have memory of their own,
// integers of rank 0 that follow from run-time scalars are the host's to compute, so that no copy stands for them.
tern_status lower(Graph graph, const Targets& targets, Lowered* out);

// ---- rematerialize ----

// Where the way forward ends (the first node behind it), and where it may be cut: [0, cuts[0]) is the first segment.
struct Segments {
  int32_t turn = 0;
  std::vector<int32_t> cuts;
};
Segments find_segments(const Lowered& lowered);
// What the first `count` segments (1 to all) made for the way back is made again there.
Lowered rematerialize(const Lowered& from, const Segments& segments, int32_t count);

// ---- partition ----

// Nodes [begin, end) that one backend runs as a whole; backend -1: one node of control flow.
struct Part {
  int32_t backend, begin, end;
  bool updates;  // not begun after a cancel, not stopped within
};
std::vector<Part> partition(const Lowered& lowered);

// ---- share_storage ----

// From when to when a value is alive, in nodes; last -1: never.
struct Use {
  int32_t first = INT32_MAX, last = -1;
  void at(int32_t t) {
    first = std::min(first, t);
    last = std::max(last, t);
  }
  void join(const Use& o) {
    first = std::min(first, o.first);
    last = std::max(last, o.last);
  }
};

// Which values share bytes in one memory: each lies in its parent (itself: it has bytes of its own) from an offset on,
// perhaps as a slice of the parent's rows.
struct Storage {
  std::vector<ValueId> parent;
  std::vector<uint64_t> offset, pitch;
  std::vector<Use> life;

  ValueId root(ValueId v) const {
    while (parent[(size_t)v] != v) v = parent[(size_t)v];
    return v;
  }
  uint64_t offset_in_root(ValueId v) const {
    uint64_t sum = 0;
    for (; parent[(size_t)v] != v; v = parent[(size_t)v]) sum += offset[(size_t)v];
    return sum;
  }
};
struct Stored {
  std::vector<Storage> memories;
  std::vector<char> crosses;  // per value: made on a device and needed by the host
};
// Views, results in the place of an operand, parts of a concatenation.
Stored share_storage(const Lowered& lowered, std::span<const Part> parts, const Targets& targets);

// ---- lay_out ----

enum class SlotKind : uint8_t { arena, input, output, state, parameter, constant, derived, pages };
struct Slot {
  SlotKind kind;
  int32_t index;  // of the input, output, state, parameter, derived copy; value id of a constant; 0 of the pages
};
struct MemoryLayout {
  std::vector<Location> locations;  // per value
  std::vector<Slot> slots;          // the first is the arena
  MemoryPlan arena;
  bool used = false;

  int32_t slot_of(SlotKind kind, int32_t index);  // adds it where it is not there
};
struct Layout {
  std::vector<MemoryLayout> memories;
  std::vector<std::pair<int32_t, ValueId>> copied_outputs;  // those that are not written in place
  uint64_t bytes = 0;                                       // of all arenas
};
// A paged state lies in the slot of the table of pages, from the offset on that it has in every page.
// Errors: TERN_ERR_LIMIT where the arenas would pass `limit` bytes.
tern_status lay_out(const Lowered& lowered, std::span<const Part> parts, const Stored& stored, const Targets& targets,
                    const PageLayout& pages, uint64_t limit, Layout* out);

// ---- schedule ----

enum class StepKind : uint8_t { submit, to_host, to_device, control };
struct Step {
  StepKind kind;
  int32_t index = -1;  // submit, control: the part; copies: the memory of the device
  ValueId value = kNoValue;
  bool updates = false;  // changes a state or parameter
};
struct Schedule {
  std::vector<Step> steps;
  size_t update_phase = 0;       // the first of the steps at the end that only write states and parameters
  bool replaces_states = false;  // in that phase, as a whole
};
Schedule schedule(const Lowered& lowered, std::span<const Part> parts, const Stored& stored, const Targets& targets);

}  // namespace tern
