// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/elementwise.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double unary(Unary op, double x, double p0, double p1) {
  switch (op) {
    case Unary::identity: return x;
    case Unary::neg: return -x;
    case Unary::abs: return std::fabs(x);
    case Unary::sign: return x > 0 ? 1 : x < 0 ? -1 : x;
    case Unary::square: return x * x;
    case Unary::relu: return x < 0 ? 0 : x;
    case Unary::clip: return x < p0 ? p0 : x > p1 ? p1 : x;
    case Unary::leaky_relu: return x < 0 ? p0 * x : x;
    case Unary::elu: return x < 0 ? p0 * std::expm1(x) : x;
    case Unary::selu: return p1 * (x < 0 ? p0 * std::expm1(x) : x);
    case Unary::celu: return x < 0 ? p0 * std::expm1(x / p0) : x;
    case Unary::exp: return std::exp(x);
    case Unary::expm1: return std::expm1(x);
    case Unary::log: return std::log(x);
    case Unary::log1p: return std::log1p(x);
    case Unary::sqrt: return std::sqrt(x);
    case Unary::rsqrt: return 1 / std::sqrt(x);
    case Unary::reciprocal: return 1 / x;
    case Unary::floor: return std::floor(x);
    case Unary::ceil: return std::ceil(x);
    case Unary::trunc: return std::trunc(x);
    case Unary::round: return std::nearbyint(x);
    case Unary::sin: return std::sin(x);
    case Unary::cos: return std::cos(x);
    case Unary::tan: return std::tan(x);
    case Unary::asin: return std::asin(x);
    case Unary::acos: return std::acos(x);
    case Unary::atan: return std::atan(x);
    case Unary::sinh: return std::sinh(x);
    case Unary::cosh: return std::cosh(x);
    case Unary::asinh: return std::asinh(x);
    case Unary::acosh: return std::acosh(x);
    case Unary::atanh: return std::atanh(x);
    case Unary::tanh: return std::tanh(x);
    case Unary::sigmoid: return sigmoid(x);
    case Unary::erf: return std::erf(x);
    case Unary::hard_sigmoid: return std::fmin(1, std::fmax(0, p0 * x + p1)) + (std::isnan(x) ? NAN : 0);
    case Unary::hard_swish: return x * (std::fmin(6, std::fmax(0, x + 3)) / 6);
    case Unary::silu: return x * sigmoid(x);
    case Unary::gelu_erf: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Unary::gelu_tanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Unary::softplus: return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))) + (std::isnan(x) ? NAN : 0);
    case Unary::softsign: return x / (1 + std::fabs(x));
    case Unary::mish: return x * std::tanh(std::log1p(std::exp(x)));
    case Unary::threshold: return x > p0 ? x : p1;
    case Unary::shrink: return x < -p0 ? x + p1 : x > p0 ? x - p1 : 0;
    case Unary::step: return x > p0 ? 1 : 0;
    default: return 0;
  }
}

TEST(ElementwiseKernels, UnaryMatchesDouble) {
  for_each_set([](const Kernels& k) {
    for (int op = 0; op < (int)Unary::bitwise_not; ++op) {
      SCOPED_TRACE(op);
      for (const int64_t n : {0, 1, 3, 7, 16, 17, 33, 100, 4096, 8195}) {
        Guarded<float> x(n), y(n);
        std::vector<double> want(n);
        Random random(op + n);
        for (int64_t i = 0; i < n; ++i) x[i] = i % 5 ? random.uniform(-4, 4) : random.uniform(-60, 60);
        UnaryArgs a;
        a.op = (Unary)op, a.x = x.data(), a.y = y.data(), a.count = n, a.p0 = 0.3f, a.p1 = 1.6f;
        for (int64_t i = 0; i < n; ++i) want[i] = unary(a.op, x[i], a.p0, a.p1);
        run(k.elementwise->unary, &a, units(a), 0, y.data(), y.bytes());
        expect_close(y.data(), want.data(), n, 4e-7, 3e-7);
      }
    }
  });
}

