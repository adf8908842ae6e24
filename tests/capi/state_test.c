/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and states: changed, shared, forked, truncated, saved and loaded; files of states that are damaged. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static void read_y(tern_session* s, tern_tensor* x, float* y) {
  const tern_tensor *in = x, *out[2];
  NEED(tern_session_run(s, 0, &in, 1, out, 2, NULL));
  memcpy(y, tern_tensor_const_data(out[0]), 16 * sizeof(float));
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);
}

static void parameters(tern_context* context) {
  tern_model *model = load(context, "small.tern"), *twin = load(context, "small.tern");
  tern_parameters *p = NULL, *foreign = NULL;
  tern_session *own = NULL, *tuned = NULL, *none = NULL;
  tern_session_options o = TERN_SESSION_OPTIONS_INIT;
  tern_tensor *w = NULL, *b = NULL, *again = NULL, *x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16);
  tern_tensor *wrong = make_tensor(context, TERN_DTYPE_F32, 2, 16, 32),
              *integers = make_tensor(context, TERN_DTYPE_I32, 1, 32, 0);
  float before[16], y[16];
  uint64_t version;
  int i;
  fill(x, 1);
  NEED(tern_parameters_create(model, &p));
  o.parameters = p;
  NEED(tern_session_create(model, &o, &tuned));
  NEED(tern_session_create(model, NULL, &own));
  read_y(tuned, x, before);
  read_y(own, x, y);
  CHECK(memcmp(before, y, sizeof y) == 0);

  OK(tern_parameters_get(p, "w1", &w)); /* encoded in the file, plain here */
  CHECK(tern_tensor_dim(w, 0) == 32 && tern_tensor_dim(w, 1) == 16 && tern_tensor_dtype(w) == TERN_DTYPE_F32);
  OK(tern_parameters_get(p, "b1", &b));
  version = tern_parameters_version(p);
  for (i = 0; i < 32 * 16; ++i) ((float*)tern_tensor_data(w))[i] *= 2;
  read_y(tuned, x, y);
  CHECK(memcmp(before, y, sizeof y) == 0); /* it was a copy */
  OK(tern_parameters_set(p, "w1", w));
  CHECK(tern_parameters_version(p) > version);
  OK(tern_parameters_get(p, "w1", &again));
  CHECK(memcmp(tern_tensor_data(again), tern_tensor_data(w), 32 * 16 * 4) == 0);
  tern_tensor_release(again);
  read_y(tuned, x, y);
  CHECK(memcmp(before, y, sizeof y) != 0);
  read_y(own, x, y);
  CHECK(memcmp(before, y, sizeof y) == 0); /* another set of the same model */
  {
    tern_memory_report report = TERN_MEMORY_REPORT_INIT;
    OK(tern_session_memory(tuned, &report));
    CHECK(report.overlay_bytes >= 32 * 16 * 4);
  }

  version = tern_parameters_version(p);
  again = NULL;
  FAILS(TERN_ERR_NOT_FOUND, tern_parameters_get(p, "w9", &again));
  CHECK(says("w9"));
  FAILS(TERN_ERR_NOT_FOUND, tern_parameters_set(p, "w9", w));
  FAILS(TERN_ERR_SHAPE, tern_parameters_set(p, "w1", wrong));
  FAILS(TERN_ERR_TYPE, tern_parameters_set(p, "b1", integers));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_parameters_set(p, "b1", NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_parameters_set(p, NULL, b));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_parameters_set(NULL, "b1", b));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_parameters_get(p, "b1", NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_parameters_get(NULL, "b1", &again));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_parameters_create(NULL, &foreign));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_parameters_create(model, NULL));
  CHECK(version == tern_parameters_version(p) && again == NULL && tern_parameters_version(NULL) == 0);
  NEED(tern_parameters_create(twin, &foreign));
  o.parameters = foreign;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_create(model, &o, &none));
  CHECK(none == NULL);
  tern_parameters_release(p); /* the session keeps it */
  read_y(tuned, x, y);
  CHECK(memcmp(before, y, sizeof y) != 0);
  tern_parameters_release(foreign);
  tern_session_release(tuned);
  tern_session_release(own);
  tern_tensor_release(w);
  tern_tensor_release(b);
  tern_tensor_release(wrong);
  tern_tensor_release(integers);
  tern_tensor_release(x);
  tern_model_release(model);
  tern_model_release(twin);
}

