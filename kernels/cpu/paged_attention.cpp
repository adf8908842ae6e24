// SPDX-License-Identifier: Apache-2.0
// A line is one head of one row. The lines that share their keys (the heads of a group, and neighbouring rows of one
// sequence) take a page together: scores are dot products over dim, nothing is transposed; then the weights relative to
// a running maximum; then the weighted sum of values in the order of positions.
#include "kernels/cpu/paged_attention.h"

#include "kernels/cpu/online_softmax.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kPage = (int)kPagePositions;
constexpr int kSums = kLanes < 8 ? 8 : kLanes;  // dot products in registers

// ---- where things are ----

// The page, or 64 positions, of a sequence, from the state's first element on; NULL if it is not there (to be written).
char* page_of(const Positions& p, int64_t sequence, int64_t page, bool write = false) {
  if (!p.table) return p.base + sequence * p.sequence_step + page * kPage * p.position_step;
  const uint64_t address = p.table->addresses(sequence)[page];
  if (address == 0 || (write && !(address & kPageWritable))) return nullptr;
  return (char*)(uintptr_t)(address & ~kPageWritable) + p.offset;
}

int64_t sequences_of(const Positions& p) { return p.table ? p.table->sequences : p.sequences; }
int64_t capacity_of(const Positions& p) {
  return p.table && p.table->pages * kPage < p.capacity ? p.table->pages * kPage : p.capacity;
}

// Positions [first, end) of a sequence; pages [first_page, end_page).
struct Range {
  int64_t sequence = 0, first = 0, end = 0, first_page = 0, end_page = 0;
  int64_t parts() const {
    const int64_t n = (end_page - first_page) / kPagedParts;
    return n < 1 ? 1 : n > kPagedParts ? kPagedParts : n;
  }
  int64_t part_begin(int64_t part) const { return first_page + (end_page - first_page) * part / parts(); }
};

// What row r sees: nothing if its position is negative, or not there (then *a.error is set).
Range range_of(const PagedAttentionArgs& a, int64_t r) {
  Range x;
  const int64_t position = a.position[r], sequence = a.sequence[r];
  if (position < 0) return x;
  if (sequence < 0 || sequence >= sequences_of(a.k) || sequence >= sequences_of(a.v)) return *a.error = kNoSequence, x;
  if (position >= capacity_of(a.k) || position >= capacity_of(a.v)) return *a.error = kNoPosition, x;
  const int64_t first = a.window > 0 && position >= a.window ? position - a.window + 1 : 0;
  x = {sequence, first, position + 1, first / kPage, position / kPage + 1};
  for (int64_t page = x.first_page; page < x.end_page; ++page)
    if (!page_of(a.k, sequence, page) || !page_of(a.v, sequence, page)) return *a.error = kNoPage, Range{};
  return x;
}

// ---- one page ----

// scores[t][j] = q[t][:] . k[j][:] for from <= j < to. Every sum is taken in the same order, whatever the tile.
template <int tile, class T>
void dot_products(const float* q, int64_t q_step, const char* k, int64_t k_step, int from, int to, int64_t dim,
                  float* scores) {
  constexpr int keys = kSums / tile;
  for (int j = from; j < to; j += keys) {
    const T* p[keys];
    for (int i = 0; i < keys; ++i) p[i] = (const T*)(k + (j + i < to ? j + i : to - 1) * k_step);
    Vec s[kSums];
    for (int i = 0; i < kSums; ++i) s[i] = splat(0.0f);
    int64_t d = 0;
    for (; d + kLanes <= dim; d += kLanes) {
      Vec x[tile];
      for (int t = 0; t < tile; ++t) x[t] = load(q + t * q_step + d);
      for (int i = 0; i < keys; ++i) {
        const Vec y = load_as_f32(p[i] + d);
        for (int t = 0; t < tile; ++t) s[i * tile + t] = fma(x[t], y, s[i * tile + t]);
      }
    }
    if (d < dim) {
      Vec x[tile];
      for (int t = 0; t < tile; ++t) x[t] = load(q + t * q_step + d);  // padded with zeros
      for (int i = 0; i < keys; ++i) {
        const Vec y = load_part_as_f32(p[i] + d, (int)(dim - d));
        for (int t = 0; t < tile; ++t) s[i * tile + t] = fma(x[t], y, s[i * tile + t]);
      }
    }
    alignas(64) float sums[kSums];
    for (int i = 0; i < kSums; i += kLanes) store(sums + i, sum_each(s + i));
    for (int i = 0; i < keys && j + i < to; ++i)
      for (int t = 0; t < tile; ++t) scores[t * kPage + j + i] = sums[i * tile + t];
  }
}

