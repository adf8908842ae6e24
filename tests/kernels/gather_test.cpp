// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/gather.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

// Indices of both widths; some are negative, some out of range when `bad`.
struct Indices {
  Guarded<int64_t> wide;
  Guarded<int32_t> narrow;
  bool is_wide;
  Indices(int64_t n, bool wide_type) : wide(n), narrow(n), is_wide(wide_type) {}
  void set(int64_t i, int64_t v) { wide[i] = v, narrow[i] = (int32_t)v; }
  const void* data() const { return is_wide ? (const void*)wide.data() : narrow.data(); }
  int32_t dtype() const { return is_wide ? TERN_DTYPE_I64 : TERN_DTYPE_I32; }
};

int64_t wrap(int64_t v, int64_t n) { return v < 0 ? v + n : v; }
int64_t any_index(Random& random, int64_t n, bool bad) {
  if (bad && random.integer(0, 3) == 0) {
    const int64_t choices[] = {n, -n - 1, INT32_MAX, INT32_MIN};
    return choices[random.integer(0, 3)];
  }
  return n == 0 ? 0 : random.integer(-n, n - 1);
}

TEST(GatherKernels, Rows) {
  for_each_set([](const Kernels& k) {
    for (const int64_t outer : {1, 3})
      for (const int64_t rows : {0, 1, 10})
        for (const int64_t bytes : {0, 1, 4, 8, 12, 260})
          for (const int64_t count : {0, 1, 40})
            for (int bits = 0; bits < 4; ++bits) {
              const bool bad = bits & 1;
              if (rows == 0 && !bad) continue;
              Guarded<uint8_t> x(outer * rows * bytes), y(outer * count * bytes);
              Indices index(count, bits >> 1);
              Random random(3);
              for (size_t i = 0; i < x.size(); ++i) x[i] = (uint8_t)random.next();
              bool any_bad = false;
              for (int64_t i = 0; i < count; ++i) {
                const int64_t v = any_index(random, rows, bad);
                index.set(i, v);
                any_bad |= wrap(v, rows) < 0 || wrap(v, rows) >= rows;
              }
              int32_t error = 0;
              GatherArgs a;
              a.x = x.data(), a.index = index.data(), a.y = y.data(), a.error = &error, a.index_dtype = index.dtype();
              a.outer = outer, a.rows = rows, a.row_bytes = bytes, a.count = count;
              run(k.gather->gather, &a, units(a), 0, y.data(), y.bytes());
              EXPECT_EQ(error, any_bad);
              for (int64_t i = 0; i < outer * count; ++i) {
                const int64_t v = wrap(index.wide[i % count], rows);
                for (int64_t b = 0; b < bytes; ++b) {
                  const uint8_t want = v < 0 || v >= rows ? 0 : x[(i / count * rows + v) * bytes + b];
                  ASSERT_EQ(y[i * bytes + b], want);
                }
              }
            }
  });
}

TEST(GatherKernels, HugeIndices) {
  for_each_set([](const Kernels& k) {
    const int64_t index[4] = {INT64_MAX, INT64_MIN, 3, -4};
    const float x[3] = {1, 2, 3};
    float y[4];
    int32_t error = 0;
    GatherArgs a;
    a.x = x, a.index = index, a.y = y, a.error = &error, a.rows = 3, a.row_bytes = 4, a.count = 4;
    k.gather->gather(&a, 0, units(a), nullptr);
    EXPECT_EQ(error, 1);
    for (const float v : y) EXPECT_EQ(v, 0);
  });
}

