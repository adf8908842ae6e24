// SPDX-License-Identifier: Apache-2.0
// Counts every allocation of a program by operator new, and those made here.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tern::test {

int64_t allocations();
// To be released with free.
void* allocate_counted(size_t bytes, size_t alignment);

}  // namespace tern::test
