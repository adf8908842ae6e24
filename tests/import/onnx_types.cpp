// SPDX-License-Identifier: Apache-2.0
// Types and numbers where a lowering may go wrong unseen: what is rounded, what cancels, what is summed in integers.
// The right values are those of NumPy in f64 and of ONNX Runtime.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "evaluate.h"
#include "import/onnx.h"
#include "onnx_build.h"

using namespace tern;
using namespace tern::test;

namespace {

using Numbers = std::vector<double>;
constexpr double kInf = std::numeric_limits<double>::infinity();

TensorData tensor_of(DType dtype, const Shape& shape, const Numbers& numbers) {
  TensorData t = make_tensor(dtype, shape);
  for (int64_t i = 0; i < t.elements(); ++i)
    store_element(dtype, const_cast<void*>(t.data.bytes), i, numbers[(size_t)i % numbers.size()]);
  return t;
}

int onnx_type(DType d) {
  for (int type = 1; type <= 16; ++type)
    if (onnx_dtype(type) == d) return type;
  return 0;
}

// A model under construction: inputs and weights by name, nodes as they come, one output `y`.
struct Model {
  onnx::ModelProto proto;
  std::vector<TensorData> inputs;
  explicit Model(int opset = 21) : proto(empty_model(opset)) { graph()->add_output()->set_name("y"); }
  onnx::GraphProto* graph() { return proto.mutable_graph(); }

  Model& input(const char* name, DType dtype, const Shape& shape, const Numbers& numbers) {
    auto* v = value(graph()->add_input(), name, {}, onnx_type(dtype));
    for (const int64_t d : shape)
      v->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(d);
    inputs.push_back(tensor_of(dtype, shape, numbers));
    return *this;
  }
  Model& weight(const char* name, DType dtype, const Shape& shape, const Numbers& numbers) {
    const TensorData content = tensor_of(dtype, shape, numbers);
    auto* t = graph()->add_initializer();
    t->set_name(name);
    t->set_data_type(onnx_type(dtype));
    for (const int64_t d : shape) t->add_dims(d);
    t->set_raw_data(content.data.bytes, content.bytes());
    return *this;
  }
  onnx::NodeProto* add(const char* type, std::initializer_list<const char*> in, const char* out = "y") {
    return node(graph(), type, in, {out});
  }
  Model& cast(const char* in, const char* out, DType to) {
    integer(add("Cast", {in}, out), "to", onnx_type(to));
    return *this;
  }
  // The output, empty on failure.
  TensorData run() {
    const std::string s = bytes_of(proto);
    ModelDef model;
    std::vector<TensorData> out;
    EXPECT_EQ(import_onnx({(const uint8_t*)s.data(), s.size()}, ImportOptions{}, &model), TERN_OK)
        << thread_error().message;
    if (model.signatures.empty()) return {};
    EXPECT_EQ(evaluate_graph(model, model.signatures[0].graph, inputs, &out), TERN_OK) << thread_error().message;
    return out.empty() ? TensorData{} : out[0];
  }
};

void text(onnx::NodeProto* n, const char* name, const char* value) {
  auto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::STRING);
  a->set_s(value);
}

void expect(const TensorData& y, DType dtype, const Shape& shape, const Numbers& want, double tolerance = 0) {
  ASSERT_EQ(y.dtype, dtype);
  ASSERT_EQ(y.shape, shape) << to_string(y.shape);
  for (int64_t i = 0; i < y.elements(); ++i) {
    const double v = y.load(i), w = want[(size_t)i % want.size()];
    EXPECT_TRUE(v == w || std::fabs(v - w) <= tolerance || (std::isnan(v) && std::isnan(w)))
        << i << ": " << v << " instead of " << w;
  }
}

}  // namespace

