// SPDX-License-Identifier: Apache-2.0
// ONNX operators with sub-graphs, and recurrent layers.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "import/onnx.h"
#include "passes/open_axes.h"

namespace tern {
namespace {

tern_status lower_if(OnnxNode& n) {
  Builder& b = n.b;
  const onnx::AttributeProto *yes = n.attribute("then_branch"), *no = n.attribute("else_branch");
  if (!yes || !no || !yes->has_g() || !no->has_g()) return TERN_FAIL(TERN_ERR_CORRUPT, "If lacks a branch");
  if (yes->g().output_size() != n.num_out() || no->g().output_size() != n.num_out())
    return TERN_FAIL(TERN_ERR_CORRUPT, "If: its branches have %d and %d outputs instead of %d", yes->g().output_size(),
                     no->g().output_size(), n.num_out());
  ValueId condition = n.constant_in(0);
  TERN_TRY(b.status());
  if (condition == kNoValue) return TERN_FAIL(TERN_ERR_CORRUPT, "If lacks its condition");
  if (b.rank(condition) != 0) condition = b.reshape(condition, {});
  TERN_TRY(b.status());
  // Exporters ask for sizes at every squeeze, and the branches' outputs differ in rank then.
  const auto taken = b.known_integers(condition);
  if (taken && b.dtype(condition) == TERN_DTYPE_BOOL) return n.in_place((*taken)[0] ? yes->g() : no->g());
  const bool by_sizes = b.value(condition).data && !b.from_data(condition);
  std::vector<ValueId> captures;
  OnnxNode::Branch then_branch, else_branch;
  const OnnxNode::Counted counted = n.counted();
  tern_status s = n.branch(yes->g(), {}, &captures, &then_branch);
  if (s == TERN_OK) s = n.branch(no->g(), {}, &captures, &else_branch);
  const BranchSizes outcome =
      s == TERN_OK ? compare_branches(b.sizes, then_branch.g, else_branch.g) : BranchSizes{false, false};
  if (!outcome.same_rank && by_sizes) {
    // What comes behind it is for one of the branches: that of these sizes, and of all for which the condition is the
    // same.
    n.set_counted(counted);
    return n.in_place(load_integer(TERN_DTYPE_BOOL, b.value(condition).data.bytes, 0) ? yes->g() : no->g(), condition);
  }
  if (s == TERN_OK && !outcome.same_rank)
    return n.unsupported("a condition that depends on data, and branches whose outputs differ in their number of dims");
  if (s == TERN_ERR_SHAPE)
    add_to_error(
        "; both branches of an If must fit the inputs' sizes, unless it is known which runs: where an input decides, "
        "give its value, as in --input-value sr=16000");
  TERN_TRY(s);
  // Only the branch that runs need fit the sizes of a run.
  if (!outcome.same_shape || decides_in_plan(then_branch.g) || decides_in_plan(else_branch.g))
    condition = b.sized_itself(condition);
  n.close_branches({&then_branch, &else_branch}, captures);
  std::vector<ValueId> in{condition};
  in.insert(in.end(), captures.begin(), captures.end());
  std::vector<Graph> subgraphs;
  subgraphs.push_back(std::move(then_branch.g));
  subgraphs.push_back(std::move(else_branch.g));
  const std::vector<ValueId> out = b.control("if", in, {}, n.num_out(), std::move(subgraphs));
  for (int i = 0; i < n.num_out(); ++i) n.set(i, out[(size_t)i]);
  return TERN_OK;
}

// Is it known that nothing but the number of trips, which a plan knows, ends the loop?
bool runs_all_trips(const Builder& b, const Graph& body, ValueId most, ValueId condition) {
  const auto holds = [](const Value& v) { return has_fixed_content(v) && load_integer(v.dtype, v.data.bytes, 0) != 0; };
  if (most == kNoValue || !b.value(most).data || (condition != kNoValue && !holds(b.value(condition)))) return false;
  ValueId again = body.outputs[0];
  while (body.value(again).producer >= 0 &&
         std::string_view(body.nodes[(size_t)body.value(again).producer].op->name) == "reshape")
    again = body.nodes[(size_t)body.value(again).producer].in[0];
  return again == body.inputs[1] || holds(body.value(again));
}

tern_status lower_loop(OnnxNode& n) {
  Builder& b = n.b;
  const onnx::AttributeProto* body = n.attribute("body");
  if (!body || !body->has_g()) return TERN_FAIL(TERN_ERR_CORRUPT, "Loop lacks its body");
  ValueId most = n.constant_in(0), condition = n.constant_in(1);
  TERN_TRY(b.status());
  if (most != kNoValue && b.rank(most) != 0) most = b.reshape(most, {});
  if (condition != kNoValue && b.rank(condition) != 0) condition = b.reshape(condition, {});
  const int carried = n.num_in() - 2;
  if (carried < 0 || body->g().input_size() != carried + 2 || body->g().output_size() != n.num_out() + 1 ||
      n.num_out() < carried)
    return TERN_FAIL(TERN_ERR_CORRUPT, "Loop: its body has %d inputs and %d outputs", body->g().input_size(),
                     body->g().output_size());
  const uint8_t yes = 1;
  std::vector<ValueId> like{b.integer(0), b.constant(TERN_DTYPE_BOOL, Shape{}, &yes)}, in{most, condition};
  for (int i = 0; i < carried; ++i) {
    const ValueId v = n.constant_in(2 + i);
    TERN_TRY(b.status());
    if (v == kNoValue) return TERN_FAIL(TERN_ERR_CORRUPT, "Loop lacks an input");
    in.push_back(v);
    like.push_back(v);
  }
  std::vector<ValueId> captures;
  OnnxNode::Branch branch;
  // Dims of carried values that another iteration may find changed, until no more of them turn up.
  std::vector<uint32_t> open(like.size());
  for (bool again = true; again;) {
    again = false;
    captures.clear();
    branch = {};
    TERN_TRY(n.branch(body->g(), like, &captures, &branch, open));
    if (!find_open_axes(b.sizes, branch.g, (size_t)carried, &open, &again))
      return n.unsupported("carried values that change their number of dims");
  }
  const bool grows = std::any_of(open.begin(), open.end(), [](uint32_t axes) { return axes != 0; }) ||
                     depends_on_data(branch.g) ||
                     (n.num_out() > carried && !runs_all_trips(b, branch.g, most, condition));
  n.close_branches({&branch}, captures);
  in.insert(in.end(), captures.begin(), captures.end());
  std::vector<Graph> subgraphs;
  subgraphs.push_back(std::move(branch.g));
  const std::vector<ValueId> out =
      b.control("loop", in, {{"num_carried", carried}, {"grows", grows}}, n.num_out(), std::move(subgraphs));
  for (int i = 0; i < n.num_out(); ++i) n.set(i, out[(size_t)i]);
  return TERN_OK;
}

// ---- recurrent ----

int activation_index(const std::string& name) {
  constexpr const char* names[] = {"Tanh",       "Sigmoid",     "Relu", "Affine",   "LeakyRelu", "ThresholdedRelu",
                                   "ScaledTanh", "HardSigmoid", "Elu",  "Softsign", "Softplus"};
  for (int i = 0; i < (int)std::size(names); ++i)
    if (name == names[i]) return i;
  return -1;
}

constexpr int kLengths = 4, kFirstStates[] = {5, 6};  // inputs

// Row `direction` of the leading dim of input i, whose value is v. A weight becomes a parameter of its own.
ValueId of_direction(OnnxNode& n, int i, ValueId v, int64_t direction) {
  Builder& b = n.b;
  DType as = TERN_DTYPE_NONE;
  const bool state = i == kFirstStates[0] || i == kFirstStates[1];
  const TensorData* t = state ? nullptr : n.weight(i, &as);
  if (t && as == t->dtype && is_float(as) && t->shape.rank > 0 && t->shape[0] == 2 && t->elements() > 0) {
    TensorData row = *t;
    row.shape[0] = 1;
    row.data.bytes = (const unsigned char*)t->data.bytes + row.bytes() * (uint64_t)direction;
    row.name += direction ? ".reverse" : ".forward";
    return b.parameter(row);
  }
  return b.ops("split", {v}, {{"axis", 0}}, 2)[(size_t)direction];
}

// Two directions: each by itself, so that no run has to cut the weights in two.
std::vector<ValueId> both_directions(OnnxNode& n, const char* name, const std::vector<ValueId>& in, const Attrs& attrs,
                                     const IntList& activations, int num_out) {
  Builder& b = n.b;
  std::vector<ValueId> out[2];
  for (int64_t direction = 0; direction < 2; ++direction) {
    std::vector<ValueId> own = in;
    for (size_t i = 1; i < own.size(); ++i)
      if (i != kLengths && own[i] != kNoValue) own[i] = of_direction(n, (int)i, own[i], direction);
    Attrs a = attrs;
    a.push_back({"direction", direction});
    if (const int64_t each = activations.count / 2)
      a.push_back({"activations", int_list({activations.items + direction * each, (size_t)each})});
    out[direction] = b.ops(name, own, a, num_out);
  }
  for (size_t i = 0; i < out[0].size(); ++i)
    out[0][i] = b.op("concat", {out[0][i], out[1][i]}, {{"axis", i == 0 ? 1 : 0}});
  return out[0];
}

tern_status lower_recurrent(OnnxNode& n) {
  Builder& b = n.b;
  const std::string& type = n.type();
  std::vector<ValueId> in = n.ins();
  TERN_TRY(b.status());
  const int states = type == "LSTM" ? 2 : 1;
  const bool batch_first = n.integer("layout", 0) != 0;
  const std::string direction = n.text("direction", "forward");
  const int directions = direction == "bidirectional" ? 2 : 1;
  if (directions == 1 && direction != "forward" && direction != "reverse")
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: direction '%.40s'", type.c_str(), direction.c_str());
  const int64_t hidden = n.integer("hidden_size", 0);
  if (in.size() < 3 || in[0] < 0 || in[1] < 0 || in[2] < 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s lacks an input", type.c_str());
  if (b.rank(in[2]) != 3 || (hidden && b.value(in[2]).shape[2] != hidden))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: hidden_size is not that of the weights", type.c_str());
  Attrs attrs = {{"clip", n.number("clip", 0)}};
  IntList activations;
  if (type == "GRU") attrs.push_back({"linear_before_reset", n.integer("linear_before_reset", 0)});
  if (type == "LSTM") attrs.push_back({"input_forget", n.integer("input_forget", 0)});
  if (n.has_attribute("activation_alpha") || n.has_attribute("activation_beta"))
    return n.unsupported("activation_alpha or activation_beta");
  if (const onnx::AttributeProto* a = n.attribute("activations")) {
    const int each = type == "LSTM" ? 3 : type == "GRU" ? 2 : 1;
    if (a->strings_size() != each * directions)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %d activations", type.c_str(), a->strings_size());
    for (const std::string& s : a->strings()) {
      const int k = activation_index(s);
      if (k < 0) return n.unsupported("activation " + s.substr(0, 40));
      activations.items[activations.count++] = k;
    }
  }
  // Batch-first inputs and outputs are turned; the operator is time-first.
  if (batch_first) {
    in[0] = b.transpose(in[0], {1, 0, 2});
    for (int i = kFirstStates[0]; i < kFirstStates[0] + states && i < (int)in.size(); ++i)
      if (in[(size_t)i] != kNoValue) in[(size_t)i] = b.transpose(in[(size_t)i], {1, 0, 2});
  }
  const char* name = type == "LSTM" ? "lstm" : type == "GRU" ? "gru" : "rnn";
  std::vector<ValueId> out;
  if (directions == 2) {
    out = both_directions(n, name, in, attrs, activations, 1 + states);
  } else {
    attrs.push_back({"direction", direction == "reverse"});
    if (activations.count) attrs.push_back({"activations", activations});
    out = b.ops(name, in, attrs, 1 + states);
  }
  TERN_TRY(b.status());
  if (batch_first) {
    out[0] = b.transpose(out[0], {2, 0, 1, 3});
    for (int i = 1; i <= states; ++i) out[(size_t)i] = b.transpose(out[(size_t)i], {1, 0, 2});
  }
  for (int i = 0; i <= states; ++i) n.set(i, out[(size_t)i]);
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"If", lower_if},         {"Loop", lower_loop},     {"LSTM", lower_recurrent},
    {"GRU", lower_recurrent}, {"RNN", lower_recurrent},
};

}  // namespace

std::span<const OnnxOp> onnx_control_ops() { return kOps; }

}  // namespace tern
