// SPDX-License-Identifier: Apache-2.0
// Counts every allocation of a program by operator new, and those made here; one of them may be made to fail.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tern::test {

int64_t allocations();
// The n-th from now fails (n >= 1); 0: none. Returns whether the one asked for before did.
bool fail_allocation(int64_t n);
// To be released with free.
void* allocate_counted(size_t bytes, size_t alignment);

}  // namespace tern::test
