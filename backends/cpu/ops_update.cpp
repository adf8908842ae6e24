// SPDX-License-Identifier: Apache-2.0
// Training: update rules, random draws, the check for finite numbers. Built for speed (src/tern.cmake).
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>

#include "backends/cpu/prepare.h"
#include "ops/random.h"
#include "ops/update.h"

namespace tern::cpu {
namespace {

const char* refuse_nothing(const Graph&, const Node&) { return nullptr; }

// ---- update rules ----

constexpr int kMostOperands = 4;  // parameter, moments, gradient
constexpr int64_t kChunk = 256;   // elements that a rule sees at a time
constexpr int64_t kUnit = 4096;

// What a rule multiplies by, in this run.
struct Factors {
  float a[8];
};

struct Operand {
  char* data = nullptr;
  DType dtype = TERN_DTYPE_F32;
  const EncodingInfo* order = nullptr;  // NULL: element i lies at place i
};

// Goes through all elements in row-major order; or, where all operands lie alike, through the places of storage.
struct UpdateArgs {
  Operand x[kMostOperands];
  int32_t count = 0, written = 0;  // operands; the first are written
  const float* rate = nullptr;
  const int64_t* step = nullptr;  // NULL: none
  const float* factor = nullptr;  // NULL: 1
  const Attributes* attributes = nullptr;
  int64_t elements = 0;
  MatrixSize size;  // where some have an order
  Factors (*prepare)(const UpdateArgs& a) = nullptr;
  void (*rule)(const Factors& f, float* const* x, int64_t n) = nullptr;

