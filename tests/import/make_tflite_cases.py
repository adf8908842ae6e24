# SPDX-License-Identifier: Apache-2.0
"""Small TFLite models, one operator each, with inputs and LiteRT's outputs; and the corpus of the fuzz target.

  make_tflite_cases.py [--show]

Writes tflite_cases.bin beside this script and fuzz/corpus/tflite/*.tflite. Needs ai-edge-litert, flatbuffers and numpy
(tests/setup golden).

tflite_cases.bin, little endian: u32 number of cases, then for each case
  text name, bytes model, u32 inputs, each a tensor, u32 outputs, each a tensor
  text, bytes = u32 length and content;  tensor = u32 dtype (numbers of tern_dtype), u32 rank, i64 dims, bytes content
Inputs and outputs stand in the order of the model's.
"""
import os
import struct
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as S
from ai_edge_litert.interpreter import Interpreter, OpResolverType

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9}
DTYPES = {"float32": 1, "float16": 2, "int8": 5, "uint8": 6, "int16": 7, "int32": 9, "int64": 11, "bool": 13}
RNG = np.random.default_rng(7)


def rand(*shape, low=-2.0, high=2.0, dtype="float32"):
    if dtype == "bool":
        return RNG.integers(0, 2, shape).astype(bool)
    if np.issubdtype(np.dtype(dtype), np.integer):
        return RNG.integers(int(low), int(high), shape).astype(dtype)
    return RNG.uniform(low, high, shape).astype(dtype)


class Graph:
    def __init__(self, model):
        self.model, self.g = model, S.SubGraphT()
        self.g.tensors, self.g.operators, self.g.inputs, self.g.outputs, self.g.name = [], [], [], [], "main"
        self.feeds = []
        model.m.subgraphs.append(self.g)

    def tensor(self, shape, dtype="float32", data=None, scale=None, zero=0, axis=0, signature=None, raw_type=None):
        t = S.TensorT()
        t.shape, t.type, t.name = list(shape), TYPES[dtype] if raw_type is None else raw_type, "t%d" % len(self.g.tensors)
        t.buffer = 0
        t.hasRank = True
        if data is not None:
            t.buffer = self.model.buffer(data.tobytes() if isinstance(data, np.ndarray) else data)
        if scale is not None:
            q = S.QuantizationParametersT()
            q.scale = [float(s) for s in np.atleast_1d(scale)]
            q.zeroPoint = [int(z) for z in np.broadcast_to(zero, len(q.scale))]
            q.quantizedDimension = axis
            t.quantization = q
        if signature is not None:
            t.shapeSignature = list(signature)
        self.g.tensors.append(t)
        return len(self.g.tensors) - 1

    def input(self, data, **kw):
        i = self.tensor(data.shape, str(data.dtype), **kw)
        self.g.inputs.append(i)
        self.feeds.append(data)
        return i

    def const(self, data, **kw):
        data = np.asarray(data)
        if data.dtype == np.int64 and not kw.pop("keep", False):
            data = data.astype(np.int32)
        if data.dtype == np.float64:
            data = data.astype(np.float32)
        return self.tensor(data.shape, str(data.dtype), data=data, **kw)

    def op(self, name, inputs, options=None, outputs=1, dtype="float32", shape=None, version=1, custom=None, output_kw=None, data=None):
        if isinstance(dtype, str):
            dtype = [dtype] * outputs
        outs = [self.tensor(shape or [1], d, **(output_kw or {})) for d in dtype]
        o = S.OperatorT()
        o.opcodeIndex = self.model.code(name, version, custom)
        o.inputs, o.outputs = list(inputs), outs
        if options is not None:
            kind, fields = options
            o.builtinOptions = getattr(S, kind + "T")()
            o.builtinOptionsType = getattr(S.BuiltinOptions, kind)
            for k, v in fields.items():
                if not hasattr(o.builtinOptions, k):
                    raise KeyError(k)
                setattr(o.builtinOptions, k, v)
        if data is not None:
            o.customOptions = list(data)
        self.g.operators.append(o)
        return outs[0] if len(outs) == 1 else outs

    def out(self, *tensors):
        self.g.outputs += tensors


class Model:
    def __init__(self):
        self.m = S.ModelT()
        self.m.version = 3
        self.m.subgraphs, self.m.operatorCodes = [], []
        self.m.buffers = [S.BufferT()]
        self.codes = {}

    def buffer(self, data):
        b = S.BufferT()
        b.data = list(data)
        self.m.buffers.append(b)
        return len(self.m.buffers) - 1

    def code(self, name, version, custom):
        key = (name, version, custom)
        if key not in self.codes:
            c = S.OperatorCodeT()
            c.builtinCode = getattr(S.BuiltinOperator, name)
            c.deprecatedBuiltinCode = min(127, c.builtinCode)
            c.version = version
            c.customCode = custom
            self.codes[key] = len(self.m.operatorCodes)
            self.m.operatorCodes.append(c)
        return self.codes[key]

    def bytes(self):
        b = flatbuffers.Builder(1024)
        b.Finish(self.m.Pack(b), b"TFL3")
        return bytes(b.Output())


