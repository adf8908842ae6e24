// SPDX-License-Identifier: Apache-2.0
// One test for each thing that the reader proves about the meaning of a file.
#include <cmath>
#include <limits>

#include "format/checksum.h"
#include "tests/format/support.h"

namespace tern::test {
namespace {

constexpr tern_status kCorrupt = TERN_ERR_CORRUPT;

fbs::GraphT& forward(Parts& p) { return *p.model.graphs[0]; }
fbs::NodeT& node(Parts& p, const char* op) {
  for (auto& n : forward(p).nodes)
    if (p.model.operators[n->op]->name == op) return *n;
  ADD_FAILURE() << "no node " << op;
  return *forward(p).nodes[0];
}
fbs::ValueT& value(Parts& p, int kind) {
  for (auto& v : forward(p).values)
    if (v->kind == kind) return *v;
  ADD_FAILURE() << "no value of kind " << kind;
  return *forward(p).values[0];
}
std::unique_ptr<fbs::AttributeT> attribute(const char* name, AttrType type) {
  auto a = std::make_unique<fbs::AttributeT>();
  a->name = name;
  a->type = (uint8_t)type;
  return a;
}
constexpr int kInput = 0, kScalar = 1, kParameter = 2, kState = 3, kConstant = 4, kNode = 5;

// ---- what the file needs ----

TEST(Verifier, RequiredFeature) {
  expect_refused(
      [](Parts& p) {
        p.model.required_features = {"ternary_v9", "holograms"};
      },
      TERN_ERR_UNSUPPORTED_VERSION, "'ternary_v9', 'holograms'");
  expect_refused([](Parts& p) { p.model.required_features = {"x"}, p.model.producer = "Tern 42.0"; },
                 TERN_ERR_UNSUPPORTED_VERSION, "written by Tern 42.0");
}

TEST(Verifier, MissingOperators) {
  expect_refused(
      [](Parts& p) {
        p.model.operators[node(p, "linear").op]->name = "hyperlinear";
        p.model.operators[node(p, "relu").op]->name = "wrelu";
      },
      TERN_ERR_UNSUPPORTED_OP, "hyperlinear (3), wrelu (1)");
}

TEST(Verifier, MissingOperatorBesidesNewerVersion) {
  expect_refused(
      [](Parts& p) {
        p.model.operators[node(p, "linear").op]->name = "hyperlinear";
        p.model.operators[node(p, "relu").op]->version = 3;
      },
      TERN_ERR_UNSUPPORTED_OP, "hyperlinear (3), relu version 3");
}

TEST(Verifier, ManyMissingOperators) {
  expect_refused(
      [](Parts& p) {
        const fbs::NodeT relu = node(p, "relu");
        for (int i = 0; i < 500; ++i) {
          p.model.operators.push_back(std::make_unique<fbs::OperatorT>());
          p.model.operators.back()->name = "missing_operator_" + std::to_string(i);
          forward(p).nodes.push_back(std::make_unique<fbs::NodeT>(relu));
          forward(p).nodes.back()->op = (uint32_t)p.model.operators.size() - 1;
        }
      },
      TERN_ERR_UNSUPPORTED_OP, "missing_operator_0 (1)");
}

TEST(Verifier, OperatorVersion) {
  for (const uint32_t v : {0u, 2u, 0xffffffffu})
    expect_refused([&](Parts& p) { p.model.operators[node(p, "relu").op]->version = v; }, TERN_ERR_UNSUPPORTED_VERSION,
                   "relu version");
}

TEST(Verifier, UnusedUnknownOperator) {
  Parts p = take_apart(write(small_model()));
  p.model.operators.push_back(std::make_unique<fbs::OperatorT>());
  p.model.operators.back()->name = "unknown";
  EXPECT_EQ(load(put_together(p)).status, TERN_OK);
}

TEST(Verifier, Fused) {
  expect_refused([](Parts& p) { p.model.operators[node(p, "relu").op]->name = "fused"; }, kCorrupt,
                 "'fused' is made when a plan is made");
}

TEST(Verifier, OperatorNames) {
  expect_refused([](Parts& p) { p.model.operators[0]->name = ""; }, kCorrupt, "an operator has no name");
  expect_refused([](Parts& p) { p.model.operators[1]->name = p.model.operators[0]->name; }, kCorrupt, "exists twice");
}

// ---- names ----

TEST(Verifier, EmptyNames) {
  expect_refused([](Parts& p) { p.model.parameters[0]->name = ""; }, kCorrupt, "a parameter has no name");
  expect_refused([](Parts& p) { p.model.states[0]->name = ""; }, kCorrupt, "a state has no name");
  expect_refused([](Parts& p) { p.model.signatures[1]->name = ""; }, kCorrupt, "a signature has no name");
  expect_refused([](Parts& p) { p.model.metadata[1]->key = ""; }, kCorrupt, "a metadata key has no name");
  expect_refused([](Parts& p) { value(p, kInput).name = ""; }, kCorrupt, "an input has no name");
  expect_refused([](Parts& p) { p.model.signatures[0]->output_names[0]->name = ""; }, kCorrupt,
                 "an output has no name");
  expect_refused([](Parts& p) { p.model.signatures[0]->symbols[0]->name = ""; }, kCorrupt, "a symbol has no name");
}

TEST(Verifier, DuplicateNames) {
  expect_refused([](Parts& p) { p.model.parameters[0]->name = p.model.parameters[2]->name; }, kCorrupt,
                 "a parameter 'panels' exists twice");
  expect_refused([](Parts& p) { p.model.states.push_back(std::make_unique<fbs::StateT>(*p.model.states[0])); },
                 kCorrupt, "a state 'cache' exists twice");
  expect_refused([](Parts& p) { p.model.signatures[1]->name = "forward"; }, kCorrupt,
                 "a signature 'forward' exists twice");
  expect_refused([](Parts& p) { p.model.metadata[1]->key = "name"; }, kCorrupt, "a metadata key 'name' exists twice");
  expect_refused([](Parts& p) { value(p, kScalar).name = "x"; }, kCorrupt, "an input 'x' exists twice");
  expect_refused([](Parts& p) { p.model.signatures[0]->output_names[1]->name = "z"; }, kCorrupt,
                 "an output 'z' exists twice");
  expect_refused(
      [](Parts& p) {
        p.model.signatures[0]->symbols.push_back(std::make_unique<fbs::SymbolT>(*p.model.signatures[0]->symbols[0]));
      },
      kCorrupt, "a symbol 'batch' exists twice");
}

// Every text of the file.
std::vector<std::function<std::string&(Parts&)>> texts() {
  return {[](Parts& p) -> std::string& { return p.model.producer; },
          [](Parts& p) -> std::string& { return p.model.operators[0]->name; },
          [](Parts& p) -> std::string& { return p.model.parameters[0]->name; },
          [](Parts& p) -> std::string& { return p.model.parameters[0]->encoding; },
          [](Parts& p) -> std::string& { return p.model.constants[0]->name; },
          [](Parts& p) -> std::string& { return p.model.states[0]->name; },
          [](Parts& p) -> std::string& { return forward(p).values[0]->name; },
          [](Parts& p) -> std::string& { return forward(p).nodes[0]->name; },
          [](Parts& p) -> std::string& { return node(p, "shape").attributes[0]->name; },
          [](Parts& p) -> std::string& { return node(p, "shape").attributes[0]->choice; },
          [](Parts& p) -> std::string& { return p.model.signatures[0]->name; },
          [](Parts& p) -> std::string& { return p.model.signatures[0]->output_names[0]->name; },
          [](Parts& p) -> std::string& { return p.model.signatures[0]->symbols[0]->name; },
          [](Parts& p) -> std::string& { return p.model.metadata[0]->key; },
          [](Parts& p) -> std::string& { return p.model.metadata[0]->value; }};
}

TEST(Verifier, InvalidUtf8) {
  const char* const bad[] = {"\x80",
                             "a\xff",
                             "\xc0\xaf",
                             "\xc1\x81",
                             "\xe0\x80\x80",
                             "\xed\xa0\x80",
                             "\xf0\x80\x80\x80",
                             "\xf4\x90\x80\x80",
                             "\xf5\x80\x80\x80",
                             "\xc3",
                             "\xe2\x82",
                             "\xf0\x9f\x98",
                             "\xc3(",
                             "\xe2(\x82",
                             "\xf0\x9f(\x98"};
  for (const auto& text : texts())
    for (const char* b : bad) expect_refused([&](Parts& p) { text(p) = b; }, kCorrupt, "UTF-8");
}

TEST(Verifier, Nul) {
  for (const auto& text : texts())
    expect_refused([&](Parts& p) { text(p) = std::string("a\0b", 3); }, kCorrupt, "UTF-8");
}

TEST(Verifier, GoodUtf8) {
  ModelDef m = small_model();
  m.metadata.push_back({"\x7f\xc2\x80\xdf\xbf",
                        "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"});
  EXPECT_EQ(load(write(m)).status, TERN_OK) << thread_error().message;
}

TEST(Verifier, LongNames) {
  const auto list = texts();
  for (size_t i = 1; i < list.size() - 1; ++i)  // not the producer, not values of metadata
    expect_refused([&](Parts& p) { list[i](p) = std::string(1 << 20, 'n'); },
                   i == 8 || i == 9 ? kCorrupt : TERN_ERR_LIMIT, "bytes");
  Parts p = take_apart(write(small_model()));
  p.model.metadata[0]->value = std::string(1 << 20, 'v');
  forward(p).values[0]->name = std::string(65536, 'n');
  const Loaded r = load(put_together(p));
  EXPECT_EQ(r.status, TERN_OK) << r.message;
}

// ---- tensors ----

TEST(Verifier, TensorType) {
  for (const int d : {0, 14, 255}) {
    expect_refused([&](Parts& p) { p.model.parameters[0]->dtype = (uint8_t)d; }, kCorrupt, "element type");
    expect_refused([&](Parts& p) { p.model.constants[0]->dtype = (uint8_t)d; }, kCorrupt, "element type");
    expect_refused([&](Parts& p) { p.model.states[0]->dtype = (uint8_t)d; }, kCorrupt, "element type");
    expect_refused([&](Parts& p) { value(p, kInput).dtype = (uint8_t)d; }, kCorrupt, "element type");
    expect_refused([&](Parts& p) { value(p, kNode).dtype = (uint8_t)d; }, kCorrupt, "element type");
  }
}

TEST(Verifier, Encoding) {
  expect_refused([](Parts& p) { p.model.parameters[0]->encoding = "ternary9"; }, TERN_ERR_UNSUPPORTED_VERSION,
                 "encoding 'ternary9'");
  expect_refused([](Parts& p) { p.model.parameters[0]->encoding = "?"; }, TERN_ERR_UNSUPPORTED_VERSION, "encoding");
  // Stored as other bytes than the encoding takes, and an element type that it does not take.
  expect_refused([](Parts& p) { p.model.parameters[0]->encoding = "panel_int8"; }, kCorrupt, "");
  expect_refused([](Parts& p) { p.model.parameters[2]->dtype = TERN_DTYPE_I32; }, kCorrupt, "");
  expect_refused([](Parts& p) { p.model.parameters[3]->encoding = ""; }, kCorrupt, "takes 800 bytes");
  // States.
  expect_refused([](Parts& p) { p.model.states[0]->encoding = "ternary9"; }, TERN_ERR_UNSUPPORTED_VERSION,
                 "'cache' is in encoding 'ternary9'");
  expect_refused([](Parts& p) { p.model.states[0]->encoding = "panel_int8"; }, kCorrupt, "a plain tensor is needed");
  expect_refused([](Parts& p) { p.model.states[0]->encoding = "panel32", p.model.states[0]->shape = {64}; }, kCorrupt,
                 "needs a matrix");
  expect_refused([](Parts& p) { p.model.states[0]->encoding = "panel32", p.model.states[0]->dtype = TERN_DTYPE_I32; },
                 kCorrupt, "does not hold");
}

// An operator that reads plain memory must not get a packed tensor, which is smaller.
TEST(Verifier, EncodedWhereItDoesNotBelong) {
  expect_refused(
      [](Parts& p) {
        Parts q = take_apart(write(small_model()));
        int panels = -1;
        for (size_t i = 0; i < forward(p).values.size(); ++i)
          if (forward(p).values[i]->name == "panels") panels = (int)i;
        node(p, "relu").inputs[0] = panels;
      },
      kCorrupt, "a plain tensor is needed");
}

const std::vector<std::vector<int64_t>> kBadShapes = {{-1},
                                                      {4, -3},
                                                      {INT64_MIN},
                                                      {INT64_MAX, INT64_MAX},
                                                      {1LL << 31, 1LL << 31},
                                                      {1LL << 32, 1LL << 31},
                                                      {1LL << 32, 1LL << 32},
                                                      {3037000500, 3037000500},
                                                      {1LL << 62, 4},
                                                      {(1LL << 62) + 1, 4},
                                                      {0, INT64_MAX, 2},
                                                      {1LL << 41},
                                                      {1, 1, 1, 1, 1, 1, 1, 1, 1},
                                                      std::vector<int64_t>(1000, 1)};

TEST(Verifier, Shapes) {
  for (const auto& shape : kBadShapes) {
    const char* text = "";
    const tern_status code =
        shape.size() > 8 || (shape[0] >= 0 && (shape.size() < 2 || shape[1] >= 0)) ? TERN_ERR_LIMIT : kCorrupt;
    for (int d = TERN_DTYPE_F32; d <= TERN_DTYPE_BOOL; ++d) {
      expect_refused([&](Parts& p) { p.model.parameters[0]->shape = shape, p.model.parameters[0]->dtype = (uint8_t)d; },
                     code, text);
      expect_refused([&](Parts& p) { p.model.states[0]->shape = shape, p.model.states[0]->dtype = (uint8_t)d; }, code,
                     text);
    }
    expect_refused([&](Parts& p) { p.model.constants[0]->shape = shape; }, code, text);
    expect_refused([&](Parts& p) { value(p, kInput).shape = shape; }, code, text);
    expect_refused([&](Parts& p) { value(p, kNode).shape = shape; }, code, text);
    for (int e = 1; e < kNumEncodings; ++e) {
      Parts p = take_apart(write(small_model()));
      p.model.parameters[0]->shape = shape, p.model.parameters[0]->encoding = encoding_name((Encoding)e);
      EXPECT_NE(load(put_together(p)).status, TERN_OK);
    }
  }
}

TEST(Verifier, StoredBytes) {
  for (const uint64_t b : {uint64_t(0), uint64_t(47), uint64_t(49), uint64_t(1) << 31, uint64_t(1) << 63, UINT64_MAX}) {
    expect_refused([&](Parts& p) { p.model.parameters[0]->bytes = b; }, kCorrupt, "takes 48 bytes");
    expect_refused([&](Parts& p) { p.model.constants[0]->bytes = b; }, kCorrupt, "takes 8 bytes");
  }
}

TEST(Verifier, Alignment) {
  for (const uint64_t o : {1, 3, 8, 32, 63, 65})
    expect_refused([&](Parts& p) { p.model.parameters[0]->offset += o; }, kCorrupt, "multiple of 64");
}

TEST(Verifier, OutsideTheWeights) {
  const uint64_t size = take_apart(write(small_model())).header.weights_bytes;
  for (const uint64_t o :
       {(size + 63) / 64 * 64, uint64_t(1) << 31, uint64_t(1) << 32, uint64_t(1) << 63, UINT64_MAX - 63}) {
    expect_refused([&](Parts& p) { p.model.parameters[0]->offset = o; }, kCorrupt, "ends outside the weight section");
    expect_refused([&](Parts& p) { p.model.constants[0]->offset = o; }, kCorrupt, "ends outside the weight section");
  }
}

TEST(Verifier, Overlap) {
  expect_refused([](Parts& p) { p.model.parameters[1]->offset = p.model.parameters[2]->offset; }, kCorrupt,
                 "share bytes");
  expect_refused([](Parts& p) { p.model.parameters[1]->offset = p.model.parameters[2]->offset + 64; }, kCorrupt,
                 "share bytes");
  expect_refused([](Parts& p) { p.model.parameters[1]->offset = p.model.constants[0]->offset; }, kCorrupt,
                 "share bytes");
}

TEST(Verifier, EmptyTensorAnywhereInside) {
  Parts p = take_apart(write(small_model()));
  auto t = std::make_unique<fbs::TensorT>(*p.model.parameters[0]);
  t->name = "empty";
  t->shape = {0, 3};
  t->bytes = 0;
  p.model.parameters.push_back(std::move(t));
  EXPECT_EQ(load(put_together(p)).status, TERN_OK) << thread_error().message;
  p.model.parameters.back()->offset = p.header.weights_bytes / 64 * 64 + 64;
  expect_refused(put_together(p), kCorrupt, "ends outside");
}

TEST(Verifier, ConstantChecksum) {
  File file = write(small_model());
  const Parts p = take_apart(file);
  file[p.header.weights_offset + p.model.constants[0]->offset] ^= 1;
  expect_refused(file, TERN_ERR_CHECKSUM, "constant 0");
}

// A constant that shapes follow from: another content is another shape.
TEST(Verifier, ShapeFromConstant) {
  Parts p = take_apart(write(small_model()));
  ASSERT_EQ(p.weights[p.model.constants[0]->offset], 4);
  for (const uint8_t v : {3, 5, 255}) {
    Parts q = take_apart(write(small_model()));
    q.weights[q.model.constants[0]->offset] = v;
    const int64_t content = v;
    q.model.constants[0]->checksum = checksum64(&content, sizeof content);
    expect_refused(put_together(q), kCorrupt, "");
  }
}

// ---- values ----

TEST(Verifier, ValueKind) {
  for (const int k : {6, 7, 255})
    expect_refused([&](Parts& p) { value(p, kNode).kind = (uint8_t)k; }, kCorrupt, "kind");
  // Every kind in the place of every other.
  const Parts base = take_apart(write(small_model()));
  for (size_t i = 0; i < base.model.graphs[0]->values.size(); ++i)
    for (uint8_t k = 0; k <= 5; ++k) {
      Parts p = take_apart(write(small_model()));
      fbs::ValueT& v = *forward(p).values[i];
      if (v.kind == k) continue;
      v.kind = k;
      EXPECT_NE(load(put_together(p)).status, TERN_OK) << i << " as " << (int)k;
    }
}

TEST(Verifier, ValueRefersToNothing) {
  for (const int kind : {kInput, kScalar, kNode})
    expect_refused([&](Parts& p) { value(p, kind).index = 0; }, kCorrupt, "its kind has none");
}

TEST(Verifier, ValueTypeBesidesTensor) {
  for (const int kind : {kParameter, kState, kConstant}) {
    expect_refused([&](Parts& p) { value(p, kind).dtype = TERN_DTYPE_F32; }, kCorrupt, "besides");
    expect_refused([&](Parts& p) { value(p, kind).shape = {4}; }, kCorrupt, "besides");
  }
}

TEST(Verifier, Scalar) {
  expect_refused([](Parts& p) { value(p, kScalar).dtype = TERN_DTYPE_I32; }, kCorrupt, "scalars are i64 of rank 0");
  expect_refused([](Parts& p) { value(p, kScalar).shape = {1}; }, kCorrupt, "scalars are i64 of rank 0");
}

TEST(Verifier, StateTwice) {
  expect_refused([](Parts& p) { forward(p).values.push_back(std::make_unique<fbs::ValueT>(value(p, kState))); },
                 kCorrupt, "appears twice");
}

TEST(Verifier, ClaimedTypeAndShape) {
  expect_refused([](Parts& p) { forward(p).values[(size_t)node(p, "relu").outputs[0]]->dtype = TERN_DTYPE_F16; },
                 kCorrupt, "follows from the inputs");
  expect_refused(
      [](Parts& p) {
        forward(p).values[(size_t)node(p, "relu").outputs[0]]->shape = {2, 5};
      },
      kCorrupt, "follows from the inputs");
  expect_refused([](Parts& p) { forward(p).values[(size_t)node(p, "relu").outputs[0]]->shape = {8}; }, kCorrupt,
                 "follows from the inputs");
  expect_refused([](Parts& p) { value(p, kInput).shape = {2, 4}; }, kCorrupt, "linear");
}

// ---- inputs and outputs ----

TEST(Verifier, Inputs) {
  expect_refused([](Parts& p) { forward(p).inputs.push_back(forward(p).inputs[0]); }, kCorrupt, "input twice");
  expect_refused([](Parts& p) { forward(p).inputs.pop_back(); }, kCorrupt, "does not list");
  expect_refused([](Parts& p) { forward(p).inputs.push_back(node(p, "relu").outputs[0]); }, kCorrupt, "another kind");
}

TEST(Verifier, OutputNames) {
  expect_refused([](Parts& p) { p.model.signatures[0]->output_names.pop_back(); }, kCorrupt, "names 1 outputs");
  expect_refused([](Parts& p) { forward(p).outputs.pop_back(); }, kCorrupt, "names 2 outputs");
}

TEST(Verifier, NoProducer) {
  expect_refused([](Parts& p) { forward(p).values.push_back(std::make_unique<fbs::ValueT>(value(p, kNode))); },
                 kCorrupt, "produced by no node");
  expect_refused(
      [](Parts& p) {
        forward(p).values.push_back(std::make_unique<fbs::ValueT>(value(p, kNode)));
        forward(p).outputs[0] = (int)forward(p).values.size() - 1;
      },
      kCorrupt, "which no earlier node produces");
}

// ---- nodes ----

TEST(Verifier, Order) {
  expect_refused([](Parts& p) { std::swap(forward(p).nodes[0], forward(p).nodes[1]); }, kCorrupt,
                 "no earlier node produces");
  expect_refused([](Parts& p) { std::reverse(forward(p).nodes.begin(), forward(p).nodes.end()); }, kCorrupt, "");
}

TEST(Verifier, Cycle) {
  expect_refused([](Parts& p) { node(p, "relu").inputs[0] = node(p, "relu").outputs[0]; }, kCorrupt,
                 "no earlier node produces");
}

TEST(Verifier, TwoWriters) {
  expect_refused([](Parts& p) { node(p, "relu").outputs[0] = forward(p).nodes[0]->outputs[0]; }, kCorrupt,
                 "has a producer already");
}

TEST(Verifier, OutputTwiceInOneNode) {
  expect_refused([](Parts& p) { node(p, "relu").outputs.push_back(node(p, "relu").outputs[0]); }, kCorrupt,
                 "has 2 outputs");
  ModelDef m;
  m.signatures.resize(1);
  m.signatures[0].name = "f";
  Graph& g = m.signatures[0].graph;
  Node n;
  n.op = find_op("split");
  set_default_attributes(*n.op, &n.attributes);
  n.in = {add_input(g, "x", TERN_DTYPE_F32, {4})};
  std::vector<ValueId> outs;
  emit_node(g, std::move(n), 2, &outs);
  g.outputs = outs;
  m.signatures[0].output_names = {"a", "b"};
  Parts p = take_apart(write(m));
  p.model.graphs[0]->nodes[0]->outputs[1] = p.model.graphs[0]->nodes[0]->outputs[0];
  expect_refused(put_together(p), kCorrupt, "has a producer already");
}

TEST(Verifier, WrittenInputsAndConstants) {
  for (const int kind : {kInput, kScalar, kParameter, kState, kConstant})
    expect_refused(
        [&](Parts& p) {
          int i = 0;
          while (forward(p).values[(size_t)i]->kind != kind) ++i;
          node(p, "relu").outputs[0] = i;
        },
        kCorrupt, "no node may write");
}

TEST(Verifier, Arity) {
  expect_refused([](Parts& p) { node(p, "relu").inputs.clear(); }, kCorrupt, "relu");
  expect_refused([](Parts& p) { node(p, "relu").inputs.assign(3, node(p, "relu").inputs[0]); }, kCorrupt, "relu");
  expect_refused([](Parts& p) { node(p, "linear").inputs.assign(1000, 0); }, kCorrupt, "linear");
  expect_refused([](Parts& p) { node(p, "relu").outputs.clear(); }, kCorrupt, "outputs");
  expect_refused([](Parts& p) { node(p, "relu").subgraphs.push_back(1); }, kCorrupt, "graph 1 is used twice");
}

TEST(Verifier, AbsentInput) {
  expect_refused([](Parts& p) { node(p, "relu").inputs[0] = -1; }, kCorrupt, "input 0 is value -1");
  // takes any number, none optional
  expect_refused([](Parts& p) { node(p, "concat").inputs[1] = -1; }, kCorrupt, "input 1 is value -1");
  Parts p = take_apart(write(small_model()));  // allowed where the operator says so
  node(p, "linear").inputs[2] = -1;
  EXPECT_EQ(load(put_together(p)).status, TERN_OK) << thread_error().message;
}

TEST(Verifier, ErrorNamesTheNode) {
  expect_refused([](Parts& p) { node(p, "relu").inputs[0] = 1000; }, kCorrupt, "relu: input 0 is value 1000");
  EXPECT_STREQ(thread_error().op, "relu");
  EXPECT_STREQ(thread_error().node, "activation");
  EXPECT_GT(thread_error().file_offset, 64u);
  EXPECT_NE(thread_error().file_offset, UINT64_MAX);
}

// ---- attributes ----

TEST(Verifier, UnknownAttribute) {
  expect_refused([](Parts& p) { node(p, "shape").attributes[0]->name = "begin"; }, kCorrupt,
                 "shape has no attribute 'begin'");
  expect_refused([](Parts& p) { node(p, "shape").attributes[0]->name = ""; }, kCorrupt, "shape has no attribute ''");
  expect_refused([](Parts& p) { node(p, "relu").attributes.push_back(attribute("slope", AttrType::number)); }, kCorrupt,
                 "relu has no attribute 'slope'");
}

TEST(Verifier, AttributeTwice) {
  expect_refused(
      [](Parts& p) {
        node(p, "shape").attributes.push_back(std::make_unique<fbs::AttributeT>(*node(p, "shape").attributes[0]));
      },
      kCorrupt, "given twice");
}

TEST(Verifier, AttributeType) {
  for (const int t : {1, 2, 3, 4, 255})
    expect_refused([&](Parts& p) { node(p, "shape").attributes[0]->type = (uint8_t)t; }, kCorrupt, "another type");
}

TEST(Verifier, AttributeRange) {
  for (const int64_t v : {int64_t(9), int64_t(-9), int64_t(1) << 31, INT64_MAX, INT64_MIN})
    expect_refused([&](Parts& p) { node(p, "shape").attributes[0]->integer = v; }, kCorrupt, "allowed is");
}

// Every attribute of every operator: other types, values beyond its range, unknown choices, lists that are too long.
TEST(Verifier, AttributesOfAllOperators) {
  for (const Op* op : all_ops()) {
    if (std::string_view(op->name) == "fused") continue;
    for (int32_t i = 0; i < op->attributes.count; ++i) {
      const AttrField& f = op->attributes.fields[i];
      const auto refused = [&](const std::function<void(fbs::AttributeT&)>& change) {
        Parts p = take_apart(write(small_model()));
        fbs::NodeT& relu = node(p, "relu");
        for (auto& o : p.model.operators)
          if (o->name == op->name) o->name = "relu";  // the two change places
        p.model.operators[relu.op]->name = op->name;
        p.model.operators[relu.op]->version = (uint32_t)op->version;
        for (auto& n : forward(p).nodes)
          if (n.get() != &relu) n->attributes.clear();
        if (op->num_out > 1 || op->num_out == 0) return;  // refused for that already
        relu.attributes.push_back(attribute(f.name, f.type));
        change(*relu.attributes.back());
        // Only the node in question stays, so that the error is its own.
        forward(p).outputs.clear(), p.model.signatures[0]->output_names.clear();
        const fbs::NodeT only = relu;
        forward(p).nodes.clear();
        forward(p).nodes.push_back(std::make_unique<fbs::NodeT>(only));
        forward(p).nodes[0]->inputs.assign((size_t)std::max(op->min_in, 1), 0);
        const Loaded r = load(put_together(p));
        EXPECT_NE(r.status, TERN_OK) << op->name << " " << f.name;
        EXPECT_NE(r.message.find(f.name), std::string::npos) << op->name << " " << f.name << ": " << r.message;
      };
      for (const AttrType t : {AttrType::integer, AttrType::number, AttrType::integers, AttrType::choice})
        if (t != f.type) refused([&](fbs::AttributeT& a) { a.type = (uint8_t)t, a.choice = "none"; });
      if (f.type == AttrType::integer) {
        if (f.max < 9e18)
          refused([&](fbs::AttributeT& a) { a.integer = f.max < 1e15 ? (int64_t)f.max + 1 : INT64_MAX; });
        if (f.min > -9e18)
          refused([&](fbs::AttributeT& a) { a.integer = f.min > -1e15 ? (int64_t)f.min - 1 : INT64_MIN; });
      } else if (f.type == AttrType::number) {
        refused([&](fbs::AttributeT& a) { a.number = std::numeric_limits<double>::quiet_NaN(); });
        if (f.max < std::numeric_limits<double>::infinity())
          refused([&](fbs::AttributeT& a) { a.number = std::nextafter(f.max, HUGE_VAL); });
        if (f.min > -std::numeric_limits<double>::infinity())
          refused([&](fbs::AttributeT& a) { a.number = std::nextafter(f.min, -HUGE_VAL); });
      } else if (f.type == AttrType::choice) {
        for (const char* c : {"", "NONE", "no such choice"}) refused([&](fbs::AttributeT& a) { a.choice = c; });
      } else {
        refused([&](fbs::AttributeT& a) { a.integers.assign(9, (int64_t)std::max(f.min, -1e9)); });
        refused([&](fbs::AttributeT& a) { a.integers.assign(100000, 1); });
        if (f.min > -9e18)
          refused([&](fbs::AttributeT& a) { a.integers = {f.min > -1e15 ? (int64_t)f.min - 1 : INT64_MIN}; });
      }
    }
  }
}

// ---- states ----

bool has_state_write() { return find_op("state_write") != nullptr; }
#define NEEDS_STATE_WRITE() \
  if (!has_state_write()) GTEST_SKIP() << "SKIPPED: this build has no operator 'state_write'"

TEST(Verifier, StateReadAfterWrite) {
  NEEDS_STATE_WRITE();
  expect_refused(
      [](Parts& p) {  // the mean of the old content, taken after the write
        auto& nodes = forward(p).nodes;
        std::swap(nodes[nodes.size() - 1], nodes[nodes.size() - 2]);
      },
      kCorrupt, "overwrites");
  expect_refused([](Parts& p) { forward(p).outputs[0] = node(p, "state_write").inputs[0]; }, kCorrupt, "overwrites");
  // A second write of the same old content.
  expect_refused(
      [](Parts& p) {
        const int out = node(p, "state_write").outputs[0];
        forward(p).values.push_back(std::make_unique<fbs::ValueT>(*forward(p).values[(size_t)out]));
        forward(p).nodes.push_back(std::make_unique<fbs::NodeT>(node(p, "state_write")));
        forward(p).nodes.back()->outputs[0] = (int)forward(p).values.size() - 1;
      },
      kCorrupt, "overwrites");
}

// A state's new content has its encoding: no output, and nothing that plain memory is needed for.
TEST(Verifier, EncodedStates) {
  NEEDS_STATE_WRITE();
  ModelDef m;
  m.states.push_back({"s", TERN_DTYPE_F32, Shape{9, 40}, Encoding::panel_int8});
  m.signatures.resize(1);
  m.signatures[0].name = "f";
  Graph& g = m.signatures[0].graph;
  Value s;
  s.dtype = TERN_DTYPE_F32, s.encoding = Encoding::panel_int8, s.kind = ValueKind::state, s.shape = {9, 40},
  s.index = 0;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 40}), rows = add_input(g, "rows", TERN_DTYPE_F32, {9, 40});
  const ValueId state = add_value(g, std::move(s)), y = emit(g, "linear", {x, state});
  const ValueId fresh = emit(g, "state_write", {state, rows}), z = emit(g, "linear", {x, fresh});
  g.outputs = {y, z};
  m.signatures[0].output_names = {"y", "z"};
  Parts p = take_apart(write(m));
  EXPECT_EQ(load(put_together(p)).status, TERN_OK) << thread_error().message;
  p.model.graphs[0]->outputs[1] = fresh;
  expect_refused(put_together(p), kCorrupt, "outputs are plain tensors");
  p.model.graphs[0]->outputs[1] = z;
  p.model.states[0]->encoding = "";
  EXPECT_EQ(load(put_together(p)).status, TERN_OK) << thread_error().message;
  p.model.states[0]->encoding = "row_int8";
  EXPECT_EQ(load(put_together(p)).status, TERN_OK) << thread_error().message;
}

