# SPDX-License-Identifier: Apache-2.0
"""The reference pipelines of `tern detect` and `tern pose`, run step by step in LiteRT and NumPy.

The options (anchors, scales, thresholds, overlap, borders) are those that the makers' own graphs hold
for these models. Everything is written out below, so that another implementation can reproduce it.

  official_steps.py detect --cache DIR --out golden/detect.json
  official_steps.py pose   --cache DIR --out golden/pose.json
  official_steps.py show IMAGE --cache DIR --out picture.png      both tasks drawn on one picture

--cache is the folder that samples/fetch fills (models/, images/).

PICTURES
  RGB, 8 bits, [height, width, 3], decoded by stb_image (pictures.py); a grey picture is repeated three times.
  A pixel (i, j) covers the square [i, i+1] x [j, j+1]: coordinates of boxes and key points are continuous,
  x to the right, y down, 0,0 is the outer corner of the first pixel, the centre of pixel i lies at i + 0.5.

SAMPLING, used by every crop and resize here
  bilinear(picture, x, y): fx = x - 0.5, fy = y - 0.5; x0 = floor(fx), y0 = floor(fy); a = fx - x0,
  b = fy - y0; the four pixels (x0, y0), (x0+1, y0), (x0, y0+1), (x0+1, y0+1), each index clamped to the
  picture ("replicate"); value = (1-b) ((1-a) p00 + a p10) + b ((1-a) p01 + a p11). The value stays float
  (not rounded to 8 bits). There is no anti-aliasing: a large picture is simply sampled at fewer places.

CROP(picture, xc, yc, size_x, size_y, angle, out) -> [out, out, 3]
  For output pixel u = 0..out-1 (column), v (row):  lx = ((u + 0.5)/out - 0.5) size_x,
  ly = ((v + 0.5)/out - 0.5) size_y;  x = xc + lx cos(angle) - ly sin(angle),
  y = yc + lx sin(angle) + ly cos(angle);  pixel = bilinear(picture, x, y).
  Border "replicate": as said. Border "zero": where x < 0, y < 0, x > width or y > height the pixel is 0.
  Border "blended": pixels p00 .. p11 outside of the picture are 0 instead.
  With "corners", as OpenCV's warps have it: lx = (u/out - 0.5) size_x, ly likewise, and 0.5 is added to x and y.

ANCHORS, for each level in order, then for each cell by rows (y outer, x inner), then for each shape of
the level; xc = (x + 0.5)/cells, yc = (y + 0.5)/cells, in units of the input's side.

1. DETECT: ssd_mobilenetv2_oidv4, input [1,300,300,3]
  a. Stretch: CROP with xc = width/2, yc = height/2, size_x = width, size_y = height, angle 0, out 300
     (no letter-box). tensor = pixel * 2/255 - 1.
  b. Anchors: levels with 19, 10, 5, 3, 2, 1 cells a side (strides 16 ... 512, ceil(300/stride)).
     scale(k) = 0.2 + 0.75 k/5 for k = 0..5; scale(6) = 1.
     Level 0 has three shapes (scale, ratio): (0.1, 1), (scale(0), 2), (scale(0), 0.5).
     Level k > 0 has six: (scale(k), r) for r = 1, 2, 0.5, 3, 0.3333, then (sqrt(scale(k) scale(k+1)), 1).
     w = scale sqrt(ratio), h = scale / sqrt(ratio). In all 1917 anchors.
  c. box_encodings[i] = (ty, tx, th, tw): yc = ty/10 * ah + ayc; xc = tx/10 * aw + axc;
     h = exp(th/5) ah; w = exp(tw/5) aw. Box = xc -+ w/2, yc -+ h/2, in units of the picture's side.
     It may reach beyond the picture: it is NOT clipped before the suppression.
  d. class_predictions[i] = 24 logits; class 0 (background) is ignored; score = sigmoid of the largest of
     the other 23 (first one at a tie). Boxes with score < 0.5 are dropped.
  e. Suppression, across classes: boxes by falling score; a box is kept when its intersection over union
     with every kept box is <= 0.5. At most 100.
  f. Label = line number `class` of the label file (line 0 is "???"). Pixels: x * width, y * height, then
     clipped to the picture.

2. POSE: pose_detection, input [1,224,224,3]
  a. Letter-box: S = max(width, height); CROP with xc = width/2, yc = height/2, size_x = size_y = S, angle 0,
     out 224, border blended, corners. tensor = pixel * 2/255 - 1 (so the border is -1).
  b. Anchors: levels with 28, 14 and 7 cells (strides 8, 16, 32); 2, 2 and 6 equal anchors a cell
     (the three levels of stride 32 are one level with 6). Every anchor has w = h = 1. In all 2254.
  c. values[i] = (x, y, w, h, then x, y of four key points), each / 224; x and y have the anchor's centre
     added, w and h nothing. Units: the letter-boxed square's side. Box = x -+ w/2, y -+ h/2.
  d. score = sigmoid(clip(logit, -100, 100)); kept when >= 0.5.
  e. Weighted suppression: take the box of the highest score; its group = all remaining boxes whose
     intersection over union with it is > 0.3 (itself among them). The result has the first box's score and,
     for box edges and key points, the mean of the group weighted by score. Remove the group; repeat.
  f. To pixels: px = (x - 0.5) S + width/2, py = (y - 0.5) S + height/2 (key points and box corners).
  g. Region of interest, from key point 0 (middle of the hips) = (x0, y0) and key point 1 = (x1, y1), both in
     pixels: centre = (x0, y0); size = 2 * distance * 1.25;
     angle = normalise(pi/2 - atan2(-(y1 - y0), x1 - x0)), normalise to [-pi, pi):
     t - 2 pi floor((t + pi)/(2 pi)). A person who stands upright has angle 0.

3. POSE: pose_landmark_{lite,full,heavy}, input [1,256,256,3], one run for each person found
  a. CROP with the region's centre, size, size, angle, out 256, border replicate, corners. tensor = pixel / 255.
  b. Outputs by shape: [1,195] = 39 rows (x, y, z, visibility, presence), x y z in units of input pixels;
     [1,1] = presence of a person, already a probability: below 0.5 the person is dropped;
     [1,64,64,39] = heat map (logits); [1,256,256,1] = mask (logits); [1,117] = 39 x (x, y, z) in metres.
  c. lx = x/256, ly = y/256, lz = z/256; visibility and presence through the sigmoid.
  d. Refinement by the heat map, each landmark k: c = trunc(lx * 64), r = trunc(ly * 64); left as it is when c
     or r lies outside 0..63. Window: columns max(0, c-4) .. min(63, c+4), rows likewise. p = sigmoid(heat).
     When the largest p of the window is >= 0.5: lx = sum(p * column) / sum(p) / 64, ly likewise with rows
     (column and row are the integer indices: no half is added). Otherwise lx, ly stay.
  e. Back to the picture: dx = (lx - 0.5) size, dy = (ly - 0.5) size; px = xc + dx cos(angle) - dy sin(angle),
     py = yc + dx sin(angle) + dy cos(angle); pz = lz * size (pixels; smaller is nearer to the camera).
     Two steps here are not continuous: trunc, and the test of the largest p. Where lx*64 or ly*64 lies within
     0.02 of a whole number, or the largest p within 0.01 of 0.5, a difference in the last bits may move the
     landmark by some pixels; the JSON lists these landmarks of each person under "unsteady".
  f. Landmarks 0..32 are the body; 33 and 34 are auxiliary points for tracking; 35..38 are not used.
     In the JSON: the first 33, [x, y, z, visibility, presence].
"""
import argparse
import json
import math
import os
import re

