// SPDX-License-Identifier: Apache-2.0
// Sizes that depend on data: exact for every content, planned once a size, no allocation for a size that came before,
// and states, cancels and errors as for any other plan.
#include <atomic>

#include "ops/control.h"
#include "ops/elementwise.h"
#include "ops/fill.h"
#include "ops/gather.h"
#include "ops/reduce.h"
#include "ops/slice.h"
#include "ops/state_write.h"
#include "tests/runtime/count_allocations.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

Ref<Context> counting_context() {
  static const BackendApi* const tables[] = {&cpu::backend(), &reference_backend(), &halting_backend(),
                                             &deferred_backend()};
  Context::Options options;
  options.threads.num_threads = 1;
  options.allocator.allocate = [](void*, size_t bytes, size_t alignment) { return allocate_counted(bytes, alignment); };
  options.allocator.release = [](void*, void* p, size_t) { std::free(p); };
  return Ref<Context>::adopt(new Context(options, tables));
}

ValueId integers(Graph& g, std::initializer_list<int64_t> v) {
  return add_constant(g, std::span<const int64_t>(v.begin(), v.size()));
}

ValueId sized(Graph& g, ValueId x, ValueId sample) { return emit(g, "data_sizes", {x, sample}); }

ValueId emit_outs(Graph& g, const char* op, std::vector<ValueId> in, int num_out, std::vector<ValueId>* outs) {
  Node n;
  n.op = find_op(op);
  set_default_attributes(*n.op, &n.attributes);
  n.in = std::move(in);
  return emit_node(g, std::move(n), num_out, outs);
}

// The first `count` columns of x [rows, columns].
ValueId first_columns(Graph& g, ValueId x, ValueId count) {
  return emit(g, "slice", {x, integers(g, {0}), reshape(g, count, {1}), integers(g, {1})});
}

// x [2,3] -> its elements above 0, and their sum; a state counts the runs.
ModelDef mask_model() {
  ModelDef def;
  def.states.push_back({"runs", TERN_DTYPE_F32, {1}});
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 3});
  std::vector<ValueId> found;
  const float zero = 0;
  emit_outs(g, "non_zero", {emit(g, "greater", {x, add_constant(g, TERN_DTYPE_F32, {}, &zero)})}, 2, &found);
  const int64_t two = 2;
  const ValueId count = sized(g, found[1], add_constant(g, TERN_DTYPE_I64, {}, &two));
  const int64_t swap[] = {1, 0};
  const ValueId picked = emit(g, "gather_nd", {x, transpose(g, first_columns(g, found[0], count), swap)});
  const ValueId old = use_state(g, def, "runs");
  const float one = 1;
  emit(g, "state_write", {old, add(g, old, add_constant(g, TERN_DTYPE_F32, {1}, &one))});
  g.outputs = {picked, reduce_sum(g, picked, std::vector<int64_t>{0}, false), emit(g, "relu", {x})};
  add_signature(def, "forward", std::move(g));
  return def;
}

std::unique_ptr<Session> open(const Model& model, Session::Options options = {}) {
  std::unique_ptr<Session> s;
  EXPECT_EQ(Session::create(model, options, &s), TERN_OK) << thread_error().message;
  return s;
}

Ref<Tensor> matrix(Context& context, std::vector<float> v) {
  return make_tensor(context, TERN_DTYPE_F32, {2, 3}, v.data());
}

std::vector<float> floats(const Tensor& t) {
  return {(const float*)t.data(), (const float*)t.data() + t.shape().elements()};
}

float runs_of(Session& s) {
  Ref<Tensor> t;
  EXPECT_EQ(s.state().get(0, &t), TERN_OK) << thread_error().message;
  return t ? *(const float*)t->data() : -1;
}

