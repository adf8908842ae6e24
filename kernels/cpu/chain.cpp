// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/chain.h"

#include <string.h>

#include "kernels/cpu/quant.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

extern const ElementwiseKernels elementwise_kernels;
extern const QuantKernels quant_kernels;

namespace {

struct Block {
  const ChainArgs* args;
  float* slots;      // [slots][kChainBlock]
  float* laid_out;   // [kChainTensors][kChainBlock]: channel vectors and row scalars repeated over the rows of a block,
                     // values of codes
  float* result;     // [kChainBlock]: what becomes codes
  int64_t row, col;  // first element
  int64_t n;
  float* y;
  bool whole_rows;  // the block is a number of whole rows, else a part of one
};

// Channel vectors repeat within a block of whole rows; they are laid out again only when the group changes.
void lay_out(Block& b, int index, ChainSource source, int64_t* laid_group) {
  const ChainArgs& a = *b.args;
  float* out = b.laid_out + index * kChainBlock;
  const float* x = a.tensors[index];
  const int64_t rows = b.n / a.channels;
  if (source == ChainSource::row) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < a.channels; ++c) *out++ = x[b.row + r];
    return;
  }
  const int64_t first = a.group_rows > 0 ? b.row / a.group_rows : 0,
                last = a.group_rows > 0 ? (b.row + rows - 1) / a.group_rows : 0;
  if (first == last && *laid_group == first) return;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t group = a.group_rows > 0 ? (b.row + r) / a.group_rows : 0;
    memcpy(out + r * a.channels, x + group * a.channels, (size_t)a.channels * sizeof(float));
  }
  if (first != last) *laid_group = -1;
  else if (rows * a.channels + a.channels > kChainBlock || rows == a.block_rows) *laid_group = first;
  else *laid_group = -1;  // a short last block: lay out again next time
}

const float* find(const Block& b, const ChainOperand& o, int* scalar) {
  const ChainArgs& a = *b.args;
  *scalar = 0;
  switch (o.source) {
    case ChainSource::step: return b.slots + a.step[o.index].slot * kChainBlock;
    case ChainSource::tensor:
      if (a.codes[o.index].dtype != TERN_DTYPE_F32) return b.laid_out + o.index * kChainBlock;
      return a.tensors[o.index] + b.row * a.channels + b.col;
    case ChainSource::constant: *scalar = 1; return &o.value;
    case ChainSource::channel:
      if (b.whole_rows) return b.laid_out + o.index * kChainBlock;
      return a.tensors[o.index] + (a.group_rows > 0 ? b.row / a.group_rows * a.channels : 0) + b.col;
    case ChainSource::row:
      if (b.whole_rows) return b.laid_out + o.index * kChainBlock;
      *scalar = 1;
      return a.tensors[o.index] + b.row;
  }
  return nullptr;
}

// n values at `x` and their codes, from element `at` on.
QuantArgs quant_args(const ChainCodes& c, int64_t at, float* x, int64_t n) {
  QuantArgs q;
  q.dtype = c.dtype, q.scale = c.scale, q.zero = c.zero;
  q.x = x, q.q = (char*)c.codes + at, q.inner = n;
  return q;
}

// The values that y, or for codes `result`, holds from the block's first element on.
void run_block(Block& b) {
  const ChainArgs& a = *b.args;
  const int64_t at = b.row * a.channels + b.col;
  b.y = a.y_codes.dtype == TERN_DTYPE_F32 ? a.y + at : b.result;
  for (int k = 0; k < kChainTensors; ++k) {
    if (a.codes[k].dtype == TERN_DTYPE_F32) continue;
    const QuantArgs q = quant_args(a.codes[k], at, b.laid_out + k * kChainBlock, b.n);
    quant_kernels.dequantise(&q, 0, 1, nullptr);
  }
  for (int s = 0; s < a.steps; ++s) {
    const ChainStep& step = a.step[s];
    float* y = s == a.steps - 1 ? b.y : b.slots + step.slot * kChainBlock;
    int a_scalar, b_scalar = 0;
    const float* x = find(b, step.a, &a_scalar);
    float spread[1];
    if (step.is_binary) {
      const float* z = find(b, step.b, &b_scalar);
      elementwise_kernels.binary_row(step.op.kind, x, a_scalar, z, b_scalar, y, b.n);
    } else if (a_scalar) {
      elementwise_kernels.unary_row(step.op, x, spread, 1);
      for (int64_t i = 0; i < b.n; ++i) y[i] = *spread;
    } else {
      elementwise_kernels.unary_row(step.op, x, y, b.n);
    }
  }
  if (a.y_codes.dtype == TERN_DTYPE_F32) return;
  const QuantArgs q = quant_args(a.y_codes, at, b.result, b.n);
  quant_kernels.quantise(&q, 0, 1, nullptr);
}

void chain(const void* args, int64_t begin, int64_t end, void* scratch) {
  const ChainArgs& a = *(const ChainArgs*)args;
  Block b = {&a,
             (float*)scratch,
             (float*)scratch + a.slots * kChainBlock,
             (float*)scratch + (a.slots + kChainTensors) * kChainBlock,
             0,
             0,
             0,
             nullptr,
             false};
  bool needed[kChainTensors] = {};
  ChainSource source[kChainTensors] = {};
  int64_t laid_group[kChainTensors];
  for (int k = 0; k < kChainTensors; ++k) laid_group[k] = -1;
  for (int s = 0; s < a.steps; ++s)
    for (int k = 0; k <= (a.step[s].is_binary ? 1 : 0); ++k) {
      const ChainOperand& o = k ? a.step[s].b : a.step[s].a;
      if (o.source == ChainSource::channel || o.source == ChainSource::row)
        needed[o.index] = true, source[o.index] = o.source;
    }
  const int64_t col_blocks = (a.channels + a.block_cols - 1) / a.block_cols;
  b.whole_rows = a.channels <= kChainBlock && a.rows > 1;
  const int64_t step_rows = b.whole_rows ? kChainBlock / a.channels : 1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first_row = unit / col_blocks * a.block_rows, first_col = unit % col_blocks * a.block_cols;
    const int64_t stop_row = first_row + a.block_rows < a.rows ? first_row + a.block_rows : a.rows;
    const int64_t stop_col = first_col + a.block_cols < a.channels ? first_col + a.block_cols : a.channels;
    for (b.row = first_row; b.row < stop_row; b.row += step_rows) {
      if (b.whole_rows) {
        b.col = 0;
        b.n = (stop_row - b.row < step_rows ? stop_row - b.row : step_rows) * a.channels;
        for (int k = 0; k < kChainTensors; ++k)
          if (needed[k]) lay_out(b, k, source[k], &laid_group[k]);
        run_block(b);
        continue;
      }
      for (b.col = first_col; b.col < stop_col; b.col += kChainBlock) {
        b.n = stop_col - b.col < kChainBlock ? stop_col - b.col : kChainBlock;
        run_block(b);
      }
    }
  }
}

}  // namespace

extern const ChainKernels chain_kernels;
const ChainKernels chain_kernels = {chain};

}  // namespace tern::cpu::TERN_ISA
