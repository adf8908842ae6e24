// SPDX-License-Identifier: Apache-2.0
// tern edit: other metadata of a model's task.
#include <cstdio>

#include "cli/settings.h"

namespace tern::cli {
namespace {

int run(const Arguments& a) {
#ifdef TERN_WITH_IMPORT
  const std::string& source = a.words()[0];
  const std::string output = a.value("-o") ? a.value("-o") : source;
  std::string settings;
  if (const int code = read_settings(a, &settings)) return code;
  if (const char* path = a.value("--labels")) {
    std::string labels;
    if (!read_whole_file(path, 16 << 20, &labels)) return kNotFound;
    settings += "labels=" + one_line(labels) + "\n";
  }
  if (settings.empty()) return complain("nothing to change: --set KEY=VALUE or --labels is needed"), kUsage;
  if (const tern_status s = tern_import_edit(source.c_str(), output.c_str(), settings.c_str())) {
    complain("%s: %s [%s]", source.c_str(), printable(tern_import_error(), 4000).c_str(), tern_status_name(s));
    // What the library calls an argument stands on the command line here.
    return s == TERN_ERR_INVALID_ARGUMENT ? kUsage : exit_code(s);
  }
  Handle<tern_context> context;
  Handle<tern_model> model;
  if (const int code = make_context(a, &context)) return code;
  if (const int code = load_model(context.get(), output, 0, &model)) return code;
  if (const int code = try_task(model.get(), output)) return code;
  std::printf("%s\n", output.c_str());
  return kDone;
#else
  (void)a;
  complain("edit: this build has no importer; build with -DTERN_BUILD_IMPORT=ON");
  return kFailed;
#endif
}

}  // namespace

const Command& edit_command() {
  static const Command command = {
      "edit",
      "FILE [-o OTHER]",
      "changes what a model file says of its task: thresholds, labels, meaning of outputs",
      "KEY is a key of the task's metadata, or its last part: score is result.score. An empty VALUE takes it away.\n"
      "tern info --task lists all keys.\n",
      "  tern edit yolo.tern --set score=0.4 --set overlap=0.6\n"
      "  tern edit yolo.tern --labels coco.names -o yolo-coco.tern\n",
      {{"-o", "FILE", "where to write; the default is the same file"},
       {"--set", "KEY=VALUE", "may be repeated; \\n in a value ends a line"},
       {"--labels", "FILE", "names of classes, one a line"}},
      1,
      1,
      run};
  return command;
}

}  // namespace tern::cli