CASES = []


def case(name, sizes=None):
    """Registers a function that fills a graph. sizes: shapes to resize the inputs to."""
    def register(f):
        CASES.append((name, f, sizes))
        return f
    return register


def simple(name, op, arrays, options=None, dtype="float32", version=1, outputs=1, shape=None):
    """All arrays are inputs, except constants given as ("c", array)."""
    @case(name)
    def _(g):
        ins = [g.const(a[1]) if isinstance(a, tuple) else g.input(a) for a in arrays]
        y = g.op(op, ins, options, outputs, dtype, version=version, shape=shape)
        g.out(*(y if outputs > 1 else [y]))


SAME, VALID = 0, 1
POSITIVE = dict(low=0.1, high=3)

# ---- element-wise ----------------------------------------------------------------------------------------------------

for _op, _range in [("ABS", {}), ("NEG", {}), ("EXP", {}), ("LOG", POSITIVE), ("SIN", {}), ("COS", {}), ("SQRT", POSITIVE),
                    ("RSQRT", POSITIVE), ("SQUARE", {}), ("FLOOR", {}), ("CEIL", {}), ("ROUND", {}), ("SIGN", {}), ("RELU", {}),
                    ("RELU6", dict(low=-8, high=8)), ("RELU_N1_TO_1", {}), ("RELU_0_TO_1", {}), ("ELU", {}),
                    ("HARD_SWISH", dict(low=-5, high=5)), ("LOGISTIC", {}), ("TANH", {}), ("LOG_SOFTMAX", {}), ("ZEROS_LIKE", {})]:
    simple(_op.lower(), _op, [rand(2, 3, 5, **_range)])
simple("leaky_relu", "LEAKY_RELU", [rand(2, 7)], ("LeakyReluOptions", dict(alpha=0.2)))
simple("gelu", "GELU", [rand(2, 7)], ("GeluOptions", dict(approximate=False)))
simple("gelu_tanh", "GELU", [rand(2, 7)], ("GeluOptions", dict(approximate=True)))
simple("softmax_beta", "SOFTMAX", [rand(2, 7)], ("SoftmaxOptions", dict(beta=0.5)))
simple("prelu", "PRELU", [rand(2, 3, 4, 5), ("c", rand(1, 1, 5))])
for _op in ("ADD", "SUB", "MUL", "DIV"):
    for _act, _name in ((0, ""), (1, "_relu"), (3, "_relu6")):
        _b = rand(3, 1, low=0.5, high=2)
        simple(_op.lower() + _name, _op, [rand(2, 3, 4), _b], (_op.capitalize() + "Options", dict(fusedActivationFunction=_act)))
simple("add_i32", "ADD", [rand(2, 3, dtype="int32", low=-9, high=9), ("c", rand(3, dtype="int32", low=-9, high=9))], ("AddOptions", {}), "int32")
simple("add_n", "ADD_N", [rand(2, 3), rand(2, 3), rand(2, 3)])
simple("maximum", "MAXIMUM", [rand(2, 3, 4), rand(4)])
simple("minimum", "MINIMUM", [rand(2, 3, 4), rand(3, 1)])
simple("pow", "POW", [rand(2, 5, **POSITIVE), rand(2, 5)])
simple("squared_difference", "SQUARED_DIFFERENCE", [rand(2, 5), rand(5)])
simple("floor_div", "FLOOR_DIV", [rand(2, 5), rand(2, 5, low=0.3, high=2)])
simple("floor_div_i32", "FLOOR_DIV", [rand(2, 9, dtype="int32", low=-20, high=20), ("c", np.array([3, -3, 2, -2, 5, -7, 1, 4, -9], np.int32))], None, "int32")
simple("floor_mod", "FLOOR_MOD", [rand(2, 9, dtype="int32", low=-20, high=20), ("c", np.array([3, -3, 2, -2, 5, -7, 1, 4, -9], np.int32))], None, "int32")
for _op in ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL"):
    simple(_op.lower(), _op, [rand(2, 9, dtype="int32", low=-2, high=2), rand(2, 9, dtype="int32", low=-2, high=2)], None, "bool")
for _op in ("LOGICAL_AND", "LOGICAL_OR"):
    simple(_op.lower(), _op, [rand(9, dtype="bool"), rand(9, dtype="bool")], None, "bool")
simple("logical_not", "LOGICAL_NOT", [rand(9, dtype="bool")], None, "bool")
simple("cast_to_int", "CAST", [rand(9, low=-9, high=9)], ("CastOptions", {}), "int32")
simple("cast_to_bool", "CAST", [rand(9, dtype="int32", low=-1, high=2)], ("CastOptions", {}), "bool")
simple("select", "SELECT", [rand(2, 3, dtype="bool"), rand(2, 3), rand(2, 3)])
simple("select_rows", "SELECT", [rand(4, dtype="bool"), rand(4, 3), rand(4, 3)])
simple("select_v2", "SELECT_V2", [rand(2, 1, dtype="bool"), rand(2, 3), rand(3)])
simple("fake_quant", "FAKE_QUANT", [rand(2, 9)], ("FakeQuantOptions", dict(min=-1.3, max=1.1, numBits=4)))

