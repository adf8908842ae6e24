// SPDX-License-Identifier: Apache-2.0
// ONNX operators on sequences of tensors. A sequence whose length and positions are known is a list of names: nothing
// of it is left in the graph.
#include <algorithm>

#include "import/onnx.h"

namespace tern {
namespace {

constexpr size_t kMaxLength = 1024;

// The elements of input i; NULL if it is no sequence of this graph.
const std::vector<Operand>* list_of(OnnxNode& n, int i) {
  const Operand* o = n.operand(i);
  return o && o->sequence && o->sequence->g == n.b.g ? &o->sequence->elements : nullptr;
}

tern_status no_list(OnnxNode& n) { return n.unsupported("a sequence that is not known"); }

tern_status set_list(OnnxNode& n, std::vector<Operand> list) {
  if (list.size() > kMaxLength) return n.unsupported("more than " + std::to_string(kMaxLength) + " elements");
  Operand o;
  o.sequence = std::make_shared<const OnnxSequence>(OnnxSequence{n.b.g, std::move(list)});
  n.set_operand(0, std::move(o));
  return TERN_OK;
}

// Position from input i in [0, length), `otherwise` if it is left out.
tern_status position(OnnxNode& n, int i, size_t length, int64_t otherwise, size_t* out) {
  int64_t at = otherwise;
  if (n.has(i)) {
    const auto known = n.b.known_integers(n.constant_in(i));
    TERN_TRY(n.b.status());
    if (!known || known->size() != 1) return n.unsupported("a position that depends on data");
    at = (*known)[0];
  }
  if (at < 0) at += (int64_t)length;
  if (at < 0 || at >= (int64_t)length)
    return TERN_FAIL(TERN_ERR_INDEX, "%s: position %" PRId64 " in a sequence of %zu", n.type().c_str(), at, length);
  *out = (size_t)at;
  return TERN_OK;
}

tern_status lower_construct(OnnxNode& n) {
  std::vector<Operand> list;
  for (int i = 0; i < n.num_in(); ++i) {
    if (!n.has(i)) return TERN_FAIL(TERN_ERR_CORRUPT, "SequenceConstruct lacks an input");
    list.push_back(n.passed(i));
  }
  return set_list(n, std::move(list));
}

tern_status lower_empty(OnnxNode& n) {
  n.integer("dtype", 1);
  return set_list(n, {});
}

tern_status lower_insert(OnnxNode& n) {
  const std::vector<Operand>* given = list_of(n, 0);
  if (!given) return no_list(n);
  if (!n.has(1)) return TERN_FAIL(TERN_ERR_CORRUPT, "SequenceInsert lacks its tensor");
  std::vector<Operand> list = *given;
  size_t at = 0;
  TERN_TRY(position(n, 2, list.size() + 1, (int64_t)list.size(), &at));
  list.insert(list.begin() + (ptrdiff_t)at, n.passed(1));
  return set_list(n, std::move(list));
}

tern_status lower_erase(OnnxNode& n) {
  const std::vector<Operand>* given = list_of(n, 0);
  if (!given) return no_list(n);
  std::vector<Operand> list = *given;
  size_t at = 0;
  TERN_TRY(position(n, 1, list.size(), -1, &at));
  list.erase(list.begin() + (ptrdiff_t)at);
  return set_list(n, std::move(list));
}

tern_status lower_at(OnnxNode& n) {
  const std::vector<Operand>* list = list_of(n, 0);
  if (!list) return no_list(n);
  size_t at = 0;
  TERN_TRY(position(n, 1, list->size(), 0, &at));
  n.set_operand(0, (*list)[at]);
  return TERN_OK;
}

tern_status lower_length(OnnxNode& n) {
  const std::vector<Operand>* list = list_of(n, 0);
  if (!list) return no_list(n);
  n.set(0, n.b.integer((int64_t)list->size()));
  return TERN_OK;
}

tern_status lower_concat(OnnxNode& n) {
  Builder& b = n.b;
  const std::vector<Operand>* list = list_of(n, 0);
  if (!list) return no_list(n);
  if (list->empty()) return TERN_FAIL(TERN_ERR_SHAPE, "ConcatFromSequence: the sequence is empty");
  // The elements get names, by which they become values.
  onnx::NodeProto names;
  names.set_op_type(n.type());
  for (size_t i = 0; i < list->size(); ++i) {
    names.add_input(n.proto.output(0) + "/element." + std::to_string(i));
    names.add_output(names.input((int)i));
  }
  OnnxNode elements{n.importer, b, names, n.opset, {}};
  std::vector<ValueId> values;
  const bool stacked = n.integer("new_axis", 0) != 0;
  int axis = 0;
  for (size_t i = 0; i < list->size(); ++i) {
    elements.set_operand((int)i, (*list)[i]);
    ValueId v = elements.in((int)i);
    TERN_TRY(b.status());
    if (v == kNoValue) return no_list(n);
    if (i == 0) TERN_TRY(n.axis(n.integer("axis", 0), b.rank(v) + stacked, &axis));
    if (stacked) {
      std::vector<int64_t> dims;
      for (int k = 0; k < b.rank(v); ++k) dims.push_back(Builder::same(k));
      dims.insert(dims.begin() + std::min<ptrdiff_t>(axis, (ptrdiff_t)dims.size()), 1);
      v = b.reshape(v, dims);
    }
    values.push_back(v);
  }
  n.set(0, b.op("concat", values, {{"axis", axis}}));
  return TERN_OK;
}

tern_status lower_split(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", 0), rank, &axis));
  const bool keep = n.integer("keepdims", 1) != 0 || n.has(1);
  std::vector<int64_t> sizes;
  const int64_t size = b.dim(x, axis);
  const auto given = b.known_integers(n.constant_in(1));
  if (n.has(1) && !given) return n.unsupported("sizes that depend on data");
  if (given && b.rank(n.constant_in(1)) == 1) {
    sizes = *given;
  } else {
    const int64_t each = given ? (*given)[0] : 1;
    if (size < 0) return n.unsupported("of a size that varies");
    if (each < 1 || size / each > (int64_t)kMaxLength)
      return TERN_FAIL(TERN_ERR_CORRUPT, "SplitToSequence: parts of %" PRId64 " of %" PRId64, each, size);
    for (int64_t at = 0; at < size; at += each) sizes.push_back(std::min(each, size - at));
  }
  std::vector<Operand> list;
  int64_t start = 0;
  for (const int64_t part : sizes) {
    if (part < 0 || part > INT32_MAX || list.size() == kMaxLength)
      return TERN_FAIL(TERN_ERR_CORRUPT, "SplitToSequence: a part of %" PRId64, part);
    IntList starts, ends;
    starts.count = ends.count = rank;
    for (int i = 0; i < rank; ++i) ends[i] = INT64_MAX;
    starts[axis] = start;
    ends[axis] = start += part;
    Operand e;
    e.id = b.op("slice", {x}, {{"starts", starts}, {"ends", ends}});
    if (!keep) {
      std::vector<int64_t> dims;
      for (int k = 0; k < rank; ++k)
        if (k != axis) dims.push_back(Builder::same(k));
      e.id = b.reshape(e.id, dims);
    }
    TERN_TRY(b.status());
    list.push_back(std::move(e));
  }
  if (size >= 0 && start != size)
    return TERN_FAIL(TERN_ERR_SHAPE, "SplitToSequence: parts of %" PRId64 " in all for a size of %" PRId64, start,
                     size);
  return set_list(n, std::move(list));
}

constexpr OnnxOp kOps[] = {
    {"SequenceConstruct", lower_construct}, {"SequenceEmpty", lower_empty},   {"SequenceInsert", lower_insert},
    {"SequenceErase", lower_erase},         {"SequenceAt", lower_at},         {"SequenceLength", lower_length},
    {"ConcatFromSequence", lower_concat},   {"SplitToSequence", lower_split},
};

}  // namespace

std::span<const OnnxOp> onnx_sequence_ops() { return kOps; }

}  // namespace tern
