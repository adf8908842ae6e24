// SPDX-License-Identifier: Apache-2.0
// Which instruction sets differ in a few kernels only, and tables that count the calls of some kernels.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <utility>
#include <vector>

#include "kernels/cpu/dispatch.h"

namespace tern::cpu::test {

// Tables of kernels that are counted: those that a set may have beyond the one that it extends, and those of a
// capability.
enum class Watch : int { int8, training, text };
inline std::atomic<int64_t> g_calls[3];
inline int64_t calls(Watch w) { return g_calls[(int)w]; }

// A copy of a table, which holds nothing but kernels (KernelFn), whose entries count and call the original's.
template <class Table>
class Counted {
  static constexpr size_t kEntries = sizeof(Table) / sizeof(KernelFn);
  using Entries = std::array<KernelFn, kEntries>;
  static_assert(sizeof(Table) == sizeof(Entries));
  static inline Entries originals_;
  static inline std::atomic<int64_t>* counter_;

  template <size_t entry>
  static void call(const void* args, int64_t begin, int64_t end, void* scratch) {
    ++*counter_;
    originals_[entry](args, begin, end, scratch);
  }

 public:
  static const Table* of(const Table* table, Watch watch) {
    static Table copy;
    counter_ = &g_calls[(int)watch];
    originals_ = *(const Entries*)(const void*)table;
    copy = []<size_t... i>(std::index_sequence<i...>) { return std::bit_cast<Table>(Entries{call<i>...}); }
    (std::make_index_sequence<kEntries>());
    return &copy;
  }
};

// The kernels of a set, counted. Valid until the next call.
inline const Kernels& watched(const Kernels& kernels) {
  static Kernels copy;
  copy = kernels;
  const auto watch = []<class Table>(const Table*& table) {
    if constexpr (requires { Table::capability; })
      table = Counted<Table>::of(table, Table::capability == Capability::text ? Watch::text : Watch::training);
  };
#define TERN_WATCH(Type, name) watch(copy.name);
  TERN_CPU_KERNELS(TERN_WATCH)
#undef TERN_WATCH
#define TERN_WATCH(Type, name) copy.name = Counted<Type>::of(copy.name, Watch::int8);
  TERN_CPU_INT8_KERNELS(TERN_WATCH)
#undef TERN_WATCH
  return copy;
}

// The sets that this processor runs, each with those that differ from it in int8 kernels only.
struct Family {
  const Kernels* base;
  std::vector<const Kernels*> extensions;
};
inline std::vector<Family> families() {
  std::vector<Family> list;
  const auto extends = [](const Kernels& a, const Kernels& b) {
    bool same = true;
#define TERN_COMPARE(Type, name) same = same && a.name == b.name;
    TERN_CPU_KERNELS(TERN_COMPARE)
#undef TERN_COMPARE
    return same && std::equal(a.encodings, a.encodings + kNumEncodings, b.encodings);
  };
  std::vector<const Kernels*> sets;
  for (int i = 0; const Kernels* k = runnable_kernels(i); ++i) sets.push_back(k);
  for (size_t i = sets.size(); i-- > 0;) {  // a set stands before those that it extends
    const auto base =
        std::find_if(list.begin(), list.end(), [&](const Family& f) { return extends(*sets[i], *f.base); });
    if (base == list.end()) list.push_back({sets[i], {}});
    else base->extensions.push_back(sets[i]);
  }
  return list;
}

// Calls test(kernels) for each set; for one that extends another only if the test called an int8 kernel of that.
template <class F>
void for_each_set(F test) {
  for (const Family& family : families()) {
    const int64_t before = calls(Watch::int8);
    {
      SCOPED_TRACE(family.base->isa);
      test(watched(*family.base));
    }
    if (calls(Watch::int8) == before) continue;
    for (const Kernels* k : family.extensions) {
      SCOPED_TRACE(k->isa);
      test(*k);
    }
  }
}

}  // namespace tern::cpu::test
