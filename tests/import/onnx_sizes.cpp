// SPDX-License-Identifier: Apache-2.0
// Sizes that a graph computes: right at every size of its inputs, not only at those that the importer looks at.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <list>
#include <random>

#include "evaluate.h"
#include "graph/sizes.h"
#include "import/onnx.h"
#include "onnx_build.h"
#include "passes/follow_sizes.h"
#include "passes/specialize.h"

using namespace tern;
using namespace tern::test;

namespace {

std::string message() { return thread_error().message; }

// ---- expressions ----

TEST(Sizes, OneNumberForOneSize) {
  Sizes s({48, 320});
  const SizeId h = s.symbol(0), w = s.symbol(1), two = s.constant(2), one = s.constant(1);
  EXPECT_EQ(s.add(s.mul(s.sub(h, one), two), two), s.mul(h, two));
  EXPECT_EQ(s.mul(s.add(h, w), s.sub(h, w)), s.sub(s.mul(h, h), s.mul(w, w)));
  EXPECT_EQ(s.floor_div(s.add(s.mul(h, s.constant(4)), s.constant(7)), s.constant(4)), s.add(h, one));
  EXPECT_EQ(s.floor_div(s.floor_div(h, two), two), s.floor_div(h, s.constant(4)));
  EXPECT_EQ(s.floor_div(s.mul(h, w), w), h);
  EXPECT_EQ(s.max(s.add(h, one), h), s.add(h, one));
  EXPECT_EQ(s.equal(h, s.sub(s.add(h, w), w)), one);
  EXPECT_FALSE(s.fixed(s.min(h, s.constant(20))));
  EXPECT_FALSE(s.fixed(s.mod(s.sub(s.constant(0), h), s.constant(32))));
  EXPECT_NE(s.mul(s.floor_div(h, two), two), h);  // an odd height
  const std::string names[] = {"height", "width"};
  EXPECT_EQ(s.text(s.add(s.floor_div(s.sub(h, one), two), one), names), "floor((height + 1) / 2)");
  EXPECT_EQ(s.text(s.unknown(3), names), "?");
}

// Random expressions have the value that plain arithmetic gives, at the hints and elsewhere.
TEST(Sizes, AreEvaluatedAsTheyWereMade) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const std::vector<std::vector<int64_t>> points = {{48, 320, 2}, {1, 1, 1}, {31, 64, 7}, {1000, 3, 12}, {5, 0, 1}};
    Sizes s(points[0]);
    struct Both {
      SizeId id;
      std::vector<std::optional<int64_t>> values;  // at each point
    };
    std::vector<Both> made;
    for (int k = 0; k < 3; ++k) {
      made.push_back({s.symbol(k), {}});
      for (const auto& p : points) made.back().values.push_back(p[(size_t)k]);
    }
    for (const int64_t c : {-3, 0, 1, 2, 5, 32})
      made.push_back({s.constant(c), std::vector<std::optional<int64_t>>(points.size(), c)});
    for (int step = 0; step < 12; ++step) {
      const Both a = made[random() % made.size()], b = made[random() % made.size()];
      Both r;
      const int op = (int)(random() % 9);
      const auto plain = [&](int64_t x, int64_t z) -> std::optional<int64_t> {
        switch (op) {
          case 0: return x + z;
          case 1: return x - z;
          case 2: return std::abs(x) < 100'000 && std::abs(z) < 100'000 ? std::optional(x * z) : std::nullopt;
          case 3: return size_arithmetic(SizeOp::floor_div, x, z);
          case 4: return size_arithmetic(SizeOp::mod, x, z);
          case 5: return std::min(x, z);
          case 6: return std::max(x, z);
          case 7: return (int64_t)(x < z);
          default: return (int64_t)(x == z);
        }
      };
      // What is not defined at the hints becomes unknown: no rule makes such a size.
      if (!a.values[0] || !b.values[0] || !plain(*a.values[0], *b.values[0])) continue;
      switch (op) {
        case 0: r.id = s.add(a.id, b.id); break;
        case 1: r.id = s.sub(a.id, b.id); break;
        case 2: r.id = s.mul(a.id, b.id); break;
        case 3: r.id = s.floor_div(a.id, b.id); break;
        case 4: r.id = s.mod(a.id, b.id); break;
        case 5: r.id = s.min(a.id, b.id); break;
        case 6: r.id = s.max(a.id, b.id); break;
        case 7: r.id = s.less(a.id, b.id); break;
        default: r.id = s.equal(a.id, b.id); break;
      }
      for (size_t p = 0; p < points.size(); ++p)
        r.values.push_back(a.values[p] && b.values[p] ? plain(*a.values[p], *b.values[p]) : std::nullopt);
      EXPECT_EQ(s.hint(r.id), *r.values[0]);
      made.push_back(r);
    }
    for (size_t p = 0; p < points.size(); ++p) {
      const auto values = s.evaluate(points[p]);
      for (const Both& b : made) {
        // Where a part is not defined (a division by 0 that cancelled), the expression may still be.
        if (!b.values[p] || !values[(size_t)b.id]) continue;
        EXPECT_EQ(*values[(size_t)b.id], *b.values[p]) << "round " << round << ", point " << p;
        EXPECT_TRUE(!s.not_negative(b.id) || *b.values[p] >= 0) << "round " << round << ", point " << p;
      }
    }
  }
}

