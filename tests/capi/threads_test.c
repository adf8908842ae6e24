/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: many on one model, models that come and go meanwhile, the host's thread pool, results that do not depend on
 * the number of threads. */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 30 };

typedef struct worker {
  tern_context* context;
  tern_model* model;
  int index;
  float y[THREADS][16];
  int failures;
} worker;

static int run_small(tern_context* context, const tern_model* model, tern_session* s, int seed, float* y) {
  tern_tensor* x = NULL;
  const int64_t dims[2] = {2, 16};
  const tern_tensor *in, *out[2];
  tern_session* own = NULL;
  int good;
  if (!s && tern_session_create(model, NULL, &own) != TERN_OK) return 0;
  good = tern_tensor_create(context, TERN_DTYPE_F32, dims, 2, &x) == TERN_OK;
  if (good) {
    fill(x, (unsigned)seed);
    in = x;
    good = tern_session_run(s ? s : own, 0, &in, 1, out, 2, NULL) == TERN_OK;
  }
  if (good) {
    memcpy(y, tern_tensor_const_data(out[0]), 16 * sizeof(float));
    tern_tensor_release(out[0]);
    tern_tensor_release(out[1]);
  }
  tern_tensor_release(x);
  tern_session_release(own);
  return good;
}

static void* work(void* user) {
  worker* w = (worker*)user;
  tern_session* s = NULL;
  int i;
  if (tern_session_create(w->model, NULL, &s) != TERN_OK) {
    w->failures = 1;
    return NULL;
  }
  for (i = 0; i < ROUNDS; ++i) {
    float y[16];
    const int seed = (w->index + i) % THREADS;
    if (!run_small(w->context, w->model, s, seed, y)) ++w->failures;
    else if (i < THREADS) memcpy(w->y[seed], y, sizeof y);
    else if (memcmp(w->y[seed], y, sizeof y) != 0) ++w->failures;
    /* Errors are each thread's own. */
    if (tern_model_find_signature(w->model, w->index % 2 ? "odd" : "even", &w->index) != TERN_ERR_NOT_FOUND ||
        !says(w->index % 2 ? "'odd'" : "'even'"))
      ++w->failures;
  }
  tern_session_release(s);
  return NULL;
}

static void many_on_one_model(tern_context* context, tern_model* model) {
  static worker workers[THREADS];
  pthread_t threads[THREADS];
  int i;
  for (i = 0; i < THREADS; ++i) {
    workers[i].context = context;
    workers[i].model = model;
    workers[i].index = i;
    CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
  }
  for (i = 0; i < THREADS; ++i) {
    pthread_join(threads[i], NULL);
    CHECK(workers[i].failures == 0);
    CHECK(memcmp(workers[i].y, workers[0].y, sizeof workers[0].y) == 0);
  }
}

static void* load_and_unload(void* user) {
  worker* w = (worker*)user;
  int i;
  for (i = 0; i < ROUNDS; ++i) {
    tern_model* model = NULL;
    float y[16];
    if (tern_model_load_file(w->context, file_in_folder("small.tern"), NULL, &model) != TERN_OK ||
        !run_small(w->context, model, NULL, 0, y))
      ++w->failures;
    else if (i && memcmp(y, w->y[0], sizeof y) != 0) ++w->failures;
    memcpy(w->y[0], y, sizeof y);
    tern_model_release(model);
  }
  return NULL;
}

static void others_come_and_go(tern_context* context, tern_model* model) {
  static worker loader, runner;
  pthread_t a, b;
  loader.context = runner.context = context;
  loader.model = runner.model = model;
  CHECK(pthread_create(&a, NULL, load_and_unload, &loader) == 0 && pthread_create(&b, NULL, work, &runner) == 0);
  pthread_join(a, NULL);
  pthread_join(b, NULL);
  CHECK(loader.failures == 0 && runner.failures == 0);
  CHECK(memcmp(loader.y[0], runner.y[0], sizeof loader.y[0]) == 0);
}

typedef struct nuisance {
  tern_cancel* cancel;
  int stop;
} nuisance;

