/* SPDX-License-Identifier: Apache-2.0 */
/* Trainer: runs the step of a model (tern/graph.h) again and again, keeps what it learns in files. C99.
 *
 * A step has two phases. What it computes may be cancelled or fail: then nothing has changed, and it may be tried
 * again. What it writes follows as a whole. Results have the same bits with any number of threads, and after a resume
 * the same as without. */
#ifndef TERN_TRAINER_H
#define TERN_TRAINER_H

#include "tern/graph.h"
#include "tern/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_trainer tern_trainer;

enum {
  /* a step whose loss is no finite number changes nothing and is passed over; otherwise it gives
   * TERN_ERR_NOT_FINITE */
  TERN_TRAINER_SKIP_NOT_FINITE = 1
};

typedef struct tern_trainer_options {
  uint32_t struct_size;
  uint32_t flags;       /* TERN_TRAINER_* */
  const char* step;     /* the signature that trains; NULL = "step" */
  const char* backends; /* as in tern_session_options; NULL = "cpu" */
  uint64_t seed;        /* the run-time scalar "seed" of all signatures */
  /* most bytes that the step may take beside the model itself: what is learnt, states, activations, work space; 0 = no
   * limit. Where activations would pass it, some are computed again on the way back: the same bits, more time */
  uint64_t budget;
} tern_trainer_options;
#define TERN_TRAINER_OPTIONS_INIT { (uint32_t)sizeof(tern_trainer_options), 0, NULL, NULL, 0, 0 }
TERN_API tern_status tern_trainer_options_init(tern_trainer_options* options, size_t size) TERN_NOEXCEPT;

/* The model stays alive as long as the trainer, and is not changed: what is learnt lies in an overlay.
 * Errors: TERN_ERR_NOT_FOUND (no such signature, backend), TERN_ERR_UNSUPPORTED (the signature writes nothing; a
 * library without TERN_TRAINING), TERN_ERR_LIMIT (the budget; the message says what takes how many bytes). */
TERN_API tern_status tern_trainer_create(const tern_model* model, const tern_trainer_options* options,
                                         tern_trainer** trainer) TERN_NOEXCEPT;
TERN_API void tern_trainer_release(tern_trainer* trainer) TERN_NOEXCEPT;

/* What the step takes beside the model, known before the first one. */
typedef struct tern_trainer_memory {
  uint32_t struct_size;
  int32_t again;              /* nodes that are computed a second time to keep within the budget */
  uint64_t parameter_bytes;   /* of what is learnt */
  uint64_t state_bytes;       /* of moments and other states */
  uint64_t activation_bytes;
  uint64_t work_bytes;        /* work space of kernels, copies of weights in another order, outputs */
  uint64_t unlimited_bytes;   /* activations, if nothing were computed again */
} tern_trainer_memory;
#define TERN_TRAINER_MEMORY_INIT { (uint32_t)sizeof(tern_trainer_memory), 0, 0, 0, 0, 0, 0 }
TERN_API tern_status tern_trainer_get_memory(const tern_trainer* trainer, tern_trainer_memory* memory) TERN_NOEXCEPT;

/* One step.
 * inputs   those of the signature in its order, without the scalars "step" and "seed", which the trainer gives
 * Errors   as tern_session_run; before the update nothing has changed.
 *          TERN_ERR_NOT_FINITE  the loss is infinite or no number; the message names the step
 *          TERN_ERR_STATE       an earlier step failed while it wrote (no memory, a lost device): tern_trainer_load
 * Threads  one call at a time for a trainer */
TERN_API tern_status tern_trainer_step(tern_trainer* trainer, const tern_tensor* const* inputs, int32_t num_inputs,
                                       const tern_run_options* options) TERN_NOEXCEPT;
/* Steps that were done, with those that were passed over. The first one's scalar "step" is 1. */
TERN_API int64_t tern_trainer_steps(const tern_trainer* trainer) TERN_NOEXCEPT;
/* Of them those that changed nothing since their loss was no finite number. */
TERN_API int64_t tern_trainer_skipped(const tern_trainer* trainer) TERN_NOEXCEPT;
/* Metric `index` of the latest step: each output of the signature that is one number, in its order. name: borrowed from
 * the model. Errors: TERN_ERR_NOT_FOUND for an index outside of them. */
TERN_API tern_status tern_trainer_get_metric(const tern_trainer* trainer, int32_t index, const char** name,
                                             double* value) TERN_NOEXCEPT;

/* Runs any signature of the model with what was learnt so far, as for a validation; as tern_session_run, with "step"
 * and "seed" left out. */
TERN_API tern_status tern_trainer_run(tern_trainer* trainer, int32_t signature, const tern_tensor* const* inputs,
                                      int32_t num_inputs, const tern_tensor** outputs, int32_t num_outputs,
                                      const tern_run_options* options) TERN_NOEXCEPT;
/* What it learns, as parameters of the model. Borrowed until tern_trainer_load or _release. */
TERN_API tern_parameters* tern_trainer_parameters(tern_trainer* trainer) TERN_NOEXCEPT;

/* A checkpoint: parameters that were changed, states, number of steps, seed. A new file replaces an old one as a whole:
 * whatever ends the program, one of the two is there.
 * more     a text of the caller's (the position in its data, ...), or NULL
 * Errors   TERN_ERR_IO (a full disk, ...): the old file is as it was */
TERN_API tern_status tern_trainer_save(const tern_trainer* trainer, const char* path, const char* more) TERN_NOEXCEPT;
/* Goes on from a checkpoint of a trainer of the same model. more: NULL, or the text that was saved, "" if none;
 * borrowed until the next call. Errors: TERN_ERR_NOT_FOUND, TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_SHAPE (of
 * another model): the trainer is as it was. */
TERN_API tern_status tern_trainer_load(tern_trainer* trainer, const char* path, const char** more) TERN_NOEXCEPT;
/* Writes `model`, of which the step was composed, with its parameters as they are now: those of `set`
 * (tern_call_options; NULL = the one without a name). What `model` has beside them, signatures and metadata, stays.
 * Errors: TERN_ERR_NOT_FOUND if the set has none of its parameters, TERN_ERR_SHAPE, TERN_ERR_IO. */
TERN_API tern_status tern_trainer_export(const tern_trainer* trainer, const tern_model* model, const char* set,
                                         const char* path) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
