// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/bounds.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <new>

namespace {
std::atomic<int64_t> live{0}, peak{0};

void* counted(size_t bytes, size_t alignment) {
  void* p = alignment <= 16 ? std::malloc(bytes ? bytes : 1)
                            : std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
  if (!p) return nullptr;
  const int64_t now = live += (int64_t)malloc_usable_size(p);
  for (int64_t old = peak; old < now && !peak.compare_exchange_weak(old, now);) {
  }
  return p;
}
void uncount(void* p) {
  if (p) live -= (int64_t)malloc_usable_size(p);
  std::free(p);
}
void* counted_or_throw(size_t bytes, size_t alignment) {
  if (void* p = counted(bytes, alignment)) return p;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(size_t n) { return counted_or_throw(n, 1); }
void* operator new[](size_t n) { return counted_or_throw(n, 1); }
void* operator new(size_t n, std::align_val_t a) { return counted_or_throw(n, (size_t)a); }
void* operator new[](size_t n, std::align_val_t a) { return counted_or_throw(n, (size_t)a); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return counted(n, 1); }
void* operator new[](size_t n, const std::nothrow_t&) noexcept { return counted(n, 1); }
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return counted(n, (size_t)a); }
void operator delete(void* p) noexcept { uncount(p); }
void operator delete[](void* p) noexcept { uncount(p); }
void operator delete(void* p, size_t) noexcept { uncount(p); }
void operator delete[](void* p, size_t) noexcept { uncount(p); }
void operator delete(void* p, std::align_val_t) noexcept { uncount(p); }
void operator delete[](void* p, std::align_val_t) noexcept { uncount(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { uncount(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { uncount(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { uncount(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { uncount(p); }

namespace tern::test {

uint64_t live_bytes() { return (uint64_t)live.load(); }
uint64_t peak_bytes() { return (uint64_t)peak.load(); }
void reset_peak() { peak = live.load(); }

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

}  // namespace tern::test
