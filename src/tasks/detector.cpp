// SPDX-License-Identifier: Apache-2.0
#include "tasks/detector.h"

#include <algorithm>

namespace tern {

tern_status Detector::create(const Model& model, const BoxFinder::Options& options, std::unique_ptr<Detector>* out) {
  auto d = std::make_unique<Detector>();
  TERN_TRY(BoxFinder::create(model, "detector", "a detector", options, &d->finder_));
  *out = std::move(d);
  return TERN_OK;
}

tern_status Detector::run(const tern_picture* public_picture, std::span<tern_detection> detections, int32_t* count) {
  image::Picture picture;
  TERN_TRY(read_picture(public_picture, &picture));
  std::span<const FoundBox> boxes;
  TERN_TRY(finder_->run(picture, &boxes));
  const image::Size size = image::upright_size(picture);
  for (size_t i = 0; i < std::min(boxes.size(), detections.size()); ++i) {
    const FoundBox& f = boxes[i];
    const auto x = [&](double v) { return (float)std::clamp(v, 0.0, (double)size.width); };
    const auto y = [&](double v) { return (float)std::clamp(v, 0.0, (double)size.height); };
    detections[i] = {x(f.box.x0), y(f.box.y0), x(f.box.x1), y(f.box.y1), f.score, f.label};
  }
  *count = (int32_t)boxes.size();
  return TERN_OK;
}

}  // namespace tern
