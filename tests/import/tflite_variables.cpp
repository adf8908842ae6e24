// SPDX-License-Identifier: Apache-2.0
// Resource variables of TFLite files as states of the model: several runs, with LiteRT's results; and files that misuse
// them.
#include <gtest/gtest.h>

#include <cstring>

#include "backends/cpu/backend.h"
#include "runtime/session.h"
#include "small_cases.h"

using namespace tern;
using namespace tern::test;

namespace {

Ref<Context> make_context() {
  static const BackendApi* const tables[] = {&cpu::backend()};
  Context::Options options;
  options.threads.num_threads = 1;
  return Ref<Context>::adopt(new Context(options, tables));
}

// Runs `runs` times on the inputs of the case and compares with its outputs, from the first on.
void run_and_compare(Session& session, Context& context, const SmallCase& c, size_t runs) {
  const Graph& g = session.model().def().signatures[0].graph;
  const size_t ins = g.inputs.size(), outs = g.outputs.size();
  for (size_t run = 0; run < runs; ++run) {
    std::vector<Ref<Tensor>> held(ins);
    std::vector<const Tensor*> inputs(ins), outputs(outs, nullptr);
    for (size_t i = 0; i < ins; ++i) {
      const TensorData& x = c.inputs[run * ins + i];
      ASSERT_EQ(Tensor::create(context, x.dtype, x.shape, &held[i]), TERN_OK);
      std::memcpy(held[i]->data(), x.data.bytes, x.bytes());
      inputs[i] = held[i].get();
    }
    ASSERT_EQ(session.run(0, inputs, outputs, {}), TERN_OK) << thread_error().message;
    for (size_t k = 0; k < outs; ++k) {
      const Ref<const Tensor> y = Ref<const Tensor>::adopt(outputs[k]);
      TensorData got = make_tensor(y->dtype(), y->shape());
      std::memcpy(const_cast<void*>(got.data.bytes), y->data(), got.bytes());
      std::string why;
      EXPECT_TRUE(close_to(got, c.outputs[run * outs + k], 1e-6, 1e-6, &why))
          << "run " << run << ", output " << k << ": " << why;
    }
  }
}

// with_runs: those that LiteRT ran.
std::vector<SmallCase> cases(bool with_runs = false) {
  std::vector<SmallCase> list = read_cases(TERN_SOURCE_DIR "/tests/import/tflite_variables.bin");
  if (with_runs) std::erase_if(list, [](const SmallCase& c) { return c.inputs.empty(); });
  return list;
}

TEST(TfliteVariables, KeepTheirContentBetweenRuns) {
  const std::vector<SmallCase> list = cases(true);
  ASSERT_EQ(list.size(), 9u);
  for (const SmallCase& c : list) {
    SCOPED_TRACE(c.name);
    ModelDef def;
    ASSERT_EQ(import_tflite({c.model.data(), c.model.size()}, ImportOptions{}, &def), TERN_OK)
        << thread_error().message;
    const Ref<Context> context = make_context();
    const Ref<Model> model = Ref<Model>::adopt(new Model(*context, std::move(def), nullptr));
    std::unique_ptr<Session> session;
    ASSERT_EQ(Session::create(*model, {}, &session), TERN_OK) << thread_error().message;
    const size_t runs = c.inputs.size() / model->def().signatures[0].graph.inputs.size();
    ASSERT_EQ(runs, 5u);
    run_and_compare(*session, *context, c, runs);
    // A new state begins anew; a fork of one that ran goes on.
    Ref<State> fresh;
    ASSERT_EQ(State::create(*model, &fresh), TERN_OK);
    ASSERT_EQ(session->set_state(*fresh), TERN_OK);
    run_and_compare(*session, *context, c, 2);
    Ref<State> fork;
    ASSERT_EQ(fresh->fork(&fork), TERN_OK);
    ASSERT_EQ(session->set_state(*fork), TERN_OK);
    SmallCase later = c;
    const size_t outs = model->def().signatures[0].graph.outputs.size();
    later.inputs.erase(later.inputs.begin(), later.inputs.begin() + (ptrdiff_t)(2 * c.inputs.size() / runs));
    later.outputs.erase(later.outputs.begin(), later.outputs.begin() + (ptrdiff_t)(2 * outs));
    run_and_compare(*session, *context, later, 3);
  }
}

TEST(TfliteVariables, HaveTheNamesOfTheFile) {
  for (const SmallCase& c : cases(true)) {
    ModelDef def;
    ASSERT_EQ(import_tflite({c.model.data(), c.model.size()}, ImportOptions{}, &def), TERN_OK);
    std::vector<std::string> names;
    for (const StateDecl& s : def.states) names.push_back(s.name);
    if (c.name == "ring") EXPECT_EQ(names, (std::vector<std::string>{"tflite.ran", "rows"}));
    if (c.name == "counter") EXPECT_EQ(names, (std::vector<std::string>{"tflite.ran", "count", "total"}));
  }
}

// ---- misuse ----

TEST(TfliteVariables, Misused) {
  struct Misuse {
    const char* name;
    tern_status status;
    const char* says;
  };
  constexpr Misuse kMisuse[] = {{"unknown", TERN_ERR_CORRUPT, "'nobody'"},
                                {"container", TERN_ERR_CORRUPT, "'rows'"},
                                {"no_handle", TERN_ERR_CORRUPT, "no handle"},
                                {"handle_assigned", TERN_ERR_UNSUPPORTED, "handle of variable 'rows'"},
                                {"handle_added", TERN_ERR_UNSUPPORTED, "handle of variable 'rows'"},
                                {"handle_returned", TERN_ERR_UNSUPPORTED, "handle of variable 'rows'"},
                                {"handle_type", TERN_ERR_CORRUPT, "type 0"},
                                {"read_type", TERN_ERR_CORRUPT, "is f32, not i32"},
                                {"assign_shape", TERN_ERR_UNSUPPORTED, "keep their shapes"},
                                {"no_options", TERN_ERR_CORRUPT, "no options"},
                                {"init_itself", TERN_ERR_CORRUPT, "calls itself"},
                                {"init_negative", TERN_ERR_CORRUPT, "the file has 2"},
                                {"init_beyond", TERN_ERR_CORRUPT, "the file has 2"},
                                {"init_empty", TERN_ERR_CORRUPT, "nothing before it produces"},
                                {"init_reads", TERN_ERR_UNSUPPORTED_OP, "READ_VARIABLE"}};
  size_t tried = 0;
  for (const SmallCase& c : cases())
    for (const Misuse& m : kMisuse) {
      if (c.name != m.name) continue;
      ++tried;
      ModelDef def;
      thread_error().message[0] = 0;
      EXPECT_EQ(import_tflite({c.model.data(), c.model.size()}, ImportOptions{}, &def), m.status)
          << m.name << ": " << thread_error().message;
      EXPECT_NE(std::strstr(thread_error().message, m.says), nullptr) << m.name << ": " << thread_error().message;
    }
  EXPECT_EQ(tried, std::size(kMisuse));
}

TEST(TfliteVariables, EveryByteChanged) {
  for (const SmallCase& c : cases(true))
    for (size_t i = 0; i < c.model.size(); ++i)
      for (const int change : {0x01, 0x80, 0xff}) {
        std::vector<uint8_t> b = c.model;
        b[i] = (uint8_t)(b[i] ^ change);
        ModelDef def;
        thread_error().message[0] = 0;
        const tern_status s = import_tflite({b.data(), b.size()}, ImportOptions{}, &def);
        EXPECT_TRUE(s == TERN_OK || thread_error().message[0]) << c.name << i;
      }
}

}  // namespace
