// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/nms.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

struct Corners {
  double y1, x1, y2, x2;
};
Corners corners(const float* p, bool center) {
  if (center) return {p[1] - p[3] / 2.0, p[0] - p[2] / 2.0, p[1] + p[3] / 2.0, p[0] + p[2] / 2.0};
  return {std::fmin(p[0], p[2]), std::fmin(p[1], p[3]), std::fmax(p[0], p[2]), std::fmax(p[1], p[3])};
}
double overlap(Corners a, Corners b) {
  const double h = std::fmin(a.y2, b.y2) - std::fmax(a.y1, b.y1), w = std::fmin(a.x2, b.x2) - std::fmax(a.x1, b.x1);
  if (h <= 0 || w <= 0) return 0;
  return h * w / ((a.y2 - a.y1) * (a.x2 - a.x1) + (b.y2 - b.y1) * (b.x2 - b.x1) - h * w);
}

TEST(NmsKernels, MatchesTheDefinition) {
  for_each_set([](const Kernels& k) {
    for (const int64_t boxes : {0, 1, 2, 60})
      for (const int64_t most : {0, 1, 5, 60})
        for (int bits = 0; bits < 8; ++bits) {
          const int64_t batch = 2, classes = 3;
          const bool center = bits & 1;
          Guarded<float> box(batch * boxes * 4), score(batch * classes * boxes);
          Random random(boxes + bits);
          // exact, as the thresholds are: some are met
          for (size_t i = 0; i < box.size(); ++i) box[i] = (float)random.integer(0, 16) / 4.0f;
          for (size_t i = 0; i < score.size(); ++i) score[i] = (float)random.integer(0, 9) / 8.0f;  // many ties
          if (score.size() > 30) score[7] = NAN;
          const int64_t capacity = bits & 4 ? 4 : batch * classes * most;
          Guarded<int32_t> winners(batch * classes * most), counts(batch * classes);
          Guarded<int64_t> selected(capacity * 3), count(1);
          NmsArgs a;
          a.boxes = box.data(), a.scores = score.data(), a.batch = batch, a.classes = classes, a.num_boxes = boxes,
          a.max_per_class = most;
          a.iou_threshold = 0.5f, a.score_threshold = 0.375f, a.use_score_threshold = bits >> 1 & 1,
          a.center_point = center;
          a.winners = winners.data(), a.counts = counts.data(), a.selected = selected.data(), a.count = count.data(),
          a.capacity = capacity;
          run(k.nms->select, &a, units(a), nms_scratch(a), counts.data(), counts.bytes());
          run(k.nms->pack, &a, 1, 0, selected.data(), selected.bytes());
          std::vector<int64_t> want;
          for (int64_t b = 0; b < batch; ++b)
            for (int64_t c = 0; c < classes; ++c) {
              std::vector<int64_t> chosen;
              std::vector<bool> tried(boxes);
              while ((int64_t)chosen.size() < most) {
                int64_t best = -1;
                const float* s = score.data() + (b * classes + c) * boxes;
                for (int64_t i = 0; i < boxes; ++i) {
                  if (tried[i] || std::isnan(s[i]) || (a.use_score_threshold && !(s[i] > 0.375f))) continue;
                  if (best < 0 || s[i] > s[best]) best = i;
                }
                if (best < 0) break;
                tried[best] = true;
                bool keep = true;
                for (const int64_t o : chosen)
                  keep &= !(overlap(corners(&box[(b * boxes + o) * 4], center),
                                    corners(&box[(b * boxes + best) * 4], center)) > 0.5f);
                if (keep) chosen.push_back(best);
              }
              for (const int64_t i : chosen)
                if ((int64_t)want.size() < capacity * 3) want.insert(want.end(), {b, c, i});
            }
          ASSERT_EQ(count[0] * 3, (int64_t)want.size());
          for (int64_t i = 0; i < capacity * 3; ++i) ASSERT_EQ(selected[i], i < (int64_t)want.size() ? want[i] : -1);
        }
  });
}

}  // namespace
}  // namespace tern::cpu::test
