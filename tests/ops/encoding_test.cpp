// SPDX-License-Identifier: Apache-2.0
// Encodings: sizes, order, round trips, refusals.
#include "base/encoding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/encodings/block_int8.h"
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

// Largest error of encode and decode; checks load_encoded and that nothing beyond the bytes is written.
double round_trip(Encoding e, DType dtype, const Shape& shape) {
  Tensor t;
  t.encoding = e;
  t.dtype = dtype;
  t.shape = shape;
  t.allocate(0xFF);
  const std::vector<float> in = numbers(shape.elements());
  std::vector<float> out(in.size());
  encode(e, dtype, shape, in.data(), t.data());
  decode(e, dtype, shape, t.data(), out.data());
  EXPECT_TRUE(t.guards_intact());
  double worst = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    worst = std::fmax(worst, std::fabs((double)in[i] - out[i]));
    EXPECT_EQ((float)load_encoded(e, dtype, shape, t.data(), (int64_t)i), out[i]);
  }
  return worst;
}

TEST(Encoding, RoundTrips) {
  for (const Shape& s : {Shape{1, 1}, Shape{7, 5}, Shape{32, 3}, Shape{70, 33}, Shape{33, 3, 3, 4}, Shape{0, 4},
                         Shape{4, 0}, Shape{9, 64}}) {
    EXPECT_EQ(round_trip(Encoding::plain, TERN_DTYPE_F32, s), 0) << to_string(s);
    EXPECT_EQ(round_trip(Encoding::panel32, TERN_DTYPE_F32, s), 0) << to_string(s);
    EXPECT_LE(round_trip(Encoding::panel32, TERN_DTYPE_F16, s), 1e-3) << to_string(s);
    EXPECT_LE(round_trip(Encoding::block_int8, TERN_DTYPE_F32, s), 2.0 / 127) << to_string(s);
  }
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
TEST(Encoding, BlocksOfWhatIsNoNumber) {
  std::vector<float> in = numbers(3 * 33);
  in[0] = NAN, in[33] = INFINITY, in[34] = -INFINITY, in[35] = NAN;
  Tensor t;
  t.encoding = Encoding::block_int8;
  t.dtype = TERN_DTYPE_F32;
  t.shape = {3, 33};
  t.allocate(0xFF);
  encode(t.encoding, t.dtype, t.shape, in.data(), t.data());
  std::vector<float> out(in.size());
  decode(t.encoding, t.dtype, t.shape, t.data(), out.data());
  for (const float v : out) EXPECT_TRUE(std::isfinite(v));
  EXPECT_EQ(out[0], 0);
  EXPECT_NEAR(out[1], in[1], 2.0 / 127);
  EXPECT_GT(out[33], 8e6f);
  EXPECT_EQ(out[34], -out[33]);
  EXPECT_EQ(out[35], 0);
}

TEST(Encoding, RefusesWhatItDoesNotHold) {
  uint64_t bytes = 7;
  const int64_t huge = (int64_t)1 << 59;
  EXPECT_EQ(encoded_bytes(Encoding::panel32, TERN_DTYPE_I8, Shape{4, 4}, &bytes), TERN_ERR_TYPE);
  EXPECT_EQ(encoded_bytes(Encoding::block_int8, TERN_DTYPE_F16, Shape{4, 4}, &bytes), TERN_ERR_TYPE);
  EXPECT_EQ(encoded_bytes(Encoding::panel32, TERN_DTYPE_F32, Shape{4}, &bytes), TERN_ERR_SHAPE);
  EXPECT_EQ(encoded_bytes(Encoding::plain, 99, Shape{4}, &bytes), TERN_ERR_TYPE);
  EXPECT_EQ(encoded_bytes(Encoding::plain, TERN_DTYPE_F32, Shape{-1}, &bytes), TERN_ERR_SHAPE);
  EXPECT_EQ(encoded_bytes(Encoding::plain, TERN_DTYPE_F32, Shape{huge, huge}, &bytes), TERN_ERR_LIMIT);
  EXPECT_EQ(encoded_bytes(Encoding::block_int8, TERN_DTYPE_F32, Shape{huge, 1}, &bytes), TERN_ERR_LIMIT);
  EXPECT_EQ(encoded_bytes((Encoding)9, TERN_DTYPE_F32, Shape{4, 4}, &bytes), TERN_ERR_UNSUPPORTED);
  EXPECT_EQ(bytes, 7u);
}

}  // namespace
}  // namespace tern::test
