# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models with the outputs and metadata of the exporters of detectors, and what comes out of them.

  make_heads.py [--check]

Writes NAME.onnx and heads.json beside this script. --check: compares suppression with torchvision's, which must be there.
Needs numpy and onnx (tests/setup test makes an environment with both: ~/.cache/tern/onnx/bin/python).

Each model's outputs are numbers of its own times a factor that follows from the picture: a weighted sum of its input's
channels. So wrong pixels, colours or borders show in the scores. Nothing here is shared with the library: letter-boxes,
decoding and suppression are written down from the exporters' own post-processing:
  Ultralytics  utils/ops.py and utils/nms.py: non_max_suppression, process_mask_native, scale_boxes; models/rtdetr/predict.py
  YOLOv5       utils/general.py: the product of objectness and class
  YOLOX        utils/demo_utils.py: demo_postprocess; multiclass_nms with class_agnostic
  DETR         post_process_object_detection of transformers; RT-DETR likewise
  CenterNet    lib/models/decode.py: ctdet_decode
  NanoDet      nanodet_plus_head.py: get_bboxes
"""
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
SIDE = (64, 96)  # height, width of most inputs
CASES = []
f32 = np.float32


def picture(width=120, height=90):
    y, x = np.mgrid[0:height, 0:width]
    noise = (x * 7 + y * 13 + x * y % 11 * 5) % 50
    return np.stack([200 + noise, 90 + noise, 10 + noise], -1).astype(np.float64)


def sample(p, x, y):
    """Bilinear at centres of pixels; x [n], y [m] in pixels of p. Outside: the nearest."""
    h, w = p.shape[:2]
    x, y = x - 0.5, y - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    a, b = (x - x0)[None, :, None], (y - y0)[:, None, None]
    at = lambda v, u: p[np.clip(v, 0, h - 1)][:, np.clip(u, 0, w - 1)]
    return (1 - b) * ((1 - a) * at(y0, x0) + a * at(y0, x0 + 1)) + b * ((1 - a) * at(y0 + 1, x0) + a * at(y0 + 1, x0 + 1))


class Fit:
    """A picture as the input of a network: pixels, and the way back."""

    def __init__(self, how, size, p):
        self.h, self.w = size
        ph, pw = p.shape[:2]
        self.left = self.top = 0
        if how == "stretch":
            self.sx, self.sy = pw / self.w, ph / self.h
            inside = (self.w, self.h)
        elif how in ("letterbox", "corner", "soft"):
            r = min(self.w / pw, self.h / ph)
            whole = {"letterbox": round, "corner": int, "soft": float}[how]
            inside = (whole(pw * r), whole(ph * r))
            if how != "corner":
                self.left, self.top = (self.w - inside[0]) / 2, (self.h - inside[1]) / 2
            if how == "letterbox":
                self.left, self.top = int(round(self.left - 0.1)), int(round(self.top - 0.1))
            self.sx, self.sy = pw / inside[0], ph / inside[1]
        elif how == "cover":
            side = max(self.w / pw, self.h / ph)
            self.sx = self.sy = 1 / side
            self.left, self.top = (self.w - pw * side) / 2, (self.h - ph * side) / 2
            inside = (self.w, self.h)
        x, y = np.arange(self.w) + 0.5, np.arange(self.h) + 0.5
        self.pixels = sample(p, (x - self.left) * self.sx, (y - self.top) * self.sy)
        if how in ("letterbox", "corner", "soft"):
            fill = 0 if how == "soft" else 114
            out = ((x < self.left) | (x >= self.left + inside[0]))[None, :] | ((y < self.top) | (y >= self.top + inside[1]))[:, None]
            self.pixels[out] = fill

    def x(self, v):
        return (np.asarray(v) - self.left) * self.sx

    def y(self, v):
        return (np.asarray(v) - self.top) * self.sy

    def boxes(self, b):
        b = np.asarray(b, np.float64).reshape(-1, 4)
        return np.stack([self.x(b[:, 0]), self.y(b[:, 1]), self.x(b[:, 2]), self.y(b[:, 3])], 1)


class Net:
    def __init__(self, name, size=SIDE, dynamic=(), nhwc=False, rank=4, points=False, inputs=(), weights=None):
        self.name, self.size, self.points, self.nhwc = name, size, points, nhwc
        self.nodes, self.init, self.count = [], [], 0
        dims = ["height" if "h" in dynamic else size[0], "width" if "w" in dynamic else size[1]]
        dims = dims + [3] if nhwc else [3] + dims
        self.inputs = [helper.make_tensor_value_info("images", T.FLOAT, ([1] if rank == 4 else []) + dims)]
        self.inputs += [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs]
        self.outputs = []
        self.weights = np.array([0.9, -0.2, 1.5]) if weights is None else np.array(weights)
        x = "images"
        if rank == 3:
            x = self.op("Unsqueeze", x, self.const(np.array([0])))
        if nhwc:
            x = self.op("Transpose", x, perm=[0, 3, 1, 2])
        if points:  # the picture is looked at in a grid of 4 x 4 points
            u = (np.arange(4) + 0.5) / 2 - 1
            self.grid = np.stack(np.meshgrid(u, u * 0.9), -1)[None].astype(f32)
            x = self.op("GridSample", x, self.const(self.grid), mode="bilinear", padding_mode="border", align_corners=0)
        mean = self.op("ReduceMean", x, axes=[2, 3], keepdims=0)
        self.factor = self.op("ReduceSum", self.op("Mul", mean, self.const(self.weights.astype(f32))), self.const(np.array([0, 1])), keepdims=0)

    def const(self, a):
        a = np.asarray(a)
        a = a.astype(f32) if a.dtype == np.float64 else a
        self.init.append(numpy_helper.from_array(a, "c%d" % len(self.init)))
        return self.init[-1].name

    def op(self, kind, *inputs, outputs=1, **attributes):
        out = ["v%d" % (self.count + i) for i in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(kind, list(inputs), out, **attributes))
        return out[0] if outputs == 1 else out

    def mul(self, a):
        return self.op("Mul", self.const(a), self.factor)

    def out(self, value, name, shape, dtype=T.FLOAT):
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def value(self, fit, scale=1 / 255, offset=0, bgr=False):
        """The factor, for a picture."""
        p = fit.pixels[:, :, ::-1] if bgr else fit.pixels
        p = p * np.asarray(scale) + np.asarray(offset)
        if self.points:
            g = (self.grid[0].astype(np.float64) + 1) / 2
            p = sample(p, g[0, :, 0] * p.shape[1], g[:, 0, 1] * p.shape[0])
        return float((p.reshape(-1, 3).mean(0) * self.weights).sum())

    def write(self, metadata=None):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.init)
        m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8, producer_name="")
        for k, v in (metadata or {}).items():
            m.metadata_props.add(key=k, value=v)
        onnx.checker.check_model(m)
        with open(os.path.join(HERE, self.name + ".onnx"), "wb") as f:
            f.write(m.SerializeToString(deterministic=True))


def names(n):
    return str({i: ["cat", "dog's", "red car", "boat", "bird"][i] for i in range(n)})


def ultralytics(task, n, size=SIDE, **more):
    d = {"description": "a small model", "stride": "32", "task": task, "batch": "1", "imgsz": str(list(size)), "names": names(n)}
    d.update({k: str(v) for k, v in more.items()})
    return d


def cells(size, strides=(8, 16, 32)):
    return sum(-(-size[0] // s) * -(-size[1] // s) for s in strides)


# ---- numbers for rows: a few things, seen by many rows ----

def things(rng, rows, classes, size):
    """Boxes (corners, pixels of the input), class scores."""
    h, w = size
    n = 6
    centre = np.stack([rng.uniform(0.15, 0.85, n) * w, rng.uniform(0.15, 0.85, n) * h], 1)
    side = np.stack([rng.uniform(0.15, 0.4, n) * w, rng.uniform(0.15, 0.4, n) * h], 1)
    which = rng.integers(0, n, rows)
    c = centre[which] + rng.uniform(-0.12, 0.12, (rows, 2)) * side[which]
    s = side[which] * rng.uniform(0.85, 1.2, (rows, 2))
    scores = rng.uniform(0, 0.12, (rows, classes))
    seen = rng.random(rows) < 0.4
    scores[np.arange(rows), (which + (rng.random(rows) < 0.15)) % classes] += np.where(seen, rng.uniform(0.1, 0.75, rows), 0)
    return np.concatenate([c - s / 2, c + s / 2], 1), scores


def centred(b):
    return np.concatenate([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], 1)


class Unclear(Exception):
    """A comparison that rounding decides: other random numbers are taken."""


def over(value, limit):
    if abs(value - limit) < 2e-3:
        raise Unclear
    return value > limit


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def probiou(a, b):
    """Of turned boxes x, y, w, h, angle (Llerena et al., 2021)."""
    def normal(k):
        r = np.array([[np.cos(k[4]), -np.sin(k[4])], [np.sin(k[4]), np.cos(k[4])]])
        return np.array(k[:2]), r @ np.diag([k[2] ** 2 / 12, k[3] ** 2 / 12]) @ r.T
    (m, p), (n, q) = normal(a), normal(b)
    s = (p + q) / 2
    d = (m - n) @ np.linalg.inv(s) @ (m - n) / 8 + 0.5 * np.log(np.linalg.det(s) / np.sqrt(np.linalg.det(p) * np.linalg.det(q)))
    return 1 - np.sqrt(1 - np.exp(-np.clip(d, 1e-7, 100)) + 1e-7)


def suppress(boxes, scores, labels, limit, overlap=iou, fast=False):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    for a, b in zip(order, order[1:]):
        if scores[a] - scores[b] < 1e-5:
            raise Unclear
    keep, seen = [], []
    for i in order:
        if not any(labels[i] == labels[j] and over(overlap(boxes[i], boxes[j]), limit) for j in (seen if fast else keep)):
            keep.append(i)
        seen.append(i)
    if "--check" in sys.argv and overlap is iou and keep:
        import torch
        import torchvision
        got = torchvision.ops.batched_nms(torch.tensor(np.array(boxes)), torch.tensor(np.array(scores)), torch.tensor(np.array(labels)), limit)
        assert got.tolist() == keep, (got, keep)
    return keep


def best(scores, limit):
    """Rows whose best class has a score above the limit: rows, scores, classes."""
    label = scores.argmax(1)
    top = scores[np.arange(len(scores)), label]
    rows = [i for i in range(len(scores)) if over(top[i], limit)]
    return rows, top[rows], label[rows]


def every(scores, limit):
    """All pairs of row and class above the limit."""
    pairs = [(i, k) for i in range(len(scores)) for k in range(scores.shape[1]) if over(scores[i, k], limit)]
    rows, label = np.array([p[0] for p in pairs], int), np.array([p[1] for p in pairs], int)
    return rows, scores[rows, label], label


def rounded(a):
    return np.round(np.asarray(a, np.float64), 4).tolist()


def case(net, p, boxes, scores, labels, recipe, corners=None, points=None, masks=None, label_names=None, kind="detector"):
    h, w = p.shape[:2]
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    b = np.stack([b[:, 0].clip(0, w), b[:, 1].clip(0, h), b[:, 2].clip(0, w), b[:, 3].clip(0, h)], 1)
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    c = {"name": net.name, "recipe": recipe, "kind": kind, "width": w, "height": h, "labels": label_names or [],
         "boxes": rounded(b[order]), "scores": rounded(np.asarray(scores)[order]), "classes": [int(labels[i]) for i in order]}
    if corners is not None:
        c["corners"] = rounded(np.asarray(corners)[order])
    if points is not None:
        c["points"] = rounded(np.asarray(points)[order])
    if masks is not None:
        c["masks"] = [runs(masks[i]) for i in order]
    CASES.append(c)


def runs(mask):
    """Lengths of 0, 1, 0, 1... over the picture, row by row."""
    flat = np.concatenate([[0], np.asarray(mask, np.int8).ravel()])
    edges = np.flatnonzero(np.diff(flat))
    return np.diff(np.concatenate([[0], edges, [flat.size - 1]])).tolist()


def painted(protos, coefficients, fit, box, p):
    """A mask: the sum of prototypes, blended up to the picture, cut to the box as crop_mask does."""
    h, w = p.shape[:2]
    total = np.tensordot(coefficients, protos, 1)[:, :, None]
    x = ((np.arange(w) + 0.5) / fit.sx + fit.left) * protos.shape[2] / fit.w
    y = ((np.arange(h) + 0.5) / fit.sy + fit.top) * protos.shape[1] / fit.h
    mask = sample(total, x, y)[:, :, 0] > 0
    r, c = np.arange(w)[None, :], np.arange(h)[:, None]
    return mask & (r >= box[0]) & (r < box[2]) & (c >= box[1]) & (c < box[3])


# ---- the heads ----

def rows_net(net, columns, first, axis_first):
    """One output of rows; the columns [first, first + classes) follow the picture."""
    before, scores, after = columns[:, :first[0]], columns[:, first[0]:first[1]], columns[:, first[1]:]
    lie = (lambda a: a.T[None]) if axis_first else (lambda a: a[None])
    parts = [net.const(lie(before)), net.mul(lie(scores))] + ([net.const(lie(after))] if after.size else [])
    return net.op("Concat", *[x for x, a in zip(parts, (before, scores, after)) if a.size], axis=1 if axis_first else 2)


def yolo8(rng, name, recipe, task="detect", size=SIDE, extra=0, angle=False, kpt=None, metadata=True, nhwc=False, classes=3,
          p=None, dynamic=()):
    p = picture() if p is None else p
    net = Net(name, size, nhwc=nhwc, dynamic=dynamic)
    declared = size
    if dynamic:  # of any size: no more border than steps of 32 need
        r = min(size[0] / p.shape[0], size[1] / p.shape[1])
        size = tuple(s - (s - round(v * r)) // 32 * 32 for s, v in zip(size, p.shape))
        assert size != declared
    n = cells(size)
    b, scores = things(rng, n, classes, size)
    if angle:  # long ones, which are turned much alike
        c = centred(b) * np.array([1, 1, 1.7, 0.6])
        b = np.concatenate([c[:, :2] - c[:, 2:] / 2, c[:, :2] + c[:, 2:] / 2], 1)
    body = [centred(b), scores]
    if nhwc:
        body[0] = body[0] / np.array([size[1], size[0], size[1], size[0]])
    tail = None
    if extra:
        tail = np.round(rng.normal(0, 1, (n, 2)), 2) @ np.round(rng.normal(0, 1, (2, extra)), 2)
    if angle:
        tail = rng.uniform(0.4, 1.1, (n, 1))
    if kpt:
        c = (b[:, :2] + b[:, 2:]) / 2
        at = c[:, None] + rng.uniform(-0.5, 0.5, (n, kpt[0], 2)) * (b[:, 2:] - b[:, :2])[:, None]
        tail = np.concatenate([at, rng.uniform(0, 1, (n, kpt[0], kpt[1] - 2))], 2).reshape(n, -1)
    columns = np.concatenate(body + ([tail] if tail is not None else []), 1).astype(f32).astype(np.float64)
    out = rows_net(net, columns, (4, 4 + classes), True)
    net.out(out, "output0", [1, columns.shape[1], n])
    protos = None
    if extra:
        u = rng.normal(0, 1, (extra, 3)), rng.normal(0, 1, (3, 6, size[1] // 4)), rng.normal(0, 1, (size[0] // 4, 6))
        protos = np.einsum("kr,rjw,hj->khw", *u).astype(f32).astype(np.float64)
        net.out(net.const(protos[None]), "output1", [1, extra] + [s // 4 for s in size])
    meta = ultralytics(task, classes, declared, **({"kpt_shape": list(kpt)} if kpt else {}))
    net.write(meta if metadata else None)
    fit = Fit("letterbox", size, p)
    score = columns[:, 4:4 + classes] * net.value(fit)
    b = columns[:, :4] * (np.array([size[1], size[0], size[1], size[0]]) if nhwc else 1)
    b = np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1)
    rows, top, label = best(score, 0.25)
    if angle:
        five = np.concatenate([columns[rows][:, :4], columns[rows][:, -1:]], 1)
        keep = suppress(five, top, label, 0.7, probiou, fast=True)
        slow = suppress(five, top, label, 0.7, probiou)
        if keep == slow:  # the test shall tell the two apart
            raise Unclear
    else:
        keep = suppress(b[rows], top, label, 0.7)
    rows = [rows[i] for i in keep]
    args = dict(label_names=["cat", "dog's", "red car"][:classes] if metadata else [])
    boxes = fit.boxes(b[rows])
    if angle:
        args["corners"], boxes = turned(fit, columns[rows][:, :4], columns[rows][:, -1])
    if kpt:
        k = columns[rows][:, 4 + classes:].reshape(len(rows), *kpt)
        seen = k[:, :, 2:3] if kpt[1] == 3 else np.ones_like(k[:, :, :1])
        args["points"] = np.concatenate([fit.x(k[:, :, :1]), fit.y(k[:, :, 1:2]), seen], 2)
    if extra:
        args["masks"] = [painted(protos, columns[r][4 + classes:], fit, x, p) for r, x in zip(rows, boxes)]
    case(net, p, boxes, top[keep], label[keep], recipe, **args)


def turned(fit, xywh, angles):
    corners, boxes = [], []
    for (x, y, w, h), a in zip(xywh, angles):
        x, y, w, h = fit.x(x), fit.y(y), w * fit.sx, h * fit.sy
        c = [(x + u * w / 2 * np.cos(a) - v * h / 2 * np.sin(a), y + u * w / 2 * np.sin(a) + v * h / 2 * np.cos(a))
             for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        corners.append(np.ravel(c))
        boxes.append([min(q[0] for q in c), min(q[1] for q in c), max(q[0] for q in c), max(q[1] for q in c)])
    return corners, boxes


def finished(rng, name, recipe, task, metadata=True, kpt=None, extra=0, angle=False, yolov7=False):
    """Suppression inside: rows of box, score, class and more; those behind the last are zeros."""
    p, size, n, classes = picture(), SIDE, 9, 3
    net = Net(name, size)
    b, _ = things(rng, n, classes, size)
    score = np.sort(rng.uniform(0.2, 0.8, n))[::-1]
    label = rng.integers(0, classes, n)
    score[-2:] = 0
    if angle:
        b = centred(b)
    tail = np.zeros((n, 0))
    if kpt:
        tail = np.concatenate([rng.uniform(0, 90, (n, kpt[0], 2)), rng.uniform(0, 1, (n, kpt[0], kpt[1] - 2))], 2).reshape(n, -1)
    if extra:
        tail = rng.normal(0, 1, (n, extra))
    if angle:
        tail = rng.uniform(-0.7, 2.3, (n, 1))
    if yolov7:
        columns = np.concatenate([np.zeros((n, 1)), b, label[:, None], score[:, None]], 1)
        at = (6, 7)
    else:
        columns, at = np.concatenate([b, score[:, None], label[:, None], tail], 1), (4, 5)
    columns = columns.astype(f32).astype(np.float64)
    out = rows_net(net, columns, at, False)
    net.out(net.op("Squeeze", out, net.const(np.array([0]))) if yolov7 else out, "output0", ([] if yolov7 else [1]) + list(columns.shape))
    protos = None
    if extra:
        protos = rng.normal(0, 1, (extra, size[0] // 4, size[1] // 4)).astype(f32).astype(np.float64)
        net.out(net.const(protos[None]), "output1", [1] + list(protos.shape))
    net.write(ultralytics(task, classes, **({"kpt_shape": list(kpt)} if kpt else {})) if metadata else None)
    fit = Fit("letterbox", size, p)
    score = columns[:, at[0]] * net.value(fit)
    rows = [i for i in range(n) if over(score[i], 0.25)]
    b = columns[rows][:, 1:5] if yolov7 else columns[rows][:, :4]
    args, boxes = dict(label_names=["cat", "dog's", "red car"] if metadata else []), fit.boxes(b)
    if angle:
        args["corners"], boxes = turned(fit, b, columns[rows][:, -1])
    if kpt:
        k = columns[rows][:, 6:].reshape(len(rows), *kpt)
        seen = k[:, :, 2:3] if kpt[1] == 3 else np.ones_like(k[:, :, :1])
        args["points"] = np.concatenate([fit.x(k[:, :, :1]), fit.y(k[:, :, 1:2]), seen], 2)
    if extra:
        args["masks"] = [painted(protos, columns[r][6:], fit, x, p) for r, x in zip(rows, boxes)]
    case(net, p, boxes, score[rows], label[rows], recipe, **args)


def classify(rng, name):
    p, size, n = picture(), (64, 64), 5
    net = Net(name, size)
    raw = rng.permutation(np.array([0.5, 0.25, 0.125, 0.0625, 0.03]))
    net.out(net.mul(raw[None]), "output0", [1, n])
    net.write(ultralytics("classify", n, size))
    fit = Fit("cover", size, p)
    score = raw * net.value(fit)
    h, w = p.shape[:2]
    case(net, p, [[0, 0, w, h]] * n, score, np.arange(n), "ultralytics_classify", kind="classifier",
         label_names=["cat", "dog's", "red car", "boat", "bird"])


def sides(b, size):
    return centred(b) / np.array([size[1], size[0], size[1], size[0]])


def from_sides(c, size):
    c = c * np.array([size[1], size[0], size[1], size[0]])
    return np.concatenate([c[:, :2] - c[:, 2:] / 2, c[:, :2] + c[:, 2:] / 2], 1)


def rtdetr_ultralytics(rng, name):
    p, size, n, classes = picture(), SIDE, 300, 2  # as many columns as rows of box, score and class have
    net = Net(name, size, points=True)
    b, scores = things(rng, n, classes, size)
    columns = np.concatenate([sides(b, size), scores], 1).astype(f32).astype(np.float64)
    net.out(rows_net(net, columns, (4, 6), False), "output0", [1, n, 6])
    net.write(ultralytics("detect", classes))
    fit = Fit("stretch", size, p)
    rows, top, label = best(columns[:, 4:] * net.value(fit), 0.25)
    case(net, p, fit.boxes(from_sides(columns[rows][:, :4], size)), top, label, "ultralytics_rtdetr", label_names=["cat", "dog's"])


def yolov5(rng, name, recipe, extra=0, strides=(8, 16, 32)):
    p, size, classes = picture(), SIDE, 3
    n = 3 * cells(size, strides)
    net = Net(name, size)
    b, scores = things(rng, n, classes, size)
    scores = scores / scores.max() * 0.98
    obj = rng.uniform(0.3, 1, (n, 1)) * (rng.random((n, 1)) < 0.5)
    tail = np.round(rng.normal(0, 1, (n, 2)), 2) @ np.round(rng.normal(0, 1, (2, extra)), 2) if extra else np.zeros((n, 0))
    columns = np.concatenate([centred(b), obj, scores, tail], 1).astype(np.float16).astype(np.float64)
    # Halves, to keep the file small.
    half = lambda a: net.op("Cast", (net.init.append(numpy_helper.from_array(a[None].astype(np.float16), "h%d" % len(net.init))) or net.init[-1].name), to=T.FLOAT)
    parts = [half(columns[:, :4]), net.op("Mul", half(columns[:, 4:5]), net.factor), half(columns[:, 5:])]
    net.out(net.op("Concat", *parts, axis=2), "output0", [1, n, columns.shape[1]])
    protos = None
    if extra:
        u = rng.normal(0, 1, (extra, 3)), rng.normal(0, 1, (3, 6, size[1] // 4)), rng.normal(0, 1, (size[0] // 4, 6))
        protos = np.einsum("kr,rjw,hj->khw", *u).astype(np.float16).astype(np.float64)
        net.out(half(protos), "output1", [1, extra] + [s // 4 for s in size])
    net.write({"stride": "32", "names": names(3)})
    fit = Fit("letterbox", size, p)
    rows, top, label = best(columns[:, 5:5 + classes] * columns[:, 4:5] * net.value(fit), 0.25)
    b = columns[rows][:, :4]
    b = np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1)
    keep = suppress(b, top, label, 0.45)
    boxes, args = fit.boxes(b[keep]), {}
    if extra:
        args["masks"] = [painted(protos, columns[rows[k]][5 + classes:], fit, x, p) for k, x in zip(keep, boxes)]
    case(net, p, boxes, top[keep], label[keep], recipe, label_names=["cat", "dog's", "red car"], **args)


def grid(size, strides):
    g = [(x, y, s) for s in strides for y in range(-(-size[0] // s)) for x in range(-(-size[1] // s))]
    return np.array(g, np.float64)


def yolox(rng, name, recipe, decoded):
    p, size, classes = picture(122, 90), SIDE, 4  # 122 x 90 is cut to whole pixels
    g = grid(size, (8, 16, 32))
    n = len(g)
    net = Net(name, size)
    b, scores = things(rng, n, classes, size)
    c = centred(b)
    if not decoded:
        c = np.concatenate([c[:, :2] / g[:, 2:] - g[:, :2], np.log(c[:, 2:] / g[:, 2:])], 1)
    scores = scores / scores.max() * 0.9
    columns = np.concatenate([c, rng.uniform(0.3, 1, (n, 1)), scores], 1).astype(f32).astype(np.float64)
    if decoded:
        logs = net.const(np.log(columns[None, :, 2:4]))
        parts = [net.const(columns[None, :, :2]), net.op("Exp", logs)]
    else:
        parts = [net.const(columns[None, :, :4])]
    parts += [net.mul(columns[None, :, 4:5] / 250), net.const(columns[None, :, 5:])]
    net.out(net.op("Concat", *parts, axis=2), "output", [1, n, 5 + classes])
    net.write()
    fit = Fit("corner", size, p)
    f = net.value(fit, 1, 0, bgr=True) / 250
    rows, top, label = best(columns[:, 5:] * columns[:, 4:5] * f, 0.3)
    c = columns[:, :4]
    if not decoded:
        c = np.concatenate([(c[:, :2] + g[:, :2]) * g[:, 2:], np.exp(c[:, 2:]) * g[:, 2:]], 1)
    b = np.concatenate([c[:, :2] - c[:, 2:] / 2, c[:, :2] + c[:, 2:] / 2], 1)[rows]
    keep = suppress(b, top, np.zeros(len(top), int), 0.45)  # of all classes
    case(net, p, fit.boxes(b[keep]), top[keep], label[keep], recipe)


def torchvision(rng, name, recipe, masks=False, points=False, batch=False):
    """A list of boxes whose length follows from the scores; the picture is of any size."""
    p, n = picture(100, 72), 12
    net = Net(name, (72, 100), dynamic="hw", rank=4 if batch else 3)
    b, _ = things(rng, n, 3, (72, 100))
    b, score, label = b.astype(f32), np.sort(rng.uniform(0, 0.8, n))[::-1].astype(f32), rng.integers(1, 5, n)
    score[-3:] = 0.01
    scores = net.mul(score)
    kept = net.op("Reshape", net.op("NonZero", net.op("Greater", scores, net.const(f32(0.05)))), net.const(np.array([-1])))
    pick = lambda a: net.op("Gather", a, kept, axis=0)
    net.out(pick(net.const(b)), "boxes", ["n", 4])
    net.out(pick(net.const(label)), "labels", ["n"], T.INT64)
    net.out(pick(scores), "scores", ["n"])
    fit = Fit("stretch", (72, 100), p)
    value = score.astype(np.float64) * net.value(fit)
    rows = [i for i in range(n) if over(value[i], 0.05)]
    args = {}
    if masks:
        # As large as the picture: the mask of each is a blob in its box.
        y, x = np.mgrid[0:72, 0:100] + 0.5
        blob = lambda k: np.exp(-(((x - (k[0] + k[2]) / 2) / (k[2] - k[0])) ** 2 + ((y - (k[1] + k[3]) / 2) / (k[3] - k[1])) ** 2) * 5)
        small = np.array([[(k[0] + k[2]) / 2, (k[1] + k[3]) / 2, 1 / (k[2] - k[0]), 1 / (k[3] - k[1])] for k in b.astype(np.float64)])
        col = lambda i: net.const(small[:, i].reshape(n, 1, 1, 1))
        xs, ys = net.const(x[None, None, :1]), net.const(y[None, None, :, :1])
        far = [net.op("Mul", net.op("Mul", d, d), net.const(f32(-5))) for d in
               (net.op("Mul", net.op("Sub", xs, col(0)), col(2)), net.op("Mul", net.op("Sub", ys, col(1)), col(3)))]
        net.out(pick(net.op("Exp", net.op("Add", *far))), "masks", ["n", 1, 72, 100])
        cut = []
        for i in rows:
            m, k = blob(b[i].astype(np.float64)) >= 0.5, b[i]
            inside = np.zeros_like(m)
            inside[max(0, int(np.floor(k[1]))):int(np.ceil(k[3])), max(0, int(np.floor(k[0]))):int(np.ceil(k[2]))] = True
            cut.append(m & inside)
        args["masks"] = cut
    if points:
        k = np.concatenate([rng.uniform(0, 72, (n, 17, 2)), np.ones((n, 17, 1))], 2).astype(f32)
        net.out(pick(net.const(k)), "keypoints", ["n", 17, 3])
        net.out(pick(net.const(rng.normal(0, 1, (n, 17)))), "keypoints_scores", ["n", 17])
        args["points"] = k[rows].astype(np.float64)
    net.write()
    case(net, p, b[rows].astype(np.float64), value[rows], label[rows], recipe, **args)


IMAGENET = dict(scale=1 / 255 / np.array([0.229, 0.224, 0.225]), offset=-np.array([0.485, 0.456, 0.406]) / np.array([0.229, 0.224, 0.225]))


def detr(rng, name, recipe, mask=False, sigmoid=False, classes=6, imagenet=True):
    p, size, n = picture(), SIDE, 20
    net = Net(name, size, points=sigmoid, inputs=[("pixel_mask", T.INT64, [1] + list(size))] if mask else [])
    b, scores = things(rng, n, classes, size)
    c = sides(b, size).astype(f32).astype(np.float64)
    if sigmoid:  # some have two classes
        scores[:5, -1] = rng.uniform(0.55, 0.8, 5)
    logits = (np.log(scores / (1 - scores)) if sigmoid else np.concatenate([scores * 8, np.full((n, 1), 2.0)], 1))
    logits = logits.astype(f32).astype(np.float64)
    # The factor is added to the first class: to all would leave a softmax as it is.
    step = np.zeros((1, 1, logits.shape[1]), f32)
    step[0, 0, 0] = 1
    out = net.op("Add", net.const(logits[None]), net.op("Mul", net.factor, net.const(step)))
    if mask:  # where all pixels count, it adds nothing
        seen = net.op("ReduceMean", net.op("Cast", "pixel_mask", to=T.FLOAT), axes=[1, 2], keepdims=0)
        out = net.op("Mul", out, seen)
    net.out(out, "logits", [1, n, logits.shape[1]])
    net.out(net.const(c[None]), "pred_boxes", [1, n, 4])
    net.write()
    fit = Fit("stretch", size, p)
    x = logits + step[0] * net.value(fit, **(IMAGENET if imagenet else {}))
    if sigmoid:
        rows, top, label = every(1 / (1 + np.exp(-x)), 0.5)
    else:
        e = np.exp(x - x.max(1, keepdims=True))
        rows, top, label = best((e / e.sum(1, keepdims=True))[:, :-1], 0.5)
    if sigmoid and len(set(rows)) == len(rows):
        raise Unclear
    case(net, p, fit.boxes(from_sides(c[rows], size)), top, label, recipe)


def rtdetr(rng, name):
    p, size, n = picture(), SIDE, 20
    net = Net(name, size, inputs=[("orig_target_sizes", T.INT64, [1, 2])])
    b, _ = things(rng, n, 3, size)
    c = (b / np.array([size[1], size[0], size[1], size[0]])).astype(f32).astype(np.float64)
    score, label = np.sort(rng.uniform(0.3, 0.9, n))[::-1].astype(f32), rng.integers(0, 80, n)
    net.out(net.const(label[None]), "labels", [1, n], T.INT64)
    wh = net.op("Cast", net.op("Unsqueeze", net.op("Tile", "orig_target_sizes", net.const(np.array([1, 2]))), net.const(np.array([1]))), to=T.FLOAT)
    net.out(net.op("Mul", net.const(c[None]), wh), "boxes", [1, n, 4])
    net.out(net.mul(score[None]), "scores", [1, n])
    net.write()
    fit = Fit("stretch", size, p)
    value = score.astype(np.float64) * net.value(fit)
    rows = [i for i in range(n) if over(value[i], 0.5)]
    case(net, p, fit.boxes(c[rows] * np.array([96, 64, 96, 64])), value[rows], label[rows], "rtdetr")


def paddle(rng, name, recipe, shape):
    p, size, n = picture(), SIDE, 10
    inputs = [("scale_factor", T.FLOAT, [1, 2])] + ([("im_shape", T.FLOAT, [1, 2])] if shape else [])
    net = Net(name, size, inputs=inputs)
    net.inputs = [net.inputs[2], net.inputs[0], net.inputs[1]] if shape else net.inputs
    b, _ = things(rng, n, 3, size)
    b = b.astype(f32).astype(np.float64)
    score, label = np.sort(rng.uniform(0.62, 0.9, n))[::-1].astype(f32), rng.integers(0, 80, n)
    # Boxes are divided by the factors of height and width; or are parts of the sides that im_shape says.
    order = net.const(np.array([1, 0, 1, 0]))
    if shape:
        parts = (b / np.array([96, 64, 96, 64])).astype(f32)
        boxes = net.op("Mul", net.const(parts), net.op("Gather", "im_shape", order, axis=1))
        boxes = net.op("Div", boxes, net.op("Gather", "scale_factor", order, axis=1))
        b = parts.astype(np.float64) * np.array([96, 64, 96, 64])
    else:
        boxes = net.op("Div", net.const(b), net.op("Gather", "scale_factor", order, axis=1))
    rows = net.op("Concat", net.const(label[:, None].astype(f32)), net.mul(score[:, None]), boxes, axis=1)
    net.out(rows, "multiclass_nms3_0.tmp_0", ["n", 6])
    net.out(net.const(np.array([n - 2], np.int32)), "multiclass_nms3_0.tmp_2", [1], T.INT32)
    net.write()
    fit = Fit("stretch", size, p)
    value = score.astype(np.float64) * net.value(fit)
    kept = [i for i in range(n - 2) if over(value[i], 0.5)]
    case(net, p, fit.boxes(b[kept]), value[kept], label[kept], recipe)


def centernet(rng, name, recipe, sigmoid):
    p, size, classes = picture(), SIDE, 2
    h, w = size[0] // 4, size[1] // 4
    net = Net(name, size)
    logits = rng.normal(-3.5, 0.5, (classes, h, w))
    for _ in range(6):
        k, y, x = rng.integers(0, classes), rng.integers(1, h - 1), rng.integers(1, w - 1)
        logits[k, y, x] = rng.uniform(0, 2)
        logits[k, y, x - 1] = logits[k, y, x] - 0.4  # beside a peak: not one
    wh, reg = rng.uniform(2, 8, (2, h, w)), rng.uniform(0, 1, (2, h, w))
    logits, wh, reg = [a.astype(f32).astype(np.float64) for a in (logits, wh, reg)]
    heat = net.op("Add", net.const(logits[None]), net.factor)
    net.out(net.op("Sigmoid", heat) if sigmoid else heat, "hm", [1, classes, h, w])
    net.out(net.const(wh[None]), "wh", [1, 2, h, w])
    net.out(net.const(reg[None]), "reg", [1, 2, h, w])
    net.write()
    fit = Fit("soft", size, p)
    mean, std = np.array([0.408, 0.447, 0.470]), np.array([0.289, 0.274, 0.278])
    heat = 1 / (1 + np.exp(-(logits + net.value(fit, 1 / 255 / std, -mean / std, bgr=True))))
    boxes, score, label = [], [], []
    for k in range(classes):
        for y in range(h):
            for x in range(w):
                around = heat[k, max(0, y - 1):y + 2, max(0, x - 1):x + 2]
                if over(heat[k, y, x], 0.3) and heat[k, y, x] == around.max():
                    cx, cy = x + reg[0, y, x], y + reg[1, y, x]
                    boxes.append([(cx - wh[0, y, x] / 2) * 4, (cy - wh[1, y, x] / 2) * 4, (cx + wh[0, y, x] / 2) * 4, (cy + wh[1, y, x] / 2) * 4])
                    score.append(heat[k, y, x])
                    label.append(k)
    case(net, p, fit.boxes(boxes), np.array(score), label, recipe)


def nanodet(rng, name, recipe, strides, offset, classes):
    p, size = picture(), SIDE
    g = grid(size, strides)
    n = len(g)
    net = Net(name, size, weights=(-0.2, 0.1, 0.3))
    b, scores = things(rng, n, min(classes, 6), size)
    scores = np.concatenate([scores, np.full((n, classes - scores.shape[1]), 0.01)], 1)
    centre = (g[:, :2] + offset) * g[:, 2:]
    want = np.concatenate([centre - b[:, :2], b[:, 2:] - centre], 1) / g[:, 2:]
    bins = np.arange(8)
    logits = np.round(-1.5 * np.abs(bins - np.clip(want, 0.2, 6.8)[:, :, None]) + rng.normal(0, 0.2, (n, 4, 8)), 2).reshape(n, 32)
    columns = np.concatenate([np.round(scores, 3), logits], 1).astype(f32).astype(np.float64)
    net.out(rows_net(net, columns, (0, classes), False), "output", [1, n, classes + 32])
    net.write()
    fit = Fit("stretch", size, p)
    mean, std = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])
    f = net.value(fit, 1 / std, -mean / std, bgr=True)
    rows, top, label = every(columns[:, :classes] * f, 0.35)
    e = np.exp(columns[:, classes:].reshape(n, 4, 8))
    d = (e / e.sum(2, keepdims=True)) @ bins * g[:, 2:]
    b = np.concatenate([centre - d[:, :2], centre + d[:, 2:]], 1)[rows]
    keep = suppress(b, top, label, 0.6)
    case(net, p, fit.boxes(b[keep]), top[keep], label[keep], recipe)


def odd_numbers():
    """Rows of box, score and class, two of which are good."""
    box, nan, inf = [10, 10, 30, 30], float("nan"), float("inf")
    rows = [box + [0.5, 1], [nan, 10, 30, 30, 0.9, 0], [10, nan, 30, 30, 0.9, 0], [10, 10, inf, 30, 0.9, 0],
            [-inf, 10, 30, 30, 0.9, 0], [30, 30, 10, 10, 0.9, 0], [1e9, 1e9, 2e9, 2e9, 0.9, 0], box + [nan, 0], box + [-inf, 0],
            box + [0.9, nan], box + [0.9, -1], box + [0.9, inf], box + [7, 0]]
    net = Net("odd_numbers")
    rows = np.array(rows, f32)
    net.out(rows_net(net, rows, (6, 6), False), "output0", [1, len(rows), 6])
    net.write(ultralytics("detect", 3))


def very_many():
    """100,000 boxes in three places that do not overlap."""
    net = Net("very_many")
    n = 100000
    count = net.op("Range", net.const(np.array(0.0, f32)), net.const(np.array(n, f32)), net.const(np.array(1.0, f32)))
    count = net.op("Unsqueeze", count, net.const(np.array([1])))
    place = net.op("Mod", count, net.const(np.array([3.0], f32)), fmod=1)
    x = net.op("Mul", place, net.const(np.array([30.0], f32)))
    box = net.op("Add", x, net.const(np.array([[0, 0, 20, 0]], f32)))
    tall = net.op("Mul", box, net.const(np.array([[1, 0, 1, 0]], f32)))
    box = net.op("Add", tall, net.const(np.array([[0, 5, 0, 25]], f32)))
    score = net.op("Add", net.op("Mul", count, net.const(np.array([-5e-6], f32))), net.const(np.array([0.9], f32)))
    rows = net.op("Concat", box, score, net.op("Mul", place, net.const(np.array([0.0], f32))), axis=1)
    net.out(net.op("Unsqueeze", rows, net.const(np.array([0]))), "output0", [1, n, 6])
    net.write(ultralytics("detect", 3))


def clear(make, *arguments, **options):
    for seed in range(1, 500):
        before = len(CASES)
        try:
            make(np.random.default_rng(seed), *arguments, **options)
        except Unclear:
            continue
        assert len(CASES[before]["scores"]) >= 2, CASES[before]["name"]
        return
    raise SystemExit("no clear numbers for " + str(arguments))


def main():
    clear(yolo8, "yolo8_detect", "ultralytics_detect")
    clear(yolo8, "yolo8_tall", "ultralytics_detect", p=picture(48, 107))
    clear(yolo8, "yolo8_half", "ultralytics_detect", p=picture(53, 128))
    clear(yolo8, "yolo8_dynamic", "ultralytics_detect", p=picture(120, 40), dynamic="hw")
    clear(yolo8, "yolo8_plain", "yolov8", metadata=False)
    clear(yolo8, "yolo8_sides", "yolov8_tflite", metadata=False, nhwc=True)
    clear(yolo8, "yolo8_segment", "ultralytics_segment", "segment", extra=8)
    clear(yolo8, "yolo8_pose", "ultralytics_pose", "pose", kpt=(5, 2), classes=1)
    clear(yolo8, "yolo8_pose_coco", "ultralytics_pose_coco", "pose", kpt=(17, 3), classes=1)
    clear(yolo8, "yolo8_obb", "ultralytics_obb", "obb", angle=True)
    clear(finished, "yolo_detect_nms", "ultralytics_detect_nms", "detect")
    clear(finished, "yolo_segment_nms", "ultralytics_segment_nms", "segment", extra=8)
    clear(finished, "yolo_pose_nms", "ultralytics_pose_nms", "pose", kpt=(4, 3))
    clear(finished, "yolo_obb_nms", "ultralytics_obb_nms", "obb", angle=True)
    clear(finished, "yolov7_nms", "yolov7_nms", "", metadata=False, yolov7=True)
    clear(classify, "yolo_classify")
    clear(rtdetr_ultralytics, "yolo_rtdetr")
    clear(yolov5, "yolov5", "yolov5")
    clear(yolov5, "yolov5_p6", "yolov5_p6", strides=(8, 16, 32, 64))
    clear(yolov5, "yolov5_segment", "yolov5_segment", extra=32)
    clear(yolox, "yolox", "yolox", False)
    clear(yolox, "yolox_decoded", "yolox_decoded", True)
    clear(torchvision, "torchvision", "torchvision_detection")
    clear(torchvision, "torchvision_batch", "torchvision_detection_batch", batch=True)
    clear(torchvision, "torchvision_masks", "torchvision_masks", masks=True)
    clear(torchvision, "torchvision_keypoints", "torchvision_keypoints", points=True)
    clear(detr, "detr", "detr")
    clear(detr, "detr_mask", "detr_mask", mask=True)
    clear(detr, "deformable_detr", "deformable_detr", sigmoid=True, classes=91)
    clear(detr, "rtdetr_logits", "rtdetr_logits", sigmoid=True, imagenet=False)
    clear(rtdetr, "rtdetr")
    clear(paddle, "paddle", "paddle_detection", False)
    clear(paddle, "paddle_shape", "paddle_detection_shape", True)
    clear(centernet, "centernet", "centernet", True)
    clear(centernet, "centernet_logits", "centernet_logits", False)
    clear(nanodet, "nanodet_plus", "nanodet_plus", (8, 16, 32, 64), 0, 3)
    clear(nanodet, "nanodet", "nanodet", (8, 16, 32), 0.5, 80)
    odd_numbers()
    very_many()
    with open(os.path.join(HERE, "heads.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in CASES) + "\n]\n")
    print(len(CASES), "cases,", sum(len(c["scores"]) for c in CASES), "results")


if __name__ == "__main__":
    main()
