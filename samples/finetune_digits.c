/* SPDX-License-Identifier: Apache-2.0 */
/* Trains a classifier of handwritten digits from nothing, and says how many it reads that it has not seen.
 *   samples/fetch digits; finetune_digits FOLDER OUT.tern [STEPS]
 * The network and its step are made of operators and gradients alone (tern/graph.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tern/tern.h"

enum { kClasses = 10, kTests = 100, kMost = 12000, kPixels = 784, kBatch = 32 };
static tern_context* context;

static void check(tern_status status) {
  if (status == TERN_OK) return;
  fprintf(stderr, "finetune_digits: %s\n", tern_last_error_message());
  exit(1);
}

static tern_tensor* tensor(int32_t dtype, int32_t rank, const int64_t* dims) {
  tern_tensor* t;
  check(tern_tensor_create(context, dtype, dims, rank, &t));
  return t;
}

/* FOLDER/0.json to 9.json: { "data": [ink of 28 x 28 pixels, from 0 to 1, picture after picture] }. The first of each are
 * kept for the test. Returns the number of the others. */
static int64_t read_digits(const char* folder, float* train, int64_t* labels, float* test) {
  int64_t count = 0;
  for (int digit = 0; digit < kClasses; ++digit) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%d.json", folder, digit);
    FILE* f = fopen(path, "r");
    if (!f) perror(path), exit(3);
    int seen = fscanf(f, " { \"data\" : ["), more = 1;
    for (seen = 0; more && count < kMost; ++seen) {
      float* to = seen < kTests ? test + (digit * kTests + seen) * kPixels : train + count * kPixels;
      for (int i = 0; i < kPixels && more; ++i) more = fscanf(f, "%f ,", to + i) == 1;
      if (more && seen >= kTests) labels[count++] = digit;
    }
    fclose(f);
    if (seen <= kTests) fprintf(stderr, "%s: too few digits\n", path), exit(4);
  }
  return count;
}

