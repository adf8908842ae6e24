/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers as an app uses them: from a model, there and back, token by token. */
#include "check.h"

enum { TH = 256, THE = 257, _THE = 258, UNUSED = 259, END = 260 };

static int same(const int32_t* a, const int32_t* b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

static void encodes(const tern_tokenizer* t) {
  const int32_t expected[] = {THE, ' ', 'c', 'a', 't', _THE, '\n', END};
  int32_t ids[16];
  size_t count = 0;
  OK(tern_tokenizer_encode(t, "the cat the\n", 12, TERN_ENCODE_ADD_SPECIAL, ids, 16, &count));
  CHECK(count == 8 && same(ids, expected, 8));
  OK(tern_tokenizer_encode(t, "the cat the\n", 12, 0, ids, 16, &count));
  CHECK(count == 7 && same(ids, expected, 7));
  /* Too little room: the first ones, and how many there are. */
  ids[2] = -7;
  OK(tern_tokenizer_encode(t, "the cat the\n", 12, 0, ids, 2, &count));
  CHECK(count == 7 && same(ids, expected, 2) && ids[2] == -7);
  OK(tern_tokenizer_encode(t, "the cat the\n", 12, 0, NULL, 0, &count));
  CHECK(count == 7);
  OK(tern_tokenizer_encode(t, NULL, 0, 0, NULL, 0, &count));
  CHECK(count == 0);
  OK(tern_tokenizer_encode(t, NULL, 0, TERN_ENCODE_ADD_SPECIAL, ids, 1, &count));
  CHECK(count == 1 && ids[0] == END);
  /* Special tokens of a text are such only where that is asked for. */
  OK(tern_tokenizer_encode(t, "a<end>", 6, TERN_ENCODE_PARSE_SPECIAL, ids, 16, &count));
  CHECK(count == 2 && ids[0] == 'a' && ids[1] == END);
  OK(tern_tokenizer_encode(t, "a<end>", 6, 0, ids, 16, &count));
  CHECK(count == 6 && ids[5] == '>');
}

static void decodes(const tern_tokenizer* t) {
  const int32_t ids[] = {'<', 0xff, 0, THE, UNUSED, END, _THE};
  const char expected[] = "<\xff\0the<end> the";
  const int32_t wrong[] = {THE, 261}, negative[] = {-1};
  char text[32];
  size_t bytes = 77;
  OK(tern_tokenizer_decode(t, ids, 7, 0, text, sizeof text, &bytes));
  CHECK(bytes == sizeof expected - 1 && memcmp(text, expected, bytes) == 0);
  OK(tern_tokenizer_decode(t, ids, 7, TERN_DECODE_SKIP_SPECIAL, text, sizeof text, &bytes));
  CHECK(bytes == 10 && memcmp(text, "<\xff\0the the", 10) == 0);
  OK(tern_tokenizer_decode(t, ids, 7, 0, text, 3, &bytes));
  CHECK(bytes == sizeof expected - 1);
  OK(tern_tokenizer_decode(t, NULL, 0, 0, NULL, 0, &bytes));
  CHECK(bytes == 0);
  FAILS(TERN_ERR_INDEX, tern_tokenizer_decode(t, wrong, 2, 0, text, sizeof text, &bytes));
  CHECK(says("261") && bytes == 0);
  FAILS(TERN_ERR_INDEX, tern_tokenizer_decode(t, negative, 1, 0, text, sizeof text, &bytes));
}

static void tells(const tern_tokenizer* t) {
  tern_token_info info = TERN_TOKEN_INFO_INIT;
  int32_t id = -1;
  CHECK(tern_tokenizer_num_tokens(t) == 261);
  OK(tern_tokenizer_get_token(t, _THE, &info));
  CHECK(info.text_bytes == 4 && memcmp(info.text, " the", 4) == 0 && info.piece_bytes == 4 && info.flags == 0);
  OK(tern_tokenizer_get_token(t, END, &info));
  CHECK(info.flags == (TERN_TOKEN_SPECIAL | TERN_TOKEN_ADDED) && info.text_bytes == 5);
  OK(tern_tokenizer_get_token(t, UNUSED, &info));
  CHECK(info.flags == TERN_TOKEN_UNUSED && info.text_bytes == 0);
  OK(tern_tokenizer_find_token(t, "<end>", 5, &id));
  CHECK(id == END);
  OK(tern_tokenizer_find_token(t, "the", 3, &id));
  CHECK(id == THE);
  FAILS(TERN_ERR_NOT_FOUND, tern_tokenizer_find_token(t, "cat", 3, &id));
  CHECK(says("'cat'") && id == THE);
  CHECK(tern_tokenizer_get_role(t, TERN_TOKEN_ROLE_END) == END);
  CHECK(tern_tokenizer_get_role(t, TERN_TOKEN_ROLE_BEGIN) == -1);
}

static int same_text(const char* text, size_t bytes, const char* expected) {
  return bytes == strlen(expected) && memcmp(text, expected, bytes) == 0;
}

static int gives(tern_detokenizer* d, int32_t id, const char* expected) {
  const char* text = NULL;
  size_t bytes = 0;
  return tern_detokenizer_add(d, id, &text, &bytes) == TERN_OK && bytes == strlen(expected) &&
         memcmp(text, expected, bytes) == 0;
}

/* A text ends before one of some strings, over tokens; what only began as one comes late. */
static void stops(const tern_tokenizer* t) {
  static const char* const list[] = {" the end", "ca!"};
  static const char* const empty[] = {""};
  tern_detokenizer* d = NULL;
  const char* text = NULL;
  size_t bytes = 0;
  NEED(tern_detokenizer_create(t, 0, &d));
  OK(tern_detokenizer_set_stops(d, list, 2));
  CHECK(gives(d, 'a', "a") && gives(d, _THE, "") && gives(d, ' ', "") && gives(d, 'c', " the ") && gives(d, 'a', ""));
  CHECK(gives(d, _THE, "ca") && gives(d, ' ', "") && gives(d, 'e', "") && gives(d, 'n', ""));
  CHECK(tern_detokenizer_stopped(d) == 0);
  CHECK(gives(d, 'd', "") && tern_detokenizer_stopped(d) == 1 && gives(d, 'x', ""));
  OK(tern_detokenizer_end(d, &text, &bytes));
  CHECK(bytes == 0 && tern_detokenizer_stopped(d) == 0);
  CHECK(gives(d, 'c', "") && gives(d, 0xe4, ""));
  OK(tern_detokenizer_end(d, &text, &bytes));
  CHECK(bytes == 4 && memcmp(text, "c\xef\xbf\xbd", 4) == 0);
  FAILS(TERN_ERR_LIMIT, tern_detokenizer_set_stops(d, empty, 1));
  OK(tern_detokenizer_set_stops(d, NULL, 0));
  CHECK(gives(d, 'c', "c"));
  tern_detokenizer_release(d);
}

static tern_chat_message say(const char* role, const char* content) {
  tern_chat_message m = TERN_CHAT_MESSAGE_INIT;
  m.role = role;
  m.content = content;
  m.content_bytes = strlen(content);
  return m;
}

static void chats(const tern_tokenizer* t) {
  tern_chat_options options = TERN_CHAT_OPTIONS_INIT;
  tern_chat_message m[4];
  tern_chat *chat = NULL, *none = NULL;
  const int32_t* ends = NULL;
  int32_t ids[256];
  char text[256];
  size_t count = 0, bytes = 0, all = 0;
  FAILS(TERN_ERR_NOT_FOUND, tern_chat_create(t, NULL, NULL, &none));
  CHECK(says("chatml") && says("gemma"));
  FAILS(TERN_ERR_UNSUPPORTED, tern_chat_create(t, "{{ messages }}", NULL, &none));
  CHECK(says("chatml") && says("--template"));
  FAILS(TERN_ERR_UNSUPPORTED, tern_chat_create(t, "<|im_start|><|im_end|>", NULL, &none));
  CHECK(says("'<|im_end|>'"));
  options.template_name = "none";
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_chat_create(t, NULL, &options, &none));
  CHECK(says("'none'") && says("zephyr") && none == NULL);
  options.template_name = "zephyr";
  OK(tern_chat_create(t, NULL, &options, &chat));
  CHECK(strcmp(tern_chat_template(chat), "zephyr") == 0);
  OK(tern_chat_get_ends(chat, &ends, &count));
  CHECK(count == 1 && ends[0] == END);
  m[0] = say("system", "a");
  m[1] = say("user", "b<end>");
  m[2] = say("assistant", "the");
  m[3] = say("user", "c");
  OK(tern_chat_encode(chat, m, 4, 0, TERN_CHAT_ANSWER, ids, 256, &all));
  OK(tern_tokenizer_decode(t, ids, all, TERN_DECODE_SKIP_SPECIAL, text, sizeof text, &bytes));
  CHECK(same_text(text, bytes, "<|system|>\na\n<|user|>\nb<end>\n<|assistant|>\nthe\n<|user|>\nc\n<|assistant|>\n"));
  /* What comes behind the answer begins with its end. */
  OK(tern_chat_encode(chat, m, 4, 3, TERN_CHAT_ANSWER, ids, 256, &count));
  OK(tern_tokenizer_decode(t, ids, count, 0, text, sizeof text, &bytes));
  CHECK(same_text(text, bytes, "<end>\n<|user|>\nc<end>\n<|assistant|>\n"));
  OK(tern_chat_encode(chat, m, 4, 3, 0, NULL, 0, &bytes));
  CHECK(bytes == count - 14);
  m[1] = say("tool", "c");
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_chat_encode(chat, m, 4, 0, 0, ids, 256, &count));
  CHECK(says("'tool'"));
  tern_chat_release(chat);
}

