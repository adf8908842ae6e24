// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/matmul_int8.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

struct Shape {
  int64_t m, n, k;
};
const Shape kShapes[] = {{1, 1, 1},      {1, 32, 4}, {3, 33, 7}, {16, 64, 64}, {17, 31, 130},
                         {2, 100, 1023}, {0, 5, 3},  {5, 0, 3},  {40, 40, 5},  {4, 3, 0}};

TEST(MatmulInt8Kernels, ExactInEveryOutputType) {
  for (const Shape& s : kShapes)
    for (int bits = 0; bits < 16; ++bits)
      for (const int32_t out : {TERN_DTYPE_I32, TERN_DTYPE_F32, TERN_DTYPE_I8, TERN_DTYPE_U8}) {
        const bool is_signed = bits & 1, w_zeros = bits & 2, per_row = bits & 4, transposed = bits & 8;
        const int64_t x_stride = s.k + 1, y_stride = s.n + 2;
        Guarded<uint8_t> x(s.m ? (s.m - 1) * x_stride + s.k : 0);
        Guarded<int8_t> w(s.n * s.k), packed(packed_int8_bytes(s.n, s.k), 64);
        Guarded<int32_t> row_zero(s.m), w_zero(s.n), bias32(s.n);
        Guarded<float> row_scale(s.m), w_scale(s.n), bias(s.n), multiplier(s.n);
        Random random(s.m + s.n + s.k);
        // extremes too
        for (size_t i = 0; i < x.size(); ++i)
          x[i] = random.integer(0, 3) ? (uint8_t)random.next() : is_signed ? 0x80 : 0xff;
        for (size_t i = 0; i < w.size(); ++i) w[i] = random.integer(0, 3) ? (int8_t)random.next() : (int8_t)-128;
        for (size_t i = 0; i < w_zero.size(); ++i)
          w_zero[i] = (int32_t)random.integer(-5, 5), bias32[i] = (int32_t)random.integer(-1000, 1000);
        for (size_t i = 0; i < row_zero.size(); ++i) row_zero[i] = (int32_t)random.integer(0, 99);
        fill(row_scale, random, 0.01f, 0.02f), fill(w_scale, random, 0.01f, 0.02f), fill(bias, random),
            fill(multiplier, random, 1e-5f, 1e-3f);
        if (transposed) pack_int8(w.data(), s.n, s.k, 1, s.n, packed.data());
        else pack_int8(w.data(), s.n, s.k, s.k, 1, packed.data());
        const int size = out == TERN_DTYPE_I32 || out == TERN_DTYPE_F32 ? 4 : 1;
        Guarded<uint8_t> y(s.m ? ((s.m - 1) * y_stride + s.n) * size : 0);
        MatmulInt8Args a;
        a.x_dtype = is_signed ? TERN_DTYPE_I8 : TERN_DTYPE_U8, a.y_dtype = out, a.x = x.data(), a.w = packed.data(),
        a.y = y.data();
        a.m = s.m, a.n = s.n, a.k = s.k, a.x_stride = x_stride, a.y_stride = y_stride, a.x_zero = 77,
        a.x_scale = 0.013f;
        if (per_row) a.x_zeros = row_zero.data(), a.x_scales = row_scale.data();
        if (w_zeros)
          a.w_zero = w_zero.data(), a.bias_s32 = bias32.data(), a.w_scale = w_scale.data(), a.bias = bias.data();
        a.multiplier = multiplier.data(), a.y_zero = 3, a.y_min = out == TERN_DTYPE_U8 ? 0 : -128,
        a.y_max = out == TERN_DTYPE_U8 ? 250 : 127;
        for_each_set([&](const Kernels& k) {
          run(k.matmul_int8->matmul, &a, units(a), 0, y.data(), y.bytes());
          for (int64_t i = 0; i < s.m; ++i)
            for (int64_t j = 0; j < s.n; ++j) {
              int64_t acc = w_zeros ? bias32[j] : 0;
              for (int64_t c = 0; c < s.k; ++c) {
                const int64_t v = is_signed ? (int64_t)(int8_t)x[i * x_stride + c] : x[i * x_stride + c];
                acc += (v - (per_row ? row_zero[i] : 77)) *
                       ((transposed ? w[c * s.n + j] : w[j * s.k + c]) - (w_zeros ? w_zero[j] : 0));
              }
              const uint8_t* got = y.data() + (i * y_stride + j) * size;
              if (out == TERN_DTYPE_I32) {
                int32_t v;
                std::memcpy(&v, got, 4);
                ASSERT_EQ(v, (int32_t)acc);
              } else if (out == TERN_DTYPE_F32) {
                const float scale = per_row ? row_scale[i] : 0.013f;
                float want = (float)(int32_t)acc * (w_zeros ? scale * w_scale[j] : scale), v;
                if (w_zeros) want = want + bias[j];
                std::memcpy(&v, got, 4);
                ASSERT_EQ(v, want);
              } else {
                const float q = std::nearbyintf((float)(int32_t)acc * multiplier[j]) + 3;
                const float want = q < (float)a.y_min ? (float)a.y_min : q > (float)a.y_max ? (float)a.y_max : q;
                ASSERT_EQ(out == TERN_DTYPE_U8 ? (int)*got : (int)(int8_t)*got, (int)want);
              }
            }
        });
      }
}

}  // namespace
}  // namespace tern::cpu::test
