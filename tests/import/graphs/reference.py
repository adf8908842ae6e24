# SPDX-License-Identifier: Apache-2.0
"""The reference for one node: ONNX's own evaluator, and our own words where it is known to be wrong."""
import math

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


erf = np.vectorize(math.erf, otypes=[np.float64])


class Refused(Exception):
    """The evaluator cannot be trusted with this node."""


class Evaluator:
    def __init__(self, proto, names, opset):
        self.proto, self.names, self.opset = proto, names, opset
        self.own = OWN.get(proto.op_type, (None, None))[1]
        if self.own is None:
            self.session = session(proto, names, opset)

    def run(self, arrays):
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
        # Each element by itself where no axis is reduced.
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
}
