# SPDX-License-Identifier: Apache-2.0
"""Losses of language models that transformers and PyTorch train.  training_goldens.py [--out golden/language]

Needs torch 2.13.0 and transformers 5.24.0. Reads the folders hf-NAME of language_goldens.py, as f32, and writes training.json.

One batch of 4 sequences: token j of sequence i is (7 j + 13 i + j j // (2 + i) + 3) mod vocab, 0 <= j <= 24. The first 24 are read,
the last 24 are the labels. 20 steps of AdamW (rate 1e-3, betas 0.9 and 0.999, epsilon 1e-8) lower the mean cross-entropy. The weight
decay is 0.01 for all that is trained, but 0 for gemma3: its files hold the scales of norms less one, which would decay to another
number.

training.json: {NAME: {CASE: {weight_decay, losses, ...}}}
  losses[k] = loss of step k before its update (21 values: the last is after the 20th update)
  full     all parameters
  lora     W x + alpha / rank * B (A x) for q and v of all layers, rank 4, alpha 8, with B = 0 at first and
           A[r][j] = ((37 r + 11 j + 5 r j + 17 layer + (0 for q, 9 for v)) mod 31 - 15) / 64; A and B are trained, nothing else
  ternary  all parameters; the projections of all layers are transformers' AutoBitLinear with online_quant: weights times
           s = 1 / max(mean |w|, 1e-5), rounded to -1, 0 or 1, divided by s; rows of what they read likewise to 8 bits; gradients pass
           both unchanged. Tern multiplies by max(mean |w|, 1e-5), and divides by it, instead: the same but for the last bit.
           Where something lies between two codes its last bit decides, and all steps behind see that. So the batch is another one, of
           2 sequences with j up to 8 and 6 instead of 3, in which nothing does: six runs whose weights begin multiplied by
           1 + 1e-7 times normal numbers give the same losses within 1e-5, and the same rounded weights
           changed: how many of the rounded weights are others than at first
           trits {PARAMETER: text}: the rounded weights after the 20th update, three a character, rows one after another:
             character 'A' + (w0 + 1) + 3 (w1 + 1) + 9 (w2 + 1), filled up with w = -1
"""
import argparse
import os

os.environ["TORCH_COMPILE_DISABLE"] = "1"
# The same order of sums on all processors: what is committed comes out again.
os.environ.update(ATEN_CPU_CAPABILITY="avx2", MKL_CBWR="COMPATIBLE", ONEDNN_MAX_CPU_ISA="SSE41", OMP_NUM_THREADS="1")
import torch
import transformers
from torch import nn
from transformers.integrations.bitnet import AutoBitLinear

from official_steps import json_text

STEPS, RANK, ALPHA = 20, 4, 8
BATCH, TERNARY_BATCH = (4, 24, 3), (2, 8, 6)  # sequences, tokens, what is added
CASES = {"llama-f32": ("full", "lora", "ternary"), "qwen3": ("full", "lora"), "gemma3": ("full", "lora")}


class Lora(nn.Module):
    def __init__(self, base, layer, shift):
        super().__init__()
        self.base = base
        a = [[((37 * r + 11 * j + 5 * r * j + 17 * layer + shift) % 31 - 15) / 64 for j in range(base.in_features)] for r in range(RANK)]
        self.a, self.b = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x):
        return self.base(x) + ALPHA / RANK * nn.functional.linear(nn.functional.linear(x, self.a), self.b)


def projections(model):
    """(parent, name there, Tern's name) of each"""
    for i, layer in enumerate(model.model.layers):
        for part in (layer.self_attn, layer.mlp):
            for name, _ in list(part.named_children()):
                if name.endswith("_proj"):
                    yield part, name, f"layers.{i}.{name.removesuffix('_proj')}"


def adapt(model):
    for p in model.parameters():
        p.requires_grad_(False)
    for i, layer in enumerate(model.model.layers):
        attention = layer.self_attn
        attention.q_proj, attention.v_proj = Lora(attention.q_proj, i, 0), Lora(attention.v_proj, i, 9)


def make_ternary(model):
    for parent, name, _ in projections(model):
        inner = getattr(parent, name)
        new = AutoBitLinear(inner.in_features, inner.out_features, False, online_quant=True)
        new.weight = inner.weight
        setattr(parent, name, new)


def trits(model):
    def rounded(w):
        return (w * (1.0 / w.abs().mean().clamp(min=1e-5))).round().clamp(-1, 1).int().flatten()

    with torch.no_grad():
        return {ours: rounded(getattr(parent, name).weight.float()) for parent, name, ours in projections(model)}


def text_of(codes):
    digits = (codes + 1).tolist()
    digits += [0] * (-len(digits) % 3)
    return "".join(chr(ord("A") + a + 3 * b + 9 * c) for a, b, c in zip(digits[::3], digits[1::3], digits[2::3]))


def batch(vocab, sequences, tokens, first):
    rows = [[(7 * j + 13 * i + j * j // (2 + i) + first) % vocab for j in range(tokens + 1)] for i in range(sequences)]
    rows = torch.tensor(rows)
    return rows[:, :-1], rows[:, 1:]


def train(model, decay, sizes=BATCH):
    tokens, labels = batch(model.config.vocab_size, *sizes)
    trained = [p for p in model.parameters() if p.requires_grad]
    rule = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay, foreach=False)
    losses = []
    for step in range(STEPS + 1):
        loss = nn.functional.cross_entropy(model(tokens).logits.flatten(0, 1), labels.flatten())
        losses.append(loss.item())
        if step < STEPS:
            rule.zero_grad()
            loss.backward()
            rule.step()
    return losses


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def apart(folder, seed, decay, losses, codes):
    torch.manual_seed(seed)
    model = load(folder)
    make_ternary(model)
    with torch.no_grad():
        for p in model.parameters():
            p *= 1 + 1e-7 * torch.randn_like(p)
    others = train(model.train(), decay, TERNARY_BATCH)
    after = trits(model)
    return [max(abs(a - b) / b for a, b in zip(others, losses)), sum(int((after[k] != codes[k]).sum()) for k in codes)]


def case(folder, name, kind):
    model = load(folder)
    if kind == "lora":
        adapt(model)
    elif kind == "ternary":
        make_ternary(model)
    before = trits(model) if kind == "ternary" else {}
    decay = 0.0 if name == "gemma3" else 0.01
    losses = train(model.train(), decay, TERNARY_BATCH if kind == "ternary" else BATCH)
    result = {"weight_decay": decay, "losses": losses}
    if before:
        after = trits(model)
        result["changed"] = sum(int((after[k] != before[k]).sum()) for k in before)
        result["trits"] = {k: text_of(v) for k, v in after.items()}
        for seed in range(1, 7):
            difference, others = apart(folder, seed, decay, losses, after)
            assert difference < 1e-5 and others == 0, "something lies between two codes: choose another batch"
    print(name, kind, "loss", losses[0], "->", losses[-1], "changed", result.get("changed"))
    return result


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(here, "golden", "language"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    results = {name: {kind: case(os.path.join(out, "hf-" + name), name, kind) for kind in kinds} for name, kinds in CASES.items()}
    with open(os.path.join(out, "training.json"), "w", encoding="utf-8") as f:
        f.write(json_text(results))


if __name__ == "__main__":
    main()
