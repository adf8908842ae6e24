// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/count_allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace tern::test {

namespace {
std::atomic<int64_t> count{0}, failing{0};
}

bool fail_allocation(int64_t n) {
  const int64_t before = failing.exchange(n ? count + n : 0);
  return before && count >= before;
}

int64_t allocations() { return count.load(); }

void* allocate_counted(size_t bytes, size_t alignment) {
  if (count.fetch_add(1) + 1 == failing.load()) return nullptr;
  return std::aligned_alloc(alignment, ((bytes ? bytes : 1) + alignment - 1) / alignment * alignment);
}

}  // namespace tern::test

namespace {
void* must_allocate(size_t bytes, size_t alignment) {
  void* p = tern::test::allocate_counted(bytes, alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
}  // namespace

void* operator new(size_t n) { return must_allocate(n, 16); }
void* operator new[](size_t n) { return must_allocate(n, 16); }
void* operator new(size_t n, std::align_val_t a) { return must_allocate(n, (size_t)a); }
void* operator new[](size_t n, std::align_val_t a) { return must_allocate(n, (size_t)a); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { std::free(p); }
