#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of what the ONNX importer claims, made from the list of what the generator draws.

  claims.py            writes tests/import/onnx_operators.md
  claims.py --check    exits with 1 where the file differs, or where the importer has an operator that is neither drawn nor listed here
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import onnx  # noqa: E402

import operators  # noqa: E402
import operators_control  # noqa: E402, F401
import operators_more  # noqa: E402, F401
import operators_nn  # noqa: E402, F401

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
TABLE = os.path.join(ROOT, "tests", "import", "onnx_operators.md")
# Operators of the importer that are not drawn, and why.
NOT_DRAWN = {
    "BitCast": "from set 26 on; its node tests pass",
    "ConcatFromSequence": "a sequence that is known when the model is read; tested in onnx_file.cpp",
    "Constant": "every drawn graph holds some; not counted as an operator",
    "DeformConv": "its node tests pass",
    "Det": "its node tests pass",
    "OptionalGetElement": "optional values; its node tests pass",
    "OptionalHasElement": "optional values; its node tests pass",
    "RoiAlign": "its node tests pass",
    "SequenceAt": "a sequence that is known when the model is read; tested in onnx_file.cpp",
    "SequenceConstruct": "a sequence that is known when the model is read; tested in onnx_file.cpp",
    "SequenceEmpty": "a sequence that is known when the model is read; tested in onnx_file.cpp",
    "SequenceErase": "a sequence that is known when the model is read; tested in onnx_file.cpp",
    "SequenceInsert": "a sequence that is known when the model is read; tested in onnx_file.cpp",
    "SequenceLength": "a sequence that is known when the model is read; tested in onnx_file.cpp",
    "SplitToSequence": "a sequence that is known when the model is read; tested in onnx_file.cpp",
    "SwiGLU": "from set 28 on",
}
# What is drawn in part.
NOTES = {
    "CumProd": "along an axis of fixed size",
    "GridSample": "cubic without border and reflection",
    "MaxUnpool": "windows that do not overlap",
    "Squeeze": "without axes where no dim varies",
    "QuantizeLinear": "to 8 bits, one scale or one a channel",
    "DequantizeLinear": "one scale or one a channel",
}
HEADER = """# What the ONNX importer claims

Made by `tests/import/graphs/claims.py` from the list that the generator of random graphs draws from; do not edit. For each operator
the versions of it within operator sets {oldest} to {newest}, and the types of its main input that hold for some of these versions, as
far as the version allows them; the last column says what of an operator the graphs are limited to. Older sets (1 to {before}) are read too; the node tests of ONNX cover them.

| operator | versions | types | in part |
| --- | --- | --- | --- |
"""


def rows():
    for name in sorted(operators.OPERATORS):
        o = operators.OPERATORS[name]
        held, types = [], []
        for opset in range(operators.OLDEST, operators.NEWEST + 1):
            here = o.types(opset)
            if not here:
                continue
            since = onnx.defs.get_schema(name, opset, "").since_version
            if since not in held:
                held.append(since)
            types += [t for t in here if t not in types]
        order = [t for t in operators.ALL if t in types]
        yield f"| {name} | {', '.join(str(v) for v in held)} | {'all' if len(order) == len(operators.ALL) else ' '.join(order)} | {NOTES.get(name, '')} |"


def table():
    text = HEADER.format(oldest=operators.OLDEST, newest=operators.NEWEST, before=operators.OLDEST - 1) + "\n".join(rows()) + "\n"
    if NOT_DRAWN:
        text += "\nRead, but not drawn:\n\n" + "".join(f"- {name}: {why}\n" for name, why in sorted(NOT_DRAWN.items()))
    return text


def importers_operators():
    """The names in the importer's tables."""
    names = {"Constant"}
    folder = os.path.join(ROOT, "src", "import")
    for file in sorted(os.listdir(folder)):
        if file.startswith("onnx") and file.endswith(".cpp"):
            with open(os.path.join(folder, file)) as f:
                for block in re.findall(r"constexpr OnnxOp \w+\[\] = \{(.*?)\};", f.read(), re.S):
                    names.update(re.findall(r'\{"(\w+)",', block))
    return names


def main():
    if "--check" not in sys.argv[1:]:
        with open(TABLE, "w") as f:
            f.write(table())
        return 0
    bad = []
    with open(TABLE) as f:
        if f.read() != table():
            bad.append("tests/import/onnx_operators.md is not what claims.py writes: run it")
    known, mine = importers_operators(), set(operators.OPERATORS) | set(NOT_DRAWN)
    bad += [f"the importer has {name}, which is neither drawn nor listed with a reason" for name in sorted(known - mine)]
    bad += [f"{name} is drawn or listed, and the importer does not have it" for name in sorted(mine - known)]
    print("\n".join(bad) or f"{len(operators.OPERATORS)} operators drawn, {len(NOT_DRAWN)} listed with a reason")
    return 1 if bad or len(known) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
