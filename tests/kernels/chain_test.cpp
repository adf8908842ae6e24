// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/chain.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

ChainOperand step(int i) { return {ChainSource::step, i, 0}; }
ChainOperand tensor(int i) { return {ChainSource::tensor, i, 0}; }
ChainOperand channel(int i) { return {ChainSource::channel, i, 0}; }
ChainOperand row(int i) { return {ChainSource::row, i, 0}; }
ChainOperand constant(float v) { return {ChainSource::constant, 0, v}; }
ChainStep binary(Elementwise op, ChainOperand a, ChainOperand b) {
  ChainStep s;
  s.is_binary = 1, s.op.kind = op, s.a = a, s.b = b;
  return s;
}
ChainStep unary(Elementwise op, ChainOperand a, float p0 = 0, float p1 = 0) {
  ChainStep s;
  s.op = {op, p0, p1}, s.a = a;
  return s;
}

struct Shape {
  int64_t rows, channels;
};
const Shape kShapes[] = {{1, 1},   {1, 5000}, {7, 1},    {700, 3}, {33, 24}, {5, 100}, {9, 511},
                         {9, 512}, {3, 513},  {2, 5000}, {0, 4},   {4, 0},   {600, 8}};

TEST(ChainKernels, HardSwishInFourSteps) {
  for_each_set([](const Kernels& k) {
    for (const Shape& s : kShapes) {
      const int64_t n = s.rows * s.channels;
      Guarded<float> x(n), y(n);
      Random random(1);
      fill(x, random, -5, 5);
      ChainArgs a;
      a.steps = 4, a.rows = s.rows, a.channels = s.channels, a.tensors[0] = x.data(), a.y = y.data();
      a.step[0] = binary(Elementwise::add, tensor(0), constant(3));
      a.step[1] = unary(Elementwise::clip, step(0), 0, 6);
      a.step[2] = binary(Elementwise::mul, tensor(0), step(1));
      a.step[3] = binary(Elementwise::div, step(2), constant(6));
      ASSERT_TRUE(plan(a));
      EXPECT_EQ(a.slots, 1);
      run(k.chain->chain, &a, a.units, chain_scratch(a), y.data(), y.bytes());
      std::vector<double> want(n);
      for (int64_t i = 0; i < n; ++i) want[i] = x[i] * std::fmin(6, std::fmax(0, x[i] + 3)) / 6;
      expect_close(y.data(), want.data(), n, 3e-7, 0);
    }
  });
}

TEST(ChainKernels, PreluBatchNormGateAndResidual) {
  for_each_set([](const Kernels& k) {
    for (const Shape& s : kShapes)
      for (const int64_t group : {(int64_t)0, (int64_t)1, (int64_t)5, s.rows}) {
        if (group > 0 && s.rows % group) continue;
        const int64_t n = s.rows * s.channels, groups = group == 0 ? 1 : s.rows / group;
        Guarded<float> x(n), residual(n), slope(group == 0 ? s.channels : groups * s.channels), gain(s.rows), y(n);
        Random random(2);
        fill(x, random), fill(residual, random), fill(slope, random), fill(gain, random);
        ChainArgs a;
        a.rows = s.rows, a.channels = s.channels, a.group_rows = group, a.y = y.data();
        a.tensors[0] = x.data(), a.tensors[1] = slope.data(), a.tensors[2] = residual.data(),
        a.tensors[3] = gain.data();
        a.step[0] = unary(Elementwise::relu, tensor(0));
        a.step[1] = unary(Elementwise::neg, tensor(0));
        a.step[2] = unary(Elementwise::relu, step(1));
        a.step[3] = binary(Elementwise::mul, step(2), channel(1));
        a.step[4] = binary(Elementwise::sub, step(0), step(3));
        a.step[5] = binary(Elementwise::add, tensor(2), step(4));
        a.step[6] = binary(Elementwise::mul, row(3), step(5));
        a.steps = 7;
        ASSERT_TRUE(plan(a));
        run(k.chain->chain, &a, a.units, chain_scratch(a), y.data(), y.bytes());
        std::vector<double> want(n);
        for (int64_t i = 0; i < n; ++i) {
          const int64_t r = i / s.channels, c = i % s.channels;
          const double v = slope[(group == 0 ? 0 : r / group) * s.channels + c];
          want[i] = gain[r] * (residual[i] + (x[i] < 0 ? x[i] * v : x[i]));
        }
        expect_close(y.data(), want.data(), n, 1e-6, 1e-6);
      }
  });
}

