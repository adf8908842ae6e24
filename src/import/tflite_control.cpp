// SPDX-License-Identifier: Apache-2.0
// TFLite operators that call sub-graphs. Theirs read nothing but their inputs.
#include <algorithm>

#include "import/tflite.h"
#include "passes/open_axes.h"

namespace tern {
namespace {

struct Branch {
  Graph g;
};

// Runs `fill` with the builder on the branch. `like` are values of the caller whose types and shapes the inputs have,
// but for the axes of each that are in `open` (bits), whose size is not known.
template <class Fill>
tern_status build_branch(TfliteNode& n, const std::vector<ValueId>& like, Branch* branch,
                         std::span<const uint32_t> open, Fill fill) {
  Builder& b = n.b;
  TERN_TRY(b.status());
  if (std::find(like.begin(), like.end(), kNoValue) != like.end())
    return TERN_FAIL(TERN_ERR_CORRUPT, "an operator with sub-graphs lacks an input");
  Graph* const g = b.g;
  b.g = &branch->g;
  b.g->budget = g->budget;  // one for the graph with all that is within it
  std::vector<ValueId> in;
  for (size_t i = 0; i < like.size(); ++i) {
    in.push_back(b.input_like("in" + std::to_string(i), g->value(like[i])));
    if (!open.empty()) b.open_axes(in.back(), open[i]);
  }
  std::vector<ValueId> out;
  tern_status s = fill(in, &out);
  if (s == TERN_OK) s = b.status();
  for (ValueId v : out) {
    if (s != TERN_OK) break;
    // An output is produced inside, and each value is an output once.
    const bool taken = std::find(branch->g.outputs.begin(), branch->g.outputs.end(), v) != branch->g.outputs.end();
    if (b.value(v).kind != ValueKind::node || taken) {
      std::vector<int64_t> dims;
      for (int i = 0; i < b.rank(v); ++i) dims.push_back(Builder::same(i));
      v = b.reshape(v, dims);
    }
    branch->g.outputs.push_back(v);
    s = b.status();
  }
  g->budget = b.g->budget;
  b.g = g;
  return s;
}

tern_status scalar_condition(TfliteNode& n, ValueId* v) {
  TERN_TRY(n.b.status());
  const Value& c = n.b.value(*v);
  if (c.dtype != TERN_DTYPE_BOOL || c.shape.elements() != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: a condition of type %s%s", n.type(), dtype_name(c.dtype),
                     to_string(c.shape).c_str());
  if (c.shape.rank) *v = n.b.reshape(*v, {});
  return n.b.status();
}

// Quantised values pass as the integers that they are.
tern_status if_(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::IfOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  n.raw = true;
  std::vector<ValueId> in = n.ins();
  TERN_TRY(scalar_condition(n, &in[0]));
  const std::vector<ValueId> captures(in.begin() + 1, in.end());
  Branch then_branch, else_branch;
  const auto build = [&](int32_t index, Branch* branch) {
    return build_branch(n, captures, branch, {}, [&](const std::vector<ValueId>& args, std::vector<ValueId>* out) {
      return n.importer.inline_graph((uint32_t)index, args, b, out);
    });
  };
  TERN_TRY(build(o->then_subgraph(), &then_branch));
  TERN_TRY(build(o->else_subgraph(), &else_branch));
  if ((int)then_branch.g.outputs.size() != n.num_out() || (int)else_branch.g.outputs.size() != n.num_out())
    return TERN_FAIL(TERN_ERR_CORRUPT, "IF has %d outputs, its sub-graphs %zu and %zu", n.num_out(),
                     then_branch.g.outputs.size(), else_branch.g.outputs.size());
  const BranchSizes outcome = compare_branches(b.sizes, then_branch.g, else_branch.g);
  if (!outcome.same_rank) return n.unsupported("branches whose outputs differ in their number of dims");
  // Only the branch that runs need fit the sizes of a run.
  if (!outcome.same_shape || decides_in_plan(then_branch.g) || decides_in_plan(else_branch.g))
    in[0] = b.sized_itself(in[0]);
  std::vector<Graph> both;
  for (Branch* branch : {&then_branch, &else_branch}) both.push_back(std::move(branch->g));
  const std::vector<ValueId> y = b.control("if", in, {}, n.num_out(), std::move(both));
  for (int i = 0; i < n.num_out(); ++i) n.set(i, y[(size_t)i]);
  return TERN_OK;
}

// while (cond(v)) v = body(v): the condition stands once before the loop and once at the end of its body.
tern_status while_(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::WhileOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  if (n.num_in() != n.num_out())
    return TERN_FAIL(TERN_ERR_CORRUPT, "WHILE has %d inputs and %d outputs", n.num_in(), n.num_out());
  n.raw = true;
  const std::vector<ValueId> carried = n.ins();
  TERN_TRY(b.status());
  const auto condition = [&](const std::vector<ValueId>& values, ValueId* v) {
    std::vector<ValueId> out;
    TERN_TRY(n.importer.inline_graph((uint32_t)o->cond_subgraph(), values, b, &out));
    if (out.size() != 1) return TERN_FAIL(TERN_ERR_CORRUPT, "WHILE: a condition with %zu outputs", out.size());
    *v = out[0];
    return scalar_condition(n, v);
  };
  std::vector<ValueId> in = {kNoValue, kNoValue};
  TERN_TRY(condition(carried, &in[1]));
  in.insert(in.end(), carried.begin(), carried.end());
  // The body's inputs: number of the round, condition, what is carried.
  std::vector<ValueId> like = {b.integer(0), in[1]};
  like.insert(like.end(), carried.begin(), carried.end());
  Branch body;
  // Axes of carried values that another iteration may find changed, until no more of them turn up.
  std::vector<uint32_t> open(like.size());
  const auto fill = [&](const std::vector<ValueId>& args, std::vector<ValueId>* out) -> tern_status {
    std::vector<ValueId> next;
    TERN_TRY(n.importer.inline_graph((uint32_t)o->body_subgraph(), {args.begin() + 2, args.end()}, b, &next));
    if (next.size() != carried.size())
      return TERN_FAIL(TERN_ERR_CORRUPT, "WHILE carries %zu values, its body gives %zu", carried.size(), next.size());
    ValueId more = kNoValue;
    TERN_TRY(condition(next, &more));
    out->push_back(more);
    out->insert(out->end(), next.begin(), next.end());
    return TERN_OK;
  };
  for (bool again = true; again;) {
    body = {};
    TERN_TRY(build_branch(n, like, &body, open, fill));
    if (!find_open_axes(b.sizes, body.g, carried.size(), &open, &again))
      return n.unsupported("carried values that change their number of dims");
  }
  const bool grows =
      std::any_of(open.begin(), open.end(), [](uint32_t axes) { return axes != 0; }) || depends_on_data(body.g);
  std::vector<Graph> graphs;
  graphs.push_back(std::move(body.g));
  const std::vector<ValueId> y = b.control("loop", in, {{"num_carried", (int64_t)carried.size()}, {"grows", grows}},
                                           n.num_out(), std::move(graphs));
  for (int i = 0; i < n.num_out(); ++i) n.set(i, y[(size_t)i]);
  return TERN_OK;
}

tern_status call(TfliteNode& n) {
  const tfl::CallOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  n.raw = true;
  const std::vector<ValueId> in = n.ins();
  TERN_TRY(n.b.status());
  std::vector<ValueId> out;
  TERN_TRY(n.importer.inline_graph(o->subgraph(), in, n.b, &out));
  if ((int)out.size() != n.num_out())
    return TERN_FAIL(TERN_ERR_CORRUPT, "CALL has %d outputs, its sub-graph %zu", n.num_out(), out.size());
  for (int i = 0; i < n.num_out(); ++i) n.set(i, out[(size_t)i]);
  return TERN_OK;
}

constexpr TfliteOp kOps[] = {
    {118, "IF", 1, -1, -1, 0, if_},
    {119, "WHILE", 1, -1, -1, 0, while_},
    {31, "CALL", 0, -1, -1, 0, call},
};

}  // namespace

std::span<const TfliteOp> tflite_control_ops() { return kOps; }

}  // namespace tern
