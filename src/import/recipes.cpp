// SPDX-License-Identifier: Apache-2.0
#include "import/recipes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <span>

namespace tern {
namespace {

// ---- helpers ----

// What a recipe looks at and writes to.
struct Subject {
  ModelDef& model;

  const Signature& signature() const { return model.signatures[0]; }
  const Value& input() const { return signature().graph.value(signature().graph.inputs[0]); }
  size_t num_inputs() const { return signature().graph.inputs.size(); }
  size_t num_outputs() const { return signature().graph.outputs.size(); }
  // Name of the n-th output of this shape, or NULL.
  const std::string* output(const Shape& shape, int n = 0) const {
    for (size_t i = 0; i < num_outputs(); ++i)
      if (signature().graph.value(signature().graph.outputs[i]).shape == shape && n-- == 0)
        return &signature().output_names[i];
    return nullptr;
  }
  bool has(const Shape& in, std::initializer_list<Shape> out) const {
    if (num_inputs() != 1 || input().dtype != TERN_DTYPE_F32 || !(input().shape == in) || num_outputs() != out.size())
      return false;
    return std::all_of(out.begin(), out.end(), [&](const Shape& s) { return output(s); });
  }

  void set(const char* key, std::string value) { model.metadata.emplace_back(key, std::move(value)); }
  void set(const char* key, double value) {
    char text[32];
    set(key, std::string(text, std::to_chars(text, text + sizeof text, value).ptr));
  }
  void set_output(const char* key, const Shape& shape, int n = 0) { set(key, *output(shape, n)); }

