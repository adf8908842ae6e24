// SPDX-License-Identifier: Apache-2.0
#include "base/assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tern {
namespace {
constexpr double kFar = std::numeric_limits<double>::infinity();
}

// Shortest path from a new row to a free column, or to a row that had better have none, in costs reduced by the prices:
// those are never negative, and 0 along the pairs chosen so far.
void Assignment::insert(int32_t row, double limit) {
  const auto nearer = [](const Reached& a, const Reached& b) {
    return a.distance != b.distance ? a.distance > b.distance : a.column > b.column;
  };
  heap_.clear();
  touched_.clear();
  std::vector<int32_t>& settled = result_;  // columns, in order
  settled.clear();
  double best = kFar;       // to the end of the path
  int32_t end_column = -1;  // free
  int32_t end_row = -1;     // that gives up its column
  int32_t r = row;
  double here = 0;
  for (;;) {
    // Without a column a row costs the limit.
    const double without = here + limit - row_price_[(size_t)r];
    if (without < best) best = without, end_row = r, end_column = -1;
    const auto reach = [&](int32_t column, double d) {
      const size_t c = (size_t)column;
      if (state_[c] == 1 && d >= distance_[c]) return;
      if (state_[c] == 0) touched_.push_back(column);
      state_[c] = 1;
      distance_[c] = d;
      from_[c] = r;
      if (row_of_[c] < 0) {
        if (d < best) best = d, end_column = column, end_row = -1;
      } else {
        heap_.push_back({d, column});
        std::push_heap(heap_.begin(), heap_.end(), nearer);
      }
    };
    const double before = here - row_price_[(size_t)r];
    for (int32_t e = first_[(size_t)r]; e < first_[(size_t)r + 1]; ++e) {
      const Edge& edge = edges_[(size_t)e];
      if (others_) listed_[(size_t)edge.column] = r;
      if (state_[(size_t)edge.column] != 2)
        reach(edge.column, here + edge.cost - row_price_[(size_t)r] - column_price_[(size_t)edge.column]);
    }
    for (const Reached& near : near_) {
      // Prices of columns only fall: no later one is nearer.
      if (before - near.distance >= best) break;
      const size_t c = (size_t)near.column;
      const double least = before - column_price_[c];
      if (state_[c] == 2 || least >= best || (state_[c] == 1 && least >= distance_[c]) || listed_[c] == r) continue;
      reach(near.column, least + (turned_ ? others_->cost(near.column, r) : others_->cost(r, near.column)));
    }
    int32_t next = -1;
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), nearer);
      const Reached top = heap_.back();
      heap_.pop_back();
      if (state_[(size_t)top.column] == 2 || top.distance > distance_[(size_t)top.column]) continue;  // outdated
      if (top.distance < best) next = top.column, here = top.distance;
      break;
    }
    if (next < 0) break;
    state_[(size_t)next] = 2;
    settled.push_back(next);
    r = row_of_[(size_t)next];
  }
  row_price_[(size_t)row] += best;
  for (const int32_t c : settled) {
    const double change = best - distance_[(size_t)c];
    column_price_[(size_t)c] -= change;
    row_price_[(size_t)row_of_[(size_t)c]] += change;
  }
  int32_t c = end_column;
  if (end_row >= 0) {
    if (end_row != row) {
      c = column_of_[(size_t)end_row];
      column_of_[(size_t)end_row] = -1;
    }
  }
  while (c >= 0) {
    const int32_t by = from_[(size_t)c], had = column_of_[(size_t)by];
    column_of_[(size_t)by] = c;
    row_of_[(size_t)c] = by;
    c = by == row ? -1 : had;
  }
  for (const int32_t t : touched_) state_[(size_t)t] = 0;
}

