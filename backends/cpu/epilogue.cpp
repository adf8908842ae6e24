// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/epilogue.h"

#include <cmath>
#include <string_view>

#include "ops/elementwise.h"

namespace tern::cpu {

bool read_product(const Graph& g, const Node& n, const std::vector<ValueId>& outer, Product* out) {
  const auto plan_value = [&](ValueId v) { return v == kNoValue || outer.empty() ? v : outer[(size_t)v]; };
  *out = Product{};
  if (n.subgraphs.empty()) {
    out->node = &n;
    out->graph = &g;
    out->outer.resize(g.values.size());
    for (size_t i = 0; i < g.values.size(); ++i) out->outer[i] = plan_value((ValueId)i);
    out->shape = g.value(n.out[0]).shape;
  } else {
    const Graph& sub = n.subgraphs[0];
    out->node = &sub.nodes[0];
    out->graph = &sub;
    out->outer.assign(sub.values.size(), kNoValue);
    for (size_t i = 0; i < sub.inputs.size(); ++i) out->outer[(size_t)sub.inputs[i]] = plan_value(n.in[i]);
    out->shape = sub.value(sub.outputs[0]).shape;
    EpilogueMatch match(out->shape);
    ValueId value = out->node->out[0];
    for (size_t i = 1; i < sub.nodes.size(); ++i) {
      if (!match.extend(sub, sub.nodes[i], value)) return false;
      value = sub.nodes[i].out[0];
    }
    const auto outside = [&](ValueId v) { return v == kNoValue ? v : out->outer[(size_t)v]; };
    out->affine = match.affine();
    for (EpilogueMatch::Affine& a : out->affine) a.a = outside(a.a), a.b = outside(a.b), a.c = outside(a.c), a.d = outside(a.d);
    out->residual = outside(match.residual());
    out->residual_first = match.residual_first();
    out->activation = match.activation();
    out->last_clip = match.last_clip();
    if (out->activation && std::string_view(out->activation->op->name) == "prelu") out->slope = outside(out->activation->in[1]);
  }
  return true;
}

namespace {

// The numbers of a per-channel value, one for each channel.
bool read_channels(Prepare& p, ValueId v, int64_t channels, std::vector<double>* out) {
  const void* data = p.fixed(v);
  if (!data) return false;
  const int64_t n = p.g.value(v).shape.elements();
  out->resize((size_t)channels);
  for (int64_t i = 0; i < channels; ++i) (*out)[(size_t)i] = load_element(p.g.value(v).dtype, data, n == 1 ? 0 : i);
  return true;
}

// A bias that the model holds in 16 bits is widened: once if it stays, before every use if it may change.
struct WidenArgs {
  const uint16_t* source = nullptr;
  float* target = nullptr;
  int64_t count = 0;
};
void run_widen(const void* args, int64_t, int64_t, void*) {
  const WidenArgs& a = *(const WidenArgs*)args;
  for (int64_t i = 0; i < a.count; ++i) a.target[i] = f16_to_f32(a.source[i]);
}
void point_at_bias(Prepare& p, ValueId v, int64_t channels, const float*& field) {
  if (p.g.value(v).dtype == TERN_DTYPE_F32) return p.pointer(field, v);
  WidenArgs& a = p.args<WidenArgs>();
  a.target = p.array<float>((size_t)channels);
  a.count = channels;
  field = a.target;
  if (const void* fixed = p.fixed(v)) {
    a.source = (const uint16_t*)fixed;
    Prepare::run_now(run_widen, &a, 1);
  } else {
    p.pointer(a.source, v);
    p.call(run_widen, &a, 1, 0, 0);
  }
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

tern_status fill_epilogue(Prepare& p, const Product& product, int64_t channels, Epilogue* e, const float** scale) {
  *scale = nullptr;
  if (product.affine.empty()) {
    if (product.bias != kNoValue) point_at_bias(p, product.bias, channels, e->bias);
  } else {
    std::vector<double> s((size_t)channels, 1.0), b((size_t)channels, 0.0), x, y, m, v;
    if (product.bias != kNoValue && !read_channels(p, product.bias, channels, &b)) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "a bias that changes behind a scale");
    for (const EpilogueMatch::Affine& a : product.affine) {
      if (!read_channels(p, a.a, channels, &x)) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "a scale or shift that changes");
      if (a.kind == EpilogueMatch::Affine::batch_norm &&
          (!read_channels(p, a.b, channels, &y) || !read_channels(p, a.c, channels, &m) || !read_channels(p, a.d, channels, &v)))
        return TERN_FAIL(TERN_ERR_UNSUPPORTED, "a normalisation that changes");
      for (size_t i = 0; i < (size_t)channels; ++i) {
        if (a.kind == EpilogueMatch::Affine::add) {
          b[i] += x[i];
        } else {
          const double k = a.kind == EpilogueMatch::Affine::mul ? x[i] : x[i] / std::sqrt(v[i] + a.epsilon);
          const double t = a.kind == EpilogueMatch::Affine::mul ? 0 : y[i] - m[i] * k;
          s[i] *= k;
          b[i] = b[i] * k + t;
        }
      }
    }
    float* bias = p.array<float>((size_t)channels);
    bool scaled = false;
    for (size_t i = 0; i < (size_t)channels; ++i) bias[i] = (float)b[i], scaled = scaled || s[i] != 1;
    e->bias = bias;
    if (scaled) {
      float* k = p.array<float>((size_t)channels);
      for (size_t i = 0; i < (size_t)channels; ++i) k[i] = (float)s[i];
      *scale = k;
    }
  }

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
    else if (op == "leaky_relu") e->activation = Activation::leaky_relu, e->lo = (float)n->attrs<LeakyReluAttrs>().alpha;
    else if (op == "hard_swish") e->activation = Activation::hard_swish;
    else if (op == "hard_sigmoid") e->activation = Activation::hard_sigmoid, e->lo = (float)n->attrs<HardSigmoidAttrs>().alpha, e->hi = (float)n->attrs<HardSigmoidAttrs>().beta;
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
