// SPDX-License-Identifier: Apache-2.0
// Which row goes to which column, so that the costs are least in all: exact, by shortest augmenting paths.
// Source: R. Jonker, A. Volgenant: A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment
// Problems, 1987.
#pragma once
#include <cstdint>
#include <vector>

namespace tern {

// A pair that may be chosen.
struct AssignmentPair {
  int32_t row, column;
  double cost;  // finite
};

// Keeps its memory from one problem to the next.
class Assignment {
 public:
  // Chooses pairs, no row and no column twice, with the least sum of cost - limit: a pair is better than none while its
  // cost is below the limit. With an infinite limit as many rows as columns allow get one: rows <= columns, and every
  // pair is there, are the caller's business (solve_all).
  // pairs in any order; of a pair that is named twice the first counts.
  // Result: column of each row, -1 for none. Valid until the next call.
  const std::vector<int32_t>& solve(int32_t rows, int32_t columns, const std::vector<AssignmentPair>& pairs,
                                    double limit);
  // All of min(rows, columns) pairs, of costs [rows][columns].
  const std::vector<int32_t>& solve_all(int32_t rows, int32_t columns, const std::vector<double>& costs);
  // The same where most pairs cost about as much as one another: only some are listed (each once), and all others cost
  // what `others` tell, 0 or more. It is asked for those alone that may be chosen: of rows and columns for which the
  // list has no good place.
  struct OtherCosts {
    virtual double cost(int32_t row, int32_t column) const = 0;

   protected:
    ~OtherCosts() = default;
  };
  const std::vector<int32_t>& solve_all(int32_t rows, int32_t columns, const std::vector<AssignmentPair>& pairs,
                                        const OtherCosts& others);

 private:
  void insert(int32_t row, double limit);
  void set_pairs(int32_t rows, int32_t columns, const std::vector<AssignmentPair>& pairs, double limit);

  struct Edge {
    int32_t column;
    double cost;
  };
  struct Reached {
    double distance;
    int32_t column;
  };
  std::vector<AssignmentPair> sorted_;
  std::vector<int32_t> first_;  // edge of each row; one more at the end
  std::vector<Edge> edges_;
  std::vector<double> row_price_, column_price_, distance_;
  std::vector<int32_t> column_of_, row_of_, from_, state_, touched_, result_;
  std::vector<Reached> heap_;
  // All pairs that are not listed; turned: with row and column exchanged.
  const OtherCosts* others_ = nullptr;
  bool turned_ = false;
  std::vector<Reached> near_;    // columns and what their prices were at first, the highest first
  std::vector<int32_t> listed_;  // of each column the last row whose list has it
};

}  // namespace tern
