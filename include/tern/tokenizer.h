/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers: text in, token ids out, and back. They come from a file tokenizer.json (Hugging Face) or from a model
 * that carries one. Byte-level and SentencePiece-style BPE, unigram, WordPiece; ids are those of the reference library.
 * In a library built without TERN_TEXT every call that returns a status fails with TERN_ERR_UNSUPPORTED. C99. */
#ifndef TERN_TOKENIZER_H
#define TERN_TOKENIZER_H

#include "tern/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable; may be used by any number of threads. */
typedef struct tern_tokenizer tern_tokenizer;

/* From the content of a file tokenizer.json. Its truncation and padding are not applied.
 * json    UTF-8, `bytes` long; not needed after the call
 * Errors  TERN_ERR_CORRUPT      no such file, or one that contradicts itself: the message says what and where
 *         TERN_ERR_UNSUPPORTED  a part that this library does not have, as an unknown regular expression: it is named
 *         TERN_ERR_LIMIT        ids of 2^20 and more, tokens of more than 1024 bytes, more than 2^22 merges */
TERN_API tern_status tern_tokenizer_create(const void* json, size_t bytes, tern_tokenizer** tokenizer) TERN_NOEXCEPT;
/* The one that a model carries. The model may be released afterwards.
 * Errors  TERN_ERR_NOT_FOUND (it carries none), TERN_ERR_CORRUPT, TERN_ERR_UNSUPPORTED_VERSION */
TERN_API tern_status tern_tokenizer_create_from_model(const tern_model* model,
                                                      tern_tokenizer** tokenizer) TERN_NOEXCEPT;
TERN_API void tern_tokenizer_release(tern_tokenizer* tokenizer) TERN_NOEXCEPT;

enum {
  TERN_ENCODE_ADD_SPECIAL = 1,  /* what the tokenizer puts around a text, as a token for its begin */
  TERN_ENCODE_PARSE_SPECIAL = 2 /* special tokens are found in the text ("<|im_end|>"); without it they are text like
                                 * any other, as texts of users should be */
};

/* The ids of a text.
 * text      any bytes, less than 2^30; UTF-8 is expected. NULL if `bytes` is 0. In byte-level vocabularies other bytes
 *           come back from tern_tokenizer_decode as they were
 * flags     TERN_ENCODE_*
 * ids       gets the first `capacity` ids; NULL if that is 0
 * count     how many ids there are, which may be more than `capacity`. Unless the tokenizer's normaliser makes texts
 *           longer there are at most `bytes` and those that TERN_ENCODE_ADD_SPECIAL adds
 * Errors    TERN_ERR_LIMIT (text too long), TERN_ERR_UNSUPPORTED (a character is in no token and there is none for what
 *           is unknown) */
TERN_API tern_status tern_tokenizer_encode(const tern_tokenizer* tokenizer, const char* text, size_t bytes,
                                           uint32_t flags, int32_t* ids, size_t capacity,
                                           size_t* count) TERN_NOEXCEPT;

enum { TERN_DECODE_SKIP_SPECIAL = 1 /* special tokens give no text */ };

/* The text of ids.
 * flags     TERN_DECODE_*
 * text      gets the first `capacity` bytes, which need not be whole characters, and no 0 behind them; NULL if that is
 *           0
 * bytes     how many bytes there are, which may be more than `capacity`
 * Errors    TERN_ERR_INDEX (an id that is none of the vocabulary's) */
TERN_API tern_status tern_tokenizer_decode(const tern_tokenizer* tokenizer, const int32_t* ids, size_t count,
                                           uint32_t flags, char* text, size_t capacity, size_t* bytes) TERN_NOEXCEPT;

enum {
  TERN_TOKEN_SPECIAL = 1,  /* steers the model: a role, the end of a text */
  TERN_TOKEN_ADDED = 2,    /* is looked for in the text before the algorithm runs */
  TERN_TOKEN_BYTE = 4,     /* stands for one byte that is in no other token */
  TERN_TOKEN_UNUSED = 8,   /* padding of the vocabulary: no text gives it, and it gives no text */
  TERN_TOKEN_UNKNOWN = 16  /* stands for what the vocabulary lacks */
};

