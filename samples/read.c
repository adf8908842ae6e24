/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the text of a picture and frames it:  read DETECTION.tern RECOGNITION.tern [DIRECTION.tern] PICTURE OUT.png */
#include "tern/tern.h"

#include "image.h"

int main(int argc, char** argv) {
  tern_context* context = NULL;
  tern_model* models[3] = {NULL, NULL, NULL};
  tern_vision* vision = NULL;
  const tern_vision_result* result = NULL;
  tern_picture picture = TERN_PICTURE_INIT;
  int width = 0, height = 0, num = argc - 3, good, i, k;
  unsigned char* rgb = num == 2 || num == 3 ? image_read(argv[argc - 2], &width, &height) : NULL; /* R G B bytes */
  if (!rgb)
    return fprintf(stderr, "%s\n", num == 2 || num == 3 ? image_error() : "usage: read DET REC [DIR] IN OUT"), 1;
  picture.format = TERN_PICTURE_RGB8;
  picture.width = width;
  picture.height = height;
  picture.planes[0] = rgb;
  picture.strides[0] = 3 * (int64_t)width;
  good = tern_context_create(NULL, &context) == TERN_OK;
  for (i = 0; i < num; ++i) good = good && tern_model_load_file(context, argv[i + 1], NULL, &models[i]) == TERN_OK;
  /* What each model is for is in its file. */
  good = good && tern_vision_create(models, num, NULL, &vision) == TERN_OK &&
         tern_vision_run(vision, &picture, 1, NULL, &result) == TERN_OK;
  if (!good) fprintf(stderr, "%s\n", tern_last_error_message());
  for (i = 0; good && result->texts && i < result->num_detections; ++i) {
    const float* c = result->corners + 8 * i; /* clockwise from the text's own upper left */
    printf("%.2f  %s\n", result->detections[i].score, result->texts[i]);
    for (k = 0; k < 8; k += 2)
      image_draw_line(rgb, width, height, c[k], c[k + 1], c[(k + 2) % 8], c[(k + 3) % 8], 2, 0xFFB000);
  }
  if (good && !image_write_png(argv[argc - 1], rgb, width, height)) good = 0, fprintf(stderr, "%s\n", image_error());
  tern_vision_release(vision);
  for (i = 0; i < 3; ++i) tern_model_release(models[i]);
  tern_context_release(context);
  free(rgb);
  return good ? 0 : 1;
}
