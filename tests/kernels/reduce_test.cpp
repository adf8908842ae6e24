// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/reduce.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

double join(Reduce op, double m, double v) {
  switch (op) {
    case Reduce::max: return std::isnan(m) || std::isnan(v) ? NAN : std::fmax(m, v);
    case Reduce::min: return std::isnan(m) || std::isnan(v) ? NAN : std::fmin(m, v);
    case Reduce::prod: return m * v;
    case Reduce::sum_squares:
    case Reduce::l2: return m + v * v;
    case Reduce::l1: return m + std::fabs(v);
    case Reduce::log_sum_exp: return m + std::exp(v);
    default: return m + v;
  }
}
double start(Reduce op) {
  return op == Reduce::max ? -INFINITY : op == Reduce::min ? INFINITY : op == Reduce::prod ? 1 : 0;
}

struct Shape {
  int rank;
  int64_t dims[5];
};

// Calls f(output index, input index) for every element of x.
template <class F>
void each(const Shape& s, uint32_t mask, F f) {
  for (int64_t i = 0; i < num_elements(s.rank, s.dims); ++i) {
    int64_t rest = i, out = 0, step = 1;
    for (int d = s.rank - 1; d >= 0; --d) {
      if (!(mask >> d & 1)) out += rest % s.dims[d] * step, step *= s.dims[d];
      rest /= s.dims[d];
    }
    f(out, i);
  }
}

const Shape kShapes[] = {{0, {}},         {1, {1}},           {1, {17}},           {2, {3, 70}},
                         {3, {4, 5, 67}}, {4, {2, 3, 4, 65}}, {4, {2, 9, 7, 130}}, {5, {2, 3, 1, 5, 4}},
                         {2, {5000, 3}},  {2, {2, 70001}},    {3, {1, 6000, 20}},  {2, {0, 5}},
                         {2, {5, 0}},     {3, {2, 0, 3}}};

// unit: of rounding, 1 for f32
template <class T>
void every_set_of_axes(int32_t dtype, int ops, double unit) {
  for_each_set([=](const Kernels& k) {
    for (const Shape& s : kShapes)
      for (uint32_t mask = 0; mask < 1u << s.rank; ++mask)
        for (int op = 0; op < ops; ++op) {
          const int64_t n = num_elements(s.rank, s.dims);
          int64_t outputs = 1, count = 1;
          for (int d = 0; d < s.rank; ++d) (mask >> d & 1 ? count : outputs) *= s.dims[d];
          Guarded<T> x(n), y(outputs);
          Random random(op + 3);
          fill(x, random, (Reduce)op == Reduce::log_sum ? 0.1f : -1, 1);
          for (int64_t i = 0; i < n && unit < 1; ++i) x[i] /= 3;  // more digits than a float has
          if ((Reduce)op == Reduce::prod)
            for (int64_t i = 0; i < n; ++i) x[i] = 1 + x[i] * (T)1e-3;
          ReduceArgs a;
          a.op = (Reduce)op, a.dtype = dtype, a.x = x.data(), a.y = y.data();
          plan_reduce(a, s.rank, s.dims, mask);
          run(k.reduce->reduce, &a, a.units, 0, y.data(), y.bytes());
          std::vector<double> want(outputs, start(a.op)), absolute(outputs, 0);
          each(s, mask,
               [&](int64_t o, int64_t i) { want[o] = join(a.op, want[o], x[i]), absolute[o] += std::fabs(x[i]); });
          for (int64_t o = 0; o < outputs; ++o) {
            if (a.op == Reduce::mean) want[o] /= (double)count, absolute[o] /= (double)count;
            if (a.op == Reduce::l2) want[o] = std::sqrt(want[o]);
            if (a.op == Reduce::log_sum || a.op == Reduce::log_sum_exp) want[o] = std::log(want[o]), absolute[o] = 1;
            const double tolerance = a.op == Reduce::prod                         ? 1e-4
                                     : a.op >= Reduce::max && a.op <= Reduce::min ? 0
                                                                                  : 3e-6;
            ASSERT_NO_FATAL_FAILURE(expect_close(
                &y[o], &want[o], 1, tolerance * unit,
                a.op == Reduce::sum || a.op == Reduce::mean ? 5e-7 * unit * absolute[o] + 1e-12 * unit : 1e-6 * unit))
                << "op " << op << " mask " << mask << " rank " << s.rank << " output " << o;
            if (::testing::Test::HasFailure()) return;
          }
        }
  });
}
TEST(ReduceKernels, EverySetOfAxesF32) { every_set_of_axes<float>(TERN_DTYPE_F32, (int)Reduce::count_, 1); }
TEST(ReduceKernels, EverySetOfAxesF64) { every_set_of_axes<double>(TERN_DTYPE_F64, (int)Reduce::prod + 1, 1e-8); }

