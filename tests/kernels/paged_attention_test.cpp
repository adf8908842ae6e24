// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/paged_attention.h"

#include "base/float16.h"
#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

constexpr size_t kElement[kPagedTypes] = {4, 2, 1};

// Keys and values of some sequences in pages, written by the kernels. A page is [k | v], each [heads][64][dim]; with
// int8 the scales [heads][64] stand behind each.
struct Cache {
  int64_t heads, dim, v_dim, pages;  // pages of each sequence
  PagedType type;
  std::vector<std::unique_ptr<Guarded<char>>> memory;  // every page ends at a forbidden one
  std::vector<uint64_t> table;
  std::vector<std::vector<float>> k, v;  // what was written, per sequence: [positions, heads, dim]
  size_t k_bytes, v_bytes;

  Cache(PagedType t, std::vector<int64_t> lengths, int64_t h, int64_t d, int64_t vd, uint64_t seed = 5)
      : heads(h), dim(d), v_dim(vd), type(t) {
    const size_t scales = type == PagedType::i8 ? 4 * 64 * heads : 0;
    k_bytes = 64 * heads * dim * kElement[(int)type], v_bytes = 64 * heads * v_dim * kElement[(int)type];
    k_bytes = (k_bytes + 3) / 4 * 4 + scales, v_bytes = (v_bytes + 3) / 4 * 4 + scales;
    const int64_t n = (int64_t)lengths.size();
    pages = 1;
    for (const int64_t length : lengths) pages = std::max(pages, (length + 63) / 64);
    table.assign(2 + n * pages, 0);
    table[0] = n, table[1] = pages;
    Random random(seed);
    for (int64_t s = 0; s < n; ++s) {
      k.emplace_back(lengths[s] * heads * dim), v.emplace_back(lengths[s] * heads * v_dim);
      for (float& x : k.back()) x = random.uniform(-2, 2);
      for (float& x : v.back()) x = random.uniform(-2, 2);
      for (int64_t p = 0; p < (lengths[s] + 63) / 64; ++p) {
        memory.push_back(std::make_unique<Guarded<char>>(k_bytes + v_bytes, 4));
        std::memset(memory.back()->data(), 0x7e, memory.back()->bytes());  // large numbers, and NaN in f16
        table[2 + s * pages + p] = (uint64_t)(uintptr_t)memory.back()->data() | kPageWritable;
      }
    }
  }

  Positions positions(bool values) const {
    const int64_t element = kElement[(int)type], width = values ? v_dim : dim;
    Positions p;
    p.table = (const PageTable*)table.data();
    p.offset = values ? k_bytes : 0;
    p.capacity = INT64_MAX;
    p.position_step = width * element, p.head_step = 64 * p.position_step;
    p.scale_offset = (heads * p.head_step + 3) / 4 * 4, p.scale_position_step = 4, p.scale_head_step = 64 * 4;
    return p;
  }

  void write(const Kernels& kernels) {
    for (size_t s = 0; s < k.size(); ++s)
      for (const bool values : {false, true}) {
        const std::vector<float>& from = values ? v[s] : k[s];
        PageWriteArgs a;
        a.heads = heads, a.dim = values ? v_dim : dim, a.rows = (int64_t)from.size() / (a.heads * a.dim);
        Guarded<float> update(from.size());
        std::copy(from.begin(), from.end(), update.data());
        std::vector<int32_t> sequence(a.rows, (int32_t)s);
        std::vector<int64_t> position(a.rows);
        for (int64_t r = 0; r < a.rows; ++r) position[r] = r;
        int32_t error = 0;
        a.to = positions(values), a.update = update.data(), a.sequence = sequence.data(), a.position = position.data();
        a.error = &error;
        kernels.paged_attention->write[(int)type](&a, 0, a.rows, nullptr);
        ASSERT_EQ(error, 0);
      }
  }

