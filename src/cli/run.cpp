// SPDX-License-Identifier: Apache-2.0
// tern run: one run of a model on NumPy files.
#include <algorithm>
#include <cstdio>

#include "cli/inputs.h"

namespace tern::cli {
namespace {

int run(const Arguments& a) {
  Handle<tern_context> context;
  Handle<tern_model> model;
  Handle<tern_session> session;
  int32_t signature = 0;
  Tensors inputs;
  const char* profile = a.value("--profile");
  const char* folder = a.value("--out");
  if (const int code = make_context(a, &context)) return code;
  if (const int code = load_model(context.get(), a.words()[0], 0, &model)) return code;
  if (const int code = find_signature(model.get(), a, &signature)) return code;
  if (const int code = read_inputs(a, context.get(), model.get(), signature, &inputs)) return code;
  if (const int code = make_session(model.get(), a.value("--backend"), profile ? TERN_SESSION_PROFILE : 0, &session))
    return code;
  std::vector<Handle<const tern_tensor>> outputs;
  const double begin = now_seconds();
  if (const tern_status s = run_session(session.get(), model.get(), signature, inputs, &outputs))
    return report(s, a.words()[0]);
  const double seconds = now_seconds() - begin;
  if (folder && !make_folder(folder)) return kNoResource;
  std::vector<std::string> names;
  for (size_t i = 0; i < outputs.size(); ++i) {
    tern_tensor_info info = TERN_TENSOR_INFO_INIT;
    if (const tern_status s = tern_model_get_tensor(model.get(), signature, TERN_ROLE_OUTPUT, (int32_t)i, &info))
      return report(s, a.words()[0]);
    std::string name = file_name(info.name);
    while (std::find(names.begin(), names.end(), name) != names.end()) name += "_";
    names.push_back(name);
    const std::string path = folder ? std::string(folder) + "/" + name + ".npy" : "";
    if (folder && !write_npy(path, outputs[i].get())) return kNoResource;
    std::printf("%-24s %-20s %s\n", printable(info.name, 60).c_str(), tensor_text(outputs[i].get()).c_str(),
                path.c_str());
  }
  std::printf("plan and first run: %.1f ms\n", seconds * 1e3);
  if (profile) {
    if (const tern_status s = tern_session_write_profile(session.get(), profile)) return report(s, profile);
    std::printf("profile: %s (open it in ui.perfetto.dev or chrome://tracing)\n", profile);
  }
  return kDone;
}

}  // namespace

const Command& run_command() {
  static const Command command = {
      "run",
      "FILE --in NAME=X.npy ... --out FOLDER",
      "runs a model on NumPy files",
      "Each output becomes FOLDER/NAME.npy.\n",
      "  tern run digits.tern --in image=digit.npy --out results\n"
      "  tern run ssd.tern --in picture.npy --out results --threads 1 --profile trace.json\n",
      {{"--in", "NAME=X.npy",
        "an input, once for each; NAME= may be left out if there is one; a run-time scalar takes a number"},
       {"--out", "FOLDER", "where the outputs go; made if needed"},
       {"--signature", "NAME", "which signature; the default is the first"},
       {"--threads", "N", "threads; the default is all CPUs"},
       {"--backend", "NAME", "where to run, see tern devices; several in order of preference, with commas"},
       {"--profile", "TRACE.json", "times of every node, for Perfetto"}},
      1,
      1,
      run};
  return command;
}

}  // namespace tern::cli
