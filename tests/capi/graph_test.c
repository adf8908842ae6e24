/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs and trainers: a classifier that is composed, trained, saved, gone on with, and exported; every error that the
 * headers name; saves that are interrupted. */
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { BATCH = 12, IN = 4, INNER = 8, CLASSES = 3, PARAMETERS = INNER * IN + INNER + CLASSES * INNER };

static tern_context* context;
static tern_model *net, *step; /* the classifier; the step that trains it, and "predict" */
static tern_tensor *x, *labels;
static const tern_tensor* batch[2];

/* ---- what is trained ---- */

static tern_value parameter(tern_graph* g, const char* name, int32_t rank, int64_t d0, int64_t d1, unsigned seed) {
  tern_tensor* t = make_tensor(context, TERN_DTYPE_F32, rank, d0, d1);
  tern_value v;
  fill(t, seed);
  v = tern_graph_parameter(g, name, t);
  tern_tensor_release(t);
  return v;
}

static tern_graph* begin(const char* signature) {
  tern_graph* g = NULL;
  NEED(tern_graph_create(context, &g));
  OK(tern_graph_begin(g, signature));
  return g;
}

static tern_value input_x(tern_graph* g) {
  static const int64_t dims[2] = {BATCH, IN};
  return tern_graph_input(g, "x", TERN_DTYPE_F32, dims, 2);
}

/* "forward": x -> logits. */
static tern_model* compose_net(void) {
  tern_graph* g = begin("forward");
  const tern_value w1 = parameter(g, "w1", 2, INNER, IN, 1), b1 = parameter(g, "b1", 1, INNER, 0, 2);
  const tern_value w2 = parameter(g, "w2", 2, CLASSES, INNER, 3);
  const tern_value h =
      tern_graph_op(g, "tanh", NULL, TERN_VALUES(tern_graph_op(g, "linear", NULL, TERN_VALUES(input_x(g), w1, b1))));
  tern_model* model = NULL;
  OK(tern_graph_output(g, "logits", tern_graph_op(g, "linear", NULL, TERN_VALUES(h, w2))));
  NEED(tern_graph_finish(g, &model));
  tern_graph_release(g);
  return model;
}

/* "step": x, labels -> loss (a metric), logits, mean (a metric), by AdamW. "predict": x -> logits. */
static tern_model* compose_step(const tern_model* of) {
  static const int64_t rows[1] = {BATCH};
  tern_graph* g = begin("step");
  const tern_value in = input_x(g), label = tern_graph_input(g, "labels", TERN_DTYPE_I64, rows, 1);
  const tern_value logits = tern_graph_call(g, "net", of, "forward", &in, 1, NULL);
  const tern_value loss = tern_graph_op(g, "cross_entropy", NULL, TERN_VALUES(logits, label));
  tern_value weights[4], gradients[4];
  const int32_t n = tern_graph_list(g, "*", weights, 4);
  tern_model* model = NULL;
  int i;
  CHECK(n == 3 && tern_graph_list(g, "{w1,b1}", NULL, 0) == 2 && tern_graph_list(g, "none", weights + 3, 1) == 0);
  CHECK(tern_graph_find(g, "w1") == weights[0] && tern_graph_parameter(g, "b1", NULL) == weights[1]);
  OK(tern_graph_gradient(g, loss, weights, n, gradients));
  for (i = 0; i < n; ++i) {
    tern_tensor_info info = TERN_TENSOR_INFO_INIT;
    char m[32], v[32];
    OK(tern_graph_get(g, weights[i], &info));
    snprintf(m, sizeof m, "m/%s", info.name);
    snprintf(v, sizeof v, "v/%s", info.name);
    CHECK(tern_graph_op(
              g, "adamw_update", "weight_decay=0.01",
              TERN_VALUES(weights[i], tern_graph_state_like(g, m, weights[i]), tern_graph_state_like(g, v, weights[i]),
                          gradients[i], tern_graph_number(g, 0.05), tern_graph_scalar(g, "step"))) != TERN_NO_VALUE);
  }
  OK(tern_graph_output(g, "loss", loss));
  OK(tern_graph_output(g, "logits", logits));
  OK(tern_graph_output(g, "mean", tern_graph_op(g, "reduce_mean", NULL, TERN_VALUES(logits))));
  OK(tern_graph_begin(g, "predict"));
  {
    const tern_value again = input_x(g);
    OK(tern_graph_output(g, "logits", tern_graph_call(g, NULL, of, "forward", &again, 1, NULL)));
  }
  NEED(tern_graph_finish(g, &model));
  tern_graph_release(g);
  return model;
}

static tern_trainer* make_trainer(const tern_model* model, uint32_t flags) {
  tern_trainer_options o = TERN_TRAINER_OPTIONS_INIT;
  tern_trainer* t = NULL;
  o.flags = flags;
  o.seed = 5;
  NEED(tern_trainer_create(model, &o, &t));
  return t;
}

static double metric(const tern_trainer* t, int32_t index) {
  const char* name = NULL;
  double value = NAN;
  OK(tern_trainer_get_metric(t, index, &name, &value));
  return value;
}

/* The loss of a step, as of its start. */
static double take_step(tern_trainer* t) {
  OK(tern_trainer_step(t, batch, 2, NULL));
  return metric(t, 0);
}

