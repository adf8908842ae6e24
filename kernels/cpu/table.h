// SPDX-License-Identifier: Apache-2.0
// All kernels of one instruction set. A kernel file is `<name>.h` (arguments, function table), `<name>.cpp` (code,
// built once per set) and one line in a list below. Files named `<name>_int8.cpp` are also built for the sets that only
// add instructions for 8-bit integers; such a set takes everything else from the set that it extends. Files named
// `enc_<name>.cpp` are found by the build. A table of kernels that only serve a capability (base/capability.h) has a
// member `capability` with it, and is NULL in a build without.
#pragma once
#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_grad.h"
#include "kernels/cpu/axis_sums.h"
#include "kernels/cpu/batch_norm_train.h"
#include "kernels/cpu/chain.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/conv2d_input_grad.h"
#include "kernels/cpu/conv2d_weight_grad.h"
#include "kernels/cpu/conv_transpose.h"
#include "kernels/cpu/copy.h"
#include "kernels/cpu/cross_entropy.h"
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/depthwise_int8.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/encoded.h"
#include "kernels/cpu/gather.h"
#include "kernels/cpu/inverted_residual.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_f64.h"
#include "kernels/cpu/matmul_int8.h"
#include "kernels/cpu/nms.h"
#include "kernels/cpu/norm_grad.h"
#include "kernels/cpu/normalize.h"
#include "kernels/cpu/paged_attention.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/pool_grad.h"
#include "kernels/cpu/quant.h"
#include "kernels/cpu/recurrence.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/resize.h"
#include "kernels/cpu/roi_align.h"
#include "kernels/cpu/rounded_int8.h"
#include "kernels/cpu/rows_f64.h"
#include "kernels/cpu/softmax.h"
#include "kernels/cpu/ternary_int8.h"
#include "kernels/cpu/topk.h"

// X(type of the table, name): the table is `extern const <type> <name>_kernels` in the namespace of the set.
// Macros, because the lists are expanded into struct members, declarations and initialisers.
// clang-format off
#define TERN_CPU_KERNELS(X) \
  X(MatmulKernels, matmul) \
  X(ConvKernels, conv) \
  X(Conv2dInputGradKernels, conv2d_input_grad) \
  X(Conv2dWeightGradKernels, conv2d_weight_grad) \
  X(ConvTransposeKernels, conv_transpose) \
  X(DepthwiseKernels, depthwise) \
  X(InvertedResidualKernels, inverted_residual) \
  X(AttentionKernels, attention) \
  X(AttentionGradKernels, attention_grad) \
  X(AxisSumsKernels, axis_sums) \
  X(BatchNormTrainKernels, batch_norm_train) \
  X(ChainKernels, chain) \
  X(ConvertKernels, convert) \
  X(CopyKernels, copy) \
  X(CrossEntropyKernels, cross_entropy) \
  X(ElementwiseKernels, elementwise) \
  X(EncodedProducts, encoded) \
  X(NmsKernels, nms) \
  X(NormGradKernels, norm_grad) \
  X(NormalizeKernels, normalize) \
  X(PagedAttentionKernels, paged_attention) \
  X(PoolKernels, pool) \
  X(PoolGradKernels, pool_grad) \
  X(QuantKernels, quant) \
  X(RecurrenceKernels, recurrence) \
  X(ReduceKernels, reduce) \
  X(ResizeKernels, resize) \
  X(RoiAlignKernels, roi_align) \
  X(SoftmaxKernels, softmax) \
  X(TopkKernels, topk)
// clang-format on

// clang-format off
#define TERN_CPU_INT8_KERNELS(X) \
  X(DepthwiseInt8Kernels, depthwise_int8) \
  X(RoundedInt8Kernels, rounded_int8) \
  X(TernaryInt8Kernels, ternary_int8)

// Those of 8-bit integers that sets with matrix tiles have of their own.
#define TERN_CPU_TILE_KERNELS(X) \
  X(MatmulInt8Kernels, matmul_int8)

// Those of f64, which vectors of 512 bits make little faster: models of f64 are few.
#define TERN_CPU_F64_KERNELS(X) \
  X(MatmulF64Kernels, matmul_f64) \
  X(RowsF64Kernels, rows_f64)

// Those without vectors: all sets have them of the first one.
#define TERN_CPU_PLAIN_KERNELS(X) \
  X(GatherKernels, gather)
// clang-format on

namespace tern::cpu {

struct Kernels {
  const char* isa;   // "baseline", "avx2", "avx512", "neon", ...
  int vector_bytes;  // of one register
#define TERN_MEMBER(Type, name) const Type* name;
  TERN_CPU_KERNELS(TERN_MEMBER)
  TERN_CPU_INT8_KERNELS(TERN_MEMBER)
  TERN_CPU_TILE_KERNELS(TERN_MEMBER)
  TERN_CPU_F64_KERNELS(TERN_MEMBER)
  TERN_CPU_PLAIN_KERNELS(TERN_MEMBER)
#undef TERN_MEMBER
  const EncodedKernels* encodings[kNumEncodings];

  const EncodedKernels& of(Encoding e) const { return *encodings[(int)e]; }
};

}  // namespace tern::cpu
