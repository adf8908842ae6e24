#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the `tern` command and the samples, on the small models of tests/capi/make_models.cpp, on the digits and, where
samples/fetch has brought them, on real models and photographs."""
import argparse
import json
import math
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

ARGS = None
CACHE = os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern"))


def tern(*words, code=0, timeout=240):
    p = subprocess.run([ARGS.tern, *words], capture_output=True, timeout=timeout)
    p.out, p.err = p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")
    if code is not None and p.returncode != code:
        raise AssertionError(f"tern {' '.join(words)}: exit {p.returncode}, not {code}\n{p.out}\n{p.err}")
    if p.returncode != 0 and not p.err:
        raise AssertionError(f"tern {' '.join(words)}: failed in silence")
    return p


def npy(dtype, shape, data, version=(1, 0), order="False", header=None):
    """Bytes of a .npy file; data: bytes."""
    text = header if header is not None else f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape!r}, }}"
    size = 10 if version[0] == 1 else 12
    text += " " * (63 - (size + len(text)) % 64) + "\n"
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text.encode("latin-1") + data


def read_npy(path):
    with open(path, "rb") as f:
        raw = f.read()
    assert raw[:8] == b"\x93NUMPY\x01\x00"
    length = struct.unpack("<H", raw[8:10])[0]
    header = eval(raw[10:10 + length].decode(), {"__builtins__": {}}, {"True": True, "False": False})
    assert (10 + length) % 64 == 0 and not header["fortran_order"]
    kind = {"<f4": "f", "<i8": "q", "|u1": "B", "<f8": "d"}[header["descr"]]
    return header["shape"], [v[0] for v in struct.iter_unpack("<" + kind, raw[10 + length:])]


def floats(values):
    return struct.pack(f"<{len(values)}f", *values)


def png(width, height, pixel):
    """Bytes of a grey picture; pixel(x, y) -> 0..255."""
    rows = b"".join(b"\0" + bytes(pixel(x, y) for x in range(width)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def read_png(data):
    """Width, height, channels and rows of bytes of a PNG of 8 bits."""
    at, parts = 8, {}
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        parts[kind] = parts.get(kind, b"") + data[at + 8:at + 8 + size]
        at += size + 12
    width, height, depth, colour = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    channels, raw, rows = {0: 1, 2: 3}[colour], zlib.decompress(parts[b"IDAT"]), []
    assert depth == 8
    above = bytes(width * channels)
    for y in range(height):
        kind, line, row = raw[y * (width * channels + 1)], raw[y * (width * channels + 1) + 1:(y + 1) * (width * channels + 1)], bytearray()
        for i, v in enumerate(line):
            a, b, c = row[i - channels] if i >= channels else 0, above[i], above[i - channels] if i >= channels else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row.append((v + [0, a, b, (a + b) // 2, nearest][kind]) & 255)
        above = bytes(row)
        rows.append(above)
    return width, height, channels, rows


def message(*fields):
    """Bytes of a protobuf message: (number, int | str | bytes) each."""
    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])
    out = b""
    for number, value in fields:
        value = value.encode() if isinstance(value, str) else value
        out += varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value
    return out


def onnx(nodes, inputs, outputs, constants=(), **integers):
    """Bytes of an ONNX file. nodes: (operator, inputs, output), or with a dictionary of attributes; inputs: {name: dims}, a dim that is text varies; all f32.
    constants: (name, dims, numbers); integers: attributes of the other nodes but Add and Mul, whole numbers or lists of them."""
    dim = lambda d: message((2, d) if isinstance(d, str) else (1, d))
    value = lambda name, dims: message((1, name), (2, message((1, message((1, 1), (2, message(*[(1, dim(d)) for d in dims])))))))
    attributes = lambda pairs: [(5, message((1, name), (3, v), (20, 2)) if isinstance(v, int) else message((1, name), *[(8, i) for i in v], (20, 7))) for name, v in pairs.items()]
    graph = [(1, message(*[(1, i) for i in ins], (2, out), (4, op), *attributes(own[0] if own else integers if op not in ("Add", "Mul") else {}))) for op, ins, out, *own in nodes]
    graph += [(5, message(*[(1, d) for d in dims], (2, 1), (8, name), (9, floats(numbers)))) for name, dims, numbers in constants]
    graph += [(2, "g")] + [(11, value(n, d)) for n, d in inputs.items()] + [(12, value(n, d)) for n, d in outputs.items()]
    return message((1, 8), (7, message(*graph)), (8, message((2, 13))))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tern-cli-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def model(self, name):
        return os.path.join(ARGS.models, name)


class CommandLine(Case):
    COMMANDS = ["import", "edit", "info", "check", "run", "compare", "bench", "detect", "segment", "classify", "pose", "embed", "read", "track", "tokenize",
                "generate", "chat", "devices", "version"]

    def test_help(self):
        overview = tern("--help").out
        for command in self.COMMANDS:
            self.assertIn(f"\n  {command} ", overview)
            text = tern(command, "--help").out
            self.assertIn(f"usage: tern {command}", text)
            self.assertIn(f"examples:\n  tern {command}", text)
            self.assertEqual(text, tern("help", command).out)
        self.assertIn("usage", tern(code=2).err)

    def test_typos(self):
        self.assertIn("did you mean 'detect'?", tern("detct", code=2).err)
        self.assertIn("did you mean 'bench'?", tern("bnech", code=2).err)
        self.assertIn("did you mean 'version'?", tern("vers", code=2).err)
        self.assertNotIn("did you mean", tern("quantise", code=2).err)
        self.assertIn("did you mean '--threads'?", tern("bench", "x.tern", "--thread", "2", code=2).err)
        self.assertIn("did you mean '--json'?", tern("info", "x.tern", "--jsn", code=2).err)

    def test_wrong_words(self):
        self.assertIn("missing", tern("info", code=2).err)
        self.assertIn("too many", tern("info", "a", "b", code=2).err)
        self.assertIn("needs", tern("bench", "a", "--threads", code=2).err)
        self.assertIn("no number", tern("bench", self.model("small.tern"), "--threads", "two", code=2).err)
        self.assertIn("no number", tern("bench", self.model("small.tern"), "--threads", "0", code=2).err)
        self.assertIn("takes no value", tern("devices", "--json=yes", code=2).err)

    def test_version_and_devices(self):
        self.assertRegex(tern("version").out, r"^tern \d+\.\d+\.\d+, libtern \d+\.\d+\.\d+\n$")
        self.assertEqual(tern("--version").out, tern("version").out)
        devices = json.loads(tern("devices", "--json").out)
        self.assertEqual(devices[0]["backend"], "cpu")
        self.assertTrue(devices[0]["available"])
        onednn = devices[1]
        self.assertEqual(onednn["backend"], "onednn")
        self.assertEqual(onednn["reason"] == "", onednn["available"])
        self.assertTrue(tern("devices").out.startswith("cpu"))

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            p = subprocess.run([ARGS.tern, "devices"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(p.returncode, 5)


class Texts(Case):
    JSON = ('{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": ["a b", "Ġ ab"]},'
            ' "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},'
            ' "added_tokens": [{"id": 6, "content": "<end>", "special": true}],'
            ' "post_processor": {"type": "BertProcessing", "cls": ["<end>", 6], "sep": ["<end>", 6]}}')

    def test_tokenize(self):
        path = self.write("tokenizer.json", self.JSON.encode())
        out = tern("tokenize", path, "ab ab").out
        self.assertEqual(out.split("\n"), ['       6  "<end>"  special', '       3  "ab"', '       4  " ab"', '       6  "<end>"  special', "4 tokens, 5 bytes", ""])
        self.assertEqual(tern("tokenize", path, "ab ab", "--ids").out, "6 3 4 6\n")
        self.assertEqual(tern("tokenize", path, "ab<end>b", "--ids", "--bare", "--parse-special").out, "3 6 1\n")
        self.assertEqual(json.loads(tern("tokenize", path, "ab", "--json", "--bare").out), {"bytes": 2, "count": 1, "ids": [3], "tokens": ["ab"]})
        p = subprocess.run([ARGS.tern, "tokenize", path, "-", "--ids", "--bare"], input=b"ab ab", capture_output=True)
        self.assertEqual(p.stdout, b"3 4\n")
        about = tern("tokenize", path).out
        self.assertIn("7 tokens, 1 special, 1 not used", about)
        self.assertEqual(json.loads(tern("tokenize", path, "--json").out)["special"], [{"id": 6, "text": "<end>"}])

    def test_decode(self):
        path = self.write("tokenizer.json", self.JSON.encode())
        self.assertEqual(tern("tokenize", path, "--decode", "6", "3", "4").out, "<end>ab ab")
        self.assertEqual(tern("tokenize", path, "--decode", "[6, 3,4]", "--skip-special").out, "ab ab")
        p = subprocess.run([ARGS.tern, "tokenize", self.model("words.tern"), "--decode", "-"], input=b"255 257\n", capture_output=True)
        self.assertEqual(p.stdout, b"\xffthe")  # bytes as they are
        self.assertIn("no token id", tern("tokenize", path, "--decode", "3 x", code=2).err)
        self.assertIn("token 77", tern("tokenize", path, "--decode", "77", code=1).err)

    def test_models_carry_one(self):
        model, path = self.model("words.tern"), self.write("tokenizer.json", self.JSON.encode())
        self.assertEqual(tern("tokenize", model, "the the", "--ids").out, "257 258 260\n")
        self.assertIn("tokenizer: 261 tokens", tern("info", model).out)
        self.assertEqual(json.loads(tern("info", model, "--json").out)["tokens"], 261)
        self.assertIn("--tokenizer", tern("tokenize", self.model("small.tern"), "a", code=3).err)
        other = self.path("other.tern")
        tern("edit", self.model("small.tern"), "--tokenizer", path, "-o", other)
        self.assertEqual(tern("tokenize", other, "ab", "--ids").out, "6 3 6\n")
        tern("edit", other, "--set", "name=x", code=None)  # keeps it, whatever else it does
        self.assertEqual(tern("tokenize", other, "ab", "--ids").out, "6 3 6\n")
        tern("check", other)
        bad = self.write("bad.json", b"{}")
        self.assertIn("'model'", tern("edit", other, "--tokenizer", bad, code=4).err)
        self.assertEqual(tern("tokenize", other, "ab", "--ids").out, "6 3 6\n")
        tern("edit", other, "--tokenizer", "")
        tern("tokenize", other, "ab", code=3)

    def test_files_that_are_none(self):
        self.assertIn("JSON", tern("tokenize", self.write("x.json", b"hello"), "a", code=4).err)
        self.assertIn("'(a+)+'", tern("tokenize", self.write("y.json", self.JSON.replace("ByteLevel", "Split").replace(
            '"add_prefix_space": false', '"pattern": {"Regex": "(a+)+"}, "behavior": "Isolated"').encode()), "a", code=4).err)
        tern("tokenize", "none.json", "a", code=3)
        self.assertIn("one word too many", tern("tokenize", self.write("t.json", self.JSON.encode()), "a", "b", code=2).err)


class Files(Case):
    def test_info(self):
        text = tern("info", self.model("small.tern"), "--tensors").out
        for part in ["signature forward: 4 nodes", "f32 ?x16", "dim 0: 1 to 64", "i64 scalar (scalar)", "w1", "panel32", "author"]:
            self.assertIn(part, text)
        info = json.loads(tern("info", self.model("small.tern"), "--json").out)
        self.assertEqual([s["name"] for s in info["signatures"]], ["forward", "look_up", "scale"])
        x = info["signatures"][0]["inputs"][0]
        self.assertEqual((x["shape"], x["min"], x["max"]), ([-1, 16], [1, 16], [64, 16]))
        self.assertEqual(info["metadata"]["author"], "Jürgen 犬")
        self.assertEqual([p["name"] for p in info["parameters"]], ["w1", "b1", "w2", "table"])
        states = json.loads(tern("info", self.model("counter.tern"), "--json").out)["states"]
        self.assertEqual([s["name"] for s in states], ["cache", "calls"])

    def test_what_no_writer_makes_is_refused(self):
        # Each with the right checksums: outputs that are no results of nodes, encodings where none is taken.
        for name, message in {
            "output_encoded": "('w') is a parameter; outputs are results of nodes",
            "output_input": "('x') is an input; outputs are results of nodes",
            "output_state": "('s') is a state; outputs are results of nodes",
            "output_constant": "is a constant; outputs are results of nodes",
            "output_twice": "which is an output already",
            "output_of_branch": "('x') is an input; outputs are results of nodes",
            "operand_encoded": "is encoded as panel32, a plain tensor is needed",
            "constant_encoded": "is encoded as panel32; only parameters are",
        }.items():
            path = os.path.join(ARGS.source, "tests/fuzz/corpus/reader", name)
            for command in ("info", "check", "run"):
                self.assertIn(message, tern(command, path, code=4).err, (command, name))

    def test_check(self):
        self.assertIn("good", tern("check", self.model("small.tern"), self.model("counter.tern")).out)
        with open(self.model("small.tern"), "rb") as f:
            data = bytearray(f.read())
        # A weight alone: loads, but does not pass.
        data[-300] ^= 1
        bad = self.write("bad.tern", data)
        tern("info", bad)
        self.assertIn("CHECKSUM", tern("check", bad, code=4).err)
        self.assertIn("good", tern("check", bad, self.model("small.tern"), code=4).out)

    def test_files_that_are_none(self):
        self.assertEqual(tern("info", "none.tern", code=3).err.count("none.tern"), 1)
        self.assertIn("none.tern", tern("pose", self.model("small.tern"), "none.tern", "photo.jpg", code=3).err)
        self.assertIn("CORRUPT", tern("info", self.write("empty.tern", b""), code=4).err)
        self.assertIn("CORRUPT", tern("info", self.write("text.tern", b"hello " * 100), code=4).err)
        tern("info", self.folder, code=5)
        onnx = os.path.join(ARGS.source, "samples/digits/digits.onnx")
        self.assertIn("tern import", tern("info", onnx, code=4).err)
        with open(self.model("small.tern"), "rb") as f:
            data = f.read()
        for n in (1, 8, 63, 64, 65, 200, len(data) // 2, len(data) - 1):
            tern("check", self.write("cut.tern", data[:n]), code=4)


class Run(Case):
    def run_scale(self, data, code=0):
        x = self.write("x.npy", data)
        p = tern("run", self.model("small.tern"), "--signature", "scale", "--in", f"x={x}", "--in", "factor=3", "--out", self.path("out"), code=code)
        return p if code else read_npy(self.path("out/y.npy"))

    def test_arrays(self):
        want = ((4,), [3.0, -6.0, 1.5, 0.0])
        data = floats([1, -2, 0.5, 0])
        self.assertEqual(self.run_scale(npy("<f4", (4,), data)), want)
        self.assertEqual(self.run_scale(npy("<f4", (4,), data, version=(2, 0))), want)
        self.assertEqual(self.run_scale(npy("<f4", (4,), data, version=(3, 0))), want)
        self.assertEqual(self.run_scale(npy("<f4", (4,), data, order="True")), want)
        self.assertEqual(self.run_scale(npy(">f4", (4,), struct.pack(">4f", 1, -2, 0.5, 0))), want)
        self.assertEqual(self.run_scale(npy("<f4", (4,), data, header='{"shape":(4,),"descr":"<f4","fortran_order":False}')), want)

    def test_columns_first(self):
        rows = [[(r * 16 + c) / 100 for c in range(16)] for r in range(3)]
        a = self.write("a.npy", npy("<f4", (3, 16), floats([v for row in rows for v in row])))
        b = self.write("b.npy", npy("<f4", (3, 16), floats([rows[r][c] for c in range(16) for r in range(3)]), order="True"))
        tern("run", self.model("small.tern"), "--in", f"x={a}", "--out", self.path("a"))
        tern("run", self.model("small.tern"), "--in", b, "--out", self.path("b"), "--threads", "1", "--backend", "cpu")
        self.assertEqual(read_npy(self.path("a/y.npy")), read_npy(self.path("b/y.npy")))
        shape, y = read_npy(self.path("a/y.npy"))
        self.assertEqual(shape, (3, 8))
        self.assertTrue(math.isclose(sum(y), 3, rel_tol=1e-5))

    def test_hostile_arrays(self):
        good = npy("<f4", (4,), floats([1, 2, 3, 4]))
        head = lambda text: npy("", (), b"\0" * 16, header=text)
        bad = [b"", good[:5], good[:9], good[:30], good[:-1], good + b"x", b"PK\3\4" + good[4:], good[:6] + b"\x07\x00" + good[8:],
               npy("<f4", (5,), floats([1, 2, 3, 4])), npy("<f4", (-4,), floats([1, 2, 3, 4])), npy("<f4", (1 << 61, 8), b""),
               npy("<f4", (10**17,) * 8, b""), npy("<f4", (1,) * 9, floats([1])), npy("<c8", (2,), b"\0" * 16), npy("|O", (4,), b"\0" * 16),
               npy("<U4", (1,), b"\0" * 16), head("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}"),
               head("{'descr': '<f4', 'fortran_order': False}"), head("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (4,)}"), head("("), head("{"), head("{}"),
               head("{'descr': '<f4', 'fortran_order': False, 'shape': (4,"), head("{'descr': '<f4', 'fortran_order': False, 'shape': 4}"),
               head("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,)}"), head("{'x': 'y', 'descr': '<f4', 'fortran_order': False, 'shape': (4,)}"),
               b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 100, b"\x93NUMPY\x01\x00\x00\x00"]
        for data in bad:
            with self.subTest(data=data[:80]):
                self.run_scale(data, code=4)
                self.assertFalse(os.path.exists(self.path("out")))

    def test_wrong_inputs(self):
        x = self.write("x.npy", npy("<f4", (2, 16), floats([0.5] * 32)))
        model = self.model("small.tern")
        self.assertIn("'x' is missing", tern("run", model, "--out", self.folder, code=2).err)
        self.assertIn("no input 'z'", tern("run", model, "--in", f"z={x}", code=3).err)
        self.assertIn("no such file", tern("run", model, "--in", "x=none.npy", code=3).err)
        self.assertIn("forward", tern("run", model, "--in", f"x={x}", "--signature", "backward", code=3).err)
        self.assertIn("cpu", tern("run", model, "--in", f"x={x}", "--backend", "abacus", code=3).err)
        wide = self.write("wide.npy", npy("<f4", (2, 17), floats([0.5] * 34)))
        self.assertIn("SHAPE", tern("run", model, "--in", f"x={wide}", code=1).err)
        doubles = self.write("doubles.npy", npy("<f8", (2, 16), b"\0" * 256))
        self.assertIn("f64", tern("run", model, "--in", f"x={doubles}", code=1).err)
        index = self.write("index.npy", npy("<i8", (3,), struct.pack("<3q", 0, 99, 1)))
        self.assertIn("INDEX", tern("run", model, "--signature", "look_up", "--in", f"ids={index}", code=1).err)

    def test_outputs_stay_whole(self):
        x = self.write("x.npy", npy("<f4", (2, 16), floats([0.5] * 32)))
        os.mkdir(self.path("out"))
        self.write("out/y.npy", b"old")
        bad = self.write("bad.npy", b"none")
        tern("run", self.model("small.tern"), "--in", f"x={bad}", "--out", self.path("out"), code=4)
        with open(self.path("out/y.npy"), "rb") as f:
            self.assertEqual(f.read(), b"old")
        tern("run", self.model("small.tern"), "--in", f"x={x}", "--out", self.path("out"))
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["hidden.npy", "y.npy"])
        tern("run", self.model("small.tern"), "--in", f"x={x}", "--out", self.write("file", b"x"), code=5)

    def test_position_and_profile(self):
        token = self.write("token.npy", npy("<f4", (1, 4), floats([1, 2, 3, 4])))
        trace = self.path("trace.json")
        tern("run", self.model("counter.tern"), "--in", f"token={token}", "--out", self.path("out"), "--profile", trace)
        self.assertEqual(read_npy(self.path("out/sum.npy")), ((4,), [1.0, 2.0, 3.0, 4.0]))
        with open(trace) as f:
            events = json.load(f)["traceEvents"]
        self.assertTrue(events and all(e["dur"] >= 0 and e["name"] for e in events))

    def test_compare_and_bench(self):
        self.assertIn("same", tern("compare", self.model("small.tern"), "--backend", "cpu", "--backend", "cpu").out)
        x = self.write("x.npy", npy("<f4", (2, 16), floats([0.5] * 32)))
        self.assertIn("same", tern("compare", self.model("small.tern"), "--in", f"x={x}").out)
        report = json.loads(tern("bench", self.model("small.tern"), "--json", "--runs", "20", "--shape", "x=8x16").out)
        self.assertEqual((report["runs"], report["inputs"]), (20, ["f32 8x16"]))
        self.assertTrue(0 < report["min_ms"] <= report["median_ms"])
        self.assertGreater(sum(k["nodes"] for k in report["placement"].values()), 0)
        text = tern("bench", self.model("counter.tern"), "--seconds", "0.05").out  # passes the state's capacity
        self.assertIn("median", text)
        # Of a language model what is read for a token: 8 matrices, and 16 bytes of each of the 8 + (4 + 1) / 2 positions.
        words = ["bench", self.model("language.tern"), "--prompt", "8", "--generate", "4", "--runs", "1", "--threads", "1"]
        report = json.loads(tern(*words, "--json").out)
        self.assertEqual((report["weight_bytes"], report["key_value_bytes"], report["held_key_value_bytes"]), (2048, 168, 1024))
        self.assertAlmostEqual(report["bound_tokens_per_second"] * (2048 + 168), report["read_bytes_per_second"], delta=report["read_bytes_per_second"] * 1e-6)
        self.assertTrue(0 < report["load_ms"] <= report["ready_ms"] <= report["first_token_ms"])
        self.assertRegex(tern(*words).out, r"2.0 kB of weights, 168 bytes of keys and values of 10 positions")
        tern("bench", self.model("small.tern"), "--shape", "x=65x16", code=1)
        tern("bench", self.model("small.tern"), "--shape", "x=3xx", code=2)

    def test_compare_names_the_first_node(self):
        with open(self.model("small.tern"), "rb") as f:
            data = bytearray(f.read())

        def changed(first):  # where a weight begins: numbers as tests/capi/make_models.cpp makes them
            values = [struct.unpack("<f", floats([(i * 2654435761 >> 7) % 1000 / 1000]))[0] - 0.5 for i in range(first, first + 8)]
            at = data.index(floats(values))
            self.assertEqual(data.find(floats(values), at + 1), -1)
            other = bytearray(data)
            other[at:at + 32] = floats([5.0] * 8)  # several: behind relu some count for nothing
            return self.write(f"changed{first}.tern", other)

        x = self.write("x.npy", npy("<f4", (1, 16), floats([0.5] * 16)))
        second = tern("compare", self.model("small.tern"), "--with", changed(2000), "--in", f"x={x}", code=1).out
        self.assertRegex(second, r"\ny +f32 1x8 .*DIFFERS\n  at \[0,\d\]: ")
        self.assertRegex(second, r"\nhidden +f32 1x32 +0 ")
        self.assertRegex(second, r"first node that differs: linear, its result 'linear%\d+' f32 1x8\n  max \|a-b\| [\d.]+, .*\n  at \[0,0\]: .*\n  the 1 results before it agree")
        bias = tern("compare", self.model("small.tern"), "--with", changed(1000), "--in", f"x={x}", code=1).out
        self.assertRegex(bias, r"first node that differs: linear\+relu, its result 'relu%\d+' f32 1x32\n.*\n  at \[0,[0-7]\]: .*\n  the 0 results before it agree")
        # Where nothing differs by more than the tolerance, nothing is said.
        self.assertNotIn("first node", tern("compare", self.model("small.tern"), "--with", changed(2000), "--in", f"x={x}", "--tolerance", "1e6").out)
        self.assertIn("3 times", tern("compare", self.model("small.tern"), *["--backend", "cpu"] * 3, code=2).err)
        self.assertIn("numbers of outputs", tern("compare", self.model("small.tern"), "--with", self.model("slow.tern"), code=1).err)

    def test_interrupt(self):
        p = subprocess.Popen([ARGS.tern, "bench", self.model("slow.tern"), "--seconds", "600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(2)
        begin = time.time()
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 130)
        self.assertIn(b"interrupted", err)
        self.assertLess(time.time() - begin, 10)


class Import(Case):
    def setUp(self):
        super().setUp()
        if "no importer" in tern("import", "x.onnx", code=None).err:
            self.skipTest("this build has no importer")
        self.onnx = os.path.join(ARGS.source, "samples/digits/digits.onnx")

    def test_hugging_face_folders(self):
        source = os.path.join(ARGS.source, "tests/models/golden/language/hf-qwen2")
        folder = self.path("Tiny2.5")
        shutil.copytree(source, folder)
        text = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump(text, f)
        for words in ("Tiny2.5", "Tiny2.5/", "Tiny2.5/config.json"):
            p = subprocess.run([ARGS.tern, "import", words], cwd=self.path(""), capture_output=True, text=True)
            self.assertEqual(p.returncode, 0, p.stderr)
            self.assertIn("Tiny2.5.tern: 3 signatures, a language model", p.stdout)
            os.remove(self.path("Tiny2.5.tern"))
        out = self.path("m.tern")
        tern("import", folder, "-o", out)
        self.assertEqual(tern("tokenize", out, "abb").out.split()[:1], ["2"])
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            f.write("{}")
        self.assertIn("tokenizer.json: ", tern("import", folder, "-o", out, code=None).err)
        shard = os.path.join(folder, "model-00001-of-00003.safetensors")
        self.assertIn("give its folder", tern("import", shard, "-o", out, code=None).err)
        real = self.path("blob")
        os.rename(shard, real)
        self.assertIn("model-00001-of-00003.safetensors is missing", tern("import", folder, "-o", out, code=3).err)
        os.remove(os.path.join(folder, "tokenizer.json"))
        os.symlink(real, shard)
        tern("import", folder, "-o", out)
        self.assertIn("has no config.json", tern("import", self.path(""), "-o", out, code=3).err)

    # A small random model, whose logits transformers has given, with the characters of ASCII from the space on as tokens.
    def test_grammars_and_perplexity(self):
        golden = os.path.join(ARGS.source, "tests/models/golden/language/hf-qwen2")
        folder = self.path("tiny")
        shutil.copytree(golden, folder)
        text = {"model": {"type": "BPE", "vocab": {**{chr(32 + i): i for i in range(95)}, "</s>": 95}, "merges": []}, "decoder": {"type": "Fuse"},
                "added_tokens": [{"id": 95, "content": "</s>", "special": True}]}
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump(text, f)
        out = self.path("m.tern")
        self.assertIn("there are f32 and int16", tern("import", folder, "-o", out, "--weights", "q4_0", "--activations", "int4", code=2).err)
        self.assertIn("int16", tern("import", folder, "-o", out, "--weights", "f32", "--activations", "int16", code=2).err)
        for option, value in ("--weights", "f16"), ("--cache", "int8"), ("--activations", "f32"):  # not of other models
            err = tern("import", os.path.join(ARGS.source, "samples/digits/digits.onnx"), "-o", out, option, value, code=2).err
            self.assertIn(f"'{value}' has no meaning here", err)
        tern("import", folder, "-o", out, "--weights", "f32")
        schema = self.write("schema.json", b'{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", null]}}, "required": ["a", "b"]}')
        for seed in range(3):
            got = json.loads(tern("generate", out, "--prompt", "abc", "--schema", schema, "-n", "30", "--temp", "2", "--seed", str(seed), "--json").out)
            value = json.loads(got["text"])
            self.assertEqual(sorted(value), ["a", "b"])
            self.assertLessEqual(len(got["tokens"]), 30)
        rules = self.write("rules.gbnf", b'root ::= "yes" | "no"')
        self.assertIn(tern("generate", out, "--prompt", "abc", "--grammar", rules).out, ("yes\n", "no\n"))
        forced = tern("generate", out, "--prompt", "abc", "--grammar", rules, "--logit-bias", "y=-inf", "--logprobs", "2", "--json").out
        self.assertEqual(json.loads(forced)["text"], "no")
        logs = json.loads(forced)["logprobs"]
        self.assertEqual((logs[0]["token"], logs[0]["text"], len(logs[0]["top"])), (ord("n") - 32, "n", 2))
        self.assertGreaterEqual(logs[0]["top"][0]["logprob"], logs[0]["top"][1]["logprob"])
        bad = self.write("bad.gbnf", b'root ::= "a"\n  b')
        self.assertIn("line 2, column 3", tern("generate", out, "--prompt", "abc", "--grammar", bad, code=4).err)
        self.assertIn("--prompt", tern("generate", out, "--tokens", "3", "--grammar", rules, code=2).err)
        self.assertIn("TOKEN=VALUE", tern("generate", out, "--prompt", "a", "--logit-bias", "y", code=2).err)
        words = [ARGS.tern, "chat", out, "--template", "zephyr", "--json"]
        p = subprocess.run([*words, "--grammar", rules, "--logit-bias", "y=-inf"], input="a\nb\n", capture_output=True, text=True)
        self.assertEqual([(a["text"], a["end"]) for a in map(json.loads, p.stdout.splitlines())], [("no", "end")] * 2, p.stderr)
        p = subprocess.run([*words, "--schema", schema, "-n", "30"], input="a\nb\n", capture_output=True, text=True)
        self.assertEqual([sorted(json.loads(json.loads(a)["text"])) for a in p.stdout.splitlines()], [["a", "b"]] * 2, p.stderr)
        self.assertIn("one of --grammar and --schema", tern("chat", out, "--template", "zephyr", "--grammar", rules, "--schema", schema, code=2).err)

        tokens = [(7 * i + 3) % 96 for i in range(40)]
        logits = read_npy(golden + ".npy")[1]
        surprises = []
        for i in range(20, 39):  # the second half of one chunk of 40, as llama-perplexity scores it
            row = logits[96 * i:96 * (i + 1)]
            surprises.append(math.log(sum(math.exp(x) for x in row)) - row[tokens[i + 1]])
        words = self.write("text.txt", bytes(32 + t for t in tokens))
        got = json.loads(tern("perplexity", out, words, "--context", "40", "--json").out)
        self.assertEqual((got["chunks"], got["tokens"]), (1, 19))
        mean = sum(surprises) / 19
        self.assertAlmostEqual(math.log(got["perplexity"]), mean, places=4)
        self.assertAlmostEqual(got["bits_per_byte"], mean / math.log(2), places=4)
        self.assertEqual(json.loads(tern("perplexity", out, words, "--context", "20", "--stride", "4", "--json").out)["tokens"], 24)
        self.assertIn("fewer than one chunk", tern("perplexity", out, words, code=2).err)

    def test_digits(self):
        out = self.path("digits.tern")
        self.assertIn("digits.tern", tern("import", self.onnx, "-o", out).out)
        tern("check", out)
        if ARGS.samples:
            for digit in range(10):
                p = subprocess.run([os.path.join(ARGS.samples, "classify"), out, os.path.join(ARGS.source, f"samples/digits/digit_{digit}.png")], capture_output=True, text=True)
                self.assertEqual((p.returncode, p.stdout.split()[-1:]), (0, [str(digit)]), p.stderr)
        self.assertIn("--task", tern("detect", out, os.path.join(ARGS.source, "samples/digits/digit_1.png"), code=4).err)

    def test_training_of_digits(self):
        folder = os.path.join(CACHE, "digits")
        if not ARGS.samples or not os.path.exists(os.path.join(folder, "9.json")):
            print(f"SKIPPED: training of digits: {folder} or the samples are not there (samples/fetch digits)")
            self.skipTest("digits were not fetched")
        out = self.path("trained.tern")
        p = subprocess.run([os.path.join(ARGS.samples, "finetune_digits"), folder, out, "200"], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertGreater(float(re.search(r"([0-9.]+) % of 1000 digits", p.stdout).group(1)), 80, p.stdout)
        tern("check", out)
        self.assertIn("classify", tern("info", out).out)
        p = subprocess.run([os.path.join(ARGS.samples, "finetune_digits"), self.path("nothing"), out], capture_output=True, text=True)
        self.assertEqual((p.returncode, "0.json" in p.stderr), (3, True), p.stderr)

    def test_errors(self):
        out = self.write("old.tern", b"old")
        tern("import", self.path("none.onnx"), "-o", out, code=3)
        tern("import", self.write("bad.onnx", b"\x08\x07\xff" * 50), "-o", out, code=4)
        tern("import", self.onnx, "-o", out, "--input-shape", "image", code=2)
        tern("import", self.onnx, "-o", out, "--input-shape", "image=1xax28", code=2)
        self.assertNotEqual(tern("import", self.onnx, "-o", out, "--input-shape", "picture=1x1x28x28", code=None).returncode, 0)
        for text in ("image", "=3", "image="):
            self.assertIn("NAME=NUMBER", tern("import", self.onnx, "-o", out, "--input-value", text, code=2).err)
        self.assertIn("'picture'", tern("import", self.onnx, "-o", out, "--input-value", "picture=3", code=2).err)
        soup = tern("import", self.onnx, "-o", out, "--recipe", "blaseface", code=2).err
        self.assertIn("'blaseface'; the nearest are blazeface, ", soup)
        self.assertIn("--recipes", soup)
        self.assertLess(len(soup), 250)
        tern("import", self.onnx, "-o", out, "--labels", self.path("none.txt"), code=3)
        with open(out, "rb") as f:
            self.assertEqual(f.read(), b"old")
        self.assertEqual(sorted(os.listdir(self.folder)), ["bad.onnx", "old.tern"])
        self.assertIn("already", tern("import", self.model("small.tern"), "-o", out, code=4).err)
        tern("import", self.onnx, "-o", self.path("no/such/folder.tern"), code=None)

    def test_recipes(self):
        text = tern("import", "--recipes").out
        self.assertRegex(text, r"\n  blazepalm +detector: Palms")
        recipes = json.loads(tern("import", "--recipes", "--json").out)
        self.assertEqual(len(recipes), len([n for n in os.listdir(os.path.join(ARGS.source, "src/import/recipes")) if n.endswith(".recipe")]))
        self.assertTrue(all(r["about"] and r["task"] for r in recipes))
        self.assertIn("missing", tern("import", code=2).err)

    def test_names(self):
        """Inputs of any name: the longest that fits counts."""
        names = ["a", "a=b", "c;d e,f", "g=w;h", "\u00fc\u6f22=", "--in"]
        sums = [("Add", [names[0], names[1]], "s1")] + [("Add", [f"s{i}", names[i + 1]], f"s{i + 1}") for i in range(1, len(names) - 1)]
        model = self.write("names.onnx", onnx(sums, {n: ["n"] for n in names}, {f"s{len(names) - 1}": ["n"]}))
        out = self.path("names.tern")
        tern("import", model, "-o", out)
        words = []
        for i, name in enumerate(names):
            words += ["--in", f"{name}={self.write(f'in={i}.npy', npy('<f4', (2,), floats([10.0 ** i, 2.0 * 10.0 ** i])))}"]
        tern("run", out, *words, "--out", self.path("results"))
        self.assertEqual(read_npy(self.path(f"results/s{len(names) - 1}.npy")), ((2,), [111111.0, 222222.0]))
        self.assertIn("'a=b'", tern("run", out, *words[:2], *words[4:], code=2).err)  # a missing one is named
        self.assertIn(f"s{len(names) - 1}", tern("compare", out, *words).out)
        self.assertIn("no input 'b'", tern("run", out, "--in", "b=x.npy", code=3).err)
        tern("bench", out, "--runs", "1", *[word for n in names for word in ("--shape", f"{n}=3")])
        # The importer takes them as they are, too.
        tern("import", model, "-o", out, *[word for n in names[:4] + names[5:] for word in ("--input-shape", f"{n}=4")], "--input-shape", f"{names[4]}=4")
        shapes = {t["name"]: t["shape"] for t in json.loads(tern("info", out, "--json").out)["signatures"][0]["inputs"]}
        self.assertEqual(shapes, {n: [4] for n in names})
        fixed = self.write("fixed.onnx", onnx(sums, {n: [2] for n in names}, {f"s{len(names) - 1}": [2]}))
        tern("import", fixed, "-o", out, *[word for n in names[1:] for word in ("--input-value", f"{n}=-0.5")])
        x = self.write("x.npy", npy("<f4", (2,), floats([1.0, 2.0])))
        tern("run", out, "--in", x, "--out", self.path("results"))
        self.assertEqual(read_npy(self.path(f"results/s{len(names) - 1}.npy")), ((2,), [-1.5, -0.5]))

    def test_empty_batch(self):
        nodes = [("MaxPool", ["x"], "p"), ("Add", ["p", "p"], "y")]
        model = self.write("empty.onnx", onnx(nodes, {"x": ["n", 3, 4, 4]}, {"y": ["n", 3, 4, 4]}, kernel_shape=[1, 1]))
        tern("import", model, "-o", self.path("empty.tern"))
        for rows in (0, 2):
            x = self.write("x.npy", npy("<f4", (rows, 3, 4, 4), floats([1.0] * (rows * 48))))
            tern("run", self.path("empty.tern"), "--in", x, "--out", self.path("out"))
            self.assertEqual(read_npy(self.path("out/y.npy")), ((rows, 3, 4, 4), [2.0] * (rows * 48)))
        self.assertIn("x", tern("bench", self.path("empty.tern")).out)

    def test_shapes_as_the_file_has_them(self):
        # Pictures lie with their channels last inside; who made the model knows them with the channels first.
        conv = onnx([("Conv", ["x", "w"], "y")], {"x": [1, 3, 8, 9], "w": [4, 2, 3, 3]}, {"y": [1, 4, 6, 7]})
        err = tern("import", self.write("conv.onnx", conv), "-o", self.path("a.tern"), code=None).err
        self.assertIn("Conv in the file: [1,3,8,9], [4,2,3,3]", err)
        # Sizes that fit one by one, but not together.
        both = onnx([("Add", ["x", "y"], "p"), ("MaxPool", ["p"], "z")], {"x": [1, 3, "h", "w"], "y": [1, 3, "v", "u"]}, {"z": [1, 3, "h", "w"]}, kernel_shape=[2, 2])
        out = self.path("both.tern")
        tern("import", self.write("both.onnx", both), "-o", out)
        err = tern("bench", out, "--shape", "x=1x3x9x10", "--shape", "y=1x3x5x10", code=1).err
        self.assertIn("'x' [1,3,9,10], 'y' [1,3,5,10]", err)
        self.assertIn("channels last", err)
        # Of an input that does not fit, the declared shape is shown.
        fixed = onnx([("MaxPool", ["x"], "y")], {"x": [1, 3, 8, 9]}, {"y": [1, 3, 7, 8]}, kernel_shape=[2, 2])
        tern("import", self.write("fixed.onnx", fixed), "-o", out)
        x = self.write("x.npy", npy("<f4", (1, 8, 9, 3), floats([0.0] * 216)))
        self.assertIn("takes [1,3,8,9], the tensor is [1,8,9,3]", tern("run", out, "--in", x, code=1).err)

    def test_slow_models_say_so(self):
        self.assertNotIn("slow", tern("import", self.onnx, "-o", self.path("digits.tern")).out)
        self.assertEqual(json.loads(tern("import", self.onnx, "-o", self.path("digits.tern"), "--json").out)["warnings"], [])
        bench = ["bench", self.model("plain.tern"), "--runs", "1"]
        self.assertRegex(tern(*bench).out, r"\n  slow +'forward': 1 of 1 nodes run in plain loops, which are slow: bitwise_xor \(")
        report = json.loads(tern(*bench, "--json").out)
        self.assertEqual((len(report["warnings"]), len(report["plain_loops"]), report["memory"]["plans"]), (1, 1, 1))
        self.assertIn("bitwise_xor", report["warnings"][0])
        # An LSTM of 5,000 tokens, 1 to 2 wide: x [tokens, batch, 1], w [1, 8, 1], r [1, 8, 2].
        lstm = onnx([("LSTM", ["x", "w", "r"], "y")], {"x": [5000, 1, 1], "w": [1, 8, 1], "r": [1, 8, 2]}, {"y": [5000, 1, 1, 2]}, hidden_size=2)
        out = self.path("lstm.tern")
        self.assertNotIn("slow", tern("import", self.write("lstm.onnx", lstm), "-o", out).out)
        varying = self.write("varying.onnx", onnx([("Relu", ["x"], "y")], {"x": ["n", 4]}, {"y": ["n", 4]}))
        self.assertIn("sizes vary", tern("import", varying, "-o", out).out)
        self.assertTrue(json.loads(tern("import", varying, "-o", out, "--json").out)["sizes_vary"])

    def test_interrupt(self):
        # Large enough that the file is being written for a while.
        rows = 4 << 20
        field = lambda number, data: bytes([number << 3 | 2]) + varint(len(data)) + data
        varint = lambda n: bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])
        info = lambda name: field(1, name) + field(2, field(1, b"\x08\x01" + field(2, field(1, b"\x08" + varint(rows)))))
        weight = b"\x08" + varint(rows) + b"\x10\x01" + field(8, b"w") + field(9, bytes(4 * rows))
        node = field(1, b"x") + field(1, b"w") + field(2, b"y") + field(4, b"Add")
        graph = field(1, node) + field(5, weight) + field(11, info(b"x")) + field(12, info(b"y"))
        source = self.write("large.onnx", b"\x08\x08" + field(7, graph) + field(8, b"\x10\x0d"))
        out = self.path("large.tern")
        with open(out, "wb") as f:
            f.write(b"old")
        seen = False
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            p = subprocess.Popen([ARGS.tern, "import", source, "-o", out], stderr=subprocess.PIPE)
            while p.poll() is None and not any(".tmp" in name for name in os.listdir(self.folder)):
                time.sleep(0.001)
            seen = seen or p.poll() is None
            p.send_signal(signal_number)
            _, err = p.communicate(timeout=200)
            self.assertEqual(p.returncode, 128 + signal_number, err)
            self.assertIn(b"interrupted", err)
            self.assertEqual(sorted(os.listdir(self.folder)), ["large.onnx", "large.tern"])
            with open(out, "rb") as f:
                self.assertEqual(f.read(10), b"old")
        self.assertTrue(seen)

    def test_drafts(self):
        """What another model guesses changes nothing; what does not fit is named."""
        def letters(golden, change=""):
            folder = self.path(golden + change)
            shutil.copytree(os.path.join(ARGS.source, "tests/models/golden/language", golden), folder)
            text = {"model": {"type": "BPE", "vocab": {**{chr(32 + i): i for i in range(95)}, "</s>": 95}, "merges": []}, "decoder": {"type": "Fuse"},
                    "added_tokens": [{"id": 95, "content": "</s>", "special": True}]}
            if change:
                text["model"]["vocab"][change] = text["model"]["vocab"].pop("b")
            with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
                json.dump(text, f)
            tern("import", folder, "-o", folder + ".tern", "--weights", "f32")
            return folder + ".tern"
        model, draft, other = letters("hf-qwen2"), letters("hf-llama"), letters("hf-llama", "\u00e4")
        words = ["--prompt", "abc", "-n", "40", "--json"]
        want = json.loads(tern("generate", model, *words).out)
        for more in (["--draft", draft], ["--draft", draft, "--look-ahead", "7"], ["--draft", model]):
            got = json.loads(tern("generate", model, *words, *more).out)
            self.assertEqual(got["tokens"], want["tokens"])
            self.assertGreater(got["guesses"], 0)
        self.assertGreaterEqual(got["right_guesses"], 30)  # its own
        self.assertNotIn("guesses", want)
        self.assertRegex(tern("generate", model, *words[:-1], "--draft", model).err, r", 3\d of \d+ guesses right")
        talk = lambda *more: subprocess.run([ARGS.tern, "chat", model, "--template", "zephyr", "-n", "20", *more], input="a\nb\n", capture_output=True, text=True)
        self.assertEqual(talk("--draft", draft).stdout, talk().stdout)
        for command in (["generate", model, "--prompt", "a"], ["chat", model, "--template", "zephyr"]):
            self.assertIn("ä.tern: the model that guesses has another vocabulary: token 66 is 'ä' there, 'b' here", tern(*command, "--draft", other, code=1).err)
            self.assertIn("small.tern: this is no language model", tern(*command, "--draft", self.model("small.tern"), code=4).err)
            self.assertIn("nowhere.tern", tern(*command, "--draft", "nowhere.tern", code=3).err)
            self.assertIn("--look-ahead", tern(*command, "--draft", draft, "--look-ahead", "0", code=2).err)
            self.assertIn("--draft qwen3-0.6b.tern", tern(command[0], "--help").out)


class Chats(Case):
    """A random model of 512 positions with letters as tokens, and SmolLM2."""
    TEMPLATE = "{{ '<|im_start|>system\\nBe.<|im_end|>\\n' }}"

    def setUp(self):
        super().setUp()
        if "no importer" in tern("import", "x.onnx", code=None).err:
            self.skipTest("this build has no importer")

    def letters(self, template=TEMPLATE, end_of_text=False):
        folder = self.path("letters")
        shutil.copytree(os.path.join(ARGS.source, "tests/models/golden/language/hf-qwen2"), folder)
        pieces = ["\u0120", "\u010a"] + [chr(c) for c in range(33, 125)]
        text = {"model": {"type": "BPE", "vocab": {p: i for i, p in enumerate(pieces)}, "merges": []},
                "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "decoder": {"type": "ByteLevel"},
                "added_tokens": [{"id": 94, "content": "<|im_start|>", "special": True}, {"id": 95, "content": "<|im_end|>", "special": True}]}
        if end_of_text:  # in the place of a letter
            text["model"]["vocab"].pop(pieces[93])
            text["added_tokens"].append({"id": 93, "content": "<|endoftext|>", "special": True})
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump(text, f)
        if template:
            with open(os.path.join(folder, "chat_template.jinja"), "w", encoding="utf-8") as f:
                f.write(template)
        out = self.path("letters.tern")
        tern("import", folder, "-o", out)
        return out

    def chat(self, model, text, *words, code=0):
        p = subprocess.run([ARGS.tern, "chat", model, *words], input=text.encode(), capture_output=True, timeout=240)
        if code is not None:
            self.assertEqual(p.returncode, code, p.stderr)
        p.out, p.err = p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")
        return p

    def answers(self, *words, code=0):
        p = self.chat(*words, "--json", code=code)
        return [json.loads(line) for line in p.out.splitlines()], p.err

    def test_turns(self):
        model = self.letters()
        lines, err = self.answers(model, "hi\n\nhello", "-n", "5")
        # Three turns of system, user and the model; then the end of the answer and two more.
        self.assertEqual([a["prompt_tokens"] for a in lines], [34, 26])
        self.assertEqual([(a["end"], a["tokens"]) for a in lines], [("length", 5)] * 2)
        self.assertEqual(err, "")
        # The same without JSON: answers alone, and no prompt.
        plain = self.chat(model, "hi\nhello\n", "-n", "5")
        self.assertEqual(plain.out, "".join(a["text"] + "\n" for a in lines))
        self.assertNotIn("> ", plain.err)
        self.assertIn("cut after 5 tokens (-n)", plain.err)
        # What was computed already is not computed again, and gives the same.
        again, _ = self.answers(model, "hi\n/reset\nhi\n/system No.\nhi\n/system\nho\n/quit\nhi\n", "-n", "5")
        self.assertEqual([a["prompt_tokens"] for a in again], [34, 0, 34 - 8, 34 - 8])
        self.assertEqual([again[0]["text"], again[1]["text"]], [lines[0]["text"]] * 2)
        own, _ = self.answers(model, "hi\n", "-n", "5", "--system", "No.")
        self.assertEqual((own[0]["prompt_tokens"], own[0]["text"]), (34, again[2]["text"]))
        # Special tokens in a message are text; a line may begin with / and go on in the next.
        many, _ = self.answers(model, "<|im_end|>\n/reset\n//x\\\ny\n", "-n", "1")
        self.assertEqual([a["prompt_tokens"] for a in many], [34 - 2 + 10, 34 - 2 + 4 - 19])

    def test_grammar(self):
        """Each answer is a text of the grammar, even where it is closed by another token than the template's."""
        model, rules = self.letters(end_of_text=True), self.write("rules.gbnf", b'root ::= "yes" | "no"')
        for end in ("<|im_end|>=-inf", "<|endoftext|>=-inf"):
            lines, _ = self.answers(model, "hi\nho\n", "--grammar", rules, "--logit-bias", end)
            self.assertEqual([a["end"] for a in lines], ["end"] * 2)
            for a in lines:
                self.assertIn(a["text"], ("yes", "no"))
            self.assertEqual(lines[1]["prompt_tokens"], 23)  # from the end of the answer on, which the template brings

    def test_sessions(self):
        model, file = self.letters(), self.path("tea.session")
        words = ["-n", "5", "--temp", "1", "--seed", "3"]
        whole, _ = self.answers(model, "hi\nhello\nwhy?\n", *words)
        first, _ = self.answers(model, "hi\n", *words, "--session", file)
        second, _ = self.answers(model, "hello\n/quit\n", "-n", "5", "--session", file)  # chooses as it did
        key = lambda lines: [(a["text"], a["prompt_tokens"]) for a in lines]
        self.assertEqual(key(first + second), key(whole[:2]))
        # Ctrl-C at the prompt keeps it, too, and ends the command as without a session.
        ours, theirs = os.openpty()
        p = subprocess.Popen([ARGS.tern, "chat", model, "-n", "5", "--session", file], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(theirs)
        os.write(ours, b"why?\n")
        text = b""
        while len(text.decode("utf-8", "replace")) < 6:
            text += os.read(p.stdout.fileno(), 64)
        time.sleep(0.3)  # back at the prompt
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
        os.close(ours)
        self.assertEqual((p.returncode, text.decode()), (-signal.SIGINT, whole[2]["text"] + "\n"), err)
        # What the command line says comes first.
        more, _ = self.answers(model, "hm\n", *words, "--session", file)
        greedy, _ = self.answers(model, "hi\nhello\nwhy?\nhm\n", *words)
        self.assertEqual(key(more), key(greedy[3:]))
        cold, _ = self.answers(model, "/reset\nhi\n", "-n", "5", "--temp", "0", "--session", file)
        plain, _ = self.answers(model, "hi\n", "-n", "5")
        self.assertEqual(cold[0]["text"], plain[0]["text"])
        # Its system message stays; another one is no part of it.
        self.answers(model, "/system No.\nhi\n", "-n", "5", "--session", file)
        self.assertEqual(self.answers(model, "ho\n", "-n", "5", "--session", file)[0][0]["prompt_tokens"],
                         self.answers(model, "hi\nho\n", "-n", "5", "--system", "No.")[0][1]["prompt_tokens"])
        self.answers(model, "", "--system", "No.", "--session", file)
        self.assertIn("another system message", self.chat(model, "hi\n", "--system", "Yes.", "--session", file, code=2).err)
        # Another file, a damaged one and one that cannot be are told of at once.
        with open(file, "rb") as f:
            good = f.read()
        for at in (9, 50, 70, len(good) // 2):
            damaged = self.write("damaged.session", good[:at] + bytes([good[at] ^ 4]) + good[at + 1:])
            self.assertIn("damaged", self.chat(model, "hi\n", "--session", damaged, code=4).err)
        self.assertIn("damaged.session", self.chat(model, "hi\n", "--session", self.write("damaged.session", good[:-64]), code=4).err)
        self.assertIn("no state file", self.chat(model, "hi\n", "--session", model, code=4).err)
        p = self.chat(model, "hi\n", "--session", self.path("no/such/folder"), code=None)
        self.assertEqual(p.out, "")
        self.assertIn("no/such/folder", p.err)
        with open(file, "rb") as f:
            self.assertEqual(f.read(), good)

    def test_full(self):
        model = self.letters()
        lines, err = self.answers(model, "x" * 600 + "\nhi\n" + "y" * 400 + "\n" + "z" * 90 + "\n/reset\nhi\n", "-n", "20", code=5)
        self.assertEqual([a["end"] for a in lines], ["length", "length", "length"])
        self.assertEqual(lines[2]["text"], lines[0]["text"])
        self.assertEqual(err.count("the context of 512 tokens is full: /reset"), 2)
        lines, err = self.answers(model, "y" * 470 + "\nhi\n/reset\nhi\n", code=5)
        self.assertEqual((len(lines), lines[0]["end"], lines[0]["tokens"]), (2, "full", 512 - 34 - 468))
        self.assertEqual(err.count("is full"), 2)

    def test_errors(self):
        model = self.letters(None)
        self.assertIn("--template", self.chat(model, "hi\n", code=3).err)
        self.assertIn("'vicuna', but chatml, llama3", self.chat(model, "hi\n", "--template", "vicuna", code=1).err)
        self.assertIn("'<|eot_id|>'", self.chat(model, "hi\n", "--template", "llama3", code=4).err)
        p = self.chat(model, "/what\nhi\n", "--template", "chatml", "-n", "1")
        self.assertIn("there is no /what, but", p.err)
        self.assertIn("/reset", p.err)
        self.assertIn("--tokenizer", self.chat(self.model("small.tern"), "hi\n", code=3).err)

    def test_stop(self):
        model = self.letters()
        whole = json.loads(tern("generate", model, "--prompt", "ab", "-n", "60", "--temp", "1", "--seed", "3", "--json").out)["text"]
        words = ["generate", model, "--prompt", "ab", "-n", "60", "--temp", "1", "--seed", "3"]
        for stop in (whole[20:23], whole[40:43]):
            at = whole.index(stop)
            cut = json.loads(tern(*words, "--json", "--stop", "never this", "--stop", stop).out)
            self.assertEqual(cut["text"], whole[:at])
            self.assertEqual(len(cut["tokens"]), at + 3)
        # Held back to the end, as it might have become one.
        self.assertEqual(tern(*words, "--stop", whole[-3:] + "@@@").out, whole + "\n")
        self.assertIn("1 to 256", tern(*words, "--stop", "", code=None).err)
        self.assertIn("--prompt", tern("generate", model, "--tokens", "1", "--stop", "x", code=2).err)
        answer = self.answers(model, "hi\n", "-n", "30")[0][0]["text"]
        cut = self.answers(model, "hi\n", "-n", "30", "--stop", answer[10:12])[0][0]
        self.assertEqual((cut["text"], cut["end"]), (answer[:answer.index(answer[10:12])], "stop"))

    def test_smollm2(self):
        source = os.path.join(CACHE, "models/smollm2-135m-instruct.gguf")
        if not os.path.exists(source):
            print(f"SKIPPED: SmolLM2: {source} is not there (samples/fetch)")
            self.skipTest("SmolLM2 was not fetched")
        model = self.path("smol.tern")
        tern("import", source, "--weights", "q8_0", "-o", model)
        lines, _ = self.answers(model, "What is the capital of France?\nAnd of Italy?\n")
        self.assertEqual([a["end"] for a in lines], ["end"] * 2)
        self.assertIn("Paris", lines[0]["text"])
        self.assertIn("Rome", lines[1]["text"])
        if ARGS.samples:
            p = subprocess.run([os.path.join(ARGS.samples, "chat"), model, "What is the capital of France?"], capture_output=True, text=True)
            self.assertEqual((p.returncode, p.stdout), (0, lines[0]["text"] + "\n"), p.stderr)
        # A person at a terminal: Ctrl-C ends the answer, the next question is answered; then it ends the command.
        ours, theirs = os.openpty()
        p = subprocess.Popen([ARGS.tern, "chat", model], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(theirs)
        os.write(ours, b"Write a very long story about a ship.\n")
        self.assertTrue(os.read(p.stdout.fileno(), 1))
        p.send_signal(signal.SIGINT)
        os.write(ours, b"/reset\nWhat is the capital of France?\n")
        text = b""
        while b"Paris" not in text or not text.endswith(b"\n"):
            more = os.read(p.stdout.fileno(), 4096)
            self.assertTrue(more, text)
            text += more
        self.assertLess(len(text), 3000)
        time.sleep(0.3)  # back at the prompt
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
        os.close(ours)
        self.assertEqual(p.returncode, -signal.SIGINT, err)
        self.assertIn(b"chat template: chatml", err)
        # Without a person it ends the command.
        p = subprocess.Popen([ARGS.tern, "chat", model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(b"Write a very long story about a ship.\nAnd now?\n")
        p.stdin.flush()
        self.assertTrue(os.read(p.stdout.fileno(), 1))
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=60)
        self.assertEqual(p.returncode, 130)


class Tracks(Case):
    """Boxes and truths of tests/tracking."""

    @staticmethod
    def rows(path):
        with open(path, encoding="ascii") as f:
            return [line.strip().split(",") for line in f]

    def mot(self, name):
        """The file as MOTChallenge has it: left, top, width, height."""
        rows = []
        for v in self.rows(os.path.join(ARGS.source, "tests/tracking", name)):
            number = "-1" if name.endswith(".boxes") else v.pop(1)
            x0, y0, x1, y1 = map(float, v[1:5])
            rows.append(f"{v[0]},{number},{x0},{y0},{x1 - x0!r},{y1 - y0!r},{v[5] if len(v) > 5 else 1},-1,-1,-1\n")
        return self.write(name + ".txt", "".join(rows).encode())

    def test_scores(self):
        """As TrackEval says."""
        with open(os.path.join(ARGS.source, "tests/tracking/scores.json"), encoding="ascii") as f:
            scores = json.load(f)
        for name, want in scores.items():
            truth, tracks = self.mot(name.split(".")[0] + ".truth"), self.mot(name)
            got = json.loads(tern("track", tracks, "--as-is", "--evaluate", truth, "--json").out)["scores"]
            self.assertEqual(got.keys(), want.keys())
            for key, value in want.items():
                self.assertAlmostEqual(got[key], value, delta=1e-6, msg=f"{name} {key}")
        perfect = json.loads(tern("track", truth, "--as-is", "--evaluate", truth, "--json").out)["scores"]
        self.assertEqual([perfect[k] for k in ("HOTA", "MOTA", "IDF1", "IDSW", "FP", "FN")], [1, 1, 1, 0, 0, 0])
        self.assertIn("HOTA", tern("track", tracks, tracks, "--as-is", "--evaluate", truth, "--evaluate", truth).out)

    def test_lists(self):
        for method in ("byte", "ocsort", "botsort"):
            out = self.path(method + ".txt")
            self.assertIn("identities", tern("track", self.mot("few.boxes"), "--method", method, "--mot", out).out)
            ids = lambda path: [row[:2] for row in self.rows(path)]
            self.assertEqual(ids(out), ids(os.path.join(ARGS.source, "tests/tracking", "few." + method)))
        self.assertIn("HOTA", tern("track", self.mot("few.boxes"), "--evaluate", self.mot("few.truth")).out)

    def test_people_keep_their_numbers(self):
        """On frames labelled by hand, at least as well as by the programs of the trackers' authors."""
        path = lambda name: os.path.join(ARGS.source, "tests/tracking", name)
        with open(path("vtest_scores.json"), encoding="ascii") as f:
            golden = json.load(f)
        self.assertEqual(len(golden["scores"]), 12)
        least = {boxes: min(w["IDSW"] for case, w in golden["scores"].items() if case.split()[0] == boxes) for boxes in golden["high_score"]}
        for case, want in golden["scores"].items():
            boxes, method, rate = case.split()
            got = json.loads(tern("track", path(boxes + ".boxes"), "--method", method, "--frame-rate", rate, "--high-score",
                                  str(golden["high_score"][boxes]), "--evaluate", path("vtest.truth"), "--json").out)["scores"]
            self.assertLessEqual(got["IDSW"], want["IDSW"] if method != "byte" else least[boxes], case)  # byte is the default
            for key in ("HOTA", "IDF1", "MOTA"):
                self.assertGreaterEqual(got[key], want[key] - 1e-9, f"{case} {key}")

    def test_wrong_lists(self):
        good = self.mot("few.boxes")
        for text, line in (("1,1,0,0,5\n", 1), ("1,-1,0,0,5,5,1\n0,1,0,0,5,5,1\n", 2), ("1,1,0,0,nan,5,1\n", 1),
                           ("1,1,0,0,-5,5,1\n", 1), ("1.5,1,0,0,5,5,1\n", 1), ("99999999999,1,0,0,5,5,1\n", 1), ("hello\n", 1)):
            self.assertIn(f"line {line}", tern("track", self.write("bad.txt", text.encode()), code=4).err)
        tern("track", self.write("empty.txt", b""))
        tern("track", self.path("none.txt"), code=3)
        tern("track", good, "--evaluate", self.path("none.txt"), code=3)
        tern("track", good, good, "--evaluate", good, code=2)
        tern("track", good, "--as-is", code=2)
        tern("track", good, "--out", self.path("out.mp4"), code=2)
        self.assertIn("byte, ocsort and botsort", tern("track", good, "--method", "sort", code=2).err)
        tern("track", good, "--high-score", "2", code=2)
        tern("track", good, "--camera-motion", "--method", "botsort", code=2)


class Pipes(Case):
    """Pictures and masks of small models."""

    def test_mask(self):
        # 4 x 4: red on the left, blue on the right, green between in the lowest row.
        colours = [[(255, 0, 0), (200, 0, 0), (0, 0, 250), (0, 0, 250)]] * 3 + [[(255, 0, 0), (0, 99, 0), (0, 99, 0), (0, 0, 250)]]
        rows = b"".join(b"\0" + b"".join(map(bytes, row)) for row in colours)
        chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        picture = self.write("a.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

        def made(name, source, *words):
            tern("import", self.write(name + ".onnx", source), "-o", self.path(name + ".tern"), *words)
            return self.path(name + ".tern")

        def values(model, *words):
            out = self.path("mask.png")
            tern("segment", model, picture, "--mask", out, *words)
            with open(out, "rb") as f:
                width, height, channels, rows = read_png(f.read())
            self.assertEqual((width, height, channels), (4, 4, 1))
            return [list(r) for r in rows]
        x, plain = {"x": [1, 3, 4, 4]}, ["--set", "input.scale=0.00392156862745098"]
        classes = made("classes", onnx([("Add", ["x", "x"], "y")], x, {"y": [1, 3, 4, 4]}), "--task", "segmenter", *plain)
        self.assertEqual(values(classes), [[0, 0, 2, 2]] * 3 + [[0, 1, 1, 2]])
        one = made("one", onnx([("ReduceMax", ["x"], "y")], x, {"y": [1, 1, 4, 4]}, axes=[1]), "--task", "segmenter", *plain)
        self.assertEqual(values(one), [[255, 200, 250, 250]] * 3 + [[255, 99, 99, 250]])
        # Of two channels the second is the thing; through a softmax it is what the other one is not.
        two = [("ReduceMin", ["x"], "a"), ("ReduceMax", ["x"], "b"), ("Concat", ["a", "b"], "y", {"axis": 1})]
        for name, words in (("two", []), ("soft", ["--set", "mask.activation=softmax"])):
            both = made(name, onnx(two, x, {"y": [1, 2, 4, 4]}, axes=[1]), "--task", "segmenter", "--set", "output.mask=y", *plain, *words)
            want = [[round(255 / (1 + math.exp(-v / 255))) if words else v for v in row] for row in [[255, 200, 250, 250]] * 3 + [[255, 99, 99, 250]]]
            self.assertEqual(values(both), want)
        # Two things: the better one at the left, with a hole in its mask; the other one everywhere but below.
        nodes = [("ReduceMean", ["x"], "m"), ("Mul", ["m", "zero"], "z")] + [("Add", ["z", "c" + n], n) for n in ("boxes", "scores", "masks")]
        constants = [("zero", [], [0]), ("cboxes", [2, 4], [0, 0, 2, 4, 0, 0, 4, 3]), ("cscores", [2], [0.9, 0.8]), ("cmasks", [2, 1, 4, 4], [1] * 4 + [0] * 4 + [1] * 24)]
        things = made("things", onnx(nodes, x, {"boxes": [2, 4], "scores": [2], "masks": [2, 1, 4, 4]}, constants, keepdims=0), "--task", "detector", "--set", "output.boxes=boxes",
                      "--set", "output.scores=scores", "--set", "output.masks=masks", "--set", "boxes.form=corners", "--set", "nms=none", "--set", "boxes.unit=pixels")
        self.assertEqual(values(things), [[1, 1, 2, 2], [2, 2, 2, 2], [1, 1, 2, 2], [1, 1, 0, 0]])
        self.assertEqual(values(things, "--max", "1"), [[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]])
        # Threads share the rows of a large picture.
        large = self.write("large.png", png(400, 300, lambda x, y: (3 * x + 5 * y) % 256))
        for model in (classes, one):
            for threads in ("1", "5"):
                tern("segment", model, large, "--mask", self.path(threads + ".png"), "--threads", threads)
            masks = [open(self.path(threads + ".png"), "rb") for threads in "15"]
            with masks[0], masks[1]:
                self.assertEqual(*(read_png(f.read()) for f in masks))
        result = json.loads(tern("segment", things, picture, "--mask", self.path("b.png"), "--out", self.path("c.png"), "--json").out)
        self.assertEqual((result["mask"], result["annotated"]), (self.path("b.png"), self.path("c.png")))
        os.mkdir(self.path("in"))
        for name in ("a.png", "b.png"):
            shutil.copy(picture, self.path("in/" + name))
        tern("segment", things, self.path("in"), "--mask", self.path("masks"))
        self.assertEqual(sorted(os.listdir(self.path("masks"))), ["a.png", "b.png"])
        for words, text in ((["--mask", self.path("m.jpg")], ".png"), (["--mask", picture], "itself"),
                            (["--mask", self.path("same.png"), "--out", self.path("same.png")], "both"), (["--mask", ""], "ends in")):
            self.assertIn(text, tern("segment", things, picture, *words, code=2).err)
        self.assertIn("unknown option", tern("detect", things, picture, "--mask", self.path("m.png"), code=2).err)
        self.assertIn("pictures", tern("segment", things, self.write("a.avi", b"no video"), "--mask", self.path("m.png"), code=2).err)

    def test_standard_input(self):
        spots = self.model("spots.tern")
        picture = png(8, 8, lambda x, y: 255 if x < 4 and y < 4 else 64)
        path = self.write("a.png", picture)
        want = json.loads(tern("detect", spots, path, "--json").out)["detections"]
        self.assertEqual(len(want), 1)

        def piped(*words, data=picture, slowly=False, code=0):
            p = subprocess.Popen([ARGS.tern, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if slowly:
                for i in range(3):
                    p.stdin.write(data[i:i + 1])
                    p.stdin.flush()
                    time.sleep(0.05)
                data = data[3:]
            out, err = p.communicate(data, timeout=60)
            self.assertEqual(p.returncode, code, err)
            return out.decode()
        for slowly in (False, True):
            result = json.loads(piped("detect", spots, "-", "--json", slowly=slowly))
            self.assertEqual((result["picture"], result["detections"]), ("-", want))
        with open(path, "rb") as f:
            self.assertEqual(json.loads(subprocess.run([ARGS.tern, "detect", spots, "-", "--json"], stdin=f, capture_output=True).stdout)["detections"], want)
        one, other = socket.socketpair()
        with one, other:
            one.sendall(picture)
            one.shutdown(socket.SHUT_WR)
            p = subprocess.run([ARGS.tern, "detect", spots, "-", "--json"], stdin=other, capture_output=True)
        self.assertEqual(json.loads(p.stdout)["detections"], want)
        piped("detect", spots, "-", "--out", self.path("found/"))
        self.assertEqual(os.listdir(self.path("found")), ["picture.png"])
        piped("detect", spots, "-", data=picture[:60], code=4)  # damaged
        if shutil.which("ffmpeg"):
            piped("detect", spots, "-", data=b"", code=4)
            video = subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=white:size=16x16:rate=5:duration=1", "-f", "avi", "-"], check=True,
                                   capture_output=True).stdout
            self.assertEqual(len(piped("detect", spots, "-", "--json", data=video).splitlines()), 5)

    def test_endings(self):
        spots, picture = self.model("spots.tern"), self.write("a.png", png(8, 8, lambda x, y: 255))
        for out in ("x.foo", "x", "x.gif", "x.mp4"):
            self.assertIn("ends in", tern("detect", spots, picture, "--out", self.path(out), code=2).err)
        video = self.write("a.avi", b"no video")
        for command in ("detect", "track"):
            for out in ("x.foo", "x"):
                self.assertIn("ends in", tern(command, spots, video, "--out", self.path(out), code=2).err)
        self.assertIn("ends in", tern("detect", spots, video, "--out", self.path("x.png"), code=2).err)

    def test_pairs(self):
        """Models that do not belong together."""
        picture, spots, points = self.write("a.png", png(8, 8, lambda x, y: 255)), self.path("spots.tern"), self.path("points.tern")
        tern("edit", self.model("spots.tern"), "-o", spots, "--set", "region.of=hand")
        tern("edit", self.model("points.tern"), "-o", points, "--set", "region.of=body")
        err = tern("pose", spots, points, picture, code=4).err
        self.assertIn("'hand'", err)
        self.assertIn("'body'", err)
        tern("edit", points, "--set", "region.of=hand")
        self.assertEqual(tern("pose", points, spots, picture).err, "")
        for labels, warns in (("corner", True), ("brighter", False), ("", False)):
            tern("edit", self.model("points.tern"), "-o", points, "--set", "labels=" + labels)
            err = tern("pose", self.model("spots.tern"), points, picture).err
            self.assertEqual("may not belong together" in err, warns, err)


class Pictures(Case):
    """Real models on photographs."""
    made = {}

    def real(self, name, *options):
        source = os.path.join(CACHE, "models", name)
        if not os.path.exists(source):
            self.skipTest(f"{source} is not there; samples/fetch brings it")
        if name not in Pictures.made:
            folder = tempfile.mkdtemp(prefix="tern-models-")
            target = os.path.join(folder, name.rsplit(".", 1)[0] + ".tern")
            tern("import", source, "-o", target, *options)
            Pictures.made[name] = target
        return Pictures.made[name]

    def image(self, name):
        path = os.path.join(CACHE, "images", name)
        if not os.path.exists(path):
            self.skipTest(f"{path} is not there; samples/fetch brings it")
        return path

    @classmethod
    def tearDownClass(cls):
        for path in cls.made.values():
            shutil.rmtree(os.path.dirname(path))

    def ssd(self):
        labels = os.path.join(CACHE, "models", "ssd_mobilenetv2_oidv4.txt")
        return self.real("ssd_mobilenetv2_oidv4.tflite", *(["--labels", labels] if os.path.exists(labels) else []))

    def test_detect(self):
        model, dog = self.ssd(), self.image("dog.jpg")
        out = self.path("dog.png")
        text = tern("detect", model, dog, "--out", out).out
        self.assertIn("Dog", text)
        with open(out, "rb") as f:
            self.assertEqual(f.read(8), b"\x89PNG\r\n\x1a\n")
        result = json.loads(tern("detect", model, dog, "--json", "--threads", "1").out)
        self.assertEqual((result["width"], result["height"]), (768, 576))
        labels = [d["label"] for d in result["detections"]]
        self.assertTrue({"Dog", "Bicycle", "Car"} <= set(labels), labels)
        scores = [d["score"] for d in result["detections"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        for d in result["detections"]:
            x0, y0, x1, y1 = d["box"]
            self.assertTrue(0 <= x0 < x1 <= 768 and 0 <= y0 < y1 <= 576)
        self.assertEqual(json.loads(tern("detect", model, dog, "--json", "--min-score", "1").out)["detections"], [])

    def test_edit(self):
        model, dog = self.ssd(), self.image("dog.jpg")
        other = self.path("other.tern")
        tern("edit", model, "-o", other, "--set", "score=0.695")
        self.assertEqual(len(json.loads(tern("detect", other, dog, "--json").out)["detections"]), 1)
        tern("edit", other, "--set", "score=")  # the schema's own
        self.assertGreater(len(json.loads(tern("detect", other, dog, "--json").out)["detections"]), 3)
        with open(other, "rb") as f:
            before = f.read()
        for words, code, text in ((["--set", "scroe=0.5"], 2, "result.score"), (["--set", "score=7"], 2, "0 to 1"), (["--set", "output.boxes=none"], 2, "none"),
                                  (["--set", "task=segmenter"], 4, "output.mask"), (["--set", r"labels=a\nb"], 4, "2 names"),
                                  (["--set", "score"], 2, "KEY=VALUE"), ([], 2, "--set"), (["--labels", "none.txt"], 3, "none.txt")):
            self.assertIn(text, tern("edit", other, *words, code=code).err)
        with open(other, "rb") as f:
            self.assertEqual(f.read(), before)
        self.assertIn("result.score", tern("info", "--task").out)
        self.assertIn("result.score", [k["key"] for k in json.loads(tern("info", "--task", "--json").out)])

    def test_task_by_hand(self):
        """A classifier that no recipe knows."""
        digits = os.path.join(ARGS.source, "samples/digits")
        source, out = os.path.join(digits, "digits.onnx"), self.path("digits.tern")
        tern("import", source, "-o", out, "--task", "classifier", "--set", "input.channels=grey", "--set", "input.scale=0.00392156862745098",
             "--set", "scores.activation=softmax", "--set", "labels=" + r"\n".join("zero one two three four five six seven eight nine".split()))
        found = json.loads(tern("classify", out, os.path.join(digits, "digit_1.png"), "--json", "--max", "1").out)["detections"]
        self.assertEqual([d["label"] for d in found], ["one"])
        self.assertIn("--set", tern("import", source, "-o", out, "--task", "detector", code=2).err)
        self.assertIn("--task", tern("import", source, "-o", out, "--set", "score=0.5", code=2).err)

    def test_task_of_the_source(self):
        """A TFLite file with metadata needs no option."""
        source, out = os.path.join(ARGS.source, "tests/import/tflite_task.tflite"), self.path("colours.tern")
        self.assertIn("task classifier", tern("import", source, "-o", out).out)
        green = self.write("green.png", png(20, 10, lambda x, y: 40))
        found = json.loads(tern("classify", out, green, "--json").out)["detections"]
        self.assertEqual(sorted(d["label"] for d in found), ["blue", "green", "red"])
        self.assertAlmostEqual(sum(d["score"] for d in found), 1, places=5)
        with open(source, "rb") as f:
            data = f.read()
        for cut in (data[:-1], data[:-60], data.replace(b"colours.txt", b"colours.tx_", 1)):  # without its archive: no labels, no task
            self.assertNotIn("classifier", tern("import", self.write("cut.tflite", cut), "-o", out).out)

    def test_detect_many(self):
        model = self.ssd()
        os.mkdir(self.path("in"))
        for name in ("dog.jpg", "person.jpg"):
            shutil.copy(self.image(name), self.path("in"))
        self.write("in/notes.txt", b"no picture")
        self.write("in/broken.png", b"\x89PNG\r\n\x1a\nbroken")
        p = tern("detect", model, self.path("in"), "--out", self.path("out"), code=4)
        self.assertIn("broken.png", p.err)
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["dog.jpg", "person.jpg"])
        tern("detect", model, self.path("in"), "--out", self.path("all.png"), code=2)
        tern("detect", model, self.path("in/dog.jpg"), "--out", self.path("dog.gif"), code=2)
        tern("detect", model, self.path("in/dog.jpg"), "--out", self.path("in"), code=2)  # would overwrite it
        os.mkdir(self.path("empty"))
        tern("detect", model, self.path("empty"), code=3)

    def test_small_and_bad_pictures(self):
        model = self.ssd()
        tern("detect", model, self.write("one.png", png(1, 1, lambda x, y: 128)))
        tern("detect", model, self.write("thin.png", png(3000, 1, lambda x, y: x % 256)))
        tern("detect", model, self.path("none.png"), code=3)
        tern("detect", model, self.write("text.png", b"no picture"), code=4)
        tern("detect", model, self.folder, code=3 if not os.listdir(self.folder) else None)
        old = self.write("old.png", b"old")
        tern("detect", model, self.path("text.png"), "--out", old, code=4)
        with open(old, "rb") as f:
            self.assertEqual(f.read(), b"old")

    def test_track(self):
        model, whole, video = self.ssd(), self.image("vtest.avi"), self.path("short.avi")
        if not shutil.which("ffmpeg"):
            self.skipTest("ffmpeg is not there")
        ffmpeg = lambda *words: subprocess.run(["ffmpeg", "-v", "error", "-y", *words], check=True)
        ffmpeg("-i", whole, "-frames:v", "12", "-c", "copy", video)
        options = ["--high-score", "0.25", "--new-score", "0.3"]
        out, mot = self.path("out.mp4"), self.path("out.txt")
        text = tern("track", model, video, "--out", out, "--mot", mot, *options).out
        self.assertIn("12 frames", text)
        rows = Tracks.rows(mot)
        self.assertEqual(max(int(r[0]) for r in rows), 12)
        # Those of the first frame who are there in the last have kept their numbers.
        ids = lambda frame: {r[1] for r in rows if r[0] == frame}
        self.assertGreaterEqual(len(ids("1") & ids("12")), 4)
        lines = tern("track", model, video, "--json", *options).out.splitlines()
        self.assertEqual([json.loads(line)["frame"] for line in lines], list(range(1, 13)))
        self.assertEqual(sum(len(json.loads(line)["tracks"]) for line in lines), len(rows))
        size = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=width,height,nb_read_frames", "-of", "csv=p=0", out],
                              check=True, capture_output=True, text=True).stdout.strip()
        self.assertEqual(size, "768,576,12")
        # The last frame alone, without the video's pixels: nearly all of it is ground.
        still = self.path("still.png")
        self.assertIn(still, tern("track", model, video, "--plain", "--out", still, *options).out)
        grey = subprocess.run(["ffmpeg", "-v", "error", "-i", still, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
        self.assertEqual(len(grey), 768 * 576 * 3)
        self.assertGreater(grey.count(245), 0.9 * len(grey))
        self.assertLess(grey.count(245), 0.999 * len(grey))
        tern("track", model, video, "--plain", code=2)
        ffmpeg("-f", "lavfi", "-i", "testsrc=size=33x17:rate=5:duration=1", self.path("odd.avi"))
        tern("track", model, self.path("odd.avi"), "--out", self.path("odd.mp4"))
        with open(video, "rb") as f:
            half = f.read()[:30000]
        p = tern("track", model, self.write("half.avi", half), "--mot", mot, code=None)
        self.assertIn(p.returncode, (0, 4))
        tern("track", model, self.path("none.avi"), code=3)
        tern("track", model, self.write("text.avi", b"no video"), code=4)
        tern("track", model, video, video, code=2)
        tern("track", model, video, "--camera-motion", code=2)
        self.assertIn("identities", tern("track", model, video, "--method", "botsort", "--camera-motion", *options).out)
        tern("track", model, code=2)
        self.assertIn("detector", tern("track", self.real("pose_landmark_lite.tflite"), video, code=2).err)

    def test_pose(self):
        persons, marks = self.real("pose_detection.tflite"), self.real("pose_landmark_lite.tflite")
        photo = self.image("person.jpg")
        out = self.path("pose.jpg")
        self.assertIn("1 result,", tern("pose", persons, marks, photo, "--out", out).out)
        with open(out, "rb") as f:
            self.assertEqual(f.read(2), b"\xff\xd8")
        a = json.loads(tern("pose", persons, marks, photo, "--json").out)["detections"]
        b = json.loads(tern("pose", marks, persons, photo, "--json").out)["detections"]
        self.assertEqual(a, b)
        names = [k["name"] for k in a[0]["keypoints"]]
        self.assertIn("left knee", [n.replace("_", " ") for n in names])
        tern("pose", marks, photo)
        self.assertIn("detect", tern("classify", self.ssd(), photo, code=2).err)
        self.assertIn("key points", tern("pose", self.ssd(), photo, code=2).err)
        self.assertIn("masks", tern("segment", self.ssd(), photo, code=2).err)
        own = self.write("own.png", png(9, 9, lambda x, y: 9))
        self.assertIn("itself", tern("detect", self.ssd(), own, "--out", own, code=2).err)
        self.assertIn("go together", tern("pose", marks, marks, photo, code=4).err)

    def reader(self):
        return (self.real("ppocr_v4_det.onnx"), self.real("ppocr_v2_cls.onnx"),
                self.real("ppocr_v4_rec.onnx", "--labels", os.path.join(CACHE, "models", "ppocr_keys_v1.txt")))

    def test_read(self):
        models, out = self.reader(), self.path("text.png")
        page = os.path.join(ARGS.source, "tests/models/golden/text/mixed_180.png")
        text = tern("read", *models, page, "--out", out).out
        self.assertIn("4 results", text)
        self.assertIn("Platform 9 to Hamburg", text)
        with open(out, "rb") as f:
            self.assertEqual(f.read(4), b"\x89PNG")
        found = json.loads(tern("read", *models, page, "--json").out)["detections"]
        self.assertEqual(found[0]["text"], "\u6b22\u8fce\u5149\u4e34")
        self.assertGreater(found[0]["corners"][0], found[0]["corners"][2])  # upside down: its own left is on the right
        self.assertEqual(found, json.loads(tern("read", *reversed(models), page, "--json").out)["detections"])
        line = os.path.join(ARGS.source, "tests/models/golden/text/line.png")
        self.assertIn("Monday to Friday", tern("read", models[2], line).out)
        self.assertIn("0 results", tern("read", *models, self.write("grey.png", png(1, 1, lambda x, y: 128))).out)
        self.assertIn("do not go together", tern("read", models[0], models[0], page, code=4).err)
        self.assertIn("tern detect", tern("read", models[0], page, code=2).err)
        keys = self.write("few.txt", b"A\nB\n")
        source = os.path.join(CACHE, "models/ppocr_v4_rec.onnx")
        self.assertIn("2 characters", tern("import", source, "--labels", keys, "-o", self.path("few.tern"), code=None).err)

    def test_sample_of_reading(self):
        if not ARGS.samples:
            self.skipTest("this build has no samples")
        words = [os.path.join(ARGS.samples, "read"), *self.reader(),
                 os.path.join(ARGS.source, "tests/models/golden/text/english_15.png"), self.path("r.png")]
        p = subprocess.run(words, capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertIn("Opening hours", p.stdout)
        self.assertGreater(os.path.getsize(words[-1]), 1000)
        self.assertEqual(subprocess.run(words[:3], capture_output=True).returncode, 1)
        words[1] = "none.tern"
        self.assertEqual(subprocess.run(words, capture_output=True).returncode, 1)

    def test_samples(self):
        if not ARGS.samples:
            self.skipTest("this build has no samples")
        persons, marks = self.real("pose_detection.tflite"), self.real("pose_landmark_lite.tflite")
        for words in ([os.path.join(ARGS.samples, "detect"), self.ssd(), self.image("dog.jpg"), self.path("d.png")],
                      [os.path.join(ARGS.samples, "pose"), persons, marks, self.image("person.jpg"), self.path("p.png")],
                      [os.path.join(ARGS.samples, "segment"), self.real("selfie_segmentation.tflite"), self.image("person.jpg"), self.path("s.png")]):
            p = subprocess.run(words, capture_output=True, text=True)
            self.assertEqual(p.returncode, 0, p.stderr)
            self.assertTrue((p.stdout or "segment" in words[0]) and os.path.getsize(words[-1]) > 1000)
            self.assertEqual(subprocess.run(words[:-1], capture_output=True).returncode, 1)
            words[1] = "none.tern"
            self.assertEqual(subprocess.run(words, capture_output=True).returncode, 1)

    def test_sample_of_tracking(self):
        if not ARGS.samples:
            self.skipTest("this build has no samples")
        if not shutil.which("ffmpeg"):
            self.skipTest("ffmpeg is not there")
        model, program = self.ssd(), os.path.join(ARGS.samples, "track")
        subprocess.run(["ffmpeg", "-v", "error", "-i", self.image("vtest.avi"), "-frames:v", "8", self.path("f%d.png")], check=True)
        frames = [self.path(f"f{i}.png") for i in range(1, 9)]
        p = subprocess.run([program, model, *frames], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        ids = lambda frame: {line.split()[1] for line in p.stdout.splitlines() if line.startswith(f"{frame}:")}
        self.assertGreaterEqual(len(ids(1) & ids(8)), 3, p.stdout)
        for words in ([program], [program, "none.tern", frames[0]], [program, model, frames[0], "none.png"]):
            p = subprocess.run(words, capture_output=True, text=True)
            self.assertEqual((p.returncode, bool(p.stderr)), (1, True))

    def test_samples_are_short(self):
        for name in ("detect.c", "pose.c", "segment.c", "read.c", "track.c", "classify.c"):
            with open(os.path.join(ARGS.source, "samples", name)) as f:
                lines = f.read().splitlines()
            self.assertLessEqual(len(lines), 40)
            self.assertEqual([l for l in lines if l.startswith("#include")], ['#include "tern/tern.h"', '#include "image.h"'])


def main():
    global ARGS
    parser = argparse.ArgumentParser()
    parser.add_argument("--tern", required=True)
    parser.add_argument("--models", required=True)
    parser.add_argument("--samples", default="")
    parser.add_argument("--source", required=True)
    ARGS, rest = parser.parse_known_args()
    result = unittest.main(argv=[sys.argv[0], *rest], exit=False).result
    for test, reason in result.skipped:
        print(f"SKIPPED: {test}: {reason}", file=sys.stderr)
    sys.exit(0 if result.wasSuccessful() else 1)


main()
