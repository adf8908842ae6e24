#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An encoding is two files, and nobody else names it.  encodings_test.py [ROOT [CMAKE [COMPILER]]]

Names: outside an encoding's own files only those in CHOOSES may name one, because they choose it on purpose.
Planted: a copy of the tree gets one more encoding, in two files. The build must list it, the base must find it and hold
numbers in it, and the table of kernels must refer to its own.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

CHOOSES = {
    "src/import/builder.cpp": {"panel32"},  # weights are stored in the order that kernels read
    "kernels/cpu/ternary_int8.h": {"ternary2"},  # products of lines as they lie
    "src/import/language.cpp": {"panel32", "panel_int4", "panel_int4_min", "panel_int8", "row_int8", "ternary2"},  # the forms of weights that the caller may ask for
    "src/train/edits/pack_ternary.cpp": {"ternary2"},  # what it makes
}
TOPS = ("include", "src", "kernels", "backends")
CASE = re.compile(r'"[^"\n]*@\w+[^"\n]*"')  # a case line of an operator (src/ops): content for tests
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
LIKE = "row_int8"  # the planted one is made of its files
PLANTED = "planted_int8"
FILES = ("src/base/encodings/{}.cpp", "kernels/cpu/enc_{}.cpp")

MAIN = """
#include <cmath>
#include <cstdio>
#include "base/encoding.h"
using namespace tern;
int main() {
  Encoding e = Encoding::plain;
  if (!find_encoding("%s", &e) || e != Encoding::%s || is_plain(e)) return 1;
  const Shape shape{3, 5};
  unsigned char room[4096];
  uint64_t bytes = 0;
  float in[15], out[15];
  for (int i = 0; i < 15; ++i) in[i] = (float)(i - 7);
  if (encoded_bytes(e, TERN_DTYPE_F32, shape, &bytes) != TERN_OK || bytes > sizeof room) return 2;
  encode(e, TERN_DTYPE_F32, shape, in, room);
  decode(e, TERN_DTYPE_F32, shape, room, out);
  for (int i = 0; i < 15; ++i)
    if (!(std::fabs(in[i] - out[i]) < 0.1f)) return 3;
  std::printf("%%d encodings, %%s is number %%d\\n", kNumEncodings, encoding_name(e), (int)e);
  return 0;
}
"""


def names(root):
    folder = os.path.join(root, "src/base/encodings")
    return sorted(f[:-4] for f in os.listdir(folder) if f.endswith(".cpp") and f != "plain.cpp")


def owner(path, name):
    return os.path.basename(path).split(".")[0] in (name, "enc_" + name)


def check(path, text, encodings):
    """The encodings that a file names and should not."""
    if path.startswith("src/ops/"):
        text = CASE.sub("", text)
    text = COMMENT.sub("", text)
    found = [n for n in encodings if re.search(rf"\b{n}\b", text)]
    return [n for n in found if not owner(path, n) and n not in CHOOSES.get(path, ())]


