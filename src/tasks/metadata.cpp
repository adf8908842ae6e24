// SPDX-License-Identifier: Apache-2.0
#include "tasks/metadata.h"

#include <charconv>
#include <cstring>

namespace tern {

tern_status read_text(const ModelDef& model, const char* key, const char* fallback, std::string* out) {
  if (const std::string* v = find_metadata(model, key)) return *out = *v, TERN_OK;
  if (!fallback)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "the model's metadata has no '%s': import the model with a recipe for this task", key);
  *out = fallback;
  return TERN_OK;
}

tern_status read_numbers(const ModelDef& model, const char* key, const char* fallback, size_t count,
                         std::vector<double>* out) {
  std::string text;
  TERN_TRY(read_text(model, key, fallback, &text));
  out->clear();
  const char *p = text.data(), *end = p + text.size();
  while (p < end) {
    double v = 0;
    const auto r = std::from_chars(p, end, v);
    if (r.ec != std::errc() || !(v == v) || (r.ptr < end && *r.ptr != ',') || out->size() == 4096)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' is '%.60s': numbers separated by commas are needed", key,
                       text.c_str());
    out->push_back(v);
    p = r.ptr < end ? r.ptr + 1 : end;
  }
  if (count && out->size() != count)
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' is '%.60s': %zu numbers are needed", key, text.c_str(), count);
  return TERN_OK;
}

tern_status read_number(const ModelDef& model, const char* key, const char* fallback, double min, double max,
                        double* out) {
  std::vector<double> v;
  TERN_TRY(read_numbers(model, key, fallback, 1, &v));
  if (v[0] < min || v[0] > max)
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' is %g: %g to %g is allowed", key, v[0], min, max);
  *out = v[0];
  return TERN_OK;
}

tern_status read_choice(const ModelDef& model, const char* key, const char* fallback,
                        std::initializer_list<const char*> words, int* out) {
  std::string text;
  TERN_TRY(read_text(model, key, fallback, &text));
  int i = 0;
  for (const char* w : words) {
    if (text == w) return *out = i, TERN_OK;
    ++i;
  }
  return TERN_FAIL(TERN_ERR_UNSUPPORTED, "metadata '%s' is '%.60s', which this version does not know", key,
                   text.c_str());
}

std::vector<std::string> read_lines(const ModelDef& model, const char* key) {
  std::vector<std::string> lines;
  if (const std::string* v = find_metadata(model, key)) {
    std::string line;
    for (const char c : *v) {
      if (c == '\r') continue;
      if (c == '\n') lines.push_back(std::move(line)), line.clear();
      else line += c;
    }
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

tern_status require_task(const ModelDef& model, const char* task, const char* what) {
  const std::string* t = find_metadata(model, "task");
  if (t && *t == task) return TERN_OK;
  return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                   "the model is not %s: its metadata says task = '%.40s', '%s' is needed (see `tern import --recipe`)",
                   what, t ? t->c_str() : "", task);
}

tern_status find_output(const Signature& signature, const std::string& name, int* index) {
  for (size_t i = 0; i < signature.output_names.size(); ++i)
    if (signature.output_names[i] == name) return *index = (int)i, TERN_OK;
  return TERN_FAIL(TERN_ERR_CORRUPT, "the metadata names the output '%.60s', which signature '%s' does not have",
                   name.c_str(), signature.name.c_str());
}

tern_status find_task_signature(const ModelDef& model, int32_t* index) {
  std::string name;
  TERN_TRY(read_text(model, "task.signature", "", &name));
  for (size_t i = 0; i < model.signatures.size(); ++i)
    if (name.empty() || model.signatures[i].name == name) return *index = (int32_t)i, TERN_OK;
  return TERN_FAIL(TERN_ERR_CORRUPT, "the metadata names the signature '%.60s', which the model does not have",
                   name.c_str());
}

}  // namespace tern
