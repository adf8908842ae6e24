// SPDX-License-Identifier: Apache-2.0
// Elementary functions on vectors, shared by the kernels. Included only by sources that are built once per set.
//
// Greatest relative errors over all floats with a normal result, against double, on every set: vexp 0.9e-7, vlog
// 0.8e-7, vexpm1 1.2e-7, vlog1p 1.4e-7, vtanh 1.5e-7, vsigmoid 1.9e-7 (below -87 it gives 0), verf 1.1e-7,
// vatan 1.8e-7, vasin 2.3e-7, vacos 2e-7. vsin and vcos are within 1e-7 of the right value, vtan within 3e-7 times (1 +
// its square).
// NaN gives NaN. Infinities and zeros give the exact limits; vexp gives denormals.
// vexp_negative takes x <= 0 and gives 0 below -87: one multiplication less, for softmax and its like.
#pragma once
#include <math.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

TERN_INLINE Vec with_sign_of(Vec magnitude, Vec sign) {
  return from_bits((bits(magnitude) & VecI(INT32_MAX)) | (bits(sign) & VecI(INT32_MIN)));
}
TERN_INLINE Vec power_of_two(VecI n) { return from_bits((n + VecI(127)) << 23); }  // -126 <= n <= 127
TERN_INLINE Vec infinity() { return splat(__builtin_inff()); }

// x = n ln 2 + r with |r| <= ln 2 / 2; returns r.
TERN_INLINE Vec exp_reduce(Vec x, Vec* n) {
  *n = nearbyint(x * splat(1.44269504f));
  return fnma(*n, splat(-2.12194440e-4f), fnma(*n, splat(0.693359375f), x));
}

// exp(r) - 1 for a reduced r.
TERN_INLINE Vec expm1_reduced(Vec r) {
  Vec p = fma(splat(1.395171741e-03f), r, splat(8.369598538e-03f));
  p = fma(p, r, splat(4.166618735e-02f));
  p = fma(p, r, splat(1.666651219e-01f));
  p = fma(p, r, splat(5.000000000e-01f));
  return fma(p * r, r, r);
}

TERN_INLINE Vec vexp(Vec x) {
  x = min(splat(89.0f), max(splat(-105.0f), x));
  Vec n;
  const Vec r = exp_reduce(x, &n);
  const VecI i = to_int(n), half = i >> 1;
  return (expm1_reduced(r) + splat(1.0f)) * power_of_two(half) * power_of_two(i - half);
}

TERN_INLINE Vec vexp_negative(Vec x) {
  Vec n;
  const Vec r = exp_reduce(max(splat(-88.0f), x), &n);
  const Vec y = (expm1_reduced(r) + splat(1.0f)) * power_of_two(to_int(max(splat(-126.0f), n)));
  return select(x < splat(-87.0f), splat(0.0f), y);
}

TERN_INLINE Vec vexpm1(Vec x) {
  const Vec clamped = min(splat(89.0f), max(splat(-30.0f), x));
  Vec n;
  const Vec r = exp_reduce(clamped, &n);
  const Vec half = power_of_two(to_int(n - splat(1.0f)));  // 2^(n-1): n may be 128
  const Vec y = fma(half, expm1_reduced(r), half - splat(0.5f)) * splat(2.0f);
  return select(n == splat(0.0f), with_sign_of(expm1_reduced(r), x), y);
}

// log(x) + shift * ln 2 for a finite x >= 2^-126.
TERN_INLINE Vec log_normal(Vec x, Vec shift) {
  // x = 2^n m with m in [sqrt(1/2), sqrt(2))
  const VecI raised = bits(x) - VecI(0x3f3504f3);
  const Vec n = to_float(raised >> 23) + shift;
  const Vec f = from_bits((raised & VecI(0x007fffff)) + VecI(0x3f3504f3)) - splat(1.0f);
  Vec p = fma(splat(-7.634215802e-02f), f, splat(1.276925802e-01f));
  p = fma(p, f, splat(-1.316384226e-01f));
  p = fma(p, f, splat(1.420098245e-01f));
  p = fma(p, f, splat(-1.662292928e-01f));
  p = fma(p, f, splat(2.000124454e-01f));
  p = fma(p, f, splat(-2.500083148e-01f));
  p = fma(p, f, splat(3.333333135e-01f));
  const Vec square = f * f;
  Vec y = fma(n, splat(-2.12194440e-4f), p * f * square);
  y = fnma(splat(0.5f), square, y) + f;
  return fma(n, splat(0.693359375f), y);
}

