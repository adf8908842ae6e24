/* SPDX-License-Identifier: Apache-2.0 */
/* Vision tasks: pictures in, boxes and key points in picture pixels out. What a model needs (size, value range,
 * anchors, labels, thresholds) is in its metadata. In a library built without TERN_VISION every call that returns a
 * status fails with TERN_ERR_UNSUPPORTED. C99. */
#ifndef TERN_VISION_H
#define TERN_VISION_H

#include "tern/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tern_picture_format {
  TERN_PICTURE_RGB8 = 0,  /* plane 0: R G B bytes */
  TERN_PICTURE_BGR8 = 1,
  TERN_PICTURE_RGBA8 = 2, /* what the fourth byte means: see `alpha` */
  TERN_PICTURE_GREY8 = 3,
  TERN_PICTURE_NV12 = 4,  /* plane 0: Y; plane 1: U V pairs at half size, rounded up: (width + 1) / 2 pairs a row */
  TERN_PICTURE_NV21 = 5,  /* plane 0: Y; plane 1: V U pairs at half size, rounded up */
  TERN_PICTURE_I420 = 6,  /* planes Y, U, V; U and V at half size, rounded up */
  TERN_PICTURE_BGRA8 = 7
} tern_picture_format;

/* How Y, U and V become colours; the other formats ignore it. */
typedef enum tern_picture_matrix {
  TERN_PICTURE_BT601 = 0,  /* cameras, JPEG, video of standard definition */
  TERN_PICTURE_BT709 = 1   /* video of high definition */
} tern_picture_matrix;

/* Which values Y, U and V take, likewise. With y = Y - 16, u = U - 128, v = V - 128 (full: y = Y) R, G, B are
 *   BT.601 limited  1.164384 y + 1.596027 v | 1.164384 y - 0.391762 u - 0.812968 v | 1.164384 y + 2.017232 u
 *   BT.601 full              y + 1.402    v |          y - 0.344136 u - 0.714136 v |          y + 1.772    u
 *   BT.709 limited  1.164384 y + 1.792741 v | 1.164384 y - 0.213249 u - 0.532909 v | 1.164384 y + 2.112402 u
 *   BT.709 full              y + 1.5748   v |          y - 0.187324 u - 0.468124 v |          y + 1.8556   u
 * with each factor rounded to a multiple of 1/8192, rounded to the nearest integer and cut to 0..255. */
typedef enum tern_picture_range {
  TERN_PICTURE_LIMITED = 0, /* Y 16..235, U and V 16..240: video */
  TERN_PICTURE_FULL = 1     /* 0..255: JPEG and many cameras */
} tern_picture_range;

/* What the fourth byte A of RGBA8 and BGRA8 does; the other formats ignore it. */
typedef enum tern_picture_alpha {
  TERN_ALPHA_STRAIGHT = 0,      /* the pixel lies on the background: (colour * A + background * (255 - A)) / 255,
                                   rounded to the nearest: PNG files, canvases of browsers */
  TERN_ALPHA_PREMULTIPLIED = 1, /* colour + background * (255 - A) / 255, at most 255: bitmaps of Android, iOS, macOS */
  TERN_ALPHA_IGNORED = 2        /* RGBX, BGRX: the byte means nothing */
} tern_picture_alpha;

/* A picture in the caller's memory, borrowed during a call. The region is cut out, turned by `rotation` and then
 * mirrored; what comes of it is the upright picture, in whose pixels all results are. EXIF orientations are
 *   1: 0    2: 0, mirrored    3: 180    4: 180, mirrored    5: 90, mirrored    6: 90    7: 270, mirrored    8: 270 */
typedef struct tern_picture {
  uint32_t struct_size;
  int32_t format;          /* tern_picture_format */
  int32_t width, height;   /* pixels as stored, 1..65536 */
  int32_t rotation;        /* degrees clockwise that turn the stored picture upright: 0, 90, 180, 270 */
  int32_t mirrored;        /* 1: left and right are swapped after the rotation (a front camera); 0: not */
  const uint8_t* planes[3];
  int64_t strides[3];      /* bytes from one row to the next, >= bytes of a row */
  /* Callers whose struct ends here get BT.601, limited range, a fourth byte that is ignored, and the whole picture. */
  int32_t matrix;          /* tern_picture_matrix */
  int32_t range;           /* tern_picture_range */
  int32_t alpha;           /* tern_picture_alpha */
  uint32_t background;     /* 0xFFRRGGBB, what shows through where A is below 255; 0 = white */
  int32_t region_x, region_y;          /* upper left pixel of the region, as stored; may be odd */
  int32_t region_width, region_height; /* its size, within the picture; all four 0 = the whole picture */
} tern_picture;
#define TERN_PICTURE_INIT { (uint32_t)sizeof(tern_picture), 0, 0, 0, 0, 0, {NULL, NULL, NULL}, {0, 0, 0}, \
                            0, 0, 0, 0, 0, 0, 0, 0 }

