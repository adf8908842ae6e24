/* SPDX-License-Identifier: Apache-2.0 */
/* A library without training, text and tasks on pictures: models run as ever, and what is not there names its option.
 * Built by tests/run against a library of its own. */
#include "check.h"

static void quarters(tern_context* context) {
  tern_model* model = load(context, "spots.tern");
  tern_session* session = NULL;
  const int64_t dims[4] = {1, 8, 8, 1};
  tern_tensor* picture = NULL;
  const tern_tensor* out[2] = {NULL, NULL};
  tern_vision* detector = (tern_vision*)&session;
  tern_tracker* tracker = NULL;
  tern_camera_motion* motion = NULL;
  tern_generator* generator = NULL;
  int i;
  NEED(tern_session_create(model, NULL, &session));
  NEED(tern_tensor_create(context, TERN_DTYPE_F32, dims, 4, &picture));
  for (i = 0; i < 64; ++i) ((float*)tern_tensor_data(picture))[i] = i / 8 < 4 ? (i % 8 < 4 ? 1.0f : 0.5f) : 0.25f;
  NEED(tern_session_run(session, 0, (const tern_tensor* const*)&picture, 1, out, 2, NULL));
  {
    const float* scores = (const float*)tern_tensor_const_data(out[0]);
    CHECK(scores[0] == 1.0f && scores[1] == 0.5f && scores[2] == 0.25f && scores[3] == 0.25f);
  }
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_create(&model, 1, NULL, &detector));
  CHECK(says("TERN_VISION") && detector == (tern_vision*)&session);
  FAILS(TERN_ERR_UNSUPPORTED, tern_tracker_create(NULL, &tracker));
  CHECK(says("TERN_VISION") && tracker == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_camera_motion_create(NULL, &motion));
  CHECK(says("TERN_VISION") && motion == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_create(model, NULL, &generator));
  CHECK(says("TERN_TEXT") && generator == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_truncate(NULL, 0));
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_set_draft(NULL, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_guesses(NULL, NULL, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_fork(NULL, NULL, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_next_batch(NULL, 1, NULL, NULL, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_save(NULL, NULL, NULL, 0));
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_load(NULL, NULL, NULL, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_set_sampler(NULL, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_get_tokens(NULL, NULL, 0, NULL));
  CHECK(says("TERN_TEXT") && tern_generator_length(NULL) == 0);
  FAILS(TERN_ERR_UNSUPPORTED, tern_generator_set_grammar(NULL, NULL, TERN_GRAMMAR_GBNF, "root ::= \"a\"", 12, 0));
  CHECK(says("TERN_TEXT"));
  tern_generator_release(NULL);
  for (i = 0; i < 2; ++i) tern_tensor_release(out[i]);
  tern_tensor_release(picture);
  tern_session_release(session);
  tern_model_release(model);
}

static void small(tern_context* context) {
  tern_model* model = load(context, "small.tern");
  tern_session* session = NULL;
  tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16);
  const tern_tensor *out[2] = {NULL, NULL}, *none = NULL;
  tern_vision* pose = NULL;
  const tern_vision_result* result = NULL;
  tern_picture picture = TERN_PICTURE_INIT;
  tern_state* state = NULL;
  const int64_t count = 1;
  float sum = 0;
  int i;
  NEED(tern_session_create(model, NULL, &session));
  fill(x, 5);
  NEED(tern_session_run(session, 0, (const tern_tensor* const*)&x, 1, out, 2, NULL));
  for (i = 0; i < 8; ++i) sum += ((const float*)tern_tensor_const_data(out[0]))[i];
  CHECK(sum > 0.999f && sum < 1.001f);
  NEED(tern_state_create(model, &state));
  FAILS(TERN_ERR_UNSUPPORTED,
        tern_session_run_sequences(session, 0, &state, &count, 1, (const tern_tensor* const*)&x, 1, &none, 1, NULL));
  CHECK(says("TERN_TEXT"));
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_run(NULL, &picture, 1, NULL, &result));
  CHECK(says("TERN_VISION") && pose == NULL && result == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_reset(NULL));
  CHECK(tern_vision_get_kind(NULL) == -1 && !tern_vision_label(NULL, 0) && !tern_vision_keypoint_name(NULL, 0));
  tern_vision_release(pose);
  for (i = 0; i < 2; ++i) tern_tensor_release(out[i]);
  tern_state_release(state);
  tern_tensor_release(x);
  tern_session_release(session);
  tern_model_release(model);
}

static void texts(tern_context* context) {
  tern_model* model = load(context, "words.tern");
  tern_tokenizer* tokenizer = NULL;
  tern_detokenizer* detokenizer = NULL;
  tern_token_info info = TERN_TOKEN_INFO_INIT;
  tern_chat* chat = NULL;
  const tern_chat_message message = TERN_CHAT_MESSAGE_INIT;
  const int32_t* ends = NULL;
  const char* text = NULL;
  int32_t id = 7;
  size_t count = 7;
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_create("{}", 2, &tokenizer));
  CHECK(says("TERN_TEXT") && tokenizer == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_create_from_model(model, &tokenizer));
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_encode(tokenizer, "a", 1, 0, &id, 1, &count));
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_decode(tokenizer, &id, 1, 0, NULL, 0, &count));
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_get_token(tokenizer, 0, &info));
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_find_token(tokenizer, "a", 1, &id));
  FAILS(TERN_ERR_UNSUPPORTED, tern_detokenizer_create(tokenizer, 0, &detokenizer));
  FAILS(TERN_ERR_UNSUPPORTED, tern_detokenizer_add(detokenizer, 0, &text, &count));
  FAILS(TERN_ERR_UNSUPPORTED, tern_detokenizer_end(detokenizer, &text, &count));
  FAILS(TERN_ERR_UNSUPPORTED, tern_detokenizer_set_stops(detokenizer, NULL, 0));
  FAILS(TERN_ERR_UNSUPPORTED, tern_chat_create(tokenizer, "", NULL, &chat));
  CHECK(says("TERN_TEXT") && chat == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_chat_encode(chat, &message, 1, 0, 0, &id, 1, &count));
  FAILS(TERN_ERR_UNSUPPORTED, tern_chat_get_ends(chat, &ends, &count));
  CHECK(!tern_chat_template(chat) && tern_detokenizer_stopped(detokenizer) == 0);
  tern_chat_release(chat);
  CHECK(id == 7 && count == 7 && tern_tokenizer_num_tokens(tokenizer) == -1);
  CHECK(tern_tokenizer_get_role(tokenizer, TERN_TOKEN_ROLE_END) == -1);
  tern_tokenizer_release(tokenizer);
  tern_detokenizer_release(detokenizer);
  tern_model_release(model);
}