import numpy as np
from PIL import Image

from pictures import read

DETECT_THRESHOLD, DETECT_OVERLAP, DETECT_MAX = 0.5, 0.5, 100
POSE_THRESHOLD, POSE_OVERLAP, PRESENCE_THRESHOLD, POSE_MARGIN = 0.5, 0.3, 0.5, 1.25


class Model:
    """A LiteRT model on one thread; outputs are returned by name."""

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter
        self.it = Interpreter(path, num_threads=1)
        self.it.allocate_tensors()
        self.input = self.it.get_input_details()[0]["index"]
        self.outputs = self.it.get_output_details()

    def __call__(self, tensor):
        self.it.set_tensor(self.input, np.ascontiguousarray(tensor[None], dtype=np.float32))
        self.it.invoke()
        return {tuple(o["shape"]): self.it.get_tensor(o["index"]) for o in self.outputs}


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, dtype=np.float64)))


def crop(picture, xc, yc, size_x, size_y, angle, out, zero_border=False, corners=False, blended=False):
    height, width = picture.shape[:2]
    steps = (np.arange(out) + (0 if corners else 0.5)) / out - 0.5
    lx, ly = (steps * size_x)[None, :], (steps * size_y)[:, None]
    x = xc + lx * math.cos(angle) - ly * math.sin(angle)
    y = yc + lx * math.sin(angle) + ly * math.cos(angle)
    if corners:
        x, y = x + 0.5, y + 0.5
    fx, fy = x - 0.5, y - 0.5
    x0, y0 = np.floor(fx), np.floor(fy)
    a, b = (fx - x0)[..., None], (fy - y0)[..., None]
    left, right = (np.clip(x0 + i, 0, width - 1).astype(int) for i in (0, 1))
    top, bottom = (np.clip(y0 + i, 0, height - 1).astype(int) for i in (0, 1))
    p = picture.astype(np.float64)
    if blended:
        p = np.pad(p, ((1, 1), (1, 1), (0, 0)))
        left, right = (np.clip(x0 + 1 + i, 0, width + 1).astype(int) for i in (0, 1))
        top, bottom = (np.clip(y0 + 1 + i, 0, height + 1).astype(int) for i in (0, 1))
    value = ((1 - b) * ((1 - a) * p[top, left] + a * p[top, right])
             + b * ((1 - a) * p[bottom, left] + a * p[bottom, right]))
    if zero_border:
        value[(x < 0) | (y < 0) | (x > width) | (y > height)] = 0
    return value