void Assignment::set_pairs(int32_t rows, int32_t columns, const std::vector<AssignmentPair>& pairs, double limit) {
  sorted_.clear();
  for (const AssignmentPair& p : pairs)
    if (p.cost < limit) sorted_.push_back(p);
  const auto before = [](const AssignmentPair& a, const AssignmentPair& b) {
    return a.row != b.row ? a.row < b.row : a.column < b.column;
  };
  if (!std::is_sorted(sorted_.begin(), sorted_.end(), before)) std::stable_sort(sorted_.begin(), sorted_.end(), before);
  first_.assign((size_t)rows + 1, 0);
  edges_.clear();
  size_t at = 0;
  for (int32_t r = 0; r < rows; ++r) {
    first_[(size_t)r] = (int32_t)edges_.size();
    for (; at < sorted_.size() && sorted_[at].row == r; ++at) {
      const bool again = at > 0 && sorted_[at - 1].row == r && sorted_[at - 1].column == sorted_[at].column;
      if (!again) edges_.push_back({sorted_[at].column, sorted_[at].cost});
    }
  }
  first_[(size_t)rows] = (int32_t)edges_.size();
  distance_.assign((size_t)columns, 0);
  from_.assign((size_t)columns, -1);
  state_.assign((size_t)columns, 0);
}

const std::vector<int32_t>& Assignment::solve(int32_t rows, int32_t columns, const std::vector<AssignmentPair>& pairs,
                                              double limit) {
  set_pairs(rows, columns, pairs, limit);
  row_price_.assign((size_t)rows, 0);
  column_price_.assign((size_t)columns, 0);
  column_of_.assign((size_t)rows, -1);
  row_of_.assign((size_t)columns, -1);
  for (int32_t r = 0; r < rows; ++r) {
    // No reduced cost of the row is negative: costs may be.
    double least = limit;
    for (int32_t e = first_[(size_t)r]; e < first_[(size_t)r + 1]; ++e)
      least = std::min(least, edges_[(size_t)e].cost - column_price_[(size_t)edges_[(size_t)e].column]);
    if (std::isinf(least)) continue;  // no pair, and no limit
    row_price_[(size_t)r] = least;
    insert(r, limit);
  }
  result_ = column_of_;
  return result_;
}

const std::vector<int32_t>& Assignment::solve_all(int32_t rows, int32_t columns, const std::vector<double>& costs) {
  const bool turned = rows > columns;
  std::vector<AssignmentPair> pairs;
  pairs.reserve(costs.size());
  for (int32_t r = 0; r < rows; ++r)
    for (int32_t c = 0; c < columns; ++c) {
      const double cost = costs[(size_t)r * (size_t)columns + (size_t)c];
      pairs.push_back(turned ? AssignmentPair{c, r, cost} : AssignmentPair{r, c, cost});
    }
  if (!turned) return solve(rows, columns, pairs, kFar);
  solve(columns, rows, pairs, kFar);
  result_ = row_of_;
  return result_;
}

// First the listed pairs alone, where a row or column without a pair costs 0. The prices found there are right for all
// pairs, since no price is above 0 and no other cost below; and those of columns that have a good row are low, so that
// no other row comes near them. Then each row that is left (of the fewer) gets its column.
const std::vector<int32_t>& Assignment::solve_all(int32_t rows, int32_t columns,
                                                  const std::vector<AssignmentPair>& pairs, const OtherCosts& others) {
  const bool turned = rows > columns;
  std::vector<AssignmentPair> listed(pairs);
  const auto exchange = [&] {
    for (AssignmentPair& p : listed) std::swap(p.row, p.column);
  };
  const int32_t few = std::min(rows, columns), many = std::max(rows, columns);
  if (!turned) exchange();
  solve(many, few, listed, 0);
  exchange();
  std::swap(row_price_, column_price_);
  std::swap(row_of_, column_of_);
  set_pairs(few, many, listed, kFar);
  near_.clear();
  for (int32_t c = 0; c < many; ++c) near_.push_back({column_price_[(size_t)c], c});
  std::sort(near_.begin(), near_.end(), [](const Reached& a, const Reached& b) {
    return a.distance != b.distance ? a.distance > b.distance : a.column < b.column;
  });
  listed_.assign((size_t)many, -1);
  others_ = &others;
  turned_ = turned;
  for (int32_t r = 0; r < few; ++r)
    if (column_of_[(size_t)r] < 0) insert(r, kFar);
  others_ = nullptr;
  near_.clear();
  result_ = turned ? row_of_ : column_of_;
  return result_;
}

}  // namespace tern
