// SPDX-License-Identifier: Apache-2.0
#include "cli/paint.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

namespace tern::cli {
namespace {

constexpr double kMaskOpacity = 0.45;

void blend(unsigned char* pixel, image::Colour c, double opacity) {
  const unsigned char rgb[3] = {c.r, c.g, c.b};
  for (int i = 0; i < 3; ++i) pixel[i] = (unsigned char)std::lround(pixel[i] + (rgb[i] - pixel[i]) * opacity);
}

void paint_mask(const Photo& photo, const tern_mask& m, image::Colour colour) {
  for (int32_t y = 0; y < m.height; ++y)
    for (int32_t x = 0; x < m.width; ++x)
      if (const uint8_t v = m.pixels[(size_t)y * (size_t)m.width + (size_t)x])
        blend(photo.rgb.get() + 3 * ((size_t)(m.y + y) * (size_t)photo.width + (size_t)(m.x + x)), colour,
              kMaskOpacity * v / 255);
}

void paint_classes(const Photo& photo, const uint8_t* map) {
  const size_t n = (size_t)photo.width * (size_t)photo.height;
  for (size_t i = 0; i < n; ++i)
    if (map[i]) blend(photo.rgb.get() + 3 * i, image::palette_colour(map[i]), kMaskOpacity);
}

// How many pixels of the picture each class has.
std::map<int32_t, int64_t> class_areas(const tern_vision_result& r) {
  std::map<int32_t, int64_t> areas;
  for (int64_t i = 0; i < (int64_t)r.width * r.height; ++i) ++areas[r.class_map[i]];
  return areas;
}

int64_t mask_area(const tern_mask& m) {
  int64_t area = 0;
  for (int64_t i = 0; i < (int64_t)m.width * m.height; ++i) area += m.pixels[i] >= 128;
  return area;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %%", 100 * share);
  return text;
}

// What stands at a line of text: itself. Letters that are not ASCII cannot be drawn, and one that runs down would cross
// others: those have the number that is printed with the text.
std::string line_tag(const tern_vision_result& r, int32_t i) {
  const float* c = r.corners + 8 * (size_t)i;
  const bool flat = std::fabs(c[2] - c[0]) >= std::fabs(c[3] - c[1]);
  const std::string text = printable(r.texts[i], 80);
  const bool ascii = std::all_of(text.begin(), text.end(), [](char l) { return l >= ' ' && l <= '~'; });
  return flat && ascii ? text : std::to_string(i + 1);
}

}  // namespace

std::string label_text(const tern_vision* vision, int32_t label) {
  const char* name = tern_vision_label(vision, label);
  return name && *name ? printable(name, 60) : "class " + std::to_string(label);
}

void paint(const Photo& photo, const tern_vision* vision, const tern_vision_result& r) {
  const image::Canvas canvas = photo.canvas();
  const image::DrawStyle style = image::draw_style(photo.width, photo.height);
  const int32_t kind = tern_vision_get_kind(vision), n = r.num_detections;
  // People and faces differ from one another, objects by their classes.
  const auto colour = [&](int32_t i) {
    return image::palette_colour(r.keypoints || r.masks || r.texts ? i : r.detections[i].label);
  };
  if (r.class_map) paint_classes(photo, r.class_map);
  if (r.masks)
    for (int32_t i = n; i-- > 0;) paint_mask(photo, r.masks[i], colour(i));
  if (kind == TERN_VISION_SEGMENTER) return;
  const auto whole = [&](const tern_detection& d) {
    return d.x0 <= 0 && d.y0 <= 0 && d.x1 >= (float)r.width && d.y1 >= (float)r.height;
  };
  if (kind == TERN_VISION_CLASSIFIER && n > 0 && whole(r.detections[0])) {
    for (int32_t i = n; i-- > 0;) {
      const tern_detection& d = r.detections[i];
      const std::string text = label_text(vision, d.label) + " " + percent((double)d.score);
      const double y = 12 * style.glyph * (i + 1);
      image::draw_label(canvas, {style.glyph, y, style.glyph, y}, text.c_str(), style, image::palette_colour(d.label));
    }
    return;
  }
  for (int32_t i = n; i-- > 0;) {
    const tern_detection& d = r.detections[i];
    if (r.corners) {
      const float* c = r.corners + 8 * (size_t)i;
      for (int k = 0; k < 4; ++k)
        image::draw_line(canvas, {c[2 * k], c[2 * k + 1]}, {c[(2 * k + 2) % 8], c[(2 * k + 3) % 8]}, style.line,
                         colour(i));
    } else if (kind != TERN_VISION_KEYPOINTS && !whole(d)) {
      image::draw_box(canvas, {d.x0, d.y0, d.x1, d.y1}, style.line, colour(i));
    }
  }
  if (r.keypoints) {
    const int32_t* pairs = nullptr;
    int32_t num = 0;
    std::vector<image::Limb> limbs;
    if (tern_vision_skeleton(vision, &pairs, &num) == TERN_OK)
      for (int32_t i = 0; i < num; ++i) limbs.push_back({pairs[2 * i], pairs[2 * i + 1]});
    for (int32_t i = n; i-- > 0;) {
      std::vector<image::Point> points;
      double x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
      for (int32_t k = 0; k < r.num_keypoints; ++k) {
        const tern_keypoint& q = r.keypoints[(size_t)i * (size_t)r.num_keypoints + (size_t)k];
        const bool seen = q.visibility >= kSeenPoint;
        points.push_back(seen ? image::Point{q.x, q.y} : image::Point{NAN, NAN});
        if (!seen) continue;
        x0 = std::min<double>(x0, q.x), y0 = std::min<double>(y0, q.y);
        x1 = std::max<double>(x1, q.x), y1 = std::max<double>(y1, q.y);
      }
      // Lines and dots as large as the thing, not the picture, asks for, and many points are small ones.
      image::DrawStyle own = style;
      const double size = std::max(x1 - x0, y1 - y0) / (0.6 * std::max(photo.width, photo.height)),
                   scale = std::clamp(size, r.num_keypoints > 100 ? 0.25 : 0.6, r.num_keypoints > 100 ? 0.4 : 1.0);
      own.line *= scale;
      own.dot *= scale;
      image::draw_skeleton(canvas, points, limbs, own, image::palette_colour(i));
    }
  }
  if (kind == TERN_VISION_KEYPOINTS || kind == TERN_VISION_EMBEDDER) return;
  for (int32_t i = n; i-- > 0;) {
    const tern_detection& d = r.detections[i];
    const std::string text = r.texts ? line_tag(r, i) : label_text(vision, d.label) + " " + percent((double)d.score);
    image::DrawStyle own = style;
    if (r.texts) own.glyph *= std::clamp((d.x1 - d.x0) / image::text_width(text.c_str(), style.glyph), 0.5, 1.0);
    // A line that its neighbours leave no room for its words gets its number: nothing that was read is hidden.
    std::string shown = text;
    if (r.texts) {
      const image::Box tag = image::label_box(canvas, {d.x0, d.y0, d.x1, d.y1}, text.c_str(), own);
      for (int32_t k = 0; k < n && shown == text; ++k) {
        const tern_detection& o = r.detections[k];
        if (std::min<double>(o.x1, tag.x1) - std::max<double>(o.x0, tag.x0) > 1 &&
            std::min<double>(o.y1, tag.y1) - std::max<double>(o.y0, tag.y0) > 1)
          shown = std::to_string(i + 1), own.glyph = 0.6 * style.glyph;
      }
    }
    image::draw_label(canvas, {d.x0, d.y0, d.x1, d.y1}, shown.c_str(), own, colour(i));
  }
}

std::vector<uint8_t> mask_values(const tern_vision* vision, const tern_vision_result& r) {
  std::vector<uint8_t> values((size_t)r.width * (size_t)r.height);
  if (r.class_map) std::copy_n(r.class_map, values.size(), values.begin());
  if (!r.masks) return values;
  const bool soft = tern_vision_get_kind(vision) == TERN_VISION_SEGMENTER;
  for (int32_t i = std::min(r.num_detections, 255); i-- > 0;) {
    const tern_mask& m = r.masks[i];
    for (int32_t y = 0; y < m.height; ++y)
      for (int32_t x = 0; x < m.width; ++x) {
        const uint8_t v = m.pixels[(size_t)y * (size_t)m.width + (size_t)x];
        uint8_t& out = values[(size_t)(m.y + y) * (size_t)r.width + (size_t)(m.x + x)];
        if (soft) out = v;
        else if (v >= 128) out = (uint8_t)(i + 1);
      }
  }
  return values;
}

void print_result(const tern_vision* vision, const tern_vision_result& r) {
  const int32_t kind = tern_vision_get_kind(vision);
  if (r.class_map) {
    for (const auto& [label, area] : class_areas(r))
      std::printf("  %-20s %3.0f %% of the picture\n", label_text(vision, label).c_str(),
                  100.0 * (double)area / ((double)r.width * r.height));
    return;
  }
  for (int32_t i = 0; i < r.num_detections; ++i) {
    const tern_detection& d = r.detections[i];
    if (r.texts) {
      std::printf("  %3d  %3.0f %%  %s\n", i + 1, (double)d.score * 100, printable(r.texts[i], 1000).c_str());
      continue;
    }
    if (kind == TERN_VISION_EMBEDDER && !tern_vision_label(vision, d.label)) std::printf("  ");
    else std::printf("  %-20s", label_text(vision, d.label).c_str());
    if (kind == TERN_VISION_SEGMENTER && r.masks) {
      std::printf(" %3.0f %% of the picture\n", 100.0 * (double)mask_area(r.masks[i]) / ((double)r.width * r.height));
      continue;
    }
    std::printf(" %3.0f %%", (double)d.score * 100);
    if (kind != TERN_VISION_CLASSIFIER && kind != TERN_VISION_EMBEDDER)
      std::printf("  left %.0f, top %.0f, right %.0f, bottom %.0f", (double)d.x0, (double)d.y0, (double)d.x1,
                  (double)d.y1);
    if (r.masks) std::printf("; %lld pixels", (long long)mask_area(r.masks[i]));
    if (r.keypoints) {
      const tern_keypoint* p = r.keypoints + (size_t)i * (size_t)r.num_keypoints;
      const auto seen =
          std::count_if(p, p + r.num_keypoints, [](const tern_keypoint& q) { return q.visibility >= kSeenPoint; });
      std::printf("; %lld of %d key points seen", (long long)seen, r.num_keypoints);
    }
    if (r.embeddings) std::printf("; %d numbers", r.embedding_size);
    std::printf("\n");
  }
}

void add_result(const tern_vision* vision, const tern_vision_result& r, Json* json) {
  Json& j = *json;
  j.begin_list("detections");
  for (int32_t i = 0; i < r.num_detections; ++i) {
    const tern_detection& d = r.detections[i];
    j.begin_object();
    if (r.texts) j.add("text", r.texts[i]);
    else j.add("label", label_text(vision, d.label)).add("class", d.label);
    j.add("score", (double)d.score).add_numbers("box", {d.x0, d.y0, d.x1, d.y1});
    if (r.corners) {
      const float* c = r.corners + 8 * (size_t)i;
      j.add_numbers("corners", std::vector<double>(c, c + 8));
    }
    if (r.keypoints) {
      j.begin_list("keypoints");
      for (int32_t k = 0; k < r.num_keypoints; ++k) {
        const tern_keypoint& q = r.keypoints[(size_t)i * (size_t)r.num_keypoints + (size_t)k];
        j.begin_object();
        if (const char* name = tern_vision_keypoint_name(vision, k)) j.add("name", name);
        j.add_numbers("at", {q.x, q.y, q.z}).add("visibility", (double)q.visibility).end();
      }
      j.end();
    }
    if (r.masks) j.add("pixels", mask_area(r.masks[i]));
    if (r.embeddings) {
      const float* e = r.embeddings + (size_t)i * (size_t)r.embedding_size;
      j.add_numbers("embedding", std::vector<double>(e, e + r.embedding_size));
    }
    j.end();
  }
  j.end();
  if (!r.class_map) return;
  j.begin_list("classes");
  for (const auto& [label, area] : class_areas(r))
    j.begin_object().add("label", label_text(vision, label)).add("class", label).add("pixels", area).end();
  j.end();
}

std::shared_ptr<const tern_vision_result> copy_result(const tern_vision_result& r) {
  struct Copy {
    tern_vision_result view;
    std::vector<tern_detection> detections;
    std::vector<float> corners, embeddings;
    std::vector<tern_keypoint> keypoints;
    std::vector<tern_mask> masks;
    std::vector<std::vector<uint8_t>> pixels;
    std::vector<std::string> texts;
    std::vector<const char*> text_pointers;
    std::vector<uint8_t> class_map;
  };
  auto c = std::make_shared<Copy>();
  c->view = r;
  const size_t n = (size_t)r.num_detections;
  const auto take = [](auto* list, auto* view, size_t count) {
    if (!*view) return;
    list->assign(*view, *view + count);
    *view = list->data();
  };
  take(&c->detections, &c->view.detections, n);
  take(&c->corners, &c->view.corners, 8 * n);
  take(&c->keypoints, &c->view.keypoints, n * (size_t)r.num_keypoints);
  take(&c->embeddings, &c->view.embeddings, n * (size_t)r.embedding_size);
  take(&c->masks, &c->view.masks, n);
  for (tern_mask& m : c->masks) {
    c->pixels.emplace_back(m.pixels, m.pixels + (size_t)m.width * (size_t)m.height);
    m.pixels = c->pixels.back().data();
  }
  if (r.texts) {
    for (size_t i = 0; i < n; ++i) c->texts.push_back(r.texts[i]);
    for (const std::string& t : c->texts) c->text_pointers.push_back(t.c_str());
    c->view.texts = c->text_pointers.data();
  }
  take(&c->class_map, &c->view.class_map, (size_t)r.width * (size_t)r.height);
  return {c, &c->view};
}

}  // namespace tern::cli