// A constant that goes through a narrower type is rounded there, whoever reads it.
TEST(OnnxTypes, CastsOfConstantsRound) {
  const DType f32 = TERN_DTYPE_F32, f16 = TERN_DTYPE_F16, bf16 = TERN_DTYPE_BF16, f64 = TERN_DTYPE_F64;
  const struct {
    DType from, through;
    Numbers numbers, want;
  } cases[] = {
      {f32, f16, {0.001, 1e5, 0.1, -1e-9}, {0.0010004043579101562, kInf, 0.0999755859375, 0}},
      {f32, bf16, {0.001, 1e5, 0.1, -3}, {0.00099945068359375, 99840, 0.10009765625, -3}},
      {f64, f32, {0.1, 16777217, 1e300, -1}, {(double)0.1f, 16777216, kInf, -1}},
      {f64, f16, {0.1, 2049, 1.00048828125, -1}, {0.0999755859375, 2048, 1, -1}},
      // rounded once
      {f64, f16, {1.0004882812500004, 2049.0000001, -1.0004882812499996, 1}, {1.0009765625, 2050, -1, 1}},
      {f16, bf16, {1.0009765625, 257, 0.5, -1}, {1, 256, 0.5, -1}},
      {f32, TERN_DTYPE_I8, {-3.7, 100.9, 0.2, 3}, {-3, 100, 0, 3}},
      {f32, TERN_DTYPE_I32, {-3.7, 1e6, 0.2, 3}, {-3, 1e6, 0, 3}},
      {f16, f32, {0.1, 2, 3, 4}, {0.0999755859375, 2, 3, 4}},
  };
  for (const auto& c : cases) {
    Model added;
    added.input("x", f32, {4}, {0})
        .weight("c", c.from, {4}, c.numbers)
        .cast("c", "h", c.through)
        .cast("h", "f", f32)
        .add("Add", {"x", "f"});
    expect(added.run(), f32, {4}, c.want);
    if (std::isinf(c.want[1]) || std::isinf(c.want[2])) continue;
    const double sum = (double)(float)(c.want[0] + c.want[1] + c.want[2] + c.want[3]),
                 tolerance = std::fabs(sum) * 1e-6;
    for (const bool swapped : {false, true}) {  // the weight of a product, as it is or transposed
      Model product;
      product.input("x", f32, {1, 4}, {1}).weight("c", c.from, swapped ? Shape{1, 4} : Shape{4, 1}, c.numbers);
      product.cast("c", "h", c.through).cast("h", "f", f32);
      if (swapped) ints(product.add("Transpose", {"f"}, "w"), "perm", {1, 0});
      product.add("MatMul", {"x", swapped ? "w" : "f"});
      expect(product.run(), f32, {1, 1}, {sum}, tolerance);
    }
    Model conv;
    conv.input("x", f32, {1, 4, 1, 1}, {1})
        .weight("c", c.from, {1, 4, 1, 1}, c.numbers)
        .cast("c", "h", c.through)
        .cast("h", "f", f32)
        .add("Conv", {"x", "f"});
    expect(conv.run(), f32, {1, 1, 1, 1}, {sum}, tolerance);
  }
}

