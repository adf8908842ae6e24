# SPDX-License-Identifier: Apache-2.0
"""Runs one model in Tern and compares what comes out with what the reference computed: types, whole shapes, and values within what
rounding explains. Integers are equal, NaN stands at the same places."""
import os

import numpy as np

from graph import FLOATS, NAMES, TINY
from runtime import UNSUPPORTED, Failure

EVERY_OTHER_WORD = 8  # times what rounding was seen to do


def difference(v, run, y):
    """What is wrong with y as the value v in this run, or None."""
    want = v.exact[run]
    if NAMES[y.dtype] != v.type:
        return f"type {NAMES[y.dtype]} instead of {v.type}"
    if y.shape != want.shape:
        return f"shape {list(y.shape)} instead of {list(want.shape)}"
    if v.type not in FLOATS:
        bad = y != want
    else:
        got = y.astype(np.float64)
        error = v.error[run] if v.error[run] is not None else np.zeros(want.shape)
        with np.errstate(all="ignore"):
            near = np.abs(got - want) <= EVERY_OTHER_WORD * error + TINY[v.type]
            same = (np.isnan(got) & np.isnan(want)) | (got == want)
        bad = ~(near | same)
    if not bad.any():
        return None
    at = np.unravel_index(np.argmax(bad), bad.shape)
    where = ",".join(str(int(i)) for i in at)
    tolerance = f" (rounding: {float(v.error[run][at]):.3g})" if v.type in FLOATS and v.error[run] is not None else ""
    return f"{int(bad.sum())} of {bad.size} elements, [{where}] is {y[at]} instead of {want[at]}{tolerance}"


def check(tern, folder, model, inputs, outputs, runs):
    """("ok" | "refused" | "wrong", message)"""
    source, target = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.tern")
    with open(source, "wb") as f:
        f.write(model.SerializeToString())
    try:
        tern.import_file(source, target)
        for run, results in enumerate(tern.run(target, [[v.x[r] for v in inputs] for r in range(runs)])):
            if len(results) != len(outputs):
                return "wrong", f"{len(results)} outputs instead of {len(outputs)}"
            for v, y in zip(outputs, results):
                wrong = difference(v, run, y)
                if wrong:
                    return "wrong", f"output {v.name} of {producer(model, v)}, run {run}: {wrong}"
    except Failure as e:
        return ("refused" if e.status in UNSUPPORTED else "wrong"), str(e)
    return "ok", ""


def producer(model, v):
    return next((n.op_type for n in model.graph.node if v.name in n.output), "an input")
