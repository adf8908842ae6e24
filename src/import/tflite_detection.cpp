// SPDX-License-Identifier: Apache-2.0
// TFLite_Detection_PostProcess, the custom operator at the end of SSD and EfficientDet: anchors and suppression.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "import/tflite.h"

namespace tern {
namespace {

struct Options {
  int64_t most = 0, most_of_class = 0, labels_of_box = 0, classes = 0;
  double least_score = 0, overlap = 0, scale[4] = {};  // y, x, h, w
  bool each_class = false;
};

// A FlexBuffer whose root is a map of numbers, read where it lies; what does not fit is not there.
class NumberMap {
 public:
  explicit NumberMap(std::span<const uint8_t> bytes) : bytes_(bytes) {
    if (bytes.size() < 3) return;
    const uint64_t width = bytes.back(), type = bytes[bytes.size() - 2], at = bytes.size() - 2 - width;
    if (width > bytes.size() - 2 || type >> 2 != kMap) return;
    width_ = uint64_t{1} << (type & 3);
    if (!follow(at, width, &values_) || values_ < 3 * width_) return;
    uint64_t count = 0;
    if (!follow(values_ - 3 * width_, width_, &keys_) || !load(values_ - 2 * width_, width_, &key_width_) ||
        !load(values_ - width_, width_, &count) || count > bytes.size())
      return;
    count_ = count;
  }
  std::optional<double> find(std::string_view key) const {
    for (uint64_t i = 0; i < count_; ++i) {
      uint64_t name = 0, type = 0;
      if (!follow(keys_ + i * key_width_, key_width_, &name) || !load(values_ + count_ * width_ + i, 1, &type) ||
          key.size() >= bytes_.size() - name || std::memcmp(&bytes_[name], key.data(), key.size()) != 0 ||
          bytes_[name + key.size()] != 0)
        continue;
      uint64_t at = values_ + i * width_, width = width_, kind = type >> 2;
      if (kind >= 6 && kind <= 8) {  // it stands elsewhere
        if (!follow(at, width, &at)) return {};
        width = uint64_t{1} << (type & 3), kind -= 5;
      }
      uint64_t bits = 0;
      if (!load(at, width, &bits)) return {};
      switch (kind) {
        case 1: return (double)((int64_t)(bits << (64 - 8 * width)) >> (64 - 8 * width));
        case 2:
        case kBool: return (double)bits;
        case 3:
          return width == 8   ? std::optional(std::bit_cast<double>(bits))
                 : width == 4 ? std::optional((double)std::bit_cast<float>((uint32_t)bits))
                              : std::nullopt;
        default: return {};
      }
    }
    return {};
  }

