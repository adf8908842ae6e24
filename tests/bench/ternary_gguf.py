# SPDX-License-Identifier: Apache-2.0
"""Writes a BitNet model of random ternary weights as GGUF, in the form that one runtime reads fastest; needs numpy only.

  ternary_gguf.py OUT.gguf --shape SHAPE --form FORM

SHAPE is 0.7b (bitnet_b1_58-large), 2b4t (BitNet b1.58 2B4T), 50mb, 500mb (about the size of the weights) or tiny. FORM is how the seven projections of a layer lie:

  i2_s    bitnet.cpp on x86-64, and tern import: 128 weights in 32 bytes, one scale for the tensor behind them
  iq2_bn  ik_llama.cpp: a scale in front of each row, then 64 weights in 16 bytes
  tq2_0   llama.cpp: 256 weights in 64 bytes and their scale

The weights are the same in all forms, and in all layers, which changes neither the size nor the speed. The table of embeddings is
the head, too, and has 8 bits in all forms (Q8_0).
"""
import argparse
import os
import struct

import numpy as np

SHAPES = {"0.7b": dict(hidden=1536, layers=24, heads=16, kv_heads=16, ffn=4096, vocab=32002, rope=1e4),
          "2b4t": dict(hidden=2560, layers=30, heads=20, kv_heads=5, ffn=6912, vocab=128256, rope=5e5),
          "50mb": dict(hidden=768, layers=12, heads=12, kv_heads=12, ffn=2048, vocab=32002, rope=1e4),
          "500mb": dict(hidden=2048, layers=32, heads=16, kv_heads=4, ffn=5504, vocab=65024, rope=5e5),
          "tiny": dict(hidden=512, layers=2, heads=4, kv_heads=2, ffn=1024, vocab=1024, rope=1e4)}
F32, Q8_0 = 0, 8  # types of tensors


def crumbs(codes):
    """Codes [..., 4, n] of two bits, the first of the four lowest, as bytes [..., n]."""
    return codes[..., 0, :] | codes[..., 1, :] << 2 | codes[..., 2, :] << 4 | codes[..., 3, :] << 6


def i2_s(codes, scale):
    return np.concatenate([crumbs(codes.reshape(-1, 4, 32)[:, ::-1]).ravel(), np.full(8, scale, "<f4").view(np.uint8)])


def iq2_bn(codes, scale):
    rows = crumbs(codes.reshape(len(codes), -1, 4, 16)).reshape(len(codes), -1)
    return np.hstack([np.broadcast_to(np.full(1, scale, "<f4").view(np.uint8), (len(rows), 4)), rows])


def tq2_0(codes, scale):
    blocks = crumbs(codes.reshape(-1, 2, 4, 32)).reshape(-1, 64)
    return np.hstack([blocks, np.broadcast_to(np.full(1, scale, "<f2").view(np.uint8), (len(blocks), 2))])


FORMS = {  # architecture, type of tensors, of files, how weights are packed
    "i2_s": ("bitnet-b1.58", 36, 40, i2_s), "iq2_bn": ("bitnet-b1.58", 135, 137, iq2_bn), "tq2_0": ("bitnet", 35, 37, tq2_0)}


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def value(v, whole=4):
    """What stands behind a key: the kind of value, then the value. Whole numbers have no sign but in lists, which are of one kind."""
    if isinstance(v, list):
        return struct.pack("<I", 9) + value(v[0], 5)[:4] + struct.pack("<Q", len(v)) + b"".join(value(x, 5)[4:] for x in v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    return struct.pack("<If", 6, v) if isinstance(v, float) else struct.pack("<Ii", whole, v)


def tensors(shape, type_, pack):
    """name, dims, innermost first, type, bytes."""
    hidden, ffn, kv = shape["hidden"], shape["ffn"], shape["hidden"] // shape["heads"] * shape["kv_heads"]
    rng = np.random.default_rng(1)
    table = np.hstack([np.broadcast_to(np.full(1, 1 / 127, "<f2").view(np.uint8), (shape["vocab"] * hidden // 32, 2)),
                       rng.integers(-127, 128, (shape["vocab"] * hidden // 32, 32), np.int8).view(np.uint8)])
    ones = lambda n: np.ones(n, "<f4")
    yield "token_embd.weight", (hidden, shape["vocab"]), Q8_0, table
    yield "output_norm.weight", (hidden,), F32, ones(hidden)
    projections = {"attn_q": (hidden, hidden), "attn_k": (kv, hidden), "attn_v": (kv, hidden), "attn_output": (hidden, hidden),
                   "ffn_gate": (ffn, hidden), "ffn_up": (ffn, hidden), "ffn_down": (hidden, ffn)}
    packed = {name: pack(rng.integers(0, 3, dims, np.uint8), 0.8 / dims[1] ** 0.5) for name, dims in projections.items()}
    for i in range(shape["layers"]):
        for name, n in ("attn_norm", hidden), ("attn_sub_norm", hidden), ("ffn_norm", hidden), ("ffn_sub_norm", ffn):
            yield f"blk.{i}.{name}.weight", (n,), F32, ones(n)
        for name, (rows, columns) in projections.items():
            yield f"blk.{i}.{name}.weight", (columns, rows), type_, packed[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--form", choices=FORMS, required=True)
    args = parser.parse_args()
    shape, (architecture, type_, file_type, pack) = SHAPES[args.shape], FORMS[args.form]
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    vocab = shape["vocab"]
    keys = {
        "general.architecture": architecture, "general.name": f"random {args.shape}", "general.file_type": file_type,
        "general.quantization_version": 2, "general.alignment": 32,
        **{f"{architecture}.{k}": v for k, v in {
            "context_length": 4096, "embedding_length": shape["hidden"], "block_count": shape["layers"],
            "feed_forward_length": shape["ffn"], "attention.head_count": shape["heads"], "attention.head_count_kv": shape["kv_heads"],
            "rope.dimension_count": shape["hidden"] // shape["heads"], "vocab_size": vocab,
            "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": shape["rope"]}.items()},
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": pieces + [f"t{i}" for i in range(len(pieces), vocab)],
        "tokenizer.ggml.scores": [-float(i) for i in range(vocab)],
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * (vocab - len(pieces)),
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0}
    table, data, at = b"", [], 0
    for name, dims, kind, body in tensors(shape, type_, pack):
        table += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, at)
        data.append(body)
        at += body.nbytes + -body.nbytes % 32
    head = b"GGUF" + struct.pack("<IQQ", 3, len(data), len(keys)) + b"".join(text(k) + value(v) for k, v in keys.items()) + table
    part = args.out + ".part"  # a file that is there is whole
    with open(part, "wb") as f:
        f.write(head + bytes(-len(head) % 32))
        for body in data:
            f.write(np.ascontiguousarray(body).tobytes() + bytes(-body.nbytes % 32))
    os.replace(part, args.out)


if __name__ == "__main__":
    main()
