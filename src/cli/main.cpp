// SPDX-License-Identifier: Apache-2.0
// The `tern` command.
#include <cstdio>
#include <cstring>
#include <new>

#include "cli/command.h"

namespace tern::cli {
namespace {

const std::vector<const Command*>& commands() {
  static const std::vector<const Command*> list = {
      &import_command(),   &edit_command(),  &info_command(),       &check_command(),   &run_command(),
      &compare_command(),  &bench_command(), &detect_command(),     &segment_command(), &classify_command(),
      &pose_command(),     &embed_command(), &read_command(),       &track_command(),   &tokenize_command(),
      &generate_command(), &chat_command(),  &perplexity_command(), &devices_command(), &version_command()};
  return list;
}

void print_overview(FILE* out) {
  std::fputs("tern runs models on this device.\n\nusage: tern COMMAND ...\n\n", out);
  for (const Command* c : commands()) std::fprintf(out, "  %-10s %s\n", c->name, c->summary);
  std::fputs(
      "\n`tern COMMAND --help` tells all about one, with examples.\n"
      "It ends with 0 when all went well, 1 on failure, 2 for a wrong command line, 3 when a file or name was not "
      "found,\n"
      "4 for a file that is damaged or not supported, 5 without memory, disk or within limits, 130 after Ctrl-C.\n",
      out);
}

void print_help(const Command& c) {
  std::printf("%s\n\nusage: tern %s %s%s\n", c.summary, c.name, c.words, c.options.empty() ? "" : " [options]");
  if (*c.details) std::printf("\n%s", c.details);
  if (!c.options.empty()) std::printf("\noptions:\n");
  for (const Option& o : c.options) {
    const std::string left = std::string(o.name) + (o.value ? " " : "") + (o.value ? o.value : "");
    std::printf("  %-28s %s\n", left.c_str(), o.help);
  }
  std::printf("\nexamples:\n%s", c.examples);
}

int run_command_line(int argc, char** argv) {
  if (argc < 2) {
    print_overview(stderr);
    return kUsage;
  }
  std::string name = argv[1];
  if (name == "--help" || name == "-h" || (name == "help" && argc == 2)) {
    print_overview(stdout);
    return kDone;
  }
  if (name == "--version") name = "version";
  const bool help = name == "help";
  if (help) name = argv[2];
  std::vector<const char*> names;
  for (const Command* c : commands()) {
    names.push_back(c->name);
    if (name != c->name) continue;
    for (int i = 2; i < argc; ++i)
      if (help || std::strcmp(argv[i], "--help") == 0 || std::strcmp(argv[i], "-h") == 0) {
        print_help(*c);
        return kDone;
      }
    Arguments arguments;
    if (!arguments.parse(*c, argc - 2, argv + 2)) return kUsage;
    return c->run(arguments);
  }
  const char* near = most_like(name, names);
  complain("there is no command '%s'%s%s%s (see: tern --help)", name.c_str(), near ? "; did you mean '" : "",
           near ? near : "", near ? "'?" : "");
  return kUsage;
}

}  // namespace
}  // namespace tern::cli

int main(int argc, char** argv) {
  int code = tern::cli::kFailed;
  try {
    code = tern::cli::run_command_line(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("tern: no memory\n", stderr);
    return tern::cli::kNoResource;
  }
  // Results that did not reach a full disk or a closed pipe are no success.
  if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && code == 0) {
    std::fputs("tern: the results could not be written to the standard output\n", stderr);
    return tern::cli::kNoResource;
  }
  return code;
}
