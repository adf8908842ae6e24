/* SPDX-License-Identifier: Apache-2.0 */
/* One process of tests/bench/vision_peers that runs a model in Tern:
 *   peer_run MODEL.tern THREADS BACKENDS INPUT.bin DIM... (the values of the only input, in its type)
 * It obeys lines on the standard input and answers each with one line of numbers:
 *   ready       1, as soon as it listens
 *   load        milliseconds from nothing to the first result
 *   run N       milliseconds of each of N runs
 *   memory      bytes: growth of the largest resident memory since before `load`, arena, scratch, prepared, mapped,
 *               outputs
 *   result FILE writes the values of all outputs, in their types */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
#include <time.h>

#define MAX_OUTPUTS 16

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void need(tern_status status) {
  if (status == TERN_OK) return;
  fprintf(stderr, "peer_run: %s\n", tern_last_error_message());
  exit(1);
}

static double status_bytes(const char* key) {
  char line[256];
  double kilobytes = 0;
  FILE* f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, key, strlen(key)) == 0) kilobytes = atof(line + strlen(key));
  if (f) fclose(f);
  return kilobytes * 1024;
}

/* The largest resident memory begins anew at the present one. */
static double memory_before(void) {
  FILE* f = fopen("/proc/self/clear_refs", "w");
  if (!f || fputs("5", f) < 0 || fclose(f) != 0) fprintf(stderr, "peer_run: the peak of memory cannot be set back\n");
  return status_bytes("VmRSS:");
}

int main(int argc, char** argv) {
  tern_context_options options = TERN_CONTEXT_OPTIONS_INIT;
  tern_session_options session_options = TERN_SESSION_OPTIONS_INIT;
  tern_context* context = NULL;
  tern_model* model = NULL;
  tern_session* session = NULL;
  tern_tensor* input = NULL;
  const tern_tensor* outputs[MAX_OUTPUTS];
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  int64_t dims[TERN_MAX_RANK];
  int32_t rank = argc - 5, num_outputs = 0, i;
  double before;
  char* values;
  long bytes;
  FILE* f;
  char line[1024];
  if (argc < 6 || rank > TERN_MAX_RANK)
    return fprintf(stderr, "peer_run MODEL.tern THREADS BACKENDS INPUT.bin DIM...\n"), 2;
  for (i = 0; i < rank; ++i) dims[i] = atoll(argv[5 + i]);
  f = fopen(argv[4], "rb");
  bytes = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
  values = (char*)malloc(bytes > 0 ? (size_t)bytes : 1);
  if (bytes < 0 || !values || fseek(f, 0, SEEK_SET) != 0 || fread(values, 1, (size_t)bytes, f) != (size_t)bytes)
    return fprintf(stderr, "peer_run: cannot read %s\n", argv[4]), 1;
  fclose(f);
  options.num_threads = atoi(argv[2]);
  session_options.backends = argv[3];
  before = memory_before();
  while (fgets(line, sizeof line, stdin)) {
    const int load = strncmp(line, "load", 4) == 0;
    if (strncmp(line, "ready", 5) == 0) {
      printf("1\n");
    } else if (load || strncmp(line, "run ", 4) == 0) {
      long n = load ? 1 : atol(line + 4);
      while (n-- > 0) {
        const double start = now_ms();
        if (load) {
          need(tern_context_create(&options, &context));
          need(tern_model_load_file(context, argv[1], NULL, &model));
          need(tern_session_create(model, &session_options, &session));
          need(tern_model_get_tensor(model, 0, TERN_ROLE_INPUT, 0, &info));
          need(tern_tensor_wrap(context, info.dtype, dims, rank, values, (size_t)bytes, NULL, NULL, &input));
          num_outputs = tern_model_num_tensors(model, 0, TERN_ROLE_OUTPUT);
          if (num_outputs > MAX_OUTPUTS) return fprintf(stderr, "peer_run: too many outputs\n"), 1;
        }
        if (!session) return fprintf(stderr, "peer_run: run before load\n"), 2;
        for (i = 0; !load && i < num_outputs; ++i) tern_tensor_release((tern_tensor*)outputs[i]);
        need(tern_session_run(session, 0, (const tern_tensor* const*)&input, 1, outputs, num_outputs, NULL));
        printf("%.4f ", now_ms() - start);
      }
      printf("\n");
    } else if (strncmp(line, "memory", 6) == 0 && session) {
      tern_memory_report m = TERN_MEMORY_REPORT_INIT;
      need(tern_session_memory(session, &m));
      printf("%.0f %llu %llu %llu %llu %llu\n", status_bytes("VmHWM:") - before, (unsigned long long)m.arena_bytes,
             (unsigned long long)m.scratch_bytes, (unsigned long long)m.prepared_bytes,
             (unsigned long long)m.mapped_bytes, (unsigned long long)m.output_bytes);
    } else if (strncmp(line, "result ", 7) == 0 && session) {
      line[strcspn(line, "\n")] = 0;
      f = fopen(line + 7, "wb");
      for (i = 0; f && i < num_outputs; ++i)
        fwrite(tern_tensor_const_data(outputs[i]), 1, tern_tensor_bytes(outputs[i]), f);
      printf("%d\n", f && fclose(f) == 0);
    } else {
      return fprintf(stderr, "peer_run: unknown line %s", line), 2;
    }
    fflush(stdout);
  }
  for (i = 0; session && i < num_outputs; ++i) tern_tensor_release((tern_tensor*)outputs[i]);
  tern_tensor_release(input);
  tern_session_release(session);
  tern_model_release(model);
  tern_context_release(context);
  free(values);
  return 0;
}
