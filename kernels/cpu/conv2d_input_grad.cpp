// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/conv2d_input_grad.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

// The output that tap k leads input i to, or -1.
int64_t output_of(int64_t i, int64_t k, int64_t pad, int64_t dilation, int64_t stride, int64_t outputs) {
  const int64_t at = i + pad - k * dilation;
  return at >= 0 && at % stride == 0 && at / stride < outputs ? at / stride : -1;
}

template <class W>
void pixel(const DepthwiseInputGradArgs& a, const int64_t* places, const int64_t* taps, int64_t n, float* dx) {
  const W* w = (const W*)a.w;
  for (int64_t c = 0; c < a.channels; c += kLanes) {
    const int lanes = a.channels - c < kLanes ? (int)(a.channels - c) : kLanes;
    Vec sum = splat(0);
    if (lanes == kLanes) {
      for (int64_t i = 0; i < n; ++i) sum = fma(load(a.dy + places[i] + c), load_as_f32(w + taps[i] + c), sum);
      store(dx + c, sum);
    } else {
      for (int64_t i = 0; i < n; ++i)
        sum = fma(load_part(a.dy + places[i] + c, lanes), load_part_as_f32(w + taps[i] + c, lanes), sum);
      store_part(dx + c, sum, lanes);
    }
  }
}

void depthwise(const void* args, int64_t begin, int64_t end, void* scratch) {
  const DepthwiseInputGradArgs& a = *(const DepthwiseInputGradArgs*)args;
  int64_t *places = (int64_t*)scratch, *taps = places + (int64_t)a.kernel_h * a.kernel_w;
  for (int64_t u = begin; u < end; ++u)
    for (int64_t ix = 0; ix < a.in_w; ++ix) {
      int64_t n = 0;
      for (int64_t ky = 0; ky < a.kernel_h; ++ky) {
        const int64_t oy = output_of(u % a.in_h, ky, a.pad_top, a.dilation_h, a.stride_h, a.out_h);
        if (oy < 0) continue;
        for (int64_t kx = 0; kx < a.kernel_w; ++kx) {
          const int64_t ox = output_of(ix, kx, a.pad_left, a.dilation_w, a.stride_w, a.out_w);
          if (ox < 0) continue;
          places[n] = ((u / a.in_h * a.out_h + oy) * a.out_w + ox) * a.channels;
          taps[n++] = (ky * a.kernel_w + kx) * a.channels;
        }
      }
      float* dx = a.dx + (u * a.in_w + ix) * a.channels;
      if (a.w_half == kBf16) pixel<Bf16>(a, places, taps, n, dx);
      else a.w_half ? pixel<uint16_t>(a, places, taps, n, dx) : pixel<float>(a, places, taps, n, dx);
    }
}

}  // namespace

extern const Conv2dInputGradKernels conv2d_input_grad_kernels;
const Conv2dInputGradKernels conv2d_input_grad_kernels = {depthwise};

}  // namespace tern::cpu::TERN_ISA
