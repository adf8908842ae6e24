// SPDX-License-Identifier: Apache-2.0
// The panel order of matrices W[n][k] (n outputs, k inputs), in files and in memory, for every instruction set:
// ceil(n/32) panels one after another; a panel is [k][width], width 32, or for the last panel n - 32*panel rounded up
// to a multiple of 8. Columns from n on are zero. A kernel reads one panel as one sequential stream.
#pragma once
#include <cstdint>

namespace tern {

inline constexpr int64_t kPanelWidth = 32;

// Width of the panel that starts at output n0.
constexpr int64_t panel_width(int64_t n, int64_t n0) {
  return n - n0 >= kPanelWidth ? kPanelWidth : (n - n0 + 7) / 8 * 8;
}

// Elements of the panel order of W[n][k], zero columns included; -1 when a size is negative or the product overflows.
constexpr int64_t panel_elements(int64_t n, int64_t k) {
  if (n < 0 || k < 0 || n > INT64_MAX - 7) return -1;
  const int64_t columns = (n + 7) / 8 * 8;
  return k != 0 && columns > INT64_MAX / k ? -1 : columns * k;
}

// Position of element [i][j] of W[n][k].
constexpr int64_t panel_index(int64_t i, int64_t j, int64_t n, int64_t k) {
  const int64_t n0 = i / kPanelWidth * kPanelWidth;
  return n0 * k + j * panel_width(n, n0) + (i - n0);
}

// row-major w[n][k] -> panels[panel_elements(n, k)]
template <class T>
void pack_panels(const T* w, int64_t n, int64_t k, T* panels) {
  for (int64_t n0 = 0; n0 < n; n0 += kPanelWidth) {
    const int64_t width = panel_width(n, n0);
    for (int64_t j = 0; j < k; ++j)
      for (int64_t i = n0; i < n0 + width; ++i) *panels++ = i < n ? w[i * k + j] : T{};
  }
}

// panels -> row-major w[n][k]
template <class T>
void unpack_panels(const T* panels, int64_t n, int64_t k, T* w) {
  for (int64_t n0 = 0; n0 < n; n0 += kPanelWidth) {
    const int64_t width = panel_width(n, n0), used = n - n0 < width ? n - n0 : width;
    for (int64_t j = 0; j < k; ++j, panels += width)
      for (int64_t i = 0; i < used; ++i) w[(n0 + i) * k + j] = panels[i];
  }
}

}  // namespace tern
