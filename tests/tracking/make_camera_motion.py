#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes camera_motion.txt: moves of a camera over samples/dog.jpg, and what OpenCV says of them.

    python3 -m pip install numpy opencv-python-headless && python3 tests/tracking/make_camera_motion.py

As BoT-SORT's sparse optical flow does (github.com/NirAharon/BoT-SORT, 2519854, tracker/gmc.py), but on pictures that
are not made smaller: goodFeaturesToTrack, calcOpticalFlowPyrLK, estimateAffinePartial2D. The pictures are those of
camera_motion_test.cpp: 512 x 384 pixels from the middle of the photo, the second one moved, with noise, and with boxes
of another part of the photo upon them that move by themselves.
Lines: angle in degrees, zoom, shift x, shift y (about the middle), noise, boxes; the affine [2][3] that OpenCV finds.
"""
import os

import cv2
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 512, 384
MOVES = [(0, 1, 0, 0), (0, 1, 3.25, -1.75), (0, 1, 13.5, 6.25), (1.5, 1, 0, 0), (0, 1.03, 0, 0), (-0.7, 0.985, -5.5, 2.25), (3, 1.02, 9, -7)]


def noise(frame, strength):
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint32)
    h = x * np.uint32(374761393) + y * np.uint32(668265263) + np.uint32(frame * 974634777 % 2**32)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    h ^= h >> np.uint32(16)
    return (h % np.uint32(2 * strength + 1)).astype(np.float64) - strength


def affine(angle, zoom, x, y):
    """Where a point of the first picture is in the second, pixel centres at .5."""
    a, b = zoom * np.cos(np.radians(angle)), zoom * np.sin(np.radians(angle))
    cx, cy = WIDTH / 2, HEIGHT / 2
    return np.array([[a, -b, cx - a * cx + b * cy + x], [b, a, cy - b * cx - a * cy + y]])


def picture(photo, m, frame, strength, boxes):
    inverse = np.linalg.inv(np.vstack([m, [0, 0, 1]]))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2] + (photo.shape[1] - WIDTH) / 2 - 0.5
    v = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2] + (photo.shape[0] - HEIGHT) / 2 - 0.5
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    s, t = u - i, v - j
    out = (1 - t) * ((1 - s) * photo[j, i] + s * photo[j, i + 1]) + t * ((1 - s) * photo[j + 1, i] + s * photo[j + 1, i + 1])
    if strength:
        out += noise(frame, strength)
    if boxes:
        for k in range(3):
            left, top = 60 + 150 * k + (11 - 6 * k) * frame, 90 + 60 * k + (5 * k - 8) * frame
            out[top:top + 90, left:left + 60] = photo[400:490, 300 + 60 * k:360 + 60 * k]
    return np.clip(np.floor(out + 0.5), 0, 255).astype(np.uint8)


def opencv(first, second):
    points = cv2.goodFeaturesToTrack(first, mask=None, maxCorners=1000, qualityLevel=0.01, minDistance=1, blockSize=3, useHarrisDetector=False, k=0.04)
    moved, status, _ = cv2.calcOpticalFlowPyrLK(first, second, points, None)
    there = status.ravel() == 1
    cv2.setRNGSeed(1)
    m, _ = cv2.estimateAffinePartial2D(points[there] + 0.5, moved[there] + 0.5)
    return m


def main():
    photo = cv2.imread(os.path.join(HERE, "../../samples/dog.jpg"), cv2.IMREAD_COLOR_RGB).astype(np.float64)
    photo = np.floor(photo @ [0.299, 0.587, 0.114] + 0.5)
    with open(os.path.join(HERE, "camera_motion.txt"), "w", encoding="ascii") as f:
        for move in MOVES:
            for strength, boxes in ((0, 0), (4, 0), (4, 1)):
                pictures = [picture(photo, m, k, strength, boxes) for k, m in enumerate((np.eye(2, 3), affine(*move)))]
                m = opencv(*pictures)
                corner = lambda a: a @ [[0, WIDTH, 0, WIDTH], [0, 0, HEIGHT, HEIGHT], [1, 1, 1, 1]]
                print(move, strength, boxes, "OpenCV is off by at most", np.abs(corner(m) - corner(affine(*move))).max())
                f.write(" ".join(f"{v:g}" for v in (*move, strength, boxes)) + " " + " ".join(f"{v:.6f}" for v in m.ravel()) + "\n")


if __name__ == "__main__":
    main()
