// SPDX-License-Identifier: Apache-2.0
// Built for speed, without fused products (src/tern.cmake).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/float8.h"
#include "ops/update.h"

namespace tern {

tern_status infer_coded_update(InferArgs& a, DType m, DType v, const Shape& scales) {
  const Value& p = a.in(0);
  const DType codes[2] = {m, v};
  for (const int i : {0, 5}) {
    TERN_TRY(require_float(a, i));
    if (a.in(i).dtype == TERN_DTYPE_F64 || !is_permutation(a.in(i).encoding))
      return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s, %s; the rule takes f32, f16 and bf16, plain or permuted",
                       a.node.op->name, i, dtype_name(a.in(i).dtype), encoding_name(a.in(i).encoding));
  }
  for (int i = 1; i < 6; ++i) {
    const bool scale = i == 2 || i == 4;
    const Value& x = a.in(i);
    const Shape& wanted = scale ? scales : p.shape;
    if (!(x.shape == wanted))
      return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d has shape %s, %s is needed", a.node.op->name, i,
                       to_string(x.shape).c_str(), to_string(wanted).c_str());
    if (i < 5 && x.dtype != (scale ? TERN_DTYPE_F32 : codes[i / 2]))
      return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s, %s is needed", a.node.op->name, i, dtype_name(x.dtype),
                       dtype_name(scale ? TERN_DTYPE_F32 : codes[i / 2]));
  }
  TERN_TRY(require_scalar(a, 6, TERN_DTYPE_F32));
  TERN_TRY(require_scalar(a, 7, TERN_DTYPE_I64));
  TERN_TRY(require_scalar(a, 8, TERN_DTYPE_F32));
  set_written(a);
  return TERN_OK;
}

CodedUpdate coded_update(const RefArgs& a) {
  for (int k = 0; k < 5; ++k) {
    uint64_t bytes = 0;
    const RefTensor &from = a.in(k), &to = a.out(k);
    if (from.data != to.data && encoded_bytes(to.encoding, to.dtype, to.shape, &bytes) == TERN_OK)
      std::memcpy(to.data, from.data, (size_t)bytes);
  }
  return {a.out(0),
          a.out(1),
          a.out(2),
          a.out(3),
          a.out(4),
          a.in(5),
          (const float*)a.in(6).data,
          (const int64_t*)a.in(7).data,
          a.has(8) ? (const float*)a.in(8).data : nullptr,
          &a.attrs<AdamwUpdateAttrs>()};
}

// Not inlined: size.
[[gnu::noinline]] void coded_step(const CodedUpdate& u, float* __restrict p, float* __restrict m, float* __restrict v,
                                  const float* __restrict gradient) {
  const AdamwUpdateAttrs& t = *u.attrs;
  const double step = (double)*u.step;
  const float length = *u.rate / (float)(1 - std::pow(t.beta1, step)),
              root = 1 / std::sqrt((float)(1 - std::pow(t.beta2, step))), epsilon = (float)t.epsilon,
              share1 = (float)(1 - t.beta1), beta2 = (float)t.beta2, share2 = (float)(1 - t.beta2),
              keep = 1 - *u.rate * (float)t.weight_decay * (u.factor ? *u.factor : 1);
  for (int64_t i = 0; i < kCodeBlock; ++i) {
    m[i] += (gradient[i] - m[i]) * share1;
    v[i] = v[i] * beta2 + gradient[i] * gradient[i] * share2;
    p[i] = p[i] * keep - length * (m[i] / (std::sqrt(v[i]) * root + epsilon));
  }
}

[[gnu::noinline]] void load_floats(const RefTensor& t, int64_t first, int64_t n, float* to) {
  if (t.dtype == TERN_DTYPE_F32 && is_plain(t.encoding)) std::memcpy(to, (const float*)t.data + first, (size_t)n * 4);
  else
    for (int64_t i = 0; i < n; ++i) to[i] = (float)t.load(first + i);
}

[[gnu::noinline]] void store_floats(const RefTensor& t, int64_t first, int64_t n, const float* from) {
  if (t.dtype == TERN_DTYPE_F32 && is_plain(t.encoding)) std::memcpy((float*)t.data + first, from, (size_t)n * 4);
  else
    for (int64_t i = 0; i < n; ++i) t.store(first + i, from[i]);
}

namespace {

// One block in f32; behind the last element of all are zeros.
struct Block {
  float p[kCodeBlock] = {}, m[kCodeBlock] = {}, v[kCodeBlock] = {}, gradient[kCodeBlock] = {};
};

[[gnu::noinline]] float largest_of(const float* x, int64_t n) {
  float most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(x[i]));
  return most;
}

// ---- codes of 8 bits with a scale for each block ----

// Two numbers in [0, 1) for element i of this step, in 16 bits each.
uint32_t scatter_bits(int64_t i, int64_t step) {
  uint32_t h = (uint32_t)i * 0x9E3779B1u + (uint32_t)step * 0x85EBCA77u;
  h = (h ^ h >> 15) * 0x2C1B3C6Du;
  h = (h ^ h >> 12) * 0x297A2D39u;
  return h ^ h >> 15;
}

}  // namespace

