// SPDX-License-Identifier: Apache-2.0
#include "cli/track_metrics.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>

#include "base/assignment.h"
#include "cli/tool.h"

namespace tern::cli {
namespace {

constexpr double kSame = 0.5;  // IoU of a box that counts as found
constexpr double kTiny = std::numeric_limits<double>::epsilon();

double iou(const MotBox& a, const MotBox& b) {
  const double w = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double h = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (!(w > 0 && h > 0)) return 0;
  return w * h / (a.width * a.height + b.width * b.height - w * h);
}

// Numbers from 0 for the ids of a file.
std::vector<std::vector<int32_t>> numbered(const MotFrames& frames, int32_t* count) {
  std::map<int64_t, int32_t> numbers;
  std::vector<std::vector<int32_t>> out(frames.size());
  for (size_t f = 0; f < frames.size(); ++f)
    for (const MotBox& b : frames[f])
      out[f].push_back(numbers.try_emplace(b.id, (int32_t)numbers.size()).first->second);
  *count = (int32_t)numbers.size();
  return out;
}

struct Pair {
  int32_t truth, track;  // places in the frame
  double overlap;
};

class Evaluation {
 public:
  Evaluation(const MotFrames& truth, const MotFrames& tracks) {
    truth_ = numbered(truth, &num_truth_);
    track_ = numbered(tracks, &num_track_);
    frames_ = std::max(truth.size(), tracks.size());
    truth_.resize(frames_), track_.resize(frames_), pairs_.resize(frames_);
    for (size_t f = 0; f < std::min(truth.size(), tracks.size()); ++f)
      for (size_t i = 0; i < truth[f].size(); ++i)
        for (size_t j = 0; j < tracks[f].size(); ++j)
          if (const double s = iou(truth[f][i], tracks[f][j]); s > 0) pairs_[f].push_back({(int32_t)i, (int32_t)j, s});
    truth_count_.resize((size_t)num_truth_), track_count_.resize((size_t)num_track_);
    for (const auto& ids : truth_)
      for (const int32_t i : ids) ++truth_count_[(size_t)i], ++scores.truths;
    for (const auto& ids : track_)
      for (const int32_t i : ids) ++track_count_[(size_t)i], ++scores.boxes;
    scores.frames = (int64_t)frames_;
    scores.truth_ids = num_truth_;
    scores.ids = num_track_;
  }

  void clear_mot() {
    if (scores.boxes == 0 || scores.truths == 0) {
      scores.fn = scores.truths, scores.fp = scores.boxes;
      scores.mostly_lost = num_truth_;
      return;
    }
    std::vector<int64_t> matched((size_t)num_truth_), fragments((size_t)num_truth_);
    std::vector<int32_t> ever((size_t)num_truth_, -1), before((size_t)num_truth_, -1);
    for (size_t f = 0; f < frames_; ++f) {
      const auto &truth = truth_[f], &track = track_[f];
      if (truth.empty() || track.empty()) {
        scores.fp += (int64_t)track.size(), scores.fn += (int64_t)truth.size();
        continue;
      }
      // Those that went together in the frame before do so again if they can.
      choice_.clear();
      for (const Pair& p : pairs_[f])
        if (p.overlap >= kSame - kTiny)
          choice_.push_back(
              {p.truth, p.track,
               -(p.overlap + (before[(size_t)truth[(size_t)p.truth]] == track[(size_t)p.track] ? 1000 : 0))});
      const auto& track_of = assignment_.solve((int32_t)truth.size(), (int32_t)track.size(), choice_, 0);
      std::vector<int32_t> now((size_t)num_truth_, -1);
      int64_t found = 0;
      for (const Pair& p : pairs_[f]) {
        if (track_of[(size_t)p.truth] != p.track) continue;
        const size_t t = (size_t)truth[(size_t)p.truth];
        now[t] = track[(size_t)p.track];
        scores.switches += ever[t] >= 0 && ever[t] != now[t];
        ever[t] = now[t];
        ++matched[t];
        ++found;
        scores.overlap_sum += p.overlap;
      }
      for (size_t t = 0; t < now.size(); ++t) fragments[t] += before[t] < 0 && now[t] >= 0;
      before = std::move(now);
      scores.tp += found;
      scores.fn += (int64_t)truth.size() - found;
      scores.fp += (int64_t)track.size() - found;
    }
    for (size_t t = 0; t < matched.size(); ++t) {
      const double share = (double)matched[t] / (double)truth_count_[t];
      scores.mostly_tracked += share > 0.8;
      scores.mostly_lost += share < 0.2;
      scores.fragments += std::max<int64_t>(0, fragments[t] - 1);
    }
  }

