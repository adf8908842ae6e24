/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: runs, bound runs, outputs that are held, wrong inputs, cancel and deadline, plans, reports. */
#include <pthread.h>
#include <time.h>

#include "check.h"

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float first(const tern_tensor* t) { return ((const float*)tern_tensor_const_data(t))[0]; }

static void runs(tern_context* context, const tern_model* model) {
  tern_session* s = NULL;
  tern_tensor *x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16),
              *other = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16);
  const tern_tensor *in = x, *in2 = other, *a[2] = {NULL, NULL}, *b[2] = {NULL, NULL};
  float kept[16], hidden;
  int i;
  fill(x, 1);
  fill(other, 2);
  NEED(tern_session_create(model, NULL, &s));
  OK(tern_session_run(s, 0, &in, 1, a, 2, NULL));
  CHECK(tern_tensor_dim(a[0], 0) == 2 && tern_tensor_dim(a[0], 1) == 8 && tern_tensor_dim(a[1], 1) == 32);
  memcpy(kept, tern_tensor_const_data(a[0]), sizeof kept);
  hidden = first(a[1]);
  /* As long as it is held, an output is not written again. */
  for (i = 0; i < 10; ++i) {
    OK(tern_session_run(s, 0, &in2, 1, b, 2, NULL));
    CHECK(b[0] != a[0] && b[1] != a[1]);
    CHECK(memcmp(kept, tern_tensor_const_data(a[0]), sizeof kept) == 0 && hidden == first(a[1]));
    CHECK(memcmp(kept, tern_tensor_const_data(b[0]), sizeof kept) != 0);
    tern_tensor_release(b[0]);
    tern_tensor_release(b[1]);
  }
  /* More held at once than any pool keeps. */
  {
    const tern_tensor* many[20][2];
    for (i = 0; i < 20; ++i) {
      OK(tern_session_run(s, 0, i % 2 ? &in : &in2, 1, many[i], 2, NULL));
    }
    for (i = 0; i < 20; ++i) {
      CHECK((memcmp(kept, tern_tensor_const_data(many[i][0]), sizeof kept) == 0) == (i % 2));
      tern_tensor_release(many[i][0]);
      tern_tensor_release(many[i][1]);
    }
  }
  tern_tensor_release(a[0]);
  tern_tensor_release(a[1]);
  tern_tensor_release(x);
  tern_tensor_release(other);
  tern_session_release(s);
}

/* As many elements as the content of the input says: known after a run, and told before it. */
static void sizes_that_depend_on_data(tern_context* context) {
  static const float values[2][6] = {{1, -2, 3, -4, 5, -6}, {-1, -2, 7, -4, -5, -6}};
  tern_model* m = load(context, "mask.tern");
  tern_session* s = NULL;
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  tern_memory_report memory = TERN_MEMORY_REPORT_INIT;
  tern_tensor *x = make_tensor(context, TERN_DTYPE_F32, 1, 6, 0),
              *bound = make_tensor(context, TERN_DTYPE_F32, 1, 3, 0);
  const tern_tensor *in = x, *out = NULL;
  int i;
  if (!m) return;
  OK(tern_model_get_tensor(m, 0, TERN_ROLE_OUTPUT, 0, &info));
  CHECK(info.rank == 1 && info.dims[0] == -1);
  NEED(tern_session_create(m, NULL, &s));
  for (i = 0; i < 6; ++i) {
    memcpy(tern_tensor_data(x), values[i % 2], sizeof values[0]);
    OK(tern_session_run(s, 0, &in, 1, &out, 1, NULL));
    CHECK(tern_tensor_dim(out, 0) == (i % 2 ? 1 : 3) && first(out) == (i % 2 ? 7 : 1));
    tern_tensor_release(out);
  }
  OK(tern_session_memory(s, &memory));
  CHECK(memory.num_plans == 3); /* one up to the size, one for each size */
  OK(tern_session_bind_input(s, 0, 0, x));
  OK(tern_session_bind_output(s, 0, 0, bound));
  FAILS(TERN_ERR_SHAPE, tern_session_run_bound(s, 0, NULL));
  memcpy(tern_tensor_data(x), values[0], sizeof values[0]);
  OK(tern_session_run_bound(s, 0, NULL));
  CHECK(first(bound) == 1 && ((const float*)tern_tensor_const_data(bound))[2] == 5);
  tern_session_release(s);
  tern_model_release(m);
  tern_tensor_release(x);
  tern_tensor_release(bound);
}

