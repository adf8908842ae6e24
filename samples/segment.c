/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves of a picture what a model finds in it, on white:  segment MODEL.tern PICTURE OUT.png */
#include "tern/tern.h"

#include "image.h"

int main(int argc, char** argv) {
  tern_context* context = NULL;
  tern_model* model = NULL;
  tern_vision* segmenter = NULL;
  const tern_vision_result* found = NULL;
  tern_picture picture = TERN_PICTURE_INIT; /* RGB8 */
  int width = 0, height = 0, good, i, k, x, y;
  unsigned char *rgb = argc == 4 ? image_read(argv[2], &width, &height) : NULL, *out;
  if (!rgb) return fprintf(stderr, "%s\n", argc == 4 ? image_error() : "usage: segment MODEL.tern PICTURE OUT.png"), 1;
  picture.width = width, picture.height = height;
  picture.planes[0] = rgb, picture.strides[0] = 3 * (int64_t)width;
  out = malloc(3 * (size_t)width * (size_t)height);
  good = out && tern_context_create(NULL, &context) == TERN_OK &&
         tern_model_load_file(context, argv[1], NULL, &model) == TERN_OK &&
         tern_vision_create(&model, 1, NULL, &segmenter) == TERN_OK &&
         tern_vision_run(segmenter, &picture, 1, NULL, &found) == TERN_OK;
  if (!good) fprintf(stderr, "%s\n", tern_last_error_message());
  if (out) memset(out, 255, 3 * (size_t)width * (size_t)height);
  for (i = 0; good && found->masks && i < found->num_detections;
       ++i) { /* masks of things, or one of the whole picture */
    const tern_mask* m = &found->masks[i];
    for (y = 0; y < m->height; ++y)
      for (x = 0; x < m->width; ++x)
        for (k = 0; k < 3; ++k) {
          const size_t at = 3 * ((size_t)(m->y + y) * (size_t)width + (size_t)(m->x + x)) + (size_t)k;
          out[at] = (unsigned char)(out[at] + (rgb[at] - out[at]) * m->pixels[y * m->width + x] / 255);
        }
  }
  if (good && !image_write_png(argv[3], out, width, height)) good = 0, fprintf(stderr, "%s\n", image_error());
  tern_vision_release(segmenter), tern_model_release(model), tern_context_release(context), free(rgb), free(out);
  return good ? 0 : 1;
}
