// SPDX-License-Identifier: Apache-2.0
// The floating-point mode of a thread while it computes.
#pragma once
#include <cstdint>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace tern {

// While it lives, the thread rounds to nearest, traps nothing and, unless denormals are kept, takes numbers below the
// smallest normal one for zero, in what it reads and what it writes: they are some hundred times slower on many
// processors. At the end the thread's mode is as it was found.
class FloatMode {
 public:
  explicit FloatMode(bool keep_denormals) : found_(get()) {
#if defined(__SSE2__)
    constexpr Bits kMaskAll = 0x1f80, kFlush = 0x8040;  // flush results to zero, take operands for zero
    set(keep_denormals ? kMaskAll : kMaskAll | kFlush);
#elif defined(__aarch64__)
    constexpr Bits kFlush = 1u << 24;
    set(keep_denormals ? 0 : kFlush);
#else
    (void)keep_denormals;
#endif
  }
  ~FloatMode() { set(found_); }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
#if defined(__aarch64__)
  using Bits = uint64_t;
#else
  using Bits = uint32_t;
#endif
  static Bits get() {
#if defined(__SSE2__)
    return _mm_getcsr();
#elif defined(__aarch64__)
    Bits v;
    asm volatile("mrs %0, fpcr" : "=r"(v));
    return v;
#else
    return 0;
#endif
  }
  static void set(Bits v) {
#if defined(__SSE2__)
    _mm_setcsr(v);
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" ::"r"(v));
#else
    (void)v;
#endif
  }

  const Bits found_;
};

}  // namespace tern
