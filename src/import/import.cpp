// SPDX-License-Identifier: Apache-2.0
// The C calls of libtern_import.
#include "tern/import.h"

#include <cstring>
#include <new>

#include "base/file.h"
#include "format/writer.h"
#include "import/importer.h"

namespace tern {

constexpr size_t kMaxStruct = 65536;  // no version comes near it

tern_status import_model(std::span<const uint8_t> file, const ImportOptions& options, ModelDef* out) {
  if (file.empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "the file is empty");
  if (file.size() >= 8 && std::memcmp(file.data() + 4, "TFL3", 4) == 0) return import_tflite(file, options, out);
  if (file.size() >= 4 && std::memcmp(file.data(), "GGUF", 4) == 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "a GGUF file; ONNX and TFLite files are read");
  if (file.size() >= 4 && std::memcmp(file.data(), "PK\3\4", 4) == 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "an archive; ONNX and TFLite files are read");
  if (file.size() >= 6 && std::memcmp(file.data(), "TERN\r\n", 6) == 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "it is a .tern file already; ONNX and TFLite files are read");
  return import_onnx(file, options, out);
}

namespace {

tern_status import_file(const char* source, const char* output, const tern_import_options* o) {
  if (!source || !output)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_file: source and output must be given");
  tern_import_options given = TERN_IMPORT_OPTIONS_INIT;
  if (o) {
    if (o->struct_size < sizeof given || o->struct_size > kMaxStruct)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                       "tern_import_options: struct_size is %u, expected is %zu: set it with TERN_IMPORT_OPTIONS_INIT",
                       o->struct_size, sizeof given);
    const unsigned char* bytes = (const unsigned char*)o;
    for (size_t i = sizeof given; i < o->struct_size; ++i)
      if (bytes[i])
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                         "tern_import_options: a field is set that this version does not know");
    std::memcpy(&given, o, sizeof given);
    if (given.flags) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_file: unknown flags 0x%x", given.flags);
  }
  ImportOptions options;
  if (given.input_shapes) options.input_shapes = given.input_shapes;
  if (given.input_values) options.input_values = given.input_values;
  if (given.recipe) options.recipe = given.recipe;
  if (given.labels) options.labels = given.labels;
  if (given.max_file_bytes) options.max_file_bytes = given.max_file_bytes;
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
  ModelDef model;
  TERN_TRY(import_model({file.data, file.size}, options, &model));
  file = {};
  return write_model(model, output);
}

}  // namespace
}  // namespace tern

extern "C" tern_status tern_import_options_init(tern_import_options* options, size_t size) noexcept {
  const tern_import_options defaults = TERN_IMPORT_OPTIONS_INIT;
  if (!options || size < sizeof defaults || size > tern::kMaxStruct)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_options_init: %s", options ? "size" : "options is NULL");
  std::memset(options, 0, size);
  std::memcpy(options, &defaults, sizeof defaults);
  options->struct_size = (uint32_t)size;
  return TERN_OK;
}

extern "C" tern_status tern_import_file(const char* source, const char* output,
                                        const tern_import_options* options) noexcept {
  try {
    return tern::import_file(source, output, options);
  } catch (const std::bad_alloc&) {
    return TERN_FAIL(TERN_ERR_MEMORY, "no memory to import '%.200s'", source ? source : "");
  } catch (...) {
    return TERN_FAIL(TERN_ERR_INTERNAL, "unexpected exception while importing '%.200s'", source ? source : "");
  }
}

extern "C" const char* tern_import_error(void) noexcept { return tern::thread_error().message; }