// ---- models ----

constexpr int kI64 = 7;

struct Small {
  onnx::ModelProto proto = empty_model(17);
  onnx::GraphProto* g() { return proto.mutable_graph(); }
  void open_input(const char* name, std::initializer_list<const char*> dims) {
    auto* v = g()->add_input();
    v->set_name(name);
    auto* t = v->mutable_type()->mutable_tensor_type();
    t->set_elem_type(1);
    for (const char* d : dims) {
      auto* dim = t->mutable_shape()->add_dim();
      if (d[0] >= '0' && d[0] <= '9') dim->set_dim_value(std::atoll(d));
      else dim->set_dim_param(d);
    }
  }
  const char* number(int64_t v, bool vector = true) {
    names.push_back("n" + std::to_string(names.size()));
    auto* t = g()->add_initializer();
    t->set_name(names.back());
    t->set_data_type(kI64);
    if (vector) t->add_dims(1);
    t->add_int64_data(v);
    return names.back().c_str();
  }
  const char* fresh() {
    names.push_back("v" + std::to_string(names.size()));
    return names.back().c_str();
  }
  const char* op(const char* type, std::initializer_list<const char*> in) {
    const char* y = fresh();
    node(g(), type, in, {y});
    return y;
  }
  // Size of an axis, as i64 [1].
  const char* size(const char* x, int64_t axis) { return op("Gather", {op("Shape", {x}), number(axis)}); }
  const char* concat(std::initializer_list<const char*> parts) {
    const char* y = op("Concat", parts);
    integer(last(), "axis", 0);
    return y;
  }
  onnx::NodeProto* last() { return g()->mutable_node(g()->node_size() - 1); }
  void output(const char* name) { g()->add_output()->set_name(name); }
  std::list<std::string> names;
};

tern_status import_small(const Small& m, ModelDef* out) {
  const std::string s = bytes_of(m.proto);
  return import_onnx({(const uint8_t*)s.data(), s.size()}, ImportOptions(), out);
}

