// SPDX-License-Identifier: Apache-2.0
// Encodings: sizes, order, round trips, refusals.
#include "base/encoding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/panel.h"
#include "case.h"

namespace tern::test {
namespace {

std::vector<float> numbers(int64_t n) {
  Random random{3};
  std::vector<float> v((size_t)n);
  for (float& f : v) f = (float)(random.uniform() * 4 - 2);
  return v;
}

// Encodes and decodes; checks load_encoded and that nothing beyond the bytes is written.
std::vector<float> round_trip(Encoding e, DType dtype, const Shape& shape, const std::vector<float>& in) {
  Tensor t;
  t.encoding = e;
  t.dtype = dtype;
  t.shape = shape;
  t.allocate(0xFF);
  std::vector<float> out(in.size());
  encode(e, dtype, shape, in.data(), t.data());
  decode(e, dtype, shape, t.data(), out.data());
  EXPECT_TRUE(t.guards_intact());
  for (size_t i = 0; i < in.size(); ++i) EXPECT_EQ((float)load_encoded(e, dtype, shape, t.data(), (int64_t)i), out[i]);
  return out;
}

// f(encoding, element type that it holds)
template <class F>
void each_encoding(F f) {
  for (int e = 0; e < kNumEncodings; ++e)
    for (DType dtype = TERN_DTYPE_F32; dtype <= TERN_DTYPE_BOOL; ++dtype) {
      SCOPED_TRACE(std::string(encoding_name((Encoding)e)) + " " + dtype_name(dtype));
      if (encoding_info((Encoding)e).dtypes >> dtype & 1) f((Encoding)e, dtype);
    }
}

TEST(Encoding, NamesAreThoseOfTheFiles) {
#define TERN_CHECK(name)                              \
  EXPECT_STREQ(encoding_name(Encoding::name), #name); \
  Encoding found_##name;                              \
  EXPECT_TRUE(find_encoding(#name, &found_##name) && found_##name == Encoding::name);
  TERN_ENCODINGS(TERN_CHECK)
#undef TERN_CHECK
  Encoding e = Encoding::plain;
  EXPECT_FALSE(find_encoding("", &e) || find_encoding("ternary9", &e));
  EXPECT_TRUE(is_plain(Encoding::plain) && is_permutation(Encoding::plain));
  for (int i = 1; i < kNumEncodings; ++i) EXPECT_FALSE(is_plain((Encoding)i));
}

TEST(Encoding, RoundTrips) {
  each_encoding([](Encoding e, DType dtype) {
    bool held = false;
    for (const Shape& s : {Shape{1, 1}, Shape{7, 5}, Shape{32, 3}, Shape{70, 33}, Shape{33, 3, 3, 4}, Shape{0, 4},
                           Shape{4, 0}, Shape{9, 64}, Shape{5}, Shape{}}) {
      uint64_t bytes = 0;
      const tern_status status = encoded_bytes(e, dtype, s, &bytes);
      EXPECT_TRUE(status == TERN_OK || (status == TERN_ERR_SHAPE && s.rank < 2)) << to_string(s);
      if (status != TERN_OK) continue;
      held = true;
      const std::vector<float> in = numbers(s.elements()), out = round_trip(e, dtype, s, in);
      const std::vector<float> again = round_trip(e, dtype, s, out);
      double size = 0, error = 0;
      for (size_t i = 0; i < in.size(); ++i) {
        size += (double)in[i] * in[i], error += ((double)in[i] - out[i]) * ((double)in[i] - out[i]);
        EXPECT_NEAR(again[i], out[i], 1e-5) << to_string(s);  // what was encoded once stays what it is
        if (is_permutation(e)) {                              // each element for itself
          uint64_t element = 0;
          store_element(dtype, &element, 0, in[i]);
          EXPECT_EQ(out[i], (float)load_element(dtype, &element, 0)) << to_string(s);
        }
      }
      if (is_float(dtype)) {
        EXPECT_LE(error, size / 4) << to_string(s);
      }
    }
    EXPECT_TRUE(held);
  });
  for (const Shape& s : {Shape{7, 5}, Shape{70, 33}, Shape{9, 64}}) {
    const std::vector<float> in = numbers(s.elements());
    for (const Encoding e : {Encoding::panel_int8, Encoding::row_int8}) {
      const std::vector<float> out = round_trip(e, TERN_DTYPE_F32, s, in);
      for (size_t i = 0; i < in.size(); ++i) EXPECT_NEAR(out[i], in[i], 2.0 / 127);
    }
  }
}

// Numbers on a grid of 16 steps, as those of quantised models, whichever of the codes they use.
TEST(Encoding, FourBitsKeepAGrid) {
  Random random{7};
  for (const bool least : {false, true})
    for (int first = 0; first < 8; ++first)
      for (int last = first + 1; last < 16; ++last)
        for (const float step : {0.125f, -0.0078125f, 0.333740234375f}) {  // f16 holds them
          if (least && step < 0) continue;
          std::vector<float> in(64);
          for (size_t i = 0; i < in.size(); ++i) {
            const int code = i % 32 == 5   ? first
                             : i % 32 == 6 ? last
                                           : first + (int)(random.next() % (uint64_t)(last - first + 1));
            in[i] = least ? step * (float)code - 1.0009765625f : step * (float)(code - 8);
          }
          const std::vector<float> out =
              round_trip(least ? Encoding::panel_int4_min : Encoding::panel_int4, TERN_DTYPE_F32, Shape{2, 32}, in);
          for (size_t i = 0; i < in.size(); ++i)
            EXPECT_NEAR(out[i], in[i], least ? 1e-5 * step : 0) << first << " to " << last << ", " << least;
        }
}

// Every position of a permutation is there once and within the bytes.
TEST(Encoding, PermutationsKeepEachElement) {
  each_encoding([](Encoding e, DType dtype) {
    if (!is_permutation(e)) return;
    for (const Shape& s : {Shape{1, 1}, Shape{33, 5}, Shape{70, 3, 2}}) {
      uint64_t bytes = 0;
      ASSERT_EQ(encoded_bytes(e, dtype, s, &bytes), TERN_OK);
      const MatrixSize size = matrix_size(e, s);
      ASSERT_EQ(size.rows * size.cols, s.elements());
      std::vector<char> seen((size_t)bytes / dtype_size(dtype));
      for (int64_t i = 0; i < size.rows; ++i)
        for (int64_t j = 0; j < size.cols; ++j) {
          const int64_t at = encoding_info(e).position(size, i, j);
          ASSERT_TRUE(at >= 0 && at < (int64_t)seen.size() && !seen[(size_t)at]);
          seen[(size_t)at] = 1;
        }
    }
  });
}

TEST(Encoding, PanelsLieAsThePackerPutsThem) {
  const Shape s{70, 5};
  const std::vector<float> in = numbers(s.elements());
  std::vector<float> packed((size_t)panel_elements(70, 5)), encoded(packed.size());
  pack_panels(in.data(), 70, 5, packed.data());
  uint64_t bytes = 0;
  ASSERT_EQ(encoded_bytes(Encoding::panel32, TERN_DTYPE_F32, s, &bytes), TERN_OK);
  ASSERT_EQ(bytes, packed.size() * 4);
  encode(Encoding::panel32, TERN_DTYPE_F32, s, in.data(), encoded.data());
  EXPECT_EQ(packed, encoded);
}

// A training step that diverged, or a caller, may give anything.
TEST(Encoding, WhatIsNoNumber) {
  for (int e = 0; e < kNumEncodings; ++e) {
    if (is_permutation((Encoding)e)) continue;
    SCOPED_TRACE(encoding_name((Encoding)e));
    std::vector<float> in = numbers(3 * 33);
    in[0] = NAN, in[33] = INFINITY, in[34] = -INFINITY, in[35] = NAN;
    const std::vector<float> out = round_trip((Encoding)e, TERN_DTYPE_F32, {3, 33}, in);
    for (const float v : out) EXPECT_TRUE(std::isfinite(v));
    const bool four_bits = (Encoding)e == Encoding::panel_int4 || (Encoding)e == Encoding::panel_int4_min;
    if (four_bits) {  // the nearest code to 0, and both ends are codes of one scale
      EXPECT_NEAR(out[0], 0, 2.0 / 15);
      EXPECT_NEAR(out[1], in[1], 2.0 / 15);
      EXPECT_GT(out[33], 4e5f);
      EXPECT_LT(out[34], -6e4f);
      continue;
    }
    EXPECT_EQ(out[0], 0);
    if ((Encoding)e != Encoding::ternary2) {
      EXPECT_NEAR(out[1], in[1], 2.0 / 127);
    }
    EXPECT_GT(out[33], 8e6f);
    EXPECT_EQ(out[34], -out[33]);
    EXPECT_EQ(out[35], 0);
  }
}

// Sizes of a file that lies: bytes that fit, or an error.
TEST(Encoding, HostileShapes) {
  each_encoding([](Encoding e, DType dtype) {
    for (const int64_t huge : {(int64_t)1 << 31, (int64_t)1 << 40, (int64_t)1 << 59, INT64_MAX / 8, INT64_MAX - 31,
                               INT64_MAX, (int64_t)-1, INT64_MIN})
      for (const Shape& s : {Shape{huge, 1}, Shape{1, huge}, Shape{huge, huge}, Shape{huge, 0}, Shape{0, huge},
                             Shape{2, huge, 3}, Shape{huge}, Shape{huge, 33, 33, 33}}) {
        uint64_t bytes = 7;
        const tern_status status = encoded_bytes(e, dtype, s, &bytes);
        EXPECT_TRUE(status == TERN_OK || status == TERN_ERR_LIMIT || status == TERN_ERR_SHAPE) << to_string(s);
        if (status != TERN_OK) {
          EXPECT_EQ(bytes, 7u) << to_string(s);
          continue;
        }
        EXPECT_GE(huge, 0) << to_string(s);
        EXPECT_LE(bytes, (uint64_t)INT64_MAX) << to_string(s);
        EXPECT_GE(bytes, (uint64_t)s.elements() / 8) << to_string(s);  // a bit for each at least
      }
  });
}

TEST(Encoding, RefusesWhatItDoesNotHold) {
  uint64_t bytes = 7;
  const int64_t huge = (int64_t)1 << 59;
  EXPECT_EQ(encoded_bytes(Encoding::panel32, TERN_DTYPE_I8, Shape{4, 4}, &bytes), TERN_ERR_TYPE);
  EXPECT_EQ(encoded_bytes(Encoding::panel_int8, TERN_DTYPE_F16, Shape{4, 4}, &bytes), TERN_ERR_TYPE);
  EXPECT_EQ(encoded_bytes(Encoding::panel32, TERN_DTYPE_F32, Shape{4}, &bytes), TERN_ERR_SHAPE);
  EXPECT_EQ(encoded_bytes(Encoding::plain, 99, Shape{4}, &bytes), TERN_ERR_TYPE);
  EXPECT_EQ(encoded_bytes(Encoding::plain, TERN_DTYPE_F32, Shape{-1}, &bytes), TERN_ERR_SHAPE);
  EXPECT_EQ(encoded_bytes(Encoding::plain, TERN_DTYPE_F32, Shape{huge, huge}, &bytes), TERN_ERR_LIMIT);
  EXPECT_EQ(encoded_bytes(Encoding::panel_int8, TERN_DTYPE_F32, Shape{huge, 1}, &bytes), TERN_ERR_LIMIT);
  EXPECT_EQ(encoded_bytes((Encoding)9, TERN_DTYPE_F32, Shape{4, 4}, &bytes), TERN_ERR_UNSUPPORTED);
  EXPECT_EQ(bytes, 7u);
}

}  // namespace
}  // namespace tern::test
