// SPDX-License-Identifier: Apache-2.0
// What is fused computes the same bits as its nodes one by one, on every instruction set. The one exception: scales and
// shifts per channel (batch_norm too) become one scale and one shift of rounded numbers, so that there a bound holds.
#include <cfloat>
#include <memory>

#include "kernels/cpu/dispatch.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "ops/normalize.h"
#include "ops/quantize.h"
#include "ops/unary.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

// Whole numbers and floats, the same on every machine.
struct Draw {
  uint64_t state;
  int64_t integer(int64_t from, int64_t to) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return from + (int64_t)((state >> 33) % (uint64_t)(to - from + 1));
  }
  uint32_t seed() { return (uint32_t)integer(1, 1 << 30); }
};

// A graph under construction, with what it is fed.
struct Sketch {
  Draw draw;
  ModelDef def;
  Graph g;
  std::vector<std::vector<float>> inputs;

  ValueId input(const Shape& shape) {
    inputs.push_back(random_floats((size_t)shape.elements(), draw.seed()));
    return add_input(g, "x" + std::to_string(inputs.size()), TERN_DTYPE_F32, shape);
  }
  // Numbers between -size and size, or 0 and size.
  ValueId parameter(const Shape& shape, float size = 1, bool positive = false, Encoding encoding = Encoding::plain) {
    std::vector<float> values = random_floats((size_t)shape.elements(), draw.seed());
    for (float& v : values) v = size * (positive ? std::fabs(v) : v);
    const std::string name = "p" + std::to_string(def.parameters.size());
    add_parameter(def, name, shape, values.data(), encoding);
    return use_parameter(g, def, name);
  }
};

// A product of random sizes: sums stay around 1.
struct Product {
  const char* name;
  ValueId (*build)(Sketch& s);
};

ValueId conv(Sketch& s, int64_t in, int64_t out, int64_t kernel, Conv2dAttrs attrs, int64_t h, int64_t w) {
  const ValueId x = s.input({s.draw.integer(1, 2), h, w, in});
  const int64_t inputs = in / attrs.groups;
  const ValueId weights =
      s.parameter({out, kernel, kernel, inputs}, 1.5f / std::sqrt((float)(kernel * kernel * inputs)));
  return emit(s.g, "conv2d", {x, weights, s.draw.integer(0, 3) ? s.parameter({out}) : kNoValue}, attrs);
}

ValueId depthwise(Sketch& s, int64_t channels, int64_t multiplier, int64_t kernel, int64_t stride) {
  const int64_t pad = kernel / 2;
  return conv(s, channels, channels * multiplier, kernel,
              {.strides = {stride, stride}, .pads = {pad, pad, pad, pad}, .groups = channels}, s.draw.integer(4, 9),
              s.draw.integer(4, 11));
}

ValueId transposed(Sketch& s, int64_t out, int64_t kernel, int64_t stride, int64_t pad) {
  const int64_t in = s.draw.integer(2, 19);
  const ValueId x = s.input({1, s.draw.integer(2, 5), s.draw.integer(2, 7), in});
  const ValueId weights = s.parameter({in, kernel, kernel, out}, 1.5f / std::sqrt((float)in));
  return emit(s.g, "conv_transpose2d", {x, weights, s.parameter({out})},
              ConvTranspose2dAttrs{.strides = {stride, stride}, .pads = {pad, pad, pad, pad}});
}

ValueId linear(Sketch& s, Encoding encoding, const char* op = "linear") {
  const int64_t k = s.draw.integer(3, 70), n = s.draw.integer(1, 70);
  const ValueId x = s.input({s.draw.integer(1, 19), k});
  const ValueId w = s.parameter({n, k}, 1.5f / std::sqrt((float)k), false, encoding);
  return emit(s.g, op, {x, w, s.draw.integer(0, 3) ? s.parameter({n}) : kNoValue});
}

Encoding encoding(const char* name) {
  Encoding e = Encoding::plain;
  EXPECT_TRUE(find_encoding(name, &e));
  return e;
}

