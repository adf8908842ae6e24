// SPDX-License-Identifier: Apache-2.0
// The C calls of libtern_import.
#include "tern/import.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>

#include "base/capability.h"
#include "base/file.h"
#include "format/reader.h"
#include "format/writer.h"
#include "graph/task_metadata.h"
#include "import/gguf.h"
#include "import/hf_model.h"
#include "import/importer.h"
#include "import/recipes.h"
#include "text/json.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_json.h"

namespace tern {

constexpr size_t kMaxStruct = 65536;  // no version comes near it
constexpr uint64_t kMaxTokenizer = 256 << 20;
constexpr size_t kFirstOptions = offsetof(tern_import_options, task);  // of the first version

tern_status import_model(std::span<const uint8_t> file, const ImportOptions& options, ModelDef* out) {
  if (file.empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "the file is empty");
  if (file.size() >= 4 && std::memcmp(file.data(), "GGUF", 4) == 0) return import_gguf(file, options, out);
  if (file.size() >= 4 && std::memcmp(file.data(), "PK\3\4", 4) == 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "an archive; ONNX, TFLite and GGUF files and Hugging Face folders are read");
  if (file.size() >= 6 && std::memcmp(file.data(), "TERN\r\n", 6) == 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "it is a .tern file already; ONNX, TFLite and GGUF files and Hugging Face folders are read");
  if (file.size() >= 9 && file[8] == '{' && file[6] == 0 && file[7] == 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "a safetensors file holds weights alone: give its folder, which has config.json, too");
  for (const std::string* o : {&options.weights, &options.cache, &options.activations})
    if (!o->empty())
      return TERN_FAIL(
          TERN_ERR_INVALID_ARGUMENT,
          "weights, cache and activations are chosen for language models, which are GGUF files and Hugging "
          "Face folders: '%.60s' has no meaning here",
          o->c_str());
  if (file.size() >= 8 && std::memcmp(file.data() + 4, "TFL3", 4) == 0) return import_tflite(file, options, out);
  return import_onnx(file, options, out);
}

tern_status keep_tokenizer(tokens::TokenizerDef def, ModelDef* model) {
  if constexpr (!has_capability(Capability::text))
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "tokenizers are left out of this build of Tern, the CMake option %s brings them",
                     option_of(Capability::text));
  std::string stored;
  tokens::store_tokenizer(def, &stored);
  std::shared_ptr<const tokens::Tokenizer> proof;
  TERN_TRY(tokens::Tokenizer::create(std::move(def), &proof));
  void* data = nullptr;
  model->tokenizer = make_data(stored.size(), &data);
  model->tokenizer_bytes = stored.size();
  std::memcpy(data, stored.data(), stored.size());
  return TERN_OK;
}

