// SPDX-License-Identifier: Apache-2.0
// The outer form of a .tern file: a 64-byte header, the metadata (a FlatBuffer, tern.fbs) from byte 64 on, and the
// weight section. All numbers are little-endian.
//
//   0  8 bytes  magic "TERN\r\n\x1a\n": a transfer as text would break it
//   8  u32      major version: a reader refuses others than its own
//  12  u32      minor version: a reader takes larger ones and ignores what it does not know
//  16  u64      bytes of the metadata
//  24  u64      checksum of the metadata (format/checksum.h)
//  32  u64      offset of the weight section, a multiple of 4096
//  40  u64      bytes of the weight section
//  48  u64      bytes of the file
//  56  u64      checksum of bytes 0 to 55
#pragma once
#include "base/file.h"

namespace tern {

constexpr uint64_t kHeaderBytes = 64;
constexpr uint64_t kSectionAlignment = 4096;  // of the weight section, so that it can be mapped by itself
constexpr uint64_t kTensorAlignment = 64;     // of each tensor
constexpr uint32_t kFormatMajor = 1, kFormatMinor = 0;

struct Header {
  uint32_t major = kFormatMajor, minor = kFormatMinor;
  uint64_t metadata_bytes = 0, metadata_checksum = 0;
  uint64_t weights_offset = 0, weights_bytes = 0;
  uint64_t file_bytes = 0;
};

// Writes kHeaderBytes with magic and checksum.
void write_header(const Header& header, uint8_t* out);

// Reads the header of a file of which all bytes are there and proves that its sections lie within the file and apart.
// Errors: TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_UNSUPPORTED_VERSION, TERN_ERR_LIMIT (metadata).
tern_status read_header(const Bytes& file, uint64_t max_metadata_bytes, Header* out);

}  // namespace tern
