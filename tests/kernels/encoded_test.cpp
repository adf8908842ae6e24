// SPDX-License-Identifier: Apache-2.0
// Products and look-ups of every encoding in every type that it holds, on every instruction set.
#include "kernels/cpu/encoded.h"

#include "base/encoding.h"
#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

constexpr DType kTypes[] = {TERN_DTYPE_F32, TERN_DTYPE_F16, TERN_DTYPE_BF16};

struct Matrix {
  Encoding encoding;
  DType dtype;
  int64_t rows, cols;
  Guarded<uint8_t> data;
  std::vector<float> plain;  // what the bytes mean

  static uint64_t bytes_of(Encoding e, DType dtype, int64_t rows, int64_t cols) {
    uint64_t bytes = 0;
    EXPECT_EQ(encoded_bytes(e, dtype, Shape{rows, cols}, &bytes), TERN_OK);
    return bytes;
  }
  Matrix(Encoding e, DType d, int64_t n, int64_t k)
      : encoding(e), dtype(d), rows(n), cols(k), data(bytes_of(e, d, n, k), 64), plain((size_t)(n * k)) {
    Random random((uint64_t)(rows + 7 * cols));
    for (float& v : plain) v = random.uniform(-2, 2);
    encode(e, d, Shape{n, k}, plain.data(), data.data());
    decode(e, d, Shape{n, k}, data.data(), plain.data());
  }
  EncodedMatrix view() const { return {data.data(), rows, cols, dtype, encoding}; }
  float at(int64_t i, int64_t j) const { return plain[(size_t)(i * cols + j)]; }
};

// f(matrix, its kernels): with kernels of its own and with the plain loops.
template <class F>
void each_matrix(const Kernels& k, std::initializer_list<int64_t> rows, std::initializer_list<int64_t> cols, F f) {
  for (int e = 0; e < kNumEncodings; ++e)
    for (const DType dtype : kTypes) {
      if (!(encoding_info((Encoding)e).dtypes >> dtype & 1)) continue;
      SCOPED_TRACE(std::string(encoding_name((Encoding)e)) + " " + dtype_name(dtype));
      for (const int64_t n : rows)
        for (const int64_t c : cols) {
          const Matrix w((Encoding)e, dtype, n, c);
          SCOPED_TRACE(std::to_string(n) + " x " + std::to_string(c));
          f(w, k.of((Encoding)e));
          f(w, k.encoded->by_loops);
        }
    }
}

TEST(EncodedKernels, UnpackIsWhatTheBytesMean) {
  for_each_set([](const Kernels& k) {
    each_matrix(k, {1, 5, 32, 70}, {1, 31, 33, 64, 2100}, [](const Matrix& w, const EncodedKernels& own) {
      for (const int64_t row : {(int64_t)0, w.rows / 2, w.rows - 1})
        for (int64_t col = 0; col < w.cols; col += 32 * (1 + col)) {
          const int64_t rows = w.rows - row, cols = (w.cols - col + 1) / 2, stride = cols + 3;
          Guarded<float> out((size_t)((rows - 1) * stride + cols));
          own.unpack(w.view(), row, rows, col, cols, out.data(), stride);
          for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < cols; ++j) ASSERT_EQ(out[(size_t)(i * stride + j)], w.at(row + i, col + j));
        }
    });
  });
}