const Product kProducts[] = {
    {"rows",
     [](Sketch& s) {
       return conv(s, s.draw.integer(1, 9), s.draw.integer(5, 70), 3, {.pads = {1, 1, 1, 1}}, s.draw.integer(3, 7),
                   s.draw.integer(3, 19));
     }},
    {"head",
     [](Sketch& s) {
       return conv(s, s.draw.integer(16, 40), s.draw.integer(1, 4), 3, {.pads = {1, 1, 1, 1}}, s.draw.integer(3, 7),
                   s.draw.integer(3, 37));
     }},
    {"gather",
     [](Sketch& s) {
       const int64_t groups = s.draw.integer(2, 3);
       return conv(s, groups * s.draw.integer(2, 9), groups * s.draw.integer(2, 19), 3,
                   {.strides = {2, 1}, .groups = groups}, s.draw.integer(3, 9), s.draw.integer(3, 9));
     }},
    {"pointwise",
     [](Sketch& s) {
       return conv(s, s.draw.integer(1, 70), s.draw.integer(5, 70), 1, {}, s.draw.integer(1, 9), s.draw.integer(1, 9));
     }},
    {"winograd",
     [](Sketch& s) {
       return conv(s, s.draw.integer(64, 70), s.draw.integer(16, 45), 3, {.pads = {1, 1, 1, 1}}, s.draw.integer(8, 11),
                   s.draw.integer(8, 11));
     }},
    {"depthwise", [](Sketch& s) { return depthwise(s, s.draw.integer(2, 50), 1, 3, 1); }},
    {"depthwise of 8", [](Sketch& s) { return depthwise(s, 8, 1, 3, 1); }},
    {"wide depthwise", [](Sketch& s) { return depthwise(s, s.draw.integer(16, 50), 1, 5, s.draw.integer(1, 2)); }},
    {"any depthwise", [](Sketch& s) { return depthwise(s, s.draw.integer(2, 90), 1, 7, 1); }},
    {"several filters", [](Sketch& s) { return depthwise(s, s.draw.integer(2, 40), 2, 3, 1); }},
    {"transposed", [](Sketch& s) { return transposed(s, s.draw.integer(1, 40), 3, 2, 1); }},
    {"side by side", [](Sketch& s) { return transposed(s, s.draw.integer(1, 8), 2, 2, 0); }},
    {"linear", [](Sketch& s) { return linear(s, Encoding::plain); }},
    {"encoded", [](Sketch& s) { return linear(s, encoding("row_int8")); }},
    {"ternary", [](Sketch& s) { return linear(s, encoding("ternary2"), "bit_linear"); }},
    {"eight bits", [](Sketch& s) { return linear(s, encoding("panel_int8"), "rounded_linear"); }},
    {"four bits", [](Sketch& s) { return linear(s, encoding("panel_int4_min"), "rounded_linear"); }},
};

// An element-wise operator of one operand, with attributes that are not its defaults.
struct Activation {
  const Op* op;
  std::vector<std::pair<const char*, const char*>> attributes = {};

  ValueId build(Sketch& s, ValueId x) const {
    Node n;
    n.op = op;
    n.in = {x};
    set_default_attributes(*op, &n.attributes);
    for (const auto& [name, text] : attributes) EXPECT_EQ(set_attribute(*op, &n.attributes, name, text), TERN_OK);
    if (op == &op_prelu) {
      const Shape& shape = s.g.value(x).shape;
      n.in.push_back(s.parameter({s.draw.integer(0, 1) ? 1 : shape[shape.rank - 1]}));
    }
    return emit_node(s.g, std::move(n));
  }
};

// All that there are.
std::vector<Activation> activations() {
  std::vector<Activation> list = {{&op_prelu},
                                  {&op_gelu, {{"approximate", "tanh"}}},
                                  {&op_clip, {{"min", "-0.25"}, {"max", "0.5"}}},
                                  {&op_leaky_relu, {{"alpha", "0.3"}}},
                                  {&op_hard_sigmoid, {{"alpha", "0.16"}, {"beta", "0.4"}}}};
  for (const Op* op : all_ops())
    if (op->max_in == 1 && (op->flags & kElementwise) && op != &op_is_nan && op != &op_is_inf &&
        cpu::kernels().elementwise->takes(op->elementwise, 1, TERN_DTYPE_F32))
      list.push_back({op});
  return list;
}

