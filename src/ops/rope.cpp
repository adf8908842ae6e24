// SPDX-License-Identifier: Apache-2.0
// rope: rotary embedding. The first `dims` numbers of every head of row r are turned in pairs (a, b) by the angles
// position[r] * frequency(pair): (a cos - b sin, b cos + a sin), times the scale of yarn; the others stay
//   x  float [rows, ..., dim]; position  integers [rows]
//   frequency(i) = base ^ (-2 i / dims), changed by `scaling`:
//     linear       / factor
//     dynamic_ntk  with base * (factor * n / o - factor + 1) ^ (dims / (dims - 2)), n = max(position + 1, o) and o =
//                  original_positions. (Each row goes by its own position, as in decoding: so it does not depend on its
//                  neighbours)
//     llama3       wave lengths above o / low_freq_factor: / factor; below o / high_freq_factor: as they are; between
//                  them a mixture, linear in o / wave length
//     yarn         pairs that turn more than beta_fast times within o positions: as they are; less than beta_slow
//                  times: / factor; between them a mixture, linear in i
//   y  as x. dx = the same turn backwards
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstddef>

#include "ops/rope.h"

namespace tern {
namespace {

constexpr double kTurn = 6.283185307179586;

// The pair, as a real number, that turns so many times within the original positions.
double pair_of_turns(const RopeAttrs& a, int64_t dims, double turns) {
  return (double)dims * std::log((double)a.original_positions / (turns * kTurn)) / (2 * std::log(a.base));
}

double yarn_frequency(const RopeAttrs& a, int64_t dims, int64_t i, double plain) {
  const double low = std::max(std::floor(pair_of_turns(a, dims, a.beta_fast)), 0.0);
  double high = std::min(std::ceil(pair_of_turns(a, dims, a.beta_slow)), (double)dims - 1);
  if (low == high) high += 0.001;
  const double slow = std::clamp(((double)i - low) / (high - low), 0.0, 1.0);
  return plain / a.factor * slow + plain * (1 - slow);
}

double llama3_frequency(const RopeAttrs& a, double plain) {
  const double original = (double)a.original_positions, length = kTurn / plain;
  if (length > original / a.low_freq_factor) return plain / a.factor;
  if (length < original / a.high_freq_factor) return plain;
  const double smooth = (original / length - a.low_freq_factor) / (a.high_freq_factor - a.low_freq_factor);
  return (1 - smooth) * plain / a.factor + smooth * plain;
}

}  // namespace

double rope_frequency(const RopeAttrs& a, int64_t dims, int64_t i, int64_t position) {
  double base = a.base;
  if ((RopeScaling)a.scaling == RopeScaling::dynamic_ntk && dims > 2 && position >= a.original_positions)
    base *= std::pow(a.factor * ((double)position + 1) / (double)a.original_positions - (a.factor - 1),
                     (double)dims / (double)(dims - 2));
  const double plain = std::pow(base, -2 * (double)i / (double)dims);
  switch ((RopeScaling)a.scaling) {
    case RopeScaling::none:
    case RopeScaling::dynamic_ntk: return plain;
    case RopeScaling::linear: return plain / a.factor;
    case RopeScaling::llama3: return llama3_frequency(a, plain);
    case RopeScaling::yarn: return yarn_frequency(a, dims, i, plain);
  }
  return plain;
}

double rope_scale(const RopeAttrs& a) {
  if ((RopeScaling)a.scaling != RopeScaling::yarn) return 1;
  if (a.attention_factor > 0) return a.attention_factor;
  return a.factor > 1 ? 0.1 * std::log(a.factor) + 1 : 1;
}

namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_integer(a, 1));
  const RopeAttrs& p = a.attrs<RopeAttrs>();
  const Shape& x = a.in(0).shape;
  if (x.rank < 2 || !(a.in(1).shape == Shape{x[0]}))
    return TERN_FAIL(TERN_ERR_SHAPE, "rope: positions %s for rows of shape %s", to_string(a.in(1).shape).c_str(),
                     to_string(x).c_str());
  const int64_t dims = p.dims ? p.dims : x[x.rank - 1];
  if (dims % 2 != 0 || dims > x[x.rank - 1])
    return TERN_FAIL(TERN_ERR_SHAPE, "rope: %" PRId64 " of %" PRId64 " numbers cannot turn in pairs", dims,
                     x[x.rank - 1]);
  const RopeScaling scaling = (RopeScaling)p.scaling;
  if (scaling != RopeScaling::none && scaling != RopeScaling::linear && p.original_positions < 1)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "rope: this scaling needs original_positions");
  if ((scaling == RopeScaling::llama3 && p.high_freq_factor <= p.low_freq_factor) ||
      (scaling == RopeScaling::yarn && p.beta_fast < p.beta_slow))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "rope: the limits of the scaling are in the wrong order");
  a.set(0, a.in(0).dtype, x);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RopeAttrs& p = a.attrs<RopeAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  const int64_t dim = x.shape[x.shape.rank - 1], dims = p.dims ? p.dims : dim, half = dims / 2;
  const int64_t width = x.elements() / x.shape[0];  // of a row
  const double scale = rope_scale(p), sign = p.inverse ? -1 : 1;
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    const int64_t position = a.in(1).load_int(r);
    for (int64_t at = r * width; at < (r + 1) * width; at += dim) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle = (double)position * rope_frequency(p, dims, i, position);
        const double c = std::cos(angle) * scale, s = sign * std::sin(angle) * scale;
        const int64_t first = at + (p.interleaved ? 2 * i : i), second = first + (p.interleaved ? 1 : half);
        const double u = x.load(first), v = x.load(second);
        y.store(first, u * c - v * s);
        y.store(second, v * c + u * s);
      }
      for (int64_t i = dims; i < dim; ++i) y.store(at + i, x.load(at + i));
    }
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (!a.wanted(0)) return;
  RopeAttrs p = a.attrs<RopeAttrs>();
  p.inverse = !p.inverse;
  a.set(0, emit(a.g, "rope", {a.dout(0), a.in(1)}, p));
}

