// SPDX-License-Identifier: Apache-2.0
// Inputs of a signature, from files or made up.
#pragma once
#include "cli/npy.h"

namespace tern::cli {

using Tensors = std::vector<Handle<tern_tensor>>;

// From "--in NAME=FILE.npy" (or a number for a run-time scalar; NAME may be left out for an only input). The session's
// own position stays empty. kDone, or has printed what is wrong.
int read_inputs(const Arguments& arguments, tern_context* context, const tern_model* model, int32_t signature,
                Tensors* inputs);

// Random numbers in the declared shapes, always the same. Dims that vary come from "--shape NAME=1x3x480x640"; without
// it the smallest batch and about 320 elsewhere.
int make_inputs(const Arguments& arguments, tern_context* context, const tern_model* model, int32_t signature,
                tern_session* session, Tensors* inputs);

// Dims of all inputs in a row: the declared ones, and as make_inputs chooses where they vary.
std::vector<int64_t> usual_dims(const tern_model* model, int32_t signature);

// One run, which begins with an empty memory, or goes on behind the one before, until the memory is full. On success
// outputs holds all outputs.
tern_status run_session(tern_session* session, const tern_model* model, int32_t signature, const Tensors& inputs,
                        std::vector<Handle<const tern_tensor>>* outputs, bool goes_on = false);

std::string tensor_text(int32_t dtype, const int64_t* dims, int32_t rank);  // "f32 1x3x480x640"
std::string tensor_text(const tern_tensor* tensor);

}  // namespace tern::cli