  void identity() {
    std::map<std::pair<int32_t, int32_t>, int64_t> together;
    for (size_t f = 0; f < frames_; ++f)
      for (const Pair& p : pairs_[f])
        if (p.overlap >= kSame) ++together[{truth_[f][(size_t)p.truth], track_[f][(size_t)p.track]}];
    choice_.clear();
    for (const auto& [ids, count] : together) choice_.push_back({ids.first, ids.second, -(double)count});
    const auto& track_of = assignment_.solve(num_truth_, num_track_, choice_, 0);
    for (const auto& [ids, count] : together)
      if (track_of[(size_t)ids.first] == ids.second) scores.id_tp += count;
    scores.id_fn = scores.truths - scores.id_tp;
    scores.id_fp = scores.boxes - scores.id_tp;
  }

  void hota() {
    // How well two ids agree in all.
    std::map<std::pair<int32_t, int32_t>, double> agreement;
    for (size_t f = 0; f < frames_; ++f) {
      std::vector<double> rows(truth_[f].size()), columns(track_[f].size());
      for (const Pair& p : pairs_[f]) rows[(size_t)p.truth] += p.overlap, columns[(size_t)p.track] += p.overlap;
      for (const Pair& p : pairs_[f]) {
        const double all = rows[(size_t)p.truth] + columns[(size_t)p.track] - p.overlap;
        if (all > kTiny) agreement[{truth_[f][(size_t)p.truth], track_[f][(size_t)p.track]}] += p.overlap / all;
      }
    }
    for (auto& [ids, sum] : agreement)
      sum /= (double)(truth_count_[(size_t)ids.first] + track_count_[(size_t)ids.second]) - sum;
    std::map<std::pair<int32_t, int32_t>, int64_t> matches[TrackScores::kAlphas];
    for (size_t f = 0; f < frames_; ++f) {
      const auto &truth = truth_[f], &track = track_[f];
      choice_.clear();
      for (const Pair& p : pairs_[f])
        choice_.push_back({p.truth, p.track, -p.overlap * agreement[{truth[(size_t)p.truth], track[(size_t)p.track]}]});
      const auto& track_of = assignment_.solve((int32_t)truth.size(), (int32_t)track.size(), choice_, 0);
      for (int a = 0; a < TrackScores::kAlphas; ++a) {
        int64_t found = 0;
        for (const Pair& p : pairs_[f]) {
          if (track_of[(size_t)p.truth] != p.track || !(p.overlap >= 0.05 * (a + 1) - kTiny)) continue;
          ++found;
          scores.location[a] += p.overlap;
          ++matches[a][{truth[(size_t)p.truth], track[(size_t)p.track]}];
        }
        scores.hota_tp[a] += (double)found;
        scores.hota_fn[a] += (double)((int64_t)truth.size() - found);
        scores.hota_fp[a] += (double)((int64_t)track.size() - found);
      }
    }
    for (int a = 0; a < TrackScores::kAlphas; ++a)
      for (const auto& [ids, count] : matches[a])
        scores.association[a] += (double)count * (double)count /
                                 (double)(truth_count_[(size_t)ids.first] + track_count_[(size_t)ids.second] - count);
  }

  TrackScores scores;

