#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small TFLite classifier with the metadata that exporters add: tflite_task.tflite, beside this script.

  make_tflite_task.py

The network is written with the public schema; the metadata (range of pixels, labels in an archive behind the model, a threshold)
by tflite-support's own writer. Needs Python 3.11 with tflite-support==0.4.4, flatbuffers, numpy<2.
"""
import os
import tempfile

import flatbuffers
import numpy as np
from tflite_support import schema_py_generated as S
from tflite_support.metadata_writers import image_classifier, writer_utils

HERE = os.path.dirname(os.path.abspath(__file__))


def tensor(name, shape, kind=0, buffer=0):
    t = S.TensorT()
    t.name, t.shape, t.type, t.buffer = name, shape, kind, buffer
    return t


def operator(code, inputs, outputs, kind, options):
    o = S.OperatorT()
    o.opcodeIndex, o.inputs, o.outputs, o.builtinOptionsType, o.builtinOptions = code, inputs, outputs, kind, options
    return o


def network():
    """The mean of each colour, as probabilities."""
    m, g = S.ModelT(), S.SubGraphT()
    axes = S.BufferT()
    axes.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    m.version, m.description, m.buffers = 3, "colours", [S.BufferT(), axes]
    g.tensors = [tensor("picture", [1, 4, 4, 3]), tensor("axes", [2], 2, 1), tensor("means", [1, 3]), tensor("scores", [1, 3])]
    g.inputs, g.outputs, g.name = [0], [3], "main"
    mean, softmax = S.ReducerOptionsT(), S.SoftmaxOptionsT()
    mean.keepDims, softmax.beta = False, 4.0
    g.operators = [operator(0, [0, 1], [2], S.BuiltinOptions.ReducerOptions, mean), operator(1, [2], [3], S.BuiltinOptions.SoftmaxOptions, softmax)]
    m.subgraphs, m.operatorCodes = [g], []
    for code in (S.BuiltinOperator.MEAN, S.BuiltinOperator.SOFTMAX):
        c = S.OperatorCodeT()
        c.builtinCode = c.deprecatedBuiltinCode = code
        c.version = 1
        m.operatorCodes.append(c)
    b = flatbuffers.Builder(1024)
    b.Finish(m.Pack(b), b"TFL3")
    return bytearray(b.Output())


def main():
    with tempfile.TemporaryDirectory() as folder:
        labels = os.path.join(folder, "colours.txt")
        with open(labels, "w", encoding="utf-8") as f:
            f.write("red\ngreen\nblue\n")
        writer = image_classifier.MetadataWriter.create_for_inference(network(), [127.5], [127.5], [labels])
        writer_utils.save_file(writer.populate(), os.path.join(HERE, "tflite_task.tflite"))


main()
