/* SPDX-License-Identifier: Apache-2.0 */
/* Vision tasks: pictures in; boxes, classes, masks, key points, embeddings and text in picture pixels out. What a model
 * needs and what its outputs mean is in its metadata (`tern info MODEL --task` shows it with all keys and their
 * meaning). In a library built without TERN_VISION every call that returns a status fails with TERN_ERR_UNSUPPORTED.
 * C99. */
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

/* ---- results ---- */

/* One of the things that a task found in a picture: an object, person, face, line of text; or a class of the whole
 * picture, whose box is the picture then. */
typedef struct tern_detection {
  /* Pixels of the upright picture: left, top, right, bottom; within the picture. Of key points: the detector's box,
   * which may be a head or a palm; without a detector, and where somebody is followed, the box around the points. */
  float x0, y0, x1, y1;
  float score;           /* 0..1 */
  int32_t label;         /* index; see tern_vision_label. 0 where a model has one class */
} tern_detection;

typedef struct tern_keypoint {
  float x, y;        /* pixels of the upright picture; may lie outside it */
  float z;           /* depth, in pixels, smaller = nearer; 0 if the model gives none */
  float visibility;  /* 0..1; 1 if the model gives none */
} tern_keypoint;

/* Which pixels of the upright picture belong to a thing. */
typedef struct tern_mask {
  int32_t x, y;           /* the picture's pixel that the first one of the mask is */
  int32_t width, height;  /* within the picture; 0 = no pixel */
  const uint8_t* pixels;  /* [height][width]: 0..255, how sure; 128 and more = belongs to it */
} tern_mask;

/* What was found in one picture. All lists have num_detections entries or are NULL where the task gives no such thing.
 * Later versions add lists at the end. */
typedef struct tern_vision_result {
  uint32_t struct_size;
  int32_t width, height;              /* of the upright picture */
  int32_t num_detections;             /* best first; lines of text in reading order; TERN_VISION_FOLLOW: by places */
  const tern_detection* detections;
  const float* corners;               /* [num][8]: x, y of the corners of a box that may be turned, clockwise from its
                                       * own upper left one; text, oriented boxes */
  int32_t num_keypoints;              /* of each detection */
  int32_t embedding_size;
  const tern_keypoint* keypoints;     /* [num][num_keypoints] */
  const float* embeddings;            /* [num][embedding_size] */
  const tern_mask* masks;
  const char* const* texts;           /* UTF-8, ends with 0 */
  const uint8_t* class_map;           /* [height][width]: the class of each pixel; segmenters of several classes */
} tern_vision_result;

/* ---- tasks ---- */

typedef enum tern_vision_kind {
  TERN_VISION_DETECTOR = 0,    /* boxes; with masks, turned boxes or key points where the model gives them */
  TERN_VISION_CLASSIFIER = 1,  /* classes of the picture, or of each box of a detector before it */
  TERN_VISION_SEGMENTER = 2,   /* masks of the whole picture */
  TERN_VISION_KEYPOINTS = 3,   /* key points of the picture, or in each box of a detector before it */
  TERN_VISION_EMBEDDER = 4,    /* an embedding of the picture, or of each box of a detector before it */
  TERN_VISION_READER = 5       /* lines of text; without a detector of text the picture is one */
} tern_vision_kind;

typedef struct tern_vision tern_vision;

enum {
  /* Pictures are frames of a video, in order: key points are looked for where they were in the frame before, and the
   * detector runs only when somebody is lost, or while fewer than max_results are followed (0: then only when somebody
   * is lost). Who is followed keeps the place in the list. See tern_vision_reset. */
  TERN_VISION_FOLLOW = 1
};

typedef struct tern_vision_options {
  uint32_t struct_size;
  uint32_t flags;
  int32_t max_results;   /* 0 = the model's own, likewise the next two */
  float min_score;       /* 0..1; of boxes, and of what looks into them */
  float max_overlap;     /* IoU above which the lower score is dropped */
  float smoothing;       /* TERN_VISION_FOLLOW: least cut-off frequency of the One-Euro filter of key points, in Hz
                          * (Casiez et al., 2012; its beta is 80 for speeds in sizes of the thing a second). 0.05 is
                          * usual; 0 = no filter */
  float frame_rate;      /* of smoothing, in Hz; 0 = 30 */
  const char* backends;  /* as tern_session_options; NULL = "cpu" */
} tern_vision_options;
#define TERN_VISION_OPTIONS_INIT { (uint32_t)sizeof(tern_vision_options), 0, 0, 0, 0, 0, 0, NULL }
TERN_API tern_status tern_vision_options_init(tern_vision_options* options, size_t size) TERN_NOEXCEPT;

/* A task of one model, or of several that work together, in any order: a detector and what looks into each of its boxes
 * (key points, classes, embeddings); text detection, recognition and, if wanted, direction.
 * models   as many as num_models, 1..4; their metadata say what each is for. The task keeps them alive
 * Errors   TERN_ERR_UNSUPPORTED  a model's metadata says no task, or the models do not go together: by their tasks, or
 *                                by what their metadata 'region.of' says that they find and look into
 *          TERN_ERR_CORRUPT      metadata that contradict themselves or the model; the message names the key */
TERN_API tern_status tern_vision_create(tern_model* const* models, int32_t num_models,
                                        const tern_vision_options* options, tern_vision** vision) TERN_NOEXCEPT;
TERN_API void tern_vision_release(tern_vision* vision) TERN_NOEXCEPT;
/* Runs the task on pictures, one after the other.
 * pictures  as many as num_pictures
 * options   cancel and deadline, for all of them; may be NULL
 * results   as many as num_pictures; lent until the next call for this task
 * Errors    those of tern_session_run and of pictures; the task can be used again
 * Threads   one call at a time for a task; a second one gives TERN_ERR_STATE */
TERN_API tern_status tern_vision_run(tern_vision* vision, const tern_picture* pictures, int32_t num_pictures,
                                     const tern_run_options* options,
                                     const tern_vision_result** results) TERN_NOEXCEPT;
/* The next picture is the first of another video. */
TERN_API tern_status tern_vision_reset(tern_vision* vision) TERN_NOEXCEPT;

/* tern_vision_kind; -1 for NULL. */
TERN_API int32_t tern_vision_get_kind(const tern_vision* vision) TERN_NOEXCEPT;
/* Name of a label or of a key point ("left knee"), or NULL; pairs of key points that a drawing joins, as 2 * num
 * indices. Borrowed from the task. */
TERN_API const char* tern_vision_label(const tern_vision* vision, int32_t label) TERN_NOEXCEPT;
TERN_API const char* tern_vision_keypoint_name(const tern_vision* vision, int32_t keypoint) TERN_NOEXCEPT;
TERN_API tern_status tern_vision_skeleton(const tern_vision* vision, const int32_t** pairs,
                                          int32_t* num) TERN_NOEXCEPT;

/* Cosine of the angle between two embeddings of `size` numbers, -1..1; 0 where one is all zero or not finite. */
TERN_API float tern_vision_similarity(const float* a, const float* b, int32_t size) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