/* All parameters, in order. */
static void read_parameters(tern_trainer* t, float* out) {
  static const char* const names[] = {"w1", "b1", "w2"};
  int i;
  for (i = 0; i < 3; ++i) {
    tern_tensor* p = NULL;
    NEED(tern_parameters_get(tern_trainer_parameters(t), names[i], &p));
    memcpy(out, tern_tensor_data(p), (size_t)tern_tensor_bytes(p));
    out += tern_tensor_num_elements(p);
    tern_tensor_release(p);
  }
}

static int same_parameters(tern_trainer* t, const float* expected) {
  float now[PARAMETERS];
  read_parameters(t, now);
  return memcmp(now, expected, sizeof now) == 0;
}

static void run_model(const tern_model* model, tern_parameters* parameters, const char* signature, float* logits) {
  tern_session_options o = TERN_SESSION_OPTIONS_INIT;
  tern_session* s = NULL;
  const tern_tensor *in = x, *out = NULL;
  int32_t index = -1;
  o.flags = TERN_SESSION_DETERMINISTIC;
  o.parameters = parameters;
  NEED(tern_model_find_signature(model, signature, &index));
  NEED(tern_session_create(model, &o, &s));
  NEED(tern_session_run(s, index, &in, 1, &out, 1, NULL));
  memcpy(logits, tern_tensor_const_data(out), BATCH * CLASSES * sizeof(float));
  tern_tensor_release(out);
  tern_session_release(s);
}

static void learns(void) {
  tern_trainer* t = make_trainer(step, 0);
  tern_trainer_memory memory = TERN_TRAINER_MEMORY_INIT;
  const tern_tensor *in = x, *out = NULL;
  const char* name = NULL;
  double first, value = 0;
  float before[PARAMETERS], logits[BATCH * CLASSES], bound[BATCH * CLASSES];
  int i, k, right = 0;
  OK(tern_trainer_get_memory(t, &memory));
  CHECK(memory.parameter_bytes == 4 * PARAMETERS && memory.state_bytes == 2 * 4 * PARAMETERS && memory.again == 0);
  CHECK(memory.activation_bytes > 0 && memory.unlimited_bytes >= memory.activation_bytes);
  CHECK(tern_trainer_steps(t) == 0 && tern_trainer_skipped(t) == 0);
  read_parameters(t, before);
  first = take_step(t);
  CHECK(first > 0.5 && !same_parameters(t, before));
  for (i = 1; i < 60; ++i) take_step(t);
  CHECK(metric(t, 0) < first / 2 && tern_trainer_steps(t) == 60);
  OK(tern_trainer_get_metric(t, 0, &name, &value));
  CHECK(strcmp(name, "loss") == 0);
  OK(tern_trainer_get_metric(t, 1, &name, &value));
  CHECK(strcmp(name, "mean") == 0 && isfinite(value)); /* "logits" is no single number */
  FAILS(TERN_ERR_NOT_FOUND, tern_trainer_get_metric(t, 2, &name, &value));

  OK(tern_trainer_run(t, 1, &in, 1, &out, 1, NULL));
  memcpy(logits, tern_tensor_const_data(out), sizeof logits);
  tern_tensor_release(out);
  for (i = 0; i < BATCH; ++i) {
    const float* row = logits + i * CLASSES;
    int best = 0;
    for (k = 1; k < CLASSES; ++k) best = row[k] > row[best] ? k : best;
    right += best == ((const int64_t*)tern_tensor_const_data(labels))[i];
  }
  CHECK(right >= BATCH - 1);
  run_model(step, tern_trainer_parameters(t), "predict", bound);
  CHECK(memcmp(logits, bound, sizeof logits) == 0);
  CHECK(tern_trainer_steps(t) == 60);
  tern_trainer_release(t);
}

