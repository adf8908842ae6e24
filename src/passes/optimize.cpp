// SPDX-License-Identifier: Apache-2.0
#include "passes/optimize.h"

#include "passes/eliminate.h"
#include "passes/fuse.h"
#include "passes/recognize.h"

namespace tern {

// Level 2 cache of one core on most processors in use; a tensor above it goes to memory and back.
constexpr uint64_t kCacheBytes = 1u << 20;

tern_status optimize(Graph& g) {
  merge_common(g);
  remove_identities(g);
  recognize_activations(g);
  TERN_TRY(g.status);
  absorb_padding(g);
  fuse_epilogues(g);
  fuse_inverted_residuals(g, kCacheBytes);
  fuse_chains(g);
  return g.status;
}

}  // namespace tern