TEST(GatherKernels, Nd) {
  for_each_set([](const Kernels& k) {
    const int64_t dims[3] = {3, 4, 5}, batch = 2, slice = 6, count = 37;
    for (int depth = 1; depth <= 3; ++depth)
      for (const bool bad : {false, true}) {
        const int64_t slices = num_elements(depth, dims);
        Guarded<float> x(batch * slices * slice), y(batch * count * slice);
        Indices index(batch * count * depth, true);
        Random random(depth);
        fill(x, random);
        for (int64_t i = 0; i < batch * count * depth; ++i) index.set(i, any_index(random, dims[i % depth], bad));
        int32_t error = 0;
        GatherNdArgs a;
        a.x = x.data(), a.index = index.data(), a.y = y.data(), a.error = &error, a.depth = depth, a.batch = batch,
        a.count = count, a.slice_bytes = slice * 4;
        std::memcpy(a.dims, dims, sizeof dims);
        run(k.gather->gather_nd, &a, units(a), 0, y.data(), y.bytes());
        EXPECT_EQ(error, bad);
        for (int64_t i = 0; i < batch * count; ++i) {
          int64_t flat = 0;
          bool out = false;
          for (int d = 0; d < depth; ++d) {
            const int64_t v = wrap(index.wide[i * depth + d], dims[d]);
            out |= v < 0 || v >= dims[d];
            flat = flat * dims[d] + v;
          }
          for (int64_t s = 0; s < slice; ++s)
            ASSERT_EQ(y[i * slice + s], out ? 0 : x[(i / count * slices + flat) * slice + s]);
        }
      }
  });
}

TEST(GatherKernels, ElementsAndScatterElements) {
  for_each_set([](const Kernels& k) {
    const int64_t dims[3] = {4, 5, 6}, index_dims[3] = {3, 5, 4};
    for (int axis = 0; axis < 3; ++axis)
      for (const bool bad : {false, true})
        for (const Scatter op : {Scatter::assign, Scatter::add, Scatter::mul, Scatter::min, Scatter::max}) {
          int64_t id[3];
          std::memcpy(id, index_dims, sizeof id);
          id[axis] = 9;  // longer than the axis: duplicates
          const int64_t n = num_elements(3, id);
          Guarded<float> x(120), y(n), updates(n), z(120);
          Indices index(n, axis == 1);
          Random random(axis);
          fill(x, random), fill(updates, random);
          for (int64_t i = 0; i < n; ++i) index.set(i, any_index(random, dims[axis], bad));
          int32_t error = 0;
          GatherElementsArgs g;
          g.x = x.data(), g.index = index.data(), g.y = y.data(), g.error = &error, g.index_dtype = index.dtype(),
          g.rank = 3, g.axis = axis;
          ScatterElementsArgs s;
          s.op = op, s.updates = updates.data(), s.index = index.data(), s.y = z.data(), s.error = &error,
          s.index_dtype = index.dtype(), s.rank = 3, s.axis = axis;
          for (int d = 0; d < 3; ++d) g.dims[d] = s.dims[d] = dims[d], g.index_dims[d] = s.index_dims[d] = id[d];
          run(k.gather->gather_elements, &g, units(g), 0, y.data(), y.bytes());
          EXPECT_EQ(error, bad);
          run(k.gather->scatter_elements, &s, units(s), 0, z.data(), z.bytes(), x.data());
          std::vector<float> want(x.data(), x.data() + 120);
          for (int64_t i = 0; i < n; ++i) {
            int64_t at[3] = {i / id[2] / id[1], i / id[2] % id[1], i % id[2]};
            at[axis] = wrap(index.wide[i], dims[axis]);
            const bool out = at[axis] < 0 || at[axis] >= dims[axis];
            const int64_t flat = (at[0] * 5 + at[1]) * 6 + at[2];
            ASSERT_EQ(y[i], out ? 0 : x[flat]);
            if (out) continue;
            float& v = want[flat];
            const float u = updates[i];
            v = op == Scatter::assign ? u
                : op == Scatter::add  ? v + u
                : op == Scatter::mul  ? v * u
                : op == Scatter::min  ? std::fmin(u, v)
                                      : std::fmax(u, v);
          }
          for (int64_t i = 0; i < 120; ++i) ASSERT_EQ(z[i], want[i]) << "axis " << axis;
        }
  });
}

