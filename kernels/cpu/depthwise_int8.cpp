// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/depthwise_int8.h"

#include "kernels/cpu/int8_ending.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kBlock = (int)kDepthwiseInt8Block, kHalf = (int)kInt8Panel;

// Kept out of line and small: what runs once a row or less would fill the code of every loop that it is in.
#define TERN_APART __attribute__((noinline, cold))

// The ending of up to 64 channels, with the sums that each pixel starts from.
struct Part {
  Finish halves[2];
  alignas(64) int32_t first[kBlock];
  int n;

  TERN_APART Part(const DepthwiseInt8Args& a, int64_t channel, int most, const int32_t* w_sums) : n(0) {
    const int32_t zero = (a.x_zero ? *a.x_zero : 0) + sign_of(a.x_dtype).moved;
    const int64_t left = a.window.in_c - channel < most ? a.window.in_c - channel : most;
    for (int i = 0; i < left; i += kHalf) {
      halves[i / kHalf].set(a.ending, channel + i, left - i < kHalf ? (int)(left - i) : kHalf);
      n += halves[i / kHalf].n;
    }
    for (int i = 0; i < n; ++i)
      first[i] = wrap_sub(halves[i / kHalf].bias[i % kHalf], wrap_mul(zero, w_sums[channel + i]));
    for (int i = n; i < kBlock; ++i) first[i] = 0;
  }
  TERN_APART void store(const int32_t* sums, void* y, int64_t at) const {
    for (int i = 0; i < n; i += kHalf) halves[i / kHalf].store(sums + i, y, at + i);
  }
};

// Where the taps of one output row read, pixel by pixel.
struct Taps {
  const uint8_t** at;
  int64_t* step;
  const uint8_t* pad;  // a pixel of the padding
  int64_t count;       // a multiple of 4

  // For output `ox` of an output row, from channel `channel` on; `width` pixels are computed at once.
  TERN_APART void seek(const DepthwiseInt8Args& a, int64_t row, int64_t ox, int64_t channel, int width) {
    const Int8Window& w = a.window;
    const int64_t y0 = row % w.out_h * w.stride_h - w.pad_top, x0 = ox * w.stride_w - w.pad_left;
    const uint8_t* picture = (const uint8_t*)a.x + row / w.out_h * w.in_h * w.in_w * w.in_c + channel;
    const int64_t columns = depthwise_int8_row(w.kernel_w), each = width * w.stride_w * w.in_c;
    int64_t t = 0;
    for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
      const int64_t iy = y0 + ky * w.dilation_h;
      const bool in_rows = iy >= 0 && iy < w.in_h;
      for (int64_t kx = 0; kx < columns; ++kx, ++t) {
        const int64_t ix = x0 + kx * w.dilation_w;
        const bool there = in_rows && ix >= 0 && ix < w.in_w;
        at[t] = there ? picture + (iy * w.in_w + ix) * w.in_c : pad + channel;
        step[t] = there ? each : 0;
      }
    }
    for (; t < count; ++t) at[t] = pad + channel, step[t] = 0;
  }
  void advance() {
    for (int64_t t = 0; t < count; ++t) at[t] += step[t];
  }
};

// Calls pixels(row, ox) for each `width` outputs of rows [begin, end), with the taps where they read for the first.
template <int width, class F>
TERN_INLINE void each_pixel(const DepthwiseInt8Args& a, Taps& taps, int64_t begin, int64_t end, int64_t channel,
                            F pixels) {
  const Int8Window& w = a.window;
  // From outputs [inner, outer) on no column of the padding is read.
  const int64_t room = w.in_w - 1 - (depthwise_int8_row(w.kernel_w) - 1) * w.dilation_w + w.pad_left;
  const int64_t inner = (w.pad_left + w.stride_w - 1) / w.stride_w, outer = room < 0 ? 0 : room / w.stride_w + 1;
  for (int64_t row = begin; row < end; ++row)
    for (int64_t ox = 0; ox < w.out_w; ox += width) {
      if (ox - width >= inner && ox < outer) taps.advance();
      else taps.seek(a, row, ox, channel, width);
      pixels(row, ox);
    }
}

#if TERN_SIMD_XSIMD && defined(__x86_64__)