/* The same bits as without a save between; what does not fit changes nothing. */
static void checkpoints(void) {
  const char *path = file_in_folder("graph.checkpoint"), *more = "before";
  const char* damaged = file_in_folder("damaged.checkpoint");
  tern_trainer *t = make_trainer(step, 0), *other = make_trainer(step, 0);
  tern_model* twin = compose_net();
  double loss;
  float parameters[PARAMETERS];
  long i, bytes;
  FILE* f;
  static unsigned char file[16384];
  for (i = 0; i < 7; ++i) take_step(t);
  OK(tern_trainer_save(t, path, NULL));
  OK(tern_trainer_load(other, path, &more));
  CHECK(more && more[0] == 0 && tern_trainer_steps(other) == 7);
  OK(tern_trainer_save(t, path, "line 3")); /* over the old one */
  read_parameters(t, parameters);
  loss = take_step(t);
  OK(tern_trainer_load(other, path, &more));
  CHECK(more && strcmp(more, "line 3") == 0 && tern_trainer_steps(other) == 7 && same_parameters(other, parameters));
  OK(tern_trainer_load(other, path, NULL));
  CHECK(take_step(other) == loss && take_step(other) == take_step(t));
  read_parameters(t, parameters);
  CHECK(same_parameters(other, parameters));

  /* Damaged anywhere: an error, and the trainer as it was. */
  f = fopen(path, "rb");
  bytes = f ? (long)fread(file, 1, sizeof file, f) : 0;
  if (f) fclose(f);
  CHECK(bytes > 64 && bytes < (long)sizeof file);
  for (i = 0; i < bytes; i += 97) {
    tern_status s;
    file[i] ^= 0x10;
    f = fopen(damaged, "wb");
    CHECK(f && fwrite(file, 1, (size_t)bytes, f) == (size_t)bytes);
    if (f) fclose(f);
    file[i] ^= 0x10;
    s = tern_trainer_load(other, damaged, NULL);
    if (s == TERN_OK) OK(tern_trainer_load(other, path, NULL)); /* a byte that only fills up */
    else CHECK(s == TERN_ERR_CORRUPT || s == TERN_ERR_CHECKSUM || s == TERN_ERR_UNSUPPORTED_VERSION);
  }
  remove(damaged);
  OK(tern_trainer_load(t, path, NULL));
  more = "kept";
  FAILS(TERN_ERR_NOT_FOUND, tern_trainer_load(t, file_in_folder("none.checkpoint"), &more));
  FAILS(TERN_ERR_CORRUPT, tern_trainer_load(t, file_in_folder("small.tern"), &more));
  CHECK(says("checkpoint") && strcmp(more, "kept") == 0 && tern_trainer_steps(t) == 7 && take_step(t) == loss);
  {
    /* One state more, and none of the parameters. */
    tern_graph* g = begin("step");
    tern_model* foreign = NULL;
    tern_trainer* of = NULL;
    const tern_value w = parameter(g, "w1", 1, 2, 0, 1);
    tern_value gradient;
    const tern_value sum = tern_graph_op(g, "reduce_mean", NULL, TERN_VALUES(w));
    OK(tern_graph_gradient(g, sum, &w, 1, &gradient));
    tern_graph_op(g, "sgd_update", NULL, TERN_VALUES(w, gradient, tern_graph_number(g, 0.1)));
    NEED(tern_graph_finish(g, &foreign));
    tern_graph_release(g);
    of = make_trainer(foreign, 0);
    FAILS(TERN_ERR_SHAPE, tern_trainer_load(of, path, NULL));
    CHECK(says("another model") && tern_trainer_steps(of) == 0);
    OK(tern_trainer_step(of, NULL, 0, NULL));
    FAILS(TERN_ERR_NOT_FOUND, tern_trainer_get_metric(of, 0, &more, &loss)); /* it has no output */
    tern_trainer_release(of);
    tern_model_release(foreign);
  }
  remove(path);
  tern_model_release(twin);
  tern_trainer_release(t);
  tern_trainer_release(other);
}

static void exports(void) {
  const char *path = file_in_folder("graph.tern"), *saved = file_in_folder("net.tern");
  tern_trainer* t = make_trainer(step, 0);
  tern_model *read = NULL, *small = load(context, "small.tern"), *counter = load(context, "counter.tern");
  float own[BATCH * CLASSES], now[BATCH * CLASSES];
  int i;
  run_model(net, NULL, "forward", own);
  OK(tern_model_save(net, saved));
  NEED(tern_model_load_file(context, saved, NULL, &read));
  run_model(read, NULL, "forward", now);
  CHECK(memcmp(own, now, sizeof own) == 0 && tern_model_num_tensors(read, 0, TERN_ROLE_PARAMETER) == 3);
  OK(tern_model_save(read, saved)); /* over the file that it is mapped from */
  run_model(read, NULL, "forward", now);
  CHECK(memcmp(own, now, sizeof own) == 0);
  tern_model_release(read);
  read = NULL;
  OK(tern_model_save(step, saved)); /* a step is a model as any other */
  NEED(tern_model_load_file(context, saved, NULL, &read));
  {
    tern_trainer *a = make_trainer(step, 0), *b = make_trainer(read, 0);
    for (i = 0; i < 5; ++i) CHECK(take_step(a) == take_step(b));
    tern_trainer_release(a);
    tern_trainer_release(b);
  }
  tern_model_release(read);

  for (i = 0; i < 5; ++i) take_step(t);
  OK(tern_trainer_export(t, net, NULL, path));
  NEED(tern_model_load_file(context, path, NULL, &read));
  run_model(read, NULL, "forward", now);
  CHECK(memcmp(own, now, sizeof own) != 0);
  run_model(step, tern_trainer_parameters(t), "predict", own);
  CHECK(memcmp(own, now, sizeof own) == 0);
  tern_model_release(read);
  FAILS(TERN_ERR_NOT_FOUND, tern_trainer_export(t, net, "teacher", path));
  CHECK(says("teacher"));
  FAILS(TERN_ERR_NOT_FOUND, tern_trainer_export(t, counter, NULL, path));
  FAILS(TERN_ERR_SHAPE, tern_trainer_export(t, small, NULL, path)); /* has a w1 of its own */
  CHECK(says("w1"));
  FAILS(TERN_ERR_IO, tern_trainer_export(t, net, NULL, "/dev/full"));
  FAILS(TERN_ERR_IO, tern_model_save(net, "/dev/full"));
  FAILS(TERN_ERR_IO, tern_model_save(net, check_folder));
  CHECK(tern_model_save(net, "/no/such/folder/x.tern") != TERN_OK);
  NEED(tern_model_load_file(context, path, NULL, &read)); /* none of these changed it */
  run_model(read, NULL, "forward", now);
  CHECK(memcmp(own, now, sizeof own) == 0);
  tern_model_release(read);
  remove(path);
  remove(saved);
  tern_model_release(small);
  tern_model_release(counter);
  tern_trainer_release(t);
}