# ---- reductions ------------------------------------------------------------------------------------------------------

for _op in ("MEAN", "SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN"):
    simple(_op.lower(), _op, [rand(2, 3, 4, 5), ("c", np.array([1, -2], np.int32))], ("ReducerOptions", dict(keepDims=True)))
    simple(_op.lower() + "_drop", _op, [rand(2, 3, 4), ("c", np.array([-1], np.int32))], ("ReducerOptions", dict(keepDims=False)))
for _op in ("REDUCE_ANY", "REDUCE_ALL"):
    simple(_op.lower(), _op, [rand(3, 4, dtype="bool"), ("c", np.array([1], np.int32))], ("ReducerOptions", {}), "bool")
simple("arg_max", "ARG_MAX", [rand(2, 5, 3), ("c", np.array(1, np.int32))], ("ArgMaxOptions", dict(outputType=2)), "int32")
simple("arg_min", "ARG_MIN", [rand(2, 5, 3), ("c", np.array(-1, np.int32))], ("ArgMinOptions", dict(outputType=4)), "int64")
simple("cumsum", "CUMSUM", [rand(2, 5, 3), ("c", np.array(1, np.int32))], ("CumsumOptions", dict(exclusive=True, reverse=True)))
simple("top_k", "TOPK_V2", [rand(3, 9), ("c", np.array(4, np.int32))], ("TopKV2Options", {}), ["float32", "int32"], outputs=2)

# ---- shapes ----------------------------------------------------------------------------------------------------------

simple("reshape", "RESHAPE", [rand(2, 3, 4), ("c", np.array([4, -1], np.int32))])
simple("reshape_options", "RESHAPE", [rand(2, 3, 4)], ("ReshapeOptions", dict(newShape=[6, 4])))
simple("squeeze", "SQUEEZE", [rand(1, 3, 1, 2)], ("SqueezeOptions", dict(squeezeDims=[-2])))
simple("squeeze_all", "SQUEEZE", [rand(1, 3, 1, 2)], ("SqueezeOptions", {}))
simple("expand_dims", "EXPAND_DIMS", [rand(3, 2), ("c", np.array([-1], np.int32))])
simple("concatenation", "CONCATENATION", [rand(2, 3, 2), ("c", rand(2, 1, 2)), rand(2, 2, 2)], ("ConcatenationOptions", dict(axis=-2)))
simple("pack", "PACK", [rand(2, 3), rand(2, 3), rand(2, 3)], ("PackOptions", dict(valuesCount=3, axis=-1)))
simple("unpack", "UNPACK", [rand(2, 3, 2)], ("UnpackOptions", dict(num=3, axis=1)), ["float32"] * 3, outputs=3)
simple("split", "SPLIT", [("c", np.array(1, np.int32)), rand(2, 6)], ("SplitOptions", dict(numSplits=3)), ["float32"] * 3, outputs=3)
simple("split_v", "SPLIT_V", [rand(2, 7), ("c", np.array([2, -1, 1], np.int32)), ("c", np.array(1, np.int32))], ("SplitVOptions", dict(numSplits=3)), ["float32"] * 3, outputs=3)
simple("split_v_many", "SPLIT_V", [rand(2, 12), ("c", np.array([1, 1, 1, 1, 2, 1, 1, 1, 1, 2], np.int32)), ("c", np.array(1, np.int32))], ("SplitVOptions", dict(numSplits=10)), ["float32"] * 10, outputs=10)
simple("slice", "SLICE", [rand(4, 5, 3), ("c", np.array([1, 0, 2], np.int32)), ("c", np.array([2, -1, 1], np.int32))], shape=[2, 5, 1])
_strided = dict(beginMask=0, endMask=0, ellipsisMask=0, newAxisMask=0, shrinkAxisMask=0)


def strided(name, x, begin, end, strides, **masks):
    c = [("c", np.array(v, np.int32)) for v in (begin, end, strides)]
    simple("strided_slice_" + name, "STRIDED_SLICE", [x] + c, ("StridedSliceOptions", {**_strided, **masks}))


