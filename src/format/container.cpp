// SPDX-License-Identifier: Apache-2.0
#include "format/container.h"

#include <cstring>

#include "base/checked.h"
#include "base/status.h"
#include "format/checksum.h"

namespace tern {
namespace {

constexpr uint8_t kMagic[8] = {'T', 'E', 'R', 'N', '\r', '\n', 0x1a, '\n'};

template <class T>
void store_little(uint8_t* p, T v) {
  std::memcpy(p, &v, sizeof v);
}

tern_status at(uint64_t offset, tern_status s) {
  error_at_offset(offset);
  return s;
}

}  // namespace

void write_header(const Header& h, uint8_t* out) {
  std::memcpy(out, kMagic, sizeof kMagic);
  store_little(out + 8, h.major);
  store_little(out + 12, h.minor);
  store_little(out + 16, h.metadata_bytes);
  store_little(out + 24, h.metadata_checksum);
  store_little(out + 32, h.weights_offset);
  store_little(out + 40, h.weights_bytes);
  store_little(out + 48, h.file_bytes);
  store_little(out + 56, checksum64(out, 56));
}

tern_status read_header(const Bytes& file, uint64_t max_metadata_bytes, Header* out) {
  using detail::load_little;
  if (file.size < kHeaderBytes)
    return at(0, TERN_FAIL(TERN_ERR_CORRUPT, "this is no .tern file: it has %" PRIu64 " bytes, the header alone has 64",
                           file.size));
  const uint8_t* p = file.data;
  if (std::memcmp(p, kMagic, sizeof kMagic) != 0)
    return at(0, TERN_FAIL(TERN_ERR_CORRUPT, "this is no .tern file: it does not begin with the format's mark"));
  Header h;
  h.major = load_little<uint32_t>(p + 8);
  h.minor = load_little<uint32_t>(p + 12);
  // Before the checksum, since another major version may lay out the rest in its own way.
  if (h.major != kFormatMajor)
    return at(8, TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION,
                           "the file has format version %u.%u, this library reads %u.x: a%s version of Tern is needed",
                           h.major, h.minor, kFormatMajor, h.major > kFormatMajor ? " newer" : "n older"));
  if (checksum64(p, 56) != load_little<uint64_t>(p + 56))
    return at(56, TERN_FAIL(TERN_ERR_CHECKSUM, "the header of the file is damaged: fetch or make the file again"));
  h.metadata_bytes = load_little<uint64_t>(p + 16);
  h.metadata_checksum = load_little<uint64_t>(p + 24);
  h.weights_offset = load_little<uint64_t>(p + 32);
  h.weights_bytes = load_little<uint64_t>(p + 40);
  h.file_bytes = load_little<uint64_t>(p + 48);
  if (h.file_bytes != file.size)
    return at(48, TERN_FAIL(TERN_ERR_CORRUPT,
                            "the file has %" PRIu64 " bytes, its header says %" PRIu64
                            ": it was cut or something was appended",
                            file.size, h.file_bytes));
  if (h.metadata_bytes > max_metadata_bytes)
    return at(16, TERN_FAIL(TERN_ERR_LIMIT, "the metadata has %" PRIu64 " bytes, max_metadata_bytes is %" PRIu64,
                            h.metadata_bytes, max_metadata_bytes));
  if (!range_within(kHeaderBytes, h.metadata_bytes, file.size))
    return at(16,
              TERN_FAIL(TERN_ERR_CORRUPT, "the metadata (%" PRIu64 " bytes) ends outside the file", h.metadata_bytes));
  if (h.weights_offset < kHeaderBytes || h.weights_offset - kHeaderBytes < h.metadata_bytes ||
      h.weights_offset % kSectionAlignment != 0)
    return at(32,
              TERN_FAIL(TERN_ERR_CORRUPT,
                        "the weight section begins at %" PRIu64 ": it must follow the metadata at a multiple of 4096",
                        h.weights_offset));
  if (!range_within(h.weights_offset, h.weights_bytes, file.size))
    return at(
        40, TERN_FAIL(TERN_ERR_CORRUPT, "the weight section (%" PRIu64 " bytes from %" PRIu64 ") ends outside the file",
                      h.weights_bytes, h.weights_offset));
  *out = h;
  return TERN_OK;
}

}  // namespace tern
