# SPDX-License-Identifier: Apache-2.0
"""Tern runs and fine-tunes models on the device.

    import tern
    detector = tern.Detector("ssd.tern")
    for d in detector("dog.jpg"):
        print(d.name, d.score, d.box)
"""
from ._library import Error, InvalidArgument, NotFound, OutOfMemory, TimedOut, lib as _lib
from ._model import Bound, Context, Model, Session, TensorInfo, default_context, import_model, load
from ._vision import CameraMotion, Detection, Detector, Keypoint, Person, Pose, Track, Tracker, draw, picture

__version__ = ".".join(str(_lib.tern_version() // 10 ** k % 100) for k in (4, 2, 0))
__all__ = ["Bound", "CameraMotion", "Context", "Detection", "Detector", "Error", "InvalidArgument", "Keypoint", "Model", "NotFound", "OutOfMemory", "Person", "Pose",
           "Session", "TensorInfo", "TimedOut", "Track", "Tracker", "default_context", "draw", "import_model", "load", "picture"]
