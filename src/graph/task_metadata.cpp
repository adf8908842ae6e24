// SPDX-License-Identifier: Apache-2.0
#include "graph/task_metadata.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/decimal.h"

namespace tern {
namespace {

constexpr double kBig = 1e9, kMostNumbers = 4096;
constexpr int64_t kMostAnchors = 4 << 20;

using enum TaskKeyKind;

constexpr TaskKey kKeys[] = {
    {"task", choice, "", 0, 0,
     "detector|classifier|segmenter|keypoints|embedder|text_detector|text_direction|text_recognizer",
     "what the model is for"},
    {"task.version", number, "1", 1, 1, "", "of this schema"},
    {"task.signature", text, "", 0, 0, "", "the signature that the task runs; the first"},
    {"task.recipe", text, "", 0, 0, "", "which recipe made these keys"},
    {"labels", lines, "", 0, 0, "", "names of the classes, one a line"},

    {"input.layout", choice, "auto", 0, 0, "auto|nhwc|nchw", "order of the picture input's dims"},
    {"input.channels", choice, "rgb", 0, 0, "rgb|bgr|grey", "order of colours"},
    {"input.scale", numbers, "1", -kBig, kBig, "", "value = pixel (0..255) * scale + offset; one number, or three"},
    {"input.offset", numbers, "0", -kBig, kBig, "", "one number, or three"},
    {"input.fit", choice, "stretch", 0, 0, "stretch|letterbox|cover|own_size",
     "how a picture gets the input's size: stretched; shrunk to fit, with a border; cut to its middle; or the network "
     "takes it as it is"},
    {"input.cover", number, "1", 0.01, 1, "",
     "fit = cover: the part of the shorter side that is kept; stretch: of both"},
    {"input.align", choice, "middle", 0, 0, "middle|top_left|middle_pixel|top_left_pixel",
     "fit = letterbox: where the picture goes; _pixel: its size is rounded to whole pixels, top_left_pixel: down"},
    {"input.grid", choice, "middles", 0, 0, "middles|corners",
     "what falls on what where sizes differ: the middles of pixels; corners: the first pixel of the input is that of "
     "the picture, as OpenCV's warps have it"},
    {"input.border", choice, "replicate", 0, 0, "replicate|constant|blended",
     "what lies outside the picture; blended: as constant, and pixels on its border are mixed with that"},
    {"input.filter", choice, "auto", 0, 0, "auto|bilinear|area",
     "how a picture is reduced: bilinear, as most training does; area, the mean of all pixels; auto: area where a "
     "picture of 4 megapixels or more is reduced to a third or less"},
    {"input.fill", number, "0", 0, 255, "", "border = constant and blended: its grey"},
    {"input.size", numbers, "", 1, 65536, "", "width, height: where the network takes any"},
    {"input.multiple", number, "0", 0, 4096, "",
     "own_size: sides are stretched to a multiple of this; letterbox, where the network takes any size: the border is "
     "cut in steps of this"},
    {"input.shortest", number, "0", 0, 65536, "", "own_size: the shorter side becomes this; 0 = as it is"},
    {"input.longest", number, "65536", 1, 65536, "", "own_size: longer sides are shrunk to this"},
    {"input.least", number, "0", 0, 65536, "", "own_size: shorter sides below this are then stretched to it"},
    {"input.enlarge", number, "65536", 1, 65536, "",
     "own_size: how many times its size a picture gets by this at most"},
    {"input.slim", number, "0", 0, 65536, "",
     "own_size: where one side is more than so many times the other, a border makes it half as many times; 0 = never"},

    {"output.boxes", output, "", 0, 0, "", "four numbers of each row; one line a level of the grid"},
    {"output.scores", output, "", 0, 0, "", "a score of each class in each row"},
    {"output.objectness", output, "", 0, 0, "", "a factor of all scores of a row"},
    {"output.classes", output, "", 0, 0, "",
     "the number of the class of each row, where scores are one column; keypoints: the score of the first of two "
     "labels"},
    {"output.count", output, "", 0, 0, "", "how many rows count"},
    {"output.points", output, "", 0, 0, "", "key points of each row; keypoints: the rows, one line an output"},
    {"output.angle", output, "", 0, 0, "", "radians by which the box of each row is turned, clockwise"},
    {"output.coefficients", output, "", 0, 0, "", "of each row: weights of the prototypes"},
    {"output.prototypes", output, "", 0, 0, "", "pictures whose weighted sums are the masks"},
    {"output.masks", output, "", 0, 0, "", "one mask a row, of its box"},
    {"output.heatmap", output, "", 0, 0, "", "scores of centres (detector), heat around points (keypoints)"},
    {"output.sizes", output, "", 0, 0, "", "logarithms of height and width in cells at each centre"},
    {"output.offsets", output, "", 0, 0, "", "y and x of each centre in its cell"},
    {"output.class_map", output, "", 0, 0, "", "scores of classes, or the class, of each pixel"},
    {"output.mask", output, "", 0, 0, "", "one score for each pixel"},
    {"output.embedding", output, "", 0, 0, "", "the embedding"},
    {"output.presence", output, "", 0, 0, "", "score that somebody is there"},
    {"output.world", output, "", 0, 0, "", "key points in metres"},
    {"output.text", output, "", 0, 0, "", "scores of characters at each place of a line"},

    {"rows.order", choice, "rows_first", 0, 0, "rows_first|columns_first",
     "rows_first: the last dim is the columns; columns_first: the second dim is"},
    {"boxes.form", choice, "centre", 0, 0, "centre|corners|corner|edges",
     "centre and size; two corners; upper left corner and size; distances of the edges from the anchor"},
    {"boxes.order", choice, "xy", 0, 0, "xy|yx", "x, y, w, h or y, x, h, w"},
    {"boxes.unit", choice, "pixels", 0, 0, "pixels|sides|anchors",
     "of the input; parts of its sides; parts of the anchor's, from its centre"},
    {"boxes.size", choice, "linear", 0, 0, "linear|exp", "whether sizes are logarithms"},
    {"boxes.bins", number, "1", 1, 256, "",
     "form = edges: each distance is the mean of so many, weighted by a softmax"},
    {"boxes.divisors", numbers, "1,1,1,1", -kBig, kBig, "", "of x, y, width, height"},
    {"anchors", anchors, "", 0, 0, "", "levels: '19x19: 0.1x0.1 0.2x0.1' or '/8: 8x8', one a line"},
    {"anchors.offset", number, "0.5", -1, 1, "", "where in its cell an anchor stands"},
    {"scores.activation", choice, "none", 0, 0, "none|sigmoid|softmax", "of scores and objectness"},
    {"scores.clip", number, "0", 0, kBig, "", "before the activation; 0 = none"},
    {"scores.labels", choice, "best", 0, 0, "best|all", "of a row the best class, or each whose score is high enough"},
    {"labels.first", number, "0", -1e6, 1e6, "", "number of the first class; what is before it is background"},
    {"labels.after", number, "0", 0, 1e6, "", "columns of output.scores behind the last class that stand for nothing"},
    {"nms", choice, "hard", 0, 0, "none|hard|weighted|fast",
     "suppression of boxes that overlap; fast: also by one that is suppressed itself"},
    {"nms.classes", choice, "each", 0, 0, "each|all", "boxes of one class alone, or of all"},
    {"nms.overlap", choice, "iou", 0, 0, "iou|smaller", "over the union, or over the smaller box"},
    {"centres.stride", number, "4", 1, 1024, "", "pixels of a cell of the heat map"},
    {"points.values", number, "2", 2, 3, "", "numbers of a point: x, y and perhaps visibility"},
    {"points.order", choice, "xy", 0, 0, "xy|yx", "of the coordinates"},
    {"points.unit", choice, "pixels", 0, 0, "pixels|sides|anchors", "as boxes.unit"},
    {"points.activation", choice, "none", 0, 0, "none|sigmoid", "of the visibility"},
    {"mask.activation", choice, "none", 0, 0, "none|sigmoid|softmax", "of masks"},

    {"result.score", number, "0.25", 0, 1, "", "least score"},
    {"result.overlap", number, "0.5", 0, 1, "", "nms: overlap from which the lower score is dropped"},
    {"result.max", number, "300", 1, 1e6, "", "most results"},

    {"keypoints.names", lines, "", 0, 0, "", "one a line"},
    {"keypoints.skeleton", numbers, "", 0, 1e4, "", "pairs of key points that a drawing joins"},
    {"keypoints.count", number, "0", 0, 1e4, "", "of the rows of points, those that are given out; 0 = all"},
    {"keypoints.rows", number, "0", 0, 1e4, "", "how many points the output has"},
    {"keypoints.order", choice, "xy", 0, 0, "xy|yx", "of the coordinates"},
    {"keypoints.unit", choice, "pixels", 0, 0, "pixels|sides", "of the input"},
    {"keypoints.depth", number, "-1", -1, 16, "", "which number of a point is its depth; -1 = none"},
    {"keypoints.depth_scale", number, "1", -kBig, kBig, "", "of the depth, whose unit is that of x then"},
    {"keypoints.visibility", number, "-1", -1, 16, "", "which number of a point says that it is seen; -1 = none"},
    {"keypoints.activation", choice, "none", 0, 0, "none|sigmoid", "of the visibility"},
    {"keypoints.presence", choice, "none", 0, 0, "none|sigmoid", "activation of output.presence"},
    {"keypoints.window", number, "7", 1, 255, "", "cells of output.heatmap around a point"},
    {"keypoints.heat", number, "0.5", 0, 1, "", "least heat that moves a point"},

    {"region.from", choice, "box", 0, 0, "box|points|keypoints|turned_keypoints",
     "which part of the picture the next model sees: the box; a circle from one point through another; the box around "
     "the key points, upright or turned"},
    {"region.centre", number, "0", 0, 1e4, "", "points: the middle"},
    {"region.edge", number, "1", 0, 1e4, "", "points: on the edge"},
    {"region.around", numbers, "", 0, 1e4, "", "keypoints: those that the box is around; all"},
    {"region.turn", numbers, "", 0, 1e4, "",
     "two points, the line between which gives the turn; of more than two it ends in the middle of all but the first"},
    {"region.angle", number, "0", -360, 360, "", "degrees of that line in the region, 90 = upwards"},
    {"region.scale", numbers, "1", 0.01, 100, "", "of width and height; one number or two"},
    {"region.shift", numbers, "0,0", -10, 10, "", "of the middle, in widths and heights of the box"},
    {"region.square", choice, "none", 0, 0, "none|longer", "whether the region is a square"},
    {"region.of", text, "", 0, 0, "",
     "a word for what the region shows: a detector and the model that looks next go together where theirs are equal"},

    {"embedding.normalize", choice, "yes", 0, 0, "no|yes", "to length 1"},

    {"text.characters", lines, "", 0, 0, "", "of the recogniser, one a line; the first class is the blank"},
    {"text.space", choice, "yes", 0, 0, "no|yes", "whether the last class is a space"},
    {"text.height", number, "48", 8, 1024, "", "pixels of a line"},
    {"text.width", number, "320", 8, 65536, "", "least pixels of the recogniser's input"},
    {"text.threshold", number, "0.3", 0, 1, "", "text_detector: of a pixel"},
    {"text.unclip", number, "1.6", 0, 10, "", "text_detector: how much a box grows, as area times this by perimeter"},
};

// Namespaces of the schema: a key in one of them that is not in the list is a mistake.
constexpr const char* kSpaces[] = {"task",    "labels",    "input",  "output",    "rows",   "boxes",
                                   "anchors", "scores",    "nms",    "centres",   "points", "mask",
                                   "result",  "keypoints", "region", "embedding", "text"};

bool is_of_schema(std::string_view key) {
  const std::string_view space = key.substr(0, key.find('.'));
  return std::any_of(std::begin(kSpaces), std::end(kSpaces), [&](const char* s) { return space == s; });
}

const TaskKey* exact_key(std::string_view name) {
  for (const TaskKey& k : kKeys)
    if (name == k.name) return &k;
  return nullptr;
}

tern_status bad(const TaskKey& key, const std::string& value, const char* need) {
  return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' is '%.60s': %s", key.name, value.c_str(), need);
}

std::vector<std::string> split_lines(const std::string& s) {
  std::vector<std::string> out;
  std::string line;
  for (const char c : s) {
    if (c == '\r') continue;
    if (c == '\n') out.push_back(std::move(line)), line.clear();
    else line += c;
  }
  if (!line.empty()) out.push_back(std::move(line));
  return out;
}

tern_status parse_numbers(const TaskKey& key, const std::string& value, std::vector<double>* out) {
  out->clear();
  const char *p = value.data(), *end = p + value.size();
  while (p < end) {
    double v = 0;
    const char* next = parse_decimal(p, end, &v);
    if (!next || (next < end && *next != ',' && *next != '\n') || out->size() >= kMostNumbers)
      return bad(key, value, "numbers separated by commas are needed");
    if (v < key.min || v > key.max)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' is %g: %g to %g is allowed", key.name, v, key.min, key.max);
    out->push_back(v);
    p = next < end ? next + 1 : end;
  }
  return TERN_OK;
}

tern_status parse_choice(const TaskKey& key, const std::string& value, int* out) {
  const char* p = key.words;
  for (int i = 0;; ++i) {
    const char* end = std::strchr(p, '|');
    const size_t n = end ? (size_t)(end - p) : std::strlen(p);
    if (value.size() == n && std::memcmp(value.data(), p, n) == 0) return *out = i, TERN_OK;
    if (!end) break;
    p = end + 1;
  }
  return TERN_FAIL(TERN_ERR_UNSUPPORTED, "metadata '%s' is '%.60s', which this version does not know; it knows %s",
                   key.name, value.c_str(), key.words);
}

// "NAME", "NAME[4:84]", "NAME[4]"; a name may end in brackets itself.
tern_status parse_output(const TaskKey& key, const std::string& text, const Signature& sig, OutputColumns* out) {
  const auto find = [&](std::string_view name) {
    for (size_t i = 0; i < sig.output_names.size(); ++i)
      if (sig.output_names[i] == name) return (int32_t)i;
    return -1;
  };
  *out = {find(text), 0, -1};
  if (out->output >= 0) return TERN_OK;
  const size_t open = text.rfind('[');
  if (open != std::string::npos && text.back() == ']') {
    const char *p = text.data() + open + 1, *end = text.data() + text.size() - 1;
    OutputColumns c;
    auto r = std::from_chars(p, end, c.first);
    bool good = r.ec == std::errc() && c.first >= 0 && c.first < INT32_MAX;
    if (good && r.ptr == end) {
      c.end = c.first + 1;
    } else if (good && *r.ptr == ':') {
      if (r.ptr + 1 < end) {
        const auto e = std::from_chars(r.ptr + 1, end, c.end);
        good = e.ec == std::errc() && e.ptr == end && c.end > c.first && c.end < INT32_MAX;
      }
    } else {
      good = false;
    }
    c.output = find(std::string_view(text).substr(0, open));
    if (good && c.output >= 0) return *out = c, TERN_OK;
  }
  std::string names;
  for (const std::string& n : sig.output_names) names += (names.empty() ? "" : ", ") + n;
  return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' names the output '%.60s'; signature '%s' has %.200s", key.name,
                   text.c_str(), sig.name.c_str(), names.c_str());
}

tern_status parse_level(const TaskKey& key, const std::string& text, AnchorLevel* out) {
  constexpr const char* kNeed = "levels as '19x19: 0.1x0.1' or '/8: 8x8' are needed, one a line";
  const char *p = text.data(), *end = p + text.size();
  AnchorLevel level;
  const auto whole = [&](int64_t* v) {
    const auto r = std::from_chars(p, end, *v);
    const bool good = r.ec == std::errc() && *v >= 1 && *v <= 65536;
    p = r.ptr;
    return good;
  };
  const auto take = [&](char c) { return p < end && *p == c ? ++p, true : false; };
  if (take('/') ? !whole(&level.stride) : !whole(&level.columns) || !take('x') || !whole(&level.rows))
    return bad(key, text, kNeed);
  if (!take(':')) return bad(key, text, kNeed);
  while (take(' ')) {
    std::pair<double, double> s;
    const char* next = parse_decimal(p, end, &s.first);
    if (!next || next == end || *next != 'x') return bad(key, text, kNeed);
    next = parse_decimal(next + 1, end, &s.second);
    if (!next || !(s.first > 0) || !(s.second > 0) || s.first > 65536 || s.second > 65536) return bad(key, text, kNeed);
    p = next;
    level.shapes.push_back(s);
  }
  if (p != end || level.shapes.empty()) return bad(key, text, kNeed);
  return *out = std::move(level), TERN_OK;
}

tern_status check_value(const TaskKey& key, const std::string& value, const Signature& sig) {
  int word = 0;
  std::vector<double> list;
  switch (key.kind) {
    case TaskKeyKind::text:
    case lines: return TERN_OK;
    case choice: return parse_choice(key, value, &word);
    case number:
      TERN_TRY(parse_numbers(key, value, &list));
      return list.size() == 1 ? TERN_OK : bad(key, value, "one number is needed");
    case numbers: return parse_numbers(key, value, &list);
    case output: {
      const std::vector<std::string> parts = split_lines(value);
      if (parts.size() > 64) return bad(key, parts[0], "more than 64 outputs");
      for (const std::string& line : parts) {
        OutputColumns c;
        TERN_TRY(parse_output(key, line, sig, &c));
      }
      return TERN_OK;
    }
    case anchors: {
      int64_t sum = 0;
      for (const std::string& line : split_lines(value)) {
        AnchorLevel level;
        TERN_TRY(parse_level(key, line, &level));
        sum += level.columns * level.rows * (int64_t)level.shapes.size();
        if (sum > kMostAnchors) return bad(key, line, "more than 4,194,304 anchors");
      }
      return TERN_OK;
    }
  }
  return TERN_OK;
}

const char* nearest_key(std::string_view name) {
  const TaskKey* best = &kKeys[0];
  size_t least = SIZE_MAX;
  for (const TaskKey& k : kKeys) {
    const char* last = std::strrchr(k.name, '.');
    const size_t d = std::min(name_distance(name, k.name), last ? name_distance(name, last + 1) : SIZE_MAX);
    if (d < least) least = d, best = &k;
  }
  return best->name;
}

}  // namespace

