// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/elementwise.h"

#include <string.h>

#include "kernels/cpu/formulas.h"
#include "kernels/cpu/rows_f64.h"

namespace tern::cpu::TERN_ISA_F64 {
extern const RowsF64Kernels rows_f64_kernels;
}
namespace tern::cpu::TERN_ISA {

namespace {

// ---- rows of f32 ----

template <class F>
void map_row(const float* x, float* y, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(x + i)));
  if (i < n) store_part(y + i, f(load_part(x + i, (int)(n - i))), (int)(n - i));
}

// For long formulas: the tail goes through the same loop, so that the code is there once.
template <class F>
void map_row_long(const float* x, float* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const bool whole = i + kLanes <= n;
    const Vec v = f(whole ? load(x + i) : load_part(x + i, (int)(n - i)));
    if (whole) store(y + i, v);
    else store_part(y + i, v, (int)(n - i));
  }
}

// f32 -> f32 only; other forms do nothing.
void unary_row(const ElementwiseStep& op, const float* x, float* y, int64_t n) {
  const Vec p0 = splat((float)op.p0), p1 = splat((float)op.p1);
  with_formula(
      op.kind, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (formula.form == Form::unary) map_row(x, y, n, [=](Vec v) { return apply(formula.f, v, p0, p1); });
        if constexpr (formula.form == Form::long_unary)
          map_row_long(x, y, n, [=](Vec v) { return apply(formula.f, v, p0, p1); });
        if constexpr (formula.form == Form::one_by_one)
          for (int64_t i = 0; i < n; ++i) y[i] = formula.f(x[i]);
      });
}

// At most one of a and b is a scalar.
template <class F>
void map_rows(const float* a, int a_scalar, const float* b, int b_scalar, float* y, int64_t n, F f) {
  int64_t i = 0;
  const int tail = (int)(n % kLanes);
  if (a_scalar) {
    const Vec s = splat(*a);
    for (; i + kLanes <= n; i += kLanes) store(y + i, f(s, load(b + i)));
    if (tail) store_part(y + i, f(s, load_part(b + i, tail)), tail);
  } else if (b_scalar) {
    const Vec s = splat(*b);
    for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(a + i), s));
    if (tail) store_part(y + i, f(load_part(a + i, tail), s), tail);
  } else {
    for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(a + i), load(b + i)));
    if (tail) store_part(y + i, f(load_part(a + i, tail), load_part(b + i, tail)), tail);
  }
}

template <class F>
void map_scalar_pairs(const float* a, int a_scalar, const float* b, int b_scalar, float* y, int64_t n, F f) {
  const float a0 = n > 0 ? *a : 0, b0 = n > 0 ? *b : 0;  // y may be a or b
  for (int64_t i = 0; i < n; ++i) y[i] = f(a_scalar ? a0 : a[i], b_scalar ? b0 : b[i]);
}

void binary_row(Elementwise op, const float* a, int a_scalar, const float* b, int b_scalar, float* y, int64_t n) {
  float both;
  if (a_scalar && b_scalar) {  // one value: compute it, then spread it
    if (n <= 0) return;
    binary_row(op, a, 0, b, 0, &both, 1);
    for (int64_t i = 0; i < n; ++i) y[i] = both;
    return;
  }
  if (op == Elementwise::pow && b_scalar && *b == 2.0f) return unary_row({Elementwise::square}, a, y, n);
  if (op == Elementwise::pow && b_scalar && *b == 1.0f) return unary_row({Elementwise::identity}, a, y, n);
  with_formula(
      op, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (formula.form == Form::binary) map_rows(a, a_scalar, b, b_scalar, y, n, formula.f);
        if constexpr (formula.form == Form::pair_by_pair) map_scalar_pairs(a, a_scalar, b, b_scalar, y, n, formula.f);
      });
}

// ---- rows of other types ----