def overlap(a, b):
    """Intersection over union of two boxes x0, y0, x1, y1."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return w * h / (area(a) + area(b) - w * h)


def cell_centres(cells):
    return [((x + 0.5) / cells, (y + 0.5) / cells) for y in range(cells) for x in range(cells)]


def ssd_anchors():
    """[1917, 4]: xc, yc, w, h"""
    scale = [0.2 + 0.75 * k / 5 for k in range(6)] + [1.0]
    anchors = []
    for k, cells in enumerate([19, 10, 5, 3, 2, 1]):
        if k == 0:
            shapes = [(0.1, 1.0), (scale[0], 2.0), (scale[0], 0.5)]
        else:
            shapes = [(scale[k], r) for r in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            shapes.append((math.sqrt(scale[k] * scale[k + 1]), 1.0))
        for xc, yc in cell_centres(cells):
            anchors += [(xc, yc, s * math.sqrt(r), s / math.sqrt(r)) for s, r in shapes]
    return np.array(anchors)


def pose_anchors():
    """[2254, 2]: xc, yc"""
    return np.array([c for cells, n in ((28, 2), (14, 2), (7, 6)) for c in cell_centres(cells) for _ in range(n)])


def detect(picture, model, labels, threshold=DETECT_THRESHOLD):
    height, width = picture.shape[:2]
    tensor = crop(picture, width / 2, height / 2, width, height, 0.0, 300) * (2 / 255) - 1
    out = model(tensor)
    code = out[(1, 1917, 4)][0].astype(np.float64)
    logits = out[(1, 1917, 24)][0].astype(np.float64)
    anchors = ssd_anchors()
    yc, xc = code[:, 0] / 10 * anchors[:, 3] + anchors[:, 1], code[:, 1] / 10 * anchors[:, 2] + anchors[:, 0]
    h, w = np.exp(code[:, 2] / 5) * anchors[:, 3], np.exp(code[:, 3] / 5) * anchors[:, 2]
    boxes = np.stack([xc - w / 2, yc - h / 2, xc + w / 2, yc + h / 2], axis=1)
    classes = 1 + np.argmax(logits[:, 1:], axis=1)
    scores = sigmoid(logits[np.arange(len(logits)), classes])
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] < threshold or len(kept) == DETECT_MAX:
            break
        if all(overlap(boxes[i], boxes[j]) <= DETECT_OVERLAP for j in kept):
            kept.append(i)
    unit = np.array([width, height, width, height])
    return [{"label": labels[classes[i]], "class": int(classes[i]), "score": round(float(scores[i]), 6),
             "box": [round(float(v), 3) for v in np.clip(boxes[i] * unit, 0, unit)]} for i in kept]


def detect_people(picture, model):
    """[(score, box in pixels, four key points in pixels)], highest score first"""
    height, width = picture.shape[:2]
    side = max(width, height)
    letterboxed = crop(picture, width / 2, height / 2, side, side, 0.0, 224, corners=True, blended=True)
    out = model(letterboxed * (2 / 255) - 1)
    values = out[(1, 2254, 12)][0].astype(np.float64) / 224
    scores = sigmoid(np.clip(out[(1, 2254, 1)][0, :, 0], -100, 100))
    anchors = pose_anchors()
    xy, wh = values[:, :2] + anchors, values[:, 2:4]
    points = values[:, 4:].reshape(-1, 4, 2) + anchors[:, None, :]
    rows = np.concatenate([xy - wh / 2, xy + wh / 2, points.reshape(-1, 8)], axis=1)
    left = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= POSE_THRESHOLD]
    people = []
    while left:
        group = [i for i in left if i == left[0] or overlap(rows[i], rows[left[0]]) > POSE_OVERLAP]
        mean = np.average(rows[group], axis=0, weights=scores[group])
        pixels = (mean.reshape(6, 2) - 0.5) * side + np.array([width / 2, height / 2])
        people.append((float(scores[left[0]]), pixels[:2].reshape(4), pixels[2:]))
        left = [i for i in left if i not in group]
    return people


def region(points):
    """Centre x, centre y, size (pixels), angle (radians) from the detector's key points."""
    (x0, y0), (x1, y1) = points[0], points[1]
    angle = math.pi / 2 - math.atan2(-(y1 - y0), x1 - x0)
    angle -= 2 * math.pi * math.floor((angle + math.pi) / (2 * math.pi))
    return float(x0), float(y0), 2 * math.hypot(x1 - x0, y1 - y0) * POSE_MARGIN, angle


