# SPDX-License-Identifier: Apache-2.0
"""Golden outputs of the real models on real photographs, by LiteRT and ONNX Runtime.

  make_goldens.py [--cache DIR] [--out golden] [CASE...]

--cache is the folder that samples/fetch fills (samples/fetch all). Each case is a folder with case.json:

  model     file name below DIR/models; with a slash: path from the root of the repository
  reshape   {input: shape} when the file's declared input shape must be overridden before it is run, else {}
  made_by   engine and version
  source    photograph, and what was done with it
  inputs    [{name, shape, file, scale, offset}]: file is a uint8 .npy of exactly that shape, in the model's own
            layout (a path relative to the case's folder: cases with the same input share one file); the model's
            input is float32(value) * float32(scale) + float32(offset), element by element
  outputs   [{name, shape, stride, absmax, file}]: file is a float32 .npy of one dimension that holds the elements
            0, stride, 2 stride, ... of the output read as one flat row-major list. stride shares no factor with any
            dimension, so each channel is met. absmax is max|b| over ALL elements of the output.
            A result passes when max|a - b| <= 1e-3 absmax over the stored elements.

All .npy files: version 1.0, little endian, C order.
"""
import argparse
import math
import os

import numpy as np

from official_steps import Setup, crop, detect_people, json_text, region
from pictures import read

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 16384  # elements kept of one output (64 kB)


def stretch(picture, width, height):
    """Bilinear, as official_steps.crop does it, for a size that need not be square."""
    h, w = picture.shape[:2]
    x, y = (np.arange(width) + 0.5) * w / width - 0.5, (np.arange(height) + 0.5) * h / height - 0.5
    x0, y0 = np.floor(x), np.floor(y)
    a, b = (x - x0)[None, :, None], (y - y0)[:, None, None]
    left, right = (np.clip(x0 + i, 0, w - 1).astype(int) for i in (0, 1))
    top, bottom = (np.clip(y0 + i, 0, h - 1).astype(int) for i in (0, 1))
    p = picture.astype(np.float64)
    return ((1 - b) * ((1 - a) * p[top][:, left] + a * p[top][:, right])
            + b * ((1 - a) * p[bottom][:, left] + a * p[bottom][:, right]))


