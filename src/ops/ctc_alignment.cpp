// SPDX-License-Identifier: Apache-2.0
// ctc_alignment: connectionist temporal classification: -log of the probability of all ways to read the labels, with
//   blanks anywhere and between equal neighbours, one class a frame; by the forward-backward algorithm, in logarithms
//   log_p          float [time, batch, classes], logarithms of probabilities
//   labels         integer [batch, length], those behind a row's label length are not read
//   input_lengths, label_lengths  integer [batch] (absent: time, length)
//   loss           [batch], type of log_p; where no way exists infinity, or 0 with zero_infinity
//   posterior      like log_p: how probable it is, given the labels, that the frame reads the class; 0 where no way
//                  exists and behind the input length
//   d log_p = -dloss * posterior; the posterior is not differentiated (TERN_ERR_UNSUPPORTED)
//   a label outside [0, classes), one that is the blank, or a length outside its dim is TERN_ERR_INDEX
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/checked.h"
#include "ops/loss.h"
#include "ops/reshape.h"
#include "ops/unary.h"

namespace tern {

tern_status require_ctc(const InferArgs& a, int64_t blank) {
  constexpr int64_t kMost = (int64_t)1 << 27;  // states of one sequence at all frames
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 3));
  TERN_TRY(require_integer(a, 1));
  TERN_TRY(require_rank(a, 1, 2));
  const Shape &x = a.in(0).shape, &labels = a.in(1).shape;
  TERN_TRY(require_shape(a, 1, Shape{x[1], labels[1]}));
  for (int i = 2; i < 4; ++i) {
    if (!a.has(i)) continue;
    TERN_TRY(require_integer(a, i));
    TERN_TRY(require_shape(a, i, Shape{x[1]}));
  }
  if (blank >= x[2])
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: the blank is %" PRId64 " of %" PRId64 " classes", a.node.op->name,
                     blank, x[2]);
  int64_t states;
  if (!checked_mul(labels[1], (int64_t)2, &states) || !checked_add(states, (int64_t)1, &states) ||
      !checked_mul(x[0], states, &states) || states > kMost)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: %" PRId64 " frames and %" PRId64 " labels are too many", a.node.op->name,
                     x[0], labels[1]);
  return TERN_OK;
}

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();  // log of 0

double add_logs(double a, double b) {
  if (a == kNever || b == kNever) return a == kNever ? b : a;
  return std::fmax(a, b) + std::log1p(std::exp(-std::fabs(a - b)));
}

// One sequence of the batch: its states are blank, label 0, blank, label 1, .., blank.
struct Sequence {
  const RefTensor& log_p;
  int64_t item, frames, blank;
  std::vector<int64_t> labels;
  std::vector<double> forward;  // [frames, states] log of the probability of all ways to be here after this frame

  int64_t states() const { return 2 * (int64_t)labels.size() + 1; }
  int64_t read(int64_t s) const { return s % 2 ? labels[(size_t)(s / 2)] : blank; }
  bool skips(int64_t s) const { return s >= 2 && s % 2 && read(s) != read(s - 2); }  // may come from s - 2
  double log_prob(int64_t t, int64_t s) const {
    return log_p.load((t * log_p.shape[1] + item) * log_p.shape[2] + read(s));
  }
  double& at(int64_t t, int64_t s) { return forward[(size_t)(t * states() + s)]; }

  // Returns the log of the probability of all ways.
  double go_forward() {
    if (frames == 0) return labels.empty() ? 0 : kNever;
    forward.assign((size_t)(frames * states()), kNever);
    for (int64_t s = 0; s < std::min<int64_t>(2, states()); ++s) at(0, s) = log_prob(0, s);
    for (int64_t t = 1; t < frames; ++t)
      for (int64_t s = 0; s < states(); ++s) {
        double sum = at(t - 1, s);
        if (s >= 1) sum = add_logs(sum, at(t - 1, s - 1));
        if (skips(s)) sum = add_logs(sum, at(t - 1, s - 2));
        at(t, s) = sum + log_prob(t, s);
      }
    const double end = at(frames - 1, states() - 1);
    return labels.empty() ? end : add_logs(end, at(frames - 1, states() - 2));
  }

  void store_posterior(double whole, const RefTensor& y) {
    const int64_t n = states(), classes = log_p.shape[2];
    std::vector<double> after((size_t)n, kNever), before((size_t)n), row((size_t)classes);
    for (int64_t s = std::max<int64_t>(0, n - 2); s < n; ++s) after[(size_t)s] = 0;
    for (int64_t t = frames; t-- > 0;) {
      row.assign((size_t)classes, 0);
      for (int64_t s = 0; s < n; ++s) row[(size_t)read(s)] += std::exp(at(t, s) + after[(size_t)s] - whole);
      for (int64_t c = 0; c < classes; ++c) y.store((t * log_p.shape[1] + item) * classes + c, row[(size_t)c]);
      before.assign((size_t)n, kNever);
      for (int64_t s = 0; s < n; ++s) {
        const double here = after[(size_t)s] + log_prob(t, s);
        for (int64_t from : {s, s - 1, s - 2})
          if (from >= 0 && (from > s - 2 || skips(s))) before[(size_t)from] = add_logs(before[(size_t)from], here);
      }
      after.swap(before);
    }
  }
};

