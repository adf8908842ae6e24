// SPDX-License-Identifier: Apache-2.0
#include "image/sample.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "image/area.h"
#include "image/colour.h"

namespace tern::image {
namespace {

// A plane seen upright: pixel (u, v) is at origin + u * du + v * dv, whatever the rotation.
struct Plane {
  const uint8_t* origin;
  ptrdiff_t du, dv;
};

struct Source {
  Plane pixels;              // packed pixels, or Y
  Plane ca, cb;              // chroma planes that drive output channels 0 and 2 (V and U for the order R, G, B)
  int32_t block_u, block_v;  // YUV: pixel (u, v) has the chroma at ((u + block_u) / 2, (v + block_v) / 2)
  YuvToOutput factors;
  int32_t first;          // byte of output channel 0 in a packed pixel: 0, or 2 when the order is turned round
  uint8_t background[3];  // in the order of output channels
  bool premultiplied;
  int32_t width, height;
};

Plane mirror(Plane p, int32_t width) { return {p.origin + (width - 1) * p.du, -p.du, p.dv}; }

Plane upright_plane(const uint8_t* p, size_t stride, int32_t step, int32_t width, int32_t height, int32_t rotation) {
  const ptrdiff_t dx = step, dy = ptrdiff_t(stride);
  const ptrdiff_t last_x = (width - 1) * dx, last_y = (height - 1) * dy;
  switch (rotation) {
    case 90: return {p + last_y, -dy, dx};
    case 180: return {p + last_x + last_y, -dx, -dy};
    case 270: return {p + last_x, dy, -dx};
    default: return {p, dx, dy};
  }
}

Source make_source(const Picture& p, const SampleOptions& o) {
  Source s = {};
  const Size size = upright_size(p);
  s.width = size.width;
  s.height = size.height;
  const bool bgr = o.bgr && o.channels == 3;  // the weights of grey are for R, G, B
  s.first = (p.format == Format::kBgr8 || p.format == Format::kBgra8) != bgr ? 2 : 0;
  for (int c = 0; c < 3; ++c) s.background[c] = p.background[bgr ? 2 - c : c];
  s.premultiplied = p.alpha == Alpha::kPremultiplied;
  const bool lies = p.rotation == 90 || p.rotation == 270;
  const auto turn = [&](int32_t i, int32_t byte, int32_t step, int32_t block) {
    const int32_t width = block == 1 ? p.width : (p.width + p.block_x + 1) / 2;
    const int32_t height = block == 1 ? p.height : (p.height + p.block_y + 1) / 2;
    const Plane plane = upright_plane(p.plane[i] + byte, p.stride[i], step, width, height, p.rotation);
    return p.mirrored ? mirror(plane, lies ? height : width) : plane;
  };
  switch (p.format) {
    case Format::kRgb8:
    case Format::kBgr8: s.pixels = turn(0, 0, 3, 1); break;
    case Format::kRgba8:
    case Format::kBgra8: s.pixels = turn(0, 0, 4, 1); break;
    case Format::kGrey8: s.pixels = turn(0, 0, 1, 1); break;
    case Format::kNv12:
    case Format::kNv21:
    case Format::kI420: {
      s.pixels = turn(0, 0, 1, 1);
      const bool two_planes = p.format == Format::kI420, u_first = p.format == Format::kNv12;
      const Plane u = two_planes ? turn(1, 0, 1, 2) : turn(1, u_first ? 0 : 1, 2, 2);
      const Plane v = two_planes ? turn(2, 0, 1, 2) : turn(1, u_first ? 1 : 0, 2, 2);
      s.ca = bgr ? u : v;
      s.cb = bgr ? v : u;
      s.factors = yuv_to_output(p, bgr);
      // An axis that runs the other way begins in its last block, which may be half outside.
      const int32_t from_right = (p.width + p.block_x) % 2, from_below = (p.height + p.block_y) % 2;
      const bool flip_x = (p.rotation == 180 || p.rotation == 270) != (p.mirrored && !lies);
      const bool flip_y = (p.rotation == 90 || p.rotation == 180) != (p.mirrored && lies);
      const int32_t block_x = flip_x ? from_right : p.block_x, block_y = flip_y ? from_below : p.block_y;
      s.block_u = lies ? block_y : block_x;
      s.block_v = lies ? block_x : block_y;
    }
  }
  return s;
}

enum class Kind { kPacked, kAlpha, kGrey, kYuv };

Kind kind_of(const Picture& p) {
  if (p.format == Format::kGrey8) return Kind::kGrey;
  if (is_yuv(p.format)) return Kind::kYuv;
  return has_alpha(p.format) && p.alpha != Alpha::kIgnored ? Kind::kAlpha : Kind::kPacked;
}

// Pixels are taken in blocks of up to this many.
constexpr int32_t kBlock = 64;

// Byte offsets of the pixels of a block, and what they count from. The chroma ones are used for YUV only.
struct Places {
  const uint8_t *pixels, *ca, *cb;
  const ptrdiff_t *at, *at_ca, *at_cb;
};

// YUV is gathered into one array per channel, so that its conversion runs in vectors.
struct Planar {
  int16_t c[3][kBlock];
};

void load_yuv(const Source& s, const Places& p, int32_t n, Planar* out) {
  int16_t y[kBlock], a[kBlock], b[kBlock];
  for (int32_t i = 0; i < n; ++i) {
    y[i] = int16_t(p.pixels[p.at[i]] - s.factors.black);
    a[i] = int16_t(p.ca[p.at_ca[i]] - 128);
    b[i] = int16_t(p.cb[p.at_cb[i]] - 128);
  }
  yuv_to_channels(s.factors, y, a, b, n, out->c[0], out->c[1], out->c[2]);
}

// Three blended colours to the output's channels.
template <int channels>
inline void put(float c0, float c1, float c2, float* out) {
  if constexpr (channels == 3) {
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
  } else {
    out[0] = 0.299f * c0 + 0.587f * c1 + 0.114f * c2;
  }
}

inline float mix(int32_t a, int32_t b, float f) { return float(a) + f * float(b - a); }

// Blends n left neighbours with their right ones into out [n, channels].
template <Kind kind, int channels>
void blend(const Source& s, const Places& left, const Places& right, const float* fraction, int32_t n, float* out) {
  if constexpr (kind == Kind::kYuv) {
    Planar l, r;
    load_yuv(s, left, n, &l);
    load_yuv(s, right, n, &r);
    float colours[3][kBlock];
    for (int c = 0; c < 3; ++c)
      for (int32_t i = 0; i < n; ++i) colours[c][i] = mix(l.c[c][i], r.c[c][i], fraction[i]);
    for (int32_t i = 0; i < n; ++i) put<channels>(colours[0][i], colours[1][i], colours[2][i], out + i * channels);
  } else {
    const int32_t first = s.first, last = 2 - s.first;
    for (int32_t i = 0; i < n; ++i) {
      const uint8_t *l = left.pixels + left.at[i], *r = right.pixels + right.at[i];
      const float f = fraction[i];
      if constexpr (kind == Kind::kAlpha) {
        uint8_t a[3], b[3];
        const int32_t place[3] = {first, 1, last};
        for (int c = 0; c < 3; ++c) {
          a[c] = composite(l[place[c]], l[3], s.background[c], s.premultiplied);
          b[c] = composite(r[place[c]], r[3], s.background[c], s.premultiplied);
        }
        put<channels>(mix(a[0], b[0], f), mix(a[1], b[1], f), mix(a[2], b[2], f), out + i * channels);
      } else if constexpr (kind == Kind::kPacked)
        put<channels>(mix(l[first], r[first], f), mix(l[1], r[1], f), mix(l[last], r[last], f), out + i * channels);
      else std::fill_n(out + i * channels, channels, mix(*l, *r, f));
    }
  }
}

struct Position {
  int32_t index;
  float fraction;
};

// Floor and fraction of a pixel coordinate; far outside the picture every place is alike, and so is NaN (the order of
// max's arguments matters).
inline Position split(double at, int32_t size) {
  const double near = std::min(std::max(-2.0, at), size + 1.0);
  int32_t index = int32_t(near);
  index -= near < index;
  return {index, float(near - index)};
}

bool outside(int32_t i, int32_t size) { return i < 0 || i >= size; }
bool pair_crosses(int32_t i, int32_t size) { return i < 0 || i >= size - 1; }

struct Job {
  Source source;
  const Mapping* map;
  const SampleOptions* options;
  float* out;
  // Scratch for parallel axes, one entry per output column:
  ptrdiff_t* place[2][3];           // of the left and right neighbour in the planes pixels, ca, cb
  float* fraction;                  // weight of the right neighbour
  float* line[2];                   // rows of the picture, blended in x: [width, channels]
  float *scales, *offsets, *fills;  // [width, channels]; fills in pixel units
  int32_t line_row[2];              // which row of the picture each line holds
  // Columns [begin, end) read the picture only; the others see `fill`, partly (kConstant) or only (kPad).
  int32_t begin, end;
};

constexpr int32_t kNoRow = INT32_MIN;

// Two neighbours in a row, blended, when one of them or both may be `fill`: slow, for edges.
template <Kind kind, int channels>
void blend_with_fill(const Job& job, int32_t u, float fraction, int32_t v, float* out) {
  const Source& s = job.source;
  float value[2][3];
  for (int i = 0; i < 2; ++i) {
    if (outside(u + i, s.width) || outside(v, s.height)) {
      std::copy(job.options->fill, job.options->fill + channels, value[i]);
      continue;
    }
    const ptrdiff_t x = u + i, y = v, at = x * s.pixels.du + y * s.pixels.dv;
    const ptrdiff_t block_x = (x + s.block_u) / 2, block_y = (y + s.block_v) / 2;
    const ptrdiff_t at_ca = block_x * s.ca.du + block_y * s.ca.dv, at_cb = block_x * s.cb.du + block_y * s.cb.dv;
    const Places one = {s.pixels.origin, s.ca.origin, s.cb.origin, &at, &at_ca, &at_cb};
    const float whole = 0;
    blend<kind, channels>(s, one, one, &whole, 1, value[i]);
  }
  for (int c = 0; c < channels; ++c) out[c] = value[0][c] + fraction * (value[1][c] - value[0][c]);
}

// ---- The axes of tensor and upright picture are parallel: columns are the same in every row. ----

double column_at(const Mapping& map, int32_t x) { return map.to_upright.m[0] * (x + 0.5) + map.to_upright.m[2] - 0.5; }
double row_at(const Mapping& map, int32_t y) { return map.to_upright.m[4] * (y + 0.5) + map.to_upright.m[5] - 0.5; }

void prepare_columns(Job* job) {
  const Source& s = job->source;
  const int32_t width = job->map->model_width;
  const Border border = job->options->border;
  job->begin = width;
  job->end = 0;
  for (int32_t x = 0; x < width; ++x) {
    const double at = column_at(*job->map, x);
    const Position p = split(at, s.width);
    const bool fill = (border == Border::kConstant && pair_crosses(p.index, s.width)) ||
                      (border == Border::kPad && centre_outside(at, s.width));
    if (!fill) {
      job->begin = std::min(job->begin, x);
      job->end = x + 1;
    }
    job->fraction[x] = p.fraction;
    for (int side = 0; side < 2; ++side) {
      const ptrdiff_t u = std::clamp(p.index + side, 0, s.width - 1);
      job->place[side][0][x] = u * s.pixels.du;
      job->place[side][1][x] = (u + s.block_u) / 2 * s.ca.du;
      job->place[side][2][x] = (u + s.block_u) / 2 * s.cb.du;
    }
  }
  job->begin = std::min(job->begin, job->end);
}

template <Kind kind, int channels>
void fill_line(const Job& job, int32_t v, float* line) {
  const Source& s = job.source;
  const int32_t width = job.map->model_width;
  const bool constant = job.options->border == Border::kConstant;
  if (constant && outside(v, s.height)) {
    std::copy(job.fills, job.fills + ptrdiff_t(width) * channels, line);
    return;
  }
  const ptrdiff_t y = std::clamp(v, 0, s.height - 1), block_y = (y + s.block_v) / 2;
  Places places[2];
  for (int32_t x = job.begin; x < job.end; x += kBlock) {
    for (int side = 0; side < 2; ++side) {
      ptrdiff_t* const* at = job.place[side];
      places[side] = {s.pixels.origin + y * s.pixels.dv,
                      s.ca.origin + block_y * s.ca.dv,
                      s.cb.origin + block_y * s.cb.dv,
                      at[0] + x,
                      at[1] + x,
                      at[2] + x};
    }
    blend<kind, channels>(s, places[0], places[1], job.fraction + x, std::min(kBlock, job.end - x),
                          line + ptrdiff_t(x) * channels);
  }
  if (!constant) return;
  const auto edge = [&](int32_t x) {
    blend_with_fill<kind, channels>(job, split(column_at(*job.map, x), s.width).index, job.fraction[x], v,
                                    line + ptrdiff_t(x) * channels);
  };
  for (int32_t x = 0; x < job.begin; ++x) edge(x);
  for (int32_t x = job.end; x < width; ++x) edge(x);
}

// The line that holds row v of the picture; `keep` is the other row of the pair and stays.
template <Kind kind, int channels>
int need_line(Job* job, int32_t v, int32_t keep) {
  for (int i = 0; i < 2; ++i)
    if (job->line_row[i] == v) return i;
  const int slot = job->line_row[0] == keep ? 1 : 0;
  fill_line<kind, channels>(*job, v, job->line[slot]);
  job->line_row[slot] = v;
  return slot;
}

void store_fill(const Job& job, ptrdiff_t begin, ptrdiff_t end, float* out) {
  for (ptrdiff_t i = begin; i < end; ++i) out[i] = job.fills[i] * job.scales[i] + job.offsets[i];
}

template <Kind kind, int channels>
void parallel_row(Job* job, int32_t y) {
  const ptrdiff_t values = ptrdiff_t(job->map->model_width) * channels;
  float* out = job->out + y * values;
  const double at = row_at(*job->map, y);
  const bool pad = job->options->border == Border::kPad;
  if (pad && centre_outside(at, job->source.height)) return store_fill(*job, 0, values, out);

  const Position p = split(at, job->source.height);
  const float* a = job->line[need_line<kind, channels>(job, p.index, p.index + 1)];
  const float* b = job->line[need_line<kind, channels>(job, p.index + 1, p.index)];
  const float *scales = job->scales, *offsets = job->offsets, f = p.fraction;
  const ptrdiff_t begin = pad ? ptrdiff_t(job->begin) * channels : 0,
                  end = pad ? ptrdiff_t(job->end) * channels : values;
  for (ptrdiff_t i = begin; i < end; ++i) out[i] = (a[i] + f * (b[i] - a[i])) * scales[i] + offsets[i];
  store_fill(*job, 0, begin, out);
  store_fill(*job, end, values, out);
}

// ---- Any other matrix. ----

// A block of output pixels of one row and the four picture pixels around each.
struct Neighbours {
  int32_t u[kBlock], v[kBlock];  // upper left one
  float fraction_u[kBlock], fraction_v[kBlock];
  ptrdiff_t at[2][2][3][kBlock];  // [below][right][plane]; without YUV only plane 0
};

// Picture coordinates of the output pixels of one row: start + x * step, counted between pixel centres.
struct RowLine {
  double start_u, step_u, start_v, step_v;
};

RowLine row_line(const Mapping& map, int32_t y) {
  const double* m = map.to_upright.m;
  return {m[0] * 0.5 + m[1] * (y + 0.5) + m[2] - 0.5, m[0], m[3] * 0.5 + m[4] * (y + 0.5) + m[5] - 0.5, m[3]};
}

void find_positions(double start, double step, int32_t size, int32_t x, int32_t n, int32_t* index, float* fraction) {
  for (int32_t i = 0; i < n; ++i) {
    const Position p = split(start + (x + i) * step, size);
    index[i] = p.index;
    fraction[i] = p.fraction;
  }
}

// `inside`: all neighbours are in the picture, nothing is clamped. Pixels are the outer loop because g++ 12 at -O1
// takes the function for one without effects when they are the inner one, and drops the call.
template <Kind kind, bool inside>
void find_places(const Source& s, int32_t n, Neighbours* near) {
  for (int32_t i = 0; i < n; ++i) {
    for (int below = 0; below < 2; ++below) {
      for (int right = 0; right < 2; ++right) {
        int32_t u = near->u[i] + right, v = near->v[i] + below;
        if constexpr (!inside) {
          u = std::clamp(u, 0, s.width - 1);
          v = std::clamp(v, 0, s.height - 1);
        }
        auto& at = near->at[below][right];
        at[0][i] = u * s.pixels.du + v * s.pixels.dv;
        if constexpr (kind == Kind::kYuv) {
          const int32_t block_u = (u + s.block_u) >> 1, block_v = (v + s.block_v) >> 1;
          at[1][i] = block_u * s.ca.du + block_v * s.ca.dv;
          at[2][i] = block_u * s.cb.du + block_v * s.cb.dv;
        }
      }
    }
  }
}

// Blends `fill` in where the neighbours of Border::kConstant reach over the border. rows [2, n, channels]: blended
// upper and lower neighbours.
template <Kind kind, int channels>
void put_fill(const Job& job, const Neighbours& near, int32_t n, float (*rows)[kBlock * 3]) {
  const Source& s = job.source;
  for (int32_t i = 0; i < n; ++i)
    if (pair_crosses(near.u[i], s.width) || pair_crosses(near.v[i], s.height))
      for (int below = 0; below < 2; ++below)
        blend_with_fill<kind, channels>(job, near.u[i], near.fraction_u[i], near.v[i] + below,
                                        rows[below] + i * channels);
}

// out [n, channels], without Border::kPad. Returns whether all neighbours are in the picture.
template <Kind kind, int channels>
bool turned_block(const Job& job, const RowLine& line, int32_t x, int32_t n, float* out) {
  const Source& s = job.source;
  Neighbours near;
  float rows[2][kBlock * 3];
  find_positions(line.start_u, line.step_u, s.width, x, n, near.u, near.fraction_u);
  find_positions(line.start_v, line.step_v, s.height, x, n, near.v, near.fraction_v);
  // The block lies on a straight line: when both ends are inside, all of it is.
  bool inside = true;
  for (const int32_t i : {0, n - 1}) inside &= !pair_crosses(near.u[i], s.width) && !pair_crosses(near.v[i], s.height);
  if (inside) find_places<kind, true>(s, n, &near);
  else find_places<kind, false>(s, n, &near);
  for (int below = 0; below < 2; ++below) {
    Places places[2];
    for (int right = 0; right < 2; ++right) {
      const auto& at = near.at[below][right];
      places[right] = {s.pixels.origin, s.ca.origin, s.cb.origin, at[0], at[1], at[2]};
    }
    blend<kind, channels>(s, places[0], places[1], near.fraction_u, n, rows[below]);
  }
  if (!inside && job.options->border == Border::kConstant) put_fill<kind, channels>(job, near, n, rows);
  for (int32_t i = 0; i < n; ++i) {
    for (int c = 0; c < channels; ++c) {
      const float a = rows[0][i * channels + c], b = rows[1][i * channels + c];
      out[i * channels + c] = a + near.fraction_v[i] * (b - a);
    }
  }
  return inside;
}

// Samples of an output pixel along one of its sides, which covers (du, dv) of the picture.
int32_t samples_along(const SampleOptions& o, double du, double dv) {
  constexpr double kMost = 32, kSlack = 1e-6;
  if (o.filter != Filter::kArea) return 1;
  const double length = std::hypot(du, dv);
  return length > 1 ? int32_t(std::ceil(std::min(length - kSlack, kMost))) : 1;  // NaN: 1
}

// Mean of across x along samples of each output pixel.
template <Kind kind, int channels>
bool turned_mean(const Job& job, const RowLine& line, int32_t x, int32_t n, int32_t along, int32_t across, float* out) {
  const double* m = job.map->to_upright.m;
  float one[kBlock * 3];
  bool inside = true;
  std::fill_n(out, n * channels, 0.0f);
  for (int32_t j = 0; j < across; ++j) {
    for (int32_t i = 0; i < along; ++i) {
      const double right = (i + 0.5) / along - 0.5, down = (j + 0.5) / across - 0.5;
      const RowLine moved = {line.start_u + m[0] * right + m[1] * down, line.step_u,
                             line.start_v + m[3] * right + m[4] * down, line.step_v};
      inside &= turned_block<kind, channels>(job, moved, x, n, one);
      for (int32_t k = 0; k < n * channels; ++k) out[k] += one[k];
    }
  }
  const float part = 1 / float(across * along);
  for (int32_t k = 0; k < n * channels; ++k) out[k] *= part;
  return inside;
}

template <Kind kind, int channels>
void turned_row(const Job& job, int32_t y) {
  const SampleOptions& o = *job.options;
  const double* m = job.map->to_upright.m;
  const int32_t width = job.map->model_width;
  const int32_t along = samples_along(o, m[0], m[3]), across = samples_along(o, m[1], m[4]);
  const RowLine line = row_line(*job.map, y);
  for (int32_t x = 0; x < width; x += kBlock) {
    const int32_t n = std::min(kBlock, width - x);
    float values[kBlock * 3];
    const bool inside = along * across == 1 ? turned_block<kind, channels>(job, line, x, n, values)
                                            : turned_mean<kind, channels>(job, line, x, n, along, across, values);
    if (!inside && o.border == Border::kPad) {
      for (int32_t i = 0; i < n; ++i)
        if (centre_outside(line.start_u + (x + i) * line.step_u, job.source.width) ||
            centre_outside(line.start_v + (x + i) * line.step_v, job.source.height))
          std::copy_n(o.fill, channels, values + i * channels);
    }
    float* out = job.out + (ptrdiff_t(y) * width + x) * channels;
    for (int32_t i = 0; i < n; ++i)
      for (int c = 0; c < channels; ++c) out[i * channels + c] = values[i * channels + c] * o.scale[c] + o.offset[c];
  }
}

template <Kind kind, int channels>
void sample_rows(Job* job, int32_t y0, int32_t y1) {
  const double* m = job->map->to_upright.m;
  if (m[1] != 0 || m[3] != 0) {
    for (int32_t y = y0; y < y1; ++y) turned_row<kind, channels>(*job, y);
    return;
  }
  prepare_columns(job);
  for (ptrdiff_t i = 0; i < job->map->model_width; ++i) {
    for (int c = 0; c < channels; ++c) {
      job->scales[i * channels + c] = job->options->scale[c];
      job->offsets[i * channels + c] = job->options->offset[c];
      job->fills[i * channels + c] = job->options->fill[c];
    }
  }
  for (int32_t y = y0; y < y1; ++y) parallel_row<kind, channels>(job, y);
}

template <Kind kind>
void sample_rows(Job* job, int32_t y0, int32_t y1) {
  if (job->options->channels == 3) sample_rows<kind, 3>(job, y0, y1);
  else sample_rows<kind, 1>(job, y0, y1);
}

tern_status check_options(const SampleOptions& o) {
  if (o.channels != 1 && o.channels != 3)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: %d channels; only 1 and 3 are possible", o.channels);
  if (o.border != Border::kReplicate && o.border != Border::kConstant && o.border != Border::kPad)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: unknown border %d", int32_t(o.border));
  if (o.filter != Filter::kBilinear && o.filter != Filter::kArea)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: unknown filter %d", int32_t(o.filter));
  for (int c = 0; c < o.channels; ++c)
    if (!std::isfinite(o.fill[c]) || !std::isfinite(o.scale[c]) || !std::isfinite(o.offset[c]))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: fill, scale or offset of channel %d is not finite", c);
  return TERN_OK;
}

tern_status check_mapping(const Picture& p, const Mapping& m) {
  if (m.model_width < 1 || m.model_height < 1 || m.model_width > kMaxSide || m.model_height > kMaxSide)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: the mapping is for a tensor of %d x %d pixels",
                     m.model_width, m.model_height);
  if (m.stored.width != p.width || m.stored.height != p.height || m.rotation != p.rotation || m.mirrored != p.mirrored)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "sampling: the mapping is for a picture of %d x %d pixels turned by %d%s, not %d x %d turned by "
                     "%d%s",
                     m.stored.width, m.stored.height, m.rotation, m.mirrored ? " and mirrored" : "", p.width, p.height,
                     p.rotation, p.mirrored ? " and mirrored" : "");
  return TERN_OK;
}