// Rounded to whole numbers, at most `high`.
template <int N>
TERN_INLINE Bytes<N> whole(Bytes<N> sums, const float* scale, const float* shift, float high) {
#if defined(__AVX512BW__)
  if constexpr (N == 32) {
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scale));
    if (shift) v = _mm256_add_ps(v, _mm256_loadu_ps(shift));
    v = _mm256_min_ps(v, _mm256_set1_ps(high));
    return _mm256_cvtps_epi32(_mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
#endif
  if constexpr (N == kBytes) {
    VecI s;
    memcpy(&s, &sums, sizeof s);
    Vec v = to_float(s) * load(scale);
    if (shift) v = v + load(shift);
    const VecI c = rounded_below(v, splat(high));
    Bytes<N> r;
    memcpy(&r, &c, sizeof r);
    return r;
  }
}
template <class V>
TERN_INLINE V splat_int(int32_t x) {
  if constexpr (sizeof(V) == 64) return _mm512_set1_epi32(x);
  else if constexpr (sizeof(V) == 32) return _mm256_set1_epi32(x);
  else return _mm_set1_epi32(x);
}
template <class V>
TERN_INLINE V flip_bits(V a, V b) {
  if constexpr (sizeof(V) == 64) return _mm512_xor_si512(a, b);
  else if constexpr (sizeof(V) == 32) return _mm256_xor_si256(a, b);
  else return _mm_xor_si128(a, b);
}
template <class V>
TERN_INLINE V splat_word(int32_t x) {
  return splat_int<V>((int32_t)(((uint32_t)x & 0xffffu) * 0x10001u));
}
// Codes of x + zero, at least `least`, both as 16 bits; lane by lane of 16 bytes the ints of x[0] to x[3].
template <class V>
TERN_INLINE V pack_codes(const V (&x)[4], V zero, V least, bool is_signed) {
  if constexpr (sizeof(V) == 64) {
    const V a = _mm512_max_epi16(_mm512_adds_epi16(_mm512_packs_epi32(x[0], x[1]), zero), least);
    const V b = _mm512_max_epi16(_mm512_adds_epi16(_mm512_packs_epi32(x[2], x[3]), zero), least);
    return is_signed ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b);
  } else if constexpr (sizeof(V) == 32) {
    const V a = _mm256_max_epi16(_mm256_adds_epi16(_mm256_packs_epi32(x[0], x[1]), zero), least);
    const V b = _mm256_max_epi16(_mm256_adds_epi16(_mm256_packs_epi32(x[2], x[3]), zero), least);
    return is_signed ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b);
  } else {
    const V a = _mm_max_epi16(_mm_adds_epi16(_mm_packs_epi32(x[0], x[1]), zero), least);
    const V b = _mm_max_epi16(_mm_adds_epi16(_mm_packs_epi32(x[2], x[3]), zero), least);
    return is_signed ? _mm_packs_epi16(a, b) : _mm_packus_epi16(a, b);
  }
}
// Byte t of int 4 * l + e of x[j] is byte 16 * l + 4 * j + e of tap t.
template <class V>
TERN_INLINE void interleave(V a, V b, V c, V d, V (&x)[4]) {
  if constexpr (sizeof(V) == 64) {
    const V ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
    const V ab2 = _mm512_unpackhi_epi8(a, b), cd2 = _mm512_unpackhi_epi8(c, d);
    x[0] = _mm512_unpacklo_epi16(ab, cd), x[1] = _mm512_unpackhi_epi16(ab, cd);
    x[2] = _mm512_unpacklo_epi16(ab2, cd2), x[3] = _mm512_unpackhi_epi16(ab2, cd2);
  } else if constexpr (sizeof(V) == 32) {
    const V ab = _mm256_unpacklo_epi8(a, b), cd = _mm256_unpacklo_epi8(c, d);
    const V ab2 = _mm256_unpackhi_epi8(a, b), cd2 = _mm256_unpackhi_epi8(c, d);
    x[0] = _mm256_unpacklo_epi16(ab, cd), x[1] = _mm256_unpackhi_epi16(ab, cd);
    x[2] = _mm256_unpacklo_epi16(ab2, cd2), x[3] = _mm256_unpackhi_epi16(ab2, cd2);
  } else {
    const V ab = _mm_unpacklo_epi8(a, b), cd = _mm_unpacklo_epi8(c, d);
    const V ab2 = _mm_unpackhi_epi8(a, b), cd2 = _mm_unpackhi_epi8(c, d);
    x[0] = _mm_unpacklo_epi16(ab, cd), x[1] = _mm_unpackhi_epi16(ab, cd);
    x[2] = _mm_unpacklo_epi16(ab2, cd2), x[3] = _mm_unpackhi_epi16(ab2, cd2);
  }
}
// The first n bytes, 0 < n <= N; no others are touched.
template <int N>
TERN_INLINE Bytes<N> load_some(const uint8_t* p, int n) {
#if defined(__AVX512BW__)
  const uint64_t mask = n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
  if constexpr (N == 64) return _mm512_maskz_loadu_epi8((__mmask64)mask, p);
  else return _mm256_maskz_loadu_epi8((__mmask32)mask, p);
#else
  if (n >= N) return load_bytes<N>(p);
  uint8_t t[N] = {};
  memcpy(t, p, (size_t)n);
  return load_bytes<N>(t);
#endif
}
template <int N>
TERN_INLINE void store_some(uint8_t* p, Bytes<N> v, int n) {
  if (n >= N) return store_bytes(p, v);
  uint8_t t[N];
  store_bytes(t, v);
  memcpy(p, t, (size_t)n);
}

