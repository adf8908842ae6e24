// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/matmul_int8.h"

#include "int8_test.h"

namespace tern::cpu::test {
namespace {

struct Shape {
  int64_t m, n, k;
};
const Shape kShapes[] = {{1, 1, 1},      {1, 32, 4}, {3, 33, 7},    {16, 64, 64},   {17, 31, 130},
                         {2, 100, 1023}, {0, 5, 3},  {5, 0, 3},     {61, 40, 5},    {52, 33, 8},
                         {101, 7, 12},   {4, 3, 0},  {36, 3, 1100}, {100, 33, 192}, {19, 2, 1024}};

TEST(MatmulInt8Kernels, ExactInEveryOutputType) {
  for (const Shape& s : kShapes)
    for (int bits = 0; bits < 32; ++bits)
      for (const int32_t out : {TERN_DTYPE_I32, TERN_DTYPE_F32, TERN_DTYPE_I8, TERN_DTYPE_U8}) {
        const bool is_signed = bits & 1, all = bits & 2, per_row = bits & 4, transposed = bits & 8, small = bits & 16;
        const int64_t x_stride = s.k + 1, y_stride = s.n + 2;
        Guarded<uint8_t> x((size_t)(s.m ? (s.m - 1) * x_stride + s.k : 0));
        Guarded<int32_t> zeros((size_t)(per_row ? s.m : 1));
        Random random((uint64_t)(s.m + s.n + s.k + bits));
        fill_codes(x, is_signed, random);
        for (size_t i = 0; i < zeros.size(); ++i) zeros[i] = (int32_t)random.integer(0, 99);
        Given given(s.n, s.k, 1, small, random);
        const Guarded<int8_t>& w = given.w;
        const uint8_t flip = small ? 0 : 0x80;  // u8 weights
        if (transposed) pack_int8(w.data(), flip, s.n, s.k, 1, s.n, given.packed.data());
        else pack_int8(w.data(), flip, s.n, s.k, s.k, 1, given.packed.data());
        const int64_t size = int8_result_bytes(out);
        Guarded<uint8_t> y((size_t)((s.m ? (s.m - 1) * y_stride + s.n : 0) * size), (size_t)size);
        MatmulInt8Args a;
        a.x_dtype = is_signed ? TERN_DTYPE_I8 : TERN_DTYPE_U8;
        a.x = x.data(), a.w = given.packed.data(), a.y = y.data();
        a.m = s.m, a.n = s.n, a.k = s.k, a.x_stride = x_stride, a.y_stride = y_stride;
        a.x_zero = zeros.data(), a.x_zero_step = per_row;
        if (all) a.w_zero = given.w_zero.data();
        a.ending = given.ending(out, all);
        std::vector<int64_t> sums((size_t)(s.m * s.n));
        for (int64_t i = 0; i < s.m; ++i)
          for (int64_t j = 0; j < s.n; ++j)
            for (int64_t c = 0; c < s.k; ++c)
              sums[(size_t)(i * s.n + j)] +=
                  (value_of(x[(size_t)(i * x_stride + c)], is_signed) - zeros[per_row ? (size_t)i : 0]) *
                  ((int8_t)(w[(size_t)(transposed ? c * s.n + j : j * s.k + c)] ^ flip) -
                   (all ? given.w_zero[(size_t)j] : 0));
        for_each_set([&](const Kernels& k) {
          run(k.matmul_int8->matmul, &a, units(a), matmul_int8_scratch_bytes(a), y.data(), y.bytes());
          for (int64_t i = 0; i < s.m; ++i)
            for (int64_t j = 0; j < s.n; ++j) {
              expect_result(a.ending, y.data() + (i * y_stride + j) * size, j, sums[(size_t)(i * s.n + j)]);
              if (HasFatalFailure()) return;
            }
        });
        if (HasFailure()) return;
      }
}

// Where this processor has matrix tiles they take the place of its best set, and of no other.
TEST(MatmulInt8Kernels, TilesWhereTheyAre) {
  const Kernels* amx = nullptr;
  for (int i = 0; const Kernels* k = runnable_kernels(i); ++i)
    if (std::strcmp(k->isa, "amx") == 0) amx = k;
  if (!amx) std::printf("SKIPPED: the choice of matrix tiles: this processor has none\n");
  const bool wish = std::getenv("TERN_CPU_ISA") != nullptr;
  for (int i = 0; const Kernels* k = runnable_kernels(i); ++i)
    EXPECT_EQ(with_tiles(*k).isa, i == 0 && amx && !wish ? amx->isa : k->isa);
}

const Picture kPictures[] = {{1, 5, 6, 3, 4, 1, 3, 3, 1, 1, 1},  {2, 5, 9, 16, 33, 1, 3, 3, 2, 1, 1},
                             {1, 7, 7, 6, 10, 2, 3, 2, 1, 2, 2}, {1, 9, 8, 70, 40, 1, 1, 1, 2, 1, 0},
                             {1, 4, 4, 8, 8, 8, 3, 3, 1, 1, 1},  {1, 3, 3, 4, 4, 2, 5, 5, 1, 1, 2}};

TEST(MatmulInt8Kernels, Convolutions) {
  for (const Picture& p : kPictures)
    for (int bits = 0; bits < 4; ++bits)
      for (const int32_t out : {TERN_DTYPE_I32, TERN_DTYPE_U8}) {
        const bool is_signed = bits & 1, all = bits & 2;
        Random random((uint64_t)(p.channels + p.outputs + bits));
        MatmulInt8Args a;
        a.is_conv = 1;
        a.window = window_of(p);
        a.groups = p.groups, a.n = p.outputs / p.groups, a.k = p.kernel_h * p.kernel_w * p.channels / p.groups;
        a.m = p.batch * a.window.out_h * a.window.out_w;
        a.y_stride = p.outputs + 1;
        Guarded<uint8_t> x((size_t)(p.batch * p.h * p.w * p.channels));
        fill_codes(x, is_signed, random);
        Given given(a.n, a.k, p.groups, false, random);
        for (int64_t g = 0; g < p.groups; ++g)
          pack_int8(given.w.data() + g * a.n * a.k, 0, a.n, a.k, a.k, 1,
                    given.packed.data() + g * packed_int8_bytes(a.n, a.k));
        Guarded<int32_t> zero(1);
        zero[0] = is_signed ? -7 : 200;
        const int64_t size = int8_result_bytes(out);
        Guarded<uint8_t> y((size_t)(((a.m - 1) * a.y_stride + p.outputs) * size), (size_t)size);
        a.x_dtype = is_signed ? TERN_DTYPE_I8 : TERN_DTYPE_U8;
        a.x = x.data(), a.w = given.packed.data(), a.y = y.data(), a.x_zero = zero.data();
        if (all) a.w_zero = given.w_zero.data();
        a.ending = given.ending(out, all);
        for_each_set([&](const Kernels& k) {
          run(k.matmul_int8->matmul, &a, units(a), matmul_int8_scratch_bytes(a), y.data(), y.bytes());
          for (int64_t i = 0; i < a.m; ++i)
            for (int64_t j = 0; j < p.outputs; ++j) {
              const auto weight = [&](int64_t at) { return given.w[(size_t)at] - (all ? given.w_zero[(size_t)j] : 0); };
              const int64_t sum = sum_of_window(p, a.window, x, is_signed, zero[0], i, j, weight);
              expect_result(a.ending, y.data() + (i * a.y_stride + j) * size, j, sum);
              if (HasFatalFailure()) return;
            }
        });
        if (HasFailure()) return;
      }
}

}  // namespace
}  // namespace tern::cpu::test
