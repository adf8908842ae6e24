# SPDX-License-Identifier: Apache-2.0
"""llama.cpp as a library, for goldens and benchmarks: its C functions through ctypes.

The folder is that of libllama, as the npm package @node-llama-cpp/linux-x64 has it for all kinds of processors
(`npm pack @node-llama-cpp/linux-x64@3.22.1`, then package/bins/linux-x64 of what tar unpacks; llama.cpp v0.5.0, MIT).
"""
import ctypes as c
import glob
import os

import numpy as np


class Options(c.Structure):
    """Larger than any struct of options, whose fields beyond the first ones stay what llama.cpp says."""
    _fields_ = [("words", c.c_uint32 * 256)]


class Batch(c.Structure):
    _fields_ = [("n", c.c_int32), ("token", c.POINTER(c.c_int32)), ("embd", c.c_void_p), ("pos", c.POINTER(c.c_int32)),
                ("n_seq_id", c.POINTER(c.c_int32)), ("seq_id", c.POINTER(c.POINTER(c.c_int32))), ("logits", c.POINTER(c.c_int8))]


FUNCTIONS = [  # name, result, arguments
    ("llama_model_default_params", Options, []), ("llama_context_default_params", Options, []),
    ("llama_model_load_from_file", c.c_void_p, [c.c_char_p, Options]), ("llama_model_get_vocab", c.c_void_p, [c.c_void_p]),
    ("llama_vocab_n_tokens", c.c_int32, [c.c_void_p]), ("llama_init_from_model", c.c_void_p, [c.c_void_p, Options]),
    ("llama_set_n_threads", None, [c.c_void_p, c.c_int32, c.c_int32]), ("llama_get_memory", c.c_void_p, [c.c_void_p]),
    ("llama_memory_clear", None, [c.c_void_p, c.c_bool]), ("llama_batch_init", Batch, [c.c_int32] * 3),
    ("llama_decode", c.c_int32, [c.c_void_p, Batch]), ("llama_get_logits_ith", c.POINTER(c.c_float), [c.c_void_p, c.c_int32]),
    ("llama_tokenize", c.c_int32, [c.c_void_p, c.c_char_p, c.c_int32, c.POINTER(c.c_int32), c.c_int32, c.c_bool, c.c_bool]),
    ("llama_print_system_info", c.c_char_p, []), ("llama_log_set", None, [c.c_void_p, c.c_void_p])]


class Llama:
    """A model and one sequence of at most `context` tokens."""

    def __init__(self, folder, model, context=1024, threads=1):
        path = lambda name: sorted(glob.glob(os.path.join(folder, name + "*.so")))[0]
        c.CDLL(path("libggml-base"), mode=c.RTLD_GLOBAL)
        ggml = c.CDLL(path("libggml."), mode=c.RTLD_GLOBAL)
        self.lib = c.CDLL(path("libllama."))
        for name, result, arguments in FUNCTIONS:
            f = getattr(self.lib, name)
            f.restype, f.argtypes = result, arguments
        self.log = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)(lambda level, text, user: None)
        self.lib.llama_log_set(self.log, None)
        ggml.ggml_backend_load_all_from_path.argtypes = [c.c_char_p]
        ggml.ggml_backend_load_all_from_path(os.fsencode(folder))
        options = self.lib.llama_model_default_params()
        self.model = self.lib.llama_model_load_from_file(os.fsencode(model), options)
        if not self.model:
            raise OSError(f"llama.cpp cannot load {model}")
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        self.vocabulary = self.lib.llama_vocab_n_tokens(self.vocab)
        options = self.lib.llama_context_default_params()
        options.words[0] = options.words[1] = context  # tokens in all, and in a call
        self.context = self.lib.llama_init_from_model(self.model, options)
        self.lib.llama_set_n_threads(self.context, threads, threads)
        self.batch = self.lib.llama_batch_init(context, 0, 1)
        self.length = 0

    def processor(self):
        """Which of the processor's instructions it uses."""
        return self.lib.llama_print_system_info().decode()

    def tokens(self, text, special=True):
        data = text.encode()
        ids = (c.c_int32 * (len(data) + 8))()
        n = self.lib.llama_tokenize(self.vocab, data, len(data), ids, len(ids), special, special)
        assert n >= 0
        return ids[:n]

    def clear(self):
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        self.length = 0

    def feed(self, tokens, first=None):
        """Appends tokens. The logits f32 [n, vocabulary] of those from `first` on, without it of the last; they are lent."""
        b, first = self.batch, len(tokens) - 1 if first is None else first
        b.n = len(tokens)
        for i, token in enumerate(tokens):
            b.token[i], b.pos[i], b.n_seq_id[i], b.seq_id[i][0], b.logits[i] = token, self.length + i, 1, 0, i >= first
        if self.lib.llama_decode(self.context, b) != 0:
            raise RuntimeError("llama_decode failed")
        self.length += len(tokens)
        return [np.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, i), (self.vocabulary,)) for i in range(first, len(tokens))]
