/* SPDX-License-Identifier: Apache-2.0 */
/* Training data as an app uses it: batches, resume, split, files; a tokenizer that is trained, saved and used. */
#include "check.h"

static tern_context* context;

static const int64_t* numbers(const tern_tensor* t) { return (const int64_t*)tern_tensor_const_data(t); }

static void write_file(const char* path, const void* bytes, size_t size) {
  FILE* f = fopen(path, "wb");
  if (!CHECK(f != NULL)) exit(1);
  CHECK(fwrite(bytes, 1, size, f) == size);
  fclose(f);
}

/* x [10, 3] = 10 i + k, y [10] = i. */
static tern_data* made(const tern_data_options* options) {
  static const char* const names[] = {"x", "y"};
  const tern_tensor* arrays[2];
  tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, 10, 3);
  tern_tensor* y = make_tensor(context, TERN_DTYPE_I64, 1, 10, 0);
  tern_data* data = NULL;
  int i;
  for (i = 0; i < 30; ++i) ((float*)tern_tensor_data(x))[i] = (float)(i / 3 * 10 + i % 3);
  for (i = 0; i < 10; ++i) ((int64_t*)tern_tensor_data(y))[i] = i;
  arrays[0] = x, arrays[1] = y;
  NEED(tern_data_create_arrays(context, names, arrays, 2, options, &data));
  tern_tensor_release(x); /* the data keep them */
  tern_tensor_release(y);
  return data;
}

/* The samples of a batch as digits; x must go with y. */
static void draw(tern_data* data, int64_t batch, char* digits) {
  const tern_tensor* t[2] = {NULL, NULL};
  int64_t i;
  NEED(tern_data_next(data, batch, t, 2));
  CHECK(tern_tensor_rank(t[0]) == 2 && tern_tensor_dim(t[0], 0) == batch && tern_tensor_dim(t[0], 1) == 3);
  CHECK(tern_tensor_rank(t[1]) == 1 && tern_tensor_dim(t[1], 0) == batch);
  for (i = 0; i < batch; ++i) {
    const int64_t y = numbers(t[1])[i];
    CHECK(((const float*)tern_tensor_const_data(t[0]))[3 * i + 2] == (float)(10 * y + 2));
    digits[i] = (char)('0' + y);
  }
  digits[batch] = 0;
  tern_tensor_release(t[0]);
  tern_tensor_release(t[1]);
}

static void batches(void) {
  tern_data_options options = TERN_DATA_OPTIONS_INIT;
  tern_data_field field = TERN_DATA_FIELD_INIT;
  tern_data* data = made(NULL);
  char all[41], part[41], other[41], seen[11] = "..........";
  const tern_tensor *a[2] = {NULL, NULL}, *b[2] = {NULL, NULL};
  const void* memory;
  int i;
  CHECK(tern_data_num_samples(data) == 10 && tern_data_num_fields(data) == 2 && tern_data_position(data) == 0);
  CHECK(tern_data_num_classes(data) == 0 && tern_data_num_skipped(data) == 0 && !tern_data_class_name(data, 0));
  OK(tern_data_get_field(data, 0, &field));
  CHECK(strcmp(field.name, "x") == 0 && field.dtype == TERN_DTYPE_F32 && field.rank == 1 && field.dims[0] == 3);
  OK(tern_data_get_field(data, 1, &field));
  CHECK(strcmp(field.name, "y") == 0 && field.dtype == TERN_DTYPE_I64 && field.rank == 0);
  /* One batch of four epochs is the same as many. */
  draw(data, 40, all);
  CHECK(tern_data_position(data) == 40);
  for (i = 0; i < 10; ++i) seen[all[i] - '0'] = '!';
  CHECK(strcmp(seen, "!!!!!!!!!!") == 0 && memcmp(all, all + 10, 10) != 0);
  OK(tern_data_seek(data, 0));
  for (i = 0; i < 10; ++i) draw(data, 4, part + 4 * i);
  CHECK(strcmp(all, part) == 0);
  /* Resumed from any place. */
  for (i = 0; i < 37; ++i) {
    OK(tern_data_seek(data, i));
    draw(data, 3, part);
    CHECK(memcmp(all + i, part, 3) == 0);
  }
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_data_seek(data, -1));
  OK(tern_data_seek(data, INT64_MAX - 2));
  FAILS(TERN_ERR_LIMIT, tern_data_next(data, 3, a, 2));
  CHECK(a[0] == NULL && tern_data_position(data) == INT64_MAX - 2);
  OK(tern_data_seek(data, 0));
  /* Memory of a batch that nobody holds is used again, that of one that is held is not. */
  NEED(tern_data_next(data, 4, a, 2));
  NEED(tern_data_next(data, 4, b, 2));
  CHECK(a[0] != b[0] && tern_tensor_const_data(a[0]) != tern_tensor_const_data(b[0]));
  memory = tern_tensor_const_data(b[0]);
  for (i = 0; i < 2; ++i) tern_tensor_release(a[i]), tern_tensor_release(b[i]);
  NEED(tern_data_next(data, 4, a, 2));
  CHECK(tern_tensor_const_data(a[0]) == memory);
  tern_data_release(data); /* batches may outlive it */
  CHECK(tern_tensor_dim(a[0], 0) == 4);
  for (i = 0; i < 2; ++i) tern_tensor_release(a[i]);

  options.seed = 1;
  data = made(&options);
  draw(data, 40, other);
  CHECK(strcmp(all, other) != 0);
  tern_data_release(data);
  options.flags = TERN_DATA_IN_ORDER | TERN_DATA_DROP_LAST;
  data = made(&options);
  draw(data, 4, part);
  CHECK(strcmp(part, "0123") == 0);
  draw(data, 4, part);
  draw(data, 4, part);
  CHECK(strcmp(part, "0123") == 0 && tern_data_position(data) == 14);
  FAILS(TERN_ERR_LIMIT, tern_data_next(data, 11, a, 2));
  tern_data_release(data);
}

