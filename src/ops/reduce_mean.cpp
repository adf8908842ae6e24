// SPDX-License-Identifier: Apache-2.0
// reduce_mean: y = sum of x over the axes / number of terms; integers towards zero; the mean of nothing is NaN (integers 0)
//   x  any number type     y  same type; an empty list of axes means all
//   dx = dy / number of terms, stretched
#include "ops/reduce.h"

namespace tern {
namespace {

int64_t count(const Shape& x, const Shape& y) { return y.elements() == 0 ? 0 : x.elements() / y.elements(); }
double mean(double sum, int64_t n) { return sum / (double)n; }
int64_t mean(int64_t sum, int64_t n) { return n == 0 ? 0 : sum / n; }
uint64_t mean(uint64_t sum, int64_t n) { return n == 0 ? 0 : sum / (uint64_t)n; }

tern_status reference(RefArgs& a) {
  const int64_t n = count(a.in(0).shape, a.out(0).shape);
  return reference_reduce(a, 0, 0, [](auto acc, auto x) { return wrapping_add(acc, x); },
                          [&](auto sum) { return mean(sum, n); });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  // The number of terms is computed from the shapes, so that the gradient holds for other sizes of x too. It is known when
  // the plan is made.
  const ValueId terms = emit(g, "reduce_prod", {emit(g, "shape", {a.in(0)})}), results = emit(g, "reduce_prod", {emit(g, "shape", {a.out(0)})});
  const ValueId count = cast(g, div(g, terms, results), TERN_DTYPE_F64);
  const ValueId factor = cast(g, emit(g, "reciprocal", {count}), g.value(a.dout(0)).dtype);
  a.set(0, expand_reduced(g, a.node, a.in(0), mul(g, a.dout(0), factor)));
}

constexpr Case kCases[] = {
    {"all", "f32[4,7]"},
    {"last", "f32[5,131]", "axes=-1"},
    {"first", "f32[5,9]", "axes=0"},
    {"keep", "f32[2,3,4]", "axes=1 keep_dims=1"},
    {"middle", "f32[2,5,3,4]", "axes=1,2"},
    {"outer", "f32[3,4,5]", "axes=0,2"},
    {"order", "f32[3,4,5]", "axes=2,0 keep_dims=1"},
    {"rank5", "f32[2,1,3,2,2]", "axes=0,3,-1"},
    {"scalar", "f32[]"},
    {"one", "f32[1,1]", "axes=1"},
    {"half", "f16[33]", "", 5e-3},
    {"integer", "i32[5,3]", "axes=0"},
    {"bytes", "u8[7]:0..3", "keep_dims=1"},
    {"empty", "f32[0,3]", "axes=1"},
    {"towards_zero", "i32[2,2]{-3,-4,3,4}", "axes=1"},
    {"nothing_integer", "i32[0,3]", "axes=0"},
    {"axis", "f32[3,4]", "axes=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"twice", "f32[3,4]", "axes=1,-1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_reduce_mean = checked_op({.name = "reduce_mean",
    .attributes = attr_schema<ReduceAttrs>(kReduceFields), .infer = infer_reduce, .reference = reference, .vjp = vjp,
    .cases = TERN_CASES(kCases)});

}  // namespace tern