TEST(Stages, AMaskHasAsManyElementsAsPass) {
  for (const char* backend : {"cpu", "reference", "halting", "deferred"}) {
    const Ref<Context> context = make_context();
    const Ref<Model> model = make_model(*context, mask_model());
    Session::Options options;
    options.backends = backend;
    const std::unique_ptr<Session> session = open(*model, options);
    const std::vector<std::vector<float>> cases = {{1, -2, 3, -4, 5, -6},
                                                   {-1, -2, -3, -4, -5, -6},
                                                   {1, 2, 3, 4, 5, 6},
                                                   {-1, -2, -3, 7, -5, -6},
                                                   {-1, 2, -3, 4, -5, 6}};
    float n = 0;
    for (const auto& c : cases) {
      std::vector<float> want, positive;
      float sum = 0;
      for (const float v : c) {
        positive.push_back(std::max(v, 0.0f));
        if (v > 0) want.push_back(v), sum += v;
      }
      Outputs out;
      const Ref<Tensor> x = matrix(*context, c);
      TERN_OKAY(run(*session, 0, {x.get()}, &out));
      EXPECT_EQ(out.tensors[0]->shape(), (Shape{(int64_t)want.size()}));
      EXPECT_EQ(floats(*out.tensors[0]), want) << backend;
      EXPECT_EQ(floats(*out.tensors[1]), std::vector<float>{sum});
      EXPECT_EQ(floats(*out.tensors[2]), positive);
      EXPECT_EQ(runs_of(*session), ++n);
    }
  }
}

TEST(Stages, ASizeThatCameBeforeCostsNoAllocation) {
  const Ref<Context> context = counting_context();
  const Ref<Model> model = make_model(*context, mask_model());
  const std::unique_ptr<Session> session = open(*model);
  const Ref<Tensor> x[] = {matrix(*context, {1, -2, 3, -4, 5, -6}), matrix(*context, {-1, -2, 3, -4, 5, -6}),
                           matrix(*context, {1, 2, -3, -4, 5, -6})};
  for (int i = 0; i < 9; ++i) {
    const Tensor *inputs[] = {x[i % 3].get()}, *outputs[3] = {};
    const int64_t before = allocations();
    TERN_OKAY(session->run(0, inputs, outputs, {}));
    for (const Tensor* t : outputs) t->release();
    const int64_t after = allocations();
    EXPECT_EQ(after != before, i < 2) << "run " << i << ": " << after - before;  // the third has the size of the first
  }
  EXPECT_EQ(session->memory().plans, 3);  // one before the size is known, two behind it
}

TEST(Stages, TheNumberOfPlansIsBounded) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, mask_model());
  Session::Options options;
  options.max_plans = 2;
  const std::unique_ptr<Session> session = open(*model, options);
  for (int i = 0; i < 20; ++i) {
    std::vector<float> v(6, -1);
    for (int k = 0; k < i % 7; ++k) v[(size_t)k] = (float)k + 1;
    const Ref<Tensor> x = matrix(*context, v);
    Outputs out;
    TERN_OKAY(run(*session, 0, {x.get()}, &out));
    EXPECT_EQ(out.tensors[0]->shape()[0], i % 7);
    EXPECT_LE(session->memory().plans, 3);
  }
}

TEST(Stages, ReportsCoverAllStages) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, mask_model());
  Session::Options options;
  options.keep = options.profile = true;
  const std::unique_ptr<Session> session = open(*model, options);
  const Ref<Tensor> x = matrix(*context, {1, -2, 3, -4, 5, -6});
  Outputs out;
  for (int i = 0; i < 2; ++i) TERN_OKAY(run(*session, 0, {x.get()}, &out));
  std::string ops, kept;
  for (const Session::Placement& p : session->placements(0)) ops += p.op + " ";
  for (const Session::Intermediate& k : session->intermediates(0)) kept += k.op + " ";
  for (const char* op : {"greater", "non_zero", "slice", "gather_nd", "state_write"}) {
    EXPECT_NE(ops.find(op), std::string::npos) << ops;
    EXPECT_NE(kept.find(op), std::string::npos) << kept;
  }
}

TEST(Stages, BoundOutputsAreCheckedAgainstTheSize) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, mask_model());
  const std::unique_ptr<Session> session = open(*model);
  const Ref<Tensor> x = matrix(*context, {1, -2, 3, -4, 5, -6}), picked = make_tensor(*context, TERN_DTYPE_F32, {3}),
                    sum = make_tensor(*context, TERN_DTYPE_F32, {}),
                    relu = make_tensor(*context, TERN_DTYPE_F32, {2, 3});
  TERN_OKAY(session->bind_input(0, 0, x.get()));
  TERN_OKAY(session->bind_output(0, 0, picked.get()));
  TERN_OKAY(session->bind_output(0, 1, sum.get()));
  TERN_OKAY(session->bind_output(0, 2, relu.get()));
  for (int i = 0; i < 2; ++i) {
    TERN_OKAY(session->run_bound(0, {}));
    EXPECT_EQ(floats(*picked), (std::vector<float>{1, 3, 5}));
    EXPECT_EQ(floats(*sum), std::vector<float>{9});
    EXPECT_EQ(floats(*relu), (std::vector<float>{1, 0, 3, 0, 5, 0}));
  }
  EXPECT_EQ(runs_of(*session), 2);
  ((float*)x->data())[0] = -1;
  EXPECT_EQ(session->run_bound(0, {}), TERN_ERR_SHAPE);
  EXPECT_EQ(runs_of(*session), 2);  // what failed has not counted
}

