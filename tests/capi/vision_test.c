/* SPDX-License-Identifier: Apache-2.0 */
/* Vision tasks: a detector of bright quarters, every format and rotation, every bad argument. */
#include <math.h>

#include "check.h"

enum { SIDE = 16 };
static uint8_t pixels[SIDE * SIDE * 4], chroma[SIDE * SIDE];

/* Black with a white quarter: 0 upper left, 1 upper right, 2 lower left, 3 lower right, as stored. */
static tern_picture picture_of(int format, int quarter, int rotation) {
  const int channels = format == TERN_PICTURE_RGBA8  ? 4
                       : format <= TERN_PICTURE_BGR8 ? 3
                                                     : 1,
            yuv = format >= TERN_PICTURE_NV12;
  tern_picture p = TERN_PICTURE_INIT;
  int x, y, c;
  for (y = 0; y < SIDE; ++y)
    for (x = 0; x < SIDE; ++x)
      for (c = 0; c < channels; ++c) {
        const int white = (x >= SIDE / 2) == (quarter & 1) && (y >= SIDE / 2) == (quarter >> 1);
        pixels[(y * SIDE + x) * channels + c] = (uint8_t)(white ? (yuv ? 235 : 255) : (yuv ? 16 : 0));
      }
  memset(chroma, 128, sizeof chroma);
  p.format = format;
  p.width = p.height = SIDE;
  p.rotation = rotation;
  p.planes[0] = pixels;
  p.strides[0] = SIDE * channels;
  p.planes[1] = p.planes[2] = chroma;
  p.strides[1] = p.strides[2] = SIDE;
  return p;
}

static int near(float a, float b) { return fabsf(a - b) < 0.01f; }

static void finds(tern_detector* d) {
  tern_detection found[4];
  int format, quarter, rotation;
  for (format = TERN_PICTURE_RGB8; format <= TERN_PICTURE_I420; ++format)
    for (quarter = 0; quarter < 4; ++quarter)
      for (rotation = 0; rotation < 360; rotation += 90) {
        /* Where a quarter goes when the picture is turned clockwise by 90 degrees. */
        static const int turned[4] = {1, 3, 0, 2};
        const tern_picture p = picture_of(format, quarter, rotation);
        int32_t count = -1;
        int where = quarter, k;
        for (k = 0; k < rotation; k += 90) where = turned[where];
        OK(tern_detector_run(d, &p, found, 4, &count));
        if (!CHECK(count == 1)) continue;
        CHECK(near(found[0].x0, where & 1 ? 8 : 0) && near(found[0].y0, where >> 1 ? 8 : 0));
        CHECK(near(found[0].x1, where & 1 ? 16 : 8) && near(found[0].y1, where >> 1 ? 16 : 8));
        CHECK(found[0].score > 0.95f && found[0].label == 0);
      }
  CHECK(strcmp(tern_detector_label(d, 0), "bright") == 0 && !tern_detector_label(d, 1) && !tern_detector_label(d, -1) &&
        !tern_detector_label(NULL, 0));
}

static void counts(tern_detector* d) {
  tern_picture p = picture_of(TERN_PICTURE_GREY8, 0, 0);
  tern_detection found[4];
  int32_t count = -1;
  memset(pixels, 255, sizeof pixels);
  memset(found, 0x55, sizeof found);
  OK(tern_detector_run(d, &p, found, 2, &count)); /* more were found than there is room for */
  CHECK(count == 4 && found[1].label == 0 && found[2].label == 0x55555555);
  OK(tern_detector_run(d, &p, NULL, 0, &count));
  CHECK(count == 4);
  memset(pixels, 0, sizeof pixels);
  OK(tern_detector_run(d, &p, found, 4, &count));
  CHECK(count == 0);
}

