// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/elementwise.h"

#include <limits>
#include <type_traits>

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

#define TERN_KIND(kind) Elementwise::kind,
constexpr Elementwise kKinds[] = {TERN_ELEMENTWISE_KINDS(TERN_KIND)};
#undef TERN_KIND

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double unary(Elementwise op, double x, double p0, double p1) {
  switch (op) {
    case Elementwise::identity: return x;
    case Elementwise::neg: return -x;
    case Elementwise::abs: return std::fabs(x);
    case Elementwise::sign: return x > 0 ? 1 : x < 0 ? -1 : x;
    case Elementwise::square: return x * x;
    case Elementwise::relu: return x < 0 ? 0 : x;
    case Elementwise::clip: return x < p0 ? p0 : x > p1 ? p1 : x;
    case Elementwise::leaky_relu: return x < 0 ? p0 * x : x;
    case Elementwise::elu: return x < 0 ? p0 * std::expm1(x) : x;
    case Elementwise::selu: return p1 * (x < 0 ? p0 * std::expm1(x) : x);
    case Elementwise::celu: return x < 0 ? p0 * std::expm1(x / p0) : x;
    case Elementwise::exp: return std::exp(x);
    case Elementwise::log: return std::log(x);
    case Elementwise::sqrt: return std::sqrt(x);
    case Elementwise::rsqrt: return 1 / std::sqrt(x);
    case Elementwise::reciprocal: return 1 / x;
    case Elementwise::floor: return std::floor(x);
    case Elementwise::ceil: return std::ceil(x);
    case Elementwise::round: return std::nearbyint(x);
    case Elementwise::sin: return std::sin(x);
    case Elementwise::cos: return std::cos(x);
    case Elementwise::tan: return std::tan(x);
    case Elementwise::asin: return std::asin(x);
    case Elementwise::acos: return std::acos(x);
    case Elementwise::atan: return std::atan(x);
    case Elementwise::sinh: return std::sinh(x);
    case Elementwise::cosh: return std::cosh(x);
    case Elementwise::asinh: return std::asinh(x);
    case Elementwise::acosh: return std::acosh(x);
    case Elementwise::atanh: return std::atanh(x);
    case Elementwise::tanh: return std::tanh(x);
    case Elementwise::sigmoid: return sigmoid(x);
    case Elementwise::erf: return std::erf(x);
    case Elementwise::hard_sigmoid: return std::fmin(1, std::fmax(0, p0 * x + p1)) + (std::isnan(x) ? NAN : 0);
    case Elementwise::hard_swish: return x * (std::fmin(6, std::fmax(0, x + 3)) / 6);
    case Elementwise::silu: return x * sigmoid(x);
    case Elementwise::gelu_erf: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Elementwise::gelu_tanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Elementwise::softplus:
      return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))) + (std::isnan(x) ? NAN : 0);
    case Elementwise::softsign: return x / (1 + std::fabs(x));
    case Elementwise::mish: return x * std::tanh(std::log1p(std::exp(x)));
    case Elementwise::thresholded_relu: return x > p0 ? x : 0;
    default: ADD_FAILURE() << "no formula to compare with"; return 0;
  }
}

TEST(ElementwiseKernels, UnaryMatchesDouble) {
  for_each_set([](const Kernels& k) {
    for (const Elementwise op : kKinds) {
      if (!k.elementwise->takes(op, 1, TERN_DTYPE_F32) || op == Elementwise::is_nan || op == Elementwise::is_inf)
        continue;
      SCOPED_TRACE((int)op);
      for (const int64_t n : {0, 1, 3, 7, 16, 17, 33, 100, 4096, 8195}) {
        Guarded<float> x(n), y(n);
        std::vector<double> want(n);
        Random random((int)op + n);
        for (int64_t i = 0; i < n; ++i) x[i] = i % 5 ? random.uniform(-4, 4) : random.uniform(-60, 60);
        UnaryArgs a;
        a.op = {op, 0.3f, 1.6f}, a.x = x.data(), a.y = y.data(), a.count = n;
        for (int64_t i = 0; i < n; ++i) want[i] = unary(op, x[i], a.op.p0, a.op.p1);
        run(k.elementwise->unary, &a, units(a), 0, y.data(), y.bytes());
        expect_close(y.data(), want.data(), n, 4e-7, 3e-7);
      }
    }
  });
}

