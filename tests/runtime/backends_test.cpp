// SPDX-License-Identifier: Apache-2.0
// Every case of every operator (tests/ops/case.h) as a model of one node through sessions: on the CPU with each
// instruction set that this machine runs (weights given and fixed), on oneDNN if it is there, on the reference backend,
// and on one that refuses every second operator.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "kernels/cpu/dispatch.h"
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

// Runs a graph whose inputs are plain or encoded: the latter become parameters, or states if written; with `fixed` all
// but the first, so that backends may derive copies when the plan is made. Outputs lie in memory with guards.
tern_status run_in_session(Context& context, const char* backends, bool fixed, const Graph& graph,
                           const std::vector<test::Tensor>& inputs, std::vector<test::Tensor>* outputs) {
  ModelDef def;
  Graph g = graph;
  std::vector<ValueId> fed;
  std::vector<const test::Tensor*> given;
  const auto written = [&](ValueId v) {
    return std::any_of(g.nodes.begin(), g.nodes.end(),
                       [&](const Node& n) { return (n.op->flags & kWritesState) && n.in[0] == v; });
  };
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    Value& v = g.value(g.inputs[i]);
    if (is_plain(v.encoding) ? i == 0 || !fixed : written(g.inputs[i])) {
      fed.push_back(g.inputs[i]);
      given.push_back(&inputs[i]);
      continue;
    }
    Parameter p;
    p.name = v.name, p.dtype = v.dtype, p.encoding = v.encoding, p.shape = v.shape;
    p.bytes = inputs[i].bytes();
    p.data = before_guard_page(inputs[i].data(), p.bytes);
    v.kind = ValueKind::parameter;
    v.index = (int32_t)def.parameters.size();
    def.parameters.push_back(std::move(p));
  }
  // What the node writes must be a state.
  for (Node& n : g.nodes) {
    if (!(n.op->flags & kWritesState) || n.in[0] == kNoValue || g.value(n.in[0]).kind != ValueKind::input) continue;
    Value& v = g.value(n.in[0]);
    const size_t at = (size_t)(std::find(fed.begin(), fed.end(), n.in[0]) - fed.begin());
    v.kind = ValueKind::state;
    v.index = (int32_t)def.states.size();
    def.states.push_back({"state" + std::to_string(at), v.dtype, v.shape, v.encoding});
    // No output is encoded: such a state is read back.
    if (!is_plain(v.encoding)) std::erase(g.outputs, n.out[0]);
    fed.erase(fed.begin() + (ptrdiff_t)at);
    given.insert(given.begin(), given[at]);  // states first, in order
    given.erase(given.begin() + (ptrdiff_t)at + 1);
  }
  g.inputs = fed;
  Signature signature;
  signature.name = "forward";
  for (size_t k = 0; k < g.outputs.size(); ++k) signature.output_names.push_back("y" + std::to_string(k));
  signature.graph = std::move(g);
  def.signatures.push_back(std::move(signature));
  const size_t states = def.states.size();
  const Ref<Model> model = make_model(context, std::move(def));
  Session::Options options;
  options.backends = backends;
  std::unique_ptr<Session> session;
  TERN_TRY(Session::create(*model, options, &session));
  std::vector<Ref<tern::Tensor>> tensors;
  std::vector<const tern::Tensor*> pointers;
  for (size_t i = 0; i < given.size(); ++i) {
    Ref<tern::Tensor> t;
    if (is_plain(given[i]->encoding)) {
      TERN_TRY(tern::Tensor::wrap(context, given[i]->dtype, given[i]->shape, given[i]->data(), given[i]->bytes(),
                                  nullptr, nullptr, &t));
    } else {
      TERN_TRY(tern::Tensor::create(context, TERN_DTYPE_F32, given[i]->shape, &t));
      decode(given[i]->encoding, given[i]->dtype, given[i]->shape, given[i]->data(), (float*)t->data());
    }
    if (i < states) TERN_TRY(session->state().set((int32_t)i, *t));
    else pointers.push_back(t.get());
    tensors.push_back(std::move(t));
  }
  outputs->clear();
  const Graph& final = session->model().def().signatures[0].graph;
  for (size_t k = 0; k < final.outputs.size(); ++k) {
    const Value& v = final.value(final.outputs[k]);
    test::Tensor t;
    t.dtype = v.dtype;
    t.shape = v.shape;
    t.allocate(0xA5);
    Ref<tern::Tensor> wrapped;
    TERN_TRY(tern::Tensor::wrap(context, t.dtype, t.shape, t.data(), t.bytes(), nullptr, nullptr, &wrapped));
    TERN_TRY(session->bind_output(0, (int32_t)k, wrapped.get()));
    outputs->push_back(t);
    tensors.push_back(std::move(wrapped));
  }
  std::vector<const tern::Tensor*> results(final.outputs.size());
  TERN_TRY(session->run(0, pointers, results, {}));
  for (const tern::Tensor* r : results) r->release();
  for (size_t i = 0; i < states; ++i) {
    const StateDecl& s = session->model().def().states[i];
    if (is_plain(s.encoding)) continue;
    Ref<tern::Tensor> content;
    TERN_TRY(session->state().get((int32_t)i, &content));
    test::Tensor t;
    t.dtype = s.dtype, t.encoding = s.encoding, t.shape = s.shape;
    t.allocate();
    encode(t.encoding, t.dtype, t.shape, (const float*)content->data(), t.data());
    outputs->push_back(t);
  }
  return TERN_OK;
}

