// SPDX-License-Identifier: Apache-2.0
// Every operator through its cases: shape rule, reference, decomposition, gradient, refusals.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "case.h"
#include "ops/scatter.h"
#include "train/differentiate.h"

namespace tern::test {
namespace {

// Their gradient is not that of their value: it is tested by hand below.
const std::set<std::string> kSurrogate = {"bit_linear",     "rounded_linear", "round_ste",
                                          "scale_gradient", "stop_gradient",  "ternarize"};

// Inputs that only say where to read, though moving them moves the result: their gradient is 0 by definition.
const std::set<std::pair<std::string_view, int>> kPlaces = {{"roi_align", 1}, {"roi_align_grad", 1}};

// Outputs that are gradients of another output: they are not differentiated again.
const std::set<std::pair<std::string_view, int>> kGradientsThemselves = {
    {"ctc_alignment", 1}, {"linear_cross_entropy", 1}, {"linear_cross_entropy", 2}};

// A part of its value is a constant for the gradient: goldens (losses_test) tell it.
bool holds_a_constant(const ParsedCase& c) {
  if (std::string_view(c.op->name) != "iou_loss") return false;
  const AttrField& form = c.op->attributes.fields[1];
  return std::string_view(form.choices[*(const int64_t*)(c.attributes.bytes + form.offset)]) == "ciou";
}

struct Named {
  const Op* op;
};
void PrintTo(const Named& n, std::ostream* os) { *os << n.op->name; }

std::vector<Named> named_ops() {
  std::vector<Named> list;
  for (const Op* op : all_ops()) list.push_back({op});
  return list;
}

class Operator : public testing::TestWithParam<Named> {
 protected:
  const Op& op = *GetParam().op;

  // Calls f(parsed case) for all cases whose lines can be read.
  template <class F>
  void each_case(F f) {
    for (int32_t i = 0; i < op.cases.count; ++i) {
      const Case& line = op.cases.items[i];
      SCOPED_TRACE(std::string(op.name) + "/" + line.name);
      ParsedCase c;
      std::string why;
      if (parse_case(op, line, &c, &why)) f(c);
    }
  }

