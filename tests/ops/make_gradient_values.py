#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes gradient_values.h: gradients by PyTorch, in f64, of the operators whose gradient is an operator of its own.

    tests/setup golden && ~/.cache/tern/golden/bin/python tests/ops/make_gradient_values.py > tests/ops/gradient_values.h

Inputs and lines are as in make_values.py.
"""

import torch
from torch.nn import functional as F

cases = []


def pattern(shape, k):
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.int64)
    return (((7 * i + 3 * k) % 11 - 5).double() / 4).reshape(shape)


def add(op, shapes, attributes, results):
    text = " ".join(x if isinstance(x, str) else f"f32[{','.join(map(str, x))}]" for x in shapes)
    cases.append((op, text, attributes, torch.cat([r.reshape(-1) for r in results]).tolist()))


def gradients(y, dy, wrt):
    return torch.autograd.grad(y, wrt, dy)


def attention(q, k, v, attributes="", mask=None, **options):
    """q [batch, heads, tokens, dim], k and v of their own numbers of heads, tokens and dims."""
    inputs = [pattern(s, i).requires_grad_() for i, s in enumerate((q, k, v))]
    out = (*q[:3], v[3])
    shapes = [q, k, v, out] + ([mask] if mask else [])
    given = pattern(mask, 4) if mask else None
    y = F.scaled_dot_product_attention(*inputs, attn_mask=given, enable_gqa=q[1] != k[1], **options)
    add("attention_grad", shapes, attributes, gradients(y, pattern(out, 3), inputs))


attention((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 3))
attention((2, 1, 4, 3), (2, 1, 4, 3), (2, 1, 4, 3), "causal=1", is_causal=True)
attention((1, 4, 2, 3), (1, 2, 3, 3), (1, 2, 3, 2), "scale=0.3", scale=0.3)
attention((1, 2, 3, 2), (1, 2, 4, 2), (1, 2, 4, 2), mask=(3, 4))

for log, backward in ((0, torch._softmax_backward_data), (1, torch._log_softmax_backward_data)):
    for shape, axis in (((3, 5), 1), ((2, 3, 4), 1)):
        y, dy = pattern(shape, 0), pattern(shape, 1)
        add("softmax_grad", [shape, shape], f"axis={axis} log={log}", [backward(dy, y, axis, torch.float64)])

for shape in ((6, 3), (2, 3, 2, 4)):
    channels = shape[-1]
    x, scale, bias = pattern(shape, 0).requires_grad_(), pattern((channels,), 2).requires_grad_(), torch.zeros(channels).double().requires_grad_()
    y = F.batch_norm(x.reshape(-1, channels), None, None, scale, bias, training=True, eps=0.1)
    add("batch_norm_train_grad", [shape, shape, (channels,)], "epsilon=0.1", gradients(y, pattern(shape, 1).reshape(-1, channels), (x, scale, bias)))

x, scale, bias = pattern((4, 7), 0).requires_grad_(), pattern((7,), 2).requires_grad_(), torch.zeros(7).double().requires_grad_()
y = F.layer_norm(x, (7,), scale, bias, eps=0.1)
add("layer_norm_grad", [(4, 7), (4, 7), (7,)], "epsilon=0.1", gradients(y, pattern((4, 7), 1), (x, scale, bias)))

print("// SPDX-License-Identifier: Apache-2.0")
print(f"// Made by make_gradient_values.py with PyTorch {torch.__version__.split('+')[0]}.")
print('#pragma once\n#include "values.h"\n')
print("inline const std::vector<ValueCase> kGradientValues = {")
for op, text, attributes, values in cases:
    numbers = ", ".join(f"{v:.8g}" for v in values)
    print(f'    {{"{op}",\n     "{text}",\n     "{attributes}",\n     {{{numbers}}}}},')
print("};")
