// SPDX-License-Identifier: Apache-2.0
// Videos, read and written by the program ffmpeg, which must be installed.
#pragma once
#include <sys/types.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/picture.h"

namespace tern::cli {

// A program that is read from or written to.
class Pipe {
 public:
  Pipe() = default;
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  // write: to its standard input; else from its standard output. Prints why not.
  // own_input: the program reads what this one would on its standard input.
  bool open(const std::vector<std::string>& command, bool write, bool own_input = false);
  FILE* file() const { return file_; }
  // Waits for its end. False if it failed; it has said why.
  bool close();
  // Ends the program: what reads from it in another thread comes to an end.
  void stop();

 private:
  FILE* file_ = nullptr;
  bool write_ = false;
  std::atomic<pid_t> process_{-1};
};

// Told by its name, or "camera:N", or "-" where no picture comes.
bool is_video(const std::string& path);
bool names_video(const std::string& path);

// How many frames are done, how fast, and how long the rest takes; tells it now and then.
class FrameClock {
 public:
  explicit FrameClock(int64_t frames) : frames_(frames), begin_(now_seconds()) {}
  void tick();
  int64_t count() const { return count_; }
  double rate() const;

 private:
  int64_t frames_, count_ = 0;
  double begin_, told_ = 0;
};

class VideoReader {
 public:
  // Prints why not.
  bool open(const std::string& path);
  double frame_rate() const { return frame_rate_; }
  int64_t frames() const { return frames_; }  // -1: not known
  // The next frame, upright. kDone; kFailed at the end; or a code after it was printed what is wrong.
  int next(Photo* photo);
  bool at_end() const { return at_end_; }
  // No more frames are wanted. In any thread.
  void stop();

 private:
  std::string path_;
  Pipe pipe_;
  double frame_rate_ = 30;
  int64_t frames_ = -1, count_ = 0;
  std::atomic<bool> at_end_{false};
  std::atomic<bool> stopped_{false};
};

class VideoWriter {
 public:
  bool wanted() const { return !path_.empty(); }
  void want(const char* path, double frame_rate) { path_ = path ? path : "", frame_rate_ = frame_rate; }
  // All frames have the size of the first. Prints why not.
  bool add(const Photo& photo);
  bool close();

 private:
  std::string path_;
  double frame_rate_ = 30;
  int width_ = 0, height_ = 0;
  Pipe pipe_;
};

}  // namespace tern::cli
