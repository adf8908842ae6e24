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

static void finds(tern_vision* v) {
  int format, quarter, rotation;
  for (format = TERN_PICTURE_RGB8; format <= TERN_PICTURE_I420; ++format)
    for (quarter = 0; quarter < 4; ++quarter)
      for (rotation = 0; rotation < 360; rotation += 90) {
        /* Where a quarter goes when the picture is turned clockwise by 90 degrees. */
        static const int turned[4] = {1, 3, 0, 2};
        const tern_picture p = picture_of(format, quarter, rotation);
        const tern_vision_result* r = NULL;
        const tern_detection* found;
        int where = quarter, k;
        for (k = 0; k < rotation; k += 90) where = turned[where];
        OK(tern_vision_run(v, &p, 1, NULL, &r));
        if (!CHECK(r && r->num_detections == 1 && r->width == SIDE && r->height == SIDE)) continue;
        found = r->detections;
        CHECK(near(found[0].x0, where & 1 ? 8 : 0) && near(found[0].y0, where >> 1 ? 8 : 0));
        CHECK(near(found[0].x1, where & 1 ? 16 : 8) && near(found[0].y1, where >> 1 ? 16 : 8));
        CHECK(found[0].score > 0.95f && found[0].label == 0);
        CHECK(!r->corners && !r->keypoints && !r->masks && !r->texts && !r->embeddings && !r->class_map);
      }
  CHECK(strcmp(tern_vision_label(v, 0), "bright") == 0 && !tern_vision_label(v, 1) && !tern_vision_label(v, -1) &&
        !tern_vision_label(NULL, 0));
  CHECK(tern_vision_get_kind(v) == TERN_VISION_DETECTOR && tern_vision_get_kind(NULL) == -1);
}

/* Several pictures in one call, each with a result of its own; then none in a picture. */
static void several(tern_vision* v) {
  static uint8_t copies[4][SIDE * SIDE];
  tern_picture p[4];
  const tern_vision_result* r[4] = {NULL, NULL, NULL, NULL};
  int i;
  for (i = 0; i < 4; ++i) {
    p[i] = picture_of(TERN_PICTURE_GREY8, i, 0);
    memcpy(copies[i], pixels, SIDE * SIDE);
    p[i].planes[0] = copies[i];
  }
  OK(tern_vision_run(v, p, 4, NULL, r));
  for (i = 0; i < 4; ++i)
    CHECK(r[i] && r[i]->num_detections == 1 && near(r[i]->detections[0].x0, i & 1 ? 8 : 0) &&
          near(r[i]->detections[0].y0, i >> 1 ? 8 : 0));
  memset(copies[0], 255, SIDE * SIDE);
  OK(tern_vision_run(v, p, 1, NULL, r));
  CHECK(r[0]->num_detections == 4);
  memset(copies[0], 0, SIDE * SIDE);
  OK(tern_vision_run(v, p, 1, NULL, r));
  CHECK(r[0]->num_detections == 0 && !r[0]->detections);
  OK(tern_vision_reset(v));
}

static void cancelled(tern_vision* v) {
  const tern_picture p = picture_of(TERN_PICTURE_GREY8, 0, 0);
  const tern_vision_result* r = NULL;
  tern_run_options options = TERN_RUN_OPTIONS_INIT;
  tern_cancel* cancel = NULL;
  NEED(tern_cancel_create(&cancel));
  options.cancel = cancel;
  tern_cancel_signal(cancel);
  FAILS(TERN_ERR_CANCELLED, tern_vision_run(v, &p, 1, &options, &r));
  tern_cancel_release(cancel);
  options.cancel = NULL;
  options.timeout_ns = 1;
  FAILS(TERN_ERR_DEADLINE, tern_vision_run(v, &p, 1, &options, &r));
  CHECK(!r);
  OK(tern_vision_run(v, &p, 1, NULL, &r));
}

