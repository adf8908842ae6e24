// SPDX-License-Identifier: Apache-2.0
// tern detect, segment, classify, pose, read and embed: a vision task on pictures, folders and videos.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "cli/lanes.h"
#include "cli/paint.h"

namespace tern::cli {
namespace {

struct Runner {
  Handle<tern_vision> vision;
  bool json = false;

  tern_status run(const Photo& photo, const tern_vision_result** result) const {
    tern_run_options options = TERN_RUN_OPTIONS_INIT;
    options.cancel = interrupt();
    const tern_picture picture = photo.view();
    return tern_vision_run(vision.get(), &picture, 1, &options, result);
  }
};

// Which kinds of tasks a sub-command is for.
struct Kind {
  const char* command;
  std::vector<int32_t> kinds;
  const char* what;
};

int make_task(const Arguments& a, const Kind& kind, tern_context* context, size_t* num_models, const VideoReader* video,
              Runner* out) {
  std::vector<Handle<tern_model>> models;
  std::vector<tern_model*> pointers;
  if (const int code = load_models(context, a, &models)) return code;
  *num_models = models.size();
  for (const auto& m : models) pointers.push_back(m.get());
  tern_vision_options options = TERN_VISION_OPTIONS_INIT;
  double min_score = 0, max_overlap = 0, smoothing = 0;
  int64_t most = 0;
  if (!a.real("--min-score", 0, 1, &min_score) || !a.real("--max-overlap", 0, 1, &max_overlap) ||
      !a.number("--max", 1, 1000, &most) || !a.real("--smooth", 0, 1000, &smoothing))
    return kUsage;
  options.min_score = (float)min_score;
  options.max_overlap = (float)max_overlap;
  options.max_results = (int32_t)most;
  options.backends = a.value("--backend");
  options.smoothing = (float)smoothing;
  if (video) options.frame_rate = (float)std::clamp(video->frame_rate(), 0.0, 1e5);
  tern_vision* made = nullptr;
  if (video && kind.kinds[0] == TERN_VISION_KEYPOINTS) {
    // Where the model's authors follow people from frame to frame, so do we.
    options.flags = TERN_VISION_FOLLOW;
    if (tern_vision_create(pointers.data(), (int32_t)pointers.size(), &options, &made) == TERN_OK) {
      out->vision.reset(made);
      return kDone;
    }
    options.flags = 0;
  }
  if (const tern_status s = tern_vision_create(pointers.data(), (int32_t)pointers.size(), &options, &made))
    return report(s, a.words()[*num_models - 1]);
  out->vision.reset(made);
  // A detector serves a command for masks or points only where it gives them.
  const auto says = [&](const char* key) {
    return std::any_of(pointers.begin(), pointers.end(),
                       [&](const tern_model* m) { return tern_model_find_metadata(m, key); });
  };
  const bool lacks = (std::strcmp(kind.command, "segment") == 0 && tern_vision_get_kind(made) == TERN_VISION_DETECTOR &&
                      !says("output.masks") && !says("output.coefficients")) ||
                     (std::strcmp(kind.command, "pose") == 0 && !says("output.points"));
  if (lacks)
    return complain("%s gives no %s: `tern detect` is for it", a.words()[0].c_str(),
                    kind.command[0] == 's' ? "masks" : "key points"),
           kUsage;
  const int32_t is = tern_vision_get_kind(made);
  if (std::find(kind.kinds.begin(), kind.kinds.end(), is) == kind.kinds.end()) {
    constexpr const char* kCommands[] = {"detect", "classify", "segment", "pose", "embed", "read"};
    return complain("%s is no %s: `tern %s` is for it", a.words()[0].c_str(), kind.what, kCommands[is]), kUsage;
  }
  return kDone;
}

int run_pictures(const Arguments& a, const Runner& runner, size_t num_models) {
  std::vector<std::string> paths;
  Album album, masks;
  if (!find_photos(a.words(), num_models, &paths)) return kNotFound;
  if (!album.open("--out", a.value("--out"), paths) || !masks.open("--mask", a.value("--mask"), paths, true))
    return kUsage;
  for (size_t i = 0; i < paths.size() && album.wanted() && masks.wanted(); ++i)
    if (album.target(i) == masks.target(i))
      return complain("--out and --mask would both write %s", masks.target(i).c_str()), kUsage;
  return for_each_photo(paths, [&](size_t i, const Photo& photo) -> int {
    const double begin = now_seconds();
    const tern_vision_result* result = nullptr;
    if (const tern_status s = runner.run(photo, &result)) return report(s, paths[i]);
    const double ms = (now_seconds() - begin) * 1e3;
    if (masks.wanted()) {
      const std::vector<uint8_t> values = mask_values(runner.vision.get(), *result);
      if (!write_grey_png(masks.target(i), values.data(), result->width, result->height)) return kNoResource;
    }
    if (album.wanted()) {
      paint(photo, runner.vision.get(), *result);
      if (!write_photo(album.target(i), photo)) return kNoResource;
    }
    if (runner.json) {
      Json j(true);
      j.begin_object()
          .add("picture", paths[i])
          .add("width", photo.width)
          .add("height", photo.height)
          .add("milliseconds", ms);
      add_result(runner.vision.get(), *result, &j);
      if (album.wanted()) j.add("annotated", album.target(i));
      if (masks.wanted()) j.add("mask", masks.target(i));
      j.print();
      return kDone;
    }
    if (paths.size() > 1) progress("%s", "");
    const int32_t n = result->num_detections;
    std::printf("%s: ", paths[i].c_str());
    if (!result->class_map) std::printf("%d result%s, ", n, n == 1 ? "" : "s");
    std::printf("%.1f ms%s%s\n", ms, album.wanted() ? " -> " : "", album.wanted() ? album.target(i).c_str() : "");
    print_result(runner.vision.get(), *result);
    return kDone;
  });
}

int run_video(const Arguments& a, const Runner& runner, const std::string& path, VideoReader& video) {
  VideoWriter writer;
  writer.want(a.value("--out"), video.frame_rate());
  FrameClock clock(video.frames());
  int64_t found = 0;
  const int code = for_each_frame(video, writer, &clock, [&](Photo& photo, Lane& output) -> int {
    const tern_vision_result* result = nullptr;
    const tern_status s = runner.run(photo, &result);
    if (s == TERN_ERR_CANCELLED && interrupted()) return kInterrupted;
    if (s != TERN_OK) return report(s, path + ", frame " + std::to_string(clock.count() + 1));
    found += result->num_detections;
    if (runner.json) {
      Json j(true);
      j.begin_object().add("frame", clock.count() + 1).add("time", (double)clock.count() / video.frame_rate());
      add_result(runner.vision.get(), *result, &j);
      j.print();
    }
    if (!writer.wanted()) return kDone;
    const bool good = output.add([&, frame = std::make_shared<Photo>(std::move(photo)), copy = copy_result(*result)] {
      paint(*frame, runner.vision.get(), *copy);
      return writer.add(*frame);
    });
    return good ? kDone : kNoResource;
  });
  if (!runner.json)
    std::printf("%s: %lld frames, %.1f results a frame, %.1f frames/s%s%s\n", path.c_str(), (long long)clock.count(),
                (double)found / std::max<double>(1, (double)clock.count()), clock.rate(), writer.wanted() ? " -> " : "",
                writer.wanted() ? a.value("--out") : "");
  return code;
}

int run(const Arguments& a, const Kind& kind) {
  Handle<tern_context> context;
  if (const int code = make_context(a, &context, nullptr, true)) return code;
  Runner runner;
  runner.json = a.has("--json");
  const std::string& last = a.words().back();
  const bool is = is_video(last);
  VideoReader video;
  if (is) {
    const char* out = a.value("--out");
    if (out && is_same_file(last, out)) return complain("--out %s is the video itself", out), kUsage;
    if (out && !names_video(out)) return complain("--out %s: a video ends in .mp4, .avi, .mkv, ...", out), kUsage;
    if (a.value("--mask")) return complain("--mask is for pictures"), kUsage;
    if (!video.open(last)) return bad_file_code(last);
  }
  size_t num_models = 0;
  if (const int code = make_task(a, kind, context.get(), &num_models, is ? &video : nullptr, &runner)) return code;
  if (num_models == a.words().size()) return complain("a picture, folder or video is missing"), kUsage;
  if (!is) return run_pictures(a, runner, num_models);
  if (a.words().size() - num_models > 1) return complain("one video at a time"), kUsage;
  return run_video(a, runner, last, video);
}

constexpr const char* kInputs =
    "PICTURE is a JPEG, PNG or BMP file or a folder of them; VIDEO is a file that ffmpeg reads, camera:0 the first "
    "camera;\n"
    "'-' a picture or a video on standard input. What a model needs and what its outputs mean is in its file:\n"
    "tern info MODEL. Coordinates are pixels of the upright picture.\n";

std::vector<Option> options_of(std::initializer_list<Option> more) {
  std::vector<Option> list = {
      {"--out", "FILE", "writes the picture or video with what was found; for several pictures a folder"},
      {"--json", nullptr, "for programs: one line a picture or frame"},
      {"--min-score", "X", "least score, 0 to 1; the default is the model's"},
      {"--max", "N", "most results for a picture"}};
  list.insert(list.end(), more);
  list.insert(list.end(), {{"--threads", "N", "threads; the default is all CPUs"},
                           {"--backend", "NAME", "where to run, see tern devices"}});
  return list;
}

}  // namespace

const Command& detect_command() {
  static const Command command = {
      "detect",
      "MODEL PICTURE...|VIDEO",
      "finds objects: boxes, and masks or key points where the model gives them",
      kInputs,
      "  tern detect ssd.tern dog.jpg --out dog-boxes.png\n"
      "  tern detect ssd.tern holiday/ --out found/ --min-score 0.5\n"
      "  tern detect yolo.tern street.mp4 --out street-boxes.mp4\n"
      "  tern detect ssd.tern dog.jpg --json\n",
      options_of(
          {{"--max-overlap", "X", "IoU above which the lower of two boxes is dropped; the default is the model's"}}),
      2,
      -1,
      [](const Arguments& a) {
        return run(a, {"detect", {TERN_VISION_DETECTOR, TERN_VISION_KEYPOINTS}, "detector"});
      }};
  return command;
}

const Command& segment_command() {
  static const Command command = {
      "segment",
      "MODEL PICTURE...|VIDEO",
      "which pixels belong to what",
      kInputs,
      "  tern segment selfie.tern me.jpg --out me-marked.png\n"
      "  tern segment rooms.tern photos/ --mask classes/\n"
      "  tern segment yolo-seg.tern street.mp4 --out street-masks.mp4\n",
      options_of(
          {{"--mask", "FILE",
            "writes a grey PNG of the picture's size, for several a folder: the class of each pixel; of one mask "
            "how sure, 0 to 255; of things the number of the result, 1 = the first, 0 = none"}}),
      2,
      -1,
      [](const Arguments& a) {
        return run(a, {"segment", {TERN_VISION_SEGMENTER, TERN_VISION_DETECTOR}, "segmenter"});
      }};
  return command;
}

const Command& classify_command() {
  static const Command command = {"classify",
                                  "[DETECTOR] MODEL PICTURE...|VIDEO",
                                  "classes of pictures, or of each box that a detector finds",
                                  kInputs,
                                  "  tern classify mobilenet.tern dog.jpg\n"
                                  "  tern classify mobilenet.tern photos/ --max 1 --json\n",
                                  options_of({}),
                                  2,
                                  -1,
                                  [](const Arguments& a) {
                                    return run(a, {"classify", {TERN_VISION_CLASSIFIER}, "classifier"});
                                  }};
  return command;
}

const Command& pose_command() {
  static const Command command = {
      "pose",
      "[DETECTOR] KEYPOINTS PICTURE...|VIDEO",
      "finds persons, hands or faces and their key points",
      "DETECTOR finds them; without it the whole picture is taken for one. In a video they are followed from frame to "
      "frame.\nBoxes are the detector's, as a head or a palm, or without it those around the points.\n"
      "PICTURE is a JPEG, PNG or BMP file or a folder of them; VIDEO is a file that ffmpeg reads, camera:0 the first "
      "camera;\n"
      "'-' a picture or a video on standard input. Key points are in pixels of the upright picture.\n",
      "  tern pose persons.tern landmarks.tern yoga.jpg --out yoga-pose.png\n"
      "  tern pose persons.tern landmarks.tern dance.mp4 --out dance-pose.mp4 --smooth 0.05\n"
      "  tern pose persons.tern landmarks.tern yoga.jpg --json\n",
      options_of({{"--smooth", "HZ", "videos: least cut-off of the One-Euro filter of key points; 0.05 is usual"}}),
      2,
      -1,
      [](const Arguments& a) {
        return run(a, {"pose", {TERN_VISION_KEYPOINTS, TERN_VISION_DETECTOR}, "model of key points"});
      }};
  return command;
}

const Command& embed_command() {
  static const Command command = {"embed",
                                  "[DETECTOR] MODEL PICTURE...",
                                  "embeddings of pictures, or of each box that a detector finds",
                                  kInputs,
                                  "  tern embed mobilefacenet.tern faces/ --json\n",
                                  options_of({}),
                                  2,
                                  -1,
                                  [](const Arguments& a) {
                                    return run(a, {"embed", {TERN_VISION_EMBEDDER}, "embedder"});
                                  }};
  return command;
}

const Command& read_command() {
  static const Command command = {
      "read",
      "[DETECTION] RECOGNITION [DIRECTION] PICTURE...|VIDEO",
      "reads text",
      "DETECTION finds the lines; without it a picture is one line. DIRECTION says which are upside down. Models may "
      "come "
      "in any\norder. In pictures that --out writes, what is not ASCII or runs down stands as the number of its line.\n"
      "PICTURE is a JPEG, PNG or BMP file or a folder of them; VIDEO is a file that ffmpeg reads, camera:0 the first "
      "camera;\n'-' a picture or a video on standard input. Corners are pixels of the upright picture, from the "
      "text's\nown upper left clockwise.\n",
      "  tern read det.tern rec.tern cls.tern sign.jpg --out sign-text.png\n"
      "  tern import rec.onnx --labels characters.txt   # one a line\n"
      "  tern read det.tern rec.tern receipts/ --json\n",
      options_of({}),
      2,
      -1,
      [](const Arguments& a) {
        return run(a, {"read", {TERN_VISION_READER}, "reader of text"});
      }};
  return command;
}

}  // namespace tern::cli
