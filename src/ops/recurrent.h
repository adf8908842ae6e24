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
// They are composites: for each direction the product of all tokens with w, then `recurrence`.
#pragma once
#include <cstddef>

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
enum RecurrentCell : int64_t { kRnn, kGru, kLstm };
constexpr int64_t gates_of(int64_t cell) { return cell == kLstm ? 4 : cell == kGru ? 3 : 1; }
constexpr int functions_of(int64_t cell) { return cell == kLstm ? 3 : cell == kGru ? 2 : 1; }

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

inline constexpr const char* kRecurrentDirections[] = {"forward", "reverse", "bidirectional"};
inline constexpr AttrField kRecurrentFields[] = {
    TERN_ATTR(RecurrentAttrs, direction, choice, 0, 2, kRecurrentDirections),
    TERN_ATTR(RecurrentAttrs, activations, integers, 0, kNumRecurrentActivations - 1),
    TERN_ATTR(RecurrentAttrs, clip, number, 0, 1e6),
    TERN_ATTR(RecurrentAttrs, linear_before_reset, integer, 0, 1),
    TERN_ATTR(RecurrentAttrs, input_forget, integer, 0, 1),
};

// Of `recurrence`; fields of the same name as above, for one direction.
struct RecurrenceAttrs {
  int64_t cell = kRnn;
  int64_t reverse = 0;  // from the last token to the first
  IntList activations;
  double clip = 0;
  int64_t linear_before_reset = 0;
  int64_t input_forget = 0;
};

// The operator of function `which` (f, g, h = 0, 1, 2), with its attributes; without an operator: y = x.
Node activation_node(const RecurrenceAttrs& p, int which);

tern_status infer_recurrent(InferArgs& a, RecurrentCell cell);
void decompose_recurrent(DecomposeArgs& a, RecurrentCell cell);

}  // namespace tern
