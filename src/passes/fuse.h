// SPDX-License-Identifier: Apache-2.0
// Joins nodes that one kernel computes: they become the sub-graph of a `fused` node, whose decomposition gives them
// back.
#pragma once
#include "ops/control.h"
#include "ops/op.h"

namespace tern {

// Zero padding of rows and columns becomes part of the convolution that reads it.
void absorb_padding(Graph& g);

// Convolutions and matrix products with the element-wise chains behind them (passes/epilogue.h).
void fuse_epilogues(Graph& g);

// 1x1 convolution -> depthwise -> 1x1 convolution, each with its epilogue, where the tensor between is larger than
// `cache_bytes`: rows are streamed and it never exists as a whole.
void fuse_inverted_residuals(Graph& g, uint64_t cache_bytes);

// Groups of element-wise nodes whose results between nobody else reads, up to 16 nodes and 6 operands each.
void fuse_chains(Graph& g);

// Replaces the nodes `members` (indices, ascending; only the last one's output is read outside) by one fused node.
// Nodes are renumbered only by the caller's eliminate_dead: the members but the last become empty.
void join(Graph& g, std::span<const int32_t> members, FusedPattern pattern);

}  // namespace tern
