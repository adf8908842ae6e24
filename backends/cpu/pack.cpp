// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/pack.h"

#include <algorithm>
#include <vector>

#include "base/panel.h"

namespace tern::cpu {
namespace {

struct PackArgs {
  PackShape shape;
  DType dtype = TERN_DTYPE_F32;
  int32_t encoding = 0;  // of the source, a permutation
};

// Element (row, column) of a source of `size`.
float source_at(const PackArgs& a, const void* source, MatrixSize size, int64_t row, int64_t column) {
  const Encoding e = (Encoding)a.encoding;
  const int64_t i = is_plain(e) ? row * size.cols + column : encoding_info(e).position(size, row, column);
  return a.dtype == TERN_DTYPE_F32 ? ((const float*)source)[i] : (float)load_element(a.dtype, source, i);
}

bool is_turned(const PackShape& s) {
  return s.order == PackOrder::depthwise || s.order == PackOrder::transposed_depthwise;
}

// Rows [begin, end) of target[inputs][outputs].
template <class T>
void turn(const PackShape& s, const void* source, void* target, int64_t begin, int64_t end) {
  const int64_t per_group = s.outputs / s.groups, channels = s.inputs / s.kernel;
  T* to = (T*)target + begin * s.outputs;
  for (int64_t u = begin; u < end; ++u)
    for (int64_t n = 0; n < s.outputs; ++n) {
      const int64_t in = n / per_group * channels + u % channels;
      *to++ =
          ((const T*)
               source)[s.order == PackOrder::depthwise ? n * s.inputs + u
                                                       : (in * s.kernel + u / channels) * per_group + n % per_group];
    }
}

// Units: rows of the turned ones, else panels of all groups, in order. Targets are f32, or of the
// source's type where turned.
void make_pack(const PackArgs& a, const void* const* sources, void* target, int64_t begin, int64_t end) {
  const void* source = sources[0];
  const PackShape& s = a.shape;
  if (is_turned(s))
    return a.dtype != TERN_DTYPE_F32 ? turn<uint16_t>(s, source, target, begin, end)
                                     : turn<float>(s, source, target, begin, end);
  const int64_t per_group = s.outputs / s.groups, panels = (per_group + kPanelWidth - 1) / kPanelWidth;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t group = u / panels, n0 = u % panels * kPanelWidth, width = panel_width(per_group, n0);
    float* to = (float*)target + group * panel_elements(per_group, s.inputs) + n0 * s.inputs;
    const int64_t channels = s.inputs / s.kernel;  // of one group
    for (int64_t k = 0; k < s.inputs; ++k)
      for (int64_t i = 0; i < width; ++i) {
        const int64_t n = n0 + i, output = group * per_group + n;
        float v = 0;
        if (n < per_group) {
          if (s.order == PackOrder::transposed_panels)
            v = source_at(a, source, {channels * s.groups, s.kernel * per_group}, group * channels + k % channels,
                          k / channels * per_group + n);
          else v = source_at(a, source, {s.outputs, s.inputs}, output, k);
        }
        to[k * width + i] = v;
      }
  }
}

}  // namespace

tern_status pack_weights(Prepare& p, ValueId v, const PackShape& shape, const void** w, int32_t* w_half) {
  const Value& value = p.g.value(v);
  const bool turned = is_turned(shape);
  if (p.k.of(value.encoding).panels && shape.order == PackOrder::panels && shape.groups == 1) {
    *w_half = half_of(value.dtype);
    p.pointer(*w, v);
    return TERN_OK;
  }
  if (turned ? !is_plain(value.encoding) : !is_permutation(value.encoding))
    return TERN_FAIL(TERN_ERR_INTERNAL, "weights encoded as %s are asked for in another order",
                     encoding_name(value.encoding));
  const PackArgs a{shape, value.dtype, (int32_t)value.encoding};
  *w_half = turned ? half_of(value.dtype) : 0;  // else widened
  const int64_t per_group = shape.outputs / shape.groups;
  const uint64_t elements = turned ? (uint64_t)(shape.outputs * shape.inputs)
                                   : (uint64_t)(shape.groups * panel_elements(per_group, shape.inputs));
  const int64_t units = turned ? shape.inputs : shape.groups * ((per_group + kPanelWidth - 1) / kPanelWidth);
  Origin at;
  TERN_TRY(p.derive<PackArgs>({&v, 1}, a, make_pack, units, elements * (*w_half ? sizeof(uint16_t) : sizeof(float)),
                              2.0 * (double)elements / (double)std::max<int64_t>(units, 1), &at));
  p.pointer(*w, at);
  return TERN_OK;
}

namespace {

struct WinogradArgs {
  PackArgs pack;
  int64_t in_c, out_c;
  int64_t in_place;  // 1: the source is panels
  int64_t w_half;
};

void make_winograd(const WinogradArgs& a, const void* const* sources, void* target, int64_t, int64_t) {
  ConvWinogradWeightsArgs u;
  u.out_c = a.out_c, u.in_c = a.in_c;
  u.w_half = (int32_t)a.w_half;
  u.w = sources[0];
  u.u = (float*)target;
  std::vector<float> packed;
  if (!a.in_place) {
    packed.resize((size_t)panel_elements(a.pack.shape.outputs, a.pack.shape.inputs));
    make_pack(a.pack, sources, packed.data(), 0, (a.out_c + kPanelWidth - 1) / kPanelWidth);
    u.w = packed.data();
  }
  kernels().conv->winograd_weights(&u, 0, conv_winograd_weights_units(u), nullptr);
}

}  // namespace

tern_status winograd_weights(Prepare& p, ValueId v, const PackShape& shape, int64_t out_c, int64_t in_c,
                             const void** w) {
  const Value& value = p.g.value(v);
  const bool panels = p.k.of(value.encoding).panels;
  if (!is_permutation(value.encoding))
    return TERN_FAIL(TERN_ERR_INTERNAL, "weights encoded as %s are asked for in another order",
                     encoding_name(value.encoding));
  const WinogradArgs a{.pack = {shape, value.dtype, (int32_t)value.encoding},
                       .in_c = in_c,
                       .out_c = out_c,
                       .in_place = panels,
                       .w_half = panels ? half_of(value.dtype) : 0};
  Origin at;
  TERN_TRY(p.derive<WinogradArgs>({&v, 1}, a, make_winograd, 1,
                                  (uint64_t)conv_winograd_elements(out_c, in_c) * sizeof(float), 0, &at));
  p.pointer(*w, at);
  return TERN_OK;
}

}  // namespace tern::cpu
