// SPDX-License-Identifier: Apache-2.0
// What the parts of a vision task are made of: a finder finds things in a picture, a describer looks into a region of
// one. vision.h puts them together.
#pragma once
#include "tasks/box_decoder.h"
#include "tasks/task_network.h"

namespace tern {

struct VisionOptions {
  std::string backends = "cpu";
  int32_t max_results = 0;  // 0 = the model's own, likewise below
  float min_score = 0, max_overlap = 0;
  bool follow = false;
  double smoothing = 0, frame_rate = 30;
};

// In upright pixels, not cut at the picture's border.
struct Found {
  image::Box box;
  double angle = 0;  // of the box about its middle: radians, clockwise
  float score = 0;
  int32_t label = 0;
  std::span<const BoxPoint> points;  // borrowed until the finder's next run
  int64_t row = 0;                   // of the outputs
};

class Finder {
 public:
  virtual ~Finder() = default;
  // Best first. Borrowed until the next call.
  virtual tern_status run(const image::Picture& picture, const RunControl& control, std::span<const Found>* found) = 0;
  TaskNetwork& network() { return network_; }
  const image::Mapping& mapping() const { return mapping_; }  // of the last run
  int32_t num_points() const { return num_points_; }
  bool gives_corners() const { return gives_corners_; }

 protected:
  explicit Finder(TaskNetwork network) : network_(std::move(network)) {}
  TaskNetwork network_;
  image::Mapping mapping_ = {};
  int32_t num_points_ = 0;
  bool gives_corners_ = false;
};

// The lists of a result as they grow: one entry for each thing that is kept.
struct ResultLists {
  int32_t width = 0, height = 0;
  std::vector<tern_detection> detections;
  std::vector<float> corners, embeddings;
  std::vector<tern_keypoint> keypoints;
  std::vector<tern_mask> masks;
  std::vector<std::vector<uint8_t>> mask_pixels;
  std::vector<std::string> texts;
  std::vector<const char*> text_pointers;
  std::vector<uint8_t> class_map;
  int32_t num_keypoints = 0, embedding_size = 0;
  int64_t mask_bytes = 0;

  void begin(image::Size size);
  // Of a box that may reach over the border.
  void add_detection(const image::Box& box, float score, int32_t label);
};

class Describer {
 public:
  virtual ~Describer() = default;
  // Looks into a region, or with `region` NULL at the whole picture, and appends what it sees to the lists.
  // found: what the finder said of the region; NULL: there was none. *kept: false if nothing was appended.
  virtual tern_status run(const image::Picture& picture, const image::CropRect* region, const Found* found,
                          const RunControl& control, ResultLists* lists, bool* kept) = 0;
  TaskNetwork& network() { return network_; }

 protected:
  explicit Describer(TaskNetwork network) : network_(std::move(network)) {}
  TaskNetwork network_;
};

tern_status make_classifier(TaskNetwork network, const VisionOptions& options, std::unique_ptr<Describer>* out);
tern_status make_embedder(TaskNetwork network, const VisionOptions& options, std::unique_ptr<Describer>* out);
tern_status make_segmenter(TaskNetwork network, const VisionOptions& options, std::unique_ptr<Describer>* out);
tern_status make_keypoints(TaskNetwork network, const VisionOptions& options, std::unique_ptr<Describer>* out);

}  // namespace tern
