// SPDX-License-Identifier: Apache-2.0
// What update rules share. A rule writes a parameter and its moments, which are states: its inputs are these in order,
// then the gradient, the rate, and the scalars of the rule. Parameter, moments and gradient are f32, f16 or bf16, each
// in its own type; the arithmetic is f32, rounded where it is written. They have one shape; each is plain, or encoded
// as the parameter is. All in one order are the fastest: the rule is then one loop over storage.
#pragma once
#include "ops/op.h"

namespace tern {

struct MomentumUpdateAttrs {
  double momentum = 0.9, dampening = 0, weight_decay = 0;
  int64_t nesterov = 0;
};

struct AdamwUpdateAttrs {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
};

struct LionUpdateAttrs {
  double beta1 = 0.9, beta2 = 0.99, weight_decay = 0;
};

struct LarsUpdateAttrs {
  double momentum = 0.9, weight_decay = 0, trust = 0.001, epsilon = 1e-8;
};

struct AdafactorUpdateAttrs {
  double decay = -0.8, epsilon1 = 1.1920929e-7, epsilon2 = 1e-3, threshold = 1, weight_decay = 0;
};

// ---- rules whose moments are codes ----

// adamw8_update and adamw_fp8_update: references and kernels are the same functions, over any range of units.
struct CodedUpdate {
  RefTensor p, m, m_scale, v, v_scale, gradient;
  const float* rate = nullptr;
  const int64_t* step = nullptr;
  const float* factor = nullptr;  // NULL: 1
  const AdamwUpdateAttrs* attrs = nullptr;
};
inline constexpr int64_t kCodeBlock = 256;
// p: f32, f16 or bf16, plain or permuted; gradient likewise; codes and scales of these types and shapes; outputs.
tern_status infer_coded_update(InferArgs& a, DType m, DType v, const Shape& scales);
// The operands of a node at inputs 0 to 8; the states are copied to the outputs where they lie elsewhere.
CodedUpdate coded_update(const RefArgs& a);
// The step for a block: moments as f32.
void coded_step(const CodedUpdate& u, float* __restrict p, float* __restrict m, float* __restrict v,
                const float* __restrict gradient);
void load_floats(const RefTensor& t, int64_t first, int64_t n, float* to);
void store_floats(const RefTensor& t, int64_t first, int64_t n, const float* from);

// Blocks [begin, end) of adamw8_update.
void adamw8_blocks(const CodedUpdate& u, int64_t begin, int64_t end);
// adamw_fp8_update: first the largest |m| and v of the new moments in blocks [begin, end); then the scales that follow
// from those of all (kept where they are 0 or not finite); then the update; the scales are written last.
void adamw_fp8_largest(const CodedUpdate& u, int64_t begin, int64_t end, float largest[2]);
void adamw_fp8_scales(const CodedUpdate& u, const float largest[2], float scales[2]);
void adamw_fp8_blocks(const CodedUpdate& u, const float scales[2], int64_t begin, int64_t end);

// ---- checks ----

// Output k = type, shape and encoding of input k.
void set_written(InferArgs& a);
// Input i is a scalar of this type, or absent.
tern_status require_scalar(const InferArgs& a, int i, DType dtype);
// A parameter, `moments` of its shape, a gradient, an f32 rate; outputs.
tern_status infer_update(InferArgs& a, int moments);

// ---- pieces of decompositions ----

// Input i as plain f32.
ValueId read_f32(DecomposeArgs& a, int i);
// Output k: state k gets this f32 content.
void write_f32(DecomposeArgs& a, int k, ValueId content);
ValueId constant_f32(Graph& g, double value);
// a + b c
ValueId add_product(Graph& g, ValueId a, ValueId b, ValueId c);
// p (1 - rate weight_decay factor): decoupled weight decay. factor: input i, 1 if absent.
ValueId decayed(DecomposeArgs& a, ValueId p, ValueId rate, double weight_decay, int factor);
// f32 scalar 1 - beta^step, of an i64 scalar step.
ValueId bias_correction(Graph& g, double beta, ValueId step);

}  // namespace tern