def refine(lx, ly, heat):
    """One landmark (units of the crop's side), its [64, 64] heat map of logits -> x, y, whether it is steady."""
    c, r = int(lx * 64), int(ly * 64)
    steady = all(abs(v - round(v)) > 0.02 for v in (lx * 64, ly * 64))
    if not (0 <= c < 64 and 0 <= r < 64):
        return lx, ly, steady
    columns, rows = np.arange(max(0, c - 4), min(63, c + 4) + 1), np.arange(max(0, r - 4), min(63, r + 4) + 1)
    p = sigmoid(heat[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1])
    steady = steady and abs(p.max() - 0.5) > 0.01
    if p.max() < 0.5:
        return lx, ly, steady
    return (p * columns[None, :]).sum() / p.sum() / 64, (p * rows[:, None]).sum() / p.sum() / 64, steady


def landmarks(picture, roi, model):
    """(presence, [33, 5]: x, y, z in pixels, visibility, presence; indices of the unsteady ones)"""
    xc, yc, size, angle = roi
    out = model(crop(picture, xc, yc, size, size, angle, 256, corners=True) / 255)
    rows = out[(1, 195)].reshape(39, 5).astype(np.float64)
    heat = out[(1, 64, 64, 39)][0]
    result, unsteady = [], []
    for k in range(33):
        lx, ly, steady = refine(rows[k, 0] / 256, rows[k, 1] / 256, heat[:, :, k])
        dx, dy = (lx - 0.5) * size, (ly - 0.5) * size
        result.append([xc + dx * math.cos(angle) - dy * math.sin(angle),
                       yc + dx * math.sin(angle) + dy * math.cos(angle),
                       rows[k, 2] / 256 * size, float(sigmoid(rows[k, 3])), float(sigmoid(rows[k, 4]))])
        if not steady:
            unsteady.append(k)
    return float(out[(1, 1)][0, 0]), result, unsteady


def pose(picture, detector, model):
    people = []
    for score, box, points in detect_people(picture, detector):
        roi = region(points)
        presence, marks, unsteady = landmarks(picture, roi, model)
        if presence >= PRESENCE_THRESHOLD:
            people.append({"score": round(score, 6), "presence": round(presence, 6),
                           "box": [round(float(v), 3) for v in box],
                           "region": [round(v, 6) for v in roi],
                           "unsteady": unsteady, "landmarks": [[round(v, 3) for v in m] for m in marks]})
    return people


def json_text(value):
    """Lists of numbers on one line, the rest indented."""
    text = json.dumps(value, indent=1)
    numbers = r"\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]"
    return re.sub(numbers, lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text) + "\n"


