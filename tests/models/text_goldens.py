# SPDX-License-Identifier: Apache-2.0
"""Pictures of printed lines, and what RapidOCR reads in them and in photographs with the models of samples/fetch.

  python3 -m venv V; V/bin/pip install rapidocr-onnxruntime==1.4.4 pillow
  V/bin/python text_goldens.py --cache DIR --out golden/text

Fonts: Debian's fonts-dejavu-core, fonts-dejavu-extra and fonts-wqy-zenhei. RapidOCR's settings are its own
(Apache-2.0), one thread.
golden/text/text.json, for each picture:
  picture   a file of the folder, or images/NAME of the cache
  truth     the lines that were printed, from top to bottom as they were before the page was turned; none: photograph
  angle     degrees clockwise by which the page is turned
  task      "read", or "line": the whole picture is one line, no detection
  lines     [corners (8 numbers), text, score] as RapidOCR gives them
"""
import argparse
import json
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr_onnxruntime import RapidOCR

SANS = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
SERIF = "/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf"
ITALIC = "/usr/share/fonts/truetype/dejavu/DejaVuSerif-Italic.ttf"
CHINESE = "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"

ENGLISH = [("Opening hours", SANS, 34), ("Monday to Friday 8:30 - 17:45", SANS, 24),
           ("Please ring the bell twice", SERIF, 24), ("Tel. 040 7193 2286", SANS, 28)]
RECEIPT = [("Coffee 3.20", SERIF, 22), ("Bread and butter 4.75", SERIF, 22), ("Total EUR 7.95", SANS, 30),
           ("2026-11-30 15:42", SANS, 20), ("Thank you for your visit", SERIF, 20)]
MIXED = [("欢迎光临", CHINESE, 40), ("请在此处排队等候", CHINESE, 28), ("营业时间 8:00-20:00", CHINESE, 26),
         ("Platform 9 to Hamburg", SANS, 26)]
# Upside down, some of them are taken for upright.
LONG = [("beside took sequences by a with", ITALIC, 24), ("only the up runs softmax any with", ITALIC, 22),
        ("the command input 865 out peak chosen and", ITALIC, 20), ("for Runtime all the tests of any", SANS, 24),
        ("where says depthwise in many of them", ITALIC, 24)]


def page(lines, angle=0, ink=20, paper=245, noise=0, seed=1):
    """Grey, lines below one another; turned clockwise on a page that grows with it; noise of this deviation."""
    width = 40 + max(int(ImageFont.truetype(f, s).getlength(t)) for t, f, s in lines)
    height = 30 + sum(int(1.9 * s) for _, _, s in lines)
    image = Image.new("L", (width + 20, height), paper)
    draw, y = ImageDraw.Draw(image), 20
    for text, font, size in lines:
        draw.text((30, y), text, fill=ink, font=ImageFont.truetype(font, size))
        y += int(1.9 * size)
    if angle:
        image = image.rotate(-angle, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=paper)
    pixels = np.asarray(image, np.float64)
    if noise:
        pixels = pixels + np.random.default_rng(seed).normal(0, noise, pixels.shape)
    # 16 greys make small files.
    return Image.fromarray((np.clip(np.round(pixels / 17), 0, 15) * 17).astype(np.uint8))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", default=os.path.expanduser("~/.cache/tern"))
    parser.add_argument("--out", required=True)
    a = parser.parse_args()
    os.makedirs(a.out, exist_ok=True)
    models = a.cache + "/models/"
    ocr = RapidOCR(det_model_path=models + "ppocr_v4_det.onnx", rec_model_path=models + "ppocr_v4_rec.onnx",
                   cls_model_path=models + "ppocr_v2_cls.onnx", rec_keys_path=models + "ppocr_keys_v1.txt",
                   intra_op_num_threads=1, inter_op_num_threads=1)
    pages = {"english": (ENGLISH, {}), "english_15": (ENGLISH, {"angle": 15}), "english_90": (ENGLISH, {"angle": 90}),
             "english_180": (ENGLISH, {"angle": 180}), "english_270": (ENGLISH, {"angle": 270}),
             "receipt": (RECEIPT, {}), "receipt_noisy": (RECEIPT, {"noise": 25}),
             "receipt_dark": (RECEIPT, {"ink": 230, "paper": 40}), "receipt_345": (RECEIPT, {"angle": 345}),
             "mixed": (MIXED, {}), "mixed_15": (MIXED, {"angle": 15}), "mixed_180": (MIXED, {"angle": 180}),
             "long_180": (LONG, {"angle": 180}), "empty": ([(" ", SANS, 40)], {}),
             "line": (ENGLISH[1:2], {}), "line_180": (MIXED[1:2], {"angle": 180})}
    cases = []

    def add(name, path, truth, angle, task):
        image = np.asarray(Image.open(path).convert("RGB"))[:, :, ::-1]
        whole = [0, 0, image.shape[1], 0, image.shape[1], image.shape[0], 0, image.shape[0]]
        result = ocr(image, use_det=task == "read")[0] or []
        lines = [r if task == "read" else [np.reshape(whole, (4, 2)), *r] for r in result]
        cases.append({"picture": name, "task": task, "angle": angle, "truth": truth,
                      "lines": [[[round(float(v), 1) for v in np.ravel(c)], t, round(float(s), 4)]
                                for c, t, s in lines]})

    for name, (lines, how) in pages.items():
        task = "line" if name.startswith("line") else "read"
        image = page(lines, **how)
        if task == "line":  # without the margins
            ink = np.argwhere(np.asarray(image) < 128)
            image = image.crop((ink[:, 1].min() - 4, ink[:, 0].min() - 4, ink[:, 1].max() + 5, ink[:, 0].max() + 5))
        image.save(f"{a.out}/{name}.png", optimize=True, bits=4)
        add(name + ".png", f"{a.out}/{name}.png", [t for t, _, _ in lines if t.strip()], how.get("angle", 0), task)
    for name in ["scenetext01.jpg", "scenetext06.jpg", "scenetext_word01.jpg", "scenetext_word04.jpg"]:
        add("images/" + name, f"{a.cache}/images/{name}", [], 0, "read")
        if "word" in name:
            add("images/" + name, f"{a.cache}/images/{name}", [], 0, "line")
    with open(a.out + "/text.json", "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")


main()
