// SPDX-License-Identifier: Apache-2.0
// What the losses share. Each computes its terms, one a row or element, in f32 or f64 and reduces them:
//   none  the terms; sum; mean  their sum over the number (or weight) of those that count, 0 where none does
//   batchmean  (kl_divergence) their sum over the first dim
#pragma once
#include <cstddef>

#include "ops/op.h"

namespace tern {

enum LossReduction : int64_t { kLossNone, kLossMean, kLossSum, kLossBatchMean };
inline constexpr const char* kLossReductions[] = {"none", "mean", "sum", "batchmean"};

// kl_divergence
struct KlAttrs {
  int64_t reduction = kLossMean;
  double temperature = 1;
  int64_t temperature_squared = 0;
};
// ctc_alignment
struct CtcAttrs {
  int64_t blank = 0, zero_infinity = 0;
};

inline constexpr double kLargestIndex = 1e15;  // of ignore_index

// output 0 = type of input 0, the shape of the terms or none
tern_status infer_loss(const InferArgs& a, const Shape& terms, int64_t reduction);
// ctc_loss, ctc_alignment: types and shapes of the inputs
tern_status require_ctc(const InferArgs& a, int64_t blank);
// Inputs 0 and 1 are floats of one type and shape, of at least `min_rank` dims.
tern_status require_pair(const InferArgs& a, int min_rank);
// A gradient that an operator computes beside its loss (output i) is not differentiated again.
bool refuse_second_gradient(VjpArgs& a, int first);

// Sets output 0. counted: what each term counts in a mean; kNoValue: 1.
void set_loss(DecomposeArgs& a, ValueId terms, int64_t reduction, ValueId counted = kNoValue);

// Labels as i64 [rows], those to be ignored as 0, and which these are.
struct Labels {
  ValueId safe, ignored;
};
Labels loss_labels(Graph& g, ValueId labels, int64_t ignore_index);

// -t log(sigmoid(x)) positive_weight - (1 - t) log(1 - sigmoid(x)); the weight may be absent
ValueId binary_cross_entropy(Graph& g, ValueId x, ValueId t, ValueId positive_weight);
// Sums over the last axis, which goes.
ValueId sum_last(Graph& g, ValueId x);
ValueId constant_i64(Graph& g, int64_t value);

}  // namespace tern
