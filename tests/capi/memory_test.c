/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: every allocation fails once, and from one on all fail: an error, nothing lost, and the call works when
 * repeated.
 * Runs after the first take none. The host's allocator gets back all that it gave.
 *
 * This program's malloc takes the place of the C library's, also under operator new of the library. */
#include <errno.h>

#include "check.h"

extern void* __libc_malloc(size_t bytes);
extern void* __libc_calloc(size_t n, size_t bytes);
extern void* __libc_realloc(void* p, size_t bytes);
extern void* __libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void* p);

static long allocations, live; /* of the whole program */
static long fail_at;           /* allocation that fails; 0 = none */
static int fail_on;            /* and all later ones */
static long failed;

static int refuse(void) {
  const long n = __atomic_add_fetch(&allocations, 1, __ATOMIC_SEQ_CST);
  if (fail_at && (n == fail_at || (fail_on && n > fail_at))) {
    __atomic_add_fetch(&failed, 1, __ATOMIC_SEQ_CST);
    errno = ENOMEM;
    return 1;
  }
  return 0;
}

static void* count(void* p) {
  if (p) __atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
  return p;
}

#pragma GCC visibility push(default) /* the dynamic linker must find these */
void* malloc(size_t bytes) { return refuse() ? NULL : count(__libc_malloc(bytes)); }
void* calloc(size_t n, size_t bytes) { return refuse() ? NULL : count(__libc_calloc(n, bytes)); }
void* memalign(size_t alignment, size_t bytes) { return refuse() ? NULL : count(__libc_memalign(alignment, bytes)); }
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  void* p = memalign(alignment, bytes);
  if (!p) return ENOMEM;
  *out = p;
  return 0;
}
void* realloc(void* p, size_t bytes) {
  void* q;
  if (refuse()) return NULL;
  q = __libc_realloc(p, bytes);
  if (q && !p) __atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
  if (!q && p && !bytes) __atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
  return q;
}
void free(void* p) {
  if (p) __atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
  __libc_free(p);
}

#pragma GCC visibility pop

static void disarm(void) { fail_at = 0; }