  template <class T>
  const T& attrs() const {
    return *reinterpret_cast<const T*>(attributes->bytes);
  }
};

// Calls f(j, place) for the elements first + j, j < n.
template <class F>
void each_place(const UpdateArgs& a, const Operand& o, int64_t first, int64_t n, F f) {
  if (!o.order) {
    for (int64_t j = 0; j < n; ++j) f(j, first + j);
    return;
  }
  int64_t row = first / a.size.cols, column = first % a.size.cols;
  for (int64_t j = 0; j < n; ++j) {
    f(j, o.order->position(a.size, row, column));
    if (++column == a.size.cols) column = 0, ++row;
  }
}

void load_chunk(const UpdateArgs& a, const Operand& o, int64_t first, int64_t n, float* to) {
  const uint16_t* half = (const uint16_t*)o.data;
  if (o.dtype == TERN_DTYPE_F32)
    each_place(a, o, first, n, [&](int64_t j, int64_t at) { to[j] = ((const float*)o.data)[at]; });
  else if (o.dtype == TERN_DTYPE_F16)
    each_place(a, o, first, n, [&](int64_t j, int64_t at) { to[j] = f16_to_f32(half[at]); });
  else each_place(a, o, first, n, [&](int64_t j, int64_t at) { to[j] = bf16_to_f32(half[at]); });
}

void store_chunk(const UpdateArgs& a, const Operand& o, int64_t first, int64_t n, const float* from) {
  uint16_t* half = (uint16_t*)o.data;
  if (o.dtype == TERN_DTYPE_F32)
    each_place(a, o, first, n, [&](int64_t j, int64_t at) { ((float*)o.data)[at] = from[j]; });
  else if (o.dtype == TERN_DTYPE_F16)
    each_place(a, o, first, n, [&](int64_t j, int64_t at) { half[at] = f32_to_f16(from[j]); });
  else each_place(a, o, first, n, [&](int64_t j, int64_t at) { half[at] = f32_to_bf16(from[j]); });
}

void run_update(const void* args, int64_t begin, int64_t end, void* scratch) {
  const UpdateArgs& a = *(const UpdateArgs*)args;
  const Factors factors = a.prepare(a);
  const int64_t last = std::min(end * kUnit, a.elements);
  for (int64_t first = begin * kUnit; first < last; first += kChunk) {
    const int64_t n = std::min(kChunk, last - first);
    float* x[kMostOperands];
    bool direct[kMostOperands];
    for (int k = 0; k < a.count; ++k) {
      direct[k] = !a.x[k].order && a.x[k].dtype == TERN_DTYPE_F32;
      x[k] = direct[k] ? (float*)a.x[k].data + first : (float*)scratch + k * kChunk;
      if (!direct[k]) load_chunk(a, a.x[k], first, n, x[k]);
    }
    a.rule(factors, x, n);
    for (int k = 0; k < a.written; ++k)
      if (!direct[k]) store_chunk(a, a.x[k], first, n, x[k]);
  }
}

const char* refuse_update(const Graph& g, const Node& n) {
  for (size_t k = 0; k <= n.out.size(); ++k)
    if (!is_permutation(g.value(n.in[k]).encoding)) return "the kernel takes encodings that only permute elements";
  return nullptr;
}

// The operands are the states and the gradient behind them; then come the rate, the step and the factor.
tern_status prepare_update(Prepare& p, Factors (*prepare)(const UpdateArgs&),
                           void (*rule)(const Factors&, float* const*, int64_t), int step, int factor) {
  UpdateArgs& a = p.args<UpdateArgs>();
  a.written = (int32_t)p.node.out.size(), a.count = a.written + 1;
  a.attributes = &p.node.attributes;
  a.prepare = prepare, a.rule = rule;
  const Value& v = p.in(0);
  bool alike = true;
  for (int k = 0; k < a.count; ++k) alike = alike && p.in(k).encoding == v.encoding;
  a.elements = alike ? (int64_t)(value_bytes(v) / dtype_size(v.dtype)) : v.shape.elements();
  a.size = matrix_size(v.encoding, v.shape);  // the others are encoded alike, or plain
  for (int k = 0; k < a.count; ++k) {
    a.x[k].dtype = p.in(k).dtype;
    if (!alike && !is_plain(p.in(k).encoding)) a.x[k].order = &encoding_info(v.encoding);
    p.pointer(a.x[k].data, p.node.in[(size_t)k]);
  }
  p.pointer(a.rate, p.node.in[(size_t)a.count]);
  if (step && p.has(step)) p.pointer(a.step, p.node.in[(size_t)step]);
  if (p.has(factor)) p.pointer(a.factor, p.node.in[(size_t)factor]);
  p.call(run_update, &a, (a.elements + kUnit - 1) / kUnit, 12.0 * kUnit, sizeof(float) * kChunk * kMostOperands);
  return TERN_OK;
}

// Operands do not overlap, but for one that is there twice: then its elements meet themselves only.
// (A macro since a pragma stands in front of each loop.)
#define TERN_RULE_LOOP _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i)

Factors momentum_factors(const UpdateArgs& a) {
  const MomentumUpdateAttrs& t = a.attrs<MomentumUpdateAttrs>();
  const bool first = a.step && *a.step == 1;
  const float momentum = (float)t.momentum;
  return {{*a.rate, t.weight_decay == 0 ? 0 : (float)t.weight_decay * (a.factor ? *a.factor : 1), first ? 0 : momentum,
           first ? 1 : (float)(1 - t.dampening), t.nesterov ? 1.0f : 0.0f, t.nesterov ? momentum : 1,
           first ? 1.0f : 0.0f}};
}

void momentum_rule(const Factors& f, float* const* x, int64_t n) {
  const float rate = f.a[0], decay = f.a[1], momentum = f.a[2], share = f.a[3], direct = f.a[4], averaged = f.a[5];
  float *p = x[0], *b = x[1];
  const float* gradient = x[2];
  if (f.a[6] != 0) std::fill(b, b + n, 0.0f);  // whatever it held
  TERN_RULE_LOOP {
    const float g = gradient[i] + decay * p[i], average = share * g + momentum * b[i];
    b[i] = average;
    p[i] -= rate * (direct * g + averaged * average);
  }
}

Factors adamw_factors(const UpdateArgs& a) {
  const AdamwUpdateAttrs& t = a.attrs<AdamwUpdateAttrs>();
  const double step = (double)*a.step;
  const float correction1 = (float)(1 - std::pow(t.beta1, step)), correction2 = (float)(1 - std::pow(t.beta2, step));
  const float decay = t.weight_decay == 0 ? 0 : *a.rate * (float)t.weight_decay * (a.factor ? *a.factor : 1);
  return {{1 - decay, (float)(1 - t.beta1), (float)t.beta2, (float)(1 - t.beta2), *a.rate / correction1,
           1 / std::sqrt(correction2), (float)t.epsilon}};
}

void adamw_rule(const Factors& f, float* const* x, int64_t n) {
  const float keep = f.a[0], share1 = f.a[1], beta2 = f.a[2], share2 = f.a[3], length = f.a[4], root = f.a[5],
              epsilon = f.a[6];
  float *p = x[0], *m = x[1], *v = x[2];
  const float* gradient = x[3];
  TERN_RULE_LOOP {
    const float g = gradient[i], first = m[i] + (g - m[i]) * share1, second = v[i] * beta2 + g * g * share2;
    m[i] = first;
    v[i] = second;
    p[i] = p[i] * keep - length * (first / (std::sqrt(second) * root + epsilon));
  }
}

Factors lion_factors(const UpdateArgs& a) {
  const LionUpdateAttrs& t = a.attrs<LionUpdateAttrs>();
  const float decay = t.weight_decay == 0 ? 0 : *a.rate * (float)t.weight_decay * (a.factor ? *a.factor : 1);
  return {{1 - decay, *a.rate, (float)t.beta1, (float)(1 - t.beta1), (float)t.beta2, (float)(1 - t.beta2)}};
}

void lion_rule(const Factors& f, float* const* x, int64_t n) {
  const float keep = f.a[0], rate = f.a[1], beta1 = f.a[2], share1 = f.a[3], beta2 = f.a[4], share2 = f.a[5];
  float *p = x[0], *m = x[1];
  const float* gradient = x[2];
  TERN_RULE_LOOP {
    const float g = gradient[i], old = m[i], c = old * beta1 + g * share1;
    const float direction = c > 0 ? 1 : c < 0 ? -1 : c;
    p[i] = p[i] * keep - rate * direction;
    m[i] = old * beta2 + g * share2;
  }
}

tern_status prepare_momentum(Prepare& p) { return prepare_update(p, momentum_factors, momentum_rule, 4, 5); }
tern_status prepare_adamw(Prepare& p) { return prepare_update(p, adamw_factors, adamw_rule, 5, 6); }
tern_status prepare_lion(Prepare& p) { return prepare_update(p, lion_factors, lion_rule, 0, 4); }

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
    {&op_random_uniform, refuse_nothing, prepare_random},
    {&op_random_normal, refuse_nothing, prepare_random},
    {&op_random_bernoulli, refuse_nothing, prepare_random},
    {&op_require_finite, refuse_finite, prepare_finite},
});

}  // namespace

std::span<const CpuOp> cpu_ops_update() { return kOps; }

}  // namespace tern::cpu
