/* SPDX-License-Identifier: Apache-2.0 */
/* Session: runs the signatures of a model on chosen backends. One thread at a time uses a session (a call meanwhile
 * gives TERN_ERR_STATE); sessions of one model are independent. C99. */
#ifndef TERN_SESSION_H
#define TERN_SESSION_H

#include "tern/state.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_session tern_session;

enum {
  /* no backend whose bits depend on the machine or on threads (onednn); signatures that write states or parameters
   * never use one */
  TERN_SESSION_DETERMINISTIC = 1,
  TERN_SESSION_PROFILE = 2, /* record the time of every node (tern_session_write_profile) */
  /* keep what every node computes (tern_session_get_intermediate). Kernels and fusion stay as they are, memory does
   * not: everything is alive to the end of a run */
  TERN_SESSION_KEEP_INTERMEDIATES = 4
};

typedef struct tern_session_options {
  uint32_t struct_size;
  uint32_t flags;              /* TERN_SESSION_* */
  /* names in order of preference, separated by commas ("onednn,cpu"); NULL = "cpu". What none of them takes runs on the
   * CPU. "reference" runs the model's nodes as they are written, in plain loops: the oracle of all others */
  const char* backends;
  tern_parameters* parameters; /* retained; NULL = the file's own */
  tern_state* state;           /* retained; NULL = a new one */
  int32_t max_plans;           /* plans kept for different input shapes; 0 = 8 */
} tern_session_options;
#define TERN_SESSION_OPTIONS_INIT { (uint32_t)sizeof(tern_session_options), 0, NULL, NULL, NULL, 0 }
TERN_API tern_status tern_session_options_init(tern_session_options* options, size_t size) TERN_NOEXCEPT;

/* Errors: TERN_ERR_INVALID_ARGUMENT, TERN_ERR_NOT_FOUND (a backend; the message lists those there are),
 * TERN_ERR_UNSUPPORTED (a backend that this machine cannot run; the message says what is missing), TERN_ERR_MEMORY. */
TERN_API tern_status tern_session_create(const tern_model* model, const tern_session_options* options,
                                         tern_session** session) TERN_NOEXCEPT;
/* The model stays alive as long as its sessions. */
TERN_API void tern_session_release(tern_session* session) TERN_NOEXCEPT;
/* The state that the session reads and writes. Borrowed. */
TERN_API tern_state* tern_session_state(tern_session* session) TERN_NOEXCEPT;
/* Makes later runs use another state of the same model (retained). */
TERN_API tern_status tern_session_set_state(tern_session* session, tern_state* state) TERN_NOEXCEPT;

typedef struct tern_run_options {
  uint32_t struct_size;
  uint32_t flags;            /* 0; unknown bits give TERN_ERR_INVALID_ARGUMENT */
  const tern_cancel* cancel; /* NULL = cannot be cancelled; borrowed during the call */
  /* nanoseconds from the start of the call; 0 = none. Both are looked at between nodes, and between the steps of making
   * a plan */
  uint64_t timeout_ns;
} tern_run_options;
#define TERN_RUN_OPTIONS_INIT { (uint32_t)sizeof(tern_run_options), 0, NULL, 0 }
TERN_API tern_status tern_run_options_init(tern_run_options* options, size_t size) TERN_NOEXCEPT;

