#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws random ONNX graphs, imports each into Tern, runs it, and compares shapes, types and values with the reference.

  run.py --libraries FOLDER [--seed N] [--count N] [--first N] [--seconds S] [--jobs N] [--out FOLDER]

Graph number i of seed s is always the same. Every other one has varying sizes and runs with three of them. A graph that fails is
saved below --out with a smaller one that fails as well, its inputs and its right outputs, and the command that repeats it.
Exit status: 0 no result is wrong and at most 2 % are refused, 1 otherwise.
"""
import argparse
import collections
import multiprocessing
import os
import queue
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np  # noqa: E402

import minimise  # noqa: E402
import operators  # noqa: E402
import operators_control  # noqa: E402, F401
import operators_more  # noqa: E402, F401
import operators_nn  # noqa: E402, F401
import patterns  # noqa: E402
from compare import check  # noqa: E402
from graph import Graph, Reject, check_types  # noqa: E402
from runtime import Tern  # noqa: E402

LEAST_NODES = 8


def draw(seed, only=None):
    """A graph, its model, inputs and outputs. seed: [seed, number of the graph, attempt]."""
    rng = np.random.default_rng(seed)
    varying = seed[1] % 2 == 1
    opset = int(rng.integers(operators.OLDEST, operators.NEWEST + 1)) if rng.random() < 0.7 else operators.NEWEST
    symbols = {}
    if varying:
        for name in ["n", "h", "w"][: int(rng.integers(1, 4))]:
            sizes = tuple(int(s) for s in rng.permutation([*rng.choice(np.arange(1, 7), 1), *rng.choice(np.arange(7, 13), 1), *rng.choice(np.arange(13, 20), 1)]))
            symbols[name] = sizes
    g = Graph(rng, opset, symbols, runs=3 if varying else 1)
    menu = operators.available(opset) if only is None else [o for o in operators.available(opset) if o.name in only]
    target, tries = LEAST_NODES + int(rng.integers(0, 7)), 0
    drawn, rejected = collections.Counter(), collections.Counter()
    while sum(1 for n in g.nodes if n.op_type != "Constant") < target and tries < 400:
        tries += 1
        if g.chance(0.12 if varying else 0.04) and opset >= patterns.OLDEST and only is None:
            try:
                patterns.draw(g)
                drawn["sizes"] += 1
            except Reject as e:
                rejected[f"sizes: {e}"] += 1
        o = g.choice(menu)
        types = o.types(opset)
        type = "f32" if "f32" in types and g.chance(0.4) else g.choice(types)
        # An operator that does not work out is drawn again, so that all are drawn alike often.
        for _ in range(6):
            try:
                o.draw(g, type)
                drawn[o.name] += 1
                drawn[f"{o.name} {type}"] += 1
                break
            except Reject as e:
                rejected[f"{o.name}: {e}"] += 1
        else:
            rejected[f"{o.name}: given up"] += 1
    model, inputs, outputs = g.model()
    check_types(g, model)
    return g, model, inputs, outputs, drawn, rejected


def one(tern, folder, seed, number, out, only=None):
    """Tries one graph. Returns (kind, message, operators drawn, rejected); kind: "ok", "refused" or "wrong"."""
    for attempt in range(5):
        try:
            g, model, inputs, outputs, drawn, rejected = draw([seed, number, attempt], only)
            break
        except Reject as e:
            invalid = str(e)
    else:
        return "wrong", f"the generator drew five graphs that are not valid, the last: {invalid}", {}, {}
    if attempt:
        rejected[f"whole graph: {invalid}"] += 1
    kind, message = check(tern, folder, model, inputs, outputs, g.runs)
    if kind != "ok" and out:
        small = minimise.minimise(tern, folder, g, model, inputs, outputs, (kind, message))
        path = os.path.join(out, f"{kind}_{seed}_{number}")
        minimise.save(path, (model, inputs, outputs), small, message, f"seed {seed}, graph {number}: python tests/import/graphs/run.py --libraries .build/test --seed {seed} --first {number} --count 1")
        message += f"\n    {path}: {small[3]}"
    return kind, message, drawn, rejected


def worker(options, tasks, results):
    tern = Tern(options.libraries)
    with tempfile.TemporaryDirectory(prefix="tern_graphs") as folder:
        while True:
            number = tasks.get()
            if number is None:
                return
            results.put(("begin", os.getpid(), number))
            try:
                results.put(("end", os.getpid(), number, *one(tern, folder, options.seed, number, options.out, options.only)))
            except Exception:
                results.put(("end", os.getpid(), number, "wrong", "the generator failed:\n" + traceback.format_exc(), {}, {}))


def run_all(options):
    Tern(options.libraries)  # libraries that are missing are told here, once
    context = multiprocessing.get_context("fork")
    tasks, results = context.Queue(), context.Queue()
    end = time.monotonic() + options.seconds if options.seconds else None
    workers, busy, since, done, next_number = {}, {}, {}, [], options.first
    last = options.first + options.count

    def start():
        w = context.Process(target=worker, args=(options, tasks, results), daemon=True)
        w.start()
        workers[w.pid] = w

    def give():
        nonlocal next_number
        if next_number < last and (end is None or time.monotonic() < end):
            tasks.put(next_number)
            next_number += 1
            return True
        return False

    for _ in range(options.jobs):
        start()
    open_tasks = sum(give() for _ in range(2 * options.jobs))
    while open_tasks:
        try:
            message = results.get(timeout=1)
        except queue.Empty:
            message = None
        if message and message[0] == "begin":
            busy[message[1]], since[message[1]] = message[2], time.monotonic()
        elif message:
            busy.pop(message[1], None)
            done.append(message[2:])
            yield message[2:]
            open_tasks += give() - 1
        for pid, w in list(workers.items()):
            stuck = pid in busy and time.monotonic() - since[pid] > 120
            if stuck:
                w.kill()
                w.join()
            if not w.is_alive() and (message is None or stuck):
                del workers[pid]
                if pid not in busy:
                    raise SystemExit(f"a worker ended with {w.exitcode} while it had no graph")
                number = busy.pop(pid)
                why = "two minutes were not enough" if stuck else f"the process ended with {w.exitcode}"
                yield number, "wrong", why, {}, {}
                open_tasks += give() - 1
                start()
    for _ in workers:
        tasks.put(None)
    for w in workers.values():
        w.join(timeout=10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--libraries", required=True, help="folder of libtern.so and libtern_import.so")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("TERN_FUZZ_SEED", "1")))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0, help="begin no graph after so many")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", default="")
    parser.add_argument("--only", nargs="*", help="draw these operators only")
    parser.add_argument("--statistics", action="store_true", help="also how often each operator was drawn, and what was rejected")
    options = parser.parse_args()
    begin, kinds, drawn, rejected = time.monotonic(), collections.Counter(), collections.Counter(), collections.Counter()
    reasons = collections.Counter()
    for number, kind, message, d, r in run_all(options):
        kinds[kind] += 1
        drawn.update(d)
        rejected.update(r)
        if kind != "ok":
            reasons[message.split("\n")[0]] += 1
            print(f"{kind}: seed {options.seed}, graph {number}: {message}", flush=True)
    if options.statistics:
        for name in sorted(operators.OPERATORS, key=lambda n: drawn[n]):
            print(f"{drawn[name]:6d}  {name}")
        never = [f"{o.name} {t}" for o in operators.OPERATORS.values() for t in {t: 1 for s in range(operators.OLDEST, operators.NEWEST + 1) for t in o.types(s)} if not drawn[f"{o.name} {t}"]]
        print("never drawn:", ", ".join(never) or "nothing")
        for reason, n in rejected.most_common(60):
            print(f"{n:6d}  rejected {reason}")
    total = sum(kinds.values())
    print(f"{total} graphs of seed {options.seed} in {time.monotonic() - begin:.0f} s: {kinds['ok']} right, {kinds['refused']} refused, {kinds['wrong']} wrong")
    return 1 if kinds["wrong"] or kinds["refused"] > 0.02 * total or not total else 0


if __name__ == "__main__":
    sys.exit(main())
