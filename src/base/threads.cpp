// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

#include "base/float_mode.h"

namespace tern {
namespace {

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until `value` differs from `old`, for about 50 microseconds and while `awake` counts anything; then sleeps.
template <class T>
void await_change(const std::atomic<T>& value, T old, int32_t wait, const std::atomic<int32_t>& awake) {
  using Clock = std::chrono::steady_clock;
  if (wait != TERN_WAIT_SLEEP) {
    const auto end = Clock::now() + std::chrono::microseconds(50);
    for (;;) {
      for (int i = 0; i < 64; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause();
      }
      if (awake.load(std::memory_order_relaxed) == 0 && Clock::now() > end) break;
    }
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

#if defined(__linux__)
using Cpus = cpu_set_t;

// Where workers may run: the CPUs of the mask, or those that the caller may use. None: not known.
Cpus allowed_cpus(uint64_t mask) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (!mask && sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
  for (int c = 0; c < 64; ++c)
    if (mask >> c & 1) CPU_SET(c, &set);
  return set;
}

// Moves a worker to the n-th of the CPUs after the caller's.
void keep_to(std::thread& worker, const Cpus& cpus, int32_t n) {
  const int here = sched_getcpu();
  if (CPU_COUNT(&cpus) == 0 || here < 0) return;
  int c = here;
  while (n > 0)
    if (CPU_ISSET(c = (c + 1) % CPU_SETSIZE, &cpus)) --n;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(c, &one);
  (void)pthread_setaffinity_np(worker.native_handle(), sizeof one, &one);
}

// The calling worker may run on all of the CPUs.
void let_go(const Cpus& cpus) {
  if (CPU_COUNT(&cpus) > 0) (void)sched_setaffinity(0, sizeof cpus, &cpus);
}
#else
struct Cpus {};
Cpus allowed_cpus(uint64_t) { return {}; }
void keep_to(std::thread&, const Cpus&, int32_t) {}
void let_go(const Cpus&) {}
#endif

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
    : options_(options),
      num_threads_(std::min(options.num_threads > 0 ? options.num_threads : available_cpus(), kMaxThreads)) {}

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
    const Cpus cpus = allowed_cpus(options_.affinity_mask);
    while (started_ < num_threads_) {
      const int32_t index = started_;
      workers_.emplace_back([this, index, cpus] {
        await_change(job_, 0u, options_.wait, awake_);
        let_go(cpus);
        work(index);
      });
      // Linux may begin a thread on the CPU of its maker, whom it then waits for, and take 10 ms to see that another
      // CPU is idle. So each begins on one of its own, and may go anywhere from its first job on.
      keep_to(workers_.back(), cpus, started_);
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
         shares_[(size_t)i].compare_exchange_strong(open, open + 1, std::memory_order_acq_rel,
                                                    std::memory_order_relaxed);
}

void ThreadPool::work(int32_t index) {
  const FloatMode mode(options_.keep_denormals);
  uint32_t seen = 0;
  for (;;) {
    await_change(job_, seen, options_.wait, awake_);
    seen = job_.load(std::memory_order_acquire);
    if (stop_) return;
    if (!claim(index, seen)) continue;
    task_(user_, index);
    finished_.fetch_add(1, std::memory_order_release);
    finished_.notify_one();
  }
}

namespace {

// A task on threads of the host.
struct HostTask {
  void (*task)(void*, int32_t);
  void* user;
  bool keep_denormals;
};
void run_host_task(void* user, int32_t i) {
  const HostTask& h = *(const HostTask*)user;
  const FloatMode mode(h.keep_denormals);
  h.task(h.user, i);
}

}  // namespace

void ThreadPool::run(int32_t count, void (*task)(void*, int32_t), void* user) {
  const FloatMode mode(options_.keep_denormals);
  if (count > 1 && busy_.try_lock()) {
    std::lock_guard<std::mutex> lock(busy_, std::adopt_lock);
    if (options_.parallel) {
      HostTask h{task, user, options_.keep_denormals};
      options_.parallel(options_.parallel_user, count, run_host_task, &h);
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
      for (int32_t done; (done = finished_.load(std::memory_order_acquire)) != others;)
        await_change(finished_, done, options_.wait, awake_);
      return;
    }
  }
  for (int32_t i = 0; i < count; ++i) task(user, i);
}

}  // namespace tern