static void scalars_and_indices(tern_context* context, const tern_model* model) {
  tern_session* s = NULL;
  tern_tensor *x = make_tensor(context, TERN_DTYPE_F32, 1, 4, 0),
              *factor = make_tensor(context, TERN_DTYPE_I64, 0, 0, 0);
  tern_tensor* ids = make_tensor(context, TERN_DTYPE_I64, 1, 3, 0);
  const tern_tensor *in[2], *out = NULL;
  tern_memory_report report = TERN_MEMORY_REPORT_INIT;
  int64_t* id = (int64_t*)tern_tensor_data(ids);
  int k;
  in[0] = x;
  in[1] = factor;
  fill(x, 5);
  NEED(tern_session_create(model, NULL, &s));
  for (k = -3; k < 100; k += 20) {
    *(int64_t*)tern_tensor_data(factor) = k;
    OK(tern_session_run(s, 2, in, 2, &out, 1, NULL));
    CHECK(first(out) == first(x) * (float)k);
    tern_tensor_release(out);
  }
  OK(tern_session_memory(s, &report));
  CHECK(report.num_plans == 1); /* the value of a scalar makes no plan */

  in[0] = ids;
  id[0] = 9;
  id[1] = 0;
  id[2] = 4;
  OK(tern_session_run(s, 1, in, 1, &out, 1, NULL));
  CHECK(first(out) == 9 && ((const float*)tern_tensor_const_data(out))[5] == -4);
  tern_tensor_release(out);
  out = NULL;
  id[1] = 10;
  FAILS(TERN_ERR_INDEX, tern_session_run(s, 1, in, 1, &out, 1, NULL));
  id[1] = INT64_MIN;
  FAILS(TERN_ERR_INDEX, tern_session_run(s, 1, in, 1, &out, 1, NULL));
  CHECK(out == NULL);
  id[1] = 0;
  OK(tern_session_run(s, 1, in, 1, &out, 1, NULL)); /* and goes on */
  tern_tensor_release(out);
  tern_tensor_release(x);
  tern_tensor_release(factor);
  tern_tensor_release(ids);
  tern_session_release(s);
}

