// SPDX-License-Identifier: Apache-2.0
// Part of libtern.so alone, which holds a copy of the C++ library of its own. That copy's handler for uncaught exceptions
// prints their names, for which it brings 50 kB of name decoding; nothing uncaught leaves an entry of the C ABI, so a stop
// at the place is all that is needed. An app's own C++ library is not touched.
#include <exception>

#if defined(__GLIBCXX__)
namespace __cxxabiv1 {
extern std::terminate_handler __terminate_handler;
__attribute__((visibility("hidden"))) std::terminate_handler __terminate_handler = [] { __builtin_trap(); };
}  // namespace __cxxabiv1
#endif
