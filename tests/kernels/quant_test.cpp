// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/quant.h"

#include "base/float16.h"
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

TEST(QuantKernels, RowsGetTheirOwnScale) {
  for_each_set([](const Kernels& k) {
    for (const int64_t cols : {0, 1, 5, 64, 100})
      for (const int32_t type : {TERN_DTYPE_I8, TERN_DTYPE_U8}) {
        const int64_t rows = 5, stride = cols + 3;
        Guarded<float> x(rows * cols), scale(rows);
        Guarded<uint8_t> q(rows * stride);
        Guarded<int32_t> zero(rows);
        Random random(1);
        fill(x, random, -1, 3);
        for (int64_t c = 0; c < cols; ++c) x[2 * cols + c] = 0;
        QuantRowsArgs a;
        a.dtype = type, a.x = x.data(), a.q = q.data(), a.scale = scale.data(), a.zero = zero.data(), a.rows = rows,
        a.cols = cols, a.q_stride = stride;
        run(k.quant->quantise_rows, &a, units(a), 0, q.data(), q.bytes());
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < cols; ++c) {
            const double v = (double)(code(type, q.data() + r * stride, c) - zero[r]) * scale[r];
            ASSERT_NEAR(v, x[r * cols + c], 0.51 * scale[r] + 1e-7);
          }
          for (int64_t c = cols; c < stride; ++c) ASSERT_EQ(q[r * stride + c], 0xa5);
        }
        if (cols) {
          EXPECT_EQ(scale[2], 0);
        }
      }
  });
}

TEST(QuantKernels, BlockInt8ThreeUsesOfOneBuffer) {
  for_each_set([](const Kernels& k) {
    for (const int64_t rows : {0, 1, 5, 16, 37})
      for (const int64_t cols : {1, 31, 32, 33, 64, 200, 2100})
        for (const int scale_bytes : {2, 4}) {
          int64_t offset, bytes;
          ASSERT_TRUE(block_int8_layout(rows, cols, scale_bytes, &offset, &bytes));
          Guarded<uint8_t> buffer((size_t)bytes, 1);
          const int64_t blocks = block_int8_blocks(cols);
          Guarded<float> weights(cols);
          Random random(rows + cols);
          if (rows) std::memset(buffer.data(), 0, (size_t)bytes);
          for (int64_t r = 0; r < rows; ++r) {
            fill(weights, random);
            std::vector<float> scale_room(blocks);
            block_int8_encode_row(weights.data(), cols, scale_bytes, (int8_t*)buffer.data() + r * blocks * 32,
                                  scale_room.data());
            std::memcpy(buffer.data() + offset + r * blocks * scale_bytes, scale_room.data(), blocks * scale_bytes);
          }
          BlockInt8 w = block_int8_view(buffer.data(), rows, cols, scale_bytes);
          const auto weight = [&](int64_t r, int64_t c) {
            const char* s = (const char*)w.scales + (r * blocks + c / 32) * scale_bytes;
            uint16_t h;
            float f;
            std::memcpy(&h, s, 2);
            if (scale_bytes == 4) std::memcpy(&f, s, 4);
            else f = f16_to_f32(h);
            return (float)w.codes[r * blocks * 32 + c] * f;
          };
          for (const int64_t m : {0, 1, 3, 9}) {
            Guarded<float> x(m * cols), y(m * rows), bias(rows), t(m * rows), u(m * cols);
            fill(x, random), fill(bias, random), fill(t, random);
            BlockInt8Args a;
            a.w = w, a.x = x.data(), a.y = y.data(), a.m = m, a.x_stride = cols, a.y_stride = rows,
            a.bias = bias.data();
            run(k.quant->block_int8_matmul, &a, units(a), 0, y.data(), y.bytes());
            std::vector<double> want(m * rows);
            for (int64_t i = 0; i < m * rows; ++i) {
              want[i] = bias[i % rows];
              for (int64_t c = 0; c < cols; ++c) want[i] += (double)x[i / rows * cols + c] * weight(i % rows, c);
            }
            expect_close(y.data(), want.data(), m * rows, 1e-5, 1e-4);
            if (m == 9 && rows > 0) {  // a row alone gives the same bits
              Guarded<float> one(rows);
              a.m = 1, a.x = x.data() + 4 * cols, a.y = one.data();
              run(k.quant->block_int8_matmul, &a, units(a), 0, one.data(), one.bytes());
              EXPECT_EQ(std::memcmp(one.data(), y.data() + 4 * rows, one.bytes()), 0);
            }
            a.m = m, a.x = t.data(), a.y = u.data(), a.x_stride = rows, a.y_stride = cols;
            run(k.quant->block_int8_matmul_t, &a, block_int8_transposed_units(a), 0, u.data(), u.bytes());
            want.assign(m * cols, 0);
            for (int64_t i = 0; i < m * cols; ++i)
              for (int64_t r = 0; r < rows; ++r) want[i] += (double)t[i / cols * rows + r] * weight(r, i % cols);
            expect_close(u.data(), want.data(), m * cols, 1e-5, 1e-4);
          }
          const int64_t index[4] = {0, -1, rows, -rows - 1};
          Guarded<float> y(4 * cols);
          int32_t error = 0;
          BlockInt8GatherArgs g;
          g.w = w, g.index = index, g.y = y.data(), g.error = &error, g.count = 4, g.y_stride = cols;
          run(k.quant->block_int8_gather, &g, units(g), 0, y.data(), y.bytes());
          EXPECT_EQ(error, 1);
          for (int64_t i = 0; i < 4 * cols; ++i) {
            const int64_t r = i / cols == 0 ? 0 : rows - 1;
            ASSERT_EQ(y[i], i < 2 * cols && rows > 0 ? weight(r, i % cols) : 0);
          }
        }
  });
}

TEST(QuantKernels, BlockInt8LayoutRefusesOverflow) {
  int64_t offset = -7, bytes = -7;
  EXPECT_FALSE(block_int8_layout(INT64_MAX, 64, 2, &offset, &bytes));
  EXPECT_FALSE(block_int8_layout(1, INT64_MAX, 2, &offset, &bytes));
  EXPECT_FALSE(block_int8_layout(-1, 64, 2, &offset, &bytes));
  EXPECT_FALSE(block_int8_layout(1, 64, 3, &offset, &bytes));
  EXPECT_EQ(offset, -7);
  EXPECT_EQ(bytes, -7);
  EXPECT_TRUE(block_int8_layout(3, 33, 2, &offset, &bytes));
  EXPECT_EQ(offset, 192);
  EXPECT_EQ(bytes, 192 + 12);
}

}  // namespace
}  // namespace tern::cpu::test
