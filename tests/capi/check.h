/* SPDX-License-Identifier: Apache-2.0 */
/* The little that the C tests share: checks that count, and the folder with the small models. */
#ifndef TERN_TESTS_CAPI_CHECK_H
#define TERN_TESTS_CAPI_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tern/tern.h"

static int check_count, check_failures;

static inline int check_(int good, const char* file, int line, const char* text) {
  ++check_count;
  if (!good) {
    ++check_failures;
    fprintf(stderr, "%s:%d: %s\n    last error: %s\n", file, line, text, tern_last_error_message());
  }
  return good;
}

#define CHECK(condition) check_((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
/* A call that must succeed, and one that must fail with this code and a text. */
#define OK(call) check_((call) == TERN_OK, __FILE__, __LINE__, #call)
#define FAILS(code, call) \
  check_((call) == (code) && tern_last_error_message()[0] != 0, __FILE__, __LINE__, #call " should give " #code)
/* What cannot be gone on without. */
#define NEED(call)                                                      \
  do {                                                                  \
    if (!check_((call) == TERN_OK, __FILE__, __LINE__, #call)) exit(1); \
  } while (0)

/* True if the text of the last error contains `part`. */
static inline int says(const char* part) { return strstr(tern_last_error_message(), part) != NULL; }

static const char* check_folder = ".";

/* "FOLDER/name" in one of sixteen buffers. */
static inline const char* file_in_folder(const char* name) {
  static char paths[16][1024];
  static int next;
  char* path = paths[next++ & 15];
  snprintf(path, 1024, "%s/%s", check_folder, name);
  return path;
}

static inline tern_model* load(tern_context* context, const char* name) {
  tern_model* model = NULL;
  NEED(tern_model_load_file(context, file_in_folder(name), NULL, &model));
  return model;
}

static inline tern_tensor* make_tensor(tern_context* context, int32_t dtype, int32_t rank, int64_t d0, int64_t d1) {
  const int64_t dims[2] = {d0, d1};
  tern_tensor* tensor = NULL;
  NEED(tern_tensor_create(context, dtype, dims, rank, &tensor));
  return tensor;
}

/* Values from -1 to 1 without a pattern. */
static inline void fill(tern_tensor* tensor, unsigned seed) {
  float* data = (float*)tern_tensor_data(tensor);
  int64_t i;
  const int64_t n = tern_tensor_num_elements(tensor);
  for (i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    data[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
  }
}

static inline int done(const char* name) {
  printf("%s: %d checks, %d failed\n", name, check_count, check_failures);
  return check_failures ? 1 : 0;
}

/* A program's main: the folder is its argument. */
#define MAIN_BEGIN                  \
  int main(int argc, char** argv) { \
    if (argc > 1) check_folder = argv[1];
#define MAIN_END(name) \
  return done(name);   \
  }

#endif
