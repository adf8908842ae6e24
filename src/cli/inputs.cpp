// SPDX-License-Identifier: Apache-2.0
#include "cli/inputs.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tern::cli {
namespace {

std::vector<tern_tensor_info> input_infos(const tern_model* model, int32_t signature) {
  std::vector<tern_tensor_info> list((size_t)std::max(0, tern_model_num_tensors(model, signature, TERN_ROLE_INPUT)));
  for (size_t i = 0; i < list.size(); ++i) {
    list[i] = TERN_TENSOR_INFO_INIT;
    if (tern_model_get_tensor(model, signature, TERN_ROLE_INPUT, (int32_t)i, &list[i]) != TERN_OK) list[i].name = "";
  }
  return list;
}

std::string known_inputs(const std::vector<tern_tensor_info>& infos) {
  std::string s;
  for (const auto& i : infos)
    s += "\n  " + printable(i.name) + "  " + tensor_text(i.dtype, i.dims, i.rank) +
         (i.is_scalar == 1   ? " (a number)"
          : i.is_scalar == 2 ? " (set by itself)"
                             : "");
  return s;
}

bool make_scalar(tern_context* context, const std::string& text, Handle<tern_tensor>* tensor) {
  char* end = nullptr;
  const long long v = std::strtoll(text.c_str(), &end, 10);
  tern_tensor* made = nullptr;
  if (text.empty() || *end || tern_tensor_create(context, TERN_DTYPE_I64, nullptr, 0, &made) != TERN_OK) return false;
  *(int64_t*)tern_tensor_data(made) = v;
  tensor->reset(made);
  return true;
}

// Values of "NAME=..." options by input; kDone or an exit code. Names and files may hold "=": of the inputs whose name
// and "=" the text begins with, the longest name counts.
int assign(const std::vector<std::string>& given, const char* option, const std::vector<tern_tensor_info>& infos,
           bool name_may_lack, std::vector<std::string>* values) {
  values->assign(infos.size(), "");
  for (const std::string& text : given) {
    std::string value;
    size_t index = infos.size(), longest = 0;
    for (size_t i = 0; i < infos.size(); ++i) {
      const size_t length = std::strlen(infos[i].name);
      if (length < longest || text.size() <= length || text[length] != '=' ||
          text.compare(0, length, infos[i].name) != 0)
        continue;
      index = i, longest = length;
      value = text.substr(length + 1);
    }
    const size_t equals = text.find('=');
    if (index == infos.size() && name_may_lack && infos.size() == 1 &&
        (equals == std::string::npos || text.find('/') < equals)) {
      index = 0, value = text;
    } else if (index == infos.size() && equals == std::string::npos) {
      complain("%s %s: NAME=... is needed. The inputs are:%s", option, text.c_str(), known_inputs(infos).c_str());
      return kUsage;
    }
    if (index == infos.size()) {
      complain("%s %s: there is no input '%s'. The inputs are:%s", option, text.c_str(), text.substr(0, equals).c_str(),
               known_inputs(infos).c_str());
      return kNotFound;
    }
    (*values)[index] = value;
  }
  return kDone;
}

// The smallest batch that is not empty and about 320 elsewhere, where the size varies.
std::vector<int64_t> usual_shape(const tern_tensor_info& info) {
  std::vector<int64_t> shape(info.dims, info.dims + info.rank);
  for (size_t a = 0; a < shape.size(); ++a)
    if (shape[a] < 0)
      shape[a] = a == 0 ? std::max<int64_t>(1, info.min_dims[a])
                        : std::clamp<int64_t>(320, info.min_dims[a], info.max_dims[a]);
  return shape;
}

// Values from 0 to 1, as pictures mostly are; 0 for integers, which may be indices.
void fill(tern_tensor* tensor, uint32_t seed) {
  const int64_t n = tern_tensor_num_elements(tensor);
  void* data = tern_tensor_data(tensor);
  for (int64_t i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const float v = (float)(seed >> 8) / 16777216.0f;
    if (tern_tensor_dtype(tensor) == TERN_DTYPE_F32) ((float*)data)[i] = v;
    else if (tern_tensor_dtype(tensor) == TERN_DTYPE_F64) ((double*)data)[i] = v;
    else if (tern_tensor_dtype(tensor) == TERN_DTYPE_U8) ((uint8_t*)data)[i] = (uint8_t)(v * 255);
    else if (tern_tensor_dtype(tensor) == TERN_DTYPE_F16) ((uint16_t*)data)[i] = 0x3800;  // 0.5
    else if (tern_tensor_dtype(tensor) == TERN_DTYPE_BF16) ((uint16_t*)data)[i] = 0x3F00;
  }
}

}  // namespace

std::string tensor_text(int32_t dtype, const int64_t* dims, int32_t rank) {
  return std::string(tern_dtype_name(dtype)) + " " + shape_text(dims, rank);
}

