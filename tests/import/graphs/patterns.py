# SPDX-License-Identifier: Apache-2.0
"""What exporters write around sizes: chains of integers that begin at a Shape and end in a Reshape, Slice, Pad, Resize or the like."""
import numpy as np

from graph import Reject
from operators import dim_of, nonempty

FLOATS = ("f32", "f32", "f16", "f64")


def one(g, number):
    return g.ints([number])


def calculate(g, op, a, b):
    return g.node(op, [a, b])[0]


def joined(g, parts):
    return g.node("Concat", parts, axis=0)[0]


def cut(g, x, start, end, axis, step=1):
    """Slice with computed ends ([1] each)."""
    inputs = [x, start, end, one(g, axis)] + ([one(g, step)] if step != 1 else [])
    return g.node("Slice", inputs)[0]


def source(g, rank, least=1):
    return g.take(g.choice(FLOATS), rank=rank, where=lambda v: nonempty(v) and v.elements < 1500 and all(min(d) >= least for d in v.dims))


def pad_to_multiple(g):
    x = source(g, 4)
    k = g.choice([4, 8, 32] if x.elements < 300 else [2, 4])
    ends = []
    for axis in (2, 3):
        left = calculate(g, "Mod", dim_of(g, x, axis), one(g, k))
        ends.append(calculate(g, "Mod", calculate(g, "Sub", one(g, k), left), one(g, k)))
    zero = one(g, 0)
    g.node("Pad", [x, joined(g, [zero, zero, zero, zero, zero, zero] + ends)])


def pad_to_square(g):
    x = source(g, 4)
    h, w = dim_of(g, x, 2), dim_of(g, x, 3)
    side = calculate(g, "Max", h, w)
    zero = one(g, 0)
    g.node("Pad", [x, joined(g, [zero] * 6 + [calculate(g, "Sub", side, h), calculate(g, "Sub", side, w)])])


def top_of_few(g):
    x = source(g, g.choice([1, 2]))
    axis = x.rank - 1
    k = calculate(g, "Min", dim_of(g, x, axis), one(g, g.choice([3, 5, 10])))
    g.node("TopK", [x, k], 2, axis=-1)


def crop(g):
    x = source(g, g.choice([2, 3, 4]), least=1)
    axis = g.integer(0, x.rank - 1)
    d = dim_of(g, x, axis)
    half = calculate(g, "Div", d, one(g, 2))
    kind = g.choice(["front", "back", "middle"])
    if kind == "front":
        cut(g, x, one(g, 0), calculate(g, "Sub", d, half), axis)
    elif kind == "back":
        cut(g, x, half, d, axis)
    else:
        quarter = calculate(g, "Div", d, one(g, 4))
        cut(g, x, quarter, calculate(g, "Add", quarter, half), axis)


def halves(g):
    """x cut in the middle and put together the other way round."""
    x = source(g, g.choice([1, 2, 3]))
    axis = g.integer(0, x.rank - 1)
    d = dim_of(g, x, axis)
    half = calculate(g, "Div", d, one(g, 2))
    a, b = cut(g, x, one(g, 0), half, axis), cut(g, x, half, one(g, 2**31 - 1), axis)
    g.node("Concat", [b, a], axis=axis)


def positions(g):
    """0, 1, .. n - 1 beside the data, as position embeddings and masks are made."""
    x = source(g, g.choice([2, 3]))
    axis = x.rank - 2
    n = g.node("Squeeze", [dim_of(g, x, axis), g.ints([0])])[0] if g.opset >= 13 else g.node("Squeeze", [dim_of(g, x, axis)], axes=[0])[0]
    steps = g.node("Range", [g.constant(np.array(0, np.int64)), n, g.constant(np.array(1, np.int64))])[0]
    column = g.unsqueeze(steps, [1])
    kind = g.choice(["add", "mask"])
    if kind == "add":
        g.node("Add", [x, g.node("Cast", [column], to={"f32": 1, "f16": 10, "f64": 11}[x.type])[0]])
    else:
        row = g.unsqueeze(steps, [0])
        g.node("Cast", [g.node(g.choice(["Less", "Greater"]), [row, column])[0]], to=1)