DETECT_PICTURES = ["dog.jpg", "eagle.jpg", "giraffe.jpg", "horses.jpg", "kite.jpg", "person.jpg", "scream.jpg",
                   "vtest_0000.png", "vtest_0300.png", "vtest_0600.png"]
# name, crop x0 y0 x1 y1 (or all of it), then turned clockwise by so many degrees. The two crops show two people.
POSE_PICTURES = [("person.jpg", None, 0), ("person.jpg", None, 90), ("person.jpg", None, 270),
                 ("basketball1.png", None, 0), ("kite.jpg", (90, 590, 290, 870), 0),
                 ("vtest_0600.png", (440, 180, 720, 430), 0)]
DETECT_MARGIN = 0.01  # detections down to threshold - margin are written, so that a test may tolerate the nearest


class Setup:
    def __init__(self, cache):
        self.models, self.images = os.path.join(cache, "models"), os.path.join(cache, "images")

    def model(self, name):
        return Model(os.path.join(self.models, name + ".tflite"))

    def detector(self):
        with open(os.path.join(self.models, "ssd_mobilenetv2_oidv4.txt"), encoding="utf-8") as f:
            return self.model("ssd_mobilenetv2_oidv4"), f.read().split("\n")[:24]

    def picture(self, name):
        return read(os.path.join(self.images, name))


def golden_detect(setup):
    model, labels = setup.detector()
    pictures = []
    for name in DETECT_PICTURES:
        picture = setup.picture(name)
        found = detect(picture, model, labels, DETECT_THRESHOLD - DETECT_MARGIN)
        pictures.append({"image": name, "width": picture.shape[1], "height": picture.shape[0], "detections": found})
    return {"model": "ssd_mobilenetv2_oidv4.tflite", "threshold": DETECT_THRESHOLD, "margin": DETECT_MARGIN,
            "overlap": DETECT_OVERLAP, "pictures": pictures}


def golden_pose(setup):
    detector = setup.model("pose_detection")
    pictures = []
    for kind in ("lite", "full", "heavy"):
        model = setup.model("pose_landmark_" + kind)
        for name, area, turn in POSE_PICTURES:
            picture = setup.picture(name)
            x0, y0, x1, y1 = area or (0, 0, picture.shape[1], picture.shape[0])
            picture = np.ascontiguousarray(np.rot90(picture[y0:y1, x0:x1], -turn // 90))
            pictures.append({"model": f"pose_landmark_{kind}.tflite", "image": name,
                             "crop": [x0, y0, x1, y1], "turned_clockwise": turn,
                             "width": picture.shape[1], "height": picture.shape[0],
                             "people": pose(picture, detector, model)})
    return {"detector": "pose_detection.tflite", "threshold": POSE_THRESHOLD, "overlap": POSE_OVERLAP,
            "presence": PRESENCE_THRESHOLD, "margin": POSE_MARGIN, "pictures": pictures}


BONES = [(11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24), (23, 25), (25, 27),
         (24, 26), (26, 28), (27, 31), (28, 32), (0, 9), (0, 10)]


def show(setup, path, out, turn):
    from PIL import ImageDraw
    picture = np.ascontiguousarray(np.rot90(read(path), -turn // 90))
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    model, labels = setup.detector()
    for d in detect(picture, model, labels):
        draw.rectangle(d["box"], outline=(255, 40, 40), width=2)
        draw.text((d["box"][0] + 3, d["box"][1] + 2), f"{d['label']} {d['score']:.2f}", fill=(255, 255, 0))
    for person in pose(picture, setup.model("pose_detection"), setup.model("pose_landmark_full")):
        draw.rectangle(person["box"], outline=(40, 120, 255), width=2)
        marks = person["landmarks"]
        for i, j in BONES:
            draw.line([tuple(marks[i][:2]), tuple(marks[j][:2])], fill=(40, 255, 40), width=2)
    canvas.save(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["detect", "pose", "show"])
    parser.add_argument("image", nargs="?")
    parser.add_argument("--cache", default=os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern")))
    parser.add_argument("--turn", type=int, default=0, help="show: turn the picture clockwise, degrees")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    setup = Setup(args.cache)
    if args.task == "show":
        show(setup, args.image, args.out, args.turn)
    else:
        with open(args.out, "w", encoding="utf-8") as f:
            f.write(json_text(golden_detect(setup) if args.task == "detect" else golden_pose(setup)))


if __name__ == "__main__":
    main()
