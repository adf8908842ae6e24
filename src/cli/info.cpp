// SPDX-License-Identifier: Apache-2.0
// tern info: what a model file says about itself.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "cli/inputs.h"
#include "cli/settings.h"

namespace tern::cli {
namespace {

std::vector<tern_tensor_info> tensors(const tern_model* m, int32_t signature, int32_t role) {
  std::vector<tern_tensor_info> list;
  for (int32_t i = 0; i < tern_model_num_tensors(m, signature, role); ++i) {
    tern_tensor_info info = TERN_TENSOR_INFO_INIT;
    if (tern_model_get_tensor(m, signature, role, i, &info) == TERN_OK) list.push_back(info);
  }
  return list;
}

// "1..64" where a dim varies.
std::string range_text(const tern_tensor_info& t) {
  std::string s;
  for (int32_t a = 0; a < t.rank; ++a) {
    if (t.dims[a] >= 0) continue;
    s += s.empty() ? "  (dim " : ", dim ";
    s += std::to_string(a) + ": " + std::to_string(t.min_dims[a]) +
         (t.max_dims[a] == INT64_MAX ? " or more" : " to " + std::to_string(t.max_dims[a]));
    if (t.step_dims[a] > 1) s += " in steps of " + std::to_string(t.step_dims[a]);
  }
  return s.empty() ? s : s + ")";
}

void print_tensors(const char* title, const std::vector<tern_tensor_info>& list, bool ranges) {
  for (const auto& t : list)
    std::printf("    %-8s %-24s %s%s%s\n", title, printable(t.name, 80).c_str(),
                tensor_text(t.dtype, t.dims, t.rank).c_str(),
                ranges    ? range_text(t).c_str()
                : t.sizes ? ("  (" + printable(t.sizes, 200) + ")").c_str()
                          : "",
                t.is_scalar ? " (scalar)" : "");
}

struct Sum {
  int64_t tensors = 0, elements = 0;
  uint64_t bytes = 0;
};

std::map<std::string, Sum> sum_parameters(const std::vector<tern_tensor_info>& list) {
  std::map<std::string, Sum> sums;
  for (const auto& p : list) {
    Sum& s = sums[std::string(tern_dtype_name(p.dtype)) +
                  (p.encoding && std::strcmp(p.encoding, "plain") ? std::string(" ") + p.encoding : "")];
    int64_t n = 1;
    for (int32_t a = 0; a < p.rank; ++a) n *= p.dims[a];
    ++s.tensors, s.elements += n, s.bytes += p.bytes;
  }
  return sums;
}

void json_tensors(Json& j, const char* key, const std::vector<tern_tensor_info>& list, bool input, bool stored) {
  j.begin_list(key);
  for (const auto& t : list) {
    j.begin_object().add("name", t.name).add("dtype", tern_dtype_name(t.dtype)).add_numbers("shape", t.dims, t.rank);
    if (input)
      j.add_numbers("min", t.min_dims, t.rank)
          .add_numbers("max", t.max_dims, t.rank)
          .add_numbers("step", t.step_dims, t.rank)
          .add("scalar", t.is_scalar != 0);
    if (t.sizes) j.add("sizes", t.sizes);
    if (stored) j.add("encoding", t.encoding).add("bytes", t.bytes);
    j.end();
  }
  j.end();
}

int run(const Arguments& a) {
  if (a.has("--task") && a.words().empty()) {
#ifdef TERN_WITH_IMPORT
    return print_task_keys(a.has("--json")), kDone;
#else
    return complain("info --task: this build has no importer"), kFailed;
#endif
  }
  if (a.words().empty()) return complain("info: a model file is missing"), kUsage;
  Handle<tern_context> context;
  Handle<tern_model> model;
  if (const int code = make_context(a, &context)) return code;
  if (const int code = load_model(context.get(), a.words()[0], 0, &model)) return code;
  const tern_model* m = model.get();
  const auto parameters = tensors(m, 0, TERN_ROLE_PARAMETER), states = tensors(m, 0, TERN_ROLE_STATE);
  const auto sums = sum_parameters(parameters);
  Json j;
  const bool json = a.has("--json");
  if (json) j.begin_object().add("file", a.words()[0]).begin_list("signatures");
  else std::printf("%s\n", a.words()[0].c_str());
  for (int32_t s = 0; s < tern_model_num_signatures(m); ++s) {
    int64_t nodes = 0, operators = 0;
    if (const tern_status status = tern_model_count_nodes(m, s, &nodes, &operators))
      return report(status, a.words()[0]);
    const auto inputs = tensors(m, s, TERN_ROLE_INPUT), outputs = tensors(m, s, TERN_ROLE_OUTPUT);
    if (json) {
      j.begin_object().add("name", tern_model_signature_name(m, s)).add("nodes", nodes).add("operators", operators);
      json_tensors(j, "inputs", inputs, true, false);
      json_tensors(j, "outputs", outputs, false, false);
      j.end();
    } else {
      std::printf("  signature %s: %lld nodes, %lld operators\n", printable(tern_model_signature_name(m, s)).c_str(),
                  (long long)nodes, (long long)operators);
      print_tensors("input", inputs, true);
      print_tensors("output", outputs, false);
    }
  }
  if (json) {
    j.end();
    json_tensors(j, "parameters", parameters, false, true);
    json_tensors(j, "states", states, false, true);
    j.begin_object("metadata");
  } else {
    std::printf("  parameters\n");
    for (const auto& [kind, sum] : sums)
      std::printf("    %-12s %5lld tensors, %lld numbers, %s\n", kind.c_str(), (long long)sum.tensors,
                  (long long)sum.elements, bytes_text((double)sum.bytes).c_str());
    if (a.has("--tensors"))
      for (const auto& p : parameters)
        std::printf("    %-40s %s %s\n", printable(p.name, 80).c_str(), tensor_text(p.dtype, p.dims, p.rank).c_str(),
                    p.encoding);
    if (!states.empty()) std::printf("  states\n");
    print_tensors("state", states, false);
    if (tern_model_num_metadata(m)) std::printf("  metadata\n");
  }
  for (int32_t i = 0; i < tern_model_num_metadata(m); ++i) {
    const char *key = nullptr, *value = nullptr;
    if (tern_model_get_metadata(m, i, &key, &value) != TERN_OK) continue;
    if (json) {
      j.add(key, value);
    } else {
      const auto lines = std::count(value, value + std::strlen(value), '\n');
      std::printf("    %-22s %s%s\n", printable(key, 60).c_str(), printable(value, 60).c_str(),
                  lines ? (" (" + std::to_string(lines + 1) + " lines)").c_str() : "");
    }
  }
  tern_tokenizer* made = nullptr;
  const tern_status tokenizer = tern_tokenizer_create_from_model(m, &made);
  const Handle<tern_tokenizer> owner(made);
  if (json) j.end();
  if (tokenizer == TERN_OK) {
    if (json) j.add("tokens", tern_tokenizer_num_tokens(made));
    else std::printf("  tokenizer: %d tokens\n", tern_tokenizer_num_tokens(made));
  } else if (tokenizer != TERN_ERR_NOT_FOUND && tokenizer != TERN_ERR_UNSUPPORTED) {
    return report(tokenizer, a.words()[0] + ": its tokenizer");
  }
  if (json) j.print();
  return kDone;
}

}  // namespace

const Command& info_command() {
  static const Command command = {
      "info",
      "[FILE]",
      "tells what a model takes, gives and holds",
      "",
      "  tern info ssd.tern\n"
      "  tern info --task\n"
      "  tern info ssd.tern --json | python3 -m json.tool\n",
      {{"--json", nullptr, "everything, for programs"},
       {"--tensors", nullptr, "also list every parameter"},
       {"--task", nullptr, "without FILE: all keys of a task's metadata and their meaning"}},
      0,
      1,
      run};
  return command;
}

}  // namespace tern::cli
