// SPDX-License-Identifier: Apache-2.0
// States in files. All numbers are little-endian:
//
//   0  8 bytes  magic "TERNSTA\x1a"
//   8  u32      version: 3 with more bytes behind the states, else 2 where the model has states in pages, else 1
//  12  u32      number of states
//  16  u64      fingerprint: checksum of the states' names, types and shapes, and of which are paged
//  24  i64      length: valid positions
//  32  u64      bytes of the file
//  40  u64      checksum of the table
//  48  u64      how many more bytes there are, of somebody whose state this is (tasks/generator_file.cpp)
//  56  u64      checksum of bytes 0 to 55
//  64  u64 each the table: checksum of the bytes of each state that is not paged, in the model's order, and of each
//               page that the valid positions need (base/pages.h), and of the more bytes if there are some
// then these bytes, each from a multiple of 64 on.
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
constexpr uint32_t kWithMore = 3, kVersion = 2, kWithoutPages = 1;
constexpr uint64_t kAlignment = 64;

struct FileHeader {
  char magic[8];
  uint32_t version, count;
  uint64_t fingerprint;
  int64_t length;
  uint64_t file_bytes, table_checksum, more, checksum;
};
static_assert(sizeof(FileHeader) == 64 && std::endian::native == std::endian::little);

struct Section {
  const char* name;
  uint64_t bytes, offset = 0;
};
struct Layout {
  std::vector<Section> sections;
  uint64_t file_bytes = 0;
};

uint64_t fingerprint_of(const ModelDef& model) {
  std::string names;
  for (const StateDecl& s : model.states) {
    names.append(s.name.c_str(), s.name.size() + 1);  // with its 0, which no name contains
    names.append((const char*)&s.dtype, sizeof s.dtype);
    names.append((const char*)&s.shape.rank, sizeof s.shape.rank);
    names.append((const char*)s.shape.dims, sizeof(int64_t) * (size_t)s.shape.rank);
    if (!is_plain(s.encoding)) names.append(encoding_name(s.encoding));
    if (s.paged) names += 'p';
  }
  return checksum64(names.data(), names.size());
}

uint32_t version_of(const PageLayout& pages, bool more) {
  return more ? kWithMore : pages.bytes ? kVersion : kWithoutPages;
}

int64_t capacity_of(const ModelDef& model, const PageLayout& pages) {
  int64_t capacity = pages.capacity;
  for (const Signature& s : model.signatures) capacity = std::max(capacity, s.capacity);
  return capacity;
}

// `length`: within the capacity.
tern_status lay_out(const ModelDef& model, const PageLayout& pages, int64_t length, uint64_t more, Layout* out) {
  for (const StateDecl& s : model.states) {
    if (s.paged) continue;
    uint64_t bytes;
    TERN_TRY(encoded_bytes(s.encoding, s.dtype, s.shape, &bytes));
    out->sections.push_back({s.name.c_str(), bytes});
  }
  for (size_t p = 0; pages.bytes && p < num_pages(length); ++p) out->sections.push_back({"pages", pages.bytes});
  if (more) out->sections.push_back({"more", more});
  uint64_t end;
  if (!checked_align(sizeof(FileHeader) + 8 * (uint64_t)out->sections.size(), kAlignment, &end))
    return TERN_FAIL(TERN_ERR_LIMIT, "too many states");
  for (Section& s : out->sections) {
    s.offset = end;
    if (!checked_add(end, s.bytes, &end) || !checked_align(end, kAlignment, &end))
      return TERN_FAIL(TERN_ERR_LIMIT, "the states are too large for a file");
  }
  out->file_bytes = end;
  return TERN_OK;
}

tern_status check_header(const Bytes& file, const ModelDef& model, const PageLayout& pages, bool more, const char* path,
                         Layout* layout, FileHeader* out) {
  FileHeader h;
  if (file.size < sizeof h)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRIu64 " bytes are no state file", path, file.size);
  std::memcpy(&h, file.data, sizeof h);
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: this is no state file", path);
  if (checksum64(&h, offsetof(FileHeader, checksum)) != h.checksum)
    return TERN_FAIL(TERN_ERR_CHECKSUM, "%s: the header is damaged", path);
  if (h.version < kWithoutPages || h.version > kWithMore)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION, "%s: version %u; this library reads versions %u to %u", path,
                     h.version, kWithoutPages, kWithMore);
  if ((h.version == kWithMore) != more)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: this is a %s", path,
                     more ? "state alone, no generator's session: tern_state_load reads it"
                          : "generator's session, no state alone: tern_generator_load reads it");
  if (h.count != model.states.size() || h.fingerprint != fingerprint_of(model) || h.version != version_of(pages, more))
    return TERN_FAIL(
        TERN_ERR_SHAPE,
        "%s: the state of another model (%u tensors; this model has %zu, or they differ in name, type or shape)", path,
        h.count, model.states.size());
  const int64_t capacity = capacity_of(model, pages);
  if (h.length < 0 || h.length > capacity)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRId64 " valid positions; the states hold %" PRId64, path, h.length,
                     capacity);
  // Before anything is made for each page.
  if (pages.bytes && num_pages(h.length) > file.size / pages.bytes)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRIu64 " bytes are too few for %" PRId64 " positions", path, file.size,
                     h.length);
  TERN_TRY(lay_out(model, pages, h.length, h.more, layout));
  if (h.file_bytes != layout->file_bytes || (h.more != 0) != more)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the header contradicts itself", path);
  if (file.size != h.file_bytes)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRIu64 " bytes, %" PRIu64 " were written", path, file.size,
                     h.file_bytes);
  *out = h;
  return TERN_OK;
}

}  // namespace

