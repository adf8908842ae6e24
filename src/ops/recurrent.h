// SPDX-License-Identifier: Apache-2.0
// Attributes of rnn, gru and lstm.
#pragma once
#include "ops/op.h"

namespace tern {

enum RecurrentDirection : int64_t { kForward = 0, kReverse = 1, kBidirectional = 2 };
enum RecurrentActivation : int64_t {
  kTanh, kSigmoid, kRelu, kAffine, kLeakyRelu, kThresholdedRelu, kScaledTanh, kHardSigmoid, kElu, kSoftsign, kSoftplus,
  kNumRecurrentActivations
};

struct RecurrentAttrs {
  int64_t direction = kForward;
  // Of the functions f, g, h in the order of ONNX (rnn: f; gru: f, g; lstm: f, g, h), first those of the forward direction,
  // then those of the reverse one. Empty: the defaults (rnn: tanh; gru: sigmoid, tanh; lstm: sigmoid, tanh, tanh).
  IntList activations;
  double clip = 0;                 // of the arguments of activations to [-clip, clip]; 0 = none
  int64_t linear_before_reset = 0; // gru
  int64_t input_forget = 0;        // lstm: the forget gate is 1 - input gate
};

}  // namespace tern
