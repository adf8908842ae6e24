/* SPDX-License-Identifier: Apache-2.0 */
/* What the samples that train share: errors, first weights, handwritten digits. */
#ifndef SAMPLE_TRAIN_H
#define SAMPLE_TRAIN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tern/tern.h"

static void check(tern_status status) {
  if (status == TERN_OK) return;
  fprintf(stderr, "%s\n", tern_last_error_message());
  exit(1);
}

static tern_tensor* make_tensor(tern_context* context, int32_t dtype, int32_t rank, const int64_t* dims) {
  tern_tensor* t;
  check(tern_tensor_create(context, dtype, dims, rank, &t));
  return t;
}

/* A parameter of random numbers that keep the size of what they are multiplied with; a bias is zeros. The second time a
 * name is asked for (begin 0) it is the parameter that is there. */
static tern_value weight(tern_context* context, tern_graph* g, int begin, const char* name, int32_t rank,
                         const int64_t* dims) {
  static unsigned seed = 7;
  if (!begin) return tern_graph_parameter(g, name, NULL);
  tern_tensor* t = make_tensor(context, TERN_DTYPE_F32, rank, dims);
  float* w = tern_tensor_data(t);
  const float bound = sqrtf(6.0f * (float)dims[0] / (float)tern_tensor_num_elements(t));
  for (int64_t i = 0; rank > 1 && i < tern_tensor_num_elements(t); ++i)
    w[i] = bound * ((float)((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1);
  const tern_value v = tern_graph_parameter(g, name, t);
  tern_tensor_release(t);
  return v;
}

/* FOLDER/0.json to 9.json: { "data": [ink of 28 x 28 pixels from 0 to 1, picture after picture] }. The first `tests` of
 * each digit are kept apart: test [10 * tests, 784]. train [most, 784], labels [most]; returns how many there are. */
static int64_t read_digits(const char* folder, int64_t most, int tests, float* train, int64_t* labels, float* test) {
  int64_t count = 0;
  for (int digit = 0; digit < 10; ++digit) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%d.json", folder, digit);
    FILE* f = fopen(path, "r");
    if (!f) perror(path), exit(3);
    int seen = fscanf(f, " { \"data\" : ["), more = 1;
    for (seen = 0; more && count < most; ++seen) {
      float* to = seen < tests ? test + (digit * tests + seen) * 784 : train + count * 784;
      for (int i = 0; i < 784 && more; ++i) more = fscanf(f, "%f ,", to + i) == 1;
      if (more && seen >= tests) labels[count++] = digit;
    }
    fclose(f);
    if (seen <= tests) fprintf(stderr, "%s: too few digits\n", path), exit(4);
  }
  return count;
}

#endif
