# SPDX-License-Identifier: Apache-2.0
"""How operators of networks are drawn: windows, normalisations, pictures, quantised and recurrent ones, losses."""
import numpy as np
import onnx

from graph import FLOATS, INTEGERS, ONNX_TYPES, Reject
from operators import NUMERIC, nonempty, op, some_axes, sometimes, ALL

SMALL = 700  # most elements of a picture


def picture(g, t, spatial=None, least=1, low=None, high=None, where=None):
    """[N, C, spatial...]; each spatial dim at least `least`, the number of channels fixed."""
    spatial = spatial or g.choice([1, 2, 2, 2])
    good = lambda v: (v.elements <= SMALL and len(set(v.dims[1])) == 1 and 1 <= v.dims[1][0] <= 8 and min(v.dims[0]) >= 1
                      and all(min(d) >= least for d in v.dims[2:]) and (where is None or where(v)))
    if g.chance(0.7):
        return g.take(t, rank=2 + spatial, low=low, high=high, where=good)
    dims = [g.choice([1, 1, 2, *list(g.symbols)[:1]]), g.choice([1, 2, 3, 4, 6])]
    for _ in range(spatial):
        names = [n for n, sizes in g.symbols.items() if min(sizes) >= least]
        dims.append(g.choice(names) if names and g.chance(0.6) else g.integer(max(least, 3), max(least, 8)))
    if max(np.prod([g.size_of(d, r) for d in dims]) for r in range(g.runs)) > SMALL:
        dims[0], dims[1] = 1, min(dims[1], 2)
    v = g.fresh(t, dims, low, high)
    if not good(v):
        raise Reject("a picture that is too small")
    return v


