#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes loss_values.h: losses and their gradients by PyTorch, in f64.

    tests/setup golden && ~/.cache/tern/golden/bin/python tests/ops/make_loss_values.py > tests/ops/loss_values.h

Inputs and lines are as in make_values.py. Gradients: of the sum of (1 + i) * loss[i], of the inputs named by `wrt`.
PyTorch computes what it has (F.*). What it lacks is written out here: sigmoid_focal_loss, generalized_box_iou_loss,
distance_box_iou_loss and complete_box_iou_loss of torchvision 0.20 (torchvision.ops), dice_loss of DETR
(facebookresearch/detr, models/segmentation.py), algorithm 1 and equation 12 of BitNet Distillation (arXiv 2510.13998).
"""

import math

import torch
from torch.nn import functional as F

cases = []


def pattern(shape, k):
    i = torch.arange(math.prod(shape), dtype=torch.int64)
    return (((7 * i + 3 * k) % 11 - 5).double() / 4).reshape(shape)


def text_of(dtype, shape, values=None):
    numbers = "" if values is None else "{" + ",".join(f"{v:g}" for v in values) + "}"
    return f"{dtype}[{','.join(map(str, shape))}]{numbers}"


def case(op, attributes, inputs, f, wrt=(0,)):
    """inputs: a shape of f32 numbers by the pattern, or (dtype, shape, values), or None."""
    texts, tensors = [], []
    for k, x in enumerate(inputs):
        if x is None:
            texts.append("-")
            tensors.append(None)
        elif x and isinstance(x[0], str):
            dtype, shape, values = x
            count = math.prod(shape)
            repeated = [values[i % len(values)] for i in range(count)]
            kind = {"f32": torch.float64, "bool": torch.bool}.get(dtype, torch.int64)
            tensors.append(torch.tensor(repeated, dtype=kind).reshape(shape))
            texts.append(text_of(dtype, shape, values))
        else:
            tensors.append(pattern(x, k))
            texts.append(text_of("f32", x))
    for k in wrt:
        tensors[k].requires_grad_()
    y = f(*tensors)
    flat = y.reshape(-1)
    total = (flat * torch.arange(1, flat.numel() + 1)).sum()
    gradients = torch.autograd.grad(total, [tensors[k] for k in wrt])
    cases.append((op, " ".join(texts), attributes, list(wrt), flat.tolist(),
                  torch.cat([d.reshape(-1) for d in gradients]).tolist()))


def cross_entropy():
    labels = ("i64", [4], [0, 6, -100, 3])
    case("cross_entropy", "", [[4, 7], labels], F.cross_entropy)
    case("cross_entropy", "reduction=sum ignore_index=3", [[4, 7], ("i32", [4], [0, 6, 3, 3])],
         lambda x, y: F.cross_entropy(x, y, reduction="sum", ignore_index=3))
    weights = ("f32", [7], [0.5, 2, 1, 0.25, 1.5, 3, 0.75])
    case("cross_entropy", "", [[4, 7], labels, weights], lambda x, y, w: F.cross_entropy(x, y, w))
    for reduction in ("mean", "none"):
        case("cross_entropy", f"label_smoothing=0.2 reduction={reduction}", [[4, 7], labels, weights],
             lambda x, y, w: F.cross_entropy(x, y, w, label_smoothing=0.2, reduction=reduction))
    case("cross_entropy", "label_smoothing=0.1", [[4, 7], labels],
         lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1))
    case("cross_entropy", "reduction=none", [[2, 3, 5], ("i64", [2, 3], [0, 4, -100, 1, 2, 3])],
         lambda x, y: F.cross_entropy(x.transpose(1, 2), y, reduction="none"))
    for attributes, reduction in (("chunk=2", "mean"), ("chunk=3 reduction=sum", "sum"), ("", "mean")):
        case("linear_cross_entropy", attributes, [[5, 3], [7, 3], ("i64", [5], [0, 6, -100, 3, 2])],
             lambda x, w, y: F.cross_entropy(x @ w.T, y, reduction=reduction), (0, 1))


def elementwise():
    targets = ("f32", [4, 3], [0, 1, 0.25, 1, 0.5])
    for reduction in ("mean", "none"):
        case("bce_with_logits", f"reduction={reduction}", [[4, 3], targets],
             lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction=reduction), (0, 1))
    case("bce_with_logits", "reduction=sum", [[4, 3], targets, ("f32", [3], [0.5, 2, 3])],
         lambda x, t, w: F.binary_cross_entropy_with_logits(x, t, pos_weight=w, reduction="sum"), (0, 1))
    case("mse_loss", "", [[4, 3], [4, 3]], F.mse_loss, (0, 1))
    case("mse_loss", "reduction=none", [[4], [4]], lambda x, t: F.mse_loss(x, t, reduction="none"), (0, 1))
    for beta in (0, 1, 0.5):
        case("smooth_l1_loss", f"beta={beta:g}", [[4, 3], [4, 3]],
             lambda x, t: F.smooth_l1_loss(x, t, beta=beta), (0, 1))
    case("smooth_l1_loss", "beta=1.5 reduction=sum", [[4, 3], [4, 3]],
         lambda x, t: F.huber_loss(x, t, delta=1.5, reduction="sum") / 1.5, (0, 1))


def focal(x, t, alpha, gamma):
    p = torch.sigmoid(x)
    ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    p_t = p * t + (1 - p) * (1 - t)
    loss = ce * ((1 - p_t) ** gamma)
    if alpha >= 0:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    return loss


def dice(x, t, smooth):
    x = x.sigmoid().flatten(1)
    t = t.flatten(1)
    return 1 - (2 * (x * t).sum(1) + smooth) / (x.sum(-1) + t.sum(-1) + smooth)


def segmentation():
    targets = ("f32", [4, 3], [0, 1, 0, 1, 1])
    case("focal_loss", "", [[4, 3], targets], lambda x, t: focal(x, t, 0.25, 2).mean())
    case("focal_loss", "alpha=-1 gamma=1.5 reduction=none", [[4, 3], targets], lambda x, t: focal(x, t, -1, 1.5))
    case("focal_loss", "alpha=0.75 gamma=0 reduction=sum", [[4, 3], targets],
         lambda x, t: focal(x, t, 0.75, 0).sum())
    masks = ("f32", [2, 3, 2], [0, 1, 0, 1, 1])
    case("dice_loss", "", [[2, 3, 2], masks], lambda x, t: dice(x, t, 1).mean())
    case("dice_loss", "smooth=0.25 reduction=none", [[2, 3, 2], masks], lambda x, t: dice(x, t, 0.25))


def box_loss(form, a, b, eps=1e-7):
    x1, y1, x2, y2 = a.unbind(-1)
    x1g, y1g, x2g, y2g = b.unbind(-1)
    xkis1, ykis1 = torch.max(x1, x1g), torch.max(y1, y1g)
    xkis2, ykis2 = torch.min(x2, x2g), torch.min(y2, y2g)
    inter = torch.zeros_like(x1)
    mask = (ykis2 > ykis1) & (xkis2 > xkis1)
    inter[mask] = (xkis2[mask] - xkis1[mask]) * (ykis2[mask] - ykis1[mask])
    union = (x2 - x1) * (y2 - y1) + (x2g - x1g) * (y2g - y1g) - inter
    iou = inter / (union + eps)
    xc1, yc1 = torch.min(x1, x1g), torch.min(y1, y1g)
    xc2, yc2 = torch.max(x2, x2g), torch.max(y2, y2g)
    if form == "iou":
        return 1 - iou
    if form == "giou":
        area_c = (xc2 - xc1) * (yc2 - yc1)
        return 1 - (iou - (area_c - union) / (area_c + eps))
    diagonal = (xc2 - xc1) ** 2 + (yc2 - yc1) ** 2 + eps
    centers = ((x2 + x1) / 2 - (x1g + x2g) / 2) ** 2 + ((y2 + y1) / 2 - (y1g + y2g) / 2) ** 2
    diou = 1 - iou + centers / diagonal
    if form == "diou":
        return diou
    v = (4 / math.pi**2) * (torch.atan((x2g - x1g) / (y2g - y1g)) - torch.atan((x2 - x1) / (y2 - y1))) ** 2
    with torch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return diou + alpha * v


def boxes():
    a = ("f32", [4, 4], [0, 0, 2, 2, 1, 1, 4, 3, 0, 0, 1, 1, -1, 2, 3, 7])
    b = ("f32", [4, 4], [1, 0.5, 3, 3.5, 0.25, 0, 3, 5, 2, 2.5, 3, 4, 0, 3, 2, 4])
    for form in ("iou", "giou", "diou", "ciou"):
        for reduction in ("none", "mean"):
            case("iou_loss", f"form={form} reduction={reduction}", [a, b],
                 lambda x, t: box_loss(form, x, t) if reduction == "none" else box_loss(form, x, t).mean(), (0, 1))


def kl(t, s, tau, reduction):
    return F.kl_div(F.log_softmax(s / tau, -1), F.softmax(t / tau, -1), reduction=reduction)


def relation(t, s, heads, form, temperature=1.0, mask=None):
    """[batch, heads, tokens] KL(teacher || student)."""
    rows = []
    for x in (t, s):
        b, n, d = x.shape
        x = x.reshape(b, n, heads, d // heads).transpose(1, 2)
        if form == "cosine":
            r = F.normalize(x, dim=-1) @ F.normalize(x, dim=-1).transpose(2, 3) / temperature
        else:
            r = x @ x.transpose(2, 3) / math.sqrt(d // heads) / temperature
        if mask is not None:
            r = r.masked_fill(~mask[:, None, None, :], -math.inf)
        rows.append(r)
    p = F.softmax(rows[0], -1)
    return F.kl_div(F.log_softmax(rows[1], -1).nan_to_num(neginf=0), p, reduction="none").sum(-1)


def masked_mean(rows, mask):
    return rows[mask].mean()


def distillation():
    for tau in (1, 5):
        case("kl_divergence", f"temperature={tau}", [[4, 7], [4, 7]], lambda t, s: kl(t, s, tau, "batchmean"), (0, 1))
    case("kl_divergence", "temperature=2 temperature_squared=1 reduction=sum", [[4, 7], [4, 7]],
         lambda t, s: 4 * kl(t, s, 2, "sum"), (1,))
    case("kl_divergence", "reduction=batchmean", [[2, 3, 5], [2, 3, 5]], lambda t, s: kl(t, s, 1, "batchmean"), (1,))
    case("kl_divergence", "reduction=none", [[2, 3, 5], [2, 3, 5]], lambda t, s: kl(t, s, 1, "none").sum(-1), (0, 1))
    rows = ("bool", [2, 3], [1, 0, 1, 1, 0, 0])
    case("kl_divergence", "temperature=5", [[2, 3, 5], [2, 3, 5], rows],
         lambda t, s, m: masked_mean(kl(t, s, 5, "none").sum(-1), m), (1,))
    for form in ("scaled", "cosine"):
        case("relation_kl", f"heads=3 form={form}", [[2, 5, 12], [2, 5, 6]],
             lambda t, s: relation(t, s, 3, form).mean(), (0, 1))
        mask = ("bool", [2, 4], [1, 1, 1, 0, 1, 1, 0, 0])
        case("relation_kl", f"heads=2 form={form} temperature=0.5", [[2, 4, 6], [2, 4, 6], mask],
             lambda t, s, m: masked_mean(relation(t, s, 2, form, 0.5, m), m[:, None, :].expand(2, 2, 4)), (1,))
    case("relation_kl", "heads=2 reduction=none", [[1, 3, 4], [1, 3, 4]], lambda t, s: relation(t, s, 2, "scaled"),
         (0, 1))


def ctc():
    def loss(reduction, blank, zero_infinity=False):
        def f(x, labels, frames=None, lengths=None):
            n = x.shape[1]
            frames = torch.full([n], x.shape[0]) if frames is None else frames
            lengths = torch.full([n], labels.shape[1]) if lengths is None else lengths
            return F.ctc_loss(F.log_softmax(x, -1), labels, frames, lengths, blank, reduction, zero_infinity)
        return f
    labels = ("i64", [3, 3], [1, 1, 4, 2, 0, 0, 3, 4, 0])
    lengths = [("i64", [3], [7, 5, 6]), ("i32", [3], [3, 1, 2])]
    case("ctc_loss", "", [[7, 3, 5], labels, *lengths], loss("mean", 0))
    case("ctc_loss", "reduction=none", [[7, 3, 5], labels, *lengths], loss("none", 0))
    case("ctc_loss", "reduction=sum blank=3", [[5, 2, 4], ("i64", [2, 2], [0, 1, 2, 2])], loss("sum", 3))
    case("ctc_loss", "", [[5, 2, 4], ("i64", [2, 2], [3, 1, 2, 2])], loss("mean", 0))
    case("ctc_loss", "zero_infinity=1 reduction=none", [[2, 2, 4], ("i64", [2, 2], [1, 1, 1, 2])],
         loss("none", 0, True))


def metric():
    def nce(q, k, temperature, normalize=True):
        if normalize:
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        return q @ k.T / temperature
    def one_way(s, reduction):
        return F.cross_entropy(s, torch.arange(s.shape[0]), reduction=reduction)
    case("info_nce", "", [[4, 7], [4, 7]], lambda q, k: one_way(nce(q, k, 0.07), "mean"), (0, 1))
    case("info_nce", "temperature=0.5 reduction=none", [[3, 4], [6, 4]],
         lambda q, k: one_way(nce(q, k, 0.5), "none"), (0, 1))
    case("info_nce", "temperature=0.25 symmetric=1", [[4, 5], [4, 5]],
         lambda q, k: (one_way(nce(q, k, 0.25), "mean") + one_way(nce(q, k, 0.25).T, "mean")) / 2, (0, 1))
    case("info_nce", "temperature=1 normalize=0 reduction=sum", [[3, 4], [3, 4]],
         lambda q, k: one_way(nce(q, k, 1, False), "sum"), (0, 1))
    for margin, reduction in ((1, "mean"), (0.25, "none")):
        case("triplet_loss", f"margin={margin:g} reduction={reduction}", [[4, 5], [4, 5], [4, 5]],
             lambda a, p, n: F.triplet_margin_loss(a, p, n, margin=margin, reduction=reduction), (0, 1, 2))


for part in (cross_entropy, elementwise, segmentation, boxes, distillation, ctc, metric):
    part()

print(f"""// SPDX-License-Identifier: Apache-2.0
// Made by make_loss_values.py with torch {torch.__version__.split("+")[0]}; do not edit.
#pragma once
#include <vector>

namespace tern::test {{

struct LossValue {{
  const char *op, *inputs, *attributes;
  std::vector<int> wrt;  // inputs
  std::vector<double> values, gradients;
}};

inline const std::vector<LossValue> kLossValues = {{""")
for op, inputs, attributes, wrt, values, gradients in cases:
    def numbers(list_):
        return "{" + ", ".join(f"{v + 0:.7g}" for v in list_) + "}"
    texts = [f'"{text}"' for text in (op, inputs, attributes)]
    print("    {" + ",\n     ".join(texts + [numbers(v) for v in (wrt, values, gradients)]) + "},")
print("""};

}  // namespace tern::test""")