TEST(OnnxTypes, EinsumKeepsTheOrderOfItsDots) {
  const auto model_of = [](const char* equation, const Shape& a, const Shape& b) {
    Model m;
    m.input("a", TERN_DTYPE_F32, a, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}).input("b", TERN_DTYPE_F32, b, {1});
    text(m.add("Einsum", {"a", "b"}), "equation", equation);
    return m;
  };
  // The sums of rows: in the order of a's dims.
  expect(model_of("...ij,...jk", {2, 3, 1, 2}, {2, 3, 2, 1}).run(), TERN_DTYPE_F32, {2, 3, 1, 1},
         {3, 7, 11, 15, 19, 23});
  expect(model_of("...ij,jk", {2, 3, 1, 2}, {2, 2}).run(), TERN_DTYPE_F32, {2, 3, 1, 2},
         {3, 3, 7, 7, 11, 11, 15, 15, 19, 19, 23, 23});
  // An axis of one stretches; capital letters come before small ones; a letter that stands twice is summed.
  expect(model_of("...i,...i->...", {1, 2, 2}, {3, 2, 2}).run(), TERN_DTYPE_F32, {3, 2}, {3, 7});
  expect(model_of("bA,c", {2, 3}, {1}).run(), TERN_DTYPE_F32, {3, 2, 1}, {1, 4, 2, 5, 3, 6});
  expect(model_of("...ii,...", {2, 2, 2}, {2}).run(), TERN_DTYPE_F32, {2}, {5, 13});
  Model three;
  three.input("a", TERN_DTYPE_F32, {2, 2}, {1, 2, 3, 4})
      .input("b", TERN_DTYPE_F32, {2, 3}, {1, 0, 2})
      .input("c", TERN_DTYPE_F32, {3}, {1, 10, 100});
  text(three.add("Einsum", {"a", "b", "c"}), "equation", "ij,jk,k->ik");
  expect(three.run(), TERN_DTYPE_F32, {2, 3}, {3, 0, 600, 7, 0, 1400});
}

// Equal values have no variance, wherever they lie, and their mean is no approximation.
TEST(OnnxTypes, NormalisationsOfConstants) {
  for (const DType dtype : {TERN_DTYPE_F32, TERN_DTYPE_F16, TERN_DTYPE_BF16}) {
    const Numbers far = {dtype == TERN_DTYPE_F32 ? (double)1234.567f : 1232};
    Model instance;
    instance.input("x", dtype, {1, 2, 5, 7}, far).weight("s", dtype, {2}, {3}).weight("b", dtype, {2}, {0.5, -2});
    instance.add("InstanceNormalization", {"x", "s", "b"});
    Numbers want(70, 0.5);
    std::fill(want.begin() + 35, want.end(), -2);
    expect(instance.run(), dtype, {1, 2, 5, 7}, want);
    Model mean_variance;
    mean_variance.input("x", dtype, {1, 2, 5, 7}, far).add("MeanVarianceNormalization", {"x"});
    expect(mean_variance.run(), dtype, {1, 2, 5, 7}, {0});
    Model batch;
    batch.input("x", dtype, {1, 2, 5, 7}, far)
        .weight("s", dtype, {2}, {3})
        .weight("b", dtype, {2}, {0.5, -2})
        .weight("m", dtype, {2}, far)
        .weight("v", dtype, {2}, {0});
    batch.add("BatchNormalization", {"x", "s", "b", "m", "v"});
    expect(batch.run(), dtype, {1, 2, 5, 7}, want);
  }
}

// Small differences of large numbers.
TEST(OnnxTypes, NormalisationsFarFromZero) {
  Model m;
  m.input("x", TERN_DTYPE_F32, {1, 1, 2, 2}, {16384.0, 16384.5, 16383.5, 16384.0})
      .add("MeanVarianceNormalization", {"x"});
  expect(m.run(), TERN_DTYPE_F32, {1, 1, 2, 2}, {0, std::sqrt(2), -std::sqrt(2), 0}, 1e-6);
}

TEST(OnnxTypes, NormsOfZeroVectors) {
  for (const int64_t p : {1, 2}) {
    Model m;
    m.input("x", TERN_DTYPE_F32, {3, 2}, {3, 4, 0, 0, 0, -1e-15});
    auto* n = m.add("LpNormalization", {"x"});
    integer(n, "p", p);
    integer(n, "axis", 1);
    expect(m.run(), TERN_DTYPE_F32, {3, 2}, {3.0 / (p == 1 ? 7 : 5), 4.0 / (p == 1 ? 7 : 5), 0, 0, 0, -1}, 1e-6);
  }
}

