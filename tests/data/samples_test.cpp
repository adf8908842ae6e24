// SPDX-License-Identifier: Apache-2.0
// Orders, splits, augmentation and .npy files.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "data/npy.h"
#include "data/random.h"
#include "data/samples.h"

namespace tern::data {
namespace {

bool says(const char* text) { return std::strstr(thread_error().message, text) != nullptr; }

// ---- orders ----

TEST(Order, IsAPermutation) {
  for (uint64_t n = 1; n < 300; ++n)
    for (const uint64_t key : {uint64_t(0), uint64_t(1), n, UINT64_MAX}) {
      std::set<uint64_t> seen;
      for (uint64_t i = 0; i < n; ++i) {
        const uint64_t p = permuted(i, n, key);
        ASSERT_LT(p, n);
        seen.insert(p);
      }
      ASSERT_EQ(seen.size(), n) << key;
    }
  std::vector<bool> seen(100003);
  for (uint64_t i = 0; i < seen.size(); ++i) seen[permuted(i, seen.size(), 7)] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 100003);
}

// Each of five samples comes to each place equally often, and so does each pair to the first two places.
TEST(Order, PrefersNothing) {
  constexpr int kTimes = 20000;
  int single[5][5] = {}, pairs[5][5] = {};
  for (uint64_t key = 0; key < kTimes; ++key) {
    uint64_t order[5];
    for (uint64_t i = 0; i < 5; ++i) ++single[i][order[i] = permuted(i, 5, random_bits(3, key))];
    ++pairs[order[0]][order[1]];
  }
  for (int i = 0; i < 5; ++i)
    for (int k = 0; k < 5; ++k) {
      EXPECT_NEAR(single[i][k], kTimes / 5, 5 * std::sqrt(kTimes * 0.2 * 0.8));
      if (i != k) EXPECT_NEAR(pairs[i][k], kTimes / 20, 5 * std::sqrt(kTimes * 0.05 * 0.95));
    }
}

Samples numbered(int64_t n) {
  auto values = std::make_shared<std::vector<int64_t>>((size_t)n);
  std::iota(values->begin(), values->end(), 0);
  auto source = std::make_shared<Source>();
  EXPECT_EQ(add_array(*source, "x", TERN_DTYPE_I64, Shape{n}, values->data(), values), TERN_OK);
  Samples s;
  s.source = std::move(source);
  return s;
}

TEST(Samples, EachEpochHasAllInAnotherOrder) {
  Samples s = numbered(97);
  std::set<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    std::vector<int64_t> order;
    for (int64_t i = 0; i < 97; ++i) order.push_back(s.drawn(epoch * 97 + i));
    orders.insert(order);
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < 97; ++i) ASSERT_EQ(order[(size_t)i], i);
  }
  EXPECT_EQ(orders.size(), 20u);
  Samples other = s;
  other.order.seed = 1;
  int same = 0;
  for (int64_t i = 0; i < 97; ++i) same += s.drawn(i) == other.drawn(i);
  EXPECT_LT(same, 10);
  s.order.shuffled = false;
  for (int64_t i = 0; i < 300; ++i) EXPECT_EQ(s.drawn(i), i % 97);
}

TEST(Samples, BatchesAtTheEndOfAnEpoch) {
  Samples s = numbered(10);
  int64_t begin = -1;
  EXPECT_EQ(s.begin_batch(8, 4, &begin), TERN_OK);
  EXPECT_EQ(begin, 8);
  EXPECT_EQ(s.begin_batch(8, 40, &begin), TERN_OK);
  s.order.drops_last = true;
  EXPECT_EQ(s.begin_batch(8, 4, &begin), TERN_OK);
  EXPECT_EQ(begin, 10);
  EXPECT_EQ(s.begin_batch(6, 4, &begin), TERN_OK);
  EXPECT_EQ(begin, 6);
  EXPECT_EQ(s.begin_batch(10, 10, &begin), TERN_OK);
  EXPECT_EQ(begin, 10);
  EXPECT_EQ(s.begin_batch(0, 11, &begin), TERN_ERR_LIMIT);
}

