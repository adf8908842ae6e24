# SPDX-License-Identifier: Apache-2.0
"""Makes a failing graph smaller: fewer outputs, and computed values replaced by inputs, for as long as it fails in the same way."""
import os
import shutil

import numpy as np
import onnx

import graph
from compare import check


def same_failure(a, b):
    """Both refuse, or both are wrong at the same stage."""
    stage = lambda message: message.split(":")[0] if message.startswith(("import", "load", "run")) else "value"
    return a[0] == b[0] and stage(a[1]) == stage(b[1])


def minimise(tern, folder, g, model, inputs, outputs, failure):
    """(model, inputs, outputs, message)"""
    values = {v.name: v for v in g.values}
    best = (model, inputs, outputs, failure[1])

    def attempt(outputs, cut):
        nonlocal best
        try:
            m, i, o = graph.make_model(g, outputs, cut)
        except Exception:
            return False
        if not m.graph.node:
            return False
        result = check(tern, folder, m, i, o, g.runs)
        if result[0] == "ok" or not same_failure(failure, result):
            return False
        best = (m, i, o, result[1])
        return True

    # The first node whose output alone fails; then as much as possible of what is before it becomes an input.
    for n in g.nodes:
        if any(attempt([values[o]], ()) for o in n.output if o in values and n.op_type != "Constant"):
            break
    outputs, cut = best[2], []
    needed = [o for n in best[0].graph.node for o in n.output if o in values]
    for name in reversed(needed):
        v = values[name]
        if v not in outputs and not v.constant and attempt(outputs, cut + [v]):
            cut.append(v)
    return best


def save(path, whole, small, message, command):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    for name, (model, inputs, outputs) in (("whole", whole), ("small", small[:3])):
        onnx.save(model, os.path.join(path, name + ".onnx"))
        for kind, values in (("in", inputs), ("out", outputs)):
            for i, v in enumerate(values):
                for run, x in enumerate(v.x):
                    np.save(os.path.join(path, f"{name}.run{run}.{kind}{i}.{v.name}.npy"), x if v.type != "bf16" else x.astype(np.float32))
    with open(os.path.join(path, "README"), "w") as f:
        f.write(f"{command}\n\nwhole: {message}\n\nsmall: {small[3]}\n\n{onnx.printer.to_text(small[0])}\n")
