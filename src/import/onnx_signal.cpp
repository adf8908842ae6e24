// SPDX-License-Identifier: Apache-2.0
// ONNX operators of sound: Fourier transforms become products with a table, which is exact enough for the lengths of
// windows and needs no operator of its own.
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "import/onnx.h"

namespace tern {
namespace {

constexpr double kTurn = 2 * 3.14159265358979323846;
constexpr int64_t kMaxLength = 8192, kMaxTable = 1 << 24;  // elements

// cos and sin of frequency * time / length of a turn: exact for any product, since whole turns are taken off first, and
// exact 0 and 1 at quarters of a turn.
struct Angle {
  double cosine, sine;
};
Angle angle(int64_t frequency, int64_t time, int64_t length) {
  const int64_t part = frequency * time % length;
  if (4 * part % length == 0) {
    constexpr Angle kQuarters[] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
    return kQuarters[4 * part / length];
  }
  const double a = kTurn * (double)part / (double)length;
  return {std::cos(a), std::sin(a)};
}

tern_status known_length(OnnxNode& n, int i, int64_t otherwise, int64_t* out) {
  *out = otherwise;
  if (!n.has(i)) return TERN_OK;
  const auto known = n.b.known_integers(n.constant_in(i));
  TERN_TRY(n.b.status());
  if (!known || known->size() != 1) return n.unsupported("a length that depends on data");
  *out = (*known)[0];
  return TERN_OK;
}

tern_status check_length(OnnxNode& n, int64_t length, int64_t rows, int64_t columns) {
  int64_t cells = 0;
  if (length < 1 || length > kMaxLength || !checked_mul(rows, columns, &cells) || cells > kMaxTable)
    return n.unsupported("a length of " + std::to_string(length));
  return TERN_OK;
}

// The weight [outputs, inputs] of a transform of `rows` points, of which `parts` numbers each are given, to `bins`
// points of two numbers each. value(bin, row) is what the real number of that row adds.
template <class F>
TensorData transform(DType dtype, int64_t rows, int64_t parts, int64_t bins, F&& value) {
  TensorData t;
  t.name = "transform";
  t.dtype = dtype;
  t.shape = Shape{bins * 2, rows * parts};
  void* p = nullptr;
  t.data = make_data(t.bytes(), &p);
  for (int64_t k = 0; k < bins; ++k)
    for (int64_t r = 0; r < rows; ++r) {
      const Angle a = value(k, r);
      // [which number of the input][of the output]
      const double table[2][2] = {{a.cosine, a.sine}, {-a.sine, a.cosine}};
      for (int64_t i = 0; i < parts; ++i)
        for (int64_t o = 0; o < 2; ++o)
          store_element(dtype, p, (k * 2 + o) * rows * parts + r * parts + i, table[i][o]);
    }
  return t;
}

tern_status lower_dft(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  const bool inverse = n.integer("inverse", 0) != 0, onesided = n.integer("onesided", 0) != 0;
  if (rank < 2) return TERN_FAIL(TERN_ERR_SHAPE, "DFT: input 0 has rank %d", rank);
  int64_t given = n.integer("axis", n.opset < 20 ? 1 : -2);
  TERN_TRY(known_length(n, 2, given, &given));
  int axis = 0;
  TERN_TRY(n.axis(given, rank, &axis));
  const int64_t parts = b.dim(x, rank - 1), size = b.dim(x, axis);
  if (axis == rank - 1 || (parts != 1 && parts != 2))
    return TERN_FAIL(TERN_ERR_SHAPE, "DFT: axis %d of input 0, whose last dim is %" PRId64, axis, parts);
  if (size < 0) return n.unsupported("over a size that varies");
  const bool real = inverse && onesided;  // half of a symmetric spectrum is given, real numbers come out
  int64_t length = 0;
  TERN_TRY(known_length(n, 1, real ? 2 * (size - 1) : size, &length));
  const int64_t bins = onesided && !inverse ? length / 2 + 1 : length,
                rows = std::min(size, real ? length / 2 + 1 : length);
  TERN_TRY(check_length(n, length, rows * parts, bins * 2));
  const double unit = inverse ? 1.0 / (double)length : 1;
  TensorData table = transform(b.dtype(x), rows, parts, bins, [&](int64_t k, int64_t r) {
    Angle a = angle(k, r, length);
    if (!inverse) a.sine = -a.sine;
    // The other half of the spectrum is the mirror image: twice the real part, but for the ends.
    const double weight = real && r > 0 && 2 * r < length ? 2 * unit : unit;
    return Angle{a.cosine * weight, a.sine * weight};
  });
  std::vector<int64_t> to, back((size_t)rank);
  for (int i = 0; i < rank - 1; ++i)
    if (i != axis) to.push_back(i);
  to.push_back(axis);
  to.push_back(rank - 1);
  for (int i = 0; i < rank; ++i) back[(size_t)to[(size_t)i]] = i;
  ValueId y = b.transpose(x, to);
  if (rows < size) {
    IntList starts, ends;
    starts.count = ends.count = rank;
    for (int i = 0; i < rank; ++i) ends[i] = i == rank - 2 ? rows : INT64_MAX;
    y = b.op("slice", {y}, {{"starts", starts}, {"ends", ends}});
  }
  std::vector<int64_t> flat, apart;
  for (int i = 0; i < rank - 2; ++i) flat.push_back(Builder::same(i));
  apart = flat;
  flat.push_back(rows * parts);
  apart.push_back(bins);
  apart.push_back(2);
  y = b.reshape(y, flat);
  const bool panel = table.dtype == TERN_DTYPE_F32;
  y = panel ? b.op("linear", {y, b.panel_parameter(table)})
            : b.op("matmul", {y, b.parameter(table)}, {{"transpose_b", 1}});
  y = b.reshape(y, apart);
  if (real) {
    IntList starts, ends;
    starts.count = ends.count = rank;
    for (int i = 0; i < rank; ++i) ends[i] = i == rank - 1 ? 1 : INT64_MAX;
    y = b.op("slice", {y}, {{"starts", starts}, {"ends", ends}});
  }
  n.set(0, b.transpose(y, back));
  return TERN_OK;
}

// A convolution whose outputs are the bins of one frame.
tern_status lower_stft(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const bool onesided = n.integer("onesided", 1) != 0;
  const int rank = b.rank(x);
  const int64_t parts = rank == 3 ? b.dim(x, 2) : rank == 2 ? 1 : -1;
  if (parts != 1 && parts != 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "STFT: input 0 has shape %s", to_string(b.value(x).shape).c_str());
  DType as = TERN_DTYPE_NONE;
  const TensorData* window = n.weight(2, &as);
  if (n.has(2) && (!window || window->shape.rank != 1)) return n.unsupported("a window that depends on data");
  int64_t step = 0, length = 0;
  TERN_TRY(known_length(n, 1, 0, &step));
  TERN_TRY(known_length(n, 3, window ? window->elements() : b.dim(x, 1), &length));
  if (step < 1 || (window && window->elements() != length))
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "STFT: a step of %" PRId64 ", frames of %" PRId64 " and a window of another length", step, length);
  const int64_t bins = onesided ? length / 2 + 1 : length;
  TERN_TRY(check_length(n, length, length * parts, bins * 2));
  TensorData table = transform(b.dtype(x), length, parts, bins, [&](int64_t k, int64_t r) {
    unsigned char rounded[8] = {};  // to the type that the node sees
    if (window) store_element(as, rounded, 0, window->load(r));
    const double weight = window ? load_element(as, rounded, 0) : 1;
    const Angle a = angle(k, r, length);
    return Angle{a.cosine * weight, -a.sine * weight};
  });
  table.shape = Shape{bins * 2, 1, length, parts};
  const ValueId picture = b.reshape(x, {Builder::same(0), 1, Builder::same(1), parts});
  const ValueId weight = table.dtype == TERN_DTYPE_F32 ? b.panel_parameter(table) : b.parameter(table);
  const ValueId y = b.op("conv2d", {picture, weight}, {{"strides", IntList{1, step}}});
  n.set(0, b.reshape(y, {Builder::same(0), Builder::same(2), bins, 2}));
  return TERN_OK;
}

tern_status lower_mel_weights(OnnxNode& n) {
  Builder& b = n.b;
  double in[5];
  for (int i = 0; i < 5; ++i) {
    const auto known = b.known_number(n.constant_in(i));
    TERN_TRY(b.status());
    if (!known) return n.unsupported("inputs that depend on data");
    in[i] = *known;
  }
  const DType dtype = onnx_dtype(n.integer("output_datatype", 1));
  const double length = in[1], rate = in[2];
  if (dtype == TERN_DTYPE_NONE || !(in[0] >= 1 && in[0] <= 4096) || !(length >= 1 && length <= 1 << 20) ||
      !(rate >= 1) || !(in[3] >= 0) || !(in[4] > in[3]) || !(in[4] <= rate))
    return n.unsupported("element type or sizes");
  const int64_t mels = (int64_t)in[0], bins = (int64_t)length / 2 + 1;
  if (bins * mels > kMaxTable) return n.unsupported("element type or sizes");
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = mel(in[3]), step = (mel(in[4]) - low) / (double)(mels + 2);
  std::vector<int64_t> edges;  // of the triangles, in bins
  for (int64_t i = 0; i < mels + 2; ++i) {
    const double hertz = 700 * (std::pow(10, ((double)i * step + low) / 2595) - 1);
    edges.push_back(std::min(bins - 1, (int64_t)std::floor((length + 1) * hertz / rate)));
  }
  std::vector<unsigned char> table((size_t)(bins * mels) * dtype_size(dtype));
  for (int64_t m = 0; m < mels; ++m) {
    const int64_t left = edges[(size_t)m], top = edges[(size_t)m + 1], right = edges[(size_t)m + 2];
    const auto put = [&](int64_t bin, double v) { store_element(dtype, table.data(), bin * mels + m, v); };
    if (left == top) put(top, 1);
    for (int64_t k = left; top > left && k <= top; ++k) put(k, (double)(k - left) / (double)(top - left));
    for (int64_t k = top; k < right; ++k) put(k, (double)(right - k) / (double)(right - top));
  }
  n.set(0, b.constant(dtype, Shape{bins, mels}, table.data()));
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {{"DFT", lower_dft}, {"STFT", lower_stft}, {"MelWeightMatrix", lower_mel_weights}};

}  // namespace

std::span<const OnnxOp> onnx_signal_ops() { return kOps; }

}  // namespace tern