// Through a view, too.
TEST(Verifier, StateViewReadAfterWrite) {
  NEEDS_STATE_WRITE();
  ModelDef m;
  m.states.push_back({"s", TERN_DTYPE_F32, Shape{4}});
  m.signatures.resize(1);
  m.signatures[0].name = "f";
  Graph& g = m.signatures[0].graph;
  Value s;
  s.dtype = TERN_DTYPE_F32, s.kind = ValueKind::state, s.shape = {4}, s.index = 0;
  const ValueId state = add_value(g, std::move(s)), x = add_input(g, "x", TERN_DTYPE_F32, {4});
  const ValueId view = reshape(g, state, {2, 2});
  reshape(g, view, {4});
  const ValueId read = emit(g, "relu", {view});
  emit(g, "state_write", {state, x});
  g.outputs = {read};
  m.signatures[0].output_names = {"y"};
  Parts p = take_apart(write(m));
  EXPECT_EQ(load(put_together(p)).status, TERN_OK) << thread_error().message;
  auto& nodes = p.model.graphs[0]->nodes;
  std::swap(nodes[2], nodes[3]);
  expect_refused(put_together(p), kCorrupt, "overwrites");
  std::swap(nodes[2], nodes[3]);
  for (const int32_t same : {nodes[3]->inputs[0], nodes[1]->outputs[0]}) {
    nodes[3]->inputs[1] = same;
    expect_refused(put_together(p), kCorrupt, "is the state itself");
  }
}

