#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes values.h: results of ONNX Runtime for the operators whose references have rules that are easy to get wrong, and for
those that are made of others: nothing else tells whether their decomposition is what they should be.

    python3 -m pip install onnx onnxruntime && python3 tests/ops/make_values.py > tests/ops/values.h

Element i of float input k is ((7 * i + 3 * k) % 11 - 5) / 4, as in values_test.cpp, unless the line has its content. Pictures are
NHWC here, NCHW there. A result is all outputs, one after the other.
"""
import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper


def pattern(shape, k):
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    return (((7 * i + 3 * k) % 11 - 5) / 4).astype(np.float32).reshape(shape)


def run(op, inputs, opset=19, outputs=1, **attributes):
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], **attributes)
    given = [(n, x) for n, x in zip(names, inputs) if x is not None]
    initializers = [numpy_helper.from_array(np.ascontiguousarray(x), n) for n, x in given]
    graph = helper.make_graph([node], "g", [], [onnx.ValueInfoProto(name=f"y{i}") for i in range(outputs)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {})


nchw = lambda x: x.transpose(0, 3, 1, 2)
nhwc = lambda x: x.transpose(0, 2, 3, 1)
cases = []


def add(op, inputs, attributes, result):
    text = " ".join(f"f32[{','.join(map(str, x))}]" if isinstance(x, tuple) else x for x in inputs)
    results = result if isinstance(result, list) else [result]
    cases.append((op, text, attributes, np.concatenate([np.asarray(r, np.float32).ravel() for r in results])))


def conv(x, w, b, attributes, op="conv2d", **onnx_attributes):
    arrays = [nchw(pattern(x, 0)), pattern(w, 1).transpose(0, 3, 1, 2)] + ([pattern(b, 2)] if b else [])
    name = "Conv" if op == "conv2d" else "ConvTranspose"
    add(op, [x, w] + ([b] if b else []), attributes, nhwc(run(name, arrays, **onnx_attributes)[0]))


conv((1, 4, 5, 2), (3, 3, 2, 2), (3,), "pads=1,0,0,1 strides=2,1", pads=[1, 0, 0, 1], strides=[2, 1])
conv((1, 4, 4, 4), (4, 2, 2, 2), None, "groups=2 dilations=2,1 pads=0,1,1,0", group=2, dilations=[2, 1], pads=[0, 1, 1, 0])
conv((1, 3, 3, 3), (6, 2, 2, 1), (6,), "groups=3 strides=2,2 pads=0,0,1,1", group=3, strides=[2, 2], pads=[0, 0, 1, 1])
conv((1, 2, 3, 2), (2, 3, 2, 2), (2,), "strides=2,1 pads=1,0,0,1 output_pad_h=1", "conv_transpose2d", strides=[2, 1], pads=[1, 0, 0, 1],
     output_padding=[1, 0])
conv((1, 2, 2, 4), (4, 2, 2, 1), None, "groups=2 strides=2,2 dilations=2,1", "conv_transpose2d", strides=[2, 2], dilations=[2, 1], group=2)

x = (1, 5, 4, 2)
for op, name, attributes, a in [
        ("max_pool2d", "MaxPool", "kernel=3,2 strides=2,2 pads=1,0,1,1", dict(kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])),
        ("max_pool2d", "MaxPool", "kernel=2,2 strides=2,3 ceil_mode=1 dilation_h=2", dict(kernel_shape=[2, 2], strides=[2, 3], ceil_mode=1, dilations=[2, 1])),
        ("avg_pool2d", "AveragePool", "kernel=3,3 strides=2,2 pads=1,1,1,1", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])),
        ("avg_pool2d", "AveragePool", "kernel=3,3 strides=2,2 pads=1,1,1,1 count_include_pad=1",
         dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)),
        ("avg_pool2d", "AveragePool", "kernel=3,3 strides=2,2 pads=0,0,1,1 ceil_mode=1 count_include_pad=1",
         dict(kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1], ceil_mode=1, count_include_pad=1)),
        ("avg_pool2d", "AveragePool", "kernel=2,2 strides=3,3 ceil_mode=1", dict(kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1))]:
    add(op, [x], attributes, nhwc(run(name, [nchw(pattern(x, 0))], **a)[0]))

x = (1, 3, 4, 1)
for mode, coordinates, nearest, sizes, extra in [
        ("nearest", "half_pixel", "round_prefer_floor", (5, 6), {}), ("nearest", "asymmetric", "floor", (2, 7), {}),
        ("nearest", "align_corners", "round_prefer_ceil", (5, 3), {}), ("nearest", "pytorch_half_pixel", "ceil", (1, 6), {}),
        ("linear", "half_pixel", "", (5, 3), {}), ("linear", "align_corners", "", (4, 7), {}), ("linear", "asymmetric", "", (4, 6), {}),
        ("linear", "pytorch_half_pixel", "", (1, 6), {}), ("linear", "half_pixel_symmetric", "", (5, 6), {}), ("cubic", "half_pixel", "", (5, 6), {}),
        ("cubic", "align_corners", "", (4, 5), dict(cubic_coeff_a=-0.5)), ("cubic", "half_pixel", "", (4, 5), dict(exclude_outside=1))]:
    text = f"sizes=1,{sizes[0]},{sizes[1]},1 mode={mode} coordinates={coordinates}" + (f" nearest={nearest}" if nearest else "")
    if "cubic_coeff_a" in extra: text += " cubic_coeff=-0.5"
    if "exclude_outside" in extra: text += " exclude_outside=1"
    a = dict(mode=mode, coordinate_transformation_mode=coordinates, **extra, **(dict(nearest_mode=nearest) if nearest else {}))
    y = run("Resize", [nchw(pattern(x, 0)), None, None, np.array([1, 1, *sizes], np.int64)], **a)[0]
    add("resize", [x], text, nhwc(y))

for mode in ("constant", "reflect", "edge", "wrap"):
    y = run("Pad", [pattern((2, 3), 0), np.array([1, 2, 0, 1], np.int64)], mode=mode)[0]
    add("pad", [(2, 3)], f"before=1,2 after=0,1 mode={mode}", y)
add("slice", [(3, 7)], "starts=-1,5 ends=-4,-7 steps=-2,-2",
    run("Slice", [pattern((3, 7), 0), np.array([-1, 5]), np.array([-4, -7]), np.array([0, 1]), np.array([-2, -2])])[0])
for mode in ("dcr", "crd"):
    y = run("DepthToSpace", [nchw(pattern((1, 2, 2, 8), 0))], blocksize=2, mode=mode.upper())[0]
    add("depth_to_space", [(1, 2, 2, 8)], f"block=2 mode={mode}", nhwc(y))
add("trilu", [(3, 4)], "upper=0 k=1", run("Trilu", [pattern((3, 4), 0), np.array(1, np.int64)], upper=0)[0])
add("gather_nd", [(2, 3, 2), "i64[2,2,1]{2,0,1,1}"], "batch_dims=1", run("GatherND", [pattern((2, 3, 2), 0), np.array([[[2], [0]], [[1], [1]]])], batch_dims=1)[0])
ids = np.array([[0, -1, 2], [3, 2, 1]])
add("gather_elements", [(4, 3), "i64[2,3]{0,-1,2,3,2,1}"], "", run("GatherElements", [pattern((4, 3), 0), ids])[0])
for r in ("none", "add", "mul", "max", "min"):
    y = run("ScatterElements", [pattern((4, 3), 0), ids, pattern((2, 3), 2)], **({} if r == "none" else dict(reduction=r)))[0]
    add("scatter_elements", [(4, 3), "i64[2,3]{0,-1,2,3,2,1}", (2, 3)], f"reduction={r}", y)
    y = run("ScatterND", [pattern((3, 2), 0), np.array([[2], [0]]), pattern((2, 2), 2)], **({} if r == "none" else dict(reduction=r)))[0]
    add("scatter_nd", [(3, 2), "i64[2,1]{2,0}", (2, 2)], f"reduction={r}", y)
add("one_hot", ["i64[2,2]{0,3,-1,7}", "-", (2,)], "axis=1 depth=4", run("OneHot", [np.array([[0, 3], [-1, 7]]), np.array([4]), pattern((2,), 2)], axis=1)[0])
for largest in (0, 1):
    add("top_k", [(2, 9)], f"k=5 largest={largest}", run("TopK", [pattern((2, 9), 0), np.array([5])], outputs=2, largest=largest, axis=1))
add("matmul", [(2, 1, 2, 3), (2, 3, 2)], "", run("MatMul", [pattern((2, 1, 2, 3), 0), pattern((2, 3, 2), 1)])[0])

x, scale = (2, 2, 3, 4), (4,)
norm = [nchw(pattern(x, 0)), pattern(scale, 1), pattern(scale, 2)]
variance = [0.5, 1, 2, 0.25]
y = run("BatchNormalization", norm + [pattern(scale, 3), np.array(variance, np.float32)], epsilon=0.1)[0]
add("batch_norm", [x, scale, scale, scale, "f32[4]{0.5,1,2,0.25}"], "epsilon=0.1", nhwc(y))
y, mean, variance = run("BatchNormalization", norm + [pattern(scale, 3)] * 2, outputs=3, training_mode=1, momentum=0.0, epsilon=0.1)
add("batch_norm_train", [x, scale, scale], "epsilon=0.1", [nhwc(y), mean, variance])
add("instance_norm", [x, scale, scale], "epsilon=0.1", nhwc(run("InstanceNormalization", norm, epsilon=0.1)[0]))
add("group_norm", [x, scale, scale], "groups=2 epsilon=0.1", nhwc(run("GroupNormalization", norm, opset=21, num_groups=2, epsilon=0.1)[0]))

x = (2, 3, 4)
for axis, rows in ((0, x), (1, x[1:]), (-1, x[2:])):
    y = run("LayerNormalization", [pattern(x, 0), pattern(rows, 1), pattern(rows, 2)], axis=axis, epsilon=0.1)[0]
    add("layer_norm", [x, rows, rows], f"axis={axis} epsilon=0.1", y)
    y = run("RMSNormalization", [pattern(x, 0), pattern(rows, 1)], opset=23, axis=axis, epsilon=0.1)[0]
    add("rms_norm", [x, rows], f"axis={axis} epsilon=0.1", y)
    add("l2_normalize", [x], f"axis={axis}", run("LpNormalization", [pattern(x, 0)], axis=axis, p=2)[0])

for size in (1, 3):  # even ones ONNX Runtime does not take
    y = run("LRN", [pattern((3, 9), 0).reshape(3, 9, 1, 1)], size=size, alpha=0.5, beta=0.6, bias=2.0)[0]
    add("lrn", [(3, 9)], f"size={size} alpha=0.5 beta=0.6 bias=2", y)

x = (3, 5)
y = run("SoftmaxCrossEntropyLoss", [pattern(x, 0), np.array([0, 4, 2])], reduction="none")[0]
add("softmax_cross_entropy", [x, "i64[3]{0,-1,2}"], "", y)
log_p = run("LogSoftmax", [pattern(x, 0)], axis=1)[0]
add("softmax_cross_entropy", [x, x], "", -(log_p * pattern(x, 1)).sum(axis=1))

q, k = (1, 4, 3, 2), (1, 2, 5, 2)
y = run("Attention", [pattern(q, 0), pattern(k, 1), pattern(k, 2), pattern((3, 5), 3)], opset=23, scale=0.3)[0]
add("attention", [q, k, k, (3, 5)], "scale=0.3", y)
k = (1, 2, 3, 2)
add("attention", [q, k, k], "causal=1", run("Attention", [pattern(q, 0), pattern(k, 1), pattern(k, 2)], opset=23, is_causal=1)[0])

x, lengths = (3, 2, 2), np.array([3, 1], np.int32)
for op, gates, text, a in [("rnn", 1, "", {}), ("gru", 3, "", {}), ("gru", 3, "linear_before_reset=1", dict(linear_before_reset=1)), ("lstm", 4, "", {}),
                           ("lstm", 4, "input_forget=1", dict(input_forget=1))]:
    shapes = [x, (2, gates * 2, 2), (2, gates * 2, 2), (2, gates * 4), "i32[2]{3,1}", (2, 2, 2)] + ([(2, 2, 2), (2, 6)] if op == "lstm" else [])
    arrays = [lengths if isinstance(s, str) else pattern(s, i) for i, s in enumerate(shapes)]
    y = run(op.upper(), arrays, outputs=3 if op == "lstm" else 2, hidden_size=2, direction="bidirectional", **a)
    add(op, shapes, f"direction=bidirectional {text}".strip(), y)

print("// SPDX-License-Identifier: Apache-2.0")
print(f"// Made by make_values.py with ONNX Runtime {onnxruntime.__version__}.")
print("#pragma once\n#include <vector>\n")
print("struct ValueCase {\n  const char *op, *inputs, *attributes;\n  std::vector<float> expected;  // all outputs, one after the other\n};\n")
print("inline const std::vector<ValueCase> kValues = {")
for op, inputs, attributes, y in cases:
    numbers = ", ".join(f"{v:.8g}" for v in y)
    print(f'    {{"{op}", "{inputs}", "{attributes}",\n     {{{numbers}}}}},')
print("};")
