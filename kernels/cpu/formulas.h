// SPDX-License-Identifier: Apache-2.0
// The formula of each element-wise kind (base/elementwise.h). Loops over tensors, chains and epilogues all apply these,
// so a result has the same bits wherever it is computed. Included only by sources that are built once per set.
#pragma once
#include <math.h>

#include "base/elementwise.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd_double.h"

namespace tern::cpu::TERN_ISA {

// What is cheap enough to be applied to sums in registers (kernels/cpu/epilogue.h).
TERN_INLINE Vec clip(Vec v, Vec lo, Vec hi) { return min(hi, max(lo, v)); }
TERN_INLINE VecD clip(VecD v, VecD lo, VecD hi) { return min(hi, max(lo, v)); }  // no template: xsimd has one, too
template <class V>
TERN_INLINE V leak(V v, V slope) {
  return select(v < like(v, 0), v * slope, v);
}
template <class V>
TERN_INLINE V hard_swish(V v) {
  return v * like(v, 1.0 / 6) * clip(v + like(v, 3), like(v, 0), like(v, 6));
}

// Integers wrap: their arithmetic is done without signs, in at least 32 bits.
TERN_INLINE uint32_t bits_of(int32_t v) { return (uint32_t)v; }
TERN_INLINE uint64_t bits_of(int64_t v) { return (uint64_t)v; }

TERN_INLINE float power(float a, float b) { return powf(a, b); }
TERN_INLINE double power(double a, double b) { return pow(a, b); }
TERN_INLINE float rest(float a, float b) { return fmodf(a, b); }
TERN_INLINE double rest(double a, double b) { return fmod(a, b); }
// x / 0 and its rest are 0; the least integer / -1 is itself.
TERN_INLINE int64_t quotient(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? (int64_t)(0 - bits_of(a)) : a / b; }
// In doubles, which a loop takes several of at a time. They are exact: a quotient of 32 bits that is no integer is
// further from the next one than they round.
TERN_INLINE int32_t quotient(int32_t a, int32_t b) {
  const uint32_t zero = 0 - (uint32_t)(b == 0), minus = 0 - (uint32_t)(b == -1), either = zero | minus;  // all bits
  const int32_t x = (int32_t)(((uint32_t)a ^ minus) - minus), z = (int32_t)(((uint32_t)b & ~either) | (1 & either));
  return (int32_t)((uint32_t)(int32_t)((double)x / (double)z) & ~zero);
}
TERN_INLINE int32_t rest(int32_t a, int32_t b) { return b == 0 || b == -1 ? 0 : a % b; }
TERN_INLINE int64_t rest(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }

enum class Form {
  unary,         // f(v), f(v, p0) or f(v, p0, p1) of vectors, also of f64 if it takes `auto`
  long_unary,    // the same, of so many instructions that loops have them only once
  one_by_one,    // f(v) of floats
  predicate,     // f(v, p0, p1) of floats or doubles, gives a bool
  bits,          // f(v) of integers only
  truth,         // f(v) of bools only
  binary,        // f(a, b) of vectors, also of f64
  pair_by_pair,  // f(a, b) of floats or doubles
  comparison,    // f(a, b) of floats or integers, gives a bool
  bit_pairs,     // f(a, b) of integers only
  truth_pairs,   // f(a, b) of bools only
};
struct Absent {};

// f: see Form. integer: f(v) or f(a, b) of int32_t or int64_t, whose result is cut to that type.
template <Form kForm, class F, class I>
struct Formula {
  static constexpr Form form = kForm;
  static constexpr bool has_integer =
      kForm == Form::bits || kForm == Form::bit_pairs || kForm == Form::comparison || !__is_same(I, Absent);
  F f;
  I integer;
};
template <Form form, class F, class I = Absent>
consteval Formula<form, F, I> of(F f, I integer = {}) {
  return {f, integer};
}

// A kind that lacks a formula does not build.
template <Elementwise kind>
struct Missing;
template <Elementwise kind>
constexpr Missing<kind> formula{};
#define TERN_FORMULA(kind) \
  template <>              \
  constexpr auto formula<Elementwise::kind>

// ---- one operand ----

TERN_FORMULA(identity) = of<Form::unary>([](auto v) { return v; }, [](auto v) { return v; });
TERN_FORMULA(neg) = of<Form::unary>([](auto v) { return -v; }, [](auto v) { return 0 - bits_of(v); });
TERN_FORMULA(abs) = of<Form::unary>([](auto v) { return abs(v); },
                                    [](auto v) { return v < 0 ? 0 - bits_of(v) : bits_of(v); });
TERN_FORMULA(sign) =
    of<Form::unary>([](auto v) { return select(v > like(v, 0), like(v, 1), select(v < like(v, 0), like(v, -1), v)); },
                    [](auto v) { return (v > 0) - (v < 0); });
TERN_FORMULA(square) = of<Form::unary>([](auto v) { return v * v; }, [](auto v) { return bits_of(v) * bits_of(v); });
TERN_FORMULA(relu) = of<Form::unary>([](auto v) { return max(like(v, 0), v); }, [](auto v) { return v > 0 ? v : 0; });
TERN_FORMULA(clip) = of<Form::unary>([](auto v, auto lo, auto hi) { return clip(v, lo, hi); });
TERN_FORMULA(leaky_relu) = of<Form::unary>([](auto v, auto slope) { return leak(v, slope); });
TERN_FORMULA(sqrt) = of<Form::unary>([](auto v) { return sqrt(v); });
TERN_FORMULA(rsqrt) = of<Form::unary>([](auto v) { return like(v, 1) / sqrt(v); });
TERN_FORMULA(reciprocal) = of<Form::unary>([](auto v) { return like(v, 1) / v; });
TERN_FORMULA(floor) = of<Form::unary>([](auto v) { return floor(v); });
TERN_FORMULA(ceil) = of<Form::unary>([](auto v) { return ceil(v); });
TERN_FORMULA(round) = of<Form::unary>([](Vec v) { return with_sign_of(nearbyint(v), v); });  // half to even
TERN_FORMULA(hard_sigmoid) = of<Form::unary>([](auto v, auto a, auto b) {
  return clip(fma(v, a, b), like(v, 0), like(v, 1));
});
TERN_FORMULA(hard_swish) = of<Form::unary>([](auto v) { return hard_swish(v); });
TERN_FORMULA(softsign) = of<Form::unary>([](auto v) { return v / (like(v, 1) + abs(v)); });
TERN_FORMULA(thresholded_relu) = of<Form::unary>([](auto v, auto a) { return select(v > a, v, like(v, 0)); });

TERN_FORMULA(elu) = of<Form::long_unary>([](Vec v, Vec a) { return select(v < splat(0), a * vexpm1(v), v); });
TERN_FORMULA(selu) = of<Form::long_unary>([](Vec v, Vec a, Vec g) {
  return g * select(v < splat(0), a * vexpm1(v), v);
});
TERN_FORMULA(celu) = of<Form::long_unary>([](Vec v, Vec a) { return select(v < splat(0), a * vexpm1(v / a), v); });
TERN_FORMULA(exp) = of<Form::long_unary>([](Vec v) { return vexp(v); });
TERN_FORMULA(log) = of<Form::long_unary>([](Vec v) { return vlog(v); });
TERN_FORMULA(tanh) = of<Form::long_unary>([](Vec v) { return vtanh(v); });
TERN_FORMULA(sigmoid) = of<Form::long_unary>([](Vec v) { return vsigmoid(v); });
TERN_FORMULA(erf) = of<Form::long_unary>([](Vec v) { return verf(v); });
TERN_FORMULA(silu) = of<Form::long_unary>([](Vec v) { return v * vsigmoid(v); });
TERN_FORMULA(gelu_erf) = of<Form::long_unary>([](Vec v) {
  return splat(0.5f) * v * (splat(1) + verf(v * splat(0.70710678f)));
});
TERN_FORMULA(gelu_tanh) = of<Form::long_unary>([](Vec v) {
  const Vec inner = v * fma(v * v, splat(0.044715f * 0.79788456f), splat(0.79788456f));
  return splat(0.5f) * v * (splat(1) + vtanh(inner));
});
TERN_FORMULA(softplus) = of<Form::long_unary>([](Vec v) {
  return max(splat(0), v) + vlog1p(vexp_negative(splat(0) - abs(v)));
});
TERN_FORMULA(mish) = of<Form::long_unary>([](Vec v) {  // tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2)
  const Vec e = vexp(min(splat(20), v)), t = e * (e + splat(2));
  return v * (t / (t + splat(2)));
});

TERN_FORMULA(sin) = of<Form::long_unary>([](Vec v) { return vsin(v); });
TERN_FORMULA(cos) = of<Form::long_unary>([](Vec v) { return vcos(v); });
TERN_FORMULA(tan) = of<Form::long_unary>([](Vec v) { return vtan(v); });
TERN_FORMULA(asin) = of<Form::long_unary>([](Vec v) { return vasin(v); });
TERN_FORMULA(acos) = of<Form::long_unary>([](Vec v) { return vacos(v); });
TERN_FORMULA(atan) = of<Form::long_unary>([](Vec v) { return vatan(v); });
TERN_FORMULA(sinh) = of<Form::one_by_one>([](float v) { return sinhf(v); });
TERN_FORMULA(cosh) = of<Form::one_by_one>([](float v) { return coshf(v); });
TERN_FORMULA(asinh) = of<Form::one_by_one>([](float v) { return asinhf(v); });
TERN_FORMULA(acosh) = of<Form::one_by_one>([](float v) { return acoshf(v); });
TERN_FORMULA(atanh) = of<Form::one_by_one>([](float v) { return atanhf(v); });

TERN_FORMULA(is_nan) = of<Form::predicate>([](auto v, double, double) { return v != v; });
TERN_FORMULA(is_inf) = of<Form::predicate>([](auto v, double negative, double positive) {
  return (v == __builtin_inff() && positive != 0) || (v == -__builtin_inff() && negative != 0);
});
TERN_FORMULA(bitwise_not) = of<Form::bits>([](auto v) { return ~v; });
TERN_FORMULA(logical_not) = of<Form::truth>([](bool v) { return !v; });

// ---- two operands ----

TERN_FORMULA(add) = of<Form::binary>([](auto a, auto b) { return a + b; },
                                     [](auto a, auto b) { return bits_of(a) + bits_of(b); });
TERN_FORMULA(sub) = of<Form::binary>([](auto a, auto b) { return a - b; },
                                     [](auto a, auto b) { return bits_of(a) - bits_of(b); });
TERN_FORMULA(mul) = of<Form::binary>([](auto a, auto b) { return a * b; },
                                     [](auto a, auto b) { return bits_of(a) * bits_of(b); });
TERN_FORMULA(div) = of<Form::binary>([](auto a, auto b) { return a / b; },
                                     [](auto a, auto b) { return quotient(a, b); });
TERN_FORMULA(min) = of<Form::binary>([](auto a, auto b) { return select(a == a, min(a, b), a); },  // NaN wins
                                     [](auto a, auto b) { return a < b ? a : b; });
TERN_FORMULA(max) = of<Form::binary>([](auto a, auto b) { return select(a == a, max(a, b), a); },
                                     [](auto a, auto b) { return a > b ? a : b; });
TERN_FORMULA(prelu) = of<Form::binary>([](auto a, auto b) { return leak(a, b); });
TERN_FORMULA(pow) = of<Form::pair_by_pair>([](auto a, auto b) { return power(a, b); });
constexpr auto rest_of_sign_a = [](auto a, auto b) { return rest(a, b); };
constexpr auto rest_of_sign_b = [](auto a, auto b) {
  const auto r = rest(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
};
TERN_FORMULA(fmod) = of<Form::pair_by_pair>(rest_of_sign_a, rest_of_sign_a);
TERN_FORMULA(mod) = of<Form::pair_by_pair>(rest_of_sign_b, rest_of_sign_b);

TERN_FORMULA(equal) = of<Form::comparison>([](auto a, auto b) { return a == b; });
TERN_FORMULA(less) = of<Form::comparison>([](auto a, auto b) { return a < b; });
TERN_FORMULA(less_equal) = of<Form::comparison>([](auto a, auto b) { return a <= b; });
TERN_FORMULA(greater) = of<Form::comparison>([](auto a, auto b) { return a > b; });
TERN_FORMULA(greater_equal) = of<Form::comparison>([](auto a, auto b) { return a >= b; });

TERN_FORMULA(bitwise_and) = of<Form::bit_pairs>([](auto a, auto b) { return a & b; });
TERN_FORMULA(bitwise_or) = of<Form::bit_pairs>([](auto a, auto b) { return a | b; });
TERN_FORMULA(bitwise_xor) = of<Form::bit_pairs>([](auto a, auto b) { return a ^ b; });
// Shifts by the width of the type or more leave no bit of a.
TERN_FORMULA(shift_left) = of<Form::bit_pairs>([](auto a, auto b) {
  return bits_of(b) < 8 * sizeof a ? bits_of(a) << bits_of(b) : 0;
});
TERN_FORMULA(shift_right) = of<Form::bit_pairs>([](auto a, auto b) {
  return a >> (bits_of(b) < 8 * sizeof a ? (int)bits_of(b) : (int)(8 * sizeof a) - 1);
});

TERN_FORMULA(logical_and) = of<Form::truth_pairs>([](bool a, bool b) { return a & b; });
TERN_FORMULA(logical_or) = of<Form::truth_pairs>([](bool a, bool b) { return a | b; });
TERN_FORMULA(logical_xor) = of<Form::truth_pairs>([](bool a, bool b) { return a != b; });

#undef TERN_FORMULA

// Formulas of vectors and of pairs hold for f64 too; those of one number that are functions of math.h do not.
template <class F>
constexpr bool takes_doubles(const F& formula) {
  if constexpr (F::form == Form::unary) return requires(VecD v) {
      formula.f(v);
    }
  || requires(VecD v) { formula.f(v, v); }
  || requires(VecD v) { formula.f(v, v, v); };
  else return F::form >= Form::binary || F::form == Form::predicate; }

template <class F, class V>
TERN_INLINE V apply(const F& f, V v, V p0, V p1) {
  if constexpr (requires { f(v); }) return f(v);
  else if constexpr (requires { f(v, p0); }) return f(v, p0);
  else return f(v, p0, p1);
}

// Calls f with the formula of a kind. All loops over elements stand within f, so that nothing is chosen in them.
template <class F>
TERN_INLINE void with_formula(Elementwise kind, F f) {
  switch (kind) {
#define TERN_CASE(kind) \
  case Elementwise::kind: return f(formula<Elementwise::kind>);
    TERN_ELEMENTWISE_KINDS(TERN_CASE)
#undef TERN_CASE
    case Elementwise::none: return;
  }
}

}  // namespace tern::cpu::TERN_ISA
