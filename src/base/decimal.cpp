// SPDX-License-Identifier: Apache-2.0
#include "base/decimal.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>

namespace tern {
namespace {

// More digits decide nothing but whether the number is above that of these: halves between doubles have fewer.
constexpr int kMostDigits = 780;
constexpr int kMostExponent = 400;  // of the first digit; doubles end at 308 and -324

constexpr uint32_t kPowers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

// A whole number, up to 10^780 or what is divided by the least power of ten.
struct Whole {
  uint32_t words[256];
  int size = 0;       // words in use
  bool more = false;  // and a part of one

  uint32_t word(int i) const { return i < size ? words[i] : 0; }
  int bits() const { return size ? 32 * size - std::countl_zero(words[size - 1]) : 0; }
  void multiply_add(uint32_t factor, uint32_t addend) {
    uint64_t carry = addend;
    for (int i = 0; i < size; ++i, carry >>= 32) carry += (uint64_t)words[i] * factor, words[i] = (uint32_t)carry;
    if (carry) words[size++] = (uint32_t)carry;
  }
  void divide(uint32_t by) {
    uint64_t rest = 0;
    for (int i = size; i-- > 0; rest %= by) rest = rest << 32 | words[i], words[i] = (uint32_t)(rest / by);
    more |= rest != 0;
    while (size > 0 && words[size - 1] == 0) --size;
  }
  void shift_words(int n) {
    std::copy_backward(words, words + size, words + size + n);
    std::fill_n(words, n, 0u);
    size += n;
  }
  // The bits from `place` on, up to 64.
  uint64_t from(int place) const {
    const int i = place / 32, s = place % 32;
    const uint64_t low = word(i) | (uint64_t)word(i + 1) << 32;
    return s ? low >> s | (uint64_t)word(i + 2) << (64 - s) : low;
  }
  bool any_below(int place) const {
    const int whole = std::min(place / 32, size);
    for (int i = 0; i < whole; ++i)
      if (words[i]) return true;
    return (word(place / 32) & ((1u << place % 32) - 1)) != 0;
  }
};

// The number * 2^-scale, rounded.
double round(const Whole& n, int scale) {
  const int lowest = std::max(n.bits() - 53, scale - 1074);  // the place of a double's last bit
  if (lowest <= 0) return std::ldexp((double)n.from(0), -scale);
  uint64_t mantissa = n.from(lowest);
  const bool half = (n.from(lowest - 1) & 1) != 0;
  if (half && ((mantissa & 1) || n.more || n.any_below(lowest - 1))) ++mantissa;
  return std::ldexp((double)mantissa, lowest - scale);
}

// digits * 10^exponent; `more`: and something that is less than one of the last digit.
double value_of(std::span<const uint8_t> digits, int exponent, bool more) {
  Whole n;
  n.more = more;
  for (size_t i = 0; i < digits.size();) {
    uint32_t several = 0;
    const size_t first = i, end = std::min(i + 9, digits.size());
    while (i < end) several = several * 10 + digits[i++];
    n.multiply_add(kPowers[end - first], several);
  }
  if (!more && n.bits() <= 53 && std::abs(exponent) <= 22) {  // both exact: rounded once
    double power = 1;
    for (int i = std::abs(exponent); i > 0; i -= std::min(i, 9)) power *= kPowers[std::min(i, 9)];
    const double whole = (double)n.from(0);
    return exponent < 0 ? whole / power : whole * power;
  }
  int words = 0;
  if (exponent < 0) n.shift_words(words = -exponent / 9 + 3);  // 2^32 > 10^9, and a result of more than 64 bits
  for (int i = exponent; i > 0; i -= std::min(i, 9)) n.multiply_add(kPowers[std::min(i, 9)], 0);
  for (int i = -exponent; i > 0; i -= std::min(i, 9)) n.divide(kPowers[std::min(i, 9)]);
  return round(n, 32 * words);
}

}  // namespace

const char* parse_decimal(const char* p, const char* end, double* out) {
  const bool minus = p < end && *p == '-';
  p += minus;
  const auto digit_at = [&](const char* q) { return q < end && *q >= '0' && *q <= '9'; };
  uint8_t digits[kMostDigits];
  int count = 0;
  int64_t exponent = 0;  // of the last digit
  bool any = false, point = false, more = false;
  for (; digit_at(p) || (p < end && *p == '.' && !point); ++p) {
    if (*p == '.') {
      point = true;
      continue;
    }
    any = true;
    exponent -= point;
    if (*p == '0' && count == 0) continue;
    if (count < kMostDigits) digits[count++] = (uint8_t)(*p - '0');
    else more |= *p != '0', ++exponent;
  }
  if (!any) return nullptr;
  if (p < end && (*p == 'e' || *p == 'E')) {
    const char* q = p + 1;
    const bool down = q < end && *q == '-';
    q += down || (q < end && *q == '+');
    if (digit_at(q)) {
      int64_t e = 0;
      for (; digit_at(q); ++q) e = std::min<int64_t>(10 * e + (*q - '0'), INT32_MAX);
      exponent += down ? -e : e;
      p = q;
    }
  }
  while (count > 0 && digits[count - 1] == 0) --count, ++exponent;  // whole numbers are short, and 1.50 is 1.5
  double value = 0;
  if (count > 0) {
    if (exponent + count > kMostExponent || exponent + count < -kMostExponent) return nullptr;
    value = value_of({digits, (size_t)count}, (int)exponent, more);
    if (value == 0 || std::isinf(value)) return nullptr;
  }
  *out = minus ? -value : value;
  return p;
}

bool parse_decimal(std::string_view text, double* out) {
  double value;
  if (parse_decimal(text.data(), text.data() + text.size(), &value) != text.data() + text.size() || text.empty())
    return false;
  *out = value;
  return true;
}

}  // namespace tern