TEST(GatherKernels, ScatterNd) {
  for_each_set([](const Kernels& k) {
    const int64_t dims[2] = {3, 4};
    for (int depth = 1; depth <= 2; ++depth)
      for (const int64_t slice : {1, 7, 300, 600})
        for (const Scatter op : {Scatter::assign, Scatter::add})
          for (const bool bad : {false, true}) {
            const int64_t count = 25, rows = num_elements(depth, dims);
            Guarded<int32_t> start(rows * slice), y(rows * slice), updates(count * slice);
            Indices index(count * depth, depth == 1);
            Random random(2);
            for (size_t i = 0; i < start.size(); ++i) start[i] = (int32_t)random.next();
            for (size_t i = 0; i < updates.size(); ++i) updates[i] = (int32_t)random.next();
            for (int64_t i = 0; i < count * depth; ++i) index.set(i, any_index(random, dims[i % depth], bad));
            int32_t error = 0;
            ScatterNdArgs a;
            a.op = op, a.dtype = TERN_DTYPE_I32, a.updates = updates.data(), a.index = index.data(), a.y = y.data(),
            a.error = &error;
            a.index_dtype = index.dtype(), a.depth = depth, a.count = count, a.slice = slice, a.dims[0] = 3,
            a.dims[1] = 4;
            run(k.gather->scatter_nd, &a, units(a), 0, y.data(), y.bytes(), start.data());
            EXPECT_EQ(error, bad);
            std::vector<uint32_t> want(start.data(), start.data() + start.size());
            for (int64_t i = 0; i < count; ++i) {
              int64_t flat = 0;
              bool out = false;
              for (int d = 0; d < depth; ++d) {
                const int64_t v = wrap(index.wide[i * depth + d], dims[d]);
                out |= v < 0 || v >= dims[d];
                flat = flat * dims[d] + v;
              }
              for (int64_t s = 0; s < slice && !out; ++s) {
                uint32_t& v = want[flat * slice + s];
                v = (op == Scatter::add ? v : 0) + (uint32_t)updates[i * slice + s];
              }
            }
            for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ((uint32_t)y[i], want[i]);
          }
  });
}

TEST(GatherKernels, OneHot) {
  for_each_set([](const Kernels& k) {
    for (const int size : {1, 2, 4, 8}) {
      const int64_t outer = 3, depth = 5, inner = 4;
      Indices index(outer * inner, size != 2);
      for (int64_t i = 0; i < outer * inner; ++i) index.set(i, i - 6);
      Guarded<uint8_t> y(outer * depth * inner * size);
      OneHotArgs a;
      a.index = index.data(), a.y = y.data(), a.index_dtype = index.dtype(), a.elem_size = size, a.on = 0x3f800001u,
      a.off = 7;
      a.outer = outer, a.depth = depth, a.inner = inner;
      run(k.gather->one_hot, &a, units(a), 0, y.data(), y.bytes());
      for (int64_t i = 0; i < outer * depth * inner; ++i) {
        const bool on = wrap(index.wide[i / (depth * inner) * inner + i % inner], depth) == i / inner % depth;
        ASSERT_EQ(std::memcmp(y.data() + i * size, on ? &a.on : &a.off, size), 0);
      }
    }
  });
}

TEST(GatherKernels, Cumsum) {
  for_each_set([](const Kernels& k) {
    for (const int64_t axis : {0, 1, 9})
      for (const int64_t inner : {1, 5, 300})
        for (int bits = 0; bits < 4; ++bits) {
          Guarded<float> x(2 * axis * inner), y(x.size());
          Random random(1);
          fill(x, random);
          CumsumArgs a;
          a.exclusive = bits & 1, a.reverse = bits >> 1, a.x = x.data(), a.y = y.data(), a.outer = 2, a.axis = axis,
          a.inner = inner;
          run(k.gather->cumsum, &a, units(a), 0, y.data(), y.bytes());
          for (int64_t o = 0; o < 2 * inner; ++o) {
            float sum = 0;
            for (int64_t i = 0; i < axis; ++i) {
              const int64_t at = (o / inner * axis + (a.reverse ? axis - 1 - i : i)) * inner + o % inner;
              const float before = sum;
              sum += x[at];
              ASSERT_EQ(y[at], a.exclusive ? before : sum);
            }
          }
        }
  });
}

}  // namespace
}  // namespace tern::cpu::test
