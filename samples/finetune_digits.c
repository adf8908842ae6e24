/* SPDX-License-Identifier: Apache-2.0 */
/* Trains a classifier of handwritten digits from nothing, and says how many it has not seen it reads.
 *   samples/fetch digits; finetune_digits FOLDER OUT.tern [STEPS] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tern/tern.h"

enum { kPixels = 28 * 28, kDigits = 10, kMost = 1100, kBatch = 32 };
static tern_context* context;

static void check(tern_status status) {
  if (status == TERN_OK) return;
  fprintf(stderr, "finetune_digits: %s\n", tern_last_error_message());
  exit(1);
}

/* Numbers from -1 to 1, the same each time. */
static float noise(void) {
  static unsigned s = 7;
  s = s * 1664525u + 1013904223u;
  return (float)(s >> 8) / 8388608.0f - 1;
}

/* A weight with random numbers that keep the size of what they are multiplied with. */
static tern_value weight(tern_graph* g, const char* name, int rank, const int64_t* dims) {
  tern_tensor* t;
  check(tern_tensor_create(context, TERN_DTYPE_F32, dims, rank, &t));
  float* w = tern_tensor_data(t);
  const int64_t n = tern_tensor_num_elements(t), inputs = n / dims[0];
  for (int64_t i = 0; i < n; ++i) w[i] = rank > 1 ? noise() * sqrtf(6.0f / (float)inputs) : 0;
  const tern_value v = tern_graph_parameter(g, name, t);
  tern_tensor_release(t);
  return v;
}

static tern_value network(tern_graph* g, tern_value x, int begin) {
#define W(name, ...) (begin ? weight(g, name, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__}) : tern_graph_parameter(g, name, NULL))
  x = tern_graph_op(g, "conv2d", "pads=1,1,1,1", TERN_VALUES(x, W("conv1", 12, 3, 3, 1), W("conv1_bias", 12)));
  x = tern_graph_op(g, "max_pool2d", "kernel=2,2 strides=2,2", TERN_VALUES(tern_graph_op(g, "relu", NULL, TERN_VALUES(x))));
  x = tern_graph_op(g, "conv2d", "pads=1,1,1,1", TERN_VALUES(x, W("conv2", 20, 3, 3, 12), W("conv2_bias", 20)));
  x = tern_graph_op(g, "max_pool2d", "kernel=2,2 strides=2,2", TERN_VALUES(tern_graph_op(g, "relu", NULL, TERN_VALUES(x))));
  x = tern_graph_op(g, "reshape", "shape=0,980", TERN_VALUES(x));
  x = tern_graph_op(g, "relu", NULL, TERN_VALUES(tern_graph_op(g, "linear", NULL, TERN_VALUES(x, W("inner", 32, 980), W("inner_bias", 32)))));
  return tern_graph_op(g, "linear", NULL, TERN_VALUES(x, W("last", 10, 32), W("last_bias", 10)));
}
