// SPDX-License-Identifier: Apache-2.0
// From a picture to boxes: runs a box-predicting model, decodes anchors and suppresses overlaps.
// Source of the decoding: W. Liu et al., SSD: Single Shot MultiBox Detector, 2016; of the weighted suppression: V.
// Bazarevsky et al., BlazeFace, 2019; of centres: Y. Xu et al., CenterFace, 2019.
#pragma once
#include "tasks/picture_input.h"

namespace tern {

constexpr int kMaxBoxPoints = 8;

struct FoundBox {
  image::Box box;                      // upright pixels, not cut at the border
  image::Point points[kMaxBoxPoints];  // upright pixels
  int32_t num_points = 0;
  float score = 0;
  int32_t label = 0;
};

// Runs a signature of one input. The results have the types and shapes that the signature says, which the reader of a
// task's metadata relied on: a size that depends on data may differ, and is refused.
tern_status run_as_declared(Session& session, int32_t signature, const Tensor& input, std::span<const Tensor*> results);

class BoxFinder {
 public:
  struct Options {
    std::string backends = "cpu";
    int32_t max_boxes = 0;  // 0 = the model's own, likewise below
    float min_score = 0, max_overlap = 0;
  };
  // task: what the metadata must say ("detector", "pose_detector").
  static tern_status create(const Model& model, const char* task, const char* what, const Options& options,
                            std::unique_ptr<BoxFinder>* out);

  // Best first. Borrowed until the next call.
  tern_status run(const image::Picture& picture, std::span<const FoundBox>* boxes);
  const std::vector<std::string>& labels() const { return labels_; }
  const Model& model() const { return session_->model(); }

 private:
  BoxFinder() = default;
  tern_status read_anchor_metadata(const Model& model);
  tern_status read_center_metadata(const Model& model);
  void decode_anchors(const float* boxes, const float* scores);
  void decode_centers(const Tensor* const* outputs);
  void suppress();

  int32_t signature_ = 0;
  PictureInput input_;
  std::unique_ptr<Session> session_;
  std::vector<std::string> labels_;
  bool centers_ = false;

  int outputs_[4] = {-1, -1, -1, -1};  // boxes and scores; or heat map, sizes, offsets, points
  int64_t num_anchors_ = 0, num_classes_ = 0, box_values_ = 0;
  const float* anchors_ = nullptr;  // [num_anchors][4]: x, y of the centre, width, height, in sides of the input
  bool y_first_ = false, exponential_ = false;
  double divisors_[4] = {1, 1, 1, 1};  // x, y, width, height
  int32_t num_points_ = 0;
  int activation_ = 0;  // 0 sigmoid, 1 none, 2 softmax
  double clip_ = 0, threshold_ = 0.5, overlap_ = 0.5, stride_ = 4;
  int64_t first_class_ = 0;
  bool weighted_ = false, each_class_ = false;
  int32_t max_boxes_ = 100;

  std::vector<const Tensor*> results_;
  std::vector<FoundBox> candidates_, kept_;  // in sides of the input until the end
  std::vector<char> used_;
};

double overlap(const image::Box& a, const image::Box& b);  // intersection over union; 0 where a box is empty or NaN

}  // namespace tern
