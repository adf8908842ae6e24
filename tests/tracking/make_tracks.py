#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the sequences of boxes in this folder, and what the programs of the trackers' authors say of them.

  make_tracks.py BYTETRACK OC_SORT

Folders with github.com/ifzhang/ByteTrack (d1bf019) and github.com/noahcao/OC_SORT (8462e7e). Needs numpy, scipy, lap.
NAME.boxes: frame, left, top, right, bottom, score of each detection. NAME.METHOD: frame, id, left, top, right, bottom.
"""
import os
import sys
import types

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def sequence(seed, people, frames, noise, missed, wrong, width=640, height=480):
    """People who walk, turn, pass behind one another, and go; a detector that is unsure of what is half hidden."""
    rng = np.random.default_rng(seed)
    where = rng.uniform([60, 120], [width - 60, height - 60], (people, 2))
    speed = rng.uniform(-3, 3, (people, 2)) * [1, 0.4]
    size = rng.uniform([24, 60], [44, 120], (people, 2))
    begin = np.where(rng.random(people) < 0.6, 0, rng.integers(0, frames // 2, people))
    end = np.where(rng.random(people) < 0.7, frames, rng.integers(frames // 2, frames, people))
    gone = np.zeros(people)
    for frame in range(frames):
        turn = rng.random(people) < 0.02
        speed[turn] = rng.uniform(-3, 3, (int(turn.sum()), 2)) * [1, 0.4]
        where += speed
        outside = (where < 30) | (where > [width - 30, height - 30])
        speed[outside] *= -1
        gone = np.where(rng.random(people) < missed, rng.integers(1, 12, people), gone - 1)
        rows = []
        for i in range(people):
            if not begin[i] <= frame < end[i] or gone[i] > 0:
                continue
            covered = 0.0
            for j in range(people):
                if j != i and begin[j] <= frame < end[j] and where[j, 1] > where[i, 1]:
                    both = np.minimum(where[i] + size[i] / 2, where[j] + size[j] / 2) - np.maximum(where[i] - size[i] / 2, where[j] - size[j] / 2)
                    covered = max(covered, float(np.prod(np.maximum(both, 0)) / np.prod(size[i])))
            score = 0.95 - 0.9 * covered + rng.normal(0, 0.06)
            if score < 0.05:
                continue
            centre, s = where[i] + rng.normal(0, noise, 2), size[i] * np.exp(rng.normal(0, noise / 60, 2))
            rows.append([*(centre - s / 2), *(centre + s / 2), min(score, 0.99)])
        for _ in range(rng.poisson(wrong)):
            centre, s = rng.uniform([0, 0], [width, height]), rng.uniform([20, 40], [60, 120])
            rows.append([*(centre - s / 2), *(centre + s / 2), rng.uniform(0.1, 0.8)])
        yield np.array([[f"{v:.2f}" for v in r] for r in rows], np.float32).reshape(-1, 5)


SEQUENCES = {"few": dict(seed=1, people=5, frames=120, noise=1, missed=0.01, wrong=0.1),
             "crowd": dict(seed=2, people=20, frames=60, noise=1.5, missed=0.02, wrong=1.5),
             "long_gaps": dict(seed=3, people=6, frames=130, noise=0.7, missed=0.06, wrong=0.3)}


def stand_ins():
    """What the programs import and these runs need little of."""
    for name in ("cv2", "torch", "torch.nn", "torch.nn.functional"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torch"].nn = sys.modules["torch.nn"]
    sys.modules["torch.nn"].functional = sys.modules["torch.nn.functional"]
    sys.modules["torch"].Tensor = type("Tensor", (), {})  # scipy asks for it
    np.float = float
    boxes = types.ModuleType("cython_bbox")

    def overlaps(a, b):  # intersection over union of boxes in pixels that they touch
        a, b = a[:, None, :], b[None, :, :]
        size = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + 1, 0)
        both = size[..., 0] * size[..., 1]
        area = lambda x: (x[..., 2] - x[..., 0] + 1) * (x[..., 3] - x[..., 1] + 1)
        return both / (area(a) + area(b) - both)
    boxes.bbox_overlaps = overlaps
    sys.modules["cython_bbox"] = boxes


def byte(frames):
    from yolox.tracker.basetrack import BaseTrack
    from yolox.tracker.byte_tracker import BYTETracker
    BaseTrack._count = 0
    tracker = BYTETracker(types.SimpleNamespace(track_thresh=0.6, match_thresh=0.9, track_buffer=30, mot20=False))
    for rows in frames:
        yield [[t.track_id, *t.tlbr] for t in tracker.update(rows.astype(np.float64), (1, 1), (1, 1))]


def ocsort(frames, low=False):
    from trackers.ocsort_tracker.ocsort import OCSort
    tracker = OCSort(det_thresh=0.6, use_byte=low)
    for rows in frames:
        yield [[int(t[4]), *t[:4]] for t in tracker.update(rows.astype(np.float64), (1, 1), (1, 1))]


def write(name, frames, digits):
    with open(os.path.join(HERE, name), "w", encoding="ascii") as f:
        for number, rows in enumerate(frames, 1):
            for row in rows:
                f.write(",".join([str(number)] + [f"{v:.{digits}f}".removesuffix(".0000") for v in row]) + "\n")


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    sys.path[:0] = sys.argv[1:3]
    stand_ins()
    for name, how in SEQUENCES.items():
        frames = list(sequence(**how))
        write(name + ".boxes", frames, 2)
        write(name + ".byte", byte(frames), 4)
        write(name + ".ocsort", ocsort(frames), 4)
        write(name + ".ocsort_low", ocsort(frames, low=True), 4)


if __name__ == "__main__":
    main()
