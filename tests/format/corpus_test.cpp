// SPDX-License-Identifier: Apache-2.0
// Makes the corpus of the reader's fuzz target anew:
//   TERN_CORPUS=tests/fuzz/corpus/reader tern_format_test --gtest_also_run_disabled_tests --gtest_filter='Corpus.*'
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/format/support.h"

namespace tern::test {
namespace {

// A seed that is refused, as one with an encoding that is gone, tries nothing of what is behind the reader.
TEST(Corpus, SeedsOfModelsAreRead) {
  if (!has_control()) GTEST_SKIP() << "this build lacks operators of the seeds";
  int seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TERN_SOURCE_DIR "/tests/fuzz/corpus/model")) {
    if (entry.path().filename().string().rfind("seed_", 0) != 0) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const File file(std::istreambuf_iterator<char>(in), {});
    EXPECT_EQ(load(file).status, TERN_OK) << entry.path() << ": " << thread_error().message;
    ++seeds;
  }
  EXPECT_GE(seeds, 20);
}

TEST(Corpus, DISABLED_Write) {
  const char* folder = std::getenv("TERN_CORPUS");
  ASSERT_NE(folder, nullptr);
  const auto keep = [&](const char* name, const File& file) {
    std::ofstream(std::string(folder) + "/" + name, std::ios::binary)
        .write((const char*)file.data(), (std::streamsize)file.size());
  };
  const auto changed = [&](const char* name, const ModelDef& m, const std::function<void(Parts&)>& change) {
    Parts p = take_apart(write(m));
    change(p);
    keep(name, put_together(p));
  };
  const File small = write(small_model());
  keep("small", small);
  keep("empty", write(ModelDef{}));
  keep("truncated_header", File(small.begin(), small.begin() + 63));
  keep("truncated", File(small.begin(), small.begin() + 2000));
  keep("foreign", File{'P', 'K', 3, 4, 0, 0});
  if (has_control()) keep("nested", write(nested_model(4)));
  changed("required_feature", small_model(), [](Parts& p) { p.model.required_features = {"holograms"}; });
  changed("missing_operators", small_model(),
          [](Parts& p) { p.model.operators[0]->name = "hyperlinear", p.model.operators[1]->version = 9; });
  changed("cycle", small_model(),
          [](Parts& p) { p.model.graphs[0]->nodes[1]->inputs[0] = p.model.graphs[0]->nodes[1]->outputs[0]; });
  changed("huge_shape", small_model(), [](Parts& p) { p.model.parameters[0]->shape = {1LL << 32, 1LL << 32}; });
  changed("overlap", small_model(), [](Parts& p) { p.model.parameters[1]->offset = p.model.parameters[2]->offset; });
  changed("negative_index", small_model(), [](Parts& p) { p.model.graphs[0]->outputs[0] = -1; });
  changed("invalid_text", small_model(), [](Parts& p) { p.model.metadata[0]->key = "\xed\xa0\x80"; });
  // What no writer makes: outputs that are no results of nodes, and encodings where none is taken. y = relu(x W), W of
  // 33 rows in panels, whose padding makes it larger than the plain tensor of its shape.
  ModelDef panels;
  Parameter w;
  w.name = "w", w.dtype = TERN_DTYPE_F32, w.encoding = Encoding::panel32, w.shape = {33, 2};
  ASSERT_EQ(encoded_bytes(w.encoding, w.dtype, w.shape, &w.bytes), TERN_OK);
  void* content = nullptr;
  w.data = make_data(w.bytes, &content);
  panels.parameters.push_back(w);
  panels.states.push_back({"s", TERN_DTYPE_F32, {2}});
  panels.signatures.resize(1);
  panels.signatures[0].name = "f";
  Graph& p = panels.signatures[0].graph;
  const ValueId in = add_input(p, "x", TERN_DTYPE_F32, {1, 2});
  Value matrix, state;
  matrix.name = "w", matrix.dtype = TERN_DTYPE_F32, matrix.encoding = w.encoding, matrix.kind = ValueKind::parameter,
  matrix.shape = w.shape, matrix.index = 0;
  state.name = "s", state.dtype = TERN_DTYPE_F32, state.kind = ValueKind::state, state.shape = {2}, state.index = 0;
  const ValueId encoded = add_value(p, matrix), held = add_value(p, state);
  const float ones[] = {1, 1};
  const ValueId fixed = add_constant(p, TERN_DTYPE_F32, {1, 2}, ones);
  const ValueId result = emit(p, "relu", {emit(p, "linear", {add(p, add(p, in, held), fixed), encoded})});
  ASSERT_EQ(p.status, TERN_OK) << thread_error().message;
  p.outputs = {result};
  panels.signatures[0].output_names = {"y"};
  for (const auto& [name, value] : {std::pair<const char*, ValueId>{"output_encoded", encoded},
                                    {"output_input", in},
                                    {"output_state", held},
                                    {"output_constant", fixed}})
    changed(name, panels, [&, v = value](Parts& q) { q.model.graphs[0]->outputs[0] = v; });
  changed("output_twice", panels, [&](Parts& q) {
    q.model.graphs[0]->outputs.push_back(result);
    q.model.signatures[0]->output_names.push_back(std::make_unique<fbs::NameT>());
    q.model.signatures[0]->output_names[1]->name = "again";
  });
  changed("operand_encoded", panels, [&](Parts& q) { q.model.graphs[0]->nodes[3]->inputs[0] = encoded; });
  changed("constant_encoded", panels, [&](Parts& q) {
    fbs::TensorT &k = *q.model.constants[0], &t = *q.model.parameters[0];
    k.encoding = t.encoding, k.shape = t.shape, k.bytes = t.bytes, k.checksum = t.checksum;
    k.offset = (q.weights.size() + 63) / 64 * 64;
    q.weights.resize(k.offset + k.bytes);
  });
  if (has_control())
    changed("output_of_branch", nested_model(2),
            [](Parts& q) { q.model.graphs[2]->outputs[0] = q.model.graphs[2]->inputs[1]; });

  ModelDef m;  // attributes of every type, several outputs, values that follow from one another
  m.signatures.resize(1);
  m.signatures[0].name = "f";
  Graph& g = m.signatures[0].graph;
  const auto step = [&](const char* op, std::vector<ValueId> in, const char* name, const char* text, int outs = 1) {
    Node n;
    n.op = find_op(op);
    set_default_attributes(*n.op, &n.attributes);
    EXPECT_EQ(set_attribute(*n.op, &n.attributes, name, text), TERN_OK);
    n.in = std::move(in);
    return emit_node(g, std::move(n), outs);
  };
  const int64_t more[] = {1, 0, 0};
  ValueId x = add_input(g, "x", TERN_DTYPE_F32, {1, 2, 4});
  x = step("transpose", {x}, "permutation", "2,0,1");
  x = step("gelu", {x}, "approximate", "tanh");
  x = step("leaky_relu", {x}, "alpha", "0.25");
  x = step("split", {x}, "sizes", "1,3", 2);
  // repeats that follow from dims
  x = emit(g, "tile", {x, emit(g, "add", {emit(g, "shape", {x}), add_constant(g, more)})});
  ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
  g.outputs = {x};
  m.signatures[0].output_names = {"y"};
  keep("attributes", write(m));
}

}  // namespace
}  // namespace tern::test