// The functions of math.h, over all exponents and at their limits.
TEST(ElementwiseKernels, FunctionsKeepTheStatedError) {
  struct Limit {
    Elementwise op;
    float low, high;
    double error;
  };
  const Limit limits[] = {{Elementwise::exp, -87, 88.7f, 0.9e-7},     {Elementwise::log, 0, 3e38f, 0.9e-7},
                          {Elementwise::tanh, -3e38f, 3e38f, 1.6e-7}, {Elementwise::sigmoid, -87, 3e38f, 2e-7},
                          {Elementwise::erf, -3e38f, 3e38f, 1.2e-7},  {Elementwise::asin, -1, 1, 2.4e-7},
                          {Elementwise::acos, -1, 1, 2e-7},           {Elementwise::atan, -3e38f, 3e38f, 2e-7}};
  const float inf = INFINITY;
  for_each_set([&](const Kernels& k) {
    for (const Limit& limit : limits) {
      SCOPED_TRACE((int)limit.op);
      constexpr int64_t n = 200000;
      Guarded<float> x(n), y(n);
      Random random(5);
      for (int64_t i = 0; i < n;) {
        const uint32_t bits = (uint32_t)random.next();
        std::memcpy(&x[i], &bits, 4);
        if (x[i] > limit.low && x[i] < limit.high && std::fabs(x[i]) > 1.2e-38) ++i;
      }
      UnaryArgs a;
      a.op.kind = limit.op, a.x = x.data(), a.y = y.data(), a.count = n;
      k.elementwise->unary(&a, 0, units(a), nullptr);
      double worst = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double want = unary(limit.op, x[i], 0, 0);
        if (std::fabs(want) > 1.2e-38) worst = std::fmax(worst, std::fabs(y[i] - want) / std::fabs(want));
      }
      EXPECT_LT(worst, limit.error);
      const float special[] = {0.0f, -0.0f, inf, -inf, NAN, 1e-40f, -1e-40f, 3.4e38f, -3.4e38f};
      for (const float s : special) {
        float one;
        a.x = &s, a.y = &one, a.count = 1;
        k.elementwise->unary(&a, 0, 1, nullptr);
        const double want = (double)(float)unary(limit.op, s, 0, 0);
        expect_close(&one, &want, 1, 2e-7, 1e-44);
        if (want == 0) {
          EXPECT_EQ(std::signbit(one), std::signbit((float)want)) << s;
        }
      }
    }
  });
}

// Near their zeros too, and for arguments of many turns.
TEST(ElementwiseKernels, WavesKeepTheStatedError) {
  for_each_set([](const Kernels& k) {
    for (const Elementwise op : {Elementwise::sin, Elementwise::cos, Elementwise::tan}) {
      SCOPED_TRACE((int)op);
      constexpr int64_t n = 100000;
      Guarded<float> x(n), y(n);
      Random random(7);
      for (int64_t i = 0; i < n; ++i) {
        const float size = i % 4 == 0 ? 3 : i % 4 == 1 ? 100 : i % 4 == 2 ? 8192 : i % 1000 == 3 ? 1e30f : 8000;
        x[i] = i % 7 ? (float)random.uniform(-size, size) : (float)(M_PI / 2 * std::round(random.uniform(-size, size)));
      }
      UnaryArgs a;
      a.op.kind = op, a.x = x.data(), a.y = y.data(), a.count = n;
      k.elementwise->unary(&a, 0, units(a), nullptr);
      double worst = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double want = unary(op, x[i], 0, 0);
        worst = std::fmax(worst, std::fabs(y[i] - want) / (op == Elementwise::tan ? 1 + want * want : 1));
      }
      EXPECT_LT(worst, op == Elementwise::tan ? 3e-7 : 1e-7);
      const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f};
      for (const float s : special) {
        float one;
        a.x = &s, a.y = &one, a.count = 1;
        k.elementwise->unary(&a, 0, 1, nullptr);
        const double want = (double)(float)unary(op, s, 0, 0);
        expect_close(&one, &want, 1, 2e-7, 1e-44);
        if (want == 0) {
          EXPECT_EQ(std::signbit(one), std::signbit((float)want)) << s;
        }
      }
    }
  });
}

