# SPDX-License-Identifier: Apache-2.0
"""Vision tasks: pictures in, boxes, key points and identities out."""
import ctypes
import os
from dataclasses import dataclass

import numpy as np

from . import _raw as raw
from ._library import Handle, check, lib, to_text
from ._model import Model, load

FORMATS = {"rgb": raw.TERN_PICTURE_RGB8, "bgr": raw.TERN_PICTURE_BGR8, "rgba": raw.TERN_PICTURE_RGBA8, "grey": raw.TERN_PICTURE_GREY8}


@dataclass(frozen=True)
class Detection:
    """box: left, top, right, bottom in pixels; name: of the label, or ""."""
    box: tuple
    score: float
    label: int
    name: str = ""


@dataclass(frozen=True)
class Keypoint:
    x: float
    y: float
    z: float
    visibility: float
    name: str = ""


@dataclass(frozen=True)
class Person:
    box: tuple
    score: float
    keypoints: tuple


@dataclass(frozen=True)
class Track:
    """id: from 1, never given twice; detection: index in what the frame gave; age: frames since it began."""
    id: int
    box: tuple
    score: float
    label: int
    detection: int
    age: int


def picture(image, order="rgb"):
    """(tern_picture, what keeps its memory) of an array [height, width, 3], [.., 4] or [height, width] of bytes, of a PIL picture,
    or of a file (with PIL). order: of an array's three channels, "rgb" or "bgr" (OpenCV)."""
    if isinstance(image, (str, os.PathLike)):
        from PIL import Image, ImageOps
        image = ImageOps.exif_transpose(Image.open(image)).convert("RGB")
    if hasattr(image, "mode") and hasattr(image, "convert"):  # PIL
        image, order = image if image.mode in ("RGB", "L") else image.convert("RGB"), "rgb"
    a = np.asarray(image)
    if a.dtype != np.uint8 or a.ndim not in (2, 3) or (a.ndim == 3 and a.shape[2] not in (3, 4)):
        raise TypeError(f"an array of {a.dtype}{list(a.shape)} is no picture: uint8 [height, width, 3], [height, width, 4] or [height, width]")
    if a.strides[-1] != 1 or (a.ndim == 3 and a.strides[1] != a.shape[2]) or a.strides[0] < 0:
        a = np.ascontiguousarray(a)
    kind = "grey" if a.ndim == 2 else "rgba" if a.shape[2] == 4 else order
    p = raw.tern_picture(format=FORMATS[kind], width=a.shape[1], height=a.shape[0])
    p.planes[0] = ctypes.cast(a.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
    p.strides[0] = a.strides[0]
    return p, a


def _model(model, context):
    return model if isinstance(model, Model) else load(model, context)


class Detector(Handle):
    """Finds objects. model: a Model, or the path of one; 0: what the model says."""

    _release = "tern_detector_release"

    def __init__(self, model, min_score: float = 0, max_overlap: float = 0, max_detections: int = 0, backends: str = None, context=None):
        self.model = _model(model, context)
        options = raw.tern_detector_options(min_score=min_score, max_overlap=max_overlap, max_detections=max_detections,
                                            backends=backends.encode() if backends else None)
        pointer = ctypes.c_void_p()
        check(lib.tern_detector_create(self.model, options, pointer))
        super().__init__(pointer)
        self._found = (raw.tern_detection * 100)()

    def label(self, index: int) -> str:
        return to_text(lib.tern_detector_label(self, index)) or ""

    def __call__(self, image, order="rgb") -> list:
        """Detections, best first. image: see tern.picture."""
        p, keep = picture(image, order)
        count = ctypes.c_int32()
        check(lib.tern_detector_run(self, p, self._found, len(self._found), count))
        if count.value > len(self._found):
            self._found = (raw.tern_detection * count.value)()
            check(lib.tern_detector_run(self, p, self._found, len(self._found), count))
        del keep
        return [Detection((d.x0, d.y0, d.x1, d.y1), d.score, d.label, self.label(d.label)) for d in self._found[:count.value]]


class Pose(Handle):
    """Finds persons and their key points. detector: None where a picture holds one person."""

    _release = "tern_pose_release"

    def __init__(self, detector, landmarks, max_persons: int = 0, min_score: float = 0, backends: str = None, context=None):
        self.detector = None if detector is None else _model(detector, context)
        self.landmarks = _model(landmarks, context)
        options = raw.tern_pose_options(max_persons=max_persons, min_score=min_score, backends=backends.encode() if backends else None)
        pointer = ctypes.c_void_p()
        check(lib.tern_pose_create(self.detector, self.landmarks, options, pointer))
        super().__init__(pointer)
        self._found = (raw.tern_person * 8)()

    def keypoint_name(self, index: int) -> str:
        return to_text(lib.tern_pose_keypoint_name(self, index)) or ""

    @property
    def skeleton(self) -> list:
        """Pairs of key points that a drawing joins."""
        pairs, count = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_int32()
        check(lib.tern_pose_skeleton(self, pairs, count))
        return [(pairs[2 * i], pairs[2 * i + 1]) for i in range(count.value)]

    def __call__(self, image, order="rgb") -> list:
        """Persons, best first."""
        p, keep = picture(image, order)
        count = ctypes.c_int32()
        check(lib.tern_pose_run(self, p, self._found, len(self._found), count))
        if count.value > len(self._found):
            self._found = (raw.tern_person * count.value)()
            check(lib.tern_pose_run(self, p, self._found, len(self._found), count))
        del keep
        points = lambda q: tuple(Keypoint(k.x, k.y, k.z, k.visibility, self.keypoint_name(i)) for i, k in enumerate(q.keypoints[:q.num_keypoints]))
        return [Person((q.x0, q.y0, q.x1, q.y1), q.score, points(q)) for q in self._found[:count.value]]


class Tracker(Handle):
    """Says who is who from frame to frame. method: "byte", "ocsort" or "botsort"; 0: the method's own value."""

    _release = "tern_tracker_release"
    METHODS = {"byte": raw.TERN_TRACK_BYTE, "ocsort": raw.TERN_TRACK_OCSORT, "botsort": raw.TERN_TRACK_BOTSORT}

    def __init__(self, method: str = "byte", high_score: float = 0, low_score: float = 0, new_score: float = 0, min_overlap: float = 0,
                 frame_rate: float = 0, max_lost: float = 0, across_labels: bool = False):
        if method not in self.METHODS:
            raise ValueError(f"method '{method}', there are {', '.join(self.METHODS)}")
        options = raw.tern_tracker_options(method=self.METHODS[method], high_score=high_score, low_score=low_score, new_score=new_score,
                                           min_overlap=min_overlap, frame_rate=frame_rate, max_lost=max_lost, across_labels=across_labels)
        pointer = ctypes.c_void_p()
        check(lib.tern_tracker_create(options, pointer))
        super().__init__(pointer)

    def __call__(self, detections, time: float = None, embeddings=None, camera=None) -> list:
        """The next frame. detections: of a Detector, or an array [n, 5 or 6] of left, top, right, bottom, score and label.
        time: seconds; None: one frame after the one before. embeddings [n, size], camera [2, 3]: for "botsort"."""
        n = len(detections)
        boxes = (raw.tern_detection * max(n, 1))()
        for i, d in enumerate(detections):
            row = (*d.box, d.score, d.label) if isinstance(d, Detection) else d
            boxes[i] = raw.tern_detection(*map(float, row[:5]), int(row[5]) if len(row) > 5 else 0)
        frame = raw.tern_track_frame(num_detections=n, detections=boxes, time=-1 if time is None else time)
        keep = []
        floats = ctypes.POINTER(ctypes.c_float)
        if embeddings is not None:
            e = np.ascontiguousarray(embeddings, np.float32)
            if e.ndim != 2 or e.shape[0] != n:
                raise ValueError(f"embeddings of shape {e.shape} for {n} detections")
            keep.append(e)
            frame.embeddings, frame.embedding_size = e.ctypes.data_as(floats), e.shape[1]
        if camera is not None:
            c = np.ascontiguousarray(camera, np.float32)
            if c.shape != (2, 3):
                raise ValueError(f"a camera of shape {c.shape}, (2, 3) is needed")
            keep.append(c)
            frame.camera = c.ctypes.data_as(floats)
        tracks, count = (raw.tern_track * max(n, 1))(), ctypes.c_int32()
        check(lib.tern_tracker_update(self, frame, tracks, len(tracks), count))
        return [Track(t.id, (t.x0, t.y0, t.x1, t.y1), t.score, t.label, t.detection, t.age) for t in tracks[:count.value]]

    def reset(self):
        """Forgets all: the next frame is the first of another video."""
        check(lib.tern_tracker_reset(self))

    def save(self) -> bytes:
        """All that it knows, to go on from there by load."""
        size = ctypes.c_uint64()
        check(lib.tern_tracker_save(self, None, 0, size))
        data = ctypes.create_string_buffer(size.value)
        check(lib.tern_tracker_save(self, data, size.value, size))
        return data.raw

    def load(self, data: bytes):
        """What a tracker of the same method and options saved."""
        check(lib.tern_tracker_load(self, bytes(data), len(data)))


class CameraMotion(Handle):
    """How a camera moved from picture to picture: the `camera` of a Tracker."""

    _release = "tern_camera_motion_release"

    def __init__(self, max_side: int = 0, max_corners: int = 0):
        pointer = ctypes.c_void_p()
        check(lib.tern_camera_motion_create(raw.tern_camera_motion_options(max_side=max_side, max_corners=max_corners), pointer))
        super().__init__(pointer)

    def __call__(self, image, detections=(), order="rgb"):
        """The next picture, and what in it may move by itself: an array [2, 3]; the identity where it is not known."""
        p, keep = picture(image, order)
        boxes = (raw.tern_detection * max(len(detections), 1))()
        for i, d in enumerate(detections):
            boxes[i] = raw.tern_detection(*map(float, d.box if isinstance(d, Detection) else d[:4]), 0, 0)
        camera = np.empty((2, 3), np.float32)
        check(lib.tern_camera_motion_update(self, p, boxes, len(detections), camera.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), None))
        del keep
        return camera

    def reset(self):
        """Forgets the picture: the next one is the first of another video."""
        check(lib.tern_camera_motion_reset(self))