/* Borrowed from the tokenizer; texts are not terminated and may hold any bytes. */
typedef struct tern_token_info {
  uint32_t struct_size;
  uint32_t flags;          /* TERN_TOKEN_* */
  const char* text;        /* what it gives in the middle of a text */
  size_t text_bytes;
  const char* piece;       /* how the vocabulary spells it, in byte-level ones the bytes themselves */
  size_t piece_bytes;
  double score;            /* of vocabularies that have scores; 0 */
} tern_token_info;
#define TERN_TOKEN_INFO_INIT { (uint32_t)sizeof(tern_token_info), 0, NULL, 0, NULL, 0, 0 }

/* How many ids there are, from 0 on and with those that are not used; -1 for NULL. */
TERN_API int32_t tern_tokenizer_num_tokens(const tern_tokenizer* tokenizer) TERN_NOEXCEPT;
/* Errors: TERN_ERR_INDEX. */
TERN_API tern_status tern_tokenizer_get_token(const tern_tokenizer* tokenizer, int32_t id,
                                              tern_token_info* info) TERN_NOEXCEPT;
/* The id of a token by its piece ("<|im_end|>"). Errors: TERN_ERR_NOT_FOUND. */
TERN_API tern_status tern_tokenizer_find_token(const tern_tokenizer* tokenizer, const char* piece, size_t bytes,
                                               int32_t* id) TERN_NOEXCEPT;

typedef enum tern_token_role {
  TERN_TOKEN_ROLE_BEGIN = 0,   /* of a text */
  TERN_TOKEN_ROLE_END = 1,     /* of a text or an answer */
  TERN_TOKEN_ROLE_UNKNOWN = 2,
  TERN_TOKEN_ROLE_PADDING = 3
} tern_token_role;
/* The id that has a role; -1: the tokenizer's source names none (tokenizer.json only knows the unknown one). */
TERN_API int32_t tern_tokenizer_get_role(const tern_tokenizer* tokenizer, int32_t role) TERN_NOEXCEPT;

/* ---- streaming ---- */

/* Makes text of ids as they come. One thread at a time. */
typedef struct tern_detokenizer tern_detokenizer;

/* flags: TERN_DECODE_*. The tokenizer may be released before it. */
TERN_API tern_status tern_detokenizer_create(const tern_tokenizer* tokenizer, uint32_t flags,
                                             tern_detokenizer** detokenizer) TERN_NOEXCEPT;
TERN_API void tern_detokenizer_release(tern_detokenizer* detokenizer) TERN_NOEXCEPT;
/* The text that one more token makes complete: whole characters of UTF-8. Bytes that are no UTF-8 become U+FFFD.
 * text    lent until the next call for this detokenizer; not terminated
 * Errors  TERN_ERR_INDEX (the token is as if it had not come) */
TERN_API tern_status tern_detokenizer_add(tern_detokenizer* detokenizer, int32_t id, const char** text,
                                          size_t* bytes) TERN_NOEXCEPT;
/* Ends the text before the first of these strings: what could be the beginning of one is held back until it is clear.
 * Call it before the first token of a text.
 * stops      UTF-8, 1 to 256 bytes each, copied; NULL if num_stops, at most 16, is 0
 * Errors     TERN_ERR_LIMIT */
TERN_API tern_status tern_detokenizer_set_stops(tern_detokenizer* detokenizer, const char* const* stops,
                                                size_t num_stops) TERN_NOEXCEPT;
/* 1 from the token on with which one of the strings was complete: until tern_detokenizer_end there is no more text. 0
 * for NULL. */
TERN_API int32_t tern_detokenizer_stopped(const tern_detokenizer* detokenizer) TERN_NOEXCEPT;
/* What is left: text that was held back, U+FFFD for a character that did not come to its end. The next token begins
 * another text. */
TERN_API tern_status tern_detokenizer_end(tern_detokenizer* detokenizer, const char** text,
                                          size_t* bytes) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
