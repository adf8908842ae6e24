/* SPDX-License-Identifier: Apache-2.0 */
/* The public headers, compiled as C99, C11 and C++17 with all warnings: sizes, numbers and initialisers that callers
 * rely on. */
#include "tern/tern.h"

#include "tern/import.h"

#define STATIC_CHECK(name, condition) typedef char check_##name[(condition) ? 1 : -1]

/* 64-bit systems; fields go to the end, so that a number here may only grow, with a new version of the struct. */
#if UINTPTR_MAX == UINT64_MAX
#define SIZE(type, bytes) STATIC_CHECK(type, sizeof(type) == (bytes));
SIZE(tern_error, 640)
SIZE(tern_allocator, 32)
SIZE(tern_context_options, 72)
SIZE(tern_device_info, 312)
SIZE(tern_limits, 80)
SIZE(tern_load_options, 16)
SIZE(tern_tensor_info, 304)
SIZE(tern_session_options, 40)
SIZE(tern_run_options, 24)
SIZE(tern_memory_report, 80)
SIZE(tern_placement, 56)
SIZE(tern_intermediate, 40)
SIZE(tern_picture, 104)
SIZE(tern_detection, 24)
SIZE(tern_vision_options, 40)
SIZE(tern_vision_result, 80)
SIZE(tern_mask, 24)
SIZE(tern_keypoint, 16)
SIZE(tern_generator_options, 64)
SIZE(tern_tracker_options, 36)
SIZE(tern_track_frame, 48)
SIZE(tern_track, 40)
SIZE(tern_camera_motion_options, 12)
SIZE(tern_token_info, 48)
SIZE(tern_chat_options, 24)
SIZE(tern_chat_message, 32)
SIZE(tern_data_options, 72)
SIZE(tern_data_field, 88)
SIZE(tern_augmentation_options, 28)
SIZE(tern_tokenizer_train_options, 24)
SIZE(tern_call_options, 48)
SIZE(tern_trainer_options, 40)
SIZE(tern_trainer_memory, 48)
SIZE(tern_import_options, 88)
SIZE(tern_task_key, 64)
SIZE(tern_recipe, 32)
#undef SIZE
#endif

STATIC_CHECK(status_1, TERN_ERR_INVALID_ARGUMENT == 1 && TERN_ERR_INDEX == 6 && TERN_ERR_UNSUPPORTED == 16);
STATIC_CHECK(status_7, TERN_ERR_NOT_FINITE == 7);
STATIC_CHECK(status_2, TERN_ERR_UNSUPPORTED_VERSION == 18 && TERN_ERR_MEMORY == 32 && TERN_ERR_DEADLINE == 36);
STATIC_CHECK(status_3, TERN_ERR_CORRUPT == 48 && TERN_ERR_CHECKSUM == 49 && TERN_ERR_DEVICE_LOST == 64 &&
                           TERN_ERR_INTERNAL == 127);
STATIC_CHECK(dtypes, TERN_DTYPE_F32 == 1 && TERN_DTYPE_F64 == 4 && TERN_DTYPE_I8 == 5 && TERN_DTYPE_BOOL == 13);
STATIC_CHECK(flags, TERN_LOAD_COPY == 1 && TERN_LOAD_CHECK_WEIGHTS == 2 && TERN_SESSION_DETERMINISTIC == 1 &&
                        TERN_SESSION_PROFILE == 2 && TERN_SESSION_KEEP_INTERMEDIATES == 4);
STATIC_CHECK(training, TERN_CALL_TRAIN == 1 && TERN_CALL_KEEP_STATISTICS == 2 && TERN_TRAINER_SKIP_NOT_FINITE == 1 &&
                           TERN_NO_VALUE == -1 && sizeof(tern_value) == 4);
STATIC_CHECK(roles, TERN_ROLE_INPUT == 0 && TERN_ROLE_STATE == 3 && TERN_PLACED_COPY == 3 && TERN_PICTURE_I420 == 6);
STATIC_CHECK(pictures, TERN_PICTURE_BGRA8 == 7 && TERN_PICTURE_BT709 == 1 && TERN_PICTURE_FULL == 1 &&
                           TERN_ALPHA_PREMULTIPLIED == 1 && TERN_ALPHA_IGNORED == 2);

/* Every struct has an initialiser that sets its size and nothing else. */
tern_error error = TERN_ERROR_INIT;
tern_context_options context_options = TERN_CONTEXT_OPTIONS_INIT;
tern_device_info device_info = TERN_DEVICE_INFO_INIT;
tern_limits limits = TERN_LIMITS_INIT;
tern_load_options load_options = TERN_LOAD_OPTIONS_INIT;
tern_tensor_info tensor_info = TERN_TENSOR_INFO_INIT;
tern_token_info token_info = TERN_TOKEN_INFO_INIT;
tern_chat_options chat_options = TERN_CHAT_OPTIONS_INIT;
tern_chat_message chat_message = TERN_CHAT_MESSAGE_INIT;
tern_session_options session_options = TERN_SESSION_OPTIONS_INIT;
tern_run_options run_options = TERN_RUN_OPTIONS_INIT;
tern_memory_report memory_report = TERN_MEMORY_REPORT_INIT;
tern_placement placement = TERN_PLACEMENT_INIT;
tern_intermediate intermediate = TERN_INTERMEDIATE_INIT;
tern_picture picture = TERN_PICTURE_INIT;
tern_vision_options vision_options = TERN_VISION_OPTIONS_INIT;
tern_generator_options generator_options = TERN_GENERATOR_OPTIONS_INIT;
tern_data_options data_options = TERN_DATA_OPTIONS_INIT;
tern_data_field data_field = TERN_DATA_FIELD_INIT;
tern_augmentation_options augmentation_options = TERN_AUGMENTATION_OPTIONS_INIT;
tern_tokenizer_train_options train_options = TERN_TOKENIZER_TRAIN_OPTIONS_INIT;
tern_call_options call_options = TERN_CALL_OPTIONS_INIT;
tern_trainer_options trainer_options = TERN_TRAINER_OPTIONS_INIT;
tern_trainer_memory trainer_memory = TERN_TRAINER_MEMORY_INIT;
tern_import_options import_options = TERN_IMPORT_OPTIONS_INIT;
tern_task_key task_key = TERN_TASK_KEY_INIT;
tern_recipe recipe = TERN_RECIPE_INIT;
