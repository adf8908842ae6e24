#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sizes are computed by base/checked.h: finds raw * and + on them where files and callers decide the numbers.

  sizes_test.py [ROOT]

Read are the file format, shapes and encodings, the memory planner, and the shape rules of operators. What is proven small
stands in PROVEN with the reason.
"""
import glob
import os
import re
import sys

FILES = ["src/format/*.cpp", "src/format/*.h", "src/base/shape.cpp", "src/base/encoding.cpp", "src/base/encodings/*.cpp", "src/runtime/memory_plan.cpp"]
RULES = ["src/ops/*.cpp", "src/ops/*.h"]  # of these the shape rules only: functions that take InferArgs, and what computes sizes for them
RULE = re.compile(r"^(?:inline )?tern_status (?:\w+::)*(?:\w+\(\s*(?:const )?InferArgs&|\w+_(?:size|dims|output)\()[^{;]*\{\n(.*?)^\}", re.M | re.S)
# A name that speaks of a size, and a dim of a shape.
SIZE = r"(?:\w*(?:bytes|sizes?|offsets?|elements|length|stride|count)\w*(?:\([^()]*\)|\[[^\]]*\])*|\b[a-z]\w*\[[^\]\"]*\])"
RAW = re.compile(rf"{SIZE}\)*\s*(?:\*|\+)=?\s+[\w(]|(?<=[\w)\]])\s(?:\*|\+)=?\s+\(*(?:\(\w+\))?(?:\w+(?:\.|->))*{SIZE}")
LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.S)

# (file, part of the line, why no check is needed)
PROVEN = [
    ("format/census.cpp", "tensors_ = (uint64_t)count", "three 32-bit numbers"),
    ("format/census.cpp", "s_ += count(g.", "a 32-bit number for at most 2^32 graphs"),
    ("format/census.cpp", "5 + (uint64_t)s->size()", "a 32-bit number"),
    ("format/checksum.h", "acc += bytes", "a hash: wraps around"),
    ("format/graph_reader.cpp", "node.attributes.bytes + schema.fields[k].offset", "a field of our own struct"),
    ("format/graph_reader.cpp", "(int32_t)c_.states.size() + from.index()", "two lists in one buffer of less than 2^31 bytes"),
    ("format/graph_reader.cpp", "(size_t)list.count * sizeof(int64_t)", "at most 8 entries"),
    ("format/graph_reader.cpp", "rank * sizeof(int64_t)", "at most 8 dims"),
    ("format/reader.cpp", "missing.size() + left_out.size() + other_version.size()", "texts in memory"),
    ("format/reader.cpp", "file.data + meta", "the range was proven to lie within the file"),
    ("format/reader.cpp", "depth_[g] + 1", "at most max_depth, of at most as many graphs"),
    ("format/writer.cpp", "bytes + f.offset", "a field of our own struct"),
    ("format/writer.cpp", "(size_t)x.count * sizeof(int64_t)", "at most 8 entries"),
    ("base/shape.cpp", "s *= shape.dims[i]", "check_shape proved the product"),
    ("base/encoding.cpp", "size.cols *= shape[i]", "check_shape proved the product"),
    ("base/encoding.cpp", "in += size.cols", "a row of a matrix in memory"),
    ("encodings/row_int8.cpp", "[i * size.cols + j]", "an element of a tensor whose layout was checked"),
    ("encodings/row_int8.cpp", "data + i * size.cols", "a row of a tensor whose layout was checked"),
    ("encodings/ternary2.cpp", "w.codes[ternary_byte(", "an element of a tensor whose layout was checked"),
    ("ops/conv2d.cpp", "room / stride + 1", "room is the difference of two dims"),
    ("ops/conv_transpose2d.cpp", "p.pads[axis] + p.pads[axis + 2]", "attributes of at most 2^31"),
    ("ops/gather_nd.cpp", "batch + ids[ids.rank - 1]", "at most the rank, by require_nd_indices"),
    ("ops/scatter_nd.cpp", "batch + ids[ids.rank - 1]", "at most the rank, by require_nd_indices"),
    ("ops/if.cpp", "g->inputs.size() + 1", "a list in memory"),
    ("ops/pad.cpp", "2 * (size_t)rank", "at most 8 dims"),
    ("ops/range.cpp", "(distance - 1) / v[2] + 1", "at most the distance"),
    ("ops/shape.cpp", "(uint64_t)count * 8", "at most 8 dims"),
    ("runtime/memory_plan.cpp", "change[(size_t)items[i].first] += sizes[i]", "part of a sum that was checked"),
    ("runtime/memory_plan.cpp", "begin + sizes[j]", "offsets are below the sum of sizes, which was checked"),
    ("runtime/memory_plan.cpp", "result.offsets[i] + sizes[i]", "offsets are below the sum of sizes, which was checked"),
]


def lines_of(path, text):
    """(number, line) of what is read of a file, without comments and texts."""
    text = LITERAL.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)
    parts = [(0, text)] if "/ops/" not in path else [(m.start(1), m.group(1)) for m in RULE.finditer(text)]
    for start, part in parts:
        first = text.count("\n", 0, start) + 1
        yield from enumerate(part.split("\n"), first)


def check(path, text, used):
    source = text.split("\n")
    for number, line in lines_of(path, text):
        if not RAW.search(line):
            continue
        proof = next((p for p in PROVEN if path.endswith(p[0]) and p[1] in source[number - 1]), None)
        if proof:
            used.add(proof)
        else:
            yield f"{path}:{number}: a size is computed without base/checked.h: {line.strip()[:120]}"


PLANTED = [
    ("src/format/planted.cpp", "  const uint64_t end = t.offset() + t.bytes();\n", True),
    ("src/format/planted.cpp", "  total += sizes[i];\n", True),
    ("src/format/planted.cpp", "  n *= shape[i];\n", True),
    ("src/format/planted.cpp", "  uint64_t b = count(list) * 8;\n", True),
    ("src/runtime/memory_plan.cpp", "  uint64_t b = 2 * sizes[i];\n", True),
    ("src/ops/planted.cpp", "tern_status infer(InferArgs& a) {\n  y[0] = x[0] * p.block;\n  return TERN_OK;\n}\n", True),
    ("src/ops/planted.cpp", "tern_status reference(RefArgs& a) {\n  y[0] = x[0] * p.block;\n  return TERN_OK;\n}\n", False),
    ("src/format/planted.cpp", '  // bytes + offset\n  if (!checked_add(t.offset(), t.bytes(), &end)) return TERN_FAIL(1, "bytes * size");\n  f(++count);\n', False),
]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    wrong, used, read, rules = [], set(), 0, 0
    for pattern in FILES + RULES:
        for path in sorted(glob.glob(os.path.join(root, pattern))):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            name = os.path.relpath(path, root).replace(os.sep, "/")
            read += 1
            rules += "/ops/" in name and len(RULE.findall(text))
            wrong += check(name, text, used)
    for path, text, caught in PLANTED:
        if bool(list(check(path, text, set()))) != caught:
            wrong.append(f"planted {path} with {text!r} was judged wrongly")
    wrong += [f"{p[0]}: '{p[1]}' is proven here, but no longer there" for p in PROVEN if p not in used]
    for line in wrong:
        print(line)
    if wrong or read < 100 or rules < 60:
        sys.exit(f"{len(wrong)} violations in {read} files with {rules} shape rules")
    print(f"{read} files with {rules} shape rules compute sizes by base/checked.h")


if __name__ == "__main__":
    main()
