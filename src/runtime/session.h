// SPDX-License-Identifier: Apache-2.0
// Runs the signatures of a model: keeps plans for the shapes that come by, and pools of output tensors.
#pragma once
#include "runtime/stages.h"

namespace tern {

class Session {
 public:
  struct Options {
    std::string backends = "cpu";  // names, separated by commas
    Ref<Parameters> parameters;    // empty: the file's own
    Ref<State> state;              // empty: a new one
    bool deterministic = false, profile = false;
    bool keep = false;  // what every node of a plan computes
    int32_t max_plans = 8;
    uint64_t arena_bytes = UINT64_MAX;  // of a plan's activations (Executable::Options)
  };
  static tern_status create(const Model& model, const Options& options, std::unique_ptr<Session>* out);

  const Model& model() const { return *model_; }
  State& state() { return *state_; }
  Parameters& parameters() { return *parameters_; }
  tern_status set_state(State& state);

  // As tern_session_run. inputs[i] NULL: the bound tensor. outputs: one reference each on success.
  tern_status run(int32_t signature, std::span<const Tensor* const> inputs, std::span<const Tensor*> outputs,
                  const RunControl& control);
  tern_status run_bound(int32_t signature, const RunControl& control);
  // As tern_session_run_sequences. counts: as many as states.
  tern_status run_sequences(int32_t signature, std::span<State* const> states, std::span<const int64_t> counts,
                            std::span<const Tensor* const> inputs, std::span<const Tensor*> outputs,
                            const RunControl& control);
  tern_status bind_input(int32_t signature, int32_t index, const Tensor* tensor);
  tern_status bind_output(int32_t signature, int32_t index, Tensor* tensor);
  // Makes the plan for these input shapes, if it is not there yet.
  tern_status prepare(int32_t signature, std::span<const Shape> shapes, const RunControl& control = {});

  struct Placement {
    PlacedAs as;
    std::string node, op;
    const char *backend, *origin, *reason;
    uint64_t time_ns;
  };
  // Of the latest plan; empty before the first.
  std::vector<Placement> placements(int32_t signature) const;
  struct Memory {
    int32_t plans = 0;
    Executable::Memory plan;  // the largest
    uint64_t all_plans = 0;   // arenas, work space and prepared weights of all plans
    uint64_t mapped = 0, state = 0, overlay = 0, outputs = 0;
  };
  Memory memory() const;
  using Intermediate = Stages::Intermediate;
  // Of the latest run; empty before it and without Options::keep. Valid until the next call.
  std::span<const Intermediate> intermediates(int32_t signature) const;
  bool profiling() const { return options_.profile; }
  // Chrome trace JSON of the runs so far (the last 100,000 events).
  tern_status write_profile(const char* path) const;

 private:
  struct Pool {  // of one output of one signature
    std::vector<Ref<Tensor>> tensors;
  };
  // Of a signature that takes the rows of any number of sequences. Plans are made for a few numbers of rows; the rows
  // that are left are filled up with such that belong to no position.
  struct Rows {
    int32_t symbol = -1;                // -1: it does not
    std::vector<char> inputs, outputs;  // of which it is the first dim
    bool simple_states = false;         // it uses states that are not paged
    std::vector<int64_t> positions, counts;
    std::vector<int32_t> sequences;
    std::vector<Block> filled;  // inputs
    int64_t given = 0, planned = 0;
  };
  struct PerSignature {
    std::unique_ptr<Stages> stages;
    Rows rows;
    std::vector<Ref<const Tensor>> bound_inputs;
    std::vector<Ref<Tensor>> bound_outputs;
    std::vector<Pool> pools;
    bool bound_ready = false;         // the pointers below match what is bound, and it was checked
    std::vector<const void*> inputs;  // kept to save allocations
    std::vector<Shape> shapes;
    std::vector<const Tensor*> tensors;
    std::vector<Ref<Tensor>> results;
    int64_t position = 0;
  };
  struct Event {
    int32_t signature, stage, node;
    uint64_t begin_ns, end_ns;
  };

  Session(const Model& model, const Options& options) : model_(Ref<const Model>::share(&model)), options_(options) {}
  tern_status check_signature(int32_t signature) const;
  tern_status check_inputs(int32_t signature, std::span<const Tensor* const> inputs) const;
  tern_status take_output(int32_t signature, int32_t k, const Value& value, Ref<Tensor>* tensor);
  tern_status read_inputs(int32_t signature);
  // Names the inputs after an error of shapes, which operators tell of what is inside the model.
  tern_status name_inputs(int32_t signature, std::span<const Shape> shapes, tern_status status) const;
  void announce(int32_t signature, const Stages::Stage& plan, uint64_t begin_ns, bool dropped) const;
  tern_status execute(int32_t signature, bool bound, const RunControl& control);
  tern_status execute(int32_t signature, bool bound, const Sequences& states, const RunControl& control);
  tern_status run_given(int32_t signature, std::span<const Tensor* const> inputs, std::span<const Tensor*> outputs,
                        std::span<State* const> states, std::span<const int64_t> counts, const RunControl& control);
  tern_status check_given(int32_t signature, size_t inputs, size_t outputs) const;
  void find_rows(int32_t signature);
  int64_t planned_rows(int32_t signature, int64_t rows) const;
  tern_status execute_rows(int32_t signature, bool bound, std::span<State* const> states,
                           std::span<const int64_t> counts, const RunControl& control);
  tern_status fill_rows(int32_t signature);
  tern_status cut_rows(int32_t signature);
  void record(int32_t signature);

  Ref<const Model> model_;
  Options options_;
  std::vector<const Backend*> backends_;
  Ref<Parameters> parameters_;
  Ref<State> state_;
  std::vector<PerSignature> signatures_;
  std::vector<Event> events_;
};

}  // namespace tern
