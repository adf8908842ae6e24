/* SPDX-License-Identifier: Apache-2.0 */
/* A library that is loaded, used and unloaded again and again leaves nothing behind:  unload_test FOLDER SYMBOLS
 * LIBTERN */
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>

#include "tern/context.h"

enum { CYCLES = 200, MOST_BYTES = 200 }; /* the loader's own tables grow a little */

typedef tern_status (*create_fn)(const tern_context_options*, tern_context**);
typedef void (*release_fn)(tern_context*);

int main(int argc, char** argv) {
  size_t before = 0, after;
  int i;
  if (argc != 4) return 2;
  for (i = 0; i <= CYCLES; ++i) {
    void* library = dlopen(argv[3], RTLD_NOW | RTLD_LOCAL);
    tern_context* context = NULL;
    create_fn create;
    release_fn release;
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
    *(void**)&create = dlsym(library, "tern_context_create");
    *(void**)&release = dlsym(library, "tern_context_release");
    if (!create || !release || create(NULL, &context) != TERN_OK) return fprintf(stderr, "no context\n"), 1;
    release(context);
    if (dlclose(library)) return fprintf(stderr, "%s\n", dlerror()), 1;
    if (i == 0) before = mallinfo2().uordblks;
  }
  after = mallinfo2().uordblks;
  if (after > before + (size_t)CYCLES * MOST_BYTES)
    return fprintf(stderr, "%zu bytes are lost a cycle\n", (after - before) / CYCLES), 1;
  /* That it was unloaded, not merely counted. */
  if (dlopen(argv[3], RTLD_NOLOAD | RTLD_NOW)) return fprintf(stderr, "the library stays in memory\n"), 1;
  return puts("unload: good"), 0;
}
