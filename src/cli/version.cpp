// SPDX-License-Identifier: Apache-2.0
// tern version: of the command and of the library that it found.
#include <cstdio>

#include "cli/tool.h"

namespace tern::cli {
namespace {

int run(const Arguments&) {
  const int32_t v = tern_version();
  std::printf("tern %d.%d.%d, libtern %d.%d.%d\n", TERN_VERSION_MAJOR, TERN_VERSION_MINOR, TERN_VERSION_PATCH,
              v / 10000, v / 100 % 100, v % 100);
  return kDone;
}

}  // namespace

const Command& version_command() {
  static const Command command = {"version", "", "prints the version", "", "  tern version\n", {}, 0, 0, run};
  return command;
}

}  // namespace tern::cli