struct Target {
  const char *isa, *backends;  // isa NULL: any
  bool fixed = false;
};

std::vector<Target> targets() {
  std::vector<Target> list = {{nullptr, "reference"}, {nullptr, "halting,cpu"}, {nullptr, "deferred"}};
  for (int i = 0; const cpu::Kernels* k = cpu::runnable_kernels(i); ++i) list.push_back({k->isa, "cpu"});
  for (int i = 0; const cpu::Kernels* k = cpu::runnable_kernels(i); ++i) list.push_back({k->isa, "cpu", true});
  if (has_onednn()) {
    onednn::take_all(true);
    list.push_back({nullptr, "onednn,cpu"});
    list.push_back({nullptr, "onednn,cpu", true});
  }
  return list;
}

struct Named {
  const Op* op;
};
void PrintTo(const Named& n, std::ostream* os) { *os << n.op->name; }

class Backends : public testing::TestWithParam<Named> {};

// A case that the shape rule takes, and what it must give.
struct Ready {
  ParsedCase c;
  CaseGraph g;
  Expected want;
  std::vector<test::Tensor> inputs;
  std::string name;
};

// The cases of an operator and their variants.
std::vector<Ready> ready_cases(const Op& op) {
  std::vector<Ready> list;
  const auto add = [&](const ParsedCase& c) {
    Ready r;
    r.c = c;
    if (build_graph(c, &r.g) != TERN_OK) return;  // refused when the model is built
    r.want = expect(c, r.g);
    for (const int k : r.g.feeds) r.inputs.push_back(c.inputs[(size_t)k]);
    r.name = std::string(op.name) + "/" + c.line->name + (c.variant.empty() ? "" : ", " + c.variant);
    list.push_back(std::move(r));
  };
  for (int32_t i = 0; i < op.cases.count; ++i) {
    ParsedCase c;
    std::string why;
    if (!parse_case(op, op.cases.items[i], &c, &why)) {
      ADD_FAILURE() << why;
      continue;
    }
    add(c);
  }
  for (const ParsedCase& v : variants(op, 200)) add(v);
  return list;
}

TEST_P(Backends, EqualTheReference) {
  const Op& op = *GetParam().op;
  if (op.num_subgraphs > 0) GTEST_SKIP() << "has sub-graphs";
  static const Ref<Context> context = make_context(2);
  const std::vector<Ready> cases = ready_cases(op);
  for (const Target& target : targets()) {
    if (target.isa) {
      ASSERT_TRUE(cpu::select_kernels(target.isa));
    }
    for (const Ready& r : cases) {
      SCOPED_TRACE(r.name + " on " + target.backends + " " + (target.isa ? target.isa : "") +
                   (target.fixed ? ", fixed" : ""));
      std::vector<test::Tensor> outputs;
      const tern_status status = run_in_session(*context, target.backends, target.fixed, r.g.graph, r.inputs, &outputs);
      EXPECT_EQ(status, r.want.status) << thread_error().message;
      for (const test::Tensor& t : r.inputs) EXPECT_TRUE(t.guards_intact());
      if (status != TERN_OK || r.want.status != TERN_OK) continue;
      ASSERT_EQ(outputs.size(), r.want.outputs.size());
      for (size_t k = 0; k < outputs.size(); ++k) {
        EXPECT_EQ(compare(outputs[k], r.want.outputs[k], tolerance_of(r.c, r.g.graph)), "") << "output " << k;
        EXPECT_TRUE(outputs[k].guards_intact()) << "output " << k;
      }
    }
  }
  cpu::select_kernels(nullptr);
}

