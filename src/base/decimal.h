// SPDX-License-Identifier: Apache-2.0
// Decimal numbers to doubles, rounded right. std::from_chars would bring 24 kB, and strtod asks the locale.
#pragma once
#include <string_view>

namespace tern {

// The number at the front of [p, end): digits with at most one point among, before or behind them, perhaps a minus
// before, perhaps an exponent behind (e, a sign, digits). Returns where it ends and sets *out to the nearest double, of
// two the even one. NULL, and *out stays: there is none, or it is too large or too small for a double other than zero.
const char* parse_decimal(const char* p, const char* end, double* out);
// The same for a text that is nothing else.
bool parse_decimal(std::string_view text, double* out);

}  // namespace tern
