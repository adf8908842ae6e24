/* SPDX-License-Identifier: Apache-2.0 */
/* Every function of the ABI with every wrong argument:  arguments_test FOLDER SYMBOLS
 *
 * A table says what each argument is. From it follow the calls: NULL for each pointer that is needed, numbers out of
 * range, structs of other versions. Each must be refused with a text, and leave every output as it was. SYMBOLS is the
 * list of what the library exports: a function that no table has fails the test. */
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "check.h"

enum { END, HANDLE, OPTIONAL, OUTPUT, STRUCT, OPTIONS, RESULT, NUMBER };
typedef struct argument {
  /* HANDLE: a pointer that must not be NULL. STRUCT, OPTIONS (may be NULL), RESULT: begin with struct_size */
  int kind;
  const void* pointer; /* a good value */
  int64_t number;      /* a good NUMBER; bytes of OUTPUT, STRUCT, OPTIONS and RESULT */
  int64_t bad[6];      /* of a NUMBER */
  int num_bad;
} argument;
typedef union value {
  void* p;
  int64_t n;
} value;
typedef struct function {
  const char* name;
  tern_status (*call)(value* a);
  argument arguments[11]; /* and END */
  void (*release)(void*); /* of what the last OUTPUT holds after a call that succeeds */
} function;

#define H(pointer) \
  { HANDLE, pointer, 0, {0}, 0 }
#define O(pointer) \
  { OPTIONAL, pointer, 0, {0}, 0 }
#define W(bytes) \
  { OUTPUT, NULL, bytes, {0}, 0 }
#define S(init) \
  { STRUCT, &init, sizeof init, {0}, 0 }
#define SO(init) \
  { OPTIONS, &init, sizeof init, {0}, 0 }
#define R(init) \
  { RESULT, &init, sizeof init, {0}, 0 }
#define N(good, count, ...) \
  { NUMBER, NULL, good, {__VA_ARGS__}, count }

static tern_context* context;
static tern_model *sequences, *small, *counter, *spots, *points, *language;
static tern_generator *generator, *guesser;
static const int32_t tokens[3] = {1, 5, 7};
static const float bias[3] = {1, 0, -1};
static const char rules[] = "root ::= [ab]+";
static tern_session *session, *counting, *several;
static tern_state *state, *states[3]; /* of several; the last is NULL */
static const int64_t counts[3] = {1, 1, 0};
static tern_parameters* parameters;
static tern_tensor *x, *row, *cache;
static tern_vision *detector, *pose;
static tern_model* words;
static tern_tokenizer *tokenizer, *trained;
static tern_detokenizer* detokenizer;
static tern_chat* chat;
static tern_chat_message chat_message = TERN_CHAT_MESSAGE_INIT;
static tern_data *data, *pictures;
static tern_model* step_model;
static tern_trainer* trainer;
static const char* more;
static const char* const field_names[] = {"x", "y"};
static const tern_tensor* field_arrays[2];
static const char *npy_paths[1], *text_paths[1];
static const char *npy_path, *text_path, *records_path;
static const char* const stops[] = {"x", "yz"};
static const int32_t ids[2] = {257, 10};
static const char tokenizer_json[] =
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}";
static tern_tracker* tracker;
static tern_camera_motion* motion;
static const tern_detection box = {1, 1, 9, 9, 0.5f, 0};
static unsigned char saved[1024];
static uint64_t saved_bytes;
static tern_track_frame track_frame = TERN_TRACK_FRAME_INIT;
static const tern_tensor *inputs[2], *rows[3];
static const int64_t dims[2] = {2, 16};
static float memory[32];
static void* file_data;
static uint8_t pixels[64 * 64 * 3];
static tern_picture picture = TERN_PICTURE_INIT;

/* ---- the calls ---- */

#define CALL(name, expression) \
  static tern_status name(value* a) { return expression; }
#define I32(i) ((int32_t)a[i].n)
CALL(cancel_create, tern_cancel_create((tern_cancel**)a[0].p))
CALL(context_options_init, tern_context_options_init((tern_context_options*)a[0].p, (size_t)a[1].n))
CALL(limits_init, tern_limits_init((tern_limits*)a[0].p, (size_t)a[1].n))
CALL(load_options_init, tern_load_options_init((tern_load_options*)a[0].p, (size_t)a[1].n))
CALL(session_options_init, tern_session_options_init((tern_session_options*)a[0].p, (size_t)a[1].n))
CALL(run_options_init, tern_run_options_init((tern_run_options*)a[0].p, (size_t)a[1].n))
CALL(context_create, tern_context_create((tern_context_options*)a[0].p, (tern_context**)a[1].p))
CALL(context_get_device, tern_context_get_device((tern_context*)a[0].p, I32(1), (tern_device_info*)a[2].p))
CALL(last_error, tern_last_error((tern_error*)a[0].p))
CALL(load_file,
     tern_model_load_file((tern_context*)a[0].p, (const char*)a[1].p, (tern_load_options*)a[2].p, (tern_model**)a[3].p))
CALL(load_memory, tern_model_load_memory((tern_context*)a[0].p, a[1].p, (size_t)a[2].n, (tern_load_options*)a[3].p,
                                         (tern_model**)a[4].p))
CALL(load_descriptor, tern_model_load_descriptor((tern_context*)a[0].p, I32(1), (uint64_t)a[2].n, (uint64_t)a[3].n,
                                                 (tern_load_options*)a[4].p, (tern_model**)a[5].p))
CALL(check_weights, tern_model_check_weights((tern_model*)a[0].p))
CALL(count_nodes, tern_model_count_nodes((tern_model*)a[0].p, I32(1), (int64_t*)a[2].p, (int64_t*)a[3].p))
CALL(find_signature, tern_model_find_signature((tern_model*)a[0].p, (const char*)a[1].p, (int32_t*)a[2].p))
CALL(get_tensor, tern_model_get_tensor((tern_model*)a[0].p, I32(1), I32(2), I32(3), (tern_tensor_info*)a[4].p))
CALL(find_tensor, tern_model_find_tensor((tern_model*)a[0].p, I32(1), I32(2), (const char*)a[3].p, (int32_t*)a[4].p))
CALL(get_metadata, tern_model_get_metadata((tern_model*)a[0].p, I32(1), (const char**)a[2].p, (const char**)a[3].p))
CALL(parameters_create, tern_parameters_create((tern_model*)a[0].p, (tern_parameters**)a[1].p))
CALL(parameters_get, tern_parameters_get((tern_parameters*)a[0].p, (const char*)a[1].p, (tern_tensor**)a[2].p))
CALL(parameters_set, tern_parameters_set((tern_parameters*)a[0].p, (const char*)a[1].p, (tern_tensor*)a[2].p))
CALL(state_create, tern_state_create((tern_model*)a[0].p, (tern_state**)a[1].p))
CALL(state_fork, tern_state_fork((tern_state*)a[0].p, (tern_state**)a[1].p))
CALL(state_truncate, tern_state_truncate((tern_state*)a[0].p, a[1].n))
CALL(state_get, tern_state_get((tern_state*)a[0].p, (const char*)a[1].p, (tern_tensor**)a[2].p))
CALL(state_set, tern_state_set((tern_state*)a[0].p, (const char*)a[1].p, (tern_tensor*)a[2].p))
CALL(state_save, tern_state_save((tern_state*)a[0].p, (const char*)a[1].p))
CALL(state_load, tern_state_load((tern_state*)a[0].p, (const char*)a[1].p))
CALL(session_create, tern_session_create((tern_model*)a[0].p, (tern_session_options*)a[1].p, (tern_session**)a[2].p))
CALL(set_state, tern_session_set_state((tern_session*)a[0].p, (tern_state*)a[1].p))
CALL(session_run, tern_session_run((tern_session*)a[0].p, I32(1), (const tern_tensor* const*)a[2].p, I32(3),
                                   (const tern_tensor**)a[4].p, I32(5), (tern_run_options*)a[6].p))
CALL(run_sequences, tern_session_run_sequences((tern_session*)a[0].p, I32(1), (tern_state* const*)a[2].p,
                                               (const int64_t*)a[3].p, I32(4), (const tern_tensor* const*)a[5].p,
                                               I32(6), (const tern_tensor**)a[7].p, I32(8), (tern_run_options*)a[9].p))
CALL(run_bound, tern_session_run_bound((tern_session*)a[0].p, I32(1), (tern_run_options*)a[2].p))
CALL(bind_input, tern_session_bind_input((tern_session*)a[0].p, I32(1), I32(2), (tern_tensor*)a[3].p))
CALL(bind_output, tern_session_bind_output((tern_session*)a[0].p, I32(1), I32(2), (tern_tensor*)a[3].p))
CALL(prepare, tern_session_prepare((tern_session*)a[0].p, I32(1), (const int64_t*)a[2].p, I32(3)))
CALL(session_memory, tern_session_memory((tern_session*)a[0].p, (tern_memory_report*)a[1].p))
CALL(get_placement, tern_session_get_placement((tern_session*)a[0].p, I32(1), I32(2), (tern_placement*)a[3].p))
CALL(get_intermediate, tern_session_get_intermediate((tern_session*)a[0].p, I32(1), I32(2), (tern_intermediate*)a[3].p))
CALL(write_profile, tern_session_write_profile((tern_session*)a[0].p, (const char*)a[1].p))
CALL(generator_options_init, tern_generator_options_init((tern_generator_options*)a[0].p, (size_t)a[1].n))
CALL(generator_create,
     tern_generator_create((tern_model*)a[0].p, (tern_generator_options*)a[1].p, (tern_generator**)a[2].p))
