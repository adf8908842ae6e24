// SPDX-License-Identifier: Apache-2.0
// The five functions that make a plan, each alone: what they promise of any graph, and what a plan costs without making
// one.
#include "runtime/plan.h"
#include "ops/concat.h"
#include "ops/reduce.h"
#include "ops/state_write.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

class Plan : public testing::Test {
 protected:
  Targets targets(std::initializer_list<const char*> names) {
    Targets t;
    for (const char* name : names) {
      const Backend* b = nullptr;
      EXPECT_EQ(context->open_backend(name, &b), TERN_OK) << thread_error().message;
      t.backends.push_back(b);
    }
    return t;
  }
  Ref<Context> context = make_context();
};

// Random element-wise nodes, views, products and joins; some values are outputs, a state is read and replaced.
Graph random_graph(uint32_t seed) {
  const auto below = [&](size_t n) {
    seed = seed * 1664525 + 1013904223;
    return (size_t)(seed >> 8) % n;
  };
  Graph g;
  std::vector<ValueId> values = {add_input(g, "a", TERN_DTYPE_F32, {8, 8}), add_input(g, "b", TERN_DTYPE_F32, {8, 8})};
  Value state;
  state.kind = ValueKind::state, state.dtype = TERN_DTYPE_F32, state.shape = Shape{8, 8}, state.index = 0;
  values.push_back(add_value(g, state));
  const ValueId held = values.back();
  const char* const unary[] = {"relu", "sin", "softmax", "neg"};
  for (int i = 0; i < 24; ++i) {
    const ValueId x = values[below(values.size())], y = values[below(values.size())];
    switch (below(5)) {
      case 0: values.push_back(emit(g, unary[below(4)], {x})); break;
      case 1: values.push_back(add(g, x, y)); break;
      case 2: values.push_back(reshape(g, reshape(g, x, {4, 16}), {8, 8})); break;
      case 3: values.push_back(emit(g, "matmul", {x, y})); break;
      case 4: {
        const ValueId joined = emit(g, "concat", {x, y}, ConcatAttrs{.axis = (int64_t)below(2)});
        values.push_back(
            reshape(g, emit(g, "reduce_sum", {reshape(g, joined, {2, 64})}, ReduceAttrs{.axes = {0}}), {8, 8}));
        break;
      }
    }
  }
  emit(g, "state_write", {held, values.back()});
  g.outputs = {values[values.size() - 1], values[3 + below(values.size() - 3)]};
  EXPECT_EQ(g.status, TERN_OK) << thread_error().message;
  return g;
}

TEST_F(Plan, LowerGivesEveryNodeABackendAndKeepsUpdatesForTheEnd) {
  for (uint32_t seed = 1; seed < 40; ++seed) {
    for (const Targets& t : {targets({"cpu"}), targets({"halting", "cpu"})}) {
      Lowered l;
      TERN_OKAY(lower(random_graph(seed), t, &l));
      ASSERT_EQ(l.placements.size(), l.graph.nodes.size());
      std::vector<char> made(l.graph.values.size(), 0);
      for (size_t v = 0; v < made.size(); ++v) made[v] = l.graph.values[v].kind != ValueKind::node;
      for (size_t i = 0; i < l.graph.nodes.size(); ++i) {
        const Node& n = l.graph.nodes[i];
        ASSERT_GE(l.placements[i].backend, 0);
        const Backend& b = *t.backends[(size_t)l.placements[i].backend];
        EXPECT_NE(b.api->supports(b.self, l.graph, n).kind, SupportKind::no);
        for (const ValueId v : n.in) EXPECT_TRUE(made[(size_t)v]) << "in order";
        for (const ValueId v : n.out) made[(size_t)v] = 1;
        EXPECT_EQ((n.op->flags & kWritesState) != 0, (int32_t)i >= l.first_update);
      }
      EXPECT_EQ(l.first_update, (int32_t)l.graph.nodes.size() - 1);
    }
  }
}

TEST_F(Plan, IntegersOfRunTimeScalarsAreTheHosts) {
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_I64, {3}), at = add_scalar(g, "at");
  const int64_t one = 1;
  const ValueId next = add(g, at, add_constant(g, TERN_DTYPE_I64, {}, &one));
  g.outputs = {add(g, x, mul(g, next, next)), next};
  for (const char* device : {"reference", "cpu"}) {
    Lowered l;
    TERN_OKAY(lower(g, targets({device, "cpu"}), &l));
    const bool apart = std::string_view(device) == "reference";
    EXPECT_EQ(l.host_nodes.size(), apart ? 2u : 0u);
    EXPECT_EQ(l.scalars.size(), apart ? 3u : 1u);
    EXPECT_EQ(partition(l).size(), 1u);
  }
}

