// SPDX-License-Identifier: Apache-2.0
// Every case of every operator (tests/ops/case.h) as a signature of one node through sessions: on the CPU with each
// instruction set that this machine runs (weights given and fixed), on oneDNN if it is there, on the reference backend,
// and on one that refuses every second operator.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/kernels/watched.h"
#include "tests/ops/case.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

// A copy whose last 64 bytes, rounded up, end where the next page may not be touched: who takes a tensor to be larger
// than value_bytes says ends the test.
Data before_guard_page(const void* from, uint64_t bytes) {
  // QEMU reads whole vectors where the processor's masked loads do not.
  static const size_t room = std::getenv("TERN_TEST_EMULATED") ? 64 : 0;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), used = ((size_t)bytes + 63) / 64 * 64 + room,
               pages = (used + page - 1) / page * page, whole = pages + page;
  char* const begin = (char*)mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE((void*)begin, MAP_FAILED);
  EXPECT_EQ(mprotect(begin + pages, page, PROT_NONE), 0);
  char* const to = begin + pages - used;
  std::memset(to, 0xA5, used);
  if (bytes) std::memcpy(to, from, (size_t)bytes);
  Data d;
  d.bytes = to;
  d.owner = std::shared_ptr<const void>(begin, [whole](const void* p) { munmap(const_cast<void*>(p), whole); });
  return d;
}

// A case as a signature of a model, and where its tensors went.
struct Placed {
  int32_t signature = -1;
  std::vector<const test::Tensor*> inputs;
  std::vector<std::pair<int32_t, const test::Tensor*>> states;  // index in the model
};

// Adds a graph whose inputs are plain or encoded: the latter become parameters, or states if written; with `fixed` all
// but the first, so that backends may derive copies when the plan is made. `inputs` must outlive what is returned.
Placed add_case(ModelDef& def, bool fixed, Graph g, const std::vector<test::Tensor>& inputs) {
  Placed placed;
  placed.signature = (int32_t)def.signatures.size();
  const std::string prefix = "case" + std::to_string(placed.signature) + "/";
  std::vector<ValueId> fed;
  const auto written = [&](ValueId v) {
    return std::any_of(g.nodes.begin(), g.nodes.end(), [&](const Node& n) {
      const auto end = n.in.begin() + (ptrdiff_t)num_written(n);
      return std::find(n.in.begin(), end, v) != end;
    });
  };
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    Value& v = g.value(g.inputs[i]);
    if (written(g.inputs[i]) || (is_plain(v.encoding) && (i == 0 || !fixed))) {
      fed.push_back(g.inputs[i]);
      placed.inputs.push_back(&inputs[i]);
      continue;
    }
    Parameter p;
    p.name = prefix + v.name, p.dtype = v.dtype, p.encoding = v.encoding, p.shape = v.shape;
    p.bytes = inputs[i].bytes();
    p.data = before_guard_page(inputs[i].data(), p.bytes);
    v.kind = ValueKind::parameter;
    v.index = (int32_t)def.parameters.size();
    def.parameters.push_back(std::move(p));
  }
  // What the node writes must be states.
  for (const Node& n : g.nodes)
    for (size_t k = 0; k < num_written(n); ++k) {
      const auto at = std::find(fed.begin(), fed.end(), n.in[k]) - fed.begin();
      if (at == (ptrdiff_t)fed.size()) continue;
      Value& v = g.value(n.in[k]);
      v.kind = ValueKind::state;
      v.index = (int32_t)def.states.size();
      placed.states.push_back({v.index, placed.inputs[(size_t)at]});
      def.states.push_back({prefix + "state" + std::to_string(k), v.dtype, v.shape, v.encoding});
      fed.erase(fed.begin() + at);
      placed.inputs.erase(placed.inputs.begin() + at);
    }
  // No output is encoded: such a state is read back.
  std::erase_if(g.outputs, [&](ValueId y) { return !is_plain(g.value(y).encoding); });
  g.inputs = fed;
  Signature signature;
  signature.name = prefix;
  for (size_t k = 0; k < g.outputs.size(); ++k) signature.output_names.push_back("y" + std::to_string(k));
  signature.graph = std::move(g);
  def.signatures.push_back(std::move(signature));
  return placed;
}

