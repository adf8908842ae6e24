# SPDX-License-Identifier: Apache-2.0
"""A graph under construction. Every node is computed as soon as it is added, for each size that the graph will run with: in the
types of the graph, for types and shapes, and in f64, for the values to compare with and for how far rounding may move them."""
import warnings
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import reference
from runtime import NUMPY

FLOATS = ("f32", "f16", "bf16", "f64")
INTEGERS = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
EPSILON = {"f32": 2.0**-23, "f16": 2.0**-10, "bf16": 2.0**-7, "f64": 2.0**-44}
# Below this a number may be flushed to zero.
TINY = {"f32": 1e-37, "f16": 7e-5, "bf16": 1e-37, "f64": 1e-300}
# A value that rounding may have moved farther than this part of the largest one is compared with nothing.
LOOSEST = {"f32": 1e-3, "f16": 0.06, "bf16": 0.3, "f64": 1e-6}
LARGEST = {"f32": 1e6, "f16": 500, "bf16": 1e6, "f64": 1e6}
MOST_ELEMENTS = 20000
ONNX_TYPES = {"f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16, "f64": TensorProto.DOUBLE, "i8": TensorProto.INT8,
              "u8": TensorProto.UINT8, "i16": TensorProto.INT16, "u16": TensorProto.UINT16, "i32": TensorProto.INT32, "u32": TensorProto.UINT32,
              "i64": TensorProto.INT64, "u64": TensorProto.UINT64, "bool": TensorProto.BOOL}
NAMES = {dtype: name for name, dtype in NUMPY.items()}
# Operators that move, choose or compare: what they are given without error they give without error.
EXACT = set("""Abs And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Clip Compress Concat Constant ConstantOfShape
    DepthToSpace Dropout Equal Expand EyeLike Flatten Floor Gather GatherElements GatherND GlobalMaxPool Greater GreaterOrEqual Hardmax Identity IsInf IsNaN
    Less LessOrEqual Max MaxPool MaxUnpool Min Neg NonZero Not OneHot Or Pad Range ReduceMax ReduceMin Relu Reshape ReverseSequence Round Scatter
    ScatterElements ScatterND Shape Sign Size Slice SpaceToDepth Split Squeeze ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Where
    Xor""".split())

