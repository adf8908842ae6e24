// SPDX-License-Identifier: Apache-2.0
#include "tasks/vision.h"

#include <algorithm>
#include <numeric>

namespace tern {

void ResultLists::begin(image::Size size) {
  *this = {};
  width = size.width, height = size.height;
}

void ResultLists::add_detection(const image::Box& b, float score, int32_t label) {
  const auto x = [&](double v) { return (float)std::clamp(v, 0.0, (double)width); };
  const auto y = [&](double v) { return (float)std::clamp(v, 0.0, (double)height); };
  detections.push_back({x(b.x0), y(b.y0), x(b.x1), y(b.y1), score, label});
}

namespace {

// Whether the detector finds what the other model looks into: their metadata say so, or else their labels may tell.
tern_status check_pair(const Context& context, TaskNetwork& finds, TaskNetwork& looks) {
  const std::string finds_of = finds.metadata().text("region.of"), looks_of = looks.metadata().text("region.of");
  if (!finds_of.empty() && !looks_of.empty()) {
    if (finds_of == looks_of) return TERN_OK;
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "the models do not go together: the detector finds '%.60s', the other one looks into '%.60s' "
                     "(metadata 'region.of')",
                     finds_of.c_str(), looks_of.c_str());
  }
  // Classes and embeddings may be of anything that is found; key points are those of one kind of thing.
  if (looks.metadata().task() != Task::keypoints) return TERN_OK;
  const auto words_of = [](TaskNetwork& n, const std::string& of) {
    std::vector<std::string> words = n.labels();
    if (!of.empty()) words.push_back(of);
    return words;
  };
  const std::vector<std::string> found = words_of(finds, finds_of), wanted = words_of(looks, looks_of);
  for (const std::string& a : found)
    for (const std::string& b : wanted)
      if (a.find(b) != std::string::npos || b.find(a) != std::string::npos) return TERN_OK;
  if (!found.empty() && !wanted.empty())
    const_cast<Context&>(context).log(
        1,
        "the detector finds '%.60s'%s, the model of key points looks into '%.60s'%s: they "
        "may not belong together (metadata 'region.of' of both says so)",
        found[0].c_str(), found.size() > 1 ? ", ..." : "", wanted[0].c_str(), wanted.size() > 1 ? ", ..." : "");
  return TERN_OK;
}

bool is_text(Task task) {
  return task == Task::text_detector || task == Task::text_direction || task == Task::text_recognizer;
}
}  // namespace

tern_status Vision::create_text(std::span<TaskNetwork> networks, const std::string& words, const VisionOptions& options,
                                Vision* out) {
  TaskNetwork *detector = nullptr, *recognizer = nullptr, *direction = nullptr;
  bool good = true;
  for (TaskNetwork& n : networks) {
    const Task task = n.metadata().task();
    TaskNetwork*& place = task == Task::text_detector     ? detector
                          : task == Task::text_recognizer ? recognizer
                                                          : direction;
    good = good && is_text(task) && !place;
    place = &n;
  }
  if (!good || (direction && !recognizer))
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "models of the tasks %s do not go together", words.c_str());
  if (options.follow)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "TERN_VISION_FOLLOW is for key points, the task is %s", words.c_str());
  out->kind_ = recognizer ? TERN_VISION_READER : TERN_VISION_DETECTOR;
  if (detector) {
    if (!recognizer) out->labels_ = detector->labels();
    TERN_TRY(TextFinder::create(std::move(*detector), options, recognizer != nullptr, &out->text_finder_));
  }
  if (recognizer)
    TERN_TRY(TextReader::create(std::move(*recognizer),
                                direction ? std::make_unique<TaskNetwork>(std::move(*direction)) : nullptr, options,
                                &out->text_reader_));
  return TERN_OK;
}

