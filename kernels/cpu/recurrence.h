// SPDX-License-Identifier: Apache-2.0
// The steps of a recurrent layer in one direction, f32 (src/ops/recurrence.cpp says what is computed). Unit: a sequence
// of the batch; those of a call go through the tokens side by side, so that r is read once for all.
#pragma once
#include "base/panel.h"
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

enum class RecurrenceCell : int32_t { rnn, gru, lstm };

struct RecurrenceArgs {
  RecurrenceCell cell = RecurrenceCell::rnn;
  int32_t reverse = 0, linear_before_reset = 0, input_forget = 0;
  float clip = 0;                 // 0: none
  ElementwiseStep activation[3];  // kind none: y = x
  const float* x = nullptr;       // [tokens, batch, gates * hidden]
  // Panel order of [gates * hidden, hidden]; for gru of each gate by itself
  const void* r = nullptr;
  const float* bias = nullptr;       // [2 * gates * hidden] or NULL
  const int64_t* lengths = nullptr;  // [batch] or NULL
  const float* first_h = nullptr;    // [batch, hidden] or NULL
  const float* first_c = nullptr;    // likewise
  const float* peepholes = nullptr;  // [3 * hidden] or NULL
  float *y = nullptr, *h = nullptr;  // [tokens, batch, hidden], [batch, hidden]
  float* c = nullptr;                // likewise, of lstm
  int64_t tokens = 0, batch = 0, hidden = 0;

  int64_t gates() const { return cell == RecurrenceCell::lstm ? 4 : cell == RecurrenceCell::gru ? 3 : 1; }
};
static inline double recurrence_unit_flops(const RecurrenceArgs& a) {
  return (double)a.tokens * (double)(a.gates() * a.hidden) * (2.0 * (double)a.hidden + 30.0);
}
// The biases; for each sequence the sums of all gates and one more row.
static inline size_t recurrence_scratch_bytes(const RecurrenceArgs& a) {
  const int64_t row = a.gates() * a.hidden;
  return (size_t)((1 + a.batch) * (row + a.hidden)) * sizeof(float);
}

struct RecurrenceKernels {
  KernelFn run;
};

}  // namespace tern::cpu