void adamw8_blocks(const CodedUpdate& u, int64_t begin, int64_t end) {
  const int64_t count = u.p.elements(), step = *u.step;
  for (int64_t block = begin; block < end; ++block) {
    const int64_t first = block * kCodeBlock, n = std::min(kCodeBlock, count - first);
    Block b;
    int8_t* m = (int8_t*)u.m.data + first;
    uint8_t* v = (uint8_t*)u.v.data + first;
    float &m_scale = ((float*)u.m_scale.data)[block], &v_scale = ((float*)u.v_scale.data)[block];
    load_floats(u.p, first, n, b.p);
    load_floats(u.gradient, first, n, b.gradient);
    for (int64_t i = 0; i < n; ++i) {
      const float a = (float)m[i] * (1 / 127.0f), c = (float)v[i] * (1 / 255.0f);
      b.m[i] = m_scale * a * std::fabs(a);
      b.v[i] = v_scale * (c * c) * (c * c);
    }
    coded_step(u, b.p, b.m, b.v, b.gradient);
    store_floats(u.p, first, n, b.p);
    m_scale = largest_of(b.m, n), v_scale = largest_of(b.v, n);
    const float to_m = m_scale > 0 ? 1 / m_scale : 0, to_v = v_scale > 0 ? 1 / v_scale : 0;
    for (int64_t i = 0; i < n; ++i) {
      const uint32_t bits = scatter_bits(first + i, step);
      const float a = 127 * std::sqrt(std::fabs(b.m[i]) * to_m) + (float)(bits & 0xffff) * 0x1p-16f,
                  c = 255 * std::sqrt(std::sqrt(b.v[i] * to_v)) + (float)(bits >> 16) * 0x1p-16f;
      // (what is no number becomes some number)
      const int32_t code = (int32_t)(a < 127 ? a : 127.0f), least = b.v[i] > 0;
      m[i] = (int8_t)(b.m[i] < 0 ? -code : code);
      v[i] = (uint8_t)std::max((int32_t)(c < 255 ? c : 255.0f), least);
    }
  }
}

// ---- floats of 8 and 16 bits with a scale for the whole ----

namespace {

float unscaled(const RefTensor& scale) {
  const float s = *(const float*)scale.data;
  return s == 0 ? 1 : 1 / s;
}

[[gnu::noinline]] void load_block(const CodedUpdate& u, int64_t block, Block* b, int64_t* n) {
  const int64_t first = block * kCodeBlock;
  *n = std::min(kCodeBlock, u.p.elements() - first);
  load_floats(u.p, first, *n, b->p);
  load_floats(u.gradient, first, *n, b->gradient);
  const float m = unscaled(u.m_scale), v = unscaled(u.v_scale);
  for (int64_t i = 0; i < *n; ++i) {
    b->m[i] = e4m3_to_f32(((const uint8_t*)u.m.data)[first + i]) * m;
    b->v[i] = f16_to_f32(((const uint16_t*)u.v.data)[first + i]) * v;
  }
  coded_step(u, b->p, b->m, b->v, b->gradient);
}

}  // namespace

void adamw_fp8_largest(const CodedUpdate& u, int64_t begin, int64_t end, float largest[2]) {
  largest[0] = largest[1] = 0;
  for (int64_t block = begin; block < end; ++block) {
    Block b;
    int64_t n;
    load_block(u, block, &b, &n);
    largest[0] = std::max(largest[0], largest_of(b.m, n));
    largest[1] = std::max(largest[1], largest_of(b.v, n));
  }
}

void adamw_fp8_scales(const CodedUpdate& u, const float largest[2], float scales[2]) {
  constexpr float kMost[2] = {kLargestE4m3, 65504};
  for (int k = 0; k < 2; ++k) {
    const float old = *(const float*)(k ? u.v_scale : u.m_scale).data, ratio = kMost[k] / largest[k];
    scales[k] = old == 0 ? 1 : old;
    if (!(largest[k] > 0 && std::isfinite(largest[k]))) continue;
    int exponent = std::isfinite(ratio) ? std::ilogb(ratio) : 126;
    scales[k] = std::ldexp(1.0f, std::clamp(exponent, -126, 126));
  }
}

void adamw_fp8_blocks(const CodedUpdate& u, const float scales[2], int64_t begin, int64_t end) {
  for (int64_t block = begin; block < end; ++block) {
    Block b;
    int64_t n;
    load_block(u, block, &b, &n);
    const int64_t first = block * kCodeBlock;
    store_floats(u.p, first, n, b.p);
    for (int64_t i = 0; i < n; ++i) {
      ((uint8_t*)u.m.data)[first + i] = f32_to_e4m3(b.m[i] * scales[0]);
      ((uint16_t*)u.v.data)[first + i] = f32_to_f16(b.v[i] * scales[1]);
    }
  }
}

}  // namespace tern
