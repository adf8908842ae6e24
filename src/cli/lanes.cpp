// SPDX-License-Identifier: Apache-2.0
#include "cli/lanes.h"

namespace tern::cli {

bool Lane::add(std::function<bool()> job) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failed_ || jobs_.size() < kMostWaiting; });
  if (failed_) return false;
  jobs_.push_back(std::move(job));
  changed_.notify_all();
  return true;
}

bool Lane::finish() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  return !failed_;
}

void Lane::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ended_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const std::function<bool()> job = std::move(jobs_.front());
    lock.unlock();
    const bool good = job();
    lock.lock();
    jobs_.pop_front();
    if (!good) failed_ = true, jobs_.clear();
    changed_.notify_all();
  }
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  video_.stop();
  thread_.join();
}

int ReadAhead::next(Photo* photo) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !frames_.empty(); });
  const int code = frames_.front().first;
  if (code != kDone) return code;  // the last one stays
  *photo = std::move(frames_.front().second);
  frames_.pop_front();
  changed_.notify_all();
  return code;
}

int for_each_frame(VideoReader& video, VideoWriter& writer, FrameClock* clock,
                   const std::function<int(Photo&, Lane&)>& once) {
  Photo photo;
  interrupt();
  Lane output;
  ReadAhead frames(video);
  int code = kDone;
  while ((code = frames.next(&photo)) == kDone) {
    if (interrupted() || (code = once(photo, output)) == kInterrupted) {
      code = kInterrupted;
      complain("interrupted after %lld frames", (long long)clock->count());
      break;
    }
    if (code != kDone) return code;
    clock->tick();
  }
  if (!output.finish()) return kNoResource;
  progress("%s", "");
  if (video.at_end() && code == kFailed) code = kDone;
  return !writer.wanted() || clock->count() == 0 || writer.close() ? code : kNoResource;
}

void ReadAhead::work() {
  for (int code = kDone; code == kDone;) {
    Photo photo;
    code = video_.next(&photo);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || frames_.size() < kMostWaiting; });
    if (stopped_) return;
    frames_.emplace_back(code, std::move(photo));
    changed_.notify_all();
  }
}

}  // namespace tern::cli
