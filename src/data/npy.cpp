// SPDX-License-Identifier: Apache-2.0
#include "data/npy.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "base/checked.h"

namespace tern::data {
namespace {

struct Kind {
  char letter;  // of NumPy
  DType dtype;
};
constexpr Kind kKinds[] = {{'f', TERN_DTYPE_F32}, {'f', TERN_DTYPE_F16}, {'f', TERN_DTYPE_F64}, {'i', TERN_DTYPE_I8},
                           {'u', TERN_DTYPE_U8},  {'i', TERN_DTYPE_I16}, {'u', TERN_DTYPE_U16}, {'i', TERN_DTYPE_I32},
                           {'u', TERN_DTYPE_U32}, {'i', TERN_DTYPE_I64}, {'u', TERN_DTYPE_U64}, {'b', TERN_DTYPE_BOOL}};

// The header of an array, a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
struct Header {
  DType dtype = TERN_DTYPE_NONE;
  bool swapped = false, columns_first = false;
  Shape shape;
};

class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  // NULL, or what is wrong.
  const char* parse(Header* out) {
    bool descr = false, order = false, shape = false;
    if (!take('{')) return "the header is no dictionary";
    while (!take('}')) {
      std::string_view key;
      if (!word(&key) || !take(':')) return "the header is no dictionary";
      if (key == "descr" && !descr) {
        std::string_view type;
        if (!word(&type)) return "structured arrays are not supported";
        if (!set_type(type, out)) return "this element type is not supported";
        descr = true;
      } else if (key == "fortran_order" && !order) {
        if (take_text("True")) out->columns_first = true;
        else if (!take_text("False")) return "fortran_order is neither True nor False";
        order = true;
      } else if (key == "shape" && !shape) {
        if (!set_shape(&out->shape)) return "the shape is damaged, or has more than 8 dims";
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
  bool take_text(std::string_view word) {
    skip();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  bool word(std::string_view* out) {
    skip();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return false;
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == text_.npos || end - at_ > 64) return false;
    *out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  bool set_type(std::string_view type, Header* out) {
    if (type.size() != 3) return false;
    constexpr char kOther = std::endian::native == std::endian::little ? '>' : '<';
    out->swapped = type[0] == kOther;
    if (!std::strchr("<>|=", type[0])) return false;
    for (const Kind& k : kKinds)
      if (k.letter == type[1] && dtype_size(k.dtype) == (size_t)(type[2] - '0')) out->dtype = k.dtype;
    return out->dtype != TERN_DTYPE_NONE;
  }
  bool set_shape(Shape* shape) {
    if (!take('(')) return false;
    while (!take(')')) {
      skip();
      const size_t begin = at_;
      int64_t dim = 0;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && at_ - begin < 18; ++at_)
        dim = dim * 10 + (text_[at_] - '0');
      if (at_ == begin || shape->rank == kMaxRank) return false;
      shape->push(dim);
      if (!take(',') && !at(')')) return false;
    }
    return true;
  }

  const std::string_view text_;
  size_t at_ = 0;
};

// From columns first to rows first.
void transpose(const Shape& shape, const uint8_t* from, size_t size, uint8_t* to) {
  int64_t at[kMaxRank] = {}, stride[kMaxRank] = {}, count = 1;
  for (int a = 0; a < shape.rank; ++a) stride[a] = count, count *= shape[a];
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = 0;
    for (int a = 0; a < shape.rank; ++a) offset += at[a] * stride[a];
    std::memcpy(to + (size_t)i * size, from + (size_t)offset * size, size);
    for (int a = shape.rank; a-- > 0 && ++at[a] == shape[a];) at[a] = 0;
  }
}

// NULL, or what is wrong.
const char* read(const Bytes& file, NpyArray* out) {
  const uint8_t* p = file.data;
  if (file.size < 10 || std::memcmp(p, "\x93NUMPY", 6) != 0) return "this is no .npy file";
  if (p[6] < 1 || p[6] > 3) return "this version of .npy is not known";
  uint64_t begin = 10, length = p[8] | (uint64_t)p[9] << 8;
  if (p[6] > 1) {
    if (file.size < 12) return "the file is cut off";
    begin = 12;
    length |= (uint64_t)p[10] << 16 | (uint64_t)p[11] << 24;
  }
  if (length > 65536 || !range_within(begin, length, file.size)) return "the header is cut off or too long";
  Header header;
  if (const char* wrong = HeaderParser({(const char*)p + begin, (size_t)length}).parse(&header)) return wrong;
  const size_t size = dtype_size(header.dtype);
  const uint64_t available = file.size - begin - length;
  uint64_t bytes = size;
  for (const int64_t d : header.shape)
    if (!checked_mul(bytes, (uint64_t)d, &bytes)) return "the shape is too large";
  if (check_shape(header.shape, "array") != TERN_OK) return "the shape is too large";
  if (bytes != available)
    return bytes > available ? "the file is shorter than its shape says" : "the file is longer than its shape says";

  const uint8_t* data = p + begin + length;
  const bool transposed = header.columns_first && header.shape.rank > 1 && bytes > 0;
  const bool other_bools =
      header.dtype == TERN_DTYPE_BOOL && std::any_of(data, data + bytes, [](uint8_t b) { return b > 1; });
  out->owner = file.owner;
  if (transposed || header.swapped || other_bools || (uintptr_t)data % size) {
    const std::shared_ptr<uint8_t[]> copy(new uint8_t[(size_t)bytes + 1]);
    if (transposed) transpose(header.shape, data, size, copy.get());
    else std::memcpy(copy.get(), data, (size_t)bytes);
    for (uint64_t i = 0; header.swapped && i < bytes; i += size) std::reverse(&copy[i], &copy[i + size]);
    for (uint64_t i = 0; other_bools && i < bytes; ++i) copy[i] = copy[i] != 0;
    data = copy.get();
    out->owner = copy;
  }
  out->dtype = header.dtype, out->shape = header.shape;
  out->data = data, out->bytes = bytes;
  return nullptr;
}

}  // namespace

tern_status read_npy(const Bytes& file, const char* name, NpyArray* out) {
  NpyArray found;
  if (const char* wrong = read(file, &found)) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %s", name, wrong);
  *out = std::move(found);
  return TERN_OK;
}

}  // namespace tern::data