/* Repeats a call that failed for want of memory, with memory. What it would have given must be untouched. */
#define AGAIN(call, untouched)                                                            \
  do {                                                                                    \
    const tern_status s = (call);                                                         \
    if (s != TERN_OK) {                                                                   \
      const int was_armed = fail_at != 0;                                                 \
      disarm();                                                                           \
      check_(was_armed&& s == TERN_ERR_MEMORY && (untouched), __FILE__, __LINE__, #call); \
      NEED(call);                                                                         \
    }                                                                                     \
  } while (0)

/* All calls of a program with one model, from load to unload. */
enum { RESULTS = 31 };
static void scenario(const char* small_path, const char* counter_path, const char* train_path, const char* state_path,
                     float* result) {
  tern_context* context = NULL;
  tern_context_options co = TERN_CONTEXT_OPTIONS_INIT;
  tern_load_options copy = TERN_LOAD_OPTIONS_INIT;
  tern_session_options so = TERN_SESSION_OPTIONS_INIT;
  tern_model *model = NULL, *counter = NULL, *training = NULL;
  tern_session *session = NULL, *counting = NULL, *stepping = NULL;
  tern_parameters* parameters = NULL;
  tern_state *state = NULL, *fork = NULL;
  tern_tensor *x = NULL, *bias = NULL, *token = NULL, *view = NULL, *step = NULL, *steps = NULL;
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  tern_placement placement = TERN_PLACEMENT_INIT;
  tern_intermediate intermediate = TERN_INTERMEDIATE_INIT;
  const tern_tensor *in[2] = {NULL, NULL}, *out[2] = {NULL, NULL}, *loss = NULL;
  const int64_t dims[2] = {3, 16}, token_dims[2] = {1, 4}, plan_dims[2] = {5, 16}, step_dims[2] = {3, 4};
  int32_t index = -1, k;
  co.num_threads = 2;
  AGAIN(tern_context_create(&co, &context), context == NULL);
  copy.flags = TERN_LOAD_COPY | TERN_LOAD_CHECK_WEIGHTS;
  AGAIN(tern_model_load_file(context, small_path, NULL, &model), model == NULL);
  AGAIN(tern_model_load_file(context, counter_path, &copy, &counter), counter == NULL);
  AGAIN(tern_model_find_signature(model, "forward", &index), index == -1);
  AGAIN(tern_model_get_tensor(model, 0, TERN_ROLE_OUTPUT, 0, &info), info.name == NULL);
  AGAIN(tern_parameters_create(model, &parameters), parameters == NULL);
  AGAIN(tern_parameters_get(parameters, "b1", &bias), bias == NULL);
  AGAIN(tern_parameters_set(parameters, "b1", bias), 1);
  so.parameters = parameters;
  so.flags = TERN_SESSION_KEEP_INTERMEDIATES;
  AGAIN(tern_session_create(model, &so, &session), session == NULL);
  AGAIN(tern_tensor_create(context, TERN_DTYPE_F32, dims, 2, &x), x == NULL);
  AGAIN(tern_tensor_view(x, 1, 3, &view), view == NULL);
  fill(x, 7);
  in[0] = x;
  AGAIN(tern_session_run(session, 0, in, 1, out, 2, NULL), out[0] == NULL && out[1] == NULL);
  memcpy(result, tern_tensor_const_data(out[0]), 24 * sizeof(float));
  AGAIN(tern_session_get_intermediate(session, 0, 0, &intermediate), intermediate.name == NULL);
  AGAIN(tern_session_prepare(session, 0, plan_dims, 2), 1);
  AGAIN(tern_session_get_placement(session, 0, 0, &placement), placement.node == NULL);

  AGAIN(tern_state_create(counter, &state), state == NULL);
  AGAIN(tern_state_fork(state, &fork), fork == NULL);
  AGAIN(tern_state_save(state, state_path), 1);
  AGAIN(tern_state_load(fork, state_path), tern_state_length(fork) == 0);
  so.parameters = NULL;
  so.flags = 0;
  so.state = fork;
  AGAIN(tern_session_create(counter, &so, &counting), counting == NULL);
  AGAIN(tern_tensor_create(context, TERN_DTYPE_F32, token_dims, 2, &token), token == NULL);
  fill(token, 3);
  in[0] = token;
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);
  out[0] = out[1] = NULL;
  AGAIN(tern_session_run(counting, 0, in, 2, out, 2, NULL),
        out[0] == NULL && out[1] == NULL && tern_state_length(fork) == 0);
  memcpy(result + 24, tern_tensor_const_data(out[0]), 4 * sizeof(float));
  result[28] = *(const float*)tern_tensor_const_data(out[1]);
  CHECK(tern_state_length(fork) == 1);

  /* A step of training: its state changes once, or not at all. */
  AGAIN(tern_model_load_file(context, train_path, NULL, &training), training == NULL);
  so.state = NULL;
  AGAIN(tern_session_create(training, &so, &stepping), stepping == NULL);
  AGAIN(tern_tensor_create(context, TERN_DTYPE_F32, step_dims, 2, &step), step == NULL);
  fill(step, 5);
  in[0] = step;
  for (k = 0; k < 2; ++k) {
    AGAIN(tern_session_run(stepping, 0, in, 1, &loss, 1, NULL), loss == NULL);
    result[29 + k] = *(const float*)tern_tensor_const_data(loss);
    tern_tensor_release(loss);
    loss = NULL;
  }
  AGAIN(tern_state_get(tern_session_state(stepping), "steps", &steps), steps == NULL);
  CHECK(*(const float*)tern_tensor_const_data(steps) == 2);
  AGAIN(tern_state_save(tern_session_state(stepping), state_path), 1);
  AGAIN(tern_state_load(tern_session_state(stepping), state_path), 1);

  tern_tensor_release(step);
  tern_tensor_release(steps);
  tern_session_release(stepping);
  tern_model_release(training);
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);
  tern_tensor_release(x);
  tern_tensor_release(view);
  tern_tensor_release(bias);
  tern_tensor_release(token);
  tern_session_release(session);
  tern_session_release(counting);
  tern_parameters_release(parameters);
  tern_state_release(state);
  tern_state_release(fork);
  tern_model_release(model);
  tern_model_release(counter);
  tern_context_release(context);
}