static void similarity(void) {
  const float a[3] = {1, 2, 2}, b[3] = {-2, -4, -4}, c[3] = {2, -1, 0}, zero[3] = {0, 0, 0}, bad[3] = {NAN, 0, 0};
  CHECK(near(tern_vision_similarity(a, a, 3), 1) && near(tern_vision_similarity(a, b, 3), -1));
  CHECK(near(tern_vision_similarity(a, c, 3), 0) && tern_vision_similarity(a, zero, 3) == 0);
  CHECK(tern_vision_similarity(a, bad, 3) == 0 && tern_vision_similarity(NULL, a, 3) == 0);
}

/* As narrow, wide and high as pictures may be, and rows with room behind them. */
static void extreme_pictures(tern_vision* v) {
  static const int sizes[][2] = {{1, 1}, {1, 7}, {9, 1}, {2, 2}, {65536, 1}, {1, 65536}, {65536, 2}, {2, 65536}};
  static uint8_t bright[65536 * 4 * 2 + 64];
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
        const tern_vision_result* r = NULL;
        p.format = format;
        p.width = w;
        p.height = h;
        p.rotation = rotation;
        for (i = 0; i < 3; ++i) p.planes[i] = bright, p.strides[i] = w * bytes + (h > 4 ? 0 : 5);
        if (yuv && (w % 2 || h % 2)) {
          FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_run(v, &p, 1, NULL, &r));
          CHECK(!r);
          continue;
        }
        OK(tern_vision_run(v, &p, 1, NULL, &r));
        if (!CHECK(r && r->num_detections == 4)) continue;
        for (i = 0; i < 4; ++i) {
          const tern_detection* found = r->detections;
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
    tern_vision* v = NULL;
    NEED(tern_vision_create(&model, 1, NULL, &v));
    for (rotation = 0; rotation < 360; rotation += 90) {
      const tern_vision_result* r = NULL;
      tern_picture p = picture_of(TERN_PICTURE_RGB8, 0, rotation);
      p.height = SIDE / 2;
      OK(tern_vision_run(v, &p, 1, NULL, &r));
      if (!CHECK(r && r->num_detections >= 1 && r->num_detections <= 34 && r->num_keypoints == 1)) continue;
      for (i = 0; i < r->num_detections; ++i) {
        const tern_detection* found = r->detections;
        const float w = rotation % 180 ? SIDE / 2 : SIDE, h = rotation % 180 ? SIDE : SIDE / 2;
        CHECK(found[i].x0 >= 0 && found[i].x0 <= found[i].x1 && found[i].x1 <= w && found[i].y0 >= 0 &&
              found[i].y0 <= found[i].y1 && found[i].y1 <= h);
        CHECK(found[i].score >= 0.5f && found[i].score <= 1 && found[i].label == 0);
        CHECK(isfinite(r->keypoints[i].x) && isfinite(r->keypoints[i].y));
      }
    }
    tern_vision_release(v);
    tern_model_release(model);
  }
  for (k = 0; k < 4; ++k) {
    tern_model* model = load(context, poses[k].name);
    tern_vision* pose = NULL;
    const tern_vision_result* r = NULL;
    int32_t num = 0;
    const int32_t* pairs = NULL;
    const tern_picture p = picture_of(TERN_PICTURE_RGB8, 0, 0);
    NEED(tern_vision_create(&model, 1, NULL, &pose));
    OK(tern_vision_run(pose, &p, 1, NULL, &r));
    CHECK(r && r->num_detections == poses[k].persons);
    if (r && r->num_detections == 1) {
      const tern_keypoint* q = r->keypoints;
      CHECK(r->num_keypoints == 2 && near(q[0].x, 0) && near(q[1].x, 8) && near(q[1].y, 8));
      CHECK(near(r->detections[0].score, 0.9f) && q[0].visibility > 0.99f && near(r->detections[0].x1, 8));
    }
    OK(tern_vision_skeleton(pose, &pairs, &num));
    CHECK(num == 1 && pairs[0] == 0 && pairs[1] == 1 && strcmp(tern_vision_keypoint_name(pose, 1), "middle") == 0 &&
          !tern_vision_keypoint_name(pose, 2) && tern_vision_get_kind(pose) == TERN_VISION_KEYPOINTS);
    tern_vision_release(pose);
    tern_model_release(model);
  }
}

