// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tern::cli {

void complain(const char* format, ...) {
  std::fputs("tern: ", stderr);
  va_list args;
  va_start(args, format);
  std::vfprintf(stderr, format, args);
  va_end(args);
  std::fputc('\n', stderr);
}

namespace {

// Letters to insert, drop, change or swap with their neighbour.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

const char* most_like(const std::string& typed, const std::vector<const char*>& words) {
  if (typed.empty() || typed.size() > 40) return nullptr;
  const char* best = nullptr;
  size_t least = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const char* word : words) {
    const bool begins = typed.size() >= 3 && std::strncmp(word, typed.c_str(), typed.size()) == 0;
    const size_t d = begins ? 1 : distance(typed, word);
    if (d < least) least = d, best = word;
  }
  return best;
}

bool Arguments::parse(const Command& command, int argc, char** argv) {
  bool only_words = false;
  for (int i = 0; i < argc; ++i) {
    const std::string word = argv[i];
    if (only_words || word.size() < 2 || word[0] != '-') {
      words_.push_back(word);
      continue;
    }
    if (word == "--") {
      only_words = true;
      continue;
    }
    const size_t equals = word.rfind("--", 0) == 0 ? word.find('=') : std::string::npos;
    const std::string name = word.substr(0, equals);
    const auto found =
        std::find_if(command.options.begin(), command.options.end(), [&](const Option& o) { return name == o.name; });
    if (found == command.options.end()) {
      std::vector<const char*> names;
      for (const Option& o : command.options) names.push_back(o.name);
      const char* near = most_like(name, names);
      complain("%s: unknown option '%s'%s%s%s (see: tern %s --help)", command.name, name.c_str(),
               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", command.name);
      return false;
    }
    std::string value;
    if (found->value) {
      if (equals != std::string::npos) {
        value = word.substr(equals + 1);
      } else if (i + 1 < argc) {
        value = argv[++i];
      } else {
        complain("%s: %s needs %s", command.name, found->name, found->value);
        return false;
      }
    } else if (equals != std::string::npos) {
      complain("%s: %s takes no value", command.name, found->name);
      return false;
    }
    options_.emplace_back(name, value);
  }
  const int count = (int)words_.size();
  if (count < command.min_words || (command.max_words >= 0 && count > command.max_words)) {
    if (count > command.min_words)
      complain("%s: '%s' is one word too many", command.name, words_[(size_t)command.max_words].c_str());
    else if (count == 0) {
      const char* first = command.words[0] == '[' ? std::strchr(command.words, ' ') + 1 : command.words;
      complain("%s: %.*s is missing", command.name, (int)std::strcspn(first, " "), first);
    } else complain("%s: '%s' alone is not enough", command.name, words_.back().c_str());
    std::fprintf(stderr, "usage: tern %s %s\n", command.name, command.words);
    return false;
  }
  return true;
}

bool Arguments::has(const char* option) const {
  return std::any_of(options_.begin(), options_.end(), [&](const auto& o) { return o.first == option; });
}

const char* Arguments::value(const char* option) const {
  const char* last = nullptr;
  for (const auto& o : options_)
    if (o.first == option) last = o.second.c_str();
  return last;
}

std::vector<std::string> Arguments::values(const char* option) const {
  std::vector<std::string> list;
  for (const auto& o : options_)
    if (o.first == option) list.push_back(o.second);
  return list;
}

bool Arguments::number(const char* option, int64_t low, int64_t high, int64_t* out) const {
  const char* text = value(option);
  if (!text) return true;
  char* end = nullptr;
  errno = 0;
  const long long v = std::strtoll(text, &end, 10);
  if (errno || end == text || *end || v < low || v > high) {
    complain("%s: '%s' is no number from %lld to %lld", option, text, (long long)low, (long long)high);
    return false;
  }
  *out = v;
  return true;
}

bool Arguments::real(const char* option, double low, double high, double* out) const {
  const char* text = value(option);
  if (!text) return true;
  char* end = nullptr;
  const double v = std::strtod(text, &end);
  if (end == text || *end || !(v >= low) || !(v <= high)) {
    complain("%s: '%s' is no number from %g to %g", option, text, low, high);
    return false;
  }
  *out = v;
  return true;
}

}  // namespace tern::cli
