// SPDX-License-Identifier: Apache-2.0
// Inside the ONNX importer: names in scope, one node being lowered, and the table of operators by family.
#pragma once
#include <memory>
#include <set>
#include <unordered_map>

#include "import/builder.h"
#include "onnx/onnx.pb.h"

namespace tern {

// A weight that a DequantizeLinear node yields: it stays small in the file.
struct QuantizedWeight {
  TensorData codes, scale, zero;  // zero may lack data
  int axis = 0;
};

// What a name stands for: a value of the graph being built, or the content of a weight that becomes a constant or a
// parameter when it is known how it is used.
struct OnnxSequence;
struct Operand {
  ValueId id = kNoValue;
  std::shared_ptr<const TensorData> tensor;
  DType as = TERN_DTYPE_NONE;  // a weight seen through a Cast
  std::shared_ptr<const QuantizedWeight> quantized;
  std::shared_ptr<const OnnxSequence> sequence;
  bool absent = false;  // produced by an operator that is not supported
};

// Tensors by position, known when the model is read. Its values are of graph g.
struct OnnxSequence {
  const Graph* g = nullptr;
  std::vector<Operand> elements;
};

struct OnnxScope {
  OnnxScope* outer = nullptr;
  Graph* g = nullptr;
  std::unordered_map<std::string, Operand> names;
  // Sub-graphs: values of the enclosing graph that this one reads, shared by the sub-graphs of one node. A scope of
  // names alone (a branch lowered in place) is of the graph of the scope around it.
  std::vector<ValueId>* captures = nullptr;
  std::map<ValueId, ValueId> inner;  // captured value -> its input here
};

struct OnnxImporter;

struct OnnxNode {
  OnnxImporter& importer;
  Builder& b;
  const onnx::NodeProto& proto;
  int opset;
  std::set<std::string> read_attributes;

  const std::string& type() const { return proto.op_type(); }
  int num_in() const { return proto.input_size(); }
  bool has(int i) const { return i < num_in() && !proto.input(i).empty(); }
  // Input as a value (weights become constants or parameters), kNoValue if absent.
  ValueId in(int i);
  std::vector<ValueId> ins();
  // Input as a value whose content may be looked at: a weight becomes a constant.
  ValueId constant_in(int i);
  // Content of an input that is a weight or otherwise known, else NULL. Seen through a Cast if `as` is not NULL, which
  // then gets the element type that the node sees.
  const TensorData* weight(int i, DType* as = nullptr);
  // Operand of an input without making a value of it.
  const Operand* operand(int i);
  int rank(int i) { return b.rank(in(i)); }
  DType dtype(int i) { return b.dtype(in(i)); }

  int num_out() const { return proto.output_size(); }
  bool wants(int i) const { return i < num_out() && !proto.output(i).empty(); }
  void set(int i, ValueId v);
  void set_operand(int i, Operand o);
  // Input i, which must be there, as an operand of this graph: values of an enclosing one become values of this one.
  Operand passed(int i);
  // Output 0 is input 0 itself, if that is there.
  void pass();

  const onnx::AttributeProto* attribute(const char* name);
  int64_t integer(const char* name, int64_t otherwise);
  double number(const char* name, double otherwise);
  std::string text(const char* name, const char* otherwise);
  // Missing: empty.
  std::vector<int64_t> integers(const char* name);
  std::vector<float> numbers(const char* name);
  bool has_attribute(const char* name) { return attribute(name) != nullptr; }

  // Integers from input i, or from the attribute of this name in old versions. false: neither is given.
  // An input that is not known fails with a message.
  tern_status integers_in(int i, const char* name, std::vector<int64_t>* out, bool* given);
  // Axis of x in [0, rank).
  tern_status axis(int64_t value, int rank, int* out);

  // The node cannot be lowered: counted under `type (why)`.
  tern_status unsupported(const std::string& why);
  // Runs a sub-graph's lowering. Its own inputs are like these values of the graph around it.
  struct Branch {
    Graph g;
    std::map<ValueId, ValueId> inner;
  };
  // Lowers another node here; version: of the operators of that node and what is within it, 0 = as this one.
  tern_status lower(const onnx::NodeProto& node, int64_t version = 0);
  // open: of each of them, axes (bits) whose size is not known.
  tern_status branch(const onnx::GraphProto& graph, const std::vector<ValueId>& like, std::vector<ValueId>* captures,
                     Branch* out, std::span<const uint32_t> open = {});
  // Lowers a sub-graph without inputs of its own in place of the node, where it is known that it runs: always, or as
  // long as `choice` has the content that it has now.
  tern_status in_place(const onnx::GraphProto& graph, ValueId choice = kNoValue);
  // What was refused so far. Put back where a sub-graph turns out not to matter.
  struct Counted {
    Missing missing;
    bool sizes_decide = false;
  };
  Counted counted() const;
  void set_counted(const Counted& before);
  // Gives each branch all captures as inputs, in order, after its own inputs.
  void close_branches(std::vector<Branch*> branches, const std::vector<ValueId>& captures);
};

struct OnnxOp {
  const char* type;
  tern_status (*lower)(OnnxNode& n);
};

std::span<const OnnxOp> onnx_math_ops();
std::span<const OnnxOp> onnx_nn_ops();
std::span<const OnnxOp> onnx_spatial_ops();
std::span<const OnnxOp> onnx_sampling_ops();
std::span<const OnnxOp> onnx_resize_ops();
std::span<const OnnxOp> onnx_shape_ops();
std::span<const OnnxOp> onnx_quant_ops();
std::span<const OnnxOp> onnx_control_ops();
std::span<const OnnxOp> onnx_loss_ops();
std::span<const OnnxOp> onnx_transformer_ops();
std::span<const OnnxOp> onnx_iterate_ops();
std::span<const OnnxOp> onnx_signal_ops();
std::span<const OnnxOp> onnx_geometry_ops();
std::span<const OnnxOp> onnx_sequence_ops();

// TERN_DTYPE_NONE for what Tern lacks (strings, complex numbers).
DType onnx_dtype(int64_t data_type);
class OnnxFiles;
// files: those beside the model, for tensors that lie there; NULL = there are none.
tern_status read_onnx_tensor(const onnx::TensorProto& t, TensorData* out, OnnxFiles* files = nullptr);

// A convolution of bytes: x [N,C,spatial..], w [O,C / groups,k..], zero points of their types (kNoValue = 0). The sums
// as i32, channels last.
struct IntegerConv {
  ValueId x, w, x_zero = kNoValue, w_zero = kNoValue;
};
tern_status integer_conv(OnnxNode& n, const IntegerConv& c, ValueId* y);

// f16 and bf16 become f32, so that what is made of several steps is rounded once; other types stay.
inline ValueId widened(Builder& b, ValueId x) {
  const DType d = b.dtype(x);
  return d == TERN_DTYPE_F16 || d == TERN_DTYPE_BF16 ? b.cast(x, TERN_DTYPE_F32) : x;
}

// x [N,C,L] or [N,C,H,W] to NHWC and back (rank 3: height 1).
ValueId to_nhwc(Builder& b, ValueId x);
ValueId from_nhwc(Builder& b, ValueId y, int rank);
// Permutations that bring channels to the last place, whatever the rank, and back.
std::vector<int64_t> channels_last(int rank);
std::vector<int64_t> channels_second(int rank);

}  // namespace tern