tern_status Vision::read(const image::Picture& picture, const RunControl& control, ResultLists* lists) {
  const float w = (float)lists->width, h = (float)lists->height;
  text_boxes_ = {{{{0, 0}, {w, 0}, {w, h}, {0, h}}, 1}};  // without a detector all of it is one line
  if (text_finder_) TERN_TRY(text_finder_->run(picture, control, &text_boxes_));
  if (text_reader_) return text_reader_->run(picture, text_boxes_, !text_finder_, control, lists);
  for (const size_t i : reading_order(text_boxes_)) add_text_box(text_boxes_[i], text_boxes_[i].score, lists);
  return TERN_OK;
}

tern_status Vision::create(std::span<const Model* const> models, const VisionOptions& options,
                           std::unique_ptr<Vision>* out) {
  auto v = std::make_unique<Vision>();
  v->options_ = options;
  std::vector<TaskNetwork> networks(models.size());
  std::string words;
  bool text = false;
  for (size_t i = 0; i < models.size(); ++i) {
    TERN_TRY(TaskNetwork::create(*models[i], options.backends, &networks[i]));
    const TaskMetadata& m = networks[i].metadata();
    words += (words.empty() ? "" : " + ") + m.text("task");
    text = text || is_text(m.task());
  }
  if (text) {
    TERN_TRY(create_text(networks, words, options, v.get()));
    return *out = std::move(v), TERN_OK;
  }
  for (TaskNetwork& network : networks) {
    const Task task = network.metadata().task();
    const bool finds = task == Task::detector;
    if (finds ? (bool)v->finder_ : (bool)v->describer_)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "models of the tasks %s do not go together", words.c_str());
    switch (task) {
      case Task::detector: TERN_TRY(BoxFinder::create(std::move(network), options, &v->finder_)); break;
      case Task::classifier:
        v->kind_ = TERN_VISION_CLASSIFIER;
        TERN_TRY(make_classifier(std::move(network), options, &v->describer_));
        break;
      case Task::embedder:
        v->kind_ = TERN_VISION_EMBEDDER;
        TERN_TRY(make_embedder(std::move(network), options, &v->describer_));
        break;
      case Task::segmenter:
        v->kind_ = TERN_VISION_SEGMENTER;
        TERN_TRY(make_segmenter(std::move(network), options, &v->describer_));
        break;
      case Task::keypoints:
        v->kind_ = TERN_VISION_KEYPOINTS;
        TERN_TRY(make_keypoints(std::move(network), options, &v->describer_));
        v->keypoints_ = static_cast<Keypoints*>(v->describer_.get());
        break;
      case Task::text_detector:
      case Task::text_direction:
      case Task::text_recognizer: break;  // create_text's
    }
  }
  if (v->finder_ && v->kind_ == TERN_VISION_SEGMENTER)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "models of the tasks %s do not go together", words.c_str());
  if (options.follow && !v->keypoints_)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "TERN_VISION_FOLLOW is for key points, the task is %s", words.c_str());
  if (options.follow && !v->keypoints_->can_follow())
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "TERN_VISION_FOLLOW needs the metadata 'region.*' of the key point model, which it does not have");
  if (v->finder_ && v->describer_) {
    TERN_TRY(check_pair(models[0]->context(), v->finder_->network(), v->describer_->network()));
    TERN_TRY(RegionRule::read(v->finder_->network().metadata(), v->finder_->num_points(), &v->region_));
  } else if (v->finder_) {
    TERN_TRY(BoxMasks::create(v->finder_->network(), &v->masks_));
  }
  // Names are those of what looks last.
  TaskNetwork& last = v->describer_ ? v->describer_->network() : v->finder_->network();
  v->labels_ = v->kind_ == TERN_VISION_EMBEDDER && v->finder_ ? v->finder_->network().labels() : last.labels();
  v->names_ = last.metadata().lines("keypoints.names");
  const int64_t points =
      v->keypoints_
          ? last.metadata().integer(last.metadata().has("keypoints.count") ? "keypoints.count" : "keypoints.rows")
      : v->finder_ ? v->finder_->num_points()
                   : 0;
  for (const double k : last.metadata().numbers("keypoints.skeleton")) {
    if (k >= (double)points)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'keypoints.skeleton' names key point %g of %" PRId64, k, points);
    v->skeleton_.push_back((int32_t)k);
  }
  *out = std::move(v);
  return TERN_OK;
}

