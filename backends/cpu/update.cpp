// SPDX-License-Identifier: Apache-2.0
// Built for speed (src/tern.cmake).
#include "backends/cpu/update.h"

#include <algorithm>
#include <cmath>

namespace tern::cpu {
namespace {

// Where the elements of a chunk lie.
struct Chunk {
  int64_t n = 0;
  int64_t plain[kChunk], ordered[kChunk];
  const int64_t* of(const Operand& o) const { return o.ordered ? ordered : plain; }
};

void load_chunk(const Operand& o, const Chunk& c, float* to) {
  const int64_t* at = c.of(o);
  const uint16_t* half = (const uint16_t*)o.data;
  if (o.dtype == TERN_DTYPE_F32)
    for (int64_t j = 0; j < c.n; ++j) to[j] = ((const float*)o.data)[at[j]];
  else if (o.dtype == TERN_DTYPE_F16)
    for (int64_t j = 0; j < c.n; ++j) to[j] = f16_to_f32(half[at[j]]);
  else
    for (int64_t j = 0; j < c.n; ++j) to[j] = bf16_to_f32(half[at[j]]);
}

void store_chunk(const Operand& o, const Chunk& c, const float* from) {
  const int64_t* at = c.of(o);
  uint16_t* half = (uint16_t*)o.data;
  if (o.dtype == TERN_DTYPE_F32)
    for (int64_t j = 0; j < c.n; ++j) ((float*)o.data)[at[j]] = from[j];
  else if (o.dtype == TERN_DTYPE_F16)
    for (int64_t j = 0; j < c.n; ++j) half[at[j]] = f32_to_f16(from[j]);
  else
    for (int64_t j = 0; j < c.n; ++j) half[at[j]] = f32_to_bf16(from[j]);
}

void update_chunk(const UpdateArgs& a, const Factors& factors, const Chunk& c, float* scratch) {
  float* x[kMostOperands];
  bool direct[kMostOperands];
  for (int k = 0; k < a.count; ++k) {
    direct[k] = !a.order && a.x[k].dtype == TERN_DTYPE_F32;
    x[k] = direct[k] ? (float*)a.x[k].data + c.plain[0] : scratch + k * kChunk;
    if (!direct[k]) load_chunk(a.x[k], c, x[k]);
  }
  a.rule(factors, x, c.n);
  for (int k = 0; k < a.written; ++k)
    if (!direct[k]) store_chunk(a.x[k], c, x[k]);
}

}  // namespace

void run_update(const void* args, int64_t begin, int64_t end, void* scratch) {
  const UpdateArgs& a = *(const UpdateArgs*)args;
  const Factors factors = a.prepare(a);
  const int64_t last = std::min(end * kUnit, a.places);
  for (int64_t first = begin * kUnit; first < last; first += kChunk) {
    Chunk c;
    c.n = std::min(kChunk, last - first);
    for (int64_t j = 0; j < c.n; ++j) c.plain[j] = first + j;
    update_chunk(a, factors, c, (float*)scratch);
  }
}

void run_update_tiles(const void* args, int64_t begin, int64_t end, void* scratch) {
  const UpdateArgs& a = *(const UpdateArgs*)args;
  const Factors factors = a.prepare(a);
  for (int64_t row = begin * kTile; row < std::min(end * kTile, a.size.rows); row += kTile)
    for (int64_t column = 0; column < a.size.cols; column += kTile) {
      Chunk c;
      for (int64_t i = row; i < std::min(row + kTile, a.size.rows); ++i)
        for (int64_t j = column; j < std::min(column + kTile, a.size.cols); ++j, ++c.n) {
          c.plain[c.n] = i * a.size.cols + j;
          c.ordered[c.n] = a.order->position(a.size, i, j);
        }
      update_chunk(a, factors, c, (float*)scratch);
    }
}

namespace {

// Operands do not overlap, but for one that is there twice: then its elements meet themselves only. (A macro since a
// pragma stands in front of each loop.)
#ifdef __clang__
#define TERN_RULE_LOOP _Pragma("clang loop vectorize(assume_safety)") for (int64_t i = 0; i < n; ++i)
#else
#define TERN_RULE_LOOP _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i)
#endif

Factors momentum_factors(const UpdateArgs& a) {
  const MomentumUpdateAttrs& t = a.attrs<MomentumUpdateAttrs>();
  const bool first = a.step && *a.step == 1;
  const float momentum = (float)t.momentum;
  return {{*a.rate, t.weight_decay == 0 ? 0 : (float)t.weight_decay * (a.factor ? *a.factor : 1), first ? 0 : momentum,
           first ? 1 : (float)(1 - t.dampening), t.nesterov ? 1.0f : 0.0f, t.nesterov ? momentum : 1,
           first ? 1.0f : 0.0f}};
}

void momentum_rule(const Factors& f, float* const* x, int64_t n) {
  const float rate = f.a[0], decay = f.a[1], momentum = f.a[2], share = f.a[3], direct = f.a[4], averaged = f.a[5];
  float *p = x[0], *b = x[1];
  const float* gradient = x[2];
  if (f.a[6] != 0) std::fill(b, b + n, 0.0f);  // whatever it held
  TERN_RULE_LOOP {
    const float g = gradient[i] + decay * p[i], average = share * g + momentum * b[i];
    b[i] = average;
    p[i] -= rate * (direct * g + averaged * average);
  }
}

Factors adamw_factors(const UpdateArgs& a) {
  const AdamwUpdateAttrs& t = a.attrs<AdamwUpdateAttrs>();
  const double step = (double)*a.step;
  const float correction1 = (float)(1 - std::pow(t.beta1, step)), correction2 = (float)(1 - std::pow(t.beta2, step));
  const float decay = t.weight_decay == 0 ? 0 : *a.rate * (float)t.weight_decay * (a.factor ? *a.factor : 1);
  return {{1 - decay, (float)(1 - t.beta1), (float)t.beta2, (float)(1 - t.beta2), *a.rate / correction1,
           1 / std::sqrt(correction2), (float)t.epsilon}};
}

void adamw_rule(const Factors& f, float* const* x, int64_t n) {
  const float keep = f.a[0], share1 = f.a[1], beta2 = f.a[2], share2 = f.a[3], length = f.a[4], root = f.a[5],
              epsilon = f.a[6];
  float *p = x[0], *m = x[1], *v = x[2];
  const float* gradient = x[3];
  TERN_RULE_LOOP {
    const float g = gradient[i], first = m[i] + (g - m[i]) * share1, second = v[i] * beta2 + g * g * share2;
    m[i] = first;
    v[i] = second;
    p[i] = p[i] * keep - length * (first / (std::sqrt(second) * root + epsilon));
  }
}

Factors lion_factors(const UpdateArgs& a) {
  const LionUpdateAttrs& t = a.attrs<LionUpdateAttrs>();
  const float decay = t.weight_decay == 0 ? 0 : *a.rate * (float)t.weight_decay * (a.factor ? *a.factor : 1);
  return {{1 - decay, *a.rate, (float)t.beta1, (float)(1 - t.beta1), (float)t.beta2, (float)(1 - t.beta2)}};
}

void lion_rule(const Factors& f, float* const* x, int64_t n) {
  const float keep = f.a[0], rate = f.a[1], beta1 = f.a[2], share1 = f.a[3], beta2 = f.a[4], share2 = f.a[5];
  float *p = x[0], *m = x[1];
  const float* gradient = x[2];
  TERN_RULE_LOOP {
    const float g = gradient[i], old = m[i], c = old * beta1 + g * share1;
    const float direction = c > 0 ? 1 : c < 0 ? -1 : c;
    p[i] = p[i] * keep - rate * direction;
    m[i] = old * beta2 + g * share2;
  }
}

}  // namespace

constinit const UpdateRule momentum_update_rule = {momentum_factors, momentum_rule},
                           adamw_update_rule = {adamw_factors, adamw_rule},
                           lion_update_rule = {lion_factors, lion_rule};

}  // namespace tern::cpu
