// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/pack.h"

#include <algorithm>

#include "base/panel.h"

namespace tern::cpu {
namespace {

struct PackArgs {
  const void* source = nullptr;
  void* target = nullptr;  // depthwise: of the source's type; else f32
  PackShape shape;
  DType dtype = TERN_DTYPE_F32;
  bool panels = false;  // the source is in panel order already
};

float source_at(const PackArgs& a, int64_t i) {
  return a.dtype == TERN_DTYPE_F16 ? f16_to_f32(((const uint16_t*)a.source)[i]) : ((const float*)a.source)[i];
}

// Rows [begin, end) of target[kernel][outputs] = source[outputs][kernel].
template <class T>
void turn(const PackArgs& a, int64_t begin, int64_t end) {
  const int64_t outputs = a.shape.outputs, inputs = a.shape.inputs;
  T* to = (T*)a.target + begin * outputs;
  for (int64_t u = begin; u < end; ++u) {
    const T* from = (const T*)a.source + u;
    for (int64_t n = 0; n < outputs; ++n, from += inputs) *to++ = *from;
  }
}

// Units: positions of the kernel for depthwise, else panels of all groups, in order.
void run_pack(const void* args, int64_t begin, int64_t end, void*) {
  const PackArgs& a = *(const PackArgs*)args;
  const PackShape& s = a.shape;
  if (s.order == PackOrder::depthwise)
    return a.dtype == TERN_DTYPE_F16 ? turn<uint16_t>(a, begin, end) : turn<float>(a, begin, end);
  const int64_t per_group = s.outputs / s.groups, panels = (per_group + kPanelWidth - 1) / kPanelWidth;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t group = u / panels, n0 = u % panels * kPanelWidth, width = panel_width(per_group, n0);
    float* to = (float*)a.target + group * panel_elements(per_group, s.inputs) + n0 * s.inputs;
    const int64_t channels = s.inputs / s.kernel;  // of one group
    for (int64_t k = 0; k < s.inputs; ++k)
      for (int64_t i = 0; i < width; ++i) {
        const int64_t n = n0 + i, output = group * per_group + n;
        float v = 0;
        if (n < per_group) {
          if (s.order == PackOrder::transposed_panels && a.panels)
            v = source_at(a, panel_index(k % channels, k / channels * per_group + n, channels, s.kernel * per_group));
          else if (s.order == PackOrder::transposed_panels)
            v = source_at(a, ((group * channels + k % channels) * s.kernel + k / channels) * per_group + n);
          else if (a.panels) v = source_at(a, panel_index(output, k, s.outputs, s.inputs));
          else v = source_at(a, output * s.inputs + k);
        }
        to[k * width + i] = v;
      }
  }
}

}  // namespace

tern_status pack_weights(Prepare& p, ValueId v, const PackShape& shape, const void** w, int32_t* w_f16) {
  const Value& value = p.g.value(v);
  const bool panels = value.encoding == Encoding::panel32;
  if (panels && shape.order == PackOrder::panels && shape.groups == 1) {
    *w_f16 = value.dtype == TERN_DTYPE_F16;
    p.pointer(*w, v);
    return TERN_OK;
  }
  PackArgs& a = p.args<PackArgs>();
  a.shape = shape;
  a.dtype = value.dtype;
  a.panels = panels;
  const int64_t per_group = shape.outputs / shape.groups;
  const uint64_t elements = shape.order == PackOrder::depthwise
                                ? (uint64_t)(shape.outputs * shape.inputs)
                                : (uint64_t)(shape.groups * panel_elements(per_group, shape.inputs));
  const int64_t units =
      shape.order == PackOrder::depthwise ? shape.inputs : shape.groups * ((per_group + kPanelWidth - 1) / kPanelWidth);
  void* target = nullptr;
  const bool half = shape.order == PackOrder::depthwise && value.dtype == TERN_DTYPE_F16;  // else widened
  TERN_TRY(p.prepared(elements * (half ? sizeof(uint16_t) : sizeof(float)), &target));
  *w = a.target = target;
  *w_f16 = half;
  if (const void* fixed = p.fixed(v)) {
    a.source = fixed;
    Prepare::run_now(run_pack, &a, units);
  } else {
    p.pointer(a.source, v);
    p.call(run_pack, &a, units, 2.0 * (double)elements / (double)std::max<int64_t>(units, 1), 0);
  }
  return TERN_OK;
}

}  // namespace tern::cpu
