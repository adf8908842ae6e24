// SPDX-License-Identifier: Apache-2.0
// Sub-commands of `tern`: each is one entry of a table; options are parsed and explained from the same list.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tern::cli {

// How the command ends. Scripts may rely on the numbers.
enum ExitCode {
  kDone = 0,
  kFailed = 1,        // it did not work, or (compare) results differ
  kUsage = 2,         // the command line is wrong
  kNotFound = 3,      // no such file, signature, tensor or backend
  kBadFile = 4,       // a file is damaged, or of a kind or version that is not supported
  kNoResource = 5,    // memory, disk or a limit
  kInterrupted = 130  // Ctrl-C
};

struct Option {
  const char* name;   // "--threads" or "-o"
  const char* value;  // what follows it, for the help; NULL: a flag
  const char* help;
};

struct Command;

// The words of a command line after the sub-command.
class Arguments {
 public:
  // Prints what is wrong and returns false.
  bool parse(const Command& command, int argc, char** argv);

  const std::vector<std::string>& words() const { return words_; }
  bool has(const char* option) const;
  // The last value given, or NULL.
  const char* value(const char* option) const;
  std::vector<std::string> values(const char* option) const;
  // A number within [low, high], or the fallback where the option is absent. Prints what is wrong and returns false.
  bool number(const char* option, int64_t low, int64_t high, int64_t* out) const;
  bool real(const char* option, double low, double high, double* out) const;

 private:
  std::vector<std::string> words_;
  std::vector<std::pair<std::string, std::string>> options_;
};

struct Command {
  const char* name;
  const char* words;     // "FILE IMAGE..."
  const char* summary;   // one line
  const char* details;   // more lines for --help, or ""
  const char* examples;  // lines
  std::vector<Option> options;
  int min_words, max_words;  // max -1: any number
  int (*run)(const Arguments& arguments);
};

const Command& import_command();
const Command& edit_command();
const Command& info_command();
const Command& check_command();
const Command& run_command();
const Command& compare_command();
const Command& bench_command();
const Command& detect_command();
const Command& segment_command();
const Command& classify_command();
const Command& pose_command();
const Command& embed_command();
const Command& read_command();
const Command& track_command();
const Command& tokenize_command();
const Command& generate_command();
const Command& chat_command();
const Command& perplexity_command();
const Command& devices_command();
const Command& version_command();

// The word of `words` that is most like `typed`, or NULL if none is.
const char* most_like(const std::string& typed, const std::vector<const char*>& words);

// Prints "tern: ..." with the text to stderr.
void complain(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace tern::cli