  // What is stored of an element.
  double load(bool values, int64_t s, int64_t j, int64_t h, int64_t d) const {
    const Positions p = positions(values);
    const char* page = (const char*)(uintptr_t)(p.table->addresses(s)[j / 64] & ~kPageWritable) + p.offset;
    const char* at = page + h * p.head_step + j % 64 * p.position_step + d * kElement[(int)type];
    if (type == PagedType::f32) return *(const float*)at;
    if (type == PagedType::f16) return f16_to_f32(*(const uint16_t*)at);
    return *(const int8_t*)at *
           (double)*(const float*)(page + p.scale_offset + h * p.scale_head_step + j % 64 * p.scale_position_step);
  }
};

struct Rows {
  PagedAttentionArgs a;
  Guarded<float> q, y;
  std::vector<int32_t> sequence;
  std::vector<int64_t> position;
  std::vector<float> parts;
  int32_t error = 0;

  // Row r asks with the numbers that its sequence and position alone decide.
  Rows(const Cache& c, int64_t group, std::vector<int32_t> s, std::vector<int64_t> p)
      : q(s.size() * c.heads * group * c.dim), y(s.size() * c.heads * group * c.v_dim), sequence(s), position(p) {
    a.rows = (int64_t)s.size(), a.heads = c.heads * group, a.kv_heads = c.heads, a.dim = c.dim, a.v_dim = c.v_dim;
    for (int64_t r = 0; r < a.rows; ++r) {
      Random random((uint64_t)s[r] * 100003 + (uint64_t)p[r] + 17);
      for (int64_t i = 0; i < a.heads * a.dim; ++i) q[r * a.heads * a.dim + i] = random.uniform(-2, 2);
    }
    a.q = q.data(), a.y = y.data(), a.sequence = sequence.data(), a.position = position.data(), a.error = &error;
    a.k = c.positions(false), a.v = c.positions(true), a.scale = 0.3f;
    parts.resize(paged_parts_bytes(a) / 4);
    a.parts = parts.data();
  }
  std::vector<float> by_blocks(const Kernels& k, PagedType type) {
    const int64_t units = (a.rows + kPagedRows - 1) / kPagedRows * a.kv_heads;
    run(k.paged_attention->blocks[(int)type], &a, units, paged_block_scratch(a), y.data(), y.bytes());
    return {y.data(), y.data() + y.size()};
  }
  std::vector<float> by_parts(const Kernels& k, PagedType type) {
    run(k.paged_attention->part[(int)type], &a, a.rows * a.kv_heads * kPagedParts, paged_part_scratch(a), parts.data(),
        parts.size() * 4);
    std::memset(y.data(), 0xa5, y.bytes());
    k.paged_attention->join(&a, 0, a.rows * a.kv_heads, nullptr);
    return {y.data(), y.data() + y.size()};
  }
};

std::vector<double> in_double(const Cache& c, const Rows& rows) {
  const PagedAttentionArgs& a = rows.a;
  std::vector<double> y(rows.y.size());
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t h = 0; h < a.heads; ++h) {
      const int64_t p = rows.position[r], s = rows.sequence[r], g = h / (a.heads / a.kv_heads);
      const int64_t first = a.window > 0 ? std::max<int64_t>(0, p - a.window + 1) : 0;
      std::vector<double> w;
      double most = -INFINITY, sum = 0;
      for (int64_t j = first; j <= p; ++j) {
        double dot = 0;
        for (int64_t d = 0; d < a.dim; ++d) dot += a.q[(r * a.heads + h) * a.dim + d] * c.load(false, s, j, g, d);
        dot *= a.scale;
        w.push_back(a.softcap > 0 ? a.softcap * std::tanh(dot / a.softcap) : dot);
        most = std::max(most, w.back());
      }
      for (double& x : w) sum += x = std::exp(x - most);
      for (size_t j = 0; j < w.size(); ++j)
        for (int64_t d = 0; d < a.v_dim; ++d)
          y[(r * a.heads + h) * a.v_dim + d] += w[j] / sum * c.load(true, s, first + (int64_t)j, g, d);
    }
  return y;
}