typedef struct tern_detection {
  float x0, y0, x1, y1;  /* pixels of the upright picture: left, top, right, bottom; within the picture */
  float score;           /* 0..1 */
  int32_t label;         /* index; see tern_detector_label */
} tern_detection;

typedef struct tern_detector tern_detector;

typedef struct tern_detector_options {
  uint32_t struct_size;
  int32_t max_detections;  /* 0 = the model's own */
  float min_score;         /* 0 = the model's own */
  float max_overlap;       /* IoU above which the lower score is dropped; 0 = the model's own */
  const char* backends;    /* as tern_session_options; NULL = "cpu" */
} tern_detector_options;
#define TERN_DETECTOR_OPTIONS_INIT { (uint32_t)sizeof(tern_detector_options), 0, 0, 0, NULL }

/* Errors: TERN_ERR_UNSUPPORTED if the model's metadata does not describe a detector. */
TERN_API tern_status tern_detector_create(const tern_model* model, const tern_detector_options* options,
                                          tern_detector** detector) TERN_NOEXCEPT;
TERN_API void tern_detector_release(tern_detector* detector) TERN_NOEXCEPT;
/* Finds objects in a picture, best first.
 * detections  up to `capacity` are written; count: how many were found (may exceed capacity).
 * Threads     one call at a time for a detector; a second one gives TERN_ERR_STATE. */
TERN_API tern_status tern_detector_run(tern_detector* detector, const tern_picture* picture, tern_detection* detections,
                                       int32_t capacity, int32_t* count) TERN_NOEXCEPT;
/* Name of a label, or NULL. Borrowed from the detector. */
TERN_API const char* tern_detector_label(const tern_detector* detector, int32_t label) TERN_NOEXCEPT;

typedef struct tern_keypoint {
  float x, y;        /* pixels of the upright picture; may lie outside it */
  float z;           /* depth relative to the hips, in pixels, smaller = nearer; 0 if the model gives none */
  float visibility;  /* 0..1 */
} tern_keypoint;

#define TERN_MAX_KEYPOINTS 64

typedef struct tern_person {
  float score;                      /* 0..1: a person is there */
  float x0, y0, x1, y1;             /* box from the person detector, or around the key points; pixels */
  int32_t num_keypoints;
  tern_keypoint keypoints[TERN_MAX_KEYPOINTS];
} tern_person;

typedef struct tern_pose tern_pose;

typedef struct tern_pose_options {
  uint32_t struct_size;
  int32_t max_persons;   /* 0 = the model's own */
  float min_score;       /* 0 = the model's own */
  const char* backends;
} tern_pose_options;
#define TERN_POSE_OPTIONS_INIT { (uint32_t)sizeof(tern_pose_options), 0, 0, NULL }

/* detector  finds persons (its boxes carry the two points that give centre and size of a body); NULL = the whole
 * picture
 *           holds one person
 * landmarks key points of one person */
TERN_API tern_status tern_pose_create(const tern_model* detector, const tern_model* landmarks,
                                      const tern_pose_options* options, tern_pose** pose) TERN_NOEXCEPT;
TERN_API void tern_pose_release(tern_pose* pose) TERN_NOEXCEPT;
/* Threads  one call at a time for a pose task; a second one gives TERN_ERR_STATE. */
TERN_API tern_status tern_pose_run(tern_pose* pose, const tern_picture* picture, tern_person* persons, int32_t capacity,
                                   int32_t* count) TERN_NOEXCEPT;
/* Name of a key point ("left knee"), or NULL; pairs of key points that a drawing joins, as 2 * num indices. Borrowed.
 * */
TERN_API const char* tern_pose_keypoint_name(const tern_pose* pose, int32_t keypoint) TERN_NOEXCEPT;
TERN_API tern_status tern_pose_skeleton(const tern_pose* pose, const int32_t** pairs, int32_t* num) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