static void every_allocation_fails(void) {
  const char *small = file_in_folder("small.tern"), *counter = file_in_folder("counter.tern"),
             *train = file_in_folder("train.tern"), *state = file_in_folder("memory.state");
  float expected[RESULTS], result[RESULTS];
  long before, total = 0, n;
  memset(expected, 0, sizeof expected);
  scenario(small, counter, train, state, expected); /* warms up what the C library keeps */
  before = live;
  scenario(small, counter, train, state, expected);
  CHECK(live == before);
  for (fail_on = 0; fail_on < 2; ++fail_on) {
    for (n = 1;; ++n) {
      memset(result, 0, sizeof result);
      failed = 0;
      fail_at = allocations + n;
      scenario(small, counter, train, state, result);
      disarm();
      if (!CHECK(live == before) || !CHECK(memcmp(expected, result, sizeof result) == 0)) {
        fprintf(stderr, "    allocation %ld fails%s; %ld blocks more than before\n", n,
                fail_on ? " and all after it" : "", live - before);
        before = live;
      }
      if (!failed) break;
      ++total;
    }
  }
  printf("%ld failing allocations\n", total);
  CHECK(total > 200);
  remove(state);
}

/* Tasks: every allocation of making one and of its first run fails. */
static void tasks(void) {
  static uint8_t pixels[64 * 64 * 3];
  tern_context* context = NULL;
  tern_model* model;
  tern_picture picture = TERN_PICTURE_INIT;
  long before, n;
  memset(pixels, 200, sizeof pixels);
  picture.format = TERN_PICTURE_GREY8;
  picture.width = picture.height = 64;
  picture.planes[0] = pixels;
  picture.strides[0] = 64;
  NEED(tern_context_create(NULL, &context));
  model = load(context, "spots.tern");
  for (n = 1, before = -1;; ++n) {
    tern_vision* detector = NULL;
    const tern_vision_result* result = NULL;
    failed = 0;
    if (n > 1 && before < 0) before = live;
    fail_at = allocations + n;
    AGAIN(tern_vision_create(&model, 1, NULL, &detector), detector == NULL);
    AGAIN(tern_vision_run(detector, &picture, 1, NULL, &result), result == NULL);
    disarm();
    CHECK(result->num_detections == 4);
    tern_vision_release(detector);
    CHECK(before < 0 || live == before);
    if (!failed) break;
  }
  CHECK(n > 20);
  tern_model_release(model);
  model = load(context, "points.tern");
  picture.format = TERN_PICTURE_RGB8;
  picture.width = 16;
  for (n = 1, before = -1;; ++n) {
    tern_vision* pose = NULL;
    const tern_vision_result* result = NULL;
    failed = 0;
    if (n > 1 && before < 0) before = live;
    fail_at = allocations + n;
    AGAIN(tern_vision_create(&model, 1, NULL, &pose), pose == NULL);
    AGAIN(tern_vision_run(pose, &picture, 1, NULL, &result), result == NULL);
    disarm();
    CHECK(result->num_detections == 1);
    tern_vision_release(pose);
    CHECK(before < 0 || live == before);
    if (!failed) break;
  }
  CHECK(n > 20);
  tern_model_release(model);
  tern_context_release(context);
}

/* Generators: every allocation of feeding, choosing, copying, saving and loading fails; the tokens are those of a run
 * with memory. */
