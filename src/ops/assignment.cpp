// SPDX-License-Identifier: Apache-2.0
// assignment: which row goes to which column, so that the costs are least in all
//   costs [.., rows, columns] float; counts [.., 2] integers (optional): how many rows and columns of each matrix there
//   are, the first ones; cut to 0..rows and 0..columns
//   indices [.., rows] i64: the column of each row, -1 for none. No column is there twice
//   Without a limit as many pairs are chosen as there can be, and of such choices the one whose costs are least in all.
//   With one, each pair adds cost - limit to what is least. A cost that is infinite or NaN forbids its pair. Where
//   several choices are equally good one of them is taken, always the same
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/assignment.h"
#include "ops/move.h"
#include "ops/select.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  constexpr int64_t kMost = 1 << 30;
  const Shape& costs = a.in(0).shape;
  TERN_TRY(require_float(a, 0));
  if (costs.rank < 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "assignment: costs have shape %s, rows and columns are needed",
                     to_string(costs).c_str());
  if (costs[costs.rank - 2] > kMost || costs[costs.rank - 1] > kMost)
    return TERN_FAIL(TERN_ERR_LIMIT, "assignment: %s are too many rows or columns", to_string(costs).c_str());
  if (a.has(1)) {
    TERN_TRY(require_integer(a, 1));
    Shape counts = costs;
    counts.rank = costs.rank - 1;
    counts[counts.rank - 1] = 2;
    if (a.in(1).shape != counts)
      return TERN_FAIL(TERN_ERR_SHAPE, "assignment: counts have shape %s, those of costs %s are %s",
                       to_string(a.in(1).shape).c_str(), to_string(costs).c_str(), to_string(counts).c_str());
  }
  Shape indices = costs;
  indices.rank = costs.rank - 1;
  a.set(0, TERN_DTYPE_I64, indices);
  return TERN_OK;
}

// A matrix as a problem in which every row or every column gets a pair: pairs that are not chosen cost as much as none.
struct Matrix : Assignment::OtherCosts {
  const RefTensor& costs;
  int64_t begin, stride;
  double limit, least = 0, none = 0;

  Matrix(const RefTensor& c, int64_t first, int64_t rows, int64_t columns, double most)
      : costs(c), begin(first), stride(c.shape[c.shape.rank - 1]), limit(most) {
    double low = INFINITY, high = -INFINITY;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t k = 0; k < columns; ++k)
        if (const double v = at(r, k); may(v)) low = std::min(low, v), high = std::max(high, v);
    if (low > high) return;
    least = low;
    // Without a limit: more than all other pairs can save.
    none = std::isfinite(limit) ? limit - low : (high - low) * (double)(2 * std::min(rows, columns) + 1) + 1;
  }
  double at(int64_t row, int64_t column) const { return costs.load(begin + row * stride + column); }
  bool may(double cost) const { return std::isfinite(cost) && cost < limit; }
  double cost(int32_t row, int32_t column) const override {
    const double v = at(row, column);
    return may(v) ? v - least : none;
  }
};

tern_status reference(RefArgs& a) {
  const RefTensor &costs = a.in(0), &indices = a.out(0);
  const Shape& shape = costs.shape;
  const int64_t rows = shape[shape.rank - 2], columns = shape[shape.rank - 1];
  const int64_t matrices = rows > 0 ? indices.elements() / rows : 0;
  Assignment assignment;
  for (int64_t b = 0; b < matrices; ++b) {
    const int64_t n = a.has(1) ? std::clamp<int64_t>(a.in(1).load_int(2 * b), 0, rows) : rows,
                  m = a.has(1) ? std::clamp<int64_t>(a.in(1).load_int(2 * b + 1), 0, columns) : columns;
    for (int64_t r = 0; r < rows; ++r) indices.store_int(b * rows + r, -1);
    if (n == 0 || m == 0) continue;
    const Matrix matrix(costs, b * rows * columns, n, m, a.attrs<AssignmentAttrs>().limit);
    const std::vector<int32_t>& column_of = assignment.solve_all((int32_t)n, (int32_t)m, {}, matrix);
    for (int64_t r = 0; r < n; ++r)
      if (const int32_t c = column_of[(size_t)r]; c >= 0 && matrix.may(matrix.at(r, c)))
        indices.store_int(b * rows + r, c);
  }
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(AssignmentAttrs, limit, number, -INFINITY, INFINITY)};

constexpr Case kCases[] = {
    {"square", "f32[5,5]"},
    {"wide", "f32[3,7]"},
    {"tall", "f32[7,3]"},
    {"greedy_is_wrong", "f32[2,2]{1,2,2,9}"},
    {"batch", "f32[2,3,4,5]"},
    {"limit", "f32[6,6]", "limit=-0.5"},
    {"limit_zero", "f32[4,6]", "limit=0"},
    {"limit_below_all", "f32[3,3]", "limit=-9"},
    {"limit_above_all", "f32[3,4]", "limit=99"},
    {"limit_excludes_its_own", "f32[1,2]{1,1}", "limit=1"},
    {"counts", "f32[3,4,5] i64[3,2]{4,5,2,3,0,5}"},
    {"counts_outside", "f32[4,3,3] i64[4,2]{-1,3,3,-9223372036854775808,4,3,9223372036854775807,9223372036854775807}"},
    {"counts_i32", "f32[4,4] i32[2]{2,3}", "limit=1"},
    {"forbidden", "f32[3,3]{1,inf,inf,2,nan,inf,3,4,-inf}"},
    {"all_forbidden", "f32[2,2]{nan,inf,-inf,nan}"},
    {"forbidden_with_a_limit", "f32[2,3]{nan,1,5,0,inf,-2}", "limit=4"},
    {"ties", "f32[3,3]{0,0,0,0,0,0,0,0,0}"},
    {"huge", "f32[2,2]{3e38,-3e38,-3e38,3e38}"},
    {"double", "f64[4,5]"},
    {"half", "f16[4,3]"},
    {"no_rows", "f32[0,3]"},
    {"no_columns", "f32[2,3,0]"},
    {"no_matrices", "f32[0,2,2]"},
    {"vector", "f32[3]", "", 0, TERN_ERR_SHAPE},
    {"counts_shape", "f32[2,3,3] i64[2]{1,1}", "", 0, TERN_ERR_SHAPE},
    {"counts_pairs", "f32[2,3,3] i64[2,3]{1,1,1,1,1,1}", "", 0, TERN_ERR_SHAPE},
    {"counts_type", "f32[3,3] f32[2]", "", 0, TERN_ERR_TYPE},
    {"integers", "i32[3,3]", "", 0, TERN_ERR_TYPE},
    {"not_a_limit", "f32[3,3]", "limit=nan", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_assignment = checked_op({.name = "assignment",
                                                      .max_in = 2,
                                                      .attributes = attr_schema<AssignmentAttrs>(kFields),
                                                      .infer = infer,
                                                      .reference = reference,
                                                      .no_gradient_because = NoGradient::index_producer,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
