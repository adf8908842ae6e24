// SPDX-License-Identifier: Apache-2.0
// The steps of recurrent layers.
#include "backends/cpu/pack.h"
#include "kernels/cpu/recurrence.h"
#include "ops/recurrent.h"

namespace tern::cpu {
namespace {

const char* refuse_recurrence(const Graph& g, const Node& n) {
  for (const ValueId v : n.in)
    if (v != kNoValue && v != n.in[1] && is_float(g.value(v).dtype) && g.value(v).dtype != TERN_DTYPE_F32)
      return "the kernel takes f32 only";
  return is_weight_type(g.value(n.in[1]).dtype) ? nullptr : "the kernel takes weights of up to 32 bits only";
}

tern_status prepare_recurrence(Prepare& p) {
  const RecurrenceAttrs& attrs = p.node.attrs<RecurrenceAttrs>();
  RecurrenceArgs& a = p.args<RecurrenceArgs>();
  a.cell = (RecurrenceCell)attrs.cell;
  a.reverse = (int32_t)attrs.reverse;
  a.linear_before_reset = (int32_t)attrs.linear_before_reset, a.input_forget = (int32_t)attrs.input_forget;
  a.clip = (float)attrs.clip;
  for (int i = 0; i < functions_of(attrs.cell); ++i) {
    const Node f = activation_node(attrs, i);
    if (f.op) a.activation[i] = step_of(f);
  }
  a.tokens = p.in(0).shape[0], a.batch = p.in(0).shape[1], a.hidden = p.in(1).shape[1];
  const int64_t rows = p.in(1).shape[0], groups = a.cell == RecurrenceCell::gru ? 3 : 1;
  int32_t half = 0;  // never: other types are widened
  TERN_TRY(pack_weights(p, p.node.in[1],
                        {.order = PackOrder::panels, .outputs = rows, .inputs = a.hidden, .groups = groups}, &a.r,
                        &half));
  p.pointer(a.x, p.node.in[0]);
  if (p.has(2)) p.pointer(a.bias, p.node.in[2]);
  if (p.has(3)) p.pointer(a.lengths, p.node.in[3]);
  if (p.has(4)) p.pointer(a.first_h, p.node.in[4]);
  if (p.has(5)) p.pointer(a.first_c, p.node.in[5]);
  if (p.has(6)) p.pointer(a.peepholes, p.node.in[6]);
  p.pointer(a.y, p.node.out[0]);
  p.pointer(a.h, p.node.out[1]);
  if (a.cell == RecurrenceCell::lstm) p.pointer(a.c, p.node.out[2]);
  p.call(p.k.recurrence->run, &a, a.batch, recurrence_unit_flops(a), recurrence_scratch_bytes(a));
  return TERN_OK;
}

constexpr CpuOp kOps[] = {{&op_recurrence, refuse_recurrence, prepare_recurrence}};

}  // namespace

std::span<const CpuOp> cpu_ops_recurrent() { return kOps; }

}  // namespace tern::cpu