def filled(g):
    x = source(g, g.choice([2, 3]))
    dims = [dim_of(g, x, a) for a in range(x.rank)]
    k = g.integer(0, x.rank - 1)
    dims[k] = calculate(g, g.choice(["Add", "Mul"]), dims[k], one(g, 2))
    zeros = g.node("ConstantOfShape", [joined(g, dims)])[0]
    if x.type == "f32":
        g.node("Concat", [x, zeros], axis=k)


def expanded(g):
    x = source(g, g.choice([2, 3]))
    y = g.unsqueeze(x, [1])
    parts = [dim_of(g, x, 0), one(g, g.choice([2, 3]))] + [dim_of(g, x, a) for a in range(1, x.rank)]
    z = g.node("Expand", [y, joined(g, parts)])[0]
    flat = [calculate(g, "Mul", parts[0], parts[1])] + parts[2:]
    g.node("Reshape", [z, joined(g, flat)])


def resized(g):
    """A picture brought to the size of another, or to half of its own, rounded down."""
    x = source(g, 4, least=2)
    front = g.node("Slice", [g.node("Shape", [x])[0], one(g, 0), one(g, 2), one(g, 0)])[0]
    k = g.choice([2, 3])
    sizes = [calculate(g, "Div", calculate(g, "Add", dim_of(g, x, a), one(g, k - 1)), one(g, k)) if g.chance(0.5) else calculate(g, "Mul", dim_of(g, x, a), one(g, 2)) for a in (2, 3)]
    empty = None if g.opset >= 13 else g.constant(np.zeros(0, np.float32))
    g.node("Resize", [x, empty, empty, joined(g, [front] + sizes)], mode=g.choice(["nearest", "linear"]),
           coordinate_transformation_mode=g.choice(["asymmetric", "half_pixel"]), nearest_mode="floor")


def repeated(g):
    x = source(g, 2)
    g.node("Tile", [x, joined(g, [one(g, 1), calculate(g, "Min", dim_of(g, x, 0), one(g, 3))])])


def chosen(g):
    """A size that a comparison chooses."""
    x = source(g, g.choice([2, 3]))
    d = dim_of(g, x, 0)
    small = g.node(g.choice(["Less", "Greater"]), [d, one(g, g.choice([4, 9]))])[0]
    n = g.node("Where", [small, d, one(g, 4) if g.chance(0.5) else calculate(g, "Add", calculate(g, "Div", d, one(g, 2)), one(g, 1))])[0]
    cut(g, x, one(g, 0), n, 0)


def unet(g):
    """Down by a pool, up by a resize, cut to the size it had, and added."""
    x = source(g, 4, least=2)
    down = g.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=g.choice([0, 1]))[0]
    empty = None if g.opset >= 13 else g.constant(np.zeros(0, np.float32))
    up = g.node("Resize", [down, empty, g.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")[0]
    h, w = (calculate(g, "Sub", dim_of(g, x, a), dim_of(g, up, a)) for a in (2, 3))
    zero = one(g, 0)
    same = g.node("Pad", [up, joined(g, [zero] * 6 + [h, w])], mode="constant")[0]
    g.node("Add", [x, same])


def windows(g):
    """A row cut into windows that its length is a multiple of after padding."""
    x = source(g, 3)
    k = g.choice([2, 4])
    n = dim_of(g, x, 1)
    more = calculate(g, "Mod", calculate(g, "Sub", one(g, k), calculate(g, "Mod", n, one(g, k))), one(g, k))
    zero = one(g, 0)
    padded = g.node("Pad", [x, joined(g, [zero] * 4 + [more, zero])])[0]
    count = calculate(g, "Div", calculate(g, "Add", n, more), one(g, k))
    g.node("Reshape", [padded, joined(g, [dim_of(g, x, 0), count, one(g, k), dim_of(g, x, 2)])])


PATTERNS = [pad_to_multiple, pad_to_square, top_of_few, crop, halves, positions, filled, expanded, resized, repeated, chosen, unet, windows]
OLDEST = 12  # integers in Min and Max, sizes as inputs everywhere


def draw(g):
    if g.opset >= OLDEST:
        g.choice(PATTERNS)(g)
    else:
        raise Reject("an old set")