/* What no node gives is an output as others are, and an update may read what it writes: also from a file. */
static void own_content(void) {
  const char* path = file_in_folder("own.tern");
  static const int64_t dims[1] = {2};
  tern_graph* g = begin("step");
  const tern_value in = tern_graph_input(g, "x", TERN_DTYPE_F32, dims, 1), w = parameter(g, "w", 1, 2, 0, 1);
  const tern_value count = tern_graph_state(g, "count", TERN_DTYPE_I64, dims, 1);
  tern_model *made = NULL, *read = NULL;
  tern_trainer* t = NULL;
  tern_tensor *given = make_tensor(context, TERN_DTYPE_F32, 1, 2, 0), *now = NULL;
  const tern_tensor *one = given, *out[4];
  float before[2];
  int i;
  tern_graph_op(g, "sgd_update", NULL, TERN_VALUES(w, w, tern_graph_number(g, 0.5)));
  OK(tern_graph_write(g, count, count));
  OK(tern_graph_output(g, "x", in));
  OK(tern_graph_output(g, "w", w));
  OK(tern_graph_output(g, "again", w));
  OK(tern_graph_output(g, "count", count));
  NEED(tern_graph_finish(g, &made));
  tern_graph_release(g);
  OK(tern_model_save(made, path));
  NEED(tern_model_load_file(context, path, NULL, &read));
  fill(given, 3);
  t = make_trainer(read, 0);
  NEED(tern_parameters_get(tern_trainer_parameters(t), "w", &now));
  memcpy(before, tern_tensor_data(now), sizeof before);
  tern_tensor_release(now);
  OK(tern_trainer_run(t, 0, &one, 1, out, 4, NULL)); /* outputs are the content before */
  CHECK(memcmp(tern_tensor_const_data(out[0]), tern_tensor_data(given), sizeof before) == 0);
  CHECK(memcmp(tern_tensor_const_data(out[1]), before, sizeof before) == 0);
  CHECK(memcmp(tern_tensor_const_data(out[2]), before, sizeof before) == 0);
  CHECK(((const int64_t*)tern_tensor_const_data(out[3]))[1] == 0);
  for (i = 0; i < 4; ++i) tern_tensor_release(out[i]);
  NEED(tern_parameters_get(tern_trainer_parameters(t), "w", &now));
  for (i = 0; i < 2; ++i) CHECK(((float*)tern_tensor_data(now))[i] == before[i] / 2);
  remove(path);
  tern_tensor_release(now);
  tern_tensor_release(given);
  tern_trainer_release(t);
  tern_model_release(made);
  tern_model_release(read);
}

/* LoRA: another model with the same weights and outputs, until B is something. */
static void adapters(void) {
  const char* path = file_in_folder("graph.adapter");
  tern_model *tuned = NULL, *merged = NULL, *none = NULL;
  tern_parameters *p = NULL, *q = NULL, *foreign = NULL;
  tern_tensor *b = NULL, *back = NULL;
  float own[BATCH * CLASSES], with[BATCH * CLASSES], now[BATCH * CLASSES];
  OK(tern_model_edit(net, "lora", "w?", "rank=2", &tuned));
  run_model(net, NULL, "forward", own);
  run_model(tuned, NULL, "forward", with);
  CHECK(memcmp(own, with, sizeof own) == 0 && tern_model_num_tensors(tuned, 0, TERN_ROLE_PARAMETER) == 7);
  NEED(tern_parameters_create(tuned, &p));
  NEED(tern_parameters_create(tuned, &q));
  NEED(tern_parameters_create(net, &foreign));
  FAILS(TERN_ERR_NOT_FOUND, tern_parameters_save(p, "*", path)); /* nothing was changed */
  NEED(tern_parameters_get(p, "w2.lora_b", &b));
  CHECK(tern_tensor_dim(b, 0) == CLASSES && tern_tensor_dim(b, 1) == 2);
  fill(b, 9);
  OK(tern_parameters_set(p, "w2.lora_b", b));
  run_model(tuned, p, "forward", with);
  CHECK(memcmp(own, with, sizeof own) != 0);
  FAILS(TERN_ERR_NOT_FOUND, tern_parameters_save(p, "w1*", path));
  OK(tern_parameters_save(p, "*.lora_{a,b}", path));
  OK(tern_parameters_load(q, path));
  NEED(tern_parameters_get(q, "w2.lora_b", &back));
  CHECK(memcmp(tern_tensor_data(b), tern_tensor_data(back), (size_t)tern_tensor_bytes(b)) == 0);
  run_model(tuned, q, "forward", now);
  CHECK(memcmp(with, now, sizeof now) == 0);
  {
    const uint64_t version = tern_parameters_version(foreign);
    FAILS(TERN_ERR_SHAPE, tern_parameters_load(foreign, path));
    CHECK(says("w2.lora_b") && tern_parameters_version(foreign) == version);
    FAILS(TERN_ERR_NOT_FOUND, tern_parameters_load(foreign, file_in_folder("none.adapter")));
    FAILS(TERN_ERR_CORRUPT, tern_parameters_load(foreign, file_in_folder("small.tern")));
    FAILS(TERN_ERR_IO, tern_parameters_save(p, "*", "/dev/full"));
    CHECK(tern_parameters_version(foreign) == version);
  }
  OK(tern_model_edit(tuned, "merge_lora", "*", NULL, &merged));
  run_model(merged, NULL, "forward", now);
  CHECK(memcmp(own, now, sizeof own) == 0); /* its own B is zeros */

  FAILS(TERN_ERR_NOT_FOUND, tern_model_edit(net, "smaller", "*", NULL, &none));
  CHECK(says("smaller") && says("lora"));
  FAILS(TERN_ERR_NOT_FOUND, tern_model_edit(net, "lora", "v*", NULL, &none));
  CHECK(says("v*"));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_edit(net, "lora", "*", "rank=0", &none));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_edit(net, "lora", "*", "rank=two", &none));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_edit(net, "lora", "*", "length=2", &none));
  FAILS(TERN_ERR_NOT_FOUND, tern_model_edit(net, "pack_ternary", "*", NULL, &none));
  CHECK(says("bit_linear") && none == NULL);
  remove(path);
  tern_tensor_release(b);
  tern_tensor_release(back);
  tern_parameters_release(p);
  tern_parameters_release(q);
  tern_parameters_release(foreign);
  tern_model_release(tuned);
  tern_model_release(merged);
}

