#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the sequences of boxes in this folder, and what the programs of the trackers' authors say of them.

  make_tracks.py BYTETRACK OC_SORT BOT_SORT TRACKEVAL

Folders with github.com/ifzhang/ByteTrack (d1bf019), github.com/noahcao/OC_SORT (8462e7e),
github.com/NirAharon/BoT-SORT (2519854) and github.com/JonathonLuiten/TrackEval (12c8791). Needs numpy, scipy, lap.
NAME.boxes: frame, left, top, right, bottom, score of each detection, and of moving.boxes what it looks like.
NAME.camera: frame, where a point of the frame before is in it. NAME.METHOD: frame, id, left, top, right, bottom.
NAME.truth: the same of everybody who is there; scores.json: what TrackEval says of the methods.
"""
import json
import os
import sys
import types

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


LOOK = 6  # numbers


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
        rows, true, who = [], [], []
        for i in range(people):
            if not begin[i] <= frame < end[i]:
                continue
            true.append([i + 1, *(where[i] - size[i] / 2), *(where[i] + size[i] / 2)])
            if gone[i] > 0:
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
            who.append(i)
        for _ in range(rng.poisson(wrong)):
            centre, s = rng.uniform([0, 0], [width, height]), rng.uniform([20, 40], [60, 120])
            rows.append([*(centre - s / 2), *(centre + s / 2), rng.uniform(0.1, 0.8)])
            who.append(-1)
        yield np.array([[f"{v:.2f}" for v in r] for r in rows], np.float32).reshape(-1, 5), true, who


def moving(frames, people, seed):
    """The same, seen by a camera that pans and turns, with what each detection looks like."""
    rng = np.random.default_rng(seed)
    looks = rng.normal(0, 1, (people, LOOK))
    whole = np.eye(3)
    boxes, cameras = [], []
    for number, (rows, _, who) in enumerate(frames):
        step = np.eye(3)
        if number:
            angle, zoom = rng.normal(0, 0.004), 1 + rng.normal(0, 0.003)
            step[:2] = [[zoom * np.cos(angle), -zoom * np.sin(angle), rng.normal(4, 3)], [zoom * np.sin(angle), zoom * np.cos(angle), rng.normal(0, 2)]]
        step = np.array([[f"{v:.5f}" for v in r] for r in step], np.float32).astype(np.float64)
        whole = step @ whole
        out = []
        for r, i in zip(rows.astype(np.float64), who):
            centre, size = (r[:2] + r[2:4]) / 2, r[2:4] - r[:2]
            centre = (whole @ [*centre, 1])[:2]
            look = (looks[i] if i >= 0 else rng.normal(0, 1, LOOK)) + rng.normal(0, 0.15, LOOK)
            out.append([*(centre - size / 2), *(centre + size / 2), r[4], *look])
        boxes.append(np.array([[f"{v:.2f}" for v in r] for r in out], np.float32).reshape(-1, 5 + LOOK))
        cameras.append(step[:2])
    return boxes, cameras


SEQUENCES = {"few": dict(seed=1, people=5, frames=120, noise=1, missed=0.01, wrong=0.1),
             "crowd": dict(seed=69, people=30, frames=50, noise=4, missed=0.03, wrong=0.5, width=420, height=360),
             "long_gaps": dict(seed=3, people=6, frames=130, noise=0.7, missed=0.06, wrong=0.3)}


def edges():
    """What happens at the limits: eight that stand, are gone for 27 to 34 frames and come back; and one who walks to where another
    one was last seen."""
    for frame in range(1, 61):
        rows, true = [], []
        for i in range(8):
            box = [10 + 60 * i, 20, 40 + 60 * i, 100]
            true.append([i + 1, *box])
            if frame <= 10 or frame > 37 + i:
                rows.append([*box, 0.9])
        if frame <= 20:
            rows.append([400, 200, 440, 300, 0.9])
            true.append([9, *rows[-1][:4]])
        x = min(400, 250 + 5 * frame)
        rows.append([x, 203, x + 40, 303, 0.9])
        true.append([10, *rows[-1][:4]])
        yield np.array(rows, np.float32), true


def sizes(seed):
    """One whose box becomes larger and smaller at once, with gaps: on it the area of OC-SORT's filter would fall below zero."""
    rng = np.random.default_rng(seed)
    x, y, side, gap = 200.0, 150.0, 100.0, 0
    for frame in range(24):
        x, side = x + rng.uniform(-6, 12), np.clip(side * np.exp(rng.normal(0, 0.35)), 25, 140)
        gap = rng.integers(2, 6) if gap <= 0 and frame > 2 and rng.random() < 0.25 else gap - 1
        box = [f"{v:.2f}" for v in (x - side * 0.2, y - side * 0.5, x + side * 0.2, y + side * 0.5, 0.9)]
        yield np.array([box] if gap <= 0 else [], np.float32).reshape(-1, 5)