// Turns the scores of the seen keys, those from `from` up to `to`, into weights relative to the running maximum;
// returns the factor for what was summed before. The weights of the other keys become zero.
float weigh(float* scores, int from, int to, float* greatest, float* sum) {
  for (int j = 0; j < from; ++j) scores[j] = -__builtin_inff();
  for (int j = to; j < kPage; ++j) scores[j] = -__builtin_inff();
  return weigh_scores<kPage>(scores, greatest, sum);
}

// to[t][:] = to[t][:] * factor[t] + sum of weights[t][j] * v[j][:] over from <= j < end, in the order of j.
template <int tile, class T>
void add_values(const float* weights, const float* factor, const char* v, int64_t v_step, int from, int end,
                int64_t dim, float* const* to) {
  int64_t d = 0;
  for (; d + 2 * kLanes <= dim; d += 2 * kLanes) {
    Vec s[tile][2];
    for (int t = 0; t < tile; ++t)
      for (int i = 0; i < 2; ++i) s[t][i] = load(to[t] + d + i * kLanes) * splat(factor[t]);
    for (int j = from; j < end; ++j) {
      const T* p = (const T*)(v + j * v_step) + d;
      const Vec v0 = load_as_f32(p), v1 = load_as_f32(p + kLanes);
      for (int t = 0; t < tile; ++t) {
        const Vec w = splat(weights[t * kPage + j]);
        s[t][0] = fma(w, v0, s[t][0]);
        s[t][1] = fma(w, v1, s[t][1]);
      }
    }
    for (int t = 0; t < tile; ++t)
      for (int i = 0; i < 2; ++i) store(to[t] + d + i * kLanes, s[t][i]);
  }
  for (; d < dim; d += kLanes) {
    const int left = dim - d < kLanes ? (int)(dim - d) : kLanes;
    Vec s[tile];
    for (int t = 0; t < tile; ++t) s[t] = load(to[t] + d) * splat(factor[t]);
    for (int j = from; j < end; ++j) {
      const T* p = (const T*)(v + j * v_step) + d;
      const Vec x = left == kLanes ? load_as_f32(p) : load_part_as_f32(p, left);
      for (int t = 0; t < tile; ++t) s[t] = fma(splat(weights[t * kPage + j]), x, s[t]);
    }
    for (int t = 0; t < tile; ++t) store(to[t] + d, s[t]);
  }
}

// ---- lines ----

// Sums of one line: [0] the maximum, [1] the sum of weights, from [16] on the weighted sum of values.
void clear(float* sums, int64_t v_dim) {
  for (int64_t i = 0; i < paged::sums_floats(v_dim); ++i) sums[i] = 0;
  sums[0] = -__builtin_inff();
}

// Joins the sums of the next part to those before it.
void join_sums(float* before, const float* next, int64_t v_dim) {
  if (next[0] == -__builtin_inff() && next[1] == 0) return;
  const int64_t n = paged::sums_floats(v_dim);
  if (before[0] == -__builtin_inff() && before[1] == 0) {
    for (int64_t i = 0; i < n; ++i) before[i] = next[i];
    return;
  }
  const Vec now = max(splat(before[0]), splat(next[0]));
  const Vec f = vexp_negative(splat(before[0]) - now), g = vexp_negative(splat(next[0]) - now);
  alignas(64) float greatest[kLanes], sum[kLanes];
  store(greatest, now);
  store(sum, fma(splat(before[1]), f, splat(next[1]) * g));
  before[0] = greatest[0], before[1] = sum[0];
  for (int64_t i = 16; i < n; i += kLanes) store(before + i, fma(load(before + i), f, load(next + i) * g));
}

