// SPDX-License-Identifier: Apache-2.0
// What an operator is. One file `src/ops/<name>.cpp` defines `op_<name>`; the build collects the folder.
//
// An operator has a shape rule and either a reference kernel in plain loops (a primitive, which also has its gradient
// or the reason why it has none) or a decomposition into other operators (a composite, whose reference and gradient
// follow from it). A primitive may have a decomposition for its gradient alone. Picture operators are NHWC.
#pragma once
#include <initializer_list>
#include <string_view>

#include "base/capability.h"
#include "base/elementwise.h"
#include "graph/graph.h"

namespace tern {

// ---- attributes ----

// A short list of integers inside an attribute struct.
struct IntList {
  int64_t count = 0;
  int64_t items[kMaxRank] = {};

  constexpr IntList() = default;
  constexpr IntList(std::initializer_list<int64_t> list) {
    for (int64_t v : list)
      if (count < kMaxRank) items[count++] = v;
  }
  constexpr int64_t operator[](int64_t i) const { return items[i]; }
  constexpr int64_t& operator[](int64_t i) { return items[i]; }
  const int64_t* begin() const { return items; }
  const int64_t* end() const { return items + count; }
  bool operator==(const IntList&) const = default;
};

enum class AttrType : uint8_t {
  integer /* int64_t */,
  number /* double */,
  integers /* IntList */,
  choice /* int64_t */
};

struct AttrField {
  const char* name;
  AttrType type;
  uint16_t offset;                       // in the operator's struct
  double min = -1e18, max = 1e18;        // of each integer or number
  const char* const* choices = nullptr;  // names of the values 0..max of a choice
};

// Describes a field of an attribute struct; a macro because offsetof and the field's own name are needed.
#define TERN_ATTR(Struct, field, type, ...) \
  ::tern::AttrField { #field, ::tern::AttrType::type, (uint16_t)offsetof(Struct, field) __VA_OPT__(, ) __VA_ARGS__ }

struct AttrSchema {
  const AttrField* fields = nullptr;
  int32_t count = 0;
  size_t size = 0;
  void (*set_defaults)(void* attrs) = nullptr;
};

template <class T, size_t N>
constexpr AttrSchema attr_schema(const AttrField (&fields)[N]) {
  static_assert(sizeof(T) <= Attributes::kCapacity);
  return {fields, (int32_t)N, sizeof(T), [](void* p) { *(T*)p = T{}; }};
}

// ---- shape rule ----

struct InferArgs {
  const Graph& g;
  const Node& node;
  Value* outs;  // as many as node.out

  int num_in() const { return (int)node.in.size(); }
  bool has(int i) const { return i < num_in() && node.in[(size_t)i] != kNoValue; }
  const Value& in(int i) const { return g.value(node.in[(size_t)i]); }
  Value& out(int i) const { return outs[i]; }
  void set(int i, DType dtype, const Shape& shape) const {
    outs[i].dtype = dtype;
    outs[i].shape = shape;
  }
  template <class T>
  const T& attrs() const {
    return node.attrs<T>();
  }
};

// Helpers of shape rules; all fail with a message that names the operator's input.
tern_status require_float(const InferArgs& a, int i);
tern_status require_integer(const InferArgs& a, int i);
tern_status require_same_dtype(const InferArgs& a, int i, int j);
tern_status require_rank(const InferArgs& a, int i, int rank);
// The content of input i as integers, which must be known when the plan is made (a constant, or computed from dims).
tern_status require_integers(const InferArgs& a, int i, IntList* out);
// output 0 = input 0's type, broadcast shape of inputs 0 and 1 (same dtype)
tern_status infer_binary(InferArgs& a);
// output 0 = input 0's type and shape; infer_unary_float also requires a float
tern_status infer_unary(InferArgs& a);
tern_status infer_unary_float(InferArgs& a);

// ---- reference kernel ----

struct RefTensor {
  DType dtype = TERN_DTYPE_NONE;
  Encoding encoding = Encoding::plain;
  Shape shape;
  void* data = nullptr;      // inputs are not written; a PageTable if it is paged (ops/pages.h reads and writes it)
  bool paged = false;        // of host memory
  uint64_t page_offset = 0;  // from a page's begin to the state

  int64_t elements() const { return shape.elements(); }
  bool is_doubles() const { return dtype == TERN_DTYPE_F64 && is_plain(encoding) && !paged; }
  double load(int64_t i) const {
    return is_plain(encoding) ? load_element(dtype, data, i) : load_encoded(encoding, dtype, shape, data, i);
  }
  int64_t load_int(int64_t i) const { return load_integer(dtype, data, i); }
  void store(int64_t i, double v) const {
    is_plain(encoding) ? store_element(dtype, data, i, v) : store_encoded(encoding, dtype, shape, data, i, v);
  }
  void store_int(int64_t i, int64_t v) const { store_integer(dtype, data, i, v); }
};

struct RefArgs {
  const Node& node;
  const RefTensor* ins;   // data NULL for an absent optional input
  const RefTensor* outs;  // shapes as inferred

  int num_in() const { return (int)node.in.size(); }
  bool has(int i) const { return i < num_in() && node.in[(size_t)i] != kNoValue; }
  const RefTensor& in(int i) const { return ins[i]; }
  const RefTensor& out(int i) const { return outs[i]; }
  template <class T>
  const T& attrs() const {
    return node.attrs<T>();
  }
};

// Zeroes the padding of an output that is not plain, before its elements are stored.
void clear_padding(const RefTensor& t);

// Walks a broadcast: offset of output element `i` in an input of shape `in`.
int64_t broadcast_offset(const Shape& out, const Shape& in, int64_t i);

// ---- gradient ----

// Builds the gradients of a node's inputs from those of its outputs, out of other operators. Sums over broadcast dims
// are the differentiator's work: a gradient may have the output's shape.
struct VjpArgs {
  Graph& g;
  const Node& node;      // a copy: emitting nodes does not move it
  const ValueId* douts;  // kNoValue where no gradient arrives
  ValueId* dins;         // to be set where wanted(i); kNoValue = zero

  bool has(int i) const { return i < (int)node.in.size() && node.in[(size_t)i] != kNoValue; }
  ValueId in(int i) const { return node.in[(size_t)i]; }
  ValueId out(int i) const { return node.out[(size_t)i]; }
  ValueId dout(int i) const { return douts[i]; }
  // Float inputs only get gradients.
  bool wanted(int i) const { return has(i) && is_float(g.value(in(i)).dtype); }
  void set(int i, ValueId d) const { dins[i] = d; }
  template <class T>
  const T& attrs() const {
    return node.attrs<T>();
  }
};

// Why an operator has no gradient. Not yet is no reason.
enum class NoGradient : uint8_t {
  has_one,
  integer_output,  // integer or boolean results
  index_producer,  // selects: gradients follow the gathered values
  input_output,    // reads or writes a state, or is an optimiser's update
};

// ---- decomposition ----

struct DecomposeArgs {
  Graph& g;
  const Node& node;  // a copy
  ValueId* outs;     // to be set

  bool has(int i) const { return i < (int)node.in.size() && node.in[(size_t)i] != kNoValue; }
  ValueId in(int i) const { return node.in[(size_t)i]; }
  void set(int i, ValueId v) const { outs[i] = v; }
  template <class T>
  const T& attrs() const {
    return node.attrs<T>();
  }
};

// ---- test cases ----

// One line that the test harness (tests/ops) runs through shape rule, reference, every backend and gradient.
//   inputs      separated by spaces: dtype[dims], with an optional range ":lo..hi" (default -2..2; integers -9..9) or
//               content "{v,v,...}"; "-" for an absent optional input. "f32[3,4] f32[4]:0.1..2 i64[2]{0,3}"
//   attributes  "axis=1 dims=2,3 mode=linear"
//   tolerance   largest |a-b| / max(1, |b|) between backends and the reference
//   fails       the status that the case must give instead of results (hostile cases)
struct Case {
  const char* name;
  const char* inputs;
  const char* attributes = "";
  double tolerance = 1e-5;
  tern_status fails = TERN_OK;
};
struct CaseList {
  const Case* items = nullptr;
  int32_t count = 0;
  constexpr CaseList() = default;
  template <size_t N>
  constexpr CaseList(const Case (&cases)[N]) : items(cases), count((int32_t)N) {}
};
// Cases stand in the library's test build only; a macro since the array must vanish otherwise.
#ifdef TERN_WITH_CASES
#define TERN_CASES(array) ::tern::CaseList(array)
#else
#define TERN_CASES(array) (static_cast<void>(array), ::tern::CaseList())
#endif

// ---- operator ----

enum OpFlags : uint32_t {
  kElementwise = 1,  // output element i depends on element i of each (broadcast) input only
  kInPlace = 2,      // output 0 may take the memory of input 0 when that dies here and has the same size
  kView = 4,         // output 0 is input 0's bytes under another shape
  kWritesState = 8,  // output k is the new content of the state that input k is, for every output
  kControl = 16,     // runs its sub-graphs; the executor's work, not a backend's
  kCommutative = 32,
  // output 0 may be written in the order of any permutation (base/encoding.h), padding as zeros: its value's encoding
  // says which; plain where shapes are inferred (passes/update_order.h)
  kAnyOrder = 64,
  // its operands tell kernels more than its result does: not computed ahead
  kDecodes = 128,
  kChecks = 256,  // may end a run: kept though nobody reads its result
};

struct Op {
  const char* name;
  int32_t version = 1;
  int32_t min_in = 1, max_in = 1;  // max_in -1: any number. Inputs from min_in on may be absent
  int32_t num_out = 1;             // -1: as many as the node has (split, if, loop)
  int32_t num_subgraphs = 0;
  uint32_t flags = 0;
  Capability capability = Capability::core;  // the build reads it from the operator's file
  // bit i: input i may be an encoded tensor; bit 31: all from 31 on. infer_node refuses the others
  uint32_t encoded_in = 0;
  uint32_t paged_in = 0;  // likewise: input i may be a state in pages
  AttrSchema attributes = {};
  // What kernels know the operator as, if it is element-wise. step: from attributes, where they change it.
  Elementwise elementwise = Elementwise::none;
  ElementwiseStep (*step)(const Node& node) = nullptr;
  tern_status (*infer)(InferArgs& a) = nullptr;
  tern_status (*reference)(RefArgs& a) = nullptr;
  void (*vjp)(VjpArgs& a) = nullptr;
  NoGradient no_gradient_because = NoGradient::has_one;
  void (*decompose)(DecomposeArgs& a) = nullptr;
  CaseList cases = {};
};

// Is a function absent? With UBSan, GCC does not take a plain comparison of function pointers for a constant.
template <class F>
consteval bool absent(F f) {
  return __builtin_constant_p(f == nullptr) && f == nullptr;
}
// Stops the build for an operator that is not whole.
consteval Op checked_op(Op op) {
  if (!op.name || absent(op.infer)) throw "an operator needs a name and a shape rule";
  const bool control = (op.flags & kControl) != 0;
  if (!control && absent(op.reference) && absent(op.decompose)) throw "neither a reference nor a decomposition";
  if (!absent(op.reference) && !absent(op.vjp) && !absent(op.decompose)) throw "a gradient and a decomposition for it";
  if (!absent(op.vjp) && op.no_gradient_because != NoGradient::has_one) throw "a gradient and a reason for none";
  if (!absent(op.reference) && absent(op.vjp) && absent(op.decompose) && op.no_gradient_because == NoGradient::has_one)
    throw "neither a gradient nor a reason for none";
  if ((op.flags & kWritesState) && (op.num_out < 1 || op.num_out > op.min_in)) throw "an output without a state";
  if (!has_capability(Capability::training)) op.vjp = nullptr;
  return op;
}

// How many states a node writes: its first inputs are their old content, its outputs the new one.
inline size_t num_written(const Node& n) { return n.op->flags & kWritesState ? n.out.size() : 0; }

// Is it computed through its decomposition where nobody has a kernel for it?
inline bool is_composite(const Op& op) { return op.decompose && !op.reference; }

// All operators, sorted by name (generated from the folder's files).
std::span<const Op* const> all_ops();
// NULL if there is none of this name.
const Op* find_op(std::string_view name);
// The CMake option that brings an operator which was left out of this build; NULL for any other name.
const char* option_for_op(std::string_view name);

// What an element-wise node does; kind none: it is not one that kernels know.
inline ElementwiseStep step_of(const Node& node) {
  return node.op->step ? node.op->step(node) : ElementwiseStep{node.op->elementwise};
}

// ---- building graphs ----

// Appends a node: checks arity and attributes, infers the outputs, and computes small results that follow from
// constants and dims alone (Value::data). Returns the first output; all of them through `outs` if not NULL. On failure
// sets g.status and returns kNoValue; does nothing if g.status is set already. Nodes of absent inputs: kNoValue in
// `in`.
ValueId emit_node(Graph& g, Node node, int num_out = -1, std::vector<ValueId>* outs = nullptr);
ValueId emit(Graph& g, std::string_view op, std::initializer_list<ValueId> in);
// attrs: `size` bytes, the operator's struct
ValueId emit_with(Graph& g, std::string_view op, std::initializer_list<ValueId> in, const void* attrs, size_t size);
template <class T>
ValueId emit(Graph& g, std::string_view op, std::initializer_list<ValueId> in, const T& attrs) {
  return emit_with(g, op, in, &attrs, sizeof attrs);
}

// Short forms.
ValueId add(Graph& g, ValueId a, ValueId b);
ValueId sub(Graph& g, ValueId a, ValueId b);
ValueId mul(Graph& g, ValueId a, ValueId b);
ValueId div(Graph& g, ValueId a, ValueId b);
ValueId neg(Graph& g, ValueId a);
// A rank-0 constant of the same dtype as `like`.
ValueId scalar_like(Graph& g, ValueId like, double value);
ValueId reshape(Graph& g, ValueId x, const Shape& shape);
ValueId transpose(Graph& g, ValueId x, std::span<const int64_t> permutation);
ValueId cast(Graph& g, ValueId x, DType dtype);
// Sums over the axes of x (kept as 1 if keep_dims).
ValueId reduce_sum(Graph& g, ValueId x, std::span<const int64_t> axes, bool keep_dims);

// ---- nodes ----

// Sets defaults / checks every attribute against its range. `where` names the node in messages.
void set_default_attributes(const Op& op, Attributes* attributes);
tern_status check_attributes(const Op& op, const Attributes& attributes);
// Attribute from text: "3", "0.5", "1,2,2", "linear". Errors name the attribute and what it takes.
tern_status set_attribute(const Op& op, Attributes* attributes, std::string_view name, std::string_view text);

// Infers dtype and shape of the node's outputs into `outs` (resized), from the present values of its inputs.
tern_status infer_node(const Graph& g, const Node& node, std::vector<Value>* outs);

// Computes the content of `outs` (as infer_node gave them) if all inputs are known and small, and `budget` lasts. Else
// leaves them unknown, which is no error: nor is a node that fails (it shows when it runs, if it ever does).
// What reads a file computes what its writer computed: shapes follow from it.
void fold_node(const Graph& g, const Node& node, FoldBudget& budget, std::vector<Value>& outs);
// The same for what is not computed ahead, too (kDecodes), once no kernel takes its operands.
void fold_decoding(const Graph& g, const Node& node, FoldBudget& budget, std::vector<Value>& outs);

// Runs one node by reference kernels (through its decomposition for a composite). Not for control nodes.
tern_status evaluate(const Node& node, const RefTensor* ins, const RefTensor* outs);

}  // namespace tern
