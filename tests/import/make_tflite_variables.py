#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TFLite models with resource variables, and what LiteRT gives in several runs of each.

  make_tflite_variables.py

Writes tflite_variables.bin beside this script, in the form of tflite_cases.bin: the inputs of all runs one after another, then
their outputs; models that misuse variables have neither. Needs what make_tflite_cases.py needs.
"""
import os
import struct
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from make_tflite_cases import HERE, Graph, Model, S, rand, tensor_bytes

RUNS = 5
RESOURCE = 13


class Variables:
    """Handles by name, and the sub-graph that CALL_ONCE runs."""

    def __init__(self, g):
        self.g, self.first = g, None

    def handle(self, g, name, container=""):
        return g.op("VAR_HANDLE", [], ("VarHandleOptions", dict(sharedName=name, container=container)), output_kw=dict(raw_type=RESOURCE), shape=[1])

    def initial(self, **values):
        inner = Graph(self.g.model)
        for name, value in values.items():
            kw = value[1] if isinstance(value, tuple) else {}
            array = value[0] if isinstance(value, tuple) else value
            inner.op("ASSIGN_VARIABLE", [self.handle(inner, name), inner.tensor(array.shape, str(array.dtype), data=array, **kw)], outputs=0, dtype=[])
        self.g.op("CALL_ONCE", [], ("CallOnceOptions", dict(initSubgraphIndex=len(self.g.model.m.subgraphs) - 1)), outputs=0, dtype=[])

    def read(self, name, shape, dtype="float32", **kw):
        return self.g.op("READ_VARIABLE", [self.handle(self.g, name)], dtype=dtype, shape=shape, output_kw=kw)

    def assign(self, name, v):
        self.g.op("ASSIGN_VARIABLE", [self.handle(self.g, name), v], outputs=0, dtype=[])


def ring(g):
    """The last four rows, which begin as something."""
    v = Variables(g)
    x = g.input(rand(2, 3))
    v.initial(rows=np.arange(12, dtype="float32").reshape(4, 3))
    old = v.read("rows", [4, 3])
    tail = g.op("SLICE", [old, g.const([2, 0]), g.const([2, 3])], shape=[2, 3])
    new = g.op("CONCATENATION", [tail, x], ("ConcatenationOptions", dict(axis=0)), shape=[4, 3])
    v.assign("rows", new)
    g.out(g.op("ADD", [v.read("rows", [4, 3]), old], ("AddOptions", {}), shape=[4, 3]))


def swap(g):
    """Two variables change places; a third is read and never written, a fourth written before it is read."""
    v = Variables(g)
    x = g.input(rand(2))
    v.initial(a=np.array([1, 2], "float32"), b=np.array([30, 40], "float32"), c=np.array([500, 600], "float32"))
    a, b = v.read("a", [2]), v.read("b", [2])
    v.assign("a", b)
    v.assign("b", a)
    v.assign("d", x)
    sums = g.op("ADD", [v.read("c", [2]), v.read("d", [2])], ("AddOptions", {}), shape=[2])
    g.out(g.op("PACK", [a, b, sums], ("PackOptions", dict(valuesCount=3, axis=0)), shape=[3, 2]))


def counter(g):
    """Whole numbers; and zeros to begin with."""
    v = Variables(g)
    x = g.input(rand(3))
    v.initial(count=np.array([-7], "int32"), total=np.zeros(3, "float32"))
    n = g.op("ADD", [v.read("count", [1], "int32"), g.const(np.array(2, "int32"))], ("AddOptions", {}), dtype="int32", shape=[1])
    v.assign("count", n)
    total = g.op("ADD", [v.read("total", [3]), x], ("AddOptions", {}), shape=[3])
    v.assign("total", total)
    g.out(n, total)


def quantized(g):
    """A stream of int8, as wake words have it: it begins at the zero point."""
    v = Variables(g)
    q = dict(scale=0.5, zero=-128)
    x = g.input(rand(1, 2, low=0, high=100))
    v.initial(stream=(np.full((3, 2), -128, "int8"), q))
    new = g.op("QUANTIZE", [x], dtype="int8", shape=[1, 2], output_kw=q)
    tail = g.op("SLICE", [v.read("stream", [3, 2], "int8", **q), g.const([1, 0]), g.const([2, 2])], dtype="int8", shape=[2, 2], output_kw=q)
    stream = g.op("CONCATENATION", [tail, new], ("ConcatenationOptions", dict(axis=0)), dtype="int8", shape=[3, 2], output_kw=q)
    v.assign("stream", stream)
    g.out(g.op("DEQUANTIZE", [stream], shape=[3, 2]))


def kept(g, *shape):
    i = g.tensor(shape)
    g.g.tensors[i].isVariable = True
    return i


def sequence_rnn(major, activation):
    def fill(g):
        small = lambda *shape: g.const(rand(*shape, low=-0.4, high=0.4))
        ins = [g.input(rand(4, 2, 3) if major else rand(2, 4, 3)), small(5, 3), small(5, 5), small(5), kept(g, 2, 5)]
        options = ("SequenceRNNOptions", dict(timeMajor=major, fusedActivationFunction=activation))
        g.out(g.op("UNIDIRECTIONAL_SEQUENCE_RNN", ins, options, shape=[4, 2, 5] if major else [2, 4, 5]))
    return fill


def sequence_lstm(major, coupled, peepholes):
    def fill(g):
        small = lambda *shape: g.const(rand(*shape, low=-0.7, high=0.7))
        gates = lambda *shape: [-1 if coupled and k == 0 else small(*shape) for k in range(4)]
        ins = [g.input(rand(4, 2, 3) if major else rand(2, 4, 3))] + gates(5, 3) + gates(5, 5)
        ins += [-1 if coupled and k == 0 or not peepholes else small(5) for k in range(3)] + gates(5)
        ins += [-1, -1, kept(g, 2, 5), kept(g, 2, 5), -1, -1, -1, -1]
        options = ("UnidirectionalSequenceLSTMOptions", dict(fusedActivationFunction=4, timeMajor=major))
        g.out(g.op("UNIDIRECTIONAL_SEQUENCE_LSTM", ins, options, shape=[4, 2, 5] if major else [2, 4, 5]))
    return fill


FILL = {"ring": ring, "swap": swap, "counter": counter, "quantized": quantized,
        "sequence_rnn": sequence_rnn(True, 4), "sequence_rnn_relu": sequence_rnn(False, 1),
        "sequence_lstm": sequence_lstm(False, False, False), "sequence_lstm_peepholes": sequence_lstm(True, False, True),
        "sequence_lstm_coupled": sequence_lstm(False, True, True)}


def find(m, graph, name, nth=0):
    code = getattr(S.BuiltinOperator, name)
    return [op for op in m.subgraphs[graph].operators if m.operatorCodes[op.opcodeIndex].builtinCode == code][nth]


def tensor_of(m, graph, index):
    return m.subgraphs[graph].tensors[index]


def read_in_initialiser(m):
    m.subgraphs[1].tensors.append(tensor_of(m, 0, find(m, 0, "READ_VARIABLE").outputs[0]))
    op = S.OperatorT()
    op.opcodeIndex = find(m, 0, "READ_VARIABLE").opcodeIndex
    op.inputs, op.outputs = [find(m, 1, "VAR_HANDLE").outputs[0]], [len(m.subgraphs[1].tensors) - 1]
    m.subgraphs[1].operators.append(op)


# What is done to `ring`.
MISUSE = {
    "unknown": lambda m: setattr(find(m, 0, "VAR_HANDLE").builtinOptions, "sharedName", "nobody"),
    "container": lambda m: setattr(find(m, 0, "VAR_HANDLE").builtinOptions, "container", "other"),
    "no_handle": lambda m: find(m, 0, "READ_VARIABLE").inputs.__setitem__(0, m.subgraphs[0].inputs[0]),
    "handle_assigned": lambda m: find(m, 0, "ASSIGN_VARIABLE").inputs.__setitem__(1, find(m, 0, "VAR_HANDLE").outputs[0]),
    "handle_added": lambda m: find(m, 0, "ADD").inputs.__setitem__(1, find(m, 0, "VAR_HANDLE").outputs[0]),
    "handle_returned": lambda m: m.subgraphs[0].outputs.__setitem__(0, find(m, 0, "VAR_HANDLE").outputs[0]),
    "handle_type": lambda m: setattr(tensor_of(m, 0, find(m, 0, "VAR_HANDLE").outputs[0]), "type", 0),
    "read_type": lambda m: setattr(tensor_of(m, 0, find(m, 0, "READ_VARIABLE").outputs[0]), "type", 2),
    "assign_shape": lambda m: find(m, 0, "ASSIGN_VARIABLE").inputs.__setitem__(1, m.subgraphs[0].inputs[0]),
    "no_options": lambda m: setattr(find(m, 0, "VAR_HANDLE"), "builtinOptionsType", 0),
    "init_itself": lambda m: setattr(find(m, 0, "CALL_ONCE").builtinOptions, "initSubgraphIndex", 0),
    "init_negative": lambda m: setattr(find(m, 0, "CALL_ONCE").builtinOptions, "initSubgraphIndex", -1),
    "init_beyond": lambda m: setattr(find(m, 0, "CALL_ONCE").builtinOptions, "initSubgraphIndex", 2),
    "init_empty": lambda m: setattr(tensor_of(m, 1, find(m, 1, "ASSIGN_VARIABLE").inputs[1]), "buffer", 0),
    "init_reads": read_in_initialiser,
}


def record(name, model, feeds, outs):
    parts = [struct.pack("<I", len(name)), name.encode(), struct.pack("<I", len(model)), model]
    for list_ in (feeds, outs):
        parts += [struct.pack("<I", len(list_))] + [tensor_bytes(a) for a in list_]
    return b"".join(parts)


def main():
    records = []
    for name, fill in FILL.items():
        model = Model()
        g = Graph(model)
        fill(g)
        data = model.bytes()
        interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
        feeds, outs = [], []
        for run in range(RUNS):
            for detail, first in zip(interpreter.get_input_details(), g.feeds):
                x = first + np.float32(run)
                interpreter.set_tensor(detail["index"], x)
                feeds.append(x)
            interpreter.invoke()
            outs += [np.array(interpreter.get_tensor(d["index"])) for d in interpreter.get_output_details()]
        records.append(record(name, data, feeds, outs))
    for name, change in MISUSE.items():
        model = Model()
        ring(Graph(model))
        change(model.m)
        records.append(record(name, model.bytes(), [], []))
    with open(os.path.join(HERE, "tflite_variables.bin"), "wb") as f:
        f.write(struct.pack("<I", len(records)) + b"".join(records))
    print("%d cases" % len(records))


if __name__ == "__main__":
    sys.exit(main())
