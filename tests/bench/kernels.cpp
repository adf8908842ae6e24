// SPDX-License-Identifier: Apache-2.0
// Speed of the dense CPU kernels on layers of real networks, one thread, next to the multiply-add peak of the same
// minute.
//   kernels [isa] [name filter]      e.g. kernels avx2 depthwise
// Each figure is the best of several rounds; f32 and f16 weights take turns, so that a busy machine hits both.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/float16.h"
#include "base/panel.h"
#include "kernels/cpu/dispatch.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {
using namespace tern;
using namespace tern::cpu;

double now() {  // this thread's time on a processor: what others run meanwhile does not count
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// GFLOP/s of multiply-adds that stay in registers, with the vectors of the set in use. A macro, because a function for
// an instruction set cannot be a template of intrinsics.
#define TERN_PEAK(name, attribute, reg, V, zero, one, fma)                                                  \
  attribute double name() {                                                                                 \
    V a0 = zero, a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0, a9 = a0, x = one;  \
    const double start = now();                                                                             \
    double end = start, n = 0;                                                                              \
    for (; (end = now()) - start < 2e-3; n += 20000)                                                        \
      for (int r = 0; r < 20000; ++r) {                                                                     \
        a0 = fma(x, x, a0), a1 = fma(x, x, a1), a2 = fma(x, x, a2), a3 = fma(x, x, a3), a4 = fma(x, x, a4); \
        a5 = fma(x, x, a5), a6 = fma(x, x, a6), a7 = fma(x, x, a7), a8 = fma(x, x, a8), a9 = fma(x, x, a9); \
        __asm__ volatile("" : "+" reg(a0), "+" reg(a1), "+" reg(a2), "+" reg(a3), "+" reg(a4));             \
        __asm__ volatile("" : "+" reg(a5), "+" reg(a6), "+" reg(a7), "+" reg(a8), "+" reg(a9), "+" reg(x)); \
      }                                                                                                     \
    return n * 10 * 2 * (sizeof(V) / 4) / (end - start) * 1e-9;                                             \
  }
#if defined(__x86_64__)
__m128 fma_sse(__m128 a, __m128 b, __m128 c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
TERN_PEAK(peak_avx512, [[gnu::target("avx512f")]], "v", __m512, _mm512_setzero_ps(), _mm512_set1_ps(0.5f),
          _mm512_fmadd_ps)
TERN_PEAK(peak_avx2, [[gnu::target("avx2,fma")]], "x", __m256, _mm256_setzero_ps(), _mm256_set1_ps(0.5f),
          _mm256_fmadd_ps)
TERN_PEAK(peak_sse, , "x", __m128, _mm_setzero_ps(), _mm_set1_ps(0.5f), fma_sse)
double peak() {
  const int bytes = kernels().vector_bytes;
  return bytes == 64 ? peak_avx512() : bytes == 32 ? peak_avx2() : peak_sse();
}
#elif defined(__aarch64__)
TERN_PEAK(peak, , "w", float32x4_t, vdupq_n_f32(0), vdupq_n_f32(0.5f),
          [](auto a, auto b, auto c) { return vfmaq_f32(c, a, b); })
#else
double peak() { return __builtin_nan(""); }
#endif

struct Buffer {  // 64-byte aligned, random
  explicit Buffer(int64_t floats, float low = -0.5f)
      : n(floats), p((float*)std::aligned_alloc(64, ((size_t)floats * 4 + 127) / 64 * 64)) {
    uint32_t state = 12345;
    for (int64_t i = 0; i < n; ++i) state = state * 1664525u + 1013904223u, p[i] = low + (float)(state >> 8) * 0x1p-24f;
  }
  ~Buffer() { std::free(p); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  int64_t n;
  float* p;
};

struct Half {
  explicit Half(const Buffer& b) : p((uint16_t*)std::aligned_alloc(64, ((size_t)b.n * 2 + 127) / 64 * 64)) {
    for (int64_t i = 0; i < b.n; ++i) p[i] = f32_to_f16(b.p[i]);
  }
  ~Half() { std::free(p); }
  Half(const Half&) = delete;
  Half& operator=(const Half&) = delete;
  uint16_t* p;
};

const char* g_filter = "";

// Runs the variants in turns; prints GFLOP/s of `flops` and the fraction of the peak for each.
void measure(const std::string& name, double flops,
             const std::vector<std::pair<const char*, std::function<void()>>>& variants) {
  if (name.find(g_filter) == std::string::npos) return;
  std::vector<double> best(variants.size(), 1e30);
  double top = 0;
  for (int round = 0; round < 15; ++round) {
    const double p = peak();
    if (p > top) top = p;
    for (size_t v = 0; v < variants.size(); ++v) {
      const double start = now();
      double end = start;
      int n = 0;
      do variants[v].second(), ++n;
      while ((end = now()) - start < 1e-3);
      if ((end - start) / n < best[v]) best[v] = (end - start) / n;
    }
  }
  std::printf("%-34s", name.c_str());
  for (size_t v = 0; v < variants.size(); ++v)
    std::printf("  %s %7.1f us %6.1f (%.2f)", variants[v].first, best[v] * 1e6, flops / best[v] * 1e-9,
                flops / best[v] * 1e-9 / top);
  std::printf("  peak %.0f\n", top);
  std::fflush(stdout);
}

std::string text(const char* format, auto... values) {
  char s[128];
  std::snprintf(s, sizeof s, format, values...);
  return s;
}

struct Scratch {
  explicit Scratch(size_t bytes) : b((int64_t)bytes / 4 + 16) {}
  Buffer b;
};

void clip6(Epilogue& e, const Buffer& bias) { e.bias = bias.p, e.activation = {Elementwise::clip, 0, 6}; }

void pointwise(int64_t m, int64_t k, int64_t n) {
  Buffer x(m * k), y(m * n), w(panel_elements(n, k)), bias(n);
  Half h(w);
  PanelMatmulArgs a;
  a.x = x.p, a.y = y.p, a.w = w.p, a.rows = m, a.n = n, a.k = k, a.x_stride = k, a.y_stride = n;
  clip6(a.epilogue, bias);
  PanelMatmulArgs b = a;
  b.w = h.p, b.w_half = 1;
  Scratch s(panel_matmul_scratch_bytes(b));
  const auto run = [&](PanelMatmulArgs& q) { kernels().matmul->panel_matmul(&q, 0, panel_matmul_units(q), s.b.p); };
  measure(text("1x1 %dx%d->%d", (int)m, (int)k, (int)n), 2.0 * (double)(m * k * n),
          {{"f32", [&] { run(a); }}, {"f16", [&] { run(b); }}});
}

void matmul(const char* name, int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
  Buffer x(m * k), b(n * k), y(m * n);
  MatmulArgs a;
  a.a = x.p, a.b = b.p, a.y = y.p, a.m = m, a.n = n, a.k = k, a.a_transposed = ta, a.b_transposed = tb;
  a.a_stride = ta ? m : k, a.b_stride = tb ? k : n, a.y_stride = n;
  Scratch s(matmul_scratch_bytes(a));
  measure(text("matmul %s %dx%dx%d", name, (int)m, (int)n, (int)k), 2.0 * (double)(m * k * n),
          {{"f32", [&] { kernels().matmul->matmul(&a, 0, matmul_units(a), s.b.p); }}});
}

void depthwise(int64_t size, int64_t c, int k, int s, bool valid = false) {
  DepthwiseArgs a;
  a.in_h = a.in_w = size, a.channels = c, a.kernel_h = a.kernel_w = k, a.stride_h = a.stride_w = s;
  a.out_h = a.out_w = valid ? (size - k) / s + 1 : (size + s - 1) / s;
  a.pad_top = a.pad_left = valid ? 0 : (int32_t)((a.out_h - 1) * s + k - size) / 2;
  Buffer x(size * size * c), y(a.out_h * a.out_w * c), w(k * k * c), bias(c);
  Half h(w);
  a.x = x.p, a.y = y.p, a.w = w.p, a.x_pixel = a.y_pixel = c;
  clip6(a.epilogue, bias);
  DepthwiseArgs b = a;
  b.w = h.p, b.w_half = 1;
  Scratch scratch(depthwise_scratch_bytes(b));
  const auto run = [&](DepthwiseArgs& q) { kernels().depthwise->depthwise(&q, 0, depthwise_units(q), scratch.b.p); };
  measure(text("depthwise %dx%d s%d %dx%d x%d", k, k, s, (int)size, (int)size, (int)c),
          2.0 * (double)(a.out_h * a.out_w * c * k * k), {{"f32", [&] { run(a); }}, {"f16", [&] { run(b); }}});
}

void conv(const char* name, int64_t size, int64_t c, int64_t n, int k, int s) {
  ConvArgs a;
  a.in_h = a.in_w = size, a.in_c = c, a.out_c = n, a.kernel_h = a.kernel_w = k, a.stride_h = a.stride_w = s;
  a.out_h = a.out_w = (size + s - 1) / s;
  a.pad_top = a.pad_left = (int32_t)((a.out_h - 1) * s + k - size) / 2;
  Buffer x(size * size * c), y(a.out_h * a.out_w * n), w(panel_elements(n, k * k * c)), bias(n);
  Buffer u(conv_winograd_elements(n, c));
  Half h(w);
  a.x = x.p, a.y = y.p, a.w = w.p, a.x_pixel = c, a.y_pixel = n;
  clip6(a.epilogue, bias);
  ConvArgs b = a, w2 = a;
  b.w = h.p, b.w_half = 1, w2.w = u.p, w2.method = ConvMethod::winograd;
  Scratch scratch(std::max(conv_scratch_bytes(b), conv_scratch_bytes(w2)));
  const auto run = [&](ConvArgs& q) { kernels().conv->conv(&q, 0, conv_units(q), scratch.b.p); };
  std::vector<std::pair<const char*, std::function<void()>>> variants = {{"f32", [&] { run(a); }},
                                                                         {"f16", [&] { run(b); }}};
  if (k == 3 && s == 1 && n > 4) variants.push_back({"F(2,3)", [&] { run(w2); }});
  measure(text("%s %dx%d s%d %dx%d %d->%d", name, k, k, s, (int)size, (int)size, (int)c, (int)n),
          2.0 * (double)(a.out_h * a.out_w * n * c * k * k), variants);
}

void transposed(int64_t size, int64_t c, int64_t n, int k, int s) {
  ConvTransposeArgs a;
  a.in_h = a.in_w = size, a.in_c = c, a.out_c = n, a.kernel_h = a.kernel_w = k, a.stride_h = a.stride_w = s;
  a.out_h = a.out_w = size * s, a.pad_top = a.pad_left = (k - s) / 2;
  Buffer x(size * size * c), y(a.out_h * a.out_w * n), w(panel_elements(n, k * k * c)), bias(n);
  Half h(w);
  a.x = x.p, a.y = y.p, a.w = w.p, a.x_pixel = c, a.y_pixel = n;
  clip6(a.epilogue, bias);
  ConvTransposeArgs b = a;
  b.w = h.p, b.w_half = 1;
  Scratch scratch(conv_transpose_scratch_bytes(b));
  const auto run = [&](ConvTransposeArgs& q) {
    kernels().conv_transpose->conv_transpose(&q, 0, conv_transpose_units(q), scratch.b.p);
  };
  measure(text("transposed %dx%d s%d %dx%d %d->%d", k, k, s, (int)size, (int)size, (int)c, (int)n),
          2.0 * (double)(size * size * n * c * k * k), {{"f32", [&] { run(a); }}, {"f16", [&] { run(b); }}});
}

void block(int64_t size, int64_t in_c, int64_t middle, int64_t out_c, int s) {
  const int64_t out = (size + s - 1) / s;
  Buffer x(size * size * in_c), y(out * out * out_c), we(panel_elements(middle, in_c)), wd(9 * middle),
      wp(panel_elements(out_c, middle)), bias(middle + out_c);
  Buffer expanded(size * size * middle), filtered(out * out * middle);
  InvertedResidualArgs a;
  a.x = x.p, a.y = y.p, a.in_c = in_c, a.out_c = out_c, a.x_pixel = in_c, a.y_pixel = out_c;
  a.expand.w = we.p, a.project.w = wp.p;
  clip6(a.expand.epilogue, bias);
  a.project.epilogue.bias = bias.p;
  if (s == 1 && in_c == out_c) a.project.epilogue.residual = x.p, a.project.epilogue.residual_stride = in_c;
  DepthwiseArgs& d = a.depthwise;
  d.in_h = d.in_w = size, d.out_h = d.out_w = out, d.channels = middle, d.kernel_h = d.kernel_w = 3,
  d.stride_h = d.stride_w = s;
  d.pad_top = d.pad_left = (int32_t)((out - 1) * s + 3 - size) / 2, d.w = wd.p;
  clip6(d.epilogue, bias);
  DepthwiseArgs one = d;
  one.x = expanded.p, one.y = filtered.p, one.x_pixel = one.y_pixel = middle;
  PanelMatmulArgs first, last;
  first.x = x.p, first.w = we.p, first.y = expanded.p, first.rows = size * size, first.k = first.x_stride = in_c,
  first.n = first.y_stride = middle;
  last.x = filtered.p, last.w = wp.p, last.y = y.p, last.rows = out * out, last.k = last.x_stride = middle,
  last.n = last.y_stride = out_c;
  first.epilogue = a.expand.epilogue, last.epilogue = a.project.epilogue;
  Scratch scratch(inverted_residual_scratch_bytes(a) + depthwise_scratch_bytes(one));
  measure(text("block %dx%d %d->%d->%d s%d", (int)size, (int)size, (int)in_c, (int)middle, (int)out_c, s),
          2.0 * (double)(size * size * in_c * middle + out * out * middle * (9 + out_c)),
          {{"one by one",
            [&] {
              const Kernels& k = kernels();
              k.matmul->panel_matmul(&first, 0, panel_matmul_units(first), scratch.b.p);
              k.depthwise->depthwise(&one, 0, depthwise_units(one), scratch.b.p);
              k.matmul->panel_matmul(&last, 0, panel_matmul_units(last), scratch.b.p);
            }},
           {"row by row",
            [&] { kernels().inverted_residual->inverted_residual(&a, 0, inverted_residual_units(a), scratch.b.p); }}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && !select_kernels(argv[1])) {
    std::fprintf(stderr, "instruction set '%s' is not in the build or not supported by this processor\n", argv[1]);
    return 1;
  }
  if (argc > 2) g_filter = argv[2];
  std::printf("set %s: microseconds, GFLOP/s, (fraction of the multiply-add peak of %d-byte vectors)\n", kernels().isa,
              kernels().vector_bytes);
  pointwise(22500, 32, 16), pointwise(22500, 16, 96), pointwise(5625, 144, 24), pointwise(5625, 24, 144),
      pointwise(1444, 192, 32);
  pointwise(1444, 32, 192), pointwise(361, 96, 576), pointwise(361, 576, 96), pointwise(100, 960, 160),
      pointwise(100, 320, 1280);
  pointwise(49, 512, 128), pointwise(65536, 8, 8), pointwise(1, 1024, 1024), pointwise(1, 1280, 1001),
      pointwise(40, 120, 6625);
  matmul("NN", 256, 256, 256, false, false), matmul("NT", 196, 196, 64, false, true),
      matmul("NN", 196, 64, 196, false, false);
  matmul("TN", 512, 128, 1000, true, false), matmul("NT", 512, 512, 2000, false, true);
  matmul("NN", 2048, 2304, 576, false, false), matmul("NT", 2048, 2304, 576, false, true);
  depthwise(150, 32, 3, 1), depthwise(75, 144, 3, 1), depthwise(38, 192, 3, 1), depthwise(19, 576, 3, 1),
      depthwise(10, 960, 3, 1);
  depthwise(16, 384, 5, 1), depthwise(128, 24, 3, 1), depthwise(150, 96, 3, 2), depthwise(75, 144, 3, 2),
      depthwise(32, 96, 5, 2);
  depthwise(256, 8, 3, 1), depthwise(7, 512, 7, 1, true), depthwise(80, 96, 5, 1);
  conv("first", 300, 3, 32, 3, 2), conv("first", 256, 3, 24, 3, 2), conv("first", 640, 3, 16, 3, 2);
  conv("dense", 160, 96, 24, 3, 1), conv("dense", 80, 96, 24, 3, 1), conv("dense", 40, 64, 64, 3, 1),
      conv("dense", 20, 256, 256, 3, 1);
  conv("dense", 56, 32, 32, 3, 1), conv("dense", 10, 256, 512, 3, 2), conv("dense", 28, 64, 128, 3, 2);
  conv("head", 256, 8, 1, 3, 1), conv("head", 64, 64, 2, 1, 1);
  transposed(160, 24, 24, 2, 2), transposed(320, 24, 1, 2, 2), transposed(32, 64, 64, 4, 2);
  block(150, 16, 96, 24, 2), block(75, 24, 144, 24, 1), block(75, 24, 144, 32, 2), block(38, 32, 192, 32, 1),
      block(19, 64, 384, 64, 1);
  block(19, 96, 576, 96, 1), block(10, 160, 960, 160, 1);
  return 0;
}