TEST(ElementwiseKernels, NanPasses) {
  for_each_set([](const Kernels& k) {
    const float x[3] = {NAN, -NAN, NAN};
    float y[3];
    for (const Elementwise op :
         {Elementwise::relu, Elementwise::clip, Elementwise::leaky_relu, Elementwise::hard_sigmoid,
          Elementwise::hard_swish, Elementwise::elu, Elementwise::exp, Elementwise::sqrt, Elementwise::round,
          Elementwise::sign, Elementwise::gelu_tanh, Elementwise::softplus, Elementwise::mish}) {
      UnaryArgs a;
      a.op = {op, 0, 6}, a.x = x, a.y = y, a.count = 3;
      k.elementwise->unary(&a, 0, 1, nullptr);
      EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]) && std::isnan(y[2])) << (int)op;
    }
    BinaryArgs b;
    const float one[3] = {1, 1, 1};
    b.rank = 1, b.dims[0] = 3, b.a_strides[0] = b.b_strides[0] = 1, b.y = y;
    for (const Elementwise op : {Elementwise::min, Elementwise::max}) {
      b.op = op;
      for (int swap = 0; swap < 2; ++swap) {
        b.a = swap ? one : x, b.b = swap ? x : one;
        BinaryArgs planned = b;
        plan(planned);
        k.elementwise->binary(&planned, 0, planned.units, nullptr);
        EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[2])) << (int)op << swap;
      }
    }
  });
}

bool is_comparison(Elementwise op) {
  return op == Elementwise::equal || op == Elementwise::less || op == Elementwise::less_equal ||
         op == Elementwise::greater || op == Elementwise::greater_equal;
}

double binary(Elementwise op, double a, double b) {
  switch (op) {
    case Elementwise::add: return a + b;
    case Elementwise::sub: return a - b;
    case Elementwise::mul: return a * b;
    case Elementwise::div: return a / b;
    case Elementwise::min: return std::fmin(a, b);
    case Elementwise::max: return std::fmax(a, b);
    case Elementwise::pow: return std::pow(a, b);
    case Elementwise::fmod: return std::fmod(a, b);
    case Elementwise::mod: {
      const double r = std::fmod(a, b);
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    case Elementwise::prelu: return a < 0 ? a * b : a;
    case Elementwise::equal: return a == b;
    case Elementwise::less: return a < b;
    case Elementwise::less_equal: return a <= b;
    case Elementwise::greater: return a > b;
    case Elementwise::greater_equal: return a >= b;
    default: return 0;
  }
}

struct Shapes {
  int rank_a, rank_b;
  int64_t a[5], b[5];
};
const Shapes kShapes[] = {
    {1, 1, {17}, {17}},
    {1, 1, {5000}, {1}},
    {1, 1, {1}, {5000}},
    {2, 1, {37, 24}, {24}},
    {2, 1, {37, 3}, {3}},
    {1, 2, {100}, {9, 100}},
    {2, 2, {9, 100}, {9, 1}},
    {2, 2, {9, 5}, {9, 1}},
    {2, 2, {1, 70}, {30, 1}},
    {3, 3, {4, 1, 6}, {1, 5, 6}},
    {4, 4, {2, 3, 5, 7}, {2, 1, 1, 7}},
    {5, 3, {2, 1, 3, 1, 4}, {5, 1, 6}},
    {2, 2, {0, 3}, {1, 3}},
    {2, 1, {3, 0}, {1}},
    {3, 3, {1, 1, 1}, {1, 1, 1}},
    {3, 1, {2, 700, 8}, {8}},
    {2, 1, {3, 9000}, {9000}},
    {1, 3, {1}, {2, 3, 4}},
    {1, 1, {1}, {21}},
    {5, 5, {2, 3, 4, 1, 5}, {1, 3, 1, 6, 5}},
};

// Fills the strides and returns the index of each operand's element for every output element.
void broadcast(const Shapes& s, BinaryArgs& a, std::vector<int64_t>& ia, std::vector<int64_t>& ib) {
  a.rank = s.rank_a > s.rank_b ? s.rank_a : s.rank_b;
  for (int i = 0; i < a.rank; ++i) {
    const int ja = i - (a.rank - s.rank_a), jb = i - (a.rank - s.rank_b);
    const int64_t da = ja < 0 ? 1 : s.a[ja], db = jb < 0 ? 1 : s.b[jb];
    a.dims[i] = da == 1 ? db : da;
  }
  broadcast_strides(s.rank_a, s.a, a.rank, a.dims, a.a_strides);
  broadcast_strides(s.rank_b, s.b, a.rank, a.dims, a.b_strides);
  const int64_t n = num_elements(a.rank, a.dims);
  ia.assign(n, 0), ib.assign(n, 0);
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i;
    for (int d = a.rank - 1; d >= 0; --d) {
      ia[i] += rest % a.dims[d] * a.a_strides[d];
      ib[i] += rest % a.dims[d] * a.b_strides[d];
      rest /= a.dims[d];
    }
  }
}

