// SPDX-License-Identifier: Apache-2.0
// What the tests of products and convolutions share: weights in panel order, epilogues, outputs with gaps, plain
// references.
#pragma once
#include <memory>

#include "base/float16.h"
#include "base/panel.h"
#include "kernel_test.h"
#include "kernels/cpu/kernel.h"

namespace tern::cpu::test {

// groups x [n][k], row-major in `plain`, in panel order in `panels` (f32, or kF16, kBf16: then `plain` holds the
// rounded values).
struct Weights {
  Weights(Random& random, int64_t groups, int64_t n, int64_t k, int32_t format, bool panels = true)
      : plain((size_t)(groups * n * k)),
        f32(format ? 0 : (size_t)(panels ? groups * panel_elements(n, k) : groups * n * k), 64),
        half(format ? (size_t)(panels ? groups * panel_elements(n, k) : groups * n * k) : 0, 64) {
    for (float& w : plain) {
      w = random.uniform(-1, 1);
      if (format) w = format == kBf16 ? bf16_to_f32(f32_to_bf16(w)) : f16_to_f32(f32_to_f16(w));
    }
    std::vector<uint16_t> rounded(plain.size());
    for (size_t i = 0; i < plain.size(); ++i)
      rounded[i] = format == kBf16 ? f32_to_bf16(plain[i]) : f32_to_f16(plain[i]);
    const int64_t step = panels ? panel_elements(n, k) : n * k;
    for (int64_t g = 0; g < groups; ++g) {
      if (panels && format) pack_panels(rounded.data() + g * n * k, n, k, half.data() + g * step);
      else if (panels) pack_panels(plain.data() + g * n * k, n, k, f32.data() + g * step);
      else
        for (int64_t i = 0; i < step; ++i)
          format ? (void)(half[g * step + i] = rounded[g * step + i]) : (void)(f32[g * step + i] = plain[g * step + i]);
    }
  }
  const void* data() const { return half.size() ? (const void*)half.data() : (const void*)f32.data(); }

  std::vector<float> plain;
  Guarded<float> f32;
  Guarded<uint16_t> half;
};

inline double activate(const Epilogue& e, double v, double slope) {
  const auto clip = [](double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; };
  const double p0 = e.activation.p0, p1 = e.activation.p1;
  switch (e.activation.kind) {
    case Elementwise::none: return v;
    case Elementwise::relu: return v > 0 ? v : 0;
    case Elementwise::clip: return clip(v, p0, p1);
    case Elementwise::prelu: return v < 0 ? v * slope : v;
    case Elementwise::leaky_relu: return v < 0 ? v * p0 : v;
    case Elementwise::hard_swish: return v * clip(v + 3, 0, 6) / 6;
    case Elementwise::hard_sigmoid: return clip(p0 * v + p1, 0, 1);
    case Elementwise::sigmoid: return 1 / (1 + std::exp(-v));
    case Elementwise::tanh: return std::tanh(v);
    case Elementwise::silu: return v / (1 + std::exp(-v));
    case Elementwise::gelu_erf: return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
    case Elementwise::gelu_tanh: return 0.5 * v * (1 + std::tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)));
    default: ADD_FAILURE() << "no formula to compare with"; return v;
  }
}

constexpr ElementwiseStep kActivations[] = {{Elementwise::none},
                                            {Elementwise::relu},
                                            {Elementwise::clip, -0.75f, 1.5f},
                                            {Elementwise::prelu},
                                            {Elementwise::leaky_relu, 0.1f},
                                            {Elementwise::hard_swish},
                                            {Elementwise::hard_sigmoid, 0.2f, 0.5f},
                                            {Elementwise::sigmoid},
                                            {Elementwise::tanh},
                                            {Elementwise::silu},
                                            {Elementwise::gelu_erf},
                                            {Elementwise::gelu_tanh}};

// An output of `rows` rows (pixels) of n, `stride` floats apart, with an epilogue that depends on `variant`: every
// activation comes up, with and without bias; residual none, apart, or the output itself; before or after. Every other
// group of variants has a scale before and (or) behind the activation.
struct Output {
  Output(Random& random, int64_t rows, int64_t n, int64_t gap, int variant)
      : rows(rows),
        n(n),
        stride(n + gap),
        y(rows && n ? (size_t)((rows - 1) * stride + n) : 0),
        bias((size_t)n),
        slope((size_t)n),
        scale((size_t)n),
        out_scale((size_t)n),
        out_bias((size_t)n),
        residual(y.size()) {
    for (Guarded<float>* list : {&bias, &scale, &out_scale, &out_bias}) fill(*list, random);
    fill(slope, random, -0.5f, 0.5f);
    fill(residual, random);
    e.activation = kActivations[variant % 12];
    if (variant % 8 == 4 || variant % 8 == 6) e.scale = scale.data();
    if (variant % 8 == 5 || variant % 8 == 6) e.out_scale = out_scale.data(), e.out_bias = out_bias.data();
    if (variant % 5 != 3 || e.scale) e.bias = bias.data();
    if (e.activation.kind == Elementwise::prelu) e.slope = slope.data();
    const int mode = variant % 7;  // 0-2: none
    if (mode >= 3)
      e.residual = mode >= 5 ? y.data() : residual.data(), e.residual_stride = stride, e.residual_first = mode % 2;
    if (mode == 4 || mode == 5) e.residual_lo = -1, e.residual_hi = 2;
    in_place = mode >= 5;
  }

  double finish(double sum, int64_t row, int64_t j) const {
    double v = sum * (e.scale ? scale[(size_t)j] : 1) + (e.bias ? bias[(size_t)j] : 0);
    const double r = e.residual ? residual[(size_t)(row * stride + j)] : 0;
    if (e.residual_first) v += r;
    v = activate(e, v, e.slope ? slope[(size_t)j] : 0);
    if (e.out_scale) v = v * out_scale[(size_t)j] + out_bias[(size_t)j];
    if (!e.residual_first) v += r;
    if (e.residual) v = v < e.residual_lo ? e.residual_lo : v > e.residual_hi ? e.residual_hi : v;
    return v;
  }

  void run(KernelFn kernel, const void* args, int64_t units, size_t scratch) {
    test::run(kernel, args, units, scratch, y.data(), y.bytes(), in_place ? residual.data() : nullptr);
  }

  // sum(row, j, &size): the plain sum, and the sum of the sizes of its terms. The difference may be `tolerance` times
  // that size, or that of the result: a scale and a residual come behind the sum.
  template <class F>
  void check(F sum, double tolerance) const {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < stride && r * stride + j < (int64_t)y.size(); ++j) {
        const float got = y[(size_t)(r * stride + j)];
        if (j >= n) {
          const float before = in_place ? residual[(size_t)(r * stride + j)] : std::bit_cast<float>(0xa5a5a5a5);
          if (std::memcmp(&got, &before, 4) == 0) continue;
          ADD_FAILURE() << "written between rows: row " << r << " column " << j;
          return;
        }
        double size = 1;
        const double want = finish(sum(r, j, &size), r, j);
        if (std::fabs(got - want) <= tolerance * std::fmax(size, std::fabs(want))) continue;
        ADD_FAILURE() << "row " << r << " of " << rows << ", output " << j << " of " << n << ": got " << got
                      << ", want " << want << ", activation " << (int)e.activation.kind;
        return;
      }
  }

  int64_t rows, n, stride;
  Guarded<float> y, bias, slope, scale, out_scale, out_bias, residual;
  Epilogue e;
  bool in_place = false;
};

}  // namespace tern::cpu::test
