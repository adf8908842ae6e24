// SPDX-License-Identifier: Apache-2.0
#include "cli/npy.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace tern::cli {
namespace {

struct Kind {
  char letter;  // of NumPy
  int32_t dtype;
};
constexpr Kind kKinds[] = {{'f', TERN_DTYPE_F32}, {'f', TERN_DTYPE_F16}, {'f', TERN_DTYPE_F64}, {'i', TERN_DTYPE_I8},
                           {'u', TERN_DTYPE_U8},  {'i', TERN_DTYPE_I16}, {'u', TERN_DTYPE_U16}, {'i', TERN_DTYPE_I32},
                           {'u', TERN_DTYPE_U32}, {'i', TERN_DTYPE_I64}, {'u', TERN_DTYPE_U64}, {'b', TERN_DTYPE_BOOL}};

// The header of an array, a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
struct Header {
  int32_t dtype = TERN_DTYPE_NONE;
  bool swapped = false, columns_first = false;
  std::vector<int64_t> dims;
};

class HeaderParser {
 public:
  explicit HeaderParser(const std::string& text) : text_(text) {}

  // NULL, or what is wrong.
  const char* parse(Header* out) {
    bool descr = false, order = false, shape = false;
    if (!take('{')) return "the header is no dictionary";
    while (!take('}')) {
      std::string key;
      if (!word(&key) || !take(':')) return "the header is no dictionary";
      if (key == "descr" && !descr) {
        std::string type;
        if (!word(&type)) return "structured arrays are not supported";
        if (!set_type(type, out)) return "this element type is not supported";
        descr = true;
      } else if (key == "fortran_order" && !order) {
        if (take_text("True")) out->columns_first = true;
        else if (!take_text("False")) return "fortran_order is neither True nor False";
        order = true;
      } else if (key == "shape" && !shape) {
        if (!set_shape(&out->dims)) return "the shape is damaged, or has more than 8 dims";
        shape = true;
      } else {
        return "the header has an unknown or repeated key";
      }
      if (!take(',') && !at('}')) return "the header is no dictionary";
    }
    return descr && order && shape ? nullptr : "the header lacks descr, fortran_order or shape";
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool at(char c) {
    skip();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool take(char c) { return at(c) ? ++at_, true : false; }
  bool take_text(const char* word) {
    skip();
    if (text_.compare(at_, std::strlen(word), word) != 0) return false;
    at_ += std::strlen(word);
    return true;
  }
  bool word(std::string* out) {
    skip();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return false;
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string::npos || end - at_ > 64) return false;
    *out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  bool set_type(const std::string& type, Header* out) {
    if (type.size() != 3) return false;
    out->swapped = type[0] == '>';
    if (!std::strchr("<>|=", type[0])) return false;
    for (const Kind& k : kKinds)
      if (k.letter == type[1] && tern_dtype_size(k.dtype) == (size_t)(type[2] - '0')) out->dtype = k.dtype;
    return out->dtype != TERN_DTYPE_NONE;
  }
  bool set_shape(std::vector<int64_t>* dims) {
    if (!take('(')) return false;
    while (!take(')')) {
      skip();
      const size_t begin = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      if (at_ == begin || at_ - begin > 18 || dims->size() == TERN_MAX_RANK) return false;
      dims->push_back(std::atoll(text_.substr(begin, at_ - begin).c_str()));
      if (!take(',') && !at(')')) return false;
    }
    return true;
  }

  const std::string& text_;
  size_t at_ = 0;
};

struct CloseFile {
  void operator()(FILE* f) const { std::fclose(f); }
};

// From columns first to rows first.
void transpose(const std::vector<int64_t>& dims, const unsigned char* from, size_t size, unsigned char* to) {
  std::vector<int64_t> at(dims.size(), 0), stride(dims.size(), 1);
  int64_t count = 1;
  for (size_t a = 0; a < dims.size(); ++a) stride[a] = count, count *= dims[a];
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = 0;
    for (size_t a = 0; a < dims.size(); ++a) offset += at[a] * stride[a];
    std::memcpy(to + (size_t)i * size, from + (size_t)offset * size, size);
    for (size_t a = dims.size(); a-- > 0 && ++at[a] == dims[a];) at[a] = 0;
  }
}

// NULL, or what is wrong.
const char* read(FILE* f, uint64_t file_bytes, tern_context* context, Handle<tern_tensor>* tensor) {
  unsigned char start[12];
  if (std::fread(start, 1, 10, f) != 10 || std::memcmp(start, "\x93NUMPY", 6) != 0) return "this is no .npy file";
  if (start[6] < 1 || start[6] > 3) return "this version of .npy is not known";
  uint64_t begin = 10, length = start[8] | (uint64_t)start[9] << 8;
  if (start[6] > 1) {
    if (std::fread(start + 10, 1, 2, f) != 2) return "the file is cut off";
    begin = 12;
    length |= (uint64_t)start[10] << 16 | (uint64_t)start[11] << 24;
  }
  if (length > 65536 || begin + length > file_bytes) return "the header is cut off or too long";
  std::string text((size_t)length, 0);
  if (std::fread(text.data(), 1, text.size(), f) != text.size()) return "the file is cut off";
  Header header;
  if (const char* wrong = HeaderParser(text).parse(&header)) return wrong;

  const uint64_t size = tern_dtype_size(header.dtype), available = file_bytes - begin - length;
  uint64_t bytes = size;
  for (const int64_t d : header.dims)
    if (__builtin_mul_overflow(bytes, (uint64_t)d, &bytes)) return "the shape is too large";
  if (bytes != available)
    return bytes > available ? "the file is shorter than its shape says" : "the file is longer than its shape says";
  tern_tensor* made = nullptr;
  if (tern_tensor_create(context, header.dtype, header.dims.data(), (int32_t)header.dims.size(), &made) != TERN_OK)
    return tern_last_error_message();
  tensor->reset(made);
  unsigned char* data = (unsigned char*)tern_tensor_data(made);
  if (bytes && std::fread(data, 1, (size_t)bytes, f) != bytes) return "the file cannot be read";
  if (header.swapped)
    for (uint64_t i = 0; i < bytes; i += size) std::reverse(data + i, data + i + size);
  if (header.dtype == TERN_DTYPE_BOOL)
    for (uint64_t i = 0; i < bytes; ++i) data[i] = data[i] != 0;
  if (header.columns_first && header.dims.size() > 1 && bytes) {
    const std::vector<unsigned char> copy(data, data + bytes);
    transpose(header.dims, copy.data(), (size_t)size, data);
  }
  return nullptr;
}

}  // namespace

bool read_npy(tern_context* context, const std::string& path, Handle<tern_tensor>* tensor) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    complain("%s: there is no such file", path.c_str());
    return false;
  }
  const std::unique_ptr<FILE, CloseFile> f(std::fopen(path.c_str(), "rb"));
  Handle<tern_tensor> t;
  const char* wrong = f ? read(f.get(), (uint64_t)info.st_size, context, &t) : "it cannot be opened";
  if (wrong) {
    complain("%s: %s", path.c_str(), wrong);
    return false;
  }
  *tensor = std::move(t);
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