/* Runs one signature.
 * inputs   n_inputs tensors in signature order; shapes within the declared ranges. NULL: the bound one; NULL also for
 * is_scalar 2.
 * outputs  filled on success, n_outputs in signature order: retained for the caller, who releases each; never
 * overwritten
 *          while held. An entry for a bound output is the bound tensor.
 * Errors   TERN_ERR_SHAPE, TERN_ERR_TYPE  an input does not fit (the message names it)
 *          TERN_ERR_INDEX      an index in an input is out of range
 *          TERN_ERR_NOT_FINITE the graph requires a value to be finite that is not; states and parameters are as before
 *          TERN_ERR_CANCELLED, TERN_ERR_DEADLINE  states are as before the run; the session may run again
 *          TERN_ERR_LIMIT      a state's capacity or a limit of the model is passed
 *          TERN_ERR_DEVICE_LOST create a new session
 *          TERN_ERR_STATE      an earlier run failed (no memory, a lost device) while it wrote the parameters or the
 *                              state:
 *                              parts are new, parts old. Create new parameters; load a saved state, or create a new one
 *          TERN_ERR_STATE      also: another thread is in a call with this session, its state, or parameters that
 *                              either writes
 * Threads  one call at a time for a session, and for a state; parameters may be read by many at a time, written by one
 * alone.
 *          A second call is refused with TERN_ERR_STATE and changes nothing. Only tern_session_release must wait by
 *          itself */
TERN_API tern_status tern_session_run(tern_session* session, int32_t signature, const tern_tensor* const* inputs,
                                      int32_t n_inputs, const tern_tensor** outputs, int32_t n_outputs,
                                      const tern_run_options* options) TERN_NOEXCEPT;

/* Runs a signature that takes the rows (tokens) of several sequences: one state each, advanced by different numbers of
 * rows. Such a signature has inputs of is_scalar 2 with a dim: they get the sequence and the position of each row, and
 * are given as NULL. Sequences may join and leave at any run: plans are made for a few numbers of rows only.
 * states   n_states different states of the model; the session's own is used only if it is among them
 * counts   rows of each; counts[i] rows follow those of the states before it in every input whose first dim is that of
 *          the rows. 0 lets a sequence rest. Afterwards tern_state_length has grown by counts[i]
 * inputs, outputs  as for tern_session_run; outputs have as many rows as were given. What a row gives depends on its
 *          own sequence alone, in every bit
 * tern_session_run of such a signature advances the session's own state by all rows.
 * Errors   as tern_session_run; also
 *          TERN_ERR_INVALID_ARGUMENT a state is given twice or belongs to another model
 *          TERN_ERR_SHAPE            the counts do not add up to the rows of the inputs, or one is negative
 *          TERN_ERR_LIMIT            a sequence would pass its capacity; none has changed
 *          TERN_ERR_UNSUPPORTED      the signature takes one sequence at a time, or the library was built without
 *                                    TERN_TEXT
 * Threads  as tern_session_run, for all of the states */
TERN_API tern_status tern_session_run_sequences(tern_session* session, int32_t signature, tern_state* const* states,
                                                const int64_t* counts, int32_t n_states,
                                                const tern_tensor* const* inputs, int32_t n_inputs,
                                                const tern_tensor** outputs, int32_t n_outputs,
                                                const tern_run_options* options) TERN_NOEXCEPT;

/* Binds a tensor to an input or output for all later runs (retained; NULL unbinds). A bound output is written in place:
 * its shape and type must be those of the result. */
TERN_API tern_status tern_session_bind_input(tern_session* session, int32_t signature, int32_t index,
                                             const tern_tensor* tensor) TERN_NOEXCEPT;
TERN_API tern_status tern_session_bind_output(tern_session* session, int32_t signature, int32_t index,
                                              tern_tensor* tensor) TERN_NOEXCEPT;
/* A prepared run: all inputs and outputs are bound. Looks nothing up; the fastest way for small models called often.
 * Errors: as tern_session_run, and TERN_ERR_STATE if something is not bound. */
TERN_API tern_status tern_session_run_bound(tern_session* session, int32_t signature,
                                            const tern_run_options* options) TERN_NOEXCEPT;

/* Makes the plan for these input shapes ahead of the first run. dims: for each input rank numbers, one after another;
 * NULL = the declared shapes (TERN_ERR_SHAPE if they vary). */
TERN_API tern_status tern_session_prepare(tern_session* session, int32_t signature, const int64_t* dims,
                                          int32_t n_dims) TERN_NOEXCEPT;

