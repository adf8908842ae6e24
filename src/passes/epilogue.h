// SPDX-License-Identifier: Apache-2.0
// The chain of element-wise nodes behind a convolution or a matrix product that one kernel can apply before it stores a
// sum. The fusion pass and backends read chains by the same rules:
//
//   sums -> affine* -> [+ residual] -> [activation -> affine*] -> [+ residual -> [clip]]      one residual at most
//
// affine: a scale or a shift per channel.
#pragma once
#include "ops/op.h"

namespace tern {

class EpilogueMatch {
 public:
  // A step per channel (the last dim): mul by a, add a, or batch_norm with scale a, bias b, mean c, variance d.
  struct Affine {
    enum Kind : uint8_t { mul, add, batch_norm } kind;
    ValueId a, b, c, d;
    double epsilon;
  };

  static constexpr size_t kMaxAffine = 7;  // steps before, and behind the activation

  EpilogueMatch(const Shape& shape) : shape_(shape) {}

  // Takes `node`, which reads `value` (the result so far), if it fits. Value ids are those of `g`.
  bool extend(const Graph& g, const Node& node, ValueId value);

  const std::vector<Affine>& affine() const { return affine_; }          // of the sums
  const std::vector<Affine>& out_affine() const { return out_affine_; }  // of the activation's result
  ValueId residual() const { return residual_; }
  bool residual_first() const { return residual_first_; }
  const Node* activation() const { return activation_; }  // relu, clip, prelu (slope: input 1), ...
  const Node* last_clip() const { return last_clip_; }    // relu or clip behind the residual

 private:
  Shape shape_;
  std::vector<Affine> affine_, out_affine_;
  ValueId residual_ = kNoValue;
  bool residual_first_ = false;
  const Node* activation_ = nullptr;
  const Node* last_clip_ = nullptr;
};

// A value with one number per channel (or one for all): constant or parameter, plain f32.
bool is_per_channel(const Graph& g, ValueId v, int64_t channels);

}  // namespace tern
