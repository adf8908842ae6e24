// SPDX-License-Identifier: Apache-2.0
// References against results of another implementation (values.h).
#include <gtest/gtest.h>

#include "assignment_values.h"
#include "case.h"
#include "gradient_values.h"
#include "rope_values.h"
#include "values.h"

namespace tern::test {
namespace {

void expect_values(const std::vector<ValueCase>& cases) {
  for (const ValueCase& v : cases) {
    SCOPED_TRACE(std::string(v.op) + " " + v.inputs + " " + v.attributes);
    const Op* op = find_op(v.op);
    ASSERT_NE(op, nullptr);
    const Case line = {"values", v.inputs, v.attributes};
    ParsedCase c;
    std::string why;
    ASSERT_TRUE(parse_case(*op, line, &c, &why)) << why;
    for (size_t k = 0; k < c.inputs.size(); ++k) {
      const Tensor& t = c.inputs[k];
      if (!t.present || t.given || !is_float(t.dtype)) continue;
      for (int64_t i = 0; i < t.shape.elements(); ++i)
        t.ref().store(i, (double)((7 * i + 3 * (int64_t)k) % 11 - 5) / 4);
    }
    CaseGraph g;
    ASSERT_EQ(build_graph(c, &g), TERN_OK) << thread_error().message;
    const Expected e = expect(c, g);
    ASSERT_EQ(e.status, TERN_OK) << thread_error().message;
    size_t at = 0;
    for (size_t k = 0; k < e.outputs.size(); ++k)
      for (int64_t i = 0; i < e.outputs[k].shape.elements(); ++i, ++at) {
        ASSERT_LT(at, v.expected.size()) << "output " << k << " is " << to_string(e.outputs[k].shape);
        EXPECT_NEAR(e.outputs[k].ref().load(i), v.expected[at], 2e-6) << "output " << k << ", element " << i;
      }
    EXPECT_EQ(at, v.expected.size());
  }
}

TEST(Values, EqualThoseOfOnnxRuntime) { expect_values(kValues); }
TEST(Values, GradientsEqualThoseOfPyTorch) { expect_values(kGradientValues); }
TEST(Values, AssignmentsEqualThoseOfScipy) { expect_values(kAssignmentValues); }
TEST(Values, RopeEqualsThatOfTransformers) { expect_values(kRopeValues); }

// Rules of shapes that no result shows, as ONNX and PyTorch have them.
TEST(Values, ShapesThatAreEasyToGetWrong) {
  const struct {
    const char *op, *inputs, *attributes, *shape;
  } kShapes[] = {
      // a window that would begin in the padding behind is dropped
      {"max_pool2d", "f32[1,4,4,1]", "kernel=3,3 strides=2,2 pads=0,0,2,2 ceil_mode=1", "[1,2,2,1]"},
      {"avg_pool2d", "f32[1,4,5,1]", "kernel=3,3 strides=2,2 pads=0,0,2,2 ceil_mode=1", "[1,2,3,1]"},
      {"conv2d", "f32[1,8,9,1] f32[1,3,3,1]", "strides=2,2", "[1,3,4,1]"},
      {"resize", "f32[1,3,5,1]", "scale_h=1.5 scale_w=0.5", "[1,4,2,1]"},
      {"slice", "f32[7]", "starts=-1 ends=-100 steps=-3", "[3]"},
      {"transpose", "f32[2,3,4]", "", "[4,3,2]"},
      {"reduce_sum", "f32[2,3]", "axes=0 keep_dims=1", "[1,3]"},
      {"split", "f32[7]", "outputs=3", "[3]"},
      {"range", "i64[]{0} i64[]{-7} i64[]{-2}", "", "[4]"},
  };
  for (const auto& k : kShapes) {
    SCOPED_TRACE(std::string(k.op) + " " + k.inputs + " " + k.attributes);
    const Case line = {"shape", k.inputs, k.attributes};
    ParsedCase c;
    std::string why;
    CaseGraph g;
    ASSERT_TRUE(parse_case(*find_op(k.op), line, &c, &why)) << why;
    ASSERT_EQ(build_graph(c, &g), TERN_OK) << thread_error().message;
    EXPECT_EQ(to_string(g.graph.value(g.graph.outputs[0]).shape), k.shape);
  }
}

TEST(Values, KnownByHand) {
  const ValueCase kKnown[] = {
      {"trilu", "f32[2,3]{1,2,3,4,5,6}", "", {1, 2, 3, 0, 5, 6}},
      {"cumsum", "f32[3]{1,2,4}", "exclusive=1", {0, 1, 3}},
      {"transpose", "f32[2,2]{1,2,3,4}", "", {1, 3, 2, 4}},
      // of an even number of channels the odd one lies behind: 1 * (1 + 1 + 4), 2 * (1 + 4 + 16), 4 * (1 + 16)
      {"lrn", "f32[3]{1,2,4}", "size=2 alpha=2 beta=-1 bias=1", {6, 42, 68}},
      {"resize",
       "f32[1,1,2,1]{1,2}",
       "sizes=1,1,4,1 mode=nearest coordinates=tf_half_pixel nearest=floor",
       {1, 1, 2, 2}},
  };
  for (const ValueCase& k : kKnown) {
    SCOPED_TRACE(std::string(k.op) + " " + k.inputs + " " + k.attributes);
    const Case line = {"known", k.inputs, k.attributes};
    ParsedCase c;
    std::string why;
    CaseGraph g;
    ASSERT_TRUE(parse_case(*find_op(k.op), line, &c, &why)) << why;
    ASSERT_EQ(build_graph(c, &g), TERN_OK) << thread_error().message;
    const Expected e = expect(c, g);
    ASSERT_EQ(e.status, TERN_OK) << thread_error().message;
    ASSERT_EQ(e.outputs[0].shape.elements(), (int64_t)k.expected.size());
    for (size_t i = 0; i < k.expected.size(); ++i)
      EXPECT_EQ(e.outputs[0].ref().load((int64_t)i), k.expected[i]) << "element " << i;
  }
}

// Of equal elements the first one gets the gradient.
TEST(Values, MaxPoolGradientTakesTheFirst) {
  const Case line = {"ties", "f32[1,2,2,1]{1,1,1,1} f32[1,1,1,1] f32[1,1,1,1]{5}", "kernel=2,2"};
  ParsedCase c;
  std::string why;
  CaseGraph g;
  ASSERT_TRUE(parse_case(*find_op("max_pool2d_grad"), line, &c, &why)) << why;
  ASSERT_EQ(build_graph(c, &g), TERN_OK);
  const Expected e = expect(c, g);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(e.outputs[0].ref().load(i), i == 0 ? 5 : 0);
}

}  // namespace
}  // namespace tern::test