// Runs one signature. Outputs lie in memory with guards; encoded states that it writes stand behind them.
tern_status run_case(Session& session, const Placed& placed, std::vector<test::Tensor>* outputs) {
  Context& context = session.model().context();
  std::vector<Ref<tern::Tensor>> tensors;
  std::vector<const tern::Tensor*> pointers;
  const auto wrap = [&](const test::Tensor& from) -> tern_status {
    Ref<tern::Tensor> t;
    if (is_plain(from.encoding)) {
      TERN_TRY(tern::Tensor::wrap(context, from.dtype, from.shape, from.data(), from.bytes(), nullptr, nullptr, &t));
    } else {
      TERN_TRY(tern::Tensor::create(context, TERN_DTYPE_F32, from.shape, &t));
      decode(from.encoding, from.dtype, from.shape, from.data(), (float*)t->data());
    }
    tensors.push_back(std::move(t));
    return TERN_OK;
  };
  for (const auto& [index, content] : placed.states) {
    TERN_TRY(wrap(*content));
    TERN_TRY(session.state().set(index, *tensors.back()));
  }
  for (const test::Tensor* input : placed.inputs) {
    TERN_TRY(wrap(*input));
    pointers.push_back(tensors.back().get());
  }
  outputs->clear();
  const Graph& graph = session.model().def().signatures[(size_t)placed.signature].graph;
  for (size_t k = 0; k < graph.outputs.size(); ++k) {
    const Value& v = graph.value(graph.outputs[k]);
    test::Tensor t;
    t.dtype = v.dtype;
    t.shape = v.shape;
    t.allocate(0xA5);
    TERN_TRY(wrap(t));
    TERN_TRY(session.bind_output(placed.signature, (int32_t)k, tensors.back().get()));
    outputs->push_back(t);
  }
  std::vector<const tern::Tensor*> results(graph.outputs.size());
  TERN_TRY(session.run(placed.signature, pointers, results, {}));
  for (const tern::Tensor* r : results) r->release();
  for (const auto& [index, before] : placed.states) {
    const StateDecl& s = session.model().def().states[(size_t)index];
    if (is_plain(s.encoding)) continue;
    Ref<tern::Tensor> content;
    TERN_TRY(session.state().get(index, &content));
    test::Tensor t;
    t.dtype = s.dtype, t.encoding = s.encoding, t.shape = s.shape;
    t.allocate();
    encode(t.encoding, t.dtype, t.shape, (const float*)content->data(), t.data());
    outputs->push_back(t);
  }
  return TERN_OK;
}

// Where cases run: backends, and of the CPU the kernels.
struct Target {
  std::string name;
  const char* backends;
  const cpu::Kernels* kernels;  // NULL: those that the library would take
  bool fixed = false;
  // The set differs from that of another target before it in int8 kernels only: what called none there runs alike here.
  bool int8_only = false;
};

std::vector<Target> targets() {
  std::vector<Target> list = {
      {"reference", "reference", nullptr}, {"halting", "halting,cpu", nullptr}, {"deferred", "deferred", nullptr}};
  for (const bool fixed : {false, true})
    for (const cpu::test::Family& family : cpu::test::families()) {
      const auto add = [&](const cpu::Kernels* k, bool int8_only) {
        list.push_back({std::string("cpu ") + k->isa, "cpu", k, fixed, int8_only});
      };
      add(family.base, false);
      for (const cpu::Kernels* k : family.extensions) add(k, true);
    }
  if (has_onednn()) {
    onednn::take_all(true);
    list.push_back({"onednn", "onednn,cpu", nullptr});
    list.push_back({"onednn", "onednn,cpu", nullptr, true});
  }
  for (Target& t : list)
    if (t.fixed) t.name += ", fixed";
  return list;
}

// One model of many cases and a session for each target. Only one of them is open at a time.
class Cases {
 public:
  explicit Cases(Context& context) : context_(context) {}
  void add(std::string name, const Graph& graph, std::vector<test::Tensor> inputs) {
    items_.push_back({std::move(name), graph, std::move(inputs)});
  }
  size_t size() const { return items_.size(); }