size_t name_distance(std::string_view a, std::string_view b) {
  a = a.substr(0, 64), b = b.substr(0, 64);
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

std::span<const TaskKey> task_keys() { return kKeys; }

const TaskKey* find_task_key(std::string_view name) {
  if (const TaskKey* k = exact_key(name)) return k;
  const TaskKey* found = nullptr;
  for (const TaskKey& k : kKeys)
    if (const char* last = std::strrchr(k.name, '.'); last && name == last + 1) {
      // What people change most comes before others of the same last name.
      if (std::strncmp(k.name, "result.", 7) == 0) return &k;
      if (found) return nullptr;
      found = &k;
    }
  return found;
}

tern_status TaskMetadata::read(const ModelDef& model, TaskMetadata* out) {
  const std::string* task = find_metadata(model, "task");
  if (!task)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "the model's metadata says no task: import it with --task (tern import --help)");
  TaskMetadata m;
  m.model_ = &model;
  if (model.signatures.empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "the model has no signature");
  if (const std::string* version = find_metadata(model, "task.version"); version && *version != "1")
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "the task's metadata have version %.20s; this library reads version 1",
                     version->c_str());
  if (const std::string* name = find_metadata(model, "task.signature")) {
    const auto it = std::find_if(model.signatures.begin(), model.signatures.end(),
                                 [&](const Signature& s) { return s.name == *name; });
    if (it == model.signatures.end())
      return TERN_FAIL(TERN_ERR_CORRUPT, "the metadata names the signature '%.60s', which the model does not have",
                       name->c_str());
    m.signature_ = (int32_t)(it - model.signatures.begin());
  }
  const Signature& sig = model.signatures[(size_t)m.signature_];
  for (const auto& [name, value] : model.metadata) {
    if (!is_of_schema(name)) continue;
    const TaskKey* key = exact_key(name);
    if (!key)
      return TERN_FAIL(TERN_ERR_CORRUPT, "there is no metadata key '%.60s'; the nearest is '%s'", name.c_str(),
                       nearest_key(name));
    TERN_TRY(check_value(*key, value, sig));
  }
  const std::vector<double> skeleton = m.numbers("keypoints.skeleton");
  if (skeleton.size() % 2) return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'keypoints.skeleton' needs pairs");
  *out = m;
  return TERN_OK;
}

