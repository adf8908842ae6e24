// SPDX-License-Identifier: Apache-2.0
// What a task needs to know about a model travels in the model's metadata, as text. Every reader names the key that is
// missing or wrong.
#pragma once
#include <vector>

#include "graph/model_def.h"

namespace tern {

// The value of a key; `fallback` where the model has none, NULL = it must have one (TERN_ERR_UNSUPPORTED).
tern_status read_text(const ModelDef& model, const char* key, const char* fallback, std::string* out);
// One number within [min, max], by the same rule (fallback as text).
tern_status read_number(const ModelDef& model, const char* key, const char* fallback, double min, double max,
                        double* out);
// Numbers separated by commas; `count` 0 = any number of them.
tern_status read_numbers(const ModelDef& model, const char* key, const char* fallback, size_t count,
                         std::vector<double>* out);
// One of the given words; *out is its index.
tern_status read_choice(const ModelDef& model, const char* key, const char* fallback,
                        std::initializer_list<const char*> words, int* out);
// Lines of a value; empty if the model has none.
std::vector<std::string> read_lines(const ModelDef& model, const char* key);

// The metadata says task = `task`; `what` completes the message "the model is not ...".
tern_status require_task(const ModelDef& model, const char* task, const char* what);
// Index of an output of a signature by name.
tern_status find_output(const Signature& signature, const std::string& name, int* index);
// The signature that the task runs ("task.signature", default the first).
tern_status find_task_signature(const ModelDef& model, int32_t* index);

}  // namespace tern