// A length of the batch's item, at most `most`.
tern_status length_of(const RefArgs& a, int input, int64_t item, int64_t most, int64_t* length) {
  *length = a.has(input) ? a.in(input).load_int(item) : most;
  if (*length >= 0 && *length <= most) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INDEX, "ctc_alignment: length %" PRId64 " of item %" PRId64 " is outside 0 to %" PRId64,
                   *length, item, most);
}

tern_status infer(InferArgs& a) {
  TERN_TRY(require_ctc(a, a.attrs<CtcAttrs>().blank));
  a.set(0, a.in(0).dtype, Shape{a.in(0).shape[1]});
  a.set(1, a.in(0).dtype, a.in(0).shape);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &labels = a.in(1), &posterior = a.out(1);
  const CtcAttrs& p = a.attrs<CtcAttrs>();
  for (int64_t i = 0, n = posterior.elements(); i < n; ++i) posterior.store(i, 0);
  for (int64_t i = 0; i < x.shape[1]; ++i) {
    Sequence q{x, i, 0, p.blank, {}, {}};
    int64_t length;
    TERN_TRY(length_of(a, 2, i, x.shape[0], &q.frames));
    TERN_TRY(length_of(a, 3, i, labels.shape[1], &length));
    for (int64_t k = 0; k < length; ++k) {
      const int64_t label = labels.load_int(i * labels.shape[1] + k);
      if (label < 0 || label >= x.shape[2] || label == p.blank)
        return TERN_FAIL(TERN_ERR_INDEX,
                         "ctc_alignment: label %" PRId64 " of item %" PRId64 " is the blank or outside 0 to %" PRId64,
                         label, i, x.shape[2] - 1);
      q.labels.push_back(label);
    }
    const double whole = q.go_forward();
    a.out(0).store(i, whole == kNever && p.zero_infinity ? 0 : -whole);
    if (whole != kNever) q.store_posterior(whole, posterior);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (refuse_second_gradient(a, 1) || a.dout(0) == kNoValue) return;
  const ValueId dloss = emit(a.g, "reshape", {a.dout(0)}, ReshapeAttrs{.shape = {0, 1}});
  a.set(0, neg(a.g, mul(a.g, a.out(1), dloss)));
}

constexpr AttrField kFields[] = {TERN_ATTR(CtcAttrs, blank, integer, 0, 1e9),
                                 TERN_ATTR(CtcAttrs, zero_infinity, integer, 0, 1)};

constexpr Case kCases[] = {
    {"whole", "f32[6,2,5]:-4..-0.5 i64[2,2]{1,2,3,3}", "", 1e-4},
    {"lengths", "f32[7,3,5]:-4..-0.5 i64[3,3]{1,1,4,2,-1,-1,3,4,9} i64[3]{7,5,6} i32[3]{3,1,2}", "", 1e-4},
    {"blank", "f32[5,2,4]:-4..-0.5 i32[2,2]{0,1,2,2}", "blank=3", 1e-4},
    {"no_labels", "f32[3,1,4]:-4..-0.5 i64[1,2] - i64[1]{0}", "", 1e-4},
    {"zero_infinity", "f32[2,2,4]:-4..-0.5 i64[2,2]{1,1,1,2}", "zero_infinity=1", 1e-4},
    {"certain", "f32[2,1,2]{-1e9,0,0,-1e9} i64[1,1]{1}"},
    {"half", "f16[6,2,5]:-4..-0.5 i64[2,2]{1,2,3,3}", "", 5e-3},
    {"no_batch", "f32[3,0,4] i64[0,2]"},
    {"over", "f32[3,1,4] i64[1,1]{4}", "", 0, TERN_ERR_INDEX},
    {"under", "f32[3,1,4] i64[1,1]{-1}", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[3,1,4] i64[1,1]{9223372036854775807}", "", 0, TERN_ERR_INDEX},
    {"a_blank", "f32[3,1,4] i64[1,1]{0}", "", 0, TERN_ERR_INDEX},
    {"frames", "f32[3,1,4] i64[1,1]{1} i64[1]{4}", "", 0, TERN_ERR_INDEX},
    {"no_length", "f32[3,1,4] i64[1,1]{1} - i64[1]{-1}", "", 0, TERN_ERR_INDEX},
    {"blank_over", "f32[3,1,4] i64[1,1]", "blank=4", 0, TERN_ERR_INVALID_ARGUMENT},
    {"many", "f32[100000,0,2] i64[0,1000000]", "", 0, TERN_ERR_LIMIT},
    {"batch", "f32[3,2,4] i64[1,1]", "", 0, TERN_ERR_SHAPE},
    {"lengths_shape", "f32[3,1,4] i64[1,1] i64[]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,4] i64[1,1]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3,1,4] f32[1,1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_ctc_alignment = checked_op({.name = "ctc_alignment",
                                                         .min_in = 2,
                                                         .max_in = 4,
                                                         .num_out = 2,
                                                         .capability = Capability::training,
                                                         .attributes = attr_schema<CtcAttrs>(kFields),
                                                         .infer = infer,
                                                         .reference = reference,
                                                         .vjp = vjp,
                                                         .cases = TERN_CASES(kCases)});

}  // namespace tern
