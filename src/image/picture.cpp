// SPDX-License-Identifier: Apache-2.0
#include "image/picture.h"

#include "base/checked.h"
#include "base/status.h"

namespace tern::image {
namespace {

struct FormatFacts {
  const char* name;
  int32_t planes;
  int32_t pixel_bytes;   // of plane 0
  int32_t chroma_bytes;  // of one sample or pair in the planes 1 and 2
};

constexpr FormatFacts kFormats[] = {
    {"RGB8", 1, 3, 0}, {"BGR8", 1, 3, 0}, {"RGBA8", 1, 4, 0}, {"GREY8", 1, 1, 0},
    {"NV12", 2, 1, 2}, {"NV21", 2, 1, 2}, {"I420", 3, 1, 1},  {"BGRA8", 1, 4, 0},
};

tern_status check_plane(const Picture& p, const FormatFacts& facts, int32_t i) {
  const int32_t columns = i == 0 ? p.width : (p.width + p.block_x + 1) / 2;
  const int32_t rows = i == 0 ? p.height : (p.height + p.block_y + 1) / 2;
  const size_t row_bytes = size_t(columns) * size_t(i == 0 ? facts.pixel_bytes : facts.chroma_bytes);
  if (p.plane[i] == nullptr)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: plane %d of %s is NULL", i, facts.name);
  if (p.stride[i] < row_bytes)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "picture: stride of plane %d is %zu bytes, but a row of %d %s pixels has %zu", i, p.stride[i],
                     p.width, facts.name, row_bytes);
  size_t bytes = 0;
  if (!checked_mul(p.stride[i], size_t(rows), &bytes) || bytes > size_t(PTRDIFF_MAX))
    return TERN_FAIL(TERN_ERR_LIMIT, "picture: plane %d with a stride of %zu bytes and %d rows is too large", i,
                     p.stride[i], rows);
  return TERN_OK;
}

}  // namespace

tern_status check_picture(const Picture& p) {
  const int32_t format = int32_t(p.format);
  if (format < 0 || format >= int32_t(sizeof kFormats / sizeof kFormats[0]))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: unknown format %d", format);
  const FormatFacts& facts = kFormats[format];
  if (p.width <= 0 || p.height <= 0)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: size %d x %d; both must be at least 1", p.width, p.height);
  if (p.width > kMaxSide || p.height > kMaxSide)
    return TERN_FAIL(TERN_ERR_LIMIT, "picture: size %d x %d; at most %d pixels a side", p.width, p.height, kMaxSide);
  if (p.rotation != 0 && p.rotation != 90 && p.rotation != 180 && p.rotation != 270)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: rotation %d; only 0, 90, 180 and 270 are possible",
                     p.rotation);
  if (p.matrix != Matrix::kBt601 && p.matrix != Matrix::kBt709)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: unknown matrix %d", int32_t(p.matrix));
  if (p.range != Range::kLimited && p.range != Range::kFull)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: unknown range %d", int32_t(p.range));
  if (p.alpha != Alpha::kStraight && p.alpha != Alpha::kPremultiplied && p.alpha != Alpha::kIgnored)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: unknown kind of alpha %d", int32_t(p.alpha));
  if (p.block_x < 0 || p.block_x > 1 || p.block_y < 0 || p.block_y > 1)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: place %d, %d in a block of 2 x 2", p.block_x, p.block_y);
  for (int32_t i = 0; i < facts.planes; ++i) TERN_TRY(check_plane(p, facts, i));
  return TERN_OK;
}

tern_status cut_picture(const Region& r, Picture* p) {
  if (r.x < 0 || r.y < 0 || r.width < 1 || r.height < 1 || r.x >= p->width || r.y >= p->height ||
      r.width > p->width - r.x || r.height > p->height - r.y)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "picture: the region of %d x %d pixels at (%d, %d) is not within %d x %d pixels", r.width,
                     r.height, r.x, r.y, p->width, p->height);
  const FormatFacts& facts = kFormats[int32_t(p->format)];
  p->plane[0] += size_t(r.y) * p->stride[0] + size_t(r.x) * size_t(facts.pixel_bytes);
  const int32_t x = p->block_x + r.x, y = p->block_y + r.y;
  for (int32_t i = 1; i < facts.planes; ++i)
    p->plane[i] += size_t(y / 2) * p->stride[i] + size_t(x / 2) * size_t(facts.chroma_bytes);
  p->block_x = x % 2;
  p->block_y = y % 2;
  p->width = r.width;
  p->height = r.height;
  return TERN_OK;
}

const YuvFactors& yuv_factors(Matrix matrix, Range range) {
  static constexpr YuvFactors kFactors[2][2] = {
      {{16, 9539, 13075, 3209, 6660, 16525}, {0, 8192, 11485, 2819, 5850, 14516}},
      {{16, 9539, 14686, 1747, 4366, 17305}, {0, 8192, 12901, 1535, 3835, 15201}},
  };
  return kFactors[int32_t(matrix)][int32_t(range)];
}

Size upright_size(const Picture& p) {
  if (p.rotation == 90 || p.rotation == 270) return {p.height, p.width};
  return {p.width, p.height};
}

}  // namespace tern::image
