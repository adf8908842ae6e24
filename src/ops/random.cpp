// SPDX-License-Identifier: Apache-2.0
#include "ops/random.h"

#include "ops/ops_generated.h"

namespace tern {
namespace {

template <class T>
const T& as(const Attributes& attributes) {
  return *reinterpret_cast<const T*>(attributes.bytes);
}

void fill_uniform(const Attributes& attributes, const RandomDraw& draw, int64_t begin, int64_t end, void* y) {
  const auto& p = as<RandomUniformAttrs>(attributes);
  draw.uniform(begin, end, (float)p.low, (float)(p.high - p.low), (float*)y);
}

void fill_normal(const Attributes& attributes, const RandomDraw& draw, int64_t begin, int64_t end, void* y) {
  const auto& p = as<RandomNormalAttrs>(attributes);
  draw.normal(begin, end, (float)p.mean, (float)p.deviation, (float*)y);
}

void fill_bernoulli(const Attributes& attributes, const RandomDraw& draw, int64_t begin, int64_t end, void* y) {
  draw.bernoulli(begin, end, (uint64_t)(as<RandomBernoulliAttrs>(attributes).probability * 0x1p32), (uint8_t*)y);
}

}  // namespace

tern_status infer_random(InferArgs& a, DType dtype) {
  for (int i = 0; i < 2; ++i) {
    TERN_TRY(require_rank(a, i, 0));
    if (a.in(i).dtype != TERN_DTYPE_I64)
      return TERN_FAIL(TERN_ERR_TYPE, "%s: the %s is %s, i64 is needed", a.node.op->name, i ? "step" : "seed",
                       dtype_name(a.in(i).dtype));
  }
  IntList dims = a.attrs<RandomAttrs>().shape;
  if (a.has(2)) TERN_TRY(require_integers(a, 2, &dims));
  Shape y;
  for (const int64_t d : dims) y.push(d);
  TERN_TRY(check_shape(y, a.node.op->name));
  if (y.elements() > RandomDraw::kMostNumbers)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: a draw has at most 2^42 numbers, not %s", a.node.op->name,
                     to_string(y).c_str());
  a.set(0, dtype, y);
  return TERN_OK;
}

RandomFill random_fill(const Op* op) {
  return op == &op_random_uniform ? fill_uniform : op == &op_random_normal ? fill_normal : fill_bernoulli;
}

tern_status reference_random(RefArgs& a) {
  const RandomDraw draw{a.in(0).load_int(0), a.in(1).load_int(0), a.attrs<RandomAttrs>().place};
  random_fill(a.node.op)(a.node.attributes, draw, 0, a.out(0).elements(), a.out(0).data);
  return TERN_OK;
}

}  // namespace tern