// What follows reads values that read() has proven.

bool TaskMetadata::has(const char* key) const {
  const std::string* v = find_metadata(*model_, key);
  return v && !v->empty();
}

std::string TaskMetadata::text(const char* key) const {
  if (const std::string* v = find_metadata(*model_, key)) return *v;
  return exact_key(key)->fallback;
}

std::vector<double> TaskMetadata::numbers(const char* key) const {
  std::vector<double> list;
  (void)parse_numbers(*exact_key(key), text(key), &list);
  return list;
}

double TaskMetadata::number(const char* key) const {
  const std::vector<double> list = numbers(key);
  return list.empty() ? 0 : list[0];
}

int TaskMetadata::choice(const char* key) const {
  int word = 0;
  (void)parse_choice(*exact_key(key), text(key), &word);
  return word;
}

std::vector<std::string> TaskMetadata::lines(const char* key) const { return split_lines(text(key)); }

std::vector<OutputColumns> TaskMetadata::outputs(const char* key) const {
  std::vector<OutputColumns> list;
  for (const std::string& line : lines(key)) {
    OutputColumns c;
    if (parse_output(*exact_key(key), line, model_->signatures[(size_t)signature_], &c) == TERN_OK) list.push_back(c);
  }
  return list;
}

OutputColumns TaskMetadata::output(const char* key) const {
  const std::vector<OutputColumns> list = outputs(key);
  return list.empty() ? OutputColumns{} : list[0];
}