tern_status Vision::find(const image::Picture& picture, const RunControl& control, ResultLists* lists) {
  if (text_finder_ || text_reader_) return read(picture, control, lists);
  bool kept = false;
  if (!finder_) return describer_->run(picture, nullptr, nullptr, control, lists, &kept);
  std::span<const Found> found;
  TERN_TRY(finder_->run(picture, control, &found));
  if (!describer_) {
    const int32_t points = finder_->num_points();
    lists->num_keypoints = points;
    if (masks_) masks_->begin(finder_->network().outputs());
    for (const Found& f : found) {
      image::Box box = f.box;
      if (finder_->gives_corners()) {
        const double cx = (f.box.x0 + f.box.x1) / 2, cy = (f.box.y0 + f.box.y1) / 2, w = (f.box.x1 - f.box.x0) / 2,
                     h = (f.box.y1 - f.box.y0) / 2, c = std::cos(f.angle), s = std::sin(f.angle);
        box = {HUGE_VAL, HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
        for (const auto& [x, y] : {std::pair{-w, -h}, {w, -h}, {w, h}, {-w, h}}) {
          const double px = cx + x * c - y * s, py = cy + x * s + y * c;
          lists->corners.push_back((float)px), lists->corners.push_back((float)py);
          box = {std::min(box.x0, px), std::min(box.y0, py), std::max(box.x1, px), std::max(box.y1, py)};
        }
      }
      lists->add_detection(box, f.score, f.label);
      for (const BoxPoint& p : f.points) lists->keypoints.push_back({(float)p.x, (float)p.y, 0, (float)p.visibility});
      if (!masks_) continue;
      TERN_TRY(check_control(control));
      TERN_TRY(masks_->add(*finder_, f, lists));
    }
    return TERN_OK;
  }
  for (const Found& f : found) {
    image::CropRect region;
    if (region_.apply(f.box, f.points, &region)) TERN_TRY(describer_->run(picture, &region, &f, control, lists, &kept));
  }
  return TERN_OK;
}

tern_status Vision::follow(const image::Picture& picture, const RunControl& control, ResultLists* lists) {
  std::vector<Followed> next;
  const auto look = [&](const image::CropRect& region, const Found* found, Followed&& who) -> tern_status {
    bool kept = false;
    const size_t before = lists->detections.size();
    TERN_TRY(describer_->run(picture, &region, found, control, lists, &kept));
    if (!kept) return TERN_OK;
    const auto drop = [&] {
      lists->detections.resize(before);
      lists->keypoints.resize(before * (size_t)lists->num_keypoints);
      return TERN_OK;
    };
    if (!keypoints_->next_region(&who.region)) return drop();
    const auto around = [](const image::CropRect& r) {
      return image::Box{r.centre_x - r.width / 2, r.centre_y - r.height / 2, r.centre_x + r.width / 2,
                        r.centre_y + r.height / 2};
    };
    // Two that have come to look at the same thing are one.
    for (const Followed& other : next)
      if (overlap(around(other.region), around(who.region)) > 0.5) return drop();
    if (who.place < 0) {
      who.place = 0;
      while (std::any_of(next.begin(), next.end(), [&](const Followed& f) { return f.place == who.place; }))
        ++who.place;
    }
    smooth(&who, lists);
    next.push_back(std::move(who));
    return TERN_OK;
  };
  // Copies: a frame that fails changes nobody.
  for (const Followed& who : followed_) TERN_TRY(look(who.region, nullptr, Followed(who)));
  const bool room = options_.max_results > 0 && (int32_t)next.size() < options_.max_results;
  if (next.size() < followed_.size() || next.empty() || lost_ || room) {
    if (finder_) {
      std::span<const Found> found;
      TERN_TRY(finder_->run(picture, control, &found));
      for (const Found& f : found) {
        image::CropRect region;
        if (options_.max_results > 0 && (int32_t)next.size() >= options_.max_results) break;
        if (region_.apply(f.box, f.points, &region)) TERN_TRY(look(region, &f, {}));
      }
    } else if (next.empty()) {
      const double side = std::max(lists->width, lists->height);
      TERN_TRY(look({lists->width / 2.0, lists->height / 2.0, side, side, 0}, nullptr, {}));
    }
    lost_ = false;
  }
  followed_ = std::move(next);
  sort_by_place(lists);
  return TERN_OK;
}

// Who was lost and found again in this frame keeps the place in the list.
void Vision::sort_by_place(ResultLists* lists) {
  if (std::is_sorted(followed_.begin(), followed_.end(), before)) return;
  std::vector<size_t> order(followed_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return before(followed_[a], followed_[b]); });
  const ResultLists old = *lists;
  const size_t n = (size_t)lists->num_keypoints;
  for (size_t i = 0; i < order.size(); ++i) {
    lists->detections[i] = old.detections[order[i]];
    std::copy_n(old.keypoints.begin() + (ptrdiff_t)(n * order[i]), n, lists->keypoints.begin() + (ptrdiff_t)(n * i));
  }
  std::sort(followed_.begin(), followed_.end(), before);
}