static void wrong_calls(tern_context* context, const tern_model* model) {
  tern_session* s = NULL;
  tern_session_options so = TERN_SESSION_OPTIONS_INIT;
  tern_run_options ro = TERN_RUN_OPTIONS_INIT;
  tern_tensor *x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16),
              *narrow = make_tensor(context, TERN_DTYPE_F32, 2, 2, 15);
  tern_tensor *tall = make_tensor(context, TERN_DTYPE_F32, 2, 65, 16),
              *none = make_tensor(context, TERN_DTYPE_F32, 2, 0, 16);
  tern_tensor *flat = make_tensor(context, TERN_DTYPE_F32, 1, 32, 0),
              *integers = make_tensor(context, TERN_DTYPE_I32, 2, 2, 16);
  const tern_tensor *in[2], *guard = (const tern_tensor*)(uintptr_t)0x1234, *out[3];
  out[0] = out[1] = out[2] = guard;
  in[0] = x;
  in[1] = x;

  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_create(NULL, NULL, &s));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_create(model, NULL, NULL));
  so.flags = 64;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_create(model, &so, &s));
  so.flags = 0;
  so.backends = "abacus";
  FAILS(TERN_ERR_NOT_FOUND, tern_session_create(model, &so, &s));
  CHECK(says("abacus") && says("cpu"));
  so.backends = ",";
  FAILS(TERN_ERR_NOT_FOUND, tern_session_create(model, &so, &s));
  so.backends = NULL;
  so.max_plans = -1;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_create(model, &so, &s));
  so.max_plans = 0;
  so.struct_size = 4;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_create(model, &so, &s));
  CHECK(s == NULL);
  OK(tern_session_options_init(&so, sizeof so));
  NEED(tern_session_create(model, &so, &s));

  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(NULL, 0, in, 1, out, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, -1, in, 1, out, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 3, in, 1, out, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, 2, out, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, 0, out, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, -1, out, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, NULL, 1, out, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, 1, out, 1, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, 1, out, 3, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, 1, NULL, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, 1, out, INT32_MIN, NULL));
  ro.flags = 1;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, 1, out, 2, &ro));
  ro.flags = 0;
  ro.struct_size = 1;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run(s, 0, in, 1, out, 2, &ro));
  in[0] = narrow;
  FAILS(TERN_ERR_SHAPE, tern_session_run(s, 0, in, 1, out, 2, NULL));
  CHECK(says("'x'") && says("15"));
  in[0] = tall;
  FAILS(TERN_ERR_SHAPE, tern_session_run(s, 0, in, 1, out, 2, NULL));
  CHECK(says("65"));
  in[0] = none;
  FAILS(TERN_ERR_SHAPE, tern_session_run(s, 0, in, 1, out, 2, NULL));
  in[0] = flat;
  FAILS(TERN_ERR_SHAPE, tern_session_run(s, 0, in, 1, out, 2, NULL));
  in[0] = integers;
  FAILS(TERN_ERR_TYPE, tern_session_run(s, 0, in, 1, out, 2, NULL));
  CHECK(says("i32"));
  in[0] = NULL;
  FAILS(TERN_ERR_STATE, tern_session_run(s, 0, in, 1, out, 2, NULL));
  CHECK(out[0] == guard && out[1] == guard && out[2] == guard);
  in[0] = x;
  OK(tern_run_options_init(&ro, sizeof ro));
  OK(tern_session_run(s, 0, in, 1, out, 2, &ro));
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);
  tern_tensor_release(x);
  tern_tensor_release(narrow);
  tern_tensor_release(tall);
  tern_tensor_release(none);
  tern_tensor_release(flat);
  tern_tensor_release(integers);
  tern_session_release(s);
}