 private:
  std::vector<std::vector<int32_t>> truth_, track_;  // ids of each frame
  std::vector<std::vector<Pair>> pairs_;             // that overlap
  std::vector<int64_t> truth_count_, track_count_;   // boxes of each id
  int32_t num_truth_ = 0, num_track_ = 0;
  size_t frames_ = 0;
  std::vector<AssignmentPair> choice_;
  Assignment assignment_;
};

double ratio(double part, double whole) { return part / std::max(1.0, whole); }

template <class F>
double mean_of_alphas(F&& f) {
  double sum = 0;
  for (int a = 0; a < TrackScores::kAlphas; ++a) sum += f(a);
  return sum / TrackScores::kAlphas;
}

}  // namespace

void TrackScores::add(const TrackScores& o) {
  frames += o.frames, truths += o.truths, boxes += o.boxes, truth_ids += o.truth_ids, ids += o.ids;
  tp += o.tp, fn += o.fn, fp += o.fp, switches += o.switches, fragments += o.fragments;
  mostly_tracked += o.mostly_tracked, mostly_lost += o.mostly_lost, overlap_sum += o.overlap_sum;
  id_tp += o.id_tp, id_fn += o.id_fn, id_fp += o.id_fp;
  for (int a = 0; a < kAlphas; ++a) {
    hota_tp[a] += o.hota_tp[a], hota_fn[a] += o.hota_fn[a], hota_fp[a] += o.hota_fp[a];
    association[a] += o.association[a], location[a] += o.location[a];
  }
}
double TrackScores::mota() const { return ratio((double)(tp - fp - switches), (double)(tp + fn)); }
double TrackScores::motp() const { return ratio(overlap_sum, (double)tp); }
double TrackScores::idf1() const { return ratio((double)id_tp, (double)id_tp + 0.5 * (double)(id_fp + id_fn)); }
double TrackScores::det_a() const {
  return mean_of_alphas([&](int a) { return ratio(hota_tp[a], hota_tp[a] + hota_fn[a] + hota_fp[a]); });
}
double TrackScores::ass_a() const {
  return mean_of_alphas([&](int a) { return ratio(association[a], hota_tp[a]); });
}
double TrackScores::hota() const {
  return mean_of_alphas([&](int a) {
    return std::sqrt(ratio(hota_tp[a], hota_tp[a] + hota_fn[a] + hota_fp[a]) * ratio(association[a], hota_tp[a]));
  });
}

TrackScores evaluate_tracks(const MotFrames& truth, const MotFrames& tracks) {
  Evaluation e(truth, tracks);
  e.clear_mot();
  e.identity();
  e.hota();
  return e.scores;
}

bool read_mot(const std::string& path, MotFrames* frames) {
  std::string text;
  if (!read_whole_file(path, (size_t)1 << 30, &text)) return false;
  frames->clear();
  constexpr int64_t kMostFrames = 10'000'000;
  int64_t line = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    std::string row = text.substr(at, end - at);
    at = end + 1;
    ++line;
    if (row.find_first_not_of(" \t\r,") == std::string::npos) continue;
    std::replace(row.begin(), row.end(), ',', ' ');
    double v[7] = {0, -1, 0, 0, 0, 0, 1};
    int count = 0;
    const char* p = row.c_str();
    for (char* next = nullptr; count < 7; ++count, p = next) {
      const double number = std::strtod(p, &next);
      if (next == p) break;
      v[count] = number;
    }
    bool good = count >= 6;
    for (const double x : v) good = good && std::isfinite(x);
    if (!good || v[0] < 1 || v[0] > (double)kMostFrames || v[0] != std::floor(v[0]) || std::fabs(v[1]) > 1e15) {
      complain("%s: line %lld is not \"frame,id,left,top,width,height,score\", frames from 1", path.c_str(),
               (long long)line);
      return false;
    }
    if (v[4] < 0 || v[5] < 0) {
      complain("%s: line %lld: a box of %g x %g", path.c_str(), (long long)line, v[4], v[5]);
      return false;
    }
    const size_t frame = (size_t)v[0];
    if (frames->size() < frame) frames->resize(frame);
    (*frames)[frame - 1].push_back({(int64_t)v[1], v[2], v[3], v[4], v[5], v[6]});
  }
  return true;
}

}  // namespace tern::cli