TEST(Stages, ACancelledRunLeavesStatesAlone) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = make_model(*context, mask_model());
  const std::unique_ptr<Session> session = open(*model);
  const Ref<Tensor> x = matrix(*context, {1, -2, 3, -4, 5, -6});
  std::atomic<int32_t> cancel{1};
  Outputs out;
  EXPECT_EQ(run(*session, 0, {x.get()}, &out, RunControl{&cancel, 0}), TERN_ERR_CANCELLED);
  EXPECT_EQ(runs_of(*session), 0);
  TERN_OKAY(run(*session, 0, {x.get()}, &out));
  EXPECT_EQ(runs_of(*session), 1);
}

TEST(Stages, MemoryThatEndsIsAnErrorAndTheNextRunIsRight) {
  const Ref<Context> context = counting_context();
  const Ref<Model> model = make_model(*context, mask_model());
  const Ref<Tensor> x = matrix(*context, {1, -2, 3, -4, 5, -6}), y = matrix(*context, {1, -2, 3, -4, -5, -6});
  int64_t n = 1;
  for (bool failed = true; failed; ++n) {
    const std::unique_ptr<Session> session = open(*model);
    const Tensor *inputs[] = {x.get()}, *others[] = {y.get()}, *outputs[3] = {};
    const auto attempt = [&](const Tensor* const* in) -> tern_status {
      try {
        TERN_TRY(session->run(0, {in, 1}, outputs, {}));
        for (const Tensor* t : outputs) t->release();
        return TERN_OK;
      } catch (const std::bad_alloc&) {
        return TERN_ERR_MEMORY;
      }
    };
    fail_allocation(n);
    const tern_status first = attempt(inputs), second = attempt(others);
    failed = fail_allocation(0);
    EXPECT_TRUE((first == TERN_OK && second == TERN_OK) || failed) << n;
    (void)session->placements(0);  // points to nothing that is gone
    for (const Tensor* const* in : {inputs, others}) {
      TERN_OKAY(session->run(0, {in, 1}, outputs, {}));
      EXPECT_EQ(outputs[0]->shape()[0], in == inputs ? 3 : 2);
      for (const Tensor* t : outputs) t->release();
    }
  }
  EXPECT_GT(n, 50);
}

// range(0, n) with n given at run time: wrong contents are errors of the run, the limit on bytes holds.
TEST(Stages, WrongSizesAreErrors) {
  const Ref<Context> context = make_context();
  ModelDef def;
  Graph g;
  const ValueId n = add_input(g, "n", TERN_DTYPE_I64, {1});
  g.outputs = {emit(g, "fill", {sized(g, n, integers(g, {2}))})};
  add_signature(def, "forward", std::move(g));
  const Ref<Model> model = Ref<Model>::adopt(new Model(*context, std::move(def), {}, 1 << 20));
  const std::unique_ptr<Session> session = open(*model);
  Outputs out;
  for (const int64_t size : {int64_t{3}, int64_t{0}, int64_t{7}}) {
    const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_I64, {1}, &size);
    TERN_OKAY(run(*session, 0, {in.get()}, &out));
    EXPECT_EQ(out.tensors[0]->shape(), (Shape{size}));
  }
  for (const int64_t size : {int64_t{-1}, INT64_MIN, INT64_MAX}) {
    const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_I64, {1}, &size);
    EXPECT_NE(run(*session, 0, {in.get()}, &out), TERN_OK) << size;
  }
}

