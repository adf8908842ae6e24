/* SPDX-License-Identifier: Apache-2.0 */
/* What a model tells about itself, limits, and files that are none. */
#include "check.h"

static void signatures_and_tensors(const tern_model* m) {
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  int32_t index = -7;
  int64_t nodes = 0, operators = 0;
  CHECK(tern_model_num_signatures(m) == 3);
  CHECK(strcmp(tern_model_signature_name(m, 0), "forward") == 0 && !tern_model_signature_name(m, 3) &&
        !tern_model_signature_name(m, -1));
  OK(tern_model_find_signature(m, "look_up", &index));
  CHECK(index == 1);
  FAILS(TERN_ERR_NOT_FOUND, tern_model_find_signature(m, "backward", &index));
  CHECK(index == 1 && says("'forward', 'look_up', 'scale'"));

  CHECK(tern_model_num_tensors(m, 0, TERN_ROLE_INPUT) == 1 && tern_model_num_tensors(m, 0, TERN_ROLE_OUTPUT) == 2);
  CHECK(tern_model_num_tensors(m, -5, TERN_ROLE_PARAMETER) == 4 && tern_model_num_tensors(m, 0, TERN_ROLE_STATE) == 0);
  CHECK(tern_model_num_tensors(m, 3, TERN_ROLE_INPUT) == -1 && tern_model_num_tensors(m, 0, 4) == -1 &&
        tern_model_num_tensors(m, 0, -1) == -1);

  OK(tern_model_get_tensor(m, 0, TERN_ROLE_INPUT, 0, &info));
  CHECK(info.dtype == TERN_DTYPE_F32 && info.rank == 2 && !info.is_scalar && strcmp(info.name, "x") == 0);
  CHECK(info.dims[0] == -1 && info.min_dims[0] == 1 && info.max_dims[0] == 64 && info.step_dims[0] == 1 &&
        info.sizes == NULL);
  CHECK(info.dims[1] == 16 && info.min_dims[1] == 16 && info.max_dims[1] == 16);
  OK(tern_model_get_tensor(m, 0, TERN_ROLE_OUTPUT, 0, &info));
  CHECK(strcmp(info.name, "y") == 0 && info.dims[0] == -1 && info.dims[1] == 8);
  CHECK(info.sizes && strcmp(info.sizes, "batch, 8") == 0);
  OK(tern_model_get_tensor(m, 2, TERN_ROLE_INPUT, 1, &info));
  CHECK(info.is_scalar == 1 && info.rank == 0 && info.dtype == TERN_DTYPE_I64 && strcmp(info.name, "factor") == 0);
  OK(tern_model_get_tensor(m, 0, TERN_ROLE_PARAMETER, 0, &info));
  CHECK(strcmp(info.encoding, "panel32") == 0 && info.bytes == 32 * 16 * 4 && info.dims[0] == 32);

  OK(tern_model_find_tensor(m, 0, TERN_ROLE_OUTPUT, "hidden", &index));
  CHECK(index == 1);
  OK(tern_model_find_tensor(m, 0, TERN_ROLE_PARAMETER, "table", &index));
  CHECK(index == 3);
  FAILS(TERN_ERR_NOT_FOUND, tern_model_find_tensor(m, 0, TERN_ROLE_INPUT, "y", &index));
  CHECK(index == 3 && says("'x'"));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_find_tensor(m, 9, TERN_ROLE_INPUT, "y", &index));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_find_tensor(m, 0, 9, "y", &index));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_find_tensor(m, 0, TERN_ROLE_INPUT, NULL, &index));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_find_tensor(m, 0, TERN_ROLE_INPUT, "x", NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_find_tensor(NULL, 0, TERN_ROLE_INPUT, "x", &index));

  memset(&info, 0x55, sizeof info);
  info.struct_size = (uint32_t)sizeof info;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_get_tensor(m, 0, TERN_ROLE_INPUT, 1, &info));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_get_tensor(m, 0, TERN_ROLE_INPUT, -1, &info));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_get_tensor(m, 5, TERN_ROLE_INPUT, 0, &info));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_get_tensor(m, 0, 17, 0, &info));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_get_tensor(NULL, 0, TERN_ROLE_INPUT, 0, &info));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_get_tensor(m, 0, TERN_ROLE_INPUT, 0, NULL));
  CHECK(info.rank == 0x55555555);

  OK(tern_model_count_nodes(m, 0, &nodes, &operators));
  CHECK(nodes == 4 && operators == 3);
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_count_nodes(m, 7, &nodes, &operators));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_count_nodes(m, 0, NULL, &operators));
  OK(tern_model_check_weights(m));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_check_weights(NULL));
}

