// SPDX-License-Identifier: Apache-2.0
// reduce_mean: y = sum of x over the axes / number of terms; integers towards zero; the mean of nothing is NaN
// (integers 0)
//   x  any number type     y  same type; an empty list of axes means all
//   dx = dy / number of terms, stretched
#include "ops/reduce.h"

namespace tern {
namespace {

int64_t count(const Shape& x, const Shape& y) { return y.elements() == 0 ? 0 : x.elements() / y.elements(); }

// Whole parts and remainders are summed apart: the sum of large integers may be beyond their type.
template <class T>
struct Parts {
  T whole = 0, rest = 0;
};

template <class T, class Load>
void integer_means(RefArgs& a, T n, Load load) {
  const auto store = [&](int64_t i, Parts<T> p) {
    T mean = p.whole + p.rest / n;
    const T rest = p.rest % n;  // towards zero as a whole
    if (mean > 0 && rest < 0) --mean;
    if (mean < 0 && rest > 0) ++mean;
    a.out(0).store_int(i, (int64_t)mean);
  };
  reduce_loop(a, Parts<T>{}, load, store, [n](Parts<T> p, T v) { return Parts<T>{p.whole + v / n, p.rest + v % n}; });
}

tern_status reference(RefArgs& a) {
  const RefTensor& x = a.in(0);
  const int64_t n = count(x.shape, a.out(0).shape);
  if (is_float(x.dtype))
    return reference_reduce(
        a, 0, 0, [](auto acc, auto v) { return wrapping_add(acc, v); },
        [n](auto sum) { return sum / (decltype(sum))n; });
  if (n == 0) {
    for (int64_t i = 0; i < a.out(0).elements(); ++i) a.out(0).store_int(i, 0);
  } else if (x.dtype == TERN_DTYPE_U64) {
    integer_means(a, (uint64_t)n, [&](int64_t i) { return (uint64_t)x.load_int(i); });
  } else {
    integer_means(a, n, [&](int64_t i) { return x.load_int(i); });
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId factor = one_over_terms(g, a.in(0), a.out(0));
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
    {"constant", "f32[2,67]:1234.567..1234.567", "axes=1 keep_dims=1", 1e-9},
    {"constant_rows", "f32[67,3]:1234.567..1234.567", "axes=0", 1e-9},
    {"infinite", "f32[3,2]{inf,1,2,-inf,inf,3}", "axes=1"},
    {"large_integers", "i64[2,2]{9223372036854775807,9223372036854775805,-9223372036854775807,-4}", "axes=1"},
    {"large_unsigned", "u64[2]{18446744073709551615,18446744073709551613}"},
    {"axis", "f32[3,4]", "axes=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"twice", "f32[3,4]", "axes=1,-1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_reduce_mean = checked_op({.name = "reduce_mean",
                                                       .attributes = attr_schema<ReduceAttrs>(kReduceFields),
                                                       .infer = infer_reduce,
                                                       .reference = reference,
                                                       .vjp = vjp,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
