// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace tern {
namespace {

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until `value` differs from `old`, for about 50 microseconds or for ever; then sleeps.
template <class T>
void await_change(const std::atomic<T>& value, T old, int32_t wait) {
  using Clock = std::chrono::steady_clock;
  if (wait != TERN_WAIT_SLEEP) {
    const auto end = Clock::now() + std::chrono::microseconds(50);
    for (;;) {
      for (int i = 0; i < 64; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause();
      }
      if (wait != TERN_WAIT_SPIN && Clock::now() > end) break;
    }
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

int32_t available_cpus() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n ? (int32_t)n : 1;
}

ThreadPool::ThreadPool(const Options& options)
    : options_(options), num_threads_(std::min(options.num_threads > 0 ? options.num_threads : available_cpus(), kMaxThreads)) {}

ThreadPool::~ThreadPool() {
  if (workers_.empty()) return;
  stop_ = true;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& t : workers_) t.join();
}

void ThreadPool::start() {
  try {
    workers_.reserve((size_t)num_threads_ - 1);
    while (started_ < num_threads_) {
      const int32_t index = started_;
      workers_.emplace_back([this, index] { work(index); });
#if defined(__linux__)
      if (options_.affinity_mask) {
        cpu_set_t set;
        CPU_ZERO(&set);
        for (int c = 0; c < 64; ++c)
          if (options_.affinity_mask >> c & 1) CPU_SET(c, &set);
        (void)pthread_setaffinity_np(workers_.back().native_handle(), sizeof set, &set);
      }
#endif
      ++started_;
    }
  } catch (...) {
    // Fewer threads than asked for: slower, but every result is the same.
    num_threads_ = started_;
  }
}

bool ThreadPool::claim(int32_t i, uint32_t job) {
  uint64_t open = 2 * (uint64_t)job;
  return shares_[(size_t)i].load(std::memory_order_relaxed) == open &&
         shares_[(size_t)i].compare_exchange_strong(open, open + 1, std::memory_order_acq_rel, std::memory_order_relaxed);
}

void ThreadPool::work(int32_t index) {
  uint32_t seen = 0;
  for (;;) {
    await_change(job_, seen, options_.wait);
    seen = job_.load(std::memory_order_acquire);
    if (stop_) return;
    if (!claim(index, seen)) continue;
    task_(user_, index);
    finished_.fetch_add(1, std::memory_order_release);
    finished_.notify_one();
  }
}

void ThreadPool::run(int32_t count, void (*task)(void*, int32_t), void* user) {
  if (count > 1 && busy_.try_lock()) {
    std::lock_guard<std::mutex> lock(busy_, std::adopt_lock);
    if (options_.parallel) {
      options_.parallel(options_.parallel_user, count, task, user);
      return;
    }
    if (started_ < num_threads_) start();
    if (started_ >= count) {
      const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
      task_ = task;
      user_ = user;
      finished_.store(0, std::memory_order_relaxed);
      for (int32_t i = 1; i < count; ++i) shares_[(size_t)i].store(2 * (uint64_t)job, std::memory_order_release);
      job_.store(job, std::memory_order_release);
      job_.notify_all();
      task(user, 0);
      int32_t others = count - 1;
      for (int32_t i = 1; i < count; ++i) {
        if (!claim(i, job)) continue;
        task(user, i);
        --others;
      }
      for (int32_t done; (done = finished_.load(std::memory_order_acquire)) != others;) await_change(finished_, done, options_.wait);
      return;
    }
  }
  for (int32_t i = 0; i < count; ++i) task(user, i);
}

}  // namespace tern
