/* SPDX-License-Identifier: Apache-2.0 */
/* Generator: goes on with a sequence of tokens with a language model. C99. */
#ifndef TERN_GENERATOR_H
#define TERN_GENERATOR_H

#include "tern/session.h"
#include "tern/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_generator tern_generator;

/* What happens when all positions of the model are used. */
typedef enum tern_when_full {
  TERN_WHEN_FULL_STOP = 0, /* TERN_ERR_LIMIT */
  TERN_WHEN_FULL_SLIDE = 1 /* the first `keep` tokens stay, of the others the older half is forgotten, and what is
                            * left is computed again: tern_generator_length becomes smaller */
} tern_when_full;

/* Steps of choosing a token, in this order: the bias is added (tern_generator_set_bias); tokens that the grammar does
 * not allow are left out (tern_generator_set_grammar); logits of tokens that are there already are made smaller by the
 * penalty; all are divided by the temperature; of the top_k largest, the fewest stay whose probabilities reach top_p;
 * of these, those with at least min_p times the largest probability. One of the rest is drawn. */
typedef struct tern_generator_options {
  uint32_t struct_size;
  int32_t top_k;             /* 0 = all */
  const char* backends;      /* as in tern_session_options; NULL = "cpu" */
  float temperature;         /* 0 = always the largest logit: the other fields but the penalty have no meaning */
  float top_p;               /* in (0, 1]; 0 = 1 */
  float min_p;               /* in [0, 1) */
  float repetition_penalty;  /* positive logits are divided by it, others multiplied; 0 = 1, which is none */
  uint64_t seed;             /* the same seed, tokens and options choose the same, whatever the number of threads */
  int64_t keep;              /* tokens from the first one on that never slide away; at most capacity - 2 */
  int32_t when_full;         /* tern_when_full */
  int32_t log_probabilities; /* how many of the largest tern_generator_log_probabilities lends, up to 1000; 0 = none */
  int64_t look_ahead;        /* tokens that are guessed and computed together with the one before them, 0 to 64: what
                              * followed when the last two or three were there before, or what tern_generator_set_draft
                              * says. The results are the same in every bit; texts that repeat themselves take less
                              * time, others a little more */
} tern_generator_options;
#define TERN_GENERATOR_OPTIONS_INIT { (uint32_t)sizeof(tern_generator_options), 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
TERN_API tern_status tern_generator_options_init(tern_generator_options* options, size_t size) TERN_NOEXCEPT;

/* The model stays alive as long as the generator. options NULL = defaults.
 * Errors   TERN_ERR_UNSUPPORTED: no language model (one with the signatures "prefill" and "decode", as tern_import_file
 *          makes them), or a library without TERN_TEXT; TERN_ERR_INVALID_ARGUMENT: an option out of range */
TERN_API tern_status tern_generator_create(tern_model* model, const tern_generator_options* options,
                                           tern_generator** generator) TERN_NOEXCEPT;
TERN_API void tern_generator_release(tern_generator* generator) TERN_NOEXCEPT;

/* One more generator that has the same tokens and goes on by itself, with options of its own: what was computed so far
 * is shared until one of the two writes it, and so are plans and work space. The copies of a generator, and their
 * copies, are a family. Grammar, bias and draft are not copied; options->backends is not looked at.
 * Errors   as tern_generator_create
 * Threads  one call at a time for a family */
TERN_API tern_status tern_generator_fork(tern_generator* generator, const tern_generator_options* options,
                                         tern_generator** fork) TERN_NOEXCEPT;

/* Appends tokens, a prompt for instance, and computes what follows them.
 * tokens   numbers in [0, tern_generator_vocabulary)
 * Errors   TERN_ERR_INDEX: a token out of range; TERN_ERR_LIMIT: more than tern_generator_capacity in all;
 *          TERN_ERR_CANCELLED, TERN_ERR_DEADLINE. There are as many tokens as before.
 * Threads  one call at a time for a generator; a second one gives TERN_ERR_STATE */
TERN_API tern_status tern_generator_feed(tern_generator* generator, const int32_t* tokens, int64_t num_tokens,
                                         const tern_run_options* options) TERN_NOEXCEPT;