static void streams(tern_tokenizer* t) {
  tern_detokenizer *d = NULL, *skipping = NULL;
  const char* text = NULL;
  size_t bytes = 0;
  NEED(tern_detokenizer_create(t, 0, &d));
  NEED(tern_detokenizer_create(t, TERN_DECODE_SKIP_SPECIAL, &skipping));
  tern_tokenizer_release(t); /* they keep what they need */
  CHECK(gives(d, THE, "the") && gives(d, 0xe4, "") && gives(d, 0xb8, "") && gives(d, 0xad, "\xe4\xb8\xad"));
  CHECK(gives(d, 0xff, "\xef\xbf\xbd") && gives(d, END, "<end>") && gives(d, 0xf0, ""));
  FAILS(TERN_ERR_INDEX, tern_detokenizer_add(d, 261, &text, &bytes));
  OK(tern_detokenizer_end(d, &text, &bytes));
  CHECK(bytes == 3 && memcmp(text, "\xef\xbf\xbd", 3) == 0);
  OK(tern_detokenizer_end(d, &text, &bytes));
  CHECK(bytes == 0);
  CHECK(gives(skipping, END, "") && gives(skipping, 'a', "a"));
  tern_detokenizer_release(d);
  tern_detokenizer_release(skipping);
}

MAIN_BEGIN
tern_context* context = NULL;
tern_model *words, *small;
tern_tokenizer *t = NULL, *none = NULL;
NEED(tern_context_create(NULL, &context));
words = load(context, "words.tern");
small = load(context, "small.tern");
NEED(tern_tokenizer_create_from_model(words, &t));
FAILS(TERN_ERR_NOT_FOUND, tern_tokenizer_create_from_model(small, &none));
CHECK(none == NULL && says("--tokenizer"));
tern_model_release(words);
tern_model_release(small);
tern_context_release(context);
encodes(t);
decodes(t);
tells(t);
stops(t);
chats(t);
streams(t);
MAIN_END("tokenizer_test")