// Expressions of all values of a graph agree with the shape rules at these sizes of the symbols.
void check_followed(const Signature& sig, const std::vector<int64_t>& at) {
  std::vector<int64_t> hints;
  for (const Symbol& s : sig.symbols) hints.push_back(s.hint);
  Sizes sizes(hints);
  Graph g = sig.graph, there;
  std::vector<ValueSizes> own(g.inputs.size());
  for (size_t i = 0; i < own.size(); ++i)
    for (int a = 0; a < g.value(g.inputs[i]).shape.rank; ++a)
      own[i].dims[a] = sizes.constant(g.value(g.inputs[i]).shape[a]);
  for (const SymbolicDim& d : sig.symbolic_dims)
    own[(size_t)d.input].dims[d.axis] = sizes.symbol(d.symbol), own[(size_t)d.input].dims_vary = true;
  for (size_t i = 0; i < own.size(); ++i)
    if (own[i].dims_vary) g.value(g.inputs[i]).sizes = std::make_shared<ValueSizes>(own[i]);
  std::vector<ValueId> map(g.values.size(), kNoValue);
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].kind != ValueKind::node) map[v] = add_value(there, sig.graph.values[v]);
  for (const SymbolicDim& d : sig.symbolic_dims)
    there.value(map[(size_t)g.inputs[(size_t)d.input]]).shape[d.axis] = at[(size_t)d.symbol];
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!g.nodes[i].subgraphs.empty()) return;  // those are tested by hand
    ASSERT_EQ(follow_sizes(sizes, g, g.nodes[i]), TERN_OK) << message();
    Node n = g.nodes[i];
    for (ValueId& v : n.in)
      if (v != kNoValue) v = map[(size_t)v];
    std::vector<ValueId> outs;
    emit_node(there, std::move(n), (int)g.nodes[i].out.size(), &outs);
    ASSERT_EQ(there.status, TERN_OK) << message();
    for (size_t k = 0; k < outs.size(); ++k) map[(size_t)g.nodes[i].out[k]] = outs[k];
  }
  const auto values = sizes.evaluate(at);
  for (size_t v = 0; v < g.values.size(); ++v) {
    const Value &here = g.values[v], &other = there.value(map[v]);
    for (int a = 0; a < here.shape.rank; ++a) {
      const auto followed = values[(size_t)size_of(sizes, here, a)];
      EXPECT_EQ(followed.value_or(other.shape[a]), other.shape[a])
          << "axis " << a << " of '" << here.name << "' of "
          << (here.producer >= 0 ? g.nodes[(size_t)here.producer].op->name : "");
    }
    if (!here.data || !has_fixed_shape(here)) continue;
    ASSERT_TRUE(other.data) << here.name;
    for (int64_t e = 0; e < here.shape.elements(); ++e) {
      if (here.sizes && here.sizes->content_varies && here.sizes->content.empty()) break;
      const bool varies = here.sizes && here.sizes->content_varies;
      const auto followed =
          varies ? here.sizes->content[(size_t)e] >= 0 ? values[(size_t)here.sizes->content[(size_t)e]] : std::nullopt
                 : std::optional(load_integer(is_float(here.dtype) ? TERN_DTYPE_BOOL : here.dtype, here.data.bytes, e));
      if (is_float(here.dtype)) continue;
      const int64_t there_now = load_integer(other.dtype, other.data.bytes, e);
      EXPECT_EQ(followed.value_or(there_now), there_now) << "element " << e << " of '" << here.name << "'";
    }
  }
}

// Output 0 has this shape for every size, and is said to vary exactly where it does.
void check_shapes(const Small& m, const std::vector<std::vector<int64_t>>& sizes,
                  const std::function<Shape(const std::vector<int64_t>&)>& expected) {
  ModelDef model;
  ASSERT_EQ(import_small(m, &model), TERN_OK) << message();
  const Signature& sig = model.signatures[0];
  std::vector<Shape> seen;
  for (const std::vector<int64_t>& at : sizes) {
    ASSERT_EQ(sig.symbols.size(), at.size());
    std::vector<Shape> shapes;
    for (const ValueId v : sig.graph.inputs) shapes.push_back(sig.graph.value(v).shape);
    for (const SymbolicDim& d : sig.symbolic_dims) shapes[(size_t)d.input][d.axis] = at[(size_t)d.symbol];
    Graph plan;
    ASSERT_EQ(specialize(sig.graph, shapes, &plan), TERN_OK) << message();
    seen.push_back(plan.value(plan.outputs[0]).shape);
    EXPECT_EQ(seen.back(), expected(at)) << to_string(seen.back());
    for (size_t i = 0; i < at.size(); ++i) {
      EXPECT_GE(at[i], sig.symbols[i].min);
      EXPECT_LE(at[i], sig.symbols[i].max);
      EXPECT_EQ(at[i] % sig.symbols[i].multiple, 0);
    }
    check_followed(sig, at);
  }
  const OutputSizes said = sizes_of_outputs(sig)[0];
  for (int a = 0; a < seen[0].rank; ++a) {
    bool varies = false;
    for (const Shape& s : seen) varies = varies || s[a] != seen[0][a];
    EXPECT_EQ(said.varies[a], varies) << "axis " << a << ": " << said.text;
  }
}

