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
    : options_(options), num_threads_(std::min(options.num_threads > 0 ? options.num_threads : available_cpus(), kMaxThreads)),
      parts_(std::make_unique<Part[]>((size_t)num_threads_)) {}

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

// The first or last share of a thread's part that nobody has begun; false if there is none.
bool ThreadPool::claim(int32_t owner, uint32_t job, bool first, int32_t* share) {
  std::atomic<uint64_t>& part = parts_[(size_t)owner].open;
  uint64_t open = part.load(std::memory_order_acquire);
  for (;;) {
    const uint32_t begin = open & 0xffff, end = open >> 16 & 0xffff;
    if ((uint32_t)(open >> 32) != job || begin == end) return false;
    const uint64_t rest = first ? open + 1 : open - (1 << 16);
    *share = (int32_t)(first ? begin : end - 1);
    if (part.compare_exchange_weak(open, rest, std::memory_order_acq_rel, std::memory_order_acquire)) return true;
  }
}

// Runs shares until none is left; how many.
int32_t ThreadPool::drain(int32_t thread, uint32_t job) {
  if ((uint32_t)(parts_[(size_t)thread].open.load(std::memory_order_acquire) >> 32) != job) return 0;  // not this thread's job
  const int32_t threads = threads_.load(std::memory_order_relaxed);
  int32_t done = 0, share;
  for (int32_t k = 0; k < threads; ++k)
    while (claim((thread + k) % threads, job, k == 0, &share)) {
      task_(user_, thread, share);
      ++done;
    }
  return done;
}

void ThreadPool::work(int32_t index) {
  uint32_t seen = 0;
  for (;;) {
    await_change(job_, seen, options_.wait);
    seen = job_.load(std::memory_order_acquire);
    if (stop_) return;
    const int32_t done = drain(index, seen);
    if (!done) continue;
    finished_.fetch_add(done, std::memory_order_release);
    finished_.notify_one();
  }
}

void ThreadPool::run(int32_t threads, int32_t shares, Task task, void* user) {
  threads = std::min(threads, shares);
  if (threads > 1 && busy_.try_lock()) {
    std::lock_guard<std::mutex> lock(busy_, std::adopt_lock);
    if (!options_.parallel && started_ < num_threads_) start();
    if (options_.parallel || started_ >= threads) {
      const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
      task_ = task;
      user_ = user;
      threads_.store(threads, std::memory_order_relaxed);
      finished_.store(0, std::memory_order_relaxed);
      for (int32_t i = 0; i < threads; ++i) {
        const uint64_t begin = (uint64_t)(shares * (int64_t)i / threads), end = (uint64_t)(shares * (int64_t)(i + 1) / threads);
        parts_[(size_t)i].open.store((uint64_t)job << 32 | end << 16 | begin, std::memory_order_release);
      }
      job_.store(job, std::memory_order_release);
      if (options_.parallel) {
        const auto take_part = [](void* self, int32_t i) {
          ThreadPool& pool = *(ThreadPool*)self;
          pool.drain(i, pool.job_.load(std::memory_order_relaxed));
        };
        return options_.parallel(options_.parallel_user, threads, take_part, this);
      }
      job_.notify_all();
      const int32_t others = shares - drain(0, job);
      for (int32_t done; (done = finished_.load(std::memory_order_acquire)) != others;) await_change(finished_, done, options_.wait);
      return;
    }
  }
  for (int32_t i = 0; i < shares; ++i) task(user, 0, i);
}

}  // namespace tern