TEST(ChainKernels, WorksInPlace) {
  for_each_set([](const Kernels& k) {
    Guarded<float> x(5000), start(5000);
    Random random(2);
    fill(start, random);
    ChainArgs a;
    a.rows = 50, a.channels = 100, a.y = x.data(), a.tensors[0] = x.data(), a.steps = 2;
    a.step[0] = binary(Elementwise::mul, tensor(0), constant(2));
    a.step[1] = binary(Elementwise::add, step(0), tensor(0));
    ASSERT_TRUE(plan(a));
    run(k.chain->chain, &a, a.units, chain_scratch(a), x.data(), x.bytes(), start.data());
    for (int i = 0; i < 5000; ++i) ASSERT_EQ(x[i], start[i] * 2 + start[i]);
  });
}

TEST(ChainKernels, RefusesBadPrograms) {
  float x[4] = {};
  ChainArgs a;
  a.rows = 1, a.channels = 4, a.tensors[0] = x, a.y = x;
  EXPECT_FALSE(plan(a));  // no steps
  a.steps = 1;
  a.step[0] = unary(Elementwise::relu, step(0));  // its own result
  EXPECT_FALSE(plan(a));
  a.step[0] = unary(Elementwise::relu, tensor(1));  // NULL
  EXPECT_FALSE(plan(a));
  a.step[0] = unary(Elementwise::relu, tensor(-1));
  EXPECT_FALSE(plan(a));
  a.steps = kChainSteps + 1;
  EXPECT_FALSE(plan(a));
}

TEST(ChainKernels, Codes) {
  for (const int64_t n : {1, 17, 512, 9000})
    for (const int32_t y_dtype : {TERN_DTYPE_F32, TERN_DTYPE_U8, TERN_DTYPE_I8}) {
      Random random((uint64_t)n);
      Guarded<uint8_t> a_codes((size_t)n);
      Guarded<int8_t> b_codes((size_t)n);
      Guarded<float> scales(3), values((size_t)n);
      Guarded<int32_t> zeros(2);
      for (size_t i = 0; i < (size_t)n; ++i) a_codes[i] = (uint8_t)random.next(), b_codes[i] = (int8_t)random.next();
      scales[0] = 0.25f, scales[1] = 0.125f, scales[2] = 0.5f, zeros[0] = 100, zeros[1] = -7;
      Guarded<uint8_t> codes((size_t)n);
      ChainArgs c;
      c.steps = 1, c.channels = n;
      c.step[0].is_binary = 1, c.step[0].op.kind = Elementwise::add;
      c.step[0].a = {ChainSource::tensor, 0, 0}, c.step[0].b = {ChainSource::tensor, 1, 0};
      c.codes[0] = {TERN_DTYPE_U8, a_codes.data(), &scales[0], &zeros[0]};
      c.codes[1] = {TERN_DTYPE_I8, b_codes.data(), &scales[1], nullptr};
      c.y = values.data();
      if (y_dtype != TERN_DTYPE_F32) c.y_codes = {y_dtype, codes.data(), &scales[2], &zeros[1]};
      ASSERT_TRUE(plan(c));
      for_each_set([&](const Kernels& k) {
        if (y_dtype == TERN_DTYPE_F32)
          run(k.chain->chain, &c, c.units, chain_scratch(c), values.data(), values.bytes());
        else run(k.chain->chain, &c, c.units, chain_scratch(c), codes.data(), codes.bytes());
        for (size_t i = 0; i < (size_t)n; ++i) {
          const float sum = (float)(a_codes[i] - 100) * 0.25f + (float)b_codes[i] * 0.125f;
          if (y_dtype == TERN_DTYPE_F32) {
            ASSERT_EQ(values[i], sum);
            continue;
          }
          const float low = y_dtype == TERN_DTYPE_U8 ? 0 : -128, code = std::nearbyintf(sum / 0.5f) - 7;
          const float want = code < low ? low : code > low + 255 ? low + 255 : code;
          ASSERT_EQ(y_dtype == TERN_DTYPE_U8 ? (int)codes[i] : (int)(int8_t)codes[i], (int)want);
        }
      });
    }
}

}  // namespace
}  // namespace tern::cpu::test
