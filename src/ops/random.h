// SPDX-License-Identifier: Apache-2.0
// What the random operators share. Their inputs: seed and step (i64 scalars) and, in place of the attribute, the shape.
#pragma once
#include "base/random.h"
#include "ops/op.h"

namespace tern {

// The attributes of each begin like this.
struct RandomAttrs {
  IntList shape;
  int64_t place = 0;  // which draw of the graph it is: draws with the same seed, step and place are the same
};

struct RandomUniformAttrs {
  IntList shape;
  int64_t place = 0;
  double low = 0, high = 1;
};

struct RandomNormalAttrs {
  IntList shape;
  int64_t place = 0;
  double mean = 0, deviation = 1;
};

struct RandomBernoulliAttrs {
  IntList shape;
  int64_t place = 0;
  double probability = 0.5;
};

struct DropoutAttrs {
  double probability = 0.5;
  int64_t place = 0;
};

// output 0 = the shape, of this type
tern_status infer_random(InferArgs& a, DType dtype);

// Numbers [begin, end) of a draw to y from its begin on.
using RandomFill = void (*)(const Attributes& attributes, const RandomDraw& draw, int64_t begin, int64_t end, void* y);
// That of one of the three operators; also what their references do.
RandomFill random_fill(const Op* op);
tern_status reference_random(RefArgs& a);

}  // namespace tern
