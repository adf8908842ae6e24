// SPDX-License-Identifier: Apache-2.0
// What the tests of CPU kernels share: buffers that end at a forbidden page, a loop over the instruction sets of this
// processor, a run that proves that splitting the work changes nothing, random numbers and comparison.
#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <utility>
#include <vector>

#include "kernels/cpu/dispatch.h"
#include "tests/kernels/watched.h"

namespace tern::cpu::test {

// Bytes behind each buffer that may be read: QEMU reads the whole vector in a masked load (seen in 7.2), where a
// processor reads the asked lanes only. Writing them is found all the same.
inline size_t readable_behind() {
  static const size_t bytes = std::getenv("TERN_TEST_EMULATED") ? 64 : 0;
  return bytes;
}

// n elements that end right before a page that must not be touched; another one lies before the first page. The memory
// around the elements holds a pattern that the destructor checks.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t n, size_t alignment = alignof(T)) : n_(n) {
    const size_t page = 4096, bytes = n * sizeof(T),
                 slack = (alignment - bytes % alignment) % alignment + readable_behind();
    inner_ = (bytes + slack + page - 1) / page * page;
    if (inner_ == 0) inner_ = page;
    map_ = (char*)mmap(nullptr, inner_ + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map_ == MAP_FAILED) std::abort();
    mprotect(map_, page, PROT_NONE);
    mprotect(map_ + page + inner_, page, PROT_NONE);
    std::memset(map_ + page, 0xcd, inner_);
    data_ = (T*)(map_ + page + inner_ - bytes - slack);
  }
  ~Guarded() {
    for (const char* p = map_ + 4096; p < (const char*)data_; ++p)
      if (*p != (char)0xcd) {
        ADD_FAILURE() << "written " << (const char*)data_ - p << " bytes before the buffer";
        break;
      }
    for (const char* p = (const char*)(data_ + n_); p < map_ + 4096 + inner_; ++p)
      if (*p != (char)0xcd) {
        ADD_FAILURE() << "written " << p - (const char*)(data_ + n_) << " bytes behind the buffer";
        break;
      }
    munmap(map_, inner_ + 2 * 4096);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return n_; }
  size_t bytes() const { return n_ * sizeof(T); }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  size_t n_, inner_;
  char* map_;
  T* data_;
};

struct Random {
  uint64_t state = 1;
  explicit Random(uint64_t seed) : state(seed * 2654435769u + 88172645463325252u) {}
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
  float uniform(float low, float high) { return low + (high - low) * ((float)(next() >> 40) * 0x1p-24f); }
  // both inclusive
  int64_t integer(int64_t low, int64_t high) { return low + (int64_t)(next() >> 20) % (high - low + 1); }
};

template <class T>
void fill(Guarded<T>& x, Random& random, float low = -2, float high = 2) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = random.uniform(low, high);
}

// Runs all units at once, then again one by one, last first, into the same cleared output: the bits must be equal.
// `initial`: what the output holds before (NULL: a pattern).
inline void run(KernelFn kernel, const void* args, int64_t units, size_t scratch_bytes, void* out, size_t out_bytes,
                const void* initial = nullptr) {
  Guarded<char> scratch(scratch_bytes, 64);
  std::vector<char> start(out_bytes, (char)0xa5), first(out_bytes);
  if (initial && out_bytes) std::memcpy(start.data(), initial, out_bytes);
  if (out_bytes) std::memcpy(out, start.data(), out_bytes);
  for (int64_t u = units - 1; u >= 0; --u) kernel(args, u, u + 1, scratch.data());
  if (out_bytes) std::memcpy(first.data(), out, out_bytes);
  if (out_bytes) std::memcpy(out, start.data(), out_bytes);
  if (units > 0) kernel(args, 0, units, scratch.data());
  EXPECT_TRUE(out_bytes == 0 || std::memcmp(first.data(), out, out_bytes) == 0) << "units one by one give other bits";
}

// |got - want| <= absolute + relative * |want|; NaN and infinities must match. Reports the first difference only.
template <class T>
void expect_close(const T* got, const double* want, int64_t n, double relative, double absolute) {
  for (int64_t i = 0; i < n; ++i) {
    const double w = want[i], g = got[i];
    if (std::isnan(w) ? std::isnan(g) : std::isinf(w) ? g == w : std::fabs(g - w) <= absolute + relative * std::fabs(w))
      continue;
    ADD_FAILURE() << "element " << i << " of " << n << ": got " << g << ", want " << w;
    return;
  }
}

}  // namespace tern::cpu::test
