#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the Python package, on the small models of tests/capi/make_models.cpp and the boxes of tests/tracking; where
samples/fetch has brought them, on a real model and a photograph. Needs numpy."""
import argparse
import ctypes
import gc
import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import numpy as np

ARGS = None
CACHE = os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern"))


def model(name):
    return os.path.abspath(os.path.join(ARGS.models, name))


def bright(top_left=1.0):
    x = np.full((1, 8, 8, 1), 0.25, np.float32)
    x[:, :4, :4] = top_left
    return x


class Raw(unittest.TestCase):
    def test_is_what_the_headers_say(self):
        p = subprocess.run([sys.executable, os.path.join(ARGS.source, "bindings/generate"), "--check"], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)

    def test_every_symbol(self):
        from tern import _raw
        with open(os.path.join(ARGS.source, "tests/capi/symbols.txt"), encoding="ascii") as f:
            self.assertEqual(sorted(_raw.FUNCTIONS), f.read().split())

    def test_sizes(self):
        """As a C compiler lays the structs out."""
        from tern import _raw
        with open(os.path.join(ARGS.source, "tests/capi/headers.c"), encoding="utf-8") as f:
            sizes = re.findall(r"^SIZE\((\w+), (\d+)\)", f.read(), re.M)
        self.assertGreater(len(sizes), 15)
        for name, size in sizes:
            self.assertEqual(ctypes.sizeof(getattr(_raw, name)), int(size), name)


class Models(unittest.TestCase):
    def test_run(self):
        with tern.load(model("spots.tern")) as m:
            self.assertEqual(m.signatures, ["forward"])
            self.assertEqual([(t.name, t.shape, t.dtype) for t in m.inputs()], [("picture", (1, 8, 8, 1), np.float32)])
            self.assertEqual([t.name for t in m.outputs("forward")], ["scores", "boxes"])
            self.assertEqual(m.metadata["task"], "detector")
            scores, boxes = m(bright())
            np.testing.assert_array_equal(scores.ravel(), [1, 0.25, 0.25, 0.25])
            self.assertEqual(boxes.shape, (1, 4, 4))
            again, _ = m(picture=bright(0.5))
            self.assertEqual(again.ravel()[0], 0.5)
            self.assertEqual(scores.ravel()[0], 1)  # what is held is not overwritten
        scores += 1  # it lives longer than the model
        self.assertEqual(scores.ravel()[0], 2)

    def test_what_is_not_row_major(self):
        m = tern.load(model("spots.tern"))
        wide = np.zeros((1, 8, 16, 1), np.float32)
        wide[:, :4, :8:2] = 1
        np.testing.assert_array_equal(m(wide[:, :, ::2])[0].ravel(), [1, 0, 0, 0])
        np.testing.assert_array_equal(m(bright().tolist())[0], m(bright())[0])

    def test_bound(self):
        s, x = tern.load(model("spots.tern")).session(), bright()
        run = s.bind(x)
        scores = run.outputs[0]
        for value in (1.0, 0.75):
            x[:, :4, :4] = value
            self.assertIs(run()[0], scores)
            self.assertEqual(scores.ravel()[0], value)
        with self.assertRaises(TypeError):
            s.bind(np.zeros((1, 8, 16, 1), np.float32)[:, :, ::2])
        s.close()
        with self.assertRaises(ValueError):
            run()

    def test_errors(self):
        m = tern.load(model("spots.tern"))
        for kind, code, call in ((tern.NotFound, "TERN_ERR_NOT_FOUND", lambda: tern.load("none.tern")),
                                 (LookupError, "TERN_ERR_NOT_FOUND", lambda: m.inputs("backward")),
                                 (ValueError, "TERN_ERR_SHAPE", lambda: m(np.zeros((1, 7, 8, 1), np.float32))),
                                 (tern.Error, "TERN_ERR_CORRUPT", lambda: tern.load(__file__)),
                                 (tern.NotFound, "TERN_ERR_NOT_FOUND", lambda: m.session("gpu"))):
            with self.assertRaises(kind) as caught:
                call()
            self.assertEqual(caught.exception.name, code)
            self.assertTrue(str(caught.exception))
        for call, text in ((lambda: m(), "picture"), (lambda: m(bright(), bright()), "takes 1"), (lambda: m(x=bright()), "picture"),
                           (lambda: m(bright(), picture=bright()), "twice"), (lambda: m(bright().astype(np.float64)), "float32"),
                           (lambda: m(np.array(["a"])), "tensors")):
            with self.assertRaisesRegex(TypeError, text):
                call()
        m.close()
        with self.assertRaisesRegex(ctypes.ArgumentError, "closed"):
            m.session()

    def test_types_are_kept(self):
        seen = set()
        for path in glob.glob(model("*.tern")):
            m = tern.load(path)
            for signature in m.signatures:
                for t in m.inputs(signature) + m.outputs(signature):
                    seen.add(t.dtype)
        self.assertIn(np.dtype(np.float32), seen)

    def test_memory_is_given_back(self):
        m = tern.load(model("spots.tern"))
        s = m.session()

        def resident():
            with open("/proc/self/statm", encoding="ascii") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        x = bright()
        for _ in range(2000):
            s.run(x)
        gc.collect()
        before = resident()
        for _ in range(20000):
            s.run(x)
        gc.collect()
        self.assertLess(resident() - before, 2 << 20)

    def test_threads(self):
        """Others go on while one runs, and an object that is in use is refused."""
        m = tern.load(model("slow.tern"))
        info = m.inputs()
        x = [np.zeros([d or 1 for d in t.shape], t.dtype) for t in info]
        s, errors = m.session(), []
        worker = threading.Thread(target=lambda: s.run(*x))
        worker.start()
        time.sleep(0.02)
        try:
            s.run(*x)
        except tern.Error as e:
            errors.append(e.name)
        worker.join()
        self.assertIn(errors, ([], ["TERN_ERR_STATE"]))  # [] where the first one was done already
        with self.assertRaises(tern.TimedOut):
            s.run(*x, timeout=1e-6)


    def test_interrupt(self):
        """Ctrl-C in the middle of a call, by a program of its own; the session works afterwards, and other handlers are left alone."""
        program = """if True:
            import os, signal, sys, threading, time
            import numpy as np
            import tern
            m = tern.load(sys.argv[1])
            x = [np.zeros([d or 1 for d in t.shape], t.dtype) for t in m.inputs()]
            s = m.session()
            bound = s.bind(*x)
            m(*x)
            begin = time.perf_counter()
            s.run(*x)
            whole = time.perf_counter() - begin
            seen = []
            for call in (lambda: s.run(*x), bound, lambda: m(*x)):
                shares = []
                for _ in range(3):  # the machine may have others to serve
                    threading.Timer(whole / 4, os.kill, (os.getpid(), signal.SIGINT)).start()
                    begin = time.perf_counter()
                    done = False
                    try:
                        call()
                        done = True
                        time.sleep(2 * whole)
                    except KeyboardInterrupt:
                        shares.append(2 if done else (time.perf_counter() - begin) / whole)
                    if shares and shares[-1] < 0.8:
                        break
                seen.append(min(shares))
            signal.signal(signal.SIGINT, lambda *_: seen.append("own"))
            threading.Timer(whole / 4, os.kill, (os.getpid(), signal.SIGINT)).start()
            s.run(*x)
            print(len(seen), seen[3], signal.set_wakeup_fd(-1), max(seen[:3]))
        """
        p = subprocess.run([sys.executable, "-c", program, model("slow.tern")], capture_output=True, text=True,
                           env=os.environ | {"PYTHONPATH": os.path.join(ARGS.source, "bindings/python")})
        self.assertEqual(p.returncode, 0, p.stderr)
        *rest, share = p.stdout.split()
        self.assertEqual(rest, ["4", "own", "-1"])
        self.assertLess(float(share), 0.8)


class Vision(unittest.TestCase):
    def test_detector(self):
        with tern.Vision(model("spots.tern")) as d:
            grey = (bright()[0, :, :, 0] * 255).astype(np.uint8)
            found = d(grey)
            self.assertEqual([f.name for f in found], ["bright"])
            self.assertAlmostEqual(found[0].score, 1, places=2)
            colour = np.stack([grey] * 3, 2)
            for image in (colour, colour[:, ::-1][:, ::-1], np.concatenate([colour, np.full((8, 8, 1), 255, np.uint8)], 2), np.pad(colour, ((0, 0), (0, 3), (0, 0)))[:, :8]):
                self.assertEqual([f.box for f in d(image)], [f.box for f in found])
            for bad in (colour.astype(np.float32), colour[None], np.zeros((4, 4, 2), np.uint8)):
                with self.assertRaises(TypeError):
                    d(bad)
            with self.assertRaises(tern.Error):
                d(np.zeros((0, 4, 3), np.uint8))
            both = d([grey, np.zeros_like(grey)])
            self.assertEqual([len(r) for r in both], [1, 0])
            self.assertEqual((both[0].width, both[0].height, d.kind, d.skeleton, d([])), (8, 8, "detector", (), []))
            with self.assertRaises(tern.TimedOut):
                d(grey, timeout=1e-9)
        with self.assertRaises(tern.Error):
            tern.Vision(model("small.tern"))
        with self.assertRaises(tern.InvalidArgument):
            tern.Vision()
        with tern.Vision(model("spots.tern"), threads=1) as d:
            self.assertEqual(len(d(grey)), 1)
        for call in (lambda: tern.Vision(tern.load(model("spots.tern")), threads=1), lambda: tern.Vision(model("spots.tern"), threads=1, context=tern.Context())):
            with self.assertRaises(ValueError):
                call()
        with self.assertRaises(tern.Error):
            tern.Vision(model("spots.tern"), threads=10000)

    def test_points_in_boxes(self):
        with tern.Vision(model("points.tern"), model("spots.tern")) as v:
            grey = np.zeros((16, 16), np.uint8)
            grey[:8, 8:] = 255
            found = v(np.stack([grey] * 3, 2))
            self.assertEqual((v.kind, v.skeleton, len(found), found[0].box), ("keypoints", ((0, 1),), 1, (8, 0, 16, 8)))
            self.assertEqual((found[0].kind, found[0].skeleton), ("keypoints", ((0, 1),)))
            self.assertEqual([(k.name, k.x, k.y) for k in found[0].keypoints], [("corner", 8, 0), ("middle", 12, 4)])
        self.assertAlmostEqual(tern.similarity([1, 0], [1, 1]), 0.7071, places=4)
        with self.assertRaises(ValueError):
            tern.similarity([1], [1, 2])

    def test_edit(self):
        with tempfile.TemporaryDirectory() as folder:
            path = tern.edit_model(model("spots.tern"), os.path.join(folder, "other.tern"), score=0.9, labels=["light"])
            self.assertEqual((tern.load(path).metadata["result.score"], tern.Vision(path).label(0)), ("0.9", "light"))
            for settings in ({"scroe": 1}, {"score": 7}, {"output.boxes": "none"}):
                with self.assertRaises(tern.Error):
                    tern.edit_model(path, **settings)
            self.assertEqual(tern.load(path).metadata["result.score"], "0.9")

    def test_alpha(self):
        with tern.Vision(model("spots.tern")) as d:
            seen_through = np.zeros((8, 8, 4), np.uint8)  # on white
            self.assertEqual(len(d(seen_through)), 4)
            blue = seen_through + np.array([255, 0, 0, 255], np.uint8)  # as OpenCV orders it: dark
            self.assertEqual((len(d(blue, "bgr")), len(d(blue[..., :3], "bgr"))), (0, 0))
            yellow = seen_through + np.array([0, 255, 255, 255], np.uint8)
            self.assertEqual((len(d(yellow, "bgr")), len(d(yellow, "rgb"))), (4, 4))

    def test_modes_of_pil(self):
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("the package pillow is not there")
        grey = (bright()[0, :, :, 0] * 255).astype(np.uint8)
        plain, deep = Image.fromarray(grey), Image.fromarray(grey.astype(np.uint16) * 257)
        palette = plain.convert("P")
        seen_through = palette.copy()
        seen_through.info["transparency"] = int(np.asarray(palette)[7, 7])  # what is dark
        masked = Image.merge("LA", (Image.new("L", (8, 8)), plain))  # black, seen through where it is dark
        with tern.Vision(model("spots.tern")) as d, tempfile.TemporaryDirectory() as folder:
            self.assertEqual(deep.mode, "I;16")
            for image in (plain, deep, palette, *(plain.convert(m) for m in ("RGB", "RGBA", "LA", "1", "CMYK", "YCbCr"))):
                self.assertEqual([f.box for f in d(image)], [f.box for f in d(grey)], image.mode)
            self.assertEqual((len(d(seen_through)), len(d(masked)), len(d(masked.convert("RGBA")))), (4, 3, 3))
            for image in (plain, deep, palette):
                path = os.path.join(folder, "a.png")
                image.save(path)
                self.assertEqual(len(d(path)), 1)
            for mode in ("I", "F"):
                with self.assertRaises(TypeError):
                    d(plain.convert(mode))
            self.assertEqual(tern.draw(masked, []).getpixel((7, 7)), (192, 192, 192))

    def test_draw(self):
        try:
            import PIL  # noqa: F401
        except ImportError:
            self.skipTest("the package pillow is not there")
        black = np.zeros((200, 300, 3), np.uint8)

        def drawn(*things, image=black, **more):
            return np.asarray(tern.draw(image, things[0] if more.pop("as_is", False) else list(things), **more)).astype(int)

        def marked(a, x0=0, y0=0, x1=300, y1=200):
            return bool(a[y0:y1, x0:x1].any())
        d, point = tern.Detection, tern.Keypoint
        # Classes of the whole picture stand below one another, without boxes.
        classes = drawn(*(d((0, 0, 300, 200), 0.5, i, f"class {i}", kind="classifier") for i in range(5)))
        rows = [tuple(c) for c in classes[:, 1].tolist() if any(c)]
        self.assertEqual(len(set(rows)), 5)
        self.assertFalse(marked(classes, 150, 100) or marked(classes, 299, 0))
        # Labels of boxes on one place do not hide one another.
        one, two = d((50, 50, 250, 150), 0.9, 0, "a"), d((50, 50, 250, 150), 0.8, 1, "b")
        both = drawn(one, two)
        self.assertTrue(marked(both, 50, 151, 250, 170) and marked(both, 50, 35, 100, 49))
        # A point that is not seen is not there, nor are the lines to it, nor the box of the detector before.
        points = d((100, 100, 290, 190), 0.9, 0, "", keypoints=(point(20, 20, 0, 1), point(20, 80, 0, 0.9), point(200, 150, 0, 0.4)), kind="keypoints",
                   skeleton=((0, 1), (1, 2)))
        seen = drawn(points)
        self.assertTrue(marked(seen, 18, 40, 23, 60))
        self.assertFalse(marked(seen, 40, 0))
        with tern.Vision(model("points.tern"), model("spots.tern")) as v:
            grey = np.zeros((64, 64), np.uint8)
            grey[:32, 32:] = 255
            picture = tern.draw(np.zeros((64, 64, 3), np.uint8), v(grey))
            self.assertTrue(any(picture.getpixel((40, 8))))  # half the way between the two points
        turned = drawn(d((50, 50, 250, 150), 0.9, 0, "", corners=np.array([[150, 50], [250, 100], [150, 150], [50, 100]], np.float32)))
        self.assertTrue(marked(turned, 145, 45, 155, 55))
        self.assertFalse(marked(turned, 50, 130, 70, 160))
        masks = drawn(d((10, 10, 20, 20), 0.9, 0, "", mask=np.full((10, 10), 255, np.uint8), mask_at=(180, 180), kind="segmenter"))
        self.assertTrue(marked(masks, 180, 180, 190, 190))
        self.assertFalse(marked(masks, 190, 190))
        result = tern.Result()
        result.class_map, result.names = np.zeros((200, 300), np.uint8), {0: "", 3: "sofa"}
        result.class_map[150:, 200:] = 3
        classes = drawn(result, as_is=True)
        self.assertTrue(marked(classes, 200, 150, 300, 200) and marked(classes, 0, 0, 20, 15))
        self.assertFalse(marked(classes, 0, 150, 199, 200))
        # Letters that the font lacks, and a line that another is above, have their numbers.
        for text in ("\u732b", "two lines", ""):
            drawn(d((0, 0, 30, 10), 1, 0, text=text), d((0, 12, 30, 22), 1, 0, text=text))
        drawn(d((5, 5, 9, 9), 1, 0, "\u732b"), tern.Track(1, (0, 0, 9, 9), 1, 0, 0, 0, "\u732b"), d((250, 150, 900, 900), 1, 0, "\xe9t\xe9" * 30),
              d((0, 0, 300, 200), 1, 0, "", kind="embedder"))
        blue = np.zeros((200, 300, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
        self.assertEqual(drawn(image=blue, order="bgr")[0, 0].tolist(), [0, 0, 255])
        track = tern.Tracker(high_score=0.5)([one])[0]
        self.assertEqual((track.name, tern.Tracker(high_score=0.5)([(0, 0, 9, 9, 0.9)])[0].name), ("a", ""))
        self.assertTrue(marked(drawn(track)))

    def test_tracker(self):
        folder = os.path.join(ARGS.source, "tests/tracking")

        def frames(name):
            rows = np.loadtxt(os.path.join(folder, name), delimiter=",")
            return [rows[rows[:, 0] == f, 1:] for f in range(1, int(rows[-1, 0]) + 1)]
        for method in ("byte", "ocsort", "botsort"):
            t, want = tern.Tracker(method), frames("few." + method)
            for number, rows in enumerate(frames("few.boxes")):
                self.assertEqual([k.id for k in t(rows)], want[number][:, 0].tolist() if number < len(want) else [])
            saved, box = t.save(), (300, 90, 340, 190, 0.9)
            going_on = [t([box]) for _ in range(5)]
            t.reset()
            self.assertEqual(t([(0, 0, 9, 9, 0.9)])[0].id, 1)
            t.load(saved)
            self.assertEqual([t([box]) for _ in range(5)], going_on)
            with self.assertRaises(tern.Error):
                t.load(saved[:-1])
        t, want, cameras = tern.Tracker("botsort"), frames("moving.botsort"), frames("moving.camera")
        for number, rows in enumerate(frames("moving.boxes")):
            tracks = t(rows[:, :5], embeddings=rows[:, 5:], camera=cameras[number].reshape(2, 3))
            self.assertEqual([k.id for k in tracks], want[number][:, 0].tolist())
        motion, scene = tern.CameraMotion(), np.random.default_rng(1).integers(0, 256, (30, 40), np.uint8).repeat(8, 0).repeat(8, 1)
        self.assertEqual(motion(scene[:200, :300]).tolist(), [[1, 0, 0], [0, 1, 0]])
        np.testing.assert_allclose(motion(scene[3:203, 2:302], [(20, 20, 60, 60)]), [[1, 0, -2], [0, 1, -3]], atol=0.05)
        motion.reset()
        self.assertEqual(motion(scene[:200, :300]).tolist(), [[1, 0, 0], [0, 1, 0]])
        for call in (lambda: tern.Tracker("sort"), lambda: t([(0, 0, 1, 1, 0.5)], embeddings=[[1], [2]]), lambda: t([], camera=[1, 2]),
                     lambda: t([(0, 0, float("nan"), 1, 0.5)])):
            with self.assertRaises(ValueError):
                call()

    def test_real(self):
        source, photo = os.path.join(CACHE, "models/ssd_mobilenetv2_oidv4.tflite"), os.path.join(CACHE, "images/dog.jpg")
        try:
            import PIL  # noqa: F401
        except ImportError:
            self.skipTest("the package pillow is not there")
        if not os.path.exists(source) or not os.path.exists(photo):
            self.skipTest("samples/fetch brings the model and the photograph")
        with tempfile.TemporaryDirectory() as folder:
            path = tern.import_model(source, os.path.join(folder, "ssd.tern"), labels=source[:-6] + "txt")
            found = tern.Vision(path)(photo)
            self.assertTrue({"Dog", "Bicycle", "Car"} <= {f.name for f in found})
            self.assertEqual(tern.draw(photo, found).size, (768, 576))

    def test_recipes(self):
        from tern import _raw
        from tern._library import importer
        library, r = importer(), _raw.tern_recipe()
        for i in range(library.tern_import_num_recipes()):
            self.assertEqual(library.tern_import_get_recipe(i, r), _raw.TERN_OK)
            self.assertTrue(os.path.exists(os.path.join(ARGS.source, "src/import/recipes", r.name.decode() + ".recipe")) and r.task and r.about)
        self.assertGreater(i, 20)
        for bad in (-1, i + 1):
            self.assertEqual(library.tern_import_get_recipe(bad, r), _raw.TERN_ERR_INDEX)
        self.assertEqual(library.tern_import_get_recipe(0, None), _raw.TERN_ERR_INVALID_ARGUMENT)
        r.struct_size = 8
        self.assertEqual(library.tern_import_get_recipe(0, r), _raw.TERN_ERR_INVALID_ARGUMENT)

    def test_import_folder(self):
        """Without a name: the current folder, as the command."""
        source = os.path.join(ARGS.source, "samples/digits")
        source = next((os.path.join(source, n) for n in sorted(os.listdir(source)) if n.endswith(".onnx")), None)
        if source is None:
            self.skipTest("no ONNX file comes with the sources")
        with tempfile.TemporaryDirectory() as folder:
            before = os.getcwd()
            os.chdir(folder)
            try:
                path = tern.import_model(os.path.join(before, source))
                self.assertEqual((path, os.listdir(".")), (os.path.splitext(os.path.basename(source))[0] + ".tern", [path]))
            finally:
                os.chdir(before)

    def test_import_errors(self):
        with self.assertRaises(tern.NotFound):
            tern.import_model("none.onnx")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "bad.onnx")
            with open(path, "wb") as f:
                f.write(b"no model")
            with self.assertRaises(tern.Error):
                tern.import_model(path)
            self.assertEqual(os.listdir(folder), ["bad.onnx"])


class Samples(unittest.TestCase):
    LINES = {"detect.py": 6, "track.py": 6, "read.py": 6, "segment.py": 8}  # as many as others need, see the README

    def run_sample(self, name, *words):
        p = subprocess.run([sys.executable, os.path.join(ARGS.source, "samples", name), *words], capture_output=True, text=True,
                           env=os.environ | {"PYTHONPATH": os.path.join(ARGS.source, "bindings/python")})
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout

    def real(self, folder, name, **more):
        source = os.path.join(CACHE, "models", name)
        if not os.path.exists(source):
            self.skipTest("samples/fetch brings the models and photographs")
        return tern.import_model(source, os.path.join(folder, name + ".tern"), **more)

    def photo(self, name):
        path = os.path.join(CACHE, "images", name)
        if not os.path.exists(path):
            self.skipTest("samples/fetch brings the models and photographs")
        return path

    def test_are_short(self):
        for name, most in self.LINES.items():
            with open(os.path.join(ARGS.source, "samples", name), encoding="utf-8") as f:
                lines = [line for line in f.read().splitlines() if line.strip() and not line.strip().startswith("#")]
            self.assertLessEqual(len(lines), most, name)

    def test_run(self):
        if importlib.util.find_spec("PIL") is None:
            self.skipTest("the package pillow is not there")
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.png")
            labels = os.path.join(CACHE, "models/ssd_mobilenetv2_oidv4.txt")
            ssd = self.real(folder, "ssd_mobilenetv2_oidv4.tflite", labels=labels if os.path.exists(labels) else None)
            self.assertIn("Dog 0.", self.run_sample("detect.py", ssd, self.photo("dog.jpg"), out))
            self.assertGreater(os.path.getsize(out), 1000)
            frames = os.path.join(folder, "frames")
            os.mkdir(frames)
            for i in range(3):
                shutil.copy(self.photo("dog.jpg"), os.path.join(frames, f"{i}.jpg"))
            lines = self.run_sample("track.py", ssd, frames).splitlines()
            self.assertEqual(len([line for line in lines if line.startswith("1 Dog ")]), 3, lines)
            selfie = self.real(folder, "selfie_segmentation.tflite")
            self.run_sample("segment.py", selfie, self.photo("person.jpg"), out)
            cut = np.asarray(tern._vision.open_picture(out))
            self.assertEqual(cut[0, 0].tolist(), [255] * 3)
            self.assertTrue((cut.min(axis=2) < 128).any())
            reader = [self.real(folder, "ppocr_v4_det.onnx"), self.real(folder, "ppocr_v2_cls.onnx"),
                      self.real(folder, "ppocr_v4_rec.onnx", labels=os.path.join(CACHE, "models/ppocr_keys_v1.txt"))]
            self.assertIn("Opening hours", self.run_sample("read.py", *reader, os.path.join(ARGS.source, "tests/models/golden/text/english_15.png"), out))

    def test_frames(self):
        for bad in ("none.mp4", "camera:99"):
            with self.assertRaises(tern.NotFound):
                tern.frames(bad)
        if not shutil.which("ffmpeg"):
            self.skipTest("ffmpeg is not there")
        with tempfile.TemporaryDirectory() as folder:
            video = os.path.join(folder, "a.avi")
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:size=34x18:rate=5:duration=2", video], check=True)
            found = list(tern.frames(video))
            self.assertEqual([f.shape for f in found], [(18, 34, 3)] * 10)
            self.assertTrue((abs(found[9].astype(int) - [254, 0, 0]) < 9).all())
            for f in tern.frames(video):
                break
            f = tern.frames(video)
            next(f)
            f.close()
            with open(video, "rb") as a, open(os.path.join(folder, "bad.avi"), "wb") as b:
                b.write(a.read()[:200])
            with self.assertRaises(tern.Error):
                list(tern.frames(os.path.join(folder, "bad.avi")))


class Texts(unittest.TestCase):
    def test_there_and_back(self):
        t = tern.Tokenizer(model("words.tern"))
        self.assertEqual(len(t), 261)
        self.assertEqual(t.encode("the the"), [257, 258, 260])
        self.assertEqual(t.encode("a<end>", add_special=False, parse_special=True), [97, 260])
        self.assertEqual(t.decode([257, 258, 260]), "the the<end>")
        self.assertEqual(t.decode([257, 258, 260], skip_special=True), "the the")
        self.assertEqual("".join(t.stream([257, 258, 97, 98], stop="ab")), "the the")
        self.assertEqual(list(t.stream([257, 97, 99], stop=["ab", "x"])), ["the", "", "ac"])
        self.assertEqual(t.encode(""), [260])
        self.assertEqual(t.decode([]), "")
        data = bytes(range(256)) * 3
        self.assertEqual(t.decode_bytes(t.encode(data, add_special=False)), data)
        self.assertEqual(t.decode([255]), "\ufffd")
        text = "naïve 中文 😀 the end" * 500
        self.assertEqual(t.decode(t.encode(text, add_special=False)), text)
        self.assertEqual("".join(t.stream(t.encode(text, add_special=False))), text)
        self.assertEqual(list(t.stream([0xe4, 0xb8, 0xad, 257, 0xe4])), ["", "", "中", "the", "", "\ufffd"])
        with tern.load(model("words.tern")) as m:
            self.assertEqual(tern.Tokenizer(m).encode("the"), [257, 260])

    def test_tokens(self):
        t = tern.Tokenizer(model("words.tern"))
        self.assertEqual((t[258].text, t[258].special, t[0].text), (b" the", False, b"\0"))
        self.assertTrue(t[260].special and t[260].added and t[259].unused)
        self.assertEqual((t.find("the"), t.find(b"\xff"), t.find("cat")), (257, 255, None))
        self.assertEqual((t.begin, t.end, t.unknown, t.padding), (None, 260, None, None))
        for id in (-1, 261):
            with self.assertRaises(IndexError):
                t[id]
        with self.assertRaises(tern.InvalidArgument):
            t.decode([261])

    def test_files(self):
        json = b'{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}'
        self.assertEqual(tern.Tokenizer(json).encode("aab"), [0, 2])
        with tempfile.TemporaryDirectory() as folder:
            path, made = os.path.join(folder, "tokenizer.json"), os.path.join(folder, "made.tern")
            with open(path, "wb") as f:
                f.write(json)
            self.assertEqual(tern.Tokenizer(path).encode("ab"), [2])
            self.assertEqual(tern.set_tokenizer(model("small.tern"), path, made), made)
            self.assertEqual(tern.Tokenizer(made).encode("ab"), [2])
            tern.set_tokenizer(made, None)
            with self.assertRaises(tern.NotFound):
                tern.Tokenizer(made)
        with self.assertRaises(tern.Error):
            tern.Tokenizer(b"{}")
        with self.assertRaises(FileNotFoundError):
            tern.Tokenizer("none.json")

    def test_threads(self):
        t = tern.Tokenizer(model("words.tern"))
        text = "the other " * 2000
        expected, found = t.encode(text), []
        threads = [threading.Thread(target=lambda: found.append(t.encode(text) == expected)) for _ in range(8)]
        [x.start() for x in threads]
        [x.join() for x in threads]
        self.assertEqual(found, [True] * 8)


class Generators(unittest.TestCase):
    """A random model of 512 positions with letters as tokens."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tern-python-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        folder = os.path.join(cls.folder, "letters")
        shutil.copytree(os.path.join(ARGS.source, "tests/models/golden/language/hf-qwen2"), folder)
        pieces = ["\u0120", "\u010a"] + [chr(c) for c in range(33, 125)]
        text = {"model": {"type": "BPE", "vocab": {p: i for i, p in enumerate(pieces)}, "merges": []},
                "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "decoder": {"type": "ByteLevel"},
                "added_tokens": [{"id": 94, "content": "<|im_start|>", "special": True}, {"id": 95, "content": "<|im_end|>", "special": True}]}
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump(text, f)
        cls.path = tern.import_model(folder, os.path.join(cls.folder, "letters.tern"))

    def test_roles(self):
        """What begins and ends texts stands in a file of its own."""
        folder = os.path.join(self.folder, "roles")
        shutil.copytree(os.path.join(self.folder, "letters"), folder)
        with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
            json.dump({"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>", "pad_token": None}, f)
        t = tern.Tokenizer(tern.import_model(folder, os.path.join(self.folder, "roles.tern")))
        self.assertEqual((t.begin, t.end, t.padding), (94, 95, None))
        t = tern.Tokenizer(self.path)
        self.assertEqual((t.begin, t.end, t.padding), (None, None, None))
        with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
            f.write("{")
        with self.assertRaisesRegex(tern.Error, "JSON"):
            tern.import_model(folder, os.path.join(self.folder, "roles.tern"))

    def test_generate(self):
        with tern.load(self.path) as m:
            g = tern.Generator(m, temperature=1, seed=3)
        pieces = list(g.generate("ab", max_tokens=60))
        whole = "".join(pieces)
        self.assertEqual((len(pieces), len(whole), g.ended, g.capacity), (60, 60, "length", 512))
        self.assertEqual(g.tokens[:2], g.tokenizer.encode("ab"))
        self.assertEqual("".join(g.generate(g.tokenizer.encode("ab"), 60)), whole)
        self.assertNotEqual("".join(tern.Generator(self.path, temperature=1, seed=4).generate("ab", 60)), whole)
        for stop in (whole[20:23], ["never this", whole[40:43]]):
            self.assertEqual("".join(g.generate("ab", 60, stop)), whole[:whole.index(stop if isinstance(stop, str) else stop[1])])
            self.assertEqual(g.ended, "stop")
        self.assertEqual("".join(g.generate("ab", 60, whole[-3:] + "@@@")), whole)
        list(g.generate("x" * 500))
        self.assertEqual((g.ended, len(g.tokens)), ("full", 512))
        with self.assertRaisesRegex(tern.Error, "512 positions"):
            list(g.generate("x" * 513))
        with self.assertRaisesRegex(tern.InvalidArgument, "top_p"):
            tern.Generator(self.path, top_p=2)
        with self.assertRaisesRegex(tern.Error, "language model"):
            tern.Generator(model("small.tern"))
        with self.assertRaisesRegex(tern.TimedOut, "."):
            list(g.generate("ab", timeout=1e-9))

    def test_chat(self):
        g = tern.Generator(self.path, template="chatml")
        self.assertEqual(g.template, "chatml")
        self.assertEqual(g.tokenizer.decode(g.encode_chat([("user", "Hi"), {"role": "assistant", "content": "Yes"}], answer=False)),
                         "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n")
        self.assertEqual(g.encode_chat([("user", "<|im_end|>")]).count(95), 1)
        first = "".join(g.chat("Hi", 4))
        self.assertEqual(g.messages, [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": first}])
        before = g.tokens
        second = "".join(g.chat("Why?", 4))
        self.assertEqual(g.tokens[:len(before)], before)
        # The same from the whole conversation, in another one and in this one.
        whole = [("user", "Hi"), ("assistant", first), ("user", "Why?")]
        self.assertEqual("".join(tern.Generator(self.path, template="chatml").chat(whole, 4)), second)
        self.assertEqual("".join(g.chat(whole, 4)), second)
        self.assertEqual(g.tokenizer.decode(g.tokens).count("<|im_start|>"), 4)
        g.reset()
        self.assertEqual((g.messages, g.tokens), ([], []))
        # An answer that nobody waits for to its end is part of the conversation; nobody goes on with it.
        pieces = g.chat("Hi", 4)
        start = next(pieces)
        other = g.chat("Why?", 4)
        with self.assertRaisesRegex(RuntimeError, "before this one"):
            list(pieces)
        del pieces
        list(other)
        g.reset()
        pieces = g.chat("Hi", 4)
        self.assertEqual(next(pieces), start)
        pieces.close()
        self.assertEqual(g.messages[1]["content"], start)
        with self.assertRaisesRegex(tern.InvalidArgument, "'tool'"):
            g.chat([("tool", "x")])
        with self.assertRaisesRegex(tern.NotFound, "chatml, llama3"):
            tern.Generator(self.path).chat("Hi")

    def test_rules(self):
        """Grammars, schemas, biases, logarithms of probabilities and drafts; each call has its own."""
        g = tern.Generator(self.path, temperature=2, seed=1, log_probabilities=2, template="chatml")
        free = "".join(g.generate("ab", 12))
        self.assertEqual((len(g.log_probabilities), {len(step) for step in g.log_probabilities}), (12, {3}))
        self.assertEqual([step[0][0] for step in g.log_probabilities], g.tokens[-12:])
        self.assertTrue(all(step[1][1] >= step[2][1] and step[1][1] >= step[0][1] for step in g.log_probabilities))
        self.assertIn("".join(g.generate("ab", grammar='root ::= "yes" | "no"')), ("yes", "no"))
        self.assertEqual(g.ended, "end")
        self.assertEqual("".join(g.generate("ab", grammar='root ::= "yes" | "no"', logit_bias={"y": float("-inf")})), "no")
        self.assertEqual("".join(g.generate("ab", 12)), free)  # neither is left
        self.assertEqual(set("".join(g.generate("ab", 5, logit_bias={g.tokenizer.find("z"): 1000}))), {"z"})
        schema = {"type": "array", "items": {"enum": ["x", None]}, "minItems": 2, "maxItems": 3}  # there is no token }
        for given in (schema, json.dumps(schema)):
            for answer in ("".join(g.generate("ab", 30, schema=given)), "".join(g.chat("Hi", 30, schema=given)), "".join(g.chat("And?", 30, schema=given))):
                self.assertIn(len(json.loads(answer)), (2, 3))
                self.assertEqual(g.ended, "end")
        self.assertEqual(len(g.messages), 4)
        with self.assertRaisesRegex(ValueError, "not both"):
            g.generate("ab", grammar='root ::= "a"', schema=schema)
        with self.assertRaisesRegex(tern.Error, "line 1"):
            list(g.generate("ab", grammar="root ::= x"))
        with self.assertRaisesRegex(tern.NotFound, "'nothing like this'"):
            g.generate("ab", logit_bias={"nothing like this": 1})
        with self.assertRaisesRegex(tern.InvalidArgument, "vocabulary has 96"):
            list(g.generate("ab", logit_bias={96: 1}))
        self.assertEqual("".join(g.generate("ab", 12)), free)

    def padded(self, name, times, change=""):
        """The model with 96 more logits: `times` those of its tokens. change: is the third token's text instead; None: no tokenizer."""
        folder = os.path.join(self.folder, name)
        shutil.copytree(os.path.join(self.folder, "letters"), folder)
        for file in glob.glob(os.path.join(folder, "*.safetensors")):
            with open(file, "rb") as f:
                header, data = json.loads(f.read(int.from_bytes(f.read(8), "little"))), f.read()
            out = b""
            for key, t in header.items():
                if key == "__metadata__":
                    continue
                part = data[slice(*t["data_offsets"])]
                if key in ("lm_head.weight", "model.embed_tokens.weight"):
                    t["shape"][0] *= 2
                    rows = (np.frombuffer(part, np.uint16).astype(np.uint32) << 16).view(np.float32) * times
                    part += (rows.view(np.uint32) >> 16).astype(np.uint16).tobytes()
                t["data_offsets"] = [len(out), len(out) + len(part)]
                out += part
            text = json.dumps(header).encode()
            with open(file, "wb") as f:
                f.write(len(text).to_bytes(8, "little") + text + out)
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            config = json.load(f)
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump({**config, "vocab_size": 192}, f)
        with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as f:
            tokenizer = json.load(f)
        if change:
            tokenizer["model"]["vocab"][change] = tokenizer["model"]["vocab"].pop('"')
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump(tokenizer, f)
        if change is None:
            os.remove(os.path.join(folder, "tokenizer.json"))
        return tern.import_model(folder, os.path.join(self.folder, name + ".tern"))

    def test_draft(self):
        want = "".join(tern.Generator(self.path).generate("ab", 40))
        for draft in (self.path, tern.load(self.path)):
            g = tern.Generator(self.path, draft=draft)
            self.assertEqual("".join(g.generate("ab", 40)), want)
            made, right = g.guesses
            self.assertTrue(made >= right >= 30, g.guesses)
        with self.assertRaisesRegex(tern.Error, "language model"):
            tern.Generator(self.path, draft=model("small.tern"))
        # Logits of other numbers: of a draft those that are no tokens are the largest here, and are not guessed all the same.
        wide, quiet = self.padded("wide", 3), self.padded("quiet", 0)
        alone = tern.Generator(wide)
        with self.assertRaisesRegex(tern.Error, "the vocabulary has 96"):
            list(alone.generate("ab", 9))
        self.assertGreaterEqual(alone.tokens[-1], 96)
        for target, draft in ((self.path, wide), (quiet, self.path), (quiet, wide)):
            g = tern.Generator(target, draft=draft)
            self.assertEqual("".join(g.generate("ab", 40)), want)
            self.assertEqual(g.guesses, (made, right))
        # Tokens that are others, and tokens that nobody knows.
        with self.assertRaisesRegex(tern.InvalidArgument, r"another vocabulary: token 3 is '\?' there, '\"' here"):
            tern.Generator(self.path, draft=self.padded("other", 0, "\u00e9"))
        with self.assertRaisesRegex(tern.InvalidArgument, "96 tokens, it has 192"):
            tern.Generator(self.path, draft=self.padded("bare", 3, None))
        # In a cycle, where they go in any order.
        g.own = g
        del g
        gc.collect()

    def test_sessions(self):
        file = os.path.join(self.folder, "tea.session")
        g = tern.Generator(self.path, temperature=1, seed=3, template="chatml")
        turns = ["".join(g.chat(text, 5)) for text in ("Hi", "caf\u00e9\n \udcff", "Why?")]
        first = tern.Generator(self.path, temperature=1, seed=3, template="chatml")
        self.assertEqual("".join(first.chat("Hi", 5)), turns[0])
        first.save(file)
        second = tern.Generator(self.path, template="chatml")
        list(second.generate("xyz", 9))
        second.load(file)
        self.assertEqual((second.messages, second.tokens), (first.messages, first.tokens))
        before = len(second.tokens)
        self.assertEqual("".join(second.chat("caf\u00e9\n \udcff", 5)), turns[1])
        self.assertEqual(second.tokens[:before], first.tokens)
        second.save(file)
        third = tern.Generator(self.path, template="chatml")
        third.load(file)
        self.assertEqual(third.messages, second.messages)
        self.assertEqual("".join(third.chat("Why?", 5)), turns[2])
        self.assertEqual(third.tokens, g.tokens)
        # The command reads the same.
        command = os.path.join(ARGS.libraries, "bin/tern")
        if os.path.exists(command):
            p = subprocess.run([command, "chat", self.path, "--template", "chatml", "-n", "5", "--session", file], input=b"Why?\n", capture_output=True)
            self.assertEqual(p.stdout.decode("utf-8", "replace"), turns[2] + "\n", p.stderr)
            third.load(file)
            self.assertEqual((third.messages, third.tokens), (g.messages, g.tokens))
        # A text without a conversation, in the middle.
        pieces = g.generate("ab", 20)
        start = [next(pieces) for _ in range(7)]
        g.save(file)
        rest = list(pieces)
        third.load(file)
        self.assertEqual(third.messages, [])
        self.assertEqual(third.tokenizer.decode(third.tokens), "ab" + "".join(start))
        self.assertEqual(list(third.generate(third.tokens, 13)), rest)
        # Errors leave everything as it was.
        tokens = third.tokens
        with open(file, "r+b") as f:
            f.seek(200)
            f.write(b"?")
        with self.assertRaisesRegex(tern.Error, "damaged"):
            third.load(file)
        with self.assertRaises(tern.NotFound):
            third.load(file + "x")
        self.assertEqual(third.tokens, tokens)
        other = tern.Generator(tern.import_model(os.path.join(self.folder, "letters"), os.path.join(self.folder, "other.tern"), weights="f16"))
        g.save(file)
        with self.assertRaisesRegex(tern.InvalidArgument, "another model"):
            other.load(file)

    def test_batch(self):
        """Each text of a batch is the one that comes alone, in any company."""
        g = tern.Generator(self.path, temperature=1, template="chatml")
        prompts = ["ab", "x" * 70, g.tokenizer.encode("hello"), [("user", "Hi")], [{"role": "user", "content": "Why?"}], "y" * 500, "ab"]
        options = [{"seed": i, "temperature": 0 if i == 2 else 1} for i in range(7)]
        want, why = [], []
        for prompt, o in zip(prompts, options):
            one = tern.Generator(self.path, template="chatml", **o)
            chat = not isinstance(prompt, str) and not isinstance(prompt[0], int)
            want.append("".join(one.chat(prompt, 30, "?") if chat else one.generate(prompt, 30, "?")))
            why.append(one.ended)
        self.assertEqual(why[5], "full")
        for together in (1, 3, 7):
            texts, order = [""] * 7, []
            for i, piece in g.batch(prompts, 30, "?", together=together, options=options):
                texts[i] += piece
                order.append(i)
            self.assertEqual(texts, want)
            self.assertEqual(g.batch_ended, why)
            self.assertEqual(order == sorted(order), together == 1)
        # What this generator has is shared; it goes on by itself, and so do its copies.
        list(g.generate("xxx", 5))
        before = g.tokens
        self.assertEqual([p for _, p in g.batch(["x" * 70], 30, "?", options=options[1:2])], list(tern.Generator(self.path, temperature=1, seed=1).generate("x" * 70, 30, "?")))
        self.assertEqual(g.tokens, before)
        copy = g.fork(seed=5)
        self.assertEqual(copy.tokens, before)
        self.assertEqual("".join(copy.generate(before, 9)), "".join(tern.Generator(self.path, temperature=1, seed=5).generate(before, 9)))
        self.assertEqual(g.tokens, before)
        g.close()
        self.assertEqual(len(list(copy.generate("ab", 9))), 9)
        # Rules are for each of them; one that cannot be ends the batch, and one that nobody waits for goes.
        g = tern.Generator(self.path, temperature=2)
        texts = ["", "", ""]
        for i, piece in g.batch(["a", "b", "c"], 20, grammar='root ::= "yes" | "no"', options=[{"seed": 1}, {"seed": 2}, {"seed": 3}]):
            texts[i] += piece
        self.assertTrue(set(texts) <= {"yes", "no"}, texts)
        self.assertEqual(g.batch_ended, ["end"] * 3)
        with self.assertRaisesRegex(tern.Error, "512 positions"):
            list(g.batch(["a", "x" * 600]))
        # Each with its own error, whichever failed behind it.
        nothing = {t: -float("inf") for t in range(96)}
        for prompts, why in (([[], "a"], "no token to go on from"), (["a", []], "bias forbids all")):
            with self.assertRaisesRegex(tern.Error, why):
                list(g.batch(prompts, logit_bias=nothing))
        with self.assertRaisesRegex(ValueError, "as many options"):
            g.batch(["a"], options=[])
        with self.assertRaisesRegex(tern.TimedOut, "."):
            list(g.batch(["a", "b"], timeout=1e-9))
        pieces = g.batch(["a", "b"], 20)
        next(pieces)
        pieces.close()
        self.assertEqual(list(g.batch([])), [])

    def test_embed(self):
        """The hidden states from which transformers' logits follow."""
        golden = os.path.join(ARGS.source, "tests/models/golden/language/hf-qwen2")
        letters = os.path.join(self.folder, "letters")
        with self.assertRaisesRegex(tern.InvalidArgument, "there are f32 and int16"):
            tern.import_model(letters, os.path.join(self.folder, "wrong.tern"), activations="int4")
        path = tern.import_model(letters, os.path.join(self.folder, "letters-f32.tern"), weights="f32", cache="f32")
        head = None
        for name in sorted(os.listdir(golden)):
            if name.endswith(".safetensors"):
                with open(os.path.join(golden, name), "rb") as f:
                    size = int.from_bytes(f.read(8), "little")
                    entries, data = json.loads(f.read(size)), f.read()
                for key in ("lm_head.weight", "model.embed_tokens.weight"):
                    if key in entries and (head is None or key == "lm_head.weight"):
                        begin, end = entries[key]["data_offsets"]
                        kind = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}[entries[key]["dtype"]]
                        head = np.frombuffer(data[begin:end], kind).reshape(entries[key]["shape"])
        if head.dtype == np.uint16:
            head = (head.astype(np.uint32) << 16).view(np.float32)
        logits = np.load(golden + ".npy")
        ids = [(7 * i + 3) % 96 for i in range(40)]
        g = tern.Generator(path)
        hidden = np.stack([g.embed(ids[:n + 1], "last", normalize=False) for n in range(40)])
        self.assertEqual((hidden.dtype, hidden.shape), (np.float32, (40, head.shape[1])))
        self.assertLess(np.abs(hidden @ head.astype(np.float32).T - logits).max() / np.abs(logits).max(), 2e-5)
        mean = hidden.mean(0)
        np.testing.assert_allclose(g.embed(ids, normalize=False), mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(g.embed(ids), mean / np.linalg.norm(mean), rtol=1e-5, atol=1e-6)
        both = g.embed(["ab", "cd"])
        self.assertEqual(both.shape, (2, head.shape[1]))
        np.testing.assert_array_equal(both[1], g.embed("cd"))
        self.assertAlmostEqual(tern.similarity(both[0], both[0]), 1, 6)
        self.assertEqual(g.tokens, [])
        with self.assertRaisesRegex(ValueError, "no token"):
            g.embed("")
        with self.assertRaisesRegex(ValueError, "'mean' or 'last'"):
            g.embed("ab", "first")
        with self.assertRaisesRegex(tern.Error, "512"):
            g.embed("x" * 513)

    def test_smollm2(self):
        source = os.path.join(CACHE, "models/smollm2-135m-instruct.gguf")
        if not os.path.exists(source):
            self.skipTest(f"{source} is not there; samples/fetch brings it")
        path = tern.import_model(source, os.path.join(self.folder, "smol.tern"), weights="q8_0")
        g = tern.Generator(path)
        # Ids are those of transformers.
        cases = 0
        with open(os.path.join(ARGS.source, "tests/text/chat_goldens.txt"), encoding="utf-8") as f:
            for case in map(json.loads, f):
                if case["model"] == "smollm2":
                    self.assertEqual(g.encode_chat(case["messages"], case["answer"]), case["ids"], case)
                    cases += 1
        self.assertEqual(cases, 20)
        self.assertIn("Paris", "".join(g.chat("What is the capital of France?")))
        self.assertEqual(g.ended, "end")
        self.assertIn("Rome", "".join(g.chat("And of Italy?")))
        # Ctrl-C ends the answer; the conversation goes on.
        program = """if True:
            import os, signal, sys, threading, tern
            g = tern.Generator(sys.argv[1])
            got = []
            try:
                for piece in g.chat("Write a very long story about a ship.", 4000):
                    if not got:
                        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
                    got.append(piece)
            except KeyboardInterrupt:
                print("interrupted", len(got) > 0, g.messages[1]["content"] == "".join(got))
            print("Paris" in "".join(g.chat([("user", "What is the capital of France?")])), g.ended)
        """
        p = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True,
                           env=os.environ | {"PYTHONPATH": os.path.join(ARGS.source, "bindings/python")})
        self.assertEqual((p.returncode, p.stdout), (0, "interrupted True True\nTrue end\n"), p.stderr)


class Wheel(unittest.TestCase):
    def test_ten_lines(self):
        """The wheel in a fresh environment; numpy comes from this one."""
        with tempfile.TemporaryDirectory() as folder:
            wheel = subprocess.run([sys.executable, os.path.join(ARGS.source, "bindings/python/build_wheel"), "--build", ARGS.libraries, "--out", folder],
                                   check=True, capture_output=True, text=True).stdout.strip()
            subprocess.run([sys.executable, "-m", "venv", os.path.join(folder, "env")], check=True)
            python = os.path.join(folder, "env/bin/python")
            subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check", wheel], check=True)
            with open(os.path.join(ARGS.source, "README.md"), encoding="utf-8") as f:
                lines = re.search(r"## Ten lines of Python\n\n((?:    .*\n|\n)+)", f.read())[1]
            lines = "\n".join(line[4:] for line in lines.split("\n")).replace('"detector.tern"', repr(model("spots.tern"))).replace(
                '"street.jpg"', "numpy.full((8, 8, 3), 255, numpy.uint8)").replace('tern.frames("street.mp4")', "3 * [numpy.full((8, 8, 3), 255, numpy.uint8)]")
            lines = [line for line in lines.split("\n") if line]
            self.assertLessEqual(len(lines), 10)
            if importlib.util.find_spec("PIL") is None:
                lines = [line for line in lines if "tern.draw" not in line]
            numpy_folder = os.path.dirname(os.path.dirname(np.__file__))
            environment = {k: v for k, v in os.environ.items() if k not in ("TERN_LIBRARY", "PYTHONPATH")} | {"PYTHONPATH": numpy_folder}
            p = subprocess.run([python, "-c", "\n".join(["import numpy", *lines])], capture_output=True, text=True, env=environment, cwd=folder)
            self.assertEqual(p.returncode, 0, p.stderr)
            self.assertIn("bright", p.stdout)
            self.assertEqual(len([line for line in p.stdout.splitlines() if line.startswith("1 bright (")]), 3)
            p = subprocess.run([python, "-c", "import tern"], capture_output=True, text=True, env=environment | {"TERN_LIBRARY": "/nowhere/libtern.so"})
            self.assertIn("TERN_LIBRARY", p.stderr)


def main():
    global ARGS, tern
    parser = argparse.ArgumentParser()
    for name in ("--libraries", "--models", "--source"):
        parser.add_argument(name, required=True)
    ARGS, rest = parser.parse_known_args()
    sys.dont_write_bytecode = True
    os.environ["TERN_LIBRARY"] = ARGS.libraries
    sys.path.insert(0, os.path.join(ARGS.source, "bindings/python"))
    import tern
    result = unittest.main(argv=[sys.argv[0], *rest], exit=False).result
    for test, reason in result.skipped:
        print(f"SKIPPED: {test}: {reason}", file=sys.stderr)
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