TEST(Verifier, WriteToNoState) {
  NEEDS_STATE_WRITE();
  expect_refused([](Parts& p) { node(p, "state_write").inputs[0] = node(p, "state_write").inputs[1]; }, kCorrupt, "");
  expect_refused(
      [](Parts& p) {
        for (size_t i = 0; i < forward(p).values.size(); ++i)
          if (forward(p).values[i]->name == "w") node(p, "state_write").inputs[0] = (int)i;
      },
      kCorrupt, "");
}

// Each of its first inputs is a state of its own, which nothing reads behind it.
TEST(Verifier, SeveralStatesOfOneUpdate) {
  if (!find_op("momentum_update")) GTEST_SKIP() << "SKIPPED: this build has no operator 'momentum_update'";
  ModelDef m;
  m.signatures.resize(1);
  m.signatures[0].name = "f";
  Graph& g = m.signatures[0].graph;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {4}), rate = add_input(g, "rate", TERN_DTYPE_F32, {});
  ValueId states[2];
  for (int32_t k = 0; k < 2; ++k) {
    m.states.push_back({k ? "b" : "p", TERN_DTYPE_F32, Shape{4}});
    Value s;
    s.dtype = TERN_DTYPE_F32, s.kind = ValueKind::state, s.shape = {4}, s.index = k;
    states[k] = add_value(g, std::move(s));
  }
  const ValueId read = emit(g, "relu", {states[1]});
  emit(g, "momentum_update", {states[0], states[1], x, rate});
  g.outputs = {read};
  m.signatures[0].output_names = {"y"};
  Parts p = take_apart(write(m));
  EXPECT_EQ(load(put_together(p)).status, TERN_OK) << thread_error().message;
  auto& nodes = p.model.graphs[0]->nodes;
  std::swap(nodes[0], nodes[1]);
  expect_refused(put_together(p), kCorrupt, "overwrites");
  std::swap(nodes[0], nodes[1]);
  nodes[1]->inputs[1] = x;
  expect_refused(put_together(p), kCorrupt, "input 1 ('x') is no state");
  nodes[1]->inputs[1] = states[0];
  expect_refused(put_together(p), kCorrupt, "is the state itself");
  nodes[1]->inputs[1] = states[1];
  for (const ValueId state : states) {
    nodes[1]->inputs[2] = state;
    expect_refused(put_together(p), kCorrupt, "input 2 is the state itself");
  }
}