constexpr PagedType kTypes[] = {PagedType::f32, PagedType::f16, PagedType::i8};

TEST(PagedAttentionKernels, MatchDouble) {
  const struct {
    int64_t heads, group, dim, v_dim, window;
    float softcap;
  } kCases[] = {{1, 1, 1, 1, 0, 0},      {2, 4, 64, 64, 0, 0},  {1, 5, 33, 20, 0, 0},
                {3, 2, 128, 128, 70, 0}, {1, 3, 8, 7, 1, 2.5f}, {2, 1, 17, 16, 64, 1}};
  for_each_set([&](const Kernels& k) {
    for (const PagedType type : kTypes)
      for (const auto& c : kCases) {
        Cache cache(type, {3, 200, 65}, c.heads, c.dim, c.v_dim);
        cache.write(k);
        Rows rows(cache, c.group, {1, 1, 1, 0, 2, 2, 1, 1, 1, 1, 0, 0}, {63, 64, 199, 2, 64, -1, 0, 1, 2, 130, 0, 1});
        rows.a.window = c.window, rows.a.softcap = c.softcap;
        const std::vector<float> got = rows.by_blocks(k, type);
        expect_close(got.data(), in_double(cache, rows).data(), (int64_t)got.size(), 4e-6, 4e-6);
        EXPECT_EQ(rows.by_parts(k, type), got);
        EXPECT_EQ(rows.error, 0);
      }
  });
}

// What is stored is the number that was given, as near as the type has it.
TEST(PagedAttentionKernels, Write) {
  for_each_set([](const Kernels& k) {
    for (const PagedType type : kTypes) {
      Cache c(type, {70, 3}, 2, 21, 5);
      c.write(k);
      for (const bool values : {false, true})
        for (int64_t s = 0; s < 2; ++s)
          for (int64_t i = 0, dim = values ? 5 : 21, n = (int64_t)(values ? c.v : c.k)[s].size(); i < n; ++i) {
            const float* row = (values ? c.v : c.k)[s].data() + i / dim * dim;
            float most = 0;
            for (int64_t d = 0; d < dim; ++d) most = std::max(most, std::fabs(row[d]));
            const double step = type == PagedType::f32 ? 0 : type == PagedType::f16 ? 2 * 0x1p-11 : most / 127;
            ASSERT_LE(std::fabs(c.load(values, s, i / dim / 2, i / dim % 2, i % dim) - row[i % dim]), 0.5001 * step);
          }
    }
  });
}

// A row gives the same bits alone, among others of its sequence, among other sequences, in either way, and whatever
// lies behind its position.
TEST(PagedAttentionKernels, RowsDoNotDependOnOneAnother) {
  for_each_set([](const Kernels& k) {
    for (const PagedType type : kTypes) {
      Cache cache(type, {1, 100, 1000, 3000}, 1, 40, 24);
      cache.write(k);
      std::vector<int32_t> sequence;
      std::vector<int64_t> position;
      for (int32_t s = 3; s >= 0; --s)
        for (int64_t p = (int64_t)cache.k[s].size() / 40 - 1, n = 0; p >= 0 && n < 30; p -= 1 + 3 * n, ++n)
          sequence.push_back(s), position.push_back(p);
      Rows all(cache, 4, sequence, position);
      const std::vector<float> together = all.by_blocks(k, type);
      const size_t width = 4 * 24;
      for (size_t r = 0; r < sequence.size(); ++r) {
        Rows one(cache, 4, {sequence[r]}, {position[r]});
        const std::vector<float> whole(together.begin() + (ptrdiff_t)(r * width),
                                       together.begin() + (ptrdiff_t)((r + 1) * width));
        ASSERT_EQ(one.by_parts(k, type), whole) << "row " << r;
        ASSERT_EQ(one.by_blocks(k, type), whole) << "row " << r;
      }
    }
  });
}

