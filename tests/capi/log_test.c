/* SPDX-License-Identifier: Apache-2.0 */
/* What the app's log is told, at each level; and the texts of errors, which are UTF-8 and keep their reasons. */
#include "check.h"

typedef struct journal {
  int of_level[4];
  int outside; /* messages of no level, or not a line */
  char text[1 << 16];
} journal;

static int is_utf8(const char* s) {
  const unsigned char* p = (const unsigned char*)s;
  while (*p) {
    int more = *p < 0x80 ? 0 : *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : *p >= 0xC2 ? 1 : -1;
    if (more < 0 || *p > 0xF4) return 0;
    for (++p; more > 0; --more, ++p)
      if ((*p & 0xC0) != 0x80) return 0;
  }
  return 1;
}

static void on_log(void* user, int32_t level, const char* message) {
  journal* j = (journal*)user;
  if (level < 0 || level > 3 || !message[0] || strchr(message, '\n') || !is_utf8(message)) ++j->outside;
  else ++j->of_level[level];
  if (strlen(j->text) + strlen(message) + 2 < sizeof j->text) strcat(strcat(j->text, message), "\n");
}

static int told(const journal* j, const char* part) { return strstr(j->text, part) != NULL; }

static tern_context* context_with_log(journal* j, int level) {
  tern_context_options o = TERN_CONTEXT_OPTIONS_INIT;
  tern_context* context = NULL;
  memset(j, 0, sizeof *j);
  o.log = on_log;
  o.log_user = j;
  o.log_level = level;
  NEED(tern_context_create(&o, &context));
  return context;
}

static void use(tern_context* context, const char* name, int* slow) {
  tern_model* model = load(context, name);
  tern_session* s = NULL;
  tern_session_options o = TERN_SESSION_OPTIONS_INIT;
  tern_placement p = TERN_PLACEMENT_INIT;
  int64_t dims[2] = {2, 16};
  int32_t i;
  const int small = strcmp(name, "small.tern") == 0;
  o.max_plans = 1;
  NEED(tern_session_create(model, &o, &s));
  OK(tern_session_prepare(s, 0, small ? dims : NULL, small ? 2 : 0));
  *slow = 0;
  for (i = 0; i < tern_session_num_placements(s, 0); ++i) {
    OK(tern_session_get_placement(s, 0, i, &p));
    *slow += p.kind == TERN_PLACED_REFERENCE;
  }
  if (small) {
    dims[0] = 3;
    OK(tern_session_prepare(s, 0, dims, 2));
    dims[1] = 17;
    FAILS(TERN_ERR_SHAPE, tern_session_prepare(s, 0, dims, 2));
  }
  tern_session_release(s);
  tern_model_release(model);
}

static void levels(void) {
  static journal j;
  int level, slow;
  for (level = 0; level < 4; ++level) {
    tern_context* context = context_with_log(&j, level);
    tern_model* model = NULL;
    use(context, "small.tern", &slow);
    CHECK(slow == 0 && !told(&j, "plain loops"));
    CHECK(j.of_level[0] == 1 && told(&j, "input 'x'"));
    CHECK(j.of_level[1] == (level >= 1) && told(&j, "max_plans") == (level >= 1));
    CHECK((j.of_level[2] > 0) == (level >= 2));
    CHECK(told(&j, "model loaded from") == (level >= 2) && told(&j, "small.tern") == (level >= 2));
    CHECK(told(&j, "backend 'cpu' opened") == (level >= 2) && told(&j, "session made") == (level >= 2));
    CHECK(told(&j, "'forward': plan for inputs [2,16]") == (level >= 2) &&
          told(&j, "plan for inputs [3,16]") == (level >= 2));
    FAILS(TERN_ERR_NOT_FOUND, tern_model_load_file(context, "/no/such.tern", NULL, &model));
    CHECK(j.of_level[0] == 2 && told(&j, "/no/such.tern"));

    use(context, "plain.tern", &slow);
    CHECK(slow > 0);
    CHECK(told(&j, "plain loops") == (level >= 1) && told(&j, "bitwise_xor") == (level >= 1));
    CHECK((j.of_level[3] >= slow) == (level >= 3));
    CHECK(j.outside == 0);
    tern_context_release(context);
  }
}

/* Asks the library for something of its own from within the log. */
static void nosy(void* user, int32_t level, const char* message) {
  tern_device_info info = TERN_DEVICE_INFO_INIT;
  tern_context** context = (tern_context**)user;
  (void)level, (void)message;
  if (*context) OK(tern_context_get_device(*context, 0, &info));
}

static void from_within(void) {
  tern_context_options o = TERN_CONTEXT_OPTIONS_INIT;
  tern_context* context = NULL;
  int slow;
  o.log = nosy;
  o.log_user = &context;
  o.log_level = 3;
  NEED(tern_context_create(&o, &context));
  use(context, "plain.tern", &slow);
  tern_context_release(context);
}

static void texts(void) {
  static const char kEnd[] = "/model.tern";
  static char path[4096];
  tern_context* context = NULL;
  tern_model* model = NULL;
  tern_error error = TERN_ERROR_INIT;
  int shift, i;
  NEED(tern_context_create(NULL, &context));
  /* Whichever byte of a character the cut falls on. */
  for (shift = 0; shift < 4; ++shift) {
    char* p = path;
    for (i = 0; i < shift; ++i) *p++ = 'a';
    for (i = 0; i < 280; ++i) {
      if (i % 70 == 0) *p++ = '/';
      memcpy(p, "\xE5\x9B\xB3", 3), p += 3; /* a character of three bytes */
    }
    memcpy(p, kEnd, sizeof kEnd);
    FAILS(TERN_ERR_NOT_FOUND, tern_model_load_file(context, path, NULL, &model));
    CHECK(tern_last_error(&error) == TERN_OK && is_utf8(error.message) && strlen(error.message) < sizeof error.message);
    /* The reason stands, and of the path both ends. */
    CHECK(says("No such file") && says("\xE5\x9B\xB3") && says("\xE2\x80\xA6") && says("/model.tern:"));
  }
  /* Bytes that are no text. */
  FAILS(TERN_ERR_NOT_FOUND, tern_model_load_file(context, "/no/\xFF\xFE\xE5.tern", NULL, &model));
  CHECK(is_utf8(tern_last_error_message()) && says("/no/???.tern"));
  model = load(context, "small.tern");
  FAILS(TERN_ERR_NOT_FOUND,
        tern_model_find_signature(model, "12345678901234567890123456789012345678901234567890123456789\xE5\x9B\xB3",
                                  &shift));
  CHECK(is_utf8(tern_last_error_message()) && says("'forward'")); /* "%.60s" cuts the last character */
  tern_model_release(model);
  tern_context_release(context);
}

MAIN_BEGIN
levels();
from_within();
texts();
MAIN_END("log")