// What stands behind a product.
struct Tail {
  enum Residual { none, first, last, last_and_clip } residual = none;
  enum Affine { no, shift, scale, norm } before = no, behind = no;
  bool exact() const { return before == no && behind == no; }
};

ValueId affine(Sketch& s, ValueId x, Tail::Affine kind) {
  const Shape& shape = s.g.value(x).shape;
  const int64_t channels = shape[shape.rank - 1];
  switch (kind) {
    case Tail::no: return x;
    case Tail::shift: return add(s.g, x, s.parameter({channels > 1 ? channels : 1}));
    case Tail::scale: return add(s.g, mul(s.g, x, s.parameter({channels})), s.parameter({1}));
    case Tail::norm:
      return emit(s.g, "batch_norm",
                  {x, s.parameter({channels}), s.parameter({channels}), s.parameter({channels}),
                   s.parameter({channels}, 1, true)},
                  BatchNormAttrs{.epsilon = 0.1});
  }
  return x;
}

ValueId add_tail(Sketch& s, ValueId x, const Activation& activation, const Tail& tail) {
  const Shape shape = s.g.value(x).shape;
  x = affine(s, x, tail.before);
  if (tail.residual == Tail::first) x = add(s.g, s.input(shape), x);
  x = activation.build(s, x);
  x = affine(s, x, tail.behind);
  if (tail.residual >= Tail::last) x = add(s.g, x, s.input(shape));
  if (tail.residual == Tail::last_and_clip)
    x = s.draw.integer(0, 1) ? emit(s.g, "relu", {x}) : emit(s.g, "clip", {x}, ClipAttrs{-0.5, 0.75});
  return x;
}

// Runs the graph as it is and fused, which must leave `nodes` nodes. exact: bits are compared, NaN with NaN; else the
// difference may be `bound` times the size of what one number at most is.
void compare(Sketch s, ValueId y, size_t nodes, bool exact = true) {
  s.g.outputs = {y};
  ASSERT_EQ(s.g.status, TERN_OK) << thread_error().message;
  add_signature(s.def, "forward", s.g);
  const Ref<Context> context = make_context(1);
  const Backend* cpu = nullptr;
  TERN_OKAY(context->open_backend("cpu", &cpu));
  const std::vector<const Backend*> backends = {cpu};
  const Ref<Model> model = make_model(*context, std::move(s.def));
  const Ref<Parameters> parameters = Ref<Parameters>::adopt(new Parameters(*model));
  Ref<State> state;
  TERN_OKAY(State::create(*model, &state));
  const size_t n = (size_t)s.g.value(y).shape.elements();
  std::vector<float> results[2];
  for (const bool fused : {false, true}) {
    Graph g = s.g;
    if (fused) {
      TERN_OKAY(cpu::backend().fuse(nullptr, g));
      ASSERT_EQ(g.nodes.size(), nodes);
      for (const Node& node : g.nodes) ASSERT_EQ(cpu->api->supports(cpu->self, g, node).kind, SupportKind::kernel);
    }
    std::unique_ptr<Executable> e;
    TERN_OKAY(Executable::create(std::move(g), *model, *parameters, {.backends = backends}, &e));
    std::vector<const void*> in;
    for (const std::vector<float>& v : s.inputs) in.push_back(v.data());
    results[fused].resize(n);
    void* out[] = {results[fused].data()};
    TERN_OKAY(e->run(in, out, *parameters, *state, {}));
  }
  for (size_t i = 0; i < n; ++i) {
    const float a = results[0][i], b = results[1][i];
    if (std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b))) continue;
    if (!exact && std::fabs(a - b) <= 16 * FLT_EPSILON * (1 + std::fabs(a))) continue;
    ADD_FAILURE() << "number " << i << " of " << n << ": " << a << " one by one, " << b << " fused";
    return;
  }
}

template <class F>
void on_every_set(F f) {
  for (int i = 0; const cpu::Kernels* k = cpu::runnable_kernels(i); ++i) {
    SCOPED_TRACE(k->isa);
    ASSERT_TRUE(cpu::select_kernels(k->isa));
    f();
  }
  cpu::select_kernels(nullptr);
}