TEST(EncodedKernels, Products) {
  for_each_set([](const Kernels& k) {
    each_matrix(k, {0, 1, 5, 37, 70}, {0, 1, 33, 64, 300}, [&](const Matrix& w, const EncodedKernels& own) {
      for (const int64_t m : {0, 1, 3, 9}) {
        Random random((uint64_t)(m + w.rows + w.cols));
        Guarded<float> x((size_t)(m * w.cols)), y((size_t)(m * w.rows)), bias((size_t)w.rows), t((size_t)(m * w.rows)),
            u((size_t)(m * w.cols));
        fill(x, random), fill(bias, random), fill(t, random);
        EncodedArgs a;
        a.kernels = &own, a.w = w.view(), a.x = x.data(), a.y = y.data(), a.m = m;
        a.x_stride = w.cols, a.y_stride = w.rows, a.epilogue.bias = bias.data();
        run(k.encoded->matmul, &a, encoded_units(a), encoded_scratch_bytes(a), y.data(), y.bytes());
        std::vector<double> want((size_t)(m * w.rows));
        for (int64_t i = 0; i < m * w.rows; ++i) {
          want[(size_t)i] = bias[(size_t)(i % w.rows)];
          for (int64_t c = 0; c < w.cols; ++c)
            want[(size_t)i] += (double)x[(size_t)(i / w.rows * w.cols + c)] * w.at(i % w.rows, c);
        }
        expect_close(y.data(), want.data(), m * w.rows, 1e-5, 1e-4);

        if (m == 9 && w.rows > 0) {  // a row alone gives the same bits
          Guarded<float> one((size_t)w.rows);
          EncodedArgs b = a;
          b.m = 1, b.x = x.data() + 4 * w.cols, b.y = one.data();
          run(k.encoded->matmul, &b, encoded_units(b), encoded_scratch_bytes(b), one.data(), one.bytes());
          EXPECT_EQ(std::memcmp(one.data(), y.data() + 4 * w.rows, one.bytes()), 0);
        }

        // What follows the sums, where y is the residual too: relu(2 * sum + bias) + y.
        Guarded<float> scale((size_t)w.rows);
        for (size_t i = 0; i < scale.size(); ++i) scale[i] = 2;
        a.epilogue.scale = scale.data(), a.epilogue.residual = y.data(), a.epilogue.residual_stride = w.rows;
        a.epilogue.activation.kind = Elementwise::relu;
        for (int64_t i = 0; i < m * w.rows; ++i)
          want[(size_t)i] = std::fmax(0, 2 * want[(size_t)i] - bias[(size_t)(i % w.rows)]) + t[(size_t)i];
        run(k.encoded->matmul, &a, encoded_units(a), encoded_scratch_bytes(a), y.data(), y.bytes(), t.data());
        expect_close(y.data(), want.data(), m * w.rows, 1e-5, 2e-4);

        a.epilogue = {};
        a.x = t.data(), a.y = u.data(), a.x_stride = w.rows, a.y_stride = w.cols;
        run(k.encoded->matmul_t, &a, encoded_units_t(a), kEncodedScratchBytesT, u.data(), u.bytes());
        want.assign((size_t)(m * w.cols), 0);
        for (int64_t i = 0; i < m * w.cols; ++i)
          for (int64_t r = 0; r < w.rows; ++r)
            want[(size_t)i] += (double)t[(size_t)(i / w.cols * w.rows + r)] * w.at(r, i % w.cols);
        expect_close(u.data(), want.data(), m * w.cols, 1e-5, 1e-4);
      }
    });
  });
}

// More rows than a unit has, and more of each size than a tile.
TEST(EncodedKernels, ManyRows) {
  for_each_set([](const Kernels& k) {
    each_matrix(k, {33}, {290}, [&](const Matrix& w, const EncodedKernels& own) {
      constexpr int64_t m = 2 * kEncodedRows + 5;
      Random random(3);
      Guarded<float> x((size_t)(m * w.cols)), y((size_t)(m * w.rows)), u((size_t)(m * w.cols)),
          residual((size_t)(m * w.rows)), last((size_t)w.rows), back((size_t)w.cols);
      fill(x, random), fill(residual, random);
      EncodedArgs a;
      a.kernels = &own, a.w = w.view(), a.x = x.data(), a.y = y.data(), a.m = m;
      a.x_stride = w.cols, a.y_stride = w.rows;
      a.epilogue.residual = residual.data(), a.epilogue.residual_stride = w.rows;
      run(k.encoded->matmul, &a, encoded_units(a), encoded_scratch_bytes(a), y.data(), y.bytes());
      EncodedArgs b = a;
      b.m = 1, b.x = x.data() + (m - 1) * w.cols, b.y = last.data();
      b.epilogue.residual = residual.data() + (m - 1) * w.rows;
      run(k.encoded->matmul, &b, encoded_units(b), encoded_scratch_bytes(b), last.data(), last.bytes());
      EXPECT_EQ(std::memcmp(last.data(), y.data() + (m - 1) * w.rows, last.bytes()), 0);

      a.epilogue = {};
      a.x = y.data(), a.y = u.data(), a.x_stride = w.rows, a.y_stride = w.cols;
      run(k.encoded->matmul_t, &a, encoded_units_t(a), kEncodedScratchBytesT, u.data(), u.bytes());
      b = a;
      b.m = 1, b.x = y.data() + (m - 1) * w.rows, b.y = back.data();
      run(k.encoded->matmul_t, &b, encoded_units_t(b), kEncodedScratchBytesT, back.data(), back.bytes());
      EXPECT_EQ(std::memcmp(back.data(), u.data() + (m - 1) * w.cols, back.bytes()), 0);
    });
  });
}

}  // namespace
}  // namespace tern::cpu::test
