// SPDX-License-Identifier: Apache-2.0
// Pictures changed at random, so that a model does not learn what does not matter.
#pragma once
#include "data/source.h"

namespace tern::data {

struct Augmentation {
  int32_t field = -1;  // -1: nothing is changed
  float flip = 0;      // probability
  int32_t shift = 0;   // pixels, at most
  float fill = 0;
  float brightness = 0, contrast = 0;
};

// Fails unless the field is u8 or f32 [height, width, channels] and the numbers are in range.
tern_status check_augmentation(const Source& source, const Augmentation& augmentation);

// Changes a picture in place; what is drawn follows from (key, place) alone. `spare` is scratch.
void augment(const Augmentation& augmentation, const Field& field, uint64_t key, uint64_t place, void* picture,
             std::vector<uint8_t>* spare);

}  // namespace tern::data
