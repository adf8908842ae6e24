# SPDX-License-Identifier: Apache-2.0
"""Contexts, models and sessions."""
import ctypes
import logging
import os
import time
from dataclasses import dataclass

from . import _raw as raw
from ._arrays import DTYPES, to_array, wrap
from ._interrupt import RunOptions
from ._library import Handle, check, check_import, importer, lib, to_path, to_text


@raw.tern_log_fn
def _log(_, level, message):
    if level == 1:  # errors are raised
        logging.getLogger("tern").warning("%s", to_text(message))


class Context(Handle):
    """Threads and memory that models share. threads: of a run, with the caller's; 0 = the processors of this process.
    Its warnings go to the logger "tern" of the module logging."""

    _release = "tern_context_release"

    def __init__(self, threads: int = 0):
        pointer = ctypes.c_void_p()
        check(lib.tern_context_create(raw.tern_context_options(num_threads=threads, log_level=1, log=_log), pointer))
        super().__init__(pointer)

    def devices(self) -> list:
        """Backends and their devices, as dictionaries."""
        found = []
        for i in range(lib.tern_context_num_devices(self)):
            info = raw.tern_device_info()
            check(lib.tern_context_get_device(self, i, info))
            found.append({"backend": to_text(info.backend), "device": to_text(info.device), "available": bool(info.available),
                          "reason": to_text(info.reason)})
        return found


_context = None


def default_context() -> Context:
    """The one that `load` uses when none is given."""
    global _context
    if _context is None:
        _context = Context()
    return _context


@dataclass(frozen=True)
class TensorInfo:
    """An input, output, parameter or state. shape: None where a size varies; sizes: how those of an output follow."""
    name: str
    dtype: object
    shape: tuple
    sizes: str = ""


class Model(Handle):
    """A `.tern` file. May be shared by threads."""

    _release = "tern_model_release"

    def __init__(self, pointer, context):
        super().__init__(pointer)
        self.context = context
        self._session = None

    @property
    def signatures(self) -> list:
        return [to_text(lib.tern_model_signature_name(self, i)) for i in range(lib.tern_model_num_signatures(self))]

    @property
    def metadata(self) -> dict:
        pairs = {}
        for i in range(lib.tern_model_num_metadata(self)):
            key, value = ctypes.c_char_p(), ctypes.c_char_p()
            check(lib.tern_model_get_metadata(self, i, key, value))
            pairs[to_text(key.value)] = to_text(value.value)
        return pairs

    def _signature(self, name):
        if isinstance(name, int):
            return name
        index = ctypes.c_int32()
        check(lib.tern_model_find_signature(self, name.encode(), index))
        return index.value

    def _tensors(self, signature, role):
        found = []
        index = self._signature(signature)
        for i in range(lib.tern_model_num_tensors(self, index, role)):
            info = raw.tern_tensor_info()
            check(lib.tern_model_get_tensor(self, index, role, i, info))
            shape = tuple(None if role in (0, 1) and (d < 0 or (role == 0 and info.min_dims[k] != info.max_dims[k])) else d
                          for k, d in enumerate(info.dims[:info.rank]))
            found.append(TensorInfo(to_text(info.name), DTYPES[info.dtype], shape, to_text(info.sizes) or ""))
        return found

    def inputs(self, signature=0) -> list:
        """TensorInfo of each. signature: its index or name."""
        return self._tensors(signature, raw.TERN_ROLE_INPUT)

    def outputs(self, signature=0) -> list:
        return self._tensors(signature, raw.TERN_ROLE_OUTPUT)

    def session(self, backends: str = None, **options) -> "Session":
        """backends: names in order of preference, as "onednn,cpu"."""
        return Session(self, backends, **options)

    def __call__(self, *inputs, **named):
        """Runs the first signature in a session that the model keeps. One thread at a time."""
        if self._session is None:
            self._session = self.session()
        return self._session.run(*inputs, **named)

    def close(self):
        if self._session is not None:
            self._session.close()
            self._session = None
        super().close()


