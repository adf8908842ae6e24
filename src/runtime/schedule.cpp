// SPDX-License-Identifier: Apache-2.0
// The fifth step of a plan: the order of events. Copies stand on the edges of parts only.
#include "ops/ops_generated.h"
#include "runtime/plan.h"

namespace tern {

Schedule schedule(const Lowered& lowered, std::span<const Part> parts, const Stored& stored, const Targets& targets) {
  const Graph& g = lowered.graph;
  const auto where = [&](int32_t node) { return targets.memory_of(lowered.placements[(size_t)node].backend); };
  Schedule out;
  std::vector<std::vector<char>> present(targets.backends.size(), std::vector<char>(g.values.size(), 0));
  for (size_t p = 0; p < parts.size(); ++p) {
    const Part& part = parts[p];
    const int32_t memory = targets.memory_of(part.backend);
    const bool device = memory != targets.host();
    for (int32_t i = part.begin; device && i < part.end; ++i)
      for (const ValueId v : g.nodes[(size_t)i].in) {
        if (v == kNoValue || present[(size_t)memory][(size_t)v]) continue;
        const Value& value = g.value(v);
        if (value.paged) continue;  // each memory has the table of pages
        if (value.kind != ValueKind::input && (value.producer < 0 || where(value.producer) == memory)) continue;
        out.steps.push_back({StepKind::to_device, memory, v});
        present[(size_t)memory][(size_t)v] = 1;
      }
    const StepKind kind = part.backend < 0 ? StepKind::control : StepKind::submit;
    out.steps.push_back({kind, (int32_t)p, kNoValue, kind == StepKind::submit && part.updates});
    for (int32_t i = part.begin; device && i < part.end; ++i)
      for (const ValueId v : g.nodes[(size_t)i].out)
        if (stored.crosses[(size_t)v] && !g.value(v).paged) out.steps.push_back({StepKind::to_host, memory, v});
  }
  out.update_phase = out.steps.size();
  for (size_t s = out.steps.size(); s-- > 0;) {
    const StepKind kind = out.steps[s].kind;
    if (out.steps[s].updates) out.update_phase = s;
    else if (kind == StepKind::submit || kind == StepKind::control) break;
  }
  for (size_t i = (size_t)lowered.first_update; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (n.op == &op_page_write || (n.op == &op_state_write && n.in.size() > 2)) continue;  // beyond what is valid
    for (size_t k = 0; k < num_written(n); ++k) out.replaces_states |= g.value(n.in[k]).kind == ValueKind::state;
  }
  return out;
}

}  // namespace tern
