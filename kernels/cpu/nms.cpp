// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/nms.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

// In double, as the reference computes: areas of huge boxes do not overflow, and both choose the same.
struct Box {
  double y1, x1, y2, x2, area;
};

Box read_box(const float* p, int32_t center_point) {
  Box b;
  if (center_point) {
    const double half_w = p[2] * 0.5, half_h = p[3] * 0.5;
    b.x1 = p[0] - half_w, b.x2 = p[0] + half_w, b.y1 = p[1] - half_h, b.y2 = p[1] + half_h;
  } else {
    b.y1 = p[0] < p[2] ? p[0] : p[2], b.y2 = p[0] < p[2] ? p[2] : p[0];
    b.x1 = p[1] < p[3] ? p[1] : p[3], b.x2 = p[1] < p[3] ? p[3] : p[1];
  }
  b.area = (b.y2 - b.y1) * (b.x2 - b.x1);
  return b;
}

bool overlaps(const Box& a, const Box& b, float threshold) {
  const double h = (a.y2 < b.y2 ? a.y2 : b.y2) - (a.y1 > b.y1 ? a.y1 : b.y1);
  const double w = (a.x2 < b.x2 ? a.x2 : b.x2) - (a.x1 > b.x1 ? a.x1 : b.x1);
  if (!(h > 0) || !(w > 0) || !(a.area > 0) || !(b.area > 0)) return false;
  const double both = h * w;
  return both / (a.area + b.area - both) > threshold;
}

struct Candidate {
  float score;
  int32_t index;
};

bool better(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.index < b.index);
}

// heap[0] is the best candidate.
void sink(Candidate* heap, int64_t n, int64_t i) {
  const Candidate e = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && better(heap[child + 1], heap[child])) ++child;
    if (!better(heap[child], e)) break;
    heap[i] = heap[child];
  }
  heap[i] = e;
}

void select_kernel(const void* args, int64_t begin, int64_t end, void* scratch) {
  const NmsArgs& a = *(const NmsArgs*)args;
  Candidate* heap = (Candidate*)scratch;
  for (int64_t u = begin; u < end; ++u) {
    const float* scores = a.scores + u * a.num_boxes;
    const float* boxes = a.boxes + u / a.classes * a.num_boxes * 4;
    int32_t* winners = a.winners + u * a.max_per_class;
    int64_t n = 0;
    for (int64_t i = 0; i < a.num_boxes; ++i)
      if (scores[i] == scores[i] && (!a.use_score_threshold || scores[i] > a.score_threshold))
        heap[n++] = {scores[i], (int32_t)i};
    for (int64_t i = n / 2; i-- > 0;) sink(heap, n, i);
    int32_t chosen = 0;
    while (n > 0 && chosen < a.max_per_class) {
      const Candidate best = heap[0];
      heap[0] = heap[--n];
      if (n > 0) sink(heap, n, 0);
      const Box box = read_box(boxes + (int64_t)best.index * 4, a.center_point);
      bool keep = true;
      for (int32_t k = 0; keep && k < chosen; ++k)
        keep = !overlaps(read_box(boxes + (int64_t)winners[k] * 4, a.center_point), box, a.iou_threshold);
      if (keep) winners[chosen++] = best.index;
    }
    a.counts[u] = chosen;
  }
}

void pack(const void* args, int64_t begin, int64_t end, void*) {
  const NmsArgs& a = *(const NmsArgs*)args;
  if (begin >= end) return;
  int64_t n = 0;
  for (int64_t u = 0; u < a.batch * a.classes; ++u)
    for (int32_t i = 0; i < a.counts[u] && n < a.capacity; ++i, ++n) {
      a.selected[n * 3] = u / a.classes;
      a.selected[n * 3 + 1] = u % a.classes;
      a.selected[n * 3 + 2] = a.winners[u * a.max_per_class + i];
    }
  *a.count = n;
  for (int64_t i = n * 3; i < a.capacity * 3; ++i) a.selected[i] = a.fill;
}

}  // namespace

extern const NmsKernels nms_kernels;
const NmsKernels nms_kernels = {select_kernel, pack};

}  // namespace tern::cpu::TERN_ISA
