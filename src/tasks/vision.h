// SPDX-License-Identifier: Apache-2.0
// A vision task of one model or several: what stands behind tern_vision.
#pragma once
#include "tasks/boxes.h"
#include "tasks/keypoints.h"
#include "tasks/masks.h"
#include "tasks/one_euro.h"
#include "tasks/text.h"

namespace tern {

class Vision {
 public:
  static tern_status create(std::span<const Model* const> models, const VisionOptions& options,
                            std::unique_ptr<Vision>* out);
  // results: one for each picture, lent until the next call.
  tern_status run(std::span<const image::Picture> pictures, const RunControl& control,
                  const tern_vision_result** results);
  void reset();

  tern_vision_kind kind() const { return kind_; }
  // NULL if there is no such label or point.
  const char* label(int32_t i) const { return at(labels_, i); }
  const char* keypoint_name(int32_t i) const { return at(names_, i); }
  std::span<const int32_t> skeleton() const { return skeleton_; }
  int64_t detector_runs() const { return finder_ ? finder_->network().runs() : 0; }

 private:
  struct OneResult {
    ResultLists lists;
    tern_vision_result view;
  };
  // Somebody who is looked for where he was in the frame before.
  struct Followed {
    image::CropRect region;
    int32_t place = -1;                  // in the results; -1: not known yet
    std::vector<OneEuro::State> smooth;  // of x, y, z of each point
  };
  static const char* at(const std::vector<std::string>& list, int32_t i) {
    return i >= 0 && (size_t)i < list.size() ? list[(size_t)i].c_str() : nullptr;
  }
  static tern_status create_text(std::span<TaskNetwork> networks, const std::string& words,
                                 const VisionOptions& options, Vision* out);
  tern_status read(const image::Picture& picture, const RunControl& control, ResultLists* lists);
  tern_status find(const image::Picture& picture, const RunControl& control, ResultLists* lists);
  tern_status follow(const image::Picture& picture, const RunControl& control, ResultLists* lists);
  static bool before(const Followed& a, const Followed& b) { return a.place < b.place; }
  void sort_by_place(ResultLists* lists);
  void smooth(Followed* who, ResultLists* lists) const;

  VisionOptions options_;
  tern_vision_kind kind_ = TERN_VISION_DETECTOR;
  std::unique_ptr<Finder> finder_;  // one of the two, or both
  std::unique_ptr<Describer> describer_;
  Keypoints* keypoints_ = nullptr;           // the describer, if it gives them
  std::unique_ptr<BoxMasks> masks_;          // of the finder, where nothing describes its boxes
  std::unique_ptr<TextFinder> text_finder_;  // tasks of text have one of the two or both, and nothing of the above
  std::unique_ptr<TextReader> text_reader_;
  std::vector<TextBox> text_boxes_;
  RegionRule region_;
  std::vector<std::string> labels_, names_;
  std::vector<int32_t> skeleton_;
  std::vector<std::unique_ptr<OneResult>> results_;
  std::vector<Followed> followed_;
  bool lost_ = true;
};

}  // namespace tern