TEST(ReduceKernels, LongSumsStayExact) {  // a plain running sum is off by a percent
  for_each_set([](const Kernels& k) {
    constexpr int64_t n = 1 << 22;
    Guarded<float> x(n), y(4);
    for (int64_t i = 0; i < n; ++i) x[i] = 0.1f;
    for (const bool columns : {false, true}) {
      const int64_t dims[2] = {columns ? n / 4 : 4, columns ? 4 : n / 4};
      ReduceArgs a;
      a.x = x.data(), a.y = y.data();
      plan_reduce(a, 2, dims, columns ? 1 : 2);
      run(k.reduce->reduce, &a, a.units, 0, y.data(), y.bytes());
      for (int i = 0; i < 4; ++i) EXPECT_NEAR(y[i] / (0.1f * (double)(n / 4)), 1, 5e-6);
    }
  });
}

TEST(ReduceKernels, NanWinsF64) {
  for_each_set([](const Kernels& k) {
    for (const Reduce op : {Reduce::max, Reduce::min})
      for (const bool columns : {false, true})
        for (int64_t where = 0; where < 37; ++where) {
          Guarded<double> x(37), y(1);
          for (int64_t i = 0; i < 37; ++i) x[i] = (double)i;
          x[where] = NAN;
          ReduceArgs a;
          a.op = op, a.dtype = TERN_DTYPE_F64, a.x = x.data(), a.y = y.data();
          const int64_t dims[2] = {columns ? 37 : 1, columns ? 1 : 37};
          plan_reduce(a, 2, dims, 3);
          run(k.reduce->reduce, &a, a.units, 0, y.data(), y.bytes());
          EXPECT_TRUE(std::isnan(y[0])) << where;
        }
  });
}

TEST(ReduceKernels, NanAndInfinity) {
  for_each_set([](const Kernels& k) {
    for (const int64_t at : {0, 5, 40}) {
      float x[41], y;
      for (int i = 0; i < 41; ++i) x[i] = 1;
      x[at] = NAN;
      const int64_t dims[1] = {41};
      for (const Reduce op : {Reduce::max, Reduce::min, Reduce::sum, Reduce::log_sum_exp}) {
        ReduceArgs a;
        a.op = op, a.x = x, a.y = &y;
        plan_reduce(a, 1, dims, 1);
        k.reduce->reduce(&a, 0, 1, nullptr);
        EXPECT_TRUE(std::isnan(y)) << (int)op;
      }
      ReduceArgs a;
      a.op = Reduce::log_sum_exp, a.x = x, a.y = &y;
      x[at] = INFINITY;
      plan_reduce(a, 1, dims, 1);
      k.reduce->reduce(&a, 0, 1, nullptr);
      EXPECT_EQ(y, INFINITY);
      for (float& v : x) v = -INFINITY;
      k.reduce->reduce(&a, 0, 1, nullptr);
      EXPECT_EQ(y, -INFINITY);
      for (float& v : x) v = 200;
      k.reduce->reduce(&a, 0, 1, nullptr);
      EXPECT_NEAR(y, 200 + std::log(41.0), 1e-4);
    }
  });
}

