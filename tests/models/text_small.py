# SPDX-License-Identifier: Apache-2.0
"""Small models for the tests of reading text, which say by colours what is written:  text_small.py golden/text

  bright.onnx    a detector: what has a bright channel is text
  colours.onnx   a recogniser of lines 48 pixels high, one place for 8 columns: white is the blank, red the first
                 character, green the second, blue the third, yellow a space
  named.onnx     the same; its metadata bring the characters
  halves.onnx    a direction: a line whose right half is brighter is upside down
The picture input is [batch, 3 (B G R), height, width], -1..1.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model(name, nodes, x, y, constants, **metadata):
    info = lambda n, dims: helper.make_tensor_value_info(n, TensorProto.FLOAT, dims)
    graph = helper.make_graph(nodes, name, [info("x", x)], [info("y", y)],
                              [numpy_helper.from_array(v, k) for k, v in constants.items()])
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(m, metadata)
    onnx.checker.check_model(m)
    onnx.save(m, f"{sys.argv[1]}/{name}.onnx")


node = helper.make_node
ints = lambda *v: np.array(v, np.int64)
twenty = {"twenty": np.array(20, np.float32)}
model("bright",
      [node("ReduceMax", ["x"], ["most"], axes=[1], keepdims=1), node("Mul", ["most", "twenty"], ["far"]),
       node("Sigmoid", ["far"], ["y"])],
      ["batch", 3, "height", "width"], ["batch", 1, "height", "width"], twenty)
# Rows: B, G, R. Columns: white, red, green, blue, yellow.
weights = 20 * np.array([[1, -1, -1, 1, -1], [1, -1, 1, -1, 1], [1, 1, -1, -1, 1]], np.float32)
for name, metadata in (("colours", {}), ("named", {"character": "\"\nB\n\u4e2d\n"})):
    model(name,
          [node("AveragePool", ["x"], ["places"], kernel_shape=[48, 8], strides=[48, 8]),
           node("Squeeze", ["places", "axis"], ["row"]), node("Transpose", ["row"], ["rows"], perm=[0, 2, 1]),
           node("MatMul", ["rows", "weights"], ["far"]), node("Softmax", ["far"], ["y"], axis=2)],
          ["batch", 3, 48, "width"], ["batch", "places", 5], {"axis": ints(2), "weights": weights}, **metadata)
half = lambda name: [node("Slice", ["x", f"{name}_begin", f"{name}_end", "axis"], [name]),
                     node("ReduceMean", [name], [f"{name}_mean"], axes=[1, 2], keepdims=0),
                     node("ReduceMean", [f"{name}_mean"], [f"{name}_all"], axes=[1], keepdims=1)]
model("halves",
      half("left") + half("right") +
      [node("Concat", ["left_all", "right_all"], ["both"], axis=1), node("Mul", ["both", "twenty"], ["far"]),
       node("Softmax", ["far"], ["y"], axis=1)],
      ["batch", 3, 48, 192], ["batch", 2],
      {**twenty, "axis": ints(3), "left_begin": ints(0), "left_end": ints(96), "right_begin": ints(96),
       "right_end": ints(192)})
