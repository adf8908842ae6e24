// SPDX-License-Identifier: Apache-2.0
#include "import/onnx_scan.h"

namespace tern {
namespace {

// The messages of the format that hold other messages; the rest is leaves here.
enum Kind : uint8_t {
  leaf,
  model,
  graph,
  node,
  attribute,
  function,
  tensor,
  value_info,
  type,
  shape,
  sparse,
  training,
  count_of_kinds
};

struct Field {
  Kind in;
  uint32_t number;
  Kind holds;
};
constexpr Field kFields[] = {
    {model, 7, graph},       {model, 25, function},   {model, 20, training},   {model, 8, leaf},
    {model, 14, leaf},       {graph, 1, node},        {graph, 5, tensor},      {graph, 15, sparse},
    {graph, 11, value_info}, {graph, 12, value_info}, {graph, 13, value_info}, {graph, 14, leaf},
    {node, 5, attribute},    {node, 1, leaf},         {node, 2, leaf},         {attribute, 5, tensor},
    {attribute, 6, graph},   {attribute, 22, sparse}, {attribute, 14, type},   {attribute, 10, tensor},
    {attribute, 11, graph},  {attribute, 23, sparse}, {attribute, 15, type},   {attribute, 9, leaf},
    {function, 7, node},     {function, 4, leaf},     {function, 5, leaf},     {function, 6, leaf},
    {function, 9, leaf},     {sparse, 1, tensor},     {sparse, 2, tensor},     {value_info, 2, type},
    {type, 1, type},         {type, 4, type},         {type, 5, type},         {type, 9, type},
    {type, 8, type},         {type, 2, shape},        {shape, 1, leaf},        {training, 1, graph},
    {training, 2, graph},    {tensor, 6, leaf},       {tensor, 13, leaf},
};

constexpr uint64_t kMaxMessages = 1000000;
constexpr int kMaxDepth = 48;

struct Reader {
  const uint8_t* at;
  const uint8_t* end;

  bool varint(uint64_t* out) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && at < end; shift += 7) {
      const uint8_t byte = *at++;
      v |= (uint64_t)(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return *out = v, true;
    }
    return false;
  }
  bool skip(uint64_t n) {
    if (n > (uint64_t)(end - at)) return false;
    at += n;
    return true;
  }
};

const Field* find(Kind in, uint64_t number) {
  for (const Field& f : kFields)
    if (f.in == in && f.number == number) return &f;
  return nullptr;
}

}  // namespace

tern_status scan_onnx(std::span<const uint8_t> file) {
  struct Level {
    const uint8_t* end;
    Kind kind;
  };
  Level stack[kMaxDepth];
  int depth = 0;
  stack[depth++] = {file.data() + file.size(), model};
  Reader r{file.data(), file.data() + file.size()};
  uint64_t messages = 0;
  const auto damaged = [&] {
    const tern_status s =
        TERN_FAIL(TERN_ERR_CORRUPT, "not an ONNX model, or damaged at byte %zu", (size_t)(r.at - file.data()));
    error_at_offset((uint64_t)(r.at - file.data()));
    return s;
  };
  while (depth > 0) {
    const Level level = stack[depth - 1];
    if (r.at == level.end) {
      --depth;
      continue;
    }
    r.end = level.end;
    uint64_t tag, value;
    if (!r.varint(&tag)) return damaged();
    switch (tag & 7) {
      case 0:
        if (!r.varint(&value)) return damaged();
        break;
      case 1:
        if (!r.skip(8)) return damaged();
        break;
      case 5:
        if (!r.skip(4)) return damaged();
        break;
      case 2: {
        if (!r.varint(&value) || value > (uint64_t)(level.end - r.at)) return damaged();
        const Field* f = find(level.kind, tag >> 3);
        if (f && ++messages > kMaxMessages)
          return TERN_FAIL(TERN_ERR_LIMIT, "the ONNX file has more than %" PRIu64 " nodes, tensors and names",
                           kMaxMessages);
        if (!f || f->holds == leaf) {
          r.at += value;
          break;
        }
        if (depth == kMaxDepth)
          return TERN_FAIL(TERN_ERR_LIMIT, "the ONNX file nests messages more than %d deep", kMaxDepth);
        stack[depth++] = {r.at + value, f->holds};
        break;
      }
      default: return damaged();  // groups are not used by the format
    }
  }
  return TERN_OK;
}

}  // namespace tern
