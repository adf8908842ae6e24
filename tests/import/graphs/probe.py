import sys, os, collections, tempfile
import numpy as np
sys.path.insert(0, os.path.dirname(__file__))
import operators, operators_nn, operators_control
from graph import Graph, Reject
from compare import check
from runtime import Tern
tern = Tern(sys.argv[1])
only = sys.argv[2:]
with tempfile.TemporaryDirectory() as folder:
    for name, o in operators.OPERATORS.items():
        if only and name not in only: continue
        row = collections.defaultdict(collections.Counter); why = collections.defaultdict(collections.Counter)
        opsets = sorted({max(v, o.oldest, 7) for v in ([s.since_version for s in __import__('onnx').defs.get_all_schemas_with_history() if s.name == name and s.domain == ''] + [operators.NEWEST]) if v <= operators.NEWEST})
        for opset in opsets:
            for t in o.types(opset):
                for i in range(12):
                    g = Graph(np.random.default_rng([5, i]), opset, {}, 1)
                    try: o.draw(g, t)
                    except Reject as e:
                        row[t]["reject"] += 1; why[t][str(e)[:120]] += 1; continue
                    m, a, b = g.model()
                    k, msg = check(tern, folder, m, a, b, 1)
                    row[t][k] += 1
                    if k != "ok": why[t][msg[:200]] += 1
        print(name, opsets, {t: dict(c) for t, c in row.items() if set(c) != {"ok"}} or "all ok: " + " ".join(row), flush=True)
        merged = collections.defaultdict(collections.Counter)
        for t, c in why.items():
            for m, n in c.items():
                import re
                merged[re.sub(r"[-0-9.]+", "#", m.replace(t, "T"))[:150]][t] += n
        for m, c in sorted(merged.items(), key=lambda i: -sum(i[1].values()))[:4]: print("    ", " ".join(f"{k}:{v}" for k,v in c.items()), m)
        for t, c in ():
            for m, n in c.most_common(3): print(f"     {t} {n} {m}", flush=True)
