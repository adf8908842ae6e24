// SPDX-License-Identifier: Apache-2.0
// Runs that advance several sequences by different numbers of rows.
#include <algorithm>
#include <cstring>

#include "runtime/session.h"

namespace tern {
namespace {

// Numbers of rows that plans are made for.
int64_t bucket_of(int64_t rows) {
  constexpr int64_t kStep = 64;
  for (int64_t n = 1; n < kStep; n *= 2)
    if (rows <= n) return n;
  return (rows + kStep - 1) / kStep * kStep;
}

}  // namespace

void Session::find_rows(int32_t signature) {
  const Signature& sig = model_->def().signatures[(size_t)signature];
  Rows& rows = signatures_[(size_t)signature].rows;
  rows.inputs.assign(sig.graph.inputs.size(), 0);
  rows.outputs.assign(sig.graph.outputs.size(), 0);
  rows.filled.resize(sig.graph.inputs.size());
  for (const SymbolicDim& d : sig.symbolic_dims)
    if (sig.sequence_input >= 0 && d.input == sig.position_input && d.axis == 0) rows.symbol = d.symbol;
  if (rows.symbol < 0) return;
  for (const SymbolicDim& d : sig.symbolic_dims)
    if (d.symbol == rows.symbol && d.axis == 0) rows.inputs[(size_t)d.input] = 1;
  const std::vector<OutputSizes>& sizes = model_->output_sizes((size_t)signature);
  for (size_t k = 0; k < sizes.size(); ++k) rows.outputs[k] = sizes[k].first_symbol == rows.symbol;
  for_each_graph(sig.graph, [&](const Graph& g) {
    for (const Value& v : g.values) rows.simple_states |= v.kind == ValueKind::state && !v.paged;
  });
}

int64_t Session::planned_rows(int32_t signature, int64_t rows) const {
  const PerSignature& per = signatures_[(size_t)signature];
  const Symbol& s = model_->def().signatures[(size_t)signature].symbols[(size_t)per.rows.symbol];
  const int64_t planned = std::max(s.min, bucket_of(rows));
  return planned <= s.max && planned % s.multiple == 0 ? planned : rows;
}

// The rows of per.tensors, filled up to as many as the plan has.
tern_status Session::fill_rows(int32_t signature) {
  PerSignature& per = signatures_[(size_t)signature];
  const Signature& sig = model_->def().signatures[(size_t)signature];
  Rows& rows = per.rows;
  for (size_t i = 0; i < per.tensors.size(); ++i) {
    const bool own = (int32_t)i == sig.position_input || (int32_t)i == sig.sequence_input;
    if (own) {
      per.shapes[i] = {rows.planned};
      per.inputs[i] = (int32_t)i == sig.position_input ? (const void*)rows.positions.data() : rows.sequences.data();
      continue;
    }
    const Tensor& t = *per.tensors[i];
    per.shapes[i] = t.shape();
    per.inputs[i] = t.data();
    if (!rows.inputs[i] || rows.given == rows.planned) continue;
    per.shapes[i][0] = rows.planned;
    uint64_t bytes = 0;
    TERN_TRY(tensor_bytes(t.dtype(), per.shapes[i], &bytes));
    Block& to = rows.filled[i];
    if (to.bytes() < bytes) TERN_TRY(to.allocate(model_->context().allocator(), bytes));
    std::memcpy(to.data(), t.data(), t.bytes());
    std::memset((char*)to.data() + t.bytes(), 0, bytes - t.bytes());
    per.inputs[i] = to.data();
  }
  return TERN_OK;
}

// Of the results, the rows that were given.
tern_status Session::cut_rows(int32_t signature) {
  PerSignature& per = signatures_[(size_t)signature];
  const Rows& rows = per.rows;
  for (size_t k = 0; k < per.results.size(); ++k) {
    if (!rows.outputs[k] || rows.given == rows.planned) continue;
    const Ref<Tensor> whole = per.results[k];
    Shape shape = whole->shape();
    shape[0] = rows.given;
    Ref<Tensor> cut;
    TERN_TRY(Tensor::view(*whole, shape, 0, &cut));
    const Ref<Tensor>& bound = per.bound_outputs[k];
    if (bound) TERN_TRY(copy_whole(bound->data(), bound->bytes(), cut->data(), cut->bytes(), "a bound output"));
    per.results[k] = bound ? bound : cut;
  }
  return TERN_OK;
}

tern_status Session::execute_rows(int32_t signature, bool bound, std::span<State* const> states,
                                  std::span<const int64_t> counts, const RunControl& control) {
  PerSignature& per = signatures_[(size_t)signature];
  const Signature& sig = model_->def().signatures[(size_t)signature];
  Rows& rows = per.rows;
  int64_t sum = 0;
  rows.counts.assign(counts.begin(), counts.end());
  rows.given = -1;
  for (size_t i = 0; i < per.tensors.size() && rows.given < 0; ++i)
    if (rows.inputs[i] && per.tensors[i]) rows.given = per.tensors[i]->shape()[0];
  if (counts.empty() && rows.given >= 0) rows.counts = {rows.given};
  for (const int64_t n : rows.counts) sum = n < 0 || n > INT32_MAX - sum ? -1 : sum + n;
  if (rows.given < 0) rows.given = sum;
  if (sum < 1 || sum != rows.given)
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "'%s': the sequences have %" PRId64 " rows together, the inputs %" PRId64 "; at least 1 is needed",
                     sig.name.c_str(), sum, rows.given);
  if (states.size() > 1 && rows.simple_states)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "'%s' has states that are not paged: it takes one sequence at a time",
                     sig.name.c_str());
  rows.planned = planned_rows(signature, rows.given);
  rows.positions.assign((size_t)rows.planned, -1);
  rows.sequences.assign((size_t)rows.planned, 0);
  size_t row = 0;
  for (size_t s = 0; s < states.size(); ++s) {
    const PageLayout& pages = states[s]->page_layout();
    const int64_t length = states[s]->length();
    const int64_t capacity = pages.bytes ? std::min(sig.capacity, pages.capacity) : sig.capacity;
    if (rows.counts[s] > capacity - length)
      return TERN_FAIL(TERN_ERR_LIMIT,
                       "sequence %zu holds %" PRId64 " of %" PRId64 " positions; the run needs %" PRId64 " more", s,
                       length, capacity, rows.counts[s]);
    for (int64_t k = 0; k < rows.counts[s]; ++k, ++row) {
      rows.positions[row] = length + k;
      rows.sequences[row] = (int32_t)s;
    }
  }
  for (size_t s = 0; s < states.size(); ++s) TERN_TRY(states[s]->reserve(states[s]->length() + rows.counts[s]));
  TERN_TRY(fill_rows(signature));
  TERN_TRY(execute(signature, bound, Sequences(states), control));
  TERN_TRY(cut_rows(signature));
  for (size_t s = 0; s < states.size(); ++s) states[s]->set_length(states[s]->length() + rows.counts[s]);
  return TERN_OK;
}

tern_status Session::run_sequences(int32_t signature, std::span<State* const> states, std::span<const int64_t> counts,
                                   std::span<const Tensor* const> inputs, std::span<const Tensor*> outputs,
                                   const RunControl& control) {
  TERN_TRY(check_given(signature, inputs.size(), outputs.size()));
  PerSignature& per = signatures_[(size_t)signature];
  if (per.rows.symbol < 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "'%s' does not take rows of several sequences",
                     model_->def().signatures[(size_t)signature].name.c_str());
  if (states.empty() || counts.size() != states.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%zu states and %zu numbers of rows", states.size(), counts.size());
  for (size_t s = 0; s < states.size(); ++s) {
    if (&states[s]->model() != model_.get())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "state %zu belongs to another model", s);
    if (std::find(states.begin(), states.begin() + (ptrdiff_t)s, states[s]) != states.begin() + (ptrdiff_t)s)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "state %zu is given twice", s);
  }
  return run_given(signature, inputs, outputs, states, counts, control);
}

}  // namespace tern