/* As narrow, wide and high as pictures may be, and rows with room behind them. */
static void extreme_pictures(tern_detector* d) {
  static const int sizes[][2] = {{1, 1}, {1, 7}, {9, 1}, {2, 2}, {65536, 1}, {1, 65536}, {65536, 2}, {2, 65536}};
  static uint8_t bright[65536 * 4 * 2 + 64];
  tern_detection found[4];
  int format, k, rotation, i;
  memset(bright, 255, sizeof bright);
  for (format = TERN_PICTURE_RGB8; format <= TERN_PICTURE_I420; ++format)
    for (k = 0; k < (int)(sizeof sizes / sizeof sizes[0]); ++k)
      for (rotation = 0; rotation < 360; rotation += 90) {
        const int w = sizes[k][0], h = sizes[k][1], yuv = format >= TERN_PICTURE_NV12,
                  bytes = format == TERN_PICTURE_RGBA8  ? 4
                          : format <= TERN_PICTURE_BGR8 ? 3
                                                        : 1;
        tern_picture p = TERN_PICTURE_INIT;
        int32_t count = -7;
        p.format = format;
        p.width = w;
        p.height = h;
        p.rotation = rotation;
        for (i = 0; i < 3; ++i) p.planes[i] = bright, p.strides[i] = w * bytes + (h > 4 ? 0 : 5);
        if (yuv && (w % 2 || h % 2)) {
          FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_run(d, &p, found, 4, &count));
          CHECK(count == -7);
          continue;
        }
        OK(tern_detector_run(d, &p, found, 4, &count));
        CHECK(count == 4);
        for (i = 0; i < count && i < 4; ++i) {
          const int turned = rotation % 180 != 0;
          CHECK(found[i].x0 >= 0 && found[i].y0 >= 0 && found[i].x1 <= (float)(turned ? h : w) &&
                found[i].y1 <= (float)(turned ? w : h));
        }
      }
}

/* Models whose results are NaN, infinite and huge: boxes and points are numbers within their bounds all the same. */
static void wild_results(tern_context* context) {
  static const char* const detectors[] = {"wild_hard.tern", "wild_weighted.tern"};
  static const struct {
    const char* name;
    int persons;
  } poses[] = {{"points.tern", 1}, {"wild_nan.tern", 0}, {"wild_far.tern", 0}, {"wild_score.tern", 0}};
  int k, rotation, i;
  for (k = 0; k < 2; ++k) {
    tern_model* model = load(context, detectors[k]);
    tern_detector* d = NULL;
    NEED(tern_detector_create(model, NULL, &d));
    for (rotation = 0; rotation < 360; rotation += 90) {
      tern_detection found[64];
      int32_t count = -1;
      tern_picture p = picture_of(TERN_PICTURE_RGB8, 0, rotation);
      p.height = SIDE / 2;
      OK(tern_detector_run(d, &p, found, 64, &count));
      CHECK(count >= 1 && count <= 34);
      for (i = 0; i < count; ++i) {
        const float w = rotation % 180 ? SIDE / 2 : SIDE, h = rotation % 180 ? SIDE : SIDE / 2;
        CHECK(found[i].x0 >= 0 && found[i].x0 <= found[i].x1 && found[i].x1 <= w && found[i].y0 >= 0 &&
              found[i].y0 <= found[i].y1 && found[i].y1 <= h);
        CHECK(found[i].score >= 0.5f && found[i].score <= 1 && found[i].label == 0);
      }
    }
    tern_detector_release(d);
    tern_model_release(model);
  }
  for (k = 0; k < 4; ++k) {
    tern_model* model = load(context, poses[k].name);
    tern_pose* pose = NULL;
    tern_person person;
    int32_t count = -1, num = 0;
    const int32_t* pairs = NULL;
    const tern_picture p = picture_of(TERN_PICTURE_RGB8, 0, 0);
    NEED(tern_pose_create(NULL, model, NULL, &pose));
    OK(tern_pose_run(pose, &p, &person, 1, &count));
    CHECK(count == poses[k].persons);
    if (count == 1) {
      CHECK(person.num_keypoints == 2 && near(person.keypoints[0].x, 0) && near(person.keypoints[1].x, 8) &&
            near(person.keypoints[1].y, 8));
      CHECK(near(person.score, 0.9f) && person.keypoints[0].visibility > 0.99f && near(person.x1, 8));
    }
    OK(tern_pose_skeleton(pose, &pairs, &num));
    CHECK(num == 1 && pairs[0] == 0 && pairs[1] == 1 && strcmp(tern_pose_keypoint_name(pose, 1), "middle") == 0 &&
          !tern_pose_keypoint_name(pose, 2));
    tern_pose_release(pose);
    tern_model_release(model);
  }
}