/* Appends `value` to each of the four columns and returns the sum so far of the first. */
static float append(tern_context* context, tern_session* s, float value) {
  tern_tensor* token = make_tensor(context, TERN_DTYPE_F32, 2, 1, 4);
  const tern_tensor *in[2] = {NULL, NULL}, *out[2];
  float sum = -1;
  int i;
  for (i = 0; i < 4; ++i) ((float*)tern_tensor_data(token))[i] = value;
  in[0] = token;
  if (tern_session_run(s, 0, in, 2, out, 2, NULL) == TERN_OK) {
    sum = *(const float*)tern_tensor_const_data(out[0]);
    tern_tensor_release(out[0]);
    tern_tensor_release(out[1]);
  }
  tern_tensor_release(token);
  return sum;
}

static void states(tern_context* context) {
  tern_model *model = load(context, "counter.tern"), *twin = load(context, "counter.tern");
  tern_session* s = NULL;
  tern_state *a, *copy = NULL, *fresh = NULL, *foreign = NULL;
  tern_tensor *cache = NULL, *bad = NULL, *wrong = make_tensor(context, TERN_DTYPE_F32, 2, 4, 16);
  int i;
  NEED(tern_session_create(model, NULL, &s));
  a = tern_session_state(s);
  tern_state_retain(a);
  CHECK(tern_state_length(a) == 0 && tern_state_length(NULL) == 0 && tern_session_state(NULL) == NULL);
  CHECK(append(context, s, 1) == 1 && append(context, s, 2) == 3 && append(context, s, 4) == 7);
  CHECK(tern_state_length(a) == 3);
  OK(tern_state_fork(a, &copy));
  CHECK(tern_state_length(copy) == 3);
  CHECK(append(context, s, 8) == 15 && tern_state_length(copy) == 3);
  OK(tern_session_set_state(s, copy));
  CHECK(append(context, s, 16) == 23); /* goes on where it was forked */
  OK(tern_session_set_state(s, a));
  CHECK(append(context, s, 0) == 15);
  OK(tern_state_truncate(a, 1));
  CHECK(append(context, s, 0.5f) == 1.5f && tern_state_length(a) == 2);
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_truncate(a, 3));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_truncate(a, -1));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_truncate(NULL, 0));
  CHECK(tern_state_length(a) == 2);
  for (i = 0; i < 14; ++i) CHECK(append(context, s, 0) == 1.5f);
  CHECK(tern_state_length(a) == 16);
  CHECK(append(context, s, 0) == -1 && says("16")); /* full */
  CHECK(tern_state_length(a) == 16);
  OK(tern_state_truncate(a, 0));
  CHECK(append(context, s, 3) == 3);

  OK(tern_state_get(a, "cache", &cache));
  CHECK(tern_tensor_dim(cache, 0) == 16 && ((float*)tern_tensor_data(cache))[0] == 3);
  ((float*)tern_tensor_data(cache))[0] = 100;
  OK(tern_state_set(a, "cache", cache));
  CHECK(append(context, s, 1) == 101);
  FAILS(TERN_ERR_NOT_FOUND, tern_state_get(a, "cash", &bad));
  FAILS(TERN_ERR_NOT_FOUND, tern_state_set(a, "cash", cache));
  FAILS(TERN_ERR_SHAPE, tern_state_set(a, "cache", wrong));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_set(a, "cache", NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_set(a, NULL, cache));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_get(a, "cache", NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_fork(NULL, &fresh));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_fork(a, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_create(model, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_create(NULL, &fresh));
  CHECK(bad == NULL && fresh == NULL);

  NEED(tern_state_create(twin, &foreign));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_set_state(s, foreign));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_set_state(s, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_set_state(NULL, a));
  tern_session_release(s);
  CHECK(tern_state_length(a) == 2); /* outlives the session */
  tern_state_release(a);
  tern_state_release(copy);
  tern_state_release(foreign);
  tern_tensor_release(cache);
  tern_tensor_release(wrong);
  tern_model_release(model);
  tern_model_release(twin);
}