/* ---- errors ---- */

/* A graph whose error this is: it stays, calls do nothing, finish tells it. */
static void ends(tern_graph* g, tern_status code, const char* a, const char* b) {
  tern_model* none = NULL;
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  tern_value v = 7;
  CHECK(tern_last_error_message()[0] && says(a) && says(b));
  tern_session_create(NULL, NULL, NULL); /* another error between */
  CHECK(tern_graph_number(g, 1) == TERN_NO_VALUE && says(a) && says(b));
  CHECK(tern_graph_list(g, "*", &v, 1) == -1 && v == 7);
  FAILS(code, tern_graph_get(g, 0, &info));
  FAILS(code, tern_graph_begin(g, "later"));
  FAILS(code, tern_graph_gradient(g, 0, &v, 1, &v));
  CHECK(v == TERN_NO_VALUE);
  tern_session_create(NULL, NULL, NULL);
  FAILS(code, tern_graph_finish(g, &none));
  CHECK(says(a) && says(b) && none == NULL);
  tern_graph_release(g);
}

static void wrong_values(void) {
  static const int64_t negative[2] = {2, -1}, square[2] = {IN, IN};
  tern_graph* g = begin("step");
  tern_error e = TERN_ERROR_INIT;
  CHECK(tern_graph_op(g, "linear", NULL, TERN_VALUES(input_x(g), parameter(g, "w", 2, 3, 5, 1))) == TERN_NO_VALUE);
  OK(tern_last_error(&e));
  CHECK(e.code == TERN_ERR_SHAPE && strcmp(e.op, "linear") == 0 && says("[12,4]") && says("[3,5]"));
  ends(g, TERN_ERR_SHAPE, "linear", "[3,5]");
  g = begin("step");
  CHECK(tern_graph_op(g, "liner", NULL, TERN_VALUES(input_x(g))) == TERN_NO_VALUE);
  ends(g, TERN_ERR_UNSUPPORTED_OP, "liner", "operator");
  g = begin("step");
  CHECK(tern_graph_op(g, "softmax", "axes=1", TERN_VALUES(input_x(g))) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "axes", "softmax");
  g = begin("step");
  CHECK(tern_graph_op(g, "softmax", "axis=one", TERN_VALUES(input_x(g))) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "axis", "one");
  g = begin("step");
  CHECK(tern_graph_op(g, "relu", NULL, NULL, 0) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "relu", "");
  g = begin("step");
  CHECK(tern_graph_op(g, "if", NULL, TERN_VALUES(input_x(g))) == TERN_NO_VALUE);
  ends(g, TERN_ERR_UNSUPPORTED, "if", "sub-graphs");
  g = begin("step");
  CHECK(tern_graph_op(g, "relu", NULL, TERN_VALUES(99)) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "99", "step");
  g = begin("step");
  CHECK(tern_graph_input(g, "x", TERN_DTYPE_F32, negative, 2) == TERN_NO_VALUE);
  ends(g, TERN_ERR_SHAPE, "-1", "");
  g = begin("step");
  CHECK(input_x(g) != TERN_NO_VALUE && input_x(g) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "'x'", "already");
  g = begin("step");
  CHECK(tern_graph_parameter(g, "w", NULL) == TERN_NO_VALUE);
  ends(g, TERN_ERR_NOT_FOUND, "'w'", "content");
  g = begin("step");
  parameter(g, "w", 1, 2, 0, 1);
  CHECK(parameter(g, "w", 1, 2, 0, 1) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "'w'", "already");
  g = begin("step");
  CHECK(tern_graph_state(g, "s", TERN_DTYPE_F32, square, 2) == tern_graph_state(g, "s", TERN_DTYPE_F32, square, 2));
  CHECK(tern_graph_state(g, "s", TERN_DTYPE_F32, square, 1) == TERN_NO_VALUE);
  ends(g, TERN_ERR_SHAPE, "'s'", "[4,4]");
  g = begin("step");
  CHECK(tern_graph_find(g, "hidden") == TERN_NO_VALUE);
  ends(g, TERN_ERR_NOT_FOUND, "hidden", "step");
  g = begin("step");
  CHECK(tern_graph_result(g, input_x(g), 1) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "output 1", "one");
}

