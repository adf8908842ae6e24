// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "tasks/text.h"

namespace tern {
namespace {

constexpr double kLeastSide = 3;       // cells, before a rectangle grows
constexpr double kLeastGrown = 5;      // and after it
constexpr double kLeastOnPicture = 4;  // pixels

// Cells of a row that are next to each other.
struct Run {
  int32_t y, begin, last;
  int32_t group;  // a run that came before, or itself
};

int32_t root(std::vector<Run>& runs, int32_t i) {
  while (runs[(size_t)i].group != i) i = runs[(size_t)i].group = runs[(size_t)runs[(size_t)i].group].group;
  return i;
}

// The cells above the threshold and those right of them, below them, or both: so what is next to each other, with one
// cell between at most, is a group, and a group's cells seen as points span what its first cells cover.
// The group of a run is the first of its runs.
std::vector<Run> find_runs(const float* map, int32_t width, int32_t height, double threshold) {
  std::vector<Run> runs;
  std::vector<uint8_t> above((size_t)width + 1), here((size_t)width + 1);
  size_t before = 0, row = 0;  // runs of the row above begin at `before`
  for (int32_t y = 0; y < height; ++y) {
    const float* cells = map + (size_t)y * (size_t)width;
    for (int32_t x = 0; x < width; ++x) here[(size_t)x + 1] = cells[x] > threshold;
    const auto set = [&](int32_t x) {
      const size_t i = (size_t)x;
      return (here[i] | here[i + 1] | above[i] | above[i + 1]) != 0;
    };
    before = row, row = runs.size();
    size_t next = before;
    for (int32_t x = 0; x < width; ++x) {
      if (!set(x)) continue;
      Run r{y, x, x, (int32_t)runs.size()};
      while (r.last + 1 < width && set(r.last + 1)) ++r.last;
      x = r.last;
      runs.push_back(r);
      const int32_t own = r.group;
      while (next < row && runs[next].last + 1 < r.begin) ++next;
      for (size_t k = next; k < row && runs[k].begin <= r.last + 1; ++k) {
        const int32_t a = root(runs, own), b = root(runs, (int32_t)k);
        runs[(size_t)std::max(a, b)].group = std::min(a, b);
      }
    }
    std::swap(here, above);
  }
  for (size_t i = 0; i < runs.size(); ++i) runs[i].group = root(runs, (int32_t)i);
  return runs;
}

double cross(const image::Point& o, const image::Point& a, const image::Point& b) {
  return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

// Convex hull of points that are sorted by y, then x (A. M. Andrew, 1979).
void find_hull(std::span<const image::Point> points, std::vector<image::Point>* hull) {
  hull->clear();
  for (const bool back : {false, true}) {
    const size_t base = hull->size();
    for (size_t i = 0; i < points.size(); ++i) {
      const image::Point& p = points[back ? points.size() - 1 - i : i];
      while (hull->size() >= base + 2 && cross((*hull)[hull->size() - 2], hull->back(), p) <= 0) hull->pop_back();
      hull->push_back(p);
    }
    hull->pop_back();  // begins the other half
  }
}

struct Rectangle {
  double cx, cy, ux, uy;  // middle; direction of its width
  double width, height;
};

// The smallest one: it has a side in common with the hull.
Rectangle smallest_rectangle(std::span<const image::Point> hull) {
  Rectangle best{};
  double least = HUGE_VAL;
  for (size_t i = 0; i < hull.size(); ++i) {
    const image::Point &a = hull[i], &b = hull[(i + 1) % hull.size()];
    const double length = std::hypot(b.x - a.x, b.y - a.y);
    if (!(length > 0)) continue;
    const double ux = (b.x - a.x) / length, uy = (b.y - a.y) / length;
    double u0 = HUGE_VAL, u1 = -HUGE_VAL, v0 = HUGE_VAL, v1 = -HUGE_VAL;
    for (const image::Point& p : hull) {
      const double u = p.x * ux + p.y * uy, v = p.y * ux - p.x * uy;
      u0 = std::min(u0, u), u1 = std::max(u1, u), v0 = std::min(v0, v), v1 = std::max(v1, v);
    }
    const double area = (u1 - u0) * (v1 - v0);
    if (area >= least) continue;
    least = area;
    const double u = (u0 + u1) / 2, v = (v0 + v1) / 2;
    best = {u * ux - v * uy, u * uy + v * ux, ux, uy, u1 - u0, v1 - v0};
  }
  return best;
}

void corners_of(const Rectangle& r, image::Point out[4]) {
  const double ax = r.ux * r.width / 2, ay = r.uy * r.width / 2, bx = -r.uy * r.height / 2, by = r.ux * r.height / 2;
  out[0] = {r.cx - ax - bx, r.cy - ay - by}, out[1] = {r.cx + ax - bx, r.cy + ay - by};
  out[2] = {r.cx + ax + bx, r.cy + ay + by}, out[3] = {r.cx - ax + bx, r.cy - ay + by};
}

// Clockwise from the upper left corner: of the two left ones the upper, then the upper right one.
void sort_corners(image::Point p[4]) {
  std::sort(p, p + 4, [](const image::Point& a, const image::Point& b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  if (p[0].y > p[1].y) std::swap(p[0], p[1]);
  if (p[2].y > p[3].y) std::swap(p[2], p[3]);
  const image::Point lower_left = p[1];
  p[1] = p[2], p[2] = p[3], p[3] = lower_left;
}

// Mean of the cells whose middle a convex quadrangle covers, or nearly: its edges are rounded to cells.
double mean_inside(const float* map, int32_t width, int32_t height, const image::Point p[4]) {
  double top = HUGE_VAL, bottom = -HUGE_VAL, sum = 0;
  for (int i = 0; i < 4; ++i) top = std::min(top, std::trunc(p[i].y)), bottom = std::max(bottom, std::trunc(p[i].y));
  int64_t n = 0;
  for (int32_t y = (int32_t)std::max(top, 0.0); y <= (int32_t)std::min(bottom, height - 1.0); ++y) {
    double left = HUGE_VAL, right = -HUGE_VAL;
    for (int i = 0; i < 4; ++i) {
      const double ax = std::trunc(p[i].x), ay = std::trunc(p[i].y), bx = std::trunc(p[(i + 1) % 4].x),
                   by = std::trunc(p[(i + 1) % 4].y);
      if (y < std::min(ay, by) || y > std::max(ay, by)) continue;
      const double x = ay == by ? ax : ax + (bx - ax) * (y - ay) / (by - ay);
      left = std::min({left, x, ay == by ? bx : x}), right = std::max({right, x, ay == by ? bx : x});
    }
    for (int32_t x = (int32_t)std::max(std::round(left), 0.0); x <= std::min(std::round(right), width - 1.0); ++x, ++n)
      sum += map[(size_t)y * (size_t)width + (size_t)x];
  }
  return n > 0 ? sum / (double)n : 0;
}

}  // namespace

std::vector<size_t> reading_order(std::span<const TextBox> boxes) {
  // By quarters clockwise: how each line runs, and with it most of the page.
  std::vector<int> quarters;
  double lengths[4] = {};
  for (const TextBox& b : boxes) {
    const double dx = b.corners[1].x - b.corners[0].x, dy = b.corners[1].y - b.corners[0].y;
    quarters.push_back(std::fabs(dx) >= std::fabs(dy) ? (dx < 0 ? 2 : 0) : (dy < 0 ? 3 : 1));
    lengths[quarters.back()] += b.width();
  }
  const double half = (lengths[0] + lengths[1] + lengths[2] + lengths[3]) / 2;
  const int page = lengths[1] > half ? 1 : lengths[2] > half ? 2 : lengths[3] > half ? 3 : 0;
  // The upper left corner of each, seen with the page upright.
  std::vector<image::Point> at;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const image::Point& p = boxes[i].corners[(page - quarters[i] + 4) % 4];
    at.push_back(page == 0   ? p
                 : page == 1 ? image::Point{p.y, -p.x}
                 : page == 2 ? image::Point{-p.x, -p.y}
                             : image::Point{-p.y, p.x});
  }
  std::vector<size_t> order(boxes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return at[a].y < at[b].y; });
  // Boxes whose tops differ by less than half of a line are in one row.
  for (size_t i = 1; i < order.size(); ++i)
    for (size_t k = i; k > 0; --k) {
      const size_t a = order[k - 1], b = order[k];
      const double line = std::min({boxes[a].width(), boxes[a].height(), boxes[b].width(), boxes[b].height()});
      if (at[b].y - at[a].y >= line / 2 || at[b].x >= at[a].x) break;
      std::swap(order[k - 1], order[k]);
    }
  return order;
}

void add_text_box(const TextBox& box, float score, ResultLists* lists) {
  image::Box around{HUGE_VAL, HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
  for (const image::Point& p : box.corners) {
    lists->corners.push_back((float)p.x), lists->corners.push_back((float)p.y);
    around = {std::min(around.x0, p.x), std::min(around.y0, p.y), std::max(around.x1, p.x), std::max(around.y1, p.y)};
  }
  lists->add_detection(around, score, 0);
}

void find_text(const float* map, int32_t width, int32_t height, const TextMapRules& rules, std::vector<TextBox>* out) {
  out->clear();
  const std::vector<Run> runs = find_runs(map, width, height, rules.threshold);
  // Runs group by group, each from top to bottom and left to right.
  std::vector<int32_t> order(runs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return runs[(size_t)a].group < runs[(size_t)b].group; });
  std::vector<image::Point> points, hull;
  for (size_t i = 0; i < order.size();) {
    const int32_t group = runs[(size_t)order[i]].group;
    points.clear();
    for (; i < order.size() && runs[(size_t)order[i]].group == group; ++i) {
      const Run& r = runs[(size_t)order[i]];
      points.push_back({(double)r.begin, (double)r.y});
      if (r.last > r.begin) points.push_back({(double)r.last, (double)r.y});
    }
    find_hull(points, &hull);
    Rectangle r = smallest_rectangle(hull);
    if (std::min(r.width, r.height) < kLeastSide) continue;
    TextBox box;
    corners_of(r, box.corners);
    const double score = mean_inside(map, width, height, box.corners);
    if (!(score >= rules.min_score)) continue;
    const double grow = r.width * r.height * rules.unclip / (2 * (r.width + r.height));
    r.width += 2 * grow, r.height += 2 * grow;
    if (std::min(r.width, r.height) < kLeastGrown) continue;
    corners_of(r, box.corners);
    box.score = (float)std::min(score, 1.0);
    out->push_back(box);
  }
  if (out->size() <= rules.most) return;
  std::stable_sort(out->begin(), out->end(), [](const TextBox& a, const TextBox& b) { return a.score > b.score; });
  out->resize(rules.most);
}

tern_status TextFinder::create(TaskNetwork network, const VisionOptions& options, bool with_reader,
                               std::unique_ptr<TextFinder>* out) {
  std::unique_ptr<TextFinder> f(new TextFinder(std::move(network)));
  const TaskMetadata& m = f->network_.metadata();
  f->map_ = m.output("output.mask");
  TERN_TRY(check_output(f->network_, "output.mask", f->map_, -1));
  f->rules_.threshold = m.number("text.threshold"), f->rules_.unclip = m.number("text.unclip");
  if (m.has("result.score")) f->rules_.min_score = m.number("result.score");
  if (m.has("result.max")) f->rules_.most = (size_t)m.integer("result.max");
  if (!with_reader && options.min_score > 0) f->rules_.min_score = options.min_score;
  if (!with_reader && options.max_results > 0) f->rules_.most = (size_t)options.max_results;
  return *out = std::move(f), TERN_OK;
}

tern_status TextFinder::run(const image::Picture& picture, const RunControl& control, std::vector<TextBox>* out) {
  image::Mapping mapping;
  PictureInput& input = network_.input();
  TERN_TRY(input.map_whole(picture, &mapping));
  TERN_TRY(input.fill(picture, mapping));
  TERN_TRY(network_.run(control));
  const Tensor& t = network_.output(map_);
  const Shape& s = t.shape();
  // [..., height, width], or [..., height, width, 1].
  const int x = s.rank > 2 && s[s.rank - 1] == 1 ? s.rank - 2 : s.rank - 1;
  if (x < 1 || s.elements() != s[x] * s[x - 1] || s.elements() < 1 || std::max(s[x], s[x - 1]) > image::kMaxSide)
    return TERN_FAIL(TERN_ERR_SHAPE, "the map of text is %s; one number a pixel is needed", to_string(s).c_str());
  const int32_t width = (int32_t)s[x], height = (int32_t)s[x - 1];
  find_text((const float*)t.data(), width, height, rules_, out);
  const image::Size size = image::upright_size(picture);
  const double sx = (double)input.width() / width, sy = (double)input.height() / height;
  for (TextBox& box : *out) {
    for (image::Point& p : box.corners) p = model_to_upright(mapping, {p.x * sx, p.y * sy});
    sort_corners(box.corners);
    // What lies as the picture does can be cut at its border and stays a rectangle.
    image::Point* p = box.corners;
    if (std::fabs(p[0].y - p[1].y) > 1e-6 * size.height || std::fabs(p[0].x - p[3].x) > 1e-6 * size.width) continue;
    for (int i = 0; i < 4; ++i)
      p[i] = {std::clamp(p[i].x, 0.0, (double)size.width), std::clamp(p[i].y, 0.0, (double)size.height)};
  }
  std::erase_if(*out, [&](const TextBox& b) { return std::min(b.width(), b.height()) < kLeastOnPicture; });
  return TERN_OK;
}

}  // namespace tern
