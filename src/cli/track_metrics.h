// SPDX-License-Identifier: Apache-2.0
// How well tracks agree with the truth, as the field counts it.
// Sources: K. Bernardin, R. Stiefelhagen: Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics, 2008;
// E. Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016; J. Luiten et
// al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, 2020. The numbers are those of TrackEval.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tern::cli {

struct MotBox {
  int64_t id;
  double x, y, width, height;  // left, top
  double score;
  int32_t label = 0;
};
using MotFrames = std::vector<std::vector<MotBox>>;  // [frame - 1]

// A file of lines "frame,id,left,top,width,height,score,..." (MOTChallenge), frames from 1, in any order. Prints what
// is wrong, with its line.
bool read_mot(const std::string& path, MotFrames* frames);

// Counts of one sequence; those of several are added.
struct TrackScores {
  static constexpr int kAlphas = 19;  // 0.05, 0.10, ... 0.95
  int64_t frames = 0, truths = 0, boxes = 0, truth_ids = 0, ids = 0;
  // CLEAR, at an IoU of 0.5
  int64_t tp = 0, fn = 0, fp = 0, switches = 0, fragments = 0, mostly_tracked = 0, mostly_lost = 0;
  double overlap_sum = 0;
  // identity
  int64_t id_tp = 0, id_fn = 0, id_fp = 0;
  // HOTA, by alpha
  double hota_tp[kAlphas] = {}, hota_fn[kAlphas] = {}, hota_fp[kAlphas] = {}, association[kAlphas] = {},  // sum over TP
      location[kAlphas] = {};                                                                             // likewise

  void add(const TrackScores& other);
  double mota() const;
  double motp() const;
  double idf1() const;
  double hota() const;  // mean over alpha, likewise below
  double det_a() const;
  double ass_a() const;
};
TrackScores evaluate_tracks(const MotFrames& truth, const MotFrames& tracks);

}  // namespace tern::cli