// A plain tensor is read as pages are.
TEST(PagedAttentionKernels, PlainTensor) {
  for_each_set([](const Kernels& k) {
    Cache cache(PagedType::f32, {150}, 2, 24, 12);
    cache.write(k);
    Rows rows(cache, 3, {0, 0, 0}, {149, 64, 3});
    const std::vector<float> paged = rows.by_blocks(k, PagedType::f32);
    Guarded<float> keys(cache.k[0].size()), values(cache.v[0].size());
    std::copy(cache.k[0].begin(), cache.k[0].end(), keys.data());
    std::copy(cache.v[0].begin(), cache.v[0].end(), values.data());
    for (const bool v : {false, true}) {
      Positions& p = v ? rows.a.v : rows.a.k;
      p = {};
      p.base = (char*)(v ? values.data() : keys.data()), p.sequences = 1, p.capacity = 150;
      p.head_step = (v ? 12 : 24) * 4, p.position_step = 2 * p.head_step, p.sequence_step = 150 * p.position_step;
    }
    EXPECT_EQ(rows.by_blocks(k, PagedType::f32), paged);
    EXPECT_EQ(rows.by_parts(k, PagedType::f32), paged);
  });
}

TEST(PagedAttentionKernels, WhatIsNotThereIsTold) {
  for_each_set([](const Kernels& k) {
    Cache cache(PagedType::f32, {3, 200}, 1, 4, 4);
    cache.write(k);
    const struct {
      int32_t sequence;
      int64_t position;
      int32_t error;
    } kCases[] = {{2, 0, kNoSequence},   {-1, 0, kNoSequence},        {INT32_MIN, 5, kNoSequence}, {0, 64, kNoPage},
                  {1, 256, kNoPosition}, {1, INT64_MAX, kNoPosition}, {1, INT64_MIN, 0},           {7, -1, 0}};
    for (const auto& c : kCases) {
      Rows rows(cache, 1, {1, c.sequence}, {100, c.position});
      (void)rows.by_blocks(k, PagedType::f32);
      EXPECT_EQ(rows.error, c.error) << c.sequence << ", " << c.position;
      rows.error = 0;
      const std::vector<float> y = rows.by_parts(k, PagedType::f32);
      EXPECT_EQ(rows.error, c.error) << c.sequence << ", " << c.position;
      for (int64_t d = 0; d < 4; ++d) EXPECT_EQ(y[4 + d], 0);
      Guarded<float> update(4);
      PageWriteArgs w;
      int32_t error = 0;
      w.to = cache.positions(false), w.update = update.data(), w.sequence = &c.sequence, w.position = &c.position;
      w.rows = w.heads = 1, w.dim = 4, w.row_bytes = 16, w.error = &error;
      k.paged_attention->write[0](&w, 0, 1, nullptr);
      EXPECT_EQ(error, c.error);
      error = 0;
      k.paged_attention->move(&w, 0, 1, nullptr);
      EXPECT_EQ(error, c.error);
    }
    // A page that others share is read only.
    cache.table[2 + cache.pages] &= ~kPageWritable;
    const int32_t sequence = 1;
    const int64_t position = 3;
    Rows rows(cache, 1, {sequence}, {position});
    (void)rows.by_blocks(k, PagedType::f32);
    EXPECT_EQ(rows.error, 0);
    Guarded<float> update(4);
    PageWriteArgs w;
    w.to = cache.positions(false), w.update = update.data(), w.sequence = &sequence, w.position = &position;
    w.rows = w.heads = 1, w.dim = 4, w.row_bytes = 16, w.error = &rows.error;
    for (const KernelFn write : {k.paged_attention->write[0], k.paged_attention->move}) {
      rows.error = 0;
      write(&w, 0, 1, nullptr);
      EXPECT_EQ(rows.error, kNoPage);
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