/* Chooses the token that follows, and appends it.
 * Errors   TERN_ERR_STATE: there is no token yet, the text of the grammar has ended, or the bias forbids all tokens;
 *          TERN_ERR_LIMIT: all positions are used; TERN_ERR_UNSUPPORTED: no token goes on as the grammar says; else as
 *          tern_generator_feed */
TERN_API tern_status tern_generator_next(tern_generator* generator, int32_t* token,
                                         const tern_run_options* options) TERN_NOEXCEPT;
/* tern_generator_next for several generators of a family, which are computed together: the weights are read once for
 * all of them. Each has the tokens that it would have alone; any may be left out, or come in, at each call. Guesses
 * (look_ahead) are not made.
 * generators  num_generators different ones
 * tokens      num_generators; -1 where none was chosen
 * statuses    num_generators: TERN_OK, or why one has no token, as tern_generator_next says it. The others have theirs.
 *             tern_last_error is about the one that failed last; tern_generator_next of another one says its own
 * Errors      TERN_ERR_INVALID_ARGUMENT: none or more than 4096, one is given twice, or is of another family;
 *             TERN_ERR_CANCELLED, TERN_ERR_DEADLINE, TERN_ERR_MEMORY: nothing was chosen, the outputs are untouched;
 *             with TERN_WHEN_FULL_SLIDE, tokens may have slid away */
TERN_API tern_status tern_generator_next_batch(tern_generator* const* generators, int32_t num_generators,
                                               int32_t* tokens, int32_t* statuses,
                                               const tern_run_options* options) TERN_NOEXCEPT;

/* GBNF: rules `name ::= ...`, of which `root` is the whole text: "text" with \n \r \t \\ \" \xHH \uHHHH \UHHHHHHHH,
 * [a-z], [^a-z], `.`, (a | b), ?, *, +, {2}, {2,}, {2,5}; # begins a comment.
 * JSON schema: the text is JSON that this schema (2020-12) takes; `true` takes all JSON. Objects have their properties
 * in the schema's order, and others only where it has additionalProperties or names none. */
typedef enum tern_grammar_kind {
  TERN_GRAMMAR_NONE = 0, /* any text */
  TERN_GRAMMAR_GBNF = 1,
  TERN_GRAMMAR_JSON_SCHEMA = 2
} tern_grammar_kind;

/* From now on tern_generator_next makes texts of a grammar alone, and ends them with a token for the end exactly where
 * the grammar may end; behind that it fails with TERN_ERR_STATE. A text begins with this call and with each
 * tern_generator_feed. tern_generator_truncate goes back within it.
 * tokenizer   that of the model; may be released afterwards. With TERN_GRAMMAR_NONE it and `text` are not looked at
 * text        UTF-8, `bytes` long; not needed after the call
 * max_tokens  of a text, with the token for its end; 0 = as many as there are positions. The text is closed before they
 *             are used up: when few are left, the shortest way to the end is taken. Each byte of that way counts as a
 *             token, so that a text may be closed a little early. A grammar whose shortest text is longer passes it
 * Errors      TERN_ERR_CORRUPT      a wrong grammar or schema: the message has line and column, or the JSON pointer
 *             TERN_ERR_UNSUPPORTED  a keyword of a schema that this library lacks: it is named, with its pointer
 *             TERN_ERR_LIMIT        too large, too deep or repeated too often; tern_generator_next: too many ways lead
 *                                   through the grammar at once
 *             The grammar is the one of before */
TERN_API tern_status tern_generator_set_grammar(tern_generator* generator, const tern_tokenizer* tokenizer,
                                                int32_t kind, const char* text, size_t bytes,
                                                int64_t max_tokens) TERN_NOEXCEPT;
/* What is added to the logits of some tokens before one is chosen; it takes the place of what was set before.
 * tokens, values  num_tokens each; NULL if that is 0. -INFINITY: the token is never chosen
 * Errors          TERN_ERR_INDEX: a token out of range; TERN_ERR_INVALID_ARGUMENT: NaN or +INFINITY */
