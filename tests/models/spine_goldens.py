# SPDX-License-Identifier: Apache-2.0
"""Golden results of small random models, by PyTorch on one thread.  spine_goldens.py [--out golden/spine]

All arrays: .npy version 1.0, little endian, C order, float32 (labels and token ids: int32).

TRANSFORMER, folder transformer/: 2 layers, dim 32, heads 2 (of 16), ffn 64, vocab 61, 200 positions, batch 1.
  tokens.npy [200] int32; logits.npy [200, 61] = the full forward pass over all 200 tokens. Weights, one file each:
    token_embedding [61, 32]   position_embedding [200, 32]   head [61, 32] (not tied, no bias)
    final_norm.{weight,bias} [32];  for layer i = 0, 1:
    i.norm1.{weight,bias} i.norm2.{weight,bias} [32]   i.{q,k,v,o}.{weight [32, 32], bias [32]}
    i.up.{weight [64, 32], bias [64]}   i.down.{weight [32, 64], bias [32]}
  Matrices are [out, in]: y = x W^T + b.
  x = token_embedding[tokens] + position_embedding[0..199]
  each layer (pre-norm): h = norm1(x); q, k, v = the three linear maps of h, head j owns columns 16 j .. 16 j + 15;
    a = softmax(q k^T / sqrt(16)) over positions <= own;  x += o(concat of a v);
    x += down(gelu(up(norm2(x)))), gelu(t) = t/2 (1 + erf(t / sqrt 2))
  logits = head(final_norm(x)). Norm: (t - mean) / sqrt(variance + 1e-5) * weight + bias, variance with 1/32.

TRAINING, folders mlp/ and cnn/: one fixed batch, 20 steps of w -= rate * gradient (no momentum, no decay) of the
  mean cross-entropy of softmax(logits) against labels.
  x.npy, labels.npy;  training.json: {rate, losses, losses_f64, norms, final_logits_absmax}
    losses[k] = loss of step k before its update (21 values: the last is after the 20th update)
    losses_f64 = the same run in double: shows how much of a difference is rounding
    norms[name] = [l2 norm, sum] of each parameter and running statistic after the 20th update
  final_logits.npy: logits after the 20th update, of the model in evaluation mode (running statistics)
  mlp.onnx: 20 -> 32 -> 16 -> 5 with ReLU, batch 64.
  cnn.onnx: evaluation form, BatchNormalization unfused (training_mode 0); cnn_training.onnx: the same model with
    training_mode 1 and its outputs for the running statistics. 16 pictures [2, 12, 12]; Conv 3x3 pad 1 to 8 (no
    bias), BN, ReLU, MaxPool 2, Conv 3x3 stride 2 pad 1 to 12 (no bias), BN, ReLU, global average, Linear to 4.
  BN in a training step: normalises with the batch's mean and 1/n variance, eps 1e-5;
    running = 0.9 running + 0.1 batch, where the batch's variance is the 1/(n-1) one. (The ONNX text says 1/n
    here; norms and final_logits follow PyTorch.) Scales, shifts and statistics start with random values, because
    the exporter makes one tensor of equal ones.
"""
import argparse
import copy
import os
import warnings

import numpy as np
import torch
from torch import nn

from official_steps import json_text

STEPS = 20


def save(folder, name, value):
    array = np.ascontiguousarray(value.detach().numpy())
    array = array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
    with open(os.path.join(folder, name + ".npy"), "wb") as f:
        np.lib.format.write_array(f, array, version=(1, 0), allow_pickle=False)


