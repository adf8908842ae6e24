#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the programs of the trackers' authors make of 100 frames that were labelled by hand (README.md).

  make_vtest.py --boxes FOUND                            makes vtest.boxes from what `tern detect --json` wrote
  make_vtest.py BYTETRACK OC_SORT BOT_SORT TRACKEVAL     folders and packages as for make_tracks.py

The second makes vtest_worse.boxes from vtest.truth, what a detector that errs often might find, and of both files of
boxes vtest_scores.json: what TrackEval says of each method. Files of boxes: MOTChallenge.
"""
import json
import os
import sys

import numpy as np

import make_tracks
from make_tracks import HERE

HIGH = {"vtest": 0.4, "vtest_worse": 0.6}  # the small detector is never sure


def write(name, frames):
    with open(os.path.join(HERE, name), "w", encoding="ascii") as f:
        for number, rows in enumerate(frames, 1):
            for x0, y0, x1, y1, score in rows:
                f.write(f"{number},-1,{x0:.1f},{y0:.1f},{x1 - x0:.1f},{y1 - y0:.1f},{score:.4f}\n")


def read(name):
    frames = [[] for _ in range(100)]
    with open(os.path.join(HERE, name), encoding="ascii") as f:
        for line in f:
            number, who, left, top, width, height, score = [float(v) for v in line.split(",")[:7]]
            frames[int(number) - 1].append([int(who), left, top, left + width, top + height, score])
    return frames


def worse(truth, seed):
    """Boxes are missed, alone and for a while, shake, become one where two overlap, and are where nobody is."""
    rng = np.random.default_rng(seed)
    gone = {}
    for rows in truth:
        rows = sorted(rows, key=lambda r: r[4])  # who stands lower hides others
        found = []
        for i, (who, *box, _) in enumerate(rows):
            box = np.array(box)
            size = box[2:] - box[:2]
            gone[who] = rng.integers(1, 9) if rng.random() < 0.03 else gone.get(who, 0) - 1
            covered, by = 0.0, None
            for other in rows[i + 1:]:
                both = np.minimum(box[2:], other[3:5]) - np.maximum(box[:2], other[1:3])
                share = float(np.prod(np.maximum(both, 0)) / np.prod(size))
                if share > covered:
                    covered, by = share, other
            box = box + rng.normal(0, 0.04, 4) * np.tile(size, 2)
            score = 0.92 - 0.8 * covered + rng.normal(0, 0.06)
            merged = covered > 0.45 and rng.random() < 0.5
            if merged:  # the box of the one in front takes in this one
                by[1:5] = [*np.minimum(by[1:3], box[:2]), *np.maximum(by[3:5], box[2:])]
            if not merged and gone[who] <= 0 and score > 0.1:
                found.append([*box, min(score, 0.99)])
        for _ in range(rng.poisson(0.4)):
            corner, size = rng.uniform([0, 100], [720, 400]), rng.uniform([15, 40], [50, 120])
            found.append([*corner, *(corner + size), rng.uniform(0.1, 0.75)])
        yield found


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--boxes":
        with open(sys.argv[2], encoding="utf-8") as f:
            frames = [json.loads(line)["detections"] for line in f]
        return write("vtest.boxes", [[[*d["box"], d["score"]] for d in rows if d["label"] == "Person"] for rows in frames])
    make_tracks.find_programs()
    truth = read("vtest.truth")
    write("vtest_worse.boxes", worse([[list(r) for r in rows] for rows in truth], 7))
    truth = [[r[:5] for r in rows] for rows in truth]
    scores = {}
    for name, high in HIGH.items():
        frames = [np.array([r[1:] for r in rows], np.float32).reshape(-1, 5) for rows in read(name + ".boxes")]
        for rate in (30, 10):
            how = dict(high=high, rate=rate)
            for method, run in (("byte", make_tracks.byte), ("ocsort", make_tracks.ocsort), ("botsort", make_tracks.botsort)):
                scores[f"{name} {method} {rate}"] = {k: v for k, v in make_tracks.score(truth, list(run(frames, **how))).items()
                                                     if k in ("HOTA", "IDF1", "MOTA", "IDSW")}
    with open(os.path.join(HERE, "vtest_scores.json"), "w", encoding="ascii") as f:
        json.dump({"high_score": HIGH, "scores": scores}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
