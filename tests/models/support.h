// SPDX-License-Identifier: Apache-2.0
// What the tests of real models share: the public API with owners, files, skipping aloud.
#pragma once
#include <gtest/gtest.h>
#include <tern/import.h>
#include <tern/tern.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "models/json.h"

#define ASSERT_OK(call) ASSERT_EQ((call), TERN_OK) << tern_last_error_message()
#define EXPECT_OK(call) EXPECT_EQ((call), TERN_OK) << tern_last_error_message()
#define TERN_SKIP(text)                        \
  do {                                         \
    const std::string why = text;              \
    std::printf("SKIPPED: %s\n", why.c_str()); \
    GTEST_SKIP() << why;                       \
  } while (false)

namespace tern::test {

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* p) const {
    release(p);
  }
};
using Context = std::unique_ptr<tern_context, Release<tern_context_release>>;
using Model = std::unique_ptr<tern_model, Release<tern_model_release>>;
using Session = std::unique_ptr<tern_session, Release<tern_session_release>>;
using Tensor = std::unique_ptr<tern_tensor, Release<tern_tensor_release>>;
using ResultTensor = std::unique_ptr<const tern_tensor, Release<tern_tensor_release>>;

inline std::string source_folder() { return TERN_SOURCE_DIR; }

// Folder of the fetched models and photographs.
inline std::string cache_folder() {
  if (const char* given = std::getenv("TERN_CACHE")) return given;
  const char* home = std::getenv("HOME");
  return std::string(home ? home : ".") + "/.cache/tern";
}

// Can sessions use oneDNN? Its library is the system's, or the one that tests/setup put beside the models. Tells why
// not.
inline bool has_onednn() {
  static const bool found = [] {
    const std::string library = cache_folder() + "/onednn/lib/libdnnl.so.3";
    if (std::filesystem::exists(library)) setenv("TERN_ONEDNN_LIBRARY", library.c_str(), 0);
    tern_context* made = nullptr;
    if (tern_context_create(nullptr, &made) != TERN_OK) return false;
    const Context context(made);
    for (int32_t i = 0; i < tern_context_num_devices(made); ++i) {
      tern_device_info info = TERN_DEVICE_INFO_INIT;
      if (tern_context_get_device(made, i, &info) != TERN_OK || std::string(info.backend) != "onednn") continue;
      if (!info.available) std::printf("SKIPPED: the oneDNN backend: %s\n", info.reason);
      return info.available != 0;
    }
    return false;
  }();
  return found;
}

// By its name in a golden file: with a slash below the sources, else among the fetched ones.
inline std::string model_path(const std::string& name) {
  return name.find('/') != std::string::npos ? source_folder() + "/" + name : cache_folder() + "/models/" + name;
}

// Imports a model into a folder that goes with the process; once for each source, shape and settings.
inline void import_model(const std::string& source, const std::string& shapes, std::string* out,
                         const std::string& settings = "", const std::string& task = "") {
  struct Folder {
    std::filesystem::path path;
    Folder() {
      std::string name = (std::filesystem::temp_directory_path() / "tern-models-XXXXXX").string();
      if (mkdtemp(name.data())) path = name;
    }
    ~Folder() {
      std::error_code ignored;
      if (!path.empty()) std::filesystem::remove_all(path, ignored);
    }
  };
  static Folder folder;
  ASSERT_FALSE(folder.path.empty()) << "no temporary folder";
  std::string name = std::filesystem::path(source).stem().string();
  if (!(shapes + settings).empty())
    name.append("-").append(std::to_string(std::hash<std::string>()(shapes + "/" + settings)));
  *out = (folder.path / (name + ".tern")).string();
  if (std::filesystem::exists(*out)) return;
  tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
  if (!shapes.empty()) options.input_shapes = shapes.c_str();
  if (!settings.empty()) options.settings = settings.c_str();
  if (!task.empty()) options.task = task.c_str();
  std::string labels;
  const std::string label_file = std::filesystem::path(source).replace_extension(".txt").string();
  if (FILE* f = std::fopen(label_file.c_str(), "rb")) {
    char block[4096];
    for (size_t got; (got = std::fread(block, 1, sizeof block, f)) > 0;) labels.append(block, got);
    std::fclose(f);
    options.labels = labels.c_str();
  }
  ASSERT_EQ(tern_import_file(source.c_str(), out->c_str(), &options), TERN_OK) << tern_import_error();
}

inline void load(const std::string& file, int threads, Context* context, Model* model) {
  tern_context_options options = TERN_CONTEXT_OPTIONS_INIT;
  options.num_threads = threads;
  tern_context* made = nullptr;
  if (!*context) {
    ASSERT_OK(tern_context_create(&options, &made));
    context->reset(made);
  }
  tern_model* loaded = nullptr;
  ASSERT_OK(tern_model_load_file(context->get(), file.c_str(), nullptr, &loaded)) << file;
  model->reset(loaded);
}

// Version 1.0, C order, "|u1" or "<f4", as floats.
inline bool read_npy(const std::string& path, std::vector<float>* out) {
  std::string bytes;
  FILE* f = std::fopen(path.c_str(), "rb");
  if (!f) return false;
  char block[1 << 14];
  for (size_t got; (got = std::fread(block, 1, sizeof block, f)) > 0;) bytes.append(block, got);
  std::fclose(f);
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY\x01", 7) != 0) return false;
  const size_t start = 10u + (unsigned char)bytes[8] + 256u * (unsigned char)bytes[9];
  if (start > bytes.size()) return false;
  const std::string header = bytes.substr(10, start - 10);
  const size_t n = bytes.size() - start;
  if (header.find("'fortran_order': False") == std::string::npos) return false;
  if (header.find("|u1") != std::string::npos) {
    out->resize(n);
    for (size_t i = 0; i < n; ++i) (*out)[i] = (float)(unsigned char)bytes[start + i];
  } else if (header.find("<f4") != std::string::npos) {
    out->resize(n / 4);
    std::memcpy(out->data(), bytes.data() + start, out->size() * 4);
  } else {
    return false;
  }
  return true;
}

}  // namespace tern::test
