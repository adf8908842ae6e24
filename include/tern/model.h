/* SPDX-License-Identifier: Apache-2.0 */
/* Model: an immutable `.tern` file with signatures, tensors and metadata. Shared by any number of threads. C99. */
#ifndef TERN_MODEL_H
#define TERN_MODEL_H

#include "tern/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_model tern_model;

/* Limits of what a file may ask for; 0 = default (in brackets). A file beyond one is refused with TERN_ERR_LIMIT. */
typedef struct tern_limits {
  uint32_t struct_size;
  uint32_t max_rank;            /* [8] dims of a tensor */
  uint64_t max_file_bytes;      /* [1 TiB] */
  uint64_t max_metadata_bytes;  /* [256 MiB] the file without weights */
  uint64_t max_tensors;         /* [1,000,000] values of all graphs */
  uint64_t max_nodes;           /* [1,000,000] */
  uint64_t max_graphs;          /* [10,000] signatures and sub-graphs */
  uint64_t max_depth;           /* [16] sub-graphs within sub-graphs */
  uint64_t max_name_bytes;      /* [65,536] */
  uint64_t max_tensor_bytes;    /* [1 TiB] one tensor, in the file or planned */
  uint64_t max_planned_bytes;   /* [1 TiB] memory of one plan; also of all states */
} tern_limits;
#define TERN_LIMITS_INIT { (uint32_t)sizeof(tern_limits), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

enum {
  TERN_LOAD_COPY = 1,          /* read the file into memory instead of mapping it: for storage that others may change */
  TERN_LOAD_CHECK_WEIGHTS = 2  /* also compare the checksum of every weight (reads the whole file) */
};

typedef struct tern_load_options {
  uint32_t struct_size;
  uint32_t flags;            /* TERN_LOAD_* */
  const tern_limits* limits; /* NULL = defaults */
} tern_load_options;
#define TERN_LOAD_OPTIONS_INIT { (uint32_t)sizeof(tern_load_options), 0, NULL }

TERN_API tern_status tern_limits_init(tern_limits* limits, size_t size) TERN_NOEXCEPT;
TERN_API tern_status tern_load_options_init(tern_load_options* options, size_t size) TERN_NOEXCEPT;

/* Loads a model. The file is verified before anything of it is used: a hostile file gives an error. A mapped file must
 * not be truncated while the model lives (the system would stop the process): use TERN_LOAD_COPY where that may happen.
 * options  NULL = defaults
 * Errors   TERN_ERR_IO, TERN_ERR_NOT_FOUND (no such file), TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_LIMIT,
 *          TERN_ERR_UNSUPPORTED_OP, TERN_ERR_UNSUPPORTED_VERSION, TERN_ERR_MEMORY */
TERN_API tern_status tern_model_load_file(tern_context* context, const char* path, const tern_load_options* options,
                                          tern_model** model) TERN_NOEXCEPT;
/* From memory, which is used in place (aligned to 64 bytes, unchanged while the model lives) unless TERN_LOAD_COPY. */
TERN_API tern_status tern_model_load_memory(tern_context* context, const void* data, size_t bytes,
                                            const tern_load_options* options, tern_model** model) TERN_NOEXCEPT;
/* From an open descriptor: `bytes` from `offset` (0 = to the end). The descriptor stays the caller's and may be closed
 * after the call. For assets inside a package. `offset` must be a multiple of 64 unless TERN_LOAD_COPY. */
TERN_API tern_status tern_model_load_descriptor(tern_context* context, int32_t descriptor, uint64_t offset,
                                                uint64_t bytes, const tern_load_options* options,
                                                tern_model** model) TERN_NOEXCEPT;
TERN_API void tern_model_retain(const tern_model* model) TERN_NOEXCEPT;
TERN_API void tern_model_release(const tern_model* model) TERN_NOEXCEPT;

