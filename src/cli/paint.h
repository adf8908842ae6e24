// SPDX-License-Identifier: Apache-2.0
// Results of vision tasks for people and programs: drawn on the picture, as lines, as JSON.
#pragma once
#include <memory>

#include "cli/picture.h"

namespace tern::cli {

constexpr float kSeenPoint = 0.5f;  // least visibility of a key point that is drawn

// "dog", or "class 3" where it has no name.
std::string label_text(const tern_vision* vision, int32_t label);
// Masks, boxes or turned boxes, skeletons, labels; the best on top. A classifier's classes stand in the upper left
// corner.
void paint(const Photo& photo, const tern_vision* vision, const tern_vision_result& result);
// [height][width]: the class of each pixel; or of a segmenter's one mask how sure, 0 to 255; or of things the number of
// the result, 1 for the first, which is on top, up to 255, and 0 where there is none.
std::vector<uint8_t> mask_values(const tern_vision* vision, const tern_vision_result& result);
// One line for each thing.
void print_result(const tern_vision* vision, const tern_vision_result& result);
// Adds "detections" and the rest to an object that is open.
void add_result(const tern_vision* vision, const tern_vision_result& result, Json* json);

// A copy of what a task lends until its next run.
std::shared_ptr<const tern_vision_result> copy_result(const tern_vision_result& result);

}  // namespace tern::cli