static void generators(void) {
  tern_context* context = NULL;
  tern_context_options one = TERN_CONTEXT_OPTIONS_INIT;
  tern_model* model;
  const char* path = file_in_folder("memory.session");
  const int32_t prompt[3] = {1, 2, 3};
  int32_t want[6];
  long before, n;
  one.num_threads = 1;
  NEED(tern_context_create(&one, &context));
  model = load(context, "language.tern");
  for (n = 0, before = -1;; ++n) {
    tern_generator *g = NULL, *copy = NULL, *both[2];
    const void* data = NULL;
    int32_t tokens[6] = {-1, -1, -1, -1, -1, -1}, statuses[2] = {-1, -1};
    size_t bytes = 0;
    int k;
    failed = 0;
    if (n > 2 && before < 0) before = live;
    fail_at = n ? allocations + n : 0;
    AGAIN(tern_generator_create(model, NULL, &g), g == NULL);
    AGAIN(tern_generator_feed(g, prompt, 3, NULL), tern_generator_length(g) == 0);
    AGAIN(tern_generator_next(g, &tokens[0], NULL), tokens[0] == -1 && tern_generator_length(g) == 3);
    AGAIN(tern_generator_save(g, path, "data", 4), 1);
    AGAIN(tern_generator_fork(g, NULL, &copy), copy == NULL);
    AGAIN(tern_generator_next(copy, &tokens[1], NULL), tokens[1] == -1 && tern_generator_length(copy) == 4);
    both[0] = g, both[1] = copy;
    AGAIN(tern_generator_next_batch(both, 2, tokens + 2, statuses, NULL),
          tokens[2] == -1 && statuses[0] == -1 && tern_generator_length(g) == 4);
    for (k = 0; k < 2; ++k) { /* one may have had no memory for itself */
      CHECK(statuses[k] == TERN_OK || (statuses[k] == TERN_ERR_MEMORY && tokens[2 + k] == -1));
      if (statuses[k] != TERN_OK) NEED(tern_generator_next(both[k], &tokens[2 + k], NULL));
    }
    AGAIN(tern_generator_load(copy, path, &data, &bytes), bytes == 0 && tern_generator_length(copy) == 6);
    CHECK(bytes == 4 && memcmp(data, "data", 4) == 0 && tern_generator_length(copy) == 4);
    AGAIN(tern_generator_next(copy, &tokens[4], NULL), tokens[4] == -1);
    AGAIN(tern_generator_next(copy, &tokens[5], NULL), tokens[5] == -1);
    disarm();
    if (n == 0) memcpy(want, tokens, sizeof want);
    CHECK(memcmp(tokens, want, sizeof want) == 0);
    CHECK(tokens[2] == tokens[1] && tokens[4] == tokens[1] && tokens[5] == tokens[3]);
    tern_generator_release(g);
    tern_generator_release(copy);
    CHECK(before < 0 || live == before);
    if (n && !failed) break;
  }
  CHECK(n > 40);
  remove(path);
  tern_model_release(model);
  tern_context_release(context);
}