TEST(Verifier, TwoWritesInARow) {
  NEEDS_STATE_WRITE();
  Parts p = take_apart(write(small_model()));
  const int out = node(p, "state_write").outputs[0];
  forward(p).values.push_back(std::make_unique<fbs::ValueT>(*forward(p).values[(size_t)out]));
  forward(p).nodes.push_back(std::make_unique<fbs::NodeT>(node(p, "state_write")));
  forward(p).nodes.back()->inputs[0] = out;
  forward(p).nodes.back()->outputs[0] = (int)forward(p).values.size() - 1;
  EXPECT_EQ(load(put_together(p)).status, TERN_OK) << thread_error().message;
}

TEST(Verifier, StateInSubgraph) {
  if (!has_control()) GTEST_SKIP() << "SKIPPED: this build has no operator 'if'";
  Parts p = take_apart(write(nested_model(2)));
  p.model.states.push_back(std::make_unique<fbs::StateT>());
  p.model.states[0]->name = "s", p.model.states[0]->dtype = TERN_DTYPE_F32, p.model.states[0]->shape = {3};
  auto v = std::make_unique<fbs::ValueT>();
  v->kind = kState, v->index = 0;
  p.model.graphs[1]->values.push_back(std::move(v));
  expect_refused(put_together(p), kCorrupt, "is used in a sub-graph");
}