void finish(const float* sums, int64_t v_dim, float* y) {
  const Vec scale = splat(sums[1] > 0 ? 1.0f / sums[1] : sums[1] == 0 ? 0.0f : sums[1]);
  for (int64_t d = 0; d < v_dim; d += kLanes)
    store_part(y + d, load(sums + 16 + d) * scale, v_dim - d < kLanes ? (int)(v_dim - d) : kLanes);
}

// The lines of a unit: those of one row stand side by side, group of them.
struct Lines {
  int64_t rows, group;
  const Range* ranges;  // per row
  float *q, *scores, *weights;
  float* const* sums;  // per line
};

void take_queries(const PagedAttentionArgs& a, int64_t row, int64_t kv_head, float* q) {
  const int64_t group = a.heads / a.kv_heads, step = paged::padded(a.dim);
  for (int64_t g = 0; g < group; ++g)
    for (int64_t d = 0; d < step; ++d)
      q[g * step + d] = d < a.dim ? a.q[(row * a.heads + kv_head * group + g) * a.dim + d] : 0;
}

template <class T>
float scale_of(const Positions& p, const char* page, int64_t head, int64_t j) {
  if (sizeof(T) > 1) return 1;
  return *(const float*)(page + p.scale_offset + head * p.scale_head_step + j * p.scale_position_step);
}

template <class T>
void take_page(const PagedAttentionArgs& a, const Lines& lines, int64_t kv_head, int64_t page) {
  const int64_t sequence = lines.ranges[0].sequence, count = lines.rows * lines.group, q_step = paged::padded(a.dim);
  const char *k_page = page_of(a.k, sequence, page), *v_page = page_of(a.v, sequence, page);
  const char *k = k_page + kv_head * a.k.head_step, *v = v_page + kv_head * a.v.head_step;
  int from[kPagedRows], to[kPagedRows], low = kPage, high = 0;  // positions of this page that the rows see
  for (int64_t r = 0; r < lines.rows; ++r) {
    const Range& x = lines.ranges[r];
    const int64_t first = x.first - page * kPage, end = x.end - page * kPage;
    from[r] = first < 0 ? 0 : first > kPage ? kPage : (int)first;
    to[r] = end < from[r] ? from[r] : end > kPage ? kPage : (int)end;
    if (from[r] == to[r]) continue;
    low = from[r] < low ? from[r] : low;
    high = to[r] > high ? to[r] : high;
  }
  if (low >= high) return;
  for (int64_t i = 0; i < count;) {
    const float* q = lines.q + i * q_step;
    float* scores = lines.scores + i * kPage;
    if (count - i >= 4) dot_products<4, T>(q, q_step, k, a.k.position_step, low, high, a.dim, scores), i += 4;
    else if (count - i >= 2) dot_products<2, T>(q, q_step, k, a.k.position_step, low, high, a.dim, scores), i += 2;
    else dot_products<1, T>(q, q_step, k, a.k.position_step, low, high, a.dim, scores), i += 1;
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t r = i / lines.group;
    float *scores = lines.scores + i * kPage, *weights = lines.weights + i * kPage, *sums = lines.sums[i];
    if (from[r] == to[r]) {
      weights[0] = 1;  // its factor
      continue;
    }
    for (int j = from[r]; j < to[r]; ++j) scores[j] *= scale_of<T>(a.k, k_page, kv_head, j) * a.scale;
    if (a.softcap > 0)
      for (int j = 0; j < kPage; j += kLanes)  // those that nobody sees are overwritten
        store(scores + j, vtanh(load(scores + j) * splat(1.0f / a.softcap)) * splat(a.softcap));
    const float factor = weigh(scores, from[r], to[r], &sums[0], &sums[1]);
    if (sizeof(T) == 1)
      for (int j = from[r]; j < to[r]; ++j) scores[j] *= scale_of<T>(a.v, v_page, kv_head, j);
    weights[0] = factor;
  }
  for (int64_t i = 0; i < count;) {
    const int64_t r = i / lines.group;
    const auto alike = [&](int64_t n) {
      bool same = count - i >= n;
      for (int64_t k = i; same && k < i + n; ++k)
        same = from[k / lines.group] == from[r] && to[k / lines.group] == to[r];
      return same;
    };
    float factor[4], *sums[4];
    const int64_t tile = alike(4) ? 4 : alike(2) ? 2 : 1;
    for (int64_t t = 0; t < tile; ++t) {
      factor[t] = lines.weights[(i + t) * kPage];
      sums[t] = lines.sums[i + t] + 16;
    }
    const float* weights = lines.scores + i * kPage;
    if (tile == 4) add_values<4, T>(weights, factor, v, a.v.position_step, from[r], to[r], a.v_dim, sums);
    else if (tile == 2) add_values<2, T>(weights, factor, v, a.v.position_step, from[r], to[r], a.v_dim, sums);
    else add_values<1, T>(weights, factor, v, a.v.position_step, from[r], to[r], a.v_dim, sums);
    i += tile;
  }
}