// The four bytes of each int moved up by one, behind a 0.
template <class V>
TERN_INLINE V later(V v) {
  if constexpr (sizeof(V) == 64) return _mm512_slli_epi32(v, 8);
  else if constexpr (sizeof(V) == 32) return _mm256_slli_epi32(v, 8);
  else return _mm_slli_epi32(v, 8);
}

// A part as vectors of `bytes` see it: int i of vector j is of channel i / 4 * 16 + j * 4 + i % 4.
struct Interleaved {
  alignas(64) int32_t first[kBlock];
  alignas(64) float scale[kBlock], shift[kBlock];
  int ints;

  TERN_APART Interleaved(const Part& part, int bytes) : ints(bytes / 4) {
    for (int j = 0; j < 4; ++j)
      for (int i = 0; i < ints; ++i) {
        const int c = i / 4 * 16 + j * 4 + i % 4, at = j * ints + i;
        const Finish& half = part.halves[c / kHalf];
        first[at] = part.first[c], scale[at] = half.scale[c % kHalf], shift[at] = half.shift[c % kHalf];
      }
  }
  TERN_APART void store(const Part& part, const int32_t* sums, void* y, int64_t at) const {
    int32_t ordered[kBlock];
    for (int c = 0; c < 4 * ints; ++c) ordered[c] = sums[c / 4 % 4 * ints + c / 16 * 4 + c % 4];
    part.store(ordered, y, at);
  }
};

// Output rows [begin, end) of up to N channels. width 2: what four taps of a row read serves two pixels.
template <int N, int width>
void run_part(const DepthwiseInt8Args& a, Taps& taps, int64_t begin, int64_t end, int64_t channel, const int8_t* w,
              const int32_t* w_sums) {
  using V = Bytes<N>;
  constexpr int kInts = N / 4;
  const Part part(a, channel, N, w_sums);
  const Interleaved i(part, N);
  const Finish& one = part.halves[0];
  const bool is_signed = one.y_dtype == TERN_DTYPE_I8, gives_codes = one.gives_codes();
  const int left = part.n;
  const V flip = splat_int<V>((int32_t)(sign_of(a.x_dtype).flip * 0x01010101u)), zero = splat_word<V>(one.zero),
          least = splat_word<V>(one.zero + (int32_t)one.low);
  const float* const shifts = one.shifts ? i.shift : nullptr;
  const auto put = [&](const V(&sums)[4], int64_t to) __attribute__((always_inline)) {
    if (gives_codes) {
      V c[4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        c[j] = whole<N>(sums[j], i.scale + j * kInts, shifts ? shifts + j * kInts : nullptr, one.high);
      return store_some<N>((uint8_t*)a.y + to, pack_codes(c, zero, least, is_signed), left);
    }
    alignas(64) int32_t made[4 * kInts];
    for (int j = 0; j < 4; ++j) store_bytes(made + j * kInts, sums[j]);
    i.store(part, made, a.y, to);
  };
  const auto pixels = [&](int64_t row, int64_t ox) __attribute__((always_inline)) {
    V sum[width][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sum[0][j] = load_bytes<N>(i.first + j * kInts);
      if constexpr (width == 2) sum[1][j] = sum[0][j];
    }
    const int8_t* weights = w + channel % kBlock;
    for (int64_t t = 0; t < taps.count; t += 4, weights += 4 * kBlock) {
      V x[4];
      const auto tap = [&](int64_t k) __attribute__((always_inline)) {
        return flip_bits(load_some<N>(taps.at[t + k], left), flip);
      };
      interleave(tap(0), tap(1), tap(2), tap(3), x);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const V v = load_bytes<N>(weights + j * kBlock);
        const auto four = Dot::activations(x[j]);
        Dot::add(sum[0][j], four, Dot::weights(v));
        if constexpr (width == 2) Dot::add(sum[1][j], four, Dot::weights(later(v)));
      }
    }
    const int64_t to = (row * a.window.out_w + ox) * a.y_stride + channel;
    put(sum[0], to);
    if constexpr (width == 2)
      if (ox + 1 < a.window.out_w) put(sum[1], to + a.y_stride);
  };
  each_pixel<width>(a, taps, begin, end, channel, pixels);
}

