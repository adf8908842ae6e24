// SPDX-License-Identifier: Apache-2.0
#include "passes/update_order.h"

#include "passes/eliminate.h"

namespace tern {

void match_update_orders(Graph& g) {
  const std::vector<int32_t> readers = count_readers(g);
  for (const Node& n : g.nodes) {
    if (!(n.op->flags & kWritesState)) continue;
    const Value target = g.value(n.in[0]);
    if (is_plain(target.encoding) || !is_permutation(target.encoding)) continue;
    for (size_t i = num_written(n); i < n.in.size() && i < 31; ++i) {
      if (n.in[i] == kNoValue || !(n.op->encoded_in >> i & 1)) continue;
      Value& v = g.value(n.in[i]);
      const bool alike = is_plain(v.encoding) && v.dtype == target.dtype && v.shape == target.shape;
      if (!alike || v.producer < 0 || readers[(size_t)n.in[i]] != 1) continue;
      const Node& from = g.nodes[(size_t)v.producer];
      if ((from.op->flags & kAnyOrder) && from.out[0] == n.in[i]) v.encoding = target.encoding;
    }
  }
}

}  // namespace tern
