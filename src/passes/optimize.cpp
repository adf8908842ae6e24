// SPDX-License-Identifier: Apache-2.0
#include "passes/optimize.h"

#include "passes/eliminate.h"
#include "passes/recognize.h"
#include "passes/update_order.h"

namespace tern {

tern_status optimize(Graph& g) {
  merge_common(g);
  remove_identities(g);
  recognize_activations(g);
  match_update_orders(g);
  return g.status;
}

}  // namespace tern