 private:
  static constexpr uint64_t kMap = 9, kBool = 26;
  bool load(uint64_t at, uint64_t width, uint64_t* out) const {
    if ((width != 1 && width != 2 && width != 4 && width != 8) || at > bytes_.size() || width > bytes_.size() - at)
      return false;
    *out = 0;
    for (uint64_t i = 0; i < width; ++i) *out |= (uint64_t)bytes_[at + i] << (8 * i);
    return true;
  }
  bool follow(uint64_t at, uint64_t width, uint64_t* out) const {
    uint64_t back = 0;
    return load(at, width, &back) && back <= at ? *out = at - back, true : false;
  }
  std::span<const uint8_t> bytes_;
  uint64_t width_ = 1, values_ = 0, keys_ = 0, key_width_ = 1, count_ = 0;
};

tern_status read_options(TfliteNode& n, Options* out) {
  const auto* bytes = n.op.custom_options();
  const NumberMap map(bytes ? std::span(bytes->data(), bytes->size()) : std::span<const uint8_t>());
  const auto number = [&](const char* key, double otherwise) { return map.find(key).value_or(otherwise); };
  const auto whole = [&](const char* key, double otherwise) {
    const double v = number(key, otherwise);
    return v >= 0 && v < 1e9 ? (int64_t)v : -1;
  };
  Options o;
  o.most = whole("max_detections", 0), o.labels_of_box = whole("max_classes_per_detection", 0);
  o.most_of_class = whole("detections_per_class", 100);
  o.classes = whole("num_classes", 0);
  o.each_class = whole("use_regular_nms", 0) != 0;
  o.least_score = number("nms_score_threshold", HUGE_VAL), o.overlap = number("nms_iou_threshold", 0);
  constexpr const char* kScales[] = {"y_scale", "x_scale", "h_scale", "w_scale"};
  for (int i = 0; i < 4; ++i) {
    o.scale[i] = number(kScales[i], 0);
    if (!(o.scale[i] > 0) || !std::isfinite(o.scale[i]))
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %s is %g", n.type(), kScales[i], o.scale[i]);
  }
  constexpr int64_t kMost = 1 << 20;
  if (o.most < 1 || o.most > kMost || o.most_of_class < 1 || o.most_of_class > kMost || o.classes < 1 ||
      o.labels_of_box < 1 || !(o.overlap > 0) || !(o.overlap <= 1) || !std::isfinite(o.least_score))
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "%s: max_detections %" PRId64 ", detections_per_class %" PRId64 ", num_classes %" PRId64
                     ", nms_iou_threshold %g",
                     n.type(), o.most, o.most_of_class, o.classes, o.overlap);
  return *out = o, TERN_OK;
}

// [1, N, 4] y0, x0, y1, x1 of encoded boxes and anchors, both y, x, h, w of a centre.
ValueId decode_boxes(TfliteNode& n, const Options& o) {
  Builder& b = n.b;
  const auto parts = [&](ValueId v) { return b.ops("split", {v}, {{"axis", b.rank(v) - 1}}, 4); };
  const std::vector<ValueId> code = parts(n.in(0)), anchor = parts(n.in(2));
  if (b.status()) return kNoValue;
  std::vector<ValueId> low, high;
  for (size_t i = 0; i < 2; ++i) {
    const ValueId centre = b.add(b.mul(b.div(code[i], b.number((float)o.scale[i])), anchor[i + 2]), anchor[i]);
    const ValueId half =
        b.mul(b.mul(b.op("exp", {b.div(code[i + 2], b.number((float)o.scale[i + 2]))}), anchor[i + 2]), b.number(0.5f));
    low.push_back(b.sub(centre, half)), high.push_back(b.add(centre, half));
  }
  return b.op("concat", {low[0], low[1], high[0], high[1]}, {{"axis", 2}});
}

tern_status detection_postprocess(TfliteNode& n) {
  Builder& b = n.b;
  Options o;
  TERN_TRY(read_options(n, &o));
  const ValueId all_scores = n.in(1), all_codes = n.in(0), all_anchors = n.in(2);
  TERN_TRY(b.status());
  const Shape codes = b.value(all_codes).shape, scores = b.value(all_scores).shape,
              anchors = b.value(all_anchors).shape;
  const int64_t boxes = codes.rank == 3 ? codes[1] : 0, background = scores.rank == 3 ? scores[2] - o.classes : -1;
  if (boxes < 1 || codes[0] != 1 || codes[2] != 4 || anchors != Shape{boxes, 4} || background < 0 || background > 1 ||
      scores[0] != 1 || scores[1] != boxes)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: boxes %s, scores %s and anchors %s of %" PRId64 " classes do not fit",
                     n.type(), to_string(codes).c_str(), to_string(scores).c_str(), to_string(anchors).c_str(),
                     o.classes);
  if (o.labels_of_box > 1 && !o.each_class) return n.unsupported("max_classes_per_detection above 1");
  const int64_t columns = o.classes + background;
  const ValueId decoded = decode_boxes(n, o);
  ValueId classes = all_scores;
  if (background)
    classes = b.op("slice", {all_scores}, {{"starts", IntList{0, 0, 1}}, {"ends", IntList{1, boxes, columns}}});
  // A score that equals the threshold counts.
  const double least = std::nextafterf((float)o.least_score, -HUGE_VALF);
  // Rows (picture, class, box) that are kept, -1 behind the last.
  const auto part = [&](ValueId rows, int64_t column) {
    return b.reshape(b.op("slice", {rows}, {{"starts", IntList{0, column}}, {"ends", IntList{INT64_MAX, column + 1}}}),
                     {-1});
  };
  const ValueId zero = b.integer(0);
  ValueId box = kNoValue, label = kNoValue, score = kNoValue, count = kNoValue;
  if (!o.each_class) {
    const ValueId best = b.op("reduce_max", {classes}, {{"axes", IntList{2}}, {"keep_dims", 0}});
    const std::vector<ValueId> kept = b.ops(
        "nms", {decoded, b.reshape(best, {1, 1, boxes})},
        {{"max_per_class", o.most}, {"iou_threshold", o.overlap}, {"score_threshold", least}, {"capacity", o.most}}, 2);
    box = part(kept[0], 2), count = kept[1];
    const ValueId at = b.op("max", {box, zero});
    label = b.op("gather", {b.reshape(b.op("arg_max", {classes}, {{"axis", 2}}), {boxes}), at}, {{"axis", 0}});
    score = b.op("gather", {b.reshape(best, {boxes}), at}, {{"axis", 0}});
  } else {
    const ValueId planes = b.transpose(classes, {0, 2, 1});
    const int64_t capacity = o.classes * std::min(o.most_of_class, boxes);
    const std::vector<ValueId> kept =
        b.ops("nms", {decoded, planes},
              {{"max_per_class", o.most_of_class}, {"iou_threshold", o.overlap}, {"score_threshold", least}}, 2);
    const ValueId every_box = part(kept[0], 2), every_label = part(kept[0], 1);
    const ValueId at = b.op("max", {b.add(b.mul(every_label, b.integer(boxes)), every_box), zero});
    const ValueId every_score =
        b.op("where", {b.op("less", {every_box, zero}), b.number(-HUGE_VALF),
                       b.op("gather", {b.reshape(planes, {o.classes * boxes}), at}, {{"axis", 0}})});
    const int64_t most = std::min(o.most, capacity);
    const std::vector<ValueId> best = b.ops("top_k", {every_score}, {{"axis", 0}, {"k", most}}, 2);
    score = best[0];
    box = b.op("gather", {every_box, best[1]}, {{"axis", 0}});
    label = b.op("gather", {every_label, best[1]}, {{"axis", 0}});
    count = b.op("min", {kept[1], b.integer(most)});
    if (most < o.most) {
      const IntList before = {0}, after = {o.most - most};
      score = b.op("pad", {score}, {{"before", before}, {"after", after}});
      box = b.op("pad", {box}, {{"before", before}, {"after", after}, {"value", -1.0}});
      label = b.op("pad", {label}, {{"before", before}, {"after", after}});
    }
  }
  TERN_TRY(b.status());
  const ValueId none = b.op("less", {box, zero}), nothing = b.number(0);
  const ValueId found = b.op("gather", {decoded, b.op("max", {box, zero})}, {{"axis", 1}});
  n.set(0, b.op("where", {b.reshape(none, {1, o.most, 1}), nothing, found}));
  n.set(1, b.reshape(b.op("where", {none, nothing, b.cast(label, TERN_DTYPE_F32)}), {1, o.most}));
  n.set(2, b.reshape(b.op("where", {none, nothing, score}), {1, o.most}));
  n.set(3, b.reshape(b.cast(count, TERN_DTYPE_F32), {1}));
  TERN_TRY(b.status());
  // Exporters put them in any order: what each is must be told by name.
  for (int i = 0; i < 4; ++i) n.importer.detection[i] = n.out_tensor(i).id;
  return TERN_OK;
}

constexpr TfliteOp kOps[] = {{-1, "TFLite_Detection_PostProcess", 3, 3, 4, 0, detection_postprocess}};

}  // namespace

std::span<const TfliteOp> tflite_detection_ops() { return kOps; }

}  // namespace tern
