# SPDX-License-Identifier: Apache-2.0
"""How operators with sub-graphs are drawn."""
import numpy as np
from onnx import helper, numpy_helper

from graph import ONNX_TYPES, Reject
from operators import FLOATS, op

STEPS = ["Add", "Mul", "Sub", "Max", "Tanh", "Sigmoid", "Neg", "Abs"]


def tensor_info(g, name, type, dims=None):
    return helper.make_tensor_value_info(name, ONNX_TYPES[type], dims)


def steps(g, nodes, name, others, count, integers=False):
    """Appends some nodes that keep the shape of the value `name`; others: names that may be the second operand. The last name."""
    for _ in range(count):
        kind = g.choice([s for s in STEPS if s not in ("Tanh", "Sigmoid")] if integers else STEPS)
        if kind in ("Max",) and g.opset < 8:
            kind = "Add"
        out = g.name("b")
        nodes.append(helper.make_node(kind, [name, g.choice(others)] if kind in STEPS[:4] else [name], [out]))
        name = out
    return name


def inner_constant(g, nodes, array):
    name = g.name("k")
    nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(array))))
    return name


@op("If", types=("bool",))
def if_(g, t):
    kind = g.choice(["data", "data", "size", "constant"])
    x = g.take(("f32", "f32", "f64", "i32"), rank=range(1, 4), where=lambda v: v.elements < 600)
    if kind == "data":
        condition = g.fresh("bool", [], constant=False)
    elif kind == "constant":
        condition = g.constant(np.array(g.chance(0.5)))
    else:
        s = g.node("Shape", [x])[0]
        d = g.node("Gather", [s, g.constant(np.array(g.integer(0, x.rank - 1), np.int64))], axis=0)[0]
        condition = g.node(g.choice(["Less", "Greater"]) if g.opset >= 9 else "Equal", [d, g.constant(np.array(g.integer(2, 12), np.int64))])[0]
    others = [v for v in g.values if v.type == x.type and v.finite and v.rank == x.rank and v.dims == x.dims] or [x]
    outs, branches, captured = g.integer(1, 2), [], []
    for side in range(2):
        nodes, names = [], []
        for _ in range(outs):
            second = [g.choice(others) for _ in range(2)]
            captured += second + [x]
            names.append(steps(g, nodes, x.name, [v.name for v in second], g.integer(1, 3), x.type == "i32"))
        branches.append(helper.make_graph(nodes, f"branch{side}", [], [tensor_info(g, n, x.type) for n in names]))
    g.node("If", [condition], outs, captures=captured, then_branch=branches[0], else_branch=branches[1])


@op("Loop", types=("i64",))
def loop(g, t):
    x = g.take(("f32", "f32", "f64"), rank=range(0, 3), where=lambda v: v.elements < 200)
    carried = g.integer(1, 2)
    starts = [x] + [g.beside(x, one_way=True) for _ in range(carried - 1)]
    starts = [v if v.dims == x.dims else x for v in starts]
    capture = g.choice([v for v in g.values if v.type == x.type and v.finite and v.dims == x.dims])
    nodes, i, go = [], g.name("i"), g.name("go")
    states = [g.name("s") for _ in starts]
    half = inner_constant(g, nodes, np.array(0.5, x.x[0].dtype))
    ends = []
    for s in states:
        out = steps(g, nodes, s, states + [capture.name], g.integer(1, 2))
        scaled = g.name("b")
        nodes.append(helper.make_node("Mul", [out, half], [scaled]))
        ends.append(scaled)
    keep_going = g.name("b")
    stop = g.chance(0.3) and g.opset >= 9
    if stop:
        last = inner_constant(g, nodes, np.array(g.integer(1, 3), np.int64))
        nodes.append(helper.make_node("Less", [i, last], [keep_going]))
    else:
        nodes.append(helper.make_node("Identity", [go], [keep_going]))
    scans = []
    for _ in range(g.integer(0, 2)):
        out = g.name("b")
        if g.chance(0.3):
            nodes.append(helper.make_node("Identity", [i], [out]))
            scans.append((out, "i64"))
        else:
            nodes.append(helper.make_node("Tanh", [g.choice(ends)], [out]))
            scans.append((out, x.type))
    body = helper.make_graph(nodes, "body", [tensor_info(g, i, "i64", []), tensor_info(g, go, "bool", [])] + [tensor_info(g, s, x.type) for s in states],
                             [tensor_info(g, keep_going, "bool", [])] + [tensor_info(g, e, x.type) for e in ends] + [tensor_info(g, *s) for s in scans])
    trips = g.constant(np.array(g.integer(1, 5), np.int64)) if g.chance(0.6) else g.fresh("i64", [], 1, 5, constant=False)
    if stop and g.chance(0.3):
        trips = None
    condition = g.constant(np.array(True)) if trips is None or g.chance(0.5) else None
    g.node("Loop", [trips, condition] + starts, carried + len(scans), captures=[capture], body=body)
