#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every #include of the product's folders against the table of what may include what.  includes_test.py [ROOT]

A folder may include its own files, the folders of its row, and what those may include.
"""
import os
import re
import sys

TABLE = {
    "include/tern": [],
    "src/base": ["include/tern"],
    "kernels/cpu": ["src/base"],
    "kernels/vulkan": ["src/base"],
    "kernels/cuda": ["src/base"],
    "src/text": ["src/base"],
    "src/image": ["src/base"],
    "src/graph": ["src/base"],
    "src/ops": ["src/graph"],
    "src/passes": ["src/ops"],
    "src/format": ["src/ops"],
    "src/runtime": ["src/passes", "src/format"],
    "backends/cpu": ["src/runtime", "kernels/cpu"],
    "backends/onednn": ["src/runtime"],
    "backends/vulkan": ["src/runtime", "kernels/vulkan"],
    "backends/cuda": ["src/runtime", "kernels/cuda"],
    "src/models": ["src/ops"],
    "src/data": ["src/text", "src/image"],
    "src/train": ["src/runtime", "src/data"],
    "src/tasks": ["src/runtime", "src/text", "src/image"],
    "src/import": ["src/models", "src/format", "src/passes", "src/text"],
    "src/capi": ["src/tasks", "src/train"],
    "src/cli": ["include/tern", "src/image"],
    "samples": ["include/tern"],
    "bindings": ["include/tern"],
}
# Single files outside a folder's row: the borders where the parts are put together.
ALSO = {
    "src/capi": ["backends/cpu/backend.h"],  # the plain loops; the other tables it declares itself
    "src/cli": ["samples/image.h"],          # the one reader and writer of picture files
}
# Headers of others: where each may appear. Those of the C and C++ libraries and of the system have no rule.
OTHERS = {
    "xsimd": ["kernels/cpu"],
    "stb": ["src/cli", "samples"],
    "flatbuffers": ["src/format", "src/import"],
    "google": ["src/import"],
    "onnx": ["src/import"],
    "dnnl": [],    # backends/onednn declares what it uses
    "oneapi": [],
    "vulkan": ["backends/vulkan", "kernels/vulkan"],
    "cuda": ["backends/cuda", "kernels/cuda"],
}
GENERATED = re.compile(r"(_generated\.h|onnx/onnx\.pb\.h|stb_\w+\.h)$")
PUBLIC = {"stddef.h", "stdint.h"}  # all that a public header may take from outside
SOURCES = (".h", ".c", ".cpp", ".cu", ".comp")
TOPS = ("include", "src", "kernels", "backends", "samples", "bindings")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]*)"|<([^>]*)>|(\S+))', re.M)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*")', re.S)


def allowed(folder, table=TABLE):
    """All folders that `folder` may include."""
    found, todo = set(), [folder]
    while todo:
        f = todo.pop()
        if f not in found:
            found.add(f)
            todo += table[f]
    return found


def folder_of(path):
    """The row of the table that a file belongs to, or None."""
    best = None
    for folder in TABLE:
        if path.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def includes(text):
    """(line number, name, quoted, plain) of every #include outside comments; plain is False for a macro."""
    blank = lambda m: m.group(1) or re.sub(r"[^\n]", " ", m.group(0))
    text = COMMENT.sub(blank, text)
    for m in INCLUDE.finditer(text):
        yield text.count("\n", 0, m.start()) + 1, m.group(1) or m.group(2) or m.group(3), m.group(1) is not None, m.group(3) is None


def resolve(path, name, files):
    """The file of the tree that an include names, or None."""
    here = os.path.normpath(os.path.join(os.path.dirname(path), name))
    for candidate in (here, "src/" + name, name, "include/" + name):
        candidate = os.path.normpath(candidate)
        if candidate in files:
            return candidate
    return None


