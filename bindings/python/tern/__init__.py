# SPDX-License-Identifier: Apache-2.0
"""Tern runs and fine-tunes models on the device.

    import tern
    found = tern.Vision("ssd.tern")("dog.jpg")
    for d in found:
        print(d.name, d.score, d.box)
    tern.draw("dog.jpg", found).save("found.png")
"""
from ._library import Error, InvalidArgument, NotFound, OutOfMemory, TimedOut, lib as _lib
from ._draw import draw
from ._generator import Generator
from ._model import Bound, Context, Model, Session, TensorInfo, default_context, edit_model, import_model, load
from ._text import Token, Tokenizer, set_tokenizer
from ._video import frames
from ._vision import CameraMotion, Detection, Keypoint, Result, Track, Tracker, Vision, picture, similarity

__version__ = ".".join(str(_lib.tern_version() // 10 ** k % 100) for k in (4, 2, 0))
__all__ = ["Bound", "CameraMotion", "Context", "Detection", "Error", "Generator", "InvalidArgument", "Keypoint", "Model", "NotFound", "OutOfMemory", "Result", "Session",
           "TensorInfo", "TimedOut", "Token", "Tokenizer", "Track", "Tracker", "Vision", "default_context", "draw", "edit_model", "frames", "import_model", "load", "picture",
           "set_tokenizer", "similarity"]