static void wrong_steps(void) {
  static const int64_t dims[1] = {2};
  tern_graph* g = begin("step");
  tern_model* none = NULL;
  tern_value v, w;
  FAILS(TERN_ERR_STATE, tern_graph_finish(g, &none));
  CHECK(says("output") && none == NULL);
  ends(g, TERN_ERR_STATE, "step", "output");
  NEED(tern_graph_create(context, &g));
  CHECK(tern_graph_number(g, 1) == TERN_NO_VALUE);
  ends(g, TERN_ERR_STATE, "tern_graph_begin", "");
  g = begin("step");
  OK(tern_graph_output(g, "x", input_x(g)));
  CHECK(tern_graph_begin(g, "step") == TERN_ERR_INVALID_ARGUMENT);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "'step'", "already");
  g = begin("step");
  v = input_x(g);
  OK(tern_graph_output(g, "x", v));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_graph_output(g, "x", v));
  ends(g, TERN_ERR_INVALID_ARGUMENT, "'x'", "already");
  g = begin("step");
  OK(tern_graph_output(g, "x", input_x(g)));
  NEED(tern_graph_finish(g, &none));
  tern_model_release(none);
  none = NULL;
  FAILS(TERN_ERR_STATE, tern_graph_finish(g, &none)); /* a second time */
  ends(g, TERN_ERR_STATE, "finished", "");

  g = begin("step");
  v = input_x(g);
  w = tern_graph_op(g, "relu", NULL, &v, 1);
  FAILS(TERN_ERR_SHAPE, tern_graph_gradient(g, w, &v, 1, &w)); /* of many numbers */
  CHECK(w == TERN_NO_VALUE);
  ends(g, TERN_ERR_SHAPE, "[12,4]", "one element");
  g = begin("step");
  v = tern_graph_input(g, "i", TERN_DTYPE_I64, dims, 1);
  FAILS(TERN_ERR_TYPE, tern_graph_gradient(g, tern_graph_number(g, 1), &v, 1, &w));
  ends(g, TERN_ERR_TYPE, "float", "");

  g = begin("step");
  v = parameter(g, "w", 1, 2, 0, 1);
  FAILS(TERN_ERR_SHAPE, tern_graph_write(g, v, tern_graph_number(g, 1)));
  ends(g, TERN_ERR_SHAPE, "state_write", "[2]");
  g = begin("step");
  v = parameter(g, "w", 1, 2, 0, 1);
  OK(tern_graph_write(g, v, tern_graph_op(g, "neg", NULL, &v, 1)));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_graph_write(g, v, v));
  ends(g, TERN_ERR_INVALID_ARGUMENT, "'w'", "twice");
  g = begin("step");
  v = input_x(g);
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_graph_write(g, v, v));
  ends(g, TERN_ERR_INVALID_ARGUMENT, "'x'", "no parameter");
  g = begin("step");
  v = parameter(g, "w", 1, 2, 0, 1);
  w = tern_graph_op(g, "sgd_update", NULL, TERN_VALUES(v, v, tern_graph_number(g, 1)));
  OK(tern_graph_output(g, "after", tern_graph_op(g, "neg", NULL, &w, 1)));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_graph_finish(g, &none));
  ends(g, TERN_ERR_INVALID_ARGUMENT, "sgd_update", "'w'");
  CHECK(none == NULL);
}

static void wrong_calls(void) {
  static const int64_t other[2] = {BATCH, IN + 1};
  const char* names[1] = {"w1"};
  tern_call_options o = TERN_CALL_OPTIONS_INIT;
  tern_graph* g = begin("step");
  tern_value v = input_x(g);
  CHECK(tern_graph_call(g, NULL, net, "backward", &v, 1, NULL) == TERN_NO_VALUE);
  ends(g, TERN_ERR_NOT_FOUND, "backward", "'forward'");
  g = begin("step");
  v = tern_graph_input(g, "y", TERN_DTYPE_F32, other, 2);
  CHECK(tern_graph_call(g, NULL, net, "forward", &v, 1, NULL) == TERN_NO_VALUE);
  ends(g, TERN_ERR_SHAPE, "'x'", "[12,5]");
  g = begin("step");
  o.flags = 8;
  v = input_x(g);
  CHECK(tern_graph_call(g, NULL, net, "forward", &v, 1, &o) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "tern_call_options", "8");
  o.flags = TERN_CALL_TRAIN;
  o.statistics_momentum = 2;
  g = begin("step");
  v = input_x(g);
  CHECK(tern_graph_call(g, NULL, net, "forward", &v, 1, &o) == TERN_NO_VALUE);
  ends(g, TERN_ERR_INVALID_ARGUMENT, "statistics_momentum", "2");
  o.statistics_momentum = 0;
  o.names = names;
  o.values = &v;
  o.num_values = 1;
  g = begin("step");
  v = input_x(g);
  CHECK(tern_graph_call(g, NULL, net, "forward", &v, 1, &o) == TERN_NO_VALUE);
  ends(g, TERN_ERR_SHAPE, "'w1'", "[8,4]");
  names[0] = "w7";
  g = begin("step");
  v = input_x(g);
  CHECK(tern_graph_call(g, NULL, net, "forward", &v, 1, &o) == TERN_NO_VALUE);
  ends(g, TERN_ERR_NOT_FOUND, "w7", "");
}

