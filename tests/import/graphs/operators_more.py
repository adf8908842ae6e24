# SPDX-License-Identifier: Apache-2.0
"""How operators of transformers, of sampling and of signals are drawn, and Scan."""
import numpy as np
from onnx import helper

from graph import FLOATS, ONNX_TYPES, Reject
from operators import nonempty, op, sometimes
from operators_control import inner_constant, steps, tensor_info
from operators_nn import picture

FEW = ("f32", "f16", "f64")


@op("Swish")
def swish(g, t):
    g.node("Swish", [g.take(t)], alpha=sometimes(g, 0.5, 2))


@op("CumProd", types=FLOATS + ("i32", "i64"))
def cumprod(g, t):
    x = g.take(t, rank=range(1, 5), low=-2, high=2)
    axis = g.choice([i for i, d in enumerate(x.dims) if len(set(d)) == 1])
    axis = g.constant(np.array(axis - x.rank if g.chance(0.4) else axis), g.choice(["i32", "i64"]))
    g.node("CumProd", [x, axis], exclusive=g.choice([None, 0, 1]), reverse=g.choice([None, 0, 1]))


@op("RMSNormalization", types=FEW)
def rms_norm(g, t):
    x = g.take(t, rank=range(1, 5), where=lambda v: nonempty(v) and len(set(v.dims[-1])) == 1)
    axis = g.choice([i for i in range(x.rank) if all(len(set(d)) == 1 for d in x.dims[i:])])
    scale = g.fresh(t, [d[0] for d in x.dims[axis:]])
    g.node("RMSNormalization", [x, scale], axis=axis - x.rank if g.chance(0.4) else axis, epsilon=sometimes(g, 1e-5, 1e-2))


