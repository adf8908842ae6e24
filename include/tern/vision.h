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
  TERN_PICTURE_RGBA8 = 2, /* alpha is ignored */
  TERN_PICTURE_GREY8 = 3,
  TERN_PICTURE_NV12 = 4,  /* plane 0: Y; plane 1: U V pairs at half size. BT.601, limited range */
  TERN_PICTURE_NV21 = 5,  /* plane 0: Y; plane 1: V U pairs at half size */
  TERN_PICTURE_I420 = 6   /* planes Y, U, V; U and V at half size */
} tern_picture_format;

/* A picture in the caller's memory, borrowed during a call. */
typedef struct tern_picture {
  uint32_t struct_size;
  int32_t format;          /* tern_picture_format */
  int32_t width, height;   /* pixels as stored, 1..65536; even for NV12, NV21, I420 */
  int32_t rotation;        /* degrees clockwise that turn the stored picture upright: 0, 90, 180, 270 */
  int32_t reserved;        /* 0 */
  const uint8_t* planes[3];
  int64_t strides[3];      /* bytes from one row to the next, >= bytes of a row */
} tern_picture;
#define TERN_PICTURE_INIT { (uint32_t)sizeof(tern_picture), 0, 0, 0, 0, 0, {NULL, NULL, NULL}, {0, 0, 0} }

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