TEST_F(Plan, PartsAreMaximalAndUpdatesStandAlone) {
  for (uint32_t seed = 1; seed < 40; ++seed) {
    for (const Targets& t : {targets({"cpu"}), targets({"halting", "cpu"})}) {
      Lowered l;
      TERN_OKAY(lower(random_graph(seed), t, &l));
      int32_t at = 0;
      const Part* before = nullptr;
      const std::vector<Part> parts = partition(l);
      for (const Part& p : parts) {
        EXPECT_EQ(p.begin, at);
        at = p.end;
        for (int32_t i = p.begin; i < p.end; ++i) {
          EXPECT_EQ(l.placements[(size_t)i].backend, p.backend);
          EXPECT_EQ(p.updates, i >= l.first_update);
        }
        EXPECT_TRUE(!before || before->backend != p.backend || before->updates != p.updates);
        before = &p;
      }
      EXPECT_EQ(at, (int32_t)l.graph.nodes.size());
    }
  }
}

// Plays the plan with a number in place of each byte: at each node, the bytes of an operand are those that its producer
// gave it. Views and concatenations have the bytes of their operands.
struct Player {
  const Graph& g;
  const MemoryLayout& memory;
  std::vector<uint32_t> arena;
  std::vector<std::vector<uint32_t>> bytes;  // per value

  Player(const Graph& graph, const MemoryLayout& m)
      : g(graph), memory(m), arena(m.arena.bytes, 0), bytes(graph.values.size()) {
    for (size_t v = 0; v < bytes.size(); ++v) bytes[v] = fresh((ValueId)v);
  }
  std::vector<uint32_t> fresh(ValueId v) const {
    std::vector<uint32_t> all(value_bytes(g.value(v)));
    for (size_t i = 0; i < all.size(); ++i) all[i] = (uint32_t)v << 16 | (uint32_t)i;
    return all;
  }
  std::vector<uint32_t> joined(const Node& n) const {
    const Shape &y = g.value(n.out[0]).shape, &x = g.value(n.in[0]).shape;
    if (n.attrs<ConcatAttrs>().axis == 0) {
      std::vector<uint32_t> all = bytes[(size_t)n.in[0]];
      all.insert(all.end(), bytes[(size_t)n.in[1]].begin(), bytes[(size_t)n.in[1]].end());
      return all;
    }
    std::vector<uint32_t> all;
    const size_t row = (size_t)x[1] * 4;
    for (size_t r = 0; r < (size_t)y[0]; ++r)
      for (const ValueId v : n.in)
        all.insert(all.end(), bytes[(size_t)v].begin() + (ptrdiff_t)(r * row),
                   bytes[(size_t)v].begin() + (ptrdiff_t)((r + 1) * row));
    return all;
  }
  // f(byte of the arena, byte of the value); values elsewhere have none.
  template <class F>
  void each(ValueId v, F f) {
    const Location& loc = memory.locations[(size_t)v];
    if (loc.slot != 0) return;
    const Shape& s = g.value(v).shape;
    const uint64_t row = loc.pitch ? (uint64_t)s[s.rank - 1] * 4 : loc.bytes;
    for (uint64_t i = 0; i < loc.bytes; ++i) f(arena[loc.offset + i / row * loc.pitch + i % row], bytes[(size_t)v][i]);
  }
  void play(const Node& n) {
    for (const ValueId v : n.in) {
      int wrong = 0;
      if (g.value(v).producer >= 0) each(v, [&](uint32_t& at, uint32_t want) { wrong += at != want; });
      EXPECT_EQ(wrong, 0) << n.op->name << " reads value " << v;
    }
    for (const ValueId v : n.out) {
      if (n.op->flags & kView) bytes[(size_t)v] = bytes[(size_t)n.in[0]];
      if (n.op == find_op("concat")) bytes[(size_t)v] = joined(n);
      each(v, [&](uint32_t& at, uint32_t now) { at = now; });
    }
  }
};

TEST_F(Plan, NothingIsOverwrittenBeforeItsLastReader) {
  for (uint32_t seed = 1; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const Targets t = targets({"cpu"});
    Lowered l;
    TERN_OKAY(lower(random_graph(seed), t, &l));
    const std::vector<Part> parts = partition(l);
    const Stored stored = share_storage(l, parts, t);
    Layout layout;
    TERN_OKAY(lay_out(l, parts, stored, t, PageLayout{}, UINT64_MAX, &layout));
    Player player(l.graph, layout.memories[0]);
    for (const Node& n : l.graph.nodes) player.play(n);
    if (HasFailure()) return;
  }
}