constexpr size_t kScratchAlign = 8;

// Per column: six places, the fraction, and five lines of up to three channels.
constexpr size_t kColumnBytes = 6 * sizeof(ptrdiff_t) + (1 + 5 * 3) * sizeof(float);

// The first aligned byte of the caller's memory.
void* align_scratch(void* scratch) {
  const size_t over = reinterpret_cast<uintptr_t>(scratch) % kScratchAlign;
  return static_cast<char*>(scratch) + (over == 0 ? 0 : kScratchAlign - over);
}

// Cuts aligned memory into the arrays of the job.
void lay_out(Job* job, void* memory) {
  const size_t width = size_t(job->map->model_width);
  ptrdiff_t* places = static_cast<ptrdiff_t*>(memory);
  for (auto& side : job->place) {
    for (ptrdiff_t*& place : side) {
      place = places;
      places += width;
    }
  }
  float* floats = reinterpret_cast<float*>(places);
  job->fraction = floats;
  floats += width;
  for (float** line : {&job->line[0], &job->line[1], &job->scales, &job->offsets, &job->fills}) {
    *line = floats;
    floats += width * 3;
  }
  job->line_row[0] = job->line_row[1] = kNoRow;
}

}  // namespace

size_t sample_scratch_bytes(int32_t width, Filter filter) {
  if (width < 1 || width > kMaxSide) return 0;
  const size_t bytes = size_t(width) * kColumnBytes;
  return kScratchAlign + (filter == Filter::kArea ? std::max(bytes, kAreaScratchBytes) : bytes);
}

