// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/copy.h"

#include <algorithm>

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

// Element-wise copy by definition, for a planned or unplanned argument struct.
void reference(const CopyArgs& a, const char* x, char* y) {
  for (int64_t i = 0; i < num_elements(a.rank, a.dims); ++i) {
    int64_t rest = i, from = 0, to = 0;
    for (int d = a.rank - 1; d >= 0; --d) {
      from += rest % a.dims[d] * a.x_strides[d], to += rest % a.dims[d] * a.y_strides[d];
      rest /= a.dims[d];
    }
    std::memcpy(y + to * a.elem_size, x + from * a.elem_size, a.elem_size);
  }
}

void check(const Kernels& k, CopyArgs a, Guarded<uint8_t>& x, int64_t x_offset, int64_t y_elements, int64_t y_offset) {
  Guarded<uint8_t> y(y_elements * a.elem_size);
  std::vector<uint8_t> start(y.size(), 0xa5), want = start;
  Random random(2);
  for (size_t i = 0; i < x.size(); ++i) x[i] = (uint8_t)random.next();
  a.x = x.data() + x_offset * a.elem_size, a.y = y.data() + y_offset * a.elem_size;
  reference(a, (const char*)a.x, (char*)want.data() + y_offset * a.elem_size);
  plan(a);
  run(k.copy->copy, &a, a.units, 0, y.data(), y.bytes(), start.data());
  ASSERT_TRUE(want.empty() || std::memcmp(y.data(), want.data(), y.bytes()) == 0);
}

TEST(CopyKernels, Transposes) {
  const int64_t shapes[][4] = {{2, 3, 5, 7}, {1, 40, 33, 1}, {3, 16, 16, 2},   {1, 1, 70, 130}, {2, 64, 3, 50},
                               {0, 2, 3, 4}, {5, 1, 1, 9},   {1, 300, 300, 1}, {17, 19, 1, 24}};
  for_each_set([&](const Kernels& k) {
    for (const auto& dims : shapes)
      for (const int size : {1, 2, 4, 8}) {
        int32_t order[4] = {0, 1, 2, 3};
        do {
          CopyArgs a;
          int64_t strides[4];
          a.elem_size = size, a.rank = 4;
          dense_strides(4, dims, strides);
          for (int i = 0; i < 4; ++i) a.dims[i] = dims[order[i]], a.x_strides[i] = strides[order[i]];
          dense_strides(4, a.dims, a.y_strides);
          const int64_t n = num_elements(4, dims);
          Guarded<uint8_t> x(n * size);
          check(k, a, x, 0, n, 0);
          CopyArgs b;
          Guarded<uint8_t> y(n * size), z(n * size);
          b.x = x.data(), b.y = y.data(), b.elem_size = size;
          plan_transpose(b, 4, dims, order);
          run(k.copy->copy, &b, b.units, 0, y.data(), y.bytes());
          reference(a, (const char*)x.data(), (char*)z.data());
          ASSERT_EQ(std::memcmp(y.data(), z.data(), y.bytes()), 0);
        } while (std::next_permutation(order, order + 4));
      }
  });
}

TEST(CopyKernels, RandomViews) {  // slices, flips, broadcasts, parts of larger outputs
  for_each_set([](const Kernels& k) {
    Random random(9);
    for (int i = 0; i < 500; ++i) {
      CopyArgs a;
      a.elem_size = 1 << random.integer(0, 3), a.rank = (int32_t)random.integer(1, 8);
      int64_t x_full[8], y_full[8], x_step[8], y_step[8];
      int order[8] = {0, 1, 2, 3, 4, 5, 6, 7};
      int64_t x_size = 1, y_size = 1, x_offset = 0, y_offset = 0;
      for (int d = 0; d < a.rank; ++d) {
        a.dims[d] = random.integer(1, a.rank > 4 ? 3 : 20);
        std::swap(order[d], order[random.integer(d, a.rank - 1)]);
      }
      int64_t first[8];
      for (int j = 0; j < a.rank; ++j) {
        const int d = order[j];
        const int64_t step = random.integer(1, 3);
        const int kind = (int)random.integer(0, 4);  // 0 broadcast, 1 flipped, else forward
        x_full[d] = kind == 0 ? 1 : (a.dims[d] - 1) * step + 1 + random.integer(0, 1);
        first[d] = kind == 1 ? (a.dims[d] - 1) * step : 0;
        a.x_strides[d] = kind == 0 ? 0 : kind == 1 ? -step : step;
      }
      for (int j = a.rank - 1; j >= 0; --j) x_step[order[j]] = x_size, x_size *= x_full[order[j]];
      for (int d = a.rank - 1; d >= 0; --d) {
        y_full[d] = a.dims[d] + random.integer(0, 2);
        y_step[d] = y_size, y_size *= y_full[d];
        y_offset += (y_full[d] - a.dims[d]) * y_step[d];
        a.x_strides[d] *= x_step[d], a.y_strides[d] = y_step[d];
        x_offset += first[d] * x_step[d];
      }
      if (x_size > 200000 || y_size > 200000) continue;
      Guarded<uint8_t> x(x_size * a.elem_size);
      check(k, a, x, x_offset, y_size, y_offset);
    }
  });
}

