// SPDX-License-Identifier: Apache-2.0
// Writes to states and parameters.
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "backends/cpu/prepare.h"
#include "ops/state_write.h"

namespace tern::cpu {
namespace {

struct WriteArgs {
  char* state = nullptr;
  const char* update = nullptr;
  const int64_t* position = nullptr;  // NULL: 0
  int32_t* error = nullptr;
  int64_t outer = 1, state_rows = 0, update_rows = 0, row_bytes = 0;
  Encoding encoding = Encoding::plain;  // of the state; if not plain its rows are those of `shape`, in f32
  Shape shape;
};

void run_write(const void* args, int64_t, int64_t, void*) {
  const WriteArgs& a = *(const WriteArgs*)args;
  const int64_t at = a.position ? *a.position : 0;
  if (at < 0) {
    *a.error = TERN_FAIL(TERN_ERR_INDEX, "state_write: the position is %" PRId64, at);
    return;
  }
  if (at > a.state_rows - a.update_rows) {
    *a.error = TERN_FAIL(TERN_ERR_LIMIT,
                         "state_write: %" PRId64 " entries at position %" PRId64 " exceed the capacity %" PRId64,
                         a.update_rows, at, a.state_rows);
    return;
  }
  if (!is_plain(a.encoding))
    return encode_rows(a.encoding, TERN_DTYPE_F32, a.shape, (const float*)a.update, at, a.update_rows, a.state);
  for (int64_t o = 0; o < a.outer; ++o)
    std::memcpy(a.state + (o * a.state_rows + at) * a.row_bytes, a.update + o * a.update_rows * a.row_bytes,
                (size_t)(a.update_rows * a.row_bytes));
}

const char* refuse_write(const Graph& g, const Node& n) {
  if (!is_plain(g.value(n.in[0]).encoding) && g.value(n.in[1]).dtype != TERN_DTYPE_F32)
    return "the kernel takes f32 for encoded states only";
  return g.value(n.in[0]).dtype == g.value(n.in[1]).dtype ? nullptr
                                                          : "the kernel takes an update of the state's type only";
}

tern_status prepare_write(Prepare& p) {
  WriteArgs& a = p.args<WriteArgs>();
  const Shape &state = p.in(0).shape, &update = p.in(1).shape;
  int64_t axis = p.node.attrs<StateWriteAttrs>().axis;
  if (axis < 0) axis += state.rank;
  a.encoding = p.in(0).encoding, a.shape = state;
  if (!is_plain(a.encoding)) axis = 0;  // whole rows
  a.row_bytes = (int64_t)dtype_size(p.in(0).dtype);
  a.state_rows = a.update_rows = 1;
  for (int i = 0; i < state.rank; ++i) {
    if (i < axis) a.outer *= state[i];
    else if (i == axis) a.state_rows = state[i], a.update_rows = update[i];
    else a.row_bytes *= state[i];
  }
  a.error = p.error_flag();
  p.pointer(a.state, p.node.in[0]);
  p.pointer(a.update, p.node.in[1]);
  if (p.has(2)) p.pointer(a.position, p.node.in[2]);
  p.call(run_write, &a, 1, 0, 0);
  return TERN_OK;
}

// y = p - rate * gradient, in place where p is the parameter itself.
struct SgdArgs {
  const float* p = nullptr;
  const float* gradient = nullptr;
  const float* rate = nullptr;
  float* y = nullptr;
  const EncodingInfo* encoding = nullptr;  // of p and y; NULL: all lie alike, as one column
  MatrixSize size;
};

constexpr int64_t kSgdRows = 64;  // of one unit

void run_sgd(const void* args, int64_t begin, int64_t end, void* scratch) {
  const SgdArgs& a = *(const SgdArgs*)args;
  const float rate = *a.rate;
  const int64_t first = begin * kSgdRows, last = std::min(end * kSgdRows, a.size.rows), cols = a.size.cols;
  if (!a.encoding) {
    for (int64_t i = first; i < last; ++i) a.y[i] = a.p[i] - rate * a.gradient[i];
    return;
  }
  for (int64_t i = first; i < last; ++i) {
    const float* gradient = a.gradient + i * cols;
    if (a.encoding->position) {
      for (int64_t j = 0; j < cols; ++j) {
        const int64_t at = a.encoding->position(a.size, i, j);
        a.y[at] = a.p[at] - rate * gradient[j];
      }
      continue;
    }
    float* row = (float*)scratch;
    for (int64_t j = 0; j < cols; ++j)
      row[j] = (float)(a.encoding->load(a.size, a.p, i, j) - (double)rate * gradient[j]);
    a.encoding->encode_row(a.size, row, i, a.y);
  }
}

const char* refuse_sgd(const Graph& g, const Node& n) {
  if (!is_permutation(g.value(n.in[1]).encoding)) return "the kernel takes gradients whose elements lie apart";
  return g.value(n.in[0]).dtype == TERN_DTYPE_F32 ? nullptr : "the kernel takes f32 only";
}

tern_status prepare_sgd(Prepare& p) {
  SgdArgs& a = p.args<SgdArgs>();
  const Value& v = p.in(0);
  a.size.cols = 1;
  if (p.in(1).encoding == v.encoding) {  // element by element as they lie, padding included
    a.size.rows = (int64_t)(value_bytes(v) / sizeof(float));
  } else {
    a.encoding = &encoding_info(v.encoding);
    a.size = matrix_size(v.encoding, v.shape);
  }
  p.pointer(a.p, p.node.in[0]);
  p.pointer(a.gradient, p.node.in[1]);
  p.pointer(a.rate, p.node.in[2]);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_sgd, &a, (a.size.rows + kSgdRows - 1) / kSgdRows, 2.0 * kSgdRows * (double)a.size.cols,
         a.encoding && !a.encoding->position ? (size_t)a.size.cols * sizeof(float) : 0);
  return TERN_OK;
}

constexpr auto kOps =
    without_left_out({{&op_state_write, refuse_write, prepare_write}, {&op_sgd_update, refuse_sgd, prepare_sgd}});

}  // namespace

std::span<const CpuOp> cpu_ops_state() { return kOps; }

}  // namespace tern::cpu