CALL(generator_feed,
     tern_generator_feed((tern_generator*)a[0].p, (const int32_t*)a[1].p, a[2].n, (tern_run_options*)a[3].p))
CALL(generator_next, tern_generator_next((tern_generator*)a[0].p, (int32_t*)a[1].p, (tern_run_options*)a[2].p))
CALL(generator_logits, tern_generator_logits((tern_generator*)a[0].p, (const float**)a[1].p, (tern_run_options*)a[2].p))
CALL(generator_truncate, tern_generator_truncate((tern_generator*)a[0].p, a[1].n))
CALL(generator_set_grammar, tern_generator_set_grammar((tern_generator*)a[0].p, (const tern_tokenizer*)a[1].p, I32(2),
                                                       (const char*)a[3].p, (size_t)a[4].n, a[5].n))
CALL(generator_set_bias,
     tern_generator_set_bias((tern_generator*)a[0].p, (const int32_t*)a[1].p, (const float*)a[2].p, a[3].n))
CALL(generator_set_draft, tern_generator_set_draft((tern_generator*)a[0].p, (tern_generator*)a[1].p))
CALL(generator_guesses, tern_generator_guesses((tern_generator*)a[0].p, (int64_t*)a[1].p, (int64_t*)a[2].p))
CALL(generator_log_probabilities, tern_generator_log_probabilities((tern_generator*)a[0].p, (const int32_t**)a[1].p,
                                                                   (const float**)a[2].p, (int64_t*)a[3].p))
CALL(generator_fork,
     tern_generator_fork((tern_generator*)a[0].p, (const tern_generator_options*)a[1].p, (tern_generator**)a[2].p))
CALL(generator_next_batch, tern_generator_next_batch((tern_generator* const*)a[0].p, I32(1), (int32_t*)a[2].p,
                                                     (int32_t*)a[3].p, (const tern_run_options*)a[4].p))
CALL(generator_save,
     tern_generator_save((tern_generator*)a[0].p, (const char*)a[1].p, (const void*)a[2].p, (size_t)a[3].n))
CALL(generator_load,
     tern_generator_load((tern_generator*)a[0].p, (const char*)a[1].p, (const void**)a[2].p, (size_t*)a[3].p))
CALL(generator_set_sampler, tern_generator_set_sampler((tern_generator*)a[0].p, (const tern_generator_options*)a[1].p))
CALL(generator_get_tokens,
     tern_generator_get_tokens((tern_generator*)a[0].p, (int32_t*)a[1].p, a[2].n, (int64_t*)a[3].p))
CALL(tensor_create,
     tern_tensor_create((tern_context*)a[0].p, I32(1), (const int64_t*)a[2].p, I32(3), (tern_tensor**)a[4].p))
CALL(tensor_wrap, tern_tensor_wrap((tern_context*)a[0].p, I32(1), (const int64_t*)a[2].p, I32(3), a[4].p,
                                   (size_t)a[5].n, NULL, a[6].p, (tern_tensor**)a[7].p))
CALL(tensor_view, tern_tensor_view((tern_tensor*)a[0].p, a[1].n, a[2].n, (tern_tensor**)a[3].p))
CALL(tensor_reshape, tern_tensor_reshape((tern_tensor*)a[0].p, (const int64_t*)a[1].p, I32(2), (tern_tensor**)a[3].p))
CALL(vision_options_init, tern_vision_options_init((tern_vision_options*)a[0].p, (size_t)a[1].n))
CALL(vision_create,
     tern_vision_create((tern_model* const*)a[0].p, I32(1), (tern_vision_options*)a[2].p, (tern_vision**)a[3].p))
CALL(vision_run, tern_vision_run((tern_vision*)a[0].p, (tern_picture*)a[1].p, I32(2), (tern_run_options*)a[3].p,
                                 (const tern_vision_result**)a[4].p))
CALL(vision_reset, tern_vision_reset((tern_vision*)a[0].p))
CALL(vision_skeleton, tern_vision_skeleton((tern_vision*)a[0].p, (const int32_t**)a[1].p, (int32_t*)a[2].p))
CALL(tracker_create, tern_tracker_create((tern_tracker_options*)a[0].p, (tern_tracker**)a[1].p))
CALL(tracker_update, tern_tracker_update((tern_tracker*)a[0].p, (tern_track_frame*)a[1].p, (tern_track*)a[2].p, I32(3),
                                         (int32_t*)a[4].p))
CALL(tracker_reset, tern_tracker_reset((tern_tracker*)a[0].p))
CALL(tracker_save, tern_tracker_save((tern_tracker*)a[0].p, a[1].p, (uint64_t)a[2].n, (uint64_t*)a[3].p))
CALL(tracker_load, tern_tracker_load((tern_tracker*)a[0].p, a[1].p, (uint64_t)a[2].n))
CALL(camera_motion_create, tern_camera_motion_create((tern_camera_motion_options*)a[0].p, (tern_camera_motion**)a[1].p))
CALL(camera_motion_update, tern_camera_motion_update((tern_camera_motion*)a[0].p, (tern_picture*)a[1].p,
                                                     (tern_detection*)a[2].p, I32(3), (float*)a[4].p, (int32_t*)a[5].p))
CALL(camera_motion_reset, tern_camera_motion_reset((tern_camera_motion*)a[0].p))
CALL(tokenizer_create, tern_tokenizer_create(a[0].p, (size_t)a[1].n, (tern_tokenizer**)a[2].p))
CALL(tokenizer_create_from_model, tern_tokenizer_create_from_model((tern_model*)a[0].p, (tern_tokenizer**)a[1].p))
CALL(tokenizer_encode, tern_tokenizer_encode((tern_tokenizer*)a[0].p, (const char*)a[1].p, (size_t)a[2].n,
                                             (uint32_t)a[3].n, (int32_t*)a[4].p, (size_t)a[5].n, (size_t*)a[6].p))
CALL(tokenizer_decode, tern_tokenizer_decode((tern_tokenizer*)a[0].p, (const int32_t*)a[1].p, (size_t)a[2].n,
                                             (uint32_t)a[3].n, (char*)a[4].p, (size_t)a[5].n, (size_t*)a[6].p))
CALL(tokenizer_get_token, tern_tokenizer_get_token((tern_tokenizer*)a[0].p, I32(1), (tern_token_info*)a[2].p))
CALL(tokenizer_find_token,
     tern_tokenizer_find_token((tern_tokenizer*)a[0].p, (const char*)a[1].p, (size_t)a[2].n, (int32_t*)a[3].p))
CALL(detokenizer_create, tern_detokenizer_create((tern_tokenizer*)a[0].p, (uint32_t)a[1].n, (tern_detokenizer**)a[2].p))
CALL(detokenizer_add, tern_detokenizer_add((tern_detokenizer*)a[0].p, I32(1), (const char**)a[2].p, (size_t*)a[3].p))
CALL(detokenizer_end, tern_detokenizer_end((tern_detokenizer*)a[0].p, (const char**)a[1].p, (size_t*)a[2].p))
CALL(detokenizer_set_stops,
     tern_detokenizer_set_stops((tern_detokenizer*)a[0].p, (const char* const*)a[1].p, (size_t)a[2].n))
CALL(chat_options_init, tern_chat_options_init((tern_chat_options*)a[0].p, (size_t)a[1].n))
CALL(chat_create,
     tern_chat_create((tern_tokenizer*)a[0].p, (const char*)a[1].p, (tern_chat_options*)a[2].p, (tern_chat**)a[3].p))
CALL(chat_encode, tern_chat_encode((tern_chat*)a[0].p, (tern_chat_message*)a[1].p, (size_t)a[2].n, (size_t)a[3].n,
                                   (uint32_t)a[4].n, (int32_t*)a[5].p, (size_t)a[6].n, (size_t*)a[7].p))
CALL(chat_get_ends, tern_chat_get_ends((tern_chat*)a[0].p, (const int32_t**)a[1].p, (size_t*)a[2].p))

CALL(load_npy, tern_tensor_load_npy((tern_context*)a[0].p, (const char*)a[1].p, (tern_tensor**)a[2].p))
CALL(data_options_init, tern_data_options_init((tern_data_options*)a[0].p, (size_t)a[1].n))
CALL(data_create_arrays,
     tern_data_create_arrays((tern_context*)a[0].p, (const char* const*)a[1].p, (const tern_tensor* const*)a[2].p,
                             I32(3), (const tern_data_options*)a[4].p, (tern_data**)a[5].p))
CALL(data_open_npy, tern_data_open_npy((tern_context*)a[0].p, (const char* const*)a[1].p, (const char* const*)a[2].p,
                                       I32(3), (const tern_data_options*)a[4].p, (tern_data**)a[5].p))
