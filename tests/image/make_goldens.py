#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes goldens.txt: what other software makes of the same pictures.

  pip install numpy opencv-python-headless pillow colour-science
  tests/image/make_goldens.py > tests/image/goldens.txt

Lines: yuv MATRIX RANGE Y U V R G B      BT.601 (0) by OpenCV (limited) and Pillow (full), BT.709 (1) by colour-science
       over COLOUR ALPHA BACKGROUND RESULT   by Pillow
       exif ORIENTATION WIDTH HEIGHT VALUES  what Pillow's exif_transpose makes of the 3 x 2 pixels 0 1 2 / 3 4 5
       area WIDTH HEIGHT OUT_WIDTH OUT_HEIGHT VALUES   cv2.INTER_AREA in f32 of the picture of `noise`, R G B by pixels
"""
import warnings

import cv2
import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
import colour


def noise(count):
    x, out = 1, np.empty(count, np.uint8)
    for i in range(count):
        x = (x * 1664525 + 1013904223) % 2 ** 32
        out[i] = x >> 24
    return out


def yuv():
    steps = (0, 16, 60, 128, 180, 235, 255)
    for y in steps:
        for u in (0, 16, 90, 128, 200, 240):
            for v in (0, 50, 128, 170, 240, 255):
                planes = np.array([y] * 4 + [u, v], np.uint8).reshape(3, 2)
                if y >= 16:  # OpenCV takes what is below for 16
                    yield 0, 0, y, u, v, cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_NV12)[0, 0]
                yield 0, 1, y, u, v, Image.new("YCbCr", (1, 1), (y, u, v)).convert("RGB").getpixel((0, 0))
                for full in (0, 1):
                    rgb = colour.YCbCr_to_RGB([y, u, v], K=colour.WEIGHTS_YCBCR["ITU-R BT.709"], in_bits=8, in_int=True,
                                              in_legal=not full, out_bits=8, out_legal=False) * 255
                    yield 1, full, y, u, v, np.clip(np.round(rgb), 0, 255).astype(int)


def main():
    for matrix, full, y, u, v, rgb in yuv():
        print("yuv", matrix, full, y, u, v, *(int(c) for c in rgb))
    values = noise(900).astype(int)
    values[:30:3], values[30:60:3] = 0, 255
    for colour_, alpha, background in zip(values[1::3], values[0::3], values[2::3]):
        below = Image.new("RGBA", (1, 1), (int(background),) * 3 + (255,))
        above = Image.new("RGBA", (1, 1), (int(colour_),) * 3 + (int(alpha),))
        print("over", colour_, alpha, background, Image.alpha_composite(below, above).getpixel((0, 0))[0])
    for orientation in range(1, 9):
        stored = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
        stored.getexif()[0x0112] = orientation
        upright = ImageOps.exif_transpose(stored)
        print("exif", orientation, *upright.size, *upright.tobytes())
    for width, height, out_width, out_height in ((37, 29, 10, 7), (36, 24, 9, 6), (37, 29, 36, 28), (50, 11, 3, 11),
                                                 (13, 70, 1, 1)):
        picture = noise(width * height * 3).reshape(height, width, 3).astype(np.float32)
        small = cv2.resize(picture, (out_width, out_height), interpolation=cv2.INTER_AREA)
        print("area", width, height, out_width, out_height, *(f"{v:.3f}" for v in small.reshape(-1)))


main()