// Steps between which a half would overflow or be rounded again.
TEST(OnnxTypes, HalvesAreRoundedOnce) {
  Model length;
  length.input("x", TERN_DTYPE_F16, {2, 2}, {300, 400, 30000, 40000}).weight("axes", TERN_DTYPE_I64, {1}, {1});
  length.add("ReduceL2", {"x", "axes"});
  expect(length.run(), TERN_DTYPE_F16, {2, 1}, {500, 49984});  // 50000 is no f16
  Model gemm;
  gemm.input("a", TERN_DTYPE_F16, {1, 2}, {2048, 1})
      .weight("b", TERN_DTYPE_F16, {2, 1}, {1, 1})
      .weight("c", TERN_DTYPE_F16, {1}, {1});
  gemm.add("Gemm", {"a", "b", "c"});
  expect(gemm.run(), TERN_DTYPE_F16, {1, 1}, {2050});  // 2049 alone would become 2048
  // Windows and the whole picture: squares of these are no f16, nor is the sum of the losses.
  Model pool;
  pool.input("x", TERN_DTYPE_F16, {1, 1, 1, 3}, {300, 400, 0});
  ints(pool.add("LpPool", {"x"}), "kernel_shape", {1, 2});
  expect(pool.run(), TERN_DTYPE_F16, {1, 1, 1, 2}, {500, 400});
  Model global;
  global.input("x", TERN_DTYPE_F16, {1, 1, 1, 2}, {300, 400}).add("GlobalLpPool", {"x"});
  expect(global.run(), TERN_DTYPE_F16, {1, 1, 1, 1}, {500});
  Model loss;
  loss.input("x", TERN_DTYPE_F16, {4, 2}, {-30000, 1, -40000, 1, -20000, 1, -30000, 1})
      .input("t", TERN_DTYPE_I64, {4}, {0})
      .weight("w", TERN_DTYPE_F16, {2}, {2, 1});
  loss.add("NegativeLogLikelihoodLoss", {"x", "t", "w"});
  expect(loss.run(), TERN_DTYPE_F16, {}, {30000});
}

// No part of a turn is left where the sine is zero.
TEST(OnnxTypes, TransformsAtQuartersOfATurn) {
  Model m(19);
  m.input("x", TERN_DTYPE_F32, {1, 4, 1}, {1, 2, 4, 8});
  integer(m.add("DFT", {"x"}), "axis", 1);
  expect(m.run(), TERN_DTYPE_F32, {1, 4, 2}, {15, 0, -3, 6, -5, 0, -3, -6});
}