  // Calls check(case, status, outputs) for each case on each target, which are told in the trace.
  template <class Check>
  void run(const Check& check) {
    std::vector<Placed> placed[2];
    ModelDef defs[2];
    for (const bool fixed : {false, true})
      for (const Item& item : items_) placed[fixed].push_back(add_case(defs[fixed], fixed, item.graph, item.inputs));
    std::vector<char> calls_int8(items_.size());
    for (const Target& target : targets()) {
      SCOPED_TRACE(target.name);
      if (target.kernels) cpu::use_kernels(target.int8_only ? *target.kernels : cpu::test::watched(*target.kernels));
      else cpu::select_kernels(nullptr);
      const Ref<Model> model = make_model(context_, ModelDef(defs[target.fixed]));
      Session::Options options;
      options.backends = target.backends;
      std::unique_ptr<Session> session;
      TERN_OKAY(Session::create(*model, options, &session));
      for (size_t i = 0; i < items_.size(); ++i) {
        if (target.int8_only && !calls_int8[i]) continue;
        SCOPED_TRACE(items_[i].name);
        const int64_t before = cpu::test::calls(cpu::test::Watch::int8);
        std::vector<test::Tensor> outputs;
        const tern_status status = run_case(*session, placed[target.fixed][i], &outputs);
        if (!target.int8_only) calls_int8[i] = cpu::test::calls(cpu::test::Watch::int8) != before;
        for (const test::Tensor& t : items_[i].inputs) EXPECT_TRUE(t.guards_intact());
        for (const test::Tensor& t : outputs) EXPECT_TRUE(t.guards_intact());
        check(i, status, outputs);
        ++g_runs;
      }
    }
    cpu::select_kernels(nullptr);
    g_cases += items_.size();
  }

  static inline size_t g_cases = 0, g_runs = 0;

 private:
  struct Item {
    std::string name;
    Graph graph;
    std::vector<test::Tensor> inputs;
  };
  Context& context_;
  std::vector<Item> items_;
};

// What run_case gives: encoded states stand behind the outputs.
Expected expect_run(const ParsedCase& c, const CaseGraph& g) {
  Expected e = expect(c, g);
  std::stable_partition(e.outputs.begin(), e.outputs.end(), [](const test::Tensor& t) { return is_plain(t.encoding); });
  return e;
}

struct Named {
  const Op* op;
};
void PrintTo(const Named& n, std::ostream* os) { *os << n.op->name; }

class Backends : public testing::TestWithParam<Named> {};

TEST_P(Backends, EqualTheReference) {
  const Op& op = *GetParam().op;
  if (op.num_subgraphs > 0) GTEST_SKIP() << "has sub-graphs";
  static const Ref<Context> context = make_context(2);
  struct Wanted {
    Expected result;
    double tolerance;
  };
  std::vector<Wanted> wanted;
  Cases cases(*context);
  const auto add = [&](const ParsedCase& c) {
    CaseGraph g;
    if (build_graph(c, &g) != TERN_OK) return;  // refused when the model is built
    std::vector<test::Tensor> inputs;
    for (const int k : g.feeds) inputs.push_back(c.inputs[(size_t)k]);
    wanted.push_back({expect_run(c, g), tolerance_of(c, g.graph)});
    cases.add(std::string(op.name) + "/" + c.line->name + (c.variant.empty() ? "" : ", " + c.variant), g.graph,
              std::move(inputs));
  };
  for (int32_t i = 0; i < op.cases.count; ++i) {
    ParsedCase c;
    std::string why;
    if (parse_case(op, op.cases.items[i], &c, &why)) add(c);
    else ADD_FAILURE() << why;
  }
  for (const ParsedCase& v : variants(op, 200)) add(v);
  const int64_t before[] = {cpu::test::calls(cpu::test::Watch::training), cpu::test::calls(cpu::test::Watch::text)};
  cases.run([&](size_t i, tern_status status, const std::vector<test::Tensor>& outputs) {
    const Expected& want = wanted[i].result;
    EXPECT_EQ(status, want.status) << thread_error().message;
    if (status != TERN_OK || want.status != TERN_OK) return;
    ASSERT_EQ(outputs.size(), want.outputs.size());
    for (size_t k = 0; k < outputs.size(); ++k)
      EXPECT_EQ(compare(outputs[k], want.outputs[k], wanted[i].tolerance), "") << "output " << k;
  });
  // Without a capability its kernels are not there.
  if (op.capability != Capability::training) {
    EXPECT_EQ(cpu::test::calls(cpu::test::Watch::training), before[0]);
  }
  if (op.capability != Capability::text) {
    EXPECT_EQ(cpu::test::calls(cpu::test::Watch::text), before[1]);
  }
}

// Inputs that may be encoded as a tensor; those in pages are the matter of pages_test.
uint32_t encoded_tensors(const Op& op) { return op.encoded_in & ~op.paged_in; }

// Input i in this encoding and type, with new content; `all`: other floats, too, in the type, but plain. False: it
// cannot be.
bool encode_input(ParsedCase& c, size_t i, Encoding e, DType dtype, bool all, uint64_t seed) {
  uint64_t bytes = 0;
  if (!c.inputs[i].present || !is_float(c.inputs[i].dtype)) return false;
  for (size_t j = 0; j < c.inputs.size(); ++j) {
    test::Tensor& t = c.inputs[j];
    if (!t.present || !is_float(t.dtype) || (j != i && !all)) continue;
    t.dtype = dtype;
    t.encoding = j == i ? e : Encoding::plain;
    if (encoded_bytes(t.encoding, t.dtype, t.shape, &bytes) != TERN_OK) return false;
    t.allocate();
    Random random{seed + j + 1};
    fill_random(t, random);
  }
  return true;
}