def window(g, x, kernel, pool=False, dilates=True):
    """strides, pads, dilations, auto_pad of a window over x that fits everywhere."""
    spatial = len(kernel)
    a = {}
    dilations = [1] * spatial
    if g.chance(0.5):
        a["strides"] = [g.choice([1, 1, 2, 3]) for _ in range(spatial)]
    if dilates and g.chance(0.25):
        dilations = a["dilations"] = [g.choice([1, 2]) for _ in range(spatial)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    kind = g.choice(["none", "pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
    pads = [0] * (2 * spatial)
    if kind == "pads":
        pads = a["pads"] = [g.integer(0, (min(k - 1, 2) if pool else 2)) for k in kernel * 2]
    elif kind in ("SAME_UPPER", "SAME_LOWER"):
        a["auto_pad"] = kind
        return a
    elif kind != "none":
        a["auto_pad"] = kind
    for i in range(spatial):
        if min(x.dims[2 + i]) + pads[i] + pads[i + spatial] < reach[i]:
            raise Reject("a window larger than the picture")
    return a


@op("Conv")
def conv(g, t):
    x = picture(g, t)
    spatial, channels = x.rank - 2, x.dims[1][0]
    kernel = [g.choice([1, 2, 3]) for _ in range(spatial)]
    group = g.choice([k for k in range(1, channels + 1) if channels % k == 0]) if g.chance(0.4) else 1
    outputs = group * g.integer(1, 4)
    w = g.fresh(t, [outputs, channels // group] + kernel, constant=g.chance(0.9))
    b = g.fresh(t, [outputs], constant=g.chance(0.9)) if g.chance(0.6) else None
    g.node("Conv", [x, w, b], group=group if group > 1 or g.chance(0.2) else None, kernel_shape=kernel if g.chance(0.6) else None, **window(g, x, kernel))


@op("ConvTranspose")
def conv_transpose(g, t):
    x = picture(g, t, least=2)
    spatial, channels = x.rank - 2, x.dims[1][0]
    kernel = [g.choice([1, 2, 3, 4]) for _ in range(spatial)]
    group = g.choice([k for k in range(1, channels + 1) if channels % k == 0]) if g.chance(0.3) else 1
    outputs = group * g.integer(1, 3)
    w = g.fresh(t, [channels, outputs // group] + kernel, constant=g.chance(0.9))
    b = g.fresh(t, [outputs]) if g.chance(0.5) else None
    a = {"strides": [g.choice([1, 2, 3]) for _ in range(spatial)]} if g.chance(0.7) else {}
    strides = a.get("strides", [1] * spatial)
    if g.chance(0.2):
        a["dilations"] = [g.choice([1, 2]) for _ in range(spatial)]
    kind = g.choice(["none", "pads", "output_padding", "SAME_UPPER", "SAME_LOWER", "output_shape"])
    if kind in ("pads", "output_padding"):
        a["pads"] = [g.integer(0, min(1, k - 1)) for k in kernel * 2]
    if kind == "output_padding":
        a["output_padding"] = [g.integer(0, s - 1) for s in strides]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, a.get("dilations", [1] * spatial))]
    if kind.startswith("SAME") or kind == "output_shape":
        # Where nothing covers a place, runtimes differ in which end it stands at.
        if any(r < s + 1 for r, s in zip(reach, strides)):
            raise Reject("a kernel that leaves gaps")
    if kind.startswith("SAME"):
        a["auto_pad"] = kind
    if kind == "output_shape":
        if any(len(set(d)) > 1 for d in x.dims[2:]):
            raise Reject("a fixed output of a varying input")
        a["output_shape"] = [d[0] * s + g.integer(0, 1) for d, s in zip(x.dims[2:], strides)]
    g.node("ConvTranspose", [x, w, b], group=group if group > 1 else None, kernel_shape=kernel if g.chance(0.6) else None, **a)


@op("MaxPool", "AveragePool")
def pool(name, g, t):
    x = picture(g, t, least=2)
    kernel = [g.choice([1, 2, 3]) for _ in range(x.rank - 2)]
    dilates = g.opset >= (10 if name == "MaxPool" else 19)
    a = window(g, x, kernel, pool=True, dilates=dilates)
    if g.opset >= 10 and g.chance(0.4):
        a["ceil_mode"] = g.choice([0, 1])
    if name == "AveragePool" and g.chance(0.5):
        a["count_include_pad"] = g.choice([0, 1])
    g.node(name, [x], kernel_shape=kernel, **a)


@op("GlobalAveragePool", "GlobalMaxPool")
def global_pool(name, g, t):
    g.node(name, [picture(g, t)])


@op("BatchNormalization", oldest=9)
def batch_norm(g, t):
    x = g.take(t, rank=range(2, 5), where=lambda v: nonempty(v) and len(set(v.dims[1])) == 1)
    c = x.dims[1][0]
    scale, bias, mean = (g.fresh(t, [c], constant=g.chance(0.85)) for _ in range(3))
    var = g.fresh(t, [c], 0.2, 3, constant=g.chance(0.85))
    a = {"epsilon": sometimes(g, 1e-5, 1e-2)}
    if g.opset >= 14 and g.chance(0.25):
        g.node("BatchNormalization", [x, scale, bias, mean, var], g.choice([1, 3]), training_mode=1, momentum=sometimes(g, 0.1, 0.9), **a)
    else:
        g.node("BatchNormalization", [x, scale, bias, mean, var], **a)


@op("InstanceNormalization")
def instance_norm(g, t):
    x = picture(g, t, least=2)
    c = x.dims[1][0]
    g.node("InstanceNormalization", [x, g.fresh(t, [c]), g.fresh(t, [c])], epsilon=sometimes(g, 1e-5, 1e-2))


@op("GroupNormalization", oldest=21)
def group_norm(g, t):
    x = picture(g, t, least=2, where=lambda v: v.dims[1][0] > 1)
    c = x.dims[1][0]
    groups = g.choice([k for k in range(1, c + 1) if c % k == 0])
    g.node("GroupNormalization", [x, g.fresh(t, [c]), g.fresh(t, [c])], num_groups=groups, epsilon=sometimes(g, 1e-5, 1e-2))


@op("LayerNormalization")
def layer_norm(g, t):
    x = g.take(t, rank=range(1, 5), where=lambda v: nonempty(v) and len(set(v.dims[-1])) == 1 and v.dims[-1][0] > 2)
    axis = g.choice([i for i in range(x.rank) if all(len(set(d)) == 1 for d in x.dims[i:])])
    shape = [d[0] for d in x.dims[axis:]]
    inputs = [x, g.fresh(t, shape)] + ([g.fresh(t, shape)] if g.chance(0.6) else [])
    g.node("LayerNormalization", inputs, g.choice([1, 1, 1, 2, 3]) if t in ("f32",) else 1, axis=axis - x.rank if g.chance(0.4) else axis, epsilon=sometimes(g, 1e-5, 1e-2))


@op("MeanVarianceNormalization", oldest=9)
def mean_variance_norm(g, t):
    x = g.take(t, rank=4, where=nonempty)
    g.node("MeanVarianceNormalization", [x], axes=sorted(g.rng.choice(4, g.integer(1, 4), replace=False).tolist()) if g.chance(0.6) else None)


@op("LRN")
def lrn(g, t):
    x = picture(g, t, 2)
    g.node("LRN", [x], size=g.choice([1, 2, 3, 5]), alpha=sometimes(g, 1e-4, 0.1), beta=sometimes(g, 0.5, 1), bias=sometimes(g, 0.5, 2))


@op("LpNormalization")
def lp_norm(g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    g.node("LpNormalization", [x], axis=g.integer(0, x.rank - 1) if g.chance(0.7) else None, p=g.choice([None, 1, 2]))


@op("Dropout")
def dropout(g, t):
    x = g.take(t)
    if g.opset < 12:
        g.node("Dropout", [x], ratio=sometimes(g, 0.1, 0.9))
        return
    ratio = g.constant(np.array(0.3, np.float32)) if g.chance(0.4) else None
    training = g.constant(np.array(False)) if g.chance(0.4) else None
    g.node("Dropout", [x, ratio, training], g.choice([1, 1, 2]))


# ---- sizes of pictures ----------------------------------------------------------------------------------------------


@op("Resize", types=FLOATS, oldest=10)
def resize(g, t):
    x = picture(g, t)
    spatial = x.rank - 2
    mode = g.choice(["nearest", "linear", "cubic"] if g.opset >= 11 and spatial == 2 else ["nearest", "linear"])
    if mode == "cubic" and t not in FLOATS:
        raise Reject("cubic of integers")
    scale = [g.choice([1.0, 2.0, 0.5, 1.5, 3.0, 0.75]) for _ in range(spatial)]
    fixed = all(len(set(d)) == 1 for d in x.dims)
    if any(int(min(d) * s) < 2 for d, s in zip(x.dims[2:], scale)):
        raise Reject("nothing is left")
    if g.opset == 10:
        g.node("Resize", [x, g.constant(np.array([1.0, 1.0] + scale, np.float32))], mode=mode)
        return
    a = {"mode": mode if mode != "nearest" or g.chance(0.5) else None}
    coordinates = g.choice([None, "half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"] + (["half_pixel_symmetric"] if g.opset >= 19 else []))
    if mode == "nearest" and g.opset < 13 and g.chance(0.1):
        coordinates = "tf_half_pixel_for_nn"
    a["coordinate_transformation_mode"] = coordinates
    if mode == "nearest":
        a["nearest_mode"] = g.choice([None, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    if mode == "cubic":
        a["cubic_coeff_a"] = sometimes(g, -1, -0.3)
        a["exclude_outside"] = g.choice([None, 0, 1])
    roi = None if g.opset >= 13 else g.constant(np.zeros(0, np.float32))
    by_axes = g.opset >= 18 and g.chance(0.3)
    if by_axes:
        a["axes"] = list(range(2, x.rank)) if g.chance(0.7) else list(range(-spatial, 0))
    if g.chance(0.5):
        scales = g.constant(np.array(([] if by_axes else [1.0, 1.0]) + scale, np.float32))
        g.node("Resize", [x, roi, scales], **a)
        return
    empty = None if g.opset >= 13 else g.constant(np.zeros(0, np.float32))
    if fixed:
        # To one pixel the evaluator and runtimes differ in "pytorch_half_pixel", which the format says is 0.
        sizes = [g.integer(2 if coordinates == "pytorch_half_pixel" else 1, 10) for _ in range(spatial)]
        sizes = g.ints(sizes if by_axes else [x.dims[0][0], x.dims[1][0]] + sizes)
    else:
        if by_axes:
            raise Reject("axes with computed sizes")
        # What exporters write: the first two dims of the shape, and the others times a factor.
        shape = g.node("Shape", [x])[0]
        front = g.node("Slice", [shape, g.ints([0]), g.ints([2]), g.ints([0])])[0]
        back = g.node("Slice", [shape, g.ints([2]), g.ints([2 + spatial]), g.ints([0])])[0]
        back = g.node("Mul", [back, g.ints([2])])[0] if g.chance(0.7) else g.ints([g.integer(2, 9) for _ in range(spatial)])
        sizes = g.node("Concat", [front, back], axis=0)[0]
    g.node("Resize", [x, roi, empty, sizes], **a)


@op("Upsample", types=FLOATS)
def upsample(g, t):
    x = picture(g, t, 2)
    scale = [1.0, 1.0, g.choice([1.0, 2.0, 3.0]), g.choice([1.0, 2.0, 1.5])]
    mode = g.choice([None, "nearest", "linear"])
    if g.opset < 9:
        g.node("Upsample", [x], scales=scale, mode=mode)
    else:
        g.node("Upsample", [x, g.constant(np.array(scale, np.float32))], mode=mode)


@op("DepthToSpace", "SpaceToDepth")
def depth(name, g, t):
    b = g.choice([1, 2, 2, 3])
    if name == "DepthToSpace":
        x = g.take(t, rank=4, where=lambda v: v.elements < 2000 and len(set(v.dims[1])) == 1 and v.dims[1][0] % (b * b) == 0)
        g.node(name, [x], blocksize=b, mode=g.choice([None, "DCR", "CRD"]) if g.opset >= 11 else None)
    else:
        x = g.take(t, rank=4, where=lambda v: v.elements < 2000 and all(s % b == 0 for d in v.dims[2:] for s in d))
        g.node(name, [x], blocksize=b)


# ---- quantised ------------------------------------------------------------------------------------------------------


def zero_and_scale(g, q, count=None, float_type="f32"):
    """Zero point of type q and scale: one, or one for each of `count` channels."""
    shape = () if count is None else (count,)
    low, high = {"u8": (100, 150), "i8": (-20, 20), "u16": (30000, 32000), "i16": (-500, 500)}.get(q, (0, 0))
    zero = g.constant(g.rng.integers(low, high + 1, shape), q)
    scale = g.constant(g.rng.uniform(0.02, 0.1, shape), float_type)
    return zero, scale


@op("QuantizeLinear", oldest=10)
def quantize(g, t):
    q = g.choice(["u8", "i8"])
    x = g.take(t, where=nonempty)
    channels = [i for i, d in enumerate(x.dims) if len(set(d)) == 1]
    axis = None
    if g.opset >= 13 and channels and g.chance(0.4):
        axis = g.choice(channels)
    zero, scale = zero_and_scale(g, q, x.dims[axis][0] if axis is not None else None, "f32" if t == "i32" or g.opset < 19 else t)
    a = {}
    if axis is not None and axis != 1:
        a["axis"] = axis - x.rank if g.chance(0.3) else axis
    g.node("QuantizeLinear", [x, scale, None if q == "u8" and g.chance(0.2) else zero], **a)


@op("DequantizeLinear", oldest=10)
def dequantize(g, t):
    x = g.take(t, where=nonempty)
    channels = [i for i, d in enumerate(x.dims) if len(set(d)) == 1]
    axis = g.choice(channels) if g.opset >= 13 and channels and g.chance(0.4) else None
    zero, scale = zero_and_scale(g, t, x.dims[axis][0] if axis is not None else None, g.choice(["f32", "f16"]) if g.opset >= 19 else "f32")
    a = {} if axis is None or axis == 1 else {"axis": axis - x.rank if g.chance(0.3) else axis}
    g.node("DequantizeLinear", [x, scale, None if g.chance(0.2) or t == "i32" else zero], **a)


@op("DynamicQuantizeLinear", oldest=11)
def dynamic_quantize(g, t):
    g.node("DynamicQuantizeLinear", [g.take("f32", where=lambda v: nonempty(v) and all(x.any() for x in v.x))], 3)  # of zeros the scale is anybody's


def codes(g, q, dims, constant=None):
    low, high = {"u8": (0, 255), "i8": (-128, 127)}[q]
    return g.fresh(q, dims, low, high, constant=constant)


@op("MatMulInteger", oldest=10)
def matmul_integer(g, t):
    inner, other = g.choice([2, 3, 8, 40]), g.choice(["u8", "i8"])
    x = codes(g, t, g.random_dims(g.integer(1, 2)) + [inner], constant=False)
    n = g.integer(1, 6)
    w = codes(g, other, [inner, n])
    inputs = [x, w]
    if g.chance(0.6):
        inputs += [zero_and_scale(g, t)[0] if g.chance(0.7) else None, zero_and_scale(g, other, n if g.chance(0.4) else None)[0] if g.chance(0.7) else None]
    g.node("MatMulInteger", inputs)


@op("QLinearMatMul", types=("u8", "i8"), oldest=10)
def qlinear_matmul(g, t):
    inner, other, out = g.choice([2, 3, 8]), g.choice(["u8", "i8"]), g.choice(["u8", "i8"])
    x = codes(g, t, g.random_dims(1) + [inner], constant=False)
    n = g.integer(1, 6)
    w = codes(g, other, [inner, n])
    (az, a), (bz, b) = zero_and_scale(g, t), zero_and_scale(g, other)
    yz, y = zero_and_scale(g, out)[0], g.constant(np.array(g.rng.uniform(0.3, 2)), "f32")
    g.node("QLinearMatMul", [x, a, az, w, b, bz, y, yz])


def integer_window(g, x, kernel):
    a = window(g, x, kernel)
    if g.chance(0.5):
        a["kernel_shape"] = kernel
    return a


@op("ConvInteger", oldest=10)
def conv_integer(g, t):
    c, group = g.choice([1, 2, 4]), 1
    x = codes(g, t, [1, c, g.choice([4, 5, *g.symbols]), g.choice([3, 6])], constant=False)
    if min(min(d) for d in x.dims) < 3 and c != 1:
        raise Reject("a small picture")
    if g.chance(0.3):
        group = c
    other, kernel = g.choice(["u8", "i8"]), [g.choice([1, 2, 3]), g.choice([1, 3])]
    outputs = group * g.integer(1, 3)
    w = codes(g, other, [outputs, c // group] + kernel)
    inputs = [x, w]
    if g.chance(0.6):
        inputs += [zero_and_scale(g, t)[0] if g.chance(0.8) else None, zero_and_scale(g, other)[0] if g.chance(0.6) else None]
    g.node("ConvInteger", inputs, group=group if group > 1 else None, **integer_window(g, x, kernel))


@op("QLinearConv", types=("u8", "i8"), oldest=10)
def qlinear_conv(g, t):
    c, group = g.choice([1, 2, 4]), 1
    x = codes(g, t, [1, c, g.choice([4, 5, *g.symbols]), g.choice([3, 6])], constant=False)
    if g.chance(0.3):
        group = c
    w_type, kernel = g.choice(["u8", "i8"]), [g.choice([1, 2, 3]), g.choice([1, 3])]
    outputs = group * g.integer(1, 3)
    w = codes(g, w_type, [outputs, c // group] + kernel)
    xz, xs = zero_and_scale(g, t)
    wz, ws = zero_and_scale(g, w_type, outputs if g.chance(0.5) else None)
    yz, ys = zero_and_scale(g, t)[0], g.constant(np.array(g.rng.uniform(0.3, 2)), "f32")
    b = g.constant(g.rng.integers(-500, 500, outputs), "i32") if g.chance(0.5) else None
    g.node("QLinearConv", [x, xs, xz, w, ws, wz, ys, yz, b], group=group if group > 1 else None, **integer_window(g, x, kernel))


# ---- losses ---------------------------------------------------------------------------------------------------------


@op("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", oldest=12)
def loss(name, g, t):
    x = g.take(t, rank=range(2, 5), where=lambda v: nonempty(v) and len(set(v.dims[1])) == 1 and all(g.label(d) is not None for d in v.dims))
    c = x.dims[1][0]
    dims = [g.label(d) for i, d in enumerate(x.dims) if i != 1]
    target = g.fresh(g.choice(["i32", "i64"]), dims, 0, c - 1)
    a = {"reduction": g.choice([None, "none", "sum", "mean"]), "ignore_index": g.integer(0, c - 1) if g.chance(0.3) else None}
    weight = g.fresh(t, [c], 0.2, 2) if g.chance(0.4) else None
    if a["ignore_index"] is not None and a["reduction"] in (None, "mean"):
        for run in range(g.runs):
            if (target.x[run] == a["ignore_index"]).all():
                raise Reject("nothing counts")
    g.node(name, [x, target, weight], 2 if name[0] == "S" and g.chance(0.4) else 1, **a)


# ---- recurrent ------------------------------------------------------------------------------------------------------


@op("LSTM", "GRU", "RNN")
def recurrent(name, g, t):
    gates, states = {"LSTM": (4, 2), "GRU": (3, 1), "RNN": (1, 1)}[name]
    batch_first = g.opset >= 14 and g.chance(0.3)
    x = g.take(t, rank=3, where=lambda v: nonempty(v) and v.elements < 1500 and len(set(v.dims[2])) == 1 and v.dims[2][0] < 9 and all(g.label(d) is not None for d in v.dims))
    n, features, hidden = g.label(x.dims[0 if batch_first else 1]), x.dims[2][0], g.integer(1, 5)
    direction = g.choice([None, "forward", "reverse", "bidirectional"])
    d = 2 if direction == "bidirectional" else 1
    small = lambda dims, constant=None: g.fresh(t, dims, -0.6, 0.6, constant=constant)
    inputs = [x, small([d, gates * hidden, features], g.chance(0.9)), small([d, gates * hidden, hidden], g.chance(0.9))]
    inputs.append(small([d, 2 * gates * hidden], g.chance(0.9)) if g.chance(0.6) else None)
    length = x.dims[1 if batch_first else 0]
    lengths = None
    if g.chance(0.25):
        lengths = g.fresh("i32", [n], 1, min(length), constant=False)
    inputs.append(lengths)
    for _ in range(states):
        inputs.append(small([n, d, hidden] if batch_first else [d, n, hidden], False) if g.chance(0.4) else None)
    if name == "LSTM":
        inputs.append(small([d, 3 * hidden], True) if g.chance(0.3) else None)
    a = {"hidden_size": hidden, "direction": direction, "clip": sometimes(g, 0.5, 2) if g.chance(0.3) else None}
    if batch_first:
        a["layout"] = 1
    if name == "GRU":
        a["linear_before_reset"] = g.choice([None, 0, 1])
    if name == "LSTM":
        a["input_forget"] = g.choice([None, 0, 0, 1]) if g.chance(0.3) else None
    if g.chance(0.3):
        each = {"LSTM": 3, "GRU": 2, "RNN": 1}[name]
        # "LeakyRelu" and others have parameters, which the reference and the runtimes fill in differently when they lack.
        a["activations"] = [g.choice(["Tanh", "Sigmoid", "Relu", "Softsign"]) for _ in range(each * d)]
    wanted = [g.chance(0.85)] + [g.chance(0.5) for _ in range(states)]
    if not any(wanted):
        wanted[0] = True
    while not wanted[-1]:
        wanted.pop()
    g.node(name, inputs, ["y" if w else "" for w in wanted], **a)
