/* SPDX-License-Identifier: Apache-2.0 */
/* Making and letting go: every order of releases, options of other sizes, models from files, memory and descriptors. */
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "check.h"

static unsigned char* read_all(const char* path, size_t* bytes, size_t before) {
  FILE* f = fopen(path, "rb");
  unsigned char* data;
  long size;
  if (!CHECK(f != NULL)) exit(1);
  fseek(f, 0, SEEK_END);
  size = ftell(f);
  fseek(f, 0, SEEK_SET);
  data = (unsigned char*)aligned_alloc(64, ((size_t)size + before + 63) / 64 * 64);
  CHECK(fread(data + before, 1, (size_t)size, f) == (size_t)size);
  fclose(f);
  *bytes = (size_t)size;
  return data;
}

static void run_once(const tern_model* model) {
  tern_session* session = NULL;
  tern_context* context = NULL; /* of its own: contexts do not know each other */
  tern_tensor* x;
  const tern_tensor *input, *outputs[2] = {NULL, NULL};
  float sum = 0;
  int i;
  NEED(tern_context_create(NULL, &context));
  NEED(tern_session_create(model, NULL, &session));
  x = make_tensor(context, TERN_DTYPE_F32, 2, 3, 16);
  fill(x, 1);
  input = x;
  OK(tern_session_run(session, 0, &input, 1, outputs, 2, NULL));
  for (i = 0; i < 8; ++i) sum += ((const float*)tern_tensor_const_data(outputs[0]))[i];
  CHECK(sum > 0.999f && sum < 1.001f);
  tern_tensor_release(outputs[0]);
  tern_tensor_release(outputs[1]);
  tern_tensor_release(x);
  tern_session_release(session);
  tern_context_release(context);
}

static void releases_in_any_order(void) {
  int order;
  for (order = 0; order < 4; ++order) {
    tern_context* context = NULL;
    tern_model* model;
    tern_session* session = NULL;
    tern_tensor* x;
    const tern_tensor *input, *outputs[2] = {NULL, NULL};
    NEED(tern_context_create(NULL, &context));
    model = load(context, "small.tern");
    if (order == 0) tern_context_release(context); /* the model keeps it */
    NEED(tern_session_create(model, NULL, &session));
    if (order == 1) tern_model_release(model); /* the session keeps it */
    if (order == 0) {
      NEED(tern_context_create(NULL, &context));
    }
    x = make_tensor(context, TERN_DTYPE_F32, 2, 1, 16);
    input = x;
    OK(tern_session_run(session, 0, &input, 1, outputs, 2, NULL));
    if (order == 2) tern_session_release(session); /* outputs outlive it */
    if (order == 3) tern_context_release(context);
    CHECK(tern_tensor_dim(outputs[0], 1) == 8);
    CHECK(((const float*)tern_tensor_const_data(outputs[0]))[0] > 0);
    tern_tensor_release(outputs[0]);
    tern_tensor_release(outputs[1]);
    tern_tensor_release(x);
    if (order != 2) tern_session_release(session);
    if (order != 1) tern_model_release(model);
    if (order != 3) tern_context_release(context);
  }
}

static void nothing_is_released_twice(void) {
  tern_context_release(NULL);
  tern_model_release(NULL);
  tern_model_retain(NULL);
  tern_session_release(NULL);
  tern_tensor_release(NULL);
  tern_tensor_retain(NULL);
  tern_parameters_release(NULL);
  tern_state_release(NULL);
  tern_cancel_release(NULL);
  tern_cancel_signal(NULL);
  tern_cancel_reset(NULL);
}

