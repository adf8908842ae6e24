// SPDX-License-Identifier: Apache-2.0
// Pictures from files, shown to a task, marked and written back.
#pragma once
#include "cli/tool.h"
#include "image/draw.h"

namespace tern::cli {

struct FreePixels {
  void operator()(unsigned char* p) const;
};

struct Photo {
  std::unique_ptr<unsigned char, FreePixels> rgb;
  int width = 0, height = 0;

  tern_picture view() const;
  image::Canvas canvas() const { return {rgb.get(), width, height, (size_t)width * 3}; }
};

// Turned upright as its EXIF data say, on white where it is transparent; "-" is the standard input. Prints why not.
bool read_photo(const std::string& path, Photo* photo);
// The standard input begins as a picture does, not as a video; nothing of it is taken away.
bool is_picture_on_input();
// Ends in .png, .jpg or .jpeg.
bool names_picture(const std::string& path);
// Such a name; an existing file is replaced when the new one is complete. Prints why not.
bool write_photo(const std::string& path, const Photo& photo);
// pixels: [height][width]
bool write_grey_png(const std::string& path, const uint8_t* pixels, int width, int height);

// The pictures that words of a command line name: files, and the pictures of folders. Prints what is wrong.
bool find_photos(const std::vector<std::string>& words, size_t first, std::vector<std::string>* paths);

// Where annotated pictures or masks go: an option names a picture for one, a folder for several. Prints what is wrong.
class Album {
 public:
  // only_png: other formats would change the values.
  bool open(const char* option, const char* out, const std::vector<std::string>& paths, bool only_png = false);
  bool wanted() const { return !targets_.empty(); }
  const std::string& target(size_t i) const { return targets_[i]; }

 private:
  std::vector<std::string> targets_;
};

// A backend name, thread count and context: what detect and pose have in common.
// Calls once(i, photo) for every picture, with progress, until Ctrl-C. once prints its own errors and returns an exit
// code.
template <class F>
int for_each_photo(const std::vector<std::string>& paths, F&& once) {
  int worst = kDone;
  interrupt();
  for (size_t i = 0; i < paths.size(); ++i) {
    if (interrupted()) return complain("interrupted"), kInterrupted;
    if (paths.size() > 1) progress("[%zu/%zu] %s", i + 1, paths.size(), paths[i].c_str());
    Photo photo;
    const int code = read_photo(paths[i], &photo) ? once(i, photo) : bad_file_code(paths[i]);
    if (paths.size() > 1) progress("%s", "");
    if (code != kDone) worst = code;
  }
  return worst;
}

}  // namespace tern::cli
