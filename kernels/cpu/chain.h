// SPDX-License-Identifier: Apache-2.0
// Chain: a small program of element-wise f32 steps run block by block in the first-level cache, so that a spelled-out
// hard-swish, PReLU, batch norm or gate costs one pass over memory.
#pragma once
#include "kernels/cpu/elementwise.h"

namespace tern::cpu {

constexpr int kChainSteps = 16;   // steps of one program
constexpr int kChainTensors = 6;  // tensors, channel vectors and row scalars together
constexpr int64_t kChainBlock = 512;

enum class ChainSource : int32_t {
  step,      // result of step `index` (an earlier one)
  tensor,    // tensors[index], dense [rows, channels]
  constant,  // `value`
  channel,   // tensors[index] = [groups, channels]: element [row / group_rows, c]; see group_rows
  row,       // tensors[index] = [rows]: one value per row
};
struct ChainOperand {
  ChainSource source = ChainSource::constant;
  int32_t index = 0;
  float value = 0;
};
struct ChainStep {
  int32_t is_binary = 0;
  ElementwiseStep op;  // any f32 -> f32 op
  ChainOperand a, b;   // b only for a binary step
  int32_t slot = 0;    // filled by plan()
};

// Codes of a dense tensor with one scale: (code - zero) * scale, as in quant.h.
struct ChainCodes {
  int32_t dtype = TERN_DTYPE_F32;  // U8 or I8; F32: there are none
  void* codes = nullptr;           // written in that of y only
  const float* scale = nullptr;
  const int32_t* zero = nullptr;  // or NULL = 0
};

// y = result of the last step, dense f32 [rows, channels]; y may be the same memory as a tensor operand.
// A program without channel and row operands is planned as one flat vector (rows and channels are rewritten).
// group_rows: rows that share one channel vector (0 = all rows: the vector is [channels]; height * width for a gate per
// image). Units: blocks of rows, or of columns when rows == 1. Scratch: chain_scratch bytes. Cost per unit: about
// (steps + 1) * 0.3 us for arithmetic steps.
struct ChainArgs {
  int32_t steps = 0;
  ChainStep step[kChainSteps];
  const float* tensors[kChainTensors] = {};
  ChainCodes codes[kChainTensors];  // where there are some, they are the tensor (ChainSource::tensor only)
  float* y = nullptr;
  ChainCodes y_codes;  // where there are some, they are the result
  int64_t rows = 1, channels = 0, group_rows = 0;
  // Filled by plan().
  int32_t slots = 0;  // block buffers in use at once
  int64_t block_rows = 0, block_cols = 0, units = 0;
};

struct ChainKernels {
  KernelFn chain;  // ChainArgs
};

inline size_t chain_scratch(const ChainArgs& a) {
  return (size_t)(a.slots + kChainTensors + 1) * kChainBlock * sizeof(float);
}

// Checks the program, gives each step a buffer and cuts the work into units. False: the program is not valid (an
// operand names a later step or a tensor that is NULL).
inline bool plan(ChainArgs& a) {
  if (a.steps < 1 || a.steps > kChainSteps) return false;
  int last_use[kChainSteps];
  bool flat = true;
  for (int s = 0; s < a.steps; ++s) {
    last_use[s] = s;
    const ChainStep& step = a.step[s];
    for (int k = 0; k <= (step.is_binary ? 1 : 0); ++k) {
      const ChainOperand& o = k ? step.b : step.a;
      if (o.source == ChainSource::step) {
        if (o.index < 0 || o.index >= s) return false;
        last_use[o.index] = s;
      } else if (o.source != ChainSource::constant) {
        if (o.index < 0 || o.index >= kChainTensors) return false;
        const bool coded = a.codes[o.index].dtype != TERN_DTYPE_F32;
        if (coded ? o.source != ChainSource::tensor : !a.tensors[o.index]) return false;
        if (o.source != ChainSource::tensor) flat = false;
      }
    }
  }
  bool used[kChainSteps] = {};
  a.slots = 0;
  for (int s = 0; s < a.steps; ++s) {  // a step may overwrite an operand that ends here: all ops allow y == x
    for (int i = 0; i < s; ++i)
      if (last_use[i] == s) used[a.step[i].slot] = false;
    int slot = 0;
    while (used[slot]) ++slot;
    a.step[s].slot = slot;
    used[slot] = last_use[s] > s;
    if (slot + 1 > a.slots) a.slots = slot + 1;
  }
  if (flat) {
    a.channels *= a.rows;
    a.rows = 1;
  }
  const int64_t dims[2] = {a.rows, a.channels};
  plan_blocks(2, dims, 8 * kChainBlock, &a.block_rows, &a.block_cols, &a.units);
  return true;
}

}  // namespace tern::cpu