static void passes(void) {
  tern_data *data = made(NULL), *train = NULL, *validation = NULL;
  const tern_tensor* t[2] = {NULL, NULL};
  int64_t begin, count = 0, sum = 0, last = -1;
  OK(tern_data_split(data, 0.3, 7, &train, &validation));
  CHECK(tern_data_num_samples(train) == 7 && tern_data_num_samples(validation) == 3);
  tern_data_release(data);
  for (begin = 0; begin < 7; begin += count) {
    int64_t i;
    NEED(tern_data_get(train, begin, 4, t, 2, &count));
    CHECK(count == (begin ? 3 : 4) && tern_tensor_dim(t[1], 0) == count);
    for (i = 0; i < count; ++i) {
      CHECK(numbers(t[1])[i] > last);
      last = numbers(t[1])[i], sum += last;
    }
    tern_tensor_release(t[0]);
    tern_tensor_release(t[1]);
  }
  NEED(tern_data_get(validation, 0, 100, t, 2, &count));
  CHECK(count == 3 && sum + numbers(t[1])[0] + numbers(t[1])[1] + numbers(t[1])[2] == 45);
  tern_tensor_release(t[0]);
  tern_tensor_release(t[1]);
  FAILS(TERN_ERR_INDEX, tern_data_get(validation, 3, 1, t, 2, &count));
  tern_data_release(train);
  tern_data_release(validation);
}

static void refuses(void) {
  static const char* const twice[] = {"x", "x"};
  static const char* const empty[] = {"x", ""};
  const tern_tensor* arrays[2];
  tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, 4, 3);
  tern_data_options options = TERN_DATA_OPTIONS_INIT;
  tern_data* data = NULL;
  arrays[0] = arrays[1] = x;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_data_create_arrays(context, twice, arrays, 2, NULL, &data));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_data_create_arrays(context, empty, arrays, 2, NULL, &data));
  arrays[1] = NULL;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_data_create_arrays(context, twice, arrays, 2, NULL, &data));
  options.flags = 1u << 20;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_data_create_arrays(context, twice, arrays, 1, &options, &data));
  CHECK(data == NULL);
  tern_tensor_release(x);
}

static void arrays_of_numpy(void) {
  static const char* const names[] = {"picture"};
  char bytes[128 + 6 * 4];
  const char* path = file_in_folder("data.npy");
  const char* const paths[] = {path};
  tern_augmentation_options flip = TERN_AUGMENTATION_OPTIONS_INIT;
  tern_tensor* t = NULL;
  tern_data* data = NULL;
  const tern_tensor* out = NULL;
  int i;
  memset(bytes, ' ', 128);
  memcpy(bytes, "\x93NUMPY\x01\0\x76\0{'descr': '|u1', 'fortran_order': False, 'shape': (6, 1, 4, 1)}", 73);
  bytes[127] = '\n';
  for (i = 0; i < 24; ++i) bytes[128 + i] = (char)i;
  write_file(path, bytes, sizeof bytes);
  OK(tern_tensor_load_npy(context, path, &t));
  CHECK(tern_tensor_dtype(t) == TERN_DTYPE_U8 && tern_tensor_rank(t) == 4 && tern_tensor_dim(t, 0) == 6);
  CHECK(memcmp(tern_tensor_data(t), bytes + 128, 24) == 0);
  tern_tensor_release(t);
  OK(tern_data_open_npy(context, names, paths, 1, NULL, &data));
  flip.flip = 1;
  OK(tern_data_set_augmentation(data, &flip));
  OK(tern_data_next(data, 6, &out, 1));
  for (i = 0; i < 6; ++i) {
    const unsigned char* p = (const unsigned char*)tern_tensor_const_data(out) + 4 * i;
    CHECK(p[0] % 4 == 3 && p[1] == p[0] - 1 && p[3] == p[0] - 3);
  }
  tern_tensor_release(out);
  OK(tern_data_set_augmentation(data, NULL));
  OK(tern_data_next(data, 6, &out, 1));
  CHECK(((const unsigned char*)tern_tensor_const_data(out))[0] % 4 == 0);
  tern_tensor_release(out);
  flip.shift = 1;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_data_set_augmentation(data, &flip));
  CHECK(says("4 x 1"));
  tern_data_release(data);
  write_file(path, bytes, sizeof bytes - 1);
  FAILS(TERN_ERR_CORRUPT, tern_data_open_npy(context, names, paths, 1, NULL, &data));
  CHECK(says("data.npy: the file is shorter than its shape says"));
  FAILS(TERN_ERR_NOT_FOUND, tern_tensor_load_npy(context, file_in_folder("none.npy"), &t));
  remove(path);
}

