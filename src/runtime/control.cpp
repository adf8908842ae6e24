// SPDX-License-Identifier: Apache-2.0
// `if` and `loop`: sub-graphs are executables of their own, run by the executor on host memory.
#include <cstring>

#include "base/checked.h"
#include "ops/control.h"
#include "passes/specialize.h"
#include "runtime/executable.h"

namespace tern {

tern_status Executable::build_control(int32_t node, const Model& model, const Parameters& parameters,
                                      const Options& options) {
  const Node& n = lowered_.graph.nodes[(size_t)node];
  if (n.subgraphs.size() == 1)
    for (size_t i = 0; i < (size_t)n.attrs<LoopAttrs>().num_carried; ++i) {
      const uint64_t bytes = value_bytes(lowered_.graph.value(n.out[i]));
      for (int parity = 0; parity < 2; ++parity)
        if (!checked_add(planned_, bytes, &planned_) || planned_ > options.max_bytes)
          return TERN_FAIL(TERN_ERR_LIMIT,
                           "the carried values of a loop need %" PRIu64 " bytes, the limit of the plan is %" PRIu64,
                           bytes, options.max_bytes);
    }
  Options left = options;
  left.written = written_;
  for (const Graph& sub : n.subgraphs) {
    // Its inputs have the shapes of this node's operands: those of `if` follow the condition, those of `loop` the trip
    // count, with the iteration number and the condition in front.
    std::vector<Shape> shapes;
    const bool loop = sub.inputs.size() != n.in.size() - 1 || n.subgraphs.size() == 1;
    for (size_t i = 0; i < sub.inputs.size(); ++i) {
      if (loop && i < 2) shapes.push_back(Shape{});
      else shapes.push_back(lowered_.graph.value(n.in[loop ? i : i + 1]).shape);
    }
    Graph g;
    g.budget = lowered_.graph.budget;  // one for the plan with all its sub-graphs
    TERN_TRY(specialize(sub, shapes, &g));
    std::unique_ptr<Executable> child;
    left.max_bytes = options.max_bytes - planned_;
    TERN_TRY(create(std::move(g), model, parameters, left, &child));
    TERN_TRY(check_borders(n, *child, loop));
    planned_ += child->planned_;
    lowered_.graph.budget = child->lowered_.graph.budget;
    children_.push_back(std::move(child));
  }
  return TERN_OK;
}

// What goes in and out of a sub-graph is as large inside as outside.
tern_status Executable::check_borders(const Node& n, const Executable& child, bool loop) const {
  const Graph& sub = child.graph();
  const auto check = [&](ValueId outside, uint64_t inside, const char* what) -> tern_status {
    const Value& v = lowered_.graph.value(outside);
    if (value_bytes(v) == inside) return TERN_OK;
    return TERN_FAIL(TERN_ERR_INTERNAL, "%s: %s '%s' has %" PRIu64 " bytes, its sub-graph %" PRIu64, n.op->name, what,
                     v.name.c_str(), value_bytes(v), inside);
  };
  const size_t carried = loop ? (size_t)n.attrs<LoopAttrs>().num_carried : 0;
  for (size_t i = loop ? 2 : 0; i < sub.inputs.size(); ++i)
    TERN_TRY(check(n.in[loop ? i : i + 1], value_bytes(sub.value(sub.inputs[i])), "input"));
  if (sub.outputs.size() != n.out.size() + (loop ? 1 : 0))
    return TERN_FAIL(TERN_ERR_INTERNAL, "%s: %zu outputs, its sub-graph has %zu", n.op->name, n.out.size(),
                     sub.outputs.size());
  for (size_t i = 0; i < n.out.size(); ++i) {
    const uint64_t inside = value_bytes(sub.value(sub.outputs[loop ? i + 1 : i]));
    // Scanned outputs hold a row for each trip. No product overflows: their size was checked when it was inferred.
    const uint64_t rows = loop && i >= carried ? (uint64_t)lowered_.graph.value(n.out[i]).shape[0] : 1;
    TERN_TRY(check(n.out[i], rows * inside, "output"));
    if (loop && i < carried) TERN_TRY(check(n.in[2 + i], inside, "carried value"));
  }
  return TERN_OK;
}

tern_status Executable::run_control(Control& control, Parameters& parameters, const Sequences& state,
                                    const RunControl& run) {
  const Node& n = lowered_.graph.nodes[(size_t)control.node];
  if (n.subgraphs.size() == 2) {
    const bool condition = *(const uint8_t*)host_pointer(n.in[0]) != 0;
    Executable& child = *children_[(size_t)control.first_child + (condition ? 0 : 1)];
    control.inputs.clear();
    control.outputs.clear();
    for (size_t i = 1; i < n.in.size(); ++i) control.inputs.push_back(host_pointer(n.in[i]));
    for (const ValueId v : n.out) control.outputs.push_back(host_pointer(v));
    return child.run(control.inputs, control.outputs, parameters, state, run);
  }

  // loop: inputs (trip count, condition, carried..., captured...), sub-graph (iteration, condition, carried...,
  // captured...)
  // -> (condition, carried..., scanned...).
  Executable& child = *children_[(size_t)control.first_child];
  const size_t carried = (size_t)n.attrs<LoopAttrs>().num_carried;
  // absent ones at the end are cut off
  const auto given = [&](size_t i) { return i < n.in.size() && n.in[i] != kNoValue; };
  const int64_t trips = !given(0) ? INT64_MAX : *(const int64_t*)host_pointer(n.in[0]);
  uint8_t condition = !given(1) ? 1 : *(const uint8_t*)host_pointer(n.in[1]);
  const auto size_of = [&](ValueId v) { return value_bytes(lowered_.graph.value(v)); };
  if (control.blocks.empty()) {
    control.blocks.resize(2 * carried);
    for (size_t i = 0; i < carried; ++i)
      for (size_t parity = 0; parity < 2; ++parity)
        TERN_TRY(control.blocks[2 * i + parity].allocate(model_->context().allocator(), size_of(n.out[i])));
  }
  for (size_t i = 0; i < carried; ++i)
    std::memcpy(control.blocks[2 * i].data(), host_pointer(n.in[2 + i]), size_of(n.out[i]));
  int64_t iteration = 0;
  for (; iteration < trips && condition; ++iteration) {
    TERN_TRY(check_control(run));
    const size_t now = (size_t)(iteration & 1), next = 1 - now;
    uint8_t next_condition = 1;
    const uint8_t this_condition = condition;
    control.inputs.assign({&iteration, &this_condition});
    control.outputs.assign({&next_condition});
    for (size_t i = 0; i < carried; ++i) {
      control.inputs.push_back(control.blocks[2 * i + now].data());
      control.outputs.push_back(control.blocks[2 * i + next].data());
    }
    for (size_t i = 2 + carried; i < n.in.size(); ++i) control.inputs.push_back(host_pointer(n.in[i]));
    for (size_t i = carried; i < n.out.size(); ++i) {
      // Scanned outputs: one row for each trip; their number is known when the plan is made.
      const Shape& shape = lowered_.graph.value(n.out[i]).shape;
      if (shape[0] <= iteration) return TERN_FAIL(TERN_ERR_LIMIT, "loop: more trips than rows of its scanned output");
      control.outputs.push_back((char*)host_pointer(n.out[i]) +
                                size_of(n.out[i]) / (uint64_t)shape[0] * (uint64_t)iteration);
    }
    TERN_TRY(child.run(control.inputs, control.outputs, parameters, state, run));
    condition = next_condition;
  }
  for (size_t i = 0; i < carried; ++i)
    std::memcpy(host_pointer(n.out[i]), control.blocks[2 * i + (size_t)(iteration & 1)].data(), size_of(n.out[i]));
  for (size_t i = carried; i < n.out.size(); ++i) {  // rows of trips that did not happen
    const uint64_t bytes = size_of(n.out[i]), rows = (uint64_t)lowered_.graph.value(n.out[i]).shape[0];
    if (rows > (uint64_t)iteration)
      std::memset((char*)host_pointer(n.out[i]) + bytes / rows * (uint64_t)iteration, 0,
                  bytes - bytes / rows * (uint64_t)iteration);
  }
  return TERN_OK;
}

}  // namespace tern
