// SPDX-License-Identifier: Apache-2.0
// Memory from the caller's allocator.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "tern/context.h"

namespace tern {

// Copies all of `from` into all of `to`. Sizes that differ are an error and nothing is copied: where two rules give the
// size of one thing, they must not meet in the heap. `what` names the thing in the message.
tern_status copy_whole(void* to, uint64_t room, const void* from, uint64_t bytes, const char* what);

// The C library's memory behind the allocator interface.
tern_allocator default_allocator();

// A block from an allocator, released when it goes. Movable.
class Block {
 public:
  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  Block(Block&& o) noexcept { *this = static_cast<Block&&>(o); }
  Block& operator=(Block&& o) noexcept;
  ~Block() { reset(); }

  // 64-byte aligned, contents undefined; 0 bytes give a valid pointer too. The allocator must outlive the block.
  // Blocks of 2 MiB and more are aligned so that the system can use huge pages.
  tern_status allocate(const tern_allocator& allocator, uint64_t bytes);
  tern_status allocate_zeroed(const tern_allocator& allocator, uint64_t bytes);
  void reset();

  void* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  uint64_t bytes_ = 0, allocated_ = 0;
  const tern_allocator* allocator_ = nullptr;
};

}  // namespace tern
