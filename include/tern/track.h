/* SPDX-License-Identifier: Apache-2.0 */
/* Tracking: the boxes of each frame of a video in, who is who out. Needs no model, and pictures only to tell how a
 * camera moved. In a library built without TERN_VISION every call that returns a status fails with
 * TERN_ERR_UNSUPPORTED. C99. */
#ifndef TERN_TRACK_H
#define TERN_TRACK_H

#include "tern/vision.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tern_track_method {
  /* Y. Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, 2022. Boxes of high score are
   * matched first, then those of low score to the tracks that are left. The box of a track is smoothed. */
  TERN_TRACK_BYTE = 0,
  /* J. Cao et al., Observation-Centric SORT, 2023. Better where objects turn, dance or are hidden for long: it
   * compares directions of motion too, and goes back over the time in which an object was not seen. The box of a
   * track is that of the detector. */
  TERN_TRACK_OCSORT = 1,
  /* N. Aharon et al., BoT-SORT: Robust Associations Multi-Pedestrian Tracking, 2022. As BYTE, with width and height on
   * their own; follows a camera that moves, and knows objects by their look, where these are given. Tells tracks from
   * their first frame on. */
  TERN_TRACK_BOTSORT = 2
} tern_track_method;

typedef struct tern_tracker tern_tracker;

/* 0 stands for the method's own value, which is that of its authors; it is behind the arrow, for BYTE, OCSORT and
 * BOTSORT. */
typedef struct tern_tracker_options {
  uint32_t struct_size;
  int32_t method;         /* tern_track_method */
  float high_score;       /* a detection above it is matched first, 0..1 -> 0.6, 0.6, 0.6 */
  float low_score;        /* one between this and high_score is matched to what is left, 0..1
                             -> 0.1, none (so: 1), 0.1 */
  float new_score;        /* least score with which a new track begins, 0..1 -> high_score + 0.1, high_score,
                             high_score + 0.1 */
  float min_overlap;      /* least IoU of a track with its detection, 0..1; BYTE, BOTSORT: times the detection's
                             score -> 0.1, 0.3, 0.2 */
  float frame_rate;       /* frames a second of a usual video of this kind -> 30 */
  float max_lost;         /* seconds after which a track that is not seen ends -> 1 */
  int32_t across_labels;  /* 0: a track keeps its label, and takes only detections with it; 1: labels do not matter */
} tern_tracker_options;
#define TERN_TRACKER_OPTIONS_INIT { (uint32_t)sizeof(tern_tracker_options), 0, 0, 0, 0, 0, 0, 0, 0 }

/* A frame of a video, borrowed during a call. */
typedef struct tern_track_frame {
  uint32_t struct_size;
  int32_t num_detections;
  const tern_detection* detections;  /* any order; those without an area are left out */
  double time;  /* seconds, of any origin, later than the frame before, up to 1e15; or negative: one frame after it */
  /* For BOTSORT, else NULL. */
  const float* embeddings;  /* [num_detections][embedding_size]: what each looks like (of any length but 0); or NULL */
  const float* camera;      /* [2][3]: x, y of the frame before are at camera * (x, y, 1) in this; NULL: it stands */
  int32_t embedding_size;   /* the same in all frames */
  int32_t reserved;         /* 0 */
} tern_track_frame;
#define TERN_TRACK_FRAME_INIT { (uint32_t)sizeof(tern_track_frame), 0, NULL, -1, NULL, NULL, 0, 0 }

typedef struct tern_track {
  int64_t id;             /* from 1, never given twice */
  float x0, y0, x1, y1;   /* pixels, as the detections' */
  float score;            /* of the detection */
  int32_t label;
  int32_t detection;      /* index in the frame */
  int32_t age;            /* frames since the track began */
} tern_track;

