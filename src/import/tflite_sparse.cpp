// SPDX-License-Identifier: Apache-2.0
// Sparse constants of TFLite files.
//
// The content is a tree with one level per dim in `traversal_order`; dims from the rank on are the inner parts of the
// dims that `block_map` cuts into blocks. A dense level has all positions. A sparse level has, for each node of the
// level before, the positions indices[segments[node] .. segments[node + 1]). The leaves are the values in order.
#include <cstring>

#include "base/checked.h"
#include "import/tflite.h"

namespace tern {
namespace {

constexpr int kMaxLevels = 2 * kMaxRank;

// Integers of any of three widths.
struct Integers {
  const flatbuffers::Vector<int32_t>* i32 = nullptr;
  const flatbuffers::Vector<uint16_t>* u16 = nullptr;
  const flatbuffers::Vector<uint8_t>* u8 = nullptr;

  size_t size() const { return i32 ? i32->size() : u16 ? u16->size() : u8 ? u8->size() : 0; }
  int64_t operator[](size_t i) const {
    return i32 ? (*i32)[(unsigned)i] : u16 ? (*u16)[(unsigned)i] : (*u8)[(unsigned)i];
  }
};

struct Level {
  bool sparse = false;
  int64_t size = 0;    // of its dim
  int64_t stride = 0;  // of its dim in the dense tensor, elements
  Integers segments, indices;
};

Integers segments_of(const tfl::DimensionMetadata& d) {
  Integers r;
  if (const auto* v = d.array_segments_as_Int32Vector()) r.i32 = v->values();
  if (const auto* v = d.array_segments_as_Uint16Vector()) r.u16 = v->values();
  if (const auto* v = d.array_segments_as_Uint8Vector()) r.u8 = v->values();
  return r;
}

Integers indices_of(const tfl::DimensionMetadata& d) {
  Integers r;
  if (const auto* v = d.array_indices_as_Int32Vector()) r.i32 = v->values();
  if (const auto* v = d.array_indices_as_Uint16Vector()) r.u16 = v->values();
  if (const auto* v = d.array_indices_as_Uint8Vector()) r.u8 = v->values();
  return r;
}

tern_status corrupt(const char* what) { return TERN_FAIL(TERN_ERR_CORRUPT, "sparse tensor: %s", what); }

// Segments grow from 0 to the number of indices, and each index lies in its dim.
tern_status check_sparse_level(const Level& level, uint64_t nodes) {
  if (level.segments.size() != nodes + 1) return corrupt("a level has not one segment per node of the level before");
  if (level.segments[0] != 0 || level.segments[level.segments.size() - 1] != (int64_t)level.indices.size())
    return corrupt("the segments do not cover the indices");
  for (size_t i = 0; i + 1 < level.segments.size(); ++i)
    if (level.segments[i] > level.segments[i + 1]) return corrupt("a segment ends before it begins");
  for (size_t i = 0; i < level.indices.size(); ++i)
    if (level.indices[i] < 0 || level.indices[i] >= level.size) return corrupt("an index is outside its dim");
  return TERN_OK;
}

struct Walk {
  const Level* levels;
  int num_levels;
  const uint8_t* values;
  size_t item;
  uint8_t* out;

  // At most kMaxLevels deep.
  void run(int depth, int64_t node, int64_t offset) {
    if (depth == num_levels) {
      std::memcpy(out + (size_t)offset * item, values, item);
      values += item;
      return;
    }
    const Level& level = levels[depth];
    if (!level.sparse) {
      for (int64_t i = 0; i < level.size; ++i) run(depth + 1, node * level.size + i, offset + i * level.stride);
    } else {
      for (int64_t k = level.segments[(size_t)node]; k < level.segments[(size_t)node + 1]; ++k)
        run(depth + 1, k, offset + level.indices[(size_t)k] * level.stride);
    }
  }
};

}  // namespace

tern_status decode_sparse(const tfl::SparsityParameters& s, const Shape& shape, std::span<const uint8_t> values,
                          size_t item, uint8_t* out) {
  const auto* order = s.traversal_order();
  const auto* dims = s.dim_metadata();
  const int blocks = s.block_map() ? (int)std::min<size_t>(s.block_map()->size(), kMaxLevels) : 0;
  const int count = shape.rank + blocks;
  if (!order || !dims || (int64_t)order->size() != count || (int64_t)dims->size() != count || count > kMaxLevels)
    return corrupt("its levels do not fit its shape");
  int level_of[kMaxLevels];
  std::fill(level_of, level_of + kMaxLevels, -1);
  for (int i = 0; i < count; ++i) {
    const int32_t d = (*order)[(unsigned)i];
    if (d < 0 || d >= count || level_of[d] >= 0) return corrupt("its order of dims is none");
    level_of[d] = i;
  }
  int64_t strides[kMaxRank] = {}, block[kMaxRank];
  row_major_strides(shape, strides);
  std::fill(block, block + kMaxRank, 1);
  Level levels[kMaxLevels];
  for (int k = 0; k < blocks; ++k) {
    const int32_t d = (*s.block_map())[(unsigned)k];
    const int64_t size = (*dims)[(unsigned)level_of[shape.rank + k]]->dense_size();
    if (d < 0 || d >= shape.rank || block[d] != 1 || size < 1 || shape[d] % size)
      return corrupt("its blocks do not fit its shape");
    block[d] = size;
    levels[level_of[shape.rank + k]].size = size;
    levels[level_of[shape.rank + k]].stride = strides[d];
  }
  for (int d = 0; d < shape.rank; ++d) {
    levels[level_of[d]].size = shape[d] / block[d];
    levels[level_of[d]].stride = strides[d] * block[d];
  }
  uint64_t nodes = 1;
  for (int i = 0; i < count; ++i) {
    const tfl::DimensionMetadata& d = *(*dims)[(unsigned)i];
    Level& level = levels[i];
    if (d.format() == 0) {
      if (d.dense_size() != level.size) return corrupt("a dense level has another size than its dim");
      if (!checked_mul<uint64_t>(nodes, (uint64_t)level.size, &nodes)) return corrupt("too many values");
    } else if (d.format() == 1) {
      level.sparse = true;
      level.segments = segments_of(d);
      level.indices = indices_of(d);
      TERN_TRY(check_sparse_level(level, nodes));
      nodes = level.indices.size();
    } else {
      return corrupt("a level has an unknown format");
    }
  }
  uint64_t bytes = 0;
  if (!checked_mul<uint64_t>(nodes, item, &bytes) || bytes != values.size())
    return corrupt("it has another number of values than its levels say");
  Walk{levels, count, values.data(), item, out}.run(0, 0, 0);
  return TERN_OK;
}

}  // namespace tern
