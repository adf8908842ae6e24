/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a language model and prints its answer as it comes:  chat MODEL.tern QUESTION */
#include <stdio.h>
#include <string.h>

#include "tern/tern.h"

static const char kTemplate[] = "language.chat_template"; /* where models keep theirs */

int main(int argc, char** argv) {
  tern_context* context = NULL;
  tern_model* model = NULL;
  tern_tokenizer* tokenizer = NULL;
  tern_detokenizer* text = NULL;
  tern_chat* chat = NULL;
  tern_generator* generator = NULL;
  tern_chat_message question = TERN_CHAT_MESSAGE_INIT;
  int32_t ids[1024], token = 0; /* what is longer is cut */
  const int32_t* ends = NULL;
  const char* piece = NULL;
  size_t count = 0, num_ends = 0, bytes = 0, i = 0;
  int good;
  if (argc != 3) return fprintf(stderr, "usage: chat MODEL.tern QUESTION\n"), 1;
  question.role = "user", question.content = argv[2], question.content_bytes = strlen(argv[2]);
  good = tern_context_create(NULL, &context) == TERN_OK &&
         tern_model_load_file(context, argv[1], NULL, &model) == TERN_OK &&
         tern_tokenizer_create_from_model(model, &tokenizer) == TERN_OK &&
         tern_detokenizer_create(tokenizer, TERN_DECODE_SKIP_SPECIAL, &text) == TERN_OK &&
         tern_chat_create(tokenizer, tern_model_find_metadata(model, kTemplate), NULL, &chat) == TERN_OK &&
         tern_chat_get_ends(chat, &ends, &num_ends) == TERN_OK &&
         tern_generator_create(model, NULL, &generator) == TERN_OK &&
         tern_chat_encode(chat, &question, 1, 0, TERN_CHAT_ANSWER, ids, 1024, &count) == TERN_OK;
  good = good && tern_generator_feed(generator, ids, (int64_t)(count < 1024 ? count : 1024), NULL) == TERN_OK;
  for (count = 0; good && count < 1024; ++count) { /* so many tokens at most */
    good = tern_generator_next(generator, &token, NULL) == TERN_OK;
    for (i = 0; i < num_ends && ends[i] != token; ++i) continue;
    if (i < num_ends) break;
    good = good && tern_detokenizer_add(text, token, &piece, &bytes) == TERN_OK;
    if (good) fwrite(piece, 1, bytes, stdout), fflush(stdout);
  }
  if (good) printf("\n");
  else fprintf(stderr, "%s\n", tern_last_error_message());
  tern_generator_release(generator), tern_chat_release(chat), tern_detokenizer_release(text);
  tern_tokenizer_release(tokenizer), tern_model_release(model), tern_context_release(context);
  return good ? 0 : 1;
}
