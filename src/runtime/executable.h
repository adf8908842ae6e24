// SPDX-License-Identifier: Apache-2.0
// A plan of one graph for fixed shapes: placed, laid out in memory, compiled. Runs without allocating.
#pragma once
#include "runtime/parameters.h"
#include "runtime/plan.h"
#include "runtime/state.h"

namespace tern {

class Executable {
 public:
  struct Options {
    std::span<const Backend* const> backends;  // in order of preference; the last is the CPU
    uint64_t max_bytes = UINT64_MAX;  // of arenas, work space and copies of weights, those of sub-graphs included
    bool deterministic = false;       // no backend whose bits vary
    bool profile = false;
    // Of arenas: where they would be larger, what waits for the way back is computed again (plan.h, rematerialize).
    uint64_t arena_bytes = UINT64_MAX;
    RunControl control = {};  // may end the making of the plan
    // Of a sub-graph: per parameter, whether the whole plan writes it. Empty: the graph's own writes.
    std::span<const char> written = {};
  };
  struct Memory {
    uint64_t arena = 0, bound = 0, scratch = 0, prepared = 0;
    uint64_t without_budget = 0;  // arenas if nothing were computed again
    int64_t again = 0;            // nodes that are
  };
  // Total time of a node so far.
  struct NodeProfile {
    uint64_t total_ns = 0;
  };
  struct TraceEvent {
    int32_t node;
    uint64_t begin_ns, end_ns;
  };

  // Takes a specialised graph. `model` and the backends must outlive the executable.
  static tern_status create(Graph graph, const Model& model, const Parameters& parameters, const Options& options,
                            std::unique_ptr<Executable>* out);
  ~Executable();

  // inputs, outputs: host memory of graph().inputs and graph().outputs, in order; scalars as one int64_t.
  // On TERN_ERR_CANCELLED and TERN_ERR_DEADLINE no state and no parameter has changed (beyond positions that are not
  // valid yet). If another error ends the update phase, what the run was to write is as it was, or torn.
  tern_status run(std::span<const void* const> inputs, std::span<void* const> outputs, Parameters& parameters,
                  const Sequences& state, const RunControl& control);

  const Graph& graph() const { return lowered_.graph; }
  std::span<const NodePlacement> placements() const { return lowered_.placements; }
  const char* backend_name(int32_t i) const { return targets_.backends[(size_t)i]->name.c_str(); }
  Memory memory() const;
  // What it shares with others of the same model.
  template <class F>
  void for_each_derived(F&& f) const {
    for (const DerivedSlot& d : derived_) f(*d.copy);
    for (const auto& child : children_) child->for_each_derived(f);
  }
  std::span<const NodeProfile> profile() const { return profile_; }
  std::span<const TraceEvent> last_trace() const { return trace_; }
  // Executables of sub-graphs, in order of their nodes.
  std::span<const std::unique_ptr<Executable>> children() const { return children_; }

 private:
  // What the plan's data does not say of a memory.
  struct Place {
    const Backend* backend = nullptr;  // its owner; the CPU for the host's
    std::vector<Buffer> buffers;       // per slot
    Buffer arena;
    uint64_t moved = 1;  // grows when a buffer of a slot is another
    Block pages;         // the table of pages of a run, and its copy on the device
    Buffer pages_copy;
    Fence last = 0;         // of what was begun and not waited for
    bool fetching = false;  // copies to the host are on their way
  };
  struct Compiled {  // per part
    BackendPlan* plan = nullptr;
    uint64_t bound = 0;           // as Place::moved
    std::vector<int32_t> states;  // that it writes
    bool pages = false;           // it writes pages
  };
  struct DerivedSlot {
    std::shared_ptr<Derived> copy;
    DerivedOrder order;
    std::vector<ValueId> sources;
    int32_t memory, slot;
  };
  struct Control {
    int32_t node;
    int32_t first_child;        // index into children_
    std::vector<Block> blocks;  // carried values, per iteration parity; scan outputs have their own place
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
  };
  struct Deriving {  // what the callback of a partition gets
    Executable* self;
    const Parameters* parameters;
    int32_t memory;
    uint64_t max_bytes;  // of one copy
  };