// Each size is known only when the one before it was met: the number of such steps is bounded.
TEST(Stages, TheNumberOfStepsIsBounded) {
  const Ref<Context> context = make_context();
  for (const int steps : {3, 70}) {
    ModelDef def;
    Graph g;
    ValueId x = add_input(g, "x", TERN_DTYPE_F32, {3});
    for (int i = 0; i < steps; ++i) {
      std::vector<ValueId> found;
      emit_outs(g, "non_zero", {x}, 2, &found);
      const int64_t three = 3;
      const ValueId count = sized(g, found[1], add_constant(g, TERN_DTYPE_I64, {}, &three));
      x = emit(g, "slice", {x, integers(g, {0}), reshape(g, count, {1})});
    }
    g.outputs = {x};
    add_signature(def, "forward", std::move(g));
    const Ref<Model> model = make_model(*context, std::move(def));
    const std::unique_ptr<Session> session = open(*model);
    const float values[] = {1, 2, 0};
    const Ref<Tensor> in = make_tensor(*context, TERN_DTYPE_F32, {3}, values);
    Outputs out;
    ASSERT_EQ(run(*session, 0, {in.get()}, &out), steps > 64 ? TERN_ERR_LIMIT : TERN_OK) << thread_error().message;
    if (steps > 64) continue;
    EXPECT_EQ(floats(*out.tensors[0]), (std::vector<float>{1, 2}));
  }
}

// ---- control ----

TEST(Stages, TheBranchThatRunsDecidesTheShape) {
  const Ref<Context> context = counting_context();
  ModelDef def;
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 3}), c = add_input(g, "c", TERN_DTYPE_BOOL, {});
  const uint8_t yes = 1;
  Node n;
  n.op = find_op("if");
  set_default_attributes(*n.op, &n.attributes);
  n.in = {sized(g, c, add_constant(g, TERN_DTYPE_BOOL, {}, &yes)), x};
  Graph a, b;
  a.outputs = {emit(a, "relu", {add_input(a, "x", TERN_DTYPE_F32, {2, 3})})};
  b.outputs = {
      emit(b, "reduce_sum", {add_input(b, "x", TERN_DTYPE_F32, {2, 3})}, ReduceAttrs{.axes = {1}, .keep_dims = 1})};
  n.subgraphs.push_back(std::move(a));
  n.subgraphs.push_back(std::move(b));
  g.outputs = {emit(g, "neg", {emit_node(g, std::move(n), 1)})};
  add_signature(def, "forward", std::move(g));
  const Ref<Model> model = make_model(*context, std::move(def));
  const std::unique_ptr<Session> session = open(*model);
  const Ref<Tensor> in = matrix(*context, {1, -2, 3, -4, 5, -6});
  const uint8_t bytes[] = {1, 0};
  const Ref<Tensor> conditions[] = {make_tensor(*context, TERN_DTYPE_BOOL, {}, bytes),
                                    make_tensor(*context, TERN_DTYPE_BOOL, {}, bytes + 1)};
  for (int i = 0; i < 6; ++i) {
    const Tensor *inputs[] = {in.get(), conditions[i % 2].get()}, *outputs[] = {nullptr};
    const int64_t before = allocations();
    TERN_OKAY(session->run(0, inputs, outputs, {}));
    const int64_t after = allocations();
    EXPECT_EQ(floats(*outputs[0]),
              i % 2 ? (std::vector<float>{-2, 5}) : (std::vector<float>{-1, -0.0f, -3, -0.0f, -5, -0.0f}));
    outputs[0]->release();
    EXPECT_EQ(after != before, i < 2) << i;
  }
}

// carried [n] -> [n + 1]: its own last element doubled is put behind it, as long as that is below `limit`; each
// iteration gives one row.
ModelDef growing_loop() {
  ModelDef def;
  Graph body;
  add_input(body, "i", TERN_DTYPE_I64, {});
  add_input(body, "again", TERN_DTYPE_BOOL, {});
  const ValueId v = add_input(body, "v", TERN_DTYPE_F32, {1}), limit = add_input(body, "limit", TERN_DTYPE_F32, {});
  const int64_t last = -1;
  const ValueId end = emit(body, "gather", {v, add_constant(body, TERN_DTYPE_I64, {}, &last)}, GatherAttrs{.axis = 0});
  const ValueId next = add(body, end, end);
  const ValueId longer = emit(body, "concat", {v, reshape(body, next, {1})});
  body.outputs = {emit(body, "less", {next, limit}), longer, next};
  Graph g;
  const ValueId start = add_input(g, "start", TERN_DTYPE_F32, {1}), most = add_input(g, "limit", TERN_DTYPE_F32, {}),
                first = emit(g, "less", {start, most});
  Node n;
  n.op = find_op("loop");
  set_default_attributes(*n.op, &n.attributes);
  n.attrs<LoopAttrs>() = {.num_carried = 1, .grows = 1};
  n.in = {kNoValue, reshape(g, first, {}), start, most};
  n.subgraphs.push_back(std::move(body));
  std::vector<ValueId> outs;
  emit_node(g, std::move(n), 2, &outs);
  g.outputs = {emit(g, "neg", {outs[0]}), outs[1]};
  add_signature(def, "forward", std::move(g));
  return def;
}

