// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/recurrence.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/formulas.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu::TERN_ISA {

extern const ElementwiseKernels elementwise_kernels;
extern const MatmulKernels matmul_kernels;

namespace {

TERN_INLINE Vec read(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_part(p, lanes); }
TERN_INLINE void write(float* p, Vec v, int lanes) { lanes == kLanes ? store(p, v) : store_part(p, v, lanes); }

// f(first element, lanes) for vectors of n elements.
template <class F>
TERN_INLINE void each_vector(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, kLanes);
  if (i < n) f(i, (int)(n - i));
}

void add_rows(const float* a, const float* b, float* y, int64_t n) {
  each_vector(n, [&](int64_t i, int k) { write(y + i, read(a + i, k) + read(b + i, k), k); });
}
// y += a * b
void add_products(const float* a, const float* b, float* y, int64_t n) {
  each_vector(n, [&](int64_t i, int k) { write(y + i, fma(read(a + i, k), read(b + i, k), read(y + i, k)), k); });
}

struct Run {
  const RecurrenceArgs& a;
  int64_t first, count;  // sequences
  float *bias,
      *last_bias;       // [gates * hidden] that sums start from; [hidden] of r's last gate, which gru may keep apart
  float *sums, *other;  // [count, gates * hidden], [count, hidden]

  void activate(float* v, int64_t n, int which) const {
    if (a.clip > 0)
      each_vector(n, [&](int64_t i, int k) { write(v + i, clip(read(v + i, k), splat(-a.clip), splat(a.clip)), k); });
    if (a.activation[which].kind != Elementwise::none) elementwise_kernels.unary_row(a.activation[which], v, v, n);
  }

  // y += x r^T for gates [gate, gate + gates), y with rows y_step apart. Panels begin at gate 0, and at each of gru's.
  void add_product(const float* x, int64_t gate, int64_t gates, float* y, int64_t y_step) const {
    const Epilogue none;
    PanelRows p;
    p.a = &x, p.run_length = a.hidden, p.a_stride = a.hidden, p.rows = count;
    p.n = p.n_end = gates * a.hidden, p.k = a.hidden;
    p.w = (const char*)a.r + gate * panel_elements(a.hidden, a.hidden) * (int64_t)sizeof(float);
    p.y = y, p.y_stride = y_step, p.load_y = 1, p.epilogue = &none;
    matmul_kernels.panel_rows(p);
  }

  void prepare_bias() const {
    const int64_t n = a.hidden, row = a.gates() * n;
    for (int64_t i = 0; i < row; ++i) bias[i] = a.bias ? a.bias[i] : 0;
    for (int64_t i = 0; i < n; ++i) last_bias[i] = a.bias ? a.bias[2 * row - n + i] : 0;
    const bool apart = a.cell == RecurrenceCell::gru && a.linear_before_reset;
    for (int64_t i = 0; a.bias && i < row - (apart ? n : 0); ++i) bias[i] += a.bias[row + i];
  }

  // ---- the products of all sequences, then what follows for one: sums s, states h and c

  void rnn_products(float* h) const { add_product(h, 0, 1, sums, a.hidden); }
  void rnn(float* s, float* h) const {
    activate(s, a.hidden, 0);
    for (int64_t i = 0; i < a.hidden; ++i) h[i] = s[i];
  }

  void gru_products(float* h) const {
    const int64_t n = a.hidden;
    add_product(h, 0, 1, sums, 3 * n);
    add_product(h, 1, 1, sums + n, 3 * n);
    if (a.linear_before_reset) {
      for (int64_t i = 0; i < count * n; ++i) other[i] = last_bias[i % n];
      add_product(h, 2, 1, other, n);
    }
    for (int64_t q = 0; q < count; ++q) {
      float *s = sums + q * 3 * n, *r = s + n, *t = other + q * n;
      activate(s, 2 * n, 0);
      if (a.linear_before_reset) add_products(r, t, s + 2 * n, n);
      else each_vector(n, [&](int64_t i, int k) { write(t + i, read(r + i, k) * read(h + q * n + i, k), k); });
    }
    if (!a.linear_before_reset) add_product(other, 2, 1, sums + 2 * n, 3 * n);
  }
  void gru(float* z, float* h) const {
    const int64_t n = a.hidden;
    const float* candidate = z + 2 * n;
    activate(z + 2 * n, n, 1);
    each_vector(n, [&](int64_t i, int k) {
      const Vec v = read(z + i, k);
      write(h + i, fma(v, read(h + i, k), (splat(1) - v) * read(candidate + i, k)), k);
    });
  }

