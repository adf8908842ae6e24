// SPDX-License-Identifier: Apache-2.0
// tern pose: persons and their key points in pictures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "cli/picture.h"

namespace tern::cli {
namespace {

constexpr float kSeen = 0.5f;  // least visibility of a key point that is drawn

void draw(const Photo& photo, const tern_pose* pose, const std::vector<tern_person>& persons) {
  const int32_t* pairs = nullptr;
  int32_t num = 0;
  std::vector<image::Limb> limbs;
  if (tern_pose_skeleton(pose, &pairs, &num) == TERN_OK)
    for (int32_t i = 0; i < num; ++i) limbs.push_back({pairs[2 * i], pairs[2 * i + 1]});
  for (size_t k = persons.size(); k-- > 0;) {
    const tern_person& p = persons[k];
    std::vector<image::Point> points;
    double x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
    for (int32_t i = 0; i < p.num_keypoints; ++i) {
      const tern_keypoint& q = p.keypoints[i];
      const bool seen = q.visibility >= kSeen;
      points.push_back(seen ? image::Point{q.x, q.y} : image::Point{NAN, NAN});
      if (!seen) continue;
      x0 = std::min<double>(x0, q.x), y0 = std::min<double>(y0, q.y);
      x1 = std::max<double>(x1, q.x), y1 = std::max<double>(y1, q.y);
    }
    // Lines and dots as large as the person, not the picture, asks for.
    image::DrawStyle style = image::draw_style(photo.width, photo.height);
    const double scale = std::clamp(std::max(x1 - x0, y1 - y0) / (0.6 * std::max(photo.width, photo.height)), 0.6, 1.0);
    style.line *= scale;
    style.dot *= scale;
    image::draw_skeleton(photo.canvas(), points, limbs, style, image::palette_colour((int64_t)k));
  }
}

int run(const Arguments& a) {
  Handle<tern_context> context;
  Handle<tern_model> models[2];
  tern_pose_options options = TERN_POSE_OPTIONS_INIT;
  double min_score = 0;
  int64_t most = 0;
  if (!a.real("--min-score", 0, 1, &min_score) || !a.number("--max", 1, 1000, &most)) return kUsage;
  options.min_score = (float)min_score;
  options.max_persons = (int32_t)most;
  options.backends = a.value("--backend");
  // One model or two, then pictures.
  const size_t num_models =
      a.words().size() > 2 && (has_suffix(a.words()[1], ".tern") || is_model_file(a.words()[1])) ? 2 : 1;
  std::vector<std::string> paths;
  Album album;
  if (!find_photos(a.words(), num_models, &paths)) return kNotFound;
  if (!album.open(a.value("--out"), paths)) return kUsage;
  if (const int code = make_context(a, &context)) return code;
  for (size_t i = 0; i < num_models; ++i)
    if (const int code = load_model(context.get(), a.words()[i], 0, &models[i])) return code;
  // Whatever their order.
  const char* task = num_models == 2 ? tern_model_find_metadata(models[0].get(), "task") : nullptr;
  if (task && std::strcmp(task, "pose_landmarks") == 0) std::swap(models[0], models[1]);
  tern_pose* made = nullptr;
  const tern_model* detector = num_models == 2 ? models[0].get() : nullptr;
  const tern_model* landmarks = models[num_models - 1].get();
  if (const tern_status s = tern_pose_create(detector, landmarks, &options, &made))
    return report(s, a.words()[num_models - 1]);
  const Handle<tern_pose> pose(made);

  const bool json = a.has("--json");
  Json j;
  j.begin_object().add("model", a.words()[num_models - 1]).begin_list("pictures");
  std::vector<tern_person> persons(most ? (size_t)most : 16);
  const int code = for_each_photo(paths, [&](size_t i, const Photo& photo) -> int {
    const tern_picture picture = photo.view();
    const double begin = now_seconds();
    int32_t count = 0;
    if (const tern_status s = tern_pose_run(pose.get(), &picture, persons.data(), (int32_t)persons.size(), &count))
      return report(s, paths[i]);
    const double ms = (now_seconds() - begin) * 1e3;
    const std::vector<tern_person> list(persons.begin(),
                                        persons.begin() + std::min<ptrdiff_t>(count, (ptrdiff_t)persons.size()));
    j.begin_object()
        .add("picture", paths[i])
        .add("width", photo.width)
        .add("height", photo.height)
        .add("milliseconds", ms)
        .begin_list("persons");
    for (const auto& p : list) {
      j.begin_object()
          .add("score", (double)p.score)
          .add_numbers("box", {p.x0, p.y0, p.x1, p.y1})
          .begin_list("keypoints");
      for (int32_t k = 0; k < p.num_keypoints; ++k) {
        const tern_keypoint& q = p.keypoints[k];
        j.begin_object()
            .add("name", tern_pose_keypoint_name(pose.get(), k))
            .add_numbers("at", {q.x, q.y, q.z})
            .add("visibility", (double)q.visibility)
            .end();
      }
      j.end().end();
    }
    j.end();
    if (album.wanted()) {
      draw(photo, pose.get(), list);
      if (!write_photo(album.target(i), photo)) return kNoResource;
      j.add("annotated", album.target(i));
    }
    j.end();
    if (json) return kDone;
    if (paths.size() > 1) progress("%s", "");
    std::printf("%s: %zu person%s, %.1f ms%s%s\n", paths[i].c_str(), list.size(), list.size() == 1 ? "" : "s", ms,
                album.wanted() ? " -> " : "", album.wanted() ? album.target(i).c_str() : "");
    for (const auto& p : list) {
      const auto seen = std::count_if(p.keypoints, p.keypoints + p.num_keypoints,
                                      [](const tern_keypoint& q) { return q.visibility >= kSeen; });
      std::printf("  person %3.0f %%  left %.0f, top %.0f, right %.0f, bottom %.0f; %lld of %d key points seen\n",
                  (double)p.score * 100, (double)p.x0, (double)p.y0, (double)p.x1, (double)p.y1, (long long)seen,
                  p.num_keypoints);
    }
    return kDone;
  });
  if (json) j.print();
  return code;
}

}  // namespace

const Command& pose_command() {
  static const Command command = {
      "pose",
      "[DETECTOR] LANDMARKS PICTURE...",
      "finds persons and their key points in pictures",
      "DETECTOR finds the persons; without it the whole picture is taken for one. PICTURE is a JPEG, PNG or BMP file "
      "or a\n"
      "folder of them. Key points are in pixels of the upright picture.\n",
      "  tern pose persons.tern landmarks.tern yoga.jpg --out yoga-pose.png\n"
      "  tern pose persons.tern landmarks.tern yoga.jpg --json\n",
      {{"--out", "PICTURE", "writes the picture with skeletons, as .png or .jpg; for several pictures a folder"},
       {"--json", nullptr, "for programs"},
       {"--min-score", "X", "least score of a person, 0 to 1; the default is the model's"},
       {"--max", "N", "most persons for a picture"},
       {"--threads", "N", "threads; the default is all CPUs"},
       {"--backend", "NAME", "where to run, see tern devices"}},
      2,
      -1,
      run};
  return command;
}

}  // namespace tern::cli
