// SPDX-License-Identifier: Apache-2.0
// Keys of a task's metadata on the command line.
#pragma once
#include "cli/tool.h"
#include "tern/import.h"

namespace tern::cli {

// The values of --set as lines. Prints what is wrong.
int read_settings(const Arguments& arguments, std::string* out);
// Line ends as "\n" in two characters, none at the end.
std::string one_line(const std::string& text);
// Where a file is written before it is checked; `output` itself where something else than a file stands there.
std::string unchecked_name(const std::string& output);
// Puts it in its place.
int put_in_place(const std::string& unchecked, const std::string& output);
// Makes the task that a model says it is for, to see that its metadata and its graph agree. Prints what is wrong.
int try_task(tern_model* model, const std::string& path);
#ifdef TERN_WITH_IMPORT
// All keys, for people.
void print_task_keys(bool json);
#endif

}  // namespace tern::cli
