# SPDX-License-Identifier: Apache-2.0
"""How each operator is drawn: its inputs, attributes and outputs. The single list of what the generator covers; the table of what is
claimed is made from it. A function `draw(g, t)` adds the operator's node to the graph g, its main input of type t."""
import functools

import numpy as np
import onnx
from onnx import helper

from graph import FLOATS, INTEGERS, ONNX_TYPES, Reject, broadcasts

OLDEST, NEWEST = 7, 26
ALL = FLOATS + INTEGERS + ("bool",)
NUMERIC = FLOATS + INTEGERS
SIGNED = ("i8", "i16", "i32", "i64")
SCHEMA_TYPES = {"tensor(float)": "f32", "tensor(float16)": "f16", "tensor(bfloat16)": "bf16", "tensor(double)": "f64", "tensor(int8)": "i8",
                "tensor(uint8)": "u8", "tensor(int16)": "i16", "tensor(uint16)": "u16", "tensor(int32)": "i32", "tensor(uint32)": "u32",
                "tensor(int64)": "i64", "tensor(uint64)": "u64", "tensor(bool)": "bool"}
OPERATORS = {}


class Operator:
    def __init__(self, name, draw, types, argument, oldest):
        self.name, self.draw, self.claimed, self.argument, self.oldest = name, draw, types, argument, oldest

    @functools.lru_cache(None)
    def types(self, opset):
        """Of the main input, in this operator set."""
        try:
            schema = onnx.defs.get_schema(self.name, opset, "")
        except onnx.defs.SchemaError:
            return ()
        if opset < self.oldest or schema.deprecated:
            return ()
        allowed = {SCHEMA_TYPES.get(t) for t in schema.inputs[self.argument].types} if schema.inputs else set(ALL)
        return tuple(t for t in ALL if t in allowed and t in self.claimed)


def op(*names, types=ALL, argument=0, oldest=OLDEST):
    def keep(draw):
        for name in names:
            OPERATORS[name] = Operator(name, functools.partial(draw, name) if len(names) > 1 else draw, types, argument, oldest)
        return draw

    return keep


def available(opset):
    return [o for o in OPERATORS.values() if o.types(opset)]


# ---- element-wise ---------------------------------------------------------------------------------------------------

DOMAINS = {"Sqrt": (0, 50), "Log": (0.05, 50), "Reciprocal": (0.2, 50), "Exp": (-6, 6), "Tan": (-1.3, 1.3), "Asin": (-0.95, 0.95), "Acos": (-0.95, 0.95),
           "Sinh": (-5, 5), "Cosh": (-5, 5), "Acosh": (1.05, 40), "Atanh": (-0.9, 0.9)}


def inside_of(g, t, low, high, rank=None):
    if g.chance(0.06) and t in ("f32", "f64"):
        return g.take(t, rank=rank)  # NaN and infinities where they belong
    return g.take(t, rank=rank, low=low, high=high)


@op("Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Sqrt", "Reciprocal", "Exp", "Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh",
    "Asinh", "Acosh", "Atanh", "Sigmoid", "Relu", "Softplus", "Softsign", "HardSwish", "Mish", "Not", "BitwiseNot", "Identity")
def unary(name, g, t):
    x = inside_of(g, t, *DOMAINS[name]) if name in DOMAINS else g.take(t)
    g.node(name, [x])


@op("Erf", types=FLOATS)
def erf(g, t):
    g.node("Erf", [g.take(t)])


@op("IsNaN", "IsInf")
def is_special(name, g, t):
    x = g.take(t, finite=False)
    g.node(name, [x], **({k: g.integer(0, 1) for k in ("detect_negative", "detect_positive") if g.chance(0.5)} if name == "IsInf" else {}))