TEST(Fusion, EveryActivationBehindEveryProduct) {
  const std::vector<Activation> list = activations();
  EXPECT_GT(list.size(), 40u);
  on_every_set([&] {
    uint64_t seed = 1;
    for (const Product& product : kProducts)
      for (const Activation& activation : list)
        for (const auto residual : {Tail::none, Tail::first, Tail::last, Tail::last_and_clip}) {
          if (residual != Tail::none && (int)residual != 1 + (int)(seed / 4 % 3)) {
            ++seed;
            continue;
          }
          SCOPED_TRACE(std::string(product.name) + ", " + activation.op->name + ", residual " +
                       std::to_string((int)residual));
          Sketch s{{seed++}, {}, {}, {}};
          const ValueId y = add_tail(s, product.build(s), activation, {.residual = residual});
          compare(std::move(s), y, 1);
          if (HasFailure()) return;
        }
  });
}

TEST(Fusion, ScalesAndShiftsPerChannel) {
  on_every_set([&] {
    uint64_t seed = 1;
    for (const Product& product : kProducts)
      for (const auto before : {Tail::no, Tail::shift, Tail::scale, Tail::norm})
        for (const auto behind : {Tail::no, Tail::shift, Tail::scale, Tail::norm})
          for (const Op* op : {&op_relu, &op_hard_swish, &op_sigmoid}) {
            if (before == Tail::no && behind == Tail::no) continue;
            const auto residual = (Tail::Residual)(seed % 4);
            SCOPED_TRACE(std::string(product.name) + ", " + op->name + ", " + std::to_string(before) + " before, " +
                         std::to_string(behind) + " behind, residual " + std::to_string((int)residual));
            Sketch s{{seed++}, {}, {}, {}};
            const ValueId y =
                add_tail(s, product.build(s), {op}, {.residual = residual, .before = before, .behind = behind});
            compare(std::move(s), y, 1, false);
            if (HasFailure()) return;
          }
  });
}

TEST(Fusion, InvertedResiduals) {
  on_every_set([&] {
    uint64_t seed = 1;
    for (const Activation& activation : activations()) {
      if (!(activation.op->elementwise == Elementwise::relu || activation.op->elementwise == Elementwise::clip ||
            activation.op->elementwise == Elementwise::hard_swish || activation.op->elementwise == Elementwise::silu))
        continue;
      SCOPED_TRACE(activation.op->name);
      Sketch s{{seed++}, {}, {}, {}};
      const int64_t narrow = s.draw.integer(5, 19), wide = s.draw.integer(65, 75);
      const ValueId x = s.input({1, 65, 67, narrow});
      ValueId y = activation.build(s, emit(s.g, "conv2d", {x, s.parameter({wide, 1, 1, narrow}, 0.3f)}, Conv2dAttrs{}));
      y = emit(s.g, "conv2d", {y, s.parameter({wide, 3, 3, 1}, 0.3f)},
               Conv2dAttrs{.pads = {1, 1, 1, 1}, .groups = wide});
      y = activation.build(s, y);
      y = emit(s.g, "conv2d", {y, s.parameter({narrow, 1, 1, wide}, 0.3f), s.parameter({narrow})}, Conv2dAttrs{});
      y = add(s.g, y, x);
      compare(std::move(s), y, 1);
      if (HasFailure()) return;
    }
  });
}

TEST(Fusion, Chains) {
  on_every_set([&] {
    uint64_t seed = 1;
    for (const Activation& activation : activations())
      for (const char* op : {"add", "sub", "mul", "div", "min", "max", "pow", "mod", "prelu"}) {
        if (activation.op == &op_prelu) continue;  // the list of operators has it
        SCOPED_TRACE(std::string(activation.op->name) + ", " + op);
        Sketch s{{seed++}, {}, {}, {}};
        const Shape shape{s.draw.integer(1, 9), s.draw.integer(1, 9), s.draw.integer(1, 70)};
        const ValueId x = s.input(shape);
        ValueId y = activation.build(s, emit(s.g, op, {x, s.parameter({shape[2]})}));
        y = mul(s.g, emit(s.g, op, {y, x}), add_constant(s.g, 0.75f));
        compare(std::move(s), y, 1);
        if (HasFailure()) return;
      }
  });
}

