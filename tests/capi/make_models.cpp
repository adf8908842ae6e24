// SPDX-License-Identifier: Apache-2.0
// Writes the small models that the C tests load:  make_models FOLDER
//   small.tern    forward: x f32[batch 1..64, 16] -> y f32[batch,8] (softmax), hidden f32[batch,32]
//                 look_up: ids i64[3] -> rows f32[3,2] of a table of 10 rows, where row i is (i, -i)
//                 scale:   x f32[4], factor (scalar) -> y = x * factor
//   words.tern    the same with a tokenizer: ids 0 to 255 are bytes, 256 "th", 257 "the", 258 " the", 259 not used, 260
//                 "<end>", which is special and stands behind texts
//   counter.tern  append: token f32[1,4], position -> sum f32[4] of the tokens so far, at most 16; and calls f32[], how
//                 often it ran
//   spots.tern    a detector of bright quarters: grey 8 x 8 picture -> four boxes with the mean brightness as score
//   points.tern   two landmarks in the whole of an 8 x 8 picture, one at its upper left, one in its middle
//   wild_*.tern   detectors and landmarks whose results are NaN, infinite and huge
//   train.tern    step: x f32[3,4] -> loss f32[], a step of gradient descent on a state
//   plain.tern    forward: x i16[4,4] -> y i16[4,4], x xor 5, for which there is no kernel
//   mask.tern     forward: x f32[6] -> above f32[?], the elements of x above 0
//   slow.tern     forward: x f32[512,512] -> y f32[512,512], some seconds of work
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "format/writer.h"
#include "graph/model_def.h"
#include "models/transformer.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/op.h"
#include "ops/reduce.h"
#include "ops/reshape.h"
#include "ops/state_write.h"
#include "text/tokenizer_file.h"

using namespace tern;

