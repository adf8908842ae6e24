// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"

#include <cstdlib>
#include <cstring>
#include <utility>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/checked.h"

namespace tern {
namespace {

constexpr uint64_t kHugePage = 2u << 20;

void* allocate_default(void*, size_t bytes, size_t alignment) {
  // Fresh 4 KiB pages cost about 2 microseconds each; a huge one less than half of them. So the last one is filled up,
  // unless that would waste much.
  const size_t waste = (kHugePage - bytes % kHugePage) % kHugePage;
  if (waste <= (bytes < kHugePage ? bytes / 4 : kHugePage / 2)) bytes += waste;
  const bool huge = bytes >= kHugePage;
  void* p = nullptr;
  if (::posix_memalign(&p, huge && alignment < kHugePage ? kHugePage : alignment, bytes) != 0) return nullptr;
#if defined(__linux__)
  if (huge) (void)madvise(p, bytes & ~(kHugePage - 1), MADV_HUGEPAGE);
#endif
  return p;
}

void release_default(void*, void* memory, size_t) { std::free(memory); }

}  // namespace

tern_status copy_whole(void* to, uint64_t room, const void* from, uint64_t bytes, const char* what) {
  if (room != bytes)
    return TERN_FAIL(TERN_ERR_INTERNAL,
                     "%s: %" PRIu64 " bytes are to be copied into %" PRIu64 "; please report this model", what, bytes,
                     room);
  if (bytes) std::memcpy(to, from, (size_t)bytes);
  return TERN_OK;
}

tern_allocator default_allocator() {
  return {(uint32_t)sizeof(tern_allocator), nullptr, allocate_default, release_default};
}

Block& Block::operator=(Block&& o) noexcept {
  if (this == &o) return *this;
  reset();
  data_ = std::exchange(o.data_, nullptr);
  bytes_ = std::exchange(o.bytes_, 0);
  allocated_ = std::exchange(o.allocated_, 0);
  allocator_ = o.allocator_;
  return *this;
}

tern_status Block::allocate(const tern_allocator& allocator, uint64_t bytes) {
  const uint64_t size = bytes ? bytes : 1;
  void* p =
      size > SIZE_MAX / 2 ? nullptr : allocator.allocate(allocator.user, (size_t)size, size >= kHugePage ? 4096 : 64);
  if (!p) return TERN_FAIL(TERN_ERR_MEMORY, "no memory for %" PRIu64 " bytes", bytes);
  reset();
  data_ = p;
  bytes_ = bytes;
  allocated_ = size;
  allocator_ = &allocator;
  return TERN_OK;
}

tern_status Block::allocate_zeroed(const tern_allocator& allocator, uint64_t bytes) {
  TERN_TRY(allocate(allocator, bytes));
  std::memset(data_, 0, (size_t)bytes);
  return TERN_OK;
}

void Block::reset() {
  if (data_) allocator_->release(allocator_->user, data_, (size_t)allocated_);
  data_ = nullptr;
  bytes_ = allocated_ = 0;
}

}  // namespace tern