// Comparisons, and arithmetic of i32 (then R is int32_t), which compilers make vectors of: blocks of one size, so that
// there is one loop of each kind.
template <class T, class R>
[[gnu::noinline]] void pairs_in_blocks(Elementwise op, const T* a, const T* b, R* y, int64_t n) {
  constexpr int64_t kBlock = 16;
  const int64_t whole = n - n % kBlock;
  const auto each_block = [=](auto f) __attribute__((always_inline)) {
    for (int64_t i = 0; i < whole; i += kBlock) {
      R r[kBlock];
      for (int k = 0; k < kBlock; ++k) r[k] = (R)f(a[i + k], b[i + k]);
      memcpy(y + i, r, sizeof r);
    }
  };
  with_formula(
      op, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (sizeof(R) == 1 && formula.form == Form::comparison) each_block(formula.f);
        if constexpr (sizeof(R) > 1 && formula.form == Form::binary && formula.has_integer) each_block(formula.integer);
      });
  if (whole == n) return;
  const size_t left = (size_t)(n - whole);
  T rest[2][kBlock] = {};
  R last[kBlock];
  memcpy(rest[0], a + whole, left * sizeof *a), memcpy(rest[1], b + whole, left * sizeof *b);
  pairs_in_blocks(op, rest[0], rest[1], last, kBlock);
  memcpy(y + whole, last, left * sizeof *y);
}

// Other integers are rare and small (shapes, masks, indices): plain loops, a tenth of the code that vectors would take.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-tree-vectorize")
#endif

// What integers become.
template <class T>
void other_pairs(Elementwise op, const T* a, const T* b, void* y, int64_t n) {
  with_formula(
      op, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (formula.form == Form::comparison)
          for (int64_t i = 0; i < n; ++i) ((uint8_t*)y)[i] = formula.f(a[i], b[i]);
        if constexpr (formula.form == Form::bit_pairs)
          for (int64_t i = 0; i < n; ++i) ((T*)y)[i] = (T)formula.f(a[i], b[i]);
        if constexpr (formula.form >= Form::binary && formula.form <= Form::pair_by_pair && formula.has_integer)
          for (int64_t i = 0; i < n; ++i) ((T*)y)[i] = (T)formula.integer(a[i], b[i]);
      });
}

template <class T>
void integers(Elementwise op, const T* x, T* y, int64_t n) {
  with_formula(
      op, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (formula.form == Form::bits)
          for (int64_t i = 0; i < n; ++i) y[i] = (T)formula.f(x[i]);
        if constexpr (formula.form == Form::unary && formula.has_integer)
          for (int64_t i = 0; i < n; ++i) y[i] = (T)formula.integer(x[i]);
      });
}

void truths(Elementwise op, const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t n) {
  with_formula(
      op, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (formula.form == Form::truth)
          for (int64_t i = 0; i < n; ++i) y[i] = formula.f(a[i] != 0);
        if constexpr (formula.form == Form::truth_pairs)
          for (int64_t i = 0; i < n; ++i) y[i] = formula.f(a[i] != 0, b[i] != 0);
      });
}

template <class T>
void predicates(const ElementwiseStep& op, const T* x, uint8_t* y, int64_t n) {
  with_formula(
      op.kind, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (formula.form == Form::predicate)
          for (int64_t i = 0; i < n; ++i) y[i] = formula.f(x[i], op.p0, op.p1);
      });
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

// ---- blocks of broadcast operands ----

constexpr int64_t kChunk = 512;  // elements of an operand that is copied into order first
constexpr int kMaxOperands = 3;

struct Walk;
using RowFn = void (*)(const Walk& walk, const char* const* operand, const int* scalar, char* y, int64_t n);

// Takes units (see plan_blocks) apart into rows of which every operand is contiguous or one scalar.
struct Walk {
  const void* args;
  RowFn row;
  int operands, rank;
  int scalars;  // the row function takes scalars
  int y_size;
  int size[kMaxOperands];
  const char* base[kMaxOperands];
  const int64_t* strides[kMaxOperands];
  const int64_t* dims;
  char* y;
  int64_t block_rows, block_cols;
};

