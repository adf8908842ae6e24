// SPDX-License-Identifier: Apache-2.0
// What a detector's outputs say, before boxes that overlap are dropped. All in sides of the model's input.
#pragma once
#include <cmath>
#include <map>
#include <memory>

#include "graph/task_metadata.h"
#include "image/mapping.h"
#include "runtime/session.h"

namespace tern {

struct BoxPoint {
  double x, y;
  double visibility;
};

struct BoxCandidate {
  image::Box box;
  float score = 0;
  int32_t label = 0;
  double angle = 0;        // radians, clockwise; box is the one before the turn about its middle
  int64_t row = 0;         // of the outputs, for what belongs to it there
  size_t first_point = 0;  // into BoxCandidates::points
};

struct BoxCandidates {
  std::vector<BoxCandidate> boxes;
  std::vector<BoxPoint> points;  // as many for each box
  void clear() { boxes.clear(), points.clear(); }
  // Keeps what is a box: numbers that are finite and not absurd.
  // False: it is none.
  bool add(const BoxCandidate& c, std::span<const BoxPoint> of_it);
};

class BoxDecoder {
 public:
  virtual ~BoxDecoder() = default;
  // Fails where outputs of this run do not fit together. width, height: of the input, pixels.
  virtual tern_status decode(std::span<const Ref<const Tensor>> outputs, int32_t width, int32_t height,
                             double threshold, BoxCandidates* out) = 0;
  int32_t num_points() const { return num_points_; }
  int64_t num_classes() const { return num_classes_; }  // 0: not known before a run

 protected:
  int32_t num_points_ = 0;
  int64_t num_classes_ = 0;
};

constexpr int64_t kMaxBoxPoints = 1024;

// Rows of numbers, one for each box; with a grid of anchors or without.
// Source of the decoding with anchors: W. Liu et al., SSD: Single Shot MultiBox Detector, 2016; of edges: Z. Tian et
// al., FCOS, 2019; of bins: X. Li et al., Generalized Focal Loss, 2020.
tern_status make_rows_decoder(const ModelDef& model, const TaskMetadata& metadata, std::unique_ptr<BoxDecoder>* out);
// Maps of centres. Source: X. Zhou et al., Objects as Points, 2019; Y. Xu et al., CenterFace, 2019.
tern_status make_centres_decoder(const ModelDef& model, const TaskMetadata& metadata, std::unique_ptr<BoxDecoder>* out);

// Some columns of an output as f32, one row for each of `rows` boxes.
struct RowsView {
  const float* data = nullptr;
  int64_t rows = 0, columns = 0, row_step = 0, column_step = 0;
  float at(int64_t r, int64_t c) const { return data[r * row_step + c * column_step]; }
};
// Views of outputs; what is not f32 is converted, once a run. Of a batch the first picture counts.
class OutputReader {
 public:
  OutputReader() = default;
  // By the signature's input and the metadata's order of rows.
  OutputReader(const ModelDef& model, const TaskMetadata& metadata);
  void begin(std::span<const Ref<const Tensor>> outputs) { outputs_ = outputs, converted_.clear(); }
  // rows -1: follows from the output, whose columns dim the metadata's order says. A row may have more than one dim of
  // numbers: [rows, 17, 3] has 51 columns.
  tern_status view(const OutputColumns& columns, int64_t rows, RowsView* out);
  // Of an output as the file declares it, -1: it has not so many. rank: of the output of boxes.
  int64_t columns_of(const ModelDef& model, const OutputColumns& columns, int rank) const;

 private:
  bool columns_first_ = false;
  int64_t batch_ = 1;
  int32_t signature_ = 0;
  std::span<const Ref<const Tensor>> outputs_;
  std::map<int32_t, std::vector<float>> converted_;  // by output, once a run
};

// The number whose sigmoid is p.
inline double logit(double p) { return p <= 0 ? -HUGE_VAL : p >= 1 ? HUGE_VAL : std::log(p / (1 - p)); }
inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace tern