TEST(Samples, Split) {
  const Samples s = numbered(100);
  Samples train, validation, again, other;
  ASSERT_EQ(split(s, 0.2, 5, &train, &validation), TERN_OK);
  EXPECT_EQ(train.size(), 80);
  EXPECT_EQ(validation.size(), 20);
  EXPECT_TRUE(train.order.shuffled);
  EXPECT_FALSE(validation.order.shuffled);
  std::set<int64_t> seen;
  for (const Samples* part : {&train, &validation})
    for (int64_t i = 0; i < part->size(); ++i) {
      seen.insert(part->at(i));
      if (i) EXPECT_LT(part->at(i - 1), part->at(i));
    }
  EXPECT_EQ(seen.size(), 100u);
  ASSERT_EQ(split(s, 0.2, 5, &other, &again), TERN_OK);
  EXPECT_EQ(*again.picked, *validation.picked);
  ASSERT_EQ(split(s, 0.2, 6, &other, &again), TERN_OK);
  EXPECT_NE(*again.picked, *validation.picked);
  // Of a part, which ends in single samples.
  ASSERT_EQ(split(validation, 0.01, 0, &other, &again), TERN_OK);
  EXPECT_EQ(again.size(), 1);
  EXPECT_NE(std::find(validation.picked->begin(), validation.picked->end(), again.at(0)), validation.picked->end());
  EXPECT_EQ(split(again, 0.5, 0, &train, &validation), TERN_ERR_INVALID_ARGUMENT);
  for (const double share : {0.0, 1.0, -1.0, 2.0, (double)NAN, (double)INFINITY})
    EXPECT_EQ(split(s, share, 0, &train, &validation), TERN_ERR_INVALID_ARGUMENT);
}

TEST(Arrays, MustBeOfSamples) {
  Source s;
  const float x[6] = {};
  EXPECT_EQ(add_array(s, "x", TERN_DTYPE_F32, Shape{}, x, nullptr), TERN_ERR_SHAPE);
  EXPECT_EQ(add_array(s, "x", TERN_DTYPE_F32, Shape{0, 3}, x, nullptr), TERN_ERR_SHAPE);
  EXPECT_EQ(add_array(s, "x", TERN_DTYPE_F32, Shape{int64_t(1) << 40, 0}, x, nullptr), TERN_ERR_SHAPE);
  EXPECT_EQ(add_array(s, "x", TERN_DTYPE_F32, Shape{2, 3}, x, nullptr), TERN_OK);
  EXPECT_EQ(add_array(s, "y", TERN_DTYPE_F32, Shape{3}, x, nullptr), TERN_ERR_SHAPE);
  EXPECT_TRUE(says("'y' has 3 samples, 'x' has 2"));
}

// ---- augmentation ----

template <class T>
Field picture_field(int64_t height, int64_t width, int64_t channels, DType dtype) {
  Field f;
  f.dtype = dtype;
  f.shape = Shape{height, width, channels};
  f.bytes = (uint64_t)f.shape.elements() * sizeof(T);
  return f;
}

// Every picture is one of those that moves and mirrors can give, and all of those come.
TEST(Augmentation, MovesAndMirrors) {
  const Field f = picture_field<uint8_t>(3, 4, 2, TERN_DTYPE_U8);
  uint8_t from[24];
  std::iota(from, from + 24, (uint8_t)1);
  std::map<std::vector<uint8_t>, int> left;
  for (int dy = -1; dy <= 1; ++dy)
    for (int dx = -1; dx <= 1; ++dx)
      for (int flip = 0; flip < 2; ++flip) {
        std::vector<uint8_t> p(24, 99);
        for (int y = 0; y < 3; ++y)
          for (int x = 0; x < 4; ++x)
            for (int c = 0; c < 2; ++c)
              if (y + dy >= 0 && y + dy < 3 && x + dx >= 0 && x + dx < 4)
                p[(size_t)((y * 4 + (flip ? 3 - x : x)) * 2 + c)] = from[((y + dy) * 4 + x + dx) * 2 + c];
        left[p] = 0;
      }
  ASSERT_EQ(left.size(), 18u);
  Augmentation a;
  a.field = 0, a.flip = 0.5f, a.shift = 1, a.fill = 99;
  std::vector<uint8_t> spare;
  for (uint64_t place = 0; place < 9000; ++place) {
    std::vector<uint8_t> p(from, from + 24), again = p;
    augment(a, f, 11, place, p.data(), &spare);
    const auto found = left.find(p);
    ASSERT_NE(found, left.end());
    ++found->second;
    augment(a, f, 11, place, again.data(), &spare);
    ASSERT_EQ(p, again);
  }
  for (const auto& [picture, times] : left) EXPECT_NEAR(times, 500, 5 * std::sqrt(500.0));
}