template <class T>
void pick(const T* x, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, T* y) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) *y++ = x[r * row_stride + c * col_stride];
}
void pick(const char* x, int size, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, char* y) {
  switch (size) {
    case 1: return pick((const uint8_t*)x, rows, cols, row_stride, col_stride, (uint8_t*)y);
    case 2: return pick((const uint16_t*)x, rows, cols, row_stride, col_stride, (uint16_t*)y);
    case 4: return pick((const uint32_t*)x, rows, cols, row_stride, col_stride, (uint32_t*)y);
    default: return pick((const uint64_t*)x, rows, cols, row_stride, col_stride, (uint64_t*)y);
  }
}

void walk_units(const Walk& w, int64_t begin, int64_t end) {
  alignas(64) char buffer[kMaxOperands][kChunk * 8];
  const int last = w.rank - 1;
  const int64_t inner = w.dims[last], all_rows = last > 0 ? w.dims[last - 1] : 1;
  const int64_t col_blocks = (inner + w.block_cols - 1) / w.block_cols,
                row_blocks = (all_rows + w.block_rows - 1) / w.block_rows;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t col = unit % col_blocks * w.block_cols, row = unit / col_blocks % row_blocks * w.block_rows;
    const int64_t outer = unit / col_blocks / row_blocks;
    const int64_t rows = all_rows - row < w.block_rows ? all_rows - row : w.block_rows;
    const int64_t cols = inner - col < w.block_cols ? inner - col : w.block_cols;
    const char* p[kMaxOperands];
    int64_t sr[kMaxOperands], sc[kMaxOperands];
    for (int k = 0; k < w.operands; ++k) {
      sr[k] = last > 0 ? w.strides[k][last - 1] : 0;
      sc[k] = w.strides[k][last];
      int64_t offset = row * sr[k] + col * sc[k], rest = outer;
      for (int d = last - 2; d >= 0; --d) {
        offset += rest % w.dims[d] * w.strides[k][d];
        rest /= w.dims[d];
      }
      p[k] = w.base[k] + offset * w.size[k];
    }
    char* y = w.y + ((outer * all_rows + row) * inner + col) * w.y_size;

    // Short rows are taken several at a time; a row vector that repeats is laid out once per unit.
    const bool flat = cols <= kChunk / 2 && cols == inner;
    const int64_t line = flat ? rows * cols : cols, lines = flat ? 1 : rows;
    bool direct[kMaxOperands], repeats[kMaxOperands], buffered = false;
    int scalar[kMaxOperands];
    for (int k = 0; k < w.operands; ++k) {
      const bool still = sc[k] == 0 || cols == 1, constant = flat ? still && (sr[k] == 0 || rows == 1) : still;
      scalar[k] = constant && w.scalars;
      direct[k] = scalar[k] || (flat ? (sc[k] == 1 || cols == 1) && (sr[k] == cols || rows == 1) : sc[k] == 1);
      if (constant && !w.scalars) direct[k] = false;
      repeats[k] = !direct[k] && (flat ? sr[k] == 0 : sc[k] == 0);
      buffered |= !direct[k];
    }
    const int64_t step = !buffered ? line : flat ? kChunk / cols * cols : kChunk;
    for (int64_t r = 0; r < lines; ++r) {
      for (int64_t i = 0; i < line; i += step) {
        const int64_t n = line - i < step ? line - i : step;
        const char* q[kMaxOperands];
        for (int k = 0; k < w.operands; ++k) {
          const char* at = p[k] + r * sr[k] * w.size[k];
          if (scalar[k]) {
            q[k] = at;
          } else if (direct[k]) {
            q[k] = at + i * w.size[k];
          } else {
            q[k] = buffer[k];
            if (repeats[k] && i > 0) continue;
            if (flat) pick(at + i / cols * sr[k] * w.size[k], w.size[k], n / cols, cols, sr[k], sc[k], buffer[k]);
            else pick(at + i * sc[k] * w.size[k], w.size[k], 1, n, 0, sc[k], buffer[k]);
          }
        }
        w.row(w, q, scalar, y + (r * line + i) * w.y_size, n);
      }
      if (!flat) y += (inner - cols) * w.y_size;
    }
  }
}

