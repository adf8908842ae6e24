// SPDX-License-Identifier: Apache-2.0
// tern check: is a model file whole?
#include <cstdio>

#include "cli/inputs.h"

namespace tern::cli {
namespace {

int run(const Arguments& a) {
  Handle<tern_context> context;
  if (const int code = make_context(a, &context)) return code;
  int worst = kDone;
  for (const std::string& path : a.words()) {
    progress("checking %s ...", path.c_str());
    Handle<tern_model> model;
    int code = load_model(context.get(), path, TERN_LOAD_COPY | TERN_LOAD_CHECK_WEIGHTS, &model);
    Handle<tern_session> session;
    if (code == kDone) code = make_session(model.get(), nullptr, 0, &session);
    // Sound bytes may still hold a graph that no plan can be made of.
    int planned = 0;
    for (int32_t s = 0; code == kDone && s < tern_model_num_signatures(model.get()); ++s) {
      const tern_status status = tern_session_prepare(session.get(), s, nullptr, 0);
      if (status == TERN_OK) ++planned;
      else if (status != TERN_ERR_SHAPE)
        code = report(status, path + ": signature '" + printable(tern_model_signature_name(model.get(), s)) + "'");
    }
    if (code == kDone) {
      tern_tokenizer* made = nullptr;
      const tern_status status = tern_tokenizer_create_from_model(model.get(), &made);
      tern_tokenizer_release(made);
      if (status != TERN_OK && status != TERN_ERR_NOT_FOUND && status != TERN_ERR_UNSUPPORTED)
        code = report(status, path + ": its tokenizer");
    }
    progress("%s", "");
    if (code == kDone)
      std::printf("%s: good (%d signature%s, %d of fixed size planned)\n", path.c_str(),
                  tern_model_num_signatures(model.get()), tern_model_num_signatures(model.get()) == 1 ? "" : "s",
                  planned);
    else worst = code;
  }
  return worst;
}

}  // namespace

const Command& check_command() {
  static const Command command = {"check",
                                  "FILE...",
                                  "checks model files to the last byte",
                                  "Verifies the structure, compares the checksum of every weight and makes the plans "
                                  "of signatures of fixed size and the tokenizer.\n",
                                  "  tern check *.tern\n",
                                  {},
                                  1,
                                  -1,
                                  run};
  return command;
}

}  // namespace tern::cli
