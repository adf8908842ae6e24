// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/quant.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

int size_of(int32_t t) { return t == TERN_DTYPE_I32 ? 4 : t == TERN_DTYPE_I16 || t == TERN_DTYPE_U16 ? 2 : 1; }
int64_t code(int32_t t, const uint8_t* q, int64_t i) {
  switch (t) {
    case TERN_DTYPE_I8: return ((const int8_t*)q)[i];
    case TERN_DTYPE_U8: return q[i];
    case TERN_DTYPE_I16: return ((const int16_t*)q)[i];
    case TERN_DTYPE_U16: return ((const uint16_t*)q)[i];
    default: return ((const int32_t*)q)[i];
  }
}

TEST(QuantKernels, ThereAndBack) {
  struct Layout {
    int64_t outer, channels, inner;
  };
  const Layout layouts[] = {{1, 1, 5000}, {3, 1, 7}, {5, 37, 1}, {2, 9, 33},
                            {1, 5000, 1}, {0, 3, 2}, {2, 3, 0},  {1, 1, 0}};
  for_each_set([&](const Kernels& k) {
    for (const Layout& l : layouts)
      for (const int32_t type : {TERN_DTYPE_I8, TERN_DTYPE_U8, TERN_DTYPE_I16, TERN_DTYPE_U16})
        for (const bool zeros : {false, true}) {
          const int64_t n = l.outer * l.channels * l.inner;
          const int64_t low = type == TERN_DTYPE_I8 ? -128 : type == TERN_DTYPE_I16 ? -32768 : 0;
          const int64_t high = type == TERN_DTYPE_I8    ? 127
                               : type == TERN_DTYPE_U8  ? 255
                               : type == TERN_DTYPE_I16 ? 32767
                                                        : 65535;
          Guarded<float> x(n), back(n), scale(l.channels);
          Guarded<int32_t> zero(l.channels);
          Guarded<uint8_t> q(n * size_of(type));
          Random random(1);
          fill(x, random, -3, 3), fill(scale, random, 0.01f, 0.03f);
          for (size_t i = 0; i < zero.size(); ++i) zero[i] = (int32_t)random.integer(0, 90);
          if (n > 50) x[3] = NAN, x[4] = INFINITY, x[5] = -INFINITY, x[6] = 0.5f * scale[0];
          QuantArgs a;
          a.dtype = type, a.scale = scale.data(), a.zero = zeros ? zero.data() : nullptr, a.x = x.data(),
          a.q = q.data();
          a.outer = l.outer, a.channels = l.channels, a.inner = l.inner;
          run(k.quant->quantise, &a, units(a), 0, q.data(), q.bytes());
          a.x = back.data();
          run(k.quant->dequantise, &a, units(a), 0, back.data(), back.bytes());
          for (int64_t i = 0; i < n; ++i) {
            const int64_t c = i / l.inner % l.channels, z = zeros ? zero[c] : 0;
            float r = std::nearbyintf(x[i] / scale[c]);
            if (std::isnan(r)) r = 0;
            const double want = std::fmin((double)high, std::fmax((double)low, (double)r + (double)z));
            ASSERT_EQ(code(type, q.data(), i), (int64_t)want) << i << " type " << type;
            ASSERT_EQ(back[i], (float)((int64_t)want - z) * scale[c]);
          }
        }
  });
}

}  // namespace
}  // namespace tern::cpu::test