static void texts(void) {
  static const char text[] = "the cat and the dog\n\nthe dog and the cat\n\nthe cat, the cat, the cat and the end\n";
  static const char* const special[] = {"<|endoftext|>"};
  static const char jsonl[] =
      "{\"text\": \"the cat\", \"label\": \"cat\"}\n{\"text\": \"the dog\", \"label\": 5}\n"
      "{\"text\": \"a bat\", \"label\": \"bat\"}\n";
  tern_tokenizer_train_options train = TERN_TOKENIZER_TRAIN_OPTIONS_INIT;
  tern_data_options options = TERN_DATA_OPTIONS_INIT;
  tern_tokenizer *tokenizer = NULL, *again = NULL;
  tern_data* data = NULL;
  const tern_tensor* t[3] = {NULL, NULL, NULL};
  const char* path = file_in_folder("data.txt");
  const char* const paths[] = {path};
  int32_t ids[64], other[64];
  size_t count = 0, same = 0;
  int64_t taken = 0;
  write_file(path, text, sizeof text - 1);
  train.special = special;
  train.num_special = 1;
  OK(tern_tokenizer_train(text, sizeof text - 1, 270, &train, &tokenizer));
  OK(tern_tokenizer_train_files(paths, 1, 270, &train, &again));
  CHECK(tern_tokenizer_num_tokens(tokenizer) == 270 && tern_tokenizer_num_tokens(again) == 270);
  OK(tern_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, ids, 64, &count));
  OK(tern_tokenizer_encode(again, text, sizeof text - 1, 0, other, 64, &same));
  CHECK(count == same && count < 64 && memcmp(ids, other, count * sizeof *ids) == 0);
  tern_tokenizer_release(again);
  again = NULL;
  /* Saved and read. */
  OK(tern_tokenizer_save(tokenizer, file_in_folder("tokenizer.json")));
  {
    static char json[65536];
    FILE* f = fopen(file_in_folder("tokenizer.json"), "rb");
    const size_t n = f ? fread(json, 1, sizeof json, f) : 0;
    if (f) fclose(f);
    OK(tern_tokenizer_create(json, n, &again));
    OK(tern_tokenizer_encode(again, text, sizeof text - 1, 0, other, 64, &same));
    CHECK(count == same && memcmp(ids, other, count * sizeof *ids) == 0);
    tern_tokenizer_release(again);
  }
  /* Windows of its text: labels are the next tokens. */
  options.length = 4;
  options.flags = TERN_DATA_IN_ORDER;
  OK(tern_data_open_text(context, path, tokenizer, &options, &data));
  CHECK(tern_data_num_samples(data) > 4 && tern_data_num_fields(data) == 2);
  OK(tern_data_get(data, 0, 2, t, 2, &taken));
  CHECK(taken == 2 && memcmp(numbers(t[0]) + 1, numbers(t[1]), 7 * sizeof(int64_t)) == 0);
  tern_tensor_release(t[0]);
  tern_tensor_release(t[1]);
  tern_data_release(data);
  data = NULL;
  /* Records. */
  write_file(path, jsonl, sizeof jsonl - 1);
  FAILS(TERN_ERR_CORRUPT, tern_data_open_jsonl(context, path, tokenizer, &options, &data));
  CHECK(says("line 2") && says("data.txt") && data == NULL);
  options.flags |= TERN_DATA_SKIP_BAD;
  OK(tern_data_open_jsonl(context, path, tokenizer, &options, &data));
  CHECK(tern_data_num_samples(data) == 2 && tern_data_num_skipped(data) == 1 && tern_data_num_classes(data) == 2);
  CHECK(strcmp(tern_data_class_name(data, 0), "bat") == 0 && strcmp(tern_data_class_name(data, 1), "cat") == 0 &&
        !tern_data_class_name(data, 2) && !tern_data_class_name(data, -1));
  OK(tern_data_next(data, 2, t, 3));
  CHECK(numbers(t[2])[0] == 1 && numbers(t[2])[1] == 0 && tern_tensor_rank(t[2]) == 1 && numbers(t[1])[0] == 1);
  for (taken = 0; taken < 3; ++taken) tern_tensor_release(t[taken]);
  tern_data_release(data);
  tern_tokenizer_release(tokenizer);
  remove(path);
  remove(file_in_folder("tokenizer.json"));
}

MAIN_BEGIN
NEED(tern_context_create(NULL, &context));
batches();
passes();
refuses();
arrays_of_numpy();
texts();
tern_context_release(context);
MAIN_END("data")
