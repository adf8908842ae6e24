/* SPDX-License-Identifier: Apache-2.0 */
/* Trains a classifier of handwritten digits from nothing, and says how many it reads that it has not seen.
 *   samples/fetch digits; finetune_digits FOLDER OUT.tern [STEPS] */
#include "train.h"

enum { kTests = 100, kMost = 12000, kBatch = 32 };
static tern_context* context;
#define OP(op, attributes, ...) tern_graph_op(g, op, attributes, TERN_VALUES(__VA_ARGS__))
#define W(name, ...) \
  weight(context, g, begin, name, (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]){__VA_ARGS__})

static tern_value network(tern_graph* g, int begin, int64_t batch) {
  tern_value x = tern_graph_input(g, "image", TERN_DTYPE_F32, (int64_t[]){batch, 28, 28, 1}, 4);
  x = OP("conv2d", "pads=1,1,1,1", x, W("conv1", 12, 3, 3, 1), W("conv1.bias", 12));
  x = OP("max_pool2d", "kernel=2,2 strides=2,2", OP("relu", NULL, x));
  x = OP("conv2d", "pads=1,1,1,1", x, W("conv2", 20, 3, 3, 12), W("conv2.bias", 20));
  x = OP("max_pool2d", "kernel=2,2 strides=2,2", OP("relu", NULL, x));
  x = OP("linear", NULL, OP("reshape", "shape=0,980", x), W("inner", 32, 980), W("inner.bias", 32));
  return OP("linear", NULL, OP("relu", NULL, x), W("last", 10, 32), W("last.bias", 10));
}

/* Signatures "step" (image, label -> loss) and "classify" (image -> scores). AdamW, whose rate falls along a cosine. */
static void compose(tern_graph* g, double steps) {
  tern_graph_begin(g, "step");
  const tern_value scores = network(g, 1, kBatch),
                   label = tern_graph_input(g, "label", TERN_DTYPE_I64, (int64_t[]){kBatch}, 1);
  const tern_value loss = OP("cross_entropy", NULL, scores, label), step = tern_graph_scalar(g, "step");
  const tern_value turn = OP("mul", NULL, OP("cast", "to=1", step), tern_graph_number(g, 3.14159265 / steps));
  const tern_value rate =
      OP("mul", NULL, OP("add", NULL, OP("cos", NULL, turn), tern_graph_number(g, 1)), tern_graph_number(g, 0.001));
  tern_value w[16], gradients[16];
  const int32_t n = tern_graph_list(g, "*", w, 16);
  tern_graph_gradient(g, loss, w, n, gradients);
  for (int32_t i = 0; i < n; ++i) {
    const char m[] = {'m', (char)('a' + i), 0}, v[] = {'v', (char)('a' + i), 0};
    OP("adamw_update", NULL, w[i], tern_graph_state_like(g, m, w[i]), tern_graph_state_like(g, v, w[i]), gradients[i],
       rate, step);
  }
  tern_graph_output(g, "loss", loss);
  tern_graph_begin(g, "classify");
  tern_graph_output(g, "scores", network(g, 0, kTests));
}

int main(int argc, char** argv) {
  const int64_t steps = argc > 3 ? strtoll(argv[3], NULL, 10) : 3000;
  if (argc < 3 || steps < 1) return fprintf(stderr, "usage: finetune_digits FOLDER OUT.tern [STEPS]\n"), 2;
  const char *names[] = {"image", "label"}, *name;
  const tern_tensor *batch[2], *scores;
  tern_tensor *part[2], *view;
  tern_data* data;
  tern_graph* g;
  tern_model* model;
  tern_trainer* trainer;
  check(tern_context_create(NULL, &context));
  tern_tensor *train = make_tensor(context, TERN_DTYPE_F32, 4, (int64_t[]){kMost, 28, 28, 1}),
              *labels = make_tensor(context, TERN_DTYPE_I64, 1, (int64_t[]){kMost}),
              *test = make_tensor(context, TERN_DTYPE_F32, 4, (int64_t[]){10 * kTests, 28, 28, 1});
  const int64_t count =
      read_digits(argv[1], kMost, kTests, tern_tensor_data(train), tern_tensor_data(labels), tern_tensor_data(test));
  check(tern_tensor_view(train, 0, count, &part[0])), check(tern_tensor_view(labels, 0, count, &part[1]));
  check(tern_data_create_arrays(context, names, (const tern_tensor* const*)part, 2, NULL, &data));
  tern_augmentation_options moved = TERN_AUGMENTATION_OPTIONS_INIT; /* by a pixel, so that the few digits go further */
  moved.shift = 1;
  check(tern_data_set_augmentation(data, &moved));

  check(tern_graph_create(context, &g));
  compose(g, (double)steps);
  check(tern_graph_finish(g, &model));
  check(tern_trainer_create(model, NULL, &trainer));
  double loss, mean = 2.3;
  for (int64_t i = 1; i <= steps; ++i) {
    check(tern_data_next(data, kBatch, batch, 2));
    check(tern_trainer_step(trainer, batch, 2, NULL));
    tern_tensor_release(batch[0]), tern_tensor_release(batch[1]);
    check(tern_trainer_get_metric(trainer, 0, &name, &loss));
    mean += (loss - mean) * 0.02;
    if (i % 100 == 0 || i == steps) printf("step %lld of %lld: %s %.4f\n", (long long)i, (long long)steps, name, mean);
  }
  int right = 0;
  for (int digit = 0; digit < 10; ++digit) {
    check(tern_tensor_view(test, digit * kTests, (digit + 1) * kTests, &view));
    check(tern_trainer_run(trainer, 1, (const tern_tensor*[]){view}, 1, &scores, 1, NULL));
    const float* s = tern_tensor_const_data(scores);
    for (int i = 0, best = 0; i < kTests; ++i, s += 10, best = 0) {
      for (int c = 1; c < 10; ++c) best = s[c] > s[best] ? c : best;
      right += best == digit;
    }
    tern_tensor_release(scores), tern_tensor_release(view);
  }
  printf("%.1f %% of %d digits that it has not seen are right\n", 100.0 * right / (10 * kTests), 10 * kTests);
  check(tern_trainer_export(trainer, model, NULL, argv[2]));
  tern_trainer_release(trainer), tern_data_release(data), tern_model_release(model), tern_graph_release(g);
  tern_tensor_release(part[0]), tern_tensor_release(part[1]), tern_tensor_release(train), tern_tensor_release(labels),
      tern_tensor_release(test);
  tern_context_release(context);
  return 0;
}