namespace {

// "KEY=VALUE" lines.
tern_status read_settings(const char* text, std::vector<std::pair<std::string, std::string>>* out) {
  for (const char* p = text; p && *p;) {
    const char* end = std::strchr(p, '\n');
    const std::string line(p, end ? (size_t)(end - p) : std::strlen(p));
    p = end ? end + 1 : nullptr;
    if (line.empty()) continue;
    const size_t equal = line.find('=');
    if (equal == std::string::npos || equal == 0)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the setting '%.60s' is not KEY=VALUE", line.c_str());
    std::string value = line.substr(equal + 1);
    for (size_t at = 0; (at = value.find("\\n", at)) != std::string::npos;) value.replace(at, 2, "\n");
    out->emplace_back(line.substr(0, equal), std::move(value));
  }
  return TERN_OK;
}

tern_status read_recipe_file(ImportOptions* options) {
  const std::string path = options->recipe;
  if (path.size() < 8 || path.compare(path.size() - 7, 7, ".recipe") != 0) return TERN_OK;
  Bytes text;
  TERN_TRY(load_file(path.c_str(), LoadMode::copy, 1 << 20, &text));
  options->recipe_text.assign((const char*)text.data, text.size);
  const size_t slash = path.rfind('/');
  options->recipe = path.substr(slash == std::string::npos ? 0 : slash + 1);
  options->recipe.resize(options->recipe.size() - 7);
  return TERN_OK;
}

tern_status edit_file(const char* source, const char* output, const char* settings) {
  if (!source || !output || !settings)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_edit: source, output and settings must be given");
  std::vector<std::pair<std::string, std::string>> list;
  TERN_TRY(read_settings(settings, &list));
  Bytes file;
  TERN_TRY(load_file(source, LoadMode::map, UINT64_MAX, &file));
  ModelDef model;
  TERN_TRY(read_model(file, resolve_limits(nullptr), &model));
  for (auto& [key, value] : list) TERN_TRY(set_task_key(&model, key, std::move(value)));
  return write_model(model, output);
}

// Which tokens begin and end texts, of the content of a file tokenizer_config.json.
tern_status read_roles(std::string_view config, tokens::TokenizerDef* def) {
  Json json;
  TERN_TRY(json.parse(config, {.depth = 16, .values = 4u << 20, .bytes = kMaxTokenizer}));
  const std::pair<const char*, int32_t*> kRoles[] = {
      {"bos_token", &def->bos}, {"eos_token", &def->eos}, {"pad_token", &def->pad}};
  for (const auto& [key, id] : kRoles) {
    const JsonValue value = json.root()[key];
    const std::string_view text = value.is(JsonKind::object) ? value["content"].string() : value.string();
    for (const tokens::AddedToken& t : def->added)
      if (t.text == text) *id = (int32_t)t.id;
  }
  return TERN_OK;
}

// Of the contents of the files tokenizer.json and, if there is one, tokenizer_config.json.
tern_status make_stored_tokenizer(std::string_view json, std::string_view config, ModelDef* model) {
  tokens::TokenizerDef def;
  TERN_TRY(tokens::read_tokenizer_json(json, &def));
  if (!config.empty()) TERN_TRY(read_roles(config, &def));
  return keep_tokenizer(std::move(def), model);
}

tern_status set_tokenizer(const char* source, const char* output, const void* json, size_t bytes) {
  if (!source || !output)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_set_tokenizer: source and output must be given");
  Bytes file;
  TERN_TRY(load_file(source, LoadMode::map, UINT64_MAX, &file));
  ModelDef model;
  TERN_TRY(read_model(file, resolve_limits(nullptr), &model));
  model.tokenizer = {};
  model.tokenizer_bytes = 0;
  if (json) TERN_TRY(make_stored_tokenizer({static_cast<const char*>(json), bytes}, {}, &model));
  return write_model(model, output);
}

// The folder of a model in Hugging Face's format: `source` itself, or where config.json lies. "" = it is no such.
std::string hf_folder(const std::string& source) {
  struct stat about;
  if (::stat(source.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) return source;
  const size_t slash = source.rfind('/');
  if (source.substr(slash == std::string::npos ? 0 : slash + 1) != "config.json") return "";
  return slash == std::string::npos ? "." : source.substr(0, slash + 1);
}

// With the tokenizer of the folder, if it has one.
tern_status import_folder(const std::string& folder, const ImportOptions& options, ModelDef* model) {
  TERN_TRY(import_hf_folder(folder, options, model));
  if constexpr (!has_capability(Capability::text)) return TERN_OK;
  Bytes json, config;
  const uint64_t most = std::min(kMaxTokenizer, options.max_file_bytes);
  const tern_status found = load_file((folder + "/tokenizer.json").c_str(), LoadMode::copy, most, &json);
  if (found == TERN_ERR_NOT_FOUND) return TERN_OK;
  TERN_TRY(found);
  const tern_status told = load_file((folder + "/tokenizer_config.json").c_str(), LoadMode::copy, most, &config);
  if (told != TERN_ERR_NOT_FOUND) TERN_TRY(told);
  const tern_status s = make_stored_tokenizer({(const char*)json.data, (size_t)json.size},
                                              {(const char*)config.data, (size_t)config.size}, model);
  if (s == TERN_OK) return TERN_OK;
  const std::string why = thread_error().message;
  return TERN_FAIL(s, "tokenizer.json: %s. (Without this file the model is imported without a tokenizer)", why.c_str());
}

tern_status import_file(const char* source, const char* output, const tern_import_options* o) {
  if (!source || !output)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_file: source and output must be given");
  tern_import_options given = TERN_IMPORT_OPTIONS_INIT;
  if (o) {
    if (o->struct_size < kFirstOptions || o->struct_size > kMaxStruct)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                       "tern_import_options: struct_size is %u, expected is %zu: set it with TERN_IMPORT_OPTIONS_INIT",
                       o->struct_size, sizeof given);
    const size_t size = std::min<size_t>(o->struct_size, sizeof given);
    const unsigned char* bytes = (const unsigned char*)o;
    for (size_t i = sizeof given; i < o->struct_size; ++i)
      if (bytes[i])
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                         "tern_import_options: a field is set that this version does not know");
    std::memcpy(&given, o, size);
    if (given.flags) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_file: unknown flags 0x%x", given.flags);
  }
  ImportOptions options;
  if (given.input_shapes) options.input_shapes = given.input_shapes;
  if (given.input_values) options.input_values = given.input_values;
  if (given.recipe) options.recipe = given.recipe;
  if (given.task) options.task = given.task;
  TERN_TRY(read_settings(given.settings, &options.settings));
  TERN_TRY(read_recipe_file(&options));
  if (given.labels) options.labels = given.labels;
  if (given.weights) options.weights = given.weights;
  if (given.cache) options.cache = given.cache;
  if (given.activations) options.activations = given.activations;
  if (given.max_file_bytes) options.max_file_bytes = given.max_file_bytes;
  ModelDef model;
  if (const std::string folder = hf_folder(source); !folder.empty()) {
    TERN_TRY(import_folder(folder, options, &model));
    return write_model(model, output);
  }
  const std::string_view path = source;
  const size_t slash = path.rfind('/');
  options.folder = slash == std::string_view::npos ? "." : path.substr(0, slash + 1);
  if (!given.labels) {
    // A label file often lies beside its model: the same name with the ending .txt.
    std::string beside = source;
    const size_t dot = beside.rfind('.');
    if (dot != std::string::npos && beside.find('/', dot) == std::string::npos) {
      beside.replace(dot, std::string::npos, ".txt");
      Bytes text;
      if (beside != source && load_file(beside.c_str(), LoadMode::copy, 1 << 20, &text) == TERN_OK)
        options.labels.assign((const char*)text.data, text.size);
    }
  }
  Bytes file;
  TERN_TRY(load_file(source, LoadMode::copy, options.max_file_bytes, &file));
  TERN_TRY(import_model({file.data, file.size}, options, &model));
  file = {};
  return write_model(model, output);
}

}  // namespace
}  // namespace tern