static void options_of_other_versions(void) {
  struct {
    tern_context_options known;
    unsigned char newer[16];
  } options;
  tern_context* context = NULL;
  memset(&options, 0, sizeof options);
  OK(tern_context_options_init(&options.known, sizeof options)); /* an app made for a newer version */
  CHECK(options.known.struct_size == sizeof options);
  OK(tern_context_create(&options.known, &context));
  tern_context_release(context);
  context = NULL;
  options.newer[15] = 1; /* what the newer version means by this is not known here */
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&options.known, &context));
  CHECK(context == NULL && says("tern_context_options"));
  options.known.struct_size = 0;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&options.known, &context));
  /* an app made for the first version */
  options.known.struct_size = (uint32_t)offsetof(tern_context_options, denormals);
  options.known.denormals = 77;
  OK(tern_context_create(&options.known, &context));
  tern_context_release(context);
  context = NULL;
  options.known.struct_size = (uint32_t)sizeof(tern_context_options);
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&options.known, &context));
  CHECK(context == NULL && says("denormals"));
  options.known.denormals = TERN_DENORMALS_KEEP;
  OK(tern_context_create(&options.known, &context));
  tern_context_release(context);
  context = NULL;
  options.known.tiles = 2;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&options.known, &context));
  CHECK(context == NULL && says("tiles"));
  options.known.tiles = TERN_TILES_NEVER;
  OK(tern_context_create(&options.known, &context));
  tern_context_release(context);
  context = NULL;
  options.known.struct_size = (uint32_t)offsetof(tern_context_options, denormals) - 1;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&options.known, &context));
  options.known.struct_size = 0xFFFFFFFFu;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_create(&options.known, &context));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_options_init(NULL, sizeof options));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_options_init(&options.known, 4));
  CHECK(context == NULL);
}

static void models_from_anywhere(void) {
  tern_context* context = NULL;
  tern_model* model = NULL;
  tern_load_options copy = TERN_LOAD_OPTIONS_INIT, check = TERN_LOAD_OPTIONS_INIT;
  unsigned char* data;
  size_t bytes;
  int fd, i;
  copy.flags = TERN_LOAD_COPY;
  check.flags = TERN_LOAD_CHECK_WEIGHTS;
  NEED(tern_context_create(NULL, &context));
  OK(tern_model_load_file(context, file_in_folder("small.tern"), &copy, &model));
  run_once(model);
  tern_model_release(model);
  OK(tern_model_load_file(context, file_in_folder("small.tern"), &check, &model));
  run_once(model);
  tern_model_release(model);

  /* A copy does not see what others do to the file: rewrite it in place, then cut it. */
  data = read_all(file_in_folder("small.tern"), &bytes, 0);
  for (i = 0; i < 2; ++i) {
    FILE* f = fopen(file_in_folder("changing.tern"), "wb");
    CHECK(f && fwrite(data, 1, bytes, f) == bytes);
    if (f) fclose(f);
    OK(tern_model_load_file(context, file_in_folder("changing.tern"), &copy, &model));
    f = fopen(file_in_folder("changing.tern"), i ? "wb" : "r+b");
    CHECK(f != NULL);
    while (!i && f && ftell(f) < (long)bytes) fputc(0xEE, f);
    if (f) fclose(f);
    run_once(model);
    OK(tern_model_check_weights(model));
    tern_model_release(model);
  }
  free(data);
  remove(file_in_folder("changing.tern"));

  data = read_all(file_in_folder("small.tern"), &bytes, 0);
  OK(tern_model_load_memory(context, data, bytes, &check, &model));
  run_once(model);
  tern_model_release(model);
  OK(tern_model_load_memory(context, data, bytes, &copy, &model));
  memset(data, 0, bytes); /* a copy was made */
  run_once(model);
  tern_model_release(model);
  free(data);
  data = read_all(file_in_folder("small.tern"), &bytes, 1);
  model = NULL;
  CHECK(tern_model_load_memory(context, data + 1, bytes, NULL, &model) != TERN_OK); /* not aligned */
  CHECK(model == NULL);
  OK(tern_model_load_memory(context, data + 1, bytes, &copy, &model));
  run_once(model);
  tern_model_release(model);
  model = NULL;
  free(data);

  /* Inside another file, as a package has it. */
  data = read_all(file_in_folder("small.tern"), &bytes, 128);
  memset(data, 'p', 128);
  {
    FILE* f = fopen(file_in_folder("package.bin"), "wb");
    CHECK(f && fwrite(data, 1, bytes + 128, f) == bytes + 128 && fwrite("end", 1, 3, f) == 3);
    if (f) fclose(f);
  }
  free(data);
  fd = open(file_in_folder("package.bin"), O_RDONLY);
  CHECK(fd >= 0);
  for (i = 0; i < 2; ++i) {
    OK(tern_model_load_descriptor(context, fd, 128, bytes, i ? &copy : NULL, &model));
    run_once(model);
    tern_model_release(model);
    model = NULL;
  }
  CHECK(tern_model_load_descriptor(context, fd, 128, 0, NULL, &model) == TERN_ERR_CORRUPT); /* "end" is no part of it */
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_load_descriptor(context, fd, 100, bytes, NULL, &model));
  CHECK(tern_model_load_descriptor(context, fd, 1 << 30, 100, &copy, &model) != TERN_OK);
  OK(tern_model_load_descriptor(context, fd, 128, bytes, NULL, &model));
  close(fd); /* no longer needed */
  run_once(model);
  tern_model_release(model);
  model = NULL;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_load_descriptor(context, -1, 0, 0, NULL, &model));
  CHECK(tern_model_load_descriptor(context, 9999, 0, 0, NULL, &model) != TERN_OK);
  CHECK(model == NULL);
  remove(file_in_folder("package.bin"));
  tern_context_release(context);
}

