// SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace tern::cli {

int exit_code(tern_status status) {
  switch (status) {
    case TERN_OK: return kDone;
    case TERN_ERR_NOT_FOUND: return kNotFound;
    case TERN_ERR_CORRUPT:
    case TERN_ERR_CHECKSUM:
    case TERN_ERR_UNSUPPORTED:
    case TERN_ERR_UNSUPPORTED_OP:
    case TERN_ERR_UNSUPPORTED_VERSION: return kBadFile;
    case TERN_ERR_MEMORY:
    case TERN_ERR_LIMIT:
    case TERN_ERR_IO: return kNoResource;
    case TERN_ERR_CANCELLED: return kInterrupted;
    default: return kFailed;
  }
}

int bad_file_code(const std::string& path) {
  return path == "-" || ::access(path.c_str(), F_OK) == 0 ? kBadFile : kNotFound;
}

int report(tern_status status, const std::string& what) {
  progress("%s", "");
  if (status == TERN_ERR_CANCELLED) {
    complain("%s: interrupted", what.c_str());
    return kInterrupted;
  }
  tern_error e = TERN_ERROR_INIT;
  tern_last_error(&e);
  std::string where;
  if (e.node[0]) where += " node '" + printable(e.node) + "'";
  if (e.op[0]) where += " operator '" + printable(e.op) + "'";
  if (e.file_offset != UINT64_MAX) where += " byte " + std::to_string(e.file_offset);
  // Messages about a file begin with its name already.
  const bool named = std::strncmp(e.message, what.c_str(), what.size()) == 0;
  complain("%s%s%s [%s%s%s]", named ? "" : what.c_str(), named ? "" : ": ",
           printable(e.message, sizeof e.message).c_str(), tern_status_name(status), where.empty() ? "" : ",",
           where.c_str());
  return exit_code(status);
}

namespace {
void keep_warning(void* user, int32_t level, const char* message) {
  if (level == 1) ((std::vector<std::string>*)user)->push_back(message);
}

void tell_warning(void*, int32_t level, const char* message) {
  if (level != 1) return;
  progress("%s", "");
  complain("warning: %s", printable(message, 500).c_str());
}
}  // namespace

int make_context(const Arguments& arguments, Handle<tern_context>* context, std::vector<std::string>* warnings,
                 bool tell) {
  int64_t threads = 0;
  if (!arguments.number("--threads", 1, 256, &threads)) return kUsage;
  tern_context_options options = TERN_CONTEXT_OPTIONS_INIT;
  options.num_threads = (int32_t)threads;
  options.log_level = 1;
  options.log = warnings ? keep_warning : tell ? tell_warning : nullptr, options.log_user = warnings;
  tern_context* made = nullptr;
  if (const tern_status s = tern_context_create(&options, &made)) return report(s, "cannot begin");
  context->reset(made);
  return kDone;
}

int load_model(tern_context* context, const std::string& path, uint32_t flags, Handle<tern_model>* model) {
  tern_load_options options = TERN_LOAD_OPTIONS_INIT;
  options.flags = flags;
  tern_model* made = nullptr;
  if (const tern_status s = tern_model_load_file(context, path.c_str(), &options, &made)) {
    const int code = report(s, path);
    if (s == TERN_ERR_CORRUPT && (has_suffix(path, ".onnx") || has_suffix(path, ".tflite")))
      complain("make it a .tern file first: tern import %s -o %s.tern", path.c_str(), stem(path).c_str());
    return code;
  }
  model->reset(made);
  return kDone;
}

int load_models(tern_context* context, const Arguments& a, std::vector<Handle<tern_model>>* models) {
  for (const std::string& word : a.words()) {
    if (!has_suffix(word, ".tern") && !is_model_file(word)) break;
    models->emplace_back();
    if (const int code = load_model(context, word, 0, &models->back())) return code;
  }
  if (!models->empty()) return kDone;
  complain("%s is no model file (.tern): tern import makes one", a.words()[0].c_str());
  return bad_file_code(a.words()[0]);
}

int find_signature(const tern_model* model, const Arguments& arguments, int32_t* signature) {
  *signature = 0;
  if (tern_model_num_signatures(model) == 0) {
    complain("the model has no signature to run");
    return kFailed;
  }
  const char* name = arguments.value("--signature");
  if (!name) return kDone;
  const tern_status s = tern_model_find_signature(model, name, signature);
  return s ? report(s, "--signature") : kDone;
}

