/* SPDX-License-Identifier: Apache-2.0 */
/* Finds persons and draws their skeletons:  pose DETECTOR.tern LANDMARKS.tern PICTURE OUT.png */
#include "tern/tern.h"

#include "image.h"

static const char usage[] = "usage: pose DETECTOR.tern LANDMARKS.tern PICTURE OUT.png";
int main(int argc, char** argv) {
  tern_context* context = NULL;
  tern_model *detector = NULL, *landmarks = NULL;
  tern_pose* pose = NULL;
  static tern_person persons[8];
  tern_picture picture = TERN_PICTURE_INIT;
  const int32_t* limbs = NULL;
  int width = 0, height = 0, good;
  int32_t count = 0, num_limbs = 0, i, k;
  unsigned char* rgb = argc == 5 ? image_read(argv[3], &width, &height) : NULL; /* upright, R G B bytes */
  if (!rgb) return fprintf(stderr, "%s\n", argc == 5 ? image_error() : usage), 1;
  picture.format = TERN_PICTURE_RGB8, picture.width = width, picture.height = height;
  picture.planes[0] = rgb, picture.strides[0] = 3 * (int64_t)width;
  good = tern_context_create(NULL, &context) == TERN_OK &&
         tern_model_load_file(context, argv[1], NULL, &detector) == TERN_OK &&
         tern_model_load_file(context, argv[2], NULL, &landmarks) == TERN_OK &&
         tern_pose_create(detector, landmarks, NULL, &pose) == TERN_OK &&
         tern_pose_skeleton(pose, &limbs, &num_limbs) == TERN_OK &&
         tern_pose_run(pose, &picture, persons, 8, &count) == TERN_OK;
  if (!good) fprintf(stderr, "%s\n", tern_last_error_message());
  for (i = 0; good && i < count && i < 8; ++i) {
    const tern_keypoint* p = persons[i].keypoints;
    printf("person %.2f, %s at %.0f, %.0f\n", persons[i].score, tern_pose_keypoint_name(pose, 0), p[0].x, p[0].y);
    for (k = 0; k < num_limbs; ++k) /* limbs are pairs of key points */
      if (p[limbs[2 * k]].visibility > 0.5f && p[limbs[2 * k + 1]].visibility > 0.5f)
        image_draw_line(rgb, width, height, p[limbs[2 * k]].x, p[limbs[2 * k]].y, p[limbs[2 * k + 1]].x,
                        p[limbs[2 * k + 1]].y, 3, 0xFFB000);
  }
  if (good && !image_write_png(argv[4], rgb, width, height)) good = 0, fprintf(stderr, "%s\n", image_error());
  tern_pose_release(pose), tern_model_release(detector), tern_model_release(landmarks);
  tern_context_release(context), free(rgb);
  return good ? 0 : 1;
}
