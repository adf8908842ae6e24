/* SPDX-License-Identifier: Apache-2.0 */
/* Vision tasks: a detector of bright quarters, every format and way to store a picture, every bad argument. */
#include <math.h>
#include <stddef.h>

#include "check.h"

enum { SIDE = 16 };
static uint8_t pixels[SIDE * SIDE * 4], chroma[SIDE * SIDE];

static int bytes_of(int format) {
  if (format == TERN_PICTURE_RGBA8 || format == TERN_PICTURE_BGRA8) return 4;
  return format <= TERN_PICTURE_BGR8 ? 3 : 1;
}

static int is_yuv(int format) {
  return format == TERN_PICTURE_NV12 || format == TERN_PICTURE_NV21 || format == TERN_PICTURE_I420;
}

/* Black with a white quarter: 0 upper left, 1 upper right, 2 lower left, 3 lower right, as stored. */
static tern_picture picture_of(int format, int quarter, int rotation) {
  const int channels = bytes_of(format), yuv = is_yuv(format);
  tern_picture p = TERN_PICTURE_INIT;
  int x, y, c;
  for (y = 0; y < SIDE; ++y)
    for (x = 0; x < SIDE; ++x)
      for (c = 0; c < channels; ++c) {
        const int white = (x >= SIDE / 2) == (quarter & 1) && (y >= SIDE / 2) == (quarter >> 1);
        pixels[(y * SIDE + x) * channels + c] = (uint8_t)(white || c == 3 ? (yuv ? 235 : 255) : (yuv ? 16 : 0));
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
  int format, quarter, turn;
  for (format = TERN_PICTURE_RGB8; format <= TERN_PICTURE_BGRA8; ++format)
    for (quarter = 0; quarter < 4; ++quarter)
      for (turn = 0; turn < 8; ++turn) {
        /* Where a quarter goes when the picture is turned clockwise by 90 degrees. */
        static const int turned[4] = {1, 3, 0, 2};
        tern_picture p = picture_of(format, quarter, turn / 2 * 90);
        const tern_vision_result* r = NULL;
        const tern_detection* found;
        int where = quarter, k;
        for (k = 0; k < turn / 2; ++k) where = turned[where];
        p.mirrored = turn % 2;
        where ^= p.mirrored;
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

/* At most 4 results are copied; how many there were. */
static int32_t detect(tern_vision* v, const tern_picture* p, tern_detection* found) {
  const tern_vision_result* r = NULL;
  int32_t i;
  OK(tern_vision_run(v, p, 1, NULL, &r));
  if (!r) return -1;
  for (i = 0; i < r->num_detections && i < 4; ++i) found[i] = r->detections[i];
  return r->num_detections;
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

/* A picture reduced by 8 x 8 that is dark where bilinear sampling looks, and bright for the rest: 36 of 64 pixels. */
static void filters(tern_context* context, tern_vision* bilinear) {
  static uint8_t fine[64 * 64];
  tern_model *model = load(context, "spots_area.tern"), *cubic = load(context, "spots_cubic.tern");
  tern_vision *area = NULL, *none = NULL;
  tern_detection found[4];
  tern_picture p = TERN_PICTURE_INIT;
  int32_t count = -1;
  int x, y;
  for (y = 0; y < 64; ++y)
    for (x = 0; x < 64; ++x) {
      const int dark = x % 8 == 3 || x % 8 == 4 || y % 8 == 3 || y % 8 == 4;
      fine[y * 64 + x] = (uint8_t)(dark ? 0 : 255);
    }
  p.format = TERN_PICTURE_GREY8;
  p.width = p.height = 64;
  p.planes[0] = fine;
  p.strides[0] = 64;
  NEED(tern_vision_create(&model, 1, NULL, &area));
  FAILS(TERN_ERR_UNSUPPORTED, tern_vision_create(&cubic, 1, NULL, &none));
  count = detect(bilinear, &p, found);
  CHECK(count == 0);
  count = detect(area, &p, found);
  CHECK(count == 4 && fabsf(found[0].score - 36.0f / 64) < 1e-4f);
  tern_vision_release(area);
  tern_model_release(model);
  tern_model_release(cubic);
}

static int same(const tern_detection* a, const tern_detection* b, int32_t n) {
  return memcmp(a, b, sizeof *a * (size_t)n) == 0;
}

/* The 13 x 9 pixels from (5, 3) on find what a copy of them finds. */
static void regions(tern_vision* v) {
  enum { X = 5, Y = 3, W = 13, H = 9, ROW = 23, ROWS = 15 };
  static uint8_t whole[ROW * ROWS * 4], chroma_a[ROW * ROWS], chroma_b[ROW * ROWS], copy[W * H * 4];
  int format, k, x, y, c;
  for (format = TERN_PICTURE_RGB8; format <= TERN_PICTURE_BGRA8; ++format)
    for (k = 0; k < 8; ++k) {
      const int bytes = bytes_of(format), out_bytes = is_yuv(format) ? 3 : bytes;
      const int step = format == TERN_PICTURE_I420 ? 1 : 2, row = ROW / 2 + 1;
      tern_picture p = TERN_PICTURE_INIT, q = TERN_PICTURE_INIT;
      tern_detection from_region[4], from_copy[4];
      int32_t count = -1, of_copy = -2;
      for (x = 0; x < (int)sizeof whole; ++x) whole[x] = (uint8_t)((x * 37 + k * 50) ^ (x >> 3));
      for (x = 0; x < ROW * ROWS; ++x) chroma_a[x] = (uint8_t)(x * 91), chroma_b[x] = (uint8_t)(x * 53 + 9);
      p.format = format;
      p.width = ROW;
      p.height = ROWS;
      p.planes[0] = whole;
      p.strides[0] = ROW * bytes;
      p.planes[1] = chroma_a;
      p.planes[2] = chroma_b;
      p.strides[1] = p.strides[2] = row * step;
      p.region_x = X;
      p.region_y = Y;
      p.region_width = W;
      p.region_height = H;
      p.range = TERN_PICTURE_FULL;
      p.matrix = TERN_PICTURE_BT709;
      p.background = 0xFF204060u;
      for (y = 0; y < H; ++y)
        for (x = 0; x < W; ++x)
          for (c = 0; c < out_bytes; ++c) {
            uint8_t* to = &copy[(y * W + x) * out_bytes + c];
            const int at = (Y + y) / 2 * row * step + (X + x) / 2 * step, luma = whole[(Y + y) * ROW + X + x];
            if (!is_yuv(format)) {
              *to = whole[((Y + y) * ROW + X + x) * bytes + c];
            } else {
              const int first = format == TERN_PICTURE_I420 ? chroma_a[at] : chroma_a[at];
              const int second = format == TERN_PICTURE_I420 ? chroma_b[at] : chroma_a[at + 1];
              const int u = (format == TERN_PICTURE_NV21 ? second : first) - 128;
              const int v = (format == TERN_PICTURE_NV21 ? first : second) - 128;
              const int sum = luma * 8192 + (c == 0 ? 12901 * v : c == 1 ? -1535 * u - 3835 * v : 15201 * u) + 4096;
              *to = (uint8_t)(sum < 0 ? 0 : sum / 8192 > 255 ? 255 : sum / 8192);
            }
          }
      q.format = is_yuv(format) ? TERN_PICTURE_RGB8 : format;
      q.width = W;
      q.height = H;
      q.planes[0] = copy;
      q.strides[0] = W * out_bytes;
      q.background = p.background;
      p.rotation = q.rotation = k / 2 * 90;
      p.mirrored = q.mirrored = k % 2;
      count = detect(v, &p, from_region);
      of_copy = detect(v, &q, from_copy);
      CHECK(count == of_copy && count >= 0 && count <= 4 && same(from_region, from_copy, count));
    }
}

/* What the fourth byte does, and what a caller of the first version of the struct gets. */
static void alpha(tern_vision* v) {
  tern_detection found[4];
  int32_t count = -1;
  int i;
  tern_picture p = picture_of(TERN_PICTURE_BGRA8, 0, 0);
  union {
    tern_picture now;
    char bytes[sizeof(tern_picture)];
  } old;
  for (i = 0; i < SIDE * SIDE; ++i) memset(pixels + 4 * i, 0, 4); /* black that is seen through: white */
  count = detect(v, &p, found);
  CHECK(count == 4);
  p.background = 0xFF000000u;
  count = detect(v, &p, found);
  CHECK(count == 0);
  p.background = 0;
  p.alpha = TERN_ALPHA_PREMULTIPLIED;
  count = detect(v, &p, found);
  CHECK(count == 4);
  p.alpha = TERN_ALPHA_IGNORED;
  count = detect(v, &p, found);
  CHECK(count == 0);
  p.alpha = TERN_ALPHA_STRAIGHT;
  old.now = p;
  memset(old.bytes + offsetof(tern_picture, matrix), 0x55, sizeof old - offsetof(tern_picture, matrix));
  old.now.struct_size = offsetof(tern_picture, matrix);
  count = detect(v, &old.now, found);
  CHECK(count == 0);
}

/* As narrow, wide and high as pictures may be, and rows with room behind them. */
static void extreme_pictures(tern_vision* v) {
  static const int sizes[][2] = {{1, 1}, {1, 7}, {9, 1}, {2, 2}, {65536, 1}, {1, 65536}, {65536, 2}, {2, 65536}};
  static uint8_t bright[65536 * 9];
  int format, k, rotation, i;
  memset(bright, 255, sizeof bright);
  for (format = TERN_PICTURE_RGB8; format <= TERN_PICTURE_BGRA8; ++format)
    for (k = 0; k < (int)(sizeof sizes / sizeof sizes[0]); ++k)
      for (rotation = 0; rotation < 360; rotation += 90) {
        const int w = sizes[k][0], h = sizes[k][1], bytes = bytes_of(format);
        tern_picture p = TERN_PICTURE_INIT;
        const tern_vision_result* r = NULL;
        p.format = format;
        p.width = w;
        p.height = h;
        p.rotation = rotation;
        for (i = 0; i < 3; ++i) p.planes[i] = bright, p.strides[i] = w * bytes + (h > 4 ? 1 : 5);
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
  BAD(p.format = 8);
  BAD(p.width = 0);
  BAD(p.height = 0);
  BAD(p.width = -16);
  BAD(p.height = 65537);
  BAD(p.rotation = 45);
  BAD(p.rotation = -90);
  BAD(p.rotation = 360);
  BAD(p.mirrored = 2);
  BAD(p.mirrored = -1);
  BAD(p.matrix = 2);
  BAD(p.range = 2);
  BAD(p.range = -1);
  BAD(p.alpha = 3);
  BAD(p.background = 0xFFFFFF);
  BAD(p.region_x = 1);
  BAD(p.region_width = SIDE);
  BAD((p.region_width = SIDE + 1, p.region_height = SIDE));
  BAD((p.region_width = p.region_height = SIDE, p.region_y = 1));
  BAD((p.region_width = p.region_height = INT32_MAX, p.region_x = INT32_MAX));
  BAD((p.region_width = p.region_height = 4, p.region_x = -1));
  BAD((p.region_width = 4, p.region_height = -4));
  BAD(p.planes[0] = NULL);
  BAD(p.strides[0] = 47);
  BAD(p.strides[0] = -48);
  BAD(p.strides[0] = INT64_MAX);
  BAD((p.format = TERN_PICTURE_NV12, p.strides[0] = 17, p.strides[1] = 17, p.width = 17, p.height = 8));
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
regions(v);
filters(context, v);
alpha(v);
cancelled(v);
similarity();
extreme_pictures(v);
bad_pictures(v);
wild_results(context);
tern_vision_release(v);
tern_context_release(context);
MAIN_END("vision")