  void begin(const char* recipe, const char* task) {
    set("task", task);
    set("task.recipe", recipe);
    set("task.signature", signature().name);
  }
  // value = pixel * scale + offset for pixels 0..255
  void set_input(double scale, double offset, const char* fit, const char* border) {
    set("input.name", input().name);
    set("input.layout", "nhwc");
    set("input.channels", "rgb");
    set("input.scale", scale);
    set("input.offset", offset);
    set("input.fit", fit);
    set("input.border", border);
  }
  void set_anchors(const std::vector<float>& anchors) {
    Parameter p;
    p.name = "task.anchors";
    p.dtype = TERN_DTYPE_F32;
    p.shape = Shape{(int64_t)anchors.size() / 4, 4};
    p.bytes = anchors.size() * sizeof(float);
    void* bytes = nullptr;
    p.data = make_data(p.bytes, &bytes);
    std::memcpy(bytes, anchors.data(), p.bytes);
    model.parameters.push_back(std::move(p));
  }
};

// One shape of an anchor, as parts of the input's side.
struct AnchorShape {
  double width, height;
};

// Anchors of a level: at the centre of each cell, by rows, all shapes of the level.
void add_level(int cells, std::span<const AnchorShape> shapes, std::vector<float>* out) {
  for (int y = 0; y < cells; ++y)
    for (int x = 0; x < cells; ++x)
      for (const AnchorShape& s : shapes)
        for (double v : {(x + 0.5) / cells, (y + 0.5) / cells, s.width, s.height}) out->push_back((float)v);
}

AnchorShape anchor_shape(double scale, double ratio) { return {scale * std::sqrt(ratio), scale / std::sqrt(ratio)}; }

// ---- recipes ----

constexpr int kSsdAnchors = 1917, kSsdClasses = 24;

bool is_ssd(const Subject& s) { return s.has({1, 300, 300, 3}, {{1, kSsdAnchors, 4}, {1, kSsdAnchors, kSsdClasses}}); }

std::vector<float> ssd_anchors() {
  constexpr int kCells[] = {19, 10, 5, 3, 2, 1};
  const auto scale = [](int k) { return k == 6 ? 1.0 : 0.2 + 0.75 * k / 5; };
  std::vector<float> anchors;
  const AnchorShape first[] = {anchor_shape(0.1, 1), anchor_shape(scale(0), 2), anchor_shape(scale(0), 0.5)};
  add_level(kCells[0], first, &anchors);
  for (int k = 1; k < 6; ++k) {
    const double s = scale(k);
    // The third ratio is rounded to four digits where the model was trained.
    const AnchorShape shapes[] = {anchor_shape(s, 1),      anchor_shape(s, 2),
                                  anchor_shape(s, 0.5),    anchor_shape(s, 3),
                                  anchor_shape(s, 0.3333), anchor_shape(std::sqrt(s * scale(k + 1)), 1)};
    add_level(kCells[k], shapes, &anchors);
  }
  return anchors;
}

void apply_ssd(Subject& s) {
  s.begin("ssd_mobilenetv2_oidv4", "detector");
  s.set_input(2.0 / 255, -1, "stretch", "replicate");
  s.set("detector.kind", "anchors");
  s.set_output("detector.boxes", {1, kSsdAnchors, 4});
  s.set_output("detector.scores", {1, kSsdAnchors, kSsdClasses});
  s.set("detector.box_order", "yxhw");
  s.set("detector.box_divisors", "10,10,5,5");
  s.set("detector.box_size", "exp");
  s.set("detector.keypoints", 0);
  s.set("detector.score", "sigmoid");
  s.set("detector.first_class", 1);
  s.set("detector.threshold", 0.5);
  s.set("detector.nms", "hard");
  s.set("detector.nms_iou", 0.5);
  s.set("detector.nms_classes", "all");
  s.set("detector.max", 100);
  s.set_anchors(ssd_anchors());
}

constexpr int kPoseAnchors = 2254;

bool is_blazepose_detector(const Subject& s) {
  return s.has({1, 224, 224, 3}, {{1, kPoseAnchors, 12}, {1, kPoseAnchors, 1}});
}

void apply_blazepose_detector(Subject& s) {
  s.begin("blazepose_detector", "pose_detector");
  s.set_input(2.0 / 255, -1, "letterbox", "zero");
  s.set("detector.kind", "anchors");
  s.set_output("detector.boxes", {1, kPoseAnchors, 12});
  s.set_output("detector.scores", {1, kPoseAnchors, 1});
  s.set("detector.box_order", "xywh");
  s.set("detector.box_divisors", "224,224,224,224");
  s.set("detector.box_size", "linear");
  s.set("detector.keypoints", 4);
  s.set("detector.score", "sigmoid");
  s.set("detector.score_clip", 100);
  s.set("detector.first_class", 0);
  s.set("detector.threshold", 0.5);
  s.set("detector.nms", "weighted");
  s.set("detector.nms_iou", 0.3);
  s.set("detector.nms_classes", "all");
  s.set("detector.max", 100);
  s.set("region.centre", 0);
  s.set("region.edge", 1);
  s.set("region.scale", 1.25);
  s.set("region.angle", 90);
  constexpr AnchorShape kWhole[6] = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
  std::vector<float> anchors;
  add_level(28, std::span(kWhole).first(2), &anchors);
  add_level(14, std::span(kWhole).first(2), &anchors);
  add_level(7, kWhole, &anchors);
  s.set_anchors(anchors);
}

bool is_blazepose_landmarks(const Subject& s) {
  return s.has({1, 256, 256, 3}, {{1, 195}, {1, 1}, {1, 256, 256, 1}, {1, 64, 64, 39}, {1, 117}});
}

constexpr const char* kBodyNames =
    "nose\nleft eye inner\nleft eye\nleft eye outer\nright eye inner\nright eye\nright eye outer\nleft ear\nright ear\n"
    "mouth left\nmouth right\nleft shoulder\nright shoulder\nleft elbow\nright elbow\nleft wrist\nright wrist\nleft "
    "pinky\n"
    "right pinky\nleft index\nright index\nleft thumb\nright thumb\nleft hip\nright hip\nleft knee\nright knee\nleft "
    "ankle\n"
    "right ankle\nleft heel\nright heel\nleft foot index\nright foot index";
constexpr const char* kBodySkeleton =
    "0,1,1,2,2,3,3,7,0,4,4,5,5,6,6,8,9,10,11,12,11,13,13,15,15,17,15,19,15,21,17,19,12,14,14,16,16,18,16,20,16,22,18,"
    "20,"
    "11,23,12,24,23,24,23,25,24,26,25,27,26,28,27,29,28,30,29,31,30,32,27,31,28,32";

void apply_blazepose_landmarks(Subject& s) {
  s.begin("blazepose_landmarks", "pose_landmarks");
  s.set_input(1.0 / 255, 0, "crop", "replicate");
  s.set_output("pose.landmarks", {1, 195});
  s.set("pose.rows", 39);
  s.set("pose.keypoints", 33);
  s.set("pose.visibility", "sigmoid");
  s.set_output("pose.score", {1, 1});
  s.set("pose.score_activation", "none");
  s.set("pose.threshold", 0.5);
  s.set_output("pose.heatmap", {1, 64, 64, 39});
  s.set("pose.heatmap_window", 7);
  s.set("pose.heatmap_threshold", 0.5);
  s.set_output("pose.mask", {1, 256, 256, 1});
  s.set_output("pose.world", {1, 117});
  s.set("pose.names", kBodyNames);
  s.set("pose.skeleton", kBodySkeleton);
}

bool is_selfie(const Subject& s) {
  return s.has({1, 256, 256, 3}, {{1, 256, 256, 1}}) || s.has({1, 144, 256, 3}, {{1, 144, 256, 1}});
}

void apply_selfie(Subject& s) {
  s.begin("selfie_segmentation", "segmentation");
  s.set_input(1.0 / 255, 0, "stretch", "replicate");
  s.set("segmentation.mask", s.signature().output_names[0]);
  s.set("segmentation.activation", "none");
}

bool is_mobilefacenet(const Subject& s) {
  return s.has({2, 112, 112, 3}, {{2, 192}}) || s.has({1, 112, 112, 3}, {{1, 192}});
}

void apply_mobilefacenet(Subject& s) {
  s.begin("mobilefacenet", "embedding");
  s.set_input(2.0 / 255, -1, "stretch", "replicate");
  s.set("embedding.output", s.signature().output_names[0]);
  s.set("embedding.normalize", 1);
}

// Input [1, 3, H, W]; heat, sizes, offsets and points at a quarter of it, in this order.
bool is_centerface(const Subject& s) {
  if (s.num_inputs() != 1 || s.num_outputs() != 4 || s.input().dtype != TERN_DTYPE_F32) return false;
  const Shape& in = s.input().shape;
  constexpr int64_t kChannels[] = {1, 2, 2, 10};
  if (in.rank != 4 || in[0] != 1 || in[1] != 3 || in[2] % 32 || in[3] % 32) return false;
  for (size_t i = 0; i < 4; ++i)
    if (!(s.signature().graph.value(s.signature().graph.outputs[i]).shape ==
          Shape{1, kChannels[i], in[2] / 4, in[3] / 4}))
      return false;
  return true;
}

void apply_centerface(Subject& s) {
  s.begin("centerface", "detector");
  s.set_input(1, 0, "stretch", "replicate");
  *std::find_if(s.model.metadata.begin(), s.model.metadata.end(),
                [](const auto& e) { return e.first == "input.layout"; }) = {"input.layout", "nchw"};
  const auto& names = s.signature().output_names;
  s.set("detector.kind", "centers");
  s.set("detector.heatmap", names[0]);
  s.set("detector.sizes", names[1]);
  s.set("detector.offsets", names[2]);
  s.set("detector.points", names[3]);
  s.set("detector.stride", 4);
  s.set("detector.keypoints", 5);
  s.set("detector.score", "none");
  s.set("detector.threshold", 0.2);
  s.set("detector.nms", "hard");
  s.set("detector.nms_iou", 0.3);
  s.set("detector.nms_classes", "all");
  s.set("detector.max", 100);
  s.set("labels", "face");
}

struct Recipe {
  const char* name;
  bool (*fits)(const Subject& s);
  void (*apply)(Subject& s);
};

constexpr Recipe kRecipes[] = {
    {"ssd_mobilenetv2_oidv4", is_ssd, apply_ssd},
    {"blazepose_detector", is_blazepose_detector, apply_blazepose_detector},
    {"blazepose_landmarks", is_blazepose_landmarks, apply_blazepose_landmarks},
    {"selfie_segmentation", is_selfie, apply_selfie},
    {"mobilefacenet", is_mobilefacenet, apply_mobilefacenet},
    {"centerface", is_centerface, apply_centerface},
};

// Line ends of any system; none at the end.
std::string clean_labels(const std::string& text) {
  std::string s;
  for (char c : text)
    if (c != '\r') s += c;
  while (!s.empty() && s.back() == '\n') s.pop_back();
  return s;
}

}  // namespace

tern_status apply_recipe(const ImportOptions& options, ModelDef* model) {
  if (find_metadata(*model, "task")) return TERN_OK;
  Subject s{*model};
  if (options.recipe != "none") {
    std::string names;
    const Recipe* chosen = nullptr;
    for (const Recipe& r : kRecipes) {
      names += (names.empty() ? "" : ", ") + std::string(r.name);
      if (options.recipe.empty() ? r.fits(s) && !chosen : options.recipe == r.name) chosen = &r;
    }
    if (!options.recipe.empty()) {
      if (!chosen)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "no recipe '%.60s'; there are %s, and none", options.recipe.c_str(),
                         names.c_str());
      if (!chosen->fits(s))
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "recipe '%s' does not fit: the model has other inputs or outputs",
                         chosen->name);
    }
    if (chosen) chosen->apply(s);
  }
  if (const std::string labels = clean_labels(options.labels); !labels.empty() && !find_metadata(*model, "labels"))
    s.set("labels", labels);
  return TERN_OK;
}

}  // namespace tern