strided("plain", rand(5, 6), [1, -5], [4, 6], [1, 2])
strided("back", rand(5, 6), [3, -1], [0, -7], [-1, -2])
strided("masks", rand(5, 6, 2), [2, 3], [1, 5], [1, 2], beginMask=1, endMask=3)
strided("back_masks", rand(5, 6), [2, 3], [1, 5], [-1, -2], beginMask=3, endMask=3)
strided("shrink", rand(5, 6, 3), [-1, 2], [0, 4], [1, 1], shrinkAxisMask=1)
strided("ellipsis", rand(4, 2, 3, 5), [1, 0, 2], [3, 0, 4], [1, 1, 1], ellipsisMask=2)
strided("new_axis", rand(4, 5), [0, 1, 2], [0, 3, 4], [1, 1, 1], newAxisMask=1)
simple("gather", "GATHER", [rand(4, 5, 2), ("c", np.array([[3, 0], [1, 1]], np.int32))], ("GatherOptions", dict(axis=1)))
simple("gather_nd", "GATHER_ND", [rand(4, 5, 2), ("c", np.array([[3, 0], [1, 4]], np.int32))])
simple("scatter_nd", "SCATTER_ND", [("c", np.array([[3], [0], [3]], np.int32)), rand(3, 2), ("c", np.array([5, 2], np.int32))])
simple("embedding_lookup", "EMBEDDING_LOOKUP", [rand(3, dtype="int32", low=0, high=6), ("c", rand(6, 4))])
simple("transpose", "TRANSPOSE", [rand(2, 3, 4), ("c", np.array([2, 0, 1], np.int32))])
simple("reverse", "REVERSE_V2", [rand(2, 3, 4), ("c", np.array([1], np.int32))])
simple("depth_to_space", "DEPTH_TO_SPACE", [rand(2, 3, 2, 12)], ("DepthToSpaceOptions", dict(blockSize=2)))
simple("space_to_depth", "SPACE_TO_DEPTH", [rand(2, 4, 2, 3)], ("SpaceToDepthOptions", dict(blockSize=2)))
simple("space_to_batch", "SPACE_TO_BATCH_ND", [rand(2, 4, 5, 3), ("c", np.array([2, 3], np.int32)), ("c", np.array([[0, 2], [1, 0]], np.int32))])
simple("batch_to_space", "BATCH_TO_SPACE_ND", [rand(12, 2, 2, 3), ("c", np.array([2, 3], np.int32)), ("c", np.array([[1, 0], [0, 2]], np.int32))])
simple("pad", "PAD", [rand(2, 3, 4), ("c", np.array([[0, 0], [1, 2], [3, 0]], np.int32))])
simple("pad_v2", "PADV2", [rand(2, 3), ("c", np.array([[1, 0], [0, 2]], np.int32)), ("c", np.array(-7, np.float32))])
simple("mirror_pad", "MIRROR_PAD", [rand(4, 5), ("c", np.array([[1, 2], [3, 0]], np.int32))], ("MirrorPadOptions", dict(mode=0)))
simple("symmetric_pad", "MIRROR_PAD", [rand(4, 5), ("c", np.array([[1, 4], [3, 0]], np.int32))], ("MirrorPadOptions", dict(mode=1)))
simple("tile", "TILE", [rand(2, 3), ("c", np.array([2, 3], np.int32))])
simple("broadcast_to", "BROADCAST_TO", [rand(3, 1), ("c", np.array([2, 3, 4], np.int32))], version=2)
simple("shape", "SHAPE", [rand(2, 3, 4)], ("ShapeOptions", dict(outType=2)), "int32")
simple("rank", "RANK", [rand(2, 3, 4)], None, "int32")
simple("fill", "FILL", [("c", np.array([2, 3], np.int32)), rand()])
simple("range", "RANGE", [("c", np.array(1, np.float32)), ("c", np.array(5, np.float32)), ("c", np.array(1.5, np.float32))])
simple("one_hot", "ONE_HOT", [rand(4, dtype="int32", low=0, high=5), ("c", np.array(5, np.int32)), ("c", np.array(3, np.float32)), ("c", np.array(-1, np.float32))], ("OneHotOptions", dict(axis=-1)))

# ---- networks --------------------------------------------------------------------------------------------------------


