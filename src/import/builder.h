// SPDX-License-Identifier: Apache-2.0
// Builds a graph for the hints of its symbolic dims, and follows where each dim and each known integer comes from. What
// depends on no symbol is fixed; the rest varies with the sizes of the inputs and must not be written into attributes.
#pragma once
#include <optional>

#include "graph/sizes.h"
#include "import/importer.h"
#include "ops/op.h"

namespace tern {

// An attribute by name, so that an importer needs no operator's struct.
struct Attr {
  enum class Kind : uint8_t { integer, number, list, text };
  const char* name;
  Kind kind;
  int64_t integer = 0;
  double number = 0;
  IntList list;
  const char* text = nullptr;

  Attr(const char* n, int64_t v) : name(n), kind(Kind::integer), integer(v) {}
  Attr(const char* n, int v) : Attr(n, (int64_t)v) {}
  Attr(const char* n, bool v) : Attr(n, (int64_t)v) {}
  Attr(const char* n, double v) : name(n), kind(Kind::number), number(v) {}
  Attr(const char* n, const IntList& v) : name(n), kind(Kind::list), list(v) {}
  Attr(const char* n, const char* v) : name(n), kind(Kind::text), text(v) {}
};
using Attrs = std::vector<Attr>;

tern_status set_attr(const Op& op, Attributes* attributes, const Attr& attr);
// Value of an attribute by name; false if the operator has none of this name and type.
bool get_attr(const Node& node, const char* name, int64_t* out);
bool get_attr(const Node& node, const char* name, IntList* out);

// At most 8 entries are kept; callers check the count of what they read.
IntList int_list(std::span<const int64_t> values);

struct Builder {
  ModelDef& model;
  Graph* g = nullptr;
  Sizes& sizes;
  std::string node_name;  // given to the nodes that follow

  Builder(ModelDef& m, Graph* graph, Sizes& graph_sizes) : model(m), g(graph), sizes(graph_sizes) {}

  tern_status status() const { return g->status; }

  ValueId op(std::string_view name, const std::vector<ValueId>& in, const Attrs& attrs = {});
  std::vector<ValueId> ops(std::string_view name, const std::vector<ValueId>& in, const Attrs& attrs, int num_out);
  std::vector<ValueId> control(std::string_view name, const std::vector<ValueId>& in, const Attrs& attrs, int num_out,
                               std::vector<Graph> subgraphs);

  // A node that is ready, with its attributes set.
  std::vector<ValueId> append(Node node, int num_out);

  // An input of a model; a dim of its spec may be a symbol.
  ValueId input(const InputSpec& spec, const InputSizes& given);
  // An input of a sub-graph that stands for a value of the graph around it.
  ValueId input_like(const std::string& name, const Value& outer);
  ValueId constant(DType dtype, const Shape& shape, const void* data);
  ValueId constant(const TensorData& t) { return constant(t.dtype, t.shape, t.data.bytes); }
  ValueId integers(const std::vector<int64_t>& values);  // i64 [n]
  ValueId integer(int64_t value);                        // i64 []
  ValueId number(float value);                           // f32 []
  ValueId scalar(DType dtype, double value);             // []
  ValueId like(ValueId v, double value) { return status() ? kNoValue : scalar(dtype(v), value); }
  // A weight, plain. Its content is shared, not copied. The same content (by address, with the same shape) is one
  // parameter, however often it is used.
  ValueId parameter(const TensorData& t);
  // A matrix or convolution weight [N, k...] (f32 or f16) in the order that kernels read.
  ValueId panel_parameter(const TensorData& t);
  // A weight of one number a channel, whatever its dims are: f32 [n]. Made of f32 or f16.
  ValueId channel_parameter(const TensorData& t);
  // The parameter made before under this key (address of a content, and what was done with it), or what `make` makes.
  template <class F>
  ValueId parameter_once(const Data& content, const std::string& how, F&& make) {
    const auto it = made.find({content.bytes, how});
    if (it != made.end()) return parameter_value(it->second.index);
    const ValueId v = make();
    if (v != kNoValue && value(v).kind == ValueKind::parameter) made[{content.bytes, how}] = {value(v).index, content};
    return v;
  }
  ValueId parameter_value(int32_t index);
  struct Made {
    int32_t index;
    Data content;  // kept: no other content may come to lie at its address
  };
  std::map<std::pair<const void*, std::string>, Made> made;