/* No finite loss: nothing has changed; the next step is as if it had not been, or it is passed over. */
static void not_finite(void) {
  tern_trainer *t = make_trainer(step, 0), *twin = make_trainer(step, 0);
  tern_trainer* passes = make_trainer(step, TERN_TRAINER_SKIP_NOT_FINITE);
  tern_tensor* bad = make_tensor(context, TERN_DTYPE_F32, 2, BATCH, IN);
  const tern_tensor* bad_batch[2];
  float before[PARAMETERS];
  bad_batch[0] = bad;
  bad_batch[1] = labels;
  fill(bad, 4);
  ((float*)tern_tensor_data(bad))[5] = NAN;
  take_step(t);
  take_step(twin);
  take_step(passes);
  read_parameters(t, before);
  FAILS(TERN_ERR_NOT_FINITE, tern_trainer_step(t, bad_batch, 2, NULL));
  CHECK(says("step 2") && same_parameters(t, before) && tern_trainer_steps(t) == 1 && tern_trainer_skipped(t) == 0);
  CHECK(take_step(t) == take_step(twin)); /* moments are as before, too */
  CHECK(take_step(t) == take_step(twin));
  OK(tern_trainer_step(passes, bad_batch, 2, NULL));
  CHECK(same_parameters(passes, before) && tern_trainer_steps(passes) == 2 && tern_trainer_skipped(passes) == 1);
  take_step(passes);
  CHECK(!same_parameters(passes, before) && tern_trainer_steps(passes) == 3 && tern_trainer_skipped(passes) == 1);
  tern_tensor_release(bad);
  tern_trainer_release(t);
  tern_trainer_release(twin);
  tern_trainer_release(passes);
}

static void wrong_trainers(void) {
  tern_trainer_options o = TERN_TRAINER_OPTIONS_INIT;
  tern_run_options run = TERN_RUN_OPTIONS_INIT;
  tern_trainer *t = NULL, *twin = make_trainer(step, 0);
  tern_cancel* cancel = NULL;
  const tern_tensor* swapped[2];
  float before[PARAMETERS];
  o.step = "predict";
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_create(step, &o, &t));
  CHECK(says("predict"));
  o.step = "train";
  FAILS(TERN_ERR_NOT_FOUND, tern_trainer_create(step, &o, &t));
  CHECK(says("train"));
  o.step = "step";
  o.backends = "abacus";
  FAILS(TERN_ERR_NOT_FOUND, tern_trainer_create(step, &o, &t));
  CHECK(says("abacus"));
  o.backends = NULL;
  o.flags = 2;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_trainer_create(step, &o, &t));
  o.flags = 0;
  CHECK(t == NULL);

  NEED(tern_trainer_create(step, &o, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_trainer_step(t, batch, 1, NULL));
  swapped[0] = labels;
  swapped[1] = x;
  CHECK(tern_trainer_step(t, swapped, 2, NULL) != TERN_OK);
  NEED(tern_cancel_create(&cancel));
  tern_cancel_signal(cancel);
  run.cancel = cancel;
  read_parameters(t, before);
  FAILS(TERN_ERR_CANCELLED, tern_trainer_step(t, batch, 2, &run));
  CHECK(same_parameters(t, before) && tern_trainer_steps(t) == 0);
  tern_cancel_reset(cancel);
  OK(tern_trainer_step(t, batch, 2, &run));
  CHECK(metric(t, 0) == take_step(twin) && tern_trainer_steps(t) == 1);
  run.cancel = NULL;
  run.timeout_ns = 1;
  FAILS(TERN_ERR_DEADLINE, tern_trainer_step(t, batch, 2, &run));
  CHECK(tern_trainer_steps(t) == 1 && take_step(t) == take_step(twin));
  tern_cancel_release(cancel);
  tern_trainer_release(t);
  tern_trainer_release(twin);
}

/* What a trainer says it takes is a budget that does, with the same bits; less than what is learnt and the moments need
 * does not. */
static void budgets(void) {
  tern_trainer_options o = TERN_TRAINER_OPTIONS_INIT;
  tern_trainer_memory m = TERN_TRAINER_MEMORY_INIT;
  tern_trainer *t = NULL, *unlimited = make_trainer(step, 0);
  uint64_t fixed;
  int i;
  OK(tern_trainer_get_memory(unlimited, &m));
  fixed = m.parameter_bytes + m.state_bytes;
  for (o.budget = 1; o.budget <= fixed; o.budget += fixed - 1) {
    FAILS(TERN_ERR_LIMIT, tern_trainer_create(step, &o, &t));
    CHECK(says("256") && says("512")); /* bytes of these */
  }
  o.budget = fixed + m.work_bytes + 8;
  FAILS(TERN_ERR_LIMIT, tern_trainer_create(step, &o, &t));
  CHECK(t == NULL && says("allow"));
  o.budget = fixed + m.work_bytes + m.activation_bytes;
  o.seed = 5;
  NEED(tern_trainer_create(step, &o, &t));
  for (i = 0; i < 5; ++i) CHECK(take_step(t) == take_step(unlimited));
  OK(tern_trainer_get_memory(t, &m));
  CHECK(m.parameter_bytes + m.state_bytes + m.activation_bytes + m.work_bytes <= o.budget);
  tern_trainer_release(t);
  tern_trainer_release(unlimited);
}

