// SPDX-License-Identifier: Apache-2.0
// Reads the JSON files of the golden cases.
#pragma once
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace tern::test {

struct Json {
  enum class Kind { null, number, text, list, object } kind = Kind::null;
  double number = 0;
  std::string text;
  std::vector<Json> list;
  std::map<std::string, Json> object;

  const Json& operator[](const char* key) const {
    static const Json none;
    const auto it = object.find(key);
    return it == object.end() ? none : it->second;
  }
};

// Reads what our own scripts write; no escapes but \" and \\.
struct JsonReader {
  const char* p;
  const char* end;
  bool good = true;

  void space() {
    while (p < end && std::strchr(" \t\r\n", *p)) ++p;
  }
  bool take(char c) {
    space();
    if (p < end && *p == c) return ++p, true;
    return false;
  }
  std::string text() {
    std::string s;
    while (p < end && *p != '"') {
      if (*p == '\\') ++p;
      if (p < end) s += *p++;
    }
    if (p < end) ++p;
    else good = false;
    return s;
  }
  Json value() {
    Json j;
    if (take('{')) {
      j.kind = Json::Kind::object;
      if (take('}')) return j;
      do {
        good = good && take('"');
        const std::string key = text();
        good = good && take(':');
        if (good) j.object[key] = value();
      } while (good && take(','));
      good = good && take('}');
    } else if (take('[')) {
      j.kind = Json::Kind::list;
      if (take(']')) return j;
      do j.list.push_back(value());
      while (good && take(','));
      good = good && take(']');
    } else if (take('"')) {
      j.kind = Json::Kind::text;
      j.text = text();
    } else {
      space();
      char* after = nullptr;
      const std::string rest(p, (size_t)std::min<ptrdiff_t>(end - p, 40));
      j.number = std::strtod(rest.c_str(), &after);
      j.kind = Json::Kind::number;
      if (after == rest.c_str()) good = false;
      p += after - rest.c_str();
    }
    return j;
  }
};

// False if the file is not there or not understood.
inline bool read_json(const std::string& path, Json* out) {
  FILE* f = std::fopen(path.c_str(), "rb");
  if (!f) return false;
  std::string bytes;
  char block[1 << 14];
  for (size_t got; (got = std::fread(block, 1, sizeof block, f)) > 0;) bytes.append(block, got);
  const bool whole = !std::ferror(f);
  std::fclose(f);
  JsonReader reader{bytes.data(), bytes.data() + bytes.size()};
  *out = reader.value();
  return whole && reader.good;
}

}  // namespace tern::test
