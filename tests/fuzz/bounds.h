// SPDX-License-Identifier: Apache-2.0
// What an action costs. The file that defines this replaces operator new of its program.
#pragma once
#include <cstdint>

namespace tern::test {

// Bytes that operator new gave and that were not returned, and the most since the last reset.
uint64_t live_bytes();
uint64_t peak_bytes();
void reset_peak();

// Of the processor, of all threads, since the machine may be busy with other things.
double cpu_seconds();

// A sanitizer makes everything slower.
#ifndef __has_feature  // Clang's
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer)
constexpr double kSlower = 10;
#else
constexpr double kSlower = 1;
#endif

}  // namespace tern::test