CALL(data_open_text, tern_data_open_text((tern_context*)a[0].p, (const char*)a[1].p, (const tern_tokenizer*)a[2].p,
                                         (const tern_data_options*)a[3].p, (tern_data**)a[4].p))
CALL(data_open_jsonl, tern_data_open_jsonl((tern_context*)a[0].p, (const char*)a[1].p, (const tern_tokenizer*)a[2].p,
                                           (const tern_data_options*)a[3].p, (tern_data**)a[4].p))
/* One result more than the table releases. */
static tern_status data_split(value* a) {
  tern_data* train = NULL;
  const tern_status s = tern_data_split((const tern_data*)a[0].p, 0.5, 0, a[1].p ? &train : NULL, (tern_data**)a[2].p);
  tern_data_release(train);
  return s;
}
CALL(data_get_field, tern_data_get_field((const tern_data*)a[0].p, I32(1), (tern_data_field*)a[2].p))
CALL(data_next, tern_data_next((tern_data*)a[0].p, a[1].n, (const tern_tensor**)a[2].p, I32(3)))
CALL(data_get,
     tern_data_get((const tern_data*)a[0].p, a[1].n, a[2].n, (const tern_tensor**)a[3].p, I32(4), (int64_t*)a[5].p))
CALL(data_seek, tern_data_seek((tern_data*)a[0].p, a[1].n))
CALL(augmentation_options_init, tern_augmentation_options_init((tern_augmentation_options*)a[0].p, (size_t)a[1].n))
CALL(data_set_augmentation, tern_data_set_augmentation((tern_data*)a[0].p, (const tern_augmentation_options*)a[1].p))
CALL(tokenizer_train_options_init,
     tern_tokenizer_train_options_init((tern_tokenizer_train_options*)a[0].p, (size_t)a[1].n))
CALL(tokenizer_train, tern_tokenizer_train((const char*)a[0].p, (size_t)a[1].n, I32(2),
                                           (const tern_tokenizer_train_options*)a[3].p, (tern_tokenizer**)a[4].p))
CALL(tokenizer_train_files,
     tern_tokenizer_train_files((const char* const*)a[0].p, I32(1), I32(2), (const tern_tokenizer_train_options*)a[3].p,
                                (tern_tokenizer**)a[4].p))
CALL(tokenizer_save, tern_tokenizer_save((const tern_tokenizer*)a[0].p, (const char*)a[1].p))

/* An error of a graph stays: each call has one of its own, with these values. */
static tern_value graph_x, graph_w, graph_loss, graph_values[2], gradients[2];
static tern_graph* new_graph(const void* wanted) {
  tern_graph* g = NULL;
  tern_value product;
  if (!wanted) return NULL;
  NEED(tern_graph_create(context, &g));
  OK(tern_graph_begin(g, "step"));
  graph_x = graph_values[0] = tern_graph_input(g, "x", TERN_DTYPE_F32, dims, 2);
  graph_w = graph_values[1] = tern_graph_parameter(g, "w", x);
  product = tern_graph_op(g, "mul", NULL, graph_values, 2);
  graph_loss = tern_graph_op(g, "reduce_mean", NULL, &product, 1);
  OK(tern_graph_output(g, "loss", graph_loss));
  return g;
}
static tern_status code_of(int32_t value_or_count) {
  tern_error e = TERN_ERROR_INIT;
  if (value_or_count >= 0) return TERN_OK;
  OK(tern_last_error(&e));
  return e.code;
}
#define GRAPH_CALL(name, expression)       \
  static tern_status name(value* a) {      \
    tern_graph* g = new_graph(a[0].p);     \
    const tern_status status = expression; \
    tern_graph_release(g);                 \
    return status;                         \
  }
#define VALUE_CALL(name, expression) GRAPH_CALL(name, code_of(expression))
CALL(call_options_init, tern_call_options_init((tern_call_options*)a[0].p, (size_t)a[1].n))
CALL(graph_create, tern_graph_create((tern_context*)a[0].p, (tern_graph**)a[1].p))
GRAPH_CALL(graph_begin, tern_graph_begin(g, (const char*)a[1].p))
VALUE_CALL(graph_input, tern_graph_input(g, (const char*)a[1].p, I32(2), (const int64_t*)a[3].p, I32(4)))
VALUE_CALL(graph_scalar, tern_graph_scalar(g, (const char*)a[1].p))
VALUE_CALL(graph_parameter, tern_graph_parameter(g, (const char*)a[1].p, (const tern_tensor*)a[2].p))
VALUE_CALL(graph_state, tern_graph_state(g, (const char*)a[1].p, I32(2), (const int64_t*)a[3].p, I32(4)))
VALUE_CALL(graph_state_like, tern_graph_state_like(g, (const char*)a[1].p, I32(2)))
VALUE_CALL(graph_constant, tern_graph_constant(g, (const tern_tensor*)a[1].p))
VALUE_CALL(graph_number, tern_graph_number(g, 0.5))
VALUE_CALL(graph_op, tern_graph_op(g, (const char*)a[1].p, (const char*)a[2].p, (const tern_value*)a[3].p, I32(4)))
VALUE_CALL(graph_result, tern_graph_result(g, I32(1), I32(2)))
VALUE_CALL(graph_call, tern_graph_call(g, (const char*)a[1].p, (const tern_model*)a[2].p, (const char*)a[3].p,
                                       (const tern_value*)a[4].p, I32(5), (const tern_call_options*)a[6].p))
VALUE_CALL(graph_find, tern_graph_find(g, (const char*)a[1].p))
VALUE_CALL(graph_list, tern_graph_list(g, (const char*)a[1].p, (tern_value*)a[2].p, I32(3)))
GRAPH_CALL(graph_get, tern_graph_get(g, I32(1), (tern_tensor_info*)a[2].p))
GRAPH_CALL(graph_gradient, tern_graph_gradient(g, I32(1), (const tern_value*)a[2].p, I32(3), (tern_value*)a[4].p))
GRAPH_CALL(graph_write, tern_graph_write(g, I32(1), I32(2)))
GRAPH_CALL(graph_output, tern_graph_output(g, (const char*)a[1].p, I32(2)))
GRAPH_CALL(graph_finish, tern_graph_finish(g, (tern_model**)a[1].p))
CALL(model_edit, tern_model_edit((const tern_model*)a[0].p, (const char*)a[1].p, (const char*)a[2].p,
                                 (const char*)a[3].p, (tern_model**)a[4].p))
CALL(model_save, tern_model_save((const tern_model*)a[0].p, (const char*)a[1].p))
CALL(parameters_save, tern_parameters_save((const tern_parameters*)a[0].p, (const char*)a[1].p, (const char*)a[2].p))
CALL(parameters_load, tern_parameters_load((tern_parameters*)a[0].p, (const char*)a[1].p))
CALL(trainer_options_init, tern_trainer_options_init((tern_trainer_options*)a[0].p, (size_t)a[1].n))
CALL(trainer_create,
     tern_trainer_create((const tern_model*)a[0].p, (const tern_trainer_options*)a[1].p, (tern_trainer**)a[2].p))
CALL(trainer_get_memory, tern_trainer_get_memory((const tern_trainer*)a[0].p, (tern_trainer_memory*)a[1].p))
CALL(trainer_step, tern_trainer_step((tern_trainer*)a[0].p, (const tern_tensor* const*)a[1].p, I32(2),
                                     (const tern_run_options*)a[3].p))
CALL(trainer_get_metric,
     tern_trainer_get_metric((const tern_trainer*)a[0].p, I32(1), (const char**)a[2].p, (double*)a[3].p))
CALL(trainer_run, tern_trainer_run((tern_trainer*)a[0].p, I32(1), (const tern_tensor* const*)a[2].p, I32(3),
                                   (const tern_tensor**)a[4].p, I32(5), (const tern_run_options*)a[6].p))
CALL(trainer_save, tern_trainer_save((const tern_trainer*)a[0].p, (const char*)a[1].p, (const char*)a[2].p))
CALL(trainer_load, tern_trainer_load((tern_trainer*)a[0].p, (const char*)a[1].p, (const char**)a[2].p))
CALL(trainer_export, tern_trainer_export((const tern_trainer*)a[0].p, (const tern_model*)a[1].p, (const char*)a[2].p,
                                         (const char*)a[3].p))

#define RELEASE(type) \
  static void release_##type(void* p) { tern_##type##_release((tern_##type*)p); }
RELEASE(cancel)
RELEASE(context)
RELEASE(model)
RELEASE(parameters)
RELEASE(state)
RELEASE(session)
RELEASE(tensor)
RELEASE(generator)
RELEASE(vision)
RELEASE(tracker)
RELEASE(camera_motion)
RELEASE(tokenizer)
RELEASE(detokenizer)
RELEASE(chat)
RELEASE(data)
RELEASE(graph)
RELEASE(trainer)