int make_session(const tern_model* model, const char* backend, uint32_t flags, Handle<tern_session>* session) {
  tern_session_options options = TERN_SESSION_OPTIONS_INIT;
  options.flags = flags;
  options.backends = backend;
  tern_session* made = nullptr;
  if (const tern_status s = tern_session_create(model, &options, &made)) return report(s, "cannot make a session");
  session->reset(made);
  return kDone;
}

// ---- Ctrl-C ----

namespace {
tern_cancel* cancel = nullptr;
volatile std::sig_atomic_t signalled = 0;

void on_interrupt(int) {
  signalled = 1;
  tern_cancel_signal(cancel);  // one atomic store
}
}  // namespace

tern_cancel* interrupt() {
  if (cancel || tern_cancel_create(&cancel) != TERN_OK) return cancel;
  reset_interrupt(true);
  return cancel;
}

void reset_interrupt(bool on) {
  struct sigaction action = {};
  action.sa_handler = on ? on_interrupt : SIG_DFL;
  action.sa_flags = on ? (int)SA_RESETHAND : 0;
  sigaction(SIGINT, &action, nullptr);
  signalled = 0;
  if (cancel) tern_cancel_reset(cancel);
}

bool interrupted() { return signalled != 0; }

// ---- files ----

namespace {
struct CloseFile {
  void operator()(FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<FILE, CloseFile>;
}  // namespace

bool is_same_file(const std::string& a, const std::string& b) {
  struct stat one, other;
  return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

bool is_folder(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool is_model_file(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  const File f(std::fopen(path.c_str(), "rb"));
  char magic[8] = {};
  return f && std::fread(magic, 1, 8, f.get()) == 8 && std::memcmp(magic, "TERN\r\n\x1a\n", 8) == 0;
}

bool make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0 || is_folder(path)) return true;
  complain("%s: cannot make this folder: %s", path.c_str(), std::strerror(errno));
  return false;
}

bool has_suffix(const std::string& path, const char* suffix) {
  const size_t n = std::strlen(suffix);
  return path.size() >= n && std::equal(suffix, suffix + n, path.end() - (ptrdiff_t)n,
                                        [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

std::vector<std::string> list_folder(const std::string& path, const std::vector<const char*>& suffixes) {
  std::vector<std::string> list;
  DIR* folder = ::opendir(path.c_str());
  if (!folder) return list;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (std::any_of(suffixes.begin(), suffixes.end(), [&](const char* s) { return has_suffix(name, s); }))
      list.push_back(path + (path.back() == '/' ? "" : "/") + name);
  }
  ::closedir(folder);
  std::sort(list.begin(), list.end());
  return list;
}

std::string stem(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

std::string file_name(const std::string& name) {
  std::string s = name.substr(0, 200);
  for (char& c : s)
    if (c == '/' || c == '\\' || c == ':' || (unsigned char)c < 32 || c == 127) c = '_';
  if (s.empty() || s[0] == '.') s = "_" + s;
  return s;
}

bool write_whole_file(const std::string& path, const std::string& head, const void* data, size_t bytes) {
  const std::string part = path + ".part" + std::to_string(::getpid());
  bool good = false;
  {
    File f(std::fopen(part.c_str(), "wb"));
    good = f && std::fwrite(head.data(), 1, head.size(), f.get()) == head.size() &&
           (bytes == 0 || std::fwrite(data, 1, bytes, f.get()) == bytes);
    good = good && std::fflush(f.get()) == 0;
  }
  if (good && std::rename(part.c_str(), path.c_str()) == 0) return true;
  complain("%s: cannot be written: %s", path.c_str(), std::strerror(errno));
  std::remove(part.c_str());
  return false;
}

bool read_whole_file(const std::string& path, size_t limit, std::string* out) {
  const File f(std::fopen(path.c_str(), "rb"));
  if (!f || is_folder(path)) {
    complain("%s: cannot be read: %s", path.c_str(), f ? "it is a folder" : std::strerror(errno));
    return false;
  }
  out->clear();
  char block[65536];
  for (size_t n; (n = std::fread(block, 1, sizeof block, f.get())) > 0;) {
    out->append(block, n);
    if (out->size() > limit) {
      complain("%s: more than %zu bytes", path.c_str(), limit);
      return false;
    }
  }
  return true;
}

// ---- text ----

std::string json_string(const std::string& text) {
  std::string s = "\"";
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') {
      s += '\\', s += (char)c, ++i;
    } else if (c < 32 || c == 127) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      s += escape, ++i;
    } else if (c < 128) {
      s += (char)c, ++i;
    } else {
      // A whole UTF-8 sequence as it is, anything else as U+FFFD.
      const size_t n = c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
      bool good = n && c < 0xF5 && i + n <= text.size();
      for (size_t k = 1; good && k < n; ++k) good = ((unsigned char)text[i + k] & 0xC0) == 0x80;
      if (good) s.append(text, i, n), i += n;
      else s += "\xEF\xBF\xBD", ++i;
    }
  }
  return s + '"';
}

Json& Json::raw(const char* key, const std::string& text) {
  if (!first_) text_ += one_line_ ? ", " : ",";
  if (!brackets_.empty() && !one_line_) text_.append("\n").append(2 * brackets_.size(), ' ');
  first_ = false;
  if (key) text_ += json_string(key) + ": ";
  text_ += text;
  return *this;
}

Json& Json::open(const char* key, char bracket) {
  raw(key, std::string(1, bracket));
  brackets_ += bracket;
  first_ = true;
  return *this;
}

Json& Json::end() {
  const char close = brackets_.back() == '{' ? '}' : ']';
  brackets_.pop_back();
  if (!first_ && !one_line_) text_ += '\n' + std::string(2 * brackets_.size(), ' ');
  text_ += close;
  first_ = false;
  return *this;
}

Json& Json::add(const char* key, const std::string& text) { return raw(key, json_string(text)); }
Json& Json::add(const char* key, const char* text) { return raw(key, text ? json_string(text) : "null"); }
Json& Json::add(const char* key, int64_t number) { return raw(key, std::to_string(number)); }
Json& Json::add(const char* key, uint64_t number) { return raw(key, std::to_string(number)); }
Json& Json::add(const char* key, bool value) { return raw(key, value ? "true" : "false"); }

namespace {
std::string number_text(double v) {
  if (!std::isfinite(v)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}
}  // namespace

Json& Json::add(const char* key, double number) { return raw(key, number_text(number)); }

Json& Json::add_numbers(const char* key, const std::vector<double>& numbers) {
  std::string s = "[";
  for (const double v : numbers) s += (s.size() > 1 ? ", " : "") + number_text(v);
  return raw(key, s + "]");
}

Json& Json::add_numbers(const char* key, const int64_t* numbers, int32_t count) {
  std::string s = "[";
  for (int32_t i = 0; i < count; ++i) s += (i ? ", " : "") + std::to_string(numbers[i]);
  return raw(key, s + "]");
}

void Json::print() {
  while (!brackets_.empty()) end();
  std::fwrite(text_.data(), 1, text_.size(), stdout);
  std::fputc('\n', stdout);
}

std::string shape_text(const int64_t* dims, int32_t rank) {
  if (rank == 0) return "scalar";
  std::string s;
  for (int32_t i = 0; i < rank; ++i) {
    if (i) s += 'x';
    s += dims[i] < 0 ? "?" : std::to_string(dims[i]);
  }
  return s;
}

bool parse_shape(const std::string& text, std::vector<int64_t>* dims) {
  dims->clear();
  size_t at = 0;
  while (at <= text.size() && dims->size() <= TERN_MAX_RANK) {
    const size_t end = std::min(text.find('x', at), text.size());
    const std::string part = text.substr(at, end - at);
    if (part.empty() || part.size() > 12 || part.find_first_not_of("0123456789") != std::string::npos) break;
    dims->push_back(std::atoll(part.c_str()));
    at = end + 1;
  }
  if (at == text.size() + 1 && !dims->empty() && dims->size() <= TERN_MAX_RANK) return true;
  complain("'%s' is no shape such as 1x3x480x640", text.c_str());
  return false;
}

std::string bytes_text(double bytes) {
  static constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) bytes /= 1000, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
  return text;
}

bool split_pair(const std::string& text, std::string* name, std::string* value) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos) return false;
  *name = text.substr(0, equals);
  *value = text.substr(equals + 1);
  return true;
}

std::string printable(const char* text, size_t most) {
  std::string s;
  for (; *text && s.size() < most; ++text) s += (unsigned char)*text < 32 || *text == 127 ? ' ' : *text;
  if (*text) s += "...";
  return s;
}

void progress(const char* format, ...) {
  static const bool terminal = ::isatty(2) == 1;
  if (!terminal) return;
  char text[160];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  std::fprintf(stderr, "\r\033[K%s", text);
  std::fflush(stderr);
}

double now_seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

}  // namespace tern::cli