namespace {

// Values from -0.5 to 0.5 without a pattern.
float number(uint64_t i) { return (float)((i * 2654435761u >> 7) % 1000) / 1000.0f - 0.5f; }

template <class F>
int32_t add_parameter(ModelDef& m, const char* name, Encoding encoding, const Shape& shape, F&& value) {
  Parameter p;
  p.name = name;
  p.dtype = TERN_DTYPE_F32;
  p.encoding = encoding;
  p.shape = shape;
  if (encoded_bytes(encoding, p.dtype, shape, &p.bytes) != TERN_OK) return -1;
  std::vector<float> plain((size_t)shape.elements());
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = value(i);
  void* data = nullptr;
  p.data = make_data(p.bytes, &data);
  encode(encoding, p.dtype, shape, plain.data(), data);
  m.parameters.push_back(std::move(p));
  return (int32_t)m.parameters.size() - 1;
}

ValueId use_parameter(Graph& g, const ModelDef& m, int32_t index) {
  const Parameter& p = m.parameters[(size_t)index];
  Value v;
  v.name = p.name;
  v.dtype = p.dtype;
  v.encoding = p.encoding;
  v.kind = ValueKind::parameter;
  v.shape = p.shape;
  v.index = index;
  return add_value(g, std::move(v));
}

ValueId use_state(Graph& g, const ModelDef& m, int32_t index) {
  const StateDecl& s = m.states[(size_t)index];
  Value v;
  v.name = s.name;
  v.dtype = s.dtype;
  v.kind = ValueKind::state;
  v.paged = s.paged;
  v.shape = s.shape;
  v.index = index;
  return add_value(g, std::move(v));
}

void add_output(Signature& s, ValueId v, const char* name) {
  s.graph.outputs.push_back(v);
  s.output_names.push_back(name);
}

Signature& add_signature(ModelDef& m, const char* name) {
  m.signatures.emplace_back();
  m.signatures.back().name = name;
  return m.signatures.back();
}

ModelDef small_model() {
  ModelDef m;
  const int32_t w1 = add_parameter(m, "w1", Encoding::panel32, {32, 16}, [](size_t i) { return number(i); });
  const int32_t b1 = add_parameter(m, "b1", Encoding::plain, {32}, [](size_t i) { return number(i + 1000); });
  const int32_t w2 = add_parameter(m, "w2", Encoding::plain, {8, 32}, [](size_t i) { return number(i + 2000); });
  const int32_t table = add_parameter(m, "table", Encoding::plain, {10, 2},
                                      [](size_t i) { return i % 2 ? -(float)(i / 2) : (float)(i / 2); });

  Signature& s = add_signature(m, "forward");
  const ValueId x = add_input(s.graph, "x", TERN_DTYPE_F32, {2, 16});
  const ValueId hidden = emit(
      s.graph, "relu", {emit(s.graph, "linear", {x, use_parameter(s.graph, m, w1), use_parameter(s.graph, m, b1)})});
  const ValueId y =
      emit(s.graph, "softmax", {emit(s.graph, "linear", {hidden, use_parameter(s.graph, m, w2)})}, SoftmaxAttrs{-1});
  add_output(s, y, "y");
  add_output(s, hidden, "hidden");
  s.symbols.push_back({"batch", 1, 64, 2, 1});
  s.symbolic_dims.push_back({0, 0, 0});

  Signature& l = add_signature(m, "look_up");
  const ValueId ids = add_input(l.graph, "ids", TERN_DTYPE_I64, {3});
  add_output(l, emit(l.graph, "gather", {use_parameter(l.graph, m, table), ids}, GatherAttrs{0}), "rows");

  Signature& c = add_signature(m, "scale");
  const ValueId a = add_input(c.graph, "x", TERN_DTYPE_F32, {4}), factor = add_scalar(c.graph, "factor");
  add_output(c, mul(c.graph, a, cast(c.graph, factor, TERN_DTYPE_F32)), "y");

  m.metadata = {{"name", "small"}, {"author", "Jürgen 犬"}, {"empty", ""}};
  return m;
}

ModelDef counter_model() {
  ModelDef m;
  m.states.push_back({"cache", TERN_DTYPE_F32, Shape{16, 4}});
  m.states.push_back({"calls", TERN_DTYPE_F32, Shape{}});
  Signature& s = add_signature(m, "append");
  Graph& g = s.graph;
  const ValueId token = add_input(g, "token", TERN_DTYPE_F32, {1, 4}), position = add_scalar(g, "position");
  const ValueId cache = emit(g, "state_write", {use_state(g, m, 0), token, position}, StateWriteAttrs{0});
  // Entries beyond the position are of a longer past, which may have been truncated.
  int64_t indices[16];
  for (int64_t i = 0; i < 16; ++i) indices[i] = i;
  const ValueId valid = emit(g, "less_equal", {add_constant(g, std::span<const int64_t>(indices)), position});
  const ValueId masked = mul(g, cache, reshape(g, cast(g, valid, TERN_DTYPE_F32), {16, 1}));
  const int64_t rows[] = {0};
  add_output(s, reduce_sum(g, masked, rows, false), "sum");
  const ValueId calls = use_state(g, m, 1);
  const ValueId more = add(g, calls, add_constant(g, 1.0f));
  emit(g, "state_write", {calls, more}, StateWriteAttrs{0});
  add_output(s, more, "calls");
  s.position_input = 1;
  s.advance = 1;
  s.capacity = 16;
  return m;
}

ModelDef mask_model() {
  ModelDef m;
  Signature& s = add_signature(m, "forward");
  Graph& g = s.graph;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {6});
  Node n;
  n.op = find_op("non_zero");
  set_default_attributes(*n.op, &n.attributes);
  n.in = {emit(g, "relu", {x})};
  std::vector<ValueId> found;
  emit_node(g, std::move(n), 2, &found);
  const int64_t zero = 0, one = 1, two = 2;
  const ValueId count = reshape(g, emit(g, "data_sizes", {found[1], add_constant(g, TERN_DTYPE_I64, {}, &two)}), {1});
  const ValueId first = add_constant(g, TERN_DTYPE_I64, {1}, &zero), axis = add_constant(g, TERN_DTYPE_I64, {1}, &one);
  const ValueId columns = emit(g, "slice", {found[0], first, count, axis});
  add_output(s, emit(g, "gather", {x, reshape(g, columns, {-1})}, GatherAttrs{0}), "above");
  return m;
}

