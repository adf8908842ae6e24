# SPDX-License-Identifier: Apache-2.0
"""The reference for one node: ONNX's own evaluator, and our own words where it is known to be wrong."""
import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


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


# operator -> (why the evaluator's is not used, ours)
OWN = {
    "Div": ("rounds quotients of integers down instead of towards zero", divide),
}