static void* cancel_again_and_again(void* user) {
  nuisance* n = (nuisance*)user;
  unsigned seed = 1;
  while (!__atomic_load_n(&n->stop, __ATOMIC_ACQUIRE)) {
    struct timespec t = {0, 0};
    seed = seed * 1664525u + 1013904223u;
    t.tv_nsec = (long)(seed >> 16);
    nanosleep(&t, NULL);
    tern_cancel_signal(n->cancel);
  }
  return NULL;
}

/* Steps of training that are cancelled at any moment, while models come and go: each happened as a whole or not at all.
 * */
static void cancelled_steps(tern_context* context) {
  tern_model* model = load(context, "train.tern");
  tern_session* s = NULL;
  tern_run_options o = TERN_RUN_OPTIONS_INIT;
  tern_tensor *x = make_tensor(context, TERN_DTYPE_F32, 2, 3, 4), *steps = NULL;
  const tern_tensor *in = x, *loss = NULL;
  static worker loader;
  nuisance n;
  pthread_t canceller, other;
  int i, done = 0, cancelled = 0;
  fill(x, 3);
  memset(&loader, 0, sizeof loader);
  loader.context = context;
  n.stop = 0;
  NEED(tern_cancel_create(&n.cancel));
  o.cancel = n.cancel;
  NEED(tern_session_create(model, NULL, &s));
  CHECK(pthread_create(&canceller, NULL, cancel_again_and_again, &n) == 0 &&
        pthread_create(&other, NULL, load_and_unload, &loader) == 0);
  for (i = 0; i < 20000 && (i < 200 || !cancelled || !done); ++i) {
    const tern_status status = tern_session_run(s, 0, &in, 1, &loss, 1, &o);
    if (status == TERN_OK) {
      ++done;
      tern_tensor_release(loss);
    } else {
      CHECK(status == TERN_ERR_CANCELLED);
      ++cancelled;
      tern_cancel_reset(n.cancel);
    }
  }
  __atomic_store_n(&n.stop, 1, __ATOMIC_RELEASE);
  pthread_join(canceller, NULL);
  pthread_join(other, NULL);
  OK(tern_state_get(tern_session_state(s), "steps", &steps));
  CHECK(*(const float*)tern_tensor_const_data(steps) == (float)done && done > 0 && cancelled > 0 &&
        loader.failures == 0);
  tern_tensor_release(steps);
  tern_tensor_release(x);
  tern_session_release(s);
  tern_cancel_release(n.cancel);
  tern_model_release(model);
}

/* Whether each thread of the process may run wherever this one may: workers begin on a CPU of their own and are let go.
 * */
static int all_may_run_anywhere(void) {
  DIR* tasks = opendir("/proc/self/task");
  const struct dirent* task;
  cpu_set_t mine, other;
  int good = tasks && sched_getaffinity(0, sizeof mine, &mine) == 0;
  while (good && (task = readdir(tasks)))
    if (task->d_name[0] != '.' && sched_getaffinity(atoi(task->d_name), sizeof other, &other) == 0)
      good = CPU_EQUAL(&mine, &other);
  if (tasks) closedir(tasks);
  return good;
}

/* The whole of slow.tern's result under some options. */
static float* run_slow(const tern_context_options* options) {
  tern_context* context = NULL;
  tern_model* model;
  tern_session* s = NULL;
  tern_tensor* x;
  const tern_tensor *in, *out = NULL;
  float* y = (float*)malloc(512 * 512 * sizeof(float));
  NEED(tern_context_create(options, &context));
  model = load(context, "slow.tern");
  NEED(tern_session_create(model, NULL, &s));
  x = make_tensor(context, TERN_DTYPE_F32, 2, 512, 512);
  fill(x, 11);
  in = x;
  NEED(tern_session_run(s, 0, &in, 1, &out, 1, NULL));
  memcpy(y, tern_tensor_const_data(out), 512 * 512 * sizeof(float));
  if (!options->affinity_mask) {
    const struct timespec while_they_wake = {0, 1000000};
    int i, good = all_may_run_anywhere();
    for (i = 0; i < 5000 && !good; ++i) nanosleep(&while_they_wake, NULL), good = all_may_run_anywhere();
    CHECK(good);
  }
  tern_tensor_release(out);
  tern_tensor_release(x);
  tern_session_release(s);
  tern_model_release(model);
  tern_context_release(context);
  return y;
}

typedef struct host_pool {
  int calls, largest;
} host_pool;