// Copies to the host follow behind a whole part: its last node must not work in the place of what they read.
TEST_F(Plan, WhatIsCopiedToTheHostStaysUntilThen) {
  int copies = 0;
  for (uint32_t seed = 1; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const Targets t = targets({"halting", "cpu"});
    Lowered l;
    TERN_OKAY(lower(random_graph(seed), t, &l));
    const std::vector<Part> parts = partition(l);
    const Stored stored = share_storage(l, parts, t);
    Layout layout;
    TERN_OKAY(lay_out(l, parts, stored, t, PageLayout{}, UINT64_MAX, &layout));
    Player device(l.graph, layout.memories[0]);
    for (const Step& step : schedule(l, parts, stored, t).steps) {
      if (step.kind == StepKind::to_device) {
        device.each(step.value, [](uint32_t& at, uint32_t now) { at = now; });
      } else if (step.kind == StepKind::to_host) {
        int wrong = 0;
        device.each(step.value, [&](uint32_t& at, uint32_t want) { wrong += at != want; });
        EXPECT_EQ(wrong, 0) << "value " << step.value;
        ++copies;
      } else if (const Part& part = parts[(size_t)step.index]; t.memory_of(part.backend) == 0) {
        for (int32_t i = part.begin; i < part.end; ++i) device.play(l.graph.nodes[(size_t)i]);
      }
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(copies, 100);
}

// A limit is kept exactly, by all memories together, and the answer costs nothing.
TEST_F(Plan, TheCostIsKnownWithoutMakingIt) {
  const Targets t = targets({"halting", "cpu"});
  int both = 0;
  for (uint32_t seed = 1; seed < 40; ++seed) {
    Lowered l;
    TERN_OKAY(lower(random_graph(seed), t, &l));
    const std::vector<Part> parts = partition(l);
    const Stored stored = share_storage(l, parts, t);
    Layout layout, again, less;
    TERN_OKAY(lay_out(l, parts, stored, t, PageLayout{}, UINT64_MAX, &layout));
    EXPECT_EQ(layout.bytes, layout.memories[0].arena.bytes + layout.memories[1].arena.bytes);
    both += layout.memories[0].arena.bytes > 0 && layout.memories[1].arena.bytes > 0;
    TERN_OKAY(lay_out(l, parts, stored, t, PageLayout{}, layout.bytes, &again));
    EXPECT_EQ(again.bytes, layout.bytes);
    EXPECT_EQ(lay_out(l, parts, stored, t, PageLayout{}, layout.bytes - 1, &less), TERN_ERR_LIMIT);
  }
  EXPECT_GT(both, 10);
}

TEST_F(Plan, CopiesStandBetweenWriterAndReader) {
  for (uint32_t seed = 1; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const Targets t = targets({"halting", "cpu"});
    Lowered l;
    TERN_OKAY(lower(random_graph(seed), t, &l));
    const std::vector<Part> parts = partition(l);
    const Stored stored = share_storage(l, parts, t);
    const Schedule s = schedule(l, parts, stored, t);
    // Which memory has which value.
    std::vector<std::vector<char>> there(2, std::vector<char>(l.graph.values.size(), 0));
    for (size_t v = 0; v < l.graph.values.size(); ++v) {
      const ValueKind kind = l.graph.values[v].kind;
      there[1][v] = kind != ValueKind::node;
      there[0][v] = kind != ValueKind::node && kind != ValueKind::input;
    }
    size_t submitted = 0;
    for (size_t k = 0; k < s.steps.size(); ++k) {
      const Step& step = s.steps[k];
      if (step.kind == StepKind::to_device) {
        EXPECT_TRUE(there[1][(size_t)step.value]);
        EXPECT_FALSE(there[0][(size_t)step.value]) << "once";
        there[0][(size_t)step.value] = 1;
      } else if (step.kind == StepKind::to_host) {
        EXPECT_TRUE(there[0][(size_t)step.value]);
        there[1][(size_t)step.value] = 1;
      } else {
        const Part& p = parts[(size_t)step.index];
        EXPECT_EQ((size_t)step.index, submitted++);
        EXPECT_EQ(step.updates, k >= s.update_phase);
        std::vector<char>& here = there[(size_t)t.memory_of(p.backend)];
        for (int32_t i = p.begin; i < p.end; ++i) {
          for (const ValueId v : l.graph.nodes[(size_t)i].in) EXPECT_TRUE(here[(size_t)v]) << "node " << i;
          for (const ValueId v : l.graph.nodes[(size_t)i].out) here[(size_t)v] = 1;
        }
      }
    }
    EXPECT_EQ(submitted, parts.size());
    for (const ValueId v : l.graph.outputs) EXPECT_TRUE(there[1][(size_t)v]) << "outputs reach the host";
    EXPECT_TRUE(s.replaces_states);
  }
}

}  // namespace
}  // namespace tern::test