def stand_ins():
    """What the programs import and these runs need little of."""
    for name in ("cv2", "matplotlib", "matplotlib.pyplot", "fast_reid", "fast_reid.fast_reid_interfece", "tracker.gmc", "torch", "torch.nn", "torch.nn.functional"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torch"].nn = sys.modules["torch.nn"]
    sys.modules["torch.nn"].functional = sys.modules["torch.nn.functional"]
    sys.modules["fast_reid.fast_reid_interfece"].FastReIDInterface = lambda *_: types.SimpleNamespace(inference=lambda image, boxes: image.looks.copy())
    sys.modules["tracker.gmc"].GMC = lambda **_: types.SimpleNamespace(apply=lambda image, boxes: image.camera)
    sys.modules["torch"].Tensor = type("Tensor", (), {})  # scipy asks for it
    import scipy.optimize  # before numpy gets names that it lost
    np.float, np.int = float, int
    boxes = types.ModuleType("cython_bbox")

    def overlaps(a, b):  # intersection over union of boxes in pixels that they touch
        a, b = a[:, None, :], b[None, :, :]
        size = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + 1, 0)
        both = size[..., 0] * size[..., 1]
        area = lambda x: (x[..., 2] - x[..., 0] + 1) * (x[..., 3] - x[..., 1] + 1)
        return both / (area(a) + area(b) - both)
    boxes.bbox_overlaps = overlaps
    sys.modules["cython_bbox"] = boxes


def byte(frames, high=0.6, rate=30):
    from yolox.tracker.basetrack import BaseTrack
    from yolox.tracker.byte_tracker import BYTETracker
    BaseTrack._count = 0
    tracker = BYTETracker(types.SimpleNamespace(track_thresh=high, match_thresh=0.9, track_buffer=30, mot20=False), frame_rate=rate)
    for rows in frames:
        yield [[t.track_id, *t.tlbr] for t in tracker.update(rows.astype(np.float64), (1, 1), (1, 1))]


def ocsort(frames, low=False, high=0.6, rate=30):
    from trackers.ocsort_tracker.ocsort import OCSort
    tracker = OCSort(det_thresh=high, max_age=rate, use_byte=low)
    for rows in frames:
        yield [[int(t[4]), *t[:4]] for t in tracker.update(rows.astype(np.float64), (1, 1), (1, 1))]


def botsort(frames, cameras=None, high=0.6, rate=30):
    from tracker.bot_sort import BoTSORT
    looks = cameras is not None
    tracker = BoTSORT(types.SimpleNamespace(track_high_thresh=high, track_low_thresh=0.1, new_track_thresh=high + 0.1, track_buffer=30, match_thresh=0.8,
                                            proximity_thresh=0.5, appearance_thresh=0.25, with_reid=looks, fast_reid_config="", fast_reid_weights="",
                                            device="", cmc_method="", name="", ablation="", mot20=False), frame_rate=rate)
    for number, rows in enumerate(frames):
        rows = rows.astype(np.float64)
        image = types.SimpleNamespace(looks=rows[rows[:, 4] > high, 5:], camera=cameras[number] if looks else np.eye(2, 3))
        yield [[t.track_id, *t.tlbr] for t in tracker.update(rows[:, :5], image)]


