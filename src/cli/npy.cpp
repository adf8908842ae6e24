// SPDX-License-Identifier: Apache-2.0
#include "cli/npy.h"

#include <sys/stat.h>

#include <cstdio>

namespace tern::cli {
namespace {

struct Kind {
  char letter;  // of NumPy
  int32_t dtype;
};
constexpr Kind kKinds[] = {{'f', TERN_DTYPE_F32}, {'f', TERN_DTYPE_F16}, {'f', TERN_DTYPE_F64}, {'i', TERN_DTYPE_I8},
                           {'u', TERN_DTYPE_U8},  {'i', TERN_DTYPE_I16}, {'u', TERN_DTYPE_U16}, {'i', TERN_DTYPE_I32},
                           {'u', TERN_DTYPE_U32}, {'i', TERN_DTYPE_I64}, {'u', TERN_DTYPE_U64}, {'b', TERN_DTYPE_BOOL}};

}  // namespace

bool read_npy(tern_context* context, const std::string& path, Handle<tern_tensor>* tensor) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    complain("%s: there is no such file", path.c_str());
    return false;
  }
  tern_tensor* made = nullptr;
  if (tern_tensor_load_npy(context, path.c_str(), &made) != TERN_OK) {
    complain("%s", tern_last_error_message());
    return false;
  }
  tensor->reset(made);
  return true;
}

bool write_npy(const std::string& path, const tern_tensor* tensor) {
  int32_t dtype = tern_tensor_dtype(tensor);
  const void* data = tern_tensor_const_data(tensor);
  size_t bytes = tern_tensor_bytes(tensor);
  std::vector<uint32_t> widened;
  if (dtype == TERN_DTYPE_BF16) {
    const uint16_t* from = (const uint16_t*)data;
    widened.resize(bytes / 2);
    for (size_t i = 0; i < widened.size(); ++i) widened[i] = (uint32_t)from[i] << 16;
    dtype = TERN_DTYPE_F32;
    data = widened.data();
    bytes *= 2;
  }
  char letter = 'f';
  for (const Kind& k : kKinds)
    if (k.dtype == dtype) letter = k.letter;
  const size_t size = tern_dtype_size(dtype);
  std::string dict = std::string("{'descr': '") + (size == 1 ? '|' : '<') + letter + std::to_string(size) +
                     "', 'fortran_order': False, 'shape': (";
  for (int32_t a = 0; a < tern_tensor_rank(tensor); ++a)
    dict += std::to_string(tern_tensor_dim(tensor, a)) + (a == 0 || a + 1 < tern_tensor_rank(tensor) ? "," : "");
  dict += "), }";
  while ((10 + dict.size() + 1) % 64) dict += ' ';
  dict += '\n';
  std::string head("\x93NUMPY\x01\x00", 8);
  head += (char)(dict.size() & 255);
  head += (char)(dict.size() >> 8);
  return write_whole_file(path, head + dict, data, bytes);
}

}  // namespace tern::cli
