/* SPDX-License-Identifier: Apache-2.0 */
/* Finds objects in a picture, prints them and draws their boxes:  detect MODEL.tern PICTURE OUT.png */
#include "tern/tern.h"

#include "image.h"

int main(int argc, char** argv) {
  tern_context* context = NULL;
  tern_model* model = NULL;
  tern_vision* detector = NULL;
  const tern_vision_result* found = NULL;
  tern_picture picture = TERN_PICTURE_INIT; /* RGB8 */
  int width = 0, height = 0, good, i;
  unsigned char* rgb = argc == 4 ? image_read(argv[2], &width, &height) : NULL; /* upright, R G B bytes */
  if (!rgb) return fprintf(stderr, "%s\n", argc == 4 ? image_error() : "usage: detect MODEL.tern PICTURE OUT.png"), 1;
  picture.width = width;
  picture.height = height;
  picture.planes[0] = rgb;
  picture.strides[0] = 3 * (int64_t)width;
  /* What the model wants (size, value range, anchors, thresholds, labels) is in its file. */
  good = tern_context_create(NULL, &context) == TERN_OK &&
         tern_model_load_file(context, argv[1], NULL, &model) == TERN_OK &&
         tern_vision_create(&model, 1, NULL, &detector) == TERN_OK &&
         tern_vision_run(detector, &picture, 1, NULL, &found) == TERN_OK;
  if (!good) fprintf(stderr, "%s\n", tern_last_error_message());
  for (i = 0; good && i < found->num_detections; ++i) {
    const tern_detection* d = &found->detections[i];
    const char* label = tern_vision_label(detector, d->label);
    printf("%s %.2f  left %.0f top %.0f right %.0f bottom %.0f\n", label ? label : "?", d->score, d->x0, d->y0, d->x1,
           d->y1);
    image_draw_box(rgb, width, height, d->x0, d->y0, d->x1, d->y1, 3, 0xFFB000);
  }
  if (good && !image_write_png(argv[3], rgb, width, height)) good = 0, fprintf(stderr, "%s\n", image_error());
  tern_vision_release(detector), tern_model_release(model), tern_context_release(context), free(rgb);
  return good ? 0 : 1;
}