TEST(ElementwiseKernels, BinaryBroadcastsF32) {
  for_each_set([](const Kernels& k) {
    for (const Shapes& s : kShapes)
      for (const Elementwise op :
           {Elementwise::add, Elementwise::sub, Elementwise::mul, Elementwise::div, Elementwise::min, Elementwise::max,
            Elementwise::pow, Elementwise::mod, Elementwise::fmod, Elementwise::prelu, Elementwise::equal,
            Elementwise::less, Elementwise::greater_equal}) {
        BinaryArgs a;
        std::vector<int64_t> ia, ib;
        broadcast(s, a, ia, ib);
        Guarded<float> x(num_elements(s.rank_a, s.a)), z(num_elements(s.rank_b, s.b)), y(ia.size());
        Guarded<uint8_t> truth(ia.size());
        Random random(7);
        fill(x, random, 0.5, 4), fill(z, random, 0.5, 4);
        if (op != Elementwise::pow)
          for (size_t i = 0; i < x.size(); i += 2) x[i] = -x[i];
        const bool compares = is_comparison(op);
        a.op = op, a.a = x.data(), a.b = z.data(), a.y = compares ? (void*)truth.data() : y.data();
        plan(a);
        std::vector<double> want(ia.size());
        for (size_t i = 0; i < want.size(); ++i) {
          want[i] = binary(op, x[ia[i]], z[ib[i]]);
        }
        run(k.elementwise->binary, &a, a.units, 0, a.y, compares ? truth.bytes() : y.bytes());
        if (compares)
          for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(truth[i], want[i]) << i;
        else expect_close(y.data(), want.data(), (int64_t)want.size(), 3e-7, 0);
      }
  });
}

TEST(ElementwiseKernels, UnaryF64) {
  for_each_set([](const Kernels& k) {
    int kinds = 0;
    for (const Elementwise op : kKinds) {
      if (!k.elementwise->takes(op, 1, TERN_DTYPE_F64)) continue;
      SCOPED_TRACE((int)op);
      ++kinds;
      for (const int64_t n : {0, 1, 3, 8, 9, 33, 4097}) {
        Guarded<double> x(n), y(n);
        Guarded<uint8_t> truth(n);
        const bool asks = op == Elementwise::is_nan || op == Elementwise::is_inf;
        std::vector<double> want(n);
        Random random((int)op + n);
        for (int64_t i = 0; i < n; ++i) x[i] = i % 5 ? random.uniform(-4, 4) / 3.0 : random.uniform(-60, 60) / 3.0;
        if (n > 8) x[2] = NAN, x[7] = INFINITY, x[8] = -INFINITY;
        UnaryArgs a;
        a.op = {op, 0.1, 1.7}, a.dtype = TERN_DTYPE_F64, a.count = n;
        a.x = x.data(), a.y = asks ? (void*)truth.data() : y.data();
        run(k.elementwise->unary, &a, units(a), 0, a.y, asks ? truth.bytes() : y.bytes());
        if (asks) {
          for (int64_t i = 0; i < n; ++i)
            ASSERT_EQ(truth[i], op == Elementwise::is_nan ? std::isnan(x[i]) : std::isinf(x[i])) << i;
          continue;
        }
        if (n > 8 && (op == Elementwise::hard_swish || op == Elementwise::softsign || op == Elementwise::clip))
          x[7] = x[8] = 1;  // not what the formulas above are made for
        for (int64_t i = 0; i < n; ++i) want[i] = unary(op, x[i], a.op.p0, a.op.p1);
        if (n > 8 && x[7] == 1) run(k.elementwise->unary, &a, units(a), 0, y.data(), y.bytes());
        if (n > 8 && op == Elementwise::thresholded_relu) want[2] = y[2];
        expect_close(y.data(), want.data(), n, 4e-16, 4e-16);
      }
    }
    EXPECT_GE(kinds, 17);
  });
}