  void lstm_products(float* h) const { add_product(h, 0, 4, sums, 4 * a.hidden); }
  void lstm(float* s, float* h, float* c) const {
    const int64_t n = a.hidden;
    float *in = s, *out = s + n, *forget = s + 2 * n, *next = s + 3 * n;
    if (a.peepholes) {
      add_products(a.peepholes, c, in, n);
      add_products(a.peepholes + 2 * n, c, forget, n);
      activate(in, n, 0);
      if (!a.input_forget) activate(forget, n, 0);
    } else {
      activate(in, a.input_forget ? 2 * n : 3 * n, 0);
    }
    activate(next, n, 1);
    each_vector(n, [&](int64_t i, int k) {
      const Vec v = read(in + i, k), f = a.input_forget ? splat(1) - v : read(forget + i, k);
      const Vec sum = fma(f, read(c + i, k), v * read(next + i, k));
      write(c + i, sum, k);
      write(next + i, sum, k);
    });
    if (a.peepholes) {
      add_products(a.peepholes + n, c, out, n);
      activate(out, n, 0);
    }
    activate(next, n, 2);
    each_vector(n, [&](int64_t i, int k) { write(h + i, read(out + i, k) * read(next + i, k), k); });
  }

  void token(int64_t t) const {
    const int64_t n = a.hidden, row = a.gates() * n;
    float *h = a.h + first * n, *c = a.c + first * n;
    for (int64_t q = 0; q < count; ++q) add_rows(a.x + (t * a.batch + first + q) * row, bias, sums + q * row, row);
    switch (a.cell) {
      case RecurrenceCell::rnn: rnn_products(h); break;
      case RecurrenceCell::gru: gru_products(h); break;
      case RecurrenceCell::lstm: lstm_products(h); break;
    }
    for (int64_t q = 0; q < count; ++q) {
      float *s = sums + q * row, *y = a.y + (t * a.batch + first + q) * n, *state = h + q * n;
      const bool active = !a.lengths || t < a.lengths[first + q];
      if (active) {
        switch (a.cell) {
          case RecurrenceCell::rnn: rnn(s, state); break;
          case RecurrenceCell::gru: gru(s, state); break;
          case RecurrenceCell::lstm: lstm(s, state, c + q * n); break;
        }
      }
      for (int64_t i = 0; i < n; ++i) y[i] = active ? state[i] : 0;
    }
  }
};

void run(const void* args, int64_t begin, int64_t end, void* scratch) {
  const RecurrenceArgs& a = *(const RecurrenceArgs*)args;
  const int64_t n = a.hidden, row = a.gates() * n, count = end - begin;
  float *bias = (float*)scratch, *last_bias = bias + row, *sums = last_bias + n, *other = sums + count * row;
  const Run r{a, begin, count, bias, last_bias, sums, other};
  r.prepare_bias();
  for (int64_t i = begin * n; i < end * n; ++i) a.h[i] = a.first_h ? a.first_h[i] : 0;
  for (int64_t i = begin * n; a.c && i < end * n; ++i) a.c[i] = a.first_c ? a.first_c[i] : 0;
  for (int64_t i = 0; i < a.tokens; ++i) r.token(a.reverse ? a.tokens - 1 - i : i);
}

}  // namespace

extern const RecurrenceKernels recurrence_kernels;
const RecurrenceKernels recurrence_kernels = {run};

}  // namespace tern::cpu::TERN_ISA