constexpr const char* kScalings[] = {"none", "linear", "dynamic_ntk", "llama3", "yarn"};
constexpr AttrField kFields[] = {TERN_ATTR(RopeAttrs, dims, integer, 0, 1e9),
                                 TERN_ATTR(RopeAttrs, interleaved, integer, 0, 1),
                                 TERN_ATTR(RopeAttrs, base, number, 1.0001, 1e15),
                                 TERN_ATTR(RopeAttrs, scaling, choice, 0, 4, kScalings),
                                 TERN_ATTR(RopeAttrs, factor, number, 1e-3, 1e6),
                                 TERN_ATTR(RopeAttrs, original_positions, integer, 0, 1e12),
                                 TERN_ATTR(RopeAttrs, low_freq_factor, number, 1e-6, 1e6),
                                 TERN_ATTR(RopeAttrs, high_freq_factor, number, 1e-6, 1e6),
                                 TERN_ATTR(RopeAttrs, beta_fast, number, 1e-6, 1e6),
                                 TERN_ATTR(RopeAttrs, beta_slow, number, 1e-6, 1e6),
                                 TERN_ATTR(RopeAttrs, attention_factor, number, 0, 1e6),
                                 TERN_ATTR(RopeAttrs, inverse, integer, 0, 1)};

constexpr Case kCases[] = {
    {"halves", "f32[3,2,8] i64[3]{0,1,7}"},
    {"interleaved", "f32[3,2,8] i64[3]{0,1,7}", "interleaved=1"},
    {"far", "f32[2,1,64] i64[2]{4095,131071}"},
    {"before", "f32[1,1,4] i64[1]{-3}"},
    {"part", "f32[3,2,10] i64[3]{2,3,4}", "dims=6"},
    {"part_interleaved", "f32[3,2,10] i64[3]{2,3,4}", "dims=4 interleaved=1"},
    {"base", "f32[2,1,16] i64[2]{5,900}", "base=500000"},
    {"linear", "f32[2,1,8] i64[2]{5,900}", "scaling=linear factor=4"},
    {"dynamic_ntk", "f32[3,1,8] i64[3]{5,99,900}", "scaling=dynamic_ntk factor=2 original_positions=100"},
    {"llama3", "f32[2,1,64] i64[2]{5,900}",
     "scaling=llama3 base=500000 factor=8 original_positions=8192 low_freq_factor=1 high_freq_factor=4"},
    {"yarn", "f32[2,1,64] i64[2]{5,900}", "scaling=yarn factor=4 original_positions=2048"},
    {"yarn_factor", "f32[2,1,16] i64[2]{5,900}",
     "scaling=yarn factor=16 original_positions=64 attention_factor=0.9 beta_fast=8 beta_slow=2"},
    {"back", "f32[2,1,8] i64[2]{5,900}", "inverse=1"},
    {"flat", "f32[2,8] i32[2]{1,2}"},
    {"deep", "f32[2,2,3,4] i32[2]{1,2}"},
    {"half", "f16[2,2,8] i64[2]{1,2}", "", 2e-3},
    {"rows", "f32[70,2,8] i64[70]"},
    {"nothing", "f32[0,2,8] i64[0]"},
    {"no_dim", "f32[2,2,0] i64[2]{1,2}"},
    {"huge", "f32[1,1,4] i64[1]{-9223372036854775808}"},
    {"odd", "f32[2,2,7] i64[2]{1,2}", "", 0, TERN_ERR_SHAPE},
    {"too_many", "f32[2,2,8] i64[2]{1,2}", "dims=10", 0, TERN_ERR_SHAPE},
    {"odd_part", "f32[2,2,8] i64[2]{1,2}", "dims=3", 0, TERN_ERR_SHAPE},
    {"positions", "f32[2,2,8] i64[3]{1,2}", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[8] i64[8]{1,2}", "", 0, TERN_ERR_SHAPE},
    {"no_length", "f32[2,2,8] i64[2]{1,2}", "scaling=yarn factor=4", 0, TERN_ERR_INVALID_ARGUMENT},
    {"wrong_order", "f32[2,2,8] i64[2]{1,2}",
     "scaling=llama3 factor=4 original_positions=9 low_freq_factor=4 high_freq_factor=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "i32[2,2,8] i64[2]{1,2}", "", 0, TERN_ERR_TYPE},
    {"position_type", "f32[2,2,8] f32[2]{1,2}", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_rope = checked_op({.name = "rope",
                                                .min_in = 2,
                                                .max_in = 2,
                                                .flags = kInPlace,
                                                .capability = Capability::text,
                                                .attributes = attr_schema<RopeAttrs>(kFields),
                                                .infer = infer,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