static void bound_runs(tern_context* context, const tern_model* model) {
  tern_session* s = NULL;
  tern_tensor *x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16), *y = make_tensor(context, TERN_DTYPE_F32, 2, 2, 8);
  tern_tensor *hidden = make_tensor(context, TERN_DTYPE_F32, 2, 2, 32),
              *small = make_tensor(context, TERN_DTYPE_F32, 2, 1, 8);
  const tern_tensor *in = x, *out[2] = {NULL, NULL};
  float expected[16];
  int i;
  fill(x, 3);
  NEED(tern_session_create(model, NULL, &s));
  FAILS(TERN_ERR_STATE, tern_session_run_bound(s, 0, NULL));
  OK(tern_session_run(s, 0, &in, 1, out, 2, NULL));
  memcpy(expected, tern_tensor_const_data(out[0]), sizeof expected);
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);

  OK(tern_session_bind_input(s, 0, 0, x));
  FAILS(TERN_ERR_STATE, tern_session_run_bound(s, 0, NULL));
  CHECK(says("'y'"));
  OK(tern_session_bind_output(s, 0, 0, y));
  OK(tern_session_bind_output(s, 0, 1, hidden));
  for (i = 0; i < 3; ++i) {
    memset(tern_tensor_data(y), 0, 64);
    OK(tern_session_run_bound(s, 0, NULL));
    CHECK(memcmp(tern_tensor_data(y), expected, sizeof expected) == 0);
  }
  /* Other content of the same tensors, then other tensors. */
  fill(x, 4);
  OK(tern_session_run_bound(s, 0, NULL));
  CHECK(memcmp(tern_tensor_data(y), expected, sizeof expected) != 0);
  in = NULL;
  out[0] = out[1] = NULL;
  OK(tern_session_run(s, 0, &in, 1, out, 2, NULL)); /* the bound ones */
  CHECK(out[0] == y && out[1] == hidden);
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);
  OK(tern_session_bind_output(s, 0, 0, small));
  FAILS(TERN_ERR_SHAPE, tern_session_run_bound(s, 0, NULL));
  CHECK(says("'y'"));
  OK(tern_session_bind_output(s, 0, 0, NULL));
  FAILS(TERN_ERR_STATE, tern_session_run_bound(s, 0, NULL));
  OK(tern_session_bind_output(s, 0, 0, y));
  OK(tern_session_run_bound(s, 0, NULL));
  tern_tensor_release(x); /* bound tensors are kept */
  tern_tensor_release(y);
  OK(tern_session_run_bound(s, 0, NULL));
  tern_tensor_release(hidden);
  tern_tensor_release(small);

  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_bind_input(s, 0, 1, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_bind_input(s, 0, -1, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_bind_input(s, 9, 0, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_bind_input(NULL, 0, 0, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_bind_output(s, 0, 2, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_bind_output(s, 9, 0, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_bind_output(NULL, 0, 0, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run_bound(NULL, 0, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run_bound(s, 9, NULL));
  tern_session_release(s);
}

static void plans(tern_context* context, const tern_model* model) {
  tern_session* s = NULL;
  tern_session_options o = TERN_SESSION_OPTIONS_INIT;
  tern_memory_report report = TERN_MEMORY_REPORT_INIT;
  int64_t dims[2] = {4, 16};
  const tern_tensor* out[2];
  int i;
  o.max_plans = 3;
  NEED(tern_session_create(model, &o, &s));
  OK(tern_session_memory(s, &report));
  CHECK(report.num_plans == 0 && report.mapped_bytes > 0);
  FAILS(TERN_ERR_SHAPE, tern_session_prepare(s, 0, NULL, 0));
  OK(tern_session_prepare(s, 0, dims, 2));
  OK(tern_session_prepare(s, 1, NULL, 0));
  dims[1] = 17;
  FAILS(TERN_ERR_SHAPE, tern_session_prepare(s, 0, dims, 2));
  dims[1] = 16;
  dims[0] = 0;
  FAILS(TERN_ERR_SHAPE, tern_session_prepare(s, 0, dims, 2));
  dims[0] = -4;
  FAILS(TERN_ERR_SHAPE, tern_session_prepare(s, 0, dims, 2));
  dims[0] = 65;
  FAILS(TERN_ERR_SHAPE, tern_session_prepare(s, 0, dims, 2));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_prepare(s, 0, dims, 1));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_prepare(s, 0, dims, -2));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_prepare(s, 0, NULL, 2));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_prepare(s, 9, dims, 2));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_prepare(NULL, 0, dims, 2));
  OK(tern_session_memory(s, &report));
  CHECK(report.num_plans == 2);
  for (i = 1; i <= 20; ++i) {
    tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, i, 16);
    const tern_tensor* in = x;
    OK(tern_session_run(s, 0, &in, 1, out, 2, NULL));
    CHECK(tern_tensor_dim(out[0], 0) == i);
    tern_tensor_release(out[0]);
    tern_tensor_release(out[1]);
    tern_tensor_release(x);
    OK(tern_session_memory(s, &report));
    CHECK(report.num_plans <= 4); /* three of this signature, one of the other */
    CHECK(report.plan_bytes > report.arena_bytes + report.scratch_bytes + report.prepared_bytes);
  }
  {
    tern_memory_report old = TERN_MEMORY_REPORT_INIT; /* of an app that was built before plan_bytes */
    old.struct_size = (uint32_t)offsetof(tern_memory_report, plan_bytes);
    old.plan_bytes = 77;
    OK(tern_session_memory(s, &old));
    CHECK(old.plan_bytes == 77 && old.num_plans == report.num_plans && old.output_bytes == report.output_bytes);
  }
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_memory(NULL, &report));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_memory(s, NULL));
  tern_session_release(s);
}

/* The entry of this operator, with the text of the operator's last part. */
static tern_intermediate find_intermediate(const tern_session* s, const char* op) {
  tern_intermediate k = TERN_INTERMEDIATE_INIT, none = TERN_INTERMEDIATE_INIT;
  int32_t i;
  for (i = 0; i < tern_session_num_intermediates(s, 0); ++i) {
    OK(tern_session_get_intermediate(s, 0, i, &k));
    CHECK(k.name[0] && k.node && k.tensor);
    if (strcmp(k.op, op) == 0) return k;
  }
  return none;
}

