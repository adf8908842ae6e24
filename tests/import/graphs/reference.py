# SPDX-License-Identifier: Apache-2.0
"""The reference for one node: ONNX's own evaluator, and our own words where it is known to be wrong."""
import math

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


erf = np.vectorize(math.erf, otypes=[np.float64])


class Refused(Exception):
    """The evaluator cannot be trusted with this node."""


def widened(graph):
    """A sub-graph whose constants are f64 where they are floats of another type."""
    graph = type(graph).FromString(graph.SerializeToString())
    for node in graph.node:
        for a in node.attribute:
            if node.op_type == "Constant" and a.t.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16):
                a.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(a.t).astype(np.float64), a.t.name))
            elif a.HasField("g"):
                a.g.CopyFrom(widened(a.g))
    return graph


def with_wide_bodies(proto):
    proto = type(proto).FromString(proto.SerializeToString())
    for a in proto.attribute:
        if a.HasField("g"):
            a.g.CopyFrom(widened(a.g))
    return proto


class Evaluator:
    def __init__(self, proto, names, opset):
        self.proto, self.names, self.opset = proto, names, opset
        self.own = OWN.get(proto.op_type, (None, None))[1]
        if proto.op_type == "Loop":
            self.loop = Loop(proto, names, opset)
        elif self.own is None:
            self.session = session(proto, names, opset)

    def run(self, arrays):
        if self.proto.op_type == "Loop":
            return self.loop.run(arrays)
        if self.own is not None:
            by_name = dict(zip(self.names, arrays))
            inputs = [by_name.get(n) for n in self.proto.input]
            return self.own(inputs, {a.name: helper.get_attribute_value(a) for a in self.proto.attribute}, self.opset, len(self.proto.output))
        return self.session.run(None, dict(zip(self.names, arrays)))


def session(proto, names, opset):
    # The evaluator does not look at the declared types of a graph's inputs.
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names]
    graph = helper.make_graph([proto], "one", info, [helper.make_tensor_value_info(n or "_", TensorProto.FLOAT, None) for n in proto.output if n])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    inner = ReferenceEvaluator(model)
    return Positions(inner, [bool(n) for n in proto.output])


class Positions:
    """Gives outputs that are left out their place back."""

    def __init__(self, inner, wanted):
        self.inner, self.wanted = inner, wanted

    def run(self, _, feeds):
        results = iter(self.inner.run(None, feeds))
        return [next(results) if w else None for w in self.wanted]


def divide(inputs, attributes, opset, outputs):
    a, b = inputs
    if a.dtype.kind in "iu":
        if (b == 0).any():
            raise Refused("division by zero")
        quotient = np.abs(a.astype(object)) // np.abs(b.astype(object))
        return [np.asarray(np.where((a < 0) != (b < 0), -quotient, quotient)).astype(a.dtype)]
    return [np.asarray(a / b)]


def default(attributes, name, otherwise):
    """The format's defaults are f32, as the numbers in files are."""
    return attributes.get(name, float(np.float32(otherwise)))


def axis_of(attributes, otherwise, rank):
    axis = attributes.get("axis", otherwise)
    return axis + rank if axis < 0 else axis


def softmax_like(function):
    def compute(inputs, attributes, opset, outputs):
        x = inputs[0]
        axis = axis_of(attributes, -1 if opset >= 13 else 1, x.ndim)
        # Before set 13 all dims from the axis on are one.
        flat = x if opset >= 13 else x.reshape(int(np.prod(x.shape[:axis])), -1)
        return [function(flat, axis if opset >= 13 else 1).reshape(x.shape).astype(x.dtype)]

    return compute


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x, axis):
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def hardmax(x, axis):
    y = np.zeros_like(x)
    np.put_along_axis(y, np.expand_dims(x.argmax(axis=axis), axis), 1, axis)
    return y


def element_wise(function):
    """In f64, rounded once."""
    return lambda inputs, attributes, opset, outputs: [np.asarray(function(inputs[0].astype(np.float64), attributes)).astype(inputs[0].dtype)]


def gelu(x, attributes):
    if attributes.get("approximate", b"none") == b"tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def shrink(inputs, attributes, opset, outputs):
    x, bias, lambd = inputs[0], attributes.get("bias", 0.0), attributes.get("lambd", 0.5)
    wide = x.astype(np.float64)
    return [np.where(wide < -lambd, wide + bias, np.where(wide > lambd, wide - bias, 0)).astype(x.dtype)]