ModelDef spots_model(const char* filter) {
  ModelDef m;
  Signature& s = add_signature(m, "forward");
  Graph& g = s.graph;
  const ValueId x = add_input(g, "picture", TERN_DTYPE_F32, {1, 8, 8, 1});
  ReduceAttrs quarters;
  quarters.axes = {1, 3};
  const ValueId mean = emit(g, "reduce_mean", {reshape(g, x, {2, 4, 2, 4})}, quarters);
  const ValueId scores = reshape(g, mean, {1, 4, 1});
  static constexpr float kZeros[4] = {};
  add_output(s, scores, "scores");
  add_output(s, mul(g, scores, add_constant(g, TERN_DTYPE_F32, {1, 1, 4}, kZeros)), "boxes");
  // A quarter of the picture for each anchor.
  m.metadata = {{"task", "detector"},      {"input.channels", "grey"},  {"input.scale", "0.00392156862745098"},
                {"output.boxes", "boxes"}, {"output.scores", "scores"}, {"boxes.unit", "anchors"},
                {"boxes.size", "exp"},     {"anchors", "2x2: 0.5x0.5"}, {"result.score", "0.5"},
                {"labels", "bright"},      {"input.filter", filter}};
  return m;
}

// What a task must not take for boxes or points.
constexpr float kInf = HUGE_VALF, kWild[] = {NAN, kInf, -kInf, 3e38f, -3e38f, 1e30f, 700, 0};

// A picture and `content` as a result, whatever is in the picture.
ValueId wild_output(Graph& g, ValueId picture, const Shape& shape, std::span<const float> content) {
  const ValueId zero = mul(g, emit(g, "reduce_mean", {picture}), add_constant(g, 0.0f));
  return add(g, add_constant(g, TERN_DTYPE_F32, shape, content.data()), zero);
}

// Every wild number at every place of a box, with scores of all kinds.
ModelDef wild_detector(const char* nms) {
  ModelDef m;
  constexpr int64_t kBoxes = std::size(kWild) * 4 + 2;
  std::vector<float> boxes((size_t)kBoxes * 6, 0), scores((size_t)kBoxes, 0.9f);
  for (size_t i = 0; i < std::size(kWild) * 4; ++i) {
    boxes[6 * i + i % 4] = kWild[i / 4];
    boxes[6 * i + 4] = kWild[i / 4];
    if (i % 5 == 4) scores[i] = kWild[i / 4];
  }
  Signature& s = add_signature(m, "forward");
  const ValueId x = add_input(s.graph, "picture", TERN_DTYPE_F32, {1, 8, 8, 1});
  add_output(s, wild_output(s.graph, x, {1, kBoxes, 1}, scores), "scores");
  add_output(s, wild_output(s.graph, x, {1, kBoxes, 6}, boxes), "boxes");
  // As many anchors of one cell as there are boxes.
  std::string anchors = "1x1:";
  for (int64_t i = 0; i < kBoxes; ++i) anchors += " 0.5x0.5";
  m.metadata = {{"task", "detector"},
                {"input.channels", "grey"},
                {"output.boxes", "boxes[0:4]"},
                {"output.scores", "scores"},
                {"output.points", "boxes[4:6]"},
                {"boxes.unit", "anchors"},
                {"points.unit", "anchors"},
                {"boxes.size", "exp"},
                {"anchors", anchors},
                {"nms", nms},
                {"result.max", "1000"},
                {"result.overlap", "0.9"},
                {"result.score", "0.5"}};
  return m;
}

// Two landmarks (x, y, depth, visibility, presence) of a person whose score is `score`.
ModelDef points_model(std::span<const float> landmarks, float score) {
  ModelDef m;
  Signature& s = add_signature(m, "forward");
  const ValueId x = add_input(s.graph, "picture", TERN_DTYPE_F32, {1, 8, 8, 3});
  add_output(s, wild_output(s.graph, x, {1, 10}, landmarks), "landmarks");
  add_output(s, wild_output(s.graph, x, {1, 1}, {&score, 1}), "score");
  m.metadata = {{"task", "keypoints"},         {"output.points", "landmarks"},
                {"keypoints.rows", "2"},       {"keypoints.count", "2"},
                {"output.presence", "score"},  {"keypoints.names", "corner\nmiddle"},
                {"keypoints.skeleton", "0,1"}, {"keypoints.depth", "2"},
                {"keypoints.visibility", "3"}, {"keypoints.activation", "sigmoid"}};
  return m;
}

