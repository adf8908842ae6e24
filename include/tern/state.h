/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters (weights with a copy-on-write overlay) and states (caches and memories that live across runs). C99. */
#ifndef TERN_STATE_H
#define TERN_STATE_H

#include "tern/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One set of a model's parameters: the file's own, and an overlay of those that were changed. Sessions bound to a set
 * see its changes at their next run; other sets of the same model are not affected. */
typedef struct tern_parameters tern_parameters;

TERN_API tern_status tern_parameters_create(const tern_model* model, tern_parameters** parameters) TERN_NOEXCEPT;
TERN_API void tern_parameters_retain(tern_parameters* parameters) TERN_NOEXCEPT;
TERN_API void tern_parameters_release(tern_parameters* parameters) TERN_NOEXCEPT;
/* Grows with every change. */
TERN_API uint64_t tern_parameters_version(const tern_parameters* parameters) TERN_NOEXCEPT;
/* A copy of a parameter as a plain row-major tensor (f32 for encoded ones). Errors: TERN_ERR_NOT_FOUND,
 * TERN_ERR_MEMORY. */
TERN_API tern_status tern_parameters_get(const tern_parameters* parameters, const char* name,
                                         tern_tensor** tensor) TERN_NOEXCEPT;
/* Replaces a parameter in the overlay. Same shape; dtype f32 or the parameter's own. Not while a session bound to it
 * runs. */
TERN_API tern_status tern_parameters_set(tern_parameters* parameters, const char* name,
                                         const tern_tensor* tensor) TERN_NOEXCEPT;

/* Writes those that were changed and whose names match the pattern ("*" any characters, "?" one, "{a,b}" either, spaces
 * between several) as a file of their own, an adapter; the old file is replaced as a whole. Errors: TERN_ERR_NOT_FOUND
 * if there is none, TERN_ERR_IO, TERN_ERR_UNSUPPORTED in a library without TERN_TRAINING. */
TERN_API tern_status tern_parameters_save(const tern_parameters* parameters, const char* pattern,
                                          const char* path) TERN_NOEXCEPT;
/* Replaces the parameters that such a file holds. Errors: TERN_ERR_NOT_FOUND, TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM,
 * TERN_ERR_SHAPE (an adapter of another model; the message names the parameter): nothing has changed. */
TERN_API tern_status tern_parameters_load(tern_parameters* parameters, const char* path) TERN_NOEXCEPT;

/* The states of a model, all together, and one valid length: tensors of fixed capacity, and positions in pages of 64
 * (the keys and values of attention), which take memory as they are used. A new state is zeros, length 0. */
typedef struct tern_state tern_state;

TERN_API tern_status tern_state_create(const tern_model* model, tern_state** state) TERN_NOEXCEPT;
TERN_API void tern_state_retain(tern_state* state) TERN_NOEXCEPT;
TERN_API void tern_state_release(tern_state* state) TERN_NOEXCEPT;
/* An independent copy. Pages are shared until one of the two writes them: that costs a reference each. */
TERN_API tern_status tern_state_fork(const tern_state* state, tern_state** copy) TERN_NOEXCEPT;
/* Positions that are valid; runs of a signature with a position append after it. */
TERN_API int64_t tern_state_length(const tern_state* state) TERN_NOEXCEPT;
/* Forgets all positions from `length` on, and gives their pages back. Errors: TERN_ERR_INVALID_ARGUMENT if negative or
 * beyond the present length. */
TERN_API tern_status tern_state_truncate(tern_state* state, int64_t length) TERN_NOEXCEPT;
/* A copy of one state tensor / replaces it (same shape and type; f32 where its encoding is not "plain"). One in pages
 * is [length, heads, dim]. */
TERN_API tern_status tern_state_get(const tern_state* state, const char* name, tern_tensor** tensor) TERN_NOEXCEPT;
TERN_API tern_status tern_state_set(tern_state* state, const char* name, const tern_tensor* tensor) TERN_NOEXCEPT;
/* Writes to a new file, syncs it and renames it over `path`: an interrupted save leaves the old file or the new one. */
TERN_API tern_status tern_state_save(const tern_state* state, const char* path) TERN_NOEXCEPT;
/* Replaces the content by a saved one of the same model. On error the state is as it was. Nobody may cut the file
 * meanwhile.
 * Errors: TERN_ERR_IO, TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_SHAPE (another model's). */
TERN_API tern_status tern_state_load(tern_state* state, const char* path) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
