// SPDX-License-Identifier: Apache-2.0
// Which pixels belong to the boxes of a detector: sums of prototypes (D. Bolya et al., YOLACT, 2019), or a mask for
// each.
#pragma once
#include <algorithm>

#include "tasks/finder.h"

namespace tern {

class BoxMasks {
 public:
  // Null if the detector gives none.
  static tern_status create(TaskNetwork& network, std::unique_ptr<BoxMasks>* out);
  // Appends the mask of a box that the last run found.
  tern_status add(Finder& finder, const Found& found, ResultLists* lists);
  void begin(std::span<const Ref<const Tensor>> outputs) { reader_.begin(outputs); }

 private:
  explicit BoxMasks(const OutputReader& reader) : reader_(reader) {}
  OutputReader reader_;
  OutputColumns coefficients_, prototypes_, masks_;
  std::vector<OutputColumns> boxes_;
  bool sigmoid_ = false;
  std::vector<float> sum_;
};

// Rows of a picture that threads share; a picture of some ten thousand pixels is worth a second one.
class RowShares {
 public:
  RowShares(ThreadPool& pool, int32_t rows, int64_t pixels)
      : pool_(pool), rows_(rows), shares_((int32_t)std::clamp<int64_t>(pixels / 32768, 1, pool.num_threads())) {}
  int32_t shares() const { return shares_; }
  // once(share, first, end): may not throw.
  template <class F>
  void run(const F& once) const {
    struct Job {
      const F& once;
      int64_t rows, shares;
    } job{once, rows_, shares_};
    pool_.run(
        shares_,
        [](void* user, int32_t i) {
          const Job& j = *(const Job*)user;
          j.once(i, (int32_t)(j.rows * i / j.shares), (int32_t)(j.rows * (i + 1) / j.shares));
        },
        &job);
  }

 private:
  ThreadPool& pool_;
  int32_t rows_, shares_;
};

// A map [height][width] whose cells lie on a rectangle of the model's input (pixels), seen through the mapping: appends
// the part of the picture inside `box` (upright pixels), blended bilinearly. activate: sigmoid of the blend.
void paint_mask(const float* map, int64_t width, int64_t height, const image::Box& on_input,
                const image::Mapping& mapping, const image::Box& box, bool activate, ThreadPool& pool,
                ResultLists* lists);

}  // namespace tern
