// SPDX-License-Identifier: Apache-2.0
#include "passes/optimize.h"

#include "passes/eliminate.h"
#include "passes/recognize.h"

namespace tern {

tern_status optimize(Graph& g) {
  merge_common(g);
  remove_identities(g);
  recognize_activations(g);
  return g.status;
}

}  // namespace tern