// ---- kernels ----

Form form_of(Elementwise kind) {
  Form form = Form::unary;
  with_formula(kind, [&](auto formula) { form = formula.form; });
  return form;
}

void float_row(const Walk& w, const char* const* p, const int* scalar, char* y, int64_t n) {
  const BinaryArgs& a = *(const BinaryArgs*)w.args;
  binary_row(a.op, (const float*)p[0], scalar[0], (const float*)p[1], scalar[1], (float*)y, n);
}

void double_row(const Walk& w, const char* const* p, const int* scalar, char* y, int64_t n) {
  const BinaryArgs& a = *(const BinaryArgs*)w.args;
  const double* operand[2] = {(const double*)p[0], (const double*)p[1]};
  const bool squares = a.op == Elementwise::pow && scalar[1] && *operand[1] == 2;
  const int other = squares ? 0 : 1;
  TERN_ISA_F64::rows_f64_kernels.binary_row(squares ? Elementwise::mul : a.op, operand[0], scalar[0], operand[other],
                                            scalar[other], (double*)y, n);
}

void other_row(const Walk& w, const char* const* p, const int*, char* y, int64_t n) {
  const BinaryArgs& a = *(const BinaryArgs*)w.args;
  uint8_t* truth = (uint8_t*)y;
  const Form form = form_of(a.op);
  switch (a.dtype) {
    case TERN_DTYPE_F32: return pairs_in_blocks(a.op, (const float*)p[0], (const float*)p[1], truth, n);
    case TERN_DTYPE_F64: return pairs_in_blocks(a.op, (const double*)p[0], (const double*)p[1], truth, n);
    case TERN_DTYPE_I32:
      if (form == Form::binary) pairs_in_blocks(a.op, (const int32_t*)p[0], (const int32_t*)p[1], (int32_t*)y, n);
      else if (form == Form::comparison) pairs_in_blocks(a.op, (const int32_t*)p[0], (const int32_t*)p[1], truth, n);
      else other_pairs(a.op, (const int32_t*)p[0], (const int32_t*)p[1], y, n);
      return;
    case TERN_DTYPE_I64: return other_pairs(a.op, (const int64_t*)p[0], (const int64_t*)p[1], y, n);
    default: return truths(a.op, (const uint8_t*)p[0], (const uint8_t*)p[1], truth, n);
  }
}

int size_of(int32_t dtype) {
  switch (dtype) {
    case TERN_DTYPE_F64:
    case TERN_DTYPE_I64: return 8;
    case TERN_DTYPE_BOOL: return 1;
    default: return 4;
  }
}

void binary(const void* args, int64_t begin, int64_t end, void*) {
  const BinaryArgs& a = *(const BinaryArgs*)args;
  const bool compares = form_of(a.op) == Form::comparison, floats = a.dtype == TERN_DTYPE_F32 && !compares,
             doubles = a.dtype == TERN_DTYPE_F64 && !compares;
  const int size = size_of(a.dtype);
  const Walk w = {args,
                  floats    ? float_row
                  : doubles ? double_row
                            : other_row,
                  2,
                  a.rank,
                  floats || doubles,
                  compares ? 1 : size,
                  {size, size, 0},
                  {(const char*)a.a, (const char*)a.b, nullptr},
                  {a.a_strides, a.b_strides, nullptr},
                  a.dims,
                  (char*)a.y,
                  a.block_rows,
                  a.block_cols};
  walk_units(w, begin, end);
}