/* A parameter of random numbers that keep the size of what they are multiplied with; a bias is zeros. It is made once. */
static tern_value weight(tern_graph* g, int begin, const char* name, int32_t rank, const int64_t* dims) {
  static unsigned seed = 7;
  if (!begin) return tern_graph_parameter(g, name, NULL);
  tern_tensor* t = tensor(TERN_DTYPE_F32, rank, dims);
  float* w = tern_tensor_data(t);
  const float bound = sqrtf(6.0f * (float)dims[0] / (float)tern_tensor_num_elements(t));
  for (int64_t i = 0; rank > 1 && i < tern_tensor_num_elements(t); ++i)
    w[i] = bound * ((float)((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1);
  const tern_value v = tern_graph_parameter(g, name, t);
  tern_tensor_release(t);
  return v;
}
#define OP(op, attributes, ...) tern_graph_op(g, op, attributes, TERN_VALUES(__VA_ARGS__))
#define W(name, ...) \
  weight(g, begin, name, (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (const int64_t[]){__VA_ARGS__})

static tern_value network(tern_graph* g, int begin, int64_t batch) {
  tern_value x = tern_graph_input(g, "image", TERN_DTYPE_F32, (const int64_t[]){batch, 28, 28, 1}, 4);
  x = OP("conv2d", "pads=1,1,1,1", x, W("conv1", 12, 3, 3, 1), W("conv1.bias", 12));
  x = OP("max_pool2d", "kernel=2,2 strides=2,2", OP("relu", NULL, x));
  x = OP("conv2d", "pads=1,1,1,1", x, W("conv2", 20, 3, 3, 12), W("conv2.bias", 20));
  x = OP("max_pool2d", "kernel=2,2 strides=2,2", OP("relu", NULL, x));
  x = OP("linear", NULL, OP("reshape", "shape=0,980", x), W("inner", 32, 980), W("inner.bias", 32));
  return OP("linear", NULL, OP("relu", NULL, x), W("last", 10, 32), W("last.bias", 10));
}

/* Signatures "step" (image, label -> loss) and "classify" (image -> scores). AdamW, its rate falls along a cosine. */
static tern_model* compose(double steps) {
  tern_graph* g;
  tern_model* model;
  check(tern_graph_create(context, &g));
  tern_graph_begin(g, "step");
  const tern_value scores = network(g, 1, kBatch);
  const tern_value label = tern_graph_input(g, "label", TERN_DTYPE_I64, (const int64_t[]){kBatch}, 1);
  const tern_value loss = OP("cross_entropy", NULL, scores, label), step = tern_graph_scalar(g, "step");
  const tern_value turn = OP("mul", NULL, OP("cast", "to=1", step), tern_graph_number(g, 3.14159265 / steps));
  const tern_value rate =
      OP("mul", NULL, OP("add", NULL, OP("cos", NULL, turn), tern_graph_number(g, 1)), tern_graph_number(g, 0.002 / 2));
  tern_value weights[16], gradients[16];
  const int32_t n = tern_graph_list(g, "*", weights, 16);
  tern_graph_gradient(g, loss, weights, n, gradients);
  for (int32_t i = 0; i < n; ++i) {
    char m[32], v[32];
    snprintf(m, sizeof m, "m%d", i), snprintf(v, sizeof v, "v%d", i);
    OP("adamw_update", NULL, weights[i], tern_graph_state_like(g, m, weights[i]),
       tern_graph_state_like(g, v, weights[i]), gradients[i], rate, step);
  }
  tern_graph_output(g, "loss", loss);
  tern_graph_begin(g, "classify");
  tern_graph_output(g, "scores", network(g, 0, kTests));
  check(tern_graph_finish(g, &model));
  tern_graph_release(g);
  return model;
}

int main(int argc, char** argv) {
  if (argc < 3) return fprintf(stderr, "usage: finetune_digits FOLDER OUT.tern [STEPS]\n"), 2;
  const int64_t steps = argc > 3 ? strtoll(argv[3], NULL, 10) : 3000;
  const tern_tensor *batch[2], *scores;
  const char *names[] = {"image", "label"}, *name;
  tern_trainer* trainer;
  tern_data* data;
  double loss = 0, mean = 0;
  check(tern_context_create(NULL, &context));
  tern_tensor *train = tensor(TERN_DTYPE_F32, 4, (const int64_t[]){kMost, 28, 28, 1}),
              *labels = tensor(TERN_DTYPE_I64, 1, (const int64_t[]){kMost}),
              *test = tensor(TERN_DTYPE_F32, 4, (const int64_t[]){kClasses * kTests, 28, 28, 1}), *part[2];
  const int64_t count = read_digits(argv[1], tern_tensor_data(train), tern_tensor_data(labels), tern_tensor_data(test));
  check(tern_tensor_view(train, 0, count, &part[0]));
  check(tern_tensor_view(labels, 0, count, &part[1]));
  check(tern_data_create_arrays(context, names, (const tern_tensor* const*)part, 2, NULL, &data));
  tern_augmentation_options moved = TERN_AUGMENTATION_OPTIONS_INIT; /* by a pixel, so that the few digits go further */
  moved.shift = 1;
  check(tern_data_set_augmentation(data, &moved));

  tern_model* model = compose((double)steps);
  check(tern_trainer_create(model, NULL, &trainer));
  for (int64_t i = 1; i <= steps; ++i) {
    check(tern_data_next(data, kBatch, batch, 2));
    check(tern_trainer_step(trainer, batch, 2, NULL));
    tern_tensor_release(batch[0]), tern_tensor_release(batch[1]);
    check(tern_trainer_get_metric(trainer, 0, &name, &loss));
    mean = i == 1 ? loss : mean + (loss - mean) * 0.01;
    if (i % 100 == 0 || i == steps) printf("step %lld of %lld: %s %.4f\n", (long long)i, (long long)steps, name, mean);
  }
  int right = 0;
  for (int digit = 0; digit < kClasses; ++digit) {
    tern_tensor* view;
    check(tern_tensor_view(test, digit * kTests, (digit + 1) * kTests, &view));
    const tern_tensor* in = view;
    check(tern_trainer_run(trainer, 1, &in, 1, &scores, 1, NULL));
    const float* s = tern_tensor_const_data(scores);
    for (int i = 0; i < kTests; ++i, s += kClasses) {
      int best = 0;
      for (int c = 1; c < kClasses; ++c) best = s[c] > s[best] ? c : best;
      right += best == digit;
    }
    tern_tensor_release(scores), tern_tensor_release(view);
  }
  printf("%.1f %% of %d digits that it has not seen are right\n", 100.0 * right / (kClasses * kTests),
         kClasses * kTests);
  check(tern_trainer_export(trainer, model, NULL, argv[2]));
  tern_trainer_release(trainer), tern_data_release(data), tern_model_release(model);
  tern_tensor_release(part[0]), tern_tensor_release(part[1]);
  tern_tensor_release(train), tern_tensor_release(labels), tern_tensor_release(test);
  tern_context_release(context);
  return 0;
}