static void devices(void) {
  tern_context* context = NULL;
  tern_device_info info = TERN_DEVICE_INFO_INIT;
  NEED(tern_context_create(NULL, &context));
  CHECK(tern_context_num_devices(context) >= 1);
  OK(tern_context_get_device(context, 0, &info));
  CHECK(strcmp(info.backend, "cpu") == 0 && info.available == 1 && info.device[0] && !info.reason[0]);
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_get_device(context, -1, &info));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_get_device(context, tern_context_num_devices(context), &info));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_get_device(context, 0, NULL));
  info.struct_size = 8;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_context_get_device(context, 0, &info));
  CHECK(info.struct_size == 8);
  tern_context_release(context);
}

static void version_and_names(void) {
  tern_error error = TERN_ERROR_INIT;
  tern_context* context = NULL;
  tern_model* model = NULL;
  CHECK(tern_version() == TERN_VERSION_MAJOR * 10000 + TERN_VERSION_MINOR * 100 + TERN_VERSION_PATCH);
  CHECK(strcmp(tern_status_name(TERN_ERR_SHAPE), "TERN_ERR_SHAPE") == 0);
  CHECK(strcmp(tern_status_name(99), "TERN_ERR_?") == 0);
  CHECK(strcmp(tern_dtype_name(TERN_DTYPE_BF16), "bf16") == 0 && strcmp(tern_dtype_name(-1), "?") == 0 &&
        strcmp(tern_dtype_name(1 << 30), "?") == 0);
  CHECK(tern_dtype_size(TERN_DTYPE_I64) == 8 && tern_dtype_size(0) == 0 && tern_dtype_size(99) == 0);
  NEED(tern_context_create(NULL, &context));
  FAILS(TERN_ERR_NOT_FOUND, tern_model_load_file(context, "/no/such/file.tern", NULL, &model));
  CHECK(tern_last_error(&error) == TERN_OK && error.code == TERN_ERR_NOT_FOUND &&
        strstr(error.message, "/no/such/file.tern"));
  CHECK(error.struct_size == sizeof error);
  CHECK(tern_last_error(NULL) == TERN_ERR_INVALID_ARGUMENT);
  error.struct_size = 4;
  CHECK(tern_last_error(&error) == TERN_ERR_INVALID_ARGUMENT);
  CHECK(says("/no/such/file.tern")); /* asking changes nothing */
  tern_context_release(context);
}

MAIN_BEGIN
releases_in_any_order();
nothing_is_released_twice();
options_of_other_versions();
models_from_anywhere();
devices();
version_and_names();
MAIN_END("lifecycle")