// What is made of several steps takes none of them in f32.
TEST(OnnxTypes, DoublesStayDoubles) {
  constexpr DType kF64 = TERN_DTYPE_F64;
  const Numbers x = {0.1, 0.7, -0.3, 1.9, -1.1, 0.4}, scale = {0.1, 1.1, 1.0 / 3},
                four = {1.0 / 3, 2.0 / 3, -1.0 / 7, 5.0 / 7};
  const auto number = [](onnx::NodeProto* n, const char* name, float value) {
    auto* a = n->add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::FLOAT);
    a->set_f(value);
  };
  const struct {
    const char* attribute;
    float value;
    Numbers want;
  } attentions[] = {
      {"", 0, {0.006317740055466651, 0.6993682259944533, -0.08024975284574755, 0.7080249752845748}},
      {"scale", 0.3f, {0.0559575491763706, 0.6944042450823629, 0.004672210960682428, 0.6995327789039317}},
      {"softcap", 0.5f, {0.03454089888404987, 0.6965459101115951, 0.005921972563054063, 0.6994078027436946}},
  };
  for (const auto& a : attentions) {
    SCOPED_TRACE(a.attribute);
    Model m(23);
    m.input("q", kF64, {1, 1, 2, 2}, x)
        .input("k", kF64, {1, 1, 2, 2}, {0.3, -0.2, 0.9, 1.3})
        .input("v", kF64, {1, 1, 2, 2}, four);
    auto* n = m.add("Attention", {"q", "k", "v"});
    if (*a.attribute) number(n, a.attribute, a.value);
    expect(m.run(), kF64, {1, 1, 2, 2}, a.want, 1e-15);
  }
  const std::pair<const char*, Numbers> norms[] = {
      {"LayerNormalization",
       {-0.01622166187362846, 1.4275062448793048, -0.37850544371799744, 0.12247407889292, -1.34721486782212, 0}},
      {"RMSNormalization",
       {0.022548807572617763, 1.7362581830915673, -0.22548807572617757, 0.1474681557036915, -0.9391393073761409,
        0.10348642505522213}},
  };
  for (const auto& [type, want] : norms) {
    SCOPED_TRACE(type);
    Model m(23);
    m.input("x", kF64, {2, 3}, x).weight("s", kF64, {3}, scale).add(type, {"x", "s"});
    expect(m.run(), kF64, {2, 3}, want, 2e-15);
  }
  Model softmax;
  softmax.input("x", kF64, {2, 3}, x).add("LogSoftmax", {"x"});
  expect(softmax.run(), kF64, {2, 3},
         {-1.2506003020246401, -0.6506003020246401, -1.6506003020246403, -0.24131129665715703, -3.241311296657157,
          -1.7413112966571571},
         2e-15);
  Model neighbours;
  auto* lrn = neighbours.input("x", kF64, {1, 6, 1, 1}, x).add("LRN", {"x"});
  integer(lrn, "size", 3);
  number(lrn, "alpha", 0.5f);
  expect(neighbours.run(), kF64, {1, 6, 1, 1},
         {0.09417343686381681, 0.652450272509095, -0.20165270612725847, 1.2133845919607582, -0.6991242522895071,
          0.34282525934452684},
         2e-15);
  Model recurrent;
  recurrent.input("x", kF64, {2, 1, 1}, x)
      .weight("w", kF64, {1, 4, 1}, {0.3, -0.2, 0.9, 1.3})
      .weight("r", kF64, {1, 4, 1}, four);
  integer(recurrent.add("LSTM", {"x", "w", "r"}), "hidden_size", 1);
  expect(recurrent.run(), kF64, {2, 1, 1, 1}, {0.03242835206457278, 0.19809835743040585}, 1e-15);
}

TEST(OnnxTypes, ReductionsOfInfinityAndIntegers) {
  Model sum;
  sum.input("x", TERN_DTYPE_F32, {3, 2}, {kInf, 1, -kInf, -kInf, 0, 0}).weight("axes", TERN_DTYPE_I64, {1}, {1});
  sum.add("ReduceLogSumExp", {"x", "axes"});
  expect(sum.run(), TERN_DTYPE_F32, {3, 1}, {kInf, -kInf, std::log(2.0)}, 1e-6);
  Model length;
  length.input("x", TERN_DTYPE_I32, {2, 2}, {3, 4, 30000, -40000}).weight("axes", TERN_DTYPE_I64, {1}, {1});
  length.add("ReduceL2", {"x", "axes"});
  expect(length.run(), TERN_DTYPE_I32, {2, 1}, {5, 50000});
}

