// SPDX-License-Identifier: Apache-2.0
// What the operators that gather and scatter by coordinates share.
#pragma once
#include <functional>

#include "ops/move.h"

namespace tern {

enum class ScatterReduction : int64_t { none = 0, add = 1, mul = 2, max = 3, min = 4 };
inline constexpr const char* kScatterReductions[] = {"none", "add", "mul", "max", "min"};

struct ScatterElementsAttrs {
  int64_t axis = 0, reduction = 0;
};

struct ScatterNdAttrs {
  int64_t reduction = 0;
  int64_t batch_dims = 0;  // leading dims that x, indices and updates share (0 in ONNX)
};

// Indices of gather_elements and scatter_elements: x's rank, no larger than x but for the axis.
inline tern_status require_elementwise_indices(const InferArgs& a, const Shape& x, const Shape& ids, int axis) {
  bool fits = ids.rank == x.rank;
  for (int i = 0; fits && i < x.rank; ++i) fits = i == axis || ids[i] <= x[i];
  if (fits) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: indices %s do not fit into %s", a.node.op->name, to_string(ids).c_str(),
                   to_string(x).c_str());
}

// Indices of gather_nd and scatter_nd: [batch.., tuples.., coordinates].
inline tern_status require_nd_indices(const InferArgs& a, const Shape& x, const Shape& ids, int64_t batch) {
  bool fits = ids.rank >= 1 && batch < ids.rank && batch <= x.rank && ids[ids.rank - 1] <= x.rank - batch;
  for (int i = 0; fits && i < batch; ++i) fits = ids[i] == x[i];
  if (fits) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: indices %s do not fit into %s", a.node.op->name, to_string(ids).c_str(),
                   to_string(x).c_str());
}

// The tuples of coordinates in such indices; each names a block of `inner` elements of x.
struct NdIndices {
  Shape x;
  int64_t batch_dims, coordinates, tuples = 1, tuples_per_batch = 1, inner = 1;

  NdIndices(const Shape& shape, const Shape& ids, int64_t batch)
      : x(shape), batch_dims(batch), coordinates(ids[ids.rank - 1]) {
    for (int i = 0; i + 1 < ids.rank; ++i) (i < batch ? tuples : tuples_per_batch) *= ids[i];
    tuples *= tuples_per_batch;
    for (int i = (int)(batch + coordinates); i < x.rank; ++i) inner *= x[i];
  }
  // Offset in x of the block that tuple i names, read from input `input`.
  tern_status offset(const RefArgs& a, int input, int64_t i, int64_t* out) const {
    int64_t at = i / tuples_per_batch;
    for (int64_t k = 0; k < coordinates; ++k) {
      const int64_t dim = x[(int)(batch_dims + k)], index = a.in(input).load_int(i * coordinates + k),
                    inside = wrap_index(index, dim);
      if (inside < 0) return bad_index(a, input, index, dim);
      at = at * dim + inside;
    }
    *out = at * inner;
    return TERN_OK;
  }
};

// to[i] = reduction(to[i], update[j])
inline void scatter_one(ScatterReduction reduction, const RefTensor& to, int64_t i, const RefTensor& update,
                        int64_t j) {
  if (reduction == ScatterReduction::none) return copy_element(to, i, update, j);
  if (is_float(to.dtype)) {
    const double x = to.load(i), u = update.load(j);
    switch (reduction) {
      case ScatterReduction::add: return to.store(i, x + u);
      case ScatterReduction::mul: return to.store(i, x * u);
      case ScatterReduction::max: return to.store(i, x != x || x > u ? x : u);
      default: return to.store(i, x != x || x < u ? x : u);
    }
  }
  const int64_t x = to.load_int(i), u = update.load_int(j);
  const bool less = to.dtype == TERN_DTYPE_U64 ? (uint64_t)x < (uint64_t)u : x < u;
  switch (reduction) {
    case ScatterReduction::add: return to.store_int(i, (int64_t)((uint64_t)x + (uint64_t)u));
    case ScatterReduction::mul: return to.store_int(i, (int64_t)((uint64_t)x * (uint64_t)u));
    case ScatterReduction::max: return to.store_int(i, less ? u : x);
    default: return to.store_int(i, less ? x : u);
  }
}

// Gradients of y = scatter(x, indices, updates), the same for both operators:
//   none  dx = dy with zeros at the indices; du = dy at the indices (where two updates meet, each gets it)
//   add   dx = dy; du = dy at the indices
//   mul   dx = dy * the product of the updates; du = dy * the product of x and the other updates
//   max, min  those that equal y share dy equally
// gather(v) reads v at the indices; scatter(into, updates, reduction) writes.
inline void scatter_vjp(VjpArgs& a, ScatterReduction reduction, const std::function<ValueId(ValueId)>& gather,
                        const std::function<ValueId(ValueId, ValueId, ScatterReduction)>& scatter) {
  Graph& g = a.g;
  const ValueId x = a.in(0), u = a.in(2), y = a.out(0), dy = a.dout(0);
  const Value vx = g.value(x), vu = g.value(u);
  const auto all = [&](const Value& like, double v) { return filled(g, like.dtype, like.shape, v); };
  const auto choose = [&](ValueId condition, ValueId yes, ValueId no) {
    return emit(g, "where", {condition, yes, no});
  };
  switch (reduction) {
    case ScatterReduction::none:
      a.set(0, scatter(dy, all(vu, 0), ScatterReduction::none));
      a.set(2, gather(dy));
      return;
    case ScatterReduction::add:
      a.set(0, dy);
      a.set(2, gather(dy));
      return;
    case ScatterReduction::mul: {
      // Zero updates apart: with one of them its gradient is the product of the others, with more all gradients there
      // are 0.
      const ValueId zero = emit(g, "equal", {u, scalar_like(g, u, 0)}), one = scalar_like(g, u, 1);
      const ValueId u1 = choose(zero, one, u),
                    zeros = scatter(all(vx, 0), cast(g, zero, vu.dtype), ScatterReduction::add);
      const ValueId y1 = scatter(x, u1, ScatterReduction::mul);  // the product without the zeros
      const ValueId only = choose(emit(g, "equal", {zeros, one}), mul(g, dy, y1), scalar_like(g, x, 0));
      a.set(0, mul(g, dy, scatter(all(vx, 1), u, ScatterReduction::mul)));
      a.set(2, choose(zero, gather(only), div(g, gather(mul(g, dy, y)), u1)));
      return;
    }
    default: {
      const ValueId mine = cast(g, emit(g, "equal", {x, y}), vx.dtype),
                    theirs = cast(g, emit(g, "equal", {u, gather(y)}), vu.dtype);
      const ValueId count = scatter(mine, theirs, ScatterReduction::add);  // at least 1, but for NaN
      const ValueId share = div(g, dy, emit(g, "max", {count, scalar_like(g, count, 1)}));
      a.set(0, mul(g, share, mine));
      a.set(2, mul(g, gather(share), theirs));
    }
  }
}

}  // namespace tern