static void intermediates(tern_context* context, const tern_model* model) {
  tern_session *s = NULL, *plain = NULL;
  tern_session_options o = TERN_SESSION_OPTIONS_INIT;
  tern_intermediate k = TERN_INTERMEDIATE_INIT, relu;
  tern_memory_report before = TERN_MEMORY_REPORT_INIT, after = TERN_MEMORY_REPORT_INIT;
  tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16);
  const tern_tensor *in = x, *out[2], *hidden[2];
  int32_t i, n;
  fill(x, 3);
  NEED(tern_session_create(model, NULL, &s));
  OK(tern_session_run(s, 0, &in, 1, out, 2, NULL));
  tern_tensor_release(out[0]);
  hidden[0] = out[1];
  CHECK(tern_session_num_intermediates(s, 0) == 0); /* not asked for */
  FAILS(TERN_ERR_STATE, tern_session_get_intermediate(s, 0, 0, &k));
  OK(tern_session_memory(s, &before));
  tern_session_release(s);
  s = NULL;

  o.flags = TERN_SESSION_KEEP_INTERMEDIATES;
  NEED(tern_session_create(model, &o, &s));
  o.backends = "reference";
  NEED(tern_session_create(model, &o, &plain));
  CHECK(tern_session_num_intermediates(s, 0) == 0 && tern_session_num_intermediates(s, 9) == 0 &&
        tern_session_num_intermediates(NULL, 0) == 0);
  FAILS(TERN_ERR_STATE, tern_session_get_intermediate(s, 0, 0, &k));
  OK(tern_session_run(s, 0, &in, 1, out, 2, NULL));
  tern_tensor_release(out[0]);
  hidden[1] = out[1];
  OK(tern_session_run(plain, 0, &in, 1, out, 2, NULL));
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);
  /* Kept values change no bit of the results. */
  CHECK(memcmp(tern_tensor_const_data(hidden[0]), tern_tensor_const_data(hidden[1]), 2 * 32 * sizeof(float)) == 0);
  tern_tensor_release(hidden[0]);
  tern_tensor_release(hidden[1]);
  OK(tern_session_memory(s, &after));
  CHECK(after.output_bytes > before.output_bytes);

  /* The fused node bears the name of the value that it stands for in the model. */
  n = tern_session_num_intermediates(plain, 0);
  CHECK(n > tern_session_num_intermediates(s, 0));
  k = find_intermediate(s, "linear+relu");
  relu = find_intermediate(plain, "relu");
  if (k.name && relu.name) {
    const float *a = (const float*)tern_tensor_const_data(k.tensor),
                *b = (const float*)tern_tensor_const_data(relu.tensor);
    const tern_tensor* held = k.tensor;
    const float first = a[0];
    CHECK(strcmp(k.name, relu.name) == 0 && tern_tensor_num_elements(k.tensor) == 2 * 32);
    for (i = 0; i < 2 * 32; ++i) CHECK(a[i] - b[i] < 1e-5f && b[i] - a[i] < 1e-5f);
    tern_tensor_retain(held);
    fill(x, 4);
    OK(tern_session_run(s, 0, &in, 1, out, 2, NULL));
    tern_tensor_release(out[0]);
    tern_tensor_release(out[1]);
    CHECK(((const float*)tern_tensor_const_data(held))[0] == first);
    k = find_intermediate(s, "linear+relu");
    CHECK(k.tensor != held);
    tern_tensor_release(held);
  } else {
    CHECK(!"linear+relu and relu");
  }
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_intermediate(s, 0, -1, &k));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_intermediate(s, 0, n, &k));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_intermediate(s, 9, 0, &k));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_intermediate(NULL, 0, 0, &k));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_intermediate(s, 0, 0, NULL));
  tern_session_release(s);
  tern_session_release(plain);
  tern_tensor_release(x);
}

