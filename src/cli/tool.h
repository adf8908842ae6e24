// SPDX-License-Identifier: Apache-2.0
// What the sub-commands share: handles that let go by themselves, errors, files, JSON, Ctrl-C.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "tern/tern.h"

namespace tern::cli {

// ---- handles ----

struct Release {
  void operator()(tern_context* p) const { tern_context_release(p); }
  void operator()(tern_model* p) const { tern_model_release(p); }
  void operator()(tern_session* p) const { tern_session_release(p); }
  void operator()(const tern_tensor* p) const { tern_tensor_release(p); }
  void operator()(tern_vision* p) const { tern_vision_release(p); }
  void operator()(tern_tracker* p) const { tern_tracker_release(p); }
  void operator()(tern_generator* p) const { tern_generator_release(p); }
  void operator()(tern_detokenizer* p) const { tern_detokenizer_release(p); }
  void operator()(tern_tokenizer* p) const { tern_tokenizer_release(p); }
  void operator()(tern_chat* p) const { tern_chat_release(p); }
  void operator()(tern_camera_motion* p) const { tern_camera_motion_release(p); }
};
template <class T>
using Handle = std::unique_ptr<T, Release>;

// Prints the last error of libtern, after what was being done, and gives the exit code for it.
int report(tern_status status, const std::string& what);
int exit_code(tern_status status);
// The exit code for a file that could not be used: it is not there, or it is of no use.
int bad_file_code(const std::string& path);

// Each returns kDone, or has printed why not and returns the exit code.
// warnings: gets what the library says of what is right, but slow or strange; tell: prints it.
// --threads
int make_context(const Arguments& arguments, Handle<tern_context>* context,
                 std::vector<std::string>* warnings = nullptr, bool tell = false);
int load_model(tern_context* context, const std::string& path, uint32_t flags, Handle<tern_model>* model);
// The model files that the command line begins with; at least one.
int load_models(tern_context* context, const Arguments& arguments, std::vector<Handle<tern_model>>* models);
int find_signature(const tern_model* model, const Arguments& arguments, int32_t* signature);  // --signature; the first
int make_session(const tern_model* model, const char* backend, uint32_t flags, Handle<tern_session>* session);

// ---- Ctrl-C ----

// From the first call on, Ctrl-C signals this and a second one ends the program. NULL if there is no memory.
tern_cancel* interrupt();
bool interrupted();
// on: what interrupt() gives is signalled no more, and the next Ctrl-C signals it again. Off: it ends the program.
void reset_interrupt(bool on);

// ---- files ----

bool is_folder(const std::string& path);
bool is_same_file(const std::string& a, const std::string& b);  // both are there
bool is_model_file(const std::string& path);                    // begins as .tern files do
// Makes it if needed. Prints why not.
bool make_folder(const std::string& path);
// Files in it with one of the suffixes (lower case, with the dot), sorted.
std::vector<std::string> list_folder(const std::string& path, const std::vector<const char*>& suffixes);
bool has_suffix(const std::string& path, const char* suffix);  // whatever the case of its letters
// The last part of a path, without suffix: "dog".
std::string stem(const std::string& path);
// A name as a file can have it: no slashes, not empty, not hidden.
std::string file_name(const std::string& name);
// A file that is replaced when it is complete. Prints why not.
bool write_whole_file(const std::string& path, const std::string& head, const void* data, size_t bytes);
// At most `limit` bytes. Prints why not.
bool read_whole_file(const std::string& path, size_t limit, std::string* out);

// ---- text ----

// Builds a JSON text with two spaces of indentation, or on one line.
class Json {
 public:
  explicit Json(bool one_line = false) : one_line_(one_line) {}
  Json& begin_object(const char* key = nullptr) { return open(key, '{'); }
  Json& begin_list(const char* key = nullptr) { return open(key, '['); }
  Json& end();
  Json& add(const char* key, const std::string& text);
  Json& add(const char* key, const char* text);
  Json& add(const char* key, int64_t number);
  Json& add(const char* key, int32_t number) { return add(key, (int64_t)number); }
  Json& add(const char* key, uint64_t number);
  Json& add(const char* key, double number);  // null where it is no number
  Json& add(const char* key, bool value);
  Json& add_numbers(const char* key, const std::vector<double>& numbers);  // on one line
  Json& add_numbers(const char* key, const int64_t* numbers, int32_t count);
  // Closes what is open and prints all.
  void print();

 private:
  Json& open(const char* key, char bracket);
  Json& raw(const char* key, const std::string& text);
  std::string text_, brackets_;
  bool first_ = true, one_line_;
};

std::string json_string(const std::string& text);
// "1x3x480x640", with "?" for -1.
std::string shape_text(const int64_t* dims, int32_t rank);
// "1x3x480x640" to dims. Prints why not.
bool parse_shape(const std::string& text, std::vector<int64_t>* dims);
// "12.3 MB"
std::string bytes_text(double bytes);
// "NAME=VALUE" taken apart at the last "=": names may hold one, such values do not. False without one.
bool split_pair(const std::string& text, std::string* name, std::string* value);
// Control characters of a text from a file do not reach the terminal.
std::string printable(const char* text, size_t most = 200);

// A line on stderr that the next call replaces; nothing where stderr is no terminal. "" wipes it.
void progress(const char* format, ...) __attribute__((format(printf, 1, 2)));

double now_seconds();

}  // namespace tern::cli
