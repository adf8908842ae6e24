// SPDX-License-Identifier: Apache-2.0
// Sampling by area, for mappings whose axes are parallel to the picture's.
#pragma once

#include "image/sample.h"

namespace tern::image {

// Bytes of scratch that sample_area needs, aligned to 8.
extern const size_t kAreaScratchBytes;

// As `sample` with Filter::kArea. Arguments have been checked; m[1] and m[3] of mapping.to_upright are 0.
void sample_area(const Picture& picture, const Mapping& mapping, const SampleOptions& options, int32_t y0, int32_t y1,
                 float* out, void* scratch);

// An output pixel whose centre is at `at` (0 = centre of the first pixel of the picture) is outside. The slack keeps
// centres that lie on the border on one side of it, however a compiler rounds. NaN is outside.
inline bool centre_outside(double at, int32_t size) {
  constexpr double kSlack = 1e-6;
  return !(at >= -0.5 - kSlack && at < size - 0.5 - kSlack);
}

}  // namespace tern::image
