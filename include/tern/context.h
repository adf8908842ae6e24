/* SPDX-License-Identifier: Apache-2.0 */
/* Context: threads, memory and log that models, sessions and tasks share. C99. */
#ifndef TERN_CONTEXT_H
#define TERN_CONTEXT_H

#include "tern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_context tern_context;

/* Memory for tensors, arenas, states and changed or re-ordered weights. NULL members are not allowed.
 * allocate  returns `bytes` (> 0) aligned to `alignment` (a power of two, at most 4096), or NULL when there is none.
 * release   takes back what allocate gave, with the same `bytes`.
 * Threads   both may be called by any thread. */
typedef struct tern_allocator {
  uint32_t struct_size;
  void* user;
  void* (*allocate)(void* user, size_t bytes, size_t alignment);
  void (*release)(void* user, void* memory, size_t bytes);
} tern_allocator;

/* The host's own thread pool: calls task(task_user, i) once for every i in [0, n) and returns when all have returned.
 * Calls may run in any order and on any thread. */
typedef void (*tern_parallel_fn)(void* user, int32_t n, void (*task)(void* task_user, int32_t i), void* task_user);

/* What happens beside the results. `message` is one line of UTF-8, valid during the call. Called by the thread whose
 * call of the library it is about, so by any; it may call the library, but not with the objects of that call
 * (TERN_ERR_STATE).
 * level  0 error        a model could not be loaded, a session not be made, a run or plan failed (not: was cancelled or
 * late)
 *        1 warning      right, but slow: nodes in plain loops; plans that push each other out; models of a task that
 *                       may not belong together
 *        2 information  models loaded, backends opened, sessions and plans made, with times and bytes
 *        3 detail       each node that does not run as the backend in front would: where it runs, and why */
typedef void (*tern_log_fn)(void* user, int32_t level, const char* message);

typedef enum tern_wait {
  TERN_WAIT_SPIN_THEN_SLEEP = 0, /* spins some 50 microseconds for the next piece of work, then sleeps */
  TERN_WAIT_SLEEP = 1,           /* sleeps at once: least power, slower hand-over */
  TERN_WAIT_SPIN = 2             /* never sleeps during a run, and as 0 between runs: fastest hand-over */
} tern_wait;

/* Numbers below the smallest normal one (1.2e-38 in f32): many processors take some hundred times as long for them.
 * Only the threads of a run are switched, while they work for it: the caller's thread has its own mode again, and its
 * rounding mode, when a call returns. Neither mode of the caller changes a result. */
typedef enum tern_denormals {
  TERN_DENORMALS_FLUSH = 0, /* taken for zero, where the processor can */
  TERN_DENORMALS_KEEP = 1   /* computed with */
} tern_denormals;

/* Matrix tiles (Intel AMX) make products of 8-bit integers several times as fast, with the same bits. Linux gives a
 * process their registers when it asks, for good; from then on a signal needs some 11 KiB of stack, and sigaltstack()
 * refuses less (getauxval(AT_MINSIGSTKSZ) knows the size). The library asks when it plans the first such product on a
 * processor with tiles. Where that is refused, since a thread has a smaller signal stack, it takes other
 * instructions. */
typedef enum tern_tiles {
  TERN_TILES_AUTO = 0, /* asked for when there is a use for them */
  TERN_TILES_NEVER = 1 /* not asked for, and not used */
} tern_tiles;

typedef struct tern_context_options {
  uint32_t struct_size;            /* TERN_CONTEXT_OPTIONS_INIT sets it */
  /* threads of a run including the caller's; 0 = CPUs that this process may use; at most 256 */
  int32_t num_threads;
  uint64_t affinity_mask;          /* bit i: worker threads may run on CPU i (0..63); 0 = not pinned */
  int32_t wait;                    /* tern_wait */
  int32_t log_level;               /* messages up to this level reach `log` */
  const tern_allocator* allocator; /* copied; NULL = the C library's */
  tern_parallel_fn parallel;       /* NULL = own pool, started at the first run that needs it */
  void* parallel_user;
  tern_log_fn log; /* NULL = silent */
  void* log_user;
  int32_t denormals; /* tern_denormals */
  int32_t tiles;     /* tern_tiles */
} tern_context_options;
#define TERN_CONTEXT_OPTIONS_INIT \
  { (uint32_t)sizeof(tern_context_options), 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 0, 0 }

/* Fills `options` with defaults; for bindings that cannot use the macro. size = sizeof of the caller's struct. */
TERN_API tern_status tern_context_options_init(tern_context_options* options, size_t size) TERN_NOEXCEPT;

/* options NULL = defaults. Errors: TERN_ERR_INVALID_ARGUMENT, TERN_ERR_MEMORY. */
TERN_API tern_status tern_context_create(const tern_context_options* options, tern_context** context) TERN_NOEXCEPT;

/* Models, sessions and tensors made in a context keep it alive. NULL is fine. */
TERN_API void tern_context_release(tern_context* context) TERN_NOEXCEPT;

/* Devices of the backends. Index 0 is always "cpu"; the second device of a backend is called "NAME:1". "onednn" runs
 * convolutions and matrix products with oneDNN 3.x in the CPU's memory, where that library is found at run time: the
 * file that the environment variable TERN_ONEDNN_LIBRARY names, or libdnnl.so.3 where the system looks for libraries.
 * It stays loaded to the end of the process. */
typedef struct tern_device_info {
  uint32_t struct_size;
  char backend[32];        /* name for tern_session_options.backends */
  char device[128];        /* e.g. the CPU's name and its instruction set in use */
  uint64_t memory_bytes;   /* of the device; 0 = unknown */
  int32_t available;       /* 1 if a session can be made on it */
  char reason[128];        /* why not available, or "" */
} tern_device_info;
#define TERN_DEVICE_INFO_INIT { (uint32_t)sizeof(tern_device_info), {0}, {0}, 0, 0, {0} }

TERN_API int32_t tern_context_num_devices(const tern_context* context) TERN_NOEXCEPT;
/* Errors: TERN_ERR_INVALID_ARGUMENT for an index outside [0, num_devices). */
TERN_API tern_status tern_context_get_device(const tern_context* context, int32_t index,
                                             tern_device_info* info) TERN_NOEXCEPT;

/* A flag that stops a running call from another thread. */
typedef struct tern_cancel tern_cancel;
TERN_API tern_status tern_cancel_create(tern_cancel** cancel) TERN_NOEXCEPT;
/* Any thread, any time. Runs that were given `cancel` return TERN_ERR_CANCELLED soon. */
TERN_API void tern_cancel_signal(tern_cancel* cancel) TERN_NOEXCEPT;
/* Makes it usable again. Not while a run uses it. */
TERN_API void tern_cancel_reset(tern_cancel* cancel) TERN_NOEXCEPT;
TERN_API void tern_cancel_release(tern_cancel* cancel) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
