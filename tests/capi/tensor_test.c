/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors: made, wrapped, viewed, counted; every bad argument. */
#include "check.h"

static int released;
static void on_release(void* user) { released += *(int*)user; }

static void making(tern_context* context) {
  const int64_t dims[3] = {2, 3, 4};
  const int64_t many[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  const int64_t negative[2] = {2, -1}, huge[3] = {INT64_MAX / 4, 3, 7}, big[1] = {INT64_MAX / 32}, empty[2] = {0, 5};
  tern_tensor* t = NULL;
  int32_t d;
  int i;
  OK(tern_tensor_create(context, TERN_DTYPE_F32, dims, 3, &t));
  CHECK(tern_tensor_dtype(t) == TERN_DTYPE_F32 && tern_tensor_rank(t) == 3 && tern_tensor_num_elements(t) == 24 &&
        tern_tensor_bytes(t) == 96);
  CHECK(tern_tensor_dim(t, 0) == 2 && tern_tensor_dim(t, 2) == 4 && tern_tensor_dim(t, 3) == -1 &&
        tern_tensor_dim(t, -1) == -1);
  CHECK((uintptr_t)tern_tensor_data(t) % 64 == 0 && tern_tensor_const_data(t) == tern_tensor_data(t));
  for (i = 0; i < 24; ++i) CHECK(((float*)tern_tensor_data(t))[i] == 0);
  tern_tensor_release(t);
  t = NULL;
  OK(tern_tensor_create(context, TERN_DTYPE_I64, NULL, 0, &t));
  CHECK(tern_tensor_rank(t) == 0 && tern_tensor_num_elements(t) == 1 && tern_tensor_bytes(t) == 8);
  tern_tensor_release(t);
  t = NULL;
  OK(tern_tensor_create(context, TERN_DTYPE_U8, empty, 2, &t));
  CHECK(tern_tensor_num_elements(t) == 0 && tern_tensor_bytes(t) == 0);
  tern_tensor_release(t);
  for (d = TERN_DTYPE_F32; d <= TERN_DTYPE_BOOL; ++d) {
    t = NULL;
    OK(tern_tensor_create(context, d, dims, 3, &t));
    CHECK(tern_tensor_bytes(t) == 24 * tern_dtype_size(d));
    tern_tensor_release(t);
  }
  t = NULL;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_create(NULL, TERN_DTYPE_F32, dims, 3, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_create(context, 0, dims, 3, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_create(context, 14, dims, 3, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_create(context, -5, dims, 3, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_create(context, TERN_DTYPE_F32, NULL, 3, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_create(context, TERN_DTYPE_F32, many, 9, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_create(context, TERN_DTYPE_F32, many, -1, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_create(context, TERN_DTYPE_F32, dims, 3, NULL));
  FAILS(TERN_ERR_SHAPE, tern_tensor_create(context, TERN_DTYPE_F32, negative, 2, &t));
  CHECK(tern_tensor_create(context, TERN_DTYPE_F32, huge, 3, &t) != TERN_OK);
  FAILS(TERN_ERR_MEMORY, tern_tensor_create(context, TERN_DTYPE_F32, big, 1, &t));
  CHECK(t == NULL);
}

static void wrapping(tern_context* context) {
  static float memory[24];
  const int64_t dims[2] = {4, 6}, more[2] = {5, 5}, empty[1] = {0};
  tern_tensor* t = NULL;
  int one = 1;
  released = 0;
  OK(tern_tensor_wrap(context, TERN_DTYPE_F32, dims, 2, memory, sizeof memory, on_release, &one, &t));
  CHECK(tern_tensor_data(t) == (void*)memory && tern_tensor_bytes(t) == 96);
  tern_tensor_retain(t);
  tern_tensor_release(t);
  CHECK(released == 0);
  tern_tensor_release(t);
  CHECK(released == 1);
  t = NULL;
  FAILS(TERN_ERR_SHAPE,
        tern_tensor_wrap(context, TERN_DTYPE_F32, more, 2, memory, sizeof memory, on_release, &one, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT,
        tern_tensor_wrap(context, TERN_DTYPE_F32, dims, 2, NULL, sizeof memory, on_release, &one, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT,
        tern_tensor_wrap(context, TERN_DTYPE_F32, dims, 2, (char*)memory + 1, sizeof memory, on_release, &one, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_wrap(context, 77, dims, 2, memory, sizeof memory, on_release, &one, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT,
        tern_tensor_wrap(NULL, TERN_DTYPE_F32, dims, 2, memory, sizeof memory, on_release, &one, &t));
  FAILS(TERN_ERR_INVALID_ARGUMENT,
        tern_tensor_wrap(context, TERN_DTYPE_F32, dims, 2, memory, sizeof memory, on_release, &one, NULL));
  CHECK(t == NULL && released == 1); /* what failed releases nothing */
  OK(tern_tensor_wrap(context, TERN_DTYPE_F32, empty, 1, NULL, 0, NULL, NULL, &t));
  tern_tensor_release(t);
}

static void viewing(tern_context* context) {
  static float memory[24];
  const int64_t dims[2] = {6, 4}, three[3] = {2, 3, 4}, wrong[1] = {23}, negative[2] = {-6, -4}, scalar[1] = {1};
  tern_tensor *t = NULL, *rows = NULL, *other = NULL, *bad = NULL, *one_element = NULL, *empty = NULL;
  int one = 1, i;
  for (i = 0; i < 24; ++i) memory[i] = (float)i;
  released = 0;
  NEED(tern_tensor_wrap(context, TERN_DTYPE_F32, dims, 2, memory, sizeof memory, on_release, &one, &t));
  OK(tern_tensor_view(t, 2, 5, &rows));
  CHECK(tern_tensor_dim(rows, 0) == 3 && tern_tensor_dim(rows, 1) == 4 &&
        tern_tensor_data(rows) == (void*)(memory + 8));
  OK(tern_tensor_reshape(t, three, 3, &other));
  CHECK(tern_tensor_rank(other) == 3 && tern_tensor_data(other) == (void*)memory);
  OK(tern_tensor_view(t, 6, 6, &empty));
  CHECK(tern_tensor_num_elements(empty) == 0);
  FAILS(TERN_ERR_SHAPE, tern_tensor_view(t, -1, 2, &bad));
  FAILS(TERN_ERR_SHAPE, tern_tensor_view(t, 3, 2, &bad));
  FAILS(TERN_ERR_SHAPE, tern_tensor_view(t, 0, 7, &bad));
  FAILS(TERN_ERR_SHAPE, tern_tensor_view(t, INT64_MAX - 1, INT64_MAX, &bad));
  FAILS(TERN_ERR_SHAPE, tern_tensor_reshape(t, wrong, 1, &bad));
  FAILS(TERN_ERR_SHAPE, tern_tensor_reshape(t, negative, 2, &bad));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_reshape(t, NULL, 2, &bad));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_reshape(NULL, three, 3, &bad));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_view(NULL, 0, 1, &bad));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_view(t, 0, 1, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_tensor_reshape(t, three, 3, NULL));
  NEED(tern_tensor_create(context, TERN_DTYPE_F32, NULL, 0, &one_element));
  FAILS(TERN_ERR_SHAPE, tern_tensor_view(one_element, 0, 1, &bad));
  CHECK(bad == NULL);
  OK(tern_tensor_reshape(one_element, scalar, 1, &bad));
  tern_tensor_release(bad);
  tern_tensor_release(one_element);
  tern_tensor_release(t); /* its views keep it */
  CHECK(released == 0 && ((float*)tern_tensor_data(rows))[0] == 8);
  tern_tensor_release(other);
  tern_tensor_release(empty);
  CHECK(released == 0);
  tern_tensor_release(rows);
  CHECK(released == 1);
}

static void nothing(void) {
  CHECK(tern_tensor_dtype(NULL) == TERN_DTYPE_NONE && tern_tensor_rank(NULL) == -1 && tern_tensor_dim(NULL, 0) == -1);
  CHECK(tern_tensor_num_elements(NULL) == 0 && tern_tensor_bytes(NULL) == 0 && !tern_tensor_data(NULL) &&
        !tern_tensor_const_data(NULL));
}

MAIN_BEGIN
tern_context* context = NULL;
NEED(tern_context_create(NULL, &context));
making(context);
wrapping(context);
viewing(context);
nothing();
tern_context_release(context);
MAIN_END("tensor")