/* Saves that end anywhere: the disk is full, or the process is killed. The file is one of those that were saved. */
static void interrupted_saves(void) {
  const char* path = file_in_folder("interrupted.checkpoint");
  tern_trainer *trainers[2], *reader = make_trainer(step, 0);
  static const char* const texts[2] = {"first", "second, which is longer"};
  float parameters[2][PARAMETERS];
  double losses[2];
  struct rlimit old, small;
  const char* more = NULL;
  int i, k, seen[2] = {0, 0};
  for (k = 0; k < 2; ++k) {
    trainers[k] = make_trainer(step, 0);
    for (i = 0; i < 3 + 4 * k; ++i) take_step(trainers[k]);
    read_parameters(trainers[k], parameters[k]);
  }
  OK(tern_trainer_save(trainers[0], path, texts[0]));

  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  small = old;
  for (i = 0; i < 4000; i += 211) {
    tern_status s;
    small.rlim_cur = (rlim_t)i;
    setrlimit(RLIMIT_FSIZE, &small);
    s = tern_trainer_save(trainers[1], path, texts[1]);
    setrlimit(RLIMIT_FSIZE, &old);
    if (s == TERN_OK) break; /* the whole file has room */
    CHECK(s == TERN_ERR_IO && says(path));
    OK(tern_trainer_load(reader, path, &more));
    CHECK(tern_trainer_steps(reader) == 3 && strcmp(more, texts[0]) == 0);
  }
  CHECK(i > 1000);
  FAILS(TERN_ERR_IO, tern_trainer_save(trainers[1], "/dev/full", NULL));
  FAILS(TERN_ERR_IO, tern_trainer_save(trainers[1], check_folder, NULL));
  CHECK(tern_trainer_save(trainers[1], "/no/such/folder/x", NULL) != TERN_OK);

  for (i = 0; i < 200; ++i) {
    struct timespec t = {0, 0};
    int said[2] = {-1, -1};
    char byte;
    pid_t child;
    CHECK(pipe(said) == 0);
    child = fork();
    if (child == 0)
      for (k = i;; ++k)
        if (tern_trainer_save(trainers[k & 1], path, texts[k & 1]) != TERN_OK || write(said[1], "", 1) != 1) _exit(1);
    CHECK(read(said[0], &byte, 1) == 1);  /* it has saved once */
    t.tv_nsec = i * 7919L % 199 * 20000L; /* up to 4 ms */
    nanosleep(&t, NULL);
    kill(child, SIGKILL);
    waitpid(child, &k, 0);
    close(said[0]);
    close(said[1]);
    CHECK(WIFSIGNALED(k)); /* no save failed */
    OK(tern_trainer_load(reader, path, &more));
    k = tern_trainer_steps(reader) == 7;
    CHECK(tern_trainer_steps(reader) == 3 + 4 * k && strcmp(more, texts[k]) == 0);
    CHECK(same_parameters(reader, parameters[k]));
    ++seen[k];
    {
      char name[1100]; /* what the killed one left beside it */
      snprintf(name, sizeof name, "%s.tmp%ld.0", path, (long)child);
      remove(name);
    }
  }
  CHECK(seen[0] > 5 && seen[1] > 5);
  for (k = 0; k < 2; ++k) { /* and it goes on as what was saved does */
    OK(tern_trainer_save(trainers[k], path, texts[k]));
    OK(tern_trainer_load(reader, path, &more));
    losses[k] = take_step(trainers[k]);
    CHECK(take_step(reader) == losses[k]);
    tern_trainer_release(trainers[k]);
  }
  CHECK(losses[1] < losses[0]);
  remove(path);
  tern_trainer_release(reader);
}

MAIN_BEGIN
int i, k;
NEED(tern_context_create(NULL, &context));
x = make_tensor(context, TERN_DTYPE_F32, 2, BATCH, IN);
labels = make_tensor(context, TERN_DTYPE_I64, 1, BATCH, 0);
fill(x, 11);
for (i = 0; i < BATCH; ++i) {
  k = i % CLASSES;
  ((int64_t*)tern_tensor_data(labels))[i] = k;
  ((float*)tern_tensor_data(x))[i * IN + k] += 2; /* what tells the class */
}
batch[0] = x;
batch[1] = labels;
net = compose_net();
step = compose_step(net);
learns();
checkpoints();
exports();
own_content();
adapters();
wrong_values();
wrong_steps();
wrong_calls();
not_finite();
wrong_trainers();
budgets();
interrupted_saves();
tern_model_release(step);
tern_model_release(net);
tern_tensor_release(x);
tern_tensor_release(labels);
tern_context_release(context);
MAIN_END("graph")