/* Functions without a status: what they say to NULL and to numbers out of range. */
static void no_status(void) {
  CHECK(tern_version() > 0 && tern_last_error_message() && tern_status_name(12345) && tern_dtype_name(-1) &&
        tern_dtype_size(-1) == 0);
  CHECK(tern_context_num_devices(NULL) <= 0);
  CHECK(tern_model_num_signatures(NULL) <= 0 && !tern_model_signature_name(NULL, 0) &&
        !tern_model_signature_name(small, -1) && !tern_model_signature_name(small, 3));
  CHECK(tern_model_num_tensors(NULL, 0, 0) == -1 && tern_model_num_tensors(small, -1, 0) == -1 &&
        tern_model_num_tensors(small, 3, 1) == -1);
  CHECK(tern_model_num_tensors(small, 0, -1) == -1 && tern_model_num_tensors(small, 0, 4) == -1);
  CHECK(tern_model_num_metadata(NULL) <= 0 && !tern_model_find_metadata(NULL, "name") &&
        !tern_model_find_metadata(small, NULL) && !tern_model_find_metadata(small, ""));
  CHECK(tern_parameters_version(NULL) == 0 && tern_state_length(NULL) == 0 && !tern_session_state(NULL));
  CHECK(tern_session_num_placements(NULL, 0) == -1 && tern_session_num_placements(session, -1) == -1);
  CHECK(tern_session_num_intermediates(NULL, 0) == 0 && tern_session_num_intermediates(session, -1) == 0);
  CHECK(tern_tensor_dtype(NULL) == TERN_DTYPE_NONE && tern_tensor_rank(NULL) == -1 &&
        tern_tensor_num_elements(NULL) == 0 && tern_tensor_bytes(NULL) == 0);
  CHECK(tern_tensor_dim(NULL, 0) == -1 && tern_tensor_dim(x, -1) == -1 && tern_tensor_dim(x, 2) == -1 &&
        !tern_tensor_data(NULL) && !tern_tensor_const_data(NULL));
  CHECK(!tern_vision_label(NULL, 0) && !tern_vision_label(detector, -1) && !tern_vision_label(detector, INT32_MAX));
  CHECK(!tern_vision_keypoint_name(NULL, 0) && !tern_vision_keypoint_name(pose, -1) &&
        !tern_vision_keypoint_name(pose, INT32_MAX));
  CHECK(tern_vision_get_kind(NULL) == -1 && tern_vision_similarity(NULL, NULL, 3) == 0 &&
        tern_vision_similarity(memory, memory, -1) == 0);
  CHECK(tern_tokenizer_num_tokens(NULL) == -1 && tern_tokenizer_get_role(NULL, 0) == -1 &&
        tern_tokenizer_get_role(tokenizer, -1) == -1 && tern_tokenizer_get_role(tokenizer, 4) == -1 &&
        tern_tokenizer_get_role(tokenizer, TERN_TOKEN_ROLE_END) == 260);
  CHECK(tern_data_num_samples(NULL) == -1 && tern_data_num_fields(NULL) == -1 && tern_data_num_skipped(NULL) == 0 &&
        tern_data_num_classes(NULL) == 0 && !tern_data_class_name(NULL, 0) && !tern_data_class_name(data, -1) &&
        !tern_data_class_name(data, INT64_MAX) && tern_data_position(NULL) == -1);
  tern_data_release(NULL);
  CHECK(tern_graph_ops(0) && !tern_graph_ops(-1) && !tern_graph_ops(INT32_MIN) && !tern_graph_ops(INT32_MAX));
  CHECK(tern_trainer_steps(NULL) == 0 && tern_trainer_skipped(NULL) == 0 && !tern_trainer_parameters(NULL));
  tern_graph_release(NULL);
  tern_trainer_release(NULL);
  tern_tokenizer_release(NULL);
  tern_detokenizer_release(NULL);
  CHECK(!tern_chat_template(NULL) && tern_detokenizer_stopped(NULL) == 0 && tern_detokenizer_stopped(detokenizer) == 0);
  tern_chat_release(NULL);
  tern_cancel_release(NULL);
  tern_cancel_reset(NULL);
  tern_cancel_signal(NULL);
  tern_context_release(NULL);
  CHECK(tern_generator_length(NULL) == 0 && tern_generator_vocabulary(NULL) == 0 && tern_generator_capacity(NULL) == 0);
  tern_generator_release(NULL);
  tern_vision_release(NULL);
  tern_model_release(NULL);
  tern_model_retain(NULL);
  tern_parameters_release(NULL);
  tern_parameters_retain(NULL);
  tern_tracker_release(NULL);
  tern_camera_motion_release(NULL);
  tern_session_release(NULL);
  tern_state_release(NULL);
  tern_state_retain(NULL);
  tern_tensor_release(NULL);
  tern_tensor_retain(NULL);
}
static const char* const kNoStatus[] = {"tern_version",
                                        "tern_last_error_message",
                                        "tern_status_name",
                                        "tern_dtype_name",
                                        "tern_dtype_size",
                                        "tern_context_num_devices",
                                        "tern_model_num_signatures",
                                        "tern_model_signature_name",
                                        "tern_model_num_tensors",
                                        "tern_model_num_metadata",
                                        "tern_model_find_metadata",
                                        "tern_parameters_version",
                                        "tern_state_length",
                                        "tern_session_state",
                                        "tern_session_num_placements",
                                        "tern_session_num_intermediates",
                                        "tern_tensor_dtype",
                                        "tern_tensor_rank",
                                        "tern_tensor_num_elements",
                                        "tern_tensor_bytes",
                                        "tern_tensor_dim",
                                        "tern_tensor_data",
                                        "tern_tensor_const_data",
                                        "tern_generator_length",
                                        "tern_generator_vocabulary",
                                        "tern_generator_capacity",
                                        "tern_generator_release",
                                        "tern_vision_label",
                                        "tern_vision_keypoint_name",
                                        "tern_vision_get_kind",
                                        "tern_vision_similarity",
                                        "tern_data_num_samples",
                                        "tern_data_num_fields",
                                        "tern_data_num_skipped",
                                        "tern_data_num_classes",
                                        "tern_data_class_name",
                                        "tern_data_position",
                                        "tern_data_release",
                                        "tern_graph_ops",
                                        "tern_graph_release",
                                        "tern_trainer_steps",
                                        "tern_trainer_skipped",
                                        "tern_trainer_parameters",
                                        "tern_trainer_release",
                                        "tern_tokenizer_num_tokens",
                                        "tern_tokenizer_get_role",
                                        "tern_tokenizer_release",
                                        "tern_detokenizer_release",
                                        "tern_detokenizer_stopped",
                                        "tern_chat_template",
                                        "tern_chat_release",
                                        "tern_cancel_release",
                                        "tern_cancel_reset",
                                        "tern_cancel_signal",
                                        "tern_context_release",
                                        "tern_vision_release",
                                        "tern_model_release",
                                        "tern_model_retain",
                                        "tern_parameters_release",
                                        "tern_parameters_retain",
                                        "tern_tracker_release",
                                        "tern_camera_motion_release",
                                        "tern_session_release",
                                        "tern_state_release",
                                        "tern_state_retain",
                                        "tern_tensor_release",
                                        "tern_tensor_retain"};

/* ---- the table ---- */

static const tern_context_options context_options = TERN_CONTEXT_OPTIONS_INIT;
static const tern_load_options load_options = TERN_LOAD_OPTIONS_INIT;
static const tern_session_options session_options_ = TERN_SESSION_OPTIONS_INIT;
static const tern_run_options run_options = TERN_RUN_OPTIONS_INIT;
static const tern_vision_options vision_options = TERN_VISION_OPTIONS_INIT;
static const tern_generator_options generator_options = TERN_GENERATOR_OPTIONS_INIT;
static tern_chat_options chat_options = TERN_CHAT_OPTIONS_INIT;
static const tern_data_options data_options = TERN_DATA_OPTIONS_INIT;
static const tern_data_field data_field = TERN_DATA_FIELD_INIT;
static const tern_augmentation_options augmentation_options = TERN_AUGMENTATION_OPTIONS_INIT;
static const tern_tokenizer_train_options train_options = TERN_TOKENIZER_TRAIN_OPTIONS_INIT;
static const tern_call_options call_options = TERN_CALL_OPTIONS_INIT;
static const tern_trainer_options trainer_options = TERN_TRAINER_OPTIONS_INIT;
static const tern_trainer_memory trainer_memory = TERN_TRAINER_MEMORY_INIT;
static const tern_tracker_options tracker_options = TERN_TRACKER_OPTIONS_INIT;
static const tern_camera_motion_options motion_options = TERN_CAMERA_MOTION_OPTIONS_INIT;
static const tern_device_info device_info = TERN_DEVICE_INFO_INIT;
static const tern_tensor_info tensor_info = TERN_TENSOR_INFO_INIT;
static const tern_token_info token_info = TERN_TOKEN_INFO_INIT;
static const tern_memory_report memory_report = TERN_MEMORY_REPORT_INIT;
static const tern_placement placement = TERN_PLACEMENT_INIT;
static const tern_intermediate intermediate = TERN_INTERMEDIATE_INIT;
static const tern_error error_details = TERN_ERROR_INIT;