// Products that round the same rows one after the other round them once, and have the bits that each has alone.
TEST(Fusion, RowsAreRoundedOnce) {
  constexpr struct {
    const char *op, *encoding;
    int from;      // the step whose result is rounded; -1: the input
    size_t calls;  // of kernels
  } kSteps[] = {{"bit_linear", "ternary2", -1, 2},
                {"bit_linear", "ternary2", -1, 1},
                {"bit_linear", "ternary2", 1, 2},
                {"bit_linear", "ternary2", -1, 2},  // others lay there meanwhile
                {"rounded_linear", "panel_int8", -1, 2},
                {"rounded_linear", "panel_int4", -1, 2},  // as weights of 4 bits want them
                {"rounded_linear", "panel_int4", -1, 1},
                {"rounded_linear", "panel_int4_min", -1, 2},
                {"rounded_linear", "panel_int4_min", 6, 2},
                {"rounded_linear", "panel_int4_min", 6, 1}};
  constexpr int64_t kRows = 19, kWidth = 70;
  // Step by step, or all in one graph; calls: how many kernels each result took.
  const auto run = [&](size_t first, size_t last, std::vector<std::vector<float>>* results,
                       std::vector<size_t>* calls) {
    Sketch s{{7}, {}, {}, {}};
    const ValueId x = s.input({kRows, kWidth});
    std::vector<ValueId> made;
    for (size_t i = 0; i < last; ++i) {
      const ValueId w = s.parameter({kWidth, kWidth}, 0.2f, false, encoding(kSteps[i].encoding));
      if (i < first) {  // the same weights as in the whole
        made.push_back(kNoValue);
        continue;
      }
      ValueId from = kSteps[i].from < 0 ? x : made[(size_t)kSteps[i].from];
      if (from == kNoValue) {
        s.inputs[0] = (*results)[(size_t)kSteps[i].from];
        from = x;
      }
      made.push_back(emit(s.g, kSteps[i].op, {from, w}));
      s.g.outputs.push_back(made.back());
    }
    ASSERT_EQ(s.g.status, TERN_OK) << thread_error().message;
    add_signature(s.def, "forward", s.g);
    const Ref<Context> context = make_context(2);
    const Backend* cpu = nullptr;
    TERN_OKAY(context->open_backend("cpu", &cpu));
    const std::vector<const Backend*> backends = {cpu};
    const Ref<Model> model = make_model(*context, std::move(s.def));
    const Ref<Parameters> parameters = Ref<Parameters>::adopt(new Parameters(*model));
    Ref<State> state;
    TERN_OKAY(State::create(*model, &state));
    std::unique_ptr<Executable> e;
    TERN_OKAY(Executable::create(std::move(s.g), *model, *parameters, {.backends = backends, .profile = true}, &e));
    const void* in[] = {s.inputs[0].data()};
    std::vector<void*> out;
    results->resize(last);
    for (size_t i = first; i < last; ++i) {
      (*results)[i].assign((size_t)(kRows * kWidth), 0);
      out.push_back((*results)[i].data());
    }
    for (int again = 0; again < 2; ++again) TERN_OKAY(e->run(in, out, *parameters, *state, {}));
    calls->assign(out.size(), 0);
    for (const Executable::TraceEvent& event : e->last_trace()) {
      const std::vector<ValueId>& outputs = e->graph().outputs;
      const auto at = std::find(outputs.begin(), outputs.end(), e->graph().nodes[(size_t)event.node].out[0]);
      ASSERT_NE(at, outputs.end());
      ++(*calls)[(size_t)(at - outputs.begin())];
    }
  };
  on_every_set([&] {
    std::vector<std::vector<float>> together, alone;
    std::vector<size_t> calls;
    run(0, std::size(kSteps), &together, &calls);
    if (testing::Test::HasFatalFailure()) return;
    for (size_t i = 0; i < std::size(kSteps); ++i) EXPECT_EQ(calls[i], kSteps[i].calls) << i;
    alone = together;
    for (size_t i = 0; i < std::size(kSteps); ++i) {
      run(i, i + 1, &alone, &calls);
      if (testing::Test::HasFatalFailure()) return;
      EXPECT_EQ(calls[0], 2u) << i;
      EXPECT_EQ(std::memcmp(alone[i].data(), together[i].data(), together[i].size() * sizeof(float)), 0) << i;
      EXPECT_NE(std::count(together[i].begin(), together[i].end(), 0.0f), (ptrdiff_t)together[i].size());
      alone = together;
    }
  });
}

