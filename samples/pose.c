/* SPDX-License-Identifier: Apache-2.0 */
/* Finds persons and draws their skeletons:  pose DETECTOR.tern LANDMARKS.tern PICTURE OUT.png */
#include "tern/tern.h"

#include "image.h"

static const char usage[] = "usage: pose DETECTOR.tern LANDMARKS.tern PICTURE OUT.png";
int main(int argc, char** argv) {
  tern_context* context = NULL;
  tern_model* models[2] = {NULL, NULL};
  tern_vision* pose = NULL;
  const tern_vision_result* found = NULL;
  tern_picture picture = TERN_PICTURE_INIT; /* RGB8 */
  const int32_t* limbs = NULL;
  int32_t width = 0, height = 0, num_limbs = 0, good, i, k;
  unsigned char* rgb = argc == 5 ? image_read(argv[3], &width, &height) : NULL; /* upright, R G B bytes */
  if (!rgb) return fprintf(stderr, "%s\n", argc == 5 ? image_error() : usage), 1;
  picture.width = width, picture.height = height;
  picture.planes[0] = rgb, picture.strides[0] = 3 * (int64_t)width;
  good = tern_context_create(NULL, &context) == TERN_OK &&
         tern_model_load_file(context, argv[1], NULL, &models[0]) == TERN_OK &&
         tern_model_load_file(context, argv[2], NULL, &models[1]) == TERN_OK &&
         tern_vision_create(models, 2, NULL, &pose) == TERN_OK &&
         tern_vision_skeleton(pose, &limbs, &num_limbs) == TERN_OK &&
         tern_vision_run(pose, &picture, 1, NULL, &found) == TERN_OK;
  if (!good) fprintf(stderr, "%s\n", tern_last_error_message());
  for (i = 0; good && i < found->num_detections; ++i) {
    const tern_keypoint* p = found->keypoints + i * found->num_keypoints;
    printf("person %.2f, %s at %.0f, %.0f\n", found->detections[i].score, tern_vision_keypoint_name(pose, 0), p->x,
           p->y);
    for (k = 0; k < num_limbs; ++k) /* limbs are pairs of key points */
      if (p[limbs[2 * k]].visibility > 0.5f && p[limbs[2 * k + 1]].visibility > 0.5f)
        image_draw_line(rgb, width, height, p[limbs[2 * k]].x, p[limbs[2 * k]].y, p[limbs[2 * k + 1]].x,
                        p[limbs[2 * k + 1]].y, 3, 0xFFB000);
  }
  if (good && !image_write_png(argv[4], rgb, width, height)) good = 0, fprintf(stderr, "%s\n", image_error());
  tern_vision_release(pose), tern_model_release(models[0]), tern_model_release(models[1]);
  tern_context_release(context), free(rgb);
  return good ? 0 : 1;
}
