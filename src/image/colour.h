// SPDX-License-Identifier: Apache-2.0
// The arithmetic of colours that the ways of sampling share.
#pragma once

#include <algorithm>
#include <cstdint>

#include "image/picture.h"

namespace tern::image {

// value / 255, rounded to the nearest; value 0..65025. In 16 bits, so that more of them fit a vector.
inline uint16_t over_255(uint16_t value) {
  const uint16_t v = uint16_t(value + 128);
  return uint16_t(uint16_t(v + (v >> 8)) >> 8);
}

// One channel of a pixel on the background. Ignored alpha is not its business.
inline uint8_t composite(uint8_t colour, uint8_t alpha, uint8_t background, bool premultiplied) {
  const uint16_t behind = uint16_t(background * (255 - alpha));
  if (premultiplied) return uint8_t(std::min<uint16_t>(255, uint16_t(colour + over_255(behind))));
  return uint8_t(over_255(uint16_t(uint16_t(colour * alpha) + behind)));
}

// The factors of yuv_factors, in the order of output channels 0, 1, 2; a is the chroma that drives channel 0, b that of
// channel 2.
struct YuvToOutput {
  int16_t black, luma;
  int16_t ka, kb;  // channel 0 gets ka * a, channel 2 gets kb * b; 13 fraction bits
  int16_t ga, gb;  // channel 1 loses ga * a + gb * b
};

inline YuvToOutput yuv_to_output(const Picture& p, bool bgr) {
  const YuvFactors& f = yuv_factors(p.matrix, p.range);
  if (bgr) return {f.black, f.luma, f.blue_u, f.red_v, f.green_u, f.green_v};
  return {f.black, f.luma, f.red_v, f.blue_u, f.green_v, f.green_u};
}

inline uint8_t fixed_to_byte(int32_t fixed) { return uint8_t(std::clamp((fixed + 4096) >> 13, 0, 255)); }

// n pixels; y is Y - black, a and b are chroma - 128. One array for each channel, so that it runs in vectors.
template <class Out>
void yuv_to_channels(const YuvToOutput& k, const int16_t* y, const int16_t* a, const int16_t* b, int32_t n, Out* c0,
                     Out* c1, Out* c2) {
  for (int32_t i = 0; i < n; ++i) {
    const int32_t luma = y[i] * k.luma;
    c0[i] = fixed_to_byte(luma + a[i] * k.ka);
    c1[i] = fixed_to_byte(luma - a[i] * k.ga - b[i] * k.gb);
    c2[i] = fixed_to_byte(luma + b[i] * k.kb);
  }
}

}  // namespace tern::image