@op("Add", "Sub", "Mul", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
def binary(name, g, t):
    x = g.take(t)
    pair = [x, g.beside(x)]
    g.node(name, pair if g.chance(0.6) else pair[::-1])


@op("Div")
def div(g, t):
    x = g.take(t)
    y = g.beside(x, low=0.3, high=6) if t in FLOATS else g.beside(x, low=1, high=6)
    g.node("Div", [x, y])


@op("Pow", types=("f32", "f16", "f64", "bf16", "i32", "i64"))
def power(g, t):
    if t in FLOATS and g.chance(0.6):
        x = g.take(t, low=0.1, high=6)
        y = g.beside(x, low=-2, high=3)
    else:
        x = g.take(t, low=-4, high=4)
        types = [t] if g.opset < 12 else [t, "f32", "i32", "i64"] if t in FLOATS else [t, "i32", "i64"]
        y = g.constant(np.array(g.choice([0, 1, 2, 3] if t not in FLOATS else [0, 1, 2, 3, -1, -2, 0.5]), np.float64), g.choice(types))
    g.node("Pow", [x, y])


@op("Mod")
def mod(g, t):
    x = g.take(t)
    y = g.beside(x, low=1, high=6) if t in INTEGERS else g.beside(x, low=0.5, high=6)
    g.node("Mod", [x, y], fmod=1 if t in FLOATS else g.choice([None, 0, 1]))


@op("BitShift", types=("u8", "u16", "u32", "u64"))
def bit_shift(g, t):
    x = g.take(t)
    g.node("BitShift", [x, g.beside(x, low=0, high=7)], direction=g.choice(["LEFT", "RIGHT"]))


@op("Max", "Min", "Sum", "Mean")
def variadic(name, g, t):
    x = g.take(t)
    g.node(name, [x] + [g.beside(x) for _ in range(g.choice([0, 1, 1, 1, 2, 3]))])


@op("Where", argument=1)
def where(g, t):
    x = g.take(t, finite=False)
    y, c = g.beside(x), None
    c = g.beside(x, type="bool")
    g.node("Where", [c, x, y] if g.chance(0.5) else [c, y, x])


@op("PRelu", types=FLOATS)
def prelu(g, t):
    x = g.take(t)
    g.node("PRelu", [x, g.beside(x, one_way=True)])


def sometimes(g, low, high):
    return round(float(g.rng.uniform(low, high)), 3) if g.chance(0.6) else None


@op("LeakyRelu", "Elu", "Celu", "Selu", "ThresholdedRelu", "HardSigmoid", "Shrink")
def activation(name, g, t):
    x = g.take(t)
    a = {"alpha": sometimes(g, 0.1, 2)}
    if name == "Selu":
        a["gamma"] = sometimes(g, 0.5, 2)
    if name == "HardSigmoid":
        a["beta"] = sometimes(g, 0.1, 0.9)
    if name == "Shrink":
        a = {"bias": sometimes(g, 0, 1), "lambd": sometimes(g, 0.1, 1)}
    g.node(name, [x], **a)


@op("Gelu")
def gelu(g, t):
    g.node("Gelu", [g.take(t)], approximate=g.choice([None, "none", "tanh"]))


@op("Clip")
def clip(g, t):
    x = g.take(t)
    lo, hi = (g.integer(-3, 0), g.integer(1, 4)) if t not in ("u8", "u16", "u32", "u64") else (g.integer(0, 2), g.integer(3, 6))
    if t in FLOATS:
        lo, hi = lo + 0.25, hi - 0.25
    if g.opset < 11:
        g.node("Clip", [x], min=float(lo) if g.chance(0.7) else None, max=float(hi) if g.chance(0.7) else None)
        return
    bound = lambda b: (g.constant(np.array(b), t) if g.chance(0.7) else g.fresh(t, [], b, b, constant=False)) if g.chance(0.75) else None
    g.node("Clip", [x, bound(lo), bound(hi)])


@op("Cast")
def cast(g, t):
    allowed = [t for t in ALL if t != "bf16" or g.opset >= 13]
    to = g.choice(allowed)
    x = g.take(t)
    if t in FLOATS and to in INTEGERS:
        low, high = (0, 200) if to[0] == "u" else (-100, 100)
        x = g.take(t, low=low, high=high)
    g.node("Cast", [x], to=ONNX_TYPES[to])


@op("CastLike")
def cast_like(g, t):
    to = g.choice(ALL)
    x = g.take(t)
    if t in FLOATS and to in INTEGERS:
        low, high = (0, 200) if to[0] == "u" else (-100, 100)
        x = g.take(t, low=low, high=high)
    g.node("CastLike", [x, g.take(to)])


# ---- reductions -----------------------------------------------------------------------------------------------------

INPUT_AXES_SINCE = {"ReduceSum": 13}
REDUCTIONS = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceSumSquare"]


def some_axes(g, rank, negative=True, least=1):
    count = g.integer(min(least, rank), rank)
    axes = sorted(g.rng.choice(rank, count, replace=False).tolist()) if rank else []
    return [a - rank if negative and g.chance(0.4) else a for a in axes]


@op("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", types=FLOATS)
@op(*REDUCTIONS)
def reduce(name, g, t):
    x = inside_of(g, t, 0.1, 6) if name == "ReduceLogSum" and t in FLOATS else g.take(t)
    if name == "ReduceMean" and t not in FLOATS and not nonempty(x):
        raise Reject("the mean of no integers")
    keep = g.choice([None, 0, 1])
    axes = some_axes(g, x.rank, negative=g.opset >= 11)
    if g.chance(0.15) or not axes:
        axes = None
    if g.opset < INPUT_AXES_SINCE.get(name, 18):
        g.node(name, [x], axes=axes, keepdims=keep)
        return
    noop = g.choice([None, 0, 1]) if g.chance(0.3) else None
    if axes is None and g.chance(0.3):
        given = g.ints([])
    else:
        given = None if axes is None else g.ints(axes)
    g.node(name, [x, given], keepdims=keep, noop_with_empty_axes=noop)


@op("ArgMax", "ArgMin")
def arg(name, g, t):
    x = g.take(t, rank=range(1, 6), where=nonempty)
    axis = g.integer(0, x.rank - 1)
    a = {"axis": g.choice([None, 0]) if axis == 0 else axis - x.rank if g.chance(0.3) and g.opset >= 11 else axis, "keepdims": g.choice([None, 0, 1])}
    if g.opset >= 12:
        a["select_last_index"] = g.choice([None, 0, 1])
    g.node(name, [x], **a)


@op("CumSum")
def cumsum(g, t):
    x = g.take(t, rank=range(1, 6))
    axis = g.constant(np.array(g.integer(-x.rank, x.rank - 1)), g.choice(["i32", "i64"]))
    g.node("CumSum", [x, axis], exclusive=g.choice([None, 0, 1]), reverse=g.choice([None, 0, 1]))


@op("Softmax", "LogSoftmax", "Hardmax")
def softmax(name, g, t):
    x = g.take(t, rank=range(1, 6), where=nonempty)
    low = -x.rank if g.opset >= 11 else 0
    default = 1 if g.opset < 13 else -1
    axis = g.integer(low, x.rank - 1)
    g.node(name, [x], axis=None if g.chance(0.25) and x.rank > 1 else axis if axis != default or g.chance(0.5) else None)


# ---- products -------------------------------------------------------------------------------------------------------


def dim_or_fixed(g, dim, otherwise=1):
    label = g.label(dim)
    if label is None:
        raise Reject("a dim that no input can have")
    return label


@op("MatMul", types=FLOATS + ("i32", "u32", "i64", "u64"))
def matmul(g, t):
    x = g.take(t, rank=range(1, 5), where=lambda v: g.label(v.dims[-1]) is not None)
    inner = dim_or_fixed(g, x.dims[-1])
    if g.chance(0.15):
        y = g.fresh(t, [inner])
    else:
        outer = g.random_dims(1)
        batch = []
        if g.chance(0.4) and x.rank > 2:
            labels = [g.label(d) for d in x.dims[:-2]]
            batch = [l if l is not None and g.chance(0.7) else 1 for l in labels[-g.integer(1, len(labels)):]]
        y = g.fresh(t, batch + [inner] + outer)
    g.node("MatMul", [x, y])


@op("Gemm", types=FLOATS + ("i32", "u32", "i64", "u64"))
def gemm(g, t):
    x = g.take(t, rank=2, where=lambda v: g.label(v.dims[0]) is not None and g.label(v.dims[1]) is not None)
    ta, tb = g.chance(0.4), g.chance(0.4)
    inner, rows = (g.label(x.dims[0]), x.dims[1]) if ta else (g.label(x.dims[1]), x.dims[0])
    n = g.random_dims(1)[0]
    w = g.fresh(t, [n, inner] if tb else [inner, n])
    inputs = [x, w]
    if g.opset < 11 or g.chance(0.7):
        inputs.append(g.fresh(t, g.choice([[n], [1, n], [g.label(rows), 1], [g.label(rows), n], [1], []])))
    scale = lambda: g.choice([None, 0.5, 2.0]) if t in FLOATS else None
    g.node("Gemm", inputs, alpha=scale(), beta=scale(), transA=1 if ta else g.choice([None, 0]), transB=1 if tb else g.choice([None, 0]))


def nonempty(v):
    return all(min(d) > 0 for d in v.dims)


# ---- shapes ---------------------------------------------------------------------------------------------------------


@op("Shape")
def shape(g, t):
    x = g.take(t)
    a = {}
    if g.opset >= 15:
        a = {k: g.integer(-x.rank - 1, x.rank + 1) for k in ("start", "end") if g.chance(0.3)}
    g.node("Shape", [x], **a)


@op("Size")
def size(g, t):
    g.node("Size", [g.take(t)])


@op("Reshape")
def reshape(g, t):
    x = g.take(t, rank=range(1, 6))
    dims = x.dims
    kind = g.choice(["merge", "split", "computed", "flat", "given"])
    if kind == "flat":
        target = [-1]
    elif kind == "merge" and x.rank >= 2:
        i = g.integer(0, x.rank - 2)
        target = [0 if g.chance(0.7) or len(set(d)) > 1 else d[0] for d in dims[:i]] + [-1] + [d[0] for d in dims[i + 2:]]
        if any(len(set(d)) > 1 for d in dims[i + 2:]):
            return computed_reshape(g, x)
    elif kind == "split":
        i = g.integer(0, x.rank - 1)
        d = dims[i]
        if len(set(d)) > 1 or d[0] < 2 or any(len(set(e)) > 1 for e in dims[i + 1:]):
            return computed_reshape(g, x)
        f = g.choice([k for k in range(2, d[0] + 1) if d[0] % k == 0])
        target = [0] * i + ([f, -1] if g.chance(0.5) else [-1, d[0] // f]) + [e[0] for e in dims[i + 1:]]
    elif kind == "given" and x.fixed:
        target = [x.elements, 1] if g.chance(0.5) else [e[0] for e in dims] + [1]
    else:
        return computed_reshape(g, x)
    if 0 in [min(d) for d in dims] and g.opset < 14:
        raise Reject("an empty tensor and a 0 that means the same size")
    g.node("Reshape", [x, g.ints(target)])


def dim_of(g, x, axis):
    """i64 [1] holding a dim, the way exporters compute it."""
    kind = g.choice(["gather", "slice", "unsqueeze"] if g.opset >= 10 else ["gather"])
    s = g.node("Shape", [x])[0]
    if kind == "gather":
        return g.node("Gather", [s, g.ints([axis])], axis=0)[0]
    if kind == "slice":
        return g.node("Slice", [s, g.ints([axis]), g.ints([axis + 1]), g.ints([0])])[0]
    d = g.node("Gather", [s, g.constant(np.array(axis, np.int64))], axis=0)[0]
    return g.unsqueeze(d, [0])


def computed_reshape(g, x):
    parts, open_ = [], g.integer(-1, x.rank - 1)
    i = 0
    while i < x.rank:
        if i == open_:
            parts.append(g.ints([-1]))
        elif i + 1 < x.rank and i + 1 != open_ and g.chance(0.4):
            parts.append(g.node("Mul", [dim_of(g, x, i), dim_of(g, x, i + 1)])[0])
            i += 1
        else:
            parts.append(dim_of(g, x, i))
        i += 1
    target = g.node("Concat", parts, axis=0)[0] if len(parts) > 1 else parts[0]
    g.node("Reshape", [x, target])


@op("Flatten")
def flatten(g, t):
    x = g.take(t, rank=range(1, 6))
    axis = g.integer(-x.rank if g.opset >= 11 else 0, x.rank)
    g.node("Flatten", [x], axis=axis if g.chance(0.8) else None)


@op("Squeeze")
def squeeze(g, t):
    x = g.take(t, rank=range(1, 5), where=lambda v: any(set(d) == {1} for d in v.dims)) if g.chance(0.5) else None
    if x is None:
        y = g.take(t, rank=range(1, 4))
        x = g.unsqueeze(y, [g.integer(0, y.rank)])
    ones = [i for i, d in enumerate(x.dims) if set(d) == {1}]
    # Without axes the rank follows from the sizes: one that varies is fixed by the importer, which says so.
    if g.chance(0.15) and all(len(set(d)) == 1 for d in x.dims):
        g.node("Squeeze", [x])
        return
    axes = [a for a in ones if g.chance(0.7)] or ones[:1]
    axes = [a - x.rank if g.opset >= 11 and g.chance(0.3) else a for a in axes]
    if g.opset < 13:
        if not axes:
            raise Reject("Squeeze: no dim of one")
        g.node("Squeeze", [x], axes=axes)
    else:
        g.node("Squeeze", [x, g.ints(axes)])


@op("Unsqueeze")
def unsqueeze(g, t):
    x = g.take(t, rank=range(0, 5))
    count = g.integer(1, 2)
    axes = g.rng.choice(x.rank + count, count, replace=False).tolist()
    if g.chance(0.3) and g.opset >= 11:
        axes = [a - x.rank - count for a in axes]
    g.unsqueeze(x, axes)


@op("Transpose")
def transpose(g, t):
    x = g.take(t, rank=range(1, 6))
    g.node("Transpose", [x], perm=g.rng.permutation(x.rank).tolist() if g.chance(0.85) else None)


@op("Concat")
def concat(g, t):
    x = g.take(t, rank=range(1, 5))
    axis = g.integer(0, x.rank - 1)
    others = []
    for _ in range(g.integer(0, 2)):
        there = [v for v in g.values if v.type == t and v.finite and v.rank == x.rank and all(a == b or i == axis for i, (a, b) in enumerate(zip(v.dims, x.dims)))]
        if there and g.chance(0.7):
            others.append(g.choice(there))
        else:
            dims = [g.random_dims(1)[0] if i == axis else g.label(d) for i, d in enumerate(x.dims)]
            if None not in dims:
                others.append(g.fresh(t, dims))
    parts = [x] + others
    g.rng.shuffle(parts)
    g.node("Concat", parts, axis=axis - x.rank if g.opset >= 11 and g.chance(0.3) else axis)


@op("Split")
def split(g, t):
    x = g.take(t, rank=range(1, 5), where=lambda v: any(min(d) >= 2 and len(set(d)) == 1 for d in v.dims))
    axis = g.choice([i for i, d in enumerate(x.dims) if min(d) >= 2 and len(set(d)) == 1])
    d = x.dims[axis][0]
    count = g.integer(2, min(d, 4))
    a = {"axis": axis - x.rank if g.opset >= 11 and g.chance(0.3) else axis}
    if g.chance(0.6):
        cuts = [0] + sorted(g.rng.choice(np.arange(1, d), count - 1, replace=False).tolist()) + [d]
        sizes = [b - a for a, b in zip(cuts, cuts[1:])]
        if g.opset < 13:
            g.node("Split", [x], count, split=sizes, **a)
        else:
            g.node("Split", [x, g.ints(sizes)], count, **a)
    else:
        if g.opset >= 18:
            g.node("Split", [x], count, num_outputs=count, **a)
        else:
            counts = [c for c in range(2, d + 1) if d % c == 0 and c <= 4]
            g.node("Split", [x], g.choice(counts), **a)


@op("Slice")
def slice_(g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    axes = g.rng.choice(x.rank, g.integer(1, x.rank), replace=False).tolist()
    starts, ends, steps = [], [], []
    for a in axes:
        d = min(x.dims[a])
        kind = g.choice(["front", "back", "both", "last", "step", "reverse", "all"])
        if kind == "front":
            s, e, k = 0, g.integer(1, d), 1
        elif kind == "back":
            s, e, k = g.integer(0, d - 1), g.choice([2**31 - 1, 2**63 - 1]), 1
        elif kind == "both":
            s, e, k = g.integer(0, d - 1), -g.integer(0, d), 1
            e = e or 2**31 - 1
        elif kind == "last":
            s, e, k = -g.integer(1, d), 2**31 - 1, 1
        elif kind == "step" and g.opset >= 10:
            s, e, k = g.integer(0, d - 1), 2**31 - 1, g.integer(2, 3)
        elif kind == "reverse" and g.opset >= 10:
            s, e, k = -1, g.choice([-(2**31), -(2**63) + 1]), -g.integer(1, 2)
        else:
            s, e, k = 0, 2**31 - 1, 1
        starts.append(s), ends.append(e), steps.append(k)
    if g.opset < 10:
        g.node("Slice", [x], axes=axes, starts=starts, ends=ends)
        return
    type = g.choice(["i32", "i64"])
    if type == "i32":
        ends = [max(-(2**31), min(2**31 - 1, e)) for e in ends]
    axes = [a - x.rank if g.opset >= 11 and g.chance(0.2) else a for a in axes]
    stepped = any(k != 1 for k in steps)
    inputs = [x, g.ints(starts, type), g.ints(ends, type)]
    if axes != list(range(len(axes))) or stepped or g.chance(0.7):
        inputs.append(g.ints(axes, type))
        if stepped or g.chance(0.3):
            inputs.append(g.ints(steps, type))
    g.node("Slice", inputs)


def indices(g, shape, dim, type=None, unique=False):
    d = min(dim)
    low = -d if g.opset >= 11 and g.chance(0.5) else 0
    if unique:
        n = int(np.prod(shape))
        if n > d:
            raise Reject("more indices than places")
        x = g.rng.permutation(d)[:n].reshape(shape)
    else:
        x = g.rng.integers(low, d, shape)
    type = type or g.choice(["i32", "i64"])
    if g.chance(0.6):
        return g.constant(x.astype(np.int64), type)
    v = g.leaf(g.name("x"), type, [x.astype(type.replace("i", "int"))] * g.runs)
    g.inputs.append((v, list(shape)))
    return v


@op("Gather")
def gather(g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    axis = g.integer(0, x.rank - 1)
    shape = g.choice([(), (1,), (3,), (2, 2)]) if x.rank < 5 else (2,)
    g.node("Gather", [x, indices(g, shape, x.dims[axis])], axis=None if axis == 0 and g.chance(0.5) else axis - x.rank if g.opset >= 11 and g.chance(0.3) else axis)


@op("GatherElements")
def gather_elements(g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    axis = g.integer(0, x.rank - 1)
    shape = tuple(g.integer(1, min(min(d), 4)) if i != axis else g.integer(1, 5) for i, d in enumerate(x.dims))
    g.node("GatherElements", [x, indices(g, shape, x.dims[axis])], axis=axis - x.rank if g.chance(0.3) else axis)


@op("Pad")
def pad(g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    modes = ["constant", "reflect", "edge"] + (["wrap"] if g.opset >= 19 else [])
    mode = g.choice([None] + modes)
    pads = []
    for d in x.dims * 2:
        most = min(d) - 1 if mode in ("reflect", "wrap") else 3
        pads.append(g.integer(0, min(3, most)) if g.chance(0.6) else 0)
    if mode in (None, "constant", "edge") and g.chance(0.15):
        pads[g.integer(0, len(pads) - 1)] = 0
    if mode in (None, "constant") and g.chance(0.1) and min(x.dims[0]) > 2:
        pads[0] = -1
    if g.opset < 11:
        g.node("Pad", [x], mode=mode, pads=pads, value=sometimes(g, -2, 2))
        return
    value = None
    if g.chance(0.4):
        value = g.constant(np.array(g.integer(0, 3)) if t != "bool" else np.array(True), t)
    axes = None
    if g.opset >= 18 and g.chance(0.4):
        chosen = g.rng.choice(x.rank, g.integer(1, x.rank), replace=False).tolist()
        pads = [pads[a] for a in chosen] + [pads[a + x.rank] for a in chosen]
        axes = g.ints([a - x.rank if g.chance(0.3) else a for a in chosen], g.choice(["i32", "i64"]))
    if not isinstance(pads, list):
        raise Reject("pads")
    g.node("Pad", [x, g.ints(pads), value, axes], mode=mode)


@op("Expand")
def expand(g, t):
    x = g.take(t, rank=range(0, 4), where=lambda v: v.elements < 500)
    more = g.random_dims(g.integer(0, 1))
    target = [g.label(d) for d in x.dims]
    if any(not isinstance(d, int) for d in target + more) or g.chance(0.3):
        shape = g.node("Shape", [x])[0]
        front = g.ints([g.integer(1, 3)])
        shape = g.node("Concat", [front, shape], axis=0)[0] if g.chance(0.5) else shape
        g.node("Expand", [x, shape])
        return
    target = more + [g.integer(2, 4) if d == 1 and g.chance(0.7) else 1 if g.chance(0.2) else d for d in target]
    g.node("Expand", [x, g.ints(target)])


@op("Tile")
def tile(g, t):
    x = g.take(t, rank=range(1, 5), where=lambda v: v.elements < 500)
    g.node("Tile", [x, g.ints([g.choice([1, 1, 2, 3]) for _ in range(x.rank)])])


@op("ConstantOfShape", oldest=9)
def constant_of_shape(g, t):
    shape = g.ints([g.integer(1, 4) for _ in range(g.integer(0, 3))])
    if g.chance(0.6):
        x = g.take(NUMERIC, rank=range(1, 4))
        shape = g.node("Shape", [x])[0]
    value = None
    if g.chance(0.75):
        type = g.choice([t for t in ALL if t != "bf16" or g.opset >= 20])
        value = onnx.numpy_helper.from_array(g.numbers(type, (1,)))
    g.node("ConstantOfShape", [shape], value=value)


@op("TopK")
def top_k(g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    axis = g.integer(0, x.rank - 1)
    k = g.integer(1, min(x.dims[axis]))
    a = {"axis": axis - x.rank if g.opset >= 11 and g.chance(0.3) else None if axis == x.rank - 1 and g.chance(0.5) else axis}
    if g.opset < 10:
        g.node("TopK", [x], 2, k=k, **a)
        return
    if g.opset >= 11:
        a["largest"] = g.choice([None, 0, 1])
    g.node("TopK", [x, g.ints([k])], 2, **a)


@op("Trilu")
def trilu(g, t):
    x = g.take(t, rank=range(2, 5))
    g.node("Trilu", [x, g.constant(np.array(g.integer(-3, 3), np.int64)) if g.chance(0.6) else None], upper=g.choice([None, 0, 1]))


@op("Range")
def range_(g, t):
    kind = g.chance(0.5)
    start, delta = (g.integer(0, 3), g.choice([1, 2, 3])) if kind or t[0] == "u" else (g.integer(6, 9), -g.choice([1, 2]))
    limit = start + delta * g.integer(0, 6)
    if t in FLOATS and g.chance(0.5):
        start, limit, delta = start + 0.5, limit + 0.75, delta * 0.5
    g.node("Range", [g.constant(np.array(v), t) for v in (start, limit, delta)])


# ---- indices and choices --------------------------------------------------------------------------------------------


@op("GatherND", oldest=11)
def gather_nd(g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    batch = 1 if g.opset >= 12 and x.rank > 1 and len(set(x.dims[0])) == 1 and g.chance(0.3) else 0
    depth = g.integer(1, x.rank - batch)
    front = [x.dims[0][0]] if batch else []
    shape = front + g.choice([[], [1], [3], [2, 2]])
    low = lambda d: -min(d) if g.opset >= 12 else 0
    parts = [g.rng.integers(low(d), min(d), shape) for d in x.dims[batch:batch + depth]]
    g.node("GatherND", [x, g.constant(np.stack(parts, -1).astype(np.int64))], batch_dims=batch or g.choice([None, 0]) if g.opset >= 12 else None)


def reduction(g, t, since, wider):
    if g.opset < since or t == "bool":
        return None
    return g.choice([None, "none", "add", "mul"] + (["max", "min"] if g.opset >= wider else []))


@op("Scatter", "ScatterElements")
def scatter(name, g, t):
    x = g.take(t, rank=range(1, 5), where=nonempty)
    axis = g.integer(0, x.rank - 1)
    how = reduction(g, t, 16, 18) if name == "ScatterElements" else None
    if x.elements > 400:
        raise Reject("large")
    shape = [g.integer(1, min(min(d), 3)) for d in x.dims]
    if how in (None, "none"):
        n = shape[axis]
        at = np.apply_along_axis(lambda _: g.rng.permutation(min(x.dims[axis]))[:n], axis, np.zeros(shape))
        if g.opset >= 11:
            at = np.where(g.rng.random(shape) < 0.2, at - min(x.dims[axis]), at) if x.fixed else at
    else:
        at = g.rng.integers(0, min(x.dims[axis]), shape)
    updates = g.fresh(t, shape)
    g.node(name, [x, g.constant(at.astype(np.int64), g.choice(["i32", "i64"])), updates], axis=None if axis == 0 and g.chance(0.4) else axis, reduction=how)


@op("ScatterND", oldest=11)
def scatter_nd(g, t):
    x = g.take(t, rank=range(1, 4), where=nonempty)
    how = reduction(g, t, 16, 18)
    depth = g.integer(1, x.rank)
    rest = [g.label(d) for d in x.dims[depth:]]
    if None in rest:
        raise Reject("a dim that no input can have")
    places = int(np.prod([min(d) for d in x.dims[:depth]]))
    n = g.integer(1, min(3, places))
    flat = g.rng.choice(places, n, replace=how not in (None, "none"))
    at = np.stack(np.unravel_index(flat, [min(d) for d in x.dims[:depth]]), -1)
    g.node("ScatterND", [x, g.constant(at.astype(np.int64)), g.fresh(t, [n] + rest)], reduction=how)


@op("EyeLike", oldest=9)
def eye_like(g, t):
    x = g.take(t, rank=2, where=nonempty)
    types = [t for t in ALL if t != "bf16"]
    g.node("EyeLike", [x], dtype=ONNX_TYPES[g.choice(types)] if g.chance(0.5) else None, k=g.choice([None, 0, 1, -1, 2]))


@op("OneHot", types=("f32", "i32", "i64", "u8"), oldest=9)
def one_hot(g, t):
    depth = g.integer(2, 6)
    low = -depth if g.opset >= 11 else 0
    x = g.take(t, rank=range(0, 4), where=lambda v: v.elements < 300 and v.holds(low, depth - 1) and all(np.array_equal(a, np.floor(a)) for a in v.exact)) \
        if t != "f32" else g.node("Floor", [g.take("f32", rank=range(0, 4), low=0, high=depth - 0.5)])[0]
    values = g.constant(np.array(g.choice([[0, 1], [2, 5]])), g.choice(["f32", "i32", "i64", "f64", "u8"]))
    depth = g.constant(np.array(depth) if g.chance(0.6) else np.array([depth]), g.choice(["i64", "i32", "f32"]))
    g.node("OneHot", [x, depth, values], axis=g.choice([None, -1, g.integer(0, x.rank)]))


@op("NonZero", oldest=9)
def non_zero(g, t):
    x = g.take(t, rank=range(1, 4), where=lambda v: all(len({int((r != 0).sum())}) for r in v.x))
    if t != "bool" and g.chance(0.5) and t in ("f32", "i32", "i64"):
        x = g.node("Greater", [x, g.constant(np.array(0), t)])[0]
    y = g.node("NonZero", [x])[0]
    if g.chance(0.4) and all(a.shape[1] for a in y.x):
        g.node("Transpose", [y], perm=[1, 0])


@op("NonMaxSuppression", types=("f32",), oldest=10)
def nms(g, t):
    n = g.integer(3, 12)
    batch, classes = g.integer(1, 2), g.integer(1, 3)
    centre = g.chance(0.4)
    a, b = g.rng.uniform(0, 10, (batch, n, 2)), g.rng.uniform(0.5, 5, (batch, n, 2))
    boxes = np.concatenate([a, b] if centre else [a, a + b], -1).astype(np.float32)
    if not centre and g.chance(0.3):
        boxes = boxes[..., [2, 3, 0, 1]]
    boxes = input_of(g, boxes)
    scores = input_of(g, ((g.rng.permutation(batch * classes * n) + 0.5) / (batch * classes * n)).reshape(batch, classes, n).astype(np.float32))
    inputs = [boxes, scores]
    limits = [g.constant(np.array([g.integer(1, n)], np.int64)), g.constant(np.array([g.choice([0.1, 0.3, 0.5])], np.float32)), g.constant(np.array([g.choice([0.0, 0.33])], np.float32))]
    inputs += limits[: g.integer(1, 3)]
    g.node("NonMaxSuppression", inputs, center_point_box=1 if centre else g.choice([None, 0]))


def input_of(g, array):
    """An input that holds this array in every run."""
    from graph import NAMES
    v = g.leaf(g.name("x"), NAMES[array.dtype], [array] * g.runs)
    g.inputs.append((v, list(array.shape)))
    return v


@op("Compress", oldest=9)
def compress(g, t):
    x = g.take(t, rank=range(1, 4), where=nonempty)
    if g.chance(0.3):
        n = min(v.size for v in x.x)
        condition = g.rng.random(g.integer(1, min(n, 10))) < 0.6
        if not condition.any():
            condition[0] = True
        g.node("Compress", [x, g.constant(condition)])
        return
    axis = g.integer(0, x.rank - 1)
    condition = g.rng.random(g.integer(1, min(x.dims[axis]))) < 0.6
    condition[0] = True
    g.node("Compress", [x, g.constant(condition)], axis=axis - x.rank if g.opset >= 11 and g.chance(0.3) else axis)


@op("ReverseSequence", oldest=10)
def reverse_sequence(g, t):
    x = g.take(t, rank=range(2, 5), where=nonempty)
    time = g.integer(0, 1)
    n = x.dims[1 - time]
    if len(set(n)) > 1:
        raise Reject("a batch that varies")
    lengths = g.constant(g.rng.integers(1, min(x.dims[time]) + 1, n[0]).astype(np.int64)) if g.chance(0.7) else input_of(g, g.rng.integers(1, min(x.dims[time]) + 1, n[0]).astype(np.int64))
    a = {} if time == 0 and g.chance(0.5) else {"time_axis": time, "batch_axis": 1 - time}
    g.node("ReverseSequence", [x, lengths], **a)


@op("Einsum", types=FLOATS + ("i32", "i64"))
def einsum(g, t):
    equation = g.choice(["ij->ji", "ij,jk->ik", "bij,bjk->bik", "bij,bkj->bik", "...ij,...jk->...ik", "ij,jk", "bhid,bhjd->bhij", "i,j->ij", "ii->i", "ij->", "ij->j",
                         "...ij->...ji", "ij,ij->ij", "bnc,cd->bnd", "...i,ij", "nchw,oc->nohw", "b i j , b j k -> b i k", "...ij,jk", "ij,ij->"])
    terms = equation.split("->")[0].replace(" ", "").split(",")
    sizes, dots, inputs = {}, [g.random_dims(1)[0] for _ in range(g.integer(0, 2))], []
    for term in terms:
        dims = list(dots) if "..." in term and (term != terms[-1] or g.chance(0.7)) else []
        for c in term.replace(".", ""):
            d = sizes.get(c)
            dims.append(sizes.setdefault(c, g.random_dims(1, 4)[0] if d is None else d))
        if len(set(term.replace(".", ""))) < len(term.replace(".", "")) and isinstance(dims[0], str):
            raise Reject("a diagonal that varies")
        inputs.append(g.fresh(t, dims, -2, 2))
    if all(v.constant for v in inputs):
        raise Reject("constants alone")
    g.node("Einsum", inputs, equation=equation)


@op("HannWindow", "HammingWindow", "BlackmanWindow", types=("i32", "i64"))
def window(name, g, t):
    size = g.constant(np.array(g.integer(2, 12)), t)
    g.node(name, [size], periodic=g.choice([None, 0, 1]), output_datatype=ONNX_TYPES[g.choice(["f32", "f16", "f64"])] if g.chance(0.4) else None)