const std::vector<std::vector<int64_t>> kPictures = {{48, 320}, {64, 64}, {33, 65}, {31, 1}, {100, 7}, {1, 1}};

int64_t up(int64_t v, int64_t step) { return (v + step - 1) / step * step; }

TEST(OnnxSizes, PaddingToAMultiple) {
  for (const bool modulo : {true, false}) {
    Small m;
    m.open_input("x", {"1", "1", "height", "width"});
    const char *zero = m.number(0), *step = m.number(32);
    const auto missing = [&](int64_t axis) {
      const char* n = m.size("x", axis);
      if (modulo) return m.op("Mod", {m.op("Sub", {step, m.op("Mod", {n, step})}), step});
      const char* whole = m.op("Div", {m.op("Add", {n, m.number(31)}), step});
      return m.op("Sub", {m.op("Mul", {whole, step}), n});
    };
    m.output(m.op("Pad", {"x", m.concat({zero, zero, zero, zero, zero, zero, missing(2), missing(3)})}));
    check_shapes(m, kPictures, [](const auto& s) { return Shape{1, 1, up(s[0], 32), up(s[1], 32)}; });
  }
}

TEST(OnnxSizes, PaddingToASquare) {
  Small m;
  m.open_input("x", {"1", "3", "height", "width"});
  const char *h = m.size("x", 2), *w = m.size("x", 3), *side = m.op("Max", {h, w}), *zero = m.number(0);
  m.output(m.op("Pad",
                {"x", m.concat({zero, zero, zero, zero, zero, zero, m.op("Sub", {side, h}), m.op("Sub", {side, w})})}));
  check_shapes(m, kPictures, [](const auto& s) { return Shape{1, 3, std::max(s[0], s[1]), std::max(s[0], s[1])}; });
}

TEST(OnnxSizes, TopOfFewRows) {
  Small m;
  m.open_input("x", {"1", "n"});
  const char* k = m.op("Min", {m.size("x", 1), m.number(20)});
  node(m.g(), "TopK", {"x", k}, {"values", "indices"});
  m.output("values");
  check_shapes(m, {{64}, {5}, {20}, {21}, {1}}, [](const auto& s) { return Shape{1, std::min<int64_t>(s[0], 20)}; });
}

TEST(OnnxSizes, CropOfTheMiddle) {
  Small m;
  m.open_input("x", {"1", "height", "width"});
  const char *h = m.size("x", 1), *w = m.size("x", 2), *side = m.op("Min", {h, w}), *two = m.number(2);
  const char *top = m.op("Div", {m.op("Sub", {h, side}), two}), *left = m.op("Div", {m.op("Sub", {w, side}), two});
  m.output(m.op("Slice", {"x", m.concat({top, left}), m.concat({m.op("Add", {top, side}), m.op("Add", {left, side})}),
                          m.concat({m.number(1), m.number(2)})}));
  check_shapes(m, {{48, 320}, {64, 64}, {33, 65}, {100, 7}}, [](const auto& s) {
    return Shape{1, std::min(s[0], s[1]), std::min(s[0], s[1])};
  });
}

// Half the size, then what is enlarged is cut to the size before: odd sizes too.
TEST(OnnxSizes, UNetOfOddSizes) {
  Small m;
  m.open_input("x", {"1", "4", "height", "width"});
  const char* down = m.op("MaxPool", {"x"});
  ints(m.last(), "kernel_shape", {2, 2});
  ints(m.last(), "strides", {2, 2});
  integer(m.last(), "ceil_mode", 1);
  const char* target = m.concat({m.number(1), m.number(4), m.size("x", 2), m.size("x", 3)});
  const char* large = m.op("Resize", {down, "", "", target});
  const char* y = m.op("Concat", {"x", large});
  integer(m.last(), "axis", 1);
  m.output(y);
  check_shapes(m, {{48, 320}, {33, 65}, {7, 2}}, [](const auto& s) { return Shape{1, 8, s[0], s[1]}; });
}

