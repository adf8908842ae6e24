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
    {"NV12", 2, 1, 2}, {"NV21", 2, 1, 2}, {"I420", 3, 1, 1},
};

tern_status check_plane(const Picture& p, const FormatFacts& facts, int32_t i) {
  const int32_t columns = i == 0 ? p.width : p.width / 2;
  const int32_t rows = i == 0 ? p.height : p.height / 2;
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
  if (facts.planes > 1 && (p.width % 2 != 0 || p.height % 2 != 0))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: size %d x %d; %s needs an even width and height", p.width,
                     p.height, facts.name);
  if (p.rotation != 0 && p.rotation != 90 && p.rotation != 180 && p.rotation != 270)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "picture: rotation %d; only 0, 90, 180 and 270 are possible",
                     p.rotation);
  for (int32_t i = 0; i < facts.planes; ++i) TERN_TRY(check_plane(p, facts, i));
  return TERN_OK;
}

Size upright_size(const Picture& p) {
  if (p.rotation == 90 || p.rotation == 270) return {p.height, p.width};
  return {p.width, p.height};
}

}  // namespace tern::image