def reduction(function):
    def compute(inputs, attributes, opset, outputs):
        x = inputs[0]
        axes = attributes.get("axes") if len(inputs) < 2 or inputs[1] is None else inputs[1].tolist()
        if not axes and attributes.get("noop_with_empty_axes"):
            axes = ()
        else:
            axes = tuple(axes) if axes else tuple(range(x.ndim))
        return [np.asarray(function(x, axes, bool(attributes.get("keepdims", 1)))).astype(x.dtype)]

    return compute


def sum_square(x, axes, keep):
    return np.sum(x * x, axis=axes, keepdims=keep)


def log_sum(x, axes, keep):
    return np.log(np.sum(x, axis=axes, keepdims=keep))


def log_sum_exp(x, axes, keep):
    top = np.max(x, axis=axes, keepdims=True)
    y = np.log(np.sum(np.exp(x - top), axis=axes, keepdims=True)) + top
    return y if keep else np.squeeze(y, axis=axes)


def gather_elements(inputs, attributes, opset, outputs):
    x, at = inputs
    axis = axis_of(attributes, 0, x.ndim)
    place = list(np.indices(at.shape))
    place[axis] = np.where(at < 0, at + x.shape[axis], at)
    return [x[tuple(place)]]


COMBINE = {"none": lambda a, b: b, "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "max": np.maximum, "min": np.minimum}


def scatter_elements(inputs, attributes, opset, outputs):
    x, at, updates = inputs
    axis, y = axis_of(attributes, 0, x.ndim), x.copy()
    combine = COMBINE[attributes.get("reduction", b"none").decode()]
    for i in np.ndindex(at.shape):
        place = list(i)
        place[axis] = at[i] + (x.shape[axis] if at[i] < 0 else 0)
        y[tuple(place)] = combine(y[tuple(place)], updates[i])
    return [y]


def unsqueeze(inputs, attributes, opset, outputs):
    x, axes = inputs[0], attributes["axes"] if len(inputs) < 2 else inputs[1].tolist()
    y = x
    for a in sorted(a + x.ndim + len(axes) if a < 0 else a for a in axes):
        y = np.expand_dims(y, a)
    return [y]


def along_channels(v, x):
    return v.reshape((-1,) + (1,) * (x.ndim - 2))


def batch_normalization(inputs, attributes, opset, outputs):
    x, scale, bias, mean, var = inputs
    epsilon, momentum = default(attributes, "epsilon", 1e-5), default(attributes, "momentum", 0.9)
    more = []
    if attributes.get("training_mode"):
        axes = tuple(i for i in range(x.ndim) if i != 1)
        old_mean, old_var, mean, var = mean, var, x.mean(axis=axes), x.var(axis=axes)
        more = [(o * momentum + n * (1 - momentum)).astype(x.dtype) for o, n in ((old_mean, mean), (old_var, var))]
    scale, bias, mean, var = (along_channels(v, x) for v in (scale, bias, mean, var))
    return [((x - mean) / np.sqrt(var + epsilon) * scale + bias).astype(x.dtype)] + more[: outputs - 1]


def lrn(inputs, attributes, opset, outputs):
    x, size = inputs[0], attributes["size"]
    squares = np.zeros_like(x)
    for c in range(x.shape[1]):
        squares[:, c] = np.sum(x[:, max(0, c - (size - 1) // 2): c + size // 2 + 1] ** 2, axis=1)
    scaled = default(attributes, "bias", 1.0) + default(attributes, "alpha", 1e-4) / size * squares
    return [(x / scaled ** default(attributes, "beta", 0.75)).astype(x.dtype)]


def lp_normalization(inputs, attributes, opset, outputs):
    x = inputs[0]
    axis, p = axis_of(attributes, -1, x.ndim), attributes.get("p", 2)
    norm = np.sum(np.abs(x), axis=axis, keepdims=True) if p == 1 else np.sqrt(np.sum(x * x, axis=axis, keepdims=True))
    return [np.where(norm == 0, 0, x / norm).astype(x.dtype)]


def mean_variance(inputs, attributes, opset, outputs):
    x, axes = inputs[0], tuple(attributes.get("axes", (0, 2, 3)))
    centred = x - x.mean(axis=axes, keepdims=True)
    return [(centred / (np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True)) + 1e-9)).astype(x.dtype)]


def global_max(inputs, attributes, opset, outputs):
    x = inputs[0]
    return [x.max(axis=tuple(range(2, x.ndim)), keepdims=True)]


def upsample(inputs, attributes, opset, outputs):
    x = inputs[0]
    scales = inputs[1].tolist() if len(inputs) > 1 else attributes["scales"]
    mode = attributes.get("mode", b"nearest").decode()
    for axis, s in enumerate(scales):
        n = int(np.floor(x.shape[axis] * s))
        at = np.arange(n) / s
        low = np.minimum(np.floor(at).astype(int), x.shape[axis] - 1)
        if mode == "nearest":
            x = x.take(low, axis)
        elif s != 1:
            part = (at - low).reshape((-1,) + (1,) * (x.ndim - axis - 1))
            x = (x.take(low, axis) * (1 - part) + x.take(np.minimum(low + 1, x.shape[axis] - 1), axis) * part).astype(x.dtype)
    return [x]


def one_hot(inputs, attributes, opset, outputs):
    at, depth, values = inputs
    depth, axis = int(np.ravel(depth)[0]), attributes.get("axis", -1)
    at = at.astype(np.int64)
    at = np.where(at < 0, at + depth, at)
    on = np.expand_dims(at, -1) == np.arange(depth)
    return [np.moveaxis(np.where(on, values[1], values[0]), -1, axis)]


def by_axis(v, x, axis):
    if v is None or v.size == 1:
        return 0 if v is None else v.reshape(())
    return v.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


def dequantize(inputs, attributes, opset, outputs):
    x, scale = inputs[:2]
    axis = axis_of(attributes, 1, x.ndim)
    zero = by_axis(inputs[2] if len(inputs) > 2 else None, x, axis)
    wide = x.astype(np.float64) - np.asarray(zero, np.float64)
    return [np.asarray(wide * by_axis(scale, x, axis).astype(np.float64)).astype(scale.dtype)]


def quantize(inputs, attributes, opset, outputs):
    x, scale = inputs[:2]
    axis = axis_of(attributes, 1, x.ndim)
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros((), np.uint8)
    y = np.rint(x.astype(np.float64) / by_axis(scale, x, axis).astype(np.float64)) + by_axis(zero, x, axis).astype(np.float64)
    info = np.iinfo(zero.dtype)
    return [np.asarray(np.clip(y, info.min, info.max)).astype(zero.dtype)]


ACTIVATIONS = {"Tanh": np.tanh, "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Relu": lambda x: np.maximum(x, 0), "Softsign": lambda x: x / (1 + np.abs(x))}


def recurrent(kind):
    gates, usual = {"LSTM": (4, ["Sigmoid", "Tanh", "Tanh"]), "GRU": (3, ["Sigmoid", "Tanh"]), "RNN": (1, ["Tanh"])}[kind]

    def compute(inputs, attributes, opset, outputs):
        x, w, r, b, lengths, h0, c0, peep = (list(inputs) + [None] * 8)[:8]
        dtype, turned = x.dtype, bool(attributes.get("layout", 0))
        if turned:
            x, h0, c0 = (v if v is None else np.swapaxes(v, 0, 1) for v in (x, h0, c0))
        time, batch, _ = x.shape
        directions, hidden = w.shape[0], attributes["hidden_size"]
        names = [n.decode() for n in attributes.get("activations", [])] or usual * directions
        name, clip = attributes.get("direction", b"forward").decode(), attributes.get("clip", np.inf)
        lengths = np.full(batch, time) if lengths is None else lengths
        y, ends, cells = np.zeros((time, directions, batch, hidden), dtype), [], []
        bound = lambda v: np.clip(v, -clip, clip)
        for d in range(directions):
            act = [ACTIVATIONS[n] for n in names[d * len(usual): (d + 1) * len(usual)]]
            zeros = np.zeros((batch, hidden), dtype)
            h, c = (zeros if v is None else v[d] for v in (h0, c0))
            wb, rb = np.split(b[d], 2) if b is not None else (np.zeros(gates * hidden, dtype),) * 2
            p = np.split(peep[d], 3) if peep is not None else [0, 0, 0]
            backwards = name == "reverse" or d == 1
            for step in range(time):
                # A sequence that is shorter is turned by itself.
                at = np.where(backwards, lengths - 1 - step, step) * np.ones(batch, int)
                alive = (step < lengths)[:, None]
                now = x[np.clip(at, 0, time - 1), np.arange(batch)]
                wx = np.split(now @ w[d].T + wb, gates, axis=1)
                rh = np.split(h @ r[d].T + rb, gates, axis=1)
                new_c = c
                if kind == "RNN":
                    new_h = act[0](bound(wx[0] + rh[0]))
                elif kind == "GRU":
                    z, reset = (act[0](bound(wx[i] + rh[i])) for i in (0, 1))
                    if attributes.get("linear_before_reset", 0):
                        n = wx[2] + reset * rh[2]
                    else:
                        n = wx[2] + (reset * h) @ np.split(r[d], 3)[2].T + np.split(rb, 3)[2]
                    new_h = (1 - z) * act[1](bound(n)) + z * h
                else:
                    i = act[0](bound(wx[0] + rh[0] + p[0] * c))
                    f = 1 - i if attributes.get("input_forget", 0) else act[0](bound(wx[2] + rh[2] + p[2] * c))
                    new_c = f * c + i * act[1](bound(wx[3] + rh[3]))
                    o = act[0](bound(wx[1] + rh[1] + p[1] * new_c))
                    new_h = o * act[2](bound(new_c))
                h, c = np.where(alive, new_h, h).astype(dtype), np.where(alive, new_c, c).astype(dtype)
                for n in range(batch):
                    if step < lengths[n]:
                        y[at[n], d, n] = h[n]
            ends.append(h), cells.append(c)
        results = [y, np.stack(ends)] + ([np.stack(cells)] if kind == "LSTM" else [])
        if turned:
            results = [np.transpose(y, (2, 0, 1, 3))] + [np.swapaxes(v, 0, 1) for v in results[1:]]
        return results[:outputs]

    return compute


def non_max_suppression(inputs, attributes, opset, outputs):
    boxes, scores, most, iou, least = (list(inputs) + [None] * 5)[:5]
    number = lambda v, otherwise: otherwise if v is None else np.ravel(v)[0]
    most, iou, least = int(number(most, 0)), float(number(iou, 0)), None if least is None else float(np.ravel(least)[0])
    if attributes.get("center_point_box", 0):
        corners = np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)
    else:
        corners = np.concatenate([np.minimum(boxes[..., :2], boxes[..., 2:]), np.maximum(boxes[..., :2], boxes[..., 2:])], -1)
    rows = []
    for n in range(scores.shape[0]):
        for k in range(scores.shape[1]):
            kept = []
            for i in np.argsort(-scores[n, k], kind="stable"):
                if len(kept) >= most or least is not None and scores[n, k, i] <= least:
                    continue
                a = corners[n, i]
                overlaps = []
                for j in kept:
                    c = corners[n, j]
                    inner = np.prod(np.maximum(0, np.minimum(a[2:], c[2:]) - np.maximum(a[:2], c[:2])))
                    overlaps.append(inner / (np.prod(a[2:] - a[:2]) + np.prod(c[2:] - c[:2]) - inner))
                if any(abs(o - iou) < 1e-3 for o in overlaps):
                    raise Refused("an overlap near the threshold")
                if all(o <= iou for o in overlaps):
                    kept.append(i)
                    rows.append([n, k, i])
    return [np.array(rows, np.int64).reshape(-1, 3)]


def windows(x, attributes):
    """For each spatial dim: for each place of the output the places that it covers, and how many of them padding may count."""
    kernel = attributes["kernel_shape"]
    n = len(kernel)
    strides, dilations = attributes.get("strides", [1] * n), attributes.get("dilations", [1] * n)
    pads, automatic = attributes.get("pads", [0] * (2 * n)), attributes.get("auto_pad", b"NOTSET").decode()
    result = []
    for i in range(n):
        size, reach = x.shape[2 + i], (kernel[i] - 1) * dilations[i] + 1
        before, after = pads[i], pads[i + n]
        if automatic.startswith("SAME"):
            count = -(-size // strides[i])
            total = max(0, (count - 1) * strides[i] + reach - size)
            before = total // 2 if automatic == "SAME_UPPER" else total - total // 2
            after = total - before
        else:
            if automatic == "VALID":
                before = after = 0
            room = size + before + after - reach
            count = room // strides[i] + 1
            if attributes.get("ceil_mode", 0):
                count = -(-room // strides[i]) + 1
                if (count - 1) * strides[i] >= size + before:
                    count -= 1
        places = []
        for o in range(count):
            at = o * strides[i] - before + dilations[i] * np.arange(kernel[i])
            places.append((at[(at >= 0) & (at < size)], int(((at >= -before) & (at < size + after)).sum())))
        result.append(places)
    return result


def pool(largest):
    def compute(inputs, attributes, opset, outputs):
        x = inputs[0]
        by_dim = windows(x, attributes)
        y = np.zeros(x.shape[:2] + tuple(len(p) for p in by_dim), np.float64)
        indices = np.zeros(y.shape, np.int64)
        number = np.arange(x.size).reshape(x.shape)
        for at in np.ndindex(y.shape[2:]):
            chosen = [by_dim[i][o] for i, o in enumerate(at)]
            covered = np.ix_(np.arange(x.shape[0]), np.arange(x.shape[1]), *[c[0] for c in chosen])
            part = x[covered].astype(np.float64)
            if part.size == 0 and x.size:
                raise Refused("a window of padding alone")
            axes = tuple(range(2, x.ndim))
            if largest:
                value = part.max(axis=axes)
                flat = number[covered].reshape(x.shape[0], x.shape[1], -1)
                best = part.reshape(flat.shape).argmax(axis=2)
                indices[(slice(None), slice(None)) + at] = np.take_along_axis(flat, best[..., None], 2)[..., 0]
            else:
                included = attributes.get("count_include_pad", 0)
                value = part.sum(axis=axes) / np.prod([c[1] if included else len(c[0]) for c in chosen])
            y[(slice(None), slice(None)) + at] = value
        return [y.astype(x.dtype), indices][:outputs]

    return compute


def global_lp(inputs, attributes, opset, outputs):
    x, p = inputs[0], attributes.get("p", 2)
    return [(np.sum(np.abs(x) ** p, axis=tuple(range(2, x.ndim)), keepdims=True) ** (1 / p)).astype(x.dtype)]


def group_normalization(inputs, attributes, opset, outputs):
    x, scale, bias = inputs
    groups = attributes["num_groups"]
    parts = x.reshape((x.shape[0], groups, -1)).astype(np.float64)
    centred = parts - parts.mean(axis=2, keepdims=True)
    y = centred / np.sqrt((centred * centred).mean(axis=2, keepdims=True) + default(attributes, "epsilon", 1e-5))
    return [(y.reshape(x.shape) * along_channels(scale, x) + along_channels(bias, x)).astype(x.dtype)]


def conv_transpose(inputs, attributes, opset, outputs):
    x, w = inputs[:2]
    n, group = x.ndim - 2, attributes.get("group", 1)
    strides, dilations = attributes.get("strides", [1] * n), attributes.get("dilations", [1] * n)
    more, pads = attributes.get("output_padding", [0] * n), list(attributes.get("pads", [0] * (2 * n)))
    automatic, wanted = attributes.get("auto_pad", b"NOTSET").decode(), attributes.get("output_shape")
    full = [s * (d - 1) + m + (k - 1) * l + 1 for s, d, m, k, l in zip(strides, x.shape[2:], more, w.shape[2:], dilations)]
    if wanted or automatic.startswith("SAME"):
        for i in range(n):
            total = full[i] - (wanted[i] if wanted else x.shape[2 + i] * strides[i])
            if total < 0:
                raise Refused("an output larger than what is covered")
            pads[i] = total // 2 if automatic == "SAME_UPPER" else total - total // 2
            pads[i + n] = total - pads[i]
    each = w.shape[1]
    y = np.zeros(x.shape[:1] + (group * each,) + tuple(full), x.dtype)
    for g in range(group):
        inner = x.shape[1] // group
        part, kernel = x[:, g * inner: (g + 1) * inner], w[g * inner: (g + 1) * inner]
        for at in np.ndindex(w.shape[2:]):
            place = tuple(slice(a * l, a * l + s * (d - 1) + 1, s) for a, l, s, d in zip(at, dilations, strides, x.shape[2:]))
            y[(slice(None), slice(g * each, (g + 1) * each)) + place] += np.moveaxis(np.tensordot(part, kernel[(slice(None), slice(None)) + at], ([1], [0])), -1, 1)
    y = y[(slice(None), slice(None)) + tuple(slice(pads[i], full[i] - pads[i + n]) for i in range(n))]
    return [(y if len(inputs) < 3 else y + along_channels(inputs[2], x)).astype(x.dtype)]


class Loop:
    """Rounds of the body. The evaluator joins what is scanned along the wrong axis, and runs none without a condition."""

    def __init__(self, proto, names, opset):
        self.proto, self.names = proto, names
        body = next(a.g for a in proto.attribute if a.name == "body")
        inner = [i.name for i in body.input]
        captured = [n for n in names if n not in inner]
        info = list(body.input) + [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in captured]
        graph = helper.make_graph(list(body.node), "body", info, list(body.output), list(body.initializer))
        self.inner, self.captured = inner, captured
        self.session = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]))

    def run(self, arrays):
        given = dict(zip(self.names, arrays))
        trips, go, *states = [given.get(n) for n in self.proto.input]
        outer = {n: given[n] for n in self.captured}
        most = 1000 if trips is None else int(trips)
        go, scans, i = True if go is None else bool(go), [], 0
        while go and i < most:
            feeds = {self.inner[0]: np.array(i, np.int64), self.inner[1]: np.array(True), **dict(zip(self.inner[2:], states)), **outer}
            go, *results = self.session.run(None, feeds)
            states, rows = results[: len(states)], results[len(states):]
            scans.append(rows)
            go, i = bool(go), i + 1
        if not scans:
            raise Refused("no round")
        return states + [np.stack([np.asarray(r[k]) for r in scans]) for k in range(len(scans[0]))]