// The functions of math.h, over all exponents and at their limits.
TEST(ElementwiseKernels, FunctionsKeepTheStatedError) {
  struct Limit {
    Unary op;
    float low, high;
    double error;
  };
  const Limit limits[] = {{Unary::exp, -87, 88.7f, 0.9e-7},     {Unary::expm1, -200, 88.7f, 1.3e-7},
                          {Unary::log, 0, 3e38f, 0.9e-7},       {Unary::log1p, -1, 3e38f, 1.5e-7},
                          {Unary::tanh, -3e38f, 3e38f, 1.6e-7}, {Unary::sigmoid, -87, 3e38f, 2e-7},
                          {Unary::erf, -3e38f, 3e38f, 1.2e-7}};
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
      a.op = limit.op, a.x = x.data(), a.y = y.data(), a.count = n;
      k.elementwise->unary(&a, 0, units(a), nullptr);
      double worst = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double want = unary(a.op, x[i], 0, 0);
        if (std::fabs(want) > 1.2e-38) worst = std::fmax(worst, std::fabs(y[i] - want) / std::fabs(want));
      }
      EXPECT_LT(worst, limit.error);
      const float special[] = {0.0f, -0.0f, inf, -inf, NAN, 1e-40f, -1e-40f, 3.4e38f, -3.4e38f};
      for (const float s : special) {
        float one;
        a.x = &s, a.y = &one, a.count = 1;
        k.elementwise->unary(&a, 0, 1, nullptr);
        const double want = (double)(float)unary(a.op, s, 0, 0);
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
    for (const Unary op :
         {Unary::relu, Unary::clip, Unary::leaky_relu, Unary::hard_sigmoid, Unary::hard_swish, Unary::elu, Unary::exp,
          Unary::sqrt, Unary::round, Unary::sign, Unary::gelu_tanh, Unary::softplus, Unary::mish}) {
      UnaryArgs a;
      a.op = op, a.x = x, a.y = y, a.count = 3, a.p0 = 0, a.p1 = 6;
      k.elementwise->unary(&a, 0, 1, nullptr);
      EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]) && std::isnan(y[2])) << (int)op;
    }
    BinaryArgs b;
    const float one[3] = {1, 1, 1};
    b.rank = 1, b.dims[0] = 3, b.a_strides[0] = b.b_strides[0] = 1, b.y = y;
    for (const Binary op : {Binary::min, Binary::max}) {
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

double binary(Binary op, double a, double b) {
  switch (op) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::div: return a / b;
    case Binary::min: return std::fmin(a, b);
    case Binary::max: return std::fmax(a, b);
    case Binary::pow: return std::pow(a, b);
    case Binary::fmod: return std::fmod(a, b);
    case Binary::mod: {
      const double r = std::fmod(a, b);
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    case Binary::prelu: return a < 0 ? a * b : a;
    case Binary::squared_difference: return (a - b) * (a - b);
    case Binary::atan2: return std::atan2(a, b);
    case Binary::eq: return a == b;
    case Binary::ne: return a != b;
    case Binary::lt: return a < b;
    case Binary::le: return a <= b;
    case Binary::gt: return a > b;
    case Binary::ge: return a >= b;
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
      for (const Binary op : {Binary::add, Binary::sub, Binary::mul, Binary::div, Binary::min, Binary::max, Binary::pow,
                              Binary::mod, Binary::fmod, Binary::prelu, Binary::squared_difference, Binary::atan2,
                              Binary::eq, Binary::lt, Binary::ge}) {
        BinaryArgs a;
        std::vector<int64_t> ia, ib;
        broadcast(s, a, ia, ib);
        Guarded<float> x(num_elements(s.rank_a, s.a)), z(num_elements(s.rank_b, s.b)), y(ia.size());
        Guarded<uint8_t> truth(ia.size());
        Random random(7);
        fill(x, random, 0.5, 4), fill(z, random, 0.5, 4);
        if (op != Binary::pow)
          for (size_t i = 0; i < x.size(); i += 2) x[i] = -x[i];
        const bool compares = op >= Binary::eq;
        a.op = op, a.a = x.data(), a.b = z.data(), a.y = compares ? (void*)truth.data() : y.data();
        a.clip = op == Binary::add, a.lo = 0, a.hi = 3;
        plan(a);
        std::vector<double> want(ia.size());
        for (size_t i = 0; i < want.size(); ++i) {
          want[i] = binary(op, x[ia[i]], z[ib[i]]);
          if (a.clip) want[i] = std::fmin(3, std::fmax(0, (float)want[i]));
        }
        run(k.elementwise->binary, &a, a.units, 0, a.y, compares ? truth.bytes() : y.bytes());
        if (compares)
          for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(truth[i], want[i]) << i;
        else expect_close(y.data(), want.data(), (int64_t)want.size(), 3e-7, 0);
      }
  });
}