_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#f032e6", "#9a6324", "#800000", "#808000", "#000075")


def draw(image, results, skeleton=()):
    """A PIL picture with the detections, tracks or persons drawn on it."""
    from PIL import Image, ImageDraw, ImageOps
    if isinstance(image, (str, os.PathLike)):
        image = ImageOps.exif_transpose(Image.open(image))
    out = (image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))).convert("RGB")
    canvas, width = ImageDraw.Draw(out), max(2, round(min(out.size) / 250))
    for r in results:
        number = r.id if isinstance(r, Track) else r.label if isinstance(r, Detection) else 0
        colour = _COLOURS[number % len(_COLOURS)]
        if isinstance(r, Person):
            points = [(k.x, k.y) for k in r.keypoints]
            for a, b in skeleton:
                canvas.line([points[a], points[b]], fill=colour, width=width)
            for x, y in points:
                canvas.ellipse([x - width, y - width, x + width, y + width], fill=colour)
            continue
        canvas.rectangle(r.box, outline=colour, width=width)
        text = str(r.id) if isinstance(r, Track) else f"{r.name or r.label} {r.score:.0%}"
        at = (r.box[0], max(0, r.box[1] - 12))
        canvas.rectangle(canvas.textbbox(at, text), fill=colour)
        canvas.text(at, text, fill="white")
    return out
