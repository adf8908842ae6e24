// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstring>

#include "ops/control.h"
#include "ops/op.h"

namespace tern {

inline bool is_data_sizes(const Node& n) { return std::strcmp(n.op->name, "data_sizes") == 0; }
inline bool is_assume(const Node& n) { return std::strcmp(n.op->name, "assume") == 0; }
inline bool is_if(const Node& n) { return n.subgraphs.size() == 2 && std::strcmp(n.op->name, "if") == 0; }
inline bool is_loop(const Node& n) { return n.subgraphs.size() == 1 && std::strcmp(n.op->name, "loop") == 0; }
// A loop that is run between plans, since the sizes of what it carries or gives depend on data.
inline bool is_growing_loop(const Node& n) { return is_loop(n) && n.attrs<LoopAttrs>().grows != 0; }

}  // namespace tern