typedef struct tern_memory_report {
  uint32_t struct_size;
  /* kept, one for each combination of input shapes; at most max_plans for each signature. Where sizes depend on data,
   * one more for each size that came by, of which max_plans are kept */
  int32_t num_plans;
  uint64_t arena_bytes;      /* activations of the largest plan, all backends */
  uint64_t arena_bound;      /* most bytes alive at one node of that plan: no placement can be smaller */
  uint64_t scratch_bytes;    /* work space of kernels, of that plan */
  uint64_t prepared_bytes;   /* copies of weights in another order, tables, of that plan */
  uint64_t mapped_bytes;     /* weights used in place from the file */
  uint64_t state_bytes;
  uint64_t overlay_bytes;    /* changed parameters */
  uint64_t output_bytes;     /* pool of output tensors */
  uint64_t plan_bytes;       /* activations, work space and copies of weights of all num_plans plans that are kept */
} tern_memory_report;
#define TERN_MEMORY_REPORT_INIT { (uint32_t)sizeof(tern_memory_report), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
TERN_API tern_status tern_session_memory(const tern_session* session, tern_memory_report* report) TERN_NOEXCEPT;

/* Where each node of the latest plan of a signature runs and why. */
typedef enum tern_placement_kind {
  TERN_PLACED_KERNEL = 0,     /* a kernel of the backend */
  TERN_PLACED_DECOMPOSED = 1, /* the backend lacks a kernel: this node is a part of the operator's decomposition */
  TERN_PLACED_REFERENCE = 2,  /* plain loops: right, but slow */
  TERN_PLACED_COPY = 3        /* a transfer between backends */
} tern_placement_kind;

typedef struct tern_placement {
  uint32_t struct_size;
  int32_t kind;          /* tern_placement_kind */
  const char* node;      /* borrowed until the session's next call */
  const char* op;        /* operator, with what was fused into it: "conv2d+relu" */
  const char* backend;
  const char* origin;    /* composite operator that it came from, or "" */
  const char* reason;    /* why not on the preferred backend, or "" */
  double time_ns;        /* sum over runs; 0 without TERN_SESSION_PROFILE */
} tern_placement;
#define TERN_PLACEMENT_INIT { (uint32_t)sizeof(tern_placement), 0, NULL, NULL, NULL, NULL, NULL, 0 }
/* Number of entries, in order of execution; -1 before the first plan. */
TERN_API int32_t tern_session_num_placements(const tern_session* session, int32_t signature) TERN_NOEXCEPT;
TERN_API tern_status tern_session_get_placement(const tern_session* session, int32_t signature, int32_t index,
                                                tern_placement* placement) TERN_NOEXCEPT;

/* What the nodes of the latest run of a signature computed, in order of execution. What was fused into one kernel is
 * one node; sub-graphs of control flow are not looked into. To compare two sessions, match by name: it belongs to the
 * value in the model, whatever a backend fused. */
typedef struct tern_intermediate {
  uint32_t struct_size;
  /* of the value; not empty, not given twice; borrowed until the session's next call, as the others */
  const char* name;
  const char* node;           /* or "" */
  const char* op;             /* operator, with what was fused into it: "conv2d+relu" */
  const tern_tensor* tensor;  /* one that is retained is not overwritten by later runs */
} tern_intermediate;
#define TERN_INTERMEDIATE_INIT { (uint32_t)sizeof(tern_intermediate), NULL, NULL, NULL, NULL }
/* 0 before the first run, after one that failed, and without TERN_SESSION_KEEP_INTERMEDIATES. */
TERN_API int32_t tern_session_num_intermediates(const tern_session* session, int32_t signature) TERN_NOEXCEPT;
TERN_API tern_status tern_session_get_intermediate(const tern_session* session, int32_t signature, int32_t index,
                                                   tern_intermediate* intermediate) TERN_NOEXCEPT;

/* Writes the recorded times as a trace file for Perfetto or chrome://tracing (JSON).
 * Errors: TERN_ERR_STATE without TERN_SESSION_PROFILE, TERN_ERR_IO. */
TERN_API tern_status tern_session_write_profile(const tern_session* session, const char* path) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