/* Tokenizers: every allocation of making one, of a text and of a stream fails. */
static void texts(void) {
  static const char json[] =
      "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true},"
      "\"added_tokens\":[{\"id\":9,\"content\":\"<end>\",\"special\":true}],"
      "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3},\"merges\":[\"a b\"]}}";
  tern_context* context = NULL;
  tern_model* model;
  long before, n;
  NEED(tern_context_create(NULL, &context));
  model = load(context, "words.tern");
  for (n = 1, before = -1;; ++n) {
    tern_tokenizer *read = NULL, *carried = NULL;
    tern_detokenizer* stream = NULL;
    tern_chat* chat = NULL;
    tern_chat_options options = TERN_CHAT_OPTIONS_INIT;
    tern_chat_message message = TERN_CHAT_MESSAGE_INIT;
    const char *text = NULL, *const stops[] = {" then"};
    int32_t ids[8], said[64];
    size_t count = 0, bytes = 0, turns = 0;
    char all[16];
    failed = 0;
    if (n > 1 && before < 0) before = live;
    fail_at = allocations + n;
    AGAIN(tern_tokenizer_create(json, sizeof json - 1, &read), read == NULL);
    AGAIN(tern_tokenizer_create_from_model(model, &carried), carried == NULL);
    AGAIN(tern_tokenizer_encode(read, "ab a<end>", 9, TERN_ENCODE_PARSE_SPECIAL, ids, 8, &count), count == 0);
    AGAIN(tern_tokenizer_decode(read, ids, count, 0, all, sizeof all, &bytes), bytes == 0);
    AGAIN(tern_detokenizer_create(carried, 0, &stream), stream == NULL);
    options.template_name = "zephyr";
    message.role = "user";
    AGAIN(tern_chat_create(carried, NULL, &options, &chat), chat == NULL);
    AGAIN(tern_chat_encode(chat, &message, 1, 0, TERN_CHAT_ANSWER, said, 64, &turns), turns == 0);
    AGAIN(tern_detokenizer_set_stops(stream, stops, 1), 1);
    AGAIN(tern_detokenizer_add(stream, 258, &text, &bytes), 1);
    AGAIN(tern_detokenizer_end(stream, &text, &bytes), 1);
    disarm();
    CHECK(count == 5 && ids[1] == 2 && ids[4] == 9);
    CHECK(bytes == 4 && memcmp(text, " the", 4) == 0);
    CHECK(turns == 25 && said[9] == 260);
    tern_chat_release(chat);
    tern_detokenizer_release(stream);
    tern_tokenizer_release(carried);
    tern_tokenizer_release(read);
    CHECK(before < 0 || live == before);
    if (!failed) break;
  }
  CHECK(n > 40);
  tern_model_release(model);
  tern_context_release(context);
}

static void write_text(const char* path, const char* text) {
  FILE* f = fopen(path, "wb");
  if (!CHECK(f != NULL)) exit(1);
  fputs(text, f);
  fclose(f);
}

/* Training data: every allocation of opening, splitting and drawing them and of training a tokenizer fails. Drawing
 * takes no memory once a batch has been drawn and released. */
static void data(void) {
  static const char* const names[] = {"x", "y"};
  static const char* const special[] = {"<end>"};
  tern_tokenizer_train_options train = TERN_TOKENIZER_TRAIN_OPTIONS_INIT;
  tern_data_options options = TERN_DATA_OPTIONS_INIT;
  tern_augmentation_options flip = TERN_AUGMENTATION_OPTIONS_INIT;
  tern_context* context = NULL;
  const int64_t dims[4] = {8, 5, 5, 1};
  const tern_tensor* arrays[2];
  tern_tensor *x = NULL, *y = NULL;
  char lines[1024], json[1024], saved[1024];
  long before, n;
  strcpy(lines, file_in_folder("memory.txt"));
  strcpy(json, file_in_folder("memory.jsonl"));
  strcpy(saved, file_in_folder("memory.json"));
  write_text(lines, "the cat and the dog\n\nthe dog and the cat and the others, who are more than a few\n");
  write_text(json,
             "{\"text\":\"the cat\",\"label\":\"a cat, by a name that is long\"}\n{\"text\":\"x\",\"label\":\"y\"}\n");
  train.special = special;
  train.num_special = 1;
  options.length = 4;
  flip.flip = 0.5f;
  flip.shift = 2;
  NEED(tern_context_create(NULL, &context));
  NEED(tern_tensor_create(context, TERN_DTYPE_U8, dims, 4, &x));
  y = make_tensor(context, TERN_DTYPE_I64, 1, 8, 0);
  arrays[0] = x, arrays[1] = y;
  for (n = 1, before = -1;; ++n) {
    tern_tokenizer* t = NULL;
    tern_data *a = NULL, *b = NULL, *c = NULL, *one = NULL, *two = NULL;
    const tern_tensor *drawn[3] = {NULL, NULL, NULL}, *got[3] = {NULL, NULL, NULL};
    int64_t count = 0;
    int i;
    failed = 0;
    if (n > 1 && before < 0) before = live;
    fail_at = allocations + n;
    AGAIN(tern_tokenizer_train((const char*)"the cat and the dog and the cat", 31, 262, &train, &t), t == NULL);
    AGAIN(tern_tokenizer_save(t, saved), 1);
    AGAIN(tern_data_create_arrays(context, names, arrays, 2, NULL, &a), a == NULL);
    AGAIN(tern_data_open_text(context, lines, t, &options, &b), b == NULL);
    AGAIN(tern_data_open_jsonl(context, json, t, &options, &c), c == NULL);
    AGAIN(tern_data_split(a, 0.25, 1, &one, &two), one == NULL && two == NULL);
    AGAIN(tern_data_set_augmentation(one, &flip), 1);
    AGAIN(tern_data_next(one, 3, drawn, 2), drawn[0] == NULL && drawn[1] == NULL && tern_data_position(one) == 0);
    AGAIN(tern_data_get(c, 0, 2, got, 3, &count), got[0] == NULL && count == 0);
    disarm();
    CHECK(tern_tokenizer_num_tokens(t) > 259 && tern_data_num_classes(c) == 2 && tern_data_num_samples(b) > 3);
    CHECK(tern_data_position(one) == 3 && count == 2);
    for (i = 0; i < 3; ++i) tern_tensor_release(drawn[i]), tern_tensor_release(got[i]);
    if (n == 1) {
      long first;
      NEED(tern_data_next(one, 40, drawn, 2)); /* all pictures but few are moved: the scratch is there now */
      tern_tensor_release(drawn[0]);
      tern_tensor_release(drawn[1]);
      first = allocations;
      for (i = 0; i < 10; ++i) {
        NEED(tern_data_next(one, 40, drawn, 2));
        tern_tensor_release(drawn[0]);
        tern_tensor_release(drawn[1]);
      }
      CHECK(allocations == first);
    }
    tern_data_release(one);
    tern_data_release(two);
    tern_data_release(a);
    tern_data_release(b);
    tern_data_release(c);
    tern_tokenizer_release(t);
    CHECK(before < 0 || live == before);
    if (!failed) break;
  }
  CHECK(n > 100);
  remove(lines);
  remove(json);
  remove(saved);
  tern_tensor_release(x);
  tern_tensor_release(y);
  tern_context_release(context);
}

