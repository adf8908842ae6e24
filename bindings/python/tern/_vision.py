# SPDX-License-Identifier: Apache-2.0
"""Vision tasks: pictures in, boxes, key points and identities out."""
import ctypes
import os
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import _raw as raw
from ._interrupt import RunOptions
from ._library import Handle, check, lib, to_text
from ._model import Context, Model, load

FORMATS = {"rgb": raw.TERN_PICTURE_RGB8, "bgr": raw.TERN_PICTURE_BGR8, "rgba": raw.TERN_PICTURE_RGBA8, "bgra": raw.TERN_PICTURE_BGRA8,
           "grey": raw.TERN_PICTURE_GREY8}


@dataclass(frozen=True, eq=False)
class Detection:
    """One of the things that were found: an object, person, face, line of text; or a class of the whole picture.
    box: left, top, right, bottom in pixels; name: of the label, or "". What the task gives beyond: corners [4, 2] of a box that may
    be turned; keypoints; mask, bytes [height, width] that begin at the pixel mask_at (x, y); embedding; text. kind: of the task, as
    Vision.kind; skeleton: pairs of key points that a drawing joins."""
    box: tuple
    score: float
    label: int
    name: str = ""
    corners: np.ndarray = None
    keypoints: tuple = ()
    mask: np.ndarray = None
    mask_at: tuple = None
    embedding: np.ndarray = None
    text: str = None
    kind: str = "detector"
    skeleton: tuple = ()

    @property
    def mask_box(self):
        """Left, top, right, bottom of the mask's pixels: mask == picture[top:bottom, left:right] in size."""
        return (*self.mask_at, self.mask_at[0] + self.mask.shape[1], self.mask_at[1] + self.mask.shape[0])


class Keypoint(NamedTuple):
    """x, y: pixels; z: depth in pixels, smaller = nearer; visibility: 0 to 1."""
    x: float
    y: float
    z: float
    visibility: float
    name: str = ""


@dataclass(frozen=True)
class Track:
    """id: from 1, never given twice; detection: index in what the frame gave; age: frames since it began; name: of the label, where
    Detections were given, or ""."""
    id: int
    box: tuple
    score: float
    label: int
    detection: int
    age: int
    name: str = ""


def _bytes_of(image):
    """A PIL picture of any mode as one of mode L, RGB or RGBA."""
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    if image.mode.startswith("I;16"):  # PIL would cut all above 255 to white
        from PIL import Image
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise TypeError(f"a PIL picture of mode {image.mode} does not say which number is white: convert it to L")
    transparent = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "L" if image.mode == "1" else "RGB")


def open_picture(image, order="rgb"):
    """A file, upright, or an array as a PIL picture."""
    from PIL import Image, ImageOps
    if isinstance(image, (str, os.PathLike)):
        return ImageOps.exif_transpose(Image.open(image))
    if isinstance(image, Image.Image):
        return image
    a = np.asarray(image)
    return Image.fromarray(a[..., [2, 1, 0, 3][:a.shape[2]]] if order == "bgr" and a.ndim == 3 else a)


def picture(image, order="rgb"):
    """(tern_picture, what keeps its memory) of an array [height, width, 3], [.., 4] or [height, width] of bytes, of a PIL picture,
    or of a file (with PIL). order: of an array's channels, "rgb" or "bgr" (OpenCV); a fourth one is alpha. What is transparent lies on
    white; of pictures of 16 bits the upper 8 count."""
    if isinstance(image, (str, os.PathLike)):
        image = open_picture(image)
    if hasattr(image, "mode") and hasattr(image, "convert"):  # PIL
        image, order = _bytes_of(image), "rgb"
    a = np.asarray(image)
    if a.dtype != np.uint8 or a.ndim not in (2, 3) or (a.ndim == 3 and a.shape[2] not in (3, 4)):
        raise TypeError(f"an array of {a.dtype}{list(a.shape)} is no picture: uint8 [height, width, 3], [height, width, 4] or [height, width]")
    if a.strides[-1] != 1 or (a.ndim == 3 and a.strides[1] != a.shape[2]) or a.strides[0] < 0:
        a = np.ascontiguousarray(a)
    kind = "grey" if a.ndim == 2 else order + "a" if a.shape[2] == 4 else order
    p = raw.tern_picture(format=FORMATS[kind], width=a.shape[1], height=a.shape[0])
    p.planes[0] = ctypes.cast(a.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
    p.strides[0] = a.strides[0]
    return p, a


def _model(model, context):
    return model if isinstance(model, Model) else load(model, context)


class Result(list):
    """What was found in one picture: Detections, best first. width, height: of the upright picture; class_map: bytes
    [height, width], the class of each pixel, of segmenters of several classes; names: of the classes in it, by number."""

    width = height = 0
    class_map, names = None, {}


def _array(pointer, shape, dtype):
    """A copy of what a task lends."""
    return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_uint8)),
                                 (int(np.prod(shape)) * np.dtype(dtype).itemsize,)).view(dtype).reshape(shape).copy()


