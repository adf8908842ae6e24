// SPDX-License-Identifier: Apache-2.0
// ONNX import: small models of one operator each against the results of ONNX Runtime or of ONNX's evaluator
// (make_onnx_cases.py), for sizes that are fixed and for sizes that vary.
#include <gtest/gtest.h>

#include "import/importer.h"
#include "passes/specialize.h"
#include "small_cases.h"

using namespace tern;
using namespace tern::test;

TEST(OnnxOperators, EqualTheirRuntime) {
  const std::vector<SmallCase> cases = read_cases(TERN_SOURCE_DIR "/tests/import/onnx_cases.bin");
  ASSERT_GT(cases.size(), 60u);
  for (const SmallCase& c : cases) {
    SCOPED_TRACE(c.name);
    ModelDef model;
    const tern_status s = import_onnx(c.model, ImportOptions{}, &model);
    EXPECT_EQ(s, TERN_OK) << thread_error().message;
    if (s != TERN_OK) continue;
    if (c.name.starts_with("empty_"))
      for (const Symbol& symbol : model.signatures[0].symbols) EXPECT_EQ(symbol.min, 0);
    const Graph& forward = model.signatures[0].graph;
    ASSERT_EQ(forward.inputs.size(), c.inputs.size());
    Graph g;
    std::vector<Shape> shapes;
    for (const TensorData& t : c.inputs) shapes.push_back(t.shape);
    ASSERT_EQ(specialize(forward, shapes, &g), TERN_OK) << thread_error().message;
    std::vector<TensorData> results;
    ASSERT_EQ(evaluate_graph(model, g, c.inputs, &results), TERN_OK) << thread_error().message;
    ASSERT_EQ(results.size(), c.outputs.size());
    for (size_t i = 0; i < results.size(); ++i) {
      std::string why;
      EXPECT_TRUE(close_to(results[i], c.outputs[i], 1e-4, 1e-5, &why)) << "output " << i << ": " << why;
    }
  }
}
