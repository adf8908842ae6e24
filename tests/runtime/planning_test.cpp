// SPDX-License-Identifier: Apache-2.0
// Hostile models that pass the reader: a plan of them is made, or refused, within a second and 64 MiB.
#include "ops/control.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/expand.h"
#include "ops/matmul.h"
#include "tests/fuzz/bounds.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

constexpr uint64_t kPlanned = 16 << 20;

struct Planned {
  tern_status status = TERN_OK;
  std::vector<Session::Placement> nodes;
};
// Arenas are counted, since they come from operator new here.
Planned plan(ModelDef def, uint64_t max_planned = kPlanned, int64_t rows = 0) {
  static const BackendApi* const tables[] = {&cpu::backend()};
  Context::Options options;
  options.threads.num_threads = 1;
  options.allocator.allocate = [](void*, size_t bytes, size_t alignment) {
    return ::operator new(bytes, std::align_val_t(alignment), std::nothrow);
  };
  options.allocator.release = [](void*, void* p, size_t) { ::operator delete(p, std::align_val_t(1)); };
  const auto context = Ref<Context>::adopt(new Context(options, tables));
  const auto model = Ref<Model>::adopt(new Model(*context, std::move(def), {}, max_planned));
  std::vector<Shape> shapes;
  for (const ValueId v : model->def().signatures[0].graph.inputs)
    shapes.push_back(model->def().signatures[0].graph.value(v).shape);
  if (rows) shapes[0][0] = rows;
  std::unique_ptr<Session> session;
  Planned r;
  EXPECT_EQ(Session::create(*model, {}, &session), TERN_OK) << thread_error().message;
  reset_peak();
  const uint64_t before = live_bytes();
  const double start = cpu_seconds();
  r.status = session->prepare(0, shapes);
  EXPECT_LT(cpu_seconds() - start, kSlower);
  EXPECT_LT(peak_bytes() - before, 64u << 20);
  if (r.status == TERN_OK) r.nodes = session->placements(0);
  return r;
}

// A graph as a file brings it: no value is known but the constants.
ModelDef as_read(Graph g) {
  for_each_graph(g, [](const Graph& part) {
    for (const Value& v : part.values)
      if (v.kind == ValueKind::node) const_cast<Value&>(v).data = {};
  });
  ModelDef def;
  add_signature(def, "forward", std::move(g));
  return def;
}

ValueId constant(Graph& g, const Shape& shape) {
  const std::vector<float> ones((size_t)shape.elements(), 1);
  return add_constant(g, TERN_DTYPE_F32, shape, ones.data());
}
template <class Attrs>
ValueId emit_unknown(Graph& g, const char* op, std::initializer_list<ValueId> in, const Attrs& attrs) {
  g.budget = {0, 0};
  return emit(g, op, in, attrs);
}
ValueId emit_unknown(Graph& g, const char* op, std::initializer_list<ValueId> in) {
  g.budget = {0, 0};
  return emit(g, op, in);
}

// n values that each cost much to compute ahead; all of them are read.
using Work = ValueId (*)(Graph& g);
ValueId many(Graph& g, int n, Work work) {
  ValueId sum = kNoValue;
  for (int i = 0; i < n; ++i) {
    const ValueId v = work(g);
    sum = sum == kNoValue ? v : emit_unknown(g, "add", {sum, v});
  }
  return sum;
}
const Work kWorks[] = {
    [](Graph& g) {
      return emit_unknown(g, "expand", {constant(g, {1, 1, 1, 1}), add_constant(g, std::vector<int64_t>{2, 4, 8, 64})});
    },
    [](Graph& g) {
      return emit_unknown(g, "tile", {constant(g, {1, 1}), add_constant(g, std::vector<int64_t>{64, 64})});
    },
    [](Graph& g) { return emit_unknown(g, "sin", {constant(g, {4096})}); },
    [](Graph& g) {
      return emit_unknown(g, "matmul", {constant(g, {64, 1000}), constant(g, {1000, 64})});
    },
    [](Graph& g) {
      return emit_unknown(g, "conv2d", {constant(g, {1, 200, 200, 1}), constant(g, {1, 137, 137, 1})}, Conv2dAttrs{});
    },
    [](Graph& g) {
      return emit_unknown(g, "attention",
                          {constant(g, {1, 1, 4096, 1}), constant(g, {1, 1, 30000, 1}), constant(g, {1, 1, 30000, 1})});
    },
    [](Graph& g) { return emit_unknown(g, "cumsum", {constant(g, {4096})}); },
    [](Graph& g) {
      return emit_unknown(g, "top_k", {constant(g, {4096}), add_constant(g, std::vector<int64_t>{4096})});
    },
};

