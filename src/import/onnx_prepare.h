// SPDX-License-Identifier: Apache-2.0
// What is done to a parsed ONNX model before its nodes are read one by one.
#pragma once
#include <unordered_map>

#include "base/status.h"
#include "onnx/onnx.pb.h"

namespace tern {

// The version of the standard operators that a node is written for, where it is not the model's.
using NodeVersions = std::unordered_map<const onnx::NodeProto*, int64_t>;

// Puts the bodies of the model's own functions in place of their calls.
tern_status inline_functions(onnx::ModelProto* model, NodeVersions* versions);

// Puts nodes behind those that they read, here and in sub-graphs; files of some converters have them in any order.
// Nodes that are in order stay as they are. A name that nothing produces is left for the reader to complain about.
tern_status sort_nodes(onnx::GraphProto* graph);

}  // namespace tern