template <int width>
void run_parts(const DepthwiseInt8Args& a, Taps& taps, int64_t begin, int64_t end, int64_t channel, const int8_t* w,
               const int32_t* w_sums) {
  const int64_t left = a.window.in_c - channel;
#if defined(__AVX512VNNI__)
  left > 32 ? run_part<64, width>(a, taps, begin, end, channel, w, w_sums)
            : run_part<32, width>(a, taps, begin, end, channel, w, w_sums);
#else
  for (int64_t at = 0; at < kBlock && at < left; at += kBytes)
    run_part<kBytes, width>(a, taps, begin, end, channel + at, w, w_sums);
#endif
}

void run_block(const DepthwiseInt8Args& a, Taps& taps, int64_t begin, int64_t end, int64_t channel, const int8_t* w,
               const int32_t* w_sums, int8_t*) {
  const bool pairs = a.window.kernel_w == 3 && a.window.stride_w == 1 && a.window.dilation_w == 1;
  pairs ? run_parts<2>(a, taps, begin, end, channel, w, w_sums) : run_parts<1>(a, taps, begin, end, channel, w, w_sums);
}

#else

void run_block(const DepthwiseInt8Args& a, Taps& taps, int64_t begin, int64_t end, int64_t channel, const int8_t* w,
               const int32_t* w_sums, int8_t* ordered) {
  const Part finish(a, channel, kBlock, w_sums);
  const int64_t num_taps = depthwise_int8_taps(a);
  for (int64_t t = 0; t < num_taps; ++t)
    for (int c = 0; c < kBlock; ++c) ordered[t * kBlock + c] = w[depthwise_int8_at(num_taps, c, t)];
  const uint8_t flip = sign_of(a.x_dtype).flip;
  each_pixel<1>(a, taps, begin, end, channel, [&](int64_t row, int64_t ox) {
    int32_t sums[kBlock];
    memcpy(sums, finish.first, sizeof sums);
    for (int64_t t = 0; t < num_taps; ++t) {
      const uint8_t* x = taps.at[t];
      const int8_t* weights = ordered + t * kBlock;
      for (int c = 0; c < finish.n; ++c) {
        const uint8_t code = x[c] ^ flip;
        sums[c] = wrap_add(sums[c], (kUnsigned ? (int32_t)code : (int32_t)(int8_t)code) * weights[c]);
      }
    }
    finish.store(sums, a.y, (row * a.window.out_w + ox) * a.y_stride + channel);
  });
}

#endif

void depthwise(const void* args, int64_t begin, int64_t end, void* scratch) {
  const DepthwiseInt8Args& a = *(const DepthwiseInt8Args*)args;
  const int64_t num_taps = depthwise_int8_taps(a), padded = (num_taps + 3) / 4 * 4;
  const int64_t blocks = (a.window.in_c + kBlock - 1) / kBlock, block_bytes = padded * kBlock;
  Taps taps;
  taps.at = (const uint8_t**)scratch;
  taps.step = (int64_t*)scratch + padded;
  taps.count = padded;
  int8_t* ordered = (int8_t*)((int64_t*)scratch + 2 * padded);
  uint8_t* pad = (uint8_t*)ordered + block_bytes;
  memset(pad, a.x_zero ? *a.x_zero & 255 : 0, (size_t)(blocks * kBlock));
  taps.pad = pad;
  const int8_t* w = (const int8_t*)a.w;
  for (int64_t block = 0; block < blocks; ++block)
    run_block(a, taps, begin, end, block * kBlock, w + block * block_bytes, (const int32_t*)(w + blocks * block_bytes),
              ordered);
}

}  // namespace

extern const DepthwiseInt8Kernels depthwise_int8_kernels;
const DepthwiseInt8Kernels depthwise_int8_kernels = {depthwise};

}  // namespace tern::cpu::TERN_ISA
