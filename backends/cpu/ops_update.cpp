// SPDX-License-Identifier: Apache-2.0
// Training: update rules, decoding, random draws, the check for finite numbers.
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "backends/cpu/prepare.h"
#include "backends/cpu/update.h"
#include "ops/random.h"

namespace tern::cpu {
namespace {

const char* refuse_nothing(const Graph&, const Node&) { return nullptr; }

// ---- update rules ----

const char* refuse_update(const Graph& g, const Node& n) {
  for (size_t k = 0; k <= n.out.size(); ++k)
    if (!is_permutation(g.value(n.in[k]).encoding)) return "the kernel takes encodings that only permute elements";
  return nullptr;
}

// The operands are the states and the gradient behind them; then come the rate, the step and the factor.
tern_status prepare_update(Prepare& p, const UpdateRule& rule, int step, int factor) {
  UpdateArgs& a = p.args<UpdateArgs>();
  a.written = (int32_t)p.node.out.size(), a.count = a.written + 1;
  a.attributes = &p.node.attributes;
  a.prepare = rule.prepare, a.rule = rule.rule;
  const Value& v = p.in(0);
  bool alike = true;
  for (int k = 0; k < a.count; ++k) {
    a.x[k].dtype = p.in(k).dtype;
    a.x[k].ordered = !is_plain(p.in(k).encoding);  // then as the parameter is
    alike = alike && p.in(k).encoding == v.encoding;
    p.pointer(a.x[k].data, p.node.in[(size_t)k]);
  }
  p.pointer(a.rate, p.node.in[(size_t)a.count]);
  if (step && p.has(step)) p.pointer(a.step, p.node.in[(size_t)step]);
  if (p.has(factor)) p.pointer(a.factor, p.node.in[(size_t)factor]);
  if (alike) {  // padding included
    a.places = (int64_t)(value_bytes(v) / dtype_size(v.dtype));
    for (Operand& o : a.x) o.ordered = false;
    p.call(run_update, &a, (a.places + kUnit - 1) / kUnit, 12.0 * kUnit, kUpdateScratch);
    return TERN_OK;
  }
  a.order = &encoding_info(v.encoding);
  a.size = matrix_size(v.encoding, v.shape);
  p.call(run_update_tiles, &a, (a.size.rows + kTile - 1) / kTile, 40.0 * kTile * (double)a.size.cols, kUpdateScratch);
  return TERN_OK;
}

tern_status prepare_momentum(Prepare& p) { return prepare_update(p, momentum_update_rule, 4, 5); }
tern_status prepare_adamw(Prepare& p) { return prepare_update(p, adamw_update_rule, 5, 6); }
tern_status prepare_lion(Prepare& p) { return prepare_update(p, lion_update_rule, 0, 4); }

// ---- rules whose moments are codes ----

struct CodedArgs {
  CodedUpdate u;
  int64_t blocks = 0, unit = kUnit / kCodeBlock;  // blocks of a unit
  float *m_scale = nullptr, *v_scale = nullptr;   // adamw_fp8_update: the states,
  float* largest = nullptr;                       // and two for each unit, behind the two new scales
};

// Calls f(unit, first block, end of blocks).
template <class F>
void each_unit(const CodedArgs& a, int64_t begin, int64_t end, F f) {
  for (int64_t i = begin; i < end; ++i) f(i, i * a.unit, std::min((i + 1) * a.unit, a.blocks));
}

void run_adamw8(const void* args, int64_t begin, int64_t end, void*) {
  const CodedArgs& a = *(const CodedArgs*)args;
  each_unit(a, begin, end, [&](int64_t, int64_t first, int64_t last) { adamw8_blocks(a.u, first, last); });
}

void run_largest(const void* args, int64_t begin, int64_t end, void*) {
  const CodedArgs& a = *(const CodedArgs*)args;
  each_unit(a, begin, end, [&](int64_t i, int64_t first, int64_t last) {
    adamw_fp8_largest(a.u, first, last, a.largest + 2 + 2 * i);
  });
}

void run_scales(const void* args, int64_t, int64_t, void*) {
  const CodedArgs& a = *(const CodedArgs*)args;
  float most[2] = {};
  each_unit(a, 0, (a.blocks + a.unit - 1) / a.unit, [&](int64_t i, int64_t, int64_t) {
    for (int k = 0; k < 2; ++k) most[k] = std::max(most[k], a.largest[2 + 2 * i + k]);
  });
  adamw_fp8_scales(a.u, most, a.largest);
}

void run_adamw_fp8(const void* args, int64_t begin, int64_t end, void*) {
  const CodedArgs& a = *(const CodedArgs*)args;
  each_unit(a, begin, end,
            [&](int64_t, int64_t first, int64_t last) { adamw_fp8_blocks(a.u, a.largest, first, last); });
}

void run_store_scales(const void* args, int64_t, int64_t, void*) {
  const CodedArgs& a = *(const CodedArgs*)args;
  *a.m_scale = a.largest[0], *a.v_scale = a.largest[1];
}

CodedArgs& coded_args(Prepare& p) {
  CodedArgs& a = p.args<CodedArgs>();
  a.blocks = (p.in(0).shape.elements() + kCodeBlock - 1) / kCodeBlock;
  RefTensor* const x[] = {&a.u.p, &a.u.m, &a.u.m_scale, &a.u.v, &a.u.v_scale, &a.u.gradient};
  for (int i = 0; i < 6; ++i) {
    *x[i] = {p.in(i).dtype, p.in(i).encoding, p.in(i).shape, nullptr};
    p.pointer(x[i]->data, p.node.in[(size_t)i]);
  }
  p.pointer(a.u.rate, p.node.in[6]);
  p.pointer(a.u.step, p.node.in[7]);
  if (p.has(8)) p.pointer(a.u.factor, p.node.in[8]);
  a.u.attrs = &p.node.attrs<AdamwUpdateAttrs>();
  return a;
}

tern_status prepare_adamw8(Prepare& p) {
  const CodedArgs& a = coded_args(p);
  p.call(run_adamw8, &a, (a.blocks + a.unit - 1) / a.unit, 60.0 * kUnit, 0);
  return TERN_OK;
}

tern_status prepare_adamw_fp8(Prepare& p) {
  CodedArgs& a = coded_args(p);
  const int64_t units = (a.blocks + a.unit - 1) / a.unit;
  p.workspace(a.largest, (uint64_t)(2 + 2 * units) * sizeof(float));
  p.pointer(a.m_scale, p.node.in[2]);
  p.pointer(a.v_scale, p.node.in[4]);
  p.call(run_largest, &a, units, 40.0 * kUnit, 0);
  p.call(run_scales, &a, 1, 0, 0);
  p.call(run_adamw_fp8, &a, units, 60.0 * kUnit, 0);
  p.call(run_store_scales, &a, 1, 0, 0);
  return TERN_OK;
}

// ---- decoding ----

struct DecodeArgs {
  RefTensor x, y;
};

void run_decode(const void* args, int64_t begin, int64_t end, void*) {
  const DecodeArgs& a = *(const DecodeArgs*)args;
  for (int64_t i = begin * kUnit; i < std::min(end * kUnit, a.y.elements()); ++i) a.y.store(i, a.x.load(i));
}

tern_status prepare_decode(Prepare& p) {
  DecodeArgs& a = p.args<DecodeArgs>();
  a.x = {p.in(0).dtype, p.in(0).encoding, p.in(0).shape, nullptr};
  a.y = {p.out(0).dtype, Encoding::plain, p.out(0).shape, nullptr};
  p.pointer(a.x.data, p.node.in[0]);
  p.pointer(a.y.data, p.node.out[0]);
  p.call(run_decode, &a, (a.y.elements() + kUnit - 1) / kUnit, 40.0 * kUnit, 0);
  return TERN_OK;
}

// ---- random draws ----

struct RandomArgs {
  const Attributes* attributes = nullptr;
  const int64_t *seed = nullptr, *step = nullptr;
  int64_t place = 0, count = 0, element_bytes = 0;
  RandomFill fill = nullptr;
  char* y = nullptr;
};

void run_random(const void* args, int64_t begin, int64_t end, void*) {
  const RandomArgs& a = *(const RandomArgs*)args;
  const int64_t first = begin * kUnit, last = std::min(end * kUnit, a.count);
  a.fill(*a.attributes, {*a.seed, *a.step, a.place}, first, last, a.y + first * a.element_bytes);
}

tern_status prepare_random(Prepare& p) {
  RandomArgs& a = p.args<RandomArgs>();
  a.attributes = &p.node.attributes;
  a.place = p.node.attrs<RandomAttrs>().place;
  a.count = p.out(0).shape.elements(), a.element_bytes = (int64_t)dtype_size(p.out(0).dtype);
  a.fill = random_fill(p.node.op);
  p.pointer(a.seed, p.node.in[0]);
  p.pointer(a.step, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_random, &a, (a.count + kUnit - 1) / kUnit, 20.0 * kUnit, 0);
  return TERN_OK;
}

// ---- finite numbers ----

struct FiniteArgs {
  const char* x = nullptr;
  char* y = nullptr;
  int64_t count = 0;
  DType dtype = TERN_DTYPE_F32;
  int32_t* error = nullptr;
};

// Are all exponents below the last?
template <class T>
bool all_finite(const char* x, int64_t n, T exponent) {
  bool finite = true;
  for (int64_t i = 0; i < n; ++i) finite &= (((const T*)x)[i] & exponent) != exponent;
  return finite;
}

void run_finite(const void* args, int64_t, int64_t, void*) {
  const FiniteArgs& a = *(const FiniteArgs*)args;
  const bool finite = a.dtype == TERN_DTYPE_F32   ? all_finite<uint32_t>(a.x, a.count, 0x7f800000u)
                      : a.dtype == TERN_DTYPE_F16 ? all_finite<uint16_t>(a.x, a.count, 0x7c00u)
                                                  : all_finite<uint16_t>(a.x, a.count, 0x7f80u);
  if (!finite) *a.error = TERN_FAIL(TERN_ERR_NOT_FINITE, "require_finite: a number is NaN or infinite");
  else if (a.y != a.x) std::memcpy(a.y, a.x, (size_t)a.count * dtype_size(a.dtype));
}

const char* refuse_finite(const Graph& g, const Node& n) {
  return g.value(n.in[0]).dtype == TERN_DTYPE_F64 ? "the kernel takes f32, f16 and bf16 only" : nullptr;
}

tern_status prepare_finite(Prepare& p) {
  FiniteArgs& a = p.args<FiniteArgs>();
  a.count = p.in(0).shape.elements(), a.dtype = p.in(0).dtype;
  a.error = p.error_flag();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_finite, &a, 1, 0, 0);
  return TERN_OK;
}

constexpr auto kOps = without_left_out({
    {&op_momentum_update, refuse_update, prepare_momentum},
    {&op_adamw_update, refuse_update, prepare_adamw},
    {&op_lion_update, refuse_update, prepare_lion},
    {&op_adamw8_update, refuse_nothing, prepare_adamw8},
    {&op_adamw_fp8_update, refuse_nothing, prepare_adamw_fp8},
    {&op_decode, refuse_nothing, prepare_decode},
    {&op_random_uniform, refuse_nothing, prepare_random},
    {&op_random_normal, refuse_nothing, prepare_random},
    {&op_random_bernoulli, refuse_nothing, prepare_random},
    {&op_require_finite, refuse_finite, prepare_finite},
});

}  // namespace

std::span<const CpuOp> cpu_ops_update() { return kOps; }

}  // namespace tern::cpu