// What a row [4] sees of its sequence: attention over all that was put into the memory up to it.
ModelDef sequences_model() {
  ModelDef m;
  m.states.push_back({"memory", TERN_DTYPE_F32, Shape{200, 1, 4}});
  m.states[0].paged = true;
  Signature& s = add_signature(m, "look");
  Graph& g = s.graph;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {3, 4}), sequence = add_input(g, "sequence", TERN_DTYPE_I32, {3}),
                position = add_input(g, "position", TERN_DTYPE_I64, {3});
  const ValueId row = emit(g, "reshape", {x}, ReshapeAttrs{.shape = {0, 1, 4}});
  const ValueId memory = emit(g, "page_write", {use_state(g, m, 0), row, sequence, position});
  const ValueId seen = emit(g, "paged_attention", {row, memory, memory, sequence, position});
  add_output(s, emit(g, "reshape", {seen}, ReshapeAttrs{.shape = {0, 4}}), "y");
  s.symbols.push_back({"rows", 1, 1000, 3, 1});
  for (int32_t i = 0; i < 3; ++i) s.symbolic_dims.push_back({i, 0, 0});
  s.sequence_input = 1;
  s.position_input = 2;
  s.capacity = 200;
  return m;
}

// A language model of 8 tokens and 64 positions.
ModelDef language_model() {
  ModelDef m;
  TransformerConfig c;
  c.vocab = c.hidden = c.ffn = 8, c.layers = 1, c.heads = 2, c.kv_heads = 1, c.head_dim = 4, c.positions = 64;
  const auto matrix = [&](const char* name, int64_t rows) {
    add_parameter(m, name, Encoding::panel32, {rows, 8}, [rows](size_t i) { return 2 * number(i + (size_t)rows); });
  };
  for (const char* name : {"embed", "layers.0.q", "layers.0.o", "layers.0.gate", "layers.0.up", "layers.0.down"})
    matrix(name, 8);
  matrix("layers.0.k", 4), matrix("layers.0.v", 4);
  if (build_transformer(c, &m) != TERN_OK) m = {};
  return m;
}

// One that gives as many logits as there are rows, though its file has been made for more.
ModelDef wild_language_model() {
  ModelDef m = language_model();
  for (Signature& s : m.signatures) {
    if (s.name == "embed") continue;
    Graph& g = s.graph;
    s.symbols[0].hint = 2;
    const ValueId numbers = emit(g, "cast", {g.inputs[0]}, CastAttrs{TERN_DTYPE_F32});
    g.outputs = {emit(g, "reshape", {numbers}, ReshapeAttrs{.shape = {1, -1}})};
  }
  return m;
}

// loss = mean((x w)^2), w = w - rate * x^T (x w): what gradient descent writes is a state, as files have it.
ModelDef train_model() {
  ModelDef m;
  m.states.push_back({"w", TERN_DTYPE_F32, Shape{4, 4}});
  m.states.push_back({"steps", TERN_DTYPE_F32, Shape{}});
  Signature& s = add_signature(m, "step");
  Graph& g = s.graph;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {3, 4}), w = use_state(g, m, 0), steps = use_state(g, m, 1),
                one = add_constant(g, 1.0f);
  const ValueId y = sub(g, emit(g, "matmul", {x, w}), one);
  add_output(s, emit(g, "reduce_mean", {mul(g, y, y)}), "loss");
  const int64_t order[] = {1, 0};
  emit(g, "sgd_update", {w, emit(g, "matmul", {transpose(g, x, order), y}), add_constant(g, 0.1f)});
  emit(g, "state_write", {steps, add(g, steps, one)}, StateWriteAttrs{0});
  return m;
}