def conv(name, size, kernel, out, padding, stride=(1, 1), dilation=(1, 1), act=0, groups=1):
    simple(name, "CONV_2D", [rand(2, *size), ("c", rand(out, *kernel, size[2] // groups)), ("c", rand(out))],
           ("Conv2DOptions", dict(padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
                                  dilationWFactor=dilation[1], fusedActivationFunction=act)), version=2)


def depthwise(name, size, kernel, multiplier, padding, stride=(1, 1), dilation=(1, 1), act=0):
    n = size[2] * multiplier
    simple(name, "DEPTHWISE_CONV_2D", [rand(2, *size), ("c", rand(1, *kernel, n)), ("c", rand(n))],
           ("DepthwiseConv2DOptions", dict(padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
                                           dilationWFactor=dilation[1], depthMultiplier=multiplier, fusedActivationFunction=act)), version=2)


conv("conv_1x1", (3, 4, 5), (1, 1), 7, SAME)
conv("conv_valid", (6, 7, 3), (3, 2), 5, VALID, act=1)
conv("conv_same_stride", (6, 7, 3), (3, 3), 5, SAME, (2, 2), act=3)
conv("conv_same_stride3", (8, 8, 2), (2, 5), 3, SAME, (3, 2))
conv("conv_dilated", (9, 8, 2), (3, 3), 3, SAME, (1, 1), (2, 3))
conv("conv_groups", (4, 4, 6), (3, 3), 4, SAME, groups=2)
depthwise("depthwise_same", (6, 7, 3), (3, 3), 1, SAME)
depthwise("depthwise_stride", (6, 7, 3), (3, 5), 1, SAME, (2, 2), act=3)
depthwise("depthwise_multiplier", (5, 5, 3), (3, 3), 2, VALID)
depthwise("depthwise_one_tap", (6, 7, 3), (1, 1), 1, VALID, act=1)
depthwise("depthwise_dilated", (9, 8, 2), (3, 3), 1, SAME, (1, 1), (2, 2))


@case("conv_f16_weights")
def _(g):
    x = g.input(rand(1, 5, 5, 3))
    w = g.op("DEQUANTIZE", [g.const(rand(4, 3, 3, 3).astype(np.float16))], ("DequantizeOptions", {}), version=3, shape=[4, 3, 3, 3])
    b = g.op("DEQUANTIZE", [g.const(rand(4).astype(np.float16))], ("DequantizeOptions", {}), version=3, shape=[4])
    c = g.op("DEQUANTIZE", [g.const(rand(4).astype(np.float16))], ("DequantizeOptions", {}), version=3, shape=[4])
    y = g.op("CONV_2D", [x, w, b], ("Conv2DOptions", dict(padding=SAME, strideH=2, strideW=2)), version=2)
    g.out(g.op("MUL", [y, c], ("MulOptions", {})))


@case("shared_weight")
def _(g):
    x, w, b = g.input(rand(1, 4, 4, 3)), g.const(rand(3, 1, 1, 3)), g.const(rand(3))
    o = ("Conv2DOptions", dict(padding=SAME, strideH=1, strideW=1))
    g.out(g.op("CONV_2D", [g.op("CONV_2D", [x, w, b], o, version=2), w, b], o, version=2))


def transpose_conv(name, size, kernel, out, padding, stride, out_size):
    simple(name, "TRANSPOSE_CONV", [("c", np.array([2, *out_size, out], np.int32)), ("c", rand(out, *kernel, size[2])), rand(2, *size), ("c", rand(out))],
           ("TransposeConvOptions", dict(padding=padding, strideH=stride[0], strideW=stride[1])), version=3)


transpose_conv("transpose_conv_same", (4, 5, 3), (3, 3), 2, SAME, (2, 2), (8, 10))
transpose_conv("transpose_conv_valid", (4, 5, 3), (3, 2), 2, VALID, (2, 3), (9, 14))
transpose_conv("transpose_conv_odd", (4, 5, 3), (3, 3), 2, SAME, (2, 2), (7, 9))
transpose_conv("transpose_conv_wide", (3, 3, 2), (2, 2), 1, SAME, (3, 3), (9, 9))


def transpose_bias(name, size, kernel, out, padding, stride, shape):
    @case(name)
    def _(g):
        x, w, b = g.input(rand(1, *size)), g.const(rand(out, *kernel, size[2])), g.const(rand(out))
        g.out(g.op("CUSTOM", [x, w, b], custom=b"Convolution2DTransposeBias", data=struct.pack("<3i", padding, stride[1], stride[0]), shape=[1, *shape, out]))


transpose_bias("transpose_bias_same", (3, 4, 3), (2, 2), 2, 1, (2, 2), (6, 8))
transpose_bias("transpose_bias_same3", (3, 4, 3), (3, 3), 2, 1, (2, 2), (6, 8))
transpose_bias("transpose_bias_valid", (3, 4, 3), (3, 3), 2, 2, (2, 2), (7, 9))
for _pad, _name in ((SAME, "same"), (VALID, "valid")):
    for _op in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        simple(_op.lower() + "_" + _name, _op, [rand(2, 6, 7, 3)], ("Pool2DOptions", dict(padding=_pad, strideH=2, strideW=2, filterHeight=3, filterWidth=2, fusedActivationFunction=1)))
simple("average_pool_whole", "AVERAGE_POOL_2D", [rand(2, 6, 7, 3)], ("Pool2DOptions", dict(padding=VALID, strideH=1, strideW=1, filterHeight=6, filterWidth=7)))
for _corners, _half, _name in ((False, False, "plain"), (True, False, "corners"), (False, True, "half")):
    for _to, _dir in (((7, 9), "up"), ((3, 2), "down")):
        simple("resize_bilinear_%s_%s" % (_name, _dir), "RESIZE_BILINEAR", [rand(2, 4, 5, 3), ("c", np.array(_to, np.int32))], ("ResizeBilinearOptions", dict(alignCorners=_corners, halfPixelCenters=_half)), version=3)
        simple("resize_nearest_%s_%s" % (_name, _dir), "RESIZE_NEAREST_NEIGHBOR", [rand(2, 4, 5, 3), ("c", np.array(_to, np.int32))], ("ResizeNearestNeighborOptions", dict(alignCorners=_corners, halfPixelCenters=_half)), version=3)
simple("fully_connected", "FULLY_CONNECTED", [rand(3, 5), ("c", rand(4, 5)), ("c", rand(4))], ("FullyConnectedOptions", dict(fusedActivationFunction=1)))
simple("fully_connected_flat", "FULLY_CONNECTED", [rand(3, 2, 5), ("c", rand(4, 10)), ("c", rand(4))], ("FullyConnectedOptions", {}))
simple("fully_connected_keep", "FULLY_CONNECTED", [rand(3, 2, 5), ("c", rand(4, 5)), ("c", rand(4))], ("FullyConnectedOptions", dict(keepNumDims=True)), version=5)
simple("batch_matmul", "BATCH_MATMUL", [rand(2, 3, 4), rand(2, 4, 5)], ("BatchMatMulOptions", {}))
simple("batch_matmul_adj", "BATCH_MATMUL", [rand(2, 4, 3), rand(2, 5, 4)], ("BatchMatMulOptions", dict(adjX=True, adjY=True)))
simple("batch_matmul_weight", "BATCH_MATMUL", [rand(2, 3, 4), ("c", rand(4, 5))], ("BatchMatMulOptions", {}))
simple("l2_normalization", "L2_NORMALIZATION", [rand(2, 3, 4)], ("L2NormOptions", {}))
simple("local_response", "LOCAL_RESPONSE_NORMALIZATION", [rand(1, 2, 3, 9)], ("LocalResponseNormalizationOptions", dict(radius=2, bias=1.5, alpha=0.3, beta=0.75)))

# ---- sparse and quantised --------------------------------------------------------------------------------------------


def csr_dim(segments, indices, kind):
    d = S.DimensionMetadataT()
    d.format = 1
    cls, enum = {"u8": (S.Uint8VectorT, 3), "u16": (S.Uint16VectorT, 2), "i32": (S.Int32VectorT, 1)}[kind]
    d.arraySegments, d.arrayIndices = cls(), cls()
    d.arraySegments.values, d.arrayIndices.values = list(segments), list(indices)
    d.arraySegmentsType = d.arrayIndicesType = enum
    return d


def dense_dim(size):
    d = S.DimensionMetadataT()
    d.format, d.denseSize = 0, size
    return d


def sparse(g, dense, dtype, kind, block=None):
    """A rank-2 constant whose rows are dense and whose columns (or blocks of columns) are sparse."""
    rows, cols = dense.shape
    step = block or 1
    segments, indices, values = [0], [], []
    for r in range(rows):
        for c in range(cols // step):
            part = dense[r, c * step:(c + 1) * step]
            if np.any(part):
                indices.append(c)
                values += list(part)
        segments.append(len(indices))
    i = g.tensor(dense.shape, dtype, data=np.array(values, dtype))
    s = S.SparsityParametersT()
    s.traversalOrder = [0, 1] + ([2] if block else [])
    s.blockMap = [1] if block else None
    s.dimMetadata = [dense_dim(rows), csr_dim(segments, indices, kind)] + ([dense_dim(block)] if block else [])
    g.g.tensors[i].sparsity = s
    return i


def sparse_matrix(rows, cols, step=1):
    m = rand(rows, cols)
    mask = RNG.uniform(0, 1, (rows, cols // step)) < 0.5
    return m * np.repeat(mask, step, axis=1)


for _dtype, _kind, _block in (("float32", "u8", None), ("float32", "u16", 4), ("float16", "i32", None)):
    @case("densify_%s_%s" % (_dtype, _kind))
    def _(g, dtype=_dtype, kind=_kind, block=_block):
        m = sparse_matrix(5, 8, block or 1)
        w = g.op("DENSIFY", [sparse(g, m, dtype, kind, block)], ("DensifyOptions", {}), dtype=dtype, shape=[5, 8])
        if dtype == "float16":
            w = g.op("DEQUANTIZE", [w], ("DequantizeOptions", {}), version=3, shape=[5, 8])
        g.out(g.op("FULLY_CONNECTED", [g.input(rand(2, 8)), w, g.const(rand(5))], ("FullyConnectedOptions", {})))


def quantize_float(x, scale, zero, dtype):
    info = np.iinfo(dtype)
    return np.clip(np.rint(x / scale) + zero, info.min, info.max).astype(dtype)


Q = dict(scale=0.05, zero=3)
for _dtype in ("int8", "uint8"):
    _z = 3 if _dtype == "int8" else 120

    @case("quantize_" + _dtype)
    def _(g, dtype=_dtype, z=_z):
        g.out(g.op("QUANTIZE", [g.input(rand(2, 7))], ("QuantizeOptions", {}), dtype=dtype, output_kw=dict(scale=0.05, zero=z)))

    @case("dequantize_" + _dtype)
    def _(g, dtype=_dtype, z=_z):
        g.out(g.op("DEQUANTIZE", [g.input(quantize_float(rand(2, 7), 0.05, z, dtype), scale=0.05, zero=z)], ("DequantizeOptions", {}), version=2))

    @case("q_add_" + _dtype)
    def _(g, dtype=_dtype, z=_z):
        a, b = (g.input(quantize_float(rand(2, 7), s, z, dtype), scale=s, zero=z) for s in (0.05, 0.03))
        g.out(g.op("ADD", [a, b], ("AddOptions", dict(fusedActivationFunction=1)), dtype=dtype, version=2, output_kw=dict(scale=0.06, zero=z)))

    @case("q_reshape_" + _dtype)
    def _(g, dtype=_dtype, z=_z):
        q = dict(scale=0.05, zero=z)
        g.out(g.op("RESHAPE", [g.input(quantize_float(rand(2, 6), 0.05, z, dtype), **q), g.const([3, 4])], dtype=dtype, output_kw=q))

    @case("q_logistic_" + _dtype)
    def _(g, dtype=_dtype, z=_z):
        x = g.input(quantize_float(rand(2, 6), 0.05, z, dtype), scale=0.05, zero=z)
        g.out(g.op("LOGISTIC", [x], dtype=dtype, version=2, output_kw=dict(scale=1 / 256, zero=-128 if dtype == "int8" else 0)))

    @case("q_average_pool_" + _dtype)
    def _(g, dtype=_dtype, z=_z):
        q = dict(scale=0.05, zero=z)
        x = g.input(quantize_float(rand(1, 4, 4, 3), 0.05, z, dtype), **q)
        g.out(g.op("AVERAGE_POOL_2D", [x], ("Pool2DOptions", dict(padding=SAME, strideH=2, strideW=2, filterHeight=3, filterWidth=3)), dtype=dtype, version=2, output_kw=q))


@case("q_conv")
def _(g):
    x = g.input(quantize_float(rand(1, 5, 5, 3), 0.02, -5, "int8"), scale=0.02, zero=-5)
    s = np.array([0.01, 0.02, 0.015, 0.03])
    w = g.const(rand(4, 3, 3, 3, dtype="int8", low=-127, high=127), scale=s, axis=0)
    b = g.const(rand(4, dtype="int32", low=-200, high=200), scale=s * 0.02, axis=0)
    g.out(g.op("CONV_2D", [x, w, b], ("Conv2DOptions", dict(padding=SAME, strideH=2, strideW=2, fusedActivationFunction=1)), dtype="int8", version=3, output_kw=dict(scale=0.3, zero=-128)))


@case("q_depthwise")
def _(g):
    x = g.input(quantize_float(rand(1, 5, 5, 3), 0.02, -5, "int8"), scale=0.02, zero=-5)
    s = np.array([0.01, 0.02, 0.015])
    w = g.const(rand(1, 3, 3, 3, dtype="int8", low=-127, high=127), scale=s, axis=3)
    b = g.const(rand(3, dtype="int32", low=-200, high=200), scale=s * 0.02, axis=0)
    g.out(g.op("DEPTHWISE_CONV_2D", [x, w, b], ("DepthwiseConv2DOptions", dict(padding=SAME, strideH=1, strideW=1, depthMultiplier=1)), dtype="int8", version=3, output_kw=dict(scale=0.2, zero=4)))


@case("q_fully_connected")
def _(g):
    x = g.input(quantize_float(rand(2, 6), 0.02, 130, "uint8"), scale=0.02, zero=130)
    w = g.const(rand(4, 6, dtype="uint8", low=0, high=255), scale=0.01, zero=127)
    b = g.const(rand(4, dtype="int32", low=-200, high=200), scale=0.0002)
    g.out(g.op("FULLY_CONNECTED", [x, w, b], ("FullyConnectedOptions", {}), dtype="uint8", output_kw=dict(scale=0.1, zero=125)))


# ---- sub-graphs ------------------------------------------------------------------------------------------------------


@case("if")
def _(g):
    c, x = g.input(np.array([True])), g.input(rand(2, 3))
    for op in ("ADD", "MUL"):
        s = Graph(g.model)
        a = s.input(rand(2, 3))
        s.out(s.op(op, [a, s.const(rand(3))], (op.capitalize() + "Options", {}), shape=[2, 3]))
    g.out(g.op("IF", [c, x], ("IfOptions", dict(thenSubgraphIndex=1, elseSubgraphIndex=2)), shape=[2, 3]))


@case("while")
def _(g):
    i, x = g.input(np.array([0], np.int32)), g.input(rand(2, 3))
    s = Graph(g.model)
    a, _ = s.input(np.zeros([1], np.int32)), s.input(rand(2, 3))
    s.out(s.op("LESS", [a, s.const(np.array([5], np.int32))], dtype="bool"))
    s = Graph(g.model)
    a, v = s.input(np.zeros([1], np.int32)), s.input(rand(2, 3))
    s.out(s.op("ADD", [a, s.const(np.array([1], np.int32))], ("AddOptions", {}), dtype="int32"), s.op("MUL", [v, s.const(np.array([0.5], np.float32))], ("MulOptions", {}), shape=[2, 3]))
    g.out(*g.op("WHILE", [i, x], ("WhileOptions", dict(condSubgraphIndex=1, bodySubgraphIndex=2)), outputs=2, dtype=["int32", "float32"]))


# ---- sizes that vary -------------------------------------------------------------------------------------------------


@case("varying_picture", sizes=[[2, 9, 11, 3]])
def _(g):
    x = g.input(rand(2, 9, 11, 3), signature=[-1, -1, -1, 3])
    y = g.op("CONV_2D", [x, g.const(rand(4, 3, 3, 3)), g.const(rand(4))], ("Conv2DOptions", dict(padding=SAME, strideH=2, strideW=2)), version=2)
    g.out(g.op("MAX_POOL_2D", [y], ("Pool2DOptions", dict(padding=SAME, strideH=2, strideW=2, filterHeight=3, filterWidth=2))))


@case("varying_reshape", sizes=[[3, 4]])
def _(g):
    x = g.input(rand(3, 4), signature=[-1, 4])
    s = g.op("SHAPE", [x], ("ShapeOptions", dict(outType=2)), dtype="int32")
    n = g.op("STRIDED_SLICE", [s, g.const([0]), g.const([1]), g.const([1])], ("StridedSliceOptions", dict(shrinkAxisMask=1)), dtype="int32")
    p = g.op("PACK", [n, g.const(np.array(2, np.int32)), g.const(np.array(2, np.int32))], ("PackOptions", dict(valuesCount=3, axis=0)), dtype="int32")
    g.out(g.op("RESHAPE", [x, p]))


# ---- volumes ---------------------------------------------------------------------------------------------------------

def volume(name, size, kernel, out, padding, stride=(1, 1, 1), dilation=(1, 1, 1), act=0):
    options = ("Conv3DOptions", dict(padding=padding, strideD=stride[0], strideH=stride[1], strideW=stride[2], dilationDFactor=dilation[0],
                                     dilationHFactor=dilation[1], dilationWFactor=dilation[2], fusedActivationFunction=act))

    @case(name)
    def _(g):
        x = g.input(rand(*size))
        g.out(g.op("CONV_3D", [x, g.const(rand(*kernel, size[-1], out)), g.const(rand(out))], options))


volume("conv_3d_valid", (2, 4, 5, 6, 3), (2, 3, 2), 4, VALID, (1, 2, 1))
volume("conv_3d_same", (1, 5, 6, 7, 2), (3, 3, 2), 3, SAME, (2, 3, 1), act=1)
volume("conv_3d_dilated", (1, 7, 6, 5, 2), (3, 2, 2), 3, VALID, dilation=(3, 2, 1))


@case("conv_3d_transpose")
def _(g):
    options = ("Conv3DOptions", dict(padding=SAME, strideD=2, strideH=1, strideW=3, dilationDFactor=1, dilationHFactor=1, dilationWFactor=1))
    shape, w = g.const(np.array([1, 6, 4, 6, 2], np.int32)), g.const(rand(3, 2, 3, 2, 3))
    g.out(g.op("CONV_3D_TRANSPOSE", [shape, w, g.input(rand(1, 3, 4, 2, 3)), g.const(rand(2))], options))


def tensor_bytes(a):
    return struct.pack("<II", DTYPES[str(a.dtype)], a.ndim) + struct.pack("<%dq" % a.ndim, *a.shape) + struct.pack("<I", a.nbytes) + np.ascontiguousarray(a).tobytes()


def run(model, feeds, sizes):
    # MediaPipe's own operators run in a delegate only; the others run in the plain kernels.
    kind = OpResolverType.AUTO if b"Convolution2D" in model else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    i = Interpreter(model_content=model, experimental_op_resolver_type=kind)
    for k, size in enumerate(sizes or []):
        i.resize_tensor_input(i.get_input_details()[k]["index"], size)
    i.allocate_tensors()
    for d, a in zip(i.get_input_details(), feeds):
        i.set_tensor(d["index"], a)
    i.invoke()
    return [np.array(i.get_tensor(d["index"])) for d in i.get_output_details()]


# Small, and together they reach most of the reader.
CORPUS = ["conv_f16_weights", "depthwise_multiplier", "densify_float32_u16", "q_conv", "while", "if", "varying_reshape", "strided_slice_masks",
          "transpose_bias_same", "split_v", "resize_bilinear_half_up", "concatenation"]


def main():
    records, failed = [], 0
    for name, fill, sizes in CASES:
        model = Model()
        g = Graph(model)
        fill(g)
        data = model.bytes()
        try:
            outs = run(data, g.feeds, sizes)
        except (RuntimeError, ValueError) as e:
            print("%s: %s" % (name, str(e).strip().splitlines()[0]))
            failed += 1
            continue
        if "--show" in sys.argv:
            print(name, [(o.dtype, o.shape) for o in outs])
        record = [struct.pack("<I", len(name)), name.encode(), struct.pack("<I", len(data)), data]
        for list_ in (g.feeds, outs):
            record += [struct.pack("<I", len(list_))] + [tensor_bytes(a) for a in list_]
        records.append(b"".join(record))
        if name in CORPUS:
            with open(os.path.join(HERE, "../fuzz/corpus/tflite", name + ".tflite"), "wb") as f:
                f.write(data)
    with open(os.path.join(HERE, "tflite_cases.bin"), "wb") as f:
        f.write(struct.pack("<I", len(records)) + b"".join(records))
    print("%d cases, %d failed" % (len(records), failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
