// SPDX-License-Identifier: Apache-2.0
#include "image/sample.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"

namespace tern::image {
namespace {

// A plane seen upright: pixel (u, v) is at origin + u * du + v * dv, whatever the rotation.
struct Plane {
  const uint8_t* origin;
  ptrdiff_t du, dv;
};

struct Source {
  Plane pixels;    // packed pixels, or Y
  Plane ca, cb;    // chroma planes that drive output channels 0 and 2 (V and U for the order R, G, B); one sample for
                   // 2x2 pixels; sizes are even, so turning keeps the blocks whole
  int16_t ka, kb;  // YUV: channel 0 gets ka * ca, channel 2 gets kb * cb; 13 fraction bits
  int16_t ga, gb;  // YUV: channel 1 loses ga * ca + gb * cb
  int32_t first;   // byte of output channel 0 in a packed pixel: 0, or 2 when the order is turned round
  int32_t width, height;
};

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
  s.first = (p.format == Format::kBgr8) != bgr ? 2 : 0;
  const auto turn = [&](int32_t i, int32_t byte, int32_t step, int32_t block) {
    return upright_plane(p.plane[i] + byte, p.stride[i], step, p.width / block, p.height / block, p.rotation);
  };
  switch (p.format) {
    case Format::kRgb8:
    case Format::kBgr8: s.pixels = turn(0, 0, 3, 1); break;
    case Format::kRgba8: s.pixels = turn(0, 0, 4, 1); break;
    case Format::kGrey8: s.pixels = turn(0, 0, 1, 1); break;
    case Format::kNv12:
    case Format::kNv21:
    case Format::kI420: {
      s.pixels = turn(0, 0, 1, 1);
      const bool two_planes = p.format == Format::kI420, u_first = p.format == Format::kNv12;
      const Plane u = two_planes ? turn(1, 0, 1, 2) : turn(1, u_first ? 0 : 1, 2, 2);
      const Plane v = two_planes ? turn(2, 0, 1, 2) : turn(1, u_first ? 1 : 0, 2, 2);
      constexpr int16_t kRedV = 13075, kBlueU = 16525, kGreenU = 3209, kGreenV = 6660;
      s.ca = bgr ? u : v;
      s.cb = bgr ? v : u;
      s.ka = bgr ? kBlueU : kRedV;
      s.kb = bgr ? kRedV : kBlueU;
      s.ga = bgr ? kGreenU : kGreenV;
      s.gb = bgr ? kGreenV : kGreenU;
    }
  }
  return s;
}

enum class Kind { kPacked, kGrey, kYuv };

Kind kind_of(Format f) {
  if (f == Format::kGrey8) return Kind::kGrey;
  return f == Format::kRgb8 || f == Format::kBgr8 || f == Format::kRgba8 ? Kind::kPacked : Kind::kYuv;
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

uint8_t to_byte(int32_t fixed) { return uint8_t(std::clamp((fixed + 4096) >> 13, 0, 255)); }

void load_yuv(const Source& s, const Places& p, int32_t n, Planar* out) {
  int16_t y[kBlock], a[kBlock], b[kBlock];
  for (int32_t i = 0; i < n; ++i) {
    y[i] = int16_t(p.pixels[p.at[i]] - 16);
    a[i] = int16_t(p.ca[p.at_ca[i]] - 128);
    b[i] = int16_t(p.cb[p.at_cb[i]] - 128);
  }
  for (int32_t i = 0; i < n; ++i) {
    const int32_t luma = y[i] * 9539;
    out->c[0][i] = to_byte(luma + a[i] * s.ka);
    out->c[1][i] = to_byte(luma - a[i] * s.ga - b[i] * s.gb);
    out->c[2][i] = to_byte(luma + b[i] * s.kb);
  }
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
      if constexpr (kind == Kind::kPacked)
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

// The slack keeps centres that lie on the border on one side of it, however a compiler rounds.
bool centre_outside(double at, int32_t size) {
  constexpr double kSlack = 1e-6;
  return !(at >= -0.5 - kSlack && at < size - 0.5 - kSlack);
}

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
    const ptrdiff_t at_ca = (x / 2) * s.ca.du + (y / 2) * s.ca.dv, at_cb = (x / 2) * s.cb.du + (y / 2) * s.cb.dv;
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
      job->place[side][1][x] = (u / 2) * s.ca.du;
      job->place[side][2][x] = (u / 2) * s.cb.du;
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
  const ptrdiff_t y = std::clamp(v, 0, s.height - 1);
  Places places[2];
  for (int32_t x = job.begin; x < job.end; x += kBlock) {
    for (int side = 0; side < 2; ++side) {
      ptrdiff_t* const* at = job.place[side];
      places[side] = {s.pixels.origin + y * s.pixels.dv,
                      s.ca.origin + (y / 2) * s.ca.dv,
                      s.cb.origin + (y / 2) * s.cb.dv,
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
          at[1][i] = (u >> 1) * s.ca.du + (v >> 1) * s.ca.dv;
          at[2][i] = (u >> 1) * s.cb.du + (v >> 1) * s.cb.dv;
        }
      }
    }
  }
}

// Puts `fill` where the border's rule wants it. rows [2, n, channels]: blended upper and lower neighbours.
template <Kind kind, int channels>
void put_fill(const Job& job, const Neighbours& near, const RowLine& line, int32_t x, int32_t n,
              float (*rows)[kBlock * 3]) {
  const Source& s = job.source;
  for (int32_t i = 0; i < n; ++i) {
    if (job.options->border == Border::kPad) {
      if (centre_outside(line.start_u + (x + i) * line.step_u, s.width) ||
          centre_outside(line.start_v + (x + i) * line.step_v, s.height))
        for (int below = 0; below < 2; ++below) std::copy_n(job.options->fill, channels, rows[below] + i * channels);
    } else if (pair_crosses(near.u[i], s.width) || pair_crosses(near.v[i], s.height)) {
      for (int below = 0; below < 2; ++below)
        blend_with_fill<kind, channels>(job, near.u[i], near.fraction_u[i], near.v[i] + below,
                                        rows[below] + i * channels);
    }
  }
}

template <Kind kind, int channels>
void turned_block(const Job& job, const RowLine& line, int32_t x, int32_t n, float* out) {
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
  if (!inside && job.options->border != Border::kReplicate) put_fill<kind, channels>(job, near, line, x, n, rows);
  const float *scale = job.options->scale, *offset = job.options->offset;
  for (int32_t i = 0; i < n; ++i) {
    for (int c = 0; c < channels; ++c) {
      const float a = rows[0][i * channels + c], b = rows[1][i * channels + c];
      out[i * channels + c] = (a + near.fraction_v[i] * (b - a)) * scale[c] + offset[c];
    }
  }
}

template <Kind kind, int channels>
void turned_row(const Job& job, int32_t y) {
  const int32_t width = job.map->model_width;
  const RowLine line = row_line(*job.map, y);
  float* out = job.out + ptrdiff_t(y) * width * channels;
  for (int32_t x = 0; x < width; x += kBlock)
    turned_block<kind, channels>(job, line, x, std::min(kBlock, width - x), out + ptrdiff_t(x) * channels);
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
  for (int c = 0; c < o.channels; ++c)
    if (!std::isfinite(o.fill[c]) || !std::isfinite(o.scale[c]) || !std::isfinite(o.offset[c]))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: fill, scale or offset of channel %d is not finite", c);
  return TERN_OK;
}

tern_status check_mapping(const Picture& p, const Mapping& m) {
  if (m.model_width < 1 || m.model_height < 1 || m.model_width > kMaxSide || m.model_height > kMaxSide)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: the mapping is for a tensor of %d x %d pixels",
                     m.model_width, m.model_height);
  if (m.stored.width != p.width || m.stored.height != p.height || m.rotation != p.rotation)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "sampling: the mapping is for a picture of %d x %d pixels turned by %d, not %d x %d turned by %d",
                     m.stored.width, m.stored.height, m.rotation, p.width, p.height, p.rotation);
  return TERN_OK;
}

