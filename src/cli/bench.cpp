// SPDX-License-Identifier: Apache-2.0
// tern bench: how long a model takes and what it needs.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

#include "cli/bench_language.h"
#include "cli/inputs.h"

namespace tern::cli {
namespace {

constexpr const char* kKinds[] = {"kernel", "decomposed", "reference", "copy"};

struct Work {
  int64_t nodes = 0;
  double ns = 0;
};

struct Placed {
  Work kinds[4];
  std::map<std::string, Work> ops;
  double total_ns = 0;
  double beside = 0;              // of a run's time, the part that no node took
  std::vector<std::string> slow;  // nodes in plain loops, with the reason
};

int profile_nodes(const Arguments& a, const tern_model* model, int32_t signature, const Tensors& inputs, Placed* out) {
  Handle<tern_session> session;
  if (const int code = make_session(model, a.value("--backend"), TERN_SESSION_PROFILE, &session)) return code;
  std::vector<Handle<const tern_tensor>> outputs;
  double least = 0, nodes_before = 0;  // ns
  for (int i = 0; i < 5; ++i) {        // the first one makes the plan
    const double begin = now_seconds();
    if (const tern_status s = run_session(session.get(), model, signature, inputs, &outputs, true))
      return report(s, a.words()[0]);
    const double took = (now_seconds() - begin) * 1e9;
    double nodes = 0;
    for (int32_t k = 0; k < tern_session_num_placements(session.get(), signature); ++k) {
      tern_placement p = TERN_PLACEMENT_INIT;
      if (tern_session_get_placement(session.get(), signature, k, &p) == TERN_OK) nodes += p.time_ns;
    }
    if (i == 1 || (i > 1 && took < least)) least = took, out->beside = (took - (nodes - nodes_before)) / took;
    nodes_before = nodes;
  }
  for (int32_t i = 0; i < tern_session_num_placements(session.get(), signature); ++i) {
    tern_placement p = TERN_PLACEMENT_INIT;
    if (const tern_status s = tern_session_get_placement(session.get(), signature, i, &p))
      return report(s, a.words()[0]);
    Work& kind = out->kinds[std::clamp(p.kind, 0, 3)];
    ++kind.nodes, kind.ns += p.time_ns;
    Work& op = out->ops[p.op];
    ++op.nodes, op.ns += p.time_ns;
    out->total_ns += p.time_ns;
    if (p.kind == TERN_PLACED_REFERENCE)
      out->slow.push_back(printable(p.op) + " '" + printable(p.node, 60) + "': " + p.reason);
  }
  return kDone;
}

int run(const Arguments& a) {
  Handle<tern_context> context;
  Handle<tern_model> model;
  Handle<tern_session> session;
  int32_t signature = 0;
  int64_t runs = 0;
  double seconds = 2;
  Tensors inputs;
  std::vector<Handle<const tern_tensor>> outputs;
  if (!a.number("--runs", 1, 1000000, &runs) || !a.real("--seconds", 0.01, 3600, &seconds)) return kUsage;
  std::vector<std::string> warnings;
  if (const int code = make_context(a, &context, &warnings)) return code;
  const double peak_before = process_bytes("VmHWM:"), begin = now_seconds();
  if (const int code = load_model(context.get(), a.words()[0], 0, &model)) return code;
  if (is_language_model(model.get()) && !a.value("--signature")) return bench_language(a, model.get(), begin);
  if (const int code = find_signature(model.get(), a, &signature)) return code;
  if (const int code = make_session(model.get(), a.value("--backend"), 0, &session)) return code;
  const double loaded = now_seconds();
  if (const int code = make_inputs(a, context.get(), model.get(), signature, session.get(), &inputs)) return code;
  if (const tern_status s = run_session(session.get(), model.get(), signature, inputs, &outputs))
    return report(s, a.words()[0]);
  const double first = now_seconds();

  std::vector<double> times;
  double total = 0;
  while (runs ? (int64_t)times.size() < runs : times.size() < 5 || (total < seconds && times.size() < 1000000)) {
    outputs.clear();
    const double start = now_seconds();
    const tern_status s = run_session(session.get(), model.get(), signature, inputs, &outputs, true);
    const double took = now_seconds() - start;
    if (s != TERN_OK) return report(s, a.words()[0]);
    times.push_back(took);
    total += took;
    if (times.size() % 16 == 1) progress("%zu runs, %.2f ms", times.size(), took * 1e3);
  }
  progress("%s", "");
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2], p90 = times[(size_t)((double)(times.size() - 1) * 0.9)];
  const double peak = process_bytes("VmHWM:") - peak_before;
  tern_memory_report memory = TERN_MEMORY_REPORT_INIT;
  if (const tern_status s = tern_session_memory(session.get(), &memory)) return report(s, a.words()[0]);
  const std::vector<std::string> of_plan = warnings;  // the plan of the profile below says the same again
  Placed placed;
  if (const int code = profile_nodes(a, model.get(), signature, inputs, &placed)) return code;