static void data(tern_context* context) {
  static const char* const names[] = {"x"};
  tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 2);
  const tern_tensor* arrays[1];
  tern_data *made = NULL, *other = NULL;
  tern_tokenizer* tokenizer = NULL;
  tern_data_field field = TERN_DATA_FIELD_INIT;
  tern_data_options options = TERN_DATA_OPTIONS_INIT;
  int64_t count = 7;
  arrays[0] = x;
  OK(tern_data_options_init(&options, sizeof options));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_create_arrays(context, names, arrays, 1, NULL, &made));
  CHECK(says("TERN_TRAINING") && made == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_open_npy(context, names, names, 1, NULL, &made));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_open_text(context, "x", tokenizer, NULL, &made));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_open_jsonl(context, "x", tokenizer, NULL, &made));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_split(made, 0.5, 0, &made, &other));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_get_field(made, 0, &field));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_next(made, 1, arrays, 1));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_get(made, 0, 1, arrays, 1, &count));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_seek(made, 0));
  FAILS(TERN_ERR_UNSUPPORTED, tern_data_set_augmentation(made, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_train("x", 1, 256, NULL, &tokenizer));
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_train_files(names, 1, 256, NULL, &tokenizer));
  FAILS(TERN_ERR_UNSUPPORTED, tern_tokenizer_save(tokenizer, "x"));
  CHECK(says("TERN_TRAINING") && made == NULL && other == NULL && tokenizer == NULL && count == 7);
  CHECK(tern_data_num_samples(made) == -1 && tern_data_num_fields(made) == -1 && tern_data_position(made) == -1);
  CHECK(tern_data_num_classes(made) == 0 && tern_data_num_skipped(made) == 0 && !tern_data_class_name(made, 0));
  FAILS(TERN_ERR_NOT_FOUND, tern_tensor_load_npy(context, file_in_folder("none.npy"), &x));
  tern_data_release(made);
  tern_tensor_release(x);
}

