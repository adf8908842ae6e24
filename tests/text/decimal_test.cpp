// SPDX-License-Identifier: Apache-2.0
// parse_decimal gives what std::from_chars gives: the same end, the same bits, the same refusals.
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>

#include "base/decimal.h"

namespace tern {
namespace {

void same(const std::string& text) {
  double expected = -7, value = -7;
  const char* const begin = text.data();
  const auto r = std::from_chars(begin, begin + text.size(), expected);
  const bool there = r.ec == std::errc();
  const char* const end = parse_decimal(begin, begin + text.size(), &value);
  ASSERT_EQ(end, there ? r.ptr : nullptr) << text;
  ASSERT_EQ(std::bit_cast<uint64_t>(value), std::bit_cast<uint64_t>(there ? expected : -7)) << text;
}

TEST(Decimal, Forms) {
  for (const char* text : {"0",
                           "-0",
                           "1",
                           "-1.5",
                           ".5",
                           "5.",
                           ".",
                           "-",
                           "",
                           "e5",
                           "1e",
                           "1e+",
                           "1e5x",
                           "1..2",
                           "+1",
                           "0x10",
                           "1e+07",
                           " 1",
                           "00001.500e2",
                           "0e999999999999",
                           "1e400",
                           "1e-400",
                           "1e99999999999999999999",
                           "-1e-99999999999999999999"})
    same(text);
  double value = 3;
  EXPECT_FALSE(parse_decimal("inf", &value));
  EXPECT_FALSE(parse_decimal("nan", &value));
  EXPECT_FALSE(parse_decimal("1 ", &value));
  EXPECT_FALSE(parse_decimal("", &value));
  EXPECT_EQ(value, 3);
  EXPECT_TRUE(parse_decimal("-12.25e1", &value));
  EXPECT_EQ(value, -122.5);
}

TEST(Decimal, Limits) {
  for (const char* text :
       {"1.7976931348623157e308", "1.7976931348623159e308", "4.9e-324", "2.5e-324", "2.4703282292062327e-324",
        "2.4703282292062328e-324", "2.2250738585072011e-308", "9007199254740993", "9007199254740992.999999", "1e22",
        "1e23", "8.5e22", "123456789012345678901234567890"})
    same(text);
}

TEST(Decimal, RandomNumbers) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    const double x = std::bit_cast<double>(random());
    char text[64];
    if (!std::isfinite(x)) continue;
    snprintf(text, sizeof text, "%.*e", (int)(1 + random() % 20), x);
    same(text);
    snprintf(text, sizeof text, "%.*g", (int)(1 + random() % 20), std::ldexp((double)random(), -(int)(random() % 90)));
    same(text);
  }
}

// Halves between two doubles, written out, and what lies a hair beside them.
TEST(Decimal, Halves) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 2000; ++i) {
    const int places = (int)(random() % 60);  // behind the point: as many bits, as many digits
    const uint64_t odd = random() >> 10 | 1ull << 53 | 1;
    std::string digits = std::to_string(odd);  // odd * 5^places = the half * 10^places
    for (int k = 0; k < places; ++k) {
      int carry = 0;
      for (size_t d = digits.size(); d-- > 0; carry /= 10)
        carry += 5 * (digits[d] - '0'), digits[d] = (char)('0' + carry % 10);
      if (carry) digits.insert(0, 1, (char)('0' + carry));
    }
    const std::string exponent = "e-" + std::to_string(places);
    same(digits + exponent);
    same(digits + "." + exponent);
    same(digits + ".0000000001" + exponent);
    same(digits + "." + std::string(900, '0') + "1" + exponent);
    digits.back() -= 1;
    same(digits + ".9999999999" + exponent);
  }
}

}  // namespace
}  // namespace tern