  // kNoValue (an input that a file leaves out) has no type, no dims and no content; operators refuse it where they need
  // it.
  const Value& value(ValueId v) const {
    static const Value none;
    return v < 0 ? none : g->value(v);
  }
  DType dtype(ValueId v) const { return value(v).dtype; }
  int rank(ValueId v) const { return value(v).shape.rank; }
  // Dim of an axis (0 <= axis < rank), or -1 if it varies.
  int64_t dim(ValueId v, int axis) const;
  bool fixed_shape(ValueId v) const;
  // The content is known and does not vary.
  bool known(ValueId v) const;
  // The content follows from sizes that vary: it is known when a plan is made, not here.
  bool known_in_plan(ValueId v) const { return v >= 0 && value(v).data && !known(v); }
  // The content as integers / as one number, if known.
  std::optional<std::vector<int64_t>> known_integers(ValueId v) const;
  std::optional<double> known_number(ValueId v) const;

  // v for sizes of what follows: where its content depends on data, it is marked as such (data_sizes), or what it is
  // computed from. Without a run each element of what is marked counts as `sample`.
  ValueId sized(ValueId v, double sample = 1, int depth = 0);
  // As sized, for a shape to which x can be reshaped.
  ValueId sized_shape(ValueId v, ValueId x);
  // Does its content, which counts as known, depend on data?
  bool from_data(ValueId v) const;
  // The size of these axes (bits) of an input depends on data.
  void open_axes(ValueId v, uint32_t axes);
  // As sized, but v itself is marked.
  ValueId sized_itself(ValueId v, double sample = 1);

  ValueId transpose(ValueId x, const std::vector<int64_t>& permutation);
  // Target dims: >= 0 a size; kSame - k: the size of axis k of x.
  static constexpr int64_t kSame = -1000;
  static int64_t same(int axis) { return kSame - axis; }
  ValueId reshape(ValueId x, const std::vector<int64_t>& dims);
  ValueId cast(ValueId x, DType to) { return dtype(x) == to ? x : op("cast", {x}, {{"to", (int64_t)to}}); }
  ValueId add(ValueId a, ValueId b) { return op("add", {a, b}); }
  ValueId sub(ValueId a, ValueId b) { return op("sub", {a, b}); }
  ValueId mul(ValueId a, ValueId b) { return op("mul", {a, b}); }
  ValueId div(ValueId a, ValueId b) { return op("div", {a, b}); }
  // A 1x1 convolution of each channel of x (f32, channels last) by itself, one weight a channel, stride 1, no padding:
  // two element-wise steps, which join the nodes around them. bias: [channels] or kNoValue.
  ValueId scale_channels(ValueId x, const TensorData& weight, ValueId bias);
  // Sizes of x as i64 [rank]; a constant where they are fixed.
  ValueId shape_of(ValueId x);
  // Elements of a range of axes, as i64 [1].
  ValueId size_of_axes(ValueId x, int from, int to);
};

// Do the outputs of two branches have as many dims, and of the same sizes?
struct BranchSizes {
  bool same_rank = true, same_shape = true;
};
BranchSizes compare_branches(Sizes& sizes, const Graph& yes, const Graph& no);

// Does a sub-graph hold what needs the plan to know the sizes or the way? Then a plan is made for it alone.
bool decides_in_plan(const Graph& graph);
// Does it hold sizes that depend on data?
bool depends_on_data(const Graph& graph);

// New tensor with the axes of t permuted: out.dim[i] = t.dim[permutation[i]].
TensorData permute(const TensorData& t, std::span<const int64_t> permutation);
// Same content under another shape with as many elements.
TensorData with_shape(TensorData t, const Shape& shape);

}  // namespace tern