TEST(Planning, CostlyConstants) {
  int built = 0;
  for (size_t k = 0; k < std::size(kWorks); ++k) {
    Graph g;
    const ValueId all = many(g, 40, kWorks[k]);
    if (g.status != TERN_OK) {  // the operator takes other inputs here
      ADD_FAILURE() << "work " << k << ": " << thread_error().message;
      continue;
    }
    ++built;
    g.outputs = {all};
    const Planned p = plan(as_read(std::move(g)));
    EXPECT_TRUE(p.status == TERN_OK || p.status == TERN_ERR_LIMIT || p.status == TERN_ERR_MEMORY)
        << thread_error().message;
    if (HasFailure()) FAIL() << "work " << k;
  }
  EXPECT_EQ(built, (int)std::size(kWorks));
}

// A few are computed, as in real models; when the budget is used up the rest run as nodes.
TEST(Planning, TheBudgetIsForAll) {
  for (const int n : {3, 3000}) {
    Graph g;
    g.outputs = {many(g, n, kWorks[0])};
    const Planned p = plan(as_read(std::move(g)));
    ASSERT_EQ(p.status, TERN_OK) << thread_error().message;
    EXPECT_EQ(p.nodes.empty(), n == 3);
  }
}

// ---- sub-graphs ----

Node control(const char* op, std::vector<ValueId> in) {
  Node n;
  n.op = find_op(op);
  set_default_attributes(*n.op, &n.attributes);
  n.in = std::move(in);
  return n;
}
// y = softmax(x) + work, `depth` sub-graphs deep, through `if` and `loop` in turn. The body of a loop takes its
// iteration and condition first.
void fill(Graph& g, int depth, bool in_loop, Work work, int n) {
  if (in_loop) add_scalar(g, "iteration"), add_input(g, "again", TERN_DTYPE_BOOL, {});
  if (in_loop) g.value(g.inputs[0]).kind = ValueKind::input;
  const ValueId condition = add_input(g, "condition", TERN_DTYPE_BOOL, {}),
                x = add_input(g, "x", TERN_DTYPE_F32, {2, 4, 8, 64});
  ValueId y = emit_unknown(g, "add", {emit_unknown(g, "softmax", {x}), many(g, n, work)});
  if (depth > 1) {
    const bool loop = depth % 2 != 0;
    Node node = loop ? control("loop", {add_constant(g, std::vector<int64_t>{2}), condition, condition, y})
                     : control("if", {condition, condition, y});
    if (loop) node.attrs<LoopAttrs>().num_carried = 2;
    node.subgraphs.resize(loop ? 1 : 2);
    for (Graph& sub : node.subgraphs) fill(sub, depth - 1, loop, work, n);
    std::vector<ValueId> outs;
    g.budget = {0, 0};
    emit_node(g, std::move(node), loop ? 2 : 1, &outs);
    ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
    y = outs.back();
  }
  if (in_loop) g.outputs = {condition, condition, y};
  else g.outputs = {y};
}

TEST(Planning, NestedSubgraphs) {
  Graph g;
  fill(g, 10, false, kWorks[0], 10);  // 5 levels of two: some 60 sub-graphs
  ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
  const Planned p = plan(as_read(std::move(g)), 256 << 20);
  EXPECT_EQ(p.status, TERN_OK) << thread_error().message;
}

TEST(Planning, ManySubgraphs) {
  for (const char* op : {"if", "loop"}) {
    Graph g;
    const bool loop = std::string_view(op) == "loop";
    const ValueId condition = add_input(g, "condition", TERN_DTYPE_BOOL, {});
    ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 4, 8, 64});
    for (int i = 0; i < 200; ++i) {
      Node node = loop ? control("loop", {add_constant(g, std::vector<int64_t>{2}), condition, condition, x})
                       : control("if", {condition, condition, x});
      if (loop) node.attrs<LoopAttrs>().num_carried = 2;
      node.subgraphs.resize(loop ? 1 : 2);
      for (Graph& sub : node.subgraphs) fill(sub, 1, loop, kWorks[0], 3);
      std::vector<ValueId> outs;
      emit_node(g, std::move(node), loop ? 2 : 1, &outs);
      ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
      x = outs.back();
    }
    g.outputs = {x};
    // Each sub-graph alone is below the limit; together they are not.
    EXPECT_EQ(plan(as_read(std::move(g)), 1 << 20).status, TERN_ERR_LIMIT) << op;
  }
}

// ---- sizes ----

TEST(Planning, OutputsCount) {
  for (const int64_t rows : {int64_t(256), int64_t(1) << 30, int64_t(1) << 40}) {
    Graph g;
    ExpandAttrs to;
    to.shape = {rows, 1024};
    g.outputs = {emit(g, "expand", {add_input(g, "x", TERN_DTYPE_F32, {1, 1024})}, to)};
    EXPECT_EQ(plan(as_read(std::move(g))).status, rows == 256 ? TERN_OK : TERN_ERR_LIMIT) << rows;
  }
}