  Executable() = default;
  tern_status build(Graph graph, const Model& model, const Parameters& parameters, Options options);
  tern_status fit(uint64_t budget, const PageLayout& pages);
  void find_writes(const Options& options);
  void prepare_scalars();
  tern_status read_scalars(std::span<const void* const> inputs);
  tern_status compile(const Parameters& parameters, const Options& options);
  tern_status compile_part(size_t part, std::span<const char> fixed, const Parameters& parameters,
                           const Options& options);
  tern_status count(uint64_t bytes, const Options& options);
  Ref<Resident> item_of(ValueId v, const Parameters& parameters);
  tern_status derive(const Deriving& d, std::span<const ValueId> sources, const DerivedOrder& order, int32_t* slot);
  void set_buffer(Place& place, size_t slot, const Buffer& buffer);
  tern_status bind(std::span<const void* const> inputs, std::span<void* const> outputs, Parameters& parameters,
                   const Sequences& state);
  tern_status bind_parameters(Parameters& parameters);
  tern_status upload(Place& place);
  tern_status take_pages(Place& place, const Sequences& state, Buffer* buffer);
  tern_status take_states(Place& place, const Sequences& state);
  tern_status submit(const Step& step, const Sequences& state, const RunControl& control);
  tern_status copy_values(size_t first, size_t last, std::span<const void* const> inputs, const Sequences& state);
  tern_status wait(Place& place);
  tern_status wait_all();
  tern_status begin_host();
  void recover();
  void abandon_updates(Parameters& parameters, const Sequences& state);
  tern_status run_control(Control& control, Parameters& parameters, const Sequences& state, const RunControl& run);
  void* host_pointer(ValueId v) const;
  tern_status check_borders(const Node& n, const Executable& child, bool loop) const;
  tern_status build_control(int32_t node, const Model& model, const Parameters& parameters, const Options& options);

  Ref<const Model> model_;  // before all that its residents hang on
  Targets targets_;
  Lowered lowered_;
  std::vector<Part> parts_;
  Layout layout_;
  Schedule schedule_;
  std::vector<Place> places_;        // per memory
  std::vector<Compiled> compiled_;   // per part
  std::vector<int32_t> control_of_;  // per part: index into controls_
  std::vector<Control> controls_;
  std::vector<std::unique_ptr<Executable>> children_;
  std::vector<Ref<Resident>> constants_;  // per value, where asked for
  std::vector<Held> held_;
  std::vector<DerivedSlot> derived_;
  struct HostNode {
    const Node* node;
    std::vector<RefTensor> ins;
    RefTensor out;
    int64_t* to;
  };
  std::vector<int64_t> scalars_;
  std::vector<HostNode> host_nodes_;
  std::vector<int32_t> scalar_inputs_;                           // index into the graph's inputs
  std::vector<char> written_;                                    // per parameter, by the whole plan
  std::vector<std::pair<int32_t, int32_t>> written_parameters_;  // index and memory of those that it writes itself
  const Parameters* bound_parameters_ = nullptr;
  uint64_t bound_changes_ = 0;
  Uploads uploads_;                                         // kept to save allocations
  std::vector<std::pair<Resident*, const Backend*>> sent_;  // since it was last known that all arrived
  std::vector<Copy> copies_;
  uint64_t without_budget_ = 0;
  int64_t again_ = 0;
  uint64_t planned_ = 0;      // bytes so far; at most options.max_bytes
  bool states_move_ = false;  // between memories, within a run
  std::vector<NodeProfile> profile_;
  std::vector<TraceEvent> trace_;
  bool profiling_ = false;
};

}  // namespace tern
