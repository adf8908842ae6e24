// SPDX-License-Identifier: Apache-2.0
// Inside the TFLite importer: tensors of the sub-graph being lowered, one operator, and the table of operators by
// family.
//
// TFLite's pictures are NHWC as ours are. Sub-graphs are lowered at each place that calls them.
#pragma once
#include <memory>

#include "import/builder.h"
#include "import/tflite_generated.h"

namespace tern {

// Tensor.type
enum class TfliteType : int8_t {
  f32 = 0,
  f16 = 1,
  i32 = 2,
  u8 = 3,
  i64 = 4,
  string = 5,
  boolean = 6,
  i16 = 7,
  i8 = 9,
  f64 = 10,
  u64 = 12,
  u32 = 15,
  u16 = 16,
  i4 = 17,
  bf16 = 18,
};
// TERN_DTYPE_NONE for types that are not supported. i4 is widened to i8 when it is read.
DType tflite_dtype(int8_t type);

// A tensor of a sub-graph: claims of the file, and what it stands for as far as it is known.
struct TfliteTensor {
  const tfl::Tensor* file = nullptr;
  DType dtype = TERN_DTYPE_NONE;  // as declared
  bool quantized = false;         // integers that stand for (x - zero point) * scale
  bool absent = false;            // produced by an operator that is not supported
  bool produced = false;
  // Content of a constant; f16 also where a DEQUANTIZE to f32 stands between the weight and its use.
  std::shared_ptr<const TensorData> content;
  ValueId id = kNoValue;    // value of the declared type
  ValueId real = kNoValue;  // of a quantised tensor: as f32
  int32_t variable = -1;    // of a handle: index into TfliteImporter::variables
  int32_t kept = -1;        // of a variable tensor: likewise

  bool defined() const { return content || id != kNoValue || absent || variable >= 0; }
};

// What resource variables of one name hold; handles of any sub-graph lead to it.
struct TfliteVariable {
  std::pair<std::string, std::string> key;  // container and name
  std::string name;
  std::shared_ptr<const TensorData> initial = nullptr;
  ValueId current = kNoValue;  // in the main graph, so far
  ValueId state = kNoValue;    // where it was read before it was written: its content comes from the last run
};

struct TfliteScope {
  const tfl::SubGraph* graph = nullptr;
  std::vector<TfliteTensor> tensors;
  // Weights that are parameters already, by content and form (order of bytes and axes): several operators may share
  // one.
  std::map<std::pair<const TensorData*, int>, ValueId> weights;
};

struct TfliteImporter {
  const ImportOptions& options;
  std::span<const uint8_t> file;
  const tfl::Model& proto;
  ModelDef model = {};
  Missing missing = {};
  TfliteScope* scope = nullptr;
  std::vector<uint32_t> calls = {};  // sub-graphs being lowered, outermost first
  uint64_t lowered = 0;              // operators and tensors, over all calls of sub-graphs
  uint64_t content_bytes = 0;        // of weights, as read
  bool sizes_decide = false;         // what is refused reads sizes that vary
  const Graph* main = nullptr;       // that of the signature
  std::vector<TfliteVariable> variables = {};
  ValueId detection[4] = {kNoValue, kNoValue, kNoValue, kNoValue};  // of the detection operator: boxes, classes, ...
  ValueId ran = kNoValue;                                           // state: there was a run
  bool initializing = false;                                        // within CALL_ONCE

  // Checks what the file says about the tensors of sub-graph `index` and reads no content.
  tern_status open_scope(uint32_t index, TfliteScope* out);
  tern_status lower_operators(Builder& b);
  // Lowers sub-graph `index` within b.g: `in` are the values of its inputs.
  tern_status inline_graph(uint32_t index, const std::vector<ValueId>& in, Builder& b, std::vector<ValueId>* out);
  // Content of a constant tensor, decoded if it is sparse. *out stays empty for a tensor without content.
  tern_status read_content(const tfl::Tensor& t, std::shared_ptr<const TensorData>* out);
  // Refuses files whose weights grow beyond all measure when they are decoded.
  tern_status account(uint64_t bytes);
  // Makes a variable tensor a state; at first it is zeros.
  void open_variable(TfliteTensor& t, const std::string& name, const Shape& shape, Builder& b);
  // At the end of the main graph: what variables hold goes into the states.
  tern_status write_variables(Builder& b);
  ValueId value_of(TfliteTensor& t, Builder& b);
  ValueId real_of(TfliteTensor& t, Builder& b);
};

struct TfliteOp;

struct TfliteNode {
  TfliteImporter& importer;
  Builder& b;
  const tfl::Operator& op;
  const TfliteOp& kind;
  bool raw = false;  // quantised tensors are moved as the integers that they are