class Session(Handle):
    """Runs the signatures of a model. One thread at a time."""

    _release = "tern_session_release"

    def __init__(self, model, backends=None, max_plans=0, flags=0):
        pointer = ctypes.c_void_p()
        options = raw.tern_session_options(flags=flags, backends=backends.encode() if backends else None, max_plans=max_plans)
        check(lib.tern_session_create(model, options, pointer))
        super().__init__(pointer)
        self.model = model
        self._known = {}

    def _known_of(self, signature):
        known = self._known.get(signature)
        if known is None:
            index = self.model._signature(signature)
            inputs = self.model.inputs(index)
            shapes = [(t.shape, t.dtype) if None not in t.shape else (None, None) for t in self.model.outputs(index)]
            known = (index, inputs, {t.name: i for i, t in enumerate(inputs)}, ctypes.c_void_p * len(inputs), ctypes.c_void_p * len(shapes),
                     shapes)
            self._known[signature] = known
        return known

    def run(self, *inputs, signature=0, timeout=None, **named):
        """Arrays in, in order or by name; arrays out: one, or a tuple of several. They lie in the library's memory.
        timeout: seconds after which tern.TimedOut is raised. Ctrl-C ends a running call; the session can be used again."""
        index, infos, places, in_type, out_type, shapes = self._known_of(signature)
        given = list(inputs) + [None] * (len(infos) - len(inputs))
        if len(given) > len(infos):
            raise TypeError(f"{len(inputs)} inputs, the signature takes {len(infos)}: {', '.join(places)}")
        for name, value in named.items():
            if name not in places:
                raise TypeError(f"there is no input '{name}'; there are {', '.join(places)}")
            if given[places[name]] is not None:
                raise TypeError(f"input '{name}' is given twice")
            given[places[name]] = value
        tensors, arrays, outputs = in_type(), [], out_type()
        try:
            for i, value in enumerate(given):
                if value is None:
                    raise TypeError(f"input '{infos[i].name}' is missing")
                tensor, array = wrap(self.model.context, value, infos[i].dtype)
                tensors[i] = tensor.value
                arrays.append(array)
            with RunOptions(timeout) as options:
                check(lib.tern_session_run(self, index, tensors, len(tensors), outputs, len(outputs), options))
        finally:
            for tensor in tensors:
                if tensor:
                    lib.tern_tensor_release(tensor)
        results = tuple(to_array(p, *known) for p, known in zip(outputs, shapes))
        return results[0] if len(results) == 1 else results

    __call__ = run

    def bind(self, *inputs, signature=0) -> "Bound":
        """For small models that are called often: the arrays' own memory is read at every run, and the results are written to the
        same arrays again."""
        return Bound(self, signature, inputs)


class Bound:
    """A run with everything in place: write to `inputs`, call, read `outputs`."""

    def __init__(self, session, signature, inputs):
        index, infos, _, _, out_type, shapes = session._known_of(signature)
        if len(inputs) != len(infos):
            raise TypeError(f"{len(inputs)} inputs, the signature takes {len(infos)}")
        begin = time.perf_counter()
        outputs = session.run(*inputs, signature=signature)
        self._slow = time.perf_counter() - begin > 0.01  # worth the microseconds that Ctrl-C takes
        self.outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        self.inputs = []
        self.session, self._index = session, index
        for role, bind, arrays in (("input", lib.tern_session_bind_input, inputs), ("output", lib.tern_session_bind_output, self.outputs)):
            for i, value in enumerate(arrays):
                tensor, array = wrap(session.model.context, value)
                if array is not value:
                    lib.tern_tensor_release(tensor)
                    raise TypeError(f"{role} {i} is no row-major array: its memory cannot be used in place")
                try:
                    check(bind(session, index, i, tensor))
                finally:
                    lib.tern_tensor_release(tensor)
                if role == "input":
                    self.inputs.append(array)
        self._run = lib.tern_session_run_bound
        self._pointer = session._pointer

    def __call__(self):
        if self.session._pointer is None:
            raise ValueError("the session is closed")
        if self._slow:
            with RunOptions() as options:
                status = self._run(self._pointer, self._index, options)
        else:
            status = self._run(self._pointer, self._index, None)
        if status:
            check(status)
        return self.outputs