// Per column: six places, the fraction, and five lines of up to three channels.
constexpr size_t kColumnBytes = 6 * sizeof(ptrdiff_t) + (1 + 5 * 3) * sizeof(float);

// Cuts the caller's memory into the arrays of the job.
void lay_out(Job* job, void* scratch) {
  const size_t width = size_t(job->map->model_width);
  const size_t over = reinterpret_cast<uintptr_t>(scratch) % alignof(ptrdiff_t);
  char* memory = static_cast<char*>(scratch) + (over == 0 ? 0 : alignof(ptrdiff_t) - over);
  ptrdiff_t* places = reinterpret_cast<ptrdiff_t*>(memory);
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

size_t sample_scratch_bytes(int32_t width) {
  if (width < 1 || width > kMaxSide) return 0;
  return size_t(width) * kColumnBytes + alignof(ptrdiff_t);
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
  if (scratch_bytes < sample_scratch_bytes(mapping.model_width))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: scratch of %zu bytes; %zu are needed", scratch_bytes,
                     sample_scratch_bytes(mapping.model_width));

  Job job = {};
  job.source = make_source(picture, options);
  job.map = &mapping;
  job.options = &options;
  job.out = out;
  lay_out(&job, scratch);
  switch (kind_of(picture.format)) {
    case Kind::kPacked: sample_rows<Kind::kPacked>(&job, y0, y1); break;
    case Kind::kGrey: sample_rows<Kind::kGrey>(&job, y0, y1); break;
    case Kind::kYuv: sample_rows<Kind::kYuv>(&job, y0, y1); break;
  }
  return TERN_OK;
}

}  // namespace tern::image