class Vision(Handle):
    """A vision task of one model, or of several that work together: detector, classifier, segmenter, key points, embedder, text
    reader; what it is, the models say. models: Models, or their paths; 0: what the model says.
    follow: pictures are frames of a video, and key points are looked for where they were; smoothing: of them, in Hz.
    threads: of a context of its own for models that are given as paths; 0: they share the default one."""

    _release = "tern_vision_release"
    KINDS = ("detector", "classifier", "segmenter", "keypoints", "embedder", "reader")

    def __init__(self, *models, min_score: float = 0, max_overlap: float = 0, max_results: int = 0, follow: bool = False, smoothing: float = 0,
                 frame_rate: float = 0, backends: str = None, context=None, threads: int = 0):
        if threads:
            if context is not None or any(isinstance(m, Model) for m in models):
                raise ValueError("threads makes a context of its own: models must be paths, and there can be no other context")
            context = Context(threads)
        self.models = [_model(m, context) for m in models]
        options = raw.tern_vision_options(flags=raw.TERN_VISION_FOLLOW * follow, min_score=min_score, max_overlap=max_overlap, max_results=max_results,
                                          smoothing=smoothing, frame_rate=frame_rate, backends=backends.encode() if backends else None)
        pointer = ctypes.c_void_p()
        handles = (ctypes.c_void_p * max(1, len(models)))(*(m._as_parameter_ for m in self.models))
        check(lib.tern_vision_create(handles, len(models), options, pointer))
        super().__init__(pointer)
        self._points = []  # names, asked for once
        self.kind = self.KINDS[lib.tern_vision_get_kind(self)]
        pairs, count = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_int32()
        check(lib.tern_vision_skeleton(self, pairs, count))
        self.skeleton = tuple((pairs[2 * i], pairs[2 * i + 1]) for i in range(count.value))  # pairs of key points that a drawing joins

    def label(self, index: int) -> str:
        return to_text(lib.tern_vision_label(self, index)) or ""

    def keypoint_name(self, index: int) -> str:
        return to_text(lib.tern_vision_keypoint_name(self, index)) or ""

    def reset(self):
        """The next picture is the first of another video."""
        check(lib.tern_vision_reset(self))

    def __call__(self, image, order="rgb", timeout=None):
        """The Result of a picture; of a list of pictures a list of them. image: see tern.picture. timeout: seconds after which
        tern.TimedOut is raised. Ctrl-C ends a running call; the task can be used again."""
        images = image if isinstance(image, (list, tuple)) else [image]
        if not images:
            return []
        pairs = [picture(i, order) for i in images]
        pictures = (raw.tern_picture * len(pairs))(*(p for p, _ in pairs))
        results = (ctypes.POINTER(raw.tern_vision_result) * len(pairs))()
        with RunOptions(timeout) as options:
            check(lib.tern_vision_run(self, pictures, len(pairs), options, results))
        found = [self._result(r.contents) for r in results]
        return found if isinstance(image, (list, tuple)) else found[0]

    def _result(self, r):
        out = Result()
        out.width, out.height = r.width, r.height
        n, points = r.num_detections, r.num_keypoints
        if r.class_map:
            out.class_map = _array(r.class_map, (r.height, r.width), np.uint8)
            out.names = {c: self.label(c) for c in np.flatnonzero(np.bincount(out.class_map.ravel())).tolist()}
        corners = _array(r.corners, (n, 4, 2), np.float32) if r.corners else None
        embeddings = _array(r.embeddings, (n, r.embedding_size), np.float32) if r.embeddings else None
        places = _array(r.keypoints, (n, points, 4), np.float32).tolist() if r.keypoints else None
        if len(self._points) < points:
            self._points = [self.keypoint_name(k) for k in range(points)]
        for i in range(n):
            d, mask, at = r.detections[i], None, None
            if r.masks:
                m = r.masks[i]
                at = (m.x, m.y)
                mask = _array(m.pixels, (m.height, m.width), np.uint8) if m.width and m.height else np.zeros((0, 0), np.uint8)
            keypoints = tuple(Keypoint(*q, name) for q, name in zip(places[i], self._points)) if places else ()
            out.append(Detection((d.x0, d.y0, d.x1, d.y1), d.score, d.label, self.label(d.label), corners[i] if corners is not None else None,
                                 keypoints, mask, at, embeddings[i] if embeddings is not None else None, to_text(r.texts[i]) if r.texts else None,
                                 self.kind, self.skeleton))
        return out


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
        """The next frame. detections: of a Vision, or an array [n, 5 or 6] of left, top, right, bottom, score and label.
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
        names = [d.name if isinstance(d, Detection) else "" for d in detections]
        return [Track(t.id, (t.x0, t.y0, t.x1, t.y1), t.score, t.label, t.detection, t.age, names[t.detection] if 0 <= t.detection < n else "")
                for t in tracks[:count.value]]

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


def similarity(a, b) -> float:
    """Cosine of the angle between two embeddings."""
    a, b = np.ascontiguousarray(a, np.float32).ravel(), np.ascontiguousarray(b, np.float32).ravel()
    if a.size != b.size:
        raise ValueError(f"embeddings of {a.size} and {b.size} numbers")
    floats = ctypes.POINTER(ctypes.c_float)
    return lib.tern_vision_similarity(a.ctypes.data_as(floats), b.ctypes.data_as(floats), a.size)