void Vision::smooth(Followed* who, ResultLists* lists) const {
  if (!(options_.smoothing > 0)) return;
  const OneEuro filter = {.rate = options_.frame_rate, .cutoff = options_.smoothing};
  const size_t n = (size_t)lists->num_keypoints;
  tern_keypoint* points = lists->keypoints.data() + lists->keypoints.size() - n;
  const tern_detection& box = lists->detections.back();
  const double size = std::max(1.0, (double)std::max(box.x1 - box.x0, box.y1 - box.y0));
  who->smooth.resize(3 * n);
  OneEuro::State* state = who->smooth.data();
  for (size_t i = 0; i < n; ++i)
    for (float* v : {&points[i].x, &points[i].y, &points[i].z}) *v = (float)filter(*v, size, state++);
}

void Vision::reset() {
  followed_.clear();
  lost_ = true;
}

tern_status Vision::run(std::span<const image::Picture> pictures, const RunControl& control,
                        const tern_vision_result** results) {
  while (results_.size() < pictures.size()) results_.push_back(std::make_unique<OneResult>());
  for (size_t i = 0; i < pictures.size(); ++i) {
    OneResult& r = *results_[i];
    r.lists.begin(image::upright_size(pictures[i]));
    TERN_TRY(options_.follow ? follow(pictures[i], control, &r.lists) : find(pictures[i], control, &r.lists));
    for (size_t k = 0; k < r.lists.masks.size(); ++k) r.lists.masks[k].pixels = r.lists.mask_pixels[k].data();
    for (const std::string& s : r.lists.texts) r.lists.text_pointers.push_back(s.c_str());
    const auto list = [](const auto& v) { return v.empty() ? nullptr : v.data(); };
    const ResultLists& l = r.lists;
    r.view = {(uint32_t)sizeof(tern_vision_result),
              l.width,
              l.height,
              (int32_t)l.detections.size(),
              list(l.detections),
              list(l.corners),
              l.num_keypoints,
              l.embedding_size,
              list(l.keypoints),
              list(l.embeddings),
              list(l.masks),
              list(l.text_pointers),
              list(l.class_map)};
  }
  for (size_t i = 0; i < pictures.size(); ++i) results[i] = &results_[i]->view;
  return TERN_OK;
}

}  // namespace tern