tern_status sample(const Picture& picture, const Mapping& mapping, const SampleOptions& options, int32_t y0, int32_t y1,
                   float* out, void* scratch, size_t scratch_bytes) {
  TERN_TRY(check_picture(picture));
  TERN_TRY(check_options(options));
  TERN_TRY(check_mapping(picture, mapping));
  if (y0 < 0 || y0 > y1 || y1 > mapping.model_height)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: rows [%d, %d) of %d", y0, y1, mapping.model_height);
  if (out == nullptr || scratch == nullptr)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: %s is NULL", out == nullptr ? "out" : "scratch");
  if (const size_t needed = sample_scratch_bytes(mapping.model_width, options.filter); scratch_bytes < needed)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: scratch of %zu bytes; %zu are needed", scratch_bytes,
                     needed);

  scratch = align_scratch(scratch);
  const double* m = mapping.to_upright.m;
  if (options.filter == Filter::kArea && m[1] == 0 && m[3] == 0 && !(std::fabs(m[0]) <= 1 && std::fabs(m[4]) <= 1)) {
    sample_area(picture, mapping, options, y0, y1, out, scratch);
    return TERN_OK;
  }
  Job job = {};
  job.source = make_source(picture, options);
  job.map = &mapping;
  job.options = &options;
  job.out = out;
  lay_out(&job, scratch);
  switch (kind_of(picture)) {
    case Kind::kPacked: sample_rows<Kind::kPacked>(&job, y0, y1); break;
    case Kind::kAlpha: sample_rows<Kind::kAlpha>(&job, y0, y1); break;
    case Kind::kGrey: sample_rows<Kind::kGrey>(&job, y0, y1); break;
    case Kind::kYuv: sample_rows<Kind::kYuv>(&job, y0, y1); break;
  }
  return TERN_OK;
}

}  // namespace tern::image