// Sums that f32 does not hold, every mix of signed and unsigned, with zero points of one or of each channel.
TEST(OnnxTypes, IntegerConvolutionsAreExact) {
  const int64_t channels = 600;
  for (const DType xt : {TERN_DTYPE_U8, TERN_DTYPE_I8})
    for (const DType wt : {TERN_DTYPE_U8, TERN_DTYPE_I8}) {
      const Numbers xs = {xt == TERN_DTYPE_U8 ? 255.0 : -128.0, xt == TERN_DTYPE_U8 ? 254.0 : -127.0},
                    ws = {wt == TERN_DTYPE_U8 ? 255.0 : -128.0};
      Model m;
      m.input("x", xt, {1, channels, 3, 3}, xs).weight("w", wt, {2, channels, 3, 3}, ws);
      m.weight("xz", xt, {}, {1}).weight("wz", wt, {2}, {0, 3});
      m.add("ConvInteger", {"x", "w", "xz", "wz"});
      const double count = (double)channels * 9 / 2, term = (xs[0] - 1 + xs[1] - 1) * count;
      expect(m.run(), TERN_DTYPE_I32, {1, 2, 1, 1}, {term * ws[0], term * (ws[0] - 3)});
    }
  // Padding stands for the zero point; groups; 1-D.
  Model line;
  line.input("x", TERN_DTYPE_U8, {1, 2, 3}, {10, 11, 12, 20, 21, 22})
      .weight("w", TERN_DTYPE_I8, {2, 1, 3}, {1, 2, -3})
      .weight("xz", TERN_DTYPE_U8, {}, {10});
  auto* n = line.add("ConvInteger", {"x", "w", "xz"});
  ints(n, "pads", {1, 1});
  integer(n, "group", 2);
  expect(line.run(), TERN_DTYPE_I32, {1, 2, 3}, {-3, -4, 5, -13, -4, 35});
}

// y = saturate(round((sum + bias) * scales / scale of y) + zero of y), the sum in integers.
TEST(OnnxTypes, QuantizedConvolutionsSumInIntegers) {
  Model m;
  const int64_t channels = 300;
  m.input("x", TERN_DTYPE_U8, {1, channels, 3, 3}, {255}).weight("w", TERN_DTYPE_I8, {1, channels, 3, 3}, {127});
  m.weight("xs", TERN_DTYPE_F32, {}, {1})
      .weight("xz", TERN_DTYPE_U8, {}, {0})
      .weight("ws", TERN_DTYPE_F32, {1}, {1})
      .weight("wz", TERN_DTYPE_I8, {1}, {0});
  // 300 * 9 * 255 * 127 = 87439500, which f32 does not hold; the bias leaves 100.
  m.weight("ys", TERN_DTYPE_F32, {}, {1})
      .weight("yz", TERN_DTYPE_U8, {}, {5})
      .weight("b", TERN_DTYPE_I32, {1}, {-87439400});
  m.add("QLinearConv", {"x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"});
  expect(m.run(), TERN_DTYPE_U8, {1, 1, 1, 1}, {105});
}

