# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models, one operator each, with inputs and the outputs of ONNX Runtime (or of ONNX's evaluator, where it says so).

  make_onnx_cases.py [--show]

Writes onnx_cases.bin beside this script, in the format of make_tflite_cases.py. Needs onnx, onnxruntime and numpy
(tests/setup golden).
"""
import os
import struct
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {"float32": 1, "float16": 2, "float64": 4, "int8": 5, "uint8": 6, "int16": 7, "int32": 9, "int64": 11, "bool": 13}
RNG = np.random.default_rng(11)
CASES = []


def rand(*shape, low=-2.0, high=2.0, dtype="float32"):
    if np.issubdtype(np.dtype(dtype), np.integer):
        return RNG.integers(int(low), int(high), shape).astype(dtype)
    return RNG.uniform(low, high, shape).astype(dtype)


def case(name, op, inputs, opset=21, outputs=1, varies=(), dims=None, evaluator=False, **attributes):
    """inputs: arrays; ("c", array): an initializer; None: left out. varies: axes of the first input that are symbols.
    dims: {input: ["B", 3, "T"]}, the declared shapes of inputs whose symbols are shared."""
    names, feeds, declared, initializers = [], {}, [], []
    for i, a in enumerate(inputs):
        key = "x%d" % i
        names.append("" if a is None else key)
        if isinstance(a, tuple):
            initializers.append(numpy_helper.from_array(a[1], key))
        elif a is not None:
            shape = ["d%d" % k if i == 0 and k in varies else d for k, d in enumerate(a.shape)]
            shape = (dims or {}).get(i, shape)
            declared.append(helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(a.dtype), shape))
            feeds[key] = a
    results = ["y%d" % i for i in range(outputs)]
    node = helper.make_node(op, names, results, **attributes)

    def model(infos):
        return helper.make_model(helper.make_graph([node], "g", declared, infos, initializers),
                                 opset_imports=[helper.make_opsetid("", opset)], ir_version=8)

    plain = model([helper.make_empty_tensor_value_info(r) for r in results])
    if evaluator:
        values = [np.asarray(v) for v in ReferenceEvaluator(plain).run(None, feeds)]
    else:
        types = ReferenceTypes.get(op, {})
        infos = [helper.make_tensor_value_info(r, types.get(i, helper.np_dtype_to_tensor_dtype(next(iter(feeds.values())).dtype)), None) for i, r in enumerate(results)]
        session = onnxruntime.InferenceSession(model(infos).SerializeToString(), providers=["CPUExecutionProvider"])
        values = session.run(None, feeds)
    infos = [helper.make_tensor_value_info(r, helper.np_dtype_to_tensor_dtype(v.dtype), None) for r, v in zip(results, values)]
    CASES.append((name, model(infos).SerializeToString(), list(feeds.values()), values))


ReferenceTypes = {"MaxPool": {1: TensorProto.INT64}}


# ---- windows of one to three spatial dims ----------------------------------------------------------------------------

for varies in ((), (0, 2, 3, 4)):
    tag = "_varies" if varies else ""
    case("conv3d" + tag, "Conv", [rand(2, 3, 5, 6, 4), ("c", rand(4, 3, 3, 2, 3)), ("c", rand(4))], varies=varies,
         pads=[1, 0, 1, 2, 1, 0], strides=[2, 1, 1])
    case("conv3d_groups" + tag, "Conv", [rand(1, 4, 6, 5, 5), ("c", rand(6, 2, 2, 3, 2)), ("c", rand(6))], varies=varies,
         dilations=[3, 1, 2], group=2)
    case("conv3d_same" + tag, "Conv", [rand(1, 2, 6, 7, 5), ("c", rand(2, 2, 3, 2, 3))], varies=varies, strides=[2, 2, 1], auto_pad="SAME_LOWER")
    case("conv_transpose3d" + tag, "ConvTranspose", [rand(2, 3, 3, 2, 4), ("c", rand(3, 2, 3, 2, 3)), ("c", rand(2))], varies=varies,
         strides=[2, 1, 3], pads=[1, 0, 2, 0, 1, 1], output_padding=[1, 0, 2])
    case("conv_transpose3d_groups" + tag, "ConvTranspose", [rand(1, 4, 3, 3, 2), ("c", rand(4, 3, 2, 2, 2))], varies=varies,
         strides=[1, 2, 2], dilations=[3, 1, 2], group=2)
    case("conv_same" + tag, "Conv", [rand(1, 2, 6, 7), ("c", rand(3, 2, 3, 3))], varies=varies[:3], strides=[2, 3], auto_pad="SAME_UPPER")
    case("max_pool3d" + tag, "MaxPool", [rand(2, 3, 6, 5, 7)], varies=varies, kernel_shape=[2, 3, 3], strides=[2, 1, 2], pads=[1, 0, 1, 0, 1, 1])
    case("max_pool3d_indices" + tag, "MaxPool", [rand(2, 2, 4, 5, 6, low=-3, high=3).round()], outputs=2, varies=varies,
         kernel_shape=[3, 2, 2], strides=[1, 2, 2], pads=[1, 0, 1, 1, 1, 0])
    case("max_pool_indices" + tag, "MaxPool", [rand(2, 2, 5, 6, low=-3, high=3).round()], outputs=2, varies=varies[:3],
         kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0], ceil_mode=1)
    case("max_pool_same" + tag, "MaxPool", [rand(1, 2, 7, 8)], varies=varies[:3], kernel_shape=[3, 3], strides=[2, 3], auto_pad="SAME_UPPER")
    for counts in (0, 1):
        case("average_pool3d_%d" % counts + tag, "AveragePool", [rand(1, 2, 5, 6, 7)], varies=varies, kernel_shape=[3, 2, 3],
             strides=[2, 2, 2], pads=[1, 1, 0, 1, 0, 2], ceil_mode=1, count_include_pad=counts)
        case("average_pool_same_%d" % counts + tag, "AveragePool", [rand(1, 2, 7, 8)], varies=varies[:3], kernel_shape=[3, 3], strides=[2, 3],
             auto_pad="SAME_LOWER", count_include_pad=counts)
    case("lp_pool3d" + tag, "LpPool", [rand(1, 2, 5, 6, 7)], varies=varies, kernel_shape=[3, 2, 3], strides=[2, 2, 2], pads=[1, 1, 0, 1, 0, 2], p=3)
    case("global_lp_pool" + tag, "GlobalLpPool", [rand(2, 3, 4, 3, 2)], varies=varies, p=3)
    case("global_average_pool3d" + tag, "GlobalAveragePool", [rand(2, 3, 4, 3, 2)], varies=varies)
case("max_pool_columns", "MaxPool", [rand(2, 2, 5, 6)], outputs=2, kernel_shape=[2, 3], storage_order=1)
case("max_pool3d_columns", "MaxPool", [rand(1, 2, 3, 4, 5)], outputs=2, kernel_shape=[2, 2, 2], storage_order=1)
case("max_pool1d_indices", "MaxPool", [rand(2, 2, 9)], outputs=2, kernel_shape=[3], strides=[2], dilations=[2])
case("max_pool_bytes", "MaxPool", [rand(1, 2, 4, 5, 4, low=0, high=255, dtype="uint8")], kernel_shape=[2, 2, 2])
case("conv_weight_computed", "Conv", [rand(1, 2, 4, 5, 4), rand(3, 2, 2, 2, 2)])
case("conv1d_transpose", "ConvTranspose", [rand(2, 3, 5), ("c", rand(3, 2, 4)), ("c", rand(2))], strides=[2], pads=[1, 0], output_padding=[1])
case("conv_transpose_shape", "ConvTranspose", [rand(1, 2, 3, 4, 3), ("c", rand(2, 2, 3, 3, 3))], strides=[2, 2, 2], output_shape=[6, 8, 7])
case("lp_pool_ceil", "LpPool", [rand(1, 2, 7, 6)], kernel_shape=[3, 2], strides=[2, 3], ceil_mode=1, p=1)
case("lp_pool1d", "LpPool", [rand(2, 2, 9)], kernel_shape=[3], strides=[2], p=2)
case("max_unpool", "MaxUnpool", [rand(1, 1, 2, 2), ("c", np.array([[[[5, 7], [13, 15]]]], np.int64))], kernel_shape=[2, 2], strides=[2, 2])
case("max_unpool_shape", "MaxUnpool", [rand(1, 1, 2, 2), ("c", np.array([[[[5, 7], [13, 15]]]], np.int64)), ("c", np.array([1, 1, 5, 6], np.int64))],
     evaluator=True, kernel_shape=[2, 2], strides=[2, 2])

# ---- sampling --------------------------------------------------------------------------------------------------------

for mode, old in (("linear", "bilinear"), ("nearest", "nearest"), ("cubic", "bicubic")):
    for padding in ("zeros", "border", "reflection"):
        for corners in (0, 1):
            how = dict(padding_mode=padding, align_corners=corners)
            case("grid_sample_%s_%s_%d" % (mode, padding, corners), "GridSample", [rand(2, 2, 4, 5), rand(2, 3, 2, 2, low=-1.7, high=1.7)],
                 opset=16, mode=old, varies=(2, 3) if corners else (), **how)
            if mode != "cubic":
                case("grid_sample3d_%s_%s_%d" % (mode, padding, corners), "GridSample",
                     [rand(1, 2, 3, 4, 3), rand(1, 2, 2, 2, 3, low=-1.7, high=1.7)], opset=20, mode=mode, evaluator=True, **how)
for corners in (0, 1):
    case("affine_grid_%d" % corners, "AffineGrid", [rand(2, 2, 3), ("c", np.array([2, 3, 4, 5], np.int64))], evaluator=True, align_corners=corners)
    case("affine_grid3d_%d" % corners, "AffineGrid", [rand(2, 3, 4), ("c", np.array([2, 3, 4, 3, 2], np.int64))], evaluator=True, align_corners=corners)

# ---- transformers ----------------------------------------------------------------------------------------------------

Q4, K4 = ["B", 4, "T", 8], ["B", 2, "S", 8]


def attention(name, inputs, dims, **how):
    case("attention_" + name, "Attention", inputs, opset=how.pop("opset", 24), dims=dims, evaluator=True, **how)


def heads(batch, tokens, keys, kv_heads=2, value=8):
    return [rand(batch, 4, tokens, 8), rand(batch, kv_heads, keys, 8), rand(batch, kv_heads, keys, value)]


bits = rand(2, 1, 3, 5) > -0.5
bits[0, 0, 1] = False
attention("groups", heads(2, 3, 5), {0: Q4, 1: K4, 2: K4})
attention("causal", heads(2, 3, 3), {0: Q4, 1: K4, 2: K4}, is_causal=1)
attention("causal_more_keys", heads(1, 3, 5), {0: Q4, 1: K4, 2: K4}, is_causal=1)
attention("causal_fewer_keys", heads(1, 5, 3), {0: Q4, 1: K4, 2: K4}, is_causal=1)
attention("past", heads(2, 3, 3) + [None, rand(2, 2, 4, 8), rand(2, 2, 4, 8)], {0: Q4, 1: K4, 2: K4, 4: ["B", 2, "P", 8], 5: ["B", 2, "P", 8]}, outputs=3, is_causal=1)
attention("mask", heads(2, 3, 5) + [rand(2, 1, 3, 5)], {0: Q4, 1: K4, 2: K4, 3: ["B", 1, "T", "S"]})
attention("mask_bits", heads(2, 3, 5) + [bits], {0: Q4, 1: K4, 2: K4, 3: ["B", 1, "T", "S"]})
attention("mask_short", heads(2, 3, 5) + [rand(3, 4)], {0: Q4, 1: K4, 2: K4, 3: ["T", "M"]}, is_causal=1)
attention("lengths", heads(2, 2, 6) + [None, None, None, np.array([3, 6], np.int64)], {0: Q4, 1: K4, 2: K4, 6: ["B"]}, is_causal=1)
attention("width", heads(2, 3, 5, value=3), {0: Q4, 1: K4, 2: ["B", 2, "S", 3]}, scale=0.4)
attention("windows", heads(2, 4, 6), {0: Q4, 1: K4, 2: K4}, opset=25, left_window_size=2, right_window_size=1)
attention("three_dims", [rand(2, 3, 32), rand(2, 5, 16), rand(2, 5, 12)], {0: ["B", "T", 32], 1: ["B", "S", 16], 2: ["B", "S", 12]}, q_num_heads=4, kv_num_heads=2)
for mode in range(4):
    attention("scores_%d" % mode, heads(2, 3, 5) + [rand(2, 1, 3, 5)], {0: Q4, 1: K4, 2: K4, 3: ["B", 1, "T", "S"]}, outputs=4, qk_matmul_output_mode=mode, softcap=1.5 if mode else 0.0)
attention("cap_causal", heads(2, 3, 5), {0: Q4, 1: K4, 2: K4}, softcap=0.7, is_causal=1)

angles = [rand(9, 3), rand(9, 3)]
where = np.array([[4, 0, 8], [1, 2, 3]], np.int64)
for interleaved in (0, 1):
    case("rotary_positions_%d" % interleaved, "RotaryEmbedding", [rand(2, 4, 3, 8), ("c", angles[0]), ("c", angles[1]), where], opset=23,
         dims={0: ["B", 4, "T", 8], 3: ["B", "T"]}, evaluator=True, interleaved=interleaved, rotary_embedding_dim=6)
    case("rotary_three_dims_%d" % interleaved, "RotaryEmbedding", [rand(2, 3, 12), rand(2, 3, 3), rand(2, 3, 3)], opset=23,
         dims={0: ["B", "T", 12], 1: ["B", "T", 3], 2: ["B", "T", 3]}, evaluator=True, interleaved=interleaved, num_heads=2)
case("rms_norm", "RMSNormalization", [rand(2, 3, 5), ("c", rand(5))], opset=23, varies=(0, 1), evaluator=True, epsilon=1e-3)
case("rms_norm_axis", "RMSNormalization", [rand(2, 3, 5), ("c", rand(3, 1))], opset=23, varies=(0,), evaluator=True, axis=1)
case("swish", "Swish", [rand(2, 3)], opset=24, varies=(0, 1), evaluator=True, alpha=0.5)
for mode in ("linear", "circular"):
    case("tensor_scatter_" + mode, "TensorScatter", [rand(2, 3, 7, 4), rand(2, 3, 2, 4), np.array([5, 1 if mode == "linear" else 6], np.int64)], opset=24,
         dims={0: ["B", 3, "S", 4], 1: ["B", 3, "T", 4], 2: ["B"]}, evaluator=True, mode=mode)

# ---- signals, crops, scans -------------------------------------------------------------------------------------------

scalar = lambda v: ("c", np.array(v, np.int64))
case("dft", "DFT", [rand(2, 10, 1)], opset=20, varies=(0,), evaluator=True, onesided=1)
case("dft_longer", "DFT", [rand(2, 3, 6, 2), scalar(9), scalar(-2)], opset=20, varies=(0, 1), evaluator=True)
case("dft_shorter", "DFT", [rand(2, 7, 3, 1), scalar(5), scalar(1)], opset=20, varies=(0, 2), evaluator=True)
case("dft_inverse", "DFT", [rand(3, 7, 2)], opset=17, varies=(0,), evaluator=True, inverse=1)
case("dft_inverse_real", "DFT", [rand(3, 6, 2), scalar(9)], opset=20, varies=(0,), evaluator=True, inverse=1, onesided=1)
case("stft", "STFT", [rand(2, 37, 1), scalar(5), ("c", np.hanning(12).astype(np.float32)), scalar(12)], opset=17, varies=(0, 1), evaluator=True)
case("stft_both_sides", "STFT", [rand(2, 37, 1), scalar(4), None, scalar(10)], opset=17, varies=(0, 1), evaluator=True, onesided=0)
case("center_crop_pad", "CenterCropPad", [rand(5, 4, 7), ("c", np.array([2, 9, 4], np.int64))], opset=18, varies=(0, 1, 2), evaluator=True)
case("center_crop_pad_axes", "CenterCropPad", [rand(5, 4, 7), ("c", np.array([8, 1], np.int64))], opset=18, varies=(1, 2), evaluator=True, axes=[-1, 1])
case("col2im", "Col2Im", [rand(2, 12, 12), ("c", np.array([5, 6], np.int64)), ("c", np.array([2, 3], np.int64))], opset=18, varies=(0,), evaluator=True,
     strides=[2, 1], pads=[1, 0, 0, 0])
bent = [rand(2, 4, 6, 5), ("c", rand(6, 4, 3, 2)), rand(2, 12, 3, 4), ("c", rand(6)), rand(2, 6, 3, 4, low=0, high=1)]
case("deform_conv", "DeformConv", bent, opset=19, dims={0: ["B", 4, "H", "W"], 2: ["B", 12, "h", "w"], 4: ["B", 6, "h", "w"]}, evaluator=True,
     pads=[1, 0, 1, 0], strides=[2, 1], kernel_shape=[3, 2])
bent = [rand(1, 4, 6, 5), ("c", rand(6, 2, 3, 2)), rand(1, 24, 4, 3)]
case("deform_conv_groups", "DeformConv", bent, opset=19, evaluator=True, pads=[1, 0, 1, 0], dilations=[2, 2], group=2, offset_group=2)
for how in (dict(), dict(exclusive=1), dict(reverse=1), dict(exclusive=1, reverse=1)):
    case("cumprod_" + "_".join(how), "CumProd", [rand(2, 7, 3), scalar(1)], opset=26, varies=(0, 2), evaluator=True, **how)


def scan(name, opset, state, data, dims, **attributes):
    """The body adds the slice to the state and gives both the sum and twice the slice."""
    slices = [a.shape[-1:] for a in data]
    infos = lambda names: [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names]
    body = helper.make_graph([helper.make_node("Add", ["s", "e"], ["t"]), helper.make_node("Add", ["e", "e"], ["twice"]), helper.make_node("Identity", ["t"], ["copy"])],
                             "body", [helper.make_tensor_value_info("s", TensorProto.FLOAT, slices[0]), helper.make_tensor_value_info("e", TensorProto.FLOAT, slices[0])],
                             infos(["t", "copy", "twice"]))
    inputs = ([None] if opset < 9 else []) + [state] + data
    case(name, "Scan", inputs, opset=opset, outputs=3, dims={i + (opset < 9): d for i, d in dims.items()}, body=body, num_scan_inputs=1, **attributes)


scan("scan", 11, rand(3), [rand(5, 3)], {1: ["T", 3]})
scan("scan_backward", 11, rand(3), [rand(5, 3)], {1: ["T", 3]}, scan_input_directions=[1], scan_output_directions=[0, 1], scan_output_axes=[0, 1])
scan("scan_batch", 8, rand(2, 3), [rand(2, 5, 3)], {0: ["B", 3], 1: ["B", "T", 3]})
scan("scan_batch_backward", 8, rand(2, 3), [rand(2, 5, 3)], {0: ["B", 3], 1: ["B", "T", 3]}, directions=[1])

# ---- empty batches ---------------------------------------------------------------------------------------------------

NONE4, NONE3, NONE2 = rand(0, 4, 6, 6), rand(0, 3, 4), rand(0, 8)
W2 = ("c", rand(8, 3))
EMPTY = [
    ("conv", "Conv", [NONE4, ("c", rand(5, 4, 3, 3)), ("c", rand(5))], {}),
    ("conv_depthwise", "Conv", [NONE4, ("c", rand(4, 1, 3, 3)), ("c", rand(4))], dict(group=4, pads=[1, 1, 1, 1], strides=[2, 2])),
    ("conv3d", "Conv", [rand(0, 2, 4, 4, 4), ("c", rand(3, 2, 3, 3, 3)), ("c", rand(3))], {}),
    ("conv_transpose", "ConvTranspose", [NONE4, ("c", rand(4, 3, 3, 3))], dict(strides=[2, 2])),
    ("max_pool", "MaxPool", [NONE4], dict(kernel_shape=[2, 2])),
    ("max_pool3d", "MaxPool", [rand(0, 2, 4, 4, 4)], dict(kernel_shape=[2, 2, 2])),
    ("average_pool", "AveragePool", [NONE4], dict(kernel_shape=[2, 2])),
    ("global_average_pool", "GlobalAveragePool", [NONE4], {}),
    ("batch_norm", "BatchNormalization", [NONE4] + [("c", rand(4, low=0.5)) for _ in range(4)], {}),
    ("instance_norm", "InstanceNormalization", [NONE4, ("c", rand(4)), ("c", rand(4))], {}),
    ("layer_norm", "LayerNormalization", [NONE3, ("c", rand(4)), ("c", rand(4))], {}),
    ("matmul", "MatMul", [NONE2, W2], {}),
    ("matmul_batches", "MatMul", [rand(0, 5, 8), W2], {}),
    ("gemm", "Gemm", [NONE2, W2, ("c", rand(3))], {}),
    ("softmax", "Softmax", [NONE3], {}),
    ("softmax_rows", "Softmax", [NONE3], dict(axis=0)),
    ("resize", "Resize", [NONE4, None, ("c", np.array([1, 1, 2, 2], np.float32))], dict(mode="linear")),
    ("concat", "Concat", [NONE3, ("c", rand(2, 3, 4))], dict(axis=0)),
    ("transpose", "Transpose", [NONE3], dict(perm=[1, 2, 0])),
    ("reshape", "Reshape", [NONE3, ("c", np.array([-1, 12]))], {}),
    ("flatten", "Flatten", [NONE3], {}),
    ("slice", "Slice", [NONE3, ("c", np.array([0])), ("c", np.array([2])), ("c", np.array([0]))], {}),
    ("pad", "Pad", [NONE3, ("c", np.array([0, 1, 1, 0, 1, 1]))], {}),
    ("gather", "Gather", [NONE3, ("c", np.array([1, 0]))], dict(axis=1)),
    ("tile", "Tile", [NONE2, ("c", np.array([2, 2]))], {}),
    ("expand", "Expand", [rand(0, 1), ("c", np.array([1, 4]))], {}),
    ("arg_max", "ArgMax", [NONE2], dict(axis=1, evaluator=True)),
    ("cumsum", "CumSum", [NONE2, ("c", np.array(1))], {}),
    ("einsum", "Einsum", [rand(0, 5, 8), W2], dict(equation="bij,jk->bik")),
    ("depth_to_space", "DepthToSpace", [NONE4], dict(blocksize=2)),
    ("lrn", "LRN", [NONE4], dict(size=3)),
    ("reduce_sum", "ReduceSum", [NONE3, ("c", np.array([0]))], dict(keepdims=0)),
    ("reduce_max", "ReduceMax", [NONE3, ("c", np.array([0]))], dict(keepdims=0, evaluator=True)),
    ("reduce_prod", "ReduceProd", [NONE3], dict(keepdims=0, evaluator=True)),
    ("det", "Det", [rand(0, 3, 3)], dict(evaluator=True)),
]
for _name, _op, _inputs, _how in EMPTY:
    case("empty_" + _name, _op, _inputs, opset=18, varies=(0,), **_how)
case("empty_grid_sample", "GridSample", [NONE4, rand(0, 3, 3, 2)], opset=16, dims={0: ["N", 4, 6, 6], 1: ["N", 3, 3, 2]})

# ---- matrices --------------------------------------------------------------------------------------------------------

case("det", "Det", [rand(5, 5)], opset=11, evaluator=True)
case("det_batch", "Det", [rand(2, 3, 4, 4)], opset=11, evaluator=True, varies=(0, 1))
case("det_one", "Det", [rand(3, 1, 1)], opset=11, evaluator=True)
case("det_singular", "Det", [np.array([[[1, 2], [2, 4]], [[0, 0], [1, 3]], [[0, 2], [3, 1]]], np.float32)], opset=11, evaluator=True)
case("hardmax_varies", "Hardmax", [rand(3, 4, 5)], varies=(0, 2), opset=13)

# ---- regions, deformed windows ---------------------------------------------------------------------------------------

REGIONS = np.array([[0, 0, 6, 5], [1.3, 2.1, 4.4, 6.8], [-2, -1, 9, 9]], np.float32)
for ratio in (0, 2):
    for aligned in ("half_pixel", "output_half_pixel"):
        case("roi_align_%d_%s" % (ratio, aligned), "RoiAlign", [rand(2, 3, 7, 8), REGIONS, np.array([0, 1, 1])], opset=16, varies=(2, 3),
             output_height=3, output_width=2, sampling_ratio=ratio, coordinate_transformation_mode=aligned, spatial_scale=0.75)
case("roi_align_max", "RoiAlign", [rand(1, 2, 7, 8), REGIONS, np.array([0, 0, 0])], opset=16, mode="max", output_height=2, output_width=2, sampling_ratio=2)
for mask in (False, True):
    case("deform_conv_%d" % mask, "DeformConv",
         [rand(2, 4, 6, 7), ("c", rand(6, 2, 3, 2)), rand(2, 24, 3, 6), ("c", rand(6)), rand(2, 12, 3, 6, low=0, high=1) if mask else None],
         opset=19, varies=(2, 3) if mask else (), strides=[2, 1], pads=[1, 0, 1, 1], dilations=[1, 2], group=2, offset_group=2)

# ---- resizing --------------------------------------------------------------------------------------------------------

for coordinates in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric"):
    for mode in ("nearest", "linear", "cubic"):
        if coordinates != "align_corners":
            case("resize3d_scales_%s_%s" % (mode, coordinates), "Resize", [rand(1, 2, 3, 4, 5), None, ("c", np.array([1, 1, 2, 1.5, 0.6], np.float32))],
                 opset=19, evaluator=True, varies=(2, 4), mode=mode, coordinate_transformation_mode=coordinates)
        case("resize3d_sizes_%s_%s" % (mode, coordinates), "Resize", [rand(2, 2, 3, 4, 5), None, None, ("c", np.array([5, 4, 3], np.int64))],
             opset=19, evaluator=True, varies=(0, 3), mode=mode, coordinate_transformation_mode=coordinates, axes=[2, 3, 4])
for mode in ("linear", "cubic"):
    for outside in (0, 1):
        case("resize_antialias_%s_%d" % (mode, outside), "Resize", [rand(1, 2, 9, 8), None, ("c", np.array([1, 1, 0.4, 1.5], np.float32))],
             opset=19, evaluator=True, varies=(2, 3), mode=mode, antialias=1, exclude_outside=outside)
    case("resize_crop_" + mode, "Resize", [rand(1, 2, 5, 6), ("c", np.array([0, 0, 0.2, -0.1, 1, 1, 0.7, 1.2], np.float32)), None, ("c", np.array([1, 2, 4, 7], np.int64))],
         opset=13, evaluator=True, mode=mode, coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=9.0)
for policy in ("not_larger", "not_smaller"):
    case("resize_" + policy, "Resize", [rand(1, 2, 5, 6), None, None, ("c", np.array([8, 7], np.int64))], opset=19, evaluator=True, varies=(2, 3),
         mode="linear", axes=[2, 3], keep_aspect_ratio_policy=policy)
case("resize_bytes", "Resize", [rand(1, 2, 5, 6, low=0, high=255, dtype="uint8"), None, ("c", np.array([1, 1, 2, 2], np.float32))], opset=19,
     mode="linear", coordinate_transformation_mode="asymmetric")
case("resize_channels", "Resize", [rand(2, 3, 4, 5), None, None, ("c", np.array([3, 5, 4, 5], np.int64))], opset=13, evaluator=True, mode="linear")
case("resize_matrix", "Resize", [rand(4, 5), None, ("c", np.array([2, 0.6], np.float32))], opset=13, evaluator=True, mode="linear", varies=(0, 1))

# ---- normalisations of volumes ---------------------------------------------------------------------------------------

case("instance_norm3d", "InstanceNormalization", [rand(2, 3, 4, 3, 2), ("c", rand(3)), ("c", rand(3))], varies=(2, 3))
case("group_norm3d", "GroupNormalization", [rand(2, 4, 2, 3, 2), ("c", rand(4)), ("c", rand(4))], varies=(2, 3), num_groups=2)


def write(path):
    def text(b):
        return struct.pack("<I", len(b)) + b

    def tensor(a):
        a = np.asarray(a, order="C")
        return struct.pack("<II", DTYPES[str(a.dtype)], a.ndim) + struct.pack("<%dq" % a.ndim, *a.shape) + text(a.tobytes())

    with open(path, "wb") as f:
        f.write(struct.pack("<I", len(CASES)))
        for name, model, inputs, outputs in CASES:
            f.write(text(name.encode()) + text(model))
            for list_ in (inputs, outputs):
                f.write(struct.pack("<I", len(list_)) + b"".join(tensor(a) for a in list_))


if __name__ == "__main__":
    if "--show" in sys.argv:
        for name, model, inputs, outputs in CASES:
            print(name, len(model), [a.shape for a in inputs], [a.shape for a in outputs])
    write(os.path.join(HERE, "onnx_cases.bin"))
