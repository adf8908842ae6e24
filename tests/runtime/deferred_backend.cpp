// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/deferred_backend.h"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/runtime/reference_backend.h"

namespace tern::test {
namespace {

DeferredCounters counters;
std::mutex counters_mutex;

template <class F>
void count(F&& f) {
  const std::lock_guard lock(counters_mutex);
  f(counters);
}

struct Plan : BackendPlan {
  BackendPlan* inner;
};

class Device {
 public:
  explicit Device(void* inner) : inner(inner), thread_([this] { work(); }) {}
  ~Device() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Fence begin(std::function<tern_status()> job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    changed_.notify_all();
    return jobs_.size();
  }
  tern_status wait(Fence fence, uint64_t timeout_ns) {
    std::unique_lock lock(mutex_);
    const auto reached = [&] { return done_ >= fence; };
    if (timeout_ns == UINT64_MAX) changed_.wait(lock, reached);
    else if (!changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), reached))
      return TERN_FAIL(TERN_ERR_DEADLINE, "the fence was not reached");
    const tern_status status = first_error_;
    if (status == TERN_OK) return TERN_OK;
    first_error_ = TERN_OK;
    return TERN_FAIL(status, "%s", message_.c_str());
  }
  bool idle() {
    const std::lock_guard lock(mutex_);
    return done_ == jobs_.size();
  }

  void* const inner;

 private:
  void work() {
    uint32_t seed = 12345;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return ending_ || done_ < jobs_.size(); });
      if (done_ == jobs_.size()) return;
      const std::function<tern_status()> job = std::move(jobs_[done_]);
      const bool broken = first_error_ != TERN_OK;  // what was begun behind an error is not done
      lock.unlock();
      seed = seed * 1664525 + 1013904223;
      if (seed >> 30 == 0) std::this_thread::sleep_for(std::chrono::microseconds(seed >> 8 & 127));
      tern_status status = TERN_OK;
      std::string text;
      try {
        if (!broken) status = job();
        if (status != TERN_OK) text = thread_error().message;
      } catch (const std::bad_alloc&) {
        status = TERN_ERR_MEMORY, text = "no memory";
      }
      lock.lock();
      ++done_;
      if (status != TERN_OK && first_error_ == TERN_OK) first_error_ = status, message_ = text;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<tern_status()>> jobs_;  // all that ever were; those that are done are empty
  size_t done_ = 0;
  tern_status first_error_ = TERN_OK;
  std::string message_;
  bool ending_ = false;
  std::thread thread_;
};

const BackendApi& inner() { return reference_backend(); }
Device& device(void* self) { return *(Device*)self; }

tern_status probe(DeviceInfo* infos, int32_t capacity, int32_t* count) {
  for (int32_t i = 0; i < std::min(capacity, 2); ++i) {
    std::snprintf(infos[i].backend, sizeof infos[i].backend, "deferred");
    std::snprintf(infos[i].device, sizeof infos[i].device, "plain loops, later, number %d", i);
  }
  *count = 2;
  return TERN_OK;
}

tern_status open(const DeviceInfo* info, const tern_allocator* allocator, ThreadPool* pool, void** self) {
  void* opened = nullptr;
  TERN_TRY(inner().open(info, allocator, pool, &opened));
  *self = new Device(opened);
  return TERN_OK;
}

void close(void* self) {
  void* const opened = device(self).inner;
  delete &device(self);
  inner().close(opened);
}

// Memory that goes while work is under way may be in use.
void release(void* self, Buffer* b) {
  if (!device(self).idle()) std::abort();
  inner().free(device(self).inner, b);
}

tern_status copy(void* self, std::span<const Copy> copies, std::span<const Fence>, Fence* done) {
  count([&](DeferredCounters& c) {
    for (const Copy& copy : copies) {
      if (copy.direction == Copy::to_device) ++c.uploads, c.upload_bytes += (int64_t)copy.bytes;
      if (copy.direction == Copy::to_host) ++c.downloads, c.download_bytes += (int64_t)copy.bytes;
    }
  });
  *done = device(self).begin([self, all = std::vector<Copy>(copies.begin(), copies.end())] {
    Fence none = 0;
    return inner().copy(device(self).inner, all, {}, &none);
  });
  return TERN_OK;
}

tern_status compile(void* self, const Partition& p, BackendPlan** out) {
  count([](DeferredCounters& c) { ++c.compiles; });
  auto plan = std::make_unique<Plan>();
  TERN_TRY(inner().compile(device(self).inner, p, &plan->inner));
  *out = plan.release();
  return TERN_OK;
}

BackendPlan* inner_plan(const BackendPlan* plan) { return static_cast<const Plan*>(plan)->inner; }

void plan_release(void* self, BackendPlan* plan) {
  if (!device(self).idle()) std::abort();
  inner().plan_release(device(self).inner, inner_plan(plan));
  delete static_cast<Plan*>(plan);
}

tern_status rebind(void* self, BackendPlan* plan, std::span<const Buffer> slots) {
  count([](DeferredCounters& c) { ++c.rebinds; });
  (void)device(self).begin([self, plan, all = std::vector<Buffer>(slots.begin(), slots.end())] {
    return inner().rebind(device(self).inner, inner_plan(plan), all);
  });
  return TERN_OK;
}

tern_status submit(void* self, BackendPlan* plan, std::span<const int64_t> scalars, const RunControl& control,
                   std::span<const Fence>, Fence* done) {
  count([](DeferredCounters& c) { ++c.submits; });
  *done = device(self).begin([self, plan, &control, all = std::vector<int64_t>(scalars.begin(), scalars.end())] {
    Fence none = 0;
    return inner().submit(device(self).inner, inner_plan(plan), all, control, {}, &none);
  });
  return TERN_OK;
}

tern_status wait(void* self, Fence fence, uint64_t timeout_ns) {
  count([](DeferredCounters& c) { ++c.waits; });
  return device(self).wait(fence, timeout_ns);
}

}  // namespace

const BackendApi& deferred_backend() {
  static const BackendApi api = [] {
    BackendApi a = inner();
    a.name = "deferred";
    a.probe = probe, a.open = open, a.close = close;
    a.limits = [](void* self) { return inner().limits(device(self).inner); };
    a.supports = [](void* self, const Graph& g, const Node& n) { return inner().supports(device(self).inner, g, n); };
    a.alloc = [](void* self, uint64_t bytes, MemoryKind kind, Buffer* out) {
      return inner().alloc(device(self).inner, bytes, kind, out);
    };
    a.free = release, a.copy = copy;
    a.compile = compile, a.plan_release = plan_release;
    a.plan_stats = [](void* self, const BackendPlan* p) {
      return inner().plan_stats(device(self).inner, inner_plan(p));
    };
    a.plan_times = [](void* self, const BackendPlan* p) {
      return inner().plan_times(device(self).inner, inner_plan(p));
    };
    a.rebind = rebind, a.submit = submit, a.wait = wait;
    return a;
  }();
  return api;
}

DeferredCounters take_deferred_counters() {
  const std::lock_guard lock(counters_mutex);
  return std::exchange(counters, DeferredCounters{});
}

}  // namespace tern::test
