// SPDX-License-Identifier: Apache-2.0
// What a model is made of, independent of file and runtime: parameters, states, signatures, metadata.
#pragma once
#include "graph/graph.h"

namespace tern {

struct Parameter {
  std::string name;
  DType dtype = TERN_DTYPE_NONE;
  Encoding encoding = Encoding::plain;
  Shape shape;
  Data data;  // encoded_bytes(...) bytes
  uint64_t bytes = 0;
  uint64_t checksum = 0;  // of the bytes in the file (format/checksum.h)
};

struct StateDecl {
  std::string name;
  DType dtype = TERN_DTYPE_NONE;
  Shape shape;  // capacity
  Encoding encoding = Encoding::plain;
  bool paged = false;  // [positions, heads, dim], where memory follows the positions in use (base/pages.h)
};

// A dim of an input that may vary between runs.
struct Symbol {
  std::string name;
  int64_t min = 1, max = INT64_MAX;
  int64_t hint = 1;      // the size for which the shapes in the file hold
  int64_t multiple = 1;  // sizes must be a multiple of this
};

// One dim of one input is a symbol; two inputs may share one.
struct SymbolicDim {
  int32_t input = 0;  // index into Graph::inputs
  int32_t axis = 0;
  int32_t symbol = 0;  // index into Signature::symbols
};

struct Signature {
  std::string name;
  Graph graph;
  std::vector<Symbol> symbols;
  std::vector<SymbolicDim> symbolic_dims;
  std::vector<std::string> output_names;  // as many as graph.outputs
  // Signatures that append to states: the scalar input that receives the state's length (index into graph.inputs, -1 =
  // none), and by how much a run moves the length on. A run needs length + advance <= capacity.
  // Or, for any number of tokens of several sequences: an i64 input [rows] that receives the position of each row, -1
  // for rows that fill up the plan; `sequence_input` is then an i32 input [rows] that receives each row's sequence. The
  // dims of both are one symbol. advance is 0: the length moves on by the rows of the sequence.
  int32_t position_input = -1;
  int32_t sequence_input = -1;
  int64_t advance = 0;
  int64_t capacity = 0;
};

struct ModelDef {
  std::vector<Parameter> parameters;
  std::vector<StateDecl> states;
  std::vector<Signature> signatures;
  std::vector<std::pair<std::string, std::string>> metadata;  // UTF-8, keys are unique
  // How the model's texts become ids, in the form of text/tokenizer_file.h; proven by whoever makes a tokenizer of it.
  Data tokenizer;
  uint64_t tokenizer_bytes = 0;
};

// Metadata value of a key, or NULL.
const std::string* find_metadata(const ModelDef& model, std::string_view key);

}  // namespace tern