class Layer(nn.Module):
    def __init__(self, dim, ffn, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.up, self.down = nn.Linear(dim, ffn), nn.Linear(ffn, dim)

    def forward(self, x):
        tokens, dim = x.shape
        h = self.norm1(x)
        q, k, v = (m(h).view(tokens, self.heads, -1).transpose(0, 1) for m in (self.q, self.k, self.v))
        scores = q @ k.transpose(1, 2) / (dim // self.heads) ** 0.5
        scores = scores.masked_fill(torch.ones(tokens, tokens).triu(1).bool(), float("-inf"))
        x = x + self.o((scores.softmax(-1) @ v).transpose(0, 1).reshape(tokens, dim))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


def transformer(out):
    folder = os.path.join(out, "transformer")
    os.makedirs(folder, exist_ok=True)
    dim, ffn, heads, vocab, positions = 32, 64, 2, 61, 200
    layers = nn.ModuleList([Layer(dim, ffn, heads) for _ in range(2)])
    final_norm = nn.LayerNorm(dim)
    tensors = {"token_embedding": torch.empty(vocab, dim), "position_embedding": torch.empty(positions, dim),
               "head": torch.empty(vocab, dim)}
    tensors |= dict(layers.named_parameters()) | {"final_norm." + k: v for k, v in final_norm.named_parameters()}
    with torch.no_grad():
        for name, t in tensors.items():
            scale = 1.0 if "embedding" in name else 0.3 if t.dim() == 2 else 0.1
            t.normal_(0, scale)
            if "norm" in name and name.endswith("weight"):
                t += 1
        tokens = torch.randint(vocab, (positions,))

        def forward():
            x = tensors["token_embedding"][tokens] + tensors["position_embedding"]
            for layer in layers:
                x = layer(x)
            return final_norm(x) @ tensors["head"].T

        logits = forward()
    for name, t in tensors.items():
        save(folder, name, t)
    save(folder, "tokens", tokens)
    save(folder, "logits", logits)
    print("transformer: largest logit", logits.abs().max().item())


def train(model, x, labels, rate):
    """(losses before each step and after the last, the trained model)"""
    model = copy.deepcopy(model).train()
    losses = []
    for step in range(STEPS + 1):
        # the loss after the last step must not move the running statistics
        probe = copy.deepcopy(model) if step == STEPS else model
        loss = nn.functional.cross_entropy(probe(x), labels)
        losses.append(loss.item())
        if step == STEPS:
            return losses, model
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad


def export(model, x, path, mode):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17, training=mode, do_constant_folding=False,
                          input_names=["x"], output_names=["logits"])


def scatter_batch_norms(model):
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            with torch.no_grad():
                m.weight.uniform_(0.7, 1.3)
                m.bias.normal_(0, 0.2)
                m.running_mean.normal_(0, 0.2)
                m.running_var.uniform_(0.5, 1.5)


def training(out, name, model, x, classes, rate):
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    scatter_batch_norms(model)
    labels = (x.flatten(1) @ torch.randn(x[0].numel(), classes)).argmax(1)
    losses, trained = train(model, x, labels, rate)
    losses64, _ = train(copy.deepcopy(model).double(), x.double(), labels, rate)
    modes = torch.onnx.TrainingMode
    export(copy.deepcopy(model).eval(), x, os.path.join(folder, name + ".onnx"), modes.PRESERVE)
    if any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
        export(copy.deepcopy(model).train(), x, os.path.join(folder, name + "_training.onnx"), modes.TRAINING)
    with torch.no_grad():
        logits = trained.eval()(x)
    save(folder, "x", x)
    save(folder, "labels", labels)
    save(folder, "final_logits", logits)
    norms = {k: [float(v.double().norm()), float(v.double().sum())] for k, v in trained.state_dict().items()
             if v.is_floating_point()}
    with open(os.path.join(folder, "training.json"), "w", encoding="utf-8") as f:
        f.write(json_text({"rate": rate, "losses": losses, "losses_f64": losses64, "norms": norms,
                           "final_logits_absmax": float(logits.abs().max())}))
    print(name, "loss", losses[0], "->", losses[-1], "rounding",
          max(abs(a - b) for a, b in zip(losses, losses64)))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default=os.path.join(here, "golden", "spine"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    torch.manual_seed(20)
    transformer(out)
    mlp = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5))
    training(out, "mlp", mlp, torch.randn(64, 20), 5, 0.3)
    cnn = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4))
    training(out, "cnn", cnn, torch.randn(16, 2, 12, 12), 4, 0.2)


if __name__ == "__main__":
    main()