static void bad_pictures(tern_detector* d) {
  const tern_picture good = picture_of(TERN_PICTURE_RGB8, 0, 0);
  tern_picture p = good;
  tern_detection found[4];
  int32_t count = -7;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_run(NULL, &p, found, 4, &count));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_run(d, NULL, found, 4, &count));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_run(d, &p, NULL, 4, &count));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_run(d, &p, found, -1, &count));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_run(d, &p, found, 4, NULL));
#define BAD(change)                                               \
  do {                                                            \
    p = good;                                                     \
    change;                                                       \
    CHECK(tern_detector_run(d, &p, found, 4, &count) != TERN_OK); \
  } while (0)
  BAD(p.struct_size = 0);
  BAD(p.struct_size = 40);
  BAD(p.format = -1);
  BAD(p.format = 7);
  BAD(p.width = 0);
  BAD(p.height = 0);
  BAD(p.width = -16);
  BAD(p.height = 65537);
  BAD(p.rotation = 45);
  BAD(p.rotation = -90);
  BAD(p.rotation = 360);
  BAD(p.reserved = 1);
  BAD(p.planes[0] = NULL);
  BAD(p.strides[0] = 47);
  BAD(p.strides[0] = -48);
  BAD(p.strides[0] = INT64_MAX);
  BAD((p.format = TERN_PICTURE_NV12, p.strides[0] = 16, p.width = 15));
  BAD((p.format = TERN_PICTURE_NV12, p.strides[0] = 16, p.planes[1] = NULL));
  BAD((p.format = TERN_PICTURE_I420, p.strides[0] = 16, p.planes[2] = NULL));
  CHECK(count == -7);
  OK(tern_detector_run(d, &good, found, 4, &count));
}

static void bad_options(tern_context* context, const tern_model* spots) {
  tern_model* small = load(context, "small.tern");
  tern_detector_options o = TERN_DETECTOR_OPTIONS_INIT;
  tern_pose_options po = TERN_POSE_OPTIONS_INIT;
  tern_detector* d = NULL;
  tern_pose* pose = NULL;
  tern_person person;
  const int32_t* pairs = NULL;
  int32_t count = -7;
  const tern_picture picture = picture_of(TERN_PICTURE_RGB8, 0, 0);
  FAILS(TERN_ERR_UNSUPPORTED, tern_detector_create(small, NULL, &d));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_create(NULL, NULL, &d));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_create(spots, NULL, NULL));
#define BAD_OPTION(change)                                                 \
  do {                                                                     \
    const tern_detector_options init = TERN_DETECTOR_OPTIONS_INIT;         \
    o = init;                                                              \
    change;                                                                \
    FAILS(TERN_ERR_INVALID_ARGUMENT, tern_detector_create(spots, &o, &d)); \
  } while (0)
  BAD_OPTION(o.struct_size = 3);
  BAD_OPTION(o.max_detections = -1);
  BAD_OPTION(o.min_score = 1.5f);
  BAD_OPTION(o.min_score = -0.1f);
  BAD_OPTION(o.min_score = NAN);
  BAD_OPTION(o.max_overlap = 2);
  o.max_overlap = 0;
  o.backends = "abacus";
  FAILS(TERN_ERR_NOT_FOUND, tern_detector_create(spots, &o, &d));
  FAILS(TERN_ERR_UNSUPPORTED, tern_pose_create(NULL, small, NULL, &pose));
  FAILS(TERN_ERR_UNSUPPORTED, tern_pose_create(spots, small, NULL, &pose));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_pose_create(NULL, NULL, NULL, &pose));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_pose_create(NULL, small, NULL, NULL));
  po.max_persons = -1;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_pose_create(NULL, small, &po, &pose));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_pose_run(NULL, &picture, &person, 1, &count));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_pose_skeleton(NULL, &pairs, &count));
  CHECK(!tern_pose_keypoint_name(NULL, 0) && d == NULL && pose == NULL && pairs == NULL && count == -7);
  tern_detector_release(NULL);
  tern_pose_release(NULL);
  tern_model_release(small);
}

MAIN_BEGIN
tern_context* context = NULL;
tern_model* spots;
tern_detector* d = NULL;
NEED(tern_context_create(NULL, &context));
spots = load(context, "spots.tern");
NEED(tern_detector_create(spots, NULL, &d));
bad_options(context, spots);
tern_model_release(spots); /* the detector keeps it */
finds(d);
counts(d);
extreme_pictures(d);
bad_pictures(d);
wild_results(context);
tern_detector_release(d);
tern_context_release(context);
MAIN_END("vision")
