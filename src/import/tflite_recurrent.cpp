// SPDX-License-Identifier: Apache-2.0
// TFLite's layers over sequences. What they keep from run to run are variable tensors, which become states.
#include <array>

#include "import/tflite.h"
#include "ops/recurrent.h"

namespace tern {
namespace {

// Inputs that lie one behind the other as f32; -1: zeros. A `turned` one changes its sign.
struct Part {
  int input = -1;
  bool turned = false;
};

tern_status stacked(TfliteNode& n, std::span<const Part> parts, const Shape& part, const Shape& whole, ValueId* out) {
  for (const Part& p : parts) {
    if (p.input < 0) continue;
    const TensorData* from = n.weight(p.input);
    if (!from) return n.unsupported("weights that are computed, or integers");
    if (!(from->shape == part))
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %d has shape %s, %s is needed", n.type(), p.input,
                       to_string(from->shape).c_str(), to_string(part).c_str());
  }
  TensorData t;
  t.dtype = TERN_DTYPE_F32;
  t.shape = whole;
  t.name = std::string(n.type()) + " weights";
  TERN_TRY(n.importer.account(t.bytes()));
  void* to = nullptr;
  t.data = make_data(t.bytes(), &to);
  for (size_t k = 0; k < parts.size(); ++k) {
    const TensorData* from = parts[k].input < 0 ? nullptr : n.weight(parts[k].input);
    for (int64_t e = 0, count = part.elements(); e < count; ++e) {
      const double v = from ? load_element(from->dtype, from->data.bytes, e) : 0;
      ((float*)to)[(int64_t)k * count + e] = (float)(parts[k].turned ? -v : v);
    }
  }
  *out = n.b.parameter(t);
  return n.b.status();
}

tern_status activation_of(TfliteNode& n, int code, int64_t* out) {
  constexpr int kNone = 0, kTfliteRelu = 1, kTfliteTanh = 4;
  if (code != kNone && code != kTfliteRelu && code != kTfliteTanh)
    return n.unsupported("activation " + std::to_string(code));
  *out = code == kNone ? kAffine : code == kTfliteRelu ? kRelu : kTanh;
  return TERN_OK;
}

// Sizes of a layer, from a weight [hidden, inputs].
tern_status sizes_of(TfliteNode& n, int weight, int64_t* hidden, int64_t* inputs) {
  const TensorData* w = n.weight(weight);
  if (!w) return n.unsupported("weights that are computed, or integers");
  if (w->shape.rank != 2 || w->shape[0] < 1 || w->shape[0] > INT32_MAX)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: a weight of shape %s", n.type(), to_string(w->shape).c_str());
  *hidden = w->shape[0], *inputs = w->shape[1];
  return TERN_OK;
}

// Runs the operator `name` on input 0. in: from w on. states: inputs that are its first states and get its last ones.
tern_status run_layer(TfliteNode& n, const char* name, bool time_major, int64_t hidden, std::vector<ValueId> in,
                      std::initializer_list<int> states, const Attrs& attrs) {
  Builder& b = n.b;
  ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 3) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: an input of %d dims", n.type(), b.rank(x));
  if (!time_major) x = b.transpose(x, {1, 0, 2});
  in.insert(in.begin(), x);
  in.insert(in.begin() + 4, kNoValue);  // lengths
  size_t at = 5;
  for (const int i : states) {
    if (n.tensor(i).kept < 0) return n.unsupported("a state that is no variable tensor");
    const ValueId state = n.in(i);
    TERN_TRY(b.status());
    if (b.rank(state) != 2) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: a state of %d dims", n.type(), b.rank(state));
    in.insert(in.begin() + (ptrdiff_t)at++, b.reshape(state, {1, b.value(state).shape[0], hidden}));
  }
  const std::vector<ValueId> out = b.ops(name, in, attrs, 1 + (int)states.size());
  TERN_TRY(b.status());
  at = 1;
  for (const int i : states) {
    TfliteTensor& t = n.tensor(i);
    t.id = n.importer.variables[(size_t)t.kept].current = b.reshape(out[at++], {b.value(t.id).shape[0], hidden});
  }
  ValueId y = b.reshape(out[0], {Builder::same(0), Builder::same(2), hidden});
  if (!time_major) y = b.transpose(y, {1, 0, 2});
  n.set(0, y);
  return b.status();
}

