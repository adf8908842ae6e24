// SPDX-License-Identifier: Apache-2.0
#include "cli/settings.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace tern::cli {

int read_settings(const Arguments& a, std::string* out) {
  for (const std::string& s : a.values("--set")) {
    const size_t equal = s.find('=');
    if (equal == std::string::npos || equal == 0) return complain("--set %s: KEY=VALUE is needed", s.c_str()), kUsage;
    *out += one_line(s) + "\n";
  }
  return kDone;
}

std::string one_line(const std::string& text) {
  std::string s;
  for (const char c : text) {
    if (c == '\r') continue;
    if (c == '\n') s += "\\n";
    else s += c;
  }
  while (s.size() >= 2 && s.compare(s.size() - 2, 2, "\\n") == 0) s.resize(s.size() - 2);
  return s;
}

std::string unchecked_name(const std::string& output) {
  struct stat there;
  if (::stat(output.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) return output;
  return output + ".new" + std::to_string(::getpid());
}

int put_in_place(const std::string& unchecked, const std::string& output) {
  if (unchecked == output || std::rename(unchecked.c_str(), output.c_str()) == 0) return kDone;
  complain("%s: %s", output.c_str(), std::strerror(errno));
  ::unlink(unchecked.c_str());
  return kNoResource;
}

int try_task(tern_model* model, const std::string& path) {
  const char* task = tern_model_find_metadata(model, "task");
  // A part of a task does nothing alone.
  if (!task || std::strncmp(task, "text_", 5) == 0) return kDone;
  tern_vision* made = nullptr;
  const tern_status s = tern_vision_create(&model, 1, nullptr, &made);
  const Handle<tern_vision> vision(made);
  if (s == TERN_OK) return kDone;
  return report(s, path + ": its task cannot be used: change it with tern edit");
}

#ifdef TERN_WITH_IMPORT
void print_task_keys(bool json) {
  Json j;
  j.begin_list();
  for (int32_t i = 0; i < tern_import_num_task_keys(); ++i) {
    tern_task_key k = TERN_TASK_KEY_INIT;
    if (tern_import_get_task_key(i, &k) != TERN_OK) continue;
    if (json) {
      j.begin_object().add("key", k.name).add("kind", k.kind).add("default", k.fallback).add("about", k.about);
      if (*k.words) j.add("words", k.words);
      j.end();
      continue;
    }
    std::printf("  %-22s %s", k.name, k.about);
    if (*k.words) std::printf(": %s", k.words);
    else std::printf(" (%s)", k.kind);
    if (*k.fallback) std::printf("; default %s", k.fallback);
    std::printf("\n");
  }
  if (json) j.print();
}
#endif

}  // namespace tern::cli