// ---- states in pages ----

ModelDef paged_model(Encoding encoding = Encoding::plain) {
  ModelDef m;
  m.states.push_back({"s", TERN_DTYPE_F32, Shape{100, 2, 4}});
  m.states.push_back({"t", TERN_DTYPE_F32, Shape{100, 1, 3}});
  for (StateDecl& s : m.states) s.paged = true, s.encoding = encoding;
  m.signatures.resize(1);
  Signature& f = m.signatures[0];
  f.name = "f";
  Graph& g = f.graph;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {3, 2, 4}),
                sequence = add_input(g, "sequence", TERN_DTYPE_I32, {3});
  const ValueId position = add_input(g, "position", TERN_DTYPE_I64, {3});
  Value s;
  s.dtype = TERN_DTYPE_F32, s.kind = ValueKind::state, s.shape = {100, 2, 4}, s.index = 0, s.paged = true;
  s.encoding = encoding;
  const ValueId k = emit(g, "page_write", {add_value(g, std::move(s)), x, sequence, position});
  const ValueId y = emit(g, "relu", {emit(g, "paged_attention", {x, k, k, sequence, position})});
  EXPECT_EQ(g.status, TERN_OK) << thread_error().message;
  g.outputs = {y};
  f.output_names = {"y"};
  f.symbols.push_back({"rows", 1, 64, 3, 1});
  for (int32_t i = 0; i < 3; ++i) f.symbolic_dims.push_back({i, 0, 0});
  f.sequence_input = 1, f.position_input = 2, f.capacity = 100;
  return m;
}