TEST(ElementwiseKernels, BinaryBroadcastsF64) {
  for_each_set([](const Kernels& k) {
    for (const Shapes& s : kShapes)
      for (const Elementwise op :
           {Elementwise::add, Elementwise::sub, Elementwise::mul, Elementwise::div, Elementwise::min, Elementwise::max,
            Elementwise::pow, Elementwise::mod, Elementwise::fmod, Elementwise::prelu, Elementwise::equal,
            Elementwise::less, Elementwise::greater_equal})
        for (const bool two : {false, true}) {
          if (two && op != Elementwise::pow) continue;  // the power of two has a way of its own
          BinaryArgs a;
          std::vector<int64_t> ia, ib;
          broadcast(s, a, ia, ib);
          Guarded<double> x(num_elements(s.rank_a, s.a)), z(num_elements(s.rank_b, s.b)), y(ia.size());
          Guarded<uint8_t> truth(ia.size());
          Random random(7);
          fill(x, random, 0.5, 4), fill(z, random, 0.5, 4);
          for (size_t i = 0; i < x.size(); ++i) x[i] /= op == Elementwise::pow || i % 2 ? 3 : -3;
          for (size_t i = 0; i < z.size(); ++i) z[i] = two ? 2 : z[i] / 3;
          const bool compares = is_comparison(op);
          a.op = op, a.dtype = TERN_DTYPE_F64, a.a = x.data(), a.b = z.data();
          a.y = compares ? (void*)truth.data() : y.data();
          plan(a);
          std::vector<double> want(ia.size());
          for (size_t i = 0; i < want.size(); ++i) want[i] = binary(op, x[ia[i]], z[ib[i]]);
          run(k.elementwise->binary, &a, a.units, 0, a.y, compares ? truth.bytes() : y.bytes());
          if (compares)
            for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(truth[i], want[i]) << i;
          else expect_close(y.data(), want.data(), (int64_t)want.size(), two ? 2e-16 : 0, 0);
        }
  });
}