extern "C" tern_status tern_import_options_init(tern_import_options* options, size_t size) noexcept {
  const tern_import_options defaults = TERN_IMPORT_OPTIONS_INIT;
  if (!options || size < tern::kFirstOptions || size > tern::kMaxStruct)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_options_init: %s", options ? "size" : "options is NULL");
  std::memset(options, 0, size);
  std::memcpy(options, &defaults, std::min(size, sizeof defaults));
  options->struct_size = (uint32_t)size;
  return TERN_OK;
}

namespace {

template <class F>
tern_status guard(const char* what, const char* source, F&& f) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return TERN_FAIL(TERN_ERR_MEMORY, "no memory to %s '%.200s'", what, source ? source : "");
  } catch (...) {
    return TERN_FAIL(TERN_ERR_INTERNAL, "unexpected exception: %s '%.200s'", what, source ? source : "");
  }
}

}  // namespace

extern "C" tern_status tern_import_file(const char* source, const char* output,
                                        const tern_import_options* options) noexcept {
  return guard("import", source, [&] { return tern::import_file(source, output, options); });
}

extern "C" tern_status tern_import_edit(const char* source, const char* output, const char* settings) noexcept {
  return guard("edit", source, [&] { return tern::edit_file(source, output, settings); });
}

extern "C" tern_status tern_import_set_tokenizer(const char* source, const char* output, const void* json,
                                                 size_t bytes) noexcept {
  return guard("set the tokenizer of", source, [&] { return tern::set_tokenizer(source, output, json, bytes); });
}

extern "C" int32_t tern_import_num_task_keys(void) noexcept { return (int32_t)tern::task_keys().size(); }

extern "C" tern_status tern_import_get_task_key(int32_t index, tern_task_key* key) noexcept {
  const auto keys = tern::task_keys();
  if (!key || key->struct_size < sizeof *key)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_get_task_key: set the key with TERN_TASK_KEY_INIT");
  if (index < 0 || (size_t)index >= keys.size())
    return TERN_FAIL(TERN_ERR_INDEX, "there is no task key %d of %zu", index, keys.size());
  constexpr const char* kKinds[] = {"text", "choice", "number", "numbers", "lines", "output", "anchors"};
  const tern::TaskKey& k = keys[(size_t)index];
  key->name = k.name, key->kind = kKinds[(size_t)k.kind], key->fallback = k.fallback, key->words = k.words;
  key->about = k.about, key->min = k.min, key->max = k.max;
  return TERN_OK;
}

extern "C" int32_t tern_import_num_recipes(void) noexcept {
  int32_t n = 0;
  (void)guard("list", "recipes", [&] { return n = (int32_t)tern::recipe_summaries().size(), TERN_OK; });
  return n;
}

extern "C" tern_status tern_import_get_recipe(int32_t index, tern_recipe* recipe) noexcept {
  if (!recipe || recipe->struct_size < sizeof *recipe)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_get_recipe: set the recipe with TERN_RECIPE_INIT");
  return guard("list", "recipes", [&]() -> tern_status {
    const auto list = tern::recipe_summaries();
    if (index < 0 || (size_t)index >= list.size())
      return TERN_FAIL(TERN_ERR_INDEX, "there is no recipe %d of %zu", index, list.size());
    const tern::RecipeSummary& r = list[(size_t)index];
    recipe->name = r.name.c_str(), recipe->task = r.task.c_str(), recipe->about = r.about.c_str();
    return TERN_OK;
  });
}

extern "C" const char* tern_import_error(void) noexcept { return tern::thread_error().message; }