def check_names(root, encodings):
    wrong, read, chosen = [], 0, set()
    for top in TOPS:
        for folder, _, files in os.walk(os.path.join(root, top)):
            for f in files:
                if f.endswith((".h", ".c", ".cpp", ".cmake", ".fbs")):
                    full = os.path.join(folder, f)
                    path = os.path.relpath(full, root).replace(os.sep, "/")
                    with open(full, encoding="utf-8") as file:
                        text = file.read()
                    read += 1
                    wrong += [f"{path} names the encoding {n}" for n in check(path, text, encodings)]
                    chosen |= {(path, n) for n in CHOOSES.get(path, ()) if re.search(rf"\b{n}\b", text)}
    wrong += [f"{p} does not name {n} any more" for p, l in CHOOSES.items() for n in l if (p, n) not in chosen]
    for path, text, caught in [
        ("backends/cpu/planted.cpp", "  if (v.encoding == Encoding::panel32) return;\n", True),
        ("src/passes/planted.cpp", '  if (name == "panel_int8") return;\n', True),
        ("src/ops/planted.cpp", "  case Encoding::row_int8: break;\n", True),
        ("src/ops/planted.cpp", '    {"panels", "f32[3,5] f32[70,5]@panel32", "transpose_b=1"},\n', False),
        ("src/base/encodings/panel32.cpp", '    .name = "panel32",\n', False),
        ("kernels/cpu/planted.cpp", "  // as panel32 has it\n", False),
    ]:
        if bool(check(path, text, encodings)) != caught:
            wrong.append(f"planted {path} with {text!r} was judged wrongly")
    return wrong, read


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} gave {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def plant(root, cmake, compiler):
    with tempfile.TemporaryDirectory() as scratch:
        tree, build = os.path.join(scratch, "tree"), os.path.join(scratch, "build")
        for top in TOPS:
            shutil.copytree(os.path.join(root, top), os.path.join(tree, top))
        shutil.copy(os.path.join(root, "CMakeLists.txt"), tree)
        for pattern in FILES:
            with open(os.path.join(root, pattern.format(LIKE)), encoding="utf-8") as f:
                text = f.read()
            with open(os.path.join(tree, pattern.format(PLANTED)), "w", encoding="utf-8") as f:
                f.write(text.replace(LIKE, PLANTED))
        run(cmake, "-S", tree, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_COMPILER={compiler}",
            *(f"-DTERN_BUILD_{part}=OFF" for part in ("IMPORT", "CLI", "SAMPLES", "TESTS")),
            "-DTERN_CPU_SETS=baseline;neon", "-DTERN_CPU_OPTIMIZATION=-O0")
        # The kernels' own tables; all else of them is as it was.
        with open(os.path.join(build, "build.ninja"), encoding="utf-8") as f:
            rules = f.read()
        objects = {}
        for name in ("table", "enc_" + PLANTED):
            found = re.search(rf"^build (\S+/kernels/cpu/{name}\.cpp\.o):", rules, re.M)
            if not found:
                sys.exit(f"the build does not have kernels/cpu/{name}.cpp")
            objects[name] = found.group(1)
        run(cmake, "--build", build, "--target", "tern_base", *objects.values())
        symbol = f"enc_{PLANTED}_kernels"
        for name, kind in (("table", "U"), ("enc_" + PLANTED, "[RDV]")):
            symbols = run("nm", "-C", os.path.join(build, objects[name]))
            if not re.search(rf" {kind} .*{symbol}$", symbols, re.M):
                sys.exit(f"{name}.cpp.o has no symbol {symbol} of kind {kind}:\n{symbols}")
        main = os.path.join(scratch, "main.cpp")
        with open(main, "w", encoding="utf-8") as f:
            f.write(MAIN % (PLANTED, PLANTED))
        base = [os.path.join(folder, f) for folder, _, files in os.walk(os.path.join(build, "CMakeFiles/tern_base.dir"))
                for f in files if f.endswith(".o")]
        program = os.path.join(scratch, "main")
        run(compiler, "-std=c++20", *(f"-I{os.path.join(tree, top)}" for top in ("src", "include")),
            f"-I{os.path.join(build, 'generated')}", main, *base, "-o", program, "-lpthread")
        return run(program).strip()


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", ".."))
    encodings = names(root)
    wrong, read = check_names(root, encodings)
    for line in wrong:
        print(line)
    if wrong or read < 100 or len(encodings) < 2:
        sys.exit(f"{len(wrong)} violations in {read} files")
    print(f"{read} files name no encoding ({', '.join(encodings)}) but those that choose one")
    cmake = sys.argv[2] if len(sys.argv) > 2 else "cmake"
    compiler = sys.argv[3] if len(sys.argv) > 3 else "c++"
    print(f"planted in two files: {plant(root, cmake, compiler)}")


if __name__ == "__main__":
    main()
