// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/inverted_residual.h"

#include "dense_test.h"

namespace tern::cpu::test {
namespace {

// The group must give the bits of its members run one after another.
void group_case(const Kernels& kernels, int64_t batch, int64_t h, int64_t w, int64_t in_c, int64_t middle,
                int64_t out_c, int k, int s, int p, bool expand, bool project, int32_t half, int variant) {
  if (half == kF16 && variant % 3 == 0)
    group_case(kernels, batch, h, w, in_c, middle, out_c, k, s, p, expand, project, kBf16, variant);
  SCOPED_TRACE(testing::Message() << batch << "x" << h << "x" << w << "x" << in_c << "->" << middle << "->" << out_c
                                  << " k" << k << " s" << s << " p" << p << (expand ? " expand" : "")
                                  << (project ? " project" : "")
                                  << (half == kBf16 ? " bf16"
                                      : half        ? " f16"
                                                    : "")
                                  << " variant " << variant);
  if (!expand) in_c = middle;
  if (!project) out_c = middle;
  const int64_t out_h = (h + 2 * p - k) / s + 1, out_w = (w + 2 * p - k) / s + 1;
  if (h + 2 * p < k || w + 2 * p < k) return;
  Random random((uint64_t)(h * 31 + w * 1009 + variant));
  const int64_t x_pixel = in_c + variant % 2 * 4;
  Guarded<float> x((size_t)((batch * h * w - 1) * x_pixel + in_c));
  fill(x, random);
  const Weights we(random, 1, middle, in_c, half), wd(random, 1, k * k, middle, half, false),
      wp(random, 1, out_c, middle, half);
  Output expanded(random, batch * h * w, middle, 0, variant % 2 ? 1 : 7),
      filtered(random, batch * out_h * out_w, middle, 0, project ? 2 : variant),
      out(random, batch * out_h * out_w, out_c, variant % 3, variant),
      want(random, batch * out_h * out_w, out_c, variant % 3, variant);
  if (out.in_place) out.e.residual = want.residual.data(), out.in_place = false;
  want.e = out.e, want.in_place = false;
  filtered.e.residual = nullptr;
  filtered.in_place = false;

  InvertedResidualArgs a;
  a.x = x.data(), a.y = out.y.data(), a.in_c = in_c, a.out_c = out_c, a.x_pixel = x_pixel, a.y_pixel = out.stride;
  DepthwiseArgs& d = a.depthwise;
  d.batch = batch, d.in_h = h, d.in_w = w, d.channels = middle, d.out_h = out_h, d.out_w = out_w;
  d.kernel_h = d.kernel_w = k, d.stride_h = d.stride_w = s, d.pad_top = d.pad_left = p, d.w = wd.data(),
  d.w_half = half;
  d.epilogue = project ? filtered.e : out.e;
  if (expand) a.expand = {we.data(), half, expanded.e};
  if (project) a.project = {wp.data(), half, out.e};
  out.run(kernels.inverted_residual->inverted_residual, &a, inverted_residual_units(a),
          inverted_residual_scratch_bytes(a));

  const float* from = x.data();
  int64_t from_pixel = x_pixel;
  const auto pointwise = [&](const Weights& weights, int64_t rows, int64_t depth, Output& to) {
    PanelMatmulArgs m;
    m.x = from, m.x_stride = from_pixel, m.w = weights.data(), m.w_half = half, m.y = to.y.data(),
    m.y_stride = to.stride;
    m.rows = rows, m.n = to.n, m.k = depth, m.epilogue = to.e;
    to.run(kernels.matmul->panel_matmul, &m, panel_matmul_units(m), panel_matmul_scratch_bytes(m));
    from = to.y.data(), from_pixel = to.stride;
  };
  if (expand) pointwise(we, batch * h * w, in_c, expanded);
  Output& after = project ? filtered : want;
  DepthwiseArgs one = d;
  one.x = from, one.x_pixel = from_pixel, one.y = after.y.data(), one.y_pixel = after.stride;
  after.run(kernels.depthwise->depthwise, &one, depthwise_units(one), depthwise_scratch_bytes(one));
  from = after.y.data(), from_pixel = after.stride;
  if (project) pointwise(wp, batch * out_h * out_w, middle, want);
  EXPECT_EQ(std::memcmp(out.y.data(), want.y.data(), out.y.bytes()), 0);
}

TEST(InvertedResidual, EqualsItsMembers) {
  for_each_set([](const Kernels& kernels) {
    int v = 0;
    for (int k : {3, 5, 4})
      for (int s : {1, 2, 3})
        for (int64_t h : {1, 4, 9, 13})
          for (int members = 1; members < 4; ++members) {
            const int64_t w = 1 + v * 7 % 19;
            group_case(kernels, 1 + v % 2, h, w, 5 + v % 9, 16 + v % 5 * 4, 7 + v % 30, k, s, v % 5 ? k / 2 : v % 3,
                       members & 1, members & 2, v % 2, v);
            ++v;
          }
    group_case(kernels, 1, 21, 30, 24, 144, 24, 3, 1, 1, true, true, false, 4);
    group_case(kernels, 1, 21, 30, 16, 96, 24, 3, 2, 1, true, true, true, 2);
  });
}

}  // namespace
}  // namespace tern::cpu::test