static void reports(tern_context* context, const tern_model* model) {
  tern_session* s = NULL;
  tern_session_options o = TERN_SESSION_OPTIONS_INIT;
  tern_placement p = TERN_PLACEMENT_INIT;
  tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16);
  const tern_tensor *in = x, *out[2];
  char text[4096];
  FILE* f;
  size_t n;
  int32_t i;
  double total = 0;
  o.flags = TERN_SESSION_PROFILE;
  NEED(tern_session_create(model, &o, &s));
  CHECK(tern_session_num_placements(s, 0) == -1 && tern_session_num_placements(s, 7) == -1 &&
        tern_session_num_placements(NULL, 0) == -1);
  FAILS(TERN_ERR_STATE, tern_session_get_placement(s, 0, 0, &p));
  OK(tern_session_run(s, 0, &in, 1, out, 2, NULL));
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);
  CHECK(tern_session_num_placements(s, 0) > 0);
  for (i = 0; i < tern_session_num_placements(s, 0); ++i) {
    OK(tern_session_get_placement(s, 0, i, &p));
    CHECK(p.op[0] && strcmp(p.backend, "cpu") == 0 && p.node && p.origin && p.reason);
    CHECK(p.kind >= TERN_PLACED_KERNEL && p.kind <= TERN_PLACED_COPY);
    total += p.time_ns;
  }
  CHECK(total > 0);
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_placement(s, 0, -1, &p));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_placement(s, 0, tern_session_num_placements(s, 0), &p));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_placement(s, 0, 0, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_get_placement(s, 12, 0, &p));
  OK(tern_session_write_profile(s, file_in_folder("trace.json")));
  f = fopen(file_in_folder("trace.json"), "rb");
  CHECK(f != NULL);
  n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f) fclose(f);
  text[n] = 0;
  CHECK(strstr(text, "traceEvents") != NULL);
  remove(file_in_folder("trace.json"));
  FAILS(TERN_ERR_IO, tern_session_write_profile(s, "/no/such/folder/trace.json"));
  FAILS(TERN_ERR_IO, tern_session_write_profile(s, "/dev/full"));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_write_profile(s, NULL));
  tern_session_release(s);
  s = NULL;
  NEED(tern_session_create(model, NULL, &s));
  FAILS(TERN_ERR_STATE, tern_session_write_profile(s, file_in_folder("trace.json")));
  tern_session_release(s);
  tern_tensor_release(x);
}

typedef struct canceller {
  tern_cancel* cancel;
  int milliseconds;
} canceller;

static void* cancel_later(void* user) {
  const canceller* c = (const canceller*)user;
  struct timespec t = {0, 0};
  t.tv_nsec = c->milliseconds * 1000000L;
  nanosleep(&t, NULL);
  tern_cancel_signal(c->cancel);
  return NULL;
}

static void cancel_and_deadline(tern_context* context) {
  tern_model* model = load(context, "slow.tern");
  tern_session* s = NULL;
  tern_run_options o = TERN_RUN_OPTIONS_INIT;
  tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, 512, 512);
  const tern_tensor *in = x, *out = NULL;
  canceller c;
  pthread_t thread;
  double begin, whole, stopped;
  fill(x, 9);
  NEED(tern_session_create(model, NULL, &s));
  OK(tern_session_run(s, 0, &in, 1, &out, 1, NULL));
  tern_tensor_release(out);
  begin = seconds();
  OK(tern_session_run(s, 0, &in, 1, &out, 1, NULL));
  whole = seconds() - begin;
  tern_tensor_release(out);
  out = NULL;

  NEED(tern_cancel_create(&c.cancel));
  c.milliseconds = (int)(whole * 1000 / 10) + 1;
  o.cancel = c.cancel;
  begin = seconds();
  CHECK(pthread_create(&thread, NULL, cancel_later, &c) == 0);
  FAILS(TERN_ERR_CANCELLED, tern_session_run(s, 0, &in, 1, &out, 1, &o));
  stopped = seconds() - begin;
  pthread_join(thread, NULL);
  CHECK(stopped < 0.7 * whole && out == NULL);
  FAILS(TERN_ERR_CANCELLED, tern_session_run(s, 0, &in, 1, &out, 1, &o)); /* still signalled */
  tern_cancel_reset(c.cancel);
  o.timeout_ns = (uint64_t)(whole * 1e9 / 10);
  begin = seconds();
  FAILS(TERN_ERR_DEADLINE, tern_session_run(s, 0, &in, 1, &out, 1, &o));
  CHECK(seconds() - begin < 0.7 * whole && out == NULL);
  o.timeout_ns = UINT64_MAX; /* never */
  OK(tern_session_run(s, 0, &in, 1, &out, 1, &o));
  tern_tensor_release(out);
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_cancel_create(NULL));
  tern_cancel_release(c.cancel);
  tern_tensor_release(x);
  tern_session_release(s);
  tern_model_release(model);
}

