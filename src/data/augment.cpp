// SPDX-License-Identifier: Apache-2.0
// Pixels move by whole ones, so nothing is sampled anew: a copy of rows, and one pass for the brightness.
#include "data/augment.h"

#include <algorithm>
#include <cstring>

#include "data/random.h"

namespace tern::data {

tern_status check_augmentation(const Source& source, const Augmentation& a) {
  if (a.field < 0 || a.field >= (int32_t)source.fields.size())
    return TERN_FAIL(TERN_ERR_INDEX, "field %d: there are %zu", a.field, source.fields.size());
  const Field& f = source.fields[(size_t)a.field];
  if (f.content != Content::array || f.shape.rank != 3 || (f.dtype != TERN_DTYPE_U8 && f.dtype != TERN_DTYPE_F32))
    return TERN_FAIL(TERN_ERR_SHAPE, "field '%s' is %s %s, pictures are u8 or f32 [height, width, channels]",
                     f.name.c_str(), dtype_name(f.dtype), to_string(f.shape).c_str());
  const auto within = [](float v, float most) { return v >= 0 && v <= most; };  // false for NaN
  if (!within(a.flip, 1) || !within(a.brightness, 1) || !within(a.contrast, 1) ||
      !(a.fill >= -1e30f && a.fill <= 1e30f))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "flip, brightness and contrast are from 0 to 1, fill is a number");
  if (a.shift < 0 || a.shift >= std::min(f.shape[0], f.shape[1]))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "shift is %d pixels, the pictures have %" PRId64 " x %" PRId64, a.shift,
                     f.shape[1], f.shape[0]);
  return TERN_OK;
}

namespace {

enum Draw : uint64_t { kFlip, kShiftX, kShiftY, kBrightness, kContrast, kDraws };

template <class T>
T cut(double v) {
  if constexpr (sizeof(T) == 1) return (T)std::clamp(v + 0.5, 0.0, 255.0);
  else return (T)v;
}

// Row y is row y + dy of the source, x likewise, mirrored after that.
template <class T>
void move(const T* from, const Shape& s, int64_t dx, int64_t dy, bool flip, T fill, T* to) {
  const int64_t height = s[0], width = s[1], channels = s[2];
  std::fill(to, to + s.elements(), fill);
  for (int64_t y = std::max<int64_t>(0, -dy); y < std::min(height, height - dy); ++y) {
    const T* row = from + (y + dy) * width * channels;
    T* out = to + y * width * channels;
    for (int64_t x = std::max<int64_t>(0, -dx); x < std::min(width, width - dx); ++x)
      std::memcpy(out + (flip ? width - 1 - x : x) * channels, row + (x + dx) * channels, (size_t)channels * sizeof(T));
  }
}

template <class T>
void change(const Augmentation& a, const Shape& s, uint64_t key, uint64_t place, T* picture,
            std::vector<uint8_t>* spare) {
  const auto draw = [&](Draw d) { return random_unit(key, place * kDraws + d); };
  const int64_t n = s.elements(), steps = 2 * (int64_t)a.shift + 1;
  const bool flip = draw(kFlip) < (double)a.flip;
  const int64_t dx = (int64_t)(draw(kShiftX) * (double)steps) - a.shift;
  const int64_t dy = (int64_t)(draw(kShiftY) * (double)steps) - a.shift;
  if (flip || dx || dy) {
    spare->resize((size_t)n * sizeof(T));
    std::memcpy(spare->data(), picture, (size_t)n * sizeof(T));
    move(reinterpret_cast<const T*>(spare->data()), s, dx, dy, flip, cut<T>((double)a.fill), picture);
  }
  if (a.brightness == 0 && a.contrast == 0) return;
  const double brightness = 1 + (double)a.brightness * (2 * draw(kBrightness) - 1);
  const double contrast = 1 + (double)a.contrast * (2 * draw(kContrast) - 1);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += (double)picture[i];
  const double scale = brightness * contrast, offset = sum / (double)n * brightness * (1 - contrast);
  for (int64_t i = 0; i < n; ++i) picture[i] = cut<T>((double)picture[i] * scale + offset);
}

}  // namespace

void augment(const Augmentation& a, const Field& field, uint64_t key, uint64_t place, void* picture,
             std::vector<uint8_t>* spare) {
  if (field.dtype == TERN_DTYPE_U8) change(a, field.shape, key, place, static_cast<uint8_t*>(picture), spare);
  else change(a, field.shape, key, place, static_cast<float*>(picture), spare);
}

}  // namespace tern::data