/* Errors: TERN_ERR_INVALID_ARGUMENT for an option out of its range. */
TERN_API tern_status tern_tracker_create(const tern_tracker_options* options, tern_tracker** tracker) TERN_NOEXCEPT;
TERN_API void tern_tracker_release(tern_tracker* tracker) TERN_NOEXCEPT;
/* Takes the next frame. Every frame is given, also one without detections.
 * tracks   those that are seen in this frame: up to `capacity` are written; count: how many there are (at most as many
 *          as detections)
 * Errors   TERN_ERR_INVALID_ARGUMENT: a box or score that is no number, a box whose right is left of its left, a time
 *          that is not later, an embedding without a length; TERN_ERR_UNSUPPORTED: embeddings or a camera for a method
 *          that does not use them; TERN_ERR_LIMIT: a million pairs of boxes overlap, or with OCSORT there are more than
 *          four million pairs of a detection and a track. The tracker is as it was.
 * Threads  one call at a time for a tracker; a second one gives TERN_ERR_STATE. */
TERN_API tern_status tern_tracker_update(tern_tracker* tracker, const tern_track_frame* frame, tern_track* tracks,
                                         int32_t capacity, int32_t* count) TERN_NOEXCEPT;
/* Forgets all tracks: the next frame is the first of another video. Numbers begin with 1 again. */
TERN_API tern_status tern_tracker_reset(tern_tracker* tracker) TERN_NOEXCEPT;
/* All that a tracker knows, as bytes that may be kept: tern_tracker_load goes on from there, to the same tracks bit by
 * bit.
 * data      caller's memory of `capacity` bytes, or NULL with a capacity of 0
 * size      how many bytes there are; if this is more than `capacity`, none was written
 * Threads   any number of calls at a time for a tracker; none while it takes a frame. */
TERN_API tern_status tern_tracker_save(const tern_tracker* tracker, void* data, uint64_t capacity,
                                       uint64_t* size) TERN_NOEXCEPT;
/* Replaces what a tracker knows by what one of the same method and options had saved. The bytes may come from anybody.
 * Errors: TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_UNSUPPORTED_VERSION (a newer library's),
 * TERN_ERR_INVALID_ARGUMENT (another method or option; the message names it). The tracker is as it was. */
TERN_API tern_status tern_tracker_load(tern_tracker* tracker, const void* data, uint64_t size) TERN_NOEXCEPT;

/* How a camera moved from one picture of a video to the next, for tern_track_frame.camera: corners of the picture
 * before are found again in this one, and the turn, zoom and shift that most of them agree with is told. */
typedef struct tern_camera_motion tern_camera_motion;

/* 0 stands for the default, behind the arrow. */
typedef struct tern_camera_motion_options {
  uint32_t struct_size;
  int32_t max_side;     /* the picture is made smaller until no side has more pixels, 64..4096 -> 640 */
  int32_t max_corners;  /* 16..10000 -> 500 */
} tern_camera_motion_options;
#define TERN_CAMERA_MOTION_OPTIONS_INIT { (uint32_t)sizeof(tern_camera_motion_options), 0, 0 }

TERN_API tern_status tern_camera_motion_create(const tern_camera_motion_options* options,
                                               tern_camera_motion** motion) TERN_NOEXCEPT;
TERN_API void tern_camera_motion_release(tern_camera_motion* motion) TERN_NOEXCEPT;
/* Takes the next picture.
 * leave_out  boxes of what may move by itself, as found in this picture; only the boxes are looked at. NULL with
 *            num_leave_out 0: none
 * camera     [2][3], in pixels of the upright picture: x, y of the picture before are at camera * (x, y, 1) in this.
 *            The identity for the first picture, for one of another size than that before, and where less than a fifth
 *            of the corners agree, or less than eight
 * corners    how many agree: 0 in those three cases. May be NULL
 * Errors     those of a picture (tern_picture); TERN_ERR_INVALID_ARGUMENT: a box that is no number. It is as it was.
 * Threads    one call at a time for an estimator; a second one gives TERN_ERR_STATE. */
TERN_API tern_status tern_camera_motion_update(tern_camera_motion* motion, const tern_picture* picture,
                                               const tern_detection* leave_out, int32_t num_leave_out, float* camera,
                                               int32_t* corners) TERN_NOEXCEPT;
/* Forgets the picture: the next one is the first of another video. */
TERN_API tern_status tern_camera_motion_reset(tern_camera_motion* motion) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