@op("RotaryEmbedding", types=FEW)
def rotary(g, t):
    heads, size, batch = g.integer(1, 3), g.choice([2, 4, 8]), g.integer(1, 2)
    length = g.choice([1, 3, 5, *g.symbols])
    flat = g.chance(0.5)
    x = g.fresh(t, [batch, length, heads * size] if flat else [batch, heads, length, size], constant=False)
    turned = g.choice([d for d in (size, size // 2) if d % 2 == 0 and d])
    ids = g.chance(0.6)
    if ids:
        cos, sin = (g.fresh(t, [20, turned // 2], -1, 1, constant=True) for _ in range(2))
        position = g.fresh("i64", [batch, length], 0, 19, constant=False)
    else:
        cos, sin, position = g.fresh(t, [batch, length, turned // 2], -1, 1), g.fresh(t, [batch, length, turned // 2], -1, 1), None
    g.node("RotaryEmbedding", [x, cos, sin, position], interleaved=g.choice([None, 0, 1]), num_heads=heads if flat or g.chance(0.3) else None,
           rotary_embedding_dim=turned if turned != size else None)


@op("Attention", types=FEW)
def attention(g, t):
    batch, kv, size, value = g.integer(1, 2), g.integer(1, 2), g.choice([2, 4, 8]), g.choice([2, 4, 8])
    heads = kv * g.choice([1, 1, 2])
    rows, keys = g.choice([1, 3, 5, *g.symbols]), g.choice([2, 4, *g.symbols])
    flat = g.chance(0.4)
    shape = lambda n, h, d: [batch, n, h * d] if flat else [batch, h, n, d]
    inputs = [g.fresh(t, shape(rows, heads, size), constant=False), g.fresh(t, shape(keys, kv, size), constant=False), g.fresh(t, shape(keys, kv, value), constant=False)]
    a = {"scale": sometimes(g, 0.2, 1), "is_causal": g.choice([None, 0, 1]), "softcap": sometimes(g, 1, 5) if g.chance(0.3) else None}
    if flat:
        a.update(q_num_heads=heads, kv_num_heads=kv)
    if g.chance(0.4):
        inputs.append(g.fresh(t, g.choice([[rows, keys], [1, 1, rows, keys], [batch, heads, rows, keys]]), constant=False))
    g.node("Attention", inputs, **a)


@op("TensorScatter")
def tensor_scatter(g, t):
    batch, length, more = g.integer(1, 2), g.integer(3, 6), g.integer(1, 3)
    past = g.fresh(t, [batch, 2, length, 3], constant=False)
    update = g.fresh(t, [batch, 2, more, 3], constant=False)
    at = g.fresh("i64", [batch], 0, length - more) if g.chance(0.7) else None
    g.node("TensorScatter", [past, update, at], axis=g.choice([None, -2, 2]), mode=g.choice([None, "linear", "circular"]))


@op("LpPool", types=FEW)
def lp_pool(g, t):
    x = picture(g, t, least=3)
    kernel = [g.choice([1, 2, 3]) for _ in range(x.rank - 2)]
    g.node("LpPool", [x], kernel_shape=kernel, p=g.choice([None, 1, 2, 3]), strides=[g.choice([1, 2]) for _ in kernel] if g.chance(0.6) else None)


@op("GlobalLpPool", types=FEW)
def global_lp_pool(g, t):
    # Powers of halves overflow in the type itself.
    x = picture(g, t, low=-5, high=5) if t == "f16" else picture(g, t)
    g.node("GlobalLpPool", [x], p=g.choice([None, 1, 2, 3]))


@op("MaxUnpool", types=FEW, oldest=9)
def max_unpool(g, t):
    x = g.fresh(t, [1, g.integer(1, 2), 4, 4], constant=False)
    values, at = g.node("MaxPool", [x], 2, kernel_shape=[2, 2], strides=[2, 2])
    g.node("MaxUnpool", [values, at], kernel_shape=[2, 2], strides=[2, 2])


@op("GridSample", types=("f32", "f16"), oldest=16)
def grid_sample(g, t):
    x = picture(g, t, 2, least=2)
    batch = g.label(x.dims[0])
    if batch is None:
        raise Reject("a batch that no input can have")
    grid = g.fresh(t, [batch, g.integer(1, 4), g.integer(1, 4), 2], -1.3, 1.3)
    modes = ["bilinear", "nearest", "bicubic"] if g.opset < 20 else ["linear", "nearest", "cubic"]
    mode = g.choice([None] + modes)
    # Of cubic the evaluator is wrong beyond the border.
    padding = g.choice([None, "zeros"] + ["border", "reflection"] * (mode not in ("bicubic", "cubic")))
    g.node("GridSample", [x, grid], mode=mode, padding_mode=padding, align_corners=g.choice([None, 0, 1]))


@op("AffineGrid", types=("f32",))
def affine_grid(g, t):
    batch = g.integer(1, 2)
    deep = g.chance(0.3)
    theta = g.fresh(t, [batch, 3, 4] if deep else [batch, 2, 3], -1, 1)
    size = g.ints([batch, 1] + [g.integer(1, 4) for _ in range(3 if deep else 2)])
    g.node("AffineGrid", [theta, size], align_corners=g.choice([None, 0, 1]))


@op("CenterCropPad")
def center_crop_pad(g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    axes = sorted(g.rng.choice(x.rank, g.integer(1, x.rank), replace=False).tolist()) if g.chance(0.5) else None
    g.node("CenterCropPad", [x, g.ints([g.integer(1, 8) for _ in (axes or range(x.rank))])], axes=axes)


@op("Col2Im", types=FEW)
def col2im(g, t):
    size, block = [g.integer(3, 5), g.integer(3, 5)], [g.integer(1, 3), g.integer(1, 2)]
    strides, pads = [g.choice([1, 2]), 1], [g.choice([0, 1])] * 4
    places = [(s + 2 * pads[0] - b) // k + 1 for s, b, k in zip(size, block, strides)]
    x = g.fresh(t, [g.integer(1, 2), g.integer(1, 2) * block[0] * block[1], places[0] * places[1]], constant=False)
    g.node("Col2Im", [x, g.ints(size), g.ints(block)], strides=strides, pads=pads)


@op("DFT", types=("f32", "f64"), oldest=17)
def dft(g, t):
    complex_ = g.chance(0.4)
    x = g.fresh(t, [g.integer(1, 2), g.choice([4, 5, 8]), g.integer(2, 4), 2 if complex_ else 1], constant=False)
    one_sided = 1 if not complex_ and g.chance(0.4) else g.choice([None, 0])
    inverse = 1 if complex_ and g.chance(0.5) else None
    axis = g.integer(1, 2)
    length = g.constant(np.array(g.choice([4, 6, 8]), np.int64)) if g.chance(0.3) else None
    if g.opset < 20:
        g.node("DFT", [x, length], axis=axis, inverse=inverse, onesided=one_sided)
    else:
        g.node("DFT", [x, length, g.constant(np.array(axis, np.int64))], inverse=inverse, onesided=one_sided)


@op("STFT", types=("f32", "f64"), oldest=17)
def stft(g, t):
    x = g.fresh(t, [g.integer(1, 2), 24, 1], constant=False)
    frame = g.choice([4, 8])
    window = g.fresh(t, [frame], 0.2, 1, constant=True) if g.chance(0.6) else None
    g.node("STFT", [x, g.constant(np.array(g.choice([2, 4]), np.int64)), window, g.constant(np.array(frame, np.int64))], onesided=g.choice([None, 0, 1]))


@op("MelWeightMatrix", types=("i32", "i64"), oldest=17)
def mel(g, t):
    one = lambda v, type: g.constant(np.array(v), type)
    g.node("MelWeightMatrix", [one(g.integer(4, 8), t), one(g.choice([16, 32]), t), one(8000, t), one(0.0, "f32"), one(4000.0, "f32")])


@op("Scan", types=("f32", "f64"), oldest=9)
def scan(g, t):
    length, width = g.choice([3, 5, *g.symbols]), g.integer(1, 4)
    rows = g.fresh(t, [length, width], constant=False)
    start = g.fresh(t, [width], constant=False)
    nodes, state, row = [], g.name("s"), g.name("r")
    half = inner_constant(g, nodes, np.array(0.5, start.x[0].dtype))
    out = steps(g, nodes, state, [state, row], g.integer(1, 3))
    end, seen = g.name("b"), g.name("b")
    nodes.append(helper.make_node("Mul", [out, half], [end]))
    nodes.append(helper.make_node("Add", [end, row], [seen]))
    body = helper.make_graph(nodes, "body", [tensor_info(g, state, t), tensor_info(g, row, t)], [tensor_info(g, end, t), tensor_info(g, seen, t)])
    g.node("Scan", [start, rows], 2, body=body, num_scan_inputs=1, scan_input_directions=[1] if g.chance(0.3) else None,
           scan_output_directions=[1] if g.chance(0.3) else None)


@op("RoiAlign", types=FEW, oldest=16)
def roi_align(g, t):
    x = g.fresh(t, [g.integer(1, 2), g.integer(1, 3), g.integer(5, 9), g.integer(5, 9)], constant=False)
    count = g.integer(1, 3)
    corner = g.rng.uniform(0, 3, (count, 2))
    boxes = np.concatenate([corner, corner + g.rng.uniform(1, 4, (count, 2))], 1)
    image = g.rng.integers(0, x.dims[0][0], count).astype(np.int64)
    mode = g.choice([None, "avg", "max"])
    g.node("RoiAlign", [x, g.constant(boxes, t), g.constant(image)], mode=mode, output_height=g.integer(1, 3), output_width=g.integer(1, 3), sampling_ratio=g.integer(1, 2),
           spatial_scale=g.choice([None, 1.0, 0.5]), coordinate_transformation_mode=g.choice([None, "half_pixel", "output_half_pixel"]))


@op("Det", types=FEW, oldest=11)
def det(g, t):
    n = g.integer(1, 4)
    g.node("Det", [g.fresh(t, g.random_dims(g.integer(0, 1), 4) + [n, n], constant=False)])
