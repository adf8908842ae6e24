// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/tool.h"

namespace tern::cli {

// Does it have what tern_generator_create needs?
bool is_language_model(const tern_model* model);
// Times a prompt and the tokens that follow it, beside what the memory of this machine allows. --prompt, --generate.
// begin: of loading the model, as now_seconds tells it.
int bench_language(const Arguments& arguments, tern_model* model, double begin);
// Of this process: "VmHWM:", the largest memory that it had, "VmRSS:", what it has.
double process_bytes(const char* which);

}  // namespace tern::cli
