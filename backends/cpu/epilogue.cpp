// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/epilogue.h"

#include <bit>
#include <cmath>

namespace tern::cpu {

namespace {

// A number for each channel, in f32.
struct ChannelsArgs {
  int64_t channels;
  DType dtype;
  int32_t one;  // 1: the source has one number for all
};
void make_channels(const ChannelsArgs& a, const void* const* sources, void* target, int64_t, int64_t) {
  for (int64_t i = 0; i < a.channels; ++i)
    ((float*)target)[i] = (float)load_element(a.dtype, sources[0], a.one ? 0 : i);
}
tern_status point_at_channels(Prepare& p, ValueId v, int64_t channels, const float*& field) {
  const Value& value = p.g.value(v);
  const bool one = value.shape.elements() != channels;
  if (value.dtype == TERN_DTYPE_F32 && !one) return p.pointer(field, v), TERN_OK;
  Origin at;
  TERN_TRY(p.derive<ChannelsArgs>({&v, 1}, {channels, value.dtype, one}, make_channels, 1,
                                  (uint64_t)channels * sizeof(float), 0, &at));
  p.pointer(field, at);
  return TERN_OK;
}

// Steps per channel as one scale and one shift.
struct Affine {
  struct Step {
    int32_t kind;           // Product::Affine::Kind
    int32_t one;            // bit k: operand k has one number for all channels
    uint64_t epsilon_bits;  // of a double
  };
  int64_t channels, num_steps;
  DType bias_dtype;
  int32_t bias_one;
  Step steps[FusedAttrs::kMostAffine];
};
// sources: the bias that the shift begins with, or NULL; then a, b, c, d of each step. target: scales, then shifts.
void make_affine(const Affine& a, const void* const* sources, void* target, int64_t, int64_t) {
  float *scales = (float*)target, *shifts = scales + a.channels;
  for (int64_t i = 0; i < a.channels; ++i) {
    double scale = 1, shift = sources[0] ? load_element(a.bias_dtype, sources[0], a.bias_one ? 0 : i) : 0;
    for (int64_t k = 0; k < a.num_steps; ++k) {
      const Affine::Step& s = a.steps[k];
      const auto operand = [&](int j) -> double {
        return ((const float*)sources[1 + 4 * k + j])[s.one >> j & 1 ? 0 : i];
      };
      const double x = operand(0);
      if (s.kind == Product::Affine::add) {
        shift += x;
        continue;
      }
      const bool mul = s.kind == Product::Affine::mul;
      const double by = mul ? x : x / std::sqrt(operand(3) + std::bit_cast<double>(s.epsilon_bits));
      scale *= by;
      shift = mul ? shift * by : (shift - operand(2)) * by + operand(1);
    }
    scales[i] = (float)scale;
    shifts[i] = (float)shift;
  }
}

// Sets shift and scale; scale only where there is one, unless `always`.
tern_status point_at_affine(Prepare& p, ValueId bias, std::span<const Product::Affine> steps, int64_t channels,
                            bool always, const float*& scale, const float*& shift) {
  const auto one = [&](ValueId v) { return v != kNoValue && p.g.value(v).shape.elements() == 1; };
  Affine a = {};
  a.channels = channels, a.num_steps = (int64_t)steps.size();
  a.bias_dtype = bias == kNoValue ? TERN_DTYPE_F32 : p.g.value(bias).dtype;
  a.bias_one = one(bias);
  ValueId sources[1 + 4 * FusedAttrs::kMostAffine] = {bias};
  bool scaled = always;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Product::Affine& s = steps[i];
    const ValueId values[4] = {s.a, s.b, s.c, s.d};
    a.steps[i] = {s.kind, 0, std::bit_cast<uint64_t>(s.epsilon)};
    scaled = scaled || s.kind != Product::Affine::add;
    for (int k = 0; k < 4; ++k) {
      sources[1 + 4 * i + (size_t)k] = values[k];
      a.steps[i].one |= one(values[k]) << k;
    }
  }
  Origin at;
  TERN_TRY(p.derive<Affine>({sources, 1 + 4 * steps.size()}, a, make_affine, 1, 2 * (uint64_t)channels * sizeof(float),
                            0, &at));
  if (scaled) p.pointer(scale, at);
  p.pointer(shift, at, (uint64_t)channels * sizeof(float));
  return TERN_OK;
}

}  // namespace

tern_status fill_epilogue(Prepare& p, const Product& product, int64_t channels, Epilogue* e) {
  if (!product.affine.empty())
    TERN_TRY(point_at_affine(p, product.bias, product.affine, channels, false, e->scale, e->bias));
  else if (product.bias != kNoValue) TERN_TRY(point_at_channels(p, product.bias, channels, e->bias));
  if (!product.out_affine.empty())
    TERN_TRY(point_at_affine(p, kNoValue, product.out_affine, channels, true, e->out_scale, e->out_bias));

  if (product.residual != kNoValue) {
    p.pointer(e->residual, product.residual);
    e->residual_stride = channels;
    e->residual_first = product.residual_first;
  }
  if (product.last_clip.kind != Elementwise::none) e->residual_lo = (float)product.last_clip.p0;
  if (product.last_clip.kind == Elementwise::clip) e->residual_hi = (float)product.last_clip.p1;
  e->activation = product.activation;
  if (product.slope != kNoValue) TERN_TRY(point_at_channels(p, product.slope, channels, e->slope));
  return TERN_OK;
}

}  // namespace tern::cpu