def check(files):
    """files: path -> text. Returns a list of violations."""
    wrong = []
    for path, text in sorted(files.items()):
        folder = folder_of(path)
        if folder is None:
            wrong.append(f"{path}: its folder is not in the table")
            continue
        may = allowed(folder)
        for line, name, quoted, plain in includes(text):
            where = f"{path}:{line}: "
            if not plain:
                wrong.append(where + f"includes the macro {name}: nothing can check that")
                continue
            target = resolve(path, name, files)
            if target is not None:
                other = folder_of(target)
                if other not in may and target not in ALSO.get(folder, []):
                    wrong.append(where + f"{folder} may not include {target}")
                continue
            if os.path.normpath(name).startswith(("..", "/")):
                wrong.append(where + f"leaves the tree: {name}")
            top = re.split(r"[/_.]", name)[0]
            if top in OTHERS:
                if folder not in OTHERS[top]:
                    wrong.append(where + f"{name} belongs to {' and '.join(OTHERS[top]) or 'the tests'} only")
            elif name.split("/")[0] == "tern" and not GENERATED.search(name):
                wrong.append(where + f"there is no public header {name}")
            elif quoted and not GENERATED.search(name):
                wrong.append(where + f"there is no file {name}")
            elif folder == "include/tern" and name not in PUBLIC:
                wrong.append(where + f"a public header may include {', '.join(sorted(PUBLIC))} only, not {name}")
    return wrong


def read_tree(root):
    files = {}
    for top in TOPS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith(SOURCES):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as f:
                        files[os.path.relpath(path, root).replace(os.sep, "/")] = f.read()
    return files


# Planted files, and whether they must be caught.
PLANTED = [
    ("src/base/planted.cpp", '#include "runtime/session.h"\n', True),
    ("src/base/planted.cpp", "#include <runtime/session.h>\n", True),
    ("src/base/planted.cpp", '#include "../runtime/session.h"\n', True),
    ("src/base/planted.cpp", '#  include   "src/runtime/session.h"\n', True),
    ("src/ops/planted.cpp", '#include "passes/optimize.h"\n', True),
    ("src/ops/planted.cpp", '#include "kernels/cpu/kernel.h"\n', True),
    ("src/passes/planted.cpp", '#include "format/reader.h"\n', True),
    ("src/runtime/planted.cpp", '#include "backends/cpu/backend.h"\n', True),
    ("src/tasks/planted.cpp", '#include "backends/cpu/backend.h"\n', True),
    ("src/capi/planted.cpp", '#include "backends/cpu/prepare.h"\n', True),
    ("kernels/cpu/planted.cpp", '#include "graph/graph.h"\n', True),
    ("backends/vulkan/planted.cpp", '#include "kernels/cpu/kernel.h"\n', True),
    ("src/cli/planted.cpp", '#include "runtime/session.h"\n', True),
    ("samples/planted.c", '#include "../src/base/status.h"\n', True),
    ("include/tern/planted.h", "#include <stdio.h>\n", True),
    ("include/tern/planted.h", '#include "base/status.h"\n', True),
    ("src/ops/planted.cpp", "#include <xsimd/xsimd.hpp>\n", True),
    ("src/runtime/planted.cpp", "#include <google/protobuf/message.h>\n", True),
    ("backends/onednn/planted.cpp", "#include <oneapi/dnnl/dnnl.h>\n", True),
    ("src/base/planted.cpp", '#include "no_such_file.h"\n', True),
    ("src/base/planted.cpp", "#include SOME_HEADER\n", True),
    ("src/planted/planted.cpp", "int x;\n", True),
    ("src/base/planted.cpp", '// #include "runtime/session.h"\n/*\n#include "ops/op.h"\n*/\n#include "tern/status.h"\n#include <vector>\n', False),
    ("src/capi/planted.cpp", '#include "backends/cpu/backend.h"\n#include "tasks/../base/status.h"\n', False),
    ("src/runtime/planted.cpp", '#include "base/status.h"\n#include "ops/op.h"\n', False),
]


def self_test(files):
    failures = []
    for path, text, caught in PLANTED:
        found = [w for w in check({**files, path: text}) if w.startswith(path)]
        if bool(found) != caught:
            failures.append(f"planted {path} with {text!r}: {'not caught' if caught else 'refused: ' + found[0]}")
    for folder, row in TABLE.items():
        for other in row:
            if folder in allowed(other):
                failures.append(f"the table has a cycle: {folder} and {other}")
    return failures


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    files = read_tree(root)
    if len(files) < 100:
        sys.exit(f"only {len(files)} files under {root}")
    wrong = check(files) + self_test(files)
    for line in wrong:
        print(line)
    if wrong:
        sys.exit(f"{len(wrong)} violations")
    print(f"{len(files)} files include what they may; {len(PLANTED)} planted files were judged rightly")


if __name__ == "__main__":
    main()