TEST(Verifier, StatesInPages) {
  const Loaded whole = load(write(paged_model()));
  ASSERT_EQ(whole.status, TERN_OK) << thread_error().message;
  EXPECT_TRUE(whole.model.states[0].paged && whole.model.states[1].paged);
  EXPECT_EQ(whole.model.signatures[0].sequence_input, 1);
  for (int e = 0; e < kNumEncodings; ++e) {
    const Loaded encoded = load(write(paged_model((Encoding)e)));
    ASSERT_EQ(encoded.status, TERN_OK) << thread_error().message;
    EXPECT_EQ(encoded.model.states[0].encoding, (Encoding)e);
  }
  const auto refused = [](const std::function<void(Parts&)>& change, const char* text) {
    Parts p = take_apart(write(paged_model()));
    change(p);
    const Loaded r = load(put_together(p));
    EXPECT_NE(r.status, TERN_OK) << text;
    EXPECT_NE(r.message.find(text), std::string::npos) << "got: " << r.message << "\nwanted: " << text;
  };
  refused([](Parts& p) { p.model.states[0]->page_positions = 32; }, "has pages of 32 positions");
  refused([](Parts& p) { p.model.states[0]->page_positions = -64; }, "has pages of -64 positions");
  refused([](Parts& p) { p.model.states[1]->shape = {100, 3}; }, "are [positions, heads, dim]");
  refused([](Parts& p) { p.model.states[1]->shape = {99, 1, 3}; }, "all of as many positions");
  // Only operators that say so take pages, and nobody gets them as a result.
  refused([](Parts& p) { node(p, "relu").inputs[0] = node(p, "page_write").outputs[0]; }, "a tensor is needed");
  refused([](Parts& p) { forward(p).outputs[0] = node(p, "page_write").outputs[0]; }, "is a state in pages");
  // The inputs that tell of rows.
  const auto signature = [](Parts& p) -> fbs::SignatureT& { return *p.model.signatures[0]; };
  for (const int32_t input : {0, 2, 3, -2})
    refused([&](Parts& p) { signature(p).sequence_input = input; }, "the sequence and the position of each row");
  for (const int32_t input : {0, 1, -1})
    refused([&](Parts& p) { signature(p).position_input = input; }, "the sequence and the position of each row");
  refused([&](Parts& p) { signature(p).advance = 1; }, "the sequence and the position of each row");
  refused([&](Parts& p) { signature(p).sequence_input = -1; }, "no run-time scalar");
}

