# SPDX-License-Identifier: Apache-2.0
"""One-Euro filters by their authors' own package (PyPI OneEuroFilter==0.2.1): golden/one_euro.json.

  one_euro_golden.py --out golden/one_euro.json
"""
import argparse
import json
import math
import random

from OneEuroFilter import OneEuroFilter


def signals():
    noise = random.Random(7)
    yield "rest", [100 + noise.gauss(0, 1) for _ in range(60)]
    yield "step", [0.0] * 10 + [50.0] * 40
    yield "ramp", [4.0 * i + noise.gauss(0, 0.5) for i in range(60)]
    yield "swing", [80 * math.sin(i / 9) for i in range(80)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    cases = []
    for name, values in signals():
        values = [round(v, 4) for v in values]
        for rate, cutoff, beta, size in ((30, 0.05, 80, 200), (60, 1, 80, 90), (15, 0.5, 5, 40)):
            # Speeds in sizes a second: the filter sees values in sizes.
            f = OneEuroFilter(rate, cutoff, beta, 1.0)
            cases.append({"signal": name, "rate": rate, "cutoff": cutoff, "beta": beta, "size": size, "values": values,
                          "filtered": [round(f(v / size) * size, 6) for v in values]})
    with open(args.out, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
