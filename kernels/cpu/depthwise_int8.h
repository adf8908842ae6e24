// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution of u8 or s8 pictures with s8 weights, NHWC, summed in s32: an output channel reads the input
// channel of its number. Equal bits on every instruction set.
#pragma once
#include "kernels/cpu/matmul_int8.h"

namespace tern::cpu {

// Packed weights: for each 64 channels and each four taps (beyond the last: weights of 0) 256 bytes: byte
// 64 * j + 16 * l + 4 * e + t is tap t of channel 16 * l + 4 * j + e; then as int32 the sum over the taps of each one
// [blocks * 64]. 64-byte aligned.
constexpr int64_t kDepthwiseInt8Block = 64;
inline int64_t packed_depthwise_int8_bytes(int64_t channels, int64_t taps) {
  return ceil_div(channels, kDepthwiseInt8Block) * kDepthwiseInt8Block * (ceil_div(taps, 4) * 4 + 4);
}
inline int64_t depthwise_int8_at(int64_t taps, int64_t channel, int64_t tap) {
  const int64_t c = channel % 64;
  return (channel / 64 * ceil_div(taps, 4) + tap / 4) * 256 + c / 4 % 4 * 64 + c / 16 * 16 + c % 4 * 4 + tap % 4;
}
// Taps as they are packed: rows of three are filled up to four, so that one vector of bytes serves two pixels.
inline int64_t depthwise_int8_row(int64_t kernel_w) { return kernel_w == 3 ? 4 : kernel_w; }
// w: [channels][kernel_h][kernel_w] ^ flip, as in pack_int8. Plan time.
inline void pack_depthwise_int8(const void* w, uint8_t flip, int64_t channels, int64_t kernel_h, int64_t kernel_w,
                                void* packed) {
  const int64_t row = depthwise_int8_row(kernel_w), taps = kernel_h * row;
  const int64_t blocks = ceil_div(channels, kDepthwiseInt8Block), bytes = blocks * 64 * ceil_div(taps, 4) * 4;
  int8_t* out = (int8_t*)packed;
  int32_t* sums = (int32_t*)(out + bytes);
  for (int64_t i = 0; i < bytes; ++i) out[i] = 0;
  for (int64_t c = 0; c < blocks * kDepthwiseInt8Block; ++c) {
    sums[c] = 0;
    for (int64_t t = 0; t < kernel_h * kernel_w && c < channels; ++t) {
      const int8_t v = (int8_t)(((const uint8_t*)w)[c * kernel_h * kernel_w + t] ^ flip);
      out[depthwise_int8_at(taps, c, t / kernel_w * row + t % kernel_w)] = v;
      sums[c] += v;
    }
  }
}

// sum = sum over the taps of (x - x_zero) * w; cells of the padding are x_zero. y pixels are y_stride elements apart.
// Unit: an output row of one picture.
struct DepthwiseInt8Args {
  int32_t x_dtype = TERN_DTYPE_U8;
  const void* x = nullptr;
  const void* w = nullptr;  // packed_depthwise_int8_bytes
  void* y = nullptr;
  int64_t y_stride = 0;
  const int32_t* x_zero = nullptr;  // or NULL = 0
  Int8Window window;
  Int8Ending ending;
};
inline int64_t depthwise_int8_taps(const DepthwiseInt8Args& a) {
  return a.window.kernel_h * depthwise_int8_row(a.window.kernel_w);
}
inline int64_t units(const DepthwiseInt8Args& a) { return a.window.batch * a.window.out_h; }
inline double depthwise_int8_unit_flops(const DepthwiseInt8Args& a) {
  return 2.0 * (double)(a.window.out_w * a.window.in_c * depthwise_int8_taps(a));
}
// Where each tap reads and how far it moves from pixel to pixel; a pixel of the padding; the weights of a block in the
// order of its channels (sets without vectors of bytes).
inline size_t depthwise_int8_scratch_bytes(const DepthwiseInt8Args& a) {
  const size_t taps = (size_t)ceil_div(depthwise_int8_taps(a), 4) * 4;
  return taps * (2 * sizeof(int64_t) + kDepthwiseInt8Block) +
         (size_t)(ceil_div(a.window.in_c, kDepthwiseInt8Block) * kDepthwiseInt8Block);
}

struct DepthwiseInt8Kernels {
  KernelFn depthwise;  // DepthwiseInt8Args
};

}  // namespace tern::cpu