  const char* type() const;
  int num_in() const { return op.inputs() ? (int)op.inputs()->size() : 0; }
  int num_out() const { return op.outputs() ? (int)op.outputs()->size() : 0; }
  bool has(int i) const { return i < num_in() && (*op.inputs())[(unsigned)i] >= 0; }
  TfliteTensor& tensor(int i) { return importer.scope->tensors[(size_t)(*op.inputs())[(unsigned)i]]; }
  TfliteTensor& out_tensor(int i) { return importer.scope->tensors[(size_t)(*op.outputs())[(unsigned)i]]; }

  // Input as a value; quantised ones as f32 unless `raw`. kNoValue for an absent optional input.
  ValueId in(int i);
  std::vector<ValueId> ins();
  // Input as i64 integers, known or not.
  ValueId integers_value(int i);
  // Content of input i, which must be a float constant that is not sparse any more; NULL otherwise.
  const TensorData* weight(int i);
  // A weight as a parameter: panels (where the type has them) or plain, its axes permuted unless `permutation` is
  // empty.
  ValueId parameter(const TensorData& t, bool panel, std::span<const int64_t> permutation = {});
  // Integers that must be known. Fails with a message or through `unsupported`.
  tern_status integers_in(int i, std::vector<int64_t>* out);
  tern_status integer_in(int i, int64_t* out);
  tern_status number_in(int i, double* out);
  // Result: quantised or cast to the declared type.
  void set(int i, ValueId v);
  // For operators that only move elements of the inputs in `data` (empty: of all): moves integers if these and all
  // outputs are quantised alike.
  void moves(std::initializer_list<int> data = {});
  bool is_quantized(int i) { return has(i) && tensor(i).quantized; }

  // Options of this type. NULL if the operator has none; those of another type are an error.
  template <class T>
  tern_status options(const T** out) const {
    *out = op.builtin_options_as<T>();
    if (!*out && op.builtin_options_type() != tfl::BuiltinOptions::NONE)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s has options of type %d", type(), (int)op.builtin_options_type());
    return TERN_OK;
  }
  // As options, but they must be there.
  template <class T>
  tern_status need_options(const T** out) const {
    TERN_TRY(options(out));
    return *out ? TERN_OK : TERN_FAIL(TERN_ERR_CORRUPT, "%s has no options", type());
  }
  // Applies a fused activation.
  tern_status activate(int code, ValueId* v);
  tern_status unsupported(const std::string& why);
};

struct TfliteOp {
  int code;            // BuiltinOperator; -1 for custom operators
  const char* name;    // of a custom operator: its code
  int min_in, max_in;  // max_in -1: any number
  int num_out;         // -1: any number above 0
  uint32_t optional;   // bit i: input i may be absent (-1)
  tern_status (*lower)(TfliteNode& n);
};

std::span<const TfliteOp> tflite_math_ops();
std::span<const TfliteOp> tflite_nn_ops();
std::span<const TfliteOp> tflite_volume_ops();
std::span<const TfliteOp> tflite_shape_ops();
std::span<const TfliteOp> tflite_control_ops();
std::span<const TfliteOp> tflite_variable_ops();
std::span<const TfliteOp> tflite_recurrent_ops();
std::span<const TfliteOp> tflite_detection_ops();

// Name of a BuiltinOperator, or NULL.
const char* tflite_operator_name(int code);
// The larger of the two fields, see the schema.
int tflite_operator_code(const tfl::OperatorCode& code);

// Dense content of a sparse constant: `values` holds those that are there, of `item` bytes each. `out` has room for all
// elements of the shape and is zero.
tern_status decode_sparse(const tfl::SparsityParameters& sparsity, const Shape& shape, std::span<const uint8_t> values,
                          size_t item, uint8_t* out);

// What the file says of its task, as metadata tflite.*, for the recipes.
void read_task_of_source(std::span<const uint8_t> file, const tfl::Model& proto, ModelDef* model);

// A name that is short, printable UTF-8.
std::string clean_name(const flatbuffers::String* name, const char* otherwise, size_t index);

}  // namespace tern