tern_status State::save(const char* path, std::string_view more) const {
  TERN_TRY(intact());
  Layout layout;
  TERN_TRY(lay_out(model_->def(), *layout_, length_, more.size(), &layout));
  std::vector<Resident*> content;
  for (const Ref<Resident>& item : items_)
    if (item) content.push_back(item.get());
  for (size_t p = 0; p < pages_.size() && p < num_pages(length_); ++p) content.push_back(pages_[p].get());
  const auto read = [&](size_t i, const void** data) {
    return i < content.size() ? content[i]->read(data) : (*data = more.data(), TERN_OK);
  };
  std::vector<uint64_t> table(layout.sections.size());
  for (size_t i = 0; i < table.size(); ++i) {
    const void* data = nullptr;
    TERN_TRY(read(i, &data));
    table[i] = checksum64(data, layout.sections[i].bytes);
  }
  FileHeader h = {};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.version = version_of(*layout_, !more.empty());
  h.count = (uint32_t)items_.size();
  h.fingerprint = fingerprint_of(model_->def());
  h.length = length_;
  h.more = more.size();
  h.file_bytes = layout.file_bytes;
  h.table_checksum = checksum64(table.data(), 8 * table.size());
  h.checksum = checksum64(&h, offsetof(FileHeader, checksum));

  FileWriter writer;
  TERN_TRY(writer.open(path));
  TERN_TRY(writer.write(&h, sizeof h));
  TERN_TRY(writer.write(table.data(), 8 * table.size()));
  for (size_t i = 0; i < table.size(); ++i) {
    const void* data = nullptr;
    TERN_TRY(read(i, &data));
    TERN_TRY(writer.pad(kAlignment));
    TERN_TRY(writer.write(data, layout.sections[i].bytes));
  }
  TERN_TRY(writer.pad(kAlignment));
  return writer.commit();
}

tern_status State::load(const char* path, std::string* more) {
  // Mapped, not read: a cache may be large, and saves replace files instead of cutting them.
  Bytes file;
  TERN_TRY(load_file(path, LoadMode::map, UINT64_MAX, &file));
  Layout layout;
  FileHeader h = {};
  TERN_TRY(check_header(file, model_->def(), *layout_, more != nullptr, path, &layout, &h));
  const uint8_t* table = file.data + sizeof h;
  if (checksum64(table, 8 * (uint64_t)layout.sections.size()) != h.table_checksum)
    return TERN_FAIL(TERN_ERR_CHECKSUM, "%s: the table of checksums is damaged", path);
  for (size_t i = 0; i < layout.sections.size(); ++i) {
    const Section& s = layout.sections[i];
    uint64_t expected;
    std::memcpy(&expected, table + 8 * i, 8);
    if (checksum64(file.data + s.offset, s.bytes) == expected) continue;
    return TERN_FAIL(TERN_ERR_CHECKSUM, "%s: the bytes of state '%s' are damaged", path, s.name);
  }
  // From here on nothing may fail: first all memory, then the bytes.
  std::vector<Ref<Resident>> pages;
  std::span<const Section> rest(layout.sections);
  if (more) {
    more->assign((const char*)file.data + rest.back().offset, rest.back().bytes);
    rest = rest.first(rest.size() - 1);
  }
  for (const Section& s : rest.last(layout_->bytes ? num_pages(h.length) : 0)) {
    Ref<Resident> page;
    TERN_TRY(new_page(file.data + s.offset, &page));
    pages.push_back(std::move(page));
  }
  for (const Ref<Resident>& item : items_)
    if (item) TERN_TRY(item->reserve());
  size_t next = 0;
  for (const Ref<Resident>& item : items_) {
    if (!item) continue;
    const Section& s = layout.sections[next++];
    TERN_TRY(copy_whole(item->overwrite(), item->bytes(), file.data + s.offset, s.bytes, s.name));
  }
  pages_ = std::move(pages);
  length_ = h.length;
  torn_ = false;
  return TERN_OK;
}

}  // namespace tern
