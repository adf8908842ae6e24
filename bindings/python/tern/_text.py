# SPDX-License-Identifier: Apache-2.0
"""Tokenizers."""
import ctypes
import os
from dataclasses import dataclass

from . import _raw as raw
from ._library import Handle, check, check_import, importer, lib, to_path
from ._model import Model, load


@dataclass(frozen=True)
class Token:
    """text: its bytes within a text; piece: how the vocabulary spells it (bytes); score: 0 where there are none."""
    id: int
    text: bytes
    piece: bytes
    special: bool = False
    added: bool = False
    byte: bool = False
    unused: bool = False
    unknown: bool = False
    score: float = 0


class Stream(Handle):
    """The text of ids that come one by one."""

    _release = "tern_detokenizer_release"

    def __init__(self, tokenizer, skip_special=False, stop=()):
        pointer, self._text, self._size = ctypes.c_void_p(), ctypes.c_char_p(), ctypes.c_size_t()
        stops = [s.encode() for s in ([stop] if isinstance(stop, str) else stop)]
        check(lib.tern_detokenizer_create(tokenizer, skip_special * raw.TERN_DECODE_SKIP_SPECIAL, pointer))
        super().__init__(pointer)
        check(lib.tern_detokenizer_set_stops(self, (ctypes.c_char_p * len(stops))(*stops), len(stops)))

    def _take(self, status):
        check(status)
        return ctypes.string_at(self._text, self._size.value).decode() if self._size.value else ""

    def add(self, id) -> str:
        return self._take(lib.tern_detokenizer_add(self, id, self._text, self._size))

    def end(self) -> str:
        return self._take(lib.tern_detokenizer_end(self, self._text, self._size))

    @property
    def stopped(self) -> bool:
        return bool(lib.tern_detokenizer_stopped(self))


class Tokenizer(Handle):
    """From a file tokenizer.json, from its content as bytes, or from a model that carries one: its path, or a Model.
    May be shared by threads.

        t = tern.Tokenizer("tokenizer.json")
        ids = t.encode("Hello, world!")
        t.decode(ids)
    """

    _release = "tern_tokenizer_release"

    def __init__(self, source):
        pointer = ctypes.c_void_p()
        if isinstance(source, Model):
            check(lib.tern_tokenizer_create_from_model(source, pointer))
        elif isinstance(source, (bytes, bytearray)):
            check(lib.tern_tokenizer_create(bytes(source), len(source), pointer))
        else:
            with open(source, "rb") as f:
                data = f.read(8)
                data = data if data == b"TERN\r\n\x1a\n" else data + f.read()
            if data == b"TERN\r\n\x1a\n":
                with load(source) as model:
                    check(lib.tern_tokenizer_create_from_model(model, pointer))
            else:
                check(lib.tern_tokenizer_create(data, len(data), pointer))
        super().__init__(pointer)

    def __len__(self):
        """How many ids there are, with those that are not used."""
        return lib.tern_tokenizer_num_tokens(self)

    def __getitem__(self, id) -> Token:
        info = raw.tern_token_info()
        if not 0 <= id < len(self):
            raise IndexError(f"token {id}: the vocabulary has {len(self)}")
        check(lib.tern_tokenizer_get_token(self, id, info))
        # The texts have a length and no end; c_char_p would stop at a zero.
        at = lambda field, size: ctypes.string_at(ctypes.c_void_p.from_buffer(info, field.offset).value, size) if size else b""
        flag = lambda f: bool(info.flags & f)
        return Token(id, at(raw.tern_token_info.text, info.text_bytes), at(raw.tern_token_info.piece, info.piece_bytes), flag(raw.TERN_TOKEN_SPECIAL),
                     flag(raw.TERN_TOKEN_ADDED), flag(raw.TERN_TOKEN_BYTE), flag(raw.TERN_TOKEN_UNUSED), flag(raw.TERN_TOKEN_UNKNOWN), info.score)

    def find(self, piece):
        """The id of a token by its piece, text or bytes; None if there is none."""
        piece = piece.encode() if isinstance(piece, str) else bytes(piece)
        id = ctypes.c_int32()
        status = lib.tern_tokenizer_find_token(self, piece, len(piece), id)
        if status == raw.TERN_ERR_NOT_FOUND:
            return None
        check(status)
        return id.value

    def encode(self, text, add_special: bool = True, parse_special: bool = False) -> list:
        """Ids of a text, or of bytes. add_special: with what the tokenizer puts around a text; parse_special: special tokens are
        found in the text, which texts of users should not be able to do."""
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
        flags = add_special * raw.TERN_ENCODE_ADD_SPECIAL | parse_special * raw.TERN_ENCODE_PARSE_SPECIAL
        capacity, count = len(data) + 64, ctypes.c_size_t()
        while True:
            ids = (ctypes.c_int32 * capacity)()
            check(lib.tern_tokenizer_encode(self, data, len(data), flags, ids, capacity, count))
            if count.value <= capacity:
                return ids[:count.value]
            capacity = count.value

    def decode_bytes(self, ids, skip_special: bool = False) -> bytes:
        """The bytes of ids, as they are."""
        ids = list(ids)
        data = (ctypes.c_int32 * len(ids))(*ids)
        capacity, size = 8 * len(ids) + 64, ctypes.c_size_t()
        while True:
            text = ctypes.create_string_buffer(capacity)
            check(lib.tern_tokenizer_decode(self, data, len(ids), skip_special * raw.TERN_DECODE_SKIP_SPECIAL, text, capacity, size))
            if size.value <= capacity:
                return text.raw[:size.value]
            capacity = size.value

    def decode(self, ids, skip_special: bool = False) -> str:
        """The text of ids; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids, skip_special).decode("utf-8", "replace")

    def stream(self, ids, skip_special: bool = False, stop=()):
        """Yields the text of ids as they come: whole characters, "" where one is not complete yet. It ends before the first text of `stop`
        (one, or a list) that comes; what could become one is held back."""
        with Stream(self, skip_special, stop) as s:
            for id in ids:
                yield s.add(id)
                if s.stopped:
                    return
            rest = s.end()
            if rest:
                yield rest

    def _role(self, role):
        id = lib.tern_tokenizer_get_role(self, role)
        return None if id < 0 else id

    @property
    def begin(self):
        """The id that begins a text, None if its source does not say; likewise `end`, `unknown` and `padding`."""
        return self._role(raw.TERN_TOKEN_ROLE_BEGIN)

    @property
    def end(self):
        return self._role(raw.TERN_TOKEN_ROLE_END)

    @property
    def unknown(self):
        return self._role(raw.TERN_TOKEN_ROLE_UNKNOWN)

    @property
    def padding(self):
        return self._role(raw.TERN_TOKEN_ROLE_PADDING)


def set_tokenizer(path, tokenizer, output=None) -> str:
    """Writes a `.tern` file again that carries a tokenizer: the path of a tokenizer.json, its content as bytes, or None for no
    tokenizer. output: None = the same file."""
    output = os.fspath(output if output is not None else path)
    if tokenizer is not None and not isinstance(tokenizer, (bytes, bytearray)):
        with open(tokenizer, "rb") as f:
            tokenizer = f.read()
    data = None if tokenizer is None else bytes(tokenizer)
    check_import(importer().tern_import_set_tokenizer(to_path(path), to_path(output), data, len(data or b"")))
    return output