template <class T>
void integers(int32_t dtype) {
  for_each_set([dtype](const Kernels& k) {
    for (const Shapes& s : kShapes)
      for (const Binary op : {Binary::add, Binary::sub, Binary::mul, Binary::div, Binary::min, Binary::max, Binary::mod,
                              Binary::fmod, Binary::eq, Binary::gt}) {
        BinaryArgs a;
        std::vector<int64_t> ia, ib;
        broadcast(s, a, ia, ib);
        Guarded<T> x(num_elements(s.rank_a, s.a)), z(num_elements(s.rank_b, s.b)), y(ia.size());
        Guarded<uint8_t> truth(ia.size());
        Random random(3);
        const int64_t low = (T)-1 < (T)0 ? -100 : 0;
        for (size_t i = 0; i < x.size(); ++i) x[i] = (T)random.integer(low, 100);
        for (size_t i = 0; i < z.size(); ++i) z[i] = (T)random.integer(low, 9);
        const bool compares = op >= Binary::eq;
        a.op = op, a.dtype = dtype, a.a = x.data(), a.b = z.data(), a.y = compares ? (void*)truth.data() : y.data();
        plan(a);
        run(k.elementwise->binary, &a, a.units, 0, a.y, compares ? truth.bytes() : y.bytes());
        for (size_t i = 0; i < ia.size(); ++i) {
          const int64_t p = x[ia[i]], q = z[ib[i]];
          int64_t want;
          if (op == Binary::div) want = q == 0 ? 0 : p / q;
          else if (op == Binary::fmod) want = q == 0 ? 0 : p % q;
          else if (op == Binary::mod) want = q == 0 ? 0 : ((p % q) + q) % q;
          else want = (int64_t)binary(op, (double)p, (double)q);
          ASSERT_EQ(compares ? (int64_t)truth[i] : (int64_t)y[i], compares ? want : (int64_t)(T)want)
              << (int)op << " element " << i;
        }
      }
  });
}
TEST(ElementwiseKernels, BinaryI32) { integers<int32_t>(TERN_DTYPE_I32); }
TEST(ElementwiseKernels, BinaryI64) { integers<int64_t>(TERN_DTYPE_I64); }
TEST(ElementwiseKernels, BinaryU8) { integers<uint8_t>(TERN_DTYPE_U8); }

TEST(ElementwiseKernels, IntegerEdges) {
  for_each_set([](const Kernels& k) {
    const int32_t x[6] = {INT32_MIN, 7, INT32_MIN, 2, -1, 5}, z[6] = {-1, 0, 1, 31, -3, 40};
    int32_t y[6];
    BinaryArgs a;
    a.dtype = TERN_DTYPE_I32, a.a = x, a.b = z, a.y = y;
    const auto call = [&](Binary op) {
      a.op = op, a.rank = 1, a.dims[0] = 6, a.a_strides[0] = a.b_strides[0] = 1;
      plan(a);
      k.elementwise->binary(&a, 0, a.units, nullptr);
    };
    call(Binary::div);
    EXPECT_EQ(y[0], INT32_MIN);
    EXPECT_EQ(y[1], 0);
    call(Binary::mod);
    EXPECT_EQ(y[0], 0);
    EXPECT_EQ(y[1], 0);
    call(Binary::pow);
    EXPECT_EQ(y[2], INT32_MIN);
    EXPECT_EQ(y[4], -1);
    call(Binary::shift_left);
    EXPECT_EQ(y[5], 0);
    EXPECT_EQ(y[0], 0);
  });
}

TEST(ElementwiseKernels, LogicalAndNot) {
  for_each_set([](const Kernels& k) {
    Guarded<uint8_t> x(35), z(35), y(35);
    for (int i = 0; i < 35; ++i) x[i] = i % 2, z[i] = i % 3 == 0;
    BinaryArgs a;
    a.op = Binary::logical_xor, a.dtype = TERN_DTYPE_BOOL, a.a = x.data(), a.b = z.data(), a.y = y.data();
    a.rank = 1, a.dims[0] = 35, a.a_strides[0] = a.b_strides[0] = 1;
    plan(a);
    run(k.elementwise->binary, &a, a.units, 0, y.data(), 35);
    for (int i = 0; i < 35; ++i) EXPECT_EQ(y[i], x[i] ^ z[i]);
    UnaryArgs u;
    u.op = Unary::logical_not, u.dtype = TERN_DTYPE_BOOL, u.x = x.data(), u.y = y.data(), u.count = 35;
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
