# SPDX-License-Identifier: Apache-2.0
"""Pictures as the goldens see them: decoded by stb_image, not by Pillow (see decode_picture.c)."""
import functools
import os
import subprocess
import tempfile

import numpy as np


@functools.cache
def decoder():
    here = os.path.dirname(os.path.abspath(__file__))
    program = os.path.join(tempfile.mkdtemp(), "decode_picture")
    subprocess.run(["cc", "-O2", "-o", program, os.path.join(here, "decode_picture.c"), "-lm"], check=True)
    return program


def read(path):
    """[height, width, 3] uint8, RGB"""
    out = os.path.join(os.path.dirname(decoder()), "out.ppm")
    subprocess.run([decoder(), path, out], check=True)
    with open(out, "rb") as f:
        f.readline()
        width, height = map(int, f.readline().split())
        f.readline()
        return np.frombuffer(f.read(), np.uint8).reshape(height, width, 3)