TEST(Stages, WhatALoopCarriesGrows) {
  const Ref<Context> context = counting_context();
  const Ref<Model> model = make_model(*context, growing_loop());
  const std::unique_ptr<Session> session = open(*model);
  const float limits[] = {10, 40, 0.5f};
  const std::vector<float> want[] = {{-1, -2, -4, -8, -16}, {-1, -2, -4, -8, -16, -32, -64}, {-1}};
  const float one = 1;
  const Ref<Tensor> start = make_tensor(*context, TERN_DTYPE_F32, {1}, &one);
  for (int i = 0; i < 9; ++i) {
    const Ref<Tensor> limit = make_tensor(*context, TERN_DTYPE_F32, {}, &limits[i % 3]);
    const Tensor *inputs[] = {start.get(), limit.get()}, *outputs[2] = {};
    const int64_t before = allocations();
    TERN_OKAY(session->run(0, inputs, outputs, {}));
    const int64_t after = allocations();
    EXPECT_EQ(floats(*outputs[0]), want[i % 3]);
    std::vector<float> rows;
    for (size_t k = 1; k < want[i % 3].size(); ++k) rows.push_back(-want[i % 3][k]);
    EXPECT_EQ(outputs[1]->shape(), (Shape{(int64_t)rows.size()}));
    EXPECT_EQ(floats(*outputs[1]), rows);
    for (const Tensor* t : outputs) t->release();
    // Where no row tells the shape of none, it is inferred anew.
    EXPECT_EQ(after != before, i < 2 || i % 3 == 2) << i << ": " << after - before;
  }
}

TEST(Stages, ALoopWithoutAnEndMeetsTheLimit) {
  const Ref<Context> context = make_context();
  const Ref<Model> model = Ref<Model>::adopt(new Model(*context, growing_loop(), {}, 1 << 14));
  const std::unique_ptr<Session> session = open(*model);
  const float one = 1, never = HUGE_VALF;
  const Ref<Tensor> start = make_tensor(*context, TERN_DTYPE_F32, {1}, &one),
                    limit = make_tensor(*context, TERN_DTYPE_F32, {}, &never),
                    zero = make_tensor(*context, TERN_DTYPE_F32, {1});
  Outputs out;
  TERN_OKAY(run(*session, 0, {start.get(), limit.get()}, &out));  // up to infinity
  EXPECT_EQ(out.tensors[1]->shape()[0], 128);
  EXPECT_EQ(run(*session, 0, {zero.get(), limit.get()}, &out), TERN_ERR_LIMIT);
}

// What nodes compute is kept within the limit of a plan, before memory is asked for it.
TEST(Stages, WhatIsKeptMeetsTheLimit) {
  const Ref<Context> context = make_context();
  Session::Options keep;
  keep.keep = true;
  for (const uint64_t limit : {uint64_t{1} << 20, uint64_t{1} << 30}) {
    ModelDef def;
    Graph g;
    const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {1, 1});
    const ValueId wide = emit(g, "expand", {x, integers(g, {1024, 1024})});
    g.outputs = {reduce_sum(g, wide, std::vector<int64_t>{0, 1}, false)};
    add_signature(def, "forward", std::move(g));
    const Ref<Model> model = Ref<Model>::adopt(new Model(*context, std::move(def), {}, limit));
    const std::unique_ptr<Session> session = open(*model, keep);
    const float two = 2;
    const Ref<Tensor> given = make_tensor(*context, TERN_DTYPE_F32, {1, 1}, &two);
    Outputs out;
    EXPECT_EQ(run(*session, 0, {given.get()}, &out), limit == 1 << 20 ? TERN_ERR_LIMIT : TERN_OK)
        << thread_error().message;
  }
}

}  // namespace
}  // namespace tern::test