  std::vector<std::pair<std::string, Work>> ops(placed.ops.begin(), placed.ops.end());
  std::sort(ops.begin(), ops.end(), [](const auto& x, const auto& y) { return x.second.ns > y.second.ns; });
  const auto share = [&](double ns) { return placed.total_ns > 0 ? ns / placed.total_ns : 0; };
  if (a.has("--json")) {
    Json j;
    j.begin_object().add("file", a.words()[0]).add("signature", tern_model_signature_name(model.get(), signature));
    j.add("runs", (uint64_t)times.size())
        .add("median_ms", median * 1e3)
        .add("min_ms", times[0] * 1e3)
        .add("p90_ms", p90 * 1e3);
    j.add("load_ms", (loaded - begin) * 1e3)
        .add("load_and_first_run_ms", (first - begin) * 1e3)
        .add("peak_growth_bytes", peak);
    j.begin_list("inputs");
    for (const auto& t : inputs) j.add(nullptr, t ? tensor_text(t.get()) : std::string("position"));
    j.end()
        .begin_object("memory")
        .add("arena", memory.arena_bytes)
        .add("arena_bound", memory.arena_bound)
        .add("scratch", memory.scratch_bytes);
    j.add("prepared", memory.prepared_bytes)
        .add("mapped", memory.mapped_bytes)
        .add("state", memory.state_bytes)
        .add("output", memory.output_bytes);
    j.add("plans", memory.num_plans).add("all_plans", memory.plan_bytes).end();
    j.begin_object("placement");
    for (int k = 0; k < 4; ++k)
      j.begin_object(kKinds[k]).add("nodes", placed.kinds[k].nodes).add("share", share(placed.kinds[k].ns)).end();
    j.end().add("beside_nodes", placed.beside).begin_list("warnings");
    for (const std::string& w : of_plan) j.add(nullptr, w);
    j.end().begin_list("plain_loops");
    for (const std::string& node : placed.slow) j.add(nullptr, node);
    j.end().begin_list("operators");
    for (const auto& [op, w] : ops)
      j.begin_object().add("op", op).add("nodes", w.nodes).add("share", share(w.ns)).end();
    j.print();
    return kDone;
  }
  std::printf("%s: median %.3f ms, least %.3f ms, 90 %% below %.3f ms (%zu runs)\n", a.words()[0].c_str(), median * 1e3,
              times[0] * 1e3, p90 * 1e3, times.size());
  for (const auto& t : inputs) std::printf("  input      %s\n", t ? tensor_text(t.get()).c_str() : "position");
  std::printf("  start      load %.1f ms, load and first run %.1f ms\n", (loaded - begin) * 1e3, (first - begin) * 1e3);
  std::printf(
      "  memory     arena %s (at least %s), scratch %s, prepared %s, mapped weights %s, outputs %s; peak growth %s\n",
      bytes_text((double)memory.arena_bytes).c_str(), bytes_text((double)memory.arena_bound).c_str(),
      bytes_text((double)memory.scratch_bytes).c_str(), bytes_text((double)memory.prepared_bytes).c_str(),
      bytes_text((double)memory.mapped_bytes).c_str(), bytes_text((double)memory.output_bytes).c_str(),
      bytes_text(peak).c_str());
  if (memory.num_plans > 1)
    std::printf("             %d plans are kept, %s in all\n", memory.num_plans,
                bytes_text((double)memory.plan_bytes).c_str());
  std::printf("  nodes     ");
  for (int k = 0; k < 4; ++k)
    if (placed.kinds[k].nodes)
      std::printf(" %s %lld (%.1f %%)", kKinds[k], (long long)placed.kinds[k].nodes, 100 * share(placed.kinds[k].ns));
  std::printf("; %.1f %% of a run are beside them\n", 100 * placed.beside);
  for (size_t i = 0; i < ops.size() && i < 12; ++i)
    std::printf("  %5.1f %%    %s (%lld)\n", 100 * share(ops[i].second.ns), printable(ops[i].first.c_str(), 70).c_str(),
                (long long)ops[i].second.nodes);
  for (const std::string& w : of_plan) std::printf("  slow       %s\n", printable(w.c_str(), 460).c_str());
  for (size_t i = 0; i < placed.slow.size() && i < 5; ++i) std::printf("  plain loops: %s\n", placed.slow[i].c_str());
  return kDone;
}

}  // namespace

const Command& bench_command() {
  static const Command command = {
      "bench",
      "FILE",
      "measures time and memory of a model",
      "Inputs are random numbers. Times are those of whole runs; the share of operators comes from five runs of their "
      "own.\n",
      "  tern bench ssd.tern --threads 1\n"
      "  tern bench text.tern --shape x=1x3x480x736 --json\n"
      "  tern bench smollm2.tern --prompt 512 --generate 128\n"
      "  tern bench smollm2.tern --signature decode --shape tokens=1\n",
      {{"--threads", "N", "threads; the default is all CPUs"},
       {"--json", nullptr, "for programs"},
       {"--shape", "NAME=SHAPE", "sizes of an input whose dims vary"},
       {"--signature", "NAME", "which signature; the default is the first"},
       {"--backend", "NAME", "where to run, see tern devices"},
       {"--prompt", "N", "language models: tokens of the prompt; the default is 512"},
       {"--generate", "N", "language models: tokens after it; the default is 128"},
       {"--runs", "N", "how many runs"},
       {"--seconds", "S", "without --runs: for how long, but 5 runs at least; the default is 2"}},
      1,
      1,
      run};
  return command;
}

}  // namespace tern::cli
