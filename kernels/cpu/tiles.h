// SPDX-License-Identifier: Apache-2.0
// Matrix tiles (Intel AMX, 8-bit integers): eight registers of up to 16 rows of 64 bytes. Where TERN_TILES_EMULATED is
// defined they are plain memory, so that tests check the same kernels, bit for bit, on any processor. Included only by
// sources that are built once per set.
// Instructions are written out, since those of immintrin.h tell the compiler nothing of the memory that they read.
#pragma once
#include "kernels/cpu/simd.h"

#if defined(__AMX_INT8__) || defined(TERN_TILES_EMULATED)
#define TERN_TILES 1

namespace tern::cpu::TERN_ISA {

// Bytes and rows of each register, as LDTILECFG reads them.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};

#if defined(TERN_TILES_EMULATED)
struct EmulatedTiles {
  TileShapes shapes;
  uint8_t data[8][16][64];
};
inline thread_local EmulatedTiles g_tiles;

// All registers become zero.
TERN_INLINE void set_tiles(const TileShapes& s) { g_tiles = {s, {}}; }
TERN_INLINE void release_tiles() { set_tiles({}); }
// Rows lie `step` bytes apart.
template <int T>
TERN_INLINE void load_tile(const void* p, int64_t step) {
  for (int r = 0; r < g_tiles.shapes.rows[T]; ++r)
    memcpy(g_tiles.data[T][r], (const uint8_t*)p + r * step, g_tiles.shapes.bytes[T]);
}
template <int T>
TERN_INLINE void load_tile_once(const void* p, int64_t step) {
  load_tile<T>(p, step);
}
template <int T>
TERN_INLINE void store_tile(void* p, int64_t step) {
  for (int r = 0; r < g_tiles.shapes.rows[T]; ++r)
    memcpy((uint8_t*)p + r * step, g_tiles.data[T][r], g_tiles.shapes.bytes[T]);
}
// Sums C[r][i] += A[r][4 k + j] (u8) * B[k][4 i + j] (s8), which wrap.
template <int C, int A, int B>
TERN_INLINE void dot_tiles() {
  const TileShapes& s = g_tiles.shapes;
  for (int r = 0; r < s.rows[C]; ++r)
    for (int i = 0; i < s.bytes[C] / 4; ++i) {
      uint32_t sum;
      memcpy(&sum, g_tiles.data[C][r] + 4 * i, 4);
      for (int k = 0; k < s.rows[B]; ++k)
        for (int j = 0; j < 4; ++j)
          sum += (uint32_t)((int32_t)g_tiles.data[A][r][4 * k + j] * (int8_t)g_tiles.data[B][k][4 * i + j]);
      memcpy(g_tiles.data[C][r] + 4 * i, &sum, 4);
    }
}
#else
TERN_INLINE void set_tiles(const TileShapes& s) { __asm__ volatile("ldtilecfg %0" ::"m"(s)); }
TERN_INLINE void release_tiles() { __asm__ volatile("tilerelease"); }
template <int T>
TERN_INLINE void load_tile(const void* p, int64_t step) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(step), "i"(T) : "memory");
}
// What is read once does not push other lines out of the first cache.
template <int T>
TERN_INLINE void load_tile_once(const void* p, int64_t step) {
  __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(step), "i"(T) : "memory");
}
template <int T>
TERN_INLINE void store_tile(void* p, int64_t step) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(step), "i"(T) : "memory");
}
template <int C, int A, int B>
TERN_INLINE void dot_tiles() {
  __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}
#endif

}  // namespace tern::cpu::TERN_ISA
#endif