static void runs_take_no_memory(void) {
  static const char* const names[] = {"small.tern", "counter.tern"};
  int k, i;
  for (k = 0; k < 2; ++k) {
    tern_context* context = NULL;
    tern_model* model;
    tern_session* s = NULL;
    tern_tensor *x, *y[2];
    const tern_tensor *in[2] = {NULL, NULL}, *out[2];
    const int32_t n_in = k ? 2 : 1;
    long before;
    NEED(tern_context_create(NULL, &context));
    model = load(context, names[k]);
    NEED(tern_session_create(model, NULL, &s));
    x = k ? make_tensor(context, TERN_DTYPE_F32, 2, 1, 4) : make_tensor(context, TERN_DTYPE_F32, 2, 2, 16);
    in[0] = x;
    OK(tern_session_run(s, 0, in, n_in, out, 2, NULL));
    tern_tensor_release(out[0]);
    tern_tensor_release(out[1]);
    before = allocations;
    for (i = 0; i < 10; ++i) {
      OK(tern_session_run(s, 0, in, n_in, out, 2, NULL));
      tern_tensor_release(out[0]);
      tern_tensor_release(out[1]);
    }
    CHECK(allocations == before);
    y[0] = k ? make_tensor(context, TERN_DTYPE_F32, 1, 4, 0) : make_tensor(context, TERN_DTYPE_F32, 2, 2, 8);
    y[1] = k ? make_tensor(context, TERN_DTYPE_F32, 0, 0, 0) : make_tensor(context, TERN_DTYPE_F32, 2, 2, 32);
    OK(tern_session_bind_input(s, 0, 0, x));
    OK(tern_session_bind_output(s, 0, 0, y[0]));
    OK(tern_session_bind_output(s, 0, 1, y[1]));
    before = allocations;
    for (i = 0; i < 5; ++i) OK(tern_session_run_bound(s, 0, NULL));
    CHECK(allocations == before);
    tern_tensor_release(x);
    tern_tensor_release(y[0]);
    tern_tensor_release(y[1]);
    tern_session_release(s);
    tern_model_release(model);
    tern_context_release(context);
  }
}