TERN_INLINE Vec log_limits(Vec x, Vec y) {
  y = select(x == splat(0.0f), splat(-__builtin_inff()), y);
  y = select(x == infinity(), x, y);
  return select(x >= splat(0.0f), y, splat(__builtin_nanf("")));
}

TERN_INLINE Vec vlog(Vec x) {
  const Mask tiny = x < splat(0x1p-126f);
  const Vec y = log_normal(select(tiny, x * splat(0x1p24f), x), select(tiny, splat(-24.0f), splat(0.0f)));
  return log_limits(x, y);
}

TERN_INLINE Vec vlog1p(Vec x) {
  const Vec u = splat(1.0f) + x;
  const Vec lost = x - (u - splat(1.0f));  // what rounding u dropped (exact for |x| < 1, negligible beyond 2^24)
  const Vec y = log_normal(max(splat(0x1p-126f), u), splat(0.0f)) + select(u < splat(0x1p24f), lost / u, splat(0.0f));
  return select(u == splat(1.0f), x, log_limits(u, y));
}

TERN_INLINE Vec vtanh(Vec x) {
  const Vec z = x * x, t = min(splat(10.0f), abs(x));
  Vec p = fma(splat(-5.704978481e-03f), z, splat(2.063907869e-02f));
  p = fma(p, z, splat(-5.373971164e-02f));
  p = fma(p, z, splat(1.333144158e-01f));
  p = fma(p, z, splat(-3.333328068e-01f));
  const Vec small = fma(p * z, x, x);
  const Vec e = vexp_negative(splat(-2.0f) * t);
  const Vec large = (splat(1.0f) - e) / (splat(1.0f) + e);
  return with_sign_of(select(abs(x) >= splat(0.625f), large, small), x);
}

TERN_INLINE Vec vsigmoid(Vec x) {
  const Vec e = vexp_negative(splat(0.0f) - abs(x));
  const Vec s = splat(1.0f) / (splat(1.0f) + e);
  return select(x < splat(0.0f), e * s, s);
}

TERN_INLINE Vec verf(Vec x) {
  const Vec t = min(splat(4.0f), abs(x)), z = x * x;
  Vec p = fma(splat(-5.919415853e-04f), z, splat(4.979129881e-03f));
  p = fma(p, z, splat(-2.675703540e-02f));
  p = fma(p, z, splat(1.128155217e-01f));
  p = fma(p, z, splat(-3.761246800e-01f));
  p = fma(p, z, splat(1.283791512e-01f));
  const Vec small = fma(p, x, x);
  Vec q = fma(splat(1.189061550e-05f), t, splat(-3.294232010e-04f));
  q = fma(q, t, splat(3.669462632e-03f));
  q = fma(q, t, splat(-2.381937951e-02f));
  q = fma(q, t, splat(1.063036770e-01f));
  q = fma(q, t, splat(6.351107359e-01f));
  q = fma(q, t, splat(1.286585182e-01f));
  const Vec large = splat(1.0f) - vexp_negative(splat(0.0f) - fma(q, t, t));
  return with_sign_of(select(abs(x) >= splat(0.9375f), large, small), x);
}

TERN_INLINE Vec vatan(Vec x) {
  // To |t| <= tan(pi/8), by the angles 0, pi/4 and pi/2.
  const Vec a = abs(x);
  const Mask steep = a > splat(2.41421356f), middle = a > splat(0.414213562f);
  const Vec t = select(steep, splat(-1.0f), select(middle, a - splat(1.0f), a)) /
                select(steep, a, select(middle, a + splat(1.0f), splat(1.0f)));
  const Vec from = select(steep, splat(1.57079633f), select(middle, splat(0.785398163f), splat(0.0f)));
  const Vec z = t * t;
  Vec p = fma(splat(-6.078220887e-02f), z, splat(1.059381350e-01f));
  p = fma(p, z, splat(-1.424353331e-01f));
  p = fma(p, z, splat(1.999847151e-01f));
  p = fma(p, z, splat(-3.333331519e-01f));
  return with_sign_of(from + fma(p * z, t, t), x);
}