TEST(Augmentation, Brightness) {
  const Field bytes = picture_field<uint8_t>(2, 2, 1, TERN_DTYPE_U8),
              floats = picture_field<float>(2, 2, 1, TERN_DTYPE_F32);
  Augmentation a;
  a.field = 0, a.brightness = 0.5f;
  std::vector<uint8_t> spare;
  double low = 9, high = 0, contrast_low = 9, contrast_high = 0;
  for (uint64_t place = 0; place < 500; ++place) {
    float x[4] = {1, 2, 3, 4};
    uint8_t b[4] = {10, 20, 200, 250};
    augment(a, floats, 1, place, x, &spare);
    augment(a, bytes, 1, place, b, &spare);
    low = std::min(low, (double)x[0]), high = std::max(high, (double)x[0]);
    for (int i = 1; i < 4; ++i) ASSERT_FLOAT_EQ(x[i], x[0] * (float)(i + 1));
    const uint8_t given[4] = {10, 20, 200, 250};
    for (int i = 0; i < 4; ++i) ASSERT_NEAR(b[i], std::min(255.0, given[i] * (double)x[0]), 0.501);
  }
  EXPECT_NEAR(low, 0.5, 0.01);
  EXPECT_NEAR(high, 1.5, 0.01);
  a.brightness = 0, a.contrast = 0.25f;
  for (uint64_t place = 0; place < 500; ++place) {
    float x[4] = {-1, 0, 1, 4};  // mean 1
    augment(a, floats, 1, place, x, &spare);
    ASSERT_FLOAT_EQ(x[2], 1);
    ASSERT_NEAR(x[0] + x[1] + x[3], 3, 1e-5);
    const double c = (1 - (double)x[0]) / 2;
    contrast_low = std::min(contrast_low, c), contrast_high = std::max(contrast_high, c);
  }
  EXPECT_NEAR(contrast_low, 0.75, 0.01);
  EXPECT_NEAR(contrast_high, 1.25, 0.01);
}