static void bad_pictures(tern_vision* v) {
  const tern_picture good = picture_of(TERN_PICTURE_RGB8, 0, 0);
  tern_picture p = good;
  const tern_vision_result* r = NULL;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_run(NULL, &p, 1, NULL, &r));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_run(v, NULL, 1, NULL, &r));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_run(v, &p, 0, NULL, &r));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_run(v, &p, -1, NULL, &r));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_run(v, &p, 1, NULL, NULL));
#define BAD(change)                                        \
  do {                                                     \
    p = good;                                              \
    change;                                                \
    CHECK(tern_vision_run(v, &p, 1, NULL, &r) != TERN_OK); \
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
  CHECK(!r);
  OK(tern_vision_run(v, &good, 1, NULL, &r));
}

static void bad_options(tern_context* context, tern_model* spots) {
  tern_model *small = load(context, "small.tern"), *points = load(context, "points.tern"), *none = NULL;
  tern_model *two[2], *many[5];
  tern_vision_options o = TERN_VISION_OPTIONS_INIT;
  tern_vision* v = NULL;
  const int32_t* pairs = NULL;
  int32_t count = -7, i;
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_create(&small, 1, NULL, &v));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_create(NULL, 1, NULL, &v));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_create(&none, 1, NULL, &v));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_create(&spots, 0, NULL, &v));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_create(&spots, 1, NULL, NULL));
  for (i = 0; i < 5; ++i) many[i] = spots;
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_create(many, 5, NULL, &v));
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_create(many, 2, NULL, &v)); /* two detectors */
  two[0] = points, two[1] = points;
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_create(two, 2, NULL, &v));
#define BAD_OPTION(change)                                                   \
  do {                                                                       \
    const tern_vision_options init = TERN_VISION_OPTIONS_INIT;               \
    o = init;                                                                \
    change;                                                                  \
    FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_create(&spots, 1, &o, &v)); \
  } while (0)
  BAD_OPTION(o.struct_size = 3);
  BAD_OPTION(o.flags = 2);
  BAD_OPTION(o.max_results = -1);
  BAD_OPTION(o.min_score = 1.5f);
  BAD_OPTION(o.min_score = -0.1f);
  BAD_OPTION(o.min_score = NAN);
  BAD_OPTION(o.max_overlap = 2);
  BAD_OPTION(o.smoothing = -1);
  BAD_OPTION(o.frame_rate = NAN);
  OK(tern_vision_options_init(&o, sizeof o));
  o.flags = TERN_VISION_FOLLOW; /* boxes cannot be followed, nor points that do not say where to look next */
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_create(&spots, 1, &o, &v));
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_create(&points, 1, &o, &v));
  o.flags = 0;
  o.backends = "abacus";
  FAILS(TERN_ERR_NOT_FOUND, tern_vision_create(&spots, 1, &o, &v));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_skeleton(NULL, &pairs, &count));
  FAILS(TERN_ERR_INVALID_ARGUMENT, tern_vision_reset(NULL));
  CHECK(!tern_vision_keypoint_name(NULL, 0) && v == NULL && pairs == NULL && count == -7);
  tern_vision_release(NULL);
  two[0] = points, two[1] = spots; /* the quarters that are bright, and two points in each */
  OK(tern_vision_create(two, 2, NULL, &v));
  tern_vision_release(v);
  tern_model_release(small);
  tern_model_release(points);
}

MAIN_BEGIN
tern_context* context = NULL;
tern_model* spots;
tern_vision* v = NULL;
NEED(tern_context_create(NULL, &context));
spots = load(context, "spots.tern");
NEED(tern_vision_create(&spots, 1, NULL, &v));
bad_options(context, spots);
tern_model_release(spots); /* the task keeps it */
finds(v);
several(v);
cancelled(v);
similarity();
extreme_pictures(v);
bad_pictures(v);
wild_results(context);
tern_vision_release(v);
tern_context_release(context);
MAIN_END("vision")
