// SPDX-License-Identifier: Apache-2.0
#include "passes/optimize.h"

#include "passes/eliminate.h"

namespace tern {

tern_status optimize(Graph& g) {
  merge_common(g);
  remove_identities(g);
  return g.status;
}

}  // namespace tern