template <class T>
void select_row(const uint8_t* c, const T* a, const T* b, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = c[i] ? a[i] : b[i];
}

void select_row(const Walk& w, const char* const* p, const int*, char* y, int64_t n) {
  const uint8_t* c = (const uint8_t*)p[0];
  switch (w.y_size) {
    case 1: return select_row(c, (const uint8_t*)p[1], (const uint8_t*)p[2], (uint8_t*)y, n);
    case 2: return select_row(c, (const uint16_t*)p[1], (const uint16_t*)p[2], (uint16_t*)y, n);
    case 4: return select_row(c, (const uint32_t*)p[1], (const uint32_t*)p[2], (uint32_t*)y, n);
    default: return select_row(c, (const uint64_t*)p[1], (const uint64_t*)p[2], (uint64_t*)y, n);
  }
}

void select_kernel(const void* args, int64_t begin, int64_t end, void*) {
  const SelectArgs& a = *(const SelectArgs*)args;
  const Walk w = {args,
                  select_row,
                  3,
                  a.rank,
                  0,
                  a.elem_size,
                  {1, a.elem_size, a.elem_size},
                  {(const char*)a.condition, (const char*)a.a, (const char*)a.b},
                  {a.condition_strides, a.a_strides, a.b_strides},
                  a.dims,
                  (char*)a.y,
                  a.block_rows,
                  a.block_cols};
  walk_units(w, begin, end);
}

void unary(const void* args, int64_t begin, int64_t end, void*) {
  const UnaryArgs& a = *(const UnaryArgs*)args;
  const int64_t first = begin * kUnaryBlock, stop = end * kUnaryBlock < a.count ? end * kUnaryBlock : a.count;
  const int64_t n = stop - first;
  if (n <= 0) return;
  const char* x = (const char*)a.x + first * size_of(a.dtype);
  char* y = (char*)a.y + first * size_of(a.dtype);
  const bool asks = form_of(a.op.kind) == Form::predicate;
  switch (a.dtype) {
    case TERN_DTYPE_I32: return integers(a.op.kind, (const int32_t*)x, (int32_t*)y, n);
    case TERN_DTYPE_I64: return integers(a.op.kind, (const int64_t*)x, (int64_t*)y, n);
    case TERN_DTYPE_BOOL: return truths(a.op.kind, (const uint8_t*)x, nullptr, (uint8_t*)y, n);
    case TERN_DTYPE_F64:
      if (asks) predicates(a.op, (const double*)x, (uint8_t*)a.y + first, n);
      else TERN_ISA_F64::rows_f64_kernels.unary_row(a.op, (const double*)x, (double*)y, n);
      return;
    default: break;
  }
  if (asks) predicates(a.op, (const float*)x, (uint8_t*)a.y + first, n);
  else unary_row(a.op, (const float*)x, (float*)y, n);
}

bool takes(Elementwise kind, int operands, int32_t dtype) {
  bool taken = false;
  with_formula(kind, [&](auto formula) {
    constexpr bool is_bits = formula.form == Form::bits || formula.form == Form::bit_pairs,
                   is_truth = formula.form == Form::truth || formula.form == Form::truth_pairs;
    if (operands != (formula.form < Form::binary ? 1 : 2)) return;
    switch (dtype) {
      case TERN_DTYPE_F32: taken = !is_bits && !is_truth; break;
      case TERN_DTYPE_F64: taken = !is_bits && !is_truth && takes_doubles(formula); break;
      case TERN_DTYPE_I32:
      case TERN_DTYPE_I64: taken = formula.has_integer; break;
      case TERN_DTYPE_BOOL: taken = is_truth; break;
    }
  });
  return taken;
}

}  // namespace

extern const ElementwiseKernels elementwise_kernels;
const ElementwiseKernels elementwise_kernels = {takes, unary, binary, select_kernel, unary_row, binary_row};

}  // namespace tern::cpu::TERN_ISA