static long read_file(const char* path, unsigned char* data, long capacity) {
  FILE* f = fopen(path, "rb");
  long n = f ? (long)fread(data, 1, (size_t)capacity, f) : -1;
  if (f) fclose(f);
  return n;
}

static void write_file(const char* path, const unsigned char* data, long bytes) {
  FILE* f = fopen(path, "wb");
  CHECK(f && fwrite(data, 1, (size_t)bytes, f) == (size_t)bytes);
  if (f) fclose(f);
}

static void files(tern_context* context) {
  static unsigned char good[4096], bad[4096], now[4096];
  tern_model *model = load(context, "counter.tern"), *other = load(context, "small.tern");
  tern_session* s = NULL;
  tern_state *a, *b = NULL, *small = NULL;
  const char* path = file_in_folder("counter.state");
  const char* copy = file_in_folder("damaged.state");
  long bytes, i;
  int bit, refused = 0;
  NEED(tern_session_create(model, NULL, &s));
  a = tern_session_state(s);
  append(context, s, 1);
  append(context, s, 2);
  OK(tern_state_save(a, path));
  NEED(tern_state_create(model, &b));
  OK(tern_state_load(b, path));
  CHECK(tern_state_length(b) == 2);
  OK(tern_session_set_state(s, b));
  CHECK(append(context, s, 4) == 7);
  OK(tern_state_save(b, path)); /* over the old one */
  bytes = read_file(path, good, sizeof good);
  CHECK(bytes > 64 && bytes < (long)sizeof good);

  /* Whatever is damaged: an error, and the state as it was. The last bytes only fill up. */
  CHECK(tern_state_save(b, file_in_folder("before.state")) == TERN_OK);
  for (i = 0; i < bytes; ++i) {
    for (bit = 0; bit < 8; bit += 3) {
      memcpy(bad, good, (size_t)bytes);
      bad[i] ^= (unsigned char)(1 << bit);
      write_file(copy, bad, bytes);
      if (tern_state_load(b, copy) != TERN_OK) ++refused;
      else NEED(tern_state_load(b, path));
    }
  }
  CHECK(refused >= 3 * (64 + 16 + 256 + 4));
  for (i = 0; i < bytes; i += i < 80 ? 1 : 7) {
    write_file(copy, good, i);
    CHECK(tern_state_load(b, copy) != TERN_OK);
  }
  memset(bad, 0xFF, sizeof bad);
  memcpy(bad, good, (size_t)bytes);
  write_file(copy, bad, bytes + 1);
  FAILS(TERN_ERR_CORRUPT, tern_state_load(b, copy));
  CHECK(tern_state_length(b) == 3);
  OK(tern_state_save(b, copy));
  CHECK(read_file(copy, now, sizeof now) == bytes && memcmp(now, good, (size_t)bytes) == 0);

  NEED(tern_state_create(other, &small));
  FAILS(TERN_ERR_SHAPE, tern_state_load(small, path));
  FAILS(TERN_ERR_NOT_FOUND, tern_state_load(b, file_in_folder("none.state")));
  FAILS(TERN_ERR_CORRUPT, tern_state_load(b, file_in_folder("counter.tern")));
  CHECK(tern_state_load(b, check_folder) == TERN_ERR_IO);
  CHECK(tern_state_save(b, "/no/such/folder/x.state") != TERN_OK);
  CHECK(tern_state_save(b, check_folder) != TERN_OK); /* a folder stands there */
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_save(NULL, path));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_save(b, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_load(NULL, path));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_state_load(b, NULL));
  CHECK(read_file(path, now, sizeof now) == bytes && memcmp(now, good, (size_t)bytes) == 0);
  remove(path);
  remove(copy);
  remove(file_in_folder("before.state"));
  tern_state_release(b);
  tern_state_release(small);
  tern_session_release(s);
  tern_model_release(model);
  tern_model_release(other);
}