/* ---- the host's allocator ---- */

typedef struct host {
  long blocks, bytes, given, refuse_from; /* refuse_from: 0 = never */
  int wrong;
} host;

static void* host_allocate(void* user, size_t bytes, size_t alignment) {
  host* h = (host*)user;
  char* p;
  ++h->given;
  if (h->refuse_from && h->given >= h->refuse_from) return NULL;
  if (bytes == 0 || alignment == 0 || alignment > 4096 || (alignment & (alignment - 1))) h->wrong = 1;
  /* The size in front, to compare it later; no more alignment than was asked for. */
  p = (char*)memalign(alignment < 64 ? 64 : alignment, bytes + (alignment < 64 ? 64 : alignment));
  if (!p) return NULL;
  p += alignment < 64 ? 64 : alignment;
  ((size_t*)(void*)p)[-1] = bytes;
  ((size_t*)(void*)p)[-2] = alignment < 64 ? 64 : alignment;
  ++h->blocks;
  h->bytes += (long)bytes;
  return p;
}

static void host_release(void* user, void* memory, size_t bytes) {
  host* h = (host*)user;
  if (((size_t*)memory)[-1] != bytes) h->wrong = 1;
  --h->blocks;
  h->bytes -= (long)bytes;
  free((char*)memory - ((size_t*)memory)[-2]);
}

static void host_allocator(void) {
  host h;
  tern_allocator allocator;
  tern_context_options o = TERN_CONTEXT_OPTIONS_INIT;
  tern_context* context = NULL;
  tern_model* model;
  tern_session* s = NULL;
  tern_tensor *x = NULL, *none = NULL;
  const tern_tensor *in, *out[2] = {NULL, NULL};
  const int64_t dims[2] = {2, 16};
  long n;
  memset(&h, 0, sizeof h);
  memset(&allocator, 0, sizeof allocator);
  o.allocator = &allocator;
  o.num_threads = 1;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&o, &context)); /* struct_size 0 */
  allocator.struct_size = (uint32_t)sizeof allocator;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&o, &context));
  allocator.allocate = host_allocate;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&o, &context));
  CHECK(context == NULL);
  allocator.release = host_release;
  allocator.user = &h;
  NEED(tern_context_create(&o, &context));
  memset(&allocator, 0, sizeof allocator); /* was copied */
  model = load(context, "small.tern");
  NEED(tern_tensor_create(context, TERN_DTYPE_F32, dims, 2, &x));
  fill(x, 1);
  in = x;
  /* Every allocation of the host fails in turn; then the same session does it. */
  NEED(tern_session_create(model, NULL, &s));
  for (n = 1;; ++n) {
    tern_status status;
    h.refuse_from = h.given + n;
    status = tern_session_run(s, 0, &in, 1, out, 2, NULL);
    h.refuse_from = 0;
    if (status == TERN_OK) break;
    CHECK(status == TERN_ERR_MEMORY && out[0] == NULL && out[1] == NULL && n < 1000);
  }
  CHECK(n > 1);
  h.refuse_from = h.given;
  FAILS(TERN_ERR_MEMORY, tern_tensor_create(context, TERN_DTYPE_F32, dims, 2, &none));
  CHECK(none == NULL);
  h.refuse_from = 0;
  CHECK(h.blocks > 2 && h.bytes > 0);
  tern_tensor_release(out[0]);
  tern_tensor_release(out[1]);
  tern_tensor_release(x);
  tern_session_release(s);
  tern_model_release(model);
  tern_context_release(context);
  CHECK(h.blocks == 0 && h.bytes == 0 && !h.wrong);
}

MAIN_BEGIN
every_allocation_fails();
runs_take_no_memory();
tasks();
texts();
data();
generators();
host_allocator();
MAIN_END("memory")