/* One tensor of a model. Strings are borrowed from the model. */
typedef struct tern_tensor_info {
  uint32_t struct_size;
  int32_t dtype;
  int32_t rank;
  /* 1: a run-time scalar (rank 0, i64): a new value never makes a new plan; 2: set by the session itself */
  int32_t is_scalar;
  const char* name;
  /* -1 where the size varies: of an output with the sizes of the inputs, or with data */
  int64_t dims[TERN_MAX_RANK];
  int64_t min_dims[TERN_MAX_RANK]; /* inputs: smallest and largest size allowed, equal to dims where fixed */
  int64_t max_dims[TERN_MAX_RANK];
  const char* encoding;       /* parameters, states: how they are stored, as "plain", "panel32" */
  uint64_t bytes;             /* parameters, states: bytes stored; 0 otherwise */
  int64_t step_dims[TERN_MAX_RANK]; /* inputs: a size that varies must be a multiple of this; 1 otherwise */
  /* Outputs with a dim of -1: how the dims follow from those of the inputs, as "batch, floor(width / 8), 6625", by the
   * names that the file gives to the sizes; "?" for what depends on data or is not followed. NULL otherwise. */
  const char* sizes;
} tern_tensor_info;
#define TERN_TENSOR_INFO_INIT { (uint32_t)sizeof(tern_tensor_info), 0, 0, 0, NULL, {0}, {0}, {0}, NULL, 0, {0}, NULL }

typedef enum tern_tensor_role {
  TERN_ROLE_INPUT = 0,     /* of one signature */
  TERN_ROLE_OUTPUT = 1,    /* of one signature */
  TERN_ROLE_PARAMETER = 2, /* of the model; `signature` is ignored */
  TERN_ROLE_STATE = 3      /* of the model; `signature` is ignored */
} tern_tensor_role;

TERN_API int32_t tern_model_num_signatures(const tern_model* model) TERN_NOEXCEPT;
/* Name of a signature; NULL if index is outside [0, num_signatures). Borrowed. */
TERN_API const char* tern_model_signature_name(const tern_model* model, int32_t signature) TERN_NOEXCEPT;
/* Index of a signature by name. Errors: TERN_ERR_NOT_FOUND, whose message lists the names there are. */
TERN_API tern_status tern_model_find_signature(const tern_model* model, const char* name,
                                               int32_t* signature) TERN_NOEXCEPT;
/* Number of tensors of a role; -1 for an unknown role or signature. */
TERN_API int32_t tern_model_num_tensors(const tern_model* model, int32_t signature, int32_t role) TERN_NOEXCEPT;
TERN_API tern_status tern_model_get_tensor(const tern_model* model, int32_t signature, int32_t role, int32_t index,
                                           tern_tensor_info* info) TERN_NOEXCEPT;
/* Index of an input, output, parameter or state by name. Errors: TERN_ERR_NOT_FOUND. */
TERN_API tern_status tern_model_find_tensor(const tern_model* model, int32_t signature, int32_t role, const char* name,
                                            int32_t* index) TERN_NOEXCEPT;

/* Metadata: UTF-8 key and value pairs. Borrowed from the model. */
TERN_API int32_t tern_model_num_metadata(const tern_model* model) TERN_NOEXCEPT;
TERN_API tern_status tern_model_get_metadata(const tern_model* model, int32_t index, const char** key,
                                             const char** value) TERN_NOEXCEPT;
/* Value of a key, or NULL. */
TERN_API const char* tern_model_find_metadata(const tern_model* model, const char* key) TERN_NOEXCEPT;

/* Compares the checksum of every weight with the stored one. Errors: TERN_ERR_CHECKSUM names the first that differs. */
TERN_API tern_status tern_model_check_weights(const tern_model* model) TERN_NOEXCEPT;

/* Number of nodes and of distinct operators of a signature, sub-graphs included. */
TERN_API tern_status tern_model_count_nodes(const tern_model* model, int32_t signature, int64_t* nodes,
                                            int64_t* operators) TERN_NOEXCEPT;

/* Writes a model that was composed or edited as a file, with its own parameters; the old file is replaced as a whole.
 * Errors: TERN_ERR_IO, TERN_ERR_MEMORY, TERN_ERR_UNSUPPORTED in a library without TERN_TRAINING. */
TERN_API tern_status tern_model_save(const tern_model* model, const char* path) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
