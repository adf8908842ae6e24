#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes assignment_values.h: what scipy.optimize.linear_sum_assignment chooses.

    python3 -m pip install scipy && python3 tests/ops/make_assignment_values.py > tests/ops/assignment_values.h

Costs are whole numbers of 1/64, all different, so that one choice alone is the best: the script proves it, by making
each chosen pair dearer in turn.
"""
import numpy as np
import scipy
from scipy.optimize import linear_sum_assignment

rng = np.random.default_rng(1)


def solve(costs, limit):
    """Column of each row, or -1; the sum."""
    capped = np.minimum(costs, limit)
    rows, columns = linear_sum_assignment(capped)
    result = np.full(len(costs), -1)
    for r, c in zip(rows, columns):
        if costs[r, c] < limit:
            result[r] = c
    return result, sum(min(costs[r, c], limit) for r, c in zip(rows, columns))


def matrix(rows, columns, limit):
    while True:
        costs = (rng.permutation(1024)[:rows * columns].reshape(rows, columns) - 512) / 64
        result, best = solve(costs, limit)
        others = []
        for r in range(rows):
            if result[r] >= 0:
                dearer = costs.copy()
                dearer[r, result[r]] += 1e6
                others.append(solve(dearer, limit)[1])
        if all(o > best for o in others) and (np.isinf(limit) or (result < 0).any() and (result >= 0).any()):
            return costs, result


print("// SPDX-License-Identifier: Apache-2.0")
print(f"// Made by make_assignment_values.py with scipy {scipy.__version__}.")
print('#pragma once\n#include "values.h"\n')
print("inline const std::vector<ValueCase> kAssignmentValues = {")
for rows, columns, matrices, limit in [(1, 1, 1, np.inf), (6, 6, 2, np.inf), (4, 9, 1, np.inf), (9, 4, 1, np.inf), (16, 16, 1, np.inf),
                                       (7, 7, 2, -2.0), (5, 8, 1, -3.0), (12, 6, 1, -4.0)]:
    made = [matrix(rows, columns, limit) for _ in range(matrices)]
    content = ",".join(f"{v:.10g}" for costs, _ in made for v in costs.ravel())
    dims = f"{matrices},{rows},{columns}" if matrices > 1 else f"{rows},{columns}"
    numbers = ", ".join(str(v) for _, result in made for v in result)
    print(f'    {{"assignment", "f32[{dims}]{{{content}}}", "{"" if np.isinf(limit) else f"limit={limit:g}"}",\n     {{{numbers}}}}},')
print("};")
