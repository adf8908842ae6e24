// SPDX-License-Identifier: Apache-2.0
// Pages: blocks of memory that hold 64 positions of every paged state of a model, one state behind the other. Within a
// page a state of `heads` heads is a matrix [heads * 64, dim] in the state's encoding: row head * 64 + position % 64.
#pragma once
#include <cstdint>

namespace tern {

constexpr int64_t kPagePositions = 64;
constexpr uint64_t kPageWritable = 1;  // bit of an address in a PageTable

// Where the pages of the sequences of one run are; all paged states share it. Behind it follow
// uint64_t[sequences][pages]: addresses as the device counts them (pointers where it works in host memory), with
// kPageWritable set where the run may write; 0 where there is no page.
struct PageTable {
  int64_t sequences = 0, pages = 0;
  const uint64_t* addresses(int64_t sequence) const { return (const uint64_t*)(this + 1) + sequence * pages; }
  uint64_t* addresses(int64_t sequence) { return (uint64_t*)(this + 1) + sequence * pages; }
};
static_assert(sizeof(PageTable) == 16);

}  // namespace tern
