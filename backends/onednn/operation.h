// SPDX-License-Identifier: Apache-2.0
// Nodes as oneDNN sees them: products with weights are convolutions, those of two activations are matmul.
#pragma once
#include "backends/onednn/dnnl_api.h"
#include "passes/product.h"

namespace tern::onednn {

struct Operation {
  enum Kind : uint8_t { convolution, matmul } kind = convolution;
  Product product;  // the node with its epilogue

  // convolution, NHWC. linear and 1x1 are pictures of one row.
  int64_t batch = 1, in_h = 1, in_w = 1, in_c = 1, out_h = 1, out_w = 1, out_c = 1;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_right = 0, groups = 1;

  // matmul: y[..., m, n], all of one rank; dims that broadcast are 1.
  Shape a, b, y;
  bool a_transposed = false, b_transposed = false;

  double flops = 0;

  bool has_bias() const { return product.bias != kNoValue || !product.affine.empty(); }
  // Places of the two in the list of what is done with sums.
  int residual_index() const { return product.residual_first || product.activation.kind == Elementwise::none ? 0 : 1; }
  int activation_index() const { return product.residual != kNoValue && product.residual_first ? 1 : 0; }
};

// Why oneDNN is not asked to run the node, or NULL.
const char* read_operation(const Graph& g, const Node& n, Operation* out);

// What the bias and the steps per channel come to: sums * scale[i] + shift[i]. fixed: per value of `g`, bytes that stay
// as they are.
void fold_affine(const Graph& g, std::span<const void* const> fixed, const Product& product, int64_t channels,
                 std::vector<double>* scale, std::vector<double>* shift);

// What may be divided among threads: images, rows of a picture, pixels of a picture of one row, rows of a matrix.
int64_t divisible_units(const Operation& op);

// A part of an operation that one thread does.
struct Band {
  int64_t begin = 0, end = 0;          // units
  int64_t a_offset = 0, y_offset = 0;  // elements from the start of the first operand and of the result
  MemoryDesc a, b, y;                  // operands and result of this part; b of matmul only
  PrimitiveDesc primitive;
};

// Fills all of *band but begin and end. weights: their layout, NULL for one that oneDNN chooses. Fails with
// TERN_ERR_UNSUPPORTED where oneDNN has nothing or plain loops.
tern_status describe(const Operation& op, dnnl_engine* engine, const dnnl_memory_desc* weights, Band* band);

// A number for each output channel: a bias, or slopes as a picture of one pixel.
tern_status describe_channels(const Operation& op, bool picture, MemoryDesc* out);
// Plain weights [out_c][kernel_h][kernel_w][in_c / groups]; any_layout: the same for oneDNN to choose.
tern_status describe_weights(const Operation& op, bool any_layout, MemoryDesc* out);

}  // namespace tern::onednn