// Over whole rows and their ends; by zero, by -1 and of the least integer too.
template <class T>
void quotients(int32_t dtype) {
  for_each_set([dtype](const Kernels& k) {
    const T least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
    const T special[] = {0, 1, -1, 2, -2, 3, 7, least, (T)(least + 1), most, (T)(most - 1), (T)(most / 2)};
    for (const Elementwise op : {Elementwise::div, Elementwise::mod, Elementwise::fmod})
      for (const int64_t n : {1, 15, 16, 17, 144, 5000}) {
        Guarded<T> x(n), z(n), y(n);
        Random random(11);
        for (int64_t i = 0; i < n; ++i) {
          x[i] = n == 144 ? special[i / 12] : (T)((int64_t)random.next() >> random.integer(0, 62));
          z[i] = n == 144 ? special[i % 12] : (T)((int64_t)random.next() >> random.integer(0, 62));
          if (i % 3 == 0 && n != 144)
            x[i] = (T)((int64_t)(z[i] % 1000000) * (x[i] % 1000) - i % 2);  // close to a multiple
        }
        BinaryArgs a;
        a.op = op, a.dtype = dtype, a.a = x.data(), a.b = z.data(), a.y = y.data();
        a.rank = 1, a.dims[0] = n, a.a_strides[0] = a.b_strides[0] = 1;
        plan(a);
        run(k.elementwise->binary, &a, a.units, 0, y.data(), y.bytes());
        for (int64_t i = 0; i < n; ++i) {
          const T p = x[i], q = z[i], rest = q == 0 || q == -1 ? 0 : (T)(p % q);
          T want = rest;
          if (op == Elementwise::div) want = q == 0 ? 0 : q == -1 ? (T)(0 - (std::make_unsigned_t<T>)p) : (T)(p / q);
          if (op == Elementwise::mod && rest != 0 && (rest < 0) != (q < 0)) want = (T)(rest + q);
          ASSERT_EQ(y[i], want) << (int)op << ": " << p << " and " << q;
        }
      }
  });
}
TEST(ElementwiseKernels, QuotientsI32) { quotients<int32_t>(TERN_DTYPE_I32); }
TEST(ElementwiseKernels, QuotientsI64) { quotients<int64_t>(TERN_DTYPE_I64); }

template <class T>
void integers(int32_t dtype) {
  for_each_set([dtype](const Kernels& k) {
    for (const Shapes& s : kShapes)
      for (const Elementwise op : {Elementwise::add, Elementwise::sub, Elementwise::mul, Elementwise::min,
                                   Elementwise::max, Elementwise::bitwise_and, Elementwise::bitwise_or,
                                   Elementwise::bitwise_xor, Elementwise::equal, Elementwise::greater}) {
        BinaryArgs a;
        std::vector<int64_t> ia, ib;
        broadcast(s, a, ia, ib);
        Guarded<T> x(num_elements(s.rank_a, s.a)), z(num_elements(s.rank_b, s.b)), y(ia.size());
        Guarded<uint8_t> truth(ia.size());
        Random random(3);
        const int64_t low = -100;
        for (size_t i = 0; i < x.size(); ++i) x[i] = (T)random.integer(low, 100);
        for (size_t i = 0; i < z.size(); ++i) z[i] = (T)random.integer(low, 9);
        const bool compares = is_comparison(op);
        a.op = op, a.dtype = dtype, a.a = x.data(), a.b = z.data(), a.y = compares ? (void*)truth.data() : y.data();
        plan(a);
        run(k.elementwise->binary, &a, a.units, 0, a.y, compares ? truth.bytes() : y.bytes());
        for (size_t i = 0; i < ia.size(); ++i) {
          const int64_t p = x[ia[i]], q = z[ib[i]];
          int64_t want;
          if (op == Elementwise::bitwise_and) want = p & q;
          else if (op == Elementwise::bitwise_or) want = p | q;
          else if (op == Elementwise::bitwise_xor) want = p ^ q;
          else want = (int64_t)binary(op, (double)p, (double)q);
          ASSERT_EQ(compares ? (int64_t)truth[i] : (int64_t)y[i], compares ? want : (int64_t)(T)want)
              << (int)op << " element " << i;
        }
      }
  });
}
TEST(ElementwiseKernels, BinaryI32) { integers<int32_t>(TERN_DTYPE_I32); }
TEST(ElementwiseKernels, BinaryI64) { integers<int64_t>(TERN_DTYPE_I64); }

