// SPDX-License-Identifier: Apache-2.0
// tern edit: other metadata of a model's task.
#include <unistd.h>

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
  const char* const tokenizer = a.value("--tokenizer");
  if (settings.empty() && !tokenizer)
    return complain("nothing to change: --set KEY=VALUE, --labels or --tokenizer is needed"), kUsage;
  std::string json;
  if (tokenizer && *tokenizer && !read_whole_file(tokenizer, 1 << 30, &json)) return bad_file_code(tokenizer);
  // The old file stays until the new one is known to be of use.
  const std::string fresh = unchecked_name(output);
  const auto failed = [&](const std::string& what, tern_status s) {
    complain("%s: %s [%s]", what.c_str(), printable(tern_import_error(), 4000).c_str(), tern_status_name(s));
    // What the library calls an argument stands on the command line here.
    return s == TERN_ERR_INVALID_ARGUMENT ? kUsage : exit_code(s);
  };
  if (tokenizer) {
    const tern_status s =
        tern_import_set_tokenizer(source.c_str(), fresh.c_str(), *tokenizer ? json.data() : nullptr, json.size());
    if (s != TERN_OK) return failed(*tokenizer ? tokenizer : source, s);
  }
  if (!settings.empty()) {
    const tern_status s = tern_import_edit(tokenizer ? fresh.c_str() : source.c_str(), fresh.c_str(), settings.c_str());
    if (s != TERN_OK) {
      if (tokenizer && fresh != output) ::unlink(fresh.c_str());
      return failed(source, s);
    }
  }
  Handle<tern_context> context;
  Handle<tern_model> model;
  if (const int code = make_context(a, &context)) return code;
  int code = load_model(context.get(), fresh, 0, &model);
  if (code == kDone) code = try_task(model.get(), output);
  if (code != kDone) {
    if (fresh != output) ::unlink(fresh.c_str());
    return code;
  }
  if (const int in_place = put_in_place(fresh, output)) return in_place;
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
      "changes what a model file says of its task: thresholds, labels, meaning of outputs; or its tokenizer",
      "KEY is a key of the task's metadata, or its last part: score is result.score. An empty VALUE takes it away.\n"
      "tern info --task lists all keys.\n",
      "  tern edit yolo.tern --set score=0.4 --set overlap=0.6\n"
      "  tern edit yolo.tern --labels coco.names -o yolo-coco.tern\n"
      "  tern edit chat.tern --tokenizer tokenizer.json\n",
      {{"-o", "FILE", "where to write; the default is the same file"},
       {"--set", "KEY=VALUE", "may be repeated; \\n in a value ends a line"},
       {"--labels", "FILE", "names of classes, one a line"},
       {"--tokenizer", "FILE", "a tokenizer.json that the model carries from now on; \"\" takes it away"}},
      1,
      1,
      run};
  return command;
}

}  // namespace tern::cli