#define POINTER sizeof(void*)
#define SIGNATURE N(0, 4, -1, 3, INT32_MAX, INT32_MIN)
#define DTYPE N(TERN_DTYPE_F32, 5, TERN_DTYPE_NONE, -1, 14, INT32_MAX, INT32_MIN)
#define RANK N(2, 4, -1, 9, INT32_MAX, INT32_MIN)
#define ROLE N(TERN_ROLE_INPUT, 4, -1, 4, INT32_MAX, INT32_MIN)
#define INDEX N(0, 4, -1, 9, INT32_MAX, INT32_MIN)
#define TOKEN N(257, 4, -1, 261, INT32_MAX, INT32_MIN)
#define VALUE N(0, 4, -1, 99, INT32_MAX, INT32_MIN)
#define INIT_SIZE_FROM(type, first) W(sizeof(type)), N(sizeof(type), 5, 0, 4, (first)-1, 65537, INT64_MAX)
#define INIT_SIZE(type) INIT_SIZE_FROM(type, sizeof(type))

/* Size of a struct in the first release: some have grown since. */
static uint32_t first_size(const void* s, uint32_t size) {
  if (s == (const void*)&memory_report) return (uint32_t)offsetof(tern_memory_report, plan_bytes);
  if (s == (const void*)&context_options) return (uint32_t)offsetof(tern_context_options, denormals);
  if (s == (const void*)&generator_options) return (uint32_t)offsetof(tern_generator_options, keep);
  if (s == (const void*)&picture) return (uint32_t)offsetof(tern_picture, matrix);
  if (s == (const void*)&tensor_info) return (uint32_t)offsetof(tern_tensor_info, step_dims);
  return size;
}

