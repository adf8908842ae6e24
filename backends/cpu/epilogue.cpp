// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/epilogue.h"

#include <cmath>
#include <string_view>

#include "ops/elementwise.h"

namespace tern::cpu {

namespace {

// A bias that the model holds in 16 bits is widened: once if it stays, before every use if it may change.
struct WidenArgs {
  const uint16_t* source = nullptr;
  float* target = nullptr;
  int64_t count = 0;
  void (*widen)(const uint16_t* w, float* out, int64_t n) = nullptr;
};
void run_widen(const void* args, int64_t, int64_t, void*) {
  const WidenArgs& a = *(const WidenArgs*)args;
  a.widen(a.source, a.target, a.count);
}
void point_at_bias(Prepare& p, ValueId v, int64_t channels, const float*& field) {
  if (p.g.value(v).dtype == TERN_DTYPE_F32) return p.pointer(field, v);
  WidenArgs& a = p.args<WidenArgs>();
  a.target = p.array<float>((size_t)channels);
  a.count = channels;
  a.widen = p.k.matmul->widen;
  field = a.target;
  if (const void* fixed = p.fixed(v)) {
    a.source = (const uint16_t*)fixed;
    Prepare::run_now(run_widen, &a, 1);
  } else {
    p.pointer(a.source, v);
    p.call(run_widen, &a, 1, 0, 0);
  }
}

// Steps per channel as one scale and one shift: made once if nothing in them changes, else before every use.
struct Channels {  // one number, or one for each channel
  const void* data = nullptr;
  DType dtype = TERN_DTYPE_F32;
  bool one = false;
  double at(int64_t i) const { return load_element(dtype, data, one ? 0 : i); }
};
struct AffineStep {
  EpilogueMatch::Affine::Kind kind;
  Channels operand[4];  // a, b, c, d of EpilogueMatch::Affine
  double epsilon;
};
struct AffineArgs {
  Channels bias;  // shift to begin with; data NULL: none
  const AffineStep* steps = nullptr;
  int64_t num_steps = 0, channels = 0;
  float *scale = nullptr, *shift = nullptr;
};
void run_affine(const void* args, int64_t, int64_t, void*) {
  const AffineArgs& a = *(const AffineArgs*)args;
  for (int64_t i = 0; i < a.channels; ++i) {
    double scale = 1, shift = a.bias.data ? a.bias.at(i) : 0;
    for (const AffineStep& s : std::span(a.steps, (size_t)a.num_steps)) {
      const double x = s.operand[0].at(i);
      if (s.kind == EpilogueMatch::Affine::add) {
        shift += x;
        continue;
      }
      const double k = s.kind == EpilogueMatch::Affine::mul ? x : x / std::sqrt(s.operand[3].at(i) + s.epsilon);
      scale *= k;
      shift = s.kind == EpilogueMatch::Affine::mul ? shift * k : (shift - s.operand[2].at(i)) * k + s.operand[1].at(i);
    }
    a.scale[i] = (float)scale;
    a.shift[i] = (float)shift;
  }
}

// Sets *scale and *shift; false if the scale is 1 everywhere.
bool fill_affine(Prepare& p, ValueId bias, std::span<const EpilogueMatch::Affine> steps, int64_t channels,
                 const float** scale, const float** shift) {
  AffineArgs& a = p.args<AffineArgs>();
  AffineStep* to = p.array<AffineStep>(steps.size());
  bool fixed = true, scaled = false;
  std::vector<std::pair<Channels*, ValueId>> operands;
  if (bias != kNoValue) operands.push_back({&a.bias, bias});
  for (size_t i = 0; i < steps.size(); ++i) {
    const EpilogueMatch::Affine& s = steps[i];
    const ValueId values[4] = {s.a, s.b, s.c, s.d};
    to[i].kind = s.kind, to[i].epsilon = s.epsilon;
    scaled = scaled || s.kind != EpilogueMatch::Affine::add;
    for (int k = 0; k < 4; ++k)
      if (values[k] != kNoValue) operands.push_back({&to[i].operand[k], values[k]});
  }
  for (const auto& [operand, v] : operands) {
    operand->dtype = p.g.value(v).dtype;
    operand->one = p.g.value(v).shape.elements() == 1;
    operand->data = p.fixed(v);
    fixed = fixed && operand->data;
  }
  a.steps = to, a.num_steps = (int64_t)steps.size(), a.channels = channels;
  a.scale = p.array<float>((size_t)channels), a.shift = p.array<float>((size_t)channels);
  *scale = a.scale;
  *shift = a.shift;
  if (fixed) {
    Prepare::run_now(run_affine, &a, 1);
  } else {
    for (const auto& [operand, v] : operands) p.pointer(operand->data, v);
    p.call(run_affine, &a, 1, 0, 0);
  }
  return scaled;
}

void set_clip(const Node& n, float* lo, float* hi) {
  if (std::string_view(n.op->name) == "relu") {
    *lo = 0;
    *hi = INFINITY;
    return;
  }
  *lo = (float)n.attrs<ClipAttrs>().min;
  *hi = (float)n.attrs<ClipAttrs>().max;
}

}  // namespace

tern_status fill_epilogue(Prepare& p, const Product& product, int64_t channels, Epilogue* e) {
  if (!product.affine.empty()) {
    if (!fill_affine(p, product.bias, product.affine, channels, &e->scale, &e->bias)) e->scale = nullptr;
  } else if (product.bias != kNoValue) {
    point_at_bias(p, product.bias, channels, e->bias);
  }
  if (!product.out_affine.empty()) fill_affine(p, kNoValue, product.out_affine, channels, &e->out_scale, &e->out_bias);

  if (product.residual != kNoValue) {
    p.pointer(e->residual, product.residual);
    e->residual_stride = channels;
    e->residual_first = product.residual_first;
  }
  if (product.last_clip) set_clip(*product.last_clip, &e->residual_lo, &e->residual_hi);
  if (const Node* n = product.activation) {
    const std::string_view op = n->op->name;
    if (op == "relu") e->activation = Activation::relu;
    else if (op == "clip") e->activation = Activation::clip, set_clip(*n, &e->lo, &e->hi);
    else if (op == "leaky_relu")
      e->activation = Activation::leaky_relu, e->lo = (float)n->attrs<LeakyReluAttrs>().alpha;
    else if (op == "hard_swish") e->activation = Activation::hard_swish;
    else if (op == "hard_sigmoid")
      e->activation = Activation::hard_sigmoid, e->lo = (float)n->attrs<HardSigmoidAttrs>().alpha,
      e->hi = (float)n->attrs<HardSigmoidAttrs>().beta;
    else if (op == "sigmoid") e->activation = Activation::sigmoid;
    else if (op == "tanh") e->activation = Activation::tanh;
    else if (op == "silu") e->activation = Activation::silu;
    else if (op == "gelu") e->activation = n->attrs<GeluAttrs>().approximate ? Activation::gelu_tanh : Activation::gelu;
    else if (op == "prelu") {
      e->activation = Activation::prelu;
      if (p.g.value(product.slope).shape.elements() == channels) {
        p.pointer(e->slope, product.slope);
      } else {
        const float* one = (const float*)p.fixed(product.slope);
        if (!one) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "a slope that changes");
        float* slope = p.array<float>((size_t)channels);
        for (int64_t i = 0; i < channels; ++i) slope[i] = *one;
        e->slope = slope;
      }
    }
  }
  return TERN_OK;
}

}  // namespace tern::cpu
