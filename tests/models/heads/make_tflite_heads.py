# SPDX-License-Identifier: Apache-2.0
"""Small TFLite models that end with TFLite_Detection_PostProcess, and what LiteRT makes of them.

  make_tflite_heads.py

Writes NAME.tflite and tflite_heads.json beside this script. Needs ai-edge-litert, flatbuffers, onnx and numpy (tests/setup
golden). As in make_heads.py, scores are numbers of the model's own times a factor that follows from the picture.
"""
import json
import os
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flatbuffers import flexbuffers

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "import"))
import make_heads as H  # noqa: E402
import make_tflite_cases as M  # noqa: E402


def model(name, regular, background, order, bytes_in):
    rng = np.random.default_rng(3)
    size, classes, n, most = H.SIDE, 4, 30, 8
    m = M.Model()
    g = M.Graph(m)
    m.g = g
    shape = (1,) + size + (3,)
    x = g.input(np.zeros(shape, np.uint8 if bytes_in else np.float32), **({"scale": 1 / 128, "zero": 128} if bytes_in else {}))
    if bytes_in:
        x = g.op("DEQUANTIZE", [x], shape=shape)
    mean = g.op("MEAN", [x, g.const(np.array([1, 2]))], ("ReducerOptions", {"keepDims": False}), shape=(1, 3))
    weighed = g.op("MUL", [mean, g.const(np.array([[0.6, -0.4, -0.8]], np.float32))], ("MulOptions", {}), shape=(1, 3))
    factor = g.op("SUM", [weighed, g.const(np.array([1]))], ("ReducerOptions", {"keepDims": True}), shape=(1, 1))
    anchors = np.concatenate([rng.uniform(0.2, 0.8, (n, 2)), rng.uniform(0.2, 0.4, (n, 2))], 1).astype(np.float32)
    codes = rng.normal(0, 1, (1, n, 4)).astype(np.float32)
    scores = rng.uniform(0, 0.15, (1, n, classes + background)).astype(np.float32)
    scores[0, np.arange(n), rng.integers(0, classes + background, n)] += rng.uniform(0, 0.7, n).astype(np.float32)
    raw = g.op("MUL", [g.const(scores), factor], ("MulOptions", {}), shape=scores.shape)
    options = flexbuffers.Dumps({"max_detections": most, "max_classes_per_detection": 1, "detections_per_class": 5,
                                 "use_regular_nms": regular, "nms_score_threshold": 0.1, "nms_iou_threshold": 0.5,
                                 "num_classes": classes, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0})
    outs = g.op("CUSTOM", [g.const(codes), raw, g.const(anchors)], outputs=4, custom="TFLite_Detection_PostProcess", data=options)
    g.out(*[outs[i] for i in order])
    data = m.bytes()
    with open(os.path.join(HERE, name + ".tflite"), "wb") as f:
        f.write(data)
    p = H.picture()
    fit = H.Fit("stretch", size, p)
    pixels = np.clip(np.floor(fit.pixels + 0.5), 0, 255).astype(np.uint8) if bytes_in else (fit.pixels / 127.5 - 1).astype(np.float32)
    t = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    t.allocate_tensors()
    t.set_tensor(t.get_input_details()[0]["index"], pixels[None])
    t.invoke()
    found = {order[i]: t.get_tensor(d["index"]) for i, d in enumerate(t.get_output_details())}
    boxes, label, score, count = [found[i] for i in range(4)]
    kept = [i for i in range(int(count[0])) if score[0, i] > 0.3]
    assert all(abs(score[0, i] - 0.3) > 2e-3 for i in range(int(count[0]))), score
    assert 2 <= len(kept), score
    b = boxes[0, kept][:, [1, 0, 3, 2]].astype(np.float64) * [size[1], size[0], size[1], size[0]]
    net = type("Named", (), {"name": name})
    H.case(net, p, fit.boxes(b), score[0, kept], label[0, kept], "tflite_detection_postprocess" + ("" if bytes_in else "_f32"))
    H.CASES[-1]["tflite"] = 1


def main():
    model("ssd_fast", False, 1, (0, 1, 2, 3), False)
    model("ssd_regular", True, 1, (0, 1, 2, 3), False)
    model("ssd_bytes", False, 0, (2, 0, 3, 1), True)  # TensorFlow 2 puts the outputs in an order of its own
    with open(os.path.join(HERE, "tflite_heads.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in H.CASES) + "\n]\n")
    print(len(H.CASES), "cases,", [len(c["scores"]) for c in H.CASES], [c["scores"] for c in H.CASES])


if __name__ == "__main__":
    main()