static int run_table(int64_t file_bytes, int fd, const char* const* names, int num_names) {
  const function functions[] = {
      {"tern_cancel_create", cancel_create, {W(POINTER)}, release_cancel},
      {"tern_context_options_init",
       context_options_init,
       {INIT_SIZE_FROM(tern_context_options, offsetof(tern_context_options, denormals))},
       NULL},
      {"tern_limits_init", limits_init, {INIT_SIZE(tern_limits)}, NULL},
      {"tern_load_options_init", load_options_init, {INIT_SIZE(tern_load_options)}, NULL},
      {"tern_session_options_init", session_options_init, {INIT_SIZE(tern_session_options)}, NULL},
      {"tern_run_options_init", run_options_init, {INIT_SIZE(tern_run_options)}, NULL},
      {"tern_context_create", context_create, {SO(context_options), W(POINTER)}, release_context},
      {"tern_context_get_device", context_get_device, {H(context), INDEX, R(device_info)}, NULL},
      {"tern_last_error", last_error, {R(error_details)}, NULL},
      {"tern_model_load_file",
       load_file,
       {H(context), H(file_in_folder("small.tern")), SO(load_options), W(POINTER)},
       release_model},
      {"tern_model_load_memory",
       load_memory,
       {H(context), H(file_data), N(file_bytes, 3, 0, 1, file_bytes - 1), SO(load_options), W(POINTER)},
       release_model},
      {"tern_model_load_descriptor",
       load_descriptor,
       {H(context), N(fd, 4, -1, 9999, INT32_MAX, INT32_MIN), N(0, 4, 1, 64, INT64_MAX, -1),
        N(0, 4, 1, file_bytes - 1, file_bytes + 1, INT64_MAX), SO(load_options), W(POINTER)},
       release_model},
      {"tern_model_check_weights", check_weights, {H(small)}, NULL},
      {"tern_model_count_nodes", count_nodes, {H(small), SIGNATURE, W(8), W(8)}, NULL},
      {"tern_model_find_signature", find_signature, {H(small), H("forward"), W(4)}, NULL},
      {"tern_model_get_tensor", get_tensor, {H(small), SIGNATURE, ROLE, INDEX, R(tensor_info)}, NULL},
      {"tern_model_find_tensor", find_tensor, {H(small), SIGNATURE, ROLE, H("x"), W(4)}, NULL},
      {"tern_model_get_metadata", get_metadata, {H(small), INDEX, W(POINTER), W(POINTER)}, NULL},
      {"tern_parameters_create", parameters_create, {H(small), W(POINTER)}, release_parameters},
      {"tern_parameters_get", parameters_get, {H(parameters), H("b1"), W(POINTER)}, release_tensor},
      {"tern_parameters_set", parameters_set, {H(parameters), H("b1"), H(row)}, NULL},
      {"tern_state_create", state_create, {H(counter), W(POINTER)}, release_state},
      {"tern_state_fork", state_fork, {H(state), W(POINTER)}, release_state},
      {"tern_state_truncate", state_truncate, {H(state), N(0, 3, -1, 1, INT64_MAX)}, NULL},
      {"tern_state_get", state_get, {H(state), H("cache"), W(POINTER)}, release_tensor},
      {"tern_state_set", state_set, {H(state), H("cache"), H(cache)}, NULL},
      {"tern_state_save", state_save, {H(state), H(file_in_folder("arguments.state"))}, NULL},
      {"tern_state_load", state_load, {H(state), H(file_in_folder("arguments.state"))}, NULL},
      {"tern_session_create", session_create, {H(small), SO(session_options_), W(POINTER)}, release_session},
      {"tern_session_set_state", set_state, {H(counting), H(state)}, NULL},
      {"tern_session_run",
       session_run,
       {H(session), SIGNATURE, H(inputs), N(1, 4, -1, 0, 2, INT32_MAX), W(2 * POINTER), N(2, 4, -1, 0, 1, 3),
        SO(run_options)},
       NULL},
      {"tern_session_bind_input",
       bind_input,
       {H(session), SIGNATURE, N(0, 4, -1, 1, INT32_MAX, INT32_MIN), O(x)},
       NULL},
      {"tern_session_bind_output",
       bind_output,
       {H(session), SIGNATURE, N(0, 4, -1, 2, INT32_MAX, INT32_MIN), O(NULL)},
       NULL},
      {"tern_session_run_sequences",
       run_sequences,
       {H(several), SIGNATURE, H(states), H(counts), N(2, 5, -1, 0, 1, 3, INT32_MIN), H(rows),
        N(3, 4, -1, 0, 2, INT32_MAX), W(POINTER), N(1, 4, -1, 0, 2, 3), SO(run_options)},
       NULL},
      {"tern_session_run_bound", run_bound, {H(counting), SIGNATURE, SO(run_options)}, NULL},
      {"tern_session_prepare", prepare, {H(session), SIGNATURE, H(dims), N(2, 5, -1, 0, 1, 3, INT32_MAX)}, NULL},
      {"tern_session_memory", session_memory, {H(session), R(memory_report)}, NULL},
      {"tern_session_get_placement", get_placement, {H(session), SIGNATURE, INDEX, R(placement)}, NULL},
      {"tern_session_get_intermediate", get_intermediate, {H(session), SIGNATURE, INDEX, R(intermediate)}, NULL},
      {"tern_session_write_profile", write_profile, {H(session), H(file_in_folder("arguments.json"))}, NULL},
      {"tern_tensor_create", tensor_create, {H(context), DTYPE, H(dims), RANK, W(POINTER)}, release_tensor},
      {"tern_tensor_wrap",
       tensor_wrap,
       {H(context), DTYPE, H(dims), RANK, H(memory), N(sizeof memory, 3, 0, 1, sizeof memory - 1), O(NULL), W(POINTER)},
       release_tensor},
      {"tern_tensor_view",
       tensor_view,
       {H(x), N(0, 4, -1, 3, INT64_MAX, INT64_MIN), N(2, 4, -1, 3, INT64_MAX, INT64_MIN), W(POINTER)},
       release_tensor},
      {"tern_tensor_reshape",
       tensor_reshape,
       {H(x), H(dims), N(2, 4, -1, 9, 1, INT32_MAX), W(POINTER)},
       release_tensor},
      {"tern_generator_options_init",
       generator_options_init,
       {INIT_SIZE_FROM(tern_generator_options, offsetof(tern_generator_options, keep))},
       NULL},
      {"tern_generator_create", generator_create, {H(language), SO(generator_options), W(POINTER)}, release_generator},
      {"tern_generator_feed",
       generator_feed,
       {H(generator), H(tokens), N(1, 4, -1, 65, INT64_MAX, INT64_MIN), SO(run_options)},
       NULL},
      {"tern_generator_next", generator_next, {H(generator), W(4), SO(run_options)}, NULL},
      {"tern_generator_logits", generator_logits, {H(generator), W(POINTER), SO(run_options)}, NULL},
      {"tern_generator_truncate", generator_truncate, {H(generator), N(2, 3, -1, 65, INT64_MAX)}, NULL},
      {"tern_generator_set_draft", generator_set_draft, {H(generator), O(guesser)}, NULL},
      {"tern_generator_guesses", generator_guesses, {H(generator), W(8), W(8)}, NULL},
      {"tern_generator_log_probabilities",
       generator_log_probabilities,
       {H(generator), W(POINTER), W(POINTER), W(8)},
       NULL},
      {"tern_generator_set_bias",
       generator_set_bias,
       {H(generator), H(tokens), H(bias), N(1, 4, -1, 65, INT64_MAX, INT64_MIN)},
       NULL},
      {"tern_generator_fork", generator_fork, {H(generator), SO(generator_options), W(POINTER)}, release_generator},
      {"tern_generator_next_batch",
       generator_next_batch,
       {H(&generator), N(1, 4, 0, -1, INT32_MAX, INT32_MIN), W(4), W(4), SO(run_options)},
       NULL},
      {"tern_generator_save",
       generator_save,
       {H(generator), H(file_in_folder("arguments.session")), H(rules), N(sizeof rules, 0, 0)},
       NULL},
      {"tern_generator_load",
       generator_load,
       {H(generator), H(file_in_folder("arguments.session")), W(POINTER), W(8)},
       NULL},
      {"tern_generator_set_sampler", generator_set_sampler, {H(generator), SO(generator_options)}, NULL},
      {"tern_generator_get_tokens", generator_get_tokens, {H(generator), W(16), N(4, 2, -1, INT64_MIN), W(8)}, NULL},
      {"tern_generator_set_grammar",
       generator_set_grammar,
       {H(generator), H(tokenizer), N(TERN_GRAMMAR_GBNF, 4, -1, 3, INT32_MAX, INT32_MIN), H(rules),
        N(sizeof rules - 1, 3, 0, 1, 5), N(0, 2, -1, INT64_MIN)},
       NULL},
      {"tern_vision_options_init", vision_options_init, {INIT_SIZE(tern_vision_options)}, NULL},
      {"tern_vision_create",
       vision_create,
       {H(&spots), N(1, 3, 0, -1, INT32_MAX), SO(vision_options), W(POINTER)},
       release_vision},
      {"tern_vision_run",
       vision_run,
       {H(detector), S(picture), N(1, 3, 0, -1, INT32_MAX), SO(run_options), W(POINTER)},
       NULL},
      {"tern_vision_reset", vision_reset, {H(detector)}, NULL},
      {"tern_vision_skeleton", vision_skeleton, {H(pose), W(POINTER), W(4)}, NULL},
      {"tern_tracker_create", tracker_create, {SO(tracker_options), W(POINTER)}, release_tracker},
      {"tern_tracker_update",
       tracker_update,
       {H(tracker), S(track_frame), W(sizeof(tern_track)), N(1, 2, -1, INT32_MIN), W(4)},
       NULL},
      {"tern_tracker_reset", tracker_reset, {H(tracker)}, NULL},
      {"tern_tracker_save", tracker_save, {H(tracker), W(sizeof saved), N(sizeof saved, 0, 0), W(8)}, NULL},
      {"tern_tracker_load",
       tracker_load,
       {H(tracker), H(saved), N((int64_t)saved_bytes, 4, 0, 1, 40, (int64_t)saved_bytes - 1)},
       NULL},
      {"tern_camera_motion_create", camera_motion_create, {SO(motion_options), W(POINTER)}, release_camera_motion},
      {"tern_camera_motion_update",
       camera_motion_update,
       {H(motion), S(picture), H(&box), N(1, 2, -1, INT32_MIN), W(24), O(NULL)},
       NULL},
      {"tern_camera_motion_reset", camera_motion_reset, {H(motion)}, NULL},
      {"tern_tokenizer_create",
       tokenizer_create,
       {H(tokenizer_json), N(sizeof tokenizer_json - 1, 4, 0, 1, 20, sizeof tokenizer_json), W(POINTER)},
       release_tokenizer},
      {"tern_tokenizer_create_from_model", tokenizer_create_from_model, {H(words), W(POINTER)}, release_tokenizer},
      {"tern_tokenizer_encode",
       tokenizer_encode,
       {H(tokenizer), H("the\n"), N(4, 2, INT32_MAX, INT64_MAX), N(0, 3, 4, 8, UINT32_MAX), W(16), N(4, 0, 0), W(8)},
       NULL},
      {"tern_tokenizer_decode",
       tokenizer_decode,
       {H(tokenizer), H(ids), N(2, 0, 0), N(0, 3, 2, 8, UINT32_MAX), W(16), N(16, 0, 0), W(8)},
       NULL},
      {"tern_tokenizer_get_token", tokenizer_get_token, {H(tokenizer), TOKEN, R(token_info)}, NULL},
      {"tern_tokenizer_find_token", tokenizer_find_token, {H(tokenizer), H("the"), N(3, 1, 0), W(4)}, NULL},
      {"tern_detokenizer_create",
       detokenizer_create,
       {H(tokenizer), N(0, 3, 2, 8, UINT32_MAX), W(POINTER)},
       release_detokenizer},
      {"tern_detokenizer_add", detokenizer_add, {H(detokenizer), TOKEN, W(POINTER), W(8)}, NULL},
      {"tern_detokenizer_set_stops", detokenizer_set_stops, {H(detokenizer), H(stops), N(2, 2, 17, INT64_MAX)}, NULL},
      {"tern_chat_options_init", chat_options_init, {INIT_SIZE(tern_chat_options)}, NULL},
      {"tern_chat_create",
       chat_create,
       {H(tokenizer), O("<|user|>\\n{{eos_token}}"), SO(chat_options), W(POINTER)},
       release_chat},
      {"tern_chat_encode",
       chat_encode,
       {H(chat), S(chat_message), N(1, 2, 0, INT64_MAX), N(0, 2, 2, INT64_MAX), N(0, 2, 2, UINT32_MAX), W(64),
        N(16, 0, 0), W(8)},
       NULL},
      {"tern_tensor_load_npy", load_npy, {H(context), H(npy_path), W(POINTER)}, release_tensor},
      {"tern_data_options_init", data_options_init, {INIT_SIZE(tern_data_options)}, NULL},
      {"tern_data_create_arrays",
       data_create_arrays,
       {H(context), H(field_names), H(field_arrays), N(2, 4, 0, -1, 257, INT32_MIN), SO(data_options), W(POINTER)},
       release_data},
      {"tern_data_open_npy",
       data_open_npy,
       {H(context), H(field_names), H(npy_paths), N(1, 4, 0, -1, 257, INT32_MIN), SO(data_options), W(POINTER)},
       release_data},
      {"tern_data_open_text",
       data_open_text,
       {H(context), H(text_path), H(tokenizer), SO(data_options), W(POINTER)},
       release_data},
      {"tern_data_open_jsonl",
       data_open_jsonl,
       {H(context), H(records_path), H(tokenizer), SO(data_options), W(POINTER)},
       release_data},
      {"tern_data_split", data_split, {H(data), W(POINTER), W(POINTER)}, release_data},
      {"tern_data_get_field", data_get_field, {H(data), N(0, 4, -1, 2, INT32_MAX, INT32_MIN), R(data_field)}, NULL},
      {"tern_data_next",
       data_next,
       {H(data), N(1, 5, 0, -1, (1 << 24) + 1, INT64_MAX, INT64_MIN), W(2 * POINTER), N(2, 4, 0, 1, 3, -1)},
       NULL},
      {"tern_data_get",
       data_get,
       {H(data), N(0, 4, -1, 2, INT64_MAX, INT64_MIN), N(1, 4, 0, -1, INT64_MAX, INT64_MIN), W(2 * POINTER),
        N(2, 4, 0, 1, 3, -1), W(8)},
       NULL},
      {"tern_data_seek", data_seek, {H(data), N(0, 2, -1, INT64_MIN)}, NULL},
      {"tern_augmentation_options_init", augmentation_options_init, {INIT_SIZE(tern_augmentation_options)}, NULL},
      {"tern_data_set_augmentation", data_set_augmentation, {H(pictures), SO(augmentation_options)}, NULL},
      {"tern_tokenizer_train_options_init",
       tokenizer_train_options_init,
       {INIT_SIZE(tern_tokenizer_train_options)},
       NULL},
      {"tern_tokenizer_train",
       tokenizer_train,
       {H(tokenizer_json), N(40, 1, 0), N(256, 4, 0, -1, 255, INT32_MAX), SO(train_options), W(POINTER)},
       release_tokenizer},
      {"tern_tokenizer_train_files",
       tokenizer_train_files,
       {H(text_paths), N(1, 3, 0, -1, INT32_MIN), N(256, 4, 0, -1, 255, INT32_MAX), SO(train_options), W(POINTER)},
       release_tokenizer},
      {"tern_tokenizer_save", tokenizer_save, {H(trained), H(file_in_folder("arguments.json"))}, NULL},
      {"tern_call_options_init", call_options_init, {INIT_SIZE(tern_call_options)}, NULL},
      {"tern_graph_create", graph_create, {H(context), W(POINTER)}, release_graph},
      {"tern_graph_begin", graph_begin, {H(context), H("next")}, NULL},
      {"tern_graph_input", graph_input, {H(context), H("y"), DTYPE, H(dims), RANK}, NULL},
      {"tern_graph_scalar", graph_scalar, {H(context), H("seed")}, NULL},
      {"tern_graph_parameter", graph_parameter, {H(context), H("w"), O(NULL)}, NULL},
      {"tern_graph_state", graph_state, {H(context), H("s"), DTYPE, H(dims), RANK}, NULL},
      {"tern_graph_state_like", graph_state_like, {H(context), H("s"), VALUE}, NULL},
      {"tern_graph_constant", graph_constant, {H(context), H(x)}, NULL},
      {"tern_graph_number", graph_number, {H(context)}, NULL},
      {"tern_graph_op",
       graph_op,
       {H(context), H("softmax"), O("axis=1"), H(graph_values), N(1, 4, 0, -1, 2, INT32_MIN)},
       NULL},
      {"tern_graph_result", graph_result, {H(context), VALUE, N(0, 4, -1, 1, INT32_MAX, INT32_MIN)}, NULL},
      {"tern_graph_call",
       graph_call,
       {H(context), O("net"), H(small), H("forward"), H(graph_values), N(1, 4, 0, -1, 2, INT32_MIN), SO(call_options)},
       NULL},
      {"tern_graph_find", graph_find, {H(context), H("w")}, NULL},
      {"tern_graph_list", graph_list, {H(context), H("*"), W(4), N(1, 2, -1, INT32_MIN)}, NULL},
      {"tern_graph_get", graph_get, {H(context), VALUE, R(tensor_info)}, NULL},
      {"tern_graph_gradient",
       graph_gradient,
       {H(context), N(graph_loss, 5, graph_x, -1, 99, INT32_MAX, INT32_MIN), H(graph_values), N(2, 2, -1, INT32_MIN),
        H(gradients)},
       NULL},
      {"tern_graph_write",
       graph_write,
       {H(context), N(graph_w, 6, graph_x, graph_loss, -1, 99, INT32_MAX, INT32_MIN),
        N(graph_x, 5, graph_loss, -1, 99, INT32_MAX, INT32_MIN)},
       NULL},
      {"tern_graph_output", graph_output, {H(context), H("y"), VALUE}, NULL},
      {"tern_graph_finish", graph_finish, {H(context), W(POINTER)}, release_model},
      {"tern_model_edit", model_edit, {H(small), H("lora"), H("*"), O("rank=2"), W(POINTER)}, release_model},
      {"tern_model_save", model_save, {H(step_model), H(file_in_folder("arguments.tern"))}, NULL},
      {"tern_parameters_save", parameters_save, {H(parameters), H("*"), H(file_in_folder("arguments.adapter"))}, NULL},
      {"tern_parameters_load", parameters_load, {H(parameters), H(file_in_folder("arguments.adapter"))}, NULL},
      {"tern_trainer_options_init", trainer_options_init, {INIT_SIZE(tern_trainer_options)}, NULL},
      {"tern_trainer_create", trainer_create, {H(step_model), SO(trainer_options), W(POINTER)}, release_trainer},
      {"tern_trainer_get_memory", trainer_get_memory, {H(trainer), R(trainer_memory)}, NULL},
      {"tern_trainer_step", trainer_step, {H(trainer), H(inputs), N(1, 4, -1, 0, 2, INT32_MIN), SO(run_options)}, NULL},
      {"tern_trainer_get_metric", trainer_get_metric, {H(trainer), INDEX, W(POINTER), W(8)}, NULL},
      {"tern_trainer_run",
       trainer_run,
       {H(trainer), SIGNATURE, H(inputs), N(1, 4, -1, 0, 2, INT32_MIN), W(POINTER), N(1, 4, -1, 0, 2, 3),
        SO(run_options)},
       NULL},
      {"tern_trainer_save", trainer_save, {H(trainer), H(file_in_folder("arguments.checkpoint")), O("more")}, NULL},
      {"tern_trainer_load", trainer_load, {H(trainer), H(file_in_folder("arguments.checkpoint")), O(&more)}, NULL},
      {"tern_trainer_export",
       trainer_export,
       {H(trainer), H(step_model), O(NULL), H(file_in_folder("arguments.tern"))},
       NULL},
      {"tern_chat_get_ends", chat_get_ends, {H(chat), W(POINTER), W(8)}, NULL},
      {"tern_detokenizer_end", detokenizer_end, {H(detokenizer), W(POINTER), W(8)}, NULL},
  };
  enum { ROOM = 4096 };
  static union {
    unsigned char bytes[ROOM];
    void* first;
    int64_t align;
  } room[11];
  static unsigned char before[11][ROOM];
  const int n = (int)(sizeof functions / sizeof functions[0]);
  int f, i, k, j, missing = 0;
  value a[11];

#define PREPARE()                                                                                                 \
  for (i = 0; i < 11; ++i) {                                                                                      \
    const argument* g = &d->arguments[i];                                                                         \
    memset(room[i].bytes, g->kind == OUTPUT ? 0xA5 : 0, ROOM);                                                    \
    if (g->kind == STRUCT || g->kind == OPTIONS || g->kind == RESULT)                                             \
      memcpy(room[i].bytes, g->pointer, (size_t)g->number);                                                       \
    if (g->kind == RESULT) memset(room[i].bytes + 4, 0xA5, (size_t)g->number - 4);                                \
    if (g->kind == NUMBER) a[i].n = g->number;                                                                    \
    else a[i].p = g->kind == HANDLE || g->kind == OPTIONAL ? (void*)(uintptr_t)g->pointer : (void*)room[i].bytes; \
  }
#define REFUSED(code, what)                                                                                           \
  do {                                                                                                                \
    tern_status s;                                                                                                    \
    int same = 1;                                                                                                     \
    for (i = 0; i < 11; ++i) memcpy(before[i], room[i].bytes, ROOM);                                                  \
    s = d->call(a);                                                                                                   \
    for (i = 0; i < 11; ++i) same = same && memcmp(before[i], room[i].bytes, ROOM) == 0;                              \
    if (!check_(s != TERN_OK && (!(code) || s == (code)) && same && tern_last_error_message()[0], __FILE__, __LINE__, \
                d->name))                                                                                             \
      fprintf(stderr, "    argument %d, %s: %s%s\n", k, what, tern_status_name(s),                                    \
              same ? "" : "; an output was touched");                                                                 \
  } while (0)
#define TAKEN(what)                                                                                                    \
  do {                                                                                                                 \
    const tern_status s = d->call(a);                                                                                  \
    if (!check_(s == TERN_OK, __FILE__, __LINE__, d->name)) fprintf(stderr, "    argument %d, %s\n", k, what);         \
    for (i = 10; i >= 0 && d->release && s == TERN_OK; --i)                                                            \
      if (d->arguments[i].kind == OUTPUT) {                                                                            \
        d->release(room[i].first);                                                                                     \
        break;                                                                                                         \
      }                                                                                                                \
    if (s == TERN_OK && (d->call == data_next || d->call == data_get))                                                 \
      for (i = 0; i < 2; ++i)                                                                                          \
        tern_tensor_release(((const tern_tensor**)(void*)room[d->call == data_next ? 2 : 3].bytes)[i]);                \
    if (s == TERN_OK && d->call == session_run)                                                                        \
      for (i = 0; i < 2; ++i) tern_tensor_release(((const tern_tensor**)(void*)room[4].bytes)[i]);                     \
    if (s == TERN_OK && d->call == run_sequences) tern_tensor_release(((const tern_tensor**)(void*)room[7].bytes)[0]); \
    if (s == TERN_OK && d->call == trainer_run) tern_tensor_release(((const tern_tensor**)(void*)room[4].bytes)[0]);   \
  } while (0)

  for (f = 0; f < n; ++f) {
    const function* d = &functions[f];
    k = -1;
    PREPARE();
    TAKEN("all good");
    for (k = 0; d->arguments[k].kind != END; ++k) {
      const argument* c = &d->arguments[k];
      const uint32_t size = (uint32_t)c->number;
      if (c->kind == HANDLE || c->kind == OUTPUT || c->kind == STRUCT || c->kind == RESULT) {
        PREPARE();
        a[k].p = NULL;
        REFUSED(TERN_ERR_INVALID_ARGUMENT, "NULL");
      }
      for (j = 0; c->kind == NUMBER && j < c->num_bad; ++j) {
        char what[32];
        snprintf(what, sizeof what, "%lld", (long long)c->bad[j]);
        PREPARE();
        a[k].n = c->bad[j];
        REFUSED(0, what);
      }
      if (c->kind == STRUCT || c->kind == OPTIONS || c->kind == RESULT) {
        /* Too small, rubbish; a newer caller's, with and without what is not known here. */
        const uint32_t first = first_size(c->pointer, size);
        const uint32_t sizes[] = {0, 3, 4, first - 1, 65537, UINT32_MAX};
        for (j = 0; j < 6; ++j) {
          PREPARE();
          memcpy(room[k].bytes, &sizes[j], 4);
          REFUSED(TERN_ERR_INVALID_ARGUMENT, "struct_size");
        }
        for (j = 8; j <= 64; j += 8) {
          const uint32_t newer = size + (uint32_t)j;
          PREPARE();
          memcpy(room[k].bytes, &newer, 4);
          TAKEN("a newer struct");
          if (c->kind == RESULT) {
            CHECK(memcmp(room[k].bytes, &newer, 4) == 0 && room[k].bytes[size] == 0 && room[k].bytes[newer - 1] == 0);
            continue;
          }
          PREPARE();
          memcpy(room[k].bytes, &newer, 4);
          room[k].bytes[newer - 1] = 1;
          REFUSED(TERN_ERR_INVALID_ARGUMENT, "a newer struct with an unknown field");
        }
      }
      if (c->kind == OPTIONS || c->kind == OPTIONAL) {
        PREPARE();
        a[k].p = NULL;
        TAKEN("NULL for an option");
      }
    }
  }

  for (i = 0; i < num_names; ++i) {
    int found = 0;
    for (f = 0; f < n; ++f) found = found || strcmp(functions[f].name, names[i]) == 0;
    for (f = 0; f < (int)(sizeof kNoStatus / sizeof kNoStatus[0]); ++f)
      found = found || strcmp(kNoStatus[f], names[i]) == 0;
    if (!found) fprintf(stderr, "no test calls %s\n", names[i]), ++missing;
  }
  CHECK(missing == 0);
  return n;
}

