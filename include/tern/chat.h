/* SPDX-License-Identifier: Apache-2.0 */
/* Chats with a language model: messages in, token ids out, as the model was trained to read them.
 *
 *   tern_chat_create(tokenizer, tern_model_find_metadata(model, "language.chat_template"), NULL, &chat);
 *   tern_chat_encode(chat, messages, 1, 0, TERN_CHAT_ANSWER, ids, capacity, &count);
 *   tern_generator_feed(generator, ids, count, NULL);
 *   tern_generator_next(...) until it gives one of tern_chat_get_ends
 *
 * The template that a model carries is not run, but recognised. Families: "chatml" (Qwen 2.5 and 3, SmolLM2), "llama3",
 * "llama2", "mistral", "gemma", "bitnet" (b1.58 2B4T), "zephyr" (TinyLlama, too). Calls of tools and pictures are in
 * none. What is no token of the vocabulary but text in a template ("[INST]" of Llama 2) cannot be told from the same
 * text in a message. In a library built without TERN_TEXT every call that returns a status fails with
 * TERN_ERR_UNSUPPORTED. C99. */
#ifndef TERN_CHAT_H
#define TERN_CHAT_H

#include "tern/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable; may be used by any number of threads. */
typedef struct tern_chat tern_chat;

enum {
  TERN_CHAT_NO_THINKING = 1 /* answers begin behind an empty thought, where the template knows that (Qwen 3) */
};

typedef struct tern_chat_options {
  uint32_t struct_size;
  uint32_t flags;             /* TERN_CHAT_NO_THINKING */
  const char* template_name;  /* of a family; NULL = recognised */
  const char* date;           /* "26 Jul 2024", for templates that tell the date (Llama 3.1); NULL = today's */
} tern_chat_options;
#define TERN_CHAT_OPTIONS_INIT { (uint32_t)sizeof(tern_chat_options), 0, NULL, NULL }
TERN_API tern_status tern_chat_options_init(tern_chat_options* options, size_t size) TERN_NOEXCEPT;

/* tokenizer      may be released before the chat
 * source         the template as the model carries it, in Jinja; NULL: none, options name one
 * options        NULL = defaults
 * Errors         TERN_ERR_NOT_FOUND         neither source nor name
 *                TERN_ERR_INVALID_ARGUMENT  no family has this name
 *                TERN_ERR_UNSUPPORTED       the source is of no family that is known, the message lists them; or the
 *                                           vocabulary lacks the token with which turns end */
TERN_API tern_status tern_chat_create(const tern_tokenizer* tokenizer, const char* source,
                                      const tern_chat_options* options, tern_chat** chat) TERN_NOEXCEPT;
TERN_API void tern_chat_release(tern_chat* chat) TERN_NOEXCEPT;
/* The name of its family; NULL for NULL. Borrowed for ever. */
TERN_API const char* tern_chat_template(const tern_chat* chat) TERN_NOEXCEPT;

typedef struct tern_chat_message {
  uint32_t struct_size;   /* of all messages of a list the same */
  uint32_t flags;         /* 0 */
  const char* role;       /* "system", "user" or "assistant" */
  const char* content;    /* any bytes, UTF-8 is expected; special tokens that it spells stay text. NULL if empty */
  size_t content_bytes;
} tern_chat_message;
#define TERN_CHAT_MESSAGE_INIT { (uint32_t)sizeof(tern_chat_message), 0, NULL, NULL, 0 }

enum {
  TERN_CHAT_ANSWER = 1 /* the beginning of the model's answer follows the messages */
};

/* The ids of messages: those of the reference implementations of the templates.
 *
 * With num_done > 0 only what the messages behind the first num_done add, so that a generator goes on from the tokens
 * that it has. If the last one of those is an answer, the ids begin with what ends it: take the token that ended the
 * answer off first (tern_generator_truncate, which costs nothing there), if it came at all. A thought stays in the
 * tokens then; all messages anew (num_done 0) leave it out of earlier answers, as the template of Qwen 3 does.
 * messages   the whole conversation, also what is done: templates look at the order, and put the system text into a
 *            user's message ("gemma", "llama2", "mistral")
 * flags      TERN_CHAT_ANSWER
 * ids        gets the first `capacity` ids; NULL if that is 0
 * count      how many ids there are, which may be more than `capacity`
 * Errors     TERN_ERR_INVALID_ARGUMENT: no messages, a role that is not known or not possible at its place; and those
 *            of tern_tokenizer_encode */
TERN_API tern_status tern_chat_encode(const tern_chat* chat, const tern_chat_message* messages, size_t num_messages,
                                      size_t num_done, uint32_t flags, int32_t* ids, size_t capacity,
                                      size_t* count) TERN_NOEXCEPT;
/* The tokens that end an answer, at least one.
 * ids   lent as long as the chat lives */
TERN_API tern_status tern_chat_get_ends(const tern_chat* chat, const int32_t** ids, size_t* count) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