// ---- sub-graphs ----

TEST(Verifier, GraphUse) {
  expect_refused([](Parts& p) { p.model.signatures[1]->graph = 0; }, kCorrupt, "graph 0 is used twice");
  expect_refused([](Parts& p) { p.model.signatures.pop_back(); }, kCorrupt, "used by no signature");
  expect_refused([](Parts& p) { p.model.graphs.pop_back(); }, kCorrupt, "has graph 1 of 1");
}

TEST(Verifier, SubgraphCycles) {
  if (!has_control()) GTEST_SKIP() << "SKIPPED: this build has no operator 'if'";
  const auto refused = [](const std::function<void(Parts&)>& change, const char* text) {
    Parts p = take_apart(write(nested_model(3)));
    change(p);
    expect_refused(put_together(p), kCorrupt, text);
  };
  const auto sub = [](Parts& p, size_t graph) -> std::vector<uint32_t>& {
    return p.model.graphs[graph]->nodes[0]->subgraphs;
  };
  refused([&](Parts& p) { sub(p, 0)[0] = 0; }, "does not stand behind it");  // itself
  refused([&](Parts& p) { sub(p, 1)[0] = 0; }, "does not stand behind it");  // each other
  refused([&](Parts& p) { sub(p, 1)[0] = 1; }, "does not stand behind it");
  refused([&](Parts& p) { sub(p, 0)[0] = sub(p, 0)[1]; }, "is used twice");
  refused([&](Parts& p) { sub(p, 1)[0] = 1000; }, "does not stand behind it");
  refused([&](Parts& p) { sub(p, 0).pop_back(); }, "");
  refused([&](Parts& p) { sub(p, 0).clear(); }, "");
}