  template <class F>
  void each_variant(size_t most, F f) {
    for (const ParsedCase& v : variants(op, most)) {
      SCOPED_TRACE(std::string(op.name) + "/" + v.line->name + ", " + v.variant);
      f(v);
    }
  }
};

// ---- cases ----

TEST_P(Operator, HasCases) {
  if (op.num_subgraphs > 0) GTEST_SKIP() << "its tests are in control_test.cpp";
  EXPECT_GT(op.cases.count, 0);
  std::set<std::string> names;
  for (int32_t i = 0; i < op.cases.count; ++i) {
    ParsedCase c;
    std::string why;
    EXPECT_TRUE(parse_case(op, op.cases.items[i], &c, &why)) << op.cases.items[i].name << ": " << why;
    EXPECT_TRUE(names.insert(op.cases.items[i].name).second) << op.cases.items[i].name << " is there twice";
  }
}

// The shape rule and the reference agree: it runs, stays within its outputs and writes all of them. Variants may fail
// (an index out of range), with a message.
void reference_fills(const ParsedCase& c) {
  CaseGraph g;
  const tern_status built = build_graph(c, &g);
  if (c.line->fails != TERN_OK) {
    EXPECT_EQ(expect(c, g).status, c.line->fails) << thread_error().message;
    EXPECT_NE(thread_error().message[0], 0);
    return;
  }
  ASSERT_EQ(built, TERN_OK) << thread_error().message;
  const Node& n = g.graph.nodes.back();
  std::vector<RefTensor> ins;
  for (size_t i = 0; i < n.in.size(); ++i) ins.push_back(n.in[i] == kNoValue ? RefTensor{} : c.inputs[i].ref());
  std::vector<Tensor> outs[2];
  for (int round = 0; round < 2; ++round) {
    std::vector<RefTensor> refs;
    for (ValueId v : n.out) {
      Tensor t;
      t.dtype = g.graph.value(v).dtype;
      t.encoding = g.graph.value(v).encoding;
      t.shape = g.graph.value(v).shape;
      t.allocate(round ? 0xFF : 0x00);
      refs.push_back(t.ref());
      outs[round].push_back(t);
    }
    const tern_status s = evaluate(n, ins.data(), refs.data());
    if (s != TERN_OK && !c.variant.empty()) {
      EXPECT_NE(thread_error().message[0], 0);
      return;
    }
    ASSERT_EQ(s, TERN_OK) << thread_error().message;
  }
  for (size_t i = 0; i < n.out.size(); ++i) {
    EXPECT_TRUE(outs[0][i].guards_intact() && outs[1][i].guards_intact()) << "output " << i << ": written outside";
    EXPECT_EQ(std::memcmp(outs[0][i].data(), outs[1][i].data(), outs[0][i].bytes()), 0)
        << "output " << i << ": not written everywhere";
  }
  for (const Tensor& t : c.inputs) EXPECT_TRUE(t.guards_intact());
}

TEST_P(Operator, ReferenceFillsTheInferredShape) {
  each_case(reference_fills);
  each_variant(500, reference_fills);
}

// A build may leave out a capability (base/capability.h): what stays must not need it.
TEST_P(Operator, DecomposesIntoWhatIsThereWithIt) {
  if (!op.decompose) GTEST_SKIP() << "is a primitive";
  each_case([&](const ParsedCase& c) {
    CaseGraph g;
    if (build_graph(c, &g) != TERN_OK || g.graph.nodes.empty()) return;
    const Node n = g.graph.nodes.back();
    const size_t first = g.graph.nodes.size();
    std::vector<ValueId> outs(n.out.size(), kNoValue);
    DecomposeArgs args{g.graph, n, outs.data()};
    op.decompose(args);
    ASSERT_EQ(g.graph.status, TERN_OK) << thread_error().message;
    for (size_t i = first; i < g.graph.nodes.size(); ++i) {
      const Op& part = *g.graph.nodes[i].op;
      EXPECT_TRUE(part.capability == Capability::core || part.capability == op.capability) << part.name;
    }
  });
}

// ---- gradients ----

// The case with a loss: the sum of all float outputs, each element times a random weight.
struct LossGraph {
  CaseGraph g;
  std::vector<Tensor> weights;  // per output, empty for integers
  std::vector<ValueId> wrt;
  std::vector<int> wrt_input;  // index into the case's inputs
  ValueId loss = kNoValue;
};

tern_status build_loss(const ParsedCase& c, LossGraph* out) {
  TERN_TRY(build_graph(c, &out->g));
  Graph& g = out->g.graph;
  const std::vector<ValueId> ys = g.outputs;
  Random random{hash_text(c.line->name)};
  for (size_t k = 0; k < ys.size(); ++k) {
    const ValueId y = ys[k];
    out->weights.emplace_back();
    if (!is_float(g.value(y).dtype) || kGradientsThemselves.count({c.op->name, (int)k})) continue;
    Tensor& w = out->weights.back();
    w.dtype = g.value(y).dtype;
    w.shape = g.value(y).shape;
    w.lo = -1, w.hi = 1;
    w.allocate();
    fill_random(w, random);
    const ValueId weighted = mul(g, y, add_constant(g, w.dtype, w.shape, w.data()));
    ValueId sum = reduce_sum(g, weighted, {}, false);
    if (g.status == TERN_OK && out->loss != kNoValue && g.value(sum).dtype != g.value(out->loss).dtype)
      sum = cast(g, sum, g.value(out->loss).dtype);
    out->loss = out->loss == kNoValue ? sum : add(g, out->loss, sum);
  }
  for (size_t i = 0; i < g.inputs.size(); ++i)
    if (is_float(g.value(g.inputs[i]).dtype)) {
      out->wrt.push_back(g.inputs[i]);
      out->wrt_input.push_back(out->g.feeds[i]);
    }
  return g.status;
}

// Gradients of the loss for the case's content.
tern_status gradients_of(const ParsedCase& c, LossGraph& l, std::vector<Tensor>* out) {
  Graph& g = l.g.graph;
  std::vector<ValueId> ids;
  TERN_TRY(differentiate(g, l.loss, l.wrt, &ids));
  for (size_t i = 0; i < ids.size(); ++i) {
    const Value &d = g.value(ids[i]), &x = g.value(l.wrt[i]);
    if (d.dtype != x.dtype || !(d.shape == x.shape))
      return TERN_FAIL(TERN_ERR_INTERNAL, "the gradient of input %d is %s%s", l.wrt_input[i], dtype_name(d.dtype),
                       to_string(d.shape).c_str());
  }
  g.outputs = ids;
  std::vector<Tensor> inputs;
  for (int i : l.g.feeds) inputs.push_back(c.inputs[(size_t)i]);
  return run_reference(g, inputs, out);
}

double loss_of(const ParsedCase& c, const CaseGraph& g, const std::vector<Tensor>& weights, bool* good) {
  const Expected e = expect(c, g);
  *good = e.status == TERN_OK;
  double sum = 0;
  for (size_t i = 0; *good && i < e.outputs.size(); ++i)
    for (int64_t k = 0, n = weights[i].present ? weights[i].shape.elements() : 0; k < n; ++k)
      sum += e.outputs[i].ref().load(k) * weights[i].ref().load(k);
  return sum;
}

ParsedCase in_double(const ParsedCase& c) {
  ParsedCase d = c;
  for (Tensor& t : d.inputs) t = to_double(t);
  for (int32_t i = 0; i < c.op->attributes.count; ++i) {
    const AttrField& f = c.op->attributes.fields[i];
    if (std::string_view(f.name) != "to" && std::string_view(f.name) != "dtype") continue;
    int64_t& to = *(int64_t*)(d.attributes.bytes + f.offset);
    if (is_float((DType)to)) to = TERN_DTYPE_F64;
  }
  return d;
}

// Of two updates that meet each gets the gradient, though the last one wins (ops/scatter.h); variants repeat indices.
bool updates_may_meet(const ParsedCase& c) {
  const std::string_view op = c.op->name;
  if (op == "scatter_elements")
    return ((const ScatterElementsAttrs*)c.attributes.bytes)->reduction == (int64_t)ScatterReduction::none;
  if (op == "scatter_nd")
    return ((const ScatterNdAttrs*)c.attributes.bytes)->reduction == (int64_t)ScatterReduction::none;
  return false;
}

// Symbolic against central differences of the reference in double, for at most `tries` elements of each input. An
// element at a kink (the two one-sided differences differ, or those of half the step) is left out; *checked counts the
// others.
void compare_gradient(const ParsedCase& original, int64_t tries, int64_t* checked, int64_t* possible) {
  const ParsedCase c = in_double(original);
  LossGraph l;
  CaseGraph forward;
  ASSERT_EQ(build_loss(c, &l), TERN_OK) << thread_error().message;
  if (l.loss == kNoValue || l.wrt.empty()) return;
  ASSERT_EQ(build_graph(c, &forward), TERN_OK);
  for (ValueId y : forward.graph.outputs)
    // too coarse for differences
    if (is_float(forward.graph.value(y).dtype) && forward.graph.value(y).dtype != TERN_DTYPE_F64) return;
  std::vector<Tensor> got;
  const tern_status s = gradients_of(c, l, &got);
  if (s == TERN_ERR_INDEX && !c.variant.empty()) return;
  ASSERT_EQ(s, TERN_OK) << thread_error().message;
  Random random{7};
  for (size_t w = 0; w < l.wrt.size(); ++w) {
    const Tensor& x = c.inputs[(size_t)l.wrt_input[w]];
    const int64_t n = x.shape.elements();
    if (kPlaces.count({original.op->name, l.wrt_input[w]})) {
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(got[w].ref().load(i), 0);
      continue;
    }
    for (int64_t t = 0; t < std::min(n, tries); ++t) {
      const int64_t i = n <= tries ? t : (int64_t)(random.next() % (uint64_t)n);
      ++*possible;
      if (std::fabs(x.ref().load(i)) > 1e4) continue;  // the step would pass over those of floor and round
      const double old = x.ref().load(i), h = 1e-5 * std::fmax(1, std::fabs(old));
      bool good[5];
      x.ref().store(i, old + h);
      const double above = loss_of(c, forward, l.weights, &good[0]);
      x.ref().store(i, old - h);
      const double below = loss_of(c, forward, l.weights, &good[1]);
      x.ref().store(i, old);
      const double here = loss_of(c, forward, l.weights, &good[2]);
      x.ref().store(i, old + h / 2);
      const double half_above = loss_of(c, forward, l.weights, &good[3]);
      x.ref().store(i, old - h / 2);
      const double half_below = loss_of(c, forward, l.weights, &good[4]);
      x.ref().store(i, old);
      const double right = (above - here) / h, left = (here - below) / h, want = (above - below) / (2 * h),
                   is = got[w].ref().load(i);
      if (!std::all_of(good, good + 5, [](bool b) { return b; }) || !std::isfinite(want)) continue;
      if (std::fabs(right - left) > 1e-2 * std::fmax(1, std::fabs(want))) continue;
      if (!(std::fabs((half_above - half_below) / h - want) <= 1e-2 * std::fmax(1, std::fabs(want)))) continue;
      // Differences of a large loss lose what its last digits hold.
      const double lost = 1e-15 * std::fabs(here) / h;
      if (lost > 1e-3) continue;
      ++*checked;
      EXPECT_NEAR(is, want, 2e-5 * std::fmax(1, std::fabs(want)) + lost)
          << "input " << l.wrt_input[w] << ", element " << i << ", x = " << old;
    }
  }
}

TEST_P(Operator, GradientEqualsDifferences) {
  if (op.num_subgraphs > 0 || kSurrogate.count(op.name)) GTEST_SKIP();
  if (op.no_gradient_because != NoGradient::has_one) GTEST_SKIP() << "has no gradient";
  int64_t checked = 0, possible = 0, beyond = 0;
  each_case([&](const ParsedCase& c) {
    if (c.line->fails == TERN_OK && !holds_a_constant(c)) compare_gradient(c, 40, &checked, &possible);
  });
  EXPECT_GE(2 * checked, possible) << "most elements are at kinks: " << checked << " of " << possible
                                   << " were compared";
  each_variant(op.decompose ? 40 : 200, [&](const ParsedCase& c) {        // decompositions are built anew in every try
    const bool only_type = is_float(dtype_from_name(c.variant.c_str()));  // all is f64 here
    if (!only_type && !updates_may_meet(c) && !holds_a_constant(c)) compare_gradient(c, 4, &beyond, &beyond);
  });
}

// The backward graph also works in the case's own types and encodings.
TEST_P(Operator, GradientWorksInEveryType) {
  if (op.num_subgraphs > 0 || kSurrogate.count(op.name) || op.no_gradient_because != NoGradient::has_one) GTEST_SKIP();
  each_case([&](const ParsedCase& c) {
    if (c.line->fails != TERN_OK) return;
    LossGraph l, exact;
    ASSERT_EQ(build_loss(c, &l), TERN_OK) << thread_error().message;
    if (l.loss == kNoValue || l.wrt.empty()) return;
    std::vector<Tensor> got, want;
    ASSERT_EQ(gradients_of(c, l, &got), TERN_OK) << thread_error().message;
    const ParsedCase d = in_double(c);
    ASSERT_EQ(build_loss(d, &exact), TERN_OK) << thread_error().message;
    ASSERT_EQ(gradients_of(d, exact, &want), TERN_OK) << thread_error().message;
    bool half = false;
    for (const Tensor& t : c.inputs)
      half = half || (t.present && (t.dtype == TERN_DTYPE_F16 || t.dtype == TERN_DTYPE_BF16));
    for (const Tensor& t : l.weights)
      half = half || (t.present && (t.dtype == TERN_DTYPE_F16 || t.dtype == TERN_DTYPE_BF16));
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_EQ(compare(to_double(got[i]), want[i], half ? 0.1 : 1e-3), "") << "input " << l.wrt_input[i];
  });
}

// ---- refusals ----

// The first case that works.
bool good_case(const Op& op, ParsedCase* out) {
  for (int32_t i = 0; i < op.cases.count; ++i) {
    std::string why;
    CaseGraph g;
    if (op.cases.items[i].fails == TERN_OK && parse_case(op, op.cases.items[i], out, &why) &&
        build_graph(*out, &g) == TERN_OK)
      return true;
  }
  return false;
}

TEST_P(Operator, RefusesAttributesOutOfRange) {
  ParsedCase good;
  if (op.num_subgraphs > 0 || !good_case(op, &good)) GTEST_SKIP();
  const auto refused = [&](const AttrField& f, auto value, size_t offset) {
    ParsedCase c = good;
    std::memcpy(c.attributes.bytes + f.offset + offset, &value, sizeof value);
    CaseGraph g;
    EXPECT_EQ(build_graph(c, &g), TERN_ERR_INVALID_ARGUMENT) << f.name << " = " << value;
    EXPECT_NE(std::strstr(thread_error().message, f.name), nullptr) << thread_error().message;
  };
  for (int32_t i = 0; i < op.attributes.count; ++i) {
    const AttrField& f = op.attributes.fields[i];
    if (f.type == AttrType::number) {
      refused(f, std::nan(""), 0);
      if (std::isfinite(f.min)) refused(f, f.min - std::fmax(1e-3, std::fabs(f.min)), 0), refused(f, -HUGE_VAL, 0);
      if (std::isfinite(f.max)) refused(f, f.max + std::fmax(1e-3, std::fabs(f.max)), 0), refused(f, HUGE_VAL, 0);
      continue;
    }
    size_t offset = 0;
    if (f.type == AttrType::integers) {
      refused(f, (int64_t)-1, 0);
      refused(f, (int64_t)kMaxRank + 1, 0);
      refused(f, INT64_MAX, 0);
      offset = sizeof(int64_t);
      const int64_t one = 1;
      std::memcpy(good.attributes.bytes + f.offset, &one, sizeof one);
    }
    if (f.min > -9e18) refused(f, INT64_MIN, offset);
    if (f.max < 9e18) refused(f, INT64_MAX, offset);
    if (std::fabs(f.min) < 1e15) refused(f, (int64_t)f.min - 1, offset);
    if (std::fabs(f.max) < 1e15) refused(f, (int64_t)f.max + 1, offset);
    ASSERT_TRUE(good_case(op, &good));
  }
}

TEST_P(Operator, RefusesAWrongNumberOfInputs) {
  ParsedCase good;
  if (op.num_subgraphs > 0 || !good_case(op, &good)) GTEST_SKIP();
  CaseGraph g;
  for (int32_t i = 0; i < op.min_in; ++i) {
    ParsedCase c = good;
    c.inputs[(size_t)i] = Tensor{};
    EXPECT_EQ(build_graph(c, &g), TERN_ERR_INVALID_ARGUMENT) << "without input " << i;
  }
  if (op.min_in > 0) {
    ParsedCase c = good;
    c.inputs.resize((size_t)op.min_in - 1);
    EXPECT_EQ(build_graph(c, &g), TERN_ERR_INVALID_ARGUMENT);
  }
  if (op.max_in >= 0) {
    ParsedCase c = good;
    Tensor more;
    more.dtype = TERN_DTYPE_F32;
    more.allocate();
    c.inputs.resize((size_t)op.max_in + 1, more);
    EXPECT_EQ(build_graph(c, &g), TERN_ERR_INVALID_ARGUMENT);
  }
}

// Whatever the inputs' types and shapes and the attributes are: a status and a message, or a result within its memory.
void survives(const ParsedCase& c) {
  CaseGraph g;
  if (build_graph(c, &g) != TERN_OK) {
    EXPECT_NE(thread_error().message[0], 0);
    return;
  }
  if (!is_small(c, g.graph)) return;
  const Expected e = expect(c, g);
  for (const Tensor& t : e.outputs) EXPECT_TRUE(t.guards_intact());
  for (const Tensor& t : c.inputs) EXPECT_TRUE(t.guards_intact());
}

TEST_P(Operator, SurvivesOtherTypes) {
  ParsedCase good;
  if (op.num_subgraphs > 0 || !good_case(op, &good)) GTEST_SKIP();
  for (size_t i = 0; i < good.inputs.size(); ++i) {
    if (!good.inputs[i].present) continue;
    for (DType t = TERN_DTYPE_F32; t <= TERN_DTYPE_BOOL; ++t) {
      SCOPED_TRACE(std::string("input ") + std::to_string(i) + " as " + dtype_name(t));
      ParsedCase c = good;
      Tensor& x = c.inputs[i];
      x.dtype = t;
      x.encoding = Encoding::plain;
      x.allocate();
      Random random{i};
      fill_random(x, random);
      survives(c);
    }
  }
}

TEST_P(Operator, SurvivesOtherShapes) {
  ParsedCase good;
  if (op.num_subgraphs > 0 || !good_case(op, &good)) GTEST_SKIP();
  // 8-byte elements: just within what check_shape allows
  const int64_t huge = (int64_t)1 << 58, wide = (int64_t)1 << 29;
  const Shape shapes[] = {{},
                          {0},
                          {1},
                          {3},
                          {huge},
                          {1, 0},
                          {0, huge},
                          {2, 3},
                          {wide, wide},
                          {1, wide, wide, 1},
                          {wide, 1, 1, wide},
                          {3, 1, 2},
                          {1, 1, 0, 1},
                          {2, 2, 2, 2},
                          {0, 0, 0, 0},
                          {1, huge, 1, 1},
                          {1, 1, 1, huge},
                          {2, 1, 2, 1, 2},
                          {1, 1, 1, 1, 1, 1, 1, 1}};
  for (size_t i = 0; i < good.inputs.size(); ++i) {
    if (!good.inputs[i].present) continue;
    for (const Shape& s : shapes) {
      SCOPED_TRACE("input " + std::to_string(i) + " as " + to_string(s));
      ParsedCase c = good;
      Tensor& x = c.inputs[i];
      int64_t n = 1;
      for (int64_t d : s) n *= d;
      x.shape = s;
      x.encoding = Encoding::plain;
      x.given = x.given && n < huge;
      if (n < huge) {
        x.allocate();
        Random random{i};
        fill_random(x, random);
        survives(c);
      } else {  // no memory behind it: the shape rule only
        Graph g;
        Node node;
        node.op = &op;
        node.attributes = c.attributes;
        for (const Tensor& t : c.inputs) node.in.push_back(t.present ? add_input(g, "", t.dtype, t.shape) : kNoValue);
        node.out.resize((size_t)c.num_out);
        std::vector<Value> outs;
        if (infer_node(g, node, &outs) != TERN_OK) continue;
        for (const Value& v : outs) EXPECT_EQ(check_shape(v.shape, op.name), TERN_OK);
      }
    }
  }
}

TEST_P(Operator, SurvivesExtremeAttributes) {
  ParsedCase good;
  if (op.num_subgraphs > 0 || !good_case(op, &good)) GTEST_SKIP();
  for (int32_t i = 0; i < op.attributes.count; ++i) {
    const AttrField& f = op.attributes.fields[i];
    const double bounds[] = {f.min, f.max, 0, 1, -1, 2};
    for (double v : bounds) {
      if (v < f.min || v > f.max) continue;
      SCOPED_TRACE(std::string(f.name) + " = " + std::to_string(v));
      ParsedCase c = good;
      unsigned char* field = c.attributes.bytes + f.offset;
      const int64_t whole = v >= 9.2e18 ? INT64_MAX : v <= -9.2e18 ? INT64_MIN : (int64_t)v;
      if (f.type == AttrType::number) {
        std::memcpy(field, &v, sizeof v);
        survives(c);
      } else if (f.type == AttrType::integers) {
        for (int64_t count : {0, 1, 2, 4, 8}) {
          IntList list;
          for (int64_t k = 0; k < count; ++k) list[list.count++] = whole;
          std::memcpy(field, &list, sizeof list);
          survives(c);
        }
      } else {
        std::memcpy(field, &whole, sizeof whole);
        survives(c);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Operator, testing::ValuesIn(named_ops()),
                         [](const testing::TestParamInfo<Named>& i) { return std::string(i.param.op->name); });

// ---- by hand ----

TEST(Surrogate, PassesOrStops) {
  const float data[] = {0.3f, -1.7f, 2.5f};
  for (const char* name : {"round_ste", "stop_gradient", "ternarize"}) {
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{3});
    const ValueId loss =
        reduce_sum(g, mul(g, emit(g, name, {x}), add_constant(g, TERN_DTYPE_F32, Shape{3}, data)), {}, false);
    std::vector<ValueId> d;
    ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
    ASSERT_EQ(differentiate(g, loss, {&x, 1}, &d), TERN_OK) << thread_error().message;
    g.outputs = d;
    Tensor in;
    in.dtype = TERN_DTYPE_F32;
    in.shape = Shape{3};
    in.allocate();
    std::vector<Tensor> out;
    ASSERT_EQ(run_reference(g, {in}, &out), TERN_OK);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(out[0].ref().load(i), std::string(name) != "stop_gradient" ? data[i] : 0);
  }
}

// The gradients of bit_linear and rounded_linear are those of linear with the rounded rows.
void check_rounding(const char* op, double steps) {
  const float data[] = {0.3f, -1.7f, 2.5f, 0.011f, 100, -7},
              weights[] = {1, 0, -1, 0.5f, 2, -0.25f, 0, 3, 1, -1, -2, 4};
  const float dy[] = {1, -2, 0.5f, 3, 0.25f, -1, 2, -0.5f};
  std::vector<Tensor> in(2), got[2];
  for (int i = 0; i < 2; ++i) {
    in[(size_t)i].dtype = TERN_DTYPE_F32;
    in[(size_t)i].shape = i ? Shape{4, 3} : Shape{2, 3};
    in[(size_t)i].allocate();
    for (int64_t j = 0; j < (i ? 12 : 6); ++j) in[(size_t)i].ref().store(j, (i ? weights : data)[j]);
  }
  for (const char* name : {op, "linear"}) {
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, Shape{2, 3}),
                  w = add_input(g, "w", TERN_DTYPE_F32, Shape{4, 3});
    const ValueId loss =
        reduce_sum(g, mul(g, emit(g, name, {x, w}), add_constant(g, TERN_DTYPE_F32, Shape{2, 4}, dy)), {}, false);
    const ValueId wrt[] = {x, w};
    std::vector<ValueId> d;
    ASSERT_EQ(differentiate(g, loss, wrt, &d), TERN_OK) << thread_error().message;
    g.outputs = d;
    const bool rounded = name == op;
    ASSERT_EQ(run_reference(g, in, &got[rounded]), TERN_OK);
    for (int r = 0; rounded && r < 2; ++r) {
      const double step = (r ? 100.0 : 2.5) / steps;
      for (int j = 3 * r; j < 3 * r + 3; ++j) in[0].ref().store(j, std::nearbyint(data[j] / step) * step);
    }
  }
  for (size_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < (i ? 12 : 6); ++j)
      EXPECT_NEAR(got[1][i].ref().load(j), got[0][i].ref().load(j), 1e-5) << i << ", " << j;
}

TEST(Surrogate, BitLinear) { check_rounding("bit_linear", 127); }
TEST(Surrogate, RoundedLinear) { check_rounding("rounded_linear", 32385); }  // rows are shorter than a block

TEST(Registry, IsSorted) {
  const auto ops = all_ops();
  for (size_t i = 1; i < ops.size(); ++i) EXPECT_LT(std::string(ops[i - 1]->name), std::string(ops[i]->name));
  for (const Op* op : ops) EXPECT_EQ(find_op(op->name), op);
  EXPECT_EQ(find_op("no_such_operator"), nullptr);
}

TEST(Cases, OnTheReference) { run_all_cases("reference", run_reference); }

}  // namespace
}  // namespace tern::test
