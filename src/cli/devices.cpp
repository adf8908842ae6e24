// SPDX-License-Identifier: Apache-2.0
// tern devices: where models can run.
#include <cstdio>

#include "cli/tool.h"

namespace tern::cli {
namespace {

int run(const Arguments& a) {
  Handle<tern_context> context;
  if (const int code = make_context(a, &context)) return code;
  Json j;
  j.begin_list();
  for (int32_t i = 0; i < tern_context_num_devices(context.get()); ++i) {
    tern_device_info info = TERN_DEVICE_INFO_INIT;
    if (const tern_status s = tern_context_get_device(context.get(), i, &info)) return report(s, "devices");
    j.begin_object().add("backend", info.backend).add("device", info.device).add("memory_bytes", info.memory_bytes);
    j.add("available", info.available != 0).add("reason", info.reason).end();
    if (a.has("--json")) continue;
    std::printf("%-8s %s%s%s%s\n", info.backend, info.device, info.memory_bytes ? ", " : "",
                info.memory_bytes ? bytes_text((double)info.memory_bytes).c_str() : "",
                info.available ? "" : (std::string(" (not available: ") + info.reason + ")").c_str());
  }
  if (a.has("--json")) j.print();
  return kDone;
}

}  // namespace

const Command& devices_command() {
  static const Command command = {"devices",
                                  "",
                                  "lists where models can run",
                                  "",
                                  "  tern devices\n  tern devices --json\n",
                                  {{"--json", nullptr, "for programs"}},
                                  0,
                                  0,
                                  run};
  return command;
}

}  // namespace tern::cli
