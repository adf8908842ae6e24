// SPDX-License-Identifier: Apache-2.0
#include "backends/onednn/dnnl_api.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <mutex>

namespace tern::onednn {
namespace {

constexpr const char* kNames[] = {
    "dnnl_version",
    "dnnl_engine_create",
    "dnnl_engine_destroy",
    "dnnl_stream_create",
    "dnnl_stream_destroy",
    "dnnl_memory_desc_create_with_strides",
    "dnnl_memory_desc_create_with_tag",
    "dnnl_memory_desc_destroy",
    "dnnl_memory_desc_get_size",
    "dnnl_memory_desc_equal",
    "dnnl_memory_create",
    "dnnl_memory_set_data_handle",
    "dnnl_memory_destroy",
    "dnnl_post_ops_create",
    "dnnl_post_ops_destroy",
    "dnnl_post_ops_append_eltwise",
    "dnnl_post_ops_append_binary",
    "dnnl_post_ops_append_prelu",
    "dnnl_primitive_attr_create",
    "dnnl_primitive_attr_destroy",
    "dnnl_primitive_attr_set_post_ops",
    "dnnl_primitive_attr_set_scratchpad_mode",
    "dnnl_convolution_forward_primitive_desc_create",
    "dnnl_matmul_primitive_desc_create",
    "dnnl_reorder_primitive_desc_create",
    "dnnl_primitive_desc_query_md",
    "dnnl_primitive_desc_query",
    "dnnl_primitive_desc_destroy",
    "dnnl_primitive_create",
    "dnnl_primitive_execute",
    "dnnl_primitive_destroy",
};
constexpr size_t kNumNames = sizeof kNames / sizeof *kNames;
static_assert(sizeof(Api) == kNumNames * sizeof(void*));

constinit std::mutex g_mutex;
void* g_library = nullptr;
Api g_api = {};
// Of the library's own OpenMP; NULL where it was built without.
int (*g_omp_get_max_threads)() = nullptr;
void (*g_omp_set_num_threads)(int) = nullptr;

// Fills g_api; the reason why this library cannot be used, or NULL.
const char* bind(void* library) {
  g_omp_get_max_threads = nullptr;
  g_omp_set_num_threads = nullptr;
  void* functions[kNumNames];
  for (size_t i = 0; i < kNumNames; ++i) {
    functions[i] = dlsym(library, kNames[i]);
    if (!functions[i]) return "is not oneDNN of version 3";
  }
  __builtin_memcpy((void*)&g_api, functions, sizeof g_api);
  const Version& v = *g_api.version();
  if (v.major != 3) return "is oneDNN of another version than 3";
  if (v.cpu_runtime == kSequential) return nullptr;
  if (v.cpu_runtime != kOpenMp) return "was built for TBB or for threads of the application, not for OpenMP";
  // A search from this handle sees what the library itself depends on.
  g_omp_get_max_threads = (int (*)())dlsym(library, "omp_get_max_threads");
  g_omp_set_num_threads = (void (*)(int))dlsym(library, "omp_set_num_threads");
  return g_omp_get_max_threads && g_omp_set_num_threads ? nullptr : "comes without its OpenMP library";
}

}  // namespace

tern_status open_library() {
  std::lock_guard<std::mutex> lock(g_mutex);
  if (g_library) return TERN_OK;
  const char* file = secure_getenv("TERN_ONEDNN_LIBRARY");
  const bool named = file && *file;
  if (!named) file = "libdnnl.so.3";
  void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    if (named)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "oneDNN: TERN_ONEDNN_LIBRARY cannot be opened: %s", why ? why : file);
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "oneDNN is not installed: set TERN_ONEDNN_LIBRARY to a libdnnl.so.3 (pip: onednn-cpu-gomp)");
  }
  if (const char* why = bind(library)) {
    const tern_status status = TERN_FAIL(TERN_ERR_UNSUPPORTED, "oneDNN: %s %s", file, why);
    dlclose(library);
    return status;
  }
  g_library = library;
  return TERN_OK;
}

const Api& api() { return g_api; }

OneThread::OneThread() {
  if (!g_omp_set_num_threads) return;
  before_ = g_omp_get_max_threads();
  if (before_ != 1) g_omp_set_num_threads(1);
}

OneThread::~OneThread() {
  if (before_ > 1) g_omp_set_num_threads(before_);
}

tern_status check(int result, const char* what) {
  if (result == kOk) return TERN_OK;
  if (result == kOutOfMemory) return TERN_FAIL(TERN_ERR_MEMORY, "oneDNN: no memory for %s", what);
  if (result == kUnimplemented) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "oneDNN has no %s like this", what);
  return TERN_FAIL(TERN_ERR_DRIVER, "oneDNN: %s failed with %d", what, result);
}

}  // namespace tern::onednn
