// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/depthwise_int8.h"

#include "int8_test.h"

namespace tern::cpu::test {
namespace {

const Picture kPictures[] = {{1, 5, 6, 3, 3, 3, 3, 3, 1, 1, 1},        {2, 5, 9, 16, 16, 16, 3, 3, 2, 1, 1},
                             {1, 7, 7, 33, 33, 33, 3, 2, 1, 2, 2},     {1, 9, 8, 70, 70, 70, 1, 1, 2, 1, 0},
                             {1, 6, 11, 96, 96, 96, 5, 5, 1, 1, 2},    {1, 3, 3, 130, 130, 130, 5, 5, 1, 1, 2},
                             {1, 4, 19, 128, 128, 128, 3, 3, 1, 1, 1}, {2, 3, 1, 20, 20, 20, 3, 3, 1, 1, 1},
                             {1, 6, 4, 40, 40, 40, 3, 3, 1, 1, 0}};

TEST(DepthwiseInt8Kernels, ExactInEveryOutputType) {
  for (const Picture& p : kPictures)
    for (int bits = 0; bits < 4; ++bits)
      for (const int32_t out : {TERN_DTYPE_I32, TERN_DTYPE_F32, TERN_DTYPE_I8, TERN_DTYPE_U8}) {
        const bool is_signed = bits & 1, all = bits & 2;
        const int64_t taps = p.kernel_h * p.kernel_w;
        Random random((uint64_t)(p.channels + bits));
        DepthwiseInt8Args a;
        a.window = window_of(p);
        a.y_stride = p.channels + 1;
        Guarded<uint8_t> x((size_t)(p.batch * p.h * p.w * p.channels));
        fill_codes(x, is_signed, random);
        Given given(p.channels, taps, 1, false, random);
        Guarded<int8_t> packed((size_t)packed_depthwise_int8_bytes(p.channels, depthwise_int8_taps(a)), 64);
        pack_depthwise_int8(given.w.data(), 0x80, p.channels, p.kernel_h, p.kernel_w, packed.data());
        Guarded<int32_t> zero(1);
        zero[0] = is_signed ? -7 : 200;
        const int64_t size = int8_result_bytes(out), pixels = p.batch * a.window.out_h * a.window.out_w;
        Guarded<uint8_t> y((size_t)(((pixels - 1) * a.y_stride + p.channels) * size), (size_t)size);
        a.x_dtype = is_signed ? TERN_DTYPE_I8 : TERN_DTYPE_U8;
        a.x = x.data(), a.w = packed.data(), a.y = y.data(), a.x_zero = zero.data();
        a.ending = given.ending(out, all);
        for_each_set([&](const Kernels& k) {
          run(k.depthwise_int8->depthwise, &a, units(a), depthwise_int8_scratch_bytes(a), y.data(), y.bytes());
          for (int64_t i = 0; i < pixels; ++i)
            for (int64_t j = 0; j < p.channels; ++j) {
              const auto weight = [&](int64_t at) { return (int8_t)(given.w[(size_t)at] ^ 0x80); };
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
