// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/dispatch.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace tern::cpu {

// The build defines TERN_CPU_<set> for each set that it contains.
#define TERN_DECLARE_SET(set) \
  namespace set {             \
  extern const Kernels table; \
  }
TERN_DECLARE_SET(baseline)
TERN_DECLARE_SET(avx2)
TERN_DECLARE_SET(avxvnni)
TERN_DECLARE_SET(avx512)
TERN_DECLARE_SET(avx512vnni)
TERN_DECLARE_SET(amx)
TERN_DECLARE_SET(amx_emulated)
TERN_DECLARE_SET(neon)
TERN_DECLARE_SET(dotprod)
TERN_DECLARE_SET(i8mm)

namespace {

struct Features {
  bool avx2 = false, avxvnni = false, avx512 = false, avx512vnni = false, amx = false, dotprod = false, i8mm = false;
};

#if defined(__x86_64__)
uint64_t enabled_state() {  // which registers the operating system saves (XCR0)
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

Features detect() {
  Features f;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return f;
  const auto bit = [](uint32_t word, int n) { return (word >> n & 1u) != 0; };
  const bool fma = bit(c, 12), f16c = bit(c, 29), avx = bit(c, 28), saves = bit(c, 27);
  if (!saves || !avx || !fma || !f16c) return f;
  const uint64_t state = enabled_state();
  if ((state & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
  const uint32_t subleaves = a;
  f.avx2 = bit(b, 5);
  f.avx512 = f.avx2 && (state & 0xe0) == 0xe0 && bit(b, 16) && bit(b, 17) && bit(b, 28) && bit(b, 30) && bit(b, 31);
  f.avx512vnni = f.avx512 && bit(c, 11);
  f.amx = f.avx512vnni && (state >> 17 & 3) == 3 && bit(d, 24) && bit(d, 25);
  f.avxvnni = f.avx2 && subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && bit(a, 4);
  return f;
}
#elif defined(__aarch64__) && defined(__linux__)
Features detect() {
  Features f;
  f.dotprod = (getauxval(AT_HWCAP) >> 20 & 1) != 0;
  f.i8mm = f.dotprod && (getauxval(AT_HWCAP2) >> 13 & 1) != 0;
  return f;
}
#else
Features detect() { return {}; }
#endif

// Linux hands out the registers of tiles to a process that asks, for good: its signal frames grow by 8 KiB, and it is
// refused where a thread's alternative signal stack has no room for them.
[[maybe_unused]] bool tiles_granted() {
#if defined(TERN_CPU_amx) && defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, the state component
  static const bool granted = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return granted;
#else
  return false;
#endif
}

const Features& features() {
  static const Features f = detect();  // virtual machines take long for it
  return f;
}

// Best first: a set stands before those that it extends.
const Kernels* runnable(int index) {
  [[maybe_unused]] const Features& f = features();
  const Kernels* list[8];
  int n = 0;
#if defined(TERN_CPU_avx512vnni)
  if (f.avx512vnni) list[n++] = &avx512vnni::table;
#endif
#if defined(TERN_CPU_avx512)
  if (f.avx512) list[n++] = &avx512::table;
#endif
#if defined(TERN_CPU_avxvnni)
  if (f.avxvnni) list[n++] = &avxvnni::table;
#endif
#if defined(TERN_CPU_avx2)
  if (f.avx2) list[n++] = &avx2::table;
#endif
#if defined(TERN_CPU_i8mm)
  if (f.i8mm) list[n++] = &i8mm::table;
#endif
#if defined(TERN_CPU_dotprod)
  if (f.dotprod) list[n++] = &dotprod::table;
#endif
#if defined(TERN_CPU_neon)
  list[n++] = &neon::table;
#endif
#if defined(TERN_CPU_baseline)
  list[n++] = &baseline::table;
#endif
  if (index >= 0 && index < n) return list[index];
  index -= n, n = 0;
#if defined(TERN_CPU_amx_emulated)
  list[n++] = &amx_emulated::table;
#endif
#if defined(TERN_CPU_amx)
  if (f.amx && tiles_granted()) list[n++] = &amx::table;
#endif
  return index >= 0 && index < n ? list[index] : nullptr;
}

const Kernels* find(const char* isa) {
  for (int i = 0;; ++i) {
    const Kernels* k = runnable(i);
    if (!k || strcmp(k->isa, isa) == 0) return k;
  }
}

const Kernels* first_choice() {
  const char* wish = getenv("TERN_CPU_ISA");
  const Kernels* k = wish ? find(wish) : nullptr;
  return k ? k : runnable(0);
}

std::atomic<const Kernels*> g_kernels{nullptr};

}  // namespace

const Kernels& kernels() {
  const Kernels* k = g_kernels.load(std::memory_order_acquire);
  if (!k) {
    const Kernels* mine = first_choice();
    k = g_kernels.compare_exchange_strong(k, mine) ? mine : k;
  }
  return *k;
}

const Kernels& with_tiles(const Kernels& k) {
#if defined(TERN_CPU_amx) && defined(TERN_CPU_avx512vnni)
  static const bool asked_for_another = getenv("TERN_CPU_ISA") != nullptr;
  if (&k == &avx512vnni::table && !asked_for_another && features().amx && tiles_granted()) return amx::table;
#endif
  return k;
}

bool select_kernels(const char* isa) {
  const Kernels* k = isa ? find(isa) : first_choice();
  if (!k) return false;
  g_kernels.store(k, std::memory_order_release);
  return true;
}

void use_kernels(const Kernels& table) { g_kernels.store(&table, std::memory_order_release); }

const Kernels* runnable_kernels(int index) { return runnable(index); }

}  // namespace tern::cpu