def score(truth, tracks):
    from trackeval.metrics.clear import CLEAR
    from trackeval.metrics.hota import HOTA
    from trackeval.metrics.identity import Identity
    data = {"gt_ids": [], "tracker_ids": [], "similarity_scores": [], "num_timesteps": len(truth)}
    numbers = {"gt_ids": {}, "tracker_ids": {}}
    for frame in zip(truth, tracks):
        boxes = []
        for key, rows in zip(numbers, frame):
            data[key].append(np.array([numbers[key].setdefault(r[0], len(numbers[key])) for r in rows], int))
            boxes.append(np.array([[float(v) for v in r[1:]] for r in rows]).reshape(-1, 4))
        a, b = boxes[0][:, None], boxes[1][None]
        size = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
        both = size[..., 0] * size[..., 1]
        area = lambda x: (x[..., 2] - x[..., 0]) * (x[..., 3] - x[..., 1])
        data["similarity_scores"].append(both / (area(a) + area(b) - both))
    for kind, key in (("gt", "gt_ids"), ("tracker", "tracker_ids")):
        data[f"num_{kind}_dets"] = sum(map(len, data[key]))
        data[f"num_{kind}_ids"] = len(numbers[key])
    hota, clear, identity = HOTA().eval_sequence(data), CLEAR().eval_sequence(data), Identity().eval_sequence(data)
    means = {k: float(hota[k].mean()) for k in ("HOTA", "DetA", "AssA")}
    shares = {k: float(clear[k]) for k in ("MOTA", "MOTP")} | {"IDF1": float(identity["IDF1"])}
    counts = {k: int(clear[k]) for k in ("IDSW", "Frag", "MT", "ML")} | {k: int(clear["CLR_" + k]) for k in ("TP", "FP", "FN")}
    return means | shares | counts | {k: int(identity[k]) for k in ("IDTP", "IDFP", "IDFN")}


def write(name, frames, digits):
    with open(os.path.join(HERE, name), "w", encoding="ascii") as f:
        for number, rows in enumerate(frames, 1):
            for row in rows:
                f.write(",".join([str(number)] + [f"{v:.{digits}f}".removesuffix("." + "0" * digits) for v in row]) + "\n")


def find_programs():
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    sys.path[:0] = sys.argv[1:4]
    # Its package file imports every data set.
    package = types.ModuleType("trackeval")
    package.__path__ = [os.path.join(sys.argv[4], "trackeval")]
    sys.modules["trackeval"] = package
    stand_ins()


def main():
    find_programs()
    scores = {}
    sequences = {name: [s[:2] for s in sequence(**how)] for name, how in SEQUENCES.items()} | {"edges": list(edges())}
    for name, whole in sequences.items():
        frames, truth = zip(*whole)
        write(name + ".boxes", frames, 2)
        write(name + ".truth", truth, 2)
        for method, run in (("byte", byte), ("ocsort", ocsort), ("ocsort_low", lambda f: ocsort(f, low=True)), ("botsort", botsort)):
            tracks = list(run(frames))
            write(f"{name}.{method}", tracks, 4)
            digits = lambda sequence, n: [[[r[0], *(f"{v:.{n}f}" for v in r[1:])] for r in rows] for rows in sequence]
            scores[f"{name}.{method}"] = score(digits(truth, 2), digits(tracks, 4))
    boxes, cameras = moving(list(sequence(seed=5, people=12, frames=50, noise=1, missed=0.03, wrong=0.5)), 12, 6)
    write("moving.boxes", boxes, 2)
    write("moving.camera", [[c.reshape(-1)] for c in cameras], 5)
    write("moving.botsort", botsort(boxes, cameras), 4)
    boxes = list(sizes(seed=58))
    write("sizes.boxes", boxes, 2)
    write("sizes.ocsort", list(ocsort(boxes)), 4)
    with open(os.path.join(HERE, "scores.json"), "w", encoding="ascii") as f:
        json.dump(scores, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
