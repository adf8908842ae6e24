// SPDX-License-Identifier: Apache-2.0
// Which pixels belong to the boxes of a detector: sums of prototypes (D. Bolya et al., YOLACT, 2019), or a mask for
// each.
#pragma once
#include "tasks/finder.h"

namespace tern {

class BoxMasks {
 public:
  // Null if the detector gives none.
  static tern_status create(TaskNetwork& network, std::unique_ptr<BoxMasks>* out);
  // Appends the mask of a box that the last run found.
  tern_status add(Finder& finder, const Found& found, ResultLists* lists);
  void begin(std::span<const Ref<const Tensor>> outputs) { reader_.begin(outputs); }

 private:
  explicit BoxMasks(const OutputReader& reader) : reader_(reader) {}
  OutputReader reader_;
  OutputColumns coefficients_, prototypes_, masks_;
  std::vector<OutputColumns> boxes_;
  bool sigmoid_ = false;
  std::vector<float> sum_;
};

// A map [height][width] whose cells lie on a rectangle of the model's input (pixels), seen through the mapping: appends
// the part of the picture inside `box` (upright pixels), blended bilinearly. activate: sigmoid of the blend.
void paint_mask(const float* map, int64_t width, int64_t height, const image::Box& on_input,
                const image::Mapping& mapping, const image::Box& box, bool activate, ResultLists* lists);

}  // namespace tern
