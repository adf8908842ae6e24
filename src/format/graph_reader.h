// SPDX-License-Identifier: Apache-2.0
// Builds the graphs of a file and proves them: every index, the order of nodes, single writers, attributes, and all
// shapes, which are inferred again and compared with what the file says.
#pragma once
#include "format/census.h"
#include "graph/model_def.h"
#include "ops/op.h"

namespace tern {

struct Constant {
  DType dtype = TERN_DTYPE_NONE;
  Shape shape;
  Data data;
  bool known = false;  // copied: shapes may follow from it
};

// What the graphs of one file refer to.
struct FileContext {
  const Metadata& meta;
  const tern_limits& limits;
  std::vector<const Op*> ops;  // as Model.operators; NULL where no node uses it
  std::vector<Parameter> parameters;
  std::vector<StateDecl> states;
  std::vector<Constant> constants;
  FoldBudget budget;  // of all graphs together
};

// Sets the file offset of the error at hand, and turns codes that speak of a call into TERN_ERR_CORRUPT.
tern_status file_error(const Metadata& meta, const void* part, tern_status s);

// A shape of the file: rank, dims, size against the limits.
tern_status read_shape(const FileContext& c, const flatbuffers::Vector<int64_t>* dims, DType dtype,
                       std::string_view what, Shape* out);

// Builds Model.graphs[index]. Its sub-graphs stand behind it, were built before, and are moved out of `graphs`.
// top_level  the graph of a signature: states may be used in it only
tern_status build_graph(FileContext& c, uint32_t index, bool top_level, std::vector<Graph>& graphs);

}  // namespace tern