// Scales are powers of two and sums stay below 2^24, so that each node alone computes exactly, too.
TEST(Fusion, Int8Products) {
  const float kScale = 0x1p-5f, kWeightScale = 0x1p-4f;
  enum Kind { integers, values, kinds };
  const auto codes = [](Sketch& s, DType dtype, const Shape& shape, int64_t most) {
    std::vector<int8_t> bytes((size_t)shape.elements());
    for (int8_t& b : bytes) b = (int8_t)s.draw.integer(dtype == TERN_DTYPE_U8 ? 0 : -most, most);
    return add_constant(s.g, dtype, shape, bytes.data());
  };
  const auto whole = [](Sketch& s, const Shape& shape) {
    std::vector<int32_t> numbers((size_t)shape.elements());
    for (int32_t& v : numbers) v = (int32_t)s.draw.integer(-999, 999);
    return add_constant(s.g, TERN_DTYPE_I32, shape, numbers.data());
  };
  const auto floats = [](Sketch& s, const Shape& shape, float size) {
    std::vector<float> numbers((size_t)shape.elements());
    for (float& v : numbers) v = size * (float)(1 << s.draw.integer(0, 3));
    return add_constant(s.g, TERN_DTYPE_F32, shape, numbers.data());
  };
  on_every_set([&] {
    uint64_t seed = 1;
    for (const char* product : {"pointwise", "3x3", "depthwise", "groups", "rows", "product"})
      for (int kind = 0; kind < kinds; ++kind)
        for (const DType dtype : {TERN_DTYPE_U8, TERN_DTYPE_I8})
          for (int tail = 0; tail < 16; ++tail) {
            const bool biased = tail & 1, clips = tail & 2, quantizes = tail & 4, per_channel = tail & 8;
            if (clips && !quantizes) continue;
            SCOPED_TRACE(std::string(product) + ", kind " + std::to_string(kind) + ", tail " + std::to_string(tail));
            Sketch s{{seed++}, {}, {}, {}};
            const std::string name = product;
            const bool conv = name != "rows" && name != "product", rows = name == "rows";
            const int64_t groups = name == "depthwise" ? s.draw.integer(2, 70) : name == "groups" ? 2 : 1;
            const int64_t in = name == "depthwise" ? groups : groups * s.draw.integer(1, 9),
                          kernel = name == "pointwise" ? 1 : 3;
            const int64_t out = name == "depthwise" ? groups : groups * s.draw.integer(1, 40);
            const Shape shape =
                conv ? Shape{1, s.draw.integer(3, 7), s.draw.integer(3, 9), in} : Shape{s.draw.integer(1, 50), in};
            const ValueId zero = codes(s, dtype, {}, 9), scale = add_constant(s.g, kScale);
            const ValueId x =
                emit(s.g, "quantize_linear", {s.input(shape), scale, zero}, QuantizeLinearAttrs{.dtype = dtype});
            const Shape w_shape = conv   ? Shape{out, kernel, kernel, in / groups}
                                  : rows ? Shape{out, in}
                                         : Shape{in, out};
            const Shape each = per_channel ? Shape{out} : Shape{};
            const ValueId w = codes(s, TERN_DTYPE_I8, w_shape, 127);
            const Conv2dAttrs attrs{
                .strides = {1, kernel == 3 ? 2 : 1}, .pads = {kernel / 2, 0, kernel / 2, kernel / 2}, .groups = groups};
            ValueId y;
            if (kind == integers) {
              if (rows) continue;
              const ValueId w_zero = s.draw.integer(0, 1) ? kNoValue : codes(s, TERN_DTYPE_I8, each, 5);
              y = conv ? emit(s.g, "conv2d_integer", {x, w, zero, w_zero}, attrs)
                       : emit(s.g, "matmul_integer", {x, w, zero, w_zero});
              if (biased) y = add(s.g, y, whole(s, {out}));
              y = mul(s.g, cast(s.g, y, TERN_DTYPE_F32), floats(s, each, kScale * kWeightScale));
            } else {
              const int64_t axis = conv || rows ? 0 : 1;
              const ValueId dx = emit(s.g, "dequantize_linear", {x, scale, zero}, DequantizeLinearAttrs{}),
                            dw = emit(s.g, "dequantize_linear",
                                      {w, floats(s, each, kWeightScale), codes(s, TERN_DTYPE_I8, each, 3)},
                                      DequantizeLinearAttrs{.axis = axis});
              const ValueId bias = !biased ? kNoValue
                                   : s.draw.integer(0, 1)
                                       ? emit(s.g, "dequantize_linear", {whole(s, {out}), floats(s, {}, kScale)},
                                              DequantizeLinearAttrs{.axis = 0})
                                       : floats(s, {out}, -1);
              if (conv) y = emit(s.g, "conv2d", {dx, dw, bias}, attrs);
              else if (rows) y = emit(s.g, "linear", {dx, dw, bias});
              else y = emit(s.g, "matmul", {dx, dw}, MatmulAttrs{});
              if (biased && !conv && !rows) y = add(s.g, y, bias);  // codes of it are decoded beforehand
            }
            if (clips) y = s.draw.integer(0, 1) ? emit(s.g, "relu", {y}) : emit(s.g, "clip", {y}, ClipAttrs{-0.5, 2});
            size_t nodes = 2;
            if (quantizes) {
              y = emit(s.g, "quantize_linear", {y, add_constant(s.g, 0x1p-6f), codes(s, dtype, {}, 99)},
                       QuantizeLinearAttrs{.dtype = dtype});
              y = cast(s.g, y, TERN_DTYPE_F32);
              ++nodes;
            }
            compare(std::move(s), y, nodes);
            if (HasFailure()) return;
          }
  });
}

