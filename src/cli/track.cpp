// SPDX-License-Identifier: Apache-2.0
// tern track: who is who in a video, or in a list of boxes.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

#include "cli/lanes.h"
#include "cli/track_metrics.h"

namespace tern::cli {
namespace {

bool read_options(const Arguments& a, tern_tracker_options* o) {
  const char* method = a.value("--method");
  constexpr const char* kMethods[] = {"byte", "ocsort", "botsort"};  // by number
  if (method) {
    o->method = -1;
    for (int32_t i = 0; i < 3; ++i)
      if (std::strcmp(method, kMethods[i]) == 0) o->method = i;
    if (o->method < 0) return complain("--method is '%s', allowed are byte, ocsort and botsort", method), false;
  }
  o->across_labels = a.has("--across-labels");
  const struct {
    const char* name;
    float* value;
    double most;
  } numbers[] = {{"--high-score", &o->high_score, 1},   {"--low-score", &o->low_score, 1},
                 {"--new-score", &o->new_score, 1},     {"--min-overlap", &o->min_overlap, 1},
                 {"--frame-rate", &o->frame_rate, 1e4}, {"--max-lost", &o->max_lost, 1e5}};
  for (const auto& n : numbers) {
    double value = 0;
    if (!a.real(n.name, 0, n.most, &value)) return false;
    *n.value = (float)value;
  }
  return true;
}

// camera: [2][3], or NULL; seen: what the boxes are of, with their embeddings if there are
tern_status update(tern_tracker* tracker, const std::vector<tern_detection>& found, const float* camera,
                   std::vector<tern_track>* tracks, const tern_vision_result* seen = nullptr) {
  tern_track_frame frame = TERN_TRACK_FRAME_INIT;
  if (seen && seen->embeddings) frame.embeddings = seen->embeddings, frame.embedding_size = seen->embedding_size;
  frame.num_detections = (int32_t)found.size();
  frame.detections = found.data();
  frame.camera = camera;
  tracks->resize(found.size());
  int32_t count = 0;
  const tern_status s = tern_tracker_update(tracker, &frame, tracks->data(), (int32_t)tracks->size(), &count);
  tracks->resize(s == TERN_OK ? (size_t)count : 0);
  return s;
}

void append_mot(size_t frame, const std::vector<tern_track>& tracks, std::string* out) {
  char row[256];
  for (const tern_track& t : tracks) {
    std::snprintf(row, sizeof row, "%zu,%lld,%.2f,%.2f,%.2f,%.2f,%.4f,-1,-1,-1\n", frame, (long long)t.id, (double)t.x0,
                  (double)t.y0, (double)(t.x1 - t.x0), (double)(t.y1 - t.y0), (double)t.score);
    *out += row;
  }
}

void append_frame(const std::vector<tern_track>& tracks, size_t frame, MotFrames* out) {
  out->resize(frame);
  for (const tern_track& t : tracks)
    out->back().push_back({t.id, t.x0, t.y0, t.x1 - t.x0, t.y1 - t.y0, t.score, t.label});
}

// ---- scores ----

void print_scores(const TrackScores& s, bool json) {
  if (json) {
    Json j;
    j.begin_object().begin_object("scores");
    j.add("HOTA", s.hota()).add("DetA", s.det_a()).add("AssA", s.ass_a()).add("MOTA", s.mota()).add("MOTP", s.motp());
    j.add("IDF1", s.idf1()).add("IDSW", s.switches).add("Frag", s.fragments);
    j.add("MT", s.mostly_tracked).add("ML", s.mostly_lost).add("TP", s.tp).add("FP", s.fp).add("FN", s.fn);
    j.add("IDTP", s.id_tp).add("IDFP", s.id_fp).add("IDFN", s.id_fn);
    j.end().end().print();
    return;
  }
  std::printf("HOTA %.2f %% (DetA %.2f, AssA %.2f), MOTA %.2f %%, IDF1 %.2f %%, MOTP %.2f %%\n", 100 * s.hota(),
              100 * s.det_a(), 100 * s.ass_a(), 100 * s.mota(), 100 * s.idf1(), 100 * s.motp());
  std::printf(
      "%lld of %lld boxes found, %lld wrong, %lld switches of identity, %lld gaps; of %lld identities %lld are "
      "mostly tracked, %lld mostly lost\n",
      (long long)s.tp, (long long)s.truths, (long long)s.fp, (long long)s.switches, (long long)s.fragments,
      (long long)s.truth_ids, (long long)s.mostly_tracked, (long long)s.mostly_lost);
}

int check_truths(const Arguments& a, size_t inputs, std::vector<MotFrames>* truths) {
  for (const std::string& path : a.values("--evaluate")) {
    MotFrames frames;
    if (!read_mot(path, &frames)) return bad_file_code(path);
    truths->push_back(std::move(frames));
  }
  if (truths->empty() || truths->size() == inputs) return kDone;
  complain("--evaluate names %zu files for %zu inputs", truths->size(), inputs);
  return kUsage;
}

// ---- lists of boxes ----

int track_lists(const Arguments& a, const tern_tracker_options& options) {
  const std::vector<std::string>& paths = a.words();
  std::vector<MotFrames> truths;
  if (const int code = check_truths(a, paths.size(), &truths)) return code;
  if (a.value("--out") || a.has("--plain")) return complain("--out and --plain are for videos"), kUsage;
  const char* out = a.value("--mot");
  const bool as_is = a.has("--as-is");
  if (out && paths.size() > 1) return complain("--mot is for one input"), kUsage;
  if (out && is_same_file(paths[0], out)) return complain("--mot %s is the input itself", out), kUsage;
  if (as_is && truths.empty()) return complain("--as-is needs --evaluate"), kUsage;
  tern_tracker* made = nullptr;
  if (const tern_status s = tern_tracker_create(&options, &made)) return report(s, "track");
  const Handle<tern_tracker> tracker(made);
  TrackScores all;
  std::string text;
  interrupt();
  for (size_t i = 0; i < paths.size(); ++i) {
    MotFrames boxes;
    if (!read_mot(paths[i], &boxes)) return bad_file_code(paths[i]);
    MotFrames tracked;
    const double begin = now_seconds();
    if (as_is) {
      tracked = std::move(boxes);
    } else {
      tern_tracker_reset(tracker.get());
      std::vector<tern_detection> found;
      std::vector<tern_track> tracks;
      for (size_t f = 0; f < boxes.size(); ++f) {
        if (interrupted()) return complain("interrupted"), kInterrupted;
        found.clear();
        for (const MotBox& b : boxes[f])
          found.push_back({(float)b.x, (float)b.y, (float)(b.x + b.width), (float)(b.y + b.height), (float)b.score, 0});
        if (const tern_status s = update(tracker.get(), found, nullptr, &tracks))
          return report(s, paths[i] + ", frame " + std::to_string(f + 1));
        append_frame(tracks, f + 1, &tracked);
        append_mot(f + 1, tracks, &text);
      }
    }
    const double seconds = now_seconds() - begin;
    if (!truths.empty()) all.add(evaluate_tracks(truths[i], tracked));
    if (!a.has("--json") && !as_is) {
      std::map<int64_t, int64_t> ids;
      for (const auto& frame : tracked)
        for (const MotBox& b : frame) ++ids[b.id];
      std::printf("%s: %zu frames, %zu identities, %.0f frames/s\n", paths[i].c_str(), tracked.size(), ids.size(),
                  (double)tracked.size() / std::max(seconds, 1e-9));
    }
  }
  if (out && !write_whole_file(out, "", text.data(), text.size())) return kNoResource;
  if (!truths.empty()) print_scores(all, a.has("--json"));
  return kDone;
}

// ---- videos ----

// Where somebody was in the last second and a half.
using Trails = std::map<int64_t, std::vector<std::pair<double, image::Point>>>;
constexpr double kTrail = 1.5;
constexpr unsigned char kGround = 245;  // of --plain, a light grey

// A way without the shaking of the boxes: means over up to five points, the ends as they are.
image::Point smooth(const std::vector<std::pair<double, image::Point>>& points, size_t i) {
  const size_t reach = std::min({i, points.size() - 1 - i, size_t(2)});
  image::Point sum = {0, 0};
  for (size_t k = i - reach; k <= i + reach; ++k) sum.x += points[k].second.x, sum.y += points[k].second.y;
  const double n = 2.0 * (double)reach + 1;
  return {sum.x / n, sum.y / n};
}

// Labels that do not cover the numbers of those drawn before: above the box, below it, or as high above it as it takes;
// on top of the box if all this fails.
class LabelPlaces {
 public:
  image::Box find(const image::Canvas& canvas, const image::Box& box, const char* text, const image::DrawStyle& style) {
    const image::Box first = image::label_box(canvas, box, text, style);
    const double height = first.y1 - first.y0, width = first.x1 - first.x0, below = box.y1 + height + style.line;
    const image::Box places[] = {box,
                                 {box.x0, below, box.x1, below},
                                 {box.x1 - width + style.line, box.y0, box.x1, box.y1},
                                 {box.x0, box.y0 - height, box.x1, box.y1},
                                 {box.x0, box.y0 - 2 * height, box.x1, box.y1}};
    for (const image::Box& place : places) {
      const image::Box tag = image::label_box(canvas, place, text, style);
      if (std::none_of(taken_.begin(), taken_.end(), [&](const image::Box& t) {
            return t.x0 < tag.x1 && tag.x0 < t.x0 + 0.75 * (t.x1 - t.x0) && t.y0 < tag.y1 && tag.y0 < t.y1;
          })) {
        taken_.push_back(tag);
        return place;
      }
    }
    taken_.push_back(first);
    return box;
  }