def load(path, context: Context = None, copy: bool = False, check_weights: bool = False) -> Model:
    """Loads a `.tern` file. copy: reads it instead of mapping it."""
    context = context or default_context()
    pointer = ctypes.c_void_p()
    options = raw.tern_load_options(flags=copy * raw.TERN_LOAD_COPY | check_weights * raw.TERN_LOAD_CHECK_WEIGHTS)
    check(lib.tern_model_load_file(context, to_path(path), options, pointer))
    return Model(pointer, context)


def _settings(settings, labels):
    """Keys of a task's metadata as lines; labels: a file of them, or a list."""
    pairs = dict(settings or {})
    if labels is not None:
        if isinstance(labels, (str, os.PathLike)):
            with open(labels, encoding="utf-8") as f:
                labels = f.read().splitlines()
        pairs["labels"] = "\n".join(labels)
    return "\n".join(f"{k}={v}".replace("\n", "\\n") for k, v in pairs.items()).encode()


def import_model(source, output=None, input_shapes: dict = None, input_values: dict = None, labels=None, recipe: str = None, task: str = None,
                 settings: dict = None, weights: str = None, cache: str = None, activations: str = None) -> str:
    """Makes a `.tern` file from an ONNX, TFLite or GGUF file or a Hugging Face folder, and returns its path: `output`, or the
    source's name with .tern in the current folder.
    input_shapes: {"x": (1, 3, 640, 640)}; input_values: {"rate": 16000}; labels: a file of them, one a line, or a list; task:
    "detector", "classifier", ...; settings: keys of the task's metadata, as {"score": 0.4}; weights: of language models, "f32", "f16",
    "q8_0", "q4_0", "q4_1" or "ternary"; cache: their keys and values, "f32", "f16" or "int8"; activations: what meets weights of 8 and
    4 bits, "int16" or "f32"."""
    if output is None:
        whole = os.path.abspath(os.fspath(source))
        folder = whole if os.path.isdir(whole) else os.path.dirname(whole) if os.path.basename(whole) == "config.json" else None
        output = (os.path.basename(folder) if folder else os.path.splitext(os.path.basename(whole))[0]) + ".tern"
    output = os.fspath(output)
    text = lambda pairs, value: ";".join(f"{k}={value(v)}" for k, v in pairs.items()).encode() if pairs else None
    label_text = None
    if isinstance(labels, (str, os.PathLike)):
        with open(labels, "rb") as f:
            label_text = f.read()
    elif labels is not None:
        label_text = "\n".join(labels).encode()
    options = raw.tern_import_options(input_shapes=text(input_shapes, lambda s: "x".join(map(str, s))), input_values=text(input_values, repr),
                                      labels=label_text, recipe=recipe.encode() if recipe else None, task=task.encode() if task else None,
                                      settings=_settings(settings, None), weights=weights.encode() if weights else None,
                                      cache=cache.encode() if cache else None, activations=activations.encode() if activations else None)
    check_import(importer().tern_import_file(to_path(source), to_path(output), options))
    return output


def edit_model(path, output=None, labels=None, **settings) -> str:
    """Writes a `.tern` file again with other metadata of its task, as score=0.4 or labels=["cat", "dog"]; keys with a dot as
    **{"input.fit": "letterbox"}. output: None = the same file."""
    output = os.fspath(output if output is not None else path)
    check_import(importer().tern_import_edit(to_path(path), to_path(output), _settings(settings, labels)))
    return output
