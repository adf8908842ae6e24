# SPDX-License-Identifier: Apache-2.0
"""Frames of videos, read by the program ffmpeg, and of folders of pictures."""
import os
import subprocess
import tempfile

import numpy as np

from . import _raw as raw
from ._library import Error, NotFound
from ._vision import open_picture

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


def _number(stream):
    """A number in the header of a PPM picture, and the blank behind it."""
    digits, c = b"", stream.read(1)
    while c.isspace():
        c = stream.read(1)
    while c.isdigit() and len(digits) < 9:
        digits, c = digits + c, stream.read(1)
    return int(digits) if digits and c.isspace() else 0


def frames(source):
    """The frames of a video one after the other, arrays [height, width, 3] of R G B bytes, upright. source: a file that ffmpeg reads,
    which must be installed, or "camera:0", the first camera; or a folder of pictures, in the order of their names (with PIL).
    Raises tern.NotFound where there is no such thing, tern.Error for a video that is damaged, after the frames before that."""
    source = os.fspath(source)
    camera = source.startswith("camera:")
    path = "/dev/video" + source[7:] if camera else source
    if not os.path.exists(path):
        raise NotFound(f"{source}: there is no {'camera ' if camera else ''}{path}", raw.TERN_ERR_NOT_FOUND)
    return _pictures(path) if os.path.isdir(path) else _video(source, ["-f", "v4l2", "-i", path] if camera else ["-i", "file:" + path])


def _pictures(folder):
    for name in sorted(os.listdir(folder)):
        if name.lower().endswith(_PICTURES):
            yield np.asarray(open_picture(os.path.join(folder, name)).convert("RGB"))


def _video(source, where):
    # A group of its own: Ctrl-C is for this program.
    words = ["ffmpeg", "-nostdin", "-v", "error", *where, "-map", "0:v:0", "-f", "image2pipe", "-c:v", "ppm", "-"]
    said = tempfile.TemporaryFile()  # a pipe that nobody reads would be full at some time
    try:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, start_new_session=True)
    except FileNotFoundError:
        raise NotFound("ffmpeg: videos need this program (Debian: apt install ffmpeg)", raw.TERN_ERR_NOT_FOUND) from None
    count = 0
    with process, said:
        try:
            while process.stdout.read(2) == b"P6":
                width, height, most = (_number(process.stdout) for _ in range(3))
                data = process.stdout.read(3 * width * height) if most == 255 else b""
                if not data or len(data) < 3 * width * height:
                    raise Error(f"{source}: the video ends in the middle of frame {count + 1}", raw.TERN_ERR_CORRUPT)
                count += 1
                yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
            if process.wait() != 0 or count == 0:
                said.seek(0)
                lines = said.read(65536).decode("utf-8", "replace").strip().splitlines()
                raise Error(f"{source}: {lines[-1] if lines else 'no video that ffmpeg reads'}", raw.TERN_ERR_CORRUPT)
        finally:
            process.kill()  # who takes no more frames does not wait for the rest