// Inputs that may be encoded as a tensor; those in pages are the matter of pages_test.
uint32_t encoded_tensors(const Op& op) { return op.encoded_in & ~op.paged_in; }

// Every operator that takes encoded inputs, with every encoding and type that its shape rule lets through: kernels and
// reference loops give what the reference gives on every instruction set, and read no byte more than the encoding says
// that there are.
TEST(Encoded, ReadersTakeEveryEncodingAndKeepToItsBytes) {
  static const Ref<Context> context = make_context(1);
  std::map<std::string, int> runs;
  for (const Op* op : all_ops()) {
    if (op->num_subgraphs > 0 || encoded_tensors(*op) == 0) continue;
    for (int32_t k = 0; k < op->cases.count; ++k) {
      ParsedCase line;
      std::string why;
      ASSERT_TRUE(parse_case(*op, op->cases.items[k], &line, &why)) << why;
      if (line.line->fails != TERN_OK) continue;
      for (size_t i = 0; i < line.inputs.size(); ++i)
        for (int e = 1; e < kNumEncodings && (encoded_tensors(*op) >> std::min<size_t>(i, 31) & 1); ++e)
          for (const DType dtype : {TERN_DTYPE_F32, TERN_DTYPE_F16, TERN_DTYPE_BF16}) {
            ParsedCase c = line;
            uint64_t bytes = 0;
            for (size_t j = 0; j < c.inputs.size(); ++j) {
              test::Tensor& t = c.inputs[j];
              if (!t.present || !is_float(t.dtype)) continue;
              t.dtype = dtype;
              t.encoding = j == i ? (Encoding)e : Encoding::plain;
              if (encoded_bytes(t.encoding, t.dtype, t.shape, &bytes) != TERN_OK) break;
              t.allocate();
              Random random{(uint64_t)k + j + 1};
              fill_random(t, random);
            }
            CaseGraph g;
            if (!c.inputs[i].present || c.inputs[i].encoding != (Encoding)e || c.inputs[i].dtype != dtype ||
                encoded_bytes((Encoding)e, dtype, c.inputs[i].shape, &bytes) != TERN_OK ||
                build_graph(c, &g) != TERN_OK)
              continue;
            SCOPED_TRACE(std::string(op->name) + "/" + c.line->name + " input " + std::to_string(i) + " as " +
                         encoding_name((Encoding)e) + " " + dtype_name(dtype));
            std::vector<test::Tensor> inputs, outputs;
            Random bits{(uint64_t)k + 77};
            for (const int from : g.feeds) inputs.push_back(c.inputs[(size_t)from]);
            // First with numbers; then, as a hostile file may have it, any bits, scales that are no numbers among them.
            const Expected want = expect(c, g);
            for (const bool numbers : {true, false}) {
              for (const Target& target : targets()) {
                if (target.isa) cpu::select_kernels(target.isa);
                SCOPED_TRACE(std::string(target.backends) + " " + (target.isa ? target.isa : "") +
                             (target.fixed ? ", fixed" : ""));
                const tern_status status =
                    run_in_session(*context, target.backends, target.fixed, g.graph, inputs, &outputs);
                EXPECT_TRUE(status == TERN_OK || status == TERN_ERR_INDEX) << thread_error().message;
                for (const test::Tensor& t : outputs) EXPECT_TRUE(t.guards_intact());
                if (!numbers) continue;
                EXPECT_EQ(status, want.status);
                for (size_t o = 0; o < outputs.size() && status == TERN_OK && want.status == TERN_OK; ++o)
                  EXPECT_EQ(compare(outputs[o], want.outputs[o], std::max(1e-4, tolerance_of(c, g.graph))), "");
              }
              for (uint64_t b = 0; b < c.inputs[i].bytes(); ++b)
                ((uint8_t*)c.inputs[i].data())[b] = (uint8_t)bits.next();
            }
            cpu::select_kernels(nullptr);
            ++runs[op->name];
          }
    }
  }
  for (const Op* op : all_ops())
    if (op->num_subgraphs == 0 && encoded_tensors(*op) != 0) {  // each in two types at least
      EXPECT_GT(runs[op->name], 1) << op->name;
    }
}

std::vector<Named> named_ops() {
  std::vector<Named> list;
  for (const Op* op : all_ops()) list.push_back({op});
  return list;
}
INSTANTIATE_TEST_SUITE_P(All, Backends, testing::ValuesIn(named_ops()),
                         [](const testing::TestParamInfo<Named>& i) { return std::string(i.param.op->name); });

}  // namespace
}  // namespace tern::test