static void metadata(const tern_model* m) {
  const char *key = NULL, *value = NULL;
  CHECK(tern_model_num_metadata(m) == 3);
  OK(tern_model_get_metadata(m, 0, &key, &value));
  CHECK(key && value && tern_model_find_metadata(m, key) == value);
  CHECK(strcmp(tern_model_find_metadata(m, "author"), "J\xC3\xBCrgen \xE7\x8A\xAC") == 0);
  CHECK(strcmp(tern_model_find_metadata(m, "empty"), "") == 0 && !tern_model_find_metadata(m, "nobody") &&
        !tern_model_find_metadata(m, NULL));
  key = value = NULL;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_get_metadata(m, 3, &key, &value));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_get_metadata(m, -1, &key, &value));
  CHECK(!key && !value);
}

static void states_of(tern_context* context) {
  tern_model* m = load(context, "counter.tern");
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  CHECK(tern_model_num_tensors(m, 0, TERN_ROLE_STATE) == 2);
  OK(tern_model_get_tensor(m, 0, TERN_ROLE_STATE, 0, &info));
  CHECK(strcmp(info.name, "cache") == 0 && info.bytes == 256 && info.rank == 2);
  OK(tern_model_get_tensor(m, 0, TERN_ROLE_INPUT, 1, &info));
  CHECK(info.is_scalar == 2); /* the session's own */
  tern_model_release(m);
}

static void limits(tern_context* context) {
  tern_limits l = TERN_LIMITS_INIT;
  tern_load_options o = TERN_LOAD_OPTIONS_INIT;
  tern_model* m = NULL;
  o.limits = &l;
  l.max_nodes = 2;
  FAILS(TERN_ERR_LIMIT, tern_model_load_file(context, file_in_folder("small.tern"), &o, &m));
  l.max_nodes = 0;
  l.max_file_bytes = 100;
  FAILS(TERN_ERR_LIMIT, tern_model_load_file(context, file_in_folder("small.tern"), &o, &m));
  l.max_file_bytes = 0;
  l.max_metadata_bytes = 64;
  FAILS(TERN_ERR_LIMIT, tern_model_load_file(context, file_in_folder("small.tern"), &o, &m));
  l.max_metadata_bytes = 0;
  l.struct_size = 12;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_load_file(context, file_in_folder("small.tern"), &o, &m));
  OK(tern_limits_init(&l, sizeof l));
  o.flags = 128;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_load_file(context, file_in_folder("small.tern"), &o, &m));
  CHECK(says("0x80"));
  OK(tern_load_options_init(&o, sizeof o));
  CHECK(o.flags == 0 && o.limits == NULL);
  CHECK(m == NULL);
}

static void other_files(tern_context* context) {
  tern_model* m = NULL;
  FILE* f;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_load_file(NULL, "x", NULL, &m));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_load_file(context, NULL, NULL, &m));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_load_file(context, "x", NULL, NULL));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_model_load_memory(context, NULL, 64, NULL, &m));
  FAILS(TERN_ERR_NOT_FOUND, tern_model_load_file(context, file_in_folder("none.tern"), NULL, &m));
  CHECK(says("none.tern"));
  CHECK(tern_model_load_file(context, check_folder, NULL, &m) == TERN_ERR_IO); /* a folder */
  f = fopen(file_in_folder("other.tern"), "wb");
  CHECK(f != NULL);
  fclose(f);
  FAILS(TERN_ERR_CORRUPT, tern_model_load_file(context, file_in_folder("other.tern"), NULL, &m)); /* empty */
  f = fopen(file_in_folder("other.tern"), "wb");
  fputs("\x89PNG is something else, of more than 64 bytes, which is the size of a header", f);
  fclose(f);
  FAILS(TERN_ERR_CORRUPT, tern_model_load_file(context, file_in_folder("other.tern"), NULL, &m));
  remove(file_in_folder("other.tern"));
  CHECK(m == NULL);
}

MAIN_BEGIN
tern_context* context = NULL;
tern_model* model;
NEED(tern_context_create(NULL, &context));
model = load(context, "small.tern");
signatures_and_tensors(model);
metadata(model);
states_of(context);
limits(context);
other_files(context);
CHECK(tern_model_num_signatures(NULL) == 0 && tern_model_num_tensors(NULL, 0, 0) == -1 &&
      tern_model_num_metadata(NULL) == 0);
tern_model_release(model);
tern_context_release(context);
MAIN_END("model")