static void training(tern_context* context) {
  const int64_t dims[1] = {1};
  tern_model *model = load(context, "small.tern"), *made = NULL;
  tern_graph* graph = NULL;
  tern_trainer* trainer = NULL;
  tern_parameters* parameters = NULL;
  tern_tensor* x = make_tensor(context, TERN_DTYPE_F32, 2, 2, 16);
  const tern_tensor *in = x, *out = NULL;
  tern_call_options call = TERN_CALL_OPTIONS_INIT;
  tern_trainer_options options = TERN_TRAINER_OPTIONS_INIT;
  tern_trainer_memory memory = TERN_TRAINER_MEMORY_INIT;
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  tern_value v = 7;
  const char* name = NULL;
  double number = 7;
  NEED(tern_parameters_create(model, &parameters));
  OK(tern_call_options_init(&call, sizeof call));
  OK(tern_trainer_options_init(&options, sizeof options));
  FAILS(TERN_ERR_UNSUPPORTED, tern_graph_create(context, &graph));
  CHECK(says("TERN_TRAINING") && graph == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_graph_begin(graph, "step"));
  CHECK(tern_graph_input(graph, "x", TERN_DTYPE_F32, dims, 1) == TERN_NO_VALUE && says("TERN_TRAINING"));
  CHECK(tern_graph_scalar(graph, "seed") == TERN_NO_VALUE && tern_graph_parameter(graph, "w", x) == TERN_NO_VALUE);
  CHECK(tern_graph_state(graph, "s", TERN_DTYPE_F32, dims, 1) == TERN_NO_VALUE);
  CHECK(tern_graph_state_like(graph, "s", 0) == TERN_NO_VALUE && tern_graph_constant(graph, x) == TERN_NO_VALUE);
  CHECK(tern_graph_number(graph, 1) == TERN_NO_VALUE && tern_graph_op(graph, "relu", NULL, &v, 1) == TERN_NO_VALUE);
  CHECK(tern_graph_result(graph, 0, 0) == TERN_NO_VALUE && tern_graph_find(graph, "x") == TERN_NO_VALUE);
  CHECK(tern_graph_call(graph, "net", model, "forward", &v, 1, &call) == TERN_NO_VALUE && says("TERN_TRAINING"));
  CHECK(tern_graph_list(graph, "*", &v, 1) == -1 && v == 7);
  FAILS(TERN_ERR_UNSUPPORTED, tern_graph_get(graph, 0, &info));
  FAILS(TERN_ERR_UNSUPPORTED, tern_graph_write(graph, 0, 0));
  FAILS(TERN_ERR_UNSUPPORTED, tern_graph_output(graph, "y", 0));
  FAILS(TERN_ERR_UNSUPPORTED, tern_graph_finish(graph, &made));
  FAILS(TERN_ERR_UNSUPPORTED, tern_graph_gradient(graph, 0, &v, 1, &v));
  FAILS(TERN_ERR_UNSUPPORTED, tern_model_edit(model, "lora", "*", NULL, &made));
  FAILS(TERN_ERR_UNSUPPORTED, tern_model_save(model, file_in_folder("none.tern")));
  FAILS(TERN_ERR_UNSUPPORTED, tern_parameters_save(parameters, "*", file_in_folder("none.tern")));
  FAILS(TERN_ERR_UNSUPPORTED, tern_parameters_load(parameters, file_in_folder("none.tern")));
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_create(model, &options, &trainer));
  CHECK(says("TERN_TRAINING") && trainer == NULL && made == NULL);
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_get_memory(trainer, &memory));
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_step(trainer, &in, 1, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_get_metric(trainer, 0, &name, &number));
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_run(trainer, 0, &in, 1, &out, 1, NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_save(trainer, "x", NULL));
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_load(trainer, "x", &name));
  FAILS(TERN_ERR_UNSUPPORTED, tern_trainer_export(trainer, model, NULL, "x"));
  CHECK(says("TERN_TRAINING") && name == NULL && number == 7 && out == NULL);
  CHECK(tern_trainer_steps(trainer) == 0 && tern_trainer_skipped(trainer) == 0 && !tern_trainer_parameters(trainer));
  CHECK(tern_graph_ops(0) && !tern_graph_ops(-1) && !tern_graph_ops(INT32_MAX));
  tern_graph_release(graph);
  tern_trainer_release(trainer);
  tern_parameters_release(parameters);
  tern_tensor_release(x);
  tern_model_release(model);
}

static void refused(tern_context* context, const char* file, const char* op, const char* option) {
  tern_model* model = NULL;
  FAILS(TERN_ERR_UNSUPPORTED_OP, tern_model_load_file(context, file_in_folder(file), NULL, &model));
  CHECK(model == NULL && says(op) && says(option));
}

MAIN_BEGIN
tern_context* context = NULL;
NEED(tern_context_create(NULL, &context));
small(context);
quarters(context);
texts(context);
data(context);
training(context);
refused(context, "train.tern", "sgd_update", "TERN_TRAINING");
refused(context, "sequences.tern", "paged_attention", "TERN_TEXT");
tern_context_release(context);
MAIN_END("left_out")