TEST(Augmentation, IsChecked) {
  Source s;
  const uint8_t x[24] = {};
  ASSERT_EQ(add_array(s, "x", TERN_DTYPE_U8, Shape{2, 3, 4, 1}, x, nullptr), TERN_OK);
  ASSERT_EQ(add_array(s, "y", TERN_DTYPE_U8, Shape{2, 3}, x, nullptr), TERN_OK);
  Augmentation good;
  good.field = 0, good.shift = 2, good.flip = 1;
  EXPECT_EQ(check_augmentation(s, good), TERN_OK);
  const auto bad = [&](auto&& set) {
    Augmentation a = good;
    set(a);
    return check_augmentation(s, a);
  };
  EXPECT_EQ(bad([](Augmentation& a) { a.field = 2; }), TERN_ERR_INDEX);
  EXPECT_EQ(bad([](Augmentation& a) { a.field = -1; }), TERN_ERR_INDEX);
  EXPECT_EQ(bad([](Augmentation& a) { a.field = 1; }), TERN_ERR_SHAPE);
  EXPECT_EQ(bad([](Augmentation& a) { a.shift = 3; }), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(bad([](Augmentation& a) { a.shift = -1; }), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(bad([](Augmentation& a) { a.flip = 1.5f; }), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(bad([](Augmentation& a) { a.contrast = NAN; }), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(bad([](Augmentation& a) { a.fill = INFINITY; }), TERN_ERR_INVALID_ARGUMENT);
}

// ---- .npy ----

// Memory aligned as a mapped file.
Bytes as_file(const std::string& text) {
  Bytes b;
  EXPECT_EQ(copy_bytes(text.data(), text.size(), &b), TERN_OK);
  return b;
}

std::string npy(std::string dict, const std::string& data, char version = 1) {
  while ((10 + (version > 1 ? 2 : 0) + dict.size() + 1) % 64) dict += ' ';
  dict += '\n';
  std::string s("\x93NUMPY", 6);
  s += {version, 0, (char)(dict.size() & 255), (char)(dict.size() >> 8)};
  if (version > 1) s += std::string(2, 0);
  return s + dict + data;
}

std::string raw(std::initializer_list<float> values) {
  std::string s;
  for (const float v : values) s.append((const char*)&v, 4);
  return s;
}

TEST(Npy, Forms) {
  NpyArray a;
  const std::string plain = raw({1, 2, 3, 4, 5, 6});
  for (const char version : {1, 2, 3}) {
    const Bytes file = as_file(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", plain, version));
    ASSERT_EQ(read_npy(file, "x.npy", &a), TERN_OK) << thread_error().message;
    EXPECT_EQ(a.dtype, TERN_DTYPE_F32);
    EXPECT_EQ(a.shape, (Shape{2, 3}));
    EXPECT_EQ(a.data, file.data + file.size - 24);  // where it lies
    EXPECT_EQ(std::string((const char*)a.data, a.bytes), plain);
  }
  ASSERT_EQ(read_npy(as_file(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", raw({1, 4, 2, 5, 3, 6}))),
                     "x", &a),
            TERN_OK);
  EXPECT_EQ(std::string((const char*)a.data, a.bytes), plain);
  std::string swapped = plain;
  for (size_t i = 0; i < 24; i += 4) std::reverse(swapped.begin() + (ptrdiff_t)i, swapped.begin() + (ptrdiff_t)i + 4);
  ASSERT_EQ(read_npy(as_file(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (6,)}", swapped)), "x", &a),
            TERN_OK);
  EXPECT_EQ(std::string((const char*)a.data, a.bytes), plain);
  ASSERT_EQ(
      read_npy(as_file(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (4,)}", std::string("\0\1\2\xff", 4))),
               "x", &a),
      TERN_OK);
  EXPECT_EQ(std::string((const char*)a.data, a.bytes), std::string("\0\1\1\1", 4));
  ASSERT_EQ(read_npy(as_file(npy("{'descr': '<i8', 'fortran_order': False, 'shape': ()}", std::string(8, 1))), "x", &a),
            TERN_OK);
  EXPECT_EQ(a.shape.rank, 0);
}

TEST(Npy, Hostile) {
  NpyArray a;
  const std::string good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", raw({1, 2, 3, 4}));
  ASSERT_EQ(read_npy(as_file(good), "x", &a), TERN_OK);
  for (size_t n = 0; n < good.size(); ++n)
    ASSERT_EQ(read_npy(as_file(good.substr(0, n)), "x", &a), TERN_ERR_CORRUPT) << n;
  const auto shape = [](const char* s) {
    return npy(std::string("{'descr': '<f4', 'fortran_order': False, 'shape': ") + s + "}", std::string(16, 0));
  };
  for (const char* s :
       {"(2, -2)", "(5,)", "(3,)", "(18446744073709551617,)", "(4294967296, 4294967296)", "(1,1,1,1,1,1,1,1,4)",
        "(999999999999999999,999999999999999999,0)", "(4", "4", "(,)", "(2 2)", "(2,2)x"})
    EXPECT_EQ(read_npy(as_file(shape(s)), "x", &a), TERN_ERR_CORRUPT) << s;
  for (const char* d :
       {"", "{", "{}", "(", "{'descr': '<f4'}", "{'descr': '<c8', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': [('a','<f4')], 'fortran_order': False, 'shape': (4,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,)}"})
    EXPECT_EQ(read_npy(as_file(npy(d, std::string(16, 0))), "file.npy", &a), TERN_ERR_CORRUPT) << d;
  EXPECT_TRUE(says("file.npy: "));
  EXPECT_EQ(read_npy(as_file(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12) + std::string(100, ' ')), "x", &a),
            TERN_ERR_CORRUPT);
}

}  // namespace
}  // namespace tern::data