tern_status sequence_rnn(TfliteNode& n) {
  const tfl::SequenceRNNOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  int64_t hidden = 0, inputs = 0, activation = 0;
  ValueId w = kNoValue, r = kNoValue, bias = kNoValue;
  TERN_TRY(activation_of(n, o->activation(), &activation));
  TERN_TRY(sizes_of(n, 1, &hidden, &inputs));
  const Part weight[] = {{1}}, recurrent[] = {{2}}, biases[] = {{3}, {}};
  TERN_TRY(stacked(n, weight, {hidden, inputs}, {1, hidden, inputs}, &w));
  TERN_TRY(stacked(n, recurrent, {hidden, hidden}, {1, hidden, hidden}, &r));
  TERN_TRY(stacked(n, biases, {hidden}, {1, 2 * hidden}, &bias));
  return run_layer(n, "rnn", o->time_major(), hidden, {w, r, bias}, {4}, {{"activations", IntList{activation}}});
}

// Inputs: 1 to 4 weights, 5 to 8 recurrent weights and 12 to 15 biases of the input, forget, cell and output gates; 9
// to 11 peepholes of input, forget and output; 16 to 17 a projection; 18 h, 19 c; 20 to 23 a normalisation. Without
// weights of the input gate it is 1 - the forget gate: the sigmoid of what that one takes, turned.
tern_status sequence_lstm(TfliteNode& n) {
  const tfl::UnidirectionalSequenceLSTMOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  for (const int i : {16, 17, 20, 21, 22, 23})
    if (n.has(i)) return n.unsupported(i < 18 ? "a projection" : "normalised gates");
  if (o->cell_clip() != 0) return n.unsupported("a clipped cell state");
  int64_t hidden = 0, inputs = 0, activation = 0;
  ValueId w = kNoValue, r = kNoValue, bias = kNoValue, peepholes = kNoValue;
  TERN_TRY(activation_of(n, o->activation(), &activation));
  TERN_TRY(sizes_of(n, 2, &hidden, &inputs));
  const bool coupled = !n.has(1);
  const auto gates = [&](int first) {  // in the order of lstm
    const Part in = coupled ? Part{first + 1, true} : Part{first};
    return std::array<Part, 4>{in, Part{first + 3}, Part{first + 1}, Part{first + 2}};
  };
  const std::array<Part, 4> b = gates(12);
  const Part biases[] = {b[0], b[1], b[2], b[3], {}, {}, {}, {}};
  TERN_TRY(stacked(n, gates(1), {hidden, inputs}, {1, 4 * hidden, inputs}, &w));
  TERN_TRY(stacked(n, gates(5), {hidden, hidden}, {1, 4 * hidden, hidden}, &r));
  TERN_TRY(stacked(n, biases, {hidden}, {1, 8 * hidden}, &bias));
  if (n.has(10)) {
    const Part list[] = {coupled ? Part{10, true} : Part{9}, {11}, {10}};
    TERN_TRY(stacked(n, list, {hidden}, {1, 3 * hidden}, &peepholes));
  }
  return run_layer(n, "lstm", o->time_major(), hidden, {w, r, bias, peepholes}, {18, 19},
                   {{"activations", IntList{kSigmoid, activation, activation}}});
}

constexpr uint32_t bits(std::initializer_list<int> list) {
  uint32_t all = 0;
  for (const int i : list) all |= 1u << i;
  return all;
}

constexpr TfliteOp kOps[] = {
    {35, "UNIDIRECTIONAL_SEQUENCE_RNN", 5, 5, 1, 0, sequence_rnn},
    {44, "UNIDIRECTIONAL_SEQUENCE_LSTM", 20, 24, 1, bits({1, 5, 9, 10, 11, 12, 16, 17, 20, 21, 22, 23}), sequence_lstm},
};

}  // namespace

std::span<const TfliteOp> tflite_recurrent_ops() { return kOps; }

}  // namespace tern
