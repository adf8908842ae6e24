// SPDX-License-Identifier: Apache-2.0
#include "cli/picture.h"

#include <sys/stat.h>

#include <algorithm>

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
  photo->rgb.reset(image_read(path.c_str(), &photo->width, &photo->height));
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

bool names_picture(const std::string& path) { return has_suffix(path, ".png") || is_jpeg(path); }

bool write_photo(const std::string& path, const Photo& photo) {
  const bool good = is_jpeg(path) ? image_write_jpeg(path.c_str(), photo.rgb.get(), photo.width, photo.height, 92)
                                  : image_write_png(path.c_str(), photo.rgb.get(), photo.width, photo.height);
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

bool Album::open(const char* out, const std::vector<std::string>& paths) {
  if (!out) return true;
  const std::string target = out;
  const bool picture = names_picture(target);
  if (paths.size() == 1 && picture && !is_folder(target)) {
    if (is_same_file(paths[0], target))
      return complain("--out %s is the picture itself, which would be overwritten", out), false;
    targets_.push_back(target);
    return true;
  }
  if (picture && !is_folder(target)) {
    complain("--out %s: a folder is needed for %zu pictures", out, paths.size());
    return false;
  }
  if (paths.size() == 1 && target.back() != '/' && !is_folder(target)) {
    complain("--out %s: a picture ends in .png or .jpg; a folder that is to be made ends in /", out);
    return false;
  }
  if (!make_folder(target)) return false;
  for (const std::string& path : paths) {
    const std::string base = target + (target.back() == '/' ? "" : "/") + stem(path);
    std::string name = base + (is_jpeg(path) ? ".jpg" : ".png");
    for (int n = 2; std::find(targets_.begin(), targets_.end(), name) != targets_.end(); ++n)
      name = base + "-" + std::to_string(n) + (is_jpeg(path) ? ".jpg" : ".png");
    if (is_same_file(path, name)) {
      complain("--out %s: the picture %s would be overwritten by its own result", out, path.c_str());
      return false;
    }
    targets_.push_back(name);
  }
  return true;
}

}  // namespace tern::cli
