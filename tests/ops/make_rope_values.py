#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes rope_values.h: frequencies by the functions of Hugging Face transformers, the turn by ONNX Runtime.

    python3 -m pip install numpy onnx onnxruntime && python3 -m pip download --no-deps transformers
    python3 -m zipfile -e transformers-*.whl x
    python3 tests/ops/make_rope_values.py x/transformers/modeling_rope_utils.py 5.24.0 > tests/ops/rope_values.h

The functions need PyTorch for a handful of calls; these are given by NumPy here, in f64. Inputs are those of values_test.cpp.
"""
import re
import sys
import types

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper


class Array(np.ndarray):
    def to(self, device=None, dtype=None):
        return self.astype(dtype or self.dtype)


def array(x):
    return np.asarray(x).view(Array)


torch = types.SimpleNamespace(arange=lambda *a, dtype=np.float64: array(np.arange(*a, dtype=dtype)), float=np.float64, float32=np.float64,
                              int64=np.int64, where=lambda c, a, b: array(np.where(c, a, b)), clamp=lambda x, a, b: array(np.clip(x, a, b)), Tensor=Array)
source = open(sys.argv[1]).read()
begin = source.index("def _compute_linear_scaling_rope_parameters")
space = {"torch": torch, "math": __import__("math"), "Optional": __import__("typing").Optional, "PreTrainedConfig": object}
exec(source[begin:source.index("ROPE_INIT_FUNCTIONS", begin)], space)


NAMES = {"linear": "linear_scaling_rope"}


class Config:
    def __init__(self, head_dim, positions, **parameters):
        self.head_dim = self.hidden_size = head_dim
        self.num_attention_heads, self.max_position_embeddings, self.rope_parameters = 1, positions, {"rope_theta": 10000.0, **parameters}

    def standardize_rope_params(self):
        pass


def frequencies(kind, dims, config, length):
    if kind == "none":
        return 10000.0 ** (-np.arange(0, dims, 2) / dims), 1.0
    return space[f"_compute_{NAMES.get(kind, kind)}_parameters"](config, "cpu", length)


def turn(x, cosines, sines, interleaved, dims):  # x [rows, heads, dim], a row of the tables for each row
    rows = x.shape[0]
    inputs = {"x": x.transpose(1, 0, 2)[None], "c": cosines.astype(np.float32), "s": sines.astype(np.float32), "p": np.arange(rows, dtype=np.int64)[None]}
    node = helper.make_node("RotaryEmbedding", list(inputs), ["y"], interleaved=interleaved, rotary_embedding_dim=dims if dims != x.shape[2] else 0)
    graph = helper.make_graph([node], "g", [], [onnx.ValueInfoProto(name="y")], [numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in inputs.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {})[0][0].transpose(1, 0, 2)


def pattern(shape):
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return ((7 * i % 11 - 5) / 4).astype(np.float32).reshape(shape)


print("// SPDX-License-Identifier: Apache-2.0")
print(f"// Made by make_rope_values.py with transformers {sys.argv[2] if len(sys.argv) > 2 else ''} and ONNX Runtime {onnxruntime.__version__}.")
print('#pragma once\n#include "values.h"\n\ninline const std::vector<ValueCase> kRopeValues = {')
positions = [0, 3, 900]
for kind, dim, dims, interleaved, length, text, parameters in [
        ("none", 8, 8, 0, 0, "", {}),
        ("none", 8, 8, 1, 0, "interleaved=1", {}),
        ("none", 10, 6, 0, 0, "dims=6", {"partial_rotary_factor": 0.6}),
        ("none", 10, 6, 1, 0, "dims=6 interleaved=1", {"partial_rotary_factor": 0.6}),
        ("linear", 8, 8, 0, 0, "scaling=linear factor=4", {"factor": 4.0}),
        ("dynamic_ntk", 8, 8, 0, 100, "scaling=dynamic_ntk factor=2 original_positions=100", {"factor": 2.0}),
        ("llama3", 32, 32, 0, 0, "scaling=llama3 base=500000 factor=8 original_positions=8192 low_freq_factor=1 high_freq_factor=4",
         {"rope_theta": 500000.0, "factor": 8.0, "original_max_position_embeddings": 8192, "low_freq_factor": 1.0, "high_freq_factor": 4.0}),
        ("yarn", 32, 32, 0, 0, "scaling=yarn factor=4 original_positions=2048", {"factor": 4.0, "original_max_position_embeddings": 2048}),
        ("yarn", 32, 32, 1, 0, "scaling=yarn factor=16 original_positions=640 attention_factor=0.9 beta_fast=8 beta_slow=2 interleaved=1",
         {"factor": 16.0, "original_max_position_embeddings": 640, "attention_factor": 0.9, "beta_fast": 8, "beta_slow": 2})]:
    config = Config(dim, length, **parameters)
    tables = []
    for p in positions:
        f, scale = frequencies(kind, dims, config, p + 1)
        tables.append((np.cos(p * np.asarray(f)) * scale, np.sin(p * np.asarray(f)) * scale))
    x = pattern((3, 2, dim))
    y = turn(x, np.stack([c for c, _ in tables]), np.stack([s for _, s in tables]), interleaved, dims)
    numbers = ", ".join(f"{v:.8g}" for v in y.ravel())
    print(f'    {{"rope", "f32[3,2,{dim}] i64[3]{{0,3,900}}", "{text}",\n     {{{numbers}}}}},')
print("};")
