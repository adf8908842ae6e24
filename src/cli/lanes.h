// SPDX-License-Identifier: Apache-2.0
// Videos are read, run and written at once: frames are read ahead in one thread, drawn and written in another.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "cli/video.h"

namespace tern::cli {

constexpr size_t kMostWaiting = 3;  // frames

// Does jobs in order in a thread of its own.
class Lane {
 public:
  Lane() : thread_([this] { work(); }) {}
  ~Lane() { (void)finish(); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  // Waits while many wait. False: an earlier job failed, and this one will not be done.
  bool add(std::function<bool()> job);
  // Waits for all. False: one failed.
  bool finish();

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<bool()>> jobs_;
  bool ended_ = false, failed_ = false;
  std::thread thread_;  // last: it uses the others
};

// The frames of a video, read ahead.
class ReadAhead {
 public:
  explicit ReadAhead(VideoReader& video) : video_(video), thread_([this] { work(); }) {}
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  // As VideoReader::next.
  int next(Photo* photo);

 private:
  void work();
  VideoReader& video_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<int, Photo>> frames_;
  bool stopped_ = false;
  std::thread thread_;  // last: it uses the others
};

// Calls once(photo, output) for the frames of a video, until its end or Ctrl-C (once: kInterrupted); jobs that it gives
// to `output` are done meanwhile, then the writer's file is closed. Another code of once ends all at once.
// What was done so far is kept, also after Ctrl-C or where the video is damaged. Returns the exit code.
int for_each_frame(VideoReader& video, VideoWriter& writer, FrameClock* clock,
                   const std::function<int(Photo& photo, Lane& output)>& once);

}  // namespace tern::cli
