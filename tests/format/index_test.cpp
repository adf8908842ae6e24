// SPDX-License-Identifier: Apache-2.0
// Every index of every table of a file takes the values -1, n, n + 1, 2^31 - 1, 2^31 and others that lead nowhere.
#include "tests/format/support.h"

namespace tern::test {
namespace {

// One index field: how to set it, how many entries it points into, and whether -1 (absent) is right there.
struct Field {
  std::string name;
  std::function<void(Parts&, uint32_t)> set;
  uint32_t n;
  bool minus_one_allowed = false;
};

std::vector<Field> fields(const Parts& base) {
  std::vector<Field> list;
  const auto& model = base.model;
  for (size_t g = 0; g < model.graphs.size(); ++g) {
    const fbs::GraphT& graph = *model.graphs[g];
    const uint32_t n = (uint32_t)graph.values.size();
    const std::string in_graph = "graph " + std::to_string(g);
    for (size_t i = 0; i < graph.inputs.size(); ++i)
      list.push_back(
          {in_graph + " input", [=](Parts& p, uint32_t v) { p.model.graphs[g]->inputs[i] = (int32_t)v; }, n});
    for (size_t i = 0; i < graph.outputs.size(); ++i)
      list.push_back(
          {in_graph + " output", [=](Parts& p, uint32_t v) { p.model.graphs[g]->outputs[i] = (int32_t)v; }, n});
    for (size_t i = 0; i < graph.values.size(); ++i) {
      const int kind = graph.values[i]->kind;
      const size_t count = kind == 2   ? model.parameters.size()
                           : kind == 3 ? model.states.size()
                           : kind == 4 ? model.constants.size()
                                       : 0;
      list.push_back({in_graph + " value of kind " + std::to_string(kind),
                      [=](Parts& p, uint32_t v) { p.model.graphs[g]->values[i]->index = (int32_t)v; }, (uint32_t)count,
                      count == 0});
    }
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const fbs::NodeT& node = *graph.nodes[i];
      const Op* op = find_op(model.operators[node.op]->name);
      const std::string of_node = in_graph + " node " + std::to_string(i) + " " + op->name;
      list.push_back({of_node + " op", [=](Parts& p, uint32_t v) { p.model.graphs[g]->nodes[i]->op = v; },
                      (uint32_t)model.operators.size()});
      for (size_t k = 0; k < node.inputs.size(); ++k)
        list.push_back({of_node + " input",
                        [=](Parts& p, uint32_t v) { p.model.graphs[g]->nodes[i]->inputs[k] = (int32_t)v; }, n,
                        op->max_in >= 0 && (int)k >= op->min_in});
      for (size_t k = 0; k < node.outputs.size(); ++k)
        list.push_back({of_node + " output",
                        [=](Parts& p, uint32_t v) { p.model.graphs[g]->nodes[i]->outputs[k] = (int32_t)v; }, n});
      for (size_t k = 0; k < node.subgraphs.size(); ++k)
        list.push_back({of_node + " sub-graph",
                        [=](Parts& p, uint32_t v) { p.model.graphs[g]->nodes[i]->subgraphs[k] = v; },
                        (uint32_t)model.graphs.size()});
    }
  }
  for (size_t s = 0; s < model.signatures.size(); ++s) {
    const fbs::SignatureT& signature = *model.signatures[s];
    const uint32_t inputs = (uint32_t)model.graphs[signature.graph]->inputs.size();
    list.push_back({"graph of a signature", [=](Parts& p, uint32_t v) { p.model.signatures[s]->graph = v; },
                    (uint32_t)model.graphs.size()});
    list.push_back({"position input", [=](Parts& p, uint32_t v) { p.model.signatures[s]->position_input = (int32_t)v; },
                    inputs, true});
    for (size_t d = 0; d < signature.symbolic_dims.size(); ++d) {
      list.push_back({"input of a symbolic dim",
                      [=](Parts& p, uint32_t v) { p.model.signatures[s]->symbolic_dims[d].mutate_input((int32_t)v); },
                      inputs});
      list.push_back({"axis of a symbolic dim",
                      [=](Parts& p, uint32_t v) { p.model.signatures[s]->symbolic_dims[d].mutate_axis((int32_t)v); },
                      2});
      list.push_back({"symbol of a symbolic dim",
                      [=](Parts& p, uint32_t v) { p.model.signatures[s]->symbolic_dims[d].mutate_symbol((int32_t)v); },
                      (uint32_t)signature.symbols.size()});
    }
  }
  return list;
}

void check(const ModelDef& model) {
  const File file = write(model);
  const Parts base = take_apart(file);
  const std::vector<Field> list = fields(base);
  EXPECT_GT(list.size(), 10u);
  for (const Field& f : list)
    for (const uint32_t v : {0xffffffffu, f.n, f.n + 1, 0x7fffffffu, 0x80000000u, 0xfffffffeu, 0x10000u}) {
      if (v == 0xffffffffu && f.minus_one_allowed) continue;
      Parts p = take_apart(file);
      f.set(p, v);
      const Loaded r = load(put_together(p));
      EXPECT_EQ(r.status, TERN_ERR_CORRUPT) << f.name << " = " << v << ": " << r.message;
    }
}

TEST(Index, SmallModel) { check(small_model()); }

TEST(Index, Subgraphs) {
  if (!has_control()) GTEST_SKIP() << "SKIPPED: this build has no operator 'if'";
  check(nested_model(3));
}

// Every index that does lead somewhere: a sound model or an error, never a broken promise.
TEST(Index, InsideButElsewhere) {
  std::vector<ModelDef> models;
  models.push_back(small_model());
  if (has_control()) models.push_back(nested_model(3));
  for (const ModelDef& m : models) {
    const File file = write(m);
    for (const Field& f : fields(take_apart(file)))
      for (uint32_t v = 0; v < f.n; ++v) {
        Parts p = take_apart(file);
        f.set(p, v);
        load(put_together(p));
        if (HasFailure()) FAIL() << f.name << " = " << v;
      }
  }
}

}  // namespace
}  // namespace tern::test
