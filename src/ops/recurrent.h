// SPDX-License-Identifier: Apache-2.0
// Recurrent layers: rnn, gru, lstm. Layouts and formulas are those of ONNX (layout 0).
//
//   input  0  x  [tokens, batch, inputs] float       1  w  [directions, gates * hidden, inputs]
//          2  r  [directions, gates * hidden, hidden]     3  bias  optional [directions, 2 * gates * hidden]: of w,
//                                                                  then of r
//          4  lengths  optional integer [batch]: a sequence ends there (values outside [0, tokens] are cut to it)
//          5  first h  optional [directions, batch, hidden]     lstm: 6  first c, 7  peepholes [directions, 3 * hidden]
//   output 0  y  [tokens, directions, batch, hidden], zeros beyond the length     1  last h     lstm: 2  last c
//
// They are composites, one group of nodes per token, so that their gradient follows from primitives. Thus a sequence
// has 1 to kMaxTokens tokens.
#pragma once
#include <cstddef>
#include <vector>

#include "ops/op.h"

namespace tern {

enum RecurrentDirection : int64_t { kForward = 0, kReverse = 1, kBidirectional = 2 };
// With the parameters that ONNX takes as defaults.
enum RecurrentActivation : int64_t {
  kTanh,
  kSigmoid,
  kRelu,
  kAffine,
  kLeakyRelu,
  kThresholdedRelu,
  kScaledTanh,
  kHardSigmoid,
  kElu,
  kSoftsign,
  kSoftplus,
  kNumRecurrentActivations
};

struct RecurrentAttrs {
  int64_t direction = kForward;
  // RecurrentActivation of the functions f, g, h in the order of ONNX (rnn: f; gru: f, g; lstm: f, g, h), those of the
  // reverse direction after those of the forward one. Empty: the defaults (rnn: tanh; gru: sigmoid, tanh; lstm:
  // sigmoid, tanh, tanh).
  IntList activations;
  double clip = 0;                  // cuts the arguments of activations to [-clip, clip]; 0 = none
  int64_t linear_before_reset = 0;  // gru: the reset gate acts after the product with r
  int64_t input_forget = 0;         // lstm: the forget gate is 1 - input gate
};

constexpr int64_t kMaxTokens = 4096;

inline constexpr const char* kRecurrentDirections[] = {"forward", "reverse", "bidirectional"};
inline constexpr AttrField kRecurrentFields[] = {
    TERN_ATTR(RecurrentAttrs, direction, choice, 0, 2, kRecurrentDirections),
    TERN_ATTR(RecurrentAttrs, activations, integers, 0, kNumRecurrentActivations - 1),
    TERN_ATTR(RecurrentAttrs, clip, number, 0, 1e6),
    TERN_ATTR(RecurrentAttrs, linear_before_reset, integer, 0, 1),
    TERN_ATTR(RecurrentAttrs, input_forget, integer, 0, 1),
};

// What one direction carries from token to token.
struct RecurrentCell {
  Graph& g;
  const RecurrentAttrs& p;
  int direction = 0;                                      // 0 the first, 1 the second
  std::vector<ValueId> r, r_bias;                         // parts of r and of its bias (empty if absent)
  ValueId peepholes[3] = {kNoValue, kNoValue, kNoValue};  // [hidden]
  ValueId h = kNoValue, c = kNoValue;                     // [batch, hidden]; c of lstm only

  // x r^T + bias of r, for one part of r
  ValueId product(ValueId x, size_t part) const;
  // Function `which` (f, g, h = 0, 1, 2) of the `num` that the operator has
  ValueId activate(ValueId x, int which, int num) const;
};

// Equal parts of x along an axis.
std::vector<ValueId> split(Graph& g, ValueId x, int64_t parts, int64_t axis);

tern_status infer_recurrent(InferArgs& a, int64_t gates, int num_activations);
// step moves h and c on by one token, from the token's x w^T + bias of w [batch, gates * hidden]. r comes in `parts`
// parts.
void decompose_recurrent(DecomposeArgs& a, int64_t gates, int64_t parts, void (*step)(RecurrentCell& s, ValueId token));

}  // namespace tern