template <class T>
void integers(int32_t dtype) {
  for_each_set([dtype](const Kernels& k) {
    for (const Shape& s : kShapes)
      for (uint32_t mask = 0; mask < 1u << s.rank; ++mask)
        for (const Reduce op : {Reduce::sum, Reduce::mean, Reduce::max, Reduce::min, Reduce::prod}) {
          const int64_t n = num_elements(s.rank, s.dims);
          int64_t outputs = 1, count = 1;
          for (int d = 0; d < s.rank; ++d) (mask >> d & 1 ? count : outputs) *= s.dims[d];
          if (count == 0 || n > 3000) continue;
          Guarded<T> x(n), y(outputs);
          Random random(4);
          for (int64_t i = 0; i < n; ++i) x[i] = (T)random.integer(-50, 50);
          ReduceArgs a;
          a.op = op, a.dtype = dtype, a.x = x.data(), a.y = y.data();
          plan_reduce(a, s.rank, s.dims, mask);
          run(k.reduce->reduce, &a, a.units, 0, y.data(), y.bytes());
          std::vector<uint64_t> want(outputs, op == Reduce::prod);
          std::vector<bool> first(outputs, true);
          each(s, mask, [&](int64_t o, int64_t i) {
            const int64_t v = x[i], m = (int64_t)want[o];
            if (op == Reduce::prod) want[o] *= (uint64_t)v;
            else if (op == Reduce::max || op == Reduce::min)
              want[o] = (uint64_t)(first[o] || (op == Reduce::max ? v > m : v < m) ? v : m);
            else want[o] += (uint64_t)v;
            first[o] = false;
          });
          for (int64_t o = 0; o < outputs; ++o)
            ASSERT_EQ(y[o], (T)(op == Reduce::mean ? (int64_t)want[o] / count : (int64_t)want[o])) << (int)op;
        }
  });
}
TEST(ReduceKernels, I32) { integers<int32_t>(TERN_DTYPE_I32); }
TEST(ReduceKernels, I64) { integers<int64_t>(TERN_DTYPE_I64); }

template <class T>
void arg_reduce(int32_t dtype) {
  for_each_set([dtype](const Kernels& k) {
    for (const int64_t outer : {1, 3})
      for (const int64_t axis : {1, 2, 37, 300})
        for (const int64_t inner : {1, 5, 130})
          for (int bits = 0; bits < 4; ++bits) {
            Guarded<T> x(outer * axis * inner);
            Guarded<int64_t> y(outer * inner);
            Random random(8);
            const int64_t most = axis == 300 ? 1000 : 5;
            for (size_t i = 0; i < x.size(); ++i) x[i] = (T)random.integer(0, most);
            if (axis == 37 || (axis == 300 && outer == 3)) x[x.size() / 2] = x[5 * inner] = x[9 * inner] = NAN;
            ArgReduceArgs a;
            a.dtype = dtype, a.least = bits & 1, a.last = bits >> 1, a.x = x.data(), a.y = y.data(), a.outer = outer,
            a.axis = axis, a.inner = inner;
            run(k.reduce->arg_reduce, &a, units(a), 0, y.data(), y.bytes());
            for (int64_t o = 0; o < outer * inner; ++o) {
              int64_t best = 0;
              const auto at = [&](int64_t i) { return x[(o / inner * axis + i) * inner + o % inner]; };
              for (int64_t i = 1; i < axis; ++i) {
                const T v = at(i), m = at(best);
                const bool equal = v == m || (std::isnan(v) && std::isnan(m));
                const bool better = std::isnan(v) ? !std::isnan(m) : !std::isnan(m) && (a.least ? v < m : v > m);
                if (better || (a.last && equal)) best = i;
              }
              ASSERT_EQ(y[o], best);
            }
          }
  });
}
TEST(ReduceKernels, ArgReduceF32) { arg_reduce<float>(TERN_DTYPE_F32); }
TEST(ReduceKernels, ArgReduceF64) { arg_reduce<double>(TERN_DTYPE_F64); }

}  // namespace
}  // namespace tern::cpu::test
