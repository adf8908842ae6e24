// SPDX-License-Identifier: Apache-2.0
// tern detect: objects in pictures.
#include <algorithm>
#include <cstdio>

#include "cli/picture.h"

namespace tern::cli {
namespace {

std::string label_text(const tern_detector* detector, const tern_detection& d) {
  const char* name = tern_detector_label(detector, d.label);
  return name && *name ? printable(name, 60) : "class " + std::to_string(d.label);
}

void draw(const Photo& photo, const tern_detector* detector, const std::vector<tern_detection>& found) {
  const image::Canvas canvas = photo.canvas();
  const image::DrawStyle style = image::draw_style(photo.width, photo.height);
  // The best last, so that it lies on top; labels above all boxes.
  for (size_t i = found.size(); i-- > 0;)
    image::draw_box(canvas, {found[i].x0, found[i].y0, found[i].x1, found[i].y1}, style.line,
                    image::palette_colour(found[i].label));
  for (size_t i = found.size(); i-- > 0;) {
    char percent[16];
    std::snprintf(percent, sizeof percent, " %.0f%%", (double)found[i].score * 100);
    const std::string text = label_text(detector, found[i]) + percent;
    const image::Box box = {found[i].x0, found[i].y0, found[i].x1, found[i].y1};
    // Small boxes stand close together: smaller letters for them.
    image::DrawStyle own = style;
    own.glyph *= std::clamp(1.5 * (box.x1 - box.x0) / image::text_width(text.c_str(), style.glyph), 0.6, 1.0);
    image::draw_label(canvas, box, text.c_str(), own, image::palette_colour(found[i].label));
  }
}

int run(const Arguments& a) {
  Handle<tern_context> context;
  Handle<tern_model> model;
  tern_detector_options options = TERN_DETECTOR_OPTIONS_INIT;
  double min_score = 0, max_overlap = 0;
  int64_t most = 0;
  if (!a.real("--min-score", 0, 1, &min_score) || !a.real("--max-overlap", 0, 1, &max_overlap) ||
      !a.number("--max", 1, 10000, &most))
    return kUsage;
  options.min_score = (float)min_score;
  options.max_overlap = (float)max_overlap;
  options.max_detections = (int32_t)most;
  options.backends = a.value("--backend");
  std::vector<std::string> paths;
  Album album;
  if (!find_photos(a.words(), 1, &paths)) return kNotFound;
  if (!album.open(a.value("--out"), paths)) return kUsage;
  if (const int code = make_context(a, &context)) return code;
  if (const int code = load_model(context.get(), a.words()[0], 0, &model)) return code;
  tern_detector* made = nullptr;
  if (const tern_status s = tern_detector_create(model.get(), &options, &made)) return report(s, a.words()[0]);
  const Handle<tern_detector> detector(made);

  const bool json = a.has("--json");
  Json j;
  j.begin_object().add("model", a.words()[0]).begin_list("pictures");
  std::vector<tern_detection> found(most ? (size_t)most : 100);
  const int code = for_each_photo(paths, [&](size_t i, const Photo& photo) -> int {
    const tern_picture picture = photo.view();
    const double begin = now_seconds();
    int32_t count = 0;
    found.resize(std::max<size_t>(found.size(), 100));
    tern_status s = tern_detector_run(detector.get(), &picture, found.data(), (int32_t)found.size(), &count);
    if (s == TERN_OK && (size_t)count > found.size()) {
      found.resize((size_t)count);
      s = tern_detector_run(detector.get(), &picture, found.data(), (int32_t)found.size(), &count);
    }
    if (s != TERN_OK) return report(s, paths[i]);
    const double ms = (now_seconds() - begin) * 1e3;
    std::vector<tern_detection> list(found.begin(),
                                     found.begin() + std::min<ptrdiff_t>(count, (ptrdiff_t)found.size()));
    j.begin_object()
        .add("picture", paths[i])
        .add("width", photo.width)
        .add("height", photo.height)
        .add("milliseconds", ms)
        .begin_list("detections");
    for (const auto& d : list) {
      j.begin_object().add("label", label_text(detector.get(), d)).add("class", d.label).add("score", (double)d.score);
      j.add_numbers("box", {d.x0, d.y0, d.x1, d.y1}).end();
    }
    j.end();
    if (album.wanted()) {
      draw(photo, detector.get(), list);
      if (!write_photo(album.target(i), photo)) return kNoResource;
      j.add("annotated", album.target(i));
    }
    j.end();
    if (json) return kDone;
    if (paths.size() > 1) progress("%s", "");
    std::printf("%s: %zu object%s, %.1f ms%s%s\n", paths[i].c_str(), list.size(), list.size() == 1 ? "" : "s", ms,
                album.wanted() ? " -> " : "", album.wanted() ? album.target(i).c_str() : "");
    for (const auto& d : list)
      std::printf("  %-20s %3.0f %%  left %.0f, top %.0f, right %.0f, bottom %.0f\n",
                  label_text(detector.get(), d).c_str(), (double)d.score * 100, (double)d.x0, (double)d.y0,
                  (double)d.x1, (double)d.y1);
    return kDone;
  });
  if (json) j.print();
  return code;
}

}  // namespace

const Command& detect_command() {
  static const Command command = {
      "detect",
      "FILE PICTURE...",
      "finds objects in pictures",
      "PICTURE is a JPEG, PNG or BMP file or a folder of them. Boxes are in pixels of the upright picture.\n"
      "Sizes, anchors, labels and thresholds are in the model file.\n",
      "  tern detect ssd.tern dog.jpg --out dog-boxes.png\n"
      "  tern detect ssd.tern holiday/ --out found/ --min-score 0.5\n"
      "  tern detect ssd.tern dog.jpg --json\n",
      {{"--out", "PICTURE", "writes the picture with boxes, as .png or .jpg; for several pictures a folder"},
       {"--json", nullptr, "for programs"},
       {"--min-score", "X", "least score, 0 to 1; the default is the model's"},
       {"--max-overlap", "X", "IoU above which the lower of two boxes is dropped; the default is the model's"},
       {"--max", "N", "most objects for a picture"},
       {"--threads", "N", "threads; the default is all CPUs"},
       {"--backend", "NAME", "where to run, see tern devices"}},
      2,
      -1,
      run};
  return command;
}

}  // namespace tern::cli
