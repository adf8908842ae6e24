// SPDX-License-Identifier: Apache-2.0
// States in files. All numbers are little-endian:
//
//   0  8 bytes  magic "TERNSTA\x1a"
//   8  u32      version, 1
//  12  u32      number of states
//  16  u64      fingerprint: checksum of the states' names, types and shapes
//  24  i64      length: valid positions
//  32  u64      bytes of the file
//  40  u64      checksum of the table
//  48  u64      0
//  56  u64      checksum of bytes 0 to 55
//  64  u64 each the table: checksum of each state's bytes, in the model's order
// then the bytes of each state, each from a multiple of 64 on.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/checked.h"
#include "base/file.h"
#include "format/checksum.h"
#include "runtime/state.h"

namespace tern {
namespace {

constexpr char kMagic[8] = {'T', 'E', 'R', 'N', 'S', 'T', 'A', '\x1a'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kAlignment = 64;

struct FileHeader {
  char magic[8];
  uint32_t version, count;
  uint64_t fingerprint;
  int64_t length;
  uint64_t file_bytes, table_checksum, reserved, checksum;
};
static_assert(sizeof(FileHeader) == 64 && std::endian::native == std::endian::little);

// Everything of the header that follows from the model alone.
struct Layout {
  uint64_t fingerprint = 0;
  std::vector<uint64_t> bytes, offsets;
  uint64_t file_bytes = 0;
  int64_t capacity = 0;  // largest length
};

tern_status lay_out(const ModelDef& model, Layout* out) {
  std::string names;
  uint64_t end;
  if (!checked_align(sizeof(FileHeader) + 8 * (uint64_t)model.states.size(), kAlignment, &end))
    return TERN_FAIL(TERN_ERR_LIMIT, "too many states");
  for (const StateDecl& s : model.states) {
    names.append(s.name.c_str(), s.name.size() + 1);  // with its 0, which no name contains
    names.append((const char*)&s.dtype, sizeof s.dtype);
    names.append((const char*)&s.shape.rank, sizeof s.shape.rank);
    names.append((const char*)s.shape.dims, sizeof(int64_t) * (size_t)s.shape.rank);
    uint64_t bytes;
    TERN_TRY(tensor_bytes(s.dtype, s.shape, &bytes));
    out->bytes.push_back(bytes);
    out->offsets.push_back(end);
    if (!checked_add(end, bytes, &end) || !checked_align(end, kAlignment, &end))
      return TERN_FAIL(TERN_ERR_LIMIT, "the states are too large for a file");
  }
  out->fingerprint = checksum64(names.data(), names.size());
  out->file_bytes = end;
  for (const Signature& s : model.signatures) out->capacity = std::max(out->capacity, s.capacity);
  return TERN_OK;
}

tern_status check_header(const Bytes& file, const Layout& layout, const char* path, FileHeader* out) {
  FileHeader h;
  if (file.size < sizeof h)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRIu64 " bytes are no state file", path, file.size);
  std::memcpy(&h, file.data, sizeof h);
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: this is no state file", path);
  if (checksum64(&h, offsetof(FileHeader, checksum)) != h.checksum)
    return TERN_FAIL(TERN_ERR_CHECKSUM, "%s: the header is damaged", path);
  if (h.version != kVersion)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION, "%s: version %u; this library reads version %u", path, h.version,
                     kVersion);
  if (h.count != layout.bytes.size() || h.fingerprint != layout.fingerprint)
    return TERN_FAIL(
        TERN_ERR_SHAPE,
        "%s: the state of another model (%u tensors; this model has %zu, or they differ in name, type or shape)", path,
        h.count, layout.bytes.size());
  if (h.file_bytes != layout.file_bytes || h.reserved != 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the header contradicts itself", path);
  if (file.size != h.file_bytes)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRIu64 " bytes, %" PRIu64 " were written", path, file.size,
                     h.file_bytes);
  if (h.length < 0 || h.length > layout.capacity)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRId64 " valid positions; the states hold %" PRId64, path, h.length,
                     layout.capacity);
  *out = h;
  return TERN_OK;
}

}  // namespace

tern_status State::save(const char* path) const {
  TERN_TRY(intact());
  Layout layout;
  TERN_TRY(lay_out(model_->def(), &layout));
  std::vector<const void*> data(items_.size());
  std::vector<uint64_t> table(items_.size());
  for (size_t i = 0; i < items_.size(); ++i) {
    TERN_TRY(items_[i]->read(&data[i]));
    table[i] = checksum64(data[i], layout.bytes[i]);
  }
  FileHeader h = {};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.version = kVersion;
  h.count = (uint32_t)items_.size();
  h.fingerprint = layout.fingerprint;
  h.length = length_;
  h.file_bytes = layout.file_bytes;
  h.table_checksum = checksum64(table.data(), 8 * table.size());
  h.checksum = checksum64(&h, offsetof(FileHeader, checksum));

  FileWriter writer;
  TERN_TRY(writer.open(path));
  TERN_TRY(writer.write(&h, sizeof h));
  TERN_TRY(writer.write(table.data(), 8 * table.size()));
  for (size_t i = 0; i < items_.size(); ++i) {
    TERN_TRY(writer.pad(kAlignment));
    TERN_TRY(writer.write(data[i], layout.bytes[i]));
  }
  TERN_TRY(writer.pad(kAlignment));
  return writer.commit();
}

tern_status State::load(const char* path) {
  Layout layout;
  TERN_TRY(lay_out(model_->def(), &layout));
  // Mapped, not read: a cache may be large, and saves replace files instead of cutting them.
  Bytes file;
  TERN_TRY(load_file(path, LoadMode::map, UINT64_MAX, &file));
  FileHeader h = {};
  TERN_TRY(check_header(file, layout, path, &h));
  const uint8_t* table = file.data + sizeof h;
  if (checksum64(table, 8 * (uint64_t)h.count) != h.table_checksum)
    return TERN_FAIL(TERN_ERR_CHECKSUM, "%s: the table of checksums is damaged", path);
  for (size_t i = 0; i < items_.size(); ++i) {
    uint64_t expected;
    std::memcpy(&expected, table + 8 * i, 8);
    if (checksum64(file.data + layout.offsets[i], layout.bytes[i]) == expected) continue;
    return TERN_FAIL(TERN_ERR_CHECKSUM, "%s: the bytes of state '%s' are damaged", path,
                     model_->def().states[i].name.c_str());
  }
  // From here on nothing may fail: first all memory, then the bytes.
  for (const Ref<Resident>& item : items_) TERN_TRY(item->reserve());
  for (size_t i = 0; i < items_.size(); ++i)
    TERN_TRY(copy_whole(items_[i]->overwrite(), items_[i]->bytes(), file.data + layout.offsets[i], layout.bytes[i],
                        model_->def().states[i].name.c_str()));
  length_ = h.length;
  torn_ = false;
  return TERN_OK;
}

}  // namespace tern
