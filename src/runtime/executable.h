// SPDX-License-Identifier: Apache-2.0
// A plan of one graph for fixed shapes: placed, laid out in memory, compiled. Runs without allocating.
#pragma once
#include "graph/model_def.h"
#include "runtime/memory_plan.h"
#include "runtime/parameters.h"
#include "runtime/placement.h"
#include "runtime/state.h"

namespace tern {

class Executable {
 public:
  struct Options {
    std::span<const Backend* const> backends;  // in order of preference; the last is the CPU
    // of arenas, work space and copies of weights, those of sub-graphs included
    uint64_t max_bytes = UINT64_MAX;
    bool deterministic = false;  // no backend whose bits vary
    bool profile = false;
    RunControl control = {};  // may end the making of the plan
  };
  struct Memory {
    uint64_t arena = 0, bound = 0, scratch = 0, prepared = 0;
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
                  State& state, const RunControl& control);

  const Graph& graph() const { return graph_; }
  std::span<const NodePlacement> placements() const { return placements_; }
  const char* backend_name(int32_t i) const { return backends_[(size_t)i]->api->name; }
  Memory memory() const;
  bool writes_parameters() const { return !written_parameters_.empty(); }
  // Version of the parameters that copies in another order were made from; 0 = no such copies.
  uint64_t prepared_version() const { return prepared_version_; }
  std::span<const NodeProfile> profile() const { return profile_; }
  std::span<const TraceEvent> last_trace() const { return trace_; }
  // Executables of sub-graphs, in order of their nodes.
  std::span<const std::unique_ptr<Executable>> children() const { return children_; }

 private:
  enum class StepKind : uint8_t { submit, to_host, to_device, control };
  struct Step {
    StepKind kind;
    int32_t index;      // submit: partition; control: index into controls_
    int32_t part = -1;  // copies
    ValueId value = kNoValue;
    int32_t from = 0;      // copies to_device: host location; all: first node (for the order of events)
    bool updates = false;  // changes a state or parameter: not begun after a cancel, not stopped within
  };
  struct PartitionPlan {
    int32_t backend;
    std::vector<int32_t> nodes;
    BackendPlan* plan = nullptr;
  };
  enum class SlotKind : uint8_t { arena, input, output, state, parameter, constant };
  struct Slot {
    SlotKind kind;
    int32_t index;  // of the input, output, state, parameter; value id of a constant
  };
  // What lives in one memory: the host's, which several backends may use, or that of a device.
  struct BackendPart {
    const Backend* backend = nullptr;  // its owner; the CPU for the host's
    std::vector<Location> locations;   // per value
    std::vector<Slot> slots;
    std::vector<Buffer> buffers;     // per slot, as given to submit
    std::vector<Buffer> owned;       // to be freed
    std::vector<uint64_t> versions;  // per slot: of an uploaded parameter
    MemoryPlan arena;
    Buffer arena_buffer;
    bool used = false;
  };
  struct Control {
    int32_t node;
    int32_t first_child;        // index into children_
    std::vector<Block> blocks;  // carried values, per iteration parity; scan outputs have their own place
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
  };

  Executable() = default;
  tern_status build(Graph graph, const Model& model, const Parameters& parameters, Options options);
  void order_updates();
  tern_status lay_out(const Options& options);
  int32_t part_of(int32_t backend) const;
  int32_t slot_of(BackendPart& part, SlotKind kind, int32_t index);
  tern_status compile(const Parameters& parameters, const Options& options);
  tern_status bind(std::span<const void* const> inputs, std::span<void* const> outputs, Parameters& parameters,
                   State& state);
  tern_status take_states(BackendPart& part, State& state);
  void abandon_updates(Parameters& parameters, State& state, bool brought_back);
  tern_status copy_value(const Step& step, std::span<const void* const> inputs, State& state);
  tern_status run_control(Control& control, Parameters& parameters, State& state, const RunControl& run);
  void* host_pointer(ValueId v) const;
  tern_status check_borders(const Node& n, const Executable& child, bool loop) const;
  tern_status build_control(int32_t node, const Model& model, const Parameters& parameters, const Options& options);

  Graph graph_;
  Ref<const Model> model_;
  std::vector<const Backend*> backends_;
  int32_t host_ = 0;  // index of the CPU in backends_
  std::vector<NodePlacement> placements_;
  std::vector<PartitionPlan> partitions_;
  std::vector<BackendPart> parts_;  // per backend; that of the CPU serves all whose memory is the host's
  std::vector<Step> steps_;
  size_t update_phase_ = 0;       // the first of the steps at the end that only write states and parameters
  bool replaces_states_ = false;  // in that phase, as a whole
  std::vector<Control> controls_;
  std::vector<std::unique_ptr<Executable>> children_;
  std::vector<int64_t> scalars_;
  std::vector<ValueId> scalar_values_;
  std::vector<int32_t> scalar_inputs_;                           // index into graph_.inputs
  std::vector<std::pair<int32_t, ValueId>> copied_outputs_;      // outputs that are not written in place
  std::vector<std::pair<int32_t, int32_t>> written_parameters_;  // index and the part that writes it
  uint64_t planned_ = 0;                                         // bytes so far; at most options.max_bytes
  bool states_move_ = false;                                     // between backends, within a run
  uint64_t prepared_version_ = 0;
  std::vector<NodeProfile> profile_;
  std::vector<TraceEvent> trace_;
  bool profiling_ = false;
};

}  // namespace tern
