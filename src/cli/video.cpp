// SPDX-License-Identifier: Apache-2.0
#include "cli/video.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

extern char** environ;

namespace tern::cli {
namespace {

constexpr int kMostSide = 65536;

// All that a program prints.
bool output_of(const std::vector<std::string>& command, std::string* out) {
  Pipe pipe;
  if (!pipe.open(command, false)) return false;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe.file())) > 0;) out->append(buffer, n);
  return pipe.close();
}

// A number of the header of a PPM picture, and the one character behind it.
bool read_number(FILE* f, int most, int* out) {
  int c = std::fgetc(f), value = 0, digits = 0;
  while (c == ' ' || c == '\n') c = std::fgetc(f);
  for (; c >= '0' && c <= '9' && value <= most; c = std::fgetc(f), ++digits) value = 10 * value + c - '0';
  *out = value;
  return digits > 0 && value > 0 && value <= most && (c == ' ' || c == '\n');
}

}  // namespace

Pipe::~Pipe() {
  if (process_ < 0) return;
  stop();
  if (file_) std::fclose(file_);
  waitpid(process_, nullptr, 0);
}

bool Pipe::open(const std::vector<std::string>& command, bool write, bool own_input) {
  signal(SIGPIPE, SIG_IGN);  // a program that ended early is told by the failing write
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return complain("no pipe: %s", std::strerror(errno)), false;
  const int theirs = ends[write ? 0 : 1], ours = ends[write ? 1 : 0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs, write ? 0 : 1);
  if (!write && !own_input) posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  // A group of its own: Ctrl-C is for this program, which then ends the video as it should.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  pid_t started = -1;
  const int error = posix_spawnp(&started, words[0], &actions, &attributes, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  ::close(theirs);
  if (error != 0) {
    ::close(ours);
    complain("%s: %s. Videos need the program ffmpeg (Debian: apt install ffmpeg)", words[0], std::strerror(error));
    return false;
  }
  process_ = started;
  write_ = write;
  file_ = fdopen(ours, write ? "wb" : "rb");
  return true;
}

void Pipe::stop() {
  // One that is only read from has nothing to put in order, and would complain of its reader.
  if (process_ >= 0) kill(process_, write_ ? SIGTERM : SIGKILL);
}

void VideoReader::stop() {
  stopped_ = true;
  pipe_.stop();
}

bool Pipe::close() {
  if (process_ < 0) return true;
  bool good = std::fclose(file_) == 0;
  file_ = nullptr;
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_video(const std::string& path) {
  return path == "-" ? !is_picture_on_input() : path.rfind("camera:", 0) == 0 || names_video(path);
}

bool names_video(const std::string& path) {
  for (const char* suffix : {".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v", ".ts", ".wmv", ".flv",
                             ".ogv", ".3gp", ".mjpeg", ".gif", ".y4m"})
    if (has_suffix(path, suffix)) return true;
  return false;
}

double FrameClock::rate() const { return (double)count_ / std::max(now_seconds() - begin_, 1e-9); }

void FrameClock::tick() {
  ++count_;
  const double now = now_seconds();
  if (now - told_ < 0.2) return;
  told_ = now;
  if (frames_ > 0)
    progress("frame %lld of %lld, %.1f frames/s, %.0f s left", (long long)count_, (long long)frames_, rate(),
             std::max(0.0, (double)(frames_ - count_) / rate()));
  else progress("frame %lld, %.1f frames/s", (long long)count_, rate());
}

bool VideoReader::open(const std::string& path) {
  path_ = path;
  if (path == "-" || path.rfind("camera:", 0) == 0) {
    std::vector<std::string> command = {"ffmpeg", "-v", "error"};
    if (path == "-") {
      command.insert(command.end(), {"-i", "pipe:0"});
    } else {
      const std::string device = "/dev/video" + path.substr(7);
      if (::access(device.c_str(), R_OK) != 0)
        return complain("%s: there is no camera %s", path.c_str(), device.c_str()), false;
      command.insert(command.end(), {"-f", "v4l2", "-i", device});
    }
    command.insert(command.end(), {"-map", "0:v:0", "-f", "image2pipe", "-c:v", "ppm", "-"});
    return pipe_.open(command, false, path == "-");
  }
  std::string text;
  // "-" would be a seekless pipe that is read twice.
  if (!output_of({"ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                  "stream=avg_frame_rate,nb_frames", "-of", "default=noprint_wrappers=1", "file:" + path},
                 &text) ||
      text.find("avg_frame_rate=") == std::string::npos)
    return complain("%s: no video that ffmpeg reads", path.c_str()), false;
  const char* rate = std::strstr(text.c_str(), "avg_frame_rate=") + std::strlen("avg_frame_rate=");
  char* rest = nullptr;
  const double over = std::strtod(rate, &rest), under = *rest == '/' ? std::strtod(rest + 1, nullptr) : 1;
  if (over > 0 && under > 0) frame_rate_ = over / under;
  if (const char* count = std::strstr(text.c_str(), "nb_frames="))
    if (const int64_t n = std::strtoll(count + std::strlen("nb_frames="), nullptr, 10); n > 0) frames_ = n;
  return pipe_.open(
      {"ffmpeg", "-v", "error", "-i", "file:" + path, "-map", "0:v:0", "-f", "image2pipe", "-c:v", "ppm", "-"}, false);
}

int VideoReader::next(Photo* photo) {
  FILE* f = pipe_.file();
  const int c = std::fgetc(f);
  if (c == EOF) {
    at_end_ = true;
    // Who stopped it does not wait for its end here.
    if (stopped_ || pipe_.close()) return kFailed;
    complain("%s: ffmpeg gave up after frame %lld", path_.c_str(), (long long)count_);
    return kBadFile;
  }
  int width = 0, height = 0, most = 0;
  if (stopped_) return kFailed;
  if (c != 'P' || std::fgetc(f) != '6' || !read_number(f, kMostSide, &width) || !read_number(f, kMostSide, &height) ||
      !read_number(f, 255, &most)) {
    complain("%s: frame %lld is not what ffmpeg should give", path_.c_str(), (long long)count_ + 1);
    return kBadFile;
  }
  const size_t bytes = (size_t)width * (size_t)height * 3;
  photo->rgb.reset((unsigned char*)std::malloc(bytes));
  if (!photo->rgb) return complain("no memory for a frame of %d x %d", width, height), kNoResource;
  photo->width = width;
  photo->height = height;
  if (std::fread(photo->rgb.get(), 1, bytes, f) != bytes) {
    if (stopped_) return kFailed;
    complain("%s: the video ends in the middle of frame %lld", path_.c_str(), (long long)count_ + 1);
    return kBadFile;
  }
  ++count_;
  return kDone;
}

bool VideoWriter::add(const Photo& photo) {
  if (!pipe_.file()) {
    char size[32], rate[32];
    std::snprintf(size, sizeof size, "%dx%d", photo.width, photo.height);
    std::snprintf(rate, sizeof rate, "%.6f", frame_rate_);
    width_ = photo.width, height_ = photo.height;
    // Most players want even sides and this kind of pixels.
    if (!pipe_.open({"ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", rate, "-i",
                     "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "file:" + path_},
                    true))
      return false;
  }
  if (photo.width != width_ || photo.height != height_) {
    complain("%s: the video changes its size from %d x %d to %d x %d", path_.c_str(), width_, height_, photo.width,
             photo.height);
    return false;
  }
  const size_t bytes = (size_t)width_ * (size_t)height_ * 3;
  if (std::fwrite(photo.rgb.get(), 1, bytes, pipe_.file()) == bytes) return true;
  complain("%s: ffmpeg does not write it", path_.c_str());
  return false;
}

bool VideoWriter::close() {
  if (pipe_.close()) return true;
  complain("%s: ffmpeg did not write it", path_.c_str());
  return false;
}

}  // namespace tern::cli