// Every operator that takes encoded inputs, with every encoding and type that its shape rule lets through: kernels and
// reference loops give what the reference gives on every instruction set, and read no byte more than the encoding says
// that there are.
TEST(Encoded, ReadersTakeEveryEncodingAndKeepToItsBytes) {
  static const Ref<Context> context = make_context(1);
  for (const Op* op : all_ops()) {
    if (op->num_subgraphs > 0 || encoded_tensors(*op) == 0) continue;
    struct Wanted {
      bool known;
      Expected result;
      double tolerance;
    };
    std::vector<Wanted> wanted;
    Cases cases(*context);
    for (int32_t k = 0; k < op->cases.count; ++k) {
      ParsedCase line;
      std::string why;
      ASSERT_TRUE(parse_case(*op, op->cases.items[k], &line, &why)) << why;
      if (line.line->fails != TERN_OK) continue;
      for (size_t i = 0; i < line.inputs.size(); ++i)
        for (int e = 1; e < kNumEncodings && (encoded_tensors(*op) >> std::min<size_t>(i, 31) & 1); ++e)
          for (const DType dtype : {TERN_DTYPE_F32, TERN_DTYPE_F16, TERN_DTYPE_BF16}) {
            ParsedCase c = line;
            if (dtype != TERN_DTYPE_F32) c.variant = dtype_name(dtype);
            CaseGraph g;
            // All floats in this type; or, where they may differ, this input alone.
            if (!encode_input(c, i, (Encoding)e, dtype, true, (uint64_t)k) || build_graph(c, &g) != TERN_OK) {
              c.inputs = line.inputs;
              g = {};
              if (!encode_input(c, i, (Encoding)e, dtype, false, (uint64_t)k) || build_graph(c, &g) != TERN_OK)
                continue;
            }
            const std::string name = std::string(op->name) + "/" + c.line->name + " input " + std::to_string(i) +
                                     " as " + encoding_name((Encoding)e) + " " + dtype_name(dtype);
            std::vector<test::Tensor> inputs;
            for (const int from : g.feeds) inputs.push_back(c.inputs[(size_t)from]);
            wanted.push_back({true, expect_run(c, g), std::max(1e-4, tolerance_of(c, g.graph))});
            cases.add(name, g.graph, std::move(inputs));
            // And, as a hostile file may have it, any bits, scales that are no numbers among them.
            c.inputs[i].allocate();
            Random bits{(uint64_t)k + 77};
            for (uint64_t b = 0; b < c.inputs[i].bytes(); ++b) ((uint8_t*)c.inputs[i].data())[b] = (uint8_t)bits.next();
            inputs.clear();
            for (const int from : g.feeds) inputs.push_back(c.inputs[(size_t)from]);
            wanted.push_back({false, {}, 0});
            cases.add(name + ", any bits", g.graph, std::move(inputs));
          }
    }
    EXPECT_GT(cases.size(), 2) << op->name;  // each in two types at least
    cases.run([&](size_t i, tern_status status, const std::vector<test::Tensor>& outputs) {
      EXPECT_TRUE(status == TERN_OK || status == TERN_ERR_INDEX) << thread_error().message;
      if (!wanted[i].known) return;
      const Expected& want = wanted[i].result;
      EXPECT_EQ(status, want.status);
      for (size_t o = 0; o < outputs.size() && status == TERN_OK && want.status == TERN_OK; ++o)
        EXPECT_EQ(compare(outputs[o], want.outputs[o], wanted[i].tolerance), "");
    });
  }
}

std::vector<Named> named_ops() {
  std::vector<Named> list;
  for (const Op* op : all_ops()) list.push_back({op});
  return list;
}
class Totals : public testing::Environment {
  void TearDown() override { std::printf("%zu cases, %zu runs\n", Cases::g_cases, Cases::g_runs); }
};
const testing::Environment* const kTotals = testing::AddGlobalTestEnvironment(new Totals);

INSTANTIATE_TEST_SUITE_P(All, Backends, testing::ValuesIn(named_ops()),
                         [](const testing::TestParamInfo<Named>& i) { return std::string(i.param.op->name); });

}  // namespace
}  // namespace tern::test
