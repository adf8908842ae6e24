# SPDX-License-Identifier: Apache-2.0
"""Imports an ONNX file and runs it through the C interface of libtern and libtern_import."""
import ctypes as c
import os

import numpy as np
from ml_dtypes import bfloat16

# The numbers are those of tern_dtype.
TYPES = {"f32": (1, np.float32), "f16": (2, np.float16), "bf16": (3, bfloat16), "f64": (4, np.float64), "i8": (5, np.int8), "u8": (6, np.uint8),
         "i16": (7, np.int16), "u16": (8, np.uint16), "i32": (9, np.int32), "u32": (10, np.uint32), "i64": (11, np.int64), "u64": (12, np.uint64),
         "bool": (13, np.bool_)}
NUMBER = {np.dtype(t): n for n, t in TYPES.values()}
NUMPY = {name: np.dtype(t) for name, (_, t) in TYPES.items()}
BY_NUMBER = {n: np.dtype(t) for n, t in TYPES.values()}
UNSUPPORTED = range(16, 32)
OUTPUT_ROLE = 1


class Failure(Exception):
    """A call failed. status: its code; stage: "import", "load" or "run"."""

    def __init__(self, stage, status, message):
        super().__init__(f"{stage}: status {status}: {message}")
        self.stage, self.status, self.message = stage, status, message


class ContextOptions(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("num_threads", c.c_int32), ("affinity_mask", c.c_uint64), ("wait", c.c_int32), ("log_level", c.c_int32),
                ("allocator", c.c_void_p), ("parallel", c.c_void_p), ("parallel_user", c.c_void_p), ("log", c.c_void_p), ("log_user", c.c_void_p)]


class SessionOptions(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("flags", c.c_uint32), ("backends", c.c_char_p), ("parameters", c.c_void_p), ("state", c.c_void_p),
                ("max_plans", c.c_int32)]


class Tern:
    def __init__(self, folder, backends=None):
        self.lib = c.CDLL(os.path.join(folder, "libtern.so"))
        self.importer = c.CDLL(os.path.join(folder, "libtern_import.so"))
        self.importer.tern_import_error.restype = c.c_char_p
        self.lib.tern_last_error_message.restype = c.c_char_p
        for name in ("tern_tensor_dim", "tern_tensor_num_elements"):
            getattr(self.lib, name).restype = c.c_int64
        for name in ("tern_tensor_const_data", "tern_tensor_data"):
            getattr(self.lib, name).restype = c.c_void_p
        self.lib.tern_tensor_bytes.restype = c.c_size_t
        self.backends = backends
        options = ContextOptions(struct_size=c.sizeof(ContextOptions), num_threads=1)
        self.context = c.c_void_p()
        self.call("load", "tern_context_create", c.byref(options), c.byref(self.context))

    def call(self, stage, name, *arguments):
        status = getattr(self.lib, name)(*arguments)
        if status != 0:
            raise Failure(stage, status, self.lib.tern_last_error_message().decode("utf-8", "replace"))

    def import_file(self, source, output):
        status = self.importer.tern_import_file(os.fsencode(source), os.fsencode(output), None)
        if status != 0:
            raise Failure("import", status, self.importer.tern_import_error().decode("utf-8", "replace"))

    def run(self, path, runs):
        """Loads a file and runs it for each of `runs` (input arrays in order). Yields the lists of output arrays."""
        lib = self.lib
        model, session = c.c_void_p(), c.c_void_p()
        self.call("load", "tern_model_load_file", self.context, os.fsencode(path), None, c.byref(model))
        try:
            options = SessionOptions(struct_size=c.sizeof(SessionOptions), backends=self.backends)
            self.call("load", "tern_session_create", model, c.byref(options), c.byref(session))
            count = lib.tern_model_num_tensors(model, 0, OUTPUT_ROLE)
            for inputs in runs:
                yield self.run_once(session, inputs, count)
        finally:
            if session:
                lib.tern_session_release(session)
            lib.tern_model_release(model)

    def run_once(self, session, inputs, count):
        lib = self.lib
        tensors, keep = (c.c_void_p * max(1, len(inputs)))(), []
        outputs = (c.c_void_p * max(1, count))()
        try:
            for i, x in enumerate(inputs):
                x = np.require(x, requirements=["C", "A"])
                keep.append(x)
                dims = (c.c_int64 * max(1, x.ndim))(*x.shape)
                t = c.c_void_p()
                self.call("run", "tern_tensor_create", self.context, NUMBER[x.dtype], dims, x.ndim, c.byref(t))
                tensors[i] = t
                if x.nbytes:
                    c.memmove(lib.tern_tensor_data(t), x.ctypes.data, x.nbytes)
            self.call("run", "tern_session_run", session, 0, tensors, len(inputs), outputs, count, None)
            return [self.to_array(c.c_void_p(o)) for o in outputs[:count]]
        finally:
            for t in list(tensors) + list(outputs):
                if t:
                    lib.tern_tensor_release(c.c_void_p(t))

    def to_array(self, t):
        lib = self.lib
        shape = tuple(lib.tern_tensor_dim(t, i) for i in range(lib.tern_tensor_rank(t)))
        dtype = BY_NUMBER[lib.tern_tensor_dtype(t)]
        size = lib.tern_tensor_bytes(t)
        return np.frombuffer(c.string_at(lib.tern_tensor_const_data(t), size) if size else b"", dtype).reshape(shape).copy()
