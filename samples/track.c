/* SPDX-License-Identifier: Apache-2.0 */
/* Says who is who in the frames of a video:  track MODEL.tern FRAME...   (ffmpeg -i street.mp4 frame%04d.png) */
#include "tern/tern.h"

#include "image.h"

int main(int argc, char** argv) {
  tern_context* context = NULL;
  tern_model* model = NULL;
  tern_vision* detector = NULL;
  tern_tracker* tracker = NULL;
  tern_vision_options find = TERN_VISION_OPTIONS_INIT;
  tern_tracker_options follow = TERN_TRACKER_OPTIONS_INIT;
  int32_t count = 0, good, f, i;
  find.min_score = 0.1f;    /* boxes that the detector is unsure of keep a track alive */
  follow.high_score = 0.3f; /* and these begin one: it depends on the detector */
  good = argc > 2 && tern_context_create(NULL, &context) == TERN_OK &&
         tern_model_load_file(context, argv[1], NULL, &model) == TERN_OK &&
         tern_vision_create(&model, 1, &find, &detector) == TERN_OK &&
         tern_tracker_create(&follow, &tracker) == TERN_OK;
  if (!good) fprintf(stderr, "%s\n", argc > 2 ? tern_last_error_message() : "usage: track MODEL.tern FRAME...");
  for (f = 2; good && f < argc; ++f) {
    tern_picture picture = TERN_PICTURE_INIT; /* RGB8 */
    const tern_vision_result* found = NULL;
    tern_track tracks[100];
    tern_track_frame frame = TERN_TRACK_FRAME_INIT;
    unsigned char* rgb = image_read(argv[f], &picture.width, &picture.height);
    picture.planes[0] = rgb, picture.strides[0] = 3 * (int64_t)picture.width;
    good = rgb && tern_vision_run(detector, &picture, 1, NULL, &found) == TERN_OK;
    if (good) frame.num_detections = found->num_detections, frame.detections = found->detections;
    good = good && tern_tracker_update(tracker, &frame, tracks, 100, &count) == TERN_OK;
    if (!good) fprintf(stderr, "%s\n", rgb ? tern_last_error_message() : image_error());
    for (i = 0; good && i < count; ++i)
      printf("%d: %lld at %.0f %.0f\n", f - 1, (long long)tracks[i].id, tracks[i].x0, tracks[i].y0);
    free(rgb);
  }
  tern_tracker_release(tracker), tern_vision_release(detector);
  tern_model_release(model), tern_context_release(context);
  return good ? 0 : 1;
}
