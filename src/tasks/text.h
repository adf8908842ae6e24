// SPDX-License-Identifier: Apache-2.0
// Lines of text in a picture: where they are, and what they say.
// Source of the detection: M. Liao et al., Real-time Scene Text Detection with Differentiable Binarization, 2020; of
// the steps around it: Y. Du et al., PP-OCR: A Practical Ultra Lightweight OCR System, 2020; of the decoding: A. Graves
// et al., Connectionist Temporal Classification, 2006.
#pragma once
#include "tasks/finder.h"

namespace tern {

struct TextBox {
  image::Point corners[4];  // upright pixels; a parallelogram, clockwise from the upper left corner as seen
  float score = 0;
  double width() const { return std::hypot(corners[1].x - corners[0].x, corners[1].y - corners[0].y); }
  double height() const { return std::hypot(corners[3].x - corners[0].x, corners[3].y - corners[0].y); }
};
// Rows from the top of the page to its bottom, each from left to right; the page lies as most of its lines do.
std::vector<size_t> reading_order(std::span<const TextBox> boxes);
// Adds its corners and the box around them.
void add_text_box(const TextBox& box, float score, ResultLists* lists);

// A map [height][width] of scores: rectangles around the groups of cells above the threshold, grown by the part of
// their area by perimeter that `unclip` says. Corners in cells, score the mean inside the rectangle before it grew;
// those below min_score and those too small for text are left out. At most `most`, of the best scores.
struct TextMapRules {
  double threshold = 0.3, min_score = 0.5, unclip = 1.6;
  size_t most = 1000;
};
void find_text(const float* map, int32_t width, int32_t height, const TextMapRules& rules, std::vector<TextBox>* out);

class TextFinder {
 public:
  // with_reader: least score and most results of the options are for what is read.
  static tern_status create(TaskNetwork network, const VisionOptions& options, bool with_reader,
                            std::unique_ptr<TextFinder>* out);
  tern_status run(const image::Picture& picture, const RunControl& control, std::vector<TextBox>* out);

 private:
  explicit TextFinder(TaskNetwork network) : network_(std::move(network)) {}
  TaskNetwork network_;
  OutputColumns map_;
  TextMapRules rules_;
};

class TextReader {
 public:
  // direction may be empty: no line is taken for one upside down.
  static tern_status create(TaskNetwork recognizer, std::unique_ptr<TaskNetwork> direction,
                            const VisionOptions& options, std::unique_ptr<TextReader>* out);
  // Appends what is text to the lists, in reading order. flat: no line runs down or up.
  tern_status run(const image::Picture& picture, std::span<const TextBox> boxes, bool flat, const RunControl& control,
                  ResultLists* lists);

 private:
  struct Line {
    TextBox box;
    std::string text;
    double score;
  };
  explicit TextReader(TaskNetwork network) : network_(std::move(network)) {}
  // Fills one picture of a network's input with a line, stretched to its height; what is right of the line is 0.
  tern_status fill(TaskNetwork& network, const image::Picture& picture, const TextBox& box, int64_t index);
  tern_status is_upside_down(const image::Picture& picture, const TextBox& box, const RunControl& control, bool* is);
  tern_status decode(const Tensor& t, int64_t index, Line* line) const;
  tern_status recognize(const image::Picture& picture, const RunControl& control, std::vector<Line>* lines);

  TaskNetwork network_;
  std::unique_ptr<TaskNetwork> direction_;
  OutputColumns scores_, direction_scores_;
  std::vector<std::string> characters_;  // of the classes from 1 on; 0 is the blank
  int32_t height_ = 48, least_width_ = 320, step_ = 1;
  int activation_ = 0;
  double min_score_ = 0.5, direction_score_ = 0.9;
  size_t most_ = 1000;
};

}  // namespace tern