def bytes_of(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def nhwc(values):
    return bytes_of(values)[None]


def nchw(values):
    return np.ascontiguousarray(bytes_of(values).transpose(2, 0, 1)[None])


def person_crop(setup, name):
    picture = setup.picture(name)
    people = detect_people(picture, setup.model("pose_detection"))
    xc, yc, size, angle = region(people[0][2])
    return crop(picture, xc, yc, size, size, angle, 256)


def letter_box(picture, out):
    height, width = picture.shape[:2]
    side = max(height, width)
    return crop(picture, width / 2, height / 2, side, side, 0.0, out, zero_border=True)


def word(picture, width):
    """48 pixels high, proportional, the rest of the row filled with grey."""
    scaled = min(width, round(picture.shape[1] * 48 / picture.shape[0]))
    row = np.full((48, width, 3), 128.0)
    row[:, :scaled] = stretch(picture, scaled, 48)
    return row


UNIT, SIGNED, RAW = (1 / 255, 0.0), (2 / 255, -1.0), (1.0, 0.0)
PADDLE = (1 / (255 * 0.226), -0.449 / 0.226)  # the mean of the three channels' usual means and deviations


def cases(s):
    """name, model file, reshape, source, input values (uint8, the model's layout), (scale, offset)"""
    photo = s.picture
    for name in ("dog", "person"):
        yield (f"ssd_{name}", "ssd_mobilenetv2_oidv4.tflite", {}, f"{name}.jpg stretched",
               nhwc(stretch(photo(name + ".jpg"), 300, 300)), SIGNED)
    for name in ("person.jpg", "basketball1.png"):
        yield (f"pose_detection_{name[:6]}", "pose_detection.tflite", {}, f"{name} letter-boxed",
               nhwc(letter_box(photo(name), 224)), SIGNED)
        for kind in ("lite", "full", "heavy"):
            yield (f"pose_{kind}_{name[:6]}", f"pose_landmark_{kind}.tflite", {}, f"{name}, the person's region",
                   nhwc(person_crop(s, name)), UNIT)
    yield ("selfie", "selfie_segmentation.tflite", {}, "person.jpg, the person's region",
           nhwc(person_crop(s, "person.jpg")), UNIT)
    yield ("selfie_landscape", "selfie_segmentation_landscape.tflite", {}, "person.jpg stretched",
           nhwc(stretch(photo("person.jpg"), 256, 144)), UNIT)
    men = photo("basketball1.png")
    faces = [stretch(men[75:145, 50:120], 112, 112), stretch(men[20:135, 490:605], 112, 112)]
    yield ("mobilefacenet", "mobilefacenet.tflite", {}, "basketball1.png, the two heads",
           np.stack([bytes_of(f) for f in faces]), SIGNED)
    yield ("ppocr_det_640x640", "ppocr_v4_det.onnx", {}, "scenetext01.jpg stretched",
           nchw(stretch(photo("scenetext01.jpg"), 640, 640)), PADDLE)
    yield ("ppocr_det_480x736", "ppocr_v4_det.onnx", {}, "scenetext06.jpg stretched",
           nchw(stretch(photo("scenetext06.jpg"), 736, 480)), PADDLE)
    yield ("ppocr_rec_320", "ppocr_v4_rec.onnx", {}, "scenetext_word01.jpg (CHINA)",
           nchw(word(photo("scenetext_word01.jpg"), 320)), SIGNED)
    yield ("ppocr_rec_200", "ppocr_v4_rec.onnx", {}, "scenetext_word04.jpg (Produkt)",
           nchw(word(photo("scenetext_word04.jpg"), 200)), SIGNED)
    yield ("digits", "samples/digits/digits.onnx", {}, "digit_7.png",
           read(os.path.join(ROOT, "samples/digits/digit_7.png"))[None, None, :, :, 0], UNIT)
    yield ("ppocr_cls", "ppocr_v2_cls.onnx", {}, "scenetext_word04.jpg (Produkt)",
           nchw(word(photo("scenetext_word04.jpg"), 192)), SIGNED)
    yield ("centerface_480x640", "centerface.onnx", {"input.1": [1, 3, 480, 640]}, "basketball1.png as it is",
           nchw(men), RAW)


def run_litert(path, value):
    import ai_edge_litert
    from ai_edge_litert.interpreter import Interpreter
    it = Interpreter(path, num_threads=1)
    it.allocate_tensors()
    source = it.get_input_details()[0]
    it.set_tensor(source["index"], value)
    it.invoke()
    outputs = [(o["name"], it.get_tensor(o["index"])) for o in it.get_output_details()]
    return f"LiteRT {ai_edge_litert.__version__}", source["name"], outputs


def run_onnx(path, value, reshape):
    import onnx
    import onnxruntime
    model = onnx.load(path)
    if reshape:
        for source in model.graph.input:
            for i, dim in enumerate(reshape.get(source.name, [])):
                source.type.tensor_type.shape.dim[i].dim_value = dim
        del model.graph.value_info[:]
        for target in model.graph.output:
            target.type.tensor_type.ClearField("shape")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs = session.run(None, {name: value})
    return f"ONNX Runtime {onnxruntime.__version__}", name, list(zip([o.name for o in session.get_outputs()], outputs))


def stride_of(shape):
    size = math.prod(shape)
    stride = max(1, -(-size // LIMIT))
    while stride > 1 and math.gcd(stride, size) != 1:
        stride += 1
    return stride


def save(path, array):
    with open(path, "wb") as f:
        np.lib.format.write_array(f, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", default=os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern")))
    parser.add_argument("--out", default=os.path.join(ROOT, "tests/models/golden"))
    parser.add_argument("case", nargs="*")
    args = parser.parse_args()
    setup = Setup(args.cache)
    written = {}  # bytes of an input -> case that holds it
    for name, file, reshape, source, values, (scale, offset) in cases(setup):
        if args.case and name not in args.case:
            continue
        folder = os.path.join(args.out, name)
        os.makedirs(folder, exist_ok=True)
        tensor = values.astype(np.float32) * np.float32(scale) + np.float32(offset)
        path = os.path.join(ROOT if "/" in file else setup.models, file)
        made_by, input_name, outputs = run_onnx(path, tensor, reshape) if file.endswith(".onnx") else \
            run_litert(path, tensor)
        owner = written.setdefault(values.tobytes(), name)
        input_file = "input.npy" if owner == name else f"../{owner}/input.npy"
        if owner == name:
            save(os.path.join(folder, "input.npy"), values)
        rows = []
        for i, (output, value) in enumerate(outputs):
            assert value.dtype == np.float32 and np.isfinite(value).all(), (name, output, value.dtype)
            stride = stride_of(value.shape)
            save(os.path.join(folder, f"output{i}.npy"), value.reshape(-1)[::stride])
            rows.append({"name": output, "shape": list(value.shape), "stride": stride,
                         "absmax": float(np.abs(value).max()), "file": f"output{i}.npy"})
        case = {"model": file, "reshape": reshape, "made_by": made_by, "source": source,
                "inputs": [{"name": input_name, "shape": list(values.shape), "file": input_file,
                            "scale": float(np.float32(scale)), "offset": float(np.float32(offset))}],
                "outputs": rows}
        with open(os.path.join(folder, "case.json"), "w", encoding="utf-8") as f:
            f.write(json_text(case))
        print(name, [(r["name"], r["shape"], r["stride"], round(r["absmax"], 4)) for r in rows], flush=True)


if __name__ == "__main__":
    main()