std::string tensor_text(const tern_tensor* tensor) {
  int64_t dims[TERN_MAX_RANK];
  for (int32_t a = 0; a < tern_tensor_rank(tensor); ++a) dims[a] = tern_tensor_dim(tensor, a);
  return tensor_text(tern_tensor_dtype(tensor), dims, tern_tensor_rank(tensor));
}

int read_inputs(const Arguments& arguments, tern_context* context, const tern_model* model, int32_t signature,
                Tensors* inputs) {
  const auto infos = input_infos(model, signature);
  std::vector<std::string> values;
  if (const int code = assign(arguments.values("--in"), "--in", infos, true, &values)) return code;
  inputs->clear();
  inputs->resize(infos.size());
  for (size_t i = 0; i < infos.size(); ++i) {
    if (infos[i].is_scalar == 2) continue;
    if (values[i].empty()) {
      complain("input '%s' is missing: --in '%s=FILE.npy'. The inputs are:%s", infos[i].name, infos[i].name,
               known_inputs(infos).c_str());
      return kUsage;
    }
    if (infos[i].is_scalar && make_scalar(context, values[i], &(*inputs)[i])) continue;
    if (!read_npy(context, values[i], &(*inputs)[i])) return bad_file_code(values[i]);
  }
  return kDone;
}

int make_inputs(const Arguments& arguments, tern_context* context, const tern_model* model, int32_t signature,
                tern_session* session, Tensors* inputs) {
  const auto infos = input_infos(model, signature);
  std::vector<std::string> values;
  if (const int code = assign(arguments.values("--shape"), "--shape", infos, true, &values)) return code;
  std::vector<std::vector<int64_t>> shapes(infos.size());
  bool guessed = false;
  for (size_t i = 0; i < infos.size(); ++i) {
    shapes[i].assign(infos[i].dims, infos[i].dims + infos[i].rank);
    if (!values[i].empty()) {
      if (!parse_shape(values[i], &shapes[i])) return kUsage;
      continue;
    }
    shapes[i] = usual_shape(infos[i]);
    guessed = guessed || std::count(infos[i].dims, infos[i].dims + infos[i].rank, -1) > 0;
  }
  inputs->clear();
  inputs->resize(infos.size());
  for (size_t i = 0; i < infos.size(); ++i) {
    if (infos[i].is_scalar == 2) continue;
    tern_tensor* made = nullptr;
    if (const tern_status s =
            tern_tensor_create(context, infos[i].dtype, shapes[i].data(), (int32_t)shapes[i].size(), &made))
      return report(s, infos[i].name);
    (*inputs)[i].reset(made);
    fill(made, (uint32_t)i + 1);
  }
  // Of what the session sets by itself, one number for each row of the first input.
  std::vector<int64_t> dims;
  for (size_t i = 0; i < infos.size(); ++i) {
    if (infos[i].is_scalar == 2 && infos[i].rank == 1 && !shapes[0].empty()) shapes[i] = {shapes[0][0]};
    dims.insert(dims.end(), shapes[i].begin(), shapes[i].end());
  }
  if (const tern_status s =
          tern_session_prepare(session, signature, dims.empty() ? nullptr : dims.data(), (int32_t)dims.size())) {
    const int code = report(s, "these shapes");
    if (guessed)
      complain("sizes vary: give them with --shape NAME=1x3x480x640. The inputs are:%s", known_inputs(infos).c_str());
    return code;
  }
  return kDone;
}

std::vector<int64_t> usual_dims(const tern_model* model, int32_t signature) {
  std::vector<int64_t> dims;
  for (const auto& info : input_infos(model, signature)) {
    const auto shape = usual_shape(info);
    dims.insert(dims.end(), shape.begin(), shape.end());
  }
  return dims;
}

tern_status run_session(tern_session* session, const tern_model* model, int32_t signature, const Tensors& inputs,
                        std::vector<Handle<const tern_tensor>>* outputs, bool goes_on) {
  std::vector<const tern_tensor*> in,
      out((size_t)std::max(0, tern_model_num_tensors(model, signature, TERN_ROLE_OUTPUT)), nullptr);
  for (const auto& t : inputs) in.push_back(t.get());
  tern_run_options options = TERN_RUN_OPTIONS_INIT;
  options.cancel = interrupt();
  tern_state* const state = tern_session_state(session);
  if (!goes_on && tern_state_length(state) > 0) tern_state_truncate(state, 0);
  tern_status s =
      tern_session_run(session, signature, in.data(), (int32_t)in.size(), out.data(), (int32_t)out.size(), &options);
  if (goes_on && s == TERN_ERR_LIMIT && tern_state_length(state) > 0)
    return run_session(session, model, signature, inputs, outputs, false);
  if (s != TERN_OK) return s;
  outputs->clear();
  for (const tern_tensor* t : out) outputs->emplace_back(t);
  return TERN_OK;
}

}  // namespace tern::cli