float* parts_of(const PagedAttentionArgs& a, int64_t row, int64_t head, int64_t part) {
  return a.parts + ((row * a.heads + head) * kPagedParts + part) * paged::sums_floats(a.v_dim);
}

template <class T>
void part(const void* args, int64_t begin, int64_t end, void* scratch) {
  const PagedAttentionArgs& a = *(const PagedAttentionArgs*)args;
  const int64_t group = a.heads / a.kv_heads, step = paged::padded(a.dim);
  float* q = (float*)scratch;
  float* sums[kPagedGroup];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t p = u % kPagedParts, kv_head = u / kPagedParts % a.kv_heads, row = u / kPagedParts / a.kv_heads;
    const Range range = range_of(a, row);
    if (p >= range.parts()) continue;
    for (int64_t g = 0; g < group; ++g) clear(sums[g] = parts_of(a, row, kv_head * group + g, p), a.v_dim);
    take_queries(a, row, kv_head, q);
    const Lines lines = {1, group, &range, q, q + group * step, q + group * (step + kPage), sums};
    for (int64_t page = range.part_begin(p); page < range.part_begin(p + 1); ++page)
      take_page<T>(a, lines, kv_head, page);
  }
}

void join(const void* args, int64_t begin, int64_t end, void*) {
  const PagedAttentionArgs& a = *(const PagedAttentionArgs*)args;
  const int64_t group = a.heads / a.kv_heads;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t row = u / a.kv_heads, first = u % a.kv_heads * group, parts = range_of(a, row).parts();
    for (int64_t head = first; head < first + group; ++head) {
      float* sums = parts_of(a, row, head, 0);
      for (int64_t p = 1; p < parts; ++p) join_sums(sums, parts_of(a, row, head, p), a.v_dim);
      finish(sums, a.v_dim, a.y + (row * a.heads + head) * a.v_dim);
    }
  }
}

template <class T>
void blocks(const void* args, int64_t begin, int64_t end, void* scratch) {
  const PagedAttentionArgs& a = *(const PagedAttentionArgs*)args;
  const int64_t group = a.heads / a.kv_heads, step = paged::padded(a.dim), size = paged::sums_floats(a.v_dim);
  float* q = (float*)scratch;
  float* scores = q + kPagedRows * group * step;
  float* weights = scores + kPagedRows * group * kPage;
  float* current = weights + kPagedRows * group * kPage;
  float* whole = current + kPagedRows * group * size;
  float* sums[kPagedRows * kPagedGroup];
  for (int64_t l = 0; l < kPagedRows * group; ++l) sums[l] = current + l * size;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t kv_head = u % a.kv_heads, block = u / a.kv_heads * kPagedRows;
    const int64_t last = block + kPagedRows < a.rows ? block + kPagedRows : a.rows;
    for (int64_t row = block, n = 0; row < last; row += n) {
      // Rows of one sequence; of which one without keys reads nothing, so it may be among them.
      Range ranges[kPagedRows];
      int64_t first_page = INT64_MAX, end_page = 0;
      for (n = 0; row + n < last; ++n) {
        ranges[n] = range_of(a, row + n);
        if (n > 0 && ranges[n].sequence != ranges[0].sequence) break;
        if (ranges[n].first_page == ranges[n].end_page) continue;
        first_page = ranges[n].first_page < first_page ? ranges[n].first_page : first_page;
        end_page = ranges[n].end_page > end_page ? ranges[n].end_page : end_page;
      }
      int64_t next[kPagedRows];  // the part that each row is in
      for (int64_t i = 0; i < n; ++i) {
        take_queries(a, row + i, kv_head, q + i * group * step);
        next[i] = 1;
      }
      for (int64_t l = 0; l < n * group; ++l) clear(sums[l], a.v_dim), clear(whole + l * size, a.v_dim);
      const Lines lines = {n, group, ranges, q, scores, weights, sums};
      const auto end_part = [&](int64_t i) {
        for (int64_t l = i * group; l < (i + 1) * group; ++l) {
          join_sums(whole + l * size, sums[l], a.v_dim);
          clear(sums[l], a.v_dim);
        }
      };
      for (int64_t page = first_page; page < end_page; ++page) {
        for (int64_t i = 0; i < n; ++i)
          if (next[i] < ranges[i].parts() && page == ranges[i].part_begin(next[i])) end_part(i), ++next[i];
        take_page<T>(a, lines, kv_head, page);
      }
      for (int64_t i = 0; i < n; ++i) {
        end_part(i);
        for (int64_t g = 0; g < group; ++g)
          finish(whole + (i * group + g) * size, a.v_dim, a.y + ((row + i) * a.heads + kv_head * group + g) * a.v_dim);
      }
    }
  }
}

