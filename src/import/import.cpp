// SPDX-License-Identifier: Apache-2.0
// The C calls of libtern_import.
#include "tern/import.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "format/writer.h"
#include "import/importer.h"

namespace tern {

constexpr uint64_t kDefaultMaxFile = 64ull << 30;

tern_status import_model(std::span<const uint8_t> file, const ImportOptions& options, ModelDef* out) {
  if (file.empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "the file is empty");
  if (file.size() >= 8 && std::memcmp(file.data() + 4, "TFL3", 4) == 0) return import_tflite(file, options, out);
  if (file.size() >= 4 && std::memcmp(file.data(), "GGUF", 4) == 0) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "a GGUF file; ONNX and TFLite files are read");
  if (file.size() >= 4 && std::memcmp(file.data(), "PK\3\4", 4) == 0) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "an archive; ONNX and TFLite files are read");
  if (file.size() >= 6 && std::memcmp(file.data(), "TERN\r\n", 6) == 0) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "it is a .tern file already; ONNX and TFLite files are read");
  return import_onnx(file, options, out);
}

namespace {

struct Close {
  void operator()(FILE* f) const { std::fclose(f); }
};

tern_status read_file(const char* path, uint64_t limit, std::vector<uint8_t>* out) {
  std::unique_ptr<FILE, Close> f(std::fopen(path, "rb"));
  if (!f) return TERN_FAIL(errno == ENOENT ? TERN_ERR_NOT_FOUND : TERN_ERR_IO, "cannot open '%.200s': %s", path, std::strerror(errno));
  // Grows with what is really there: sizes that the system reports for devices and pipes mean nothing.
  constexpr size_t kStep = 4 << 20;
  size_t used = 0;
  while (true) {
    if (out->size() - used < kStep) out->resize(out->size() + std::max(out->size() / 2, kStep));
    const size_t got = std::fread(out->data() + used, 1, kStep, f.get());
    used += got;
    if (used > limit) return TERN_FAIL(TERN_ERR_LIMIT, "'%.200s' is larger than the limit of %" PRIu64 " bytes", path, limit);
    if (got < kStep) break;
  }
  if (std::ferror(f.get())) return TERN_FAIL(TERN_ERR_IO, "cannot read '%.200s': %s", path, std::strerror(errno));
  out->resize(used);
  return TERN_OK;
}

tern_status import_file(const char* source, const char* output, const tern_import_options* o) {
  if (!source || !output) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_file: source and output must be given");
  tern_import_options given = TERN_IMPORT_OPTIONS_INIT;
  if (o) {
    if (o->struct_size < 8) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_file: options->struct_size is %u", o->struct_size);
    const unsigned char* bytes = (const unsigned char*)o;
    for (size_t i = sizeof given; i < o->struct_size; ++i)
      if (bytes[i]) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tern_import_file: options from a newer version");
    std::memcpy(&given, o, std::min<size_t>(sizeof given, o->struct_size));
    if (given.flags) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_file: unknown flags 0x%x", given.flags);
  }
  ImportOptions options;
  if (given.input_shapes) options.input_shapes = given.input_shapes;
  if (given.recipe) options.recipe = given.recipe;
  if (given.labels) options.labels = given.labels;
  options.max_file_bytes = given.max_file_bytes ? given.max_file_bytes : kDefaultMaxFile;
  if (!given.labels) {
    // A label file often lies beside its model: the same name with the ending .txt.
    std::string beside = source;
    const size_t dot = beside.rfind('.');
    if (dot != std::string::npos && beside.find('/', dot) == std::string::npos) {
      beside.replace(dot, std::string::npos, ".txt");
      std::vector<uint8_t> text;
      if (beside != source && read_file(beside.c_str(), 1 << 20, &text) == TERN_OK) options.labels.assign(text.begin(), text.end());
    }
  }
  std::vector<uint8_t> file;
  TERN_TRY(read_file(source, options.max_file_bytes, &file));
  ModelDef model;
  TERN_TRY(import_model(file, options, &model));
  file = {};
  return write_model(model, output);
}

}  // namespace
}  // namespace tern

extern "C" tern_status tern_import_options_init(tern_import_options* options, size_t size) noexcept {
  const tern_import_options defaults = TERN_IMPORT_OPTIONS_INIT;
  if (!options || size < 8 || size > sizeof defaults)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_import_options_init: %s", options ? "size" : "options is NULL");
  std::memcpy(options, &defaults, size);
  options->struct_size = (uint32_t)size;
  return TERN_OK;
}

extern "C" tern_status tern_import_file(const char* source, const char* output, const tern_import_options* options) noexcept {
  try {
    return tern::import_file(source, output, options);
  } catch (const std::bad_alloc&) {
    return TERN_FAIL(TERN_ERR_MEMORY, "no memory to import '%.200s'", source ? source : "");
  } catch (...) {
    return TERN_FAIL(TERN_ERR_INTERNAL, "unexpected exception while importing '%.200s'", source ? source : "");
  }
}

extern "C" const char* tern_import_error(void) noexcept { return tern::thread_error().message; }