TERN_API tern_status tern_generator_set_bias(tern_generator* generator, const int32_t* tokens, const float* values,
                                             int64_t num_tokens) TERN_NOEXCEPT;
/* Natural logarithms of probabilities at the last choice of tern_generator_next, as the model gave them: without bias,
 * grammar, penalty and temperature.
 * tokens, values  `count` each: the token that was chosen, then the most probable ones. Borrowed until the next call
 *                 with this generator
 * Errors          TERN_ERR_STATE: no token was chosen yet, or the option log_probabilities is 0 */
TERN_API tern_status tern_generator_log_probabilities(tern_generator* generator, const int32_t** tokens,
                                                      const float** values, int64_t* count) TERN_NOEXCEPT;
/* Lets a smaller model guess: what `draft` would choose is computed ahead, look_ahead tokens at a time (speculative
 * decoding, Leviathan et al. 2023; a guess counts where this generator chooses the same token itself).
 * draft    of another model with the same vocabulary; its tokens become those of this generator, and it is used by
 *          tern_generator_next and tern_generator_logits alone while it is set. It must not be released before. NULL:
 *          guesses come from the tokens themselves again. Where both models carry a tokenizer, their logits may be of
 *          different numbers, as where one is padded: what one of them does not use is never guessed
 * Errors   TERN_ERR_INVALID_ARGUMENT: one of the same family, a token that is another one, without tokenizers another
 *          number of logits, or one of the two guesses for a third */
TERN_API tern_status tern_generator_set_draft(tern_generator* generator, tern_generator* draft) TERN_NOEXCEPT;
/* How many tokens were guessed so far, and how many of them were chosen then. */
TERN_API tern_status tern_generator_guesses(tern_generator* generator, int64_t* made, int64_t* right) TERN_NOEXCEPT;
/* Logits of the token that follows.
 * logits   tern_generator_vocabulary numbers. Borrowed until the next call with this generator
 * Errors   as tern_generator_next */
TERN_API tern_status tern_generator_logits(tern_generator* generator, const float** logits,
                                           const tern_run_options* options) TERN_NOEXCEPT;
/* Writes the sequence to a file: its tokens, what was computed of them, how tokens are chosen (temperature to seed),
 * and where it stands within a text of a grammar. To a new file, which is synced and renamed over `path`: an
 * interrupted save leaves the old file or the new one.
 * data     `bytes` of the caller's, such as the messages of a chat; NULL if that is 0 */
TERN_API tern_status tern_generator_save(tern_generator* generator, const char* path, const void* data,
                                         size_t bytes) TERN_NOEXCEPT;
/* Goes on where a generator of the same model was when it was saved: the tokens that follow are the same. What
 * tern_generator_set_grammar, set_bias and set_draft have set stays; a text of the grammar goes on within it. The other
 * options are those that this generator was created with. The file may come from anybody, but nobody may cut it
 * meanwhile.
 * data     the caller's bytes that are in the file, `bytes` long. Borrowed until the next call with this generator
 * Errors   TERN_ERR_NOT_FOUND, TERN_ERR_IO; TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM: damaged, or no such file;
 *          TERN_ERR_UNSUPPORTED_VERSION; TERN_ERR_SHAPE: that of another model, or of other weights;
 *          TERN_ERR_INVALID_ARGUMENT: its text is none of the grammar. The generator is as it was */
TERN_API tern_status tern_generator_load(tern_generator* generator, const char* path, const void** data,
                                         size_t* bytes) TERN_NOEXCEPT;
/* How tokens are chosen from now on: top_k, temperature, top_p, min_p, repetition_penalty and seed of the options.
 * Errors: as tern_generator_create. */
TERN_API tern_status tern_generator_set_sampler(tern_generator* generator,
                                                const tern_generator_options* options) TERN_NOEXCEPT;
/* All tokens that were fed or chosen and not forgotten.
 * tokens   gets the first `capacity` of them; NULL if that is 0
 * count    tern_generator_length, which may be more than `capacity` */
TERN_API tern_status tern_generator_get_tokens(tern_generator* generator, int32_t* tokens, int64_t capacity,
                                               int64_t* count) TERN_NOEXCEPT;
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