 private:
  std::vector<image::Box> taken_;
};

void draw(const Photo& photo, const tern_vision* detector, const std::vector<tern_track>& tracks, double time,
          Trails* trails) {
  const image::Canvas canvas = photo.canvas();
  const image::DrawStyle style = image::draw_style(photo.width, photo.height);
  for (const tern_track& t : tracks) (*trails)[t.id].push_back({time, {(t.x0 + t.x1) / 2.0, (double)t.y1}});
  for (auto it = trails->begin(); it != trails->end();) {
    auto& points = it->second;
    std::erase_if(points, [&](const auto& p) { return time - p.first > kTrail; });
    for (size_t i = 1; i < points.size(); ++i)
      image::draw_line(canvas, smooth(points, i - 1), smooth(points, i),
                       style.line * (1 - 0.8 * (time - points[i].first) / kTrail), image::palette_colour(it->first));
    it = points.empty() ? trails->erase(it) : std::next(it);
  }
  for (const tern_track& t : tracks)
    image::draw_box(canvas, {t.x0, t.y0, t.x1, t.y1}, style.line, image::palette_colour(t.id));
  LabelPlaces places;
  for (const tern_track& t : tracks) {
    const char* name = tern_vision_label(detector, t.label);
    const std::string text = std::to_string(t.id) + (name && *name ? " " + printable(name, 60) : "");
    image::DrawStyle own = style;
    own.glyph *= std::clamp(1.5 * (t.x1 - t.x0) / image::text_width(text.c_str(), style.glyph), 0.6, 1.0);
    const image::Box place = places.find(canvas, {t.x0, t.y0, t.x1, t.y1}, text.c_str(), own);
    image::draw_label(canvas, place, text.c_str(), own, image::palette_colour(t.id));
  }
}

void print_json(size_t frame, double time, const tern_vision* detector, const std::vector<tern_track>& tracks) {
  std::printf("{\"frame\": %zu, \"time\": %.4f, \"tracks\": [", frame, time);
  for (size_t i = 0; i < tracks.size(); ++i) {
    const tern_track& t = tracks[i];
    const char* name = tern_vision_label(detector, t.label);
    std::printf("%s{\"id\": %lld, \"label\": %s, \"class\": %d, \"score\": %.4f, \"box\": [%.2f, %.2f, %.2f, %.2f]}",
                i ? ", " : "", (long long)t.id, json_string(name ? name : "").c_str(), t.label, (double)t.score,
                (double)t.x0, (double)t.y0, (double)t.x1, (double)t.y1);
  }
  std::printf("]}\n");
}

int track_video(const Arguments& a, tern_tracker_options options) {
  if (a.has("--as-is")) return complain("--as-is is for lists of boxes"), kUsage;
  if (a.has("--plain") && !a.value("--out")) return complain("--plain needs --out"), kUsage;
  std::vector<MotFrames> truths;
  if (const int code = check_truths(a, 1, &truths)) return code;
  double min_score = 0.1;
  if (!a.real("--min-score", 0, 1, &min_score)) return kUsage;
  Handle<tern_context> context;
  std::vector<Handle<tern_model>> models;
  if (const int code = make_context(a, &context, nullptr, true)) return code;
  if (const int code = load_models(context.get(), a, &models)) return code;
  if (a.words().size() != models.size() + 1) return complain("models are followed by one video"), kUsage;
  const std::string& path = a.words().back();
  const char* out = a.value("--out");
  const bool still = out && names_picture(out);
  if (out && !still && !names_video(out))
    return complain("--out %s: a video ends in .mp4, .avi, .mkv, ..., a picture in .png or .jpg", out), kUsage;
  for (const char* option : {"--out", "--mot"})
    if (const char* target = a.value(option); target && is_same_file(path, target))
      return complain("%s %s is the video itself", option, target), kUsage;
  tern_vision_options find = TERN_VISION_OPTIONS_INIT;
  find.min_score = (float)min_score;
  find.backends = a.value("--backend");
  tern_vision* made_detector = nullptr;
  std::vector<tern_model*> pointers;
  for (const auto& m : models) pointers.push_back(m.get());
  if (const tern_status s = tern_vision_create(pointers.data(), (int32_t)pointers.size(), &find, &made_detector))
    return report(s, a.words()[models.size() - 1]);
  const Handle<tern_vision> detector(made_detector);
  if (models.size() == 1 && tern_vision_get_kind(made_detector) != TERN_VISION_DETECTOR)
    return complain("%s is no detector: it finds no boxes to track", a.words()[0].c_str()), kUsage;
  VideoReader video;
  if (!video.open(path)) return bad_file_code(path);
  if (options.frame_rate == 0) options.frame_rate = (float)video.frame_rate();
  tern_tracker* made = nullptr;
  if (const tern_status s = tern_tracker_create(&options, &made)) return report(s, "track");
  const Handle<tern_tracker> tracker(made);
  tern_camera_motion* made_motion = nullptr;
  if (a.has("--camera-motion"))
    if (const tern_status s = tern_camera_motion_create(nullptr, &made_motion)) return report(s, "track");
  const Handle<tern_camera_motion> motion(made_motion);

  VideoWriter writer;
  writer.want(still ? nullptr : out, video.frame_rate());
  Photo last;
  std::string text;
  MotFrames tracked;
  Trails trails;
  std::map<int64_t, int64_t> ids;
  float best = 0;
  std::vector<tern_detection> found;
  std::vector<tern_track> tracks;
  FrameClock clock(video.frames());
  const int code = for_each_frame(video, writer, &clock, [&](Photo& photo, Lane& output) -> int {
    const size_t frame = (size_t)clock.count() + 1;
    const double time = (double)clock.count() / video.frame_rate();
    const tern_picture picture = photo.view();
    const tern_vision_result* result = nullptr;
    tern_run_options cancel = TERN_RUN_OPTIONS_INIT;
    cancel.cancel = interrupt();
    tern_status s = tern_vision_run(detector.get(), &picture, 1, &cancel, &result);
    if (s == TERN_ERR_CANCELLED && interrupted()) return kInterrupted;
    if (s == TERN_OK) found.assign(result->detections, result->detections + result->num_detections);
    float camera[6];
    if (s == TERN_OK && motion)
      s = tern_camera_motion_update(motion.get(), &picture, found.data(), (int32_t)found.size(), camera, nullptr);
    if (s == TERN_OK) s = update(tracker.get(), found, motion ? camera : nullptr, &tracks, result);
    if (s != TERN_OK) return report(s, path + ", frame " + std::to_string(frame));
    for (const tern_track& t : tracks) ++ids[t.id];
    for (const tern_detection& d : found) best = std::max(best, d.score);
    append_mot(frame, tracks, &text);
    if (!truths.empty()) append_frame(tracks, frame, &tracked);
    if (a.has("--json")) print_json(frame, time, detector.get(), tracks);
    if (!out) return kDone;
    const bool plain = a.has("--plain");
    const bool good = output.add([&, plain, time, tracks, shown = std::make_shared<Photo>(std::move(photo))] {
      if (plain) std::fill_n(shown->rgb.get(), (size_t)shown->width * (size_t)shown->height * 3, kGround);
      draw(*shown, detector.get(), tracks, time, &trails);
      if (!still) return writer.add(*shown);
      last = std::move(*shown);
      return true;
    });
    return good ? kDone : kNoResource;
  });
  if (last.rgb && !write_photo(out, last)) return kNoResource;
  if (const char* mot = a.value("--mot"))
    if (!write_whole_file(mot, "", text.data(), text.size())) return kNoResource;
  if (!a.has("--json"))
    std::printf("%s: %lld frames, %zu identities, %.1f frames/s%s%s\n", path.c_str(), (long long)clock.count(),
                ids.size(), clock.rate(), out ? " -> " : "", out ? out : "");
  if (ids.empty() && best > 0 && !a.has("--json"))
    std::printf("  no box reached the score that begins a track; the best had %.2f: try --high-score %.1f\n",
                (double)best, std::max(0.1, std::floor(10 * (double)best - 1) / 10));
  if (code == kDone && !truths.empty()) print_scores(evaluate_tracks(truths[0], tracked), a.has("--json"));
  return code;
}

int run(const Arguments& a) {
  tern_tracker_options options = TERN_TRACKER_OPTIONS_INIT;
  if (!read_options(a, &options)) return kUsage;
  if (a.has("--camera-motion") && (options.method != TERN_TRACK_BOTSORT || !is_model_file(a.words()[0])))
    return complain("--camera-motion is for videos and the method botsort"), kUsage;
  return is_model_file(a.words()[0]) ? track_video(a, options) : track_lists(a, options);
}

}  // namespace

const Command& track_command() {
  static const Command command = {
      "track",
      "MODEL... VIDEO | BOXES...",
      "who is who in a video, or in lists of boxes",
      "MODEL finds objects (see tern detect); one that embeds them may follow, for botsort. VIDEO is a file that "
      "ffmpeg\n"
      "reads, '-' one on standard input, camera:0 the first camera. BOXES is a text of lines\n"
      "\"frame,id,left,top,width,height,score\" (MOTChallenge), frames from 1; the ids are not looked at.\n"
      "Methods: byte (ByteTrack), ocsort (Observation-Centric SORT) and botsort (BoT-SORT), with\n"
      "their authors' numbers.\n",
      "  tern track ssd.tern street.mp4 --out tracked.mp4\n"
      "  tern track ssd.tern street.mp4 --json\n"
      "  tern track det.txt --mot tracks.txt --evaluate gt.txt\n"
      "  tern track tracks.txt --as-is --evaluate gt.txt\n",
      {{"--out", "FILE", "writes the video with boxes, numbers and trails; of a .png or .jpg the last frame"},
       {"--plain", nullptr, "with --out: on a plain ground, without the people and places of the video"},
       {"--mot", "FILE", "writes the tracks, as BOXES are"},
       {"--json", nullptr, "for programs: one line a frame"},
       {"--evaluate", "FILE", "compares with the truth, as BOXES are, one file for each input: HOTA, MOTA, IDF1"},
       {"--as-is", nullptr, "the boxes have their ids already: only compares"},
       {"--method", "NAME", "byte, ocsort or botsort; the default is byte"},
       {"--camera-motion", nullptr, "follows a camera that moves, by its pictures; for a video and botsort"},
       {"--min-score", "X", "least score of a box that the model finds; the default is 0.1"},
       {"--high-score", "X", "boxes above it are matched first; the default is 0.6"},
       {"--low-score", "X",
        "boxes between this and the high score are matched to what is left; the default is 0.1 for "
        "byte, none for ocsort"},
       {"--new-score", "X", "least score of a new track; the default is 0.1 above the high score, and that for ocsort"},
       {"--min-overlap", "X",
        "least IoU of a track and its box; the default is 0.1 for byte (times the score), 0.3 for "
        "ocsort"},
       {"--frame-rate", "X", "frames a second; the default is the video's, 30 for lists"},
       {"--max-lost", "S", "seconds after which a track that is not seen ends; the default is 1"},
       {"--across-labels", nullptr, "a track may change its label"},
       {"--threads", "N", "threads; the default is all CPUs"},
       {"--backend", "NAME", "where to run, see tern devices"}},
      1,
      -1,
      run};
  return command;
}

}  // namespace tern::cli