// asin(t) for 0 <= t <= 1/2, with z = t^2.
TERN_INLINE Vec asin_reduced(Vec t, Vec z) {
  Vec p = fma(splat(4.216630677e-02f), z, splat(2.417951558e-02f));
  p = fma(p, z, splat(4.547037581e-02f));
  p = fma(p, z, splat(7.495297644e-02f));
  p = fma(p, z, splat(1.666675248e-01f));
  return fma(p * z, t, t);
}

TERN_INLINE Vec vasin(Vec x) {
  const Vec a = abs(x);
  const Mask far = a > splat(0.5f);
  const Vec z = select(far, splat(0.5f) - splat(0.5f) * a, a * a), y = asin_reduced(select(far, sqrt(z), a), z);
  return with_sign_of(select(far, fnma(splat(2.0f), y, splat(1.57079633f)), y), x);
}

TERN_INLINE Vec vacos(Vec x) {
  const Vec a = abs(x);
  const Mask far = a > splat(0.5f);
  const Vec z = select(far, splat(0.5f) - splat(0.5f) * a, a * a), y = asin_reduced(select(far, sqrt(z), a), z);
  const Vec twice = y + y;
  return select(far, select(x < splat(0.0f), splat(3.14159265f) - twice, twice),
                splat(1.57079633f) - with_sign_of(y, x));
}

// x = n pi / 2 + r with |r| <= pi / 4, for |x| <= kFarthest; gives sin(r) and cos(r).
constexpr float kFarthest = 8192;
struct Circle {
  VecI quarter;
  Vec sine, cosine;
};
TERN_INLINE Circle on_circle(Vec x) {
  const Vec n = nearbyint(x * splat(0.636619772f));
  const Vec r = fnma(n, splat(0x1.4442d2p-24f), fnma(n, splat(0x1.fb4p-12f), fnma(n, splat(0x1.92p+0f), x)));
  const Vec z = r * r;
  Vec s = fma(splat(-1.951528309e-04f), z, splat(8.332160761e-03f));
  s = fma(s, z, splat(-1.666665461e-01f));
  Vec c = fma(splat(2.443845142e-05f), z, splat(-1.388736751e-03f));
  c = fma(c, z, splat(4.166664687e-02f));
  return {to_int(n), fma(s * z, r, r), fma(c * z, z, fnma(splat(0.5f), z, splat(1.0f)))};
}
TERN_INLINE Mask is_odd(VecI i) { return from_bits(i << 31 | bits(splat(1.0f))) < splat(0.0f); }
// y, but f(x) one by one where x is many turns: what a lane gives does not depend on its neighbours.
template <class F>
TERN_INLINE Vec unless_far(Vec y, Vec x, F f) {
  const Mask near = abs(x) <= splat(kFarthest);
  if (__builtin_expect(max_lane(select(near, splat(0.0f), splat(1.0f))) == 0, 1)) return y;
  alignas(64) float lanes[kLanes];
  store(lanes, x);
  for (int i = 0; i < kLanes; ++i) lanes[i] = f(lanes[i]);
  return select(near, y, load(lanes));
}

// sin(x + shift * pi / 2)
TERN_INLINE Vec wave(Vec x, int shift) {
  const Circle c = on_circle(x);
  const VecI quarter = c.quarter + VecI(shift);
  return select(is_odd(quarter), c.cosine, c.sine) * from_bits((quarter & VecI(2)) << 30 | bits(splat(1.0f)));
}
// Zero keeps its sign.
TERN_INLINE Vec vsin(Vec x) {
  return unless_far(select(x == splat(0.0f), x, wave(x, 0)), x, [](float v) { return sinf(v); });
}
TERN_INLINE Vec vcos(Vec x) {
  return unless_far(wave(x, 1), x, [](float v) { return cosf(v); });
}
TERN_INLINE Vec vtan(Vec x) {
  const Circle c = on_circle(x);
  const Mask odd = is_odd(c.quarter);
  const Vec y = select(odd, splat(0.0f) - c.cosine, c.sine) / select(odd, c.sine, c.cosine);
  return unless_far(select(x == splat(0.0f), x, y), x, [](float v) { return tanf(v); });
}

}  // namespace tern::cpu::TERN_ISA