// Rows that a step of any size would pass over are work space of a kernel: refused before they are allocated.
TEST(Planning, WorkSpaceCountsBeforeItIsThere) {
  const auto graph = [](int64_t stride) {
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {1, 7, 7, 4});
    Conv2dAttrs a;
    a.groups = 4, a.strides = {stride, stride}, a.pads = {0, 0, stride, 0};
    g.outputs = {emit(g, "conv2d", {x, constant(g, {4, 3, 3, 1})}, a)};
    return as_read(std::move(g));
  };
  EXPECT_EQ(plan(graph(2)).status, TERN_OK) << thread_error().message;
  EXPECT_EQ(plan(graph(1 << 28)).status, TERN_ERR_LIMIT);
  EXPECT_NE(std::string(thread_error().message).find("work space"), std::string::npos) << thread_error().message;
}

TEST(Planning, LimitOfThePlan) {
  const auto graph = [](int64_t rows) {
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {1, 1024});
    ExpandAttrs to;
    to.shape = {rows, 1024};
    const ValueId y = emit(g, "softmax", {emit(g, "expand", {x}, to)});
    g.outputs = {emit(g, "reduce_sum", {y})};
    return as_read(std::move(g));
  };
  EXPECT_EQ(plan(graph(256)).status, TERN_OK) << thread_error().message;
  for (const int64_t rows : {int64_t(5000), int64_t(1) << 30, int64_t(1) << 48}) {
    EXPECT_EQ(plan(graph(rows)).status, TERN_ERR_LIMIT) << rows;
    EXPECT_NE(std::string(thread_error().message).find("the limit is"), std::string::npos) << thread_error().message;
  }
}

Attributes doubled() {
  Attributes a;
  const Op& op = *find_op("resize");
  set_default_attributes(op, &a);
  EXPECT_EQ(set_attribute(op, &a, "scale_h", "2"), TERN_OK);
  EXPECT_EQ(set_attribute(op, &a, "scale_w", "2"), TERN_OK);
  return a;
}

// A size that the caller chooses: what does not fit is refused before anything is allocated for it.
TEST(Planning, SizesOfInputs) {
  for (const char* op : {"softmax", "shape", "relu", "transpose", "resize"}) {
    Graph g;
    const bool resize = std::string_view(op) == "resize";
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, resize ? Shape{2, 8, 8, 1} : Shape{2, 64});
    Node n = control(op, {x});
    if (resize) n.attributes = doubled();
    ValueId y = emit_node(g, std::move(n));
    if (std::string_view(op) != "shape") y = emit(g, "reduce_sum", {emit(g, "sin", {y})});
    g.outputs = {y};
    ASSERT_EQ(g.status, TERN_OK) << op << thread_error().message;
    ModelDef def = as_read(std::move(g));
    EXPECT_EQ(plan(def).status, TERN_OK) << op << thread_error().message;
    for (const int64_t rows : {int64_t(1) << 31, int64_t(1) << 50, INT64_MAX}) {
      const tern_status s = plan(def, kPlanned, rows).status;
      EXPECT_TRUE(s == TERN_ERR_LIMIT || (std::string_view(op) == "shape" && s == TERN_OK))
          << op << " " << rows << ": " << thread_error().message;
    }
  }
}

// ---- many nodes ----

TEST(Planning, ManyNodes) {
  constexpr int kNodes = 5000;
  const auto made = [](const char* what, const std::function<void(Graph&, ValueId)>& build) {
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {4});
    build(g, x);
    EXPECT_EQ(plan(as_read(std::move(g))).status, TERN_OK) << what << thread_error().message;
    if (HasFailure()) FAIL() << what;
  };
  made("a chain", [](Graph& g, ValueId x) {
    for (int i = 0; i < kNodes; ++i) x = emit_unknown(g, "sin", {x});
    g.outputs = {x};
  });
  made("all alive at once", [](Graph& g, ValueId x) {
    for (int i = 0; i < kNodes; ++i) {
      LeakyReluAttrs slope;
      slope.alpha = i;
      g.outputs.push_back(emit_unknown(g, "leaky_relu", {x}, slope));
    }
    ValueId sum = x;
    for (const ValueId v : g.outputs)
      sum = emit_unknown(g, "matmul", {emit_unknown(g, "add", {sum, v}), constant(g, {4, 4})});
    g.outputs = {sum};
  });
  made("the same again and again", [](Graph& g, ValueId x) {
    ValueId sum = x;
    for (int i = 0; i < kNodes; ++i)
      sum = emit_unknown(g, "add", {emit_unknown(g, "sin", {x}), emit_unknown(g, "cos", {x})});
    g.outputs = {sum};
  });
  made("views", [](Graph& g, ValueId x) {
    for (int i = 0; i < kNodes; ++i) x = reshape(g, x, i % 2 ? Shape{4} : Shape{2, 2});
    g.outputs = {x};
  });
  made("a wide join", [](Graph& g, ValueId x) {
    Node n = control("concat", std::vector<ValueId>((size_t)kNodes, x));
    g.outputs = {emit_node(g, std::move(n))};
  });
}

}  // namespace
}  // namespace tern::test