ModelDef slow_model() {
  ModelDef m;
  const int32_t w = add_parameter(m, "w", Encoding::panel32, {512, 512}, [](size_t i) { return number(i) * 0.1f; });
  Signature& s = add_signature(m, "forward");
  const ValueId x = add_input(s.graph, "x", TERN_DTYPE_F32, {512, 512});
  const ValueId weight = use_parameter(s.graph, m, w);
  ValueId y = x;
  for (int i = 0; i < 300; ++i) y = emit(s.graph, "tanh", {emit(s.graph, "linear", {y, weight})});
  add_output(s, y, "y");
  return m;
}

ModelDef plain_model() {
  ModelDef m;
  Signature& s = add_signature(m, "forward");
  static constexpr int16_t kFive = 5;
  add_output(
      s,
      emit(s.graph, "bitwise_xor",
           {add_input(s.graph, "x", TERN_DTYPE_I16, {4, 4}), add_constant(s.graph, TERN_DTYPE_I16, {1}, &kFive)}),
      "y");
  return m;
}

int write(const ModelDef& m, const std::string& path) {
  for (const Signature& s : m.signatures)
    if (s.graph.status != TERN_OK)
      return std::fprintf(stderr, "%s: %s: %s\n", path.c_str(), s.name.c_str(), thread_error().message), 1;
  if (write_model(m, path.c_str()) != TERN_OK)
    return std::fprintf(stderr, "%s: %s\n", path.c_str(), thread_error().message), 1;
  return 0;
}

// An encoder of the words of a text.
ModelDef words_model() {
  using namespace tokens;
  TokenizerDef d;
  d.byte_level = true;
  for (int b = 0; b < 256; ++b) d.pieces.add(std::string(1, (char)b));
  for (const char* piece : {"th", "the", " the", "", "<end>"}) d.pieces.add(piece);
  d.flags.assign(d.pieces.size(), 0);
  d.flags[259] = kTokenUnused;
  d.flags[260] = kTokenApart;
  d.merges = {{'t', 'h'}, {256, 'e'}, {' ', 257}};
  d.added.push_back({260, "<end>", true, false, false, false, false});
  d.cuts.push_back({.pattern = Pattern::gpt2});
  d.after = {260};
  d.eos = 260;
  static std::string stored;
  store_tokenizer(d, &stored);
  ModelDef m = small_model();
  m.tokenizer.bytes = stored.data();
  m.tokenizer_bytes = stored.size();
  return m;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_models FOLDER\n"), 2;
  const std::string folder = argv[1];
  static constexpr float kPoints[] = {0, 0, 0, 9, 0, 4, 4, 0, 9, 0}, kNan[] = {1, NAN, 0, 0, 0, 2, 2, 0, 0, 0},
                         kFar[] = {3e38f, -3e38f, kInf, 0, 0, 2, 2, 0, kInf, 0};
  return write(points_model(kPoints, 0.9f), folder + "/points.tern") |
         write(points_model(kNan, 0.9f), folder + "/wild_nan.tern") |
         write(points_model(kFar, kInf), folder + "/wild_far.tern") |
         write(points_model(kPoints, NAN), folder + "/wild_score.tern") |
         write(wild_detector("hard"), folder + "/wild_hard.tern") |
         write(wild_detector("weighted"), folder + "/wild_weighted.tern") |
         write(words_model(), folder + "/words.tern") | write(train_model(), folder + "/train.tern") |
         write(small_model(), folder + "/small.tern") | write(sequences_model(), folder + "/sequences.tern") |
         write(counter_model(), folder + "/counter.tern") | write(language_model(), folder + "/language.tern") |
         write(wild_language_model(), folder + "/wild_language.tern") |
         write(spots_model("bilinear"), folder + "/spots.tern") |
         write(spots_model("area"), folder + "/spots_area.tern") |
         write(spots_model("cubic"), folder + "/spots_cubic.tern") | write(plain_model(), folder + "/plain.tern") |
         write(mask_model(), folder + "/mask.tern") | write(slow_model(), folder + "/slow.tern");
}
