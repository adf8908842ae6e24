# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays as tensors and back, without copies."""
import ctypes

import numpy as np

from . import _raw as raw
from ._library import check, lib

try:
    from ml_dtypes import bfloat16 as _bf16
except ImportError:
    _bf16 = np.uint16  # its bits

_DTYPES = {raw.TERN_DTYPE_F32: np.float32, raw.TERN_DTYPE_F16: np.float16, raw.TERN_DTYPE_BF16: _bf16, raw.TERN_DTYPE_F64: np.float64,
           raw.TERN_DTYPE_I8: np.int8, raw.TERN_DTYPE_U8: np.uint8, raw.TERN_DTYPE_I16: np.int16, raw.TERN_DTYPE_U16: np.uint16,
           raw.TERN_DTYPE_I32: np.int32, raw.TERN_DTYPE_U32: np.uint32, raw.TERN_DTYPE_I64: np.int64, raw.TERN_DTYPE_U64: np.uint64,
           raw.TERN_DTYPE_BOOL: np.bool_}
DTYPES = {number: np.dtype(t) for number, t in _DTYPES.items()}
_NUMBERS = {dtype: number for number, dtype in reversed(DTYPES.items())}
_DIMS = [ctypes.c_int64 * rank for rank in range(raw.TERN_MAX_RANK + 1)]
_NOTHING = raw.FUNCTIONS["tern_tensor_wrap"][1][6]()  # nothing to do when it goes


def wrap(context, array, dtype=None):
    """(tensor, array): the array's own memory where it is row-major and of the type, else a copy's. The array must outlive the
    tensor."""
    a = np.asarray(array)
    if dtype is not None and a.dtype != dtype and not isinstance(array, np.ndarray):
        a = a.astype(dtype)  # numbers and lists have no type of their own
    if not a.flags.c_contiguous:
        a = np.ascontiguousarray(a)
    number = _NUMBERS.get(a.dtype)
    if number is None:
        raise TypeError(f"arrays of {a.dtype} are no tensors")
    if a.ndim > raw.TERN_MAX_RANK:
        raise ValueError(f"an array of {a.ndim} dims; tensors have at most {raw.TERN_MAX_RANK}")
    if dtype is not None and a.dtype != dtype:
        raise TypeError(f"an array of {a.dtype}, {dtype} is needed")
    tensor = ctypes.c_void_p()
    check(lib.tern_tensor_wrap(context, number, _DIMS[a.ndim](*a.shape), a.ndim, a.__array_interface__["data"][0], a.nbytes, _NOTHING, None, tensor))
    return tensor, a


class _Memory:
    """What a NumPy array of a tensor's memory stands on."""

    __slots__ = ("tensor", "__array_interface__")

    def __init__(self, tensor, shape, dtype):
        self.tensor = tensor
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str if dtype.kind != "V" else "<u2",
                                    "data": (lib.tern_tensor_const_data(tensor) or 0, False)}

    def __del__(self):
        lib.tern_tensor_release(self.tensor)


def to_array(tensor, shape=None, dtype=None):
    """An array on the tensor's memory, which it releases when it goes. shape, dtype: where they are known."""
    if shape is None:
        shape = tuple(lib.tern_tensor_dim(tensor, i) for i in range(lib.tern_tensor_rank(tensor)))
        dtype = DTYPES[lib.tern_tensor_dtype(tensor)]
    memory = _Memory(tensor, shape, dtype)
    if 0 in shape:
        return np.zeros(shape, dtype)
    a = np.asarray(memory)
    return a if a.dtype == dtype else a.view(dtype)
