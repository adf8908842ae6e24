// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/float16.h"
#include "base/float_mode.h"
#include "kernel_test.h"
#include "kernels/cpu/elementwise.h"

namespace tern::cpu::test {
namespace {

int size_of(int32_t t) {
  switch (t) {
    case TERN_DTYPE_I8:
    case TERN_DTYPE_U8:
    case TERN_DTYPE_BOOL: return 1;
    case TERN_DTYPE_F16:
    case TERN_DTYPE_BF16:
    case TERN_DTYPE_I16:
    case TERN_DTYPE_U16: return 2;
    case TERN_DTYPE_F64:
    case TERN_DTYPE_I64:
    case TERN_DTYPE_U64: return 8;
    default: return 4;
  }
}
// v rounded once, to nearest even: the nearest of a number close to it and the two beside that one.
uint16_t nearest(double v, uint16_t close, float (*to_f32)(uint16_t)) {
  uint16_t best = close;
  for (const uint16_t candidate : {(uint16_t)(close - 1), (uint16_t)(close + 1)}) {
    const double gain = std::fabs(v - (double)to_f32(best)) - std::fabs(v - (double)to_f32(candidate));
    if (gain > 0 || (gain == 0 && candidate % 2 == 0)) best = candidate;
  }
  return best;
}
double read(int32_t t, const char* p) {
  switch (t) {
    case TERN_DTYPE_F32: {
      float v;
      std::memcpy(&v, p, 4);
      return v;
    }
    case TERN_DTYPE_F64: {
      double v;
      std::memcpy(&v, p, 8);
      return v;
    }
    case TERN_DTYPE_F16: {
      uint16_t v;
      std::memcpy(&v, p, 2);
      return f16_to_f32(v);
    }
    case TERN_DTYPE_BF16: {
      uint16_t v;
      std::memcpy(&v, p, 2);
      return bf16_to_f32(v);
    }
    case TERN_DTYPE_I8: return *(const int8_t*)p;
    case TERN_DTYPE_I16: {
      int16_t v;
      std::memcpy(&v, p, 2);
      return v;
    }
    case TERN_DTYPE_U16: {
      uint16_t v;
      std::memcpy(&v, p, 2);
      return v;
    }
    case TERN_DTYPE_I32: {
      int32_t v;
      std::memcpy(&v, p, 4);
      return v;
    }
    case TERN_DTYPE_U32: {
      uint32_t v;
      std::memcpy(&v, p, 4);
      return v;
    }
    case TERN_DTYPE_I64: {
      int64_t v;
      std::memcpy(&v, p, 8);
      return (double)v;
    }
    case TERN_DTYPE_U64: {
      uint64_t v;
      std::memcpy(&v, p, 8);
      return (double)v;
    }
    default: return *(const uint8_t*)p;
  }
}
void write(int32_t t, double v, char* p) {
  const auto put = [p](auto x) { std::memcpy(p, &x, sizeof x); };
  switch (t) {
    case TERN_DTYPE_F32: return put((float)v);
    case TERN_DTYPE_F64: return put(v);
    case TERN_DTYPE_F16: return put(nearest(v, f32_to_f16((float)v), f16_to_f32));
    case TERN_DTYPE_BF16: return put(nearest(v, f32_to_bf16((float)v), bf16_to_f32));
    case TERN_DTYPE_I8: return put((int8_t)v);
    case TERN_DTYPE_U8: return put((uint8_t)v);
    case TERN_DTYPE_I16: return put((int16_t)v);
    case TERN_DTYPE_U16: return put((uint16_t)v);
    case TERN_DTYPE_I32: return put((int32_t)v);
    case TERN_DTYPE_U32: return put((uint32_t)v);
    case TERN_DTYPE_I64: return put((int64_t)v);
    case TERN_DTYPE_U64: return put((uint64_t)v);
    default: return put((uint8_t)(v != 0));
  }
}

TEST(ConvertKernels, EveryPair) {
  for_each_set([](const Kernels& k) {
    for (int32_t from = TERN_DTYPE_F32; from <= TERN_DTYPE_BOOL; ++from)
      for (int32_t to = TERN_DTYPE_F32; to <= TERN_DTYPE_BOOL; ++to)
        for (const int64_t n : {0, 1, 21, 5000}) {
          Guarded<char> x(n * size_of(from)), y(n * size_of(to));
          Random random(from * 20 + to);
          for (int64_t i = 0; i < n; ++i)
            write(from, (double)random.integer(0, 120) + (from <= TERN_DTYPE_F64 ? random.uniform(0, 1) : 0),
                  x.data() + i * size_of(from));
          ConvertArgs a;
          a.from = from, a.to = to, a.x = x.data(), a.y = y.data(), a.count = n;
          run(k.convert->convert, &a, units(a), 0, y.data(), y.bytes());
          for (int64_t i = 0; i < n; ++i) {
            char want[8];
            write(to, read(from, x.data() + i * size_of(from)), want);
            ASSERT_EQ(std::memcmp(want, y.data() + i * size_of(to), size_of(to)), 0)
                << from << " to " << to << " element " << i;
          }
        }
  });
}

// f16 as NumPy rounds; bf16 from rational numbers, as ml_dtypes rounds twice.
TEST(ConvertKernels, DoublesAreRoundedOnce) {
  struct Example {
    double value;
    uint16_t f16, bf16;
  };
  const Example examples[] = {
      {0x1.002p0, 0x3c00, 0x3f80},
      {0x1.0020000001p0, 0x3c01, 0x3f80},
      {0x1.005fffffffp0, 0x3c01, 0x3f80},
      {-0x1.0020000001p0, 0xbc01, 0xbf80},
      {0x1.0100000001p0, 0x3c04, 0x3f81},
      {0x1.02ffffffffp0, 0x3c0c, 0x3f81},
      {-0x1.0100000001p0, 0xbc04, 0xbf81},
      {0x1p-25, 0x0000, 0x3300},
      {0x1.0000000001p-25, 0x0001, 0x3300},
      {0x1.7fffffffffp-24, 0x0001, 0x33c0},
      {0x1.ffdfffffffp15, 0x7bff, 0x4780},
      {0x1.ffep15, 0x7c00, 0x4780},
      {0x1p-134, 0x0000, 0x0000},
      {0x1.0000000001p-134, 0x0000, 0x0001},
      {0x1.fefffffffffffp127, 0x7c00, 0x7f7f},
      {0x1.ffp127, 0x7c00, 0x7f80},
      {0x1p1000, 0x7c00, 0x7f80},
      {-0x1p-1000, 0x8000, 0x8000},
  };
  for_each_set([&](const Kernels& k) {
    for (const Example& e : examples)
      for (const int32_t to : {TERN_DTYPE_F16, TERN_DTYPE_BF16}) {
        uint16_t got;
        ConvertArgs a;
        a.from = TERN_DTYPE_F64, a.to = to, a.x = &e.value, a.y = &got, a.count = 1;
        k.convert->convert(&a, 0, 1, nullptr);
        EXPECT_EQ(got, to == TERN_DTYPE_F16 ? e.f16 : e.bf16) << e.value << " to " << to;
      }
  });
}

template <class T>
void saturates(int32_t to, std::initializer_list<std::pair<double, T>> cases) {
  for_each_set([&](const Kernels& k) {
    for (const auto& [value, want] : cases) {
      for (const int32_t from : {TERN_DTYPE_F32, TERN_DTYPE_F64}) {
        const float f = (float)value;
        const double d = value;
        T got;
        ConvertArgs a;
        a.from = from, a.to = to, a.x = from == TERN_DTYPE_F32 ? (const void*)&f : &d, a.y = &got, a.count = 1;
        k.convert->convert(&a, 0, 1, nullptr);
        EXPECT_EQ(got, want) << value << " from " << from;
      }
    }
  });
}
TEST(ConvertKernels, FloatsSaturate) {
  const double inf = INFINITY;
  saturates<uint8_t>(TERN_DTYPE_U8, {{-1.0, 0}, {-0.5, 0}, {255.9, 255}, {256, 255}, {inf, 255}, {-inf, 0}, {NAN, 0}});
  saturates<int8_t>(TERN_DTYPE_I8, {{-128.5, -128}, {-129, -128}, {127.5, 127}, {128, 127}, {NAN, 0}, {-1e30, -128}});
  saturates<int32_t>(
      TERN_DTYPE_I32,
      {{-2147483648.0, INT32_MIN}, {2147483648.0, INT32_MAX}, {-1e20, INT32_MIN}, {NAN, 0}, {inf, INT32_MAX}});
  saturates<int64_t>(
      TERN_DTYPE_I64,
      {{9223372036854775808.0, INT64_MAX}, {-9223372036854775808.0, INT64_MIN}, {-inf, INT64_MIN}, {NAN, 0}});
  saturates<uint64_t>(TERN_DTYPE_U64,
                      {{18446744073709551616.0, UINT64_MAX}, {-3, 0}, {9223372036854775808.0, 9223372036854775808u}});
}

TEST(ConvertKernels, HalvesAgreeWithThePortableOnes) {
  for_each_set([](const Kernels& k) {
    Guarded<uint16_t> h(65536), back(65536);
    Guarded<float> f(65536);
    for (int i = 0; i < 65536; ++i) h[i] = (uint16_t)i;
    for (const int32_t type : {TERN_DTYPE_F16, TERN_DTYPE_BF16}) {
      ConvertArgs a;
      a.from = type, a.to = TERN_DTYPE_F32, a.x = h.data(), a.y = f.data(), a.count = 65536;
      run(k.convert->convert, &a, units(a), 0, f.data(), f.bytes());
      for (int i = 0; i < 65536; ++i) {
        const float want = type == TERN_DTYPE_F16 ? f16_to_f32(h[i]) : bf16_to_f32(h[i]);
        ASSERT_TRUE(std::isnan(want) ? std::isnan(f[i]) : std::memcmp(&f[i], &want, 4) == 0) << i;
      }
      std::swap(a.from, a.to);
      a.x = f.data(), a.y = back.data();
      run(k.convert->convert, &a, units(a), 0, back.data(), back.bytes());
      for (int i = 0; i < 65536; ++i) ASSERT_TRUE(std::isnan(f[i]) || back[i] == h[i]) << i;
    }
  });
}

// In the mode of a session, where denormals of f32 count as zero: those of f16 are ordinary numbers.
TEST(ConvertKernels, HalvesWhereDenormalsAreZero) {
  for_each_set([](const Kernels& k) {
#if defined(__x86_64__)
    // The instruction of F16C ignores that mode, by Intel's manual.
    if (std::getenv("TERN_TEST_EMULATED") && k.vector_bytes > 16) {
      std::printf("SKIPPED: halves where denormals are zero with %s: QEMU's conversion does not ignore the mode\n",
                  k.isa);
      return;
    }
#endif
    std::vector<uint16_t> h(65536), back(65536);
    std::vector<float> f(65536);
    for (int i = 0; i < 65536; ++i) h[(size_t)i] = (uint16_t)i;
    ConvertArgs a;
    a.from = TERN_DTYPE_F16, a.to = TERN_DTYPE_F32, a.x = h.data(), a.y = f.data(), a.count = 65536;
    {
      const FloatMode mode(false);
      k.convert->convert(&a, 0, units(a), nullptr);
      std::swap(a.from, a.to);
      a.x = f.data(), a.y = back.data();
      k.convert->convert(&a, 0, units(a), nullptr);
    }
    for (size_t i = 0; i < 65536; ++i) {
      const float want = f16_to_f32(h[i]);
      ASSERT_TRUE(std::isnan(want) ? std::isnan(f[i]) : std::memcmp(&f[i], &want, 4) == 0) << i;
      ASSERT_TRUE(std::isnan(want) || back[i] == h[i]) << i;
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