TEST(ElementwiseKernels, IntegerEdges) {
  for_each_set([](const Kernels& k) {
    const int32_t x[6] = {INT32_MIN, INT32_MAX, -7, 2, -1, 5}, z[6] = {-1, 2, 1, 31, 32, 40};
    int32_t y[6];
    BinaryArgs a;
    a.dtype = TERN_DTYPE_I32, a.a = x, a.b = z, a.y = y;
    const auto call = [&](Elementwise op, std::initializer_list<int32_t> want) {
      a.op = op, a.rank = 1, a.dims[0] = 6, a.a_strides[0] = a.b_strides[0] = 1;
      plan(a);
      k.elementwise->binary(&a, 0, a.units, nullptr);
      EXPECT_TRUE(std::equal(y, y + 6, want.begin())) << (int)op;
    };
    call(Elementwise::add, {INT32_MAX, INT32_MIN + 1, -6, 33, 31, 45});
    call(Elementwise::mul, {INT32_MIN, -2, -7, 62, -32, 200});
    call(Elementwise::shift_left, {0, -4, -14, 0, 0, 0});
    call(Elementwise::shift_right, {-1, INT32_MAX / 4, -4, 0, -1, 0});
    UnaryArgs u;
    u.dtype = TERN_DTYPE_I32, u.x = x, u.y = y, u.count = 6;
    const auto call_one = [&](Elementwise op, std::initializer_list<int32_t> want) {
      u.op.kind = op;
      k.elementwise->unary(&u, 0, units(u), nullptr);
      EXPECT_TRUE(std::equal(y, y + 6, want.begin())) << (int)op;
    };
    call_one(Elementwise::neg, {INT32_MIN, -INT32_MAX, 7, -2, 1, -5});
    call_one(Elementwise::abs, {INT32_MIN, INT32_MAX, 7, 2, 1, 5});
    call_one(Elementwise::sign, {-1, 1, -1, 1, -1, 1});
    call_one(Elementwise::relu, {0, INT32_MAX, 0, 2, 0, 5});
    call_one(Elementwise::bitwise_not, {INT32_MAX, INT32_MIN, 6, -3, 0, -6});
  });
}

TEST(ElementwiseKernels, LogicalAndNot) {
  for_each_set([](const Kernels& k) {
    Guarded<uint8_t> x(35), z(35), y(35);
    for (int i = 0; i < 35; ++i) x[i] = i % 2, z[i] = i % 3 == 0;
    BinaryArgs a;
    a.op = Elementwise::logical_xor, a.dtype = TERN_DTYPE_BOOL, a.a = x.data(), a.b = z.data(), a.y = y.data();
    a.rank = 1, a.dims[0] = 35, a.a_strides[0] = a.b_strides[0] = 1;
    plan(a);
    run(k.elementwise->binary, &a, a.units, 0, y.data(), 35);
    for (int i = 0; i < 35; ++i) EXPECT_EQ(y[i], x[i] ^ z[i]);
    UnaryArgs u;
    u.op.kind = Elementwise::logical_not, u.dtype = TERN_DTYPE_BOOL, u.x = x.data(), u.y = y.data(), u.count = 35;
    run(k.elementwise->unary, &u, units(u), 0, y.data(), 35);
    for (int i = 0; i < 35; ++i) EXPECT_EQ(y[i], !x[i]);
  });
}

TEST(ElementwiseKernels, SelectBroadcasts) {
  for_each_set([](const Kernels& k) {
    for (const int size : {1, 2, 4, 8}) {
      const int64_t dims[3] = {5, 7, 11};
      Guarded<uint8_t> c(7), a(77 * size), b(5 * size), y(385 * size);
      Random random(1);
      for (auto* g : {&c, &a, &b})
        for (size_t i = 0; i < g->size(); ++i) (*g)[i] = (uint8_t)(random.next() & (g == &c ? 1 : 255));
      SelectArgs s;
      s.condition = c.data(), s.a = a.data(), s.b = b.data(), s.y = y.data(), s.elem_size = size, s.rank = 3;
      const int64_t cd[2] = {7, 1}, ad[2] = {7, 11}, bd[3] = {5, 1, 1};
      std::memcpy(s.dims, dims, sizeof dims);
      broadcast_strides(2, cd, 3, dims, s.condition_strides);
      broadcast_strides(2, ad, 3, dims, s.a_strides);
      broadcast_strides(3, bd, 3, dims, s.b_strides);
      plan(s);
      run(k.elementwise->select, &s, s.units, 0, y.data(), y.bytes());
      for (int64_t i = 0; i < 385; ++i) {
        const uint8_t* want = c[i / 11 % 7] ? a.data() + i % 77 * size : b.data() + i / 77 * size;
        ASSERT_EQ(std::memcmp(y.data() + i * size, want, size), 0) << i;
      }
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