static void write_all(const char* path, const char* part, size_t size, int times) {
  FILE* f = fopen(path, "wb");
  if (!CHECK(f != NULL)) exit(1);
  while (times-- > 0) CHECK(fwrite(part, 1, size, f) == size);
  fclose(f);
}

/* Files of training data, and data. */
static void make_data(void) {
  static const char record[] = "{\"text\":\"the\",\"label\":1}\n";
  static const int64_t picture_dims[4] = {2, 4, 4, 1};
  static const tern_tensor* of_pictures[1];
  tern_tensor* p = NULL;
  char npy[132];
  npy_path = npy_paths[0] = strdup(file_in_folder("arguments.npy"));
  text_path = text_paths[0] = strdup(file_in_folder("arguments.txt"));
  records_path = strdup(file_in_folder("arguments.jsonl"));
  memset(npy, ' ', 128);
  memcpy(npy, "\x93NUMPY\x01\0\x76\0{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2)}", 67);
  npy[127] = '\n';
  memset(npy + 128, 1, 4);
  write_all(npy_path, npy, sizeof npy, 1);
  write_all(text_path, "words and ", 10, 60);
  write_all(records_path, record, sizeof record - 1, 2);
  field_arrays[0] = field_arrays[1] = x;
  NEED(tern_data_create_arrays(context, field_names, field_arrays, 2, NULL, &data));
  NEED(tern_tensor_create(context, TERN_DTYPE_U8, picture_dims, 4, &p));
  of_pictures[0] = p;
  NEED(tern_data_create_arrays(context, field_names, of_pictures, 1, NULL, &pictures));
  tern_tensor_release(p);
  NEED(tern_tokenizer_train("words", 5, 256, NULL, &trained));
}

