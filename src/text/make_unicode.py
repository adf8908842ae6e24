#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes unicode_tables.h from the Unicode Character Database, as Debian's package unicode-data ships it.

  make_unicode.py [/usr/share/unicode] > unicode_tables.h

All tables are bytes. A number is LEB128 (seven bits a byte, lowest first); a signed one is zigzag-coded before.
"""
import re
import sys

CATEGORIES = ["Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs",
              "Zl", "Zp", "Cc", "Cf", "Cs", "Co"]
# Kinds of characters beyond the general categories, which other properties need.
SPACE_CONTROL, ALPHABETIC_SYMBOL, JOIN_CONTROL = 30, 31, 32


def number(n):
    out = []
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return out + [n]


def signed(n):
    return number(n << 1 if n >= 0 else (-n << 1) - 1)


def properties(path, wanted):
    """Code points of one property."""
    found = set()
    for line in open(path, encoding="utf-8"):
        m = re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*(\w+)", line)
        if m and m.group(3) == wanted:
            found.update(range(int(m.group(1), 16), int(m.group(2) or m.group(1), 16) + 1))
    return found


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode"
    version = re.search(r"UnicodeData|DerivedAge-([\d.]+)\.txt", open(f"{folder}/DerivedAge.txt").readline()).group(1)
    category, classes, maps, lower = [0] * 0x110000, {}, {}, {}
    first = None
    for line in open(f"{folder}/UnicodeData.txt", encoding="utf-8"):
        f = line.rstrip("\n").split(";")
        c = int(f[0], 16)
        if f[1].endswith(", First>"):
            first = c
            continue
        for k in range(first if first is not None else c, c + 1):
            category[k] = CATEGORIES.index(f[2])
        first = None
        if int(f[3]):
            classes[c] = int(f[3])
        if f[5]:
            compatible = f[5].startswith("<")
            maps[c] = (compatible, [int(x, 16) for x in f[5].split("> ")[-1].split()])
        if f[13]:
            lower[c] = int(f[13], 16)
    alphabetic = properties(f"{folder}/DerivedCoreProperties.txt", "Alphabetic")
    space = properties(f"{folder}/PropList.txt", "White_Space")
    assert space == {c for c in range(0x110000) if CATEGORIES[category[c]][0] == "Z"} | {9, 10, 11, 12, 13, 0x85}
    for c in range(0x110000):
        name = CATEGORIES[category[c]]
        if c in space and name == "Cc":
            category[c] = SPACE_CONTROL
        elif c in alphabetic and name[0] not in "LMN":
            assert name == "So"
            category[c] = ALPHABETIC_SYMBOL
    for c in (0x200C, 0x200D):
        category[c] = JOIN_CONTROL
    excluded = sorted(properties_of_exclusions(f"{folder}/CompositionExclusions.txt"))

    runs, at = [], 0
    while at < 0x110000:
        end = at
        while end < 0x110000 and category[end] == category[at]:
            end += 1
        runs += [category[at]] + number(end - at)
        at = end

    class_runs, last = [], 0
    points = sorted(classes)
    while points:
        n = 1
        while n < len(points) and points[n] == points[0] + n and classes[points[n]] == classes[points[0]]:
            n += 1
        class_runs += number(points[0] - last) + number(n) + [classes[points[0]]]
        last = points[0] + n
        points = points[n:]

    # Runs of mappings with as many code points, whose last one moves on with the mapped one by 0 or 1.
    map_bytes, last, before = [], 0, 0
    points = sorted(maps)
    while points:
        c = points[0]
        compatible, to = maps[c]
        best = (1, 0)
        for step in (0, 1):
            n = 1
            while n < len(points) and n < 4096 and points[n] == c + n and maps[points[n]] == (compatible, to[:-1] + [to[-1] + step * n]):
                n += 1
            best = max(best, (n, step))
        n, step = best
        assert len(to) < 32
        map_bytes += number(points[0] - last) + [len(to) | compatible << 5 | step << 6 | (n > 1) << 7] + (number(n) if n > 1 else [])
        for x in to:
            map_bytes += signed(x - before)
            before = x
        last = c + n
        points = points[n:]

    lower_bytes, last = [], 0
    points = sorted(lower)
    while points:
        c = points[0]
        best = (1, 1)
        for stride in (1, 2):
            n = 1
            while n < len(points) and points[n] == c + n * stride and lower[points[n]] - points[n] == lower[c] - c:
                n += 1
            best = max(best, (n, stride))
        n, stride = best
        lower_bytes += number(c - last) + number(n << 1 | stride - 1) + signed(lower[c] - c)
        last = c
        points = points[n:]

    exclusion_bytes, last = [], 0
    for c in excluded:
        exclusion_bytes += number(c - last)
        last = c

    out = ["// SPDX-License-Identifier: Apache-2.0", f"// Made by make_unicode.py from the Unicode Character Database {version}: not by hand.", "#pragma once", "#include <cstdint>", "// clang-format off", "",
           "namespace tern::tokens {", "", f'constexpr const char* kUnicodeVersion = "{version}";', ""]
    for name, about, data in (
            ("kCategoryRuns", "kind, length: of all code points from 0 on", runs),
            ("kClassRuns", "distance from the end of the last run, length, canonical combining class", class_runs),
            ("kMappings",
             "distance from the end of the last run; code points of a mapping | compatible << 5 | step << 6 | several << 7; where\n"
             "// several, the length of the run; the mapping of its first one, each code point as distance from the one before. The\n"
             "// last one of a mapping moves by `step` with each of a run", map_bytes),
            ("kNotComposed", "distances: canonical mappings that compositions leave out", exclusion_bytes),
            ("kLowerRuns", "distance from the first of the last run, length << 1 | every second one, distance to the lower case", lower_bytes)):
        out += [f"// {about}.", f"constexpr uint8_t {name}[{len(data)}] = {{"]
        line = "   "
        for b in data:
            if len(line) + len(str(b)) + 2 > 119:
                out.append(line)
                line = "   "
            line += f" {b},"
        out += [line, "};", ""]
        print(name, len(data), file=sys.stderr)
    out += ["}  // namespace tern::tokens"]
    print("\n".join(out))


def properties_of_exclusions(path):
    return {int(m.group(1), 16) for m in (re.match(r"([0-9A-F]{4,6})\b", line) for line in open(path, encoding="utf-8")) if m}


if __name__ == "__main__":
    main()
