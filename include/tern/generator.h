/* SPDX-License-Identifier: Apache-2.0 */
/* Generator: goes on with a sequence of tokens with a language model. C99. */
#ifndef TERN_GENERATOR_H
#define TERN_GENERATOR_H

#include "tern/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_generator tern_generator;

/* Steps of choosing a token, in this order: logits of tokens that are there already are made smaller by the penalty;
 * all are divided by the temperature; of the top_k largest, the fewest stay whose probabilities reach top_p; of these,
 * those with at least min_p times the largest probability. One of the rest is drawn. */
typedef struct tern_generator_options {
  uint32_t struct_size;
  int32_t top_k;             /* 0 = all */
  const char* backends;      /* as in tern_session_options; NULL = "cpu" */
  float temperature;         /* 0 = always the largest logit: the other fields but the penalty have no meaning */
  float top_p;               /* in (0, 1]; 0 = 1 */
  float min_p;               /* in [0, 1) */
  float repetition_penalty;  /* positive logits are divided by it, others multiplied; 0 = 1, which is none */
  uint64_t seed;             /* the same seed, tokens and options choose the same, whatever the number of threads */
} tern_generator_options;
#define TERN_GENERATOR_OPTIONS_INIT { (uint32_t)sizeof(tern_generator_options), 0, NULL, 0, 0, 0, 0, 0 }
TERN_API tern_status tern_generator_options_init(tern_generator_options* options, size_t size) TERN_NOEXCEPT;

/* The model stays alive as long as the generator. options NULL = defaults.
 * Errors   TERN_ERR_UNSUPPORTED: no language model (one with the signatures "prefill" and "decode", as tern_import_file
 *          makes them), or a library without TERN_TEXT; TERN_ERR_INVALID_ARGUMENT: an option out of range */
TERN_API tern_status tern_generator_create(tern_model* model, const tern_generator_options* options,
                                           tern_generator** generator) TERN_NOEXCEPT;
TERN_API void tern_generator_release(tern_generator* generator) TERN_NOEXCEPT;

/* Appends tokens, a prompt for instance, and computes what follows them.
 * tokens   numbers in [0, tern_generator_vocabulary)
 * Errors   TERN_ERR_INDEX: a token out of range; TERN_ERR_LIMIT: more than tern_generator_capacity in all;
 *          TERN_ERR_CANCELLED, TERN_ERR_DEADLINE. There are as many tokens as before.
 * Threads  one call at a time for a generator; a second one gives TERN_ERR_STATE */
TERN_API tern_status tern_generator_feed(tern_generator* generator, const int32_t* tokens, int64_t num_tokens,
                                         const tern_run_options* options) TERN_NOEXCEPT;
/* Chooses the token that follows, and appends it.
 * Errors   TERN_ERR_STATE: there is no token yet; TERN_ERR_LIMIT: all positions are used; else as
 *          tern_generator_feed */
TERN_API tern_status tern_generator_next(tern_generator* generator, int32_t* token,
                                         const tern_run_options* options) TERN_NOEXCEPT;
/* Logits of the token that follows.
 * logits   tern_generator_vocabulary numbers. Borrowed until the next call with this generator
 * Errors   as tern_generator_next */
TERN_API tern_status tern_generator_logits(tern_generator* generator, const float** logits,
                                           const tern_run_options* options) TERN_NOEXCEPT;
/* Tokens so far. */
TERN_API int64_t tern_generator_length(const tern_generator* generator) TERN_NOEXCEPT;
/* Forgets the tokens from `length` on; 0 begins anew. Errors: TERN_ERR_INVALID_ARGUMENT if negative or beyond the
 * length. */
TERN_API tern_status tern_generator_truncate(tern_generator* generator, int64_t length) TERN_NOEXCEPT;
/* How many different tokens there are, and how many a sequence can hold. 0 for NULL. */
TERN_API int64_t tern_generator_vocabulary(const tern_generator* generator) TERN_NOEXCEPT;
TERN_API int64_t tern_generator_capacity(const tern_generator* generator) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
