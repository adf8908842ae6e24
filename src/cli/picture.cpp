// SPDX-License-Identifier: Apache-2.0
#include "cli/picture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "samples/image.h"

namespace tern::cli {

void FreePixels::operator()(unsigned char* p) const { std::free(p); }

tern_picture Photo::view() const {
  tern_picture p = TERN_PICTURE_INIT;
  p.format = TERN_PICTURE_RGB8;
  p.width = width;
  p.height = height;
  p.planes[0] = rgb.get();
  p.strides[0] = (int64_t)width * 3;
  return p;
}

bool read_photo(const std::string& path, Photo* photo) {
  photo->rgb.reset(path == "-" ? image_read_stream(stdin, "-", &photo->width, &photo->height)
                               : image_read(path.c_str(), &photo->width, &photo->height));
  if (!photo->rgb) {
    progress("%s", "");
    complain("%s", printable(image_error(), 400).c_str());
  }
  return photo->rgb != nullptr;
}

namespace {
constexpr const char* kReadable[] = {".jpg", ".jpeg", ".png", ".bmp"};

bool is_jpeg(const std::string& path) { return has_suffix(path, ".jpg") || has_suffix(path, ".jpeg"); }
}  // namespace

namespace {

// At most n bytes of the standard input, which stay in it; at least one unless it has ended or cannot be looked into.
ssize_t peek_input(char* head, size_t n) {
  struct stat input;
  if (::fstat(0, &input) != 0) return 0;
  if (S_ISREG(input.st_mode)) return ::pread(0, head, n, ::lseek(0, 0, SEEK_CUR));
  if (S_ISSOCK(input.st_mode)) return ::recv(0, head, n, MSG_PEEK);
  ssize_t got = 0;
#ifdef __linux__
  int copy[2];
  if (S_ISFIFO(input.st_mode) && ::pipe2(copy, O_CLOEXEC) == 0) {
    got = ::tee(0, copy[1], n, 0);
    if (got > 0) got = ::read(copy[0], head, (size_t)got);
    ::close(copy[0]), ::close(copy[1]);
  }
#endif
  return got;
}

}  // namespace

bool is_picture_on_input() {
  constexpr const char* kBegins[] = {"\xFF\xD8\xFF", "\x89PNG", "BM"};
  char head[4];
  // Who writes byte by byte is waited for, for a second.
  for (int tries = 0; tries < 200; ++tries) {
    const ssize_t got = peek_input(head, sizeof head);
    bool may_be = false;
    for (const char* begin : kBegins) {
      const size_t n = std::min((size_t)std::max<ssize_t>(got, 0), std::strlen(begin));
      if (n == 0 || std::memcmp(head, begin, n) != 0) continue;
      if (n == std::strlen(begin)) return true;
      may_be = true;
    }
    if (!may_be) return false;
    const timespec pause = {0, 5'000'000};
    nanosleep(&pause, nullptr);
  }
  return false;
}

bool names_picture(const std::string& path) { return has_suffix(path, ".png") || is_jpeg(path); }

bool write_photo(const std::string& path, const Photo& photo) {
  const bool good = is_jpeg(path) ? image_write_jpeg(path.c_str(), photo.rgb.get(), photo.width, photo.height, 92)
                                  : image_write_png(path.c_str(), photo.rgb.get(), photo.width, photo.height);
  if (!good) complain("%s", printable(image_error(), 400).c_str());
  return good;
}

bool write_grey_png(const std::string& path, const uint8_t* pixels, int width, int height) {
  const bool good = image_write_png_grey(path.c_str(), pixels, width, height);
  if (!good) complain("%s", printable(image_error(), 400).c_str());
  return good;
}

bool find_photos(const std::vector<std::string>& words, size_t first, std::vector<std::string>* paths) {
  for (size_t i = first; i < words.size(); ++i) {
    if (!is_folder(words[i])) {
      paths->push_back(words[i]);
      continue;
    }
    const auto inside = list_folder(words[i], {std::begin(kReadable), std::end(kReadable)});
    if (inside.empty()) {
      complain("%s: no .jpg, .png or .bmp pictures in this folder", words[i].c_str());
      return false;
    }
    paths->insert(paths->end(), inside.begin(), inside.end());
  }
  return true;
}

bool Album::open(const char* option, const char* out, const std::vector<std::string>& paths, bool only_png) {
  if (!out) return true;
  const std::string target = out;
  const bool picture = only_png ? has_suffix(target, ".png") : names_picture(target);
  if (paths.size() == 1 && picture && !is_folder(target)) {
    if (is_same_file(paths[0], target))
      return complain("%s %s is the picture itself, which would be overwritten", option, out), false;
    targets_.push_back(target);
    return true;
  }
  if (target.empty()) return complain("%s: a name ends in %s", option, only_png ? ".png" : ".png or .jpg"), false;
  if (picture && !is_folder(target)) {
    complain("%s %s: a folder is needed for %zu pictures", option, out, paths.size());
    return false;
  }
  if (paths.size() == 1 && target.back() != '/' && !is_folder(target)) {
    complain("%s %s: a picture ends in %s; a folder that is to be made ends in /", option, out,
             only_png ? ".png" : ".png or .jpg");
    return false;
  }
  if (!make_folder(target)) return false;
  for (const std::string& path : paths) {
    const std::string base = target + (target.back() == '/' ? "" : "/") + (path == "-" ? "picture" : stem(path));
    const char* ending = is_jpeg(path) && !only_png ? ".jpg" : ".png";
    std::string name = base + ending;
    for (int n = 2; std::find(targets_.begin(), targets_.end(), name) != targets_.end(); ++n)
      name = base + "-" + std::to_string(n) + ending;
    if (is_same_file(path, name)) {
      complain("%s %s: the picture %s would be overwritten by its own result", option, out, path.c_str());
      return false;
    }
    targets_.push_back(name);
  }
  return true;
}

}  // namespace tern::cli
