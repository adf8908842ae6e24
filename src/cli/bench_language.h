// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/tool.h"

namespace tern::cli {

// Does it have what tern_generator_create needs?
bool is_language_model(const tern_model* model);
// Times a prompt and the tokens that follow it, beside what the memory of this machine allows. --prompt, --generate.
int bench_language(const Arguments& arguments, tern_model* model);

}  // namespace tern::cli