typedef struct planner {
  tern_cancel* cancel;
  int allocations, cancel_at;
} planner;

static void* allocate_and_cancel(void* user, size_t bytes, size_t alignment) {
  planner* p = (planner*)user;
  if (++p->allocations == p->cancel_at) tern_cancel_signal(p->cancel);
  return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release_it(void* user, void* memory, size_t bytes) {
  (void)user, (void)bytes;
  free(memory);
}

/* The first run makes a plan; that can be ended, too: before it, or at any of the allocations within. */
static void cancelled_plans(void) {
  planner p;
  tern_allocator allocator;
  tern_context_options c = TERN_CONTEXT_OPTIONS_INIT;
  tern_run_options o = TERN_RUN_OPTIONS_INIT, late = TERN_RUN_OPTIONS_INIT;
  tern_context* context = NULL;
  tern_model* model;
  tern_session* s = NULL;
  tern_tensor* x;
  const tern_tensor *in, *out = NULL;
  int planned;
  memset(&allocator, 0, sizeof allocator);
  memset(&p, 0, sizeof p);
  allocator.struct_size = (uint32_t)sizeof allocator;
  allocator.user = &p;
  allocator.allocate = allocate_and_cancel;
  allocator.release = release_it;
  c.allocator = &allocator;
  c.num_threads = 1;
  NEED(tern_cancel_create(&p.cancel));
  NEED(tern_context_create(&c, &context));
  model = load(context, "slow.tern");
  x = make_tensor(context, TERN_DTYPE_F32, 2, 512, 512);
  in = x;
  o.cancel = p.cancel;
  late.timeout_ns = 1;
  NEED(tern_session_create(model, NULL, &s));
  tern_cancel_signal(p.cancel);
  FAILS(TERN_ERR_CANCELLED, tern_session_run(s, 0, &in, 1, &out, 1, &o));
  CHECK(tern_session_num_placements(s, 0) == -1);
  FAILS(TERN_ERR_DEADLINE, tern_session_run(s, 0, &in, 1, &out, 1, &late));
  CHECK(tern_session_num_placements(s, 0) == -1);
  tern_cancel_reset(p.cancel);
  p.cancel_at = p.allocations + 1;
  FAILS(TERN_ERR_CANCELLED, tern_session_run(s, 0, &in, 1, &out, 1, &o));
  CHECK(tern_session_num_placements(s, 0) == -1 && p.allocations == p.cancel_at);
  tern_cancel_reset(p.cancel);
  p.cancel_at = 0;
  planned = p.allocations;
  OK(tern_session_prepare(s, 0, NULL, 0)); /* as if nothing had been */
  CHECK(p.allocations > planned && tern_session_num_placements(s, 0) > 0 && out == NULL);
  tern_tensor_release(x);
  tern_session_release(s);
  tern_model_release(model);
  tern_context_release(context);
  tern_cancel_release(p.cancel);
}

/* Logits of another number than the file says are not read. */
static void language_that_lies(tern_context* context) {
  tern_model* model = load(context, "wild_language.tern");
  tern_generator* generator = NULL;
  const int32_t tokens[2] = {1, 0};
  NEED(tern_generator_create(model, NULL, &generator));
  CHECK(tern_generator_vocabulary(generator) == 2);
  FAILS(TERN_ERR_CORRUPT, tern_generator_feed(generator, tokens, 1, NULL));
  CHECK(says("[1, 2]") && tern_generator_length(generator) == 0);
  tern_generator_release(generator);
  tern_model_release(model);
}

MAIN_BEGIN
tern_context* context = NULL;
tern_model* model;
NEED(tern_context_create(NULL, &context));
model = load(context, "small.tern");
runs(context, model);
sizes_that_depend_on_data(context);
scalars_and_indices(context, model);
wrong_calls(context, model);
bound_runs(context, model);
plans(context, model);
intermediates(context, model);
reports(context, model);
cancel_and_deadline(context);
cancelled_plans();
language_that_lies(context);
tern_model_release(model);
tern_context_release(context);
MAIN_END("session")