TEST(CopyKernels, DepthAndSpace) {
  for_each_set([](const Kernels& k) {
    const int64_t n = 2, h = 3, w = 5, block = 2, d = 3, c = d * block * block;
    Guarded<float> x(n * h * w * c), y(x.size()), back(x.size());
    for (size_t i = 0; i < x.size(); ++i) x[i] = (float)i;
    for (const bool crd : {false, true}) {
      CopyArgs a;
      a.x = x.data(), a.y = y.data();
      plan_depth_to_space(a, n, h, w, c, block, crd);
      run(k.copy->copy, &a, a.units, 0, y.data(), y.bytes());
      for (int64_t b = 0; b < n; ++b)
        for (int64_t i = 0; i < h * block; ++i)
          for (int64_t j = 0; j < w * block; ++j)
            for (int64_t q = 0; q < d; ++q) {
              const int64_t s = i % block * block + j % block, channel = crd ? q * block * block + s : s * d + q;
              ASSERT_EQ(y[((b * h * block + i) * w * block + j) * d + q],
                        x[((b * h + i / block) * w + j / block) * c + channel]);
            }
    }
    CopyArgs a;
    a.x = x.data(), a.y = y.data();
    plan_depth_to_space(a, n, h, w, c, block, false);
    k.copy->copy(&a, 0, a.units, nullptr);
    CopyArgs b;
    b.x = y.data(), b.y = back.data();
    plan_space_to_depth(b, n, h, w, d, block);
    run(k.copy->copy, &b, b.units, 0, back.data(), back.bytes());
    EXPECT_EQ(std::memcmp(x.data(), back.data(), x.bytes()), 0);
  });
}

int64_t source(Pad mode, int64_t i, int64_t n) {
  if (mode == Pad::constant) return i < 0 || i >= n ? -1 : i;
  while (i < 0 || i >= n) switch (mode) {
      case Pad::edge: i = i < 0 ? 0 : n - 1; break;
      case Pad::wrap: i += i < 0 ? n : -n; break;
      case Pad::reflect: i = n == 1 ? 0 : i < 0 ? -i : 2 * (n - 1) - i; break;
      default: i = i < 0 ? -1 - i : 2 * n - 1 - i;
    }
  return i;
}

TEST(CopyKernels, Pads) {
  for_each_set([](const Kernels& k) {
    Random random(4);
    for (int i = 0; i < 600; ++i) {
      PadArgs a;
      a.mode = (Pad)(i % 5), a.elem_size = 1 << (i / 5 % 4), a.rank = (int32_t)random.integer(1, 4);
      a.value = 0x0102030405060708u;
      int64_t in = 1, out = 1;
      for (int d = 0; d < a.rank; ++d) {
        a.dims[d] = random.integer(a.mode == Pad::constant ? 0 : 1, 6), a.before[d] = random.integer(-2, 4);
        const int64_t after = random.integer(-2, 4);
        if (random.integer(0, 2) == 0) a.before[d] = 0;
        a.out_dims[d] = a.before[d] == 0 && random.integer(0, 1) ? a.dims[d] : a.dims[d] + a.before[d] + after;
        if (a.out_dims[d] < 0) a.out_dims[d] = 0;
        in *= a.dims[d], out *= a.out_dims[d];
      }
      Guarded<uint8_t> x(in * a.elem_size), y(out * a.elem_size);
      for (size_t j = 0; j < x.size(); ++j) x[j] = (uint8_t)random.next();
      a.x = x.data(), a.y = y.data();
      PadArgs p = a;
      plan(p);
      run(k.copy->pad, &p, p.units, 0, y.data(), y.bytes());
      for (int64_t o = 0; o < out; ++o) {
        int64_t rest = o, from = 0, step = 1;
        bool outside = false;
        for (int d = a.rank - 1; d >= 0; --d) {
          const int64_t s = source(a.mode, rest % a.out_dims[d] - a.before[d], a.dims[d]);
          rest /= a.out_dims[d];
          outside |= s < 0;
          from += s * step, step *= a.dims[d];
        }
        const void* want = outside ? (const void*)&a.value : x.data() + from * a.elem_size;
        ASSERT_EQ(std::memcmp(y.data() + o * a.elem_size, want, a.elem_size), 0) << "case " << i << " element " << o;
      }
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
