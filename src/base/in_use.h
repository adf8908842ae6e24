// SPDX-License-Identifier: Apache-2.0
// Says whether a call uses an object, so that a second one which must not run at the same time is refused, not
// undefined.
#pragma once
#include <atomic>
#include <cstdint>

namespace tern {

// By one call alone, or by any number that only read. Never waits.
class InUse {
 public:
  bool begin_alone() {
    int32_t none = 0;
    return users_.compare_exchange_strong(none, -1, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void end_alone() { users_.store(0, std::memory_order_release); }
  bool begin_shared() {
    int32_t n = users_.load(std::memory_order_relaxed);
    while (n >= 0)
      if (users_.compare_exchange_weak(n, n + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
    return false;
  }
  void end_shared() { users_.fetch_sub(1, std::memory_order_release); }

 private:
  std::atomic<int32_t> users_{0};  // readers, or -1
};

}  // namespace tern