def shape(inputs, attributes, opset, outputs):
    rank = inputs[0].ndim
    place = lambda v: min(max(v + rank if v < 0 else v, 0), rank)
    return [np.array(inputs[0].shape[place(attributes.get("start", 0)): place(attributes.get("end", rank))], np.int64)]


# operator -> (why the evaluator's is not used, ours)
OWN = {
    "Div": ("rounds quotients of integers down instead of towards zero", divide),
    "Softmax": ("before set 13 it does not flatten", softmax_like(softmax)),
    "LogSoftmax": ("before set 13 it does not flatten", softmax_like(log_softmax)),
    "Hardmax": ("before set 13 it does not flatten", softmax_like(hardmax)),
    "Erf": ("computes in f32", element_wise(lambda x, a: erf(x))),
    "Gelu": ("its constants are f32", element_wise(gelu)),
    "HardSwish": ("its constants are f32", element_wise(lambda x, a: x * np.clip(x / 6 + 0.5, 0, 1))),
    "Softsign": ("refuses numbers without axes", element_wise(lambda x, a: x / (1 + np.abs(x)))),
    "Shrink": ("casts the bias of integers", shrink),
    "ReduceSumSquare": ("widens small integers", reduction(sum_square)),
    "ReduceLogSum": ("refuses some sets of axes", reduction(log_sum)),
    "ReduceLogSumExp": ("refuses some sets of axes", reduction(log_sum_exp)),
    "GatherElements": ("refuses indices of a smaller shape", gather_elements),
    "Scatter": ("lacks it", scatter_elements),
    "ScatterElements": ("refuses indices of a smaller shape", scatter_elements),
    "Unsqueeze": ("takes axes in the order given", unsqueeze),
    "BatchNormalization": ("before set 14 it takes inference for training", batch_normalization),
    "LRN": ("leaves out channels at the ends", lrn),
    "LpNormalization": ("p = 1 without absolute values", lp_normalization),
    "MeanVarianceNormalization": ("works in f32 only", mean_variance),
    "GlobalMaxPool": ("drops dims of a signal", global_max),
    "MaxPool": ("pads and rounds sizes in its own way", pool(True)),
    "AveragePool": ("pads and rounds sizes in its own way", pool(False)),
    "GroupNormalization": ("gives f32 for other types", group_normalization),
    "ConvTranspose": ("adds the bias of the wrong group", conv_transpose),
    "GlobalLpPool": ("lacks it", global_lp),
    "Shape": ("start and end beyond the rank", shape),
    "Upsample": ("lacks the versions with attributes", upsample),
    "OneHot": ("refuses a depth of one element", one_hot),
    "DequantizeLinear": ("lacks old versions", dequantize),
    "QuantizeLinear": ("lacks old versions", quantize),
    "LSTM": ("forward only, no lengths, one set of activations", recurrent("LSTM")),
    "GRU": ("forward only, no lengths, one set of activations", recurrent("GRU")),
    "RNN": ("forward only, no lengths, one set of activations", recurrent("RNN")),
    "NonMaxSuppression": ("refuses inputs that are left out", non_max_suppression),
}