/* Saves that end anywhere: the disk is full, or the process is killed. The file holds one of the states, whole. */
static void interrupted_saves(tern_context* context) {
  tern_model* model = load(context, "counter.tern");
  tern_session* s = NULL;
  tern_state *a = NULL, *b = NULL, *c = NULL;
  const char* path = file_in_folder("interrupted.state");
  static unsigned char before[4096], now[4096];
  struct rlimit old, small;
  int i, seen[2] = {0, 0};
  long bytes;
  NEED(tern_session_create(model, NULL, &s));
  append(context, s, 1);
  NEED(tern_state_fork(tern_session_state(s), &a));
  append(context, s, 2);
  NEED(tern_state_fork(tern_session_state(s), &b));
  NEED(tern_state_create(model, &c));
  OK(tern_state_save(a, path));
  bytes = read_file(path, before, sizeof before);

  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  small = old;
  for (i = 0; i < (int)bytes; i += 13) {
    tern_status status;
    small.rlim_cur = (rlim_t)i;
    setrlimit(RLIMIT_FSIZE, &small);
    status = tern_state_save(b, path);
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(status == TERN_ERR_IO && says(path));
    CHECK(read_file(path, now, sizeof now) == bytes && memcmp(before, now, (size_t)bytes) == 0);
  }
  FAILS(TERN_ERR_IO, tern_state_save(b, "/dev/full"));

  for (i = 0; i < 60; ++i) {
    struct timespec t = {0, 0};
    const pid_t child = fork();
    if (child == 0)
      for (;;) {
        if (tern_state_save(b, path) != TERN_OK || tern_state_save(a, path) != TERN_OK) _exit(1);
      }
    t.tv_nsec = 100000L + i * 7919L % 61 * 50000L; /* up to 3 ms */
    nanosleep(&t, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    OK(tern_state_load(c, path));
    CHECK(tern_state_length(c) == 1 || tern_state_length(c) == 2);
    OK(tern_session_set_state(s, c));
    ++seen[tern_state_length(c) == 2];
    CHECK(append(context, s, 0) == (tern_state_length(c) == 2 ? 1 : 3)); /* after the run: one more */
    /* What the killed one left beside it. */
    {
      char name[1100];
      snprintf(name, sizeof name, "%s.tmp%ld.0", path, (long)child);
      remove(name);
    }
  }
  CHECK(seen[0] + seen[1] == 60);
  remove(path);
  tern_state_release(a);
  tern_state_release(b);
  tern_state_release(c);
  tern_session_release(s);
  tern_model_release(model);
}

/* Sequences of different lengths, together and alone, in pages that forks share. */
static void sequences(tern_context* context) {
  static const int64_t counts[3] = {1, 70, 129}, more[3] = {2, 0, 1};
  tern_model* model = load(context, "sequences.tern");
  tern_session* session = NULL;
  tern_state *together[3] = {NULL, NULL, NULL}, *alone = NULL, *fork = NULL;
  tern_tensor *x = make_tensor(context, TERN_DTYPE_F32, 2, 200, 4), *part = NULL, *memory = NULL, *own = NULL;
  const tern_tensor *in[3] = {NULL, NULL, NULL}, *y = NULL, *one = NULL;
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  int64_t first = 0;
  int i;
  fill(x, 5);
  NEED(tern_session_create(model, NULL, &session));
  OK(tern_model_get_tensor(model, 0, TERN_ROLE_INPUT, 1, &info));
  CHECK(info.is_scalar == 2 && info.rank == 1);
  for (i = 0; i < 3; ++i) NEED(tern_state_create(model, &together[i]));
  in[0] = x;
  NEED(tern_session_run_sequences(session, 0, together, counts, 3, in, 3, &y, 1, NULL));
  CHECK(tern_tensor_dim(y, 0) == 200 && tern_tensor_dim(y, 1) == 4);
  for (i = 0; i < 3; ++i) {
    const int64_t dims[2] = {counts[i], 4};
    CHECK(tern_state_length(together[i]) == counts[i]);
    NEED(tern_state_create(model, &alone));
    NEED(tern_tensor_create(context, TERN_DTYPE_F32, dims, 2, &part));
    memcpy(tern_tensor_data(part), (const float*)tern_tensor_const_data(x) + 4 * first, (size_t)(16 * counts[i]));
    in[0] = part;
    OK(tern_session_run_sequences(session, 0, &alone, &counts[i], 1, in, 3, &one, 1, NULL));
    CHECK(memcmp(tern_tensor_const_data(one), (const float*)tern_tensor_const_data(y) + 4 * first,
                 (size_t)(16 * counts[i])) == 0);
    first += counts[i];
    OK(tern_state_get(alone, "memory", &memory));
    CHECK(tern_tensor_dim(memory, 0) == counts[i]);
    CHECK(memcmp(tern_tensor_data(memory), tern_tensor_data(part), (size_t)(16 * counts[i])) == 0);
    tern_tensor_release(memory);
    tern_tensor_release(one);
    tern_tensor_release(part);
    tern_state_release(alone);
  }
  tern_tensor_release(y);

  /* A fork goes on as the state does; a run beyond the capacity changes neither. */
  OK(tern_state_fork(together[2], &fork));
  own = make_tensor(context, TERN_DTYPE_F32, 2, 3, 4);
  fill(own, 6);
  in[0] = own;
  OK(tern_session_run_sequences(session, 0, together, more, 3, in, 3, &y, 1, NULL));
  CHECK(tern_state_length(together[1]) == 70 && tern_state_length(together[2]) == 130);
  part = make_tensor(context, TERN_DTYPE_F32, 2, 1, 4);
  memcpy(tern_tensor_data(part), (const float*)tern_tensor_const_data(own) + 8, 16);
  in[0] = part;
  OK(tern_session_set_state(session, fork));
  OK(tern_session_run(session, 0, in, 3, &one, 1, NULL));
  CHECK(memcmp(tern_tensor_const_data(one), (const float*)tern_tensor_const_data(y) + 8, 16) == 0);
  in[0] = x;
  FAILS(TERN_ERR_LIMIT, tern_session_run(session, 0, in, 3, &y, 1, NULL));
  CHECK(tern_state_length(fork) == 130);
  OK(tern_state_truncate(fork, 0));
  tern_tensor_release(one);
  OK(tern_session_run(session, 0, in, 3, &one, 1, NULL));
  CHECK(tern_state_length(fork) == 200);
  {
    tern_state* twice[2];
    static const int64_t halves[2] = {100, 100};
    tern_model* foreign = load(context, "counter.tern");
    twice[0] = twice[1] = together[0];
    FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run_sequences(session, 0, twice, halves, 2, in, 3, &y, 1, NULL));
    NEED(tern_state_create(foreign, &twice[1]));
    FAILS(TERN_ERR_INVALID_ARGUMENT, tern_session_run_sequences(session, 0, twice, halves, 2, in, 3, &y, 1, NULL));
    tern_state_release(twice[1]);
    tern_model_release(foreign);
  }
  tern_tensor_release(one);
  tern_tensor_release(y);
  tern_tensor_release(part);
  tern_tensor_release(own);
  tern_tensor_release(x);
  for (i = 0; i < 3; ++i) tern_state_release(together[i]);
  tern_state_release(fork);
  tern_session_release(session);
  tern_model_release(model);
}

MAIN_BEGIN
tern_context* context = NULL;
NEED(tern_context_create(NULL, &context));
parameters(context);
states(context);
files(context);
interrupted_saves(context);
sequences(context);
tern_context_release(context);
MAIN_END("state")
