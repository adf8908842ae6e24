// SPDX-License-Identifier: Apache-2.0
// Part of libtern.so alone, which holds a copy of the C++ library of its own; an app's own C++ library is not touched.
#include <exception>

#if defined(__GLIBCXX__)
// The copy's handler for uncaught exceptions prints their names, for which it brings 50 kB of name decoding; nothing
// uncaught leaves an entry of the C ABI, so a stop at the place is all that is needed.
namespace __cxxabiv1 {
extern std::terminate_handler __terminate_handler;
__attribute__((visibility("hidden"))) std::terminate_handler __terminate_handler = [] { __builtin_trap(); };
}  // namespace __cxxabiv1

// Nobody else frees the memory that this copy keeps for exceptions when there is none: 72 kB at every unloading. It is
// the last that runs of the library, so no exception is to come.
namespace __gnu_cxx {
void __freeres();
}
namespace {
__attribute__((destructor(101))) void free_emergency_memory() { __gnu_cxx::__freeres(); }
}  // namespace
#endif