// What no writer makes: a result that is a weight in the order of its encoding, the caller's own input, another result.
TEST(Verifier, OutputsAreResultsOfNodes) {
  const char* const kinds[] = {"is an input", "is a run-time scalar", "is a parameter", "is a state", "is a constant"};
  const Parts base = take_apart(write(small_model()));
  size_t seen[5] = {};
  for (size_t v = 0; v < base.model.graphs[0]->values.size(); ++v) {
    const int kind = base.model.graphs[0]->values[v]->kind;
    if (kind == kNode) continue;
    ++seen[kind];
    // The state is overwritten when the outputs are read.
    expect_refused([&](Parts& p) { forward(p).outputs[0] = (int32_t)v; }, kCorrupt,
                   kind == kState && find_op("state_write") ? "overwrites" : kinds[kind]);
  }
  for (const size_t n : seen) EXPECT_GT(n, 0u);
  expect_refused([](Parts& p) { forward(p).outputs[1] = forward(p).outputs[0]; }, kCorrupt, "is an output already");
}

TEST(Verifier, OutputsOfSubgraphsAreResultsOfNodes) {
  if (!has_control()) GTEST_SKIP() << "SKIPPED: this build has no operator 'if'";
  Parts p = take_apart(write(nested_model(2)));
  fbs::GraphT& branch = *p.model.graphs[2];
  branch.outputs[0] = branch.inputs[1];
  expect_refused(put_together(p), kCorrupt, "is an input; outputs are results of nodes");
}

// Only parameters are encoded, and only operators that say so take them.
TEST(Verifier, EncodedValues) {
  expect_refused(
      [](Parts& p) {
        fbs::TensorT& k = *p.model.constants[0];
        k.dtype = TERN_DTYPE_F32, k.shape = {8, 4}, k.encoding = "panel32", k.bytes = 128;
        k.offset = (p.weights.size() + 63) / 64 * 64;
        p.weights.resize(k.offset + 128);
      },
      kCorrupt, "is encoded as panel32; only parameters are");
  for (const char* encoded : {"panels", "blocks"}) {
    const Parts base = take_apart(write(small_model()));
    int32_t value = -1;
    for (size_t v = 0; v < base.model.graphs[0]->values.size(); ++v)
      if (base.model.graphs[0]->values[v]->kind == kParameter &&
          base.model.parameters[(size_t)base.model.graphs[0]->values[v]->index]->name == encoded)
        value = (int32_t)v;
    ASSERT_GE(value, 0);
    for (const char* op : {"relu", "reduce_mean", "concat", "reshape", "shape"})
      expect_refused([&](Parts& p) { node(p, op).inputs[0] = value; }, kCorrupt, "a plain tensor is needed");
  }
}

TEST(Verifier, SubgraphSignatures) {
  if (!has_control()) GTEST_SKIP() << "SKIPPED: this build has no operator 'if'";
  const auto refused = [](const std::function<void(fbs::GraphT&)>& change) {
    Parts p = take_apart(write(nested_model(2)));
    change(*p.model.graphs[2]);  // the second branch: its inputs as they are
    EXPECT_NE(load(put_together(p)).status, TERN_OK);
  };
  refused([](fbs::GraphT& g) { g.values[1]->shape = {4}; });
  refused([](fbs::GraphT& g) { g.values[1]->dtype = TERN_DTYPE_F16; });
  refused([](fbs::GraphT& g) { g.outputs.clear(); });
  refused([](fbs::GraphT& g) { g.outputs.push_back(1); });
  refused([](fbs::GraphT& g) { g.outputs[0] = 0; });
  refused([](fbs::GraphT& g) { g.inputs.pop_back(), g.values.pop_back(), g.outputs.clear(); });
}

TEST(Verifier, Depth) {
  if (!has_control()) GTEST_SKIP() << "SKIPPED: this build has no operator 'if'";
  const File file = write(nested_model(16));
  EXPECT_EQ(load(file).status, TERN_OK);
  tern_limits limits = TERN_LIMITS_INIT;
  limits.max_depth = 15;
  expect_refused(file, TERN_ERR_LIMIT, "max_depth", &limits);
  File unwritten;
  EXPECT_EQ(write_model_to_memory(nested_model(17), &unwritten), TERN_ERR_LIMIT);
}

// ---- signatures ----

TEST(Verifier, Symbols) {
  const auto refused = [](const std::function<void(fbs::SymbolT&)>& change) {
    expect_refused([&](Parts& p) { change(*p.model.signatures[0]->symbols[0]); }, kCorrupt, "symbol 0");
  };
  refused([](fbs::SymbolT& s) { s.min = -1; });
  refused([](fbs::SymbolT& s) { s.min = 3; });
  refused([](fbs::SymbolT& s) { s.max = 1; });
  refused([](fbs::SymbolT& s) { s.multiple = 0; });
  refused([](fbs::SymbolT& s) { s.multiple = -2; });
  refused([](fbs::SymbolT& s) { s.multiple = 3; });
  refused([](fbs::SymbolT& s) { s.multiple = INT64_MIN; });
  refused([](fbs::SymbolT& s) { s.hint = INT64_MIN; });
}

TEST(Verifier, SymbolicDims) {
  const auto refused = [](fbs::SymbolicDim d, const char* text) {
    expect_refused([&](Parts& p) { p.model.signatures[0]->symbolic_dims[0] = d; }, kCorrupt, text);
  };
  refused({0, 1, 0}, "has 3 there");
  refused({1, 0, 0}, "has no axis 0");
  expect_refused(
      [](Parts& p) {
        p.model.signatures[0]->symbolic_dims.push_back({0, 0, 0});
      },
      kCorrupt, "a symbol twice");
  expect_refused([](Parts& p) { p.model.signatures[0]->symbols[0]->hint = 3; }, kCorrupt, "the hint of 'batch' is 3");
}

TEST(Verifier, Position) {
  expect_refused([](Parts& p) { p.model.signatures[0]->position_input = 0; }, kCorrupt, "no run-time scalar");
  expect_refused([](Parts& p) { p.model.signatures[0]->advance = -1; }, kCorrupt, "moves on by");
  expect_refused([](Parts& p) { p.model.signatures[0]->advance = 17, p.model.signatures[0]->capacity = 16; }, kCorrupt,
                 "moves on by");
  expect_refused([](Parts& p) { p.model.signatures[0]->capacity = INT64_MIN; }, kCorrupt, "moves on by");
}

}  // namespace
}  // namespace tern::test
