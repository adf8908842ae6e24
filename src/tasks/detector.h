// SPDX-License-Identifier: Apache-2.0
// Object detection: what stands behind tern_detector.
#pragma once
#include "tasks/boxes.h"

namespace tern {

class Detector {
 public:
  static tern_status create(const Model& model, const BoxFinder::Options& options, std::unique_ptr<Detector>* out);
  // Writes up to detections.size() results, best first; *count: how many there are.
  tern_status run(const tern_picture* picture, std::span<tern_detection> detections, int32_t* count);
  // NULL if the model has no such label.
  const char* label(int32_t i) const {
    return i >= 0 && (size_t)i < finder_->labels().size() ? finder_->labels()[(size_t)i].c_str() : nullptr;
  }

 private:
  std::unique_ptr<BoxFinder> finder_;
};

}  // namespace tern