std::vector<AnchorLevel> TaskMetadata::anchors() const {
  std::vector<AnchorLevel> list;
  for (const std::string& line : lines("anchors")) {
    AnchorLevel level;
    if (parse_level(*exact_key("anchors"), line, &level) == TERN_OK) list.push_back(std::move(level));
  }
  return list;
}

tern_status set_task_key(ModelDef* model, std::string_view name, std::string value) {
  const TaskKey* key = find_task_key(name);
  if (!key)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is no metadata key '%.60s' of tasks; the nearest is '%s'",
                     std::string(name).c_str(), nearest_key(name));
  ModelDef& m = *model;
  const auto before = m.metadata;
  const auto it =
      std::find_if(m.metadata.begin(), m.metadata.end(), [&](const auto& e) { return e.first == key->name; });
  if (value.empty()) {
    if (it != m.metadata.end()) m.metadata.erase(it);
  } else if (it != m.metadata.end()) {
    it->second = std::move(value);
  } else {
    m.metadata.emplace_back(key->name, std::move(value));
  }
  TaskMetadata proof;
  if (find_metadata(m, "task"))
    if (TaskMetadata::read(m, &proof) != TERN_OK) {
      m.metadata = before;
      const std::string why = thread_error().message;
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s", why.c_str());
    }
  return TERN_OK;
}

}  // namespace tern