// Operators on codes of ONNX Runtime's own domain, which its quantiser writes.
TEST(OnnxTypes, OperatorsOnCodes) {
  const auto own = [](onnx::NodeProto* n) {
    n->set_domain("com.microsoft");
    return n;
  };
  const auto scales = [](Model& m) {
    m.weight("half", TERN_DTYPE_F32, {}, {0.5})
        .weight("quarter", TERN_DTYPE_F32, {}, {0.25})
        .weight("one", TERN_DTYPE_F32, {1}, {1})
        .weight("u0", TERN_DTYPE_U8, {}, {0})
        .weight("u3", TERN_DTYPE_U8, {}, {3})
        .weight("u10", TERN_DTYPE_U8, {}, {10})
        .weight("i0", TERN_DTYPE_I8, {}, {0});
  };
  Model add;
  scales(add);
  add.input("a", TERN_DTYPE_U8, {3}, {10, 20, 255}).input("b", TERN_DTYPE_U8, {3}, {4, 8, 12});
  own(add.add("QLinearAdd", {"a", "half", "u10", "b", "quarter", "", "one", "u3"}));
  expect(add.run(), TERN_DTYPE_U8, {3}, {4, 10, 129});  // 0 + 1, 5 + 2, 122.5 + 3 rounded to even

  Model mul;
  scales(mul);
  mul.input("a", TERN_DTYPE_U8, {2}, {10, 20}).input("b", TERN_DTYPE_U8, {2}, {4, 8});
  own(mul.add("QLinearMul", {"a", "half", "u10", "b", "quarter", "u0", "one", "u3"}));
  expect(mul.run(), TERN_DTYPE_U8, {2}, {3, 13});

  Model pool;
  scales(pool);
  pool.input("x", TERN_DTYPE_U8, {1, 2, 1, 3}, {0, 3, 6, 9, 9, 9});
  own(pool.add("QLinearGlobalAveragePool", {"x", "one", "u0", "half", "u3"}));
  expect(pool.run(), TERN_DTYPE_U8, {1, 2, 1, 1}, {9, 21});
  Model last;
  scales(last);
  last.input("x", TERN_DTYPE_U8, {1, 1, 3, 2}, {0, 9, 3, 9, 6, 9});
  integer(own(last.add("QLinearGlobalAveragePool", {"x", "one", "u0", "half", "u3"})), "channels_last", 1);
  expect(last.run(), TERN_DTYPE_U8, {1, 1, 1, 2}, {9, 21});

  Model concat;
  scales(concat);
  concat.input("a", TERN_DTYPE_U8, {2, 1}, {10, 20}).input("b", TERN_DTYPE_U8, {2, 1}, {4, 8});
  integer(own(concat.add("QLinearConcat", {"half", "u3", "a", "half", "u10", "b", "quarter", "u0"})), "axis", 1);
  expect(concat.run(), TERN_DTYPE_U8, {2, 2}, {3, 5, 13, 7});

  Model sigmoid;
  scales(sigmoid);
  sigmoid.weight("step", TERN_DTYPE_F32, {}, {0x1p-8});
  sigmoid.input("x", TERN_DTYPE_U8, {2}, {10, 255});
  own(sigmoid.add("QLinearSigmoid", {"x", "half", "u10", "step", "u0"}));
  expect(sigmoid.run(), TERN_DTYPE_U8, {2}, {128, 255});

  Model leaky;
  scales(leaky);
  leaky.input("x", TERN_DTYPE_U8, {2}, {2, 14});
  onnx::AttributeProto* alpha = own(leaky.add("QLinearLeakyRelu", {"x", "one", "u10", "half", "u10"}))->add_attribute();
  alpha->set_name("alpha"), alpha->set_type(onnx::AttributeProto::FLOAT), alpha->set_f(0.25f);
  expect(leaky.run(), TERN_DTYPE_U8, {2}, {6, 18});

  for (const bool quantizes : {true, false}) {
    Model gemm;
    scales(gemm);
    gemm.weight("w", TERN_DTYPE_I8, {2, 2}, {1, 3, 2, -4}).weight("c", TERN_DTYPE_I32, {2}, {10, -1});
    gemm.input("x", TERN_DTYPE_U8, {1, 2}, {12, 14});
    const auto n = own(quantizes ? gemm.add("QGemm", {"x", "half", "u10", "w", "quarter", "i0", "c", "quarter", "u3"})
                                 : gemm.add("QGemm", {"x", "half", "u10", "w", "quarter", "i0", "c"}));
    integer(n, "transB", 1);  // 24 and -13 steps of an eighth
    if (quantizes) expect(gemm.run(), TERN_DTYPE_U8, {1, 2}, {15, 0});
    else expect(gemm.run(), TERN_DTYPE_F32, {1, 2}, {3, -1.625});
  }
}

// Element types that nothing here holds are refused by their number, not taken for others.
TEST(OnnxTypes, OtherTypesAreRefused) {
  for (const int type : {17, 18, 19, 20, 21, 22, 8, 14}) {  // float8, int4, strings, complex numbers
    Model m;
    value(m.graph()->add_input(), "x", {2}, type);
    m.add("Identity", {"x"});
    const std::string s = bytes_of(m.proto);
    ModelDef model;
    EXPECT_EQ(import_onnx({(const uint8_t*)s.data(), s.size()}, ImportOptions{}, &model), TERN_ERR_UNSUPPORTED) << type;
    EXPECT_NE(std::string(thread_error().message).find("element type " + std::to_string(type)), std::string::npos)
        << thread_error().message;
  }
}
