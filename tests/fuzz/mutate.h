// SPDX-License-Identifier: Apache-2.0
// Changes model files as what they are: models. A changed byte of a file is nearly always refused (a checksum, a claim
// that no longer follows, an offset), so that little of what runs behind the reader is ever seen. Here a file is read,
// its model changed (operators, attributes, operands, shapes, types, encodings, constants, outputs, sub-graphs, states,
// symbols, metadata), all that follows inferred anew, and the whole written with right sizes and checksums.
#pragma once
#include <cstdint>
#include <vector>

#include "graph/model_def.h"

namespace tern::fuzz {

struct Random {
  uint64_t state;
  uint64_t next() {  // splitmix64
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  int64_t below(int64_t n) { return n > 0 ? (int64_t)(next() % (uint64_t)n) : 0; }
  bool one_in(int64_t n) { return below(n) == 0; }
  template <class T>
  T one_of(std::initializer_list<T> list) {
    return list.begin()[below((int64_t)list.size())];
  }
};

// Changes a model that is sound, some times, into one that mostly is sound too.
void mutate_model(ModelDef& model, Random& random);

// Changes any fields of the tables of a file, sense or none, and writes it with right checksums.
void mutate_fields(std::vector<uint8_t>& file, Random& random);

// A changed copy of a file, by either way. What is no file of a model gives one that has its own beginning.
std::vector<uint8_t> mutate_file(const uint8_t* data, size_t size, uint64_t seed);

}  // namespace tern::fuzz