// Element-wise operators between codes.
TEST(Fusion, ChainsOfCodes) {
  on_every_set([&] {
    uint64_t seed = 1;
    for (const char* op : {"add", "mul", "sub", "max"})
      for (const DType dtype : {TERN_DTYPE_U8, TERN_DTYPE_I8})
        for (int form = 0; form < 8; ++form) {
          const bool both = form & 1, encodes = form & 2, shared = form & 4;
          SCOPED_TRACE(std::string(op) + ", form " + std::to_string(form));
          Sketch s{{seed++}, {}, {}, {}};
          const Shape shape{s.draw.integer(1, 9), s.draw.integer(1, 9), s.draw.integer(1, 90)};
          const uint8_t zero = (uint8_t)s.draw.integer(0, 99);
          const ValueId z = add_constant(s.g, dtype, Shape{}, &zero);
          const auto codes = [&](float scale) {
            const ValueId steps = add_constant(s.g, scale);
            const ValueId q =
                emit(s.g, "quantize_linear", {s.input(shape), steps, z}, QuantizeLinearAttrs{.dtype = dtype});
            return emit(s.g, "dequantize_linear", {q, steps, z}, DequantizeLinearAttrs{});
          };
          const ValueId a = codes(0.013f), b = shared ? a : both ? codes(0.017f) : s.input(shape);
          ValueId y = emit(s.g, "relu", {emit(s.g, op, {a, b})});
          size_t nodes = both && !shared ? 3 : 2;
          if (encodes) {
            y = emit(s.g, "quantize_linear", {y, add_constant(s.g, 0.011f), z}, QuantizeLinearAttrs{.dtype = dtype});
            y = cast(s.g, y, TERN_DTYPE_F32);
            ++nodes;
          }
          compare(std::move(s), y, nodes);
          if (HasFailure()) return;
        }
  });
}

}  // namespace
}  // namespace tern::test
