// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/topk.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

// Keys map the order of a type onto unsigned numbers: the greatest element has the greatest key. NaN is the greatest.
uint64_t key_of(float v) {
  if (v != v) return 0xffffffffu;
  const int32_t i = __builtin_bit_cast(int32_t, v == 0 ? 0.0f : v);
  return i < 0 ? (uint32_t)~i : (uint32_t)i | 0x80000000u;
}
uint64_t key_of(int32_t v) { return (uint32_t)v ^ 0x80000000u; }
uint64_t key_of(int64_t v) { return (uint64_t)v ^ 0x8000000000000000u; }

struct Entry {
  uint64_t key;
  int64_t index;
};

bool better(const Entry& a, const Entry& b) { return a.key > b.key || (a.key == b.key && a.index < b.index); }

// heap[0] is the worst entry.
void sink(Entry* heap, int64_t n, int64_t i) {
  const Entry e = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && better(heap[child], heap[child + 1])) ++child;
    if (!better(e, heap[child])) break;
    heap[i] = heap[child];
  }
  heap[i] = e;
}

template <class T>
void topk(const TopkArgs& a, int64_t begin, int64_t end, Entry* heap) {
  if (a.k <= 0) return;
  const uint64_t flip = !a.least ? 0 : sizeof(T) == 8 ? ~(uint64_t)0 : 0xffffffffu;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t outer = u / a.inner, col = u % a.inner;
    const T* x = (const T*)a.x + outer * a.axis * a.inner + col;
    for (int64_t i = 0; i < a.k; ++i) heap[i] = {key_of(x[i * a.inner]) ^ flip, i};
    for (int64_t i = a.k / 2; i-- > 0;) sink(heap, a.k, i);
    for (int64_t i = a.k; i < a.axis; ++i) {
      const Entry e = {key_of(x[i * a.inner]) ^ flip, i};
      if (e.key <= heap[0].key) continue;  // equal: the earlier index stays
      heap[0] = e;
      sink(heap, a.k, 0);
    }
    for (int64_t n = a.k; n > 1; --n) {  // the worst goes to the end
      const Entry worst = heap[0];
      heap[0] = heap[n - 1];
      sink(heap, n - 1, 0);
      heap[n - 1] = worst;
    }
    for (int64_t i = 0; i < a.k; ++i) {
      const int64_t to = (outer * a.k + i) * a.inner + col;
      if (a.values) ((T*)a.values)[to] = x[heap[i].index * a.inner];
      if (a.indices) a.indices[to] = heap[i].index;
    }
  }
}

void topk(const void* args, int64_t begin, int64_t end, void* scratch) {
  const TopkArgs& a = *(const TopkArgs*)args;
  switch (a.dtype) {
    case TERN_DTYPE_I32: return topk<int32_t>(a, begin, end, (Entry*)scratch);
    case TERN_DTYPE_I64: return topk<int64_t>(a, begin, end, (Entry*)scratch);
    default: return topk<float>(a, begin, end, (Entry*)scratch);
  }
}

}  // namespace

extern const TopkKernels topk_kernels;
const TopkKernels topk_kernels = {topk};

}  // namespace tern::cpu::TERN_ISA