// Up to 4 and beyond 9: neither a range nor steps. The sizes between are refused when a plan is made.
TEST(OnnxSizes, SizesWithAGap) {
  Small m;
  m.open_input("x", {"n", "2"});
  const char* n = m.size("x", 0);
  const char* rows = m.op("Where", {m.op("Greater", {n, m.number(9)}), n, m.number(4)});
  m.output(m.op("Min", {"x", m.op("Slice", {"x", m.number(0), rows, m.number(0)})}));
  check_shapes(m, {{1}, {4}, {10}, {13}, {500}}, [](const auto& s) { return Shape{s[0], 2}; });
}

// Steps need not be powers of two.
TEST(OnnxSizes, BlocksOfThreeAndOfSeven) {
  for (const int64_t block : {3, 6, 7, 12}) {
    Small m;
    m.open_input("x", {"1", "2", "height", "width"});
    const char* y = m.op("SpaceToDepth", {"x"});
    integer(m.last(), "blocksize", block);
    m.output(y);
    check_shapes(m, {{2 * block, 5 * block}, {16 * block, block}, {17 * block, 11 * block}}, [&](const auto& s) {
      return Shape{1, 2 * block * block, s[0] / block, s[1] / block};
    });
    ModelDef model;
    ASSERT_EQ(import_small(m, &model), TERN_OK) << message();
    for (const Symbol& s : model.signatures[0].symbols) EXPECT_EQ(s.multiple, block);
  }
}

TEST(OnnxSizes, TokensOfAPicture) {
  Small m;
  m.open_input("x", {"n", "8", "height", "width"});
  const char* flat = m.op("Reshape", {"x", m.concat({m.size("x", 0), m.number(2), m.number(4), m.number(-1)})});
  const char* t = m.op("Transpose", {flat});
  ints(m.last(), "perm", {0, 3, 1, 2});
  m.output(m.op("Reshape", {t, m.concat({m.size("x", 0), m.number(-1), m.number(8)})}));
  check_shapes(m, {{1, 48, 320}, {3, 5, 7}, {2, 1, 64}}, [](const auto& s) { return Shape{s[0], s[1] * s[2], 8}; });
}

// Without axes the rank of the result depends on the size: it is fixed, and said so.
TEST(OnnxSizes, SqueezeOfWhatIsOne) {
  Small m;
  m.open_input("x", {"n", "1", "4"});
  m.output(m.op("Squeeze", {"x"}));
  ModelDef model;
  ASSERT_EQ(import_small(m, &model), TERN_OK) << message();
  const Graph& g = model.signatures[0].graph;
  EXPECT_EQ(g.value(g.outputs[0]).shape, Shape{4});
  EXPECT_TRUE(model.signatures[0].symbols.empty());
  const std::string* fixed = find_metadata(model, "import.fixed");
  ASSERT_TRUE(fixed);
  EXPECT_EQ(*fixed, "x axis 0 = 1");
}

// A condition on sizes, with branches of different shapes.
TEST(OnnxSizes, TheBranchFollowsTheSize) {
  Small m;
  m.open_input("x", {"n", "4"});
  const char* many = m.op("Greater", {m.op("Squeeze", {m.size("x", 0)}), m.number(10, false)});
  const char *first = m.number(0), *ten = m.number(10), *axis = m.number(0);
  auto* n = node(m.g(), "If", {many}, {"y"});
  for (const bool yes : {true, false}) {
    auto* a = n->add_attribute();
    a->set_name(yes ? "then_branch" : "else_branch");
    a->set_type(onnx::AttributeProto::GRAPH);
    a->mutable_g()->set_name("b");
    if (yes) node(a->mutable_g(), "Slice", {"x", first, ten, axis}, {"a"});
    else node(a->mutable_g(), "Relu", {"x"}, {"b"});
    a->mutable_g()->add_output()->set_name(yes ? "a" : "b");
  }
  m.output("y");
  check_shapes(m, {{1}, {10}, {11}, {500}}, [](const auto& s) { return Shape{std::min<int64_t>(s[0], 10), 4}; });
}

}  // namespace
