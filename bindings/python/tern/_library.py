# SPDX-License-Identifier: Apache-2.0
"""Finds libtern and libtern_import, and makes exceptions of their errors."""
import ctypes
import ctypes.util
import os
import sys

from . import _raw as raw

_HERE = os.path.dirname(os.path.abspath(__file__))
_SUFFIX = {"darwin": "dylib", "win32": "dll"}.get(sys.platform, "so")


class Error(Exception):
    """A call of the library failed. code: its status, as TERN_ERR_SHAPE; name: the status as text; op, node: where, or ""."""

    def __init__(self, message, code=raw.TERN_ERR_INTERNAL, op="", node=""):
        super().__init__(message)
        self.code, self.op, self.node = code, op, node

    @property
    def name(self):
        return next((n for n in dir(raw) if n.startswith("TERN_ERR_") and getattr(raw, n) == self.code), "TERN_ERR_?")


class InvalidArgument(Error, ValueError):
    """Also a shape or a type that does not fit."""


class NotFound(Error, LookupError):
    """No file, signature, tensor or backend of this name."""


class OutOfMemory(Error, MemoryError):
    """An allocation failed."""


class TimedOut(Error, TimeoutError):
    """The deadline passed."""


_KINDS = {raw.TERN_ERR_INVALID_ARGUMENT: InvalidArgument, raw.TERN_ERR_SHAPE: InvalidArgument, raw.TERN_ERR_TYPE: InvalidArgument,
          raw.TERN_ERR_INDEX: InvalidArgument, raw.TERN_ERR_NOT_FOUND: NotFound, raw.TERN_ERR_MEMORY: OutOfMemory, raw.TERN_ERR_DEADLINE: TimedOut}


def _open(name):
    """By TERN_LIBRARY (the file, or its folder), else beside this package, else where the system looks."""
    file = f"lib{name}.{_SUFFIX}"
    given = os.environ.get("TERN_LIBRARY")
    places = []
    if given:
        folder = given if os.path.isdir(given) else os.path.dirname(given)
        places = [given if name == "tern" and not os.path.isdir(given) else os.path.join(folder, file)]
    else:
        places = [os.path.join(_HERE, file)]
        found = ctypes.util.find_library(name)
        places += [found] if found else []
    why = []
    for place in places:
        if os.path.dirname(place) and not os.path.exists(place):
            why.append(f"{place} is not there")
            continue
        try:
            return ctypes.CDLL(place)
        except OSError as e:
            why.append(str(e))
    raise ImportError(f"{file}: {'; '.join(why) or 'not found'}. The environment variable TERN_LIBRARY may name it.")


lib = raw.declare(_open("tern"), raw.FUNCTIONS)
if lib.tern_version() // 10000 != raw.TERN_VERSION_MAJOR:
    raise ImportError(f"libtern has version {lib.tern_version()}, this package is made for {raw.TERN_VERSION_MAJOR}.x")


def check(status):
    if status != raw.TERN_OK:
        if status == raw.TERN_ERR_CANCELLED:  # by Ctrl-C alone, see _interrupt.py
            raise KeyboardInterrupt
        e = raw.tern_error()
        lib.tern_last_error(e)
        text = lambda b: b.decode("utf-8", "replace")
        raise _KINDS.get(status, Error)(text(e.message), status, text(e.op), text(e.node))


_importer = None


def importer():
    """libtern_import, opened when it is first needed."""
    global _importer
    if _importer is None:
        _importer = raw.declare(_open("tern_import"), raw.IMPORT_FUNCTIONS)
    return _importer


def check_import(status):
    if status != raw.TERN_OK:
        raise _KINDS.get(status, Error)(importer().tern_import_error().decode("utf-8", "replace"), status)


def to_path(path):
    return os.fsencode(path)


def to_text(b):
    return None if b is None else b.decode("utf-8", "replace")


class Handle:
    """An object of the library, released when nobody holds this one; by `with`, at its end."""

    _release = None  # name of the function that lets it go

    def __init__(self, pointer):
        self._pointer = pointer

    def close(self):
        """Lets go of the object. It cannot be used afterwards."""
        if self._pointer:
            getattr(lib, self._release)(self._pointer)
            self._pointer = None

    @property
    def _as_parameter_(self):
        if not self._pointer:
            raise ValueError(f"this {type(self).__name__} is closed")
        return self._pointer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_pointer", None) and lib is not None:
            self.close()