# Close to zero they are the difference of numbers near one.
CANCELS = {"BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "MeanVarianceNormalization", "SoftmaxCrossEntropyLoss", "LogSoftmax", "Gelu", "GRU", "LSTM", "RNN", "If", "Loop", "Scan", "Resize", "AffineGrid", "DFT", "STFT", "MelWeightMatrix", "HannWindow", "HammingWindow", "BlackmanWindow"}
# Numbers that rounding makes equal, or no longer equal, are compared with nothing.
COMPARES = {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}
# Operators whose results are as long as the data says.
COUNTS = {"NonZero", "NonMaxSuppression", "Loop", "Unique"}
# Sums of products: rounding goes with the sum of their sizes, whatever is left of it.
SUMS = {"AveragePool", "Conv", "ConvTranspose", "CumSum", "Einsum", "Gemm", "GlobalAveragePool", "MatMul", "Mean", "ReduceMean", "ReduceSum", "Sum"}
# The evaluator computes these in f32 whatever the type: it knows no better than that.
IN_F32 = {"Resize", "GridSample", "AffineGrid"}
# Here only the root of this attribute.
ROOT_IN_F32 = {"Attention": "scale"}


class Reject(Exception):
    """What was drawn is not valid, or its result depends on rounding: draw again."""


@dataclass(eq=False)
class Value:
    name: str
    type: str
    x: list            # an array for each size, as the reference computes it
    exact: list        # the same in f64 where the type is a float
    error: list        # how far rounding may move each element; None where it cannot
    constant: bool = False
    readers: int = 0
    finite: bool = True
    counted: bool = False  # its size follows from data

    @property
    def rank(self):
        return self.x[0].ndim

    @property
    def dims(self):
        """Each dim as a tuple: its size for each size of the inputs."""
        # One that data decides is never the same, whatever it is in the runs that are tried.
        return [tuple(int(x.shape[i]) for x in self.x) + (-1,) * self.counted for i in range(self.rank)]

    @property
    def fixed(self):
        return not self.counted and all(x.shape == self.x[0].shape for x in self.x)

    @property
    def elements(self):
        return max(x.size for x in self.x)

    def bounds(self):
        full = [x.astype(np.float64) for x in self.x if x.size]
        return (min(x.min() for x in full), max(x.max() for x in full)) if full else (0.0, 0.0)

    def holds(self, low, high):
        lo, hi = self.bounds()
        return self.finite and low <= lo and hi <= high


@dataclass
class Graph:
    rng: np.random.Generator
    opset: int
    symbols: dict      # name of a varying dim -> its size for each run; empty: all sizes are fixed
    runs: int = 1
    values: list = field(default_factory=list)
    nodes: list = field(default_factory=list)
    inputs: list = field(default_factory=list)        # (value, dims as numbers and names)
    initializers: list = field(default_factory=list)
    operators: list = field(default_factory=list)     # of each node
    counter: int = 0

    # ---- random choices

    def chance(self, p):
        return self.rng.random() < p

    def choice(self, items):
        items = list(items)
        if not items:
            raise Reject("nothing to choose from")
        return items[int(self.rng.integers(len(items)))]

    def integer(self, low, high):
        """low <= n <= high"""
        return int(self.rng.integers(low, high + 1))

    def name(self, prefix):
        self.counter += 1
        return f"{prefix}{self.counter}"

    # ---- leaves

    def numbers(self, type, shape, low=None, high=None, distinct=False):
        n = int(np.prod(shape))
        if type == "bool":
            return self.rng.random(shape) < 0.5
        if type in INTEGERS:
            low = (0 if type[0] == "u" else -6) if low is None else low
            high = 6 if high is None else high
            return self.rng.integers(int(low), int(high) + 1, shape).astype(NUMPY[type])
        low, high = -2 if low is None else low, 2 if high is None else high
        if distinct:
            x = low + (high - low) * (self.rng.permutation(n) + 0.5) / max(1, n)
        else:
            x = self.rng.uniform(low, high, n)
        return x.reshape(shape).astype(NUMPY[type])

    def size_of(self, dim, run):
        return self.symbols[dim][run] if isinstance(dim, str) else dim

    def random_dims(self, rank, most=6):
        """Of numbers and names."""
        dims = []
        for _ in range(rank):
            if self.symbols and self.chance(0.45):
                dims.append(self.choice(self.symbols))
            else:
                dims.append(self.choice([1, 2, 3, 4, 5, 7, 8]) if most >= 6 else self.integer(1, most))
        while max(np.prod([self.size_of(d, r) for d in dims]) for r in range(self.runs)) > 3000:
            largest = max(range(rank), key=lambda i: max(self.size_of(dims[i], r) for r in range(self.runs)))
            dims[largest] = self.integer(1, 3)
        return dims

    def fresh(self, type, dims, low=None, high=None, distinct=False, constant=None):
        """A new input, or a constant."""
        fixed = all(not isinstance(d, str) for d in dims)
        if constant is None:
            constant = fixed and self.chance(0.5)
        if constant:
            if not fixed:
                raise Reject("a constant of a varying size")
            return self.constant(self.numbers(type, tuple(dims), low, high, distinct))
        x = [self.numbers(type, tuple(self.size_of(d, r) for d in dims), low, high, distinct) for r in range(self.runs)]
        v = self.leaf(self.name("x"), type, x)
        self.inputs.append((v, list(dims)))
        return v

    def leaf(self, name, type, x, constant=False):
        exact = [a.astype(np.float64) if type in FLOATS else a for a in x]
        v = Value(name, type, x, exact, [None] * self.runs, constant)
        self.values.append(v)
        return v

    def constant(self, array, type=None):
        array = np.asarray(array)
        if type:
            array = array.astype(NUMPY[type])
        v = self.leaf(self.name("c"), NAMES[array.dtype], [array] * self.runs, constant=True)
        tensor = numpy_helper.from_array(array, v.name)
        if self.chance(0.25):
            tensor = numpy_helper.from_array(array)
            self.nodes.append(helper.make_node("Constant", [], [v.name], value=tensor))
        else:
            self.initializers.append(tensor)
        return v

    def ints(self, numbers, type="i64"):
        return self.constant(np.array(numbers, NUMPY[type]))

    # ---- values to read

    def take(self, types, rank=None, where=None, low=None, high=None, most=6, dims=None, distinct=False, finite=True):
        """A value of one of these types and ranks: one there is, one made from it, or a new one."""
        types = [types] if isinstance(types, str) else list(types)
        ranks = range(0, 6) if rank is None else [rank] if isinstance(rank, int) else list(rank)
        fits = lambda v: (not finite or v.finite) and v.rank in ranks and (where is None or where(v)) and (
            low is None and high is None or v.holds(-np.inf if low is None else low, np.inf if high is None else high)) and (
            not distinct or all(len(np.unique(x)) == x.size for x in v.x))
        if dims is None and self.chance(0.85):
            type = self.choice(types)
            there = [v for v in self.values if v.type in types and fits(v)]
            of_type = [v for v in there if v.type == type] or there
            # What no node reads yet first, so that the nodes hang together.
            unread = [v for v in of_type if v.readers == 0 and not v.constant]
            if unread and self.chance(0.7):
                return self.choice(unread)
            if of_type and self.chance(0.7):
                return self.choice(of_type)
            made = self.adapted(type, ranks, fits)
            if made is not None:
                return made
        type = self.choice(types)
        for _ in range(6):
            if type == "bool" or type in INTEGERS or low is None:
                lo, hi = low, high
            else:
                lo, hi = low, high if high is not None else low + 3
            v = self.fresh(type, self.random_dims(self.choice(ranks), most) if dims is None else dims, lo, hi, distinct)
            if fits(v):
                return v
            self.drop(v)
        raise Reject("no value fits")

    def drop(self, v):
        self.values.remove(v)
        self.inputs = [i for i in self.inputs if i[0] is not v]
        self.initializers = [t for t in self.initializers if t.name != v.name]
        self.nodes = [n for n in self.nodes if v.name not in n.output]

    def adapted(self, type, ranks, fits):
        """A value that is cast, bounded, or of another rank, so that it fits; or None."""
        source = [v for v in self.values if v.finite and not v.constant and v.elements <= 3000 and v.rank >= 1]
        if not source:
            return None
        v = self.choice(source[-8:])
        try:
            if v.rank not in ranks:
                rank = self.choice(ranks)
                if rank < 1 or rank > 6:
                    return None
                if rank > v.rank:
                    axes = sorted(self.rng.choice(rank, rank - v.rank, replace=False).tolist())
                    v = self.unsqueeze(v, axes)
                else:
                    axis = self.integer(0, v.rank - 1)
                    while v.rank > rank:
                        dim = v.dims[axis % v.rank]
                        if min(dim) < 1:
                            return None
                        v = self.node("Gather", [v, self.constant(np.array(0, np.int64))], axis=axis % v.rank)[0]
            if v.type != type:
                if v.type == "bool" and type in ("bf16",):
                    return None
                if v.type in FLOATS and type in INTEGERS:
                    v = self.node("Floor", [v])[0]
                    if not v.holds(0 if type[0] == "u" else -100, 100):
                        return None
                v = self.node("Cast", [v], to=ONNX_TYPES[type])[0]
            if not fits(v) and type in ("f32", "f64", "f16"):
                v = self.node(self.choice(["Sigmoid", "Tanh", "Abs"]), [v])[0]
            return v if fits(v) else None
        except Reject:
            return None

    def unsqueeze(self, v, axes):
        if self.opset < 13:
            return self.node("Unsqueeze", [v], axes=axes)[0]
        return self.node("Unsqueeze", [v, self.ints(axes)])[0]

    def label(self, dim):
        """How an input can declare this dim: a number, the name of a varying one, or None."""
        if len(set(dim)) == 1:
            return dim[0]
        for name, sizes in self.symbols.items():
            if tuple(sizes) == dim:
                return name
        return None

    def beside(self, v, type=None, low=None, high=None, one_way=False):
        """A second operand whose shape goes with v's. one_way: it is stretched to v's shape, never the other way."""
        type = type or v.type
        if self.chance(0.7):
            there = [w for w in self.values if w.type == type and w.finite and broadcasts(v.dims, w.dims, one_way) and
                     (low is None or w.holds(low, np.inf if high is None else high))]
            if there:
                return self.choice(there)
        dims = []
        for d in v.dims[-self.integer(0, v.rank) or v.rank + 1:]:
            name = self.label(d)
            dims.append(1 if name is None or self.chance(0.2) else name)
        if not one_way and self.chance(0.1) and len(dims) == v.rank and v.rank < 5:
            dims = [self.integer(1, 3)] + dims
        return self.fresh(type, dims, low, high)

    # ---- nodes

    def node(self, op, inputs, outputs=1, keep=None, captures=(), **attributes):
        """Adds a node and computes it. inputs: values, or None where one is left out. outputs: how many, or a list of names in which
        "" is an output that is not wanted. Raises Reject, and leaves the graph as it was, where it cannot be compared."""
        names = [self.name("v") for _ in range(outputs)] if isinstance(outputs, int) else [n and self.name("v") for n in outputs]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        proto = helper.make_node(op, [v.name if v is not None else "" for v in inputs], names, **attributes)
        while proto.input and not proto.input[-1]:
            proto.input.pop()
        read = []
        for v in [*inputs, *captures]:
            if v is not None and v not in read:
                read.append(v)
        results = Computation(self, proto, read).values(names)
        self.nodes.append(proto)
        self.operators.append(op)
        for v in read:
            v.readers += 1
        self.values.extend(results)
        return results

    # ---- the whole

    def model(self, outputs=None):
        """The model, its inputs and its outputs (default: all that no node reads, and some that nodes read)."""
        if outputs is None:
            computed = {o for n in self.nodes for o in n.output}
            results = [v for v in self.values if v.name in computed and v.name not in {c for n in self.nodes if n.op_type == "Constant" for c in n.output}]
            outputs = [v for v in results if v.readers == 0 or self.chance(0.08)]
            outputs = outputs or results[-1:]
        return make_model(self, outputs)


def broadcasts(a, b, one_way=False):
    if one_way and len(b) > len(a):
        return False
    for x, y in zip(reversed(a), reversed(b)):
        if x != y and set(y) != {1} and (one_way or set(x) != {1}):
            return False
    return True


def make_model(graph, outputs, cut=()):
    """A model of the nodes that the outputs need. cut: values that become inputs. Returns model, inputs, outputs."""
    cut = {v.name for v in cut}
    wanted, nodes = {v.name for v in outputs}, []
    for n in reversed(graph.nodes):
        if not wanted.intersection(n.output) or all(o in cut for o in n.output if o in wanted):
            continue
        nodes.insert(0, n)
        wanted.update(names_read(n))
    made = {o for n in nodes for o in n.output}
    inputs = [(v, dims) for v, dims in graph.inputs if v.name in wanted and v.name not in made]
    symbols = {}
    for v in graph.values:
        if v.name in cut and v.name in wanted:
            dims = []
            for d in v.dims:
                dims.append(graph.label(d) if graph.label(d) is not None else symbols.setdefault(d, f"s{len(symbols)}"))
            inputs = [i for i in inputs if i[0] is not v] + [(v, dims)]
    for n in nodes:  # a value that is cut is not also computed
        for i, o in enumerate(n.output):
            if o in cut:
                nodes[nodes.index(n)] = n = onnx.NodeProto.FromString(n.SerializeToString())
                n.output[i] = o + "_unused"
    initializers = [t for t in graph.initializers if t.name in wanted and t.name not in cut]
    info = [helper.make_tensor_value_info(v.name, ONNX_TYPES[v.type], dims) for v, dims in inputs]
    out = [helper.make_tensor_value_info(v.name, ONNX_TYPES[v.type], [graph.label(d) for d in v.dims]) for v in outputs]
    proto = helper.make_graph(nodes, "random", info, out, initializers)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", graph.opset)], ir_version=ir_version(graph.opset), producer_name="tern tests")
    return model, [v for v, _ in inputs], outputs


def check_types(graph, model):
    """Rejects a graph that ONNX's own rules find wrong, or give other types than the evaluator."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True)
    except Exception as e:
        raise Reject(f"not valid: {str(e)[:300]}") from None
    types = {v.name: v for v in graph.values}
    for info in inferred.graph.value_info:
        want = ONNX_TYPES[types[info.name].type] if info.name in types else 0
        if want and info.type.tensor_type.elem_type not in (want, 0):
            raise Reject(f"{info.name} is of another type")


def names_read(node):
    names = set(node.input)
    for a in node.attribute:
        for g in [a.g] if a.HasField("g") else a.graphs:
            inside = {i.name for i in g.input} | {t.name for t in g.initializer}
            for n in g.node:
                names |= names_read(n) - inside
                inside |= set(n.output)
            names |= {o.name for o in g.output} - inside
    return names - {""}


def ir_version(opset):
    return min(10, 3 if opset < 8 else 4 if opset < 10 else 6 if opset < 12 else 8 if opset < 19 else 10)


class Computation:
    """One node, computed for each size: as it is, in f64, and in f64 from inputs moved as rounding may move them."""

    def __init__(self, graph, proto, read):
        self.graph, self.proto, self.read = graph, proto, read
        computes = any(a.name == "reduction" and a.s in (b"add", b"mul") for a in proto.attribute)
        self.exact_operator = proto.op_type in EXACT and not computes
        try:
            self.evaluator = self.wide = reference.Evaluator(proto, [v.name for v in read], graph.opset)
            if any(a.HasField("g") for a in proto.attribute):
                self.wide = reference.Evaluator(reference.with_wide_bodies(proto), [v.name for v in read], graph.opset)
        except Exception as e:
            raise Reject(f"{proto.op_type}: {type(e).__name__}: {str(e)[:200]}") from None

    def run(self, arrays, wide=True):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return (self.wide if wide else self.evaluator).run(arrays)
            except reference.Refused as e:
                raise Reject(str(e)) from None
            except Exception as e:  # the evaluator raises what it likes for what is not valid
                raise Reject(f"{self.proto.op_type}: {type(e).__name__}: {str(e)[:200]}") from None

    def epsilon(self, results):
        """Rounding of this node: that of its narrowest float."""
        types = [w.type for w in self.read if w.type in FLOATS] + [NAMES[r.dtype] for r in results if r is not None and NAMES.get(r.dtype) in FLOATS]
        kind = self.proto.op_type
        in_f32 = kind in IN_F32 or any(a.name == ROOT_IN_F32.get(kind) for a in self.proto.attribute)
        return max([EPSILON[t] for t in types] + [EPSILON["f32"]] * in_f32, default=0.0)

    def moved(self, run, signs, by_error, by_rounding, times):
        """Inputs moved by what is behind them, and by this node's own rounding, each element up or down as `signs` says."""
        moved = []
        for v, sign in zip(self.read, signs):
            x = v.exact[run]
            if v.type in FLOATS:
                step = np.zeros(x.shape)
                if by_error and v.error[run] is not None:
                    step = step + v.error[run]
                if by_rounding:
                    step = step + by_rounding * np.abs(x)
                with np.errstate(all="ignore"):
                    x = x + times * step * sign
            moved.append(x)
        return moved

    def values(self, names):
        g = self.graph
        rows = {n: ([], [], []) for n in names if n}
        types, finite, all_constant = {}, {n: True for n in rows}, all(v.constant for v in self.read)
        for run in range(g.runs):
            native = self.run([v.x[run] for v in self.read], wide=False)
            precise = self.run([v.exact[run] for v in self.read])
            eps = self.epsilon(native)
            loose = any(v.error[run] is not None for v in self.read)
            inexact = eps and not self.exact_operator
            if loose and self.proto.op_type in COMPARES and len(self.read) == 2:
                a, b = (v.exact[run] for v in self.read)
                with np.errstate(all="ignore"):
                    if (np.abs(a - b) <= 8 * sum(0 if v.error[run] is None else v.error[run] for v in self.read)).any():
                        raise Reject("rounding decides a comparison")
            trials, own = [], []
            signs = [g.rng.choice([-1.0, 1.0], v.exact[run].shape) for v in self.read]
            if loose:
                trials = [self.run(self.moved(run, signs, True, 0, times)) for times in (1, -1, 8, -8)]
            if inexact:
                own = [self.run(self.moved(run, signs, False, eps, times)) for times in (1, -8)]
            mass = None
            if inexact and self.proto.op_type in SUMS:
                mass = self.run([np.abs(v.exact[run]) if v.type in FLOATS else v.exact[run] for v in self.read])
            for i, name in enumerate(names):
                if not name:
                    continue
                x, y = native[i], precise[i]
                if not isinstance(x, np.ndarray):
                    x, y = np.asarray(x), np.asarray(y)
                type = NAMES.get(x.dtype)
                if type is None or x.size > MOST_ELEMENTS or x.ndim > 8:
                    raise Reject("an output that is no tensor of numbers, or too large")
                if types.setdefault(name, type) != type or x.shape != np.shape(y):
                    raise Reject("types or shapes differ between runs")
                for t in trials + own:
                    if np.shape(t[i]) != np.shape(y):
                        raise Reject("a shape that rounding decides")
                error = None
                if type in FLOATS:
                    y = np.asarray(y, np.float64)
                    error = self.error(type, x, y, [np.asarray(t[i], np.float64) for t in trials], [np.asarray(t[i], np.float64) for t in own], eps if inexact else 0)
                    if mass is not None:
                        error = error + 2 * eps * np.nan_to_num(np.abs(np.asarray(mass[i], np.float64)))
                    if self.proto.op_type in ("Cast", "CastLike") and any(v.type in FLOATS and EPSILON[v.type] < EPSILON[type] for v in self.read):
                        error = (0 if error is None else error) + EPSILON[type] / 2 * np.abs(y) if loose else error
                    finite[name] = finite[name] and bool(np.isfinite(y).all())
                    if finite[name] and y.size and np.abs(y).max() > LARGEST[type]:
                        raise Reject("large numbers")
                else:
                    y = x
                    if type in ("i32", "u32", "i64", "u64") and x.size and np.abs(x.astype(np.float64)).max() > 2**20:
                        finite[name] = False  # sums of such may wrap around, which is nobody's rule
                    for t in [precise] + trials + own:
                        if not np.array_equal(np.asarray(t[i]).astype(x.dtype), x):
                            raise Reject("rounding decides an integer")
                for row, item in zip(rows[name], (x, y, error)):
                    row.append(item)
        # One with zeros and infinities in a chain tells little; at its end it tells whether they stand where they should.
        if any(types[n] in FLOATS and not finite[n] for n in finite) and not g.chance(0.15):
            raise Reject("not finite")
        counted = (self.proto.op_type in COUNTS or any(v.counted for v in self.read))
        result = []
        for n in names:
            if not n:
                continue
            if len({a.ndim for a in rows[n][0]}) != 1:
                raise Reject("a rank that varies")
            result.append(Value(n, types[n], *rows[n], constant=all_constant, finite=finite[n], counted=counted))
        return result

    def error(self, type, x, y, trials, own, eps):
        with np.errstate(all="ignore"):
            for t in trials + own:
                if (np.isnan(t) != np.isnan(y)).any() or (np.isinf(t) != np.isinf(y)).any():
                    raise Reject("rounding decides what is a number")
            good = np.isfinite(y)
            base = np.where(good, y, 0)
            away = lambda t: np.abs(np.where(good, t, 0) - base)
            error = np.zeros(y.shape)
            if trials:
                error = error + 1.25 * np.maximum.reduce([away(trials[0]), away(trials[1]), away(trials[2]) / 8, away(trials[3]) / 8])
            if own:
                error = error + 8 * away(own[0]) + away(own[1]) + 8 * eps * np.abs(base)
            if not trials and not own:
                if eps == 0 and not np.array_equal(np.where(good, x.astype(np.float64), 0), base):
                    raise Reject("the reference disagrees with itself")
                return None
            error = error + TINY[type]
            scale = np.abs(base).max(initial=1e-3)
            if self.proto.op_type in CANCELS:
                error = error + eps * max([1.0] + [float(np.abs(v.exact[run]).max(initial=0)) for run in range(self.graph.runs) for v in self.read if v.finite and v.type in FLOATS])
            if error.size and error.max() > LOOSEST[type] * scale:
                raise Reject("rounding moves it too far")
            own_difference = np.abs(np.where(good, x.astype(np.float64), 0) - base)
            if np.isfinite(own_difference).all() and (own_difference > 4 * error + 4 * EPSILON[type] * np.abs(base) + TINY[type]).any():
                raise Reject("the reference disagrees with itself")
            return error
