/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a digit, without a task: tensors in, tensors out:  classify digits.tern DIGIT.png (28 x 28, white on black) */
#include "tern/tern.h"

#include "image.h"

int main(int argc, char** argv) {
  const int64_t dims[4] = {1, 1, 28, 28}; /* batch, channels, height, width */
  float ink[28 * 28];
  const float* scores;
  tern_context* context = NULL;
  tern_model* model = NULL;
  tern_session* session = NULL;
  tern_tensor* image = NULL;
  const tern_tensor *input, *output = NULL;
  int width = 0, height = 0, i, best = 0, good;
  unsigned char* rgb = argc == 3 ? image_read(argv[2], &width, &height) : NULL;
  if (!rgb) return fprintf(stderr, "%s\n", argc == 3 ? image_error() : "usage: classify digits.tern DIGIT.png"), 1;
  if (width != 28 || height != 28) return fprintf(stderr, "%s: 28 x 28 pixels are needed\n", argv[2]), free(rgb), 1;
  for (i = 0; i < 28 * 28; ++i) ink[i] = (float)rgb[3 * i] / 255;
  /* The tensor uses `ink` in place. */
  good = tern_context_create(NULL, &context) == TERN_OK &&
         tern_model_load_file(context, argv[1], NULL, &model) == TERN_OK &&
         tern_session_create(model, NULL, &session) == TERN_OK &&
         tern_tensor_wrap(context, TERN_DTYPE_F32, dims, 4, ink, sizeof ink, NULL, NULL, &image) == TERN_OK;
  input = image;
  good = good && tern_session_run(session, 0, &input, 1, &output, 1, NULL) == TERN_OK;
  if (!good) fprintf(stderr, "%s\n", tern_last_error_message());
  good = good && tern_tensor_num_elements(output) == 10 && tern_tensor_dtype(output) == TERN_DTYPE_F32;
  scores = (const float*)tern_tensor_const_data(output);
  for (i = 1; good && i < 10; ++i) best = scores[i] > scores[best] ? i : best;
  if (good) printf("%s: %d\n", argv[2], best);
  tern_tensor_release(output), tern_tensor_release(image);
  tern_session_release(session);
  tern_model_release(model);
  tern_context_release(context);
  free(rgb);
  return good ? 0 : 1;
}