// ---- writing ----

void store_row(const float* x, int64_t n, float* to, float*) { __builtin_memcpy(to, x, (size_t)n * sizeof(float)); }
void store_row(const float* x, int64_t n, uint16_t* to, float*) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_f16(to + i, load(x + i));
  if (i < n) store_f16_part(to + i, load_part(x + i, (int)(n - i)), (int)(n - i));
}
void store_row(const float* x, int64_t n, int8_t* to, float* scale) {
  float most = 0;
  for (int64_t i = 0; i < n; ++i) most = __builtin_fmaxf(most, __builtin_fabsf(x[i]));
  *scale = __builtin_fminf(most, __FLT_MAX__) / 127;
  for (int64_t i = 0; i < n; ++i) {
    const float code = *scale > 0 && x[i] == x[i] ? __builtin_nearbyintf(x[i] / *scale) : 0;
    to[i] = (int8_t)(code > 127 ? 127 : code < -127 ? -127 : code);
  }
}

// Where row r goes; NULL: nowhere.
char* page_for(const PageWriteArgs& a, int64_t r) {
  const int64_t position = a.position[r], sequence = a.sequence[r];
  if (position < 0) return nullptr;
  if (sequence < 0 || sequence >= sequences_of(a.to)) return *a.error = kNoSequence, nullptr;
  if (position >= capacity_of(a.to)) return *a.error = kNoPosition, nullptr;
  char* const page = page_of(a.to, sequence, position / kPage, true);
  if (!page) *a.error = kNoPage;
  return page;
}

void move(const void* args, int64_t begin, int64_t end, void*) {
  const PageWriteArgs& a = *(const PageWriteArgs*)args;
  for (int64_t r = begin; r < end; ++r)
    if (char* const page = page_for(a, r))
      for (int64_t h = 0; h < a.heads; ++h)
        __builtin_memcpy(page + h * a.to.head_step + a.position[r] % kPage * a.to.position_step,
                         (const char*)a.update + (r * a.heads + h) * a.row_bytes, (size_t)a.row_bytes);
}

template <class T>
void write(const void* args, int64_t begin, int64_t end, void*) {
  const PageWriteArgs& a = *(const PageWriteArgs*)args;
  for (int64_t r = begin; r < end; ++r) {
    char* const page = page_for(a, r);
    if (!page) continue;
    const int64_t j = a.position[r] % kPage;
    for (int64_t h = 0; h < a.heads; ++h) {
      float* const scale = (float*)(page + a.to.scale_offset + h * a.to.scale_head_step + j * a.to.scale_position_step);
      store_row(a.update + (r * a.heads + h) * a.dim, a.dim, (T*)(page + h * a.to.head_step + j * a.to.position_step),
                scale);
    }
  }
}

}  // namespace

extern const PagedAttentionKernels paged_attention_kernels;
const PagedAttentionKernels paged_attention_kernels = {move,
                                                       {write<float>, write<uint16_t>, write<int8_t>},
                                                       {part<float>, part<uint16_t>, part<int8_t>},
                                                       {blocks<float>, blocks<uint16_t>, blocks<int8_t>},
                                                       join};

}  // namespace tern::cpu::TERN_ISA
