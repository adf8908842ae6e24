// SPDX-License-Identifier: Apache-2.0
#include "image/area.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "image/colour.h"

namespace tern::image {
namespace {

// Everything is summed in integers: so the result does not depend on the order, and a picture gives the same bits
// however it is stored and turned.

constexpr int32_t kTile = 1024;    // stored columns that are summed at once
constexpr int32_t kOutputs = 256;  // and output pixels along them, at most
constexpr int32_t kLanes = 4;      // bytes of a pixel at most

// Which stored pixels of one axis an output pixel takes: the first and the last have weights of their own, those
// between have 1 << bits.
struct Taps {
  int32_t first, count;
  uint32_t first_weight, last_weight;  // last_weight is 0 if count is 1
  uint32_t fill_weight;                // of the border, where it is Border::kConstant
  uint32_t total;                      // sum of all weights, below 2^24
  bool outside;                        // Border::kPad: the centre is
};

struct Axis {
  double step, start;  // output pixel i begins at start + i * step of the upright picture
  double half;         // half the length that an output pixel covers: at least half a pixel, which is bilinear
  int32_t bits;        // of the fractions of weights
  int32_t size;        // pixels of the picture
  bool flipped;        // stored pixels run the other way
  Border border;
  int32_t begin, end;  // output pixels
};

Axis make_axis(double step, double start, int32_t size, bool flipped, Border border, int32_t begin, int32_t end) {
  const double length = std::max(1.0, std::fabs(step));
  // Total weights stay below 2^24: no more than 3 * kMaxSide pixels are counted.
  return {step, start, length / 2, length <= 4095 ? 12 : 6, size, flipped, border, begin, end};
}

// Footprints are cut one picture's size beyond the border.
Taps find_taps(const Axis& axis, int32_t i) {
  const double centre = axis.step * (i + 0.5) + axis.start, one = 1 << axis.bits, size = axis.size;
  const auto place = [&](double at) {  // NaN becomes -size
    return int64_t(std::floor(std::min(std::max(-size, at), 2 * size) * one + 0.5));
  };
  const int64_t low = place(centre - axis.half), high = std::max(place(centre + axis.half), low + 1);
  const int64_t end = int64_t(axis.size) << axis.bits;
  const int64_t a = std::clamp<int64_t>(low, 0, end), b = std::clamp<int64_t>(high, 0, end);
  const int64_t before = std::max<int64_t>(0, std::min<int64_t>(high, 0) - low);
  const int64_t behind = std::max<int64_t>(0, high - std::max(low, end));
  Taps t = {};
  int64_t first_weight = 0, last_weight = 0;
  int32_t last = 0;
  if (b > a) {
    t.first = int32_t(a >> axis.bits);
    last = int32_t((b - 1) >> axis.bits);
    first_weight = last == t.first ? b - a : (int64_t(t.first + 1) << axis.bits) - a;
    last_weight = last == t.first ? 0 : b - (int64_t(last) << axis.bits);
  } else {
    t.first = last = a == 0 ? 0 : axis.size - 1;
  }
  t.count = last - t.first + 1;
  if (axis.border == Border::kConstant) {
    t.fill_weight = uint32_t(before + behind);
  } else {
    first_weight += before;
    (t.count == 1 ? first_weight : last_weight) += behind;
  }
  t.first_weight = uint32_t(first_weight);
  t.last_weight = uint32_t(last_weight);
  t.total = uint32_t(high - low);
  t.outside = axis.border == Border::kPad && centre_outside(centre - 0.5, axis.size);
  if (axis.flipped) {
    t.first = axis.size - 1 - last;
    if (t.count > 1) std::swap(t.first_weight, t.last_weight);
  }
  return t;
}

// Where the channels of pixel x of a row of n pixels are: at offset[c] + x * step.
struct Layout {
  int32_t step;
  int32_t offset[3];
  int32_t lanes;  // values in all
};

struct Reader {
  const Picture* picture;
  bool bgr, alpha, yuv;
  YuvToOutput factors;
  const uint8_t *ca, *cb;  // planes of the chroma that drives output channels 0 and 2
  size_t stride_a, stride_b;
  ptrdiff_t chroma_step;  // bytes from a sample to the next
  int32_t first, step;    // of packed pixels: the byte of output channel 0, and bytes of a pixel
  uint8_t background[3];  // in the order of output channels
};

Reader make_reader(const Picture& p, const SampleOptions& o) {
  Reader r = {};
  r.picture = &p;
  r.bgr = o.bgr && o.channels == 3;
  r.yuv = is_yuv(p.format);
  r.alpha = has_alpha(p.format) && p.alpha != Alpha::kIgnored;
  r.factors = yuv_to_output(p, r.bgr);
  for (int c = 0; c < 3; ++c) r.background[c] = p.background[r.bgr ? 2 - c : c];
  r.step = p.format == Format::kGrey8 ? 1 : has_alpha(p.format) ? 4 : 3;
  r.first = (p.format == Format::kBgr8 || p.format == Format::kBgra8) != r.bgr ? 2 : 0;
  if (r.yuv) {
    const bool pairs = p.format != Format::kI420;
    const uint8_t* u = p.format == Format::kNv21 ? p.plane[1] + 1 : p.plane[1];
    const uint8_t* v = p.format == Format::kI420 ? p.plane[2] : p.format == Format::kNv12 ? p.plane[1] + 1 : p.plane[1];
    r.chroma_step = pairs ? 2 : 1;
    r.ca = r.bgr ? u : v;
    r.cb = r.bgr ? v : u;
    const size_t stride_v = p.stride[pairs ? 1 : 2];
    r.stride_a = r.bgr ? p.stride[1] : stride_v;
    r.stride_b = r.bgr ? stride_v : p.stride[1];
  }
  return r;
}

Layout layout_of(const Reader& r, int32_t n) {
  if (r.yuv) return {1, {0, n, 2 * n}, 3 * n};
  if (r.step == 1) return {1, {0, 0, 0}, n};
  return {r.step, {r.first, 1, 2 - r.first}, r.step * n};
}

void read_yuv(const Reader& r, int32_t row, int32_t column, int32_t n, uint8_t* out) {
  constexpr int32_t kBlock = 128;
  const Picture& p = *r.picture;
  const uint8_t* luma = p.plane[0] + size_t(row) * p.stride[0] + column;
  const size_t chroma_row = size_t((row + p.block_y) / 2);
  const uint8_t *ca = r.ca + chroma_row * r.stride_a, *cb = r.cb + chroma_row * r.stride_b;
  for (int32_t at = 0; at < n; at += kBlock) {
    const int32_t m = std::min(kBlock, n - at), place = column + at + p.block_x;
    int16_t y[kBlock], a[kBlock + 2], b[kBlock + 2];
    for (int32_t i = 0; i < m; ++i) y[i] = int16_t(luma[at + i] - r.factors.black);
    const int32_t odd = place % 2, pairs = (odd + m + 1) / 2;
    const uint8_t *from_a = ca + (place / 2) * r.chroma_step, *from_b = cb + (place / 2) * r.chroma_step;
    for (int32_t i = 0; i < pairs; ++i) {
      a[2 * i] = a[2 * i + 1] = int16_t(from_a[i * r.chroma_step] - 128);
      b[2 * i] = b[2 * i + 1] = int16_t(from_b[i * r.chroma_step] - 128);
    }
    yuv_to_channels(r.factors, y, a + odd, b + odd, m, out + at, out + n + at, out + 2 * n + at);
  }
}

bool is_opaque(const uint8_t* pixels, int32_t n) {
  uint8_t all = 255;
  for (int32_t i = 0; i < n; ++i) all = uint8_t(all & pixels[i * 4 + 3]);
  return all == 255;
}

// The fourth byte of each pixel holds anything afterwards.
void read_alpha(const Reader& r, const uint8_t* from, int32_t n, uint8_t* out) {
  constexpr int32_t kBlock = 64;
  const bool premultiplied = r.picture->alpha == Alpha::kPremultiplied;
  uint8_t alpha[kBlock * 4], background[kBlock * 4] = {};
  for (int32_t i = 0; i < kBlock * 4; ++i)
    if (i % 4 < 3) background[i] = r.background[r.first == 2 ? 2 - i % 4 : i % 4];
  for (int32_t at = 0; at < n; at += kBlock) {
    const int32_t m = std::min(kBlock, n - at), bytes = 4 * m;
    for (int32_t i = 0; i < m; ++i) std::memset(alpha + 4 * i, from[(at + i) * 4 + 3], 4);
    const uint8_t* colour = from + at * 4;
    uint8_t* to = out + at * 4;
    if (premultiplied)
      for (int32_t i = 0; i < bytes; ++i) to[i] = composite(colour[i], alpha[i], background[i], true);
    else
      for (int32_t i = 0; i < bytes; ++i) to[i] = composite(colour[i], alpha[i], background[i], false);
  }
}

// n pixels of a stored row in their layout; `room` may hold them.
const uint8_t* read_row(const Reader& r, int32_t row, int32_t column, int32_t n, uint8_t* room) {
  if (r.yuv) return read_yuv(r, row, column, n, room), room;
  const Picture& p = *r.picture;
  const uint8_t* from = p.plane[0] + size_t(row) * p.stride[0] + size_t(column) * size_t(r.step);
  if (!r.alpha || is_opaque(from, n)) return from;
  read_alpha(r, from, n, room);
  return room;
}

struct Scratch {
  Taps taps[kOutputs];
  uint64_t totals[kOutputs][3];
  uint32_t columns[kTile * kLanes];  // sums over the rows
  uint16_t whole[kTile * kLanes];    // over those whose weight is one
  uint8_t room[kTile * kLanes];
};

// sums = sums * keep + row * weight. Weights of 15 bits are the rule and run faster.
template <bool keep>
void add_row(const uint8_t* row, uint32_t weight, int32_t n, uint32_t* sums) {
  if (weight < 1u << 15) {
    const int16_t w = int16_t(weight);
    for (int32_t i = 0; i < n; ++i) sums[i] = (keep ? sums[i] : 0) + uint32_t(int16_t(row[i]) * w);
  } else {
    for (int32_t i = 0; i < n; ++i) sums[i] = (keep ? sums[i] : 0) + row[i] * weight;
  }
}

// Sums of n stored columns over the rows of `t`.
void sum_rows(const Reader& r, const Taps& t, int32_t bits, int32_t column, int32_t n, Scratch* s) {
  constexpr int32_t kMostRows = 257;  // of bytes that 16 bits hold
  const int32_t lanes = layout_of(r, n).lanes;
  add_row<false>(read_row(r, t.first, column, n, s->room), t.first_weight, lanes, s->columns);
  if (t.count == 1) return;
  for (int32_t row = t.first + 1, last = t.first + t.count - 1; row < last;) {
    std::memset(s->whole, 0, size_t(lanes) * sizeof s->whole[0]);
    for (const int32_t end = std::min(last, row + kMostRows); row < end; ++row) {
      const uint8_t* from = read_row(r, row, column, n, s->room);
      for (int32_t i = 0; i < lanes; ++i) s->whole[i] = uint16_t(s->whole[i] + from[i]);
    }
    for (int32_t i = 0; i < lanes; ++i) s->columns[i] += uint32_t(s->whole[i]) << bits;
  }
  add_row<true>(read_row(r, t.first + t.count - 1, column, n, s->room), t.last_weight, lanes, s->columns);
}

// Adds the columns of `t` among the n from `column` on.
void sum_columns(const Taps& t, int32_t bits, const Layout& l, int32_t column, int32_t n, const uint32_t* sums,
                 uint64_t* totals) {
  const int32_t last = t.first + t.count - 1;
  const int32_t begin = std::max(t.first + 1, column) - column, end = std::min(last, column + n) - column;
  uint64_t c0 = 0, c1 = 0, c2 = 0;
  const uint32_t *p0 = sums + l.offset[0], *p1 = sums + l.offset[1], *p2 = sums + l.offset[2];
  for (int32_t i = begin; i < end; ++i) {
    c0 += p0[i * l.step];
    c1 += p1[i * l.step];
    c2 += p2[i * l.step];
  }
  totals[0] += c0 << bits;
  totals[1] += c1 << bits;
  totals[2] += c2 << bits;
  const auto add = [&](int32_t at, uint64_t weight) {
    if (at < 0 || at >= n) return;
    totals[0] += p0[at * l.step] * weight;
    totals[1] += p1[at * l.step] * weight;
    totals[2] += p2[at * l.step] * weight;
  };
  add(t.first - column, t.first_weight);
  if (t.count > 1) add(last - column, t.last_weight);
}

void finish(const SampleOptions& o, const Taps& inner, const Taps& outer, const uint64_t* totals, float* out) {
  float value[3];
  if (inner.outside || outer.outside) {
    for (int c = 0; c < o.channels; ++c) value[c] = o.fill[c];
  } else {
    const uint64_t all = uint64_t(inner.total) * outer.total;
    const uint64_t seen = uint64_t(inner.total - inner.fill_weight) * (outer.total - outer.fill_weight);
    const double per = 1 / double(all), of_fill = double(all - seen) * per;
    for (int c = 0; c < 3; ++c) value[c] = float(double(totals[c]) * per);
    if (o.channels == 1) value[0] = 0.299f * value[0] + 0.587f * value[1] + 0.114f * value[2];
    if (seen != all)
      for (int c = 0; c < o.channels; ++c) value[c] += float(of_fill * double(o.fill[c]));
  }
  for (int c = 0; c < o.channels; ++c) out[c] = value[c] * o.scale[c] + o.offset[c];
}

}  // namespace

const size_t kAreaScratchBytes = sizeof(Scratch);

void sample_area(const Picture& p, const Mapping& map, const SampleOptions& o, int32_t y0, int32_t y1, float* out,
                 void* scratch) {
  Scratch* s = static_cast<Scratch*>(scratch);
  const double* m = map.to_upright.m;
  const Size size = upright_size(p);
  // Stored columns are upright rows when the picture lies on its side.
  const bool lies = p.rotation == 90 || p.rotation == 270;
  const bool flip_columns = (p.rotation == 180 || p.rotation == 270) != (p.mirrored && !lies);
  const bool flip_rows = (p.rotation == 90 || p.rotation == 180) != (p.mirrored && lies);
  const Axis x = make_axis(m[0], m[2], size.width, lies ? flip_rows : flip_columns, o.border, 0, map.model_width);
  const Axis y = make_axis(m[4], m[5], size.height, lies ? flip_columns : flip_rows, o.border, y0, y1);
  const Axis &inner = lies ? y : x, &outer = lies ? x : y;
  const ptrdiff_t row = ptrdiff_t(map.model_width) * o.channels;
  const ptrdiff_t inner_step = lies ? row : o.channels, outer_step = lies ? o.channels : row;
  const Reader reader = make_reader(p, o);
  for (int32_t i = inner.begin, n; i < inner.end; i += n) {
    int32_t low = 0, high = 0;
    for (n = 0; n < kOutputs && i + n < inner.end; ++n) {
      const Taps& t = s->taps[n] = find_taps(inner, i + n);
      const int32_t from = n == 0 ? t.first : std::min(low, t.first);
      const int32_t to = n == 0 ? t.first + t.count : std::max(high, t.first + t.count);
      if (n > 0 && to - from > kTile) break;
      low = from;
      high = to;
    }
    for (int32_t k = outer.begin; k < outer.end; ++k) {
      const Taps t = find_taps(outer, k);
      std::memset(s->totals, 0, size_t(n) * sizeof s->totals[0]);
      for (int32_t column = low; column < high && !t.outside; column += kTile) {
        const int32_t columns = std::min(kTile, high - column);
        const Layout layout = layout_of(reader, columns);
        sum_rows(reader, t, outer.bits, column, columns, s);
        for (int32_t j = 0; j < n; ++j)
          sum_columns(s->taps[j], inner.bits, layout, column, columns, s->columns, s->totals[j]);
      }
      float* to = out + i * inner_step + k * outer_step;
      for (int32_t j = 0; j < n; ++j, to += inner_step) finish(o, s->taps[j], t, s->totals[j], to);
    }
  }
}

}  // namespace tern::image
