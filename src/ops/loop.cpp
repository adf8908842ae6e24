// SPDX-License-Identifier: Apache-2.0
// loop: runs its sub-graph again and again
//   inputs: max_trip (one i64, optional), cond (one bool, optional), num_carried carried values, captured values
//   sub-graph: (iteration i64 [], cond bool [], carried.., captured..) -> (cond, carried.., scanned..)
//   outputs: the carried values at the end, then each scanned value of all iterations, [max_trip, ..]
//   It ends after max_trip iterations (none given: no limit; negative: none) or when cond is false, which is asked
//   before the
//   first iteration too. Carried values keep type and shape. Scanned values need a max_trip that is known when the plan
//   is
//   made; rows of iterations that did not run are 0. With grows = 1 neither holds: a carried value may change its shape
//   (not
//   its type), and scanned values have a row for each iteration that ran, whatever ends the loop.
#include <algorithm>
#include <cstddef>

#include "ops/control.h"
#include "ops/subgraph.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Graph& body = a.node.subgraphs[0];
  // absent ones at the end are cut off
  const int64_t carried = a.attrs<LoopAttrs>().num_carried, inputs = std::max(a.num_in(), 2);
  const bool grows = a.attrs<LoopAttrs>().grows != 0;
  const int64_t captured = inputs - 2 - carried, scanned = (int64_t)a.node.out.size() - carried;
  TERN_TRY(check_subgraph(a, body));
  if (captured < 0 || scanned < 0 || (int64_t)body.inputs.size() != inputs ||
      (int64_t)body.outputs.size() != 1 + carried + scanned)
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "loop: %d inputs and %zu outputs with %" PRId64
                     " carried values do not fit a sub-graph of %zu and %zu",
                     a.num_in(), a.node.out.size(), carried, body.inputs.size(), body.outputs.size());
  if (a.has(0) && (a.in(0).dtype != TERN_DTYPE_I64 || a.in(0).shape.elements() != 1))
    return TERN_FAIL(TERN_ERR_TYPE, "loop: max_trip is %s%s, one i64 is needed", dtype_name(a.in(0).dtype),
                     to_string(a.in(0).shape).c_str());
  if (a.has(1)) TERN_TRY(require_condition(a, 1));
  const Value &iteration = body.value(body.inputs[0]), &again = body.value(body.inputs[1]),
              &next = body.value(body.outputs[0]);
  if (iteration.dtype != TERN_DTYPE_I64 || iteration.shape.rank != 0 || again.dtype != TERN_DTYPE_BOOL ||
      again.shape.rank != 0 || next.dtype != TERN_DTYPE_BOOL || next.shape.elements() != 1)
    return TERN_FAIL(TERN_ERR_TYPE, "loop: the sub-graph must take an i64 and a bool first and give a bool first");
  for (int64_t i = 2; i < inputs; ++i) TERN_TRY(require_same_value(a, (int)i, body.value(body.inputs[(size_t)i])));
  for (int64_t i = 0; i < carried; ++i) {
    const Value &from = body.value(body.inputs[(size_t)(2 + i)]), &to = body.value(body.outputs[(size_t)(1 + i)]);
    if (from.dtype != to.dtype || !(from.shape == to.shape || grows))
      return TERN_FAIL(TERN_ERR_SHAPE, "loop: carried value %" PRId64 " turns from %s%s into %s%s", i,
                       dtype_name(from.dtype), to_string(from.shape).c_str(), dtype_name(to.dtype),
                       to_string(to.shape).c_str());
    a.set((int)i, to.dtype, to.shape);
  }
  if (scanned == 0) return TERN_OK;
  if (!grows && (!a.has(0) || !a.in(0).data))
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "loop: with scanned outputs max_trip must follow from constants and dims");
  const int64_t trips = grows ? 1 : std::max<int64_t>(0, load_integer(TERN_DTYPE_I64, a.in(0).data.bytes, 0));
  for (int64_t i = 0; i < scanned; ++i) {
    const Value& v = body.value(body.outputs[(size_t)(1 + carried + i)]);
    Shape s{trips};
    TERN_TRY(append_dims(a, v.shape, 0, v.shape.rank, &s));
    a.set((int)(carried + i), v.dtype, s);
  }
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(LoopAttrs, num_carried, integer, 0, 1 << 20),
                                 TERN_ATTR(LoopAttrs, grows, integer, 0, 1)};

}  // namespace

extern constinit const Op op_loop = checked_op({.name = "loop",
                                                .min_in = 0,
                                                .max_in = -1,
                                                .num_out = -1,
                                                .num_subgraphs = 1,
                                                .flags = kControl,
                                                .attributes = attr_schema<LoopAttrs>(kFields),
                                                .infer = infer});

}  // namespace tern
