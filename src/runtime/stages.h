// SPDX-License-Identifier: Apache-2.0
// Plans of one graph, for the shapes that come by. Where sizes depend on data, a plan is a chain of stages: each is
// planned when the sizes that it needs are known, and kept for the next time they come.
#pragma once
#include "passes/specialize.h"
#include "runtime/executable.h"

namespace tern {

// "conv2d+relu" for a fused node.
std::string describe_op(const Node& node);

// Gives the memory of an output when its shape is known.
struct OutputSink {
  void* self;
  tern_status (*take)(void* self, int32_t output, const Value& value, void** data);
};

class Stages {
 public:
  struct Stage;
  struct Options {
    std::span<const Backend* const> backends;
    bool deterministic = false, profile = false, keep = false;
    size_t max_plans = 8;               // chains of stages that are kept
    uint64_t arena_bytes = UINT64_MAX;  // of a plan's activations (Executable::Options)
    // Told of each stage when it is made; dropped: another chain had to go for it. Optional.
    void (*made)(void* owner, int32_t tag, const Stage& stage, uint64_t begin_ns, bool dropped) = nullptr;
    void* owner = nullptr;
    int32_t tag = 0;
  };
  // What one node of a plan computed.
  struct Intermediate {
    std::string name, node, op;
    Ref<Tensor> tensor;
  };
  struct Loop;
  struct Stage {
    std::vector<Shape> shapes;            // of its inputs, and
    std::vector<unsigned char> contents;  // of those of which sizes depend: what it was made for
    std::unique_ptr<Executable> executable;
    std::vector<Intermediate> kept;  // outputs of the executable behind the others
    Rest rest;
    std::vector<Block> crossing;  // outputs that what is left reads
    std::vector<std::unique_ptr<Loop>> loops;
    std::vector<std::unique_ptr<Stage>> next;
    uint64_t used = 0;     // clock of the last use
    uint64_t planned = 0;  // bytes, with those of the stages before it
    // Of a run; kept to save allocations.
    std::vector<const void*> next_inputs;
    std::vector<Given> next_given;
    std::vector<void*> outputs;
    std::vector<int32_t> results;  // which outputs of the whole graph its own first ones are

    bool last() const { return rest.inputs.empty(); }
    ~Stage();
    Stage();
  };

  // `graph` and the backends must outlive this.
  Stages(const Model& model, const Graph& graph, const Options& options)
      : model_(&model), graph_(&graph), options_(options) {}

  // The first stage for these shapes is planned, if it is not there yet; nothing runs.
  tern_status prepare(std::span<const Shape> shapes, const Parameters& parameters, const RunControl& control);
  // As Executable::run, all stages. sink: asked once for each output of the graph, in any order.
  tern_status run(std::span<const Shape> shapes, std::span<const void* const> inputs, const OutputSink& sink,
                  Parameters& parameters, const Sequences& state, const RunControl& control);

  // The stages of the latest run, or what was prepared behind it; empty before the first.
  std::span<Stage* const> latest() const { return latest_; }
  // Of the latest run that succeeded, with Options::keep.
  std::span<const Intermediate> intermediates() const { return kept_; }
  // Calls f(stage) for every stage that is kept, those of loops too.
  template <class F>
  void for_each(F&& f) const {
    for (const auto& s : roots_) visit(*s, f);
  }
  uint64_t max_bytes = UINT64_MAX;  // of a chain; at most the model's limit

 private:
  friend struct Loop;
  using List = std::vector<std::unique_ptr<Stage>>;
  template <class F>
  static void visit(const Stage& s, F& f);
  tern_status find(List& list, Stage* before, const Graph& graph, std::span<const Given> given,
                   const Parameters& parameters, const RunControl& control, Stage** found);
  tern_status create(Stage* before, const Graph& graph, std::span<const Given> given, const Parameters& parameters,
                     const RunControl& control, std::unique_ptr<Stage>* out);
  // They count as bytes of the chain, which may have `most`.
  tern_status keep_values(Graph& g, uint64_t most, Stage* s);
  tern_status run_stage(Stage& s, std::span<const void* const> inputs, const OutputSink& sink, Parameters& parameters,
                        const Sequences& state, const RunControl& control);
  tern_status pass_on(Stage& s, std::span<const void* const> inputs, Parameters& parameters, const Sequences& state,
                      const RunControl& control);
  bool make_room();

  const Model* model_;
  const Graph* graph_;
  Options options_;
  List roots_;
  std::vector<Stage*> latest_;
  std::vector<Intermediate> kept_;
  std::vector<Given> given_;
  uint64_t clock_ = 0;
};

// A growing loop between two stages, and what it holds.
struct Stages::Loop {
  const Node* node = nullptr;
  Stages body;
  struct Result {
    Block block[2];  // a carried value before and after an iteration; rows of a scanned value in the first
    Shape shape[2];
    uint64_t bytes = 0;  // of rows
  };
  std::vector<Result> results;
  std::vector<Shape> shapes;
  std::vector<const void*> inputs;
  uint8_t again = 1;
  int64_t iteration = 0;
  int now = 0;  // which of the two blocks holds the carried values

  Loop(const Model& model, const Node& n, const Options& options)
      : node(&n), body(model, n.subgraphs[0], options), results(n.out.size()) {}
  tern_status run(const Stage& s, std::span<const void* const> stage_inputs, Parameters& parameters,
                  const Sequences& state, const RunControl& control);
  tern_status take(int32_t output, const Value& value, void** data);
  tern_status reserve(Block& block, uint64_t bytes, uint64_t used);
  uint64_t bytes() const;
};

template <class F>
void Stages::visit(const Stage& s, F& f) {
  f(s);
  for (const auto& loop : s.loops) loop->body.for_each(f);
  for (const auto& n : s.next) visit(*n, f);
}

}  // namespace tern
