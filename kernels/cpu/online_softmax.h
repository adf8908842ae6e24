// SPDX-License-Identifier: Apache-2.0
// Softmax over keys that come in groups: weights relative to the greatest score so far. Included only by sources that
// are built once per set.
#pragma once
#include "kernels/cpu/math.h"

namespace tern::cpu::TERN_ISA {

// Turns the `count` scores of one more group into exp(score - greatest), a multiple of the lanes; those at -inf become
// zero. *greatest and *sum follow. Returns the factor for what was summed before.
template <int count>
TERN_INLINE float weigh_scores(float* scores, float* greatest, float* sum) {
  static_assert(count % kLanes == 0);
  Vec m = splat(*greatest);
  for (int j = 0; j < count; j += kLanes) m = max(m, load(scores + j));
  const float now = max_lane(m);
  if (now == -__builtin_inff()) {  // nothing seen yet
    for (int j = 0; j < count; ++j) scores[j] = 0;
    return 1;
  }
  const Vec shift = splat(now);
  Vec total = splat(0.0f);
  for (int j = 0; j < count; j += kLanes) {
    const Vec e = vexp_negative(load(scores + j) - shift);
    store(scores + j, e);
    total += e;
  }
  alignas(64) float factor[kLanes];
  store(factor, vexp_negative(splat(*greatest) - shift));
  *sum = *sum * factor[0] + sum_lanes(total);
  *greatest = now;
  return factor[0];
}

}  // namespace tern::cpu::TERN_ISA