typedef struct share {
  void (*task)(void*, int32_t);
  void* user;
  int32_t first, last;
} share;

static void* run_share(void* user) {
  const share* s = (const share*)user;
  int32_t i;
  for (i = s->first; i < s->last; ++i) s->task(s->user, i);
  return NULL;
}

/* A pool of the poorest kind: the last first, half of it on a thread made for it. */
static void host_parallel(void* user, int32_t n, void (*task)(void*, int32_t), void* task_user) {
  host_pool* pool = (host_pool*)user;
  share front, back;
  pthread_t thread;
  ++pool->calls;
  if (n > pool->largest) pool->largest = n;
  front.task = back.task = task;
  front.user = back.user = task_user;
  front.first = 0;
  front.last = back.first = n / 2;
  back.last = n;
  CHECK(pthread_create(&thread, NULL, run_share, &back) == 0);
  run_share(&front);
  pthread_join(thread, NULL);
}

static void same_bits(void) {
  tern_context_options o = TERN_CONTEXT_OPTIONS_INIT;
  host_pool pool = {0, 0};
  float *one, *other;
  int i;
  o.num_threads = 1;
  one = run_slow(&o);
  CHECK(one[0] == one[0]);
  for (i = 0; i < 4; ++i) {
    o.num_threads = i == 3 ? 5 : 2;
    o.wait = i < 3 ? i : 0;
    o.affinity_mask = i == 3 ? 1 : 0;
    other = run_slow(&o);
    CHECK(memcmp(one, other, 512 * 512 * sizeof(float)) == 0);
    free(other);
  }
  o.affinity_mask = 0;
  o.num_threads = 3;
  o.parallel = host_parallel;
  o.parallel_user = &pool;
  other = run_slow(&o);
  CHECK(memcmp(one, other, 512 * 512 * sizeof(float)) == 0);
  CHECK(pool.calls > 0 && pool.largest > 1 && pool.largest <= 3);
  free(other);
  free(one);
}

/* Workers that never sleep during a run do between runs. */
static void idle_pools(void) {
  int wait;
  for (wait = 0; wait < 3; ++wait) {
    tern_context_options o = TERN_CONTEXT_OPTIONS_INIT;
    tern_run_options limit = TERN_RUN_OPTIONS_INIT;
    tern_context* context = NULL;
    tern_model* model;
    tern_session* s = NULL;
    tern_tensor* x;
    const tern_tensor *in, *out = NULL;
    const struct timespec idle = {0, 300000000};
    clock_t before;
    o.num_threads = 3;
    o.wait = wait;
    limit.timeout_ns = 50000000; /* enough to start the workers */
    NEED(tern_context_create(&o, &context));
    model = load(context, "slow.tern");
    NEED(tern_session_create(model, NULL, &s));
    OK(tern_session_prepare(s, 0, NULL, 0));
    x = make_tensor(context, TERN_DTYPE_F32, 2, 512, 512);
    in = x;
    CHECK(tern_session_run(s, 0, &in, 1, &out, 1, &limit) == TERN_ERR_DEADLINE);
    before = clock();
    nanosleep(&idle, NULL);
    CHECK((double)(clock() - before) / CLOCKS_PER_SEC < 0.1);
    tern_tensor_release(x);
    tern_session_release(s);
    tern_model_release(model);
    tern_context_release(context);
  }
}

typedef struct runner {
  tern_session* session;
  const tern_tensor* x;
  int begun;
  tern_status status;
  const tern_tensor* y;
  tern_cancel* cancel;
} runner;

static void* run_in_thread(void* user) {
  runner* r = (runner*)user;
  tern_run_options o = TERN_RUN_OPTIONS_INIT;
  o.cancel = r->cancel;
  __atomic_store_n(&r->begun, 1, __ATOMIC_RELEASE);
  r->status = tern_session_run(r->session, 0, &r->x, 1, &r->y, 1, &o);
  return NULL;
}