/* A step that learns, and its trainer. */
static void make_trainer(void) {
  tern_graph* g = new_graph(context);
  tern_value update[3], gradient;
  OK(tern_graph_gradient(g, graph_loss, &graph_w, 1, &gradient));
  update[0] = graph_w;
  update[1] = gradient;
  update[2] = tern_graph_number(g, 0.1);
  CHECK(tern_graph_op(g, "sgd_update", NULL, update, 3) != TERN_NO_VALUE);
  NEED(tern_graph_finish(g, &step_model));
  tern_graph_release(g);
  NEED(tern_trainer_create(step_model, NULL, &trainer));
}

static void* read_all(const char* path, int64_t* bytes) {
  FILE* f = fopen(path, "rb");
  void* data;
  if (!CHECK(f != NULL)) exit(1);
  fseek(f, 0, SEEK_END);
  *bytes = ftell(f);
  rewind(f);
  data = aligned_alloc(64, ((size_t)*bytes + 63) / 64 * 64);
  CHECK(fread(data, 1, (size_t)*bytes, f) == (size_t)*bytes);
  fclose(f);
  return data;
}

MAIN_BEGIN
static char list[8192];
static const char* names[256];
int num_names = 0, fd;
int64_t file_bytes, list_bytes;
char *text = argc > 2 ? (char*)read_all(argv[2], &list_bytes) : NULL, *name;
tern_tensor *sum, *calls, *token;
tern_session_options profile = TERN_SESSION_OPTIONS_INIT;
tern_generator_options noting = TERN_GENERATOR_OPTIONS_INIT;
int32_t chosen;
if (!CHECK(text && list_bytes < (int64_t)sizeof list)) return 1;
memcpy(list, text, (size_t)list_bytes);
free(text);
for (name = strtok(list, "\n"); name; name = strtok(NULL, "\n")) names[num_names++] = name;
CHECK(num_names > 80);

NEED(tern_context_create(NULL, &context));
small = load(context, "small.tern");
counter = load(context, "counter.tern");
sequences = load(context, "sequences.tern");
spots = load(context, "spots.tern");
points = load(context, "points.tern");
words = load(context, "words.tern");
language = load(context, "language.tern");
NEED(tern_tokenizer_create_from_model(words, &tokenizer));
NEED(tern_detokenizer_create(tokenizer, 0, &detokenizer));
chat_options.template_name = "zephyr";
NEED(tern_chat_create(tokenizer, NULL, &chat_options, &chat));
chat_message.role = "user";
chat_message.content = "the";
chat_message.content_bytes = 3;
profile.flags = TERN_SESSION_PROFILE | TERN_SESSION_KEEP_INTERMEDIATES;
NEED(tern_session_create(small, &profile, &session));
NEED(tern_session_create(counter, NULL, &counting));
NEED(tern_state_create(counter, &state));
NEED(tern_session_create(sequences, NULL, &several));
NEED(tern_state_create(sequences, &states[0]));
NEED(tern_state_create(sequences, &states[1]));
rows[0] = make_tensor(context, TERN_DTYPE_F32, 2, 2, 4);
NEED(tern_parameters_create(small, &parameters));
NEED(tern_vision_create(&spots, 1, NULL, &detector));
NEED(tern_vision_create(&points, 1, NULL, &pose));
noting.log_probabilities = 2;
NEED(tern_generator_create(language, &noting, &generator));
NEED(tern_generator_create(language, NULL, &guesser));
NEED(tern_generator_feed(generator, tokens, 3, NULL));
NEED(tern_generator_next(generator, &chosen, NULL));
NEED(tern_tracker_create(NULL, &tracker));
NEED(tern_tracker_save(tracker, saved, sizeof saved, &saved_bytes));
NEED(tern_camera_motion_create(NULL, &motion));
x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16);
make_data();
make_trainer();
row = make_tensor(context, TERN_DTYPE_F32, 1, 32, 0);
cache = make_tensor(context, TERN_DTYPE_F32, 2, 16, 4);
inputs[0] = x;
picture.width = picture.height = 64;
picture.planes[0] = pixels;
picture.strides[0] = 3 * 64;
token = make_tensor(context, TERN_DTYPE_F32, 2, 1, 4);
sum = make_tensor(context, TERN_DTYPE_F32, 1, 4, 0);
calls = make_tensor(context, TERN_DTYPE_F32, 0, 0, 0);
OK(tern_session_bind_input(counting, 0, 0, token));
OK(tern_session_bind_output(counting, 0, 0, sum));
OK(tern_session_bind_output(counting, 0, 1, calls));
file_data = read_all(file_in_folder("small.tern"), &file_bytes);
fd = open(file_in_folder("small.tern"), O_RDONLY);
printf("%d functions with a status\n", run_table(file_bytes, fd, names, num_names));
no_status();
close(fd);
remove(file_in_folder("arguments.state"));
remove(file_in_folder("arguments.session"));
remove(file_in_folder("arguments.json"));
remove(file_in_folder("arguments.tern"));
remove(file_in_folder("arguments.adapter"));
remove(file_in_folder("arguments.checkpoint"));
tern_trainer_release(trainer);
tern_model_release(step_model);
tern_data_release(data);
tern_data_release(pictures);
tern_tokenizer_release(trained);
remove(npy_path);
remove(text_path);
remove(records_path);
free((void*)(uintptr_t)npy_path);
free((void*)(uintptr_t)text_path);
free((void*)(uintptr_t)records_path);
tern_detokenizer_release(detokenizer);
tern_chat_release(chat);
tern_tokenizer_release(tokenizer);
tern_model_release(words);
tern_tracker_release(tracker);
tern_camera_motion_release(motion);
tern_generator_release(generator);
tern_generator_release(guesser);
tern_model_release(language);
tern_vision_release(pose);
tern_vision_release(detector);
tern_session_release(session);
tern_session_release(counting);
tern_session_release(several);
tern_state_release(states[0]);
tern_state_release(states[1]);
tern_tensor_release(rows[0]);
tern_model_release(sequences);
tern_parameters_release(parameters);
tern_state_release(state);
tern_tensor_release(x);
tern_tensor_release(row);
tern_tensor_release(cache);
tern_tensor_release(token);
tern_tensor_release(sum);
tern_tensor_release(calls);
tern_model_release(small);
tern_model_release(counter);
tern_model_release(spots);
tern_model_release(points);
tern_context_release(context);
free(file_data);
MAIN_END("arguments")