/* A second call on what one thread at a time may use is refused, and changes nothing. */
static void two_in_one(tern_context* context) {
  tern_model* model = load(context, "slow.tern");
  tern_session *s = NULL, *other = NULL;
  tern_session_options o = TERN_SESSION_OPTIONS_INIT;
  tern_state* state = NULL;
  tern_parameters* parameters = NULL;
  tern_memory_report report = TERN_MEMORY_REPORT_INIT;
  tern_placement placement = TERN_PLACEMENT_INIT;
  tern_tensor *x = make_tensor(context, TERN_DTYPE_F32, 2, 512, 512), *w = NULL;
  const tern_tensor *in = x, *out = NULL;
  runner r;
  pthread_t thread;
  const struct timespec moment = {0, 1000000};
  int i, refused = 0;
  fill(x, 3);
  NEED(tern_state_create(model, &state));
  NEED(tern_parameters_create(model, &parameters));
  o.state = state;
  o.parameters = parameters;
  NEED(tern_session_create(model, &o, &s));
  NEED(tern_session_create(model, &o, &other)); /* of the same state */
  OK(tern_session_prepare(s, 0, NULL, 0));
  memset(&r, 0, sizeof r);
  r.session = s;
  r.x = x;
  NEED(tern_cancel_create(&r.cancel));
  CHECK(pthread_create(&thread, NULL, run_in_thread, &r) == 0);
  for (i = 0; i < 1000 && !refused; ++i) {
    nanosleep(&moment, NULL);
    if (__atomic_load_n(&r.begun, __ATOMIC_ACQUIRE)) refused = tern_session_memory(s, &report) == TERN_ERR_STATE;
  }
  CHECK(refused);
  FAILS(TERN_ERR_STATE, tern_session_run(s, 0, &in, 1, &out, 1, NULL));
  CHECK(says("session"));
  FAILS(TERN_ERR_STATE, tern_session_run_bound(s, 0, NULL));
  FAILS(TERN_ERR_STATE, tern_session_prepare(s, 0, NULL, 0));
  FAILS(TERN_ERR_STATE, tern_session_bind_input(s, 0, 0, x));
  FAILS(TERN_ERR_STATE, tern_session_bind_output(s, 0, 0, x));
  FAILS(TERN_ERR_STATE, tern_session_set_state(s, state));
  FAILS(TERN_ERR_STATE, tern_session_get_placement(s, 0, 0, &placement));
  CHECK(tern_session_num_placements(s, 0) == -1 && tern_session_num_intermediates(s, 0) == 0);
  FAILS(TERN_ERR_STATE, tern_session_run(other, 0, &in, 1, &out, 1, NULL));
  CHECK(says("state"));
  FAILS(TERN_ERR_STATE, tern_state_truncate(state, 0));
  FAILS(TERN_ERR_STATE, tern_state_save(state, file_in_folder("busy.state")));
  OK(tern_parameters_get(parameters, "w", &w)); /* many may read */
  FAILS(TERN_ERR_STATE, tern_parameters_set(parameters, "w", w));
  CHECK(out == NULL);
  tern_cancel_signal(r.cancel);
  pthread_join(thread, NULL);
  CHECK(r.status == TERN_ERR_CANCELLED);
  /* All is free again. */
  OK(tern_session_memory(s, &report));
  OK(tern_state_truncate(state, 0));
  OK(tern_parameters_set(parameters, "w", w));
  OK(tern_session_bind_input(s, 0, 0, x));
  tern_tensor_release(w);
  tern_tensor_release(x);
  tern_cancel_release(r.cancel);
  tern_session_release(s);
  tern_session_release(other);
  tern_state_release(state);
  tern_parameters_release(parameters);
  tern_model_release(model);
}

static void bad_options(void) {
  tern_context_options o = TERN_CONTEXT_OPTIONS_INIT;
  tern_context* context = NULL;
  o.num_threads = -1;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&o, &context));
  o.num_threads = 257;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&o, &context));
  o.num_threads = 0;
  o.wait = 3;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&o, &context));
  o.wait = 0;
  o.log_level = 4;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&o, &context));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(NULL, NULL));
  CHECK(context == NULL);
}

MAIN_BEGIN
tern_context_options o = TERN_CONTEXT_OPTIONS_INIT;
tern_context* context = NULL;
tern_model* model;
o.num_threads = 2; /* all sessions share the pool of two */
NEED(tern_context_create(&o, &context));
model = load(context, "small.tern");
many_on_one_model(context, model);
others_come_and_go(context, model);
cancelled_steps(context);
two_in_one(context);
tern_model_release(model);
tern_context_release(context);
same_bits();
idle_pools();
bad_options();
MAIN_END("threads")
